//! APIs that fail in every way, up to 30 calls of 100: each run ends well or says what is wrong,
//! and when the faults stop, one apply settles it all.

mod model;

use std::time::Instant;

use proptest::prelude::Rng;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::kill::world;
use crate::lab::{Lab, Ran, tell};
use model::{Case, Model, case, faults};

/// How many runners there are side by side: they wait most of the time.
const AT_ONCE: usize = 4;
const STRICT: [&str; 2] = ["--journal", "state/lab.journal"];
/// All is allowed that a person would be asked about.
const APPLY: [&str; 13] = [
    "apply",
    "--yes",
    "--allow-large",
    "--allow-protected",
    "**",
    "--allow-public",
    "s0-0.b0xp.io",
    "--allow-public",
    "s0-1.b0xp.io",
    "--allow-public",
    "s1-0.b0xp.io",
    "--allow-public",
    "s1-1.b0xp.io",
];

fn empty() -> Lab {
    let lab = Lab::hasty("several", &[]);
    for file in std::fs::read_dir(lab.path().join("stacks")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    std::fs::remove_file(lab.path().join("manifests/shop.yaml")).unwrap();
    lab.edit("boxctl.yaml", "values:\n  shop: {replicas: \"2\"}\n", "");
    lab
}

/// Plays a sequence, and tells what is wrong.
fn play(base: &Lab, case: &Case) -> Result<(), String> {
    let mut lab = base.copy(&[]);
    let mut model = Model::default();
    let mut ran: Vec<Ran> = Vec::new();
    let mut public: Vec<String> = Vec::new();
    let mut secrets: Vec<String> = Vec::new();
    let fail = |at: usize, ran: &Ran, why: &str| {
        Err(format!("run {at}: {why}: exit {}\n{}\n{}", ran.code, ran.out, ran.err))
    };
    for (at, edit) in case.edits.iter().enumerate() {
        model.take(edit);
        model.write(&lab);
        public.extend(model.public());
        lab.write("faults.yaml", &faults(case, at));
        lab.restart(&[&STRICT[..], &["--faults", "faults.yaml"]].concat());
        let run = lab.run(&APPLY);
        let told = [&run.out, &run.err].iter().any(|text| text.contains("error"));
        let clear = told && matches!(run.code, 1 | 3 | 5);
        if run.err.contains("panicked") || (run.code != 0 && !clear) {
            return fail(at, &run, "it ended neither well nor with a clear error");
        }
        let dump = lab.dump();
        secrets.extend(world::secrets(&dump));
        let open = world::unguarded(&dump);
        let meant = |name: &String| public.contains(name) || name.starts_with('r');
        if !open.iter().all(meant) {
            return fail(at, &run, &format!("open without a guard: {open:?}"));
        }
        ran.push(run);
    }
    lab.restart(&STRICT);
    let last = lab.run(&APPLY);
    if last.code != 0 {
        return fail(case.edits.len(), &last, "without faults, it did not end well");
    }
    let plan = lab.run(&["plan", "--detailed-exitcode"]);
    if plan.code != 0 {
        return fail(case.edits.len(), &plan, "the plan after it is not empty");
    }
    let fresh = base.copy(&[]);
    model.write(&fresh);
    let made = fresh.run(&APPLY);
    if made.code != 0 {
        return fail(case.edits.len(), &made, "in a fresh world, it did not end well");
    }
    let (found, expected) = (world::outline(&lab.dump()), world::outline(&fresh.dump()));
    if found != expected {
        let text = crate::kill::difference(&expected, &found);
        return fail(case.edits.len(), &last, &format!("the world is another one:\n{text}"));
    }
    ran.extend([last, plan]);
    crate::kill::nothing_leaks(&lab, &ran, &secrets);
    Ok(())
}

/// Plays generated sequences; a failing one is made as short as it can be.
fn sequences(count: u32, seed: u64) {
    let began = Instant::now();
    tell(&format!("{count} sequences of faults, seed {seed}"));
    let base = empty();
    let run = |part: usize| -> Result<(), String> {
        let config = Config {
            cases: count / AT_ONCE as u32,
            failure_persistence: None,
            max_shrink_iters: number("BOXCTL_FAULTS_SHRINK").unwrap_or(40),
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        bytes[8] = part as u8;
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let ended = runner.run(&case(), |case| {
            play(&base, &case).map_err(|why| {
                let text = serde_json::to_string(&case).unwrap();
                TestCaseError::fail(format!(
                    "{why}\nseed {seed}; to repeat it:\nBOXCTL_FAULTS='{text}' cargo test --test it \
                     faults::a_given_sequence -- --ignored --nocapture\n"
                ))
            })
        });
        ended.map_err(|error| error.to_string())
    };
    let failed: Vec<String> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..AT_ONCE).map(|part| scope.spawn(move || run(part))).collect();
        parts.into_iter().filter_map(|part| part.join().unwrap().err()).collect()
    });
    tell(&format!("{count} sequences of faults in {:.0} s", began.elapsed().as_secs_f64()));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn seed() -> u64 {
    match std::env::var("BOXCTL_FAULTS_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => TestRng::from_seed(RngAlgorithm::ChaCha, &entropy()).next_u64(),
    }
}

fn number(name: &str) -> Option<u32> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes);
    bytes
}

#[test]
fn whatever_goes_wrong_one_apply_settles_it_afterwards() {
    if crate::kill::is_moto() {
        return;
    }
    sequences(number("BOXCTL_FAULTS_COUNT").unwrap_or(200), seed());
}

#[test]
#[ignore = "an hour: ten times as many"]
fn whatever_goes_wrong_one_apply_settles_it_afterwards_at_length() {
    sequences(2_000, seed());
}

#[test]
#[ignore = "plays what BOXCTL_FAULTS says"]
fn a_given_sequence() {
    let case: Case = serde_json::from_str(&std::env::var("BOXCTL_FAULTS").unwrap()).unwrap();
    let ended = play(&empty(), &case);
    assert_eq!(ended, Ok(()), "{}", ended.as_ref().err().unwrap());
}
