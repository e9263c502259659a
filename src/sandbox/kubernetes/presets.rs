//! What the sandbox's cluster holds beyond a bare one: nodes, a storage class, the custom
//! resource definitions of External Secrets and Argo CD, secret stores.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Cluster, Preset};

impl Cluster {
    /// Puts nodes, the storage class `longhorn`, the CRDs of External Secrets and Argo CD with
    /// their namespaces, and ready ClusterSecretStores into the cluster.
    pub fn preset(&mut self, preset: &Preset, now: Timestamp) {
        let definitions = external_secrets().into_iter().chain(argo_cd());
        for definition in definitions {
            self.put_as("kubectl-create", &definition, now);
        }
        self.establish(now);
        for name in ["argocd", "external-secrets"] {
            let namespace = json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
            });
            self.put_as("kubectl-create", &namespace, now);
        }
        self.put_as("kubectl-create", &storage_class(), now);
        for name in &preset.nodes {
            self.put_as("kubelet", &node(name), now);
            self.set_status("kubelet", "v1", "Node", "", name, node_status(name, now), now);
        }
        for name in &preset.secret_stores {
            self.put_as("kubectl-create", &secret_store(name), now);
            let ready = json!({
                "capabilities": "ReadWrite",
                "conditions": [{"type": "Ready", "status": "True", "reason": "Valid",
                    "message": "store validated", "lastTransitionTime": super::rfc3339(now)}],
            });
            let version = "external-secrets.io/v1";
            let manager = super::controllers::EXTERNAL_SECRETS;
            self.set_status(manager, version, "ClusterSecretStore", "", name, ready, now);
        }
    }
}

fn storage_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "longhorn", "annotations":
            {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "driver.longhorn.io", "allowVolumeExpansion": true,
        "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate",
    })
}

fn node(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
        }},
        "spec": {},
    })
}

fn node_status(name: &str, now: Timestamp) -> Value {
    let time = super::rfc3339(now);
    json!({
        "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"},
        "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"},
        "addresses": [{"type": "Hostname", "address": name}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "kubelet is posting ready status", "lastHeartbeatTime": time,
            "lastTransitionTime": time}],
        "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux",
            "kubeletVersion": "v1.36.0", "osImage": "Linux", "kernelVersion": "6.12.0",
            "containerRuntimeVersion": "containerd://2.2.0", "kubeProxyVersion": "v1.36.0",
            "machineID": "", "systemUUID": "", "bootID": ""},
    })
}

fn secret_store(name: &str) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ClusterSecretStore",
        "metadata": {"name": name},
        "spec": {"provider": {"aws": {"service": "ParameterStore", "region": "ap-northeast-1"}}},
    })
}

/// One version of a definition.
struct Version {
    name: &'static str,
    storage: bool,
    deprecated: bool,
    status: bool,
    schema: Value,
    columns: Value,
}

/// Group, kind, plural, scope and short names.
type Names = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

fn definition(names: Names, versions: Vec<Version>) -> Value {
    let (group, kind, plural, scope, short) = names;
    let versions: Vec<_> = versions
        .into_iter()
        .map(|v| {
            let mut version = json!({
                "name": v.name, "served": true, "storage": v.storage,
                "schema": {"openAPIV3Schema": v.schema},
                "additionalPrinterColumns": v.columns,
            });
            let map = super::value::fields(&mut version);
            if v.deprecated {
                map.insert("deprecated".to_owned(), true.into());
            }
            let subresources = if v.status { json!({"status": {}}) } else { json!({}) };
            map.insert("subresources".to_owned(), subresources);
            version
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": scope, "versions": versions,
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind,
                "listKind": format!("{kind}List"), "shortNames": short},
        },
    })
}

fn text() -> Value {
    json!({"type": "string"})
}

fn defaulted(default: &str) -> Value {
    json!({"type": "string", "default": default})
}

fn free() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn list(of: &Value) -> Value {
    json!({"type": "array", "items": of})
}

fn object(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties})
}

fn root(spec: &Value, status: &Value) -> Value {
    object(&json!({
        "apiVersion": text(), "kind": text(), "metadata": {"type": "object"},
        "spec": spec, "status": status,
    }))
}

