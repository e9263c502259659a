//! What holds on any cluster: the sandbox's, or the one of `BOXCTL_TEST_KUBECONFIG`, where each test
//! works in a namespace of its own and removes it. Cloudflare and SSM stay the sandbox's.

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::lab::{Lab, Ran};

const MERGE: &str = "application/merge-patch+json";
const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: 'registry.invalid/web:1', ports: [{containerPort: 80}]}
";
const CLAIM: &str = "\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ''
  volumeName: nobody-made-it
  resources: {requests: {storage: 1Gi}}
";

/// A project whose manifests go to a namespace of their own.
struct Place {
    lab: Lab,
    client: kube::Client,
    runtime: tokio::runtime::Runtime,
    namespace: String,
    /// Paths of what else has to go in the end.
    beside: Vec<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let namespace = format!("/api/v1/namespaces/{}", self.namespace);
        for path in self.beside.iter().chain([&namespace]) {
            let _ = self.send("DELETE", path, None);
        }
    }
}

impl Place {
    fn new() -> Place {
        let mut lab = Lab::of("openhands");
        if let Ok(path) = std::env::var("BOXCTL_TEST_KUBECONFIG") {
            lab.set("KUBECONFIG", &path);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let config = Kubeconfig::read_from(lab.variable("KUBECONFIG")).unwrap();
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(config, &options).await.unwrap();
            kube::Client::try_from(config).unwrap()
        });
        for dir in ["manifests/socket", "manifests/dind"] {
            std::fs::remove_dir_all(lab.path().join(dir)).unwrap();
        }
        std::fs::remove_file(lab.path().join("stacks/openhands.yaml")).unwrap();
        std::fs::create_dir(lab.path().join("manifests/it")).unwrap();
        let namespace = format!("boxctl-test-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let place = Place { lab, client, runtime, namespace, beside: Vec::new() };
        place.settings(&[]);
        let own =
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {}}}\n", place.namespace);
        place.manifest("namespace", &own);
        place
    }

    /// The stack, with settings by address. Nothing waits for pods: a cluster may have no nodes.
    fn settings(&self, lines: &[&str]) {
        let mut text = format!(
            "namespace: {}\nmanifests: [../manifests/it]\nsettings:\n  k8s.Deployment/**: {{wait: false}}\n",
            self.namespace
        );
        for line in lines {
            text.push_str(&format!("  {}\n", line.replace("NS", &self.namespace)));
        }
        self.lab.write("stacks/it.yaml", &text);
    }

    fn manifest(&self, name: &str, text: &str) {
        self.lab.write(&format!("manifests/it/{name}.yaml"), text);
    }

    fn without(&self, name: &str) {
        std::fs::remove_file(self.lab.path().join(format!("manifests/it/{name}.yaml"))).unwrap();
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        self.lab.edit(&format!("manifests/it/{name}.yaml"), from, to);
    }

    #[track_caller]
    fn apply(&self) -> Ran {
        let ran = self.lab.apply(&[]);
        self.lab.is_settled(&[]);
        self.lab.run(&["drift"]).exits(0);
        ran
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, String> {
        let (kind, body) = body.map_or(("application/json", Vec::new()), |(kind, body)| {
            (kind, body.to_string().into_bytes())
        });
        let request =
            http::Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(body).unwrap();
        let answer = self.runtime.block_on(self.client.request_text(request));
        answer
            .map(|text| serde_json::from_str(&text).unwrap_or(Value::Null))
            .map_err(|error| error.to_string())
    }

    /// The path of an object in the namespace.
    fn path(&self, collection: &str, name: &str) -> String {
        let (base, plural) = match collection.rsplit_once('/') {
            Some((group, plural)) => (format!("/apis/{group}"), plural),
            None => ("/api/v1".to_owned(), collection),
        };
        format!("{base}/namespaces/{}/{plural}/{name}", self.namespace)
    }

    #[track_caller]
    fn get(&self, collection: &str, name: &str) -> Value {
        self.send("GET", &self.path(collection, name), None).unwrap()
    }

    #[track_caller]
    fn patch(&self, path: &str, manager: &str, body: Value) {
        let path = format!("{path}?fieldManager={manager}");
        self.send("PATCH", &path, Some((MERGE, &body))).unwrap();
    }

    /// An address in the namespace.
    fn address(&self, kind: &str, name: &str) -> String {
        format!("k8s.{kind}/{}/{name}", self.namespace)
    }
}

