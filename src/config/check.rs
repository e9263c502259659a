//! What can only be checked with all resources of a stack, or of all stacks, at hand: references,
//! cycles, what the kinds say, and that no two resources are one object.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::{each_reference, replace_known, written};
use super::shape;
use super::source::{Diagnostics, Mark, suggestion};
use super::stack::{Draft, Drafts};
use super::{Context, lookup};
use crate::kinds::kubernetes::edges;
use crate::kinds::support::hostname_problem;
use crate::model::address::{Address, AddressGlob};
use crate::model::error::Report;
use crate::model::value::{Reference, map_special};
use crate::model::{Json, JsonMap};

/// Checks a stack by itself and puts in what the files determine.
pub(super) fn stack(drafts: &mut Drafts, context: &Context<'_>, diagnostics: &mut Diagnostics) {
    depends_on(drafts, diagnostics);
    references(drafts, context, diagnostics);
    known(drafts, context);
    cycles(drafts, diagnostics);
    problems(drafts, context, diagnostics);
    precedences(drafts, diagnostics);
    workloads(drafts, diagnostics);
    settings(drafts, diagnostics);
    unguarded(drafts, context, diagnostics);
}

/// Turns the addresses and patterns of `depends_on` into addresses that there are.
fn depends_on(drafts: &mut Drafts, diagnostics: &mut Diagnostics) {
    let addresses: Vec<Address> = drafts.resources.iter().map(|d| d.address.clone()).collect();
    let names: Vec<String> = addresses.iter().map(Address::to_string).collect();
    let mut resources = std::mem::take(&mut drafts.resources);
    for draft in &mut resources {
        let asked = std::mem::take(&mut draft.meta.depends_on);
        for address in asked {
            let text = address.to_string();
            let Ok(glob) = text.parse::<AddressGlob>() else { continue };
            let found: Vec<&Address> = addresses
                .iter()
                .filter(|known| **known != draft.address && glob.matches(known))
                .collect();
            if found.is_empty() && !drafts.is_broken(&address) {
                let listed = draft.depends_on.iter().find(|(written, _)| *written == text);
                let mark = listed.map_or(draft.mark, |(_, mark)| *mark);
                let message = format!("there is no resource `{text}`");
                let hint = suggestion(&text, names.iter().map(String::as_str));
                diagnostics.push(
                    Some(mark),
                    hint.into_iter()
                        .fold(Report::error(message), Report::hint)
                        .about(&draft.address),
                );
            }
            draft.meta.depends_on.extend(found.into_iter().cloned());
        }
    }
    drafts.resources = resources;
}

/// References to what there is not.
fn references(drafts: &Drafts, context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for draft in &drafts.resources {
        each_reference(&draft.spec, "", &draft.marks, &mut |reference, mark| {
            let Some((message, hint)) = refused(reference, drafts, context) else { return };
            let mark = diagnostics.find(mark.unwrap_or(draft.mark), &written(reference));
            let report = Report::error(message).about(&draft.address);
            diagnostics.push(Some(mark), hint.into_iter().fold(report, Report::hint));
        });
    }
}

/// Why a reference stands for nothing, with advice.
fn refused(
    reference: &Reference,
    drafts: &Drafts,
    context: &Context<'_>,
) -> Option<(String, Option<String>)> {
    let Reference { address, output } = reference;
    let offered: Vec<String> = if drafts.lookups.iter().any(|lookup| lookup.address == *address) {
        let outputs = lookup::outputs(address.kind()).unwrap_or_default().iter();
        outputs.map(|output| output.name.to_owned()).collect()
    } else if drafts.resource(address).is_some() {
        match context.kind(address.kind()) {
            Some(kind) => {
                let spec = drafts.resource(address).map_or(&Json::Null, |draft| &draft.spec);
                let named = kind.named_outputs(spec).into_iter().map(|output| output.name);
                let own = kind.outputs().iter().map(|output| output.name.to_owned());
                own.chain(named).collect()
            }
            None => Vec::new(),
        }
    } else {
        return missing(address, drafts, context);
    };
    if offered.contains(output) {
        return None;
    }
    let message = format!("{address} has no output `{output}`");
    Some((message, suggestion(output, offered.iter().map(String::as_str))))
}

