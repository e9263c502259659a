//! What a plan may not do without being told so explicitly.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::{Address, AddressGlob};
use crate::model::change::Action;
use crate::model::error::Report;
use crate::model::kind::Facts;

use super::drift::keyed;
use super::exposure::{self, Role};
use super::plan::Planner;

/// Below this many recorded resources, the share of deletions says nothing.
const LIMIT_FROM: usize = 10;

/// Whether the patterns allow the address.
pub fn allowed(patterns: &[String], address: &Address) -> bool {
    patterns
        .iter()
        .any(|pattern| pattern.parse::<AddressGlob>().is_ok_and(|glob| glob.matches(address)))
}

/// Adds what refuses this plan to its checks.
pub(super) fn check(planner: &mut Planner<'_>) {
    protection(planner);
    replacements(planner);
    losses(planner);
    guards(planner);
    used_by_others(planner);
    limits(planner);
}

fn goes(action: Action) -> bool {
    matches!(action, Action::Delete | Action::Replace)
}

/// `destroy` and a retired stack keep nothing: protected objects refuse them, all named.
fn protection(planner: &mut Planner<'_>) {
    if planner.kept.is_empty() || !(planner.input.options.destroy || planner.input.retired) {
        return;
    }
    let names: Vec<String> = planner.kept.iter().map(Address::to_string).collect();
    let mut report = Report::error(format!("{} protected resources would be deleted", names.len()))
        .code("protected")
        .hint("`--allow-protected '**'` deletes them too, `--allow-protected ADDRESS` one of them")
        .hint("`forget:` in the stack's file leaves them where they are");
    report.causes = names;
    planner.checks.push(report);
}

/// A replacement counts as a deletion.
fn replacements(planner: &mut Planner<'_>) {
    let mut found = Vec::new();
    for change in planner.changes.values().filter(|change| change.action == Action::Replace) {
        // What the file has come to say holds for the replacement that comes with it.
        let declared = planner.input.stack.resource(&change.address);
        let protected = planner.recorded.get(&change.address).is_some_and(|r| r.protected)
            || declared.is_some_and(|resource| resource.meta.protect == Some(true));
        if protected && !allowed(&planner.input.options.allow_protected, &change.address) {
            let why = change.reason.clone().unwrap_or_default();
            found.push(
                Report::error(format!("{} is protected and would be replaced", change.address))
                    .code("protected")
                    .about(&change.address)
                    .at(change.location.clone())
                    .cause(why)
                    .hint(format!("`--allow-protected {}` lets it go", change.address)),
            );
        }
    }
    planner.checks.extend(found);
}

/// What can't be had back once it is deleted is said loudly.
fn losses(planner: &mut Planner<'_>) {
    let found: Vec<Report> = planner
        .changes
        .values()
        .filter(|change| goes(change.action))
        .filter_map(|change| {
            let kind = planner.kind(change.address.kind())?;
            let lost = kind.loses(change.before.as_ref()?)?;
            let done = if change.action == Action::Delete { "deleted" } else { "replaced" };
            let text = format!("DATA LOSS: {} is {done}: {lost}", change.address);
            let report = Report::warning("data-loss", text).about(&change.address);
            Some(report.at(change.location.clone()))
        })
        .collect();
    planner.checks.extend(found);
}

/// Whether only clients of WARP reach a hostname: it has a route of its own, and no record leads to
/// it.
fn is_private(planner: &Planner<'_>, hostname: &str) -> bool {
    let named = planner.exposure.with_role(hostname, Role::Name).next().is_some();
    let routes = planner.input.stack.resources.iter();
    let mut routes = routes.filter(|resource| resource.address.kind() == "hostname_route");
    !named
        && routes.any(|resource| {
            planner.kind(resource.address.kind()).is_some_and(|kind| {
                let hostnames = kind.hostnames(&resource.spec, planner.input.scope);
                hostnames.iter().any(|own| own == hostname)
            })
        })
}

