//! Server-side apply that gets through: what a real API server refuses, and the calls that it
//! takes instead, as they were recorded.

use serde_json::{Value, json};

use crate::kill::{Point, kill};
use crate::lab::Lab;

const MANIFESTS: &str = "manifests/socket";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/openhands/deployments/openhands";
const CLAIM: &str = "/api/v1/namespaces/openhands/persistentvolumeclaims/pinned";
const APPLY: &str = "application/apply-patch+yaml";

/// What changed an object, or was refused to: method, field manager, whether forced, status.
fn calls(lab: &Lab, path: &str) -> Vec<(String, String, bool, u64)> {
    let each = lab.requests().into_iter().filter(|request| request["mutating"] == true);
    each.filter(|request| request["path"] == path)
        .map(|request| {
            let query = request["query"].as_str().unwrap_or_default().to_owned();
            let query = url::form_urlencoded::parse(query.as_bytes());
            let query: Vec<(String, String)> = query.into_owned().collect();
            let of = |name: &str| {
                query.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value).to_owned()
            };
            (
                request["method"].as_str().unwrap().to_owned(),
                of("fieldManager"),
                of("force") == "true",
                request["status"].as_u64().unwrap(),
            )
        })
        .collect()
}

/// A recording's requests that were no dry-run, as [`calls`] tells them.
fn recorded(file: &str) -> Vec<(String, String, bool, u64)> {
    let path = format!("{}/tests/recordings/kubernetes/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["request"]["method"] == "PATCH")
        .map(|line| {
            (
                "PATCH".to_owned(),
                line["request"]["query"]["fieldManager"].as_str().unwrap().to_owned(),
                line["request"]["query"]["force"] == "true",
                line["response"]["status"].as_u64().unwrap(),
            )
        })
        .collect()
}

/// A volume that only this claim may have, and the claim.
fn pinned(lab: &Lab) {
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": "pvc-1234"},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"},
            "storageClassName": "longhorn", "csi": {"driver": "x", "volumeHandle": "y"}}});
    let path = "/api/v1/persistentvolumes?fieldManager=someone";
    lab.kubernetes("POST", path, Some(("application/json", volume)));
    lab.write(&format!("{MANIFESTS}/pinned.yaml"), PINNED);
}

const PINNED: &str = "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: pinned, namespace: openhands}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: longhorn
  resources: {requests: {storage: 5Gi}}
  volumeName: pvc-1234
";

fn owners(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().map(|entry| entry["manager"].as_str().unwrap()).collect()
}

fn fields<'a>(plan: &'a Value, address: &str) -> Vec<&'a Value> {
    let changes = plan["stacks"][0]["changes"].as_array().unwrap();
    let change = changes.iter().find(|change| change["address"] == address);
    change.unwrap_or_else(|| panic!("{address}: {plan:#}"))["fields"]
        .as_array()
        .unwrap()
        .iter()
        .collect()
}

#[test]
fn a_stack_is_made_moved_rolled_back_and_loses_a_field_as_recorded() {
    let lab = Lab::with("openhands", &["--journal", "state/openhands.journal"]);
    let socket = ["--var", "runtime=socket"];
    let dind = ["--var", "runtime=dind"];
    lab.apply(&socket);
    lab.is_settled(&socket);
    let switch = recorded("12-strategy-switch-by-claim-and-drop.jsonl");
    assert_eq!(calls(&lab, DEPLOYMENT), switch[..1]);

    lab.forget_requests();
    lab.apply(&dind);
    lab.is_settled(&dind);
    assert_eq!(calls(&lab, DEPLOYMENT), switch[1..4], "refused, claimed, dropped");
    let live = lab.kubernetes("GET", DEPLOYMENT, None);
    assert_eq!(live["spec"]["strategy"], json!({"type": "Recreate"}));

    lab.forget_requests();
    lab.apply(&socket);
    lab.is_settled(&socket);
    assert_eq!(calls(&lab, DEPLOYMENT), switch[4..]);
    let live = lab.kubernetes("GET", DEPLOYMENT, None);
    assert_eq!(live["spec"]["strategy"]["type"], "RollingUpdate");
}

