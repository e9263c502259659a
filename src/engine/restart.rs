//! Who has to read a parameter again. An object says which versions it has read by an annotation,
//! or its record does; a plan sees by that a restart that an interrupted run still owes.

use std::collections::BTreeMap;

use crate::model::Json;
use crate::model::address::Address;

/// The annotation that names the versions of parameters, on an object or its pod template.
pub const ANNOTATION: &str = "boxctl/parameter-versions";

/// The versions that a live object says it has read.
pub fn versions_read(live: &Json) -> BTreeMap<Address, String> {
    ["/metadata/annotations", "/spec/template/metadata/annotations"]
        .iter()
        .filter_map(|pointer| live.pointer(pointer)?.get(ANNOTATION)?.as_str())
        .flat_map(str::split_whitespace)
        .filter_map(|entry| {
            let (address, version) = entry.split_once('=')?;
            Some((address.parse().ok()?, version.to_owned()))
        })
        .collect()
}

/// The annotation's text for these versions.
pub fn text(versions: &BTreeMap<Address, String>) -> String {
    let entries: Vec<_> = versions.iter().map(|(a, version)| format!("{a}={version}")).collect();
    entries.join(" ")
}

/// An output as the text of a version.
pub fn version_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_says_what_it_has_read() {
        let versions: BTreeMap<Address, String> = [
            (Address::new("ssm_parameter", "a"), "3".to_owned()),
            (Address::new("ssm_parameter", "b"), "11".to_owned()),
        ]
        .into();
        let text = text(&versions);
        for live in [
            json!({"metadata": {"annotations": {ANNOTATION: text}}}),
            json!({"spec": {"template": {"metadata": {"annotations": {ANNOTATION: text}}}}}),
        ] {
            assert_eq!(versions_read(&live), versions);
        }
        assert_eq!(versions_read(&json!({})), BTreeMap::new());
    }
}
