//! kubectl and the official Kubernetes client for Python, unchanged, against the sandbox.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::tools::is_there;

const WEB: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {level: '1'}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  progressDeadlineSeconds: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: 'nginx:1'}]}
";

/// A cluster whose containers take a while, and kubectl beside it.
struct Cluster {
    lab: Lab,
}

impl Cluster {
    /// `None` where there is no kubectl.
    fn new() -> Option<Self> {
        is_there("kubectl", &["version", "--client"]).then(|| {
            let lab = Lab::with("openhands", &["--ready-after", "300"]);
            lab.write("web.yaml", WEB);
            lab.write("changed.yaml", &WEB.replace("nginx:1", "nginx:2").replace("'1'", "'2'"));
            Self { lab }
        })
    }

    fn run(&self, line: &str) -> Output {
        let mut command = self.lab.command_of("kubectl");
        command.args(line.split(' ')).current_dir(self.lab.path());
        command.env("KUBECTL_EXTERNAL_DIFF", "diff -u -N").output().unwrap()
    }

    /// Runs kubectl, which has to end with `code`; what it printed.
    #[track_caller]
    fn ends(&self, code: i32, line: &str) -> String {
        let output = self.run(line);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.code(), Some(code), "kubectl {line}:\n{text}");
        text
    }

    #[track_caller]
    fn says(&self, line: &str, wanted: &[&str]) {
        let text = self.ends(0, line);
        for wanted in wanted {
            assert!(text.contains(wanted), "kubectl {line} does not say {wanted:?}:\n{text}");
        }
    }
}

#[test]
fn kubectl_applies_waits_and_shows_what_came_of_it() {
    let Some(cluster) = Cluster::new() else { return };
    let apply = "apply --server-side -f web.yaml";
    cluster.says(apply, &["deployment.apps/web serverside-applied"]);
    cluster.says("rollout status deploy/web --timeout=30s", &["successfully rolled out"]);
    cluster.says("wait --for=condition=Available deploy/web --timeout=10s", &["condition met"]);
    cluster.says(apply, &["configmap/settings serverside-applied"]);
    cluster.says("wait --for=jsonpath={.status.readyReplicas}=2 deploy/web", &["condition met"]);
    for (line, wanted) in [
        ("get deploy,rs,pods -o wide", &["2/2", "nginx:1", "Running", "golyat-1"][..]),
        ("get all -A", &["deployment.apps/web", "service/kubernetes"]),
        ("get deploy web -o yaml --show-managed-fields", &["manager: kubectl", "f:replicas"]),
        ("get pods -l app=web --field-selector status.phase=Running", &["Running"]),
        ("get pods -w --request-timeout=1s", &["web-"]),
        ("get events --field-selector reason=ScalingReplicaSet", &["from 0 to 2"]),
        ("describe deploy web", &["2 available", "ScalingReplicaSet", "Scaled up replica set"]),
        ("describe ns default", &["Active"]),
        ("describe svc kubernetes", &["ClusterIP"]),
        ("rollout history deploy/web", &["REVISION"]),
        ("api-resources", &["deployments", "externalsecrets"]),
        ("kustomize .", &["nginx:1"]),
    ] {
        if line == "kustomize ." {
            cluster.lab.write("kustomization.yaml", "resources: [web.yaml]\n");
        }
        cluster.says(line, wanted);
    }
    let pod = cluster.ends(0, "get pods -l app=web -o name");
    let pod = pod.lines().next().unwrap().to_owned();
    let wanted = ["Scheduled", "Pulling image", "Container started", "default-scheduler"];
    cluster.says(&format!("describe {pod}"), &wanted);
    let live: Value = serde_json::from_str(&cluster.ends(0, "get deploy web -o json")).unwrap();
    assert_eq!(live["status"]["availableReplicas"], 2);
}

#[test]
fn kubectl_diffs_conflicts_and_forces() {
    let Some(cluster) = Cluster::new() else { return };
    cluster.ends(0, "apply --server-side -f web.yaml");
    cluster.ends(0, "diff --server-side -f web.yaml");
    let changes = cluster.ends(1, "diff --server-side -f changed.yaml");
    assert!(changes.contains("-  level: \"1\"") && changes.contains("nginx:2"), "{changes}");
    let other = "apply --server-side --field-manager=other -f changed.yaml";
    let refused = cluster.ends(1, other);
    assert!(refused.contains("conflict with \"kubectl\": .data.level"), "{refused}");
    cluster.ends(0, &format!("{other} --force-conflicts"));
    cluster.says("get cm settings -o jsonpath={.data.level}", &["2"]);

    cluster.ends(0, "delete -f web.yaml --wait --timeout=20s");
    cluster.says("apply -f web.yaml", &["deployment.apps/web created"]);
    cluster.says("apply -f web.yaml", &["deployment.apps/web unchanged"]);
    cluster.ends(1, "diff -f changed.yaml");
    cluster.says("apply -f changed.yaml", &["deployment.apps/web configured"]);
    cluster.ends(0, "delete -f web.yaml");
    cluster.lab.write("kustomization.yaml", "resources: [web.yaml]\n");
    cluster.says("apply -k .", &["deployment.apps/web created"]);
}

