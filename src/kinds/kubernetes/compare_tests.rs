use serde_json::json;

use super::super::local::quantity;
use super::super::object::Object;
use super::super::recordings;
use super::*;
use crate::model::kind::Kind;
use crate::model::observed::Remote;
use crate::model::secret::SecretId;
use crate::model::value::{Reference, Special};

/// What a comparison rests on, owned.
struct Case {
    declared: Json,
    sent: Option<Json>,
    answered: Option<Json>,
    remote: Remote,
    preview: Option<Preview>,
    ignore: Vec<String>,
    force: Vec<String>,
}

fn remote_of(object: &Json) -> Remote {
    Object.read(object, &recordings::scope()).pop().unwrap()
}

impl Case {
    /// An object as an apply left it, and as it is now.
    fn applied(sent: Json, answer: &Json, live: &Json) -> Case {
        let answered = Object.answered(&sent, &remote_of(answer));
        Case {
            declared: sent.clone(),
            sent: Some(Object.recordable(&sent)),
            answered,
            remote: remote_of(live),
            preview: None,
            ignore: Vec::new(),
            force: Vec::new(),
        }
    }

    fn diff(&self) -> Diffed {
        diff(&Facts {
            declared: Some(&self.declared),
            sent: self.sent.as_ref(),
            answered: self.answered.as_ref(),
            version: None,
            remote: &self.remote,
            preview: self.preview.as_ref(),
            ignore: &self.ignore,
            force: &self.force,
            shared: &[],
        })
    }
}

/// The Deployment of recording 06, whose state is the one of the numbered line.
fn deployment(line: usize) -> Case {
    let lines = recordings::lines("06-drift-and-conflicts.jsonl");
    let created = recordings::lines("04-openhands-create.jsonl");
    Case::applied(lines[2].sent(), &created[31].body(), &lines[line].body())
}

fn paths(changes: &[FieldChange]) -> Vec<&str> {
    changes.iter().map(|change| change.path.as_str()).collect()
}

#[test]
fn an_object_as_it_was_applied_needs_no_request() {
    let created = recordings::lines("04-openhands-create.jsonl");
    for (answer, read) in [(11, 12), (16, 17), (21, 22), (26, 27), (31, 32), (36, 37)] {
        let case =
            Case::applied(created[answer].sent(), &created[answer].body(), &created[read].body());
        assert_eq!(case.diff(), Diffed::default(), "line {answer}");
    }
}

#[test]
fn fields_that_others_add_are_no_drift() {
    assert_eq!(deployment(7).diff(), Diffed::default());
}

#[test]
fn what_another_manager_changed_is_drift_under_its_name_and_taken_back() {
    let lines = recordings::lines("06-drift-and-conflicts.jsonl");
    let mut case = deployment(1);
    let found = case.diff();
    assert!(found.wants_preview);
    let [drift] = found.drift.as_slice() else { panic!("{found:?}") };
    assert_eq!(drift.path, "spec.replicas");
    assert_eq!((drift.before.clone(), drift.after.clone()), (Some(json!(1)), Some(json!(3))));
    assert_eq!(drift.by.as_deref(), Some("kubectl-edit"));
    assert_eq!(drift.since.as_deref(), Some("2026-11-22T21:31:01Z"));

    case.preview = Some(Preview::Object(lines[3].body()));
    let found = case.diff();
    assert!(found.conflicts.is_empty() && !found.wants_preview);
    let [change] = found.changes.as_slice() else { panic!("{found:?}") };
    assert_eq!((change.before.clone(), change.after.clone()), (Some(json!(3)), Some(json!(1))));

    case.ignore = vec!["spec.replicas".to_owned()];
    assert_eq!(case.diff(), Diffed::default());
}

#[test]
fn what_was_written_through_scale_is_a_conflict_until_it_is_forced() {
    let mut case = deployment(9);
    let mut preview = case.remote.raw.clone();
    preview["spec"]["replicas"] = json!(1);
    preview["metadata"]["managedFields"] =
        deployment(7).remote.raw["metadata"]["managedFields"].clone();
    for answer in [
        Preview::Object(preview),
        Preview::Unchecked("no permission".into()),
        Preview::Refused {
            status: 409,
            message: "Apply failed with 1 conflict".into(),
            fields: vec![".spec.replicas".into()],
            conflict: true,
        },
    ] {
        case.preview = Some(answer);
        case.force.clear();
        let found = case.diff();
        assert_eq!(paths(&found.conflicts), ["spec.replicas"], "{:?}", case.preview);
        assert_eq!(found.conflicts[0].by.as_deref(), Some("hpa"));
        assert_eq!(found.conflicts[0].after, Some(json!(1)));
        assert!(found.changes.is_empty());
        assert_eq!(paths(&found.drift), ["spec.replicas"]);
        case.force = vec!["spec.replicas".to_owned()];
        let found = case.diff();
        assert!(found.conflicts.is_empty());
        assert_eq!(paths(&found.changes), ["spec.replicas"]);
    }
}

