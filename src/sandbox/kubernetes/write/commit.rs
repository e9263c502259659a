//! The last steps of a write: admission, validation, generation and storage.

use serde_json::{Value, json};

use super::{Write, admit, check_version};
use crate::sandbox::kubernetes::merge::Managers;
use crate::sandbox::kubernetes::resources::Resource;
use crate::sandbox::kubernetes::status::{Cause, Failure};
use crate::sandbox::kubernetes::value::{items, metadata, number, set, text};
use crate::sandbox::kubernetes::{Cluster, crd, quota, rules, validate};

impl Cluster {
    /// Makes an object that is not there yet.
    pub(super) fn commit_new(
        &mut self,
        write: &Write<'_>,
        mut object: Value,
        managers: Managers,
    ) -> Result<Value, Failure> {
        let resource = &write.route.resource;
        self.check_namespace(write, text(&object, "/metadata/name"))?;
        let meta = metadata(&mut object);
        for field in ["resourceVersion", "selfLink", "deletionTimestamp", "managedFields"] {
            meta.shift_remove(field);
        }
        meta.insert("uid".to_owned(), write.uid.clone().into());
        meta.insert("creationTimestamp".to_owned(), write.time.clone().into());
        meta.shift_remove("generation");
        if has_generation(resource) {
            meta.insert("generation".to_owned(), 1.into());
        }
        self.mutated(&write.route.subresource, &mut object);
        self.admit_pod(write, &object)?;
        admit::new(&mut self.store, resource, write.options.dry_run, &mut object);
        refuse(resource, &object, checks(resource, &object))?;
        if let Some(why) = quota::exceeded(&self.store, resource, &object) {
            let name = text(&object, "/metadata/name");
            return Err(Failure::forbidden(resource, name, &why, None));
        }
        managers.write_to(&mut object);
        if write.options.dry_run {
            return Ok(object);
        }
        Ok(self.store.put(resource.storage_group(), &resource.plural, object))
    }

    /// Changes an object. A change that makes no difference is none: nothing is stored.
    pub(super) fn commit_change(
        &mut self,
        write: &Write<'_>,
        live: &Value,
        mut object: Value,
        managers: Managers,
    ) -> Result<Value, Failure> {
        let resource = &write.route.resource;
        check_version(resource, &object, live)?;
        keep_identity(live, &mut object);
        self.mutated(&write.route.subresource, &mut object);
        admit::change(resource, live, &mut object);
        let going = live.pointer("/metadata/deletionTimestamp").is_some();
        let mut causes = checks(resource, &object);
        causes.extend(validate::changed(resource, &object, live));
        if let Some(custom) = &resource.custom {
            causes.extend(rules::transitions(&custom.schema, &object, live));
        }
        if going {
            let added = items(&object, "/metadata/finalizers")
                .iter()
                .any(|f| !items(live, "/metadata/finalizers").contains(f));
            if added {
                let detail = "no new finalizers can be added if the object is being deleted";
                causes.push(Cause::forbidden("metadata.finalizers", detail));
            }
        }
        if write.route.subresource.is_empty() || !causes.is_empty() {
            refuse(resource, &object, causes)?;
        }
        let generation = number(live, "/metadata/generation");
        if let Some(generation) = generation.filter(|_| redefined(resource, live, &object)) {
            metadata(&mut object).insert("generation".to_owned(), (generation + 1).into());
        }
        let same = without_managers(&object) == without_managers(live);
        let again = self.store.stores_again(resource.storage_group(), &resource.plural, live);
        if same && managers.same_but_for_times(&Managers::of(live)) {
            if again && !write.options.dry_run {
                return Ok(self.store.put(
                    resource.storage_group(),
                    &resource.plural,
                    live.clone(),
                ));
            }
            return Ok(live.clone());
        }
        managers.write_to(&mut object);
        if write.options.dry_run {
            return Ok(object);
        }
        let group = resource.storage_group().to_owned();
        let object = self.store.put(&group, &resource.plural, object);
        if going && items(&object, "/metadata/finalizers").is_empty() && !awaits(resource, &object)
        {
            let (namespace, name) = (&write.route.namespace, text(&object, "/metadata/name"));
            self.store.remove(&group, &resource.plural, namespace, name);
        }
        Ok(object)
    }

