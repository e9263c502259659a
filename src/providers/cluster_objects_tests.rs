use super::*;

fn objects(project: &str) -> ClusterObjects {
    let cluster = Cluster::new(None, None, crate::providers::Retry::default());
    ClusterObjects::new(cluster, "boxctl".to_owned(), project)
}

/// Whether the API server takes it (k8s.io/apimachinery/pkg/util/validation, `IsDNS1123Subdomain`).
fn is_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !label.is_empty()
                && label.chars().all(fits)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[test]
fn names_are_those_that_people_know_where_kubernetes_takes_them() {
    for (project, name, expected) in [
        ("golyat", "openhands.json", "boxctl.golyat.openhands.json"),
        ("golyat", "open-hands.journal", "boxctl.golyat.open-hands.journal"),
        ("golyat", "openhands.lock", "boxctl.golyat.openhands.lock"),
        ("golyat", "open_hands.json", "boxctl.golyat.open-hands.json-"),
        ("golyat", "history/openhands/12.json", "boxctl.golyat.history.openhands.12.json"),
        ("golyat", "notes/drift.json", "boxctl.golyat.notes.drift.json"),
        ("golyat", "history/open.hands/12.json", "boxctl.golyat.history.open.hands.12.json-"),
        ("golyat", ".boxctl", "boxctl.golyat.boxctl-"),
        ("My Cluster!", "a.json", "boxctl.my-cluster-"),
        ("ü", "ü.json", "boxctl."),
        ("-.-", "a-.json", "boxctl."),
    ] {
        let found = objects(project).object_name(name);
        let is_whole = !expected.ends_with(['-', '.']);
        assert!(is_name(&found), "{found}");
        assert!(found == expected || !is_whole && found.starts_with(expected), "{found}");
    }
    let long = "x".repeat(300);
    assert!(is_name(&objects(&long).object_name(&long)));
    assert!(objects(&long).project.len() <= 63);
}

#[test]
fn no_two_names_are_alike() {
    let names = ["a_b", "a-b", "A-b", "a.b", "a/b", "a b", "ä-b", "a-b-", "-a-b"];
    let long = "x".repeat(90);
    let mut parts: Vec<String> = names.iter().map(|name| part(name)).collect();
    parts.extend([part(&long), part(&format!("{long}y"))]);
    let objects = objects("golyat");
    let stored = ["a/b.c", "a.b.c", "a/b/c", "a.b/c", "a/bc", "a-b.c", "a_b.c"];
    parts.extend(stored.iter().map(|name| objects.object_name(name)));
    parts.sort();
    let before = parts.len();
    parts.dedup();
    assert_eq!(parts.len(), before, "{parts:?}");
}

#[test]
fn labels_say_project_and_stack() {
    let objects = objects("golyat");
    for (name, stack) in [
        ("openhands.json", Some("openhands")),
        ("openhands.journal", Some("openhands")),
        ("history/openhands/3.json", Some("openhands")),
        ("notes/drift.json", None),
        (".boxctl", None),
    ] {
        let document = objects.document(name, b"{}", Some("7")).unwrap();
        let labels = &document["metadata"]["labels"];
        assert_eq!(labels["boxctl/project"], "golyat");
        assert_eq!(labels["boxctl/stack"].as_str(), stack, "{name}");
        assert_eq!(document["metadata"]["annotations"]["boxctl/name"], name);
        assert_eq!(document["metadata"]["resourceVersion"], "7");
        assert_eq!((&document["kind"], &document["type"]), (&json!("Secret"), &json!(TYPE)));
    }
}

#[test]
fn a_lease_says_who_holds_it_and_since_when() {
    let record = json!({"holder": "apply s by me", "acquired": "2026-11-25T10:00:00Z",
        "renewed": "2026-11-25T10:00:10.5Z", "seconds": 60, "nonce": "n"});
    let text = format!("{{\"boxctl\":1}}\n{record}\n");
    let document = objects("golyat").document("s.lock", text.as_bytes(), None).unwrap();
    assert_eq!(
        document["spec"],
        json!({"holderIdentity": "apply s by me", "acquireTime": "2026-11-25T10:00:00.000000Z",
            "renewTime": "2026-11-25T10:00:10.500000Z", "leaseDurationSeconds": 60})
    );
    assert_eq!(document["kind"], "Lease");
    let mut found = document;
    found["metadata"]["resourceVersion"] = "9".into();
    let read = object(&found).unwrap();
    assert_eq!((read.content, read.version), (text.into_bytes(), "9".to_owned()));
    // One that is free has no holder, and a lease of less than a second no duration: the server
    // takes none that is not above zero.
    let free = json!({"holder": null, "renewed": "2026-11-25T10:00:00Z", "seconds": 0});
    assert_eq!(lease(&free.to_string()), json!({"renewTime": "2026-11-25T10:00:00.000000Z"}));
}

#[test]
fn what_a_secret_does_not_take_is_refused_with_a_way_out() {
    let objects = objects("golyat");
    let repeated = vec![b'x'; 20 << 20];
    let mut document = objects.document("s.json", &repeated, None).unwrap();
    document["metadata"]["resourceVersion"] = "1".into();
    assert_eq!(object(&document).unwrap().content, repeated);
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(MOST + 1)
    .collect();
    let error = objects.document("s.json", &noise, None).unwrap_err();
    assert!(error.message.contains("a Secret takes 1048576"), "{error}");
    assert!(!error.is_passing && error.hint.is_some_and(|hint| hint.contains("migrate")));
}
