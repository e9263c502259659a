//! Transition rules of custom resources (`x-kubernetes-validations`): of the expression language,
//! comparisons of `self` or a field of it with `oldSelf`, joined by `&&` and `||`, which is how
//! definitions make fields immutable. Other rules are not evaluated.

use serde_json::Value;

use super::status::Cause;
use super::value::{items, text};

/// Causes against the change from `live` to `object`.
pub fn transitions(schema: &Value, object: &Value, live: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    walk(schema, object, live, "", &mut causes);
    causes
}

fn walk(schema: &Value, new: &Value, old: &Value, at: &str, causes: &mut Vec<Cause>) {
    for rule in items(schema, "/x-kubernetes-validations") {
        let expression = text(rule, "/rule");
        if expression.contains("oldSelf") && holds(expression, new, old) == Some(false) {
            causes.push(broken(schema, rule, at));
        }
    }
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else { return };
    let additional = schema.get("additionalProperties").filter(|a| a.is_object());
    for (name, member) in new {
        let property = schema.get("properties").and_then(|p| p.get(name)).or(additional);
        if let (Some(property), Some(before)) = (property, old.get(name)) {
            let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            walk(property, member, before, &at, causes);
        }
    }
}

/// The refusal in the server's words (`apiextensions-apiserver/pkg/apiserver/schema/cel`).
fn broken(schema: &Value, rule: &Value, at: &str) -> Cause {
    let detail = match text(rule, "/message") {
        "" => format!("failed rule: {}", text(rule, "/rule")),
        message => message.to_owned(),
    };
    let field = match text(rule, "/fieldPath") {
        "" if at.is_empty() => "<nil>".to_owned(),
        path => format!("{at}{path}").trim_start_matches('.').to_owned(),
    };
    match text(rule, "/reason") {
        "FieldValueForbidden" => Cause::forbidden(field, &detail),
        "FieldValueRequired" => Cause::required(field, &detail),
        _ => Cause::invalid(field, &text(schema, "/type").into(), &detail),
    }
}

/// Whether an expression holds; `None` where it is not understood.
fn holds(expression: &str, new: &Value, old: &Value) -> Option<bool> {
    let any = expression.split("||").map(|all| {
        let all: Option<Vec<bool>> = all.split("&&").map(|one| compare(one, new, old)).collect();
        all.map(|all| all.into_iter().all(|one| one))
    });
    any.collect::<Option<Vec<bool>>>().map(|any| any.into_iter().any(|one| one))
}

fn compare(expression: &str, new: &Value, old: &Value) -> Option<bool> {
    let expression = expression.trim();
    if let Some((left, right)) = expression.split_once("==") {
        return Some(operand(left, new, old)? == operand(right, new, old)?);
    }
    if let Some((left, right)) = expression.split_once("!=") {
        return Some(operand(left, new, old)? != operand(right, new, old)?);
    }
    match expression.strip_prefix('!') {
        Some(negated) => operand(negated, new, old)?.as_bool().map(|value| !value),
        None => operand(expression, new, old)?.as_bool(),
    }
}

/// `self`, `oldSelf`, a field of theirs, or `has(…)` of one.
fn operand(expression: &str, new: &Value, old: &Value) -> Option<Value> {
    let expression = expression.trim();
    if let Some(path) = expression.strip_prefix("has(").and_then(|rest| rest.strip_suffix(')')) {
        return path_of(path, new, old).map(|found| Value::Bool(found.is_some()));
    }
    path_of(expression, new, old).map(|found| found.cloned().unwrap_or_default())
}

fn path_of<'a>(path: &str, new: &'a Value, old: &'a Value) -> Option<Option<&'a Value>> {
    let mut parts = path.trim().split('.');
    let root = match parts.next()? {
        "self" => new,
        "oldSelf" => old,
        _ => return None,
    };
    let mut at = Some(root);
    for part in parts {
        let plain = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || part.is_empty() {
            return None;
        }
        at = at.and_then(|at| at.get(part));
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_may_not_change_does_not() {
        let (old, new) = (json!({"a": 1, "b": 1}), json!({"a": 2, "b": 1}));
        for (rule, wanted) in [
            ("self == oldSelf", Some(false)),
            ("self.b == oldSelf.b", Some(true)),
            ("!has(oldSelf.a) || self.a == oldSelf.a", Some(false)),
            ("!has(oldSelf.c) || self.c == oldSelf.c", Some(true)),
            ("self.b == oldSelf.b && self.a == oldSelf.a", Some(false)),
            ("self.a >= oldSelf.a", None),
            ("self.all(x, x == oldSelf)", None),
        ] {
            assert_eq!(holds(rule, &new, &old), wanted, "{rule}");
        }
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object",
            "properties": {"a": {"type": "integer", "x-kubernetes-validations":
                [{"rule": "self == oldSelf", "message": "a is immutable"}]}}}}});
        let causes = transitions(&schema, &json!({"spec": new}), &json!({"spec": old}));
        let wanted = Cause::invalid("spec.a", &json!("integer"), "a is immutable");
        assert_eq!(causes, [wanted]);
    }
}
