//! What objects need, by what they name: the order in which a stack is made, and back.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Json;
use crate::model::address::Address;

use super::names::{defines, group_of, has_pod_template, kind_of, name, namespace};
use super::pod_names::{Named, pod_needs, pod_specs};

const SSM_PARAMETER: &str = "ssm_parameter";
const ESO: &str = "external-secrets.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// The resources of a stack, to be found by what they are called.
struct Index<'a> {
    objects: BTreeMap<(&'a str, &'a str, Option<&'a str>, &'a str), &'a Address>,
    definitions: BTreeMap<(&'a str, &'a str), &'a Address>,
    parameters: BTreeMap<&'a str, &'a Address>,
    /// What makes a Secret, by namespace and the Secret's name.
    makers: BTreeMap<(Option<&'a str>, &'a str), &'a Address>,
}

fn text<'a>(value: &'a Json, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

fn items<'a>(value: &'a Json, pointer: &str) -> impl Iterator<Item = &'a Json> {
    value.pointer(pointer).and_then(Json::as_array).into_iter().flatten()
}

impl<'a> Index<'a> {
    fn new(resources: &[(&'a Address, &'a Json)]) -> Self {
        let mut index = Index {
            objects: BTreeMap::new(),
            definitions: BTreeMap::new(),
            parameters: BTreeMap::new(),
            makers: BTreeMap::new(),
        };
        for (address, spec) in resources.iter().copied() {
            if address.kind() == SSM_PARAMETER {
                if let Some(name) = spec.get("name").and_then(Json::as_str) {
                    index.parameters.insert(name, address);
                }
            } else if address.is_kubernetes() {
                let (group, kind) = (group_of(spec), kind_of(spec).1);
                index.objects.insert((group, kind, namespace(spec), name(spec)), address);
                if let Some(defined) = defines(spec) {
                    index.definitions.insert(defined, address);
                }
                if let Some(secret) = made_secret(spec) {
                    index.makers.insert((namespace(spec), secret), address);
                }
            }
        }
        index
    }

    fn object(
        &self,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<&'a Address> {
        self.objects.get(&(group, kind, namespace, name)).copied()
    }

    /// The Secret itself, or what makes it.
    fn secret(&self, namespace: Option<&str>, name: &str) -> Option<&'a Address> {
        self.object("", "Secret", namespace, name)
            .or_else(|| self.makers.get(&(namespace, name)).copied())
    }
}

/// The name of the Secret that a custom resource makes, where it says so as such resources do.
fn made_secret(spec: &Json) -> Option<&str> {
    match (group_of(spec), kind_of(spec).1) {
        (ESO, "ExternalSecret") => Some(text(spec, "/spec/target/name").unwrap_or(name(spec))),
        ("bitnami.com", "SealedSecret") => {
            Some(text(spec, "/spec/template/metadata/name").unwrap_or(name(spec)))
        }
        (group, _) if is_builtin(group) => None,
        (_, _) => [
            "/spec/secretName",
            "/spec/target/name",
            "/spec/destination/name",
            "/spec/writeConnectionSecretToRef/name",
        ]
        .into_iter()
        .find_map(|pointer| text(spec, pointer)),
    }
}

fn is_builtin(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// Every edge that the specs of a stack imply: what needs, and what it needs. `resources` are all
/// of the stack, of every kind; what is not in it makes no edge.
pub fn edges(resources: &[(&Address, &Json)]) -> Vec<(Address, Address)> {
    let index = Index::new(resources);
    let mut found = BTreeSet::new();
    for (address, spec) in resources.iter().copied().filter(|(a, _)| a.is_kubernetes()) {
        for needed in needs(&index, spec) {
            if needed != address {
                found.insert((address.clone(), needed.clone()));
            }
        }
    }
    found.into_iter().collect()
}

fn needs<'a>(index: &Index<'a>, spec: &Json) -> Vec<&'a Address> {
    let ns = namespace(spec);
    let mut found: Vec<Option<&'a Address>> = Vec::new();
    if let Some(ns) = ns {
        found.push(index.object("", "Namespace", None, ns));
    }
    found.push(index.definitions.get(&(group_of(spec), kind_of(spec).1)).copied());
    if let Some((group, version)) = kind_of(spec).0.split_once('/') {
        let name = format!("{version}.{group}");
        found.push(index.object("apiregistration.k8s.io", "APIService", None, &name));
    }
    if defines(spec).is_none() {
        kind_needs(index, spec, ns, &mut found);
        pods_need(index, spec, ns, &mut found);
    }
    found.into_iter().flatten().collect()
}

/// The Service behind which something answers the API server.
fn server<'a>(index: &Index<'a>, service: Option<&Json>) -> Option<&'a Address> {
    let (namespace, name) = (text(service?, "/namespace")?, text(service?, "/name")?);
    index.object("", "Service", Some(namespace), name)
}

