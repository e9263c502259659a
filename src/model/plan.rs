//! A plan: the ordered changes of the stacks of a run, with what they rest on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::change::{Action, Change, Drift, Phase};
use super::error::{Level, Report};
use super::resource::{Lookup, Resource, Stack, VariableValue};
use super::state::{RolledBack, Target};
use super::status::Elsewhere;
use super::unread::Taken;

/// The version of the saved plan's format.
pub const FORMAT_VERSION: u32 = 1;

/// How many requests each API was sent.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Requests {
    /// Cloudflare.
    pub cloudflare: u64,
    /// SSM and STS.
    pub ssm: u64,
    /// Kubernetes.
    pub kubernetes: u64,
}

impl Requests {
    /// All of them.
    pub fn total(self) -> u64 {
        self.cloudflare + self.ssm + self.kubernetes
    }
}

/// What a plan was asked to do, beside the files. A saved plan keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Options {
    /// Plan with nothing declared.
    pub destroy: bool,
    /// Take over what is there and identical.
    pub adopt: bool,
    /// Only these, with all they need: patterns.
    pub target: Vec<String>,
    /// Not these, nor what needs them: patterns.
    pub exclude: Vec<String>,
    /// Protected resources that may go: patterns.
    pub allow_protected: Vec<String>,
    /// More deletions than the project's limit are fine.
    pub allow_large: bool,
    /// Hostnames that may lose their Access application.
    pub allow_public: Vec<String>,
    /// Warnings are errors.
    pub strict: bool,
    /// Commands of the files are not run.
    pub no_commands: bool,
    /// What was rolled back is applied again.
    #[serde(default)]
    pub forward: bool,
    /// Values that are otherwise taken as recorded are read and compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verify_secrets: bool,
    /// Only the secrets of these are made anew, with what hangs on them: addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotate: Vec<String>,
    /// Only the secrets that are due are made anew, with what hangs on them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rotate_due: bool,
}

impl Options {
    /// Whether this is about secrets only.
    pub fn rotates(&self) -> bool {
        self.rotate_due || !self.rotate.is_empty()
    }
}

/// The plan of one stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StackPlan {
    /// The stack.
    pub stack: String,
    /// An earlier name of the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// Its state's lineage; the one that a first apply will give it.
    pub lineage: String,
    /// The serial of the state that was planned against; 0 where there is none.
    pub serial: u64,
    /// Where it lives.
    pub target: Target,
    /// The values of variables.
    pub variables: BTreeMap<String, VariableValue>,
    /// Every declared resource, whole, secrets as references.
    pub declared: Vec<Resource>,
    /// Its lookups.
    #[serde(default)]
    pub lookups: Vec<Lookup>,
    /// Patterns of addresses that leave the state and stay in the world.
    #[serde(default)]
    pub forget: Vec<String>,
    /// Warnings that are meant, by code.
    #[serde(default)]
    pub accept: BTreeMap<String, String>,
    /// Hostnames that are said to be public.
    #[serde(default)]
    pub public: BTreeSet<String>,
    /// Patterns of `settings` with their `protect`.
    #[serde(default)]
    pub protect_settings: Vec<(String, bool)>,
    /// Patterns of `settings` with their `timeout`, in seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeout_settings: Vec<(String, u64)>,
    /// Whether objects are missing that commands of the files would print, since they were not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The stack's file.
    #[serde(default)]
    pub file: String,
    /// Whether its file is gone and it is to be destroyed.
    #[serde(default)]
    pub retired: bool,
    /// That this takes the stack back to an earlier run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<RolledBack>,
    /// The steps, in an order in which they could be done one after the other.
    pub changes: Vec<Change>,
    /// Resources that are as they should be, by address, with what the next state says of them
    /// where that differs from the last (spelling of the files, dependencies).
    pub unchanged: Vec<Address>,
    /// What of that an earlier run applied and nobody has seen ready: apply waits for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<Address>,
    /// Values that were taken as they are recorded, since they were not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Taken>,
    /// What is not as it was recorded.
    pub drift: Vec<Drift>,
    /// What there is to tell; errors among them refuse the apply.
    pub checks: Vec<Report>,
    /// Protected resources that have left the files and are kept.
    pub kept: Vec<Address>,
    /// Resources that are read and shown, and applied by another tool.
    pub elsewhere: Vec<Elsewhere>,
    /// What each declared resource needs: references, names in manifests, guards of hostnames.
    pub needs: BTreeMap<Address, BTreeSet<Address>>,
    /// Records to be brought up to date without any call: renames, respellings.
    pub refresh: Vec<Refresh>,
}

