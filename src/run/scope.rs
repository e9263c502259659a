//! Reads what a run must know beside the resources: zones, identity providers, what a cluster
//! serves; and makes sure that a state is not used against another target.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Json;
use crate::model::call::{Call, Filter, Listing, Paging, Service};
use crate::model::error::{CallError, Exit, Failure, Report, Stop};
use crate::model::project::Project;
use crate::model::resource::Stack;
use crate::model::scope::{IdentityProvider, Need, Scope, VirtualNetwork, Zone};
use crate::model::state::{State, Target};

use super::Context;
use super::collections::{Collections, Wanted};

/// Services that could not be reached, and why. Nothing of theirs is known in this run, and nothing
/// of theirs is asked for again: each question would wait as long as the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Away(BTreeMap<Service, CallError>);

impl Away {
    /// Why nothing is known of a service; None where it answers.
    pub fn of(&self, service: Service) -> Option<String> {
        self.0.contains_key(&service).then(|| format!("{} could not be reached", service.title()))
    }

    /// What there is to tell of each.
    pub fn reports(&self) -> impl Iterator<Item = Report> + '_ {
        self.0.iter().map(|(service, error)| {
            Report::error(format!("{} could not be reached", service.title()))
                .code("unreachable")
                .call(error)
        })
    }

    /// Nothing, where every service answers.
    ///
    /// # Errors
    /// What there is to tell of those that don't.
    pub fn none(&self) -> Result<(), Stop> {
        let reports: Vec<Report> = self.reports().collect();
        if reports.is_empty() { Ok(()) } else { Err(Stop { exit: Exit::Error, reports }) }
    }

    /// Notes a failure that says nothing but that the service is out of reach.
    ///
    /// # Errors
    /// Any other failure.
    fn note(&mut self, service: Service, error: CallError) -> Result<(), CallError> {
        let silent = error.status.is_none_or(|status| status >= 500)
            && matches!(error.failure, Failure::NotSent | Failure::Unknown);
        if !silent {
            return Err(error);
        }
        self.0.insert(service, error);
        Ok(())
    }
}

/// The collection that a need is read from, as the kinds themselves would read it.
pub fn listing(need: Need, account: &str) -> Option<Listing> {
    let get = |path: String| Call::get(Service::Cloudflare, path);
    Some(match need {
        Need::Zones => Listing {
            call: get("/zones".to_owned())
                .query("account.id", account)
                .purpose("reading the zones"),
            paging: Paging::Pages(50),
        },
        Need::IdentityProviders => Listing {
            call: get(format!("/accounts/{account}/access/identity_providers"))
                .purpose("reading the identity providers"),
            paging: Paging::Pages(1000),
        },
        Need::AccessGroups => Listing {
            call: get(format!("/accounts/{account}/access/groups"))
                .purpose("reading the Access groups"),
            paging: Paging::Pages(100),
        },
        Need::Tunnels => Listing {
            call: get(format!("/accounts/{account}/cfd_tunnel"))
                .query("is_deleted", "false")
                .purpose("reading the tunnels"),
            paging: Paging::Pages(1000),
        },
        Need::VirtualNetworks => Listing {
            call: get(format!("/accounts/{account}/teamnet/virtual_networks"))
                .query("is_deleted", "false")
                .purpose("reading the virtual networks"),
            paging: Paging::One,
        },
        Need::ApiResources => return None,
    })
}

/// The services that a stack uses, declared or recorded.
pub fn services(context: &Context<'_>, stack: &Stack, state: Option<&State>) -> BTreeSet<Service> {
    let declared = stack.resources.iter().map(|resource| resource.address.kind().to_owned());
    let recorded = state.into_iter().flat_map(|state| state.resources.values());
    let recorded = recorded.map(|recorded| recorded.kind.clone());
    let lookups = stack.lookups.iter().map(|_| Service::Cloudflare);
    declared
        .chain(recorded)
        .filter_map(|kind| (context.kinds)(&kind))
        .map(|kind| kind.service())
        .chain(lookups)
        .collect()
}

