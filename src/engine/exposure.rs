//! Never exposed unguarded: which resources publish a hostname, which guard it, and the order
//! that follows. Access before ingress before DNS; on the way down the other way round.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::Address;
use crate::model::resource::Resource;
use crate::model::scope::Scope;
use crate::model::value::references;
use crate::model::{Json, kind::Kind};

/// How a resource takes part in publishing hostnames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It asks visitors who they are: an Access application.
    Guard,
    /// It sends requests to an origin: a tunnel's configuration.
    Route,
    /// It leads visitors to the edge: a record.
    Name,
}

/// The role of a kind, if it has one.
pub fn role(kind: &str) -> Option<Role> {
    match kind {
        "access_application" => Some(Role::Guard),
        "tunnel_config" => Some(Role::Route),
        "dns_record" => Some(Role::Name),
        _ => None,
    }
}

/// Who publishes and guards each hostname.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposure {
    /// Resources by hostname and role.
    pub by_hostname: BTreeMap<String, BTreeSet<(Role, Address)>>,
}

impl Exposure {
    /// Takes a spec in: the hostnames that it publishes or guards.
    pub fn add(&mut self, kind: &dyn Kind, address: &Address, spec: &Json, scope: &Scope) {
        let Some(role) = role(kind.name()) else { return };
        for hostname in kind.hostnames(spec, scope) {
            self.by_hostname.entry(hostname).or_default().insert((role, address.clone()));
        }
    }

    /// Hostnames for which this resource has the role.
    pub fn hostnames(&self, address: &Address) -> BTreeSet<&str> {
        self.by_hostname
            .iter()
            .filter(|(_, parts)| parts.iter().any(|(_, a)| a == address))
            .map(|(hostname, _)| hostname.as_str())
            .collect()
    }

    /// The resources that have a role for a hostname. A wildcard guards what is below it.
    pub fn with_role<'a>(
        &'a self,
        hostname: &'a str,
        role: Role,
    ) -> impl Iterator<Item = &'a Address> {
        patterns(hostname)
            .filter_map(|pattern| self.by_hostname.get(&pattern))
            .flatten()
            .filter(move |(r, _)| *r == role)
            .map(|(_, address)| address)
    }

    /// Everything that a hostname meets here: itself, the wildcards above it and, where it is a
    /// wildcard, what is below it. The first of each pair is the narrower of the two hostnames.
    pub fn meeting<'a>(
        &'a self,
        hostname: &'a str,
    ) -> impl Iterator<Item = (&'a str, Role, &'a Address)> {
        let above = patterns(hostname)
            .filter_map(|pattern| self.by_hostname.get(&pattern))
            .flatten()
            .map(move |part| (hostname, part));
        let below = hostname.starts_with("*.").then(|| {
            let below = self.by_hostname.iter();
            let below = below.filter(move |(h, _)| *h != hostname && fits(hostname, h));
            below.flat_map(|(h, parts)| parts.iter().map(move |part| (h.as_str(), part)))
        });
        above
            .chain(below.into_iter().flatten())
            .map(|(narrower, (role, address))| (narrower, *role, address))
    }

    /// What routes or names a hostname, or a part of what it stands for.
    pub fn publishers<'a>(
        &'a self,
        hostname: &'a str,
    ) -> impl Iterator<Item = (&'a str, Role, &'a Address)> {
        self.meeting(hostname).filter(|(_, role, _)| *role != Role::Guard)
    }

    /// What each resource needs, so that nothing is published before it is guarded.
    pub fn needs(&self) -> BTreeMap<Address, BTreeSet<Address>> {
        let mut needs: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
        for (hostname, parts) in &self.by_hostname {
            for (role, address) in parts {
                let before: &[Role] = match role {
                    Role::Guard => &[],
                    Role::Route => &[Role::Guard],
                    Role::Name => &[Role::Guard, Role::Route],
                };
                let met = self.meeting(hostname).filter(|(_, role, _)| before.contains(role));
                let needed = met.map(|(_, _, needed)| needed.clone());
                needs.entry(address.clone()).or_default().extend(needed);
            }
        }
        needs
    }
}

/// The names under which a hostname may be guarded or published: its own, and the wildcards above.
fn patterns(hostname: &str) -> impl Iterator<Item = String> + '_ {
    let above = hostname.match_indices('.').map(|(at, _)| format!("*{}", &hostname[at..]));
    std::iter::once(hostname.to_owned()).chain(above.filter(move |pattern| pattern != hostname))
}

/// Whether a hostname, possibly a wildcard, stands for another.
pub fn fits(pattern: &str, hostname: &str) -> bool {
    pattern == hostname
        || pattern
            .strip_prefix("*.")
            .is_some_and(|rest| hostname.strip_suffix(rest).is_some_and(|head| head.ends_with('.')))
}

/// Policies that stand within an application are part of its guard: what routes needs them too.
pub fn policies_of<'a>(
    application: &'a Address,
    resources: &'a [Resource],
) -> impl Iterator<Item = &'a Address> {
    resources
        .iter()
        .filter(|resource| resource.address.kind() == "access_application_policy")
        .filter(move |resource| {
            references(&resource.spec).iter().any(|r| &r.address == application)
        })
        .map(|resource| &resource.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_comes_before_ingress_before_dns() {
        let mut exposure = Exposure::default();
        let part = |role, kind: &str| (role, Address::new(kind, "a"));
        let parts = [
            part(Role::Name, "dns_record"),
            part(Role::Guard, "access_application"),
            part(Role::Route, "tunnel_config"),
        ];
        exposure.by_hostname.insert("a.example.org".into(), parts.into());
        let needs = exposure.needs();
        let of = |kind: &str| {
            let needs = needs.get(&Address::new(kind, "a")).into_iter().flatten();
            needs.map(|address| address.kind().to_owned()).collect::<Vec<_>>()
        };
        assert!(of("access_application").is_empty());
        assert_eq!(of("tunnel_config"), ["access_application"]);
        assert_eq!(of("dns_record"), ["access_application", "tunnel_config"]);
    }

    #[test]
    fn what_a_wildcard_publishes_needs_every_guard_below_it() {
        let mut exposure = Exposure::default();
        let mut add = |hostname: &str, role, address: &Address| {
            exposure
                .by_hostname
                .entry(hostname.to_owned())
                .or_default()
                .insert((role, address.clone()));
        };
        let (route, wide, narrow, other) = (
            Address::new("tunnel_config", "a"),
            Address::new("access_application", "wide"),
            Address::new("access_application", "narrow"),
            Address::new("access_application", "other"),
        );
        add("*.example.org", Role::Route, &route);
        add("*.example.org", Role::Guard, &wide);
        add("a.example.org", Role::Guard, &narrow);
        add("a.example.com", Role::Guard, &other);
        assert_eq!(exposure.needs()[&route], [wide, narrow].into());
        let met: Vec<_> = exposure.publishers("a.example.org").collect();
        assert_eq!(met, [("a.example.org", Role::Route, &route)]);
    }

    #[test]
    fn a_wildcard_stands_for_what_is_below_it() {
        assert!(fits("*.example.org", "a.example.org"));
        assert!(!fits("*.example.org", "example.org"));
        assert!(!fits("*.example.org", "aexample.org"));
        assert!(fits("a.example.org", "a.example.org"));
    }
}
