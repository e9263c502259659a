//! The Kubernetes API: the interface only, in place of the model that is written beside this.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One request as the server received it.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: Vec<(String, String)>,
    pub content_type: Option<&'a str>,
    pub accept: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    pub authorization: Option<&'a str>,
    pub body: &'a [u8],
}

/// What is answered.
pub struct Response {
    pub status: u16,
    pub content_type: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A cluster.
#[derive(Default, Serialize, Deserialize)]
pub struct Cluster {}

/// What a cluster is set up with.
pub struct Preset {
    pub secret_stores: Vec<String>,
    pub nodes: Vec<String>,
}

/// What controllers read outside the cluster.
pub struct Outside {
    pub parameters: BTreeMap<String, String>,
}

/// A running connector.
pub struct Connector {
    pub pod_uid: String,
    pub token: String,
}

impl Cluster {
    pub fn new(_now: Timestamp) -> Self {
        Cluster {}
    }
    pub fn preset(&mut self, _preset: &Preset, _now: Timestamp) {}
    pub fn handle(&mut self, _request: &Request<'_>, _now: Timestamp) -> Response {
        Response {
            status: 404,
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            body: b"{}".to_vec(),
        }
    }
    pub fn reconcile(&mut self, _outside: &Outside, _now: Timestamp) {}
    pub fn wanted_parameters(&self, _now: Timestamp) -> Vec<String> {
        Vec::new()
    }
    pub fn connectors(&self) -> Vec<Connector> {
        Vec::new()
    }
    pub fn dump(&self) -> Value {
        Value::Array(Vec::new())
    }
}
