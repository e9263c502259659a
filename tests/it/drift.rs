//! What someone changes behind boxctl's back is found, named, and put right.

use serde_json::{Value, json};

use crate::lab::Lab;

/// Drift is found with its path and values, apply puts it right, and the next plan is empty.
#[track_caller]
fn is_found_and_put_right(
    lab: &Lab,
    what: &str,
    address: &str,
    path: &str,
    before: &Value,
    after: &Value,
) {
    let found = lab.run(&["drift", "--json"]).exits(2).json();
    let kinds = ["drifted", "missing", "foreign"];
    let all: Vec<&Value> = kinds.iter().flat_map(|kind| found[kind].as_array().unwrap()).collect();
    let one = all.iter().find(|one| one["address"] == address);
    let one = one.unwrap_or_else(|| panic!("{what}: {address} is not in {found:#}"));
    let text = one.to_string();
    assert!(text.contains(&json!(path).to_string()), "{what}: {path} is not in {one:#}");
    for value in [before, after] {
        assert!(
            value.is_null() || text.contains(&value.to_string()),
            "{what}: {value} is not in {one:#}"
        );
    }
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
}

#[test]
fn what_someone_changed_at_cloudflare() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let record = lab.only(&lab.records());
    let path = format!("{}/{}", lab.records(), record["id"].as_str().unwrap());
    for (field, value) in [("content", json!("elsewhere.example.org")), ("proxied", json!(false))] {
        let before = record[field].clone();
        lab.cloudflare("PATCH", &path, Some(json!({ field: value })));
        is_found_and_put_right(&lab, field, "dns_record.openhands", field, &before, &value);
    }
    lab.cloudflare("PATCH", &path, Some(json!({"proxied": false, "ttl": 300})));
    is_found_and_put_right(&lab, "ttl", "dns_record.openhands", "ttl", &json!(1), &json!(300));

    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let config =
        lab.account(&format!("cfd_tunnel/{}/configurations", tunnel["id"].as_str().unwrap()));
    let ours = json!({"hostname": "openhands.b0xp.io", "service": "http://openhands-service.openhands.svc.cluster.local:80"});
    let last = json!({"service": "http_status:404"});
    let evil = json!({"hostname": "evil.b0xp.io", "service": "http://evil:80"});
    let put = |rules: Value| {
        lab.cloudflare("PUT", &config, Some(json!({"config": {"ingress": rules}})));
    };
    let address = "tunnel_config.openhands";
    put(json!([{"hostname": "openhands.b0xp.io", "service": "http://evil:80"}, last]));
    is_found_and_put_right(
        &lab,
        "service",
        address,
        "ingress[0].service",
        &ours["service"],
        &json!("http://evil:80"),
    );
    put(json!([ours, evil, last]));
    is_found_and_put_right(
        &lab,
        "rule added",
        address,
        "ingress[1].hostname",
        &Value::Null,
        &json!("evil.b0xp.io"),
    );

    let application = lab.only(&lab.account("access/apps"));
    let path = lab.account(&format!("access/apps/{}", application["id"].as_str().unwrap()));
    let mut body = application.clone();
    body.as_object_mut().unwrap().remove("policies");
    body["session_duration"] = json!("1h");
    body["custom_deny_message"] = json!("no entry");
    lab.cloudflare("PUT", &path, Some(body));
    let address = "access_application.openhands";
    is_found_and_put_right(
        &lab,
        "session",
        address,
        "session_duration",
        &json!("24h"),
        &json!("1h"),
    );
    let now = lab.cloudflare("GET", &path, None);
    assert_eq!(now["custom_deny_message"], "no entry", "what nobody declared survives");

    let policy = lab.only(&lab.account("access/policies"));
    let policy_path = lab.account(&format!("access/policies/{}", policy["id"].as_str().unwrap()));
    let everyone =
        json!({"name": policy["name"], "decision": "allow", "include": [{"everyone": {}}]});
    lab.cloudflare("PUT", &policy_path, Some(everyone));
    is_found_and_put_right(
        &lab,
        "include",
        "access_policy.openhands",
        "include",
        &Value::Null,
        &json!([{"everyone": {}}]),
    );

    let second = json!({"name": "second", "decision": "allow", "include": [{"everyone": {}}]});
    let second = lab.cloudflare("POST", &lab.account("access/policies"), Some(second));
    let mut body = now.clone();
    body["policies"] = json!([policy["id"], second["id"]]);
    lab.cloudflare("PUT", &path, Some(body));
    is_found_and_put_right(
        &lab,
        "second policy",
        address,
        "policies[1]",
        &Value::Null,
        &second["id"],
    );
    let policies = &lab.cloudflare("GET", &path, None)["policies"];
    assert_eq!(policies.as_array().unwrap().len(), 1, "`policies` is boxctl's alone");
}