#[test]
fn an_object_of_another_maker_is_a_conflict_where_it_differs() {
    let lines = recordings::lines("06-drift-and-conflicts.jsonl");
    let mut case = Case {
        declared: lines[13].sent(),
        sent: None,
        answered: None,
        remote: remote_of(&lines[12].body()),
        preview: Some(Preview::Object(lines[14].body())),
        ignore: Vec::new(),
        force: Vec::new(),
    };
    let found = case.diff();
    assert_eq!(paths(&found.conflicts), ["data.a"]);
    assert_eq!(found.conflicts[0].by.as_deref(), Some("kubectl-client-side-apply"));
    assert_eq!(paths(&found.changes), ["data.b"]);
    case.force = vec!["**".to_owned()];
    let found = case.diff();
    assert!(found.conflicts.is_empty());
    assert_eq!(paths(&found.changes), ["data.a", "data.b"]);
}

#[test]
fn values_that_another_applier_holds_too_are_no_drift() {
    let mut case = deployment(7);
    let live = &mut case.remote.raw;
    let mut theirs = live["metadata"]["managedFields"][0].clone();
    theirs["manager"] = json!("argocd-controller");
    let list = live["metadata"]["managedFields"].as_array_mut().unwrap();
    list.push(theirs);
    live["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] =
        json!("openhands:apps/Deployment:openhands/openhands");
    let found = case.diff();
    assert_eq!(found.warnings.len(), 1);
    assert_eq!(found.warnings[0].code, Some(TWO_OWNERS));
    assert!(found.drift.is_empty() && found.changes.is_empty() && !found.wants_preview);
}

#[test]
fn a_default_in_the_way_is_shown_as_what_it_is() {
    let lines = recordings::lines("12-strategy-switch-by-claim-and-drop.jsonl");
    let mut case = Case::applied(lines[0].sent(), &lines[0].body(), &lines[0].body());
    case.declared = lines[1].sent();
    assert!(case.diff().wants_preview);
    let refusal = lines[1].body();
    case.preview = Some(Preview::Refused {
        status: 422,
        message: refusal["message"].as_str().unwrap().to_owned(),
        fields: vec!["spec.strategy.rollingUpdate".into()],
        conflict: false,
    });
    let found = case.diff();
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    let change = found.changes.iter().find(|c| c.path == "spec.strategy.rollingUpdate").unwrap();
    assert!(change.note.as_deref().unwrap().contains("claimed"));
    assert_eq!(change.before, Some(json!({"maxUnavailable": "25%", "maxSurge": "25%"})));
    assert_eq!(change.after, None);
    let image = "spec.template.spec.containers[name=\"openhands\"].image";
    assert!(paths(&found.changes).contains(&image), "{:?}", paths(&found.changes));
    let gone = "spec.template.spec.volumes[name=\"docker-sock\"].hostPath.path".to_owned();
    assert!(found.removed.contains(&gone), "{:?}", found.removed);
}

#[test]
fn a_rollback_shows_what_comes_and_goes() {
    let lines = recordings::lines("12-strategy-switch-by-claim-and-drop.jsonl");
    let mut case = Case::applied(lines[3].sent(), &lines[3].body(), &lines[3].body());
    case.declared = lines[5].sent();
    case.preview = Some(Preview::Object(lines[5].body()));
    let found = case.diff();
    let strategy = found.changes.iter().find(|c| c.path == "spec.strategy.type").unwrap();
    assert_eq!(strategy.before, Some(json!("Recreate")));
    assert_eq!(strategy.after, Some(json!("RollingUpdate")));
    assert!(found.conflicts.is_empty());
    // And then there is nothing left to do.
    let settled = Case::applied(lines[5].sent(), &lines[5].body(), &lines[6].body());
    assert_eq!(settled.diff(), Diffed::default());
}

#[test]
fn immutable_fields_are_named_or_replaced() {
    let rejections = recordings::lines("07-rejections.jsonl");
    let created = recordings::lines("04-openhands-create.jsonl");
    let case = |answer: usize, refusal: usize| {
        let mut case =
            Case::applied(created[answer].sent(), &created[answer].body(), &created[answer].body());
        case.declared = rejections[refusal].sent();
        let body = rejections[refusal].body();
        case.preview = Some(Preview::Refused {
            status: rejections[refusal].status(),
            message: body["message"].as_str().unwrap().to_owned(),
            fields: body["details"]["causes"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|cause| cause["field"].as_str().unwrap().to_owned())
                .collect(),
            conflict: false,
        });
        case
    };
    // The class of a claim, and the selector of a Deployment: only with a new object.
    for (answer, refusal, path) in
        [(16, 0, "spec.storageClassName"), (31, 4, "spec.selector.matchLabels.app")]
    {
        let case = case(answer, refusal);
        let found = case.diff();
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        assert!(paths(&found.changes).contains(&path), "{:?}", paths(&found.changes));
        assert!(Object.replaces(path, &case.declared, &case.remote).is_some());
    }
    // A claim that is to shrink, and manifests that can't be meant: an error with the field.
    for (answer, refusal, path) in [
        (16, 2, "spec"),
        (31, 6, "spec.template.spec.containers[0].volumeMounts[0].name"),
        (31, 7, ""),
        (31, 10, ""),
    ] {
        let found = case(answer, refusal).diff();
        let [problem] = found.warnings.as_slice() else { panic!("{found:?}") };
        assert_eq!((problem.code, problem.path.as_str()), (None, path));
    }
}

/// A custom resource that boxctl applied, by what it declares now and how the server refuses that.
fn thing(spec: Json, now: Json, field: &str, message: &str) -> Diffed {
    let of = |spec: Json| {
        json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
            "metadata": {"name": "t", "namespace": "a", "uid": "u"}, "spec": spec})
    };
    let owned: JsonMap =
        spec.as_object().unwrap().keys().map(|k| (format!("f:{k}"), json!({}))).collect();
    let mut live = of(spec.clone());
    live["metadata"]["managedFields"] = json!([{"manager": "boxctl", "operation": "Apply",
        "apiVersion": "external-secrets.io/v1", "fieldsV1": {"f:spec": owned}}]);
    let mut case = Case::applied(of(spec), &live, &live);
    case.declared = of(now);
    case.preview = Some(Preview::Refused {
        status: 422,
        message: message.to_owned(),
        fields: vec![field.to_owned()],
        conflict: false,
    });
    case.diff()
}

