//! Stacks that are made up, and what is done to them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::lab::Lab;

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Which of its hostnames it has.
    pub host: u8,
    pub port: u8,
    /// Who may come in, and for how many hours; None: everybody.
    pub guard: Option<(u8, u8)>,
    /// Where its tunnel's token is kept.
    pub token: Option<u8>,
}

/// A stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub services: BTreeMap<u8, Service>,
    pub notes: BTreeMap<u8, u8>,
    pub parameters: BTreeMap<u8, u8>,
    pub records: BTreeMap<u8, u8>,
}

/// What is done to one thing of it: set anew, or taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    Service(u8, Option<Service>),
    Note(u8, Option<u8>),
    Parameter(u8, Option<u8>),
    Record(u8, Option<u8>),
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Which calls go wrong, and how.
    pub seed: u64,
    /// How many of them, in percent.
    pub share: u8,
    /// What is done, each followed by an apply.
    pub edits: Vec<Edit>,
}

pub fn hostname(service: u8, host: u8) -> String {
    format!("s{service}-{host}.b0xp.io")
}

fn service() -> impl Strategy<Value = Service> {
    let guard = proptest::option::weighted(0.8, (0..3_u8, 1..3_u8));
    let token = proptest::option::weighted(0.7, 0..2_u8);
    (0..2_u8, 0..3_u8, guard, token).prop_map(|(host, port, guard, token)| Service {
        host,
        port,
        guard,
        token,
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    let some = |value| proptest::option::weighted(0.75, value);
    prop_oneof![
        5 => (0..2_u8, proptest::option::weighted(0.8, service())).prop_map(|(at, to)| Edit::Service(at, to)),
        1 => (0..2_u8, some(0..3_u8)).prop_map(|(at, to)| Edit::Note(at, to)),
        1 => (0..2_u8, some(0..3_u8)).prop_map(|(at, to)| Edit::Parameter(at, to)),
        1 => (0..2_u8, some(0..3_u8)).prop_map(|(at, to)| Edit::Record(at, to)),
    ]
}

pub fn case() -> impl Strategy<Value = Case> {
    (any::<u64>(), 5..=30_u8, proptest::collection::vec(edit(), 2..=8))
        .prop_map(|(seed, share, edits)| Case { seed, share, edits })
}

impl Model {
    pub fn take(&mut self, edit: &Edit) {
        fn set<T: Clone>(map: &mut BTreeMap<u8, T>, at: u8, to: &Option<T>) {
            match to {
                Some(value) => drop(map.insert(at, value.clone())),
                None => drop(map.remove(&at)),
            }
        }
        match edit {
            Edit::Service(at, to) => set(&mut self.services, *at, to),
            Edit::Note(at, to) => set(&mut self.notes, *at, to),
            Edit::Parameter(at, to) => set(&mut self.parameters, *at, to),
            Edit::Record(at, to) => set(&mut self.records, *at, to),
        }
    }

    /// The hostnames that may be open to everyone.
    pub fn public(&self) -> impl Iterator<Item = String> {
        let open = self.services.iter().filter(|(_, service)| service.guard.is_none());
        open.map(|(name, service)| hostname(*name, service.host))
    }

    /// Writes the stack and its manifests.
    pub fn write(&self, lab: &Lab) {
        let mut stack = String::from("manifests: [../manifests]\n");
        if !self.services.is_empty() {
            stack.push_str("services:\n");
        }
        for (name, service) in &self.services {
            let Service { host, port, guard, token } = service;
            stack.push_str(&format!(
                "  s{name}:\n    hostname: {}\n    origin: http://s{name}.lab.svc.cluster.local:808{port}\n",
                hostname(*name, *host)
            ));
            if let Some(token) = token {
                stack
                    .push_str(&format!("    tunnel: {{token_parameter: s{name}-token-{token}}}\n"));
            }
            match guard {
                Some((who, hours)) => stack.push_str(&format!(
                    "    access: {{session_duration: {hours}h, allow: [{{email: u{who}@example.org}}]}}\n"
                )),
                None => stack.push_str("    access: public\n"),
            }
        }
        if !self.parameters.is_empty() || !self.records.is_empty() {
            stack.push_str("resources:\n");
        }
        for (name, value) in &self.parameters {
            stack.push_str(&format!(
                "  ssm_parameter.p{name}: {{name: /lab/p{name}, description: number {value}, value: {{generate: {{length: 24}}}}}}\n"
            ));
        }
        for (name, value) in &self.records {
            stack.push_str(&format!(
                "  dns_record.r{name}: {{name: r{name}, type: A, content: 192.0.2.{value}, zone: b0xp.io}}\n"
            ));
        }
        lab.write("stacks/lab.yaml", &stack);
        let mut objects = String::from("apiVersion: v1\nkind: Namespace\nmetadata: {name: lab}\n");
        for (name, value) in &self.notes {
            objects.push_str(&format!(
                "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{name}, namespace: lab}}\ndata: {{value: \"{value}\"}}\n"
            ));
        }
        lab.write("manifests/lab.yaml", &objects);
    }
}

/// The rules by which calls go wrong.
pub fn faults(case: &Case, run: usize) -> String {
    // What goes wrong is told to each rule by a seed of its own.
    let rules = [
        "status: 429, headers: {retry-after: '0'}",
        "status: 429, headers: {retry-after: '', ratelimit: '\"default\";r=0;t=0'}",
        "status: 503",
        "status: 500, effect: true, mutating: true",
        "status: 502, body: '<html>Bad gateway</html>', effect: true, mutating: true",
        "status: 200, body: '<html>Welcome</html>'",
        "status: 200, body: '', effect: true, mutating: true",
        "drop: before",
        "drop: after, mutating: true",
        "drop: after, reset: true, mutating: true",
        "truncate: true",
        "late: 7, mutating: true",
        "late: 60, mutating: true",
        "delay_ms: 350, mutating: true",
        "lag: true, method: GET, path: '^/client/v4/.*(dns_records|cfd_tunnel|access/apps|access/policies)$'",
        "status: 403, path: '*/access/*', body: {success: false, result: null, messages: [], errors: [{code: 10000, message: Authentication error}]}",
    ];
    let chance = f64::from(case.share) / 100.0 / rules.len() as f64;
    let mut text = String::new();
    for (at, rule) in rules.iter().enumerate() {
        // A rule for some calls only hits them as often as one for all.
        let chance =
            if rule.contains("mutating") || rule.contains("path") { chance * 2.0 } else { chance };
        let seed = (case.seed >> 1) ^ ((run as u64) << 32) ^ at as u64;
        text.push_str(&format!("- {{{rule}, chance: {chance:.4}, seed: {seed}}}\n"));
    }
    text
}
