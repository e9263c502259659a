//! Writes: create, replace, patch and apply, of objects and of their subresources.

mod admit;
mod checks;
mod commit;
mod patch;
mod scale;

use std::sync::Arc;

use serde_json::{Value, json};

use super::merge::{self, Applier, ApplyError, FieldSet, Managers, Merged, Schema, Updater};
use super::request::{Options, Route, body};
use super::resources::Resource;
use super::status::Failure;
use super::value::{fields, metadata, set, text};
use super::{Cluster, Request, Response, autoscalers, crd, defaults, events, normalise, read};

use checks::{check_type, check_version, place, set_member, typed};

pub use scale::of as scale_of;

/// Who writes what, how and when.
pub struct Write<'a> {
    /// The object or collection.
    pub route: &'a Route,
    /// Query parameters.
    pub options: &'a Options,
    /// Field manager.
    pub manager: String,
    /// Time of the write, RFC 3339 in whole seconds.
    pub time: String,
    /// Texts for Warning headers.
    pub warnings: Vec<String>,
    /// Which object this request makes, where it makes one: generated names have a suffix of it.
    pub uid: String,
}

/// What was written and whether it is new.
pub(super) struct Written {
    pub(super) object: Value,
    pub(super) created: bool,
}

impl Cluster {
    /// POST, PUT and PATCH.
    ///
    /// # Errors
    ///
    /// What the server refuses.
    pub(super) fn write(
        &mut self,
        request: &Request<'_>,
        route: &Route,
        options: &Options,
        now: jiff::Timestamp,
    ) -> Result<Response, Failure> {
        let mut write = Write {
            route,
            options,
            manager: options.manager(request),
            time: super::rfc3339(now),
            warnings: Vec::new(),
            uid: uuid::Uuid::new_v4().to_string(),
        };
        let written = match (request.method, route.name.is_empty()) {
            ("POST", true) => self.create(&mut write, body(request)?)?,
            ("PUT", false) => self.replace(&mut write, body(request)?)?,
            ("PATCH", false) => self.patch(&mut write, request)?,
            _ => return Err(Failure::method_not_allowed()),
        };
        let shown = if route.subresource == "scale" {
            written.object
        } else {
            read::present(&route.resource, &written.object)
        };
        let mut response = Response::json(if written.created { 201 } else { 200 }, &shown);
        response.warn(&write.warnings);
        Ok(response)
    }

