//! The one kind that stands for Kubernetes objects of every kind; its spec is the manifest.

use schemars::json_schema;
use serde_json::json;

use crate::model::address::KUBERNETES;
use crate::model::call::{Answer, Call, Listing, Paging, Service};
use crate::model::kind::{
    Awaited, Diffed, Disturbance, Explain, Facts, Kind, KindError, Locate, Next, Output, Problem,
    Readiness, Shows, Since, Wave, Work, Written,
};
use crate::model::observed::Remote;
use crate::model::scope::{ApiResource, Need, Scope};
use crate::model::state::{End, Recorded};
use crate::model::{Json, JsonMap};

use super::names::{
    self, collection_path, group_of, id, kind_of, name, namespace, object_path, parse_id,
    path_of_id, served_versions,
};
use super::owners::{self, Managed, managed};
use super::{compare, explain, held, interrupts, limits, order, preview, ready, secret, write};
use crate::kinds::support::moment;

pub use super::names::{RESTART_ANNOTATION, defines, is_going, restart_text, served};
pub use super::preview::preview_from;

/// Objects a page of a list.
const PAGE: &str = "500";

/// Kubernetes objects of any kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Object;

/// An object as a resource of boxctl. The values of Secrets are taken out of it.
///
/// # Errors
/// An object without name or uid.
pub fn remote(object: &Json, resource: &ApiResource) -> Result<Remote, KindError> {
    let name = name(object);
    if name.is_empty() {
        return Err(KindError::Answer("metadata.name".into()));
    }
    let uid = object
        .pointer("/metadata/uid")
        .and_then(Json::as_str)
        .ok_or_else(|| KindError::Answer("metadata.uid".into()))?;
    let mut outputs = JsonMap::new();
    outputs.insert("uid".into(), uid.into());
    outputs.insert("name".into(), name.into());
    if let Some(namespace) = namespace(object) {
        outputs.insert("namespace".into(), namespace.into());
    }
    let raw = secret::mark(object);
    let mut spec = secret::hide(object);
    if let Json::Object(map) = &mut spec {
        map.shift_remove("status");
        if let Some(metadata) = map.get_mut("metadata").and_then(Json::as_object_mut) {
            for key in ["managedFields", "resourceVersion", "generation", "selfLink"] {
                metadata.shift_remove(key);
            }
        }
    }
    let version = secret::is_secret(object).then(|| applied_at(object)).flatten();
    Ok(Remote { id: id(resource, namespace(object), name), spec, outputs, version, raw })
}

/// When boxctl's own entry of the owners was written last.
fn applied_at(object: &Json) -> Option<String> {
    managed(object).into_iter().find(owners::Managed::is_ours)?.time
}

/// The natural key of a manifest.
pub fn key(manifest: &Json) -> JsonMap {
    let (api_version, kind) = kind_of(manifest);
    let mut key = JsonMap::new();
    key.insert("apiVersion".into(), api_version.into());
    key.insert("kind".into(), kind.into());
    if let Some(namespace) = namespace(manifest) {
        key.insert("namespace".into(), namespace.into());
    }
    key.insert("name".into(), name(manifest).into());
    key
}

/// The tool that keeps an object by marks of its own, and how it calls it.
pub fn tracker(object: &Json) -> Option<String> {
    let mark = |field: &str, key: &str| {
        object.pointer(&format!("/metadata/{field}"))?.get(key)?.as_str().map(str::to_owned)
    };
    let is_managed_by = |name: &str| managed(object).iter().any(|entry| entry.manager == name);
    if let Some(id) = mark("annotations", "argocd.argoproj.io/tracking-id") {
        let app = id.split(':').next().unwrap_or_default();
        return Some(format!("Argo CD (application {app})"));
    }
    if let Some(app) = mark("labels", "argocd.argoproj.io/instance") {
        return Some(format!("Argo CD (application {app})"));
    }
    let instance = mark("labels", "app.kubernetes.io/instance");
    if let Some(app) = instance.filter(|_| is_managed_by("argocd-controller")) {
        return Some(format!("Argo CD (application {app})"));
    }
    if let Some(name) = mark("labels", "kustomize.toolkit.fluxcd.io/name") {
        return Some(format!("Flux (Kustomization {name})"));
    }
    if let Some(name) = mark("labels", "helm.toolkit.fluxcd.io/name") {
        return Some(format!("Flux (HelmRelease {name})"));
    }
    let release = mark("annotations", "meta.helm.sh/release-name");
    if mark("labels", "app.kubernetes.io/managed-by").as_deref() == Some("Helm")
        && let Some(release) = release
    {
        return Some(format!("Helm (release {release})"));
    }
    ["kapp.k14s.io/app", "kapp.k14s.io/association"]
        .into_iter()
        .find_map(|key| mark("labels", key))
        .map(|app| format!("kapp (app {app})"))
}

