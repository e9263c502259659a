//! Who asks, and what they may.

use super::Request;
use super::request::{Options, Route};
use super::status::Failure;

/// The user behind a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// May do everything.
    Admin,
    /// May get, list and watch.
    Reader,
    /// A service account to which nothing is bound.
    Nobody,
}

/// Name of the user who may only read.
pub const READER: &str = "system:serviceaccount:default:reader";

/// The user of an Authorization header. Without one it is the administrator, as on an API
/// server's insecure port: kubectl sends no token over plain HTTP.
///
/// # Errors
///
/// 401 for anything but the sandbox's tokens.
pub fn identity(authorization: Option<&str>) -> Result<Identity, Failure> {
    let Some(authorization) = authorization else { return Ok(Identity::Admin) };
    let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
    if token.starts_with("sandbox-admin") {
        Ok(Identity::Admin)
    } else if token.starts_with("sandbox-read") {
        Ok(Identity::Reader)
    } else if token.starts_with("sandbox-none") {
        Ok(Identity::Nobody)
    } else {
        Err(Failure::unauthorized())
    }
}

/// Whether the user may do this to anything.
pub fn allows(identity: Identity, verb: &str) -> bool {
    match identity {
        Identity::Admin => true,
        Identity::Reader => matches!(verb, "get" | "list" | "watch"),
        Identity::Nobody => false,
    }
}

/// Refuses what the user may not do, dry runs included.
///
/// # Errors
///
/// 403.
pub fn check(
    identity: Identity,
    request: &Request<'_>,
    route: &Route,
    options: &Options,
) -> Result<(), Failure> {
    let verb = verb(request.method, route.name.is_empty(), options.watch);
    if allows(identity, verb) {
        return Ok(());
    }
    let resource = &route.resource;
    let mut path = resource.plural.clone();
    if !route.subresource.is_empty() {
        path = format!("{path}/{}", route.subresource);
    }
    let place = if route.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", route.namespace)
    };
    let why = format!(
        "User {READER:?} cannot {verb} resource {path:?} in API group {:?} {place}",
        resource.group
    );
    Err(Failure::forbidden(resource, &route.name, &why, None))
}

fn verb(method: &str, collection: bool, watch: bool) -> &'static str {
    match (method, collection) {
        ("GET" | "HEAD", true) if watch => "watch",
        ("GET" | "HEAD", true) => "list",
        ("GET" | "HEAD", false) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "deletecollection",
        ("DELETE", false) => "delete",
        _ => "unknown",
    }
}
