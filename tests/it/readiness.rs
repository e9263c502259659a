//! In which order objects are made, when they count as ready, and what is told where they do not
//! become it.

use serde_json::{Value, json};

use crate::lab::Lab;

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n---\n";

/// A lab whose only stack has these manifests, in the namespace `web`.
fn lab(manifests: &str, settings: &str) -> Lab {
    let lab = Lab::of("openhands");
    lab.write("manifests/web.yaml", &format!("{NAMESPACE}{manifests}"));
    let stack = "namespace: web\nmanifests: [../manifests/web.yaml]\n";
    lab.write("stacks/openhands.yaml", &format!("{stack}{settings}"));
    lab
}

fn deployment(name: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers: [{{name: main, image: \"example.dev/{name}:1\"{more}}}]
---
"
    )
}

/// Limits of a second, so that what never gets ready is told soon.
const SOON: &str = "settings: {\"k8s.*/**\": {timeout: 1s}}\n";

#[test]
fn what_pods_meet_is_there_before_them_and_goes_after_them() {
    let manifests = format!(
        "{}{}",
        deployment("web", ""),
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: checks}
webhooks: []
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [\"\"], resources: [pods], verbs: [get]}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: b}
"
    );
    let lab = lab(&manifests, "");
    lab.apply(&[]);
    let order = [
        "namespaces/web",
        "networkpolicies/closed",
        "configmaps/settings",
        "serviceaccounts/web",
        "roles/reader",
        "persistentvolumeclaims/data",
        "services/web",
        "deployments/web",
        "validatingwebhookconfigurations/checks",
    ];
    let ends = |changes: &[String], order: &[&str]| {
        assert_eq!(changes.len(), order.len(), "{changes:#?}");
        for (change, end) in changes.iter().zip(order) {
            assert!(change.ends_with(end), "{end} is not in its place: {changes:#?}");
        }
    };
    ends(&lab.changes(), &order);
    lab.is_settled(&[]);
    lab.forget_requests();
    lab.run(&["destroy", "openhands", "--yes", "--allow-protected", "**"]).exits(0);
    let back: Vec<&str> = order.iter().rev().copied().collect();
    ends(&lab.changes(), &back);
}

#[test]
fn a_workload_goes_on_where_what_comes_before_it_fails() {
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    let lab = lab(&format!("{}{service}", deployment("web", "")), "");
    lab.write(
        "faults.yaml",
        "- {method: PATCH, path: \"*/services/web\", times: 9, status: 422, body: {message: no}}\n",
    );
    let mut lab = lab;
    let faults = lab.path().join("faults.yaml");
    lab.restart(&["--faults", faults.to_str().unwrap()]);
    lab.run(&["apply", "--yes", "--no-wait"]).exits(3);
    lab.kubernetes("GET", "/apis/apps/v1/namespaces/web/deployments/web", None);
}

#[test]
fn a_claim_is_made_before_its_pod_and_not_waited_for() {
    let claim = "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: waits
  resources: {requests: {storage: 1Gi}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: waits}
provisioner: example.dev/none
volumeBindingMode: WaitForFirstConsumer
";
    let lab = lab(claim, SOON);
    lab.apply(&[]);
    lab.is_settled(&[]);
}

#[test]
fn the_container_that_can_not_start_is_named() {
    let env = ", env: [{name: A, valueFrom: {configMapKeyRef: {name: absent, key: a}}}]";
    let lab = lab(&deployment("web", env), SOON);
    lab.run(&["apply", "--yes"])
        .exits(3)
        .says("it was applied and is not ready after 1 s: 0 of 1 replicas are available")
        .says("container main (image example.dev/web:1): CreateContainerConfigError")
        .says("absent")
        .says("`timeout` in `settings` waits longer");
    // What was applied is recorded, and is not made again.
    lab.is_settled(&[]);
    lab.write(
        "manifests/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: absent}\ndata: {a: b}\n",
    );
    lab.edit("stacks/openhands.yaml", "web.yaml]", "web.yaml, ../manifests/map.yaml]");
    lab.apply(&[]);
}

const NEEDS_ABSENT: &str =
    ", env: [{name: A, valueFrom: {configMapKeyRef: {name: absent, key: a}}}]";

/// Someone makes the ConfigMap that a Deployment with [`NEEDS_ABSENT`] waits for.
fn make_absent(lab: &Lab) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "absent", "namespace": "web"}, "data": {"a": "b"}});
    let path = "/api/v1/namespaces/web/configmaps";
    lab.kubernetes("POST", path, Some(("application/json", map)));
}

