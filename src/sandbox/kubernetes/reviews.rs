//! Reviews: objects that are only ever created, and answer a question.

use serde_json::{Value, json};

use super::access::{Identity, READER, allows};
use super::request::{Route, body};
use super::resources::Resource;
use super::status::Failure;
use super::value::{child, set, text};
use super::{Request, Response};

/// Whether objects of the kind are answers that nothing stores.
pub fn is_review(resource: &Resource) -> bool {
    matches!(resource.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io")
}

/// Answers a review.
///
/// # Errors
///
/// 405 for every verb but create.
pub fn answer(
    identity: Identity,
    request: &Request<'_>,
    route: &Route,
) -> Result<Response, Failure> {
    if request.method != "POST" || !route.name.is_empty() {
        return Err(Failure::method_not_allowed());
    }
    let mut review = body(request)?;
    child(&mut review, "metadata");
    let status = match route.resource.kind.as_str() {
        "SelfSubjectReview" => json!({"userInfo": user(identity)}),
        "TokenReview" => json!({"authenticated": false, "user": {}, "error": "unknown token"}),
        "SelfSubjectRulesReview" => rules(identity),
        kind @ ("SubjectAccessReview" | "LocalSubjectAccessReview") => {
            let user = text(&review, "/spec/user");
            let known = [Identity::Admin, Identity::Reader]
                .into_iter()
                .find(|identity| text(&self::user(*identity), "/username") == user);
            let verb = text(&review, "/spec/resourceAttributes/verb");
            let namespaced = kind == "SubjectAccessReview"
                || text(&review, "/spec/resourceAttributes/namespace") == route.namespace;
            json!({"allowed": namespaced && known.is_some_and(|known| allows(known, verb))})
        }
        _ => {
            let verb = ["/spec/resourceAttributes/verb", "/spec/nonResourceAttributes/verb"]
                .map(|pointer| text(&review, pointer))
                .concat();
            json!({"allowed": allows(identity, &verb)})
        }
    };
    set(&mut review, "kind", Some(route.resource.kind.clone().into()));
    set(&mut review, "apiVersion", Some(route.resource.api_version().into()));
    set(&mut review, "status", Some(status));
    Ok(Response::json(201, &review))
}

fn rules(identity: Identity) -> Value {
    let verbs = match identity {
        Identity::Admin => json!(["*"]),
        Identity::Reader => json!(["get", "list", "watch"]),
        Identity::Nobody => json!([]),
    };
    let everything = json!([{"verbs": verbs, "apiGroups": ["*"], "resources": ["*"]}]);
    let urls = json!([{"verbs": verbs, "nonResourceURLs": ["*"]}]);
    json!({"resourceRules": everything, "nonResourceRules": urls, "incomplete": false})
}

fn user(identity: Identity) -> Value {
    match identity {
        Identity::Admin => json!({"username": "sandbox-admin", "groups": ["system:masters"]}),
        Identity::Reader | Identity::Nobody => {
            json!({"username": READER, "groups": ["system:serviceaccounts"]})
        }
    }
}
