//! Reads: get, list with pages and selectors, watch.

use base64::prelude::*;
use serde_json::{Value, json};

use super::request::{Form, Options, Route};
use super::resources::Resource;
use super::status::Failure;
use super::store::Store;
use super::table;
use super::value::{fields, text};
use super::watch::Watch;
use super::{Response, autoscalers, crd, events};

/// An object as a request in this version sees it.
pub fn present(resource: &Resource, object: &Value) -> Value {
    let mut shown = object.clone();
    let map = fields(&mut shown);
    map.insert("apiVersion".to_owned(), resource.api_version().into());
    map.insert("kind".to_owned(), resource.kind.clone().into());
    if events::is_newer(resource) {
        events::to_newer(&mut shown);
    }
    autoscalers::present(resource, &mut shown);
    crd::present(resource, &mut shown);
    shown
}

pub fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_default(),
    })
}

/// GET of one object.
///
/// # Errors
///
/// 404.
pub fn get(
    store: &Store,
    route: &Route,
    form: Form,
    now: jiff::Timestamp,
) -> Result<Response, Failure> {
    let stored = route.stored(store).ok_or_else(|| route.not_found())?;
    let object = present(&route.resource, stored);
    let body = match form {
        Form::Whole => object,
        Form::Metadata => partial(&object),
        Form::Table => {
            let revision = text(&object, "/metadata/resourceVersion").to_owned();
            table::of(&route.resource, &[object], json!({"resourceVersion": revision}), now)
        }
    };
    Ok(Response::json(200, &body))
}

/// GET of a collection, as a list or as the beginning of a watch.
///
/// # Errors
///
/// 400 for selectors and tokens that can't be read.
pub fn list(
    store: &Store,
    route: &Route,
    options: &Options,
    form: Form,
    now: jiff::Timestamp,
) -> Result<Response, Failure> {
    let resource = &route.resource;
    check_version(store, options)?;
    if options.watch {
        return Watch::start(store, route, options, form, now);
    }
    let matching = select(store, route, options)?;
    let start = start_of(options, &route.namespace, store.revision())?;
    let rest: Vec<_> = matching
        .into_iter()
        .filter(|(key, _)| start.as_deref().is_none_or(|start| *key >= start))
        .collect();
    let size = if options.limit == 0 { rest.len() } else { options.limit };
    let mut meta = json!({"resourceVersion": store.revision().to_string()});
    if rest.len() > size {
        let last = rest.get(size.saturating_sub(1)).map_or("", |(key, _)| key);
        let map = fields(&mut meta);
        let token = token_after(store.revision(), last, &route.namespace);
        map.insert("continue".to_owned(), token.into());
        // With a selector the server does not know how many are left.
        if options.labels.is_empty() && options.fields.is_empty() {
            map.insert("remainingItemCount".to_owned(), (rest.len() - size).into());
        }
    }
    let page: Vec<Value> =
        rest.into_iter().take(size).map(|(_, object)| present(resource, object)).collect();
    let body = match form {
        Form::Table => table::of(resource, &page, meta, now),
        Form::Metadata => json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": meta, "items": page.iter().map(partial).collect::<Vec<_>>(),
        }),
        Form::Whole => json!({
            "kind": resource.list_kind, "apiVersion": resource.api_version(),
            "metadata": meta, "items": bare(resource, page),
        }),
    };
    Ok(Response::json(200, &body))
}

/// Built-in kinds leave kind and apiVersion out of a list's items, custom resources keep them.
fn bare(resource: &Resource, mut page: Vec<Value>) -> Vec<Value> {
    if resource.custom.is_none() {
        for object in &mut page {
            let map = fields(object);
            map.shift_remove("apiVersion");
            map.shift_remove("kind");
        }
    }
    page
}

/// Lists can't be of a revision that is yet to come.
fn check_version(store: &Store, options: &Options) -> Result<(), Failure> {
    let Ok(wanted) = options.resource_version.parse::<u64>() else {
        if options.resource_version.is_empty() {
            return Ok(());
        }
        let message = format!("resourceVersion: Invalid value: {:?}", options.resource_version);
        return Err(Failure::bad_request(message));
    };
    let now = store.revision();
    if wanted > now && !options.watch {
        return Err(Failure::too_large_version(wanted, now));
    }
    Ok(())
}

/// Which objects of a collection a request is about.
#[derive(Debug, Clone)]
pub struct Selection {
    labels: Vec<LabelRule>,
    fields: Vec<FieldRule>,
    name: String,
}

impl Selection {
    /// Reads the selectors of a request; a path that names an object selects that one.
    ///
    /// # Errors
    ///
    /// 400 for selectors that can't be read.
    pub fn read(route: &Route, options: &Options) -> Result<Self, Failure> {
        Ok(Self {
            labels: parse_labels(&options.labels)?,
            fields: parse_fields(&options.fields, &route.resource)?,
            name: route.name.clone(),
        })
    }

    /// Whether an object is among them.
    pub fn admits(&self, object: &Value) -> bool {
        let own = object.pointer("/metadata/labels");
        (self.name.is_empty() || text(object, "/metadata/name") == self.name)
            && self.labels.iter().all(|rule| rule.admits(own))
            && self
                .fields
                .iter()
                .all(|(pointer, value, equal)| (field_text(object, pointer) == *value) == *equal)
    }
}

/// The objects of a collection that the selectors admit, with their keys.
pub fn select<'a>(
    store: &'a Store,
    route: &Route,
    options: &Options,
) -> Result<Vec<(&'a str, &'a Value)>, Failure> {
    let wanted = Selection::read(route, options)?;
    let namespace = Some(route.namespace.as_str()).filter(|ns| !ns.is_empty());
    Ok(store
        .entries(route.resource.storage_group(), &route.resource.plural, namespace)
        .filter(|(_, object)| wanted.admits(object))
        .collect())
}

