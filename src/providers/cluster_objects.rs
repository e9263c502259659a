//! Objects that several machines share, in a namespace of a cluster: Secrets, and Leases for what
//! is renewed. Their resourceVersion is the version that writes are conditional on (Kubernetes API
//! concepts, "Resource versions").

use std::io::{Read, Write};
use std::sync::RwLock;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::cluster::Cluster;
use super::retry::CONNECT;
use crate::model::Json;
use crate::model::call::{Answer, Call, Listing, Method, Paging, Service};
use crate::model::error::{CallError, Failure};
use crate::model::port::{Expected, KeepError, Keeping, Object, Objects, Put, Transport};
use crate::model::secret::Secrets;

/// The label that says whose the objects are.
const PROJECT: &str = "boxctl/project";
/// The label that says which stack an object is about.
const STACK: &str = "boxctl/stack";
/// The annotation with the name that the store has for an object.
const NAME: &str = "boxctl/name";
/// The annotation of a Lease with what a Secret has in its data.
const CONTENT: &str = "boxctl/content";
/// The type of the Secrets.
const TYPE: &str = "boxctl/state";
/// The key of a Secret's data.
const KEY: &str = "content.gz";
/// Who writes them, as their managed fields say.
const MANAGER: &str = "boxctl-state";
/// What the data of a Secret takes, in bytes (k8s.io/api/core/v1, `MaxSecretSize`).
const MOST: usize = 1024 * 1024;
/// How the names of what is renewed end.
const LOCK: &str = ".lock";
/// How long a part of a name may be: a label's value takes 63 characters.
const LONGEST: usize = 54;
/// A list without what is in the Secrets.
const METADATA: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// Objects in a namespace.
pub struct ClusterObjects {
    cluster: Cluster,
    namespace: String,
    project: String,
}

/// What the object of that name is called in the cluster: what a Role names.
pub fn object_name(project: &str, name: &str) -> String {
    named(&part(project), name)
}

fn named(project: &str, name: &str) -> String {
    let name = match is_plain(name) {
        true => name.replace('/', "."),
        // What is no plain name always ends in a digest: `a.b.c` is not `a/b.c`.
        false => part(&format!("{name}/")),
    };
    format!("boxctl.{project}.{name}")
}

impl ClusterObjects {
    /// The objects of a project in a namespace, which has to be there.
    pub fn new(cluster: Cluster, namespace: String, project: &str) -> Self {
        ClusterObjects { cluster, namespace, project: part(project) }
    }

    fn collection(&self, name: &str) -> String {
        let namespace = &self.namespace;
        match name.ends_with(LOCK) {
            true => format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"),
            false => format!("/api/v1/namespaces/{namespace}/secrets"),
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{}", self.collection(name), self.object_name(name))
    }

    fn object_name(&self, name: &str) -> String {
        named(&self.project, name)
    }

    async fn send(&self, call: Call) -> Result<Answer, KeepError> {
        // Whether a write can be sent again is the store's to say, and so with its reads.
        let call = Call { within_ms: Some(0), ..call };
        let secrets = RwLock::new(Secrets::new());
        self.cluster.send(&call, &secrets).await.map_err(|error| self.failed(error))
    }

    /// What became of a call that was not carried out, or of which that is not known.
    fn failed(&self, error: CallError) -> KeepError {
        let is_passing = match error.failure {
            Failure::Unknown | Failure::Throttled => true,
            Failure::NotSent => error.code.as_deref() == Some(CONNECT),
            _ => false,
        };
        let namespace = &self.namespace;
        let hint = match error.failure {
            Failure::Denied if error.status == Some(403) => Some(format!(
                "a Role in the namespace {namespace} has to allow get, list, create, update and \
                 delete of secrets, and get, create, update and delete of leases in \
                 coordination.k8s.io"
            )),
            Failure::NotFound => Some(format!(
                "make the namespace: `kubectl create namespace {namespace}`, or see to \
                 `state.namespace`"
            )),
            _ => error.hint.clone(),
        };
        KeepError { message: error.to_string(), hint, is_passing }
    }

    fn document(
        &self,
        name: &str,
        content: &[u8],
        version: Option<&str>,
    ) -> Result<Json, KeepError> {
        let mut labels = json!({"app.kubernetes.io/managed-by": "boxctl", PROJECT: self.project});
        if let Some(stack) = stack(name) {
            labels[STACK] = part(stack).into();
        }
        let mut metadata = json!({
            "name": self.object_name(name),
            "namespace": self.namespace,
            "labels": labels,
            "annotations": {NAME: name},
        });
        if let Some(version) = version {
            metadata["resourceVersion"] = version.into();
        }
        if name.ends_with(LOCK) {
            let text = std::str::from_utf8(content).map_err(|_| broken("a lock is a text"))?;
            metadata["annotations"][CONTENT] = text.into();
            return Ok(json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": metadata, "spec": lease(text),
            }));
        }
        let packed = pack(content).map_err(|error| broken(error.to_string()))?;
        if packed.len() > MOST {
            return Err(KeepError {
                message: format!(
                    "it has {} bytes when compressed, and a Secret takes {MOST}",
                    packed.len()
                ),
                hint: Some(
                    "split the stack, or keep the states of this project in a bucket: `boxctl \
                     state migrate`"
                        .to_owned(),
                ),
                is_passing: false,
            });
        }
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE,
            "metadata": metadata, "data": {KEY: BASE64_STANDARD.encode(packed)},
        }))
    }
}

