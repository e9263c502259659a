//! What a plain YAML scalar stands for: by the 1.2 core schema in boxctl's own files, by the rules
//! that kubectl applies (go-yaml 2, YAML 1.1) in manifests.

use serde_json::Number;

use crate::model::Json;

/// Which rules a plain scalar is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// The core schema of YAML 1.2.
    Core,
    /// What kubectl makes of it.
    Kubectl,
}

/// The value of a plain scalar. Numbers that JSON has no word for (`.inf`, `.nan`) are None.
pub(super) fn resolve(text: &str, rules: Rules) -> Option<Json> {
    if is_null(text) {
        return Some(Json::Null);
    }
    if let Some(value) = boolean(text, rules) {
        return Some(Json::Bool(value));
    }
    let number = match rules {
        Rules::Core => core_integer(text),
        Rules::Kubectl => go_integer(text),
    };
    if let Some(number) = number {
        return Some(Json::Number(number));
    }
    let sign_less = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(sign_less, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return None;
    }
    if let Some(number) = float(text, rules) {
        return Some(Json::Number(number));
    }
    Some(Json::String(text.to_owned()))
}

/// Whether a plain scalar is YAML's null.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The boolean that a plain scalar is.
pub(super) fn boolean(text: &str, rules: Rules) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" if rules == Rules::Kubectl => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" if rules == Rules::Kubectl => {
            Some(false)
        }
        _ => None,
    }
}

fn core_integer(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16, false);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8, false);
    }
    let (negative, digits) = sign(text);
    radix(digits, 10, negative)
}

/// As `strconv.ParseInt(text, 0, 64)` of Go, with underscores taken out.
fn go_integer(text: &str) -> Option<Number> {
    let text = text.replace('_', "");
    let (negative, digits) = sign(&text);
    let lower = digits.to_ascii_lowercase();
    for (prefix, base) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return radix(digits, base, negative);
        }
    }
    if lower.len() > 1 && lower.starts_with('0') {
        return radix(&lower[1..], 8, negative);
    }
    radix(&lower, 10, negative)
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn radix(digits: &str, base: u32, negative: bool) -> Option<Number> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    if negative {
        return i64::from_str_radix(&format!("-{digits}"), base).ok().map(Number::from);
    }
    u64::from_str_radix(digits, base).ok().map(Number::from)
}

fn float(text: &str, rules: Rules) -> Option<Number> {
    let cleaned = match rules {
        Rules::Core => text.to_owned(),
        Rules::Kubectl => text.replace('_', ""),
    };
    let (_, digits) = sign(&cleaned);
    let mut chars = digits.chars();
    let starts = match chars.next() {
        Some('.') => chars.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => c.is_ascii_digit(),
        None => false,
    };
    let plain =
        digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !starts || !plain {
        return None;
    }
    let value: f64 = cleaned.parse().ok()?;
    // A float that is a whole number is an integer for JSON's other readers, as Go writes it.
    if value.fract() == 0.0 && value.abs() < 9e15 && rules == Rules::Kubectl {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_mean_what_their_schema_says() {
        let table = [
            ("yes", json!("yes"), json!(true)),
            ("off", json!("off"), json!(false)),
            ("y", json!("y"), json!(true)),
            ("true", json!(true), json!(true)),
            ("0644", json!(644), json!(420)),
            ("0o644", json!(420), json!(420)),
            ("0x1F", json!(31), json!(31)),
            ("1_000", json!("1_000"), json!(1000)),
            ("-12", json!(-12), json!(-12)),
            ("1.5", json!(1.5), json!(1.5)),
            ("1e3", json!(1000.0), json!(1000)),
            ("1.2.3", json!("1.2.3"), json!("1.2.3")),
            ("2026-01-01", json!("2026-01-01"), json!("2026-01-01")),
            ("12:30", json!("12:30"), json!("12:30")),
            ("~", json!(null), json!(null)),
            ("089", json!(89), json!(89)),
            ("5Gi", json!("5Gi"), json!("5Gi")),
            ("e3", json!("e3"), json!("e3")),
            (".", json!("."), json!(".")),
            ("-", json!("-"), json!("-")),
        ];
        for (text, core, kubectl) in table {
            assert_eq!(resolve(text, Rules::Core), Some(core), "{text}");
            assert_eq!(resolve(text, Rules::Kubectl), Some(kubectl), "{text}");
        }
        assert_eq!(resolve(".inf", Rules::Core), None);
    }
}
