//! Contract 6.1 and 6.1.1, row by row.

use serde_json::{Value, json};

use crate::sandbox::cloudflare::testing::Sandbox;

fn apps(sandbox: &Sandbox) -> String {
    format!("/accounts/{}/access/apps", sandbox.account())
}

fn create(sandbox: &mut Sandbox, mut body: Value) -> Value {
    body["type"] = json!("self_hosted");
    body["name"] = json!("app");
    let path = apps(sandbox);
    let (status, answer) = sandbox.call("POST", &path, Some(body));
    assert_eq!(status, 201, "{answer}");
    answer["result"].clone()
}

fn reusable(sandbox: &mut Sandbox, name: &str) -> String {
    let path = format!("/accounts/{}/access/policies", sandbox.account());
    let (_, answer) = sandbox.call("POST", &path, Some(inline(name)));
    answer["result"]["id"].as_str().unwrap().to_owned()
}

fn inline(name: &str) -> Value {
    json!({"name": name, "decision": "allow", "include": [{"everyone": {}}]})
}

fn put(sandbox: &mut Sandbox, app: &Value, mut body: Value) -> (u16, Value) {
    body["type"] = json!("self_hosted");
    let path = format!("{}/{}", apps(sandbox), app["id"].as_str().unwrap());
    let (status, answer) = sandbox.call("PUT", &path, Some(body));
    (status, if status == 200 { answer["result"].clone() } else { answer })
}