fn missing(
    address: &Address,
    drafts: &Drafts,
    context: &Context<'_>,
) -> Option<(String, Option<String>)> {
    if drafts.is_broken(address) {
        return None;
    }
    let known = address.is_kubernetes()
        || context.kind(address.kind()).is_some()
        || lookup::outputs(address.kind()).is_some();
    if !known {
        let names = context.kinds.iter().map(|kind| kind.name());
        let hint = suggestion(address.kind(), names);
        return Some((format!("there is no kind `{}`", address.kind()), hint));
    }
    let texts: Vec<String> = drafts
        .resources
        .iter()
        .map(|draft| draft.address.to_string())
        .chain(drafts.lookups.iter().map(|lookup| lookup.address.to_string()))
        .collect();
    let prefix = format!("{}.", address.kind());
    let same = || texts.iter().map(String::as_str).filter(|text| text.starts_with(&prefix));
    let text = address.to_string();
    let hint = super::source::nearest(&text, texts.iter().map(String::as_str))
        .map(|near| format!("did you mean `{near}`?"))
        .or_else(|| suggestion(&text, same().collect::<Vec<_>>()));
    Some((format!("there is no resource or lookup `{address}`"), hint))
}

/// Puts in the outputs that the files determine, until nothing changes any more.
fn known(drafts: &mut Drafts, context: &Context<'_>) {
    for _ in 0..=drafts.resources.len() {
        let mut values: BTreeMap<(Address, String), Json> = BTreeMap::new();
        for draft in drafts.resources.iter().filter(|draft| draft.sound) {
            let Some(kind) = context.kind(draft.address.kind()) else { continue };
            for (output, value) in kind.known_outputs(&draft.spec, &context.scope) {
                values.insert((draft.address.clone(), output), value);
            }
        }
        let mut changed = false;
        for draft in &mut drafts.resources {
            let spec = replace_known(&draft.spec, &|reference| {
                values.get(&(reference.address.clone(), reference.output.clone())).cloned()
            });
            changed |= spec != draft.spec;
            draft.spec = spec;
        }
        if !changed {
            return;
        }
    }
}

/// Resources that need each other in a circle.
fn cycles(drafts: &Drafts, diagnostics: &mut Diagnostics) {
    let mut edges: BTreeMap<&Address, Vec<(Address, Mark)>> = BTreeMap::new();
    for draft in &drafts.resources {
        let own = edges.entry(&draft.address).or_default();
        each_reference(&draft.spec, "", &draft.marks, &mut |reference, mark| {
            let mark = mark.unwrap_or(draft.mark);
            let mark = diagnostics.find(mark, &written(reference));
            own.push((reference.address.clone(), mark));
        });
        for address in &draft.meta.depends_on {
            let text = address.to_string();
            let said = draft.depends_on.iter().find(|(written, _)| *written == text);
            own.push((address.clone(), said.map_or(draft.mark, |(_, mark)| *mark)));
        }
    }
    let mut done: BTreeSet<&Address> = BTreeSet::new();
    for draft in &drafts.resources {
        let mut path: Vec<(&Address, Mark)> = Vec::new();
        let mut stack: Vec<(&Address, usize)> = vec![(&draft.address, 0)];
        while let Some((address, next)) = stack.pop() {
            if next == 0 && done.contains(address) {
                path.truncate(stack.len());
                continue;
            }
            let targets = edges.get(address).map(Vec::as_slice).unwrap_or_default();
            let Some((target, mark)) = targets.get(next) else {
                done.insert(address);
                path.truncate(stack.len());
                continue;
            };
            path.truncate(stack.len());
            path.push((address, *mark));
            stack.push((address, next + 1));
            if let Some(at) = path.iter().position(|(seen, _)| *seen == target) {
                tell_cycle(&path[at..], diagnostics);
            } else if let Some((target, _)) = edges.get_key_value(target) {
                stack.push((target, 0));
            }
        }
    }
}

