use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;

use super::*;
use crate::model::secret::Secret;

/// Status, headers and body.
type Answer = (u16, Vec<(&'static str, &'static str)>, String);

/// What a store answers, and what it was asked.
#[derive(Clone, Default)]
struct Store {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn serve(State(store): State<Store>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut asked = format!("{} {}", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        asked.push_str(&format!("\n{name}: {}", value.to_str().unwrap()));
    }
    let body = to_bytes(body, 1 << 20).await.unwrap();
    asked.push_str(&format!("\n\n{}", String::from_utf8_lossy(&body)));
    store.asked.lock().unwrap().push(asked);
    let (status, headers, text) = store.answer.lock().unwrap().clone();
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(text)).unwrap()
}

async fn objects(prefix: &str) -> (BucketObjects, Store) {
    let store = Store::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = AwsSettings {
        endpoint_url: format!("http://{}", listener.local_addr().unwrap()),
        region: "eu-central-1".to_owned(),
        access_key_id: "AKIAX".to_owned(),
        secret_access_key: Secret::new("s"),
    };
    let app = axum::Router::new().fallback(serve).with_state(store.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let bucket = Bucket {
        name: "states".to_owned(),
        prefix: prefix.to_owned(),
        region: None,
        endpoint: None,
    };
    (BucketObjects::new(bucket, Some(settings), Duration::from_secs(5)), store)
}

fn refusal(code: &str, message: &str) -> String {
    format!(
        "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>"
    )
}

#[tokio::test]
async fn a_write_says_what_it_expects_and_nothing_that_other_stores_do_not_know() {
    let (objects, store) = objects("/team/").await;
    *store.answer.lock().unwrap() = (200, vec![("etag", "\"1\"")], String::new());
    let written = objects.put("a.json", b"{}", &Expected::Absent).await.unwrap();
    assert_eq!(written, Put::Done("\"1\"".to_owned()));
    objects.put("a.json", b"{}", &Expected::Version("\"1\"".to_owned())).await.unwrap();
    let asked = store.asked.lock().unwrap();
    for (asked, condition) in asked.iter().zip(["\nif-none-match: *\n", "\nif-match: \"1\"\n"]) {
        assert!(
            asked.starts_with("PUT /states/team/a.json?")
                || asked.starts_with("PUT /states/team/a.json\n"),
            "{asked}"
        );
        assert!(asked.contains(condition) && asked.ends_with("\n\n{}"), "{asked}");
        for unknown in ["x-amz-checksum", "aws-chunked", "x-amz-trailer", "x-amz-sdk-checksum"] {
            assert!(!asked.contains(unknown), "{asked}");
        }
    }
    assert_eq!(objects.place("a.json"), "s3://states/team/a.json");
}

#[tokio::test]
async fn refusals_of_a_write_are_told_apart() {
    let (objects, store) = objects("").await;
    // Codes and meanings: Amazon S3 API reference, "Error responses"; user guide, "Conditional
    // write behavior".
    for (status, code, message, expected) in [
        (412, "PreconditionFailed", "At least one of the pre-conditions did not hold", Ok(())),
        (404, "NoSuchKey", "The specified key does not exist.", Ok(())),
        (409, "ConditionalRequestConflict", "A conflicting operation occurred", Err((true, ""))),
        (409, "OperationAborted", "A conflicting operation is in progress", Err((true, ""))),
        (500, "InternalError", "We encountered an internal error", Err((true, ""))),
        (503, "SlowDown", "Reduce your request rate.", Err((true, ""))),
        (400, "RequestTimeout", "Your socket connection was not read from", Err((true, ""))),
        (404, "NoSuchBucket", "The bucket does not exist", Err((false, "make the bucket"))),
        (403, "AccessDenied", "Access Denied", Err((false, "s3:PutObject"))),
        (
            403,
            "AccessDenied",
            "User: x is not authorized to perform: kms:GenerateDataKey on resource: y",
            Err((false, "kms:Decrypt")),
        ),
        (403, "SignatureDoesNotMatch", "It does not match.", Err((false, "AWS_PROFILE"))),
        (403, "RequestTimeTooSkewed", "The difference is too large", Err((false, "clock"))),
        (400, "ExpiredToken", "The provided token has expired.", Err((false, "AWS_SESSION_TOKEN"))),
        (301, "PermanentRedirect", "use the endpoint", Err((false, "`state.region` to eu-west-1"))),
        (501, "NotImplemented", "A header you provided implies", Err((false, "If-None-Match"))),
    ] {
        let headers = match status {
            301 => vec![("x-amz-bucket-region", "eu-west-1")],
            _ => Vec::new(),
        };
        *store.answer.lock().unwrap() = (status, headers, refusal(code, message));
        let put = objects.put("a", b"x", &Expected::Version("\"1\"".to_owned())).await;
        match (put, expected) {
            (Ok(put), Ok(())) => assert_eq!(put, Put::Moved, "{code}"),
            (Err(error), Err((is_passing, hint))) => {
                assert_eq!(error.is_passing, is_passing, "{code}");
                assert_eq!(error.message, format!("{code}: {message}"));
                let hinted = error.hint.unwrap_or_default();
                assert!(hinted.contains(hint) && hinted.is_empty() == hint.is_empty(), "{hinted}");
            }
            (put, _) => panic!("{code}: {put:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_can_not_be_read() {
    let (objects, store) = objects("").await;
    *store.answer.lock().unwrap() = (404, Vec::new(), refusal("NoSuchKey", "no key"));
    assert_eq!(objects.read("a").await.unwrap(), None);
    *store.answer.lock().unwrap() = (404, Vec::new(), refusal("NoSuchBucket", "no bucket"));
    assert!(objects.read("a").await.is_err());
    *store.answer.lock().unwrap() = (404, Vec::new(), "a page of something else".to_owned());
    let error = objects.read("a").await.unwrap_err();
    assert!(error.hint.is_some_and(|hint| hint.contains("state.endpoint")), "{}", error.message);
    *store.answer.lock().unwrap() = (200, Vec::new(), "no etag".to_owned());
    assert!(objects.read("a").await.is_err());
}

#[tokio::test]
async fn a_request_that_a_refusal_repeats_is_left_out() {
    let (objects, store) = objects("").await;
    let text = "It does not match. The Canonical String was x-amz-security-token:hidden";
    *store.answer.lock().unwrap() = (403, Vec::new(), refusal("SignatureDoesNotMatch", text));
    let error = objects.read("a").await.unwrap_err();
    assert_eq!(error.message, "SignatureDoesNotMatch: It does not match.");
}

#[tokio::test]
async fn a_store_that_does_not_know_the_condition_of_a_delete_is_asked_without() {
    let (objects, store) = objects("").await;
    *store.answer.lock().unwrap() = (200, vec![("etag", "\"1\"")], String::new());
    assert_eq!(objects.remove("a", "\"2\"").await.unwrap(), Put::Moved);
    assert_eq!(store.asked.lock().unwrap().len(), 1);
    objects.remove("a", "\"1\"").await.unwrap();
    let asked = store.asked.lock().unwrap().last().cloned().unwrap();
    assert!(asked.starts_with("DELETE ") && asked.contains("\nif-match: \"1\"\n"), "{asked}");
}

#[tokio::test]
async fn a_store_that_is_not_there_may_be_there_the_next_time() {
    let settings = AwsSettings {
        endpoint_url: "http://127.0.0.1:1".to_owned(),
        region: "r".to_owned(),
        access_key_id: "AKIAX".to_owned(),
        secret_access_key: Secret::new("s"),
    };
    let bucket = Bucket { name: "b".into(), prefix: String::new(), region: None, endpoint: None };
    let objects = BucketObjects::new(bucket, Some(settings), Duration::from_secs(5));
    let error = objects.read("a").await.unwrap_err();
    assert!(error.is_passing, "{error:?}");
    assert!(error.hint.is_some_and(|hint| hint.contains("network")));
}
