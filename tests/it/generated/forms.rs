//! The ways in which one value may be answered: left out or said, shuffled, spelled otherwise.

use serde_json::{Map, Value, json};

use super::spell;

/// An object of an answer.
pub type Item = Map<String, Value>;

/// Names that answers are written in and that are hosts' names (contract 3.5).
const TARGETS: [&str; 4] = ["CNAME", "MX", "NS", "PTR"];

/// How often rules take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// All that apply, everywhere.
    All,
    /// Now and then.
    Some,
}

/// What decides between forms.
pub struct Dice {
    state: u64,
    seed: u64,
    how: How,
    /// The id of the virtual network that is meant where none is said.
    pub default_network: String,
}

impl Dice {
    pub fn new(seed: u64, how: How, default_network: &str) -> Dice {
        Dice { state: seed, seed, how, default_network: default_network.to_owned() }
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64: the forms have to differ, and to be the same for the same seed.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap() % sides
    }

    /// A number below `sides` that stays as long as the forms do.
    pub fn fixed(&self, sides: u64) -> u64 {
        self.seed % sides
    }

    pub fn fires(&mut self) -> bool {
        self.how == How::All || self.roll(2) == 0
    }
}

pub fn is_nothing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => false,
    }
}

/// What says nothing, in one of the ways to say it; absence is one more.
pub fn empty(item: &mut Item, key: &str, ways: &[Value], dice: &mut Dice) {
    if !is_nothing(item.get(key)) || !dice.fires() {
        return;
    }
    match ways.get(dice.roll(ways.len() + 1)) {
        Some(way) => drop(item.insert(key.to_owned(), way.clone())),
        None => drop(item.remove(key)),
    }
}

/// A value that is the default: left out, or in one of the ways.
pub fn default(item: &mut Item, key: &str, value: &str, ways: &[Value], dice: &mut Dice) {
    if item.get(key).and_then(Value::as_str) == Some(value) {
        item.insert(key.to_owned(), Value::Null);
        empty(item, key, ways, dice);
        if ways.is_empty() {
            item.remove(key);
        }
    }
}

pub fn rewritten(
    item: &mut Item,
    key: &str,
    dice: &mut Dice,
    how: impl Fn(&str, &mut Dice) -> String,
) {
    if let Some(Value::String(text)) = item.get_mut(key)
        && !text.is_empty()
        && dice.fires()
    {
        *text = how(text, dice);
    }
}

pub fn cased(item: &mut Item, key: &str, dice: &mut Dice) {
    rewritten(item, key, dice, |text, dice| {
        let bits = dice.roll(1 << 16) as u64;
        spell::cased(text, bits | bits << 16 | bits << 32)
    });
}

pub fn dotted(item: &mut Item, key: &str) {
    if let Some(Value::String(text)) = item.get_mut(key)
        && !text.ends_with('.')
    {
        text.push('.');
    }
}

/// Switches that are off are said or left out.
pub fn off(item: &mut Item, keys: &[&str], dice: &mut Dice) {
    switched(item, keys, false, dice);
}

pub fn on(item: &mut Item, keys: &[&str], dice: &mut Dice) {
    switched(item, keys, true, dice);
}

pub fn switched(item: &mut Item, keys: &[&str], rest: bool, dice: &mut Dice) {
    for key in keys {
        if item.get(*key).is_none_or(|value| *value == rest || value.is_null()) && dice.fires() {
            match dice.roll(2) {
                0 => drop(item.insert((*key).to_owned(), rest.into())),
                _ => drop(item.remove(*key)),
            }
        }
    }
}

/// What means nothing is missing, null or another.
pub fn ignored(item: &mut Item, keys: &[&str], dice: &mut Dice) {
    for key in keys.iter().filter(|key| item.contains_key(**key)).copied().collect::<Vec<_>>() {
        if dice.fires() {
            match dice.roll(3) {
                0 => drop(item.remove(key)),
                1 => drop(item.insert(key.to_owned(), Value::Null)),
                _ => drop(item.insert(key.to_owned(), json!(format!("other {}", dice.roll(9))))),
            }
        }
    }
}

pub fn below(item: &mut Item, key: &str, how: impl FnOnce(&mut Item)) {
    if let Some(map) = item.get_mut(key).and_then(Value::as_object_mut) {
        how(map);
    }
}

pub fn each(item: &mut Item, key: &str, how: impl FnMut(&mut Item)) {
    let items = item.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten();
    items.filter_map(Value::as_object_mut).for_each(how);
}

pub fn shuffled(item: &mut Item, key: &str, dice: &mut Dice) {
    let Some(items) = item.get_mut(key).and_then(Value::as_array_mut) else { return };
    for at in (1..items.len()).rev() {
        if dice.fires() {
            items.swap(at, dice.roll(at + 1));
        }
    }
}

pub fn is_target(item: &Item) -> bool {
    item.get("type").and_then(Value::as_str).is_some_and(|kind| TARGETS.contains(&kind))
}

pub fn quoted(text: &str, dice: &mut Dice) -> String {
    if text.starts_with('"') && text.ends_with('"') && text.len() > 1 {
        return text.to_owned();
    }
    let escape = |part: &str| part.replace('\\', "\\\\").replace('"', "\\\"");
    let middle = dice.roll(text.chars().count() + 1);
    let cut = text.char_indices().nth(middle).map_or(text.len(), |(at, _)| at);
    let (first, second) = text.split_at(cut);
    format!("\"{}\" \"{}\"", escape(first), escape(second))
}

