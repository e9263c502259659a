//! The types of Access applications, and which fields each of them takes (contract 6.1).

use super::access_application_body::GUARDED;
use super::support::{hostname_problem, items, text};
use crate::model::Json;
use crate::model::kind::Problem;

/// Types of which an account has any number.
const TYPES: [&str; 10] = [
    "self_hosted",
    "ssh",
    "vnc",
    "rdp",
    "saas",
    "bookmark",
    "infrastructure",
    "mcp",
    "mcp_portal",
    "proxy_endpoint",
];
/// Types of which the account has one, which is there without anyone's making it.
const SINGLETONS: [&str; 4] = ["warp", "app_launcher", "biso", "dash_sso"];
/// Types that stand before a hostname.
const GUARDS: [&str; 4] = ["self_hosted", "ssh", "vnc", "rdp"];
/// All that an application which the account has one of takes (the schema's `feature_app_props`).
pub(super) const FEATURE: [&str; 6] =
    ["type", "name", "session_duration", "allowed_idps", "auto_redirect_to_identity", "policies"];
/// All types but bookmarks and targets, which let nobody in.
const LOGGED_IN: [&str; 12] = [
    "self_hosted",
    "ssh",
    "vnc",
    "rdp",
    "saas",
    "mcp",
    "mcp_portal",
    "proxy_endpoint",
    "warp",
    "app_launcher",
    "biso",
    "dash_sso",
];
/// Of these, all but SaaS applications, which have sessions of their own.
const WITH_SESSIONS: [&str; 11] = [
    "self_hosted",
    "ssh",
    "vnc",
    "rdp",
    "mcp",
    "mcp_portal",
    "proxy_endpoint",
    "warp",
    "app_launcher",
    "biso",
    "dash_sso",
];
/// Fields that some types take only, and those types (the schemas of each type).
const APART: [(&str, &[&str]); 14] = [
    ("destinations", &["self_hosted", "ssh", "vnc", "rdp", "mcp", "mcp_portal"]),
    ("self_hosted_domains", &["self_hosted", "ssh", "vnc", "rdp"]),
    ("saas_app", &["saas"]),
    ("target_criteria", &["infrastructure", "rdp"]),
    ("allow_authenticate_via_warp", &["self_hosted", "ssh", "vnc", "rdp", "saas", "dash_sso"]),
    ("cors_headers", &["self_hosted", "ssh", "vnc", "rdp", "mcp", "mcp_portal"]),
    ("session_duration", &WITH_SESSIONS),
    ("allowed_idps", &LOGGED_IN),
    ("auto_redirect_to_identity", &LOGGED_IN),
    ("enable_binding_cookie", &GUARDS),
    ("http_only_cookie_attribute", &["self_hosted", "ssh", "vnc", "rdp", "mcp", "mcp_portal"]),
    ("options_preflight_bypass", &["self_hosted", "ssh", "vnc", "rdp", "mcp", "mcp_portal"]),
    ("app_launcher_visible", &["self_hosted", "ssh", "vnc", "rdp", "saas", "bookmark"]),
    ("tags", &["self_hosted", "ssh", "vnc", "rdp", "saas", "bookmark", "mcp", "mcp_portal"]),
];

/// The type of an application; None where a reference says it.
pub(super) fn type_of(spec: &Json) -> Option<&str> {
    match spec.get("type") {
        None | Some(Json::Null) => Some("self_hosted"),
        Some(kind) => kind.as_str(),
    }
}

/// Whether the account has one application of this type, which is neither made nor deleted.
pub(super) fn is_singleton(spec: &Json) -> bool {
    text(spec, "type").is_some_and(|kind| SINGLETONS.contains(&kind))
}

/// What is wrong with the type, or with fields that the type does not take.
pub(super) fn check_type(kind: &str, spec: &Json, problems: &mut Vec<Problem>) {
    let singleton = SINGLETONS.contains(&kind);
    if !singleton && !TYPES.contains(&kind) {
        let near = TYPES
            .iter()
            .chain(&SINGLETONS)
            .min_by_key(|name| strsim::damerau_levenshtein(name, kind));
        let near = near.filter(|name| strsim::damerau_levenshtein(name, kind) <= 3);
        let hint = match near {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the types are {}, {}", TYPES.join(", "), SINGLETONS.join(", ")),
        };
        let message = format!("`{kind}` is not a type of application");
        return problems.push(Problem::error("type", message).hint(hint));
    }
    let said = spec.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    for (field, _) in said {
        let apart = APART.iter().find(|(name, _)| name == field);
        let fits = match apart {
            Some((_, types)) if types.contains(&kind) => true,
            Some(_) => false,
            None => !singleton || FEATURE.contains(&field.as_str()),
        };
        if !fits {
            let message = format!("a `{kind}` application takes no `{field}`");
            let hint = match apart {
                _ if singleton => format!("it takes {}", FEATURE.join(", ")),
                Some((_, types)) => format!("it is for {}", types.join(", ")),
                None => "leave it out".to_owned(),
            };
            problems.push(Problem::error(field.as_str(), message).hint(hint));
        }
    }
    if GUARDS.contains(&kind) && GUARDED.iter().all(|field| spec.get(field).is_none()) {
        problems.push(
            Problem::error("", "the application guards nothing")
                .hint("write `domain: <hostname>` (or `destinations`)"),
        );
    }
}

/// Hostnames that cannot be.
pub(super) fn check_guarded(spec: &Json, problems: &mut Vec<Problem>) {
    let mut check = |path: String, domain: &str| {
        let host = domain.split('/').next().unwrap_or(domain);
        if domain.contains("://") {
            problems.push(
                Problem::error(path, format!("`{domain}` is a URL"))
                    .hint("write the hostname, and the path after it where one is meant"),
            );
        } else if let Some(message) = hostname_problem(&host.replace('*', "x"), true) {
            problems.push(Problem::error(path, message));
        }
    };
    if let Some(domain) = text(spec, "domain") {
        check("domain".to_owned(), domain);
    }
    for (index, item) in items(spec, "self_hosted_domains").iter().enumerate() {
        if let Some(domain) = item.as_str() {
            check(format!("self_hosted_domains[{index}]"), domain);
        }
    }
    for (index, item) in items(spec, "destinations").iter().enumerate() {
        if let Some(uri) = text(item, "uri") {
            check(format!("destinations[{index}].uri"), uri);
        }
    }
}
