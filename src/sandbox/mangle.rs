//! Answers in normal forms that no table knows.
//!
//! Each form is idempotent and is chosen by seed and field, so the same value always comes back
//! the same way, and what was read can be put back. Ids, secrets, hostnames and natural keys stay
//! as they are; the order of what the references call sets differs from answer to answer.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A number that depends on seed and name only.
pub fn hash(seed: u64, name: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(name.as_bytes());
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What mangles the answers of one sandbox.
pub struct Mangler {
    seed: u64,
    answers: u64,
}

impl Mangler {
    /// Forms out of `seed`.
    pub fn new(seed: u64) -> Self {
        Mangler { seed, answers: 0 }
    }

    /// An answer of the Cloudflare API: forms, order, keys.
    pub fn cloudflare(&mut self, envelope: Value, ordered: bool) -> Value {
        self.answers += 1;
        let mut envelope = self.formed(envelope);
        if let Some(rows) = envelope.get_mut("result").and_then(Value::as_array_mut)
            && !ordered
        {
            self.shuffle(rows);
        }
        self.keys_shuffled(envelope)
    }

    /// An answer of SSM: descriptions, order, keys.
    pub fn ssm(&mut self, mut body: Value) -> Value {
        self.answers += 1;
        for member in ["Parameters", "TagList", "InvalidParameters"] {
            let Some(rows) = body.get_mut(member).and_then(Value::as_array_mut) else { continue };
            for row in rows.iter_mut() {
                if let Some(Value::String(text)) = row.get_mut("Description") {
                    *text = self.text("Description", text);
                }
            }
            self.shuffle(rows);
        }
        self.keys_shuffled(body)
    }

    /// An answer of Kubernetes: the order of a list's items, and keys.
    pub fn kubernetes(&mut self, body: Value) -> Value {
        self.answers += 1;
        let mut body = body;
        if let Some(items) = body.get_mut("items").and_then(Value::as_array_mut) {
            self.shuffle(items);
        }
        self.keys_shuffled(body)
    }

    fn formed(&self, value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.formed(item)).collect(),
            Value::Object(object) => Value::Object(self.object_formed(object)),
            other => other,
        }
    }

    fn object_formed(&self, object: Map<String, Value>) -> Map<String, Value> {
        let app = object.contains_key("aud");
        let policy = object.contains_key("decision");
        let named = app || policy || object.contains_key("client_secret_version");
        let mut formed = Map::new();
        for (name, value) in object {
            let value = match (name.as_str(), value) {
                ("comment", Value::String(text)) => self.text("comment", &text).into(),
                ("name", Value::String(text)) if named => self.text("name", &text).into(),
                ("custom_deny_message" | "purpose_justification_prompt", Value::String(text)) => {
                    self.text(&name, &text).into()
                }
                ("session_duration", Value::String(text)) => self.duration(&text).into(),
                ("email", Value::String(text)) => self.cased("email", &text).into(),
                // A rule's body, or a switch that the service may leave out while it is false.
                (_, Value::Bool(false)) if (app || policy) && self.leaves_out(&name) => continue,
                (
                    "include" | "exclude" | "require" | "allowed_idps" | "tags",
                    Value::Array(items),
                ) => {
                    let mut items: Vec<Value> =
                        items.into_iter().map(|item| self.formed(item)).collect();
                    self.shuffle(&mut items);
                    items.into()
                }
                (_, value) => self.formed(value),
            };
            formed.insert(name, value);
        }
        if app || policy || formed.contains_key("proxiable") {
            let name = format!("x_{}", hash(self.seed, "unknown") % 100);
            formed.insert(name, hash(self.seed, "value").into());
        }
        formed
    }

    fn leaves_out(&self, name: &str) -> bool {
        hash(self.seed, &format!("leave out {name}")).is_multiple_of(2)
    }

    /// A text people wrote, in the field's form; a mark in brackets at its end stays as it is.
    fn text(&self, field: &str, text: &str) -> String {
        let (text, mark) = match text.rfind(" [") {
            Some(at) if text.ends_with(']') => text.split_at(at),
            _ => (text, ""),
        };
        let form = |n: u64| match n % 5 {
            0 => text.to_uppercase(),
            1 => text.to_lowercase(),
            2 => text.split_whitespace().collect::<Vec<_>>().join("  "),
            3 => format!("{}.", text.trim_end_matches('.')),
            _ => format!("“{}”", text.trim_start_matches('“').trim_end_matches('”')),
        };
        match text.is_empty() {
            true => mark.to_owned(),
            false => form(hash(self.seed, &format!("text {field}"))) + mark,
        }
    }

    fn cased(&self, field: &str, text: &str) -> String {
        match hash(self.seed, &format!("case {field}")) % 2 {
            0 => text.to_uppercase(),
            _ => text.to_lowercase(),
        }
    }

    fn duration(&self, text: &str) -> String {
        let Ok(duration) = text.parse::<jiff::SignedDuration>() else { return text.to_owned() };
        let seconds = duration.as_secs();
        match hash(self.seed, "duration") % 3 {
            0 => format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60),
            1 => format!("{seconds}s"),
            _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
            _ => format!("{seconds}s"),
        }
    }

    /// In an order of its own for each answer.
    fn shuffle<T>(&self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let name = format!("shuffle {} {} {at}", self.answers, items.len());
            let other = hash(self.seed, &name) % (at as u64 + 1);
            items.swap(at, other as usize);
        }
    }

    fn keys_shuffled(&self, value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.keys_shuffled(item)).collect(),
            Value::Object(object) => {
                let mut entries: Vec<(String, Value)> =
                    object.into_iter().map(|(k, v)| (k, self.keys_shuffled(v))).collect();
                self.shuffle(&mut entries);
                entries.into_iter().collect::<Map<_, _>>().into()
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app() -> Value {
        json!({"success": true, "result": {
            "id": "f174e90a", "aud": "abc", "name": "Access application for a.b0xp.io",
            "domain": "a.b0xp.io", "session_duration": "24h", "skip": false,
            "policies": [{"id": "p", "decision": "allow", "name": "policy [boxctl Ab12]",
                "include": [{"email": {"email": "Me@example.org"}}, {"everyone": {}}]}],
        }})
    }

    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(sorted).collect();
                items.sort_by_key(Value::to_string);
                items.into()
            }
            Value::Object(object) => {
                let mut entries: Vec<_> =
                    object.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.into_iter().collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }

    #[test]
    fn the_same_value_comes_back_the_same_and_can_be_put_back() {
        for seed in 0..40 {
            let mut mangler = Mangler::new(seed);
            let first = mangler.cloudflare(app(), false);
            let second = mangler.cloudflare(app(), false);
            let again = mangler.cloudflare(first.clone(), false);
            assert_eq!(sorted(&first), sorted(&second), "seed {seed}");
            assert_eq!(sorted(&first), sorted(&again), "seed {seed}");
        }
    }

    #[test]
    fn ids_hostnames_and_marks_stay() {
        for seed in 0..40 {
            let answer = Mangler::new(seed).cloudflare(app(), false);
            let result = &answer["result"];
            assert_eq!(result["domain"], "a.b0xp.io");
            assert_eq!(result["id"], "f174e90a");
            let name = result["policies"][0]["name"].as_str().unwrap();
            assert!(name.ends_with(" [boxctl Ab12]"), "{name}");
        }
    }

    #[test]
    fn sets_come_back_in_different_orders() {
        let mut mangler = Mangler::new(1);
        let rows: Value = (0..8).map(Value::from).collect();
        let answer = json!({ "result": rows });
        let orders: Vec<String> = (0..5)
            .map(|_| mangler.cloudflare(answer.clone(), false)["result"].to_string())
            .collect();
        assert!(orders.iter().any(|order| *order != orders[0]));
        let kept = mangler.cloudflare(answer.clone(), true);
        assert_eq!(kept["result"], answer["result"]);
    }

    #[test]
    fn durations_keep_their_length() {
        for seed in 0..10 {
            let text = Mangler::new(seed).duration("1h30m");
            let length: jiff::SignedDuration = text.parse().unwrap();
            assert_eq!(length.as_secs(), 5400, "{text}");
        }
    }
}
