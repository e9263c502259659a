//! Bodies in the binary form in which kubectl's own generators (`create configmap`,
//! `auth can-i`) send built-in kinds: decoded for the kinds that they make, by the field numbers
//! of `k8s.io/api/…/generated.proto`. A field that no table has is an error, never left out.

use base64::prelude::*;
use serde_json::{Map, Value, json};

use super::value::{fields, set};

/// What such a body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may be nested.
const DEPTH: u32 = 32;

/// What a field holds.
#[derive(Clone, Copy)]
enum Of {
    Text,
    Bytes,
    Integer,
    Flag,
    Texts,
    TextMap,
    BytesMap,
    Message(&'static str),
    Messages(&'static str),
}

use Of::{Bytes, BytesMap, Flag, Integer, Message, Messages, Text, TextMap, Texts};

/// Number, name and content of a message's fields.
type Fields = &'static [(u64, &'static str, Of)];

const META: (u64, &str, Of) = (1, "metadata", Message("ObjectMeta"));

#[rustfmt::skip]
const TABLE: &[(&str, Fields)] = &[
    ("Unknown", &[(1, "typeMeta", Message("TypeMeta")), (2, "raw", Bytes),
        (3, "contentEncoding", Text), (4, "contentType", Text)]),
    ("TypeMeta", &[(1, "apiVersion", Text), (2, "kind", Text)]),
    ("ObjectMeta", &[(1, "name", Text), (2, "generateName", Text), (3, "namespace", Text),
        (4, "selfLink", Text), (5, "uid", Text), (6, "resourceVersion", Text),
        (7, "generation", Integer), (8, "creationTimestamp", Message("Time")),
        (11, "labels", TextMap), (12, "annotations", TextMap), (14, "finalizers", Texts)]),
    ("Time", &[(1, "seconds", Integer), (2, "nanos", Integer)]),
    ("ConfigMap", &[META, (2, "data", TextMap), (3, "binaryData", BytesMap), (4, "immutable", Flag)]),
    ("Secret", &[META, (2, "data", BytesMap), (3, "type", Text), (4, "stringData", TextMap),
        (5, "immutable", Flag)]),
    ("Namespace", &[META, (2, "spec", Message("NamespaceSpec")), (3, "status", Message("NamespaceStatus"))]),
    ("NamespaceSpec", &[(1, "finalizers", Texts)]),
    ("NamespaceStatus", &[(1, "phase", Text)]),
    ("ServiceAccount", &[META, (4, "automountServiceAccountToken", Flag)]),
    ("Deployment", &[META, (2, "spec", Message("DeploymentSpec")), (3, "status", Message("DeploymentStatus"))]),
    ("DeploymentSpec", &[(1, "replicas", Integer), (2, "selector", Message("LabelSelector")),
        (3, "template", Message("PodTemplateSpec")), (4, "strategy", Message("DeploymentStrategy")),
        (5, "minReadySeconds", Integer), (6, "revisionHistoryLimit", Integer), (7, "paused", Flag),
        (9, "progressDeadlineSeconds", Integer)]),
    ("DeploymentStrategy", &[(1, "type", Text)]),
    ("DeploymentStatus", &[(1, "observedGeneration", Integer), (2, "replicas", Integer),
        (3, "updatedReplicas", Integer), (4, "availableReplicas", Integer),
        (5, "unavailableReplicas", Integer), (7, "readyReplicas", Integer)]),
    ("LabelSelector", &[(1, "matchLabels", TextMap)]),
    ("PodTemplateSpec", &[META, (2, "spec", Message("PodSpec"))]),
    ("PodSpec", &[(2, "containers", Messages("Container")), (3, "restartPolicy", Text),
        (4, "terminationGracePeriodSeconds", Integer), (5, "activeDeadlineSeconds", Integer),
        (6, "dnsPolicy", Text), (7, "nodeSelector", TextMap), (8, "serviceAccountName", Text),
        (9, "serviceAccount", Text), (10, "nodeName", Text), (11, "hostNetwork", Flag),
        (12, "hostPID", Flag), (13, "hostIPC", Flag), (14, "securityContext", Message("Empty")),
        (16, "hostname", Text), (17, "subdomain", Text), (19, "schedulerName", Text),
        (20, "initContainers", Messages("Container")), (24, "priorityClassName", Text)]),
    ("Container", &[(1, "name", Text), (2, "image", Text), (3, "command", Texts), (4, "args", Texts),
        (5, "workingDir", Text), (6, "ports", Messages("ContainerPort")),
        (7, "env", Messages("EnvVar")), (8, "resources", Message("Empty")),
        (13, "terminationMessagePath", Text), (14, "imagePullPolicy", Text), (16, "stdin", Flag),
        (17, "stdinOnce", Flag), (18, "tty", Flag), (20, "terminationMessagePolicy", Text)]),
    ("ContainerPort", &[(1, "name", Text), (2, "hostPort", Integer), (3, "containerPort", Integer),
        (4, "protocol", Text), (5, "hostIP", Text)]),
    ("EnvVar", &[(1, "name", Text), (2, "value", Text)]),
    ("Empty", &[]),
    ("Job", &[META, (2, "spec", Message("JobSpec")), (3, "status", Message("JobStatus"))]),
    ("JobSpec", &[(1, "parallelism", Integer), (2, "completions", Integer),
        (3, "activeDeadlineSeconds", Integer), (4, "selector", Message("LabelSelector")),
        (5, "manualSelector", Flag), (6, "template", Message("PodTemplateSpec")),
        (7, "backoffLimit", Integer), (8, "ttlSecondsAfterFinished", Integer)]),
    ("JobStatus", &[(4, "active", Integer), (5, "succeeded", Integer), (6, "failed", Integer),
        (7, "completedIndexes", Text)]),
    ("UserInfo", &[(1, "username", Text), (2, "uid", Text), (3, "groups", Texts)]),
    ("SelfSubjectAccessReview", &[META, (2, "spec", Message("SelfSubjectAccessReviewSpec")),
        (3, "status", Message("SubjectAccessReviewStatus"))]),
    ("SelfSubjectAccessReviewSpec", &[(1, "resourceAttributes", Message("ResourceAttributes")),
        (2, "nonResourceAttributes", Message("NonResourceAttributes"))]),
    ("ResourceAttributes", &[(1, "namespace", Text), (2, "verb", Text), (3, "group", Text),
        (4, "version", Text), (5, "resource", Text), (6, "subresource", Text), (7, "name", Text)]),
    ("NonResourceAttributes", &[(1, "path", Text), (2, "verb", Text)]),
    ("SubjectAccessReviewStatus", &[(1, "allowed", Flag), (2, "reason", Text),
        (3, "evaluationError", Text), (4, "denied", Flag)]),
    ("SelfSubjectReview", &[META, (2, "status", Message("SelfSubjectReviewStatus"))]),
    ("SelfSubjectReviewStatus", &[(1, "userInfo", Message("UserInfo"))]),
    ("SelfSubjectRulesReview", &[META, (2, "spec", Message("SelfSubjectRulesReviewSpec")),
        (3, "status", Message("SubjectRulesReviewStatus"))]),
    ("SelfSubjectRulesReviewSpec", &[(1, "namespace", Text)]),
    ("SubjectRulesReviewStatus", &[(3, "incomplete", Flag), (4, "evaluationError", Text)]),
];

