//! External Secrets: an ExternalSecret becomes a Secret with the values of its parameters.

use std::collections::BTreeMap;

use base64::prelude::*;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::events::{Said, Source};
use super::{EXTERNAL_SECRETS, condition, going, owned_by};
use crate::sandbox::kubernetes::value::{child, fields, items, metadata, number, set, text};
use crate::sandbox::kubernetes::{Cluster, Outside, rfc3339};

const GROUP: &str = "external-secrets.io";
const PLURAL: &str = "externalsecrets";

impl Cluster {
    /// Names of the parameters that ExternalSecrets want read now: those of new and changed ones,
    /// of those that are not ready, and of those whose refresh interval is over.
    pub fn wanted_parameters(&self, now: Timestamp) -> Vec<String> {
        let mut names: Vec<String> = self
            .store
            .list(GROUP, PLURAL, None)
            .into_iter()
            .filter(|secret| self.is_due(secret, now))
            .flat_map(keys)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(super) fn sync_secrets(&mut self, outside: &Outside, now: Timestamp) {
        for external in self.all_of(GROUP, PLURAL) {
            if self.is_due(&external, now) {
                self.sync(&external, outside, now);
            }
        }
    }

    fn is_due(&self, external: &Value, now: Timestamp) -> bool {
        if going(external) {
            return false;
        }
        let ready = items(external, "/status/conditions")
            .iter()
            .any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True");
        let changed = text(external, "/status/syncedResourceVersion") != version_of(external);
        let policy = text(external, "/spec/target/creationPolicy");
        let namespace = text(external, "/metadata/namespace");
        let gone = matches!(policy, "" | "Owner" | "Orphan")
            && self.store.get("", "secrets", namespace, target_name(external)).is_none();
        !ready || changed || gone || is_stale(external, now)
    }

    fn sync(&mut self, external: &Value, outside: &Outside, now: Timestamp) {
        let result = self
            .values(external, outside)
            .and_then(|values| self.write_secret(external, &values, now));
        let before = items(external, "/status/conditions");
        let mut status = external.get("status").cloned().unwrap_or_else(|| json!({}));
        let ready = match &result {
            Ok(()) => {
                let map = fields(&mut status);
                map.insert("refreshTime".to_owned(), rfc3339(now).into());
                map.insert("syncedResourceVersion".to_owned(), version_of(external).into());
                let binding = json!({"name": target_name(external)});
                map.insert("binding".to_owned(), binding);
                condition(before, "Ready", true, "SecretSynced", "secret synced", now)
            }
            Err(message) => condition(before, "Ready", false, "SecretSyncedError", message, now),
        };
        let source = Source::Controller("external-secrets");
        let said = match &result {
            Ok(()) => Said::normal("Created", "secret created"),
            Err(message) => Said::warning("UpdateFailed", message),
        };
        let was = before.iter().find(|c| text(c, "/type") == "Ready");
        if was.map(|c| text(c, "/status")) != Some(text(&ready, "/status")) {
            self.tell(external, source, said, now);
        }
        set(&mut status, "conditions", Some(json!([ready])));
        let mut object = external.clone();
        set(&mut object, "status", Some(status));
        self.update_status_as(EXTERNAL_SECRETS, &object, now);
    }

    /// The values under their keys, or why there are none.
    fn values(
        &self,
        external: &Value,
        outside: &Outside,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut values = BTreeMap::new();
        for (i, source) in items(external, "/spec/dataFrom").iter().enumerate() {
            self.check_store(external, source.get("sourceRef"))?;
            let Some(reference) = source.get("extract") else { continue };
            let value = fetch(reference, outside).map_err(|why| {
                let key = text(reference, "/key");
                format!("error processing spec.dataFrom[{i}].extract (key: {key}), err: {why}")
            })?;
            let map: Value = serde_json::from_str(&value).map_err(|_| {
                format!(
                    "error processing spec.dataFrom[{i}].extract, err: unable to unmarshal secret"
                )
            })?;
            for (key, member) in map.as_object().into_iter().flatten() {
                values.insert(key.clone(), plain(member));
            }
        }
        for (i, datum) in items(external, "/spec/data").iter().enumerate() {
            self.check_store(external, datum.get("sourceRef"))?;
            let reference = datum.get("remoteRef").unwrap_or(&Value::Null);
            let value = fetch(reference, outside).map_err(|why| {
                let key = text(reference, "/key");
                format!("error processing spec.data[{i}] (key: {key}), err: {why}")
            })?;
            values.insert(text(datum, "/secretKey").to_owned(), value);
        }
        Ok(values)
    }

    fn check_store(&self, external: &Value, own: Option<&Value>) -> Result<(), String> {
        let own = own.and_then(|o| o.get("storeRef"));
        let common = external.pointer("/spec/secretStoreRef");
        let Some(reference) = own.or(common) else {
            return Err("no secret store is named".to_owned());
        };
        let name = text(reference, "/name");
        let (plural, namespace) = match text(reference, "/kind") {
            "ClusterSecretStore" => ("clustersecretstores", ""),
            _ => ("secretstores", text(external, "/metadata/namespace")),
        };
        let kind = if namespace.is_empty() { "ClusterSecretStore" } else { "SecretStore" };
        let Some(store) = self.store.get(GROUP, plural, namespace, name) else {
            return Err(format!(
                "could not get {kind} {name:?}, {kind}.{GROUP} {name:?} not found"
            ));
        };
        let ready = |c: &Value| text(c, "/type") == "Ready" && text(c, "/status") == "True";
        if items(store, "/status/conditions").iter().any(ready) {
            Ok(())
        } else {
            Err(format!("the desired {kind} {name} is not ready"))
        }
    }

    fn write_secret(
        &mut self,
        external: &Value,
        values: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<(), String> {
        let policy = text(external, "/spec/target/creationPolicy");
        if policy == "None" {
            return Ok(());
        }
        let namespace = text(external, "/metadata/namespace");
        let name = target_name(external);
        let live = self.store.get("", "secrets", namespace, name).cloned();
        if live.is_none() && policy == "Merge" {
            return Err(format!("the secret {namespace}/{name} to merge into does not exist"));
        }
        let mut secret = live.clone().unwrap_or_else(|| {
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
            })
        });
        if matches!(policy, "" | "Owner") {
            let owners = items(&secret, "/metadata/ownerReferences");
            let mine = text(external, "/metadata/uid");
            let controller = |o: &&Value| o.get("controller") == Some(&Value::Bool(true));
            if owners.iter().filter(controller).any(|o| text(o, "/uid") != mine) {
                return Err(format!(
                    "the secret {namespace}/{name} is owned by another controller"
                ));
            }
            metadata(&mut secret).insert("ownerReferences".to_owned(), owned_by(external));
        }
        fill(&mut secret, external, values, policy == "Merge");
        if live.is_some() {
            self.update_as(EXTERNAL_SECRETS, &secret, now);
        } else {
            self.put_as(EXTERNAL_SECRETS, &secret, now);
        }
        let there = self.store.get("", "secrets", namespace, name);
        let written = there.is_some_and(|s| s.get("data") == secret.get("data"));
        if written { Ok(()) } else { Err(format!("could not write secret {namespace}/{name}")) }
    }
}

