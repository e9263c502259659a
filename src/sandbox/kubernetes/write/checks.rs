//! Whether a body belongs to the path it was sent to, and to the object that is there.

use serde_json::Value;

use crate::sandbox::kubernetes::request::Route;
use crate::sandbox::kubernetes::resources::{Resource, split_api_version};
use crate::sandbox::kubernetes::status::Failure;
use crate::sandbox::kubernetes::value::{metadata, set, text};

/// Refuses a body of another kind than the path's.
pub fn check_type(route: &Route, object: &Value) -> Result<(), Failure> {
    let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    let resource = &route.resource;
    let own = api_version == resource.api_version() && kind == resource.kind;
    let scale = route.subresource == "scale" && kind == "Scale";
    if own || scale {
        return Ok(());
    }
    let (group, version) = split_api_version(api_version);
    if !object.is_object() || kind.is_empty() && api_version.is_empty() {
        let message = "Object 'Kind' is missing in the body of the request";
        return Err(Failure::bad_request(message));
    }
    Err(Failure::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")))
}

/// Fills in the kind and version that a body leaves out: the path says them. Custom resources
/// have to say them themselves.
pub fn typed(route: &Route, object: &mut Value) {
    let resource = &route.resource;
    if resource.custom.is_some() || route.subresource == "scale" || !object.is_object() {
        return;
    }
    for (key, own) in [("kind", resource.kind.clone()), ("apiVersion", resource.api_version())] {
        if text(object, &format!("/{key}")).is_empty() {
            set(object, key, Some(own.into()));
        }
    }
}

/// Brings name and namespace of the body in line with the path.
pub fn place(object: &mut Value, route: &Route) -> Result<(), Failure> {
    let namespace = text(object, "/metadata/namespace").to_owned();
    let name = text(object, "/metadata/name").to_owned();
    if !namespace.is_empty() && namespace != route.namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !route.name.is_empty() && !name.is_empty() && name != route.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            route.name
        )));
    }
    if !route.name.is_empty() {
        set_member(object, "name", Some(&route.name));
    }
    if !route.namespace.is_empty() {
        set_member(object, "namespace", Some(&route.namespace));
    }
    Ok(())
}

/// Sets or removes a member of `metadata`.
pub fn set_member(object: &mut Value, key: &str, to: Option<&str>) {
    let meta = metadata(object);
    match to {
        Some(to) => drop(meta.insert(key.to_owned(), to.into())),
        None => drop(meta.shift_remove(key)),
    }
}

/// Optimistic locking: a version or uid that was sent has to be the live one.
pub fn check_version(resource: &Resource, new: &Value, live: &Value) -> Result<(), Failure> {
    let name = text(live, "/metadata/name");
    let differs = |pointer| {
        let wanted = text(new, pointer);
        !wanted.is_empty() && wanted != text(live, pointer)
    };
    if differs("/metadata/uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            text(new, "/metadata/uid"),
            text(live, "/metadata/uid")
        );
        return Err(Failure::conflict(&resource.group, &resource.plural, name, &why));
    }
    if differs("/metadata/resourceVersion") {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        return Err(Failure::conflict(&resource.group, &resource.plural, name, why));
    }
    Ok(())
}