/// The definitions of External Secrets, v1 stored and v1beta1 deprecated.
pub fn external_secrets() -> Vec<Value> {
    let group = "external-secrets.io";
    let ready = json!([
        {"name": "Status", "type": "string",
            "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason"},
        {"name": "Ready", "type": "string",
            "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]);
    let both = |schema: &Value, columns: &Value| {
        ["v1", "v1beta1"]
            .into_iter()
            .map(|name| Version {
                name,
                storage: name == "v1",
                deprecated: name != "v1",
                status: true,
                schema: schema.clone(),
                columns: columns.clone(),
            })
            .collect::<Vec<_>>()
    };
    let store = root(&store_spec(), &store_status());
    let secret = root(&secret_spec(), &secret_status());
    let cluster = root(&cluster_secret_spec(), &free());
    let mut secret_columns = json!([
        {"name": "Store", "type": "string", "jsonPath": ".spec.secretStoreRef.name"},
        {"name": "Refresh Interval", "type": "string", "jsonPath": ".spec.refreshInterval"},
    ]);
    if let (Some(all), Some(more)) = (secret_columns.as_array_mut(), ready.as_array()) {
        all.extend(more.iter().cloned());
    }
    let push = vec![Version {
        name: "v1alpha1",
        storage: true,
        deprecated: false,
        status: true,
        schema: root(&free(), &free()),
        columns: ready.clone(),
    }];
    vec![
        definition(
            (group, "ExternalSecret", "externalsecrets", "Namespaced", &["es"]),
            both(&secret, &secret_columns),
        ),
        definition(
            (group, "SecretStore", "secretstores", "Namespaced", &["ss"]),
            both(&store, &ready),
        ),
        definition(
            (group, "ClusterSecretStore", "clustersecretstores", "Cluster", &["css"]),
            both(&store, &ready),
        ),
        definition(
            (group, "ClusterExternalSecret", "clusterexternalsecrets", "Cluster", &["ces"]),
            both(&cluster, &ready),
        ),
        definition((group, "PushSecret", "pushsecrets", "Namespaced", &["ps"]), push),
    ]
}

fn store_spec() -> Value {
    object(&json!({
        "provider": free(), "controller": text(), "conditions": list(&free()),
        "refreshInterval": {"type": "integer"}, "retrySettings": free(),
    }))
}

fn store_status() -> Value {
    object(&json!({"capabilities": text(), "conditions": list(&condition())}))
}

fn condition() -> Value {
    object(&json!({
        "type": text(), "status": text(), "reason": text(), "message": text(),
        "lastTransitionTime": {"type": "string", "format": "date-time"},
    }))
}

fn remote_reference() -> Value {
    let mut reference = object(&json!({
        "key": text(), "property": text(), "version": text(),
        "conversionStrategy": defaulted("Default"), "decodingStrategy": defaulted("None"),
        "metadataPolicy": defaulted("None"),
    }));
    super::value::set(&mut reference, "required", Some(json!(["key"])));
    reference
}

fn secret_spec() -> Value {
    let store = object(&json!({"name": text(), "kind": text()}));
    let source = object(&json!({"storeRef": store, "generatorRef": free()}));
    let mut datum = object(&json!({
        "secretKey": text(), "remoteRef": remote_reference(), "sourceRef": source,
    }));
    super::value::set(&mut datum, "required", Some(json!(["remoteRef", "secretKey"])));
    let from = object(&json!({
        "extract": remote_reference(), "find": free(), "rewrite": list(&free()),
        "sourceRef": source,
    }));
    let template = object(&json!({
        "type": text(), "engineVersion": defaulted("v2"), "mergePolicy": defaulted("Replace"),
        "metadata": object(&json!({
            "labels": {"type": "object", "additionalProperties": text()},
            "annotations": {"type": "object", "additionalProperties": text()},
        })),
        "data": {"type": "object", "additionalProperties": text()},
        "templateFrom": list(&free()),
    }));
    let mut target = object(&json!({
        "name": text(), "immutable": {"type": "boolean"}, "template": template,
        "creationPolicy": {"type": "string", "default": "Owner",
            "enum": ["Owner", "Orphan", "Merge", "None"]},
        "deletionPolicy": {"type": "string", "default": "Retain",
            "enum": ["Delete", "Merge", "Retain"]},
    }));
    let default = json!({"creationPolicy": "Owner", "deletionPolicy": "Retain"});
    super::value::set(&mut target, "default", Some(default));
    object(&json!({
        "refreshInterval": defaulted("1h"),
        "refreshPolicy": {"type": "string", "enum": ["CreatedOnce", "Periodic", "OnChange"]},
        "secretStoreRef": store, "target": target, "data": list(&datum), "dataFrom": list(&from),
    }))
}

fn secret_status() -> Value {
    object(&json!({
        "refreshTime": {"type": "string", "format": "date-time", "nullable": true},
        "syncedResourceVersion": text(), "conditions": list(&condition()),
        "binding": object(&json!({"name": defaulted("")})),
    }))
}

fn cluster_secret_spec() -> Value {
    object(&json!({
        "externalSecretSpec": secret_spec(), "externalSecretName": text(),
        "externalSecretMetadata": free(), "namespaceSelector": free(),
        "namespaceSelectors": list(&free()), "namespaces": list(&text()), "refreshTime": text(),
    }))
}

/// The definitions of Argo CD.
pub fn argo_cd() -> Vec<Value> {
    let group = "argoproj.io";
    let mut application = root(&application_spec(), &free());
    super::value::set(&mut application, "required", Some(json!(["metadata", "spec"])));
    let properties = super::value::child(&mut application, "properties");
    super::value::set(properties, "operation", Some(free()));
    let version = |schema, columns| {
        vec![Version {
            name: "v1alpha1",
            storage: true,
            deprecated: false,
            status: false,
            schema,
            columns,
        }]
    };
    let columns = json!([
        {"name": "Sync Status", "type": "string", "jsonPath": ".status.sync.status"},
        {"name": "Health Status", "type": "string", "jsonPath": ".status.health.status"},
    ]);
    vec![
        definition(
            (group, "Application", "applications", "Namespaced", &["app", "apps"]),
            version(application, columns),
        ),
        definition(
            (group, "AppProject", "appprojects", "Namespaced", &["appproj", "appprojs"]),
            version(root(&free(), &free()), json!([])),
        ),
    ]
}

fn application_spec() -> Value {
    let labels = json!({"type": "object", "additionalProperties": text()});
    let flag = json!({"type": "boolean"});
    let helm = object(&json!({
        "values": text(), "valuesObject": free(), "valueFiles": list(&text()),
        "releaseName": text(), "version": text(), "namespace": text(),
        "skipCrds": flag, "skipTests": flag, "skipSchemaValidation": flag,
        "passCredentials": flag, "ignoreMissingValueFiles": flag,
        "fileParameters": list(&object(&json!({"name": text(), "path": text()}))),
        "parameters": list(&object(&json!({"name": text(), "value": text(), "forceString": flag}))),
        "apiVersions": list(&text()), "kubeVersion": text(),
    }));
    let mut source = object(&json!({
        "repoURL": text(), "path": text(), "targetRevision": text(), "chart": text(),
        "ref": text(), "name": text(), "helm": helm, "kustomize": free(), "directory": free(),
        "plugin": free(),
    }));
    super::value::set(&mut source, "required", Some(json!(["repoURL"])));
    let automated = object(&json!({
        "prune": flag, "selfHeal": flag, "allowEmpty": flag, "enabled": flag,
    }));
    let backoff = object(&json!({
        "duration": text(), "maxDuration": text(), "factor": {"type": "integer"},
    }));
    let policy = object(&json!({
        "automated": automated, "syncOptions": list(&text()),
        "managedNamespaceMetadata": object(&json!({"labels": labels, "annotations": labels})),
        "retry": object(&json!({"limit": {"type": "integer"}, "refresh": flag, "backoff": backoff})),
    }));
    let mut difference = object(&json!({
        "group": text(), "kind": text(), "name": text(), "namespace": text(),
        "jsonPointers": list(&text()), "jqPathExpressions": list(&text()),
        "managedFieldsManagers": list(&text()),
    }));
    super::value::set(&mut difference, "required", Some(json!(["kind"])));
    let mut spec = object(&json!({
        "project": text(), "source": source, "sources": list(&source),
        "destination": object(&json!({"server": text(), "namespace": text(), "name": text()})),
        "syncPolicy": policy, "ignoreDifferences": list(&difference),
        "info": list(&object(&json!({"name": text(), "value": text()}))),
        "revisionHistoryLimit": {"type": "integer"}, "sourceHydrator": free(),
    }));
    super::value::set(&mut spec, "required", Some(json!(["destination", "project"])));
    spec
}
