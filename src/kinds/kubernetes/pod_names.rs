//! What the pods of a manifest name.

use crate::model::Json;

fn text<'a>(value: &'a Json, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

fn items<'a>(value: &'a Json, pointer: &str) -> impl Iterator<Item = &'a Json> {
    value.pointer(pointer).and_then(Json::as_array).into_iter().flatten()
}

/// Every pod spec in a manifest, wherever it stands: what has a list of containers.
pub(super) fn pod_specs<'a>(value: &'a Json, visit: &mut impl FnMut(&'a Json)) {
    match value {
        Json::Object(map) => {
            if map.get("containers").is_some_and(Json::is_array) {
                visit(value);
            }
            map.values().for_each(|inner| pod_specs(inner, visit));
        }
        Json::Array(list) => list.iter().for_each(|inner| pod_specs(inner, visit)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// What a pod names.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Named {
    /// A Secret.
    Secret,
    /// Another object of the core group in its namespace.
    Object(&'static str),
    PriorityClass,
    RuntimeClass,
    StorageClass,
}

/// Everything that a pod names.
pub(super) fn pod_needs<'a>(pod: &'a Json, visit: &mut impl FnMut(Named, &'a str)) {
    let mut see = |what: Named, value: &'a Json, pointer: &str| {
        if let Some(name) = text(value, pointer) {
            visit(what, name);
        }
    };
    let config_map = Named::Object("ConfigMap");
    see(Named::Object("ServiceAccount"), pod, "/serviceAccountName");
    see(Named::Object("ServiceAccount"), pod, "/serviceAccount");
    see(Named::PriorityClass, pod, "/priorityClassName");
    see(Named::RuntimeClass, pod, "/runtimeClassName");
    for pull in items(pod, "/imagePullSecrets") {
        see(Named::Secret, pull, "/name");
    }
    for volume in items(pod, "/volumes") {
        see(Named::Object("PersistentVolumeClaim"), volume, "/persistentVolumeClaim/claimName");
        see(config_map, volume, "/configMap/name");
        see(Named::Secret, volume, "/secret/secretName");
        see(Named::Secret, volume, "/csi/nodePublishSecretRef/name");
        see(Named::StorageClass, volume, "/ephemeral/volumeClaimTemplate/spec/storageClassName");
        for source in items(volume, "/projected/sources") {
            see(config_map, source, "/configMap/name");
            see(Named::Secret, source, "/secret/name");
        }
    }
    for list in ["/containers", "/initContainers", "/ephemeralContainers"] {
        for container in items(pod, list) {
            for variable in items(container, "/env") {
                see(Named::Secret, variable, "/valueFrom/secretKeyRef/name");
                see(config_map, variable, "/valueFrom/configMapKeyRef/name");
            }
            for source in items(container, "/envFrom") {
                see(Named::Secret, source, "/secretRef/name");
                see(config_map, source, "/configMapRef/name");
            }
        }
    }
}
