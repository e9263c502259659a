//! A drift of many resources, as a look would find it.

use boxctl::model::address::Address;
use boxctl::model::change::{Action, Drift, DriftKind, FieldChange};
use boxctl::model::error::Report;
use boxctl::model::plan::Requests;
use boxctl::render::drift::DriftView;
use boxctl::render::graph::Graph;
use serde_json::{Value, json};

/// How many resources a stack has.
const STACK: usize = 100;

/// A look at so many resources, all of which drifted: most of them were changed, some in texts of
/// many lines, every tenth is gone or has something beside it, the last one guarded a hostname.
pub fn view(count: usize) -> DriftView {
    let mut view = DriftView {
        project: "large".to_owned(),
        at: "2026-11-22T10:15:30Z".parse().unwrap(),
        elapsed_ms: 12_340,
        requests: Requests { cloudflare: 211, ssm: 5, kubernetes: 40 },
        ..DriftView::default()
    };
    for at in 0..count {
        let (stack, last) = (format!("stack{:02}", at / STACK), at + 1 == count);
        if view.stacks.last() != Some(&stack) {
            view.stacks.push(stack.clone());
            view.graphs.push((stack.clone(), Graph::default()));
            let new = Address::new("dns_record", format!("{stack}-new"));
            view.pending.push((stack.clone(), new, Action::Create));
        }
        let address = address(at, last);
        if let Some((_, graph)) = view.graphs.last_mut() {
            graph.nodes.insert(address.clone(), None);
            for need in [at.saturating_sub(1), at.saturating_sub(7)] {
                graph.edge(&address, &self::address(need, false));
            }
        }
        if last {
            let text = "last.example.org is open to everyone: its application was deleted";
            view.checks.push(Report::warning("exposed", text).about(&address));
        }
        view.drift.push((stack, drift(at, address, last)));
    }
    view
}

fn address(at: usize, last: bool) -> Address {
    match at % 4 {
        _ if last => Address::new("access_application", "last"),
        0 => {
            Address::kubernetes("ConfigMap", None, Some("openhands"), &format!("settings-{at:04}"))
        }
        1 => Address::new("tunnel_config", format!("service-{at:04}")),
        2 => Address::new("dns_record", format!("サービス-{at:04}")),
        _ => Address::new("access_policy", format!("policy-for-service-{at:04}")),
    }
}

fn drift(at: usize, address: Address, last: bool) -> Drift {
    let by = |field: FieldChange| FieldChange {
        by: Some("ann@example.org".to_owned()),
        since: Some("2026-11-21T19:02:11Z".to_owned()),
        ..field
    };
    let both = |path: &str, before: Value, after: Value| {
        by(FieldChange::new(path, Some(before), Some(after)))
    };
    let text = |debug: bool| {
        let section =
            |n: usize| format!("[section.{n}]\nworkspace = \"/opt/{n}\"\ndebug = {debug}\n");
        (0..8).map(section).collect::<String>()
    };
    let (kind, paths) = match at % 10 {
        _ if last => (DriftKind::Missing, vec![FieldChange::new("id", Some(json!("3f2a")), None)]),
        3 => (DriftKind::Missing, vec![FieldChange::new("id", Some(json!("3f2a")), None)]),
        7 => (
            DriftKind::Foreign,
            vec![by(FieldChange::new("policies[1]", None, Some(json!({"name": "everyone"}))))],
        ),
        n if n % 2 == 0 => (
            DriftKind::Drifted,
            vec![
                both("data[\"config.toml\"]", json!(text(false)), json!(text(true))),
                both("metadata.labels.app", json!("openhands"), json!("open-hands")),
            ],
        ),
        _ => (
            DriftKind::Drifted,
            vec![both(
                "ingress[0].service",
                json!("http://openhands-service.openhands.svc.cluster.local:80"),
                json!("http://openhands-service.elsewhere.svc.cluster.local:8080"),
            )],
        ),
    };
    Drift { address, kind, paths }
}