#[test]
fn a_default_that_stands_in_the_way_and_an_immutable_field_leave_without_a_trace() {
    let place = Place::new();
    place.manifest("claim", CLAIM);
    place.manifest("web", DEPLOYMENT);
    place.apply();
    let strategy = || place.get("apps/v1/deployments", "web")["spec"]["strategy"].clone();
    place.edit("web", "  replicas: 1\n", "  replicas: 1\n  strategy: {type: Recreate}\n");
    place.apply();
    assert_eq!(strategy(), json!({"type": "Recreate"}));
    place.lab.run(&["rollback", "it", "--yes"]).exits(0);
    assert_eq!(strategy()["type"], "RollingUpdate");
    place.edit("web", "  strategy: {type: Recreate}\n", "");
    place.apply();
    place.edit("claim", "  volumeName: nobody-made-it\n", "");
    let uid = place.get("persistentvolumeclaims", "data")["metadata"]["uid"].clone();
    place.apply();
    let claim = place.get("persistentvolumeclaims", "data");
    assert_eq!(
        (&claim["metadata"]["uid"], &claim["spec"]["volumeName"]),
        (&uid, &json!("nobody-made-it"))
    );
    place.edit(
        "claim",
        "  storageClassName: ''\n",
        "  storageClassName: ''\n  volumeName: nobody-made-it\n",
    );
    place.apply();
}

#[test]
fn what_others_write_is_drift_a_conflict_or_theirs() {
    let place = Place::new();
    place.manifest("web", DEPLOYMENT);
    place.apply();
    let path = place.path("apps/v1/deployments", "web");
    let container = json!([{"name": "web", "image": "registry.invalid/web:2", "ports": [{"containerPort": 80}]}]);
    let foreign = json!({"metadata": {"labels": {"theirs": "x"}}, "spec": {"template": {"spec": {"containers": container}}}});
    place.patch(&path, "kubectl-edit", foreign);
    place.lab.run(&["drift"]).exits(2).says("kubectl-edit").says("registry.invalid/web:2");
    place.apply();
    let live = place.get("apps/v1/deployments", "web");
    assert_eq!(
        live["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.invalid/web:1"
    );
    assert_eq!(live["metadata"]["labels"]["theirs"], "x");
    place.patch(&format!("{path}/scale"), "kubectl", json!({"spec": {"replicas": 3}}));
    place.lab.run(&["apply", "--yes"]).exits(5).says("spec.replicas").says("kubectl");
    place.settings(&["k8s.Deployment/NS/web: {ignore: [spec.replicas]}"]);
    place.apply();
    assert_eq!(place.get("apps/v1/deployments", "web")["spec"]["replicas"], 3);
    place.settings(&["k8s.Deployment/NS/web: {force: [spec.replicas]}"]);
    place.apply();
    assert_eq!(place.get("apps/v1/deployments", "web")["spec"]["replicas"], 1);
}

#[test]
fn a_definition_and_what_it_defines_come_and_go_in_one_run() {
    let mut place = Place::new();
    let group = format!("{}.example.org", place.namespace);
    let name = format!("gadgets.{group}");
    place.beside.push(format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"));
    place.manifest(
        "definition",
        &format!(
            "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {name}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList}}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                size: {{type: integer, minimum: 1}}
                colour: {{type: string, default: red}}
"
        ),
    );
    let gadget =
        format!("apiVersion: {group}/v1\nkind: Gadget\nmetadata: {{name: g}}\nspec: {{size: 1}}\n");
    place.manifest("gadget", &gadget);
    place.apply();
    let collection = format!("{group}/v1/gadgets");
    assert_eq!(place.get(&collection, "g")["spec"], json!({"size": 1, "colour": "red"}));
    place.edit("gadget", "size: 1", "size: 2, colour: blue");
    place.apply();
    place.edit("gadget", ", colour: blue", "");
    place.apply();
    assert_eq!(place.get(&collection, "g")["spec"], json!({"size": 2, "colour": "red"}));
    place.edit("gadget", "size: 2", "size: 0");
    place.lab.run(&["plan"]).exits(1).says("spec.size");
    place.lab.run(&["destroy", "it", "--yes", "--allow-protected", "**"]).exits(0);
    assert!(place.send("GET", &place.beside[0], None).is_err());
}

#[test]
fn what_a_finalizer_holds_is_named_and_gone_on_with() {
    let place = Place::new();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.org/hold]}\ndata: {a: b}\n";
    place.manifest("held", map);
    place.settings(&["k8s.ConfigMap/NS/held: {timeout: 1s}"]);
    place.apply();
    place.without("held");
    let held = place.lab.run(&["apply", "--yes"]).exits(3);
    held.says("after 1 s").says("example.org/hold");
    let path = place.path("configmaps", "held");
    place.patch(&path, "kubectl-edit", json!({"metadata": {"finalizers": null}}));
    place.apply();
    assert!(place.send("GET", &path, None).is_err());
}

