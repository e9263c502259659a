//! Own or ask: objects that others keep too, or that are there already.

use serde_json::{Value, json};

use crate::lab::Lab;

/// What a sync of Argo CD does to an object: every field of the manifest, the same values, under
/// its own manager, and its mark.
fn sync(lab: &Lab, path: &str, manifest: &str, edit: impl FnOnce(&mut Value)) {
    let mut manifest: Value = serde_saphyr::from_str(&lab.read(manifest)).unwrap();
    manifest["metadata"]["annotations"] =
        json!({"argocd.argoproj.io/tracking-id": "openhands:apps/Deployment:openhands/openhands"});
    edit(&mut manifest);
    let path = format!("{path}?fieldManager=argocd-controller&force=true");
    lab.kubernetes("PATCH", &path, Some(("application/apply-patch+yaml", manifest)));
}

#[test]
fn a_sync_of_argo_cd_is_a_warning_and_another_value_is_drift_under_its_name() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let path = "/apis/apps/v1/namespaces/openhands/deployments/openhands";
    let file = "manifests/socket/deployment.yaml";
    sync(&lab, path, file, |_| ());
    lab.is_settled(&[]).says("two-owners");
    sync(&lab, path, file, |manifest| manifest["spec"]["replicas"] = json!(4));
    lab.run(&["drift"]).exits(2).says("argocd-controller").says("spec.replicas");
    lab.apply(&[]);
    assert_eq!(lab.kubernetes("GET", path, None)["spec"]["replicas"], 1);
    lab.is_settled(&[]);
}

#[test]
fn what_is_there_and_identical_is_adopted_when_asked_for() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    lab.forget_requests();
    let refused = lab.run(&["apply", "--yes"]).exits(5);
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    assert!(format!("{}{}", refused.out, refused.err).contains("--adopt"));
    let before = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    lab.apply(&["--adopt"]);
    assert_eq!(lab.only(&lab.account("cfd_tunnel?is_deleted=false"))["id"], before["id"]);
    lab.only(&lab.records());
    lab.only(&lab.account("access/apps"));
    lab.only(&lab.account("access/policies"));
    lab.is_settled(&[]);
}

#[test]
fn what_differs_is_a_conflict_until_the_file_says_adopt() {
    let lab = Lab::of("openhands");
    let record = json!({"name": "openhands.b0xp.io", "type": "CNAME", "content": "old.example.org", "proxied": false, "ttl": 1});
    lab.cloudflare("POST", &lab.records(), Some(record));
    lab.forget_requests();
    lab.run(&["apply", "--yes"]).exits(5).says("dns_record.openhands").says("old.example.org");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    let text = lab.read("stacks/openhands.yaml");
    lab.write(
        "stacks/openhands.yaml",
        &(text + "\nsettings:\n  dns_record.openhands: {adopt: true}\n"),
    );
    lab.apply(&[]);
    assert_eq!(lab.only(&lab.records())["proxied"], true);
    lab.is_settled(&[]);
}

#[test]
fn policies_of_others_stay_where_the_list_is_shared() {
    let lab = Lab::of("openhands");
    let text = lab.read("stacks/openhands.yaml");
    let shared = "\nsettings:\n  access_application.openhands: {shared: [policies]}\n";
    lab.write("stacks/openhands.yaml", &(text + shared));
    lab.apply(&[]);
    let application = lab.only(&lab.account("access/apps"));
    let second = json!({"name": "second", "decision": "allow", "include": [{"everyone": {}}]});
    let second = lab.cloudflare("POST", &lab.account("access/policies"), Some(second));
    let path = lab.account(&format!("access/apps/{}", application["id"].as_str().unwrap()));
    let mut body = application.clone();
    body["policies"] = json!([application["policies"][0]["id"], second["id"]]);
    lab.cloudflare("PUT", &path, Some(body));
    lab.run(&["drift"]).exits(2).says("foreign");
    lab.is_settled(&[]);
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 6h");
    lab.apply(&[]);
    let policies = lab.cloudflare("GET", &path, None)["policies"].clone();
    assert_eq!(policies.as_array().unwrap().len(), 2, "{policies:#}");
}