fn fill(secret: &mut Value, external: &Value, values: &BTreeMap<String, String>, merge: bool) {
    let template = external.pointer("/spec/target/template").cloned().unwrap_or_default();
    let kind = text(&template, "/type");
    if !kind.is_empty() && secret.get("type").is_none() {
        set(secret, "type", Some(kind.into()));
    }
    if external.pointer("/spec/target/immutable") == Some(&Value::Bool(true)) {
        set(secret, "immutable", Some(true.into()));
    }
    for field in ["labels", "annotations"] {
        let wanted = template.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        for (key, value) in wanted.into_iter().flatten() {
            set(child(child(secret, "metadata"), field), key, Some(value.clone()));
        }
    }
    let labels = child(child(secret, "metadata"), "labels");
    set(labels, "reconcile.external-secrets.io/managed", Some("true".into()));
    let shaped = template.get("data").and_then(Value::as_object);
    let rendered: BTreeMap<String, String> = match shaped {
        Some(shaped) => shaped
            .iter()
            .map(|(key, text)| (key.clone(), render(text.as_str().unwrap_or_default(), values)))
            .collect(),
        None => values.clone(),
    };
    if !merge {
        set(secret, "data", Some(json!({})));
    }
    for (key, value) in rendered {
        let encoded = BASE64_STANDARD.encode(value);
        set(child(secret, "data"), &key, Some(encoded.into()));
    }
}

