//! Normal forms (contract 8): what a service makes of a field where that is no difference. Each kind
//! says its own in a table, one rule a line, with the section of the contract that it is from; here
//! is what a table means.

use serde_json::json;

use super::compare::Compared;
use crate::model::path;
use crate::model::{Json, JsonMap};

/// One rule about one field.
#[derive(Clone, Copy)]
pub struct NormalForm {
    /// The field's path in the spec; paths below a field are joined by dots.
    pub field: &'static str,
    /// Which of its forms are one.
    pub form: Form,
}

/// Which forms of a field are one.
#[derive(Clone, Copy)]
pub enum Form {
    /// A value has several spellings: this makes the one that answers are held to, of the value and
    /// of the object that it is in. A null is a field that is left out.
    Spelt(fn(&Json, &JsonMap) -> Json),
    /// Left out, null, and this are one.
    Absent(Rest),
    /// A list whose order means nothing.
    Set,
}

/// What the service has where nothing is said.
#[derive(Clone, Copy)]
pub enum Rest {
    /// A switch that is off, or on.
    Switch(bool),
    /// A text.
    Text(&'static str),
    /// A number.
    Number(u64),
    /// A list with nothing in it.
    Nothing,
}

impl Rest {
    fn value(self) -> Json {
        match self {
            Self::Switch(on) => json!(on),
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::Nothing => json!([]),
        }
    }
}

/// A rule of a table.
pub const fn rule(field: &'static str, form: Form) -> NormalForm {
    NormalForm { field, form }
}

/// The fields of a spec or an answer in their one spelling; a null is left out.
pub fn spelt(rules: &[NormalForm], mut object: JsonMap) -> JsonMap {
    for NormalForm { field, form } in rules {
        let Form::Spelt(spell) = form else { continue };
        let Some(value) = object.get(*field).map(|value| spell(value, &object)) else { continue };
        object.insert((*field).to_owned(), value);
    }
    object.retain(|_, value| !value.is_null());
    object
}

/// The fields of an answer in their one spelling, with what answers leave out.
pub fn read(rules: &[NormalForm], object: JsonMap) -> JsonMap {
    let mut object = Json::Object(spelt(rules, object));
    for (field, value) in defaults(rules) {
        if path::get(&object, &field).is_none_or(Json::is_null) {
            path::put(&mut object, &field, value);
        }
    }
    match object {
        Json::Object(object) => object,
        _ => JsonMap::new(),
    }
}

/// What the service has where nothing is said, by path.
pub fn defaults(rules: &[NormalForm]) -> JsonMap {
    let absent = rules.iter().filter_map(|NormalForm { field, form }| match form {
        Form::Absent(rest) => Some(((*field).to_owned(), rest.value())),
        Form::Spelt(_) | Form::Set => None,
    });
    absent.collect()
}

/// How the fields of a table compare.
pub fn compared(rules: &[NormalForm]) -> Compared {
    let sets = rules.iter().filter(|rule| matches!(rule.form, Form::Set));
    Compared {
        sets: sets.map(|rule| rule.field).collect(),
        defaults: defaults(rules),
        ..Compared::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[NormalForm] = &[
        rule("name", Form::Spelt(|name, _| json!(name.as_str().map(str::to_lowercase)))),
        rule(
            "ttl",
            Form::Spelt(|ttl, it| if it.contains_key("proxied") { json!(1) } else { ttl.clone() }),
        ),
        rule("tags", Form::Absent(Rest::Nothing)),
        rule("tags", Form::Set),
        rule("settings.flat", Form::Absent(Rest::Switch(false))),
        rule("note", Form::Absent(Rest::Text(""))),
    ];

    fn map(value: Json) -> JsonMap {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_table_says_how_values_are_spelt_and_what_is_there_where_nothing_is_said() {
        let written = map(json!({"name": "A", "ttl": 300, "proxied": true, "note": null}));
        let said = json!({"name": "a", "ttl": 1, "proxied": true});
        assert_eq!(Json::Object(spelt(RULES, written.clone())), said);
        let seen = json!({"name": "a", "ttl": 1, "proxied": true, "tags": [],
            "settings": {"flat": false}, "note": ""});
        assert_eq!(Json::Object(read(RULES, written)), seen);
        let there = map(json!({"name": "a", "settings": {"flat": true}, "tags": null}));
        assert_eq!(read(RULES, there)["settings"]["flat"], true);
        assert_eq!(
            Json::Object(defaults(RULES)),
            json!({"tags": [], "settings.flat": false, "note": ""})
        );
        assert_eq!(compared(RULES).sets, ["tags"]);
    }
}
