//! A plan, a state and the events of a run, as renderers get them: the examples of `plans/` and
//! `state/` with secrets put where renderers must not show them.

use serde_json::json;

use super::applied::Told;
use super::drift::DriftView;
use super::graph::Graph;
use crate::model::address::Address;
use crate::model::change::{
    Acknowledged, Action, Change, Confidence, Drift, DriftKind, FieldChange, Phase, StepId,
};
use crate::model::error::{Exit, Report};
use crate::model::event::{Event, Failed, Waiting};
use crate::model::plan::{Plan, Requests, Summary};
use crate::model::resource::Location;
use crate::model::state::State;

/// Values that no renderer may show.
pub(super) const SECRETS: [&str; 4] =
    ["aHVudGVyMg==", "hunter2", "s3cr3t-api-token", "argon2id:9f86d081"];

/// The example of `plans/`, and what belongs to a Secret.
pub(super) fn plan() -> Plan {
    let mut plan: Plan = serde_json::from_str(include_str!("../../plans/example.json")).unwrap();
    let stack = plan.stacks.first_mut().unwrap();
    let marked = FieldChange {
        secret: true,
        ..FieldChange::new("env.TOKEN", Some(json!("old")), Some(json!("s3cr3t-api-token")))
    };
    let data = |value: &str| Some(json!({"kind": "Secret", "data": {"password": value}}));
    stack.changes.push(Change {
        address: Address::kubernetes("Secret", None, Some("openhands"), "login"),
        action: Action::Update,
        phase: Phase::Whole,
        id: Some("openhands/login".to_owned()),
        paths: vec![
            FieldChange::new("data.password", Some(json!("hunter2")), Some(json!("aHVudGVyMg=="))),
            marked,
        ],
        removed: Vec::new(),
        spec: data("aHVudGVyMg=="),
        before: data("hunter2"),
        unknown: Default::default(),
        interrupts: None,
        reason: None,
        confidence: Confidence::Compared,
        needs: Vec::new(),
        ground: String::new(),
        restart: Default::default(),
        moved_from: None,
        location: None,
    });
    plan
}

/// The example of `state/`.
pub(super) fn state() -> State {
    serde_json::from_str(include_str!("../../state/example.json")).unwrap()
}

/// What the events of that run told.
pub(super) fn told() -> Told {
    let mut told = Told::default();
    events().iter().for_each(|event| told.add(event));
    told
}

/// A look at that state that found as much as it can: with secrets, and with texts that would like
/// to be more than texts.
pub(super) fn view() -> DriftView {
    let plan = plan();
    let mut view = DriftView::of(&plan);
    let stack = || "openhands".to_owned();
    let address = Address::new("dns_record", "openhands");
    let by = Some("</pre><script>alert(1)</script> @team #123 `x`".to_owned());
    let hostile = FieldChange {
        by,
        since: Some("2026-11-21T19:02:11Z".to_owned()),
        ..FieldChange::new(
            "comment",
            Some(json!("ours")),
            Some(json!("```\n</details><img src=x onerror=alert(1)> | @team #123\n::error::x")),
        )
    };
    view.drift.push((
        stack(),
        Drift { address: address.clone(), kind: DriftKind::Foreign, paths: vec![hostile] },
    ));
    let secret = FieldChange::new("data.password", Some(json!("hunter2")), None);
    let login = Address::kubernetes("Secret", None, Some("openhands"), "login");
    let known = Drift { address: login, kind: DriftKind::Drifted, paths: vec![secret] };
    let said = Acknowledged {
        until: "2026-12-24".to_owned(),
        reason: "<b>until</b> the move, see #7".to_owned(),
        by: Some("ann".to_owned()),
    };
    view.acknowledged.push((stack(), known, said));
    view.project = plan.project.clone();
    view.at = "2026-11-22T10:15:30Z".parse().unwrap();
    view.elapsed_ms = 1_240;
    view.in_progress.push(("other".to_owned(), "`boxctl apply other` of ann".to_owned()));
    view.checks.push(
        Report::warning("exposed", "openhands.example.org is open to everyone: @team")
            .about(&Address::new("access_application", "openhands")),
    );
    let file = || "stacks/openhands.yaml".to_owned();
    view.places.insert((stack(), address), Location { file: file(), line: 11, column: 3 });
    view.graphs.push((stack(), Graph::of_state(&state())));
    view
}

