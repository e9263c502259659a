//! Names of parameters, and the selectors that may follow them.

use super::{AwsError, Store};

/// Characters of a name including the ARN's prefix.
const NAME_LIMIT: usize = 1011;
/// Levels of a hierarchy.
const LEVELS: usize = 15;

/// Refuses a name that a new parameter cannot have.
pub fn check(name: &str, arn: &str) -> Result<(), AwsError> {
    let lower = name.trim_start_matches('/').to_ascii_lowercase();
    let is_path = name.matches('/').count() > 1;
    if lower.starts_with("aws") && name.starts_with('/') && is_path {
        let text = format!("No access to reserved parameter name: {name}.");
        return Err(AwsError::new("AccessDeniedException", text));
    }
    if !is_path && (lower.starts_with("aws") || lower.starts_with("ssm")) {
        return Err(AwsError::validation(
            "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).",
        ));
    }
    let right = |b: u8| b.is_ascii_alphanumeric() || b"_.-/".contains(&b);
    if lower.starts_with("ssm") || !name.bytes().all(right) || name.contains("//") {
        return Err(AwsError::validation(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a \
             path, it can consist of sub-paths divided by slash symbol; each sub-path can be \
             formed as a mix of letters, numbers and the following 3 symbols .-_",
        ));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(AwsError::validation("Parameter name must be a fully qualified name."));
    }
    if name.ends_with('/') {
        return Err(AwsError::validation("Parameter name must not end with slash."));
    }
    if arn.len() > NAME_LIMIT {
        let text = format!("Parameter name must have at most {NAME_LIMIT} characters.");
        return Err(AwsError::validation(text));
    }
    if name.matches('/').count() > LEVELS {
        let text = format!(
            "A hierarchy can have a maximum of {LEVELS} levels. For more information, see About \
             requirements and constraints for parameter names."
        );
        return Err(AwsError::new("HierarchyLevelLimitExceededException", text));
    }
    Ok(())
}

/// `name`, `name:version`, `name:label`, or an ARN, taken apart.
pub fn selector<'a>(store: &Store<'_>, text: &'a str) -> (String, Option<&'a str>) {
    let prefix = format!("arn:aws:ssm:{}:{}:parameter", store.region, store.account);
    let (rest, by_arn) = match text.strip_prefix(&prefix) {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (name, selector) = match rest.split_once(':') {
        Some((name, selector)) => (name, Some(selector)),
        None => (rest, None),
    };
    if by_arn && !store.parameters.contains_key(name) {
        let bare = name.strip_prefix('/').unwrap_or(name);
        return (bare.to_owned(), selector);
    }
    (name.to_owned(), selector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_the_service_s_rules() {
        let deep = "/a".repeat(15);
        for right in ["openhands-tunnel-token", "/a/b/c", "a.b_c-d", deep.as_str()] {
            assert_eq!(check(right, "arn"), Ok(()), "{right}");
        }
        let deeper = "/a".repeat(16);
        for (wrong, kind) in [
            ("a b", "ValidationException"),
            ("a!", "ValidationException"),
            ("a/b", "ValidationException"),
            ("/a/", "ValidationException"),
            ("/ssm/x", "ValidationException"),
            ("SSMx", "ValidationException"),
            ("/aws/x", "AccessDeniedException"),
            ("awsx", "ValidationException"),
            (deeper.as_str(), "HierarchyLevelLimitExceededException"),
        ] {
            assert_eq!(check(wrong, "arn").unwrap_err().kind, kind, "{wrong}");
        }
        assert!(check("x", &"a".repeat(1012)).is_err());
    }
}
