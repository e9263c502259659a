//! What else a namespace or a definition holds: deleting either deletes that too.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};

use crate::engine::guard::allowed;
use crate::model::Json;
use crate::model::address::Address;
use crate::model::call::{Call, Listing, Paging, Service};
use crate::model::change::{Action, Change, Phase};
use crate::model::error::Report;
use crate::model::plan::{Options, StackPlan};
use crate::model::scope::{ApiResource, Scope};
use crate::model::state::State;

use super::Context;

const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const AT_ONCE: usize = 16;
/// More than this many are counted, and not all named.
const NAMED: usize = 20;

/// Kinds that Kubernetes itself puts into namespaces and takes away again.
const ITS_OWN: [(&str, &str); 4] = [
    ("", "Event"),
    ("events.k8s.io", "Event"),
    ("", "Endpoints"),
    ("discovery.k8s.io", "EndpointSlice"),
];

/// An object that a deletion would take with it.
struct Held {
    id: String,
    uid: String,
    owners: Vec<Owner>,
    is_default: bool,
    /// Whether it is being deleted already.
    is_going: bool,
}

/// What an object belongs to.
struct Owner {
    uid: String,
    api_version: String,
    kind: String,
}

/// What refuses the deletions of namespaces and definitions in this plan.
pub async fn check(
    context: &Context<'_>,
    scope: &Scope,
    plan: &StackPlan,
    state: Option<&State>,
    options: &Options,
) -> Vec<Report> {
    let mut reports = Vec::new();
    for change in plan.changes.iter().filter(|change| deletes(change)) {
        let listings = listings(change, scope);
        if listings.is_empty() {
            continue;
        }
        let held = read(context, listings).await;
        match held {
            Ok(held) => reports.extend(judge(change, &held, plan, state, options, scope)),
            Err(error) => reports.push(
                Report::error(format!("what {} holds could not be read", change.address))
                    .code(Report::UNREADABLE)
                    .about(&change.address)
                    .call(&error),
            ),
        }
    }
    reports
}

fn deletes(change: &Change) -> bool {
    change.action == Action::Delete || change.phase == Phase::Remove
}

