//! Watches: what changes in a collection, one JSON object a line.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::read::{Selection, partial, present};
use super::request::{Form, Options, Route};
use super::status::{Cause, Failure};
use super::store::{Change, Store};
use super::value::{metadata, text};
use super::{Response, table};

/// How long a watch lasts that does not say how long: the server's `--min-request-timeout`.
const DEFAULT: SignedDuration = SignedDuration::from_mins(30);
/// How often a bookmark comes to those who want them.
const BOOKMARKS: SignedDuration = SignedDuration::from_mins(1);

/// A watch on its way.
#[derive(Debug, Clone)]
pub struct Watch {
    route: Route,
    selection: Selection,
    form: Form,
    bookmarks: bool,
    /// The last revision that was looked at.
    revision: u64,
    /// When the last bookmark was due.
    marked: Timestamp,
    ends: Timestamp,
    /// Whether a table's columns were told.
    told_columns: bool,
    /// Whether it has failed.
    over: bool,
}

impl Watch {
    /// Begins a watch: the answer with the events there are from the start, and how to go on.
    ///
    /// # Errors
    ///
    /// 400 for selectors, 422 for options that don't go together.
    pub fn start(
        store: &Store,
        route: &Route,
        options: &Options,
        form: Form,
        now: Timestamp,
    ) -> Result<Response, Failure> {
        check(options)?;
        let lasts = options.timeout.filter(|seconds| *seconds > 0);
        let lasts = lasts.map_or(DEFAULT, SignedDuration::from_secs);
        let given = options.resource_version.parse::<u64>().unwrap_or(0);
        let mut watch = Self {
            route: route.clone(),
            selection: Selection::read(route, options)?,
            form,
            bookmarks: options.bookmarks,
            revision: given,
            marked: now,
            ends: now.checked_add(lasts).unwrap_or(Timestamp::MAX),
            told_columns: false,
            over: false,
        };
        let mut body = Vec::new();
        let initial = options.initial_events.unwrap_or(given == 0);
        if initial {
            watch.revision = store.revision();
            let namespace = Some(route.namespace.as_str()).filter(|ns| !ns.is_empty());
            let (group, plural) = (route.resource.storage_group(), &route.resource.plural);
            for object in store.list(group, plural, namespace) {
                if watch.selection.admits(object) {
                    watch.write("ADDED", object, now, &mut body);
                }
            }
            if options.initial_events == Some(true) && options.bookmarks {
                watch.mark(true, &mut body);
            }
        } else {
            body = watch.follow(store, now);
        }
        Ok(Response {
            status: 200,
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            body,
            watch: Some(Box::new(watch)),
        })
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.over || now >= self.ends
    }

    /// What has changed since it was last asked.
    pub fn follow(&mut self, store: &Store, now: Timestamp) -> Vec<u8> {
        let mut body = Vec::new();
        let Some(changes) = store.changes_since(self.revision) else {
            let message =
                format!("too old resource version: {} ({})", self.revision, store.revision());
            let failure = Failure::expired(message);
            line(&json!({"type": "ERROR", "object": failure.status()}), &mut body);
            self.over = true;
            return body;
        };
        let kind =
            format!("{}/{}/", self.route.resource.storage_group(), self.route.resource.plural);
        let prefix = match self.route.namespace.as_str() {
            "" => kind,
            namespace => format!("{kind}{namespace}/"),
        };
        let changes: Vec<Change> =
            changes.filter(|change| change.key.starts_with(&prefix)).cloned().collect();
        for change in changes {
            let was = change.before.as_ref().is_some_and(|object| self.selection.admits(object));
            let is = !change.gone && self.selection.admits(&change.after);
            let kind = match (was, is) {
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
                (false, false) => continue,
            };
            let mut shown = change.after;
            if let (Some(before), "DELETED", false) = (change.before, kind, change.gone) {
                // What no longer fits is told as it last did.
                let version = text(&shown, "/metadata/resourceVersion").to_owned();
                shown = before;
                metadata(&mut shown).insert("resourceVersion".to_owned(), version.into());
            }
            self.write(kind, &shown, now, &mut body);
        }
        self.revision = self.revision.max(store.revision());
        if self.bookmarks && now.duration_since(self.marked) >= BOOKMARKS {
            self.marked = now;
            self.mark(false, &mut body);
        }
        body
    }

    fn write(&mut self, kind: &str, object: &Value, now: Timestamp, body: &mut Vec<u8>) {
        let resource = &self.route.resource;
        let object = present(resource, object);
        let shown = match self.form {
            Form::Whole => object,
            Form::Metadata => partial(&object),
            Form::Table => {
                let version = text(&object, "/metadata/resourceVersion").to_owned();
                let meta = json!({"resourceVersion": version});
                let mut table = table::of(resource, &[object], meta, now);
                if std::mem::replace(&mut self.told_columns, true) {
                    super::value::set(&mut table, "columnDefinitions", Some(Value::Null));
                }
                table
            }
        };
        line(&json!({"type": kind, "object": shown}), body);
    }

    fn mark(&self, initial: bool, body: &mut Vec<u8>) {
        let mut meta = json!({"resourceVersion": self.revision.to_string()});
        if initial {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let resource = &self.route.resource;
        let (kind, version) = match self.form {
            Form::Whole => (resource.kind.clone(), resource.api_version()),
            Form::Metadata => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
            Form::Table => ("Table".to_owned(), "meta.k8s.io/v1".to_owned()),
        };
        meta["creationTimestamp"] = Value::Null;
        let object = json!({"kind": kind, "apiVersion": version, "metadata": meta});
        line(&json!({"type": "BOOKMARK", "object": object}), body);
    }
}

/// `sendInitialEvents` wants `resourceVersionMatch=NotOlderThan`, and the other way round.
fn check(options: &Options) -> Result<(), Failure> {
    let matching = options.resource_version_match.as_str();
    let cause = match (options.initial_events, matching) {
        (Some(_), "NotOlderThan") | (None, "") => return Ok(()),
        (Some(_), "") => Cause::forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (None, _) => Cause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (Some(_), other) => {
            Cause::unsupported("resourceVersionMatch", &json!(other), &["NotOlderThan"])
        }
    };
    Err(Failure::invalid("meta.k8s.io", "ListOptions", "", &[cause]))
}

fn line(event: &Value, body: &mut Vec<u8>) {
    body.extend_from_slice(event.to_string().as_bytes());
    body.push(b'\n');
}
