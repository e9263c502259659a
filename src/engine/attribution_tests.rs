use serde_json::json;

use super::*;

fn entry(time: &str, method: &str, uri: &str, resource: &str, actor: Json) -> Json {
    json!({"action": {"time": time, "type": "update", "result": "success"}, "actor": actor,
        "raw": {"method": method, "uri": uri}, "resource": {"id": resource}})
}

fn token(id: &str) -> Json {
    json!({"type": "user", "context": "api_token", "email": "a@b.c", "token_id": id,
        "token_name": id})
}

#[test]
fn actors_are_called_as_people_call_them() {
    let of = |actor: Json| {
        let entry = entry("2026-01-02T03:04:05Z", "PUT", "/zones/z/x/1", "1", actor);
        Told::read(&entry).unwrap().who
    };
    for (actor, expected) in [
        (json!({"type": "user", "context": "dash", "email": "a@b.c"}), "a@b.c in the dashboard"),
        (token("CI"), "the API token CI of a@b.c"),
        (
            json!({"type": "account", "context": "api_token", "token_name": "CI"}),
            "the API token CI",
        ),
        (
            json!({"type": "user", "context": "api_key", "email": "a@b.c"}),
            "a@b.c by the global API key",
        ),
        (
            json!({"type": "user", "context": "oauth", "email": "a@b.c", "token_name": "wrangler"}),
            "a@b.c by wrangler",
        ),
        (json!({"type": "system"}), "Cloudflare itself"),
        (json!({"type": "cloudflare_admin", "email": "x@cloudflare.com"}), "Cloudflare's staff"),
        (json!({"type": "user", "context": "new", "email": "a@b.c"}), "a@b.c"),
        (json!({}), "someone whom the audit log does not name"),
    ] {
        assert_eq!(of(actor.clone()), expected, "{actor}");
    }
}

#[test]
fn what_changed_nothing_is_not_told_of() {
    let read = |action: &str, result: &str, method: &str| {
        Told::read(&json!({"action": {"time": "2026-01-02T03:04:05Z", "type": action,
            "result": result}, "actor": {}, "raw": {"method": method, "uri": "/zones/z/x"}}))
    };
    assert!(read("update", "success", "PUT").is_some());
    assert!(read("update", "failure", "PUT").is_none());
    assert!(read("view", "success", "GET").is_none());
    assert!(Told::read(&json!({"actor": {}})).is_none());
}

#[test]
fn entries_are_held_against_the_paths_of_objects() {
    let told = |method: &str, uri: &str, id: &str| {
        Told::read(&entry("2026-01-02T03:04:05Z", method, uri, id, json!({}))).unwrap()
    };
    let object = |path: &str| below(path);
    for (uri, path, about) in [
        ("/client/v4/zones/z/dns_records/r", "/zones/z/dns_records/r", true),
        // The dashboard's own way, and another scope of the same object.
        ("/api/v4/accounts/a/access/apps/p?x=y", "/accounts/a/access/apps/p", true),
        ("/zones/z/access/apps/p", "/accounts/a/access/apps/p", true),
        ("/accounts/a/access/apps/p/policies/q", "/accounts/a/access/apps/p", true),
        ("/accounts/a/access/apps/other", "/accounts/a/access/apps/p", false),
        ("/accounts/a/cfd_tunnel/t/configurations", "/accounts/a/cfd_tunnel/t", false),
        (
            "/accounts/a/cfd_tunnel/t/configurations",
            "/accounts/a/cfd_tunnel/t/configurations",
            true,
        ),
        ("/accounts/a/cfd_tunnel/t", "/accounts/a/cfd_tunnel/t/configurations", false),
    ] {
        assert_eq!(told("PUT", uri, "").is_about(&object(path)), about, "{uri} {path}");
    }
    let config = object("/accounts/a/cfd_tunnel/t/configurations");
    assert!(told("DELETE", "/accounts/a/cfd_tunnel/t", "t").removed(&config, "t"));
    assert!(!told("DELETE", "/accounts/a/cfd_tunnel/u", "u").removed(&config, "t"));
    assert!(!told("PUT", "/accounts/a/cfd_tunnel/t", "t").removed(&config, "t"));
    let records = object("/zones/z/dns_records");
    assert!(told("POST", "/zones/z/dns_records/batch", "r").names("r", &records));
}

#[test]
fn only_what_is_surely_later_than_the_own_write_is_somebodys() {
    let own = "2026-01-02T03:04:05.5Z";
    let recorded: Recorded = serde_json::from_value(json!({"kind": "x", "id": "z/r", "key": {},
        "sent": {}, "answered": {}, "modified_at": own,
        "created_at": own, "updated_at": "2026-01-02T03:04:05Z"}))
    .unwrap();
    let state = State::new("s", "l".to_owned());
    let at = |time: &str, who: &str| {
        let path = "/zones/z/dns_records/r";
        Told::read(&entry(time, "PATCH", path, "r", token(who))).unwrap()
    };
    let named = |told: Vec<Told>, own_token: Option<&str>| {
        let kinds = |_: &str| None;
        let scope = Scope::default();
        let log = Log { state: &state, told: &told, own_token, kinds, scope: &scope };
        let mut fields = vec![FieldChange::new("content", None, None)];
        put(&mut fields, &log.later(&recorded, |_| true), own_token);
        fields.remove(0).by
    };
    let other = Some("the API token ann of a@b.c".to_owned());
    // The own write, told of when it was done or a little later; what came before it.
    assert_eq!(named(vec![at("2026-01-02T03:04:05.5Z", "own")], Some("own")), None);
    assert_eq!(named(vec![at("2026-01-02T03:04:07Z", "own")], Some("own")), None);
    assert_eq!(named(vec![at("2026-01-02T03:04:05Z", "ann")], Some("own")), None);
    assert_eq!(named(vec![at("2026-01-02T03:04:06Z", "ann")], Some("own")), other);
    // Whose token it is is not known: soon after, it may be the own.
    assert_eq!(named(vec![at("2026-01-02T03:04:06Z", "ann")], None), None);
    assert_eq!(named(vec![at("2026-01-02T03:05:06Z", "ann")], None), other);
    let self_later = named(vec![at("2026-01-02T03:05:06Z", "own")], Some("own")).unwrap();
    assert!(self_later.ends_with("which boxctl uses here, in another run"), "{self_later}");
    // Several: the log does not say who did what.
    let both = vec![at("2026-01-02T03:06:06Z", "bob"), at("2026-01-02T03:05:06Z", "ann")];
    let both = named(both, Some("own")).unwrap();
    assert_eq!(both, "the API token bob of a@b.c, or the API token ann of a@b.c");
}
