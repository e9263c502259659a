use serde_json::json;

use super::super::object::Object;
use super::super::preview::{preview, preview_from};
use super::super::recordings;
use super::*;
use crate::model::address::Address;
use crate::model::kind::Kind;
use crate::model::observed::{Preview, Remote};

struct Step {
    verb: Verb,
    address: Address,
    spec: Json,
    sent: Option<Json>,
    remote: Option<Remote>,
    force: Vec<String>,
    ignore: Vec<String>,
    restart: Option<String>,
    scope: Scope,
}

fn remote_of(object: &Json) -> Remote {
    Object.read(object, &recordings::scope()).pop().unwrap()
}

impl Step {
    fn new(verb: Verb, spec: Json, sent: Option<Json>, live: Option<&Json>) -> Step {
        Step {
            verb,
            address: Address::kubernetes("Deployment", None, Some("probe"), "openhands"),
            spec,
            sent,
            remote: live.map(remote_of),
            force: Vec::new(),
            ignore: Vec::new(),
            restart: None,
            scope: recordings::scope(),
        }
    }

    fn next(&self, answers: &[Answer]) -> Result<Next, KindError> {
        next(&self.work(), answers)
    }

    fn work(&self) -> Work<'_> {
        Work {
            verb: self.verb,
            address: &self.address,
            spec: &self.spec,
            sent: self.sent.as_ref(),
            version: None,
            remote: self.remote.as_ref(),
            removed: &[],
            shared: &[],
            ignore: &self.ignore,
            force: &self.force,
            scope: &self.scope,
            mark: "m",
            restart: self.restart.as_deref(),
            rotate: None,
            keeps: false,
        }
    }

    fn call(&self, answers: &[Answer]) -> Call {
        match self.next(answers).unwrap() {
            Next::Call(call) => *call,
            Next::Done(_) => panic!("done"),
        }
    }
}

/// An answer as the sender hands it over.
fn answer(line: &recordings::Line) -> Answer {
    let mut body = line.body();
    if line.status() >= 400 {
        body = json!({
            "code": line.status(), "reason": body["reason"], "message": body["message"],
            "causes": body["details"]["causes"],
        });
    }
    Answer { status: line.status(), body, warnings: Vec::new() }
}

fn has(call: &Call, name: &str, value: &str) -> bool {
    call.query.contains(&(name.to_owned(), value.to_owned()))
}

/// The body without the precondition that an update carries.
fn unpinned(call: &Call) -> Json {
    let mut body = call.body.clone().unwrap();
    if let Some(metadata) = body.pointer_mut("/metadata").and_then(Json::as_object_mut) {
        metadata.shift_remove("uid");
    }
    body
}

#[test]
fn a_create_sends_the_manifest_as_it_is() {
    let lines = recordings::lines("12-strategy-switch-by-claim-and-drop.jsonl");
    let step = Step::new(Verb::Create, lines[0].sent(), None, None);
    let call = step.call(&[]);
    assert_eq!(call.path, lines[0].path());
    assert_eq!(call.body, Some(lines[0].sent()));
    assert_eq!(call.content_type, Some("application/apply-patch+yaml"));
    assert!(has(&call, "fieldManager", "boxctl") && has(&call, "fieldValidation", "Strict"));
    assert!(!has(&call, "force", "true") && call.mutating);
    let Next::Done(Some(remote)) = step.next(&[answer(&lines[0])]).unwrap() else { panic!() };
    assert_eq!(remote.id, "deployments.apps/probe/openhands");
}

#[test]
fn defaults_in_the_way_are_claimed_and_dropped_as_recorded() {
    let lines = recordings::lines("12-strategy-switch-by-claim-and-drop.jsonl");
    let live = lines[0].body();
    let step = Step::new(Verb::Update, lines[1].sent(), Some(lines[0].sent()), Some(&live));
    let mut answers = Vec::new();
    for line in &lines[1..=3] {
        let call = step.call(&answers);
        assert_eq!(call.path, line.path());
        assert_eq!(unpinned(&call), line.sent());
        assert_eq!(call.body.unwrap()["metadata"]["uid"], live["metadata"]["uid"]);
        answers.push(answer(line));
    }
    let Next::Done(Some(remote)) = step.next(&answers).unwrap() else { panic!() };
    assert_eq!(remote.raw["spec"]["strategy"], json!({"type": "Recreate"}));
    // Claimed and refused again: the refusal is told, and nothing goes round in circles.
    answers.pop();
    answers.push(answer(&lines[1]));
    assert!(matches!(step.next(&answers), Err(KindError::Refused { status: 422, .. })));
}