/// The collections whose objects go with a namespace or a definition.
fn listings(change: &Change, scope: &Scope) -> Vec<(ApiResource, Listing)> {
    let Some(before) = &change.before else { return Vec::new() };
    let all = scope.api_resources.iter().flatten();
    let can = |resource: &&ApiResource, verb: &str| resource.verbs.iter().any(|v| v == verb);
    match change.address.kubernetes_kind() {
        Some(("Namespace", None)) => {
            let name = before.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default();
            let mut seen = BTreeSet::new();
            all.filter(|resource| resource.namespaced && can(resource, "list"))
                .filter(|resource| can(resource, "delete"))
                .filter(|r| !ITS_OWN.contains(&(r.group.as_str(), r.kind.as_str())))
                // One version of a kind shows all its objects.
                .filter(|resource| seen.insert((resource.group.clone(), resource.kind.clone())))
                .map(|resource| (resource.clone(), listing(resource, Some(name))))
                .collect()
        }
        Some(("CustomResourceDefinition", _)) => {
            let text = |pointer: &str| before.pointer(pointer).and_then(Json::as_str);
            let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
            all.filter(|r| Some(r.group.as_str()) == group && Some(r.kind.as_str()) == kind)
                .take(1)
                .map(|resource| (resource.clone(), listing(resource, None)))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn listing(resource: &ApiResource, namespace: Option<&str>) -> Listing {
    let ApiResource { group, version, plural, .. } = resource;
    let base = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let path = match namespace {
        Some(namespace) => format!("{base}/namespaces/{namespace}/{plural}"),
        None => format!("{base}/{plural}"),
    };
    let mut call = Call::get(Service::Kubernetes, path)
        .query("limit", "500")
        .purpose("looking at what would go with it");
    call.accept = Some(METADATA_ONLY);
    Listing { call, paging: Paging::Token }
}

async fn read(
    context: &Context<'_>,
    listings: Vec<(ApiResource, Listing)>,
) -> Result<Vec<Held>, crate::model::error::CallError> {
    let lists: Vec<_> = stream::iter(listings)
        .map(|(resource, listing)| async move {
            let items = context.transport.list(&listing).await;
            (resource, items)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut held = Vec::new();
    for (resource, items) in lists {
        held.extend(items?.iter().map(|item| one(&resource, item)));
    }
    Ok(held)
}

fn one(resource: &ApiResource, item: &Json) -> Held {
    let text =
        |pointer: &str| item.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let kind = match resource.group.as_str() {
        "" => resource.plural.clone(),
        group => format!("{}.{group}", resource.plural),
    };
    let id = if namespace.is_empty() {
        format!("{kind}/{name}")
    } else {
        format!("{kind}/{namespace}/{name}")
    };
    let owners = item.pointer("/metadata/ownerReferences").and_then(Json::as_array);
    let owners = owners
        .into_iter()
        .flatten()
        .filter_map(|owner| {
            let text = |key: &str| owner.get(key)?.as_str().map(str::to_owned);
            Some(Owner { uid: text("uid")?, api_version: text("apiVersion")?, kind: text("kind")? })
        })
        .collect();
    let is_going = item.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    let core = resource.group.is_empty();
    let is_default = core && resource.kind == "ServiceAccount" && name == "default"
        || core && resource.kind == "ConfigMap" && name == "kube-root-ca.crt";
    Held { id, uid: text("/metadata/uid"), owners, is_default, is_going }
}

/// What is neither boxctl's to delete in this plan nor made by something that is.
fn judge(
    change: &Change,
    held: &[Held],
    plan: &StackPlan,
    state: Option<&State>,
    options: &Options,
    scope: &Scope,
) -> Option<Report> {
    let recorded: BTreeMap<&str, (&Address, bool)> = state
        .into_iter()
        .flat_map(|state| &state.resources)
        .filter(|(address, _)| address.is_kubernetes())
        .map(|(address, record)| (record.id.as_str(), (address, record.protected)))
        .collect();
    let going: BTreeSet<&Address> = plan
        .changes
        .iter()
        .filter(|change| deletes(change))
        .map(|change| &change.address)
        .collect();
    let by_uid: BTreeMap<&str, &Held> = held.iter().map(|one| (one.uid.as_str(), one)).collect();
    let ours = |one: &Held| {
        recorded.get(one.id.as_str()).is_some_and(|(address, protected)| {
            going.contains(address) && (!protected || allowed(&options.allow_protected, address))
        })
    };
    let leads_back = |one: &Held| {
        let mut open: Vec<&Held> = vec![one];
        let mut seen = BTreeSet::new();
        while let Some(one) = open.pop() {
            // All of its owners are gone: the garbage collector is about to take it.
            let is_lost = |owner: &Owner| {
                let resource = scope.api_resource(&owner.api_version, &owner.kind);
                let within = resource.is_some_and(|resource| resource.namespaced);
                within && !by_uid.contains_key(owner.uid.as_str())
            };
            if !one.owners.is_empty() && one.owners.iter().all(is_lost) {
                return true;
            }
            let owners = one.owners.iter().filter_map(|owner| by_uid.get(owner.uid.as_str()));
            for owner in owners.filter(|owner| seen.insert(owner.uid.as_str())) {
                if owner.is_going || ours(owner) {
                    return true;
                }
                open.push(owner);
            }
        }
        false
    };
    let others: Vec<&str> = held
        .iter()
        .filter(|one| !one.is_default && !one.is_going && !ours(one) && !leads_back(one))
        .map(|one| one.id.as_str())
        .collect();
    if others.is_empty() {
        return None;
    }
    let mut report = Report::error(format!(
        "deleting {} would delete {} objects that this plan does not delete",
        change.address,
        others.len()
    ))
    .code("contents")
    .about(&change.address)
    .hint("move or delete them first, or keep it: `forget` leaves it where it is");
    report.causes = others.iter().take(NAMED).map(|id| (*id).to_owned()).collect();
    if others.len() > NAMED {
        report.causes.push(format!("and {} more", others.len() - NAMED));
    }
    Some(report)
}