fn tell_cycle(cycle: &[(&Address, Mark)], diagnostics: &mut Diagnostics) {
    let Some((first, mark)) = cycle.first() else { return };
    let names: Vec<String> =
        cycle.iter().map(|(address, _)| *address).chain([*first]).map(Address::to_string).collect();
    let report = Report::error(format!("these need each other: {}", names.join(" → ")))
        .about(first)
        .hint("one of them must do without the other's output");
    diagnostics.push(Some(*mark), report);
}

/// What the kinds have to say of their specs.
fn problems(drafts: &Drafts, context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for draft in drafts.resources.iter().filter(|draft| draft.sound) {
        let Some(kind) = context.kind(draft.address.kind()) else { continue };
        for problem in kind.check(&draft.spec, &context.scope) {
            let mark = shape::place(&draft.marks, &problem.path).unwrap_or(draft.mark);
            let report = match problem.code {
                Some(code) => Report::warning(code, problem.message),
                None => Report::error(problem.message),
            };
            let report = problem.hint.into_iter().fold(report, Report::hint);
            diagnostics.push(Some(mark), report.about(&draft.address));
        }
    }
}

/// Two policies of one application that want the same place (contract 6.1.1: precedence is unique
/// in an application).
fn precedences(drafts: &Drafts, diagnostics: &mut Diagnostics) {
    let mut places: BTreeMap<(String, u64), &Draft> = BTreeMap::new();
    for draft in drafts.resources.iter().filter(|draft| draft.sound) {
        if draft.address.kind() != "access_application_policy" {
            continue;
        }
        let application = draft.spec.get("application");
        let precedence = draft.spec.get("precedence").and_then(Json::as_u64);
        let (Some(application), Some(precedence)) = (application, precedence) else { continue };
        let key = (crate::model::value::canonical_text(application), precedence);
        let Some(first) = places.get(&key) else {
            places.insert(key, draft);
            continue;
        };
        let mark = shape::place(&draft.marks, "precedence").unwrap_or(draft.mark);
        let message = format!("{} has precedence {precedence} too", first.address);
        let place = diagnostics.location(first.mark).map(|place| format!("it is at {place}"));
        let report = Report::error(message).about(&draft.address);
        diagnostics.push(Some(mark), place.into_iter().fold(report, Report::hint));
    }
}

/// Workloads that a service's `connector` names and the stack does not have, or to which nothing in
/// the stack brings the tunnel's token.
fn workloads(drafts: &Drafts, diagnostics: &mut Diagnostics) {
    let specs: Vec<(&Address, &Json)> =
        drafts.resources.iter().map(|draft| (&draft.address, &draft.spec)).collect();
    let readers = edges::parameter_readers(&specs);
    for (service, workload) in &drafts.workloads {
        let address = &workload.address;
        let Some(draft) = drafts.resource(address) else {
            if drafts.partial {
                continue;
            }
            let names: Vec<String> = drafts
                .resources
                .iter()
                .filter(|draft| draft.address.is_kubernetes())
                .map(|draft| draft.address.name().to_owned())
                .collect();
            let message = format!("the stack has no {}", address.name());
            let near = super::source::nearest(address.name(), names.iter().map(String::as_str));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add its manifest, or `applied_by: argocd` beside `workload`".to_owned(),
            };
            diagnostics.error_hint(workload.mark, message, Some(hint));
            continue;
        };
        let parameter = Address::new("ssm_parameter", service);
        let is_read = readers.get(&parameter).is_some_and(|all| all.contains(address));
        // What another tool applies is restarted there in any case.
        let elsewhere = draft.meta.applied_elsewhere;
        if is_read || elsewhere || drafts.partial || drafts.is_broken(&parameter) {
            continue;
        }
        let report = Report::warning(
            "connector-token",
            format!("no ExternalSecret of the stack brings {parameter} to {}", address.name()),
        )
        .about(address)
        .hint("it is not restarted when the tunnel's token changes");
        diagnostics.push(Some(workload.mark), report);
    }
}

