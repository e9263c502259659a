//! Who is told of drift, and what was told last.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::change::{Drift, DriftKind};

/// Who is told when the set of drift changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// Where it is sent.
    pub webhooks: Vec<Webhook>,
    /// Whether what was told is kept beside the state; without, every run that finds drift tells.
    pub remember: bool,
}

/// One place to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// What it takes.
    pub shape: WebhookShape,
    /// The variable of the environment that holds its URL, which is a secret.
    pub url_env: String,
}

/// What a webhook takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookShape {
    /// Slack's incoming webhooks, and what is compatible with them.
    Slack,
    /// Discord's webhooks.
    Discord,
    /// A JSON document of boxctl's own.
    Json,
}

/// One resource of a set of drift, as it is remembered. No value is in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Told {
    /// The stack.
    pub stack: String,
    /// The resource.
    pub address: Address,
    /// How it had drifted.
    pub drift: DriftKind,
    /// Tells whether it has changed again.
    pub fingerprint: String,
}

impl Told {
    /// Whether it is the same resource, drifted in the same manner.
    pub fn is_about(&self, other: &Told) -> bool {
        (&self.stack, &self.address, self.drift) == (&other.stack, &other.address, other.drift)
    }
}

/// What changed in a set of drift since it was told last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// What has drifted since, with its stack.
    pub new: Vec<(String, Drift)>,
    /// What has changed again since.
    pub changed: Vec<(String, Drift)>,
    /// What has drifted no more.
    pub resolved: Vec<Told>,
    /// What somebody has acknowledged since.
    pub acknowledged: Vec<Told>,
    /// How many there are that were told before and are as they were.
    pub same: usize,
}

impl News {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
            && self.changed.is_empty()
            && self.resolved.is_empty()
            && self.acknowledged.is_empty()
    }
}
