//! Objects of the Cloudflare API without a kind of their own: KV namespaces, buckets, databases,
//! routes to Workers, rulesets, settings.

use serde_json::{Value, json};

use crate::lab::Lab;

const STACK: &str = "stacks/objects.yaml";

const ALL: &str = "resources:
  cloudflare_object.sessions:
    path: accounts/{account_id}/storage/kv/namespaces
    key: title
    body: {title: sessions}
  cloudflare_object.logs:
    path: accounts/{account_id}/r2/buckets
    id: name
    update: none
    body: {name: logs, locationHint: enam}
    write_only: [locationHint]
    outputs: {place: location}
  cloudflare_object.app:
    path: accounts/{account_id}/d1/database
    id: uuid
    key: name
    update: patch
    body: {name: app, primary_location_hint: apac, read_replication: {mode: auto}}
    write_only: [primary_location_hint]
    immutable: [name, primary_location_hint]
  cloudflare_object.api:
    path: zones/{zone_id}/workers/routes
    key: pattern
    per_page: 0
    body: {pattern: api.b0xp.io/*, script: api}
  cloudflare_object.redirects:
    path: zones/{zone_id}/rulesets/phases/http_request_dynamic_redirect/entrypoint
    singleton: true
    body:
      rules:
        - ref: www
          action: redirect
          expression: http.host eq \"www.b0xp.io\"
          action_parameters: {from_value: {status_code: 301, target_url: {value: \"https://b0xp.io/\"}}}
    reset: {rules: []}
  ssm_parameter.namespace:
    name: kv-namespace
    type: String
    value: \"${cloudflare_object.sessions.id} in ${cloudflare_object.logs.place}\"
";

/// The longform project, with a stack file of its own.
fn with_stack(options: &[&str], text: &str) -> Lab {
    let lab = Lab::with("longform", options);
    std::fs::remove_file(lab.path().join("stacks/openhands.yaml")).unwrap();
    lab.write(STACK, text);
    lab
}

/// What is found in lists that go over pages: by number, and by cursor.
const PAGED: &str = "  cloudflare_object.few:
    path: accounts/{account_id}/storage/kv/namespaces
    key: title
    per_page: 5
    body: {title: few}
  cloudflare_object.rules:
    path: accounts/{account_id}/rulesets
    key: name
    per_page: 50
    body: {name: ours, kind: custom, phase: http_ratelimit, rules: []}
    immutable: [name, kind, phase]
";

#[test]
fn an_object_whose_create_lost_its_answer_is_found_again_wherever_its_list_has_it() {
    let lab = Lab::hasty("longform", &[]);
    std::fs::remove_file(lab.path().join("stacks/openhands.yaml")).unwrap();
    lab.write(STACK, &format!("{ALL}{PAGED}"));
    for other in 0..60 {
        let body =
            json!({"name": format!("n{other}"), "kind": "custom", "phase": "http_ratelimit"});
        lab.cloudflare("POST", &lab.account("rulesets"), Some(body));
    }
    for other in 0..12 {
        let body = json!({"title": format!("n{other}")});
        lab.cloudflare("POST", &lab.account("storage/kv/namespaces"), Some(body));
    }
    let lost =
        ["*/namespaces", "*/namespaces", "*/buckets", "*/database", "*/routes", "*/rulesets"];
    let faults = lost.iter().enumerate().map(|(at, path)| {
        json!({"method": "POST", "path": path, "drop": "after", "nth": if at == 1 { 2 } else { 1 }})
    });
    lab.plan_faults(&faults.collect());
    lab.forget_requests();
    lab.apply(&[]);
    let hits = lab.hits();
    lab.plan_faults(&json!([]));
    assert_eq!(hits, [1; 6]);
    let made = lab.changes().iter().filter(|change| change.starts_with("POST /")).count();
    assert_eq!(made, 6, "nothing is made twice: {:#?}", lab.changes());
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    // What its list leaves out of an object is compared, too.
    let rulesets = lab.cloudflare("GET", &lab.account("rulesets?per_page=50"), None);
    assert!(!rulesets.to_string().contains("ours"), "it is on a later page");
    let state: Value = serde_json::from_str(&lab.read("state/objects.json")).unwrap();
    let id = state["resources"]["cloudflare_object.rules"]["id"].as_str().unwrap();
    let theirs = json!({"rules": [{"ref": "a", "action": "block", "expression": "true"}]});
    lab.cloudflare("PUT", &format!("/{id}"), Some(theirs));
    lab.run(&["drift"]).exits(2).says("cloudflare_object.rules");
    lab.apply(&[]);
    lab.is_settled(&[]);
    // Nor when nobody remembers having made it.
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    lab.forget_requests();
    lab.apply(&["--adopt"]);
    // A value that was not read is written again, and nothing else.
    assert_eq!(lab.changes(), ["POST PutParameter"]);
    lab.run(&["destroy", "objects", "--yes"]).exits(0);
    let left = lab.cloudflare("GET", &lab.account("storage/kv/namespaces"), None);
    assert_eq!(left.as_array().unwrap().len(), 12);
}