    pub(super) fn create(
        &mut self,
        write: &mut Write<'_>,
        mut object: Value,
    ) -> Result<Written, Failure> {
        let route = write.route;
        typed(route, &mut object);
        check_type(route, &object)?;
        place(&mut object, route)?;
        if !text(&object, "/metadata/resourceVersion").is_empty() {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Failure::bad_request(message));
        }
        let prefix = text(&object, "/metadata/generateName").to_owned();
        if text(&object, "/metadata/name").is_empty() && !prefix.is_empty() {
            let suffix = super::generated_suffix(&write.uid);
            metadata(&mut object).insert("name".to_owned(), format!("{prefix}{suffix}").into());
        }
        let object = decode(write, object)?;
        let name = text(&object, "/metadata/name").to_owned();
        let group = route.resource.storage_group();
        if self.store.get(group, &route.resource.plural, &route.namespace, &name).is_some() {
            return Err(Failure::already_exists(&route.resource, &name));
        }
        let object = without_status(&route.resource, object);
        let managers = self.owners_after(write, None, &object);
        let object = self.commit_new(write, object, managers)?;
        Ok(Written { object, created: true })
    }

    fn replace(&mut self, write: &mut Write<'_>, object: Value) -> Result<Written, Failure> {
        let route = write.route;
        let live = route.stored(&self.store).cloned().ok_or_else(|| route.not_found())?;
        if route.subresource == "scale" {
            return self.write_scale(write, &live, &object);
        }
        let mut object = object;
        typed(route, &mut object);
        check_type(route, &object)?;
        place(&mut object, route)?;
        let unversioned = text(&object, "/metadata/resourceVersion").is_empty();
        if route.resource.custom.is_some() && unversioned {
            let cause = super::status::Cause::invalid(
                "metadata.resourceVersion",
                &0.into(),
                "must be specified for an update",
            );
            let kind = &route.resource;
            return Err(Failure::invalid(&kind.group, &kind.kind, &route.name, &[cause]));
        }
        self.update_to(write, live, object)
    }

    /// Goes from the live object to the one that a PUT or a patch makes of it.
    pub(super) fn update_to(
        &mut self,
        write: &mut Write<'_>,
        live: Value,
        object: Value,
    ) -> Result<Written, Failure> {
        let resource = &write.route.resource;
        let object = decode(write, object)?;
        let object = scoped(write.route, &live, object);
        let managers = if write.route.subresource == "status" {
            self.owners_after(write, Some(&live), &object)
        } else {
            let before = without_status(resource, live.clone());
            let after = without_status(resource, object.clone());
            self.owners_after(write, Some(&before), &after)
        };
        let object = self.commit_change(write, &live, object, managers)?;
        Ok(Written { object, created: false })
    }

    /// Who owns what after an update; `new` still bears the managed fields that were sent.
    fn owners_after(&self, write: &Write<'_>, live: Option<&Value>, new: &Value) -> Managers {
        let resource = &write.route.resource;
        let schema = schema_of(resource);
        let before = Managers::of_write(new, live);
        let api_version = resource.api_version();
        let by = Updater {
            manager: &write.manager,
            api_version: &api_version,
            subresource: &write.route.subresource,
            now: &write.time,
            reset: &reset(resource, &write.route.subresource),
        };
        merge::update(&schema, live, new, &before, &by)
    }

    fn apply(&mut self, write: &mut Write<'_>, config: Value) -> Result<Written, Failure> {
        let route = write.route;
        let resource = &route.resource;
        if write.options.field_manager.as_deref().unwrap_or_default().is_empty() {
            let detail = "is required for apply patch";
            let cause = super::status::Cause::required("fieldManager", detail);
            return Err(Failure::invalid("meta.k8s.io", "PatchOptions", "", &[cause]));
        }
        let mut config = config;
        check_type(route, &config)?;
        place(&mut config, route)?;
        if config.pointer("/metadata/managedFields").is_some_and(|m| !m.is_null()) {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        let live = route.stored(&self.store).cloned();
        if route.subresource == "scale" {
            let live = live.ok_or_else(|| route.not_found())?;
            return self.write_scale(write, &live, &config);
        }
        if let Some(live) = &live {
            check_version(resource, &config, live)?;
            set_member(&mut config, "resourceVersion", None);
        } else if !text(&config, "/metadata/uid").is_empty() || !route.subresource.is_empty() {
            return Err(route.not_found());
        }
        let merged = self.merged(write, live.as_ref(), &config)?;
        write.warnings.extend(deprecation(resource));
        match live {
            None => {
                let object = without_status(resource, finish(resource, merged.object)?);
                let object = self.commit_new(write, object, merged.managers)?;
                Ok(Written { object, created: true })
            }
            Some(live) => {
                let object = scoped(route, &live, finish(resource, merged.object)?);
                let object = self.commit_change(write, &live, object, merged.managers)?;
                Ok(Written { object, created: false })
            }
        }
    }

    /// Server-side apply proper. Objects are merged without what this endpoint can't write.
    fn merged(
        &self,
        write: &Write<'_>,
        live: Option<&Value>,
        config: &Value,
    ) -> Result<Merged, Failure> {
        let resource = &write.route.resource;
        let schema = schema_of(resource);
        let api_version = resource.api_version();
        let subresource = write.route.subresource.as_str();
        let by = Applier {
            manager: &write.manager,
            api_version: &api_version,
            subresource,
            force: write.options.force,
            now: &write.time,
            reset: &reset(resource, subresource),
        };
        let view = live.map(|live| {
            let mut live = read::present(resource, live);
            if subresource.is_empty() {
                live = without_status(resource, live);
            }
            live
        });
        let mut config = config.clone();
        if subresource.is_empty() && has_status(resource) {
            set(&mut config, "status", None);
        }
        let managers = live.map(Managers::of).unwrap_or_default();
        merge::apply(&schema, view.as_ref(), &managers, &config, &by).map_err(refused)
    }
}

fn refused(error: ApplyError) -> Failure {
    let message = error.to_string();
    match error {
        ApplyError::Typed(_) => Failure::internal(message),
        ApplyError::Conflict(conflicts) => {
            let causes: Vec<_> = conflicts
                .iter()
                .map(|c| {
                    json!({"reason": "FieldManagerConflict", "message": c.cause(), "field": c.path})
                })
                .collect();
            Failure::apply_conflict(message, Value::Array(causes))
        }
    }
}

