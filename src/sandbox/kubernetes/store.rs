//! Where objects are kept: one map, one counter of revisions, as in etcd.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::value::{fields, metadata, text};

/// All objects, by `group/plural/namespace/name`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Store {
    revision: u64,
    objects: BTreeMap<String, Value>,
    addresses: u32,
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
        self.objects.insert(key, object.clone());
        object
    }

    /// Takes an object out; deleting is a write too.
    pub fn remove(
        &mut self,
        group: &str,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Value> {
        let mut gone = self.objects.remove(&key(group, plural, namespace, name))?;
        self.revision += 1;
        fields(&mut gone);
        metadata(&mut gone).insert("resourceVersion".to_owned(), self.revision.to_string().into());
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
