//! What goes with a namespace that is being deleted.

use std::collections::BTreeSet;

use crate::model::Json;
use crate::model::address::Address;
use crate::model::observed::{Observed, Remote, World};

/// What is in a namespace that is being deleted is going too, although only the namespace says so
/// at first: nothing of it would be left after an update.
pub(super) fn with_namespaces(worlds: &mut [World]) {
    let ending: BTreeSet<String> = worlds
        .iter()
        .flat_map(|world| &world.resources)
        .filter_map(|(address, observed)| match observed {
            Observed::Going(remote) if is_namespace(address) => text(remote, "/metadata/name"),
            _ => None,
        })
        .collect();
    if ending.is_empty() {
        return;
    }
    for world in worlds {
        for (address, observed) in &mut world.resources {
            if let Observed::Present(remote) = observed
                && address.is_kubernetes()
                && text(remote, "/metadata/namespace").is_some_and(|name| ending.contains(&name))
            {
                *observed = Observed::Going(remote.clone());
            }
        }
    }
}

fn is_namespace(address: &Address) -> bool {
    address.kubernetes_kind() == Some(("Namespace", None))
}

fn text(remote: &Remote, pointer: &str) -> Option<String> {
    remote.raw.pointer(pointer).and_then(Json::as_str).map(str::to_owned)
}