/// Whether a manager wrote last when a request was sent, or since; times are whole seconds.
fn is_young(managed: &Managed, written: &Written<'_>) -> bool {
    let time = managed.time.as_ref().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    match (time, written.asked_at) {
        (Some(time), Some(asked)) => time.duration_since(asked).as_secs() >= -2,
        _ => false,
    }
}

/// Whether a manager owns nothing that a manifest does not say.
fn owns_no_more(managed: &Managed, manifest: &Json) -> bool {
    managed.paths.iter().all(|path| path.get(manifest).is_some())
}

/// Whether a manifest says nothing but which object it is, as most Namespaces do.
fn is_name_alone(spec: &Json) -> bool {
    let named = |key: &String| matches!(key.as_str(), "apiVersion" | "kind" | "metadata");
    let meta = spec.get("metadata").and_then(Json::as_object);
    spec.as_object().is_some_and(|spec| spec.keys().all(named))
        && meta.is_some_and(|meta| meta.keys().all(|key| key == "name" || key == "namespace"))
}

impl Kind for Object {
    fn name(&self) -> &'static str {
        KUBERNETES
    }

    fn doc(&self) -> &'static str {
        "A Kubernetes object of any kind: the manifest as it is, applied server-side."
    }

    fn service(&self) -> Service {
        Service::Kubernetes
    }

    fn schema(&self) -> schemars::Schema {
        json_schema!({
            "type": "object",
            "required": ["apiVersion", "kind", "metadata"],
            "properties": {
                "apiVersion": {"type": "string", "minLength": 1},
                "kind": {"type": "string", "minLength": 1},
                "metadata": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "minLength": 1},
                        "namespace": {"type": "string", "minLength": 1},
                    },
                },
            },
        })
    }

    fn outputs(&self) -> &'static [Output] {
        &[
            Output { name: "uid", secret: false, doc: "The object's uid." },
            Output { name: "name", secret: false, doc: "The object's name." },
            Output { name: "namespace", secret: false, doc: "The object's namespace." },
        ]
    }

    fn known_outputs(&self, spec: &Json, _: &Scope) -> JsonMap {
        let mut known = JsonMap::new();
        known.insert("name".into(), name(spec).into());
        if let Some(namespace) = namespace(spec) {
            known.insert("namespace".into(), namespace.into());
        }
        known
    }

    fn check(&self, spec: &Json, _: &Scope) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (api_version, kind) = kind_of(spec);
        if api_version.is_empty() {
            problems.push(Problem::error("apiVersion", "a manifest needs `apiVersion`"));
        }
        if kind.is_empty() {
            problems.push(Problem::error("kind", "a manifest needs `kind`"));
        }
        if name(spec).is_empty() {
            let problem = if spec.pointer("/metadata/generateName").is_some() {
                Problem::error("metadata.generateName", "an object needs a name of its own")
                    .hint("write `metadata.name`: what is applied again has to be found again")
            } else {
                Problem::error("metadata.name", "a manifest needs `metadata.name`")
            };
            problems.push(problem);
        }
        if spec.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
            problems.push(
                Problem::error("metadata.managedFields", "the server refuses `managedFields`")
                    .hint("it comes from `kubectl get -o yaml`: take it out"),
            );
        }
        problems
    }

    fn needs(&self, _: &Json) -> Vec<Need> {
        vec![Need::ApiResources]
    }

    fn declare(&self, spec: &Json, scope: &Scope) -> Result<Json, Problem> {
        let (api_version, kind) = kind_of(spec);
        if namespace(spec).is_none()
            && scope.api_resource(api_version, kind).is_some_and(|resource| resource.namespaced)
        {
            let message = format!("a {kind} lives in a namespace, and none is said");
            return Err(Problem::error("metadata.namespace", message)
                .hint("write `metadata.namespace`, or `namespace:` in the stack"));
        }
        Ok(spec.clone())
    }

    fn servable(&self, spec: &Json, scope: &Scope) -> Result<(), Problem> {
        names::servable(spec, scope)
    }

    fn locate(&self, spec: Option<&Json>, id: Option<&str>, scope: &Scope) -> Option<Locate> {
        scope.api_resources.as_ref()?;
        let served = spec.and_then(|spec| {
            let (api_version, kind) = kind_of(spec);
            let resource = scope.api_resource(api_version, kind)?;
            Some((resource, namespace(spec), name(spec)))
        });
        // What was applied in a version that is served no more is still there in another one.
        let known = || parse_id(id?, scope);
        let Some((resource, namespace, name)) = served.or_else(known) else {
            let of_id = || Some(id?.split('/').next()?.split_once('.')?.1);
            let group = spec.map(group_of).or_else(of_id).unwrap_or_default();
            return Some(if scope.is_away(group) {
                Locate::Away(format!("what serves {group} does not answer the API server"))
            } else {
                Locate::Nowhere
            });
        };
        if resource.namespaced && namespace.is_none() {
            return Some(Locate::Nowhere);
        }
        if resource.group.is_empty() && resource.kind == "Secret" {
            let path = object_path(resource, namespace, name);
            return Some(Locate::By(
                Call::get(Service::Kubernetes, path).tolerate(&[404]).purpose("reading the secret"),
            ));
        }
        let call = Call::get(Service::Kubernetes, collection_path(resource, namespace))
            .query("limit", PAGE)
            .purpose(format!("listing {}", resource.plural));
        Some(Locate::In(vec![Listing { call, paging: Paging::Token }]))
    }

    /// The time that the object shows is the end of its grace period.
    fn going_since(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        let metadata = remote.raw.get("metadata")?;
        let until = moment(metadata.get("deletionTimestamp"))?;
        let grace = metadata.get("deletionGracePeriodSeconds").and_then(Json::as_i64).unwrap_or(0);
        until.checked_sub(jiff::SignedDuration::from_secs(grace)).ok()
    }

    fn is_going(&self, remote: &Remote) -> bool {
        super::names::is_going(&remote.raw)
    }

    fn read(&self, item: &Json, scope: &Scope) -> Vec<Remote> {
        let (api_version, kind) = kind_of(item);
        let resource = scope.api_resource(api_version, kind);
        resource.and_then(|resource| remote(item, resource).ok()).into_iter().collect()
    }

    fn fetch(&self, id: &str, scope: &Scope) -> Option<Call> {
        let path = path_of_id(id, scope)?;
        Some(Call::get(Service::Kubernetes, path).purpose("reading the object"))
    }

    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        let raw = &remote.raw;
        group_of(spec) == group_of(raw)
            && kind_of(spec).1 == kind_of(raw).1
            && name(spec) == name(raw)
            && namespace(raw).is_none_or(|there| namespace(spec) == Some(there))
    }

    fn key(&self, spec: &Json) -> JsonMap {
        key(spec)
    }

    /// An apply is all or nothing, so an object that boxctl has applied, and that is not older
    /// than the request, came of it; what says nothing but its name owns no field. Of an object
    /// that was there before, all fields have to be what was applied, and boxctl has to own no
    /// other: the calls before the last apply leave it with more. Of a Secret's, that can't be told.
    fn shows(&self, written: &Written<'_>, remote: &Remote) -> Shows {
        let spec = &written.then.sent;
        let ours = managed(&remote.raw).into_iter().find(Managed::is_ours);
        let Some(ours) = ours else {
            let owes_nothing = written.before.is_none() && is_name_alone(spec);
            return if owes_nothing { Shows::Taken } else { Shows::Unclear };
        };
        if written.makes {
            return Shows::Taken;
        }
        let is_last = written.before.is_none() || is_young(&ours, written);
        if secret::is_secret(spec) || !is_last || !owns_no_more(&ours, spec) {
            return Shows::Unclear;
        }
        let facts = Facts {
            declared: Some(spec),
            sent: None,
            answered: None,
            version: None,
            remote,
            preview: None,
            ignore: &[],
            force: &["**".to_owned()],
            shared: &[],
        };
        let diffed = compare::diff(&facts);
        let gives = written.before.is_none() && !diffed.handover.is_empty();
        let same = diffed.changes.is_empty() && diffed.conflicts.is_empty() && !gives;
        if same { Shows::Taken } else { Shows::Unclear }
    }

    fn made_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        moment(remote.raw.pointer("/metadata/creationTimestamp"))
    }

    /// When the manifest was applied last, under boxctl's name: what others wrote has times of its
    /// own.
    fn modified_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        managed(&remote.raw).into_iter().find(Managed::is_ours)?.time?.parse().ok()
    }

    fn own_name(&self) -> Option<&'static str> {
        Some(owners::MANAGER)
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        compare::diff(facts)
    }

    fn answered(&self, sent: &Json, remote: &Remote) -> Option<Json> {
        let mut values = owners::owned_values(&remote.raw);
        for (path, value) in &mut values {
            if !value.is_null() && secret::hides(path, &[Some(&remote.raw), Some(sent)]) {
                *value = json!(secret::HIDDEN);
            }
        }
        Some(Json::Object(values))
    }

    fn recordable(&self, spec: &Json) -> Json {
        secret::hide(spec)
    }

    fn is_anothers(&self, recorded: &Recorded, remote: &Remote) -> bool {
        let (then, now) = (recorded.outputs.get("uid"), remote.outputs.get("uid"));
        then.is_some() && then != now && !managed(&remote.raw).iter().any(Managed::is_ours)
    }

    fn tracked_by(&self, remote: &Remote) -> Option<String> {
        tracker(&remote.raw)
    }

    fn replaces(&self, path: &str, spec: &Json, remote: &Remote) -> Option<String> {
        limits::replacement_reason(path, spec, &remote.raw)
    }

    fn loses(&self, spec: &Json) -> Option<&'static str> {
        limits::loses(spec)
    }

    fn protected(&self, spec: &Json) -> bool {
        matches!(
            (group_of(spec), kind_of(spec).1),
            ("", "PersistentVolumeClaim" | "PersistentVolume" | "Namespace")
                | ("apiextensions.k8s.io", "CustomResourceDefinition")
        )
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        write::next(work, answers)
    }

    fn preview(&self, work: &Work<'_>) -> Option<Call> {
        preview::preview(work)
    }

    fn readiness(&self, remote: &Remote, since: Option<&Since<'_>>) -> Readiness {
        ready::readiness(&remote.raw, since)
    }

    fn explain(
        &self,
        remote: &Remote,
        awaited: Awaited,
        answers: &[Option<Answer>],
        _: &Scope,
    ) -> Explain {
        match awaited {
            Awaited::Ready => explain::not_ready(&remote.raw, answers),
            Awaited::Gone => held::not_gone(&remote.raw, answers),
        }
    }

    fn held(&self, raw: &Json) -> String {
        held::held(raw)
    }

    fn ended(&self, remote: &Remote) -> Option<End> {
        ready::ended(&remote.raw)
    }

    fn is_spent(&self, sent: &Json, end: Option<End>) -> bool {
        ready::is_spent(sent, end)
    }

    fn interrupts(&self, change: &Disturbance<'_>) -> Option<String> {
        interrupts::interrupts(change)
    }

    fn serves(&self, spec: &Json) -> Vec<(String, String)> {
        served_versions(spec)
    }

    fn timeout_s(&self, spec: &Json) -> u64 {
        ready::timeout_s(spec)
    }

    fn rank(&self, spec: &Json) -> u32 {
        order::rank(spec)
    }

    fn wave(&self, spec: &Json) -> Option<Wave> {
        Some(order::wave(spec))
    }
}

#[cfg(test)]
#[path = "object_tests.rs"]
mod tests;