fn ids(app: &Value) -> Vec<String> {
    let policies = app["policies"].as_array().unwrap();
    policies.iter().map(|policy| policy["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_second_application_for_a_domain_is_a_conflict() {
    let mut sandbox = Sandbox::new();
    create(&mut sandbox, json!({"domain": "a.b0xp.io"}));
    let other = create(&mut sandbox, json!({"domain": "b.b0xp.io"}));
    let path = apps(&sandbox);
    let body = json!({"type": "ssh", "name": "x", "domain": "A.b0xp.io"});
    assert_eq!(sandbox.refusal("POST", &path, Some(body)), (409, 11010));
    let (status, _) = put(&mut sandbox, &other, json!({"domain": "a.b0xp.io"}));
    assert_eq!(status, 409);
    let path_only = json!({"domain": "a.b0xp.io/admin"});
    create(&mut sandbox, path_only);
}

#[test]
fn a_put_resets_what_it_leaves_out_except_the_policies() {
    let mut sandbox = Sandbox::new();
    let policy = reusable(&mut sandbox, "p");
    let app = create(
        &mut sandbox,
        json!({"domain": "a.b0xp.io", "session_duration": "1h", "app_launcher_visible": false, "policies": [policy]}),
    );
    assert_eq!(app["policies"][0]["reusable"], true);
    assert_eq!(app["policies"][0]["precedence"], 1);
    assert_eq!(app["policies"][0]["include"], json!([{"everyone": {}}]));
    let (_, same) = put(&mut sandbox, &app, json!({"domain": "a.b0xp.io", "policies": null}));
    assert_eq!(same["session_duration"], "24h");
    assert_eq!(same["app_launcher_visible"], true);
    assert_eq!(same["aud"], app["aud"]);
    assert_eq!(ids(&same), [policy.as_str()]);
    let (_, none) = put(&mut sandbox, &app, json!({"domain": "a.b0xp.io", "policies": []}));
    assert_eq!(ids(&none), Vec::<String>::new());
    let path = format!("/accounts/{}/access/policies/{policy}", sandbox.account());
    assert_eq!(sandbox.get(&path)["result"]["app_count"], 0);
}

#[test]
fn precedence_is_unique_and_orders_the_answer() {
    let mut sandbox = Sandbox::new();
    let (a, b) = (reusable(&mut sandbox, "a"), reusable(&mut sandbox, "b"));
    let c = reusable(&mut sandbox, "c");
    let policies =
        json!([{"id": a, "precedence": 4}, {"id": b, "precedence": 2}, {"id": c, "precedence": 7}]);
    let app = create(&mut sandbox, json!({"domain": "a.b0xp.io", "policies": policies}));
    assert_eq!(ids(&app), [b.clone(), a.clone(), c.clone()]);
    let (_, app) = put(
        &mut sandbox,
        &app,
        json!({"domain": "a.b0xp.io", "policies": [{"id": a, "precedence": 2}, b]}),
    );
    assert_eq!(app["policies"][1]["precedence"], 3);
    let twice = json!([{"id": a, "precedence": 1}, {"id": b, "precedence": 1}]);
    let (status, _) = put(&mut sandbox, &app, json!({"domain": "a.b0xp.io", "policies": twice}));
    assert_eq!(status, 400);
}

#[test]
fn policies_that_do_not_exist_are_named() {
    let mut sandbox = Sandbox::new();
    let id = "f174e90a-fafe-4643-bbbc-4a0ed4fc8415";
    let path = apps(&sandbox);
    let body = json!({"type": "self_hosted", "domain": "a.b0xp.io", "policies": [id]});
    let (status, answer) = sandbox.call("POST", &path, Some(body));
    assert_eq!(status, 400);
    assert_eq!(answer["errors"][0]["message"], format!("policy {id} not found"));
}

#[test]
fn inline_policies_are_garbage_collected_and_keep_their_id_when_it_is_sent() {
    let mut sandbox = Sandbox::new();
    let app = create(
        &mut sandbox,
        json!({"domain": "a.b0xp.io", "policies": [inline("x"), inline("y")]}),
    );
    let [x, y] = ids(&app).try_into().unwrap();
    assert_eq!(app["policies"][0]["reusable"], false);
    let mut kept = inline("x2");
    kept["id"] = json!(x);
    let (_, app) = put(&mut sandbox, &app, json!({"domain": "a.b0xp.io", "policies": [kept]}));
    assert_eq!(ids(&app), [x.as_str()]);
    assert_eq!(app["policies"][0]["name"], "x2");
    let one = |id: &str, sandbox: &Sandbox| {
        format!("{}/{}/policies/{id}", apps(sandbox), app["id"].as_str().unwrap())
    };
    let (gone, there) = (one(&y, &sandbox), one(&x, &sandbox));
    assert_eq!(sandbox.status("GET", &gone, None), 404);
    assert_eq!(sandbox.status("GET", &there, None), 200);
    let crossed = format!("/accounts/{}/access/policies/{x}", sandbox.account());
    assert_eq!(sandbox.status("GET", &crossed, None), 404);
}

#[test]
fn inline_and_reusable_policies_are_not_mixed() {
    let mut sandbox = Sandbox::new();
    let policy = reusable(&mut sandbox, "p");
    let path = apps(&sandbox);
    let body =
        json!({"type": "self_hosted", "domain": "a.b0xp.io", "policies": [policy, inline("x")]});
    assert_eq!(sandbox.refusal("POST", &path, Some(body)), (400, 12130));
}

#[test]
fn what_was_read_can_be_put_back() {
    let mut sandbox = Sandbox::new();
    let policy = reusable(&mut sandbox, "p");
    let app = create(&mut sandbox, json!({"domain": "a.b0xp.io", "policies": [policy]}));
    let (status, same) = put(&mut sandbox, &app, app.clone());
    assert_eq!(status, 200, "{same}");
    assert_eq!(ids(&same), ids(&app));
    assert_eq!(same["destinations"], app["destinations"]);
}

#[test]
fn an_applications_own_policies_have_their_own_endpoint() {
    let mut sandbox = Sandbox::new();
    let app = create(&mut sandbox, json!({"domain": "a.b0xp.io"}));
    let path = format!("{}/{}/policies", apps(&sandbox), app["id"].as_str().unwrap());
    let (status, made) = sandbox.call("POST", &path, Some(inline("x")));
    assert_eq!((status, made["result"]["precedence"].as_u64()), (201, Some(1)));
    let mut second = inline("y");
    second["precedence"] = json!(1);
    assert_eq!(sandbox.refusal("POST", &path, Some(second.clone())), (400, 12130));
    second["precedence"] = json!(5);
    assert_eq!(sandbox.status("POST", &path, Some(second)), 201);
    let one = format!("{path}/{}", made["result"]["id"].as_str().unwrap());
    assert_eq!(sandbox.status("PUT", &one, Some(inline("z"))), 200);
    assert_eq!(sandbox.get(&path)["result"][0]["name"], "z");
    // Its id is none of the account's, and those of the account are none of its own.
    let account = format!("/accounts/{}/access/policies", sandbox.account());
    let own = made["result"]["id"].as_str().unwrap();
    assert_eq!(sandbox.status("GET", &format!("{account}/{own}"), None), 404);
    assert_eq!(sandbox.status("DELETE", &format!("{account}/{own}"), None), 404);
    let shared = reusable(&mut sandbox, "p");
    assert_eq!(sandbox.status("GET", &format!("{path}/{shared}"), None), 404);
    assert_eq!(sandbox.status("DELETE", &one, None), 202);
    assert_eq!(sandbox.status("DELETE", &one, None), 404);
}

#[test]
fn an_attached_policy_is_detached_before_it_is_deleted() {
    let mut sandbox = Sandbox::new();
    let policy = reusable(&mut sandbox, "p");
    let app = create(&mut sandbox, json!({"domain": "a.b0xp.io", "policies": [policy]}));
    let path = format!("/accounts/{}/access/policies/{policy}", sandbox.account());
    assert_eq!(sandbox.get(&path)["result"]["app_count"], 1);
    assert_eq!(sandbox.status("DELETE", &path, None), 400);
    let one = format!("{}/{}", apps(&sandbox), app["id"].as_str().unwrap());
    assert_eq!(sandbox.status("DELETE", &one, None), 202);
    assert_eq!(sandbox.refusal("GET", &one, None), (404, 11021));
    assert_eq!(sandbox.status("DELETE", &path, None), 202);
}

#[test]
fn an_application_of_a_zone_is_seen_at_its_account() {
    let mut sandbox = Sandbox::new();
    let zone = format!("/zones/{}/access/apps", sandbox.zone());
    let body = json!({"type": "self_hosted", "name": "z", "domain": "a.b0xp.io"});
    let made = sandbox.call("POST", &zone, Some(body)).1["result"].clone();
    create(&mut sandbox, json!({"domain": "b.b0xp.io"}));
    let one = format!("{}/{}", apps(&sandbox), made["id"].as_str().unwrap());
    assert_eq!(sandbox.status("GET", &one, None), 200);
    assert_eq!(sandbox.get(&zone)["result"].as_array().unwrap().len(), 1);
}

#[test]
fn lists_are_filtered_by_domain() {
    let mut sandbox = Sandbox::new();
    let app = create(&mut sandbox, json!({"domain": "a.b0xp.io"}));
    create(&mut sandbox, json!({"domain": "aa.b0xp.io"}));
    let path = format!("{}?domain=a.b0xp.io&exact=true", apps(&sandbox));
    let rows = sandbox.get(&path)["result"].clone();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["id"], app["id"]);
}

#[test]
fn what_an_account_has_one_of_is_there_once() {
    let mut sandbox = Sandbox::new();
    let path = apps(&sandbox);
    let rows = sandbox.get(&path)["result"].clone();
    for (at, kind) in ["warp", "app_launcher"].into_iter().enumerate() {
        assert_eq!(rows[at]["type"], kind);
        let body = json!({"type": kind, "name": "second"});
        assert_eq!(sandbox.refusal("POST", &path, Some(body)), (409, 11010));
    }
}

#[test]
fn malformed_application_ids_have_their_own_code() {
    let mut sandbox = Sandbox::new();
    let path = format!("{}/nonsense", apps(&sandbox));
    assert_eq!(sandbox.refusal("GET", &path, None), (400, 12045));
}