#[test]
fn a_namespace_that_is_destroyed_can_be_made_again_at_once() {
    let place = Place::new();
    place.manifest("web", DEPLOYMENT);
    place.apply();
    let own = format!("/api/v1/namespaces/{}", place.namespace);
    let first = place.send("GET", &own, None).unwrap()["metadata"]["uid"].clone();
    place.lab.run(&["destroy", "it", "--yes", "--allow-protected", "**"]).exits(0);
    place.apply();
    assert_ne!(place.send("GET", &own, None).unwrap()["metadata"]["uid"], first);
    // Someone else deletes it: what is going away is waited for, and nothing is made in it.
    place.send("DELETE", &own, None).unwrap();
    place.apply();
    place.get("apps/v1/deployments", "web");
}

#[test]
fn what_kubectl_applied_is_taken_over_with_what_leaves_the_file() {
    let place = Place::new();
    place.apply();
    let last = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "namespace": place.namespace}, "data": {"a": "1", "b": "2"}});
    let mut live = last.clone();
    live["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": last.to_string()});
    let path = format!(
        "/api/v1/namespaces/{}/configmaps?fieldManager=kubectl-client-side-apply",
        place.namespace
    );
    place.send("POST", &path, Some(("application/json", &live))).unwrap();
    place.manifest(
        "old",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old}\ndata: {a: '1', b: '2'}\n",
    );
    place.lab.run(&["apply", "--yes"]).exits(5).says(&place.address("ConfigMap", "old"));
    place.lab.apply(&["--adopt"]);
    place.lab.is_settled(&[]);
    place.edit("old", ", b: '2'", "");
    place.apply();
    assert_eq!(place.get("configmaps", "old")["data"], json!({"a": "1"}));
}

#[test]
fn a_key_of_a_secret_that_leaves_the_file_goes() {
    let place = Place::new();
    place.manifest(
        "secret",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: app}\nstringData: {a: one, b: two}\n",
    );
    place.apply();
    assert_eq!(place.get("secrets", "app")["data"], json!({"a": "b25l", "b": "dHdv"}));
    place.edit("secret", ", b: two", "");
    place.apply();
    assert_eq!(place.get("secrets", "app")["data"], json!({"a": "b25l"}));
}

#[test]
fn what_can_not_be_changed_is_made_anew_unless_it_is_protected() {
    let place = Place::new();
    place.manifest("claim", CLAIM);
    let binding = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
";
    place.manifest("binding", binding);
    place.apply();
    let uid =
        || place.get("rbac.authorization.k8s.io/v1/rolebindings", "b")["metadata"]["uid"].clone();
    let before = uid();
    place.edit("binding", "name: view", "name: edit");
    place.lab.run(&["plan"]).exits(0).says("replace").says("roleRef");
    place.apply();
    assert_ne!(uid(), before);
    place.edit("claim", "nobody-made-it", "nobody-else-did");
    let refused = place.lab.run(&["apply", "--yes"]).exits(5);
    refused.says(&place.address("PersistentVolumeClaim", "data")).says("protected");
}