/// The stack that an object is about, by the names that the store gives: `<stack>.json`,
/// `history/<stack>/3.json`.
fn stack(name: &str) -> Option<&str> {
    let stack = match name.split_once('/') {
        Some(("history", rest)) => rest.split_once('/')?.0,
        Some(_) => return None,
        None => name.rsplit_once('.')?.0,
    };
    Some(stack).filter(|stack| !stack.is_empty())
}

/// Whether a name of the store, `dir/dir/file.json`, can stand in a name with dots for its slashes:
/// no two such names come to the same, since each ends in one extension.
fn is_plain(name: &str) -> bool {
    let is_label = |label: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty()
            && label.chars().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let (dirs, file) = name.rsplit_once('/').unwrap_or(("", name));
    name.len() <= LONGEST
        && (dirs.is_empty() || dirs.split('/').all(is_label))
        && file.split_once('.').is_some_and(|(stem, kind)| is_label(stem) && is_label(kind))
}

/// What people read of a lease with kubectl, from the last line of what is in it.
fn lease(content: &str) -> Json {
    let record = content.lines().last().and_then(|line| serde_json::from_str::<Json>(line).ok());
    let record = record.unwrap_or_default();
    let moment = |key: &str| {
        let time = record[key].as_str()?.parse::<jiff::Timestamp>().ok()?;
        // A MicroTime has six digits.
        Some(Json::from(format!("{time:.6}")))
    };
    let mut spec = json!({});
    for (field, value) in [
        ("holderIdentity", record["holder"].as_str().map(Json::from)),
        ("acquireTime", moment("acquired")),
        ("renewTime", moment("renewed")),
        ("leaseDurationSeconds", record["seconds"].as_u64().filter(|n| *n > 0).map(Json::from)),
    ] {
        if let Some(value) = value {
            spec[field] = value;
        }
    }
    spec
}

/// A text as a part of a name, and as a label's value: lower-case letters, digits, dashes and single
/// dots, at most 63 of them. What had to be changed ends in a digest, so that no two are alike.
fn part(text: &str) -> String {
    let mut clean = String::new();
    for c in text.chars() {
        match c {
            'a'..='z' | '0'..='9' => clean.push(c),
            '.' | '/' if clean.ends_with(|last: char| last.is_ascii_alphanumeric()) => {
                clean.push('.');
            }
            'A'..='Z' => clean.push(c.to_ascii_lowercase()),
            _ if clean.is_empty() || clean.ends_with('.') => {}
            _ => clean.push('-'),
        }
    }
    clean.truncate(LONGEST);
    let clean = clean.trim_end_matches(['-', '.']);
    if clean == text {
        return clean.to_owned();
    }
    let digest = Sha256::digest(text.as_bytes());
    let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    match clean {
        "" => digest,
        clean => format!("{clean}-{digest}"),
    }
}

fn pack(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(content)?;
    packed.finish()
}

fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut content)?;
    Ok(content)
}

fn broken(message: impl Into<String>) -> KeepError {
    KeepError { message: message.into(), hint: None, is_passing: false }
}

