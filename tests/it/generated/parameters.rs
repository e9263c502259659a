//! Any parameter, in any spelling (AWS: PutParameter).

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::spell::{Always, Gen, Maybe, joined, object, text};
use super::world::World;

pub fn parameter(at: usize) -> Gen {
    let names = ["p{at}-token", "/a/b/P{at}.x_y", "P{at}"]
        .map(|name| name.replace("{at}", &at.to_string()));
    let name = proptest::sample::select(names.to_vec()).prop_map(Value::from).boxed();
    let tags = proptest::collection::btree_map(
        "[a-zA-Z][a-zA-Z0-9:/_. -]{0,9}",
        "[a-zA-Z0-9 @+=.]{0,9}",
        0..4,
    );
    let common = object(vec![
        Always("name", name),
        Maybe("description", super::spell::note()),
        Maybe("tags", tags.prop_map(|tags| json!(tags)).boxed()),
        Maybe("data_type", text(&["text"])),
    ]);
    joined(common, value())
}

/// Type, value, key, tier and pattern: what goes with one another.
fn value() -> Gen {
    let plain = "[a-zA-Z0-9日本 .,:;/=+-]{1,60}".prop_map(Value::from).boxed();
    let long = "[a-z]{4097,5000}".prop_map(Value::from).boxed();
    let tiers = || text(&["Standard", "Advanced", "Intelligent-Tiering"]);
    let key = || text(&["alias/aws/ssm", "alias/sandbox"]);
    // A value that a person chose costs a slow hash in every run, so most are others'.
    let tokens = ["${tunnel.t0.token}", "Bearer ${tunnel.t0.token}", "x-${tunnel.t0.cname}"];
    let small = object(vec![
        Always("value", prop_oneof![1 => plain.clone(), 30 => text(&tokens)].boxed()),
        Maybe("type", text(&["SecureString"])),
        Maybe("tier", tiers()),
        Maybe("key_id", key()),
        Maybe("allowed_pattern", text(&["^.*$", ".+"])),
    ]);
    let large = object(vec![
        Always("value", long),
        Always("type", text(&["String", "String", "String", "SecureString"])),
        Always("tier", text(&["Advanced", "Intelligent-Tiering"])),
    ]);
    let string = object(vec![
        Always("value", plain),
        Always("type", text(&["String"])),
        Maybe("tier", tiers()),
        Maybe("allowed_pattern", text(&["^.*$"])),
    ]);
    let strings = object(vec![
        Always("value", text(&["a", "a,b,c", "a, b"])),
        Always("type", text(&["StringList"])),
    ]);
    let generated = object(vec![
        Always("value", (16..200_u64).prop_map(|n| json!({"generate": {"length": n}})).boxed()),
        Maybe("key_id", key()),
    ]);
    let by_hand = object(vec![
        Always("value", Just(json!({"by_hand": true})).boxed()),
        Always("adopt", Just(json!(true)).boxed()),
        Maybe("type", text(&["SecureString"])),
    ]);
    prop_oneof![
        8 => small,
        1 => large,
        3 => string,
        3 => strings,
        3 => generated,
        3 => by_hand,
    ]
    .boxed()
}

/// Makes what someone has to have made by hand.
pub fn prepare(world: &World, resources: &Map<String, Value>) {
    for spec in resources.values().filter(|spec| spec["value"]["by_hand"] == true) {
        let kind = spec.get("type").filter(|kind| !kind.is_null());
        let input = json!({"Name": spec["name"], "Value": "by hand",
            "Type": kind.unwrap_or(&json!("SecureString"))});
        world.served.lock().unwrap().put_parameter(input.as_object().unwrap());
    }
}
