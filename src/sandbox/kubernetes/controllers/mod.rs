//! The controllers: what makes of objects what they ask for, each under its own manager.

mod containers;
mod crds;
mod events;
mod garbage;
mod jobs;
mod namespaces;
mod pod_status;
mod pods;
mod quotas;
mod replicas;
mod scheduler;
mod secrets;
mod sets;
mod volumes;
mod workloads;

#[cfg(test)]
mod readiness;
#[cfg(test)]
mod tests;

pub use pods::Run;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::request::{Options, Route};
use super::resources::{Resource, find_kind};
use super::status::Failure;
use super::value::text;
use super::write::Write;
use super::{Cluster, Outside, rfc3339};

/// Field manager of the built-in controllers.
pub const MANAGER: &str = "kube-controller-manager";
/// Field manager of the External Secrets operator.
pub const EXTERNAL_SECRETS: &str = "external-secrets";

/// More rounds than any chain of controllers needs; it ends the loop should two ever disagree.
const ROUNDS: usize = 64;

impl Cluster {
    /// Lets the controllers run until nothing changes.
    pub fn reconcile(&mut self, outside: &Outside, now: Timestamp) {
        for _ in 0..ROUNDS {
            let before = self.store.revision();
            self.establish(now);
            self.furnish_namespaces(now);
            self.sync_secrets(outside, now);
            self.run_deployments(now);
            self.run_sets(now);
            self.run_jobs(now);
            self.bind_volumes(now);
            self.run_pods(now);
            self.count_quotas(now);
            self.collect_garbage(now);
            self.end_namespaces(now);
            self.forget_events(now);
            if self.store.revision() == before {
                return;
            }
        }
    }

    /// Creates an object that is not there; none where it is, or may not be made.
    pub(super) fn put_as(
        &mut self,
        manager: &str,
        object: &Value,
        now: Timestamp,
    ) -> Option<Value> {
        let route = self.route_of(object, "")?;
        if route.stored(&self.store).is_some() {
            return None;
        }
        self.make_as(manager, object, now).ok().flatten()
    }

    /// Creates an object; `None` where its kind is not served.
    ///
    /// # Errors
    ///
    /// What the API server refuses.
    pub(super) fn make_as(
        &mut self,
        manager: &str,
        object: &Value,
        now: Timestamp,
    ) -> Result<Option<Value>, Failure> {
        let Some(route) = self.route_of(object, "") else { return Ok(None) };
        let collection = Route { name: String::new(), ..route };
        let made = self.with_write(&collection, manager, now, |cluster, write| {
            cluster.create(write, object.clone())
        })?;
        Ok(Some(made.object))
    }

    /// Writes an object that is there.
    pub(super) fn update_as(&mut self, manager: &str, object: &Value, now: Timestamp) {
        let Some(route) = self.route_of(object, "") else { return };
        let Some(live) = route.stored(&self.store).filter(|l| *l != object).cloned() else {
            return;
        };
        // A controller that was refused has said so.
        let _ = self.with_write(&route, manager, now, |cluster, write| {
            cluster.update_to(write, live, object.clone())
        });
    }

    /// Writes an object's status, and its annotations where the kind is built in.
    pub(super) fn update_status_as(&mut self, manager: &str, object: &Value, now: Timestamp) {
        let Some(route) = self.route_of(object, "status") else { return };
        let Some(live) = route.stored(&self.store).filter(|l| *l != object).cloned() else {
            return;
        };
        // A controller that was refused has said so.
        let _ = self.with_write(&route, manager, now, |cluster, write| {
            cluster.update_to(write, live, object.clone())
        });
    }

    /// Replaces the status of one object.
    #[expect(clippy::too_many_arguments, reason = "they are what addresses an object")]
    pub(super) fn set_status(
        &mut self,
        manager: &str,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        status: Value,
        now: Timestamp,
    ) {
        let Some(resource) = find_kind(&self.store, api_version, kind) else { return };
        let (group, plural) = (resource.storage_group(), &resource.plural);
        let Some(mut object) = self.store.get(group, plural, namespace, name).cloned() else {
            return;
        };
        super::value::set(&mut object, "status", Some(status));
        self.update_status_as(manager, &object, now);
    }

