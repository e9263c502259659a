//! Whether things work, for people and machines.

use serde_json::json;

use super::RenderOptions;
use super::human::requests_line;
use super::json::report as report_json;
use super::reports::report;
use super::text::{Palette, clean, columns, count, hanging, paint};
use crate::model::Json;
use crate::model::error::Report;
use crate::model::plan::Requests;
use crate::model::status::{Elsewhere, Health, Standing, Status};

/// What `status` found.
#[derive(Clone, Debug, Default)]
pub struct StatusView {
    /// The resources of each stack.
    pub stacks: Vec<(String, Vec<Status>)>,
    /// What else there is to tell.
    pub checks: Vec<Report>,
    /// What it cost.
    pub requests: Requests,
}

impl StatusView {
    /// Whether every resource works.
    pub fn works(&self) -> bool {
        self.stacks.iter().flat_map(|(_, all)| all).all(|one| one.health == Health::Works)
    }
}

/// What was found, as text: what works is only counted, unless more is asked for.
pub fn text(view: &StatusView, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let mut out = String::new();
    for (stack, all) in &view.stacks {
        let working = all.iter().filter(|one| one.health == Health::Works).count();
        let name = paint(palette.bold, format!("Stack {}", clean(stack)));
        let of = count(all.len() as u64, "resource");
        out.push_str(&format!("{name}: {working} of {of} work\n"));
        let is_shown = |one: &&Status| {
            options.verbose || one.health != Health::Works || one.elsewhere.is_some()
        };
        all.iter().filter(is_shown).for_each(|one| out.push_str(&line(one, options)));
    }
    for check in &view.checks {
        out.push('\n');
        out.push_str(&report(check, options));
    }
    let verdict = match (view.stacks.is_empty(), view.works()) {
        (true, _) => "There is no stack.",
        (_, true) => "Everything works.",
        (_, false) => "Not everything works.",
    };
    out.push_str(&format!("{}\n", paint(palette.bold, verdict)));
    out.push_str(&requests_line(view.requests));
    out
}

fn line(one: &Status, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let (word, style) = match one.health {
        Health::Works => ("works", palette.add),
        Health::Waiting => ("waiting", palette.change),
        Health::Failed => ("failed", palette.remove),
        Health::Missing => ("missing", palette.remove),
        Health::Going => ("going", palette.change),
        Health::Unreadable => ("unreadable", palette.remove),
    };
    let mut tail: Vec<String> = one.reason.iter().map(|reason| clean(reason)).collect();
    if let Some(elsewhere) = &one.elsewhere {
        let by = &elsewhere.applied_by;
        match elsewhere.standing {
            Standing::InSync => tail.push(format!("applied by {by}, in sync")),
            Standing::Differs => {
                tail.push(format!("applied by {by}, differs: {}", differing(elsewhere)));
            }
            Standing::Missing | Standing::Going | Standing::Unreadable => {}
        }
    }
    row(word, paint(style, format!("{word:<10}")), &one.address.to_string(), &tail, options)
}

/// The line of an object that another tool applies.
pub(super) fn standing(one: &Elsewhere, options: &RenderOptions) -> String {
    let (word, tail) = match one.standing {
        Standing::InSync => ("in sync", None),
        Standing::Differs => ("differs", Some(differing(one))),
        Standing::Missing => ("missing", Some(format!("{} has not made it", one.applied_by))),
        Standing::Going => ("going", None),
        Standing::Unreadable => ("unreadable", one.reason.as_ref().map(|reason| clean(reason))),
    };
    let tail: Vec<String> = tail.into_iter().collect();
    row(word, format!("{word:<10}"), &one.address.to_string(), &tail, options)
}

fn row(
    word: &str,
    painted: String,
    address: &str,
    tail: &[String],
    options: &RenderOptions,
) -> String {
    let mut out = format!("    {painted} {address}\n");
    if !tail.is_empty() {
        let head = " ".repeat(5 + word.len().max(10));
        out.push_str(&hanging(&head, &head, &tail.join("; "), columns(options)));
    }
    out
}

