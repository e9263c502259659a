//! Any DNS record, in any spelling (contract 3).

use proptest::prelude::*;
use serde_json::{Value, json};

use super::spell::{
    Always, Field, Gen, Maybe, flag, hostname, ipv6, joined, note, object, one_of, text,
};
use super::world::ZONES;

const TYPES: [&str; 21] = [
    "A",
    "AAAA",
    "CNAME",
    "MX",
    "NS",
    "OPENPGPKEY",
    "PTR",
    "TXT",
    "CAA",
    "CERT",
    "DNSKEY",
    "DS",
    "HTTPS",
    "LOC",
    "NAPTR",
    "SMIMEA",
    "SRV",
    "SSHFP",
    "SVCB",
    "TLSA",
    "URI",
];

/// A record whose name no other one has.
pub fn record(at: usize) -> Gen {
    let kinds = proptest::sample::select(TYPES.to_vec());
    (kinds, any::<bool>())
        .prop_flat_map(move |(kind, proxied)| {
            let proxied = proxied && ["A", "AAAA", "CNAME"].contains(&kind);
            let mut fields = value(kind, proxied, at);
            fields.push(Always("type", Just(json!(kind)).boxed()));
            fields.push(Maybe("comment", note()));
            fields.push(Maybe("tags", Just(json!([])).boxed()));
            let ttl = [json!(1), json!(60), json!(300), json!(86_400)];
            if proxied {
                fields.push(Always("proxied", Just(json!(true)).boxed()));
                fields.push(Maybe("ttl", one_of(&ttl[..1])));
            } else {
                fields.push(Maybe("ttl", one_of(&ttl)));
                if ["A", "AAAA", "CNAME"].contains(&kind) {
                    fields.push(Maybe("proxied", Just(json!(false)).boxed()));
                }
            }
            if ["A", "AAAA", "CNAME"].contains(&kind) {
                fields.push(Maybe("settings", settings(kind == "CNAME" && !proxied)));
            }
            if ["A", "AAAA"].contains(&kind) {
                fields.push(Maybe("private_routing", flag()));
            }
            joined(name(at), object(fields))
        })
        .boxed()
}

fn settings(flattens: bool) -> Gen {
    let off = || Just(json!(false)).boxed();
    let flatten = if flattens { flag() } else { off() };
    object(vec![
        Maybe("flatten_cname", flatten),
        Maybe("ipv4_only", off()),
        Maybe("ipv6_only", off()),
    ])
}

/// Whole or relative, in any case, with and without dot, Punycode or not.
fn name(at: usize) -> Gen {
    let ascii = ZONES[at % ZONES.len()];
    let zone = idna::domain_to_unicode(ascii).0;
    let label = |of: &str| of.replace('N', &format!("n{at}"));
    let mut labels: Vec<String> =
        ["N", "deep.N", "*.N", "_dmarc.N", "_sip._tcp.N", "büro-N", "日本N"].map(label).to_vec();
    labels.push(idna::domain_to_ascii(&label("xn--bro-hoa.N")).unwrap());
    let whole = {
        let zones = vec![zone.clone(), ascii.to_owned()];
        (proptest::sample::select(labels.clone()), proptest::sample::select(zones))
            .prop_flat_map(|(label, zone)| hostname(format!("{label}.{zone}")))
            .boxed()
    };
    let zone_name = hostname(zone);
    let relative = (proptest::sample::select(labels), any::<bool>())
        .prop_map(|(label, upper)| json!(if upper { label.to_uppercase() } else { label }));
    let mut ways = vec![
        object(vec![Always("name", whole.clone()), Maybe("zone", Just(json!(ascii)).boxed())]),
        object(vec![Always("name", relative.boxed()), Always("zone", zone_name.clone())]),
    ];
    if at < ZONES.len() {
        ways.push(object(vec![Always("name", text(&["@"])), Always("zone", zone_name.clone())]));
        ways.push(object(vec![Always("name", zone_name)]));
    }
    proptest::strategy::Union::new(ways).boxed()
}

fn value(kind: &'static str, proxied: bool, at: usize) -> Vec<Field> {
    let content = |value: Gen| vec![Always("content", value)];
    match kind {
        "A" if proxied => content(text(&["203.0.113.7", "198.51.100.1"])),
        "A" => content(
            any::<[u8; 4]>().prop_map(|ip| json!(std::net::Ipv4Addr::from(ip).to_string())).boxed(),
        ),
        "AAAA" if proxied => {
            content(text(&["100::", "0100:0:0::0", "2001:DB8::1", "2606:4700:0:0:0:0:0:1111"]))
        }
        "AAAA" => content(
            (any::<u128>(), 0..4usize).prop_map(|(ip, way)| json!(ipv6(ip.into(), way))).boxed(),
        ),
        "CNAME" => content(target(at)),
        "MX" => {
            let mut fields = content(target(at));
            fields.push(Always("priority", number16()));
            fields
        }
        "NS" | "PTR" => content(target(at)),
        "TXT" => content(txt()),
        "OPENPGPKEY" => {
            content(text(&["mQENBFnVAMgBCADWXo3I9Vig02z", "mQENBFnV AMgBCADW\n Xo3I9Vig"]))
        }
        "URI" => {
            let data = object(vec![
                Always("weight", number16()),
                Always(
                    "target",
                    text(&["https://Example.org/a?b", "sip:User@example.org", "ftp://x.y./"]),
                ),
            ]);
            vec![Always("data", data), Always("priority", number16())]
        }
        _ => vec![Always("data", data(kind, at))],
    }
}