#[test]
fn a_field_that_can_not_go_is_handed_over_as_recorded() {
    let lines = recordings::lines("13-drop-an-immutable-field.jsonl");
    let live = lines[0].body();
    let step = Step::new(Verb::Update, lines[1].sent(), Some(lines[0].sent()), Some(&live));
    let mut answers = Vec::new();
    for line in &lines[1..=3] {
        let call = step.call(&answers);
        assert_eq!((call.path.as_str(), unpinned(&call)), (line.path(), line.sent()));
        assert!(
            has(&call, "fieldManager", line.query("fieldManager")) && !has(&call, "force", "true")
        );
        answers.push(answer(line));
    }
    assert!(matches!(step.next(&answers), Ok(Next::Done(Some(_)))));

    // Killed after it was handed over: the apply goes through by itself.
    let step =
        Step::new(Verb::Update, lines[1].sent(), Some(lines[0].sent()), Some(&lines[2].body()));
    assert_eq!(unpinned(&step.call(&[])), lines[3].sent());
    assert!(matches!(step.next(&[answer(&lines[3])]), Ok(Next::Done(Some(_)))));

    // Back in the manifest, it is given up: an apply that names nothing owns nothing.
    let kept = lines[3].body();
    let step = Step::new(Verb::Update, lines[0].sent(), Some(lines[3].sent()), Some(&kept));
    assert_eq!(unpinned(&step.call(&[])), lines[0].sent());
    let applied = answer(&lines[2]);
    let call = step.call(std::slice::from_ref(&applied));
    assert!(has(&call, "fieldManager", "boxctl-retained"));
    assert_eq!(unpinned(&call).get("spec"), None);
    assert!(matches!(step.next(&[applied, answer(&lines[0])]), Ok(Next::Done(Some(_)))));
}

#[test]
fn what_kubectl_made_is_taken_over_under_the_version_that_was_read() {
    let lines = recordings::lines("06-drift-and-conflicts.jsonl");
    let made = &lines[12];
    assert_eq!(made.body()["metadata"]["name"], "cm");
    let mut step = Step::new(Verb::Update, lines[13].sent(), None, Some(&made.body()));
    step.force = vec!["**".to_owned()];
    let call = step.call(&[]);
    assert_eq!(call.content_type, Some("application/merge-patch+json"));
    let body = call.body.unwrap();
    let metadata = &body["metadata"];
    assert_eq!(metadata["resourceVersion"], made.body()["metadata"]["resourceVersion"]);
    let entries = metadata["managedFields"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["manager"]), (1, &json!("boxctl")));
    assert_eq!(entries[0]["fieldsV1"]["f:data"]["f:a"], json!({}));
    assert!(entries[0].get("time").is_none());

    // Changed since: it is read again, and taken over as it is then.
    let changed =
        Answer { status: 409, body: json!({"message": "modified"}), warnings: Vec::new() };
    let look = step.call(std::slice::from_ref(&changed));
    assert_eq!((look.method, look.mutating), (Method::Get, false));
    let mut newer = made.body();
    newer["metadata"]["resourceVersion"] = "999".into();
    let newer = Answer { status: 200, body: newer, warnings: Vec::new() };
    let again = step.call(&[changed, newer]).body.unwrap();
    assert_eq!(again["metadata"]["resourceVersion"], "999");
}

#[test]
fn drift_is_taken_back_by_force_and_scale_is_not() {
    let lines = recordings::lines("06-drift-and-conflicts.jsonl");
    let sent = lines[2].sent();
    let step = Step::new(Verb::Update, sent.clone(), Some(sent.clone()), Some(&lines[1].body()));
    assert!(!has(&step.call(&[]), "force", "true"));
    let forced = step.call(&[answer(&lines[2])]);
    assert!(has(&forced, "force", "true"));
    assert_eq!(unpinned(&forced), sent);

    let mut scaled = Step::new(Verb::Update, sent.clone(), Some(sent), Some(&lines[9].body()));
    let refused = scaled.next(&[answer(&lines[10])]).unwrap_err();
    let KindError::Refused { status: 409, message, hint } = refused else { panic!("{refused}") };
    assert!(message.contains("spec.replicas") && message.contains("hpa"), "{message}");
    assert!(hint.unwrap().contains("force: [\"spec.replicas\"]"));
    scaled.force = vec!["spec.replicas".into()];
    assert!(has(&scaled.call(&[answer(&lines[10])]), "force", "true"));

    // Another object's field that boxctl never applied.
    let adopt = Step::new(Verb::Update, lines[13].sent(), None, Some(&lines[12].body()));
    assert!(matches!(adopt.next(&[answer(&lines[13])]), Err(KindError::Refused { .. })));
}

