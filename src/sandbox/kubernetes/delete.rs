//! Deletes: preconditions, finalizers, propagation, grace.

use serde_json::{Value, json};

use super::request::{Options, Route, body};
use super::resources::Resource;
use super::status::Failure;
use super::store::Store;
use super::value::{fields, items, metadata, number, set, text};
use super::{Cluster, Request, Response, read, rfc3339};

/// Kinds whose delete answers with the object instead of a status.
const ANSWERED_WITH_OBJECT: [&str; 7] = [
    "pods",
    "services",
    "serviceaccounts",
    "persistentvolumes",
    "persistentvolumeclaims",
    "podtemplates",
    "resourcequotas",
];

/// What a DELETE asks for, from its body and its query.
#[derive(Debug, Default, Clone)]
struct Wish {
    propagation: Option<String>,
    grace: Option<i64>,
    uid: String,
    version: String,
    dry_run: bool,
}

impl Wish {
    fn read(request: &Request<'_>, options: &Options) -> Result<Self, Failure> {
        let body = if request.body.is_empty() { Value::Null } else { body(request)? };
        let said = text(&body, "/propagationPolicy");
        let propagation = Some(said.to_owned()).filter(|p| !p.is_empty());
        let orphan = body.get("orphanDependents") == Some(&Value::Bool(true));
        let dry = items(&body, "/dryRun").iter().any(|d| d.as_str() == Some("All"));
        Ok(Self {
            propagation: propagation
                .or_else(|| options.propagation.clone())
                .or_else(|| orphan.then(|| "Orphan".to_owned())),
            grace: number(&body, "/gracePeriodSeconds").or(options.grace),
            uid: text(&body, "/preconditions/uid").to_owned(),
            version: text(&body, "/preconditions/resourceVersion").to_owned(),
            dry_run: options.dry_run || dry,
        })
    }
}

impl Cluster {
    /// DELETE of one object.
    ///
    /// # Errors
    ///
    /// 404, 409 for preconditions, 403 for namespaces that stay.
    pub(super) fn delete(
        &mut self,
        request: &Request<'_>,
        route: &Route,
        options: &Options,
        now: jiff::Timestamp,
    ) -> Result<Response, Failure> {
        let wish = Wish::read(request, options)?;
        let live = route.stored(&self.store).cloned().ok_or_else(|| route.not_found())?;
        preconditions(&route.resource, &live, &wish)?;
        let kept = ["default", "kube-system", "kube-public"];
        if route.resource.is("", "namespaces") && kept.contains(&route.name.as_str()) {
            let why = "this namespace may not be deleted";
            return Err(Failure::forbidden(&route.resource, &route.name, why, None));
        }
        let (object, gone) = remove(&mut self.store, &route.resource, live, &wish, now);
        let resource = &route.resource;
        let core =
            resource.group.is_empty() && ANSWERED_WITH_OBJECT.contains(&resource.plural.as_str());
        let mut response = if gone && !core {
            Response::json(200, &success(resource, &object))
        } else {
            Response::json(200, &read::present(resource, &object))
        };
        response.warn(resource.custom.as_ref().and_then(|c| c.deprecation.as_ref()));
        Ok(response)
    }

    /// DELETE of a collection.
    ///
    /// # Errors
    ///
    /// 400 for selectors that can't be read.
    pub(super) fn delete_collection(
        &mut self,
        request: &Request<'_>,
        route: &Route,
        options: &Options,
        now: jiff::Timestamp,
    ) -> Result<Response, Failure> {
        let wish = Wish::read(request, options)?;
        let found: Vec<Value> = read::select(&self.store, route, options)?
            .into_iter()
            .map(|(_, object)| object.clone())
            .collect();
        let resource = &route.resource;
        let mut shown = Vec::new();
        for live in found {
            let (object, _) = remove(&mut self.store, resource, live, &wish, now);
            shown.push(read::present(resource, &object));
        }
        let body = json!({
            "kind": resource.list_kind, "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": self.store.revision().to_string()}, "items": shown,
        });
        Ok(Response::json(200, &body))
    }

    /// Deletes an object as a controller does, in the background.
    pub(super) fn delete_quietly(
        &mut self,
        resource: &Resource,
        live: Value,
        now: jiff::Timestamp,
    ) {
        let wish = Wish { grace: Some(0), ..Wish::default() };
        remove(&mut self.store, resource, live, &wish, now);
    }
}