fn target(at: usize) -> Gen {
    let names = [
        format!("target{at}.example.org"),
        "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415.cfargotunnel.com".to_owned(),
        "_dc-mx.Bücher.example.org".to_owned(),
        "xn--bcher-kva.example.org".to_owned(),
    ];
    proptest::sample::select(names.to_vec()).prop_flat_map(hostname).boxed()
}

/// Bare, quoted, in chunks, with quotes and backslashes in it, and long.
fn txt() -> Gen {
    prop_oneof![
        text(&[
            "v=spf1 include:_spf.example.org -all",
            "\"v=spf1 -all\"",
            "\"v=spf1\" \" -all\"",
            "say \"hi\"",
            "\"a \\\"b\\\" c\"",
            "back\\slash",
            "日本 ü",
        ]),
        // In a file, `${` begins a reference.
        "[ -~]{1,60}".prop_map(|text| Value::from(text.replace("${", "$"))),
        "[a-z]{256,600}".prop_map(Value::from),
    ]
    .boxed()
}

/// A number, also as a text.
fn number(below: u64) -> Gen {
    (0..below, any::<bool>())
        .prop_map(|(n, as_text)| if as_text { json!(n.to_string()) } else { json!(n) })
        .boxed()
}

fn number16() -> Gen {
    (0..65_536_u64).prop_map(Value::from).boxed()
}

fn data(kind: &str, at: usize) -> Gen {
    let (byte, short) = (|| number(256), || number(65_536));
    let hex = || "[0-9a-fA-F]{8,64}".prop_map(Value::from).boxed();
    let certificate = || {
        object(vec![
            Always("usage", number(4)),
            Always("selector", number(2)),
            Always("matching_type", number(3)),
            Always("certificate", hex()),
        ])
    };
    let binding = || {
        object(vec![
            Always("priority", short()),
            Always("target", proptest::strategy::Union::new([target(at), text(&["."])]).boxed()),
            Always("value", text(&["", "alpn=\"h3,h2\" ipv4hint=\"127.0.0.1\""])),
        ])
    };
    match kind {
        "CAA" => object(vec![
            Always("flags", byte()),
            Always("tag", text(&["issue", "issuewild", "iodef"])),
            Always("value", text(&["letsencrypt.org", "mailto:Me@example.org", ";", "0"])),
        ]),
        "CERT" => object(vec![
            Always("type", short()),
            Always("key_tag", short()),
            Always("algorithm", byte()),
            Always("certificate", text(&["MIIDdzCCAl+gAwIBAgIE", "123"])),
        ]),
        "DNSKEY" => object(vec![
            Always("flags", short()),
            Always("protocol", text(&["3"])),
            Always("algorithm", byte()),
            Always("public_key", text(&["oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeq"])),
        ]),
        "DS" => object(vec![
            Always("key_tag", short()),
            Always("algorithm", byte()),
            Always("digest_type", number(5)),
            Always("digest", hex()),
        ]),
        "HTTPS" | "SVCB" => binding(),
        "LOC" => object(vec![
            Always("lat_degrees", (0..90_u64).prop_map(Value::from).boxed()),
            Maybe("lat_minutes", (0..60_u64).prop_map(Value::from).boxed()),
            Maybe("lat_seconds", one_of(&[json!(0), json!(12.5), json!(59.999)])),
            Always("lat_direction", text(&["N", "S"])),
            Always("long_degrees", (0..180_u64).prop_map(Value::from).boxed()),
            Maybe("long_minutes", (0..60_u64).prop_map(Value::from).boxed()),
            Maybe("long_seconds", one_of(&[json!(0.25), json!(7)])),
            Always("long_direction", text(&["E", "W"])),
            Maybe("altitude", one_of(&[json!(0), json!(-12.5), json!(4000.0)])),
            Maybe("size", one_of(&[json!(1), json!(0.5)])),
            Maybe("precision_horz", one_of(&[json!(0), json!(100)])),
            Maybe("precision_vert", one_of(&[json!(0), json!(10.0)])),
        ]),
        "NAPTR" => object(vec![
            Always("order", short()),
            Always("preference", short()),
            Always("flags", text(&["U", "s", ""])),
            Always("service", text(&["E2U+sip", "SIP+D2U"])),
            Always("regex", text(&["", "!^.*$!sip:Info@example.org!"])),
            Always("replacement", text(&[".", "_sip._udp.example.org"])),
        ]),
        "SMIMEA" | "TLSA" => certificate(),
        "SSHFP" => object(vec![
            Always("algorithm", number(5)),
            Always("type", number(3)),
            Always("fingerprint", hex()),
        ]),
        _ => object(vec![
            Always("priority", short()),
            Always("weight", short()),
            Always("port", short()),
            Always("target", proptest::strategy::Union::new([target(at), text(&["."])]).boxed()),
            Maybe("service", text(&["_sip"])),
            Maybe("proto", text(&["_tcp"])),
        ]),
    }
}
