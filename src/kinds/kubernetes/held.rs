//! What holds an object that is to go.

use crate::model::Json;
use crate::model::call::{Answer, Call, Service};
use crate::model::kind::Explain;

use super::names::{group_of, kind_of, name, namespace};
use super::pods::cut;
use super::status::{Condition, items, number, text};

/// The conditions by which a namespace says what it still has, the plainest first.
const REMAINING: [&str; 5] = [
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
    "NamespaceDeletionContentFailure",
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
];

/// What keeps an object, as far as its own last reading tells.
pub(super) fn held(object: &Json) -> String {
    let mut reasons = Vec::new();
    let finalizers: Vec<&str> =
        items(object, "/metadata/finalizers").filter_map(Json::as_str).collect();
    if !finalizers.is_empty() {
        reasons.push(format!("held by {}", finalizers.join(", ")));
    }
    match (group_of(object), kind_of(object).1) {
        ("", "Namespace") => {
            let said = REMAINING.iter().filter_map(|kind| Condition::of(object, kind));
            reasons.extend(said.filter(|said| said.is("True")).map(|said| cut(said.message())));
        }
        ("", "Pod") => {
            if let Some(grace) = number(object, "/metadata/deletionGracePeriodSeconds") {
                let node = text(object, "/spec/nodeName");
                let at = if node.is_empty() { String::new() } else { format!(" on {node}") };
                reasons.push(format!("its containers have {grace} s to end{at}"));
            }
        }
        ("", "PersistentVolume") => {
            let claim = |key: &str| text(object, &format!("/spec/claimRef/{key}"));
            if !claim("name").is_empty() {
                let claim = format!("{}/{}", claim("namespace"), claim("name"));
                reasons.push(format!("the claim {claim} is bound to it"));
            }
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let ending = Condition::of(object, "Terminating").filter(|ending| ending.is("True"));
            reasons.extend(ending.map(|ending| cut(ending.message())));
        }
        _ => {}
    }
    match reasons.is_empty() {
        true => "it is still there".to_owned(),
        false => format!("it is still there, {}", reasons.join("; ")),
    }
}

/// What else holds it, that others have to be asked for: the pods that use a claim.
pub(super) fn not_gone(object: &Json, answers: &[Option<Answer>]) -> Explain {
    if (group_of(object), kind_of(object).1) != ("", "PersistentVolumeClaim") {
        return Explain::Told(Vec::new());
    }
    let Some(pods) = answers.first() else {
        let namespace = namespace(object).unwrap_or_default();
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let call = Call::get(Service::Kubernetes, path)
            .query("limit", "500")
            .purpose("looking which pods use the claim");
        return Explain::Look(Box::new(call));
    };
    let Some(pods) = pods else { return Explain::Told(Vec::new()) };
    let uses = |pod: &&Json| {
        // A pod that has ended holds no claim.
        !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
            && items(pod, "/spec/volumes")
                .any(|volume| text(volume, "/persistentVolumeClaim/claimName") == name(object))
    };
    let names: Vec<&str> = items(&pods.body, "/items").filter(uses).map(name).collect();
    Explain::Told(match names.as_slice() {
        [] => Vec::new(),
        [one] => vec![format!("the pod {one} uses it")],
        many => vec![format!("the pods {} use it", many.join(", "))],
    })
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
