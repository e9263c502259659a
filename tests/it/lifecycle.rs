//! The main job: the openhands stack from nothing to nothing.

use serde_json::{Value, json};

use crate::lab::Lab;

const SOCKET: [&str; 15] = [
    "access_application.openhands",
    "access_policy.openhands",
    "dns_record.openhands",
    "k8s.Application.argoproj.io/argocd/openhands",
    "k8s.Deployment/openhands/cloudflared",
    "k8s.Deployment/openhands/openhands",
    "k8s.ExternalSecret.external-secrets.io/openhands/external-secret",
    "k8s.Namespace/openhands",
    "k8s.PersistentVolumeClaim/openhands/openhands-data",
    "k8s.PersistentVolumeClaim/openhands/openhands-state-pvc",
    "k8s.PriorityClass/openhands-priority",
    "k8s.Service/openhands/openhands-service",
    "ssm_parameter.openhands",
    "tunnel.openhands",
    "tunnel_config.openhands",
];

fn state(lab: &Lab) -> Value {
    serde_json::from_str(&lab.read("state/openhands.json")).unwrap()
}

#[test]
fn apply_makes_the_whole_stack_and_the_next_plan_is_empty_and_cheap() {
    let lab = Lab::of("openhands");
    let plan = lab.run(&["plan", "--json"]).exits(0).json();
    assert_eq!(plan["summary"]["create"], 15);
    assert!(lab.changes().is_empty(), "a plan only reads");
    assert!(!lab.path().join("state").exists(), "a plan writes nothing");
    lab.apply(&[]);
    let recorded: Vec<String> =
        state(&lab)["resources"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(recorded, SOCKET);

    let config = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let tunnel = config["id"].as_str().unwrap();
    assert_eq!(config["name"], "cloudflare openhands tunnel");
    assert_eq!(config["status"], "healthy", "the connector runs with the token of the parameter");
    let rules =
        lab.cloudflare("GET", &lab.account(&format!("cfd_tunnel/{tunnel}/configurations")), None);
    let ingress = &rules["config"]["ingress"];
    assert_eq!(ingress.as_array().unwrap().len(), 2);
    assert_eq!(ingress[0]["service"], "http://openhands-service.openhands.svc.cluster.local:80");
    assert_eq!(ingress[1]["service"], "http_status:404");
    let record = lab.only(&lab.records());
    assert_eq!(record["content"], format!("{tunnel}.cfargotunnel.com"));
    assert_eq!(record["proxied"], true);
    let application = lab.only(&lab.account("access/apps"));
    assert_eq!(application["domain"], "openhands.b0xp.io");
    assert_eq!(application["policies"][0]["name"], "policy for openhands.b0xp.io");
    let provider = lab.cloudflare("GET", &lab.account("access/identity_providers"), None);
    let github = provider.as_array().unwrap().iter().find(|p| p["type"] == "github").unwrap();
    let include = &application["policies"][0]["include"];
    assert_eq!(*include, json!([{"login_method": {"id": github["id"]}}]));

    lab.forget_requests();
    let plan = lab.is_settled(&["--json"]).json();
    let said = &plan["requests"];
    // What moto answers is not in the sandbox's log.
    let elsewhere = if lab.has_moto() { said["ssm"].as_u64().unwrap() } else { 0 };
    let total =
        ["cloudflare", "ssm", "kubernetes"].iter().map(|s| said[s].as_u64().unwrap()).sum::<u64>();
    assert_eq!(
        total,
        lab.requests().len() as u64 + elsewhere,
        "what it says it cost is what it cost"
    );
    assert!(total <= 20, "{total}");
}

#[test]
fn the_move_to_docker_in_docker_and_back() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let dind = ["--var", "runtime=dind"];
    let plan = lab.run(&[&["plan", "--json"], &dind[..]].concat()).exits(0).json();
    let actions: Vec<(String, String)> = plan["stacks"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let text = |key: &str| change[key].as_str().unwrap().to_owned();
            (text("action"), text("address"))
        })
        .collect();
    let of = |action: &str| {
        let mut found: Vec<&str> =
            actions.iter().filter(|(a, _)| a == action).map(|(_, a)| a.as_str()).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(of("update"), ["k8s.Deployment/openhands/openhands"]);
    assert_eq!(
        of("create"),
        [
            "k8s.CronJob/openhands/docker-cleanup",
            "k8s.ExternalSecret.external-secrets.io/openhands/parameter-reader-credentials",
            "k8s.Role/openhands/pod-exec-role",
            "k8s.RoleBinding/openhands/pod-exec-rolebinding",
            "k8s.ServiceAccount/openhands/docker-cleanup-sa",
        ]
    );
    lab.apply(&dind);
    lab.forget_requests();
    lab.is_settled(&dind);
    assert!(lab.requests().len() <= 24, "{}", lab.requests().len());
    let strategy = |lab: &Lab| {
        let path = "/apis/apps/v1/namespaces/openhands/deployments/openhands";
        lab.kubernetes("GET", path, None)["spec"]["strategy"]["type"].clone()
    };
    assert_eq!(strategy(&lab), "Recreate");
    // Drift looks at what was applied, with the values of that time.
    let drift = lab.run(&["drift", "--json"]).exits(0).json();
    assert_eq!(drift["pending"], json!([]), "{drift:#}");
    // Nothing was given this time: the value of the last apply must not be lost in silence.
    lab.run(&["apply", "--yes"]).exits(5).says("variable runtime");
    lab.apply(&["--var", "runtime=socket"]);
    lab.is_settled(&["--var", "runtime=socket"]);
    assert_eq!(strategy(&lab), "RollingUpdate");
}