fn namespaces(lab: &Lab) -> Value {
    lab.cloudflare("GET", &lab.account("storage/kv/namespaces"), None)
}

fn zone(lab: &Lab, rest: &str) -> Value {
    let path = lab.records().replace("dns_records", rest);
    lab.cloudflare("GET", &path, None)
}

fn entrypoint(lab: &Lab) -> Value {
    zone(lab, "rulesets/phases/http_request_dynamic_redirect/entrypoint")
}

#[test]
fn objects_are_made_changed_in_place_and_deleted() {
    let lab = with_stack(&[], ALL);
    let before = lab.dump();
    lab.apply(&[]);
    let made = namespaces(&lab)[0].clone();
    assert_eq!(made["title"], "sessions");
    let parameter = lab.ssm("GetParameter", json!({"Name": "kv-namespace"}));
    let id = made["id"].as_str().unwrap();
    assert_eq!(parameter["Parameter"]["Value"], format!("{id} in ENAM"));
    let rule = entrypoint(&lab)["rules"][0].clone();
    assert_eq!((&rule["ref"], &rule["enabled"]), (&json!("www"), &json!(true)));
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);

    lab.edit(STACK, "title: sessions", "title: visits");
    lab.edit(STACK, "mode: auto", "mode: disabled");
    lab.edit(STACK, "script: api", "script: next");
    lab.edit(STACK, "status_code: 301", "status_code: 302");
    lab.forget_requests();
    lab.apply(&[]);
    let changes = lab.changes();
    let methods: Vec<&str> = changes.iter().filter_map(|change| change.split(' ').next()).collect();
    assert_eq!((changes.len(), methods.contains(&"DELETE")), (4, false), "{changes:#?}");
    assert_eq!(
        namespaces(&lab)[0],
        json!({"id": id, "title": "visits", "supports_url_encoding": true})
    );
    assert_eq!(zone(&lab, "workers/routes")[0]["script"], "next");
    let rules = entrypoint(&lab)["rules"].clone();
    assert_eq!(rules[0]["action_parameters"]["from_value"]["status_code"], 302);
    assert_eq!(rules[0]["id"], rule["id"]);
    lab.is_settled(&[]);

    // A bucket is another one under another name, and what it names follows.
    lab.edit(STACK, "name: logs, locationHint: enam", "name: archive, locationHint: weur");
    lab.run(&["plan"]).exits(0).says("`name` is what the API knows it by");
    lab.apply(&["--allow-large"]);
    let buckets = lab.cloudflare("GET", &lab.account("r2/buckets"), None)["buckets"].clone();
    assert_eq!((buckets.as_array().unwrap().len(), &buckets[0]["name"]), (1, &json!("archive")));
    let parameter = lab.ssm("GetParameter", json!({"Name": "kv-namespace"}));
    assert_eq!(parameter["Parameter"]["Value"], format!("{id} in WEUR"));
    lab.is_settled(&[]);

    lab.run(&["plan", "--destroy"]).says("the object stays, and is set back to `reset`");
    lab.run(&["destroy", "objects", "--yes"]).exits(0);
    assert_eq!(entrypoint(&lab)["rules"], json!([]));
    let mut after = lab.dump();
    after["cloudflare"]["rulesets"] = json!([]);
    assert_eq!(after, before);
}

#[test]
fn objects_settle_whatever_is_added_to_them_and_what_others_change_is_put_right() {
    for seed in ["2", "9"] {
        let lab = with_stack(&["--mangle", seed], ALL);
        lab.apply(&[]);
        lab.is_settled(&[]);
        lab.run(&["drift"]).exits(0);
        let one = format!("storage/kv/namespaces/{}", namespaces(&lab)[0]["id"].as_str().unwrap());
        lab.cloudflare("PUT", &lab.account(&one), Some(json!({"title": "theirs"})));
        let path = lab
            .records()
            .replace("dns_records", "rulesets/phases/http_request_dynamic_redirect/entrypoint");
        lab.cloudflare("PUT", &path, Some(json!({"rules": []})));
        lab.run(&["drift"]).exits(2).says("theirs");
        lab.apply(&[]);
        assert_eq!(namespaces(&lab)[0]["title"], "sessions");
        assert_eq!(entrypoint(&lab)["rules"][0]["ref"], "www");
        // What is gone is made again, and what names it follows.
        lab.cloudflare("DELETE", &lab.account(&one), None);
        lab.run(&["drift"]).exits(2).says("missing");
        lab.apply(&[]);
        let id = namespaces(&lab)[0]["id"].clone();
        let parameter = lab.ssm("GetParameter", json!({"Name": "kv-namespace"}));
        let value = parameter["Parameter"]["Value"].as_str().unwrap();
        assert!(value.starts_with(id.as_str().unwrap()), "{value}");
        lab.is_settled(&[]);
    }
}

