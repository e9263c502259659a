//! Where objects are kept: one map, one counter of revisions, as in etcd.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::value::{fields, metadata, text};

/// All objects, by `group/plural/namespace/name`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Store {
    revision: u64,
    objects: BTreeMap<String, Value>,
    addresses: u32,
    /// Claims that nobody has written since they were made.
    #[serde(default)]
    fresh: BTreeSet<String>,
    /// The last changes, one a revision, for those who watch.
    #[serde(skip)]
    history: VecDeque<Change>,
}

/// Changes that are remembered.
const REMEMBERED: usize = 2000;

/// What one write did to one object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The revision it made.
    pub revision: u64,
    /// What was written.
    pub key: String,
    /// The object before, if it was there.
    pub before: Option<Value>,
    /// The object after; of one that is gone, the last of it.
    pub after: Value,
    /// Whether it is gone.
    pub gone: bool,
}

/// Key of one object.
pub fn key(group: &str, plural: &str, namespace: &str, name: &str) -> String {
    format!("{group}/{plural}/{namespace}/{name}")
}

impl Store {
    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// One object; the namespace is empty for cluster-wide kinds.
    pub fn get(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&key(group, plural, namespace, name))
    }

    /// The object under a [`key`].
    pub fn at(&self, key: &str) -> Option<&Value> {
        self.objects.get(key)
    }

    /// The objects of a kind in etcd's order, in one namespace or all.
    pub fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<&Value> {
        self.entries(group, plural, namespace).map(|(_, object)| object).collect()
    }

    /// The objects of a kind with what identifies them within it, `namespace/name`.
    pub fn entries<'a>(
        &'a self,
        group: &str,
        plural: &str,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let kind = format!("{group}/{plural}/");
        let prefix = namespace.map_or_else(|| kind.clone(), |ns| format!("{kind}{ns}/"));
        let cut = kind.len();
        self.objects
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(move |(key, object)| (key.get(cut..).unwrap_or_default(), object))
    }

    /// Every object with its key.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.objects.iter()
    }

    /// Stores an object under a new revision, which it bears afterwards.
    pub fn put(&mut self, group: &str, plural: &str, mut object: Value) -> Value {
        self.revision += 1;
        metadata(&mut object)
            .insert("resourceVersion".to_owned(), self.revision.to_string().into());
        let key = key(
            group,
            plural,
            text(&object, "/metadata/namespace"),
            text(&object, "/metadata/name"),
        );
        let claim = group.is_empty() && plural == "persistentvolumeclaims";
        if claim && !self.objects.contains_key(&key) {
            self.fresh.insert(key.clone());
        } else {
            self.fresh.remove(&key);
        }
        let before = self.objects.insert(key.clone(), object.clone());
        self.remember(key, before, object.clone(), false);
        object
    }

    fn remember(&mut self, key: String, before: Option<Value>, after: Value, gone: bool) {
        if self.history.len() == REMEMBERED {
            self.history.pop_front();
        }
        self.history.push_back(Change { revision: self.revision, key, before, after, gone });
    }

    /// The changes after a revision; `None` where some of them are forgotten.
    pub fn changes_since(&self, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        let oldest = self.history.front().map_or(self.revision + 1, |change| change.revision);
        let after = move |change: &&Change| change.revision > revision;
        (revision + 1 >= oldest).then(|| self.history.iter().filter(after))
    }

    /// Whether the server stores an object again although nothing about it has changed: a claim,
    /// the first time it is written after it was made (recording 04, lines 14 and 19).
    pub fn stores_again(&self, group: &str, plural: &str, object: &Value) -> bool {
        let (namespace, name) =
            (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        self.fresh.contains(&key(group, plural, namespace, name))
    }

    /// Takes an object out; deleting is a write too.
    pub fn remove(
        &mut self,
        group: &str,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Value> {
        let key = key(group, plural, namespace, name);
        let mut gone = self.objects.remove(&key)?;
        let before = Some(gone.clone());
        self.fresh.remove(&key);
        self.revision += 1;
        fields(&mut gone);
        metadata(&mut gone).insert("resourceVersion".to_owned(), self.revision.to_string().into());
        self.remember(key, before, gone.clone(), true);
        Some(gone)
    }

    /// The next free cluster address, from 10.96.0.0/16.
    pub fn next_address(&mut self) -> String {
        // 10.96.0.1 is the API server's own and 10.96.0.10 the name server's.
        self.addresses += 1;
        let n = self.addresses + 10;
        format!("10.96.{}.{}", n / 250 % 250, n % 250 + 1)
    }
}
