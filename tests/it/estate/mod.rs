//! Reading by collection (P6): many services cost pages of lists and one configuration a tunnel; a
//! small stack does not read what a large zone holds beside it.

pub mod project;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lab::Lab;
use project::{RESOURCES, costs, empty, fill_zone, of_service, stack};

/// What a command cost, by place.
fn cost_of(lab: &Lab, arguments: &[&str]) -> (BTreeMap<String, usize>, Value) {
    lab.forget_requests();
    let out = lab.run(arguments).json();
    (costs(&lab.requests()), out)
}

fn table(rows: &[(&str, usize)]) -> BTreeMap<String, usize> {
    rows.iter().map(|(place, count)| ((*place).to_owned(), *count)).collect()
}

#[test]
fn services_cost_pages_of_lists_and_one_configuration_a_tunnel() {
    // The sandbox logs what SSM is asked only where it answers that itself.
    if crate::kill::is_moto() {
        return;
    }
    let lab = empty(&[]);
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        stack(&lab, name, at * 4..at * 4 + 4);
    }
    let created = format!("{} created", 4 * RESOURCES);
    lab.apply(&[]).says(&created);
    // What is looked up by name is read once, too.
    let lookups = "lookups:\n  tunnel.last: {name: tunnel of s011}\n";
    lab.write("stacks/a.yaml", &format!("{}\n{lookups}", lab.read("stacks/a.yaml")));
    let (cost, plan) = cost_of(&lab, &["plan", "--json", "--detailed-exitcode"]);
    let access = |what: &str| format!("cloudflare /accounts/ID/access/{what}");
    assert_eq!(
        cost,
        table(&[
            ("cloudflare /accounts/ID/cfd_tunnel", 1),
            ("cloudflare /accounts/ID/cfd_tunnel/ID/configurations", 12),
            (&access("apps"), 1),
            (&access("identity_providers"), 1),
            (&access("policies"), 1),
            (&access("service_tokens"), 1),
            ("cloudflare /zones", 1),
            ("cloudflare /zones/ID/dns_records", 1),
            ("ssm DescribeParameters", 1),
            ("sts GetCallerIdentity", 1),
        ])
    );
    let requests = lab.requests();
    assert_eq!(plan["requests"]["cloudflare"], of_service(&requests, "cloudflare"));
    assert_eq!(plan["requests"]["ssm"], of_service(&requests, "ssm"));
}

/// What a plan says of a stack, apart from what it cost.
fn about(plan: &Value, stack: &str) -> Value {
    let stacks = plan["stacks"].as_array().unwrap();
    let mut found = stacks.iter().find(|one| one["stack"] == stack).unwrap().clone();
    found.as_object_mut().unwrap().remove("requests");
    found
}

#[test]
fn a_small_stack_in_a_large_zone_is_read_by_filters_and_planned_alike() {
    let lab = empty(&[]);
    stack(&lab, "one", 0..1);
    stack(&lab, "more", 1..7);
    lab.apply(&[]);
    let records = |cost: &BTreeMap<String, usize>| -> Vec<(String, usize)> {
        let of_records = cost.iter().filter(|(place, _)| place.contains("dns_records"));
        of_records.map(|(place, count)| (place.clone(), *count)).collect()
    };
    let (listed, named) =
        ("cloudflare /zones/ID/dns_records", "cloudflare /zones/ID/dns_records by name");
    // A zone that one short page holds is listed.
    let (cost, _) = cost_of(&lab, &["plan", "one", "--json"]);
    assert_eq!(records(&cost), [(listed.to_owned(), 1)]);
    assert_eq!(cost.get("cloudflare /accounts/ID/cfd_tunnel by name"), Some(&1));
    fill_zone(&lab, 200);
    // That it does not is told by the short page.
    let (cost, _) = cost_of(&lab, &["plan", "one", "--json"]);
    assert_eq!(records(&cost), [(listed.to_owned(), 1), (named.to_owned(), 2)]);
    let large = lab.requests().into_iter().filter(|request| {
        let query = request["query"].as_str().unwrap_or_default();
        query.contains("per_page=5000") && !query.contains("name=")
    });
    assert_eq!(large.count(), 0);
    // Others moved what is recorded out of the filters' sight, and put something beside it.
    let all = lab.cloudflare("GET", &format!("{}?per_page=500", lab.records()), None);
    let id = |name: &str| {
        let record = all.as_array().unwrap().iter().find(|record| record["name"] == name);
        record.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let path = |name: &str| format!("{}/{}", lab.records(), id(name));
    lab.cloudflare("PATCH", &path("_owner.s000.b0xp.io"), Some(json!({"name": "elsewhere"})));
    lab.cloudflare("DELETE", &path("s000.b0xp.io"), None);
    let address = json!({"name": "s000", "type": "A", "content": "192.0.2.7", "ttl": 1});
    lab.cloudflare("POST", &lab.records(), Some(address));
    let tunnel = lab.cloudflare("GET", &lab.account("cfd_tunnel?name=tunnel%20of%20s000"), None);
    let tunnel = format!("cfd_tunnel/{}", tunnel[0]["id"].as_str().unwrap());
    lab.cloudflare("PATCH", &lab.account(&tunnel), Some(json!({"name": "renamed"})));
    let alike = |what: &str| {
        let (narrow, one) = cost_of(&lab, &["plan", "one", "--json"]);
        let (whole, all) = cost_of(&lab, &["plan", "--json"]);
        assert_eq!(narrow.get(named), Some(&2), "{what}: {narrow:#?}");
        assert_eq!(whole.get(named), None, "{what}");
        assert_eq!(about(&one, "one"), about(&all, "one"), "{what}");
        about(&one, "one")
    };
    let drifted = alike("drifted");
    assert_eq!(drifted["summary"]["update"], 2, "{drifted:#}");
    assert_eq!(drifted["summary"]["create"], 1, "{drifted:#}");
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    let lost = alike("state lost");
    assert_eq!(lost["summary"]["adopt"], 4, "{lost:#}");
}
