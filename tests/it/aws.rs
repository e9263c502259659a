//! Requests of SSM, signed as AWS wants them (Signature Version 4).

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Where SSM is, and the credentials for it.
#[derive(Clone)]
pub struct Aws {
    pub url: String,
    pub region: String,
    pub key: String,
    pub secret: String,
}

impl Aws {
    /// A request for an operation, signed now.
    pub fn request(
        &self,
        http: &reqwest::Client,
        operation: &str,
        input: &Value,
    ) -> reqwest::RequestBuilder {
        self.request_at(http, operation, input, Timestamp::now())
    }

    /// A request for an operation, signed at some time.
    pub fn request_at(
        &self,
        http: &reqwest::Client,
        operation: &str,
        input: &Value,
        now: Timestamp,
    ) -> reqwest::RequestBuilder {
        let url: url::Url = self.url.parse().unwrap();
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let (target, body) = (format!("AmazonSSM.{operation}"), input.to_string());
        let scope = [&date[..8], &self.region, "ssm", "aws4_request"];
        let names = "host;x-amz-date;x-amz-target";
        let digest = |text: &str| hex(&Sha256::digest(text.as_bytes()));
        let canonical = format!(
            "POST\n/\n\nhost:{host}\nx-amz-date:{date}\nx-amz-target:{target}\n\n{names}\n{}",
            digest(&body)
        );
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{}", scope.join("/"), digest(&canonical));
        let secret = format!("AWS4{}", self.secret).into_bytes();
        let signing = scope.iter().fold(secret, |key, part| hmac(&key, part));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={}",
            self.key,
            scope.join("/"),
            hex(&hmac(&signing, &text))
        );
        http.post(url)
            .header("x-amz-target", target)
            .header("x-amz-date", date)
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", authorization)
            .body(body)
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
