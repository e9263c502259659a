//! What is served: versions, groups, resources, plain and aggregated; OpenAPI as far as clients
//! need one to go on.

use base64::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::resources::{Resource, api_version, built_in, served, version_rank};
use super::status::Failure;
use super::store::Store;
use super::value::fields;
use super::{Request, Response, openapi};

/// Answers that need no credentials.
pub fn open(path: &str) -> Option<Response> {
    match path.trim_end_matches('/') {
        "/healthz" | "/readyz" | "/livez" => Some(Response::plain("ok")),
        "/version" => Some(Response::json(
            200,
            &json!({
                "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
                "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
                "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.27.3", "compiler": "gc",
                "platform": "linux/amd64",
            }),
        )),
        _ => None,
    }
}

/// Whether a built-in group bears the name.
pub fn is_built_in(group: &str) -> bool {
    built_in().iter().any(|r| r.group == group)
}

/// Answers a discovery or OpenAPI path, `None` for any other path.
///
/// # Errors
///
/// 404 for groups and versions that are not served.
pub fn answer(store: &Store, request: &Request<'_>) -> Result<Option<Response>, Failure> {
    let parts: Vec<_> = request.path.split('/').filter(|p| !p.is_empty()).collect();
    if !matches!(
        parts.as_slice(),
        ["openapi", ..] | ["api" | "apis"] | ["api" | "apis", _] | ["apis", _, _]
    ) {
        return Ok(None);
    }
    let all = served(store);
    let aggregated = wants_aggregated(request.accept);
    let body = match parts.as_slice() {
        ["openapi", rest @ ..] => openapi::document(&all, rest)?,
        ["api"] | ["apis"] if aggregated.is_some() => {
            let version = aggregated.unwrap_or_default();
            let core = parts.first() == Some(&"api");
            let mut response = Response::json(200, &aggregate(&all, core, version));
            response.content_type = format!(
                "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
            );
            return Ok(Some(response));
        }
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs":
                [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
        }),
        ["apis"] => {
            let groups: Vec<_> = groups(&all).iter().map(|name| group(&all, name)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["apis", name] => {
            if !groups(&all).contains(name) {
                return Err(Failure::page_not_found());
            }
            let mut group = group(&all, name);
            fields(&mut group).insert("kind".to_owned(), "APIGroup".into());
            fields(&mut group).insert("apiVersion".to_owned(), "v1".into());
            group
        }
        ["api", version] => resource_list(&all, "", version)?,
        ["apis", name, version] => resource_list(&all, name, version)?,
        _ => return Ok(None),
    };
    if request.method != "GET" {
        return Err(Failure::method_not_allowed());
    }
    Ok(Some(Response::json(200, &body)))
}

/// The version of aggregated discovery that the client wants more than any other form.
fn wants_aggregated(accept: Option<&str>) -> Option<&'static str> {
    let mut forms = accept
        .unwrap_or_default()
        .split(',')
        .map(|one| one.split(';').map(str::trim).collect::<Vec<_>>())
        .filter(|parts| parts.first() == Some(&"application/json"));
    forms.find_map(|parts| match parts.len() == 1 {
        true => Some(None),
        false if !parts.contains(&"as=APIGroupDiscoveryList") => None,
        false => ["v2", "v2beta1"]
            .into_iter()
            .find(|version| parts.contains(&format!("v={version}").as_str()))
            .map(Some),
    })?
}

/// The groups in order, without the core group.
fn groups(all: &[Resource]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for resource in all {
        if !resource.group.is_empty() && !names.contains(&resource.group.as_str()) {
            names.push(&resource.group);
        }
    }
    names
}

/// The versions of a group, the preferred one first.
fn versions<'a>(all: &'a [Resource], group: &str) -> Vec<&'a str> {
    let mut versions: Vec<&str> = Vec::new();
    for resource in all.iter().filter(|r| r.group == group) {
        if !versions.contains(&resource.version.as_str()) {
            versions.push(&resource.version);
        }
    }
    versions.sort_by_key(|version| std::cmp::Reverse(version_rank(version)));
    versions
}

fn group(all: &[Resource], name: &str) -> Value {
    let list: Vec<_> = versions(all, name)
        .into_iter()
        .map(|v| json!({"groupVersion": api_version(name, v), "version": v}))
        .collect();
    let preferred = list.first().cloned().unwrap_or_default();
    json!({"name": name, "versions": list, "preferredVersion": preferred})
}

