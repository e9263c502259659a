//! `drift accept`: the edit of the files that keeps what was found, and an apply that only records
//! it.

use serde_json::{Value, json};

use crate::lab::Lab;

/// What was found is kept by the edit that is shown and made: the files are valid, an apply changes
/// nothing in the world, and then nothing has drifted and nothing is to be done. Gives the diff.
#[track_caller]
fn is_kept(lab: &Lab, what: &str) -> String {
    lab.run(&["drift"]).exits(2);
    let world = lab.dump();
    let shown = lab.run(&["drift", "accept", what]).exits(0).says("Nothing is written yet");
    lab.run(&["drift"]).exits(2);
    let made = lab.run(&["drift", "accept", what, "--write"]).exits(0);
    assert_eq!(made.out, shown.out, "what is made is what was shown");
    lab.run(&["validate"]).exits(0);
    lab.forget_requests();
    lab.apply(&[]);
    assert_eq!(lab.changes(), [] as [String; 0], "{what}: {}", made.out);
    assert_eq!(lab.dump(), world, "{what}");
    lab.run(&["drift"]).exits(0);
    lab.is_settled(&[]);
    made.out
}

/// No edit keeps it: it says why, and nothing is written.
#[track_caller]
fn is_left_to_the_user(lab: &Lab, what: &str, why: &str) {
    let file = lab.read("stacks/openhands.yaml");
    lab.run(&["drift", "accept", what, "--write"]).exits(5).says(why);
    assert_eq!(lab.read("stacks/openhands.yaml"), file);
}

fn record(lab: &Lab) -> String {
    let record = lab.only(&lab.records());
    format!("{}/{}", lab.records(), record["id"].as_str().unwrap())
}

fn application(lab: &Lab, change: &Value) {
    let application = lab.only(&lab.account("access/apps"));
    let path = lab.account(&format!("access/apps/{}", application["id"].as_str().unwrap()));
    let mut body = application.clone();
    body.as_object_mut().unwrap().remove("policies");
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    lab.cloudflare("PUT", &path, Some(body));
}

fn rules(lab: &Lab, edit: impl FnOnce(&mut Vec<Value>)) {
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let path =
        lab.account(&format!("cfd_tunnel/{}/configurations", tunnel["id"].as_str().unwrap()));
    let mut rules = lab.cloudflare("GET", &path, None)["config"]["ingress"].clone();
    edit(rules.as_array_mut().unwrap());
    lab.cloudflare("PUT", &path, Some(json!({"config": {"ingress": rules}})));
}

#[test]
fn what_changed_is_kept_in_a_short_form() {
    let lab = Lab::of("openhands");
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 24h # a day");
    lab.apply(&[]);
    application(&lab, &json!({"session_duration": "1h"}));
    let diff = is_kept(&lab, "access_application.openhands");
    assert!(diff.contains("-      session_duration: 24h # a day\n"), "{diff}");
    assert!(diff.contains("+      session_duration: 1h # a day\n"), "{diff}");
    rules(&lab, |rules| rules[0]["service"] = json!("http://other.openhands:8080"));
    let diff = is_kept(&lab, "tunnel_config.openhands.ingress");
    assert!(diff.contains("+    origin: http://other.openhands:8080\n"), "{diff}");
    // What the short form does not say goes over what it makes.
    lab.cloudflare("PATCH", &record(&lab), Some(json!({"proxied": false, "ttl": 300})));
    let diff = is_kept(&lab, "dns_record.*");
    assert!(diff.contains("+resources:\n+  dns_record.openhands:\n"), "{diff}");
    assert!(diff.contains("+    ttl: 300\n"), "{diff}");
    lab.cloudflare("PATCH", &record(&lab), Some(json!({"ttl": 600})));
    let diff = is_kept(&lab, "dns_record.openhands.ttl");
    assert!(diff.contains("-    ttl: 300\n") && diff.contains("+    ttl: 600\n"), "{diff}");
    rules(&lab, |rules| {
        let rule =
            json!({"hostname": "openhands.b0xp.io", "path": "^/api", "service": "http://api:80"});
        rules.insert(0, rule);
    });
    let diff = is_kept(&lab, "tunnel_config.openhands");
    assert!(diff.contains("+      - hostname: openhands.b0xp.io\n"), "{diff}");
    let policy = lab.only(&lab.account("access/policies"));
    let path = lab.account(&format!("access/policies/{}", policy["id"].as_str().unwrap()));
    let mut body =
        json!({"name": policy["name"], "decision": "allow", "include": policy["include"]});
    let me = json!({"email": {"email": "me@example.org"}});
    body["include"].as_array_mut().unwrap().push(me);
    lab.cloudflare("PUT", &path, Some(body));
    let diff = is_kept(&lab, "access_policy.openhands");
    assert!(diff.contains("me@example.org"), "{diff}");
}