#[test]
fn kubectl_changes_rolls_back_and_deletes() {
    let Some(cluster) = Cluster::new() else { return };
    cluster.says("create -f web.yaml", &["deployment.apps/web created"]);
    cluster.ends(0, "apply --server-side --force-conflicts -f changed.yaml");
    cluster.says("rollout status deploy/web --timeout=30s", &["successfully rolled out"]);
    cluster.says("rollout undo deploy/web", &["rolled back"]);
    cluster.says("rollout restart deploy/web", &["restarted"]);
    cluster.says("rollout status deploy/web --timeout=30s", &["successfully rolled out"]);
    for line in [
        "scale deploy/web --replicas=3",
        "label deploy/web team=a",
        "annotate deploy/web note=1",
        "set image deploy/web c=nginx:3",
        r#"patch deploy/web -p {"spec":{"replicas":1}}"#,
        r#"patch deploy/web --type=merge -p {"spec":{"replicas":2}}"#,
        r#"patch deploy/web --type=json -p [{"op":"replace","path":"/spec/replicas","value":1}]"#,
    ] {
        cluster.ends(0, line);
    }
    cluster.ends(0, "delete deploy web --wait --cascade=foreground --timeout=20s");
    cluster.says("get rs,pods", &["No resources found"]);
    cluster.ends(0, "apply --server-side -f web.yaml");
    cluster.ends(0, "delete deploy web --cascade=orphan");
    cluster.says("get rs", &["web-"]);
    cluster.ends(0, "delete rs --all --wait --timeout=20s");
    cluster.ends(0, "wait --for=delete pod -l app=web --timeout=20s");
}

#[test]
fn kubectl_s_own_generators_are_understood() {
    let Some(cluster) = Cluster::new() else { return };
    for (line, wanted) in [
        ("auth can-i create deployments", "yes"),
        ("auth whoami", "sandbox-admin"),
        ("create namespace made", "created"),
        ("create configmap made --from-literal=a=b", "created"),
        ("create secret generic made --from-literal=a=b", "created"),
        ("create deployment made --image=nginx --replicas=2 --port=80", "created"),
        ("expose deploy made", "exposed"),
        ("run one --image=nginx", "created"),
        ("create job failing --image=busybox -- false", "created"),
        ("rollout status deploy/made --timeout=30s", "successfully rolled out"),
        ("get deploy made", "2/2"),
        ("get secret made -o jsonpath={.data.a}", "Yg=="),
        ("get svc made", "80/TCP"),
        ("delete ns made --timeout=20s", "deleted"),
    ] {
        cluster.says(line, &[wanted]);
    }
}

#[test]
fn kubectl_says_why_a_rollout_fails() {
    let Some(cluster) = Cluster::new() else { return };
    let broken = WEB.replace("nginx:1", "registry.invalid/nginx:1");
    cluster.lab.write("broken.yaml", &broken);
    cluster.ends(0, "apply --server-side -f broken.yaml");
    let failed = cluster.ends(1, "rollout status deploy/web --timeout=30s");
    assert!(failed.contains("exceeded its progress deadline"), "{failed}");
    cluster.says("get pods", &["ImagePullBackOff"]);
    let pod = cluster.ends(0, "get pods -o name");
    let pod = pod.lines().next().unwrap().to_owned();
    let wanted = ["ImagePullBackOff", "Failed to pull image", "no such host", "Warning"];
    cluster.says(&format!("describe {pod}"), &wanted);
    cluster.says("get events --field-selector type=Warning", &["no such host"]);
}

#[test]
fn the_official_python_client_understands_every_answer() {
    if !is_there("python3", &["-c", "import kubernetes"]) {
        return;
    }
    let lab = Lab::with("openhands", &["--ready-after", "300"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/kubernetes_client.py");
    let mut command = lab.command_of("python3");
    let output = command.arg(script).arg("client").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (what, wanted) in [
        ("version", json!("1.36")),
        ("again", json!([409, "AlreadyExists"])),
        ("listed", json!(["a", "b"])),
        ("page", json!([1, true])),
        ("watched", json!([["MODIFIED", "a"], ["DELETED", "b"]])),
        ("unchanged", json!(true)),
        ("conflict", json!(".spec.template.spec.containers[name=\"c\"].image")),
        ("dry run", json!("nginx:3")),
        ("ready", json!(1)),
        ("conditions", json!(["Available", "Progressing"])),
        ("phases", json!(["Running"])),
        ("managers", json!(["kube-controller-manager", "one", "two"])),
        ("events", json!(["Created", "Pulled", "Pulling", "Scheduled", "Started"])),
        ("newer events", json!(["Scheduled"])),
        ("scaled", json!(2)),
        ("stale", json!([409, "Conflict"])),
        ("allowed", json!(true)),
        ("gone", json!([404, "NotFound"])),
    ] {
        assert_eq!(seen[what], wanted, "{what}");
    }
}
