//! Resource quotas: what is used of them, as their status says.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{MANAGER, going};
use crate::sandbox::kubernetes::value::{set, text};
use crate::sandbox::kubernetes::{Cluster, quota};

impl Cluster {
    /// Brings the status of every quota up to date.
    pub(super) fn count_quotas(&mut self, now: Timestamp) {
        for object in self.all_of("", "resourcequotas") {
            if going(&object) {
                continue;
            }
            let namespace = text(&object, "/metadata/namespace");
            let hard = object.pointer("/spec/hard").cloned().unwrap_or_else(|| json!({}));
            let used: serde_json::Map<String, Value> = hard
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| (name.clone(), quota::used(&self.store, namespace, name).into()))
                .collect();
            let mut counted = object.clone();
            set(&mut counted, "status", Some(json!({"hard": hard, "used": used})));
            self.update_status_as(MANAGER, &counted, now);
        }
    }
}