#[test]
fn a_tunnel_that_is_gone_is_made_again_with_all_that_hangs_on_it() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let pods = "/api/v1/namespaces/openhands/pods?labelSelector=app%3Dcloudflared";
    let before = lab.kubernetes("GET", pods, None)["items"][0]["metadata"]["name"].clone();
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let path = lab.account(&format!("cfd_tunnel/{}", tunnel["id"].as_str().unwrap()));
    lab.cloudflare("DELETE", &format!("{path}/connections"), None);
    lab.cloudflare("DELETE", &path, None);
    lab.run(&["drift"]).exits(2).says("missing tunnel.openhands");
    lab.apply(&[]);
    lab.is_settled(&[]);
    let again = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    assert_ne!(again["id"], tunnel["id"]);
    assert_eq!(again["status"], "healthy");
    let record = lab.only(&lab.records());
    assert_eq!(record["content"], format!("{}.cfargotunnel.com", again["id"].as_str().unwrap()));
    let after = lab.kubernetes("GET", pods, None)["items"][0]["metadata"]["name"].clone();
    assert_ne!(before, after, "the connector's pods follow");
}

#[test]
fn what_someone_changed_in_ssm() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let name = "openhands-tunnel-token";
    let read = || lab.ssm("GetParameter", json!({"Name": name, "WithDecryption": true}));
    let value = read()["Parameter"]["Value"].clone();
    lab.ssm("PutParameter", json!({"Name": name, "Value": "other", "Overwrite": true}));
    is_found_and_put_right(
        &lab,
        "value",
        "ssm_parameter.openhands",
        "value",
        &Value::Null,
        &Value::Null,
    );
    assert_eq!(read()["Parameter"]["Value"], value);
    lab.ssm("DeleteParameter", json!({"Name": name}));
    is_found_and_put_right(
        &lab,
        "gone",
        "ssm_parameter.openhands",
        "id",
        &json!(name),
        &Value::Null,
    );
    assert_eq!(read()["Parameter"]["Value"], value);
}

#[test]
fn what_someone_changed_in_the_cluster() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let path = "/apis/apps/v1/namespaces/openhands/deployments/openhands";
    let address = "k8s.Deployment/openhands/openhands";
    let container = |field: Value| {
        let mut all =
            lab.kubernetes("GET", path, None)["spec"]["template"]["spec"]["containers"].clone();
        for (key, value) in field.as_object().unwrap() {
            all[0][key] = value.clone();
        }
        json!({"spec": {"template": {"spec": {"containers": all}}}})
    };
    lab.patch(path, container(json!({"image": "evil:1"})));
    let image = "spec.template.spec.containers[name=\"openhands\"].image";
    lab.run(&["drift"]).exits(2).says("written by someone");
    is_found_and_put_right(&lab, "image", address, image, &Value::Null, &json!("evil:1"));
    let mut env =
        lab.kubernetes("GET", path, None)["spec"]["template"]["spec"]["containers"][0]["env"]
            .clone();
    assert_eq!(env[1]["name"], "WORKSPACE_MOUNT_PATH");
    env[1]["value"] = json!("/evil");
    lab.patch(path, container(json!({ "env": env })));
    let value = "spec.template.spec.containers[name=\"openhands\"].env[name=\"WORKSPACE_MOUNT_PATH\"].value";
    is_found_and_put_right(
        &lab,
        "env",
        address,
        value,
        &json!("/opt/workspace_base"),
        &json!("/evil"),
    );
    lab.patch(path, json!({"spec": {"replicas": 3}}));
    is_found_and_put_right(&lab, "replicas", address, "spec.replicas", &json!(1), &json!(3));
    lab.kubernetes("DELETE", "/api/v1/namespaces/openhands/services/openhands-service", None);
    let service = "k8s.Service/openhands/openhands-service";
    is_found_and_put_right(&lab, "service", service, "id", &Value::Null, &Value::Null);

    lab.patch(path, json!({"metadata": {"labels": {"team": "x"}}}));
    lab.run(&["drift"]).exits(0);
    lab.is_settled(&[]);

    let scale = format!("{path}/scale");
    let mut now = lab.kubernetes("GET", &scale, None);
    now["spec"]["replicas"] = json!(2);
    lab.kubernetes("PUT", &format!("{scale}?fieldManager=hpa"), Some(("application/json", now)));
    lab.run(&["drift"]).exits(2).says("spec.replicas");
    lab.run(&["apply", "--yes"]).exits(5).says("hpa");
    let text = lab.read("stacks/openhands.yaml");
    let force = format!("\nsettings:\n  {address}: {{force: [spec.replicas]}}\n");
    lab.write("stacks/openhands.yaml", &(text + &force));
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(lab.kubernetes("GET", path, None)["spec"]["replicas"], 1);
}

#[test]
fn the_order_of_ingress_rules_is_the_files() {
    let lab = Lab::of("several");
    lab.apply(&[]);
    let tunnels = lab.cloudflare("GET", &lab.account("cfd_tunnel?is_deleted=false"), None);
    let paths = tunnels.as_array().unwrap().iter().map(|tunnel| {
        lab.account(&format!("cfd_tunnel/{}/configurations", tunnel["id"].as_str().unwrap()))
    });
    let rules = |path: &str| {
        let config = lab.cloudflare("GET", path, None);
        config["config"]["ingress"].as_array().unwrap().clone()
    };
    let path = paths.max_by_key(|path| rules(path).len()).unwrap();
    let before = rules(&path);
    assert!(before.len() > 2, "{before:#?}");
    let mut swapped = before.clone();
    swapped.swap(0, 1);
    lab.cloudflare("PUT", &path, Some(json!({"config": {"ingress": swapped}})));
    lab.run(&["drift"]).exits(2).says("ingress[0]");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(rules(&path), before);
}