/// Everything that the stacks need to know before they can be read.
pub fn needs(context: &Context<'_>, stack: &Stack, state: Option<&State>) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    for resource in &stack.resources {
        if let Some(kind) = (context.kinds)(resource.address.kind()) {
            needs.extend(kind.needs(&resource.spec));
        }
    }
    for recorded in state.into_iter().flat_map(|state| state.resources.values()) {
        if let Some(kind) = (context.kinds)(&recorded.kind) {
            needs.extend(kind.needs(&recorded.sent));
        }
    }
    for lookup in &stack.lookups {
        needs.extend(crate::kinds::lookup::needs(lookup.address.kind()));
    }
    needs
}

fn text(item: &Json, key: &str) -> Option<String> {
    item.get(key)?.as_str().map(str::to_owned)
}

fn failed(what: &str, error: &CallError) -> Report {
    Report::error(format!("reading {what} failed")).call(error)
}

/// Reads what is needed.
///
/// # Errors
/// Something could not be read, or a zone of the project does not exist.
pub async fn read(
    context: &Context<'_>,
    project: &Project,
    needs: &BTreeSet<Need>,
    mut scope: Scope,
    away: &mut Away,
    collections: &mut Collections,
) -> Result<Scope, Stop> {
    let account = scope.account_id.clone();
    let cloudflare = needs.iter().filter_map(|need| Some((*need, listing(*need, &account)?)));
    let wanted: Vec<(Need, Listing)> = cloudflare.collect();
    if !wanted.is_empty() && account.is_empty() {
        return Err(Stop::error(
            Report::error("the project names no Cloudflare account")
                .hint("boxctl.yaml: `cloudflare: {account_id: …, zones: […]}`"),
        ));
    }
    let whole =
        |(_, listing): &(Need, Listing)| Wanted { listing: listing.clone(), filter: Filter::new() };
    let lists: Vec<Wanted> = wanted.iter().map(whole).collect();
    let asks = needs.contains(&Need::ApiResources) && away.of(Service::Kubernetes).is_none();
    let kubernetes =
        async { if asks { Some(context.transport.api_resources().await) } else { None } };
    let ((), resources) = futures::join!(collections.read(context, &lists, &[]), kubernetes);
    let mut unread: Vec<Report> = Vec::new();
    for ((need, _), wanted) in wanted.iter().zip(lists) {
        let Some(list) = collections.of_list(&wanted).map(|at| collections.items(at)) else {
            continue;
        };
        let items = match list {
            Ok(items) => items,
            Err(error) => {
                unread.push(failed(what(*need), &error));
                continue;
            }
        };
        match need {
            Need::Zones => match zones(project, &items) {
                Ok(zones) => scope.zones = zones,
                Err(reports) => unread.extend(reports),
            },
            Need::IdentityProviders => {
                scope.identity_providers = Some(
                    items
                        .iter()
                        .filter_map(|item| {
                            Some(IdentityProvider {
                                id: text(item, "id")?,
                                name: text(item, "name")?,
                                kind: text(item, "type")?,
                            })
                        })
                        .collect(),
                );
            }
            Need::AccessGroups => {
                let named = items.iter().filter_map(|item| {
                    Some(Zone { id: text(item, "id")?, name: text(item, "name")? })
                });
                scope.access_groups = Some(named.collect());
            }
            Need::Tunnels => {
                let live =
                    items.iter().filter(|item| item.get("deleted_at").is_none_or(Json::is_null));
                scope.tunnels = Some(
                    live.filter_map(|item| {
                        Some(Zone { id: text(item, "id")?, name: text(item, "name")? })
                    })
                    .collect(),
                );
            }
            Need::VirtualNetworks => {
                let live =
                    items.iter().filter(|item| item.get("deleted_at").is_none_or(Json::is_null));
                let known = live.filter_map(|item| {
                    let is_default = item.get("is_default_network").and_then(Json::as_bool);
                    Some(VirtualNetwork {
                        id: text(item, "id")?,
                        name: text(item, "name")?,
                        is_default: is_default.unwrap_or(false),
                    })
                });
                scope.virtual_networks = Some(known.collect());
            }
            Need::ApiResources => {}
        }
    }
    match resources {
        Some(Ok(resources)) => scope.api_resources = Some(resources),
        Some(Err(error)) => {
            if let Err(error) = away.note(Service::Kubernetes, error) {
                unread.push(failed(what(Need::ApiResources), &error));
            }
        }
        None => {}
    }
    if unread.is_empty() { Ok(scope) } else { Err(Stop { exit: Exit::Error, reports: unread }) }
}