#[test]
fn an_immutable_field_that_leaves_the_manifest_stays_as_it_is_as_recorded() {
    let mut lab = Lab::of("openhands");
    pinned(&lab);
    lab.restart(&["--journal", "state/openhands.journal"]);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let drop = recorded("13-drop-an-immutable-field.jsonl");
    assert_eq!(calls(&lab, CLAIM), drop[..1]);

    let file = format!("{MANIFESTS}/pinned.yaml");
    lab.edit(&file, "  volumeName: pvc-1234\n", "");
    let plan = lab.run(&["plan", "--json"]).exits(0).json();
    let found = fields(&plan, "k8s.PersistentVolumeClaim/openhands/pinned");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["path"], "spec.volumeName");
    assert_eq!(found[0]["after"], "pvc-1234");
    assert!(found[0]["note"].as_str().unwrap().contains("it stays"), "{found:?}");

    lab.forget_requests();
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    assert_eq!(calls(&lab, CLAIM), drop[1..], "refused, handed over, dropped");
    let live = lab.kubernetes("GET", CLAIM, None);
    assert_eq!(live["spec"]["volumeName"], "pvc-1234");
    assert!(owners(&live).contains(&"boxctl-retained"), "{live:#}");

    // It comes back, and is boxctl's alone again.
    lab.write(&file, PINNED);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let live = lab.kubernetes("GET", CLAIM, None);
    assert!(!owners(&live).contains(&"boxctl-retained"), "{live:#}");

    // It leaves together with a label, which goes.
    lab.edit(&file, "name: pinned,", "name: pinned, labels: {a: b},");
    lab.apply(&[]);
    lab.edit(&file, " labels: {a: b},", "");
    lab.edit(&file, "  volumeName: pvc-1234\n", "");
    lab.apply(&[]);
    lab.is_settled(&[]);
    let live = lab.kubernetes("GET", CLAIM, None);
    assert_eq!(live["spec"]["volumeName"], "pvc-1234");
    assert_eq!(live["metadata"]["labels"], Value::Null);
    lab.run(&["destroy", "openhands", "--yes", "--allow-protected", "**"]).exits(0);
}

#[test]
fn an_immutable_field_that_changes_is_a_loud_replacement_of_what_may_go() {
    let lab = Lab::of("openhands");
    pinned(&lab);
    lab.apply(&[]);
    let file = format!("{MANIFESTS}/pinned.yaml");
    lab.edit(&file, "storageClassName: longhorn", "storageClassName: other");
    lab.forget_requests();
    let address = "k8s.PersistentVolumeClaim/openhands/pinned";
    let refused = lab.run(&["apply", "--yes"]).exits(5);
    let refused = refused.says("protected").says("DATA LOSS").says("--allow-protected");
    refused.says(address);
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    let plan = lab.run(&["plan", "--json"]).json();
    let checks = plan["stacks"][0]["checks"].as_array().unwrap();
    let loss = checks.iter().find(|check| check["code"] == "data-loss").unwrap();
    assert_eq!(loss["address"], address);
    assert!(loss["file"].as_str().unwrap().ends_with("pinned.yaml"), "{loss:#}");
    let reason = plan["stacks"][0]["changes"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("spec.storageClassName") && reason.contains("data loss"), "{reason}");

    // What holds no data is replaced as soon as it is asked for.
    let lab = Lab::of("openhands");
    let binding = |name: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: b, namespace: openhands}}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\nsubjects: [{{kind: ServiceAccount, name: default, namespace: openhands}}]\n"
        )
    };
    let file = format!("{MANIFESTS}/binding.yaml");
    lab.write(&file, &binding("view"));
    lab.apply(&[]);
    lab.write(&file, &binding("edit"));
    let plan = lab.run(&["plan", "--json"]).exits(0).json();
    assert_eq!(plan["stacks"][0]["changes"][0]["action"], "replace");
    lab.apply(&[]);
    lab.is_settled(&[]);
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/openhands/rolebindings/b";
    assert_eq!(lab.kubernetes("GET", path, None)["roleRef"]["name"], "edit");
}

