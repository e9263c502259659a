//! `${kind.name.output}` and `${var.name}` in the texts of boxctl's files.

use super::shape::Marks;
use super::source::{Diagnostics, Mark, suggestion};
use super::variables::Variables;
use super::yaml::{Entry, Node, Scalar, Shape};
use crate::model::Json;
use crate::model::address::{Address, KUBERNETES};
use crate::model::value::{Part, Reference, SecretPart, Special, map_special};

/// A piece of a text, as it was written.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// Text; `$${` is already `${`.
    Text(String),
    /// `${var.name}`.
    Variable { name: String, written: String },
    /// `${kind.name.output}`.
    Output(Reference),
}

/// `${…}` that is no reference.
#[derive(Clone, Debug, PartialEq)]
struct BadReference {
    written: String,
    message: String,
    hint: String,
}

/// Whether a text is a name of boxctl's files: `[a-z0-9][a-z0-9_-]*`.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

fn pieces(text: &str) -> Result<Vec<Piece>, BadReference> {
    let mut out = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            literal.push_str(&rest[..at - 1]);
            literal.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        literal.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else {
            return Err(BadReference {
                written: "${".to_owned(),
                message: "`${` has no `}`".to_owned(),
                hint: "a literal `${` is written `$${`".to_owned(),
            });
        };
        if !literal.is_empty() {
            out.push(Piece::Text(std::mem::take(&mut literal)));
        }
        out.push(inner(&rest[at + 2..at + end])?);
        rest = &rest[at + end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        out.push(Piece::Text(literal));
    }
    Ok(out)
}

fn inner(text: &str) -> Result<Piece, BadReference> {
    let written = format!("${{{text}}}");
    let bad =
        |message: String, hint: String| BadReference { written: written.clone(), message, hint };
    let Some((kind, rest)) = text.split_once('.') else {
        return Err(bad(
            format!("`{written}` is no reference"),
            format!("a variable is `${{var.{text}}}`, a literal `${{` is written `$${{`"),
        ));
    };
    if kind == "var" {
        return if is_name(rest) {
            Ok(Piece::Variable { name: rest.to_owned(), written })
        } else {
            Err(bad(
                format!("`{rest}` is no name of a variable"),
                "names are lower-case letters, digits, `-` and `_`".to_owned(),
            ))
        };
    }
    let Some((name, output)) = rest.rsplit_once('.') else {
        return Err(bad(
            format!("`{written}` does not say which output it means"),
            format!("write `${{{text}.id}}`, or another output of `{kind}`"),
        ));
    };
    let plain = kind == KUBERNETES || is_name(name);
    if matches!(kind, "lookup" | "lookups") {
        return Err(bad(
            format!("`{written}` is no reference"),
            format!("a lookup is referred to as a resource is: `${{{rest}}}`"),
        ));
    }
    if !is_name(kind) || !plain || !is_name(output) {
        return Err(bad(
            format!("`{written}` is no reference"),
            "a reference is `${kind.name.output}`, a literal `${` is written `$${`".to_owned(),
        ));
    }
    let address = Address::new(kind, name);
    Ok(Piece::Output(Reference { address, output: output.to_owned() }))
}

/// A text as it stands in a file that is read with references in it.
pub(super) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

/// The node with variables put in and references made into special nodes.
pub(super) fn interpolate(
    node: &Node,
    variables: &Variables,
    diagnostics: &mut Diagnostics,
) -> Node {
    let shape = match &node.shape {
        Shape::Scalar(scalar) => scalar_shape(scalar, node.mark, variables, diagnostics),
        Shape::List(items) => Shape::List(
            items.iter().map(|item| interpolate(item, variables, diagnostics)).collect(),
        ),
        Shape::Map(entries) => Shape::Map(
            entries
                .iter()
                .map(|entry| Entry {
                    value: interpolate(&entry.value, variables, diagnostics),
                    ..entry.clone()
                })
                .collect(),
        ),
        Shape::Special(value) => Shape::Special(value.clone()),
    };
    Node { shape, mark: node.mark }
}

fn scalar_shape(
    scalar: &Scalar,
    mark: Mark,
    variables: &Variables,
    diagnostics: &mut Diagnostics,
) -> Shape {
    if !scalar.text.contains("${") {
        return Shape::Scalar(scalar.clone());
    }
    let unread = || Shape::Special(Json::Null);
    let pieces = match pieces(&scalar.text) {
        Ok(pieces) => pieces,
        Err(bad) => {
            let at = diagnostics.find(mark, &bad.written);
            diagnostics.error_hint(at, bad.message, Some(bad.hint));
            return unread();
        }
    };
    let mut parts: Vec<Part> = Vec::new();
    let mut secrets: Vec<SecretPart> = Vec::new();
    let mut hidden = false;
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                parts.push(Part::Literal(text.clone()));
                secrets.push(SecretPart::Literal(text));
            }
            Piece::Output(reference) => parts.push(Part::Reference(reference)),
            Piece::Variable { name, written } => match variables.get(&name) {
                Some(variable) => {
                    if let Some(source) = &variable.secret {
                        hidden = true;
                        let source = source.clone();
                        secrets.push(SecretPart::From { source, fingerprint: None });
                    } else {
                        parts.push(Part::Literal(variable.text.clone()));
                        secrets.push(SecretPart::Literal(variable.text.clone()));
                    }
                }
                None => {
                    if !variables.is_broken(&name) {
                        let at = diagnostics.find(mark, &written);
                        let message = format!("there is no variable `{name}`");
                        diagnostics.error_hint(at, message, suggestion(&name, variables.names()));
                    }
                    return unread();
                }
            },
        }
    }
    let refers = parts.iter().any(|part| matches!(part, Part::Reference(_)));
    match (refers, hidden) {
        (true, true) => {
            diagnostics.error_hint(
                mark,
                "one text can't hold a sensitive variable and a reference",
                Some("give each a field of its own"),
            );
            unread()
        }
        (false, true) => Shape::Special(Special::Secret(secrets).into_value()),
        (true, false) => Shape::Special(Special::Text(merged(parts)).into_value()),
        (false, false) => {
            let text = parts.into_iter().map(literal).collect();
            Shape::Scalar(Scalar { text, plain: scalar.plain })
        }
    }
}

