//! What files write of an object of the Cloudflare API that has no kind of its own.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::model::JsonMap;

/// An object of the Cloudflare API that has no kind of its own.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudflareObjectSpec {
    /// The collection's path (`accounts/{account_id}/storage/kv/namespaces`); a singleton's own.
    /// `{account_id}` and `{zone_id}` are filled in.
    pub path: String,
    /// The zone that `{zone_id}` means, by name or id; the project's where it has one only.
    pub zone: Option<String>,
    /// What tells it from others of the collection: fields of `body`. With it, it is found when an
    /// answer was lost.
    pub key: Option<OneOrSeveral>,
    /// The field of answers that the API knows it by; `id` by default. Where `body` has it too (a
    /// bucket's `name`), that is its key.
    pub id: Option<String>,
    /// Whether `path` leads to the object itself, which the API has one of: it is read and written
    /// there, and never deleted.
    pub singleton: Option<bool>,
    /// How it is changed; `put` by default.
    pub update: Option<UpdateMethod>,
    /// How many items of the collection a page of its list may have; 100 by default, 0 for lists
    /// that take no such number. Lists by page and by cursor are read to their end.
    pub per_page: Option<u16>,
    /// What is sent, and compared with what is there. Fields that the service adds are left alone.
    pub body: JsonMap,
    /// What a singleton is set back to when it leaves the files; without it, it stays as it is.
    pub reset: Option<JsonMap>,
    /// Fields of `body` that can't be changed: a new object is made instead.
    pub immutable: Option<Vec<String>>,
    /// Fields of `body` that answers lack, or that are not to be looked at in them.
    pub write_only: Option<Vec<String>>,
    /// Outputs beside `id`: a name, and where answers have the value (`domains[0].name`).
    pub outputs: Option<BTreeMap<String, String>>,
    /// The same for secrets: they are never shown or kept. Also those that `body` holds.
    pub secrets: Option<BTreeMap<String, String>>,
}

/// One field, or several.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum OneOrSeveral {
    /// One.
    One(String),
    /// Several together.
    Several(Vec<String>),
}

/// How an object is changed.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdateMethod {
    /// PUT of the whole body.
    Put,
    /// PATCH of the fields that differ.
    Patch,
    /// Not at all: a new one is made, and the old one deleted.
    None,
}
