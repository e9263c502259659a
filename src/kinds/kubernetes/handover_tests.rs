use super::*;

fn entry(manager: &str, operation: &str, fields: Json) -> Json {
    json!({"manager": manager, "operation": operation, "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields})
}

fn live(note: Option<Json>, entries: &[Json]) -> Json {
    let mut live = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "a", "managedFields": entries},
        "data": {"k": "v", "old": "x", "more": "y"}});
    if let Some(note) = note {
        live["metadata"]["annotations"] = json!({LAST_APPLIED: note.to_string()});
    }
    live
}

fn manifest() -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a"},
        "data": {"k": "v"}})
}

fn leaving(handover: &Handover) -> Vec<(String, &str)> {
    let each = handover.leaving.iter();
    each.map(|(path, by)| (path.to_string(), by.manager.as_str())).collect()
}

#[test]
fn what_kubectl_was_told_becomes_boxctls_and_its_note_goes() {
    let note = json!({"data": {"k": "v", "old": "x"}});
    let annotation = format!("f:{LAST_APPLIED}");
    let theirs = json!({"f:data": {".": {}, "f:k": {}, "f:old": {}, "f:more": {}},
        "f:metadata": {"f:annotations": {".": {}, annotation.as_str(): {}}}});
    let live = live(Some(note), &[entry("kubectl-client-side-apply", "Update", theirs)]);
    let found = handover(&live, &manifest()).unwrap();
    assert_eq!(found.from, ["kubectl-client-side-apply"]);
    assert!(found.drops_last_applied);
    // `more` was a default of the server's: it stays, and is nobody's.
    assert_eq!(leaving(&found), [("data.old".to_owned(), "kubectl-client-side-apply")]);
    assert_eq!(
        found.managed_fields,
        [json!({"manager": "boxctl", "operation": "Apply", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {
                "f:data": {".": {}, "f:k": {}, "f:old": {}},
                "f:metadata": {"f:annotations": {annotation.as_str(): {}}}}})]
    );
    assert_eq!(handover(&with_owners(&live, &found), &manifest()), None);
}

#[test]
fn what_helm_applied_goes_and_what_others_wrote_stays_theirs() {
    let helm = entry("helm", "Update", json!({"f:data": {"f:k": {}, "f:old": {}}}));
    let edit = entry("kubectl-edit", "Update", json!({"f:data": {"f:k": {}, "f:more": {}}}));
    let other = entry("other", "Apply", json!({"f:data": {"f:k": {}}}));
    let mut status = entry("helm", "Update", json!({"f:data": {"f:k": {}}}));
    status["subresource"] = "status".into();
    let live = live(None, &[other.clone(), helm, edit, status.clone()]);
    let found = handover(&live, &manifest()).unwrap();
    assert_eq!(found.from, ["helm", "kubectl-edit"]);
    assert_eq!(leaving(&found), [("data.old".to_owned(), "helm")]);
    assert_eq!(found.managed_fields[0]["fieldsV1"], json!({"f:data": {"f:k": {}, "f:old": {}}}));
    assert_eq!(found.managed_fields[0]["time"], Json::Null);
    let rest = entry("kubectl-edit", "Update", json!({"f:data": {"f:more": {}}}));
    assert_eq!(found.managed_fields[1..], [other, rest, status]);
}

#[test]
fn what_is_boxctls_already_is_added_to_and_nothing_is_taken_for_nothing() {
    let ours = entry("boxctl", "Apply", json!({"f:data": {"f:k": {}}}));
    let retained = entry("boxctl-retained", "Apply", json!({"f:data": {"f:old": {}}}));
    let edit = entry("kubectl-edit", "Update", json!({"f:data": {"f:more": {}}}));
    let beside = [ours.clone(), retained, edit];
    assert_eq!(handover(&live(None, &beside), &manifest()), None);
    assert_eq!(handover(&json!({"metadata": {}}), &manifest()), None);
    let helm = entry("helm", "Apply", json!({"f:data": {"f:old": {}}}));
    let found = handover(&live(None, &[ours, helm]), &manifest()).unwrap();
    assert_eq!(found.managed_fields[0]["fieldsV1"], json!({"f:data": {"f:k": {}, "f:old": {}}}));
}

#[test]
fn sets_are_split_and_joined_with_their_containers() {
    let whole = json!({"f:spec": {"f:list": {"k:{\"name\":\"a\"}": {".": {}, "f:x": {}, "f:y": {}},
        "k:{\"name\":\"b\"}": {".": {}, "f:x": {}}}}});
    let item = Path::parse(r#"spec.list[name="a"]"#).unwrap();
    let y = Path::parse(r#"spec.list[name="a"].y"#).unwrap();
    let (taken, left) =
        split(&whole, &mut Vec::new(), &|path: &Path| item.leads_to(path) && *path != y);
    assert_eq!(taken, json!({"f:spec": {"f:list": {"k:{\"name\":\"a\"}": {".": {}, "f:x": {}}}}}));
    assert_eq!(
        left,
        json!({"f:spec": {"f:list": {"k:{\"name\":\"a\"}": {"f:y": {}},
            "k:{\"name\":\"b\"}": {".": {}, "f:x": {}}}}})
    );
    assert_eq!(union(&taken, &left), whole);
    let (leaf, deep) = (json!({"f:data": {}}), json!({"f:data": {"f:k": {}}}));
    assert_eq!(union(&leaf, &deep), json!({"f:data": {"f:k": {}, ".": {}}}));
    assert_eq!(union(&deep, &leaf), json!({"f:data": {"f:k": {}, ".": {}}}));
    assert_eq!(union(&leaf, &leaf), leaf);
}