fn field_text(object: &Value, pointer: &str) -> String {
    match object.pointer(pointer) {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

#[derive(Debug, Clone)]
struct LabelRule {
    key: String,
    values: Vec<String>,
    operator: Operator,
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    In,
    NotIn,
    Exists,
    Missing,
}

impl LabelRule {
    fn admits(&self, labels: Option<&Value>) -> bool {
        let value = labels.and_then(|l| l.get(&self.key)).and_then(Value::as_str);
        let listed = value.is_some_and(|v| self.values.iter().any(|w| w == v));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::Missing => value.is_none(),
        }
    }
}

fn parse_labels(selector: &str) -> Result<Vec<LabelRule>, Failure> {
    let mut rules = Vec::new();
    let mut depth = 0_u32;
    let parts = selector.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    for part in parts.map(str::trim).filter(|p| !p.is_empty()) {
        rules.push(label_rule(part).ok_or_else(|| {
            Failure::bad_request(format!("unable to parse requirement: {part:?} is no selector"))
        })?);
    }
    Ok(rules)
}

fn label_rule(part: &str) -> Option<LabelRule> {
    let rule = |key: &str, operator, values: Vec<String>| {
        let key = key.trim().to_owned();
        let legal = key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        (legal && !key.is_empty()).then_some(LabelRule { key, values, operator })
    };
    if let Some(key) = part.strip_prefix('!') {
        return rule(key, Operator::Missing, Vec::new());
    }
    if let Some(list) = part.strip_suffix(')') {
        let (head, list) = list.split_once('(')?;
        let values = list.split(',').map(|v| v.trim().to_owned()).collect();
        let head = head.trim();
        if let Some(key) = head.strip_suffix(" notin") {
            return rule(key, Operator::NotIn, values);
        }
        return rule(head.strip_suffix(" in")?, Operator::In, values);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return rule(key, Operator::NotIn, vec![value.trim().to_owned()]);
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return rule(key, Operator::In, vec![value.trim().to_owned()]);
    }
    rule(part, Operator::Exists, Vec::new())
}

/// Pointer, value, whether equal.
type FieldRule = (String, String, bool);

fn parse_fields(selector: &str, resource: &Resource) -> Result<Vec<FieldRule>, Failure> {
    let mut rules = Vec::new();
    for part in selector.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (field, value, equal) = part
            .split_once("!=")
            .map(|(k, v)| (k, v, false))
            .or_else(|| part.split_once("==").map(|(k, v)| (k, v, true)))
            .or_else(|| part.split_once('=').map(|(k, v)| (k, v, true)))
            .ok_or_else(|| {
                Failure::bad_request(format!(
                    "invalid selector: '{part}'; can't understand '{part}'"
                ))
            })?;
        let known: &[&str] = match resource.plural.as_str() {
            "pods" => &[
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "spec.hostNetwork",
                "status.phase",
                "status.podIP",
                "status.podIPs",
                "status.nominatedNodeName",
            ],
            "services" => &["spec.clusterIP", "spec.type"],
            "secrets" => &["type"],
            "namespaces" => &["status.phase", "name"],
            "nodes" => &["spec.unschedulable"],
            "replicasets" => &["status.replicas"],
            "replicationcontrollers" => &["status.replicas"],
            "jobs" => &["status.successful"],
            _ => &[],
        };
        let general = ["metadata.name", "metadata.namespace"];
        if resource.plural == "events"
            && let Some(stored) = events::selected(resource, field)
        {
            rules.push((format!("/{}", stored.replace('.', "/")), value.to_owned(), equal));
            continue;
        }
        if !general.contains(&field) && !known.contains(&field) {
            let message = format!("field label not supported: {field}");
            return Err(Failure::bad_request(message));
        }
        rules.push((format!("/{}", field.replace('.', "/")), value.to_owned(), equal));
    }
    Ok(rules)
}

/// The server's tokens are unpadded base64 of a key to start at (recording 09).
fn token_after(revision: u64, last: &str, namespace: &str) -> String {
    let key = last.trim_start_matches('/');
    let key = key.strip_prefix(&format!("{namespace}/")).filter(|_| !namespace.is_empty());
    let start = format!("/{}\0", key.unwrap_or(last.trim_start_matches('/')));
    let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start});
    BASE64_URL_SAFE_NO_PAD.encode(token.to_string())
}

/// Revisions after which a list's first page is compacted away.
const KEPT: u64 = 10_000;

fn start_of(options: &Options, namespace: &str, now: u64) -> Result<Option<String>, Failure> {
    let token = &options.continue_token;
    if token.is_empty() {
        return Ok(None);
    }
    let invalid = |why: String| {
        Failure::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let at = token.find(|c| !legal(c)).unwrap_or(token.len() / 4 * 4);
        invalid(format!("illegal base64 data at input byte {at}"))
    })?;
    let decoded: Value = serde_json::from_slice(&bytes).map_err(|e| invalid(e.to_string()))?;
    let start = text(&decoded, "/start").trim_start_matches('/');
    let revision = decoded.get("rv").and_then(Value::as_u64).unwrap_or(0);
    if revision > 0 && revision + KEPT < now {
        return Err(Failure::expired_token());
    }
    if namespace.is_empty() {
        let cluster_wide = !start.contains('/');
        return Ok(Some(if cluster_wide { format!("/{start}") } else { start.to_owned() }));
    }
    Ok(Some(format!("{namespace}/{start}")))
}