#[test]
fn a_conflict_says_who_since_when_and_what_boxctl_would_set() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "openhands", "namespace": "openhands"}, "spec": {"replicas": 0}});
    let path = format!("{DEPLOYMENT}/scale?fieldManager=hpa");
    lab.kubernetes("PUT", &path, Some(("application/json", scale)));
    let edit = json!({"metadata": {"labels": {"tier": "theirs"}}});
    let live = lab.patch(DEPLOYMENT, edit);
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    let theirs = entries.iter().find(|entry| entry["manager"] == "someone").unwrap();
    let since = theirs["time"].as_str().unwrap();
    let file = "manifests/socket/deployment.yaml";
    lab.edit(
        file,
        "metadata:\n  name: openhands\n",
        "metadata:\n  labels: {tier: ours}\n  name: openhands\n",
    );
    let told = [
        format!("`metadata.labels.tier` belongs to someone since {since}"),
        "it is \"theirs\", and the files want \"ours\"".to_owned(),
        "`spec.replicas` belongs to hpa, written through /scale".to_owned(),
        "it is 0, and the files want 1".to_owned(),
    ];
    lab.forget_requests();
    let refused = lab.run(&["apply", "--yes"]).exits(5);
    let text = format!("{}{}", refused.out, refused.err);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    told.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    let plan = lab.run(&["plan", "--json"]).json();
    let checks = plan["stacks"][0]["checks"].as_array().unwrap();
    let conflicts = checks.iter().filter(|check| check["code"] == "conflict");
    let said: Vec<String> = conflicts
        .map(|check| {
            format!(
                "{} {}",
                check["message"].as_str().unwrap(),
                check["causes"][0].as_str().unwrap()
            )
        })
        .collect();
    let said = said.join(" ");
    told.iter().for_each(|part| assert!(said.contains(part), "{part}: {said}"));
    let stack = lab.read("stacks/openhands.yaml");
    let force = "settings:\n  k8s.Deployment/openhands/openhands: {force: [spec.replicas, metadata.labels.tier]}\n";
    lab.write("stacks/openhands.yaml", &format!("{stack}\n{force}"));
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(lab.kubernetes("GET", DEPLOYMENT, None)["spec"]["replicas"], 1);
}

/// An object as `kubectl apply` without `--server-side` makes it: POST, and a note of the manifest.
fn applied_by_kubectl(lab: &Lab, collection: &str, mut object: Value) {
    let note = object.to_string();
    object["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": note});
    let path = format!("{collection}?fieldManager=kubectl-client-side-apply");
    lab.kubernetes("POST", &path, Some(("application/json", object)));
}

const ADOPTED: &str = "/api/v1/namespaces/openhands/configmaps/old";
const MAP: &str = "/api/v1/namespaces/openhands/configmaps";

fn map(data: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: old, namespace: openhands}}\ndata: {data}\n"
    )
}

fn map_of(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "old", "namespace": "openhands"}, "data": data})
}

#[test]
fn what_kubectl_applied_is_adopted_with_all_that_is_owned_of_it() {
    let mut lab = Lab::of("openhands");
    lab.apply(&[]);
    applied_by_kubectl(&lab, MAP, map_of(&json!({"k": "v", "l": "w"})));
    let file = format!("{MANIFESTS}/old.yaml");
    lab.write(&file, &map("{k: v, l: w}"));
    lab.restart(&["--journal", "state/openhands.journal"]);
    lab.run(&["apply", "--yes"]).exits(5).says("--adopt");
    lab.run(&["plan", "--adopt"]).exits(0).says("kubectl-client-side-apply");
    lab.apply(&["--adopt"]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    let live = lab.kubernetes("GET", &format!("{MAP}/old"), None);
    assert_eq!(owners(&live), ["boxctl"]);
    assert_eq!(live["metadata"]["annotations"], Value::Null, "kubectl's note would be wrong");
    assert_eq!(live["data"], json!({"k": "v", "l": "w"}));
    // And what leaves the manifest goes.
    lab.write(&file, &map("{k: v}"));
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(lab.kubernetes("GET", &format!("{MAP}/old"), None)["data"], json!({"k": "v"}));
}

#[test]
fn what_kubectl_applied_and_the_manifest_has_no_more_is_a_difference_that_goes() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    applied_by_kubectl(&lab, MAP, map_of(&json!({"k": "v", "other": "x"})));
    let edit = json!({"metadata": {"labels": {"theirs": "stays"}}});
    lab.patch(&format!("{MAP}/old"), edit);
    lab.write(&format!("{MANIFESTS}/old.yaml"), &map("{k: v}"));
    let refused = lab.run(&["apply", "--yes", "--adopt"]).exits(5);
    refused.says("k8s.ConfigMap/openhands/old").says("data.other").says("adopt: true");
    let stack = lab.read("stacks/openhands.yaml");
    let adopt = "settings:\n  k8s.ConfigMap/openhands/old: {adopt: true}\n";
    lab.write("stacks/openhands.yaml", &format!("{stack}\n{adopt}"));
    let plan = lab.run(&["plan", "--json"]).exits(0).json();
    let found = fields(&plan, "k8s.ConfigMap/openhands/old");
    let other = found.iter().find(|field| field["path"] == "data.other").unwrap();
    assert_eq!(other["by"], "kubectl-client-side-apply");
    assert_eq!(other["after"], Value::Null);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let live = lab.kubernetes("GET", &format!("{MAP}/old"), None);
    assert_eq!(live["data"], json!({"k": "v"}));
    assert_eq!(live["metadata"]["labels"], json!({"theirs": "stays"}));
}