#[test]
fn what_comes_from_elsewhere_is_left_to_the_user() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let at = record(&lab);
    lab.cloudflare("PATCH", &at, Some(json!({"content": "elsewhere.example.org"})));
    is_left_to_the_user(&lab, "dns_record.openhands", "${tunnel.openhands.cname}");
    lab.run(&["drift", "accept", "dns_record.openhands"]).exits(5).says("elsewhere.example.org");
    let name = "openhands-tunnel-token";
    lab.ssm("PutParameter", json!({"Name": name, "Value": "oth3r", "Overwrite": true}));
    is_left_to_the_user(&lab, "ssm_parameter.openhands", "is a secret");
    lab.cloudflare("DELETE", &at, None);
    is_left_to_the_user(&lab, "dns_record.openhands", "short form");
    is_left_to_the_user(&lab, "tunnel.openhands", "has not drifted");
}

#[test]
fn what_changed_in_the_cluster_is_kept_in_the_manifest() {
    let lab = Lab::of("openhands");
    let file = "manifests/socket/deployment.yaml";
    let text = lab.read(file).replace("replicas: 1", "replicas: 1 # one is enough");
    assert!(text.contains("one is enough"), "{text}");
    lab.write(file, &text);
    lab.apply(&[]);
    let path = "/apis/apps/v1/namespaces/openhands/deployments/openhands";
    let address = "k8s.Deployment/openhands/openhands";
    let mut all =
        lab.kubernetes("GET", path, None)["spec"]["template"]["spec"]["containers"].clone();
    all[0]["image"] = json!("openhands:other");
    all[0]["env"][1]["value"] = json!("/other");
    lab.patch(path, json!({"spec": {"replicas": 3, "template": {"spec": {"containers": all}}}}));
    lab.run(&["drift"]).exits(2);
    lab.run(&["drift", "accept", address, "--write"]).exits(0).says("+  replicas: 3 # one is");
    let after = lab.read(file);
    assert!(after.contains("image: openhands:other"), "{after}");
    let same = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (same(&text), same(&after));
    let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    assert_eq!((before.len(), changed), (after.len(), 3), "{after:#?}");
    lab.run(&["validate"]).exits(0);
    lab.apply(&[]);
    lab.run(&["drift"]).exits(0);
    lab.is_settled(&[]);
    // What is gone leaves the files.
    lab.kubernetes("DELETE", "/api/v1/namespaces/openhands/services/openhands-service", None);
    let diff = is_kept(&lab, "k8s.Service/openhands/openhands-service");
    assert!(diff.contains("+++ /dev/null"), "{diff}");
    assert!(!lab.path().join("manifests/socket/service.yaml").exists());
}

#[test]
fn what_changed_is_kept_where_it_is_written_by_hand() {
    let lab = Lab::of("longform");
    lab.apply(&[]);
    let stack = "stacks/openhands.yaml";
    lab.cloudflare("PATCH", &record(&lab), Some(json!({"proxied": false, "ttl": 300})));
    application(&lab, &json!({"session_duration": "1h"}));
    let before = lab.read(stack);
    let diff = is_kept(&lab, "*.openhands");
    assert!(diff.contains("-    proxied: true\n+    proxied: false\n"), "{diff}");
    assert!(diff.contains("+    session_duration: 1h\n"), "{diff}");
    let expected = before
        .replace("    proxied: true\n", "    proxied: false\n    ttl: 300\n")
        .replace("session_duration: 24h", "session_duration: 1h");
    assert_eq!(lab.read(stack), expected);
    rules(&lab, |rules| {
        let rule =
            json!({"hostname": "openhands.b0xp.io", "path": "^/api", "service": "http://api:80"});
        rules.insert(0, rule);
    });
    let diff = is_kept(&lab, "tunnel_config.openhands");
    assert!(!diff.contains("-      - hostname"), "{diff}");
    rules(&lab, |rules| drop(rules.remove(0)));
    is_kept(&lab, "tunnel_config.openhands");
    let expected = lab.read(stack);
    assert!(expected.contains("      - service: http_status:404\n"), "{expected}");
    lab.ssm("DeleteParameter", json!({"Name": "openhands-tunnel-token"}));
    is_kept(&lab, "ssm_parameter.openhands");
    let without = expected.split("  ssm_parameter").next().unwrap();
    assert_eq!(lab.read(stack).trim_end(), without.trim_end());
}