#[test]
fn a_claim_leaves_out_what_belongs_to_others_by_now() {
    let lines = recordings::lines("12-strategy-switch-by-claim-and-drop.jsonl");
    let scaled = recordings::lines("06-drift-and-conflicts.jsonl");
    let step =
        Step::new(Verb::Update, lines[1].sent(), Some(lines[0].sent()), Some(&lines[0].body()));
    let refused = [answer(&lines[1]), answer(&scaled[10])];
    let claim = step.call(&refused);
    assert!(!has(&claim, "force", "true"));
    let mut expected = lines[2].sent();
    expected["spec"].as_object_mut().unwrap().shift_remove("replicas");
    assert_eq!(unpinned(&claim), expected);
    let again = [refused[0].clone(), refused[1].clone(), refused[1].clone()];
    assert!(matches!(step.next(&again), Err(KindError::Refused { status: 409, .. })));
}

#[test]
fn an_update_of_what_is_gone_is_refused_and_not_a_create() {
    let lines = recordings::lines("12-strategy-switch-by-claim-and-drop.jsonl");
    let step =
        Step::new(Verb::Update, lines[1].sent(), Some(lines[0].sent()), Some(&lines[0].body()));
    let gone = Answer {
        status: 409,
        body: json!({"code": 409, "reason": "Conflict", "message": "uid mismatch: the provided \
                     object specified uid x, and no existing object was found", "causes": []}),
        warnings: Vec::new(),
    };
    let error = step.next(&[gone]).unwrap_err();
    assert!(matches!(error, KindError::Refused { status: 409, hint: Some(_), .. }), "{error}");
}

#[test]
fn a_restart_is_asked_for_under_a_manager_of_its_own() {
    let lines = recordings::lines("12-strategy-switch-by-claim-and-drop.jsonl");
    let sent = lines[0].sent();
    let mut step = Step::new(Verb::Update, sent.clone(), Some(sent), Some(&lines[0].body()));
    step.restart = Some("openhands-tunnel-token@2".into());
    let restart = step.call(&[answer(&lines[0])]);
    assert!(has(&restart, "fieldManager", "boxctl-restart") && has(&restart, "force", "true"));
    assert_eq!(
        unpinned(&restart),
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "openhands", "namespace": "probe"},
            "spec": {"template": {"metadata": {"annotations":
                {"boxctl/parameter-versions": "openhands-tunnel-token@2"}}}}})
    );
    assert!(matches!(step.next(&[answer(&lines[0]), answer(&lines[0])]), Ok(Next::Done(Some(_)))));
    let secrets = recordings::lines("14-status-and-readiness.jsonl");
    let sent = secrets[6].sent();
    let mut step = Step::new(Verb::Update, sent.clone(), Some(sent), Some(&secrets[6].body()));
    step.restart = Some("v2".into());
    let body = unpinned(&step.call(&[answer(&secrets[6])]));
    assert_eq!(body["metadata"]["annotations"], json!({"boxctl/parameter-versions": "v2"}));
    assert!(body.get("spec").is_none());
    assert_eq!(names::restart_text(&body), Some("v2"));
}

#[test]
fn ignored_fields_stay_as_they_are() {
    let lines = recordings::lines("06-drift-and-conflicts.jsonl");
    let sent = lines[2].sent();
    // Scaled by someone else: the field is theirs, and left out.
    let mut step =
        Step::new(Verb::Update, sent.clone(), Some(sent.clone()), Some(&lines[9].body()));
    step.ignore = vec!["spec.replicas".into()];
    assert!(step.call(&[]).body.unwrap()["spec"].get("replicas").is_none());
    // Still boxctl's: leaving it out would take it away.
    let mut step = Step::new(Verb::Update, sent.clone(), Some(sent), Some(&lines[7].body()));
    step.spec["spec"]["replicas"] = json!(9);
    step.ignore = vec!["spec.replicas".into()];
    assert_eq!(step.call(&[]).body.unwrap()["spec"]["replicas"], 1);
}

