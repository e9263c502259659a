//! Which tunnel token a cloudflared container starts with, and what a container's environment
//! lacks.

use base64::prelude::*;
use serde_json::Value;

use super::store::Store;
use super::value::{items, text};

/// The token with which a pod's cloudflared starts: after `--token`, else from TUNNEL_TOKEN.
pub fn token(store: &Store, pod: &Value) -> Option<String> {
    let namespace = text(pod, "/metadata/namespace");
    items(pod, "/spec/containers").iter().find_map(|container| {
        let environment = environment(store, namespace, container);
        let words: Vec<&str> = ["/command", "/args"]
            .iter()
            .flat_map(|list| items(container, list))
            .filter_map(Value::as_str)
            .collect();
        let is_cloudflared = text(container, "/image").contains("cloudflared")
            || words.first().is_some_and(|w| w.contains("cloudflared"));
        let after = words.iter().position(|w| *w == "--token").and_then(|i| words.get(i + 1));
        let given =
            after.copied().or_else(|| words.iter().find_map(|w| w.strip_prefix("--token=")));
        let value = |name: &str| {
            environment.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        let token = match given {
            Some(given) => expand(given, &value),
            None => value("TUNNEL_TOKEN")?,
        };
        (is_cloudflared && !token.trim().is_empty()).then(|| token.trim().to_owned())
    })
}

/// Replaces `$(NAME)` by the variable's value, as kubelets do in command and args.
fn expand(text: &str, value: &impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$(") {
        out.push_str(before);
        match after.split_once(')') {
            Some((name, tail)) => {
                out.push_str(&value(name).unwrap_or_else(|| format!("$({name})")));
                rest = tail;
            }
            None => {
                out.push_str("$(");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn environment(store: &Store, namespace: &str, container: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for source in items(container, "/envFrom") {
        let prefix = text(source, "/prefix");
        for (plural, field) in [("secrets", "secretRef"), ("configmaps", "configMapRef")] {
            let name = text(source, &format!("/{field}/name"));
            let found = store.get("", plural, namespace, name).and_then(|o| o.get("data"));
            for key in found.and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key) {
                if let Some(value) = datum(store, namespace, plural, name, key) {
                    all.push((format!("{prefix}{key}"), value));
                }
            }
        }
    }
    for variable in items(container, "/env") {
        let name = text(variable, "/name").to_owned();
        let value = references(variable)
            .and_then(|(plural, from, key)| datum(store, namespace, plural, from, key))
            .unwrap_or_else(|| text(variable, "/value").to_owned());
        all.push((name, value));
    }
    all
}

/// Resource, name and key of the Secret or ConfigMap that a variable reads.
fn references(variable: &Value) -> Option<(&'static str, &str, &str)> {
    [("secrets", "secretKeyRef"), ("configmaps", "configMapKeyRef")].into_iter().find_map(
        |(plural, field)| {
            let source = variable.pointer(&format!("/valueFrom/{field}"))?;
            Some((plural, text(source, "/name"), text(source, "/key")))
        },
    )
}

fn datum(store: &Store, namespace: &str, plural: &str, name: &str, key: &str) -> Option<String> {
    let object = store.get("", plural, namespace, name)?;
    let value = object.get("data")?.get(key)?.as_str()?;
    if plural == "configmaps" {
        return Some(value.to_owned());
    }
    let bytes = BASE64_STANDARD.decode(value).ok()?;
    String::from_utf8(bytes).ok()
}

/// What a container's environment reads and is not there, in the kubelet's words.
pub fn missing(store: &Store, namespace: &str, container: &Value) -> Option<String> {
    let optional =
        |source: Option<&Value>| source.and_then(|s| s.get("optional")) == Some(&Value::Bool(true));
    let singular = |plural: &str| if plural == "secrets" { "secret" } else { "configmap" };
    for source in items(container, "/envFrom") {
        for (plural, field) in [("secrets", "secretRef"), ("configmaps", "configMapRef")] {
            let name = text(source, &format!("/{field}/name"));
            let lenient = optional(source.get(field));
            if !name.is_empty() && !lenient && store.get("", plural, namespace, name).is_none() {
                return Some(format!("{} {name:?} not found", singular(plural)));
            }
        }
    }
    items(container, "/env").iter().find_map(|variable| {
        let (plural, name, key) = references(variable)?;
        let source = ["secretKeyRef", "configMapKeyRef"]
            .into_iter()
            .find_map(|field| variable.pointer(&format!("/valueFrom/{field}")));
        if optional(source) {
            return None;
        }
        let Some(object) = store.get("", plural, namespace, name) else {
            return Some(format!("{} {name:?} not found", singular(plural)));
        };
        let held = object.get("data").is_some_and(|data| data.get(key).is_some());
        (!held)
            .then(|| format!("couldn't find key {key} in {} {namespace}/{name}", singular(plural)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_in_arguments_are_expanded() {
        let value = |name: &str| (name == "A").then(|| "1".to_owned());
        for (given, wanted) in [("$(A)", "1"), ("x$(A)y$(B)", "x1y$(B)"), ("$(", "$("), ("", "")] {
            assert_eq!(expand(given, &value), wanted, "{given}");
        }
    }
}