fn storage_class<'a>(index: &Index<'a>, name: Option<&str>) -> Option<&'a Address> {
    index.object("storage.k8s.io", "StorageClass", None, name?)
}

/// What an object needs by the fields of its own kind.
fn kind_needs<'a>(
    index: &Index<'a>,
    spec: &Json,
    ns: Option<&str>,
    found: &mut Vec<Option<&'a Address>>,
) {
    match (group_of(spec), kind_of(spec).1) {
        (ESO, "ExternalSecret") => {
            found.extend(remote_keys(spec).map(|key| index.parameters.get(key).copied()));
            found.extend(stores(spec).map(|(kind, name)| {
                index.object(ESO, kind, ns.filter(|_| kind == "SecretStore"), name)
            }));
        }
        (ESO, "SecretStore" | "ClusterSecretStore") => store_secrets(spec, ns, &mut |ns, name| {
            found.push(index.secret(ns, name));
        }),
        (RBAC, "RoleBinding" | "ClusterRoleBinding") => {
            let role = text(spec, "/roleRef/name").unwrap_or_default();
            found.push(match text(spec, "/roleRef/kind") {
                Some("ClusterRole") => index.object(RBAC, "ClusterRole", None, role),
                _ => index.object(RBAC, "Role", ns, role),
            });
            for subject in items(spec, "/subjects") {
                if text(subject, "/kind") == Some("ServiceAccount") {
                    let ns = text(subject, "/namespace").or(ns);
                    let name = text(subject, "/name").unwrap_or_default();
                    found.push(index.object("", "ServiceAccount", ns, name));
                }
            }
        }
        ("", "PersistentVolumeClaim") => {
            found.push(storage_class(index, text(spec, "/spec/storageClassName")));
            let volume = text(spec, "/spec/volumeName");
            found.push(volume.and_then(|v| index.object("", "PersistentVolume", None, v)));
            // It is filled from another one.
            for source in ["/spec/dataSource", "/spec/dataSourceRef"] {
                let source = spec.pointer(source);
                let claim = source.filter(|s| text(s, "/kind") == Some("PersistentVolumeClaim"));
                let name = claim.and_then(|claim| text(claim, "/name"));
                found.push(name.and_then(|n| index.object("", "PersistentVolumeClaim", ns, n)));
            }
        }
        ("", "PersistentVolume") => {
            found.push(storage_class(index, text(spec, "/spec/storageClassName")))
        }
        ("", "ServiceAccount") => {
            let names = items(spec, "/imagePullSecrets").filter_map(|one| text(one, "/name"));
            found.extend(names.map(|name| index.secret(ns, name)));
        }
        // A token of an account that is not there is taken away again.
        ("", "Secret") => {
            let annotations = spec.pointer("/metadata/annotations");
            let account = annotations
                .and_then(|all| all.get("kubernetes.io/service-account.name"))
                .and_then(Json::as_str);
            found.push(account.and_then(|n| index.object("", "ServiceAccount", ns, n)));
        }
        ("networking.k8s.io", "Ingress") => {
            let class = text(spec, "/spec/ingressClassName");
            let of = |name| index.object("networking.k8s.io", "IngressClass", None, name);
            found.push(class.and_then(of));
            ingress(index, spec, ns, found);
        }
        ("cert-manager.io", "Certificate") => {
            let issuer = text(spec, "/spec/issuerRef/name");
            let kind = text(spec, "/spec/issuerRef/kind").unwrap_or("Issuer");
            let within = ns.filter(|_| kind == "Issuer");
            found.push(issuer.and_then(|n| index.object("cert-manager.io", kind, within, n)));
        }
        ("admissionregistration.k8s.io", _) => {
            for webhook in items(spec, "/webhooks") {
                found.push(server(index, webhook.pointer("/clientConfig/service")));
            }
        }
        ("apiregistration.k8s.io", "APIService") => {
            found.push(server(index, spec.pointer("/spec/service")));
        }
        ("argoproj.io", "Application") => {
            let project = text(spec, "/spec/project").unwrap_or("default");
            found.push(index.object("argoproj.io", "AppProject", ns, project));
        }
        ("autoscaling", _) => {
            let group = text(spec, "/spec/scaleTargetRef/apiVersion").unwrap_or_default();
            let group = group.split_once('/').map_or("", |(group, _)| group);
            let kind = text(spec, "/spec/scaleTargetRef/kind").unwrap_or_default();
            let name = text(spec, "/spec/scaleTargetRef/name").unwrap_or_default();
            found.push(index.object(group, kind, ns, name));
        }
        ("apps", "StatefulSet") => {
            let service = text(spec, "/spec/serviceName");
            found.push(service.and_then(|name| index.object("", "Service", ns, name)));
            for claim in items(spec, "/spec/volumeClaimTemplates") {
                found.push(storage_class(index, text(claim, "/spec/storageClassName")));
            }
        }
        _ => {}
    }
}

