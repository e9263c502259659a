//! What a plan knows of a cluster, how it came to know it, and what that cost.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::lab::Lab;

/// The confidence of each change, and why where it is unchecked.
fn confidence(plan: &Value, address: &str) -> (String, String) {
    let changes = plan["stacks"][0]["changes"].as_array().unwrap();
    let change = changes.iter().find(|change| change["address"] == address);
    let change = change.unwrap_or_else(|| panic!("{address} does not change"));
    let text = |key: &str| change[key].as_str().unwrap_or_default().to_owned();
    (text("confidence"), text("unchecked"))
}

#[test]
fn a_plan_says_of_each_object_how_sure_it_is() {
    let lab = Lab::of("openhands");
    let first = lab.run(&["plan", "--json"]).exits(0).json();
    let (sure, why) = confidence(&first, "k8s.Service/openhands/openhands-service");
    assert_eq!(
        (sure.as_str(), why.as_str()),
        ("unchecked", "before k8s.Namespace/openhands is there")
    );
    assert_eq!(confidence(&first, "k8s.PriorityClass/openhands-priority").0, "checked");
    assert_eq!(confidence(&first, "tunnel.openhands").0, "new");
    lab.apply(&[]);
    lab.edit("manifests/socket/service.yaml", "targetPort: 3000", "targetPort: 3001");
    lab.write(
        "manifests/socket/more.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: openhands}\n",
    );
    lab.run(&["plan"])
        .exits(0)
        .says("k8s.Service/openhands/openhands-service (checked by the server)");
    let second = lab.run(&["plan", "--json"]).json();
    assert_eq!(confidence(&second, "k8s.ConfigMap/openhands/a").0, "checked");
}

#[test]
fn a_kind_that_the_cluster_does_not_serve_is_named_where_it_is_asked_for() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let widget =
        "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w, namespace: openhands}\n";
    lab.write("manifests/socket/more.yaml", widget);
    let plan = lab.run(&["plan"]).exits(0);
    let plan = plan.says("warning[not-served]").says("manifests/socket/more.yaml:1:1");
    plan.says("the cluster does not serve Widget in example.org/v1");
    // What does not hang on it goes on.
    lab.edit("manifests/socket/service.yaml", "targetPort: 3000", "targetPort: 3001");
    lab.run(&["apply", "--yes"]).exits(3).says("k8s.Widget.example.org/openhands/w failed");
    let service = "/api/v1/namespaces/openhands/services/openhands-service";
    assert_eq!(lab.kubernetes("GET", service, None)["spec"]["ports"][0]["targetPort"], 3001);
    lab.write(
        "manifests/socket/more.yaml",
        "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: d, namespace: openhands}\n",
    );
    lab.forget_requests();
    let refused = lab.run(&["apply", "--yes"]).exits(1);
    refused.says("write `apiVersion: apps/v1`").says("manifests/socket/more.yaml:1:1");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
}

/// A definition of Widgets that serves these versions.
fn widgets(versions: &[(&str, bool)]) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let versions: Vec<Value> = (versions.iter())
        .map(|(name, served)| {
            json!({"name": name, "served": served, "storage": *name == "v1", "schema": schema})
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced", "versions": versions,
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
        },
    })
}

#[test]
fn an_object_whose_version_is_served_no_more_is_neither_gone_nor_made_twice() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.org";
    let put = |versions: &[(&str, bool)]| {
        let body = Some(("application/apply-patch+yaml", widgets(versions)));
        lab.kubernetes("PATCH", &format!("{path}?fieldManager=another&force=true"), body);
    };
    put(&[("v1", true), ("v1alpha1", true)]);
    lab.write(
        "manifests/socket/more.yaml",
        "apiVersion: example.org/v1alpha1\nkind: Widget\nmetadata: {name: w, namespace: openhands}\nspec: {a: 1}\n",
    );
    lab.apply(&[]);
    lab.is_settled(&[]);
    put(&[("v1", true), ("v1alpha1", false)]);
    lab.run(&["drift"]).exits(0);
    lab.is_settled(&[]);
    lab.edit("manifests/socket/more.yaml", "a: 1", "a: 2");
    lab.run(&["plan"]).exits(1).says("write `apiVersion: example.org/v1`");
    lab.edit("manifests/socket/more.yaml", "v1alpha1", "v1");
    lab.apply(&[]);
    let object = "/apis/example.org/v1/namespaces/openhands/widgets/w";
    assert_eq!(lab.kubernetes("GET", object, None)["spec"]["a"], 2);
    lab.is_settled(&[]);
}

