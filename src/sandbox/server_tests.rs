//! The server over a socket, asked by the clients that boxctl is made of.

use std::path::Path;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_ssm::config::Credentials;
use serde_json::json;

use super::super::{Budget, Preset, Quirks, Throughput, dump, reset, running_environment};
use super::*;

fn options(dir: &Path) -> Options {
    Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        dir: dir.join("sandbox"),
        latency: Duration::ZERO,
        ready_after: Duration::ZERO,
        faults: None,
        log: None,
        mangle: None,
        quirks: Quirks::default(),
        budget: Budget::default(),
        throughput: Throughput::default(),
        signatures: true,
        journals: Vec::new(),
        preset: Preset {
            account_id: "a".repeat(32),
            zones: vec!["b0xp.io".to_owned()],
            region: "ap-northeast-1".to_owned(),
            context: "lolice".to_owned(),
            secret_stores: vec!["parameterstore".to_owned()],
            plans: Vec::new(),
        },
        upstream_ssm: None,
    }
}

fn variable(running: &Running, name: &str) -> String {
    let environment = running.environment();
    environment.into_iter().find(|(known, _)| known == name).unwrap().1
}

fn http() -> reqwest::Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn post_tunnel(running: &Running, name: &str) -> reqwest::Result<reqwest::Response> {
    let base = variable(running, "CLOUDFLARE_BASE_URL");
    let url = format!("{base}/accounts/{}/cfd_tunnel", "a".repeat(32));
    let body = json!({ "name": name }).to_string();
    let token = variable(running, "CLOUDFLARE_API_TOKEN");
    http().post(url).bearer_auth(token).body(body).send().await
}

async fn tunnels(running: &Running) -> usize {
    let base = variable(running, "CLOUDFLARE_BASE_URL");
    let url = format!("{base}/accounts/{}/cfd_tunnel", "a".repeat(32));
    let token = variable(running, "CLOUDFLARE_API_TOKEN");
    let text = http().get(url).bearer_auth(token).send().await.unwrap().text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    body["result"].as_array().unwrap().len()
}

#[tokio::test]
async fn what_was_made_is_there_after_a_restart() {
    let temporary = tempfile::tempdir().unwrap();
    let running = start(options(temporary.path())).await.unwrap();
    let token = variable(&running, "CLOUDFLARE_API_TOKEN");
    let answer = post_tunnel(&running, "t").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["ratelimit"].to_str().unwrap().starts_with("\"default\";r=1199;t="));
    assert!(answer.headers().contains_key("cf-ray"));
    running.stop().await;

    let running = start(options(temporary.path())).await.unwrap();
    assert_eq!(variable(&running, "CLOUDFLARE_API_TOKEN"), token);
    assert_eq!(tunnels(&running).await, 1);
    let kept = dump(&temporary.path().join("sandbox")).unwrap();
    assert_eq!(kept["cloudflare"]["tunnels"][0]["name"], "t");
    let kubeconfig = std::fs::read_to_string(variable(&running, "KUBECONFIG")).unwrap();
    assert!(kubeconfig.contains("current-context: \"lolice\""));
    running.stop().await;
}

#[tokio::test]
async fn the_directory_is_held_while_it_is_served() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("sandbox");
    assert_eq!(running_environment(&dir).unwrap(), None);
    let running = start(options(temporary.path())).await.unwrap();
    assert_eq!(running_environment(&dir).unwrap(), Some(running.environment()));
    assert!(matches!(start(options(temporary.path())).await, Err(SandboxError::Held { .. })));
    assert!(matches!(reset(&dir), Err(SandboxError::Held { .. })));
    running.stop().await;
    assert_eq!(running_environment(&dir).unwrap(), None);
    reset(&dir).unwrap();
    assert_eq!(dump(&dir).unwrap(), Value::Null);
}

#[tokio::test]
async fn a_dropped_call_has_taken_effect_or_has_not() {
    let temporary = tempfile::tempdir().unwrap();
    let faults = temporary.path().join("faults.yaml");
    let log = temporary.path().join("log");
    std::fs::write(
        &faults,
        "- {method: POST, path: '*/cfd_tunnel', drop: before}\n\
         - {method: POST, path: '*/cfd_tunnel', nth: 2, drop: after}\n\
         - {method: POST, path: '*/cfd_tunnel', nth: 3, reset: true}\n\
         - {method: POST, path: '*/cfd_tunnel', nth: 4, status: 429}\n",
    )
    .unwrap();
    let mut options = options(temporary.path());
    options.faults = Some(faults);
    options.log = Some(log.clone());
    let running = start(options).await.unwrap();
    for (name, count) in [("before", 0), ("after", 1), ("reset", 1)] {
        assert!(post_tunnel(&running, name).await.is_err(), "{name}");
        assert_eq!(tunnels(&running).await, count, "{name}");
    }
    let refused = post_tunnel(&running, "refused").await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(post_tunnel(&running, "made").await.unwrap().status(), 200);
    assert_eq!(tunnels(&running).await, 2);
    running.stop().await;

    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let posts: Vec<&Value> = lines.iter().filter(|line| line["method"] == "POST").collect();
    let statuses: Vec<u64> = posts.iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [0, 0, 0, 429, 200]);
    assert!(posts.iter().all(|line| line["mutating"] == true && line["service"] == "cloudflare"));
}