fn preconditions(resource: &Resource, live: &Value, wish: &Wish) -> Result<(), Failure> {
    let name = text(live, "/metadata/name");
    let refuse = |what: &str, wanted: &str, is: &str| {
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). \
             The object might have been {}",
            if what == "UID" { "deleted and then recreated" } else { "modified" }
        );
        // The server names the kind here, not the resource (recording 10, line 4).
        Err(Failure::conflict(&resource.group, &resource.kind, name, &why))
    };
    let uid = text(live, "/metadata/uid");
    if !wish.uid.is_empty() && wish.uid != uid {
        return refuse("UID", &wish.uid, uid);
    }
    let version = text(live, "/metadata/resourceVersion");
    if !wish.version.is_empty() && wish.version != version {
        return refuse("ResourceVersion", &wish.version, version);
    }
    Ok(())
}

/// Removes an object or marks it as going; the object as it is then, and whether it is gone.
fn remove(
    store: &mut Store,
    resource: &Resource,
    live: Value,
    wish: &Wish,
    now: jiff::Timestamp,
) -> (Value, bool) {
    let mut object = live.clone();
    let finalizer = match wish.propagation.as_deref() {
        Some("Foreground") => Some("foregroundDeletion"),
        Some("Orphan") => Some("orphan"),
        _ => None,
    };
    let finalizer = finalizer.filter(|_| !resource.is("", "namespaces"));
    let definition = resource.is("apiextensions.k8s.io", "customresourcedefinitions");
    let finalizer =
        if definition { Some("customresourcecleanup.apiextensions.k8s.io") } else { finalizer };
    if let Some(finalizer) = finalizer {
        add_finalizer(&mut object, finalizer);
    }
    let namespace = resource.is("", "namespaces");
    let pod_grace = wish
        .grace
        .or_else(|| number(&live, "/spec/terminationGracePeriodSeconds"))
        .filter(|_| resource.is("", "pods") && !text(&live, "/spec/nodeName").is_empty())
        .unwrap_or(0);
    let waits = namespace || pod_grace > 0 || !items(&object, "/metadata/finalizers").is_empty();
    let group = resource.storage_group();
    let (ns, name) = (text(&live, "/metadata/namespace"), text(&live, "/metadata/name"));
    if !waits {
        let gone = if wish.dry_run {
            live.clone()
        } else {
            store.remove(group, &resource.plural, ns, name).unwrap_or_else(|| live.clone())
        };
        return (gone, true);
    }
    if live.pointer("/metadata/deletionTimestamp").is_none() {
        mark(resource, &mut object, pod_grace, now);
    } else if object == live {
        return (live, false);
    }
    if wish.dry_run {
        return (object, false);
    }
    (store.put(group, &resource.plural, object), false)
}

fn mark(resource: &Resource, object: &mut Value, grace: i64, now: jiff::Timestamp) {
    let whole = resource.is("", "namespaces")
        || resource.is("apiextensions.k8s.io", "customresourcedefinitions");
    let generation = number(object, "/metadata/generation");
    let meta = metadata(object);
    meta.insert("deletionTimestamp".to_owned(), rfc3339(now).into());
    if !whole {
        meta.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
        if let Some(generation) = generation {
            meta.insert("generation".to_owned(), (generation + 1).into());
        }
        return;
    }
    if resource.is("", "namespaces") {
        set(super::value::child(object, "status"), "phase", Some("Terminating".into()));
        return;
    }
    let condition = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": rfc3339(now),
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will \
                    begin soon",
    });
    let status = super::value::child(object, "status");
    let slot = fields(status).entry("conditions").or_insert_with(|| json!([]));
    if let Some(conditions) = slot.as_array_mut() {
        conditions.push(condition);
    }
}

fn add_finalizer(object: &mut Value, name: &str) {
    let list = metadata(object).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut()
        && !list.iter().any(|f| f.as_str() == Some(name))
    {
        list.push(name.into());
    }
}

fn success(resource: &Resource, object: &Value) -> Value {
    let mut details = serde_json::Map::new();
    details.insert("name".to_owned(), text(object, "/metadata/name").into());
    if !resource.group.is_empty() {
        details.insert("group".to_owned(), resource.group.clone().into());
    }
    details.insert("kind".to_owned(), resource.plural.clone().into());
    details.insert("uid".to_owned(), text(object, "/metadata/uid").into());
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details,
    })
}