fn version(found: &Json) -> Result<String, KeepError> {
    let version = found.pointer("/metadata/resourceVersion").and_then(Json::as_str);
    version.map(str::to_owned).ok_or_else(|| broken("the answer has no resourceVersion"))
}

fn object(found: &Json) -> Result<Object, KeepError> {
    let version = version(found)?;
    if let Some(text) = found["metadata"]["annotations"].get(CONTENT).and_then(Json::as_str) {
        return Ok(Object { content: text.as_bytes().to_vec(), version });
    }
    let packed = found["data"].get(KEY).and_then(Json::as_str);
    let packed = packed.ok_or_else(|| broken("boxctl did not write what is there"))?;
    let packed = BASE64_STANDARD.decode(packed).map_err(|error| broken(error.to_string()))?;
    let content = unpack(&packed).map_err(|error| broken(error.to_string()))?;
    Ok(Object { content, version })
}

impl Objects for ClusterObjects {
    fn place(&self, name: &str) -> String {
        let namespace = &self.namespace;
        match name {
            "" => format!("namespace {namespace}"),
            _ if name.ends_with(LOCK) => format!("lease {namespace}/{}", self.object_name(name)),
            _ => format!("secret {namespace}/{}", self.object_name(name)),
        }
    }

    fn read<'a>(&'a self, name: &'a str) -> Keeping<'a, Option<Object>> {
        Box::pin(async move {
            let call = Call::get(Service::Kubernetes, self.path(name)).tolerate(&[404]);
            let answer = self.send(call).await?;
            if answer.status == 404 {
                return Ok(None);
            }
            object(&answer.body).map(Some)
        })
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        content: &'a [u8],
        expected: &'a Expected,
    ) -> Keeping<'a, Put> {
        Box::pin(async move {
            // A 404 of a PUT is that what was there is gone; one of a POST, that there is no such
            // namespace.
            let (method, path, version, gone) = match expected {
                Expected::Absent => (Method::Post, self.collection(name), None, &[409][..]),
                Expected::Version(version) => {
                    (Method::Put, self.path(name), Some(version.as_str()), &[404, 409][..])
                }
            };
            let call = Call::change(Service::Kubernetes, method, path)
                .query("fieldManager", MANAGER)
                .body(self.document(name, content, version)?)
                .tolerate(gone);
            let answer = self.send(call).await?;
            if answer.is_success() {
                return self::version(&answer.body).map(Put::Done);
            }
            match answer.body["reason"].as_str() {
                Some("AlreadyExists" | "NotFound") => Ok(Put::Moved),
                Some("Conflict") if version.is_some() => Ok(Put::Moved),
                // A quota that is counted by another request at this moment, say.
                _ => Err(KeepError {
                    message: answer.body["message"].as_str().unwrap_or("a conflict").to_owned(),
                    hint: None,
                    is_passing: true,
                }),
            }
        })
    }

    fn remove<'a>(&'a self, name: &'a str, version: &'a str) -> Keeping<'a, Put> {
        Box::pin(async move {
            let call = Call::change(Service::Kubernetes, Method::Delete, self.path(name))
                .body(json!({
                    "apiVersion": "v1", "kind": "DeleteOptions",
                    "preconditions": {"resourceVersion": version},
                }))
                .tolerate(&[404, 409]);
            let answer = self.send(call).await?;
            Ok(if answer.status == 409 { Put::Moved } else { Put::Done(String::new()) })
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Keeping<'a, Vec<String>> {
        Box::pin(async move {
            let call = Call::get(Service::Kubernetes, self.collection(""))
                .query("labelSelector", format!("{PROJECT}={}", self.project))
                .query("limit", "500");
            let call = Call { accept: Some(METADATA), within_ms: Some(0), ..call };
            let listing = Listing { call, paging: Paging::Token };
            let items = self.cluster.list(&listing).await.map_err(|error| self.failed(error))?;
            let mut names: Vec<String> = items
                .iter()
                .filter_map(|item| item["metadata"]["annotations"].get(NAME)?.as_str())
                .filter(|name| name.starts_with(prefix))
                .map(str::to_owned)
                .collect();
            names.sort();
            Ok(names)
        })
    }
}

#[cfg(test)]
#[path = "cluster_objects_tests.rs"]
mod tests;
