use super::*;
use crate::model::call::Method;

async fn client(address: std::net::SocketAddr) -> KubernetesClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::new(format!("http://{address}").parse().unwrap());
    KubernetesClient::with(config, &Timing::default()).await.unwrap()
}

#[test]
fn items_of_a_list_get_kind_and_version() {
    let page = json!({
        "kind": "PodList", "apiVersion": "v1", "metadata": {},
        "items": [{"metadata": {"name": "a"}}, {"kind": "X", "apiVersion": "y/v1"}],
    });
    let items = list_items(page);
    assert_eq!(items[0]["kind"], "Pod");
    assert_eq!(items[0]["apiVersion"], "v1");
    assert_eq!(items[1]["kind"], "X");
    assert!(list_items(json!({"kind": "PodList", "items": null})).is_empty());
}

#[test]
fn a_request_bears_query_type_and_body() {
    let mut call = Call::change(Service::Kubernetes, Method::Patch, "/api/v1/namespaces/a")
        .query("fieldManager", "box ctl&");
    call.content_type = Some("application/apply-patch+yaml");
    let request = build(&call, Some(&json!({"a": 1}))).unwrap();
    assert_eq!(request.uri().to_string(), "/api/v1/namespaces/a?fieldManager=box+ctl%26");
    assert_eq!(request.headers()["content-type"], "application/apply-patch+yaml");
    assert_eq!(request.headers()["accept"], "application/json");
    assert!(build(&Call::get(Service::Kubernetes, "/a b"), None).is_err());
}

#[test]
fn an_applied_secret_is_sent_as_the_server_keeps_it() {
    let secret = |fields: Json| {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
        secret.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        secret
    };
    for (said, kept) in [
        (
            json!({"data": {"a": "eA==", "b": "eQ=="}, "stringData": {"b": "two"}}),
            json!({"data": {"a": "eA==", "b": "dHdv"}}),
        ),
        (json!({"data": null, "stringData": {"b": ""}}), json!({"data": {"b": ""}})),
        (json!({"data": {"a": "eA=="}}), json!({"data": {"a": "eA=="}})),
        // For the server to refuse.
        (json!({"stringData": {"a": 1}}), json!({"stringData": {"a": 1}})),
    ] {
        assert_eq!(*as_kept(&secret(said.clone())), secret(kept), "{said}");
    }
    let other = json!({"apiVersion": "example.org/v1", "kind": "Secret", "stringData": {"a": "b"}});
    assert_eq!(*as_kept(&other), other);
}

/// A server that answers each request with the next of these: status line with headers, and
/// body. What was asked comes back when all were answered.
async fn answering(
    answers: Vec<(&'static str, Json)>,
) -> (KubernetesClient, tokio::task::JoinHandle<Vec<String>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(listener.local_addr().unwrap()).await;
    let server = tokio::spawn(async move {
        let mut asked = Vec::new();
        for (head, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 8192];
            let length = stream.read(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            asked.push(text.lines().next().unwrap().to_owned());
            let body = body.to_string();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (client, server)
}

#[tokio::test]
async fn a_list_goes_on_and_begins_again_when_its_continuation_has_expired() {
    let page = |name: &str, next: &str| {
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"continue": next},
               "items": [{"metadata": {"name": name}}]})
    };
    let gone = json!({"kind": "Status", "reason": "Expired", "code": 410});
    let (client, server) = answering(vec![
        ("200 OK", page("a", "x")),
        ("410 Gone", gone),
        ("200 OK", page("a", "y")),
        ("200 OK", page("b", "")),
    ])
    .await;
    let call = Call::get(Service::Kubernetes, "/api/v1/pods").query("limit", "500");
    let items = client.list(&Listing { call, paging: Paging::Token }).await.unwrap();
    let names: Vec<&Json> = items.iter().map(|item| &item["metadata"]["name"]).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(client.requests(), 4);
    let asked = server.await.unwrap();
    assert_eq!(asked[1], "GET /api/v1/pods?limit=500&continue=x HTTP/1.1");
    assert_eq!(asked[2], "GET /api/v1/pods?limit=500 HTTP/1.1");
}

#[tokio::test]
async fn refusals_are_answers_where_they_are_tolerated() {
    let status = json!({"kind": "Status", "reason": "Conflict", "message": "m", "code": 409,
        "details": {"causes": [{"field": ".spec.replicas", "message": "conflict"}]}});
    let (client, _server) = answering(vec![
        ("409 Conflict\r\naudit-id: 7", status.clone()),
        ("409 Conflict", status),
        ("200 OK\r\nwarning: 299 - \"old\"", json!({"kind": "Pod"})),
    ])
    .await;
    let call = Call::change(Service::Kubernetes, Method::Patch, "/api/v1/namespaces/a");
    let error = client.send(&call, Some(json!({}))).await.unwrap_err();
    assert_eq!((error.failure, error.status), (Failure::Conflict, Some(409)));
    assert_eq!(error.request_id.as_deref(), Some("7"));
    let answer = client.send(&call.clone().tolerate(&[409]), None).await.unwrap();
    assert_eq!(answer.body["causes"][0]["field"], ".spec.replicas");
    assert_eq!(client.send(&call, None).await.unwrap().warnings, ["old"]);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_was_sent_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client(address).await;
    let call = Call::change(Service::Kubernetes, Method::Patch, "/api/v1/namespaces/a");
    let error = client.send(&call, Some(json!({}))).await.unwrap_err();
    assert_eq!(error.failure, Failure::NotSent, "{error}");
    // It may be reached the next time.
    assert_eq!(error.code.as_deref(), Some(crate::providers::retry::CONNECT));
    assert_eq!(client.requests(), 1);
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_the_outcome_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
        }
    });
    let client = client(address).await;
    let call = Call::change(Service::Kubernetes, Method::Patch, "/api/v1/namespaces/a");
    let error = client.send(&call, Some(json!({}))).await.unwrap_err();
    assert_eq!(error.failure, Failure::Unknown, "{error}");
}
