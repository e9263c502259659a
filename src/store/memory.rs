//! Objects in memory, whose answers get lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{LeaseTiming, Store};
use crate::model::port::{Expected, KeepError, Keeping, Object, Objects, Put};

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// It does not arrive.
    Before,
    /// It is done, and its answer does not arrive.
    After,
}

/// Objects in memory.
#[derive(Default)]
pub(super) struct Memory {
    pub objects: Mutex<BTreeMap<String, Object>>,
    pub written: AtomicUsize,
    pub calls: AtomicUsize,
    /// The call that something happens to, by its number from 0, and whether it stays so.
    pub fault: Mutex<Option<(usize, Fault, bool)>>,
    /// Writes without looking at conditions.
    pub is_careless: bool,
}

fn lost() -> KeepError {
    KeepError { message: "the connection was reset".to_owned(), hint: None, is_passing: true }
}

impl Memory {
    /// Does something with what may go wrong with it.
    fn call<T>(&self, what: impl FnOnce() -> T) -> Result<T, KeepError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let fault = *self.fault.lock().unwrap();
        match fault {
            Some((at, fault, stays)) if number == at || stays && number > at => {
                if fault == Fault::After {
                    what();
                }
                Err(lost())
            }
            _ => Ok(what()),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    pub fn everything(&self) -> String {
        let objects = self.objects.lock().unwrap();
        let texts = objects.values().map(|object| String::from_utf8_lossy(&object.content));
        texts.collect::<Vec<_>>().join("\n")
    }
}

impl Objects for Memory {
    fn place(&self, name: &str) -> String {
        format!("memory/{name}")
    }

    fn read<'a>(&'a self, name: &'a str) -> Keeping<'a, Option<Object>> {
        let read = || self.objects.lock().unwrap().get(name).cloned();
        Box::pin(async move { self.call(read) })
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        content: &'a [u8],
        expected: &'a Expected,
    ) -> Keeping<'a, Put> {
        let put = || {
            let mut objects = self.objects.lock().unwrap();
            let there = match objects.get(name) {
                Some(there) => Expected::Version(there.version.clone()),
                None => Expected::Absent,
            };
            if there != *expected && !self.is_careless {
                return Put::Moved;
            }
            let version = self.written.fetch_add(1, Ordering::SeqCst).to_string();
            let object = Object { content: content.to_vec(), version: version.clone() };
            objects.insert(name.to_owned(), object);
            Put::Done(version)
        };
        Box::pin(async move { self.call(put) })
    }

    fn remove<'a>(&'a self, name: &'a str, version: &'a str) -> Keeping<'a, Put> {
        let remove = move || {
            let mut objects = self.objects.lock().unwrap();
            match objects.get(name) {
                Some(there) if there.version != version => Put::Moved,
                _ => {
                    objects.remove(name);
                    Put::Done(String::new())
                }
            }
        };
        Box::pin(async move { self.call(remove) })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Keeping<'a, Vec<String>> {
        let names =
            move || self.names().into_iter().filter(|name| name.starts_with(prefix)).collect();
        Box::pin(async move { self.call(names) })
    }
}

/// 32 bytes in Base64.
pub(super) const KEY: &str = "YSBrZXkgb2YgMzIgYnl0ZXMgZm9yIHRlc3RzIG9ubHk=";
/// 32 others.
pub(super) const OTHER_KEY: &str = "YW5vdGhlciBvbmUsIDMyIGJ5dGVzLCBmb3IgdGVzdHM=";

pub(super) const DEAD: Duration = Duration::from_millis(600);
const MOMENT: Duration = Duration::from_millis(1);

pub(super) fn store_on(memory: &Arc<Memory>) -> Store {
    store_with(memory, DEAD)
}

pub(super) fn store_with(memory: &Arc<Memory>, dead: Duration) -> Store {
    let objects: Arc<dyn Objects> = Arc::clone(memory) as _;
    let timing = LeaseTiming { dead, backoff: MOMENT, backoff_max: MOMENT };
    Store::shared(objects, timing).unwrap()
}