#[test]
fn what_is_there_already_is_adopted_or_asked_about() {
    let lab = with_stack(&[], ALL);
    let title = |title: &str| Some(json!({"title": title}));
    for other in 0..25 {
        lab.cloudflare("POST", &lab.account("storage/kv/namespaces"), title(&format!("n{other}")));
    }
    let there = lab.cloudflare("POST", &lab.account("storage/kv/namespaces"), title("sessions"));
    let bucket = json!({"name": "logs", "locationHint": "apac"});
    lab.cloudflare("POST", &lab.account("r2/buckets"), Some(bucket));
    let path = lab.records().replace("dns_records", "workers/routes");
    let route = json!({"pattern": "api.b0xp.io/*", "script": "theirs"});
    lab.cloudflare("POST", &path, Some(route));
    lab.run(&["apply", "--yes"])
        .exits(5)
        .says("cloudflare_object.sessions is there already, identical to what the files say")
        .says("cloudflare_object.logs is there already, identical to what the files say")
        .says("cloudflare_object.api is there already and differs from the files");
    lab.edit(STACK, "per_page: 0", "per_page: 0\n    adopt: true");
    lab.apply(&["--adopt"]);
    assert_eq!(zone(&lab, "workers/routes")[0]["script"], "api");
    let parameter = lab.ssm("GetParameter", json!({"Name": "kv-namespace"}));
    let id = there["id"].as_str().unwrap();
    assert_eq!(parameter["Parameter"]["Value"], format!("{id} in APAC"));
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
}

#[test]
fn what_the_account_has_one_of_is_dropped_and_stays() {
    let text = "resources:
  cloudflare_object.profile:
    path: accounts/{account_id}/devices/policy
    singleton: true
    update: patch
    adopt: true
    body: {switch_locked: true}
";
    let lab = with_stack(&[], text);
    lab.run(&["plan"]).says("`split_tunnel` is the kind for these");
    lab.apply(&[]);
    let profile = || lab.cloudflare("GET", &lab.account("devices/policy"), None);
    assert_eq!(profile()["switch_locked"], true);
    lab.is_settled(&[]);
    lab.cloudflare("PATCH", &lab.account("devices/policy"), Some(json!({"captive_portal": 90})));
    lab.is_settled(&[]);
    lab.edit(STACK, "switch_locked: true", "switch_locked: true, support_url: \"https://b0xp.io\"");
    lab.apply(&[]);
    lab.edit(STACK, ", support_url: \"https://b0xp.io\"", "");
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["destroy", "objects", "--yes"])
        .exits(0)
        .says("the API has one of it: it stays as it is");
    assert_eq!(profile()["switch_locked"], true);
}