/// Settings that nothing gets.
fn settings(drafts: &Drafts, diagnostics: &mut Diagnostics) {
    if !drafts.broken.is_empty() || drafts.partial {
        return;
    }
    for setting in &drafts.settings {
        let used = drafts.resources.iter().any(|draft| setting.glob.matches(&draft.address));
        // `protect` is also for what has left the files.
        if used || setting.file.protect.is_some() {
            continue;
        }
        let message = format!("no resource fits `{}`", setting.glob.as_str());
        let names: Vec<String> =
            drafts.resources.iter().map(|draft| draft.address.to_string()).collect();
        let near = super::source::nearest(setting.glob.as_str(), names.iter().map(String::as_str));
        let report = Report::warning("unused-setting", message);
        let report = near
            .into_iter()
            .fold(report, |report, near| report.hint(format!("did you mean `{near}`?")));
        diagnostics.push(Some(setting.mark), report);
    }
}

/// Hostnames that a tunnel routes and no Access application of the stack guards, but for private
/// ones: they have a hostname route, and no record leads to them.
fn unguarded(drafts: &Drafts, context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let hostnames = |draft: &Draft| match context.kind(draft.address.kind()) {
        Some(kind) if draft.sound => kind.hostnames(&draft.spec, &context.scope),
        _ => Vec::new(),
    };
    let of = |kind: &'static str| {
        drafts.resources.iter().filter(move |draft| draft.address.kind() == kind)
    };
    let guarded: Vec<String> = of("access_application").flat_map(hostnames).collect();
    let covers = |pattern: &str, hostname: &str| {
        pattern == hostname
            || pattern
                .strip_prefix('*')
                .is_some_and(|end| hostname.strip_suffix(end).is_some_and(|rest| !rest.is_empty()))
    };
    let private: Vec<String> = of("hostname_route").flat_map(hostnames).collect();
    let named: Vec<String> = of("dns_record").flat_map(hostnames).collect();
    let is_private = |hostname: &String| {
        private.contains(hostname) && !named.iter().any(|pattern| covers(pattern, hostname))
    };
    for draft in of("tunnel_config") {
        for hostname in hostnames(draft) {
            let said = drafts.public.contains(&hostname)
                || is_private(&hostname)
                || guarded.iter().any(|pattern| covers(pattern, &hostname));
            // One that cannot be is told already.
            let cannot_be = hostname_problem(&hostname, true).is_some();
            if said || cannot_be || drafts.is_broken(&draft.address) {
                continue;
            }
            let message = format!("{hostname} is public: no Access application here guards it");
            let report = Report::warning("unguarded", message)
                .about(&draft.address)
                .hint("add an access_application, or `accept: {unguarded: why}`");
            let mark = diagnostics.find(draft.mark, &hostname);
            diagnostics.push(Some(mark), report);
        }
    }
}

/// What is compared to find two resources that are one object.
struct Claim<'a> {
    stack: &'a str,
    draft: &'a Draft,
    /// Where the hostname stands, or the resource.
    mark: Mark,
}

