//! Refuses mutating calls that nobody announced: `--journal` names files of which one must hold
//! an open intent for the call.
//!
//! A journal has one JSON record a line. An intent has `method`, `path` and `key`, and a `number`
//! in it or beside it; an outcome has the number of the `intent` that it ends. Both may be
//! wrapped, so they are searched for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// The call to be checked.
pub struct Announced<'a> {
    /// HTTP method; POST for SSM.
    pub method: &'a str,
    /// Path without Cloudflare's base, or SSM's operation.
    pub path: &'a str,
    /// The body, JSON or YAML.
    pub body: &'a [u8],
}

/// Tells what is wrong with a call for which no file holds an open intent.
pub fn check(files: &[PathBuf], call: &Announced<'_>) -> Result<(), String> {
    if files.is_empty() {
        return Ok(());
    }
    let body = parsed(call.body);
    let mut near = Vec::new();
    for file in files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                near.push(format!("{} cannot be read: {error}", file.display()));
                continue;
            }
        };
        for intent in open_intents(&text) {
            let text = |name: &str| intent.get(name).and_then(Value::as_str).unwrap_or_default();
            if text("method") != call.method || text("path") != call.path {
                continue;
            }
            let lacking = lacking(&intent, call, body.as_ref());
            if lacking.is_empty() {
                return Ok(());
            }
            let number = intent.get("number").cloned().unwrap_or_default();
            near.push(format!("intent {number} differs in {}", lacking.join(", ")));
        }
    }
    let near = if near.is_empty() { String::new() } else { format!(" ({})", near.join("; ")) };
    Err(format!("no journal holds an open intent for {} {}{near}", call.method, call.path))
}

/// The intents without an outcome, in order.
fn open_intents(text: &str) -> Vec<Object> {
    let mut open: BTreeMap<u64, Object> = BTreeMap::new();
    for line in text.lines() {
        // A torn line announces nothing.
        let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
        if let Some((_, settled)) = find(&record, "settled") {
            let closed = settled.get("closed").and_then(Value::as_array).into_iter().flatten();
            closed.filter_map(Value::as_u64).for_each(|number| {
                open.remove(&number);
            });
        } else if let Some((_, outcome)) = find(&record, "outcome") {
            if let Some(ended) = outcome.get("intent").and_then(Value::as_u64) {
                open.remove(&ended);
            }
        } else if let Some((around, intent)) = find(&record, "intent") {
            let number = intent.get("number").or_else(|| around.get("number"));
            if let Some(number) = number.and_then(Value::as_u64) {
                let mut intent = intent.clone();
                intent.insert("number".to_owned(), number.into());
                open.insert(number, intent);
            }
        }
    }
    open.into_values().collect()
}