#[test]
fn what_was_not_seen_ready_is_waited_for_by_the_next_apply() {
    let lab = lab(&deployment("web", NEEDS_ABSENT), SOON);
    lab.run(&["apply", "--yes"]).exits(3).says("is not ready after 1 s");
    let serial = || lab.run(&["plan", "--json"]).exits(0).json()["stacks"][0]["serial"].clone();
    let before = serial();
    lab.forget_requests();
    lab.is_settled(&["-v"]).says("k8s.Deployment/web/web was applied earlier and is not ready");
    lab.run(&["apply", "--yes"])
        .exits(3)
        .says("waiting for k8s.Deployment/web/web failed")
        .says("is not ready after 1 s");
    lab.run(&["apply", "--yes", "--no-wait"]).exits(0);
    lab.run(&["apply", "--yes", "--exclude", "k8s.Deployment/**"]).exits(0);
    make_absent(&lab);
    lab.edit("stacks/openhands.yaml", "timeout: 1s", "timeout: 60s");
    lab.forget_requests();
    lab.apply(&[]);
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    // What was seen ready once is waited for no more.
    assert!(!lab.read("state/openhands.json").contains("awaited"));
    lab.is_settled(&[]);
    assert_eq!(serial(), before, "waiting alone changes nothing");
}

#[test]
fn what_was_not_seen_ready_is_waited_for_after_its_file_was_mended() {
    let broken = deployment("web", "").replace("example.dev", "registry.invalid");
    let lab = lab(&broken, SOON);
    lab.run(&["apply", "--yes"]).exits(3).says("ErrImagePull");
    lab.run(&["apply", "--yes"]).exits(3).says("ErrImagePull");
    lab.edit("manifests/web.yaml", "registry.invalid", "example.dev");
    lab.edit("stacks/openhands.yaml", "timeout: 1s", "timeout: 60s");
    lab.apply(&[]).says("1 updated");
    lab.is_settled(&[]);
    assert!(!lab.read("state/openhands.json").contains("awaited"));
}

#[test]
fn nobody_waits_for_what_was_said_not_to_be_waited_for() {
    let lab = lab(&deployment("web", NEEDS_ABSENT), SOON);
    lab.apply(&["--no-wait"]);
    lab.apply(&[]);
    lab.edit("manifests/web.yaml", "web:1", "web:2");
    lab.run(&["apply", "--yes"]).exits(3);
    lab.edit("stacks/openhands.yaml", "timeout: 1s", "timeout: 1s, wait: false");
    lab.apply(&[]);
    assert!(!lab.read("state/openhands.json").contains("awaited"));
}

#[test]
fn what_needs_something_that_was_not_seen_ready_waits_with_it() {
    let manifests = format!("{}{}", deployment("first", NEEDS_ABSENT), deployment("second", ""));
    let settings = "settings: {\"k8s.*/**\": {timeout: 1s}, \
                    k8s.Deployment/web/second: {depends_on: [k8s.Deployment/web/first]}}\n";
    let lab = lab(&manifests, settings);
    for _ in 0..2 {
        lab.run(&["apply", "--yes"])
            .exits(3)
            .says("waiting  k8s.Deployment/web/second, for k8s.Deployment/web/first");
    }
    lab.edit("stacks/openhands.yaml", "timeout: 1s", "timeout: 60s");
    make_absent(&lab);
    lab.apply(&[]).says("1 created");
    lab.is_settled(&[]);
}

#[test]
fn the_reason_is_told_while_it_is_waited_for() {
    let env = ", envFrom: [{secretRef: {name: absent}}]";
    let lab = lab(&deployment("web", env), SOON);
    let ran = lab.run(&["apply", "--yes", "--json"]).exits(3);
    let events: Vec<Value> =
        ran.out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let waiting = |event: &&Value| event["event"] == "step_waiting";
    let reasons: Vec<&str> =
        events.iter().filter(waiting).filter_map(|event| event["reason"].as_str()).collect();
    assert!(
        reasons.iter().any(|reason| reason.contains("pod web-") && reason.contains("absent")),
        "{reasons:#?}"
    );
    // The lists that the reason is found by are few.
    let lists = lab.requests();
    let pods = lists.iter().filter(|r| r["path"] == "/api/v1/namespaces/web/pods").count();
    assert!(pods <= 6, "{pods}");
}

#[test]
fn a_pod_that_no_node_takes_says_so_with_its_last_event() {
    let manifests = "apiVersion: v1
kind: Pod
metadata: {name: lonely}
spec:
  nodeSelector: {disk: fast}
  containers: [{name: main, image: \"example.dev/a:1\"}]
";
    let lab = lab(manifests, SOON);
    lab.run(&["apply", "--yes", "--no-wait"]).exits(0);
    let pod = lab.kubernetes("GET", "/api/v1/namespaces/web/pods/lonely", None);
    let event = |name: &str, message: &str, at: &str| {
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "web"},
            "involvedObject": {"kind": "Pod", "namespace": "web", "name": "lonely",
                "uid": pod["metadata"]["uid"], "apiVersion": "v1"},
            "type": "Warning", "reason": "FailedScheduling", "message": message,
            "lastTimestamp": at, "count": 2})
    };
    for (name, message, at) in
        [("one", "first try", "2026-11-22T00:00:00Z"), ("two", "last try", "2099-01-01T00:00:01Z")]
    {
        let event = event(name, message, at);
        lab.kubernetes("POST", "/api/v1/namespaces/web/events", Some(("application/json", event)));
    }
    lab.edit("manifests/web.yaml", "name: lonely}", "name: lonely, labels: {a: b}}");
    let ran =
        lab.run(&["apply", "--yes"]).exits(3).says("Unschedulable").says("last try (2 times)");
    assert!(!ran.err.contains("first try"), "{}", ran.err);
}

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.dev}
spec:
  group: example.dev
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: example.dev/v1
kind: Thing
metadata: {name: one}
spec: {a: 1}
";

