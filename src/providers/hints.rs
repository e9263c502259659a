//! What errors of the APIs mean and what to do about them: data.

use crate::model::call::Service;
use crate::model::error::{CallError, Failure};

/// One row: which errors it is about, and the advice.
struct Row {
    service: Service,
    /// The service's code; empty for any.
    code: &'static str,
    /// The HTTP status; 0 for any.
    status: u16,
    /// What the operation's text contains; empty for any.
    operation: &'static str,
    /// What the message contains; empty for any.
    message: &'static str,
    hint: &'static str,
}

/// Which permissions the token needs, by what is asked for.
pub const TOKEN_SCOPES: &str = "a token for plan needs, for the account: Cloudflare Tunnel Read, \
    Access: Apps and Policies Read, Access: Organizations, Identity Providers, and Groups Read; \
    for the zones: Zone Read, DNS Read. A token for apply needs Write where these say Read, apart \
    from zones and identity providers";

const fn cloudflare(
    code: &'static str,
    status: u16,
    operation: &'static str,
    message: &'static str,
    hint: &'static str,
) -> Row {
    Row { service: Service::Cloudflare, code, status, operation, message, hint }
}

const fn ssm(code: &'static str, hint: &'static str) -> Row {
    Row { service: Service::Ssm, code, status: 0, operation: "", message: "", hint }
}

/// The first row that fits is used. Codes are those of contract 1.6 and crates.md 7.
const ROWS: &[Row] = &[
    cloudflare(
        "6003",
        0,
        "",
        "",
        "CLOUDFLARE_API_TOKEN is malformed: look for blanks and quotes in it",
    ),
    cloudflare(
        "9109",
        0,
        "",
        "",
        "the token is unknown, revoked or restricted to other addresses: make a new one and set CLOUDFLARE_API_TOKEN",
    ),
    cloudflare(
        "1022",
        0,
        "",
        "",
        "stop the tunnel's connectors (cloudflared) and run this again: Cloudflare forgets ended connections after some minutes",
    ),
    cloudflare(
        "1013",
        0,
        "cfd_tunnel",
        "",
        "a tunnel of this name is there: take it over with `adopt: true`, or choose another name",
    ),
    cloudflare("1054", 0, "token", "", "the tunnel is gone: plan again"),
    cloudflare("1055", 0, "configurations", "", "the tunnel has no configuration: plan again"),
    cloudflare(
        "1056",
        0,
        "configurations",
        "",
        "look at the ingress rules: the last one must take everything, no other may",
    ),
    cloudflare(
        "1002",
        404,
        "cfd_tunnel",
        "",
        "the tunnel is gone: plan again, it is made anew then",
    ),
    cloudflare("81044", 0, "", "", "the record is gone: plan again"),
    cloudflare(
        "81053",
        0,
        "",
        "",
        "an A, AAAA or CNAME record has this name: take it over with `adopt: true`, or delete it",
    ),
    cloudflare(
        "81054",
        0,
        "",
        "",
        "a CNAME record has this name, and nothing stands beside a CNAME: take it over with `adopt: true`, or delete it",
    ),
    cloudflare("81056", 0, "", "", "NS records have this name, and nothing stands beside them"),
    cloudflare(
        "81057",
        0,
        "",
        "",
        "the very same record is there: take it over with `adopt: true`",
    ),
    cloudflare(
        "81058",
        0,
        "",
        "",
        "the very same record is there: take it over with `adopt: true`",
    ),
    cloudflare("9005", 0, "", "", "the content does not go with the record's type"),
    cloudflare(
        "9041",
        0,
        "",
        "",
        "a record of this type or with this content cannot be proxied: write `proxied: false`",
    ),
    cloudflare("9300", 0, "", "", "tags on records want a paid plan: leave `tags` out"),
    cloudflare("9021", 0, "", "", "a ttl is 1 (automatic), or 60 to 86400 seconds"),
    cloudflare(
        "11010",
        0,
        "access/apps",
        "",
        "another application guards this hostname: take it over with `adopt: true`, or delete it",
    ),
    cloudflare(
        "",
        409,
        "access/apps",
        "",
        "another application guards this hostname: take it over with `adopt: true`, or delete it",
    ),
    cloudflare("12133", 0, "access", "", "the account's plan does not include this"),
    cloudflare(
        "",
        400,
        "access/apps",
        "not found",
        "a policy that the application names is not there (yet): run this again; a policy of one application cannot be named by another",
    ),
    cloudflare(
        "12130",
        0,
        "access",
        "",
        "Access refuses the request as a whole: the text says which field",
    ),
    cloudflare(
        "7003",
        0,
        "",
        "",
        "an id in the path is not one of the API: look at account_id and zones in boxctl.yaml",
    ),
    cloudflare(
        "7000",
        0,
        "",
        "",
        "an id in the path is not one of the API: look at account_id and zones in boxctl.yaml",
    ),
    cloudflare("10000", 0, "", "", TOKEN_SCOPES),
    cloudflare("", 401, "", "", TOKEN_SCOPES),
    cloudflare("", 403, "", "", TOKEN_SCOPES),
    cloudflare(
        "",
        429,
        "",
        "",
        "Cloudflare takes 1200 requests in 5 minutes, the dashboard's among them: wait 5 minutes and run this again",
    ),
    ssm("ParameterAlreadyExists", "take it over with `adopt: true`, or choose another name"),
    ssm("ParameterNotFound", "the parameter is gone: plan again"),
    ssm(
        "ParameterLimitExceeded",
        "the region holds 10,000 standard parameters: delete some, or use `tier: Advanced`",
    ),
    ssm(
        "ParameterMaxVersionLimitExceeded",
        "the oldest of 100 versions has a label: remove or move it",
    ),
    ssm("ParameterPatternMismatchException", "the value does not match `allowed_pattern`"),
    ssm(
        "HierarchyTypeMismatchException",
        "a parameter's type cannot be changed: it has to be replaced",
    ),
    ssm("HierarchyLevelLimitExceededException", "a path has at most 15 levels"),
    ssm("InvalidKeyId", "the KMS key is not there, or may not be used: look at `key_id`"),
    ssm(
        "TooManyUpdates",
        "someone else writes the same parameter at the same time: run this again",
    ),
    ssm("ThrottlingException", "SSM takes 3 writes a second by default: run this again"),
    ssm(
        "AccessDeniedException",
        "plan needs ssm:DescribeParameters and ssm:ListTagsForResource; apply also ssm:PutParameter, ssm:DeleteParameter, ssm:AddTagsToResource, ssm:RemoveTagsFromResource, and for values that are kept ssm:GetParameter; encrypting wants kms:Encrypt on the key",
    ),
    ssm("AccessDenied", "the AWS credentials lack a permission"),
    ssm(
        "UnrecognizedClientException",
        "the AWS access key is unknown: look at AWS_ACCESS_KEY_ID and AWS_PROFILE",
    ),
    ssm(
        "InvalidClientTokenId",
        "the AWS access key is unknown: look at AWS_ACCESS_KEY_ID and AWS_PROFILE",
    ),
    ssm("InvalidSignatureException", "AWS_SECRET_ACCESS_KEY does not belong to the access key"),
    ssm("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY does not belong to the access key"),
    ssm("ExpiredTokenException", "the AWS session has ended: log in again (`aws sso login`)"),
    ssm("ExpiredToken", "the AWS session has ended: log in again (`aws sso login`)"),
    ssm(
        "credentials",
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with `aws sso login`",
    ),
    ssm("region", "set `aws: {region: …}` in boxctl.yaml, or AWS_REGION"),
];

