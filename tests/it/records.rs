//! Records beside tunnels: every type, made, read back, and taken over in whatever spelling.

use serde_json::{Value, json};

use crate::lab::Lab;

const STACK: &str = "stacks/zone.yaml";

/// What a project writes.
const RECORDS: &str = "resources:
  dns_record.apex: {name: \"@\", type: A, content: 192.0.2.1, proxied: true}
  dns_record.apex-mail: {name: \"@\", type: MX, content: Mail.B0XP.io., priority: 10}
  dns_record.apex-spf: {name: b0xp.io, type: TXT, content: v=spf1 include:example.org -all}
  dns_record.lan: {name: lan, type: A, content: 192.168.10.98, ttl: 300, comment: The LAN}
  dns_record.lan-other: {name: lan, type: A, content: 192.168.10.99, ttl: 300}
  dns_record.lan6: {name: lan, type: AAAA, content: \"FD00:0:0:0::1\"}
  dns_record.worker: {name: worker, type: AAAA, content: \"100::\", proxied: true}
  dns_record.alias: {name: Www, type: CNAME, content: B0xp.io.}
  dns_record.idn: {name: 例え, type: CNAME, content: b0xp.io}
  dns_record.wild: {name: \"*.lan\", type: CNAME, content: lan.b0xp.io}
  dns_record.dkim: {name: k1._domainkey, type: TXT, content: '\"v=DKIM1; p=MIIBIjANBg\" \"kqhkiG9w0BAQ\"'}
  dns_record.srv: {name: _sip._tcp, type: SRV, data: {priority: 10, weight: 5, port: 5060, target: Sip.b0xp.io.}}
  dns_record.caa: {name: \"@\", type: CAA, data: {flags: 0, tag: issue, value: letsencrypt.org}}
  dns_record.ns: {name: sub, type: NS, content: ns1.example.com.}
";

/// The same as other hands wrote it.
fn foreign() -> Vec<Value> {
    let long = "v=DKIM1; p=MIIBIjANBgkqhkiG9w0BAQ";
    vec![
        json!({"name": "b0xp.io", "type": "A", "content": "192.0.2.1", "proxied": true}),
        json!({"name": "@", "type": "MX", "content": "mail.b0xp.io", "priority": 10}),
        json!({"name": "@", "type": "TXT", "content": "\"v=spf1 include:example\" \".org -all\""}),
        json!({"name": "LAN.b0xp.io.", "type": "A", "content": "192.168.10.98", "ttl": 300,
            "comment": "The LAN", "proxied": false}),
        json!({"name": "lan", "type": "A", "content": "192.168.10.99", "ttl": 300, "comment": ""}),
        json!({"name": "lan", "type": "AAAA", "content": "fd00:0::1", "settings": {}}),
        json!({"name": "worker", "type": "AAAA", "content": "100:0::0", "proxied": true}),
        json!({"name": "www", "type": "CNAME", "content": "B0XP.IO.",
            "settings": {"flatten_cname": false}}),
        json!({"name": "xn--r8jz45g", "type": "CNAME", "content": "b0xp.io", "tags": []}),
        json!({"name": "*.lan", "type": "CNAME", "content": "LAN.b0xp.io"}),
        json!({"name": "k1._domainkey", "type": "TXT", "content": long}),
        json!({"name": "_sip._tcp", "type": "SRV", "data": {"service": "_sip", "proto": "_tcp",
            "name": "b0xp.io", "priority": 10, "weight": 5, "port": "5060",
            "target": "sip.b0xp.io."}}),
        json!({"name": "@", "type": "CAA", "data": {"flags": "0", "tag": "issue",
            "value": "letsencrypt.org"}}),
        json!({"name": "sub", "type": "NS", "content": "NS1.example.com"}),
    ]
}

fn with_stack(options: &[&str]) -> Lab {
    let lab = Lab::with("longform", options);
    std::fs::remove_file(lab.path().join("stacks/openhands.yaml")).unwrap();
    lab.write(STACK, RECORDS);
    lab
}

fn records(lab: &Lab) -> Vec<Value> {
    let all = lab.cloudflare("GET", &format!("{}?per_page=100", lab.records()), None);
    all.as_array().unwrap().clone()
}

#[test]
fn records_of_every_kind_settle_whatever_form_they_come_back_in() {
    for options in [&[][..], &["--mangle", "1"], &["--mangle", "8"]] {
        let lab = with_stack(options);
        let before = lab.dump();
        lab.apply(&[]);
        assert_eq!(records(&lab).len(), foreign().len());
        lab.is_settled(&[]);
        lab.run(&["drift"]).exits(0);
        for (from, to) in [
            ("192.168.10.99", "192.168.10.100"),
            ("port: 5060", "port: 5061"),
            ("priority: 10}", "priority: 20}"),
            ("content: \"FD00:0:0:0::1\"", "content: \"fd00::2\""),
            (", comment: The LAN", ""),
            ("p=MIIBIjANBg", "p=MIIBIjANBh"),
            ("type: A, content: 192.0.2.1, proxied: true", "type: A, content: 192.0.2.1, ttl: 120"),
        ] {
            lab.edit(STACK, from, to);
        }
        lab.forget_requests();
        lab.apply(&[]);
        let changes = lab.changes();
        assert_eq!(changes.len(), 7, "{changes:#?}");
        assert!(changes.iter().all(|change| change.starts_with("PATCH ")), "{changes:#?}");
        lab.is_settled(&[]);
        lab.run(&["destroy", "zone", "--yes"]).exits(0);
        assert_eq!(lab.dump(), before);
    }
}

#[test]
fn records_that_are_there_in_other_words_are_taken_over_as_they_are() {
    let lab = with_stack(&[]);
    for record in foreign() {
        lab.cloudflare("POST", &lab.records(), Some(record));
    }
    lab.run(&["plan"]).exits(0).says("14 objects are there already, as the files say");
    lab.forget_requests();
    lab.apply(&["--adopt"]);
    assert_eq!(lab.changes(), Vec::<String>::new(), "they say the same");
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    assert_eq!(records(&lab).len(), foreign().len(), "no second copy");
    // A foreign hand that only spells otherwise changes nothing.
    let all = records(&lab);
    let alias = all.iter().find(|record| record["name"] == "www.b0xp.io").unwrap();
    let path = format!("{}/{}", lab.records(), alias["id"].as_str().unwrap());
    lab.cloudflare("PATCH", &path, Some(json!({"content": "b0xp.io.", "comment": ""})));
    lab.is_settled(&[]);
}

#[test]
fn what_differs_is_a_conflict_and_never_a_second_cname() {
    let lab = with_stack(&[]);
    let other = json!({"name": "www", "type": "CNAME", "content": "elsewhere.example.org"});
    lab.cloudflare("POST", &lab.records(), Some(other));
    lab.run(&["apply", "--yes"])
        .exits(5)
        .says("dns_record.alias is there already and differs from the files")
        .says("elsewhere.example.org");
    lab.edit(STACK, "content: B0xp.io.}", "content: B0xp.io., adopt: true}");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(records(&lab).len(), foreign().len());
}

#[test]
fn a_private_address_is_not_proxied() {
    let lab = with_stack(&[]);
    lab.edit(STACK, "content: 192.168.10.98,", "content: 192.168.10.98, proxied: true,");
    lab.edit(STACK, "ttl: 300, comment", "comment");
    lab.run(&["validate"]).exits(1).says("192.168.10.98 is a private address").says("proxied");
}

#[test]
fn an_address_that_leaves_no_room_for_another_is_told_before_anything_is_done() {
    for (declared, there) in [
        ("type: CNAME, content: b0xp.io", json!({"type": "AAAA", "content": "100::"})),
        ("type: A, content: 192.0.2.1", json!({"type": "CNAME", "content": "b0xp.io"})),
    ] {
        let lab = with_stack(&[]);
        lab.write(STACK, &format!("resources:\n  dns_record.www: {{name: www, {declared}}}\n"));
        let mut body = there;
        body["name"] = json!("www");
        let made = lab.cloudflare("POST", &lab.records(), Some(body));
        lab.forget_requests();
        let ran = lab.run(&["apply", "--yes", "--adopt"]).exits(5);
        let said = ran.says("error[conflict]: dns_record.www can't be made beside what is there");
        let said = said.says("a CNAME is the only address of its name, and www.b0xp.io has the");
        said.says(made["id"].as_str().unwrap());
        assert!(lab.changes().is_empty(), "{:?}", lab.changes());
        let id = made["id"].as_str().unwrap();
        lab.cloudflare("DELETE", &format!("{}/{id}", lab.records()), None);
        lab.apply(&[]);
        lab.is_settled(&[]);
    }
}