/// The templates that name a key and no more: `{{ .key }}`.
fn render(template: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else { break };
        out.push_str(before);
        let key = name.trim_matches(|c: char| c == '-' || c.is_whitespace());
        let key = key.trim_start_matches('.');
        out.push_str(values.get(key).map_or("", String::as_str));
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn fetch(reference: &Value, outside: &Outside) -> Result<String, String> {
    let found = outside.parameters.get(text(reference, "/key"));
    let value = found.ok_or("Secret does not exist")?;
    let property = text(reference, "/property");
    let value = if property.is_empty() {
        value.clone()
    } else {
        let document: Value = serde_json::from_str(value).map_err(|_| "value is no JSON")?;
        let pointer = format!("/{}", property.replace('.', "/"));
        let member = document.get(property).or_else(|| document.pointer(&pointer));
        plain(member.ok_or_else(|| format!("key {property} does not exist in secret"))?)
    };
    if text(reference, "/decodingStrategy") != "Base64" {
        return Ok(value);
    }
    let bytes = BASE64_STANDARD.decode(value.trim()).map_err(|_| "value is no base64")?;
    String::from_utf8(bytes).map_err(|_| "decoded value is no text".to_owned())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn keys(external: &Value) -> Vec<String> {
    let data = items(external, "/spec/data").iter().map(|d| text(d, "/remoteRef/key"));
    let from = items(external, "/spec/dataFrom").iter().map(|d| text(d, "/extract/key"));
    data.chain(from).filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

fn target_name(external: &Value) -> &str {
    let name = text(external, "/spec/target/name");
    if name.is_empty() { text(external, "/metadata/name") } else { name }
}

/// What the operator compares to see a change: generation, labels and annotations.
fn version_of(external: &Value) -> String {
    let meta = |field: &str| {
        let map = external.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        let sorted: BTreeMap<_, _> = map.into_iter().flatten().collect();
        json!(sorted).to_string()
    };
    let digest = Sha256::digest(format!("{}{}", meta("labels"), meta("annotations")).as_bytes());
    let hash: String = digest.iter().take(14).map(|b| format!("{b:02x}")).collect();
    format!("{}-{hash}", number(external, "/metadata/generation").unwrap_or(1))
}

fn is_stale(external: &Value, now: Timestamp) -> bool {
    let policy = text(external, "/spec/refreshPolicy");
    let Some(interval) = seconds(text(external, "/spec/refreshInterval")) else { return false };
    if interval == 0 || matches!(policy, "CreatedOnce" | "OnChange") {
        return false;
    }
    let last = text(external, "/status/refreshTime").parse::<Timestamp>();
    last.is_ok_and(|last| now.as_second() >= last.as_second().saturating_add(interval))
}

/// Whole seconds of a Go duration such as `1h30m`.
fn seconds(duration: &str) -> Option<i64> {
    let mut total = 0.0;
    let mut rest = duration.trim();
    if rest == "0" {
        return Some(0);
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    // A duration beyond what a counter holds never ends.
    format!("{total:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (given, wanted) in [
            ("1h", Some(3600)),
            ("1h0m0s", Some(3600)),
            ("1m30s", Some(90)),
            ("0", Some(0)),
            ("x", None),
        ] {
            assert_eq!(seconds(given), wanted, "{given}");
        }
    }

    #[test]
    fn templates_name_their_keys() {
        let values = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        assert_eq!(render("x{{ .a }}y{{.b}}{{", &values), "x1y{{");
    }
}
