//! After an apply that succeeds the next plan is empty (P1): any valid resource of every kind,
//! written in any spelling, answered in every form that the contract knows (`rules.rs`) and in
//! forms that no table knows (`--mangle`); and what was applied is taken over again without a
//! change when the state is lost. The pipeline runs in this process, out of files.
//!
//! `PROPTEST_CASES` raises the number of cases, `PROPTEST_RNG_SEED` repeats those of a failure.

mod access;
mod forms;
mod objects;
mod objects_of_the_api;
mod parameters;
mod records;
mod rules;
mod soak;
mod spell;
mod tunnels;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use boxctl::kinds::KINDS;
use boxctl::model::change::Action;
use boxctl::model::plan::StackPlan;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use forms::How;
use rules::{Forms, Of, RULES};
use spell::Gen;
use world::World;

/// Resources of each kind, at least.
const CASES: usize = 500;

/// What makes resources of a kind.
struct Generator {
    kind: &'static str,
    /// What its answers show.
    of: &'static [Of],
    /// How many stand beside one another in a world.
    batch: usize,
    /// How often they are changed into others.
    rounds: usize,
    /// What they refer to.
    beside: fn() -> Value,
    /// One, given its place.
    spec: fn(usize) -> Gen,
}

const GENERATORS: &[Generator] = &[
    Generator {
        kind: "cloudflare_object",
        of: &[],
        batch: 20,
        rounds: 2,
        beside: nothing,
        spec: objects_of_the_api::object,
    },
    Generator {
        kind: "tunnel",
        of: &[Of::Tunnel],
        batch: 25,
        rounds: 2,
        beside: nothing,
        spec: tunnels::tunnel,
    },
    Generator {
        kind: "tunnel_config",
        of: &[Of::Config],
        batch: 10,
        rounds: 3,
        beside: || tunnels_named(10),
        spec: tunnels::config,
    },
    Generator {
        kind: "tunnel_route",
        of: &[Of::Route],
        batch: 25,
        rounds: 2,
        beside: || tunnels_named(1),
        spec: tunnels::route,
    },
    Generator {
        kind: "hostname_route",
        of: &[Of::HostnameRoute],
        batch: 25,
        rounds: 2,
        beside: || tunnels_named(2),
        spec: tunnels::hostname_route,
    },
    Generator {
        kind: "split_tunnel",
        of: &[Of::Profile],
        batch: 1,
        rounds: 25,
        beside: nothing,
        spec: tunnels::split_tunnel,
    },
    Generator {
        kind: "dns_record",
        of: &[Of::Record],
        batch: 25,
        rounds: 1,
        beside: nothing,
        spec: records::record,
    },
    Generator {
        kind: "access_group",
        of: &[Of::Group],
        batch: 12,
        rounds: 2,
        beside: named_by_rules,
        spec: access::group,
    },
    Generator {
        kind: "access_policy",
        of: &[Of::Policy],
        batch: 12,
        rounds: 2,
        beside: named_by_rules,
        spec: access::policy,
    },
    Generator {
        kind: "access_application",
        of: &[Of::App],
        batch: 20,
        rounds: 1,
        beside: policies,
        spec: access::application,
    },
    Generator {
        kind: "access_application_policy",
        of: &[Of::Policy],
        batch: 12,
        rounds: 2,
        beside: applications,
        spec: access::application_policy,
    },
    Generator {
        kind: "service_token",
        of: &[Of::Token],
        batch: 25,
        rounds: 2,
        beside: nothing,
        spec: access::service_token,
    },
    Generator {
        kind: "ssm_parameter",
        of: &[Of::Parameter],
        batch: 20,
        rounds: 1,
        beside: || tunnels_named(1),
        spec: parameters::parameter,
    },
];

fn nothing() -> Value {
    json!({})
}

fn tunnels_named(count: usize) -> Value {
    (0..count).map(|at| (format!("tunnel.t{at}"), json!({"name": format!("t{at}")}))).collect()
}