/// The seeds' own Deployment, made by another tool as it is in the files; then it moves to Docker
/// in Docker while it is taken over.
#[test]
fn a_workload_of_kubectl_or_helm_is_adopted_and_moved_at_once() {
    for (manager, operation) in
        [("kubectl-client-side-apply", "POST"), ("helm", "POST"), ("helm", "PATCH")]
    {
        let lab = Lab::of("openhands");
        let target = ["--target", "k8s.*/**", "--exclude", "k8s.Deployment/openhands/openhands"];
        lab.apply(&target);
        let manifest: Value =
            serde_saphyr::from_str(&lab.read("manifests/socket/deployment.yaml")).unwrap();
        let collection = "/apis/apps/v1/namespaces/openhands/deployments";
        match operation {
            "POST" if manager == "helm" => {
                let path = format!("{collection}?fieldManager={manager}");
                lab.kubernetes("POST", &path, Some(("application/json", manifest)));
            }
            "POST" => applied_by_kubectl(&lab, collection, manifest),
            _ => {
                let path = format!("{DEPLOYMENT}?fieldManager={manager}");
                lab.kubernetes("PATCH", &path, Some((APPLY, manifest)));
            }
        }
        let stack = lab.read("stacks/openhands.yaml");
        let adopt = "settings:\n  k8s.Deployment/openhands/openhands: {adopt: true}\n";
        lab.write("stacks/openhands.yaml", &format!("{stack}\n{adopt}"));
        let dind = ["--var", "runtime=dind"];
        lab.apply(&dind);
        lab.is_settled(&dind);
        let live = lab.kubernetes("GET", DEPLOYMENT, None);
        assert_eq!(live["spec"]["strategy"], json!({"type": "Recreate"}), "{manager} {operation}");
        assert!(!owners(&live).contains(&manager), "{live:#}");
        let text = live["spec"]["template"].to_string();
        assert!(!text.contains("docker-sock"), "{manager} {operation}: {text}");
    }
}

