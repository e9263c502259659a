//! What SSM would refuse of a parameter, told before the network. The limits are those of
//! PutParameter's reference.

use regex::Regex;

use super::support::{fields, is_special, required_text, text};
use crate::model::Json;
use crate::model::kind::Problem;

/// The most bytes of a Standard value.
const STANDARD_BYTES: usize = 4096;
/// The most bytes of any value.
const MOST_BYTES: usize = 8192;
/// The most levels of a path.
const LEVELS: usize = 15;
/// The most tags of a parameter.
const TAGS: usize = 50;
/// The data types there are.
const DATA_TYPES: [&str; 3] = ["text", "aws:ec2:image", "aws:ssm:integration"];

/// All that is wrong with a parameter as it is written.
pub fn check(spec: &Json) -> Vec<Problem> {
    let mut problems = Vec::new();
    required_text(spec, "name", &mut problems);
    if let Some(problem) = text(spec, "name").and_then(name_problem) {
        problems.push(Problem::error("name", problem));
    }
    check_value(spec, &mut problems);
    let secure = spec.get("type").is_none_or(|kind| kind == "SecureString");
    if !secure && spec.get("key_id").is_some_and(|key| !is_special(key)) {
        problems.push(Problem::error("key_id", "only a SecureString is encrypted with a key"));
    }
    for (field, most) in [("description", 1024), ("allowed_pattern", 1024), ("key_id", 256)] {
        if text(spec, field).is_some_and(|text| text.chars().count() > most) {
            problems.push(Problem::error(field, format!("it has more than {most} characters")));
        }
    }
    if let Some(kind) = text(spec, "data_type").filter(|kind| !DATA_TYPES.contains(kind)) {
        let known = DATA_TYPES.join("`, `");
        problems.push(
            Problem::error("data_type", format!("`{kind}` is no data type of SSM"))
                .hint(format!("there are `{known}`")),
        );
    }
    check_tags(spec, &mut problems);
    problems
}

fn name_problem(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    if !name.chars().all(allowed) {
        return Some(format!("`{name}` may hold letters, digits and `_.-/` only"));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Some(format!("`{name}` is a path, and those begin with `/`"));
    }
    if name.ends_with('/') || name.contains("//") {
        return Some(format!("`{name}` has an empty part"));
    }
    if name.matches('/').count() > LEVELS {
        return Some(format!("`{name}` has more than {LEVELS} levels"));
    }
    let first = name.trim_start_matches('/').to_ascii_lowercase();
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Some(format!("`{name}` begins with `aws` or `ssm`, which AWS keeps for itself"));
    }
    (name.len() > 1011).then(|| "it has more than 1011 characters".to_owned())
}

fn check_value(spec: &Json, problems: &mut Vec<Problem>) {
    let Some(value) = spec.get("value") else { return };
    if let Some(text) = value.as_str() {
        return check_text(spec, text, problems);
    }
    if is_special(value) {
        return;
    }
    match (value.get("generate"), value.get("by_hand")) {
        (Some(generate), None) => match generate.get("length").and_then(Json::as_u64) {
            Some(16..=4096) => {}
            _ => problems.push(
                Problem::error("value.generate.length", "a length from 16 to 4096 is needed")
                    .hint("32 is a good one"),
            ),
        },
        (None, Some(Json::Bool(true))) => {}
        _ => problems.push(
            Problem::error("value", "this is not a value")
                .hint("write a text, `{generate: {length: 32}}`, or `{by_hand: true}`"),
        ),
    }
}

fn check_text(spec: &Json, value: &str, problems: &mut Vec<Problem>) {
    let advanced = spec.get("tier").is_some_and(|tier| tier != "Standard");
    let most = if advanced { MOST_BYTES } else { STANDARD_BYTES };
    if value.is_empty() {
        problems.push(Problem::error("value", "a parameter's value cannot be empty"));
    }
    if value.len() > most {
        problems.push(
            Problem::error("value", format!("it has {} bytes, and {most} fit", value.len()))
                .hint("`tier: Advanced` takes up to 8192 bytes"),
        );
    }
    if value.split_once("{{").is_some_and(|(_, rest)| rest.contains("}}")) {
        problems.push(Problem::error("value", "SSM refuses values with `{{…}}` in them"));
    }
    // A pattern that only Java reads says nothing here.
    let pattern = text(spec, "allowed_pattern").filter(|pattern| !pattern.is_empty());
    let pattern = pattern.and_then(|pattern| Regex::new(pattern).ok());
    if pattern.is_some_and(|pattern| !pattern.is_match(value)) {
        problems.push(
            Problem::error("value", "it does not match `allowed_pattern`")
                .hint("change one of them"),
        );
    }
}

fn check_tags(spec: &Json, problems: &mut Vec<Problem>) {
    let tags = spec.get("tags").map(fields).unwrap_or_default();
    if tags.len() > TAGS {
        problems.push(Problem::error("tags", format!("a parameter has at most {TAGS} tags")));
    }
    let allowed = |text: &str| {
        text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c))
    };
    for (key, value) in &tags {
        let path = format!("tags.{key}");
        let value = value.as_str().unwrap_or_default();
        if key.to_lowercase().starts_with("aws:") {
            problems.push(Problem::error(path, "tags that begin with `aws:` are AWS's own"));
        } else if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
            let text = "a tag's key has 1 to 128 characters, its value at most 256";
            problems.push(Problem::error(path, text));
        } else if !allowed(key) || !allowed(value) {
            let text = "a tag holds letters, digits, spaces and `_.:/=+-@` only";
            problems.push(Problem::error(path, text));
        }
    }
}