/// The paths that differ, the first few.
fn differing(one: &Elsewhere) -> String {
    const FEW: usize = 3;
    let mut paths: Vec<String> = one.differs.iter().take(FEW).map(|path| clean(path)).collect();
    if one.differs.len() > FEW {
        paths.push(format!("{} more", one.differs.len() - FEW));
    }
    paths.join(", ")
}

/// `status --json`.
pub fn json(view: &StatusView) -> Json {
    let resource = |one: &Status| {
        let mut out = json!({"address": one.address, "status": one.health, "reason": one.reason});
        if let (Some(elsewhere), Some(map)) = (&one.elsewhere, out.as_object_mut()) {
            map.insert("applied_by".to_owned(), json!(elsewhere.applied_by));
            map.insert("manifest".to_owned(), json!(elsewhere.standing));
            map.insert("differs".to_owned(), json!(elsewhere.differs));
        }
        out
    };
    let stacks: Vec<Json> = view
        .stacks
        .iter()
        .map(|(stack, all)| {
            json!({
                "stack": stack,
                "works": all.iter().all(|one| one.health == Health::Works),
                "resources": all.iter().map(resource).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "format_version": super::json::FORMAT_VERSION,
        "works": view.works(),
        "stacks": stacks,
        "checks": view.checks.iter().map(report_json).collect::<Vec<_>>(),
        "requests": view.requests,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;

    fn view() -> StatusView {
        let one = |address: &str, health, reason: Option<&str>| Status {
            address: address.parse::<Address>().unwrap(),
            health,
            reason: reason.map(str::to_owned),
            elsewhere: None,
        };
        let elsewhere = |address: &str, standing, paths: &[&str]| Elsewhere {
            address: address.parse().unwrap(),
            applied_by: "argocd".to_owned(),
            standing,
            differs: paths.iter().map(|path| (*path).to_owned()).collect(),
            reason: None,
        };
        let there = "k8s.Deployment/hello/cloudflared";
        let paths = ["spec.replicas", "a", "b", "c", "d"];
        let there = Status {
            elsewhere: Some(elsewhere(there, Standing::Differs, &paths)),
            ..one(there, Health::Works, None)
        };
        let gone = "k8s.ExternalSecret.external-secrets.io/hello/token";
        let gone = Status {
            elsewhere: Some(elsewhere(gone, Standing::Missing, &[])),
            ..one(gone, Health::Missing, Some("argocd has not made it"))
        };
        StatusView {
            stacks: vec![(
                "hello".to_owned(),
                vec![
                    one("tunnel.hello", Health::Waiting, Some("no connector has run it yet")),
                    one("dns_record.hello", Health::Works, None),
                    there,
                    gone,
                ],
            )],
            ..StatusView::default()
        }
    }

    #[test]
    fn what_does_not_work_is_said_with_its_reason() {
        assert_eq!(
            text(&view(), &RenderOptions { width: 100, ..RenderOptions::default() }),
            "Stack hello: 2 of 4 resources work\n    \
             waiting    tunnel.hello\n               no connector has run it yet\n    \
             works      k8s.Deployment/hello/cloudflared\n               \
             applied by argocd, differs: spec.replicas, a, b, 2 more\n    \
             missing    k8s.ExternalSecret.external-secrets.io/hello/token\n               \
             argocd has not made it\n\
             Not everything works.\n\
             Read with 0 requests: Cloudflare 0, SSM 0, Kubernetes 0.\n"
        );
    }

    #[test]
    fn machines_read_the_same() {
        let found = json(&view());
        assert_eq!((&found["works"], &found["format_version"]), (&json!(false), &json!("1")));
        let resources = &found["stacks"][0]["resources"];
        assert_eq!(
            resources[1],
            json!({"address": "dns_record.hello", "status": "works", "reason": null})
        );
        assert_eq!(resources[2]["manifest"], "differs");
        assert_eq!(resources[3]["applied_by"], "argocd");
    }
}