fn literal(part: Part) -> String {
    match part {
        Part::Literal(text) => text,
        Part::Reference(_) => String::new(),
    }
}

/// Parts with neighbouring literals made one.
fn merged(parts: Vec<Part>) -> Vec<Part> {
    let mut out: Vec<Part> = Vec::new();
    for part in parts {
        match (out.last_mut(), part) {
            (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
            (_, part) => out.push(part),
        }
    }
    out
}

/// The value with the references that `known` has a value for replaced by it.
pub(super) fn replace_known(value: &Json, known: &dyn Fn(&Reference) -> Option<Json>) -> Json {
    let replaced = map_special(value, &mut |special| {
        let Special::Text(parts) = special else {
            return Ok::<Json, std::convert::Infallible>(special.into_value());
        };
        if let [Part::Reference(reference)] = parts.as_slice() {
            return Ok(
                known(reference).unwrap_or_else(|| Special::Text(parts.clone()).into_value())
            );
        }
        let parts = merged(
            parts
                .into_iter()
                .map(|part| match &part {
                    Part::Reference(reference) => match known(reference) {
                        Some(Json::String(text)) => Part::Literal(text),
                        Some(other) if !other.is_object() && !other.is_array() => {
                            Part::Literal(other.to_string())
                        }
                        _ => part,
                    },
                    Part::Literal(_) => part,
                })
                .collect(),
        );
        Ok(match parts.as_slice() {
            [Part::Literal(text)] => Json::String(text.clone()),
            _ => Special::Text(parts).into_value(),
        })
    });
    match replaced {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Calls `visit` with each reference of a value, and the place of the text that holds it.
pub(super) fn each_reference(
    value: &Json,
    path: &str,
    marks: &Marks,
    visit: &mut impl FnMut(&Reference, Option<Mark>),
) {
    if let Some(special) = Special::of(value) {
        if let Special::Text(parts) = special {
            for part in parts {
                if let Part::Reference(reference) = part {
                    visit(&reference, super::shape::place(marks, path));
                }
            }
        }
        return;
    }
    match value {
        Json::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                each_reference(item, &format!("{path}[{i}]"), marks, visit);
            }
        }
        Json::Object(map) => {
            for (key, item) in map {
                each_reference(item, &super::yaml::join(path, key), marks, visit);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// A reference as it is written.
pub(super) fn written(reference: &Reference) -> String {
    format!("${{{}.{}}}", reference.address, reference.output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(kind: &str, name: &str, output: &str) -> Piece {
        Piece::Output(Reference { address: Address::new(kind, name), output: output.to_owned() })
    }

    #[test]
    fn texts_come_apart_into_pieces() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let table = [
            ("plain", vec![text("plain")]),
            ("a $${b} c", vec![text("a ${b} c")]),
            ("${tunnel.a.id}", vec![output("tunnel", "a", "id")]),
            ("x-${tunnel.a.id}-y", vec![text("x-"), output("tunnel", "a", "id"), text("-y")]),
            ("${k8s.Service/a/b.c.uid}", vec![output("k8s", "Service/a/b.c", "uid")]),
            ("$x {y}", vec![text("$x {y}")]),
        ];
        for (given, expected) in table {
            assert_eq!(pieces(given), Ok(expected), "{given}");
        }
        for bad in ["${x", "${HOME}", "${tunnel.a}", "${tunnel.A.id}", "${var.A}", "${}"] {
            assert!(pieces(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn known_values_take_the_place_of_references() {
        let known = |reference: &Reference| {
            (reference.output == "hostname").then(|| Json::String("a.example.org".to_owned()))
        };
        let whole = Special::reference(Address::new("dns_record", "a"), "hostname");
        assert_eq!(replace_known(&whole, &known), "a.example.org");
        let reference =
            Reference { address: Address::new("dns_record", "a"), output: "hostname".into() };
        let mixed = Special::Text(vec![Part::Literal("for ".into()), Part::Reference(reference)])
            .into_value();
        assert_eq!(replace_known(&mixed, &known), "for a.example.org");
        let other = Special::reference(Address::new("tunnel", "a"), "id");
        assert_eq!(replace_known(&other, &known), other);
    }
}
