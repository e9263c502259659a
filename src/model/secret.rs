//! Values that must not be seen, and what may be kept of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::prelude::*;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Json;
use super::address::Address;
use super::value::{SecretPart, Special, map_special};

/// A secret value. It has no Serialize, Display, Clone or comparison, and its Debug hides it: only
/// the one place that sends requests reads it.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the value over.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(Zeroizing::new(value.into()))
    }

    /// The key of 32 bytes that it is in Base64; None where it is anything else.
    pub fn key(&self) -> Option<Zeroizing<[u8; 32]>> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(self.0.trim()).ok()?);
        bytes.as_slice().try_into().ok().map(Zeroizing::new)
    }

    /// The value itself. Every use of this is a place to audit.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where a secret comes from: `tunnel.openhands.token`, `var.password`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretId(String);

impl SecretId {
    /// An output of a resource, or a part of it that boxctl makes.
    pub fn output(address: &Address, output: &str) -> Self {
        SecretId(format!("{address}.{output}"))
    }

    /// A sensitive variable.
    pub fn variable(name: &str) -> Self {
        SecretId(format!("var.{name}"))
    }

    /// The resource and output that this names; None for a variable.
    pub fn as_output(&self) -> Option<(Address, &str)> {
        if self.0.starts_with("var.") {
            return None;
        }
        let (address, output) = self.0.rsplit_once('.')?;
        Some((address.parse().ok()?, output))
    }

    /// The text, as it stands in states and plans.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret values of one run, in memory only.
#[derive(Default)]
pub struct Secrets {
    values: BTreeMap<SecretId, Secret>,
    /// Texts that secrets were put into, which are secret too: an answer may repeat them encoded.
    composed: Mutex<Vec<Zeroizing<String>>>,
}

impl Secrets {
    /// No values.
    pub fn new() -> Self {
        Secrets::default()
    }

    /// Keeps a value for this run.
    pub fn insert(&mut self, id: SecretId, secret: Secret) {
        self.values.insert(id, secret);
    }

    /// Forgets the values that a resource has given, since it gets others. They stay secret.
    pub fn retire(&mut self, address: &Address) {
        let own = |id: &SecretId| id.as_output().is_some_and(|(of, _)| of == *address);
        let ids: Vec<SecretId> = self.values.keys().filter(|id| own(id)).cloned().collect();
        for id in ids {
            if let Some(Secret(value)) = self.values.remove(&id) {
                self.composed.get_mut().unwrap_or_else(PoisonError::into_inner).push(value);
            }
        }
    }

    /// Keeps a text out of all others, as the secret that it is, and for nothing else.
    pub fn hide(&mut self, secret: Secret) {
        let Secret(value) = secret;
        self.composed.get_mut().unwrap_or_else(PoisonError::into_inner).push(value);
    }

    /// The value from that source, if this run has it.
    pub fn get(&self, id: &SecretId) -> Option<&Secret> {
        self.values.get(id)
    }

    /// Where the values at hand come from.
    pub fn ids(&self) -> impl Iterator<Item = &SecretId> {
        self.values.keys()
    }

    /// Every value, for scrubbing texts.
    pub fn values(&self) -> impl Iterator<Item = &Secret> {
        self.values.values()
    }

    /// The body of a request with its secrets put in. Only a sender calls this.
    ///
    /// # Errors
    /// The source of a secret that this run does not have.
    pub fn reveal(&self, body: &Json) -> Result<Json, MissingSecret> {
        map_special(body, &mut |special| match special {
            Special::Secret(parts) => {
                let is_composed = parts.len() > 1;
                let mut text = String::new();
                for part in parts {
                    match part {
                        SecretPart::Literal(literal) => text.push_str(&literal),
                        SecretPart::From { source, .. } => match self.get(&source) {
                            Some(secret) => text.push_str(secret.expose()),
                            None => return Err(MissingSecret(source)),
                        },
                    }
                }
                if is_composed {
                    let mut composed = self.composed.lock().unwrap_or_else(PoisonError::into_inner);
                    if !composed.iter().any(|known| **known == text) {
                        composed.push(Zeroizing::new(text.clone()));
                    }
                }
                Ok(Json::String(text))
            }
            other => Ok(other.into_value()),
        })
    }

    /// The text with every secret of this run replaced by `(secret)`: plain, as JSON escapes and
    /// URLs spell it, and in base64.
    pub fn scrub(&self, text: &str) -> String {
        let mut out = text.to_owned();
        let composed = self.composed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values: Vec<&str> = self.values().map(Secret::expose).collect();
        values.extend(composed.iter().map(|text| text.as_str()));
        values.retain(|value| value.len() >= 4);
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        for value in values {
            out = out.replace(value, "(secret)");
            let escaped = Json::String(value.to_owned()).to_string();
            out = out.replace(escaped.trim_matches('"'), "(secret)");
            let url: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            out = out.replace(&url, "(secret)");
            // With the padding first, or it would be left behind.
            for encoded in [
                BASE64_STANDARD.encode(value),
                BASE64_STANDARD_NO_PAD.encode(value),
                BASE64_URL_SAFE.encode(value),
                BASE64_URL_SAFE_NO_PAD.encode(value),
            ] {
                out = out.replace(&encoded, "(secret)");
            }
        }
        out
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// A secret that a request needs and this run has not fetched.
#[derive(Debug, thiserror::Error)]
#[error("the secret {0} is not at hand")]
pub struct MissingSecret(pub SecretId);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_shows_in_no_debug_output_and_in_no_scrubbed_text() {
        let mut secrets = Secrets::new();
        let id = SecretId::output(&Address::new("tunnel", "a"), "token");
        secrets.insert(id.clone(), Secret::new("s3cr\"t/+value"));
        assert!(!format!("{secrets:?} {:?}", secrets.get(&id)).contains("s3cr"));
        let text = "got s3cr\"t/+value, \"s3cr\\\"t/+value\", s3cr%22t%2F%2Bvalue";
        assert!(!secrets.scrub(text).contains("s3cr"), "{}", secrets.scrub(text));
        let encoded = BASE64_STANDARD.encode("s3cr\"t/+value");
        assert_eq!(secrets.scrub(&format!("x {encoded} y")), "x (secret) y");
        assert_eq!(id.as_output(), Some((Address::new("tunnel", "a"), "token")));
    }

    #[test]
    fn a_body_gets_its_secrets_only_when_they_are_at_hand() {
        let mut secrets = Secrets::new();
        let id = SecretId::variable("password");
        let body = json!({"Value": Special::secret(id.clone(), None)});
        assert!(secrets.reveal(&body).is_err());
        secrets.insert(id, Secret::new("hunter2"));
        assert_eq!(secrets.reveal(&body).unwrap(), json!({"Value": "hunter2"}));
    }

    #[test]
    fn a_text_that_a_secret_was_put_into_is_scrubbed_however_it_comes_back() {
        let mut secrets = Secrets::new();
        let id = SecretId::variable("password");
        secrets.insert(id.clone(), Secret::new("hunter2"));
        let parts = vec![
            SecretPart::Literal("user:".to_owned()),
            SecretPart::From { source: id, fingerprint: None },
        ];
        let revealed = secrets.reveal(&Special::Secret(parts).into_value()).unwrap();
        assert_eq!(revealed, "user:hunter2");
        let encoded = BASE64_STANDARD.encode("user:hunter2");
        assert_eq!(secrets.scrub(&format!("said {encoded}")), "said (secret)");
    }
}
