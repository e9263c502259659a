//! What objects are called: kinds, namespaces, names, paths and ids.

use crate::model::Json;
use crate::model::kind::Problem;
use crate::model::scope::{ApiResource, Scope};

/// The annotation whose value names the versions of the parameters that an object has to have read.
pub const RESTART_ANNOTATION: &str = "boxctl/parameter-versions";

/// `apiVersion` and `kind`; empty where they are missing.
pub fn kind_of(object: &Json) -> (&str, &str) {
    let text = |key: &str| object.get(key).and_then(Json::as_str).unwrap_or_default();
    (text("apiVersion"), text("kind"))
}

/// The API group; empty for the core group.
pub fn group_of(object: &Json) -> &str {
    kind_of(object).0.split_once('/').map_or("", |(group, _)| group)
}

/// The object's name; empty where it has none.
pub fn name(object: &Json) -> &str {
    object.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default()
}

/// The object's namespace.
pub fn namespace(object: &Json) -> Option<&str> {
    object.pointer("/metadata/namespace").and_then(Json::as_str).filter(|name| !name.is_empty())
}

/// Whether an object is being deleted: it is still there, and goes when its finalizers are done.
pub fn is_going(raw: &Json) -> bool {
    raw.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// Whether the cluster serves the kind of a manifest.
pub fn served(manifest: &Json, scope: &Scope) -> bool {
    let (api_version, kind) = kind_of(manifest);
    scope.api_resource(api_version, kind).is_some()
}

/// The warning that a cluster serves nothing of a kind, which may yet come.
pub const NOT_SERVED: &str = "not-served";

/// Whether the cluster serves the kind of a manifest in its version.
///
/// # Errors
/// It serves other versions only; or, as a warning, nothing of the kind.
pub fn servable(manifest: &Json, scope: &Scope) -> Result<(), Problem> {
    let (api_version, kind) = kind_of(manifest);
    let group = group_of(manifest);
    if scope.api_resources.is_none() || served(manifest, scope) || scope.is_away(group) {
        return Ok(());
    }
    let message = format!("the cluster does not serve {kind} in {api_version}");
    let mut others: Vec<String> = Vec::new();
    for one in scope.api_resources.iter().flatten() {
        let is_other = one.group == group && one.kind == kind && !one.version.is_empty();
        let text = match group {
            "" => one.version.clone(),
            group => format!("{group}/{}", one.version),
        };
        if is_other && !others.contains(&text) {
            others.push(text);
        }
    }
    if others.is_empty() {
        return Err(Problem::warning(NOT_SERVED, "apiVersion", message)
            .hint("install what defines it, or put its CustomResourceDefinition into the stack"));
    }
    let hint = format!("write `apiVersion: {}`, which it serves", others.join("` or `"));
    Err(Problem::error("apiVersion", message).hint(hint))
}

/// The group and kind that a manifest defines, if it is a CustomResourceDefinition.
pub fn defines(manifest: &Json) -> Option<(&str, &str)> {
    if group_of(manifest) != "apiextensions.k8s.io"
        || kind_of(manifest).1 != "CustomResourceDefinition"
    {
        return None;
    }
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Json::as_str);
    Some((text("/spec/group")?, text("/spec/names/kind")?))
}

/// The versions of a kind that a CustomResourceDefinition has the API serve: `apiVersion` and kind.
pub fn served_versions(manifest: &Json) -> Vec<(String, String)> {
    let Some((group, kind)) = defines(manifest) else { return Vec::new() };
    let versions = manifest.pointer("/spec/versions").and_then(Json::as_array);
    let served = |version: &&Json| version.get("served").and_then(Json::as_bool) == Some(true);
    versions
        .into_iter()
        .flatten()
        .filter(served)
        .filter_map(|version| version.get("name")?.as_str())
        .map(|version| (format!("{group}/{version}"), kind.to_owned()))
        .collect()
}

/// The versions of parameters that an object was made to read, as it stands there.
pub fn restart_text(raw: &Json) -> Option<&str> {
    let metadata = if has_pod_template(raw) {
        raw.pointer("/spec/template/metadata")
    } else {
        raw.get("metadata")
    };
    metadata?.get("annotations")?.get(RESTART_ANNOTATION)?.as_str()
}

/// Whether its pods come from a template, so that an annotation there starts them anew.
pub fn has_pod_template(manifest: &Json) -> bool {
    matches!(
        (group_of(manifest), kind_of(manifest).1),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet") | ("argoproj.io", "Rollout")
    )
}

/// The path of a kind's objects, in a namespace or in the whole cluster.
pub fn collection_path(resource: &ApiResource, namespace: Option<&str>) -> String {
    let base = if resource.group.is_empty() {
        format!("/api/{}", resource.version)
    } else {
        format!("/apis/{}/{}", resource.group, resource.version)
    };
    match namespace.filter(|_| resource.namespaced) {
        Some(namespace) => format!("{base}/namespaces/{namespace}/{}", resource.plural),
        None => format!("{base}/{}", resource.plural),
    }
}

/// The path of one object.
pub fn object_path(resource: &ApiResource, namespace: Option<&str>, name: &str) -> String {
    format!("{}/{name}", collection_path(resource, namespace))
}

/// What the state knows an object by: `deployments.apps/openhands/openhands`, `namespaces/a`.
/// The version is left out, since the same object can be read in several.
pub fn id(resource: &ApiResource, namespace: Option<&str>, name: &str) -> String {
    let mut id = resource.plural.clone();
    if !resource.group.is_empty() {
        id.push('.');
        id.push_str(&resource.group);
    }
    if let Some(namespace) = namespace.filter(|_| resource.namespaced) {
        id.push('/');
        id.push_str(namespace);
    }
    format!("{id}/{name}")
}

/// Resource, namespace and name that an id stands for.
pub fn parse_id<'a, 's>(
    id: &'a str,
    scope: &'s Scope,
) -> Option<(&'s ApiResource, Option<&'a str>, &'a str)> {
    let (plural, group, namespace, name) = split_id(id)?;
    let resource = scope
        .api_resources
        .iter()
        .flatten()
        .find(|resource| resource.plural == plural && resource.group == group)?;
    Some((resource, namespace, name))
}

/// The parts of an id: the name in paths, the group, the namespace and the object's name.
pub fn split_id(id: &str) -> Option<(&str, &str, Option<&str>, &str)> {
    let mut parts = id.split('/');
    let (kind, second, third) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let (plural, group) = kind.split_once('.').unwrap_or((kind, ""));
    match third {
        Some(name) => Some((plural, group, Some(second), name)),
        None => Some((plural, group, None, second)),
    }
}

/// The path of the object that an id stands for, in a version that the cluster serves.
pub fn path_of_id(id: &str, scope: &Scope) -> Option<String> {
    let (resource, namespace, name) = parse_id(id, scope)?;
    Some(object_path(resource, namespace, name))
}