fn named_by_rules() -> Value {
    json!({
        "access_group.staff": {"name": "staff", "include": [{"email_domain": "example.org"}]},
        "service_token.machine": {"name": "machine"},
    })
}

fn policies() -> Value {
    let policy =
        |name: &str| json!({"name": name, "decision": "allow", "include": [{"email": "a@b.c"}]});
    ["one", "two", "three"]
        .map(|name| (format!("access_policy.{name}"), policy(name)))
        .into_iter()
        .collect()
}

fn applications() -> Value {
    let mut out = named_by_rules();
    for at in 0..6 {
        out[format!("access_application.host{at}")] =
            json!({"name": format!("host {at}"), "domain": format!("host{at}.b0xp.io")});
    }
    out
}

/// A number from the environment.
fn said(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn cases() -> usize {
    let said = said("PROPTEST_CASES").and_then(|cases| cases.try_into().ok());
    CASES.max(said.unwrap_or_default())
}

/// What a test has to know when it fails.
struct Case<'a> {
    seed: u64,
    resources: &'a Map<String, Value>,
}

impl Case<'_> {
    /// The plan has nothing to do.
    fn is_settled(&self, plan: &StackPlan, when: &str) {
        let changes = plan
            .changes
            .iter()
            .map(|change| (change.address.to_string(), format!("{:#?}", change.paths)));
        let drift =
            plan.drift.iter().map(|drift| (drift.address.to_string(), format!("{drift:#?}")));
        self.is_fine(plan, changes.chain(drift).collect(), when);
    }

    /// The plan takes over what there is and changes nothing; what can't be read is written.
    fn is_taken_over(&self, plan: &StackPlan, when: &str) {
        let differs = plan.changes.iter().filter(|change| {
            change.action != Action::Adopt || change.paths.iter().any(|path| !path.secret)
        });
        let found = differs.map(|change| {
            let text = format!("{:?} {:#?}", change.action, change.paths);
            (change.address.to_string(), text)
        });
        self.is_fine(plan, found.collect(), when);
        assert_eq!(plan.changes.len(), self.resources.len(), "{when}, seed {}", self.seed);
    }

    fn is_fine(&self, plan: &StackPlan, found: Vec<(String, String)>, when: &str) {
        let seed = self.seed;
        let refusals: Vec<_> = plan.refusals().collect();
        let about =
            refusals.iter().filter_map(|report| report.address.as_ref()).map(ToString::to_string);
        let addresses: BTreeSet<String> =
            found.iter().map(|(address, _)| address.clone()).chain(about).collect();
        let specs: BTreeMap<_, _> =
            addresses.iter().map(|address| (address, self.resources.get(address))).collect();
        let texts: Vec<_> =
            found.iter().map(|(address, text)| format!("{address}: {text}")).collect();
        assert!(
            refusals.is_empty() && found.is_empty(),
            "{when}, PROPTEST_RNG_SEED={seed}\n{refusals:#?}\n{}\nof {specs:#?}",
            texts.join("\n")
        );
    }
}

fn default_network(world: &World) -> String {
    let served = world.served.lock().unwrap();
    let networks = &served.cloudflare.networks.virtual_networks;
    networks.iter().find(|network| network.name == "default").unwrap().id.clone()
}