#[test]
fn what_the_server_alone_knows_to_be_fixed_is_replaced_kept_or_refused() {
    let rule = "ExternalSecret.external-secrets.io \"t\" is invalid: spec.fixed: Invalid value: \"string\": fixed is immutable";
    let changed = json!({"fixed": "b", "free": 2});
    // Changed: only with a new object.
    let found = thing(json!({"fixed": "a", "free": 1}), changed, "spec.fixed", rule);
    assert!(found.replaced.unwrap().starts_with("spec.fixed of a ExternalSecret"));
    // Left: it stays, and what may go goes.
    let whole = "spec: Invalid value: \"object\": fixed is immutable";
    let (before, after) = (json!({"fixed": "a", "free": 1}), json!({"free": 1}));
    let found = thing(before, after, "spec", whole);
    assert_eq!((paths(&found.changes), &found.replaced), (vec!["spec.fixed"], &None));
    assert!(found.changes[0].note.as_ref().unwrap().contains("it stays"));
    let (before, after) = (json!({"fixed": "a", "free": 1}), json!({"fixed": "a"}));
    let found = thing(before, after, "spec.other", rule);
    assert_eq!(found.warnings.len(), 1, "what is named is none of the manifest's: {found:?}");
    // Anything else is an error at its place.
    let wrong = "spec.size: Invalid value: -1: should be greater than or equal to 0";
    let found = thing(json!({"size": 1}), json!({"size": -1}), "spec.size", wrong);
    assert_eq!((found.replaced, found.warnings[0].path.as_str()), (None, "spec.size"));
}