/// What an object needs by what its pods name.
fn pods_need<'a>(
    index: &Index<'a>,
    spec: &Json,
    ns: Option<&str>,
    found: &mut Vec<Option<&'a Address>>,
) {
    pod_specs(spec, &mut |pod| {
        pod_needs(pod, &mut |what, name| {
            found.push(match what {
                Named::Secret => index.secret(ns, name),
                Named::Object(kind) => index.object("", kind, ns, name),
                Named::PriorityClass => {
                    index.object("scheduling.k8s.io", "PriorityClass", None, name)
                }
                Named::RuntimeClass => index.object("node.k8s.io", "RuntimeClass", None, name),
                Named::StorageClass => storage_class(index, Some(name)),
            });
        });
    });
}

/// The parameters that an ExternalSecret reads, by name.
fn remote_keys(spec: &Json) -> impl Iterator<Item = &str> {
    let data = items(spec, "/spec/data").filter_map(|item| text(item, "/remoteRef/key"));
    let whole = items(spec, "/spec/dataFrom").filter_map(|item| text(item, "/extract/key"));
    data.chain(whole)
}

/// The stores that an ExternalSecret reads from: kind and name.
fn stores(spec: &Json) -> impl Iterator<Item = (&str, &str)> {
    let own = spec.pointer("/spec/secretStoreRef").into_iter();
    let data = items(spec, "/spec/data").chain(items(spec, "/spec/dataFrom"));
    own.chain(data.filter_map(|item| item.pointer("/sourceRef/storeRef"))).filter_map(|store| {
        Some((text(store, "/kind").unwrap_or("SecretStore"), text(store, "/name")?))
    })
}

/// The Secrets that a store's access data comes from.
fn store_secrets<'a>(
    value: &'a Json,
    ns: Option<&'a str>,
    visit: &mut impl FnMut(Option<&'a str>, &'a str),
) {
    match value {
        Json::Object(map) => {
            for (key, inner) in map {
                if (key.ends_with("SecretRef") || key == "secretRef")
                    && let Some(name) = text(inner, "/name")
                {
                    visit(text(inner, "/namespace").or(ns), name);
                }
                store_secrets(inner, ns, visit);
            }
        }
        Json::Array(list) => list.iter().for_each(|inner| store_secrets(inner, ns, visit)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn ingress<'a>(
    index: &Index<'a>,
    spec: &Json,
    ns: Option<&str>,
    found: &mut Vec<Option<&'a Address>>,
) {
    let mut service = |backend: Option<&Json>| {
        let name = backend.and_then(|backend| text(backend, "/service/name"));
        found.push(name.and_then(|name| index.object("", "Service", ns, name)));
    };
    service(spec.pointer("/spec/defaultBackend"));
    for rule in items(spec, "/spec/rules") {
        items(rule, "/http/paths").for_each(|path| service(path.get("backend")));
    }
    for tls in items(spec, "/spec/tls") {
        found.push(text(tls, "/secretName").and_then(|name| index.secret(ns, name)));
    }
}

/// For each parameter of the stack, what has to read it again when it changes: the ExternalSecrets
/// that name it, and the workloads whose pods name the Secrets that these make.
pub fn parameter_readers(resources: &[(&Address, &Json)]) -> BTreeMap<Address, Vec<Address>> {
    let index = Index::new(resources);
    let mut readers: BTreeMap<Address, Vec<Address>> = BTreeMap::new();
    for (address, spec) in resources.iter().copied().filter(|(a, _)| a.is_kubernetes()) {
        if group_of(spec) != ESO || kind_of(spec).1 != "ExternalSecret" {
            continue;
        }
        let parameters: BTreeSet<&Address> =
            remote_keys(spec).filter_map(|key| index.parameters.get(key).copied()).collect();
        if parameters.is_empty() {
            continue;
        }
        let workloads: Vec<&Address> = resources
            .iter()
            .filter(|(a, s)| a.is_kubernetes() && has_pod_template(s) && reads(&index, s, address))
            .map(|(a, _)| *a)
            .collect();
        for parameter in parameters {
            let list = readers.entry(parameter.clone()).or_default();
            for reader in std::iter::once(&address).chain(&workloads) {
                if !list.contains(reader) {
                    list.push((*reader).clone());
                }
            }
        }
    }
    readers
}

/// Whether a workload's pods name the Secret that something makes.
fn reads(index: &Index<'_>, workload: &Json, maker: &Address) -> bool {
    let ns = namespace(workload);
    let mut found = false;
    pod_specs(workload, &mut |pod| {
        pod_needs(pod, &mut |what, name| {
            found |= what == Named::Secret && index.makers.get(&(ns, name)) == Some(&maker);
        });
    });
    found
}

#[cfg(test)]
#[path = "edges_tests.rs"]
mod tests;
