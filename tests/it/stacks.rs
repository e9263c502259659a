//! Stacks and resources that are renamed, retired, forgotten, kept, or left aside.

use serde_json::Value;

use crate::lab::Lab;

fn actions(lab: &Lab, arguments: &[&str]) -> Vec<(String, String)> {
    let plan = lab.run(&[&["plan", "--json"], arguments].concat()).json();
    let stacks = plan["stacks"].as_array().unwrap();
    let changes = stacks.iter().flat_map(|stack| stack["changes"].as_array().unwrap());
    let text = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
    changes.map(|change| (text(change, "action"), text(change, "address"))).collect()
}

fn append(lab: &Lab, file: &str, text: &str) {
    let old = lab.read(file);
    lab.write(file, &format!("{old}\n{text}"));
}

#[test]
fn a_state_whose_file_is_gone_is_named_and_destroyed_only_when_retired() {
    let lab = Lab::of("several");
    lab.apply(&[]);
    std::fs::remove_file(lab.path().join("stacks/wiki.yaml")).unwrap();
    lab.forget_requests();
    lab.run(&["plan"]).exits(0).says("the state of wiki has no stack file");
    lab.run(&["drift"]).exits(0).says("the state of wiki has no stack file");
    lab.run(&["apply", "--yes"])
        .exits(5)
        .says("the state of wiki has no stack file")
        .says("retired: [wiki]");
    assert!(lab.changes().is_empty());
    append(&lab, "boxctl.yaml", "retired: [wiki]\n");
    let planned = actions(&lab, &[]);
    assert!(
        !planned.is_empty() && planned.iter().all(|(action, _)| action == "delete"),
        "{planned:?}"
    );
    lab.apply(&[]);
    assert!(!lab.path().join("state/wiki.json").exists());
    lab.is_settled(&[]);
}

#[test]
fn what_leaves_the_file_is_deleted_forgotten_or_kept() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    std::fs::remove_file(lab.path().join("manifests/socket/pvc.yaml")).unwrap();
    std::fs::remove_file(lab.path().join("manifests/socket/priorityclass.yaml")).unwrap();
    std::fs::remove_file(lab.path().join("manifests/socket/application.yaml")).unwrap();
    append(
        &lab,
        "stacks/openhands.yaml",
        "forget: [k8s.Application.argoproj.io/argocd/openhands]\n",
    );
    assert_eq!(
        actions(&lab, &[]),
        [
            ("forget".into(), "k8s.Application.argoproj.io/argocd/openhands".into()),
            ("delete".into(), "k8s.PriorityClass/openhands-priority".to_owned()),
        ]
    );
    lab.run(&["plan"]).exits(0).says("kept");
    lab.apply(&[]);
    lab.is_settled(&[]);
    let application = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/openhands";
    lab.kubernetes("GET", application, None);
    let claims = "/api/v1/namespaces/openhands/persistentvolumeclaims";
    assert_eq!(lab.kubernetes("GET", claims, None)["items"].as_array().unwrap().len(), 2);
    let allowed = actions(&lab, &["--allow-protected", "k8s.PersistentVolumeClaim/**"]);
    let claim =
        |name: &str| ("delete".to_owned(), format!("k8s.PersistentVolumeClaim/openhands/{name}"));
    assert_eq!(allowed, [claim("openhands-data"), claim("openhands-state-pvc")]);
}

#[test]
fn a_renamed_service_and_a_renamed_stack_keep_what_they_have() {
    let lab = Lab::of("longform");
    lab.apply(&[]);
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"))["id"].clone();
    let file = std::fs::read_dir(lab.path().join("stacks")).unwrap().next().unwrap().unwrap();
    let name = file.file_name().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert!(text.contains("tunnel.openhands:"), "{text}");
    let renamed = text
        .replace("tunnel.openhands:", "tunnel.hands:")
        .replace("${tunnel.openhands.", "${tunnel.hands.");
    lab.write(&format!("stacks/{name}"), &renamed);
    let planned = actions(&lab, &[]);
    assert!(planned.is_empty(), "{planned:?}");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(lab.only(&lab.account("cfd_tunnel?is_deleted=false"))["id"], tunnel);
}

#[test]
fn a_target_comes_with_what_it_needs_and_an_exclusion_takes_what_needs_it() {
    let lab = Lab::of("openhands");
    let planned = |arguments: &[&str]| {
        let mut all: Vec<String> = actions(&lab, arguments).into_iter().map(|(_, a)| a).collect();
        all.sort();
        all
    };
    assert_eq!(
        planned(&["--target", "dns_record.*"]),
        [
            "access_application.openhands",
            "access_policy.openhands",
            "dns_record.openhands",
            "tunnel.openhands",
            "tunnel_config.openhands",
        ],
        "a record is never made without what guards its hostname"
    );
    let without = planned(&["--exclude", "access_application.*"]);
    for address in
        ["access_application.openhands", "tunnel_config.openhands", "dns_record.openhands"]
    {
        assert!(!without.contains(&address.to_owned()), "{without:?}");
    }
    assert!(without.contains(&"tunnel.openhands".to_owned()));
    lab.run(&["plan", "--target", "dns_record.x"]).exits(1).says("fits no resource");
    lab.apply(&["--target", "ssm_parameter.*"]);
    lab.apply(&[]);
    lab.is_settled(&[]);
}

#[test]
fn a_plan_that_deletes_a_large_part_is_refused_until_it_is_said_to_be_meant() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    for file in ["service", "external-secret", "priorityclass", "application", "deployment"] {
        std::fs::remove_file(lab.path().join(format!("manifests/socket/{file}.yaml"))).unwrap();
    }
    lab.run(&["apply", "--yes"]).exits(5).says("more than 30 %");
    lab.apply(&["--allow-large"]);
    lab.is_settled(&[]);
}

#[test]
fn a_hostname_keeps_its_guard_until_it_is_said_to_be_public() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let text = lab.read("stacks/openhands.yaml");
    let access = text.find("    access:").unwrap();
    let connector = text.find("    connector:").unwrap();
    let public = format!("{}    access: public\n{}", &text[..access], &text[connector..]);
    lab.write("stacks/openhands.yaml", &public);
    lab.run(&["apply", "--yes"]).exits(5).says("open to everyone");
    lab.only(&lab.account("access/apps"));
    lab.apply(&["--allow-public", "openhands.b0xp.io"]).says("open to everyone");
    lab.is_settled(&[]);
}

#[test]
fn a_guard_that_someone_deleted_is_named_and_mended_before_anything_else() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let application = lab.only(&lab.account("access/apps"));
    let path = lab.account(&format!("access/apps/{}", application["id"].as_str().unwrap()));
    lab.cloudflare("DELETE", &path, None);
    let record = lab.only(&lab.records());
    let record = format!("{}/{}", lab.records(), record["id"].as_str().unwrap());
    lab.cloudflare("PATCH", &record, Some(serde_json::json!({"comment": "x", "proxied": false})));
    lab.run(&["plan"]).exits(0).says("exposed");
    lab.forget_requests();
    lab.apply(&[]);
    let changes = lab.changes();
    let at = |text: &str| changes.iter().position(|c| c.contains(text)).unwrap();
    assert!(at("/access/apps") < at("/dns_records/"), "{changes:#?}");
    lab.is_settled(&[]);
}