/// Two resources for one remote object or one hostname, within a stack and across stacks.
pub(super) fn across(stacks: &[&Drafts], context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let mut objects: BTreeMap<String, Claim<'_>> = BTreeMap::new();
    let mut routes: BTreeMap<String, Claim<'_>> = BTreeMap::new();
    let mut records: BTreeMap<String, Vec<Claim<'_>>> = BTreeMap::new();
    for drafts in stacks {
        for draft in drafts.resources.iter().filter(|draft| draft.sound) {
            let claim = || Claim { stack: &drafts.name, draft, mark: draft.mark };
            if let Some(key) = object_key(draft, drafts, context) {
                match objects.get(&key) {
                    Some(first) if !both_share(first.draft, draft) => {
                        tell_two(first, &claim(), "are one object", diagnostics);
                    }
                    Some(_) => {}
                    None => {
                        objects.insert(key, claim());
                    }
                }
            }
            let Some(kind) = context.kind(draft.address.kind()) else { continue };
            for hostname in kind.hostnames(&draft.spec, &context.scope) {
                let mark = diagnostics.find(draft.mark, &hostname);
                let claim = || Claim { mark, ..claim() };
                match draft.address.kind() {
                    "tunnel_config" => match routes.get(&hostname) {
                        Some(first) => {
                            let what = format!("both route {hostname}");
                            tell_two(first, &claim(), &what, diagnostics);
                        }
                        None => {
                            routes.insert(hostname, claim());
                        }
                    },
                    "dns_record" => records.entry(hostname).or_default().push(claim()),
                    _ => {}
                }
            }
        }
    }
    for (hostname, claims) in &records {
        let alias = |claim: &Claim<'_>| claim.draft.spec.get("type") == Some(&"CNAME".into());
        let Some((first, rest)) = claims.split_first() else { continue };
        for other in rest.iter().filter(|other| alias(first) || alias(other)) {
            let what = format!("both are records of {hostname}, and a CNAME stands alone");
            tell_two(first, other, &what, diagnostics);
        }
    }
}

fn both_share(a: &Draft, b: &Draft) -> bool {
    let shares = |draft: &Draft| draft.meta.shared.iter().any(|path| path == "ingress");
    a.address.kind() == "tunnel_config" && shares(a) && shares(b)
}

fn tell_two(first: &Claim<'_>, second: &Claim<'_>, what: &str, diagnostics: &mut Diagnostics) {
    let place = diagnostics
        .location(first.mark)
        .map(|place| format!("{} is at {place}", first.draft.address));
    let stack = if first.stack == second.stack {
        String::new()
    } else {
        format!(" of the stack `{}`", first.stack)
    };
    let message = format!("{} and {}{stack} {what}", second.draft.address, first.draft.address);
    let report = Report::error(message).code("two-of-one").about(&second.draft.address);
    let report = place.into_iter().fold(report, Report::hint);
    diagnostics.push_once(second.mark, report);
}

/// Text that is the same for two resources that are one object; None where only the network tells,
/// or where names need not be unique.
fn object_key(draft: &Draft, drafts: &Drafts, context: &Context<'_>) -> Option<String> {
    const NOT_UNIQUE: [&str; 4] =
        ["access_group", "access_policy", "access_application_policy", "service_token"];
    let kind = draft.address.kind();
    if draft.address.is_kubernetes() {
        return Some(draft.address.to_string());
    }
    if NOT_UNIQUE.contains(&kind) {
        return None;
    }
    let spec = match context.kind(kind)?.declare(&draft.spec, &context.scope) {
        Ok(spec) => spec,
        Err(_) => draft.spec.clone(),
    };
    let key = context.kind(kind)?.key(&spec);
    if key.is_empty() {
        return None;
    }
    let named = map_special(&Json::Object(key), &mut |special| {
        let value = special.into_value();
        let text = tunnel_name(&value, drafts).unwrap_or_else(|| {
            // Addresses mean something within their stack only.
            format!("{}:{}", drafts.name, crate::model::value::canonical_text(&value))
        });
        Ok::<Json, std::convert::Infallible>(Json::String(text))
    });
    match named {
        Ok(named) => Some(format!("{kind} {}", crate::model::value::canonical_text(&named))),
        Err(never) => match never {},
    }
}

/// The name of the tunnel that a reference means, so that two stacks' names for it are one.
fn tunnel_name(value: &Json, drafts: &Drafts) -> Option<String> {
    let references = crate::model::value::references(value);
    let [reference] = references.as_slice() else { return None };
    if reference.address.kind() != "tunnel" {
        return None;
    }
    let fields: &JsonMap = match drafts.resource(&reference.address) {
        Some(draft) => draft.spec.as_object()?,
        None => drafts
            .lookups
            .iter()
            .find(|lookup| lookup.address == reference.address)?
            .query
            .as_object()?,
    };
    Some(format!("the tunnel {}", fields.get("name")?.as_str()?))
}