/// What a need is for, in words.
fn what(need: Need) -> &'static str {
    match need {
        Need::Zones => "the zones",
        Need::IdentityProviders => "the identity providers",
        Need::AccessGroups => "the Access groups",
        Need::Tunnels => "the tunnels",
        Need::VirtualNetworks => "the virtual networks",
        Need::ApiResources => "what the cluster serves",
    }
}

/// The zones of the project, by the names or ids that it says.
fn zones(project: &Project, items: &[Json]) -> Result<Vec<Zone>, Vec<Report>> {
    let all: Vec<Zone> = items
        .iter()
        .filter_map(|item| Some(Zone { id: text(item, "id")?, name: text(item, "name")? }))
        .collect();
    let said = project.cloudflare.as_ref().map_or(&[][..], |settings| &settings.zones);
    let mut reports = Vec::new();
    let mut found = Vec::new();
    for name in said {
        let plain = name.trim_end_matches('.').to_ascii_lowercase();
        match all.iter().find(|zone| zone.name == plain || zone.id == *name) {
            Some(zone) => found.push(zone.clone()),
            None => {
                let names: Vec<_> = all.iter().map(|zone| zone.name.as_str()).collect();
                let there = if names.is_empty() {
                    "the token sees no zone of this account".to_owned()
                } else {
                    format!("the token sees {}", names.join(", "))
                };
                reports.push(
                    Report::error(format!("there is no zone {name} in the account"))
                        .cause(there)
                        .hint(
                            "check `cloudflare.zones` in boxctl.yaml; to see a zone, the token \
                             wants `Zone Read` for it",
                        ),
                );
            }
        }
    }
    if reports.is_empty() { Ok(found) } else { Err(reports) }
}

/// Where the services of a run live, and which of them are out of reach.
///
/// # Errors
/// A service answers and did not say.
pub async fn target(
    context: &Context<'_>,
    services: &BTreeSet<Service>,
    scope: &Scope,
) -> Result<(Target, Away), Stop> {
    let asking = services
        .iter()
        .map(|service| async move { (*service, context.transport.target(*service, scope).await) });
    let (mut whole, mut away) = (Target::default(), Away::default());
    for (service, answer) in futures::future::join_all(asking).await {
        match answer {
            Ok(part) => whole = whole.or(&part),
            Err(error) => away
                .note(service, error)
                .map_err(|error| failed(&format!("the identity of {}", service.title()), &error))?,
        }
    }
    Ok((whole, away))
}

/// Refuses a state that belongs to another target.
///
/// # Errors
/// What differs.
pub fn same_target(state: &State, now: &Target) -> Result<(), Stop> {
    let differences = state.target.differences(now);
    if differences.is_empty() {
        return Ok(());
    }
    let mut report =
        Report::error(format!("the state of {} belongs to another target", state.stack))
            .code("target");
    for (what, recorded, now) in differences {
        report = report.cause(format!("{what}: the state says {recorded}, this run has {now}"));
    }
    Err(Stop::refused(
        report
            .hint("check the credentials, endpoints and kube context of this shell")
            .hint("`boxctl state retarget` if the cluster was rebuilt and this is meant"),
    ))
}
