//! What controllers say of an object in its status.

use crate::model::Json;
use crate::model::kind::Readiness;

pub(super) fn number(object: &Json, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Json::as_i64)
}

pub(super) fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

pub(super) fn items<'a>(object: &'a Json, pointer: &str) -> impl Iterator<Item = &'a Json> {
    object.pointer(pointer).and_then(Json::as_array).into_iter().flatten()
}

/// A condition of an object, as its controller wrote it last.
#[derive(Clone, Copy)]
pub(super) struct Condition<'a>(&'a Json);

impl<'a> Condition<'a> {
    /// The one of that type.
    pub(super) fn of(object: &'a Json, kind: &str) -> Option<Self> {
        items(object, "/status/conditions").find(|c| text(c, "/type") == kind).map(Condition)
    }

    pub(super) fn is(self, status: &str) -> bool {
        text(self.0, "/status") == status
    }

    pub(super) fn reason(self) -> &'a str {
        text(self.0, "/reason")
    }

    pub(super) fn message(self) -> &'a str {
        text(self.0, "/message")
    }

    /// `reason: message`.
    pub(super) fn said(self) -> String {
        said(self.reason(), self.message())
    }

    /// Whether it is about an older generation, where it says which.
    pub(super) fn is_stale(self, object: &Json) -> bool {
        number(self.0, "/observedGeneration")
            .is_some_and(|seen| seen < number(object, "/metadata/generation").unwrap_or(0))
    }
}

/// `reason: message`, or what there is of it.
pub(super) fn said(reason: &str, message: &str) -> String {
    match (reason, message) {
        ("", "") => "nothing said yet".to_owned(),
        (one, "") | ("", one) => one.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// Whether the controller has seen what was written last.
pub(super) fn is_seen(object: &Json) -> bool {
    let generation = number(object, "/metadata/generation").unwrap_or(0);
    number(object, "/status/observedGeneration").unwrap_or(0) >= generation
}

pub(super) fn waiting(reason: impl Into<String>) -> Readiness {
    Readiness::Waiting(reason.into())
}
