//! What is recorded of a stack.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::resource::VariableValue;
use super::{Json, JsonMap};

/// The version of the state's format.
pub const FORMAT_VERSION: u32 = 2;

/// Where a stack lives. Each part is recorded when the stack first needs it, and compared from
/// then on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Target {
    /// The Cloudflare account's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudflare_account: Option<String>,
    /// The host name of the Cloudflare endpoint, without port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudflare_host: Option<String>,
    /// The AWS account, as STS says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_account: Option<String>,
    /// The AWS region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_region: Option<String>,
    /// The host name of the SSM endpoint, without port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_host: Option<String>,
    /// The uid of the cluster's `kube-system` namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_cluster: Option<String>,
}

impl Target {
    fn parts(&self) -> [(&'static str, &Option<String>); 6] {
        [
            ("Cloudflare account", &self.cloudflare_account),
            ("Cloudflare endpoint", &self.cloudflare_host),
            ("AWS account", &self.aws_account),
            ("AWS region", &self.aws_region),
            ("AWS endpoint", &self.aws_host),
            ("Kubernetes cluster", &self.kubernetes_cluster),
        ]
    }

    /// Parts that both know and that differ: what, recorded, now.
    pub fn differences(&self, now: &Target) -> Vec<(&'static str, String, String)> {
        self.parts()
            .into_iter()
            .zip(now.parts())
            .filter_map(|((name, recorded), (_, now))| match (recorded, now) {
                (Some(recorded), Some(now)) if recorded != now => {
                    Some((name, recorded.clone(), now.clone()))
                }
                _ => None,
            })
            .collect()
    }

    /// This one, with what it lacks from `other`.
    #[must_use]
    pub fn or(self, other: &Target) -> Target {
        Target {
            cloudflare_account: self
                .cloudflare_account
                .or_else(|| other.cloudflare_account.clone()),
            cloudflare_host: self.cloudflare_host.or_else(|| other.cloudflare_host.clone()),
            aws_account: self.aws_account.or_else(|| other.aws_account.clone()),
            aws_region: self.aws_region.or_else(|| other.aws_region.clone()),
            aws_host: self.aws_host.or_else(|| other.aws_host.clone()),
            kubernetes_cluster: self
                .kubernetes_cluster
                .or_else(|| other.kubernetes_cluster.clone()),
        }
    }
}

/// What is recorded of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Recorded {
    /// The kind.
    pub kind: String,
    /// What the API knows it by.
    pub id: String,
    /// Its natural key.
    pub key: JsonMap,
    /// What was sent last: canonical and resolved, secrets as references with fingerprints.
    pub sent: Json,
    /// What the write's own answer made of it: at the declared paths; for Kubernetes objects, the
    /// owned fields by path.
    pub answered: Json,
    /// Outputs that are not secret.
    #[serde(default)]
    pub outputs: JsonMap,
    /// Fingerprints of secret outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// The service's version of it when it was written last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Versions of the parameters that it has read, by address, where that is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<Address, String>,
    /// What it needs: deletes go the other way round.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dependencies: BTreeSet<Address>,
    /// Whether it is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// Lists that others write too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<String>,
    /// What stood beside it in its lists when boxctl made it or took it over, and still did when it
    /// wrote it last: known, and nobody's drift.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub beside: BTreeSet<String>,
    /// Whether boxctl took it over rather than made it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Whether it is being replaced: its successor is not recorded yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replacing: bool,
    /// How it was seen to have run to its end (a Job, a Pod): what is gone then may not be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Whether it was not seen to be ready since it was written last, by a run that waits for that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaited: bool,
    /// When the service says that this write changed it (RFC 3339), where it says so: what it says
    /// later than this was someone else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<String>,
    /// When boxctl made it or took it over (RFC 3339).
    pub created_at: String,
    /// When boxctl wrote it last (RFC 3339).
    pub updated_at: String,
    /// When boxctl made its secret anew last (RFC 3339); None: it has the one it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<String>,
}

/// How something that runs to an end came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It did what it was there for.
    Succeeded,
    /// It gave up.
    Failed,
}

/// That a stack was rolled back, and what its files asked for then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RolledBack {
    /// The serial of the run whose objects are applied again.
    pub to: u64,
    /// The serial of the run that applied what the files ask for, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    /// A fingerprint of what the files ask for: while they do, apply wants to be told.
    pub files: String,
}

/// The state of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct State {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The stack.
    pub stack: String,
    /// Random text, for life.
    pub lineage: String,
    /// One more for each run that changed something.
    pub serial: u64,
    /// Where it lives.
    pub target: Target,
    /// The values of variables in the last apply.
    pub variables: BTreeMap<String, VariableValue>,
    /// The number of the last journal record that is in here.
    pub journal: u64,
    /// The ids of plans that were carried out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended_plans: Vec<String>,
    /// That the stack was rolled back, until its files change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<RolledBack>,
    /// The resources.
    pub resources: BTreeMap<Address, Recorded>,
}

impl State {
    /// A state with nothing in it.
    pub fn new(stack: &str, lineage: String) -> Self {
        State {
            format_version: FORMAT_VERSION,
            stack: stack.to_owned(),
            lineage,
            serial: 0,
            target: Target::default(),
            variables: BTreeMap::new(),
            journal: 0,
            ended_plans: Vec::new(),
            rolled_back: None,
            resources: BTreeMap::new(),
        }
    }
}
