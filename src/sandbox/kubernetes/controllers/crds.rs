//! Custom resource definitions become established, and take their objects with them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{condition, going};
use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::resources::find;
use crate::sandbox::kubernetes::value::{items, set, text};

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

impl Cluster {
    /// Serves the kinds of new definitions; removes those that are deleted, objects first.
    pub(in crate::sandbox::kubernetes) fn establish(&mut self, now: Timestamp) {
        for crd in self.all_of(GROUP, PLURAL) {
            if going(&crd) {
                self.remove_definition(&crd, now);
            } else {
                let status = status_of(&crd, now);
                if crd.get("status") == Some(&status) {
                    continue;
                }
                let name = text(&crd, "/metadata/name");
                let version = "apiextensions.k8s.io/v1";
                let kind = "CustomResourceDefinition";
                self.set_status("kube-apiserver", version, kind, "", name, status, now);
            }
        }
    }

    fn remove_definition(&mut self, crd: &Value, now: Timestamp) {
        let (group, plural) = (text(crd, "/spec/group"), text(crd, "/spec/names/plural"));
        for object in self.all_of(group, plural) {
            if !going(&object) {
                self.delete_as_controller(&object, now);
            }
        }
        let empty = self.store.list(group, plural, None).is_empty();
        if let Some(resource) = find(&self.store, GROUP, "v1", PLURAL).filter(|_| empty) {
            self.drop_finalizer(&resource, crd, CLEANUP);
        }
    }
}

fn status_of(crd: &Value, now: Timestamp) -> Value {
    let before = items(crd, "/status/conditions");
    let named = condition(before, "NamesAccepted", true, "NoConflicts", "no conflicts found", now);
    let message = "the initial names have been accepted";
    let reason = "InitialNamesAccepted";
    let established = condition(before, "Established", true, reason, message, now);
    let mut status = crd.get("status").cloned().unwrap_or_else(|| json!({}));
    set(&mut status, "conditions", Some(json!([named, established])));
    set(&mut status, "acceptedNames", crd.pointer("/spec/names").cloned());
    status
}