#[test]
fn secrets_of_objects_are_handed_on_and_never_kept() {
    // A service token answers its secret when it is made; the sandbox has nothing that tells one
    // twice, so what is handed on here is the client id, called a secret.
    let text = "variables: {title: {sensitive: true}}
resources:
  cloudflare_object.token:
    path: accounts/{account_id}/access/service_tokens
    key: duration
    body: {name: \"${var.title}\", duration: 17520h}
    secrets: {client: client_id}
  ssm_parameter.client: {name: client, value: \"${cloudflare_object.token.client}\"}
";
    let lab = with_stack(&[], text);
    let secret = "a-name-nobody-knows";
    let options = ["--var", &format!("title={secret}"), "-v"];
    let ran = lab.apply(&options);
    let token = lab.only(&lab.account("access/service_tokens"));
    assert_eq!(token["name"], secret);
    let parameter = lab.ssm("GetParameter", json!({"Name": "client", "WithDecryption": true}));
    assert_eq!(parameter["Parameter"]["Value"], token["client_id"]);
    let plan = lab.is_settled(&options);
    let shown = lab.run(&[&["show"], &options[..]].concat());
    let state = lab.read("state/objects.json");
    for text in [&ran.out, &ran.err, &plan.out, &plan.err, &shown.out, &state] {
        for secret in [secret, token["client_id"].as_str().unwrap()] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    lab.run(&["drift"]).exits(0);
}

#[test]
fn a_secret_of_the_body_is_sent_and_neither_shown_nor_kept() {
    // The sandbox logs what SSM is asked only where it answers that itself.
    if crate::kill::is_moto() {
        return;
    }
    let text = "resources:
  cloudflare_object.login:
    path: accounts/{account_id}/access/identity_providers
    key: name
    body:
      name: Forge
      type: github
      config:
        client_id: an-id
        client_secret: a-secret-that-is-written-here
    secrets: {client_secret: config.client_secret}
  ssm_parameter.copy: {name: copy, value: \"${cloudflare_object.login.client_secret}\"}
";
    let lab = with_stack(&[], text);
    let secrets = || ["a-secret-that-is-written-here".to_owned(), "another-secret".to_owned()];
    let ran = lab.apply(&["-v"]).says("secret-in-file");
    let parameter = lab.ssm("GetParameter", json!({"Name": "copy", "WithDecryption": true}));
    assert_eq!(parameter["Parameter"]["Value"], "a-secret-that-is-written-here");
    let settled = lab.is_settled(&["-v"]);
    lab.edit(STACK, "a-secret-that-is-written-here", "another-secret");
    lab.forget_requests();
    let changed = lab.apply(&["-v"]);
    let changes = lab.changes();
    assert_eq!(changes.len(), 2, "{changes:#?}");
    let parameter = lab.ssm("GetParameter", json!({"Name": "copy", "WithDecryption": true}));
    assert_eq!(parameter["Parameter"]["Value"], "another-secret");
    let again = lab.is_settled(&["-v"]);
    lab.run(&["drift"]).exits(0);
    crate::secrets::are_nowhere(&lab, &[ran, settled, changed, again], &secrets(), &[STACK]);
}

#[test]
fn an_output_that_is_asked_for_later_is_there_in_the_same_run() {
    // The sandbox logs what SSM is asked only where it answers that itself.
    if crate::kill::is_moto() {
        return;
    }
    let lab = with_stack(&[], ALL);
    lab.apply(&[]);
    lab.edit(
        STACK,
        "outputs: {place: location}",
        "outputs: {place: location, kind: storage_class}",
    );
    lab.edit(STACK, " in ${cloudflare_object.logs.place}", ", ${cloudflare_object.logs.kind}");
    lab.forget_requests();
    lab.apply(&[]);
    let changes = lab.changes();
    assert_eq!(changes.len(), 1, "only the parameter is written: {changes:#?}");
    let parameter = lab.ssm("GetParameter", json!({"Name": "kv-namespace"}));
    let value = parameter["Parameter"]["Value"].as_str().unwrap();
    assert!(value.ends_with(", Standard"), "{value}");
    lab.is_settled(&[]);
}

#[test]
fn a_mistake_is_told_at_its_place() {
    let lab = with_stack(&[], "");
    for (text, place, message) in [
        (
            "path: \"accounts/{account}/x\", key: a, body: {a: b}",
            "3:12",
            "`{account}` stands for nothing",
        ),
        (
            "path: \"https://api.cloudflare.com/client/v4/x\", key: a, body: {a: b}",
            "3:12",
            "is more than the path",
        ),
        ("path: a/b, body: {title: b}", "2:3", "nothing tells it from others of its collection"),
        ("path: a/b, key: titel, body: {title: b}", "3:22", "`body` has no `titel`"),
        ("path: a/b, singleton: true, key: a, body: {a: b}", "3:39", "found by its path"),
        (
            "path: a/b, key: a, update: put, reset: {}, body: {a: b}",
            "3:45",
            "only a singleton is set back",
        ),
        ("path: a/b, key: a, body: {a: b}, write_only: [c]", "3:52", "`body` has no `c`"),
        ("path: a/b, key: a, body: {a: b}, zone: b0xp.io", "3:45", "the path has no `{zone_id}`"),
        ("path: a/b, key: a, body: {a: b}, outputs: {id: x}", "3:53", "an output `id` already"),
        ("path: a/b, key: a, body: {a: b}, update: post", "3:47", "`post` is none of"),
        (
            "path: a/b, key: a, body: {a: \"${cloudflare_object.other.url}\"}",
            "",
            "there is no resource",
        ),
    ] {
        lab.write(STACK, &format!("resources:\n  cloudflare_object.x:\n    {{{text}}}\n"));
        lab.run(&["validate"]).exits(1).says(message).says(&format!("{STACK}:{place}"));
    }
}