pub fn settings(item: &mut Item, dice: &mut Dice) {
    let said = item.get("settings").and_then(Value::as_object).cloned().unwrap_or_default();
    let on: Item = said.into_iter().filter(|(_, value)| *value == true).collect();
    if !dice.fires() {
        return;
    }
    let mut all = json!({"flatten_cname": false, "ipv4_only": false, "ipv6_only": false});
    match (on.is_empty(), dice.roll(4)) {
        (true, 0) => drop(item.remove("settings")),
        (true, 1) => drop(item.insert("settings".into(), Value::Null)),
        (_, 2) => {
            all.as_object_mut().unwrap().extend(on);
            item.insert("settings".into(), all);
        }
        _ => drop(item.insert("settings".into(), on.into())),
    }
}

pub fn numbers(data: &mut Item, dice: &mut Dice) {
    for value in data.values_mut() {
        if let Some(number) = value.as_u64()
            && dice.fires()
        {
            *value = match dice.roll(2) {
                0 => json!(number.to_string()),
                _ => json!(number as f64),
            };
        }
    }
}

pub fn echoed(item: &mut Item, dice: &mut Dice) {
    if item["type"] == "SRV" && dice.fires() {
        let name = item["name"].clone();
        below(item, "data", |data| {
            data.insert("service".into(), json!("_sip"));
            data.insert("proto".into(), json!("_tcp"));
            data.insert("name".into(), name);
        });
    }
}

pub fn config_server_set(item: &mut Item, dice: &mut Dice) {
    ignored(item, &["created_at", "source"], dice);
    // Only by how much it has grown says something.
    if let Some(version) = item.get("version").and_then(Value::as_u64).filter(|v| *v > 0) {
        item.insert("version".into(), json!(version + dice.fixed(99)));
    }
    below(item, "config", |config| match dice.roll(2) {
        0 => drop(config.remove("warp-routing")),
        _ => drop(config.insert("warp-routing".into(), json!({"enabled": true}))),
    });
}

pub fn ingress(item: &mut Item, how: impl FnMut(&mut Item)) {
    below(item, "config", |config| each(config, "ingress", how));
}

/// What may have an `originRequest`: the configuration and its rules.
pub fn origins(item: &mut Item, mut how: impl FnMut(&mut Item)) {
    below(item, "config", |config| {
        how(config);
        each(config, "ingress", how);
    });
}

/// The settings of the configuration and of its rules, each with those that it overrides.
pub fn origin_settings(item: &mut Item, mut how: impl FnMut(&mut Item, &Item)) {
    below(item, "config", |config| {
        let global = config.get("originRequest").and_then(Value::as_object).cloned();
        let global = global.unwrap_or_default();
        below(config, "originRequest", |settings| how(settings, &Item::new()));
        each(config, "ingress", |rule| below(rule, "originRequest", |s| how(s, &global)));
    });
}

/// A false that overrides a setting for all says something, and stays.
pub fn origin_off(settings: &mut Item, global: &Item, dice: &mut Dice) {
    let keys = [
        "noTLSVerify",
        "http2Origin",
        "matchSNItoHost",
        "disableChunkedEncoding",
        "noHappyEyeballs",
        "bastionMode",
    ];
    let free: Vec<&str> = keys.into_iter().filter(|key| !global.contains_key(*key)).collect();
    off(settings, &free, dice);
}

/// A reusable policy's body, as any other reading of it may have it by then.
pub fn expanded(policy: &mut Item, dice: &mut Dice) {
    if policy.get("reusable") == Some(&json!(true)) && dice.fires() {
        policy.insert("name".into(), json!(format!("renamed {}", dice.roll(9))));
        policy.insert("include".into(), json!([{"everyone": {}}]));
        policy.insert("session_duration".into(), json!("1h"));
    }
}

/// The order of precedences stays, their distance says nothing.
pub fn gaps(item: &mut Item, dice: &mut Dice) {
    let Some(policies) = item.get_mut("policies").and_then(Value::as_array_mut) else { return };
    // The precedence of an application's own policy is one that a file may have written.
    if policies.iter().all(|policy| policy["reusable"] == true) {
        let more = 1 + dice.roll(3) as u64;
        for policy in policies {
            if let Some(precedence) = policy["precedence"].as_u64() {
                policy["precedence"] = json!(precedence * (more + 1) + 2);
            }
        }
    }
}

pub fn empty_selectors(item: &mut Item, list: &str, dice: &mut Dice) {
    let Some(rules) = item.get_mut(list).and_then(Value::as_array_mut) else { return };
    if dice.fires() {
        rules.push(json!({"common_name": {"common_name": null}}));
    }
    if dice.fires() {
        rules.push(json!({"auth_method": null}));
    }
    for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
        if !rule.contains_key("geo") && dice.fires() {
            rule.insert("geo".into(), json!({"country_code": null}));
        }
    }
}

pub fn bare_addresses(item: &mut Item, list: &str, dice: &mut Dice) {
    each(item, list, |rule| {
        below(rule, "ip", |ip| {
            rewritten(ip, "ip", dice, |ip, dice| spell::network(ip, dice.roll(4)))
        });
    });
}