#[test]
fn without_a_dry_run_quantities_and_defaults_are_equal() {
    for line in recordings::lines("08-quantities.jsonl") {
        let body = line.body();
        if line.status() != 201 || body["kind"] != "Deployment" {
            continue;
        }
        let case = Case {
            declared: line.sent(),
            sent: None,
            answered: None,
            remote: remote_of(&body),
            preview: Some(Preview::Unchecked("no permission to patch".into())),
            ignore: Vec::new(),
            force: Vec::new(),
        };
        assert_eq!(case.diff().changes, [], "{}", case.declared);
    }
    for (text, number) in
        [("1000m", 1.0), ("1Gi", 1_073_741_824.0), ("0.5", 0.5), ("1e3", 1000.0), ("2k", 2000.0)]
    {
        assert_eq!(quantity(&json!(text)), Some(number), "{text}");
    }
    assert_eq!(quantity(&json!("latest")), None);
}

#[test]
fn nulls_and_a_status_say_nothing_where_the_server_is_not_asked() {
    let live = json!({"apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "10.0.0.1"},
        "metadata": {"name": "s", "namespace": "a", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    let case = Case {
        declared: json!({"apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": null},
            "metadata": {"name": "s", "namespace": "a", "creationTimestamp": null},
            "status": {"loadBalancer": {"x": 1}}}),
        sent: None,
        answered: None,
        remote: remote_of(&live),
        preview: Some(Preview::Unchecked("no permission to patch".into())),
        ignore: Vec::new(),
        force: Vec::new(),
    };
    assert_eq!(case.diff().changes, []);
}

#[test]
fn string_data_is_kept_as_data_where_the_server_is_not_asked() {
    let hidden = || Special::secret(SecretId::variable("k8s"), None);
    let manifest = |keys: &[&str]| {
        let data: JsonMap = keys.iter().map(|key| ((*key).to_owned(), hidden())).collect();
        json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "namespace": "a"}, "stringData": data})
    };
    let live = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "s", "namespace": "a", "uid": "u"}, "data": {"k": "dg=="}});
    let mut case = Case {
        declared: manifest(&["k"]),
        sent: None,
        answered: None,
        remote: remote_of(&live),
        preview: Some(Preview::Unchecked("no permission to patch".into())),
        ignore: Vec::new(),
        force: Vec::new(),
    };
    assert_eq!(case.diff().changes, []);
    case.declared = manifest(&["k", "l"]);
    assert_eq!(paths(&case.diff().changes), ["data.l"]);

    // A key that boxctl applied and the manifest has no more goes with the next apply.
    let mut both = live;
    both["data"]["l"] = json!("dw==");
    both["metadata"]["managedFields"] = json!([{"manager": "boxctl", "operation": "Apply",
        "fieldsV1": {"f:data": {"f:k": {}, "f:l": {}}}}]);
    let mut case = Case::applied(manifest(&["k", "l"]), &both, &both);
    case.declared = manifest(&["k"]);
    case.preview = Some(Preview::Unchecked("no permission to patch".into()));
    let found = case.diff();
    assert_eq!(paths(&found.changes), ["data.l"]);
    assert!(found.changes[0].secret && found.changes[0].after.is_none());
}

#[test]
fn a_secret_put_into_another_kind_is_not_shown() {
    let node = Special::secret(SecretId::variable("password"), None);
    let manifest = |value: Json| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": "a"}, "data": {"k": value, "l": "plain"}})
    };
    let object = |value: &str, manager: &str| {
        let mut object = manifest(json!(value));
        object["metadata"]["uid"] = json!("u");
        object["metadata"]["managedFields"] = json!([{"manager": manager, "operation": "Apply",
            "fieldsV1": {"f:data": {"f:k": {}, "f:l": {}}}}]);
        object
    };
    let ours = object("hunter2", "boxctl");
    let case = Case::applied(manifest(node.clone()), &ours, &ours);
    assert_eq!(case.answered, Some(json!({"data.k": "(secret)", "data.l": "plain"})));
    assert_eq!(case.diff(), Diffed::default());
    let mut case = Case::applied(manifest(node), &ours, &object("hunter3", "intruder"));
    case.preview = Some(Preview::Object(ours));
    let found = case.diff();
    assert_eq!(paths(&found.drift), ["data.k"]);
    assert_eq!(paths(&found.changes), ["data.k"]);
    assert!(!format!("{found:?}").contains("hunter"), "{found:?}");
}

