//! The ways to write one thing: hostnames, addresses, durations, objects with and without their
//! optional fields.

use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A strategy of values.
pub type Gen = BoxedStrategy<Value>;

/// ASCII letters in upper case where the bits say so.
pub fn cased(text: &str, bits: u64) -> String {
    let flip = |(at, c): (usize, char)| match bits >> (at % 64) & 1 {
        1 => c.to_ascii_uppercase(),
        _ => c.to_ascii_lowercase(),
    };
    text.chars().enumerate().map(flip).collect()
}

/// An IPv6 address in one of its texts.
pub fn ipv6(address: Ipv6Addr, way: usize) -> String {
    let parts = address.segments();
    match way {
        0 => address.to_string(),
        1 => address.to_string().to_uppercase(),
        2 => parts.map(|part| format!("{part:04x}")).join(":"),
        _ => parts.map(|part| format!("{part:x}")).join(":"),
    }
}

/// A network in one of its texts; one address also without its length.
pub fn network(text: &str, way: usize) -> String {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return text.to_owned() };
    let (whole, address) = match address {
        IpAddr::V4(v4) => ("32", v4.to_string()),
        IpAddr::V6(v6) => ("128", ipv6(v6, way)),
    };
    match length.unwrap_or(whole) {
        length if length == whole && way.is_multiple_of(2) => address,
        length => format!("{address}/{length}"),
    }
}

/// A duration of so many seconds in one of its texts.
pub fn duration(seconds: u64, way: usize) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match way {
        0 if seconds.is_multiple_of(3600) => format!("{hours}h"),
        1 if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        2 => format!("{seconds}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// Another text of a duration; what is none stays.
pub fn same_duration(text: &str, way: usize) -> String {
    match text.parse::<jiff::SignedDuration>() {
        Ok(length) => duration(length.as_secs().try_into().unwrap(), way),
        Err(_) => text.to_owned(),
    }
}

/// One of these.
pub fn one_of(values: &[Value]) -> Gen {
    proptest::sample::select(values.to_vec()).boxed()
}

/// One of these texts.
pub fn text(values: &[&str]) -> Gen {
    one_of(&values.iter().map(|value| json!(value)).collect::<Vec<_>>())
}

/// A flag.
pub fn flag() -> Gen {
    any::<bool>().prop_map(Value::from).boxed()
}

/// A hostname in one of its spellings: case, trailing dot.
pub fn hostname(name: impl Into<String>) -> Gen {
    let name = name.into();
    (any::<u64>(), 0..4u8)
        .prop_map(move |(bits, way)| match way {
            0 => json!(name),
            1 => json!(cased(&name, bits)),
            2 => json!(format!("{name}.")),
            _ => json!(cased(&name, bits) + "."),
        })
        .boxed()
}

/// A duration in any spelling, of those that any field takes.
pub fn any_duration() -> Gen {
    let lengths = proptest::sample::select(vec![60_u64, 1800, 3600, 5400, 86_400, 90_061, 604_800]);
    (lengths, 0..4usize).prop_map(|(seconds, way)| json!(duration(seconds, way))).boxed()
}

/// An address or a network, in any spelling.
pub fn any_network() -> Gen {
    let v4 =
        (any::<u32>(), 8..=32_u32).prop_map(|(bits, length)| (IpAddr::V4(bits.into()), length));
    let v6 =
        (any::<u128>(), 16..=128_u32).prop_map(|(bits, length)| (IpAddr::V6(bits.into()), length));
    let single = prop_oneof![
        any::<u32>().prop_map(|bits| (IpAddr::V4(bits.into()), 32)),
        any::<u128>().prop_map(|bits| (IpAddr::V6(bits.into()), 128)),
    ];
    (prop_oneof![v4, v6, single], 0..4usize)
        .prop_map(|((address, length), way)| json!(network(&format!("{address}/{length}"), way)))
        .boxed()
}

/// A note in one line.
pub fn note() -> Gen {
    prop_oneof![
        3 => "[a-zA-Zäöüß日本 .,:;!?'\"#-]{1,40}".prop_map(Value::from),
        1 => text(&["", "managed by x", "  spaced  out  ", "yes", "0123", "~"]),
    ]
    .boxed()
}

/// A UUID.
pub fn uuid() -> Gen {
    any::<u128>()
        .prop_map(|bits| {
            json!(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string())
        })
        .boxed()
}

/// A list of so many.
pub fn list(item: Gen, size: std::ops::RangeInclusive<usize>) -> Gen {
    proptest::collection::vec(item, size).prop_map(Value::from).boxed()
}

/// A list without the same thing twice.
pub fn set(item: Gen, size: std::ops::RangeInclusive<usize>) -> Gen {
    let least = *size.start();
    let once = move |items: Vec<Value>| {
        let mut seen = Vec::new();
        items.into_iter().for_each(|item| {
            if !seen.contains(&item) {
                seen.push(item)
            }
        });
        (seen.len() >= least).then(|| Value::from(seen))
    };
    proptest::collection::vec(item, size).prop_filter_map("too few", once).boxed()
}

/// A field of an object.
pub enum Field {
    /// It is always there.
    Always(&'static str, Gen),
    /// It is there, null, or absent.
    Maybe(&'static str, Gen),
}

pub use Field::{Always, Maybe};

/// An object of these fields.
pub fn object(fields: Vec<Field>) -> Gen {
    let entry = |field: Field| match field {
        Always(name, value) => value.prop_map(move |value| Some((name, value))).boxed(),
        Maybe(name, value) => prop_oneof![
            5 => value.prop_map(move |value| Some((name, value))),
            1 => Just(Some((name, Value::Null))),
            5 => Just(None),
        ]
        .boxed(),
    };
    let entries: Vec<BoxedStrategy<Option<(&'static str, Value)>>> =
        fields.into_iter().map(entry).collect();
    let into = |(name, value): (&'static str, Value)| (name.to_owned(), value);
    entries
        .prop_map(move |entries| {
            Value::Object(entries.into_iter().flatten().map(into).collect::<Map<_, _>>())
        })
        .boxed()
}

/// Both objects' fields in one.
pub fn joined(one: Gen, other: Gen) -> Gen {
    (one, other)
        .prop_map(|(mut one, other)| {
            one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
            one
        })
        .boxed()
}