#[test]
fn a_default_in_an_item_that_excludes_what_is_wanted_now_is_claimed_and_dropped() {
    let lab = Lab::of("openhands");
    let file = format!("{MANIFESTS}/volumes.yaml");
    let pods = |volume: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: volumes, namespace: openhands}}\nspec:\n  selector: {{matchLabels: {{app: v}}}}\n  template:\n    metadata: {{labels: {{app: v}}}}\n    spec:\n      containers: [{{name: c, image: nginx}}]\n      volumes:\n        - {{name: first, configMap: {{name: kube-root-ca.crt}}}}\n        - {volume}\n"
        )
    };
    lab.write(&file, &pods("{name: second}"));
    lab.apply(&[]);
    lab.write(&file, &pods("{name: second, configMap: {name: kube-root-ca.crt}}"));
    let path = "/apis/apps/v1/namespaces/openhands/deployments/volumes";
    let plan = lab.run(&["plan", "--json"]).exits(0).json();
    let found = fields(&plan, "k8s.Deployment/openhands/volumes");
    let told = found.iter().find(|field| field["note"].is_string()).unwrap();
    assert_eq!(told["path"], r#"spec.template.spec.volumes[name="second"].emptyDir"#);
    lab.forget_requests();
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(calls(&lab, path).len(), 3);
    let second =
        lab.kubernetes("GET", path, None)["spec"]["template"]["spec"]["volumes"][1].clone();
    assert_eq!(second["emptyDir"], Value::Null);
    lab.write(&file, &pods("{name: second}"));
    lab.apply(&[]);
    lab.is_settled(&[]);
    let second =
        lab.kubernetes("GET", path, None)["spec"]["template"]["spec"]["volumes"][1].clone();
    assert_eq!(second, json!({"name": "second", "emptyDir": {}}));
}

/// What boxctl is killed in the middle of, and the object that it is about.
struct Way {
    prepare: fn(&Lab),
    arguments: &'static [&'static str],
    path: &'static str,
    calls: usize,
}

/// Killed before or after any of its calls, the next apply ends where the first would have.
#[test]
fn killed_between_claim_and_drop_it_ends_where_it_would_have_ended() {
    let ways = [
        Way {
            prepare: |lab| {
                lab.edit(&format!("{MANIFESTS}/pinned.yaml"), "  volumeName: pvc-1234\n", "");
            },
            arguments: &["--target", "k8s.PersistentVolumeClaim/openhands/pinned"],
            path: CLAIM,
            calls: 3,
        },
        Way {
            prepare: |lab| {
                lab.edit(
                    "manifests/socket/deployment.yaml",
                    "  replicas: 1\n",
                    "  replicas: 1\n  strategy: {type: Recreate}\n",
                )
            },
            arguments: &["--target", "k8s.Deployment/openhands/openhands"],
            path: DEPLOYMENT,
            calls: 3,
        },
        Way {
            prepare: |lab| {
                applied_by_kubectl(lab, MAP, map_of(&json!({"k": "v", "other": "x"})));
                lab.write(&format!("{MANIFESTS}/old.yaml"), &map("{k: w}"));
                let stack = lab.read("stacks/openhands.yaml");
                let adopt = "settings:\n  k8s.ConfigMap/openhands/old: {adopt: true}\n";
                lab.write("stacks/openhands.yaml", &format!("{stack}\n{adopt}"));
            },
            arguments: &["--target", "k8s.ConfigMap/openhands/old"],
            path: ADOPTED,
            calls: 2,
        },
    ];
    let base = Lab::hasty("openhands", &[]);
    pinned(&base);
    base.apply(&[]);
    for way in ways {
        let start = base.copy(&[]);
        (way.prepare)(&start);
        let arguments = [&["apply", "--yes"], way.arguments].concat();
        let undisturbed = start.copy(&[]);
        undisturbed.forget_requests();
        undisturbed.run(&arguments).exits(0);
        assert_eq!(calls(&undisturbed, way.path).len(), way.calls, "{}", way.path);
        let end = outline(undisturbed.kubernetes("GET", way.path, None));
        for at in 1..=way.calls {
            for point in [Point::Before(at), Point::After(at)] {
                let mut lab = start.copy(&[]);
                let mut ran = Vec::new();
                assert!(kill(&mut lab, &arguments, point, &mut ran), "{} {point:?}", way.path);
                lab.run(&arguments).exits(0);
                lab.is_settled(way.arguments);
                let found = outline(lab.kubernetes("GET", way.path, None));
                assert_eq!(found, end, "{} {point:?}", way.path);
            }
        }
    }
}

/// What an object is and whose, without times and versions.
fn outline(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    for key in ["resourceVersion", "generation", "uid", "creationTimestamp"] {
        metadata.remove(key);
    }
    for entry in metadata["managedFields"].as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("time");
    }
    let order = |entry: &Value| entry.to_string();
    metadata["managedFields"].as_array_mut().unwrap().sort_by_key(order);
    object.as_object_mut().unwrap().remove("status");
    object
}
