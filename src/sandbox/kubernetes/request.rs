//! What a request addresses, asks for and accepts.

use serde_json::Value;

use super::Request;
use super::resources::{Resource, find};
use super::status::Failure;
use super::store::Store;

/// The object or collection that a path names.
#[derive(Debug, Clone)]
pub struct Route {
    /// The kind.
    pub resource: Resource,
    /// The namespace of the path, empty for cluster-wide kinds and for lists over all namespaces.
    pub namespace: String,
    /// The name of the path, empty for collections.
    pub name: String,
    /// `status`, `scale` or empty.
    pub subresource: String,
}

/// Splits `/api/v1/…` or `/apis/GROUP/VERSION/…` into group, version and the rest.
pub fn split(path: &str) -> Option<(&str, &str, Vec<&str>)> {
    let mut parts = path.split('/').filter(|p| !p.is_empty());
    let (group, version) = match parts.next()? {
        "api" => ("", parts.next()?),
        "apis" => (parts.next()?, parts.next()?),
        _ => return None,
    };
    Some((group, version, parts.collect()))
}

impl Route {
    /// Finds what a path addresses.
    ///
    /// # Errors
    ///
    /// 404 as the server answers it: plain text where nothing serves the group, a `Status` else.
    pub fn find(store: &Store, path: &str) -> Result<Self, Failure> {
        let (group, version, rest) = split(path).ok_or_else(Failure::page_not_found)?;
        let unknown = || {
            if super::discovery::is_built_in(group) {
                Failure::no_such_resource()
            } else {
                Failure::page_not_found()
            }
        };
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", ns, rest @ ..]
                if !(rest.is_empty() || group.is_empty() && is_namespace_part(rest)) =>
            {
                (*ns, rest)
            }
            rest => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, sub] => (*plural, *name, *sub),
            _ => return Err(unknown()),
        };
        let resource = find(store, group, version, plural).ok_or_else(unknown)?;
        let placed = if resource.namespaced {
            !namespace.is_empty() || name.is_empty()
        } else {
            namespace.is_empty()
        };
        let finalize = resource.is("", "namespaces") && subresource == "finalize";
        if !placed || !(subresource.is_empty() || finalize || resource.has(subresource)) {
            return Err(unknown());
        }
        Ok(Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        })
    }

    /// The failure that says the object is not there.
    pub fn not_found(&self) -> Failure {
        Failure::not_found(&self.resource.group, &self.resource.plural, &self.name)
    }

    /// The object that the path names, as stored.
    pub fn stored<'a>(&self, store: &'a Store) -> Option<&'a Value> {
        let (group, plural) = (self.resource.storage_group(), &self.resource.plural);
        store.get(group, plural, &self.namespace, &self.name)
    }
}

fn is_namespace_part(rest: &[&str]) -> bool {
    matches!(rest, ["status" | "finalize"])
}

/// Query parameters of all verbs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Nothing is stored.
    pub dry_run: bool,
    /// Who writes.
    pub field_manager: Option<String>,
    /// Take fields over from other managers.
    pub force: bool,
    /// What becomes of unknown fields: `Ignore`, `Warn` (the default) or `Strict`.
    pub field_validation: String,
    /// Label selector.
    pub labels: String,
    /// Field selector.
    pub fields: String,
    /// Page size, 0 for all.
    pub limit: usize,
    /// Where the last page ended.
    pub continue_token: String,
    /// Stream of changes instead of a list.
    pub watch: bool,
    /// From which revision.
    pub resource_version: String,
    /// How that revision is meant.
    pub resource_version_match: String,
    /// Whether a watch begins with what is there.
    pub initial_events: Option<bool>,
    /// Whether a watch has bookmarks.
    pub bookmarks: bool,
    /// Seconds a watch lasts.
    pub timeout: Option<i64>,
    /// What becomes of dependents.
    pub propagation: Option<String>,
    /// Seconds until a pod is killed.
    pub grace: Option<i64>,
}

