//! Objects that several machines share, in a namespace of a cluster: Secrets, and Leases for what
//! is renewed. Their resourceVersion is the version that writes are conditional on.

use std::io::{Read, Write};
use std::sync::RwLock;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::cluster::Cluster;
use crate::model::Json;
use crate::model::call::{Call, Listing, Method, Paging, Service};
use crate::model::error::{CallError, Failure};
use crate::model::port::{Expected, KeepError, Keeping, Object, Objects, Put, Transport};
use crate::model::secret::Secrets;

/// The label that says whose the objects are.
const PROJECT: &str = "boxctl.io/project";
/// The annotation that says which object of ours this is.
const NAME: &str = "boxctl.io/name";
/// The annotation of a Lease with what a Secret has in its data.
const CONTENT: &str = "boxctl.io/content";
/// The type of our Secrets.
const TYPE: &str = "boxctl.io/state";
/// The key of a Secret's data.
const KEY: &str = "content.gz";
/// What a Secret takes at most (kubernetes, `MaxSecretSize`: 1 MiB of data).
const MOST: usize = 1024 * 1024;
/// How ends the name of what is renewed.
const LOCK: &str = ".lock";

/// Objects in a namespace.
pub struct ClusterObjects {
    cluster: Cluster,
    namespace: String,
    project: String,
}

impl ClusterObjects {
    /// The objects of a project in a namespace, which has to exist.
    pub fn new(cluster: Cluster, namespace: String, project: &str) -> Self {
        ClusterObjects { cluster, namespace, project: label(project) }
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

    /// A name that Kubernetes takes: what is readable of ours, and a digest of the whole.
    fn object_name(&self, name: &str) -> String {
        let mut digest = String::new();
        for byte in Sha256::digest(name.as_bytes()).iter().take(4) {
            digest.push_str(&format!("{byte:02x}"));
        }
        format!("boxctl-{}-{}-{digest}", self.project, label(name))
    }

    async fn send(&self, call: &Call) -> Result<crate::model::call::Answer, CallError> {
        let secrets = RwLock::new(Secrets::new());
        self.cluster.send(call, &secrets).await
    }

    fn document(&self, name: &str, content: &[u8], version: Option<&str>) -> Result<Json, KeepError> {
        let mut metadata = json!({
            "name": self.object_name(name),
            "namespace": self.namespace,
            "labels": {"app.kubernetes.io/managed-by": "boxctl", PROJECT: self.project},
            "annotations": {NAME: name},
        });
        if let Some(version) = version {
            metadata["resourceVersion"] = version.into();
        }
        if name.ends_with(LOCK) {
            let text = String::from_utf8_lossy(content);
            metadata["annotations"][CONTENT] = text.as_ref().into();
            return Ok(json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": metadata, "spec": lease(&text),
            }));
        }
        let packed = pack(content).map_err(|error| stuck(error.to_string()))?;
        if packed.len() > MOST {
            let message = format!("{} bytes are more than a Secret takes", packed.len());
            let hint = Some("keep the states of this project in a bucket: `backend: s3`".into());
            return Err(KeepError { message, hint, is_passing: false });
        }
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE,
            "metadata": metadata, "data": {KEY: BASE64_STANDARD.encode(packed)},
        }))
    }
}

/// What people read of a lease with kubectl, from the last line of what is in it.
fn lease(content: &str) -> Json {
    let record: Json =
        content.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    let moment = |key: &str| {
        let time = record[key].as_str()?.parse::<jiff::Timestamp>().ok()?;
        // MicroTime wants its six digits.
        Some(format!("{time:.6}"))
    };
    let mut spec = json!({"holderIdentity": record["holder"].as_str().unwrap_or_default()});
    for (field, value) in [
        ("acquireTime", moment("acquired").map(Json::from)),
        ("renewTime", moment("renewed").map(Json::from)),
        ("leaseDurationSeconds", record["seconds"].as_u64().filter(|n| *n > 0).map(Json::from)),
    ] {
        if let Some(value) = value {
            spec[field] = value;
        }
    }
    spec
}

/// Lower-case letters, digits and dashes, at most 60 of them.
fn label(text: &str) -> String {
    let dashed: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(60)
        .collect();
    match dashed.trim_matches('-') {
        "" => "x".to_owned(),
        trimmed => trimmed.to_owned(),
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

fn stuck(message: impl Into<String>) -> KeepError {
    KeepError { message: message.into(), hint: None, is_passing: false }
}

fn failed(error: CallError) -> KeepError {
    // The transport repeats what is safe to repeat; whether a write is, the store knows.
    let is_passing = matches!(error.failure, Failure::Unknown | Failure::Throttled)
        || error.status.is_some_and(|status| status >= 500);
    KeepError { message: error.to_string(), hint: error.hint, is_passing }
}

fn object(found: &Json) -> Result<Object, KeepError> {
    let version = found.pointer("/metadata/resourceVersion").and_then(Json::as_str);
    let version = version.ok_or_else(|| stuck("it has no resourceVersion"))?.to_owned();
    if let Some(text) = found["metadata"]["annotations"].get(CONTENT).and_then(Json::as_str) {
        return Ok(Object { content: text.as_bytes().to_vec(), version });
    }
    let packed = found["data"].get(KEY).and_then(Json::as_str);
    let packed = packed.ok_or_else(|| stuck("it is not a Secret that boxctl wrote"))?;
    let packed = BASE64_STANDARD.decode(packed).map_err(|error| stuck(error.to_string()))?;
    let content = unpack(&packed).map_err(|error| stuck(error.to_string()))?;
    Ok(Object { content, version })
}

impl Objects for ClusterObjects {
    fn place(&self, name: &str) -> String {
        let (kind, namespace) =
            (if name.ends_with(LOCK) { "lease" } else { "secret" }, &self.namespace);
        match name {
            "" => format!("namespace {namespace}"),
            _ => format!("{kind} {namespace}/{}", self.object_name(name)),
        }
    }

    fn read<'a>(&'a self, name: &'a str) -> Keeping<'a, Option<Object>> {
        Box::pin(async move {
            let call = Call::get(Service::Kubernetes, self.path(name)).tolerate(&[404]);
            let answer = self.send(&call).await.map_err(failed)?;
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
            let (method, path, version) = match expected {
                Expected::Absent => (Method::Post, self.collection(name), None),
                Expected::Version(version) => (Method::Put, self.path(name), Some(version)),
            };
            let body = self.document(name, content, version.map(String::as_str))?;
            let mut call = Call::change(Service::Kubernetes, method, path).body(body);
            // A conflict, and a PUT of what was deleted meanwhile: but a POST into a namespace that
            // is not there is a mistake.
            call = match expected {
                Expected::Absent => call.tolerate(&[409]),
                Expected::Version(_) => call.tolerate(&[409, 404]),
            };
            let answer = self.send(&call).await.map_err(failed)?;
            if !answer.is_success() {
                return Ok(Put::Moved);
            }
            object(&answer.body).map(|object| Put::Done(object.version))
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
            let answer = self.send(&call).await.map_err(failed)?;
            Ok(if answer.status == 409 { Put::Moved } else { Put::Done(String::new()) })
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Keeping<'a, Vec<String>> {
        Box::pin(async move {
            let path = self.collection("");
            let call = Call::get(Service::Kubernetes, path)
                .query("labelSelector", format!("{PROJECT}={}", self.project))
                .query("limit", "500");
            let call = Call { accept: Some(METADATA), ..call };
            let listing = Listing { call, paging: Paging::Token };
            let items = self.cluster.list(&listing).await.map_err(failed)?;
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

/// A list without what is in the Secrets.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