    /// A pod's service account and priority class have to be there (the admission plugins
    /// ServiceAccount and Priority).
    fn admit_pod(&self, write: &Write<'_>, pod: &Value) -> Result<(), Failure> {
        let resource = &write.route.resource;
        if !resource.is("", "pods") {
            return Ok(());
        }
        // Names are generated after these have looked.
        let name = match text(pod, "/metadata/generateName") {
            "" => text(pod, "/metadata/name"),
            prefix => prefix,
        };
        let account = match text(pod, "/spec/serviceAccountName") {
            "" => "default",
            named => named,
        };
        let namespace = write.route.namespace.as_str();
        if self.store.get("", "serviceaccounts", namespace, account).is_none() {
            let why = format!(
                "error looking up service account {namespace}/{account}: serviceaccount \
                 {account:?} not found"
            );
            return Err(Failure::forbidden(resource, name, &why, None));
        }
        let class = text(pod, "/spec/priorityClassName");
        let built_in = ["", "system-cluster-critical", "system-node-critical"].contains(&class);
        let known = self.store.get("scheduling.k8s.io", "priorityclasses", "", class).is_some();
        if !built_in && !known {
            let why = format!("no PriorityClass with name {class} was found");
            return Err(Failure::forbidden(resource, name, &why, None));
        }
        Ok(())
    }

    /// Nothing is made in a namespace that is not there or going away.
    fn check_namespace(&self, write: &Write<'_>, name: &str) -> Result<(), Failure> {
        let resource = &write.route.resource;
        let namespace = write.route.namespace.as_str();
        if !resource.namespaced {
            return Ok(());
        }
        let Some(found) = self.store.get("", "namespaces", "", namespace) else {
            return Err(Failure::not_found("", "namespaces", namespace));
        };
        if found.pointer("/metadata/deletionTimestamp").is_none() {
            return Ok(());
        }
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let causes = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        Err(Failure::forbidden(resource, name, &why, Some(causes)))
    }
}

/// Whether an object without finalizers still waits: a pod for its node, a namespace for its
/// contents.
fn awaits(resource: &Resource, object: &Value) -> bool {
    let grace = number(object, "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
    resource.is("", "pods") && grace > 0
        || resource.is("", "namespaces") && !items(object, "/spec/finalizers").is_empty()
}

fn checks(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = validate::object(resource, object);
    if let Some(custom) = &resource.custom {
        causes.extend(crd::validate(&custom.schema, object));
    }
    causes
}

fn refuse(resource: &Resource, object: &Value, causes: Vec<Cause>) -> Result<(), Failure> {
    if causes.is_empty() {
        return Ok(());
    }
    let name = text(object, "/metadata/name");
    Err(Failure::invalid(&resource.group, &resource.kind, name, &causes))
}

/// What a client can't change about an object.
fn keep_identity(live: &Value, object: &mut Value) {
    const KEPT: [&str; 8] = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
    ];
    let meta = metadata(object);
    meta.shift_remove("selfLink");
    for field in KEPT {
        match live.pointer(&format!("/metadata/{field}")) {
            Some(value) => drop(meta.insert(field.to_owned(), value.clone())),
            None => drop(meta.shift_remove(field)),
        }
    }
}

fn without_managers(object: &Value) -> Value {
    let mut object = object.clone();
    metadata(&mut object).shift_remove("managedFields");
    object
}

/// Whether objects of the kind count changes of what they want.
fn has_generation(resource: &Resource) -> bool {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", plural) => matches!(plural, "pods" | "replicationcontrollers"),
        ("apps", plural) => plural != "controllerrevisions",
        ("batch" | "networking.k8s.io" | "scheduling.k8s.io" | "policy", _)
        | ("apiextensions.k8s.io" | "admissionregistration.k8s.io", _) => true,
        _ => resource.custom.is_some(),
    }
}

/// Whether a change counts: one of metadata or status does not.
fn redefined(resource: &Resource, live: &Value, object: &Value) -> bool {
    let wanted = |object: &Value| {
        let mut object = object.clone();
        if resource.custom.is_none() || resource.has("status") {
            set(&mut object, "status", None);
        }
        set(&mut object, "metadata", None);
        set(&mut object, "apiVersion", None);
        object
    };
    let annotations = "/metadata/annotations";
    let annotated = resource.is("apps", "deployments")
        && live.pointer(annotations) != object.pointer(annotations);
    // The controller notes a revision through the status endpoint, which is no new definition.
    let revision =
        |o: &Value| o.pointer("/metadata/annotations/deployment.kubernetes.io~1revision").cloned();
    wanted(live) != wanted(object) || annotated && revision(live) == revision(object)
}