/// A record that changes although the world does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Refresh {
    /// The resource.
    pub address: Address,
    /// Its earlier address, when it was renamed.
    pub moved_from: Option<Address>,
    /// What the record becomes; None when it only leaves (it was deleted by someone else).
    pub record: Option<Box<super::state::Recorded>>,
    /// Whether this is more than bookkeeping, and worth a line in the plan.
    pub shown: bool,
}

/// How many changes of each action.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Summary {
    /// To be made.
    pub create: usize,
    /// To be changed.
    pub update: usize,
    /// To be deleted and made again.
    pub replace: usize,
    /// To be deleted.
    pub delete: usize,
    /// To be taken over.
    pub adopt: usize,
    /// To leave the state.
    pub forget: usize,
    /// Secrets to be made anew.
    pub rotate: usize,
    /// As they should be.
    pub noop: usize,
}

impl Summary {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.create
            + self.update
            + self.replace
            + self.delete
            + self.adopt
            + self.forget
            + self.rotate
            == 0
    }

    /// Counts a change; one in two parts counts once.
    pub fn count(&mut self, change: &Change) {
        if matches!(change.phase, Phase::Widen | Phase::Remove | Phase::Await) {
            return;
        }
        let count = match change.action {
            Action::Create => &mut self.create,
            Action::Update => &mut self.update,
            Action::Replace => &mut self.replace,
            Action::Delete => &mut self.delete,
            Action::Adopt => &mut self.adopt,
            Action::Forget => &mut self.forget,
            Action::Rotate => &mut self.rotate,
        };
        *count += 1;
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Summary) -> Summary {
        Summary {
            create: self.create + other.create,
            update: self.update + other.update,
            replace: self.replace + other.replace,
            delete: self.delete + other.delete,
            adopt: self.adopt + other.adopt,
            forget: self.forget + other.forget,
            rotate: self.rotate + other.rotate,
            noop: self.noop + other.noop,
        }
    }
}

impl StackPlan {
    /// The stack as it was declared when this was planned.
    pub fn as_declared(&self) -> Stack {
        Stack {
            name: self.stack.clone(),
            renamed_from: self.renamed_from.clone(),
            file: self.file.clone(),
            resources: self.declared.clone(),
            lookups: self.lookups.clone(),
            forget: self.forget.clone(),
            variables: self.variables.clone(),
            accept: self.accept.clone(),
            public: self.public.clone(),
            protect_settings: self.protect_settings.clone(),
            timeout_settings: self.timeout_settings.clone(),
            partial: self.partial,
            ignore_settings: Vec::new(),
        }
    }

    /// How many changes of each action: a change in two phases counts once.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { noop: self.unchanged.len(), ..Summary::default() };
        self.changes.iter().for_each(|change| summary.count(change));
        summary
    }

    /// What refuses the apply.
    pub fn refusals(&self) -> impl Iterator<Item = &Report> {
        self.checks.iter().filter(|check| check.level == Level::Error)
    }
}

/// A plan for one run: data, and nothing that could still be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Plan {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Random, for the journal's notes of its start and end.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// What was asked for.
    pub options: Options,
    /// The stacks.
    pub stacks: Vec<StackPlan>,
    /// What it cost.
    pub requests: Requests,
}

impl Plan {
    /// All stacks together.
    pub fn summary(&self) -> Summary {
        self.stacks.iter().fold(Summary::default(), |sum, stack| sum.plus(stack.summary()))
    }
}
