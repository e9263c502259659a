//! Each thing that someone does behind boxctl's back rings once, with who did it as far as the
//! service knows, and is quiet again when it is put right. What the files alone ask for rings never.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::permissions::{READ, token};
use crate::readonly::read_only;
use crate::told::flowing;

/// Who edits in the dashboard.
const ANN: &str = "ann@example.org";
const BY_ANN: &str = "ann@example.org in the dashboard";

/// Beside the stack of the fixture: what it has not.
const MORE: &str = "stack: more
resources:
  dns_record.two: {name: two, type: A, content: 192.0.2.1}
  access_application.open: {name: open, domain: open.b0xp.io}
  tunnel.net: {name: net}
  tunnel_config.net:
    tunnel: ${tunnel.net.id}
    ingress: [{hostname: net.b0xp.io, service: \"http://net:80\"}]
    shared: [ingress]
  tunnel_route.net: {network: 10.0.0.0/8, tunnel: \"${tunnel.net.id}\"}
  split_tunnel.all: {mode: exclude, entries: [{host: nas.lan}], shared: [entries], adopt: true}
  ssm_parameter.plain: {name: plain, type: String, value: one, description: first}
accept: {unguarded: a test}
";

/// How it is quiet again.
enum Quiet {
    /// By an apply, which puts back what was recorded.
    Revert,
    /// By whoever did it, since it is not boxctl's.
    Undone(fn(&Lab)),
}

/// Something that someone does, and how it rings: the kind of drift, where, and by whom.
struct Case {
    what: &'static str,
    edit: fn(&Lab),
    rings: &'static [(&'static str, &'static str, &'static str)],
    by: Option<&'static str>,
    quiet: Quiet,
}

fn lab() -> Lab {
    let lab = Lab::own("openhands");
    lab.write("stacks/more.yaml", MORE);
    lab.apply(&[]);
    lab
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// The path of the one of a collection whose member has a value.
fn one(lab: &Lab, collection: &str, member: &str, value: &str) -> (String, Value) {
    let all = lab.cloudflare("GET", collection, None);
    let fits = |item: &&Value| item[member] == value && item["deleted_at"].is_null();
    let found: Vec<&Value> = all.as_array().unwrap().iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{collection} {value}");
    let collection = collection.split('?').next().unwrap();
    (format!("{collection}/{}", id(found[0])), found[0].clone())
}

fn record(lab: &Lab, name: &str) -> String {
    one(lab, &lab.records(), "name", name).0
}

fn app(lab: &Lab, name: &str) -> (String, Value) {
    one(lab, &lab.account("access/apps"), "name", name)
}

const OPENHANDS: &str = "Access application for openhands.b0xp.io";

/// The body by which an application is written again, with a change.
fn put_app(lab: &Lab, name: &str, field: &str, value: Value) {
    let (path, mut body) = app(lab, name);
    body.as_object_mut().unwrap().remove("policies");
    body[field] = value;
    lab.dashboard(ANN, "PUT", &path, Some(body));
}

fn policy(name: &str) -> Value {
    json!({"name": name, "decision": "bypass", "include": [{"everyone": {}}]})
}

fn configuration(lab: &Lab, tunnel: &str) -> String {
    let (path, _) = one(lab, &lab.account("cfd_tunnel?is_deleted=false"), "name", tunnel);
    format!("{path}/configurations")
}

fn put_rules(lab: &Lab, tunnel: &str, rules: &[(&str, &str)]) {
    let rules = rules.iter().map(|(host, service)| json!({"hostname": host, "service": service}));
    let last = json!({"service": "http_status:404"});
    let body = json!({"config": {"ingress": rules.chain([last]).collect::<Vec<_>>()}});
    lab.dashboard(ANN, "PUT", &configuration(lab, tunnel), Some(body));
}

const TUNNEL: &str = "cloudflare openhands tunnel";
const SERVICE: &str = "http://openhands-service.openhands.svc.cluster.local:80";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/openhands/deployments/openhands";

const CASES: &[Case] = &[
    Case {
        what: "a record leads elsewhere",
        edit: |lab| {
            let body = json!({"content": "elsewhere.example.org"});
            lab.dashboard(ANN, "PATCH", &record(lab, "openhands.b0xp.io"), Some(body));
        },
        rings: &[("drifted", "dns_record.openhands", "content")],
        by: Some(BY_ANN),
        quiet: Quiet::Revert,
    },
    Case {
        what: "a record is gone",
        edit: |lab| {
            lab.dashboard(ANN, "DELETE", &record(lab, "two.b0xp.io"), None);
        },
        rings: &[("missing", "dns_record.two", "id")],
        by: Some(BY_ANN),
        quiet: Quiet::Revert,
    },
    Case {
        what: "another record of the same name",
        edit: |lab| {
            let body = json!({"type": "A", "name": "two", "content": "192.0.2.66", "ttl": 300});
            lab.dashboard(ANN, "POST", &lab.records(), Some(body));
            // What others write under that name and means nothing for it is theirs.
            let body = json!({"type": "TXT", "name": "two", "content": "\"mine\"", "ttl": 300});
            lab.dashboard(ANN, "POST", &lab.records(), Some(body));
        },
        rings: &[("foreign", "dns_record.two", "beside[id=")],
        by: Some(BY_ANN),
        quiet: Quiet::Undone(|lab| {
            let (path, _) = one(lab, &lab.records(), "content", "192.0.2.66");
            lab.cloudflare("DELETE", &path, None);
        }),
    },
    Case {
        what: "a rule leads elsewhere",
        edit: |lab| put_rules(lab, TUNNEL, &[("openhands.b0xp.io", "http://evil:80")]),
        rings: &[("drifted", "tunnel_config.openhands", "ingress[0].service")],
        by: Some(BY_ANN),
        quiet: Quiet::Revert,
    },
    Case {
        what: "a rule in a list that is wholly boxctl's",
        edit: |lab| {
            let rules = [("openhands.b0xp.io", SERVICE), ("evil.b0xp.io", "http://evil:80")];
            put_rules(lab, TUNNEL, &rules);
        },
        rings: &[("drifted", "tunnel_config.openhands", "ingress[1].hostname")],
        by: Some(BY_ANN),
        quiet: Quiet::Revert,
    },
    Case {
        what: "a rule in a list that others write too",
        edit: |lab| {
            put_rules(
                lab,
                "net",
                &[("net.b0xp.io", "http://net:80"), ("x.b0xp.io", "http://x:80")],
            );
        },
        rings: &[("foreign", "tunnel_config.net", "x.b0xp.io")],
        by: Some(BY_ANN),
        quiet: Quiet::Undone(|lab| put_rules(lab, "net", &[("net.b0xp.io", "http://net:80")])),
    },
    Case {
        what: "a tunnel has another name",
        edit: |lab| {
            let (path, _) = one(lab, &lab.account("cfd_tunnel?is_deleted=false"), "name", "net");
            lab.dashboard(ANN, "PATCH", &path, Some(json!({"name": "gross"})));
        },
        rings: &[("drifted", "tunnel.net", "name")],
        // Tunnels do not say when they were changed, and this may be boxctl's own writing.
        by: None,
        quiet: Quiet::Revert,
    },
    Case {
        what: "a session lasts longer",
        edit: |lab| put_app(lab, OPENHANDS, "session_duration", json!("720h")),
        rings: &[("drifted", "access_application.openhands", "session_duration")],
        by: Some(BY_ANN),
        quiet: Quiet::Revert,
    },
    Case {
        what: "a policy on an application whose policies are boxctl's",
        edit: |lab| {
            let path = lab.account("access/policies");
            let second = lab.dashboard(ANN, "POST", &path, Some(policy("second")));
            let (path, mut body) = app(lab, OPENHANDS);
            body["policies"] = json!([body["policies"][0]["id"], second["id"]]);
            lab.dashboard(ANN, "PUT", &path, Some(body));
        },
        rings: &[("drifted", "access_application.openhands", "policies[1]")],
        by: Some(BY_ANN),
        quiet: Quiet::Revert,
    },
    Case {
        what: "a policy on an application whose policies boxctl does not send",
        edit: |lab| {
            let (path, _) = app(lab, "open");
            lab.dashboard(ANN, "POST", &format!("{path}/policies"), Some(policy("anyone")));
        },
        rings: &[("foreign", "access_application.open", "policies[id=")],
        by: Some(BY_ANN),
        quiet: Quiet::Undone(|lab| {
            let (path, body) = app(lab, "open");
            let policy = &body["policies"][0];
            lab.cloudflare("DELETE", &format!("{path}/policies/{}", id(policy)), None);
        }),
    },
    Case {
        what: "another application takes a part of what one guards",
        edit: |lab| {
            let body = json!({"name": "hole", "type": "self_hosted",
                "domain": "openhands.b0xp.io/api", "policies": [policy("hole")]});
            lab.dashboard(ANN, "POST", &lab.account("access/apps"), Some(body));
        },
        rings: &[("foreign", "access_application.openhands", "beside[id=")],
        by: Some(BY_ANN),
        quiet: Quiet::Undone(|lab| {
            lab.cloudflare("DELETE", &app(lab, "hole").0, None);
        }),
    },
    Case {
        what: "everyone may in",
        edit: |lab| {
            let (path, body) =
                one(lab, &lab.account("access/policies"), "name", "policy for openhands.b0xp.io");
            let body =
                json!({"name": body["name"], "decision": "allow", "include": [{"everyone": {}}]});
            lab.dashboard(ANN, "PUT", &path, Some(body));
        },
        rings: &[("drifted", "access_policy.openhands", "include")],
        by: Some(BY_ANN),
        quiet: Quiet::Revert,
    },
    Case {
        what: "an application is gone",
        edit: |lab| {
            lab.dashboard(ANN, "DELETE", &app(lab, OPENHANDS).0, None);
        },
        rings: &[("missing", "access_application.openhands", "id")],
        by: Some(BY_ANN),
        quiet: Quiet::Revert,
    },
    Case {
        what: "another route takes a part of a subnet",
        edit: |lab| {
            let (path, _) = one(lab, &lab.account("cfd_tunnel?is_deleted=false"), "name", TUNNEL);
            let tunnel = path.rsplit('/').next().unwrap();
            let body = json!({"network": "10.1.0.0/16", "tunnel_id": tunnel});
            lab.dashboard(ANN, "POST", &lab.account("teamnet/routes"), Some(body));
        },
        rings: &[("foreign", "tunnel_route.net", "beside[id=")],
        by: Some(BY_ANN),
        quiet: Quiet::Undone(|lab| {
            let (path, _) = one(lab, &lab.account("teamnet/routes"), "network", "10.1.0.0/16");
            lab.cloudflare("DELETE", &path, None);
        }),
    },
    Case {
        what: "an entry beside ours in a list that others write too",
        edit: |lab| {
            let path = lab.account("devices/policy/exclude");
            let mut all = lab.cloudflare("GET", &path, None);
            all.as_array_mut().unwrap().push(json!({"host": "theirs.lan"}));
            lab.dashboard(ANN, "PUT", &path, Some(all));
        },
        rings: &[("foreign", "split_tunnel.all", "theirs.lan")],
        // The profile does not say when it was changed.
        by: None,
        quiet: Quiet::Undone(|lab| {
            let path = lab.account("devices/policy/exclude");
            let mut all = lab.cloudflare("GET", &path, None);
            all.as_array_mut().unwrap().retain(|one| one["host"] != "theirs.lan");
            lab.cloudflare("PUT", &path, Some(all));
        }),
    },
    Case {
        what: "a tunnel is gone, and what it held",
        edit: |lab| {
            let (path, _) = one(lab, &lab.account("cfd_tunnel?is_deleted=false"), "name", TUNNEL);
            lab.dashboard(ANN, "DELETE", &format!("{path}/connections"), None);
            lab.dashboard(ANN, "DELETE", &path, None);
        },
        rings: &[
            ("missing", "tunnel.openhands", "id"),
            ("missing", "tunnel_config.openhands", "id"),
        ],
        by: Some(BY_ANN),
        quiet: Quiet::Revert,
    },
    Case {
        what: "a parameter has another value",
        edit: |lab| {
            let input = json!({"Name": "openhands-tunnel-token", "Value": "x", "Overwrite": true});
            lab.ssm("PutParameter", input);
        },
        rings: &[("drifted", "ssm_parameter.openhands", "value")],
        by: Some(":user/boxctl"),
        quiet: Quiet::Revert,
    },
    Case {
        what: "a parameter has another description",
        edit: |lab| {
            let input = json!({"Name": "plain", "Value": "one", "Description": "theirs",
                "Overwrite": true});
            lab.ssm("PutParameter", input);
        },
        rings: &[("drifted", "ssm_parameter.plain", "description")],
        by: Some(":user/boxctl"),
        quiet: Quiet::Revert,
    },
    Case {
        what: "a parameter is gone",
        edit: |lab| {
            lab.ssm("DeleteParameter", json!({"Name": "plain"}));
        },
        rings: &[("missing", "ssm_parameter.plain", "id")],
        by: None,
        quiet: Quiet::Revert,
    },
    Case {
        what: "a field of an object",
        edit: |lab| {
            lab.patch(DEPLOYMENT, json!({"spec": {"replicas": 3}}));
        },
        rings: &[("drifted", "k8s.Deployment/openhands/openhands", "spec.replicas")],
        by: Some("someone"),
        quiet: Quiet::Revert,
    },
    Case {
        what: "an object is gone",
        edit: |lab| {
            let path = "/api/v1/namespaces/openhands/services/openhands-service";
            lab.kubernetes("DELETE", path, None);
        },
        rings: &[("missing", "k8s.Service/openhands/openhands-service", "id")],
        by: None,
        quiet: Quiet::Revert,
    },
];

/// What rings: kind of drift, address, and everything told of it.
fn rings(found: &Value) -> Vec<(&'static str, String, String)> {
    let of = |kind: &'static str| {
        let all = found[kind].as_array().unwrap().iter();
        all.map(move |one| {
            (kind, one["address"].as_str().unwrap().to_owned(), one["fields"].to_string())
        })
    };
    ["drifted", "missing", "foreign"].into_iter().flat_map(of).collect()
}

#[test]
fn each_edit_rings_once_and_is_quiet_when_it_is_put_right() {
    // The sandbox alone tells of other hands here.
    let mut lab = lab();
    lab.run(&["drift"]).exits(0);
    let own: Vec<(&str, String)> =
        ["CLOUDFLARE_API_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "KUBECONFIG"]
            .map(|name| (name, lab.variable(name).to_owned()))
            .into();
    for Case { what, edit, rings: expected, by, quiet } in CASES {
        // Shown where the case fails.
        println!("{what}");
        edit(&lab);
        read_only(&mut lab);
        let found = lab.run(&["drift", "--json"]).exits(2).json();
        let all = rings(&found);
        assert_eq!(all.len(), expected.len(), "{what}: {all:#?}");
        for (kind, address, path) in *expected {
            let one = all.iter().find(|one| one.0 == *kind && one.1 == *address);
            let one = one.unwrap_or_else(|| panic!("{what}: no {kind} {address} in {all:#?}"));
            let part = path.replace('"', "\\\"");
            assert!(one.2.contains(&part), "{what}: no {path} in {one:#?}");
            match by {
                Some(by) => assert!(one.2.contains(by), "{what}: no {by} in {one:#?}"),
                None => assert!(!one.2.contains("\"by\":\""), "{what}: {one:#?}"),
            }
        }
        let errors = found["checks"].as_array().unwrap().iter();
        let errors: Vec<&Value> = errors.filter(|check| check["level"] == "error").collect();
        assert!(errors.is_empty(), "{what}: {errors:#?}");
        own.iter().for_each(|(name, value)| lab.set(name, value));
        match quiet {
            Quiet::Revert => drop(lab.apply(&[])),
            Quiet::Undone(undo) => undo(&lab),
        }
        lab.run(&["drift"]).exits(0);
    }
    lab.is_settled(&[]);
}

#[test]
fn what_the_files_ask_for_is_pending_and_rings_never() {
    let lab = lab();
    let pending = |lab: &Lab| -> Vec<(String, String)> {
        let found = lab.run(&["drift", "--json"]).exits(0).json();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        let all = found["pending"].as_array().unwrap().iter();
        all.map(|one| (text(one, "address"), text(one, "action"))).collect()
    };
    let owned = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(address, action)| ((*address).into(), (*action).into())).collect()
    };
    assert_eq!(pending(&lab), []);
    // The same in other words is none.
    lab.edit("stacks/more.yaml", "name: two, type: A", "name: TWO.b0xp.io., type: A");
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 1440m");
    assert_eq!(pending(&lab), []);
    lab.forget_requests();
    lab.edit("stacks/more.yaml", "content: 192.0.2.1", "content: 192.0.2.2");
    lab.edit("stacks/more.yaml", "{name: net}", "{name: grid}");
    lab.edit("stacks/more.yaml", "value: one", "value: two");
    lab.edit(
        "stacks/more.yaml",
        "  access_application.open: {name: open, domain: open.b0xp.io}\n",
        "",
    );
    lab.edit(
        "stacks/more.yaml",
        "accept:",
        "  dns_record.new: {name: new, type: A, content: 192.0.2.9}\naccept:",
    );
    lab.edit("stacks/openhands.yaml", "session_duration: 1440m", "session_duration: 12h");
    lab.edit("manifests/socket/deployment.yaml", "replicas: 1", "replicas: 2");
    let before = lab.requests().len();
    let expected = owned(&[
        ("dns_record.new", "create"),
        ("access_application.open", "delete"),
        ("dns_record.two", "update"),
        ("tunnel.net", "update"),
        ("ssm_parameter.plain", "update"),
        ("access_application.openhands", "update"),
        ("k8s.Deployment/openhands/openhands", "update"),
    ]);
    let (mut found, mut expected) = (pending(&lab), expected);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert!(lab.changes().is_empty() && before == 0);
    lab.run(&["drift"]).exits(0).says("Not applied yet: 7 changes");
    lab.apply(&["--allow-large", "--allow-public", "open.b0xp.io"]);
    assert_eq!(pending(&lab), []);
}

