//! The managers of an object (`metadata.managedFields`): who owns which fields since when.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::fieldset::FieldSet;

/// How a manager wrote: by server-side apply or by any other write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Create, update or patch.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// What tells one manager of an object from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// The field manager's name.
    pub name: String,
    /// How it wrote.
    pub operation: Operation,
    /// The API version it wrote in, empty for appliers: they are one whatever version they use.
    pub api_version: String,
    /// The subresource it wrote to, empty for the object itself.
    pub subresource: String,
}

/// As the server's conflict messages spell it: `"x" with subresource "scale" using apps/v1`.
impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        if self.operation == Operation::Update {
            write!(f, " using {}", self.api_version)?;
        }
        Ok(())
    }
}

/// What one manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerEntry {
    /// The fields.
    pub set: FieldSet,
    /// The API version in which the set's paths are.
    pub api_version: String,
    /// RFC 3339 time of the last write that changed something, none for one that never did.
    pub time: Option<String>,
}

/// The managers of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Managers(pub(super) BTreeMap<Manager, ManagerEntry>);

impl Managers {
    /// Reads `metadata.managedFields`; entries that are not of FieldsV1 are left out.
    pub fn decode(managed_fields: &Value) -> Managers {
        let mut managers = Managers::default();
        for entry in managed_fields.as_array().into_iter().flatten() {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            let operation = match text("operation") {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => continue,
            };
            let Some(fields) = entry.get("fieldsV1") else { continue };
            let api_version = text("apiVersion").to_owned();
            let manager = Manager {
                name: text("manager").to_owned(),
                operation,
                api_version: match operation {
                    Operation::Apply => String::new(),
                    Operation::Update => api_version.clone(),
                },
                subresource: text("subresource").to_owned(),
            };
            let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
            managers
                .0
                .insert(manager, ManagerEntry { set: FieldSet::decode(fields), api_version, time });
        }
        managers
    }

    /// Those of an object, read from its `metadata.managedFields`.
    pub fn of(object: &Value) -> Managers {
        Managers::decode(&object["metadata"]["managedFields"])
    }

    /// Those with which an update starts: what the written object says, else what the live one
    /// has; a list with one empty entry resets them.
    pub fn of_write(new: &Value, live: Option<&Value>) -> Managers {
        let said = &new["metadata"]["managedFields"];
        let reset = matches!(said.as_array().map(Vec::as_slice),
            Some([entry]) if entry.as_object().is_some_and(Map::is_empty));
        if reset {
            return Managers::default();
        }
        let said = Managers::decode(said);
        if said.is_empty() { live.map(Managers::of).unwrap_or_default() } else { said }
    }

    /// Writes `metadata.managedFields` in the server's order: appliers first, then by time, name,
    /// API version and subresource.
    pub fn encode(&self) -> Value {
        let mut entries: Vec<_> =
            self.0.iter().filter(|(_, entry)| !entry.set.is_empty()).collect();
        entries.sort_by(|(a, x), (b, y)| {
            (a.operation, &x.time, &a.name, &x.api_version, &a.subresource).cmp(&(
                b.operation,
                &y.time,
                &b.name,
                &y.api_version,
                &b.subresource,
            ))
        });
        let encoded = entries.into_iter().map(|(manager, entry)| {
            let mut out = Map::new();
            out.insert("manager".to_owned(), manager.name.clone().into());
            out.insert("operation".to_owned(), manager.operation.as_str().into());
            out.insert("apiVersion".to_owned(), entry.api_version.clone().into());
            if let Some(time) = &entry.time {
                out.insert("time".to_owned(), time.clone().into());
            }
            out.insert("fieldsType".to_owned(), "FieldsV1".into());
            out.insert("fieldsV1".to_owned(), entry.set.encode());
            if !manager.subresource.is_empty() {
                out.insert("subresource".to_owned(), manager.subresource.clone().into());
            }
            Value::Object(out)
        });
        Value::Array(encoded.collect())
    }

    /// Puts them into an object's `metadata.managedFields`; no managers, no such field.
    pub fn write_to(&self, object: &mut Value) {
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
            return;
        };
        match self.is_empty() {
            true => drop(metadata.shift_remove("managedFields")),
            false => drop(metadata.insert("managedFields".to_owned(), self.encode())),
        }
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|entry| entry.set.is_empty())
    }

    /// Every manager with what it owns.
    pub fn iter(&self) -> impl Iterator<Item = (&Manager, &ManagerEntry)> {
        self.0.iter()
    }

    /// Whether the same managers own the same fields, whenever they wrote: a write that changes
    /// neither this nor the object is no write, and keeps the old times.
    pub fn same_but_for_times(&self, other: &Managers) -> bool {
        let key = |managers: &Managers| -> Vec<(Manager, FieldSet, String)> {
            managers
                .0
                .iter()
                .map(|(manager, entry)| {
                    (manager.clone(), entry.set.clone(), entry.api_version.clone())
                })
                .collect()
        };
        key(self) == key(other)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(name: &str, operation: &str, time: Option<&str>, subresource: &str) -> Value {
        let mut entry = json!({"manager": name, "operation": operation, "apiVersion": "apps/v1"});
        if let Some(time) = time {
            entry["time"] = time.into();
        }
        entry["fieldsType"] = "FieldsV1".into();
        entry["fieldsV1"] = json!({"f:spec": {"f:replicas": {}}});
        if !subresource.is_empty() {
            entry["subresource"] = subresource.into();
        }
        entry
    }

    #[test]
    fn prints_appliers_first_then_by_time_and_name() {
        let sorted = json!([
            entry("late-but-never-wrote", "Apply", None, ""),
            entry("boxctl", "Apply", Some("2026-11-22T21:31:01Z"), ""),
            entry("other", "Apply", Some("2026-11-22T21:31:01Z"), ""),
            entry("zoe", "Update", Some("2026-11-22T21:31:00Z"), ""),
            entry("adam", "Update", Some("2026-11-22T21:31:02Z"), ""),
            entry("adam", "Update", Some("2026-11-22T21:31:02Z"), "scale"),
        ]);
        let mut shuffled = sorted.as_array().cloned().unwrap_or_default();
        shuffled.reverse();
        assert_eq!(Managers::decode(&Value::Array(shuffled)).encode(), sorted);
    }

    #[test]
    fn drops_managers_that_own_nothing() {
        let mut empty = entry("boxctl", "Apply", None, "");
        empty["fieldsV1"] = json!({});
        let managers = Managers::decode(&json!([empty]));
        assert!(managers.is_empty());
        let mut object = json!({"metadata": {"name": "x", "managedFields": []}});
        managers.write_to(&mut object);
        assert_eq!(object, json!({"metadata": {"name": "x"}}));
    }

    #[test]
    fn a_write_says_resets_or_inherits_its_managers() {
        let live = json!({"metadata": {"managedFields": [entry("a", "Apply", None, "")]}});
        let with = |managed: Value| json!({"metadata": {"managedFields": managed}});
        let table = [
            (json!({"metadata": {}}), 1),
            (with(json!([])), 1),
            (with(json!([{}])), 0),
            (with(json!([entry("a", "Apply", None, ""), entry("b", "Update", None, "")])), 2),
        ];
        for (new, expected) in table {
            assert_eq!(Managers::of_write(&new, Some(&live)).0.len(), expected, "{new}");
        }
    }
}