#[test]
fn a_cluster_that_is_down_leaves_out_its_objects_and_nothing_else() {
    let mut lab = Lab::of("openhands");
    lab.apply(&[]);
    let config = lab.read(".boxctl/sandbox/kubeconfig");
    let at = config.find("server:").unwrap();
    let server = config[at..].lines().next().unwrap();
    let dead = lab.path().join("down.kubeconfig");
    std::fs::write(&dead, config.replace(server, "server: http://127.0.0.1:9")).unwrap();
    let alive = lab.variable("KUBECONFIG").to_owned();
    lab.set("KUBECONFIG", dead.to_str().unwrap());
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 6h");
    lab.forget_requests();
    let plan = lab.run(&["plan"]).exits(1);
    let plan =
        plan.says("error[unreachable]: Kubernetes could not be reached").says("could not be read");
    plan.says("k8s.Deployment/openhands/cloudflared").says("update  access_application.openhands");
    let json = lab.run(&["plan", "--json"]).exits(1).json();
    let checks = json["stacks"][0]["checks"].as_array().unwrap();
    let unread = checks.iter().filter(|check| check["code"] == "unreadable");
    assert_eq!(unread.count(), 9);
    lab.run(&["drift"]).exits(1).says("What could be read is as it was recorded");
    lab.run(&["apply", "--yes"]).exits(1);
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    // What is meant to be done without the cluster can be.
    lab.apply(&["--target", "access_application.openhands"]);
    lab.set("KUBECONFIG", &alive);
    lab.is_settled(&[]);
}

#[test]
fn five_hundred_objects_are_planned_from_one_list_a_kind_and_namespace() {
    let lab = Lab::of("openhands");
    lab.run(&["sandbox", "env"]).exits(0);
    let (mut manifests, namespaces) = (String::new(), 20);
    for space in 0..namespaces {
        let _ = write!(
            manifests,
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{space}}}\n"
        );
        for at in 0..12 {
            let head = |kind: &str| {
                format!("kind: {kind}\nmetadata: {{name: o{at}, namespace: n{space}}}\n")
            };
            let _ = write!(manifests, "---\napiVersion: v1\n{}data: {{a: b}}\n", head("ConfigMap"));
            let _ = write!(
                manifests,
                "---\napiVersion: v1\n{}spec: {{selector: {{app: a}}, ports: [{{port: 80}}]}}\n",
                head("Service")
            );
        }
    }
    for entry in std::fs::read_dir(lab.path().join("manifests/socket")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    lab.write("manifests/socket/all.yaml", &manifests);
    lab.write("stacks/openhands.yaml", "manifests: [../manifests/socket]\n");
    lab.apply(&["--no-wait"]).says("500 created");
    lab.forget_requests();
    let plan = lab.is_settled(&["--json"]).json();
    let requests = lab.requests();
    let path = |request: &Value| request["path"].as_str().unwrap().to_owned();
    let lists: Vec<String> = requests
        .iter()
        .map(path)
        .filter(|path| path.ends_with("s") && path.contains("/api/v1/"))
        .collect();
    // Namespaces, and two kinds in each of them.
    assert_eq!(lists.len(), 1 + 2 * namespaces, "{lists:?}");
    // Discovery, and what tells the cluster from others.
    assert_eq!(requests.len(), lists.len() + 3, "{requests:?}");
    assert!(requests.iter().all(|request| request["method"] == "GET"), "a dry-run was asked for");
    assert_eq!(plan["requests"]["kubernetes"], requests.len());
}