#[test]
fn a_dry_run_changes_nothing_and_its_answer_is_told_apart() {
    let lines = recordings::lines("05-migrate-and-roll-back.jsonl");
    let step = Step::new(Verb::Update, lines[4].sent(), None, Some(&lines[6].body()));
    let call = preview(&step.work()).unwrap();
    assert!(!call.mutating && has(&call, "dryRun", "All") && has(&call, "force", "true"));
    assert!(call.tolerate.contains(&422) && call.tolerate.contains(&403));
    assert!(matches!(preview_from(&answer(&lines[7])), Preview::Object(_)));
    let Preview::Refused { status: 422, fields, .. } = preview_from(&answer(&lines[4])) else {
        panic!()
    };
    assert_eq!(fields, ["spec.strategy.rollingUpdate"]);
    let rejections = recordings::lines("07-rejections.jsonl");
    assert!(matches!(preview_from(&answer(&rejections[25])), Preview::Unchecked(_)));
    assert!(matches!(preview_from(&answer(&rejections[20])), Preview::Refused { .. }));
    let mut unknown = Step::new(Verb::Update, lines[4].sent(), None, None);
    unknown.spec["spec"]["x"] = json!({"$boxctl": {"unknown":
        {"address": "tunnel.a", "output": "id"}}});
    assert!(preview(&unknown.work()).is_none());
}

#[test]
fn what_keeps_a_dry_run_from_telling_is_no_refusal_of_the_manifest() {
    for (status, message, why) in [
        (400, "admission webhook \"w.example.org\" does not support dry run", "takes no dry-run"),
        (
            403,
            "deployments.apps \"d\" is forbidden: User \"u\" cannot patch resource \"deployments\" in \
             API group \"apps\" in the namespace \"default\"",
            "needs the permission to patch",
        ),
        (403, "pods \"p\" is forbidden: exceeded quota: q, requested: pods=1", "as the cluster is"),
        (
            403,
            "pods \"p\" is forbidden: error looking up service account a/s: serviceaccount \"s\" \
             not found",
            "as the cluster is",
        ),
        (404, "namespaces \"a\" not found", "no place"),
        (
            500,
            "Internal error occurred: failed calling webhook \"w.example.org\": failed to call \
             webhook: Post \"https://w.a.svc:443/\": context deadline exceeded",
            "could not check",
        ),
    ] {
        let answer = Answer { status, body: json!({"message": message}), warnings: Vec::new() };
        let Preview::Unchecked(said) = preview_from(&answer) else { panic!("{message}") };
        assert!(said.contains(why) && said.contains(message), "{said}");
    }
    for (status, message) in [
        (400, "admission webhook \"w.example.org\" denied the request: no"),
        (500, "failed to create typed patch object (a/b; v1, Kind=Service): .spec.x: not declared"),
        (403, "unable to create new content in namespace a because it is being terminated"),
    ] {
        let answer = Answer { status, body: json!({"message": message}), warnings: Vec::new() };
        assert!(matches!(preview_from(&answer), Preview::Refused { .. }), "{message}");
    }
}

#[test]
fn a_delete_is_done_when_the_object_is_gone() {
    let lines = recordings::lines("12-strategy-switch-by-claim-and-drop.jsonl");
    let live = lines[0].body();
    let step = Step::new(Verb::Delete, lines[0].sent(), None, Some(&live));
    let delete = step.call(&[]);
    assert_eq!(delete.method, Method::Delete);
    let body = delete.body.unwrap();
    assert_eq!(body["preconditions"]["uid"], live["metadata"]["uid"]);
    assert_eq!(body["propagationPolicy"], "Background");

    let ok = Answer { status: 200, body: json!({"kind": "Status"}), warnings: Vec::new() };
    let there = Answer { status: 200, body: live.clone(), warnings: Vec::new() };
    let gone = Answer { status: 404, body: json!({}), warnings: Vec::new() };
    let mut another = there.clone();
    another.body["metadata"]["uid"] = json!("another");
    assert_eq!(step.call(std::slice::from_ref(&ok)).method, Method::Get);
    assert_eq!(step.call(&[ok.clone(), there.clone()]).method, Method::Get);
    assert_eq!(step.next(&[ok.clone(), there, gone.clone()]).unwrap(), Next::gone());
    assert_eq!(step.next(&[ok, another]).unwrap(), Next::gone());
    assert_eq!(step.next(&[gone]).unwrap(), Next::gone());
}

#[test]
fn a_kind_that_is_not_served_is_said() {
    let manifest =
        json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"}});
    let step = Step::new(Verb::Create, manifest, None, None);
    assert!(matches!(step.next(&[]), Err(KindError::Impossible { .. })));
    assert!(preview(&step.work()).is_none());
}