/// A look that found that many resources changed, each in a long text, in stacks of a hundred; the
/// last of them is gone, and with it what guards a hostname.
pub(super) fn large_view(count: usize) -> DriftView {
    let mut view = DriftView { project: "large".to_owned(), ..DriftView::default() };
    for at in 0..count {
        let (stack, last) = (format!("stack{:02}", at / 100), at + 1 == count);
        let address = Address::new(
            if last { "access_application" } else { "dns_record" },
            format!("r{at:04}-{}", "名".repeat(20)),
        );
        let text = |end: &str| format!("{}\n{end}\n{}", "同じ\n".repeat(30), "x\n".repeat(30));
        let field = FieldChange {
            by: Some("ann@example.org".to_owned()),
            since: Some("2026-11-21T19:02:11Z".to_owned()),
            ..FieldChange::new("content", Some(json!(text("old"))), Some(json!(text("new"))))
        };
        let kind = if last { DriftKind::Missing } else { DriftKind::Drifted };
        let drift = Drift { address: address.clone(), kind, paths: vec![field] };
        if view.stacks.last() != Some(&stack) {
            view.stacks.push(stack.clone());
            view.graphs.push((stack.clone(), Graph::default()));
        }
        if let Some((_, graph)) = view.graphs.last_mut() {
            graph.nodes.insert(address.clone(), None);
            if let Some(before) = at.checked_sub(1).and_then(|before| view.drift.get(before)) {
                graph.edge(&address, &before.1.address.clone());
            }
        }
        let place = Location { file: format!("stacks/{stack}.yaml"), line: at + 1, column: 3 };
        view.places.insert((stack.clone(), address.clone()), place);
        view.drift.push((stack, drift));
        if last {
            let text = "last.example.org is open to everyone: its application was deleted";
            view.checks.push(Report::warning("exposed", text).about(&address));
        }
    }
    view
}

/// The events of a run in which one step fails and another waits for it.
pub(super) fn events() -> Vec<Event> {
    let stack = || "openhands".to_owned();
    let step =
        |kind: &str| StepId { address: Address::new(kind, "openhands"), phase: Phase::Whole };
    let (create, update) = (Action::Create, Action::Update);
    let failed = Report::error("updating access_application.openhands failed")
        .about(&Address::new("access_application", "openhands"))
        .at(Some(Location { file: "stacks/openhands.yaml".to_owned(), line: 13, column: 5 }))
        .cause(
            "Cloudflare PUT /accounts/a/access/apps/3f answered 403 (code 10000): \
                Authentication error [request 8f2c]",
        )
        .hint("give the token the permission `Access: Apps and Policies Edit`");
    vec![
        Event::Observing { stacks: vec![stack()] },
        Event::Observed { requests: Requests { cloudflare: 7, ssm: 2, kubernetes: 9 } },
        Event::ApplyStarted { stack: stack(), steps: 4 },
        Event::StepStarted { stack: stack(), step: step("tunnel"), action: create },
        Event::StepStarted { stack: stack(), step: step("access_application"), action: update },
        Event::Retrying {
            operation: "Cloudflare POST /accounts/a/access/apps".to_owned(),
            status: Some(403),
            reason: "Access refuses valid tokens too while it is busy".to_owned(),
            pause_ms: 1_200,
        },
        Event::StepWaiting {
            stack: stack(),
            step: step("access_application"),
            reason: "Cloudflare takes requests again in 4s".to_owned(),
        },
        Event::StepDone {
            stack: stack(),
            step: step("tunnel"),
            action: create,
            id: Some("c1744f8b-faa1-48a4-9e5c-02ac921467fa".to_owned()),
            elapsed_ms: 1_240,
        },
        Event::StepStarted { stack: stack(), step: step("ssm_parameter"), action: update },
        Event::StepFailed {
            stack: stack(),
            step: step("access_application"),
            report: Box::new(failed),
            elapsed_ms: 4_310,
        },
        Event::StepSkipped {
            stack: stack(),
            step: step("dns_record"),
            action: update,
            waits_for: vec![step("access_application"), step("tunnel_config")],
        },
        Event::Stopping,
        Event::StepDone {
            stack: stack(),
            step: step("ssm_parameter"),
            action: update,
            id: None,
            elapsed_ms: 300,
        },
        Event::Told { report: Box::new(Report::warning("two-owners", "Argo CD tracks 3 objects")) },
        Event::ApplyEnded {
            stack: stack(),
            done: Summary { create: 1, update: 1, ..Summary::default() },
            failed: vec![Failed {
                step: step("access_application"),
                why: "Cloudflare PUT /accounts/a/access/apps/3f answered 403 (code 10000): \
                      Authentication error [request 8f2c]"
                    .to_owned(),
            }],
            waiting: vec![Waiting {
                step: step("dns_record"),
                waits_for: vec![step("access_application"), step("tunnel_config")],
            }],
            lost: 0,
            serial: 5,
            exit: Exit::Partial,
            elapsed_ms: 6_000,
            requests: Requests { cloudflare: 12, ssm: 4, kubernetes: 9 },
        },
    ]
}