    fn with_write<T>(
        &mut self,
        route: &Route,
        manager: &str,
        now: Timestamp,
        act: impl FnOnce(&mut Self, &mut Write<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let options = Options { field_validation: "Ignore".to_owned(), ..Options::default() };
        let mut write = Write {
            route,
            options: &options,
            manager: manager.to_owned(),
            time: rfc3339(now),
            warnings: Vec::new(),
            uid: uuid::Uuid::new_v4().to_string(),
        };
        act(self, &mut write).inspect_err(|failure| {
            tracing::debug!(manager, message = %failure.message, "a controller was refused");
        })
    }

    fn route_of(&self, object: &Value, subresource: &str) -> Option<Route> {
        let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
        Some(Route {
            resource: find_kind(&self.store, api_version, kind)?,
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
            subresource: subresource.to_owned(),
        })
    }

    /// The objects of a kind, copied so that they can be changed on the way.
    fn all_of(&self, group: &str, plural: &str) -> Vec<Value> {
        self.store.list(group, plural, None).into_iter().cloned().collect()
    }

    /// Deletes an object in the background, as controllers do.
    fn delete_as_controller(&mut self, object: &Value, now: Timestamp) {
        let Some(route) = self.route_of(object, "") else { return };
        if let Some(live) = route.stored(&self.store).cloned() {
            self.delete_quietly(&route.resource, live, now);
        }
    }

    /// Takes a finalizer away; an object that waited for nothing else is gone then.
    fn drop_finalizer(&mut self, resource: &Resource, object: &Value, name: &str) {
        let mut object = object.clone();
        let left: Vec<_> = super::value::items(&object, "/metadata/finalizers")
            .iter()
            .filter(|f| f.as_str() != Some(name))
            .cloned()
            .collect();
        let (group, plural) = (resource.storage_group().to_owned(), resource.plural.clone());
        if left.is_empty() && object.pointer("/metadata/deletionTimestamp").is_some() {
            let (ns, name) =
                (text(&object, "/metadata/namespace"), text(&object, "/metadata/name"));
            self.store.remove(&group, &plural, ns, name);
            return;
        }
        let meta = super::value::metadata(&mut object);
        if left.is_empty() {
            meta.shift_remove("finalizers");
        } else {
            meta.insert("finalizers".to_owned(), Value::Array(left));
        }
        self.store.put(&group, &plural, object);
    }
}

/// The owner reference of a controller to what it makes.
fn owned_by(owner: &Value) -> Value {
    json!([{
        "apiVersion": text(owner, "/apiVersion"), "kind": text(owner, "/kind"),
        "name": text(owner, "/metadata/name"), "uid": text(owner, "/metadata/uid"),
        "controller": true, "blockOwnerDeletion": true,
    }])
}

/// Whether `owner` controls `object`.
fn controls(owner: &Value, object: &Value) -> bool {
    let uid = text(owner, "/metadata/uid");
    super::value::items(object, "/metadata/ownerReferences")
        .iter()
        .any(|r| text(r, "/uid") == uid && r.get("controller") == Some(&Value::Bool(true)))
}

/// Whether an object is on its way out.
fn going(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// A condition, with the time of the last one where its status is still the same.
fn condition(
    before: &[Value],
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Value {
    let status = if status { "True" } else { "False" };
    let same = before.iter().find(|c| text(c, "/type") == kind && text(c, "/status") == status);
    let time = same.map_or_else(|| rfc3339(now), |c| text(c, "/lastTransitionTime").to_owned());
    json!({
        "type": kind, "status": status, "lastTransitionTime": time, "reason": reason,
        "message": message,
    })
}
