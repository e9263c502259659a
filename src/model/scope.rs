//! What a run knows beside the resources: accounts, zones, names that stand for ids.

use serde::{Deserialize, Serialize};

/// A zone of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// 32 hex digits.
    pub id: String,
    /// The domain, lower case, without a trailing dot.
    pub name: String,
}

/// An identity provider of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityProvider {
    /// A UUID.
    pub id: String,
    /// The name given to it.
    pub name: String,
    /// `github`, `onetimepin`, ….
    pub kind: String,
}

/// A virtual network of the account: a subnet is routed once in each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualNetwork {
    /// A UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is the one that routes belong to where nothing is said.
    pub is_default: bool,
}

/// A kind that the cluster serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiResource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind; empty where the version is announced and what serves it does not answer, so that
    /// its kinds are not known.
    pub kind: String,
    /// The name in paths.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<String>,
}

/// What is known of the accounts a stack lives in. Parts that no resource needs stay empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// The Cloudflare account.
    pub account_id: String,
    /// Zones: from the project file by name before the network, with ids after.
    pub zones: Vec<Zone>,
    /// Identity providers; None until read.
    pub identity_providers: Option<Vec<IdentityProvider>>,
    /// Access groups by name and id, for rules that name them; None until read.
    pub access_groups: Option<Vec<Zone>>,
    /// Live tunnels by name and id, for lookups; None until read.
    pub tunnels: Option<Vec<Zone>>,
    /// Virtual networks; None until read.
    pub virtual_networks: Option<Vec<VirtualNetwork>>,
    /// What the cluster serves; None until read.
    pub api_resources: Option<Vec<ApiResource>>,
    /// Random text of the state, for life: marks what boxctl creates.
    pub lineage: String,
}

impl Scope {
    /// The longest zone that the hostname ends with.
    pub fn zone_of(&self, hostname: &str) -> Option<&Zone> {
        let hostname = hostname.trim_end_matches('.').to_ascii_lowercase();
        self.zones
            .iter()
            .filter(|zone| {
                hostname == zone.name
                    || hostname.strip_suffix(&zone.name).is_some_and(|rest| rest.ends_with('.'))
            })
            .max_by_key(|zone| zone.name.len())
    }

    /// Whether something of an API group is announced, and what serves it does not answer: what is
    /// not known of the group is not known to be missing.
    pub fn is_away(&self, group: &str) -> bool {
        self.api_resources.iter().flatten().any(|r| r.group == group && r.kind.is_empty())
    }

    /// The resource that serves a kind, for `group/version` or the core group's `version`.
    pub fn api_resource(&self, api_version: &str, kind: &str) -> Option<&ApiResource> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.api_resources
            .iter()
            .flatten()
            .find(|r| r.group == group && r.version == version && r.kind == kind)
    }
}

/// What a kind needs to know before it can read or write; each is read once a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// The ids of the zones.
    Zones,
    /// The identity providers.
    IdentityProviders,
    /// The Access groups by name.
    AccessGroups,
    /// The tunnels by name.
    Tunnels,
    /// The virtual networks.
    VirtualNetworks,
    /// What the cluster serves.
    ApiResources,
}
