//! Paths into specs: `ingress[0].service`, `spec.containers[name="x"].image`.

use super::{Json, JsonMap};

/// The path of a key below a path.
pub fn key(base: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
    match (base.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{base}.{key}"),
        (_, false) => format!("{base}[{}]", Json::String(key.to_owned())),
    }
}

/// The path of an item below a path.
pub fn index(base: &str, index: usize) -> String {
    format!("{base}[{index}]")
}

/// The segments of a path: keys as they are, what stands in brackets with its brackets.
pub fn segments(path: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut depth, mut quoted) = (0, 0usize, false);
    for (at, c) in path.char_indices() {
        match c {
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => {
                if depth == 0 && at > start {
                    out.push(&path[start..at]);
                }
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            ']' if !quoted && depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    out.push(&path[start..=at]);
                    start = at + 1;
                }
            }
            '.' if depth == 0 => {
                if at > start {
                    out.push(&path[start..at]);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < path.len() {
        out.push(&path[start..]);
    }
    out
}

/// Whether a pattern covers a path: it is the path or something above it. `*` and `[*]` stand for
/// any segment, `**` for everything.
pub fn covers(pattern: &str, path: &str) -> bool {
    if pattern == "**" {
        return true;
    }
    let pattern = segments(pattern.trim_start_matches('.'));
    let path = segments(path.trim_start_matches('.'));
    pattern.len() <= path.len()
        && pattern.iter().zip(&path).all(|(pattern, segment)| {
            pattern == segment || *pattern == "*" || (*pattern == "[*]" && segment.starts_with('['))
        })
}

/// Whether a pattern stands for exactly this path.
pub fn is(pattern: &str, path: &str) -> bool {
    covers(pattern, path) && segments(pattern).len() == segments(path).len()
}

/// Whether any of the patterns covers the path.
pub fn covered(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| covers(pattern, path))
}

/// The value at a path of keys and indices.
pub fn get<'a>(value: &'a Json, path: &str) -> Option<&'a Json> {
    segments(path).into_iter().try_fold(value, |value, segment| match step(segment) {
        Step::Key(key) => value.get(key.as_ref()),
        Step::Index(index) => value.get(index),
    })
}

/// One step of a path as a key or an index.
enum Step<'a> {
    Key(std::borrow::Cow<'a, str>),
    Index(usize),
}

fn step(segment: &str) -> Step<'_> {
    let Some(inner) = segment.strip_prefix('[').and_then(|s| s.strip_suffix(']')) else {
        return Step::Key(segment.into());
    };
    match (inner.parse(), serde_json::from_str::<String>(inner)) {
        (Ok(index), _) => Step::Index(index),
        (Err(_), Ok(key)) => Step::Key(key.into()),
        (Err(_), Err(_)) => Step::Key(inner.into()),
    }
}

/// Takes the value at a path out; whether there was one.
pub fn take(value: &mut Json, path: &str) -> bool {
    let segments = segments(path);
    let Some((last, parents)) = segments.split_last() else { return false };
    let mut holder = value;
    for segment in parents {
        let next = match step(segment) {
            Step::Key(key) => holder.get_mut(key.as_ref()),
            Step::Index(index) => holder.get_mut(index),
        };
        let Some(next) = next else { return false };
        holder = next;
    }
    match (step(last), holder) {
        (Step::Key(key), Json::Object(map)) => map.shift_remove(key.as_ref()).is_some(),
        (Step::Index(index), Json::Array(list)) if index < list.len() => {
            list.remove(index);
            true
        }
        _ => false,
    }
}

/// Puts a value at a path, where the lists on the way are there; objects are made.
pub fn put(value: &mut Json, path: &str, new: Json) {
    let segments = segments(path);
    let Some((last, parents)) = segments.split_last() else { return };
    let mut holder = value;
    for segment in parents {
        let next = match (step(segment), holder) {
            (Step::Key(key), Json::Object(map)) => {
                Some(map.entry(key.into_owned()).or_insert_with(|| Json::Object(JsonMap::new())))
            }
            (Step::Index(index), Json::Array(list)) => list.get_mut(index),
            _ => None,
        };
        let Some(next) = next else { return };
        holder = next;
    }
    match (step(last), holder) {
        (Step::Key(key), Json::Object(map)) => {
            map.insert(key.into_owned(), new);
        }
        (Step::Index(index), Json::Array(list)) => {
            if let Some(item) = list.get_mut(index) {
                *item = new;
            }
        }
        _ => {}
    }
}

/// What of `observed` stands at the paths of `declared`: keys of objects one by one, lists whole.
pub fn project(declared: &Json, observed: &Json) -> Json {
    match (declared, observed) {
        (Json::Object(declared), Json::Object(observed))
            if super::value::Special::of(&Json::Object(declared.clone())).is_none() =>
        {
            let mut out = JsonMap::new();
            for (key, value) in declared {
                if let Some(observed) = observed.get(key) {
                    out.insert(key.clone(), project(value, observed));
                }
            }
            Json::Object(out)
        }
        _ => observed.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pattern_covers_what_is_below_it() {
        for (pattern, path, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b[0].c", true),
            ("a.b", "a.bc", false),
            ("a[*].c", "a[3].c", true),
            ("a.*.c", "a.x.c", true),
            ("a[0]", "a", false),
            ("**", "x", true),
            ("spec.replicas", "spec.replicas", true),
            (".spec.replicas", "spec.replicas", true),
            ("metadata.annotations[\"a.b/c\"]", "metadata.annotations[\"a.b/c\"]", true),
        ] {
            assert_eq!(covers(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_projection_keeps_lists_whole_and_drops_what_was_not_declared() {
        let declared = json!({"a": 1, "l": [{"x": 1}], "o": {"p": 1}, "gone": 1});
        let observed = json!({"a": 2, "l": [{"x": 1, "y": 2}], "o": {"p": 3, "q": 4}, "z": 5});
        assert_eq!(
            project(&declared, &observed),
            json!({"a": 2, "l": [{"x": 1, "y": 2}], "o": {"p": 3}})
        );
    }

    #[test]
    fn a_path_reads_back_what_it_names() {
        let value = json!({"a": [{"b.c/d": {"e": 7}}]});
        let path = key(&key(&index(&key("", "a"), 0), "b.c/d"), "e");
        assert_eq!(path, "a[0][\"b.c/d\"].e");
        assert_eq!(get(&value, &path), Some(&json!(7)));
    }

    #[test]
    fn values_are_put_and_taken_where_the_path_leads() {
        let mut value = json!({"a": [{"b": 1, "c": 2}]});
        assert!(take(&mut value, "a[0].b"));
        put(&mut value, "a[0].d.e", json!(3));
        assert_eq!(value, json!({"a": [{"c": 2, "d": {"e": 3}}]}));
        assert!(!take(&mut value, "a[7].b"));
        put(&mut value, "a[7].b", json!(4));
        assert_eq!(value, json!({"a": [{"c": 2, "d": {"e": 3}}]}));
    }
}