/// The object in a body.
///
/// # Errors
///
/// Why it can't be read: no such body, or a field or kind that no table has.
pub fn decode(body: &[u8]) -> Result<Value, String> {
    let body = body.strip_prefix(MAGIC).ok_or("does not begin with k8s and a zero")?;
    let unknown = message("Unknown", body, 0)?;
    let raw = unknown.get("raw").and_then(Value::as_str).unwrap_or_default();
    let raw = BASE64_STANDARD.decode(raw).map_err(|error| error.to_string())?;
    let meta = unknown.get("typeMeta").cloned().unwrap_or_default();
    let kind = meta.get("kind").and_then(Value::as_str).unwrap_or_default();
    let mut object = json!({"apiVersion": meta.get("apiVersion"), "kind": kind});
    let content = message(kind, &raw, 0)?;
    fields(&mut object).extend(content);
    // Times that are not set are written all the same.
    for at in ["/metadata", "/spec/template/metadata"] {
        if let Some(meta) = object.pointer_mut(at) {
            set(meta, "creationTimestamp", None);
            if let Some(map) = meta.as_object_mut() {
                map.retain(|_, value| *value != json!(0));
            }
        }
    }
    Ok(object)
}

fn message(kind: &str, mut bytes: &[u8], depth: u32) -> Result<Map<String, Value>, String> {
    let (_, known) = TABLE
        .iter()
        .find(|(name, _)| *name == kind)
        .ok_or_else(|| format!("{kind} is read as JSON only"))?;
    if depth > DEPTH {
        return Err("is nested too deeply".to_owned());
    }
    let mut out = Map::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let (number, wire) = (tag >> 3, tag & 7);
        let (name, of) = known
            .iter()
            .find(|(known, ..)| *known == number)
            .map(|(_, name, of)| (*name, *of))
            .ok_or_else(|| format!("field {number} of {kind} is read as JSON only"))?;
        if wire == 0 {
            let value = varint(&mut bytes)?;
            let value = match of {
                Flag => Value::Bool(value != 0),
                // Negative numbers are written in two's complement.
                _ => i64::from_ne_bytes(value.to_ne_bytes()).into(),
            };
            if !matches!(name, "hostPort" | "minReadySeconds") || value != json!(0) {
                out.insert(name.to_owned(), value);
            }
            continue;
        }
        if wire != 2 {
            return Err(format!("field {name} has the wire type {wire}"));
        }
        let content = counted(&mut bytes)?;
        add(&mut out, name, of, content, depth)?;
    }
    Ok(out)
}

