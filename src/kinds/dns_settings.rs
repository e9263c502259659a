//! What DNS records may be set to beside their content (contract 3.1).

use serde_json::json;

use super::support::{fields, flag, is_special};
use crate::model::Json;
use crate::model::kind::Problem;

/// The settings that there are.
pub(super) const SETTINGS: [&str; 3] = ["flatten_cname", "ipv4_only", "ipv6_only"];
/// Which records take a setting.
const TYPES: [(&str, &[&str]); 3] = [
    ("flatten_cname", &["CNAME"]),
    ("ipv4_only", &["A", "AAAA", "CNAME"]),
    ("ipv6_only", &["A", "AAAA", "CNAME"]),
];

/// Those of the settings that boxctl knows.
pub(super) fn known(settings: &Json) -> Json {
    if is_special(settings) || !settings.is_object() {
        return settings.clone();
    }
    let mut out = fields(settings);
    out.retain(|name, value| SETTINGS.contains(&name.as_str()) && !value.is_null());
    json!(out)
}

/// Settings that the service does not take, or that do nothing. One that is off says nothing.
pub(super) fn check(kind: &str, proxied: bool, spec: &Json, problems: &mut Vec<Problem>) {
    let Some(settings) = spec.get("settings") else { return };
    let on = |name: &str| flag(settings, name) == Some(true);
    for (name, types) in TYPES.iter().filter(|(name, _)| on(name)) {
        let path = format!("settings.{name}");
        if !types.contains(&kind) {
            let message = format!("a record of type {kind} takes no `{name}`");
            let hint = format!("it is for {}", types.join(", "));
            problems.push(Problem::error(path, message).hint(hint));
        } else if *name == "flatten_cname" && proxied {
            problems.push(
                Problem::error(path, "a proxied record takes no `flatten_cname`")
                    .hint("leave it out: what is proxied is answered with addresses anyway"),
            );
        } else if *name != "flatten_cname" && !proxied {
            let message = format!("`{name}` does something only where the record is proxied");
            problems.push(
                Problem::warning("unproxied-setting", path, message)
                    .hint("write `proxied: true`, or leave it out"),
            );
        }
    }
    if on("ipv4_only") && on("ipv6_only") {
        let message = "`ipv4_only` and `ipv6_only` together leave no address";
        problems.push(Problem::error("settings.ipv6_only", message).hint("write one of them"));
    }
}
