//! Which kinds a cluster serves: in two requests where it can aggregate, group by group else.

use crate::model::Json;
use crate::model::call::{Call, Service};
use crate::model::error::CallError;
use crate::model::scope::ApiResource;

use super::KubernetesClient;

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// Every kind that the cluster serves.
pub async fn read(client: &KubernetesClient) -> Result<Vec<ApiResource>, CallError> {
    let mut found = Vec::new();
    for root in ["/api", "/apis"] {
        let mut call = Call::get(Service::Kubernetes, root).tolerate(&[406]);
        call.accept = Some(AGGREGATED);
        let answer = client.send(&call, None).await?;
        if answer.body.get("kind").and_then(Json::as_str) == Some("APIGroupDiscoveryList") {
            found.extend(aggregated(&answer.body));
            continue;
        }
        let plain = if answer.is_success() {
            answer
        } else {
            client.send(&Call::get(Service::Kubernetes, root), None).await?
        };
        for path in version_paths(root, &plain.body) {
            let call = Call::get(Service::Kubernetes, path);
            // An aggregated API whose server is away takes its own kinds away, not the others'.
            match client.send(&call, None).await {
                Ok(answer) => found.extend(listed(&answer.body)),
                Err(error) if error.status == Some(404) => {}
                Err(error) if error.status == Some(503) => {
                    let group_version = call.path.trim_start_matches(root).trim_start_matches('/');
                    let (group, version) = split(group_version);
                    found.push(away(group, version));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

/// `group/version`, or the core group's `version`.
fn split(group_version: &str) -> (&str, &str) {
    group_version.split_once('/').unwrap_or(("", group_version))
}

/// A version that is announced and whose kinds can't be told.
fn away(group: &str, version: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: String::new(),
        plural: String::new(),
        namespaced: false,
        verbs: Vec::new(),
    }
}

fn text<'a>(value: &'a Json, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Json, key: &str) -> impl Iterator<Item = &'a Json> {
    value.get(key).and_then(Json::as_array).into_iter().flatten()
}

fn verbs(resource: &Json) -> Vec<String> {
    items(resource, "verbs").filter_map(Json::as_str).map(str::to_owned).collect()
}

/// The kinds of an `APIGroupDiscoveryList`.
fn aggregated(body: &Json) -> Vec<ApiResource> {
    let mut found = Vec::new();
    for group in items(body, "items") {
        for version in items(group, "versions") {
            // What the aggregator could not fetch lately is as it was then, or left out.
            let is_stale = text(version, "/freshness") == "Stale";
            if is_stale && items(version, "resources").next().is_none() {
                found.push(away(text(group, "/metadata/name"), text(version, "/version")));
            }
            for resource in items(version, "resources") {
                let own = |pointer: &str, other: &str| match text(resource, pointer) {
                    "" => other.to_owned(),
                    said => said.to_owned(),
                };
                found.push(ApiResource {
                    group: own("/responseKind/group", text(group, "/metadata/name")),
                    version: own("/responseKind/version", text(version, "/version")),
                    kind: text(resource, "/responseKind/kind").to_owned(),
                    plural: text(resource, "/resource").to_owned(),
                    namespaced: text(resource, "/scope") == "Namespaced",
                    verbs: verbs(resource),
                });
            }
        }
    }
    found
}

/// The paths of all versions that an `APIVersions` or `APIGroupList` names, preferred ones first.
fn version_paths(root: &str, body: &Json) -> Vec<String> {
    let core = items(body, "versions").filter_map(Json::as_str).map(|v| format!("{root}/{v}"));
    let groups = items(body, "groups").flat_map(|group| items(group, "versions"));
    core.chain(groups.map(|version| format!("{root}/{}", text(version, "/groupVersion")))).collect()
}

/// The kinds of an `APIResourceList`.
fn listed(body: &Json) -> Vec<ApiResource> {
    let group_version = text(body, "/groupVersion");
    let (group, version) = split(group_version);
    items(body, "resources")
        .filter(|resource| !text(resource, "/name").contains('/'))
        .map(|resource| ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text(resource, "/kind").to_owned(),
            plural: text(resource, "/name").to_owned(),
            namespaced: resource.get("namespaced").and_then(Json::as_bool).unwrap_or(false),
            verbs: verbs(resource),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(path: &str, accept: &str) -> Json {
        let text = include_str!("../../../tests/recordings/kubernetes/01-discovery.jsonl");
        text.lines()
            .map(|line| serde_json::from_str::<Json>(line).unwrap())
            .find(|line| {
                line["request"]["path"] == path
                    && line["request"]["accept"].as_str().unwrap_or_default() == accept
            })
            .map(|mut line| line["response"]["body"].take())
            .unwrap()
    }

    #[test]
    fn a_version_whose_server_is_away_is_known_to_be_unknown() {
        let version = |version: &str, freshness: &str| serde_json::json!({"version": version, "freshness": freshness, "resources": []});
        let body = serde_json::json!({"items": [{"metadata": {"name": "metrics.k8s.io"},
            "versions": [version("v1", "Stale"), version("v1beta1", "Current")]}]});
        assert_eq!(aggregated(&body), [away("metrics.k8s.io", "v1")]);
    }

    #[test]
    fn both_forms_of_discovery_tell_the_same() {
        let all = aggregated(&recorded("/apis", AGGREGATED));
        let one = listed(&recorded("/apis/apps/v1", "application/json"));
        let deployment = one.iter().find(|resource| resource.kind == "Deployment").unwrap();
        assert_eq!(deployment.plural, "deployments");
        assert!(deployment.namespaced && deployment.verbs.contains(&"patch".to_owned()));
        for resource in &one {
            assert!(all.contains(resource), "{resource:?}");
        }
        let core = aggregated(&recorded("/api", AGGREGATED));
        assert!(core.iter().any(|r| r.kind == "Namespace" && r.group.is_empty() && !r.namespaced));
        let paths = version_paths("/apis", &recorded("/apis", "application/json"));
        assert!(paths.contains(&"/apis/apps/v1".to_owned()));
        assert_eq!(version_paths("/api", &recorded("/api", "application/json")), ["/api/v1"]);
    }
}
