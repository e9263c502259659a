//! Objects that other tools keep: named, left, and taken only where that is said.

use serde_json::{Value, json};

use crate::lab::Lab;

const MAP: &str = "/api/v1/namespaces/default/configmaps/x";
const FILE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\ndata: {a: \"1\"}\n";

/// A project with one ConfigMap, of the cluster alone.
fn lab() -> Lab {
    let lab = Lab::of("connector");
    lab.write("stacks/hello.yaml", "manifests: [../manifests]\n");
    lab.write("manifests/hello.yaml", FILE);
    lab
}

fn made_by(lab: &Lab, manager: &str, labels: Value, annotations: Value) {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"},
        "metadata": {"name": "x", "namespace": "default", "labels": labels, "annotations": annotations},
    });
    let path = format!("{MAP}?fieldManager={manager}");
    lab.kubernetes("PATCH", &path, Some(("application/apply-patch+yaml", object)));
}

#[test]
fn an_object_of_another_tool_is_foreign_until_it_is_adopted_by_name() {
    let lab = lab();
    let none = json!({});
    for (manager, labels, annotations, tool) in [
        (
            "argocd-controller",
            none.clone(),
            json!({"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:default/x"}),
            "Argo CD (application shop)",
        ),
        (
            "argocd-controller",
            json!({"app.kubernetes.io/instance": "shop"}),
            none.clone(),
            "Argo CD (application shop)",
        ),
        (
            "kustomize-controller",
            json!({"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}),
            none.clone(),
            "Flux (Kustomization apps)",
        ),
        (
            "helm-controller",
            json!({"helm.toolkit.fluxcd.io/name": "shop"}),
            none.clone(),
            "Flux (HelmRelease shop)",
        ),
        (
            "kapp-server",
            json!({"kapp.k14s.io/app": "1700000000"}),
            none.clone(),
            "kapp (app 1700000000)",
        ),
        (
            "helm",
            json!({"app.kubernetes.io/managed-by": "Helm"}),
            json!({"meta.helm.sh/release-name": "shop"}),
            "Helm (release shop)",
        ),
    ] {
        made_by(&lab, manager, labels, annotations);
        lab.forget_requests();
        // Identical, and still not boxctl's: neither the flag nor a pattern takes it.
        lab.write(
            "stacks/hello.yaml",
            "manifests: [../manifests]\nsettings: {'k8s.ConfigMap/**': {adopt: true}}\n",
        );
        lab.run(&["apply", "--yes", "--adopt"]).exits(5).says("foreign").says(tool);
        assert_eq!(lab.changes(), Vec::<String>::new(), "{tool}");
        lab.write(
            "stacks/hello.yaml",
            "manifests: [../manifests]\nsettings: {k8s.ConfigMap/default/x: {adopt: true}}\n",
        );
        // The tool's mark goes with the rest that the file does not have.
        lab.apply(&[]);
        assert!(!lab.is_settled(&[]).out.contains("two-owners"), "{tool}");
        lab.run(&["destroy", "hello", "--yes"]).exits(0);
    }
}

#[test]
fn without_a_tools_own_manager_an_instance_label_is_no_mark() {
    let lab = lab();
    made_by(&lab, "kubectl", json!({"app.kubernetes.io/instance": "shop"}), json!({}));
    let refused = lab.run(&["apply", "--yes"]).exits(5).says("conflict");
    assert!(!refused.out.contains("foreign"), "{}", refused.out);
    lab.write(
        "stacks/hello.yaml",
        "manifests: [../manifests]\nsettings: {'k8s.ConfigMap/**': {adopt: true}}\n",
    );
    lab.apply(&[]);
    let settled = lab.is_settled(&[]);
    assert!(!settled.out.contains("two-owners"), "{}", settled.out);
}

#[test]
fn however_many_objects_two_tools_keep_that_is_one_warning() {
    let lab = lab();
    let two = FILE.replace("name: x", "name: second");
    lab.write("manifests/hello.yaml", &format!("{FILE}---\n{two}"));
    lab.write("stacks/more.yaml", "manifests: [../more.yaml]\n");
    lab.write("more.yaml", &FILE.replace("name: x", "name: third"));
    lab.apply(&[]);
    for name in ["x", "second", "third"] {
        let mark = json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:default/x"}}});
        lab.patch(&MAP.replace("/x", &format!("/{name}")), mark);
    }
    for command in [&["plan"][..], &["drift"], &["apply", "--yes"]] {
        let ran = lab.run(command).exits(0).says("3 objects are tracked by another tool as well");
        let all = format!("{}{}", ran.out, ran.err);
        assert_eq!(all.matches("two-owners").count(), 1, "{command:?}: {all}");
    }
    lab.write(
        "stacks/more.yaml",
        "manifests: [../more.yaml]\naccept: {two-owners: Argo CD shows it only}\n",
    );
    lab.write(
        "stacks/hello.yaml",
        "manifests: [../manifests]\naccept: {two-owners: Argo CD shows it only}\n",
    );
    for command in [&["plan"][..], &["drift"]] {
        let ran = lab.run(command).exits(0);
        assert!(!ran.out.contains("two-owners"), "{command:?}: {}", ran.out);
    }
}

#[test]
fn what_waits_for_a_value_of_another_tools_object_says_so() {
    let lab = lab();
    let text = "manifests: [{path: ../manifests, applied_by: argocd}]\nresources:\n  \
                k8s.ConfigMap/default/y: {apiVersion: v1, kind: ConfigMap, metadata: {name: y, \
                namespace: default}, data: {of: '${k8s.ConfigMap/default/x.uid}'}}\n";
    lab.write("stacks/hello.yaml", text);
    lab.run(&["apply", "--yes"]).exits(1).says("needs a value of k8s.ConfigMap/default/x");
    made_by(&lab, "argocd-controller", json!({}), json!({}));
    lab.apply(&[]);
    lab.is_settled(&[]).says("in sync");
    // One object of many, back in boxctl's hands: it asks first.
    lab.write(
        "stacks/hello.yaml",
        &format!("{text}settings: {{k8s.ConfigMap/default/x: {{applied_by: boxctl}}}}\n"),
    );
    lab.run(&["apply", "--yes"]).exits(5).says("--adopt");
    lab.apply(&["--adopt"]);
    lab.is_settled(&[]);
}
