//! Dependents go when their owners are gone; foreground and orphan deletes are seen through.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::going;
use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::resources::find_kind;
use crate::sandbox::kubernetes::value::{items, metadata, text};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

impl Cluster {
    pub(super) fn collect_garbage(&mut self, now: Timestamp) {
        let all: Vec<Value> = self.store.all().map(|(_, object)| object.clone()).collect();
        for owner in all.iter().filter(|o| going(o)) {
            let has = |name: &str| {
                items(owner, "/metadata/finalizers").iter().any(|f| f.as_str() == Some(name))
            };
            let uid = text(owner, "/metadata/uid");
            let dependents: Vec<&Value> =
                all.iter().filter(|o| owner_uids(o).contains(uid)).collect();
            if has(ORPHAN) {
                dependents.iter().for_each(|dependent| self.release(dependent, uid));
                self.finish(owner, ORPHAN);
            } else if has(FOREGROUND) {
                for dependent in dependents.iter().filter(|d| !going(d)) {
                    self.delete_as_controller(dependent, now);
                }
                let waits = self.store.all().any(|(_, o)| owner_uids(o).contains(uid));
                if !waits {
                    self.finish(owner, FOREGROUND);
                }
            }
        }
        let uids: BTreeSet<String> =
            self.store.all().map(|(_, o)| text(o, "/metadata/uid").to_owned()).collect();
        let lost: Vec<Value> = self
            .store
            .all()
            .filter(|(_, o)| !going(o))
            .filter(|(_, o)| {
                let owners = owner_uids(o);
                !owners.is_empty() && !owners.iter().any(|uid| uids.contains(*uid))
            })
            .map(|(_, o)| o.clone())
            .collect();
        for object in lost {
            self.delete_as_controller(&object, now);
        }
    }

    fn finish(&mut self, owner: &Value, finalizer: &str) {
        let (version, kind) = (text(owner, "/apiVersion"), text(owner, "/kind"));
        if let Some(resource) = find_kind(&self.store, version, kind) {
            self.drop_finalizer(&resource, owner, finalizer);
        }
    }

    fn release(&mut self, dependent: &Value, uid: &str) {
        let (version, kind) = (text(dependent, "/apiVersion"), text(dependent, "/kind"));
        let Some(resource) = find_kind(&self.store, version, kind) else { return };
        let mut object = dependent.clone();
        let left: Vec<_> = items(dependent, "/metadata/ownerReferences")
            .iter()
            .filter(|r| text(r, "/uid") != uid)
            .cloned()
            .collect();
        if left.is_empty() {
            metadata(&mut object).shift_remove("ownerReferences");
        } else {
            metadata(&mut object).insert("ownerReferences".to_owned(), Value::Array(left));
        }
        self.store.put(resource.storage_group(), &resource.plural, object);
    }
}

fn owner_uids(object: &Value) -> BTreeSet<&str> {
    items(object, "/metadata/ownerReferences").iter().map(|r| text(r, "/uid")).collect()
}
