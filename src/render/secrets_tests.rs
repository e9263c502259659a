//! No secret is shown, wherever it stands and whatever is written (P4).

use proptest::prelude::*;
use serde_json::json;

use super::applied::Applied;
use super::drift::{self, DriftView};
use super::prometheus::{self, Run};
use super::{RenderOptions, annotations, human, json, markdown, page, samples};
use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::{Acknowledged, Drift, DriftKind, FieldChange};
use crate::model::error::Exit;
use crate::model::secret::SecretId;
use crate::model::value::Special;

/// What stands for a secret here: with all that reports take to pieces or escape.
const SECRET: &str = "hunter2-<&>-s3cr3t";

/// A resource and a path of it where a secret can stand, and whether the difference is marked as one.
fn place() -> impl Strategy<Value = (Address, String, bool)> {
    let secret = || Address::kubernetes("Secret", None, Some("app"), "login");
    let map = || Address::kubernetes("ConfigMap", None, Some("app"), "settings");
    let parameter = || Address::new("ssm_parameter", "app");
    let annotation = "metadata.annotations[\"kubectl.kubernetes.io/last-applied-configuration\"]";
    prop::sample::select(vec![
        (secret(), "data.password".to_owned(), false),
        (secret(), "data[\"a.b\"]".to_owned(), false),
        (secret(), "stringData".to_owned(), false),
        (secret(), annotation.to_owned(), false),
        (map(), annotation.to_owned(), false),
        (map(), "data.password".to_owned(), true),
        (parameter(), "value".to_owned(), false),
        (parameter(), "tags.token".to_owned(), true),
        (Address::new("tunnel", "app"), "secret".to_owned(), true),
    ])
}

/// A value that holds the secret.
fn value() -> impl Strategy<Value = Json> {
    prop::sample::select(vec![
        json!(SECRET),
        json!(format!("first\n{SECRET}\nlast\n")),
        json!({"key": SECRET, "more": [SECRET, {"deep": SECRET}]}),
        json!([format!("x{SECRET}y")]),
        Special::secret(SecretId::variable("password"), Some(SECRET.into())),
    ])
}

fn field() -> impl Strategy<Value = (Address, FieldChange)> {
    (place(), prop::option::of(value()), prop::option::of(value())).prop_map(
        |((address, path, secret), before, after)| {
            (address, FieldChange { secret, ..FieldChange::new(path, before, after) })
        },
    )
}

fn all(fields: &[(Address, FieldChange)]) -> Vec<String> {
    let drift = |(address, field): &(Address, FieldChange)| Drift {
        address: address.clone(),
        kind: DriftKind::Drifted,
        paths: vec![field.clone()],
    };
    let stack = || "app".to_owned();
    let found: Vec<(String, Drift)> = fields.iter().map(|one| (stack(), drift(one))).collect();
    let said =
        Acknowledged { until: "2027-01-31".to_owned(), reason: "known".to_owned(), by: None };
    let known = found.iter().map(|(stack, one)| (stack.clone(), one.clone(), said.clone()));
    let view = DriftView {
        stacks: vec![stack()],
        acknowledged: known.collect(),
        drift: found,
        ..DriftView::default()
    };
    let mut plan = samples::plan();
    let first = plan.stacks[0].changes[0].clone();
    plan.stacks[0].drift = fields.iter().map(drift).collect();
    plan.stacks[0].changes = fields
        .iter()
        .map(|(address, field)| crate::model::change::Change {
            address: address.clone(),
            action: crate::model::change::Action::Update,
            paths: vec![field.clone()],
            ..first.clone()
        })
        .collect();
    let told = samples::told();
    let applied = Applied { plan: &plan, told: &told, exit: Exit::Partial, stopped: &[] };
    let options = RenderOptions { verbose: true, ..RenderOptions::default() };
    let root = std::path::Path::new("");
    let run = Run {
        project: "app",
        at: jiff::Timestamp::UNIX_EPOCH,
        elapsed_ms: 0,
        found: Some(&view),
        before: None,
    };
    vec![
        drift::text(&view, &options),
        drift::json(&view).to_string(),
        human::plan(&plan, &options),
        json::plan(&plan).to_string(),
        markdown::drift(&view),
        markdown::plan(&plan),
        markdown::applied(&applied),
        page::drift(&view),
        page::plan(&plan),
        page::applied(&applied),
        annotations::drift(&view, root),
        annotations::plan(&plan, root),
        annotations::applied(&applied, root),
        prometheus::file(&run),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]
    #[test]
    fn no_report_shows_a_secret(fields in prop::collection::vec(field(), 1..6)) {
        for text in all(&fields) {
            for part in ["hunter2", "s3cr3t"] {
                prop_assert!(!text.contains(part), "{}", text);
            }
        }
    }
}
