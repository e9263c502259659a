use super::*;

fn rule(host: &str, path: &str) -> Json {
    let mut rule = json!({"hostname": host, "service": "http://a:1"});
    if !path.is_empty() {
        rule["path"] = json!(path);
    }
    rule
}

fn named(names: &[&str]) -> Vec<Json> {
    let one = |name: &&str| match name.split_once(' ') {
        Some((host, path)) => rule(host, path),
        None => rule(name, ""),
    };
    names.iter().map(one).collect()
}

#[test]
fn rules_of_several_writers_stand_so_that_each_gets_its_requests() {
    for (observed, ours, merged) in [
        (&["x.io"][..], &["a.io"][..], &["x.io", "a.io"][..]),
        (&["*.io"], &["a.io"], &["a.io", "*.io"]),
        (&["a.io"], &["*.io"], &["a.io", "*.io"]),
        (
            &["x.io", "*.io", "y.org"],
            &["a.io", "b.org"],
            &["x.io", "a.io", "*.io", "y.org", "b.org"],
        ),
        // A place once taken is kept, unless it takes requests away.
        (&["a.io", "x.io"], &["a.io"], &["a.io", "x.io"]),
        (&["*.io", "a.io"], &["a.io"], &["a.io", "*.io"]),
        (&["*.io", "x.io"], &["*.io"], &["x.io", "*.io"]),
        // The narrower path comes first.
        (&["a.io"], &["a.io ^/v1"], &["a.io ^/v1", "a.io"]),
        // Each writer's order is its own.
        (&["x.io", "*.x.io"], &["b.io", "a.x.io"], &["x.io", "b.io", "a.x.io", "*.x.io"]),
        (&["*.io"], &["b.org", "a.io"], &["b.org", "a.io", "*.io"]),
    ] {
        let (observed, ours) = (named(observed), named(ours));
        let others: Vec<Json> = observed
            .iter()
            .filter(|rule| !ours.iter().any(|own| rule_key(own) == rule_key(rule)))
            .cloned()
            .collect();
        let found = merge(&observed, &others, &ours);
        assert_eq!(found, named(merged), "{observed:?} {ours:?}");
        assert_eq!(merge(&found, &others, &ours), found, "it stays so");
    }
}

#[test]
fn what_nothing_declared_touches_is_joined_and_not_taken_over() {
    let last = json!({"service": CATCH_ALL});
    let other_last = json!({"service": "http://rest:80"});
    let spec = |hosts: &[&str], last: &Json| {
        let mut rules = named(hosts);
        rules.push(last.clone());
        json!({"ingress": rules})
    };
    let with = |mut spec: Json, seconds: u32| {
        spec["origin_request"] = json!({"connect_timeout": seconds});
        spec
    };
    let x = || spec(&["x.io"], &last);
    for (declared, observed, joins) in [
        (spec(&["a.io"], &last), x(), true),
        (spec(&["a.io"], &last), spec(&["x.io"], &other_last), true),
        (spec(&["a.io"], &other_last), x(), true),
        (
            spec(&["a.io"], &other_last),
            spec(&["x.io"], &json!({"service": "http_status:503"})),
            false,
        ),
        (spec(&["x.io"], &last), x(), false),
        (with(spec(&["a.io"], &last), 5), with(x(), 5), true),
        (with(spec(&["a.io"], &last), 5), with(x(), 6), false),
        (with(spec(&["a.io"], &last), 5), x(), true),
    ] {
        assert_eq!(is_beside(&declared, &observed), joins, "{declared} {observed}");
    }
}
