//! Kubernetes objects of any kind: what to send, and how to read the answer. No I/O.

mod bodies;
pub mod compare;
mod custom;
mod delete;
pub mod edges;
mod explain;
pub mod fields;
pub mod handover;
mod held;
mod interrupts;
pub mod limits;
mod local;
pub mod names;
pub mod object;
pub mod order;
pub mod owners;
mod pod_names;
mod pods;
pub mod preview;
pub mod ready;
mod refused;
pub mod secret;
mod status;
mod workloads;
pub mod write;

#[cfg(test)]
mod recordings {
    //! Answers of a real API server, to test with.

    use crate::model::Json;
    use crate::model::scope::{ApiResource, Scope};

    pub struct Line(Json);

    impl Line {
        /// The request's body as the object that was applied.
        pub fn sent(&self) -> Json {
            match &self.0["request"]["body"] {
                Json::String(text) => serde_json::from_str(text).unwrap(),
                other => other.clone(),
            }
        }

        pub fn body(&self) -> Json {
            self.0["response"]["body"].clone()
        }

        pub fn status(&self) -> u16 {
            self.0["response"]["status"].as_u64().unwrap().try_into().unwrap()
        }

        pub fn query(&self, name: &str) -> &str {
            self.0["request"]["query"][name].as_str().unwrap_or_default()
        }

        pub fn path(&self) -> &str {
            self.0["request"]["path"].as_str().unwrap()
        }
    }

    pub fn lines(name: &str) -> Vec<Line> {
        let file = format!("{}/tests/recordings/kubernetes/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(|line| Line(serde_json::from_str(line).unwrap())).collect()
    }

    fn resource(
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
        namespaced: bool,
    ) -> ApiResource {
        ApiResource {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
            plural: plural.into(),
            namespaced,
            verbs: vec!["get".into(), "list".into(), "patch".into(), "delete".into()],
        }
    }

    pub fn scope() -> Scope {
        let eso = "external-secrets.io";
        let resources = vec![
            resource("", "v1", "Namespace", "namespaces", false),
            resource("", "v1", "Service", "services", true),
            resource("", "v1", "ConfigMap", "configmaps", true),
            resource("", "v1", "Secret", "secrets", true),
            resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
            resource("apps", "v1", "Deployment", "deployments", true),
            resource("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false),
            resource(eso, "v1", "ExternalSecret", "externalsecrets", true),
            resource(eso, "v1beta1", "ExternalSecret", "externalsecrets", true),
        ];
        Scope { api_resources: Some(resources), ..Scope::default() }
    }
}