impl Options {
    /// Reads the query.
    ///
    /// # Errors
    ///
    /// 400 or 422 for values that the server refuses.
    pub fn read(request: &Request<'_>) -> Result<Self, Failure> {
        let mut options = Self { field_validation: "Warn".to_owned(), ..Self::default() };
        let yes = |value: &str| !matches!(value, "false" | "0" | "no" | "");
        for (key, value) in &request.query {
            match key.as_str() {
                "dryRun" if value == "All" => options.dry_run = true,
                "dryRun" if value.is_empty() => {}
                "dryRun" => {
                    let message = format!("dryRun: Unsupported value: {value:?}");
                    return Err(Failure::bad_request(message));
                }
                "fieldManager" => options.field_manager = Some(value.clone()),
                "force" => options.force = yes(value),
                "fieldValidation" => options.field_validation.clone_from(value),
                "labelSelector" => options.labels.clone_from(value),
                "fieldSelector" => options.fields.clone_from(value),
                "limit" => options.limit = value.parse().unwrap_or(0),
                "continue" => options.continue_token.clone_from(value),
                "watch" => options.watch = yes(value),
                "resourceVersion" => options.resource_version.clone_from(value),
                "resourceVersionMatch" => options.resource_version_match.clone_from(value),
                "sendInitialEvents" => options.initial_events = Some(yes(value)),
                "allowWatchBookmarks" => options.bookmarks = yes(value),
                "timeoutSeconds" => options.timeout = value.parse().ok(),
                "propagationPolicy" => options.propagation = Some(value.clone()),
                "gracePeriodSeconds" => options.grace = value.parse().ok(),
                _ => {}
            }
        }
        Ok(options)
    }

    /// The field manager: the one given, else what the client's name begins with.
    pub fn manager(&self, request: &Request<'_>) -> String {
        let given = self.field_manager.as_deref().filter(|m| !m.is_empty());
        let own = || request.user_agent.unwrap_or("unknown").split('/').next().unwrap_or("unknown");
        given.unwrap_or_else(own).to_owned()
    }
}

/// The form in which a client wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Whole objects.
    Whole,
    /// Metadata alone.
    Metadata,
    /// Rows and columns for people.
    Table,
}

/// The first media type of the Accept header that the server has.
///
/// # Errors
///
/// 406 where there is none.
pub fn accepted(accept: Option<&str>) -> Result<Form, Failure> {
    let Some(accept) = accept.filter(|a| !a.trim().is_empty()) else { return Ok(Form::Whole) };
    for one in accept.split(',') {
        let mut parts = one.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !matches!(media, "application/json" | "*/*" | "application/*") {
            continue;
        }
        let form = parts.find_map(|p| p.strip_prefix("as="));
        match form {
            None => return Ok(Form::Whole),
            Some("Table") => return Ok(Form::Table),
            Some("PartialObjectMetadataList" | "PartialObjectMetadata") => {
                return Ok(Form::Metadata);
            }
            Some(_) => {}
        }
    }
    Err(Failure::not_acceptable())
}

/// The body as JSON, from whatever form it came in.
///
/// # Errors
///
/// 400 where it can't be read, 415 for a binary form of a kind that is read as JSON only.
pub fn body(request: &Request<'_>) -> Result<Value, Failure> {
    let media = request.content_type.unwrap_or_default();
    if media.starts_with("application/vnd.kubernetes.protobuf") {
        return super::protobuf::decode(request.body).map_err(|why| {
            let message = format!("the body of the request can't be decoded: {why}");
            Failure::unsupported_media(message)
        });
    }
    if let Ok(value) = serde_json::from_slice(request.body) {
        return Ok(value);
    }
    let yaml = media.contains("yaml");
    let text = std::str::from_utf8(request.body)
        .map_err(|_| Failure::bad_request("the body of the request is not UTF-8"))?;
    if yaml {
        return serde_saphyr::from_str(text)
            .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")));
    }
    Err(Failure::bad_request("the object provided is unrecognized (must be of type JSON)"))
}
