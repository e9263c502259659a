use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::response::IntoResponse;

use super::*;
use crate::kinds::ssm_parameter;
use crate::model::project::Timing;
use crate::model::secret::Secret;

type Log = Arc<Mutex<Vec<String>>>;

/// A small SSM: two described parameters, one tag, refusals of puts.
async fn serve(State(log): State<Log>, request: Request) -> axum::response::Response {
    let target = request.headers().get("x-amz-target").and_then(|v| v.to_str().ok());
    let target = target.unwrap_or("AWSSecurityTokenService.GetCallerIdentity").to_owned();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let seen = {
        let mut log = log.lock().unwrap();
        log.push(operation.clone());
        log.iter().filter(|line| **line == operation).count()
    };
    let ok = |body: Json| (axum::http::StatusCode::OK, body.to_string()).into_response();
    let refuse = |kind: &str| {
        let body = json!({"__type": kind, "message": "no s3cret-s3cret here"}).to_string();
        (axum::http::StatusCode::BAD_REQUEST, body).into_response()
    };
    match operation.as_str() {
        "GetCallerIdentity" => {
            let xml = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/\
                2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/x</Arn>\
                <UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
                </GetCallerIdentityResponse>";
            (axum::http::StatusCode::OK, xml).into_response()
        }
        "DescribeParameters" if seen == 1 => ok(json!({"Parameters": [{"Name": "a",
            "Type": "SecureString", "Version": 2, "LastModifiedDate": 1_700_000_000.25,
            "Tier": "Standard"}], "NextToken": "more"})),
        "DescribeParameters" => ok(json!({"Parameters": [{"Name": "b", "Type": "String",
            "Version": 1}]})),
        "ListTagsForResource" => ok(json!({"TagList": [{"Key": "k", "Value": "v"}]})),
        "PutParameter" if seen == 1 => refuse("TooManyUpdates"),
        "PutParameter" => refuse("ParameterAlreadyExists"),
        _ => refuse("ParameterNotFound"),
    }
}

async fn client() -> (Ssm, Log) {
    let log = Log::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(serve).with_state(log.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (ssm(endpoint_url), log)
}

fn ssm(endpoint_url: String) -> Ssm {
    let settings = AwsSettings {
        endpoint_url,
        region: "ap-northeast-1".to_owned(),
        access_key_id: "AKIAX".to_owned(),
        secret_access_key: Secret::new("s"),
    };
    let timing = Timing { backoff_ms: 1, backoff_max_ms: 2, ..Timing::default() };
    Ssm::new(Some(settings), None, timing.into())
}

#[tokio::test]
async fn parameters_are_described_page_by_page_with_the_tags_that_are_wanted() {
    let (api, _) = client().await;
    let items = api.list(&ssm_parameter::listing("a", true)).await.unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["Tags"], json!([{"Key": "k", "Value": "v"}]));
    assert_eq!(items[0]["LastModifiedDate"], json!(1_700_000_000.25));
    assert!(items[1].get("Tags").is_none());
    assert_eq!(api.requests(), 3);
    let target = api.target().await.unwrap();
    assert_eq!(target.aws_account.as_deref(), Some("123456789012"));
    assert_eq!(target.aws_region.as_deref(), Some("ap-northeast-1"));
    assert_eq!(target.aws_host.as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn refusals_have_code_and_message_and_no_secret() {
    let (api, log) = client().await;
    let mut secrets = Secrets::new();
    let id = crate::model::secret::SecretId::variable("v");
    secrets.insert(id.clone(), Secret::new("s3cret-s3cret"));
    let value = crate::model::value::Special::secret(id, None);
    let mut call = Call::operation("PutParameter", json!({"Name": "a", "Value": value}));
    call.mutating = true;
    let error = api.send(&call, &RwLock::new(secrets)).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("ParameterAlreadyExists"));
    assert_eq!((error.failure, error.status), (Failure::Conflict, Some(400)));
    assert_eq!(error.message, "no (secret) here");
    assert!(error.hint.is_some());
    assert_eq!(log.lock().unwrap().len(), 2);
    let call = Call::operation("DeleteParameter", json!({"Name": "a"})).tolerate(&[400]);
    let answer = api.send(&call, &RwLock::new(Secrets::new())).await.unwrap();
    assert_eq!(answer.body["code"], "ParameterNotFound");
}

#[tokio::test]
async fn a_server_that_is_not_there_was_not_sent_to() {
    let api = ssm("http://127.0.0.1:1".to_owned());
    let call = Call::operation("GetParameter", json!({"Name": "a"}));
    let error = api.send(&call, &RwLock::new(Secrets::new())).await.unwrap_err();
    assert_eq!((error.failure, error.code.as_deref()), (Failure::NotSent, Some("connect")));
}
