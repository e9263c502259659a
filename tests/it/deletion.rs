//! What is deleted: by whom it is held, what goes with it, and what is not made meanwhile.

use serde_json::{Value, json};

use crate::lab::Lab;

/// A lab whose only stack has these manifests, and whose deletions take a second at most.
fn lab(manifests: &str) -> Lab {
    let lab = Lab::of("openhands");
    lab.write("manifests/web.yaml", manifests);
    let stack = "namespace: web\nmanifests: [../manifests/web.yaml]\n\
                 settings: {\"k8s.*/**\": {protect: false, timeout: 1s}}\n";
    lab.write("stacks/openhands.yaml", stack);
    lab.edit("boxctl.yaml", "timing: {", "timing: {step: 1s, ");
    lab
}

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n---\n";
const MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n---\n";
const MAPS: &str = "/api/v1/namespaces/web/configmaps";

fn hold(lab: &Lab, path: &str) {
    lab.patch(path, json!({"metadata": {"finalizers": ["example.dev/hold"]}}));
}

fn release(lab: &Lab, path: &str) {
    lab.patch(path, json!({"metadata": {"finalizers": null}}));
}

#[test]
fn a_deletion_names_the_object_that_is_meant_and_waits_until_it_is_gone() {
    let lab = lab(&format!("{NAMESPACE}{MAP}"));
    lab.apply(&[]);
    lab.write("manifests/web.yaml", NAMESPACE);
    hold(&lab, &format!("{MAPS}/settings"));
    lab.run(&["apply", "--yes"])
        .exits(3)
        .says("deleting k8s.ConfigMap/web/settings failed")
        .says("it was not gone or done after 1 s: it is still there, held by example.dev/hold")
        .says("run it again");
    // It is still recorded, and the next run goes on.
    lab.run(&["plan", "--detailed-exitcode"]).exits(2).says("delete");
    release(&lab, &format!("{MAPS}/settings"));
    lab.apply(&[]);
    lab.is_settled(&[]);
}

#[test]
fn another_object_of_the_name_is_left_alone() {
    let lab = lab(&format!("{NAMESPACE}{MAP}"));
    lab.apply(&[]);
    lab.write("manifests/web.yaml", NAMESPACE);
    lab.run(&["plan", "--out", "p.json"]).exits(0);
    let map: Value =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}});
    lab.kubernetes("DELETE", &format!("{MAPS}/settings"), None);
    let made = lab.kubernetes("POST", MAPS, Some(("application/json", map)));
    lab.forget_requests();
    lab.run(&["apply", "--plan", "plans/p.json", "--yes"]).exits(0).says("is left alone");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    lab.is_settled(&[]);
    let there = lab.kubernetes("GET", &format!("{MAPS}/settings"), None);
    assert_eq!(there["metadata"]["uid"], made["metadata"]["uid"]);
}

#[test]
fn the_pods_that_use_a_claim_are_named() {
    let claim = "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";
    let lab = lab(&format!("{NAMESPACE}{claim}"));
    lab.apply(&[]);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "someones"}, "spec": {
        "containers": [{"name": "a", "image": "b"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}});
    let pods = "/api/v1/namespaces/web/pods";
    lab.kubernetes("POST", pods, Some(("application/json", pod)));
    lab.write("manifests/web.yaml", NAMESPACE);
    lab.run(&["apply", "--yes"])
        .exits(3)
        .says("held by kubernetes.io/pvc-protection")
        .says("the pod someones uses it");
    lab.kubernetes("DELETE", &format!("{pods}/someones?gracePeriodSeconds=0"), None);
    lab.apply(&[]);
    lab.is_settled(&[]);
}

#[test]
fn a_replacement_whose_old_object_is_held_goes_on_when_it_is_let_go() {
    let claim = "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";
    let lab = lab(&format!("{NAMESPACE}{claim}"));
    lab.apply(&[]);
    let path = "/api/v1/namespaces/web/persistentvolumeclaims/data";
    hold(&lab, path);
    lab.edit("manifests/web.yaml", "ReadWriteOnce", "ReadWriteMany");
    let ran = lab.run(&["apply", "--yes"]).exits(3).says("held by").says("not created anew, waits");
    assert!(!ran.err.contains(",,"), "{}", ran.err);
    // What a change of the old one comes to says nothing of the new one.
    let plan = lab.run(&["plan", "--detailed-exitcode"]).exits(2).says("it is waited for");
    assert!(!plan.out.contains("refused"), "{}", plan.out);
    lab.run(&["apply", "--yes"]).exits(1).says("has to be gone first").says("example.dev/hold");
    release(&lab, path);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let modes = &lab.kubernetes("GET", path, None)["spec"]["accessModes"];
    assert_eq!(modes, &json!(["ReadWriteMany"]));
}