/// The merge schema of a kind.
pub fn schema_of(resource: &Resource) -> Arc<Schema> {
    match &resource.custom {
        Some(custom) => Schema::of_crd(&custom.schema),
        None => Schema::built_in(&resource.group, &resource.version, &resource.kind)
            .unwrap_or_else(Schema::deduced),
    }
}

/// Whether `status` is written through its own endpoint only.
pub fn has_status(resource: &Resource) -> bool {
    resource.has("status")
}

/// `object` without the status that this endpoint can't write.
pub fn without_status(resource: &Resource, mut object: Value) -> Value {
    if has_status(resource) {
        set(&mut object, "status", None);
    }
    object
}

fn reset(resource: &Resource, subresource: &str) -> FieldSet {
    if has_status(resource) { merge::reset_fields(subresource) } else { FieldSet::default() }
}

/// Keeps of the written object what this endpoint writes and of the live one the rest.
fn scoped(route: &Route, live: &Value, mut object: Value) -> Value {
    if route.subresource == "status" {
        let mut kept = live.clone();
        set(&mut kept, "status", object.get("status").cloned());
        let meta = metadata(&mut kept);
        let fields = if route.resource.custom.is_some() {
            &["managedFields", "resourceVersion"][..]
        } else {
            &["managedFields", "resourceVersion", "annotations"][..]
        };
        for field in fields {
            match object.pointer(&format!("/metadata/{field}")) {
                Some(value) => drop(meta.insert((*field).to_owned(), value.clone())),
                None => drop(meta.shift_remove(*field)),
            }
        }
        return kept;
    }
    if has_status(&route.resource) {
        set(&mut object, "status", live.get("status").cloned());
    }
    object
}

/// Decoding: unknown fields go, defaults and canonical forms come.
fn decode(write: &mut Write<'_>, mut object: Value) -> Result<Value, Failure> {
    let asked = &write.route.resource;
    let stored =
        events::stored(asked, &mut object).or_else(|| autoscalers::stored(asked, &mut object));
    let resource = stored.unwrap_or(asked);
    if resource.is("", "secrets") {
        normalise::fold_string_data(&mut object);
    }
    let unknown = match &resource.custom {
        Some(custom) => crd::prune(&custom.schema, &mut object),
        None => {
            let schema = schema_of(resource);
            let unknown = schema.drop_unknown(&mut object);
            let problems = schema.type_problems(&object);
            if !problems.is_empty() {
                let text = problems.join(", ");
                return Err(Failure::bad_request(unreadable(resource, &text)));
            }
            unknown
        }
    };
    if !unknown.is_empty() {
        let lines: Vec<_> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
        match write.options.field_validation.as_str() {
            "Strict" => {
                let text = format!("strict decoding error: {}", lines.join(", "));
                return Err(Failure::bad_request(unreadable(resource, &text)));
            }
            "Ignore" => {}
            _ => write.warnings.extend(lines),
        }
    }
    write.warnings.extend(deprecation(resource));
    finish(resource, object)
}

fn unreadable(resource: &Resource, why: &str) -> String {
    let (kind, version) = (&resource.kind, &resource.version);
    format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}")
}

fn deprecation(resource: &Resource) -> Option<String> {
    resource.custom.as_ref().and_then(|c| c.deprecation.clone())
}

/// Canonical forms and defaults, which come with decoding into the server's types.
fn finish(resource: &Resource, mut object: Value) -> Result<Value, Failure> {
    match &resource.custom {
        Some(custom) => crd::apply_defaults(&custom.schema, &mut object),
        None => {
            if resource.is("", "secrets") {
                normalise::fold_string_data(&mut object);
            }
            normalise::quantities(&schema_of(resource), &mut object)
                .map_err(|why| Failure::bad_request(unreadable(resource, why)))?;
            normalise::leave_out_zeros(&mut object);
            if resource.is("", "secrets")
                && let Some(at) = normalise::broken_base64(&object)
            {
                let why = format!("illegal base64 data at input byte {at}");
                return Err(Failure::bad_request(unreadable(resource, &why)));
            }
            defaults::apply(resource, &mut object);
        }
    }
    let map = fields(&mut object);
    map.insert("apiVersion".to_owned(), resource.api_version().into());
    map.insert("kind".to_owned(), resource.kind.clone().into());
    Ok(object)
}
