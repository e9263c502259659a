//! Connectors: boxctl makes cloudflared's Deployment and ExternalSecret, has another tool apply
//! them, or is told which workload runs cloudflared.

use serde_json::{Value, json};

use crate::lab::Lab;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/hello/deployments";
const SECRETS: &str = "/apis/external-secrets.io/v1/namespaces/hello/externalsecrets";

/// The rendered files, by name.
fn files(lab: &Lab, dir: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(lab.path().join(dir)).unwrap();
    let mut files: Vec<(String, String)> = entries
        .map(|entry| {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            let text = lab.read(&format!("{dir}/{name}"));
            (name, text)
        })
        .collect();
    files.sort();
    files
}

/// What a sync of Argo CD does with the files of a directory.
fn sync(lab: &Lab, dir: &str) {
    for (_, text) in files(lab, dir) {
        let mut manifest: Value = serde_saphyr::from_str(&text).unwrap();
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let kind = manifest["kind"].as_str().unwrap().to_owned();
        manifest["metadata"]["annotations"] =
            json!({"argocd.argoproj.io/tracking-id": format!("hello:x/{kind}:hello/{name}")});
        let collection = if kind == "Deployment" { DEPLOYMENTS } else { SECRETS };
        let path = format!("{collection}/{name}?fieldManager=argocd-controller&force=true");
        lab.kubernetes("PATCH", &path, Some(("application/apply-patch+yaml", manifest)));
    }
}

/// The resources of the only stack as `status` says they are, once everything has settled.
fn status(lab: &Lab) -> (i32, Vec<(String, String)>) {
    let ran = lab.run(&["status", "--json"]);
    let found = ran.json();
    let resources = found["stacks"][0]["resources"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (ran.code, resources.map(|one| (text(&one["address"]), text(&one["status"]))).collect())
}

fn tunnel(lab: &Lab, name: &str) -> Value {
    let all = lab.cloudflare("GET", &lab.account("cfd_tunnel?is_deleted=false"), None);
    let found = all.as_array().unwrap().iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no tunnel {name}: {all:#}")).clone()
}

#[test]
fn boxctl_makes_one_and_argo_cd_applies_another() {
    let lab = Lab::of("connector");
    lab.apply(&[]);
    lab.is_settled(&[]).says("missing").says("k8s.Deployment/hello/docs-cloudflared");
    let own = lab.kubernetes("GET", &format!("{DEPLOYMENTS}/hello-cloudflared"), None);
    let pod = &own["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "docker.io/cloudflare/cloudflared:2026.8.2");
    let args = json!(["tunnel", "--metrics", "0.0.0.0:2000", "--protocol", "http2", "run"]);
    assert_eq!(container["args"], args);
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/ready");
    assert_eq!(container["readinessProbe"]["httpGet"]["port"], 2000);
    assert!(!pod["affinity"]["nodeAffinity"].is_null(), "{pod:#}");
    assert_eq!(tunnel(&lab, "hello")["status"], "healthy", "it runs with the parameter's token");
    assert_eq!(tunnel(&lab, "docs")["status"], "inactive");
    let (code, found) = status(&lab);
    let not: Vec<_> = found.iter().filter(|(_, status)| status != "works").collect();
    let expected = [
        ("tunnel.docs", "waiting"),
        ("k8s.ExternalSecret.external-secrets.io/hello/docs-tunnel-token", "missing"),
        ("k8s.Deployment/hello/docs-cloudflared", "missing"),
    ];
    assert_eq!(code, 1);
    assert_eq!(not, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).iter().collect::<Vec<_>>());

    lab.run(&["render", "--to", "argo", "--check"]).exits(2).says("+kind: Deployment");
    assert!(!lab.path().join("argo").exists());
    lab.run(&["render", "--to", "argo"]).exits(0).says("wrote argo/");
    lab.run(&["render", "--to", "argo", "--check"]).exits(0);
    sync(&lab, "argo");
    lab.forget_requests();
    let settled = lab.is_settled(&[]);
    assert!(!settled.out.contains("differs") && settled.out.contains("in sync"), "{}", settled.out);
    // Each look is a run of the binary, which is time enough for the sandbox's controllers.
    let healthy = (0..100).map(|_| status(&lab)).find(|(code, _)| *code == 0);
    assert!(healthy.is_some(), "{:?}", status(&lab));
    assert_eq!(tunnel(&lab, "docs")["status"], "healthy");
    // Another value there is shown, and is neither drift nor a change.
    lab.patch(&format!("{DEPLOYMENTS}/docs-cloudflared"), json!({"spec": {"replicas": 2}}));
    lab.is_settled(&[]).says("differs").says("spec.replicas");
    lab.run(&["drift"]).exits(0);
    lab.run(&["status"]).says("differs: spec.replicas");
    lab.apply(&[]);
    let others = lab.changes().into_iter().filter(|change| {
        change.contains("docs-cloudflared") || change.contains("docs-tunnel-token")
    });
    let others: Vec<String> = others.filter(|c| !c.contains("dryRun")).collect();
    assert_eq!(others.len(), 1, "only the test's own patch: {others:?}");
    lab.run(&["destroy", "hello", "--yes", "--allow-protected", "**"])
        .exits(5)
        .says("docs-cloudflared");
}

#[test]
fn a_new_token_restarts_boxctls_connector_and_names_the_other() {
    let lab = Lab::of("connector");
    lab.run(&["render", "--to", "argo"]).exits(0);
    lab.apply(&[]);
    sync(&lab, "argo");
    for name in ["hello", "docs"] {
        let id = tunnel(&lab, name)["id"].as_str().unwrap().to_owned();
        let path = lab.account(&format!("cfd_tunnel/{id}"));
        lab.cloudflare("DELETE", &format!("{path}/connections"), None);
        lab.cloudflare("DELETE", &path, None);
    }
    let plan = lab.run(&["plan"]).exits(0);
    for line in [
        "update  k8s.Deployment/hello/hello-cloudflared",
        "kubectl rollout restart -n hello deployment/docs-cloudflared",
        "kubectl annotate -n hello externalsecret docs-tunnel-token force-sync",
    ] {
        let flat = plan.out.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&line), "{line}: {}", plan.out);
    }
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(tunnel(&lab, "hello")["status"], "healthy", "it has read the new token");
}