fn resource_list(all: &[Resource], group: &str, version: &str) -> Result<Value, Failure> {
    let found: Vec<_> = all.iter().filter(|r| r.group == group && r.version == version).collect();
    if found.is_empty() {
        let known = is_built_in(group);
        return Err(if known { Failure::no_such_resource() } else { Failure::page_not_found() });
    }
    let mut list = Vec::new();
    for resource in found {
        list.push(entry(resource));
        for sub in &resource.subresources {
            let (of, at, kind, verbs) = resource.subresource(sub);
            let mut entry = json!({
                "name": format!("{}/{sub}", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": kind, "verbs": verbs,
            });
            if !of.is_empty() {
                fields(&mut entry).insert("group".to_owned(), of.into());
                fields(&mut entry).insert("version".to_owned(), at.into());
            }
            list.push(entry);
        }
    }
    let mut body = json!({"kind": "APIResourceList"});
    let map = fields(&mut body);
    // The core group's list has no apiVersion (recording 01, line 6).
    if !group.is_empty() {
        map.insert("apiVersion".to_owned(), "v1".into());
    }
    map.insert("groupVersion".to_owned(), api_version(group, version).into());
    map.insert("resources".to_owned(), Value::Array(list));
    Ok(body)
}

fn entry(resource: &Resource) -> Value {
    let mut entry = json!({
        "name": resource.plural, "singularName": resource.singular,
        "namespaced": resource.namespaced, "kind": resource.kind, "verbs": resource.verbs(),
    });
    let map = fields(&mut entry);
    if !resource.short_names.is_empty() {
        map.insert("shortNames".to_owned(), resource.short_names.clone().into());
    }
    if !resource.categories.is_empty() {
        map.insert("categories".to_owned(), resource.categories.clone().into());
    }
    // What is not stored has no version in storage.
    if !resource.verbs().contains(&"watch") {
        return entry;
    }
    // Definitions are still stored as v1beta1 (recording 01, line 12).
    let definition = resource.is("apiextensions.k8s.io", "customresourcedefinitions");
    let version = if definition { "v1beta1" } else { &resource.version };
    let kind = format!("{}/{version}/{}", resource.group, resource.kind);
    let hash = Sha256::digest(kind.as_bytes());
    let hash = BASE64_STANDARD.encode(hash.get(..8).unwrap_or_default());
    map.insert("storageVersionHash".to_owned(), hash.into());
    entry
}

fn aggregate(all: &[Resource], core: bool, version: &str) -> Value {
    let names = if core { vec![""] } else { groups(all) };
    let items: Vec<_> = names
        .into_iter()
        .map(|name| {
            let versions: Vec<_> = versions(all, name)
                .into_iter()
                .map(|version| {
                    let of = |r: &&Resource| r.group == name && r.version == version;
                    let list: Vec<_> = all.iter().filter(of).map(aggregated_entry).collect();
                    json!({"version": version, "resources": list, "freshness": "Current"})
                })
                .collect();
            let meta = if core { json!({}) } else { json!({"name": name}) };
            json!({"metadata": meta, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    })
}

fn aggregated_entry(resource: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    // Built-in kinds answer with empty group and version here; custom ones say theirs.
    let own = if resource.custom.is_some() {
        kind(&resource.group, &resource.version, &resource.kind)
    } else {
        kind("", "", &resource.kind)
    };
    let mut entry = json!({
        "resource": resource.plural, "responseKind": own,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs(),
    });
    let map = fields(&mut entry);
    if !resource.short_names.is_empty() {
        map.insert("shortNames".to_owned(), resource.short_names.clone().into());
    }
    if !resource.categories.is_empty() {
        map.insert("categories".to_owned(), resource.categories.clone().into());
    }
    if !resource.subresources.is_empty() {
        let subs: Vec<_> = resource
            .subresources
            .iter()
            .map(|sub| {
                let (of, at, name, verbs) = resource.subresource(sub);
                let of = match (of, name == resource.kind) {
                    ("", true) => own.clone(),
                    _ => kind(of, at, &name),
                };
                json!({"subresource": sub, "responseKind": of, "verbs": verbs})
            })
            .collect();
        map.insert("subresources".to_owned(), Value::Array(subs));
    }
    entry
}
