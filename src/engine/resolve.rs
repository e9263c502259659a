//! Puts known outputs into specs. What is not known yet becomes a typed unknown that names the
//! step which will produce it.

use crate::model::Json;
use crate::model::secret::SecretId;
use crate::model::value::{Part, Reference, SecretPart, Special, map_special};

pub use crate::model::known::{Known, Outputs};

/// The spec with every reference replaced: by the value, a secret's reference, or an unknown.
pub fn resolve(spec: &Json, known: &Known) -> Json {
    let resolved: Result<Json, std::convert::Infallible> = map_special(spec, &mut |special| {
        Ok(match special {
            Special::Text(parts) => text(&parts, known),
            Special::Unknown(reference) => text(&[Part::Reference(reference)], known),
            Special::Secret(parts) => Special::Secret(parts).into_value(),
        })
    });
    match resolved {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// The spec with fingerprints put to the secrets that have none, where `of` knows one.
pub fn with_fingerprints(spec: &Json, of: &mut impl FnMut(&SecretId) -> Option<String>) -> Json {
    map_parts(spec, &mut |part| match part {
        SecretPart::From { source, fingerprint: None } => {
            let fingerprint = of(&source);
            SecretPart::From { source, fingerprint }
        }
        other => other,
    })
}

/// The spec without the fingerprints of these sources.
pub fn without_fingerprints(spec: &Json, of: &impl Fn(&SecretId) -> bool) -> Json {
    map_parts(spec, &mut |part| match part {
        SecretPart::From { source, .. } if of(&source) => {
            SecretPart::From { source, fingerprint: None }
        }
        other => other,
    })
}

fn map_parts(spec: &Json, map: &mut impl FnMut(SecretPart) -> SecretPart) -> Json {
    let mapped: Result<Json, std::convert::Infallible> = map_special(spec, &mut |special| {
        let Special::Secret(parts) = special else { return Ok(special.into_value()) };
        Ok(Special::Secret(parts.into_iter().map(&mut *map).collect()).into_value())
    });
    let Ok(spec) = mapped;
    spec
}

/// Fingerprints of a source that stand in a value.
pub fn fingerprints_of(value: &Json, source: &SecretId) -> Vec<String> {
    let mut out = Vec::new();
    crate::model::value::each_special(value, &mut |special| {
        let Special::Secret(parts) = special else { return };
        out.extend(parts.into_iter().filter_map(|part| match part {
            SecretPart::From { source: s, fingerprint } if s == *source => fingerprint,
            _ => None,
        }));
    });
    out
}

fn text(parts: &[Part], known: &Known) -> Json {
    if let [Part::Reference(reference)] = parts {
        return single(reference, known);
    }
    let mut out: Vec<SecretPart> = Vec::new();
    let mut secret = false;
    for part in parts {
        let piece = match part {
            Part::Literal(literal) => SecretPart::Literal(literal.clone()),
            Part::Reference(reference) => match single(reference, known) {
                Json::String(text) => SecretPart::Literal(text),
                value => match Special::of(&value) {
                    Some(Special::Secret(parts)) => {
                        secret = true;
                        out.extend(parts);
                        continue;
                    }
                    Some(unknown) => return unknown.into_value(),
                    None => SecretPart::Literal(value.to_string()),
                },
            },
        };
        out.push(piece);
    }
    if secret {
        return Special::Secret(out).into_value();
    }
    let text = out.iter().map(|part| match part {
        SecretPart::Literal(text) => text.as_str(),
        SecretPart::From { .. } => "",
    });
    Json::String(text.collect())
}

fn single(reference: &Reference, known: &Known) -> Json {
    let Some(outputs) = known.get(&reference.address) else {
        return Special::unknown(reference.clone());
    };
    if let Some(value) = outputs.plain.get(&reference.output) {
        return value.clone();
    }
    match outputs.secret.get(&reference.output) {
        Some(fingerprint) => Special::secret(
            SecretId::output(&reference.address, &reference.output),
            fingerprint.clone(),
        ),
        None => Special::unknown(reference.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use serde_json::json;

    fn reference(output: &str) -> Part {
        let address = Address::new("tunnel", "a");
        Part::Reference(Reference { address, output: output.to_owned() })
    }

    #[test]
    fn references_become_values_secrets_or_unknowns() {
        let outputs = Outputs {
            plain: json!({"id": "T1", "port": 80}).as_object().cloned().unwrap_or_default(),
            secret: [("token".to_owned(), Some("f".to_owned()))].into(),
        };
        let known: Known = [(Address::new("tunnel", "a"), outputs)].into();
        let text = |parts: Vec<Part>| Special::Text(parts).into_value();
        let literal = |text: &str| Part::Literal(text.to_owned());
        let source = SecretId::output(&Address::new("tunnel", "a"), "token");
        for (spec, expected) in [
            (text(vec![reference("id")]), json!("T1")),
            (text(vec![reference("port")]), json!(80)),
            (text(vec![literal("x-"), reference("id"), reference("port")]), json!("x-T180")),
            (text(vec![reference("token")]), Special::secret(source.clone(), Some("f".into()))),
            (
                text(vec![literal("t="), reference("token")]),
                Special::Secret(vec![
                    SecretPart::Literal("t=".into()),
                    SecretPart::From { source, fingerprint: Some("f".into()) },
                ])
                .into_value(),
            ),
        ] {
            assert_eq!(resolve(&json!({"v": spec}), &known), json!({"v": expected}));
        }
        let unknown = resolve(&text(vec![literal("x"), reference("id")]), &Known::new());
        assert!(matches!(Special::of(&unknown), Some(Special::Unknown(r)) if r.output == "id"));
    }
}
