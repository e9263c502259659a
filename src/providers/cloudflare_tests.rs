use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::*;
use crate::model::project::Timing;

type Script = Arc<Mutex<Vec<(u16, &'static str, String)>>>;

async fn next(State(script): State<Script>, request: Request) -> Response {
    let uri = request.uri().to_string();
    let mut script = script.lock().unwrap();
    let (status, header, body) = if script.is_empty() {
        (500, "", format!("no more answers for {uri}"))
    } else {
        script.remove(0)
    };
    let mut response = (axum::http::StatusCode::from_u16(status).unwrap(), body).into_response();
    response.headers_mut().insert("cf-ray", "ray-1".parse().unwrap());
    for (name, value) in header.lines().filter_map(|line| line.split_once(": ")) {
        let name = axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn timing() -> Timing {
    Timing { backoff_ms: 1, backoff_max_ms: 2, step_ms: 3000, ..Timing::default() }
}

/// A client of a server that gives these answers in turn.
async fn client(answers: Vec<(u16, &'static str, String)>) -> Cloudflare {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/client/v4", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(next).with_state(Arc::new(Mutex::new(answers)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Cloudflare::new(Some(Secret::new("t0ken-t0ken")), Some(base), true, timing().into())
}

fn good(result: &Json) -> String {
    json!({"success": true, "errors": [], "messages": [], "result": result}).to_string()
}

fn bad(code: u32, message: &str) -> String {
    json!({"success": false, "errors": [{"code": code, "message": message}], "result": null})
        .to_string()
}

fn secrets() -> RwLock<Secrets> {
    RwLock::new(Secrets::new())
}

#[test]
fn envelopes_are_opened() {
    let result = |status: u16, text: &str| decode(status, text).map(|page| page.result);
    assert_eq!(result(200, &good(&json!("token"))), Ok(json!("token")));
    assert_eq!(result(200, r#"{"result":{"id":"x"}}"#), Ok(json!({"id": "x"})));
    assert_eq!(result(204, ""), Ok(Json::Null));
    for (status, text, failure, code) in [
        (
            200,
            r#"{"success":true,"errors":[{"code":1003,"message":"x"}],"result":{}}"#.to_owned(),
            Failure::Refused,
            Some("1003"),
        ),
        (400, bad(81058, "x"), Failure::Conflict, Some("81058")),
        (404, bad(1002, "x"), Failure::NotFound, Some("1002")),
        (404, bad(7003, "x"), Failure::Refused, Some("7003")),
        (409, bad(11010, "x"), Failure::Conflict, Some("11010")),
        (400, bad(10000, "x"), Failure::Denied, Some("10000")),
        (403, bad(12133, "x"), Failure::Denied, Some("12133")),
        (429, bad(10100, "x"), Failure::Throttled, Some("10100")),
        (500, bad(1000, "x"), Failure::Unknown, Some("1000")),
        (502, "<html>bad gateway</html>".to_owned(), Failure::Unknown, None),
        (200, "<html>".to_owned(), Failure::Unknown, None),
    ] {
        let refusal = decode(status, &text).err().unwrap();
        assert_eq!((refusal.failure, refusal.code.as_deref()), (failure, code), "{text}");
    }
    let chained = r#"{"success":false,"errors":[{"code":1004,"message":"DNS Validation Error",
        "error_chain":[{"code":9005,"message":"Content must be valid"}]}]}"#;
    assert_eq!(
        decode(400, chained).err().unwrap().message,
        "DNS Validation Error; Content must be valid"
    );
}

#[tokio::test]
async fn reads_are_repeated_and_lost_writes_are_not() {
    let html = || (502, "", "<html>".to_owned());
    let api = client(vec![
        html(),
        (429, "retry-after: 0", bad(10100, "slow")),
        (200, "", good(&json!({"id": 1}))),
    ])
    .await;
    let read = Call::get(Service::Cloudflare, "/zones/z");
    assert_eq!(api.send(&read, &secrets()).await.unwrap().body, json!({"id": 1}));
    assert_eq!(api.requests(), 3);
    let api = client(vec![html(), (200, "", good(&json!({})))]).await;
    let write = Call::change(Service::Cloudflare, Method::Post, "/zones/z/dns_records");
    let error = api.send(&write.body(json!({})), &secrets()).await.unwrap_err();
    assert_eq!((error.failure, error.status), (Failure::Unknown, Some(502)));
    assert_eq!(error.request_id.as_deref(), Some("ray-1"));
    assert_eq!(api.requests(), 1);
}

#[tokio::test]
async fn tolerated_refusals_are_answers_and_others_bear_no_secret() {
    let api = client(vec![
        (404, "", bad(1055, "none")),
        (404, "", bad(7003, "no such path")),
        (400, "", bad(12130, "bad hunter22 t0ken-t0ken")),
    ])
    .await;
    let call = Call::get(Service::Cloudflare, "/x").tolerate(&[404]);
    let answer = api.send(&call, &secrets()).await.unwrap();
    assert_eq!((answer.status, &answer.body["code"]), (404, &json!("1055")));
    // It says nothing of whether the object is there.
    let error = api.send(&call, &secrets()).await.unwrap_err();
    assert_eq!((error.failure, error.code.as_deref()), (Failure::Refused, Some("7003")));
    let mut run = Secrets::new();
    run.insert(SecretId::variable("v"), Secret::new("hunter22"));
    let error = api.send(&call, &RwLock::new(run)).await.unwrap_err();
    assert_eq!(error.message, "bad (secret) (secret)");
}

#[tokio::test]
async fn lists_are_read_to_their_end_whatever_the_server_does_with_pages() {
    let listing = |size: u32| Listing {
        call: Call::get(Service::Cloudflare, "/accounts/a/access/apps"),
        paging: Paging::Pages(size),
    };
    let page = |range: std::ops::Range<i32>| {
        (200, "", good(&json!(range.map(|id| json!({"id": id})).collect::<Vec<_>>())))
    };
    let api = client(vec![page(0..2), page(2..4), page(4..5)]).await;
    assert_eq!(api.list(&listing(2)).await.unwrap().len(), 5);
    let api = client(vec![page(0..2), page(0..2)]).await;
    assert_eq!(api.list(&listing(2)).await.unwrap().len(), 2);
    let api = client(vec![page(0..7)]).await;
    assert_eq!(api.list(&listing(2)).await.unwrap().len(), 7);
    assert_eq!(api.requests(), 1);
    // By cursor, under a name of the list's own.
    let bucket = |name: &str, cursor: &str| {
        let answer = json!({"success": true, "result": {"buckets": [{"name": name}]},
            "result_info": {"cursor": cursor, "per_page": 2}});
        (200, "", answer.to_string())
    };
    for most in [listing(2), Listing { paging: Paging::One, ..listing(2) }] {
        let api = client(vec![bucket("a", "x"), bucket("b", "y"), bucket("c", "")]).await;
        let names = api.list(&most).await.unwrap();
        assert_eq!(names, [json!({"name": "a"}), json!({"name": "b"}), json!({"name": "c"})]);
    }
    let api = client(vec![bucket("a", "x")]).await;
    assert_eq!(api.list_small(&listing(1000), 3).await.unwrap(), None);
    // A short page tells whether it is all there is.
    for (count, whole) in [(2, true), (3, false), (7, true)] {
        let api = client(vec![page(0..count)]).await;
        let small = api.list_small(&listing(1000), 3).await.unwrap();
        assert_eq!(small.map(|items| items.len()), whole.then_some(count as usize), "{count}");
        assert_eq!(api.requests(), 1);
    }
}

#[tokio::test]
async fn without_a_token_or_a_server_nothing_is_sent() {
    let call = Call::get(Service::Cloudflare, "/zones");
    let api = Cloudflare::new(None, Some("http://127.0.0.1:1".to_owned()), true, timing().into());
    let error = api.send(&call, &secrets()).await.unwrap_err();
    assert_eq!(error.failure, Failure::NotSent);
    assert!(error.hint.unwrap().contains("set CLOUDFLARE_API_TOKEN"));
    assert_eq!(api.requests(), 0);
    let token = Some(Secret::new("t0ken-t0ken"));
    let api = Cloudflare::new(token, Some("http://127.0.0.1:1".to_owned()), true, timing().into());
    let error = api.send(&call, &secrets()).await.unwrap_err();
    assert_eq!((error.failure, error.code.as_deref()), (Failure::NotSent, Some("connect")));
    assert!(!error.to_string().contains("t0ken"));
    let host = api.target(&Scope::default()).cloudflare_host;
    assert_eq!(host.as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_date_to_come_back_at_is_read_by_the_clock_of_the_service() {
    let ahead = "date: Mon, 23 Nov 2099 03:00:00 GMT\nretry-after: Mon, 23 Nov 2099 03:00:00 GMT";
    let cloudflare =
        client(vec![(429, ahead, bad(10100, "too many")), (200, "", good(&json!({"id": "t"})))])
            .await;
    let call = Call::change(Service::Cloudflare, Method::Post, "/accounts/a/cfd_tunnel");
    let answer = cloudflare.send(&call, &secrets()).await.unwrap();
    assert_eq!(answer.body, json!({"id": "t"}));
}
