//! As much of an OpenAPI document as clients ask for before they write: which kinds there are
//! and that PATCH understands `fieldValidation`, so that they leave validation to the server.

use serde_json::{Map, Value, json};

use super::resources::{Resource, api_version};
use super::status::Failure;

/// The document under `/openapi/…`.
///
/// # Errors
///
/// 404 for group versions that are not served.
pub fn document(all: &[Resource], path: &[&str]) -> Result<Value, Failure> {
    match path {
        ["v2"] => Ok(json!({"swagger": "2.0", "info": info(), "paths": {}})),
        ["v3"] => Ok(json!({"paths": index(all)})),
        ["v3", "api", version] => group_version(all, "", version),
        ["v3", "apis", group, version] => group_version(all, group, version),
        _ => Err(Failure::page_not_found()),
    }
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": "v1.36.0"})
}

/// `api/v1` or `apis/GROUP/VERSION`.
fn root(resource: &Resource) -> String {
    let prefix = if resource.group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", api_version(&resource.group, &resource.version))
}

fn index(all: &[Resource]) -> Map<String, Value> {
    all.iter()
        .map(|resource| {
            let root = root(resource);
            let url = format!("/openapi/v3/{root}");
            (root, json!({"serverRelativeURL": url}))
        })
        .collect()
}

fn group_version(all: &[Resource], group: &str, version: &str) -> Result<Value, Failure> {
    let paths: Map<String, Value> = all
        .iter()
        .filter(|r| r.group == group && r.version == version)
        .map(|resource| {
            let namespace = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
            let path = format!("/{}/{namespace}{}/{{name}}", root(resource), resource.plural);
            let parameters: Vec<_> = ["dryRun", "fieldManager", "fieldValidation", "force"]
                .iter()
                .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}))
                .collect();
            let patch = json!({
                "parameters": parameters, "responses": {},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {
                    "group": group, "version": version, "kind": resource.kind,
                },
            });
            (path, json!({"patch": patch}))
        })
        .collect();
    if paths.is_empty() {
        return Err(Failure::page_not_found());
    }
    Ok(json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": {}}}))
}