#[test]
fn nothing_is_made_into_an_object_that_is_going() {
    let lab = lab(&format!("{NAMESPACE}{MAP}"));
    lab.apply(&[]);
    let path = format!("{MAPS}/settings");
    hold(&lab, &path);
    let old = lab.kubernetes("DELETE", &path, None);
    lab.forget_requests();
    lab.run(&["apply", "--yes"])
        .exits(1)
        .says("the one that is being deleted has to be gone first")
        .says("held by example.dev/hold");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    release(&lab, &path);
    lab.apply(&[]);
    let new = lab.kubernetes("GET", &path, None);
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    lab.is_settled(&[]);
}

#[test]
fn a_namespace_that_someone_deletes_is_waited_for_and_made_again_with_all_that_was_in_it() {
    let lab = lab(&format!("{NAMESPACE}{MAP}"));
    lab.apply(&[]);
    let guard = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "theirs", "finalizers": ["example.dev/hold"]}});
    lab.kubernetes("POST", MAPS, Some(("application/json", guard)));
    lab.kubernetes("DELETE", "/api/v1/namespaces/web", None);
    lab.run(&["apply", "--yes"])
        .exits(1)
        .says("creating k8s.Namespace/web failed")
        .says("has to be gone first")
        .says("example.dev/hold in 1 resource instances");
    release(&lab, &format!("{MAPS}/theirs"));
    lab.apply(&[]);
    lab.kubernetes("GET", &format!("{MAPS}/settings"), None);
    lab.is_settled(&[]);
}

#[test]
fn nothing_is_made_in_another_s_namespace_that_is_going() {
    let lab = lab(MAP);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}});
    lab.kubernetes("POST", "/api/v1/namespaces", Some(("application/json", namespace)));
    let guard = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "theirs", "finalizers": ["example.dev/hold"]}});
    lab.kubernetes("POST", MAPS, Some(("application/json", guard)));
    lab.kubernetes("DELETE", "/api/v1/namespaces/web", None);
    lab.forget_requests();
    lab.run(&["apply", "--yes"])
        .exits(1)
        .says("because it is being terminated")
        .says("wait until the namespace is gone");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
}

#[test]
fn a_namespace_is_watched_until_it_is_gone_and_says_what_it_still_has() {
    let lab = lab(&format!("{NAMESPACE}{MAP}"));
    lab.apply(&[]);
    hold(&lab, &format!("{MAPS}/settings"));
    let destroy = ["destroy", "openhands", "--yes", "--allow-protected", "**"];
    lab.run(&destroy).exits(3).says("held by example.dev/hold");
    // The namespace is not deleted before what is held in it.
    lab.kubernetes("GET", "/api/v1/namespaces/web", None);
    release(&lab, &format!("{MAPS}/settings"));
    lab.run(&destroy).exits(0);
    let left = lab.kubernetes("GET", "/api/v1/namespaces", None);
    let names: Vec<&str> = left["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|n| n["metadata"]["name"].as_str())
        .collect();
    assert!(!names.contains(&"web"), "{names:?}");
}

#[test]
fn what_is_going_anyway_does_not_keep_a_namespace() {
    let lab = lab(NAMESPACE);
    lab.apply(&[]);
    let map =
        |metadata: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    let post = |body: Value| lab.kubernetes("POST", MAPS, Some(("application/json", body)));
    post(map(json!({"name": "ending", "finalizers": ["example.dev/hold"]})));
    lab.kubernetes("DELETE", &format!("{MAPS}/ending"), None);
    let destroy = ["destroy", "openhands", "--yes", "--allow-protected", "**"];
    lab.run(&destroy).exits(3).says("example.dev/hold in 1 resource instances");
    release(&lab, &format!("{MAPS}/ending"));
    lab.run(&destroy).exits(0);
}
