//! What is shown of a defect of boxctl's own: where it is, and nothing of the values at hand.

use std::any::Any;
use std::io::Write;
use std::panic::Location;

/// Takes values out of the messages of panics: what is formatted into one may be a secret.
pub fn hide_values() {
    std::panic::set_hook(Box::new(|panic| {
        let text = text(panic.payload(), panic.location());
        let _ = writeln!(std::io::stderr(), "{text}");
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            let _ = writeln!(std::io::stderr(), "{trace}");
        }
    }));
}

fn text(payload: &dyn Any, location: Option<&Location<'_>>) -> String {
    let place = location.map_or_else(String::new, |at| format!(" at {at}"));
    // A text that stands in the program holds no value of this run.
    let what = payload.downcast_ref::<&'static str>();
    let what = what.map_or_else(String::new, |text| format!(": {text}"));
    format!(
        "error: boxctl has a defect{place}{what}\n  What was done so far is recorded: run the same \
         command again, with RUST_BACKTRACE=1, and report what it shows."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_of_the_program_are_shown() {
        let here = Location::caller();
        let formatted: Box<dyn Any + Send> = Box::new(format!("got {}", "s3cret-value"));
        let shown = text(formatted.as_ref(), Some(here));
        assert!(shown.contains("panics.rs") && !shown.contains("s3cret"), "{shown}");
        let written: Box<dyn Any + Send> = Box::new("no such step");
        assert!(text(written.as_ref(), None).contains("no such step"));
    }
}
