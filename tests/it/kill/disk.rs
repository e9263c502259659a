//! A disk that takes nothing more: the run stops before the next call that changes something, and
//! what was recorded until then is enough for the next one.

use std::time::Instant;

use super::matrix::{CREATE, all, beginning, ends_well, is_moto};
use super::{Point, STRICT, nothing_is_open, nothing_leaks, points, with_a_failing_disk, world};
use crate::lab::tell;

/// `EIO` and `ENOSPC`.
const ERRORS: [(i32, &str); 2] = [(5, "os error 5"), (28, "os error 28")];

#[test]
fn a_disk_that_fails_stops_the_run_and_loses_nothing() {
    if is_moto() {
        return;
    }
    let (scenario, began) = (&CREATE, Instant::now());
    let base = beginning(scenario);
    let undisturbed = base.copy(&STRICT);
    let points = points(&undisturbed, scenario.arguments);
    let expected = world::outline(&undisturbed.dump());
    let points: Vec<usize> = points
        .iter()
        .filter_map(|point| match point {
            Point::Disk(at) => Some(*at),
            _ => None,
        })
        .collect();
    all(&points, |point| {
        let lab = base.copy(&STRICT);
        let (error, text) = ERRORS[point % ERRORS.len()];
        let ran = with_a_failing_disk(&lab, scenario.arguments, *point, error);
        let said = format!("{}{}", ran.out, ran.err);
        // What only tells people something, or tidies up, may fail without a word.
        if ran.code != 0 {
            assert!(ran.code == 1 || ran.code == 3, "exit {}\n{said}", ran.code);
            assert!(said.contains(text), "{said}");
        }
        // What was done is told, wherever the disk failed.
        if ran.code != 0 && !lab.changes().is_empty() {
            assert_eq!(ran.code, 3, "{said}");
            assert!(said.contains("openhands: ") && said.contains(" created, "), "{said}");
        }
        assert!(!said.contains("defect"), "{said}");
        assert!(!said.contains("no journal holds"), "{said}");
        let between = lab.dump();
        nothing_is_open(&between);
        let mut ran = vec![ran];
        ends_well(&lab, scenario, &expected, &mut ran);
        let secrets = [world::secrets(&between), world::secrets(&lab.dump())].concat();
        nothing_leaks(&lab, &ran, &secrets);
    });
    tell(&format!(
        "a failing disk: {} points in {:.0} s",
        points.len(),
        began.elapsed().as_secs_f64()
    ));
}
