//! Objects of the Cloudflare API without a kind of their own, of every collection that the sandbox has.

use proptest::prelude::*;
use serde_json::json;

use super::spell::{Gen, note};

pub fn object(at: usize) -> Gen {
    let kv = note().prop_map(move |note| {
        json!({"path": "accounts/{account_id}/storage/kv/namespaces", "key": "title",
            "body": {"title": format!("kv {at} {}", note.as_str().unwrap())}})
    });
    let places = prop::sample::select(vec!["apac", "weur", "ENAM"]);
    let r2 = places.prop_map(move |place| {
        json!({"path": "accounts/{account_id}/r2/buckets", "id": "name", "update": "none",
            "write_only": ["locationHint"],
            "body": {"name": format!("bucket-{at}"), "locationHint": place}})
    });
    let modes = prop::sample::select(vec!["auto", "disabled"]);
    let d1 = modes.prop_map(move |mode| {
        json!({"path": "accounts/{account_id}/d1/database", "id": "uuid", "key": ["name"],
            "update": "patch", "immutable": ["name"],
            "body": {"name": format!("db{at}"), "read_replication": {"mode": mode}}})
    });
    let route = "[a-z]{1,5}".prop_map(move |script| {
        json!({"path": "/zones/{zone_id}/workers/routes", "zone": "b0xp.io", "key": "pattern",
            "per_page": 0, "body": {"pattern": format!("h{at}.b0xp.io/*"), "script": script}})
    });
    prop_oneof![kv, r2, d1, route].boxed()
}
// in mod.rs: Generator { kind: "cloudflare_object", of: &[], batch: 20, rounds: 2, beside: nothing, spec: <module>::object }
