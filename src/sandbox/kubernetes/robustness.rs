//! Whatever is sent, the server answers and the controllers settle.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Outside;
use super::behaviour::{APPLY, DEPLOYMENT, JSON, MERGE, World, deployment, now};

/// Any JSON, with names that mean something to the server more often than chance has it.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "metadata",
        "name",
        "namespace",
        "labels",
        "finalizers",
        "ownerReferences",
        "spec",
        "status",
        "replicas",
        "selector",
        "matchLabels",
        "template",
        "containers",
        "image",
        "env",
        "ports",
        "data",
        "conditions",
        "type",
        "managedFields",
        "versions",
        "names",
        "a",
        "d",
        "1Gi",
        "-1e9",
        "default",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_request_makes_the_server_panic_or_the_controllers_disagree(
        method in prop::sample::select(vec!["POST", "PUT", "PATCH", "DELETE", "GET"]),
        (path, version, kind) in prop::sample::select(vec![
            ("/apis/apps/v1/namespaces/default/deployments", "apps/v1", "Deployment"),
            ("/apis/apps/v1/namespaces/default/statefulsets", "apps/v1", "StatefulSet"),
            ("/api/v1/namespaces/default/pods", "v1", "Pod"),
            ("/api/v1/namespaces/default/services", "v1", "Service"),
            ("/api/v1/namespaces/default/persistentvolumeclaims", "v1", "PersistentVolumeClaim"),
            ("/api/v1/namespaces", "v1", "Namespace"),
            ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                "apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("/apis/external-secrets.io/v1/namespaces/default/externalsecrets",
                "external-secrets.io/v1", "ExternalSecret"),
        ]),
        tail in prop::sample::select(vec!["", "/d", "/d/status", "/d/scale"]),
        media in prop::sample::select(vec![
            JSON, APPLY, MERGE, "application/json-patch+json",
            "application/strategic-merge-patch+json",
        ]),
        typed in any::<bool>(),
        mut body in any_json(),
    ) {
        let mut world = World::new();
        world.send("PATCH", &format!("{DEPLOYMENT}?fieldManager=m"), APPLY, &deployment());
        if typed && body.is_object() {
            body["apiVersion"] = json!(version);
            body["kind"] = json!(kind);
        }
        let path = format!("{path}{tail}?fieldManager=m&force=true");
        let (status, answer) = world.send(method, &path, media, &body);
        prop_assert!((200..=599).contains(&status), "{answer}");
        world.0.reconcile(&Outside::default(), now());
        let settled = world.0.dump();
        world.0.reconcile(&Outside::default(), now());
        prop_assert_eq!(world.0.dump(), settled);
    }
}