#[test]
fn a_value_known_later_is_a_change_that_nobody_can_preview() {
    let lines = recordings::lines("04-openhands-create.jsonl");
    let body = lines[26].body();
    let mut case = Case::applied(lines[26].sent(), &body, &body);
    let reference = Reference {
        address: crate::model::address::Address::new("tunnel", "a"),
        output: "id".into(),
    };
    case.declared["metadata"]["labels"] = json!({"tunnel": Special::unknown(reference)});
    let found = case.diff();
    assert_eq!(paths(&found.changes), ["metadata.labels"]);
    assert!(!found.wants_preview);
}

#[test]
fn containers_left_empty_may_be_filled_by_others() {
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "a", "labels": {}}});
    let object = |labels: Json, ours: bool| {
        let mut object = manifest.clone();
        object["metadata"]["uid"] = json!("u");
        object["metadata"]["labels"] = labels;
        let owner = if ours { "boxctl" } else { "other" };
        object["metadata"]["managedFields"] = json!([{"manager": owner, "operation": "Apply",
            "fieldsV1": {"f:metadata": {"f:labels": {}}}}]);
        object
    };
    let answer = object(json!({}), true);
    for (live, drifted) in [
        (object(json!({"a": "b"}), true), false),
        (object(json!({}), false), false),
        (object(json!({"a": "b"}), false), true),
    ] {
        let found = Case::applied(manifest.clone(), &answer, &live).diff();
        assert_eq!(!found.drift.is_empty(), drifted, "{live}");
    }
}

#[test]
fn containers_that_the_server_leaves_out_while_empty_may_be_filled_too() {
    let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "c",
        "namespace": "a", "labels": {}, "finalizers": []}, "spec": {"tolerations": []}});
    let ours = json!({"manager": "boxctl", "operation": "Apply", "fieldsV1": {
        "f:metadata": {"f:labels": {}, "f:finalizers": {}}, "f:spec": {"f:tolerations": {}}}});
    let mut answer = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "c", "namespace": "a", "uid": "u", "managedFields": [ours]}});
    answer["spec"] = json!({});
    for (field, value, owned, drifted) in [
        (
            "/metadata/labels",
            json!({"a": "b"}),
            json!({"f:metadata": {"f:labels": {"f:a": {}}}}),
            false,
        ),
        (
            "/metadata/finalizers",
            json!(["a/b"]),
            json!({"f:metadata": {"f:finalizers": {"v:\"a/b\"": {}}}}),
            false,
        ),
        (
            "/spec/tolerations",
            json!([{"key": "a"}]),
            json!({"f:spec": {"f:tolerations": {}}}),
            true,
        ),
    ] {
        let mut live = answer.clone();
        let (parent, name) = field.rsplit_once('/').unwrap();
        live.pointer_mut(parent).unwrap()[name] = value;
        let theirs = json!({"manager": "other", "operation": "Update", "fieldsV1": owned});
        live["metadata"]["managedFields"].as_array_mut().unwrap().push(theirs);
        let found = Case::applied(manifest.clone(), &answer, &live).diff();
        assert_eq!(!found.drift.is_empty(), drifted, "{field}: {:?}", found.drift);
    }
}

#[test]
fn a_secret_is_compared_by_owner_and_by_dry_run() {
    let manifest = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "s", "namespace": "a"}, "data": {"k": "b25l"}});
    let object = |value: &str, manager: &str| {
        let mut object = manifest.clone();
        object["data"]["k"] = json!(value);
        object["metadata"]["uid"] = json!("u");
        object["metadata"]["managedFields"] = json!([{"manager": manager, "operation": "Apply",
            "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {"f:k": {}}}}]);
        object
    };
    let ours = object("b25l", "boxctl");
    let mut case = Case::applied(manifest.clone(), &ours, &ours);
    assert!(case.diff().wants_preview, "values are not recorded: the server has to be asked");
    case.preview = Some(Preview::Object(ours.clone()));
    assert_eq!(case.diff(), Diffed::default());
    case.preview = Some(Preview::Object(object("dHdv", "boxctl")));
    let found = case.diff();
    assert_eq!(paths(&found.changes), ["data.k"]);
    assert!(found.changes[0].secret);
    assert!(!format!("{found:?}").contains("b25l") && !format!("{found:?}").contains("dHdv"));

    let mut case = Case::applied(manifest.clone(), &ours, &object("dHdv", "intruder"));
    let found = case.diff();
    assert_eq!(paths(&found.drift), ["data.k"]);
    assert_eq!(found.drift[0].by.as_deref(), Some("intruder"));
    case.preview = Some(Preview::Unchecked("no permission".into()));
    assert_eq!(paths(&case.diff().drift), ["data.k"]);
}