#[tokio::test]
async fn calls_that_no_journal_announces_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let journal = temporary.path().join("journal");
    std::fs::write(&journal, "").unwrap();
    let mut options = options(temporary.path());
    options.journals = vec![journal.clone()];
    let running = start(options).await.unwrap();
    assert_eq!(post_tunnel(&running, "t").await.unwrap().status(), 409);
    let path = format!("/accounts/{}/cfd_tunnel", "a".repeat(32));
    let intent =
        json!({"intent": {"number": 1, "method": "POST", "path": path, "key": {"name": "t"}}});
    std::fs::write(&journal, intent.to_string()).unwrap();
    assert_eq!(post_tunnel(&running, "t").await.unwrap().status(), 200);
    assert_eq!(post_tunnel(&running, "u").await.unwrap().status(), 409);
    running.stop().await;
}

async fn parameter_store(running: &Running) -> aws_sdk_ssm::Client {
    let (id, secret) =
        (variable(running, "AWS_ACCESS_KEY_ID"), variable(running, "AWS_SECRET_ACCESS_KEY"));
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(variable(running, "AWS_REGION")))
        .endpoint_url(variable(running, "AWS_ENDPOINT_URL"))
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .load()
        .await;
    aws_sdk_ssm::Client::new(&config)
}

#[tokio::test]
async fn the_aws_sdk_reads_and_writes_parameters() {
    let temporary = tempfile::tempdir().unwrap();
    let mut options = options(temporary.path());
    options.mangle = Some(11);
    let running = start(options).await.unwrap();
    let client = parameter_store(&running).await;
    let put = || {
        let put = client.put_parameter().name("p").value("v");
        put.r#type(aws_sdk_ssm::types::ParameterType::SecureString).send()
    };
    assert_eq!(put().await.unwrap().version(), 1);
    let refused = put().await.unwrap_err().into_service_error();
    assert!(refused.is_parameter_already_exists(), "{refused:?}");
    let read = client.get_parameter().name("p").with_decryption(true).send().await.unwrap();
    assert_eq!(read.parameter().unwrap().value(), Some("v"));
    let described = client.describe_parameters().send().await.unwrap();
    let mut names: Vec<&str> = described.parameters().iter().filter_map(|p| p.name()).collect();
    names.sort();
    let [id, secret] = super::super::world::PRESET_PARAMETERS;
    assert_eq!(names, ["p", id, secret]);
    running.stop().await;
}

#[tokio::test]
async fn the_dump_is_for_who_bears_the_token() {
    let temporary = tempfile::tempdir().unwrap();
    let running = start(options(temporary.path())).await.unwrap();
    let url = format!("http://{}/sandbox/dump", running.address());
    assert_eq!(http().get(&url).send().await.unwrap().status(), 401);
    let token = variable(&running, "CLOUDFLARE_API_TOKEN");
    let answer = http().get(&url).bearer_auth(token).send().await.unwrap();
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(body["cloudflare"]["zones"][0]["name"], "b0xp.io");
    running.stop().await;
}

#[tokio::test]
async fn an_address_it_had_before_is_no_outer_parameter_store() {
    let temporary = tempfile::tempdir().unwrap();
    let running = start(options(temporary.path())).await.unwrap();
    let before = variable(&running, "AWS_ENDPOINT_URL");
    running.stop().await;
    let mut again = options(temporary.path());
    again.upstream_ssm = Some(before.clone());
    let running = start(again).await.unwrap();
    assert_eq!(variable(&running, "AWS_ENDPOINT_URL"), format!("http://{}", running.address()));
    running.stop().await;
}

#[tokio::test]
async fn an_outer_parameter_store_is_used_and_gets_the_preset_parameters() {
    let temporary = tempfile::tempdir().unwrap();
    let outer = start(options(&temporary.path().join("outer"))).await.unwrap();
    let names = super::super::world::PRESET_PARAMETERS.map(str::to_owned);
    let parameters = names.clone().map(|name| (name, "value".to_owned()));
    let url = variable(&outer, "AWS_ENDPOINT_URL");
    let keys = (variable(&outer, "AWS_ACCESS_KEY_ID"), variable(&outer, "AWS_SECRET_ACCESS_KEY"));
    let upstream = Upstream::with_keys(&url, "ap-northeast-1", Some(keys)).await;
    // They are there already, and stay.
    upstream.preset(&parameters).await.unwrap();
    let read = upstream.read(&[names.as_slice(), &["missing".to_owned()]].concat()).await;
    assert_eq!(read.keys().cloned().collect::<Vec<_>>(), names);
    assert!(read.values().all(|value| value != "value"));
    outer.stop().await;
    assert!(upstream.preset(&parameters).await.is_err());
    assert!(upstream.read(&names).await.is_empty());
}

#[tokio::test]
async fn faults_are_planned_while_it_serves() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(options(dir.path())).await.unwrap();
    let url = format!("http://{}/sandbox/faults", running.address());
    let token = variable(&running, "CLOUDFLARE_API_TOKEN");
    let rules =
        r#"[{"method": "POST", "path": "*/cfd_tunnel", "times": 2, "status": 400, "code": 1013}]"#;
    let put = |body: &'static str| http().put(&url).bearer_auth(&token).body(body).send();
    assert_eq!(put(rules).await.unwrap().status(), 200);
    let refused = post_tunnel(&running, "a").await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("1013"));
    let said = http().get(&url).bearer_auth(&token).send().await.unwrap().text().await.unwrap();
    assert_eq!(said, r#"{"hits":[1]}"#);
    assert_eq!(put("[{pth: x}]").await.unwrap().status(), 400, "what is wrong changes nothing");
    assert_eq!(post_tunnel(&running, "a").await.unwrap().status(), 400);
    assert_eq!(put("[]").await.unwrap().status(), 200);
    assert_eq!(post_tunnel(&running, "a").await.unwrap().status(), 200);
    let stranger = http().put(&url).bearer_auth("nobody").body("[]").send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    running.stop().await;
}
