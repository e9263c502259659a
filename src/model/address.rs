//! How a resource is called within its stack.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kind name that all Kubernetes objects share.
pub const KUBERNETES: &str = "k8s";

/// `kind.name`: `tunnel.openhands`, `k8s.Deployment/openhands/openhands`,
/// `k8s.ExternalSecret.external-secrets.io/openhands/external-secret`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    kind: String,
    name: String,
}

impl Address {
    /// An address from its two parts; neither is checked.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Address { kind: kind.into(), name: name.into() }
    }

    /// The address of a Kubernetes object. `group` is given for kinds outside Kubernetes' own
    /// groups only, `namespace` for namespaced kinds only.
    pub fn kubernetes(
        kind: &str,
        group: Option<&str>,
        namespace: Option<&str>,
        name: &str,
    ) -> Self {
        let mut text = kind.to_owned();
        if let Some(group) = group {
            text.push('.');
            text.push_str(group);
        }
        if let Some(namespace) = namespace {
            text.push('/');
            text.push_str(namespace);
        }
        text.push('/');
        text.push_str(name);
        Address::new(KUBERNETES, text)
    }

    /// The kind: the part before the first dot.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name: the part after the first dot.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is a Kubernetes object.
    pub fn is_kubernetes(&self) -> bool {
        self.kind == KUBERNETES
    }

    /// The Kubernetes kind and, where the address has one, its group.
    pub fn kubernetes_kind(&self) -> Option<(&str, Option<&str>)> {
        if !self.is_kubernetes() {
            return None;
        }
        let head = self.name.split('/').next().unwrap_or_default();
        Some(match head.split_once('.') {
            Some((kind, group)) => (kind, Some(group)),
            None => (head, None),
        })
    }

    /// The text without the API group of a Kubernetes kind, as globs may be written.
    fn without_group(&self) -> Option<String> {
        let (kind, group) = self.kubernetes_kind()?;
        group?;
        let rest = self.name.split_once('/').map(|(_, rest)| rest).unwrap_or_default();
        Some(format!("{}.{kind}/{rest}", self.kind))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)
    }
}

/// Text that is no address: it has no dot, or nothing before or after it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an address: `kind.name` is what one looks like")]
pub struct AddressError(pub String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.split_once('.') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
                Ok(Address::new(kind, name))
            }
            _ => Err(AddressError(text.to_owned())),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[a-z0-9_]+\\..+$"})
    }
}

/// A pattern for addresses: `*` within a segment, `**` across segments; the API group of a
/// Kubernetes kind may be left out.
#[derive(Clone, Debug)]
pub struct AddressGlob {
    text: String,
    matcher: GlobMatcher,
}

impl AddressGlob {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern names one address only.
    pub fn is_exact(&self) -> bool {
        !self.text.contains(['*', '?', '[', '{'])
    }

    /// Whether the address fits the pattern.
    pub fn matches(&self, address: &Address) -> bool {
        self.matcher.is_match(address.to_string())
            || address.without_group().is_some_and(|text| self.matcher.is_match(text))
    }
}

impl FromStr for AddressGlob {
    type Err = globset::Error;

    fn from_str(text: &str) -> Result<Self, globset::Error> {
        let matcher = GlobBuilder::new(text).literal_separator(true).build()?.compile_matcher();
        Ok(AddressGlob { text: text.to_owned(), matcher })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        for text in ["tunnel.openhands", "k8s.ExternalSecret.external-secrets.io/a/b"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["tunnel", ".x", "x.", ""] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn globs_may_leave_the_group_out() {
        let object =
            Address::kubernetes("ExternalSecret", Some("external-secrets.io"), Some("a"), "b");
        let glob = |text: &str| text.parse::<AddressGlob>().unwrap();
        for text in ["**", "k8s.ExternalSecret/**", "k8s.ExternalSecret/a/*", "k8s.*/a/b"] {
            assert!(glob(text).matches(&object), "{text}");
        }
        for text in ["k8s.ExternalSecret/*", "tunnel.*", "k8s.Secret/**"] {
            assert!(!glob(text).matches(&object), "{text}");
        }
    }
}