#[test]
fn rendering_removes_what_it_wrote_and_leaves_others_files_alone() {
    let lab = Lab::of("connector");
    lab.run(&["render", "--to", "argo"]).exits(0);
    lab.write("argo/kustomization.yaml", "resources: []\n");
    let names = |lab: &Lab| -> Vec<String> {
        files(lab, "argo").into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(
        names(&lab),
        [
            "deployment.hello.docs-cloudflared.yaml",
            "externalsecret.hello.docs-tunnel-token.yaml",
            "kustomization.yaml"
        ]
    );
    let text = lab.read("argo/externalsecret.hello.docs-tunnel-token.yaml");
    assert!(text.starts_with("# Generated by boxctl render: project home, stack hello."), "{text}");
    assert!(text.contains("apiVersion: external-secrets.io/v1\n"), "{text}");
    lab.edit(
        "boxctl.yaml",
        "name: parameterstore}",
        "name: parameterstore, api_version: external-secrets.io/v1beta1}",
    );
    lab.run(&["render", "--to", "argo", "--check"])
        .exits(2)
        .says("-apiVersion: external-secrets.io/v1\n+apiVersion: external-secrets.io/v1beta1\n");
    let before = lab.read("stacks/hello.yaml");
    lab.edit("stacks/hello.yaml", ", applied_by: argocd}", "}");
    lab.run(&["render", "hello", "--to", "argo"]).exits(0).says("removed argo/");
    assert_eq!(names(&lab), ["kustomization.yaml"]);
    lab.write("stacks/hello.yaml", &before);
    lab.write("argo/deployment.hello.docs-cloudflared.yaml", "kind: Mine\n");
    lab.run(&["render", "--to", "argo"]).exits(5).says("is there already");
    assert_eq!(lab.read("argo/deployment.hello.docs-cloudflared.yaml"), "kind: Mine\n");
}

#[test]
fn what_is_handed_over_leaves_the_state_and_stays() {
    let lab = Lab::of("connector");
    lab.apply(&[]);
    lab.edit(
        "stacks/hello.yaml",
        "{namespace: hello} #",
        "{namespace: hello, applied_by: argocd} #",
    );
    lab.run(&["plan"]).exits(0).says("forget").says("argocd applies it from now on");
    lab.run(&["drift"]).exits(0);
    lab.apply(&[]);
    lab.is_settled(&[]).says("in sync");
    lab.kubernetes("GET", &format!("{DEPLOYMENTS}/hello-cloudflared"), None);
}

#[test]
fn a_workload_is_one_of_the_manifests_or_one_of_the_clusters() {
    let lab = Lab::of("openhands");
    lab.edit(
        "stacks/openhands.yaml",
        "Deployment/openhands/cloudflared",
        "Deployment/openhands/cloudflard",
    );
    lab.run(&["validate"])
        .exits(1)
        .says("stacks/openhands.yaml:15:27")
        .says("did you mean `Deployment/openhands/cloudflared`?");
    lab.edit(
        "stacks/openhands.yaml",
        "Deployment/openhands/cloudflard",
        "Service/openhands/cloudflared",
    );
    lab.run(&["validate"]).exits(1).says("this names no workload");
    lab.edit(
        "stacks/openhands.yaml",
        "{workload: Service/openhands/cloudflared}",
        "{workload: Deployment/edge/cloudflared, applied_by: argocd}",
    );
    lab.apply(&[]);
    lab.is_settled(&[]).says("missing").says("k8s.Deployment/edge/cloudflared");
    lab.run(&["render", "--to", "argo"]).exits(0).says("Nothing to render");
    lab.run(&["status"]).exits(1).says("k8s.Deployment/edge/cloudflared");
}

#[test]
fn a_sidecar_restarts_with_its_workload() {
    let lab = Lab::of("openhands");
    let mut own: Value =
        serde_saphyr::from_str(&lab.read("manifests/socket/deployment.yaml")).unwrap();
    let other: Value =
        serde_saphyr::from_str(&lab.read("manifests/socket/cloudflared-deployment.yaml")).unwrap();
    let sidecar = other["spec"]["template"]["spec"]["containers"][0].clone();
    own["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().push(sidecar);
    lab.write("manifests/socket/deployment.yaml", &own.to_string());
    std::fs::remove_file(lab.path().join("manifests/socket/cloudflared-deployment.yaml")).unwrap();
    lab.edit(
        "stacks/openhands.yaml",
        "Deployment/openhands/cloudflared",
        "Deployment/openhands/openhands",
    );
    lab.apply(&[]);
    lab.is_settled(&[]);
    let found = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    assert_eq!(found["status"], "healthy");
    let path = lab.account(&format!("cfd_tunnel/{}", found["id"].as_str().unwrap()));
    lab.cloudflare("DELETE", &format!("{path}/connections"), None);
    lab.cloudflare("DELETE", &path, None);
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(lab.only(&lab.account("cfd_tunnel?is_deleted=false"))["status"], "healthy");
}

#[test]
fn connectors_that_cannot_work_are_mistakes_in_the_files() {
    let lab = Lab::of("connector");
    let project = lab.read("boxctl.yaml");
    for (from, to, says) in [
        ("[--protocol, http2]", "[--token, x]", "TUNNEL_TOKEN"),
        ("[--protocol, http2]", "[]\n  metrics: localhost:2000", "0.0.0.0:2000"),
        ("[--protocol, http2]", "[]\n  replicas: 0", "at least 1"),
        ("[--protocol, http2]", "[]\n  replica: 2", "`replicas`"),
        ("name: parameterstore}", "name: p, api_version: v1}", "external-secrets.io/v1beta1"),
    ] {
        lab.write("boxctl.yaml", &project);
        lab.edit("boxctl.yaml", from, to);
        lab.run(&["validate"]).exits(1).says("boxctl.yaml:").says(says);
    }
    lab.write("boxctl.yaml", &project);
    lab.edit("boxctl.yaml", "cloudflared:2026.8.2", "cloudflared:latest");
    lab.run(&["validate"]).exits(0).says("image-not-pinned");
    let text = lab.read("stacks/hello.yaml");
    lab.write("stacks/hello.yaml", &format!("{text}\naccept: {{image-not-pinned: why not}}\n"));
    let quiet = lab.run(&["validate"]).exits(0);
    assert!(!quiet.err.contains("image-not-pinned"), "{}", quiet.err);
}