#[test]
fn the_audit_log_is_asked_only_when_something_rings_and_nothing_fails_without_it() {
    let mut lab = lab();
    let all = lab.variable("CLOUDFLARE_API_TOKEN").to_owned();
    let asked = |lab: &Lab| {
        let requests = lab.requests();
        let is = |one: &&Value| one["path"].as_str().unwrap().ends_with("/logs/audit");
        requests.iter().filter(is).count()
    };
    let names: Vec<&str> = READ.map(|(name, _)| name).into();
    let blind = token(&lab, &names);
    let edits = ["DNS Read", "DNS Write", "Zone Read"];
    let robot = token(&lab, &edits);
    let reader = token(&lab, &[&names[..], &["Account Settings Read"]].concat());

    lab.set("CLOUDFLARE_API_TOKEN", &reader);
    lab.forget_requests();
    lab.run(&["drift"]).exits(0);
    lab.patch(DEPLOYMENT, json!({"spec": {"replicas": 3}}));
    lab.run(&["drift"]).exits(2);
    assert_eq!(asked(&lab), 0, "nothing rings at Cloudflare");

    // A program with a token of its own.
    lab.set("CLOUDFLARE_API_TOKEN", &robot);
    let path = record(&lab, "two.b0xp.io");
    lab.cloudflare("PATCH", &path, Some(json!({"content": "192.0.2.7"})));
    lab.set("CLOUDFLARE_API_TOKEN", &reader);
    lab.forget_requests();
    let told = lab.run(&["drift"]).exits(2);
    assert!(flowing(&told.out).contains("written by the API token plan of owner@example.com, 2"));
    assert_eq!(asked(&lab), 1);
    assert!(lab.changes().is_empty());

    // Without the permission: when, as the record itself says; and what would tell by whom.
    lab.set("CLOUDFLARE_API_TOKEN", &blind);
    let told = flowing(&lab.run(&["drift"]).exits(2).out);
    assert!(!told.contains("written by the API token"), "{told}");
    assert!(told.contains("who changed it at Cloudflare is not known"), "{told}");
    assert!(told.contains("`Account Settings Read` for the account"), "{told}");
    assert!(told.contains("^ written 2"), "{told}");

    // Nor does anything fail where the log itself does.
    lab.set("CLOUDFLARE_API_TOKEN", &all);
    lab.plan_faults(&json!([{"path": "*/logs/audit", "times": 1000, "status": 404,
        "body": "<html>no such page</html>"}]));
    lab.run(&["drift"]).exits(2).says("who changed it at Cloudflare is not known");
}