/// Applies one round after the other, and looks at each in all forms.
async fn play(
    generator: &Generator,
    rounds: &[Vec<Value>],
    seed: u64,
) -> BTreeMap<&'static str, usize> {
    let mut fired = BTreeMap::new();
    // The sandbox's own forms, and forms that no table knows.
    for mangle in [None, Some(seed)] {
        let mut world = World::new(mangle).await;
        let network = default_network(&world);
        let mut forms = seed;
        for specs in rounds {
            let mut resources = (generator.beside)().as_object().unwrap().clone();
            let generated = specs.iter().enumerate();
            resources.extend(
                generated.map(|(at, spec)| (format!("{}.g{at}", generator.kind), spec.clone())),
            );
            world.write(&resources);
            if world.pipeline.state.is_none() {
                parameters::prepare(&world, &resources);
            }
            let case = Case { seed, resources: &resources };
            let mut answer_in = |world: &World, how| {
                forms = forms.wrapping_add(1);
                let before = world.answer_in(Some(Forms::new(forms, how, &network)));
                before.into_iter().flat_map(|forms| forms.fired).for_each(|(row, times)| {
                    *fired.entry(row).or_insert(0) += times;
                });
            };
            let plan = world.run(true, false).await;
            case.is_fine(&plan, Vec::new(), "the apply");
            answer_in(&world, How::All);
            case.is_settled(&world.run(false, false).await, "answered in other forms");
            // Only known forms can be told to be the same by who has no record of them.
            if mangle.is_none() {
                world.pipeline.state = None;
                case.is_taken_over(&world.run(true, true).await, "taken over");
                answer_in(&world, How::Some);
                case.is_settled(&world.run(false, false).await, "after it was taken over");
            }
            answer_in(&world, How::Some);
        }
    }
    fired
}

/// What makes cases, with the seed that makes the same ones again.
fn runner() -> (u64, TestRunner) {
    let seed = said("PROPTEST_RNG_SEED").unwrap_or_else(rand::random);
    let bytes: Vec<u8> = seed.to_be_bytes().repeat(4);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    (seed, TestRunner::new_with_rng(Config::default(), rng))
}

/// At least as many resources of the kind as there are to be, in as many worlds as that takes.
fn settle(kind: &str) {
    // These run in one process, without moto.
    if crate::kill::is_moto() {
        return;
    }
    let generator = GENERATORS.iter().find(|generator| generator.kind == kind).unwrap();
    let (seed, mut runner) = runner();
    let batch: Vec<Gen> = (0..generator.batch).map(generator.spec).collect();
    let strategy = vec![batch; generator.rounds];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut fired: BTreeMap<&str, usize> = BTreeMap::new();
    let mut done = 0;
    while done < cases() {
        let rounds = strategy.new_tree(&mut runner).unwrap().current();
        for (row, times) in runtime.block_on(play(generator, &rounds, seed)) {
            *fired.entry(row).or_default() += times;
        }
        done += generator.batch * generator.rounds;
    }
    let rows = RULES.iter().filter(|rule| generator.of.contains(&rule.of)).map(|rule| rule.row);
    let idle: Vec<&str> = rows.filter(|row| !fired.contains_key(row)).collect();
    assert!(idle.is_empty(), "rules that changed no answer: {idle:#?}");
}

#[test]
fn every_kind_has_a_generator_and_every_rule_a_kind() {
    let kinds: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name()).collect();
    let generated: BTreeSet<&str> =
        GENERATORS.iter().map(|generator| generator.kind).chain([objects::KIND]).collect();
    assert_eq!(kinds, generated);
    for rule in RULES {
        assert!(GENERATORS.iter().any(|generator| generator.of.contains(&rule.of)), "{}", rule.row);
    }
}

macro_rules! settles {
    ($($test:ident: $kind:literal,)*) => {
        $(#[test] fn $test() { settle($kind); })*

        #[test]
        fn every_generator_is_run() {
            let run = [$($kind),*];
            assert!(GENERATORS.iter().all(|generator| run.contains(&generator.kind)));
        }
    };
}

settles! {
    objects_without_a_kind_settle: "cloudflare_object",
    tunnels_settle: "tunnel",
    configurations_settle: "tunnel_config",
    routes_settle: "tunnel_route",
    hostname_routes_settle: "hostname_route",
    the_split_tunnel_settles: "split_tunnel",
    records_settle: "dns_record",
    groups_settle: "access_group",
    policies_settle: "access_policy",
    applications_settle: "access_application",
    policies_of_applications_settle: "access_application_policy",
    service_tokens_settle: "service_token",
    parameters_settle: "ssm_parameter",
}
