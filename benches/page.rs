//! How long reports of a large drift take, and how large they are: `cargo bench --bench page`.
//! 500 resources have to be a page in under a second, however slow the machine.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "it is there to print")]

#[path = "../tests/it/pages/large.rs"]
mod large;

use std::time::{Duration, Instant};

use boxctl::render::{markdown, page};

/// What a page of 500 resources may take.
const LIMIT: Duration = Duration::from_secs(1);

fn median(run: impl Fn() -> String) -> (Duration, usize) {
    let mut times: Vec<(Duration, usize)> = (0..9)
        .map(|_| {
            let began = Instant::now();
            let text = run();
            (began.elapsed(), text.len())
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn main() {
    for count in [10, 500, 2_000] {
        let view = large::view(count);
        let (time, size) = median(|| page::drift(&view));
        println!("a page of {count} resources: {time:.1?}, {} KiB", size / 1024);
        assert!(count != 500 || time < LIMIT, "{time:?}");
        let (time, size) = median(|| markdown::drift(&view));
        println!("a comment of {count} resources: {time:.1?}, {} KiB", size / 1024);
    }
}
