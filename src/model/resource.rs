//! What the files ask for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Json;
use super::address::{Address, AddressGlob};

/// A place in a file of the project.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Location {
    /// The file, relative to the project.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How an object that is there already may be taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Adopt {
    /// Not unless the command line says so, and only what is identical.
    No,
    /// The one that fits, unless it is another's; the differences are made to go away. A pattern
    /// that fits many addresses says no more than this.
    Fitting,
    /// The one that fits, also if it is another's; the differences are made to go away.
    Yes,
    /// The one with this id.
    Id(String),
}

/// What a resource carries beside its spec: written in it, or by `settings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Meta {
    /// Resources that come first, without a value being passed.
    pub depends_on: BTreeSet<Address>,
    /// Never deleted unless told so explicitly. None: by kind.
    pub protect: Option<bool>,
    /// Paths that are left to others.
    pub ignore: Vec<String>,
    /// Paths that are taken from other owners.
    pub force: Vec<String>,
    /// Whether an object that is there already is taken over.
    pub adopt: Adopt,
    /// Lists that others write too: their items are kept and reported.
    pub shared: Vec<String>,
    /// Whether apply waits until it is ready.
    pub wait: bool,
    /// How long apply waits, in seconds; None: by kind.
    pub timeout_s: Option<u64>,
    /// An earlier address.
    pub renamed_from: Option<Address>,
    /// Whether it is only read and shown, since another tool applies it (`applied_by: argocd`).
    pub applied_elsewhere: bool,
}

impl Meta {
    /// Whether the resource is kept unless told otherwise; `by_kind` is what its kind says.
    pub fn protects(&self, by_kind: bool) -> bool {
        self.protect.unwrap_or(by_kind)
    }
}

impl Default for Meta {
    fn default() -> Self {
        Meta {
            depends_on: BTreeSet::new(),
            protect: None,
            ignore: Vec::new(),
            force: Vec::new(),
            adopt: Adopt::No,
            shared: Vec::new(),
            wait: true,
            timeout_s: None,
            renamed_from: None,
            applied_elsewhere: false,
        }
    }
}

/// One resource, declared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Resource {
    /// What it is called.
    pub address: Address,
    /// What is asked for, references unresolved ([`super::value::Special::Text`]), secrets as
    /// references. For a Kubernetes object: the manifest.
    pub spec: Json,
    /// What goes with it.
    pub meta: Meta,
    /// Where it was asked for.
    pub location: Option<Location>,
}

/// The value of a variable and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VariableValue {
    /// The value as text; a sensitive one's fingerprint.
    pub value: String,
    /// Whether `value` is a fingerprint.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// Where it came from.
    pub source: VariableSource,
}

/// Where a variable's value came from, first match first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VariableSource {
    /// `--var NAME=VALUE`.
    CommandLine,
    /// `--var-file FILE`.
    File,
    /// `BOXCTL_VAR_NAME`.
    Environment,
    /// The project's `values`.
    Values,
    /// The stack's `default`.
    Default,
}

impl VariableSource {
    /// Whether the value was given for this run only, and would be gone in the next.
    pub fn is_passing(self) -> bool {
        match self {
            VariableSource::CommandLine | VariableSource::File | VariableSource::Environment => {
                true
            }
            VariableSource::Values | VariableSource::Default => false,
        }
    }
}

/// A lookup: a name in a stack for something that exists and is not boxctl's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lookup {
    /// `identity_provider.github`.
    pub address: Address,
    /// What is looked for: `{"name": "GitHub"}`.
    pub query: Json,
    /// Where it was asked for.
    pub location: Option<Location>,
}

/// A stack, expanded: every resource it stands for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Stack {
    /// The stack's name.
    pub name: String,
    /// An earlier name of the stack.
    pub renamed_from: Option<String>,
    /// The stack's file, relative to the project.
    pub file: String,
    /// Resources by address, in the order of the files.
    pub resources: Vec<Resource>,
    /// Lookups.
    pub lookups: Vec<Lookup>,
    /// Addresses that leave the state and stay in the world: patterns.
    pub forget: Vec<String>,
    /// Variables as they were resolved for this run.
    pub variables: BTreeMap<String, VariableValue>,
    /// Warnings that the stack says are meant, by code, with the reason.
    pub accept: BTreeMap<String, String>,
    /// Hostnames that are said to be public (`access: public`).
    pub public: BTreeSet<String>,
    /// Patterns of `settings` with their `protect`, for resources that have left the files.
    pub protect_settings: Vec<(String, bool)>,
    /// Patterns of `settings` with their `timeout` in seconds, for resources that have left the
    /// files.
    pub timeout_settings: Vec<(String, u64)>,
    /// Whether objects are missing that commands of the files would print, since they were not run.
    /// What is recorded of such a stack and not declared has not left its files.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Patterns of `settings` with their `ignore`, for objects that are missing so.
    #[serde(skip)]
    pub ignore_settings: Vec<(String, Vec<String>)>,
}

impl Stack {
    /// The resource at an address.
    pub fn resource(&self, address: &Address) -> Option<&Resource> {
        self.resources.iter().find(|resource| &resource.address == address)
    }

    /// Whether an address may be missing only because no command was run.
    pub fn may_have(&self, address: &Address) -> bool {
        self.partial && address.is_kubernetes()
    }

    /// What is left to others of a resource that [`Stack::may_have`]: paths.
    pub fn ignored(&self, address: &Address) -> &[String] {
        let fits =
            |pattern: &str| pattern.parse::<AddressGlob>().is_ok_and(|glob| glob.matches(address));
        let mut said = self.ignore_settings.iter().rev().filter(|_| self.may_have(address));
        said.find(|(pattern, _)| fits(pattern)).map_or(&[], |(_, paths)| paths)
    }
}
