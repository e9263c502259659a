//! What a spec may hold beside plain JSON: references, values not known yet, secrets.
//!
//! Such a node is an object with the single key `$boxctl`, so a spec stays plain data: it can be
//! saved, shown, compared, and a plan holds no secret value whatever happens to it.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::secret::SecretId;
use super::{Json, JsonMap};

const MARK: &str = "$boxctl";

/// An output of a resource: `${tunnel.openhands.cname}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// The resource that has the output.
    pub address: Address,
    /// The output's name.
    pub output: String,
}

/// A piece of a text with references in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Text as it stands.
    Literal(String),
    /// An output put in.
    Reference(Reference),
}

/// A piece of a text with secrets in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretPart {
    /// Text as it stands.
    Literal(String),
    /// A secret put in: where it comes from and, where one is known, its fingerprint.
    From {
        /// Where the value comes from.
        source: SecretId,
        /// The fingerprint of the value, for comparing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
    },
}

/// A node of a spec that is not plain JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Special {
    /// A text with references, before they are resolved.
    Text(Vec<Part>),
    /// A value that a step of the plan will produce.
    Unknown(Reference),
    /// A text that is, or contains, a secret.
    Secret(Vec<SecretPart>),
}

impl Special {
    /// The special node that this value is, if it is one.
    pub fn of(value: &Json) -> Option<Special> {
        let map = value.as_object()?;
        if map.len() != 1 {
            return None;
        }
        serde_json::from_value(map.get(MARK)?.clone()).ok()
    }

    /// This node as a value of a spec.
    pub fn into_value(self) -> Json {
        let inner = serde_json::to_value(&self).unwrap_or(Json::Null);
        let mut map = JsonMap::new();
        map.insert(MARK.to_owned(), inner);
        Json::Object(map)
    }

    /// A whole value that is one secret.
    pub fn secret(source: SecretId, fingerprint: Option<String>) -> Json {
        Special::Secret(vec![SecretPart::From { source, fingerprint }]).into_value()
    }

    /// A whole value that is one reference.
    pub fn reference(address: Address, output: impl Into<String>) -> Json {
        let reference = Reference { address, output: output.into() };
        Special::Text(vec![Part::Reference(reference)]).into_value()
    }

    /// A whole value that a step of the plan will produce.
    pub fn unknown(reference: Reference) -> Json {
        Special::Unknown(reference).into_value()
    }
}

/// Calls `visit` with every special node of `value`.
pub fn each_special(value: &Json, visit: &mut impl FnMut(Special)) {
    if let Some(special) = Special::of(value) {
        visit(special);
        return;
    }
    match value {
        Json::Array(items) => items.iter().for_each(|item| each_special(item, visit)),
        Json::Object(map) => map.values().for_each(|item| each_special(item, visit)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The value with every special node replaced by what `replace` makes of it.
pub fn map_special<E>(
    value: &Json,
    replace: &mut impl FnMut(Special) -> Result<Json, E>,
) -> Result<Json, E> {
    if let Some(special) = Special::of(value) {
        return replace(special);
    }
    Ok(match value {
        Json::Array(items) => Json::Array(
            items.iter().map(|item| map_special(item, replace)).collect::<Result<_, E>>()?,
        ),
        Json::Object(map) => {
            let mut out = JsonMap::new();
            for (key, item) in map {
                out.insert(key.clone(), map_special(item, replace)?);
            }
            Json::Object(out)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.clone(),
    })
}

/// The references of a spec, in the order in which they stand.
pub fn references(value: &Json) -> Vec<Reference> {
    let mut found = Vec::new();
    each_special(value, &mut |special| match special {
        Special::Text(parts) => found.extend(parts.into_iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Literal(_) => None,
        })),
        Special::Unknown(reference) => found.push(reference),
        Special::Secret(_) => {}
    });
    found
}

/// The sources of the secrets of a spec.
pub fn secret_sources(value: &Json) -> Vec<SecretId> {
    let mut found = Vec::new();
    each_special(value, &mut |special| {
        if let Special::Secret(parts) = special {
            found.extend(parts.into_iter().filter_map(|part| match part {
                SecretPart::From { source, .. } => Some(source),
                SecretPart::Literal(_) => None,
            }));
        }
    });
    found
}

/// Whether two values are the same secret: the same text around the same fingerprints, wherever the
/// values come from. Without fingerprints, only the same source tells.
pub fn same_secret(a: &Json, b: &Json) -> bool {
    let (Some(Special::Secret(a)), Some(Special::Secret(b))) = (Special::of(a), Special::of(b))
    else {
        return false;
    };
    a.len() == b.len()
        && a.iter().zip(&b).all(|(a, b)| match (a, b) {
            (
                SecretPart::From { fingerprint: Some(a), .. },
                SecretPart::From { fingerprint: Some(b), .. },
            ) => a == b,
            _ => a == b,
        })
}

/// Whether something in the value is known only after a step of the plan.
pub fn has_unknown(value: &Json) -> bool {
    let mut found = false;
    each_special(value, &mut |special| found |= matches!(special, Special::Unknown(_)));
    found
}

/// JSON text with the keys of all objects sorted, for fingerprints and comparison.
pub fn canonical_text(value: &Json) -> String {
    fn sorted(value: &Json) -> Json {
        match value {
            Json::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                Json::Object(entries.into_iter().map(|(k, v)| (k.clone(), sorted(v))).collect())
            }
            Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn special_nodes_survive_a_round_trip() {
        let reference =
            Reference { address: Address::new("tunnel", "a"), output: "cname".to_owned() };
        for special in [
            Special::Text(vec![Part::Literal("x".into()), Part::Reference(reference.clone())]),
            Special::Unknown(reference),
            Special::Secret(vec![SecretPart::From {
                source: SecretId::variable("password"),
                fingerprint: None,
            }]),
        ] {
            assert_eq!(Special::of(&special.clone().into_value()), Some(special));
        }
        assert_eq!(Special::of(&json!({"a": 1})), None);
    }

    #[test]
    fn canonical_text_does_not_depend_on_the_order_of_keys() {
        let a = json!({"b": 1, "a": {"d": [1, 2], "c": null}});
        let b = json!({"a": {"c": null, "d": [1, 2]}, "b": 1});
        assert_eq!(canonical_text(&a), canonical_text(&b));
        assert_ne!(canonical_text(&a), canonical_text(&json!({"a": {"d": [2, 1]}})));
    }
}