fn add(
    out: &mut Map<String, Value>,
    name: &str,
    of: Of,
    content: &[u8],
    depth: u32,
) -> Result<(), String> {
    // Go's zero values are written out like any other.
    if matches!(of, Text) && content.is_empty() {
        return Ok(());
    }
    let slot = out.entry(name).or_insert(Value::Null);
    match of {
        Text => *slot = text(content)?.into(),
        Bytes => *slot = BASE64_STANDARD.encode(content).into(),
        Message(kind) => *slot = message(kind, content, depth + 1)?.into(),
        Texts => push(slot, text(content)?.into()),
        Messages(kind) => push(slot, message(kind, content, depth + 1)?.into()),
        TextMap | BytesMap => {
            let (mut key, mut value, mut rest) = (String::new(), Value::from(""), content);
            while !rest.is_empty() {
                let number = varint(&mut rest)? >> 3;
                let part = counted(&mut rest)?;
                match (number, of) {
                    (1, _) => key = text(part)?,
                    (_, BytesMap) => value = BASE64_STANDARD.encode(part).into(),
                    _ => value = text(part)?.into(),
                }
            }
            fields(slot).insert(key, value);
        }
        Integer | Flag => return Err(format!("field {name} is no number")),
    }
    Ok(())
}

fn push(slot: &mut Value, value: Value) {
    match slot.as_array_mut() {
        Some(list) => list.push(value),
        None => *slot = json!([value]),
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
}

fn counted<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = usize::try_from(varint(bytes)?).map_err(|error| error.to_string())?;
    let (content, rest) = bytes.split_at_checked(length).ok_or("unexpected EOF")?;
    *bytes = rest;
    Ok(content)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or("unexpected EOF")?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short");
        [&[number << 3 | 2, length], content].concat()
    }

    #[test]
    fn what_kubectl_writes_is_read() {
        let entry = [field(1, b"a"), field(2, b"b")].concat();
        let map = [field(1, &field(1, b"made")), field(2, &entry)].concat();
        let meta = [field(1, b"v1"), field(2, b"ConfigMap")].concat();
        let whole = [field(1, &meta), field(2, &map)].concat();
        let body = [MAGIC, &whole].concat();
        assert_eq!(
            decode(&body).expect("readable"),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"},
                "data": {"a": "b"}})
        );
        let strange = [MAGIC, &field(1, &field(2, b"Lease"))].concat();
        assert!(decode(&strange).is_err_and(|why| why.contains("Lease")));
        for end in 0..body.len() {
            let _ = decode(body.get(..end).unwrap_or_default());
        }
    }
}
