//! Signature Version 4: whether a request is signed with the secret of its access key.

use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{AwsError, State};

/// How far the time of a signature may be from the service's.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What of a request a signature covers.
pub struct Signed<'a> {
    /// The method in capitals.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query as it was sent.
    pub query: &'a str,
    /// Headers: names in lower case, and values.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body.
    pub body: &'a [u8],
}

impl Signed<'_> {
    /// The values of a header, blanks folded.
    fn header(&self, name: &str) -> String {
        let values = self.headers.iter().filter(|(known, _)| *known == name);
        let folded = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
        values.map(|(_, value)| folded(value)).collect::<Vec<_>>().join(",")
    }
}

/// Refuses a request whose signature is not that of its key's secret, or is of another time. Who
/// names no known key is refused elsewhere.
pub fn check(
    state: &State,
    service: &str,
    request: &Signed<'_>,
    now: Timestamp,
) -> Result<(), AwsError> {
    let header = request.header("authorization");
    let Some(rest) = header.strip_prefix("AWS4-HMAC-SHA256 ") else { return Ok(()) };
    let part = |name: &str| {
        let mut parts = rest.split(',');
        parts.find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let Some(credential) = part("Credential") else { return Ok(()) };
    let Some((id, scope)) = credential.split_once('/') else { return Ok(()) };
    let Some(key) = state.keys.iter().find(|key| key.id == id) else { return Ok(()) };
    let (Some(names), Some(signature)) = (part("SignedHeaders"), part("Signature")) else {
        return Err(incomplete("Authorization header requires 'SignedHeaders' and 'Signature'."));
    };
    let scopes: Vec<&str> = scope.split('/').collect();
    let &[day, region, scoped, "aws4_request"] = scopes.as_slice() else {
        return Err(incomplete(
            "Credential must have a scope of DATE/REGION/SERVICE/aws4_request.",
        ));
    };
    if scoped != service {
        let text = format!("Credential should be scoped to correct service: '{service}'.");
        return Err(invalid(text));
    }
    let date = request.header("x-amz-date");
    in_time(&date, now)?;
    if !names.split(';').any(|name| name == "host") || !date.starts_with(day) {
        return Err(invalid(
            "'Host' must be a signed header, and the date of the credential that of the request.",
        ));
    }
    let lines = [
        "AWS4-HMAC-SHA256",
        &date,
        scope,
        &hex(&Sha256::digest(canonical(request, names).as_bytes())),
    ];
    let secret = format!("AWS4{}", key.secret);
    let signing = [day, region, service, "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, text| hmac(&key, text));
    match hex(&hmac(&signing, &lines.join("\n"))) == signature {
        true => Ok(()),
        false => Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method. Consult the service documentation for \
             details.",
        )),
    }
}

/// The canonical request.
fn canonical(request: &Signed<'_>, names: &str) -> String {
    let mut query: Vec<&str> = request.query.split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let headers: String =
        names.split(';').map(|name| format!("{name}:{}\n", request.header(name))).collect();
    let Signed { method, path, body, .. } = request;
    let body = hex(&Sha256::digest(body));
    format!("{method}\n{path}\n{}\n{headers}\n{names}\n{body}", query.join("&"))
}

fn in_time(date: &str, now: Timestamp) -> Result<(), AwsError> {
    let read = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok();
    let at = read.and_then(|time| time.to_zoned(TimeZone::UTC).ok()).map(|time| time.timestamp());
    let Some(at) = at else {
        return Err(incomplete(
            "Authorization header requires existence of a 'X-Amz-Date' header.",
        ));
    };
    let shown = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let (earliest, latest) = (now - SKEW, now + SKEW);
    if at < earliest {
        let (earliest, now) = (shown(earliest), shown(now));
        return Err(invalid(format!(
            "Signature expired: {date} is now earlier than {earliest} ({now} - 5 min.)"
        )));
    }
    if at > latest {
        let (latest, now) = (shown(latest), shown(now));
        return Err(invalid(format!(
            "Signature not yet current: {date} is still later than {latest} ({now} + 5 min.)"
        )));
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidSignatureException", message)
}

fn incomplete(message: &str) -> AwsError {
    AwsError::new("IncompleteSignatureException", message)
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of every length, so there is no error to handle.
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::ssm::AccessKey;

    /// The example `GetVanilla` of AWS's own test suite for Signature Version 4.
    const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
        Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, \
        Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

    fn checked(authorization: &str, service: &str, now: &str) -> Result<(), String> {
        let key = AccessKey {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            user: "u".to_owned(),
            read_only: false,
        };
        let state = State { keys: vec![key], ..State::default() };
        let headers = vec![
            ("authorization", authorization),
            ("host", "example.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        let request = Signed { method: "GET", path: "/", query: "", headers, body: b"" };
        check(&state, service, &request, now.parse().unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn a_signature_is_that_of_the_key_and_of_now() {
        let now = "2015-08-30T12:36:20Z";
        assert_eq!(checked(AUTHORIZATION, "service", now), Ok(()));
        let wrong = AUTHORIZATION.replace("Signature=5", "Signature=6");
        let unnamed = AUTHORIZATION.replace("host;x-amz-date", "x-amz-date");
        let half = AUTHORIZATION.split(", Sig").next().unwrap();
        for (authorization, service, now, said) in [
            (wrong.as_str(), "service", now, "does not match the signature you provided"),
            (AUTHORIZATION, "ssm", now, "scoped to correct service: 'ssm'"),
            (
                AUTHORIZATION,
                "service",
                "2015-08-30T12:42:00Z",
                "Signature expired: 20150830T123600Z",
            ),
            (AUTHORIZATION, "service", "2015-08-30T12:30:00Z", "Signature not yet current"),
            (unnamed.as_str(), "service", now, "'Host' must be a signed header"),
            (half, "service", now, "requires 'SignedHeaders'"),
        ] {
            let refused = checked(authorization, service, now).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
        // Whoever that is, it is told elsewhere that the key is not known.
        assert_eq!(checked(&wrong.replace("AKIDEXAMPLE", "AKIDOTHER"), "service", now), Ok(()));
    }
}
