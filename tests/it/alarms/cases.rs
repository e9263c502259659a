//! What someone does behind boxctl's back, how that rings, and how it is quiet again.

use serde_json::{Value, json};

use crate::lab::Lab;

/// Who edits in the dashboard.
pub const ANN: &str = "ann@example.org";
const BY_ANN: &str = "ann@example.org in the dashboard";

/// Beside the stack of the fixture: what it has not.
pub const MORE: &str = "stack: more
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
pub enum Quiet {
    /// By `drift revert`, which puts back what was applied last.
    Revert,
    /// By whoever did it, since it is not boxctl's.
    Undone(fn(&Lab)),
}

/// Something that someone does, and how it rings: the kind of drift, where, and by whom.
pub struct Case {
    pub what: &'static str,
    pub edit: fn(&Lab),
    pub rings: &'static [(&'static str, &'static str, &'static str)],
    pub by: Option<&'static str>,
    pub quiet: Quiet,
}

pub fn lab() -> Lab {
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

pub fn record(lab: &Lab, name: &str) -> String {
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
pub const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/openhands/deployments/openhands";

pub const CASES: &[Case] = &[
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
