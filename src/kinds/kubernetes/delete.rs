//! The calls that delete an object, and wait until it is gone.

use serde_json::json;

use crate::model::Json;
use crate::model::call::{Answer, Call, Method, Service};
use crate::model::kind::{KindError, Next, Work};

use super::write::{place, refused};
use super::{names, object};

/// The next call of a deletion: in the background, of the object that was read and no other, until
/// it is gone.
///
/// # Errors
/// A refusal: another object stands under the name, say.
pub(super) fn next(work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
    let path = match place(work.spec, work.scope) {
        Ok(place) => place.path,
        Err(error) => {
            work.remote.and_then(|remote| names::path_of_id(&remote.id, work.scope)).ok_or(error)?
        }
    };
    let uid = work.remote.and_then(|remote| remote.outputs.get("uid")).and_then(Json::as_str);
    let Some(last) = answers.last() else {
        let mut options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
        });
        if let (Some(uid), Json::Object(map)) = (uid, &mut options) {
            map.insert("preconditions".to_owned(), json!({"uid": uid}));
        }
        let call = Call::change(Service::Kubernetes, Method::Delete, path)
            .body(options)
            .key(object::key(work.spec))
            .tolerate(&[404, 409])
            .purpose("deleting the object");
        return Ok(Next::call(call));
    };
    if last.status == 404 {
        return Ok(Next::gone());
    }
    if !last.is_success() {
        return Err(refused(last));
    }
    let there = last.body.pointer("/metadata/uid").and_then(Json::as_str);
    if answers.len() > 1 && uid.is_some() && there.is_some() && there != uid {
        return Ok(Next::gone());
    }
    let call = Call::get(Service::Kubernetes, path)
        .tolerate(&[404])
        .purpose("waiting until the object is gone");
    Ok(Next::call(call))
}