/// A hostname that stays published keeps what guards it, unless it is said to be public.
fn guards(planner: &mut Planner<'_>) {
    let mut open: BTreeMap<(String, Address), bool> = BTreeMap::new();
    for (pattern, parts) in &planner.exposed_now.by_hostname {
        for (_, guard) in parts.iter().filter(|(role, _)| *role == Role::Guard) {
            // What leaves the state only goes on guarding.
            let stays = [None, Some(Action::Create), Some(Action::Forget)];
            if stays.contains(&planner.action(guard)) {
                continue;
            }
            for (hostname, _, _) in planner.exposure.publishers(pattern) {
                let guarded = planner.exposure.with_role(hostname, Role::Guard).next().is_some();
                if !guarded && !is_private(planner, hostname) {
                    let said = planner.input.stack.public.iter().any(|h| h == hostname)
                        && (planner.input.options.allow_public.iter())
                            .any(|allowed| exposure::fits(allowed, hostname));
                    open.insert((hostname.to_owned(), guard.clone()), said);
                }
            }
        }
    }
    let unsaid = open.into_iter().filter(|(_, said)| !said).map(|(open, _)| open);
    planner.checks.extend(unsaid.map(|(hostname, guard)| {
        Report::error(format!("{hostname} would be open to everyone without {guard}"))
            .code("public")
            .about(&guard)
            .hint(format!(
                "if that is meant, say `access: public` in the file and `--allow-public {hostname}`"
            ))
    }));
}

/// What others route in a list that is shared goes with the tunnel, and refuses its deletion.
fn used_by_others(planner: &mut Planner<'_>) {
    let mut found = Vec::new();
    for change in planner.changes.values().filter(|change| goes(change.action)) {
        if allowed(&planner.input.options.allow_protected, &change.address) {
            continue;
        }
        let lists = planner.recorded.iter().filter(|(address, recorded)| {
            exposure::role(address.kind()) == Some(Role::Route)
                && !recorded.shared.is_empty()
                && recorded.dependencies.contains(&change.address)
        });
        let others: Vec<String> = lists
            .filter_map(|(address, recorded)| {
                let kind = planner.kind(address.kind())?;
                let remote = planner.observed(address).present()?;
                Some(kind.diff(&Facts {
                    declared: None,
                    sent: Some(&recorded.sent),
                    answered: None,
                    version: None,
                    remote,
                    preview: None,
                    ignore: &[],
                    force: &[],
                    shared: &recorded.shared,
                }))
            })
            .flat_map(|diffed| diffed.foreign)
            .filter_map(|beside| {
                let name = keyed(&beside.path, "hostname");
                match name.and_then(|name| planner.input.fellows.get_key_value(name)) {
                    Some((_, stack)) if planner.input.leaving.contains(stack.as_str()) => None,
                    Some((name, stack)) => Some(format!("{name}, of the stack {stack}")),
                    None => Some(name.map_or(beside.path.clone(), str::to_owned)),
                }
            })
            .collect();
        if others.is_empty() {
            continue;
        }
        let text = format!("{} is not boxctl's or this stack's alone", change.address);
        let mut report = Report::error(text)
            .code("protected")
            .about(&change.address)
            .at(change.location.clone())
            .hint("let its other writers go first")
            .hint(format!("`--allow-protected {}` deletes it with all that", change.address));
        report.causes = others.into_iter().map(|one| format!("it also routes {one}")).collect();
        found.push(report);
    }
    planner.checks.extend(found);
}

fn limits(planner: &mut Planner<'_>) {
    let options = planner.input.options;
    let total = planner.recorded.len();
    if options.destroy || planner.input.retired || options.allow_large || total < LIMIT_FROM {
        return;
    }
    let gone: BTreeSet<&Address> = planner
        .changes
        .values()
        .filter(|change| goes(change.action))
        .map(|change| &change.address)
        .collect();
    let percent = usize::from(planner.input.limit_percent);
    if gone.len() * 100 > total * percent {
        let text = format!(
            "{} of {total} resources would be deleted or replaced, more than {percent} %",
            gone.len()
        );
        let report = Report::error(text)
            .code("limits")
            .hint("`--allow-large` lets this plan through; `limits: {destroy: …}` sets the limit");
        planner.checks.push(report);
    }
}