#[test]
fn destroy_wants_to_be_told_about_what_is_protected_and_leaves_nothing_behind() {
    let lab = Lab::of("openhands");
    let before = lab.dump();
    lab.apply(&[]);
    lab.forget_requests();
    let refused = lab.run(&["destroy", "openhands", "--yes"]).exits(5);
    for address in ["Namespace/openhands", "openhands-data", "openhands-state-pvc"] {
        assert!(refused.out.contains(address), "{}", refused.out);
    }
    assert!(lab.changes().is_empty(), "nothing was touched");
    lab.run(&["destroy", "openhands", "--yes", "--allow-protected", "**"]).exits(0);
    let changes = lab.changes();
    let at = |text: &str| {
        changes
            .iter()
            .position(|change| change.contains(text))
            .unwrap_or_else(|| panic!("{text}: {changes:#?}"))
    };
    assert!(at("/dns_records/") < at("/configurations"));
    assert!(
        at("/configurations")
            < at("DELETE /client/v4/accounts/0123456789abcdef0123456789abcdef/access/apps/")
    );
    assert!(at("/connections") < changes.iter().rposition(|c| c.contains("/cfd_tunnel/")).unwrap());
    assert_eq!(lab.dump(), before);
}

#[test]
fn a_saved_plan_is_carried_out_once_and_only_on_the_ground_it_rests_on() {
    let lab = Lab::of("openhands");
    lab.run(&["plan", "--out", "first"]).exits(0);
    assert!(lab.path().join("plans/first").exists());
    lab.run(&["apply", "--plan", "first", "--yes"]).exits(0);
    lab.run(&["apply", "--plan", "first", "--yes"]).exits(5).says("carried out already");
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 12h");
    lab.run(&["plan", "--out", "second"]).exits(0);
    let application = lab.only(&lab.account("access/apps"));
    let path = lab.account(&format!("access/apps/{}", application["id"].as_str().unwrap()));
    let mut body = application.clone();
    body["session_duration"] = json!("1h");
    body.as_object_mut().unwrap().remove("policies");
    lab.cloudflare("PUT", &path, Some(body));
    lab.run(&["apply", "--plan", "second", "--yes"]).exits(5).says(
        "access_application.openhands is not done: it no longer rests on what it was planned on",
    );
}

#[test]
fn a_run_against_another_target_never_touches_the_state() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let before = lab.read("state/openhands.json");
    let other = Lab::of("openhands");
    let kubeconfig = other.variable("KUBECONFIG").to_owned();
    let mut lab = lab;
    lab.set("KUBECONFIG", &kubeconfig);
    lab.run(&["plan"]).exits(5).says("belongs to another target");
    lab.run(&["apply", "--yes"]).exits(5).says("Kubernetes cluster");
    assert_eq!(lab.read("state/openhands.json"), before);
    lab.run(&["--sandbox", "show"]).exits(0).says("Nothing was applied yet");
}

#[test]
fn every_call_is_announced_in_the_journal_before_it_is_sent() {
    let lab = Lab::with("openhands", &["--journal", "state/openhands.journal"]);
    lab.apply(&[]);
    lab.apply(&["--var", "runtime=dind"]);
    lab.run(&["destroy", "openhands", "--yes", "--allow-protected", "**"]).exits(0);
}

#[test]
fn a_plan_settles_whatever_normal_form_the_services_answer_in() {
    for seed in ["1", "7", "42"] {
        let lab = Lab::with("openhands", &["--mangle", seed]);
        lab.apply(&[]);
        lab.is_settled(&[]);
        lab.run(&["drift"]).exits(0);
    }
}

#[test]
fn the_other_examples_live_and_die_too() {
    for fixture in ["longform", "several"] {
        let lab = Lab::of(fixture);
        let before = lab.dump();
        lab.apply(&[]);
        lab.is_settled(&[]);
        lab.run(&["drift"]).exits(0);
        lab.run(&["destroy", "--all", "--yes", "--allow-protected", "**"]).exits(0);
        assert_eq!(lab.dump(), before, "{fixture}");
    }
}

#[test]
fn access_comes_before_ingress_before_dns_also_when_a_hostname_moves() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let at = |changes: &[String], text: &str| {
        changes
            .iter()
            .position(|c| c.contains(text))
            .unwrap_or_else(|| panic!("{text}: {changes:#?}"))
    };
    let first = lab.changes();
    assert!(at(&first, "/access/apps") < at(&first, "/configurations"));
    assert!(at(&first, "/configurations") < at(&first, "/dns_records"));
    lab.forget_requests();
    lab.edit("stacks/openhands.yaml", "openhands.b0xp.io", "hands.b0xp.io");
    lab.apply(&[]);
    let moved = lab.changes();
    let narrow = moved.iter().rposition(|c| c.contains("/access/apps/")).unwrap();
    assert!(at(&moved, "/access/apps/") < at(&moved, "/configurations"), "widened first");
    assert!(at(&moved, "/configurations") < at(&moved, "/dns_records/"));
    assert!(at(&moved, "/dns_records/") < narrow, "narrowed last: {moved:#?}");
    lab.is_settled(&[]);
}