#[test]
fn a_custom_resource_comes_with_its_definition_although_not_every_server_serves_it_yet() {
    let mut lab = lab(DEFINITION, "");
    // As one of several API servers answers, and as recorded right after a definition was made.
    lab.write(
        "faults.yaml",
        "- {method: PATCH, path: \"*/things/one\", times: 3, status: 404, body: \"404 page not found\\n\"}\n",
    );
    let faults = lab.path().join("faults.yaml");
    lab.restart(&["--faults", faults.to_str().unwrap()]);
    lab.apply(&[]);
    lab.kubernetes("GET", "/apis/example.dev/v1/namespaces/web/things/one", None);
    lab.is_settled(&[]);
}

fn job(more: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: migrate}}
spec:
  {more}
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: main, image: \"example.dev/migrate:1\"}}]
"
    )
}

const JOB: &str = "/apis/batch/v1/namespaces/web/jobs/migrate";

#[test]
fn a_finished_job_that_its_time_to_live_took_away_is_not_missing() {
    let lab = lab(&job("ttlSecondsAfterFinished: 60"), "");
    lab.apply(&[]);
    lab.kubernetes("DELETE", JOB, None);
    lab.forget_requests();
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    lab.apply(&[]);
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    // Another image is another run.
    lab.edit("manifests/web.yaml", "migrate:1", "migrate:2");
    lab.run(&["plan", "--detailed-exitcode"]).exits(2).says("it has ended and is gone");
    lab.apply(&[]);
    let made = lab.kubernetes("GET", JOB, None);
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["image"], "example.dev/migrate:2");
    lab.is_settled(&[]);
    lab.run(&["destroy", "openhands", "--yes", "--allow-protected", "**"]).exits(0);
}

#[test]
fn a_job_without_time_to_live_that_someone_deleted_is_missing() {
    let lab = lab(&job("backoffLimit: 1"), "");
    lab.apply(&[]);
    lab.kubernetes("DELETE", JOB, None);
    lab.run(&["drift"]).exits(2).says("missing");
    lab.apply(&[]);
    lab.kubernetes("GET", JOB, None);
    lab.is_settled(&[]);
}

#[test]
fn a_plan_marks_what_interrupts_a_service() {
    let lab = lab(
        &deployment("web", "")
            .replace("spec:\n  selector", "spec:\n  strategy: {type: Recreate}\n  selector"),
        "",
    );
    lab.apply(&[]);
    // What does not start its pods anew interrupts nothing.
    lab.edit(
        "manifests/web.yaml",
        "metadata: {name: web}\nspec:",
        "metadata: {name: web, labels: {a: b}}\nspec:",
    );
    let quiet = lab.run(&["plan"]).exits(0);
    assert!(!quiet.out.contains("interrupts"), "{}", quiet.out);
    lab.edit("manifests/web.yaml", "web:1", "web:2");
    let told = "all pods end before new ones start (Recreate)";
    lab.run(&["plan", "--markdown", "plan.md"]).exits(0).says(&format!("interrupts: {told}"));
    assert!(lab.read("plan.md").contains("interrupts: all pods end"), "{}", lab.read("plan.md"));
    let plan = lab.run(&["plan", "--json"]).exits(0).json();
    assert_eq!(plan["stacks"][0]["changes"][0]["interrupts"], told);
}

#[test]
fn a_job_that_is_gone_before_it_is_looked_at_again_is_done() {
    let lab = lab(&job("ttlSecondsAfterFinished: 0"), "");
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
}

#[test]
fn a_failed_job_tells_how_it_ended_and_is_owed_when_it_is_gone() {
    let more = "backoffLimit: 0\n  ttlSecondsAfterFinished: 3600";
    let failing = job(more).replace("migrate:1\"", "migrate:1\", command: [\"false\"]");
    let lab = lab(&failing, "");
    lab.run(&["apply", "--yes"])
        .exits(3)
        .says("it was applied and failed: BackoffLimitExceeded")
        .says("container main: it ended with exit code 1");
    lab.run(&["apply", "--yes"]).exits(3).says("it was applied and failed: BackoffLimitExceeded");
    lab.kubernetes("DELETE", JOB, None);
    lab.run(&["plan", "--detailed-exitcode"]).exits(2).says("create  k8s.Job/web/migrate");
}