/// The advice for an error, if there is one.
pub fn hint(error: &CallError) -> Option<String> {
    let code = error.code.as_deref().unwrap_or_default();
    let row = ROWS.iter().find(|row| {
        row.service == error.service
            && (row.code.is_empty() || row.code == code)
            && (row.status == 0 || error.status == Some(row.status))
            && error.operation.contains(row.operation)
            && error.message.contains(row.message)
    });
    if let Some(row) = row {
        return Some(row.hint.to_owned());
    }
    match error.failure {
        Failure::NotSent if code == super::retry::CONNECT => Some(match error.service {
            Service::Cloudflare => {
                "look at the network, HTTPS_PROXY and CLOUDFLARE_BASE_URL".to_owned()
            }
            Service::Ssm => "look at the network, HTTPS_PROXY and AWS_ENDPOINT_URL".to_owned(),
            Service::Kubernetes => "look at the network and KUBECONFIG".to_owned(),
        }),
        Failure::Unknown => {
            Some("run this again: what became of the call is looked up first".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::not_sent;

    #[test]
    fn known_refusals_come_with_advice() {
        let error = |code: &str, status: u16, operation: &str| CallError {
            failure: Failure::Refused,
            status: Some(status),
            ..not_sent(Service::Cloudflare, operation, code, "")
        };
        for (error, word) in [
            (error("81058", 400, "POST /zones/z/dns_records"), "adopt"),
            (error("10000", 403, "GET /zones"), "DNS Read"),
            (error("11010", 409, "POST /accounts/a/access/apps"), "guards"),
            (error("1013", 409, "POST /accounts/a/cfd_tunnel"), "adopt"),
            (not_sent(Service::Ssm, "PutParameter", "credentials", ""), "AWS_PROFILE"),
        ] {
            assert!(hint(&error).is_some_and(|hint| hint.contains(word)), "{word}");
        }
        assert_eq!(hint(&error("1013", 400, "GET /accounts/a/teamnet/routes")), None);
    }
}