/// The object under `name`, wherever in the record it stands, after the one that holds it.
fn find<'a>(record: &'a Value, name: &str) -> Option<(&'a Object, &'a Object)> {
    match record {
        Value::Object(object) => match object.get(name) {
            Some(Value::Object(found)) => Some((object, found)),
            _ => object.values().find_map(|value| find(value, name)),
        },
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

/// Entries of the intent's key that neither the body has under that name nor the path as a
/// segment; of a call without body, or a DELETE, the path says all that it means.
fn lacking(intent: &Object, call: &Announced<'_>, body: Option<&Value>) -> Vec<String> {
    let (Some(body), Some(Value::Object(key))) = (body, intent.get("key")) else {
        return Vec::new();
    };
    if call.method == "DELETE" {
        return Vec::new();
    }
    let in_path = |value: &Value| call.path.split('/').any(|segment| segment == plain(value));
    key.iter()
        .filter(|(name, value)| !occurs(body, name, value) && !in_path(value))
        .map(|(name, _)| name.clone())
        .collect()
}

fn occurs(body: &Value, name: &str, wanted: &Value) -> bool {
    match body {
        Value::Object(object) => {
            object.get(name).is_some_and(|value| same(value, wanted))
                || object.values().any(|value| occurs(value, name, wanted))
        }
        Value::Array(items) => items.iter().any(|item| occurs(item, name, wanted)),
        _ => false,
    }
}

fn same(value: &Value, wanted: &Value) -> bool {
    value == wanted || plain(value) == plain(wanted)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn parsed(body: &[u8]) -> Option<Value> {
    if body.is_empty() {
        return None;
    }
    serde_json::from_slice(body).ok().or_else(|| {
        let text = std::str::from_utf8(body).ok()?;
        serde_saphyr::from_str(text).ok()
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const POST: &str = r#"{"record":{"intent":{"number":1,"step":1,"address":"dns_record.a","action":"create","method":"POST","path":"/zones/z/dns_records","key":{"name":"a.b0xp.io","type":"CNAME"}}},"sum":"x"}"#;
    const DONE: &str = r#"{"record":{"outcome":{"number":2,"intent":1,"id":"i"}},"sum":"y"}"#;
    const APPLY: &str = r#"{"intent":{"number":3,"method":"PATCH","path":"/api/v1/namespaces/a/services/s","key":{"kind":"Service","name":"s"}}}"#;

    fn ask(lines: &[&str], method: &str, path: &str, body: &str) -> Result<(), String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.join("\n").as_bytes()).unwrap();
        let call = Announced { method, path, body: body.as_bytes() };
        check(&[file.path().to_owned()], &call)
    }

    #[test]
    fn an_open_intent_permits_its_call_and_no_other() {
        let path = "/zones/z/dns_records";
        let body = r#"{"name":"a.b0xp.io","type":"CNAME","content":"x"}"#;
        assert_eq!(ask(&[POST], "POST", path, body), Ok(()));
        assert!(ask(&[POST], "PUT", path, body).is_err());
        assert!(ask(&[POST], "POST", "/zones/y/dns_records", body).is_err());
        let other = ask(&[POST], "POST", path, r#"{"name":"b.b0xp.io","type":"CNAME"}"#);
        assert!(other.unwrap_err().contains("intent 1 differs in name"));
        assert!(ask(&[POST, DONE], "POST", path, body).is_err());
        assert!(ask(&[], "POST", path, body).is_err());
        assert!(ask(&[&POST[..40]], "POST", path, body).is_err());
    }

    #[test]
    fn manifests_are_searched_whole_and_may_be_yaml() {
        let yaml = "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n";
        let path = "/api/v1/namespaces/a/services/s";
        assert_eq!(ask(&[APPLY], "PATCH", path, yaml), Ok(()));
        assert!(ask(&[APPLY], "PATCH", path, "kind: Secret\nmetadata: {name: s}").is_err());
    }

    #[test]
    fn the_number_may_stand_beside_the_intent() {
        let intent = r#"{"record":{"number":7,"intent":{"method":"POST","path":"PutParameter","key":{"Name":"p"}}},"sum":"x"}"#;
        let outcome = r#"{"record":{"number":8,"outcome":{"intent":7,"status":200}},"sum":"x"}"#;
        let body = r#"{"Name":"p","Value":"v"}"#;
        assert_eq!(ask(&[intent], "POST", "PutParameter", body), Ok(()));
        assert!(ask(&[intent, outcome], "POST", "PutParameter", body).is_err());
    }

    #[test]
    fn a_delete_is_known_by_its_path() {
        let intent = r#"{"intent":{"number":1,"method":"DELETE","path":"/api/v1/namespaces/a/services/s","key":{"kind":"Service","name":"s"}}}"#;
        let path = "/api/v1/namespaces/a/services/s";
        for body in ["", "{}", r#"{"kind":"DeleteOptions","preconditions":{"uid":"u"}}"#] {
            assert_eq!(ask(&[intent], "DELETE", path, body), Ok(()), "{body}");
        }
        assert!(ask(&[intent], "DELETE", "/api/v1/namespaces/a/services/t", "").is_err());
    }

    #[test]
    fn without_journals_nothing_is_checked() {
        let call = Announced { method: "POST", path: "/x", body: b"" };
        assert_eq!(check(&[], &call), Ok(()));
    }
}
