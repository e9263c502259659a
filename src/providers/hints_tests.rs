use super::*;
use crate::providers::not_sent;

fn error(service: Service, status: u16, code: &str, operation: &str, message: &str) -> CallError {
    CallError {
        failure: Failure::Refused,
        status: Some(status),
        code: Some(code.to_owned()).filter(|code| !code.is_empty()),
        ..not_sent(service, operation, "", message)
    }
}

const DNS: &str = "POST /zones/z/dns_records";
const TUNNEL: &str = "POST /accounts/a/cfd_tunnel";
const CONFIGURATION: &str = "PUT /accounts/a/cfd_tunnel/t/configurations";
const ROUTES: &str = "POST /accounts/a/teamnet/routes";
const APPS: &str = "POST /accounts/a/access/apps";

/// The catalogue of codes: status, code, operation, message, and a word of what is said.
const CLOUDFLARE: &[(u16, &str, &str, &str, &str)] = &[
    (404, "7003", "GET /zones/z", "Could not route to /client/v4/zones/z", "zones in boxctl.yaml"),
    (404, "7000", "GET /zones/z", "No route for that URI", "zones in boxctl.yaml"),
    (405, "7001", "DELETE /zones/z", "Method DELETE not available for that URI.", "does not do"),
    (
        405,
        "10405",
        "PUT /zones",
        "not allowed for the api_token authentication scheme",
        "id in the path",
    ),
    (
        403,
        "10000",
        "PUT /zones",
        "not allowed for the api_token authentication scheme",
        "id in the path",
    ),
    (400, "6003", "GET /zones", "Invalid request headers", "malformed"),
    (403, "10000", "GET /zones", "Authentication error", "`Zone Read` for the zone"),
    (401, "9109", "GET /zones", "Invalid access token", "revoked"),
    (403, "9109", "GET /zones", "Unauthorized to access requested resource", "revoked"),
    (401, "1000", "GET /user/tokens/verify", "Invalid API Token", "make a new one"),
    (429, "10100", "GET /zones", "More than 1200 requests", "wait 5 minutes"),
    (429, "971", "GET /zones", "Please wait", "wait 5 minutes"),
    (429, "10429", "GET /zones", "", "wait 5 minutes"),
    (500, "1000", "PATCH /accounts/a/teamnet/routes/r", "Internal server error", "changes nothing"),
    (500, "11000", APPS, "", "`policies`"),
    (404, "81044", DNS, "Record does not exist.", "plan again"),
    (400, "81053", DNS, "", "adopt"),
    (400, "81054", DNS, "", "beside a CNAME"),
    (400, "81056", DNS, "", "delegation"),
    (400, "81057", DNS, "", "adopt"),
    (400, "81058", DNS, "", "adopt"),
    (400, "9005", DNS, "", "IPv4"),
    (400, "1004", DNS, "DNS Validation Error", "`content`"),
    (400, "1004", DNS, "DNS Validation Error; Invalid TTL", "86400"),
    (400, "1004", DNS, "DNS Validation Error; Invalid proxied mode", "proxied: false"),
    (400, "9021", DNS, "", "86400"),
    (400, "9041", DNS, "", "proxied: false"),
    (400, "9300", DNS, "", "leave `tags` out"),
    (
        400,
        "",
        DNS,
        "The IPv4 Only and IPv6 Only settings are not available to this zone.",
        "settings",
    ),
    (409, "1013", TUNNEL, "", "adopt"),
    (400, "1013", TUNNEL, "", "adopt"),
    (409, "", TUNNEL, "You already have a tunnel with this name.", "adopt"),
    (400, "1003", "PUT /zones/z/tunnels/t/routes", "", "leads elsewhere"),
    (400, "1022", "DELETE /accounts/a/cfd_tunnel/t", "", "cloudflared"),
    (404, "1002", "PATCH /accounts/a/cfd_tunnel/t", "", "anew"),
    (404, "1054", "GET /accounts/a/cfd_tunnel/t/token", "", "token"),
    (404, "1055", CONFIGURATION, "", "configuration"),
    (400, "1056", CONFIGURATION, "", "take everything"),
    (400, "", CONFIGURATION, "Bad Configuration: Validation failed: The last", "take everything"),
    (409, "1014", ROUTES, "", "adopt"),
    (404, "1015", "DELETE /accounts/a/teamnet/routes/r", "", "not routed"),
    (400, "", ROUTES, "Could not parse input as CIDR", "192.0.2.0/24"),
    (400, "", ROUTES, "invalid address: 192", "192.0.2.0/24"),
    (
        409,
        "",
        "POST /accounts/a/zerotrust/routes/hostname",
        "x is already routed to another tunnel",
        "adopt",
    ),
    (404, "1046", ROUTES, "", "virtual network"),
    (400, "12130", APPS, "access.api.error.invalid_request: x", "which field"),
    (400, "12130", APPS, "access.api.error.invalid_request: tag x already exists", "is there"),
    (409, "11010", APPS, "access.api.error.application_already_exists", "guards this hostname"),
    (404, "11021", APPS, "access.api.error.unknown_application", "anew"),
    (404, "12045", APPS, "access.api.error.unknown_application", "anew"),
    (400, "12045", APPS, "access.api.error.invalid_application_id", "id is none"),
    (400, "12130", APPS, "policy 1-2 not found", "(yet)"),
    (404, "12135", "PUT /accounts/a/access/service_tokens/t", "", "service token"),
    (404, "12152", "PUT /accounts/a/access/groups/g", "", "group"),
    (400, "11020", APPS, "access.api.error.failed_to_load_group", "group"),
    (409, "11010", APPS, "destination belongs to another application", "destinations"),
    (403, "1007", APPS, "auth.key_not_in_claims", "Apps and Policies Write"),
    (403, "12133", APPS, "does not have permission for x", "plan"),
    (400, "10014", "POST /accounts/a/storage/kv/namespaces", "", "title"),
    (404, "10013", "GET /accounts/a/storage/kv/namespaces/n", "", "gone"),
    (400, "10019", "POST /accounts/a/storage/kv/namespaces", "", "title"),
    (404, "7404", "GET /accounts/a/d1/database/d", "", "gone"),
    (400, "7400", "POST /accounts/a/d1/database", "", "field"),
    (409, "10004", "POST /accounts/a/r2/buckets", "", "bucket"),
    (404, "10006", "GET /accounts/a/r2/buckets/b", "", "gone"),
    (400, "10005", "POST /accounts/a/r2/buckets", "", "name"),
    (404, "10007", "GET /accounts/a/workers/scripts/s", "", "script"),
    (404, "10009", "GET /zones/z/workers/routes/r", "", "route"),
    (400, "10022", "POST /zones/z/workers/routes", "", "pattern"),
    (404, "10003", "PUT /accounts/a/rulesets/r", "", "ruleset"),
    (
        400,
        "20012",
        "PUT /zones/z/rulesets/phases/p/entrypoint",
        "phase p not allowed at zone level",
        "phase",
    ),
    (409, "10020", "POST /zones/z/workers/routes", "", "pattern"),
    (400, "1061", "POST /zones", "example.com already exists", "boxctl.yaml"),
    // What no code is known of.
    (400, "4711", "POST /zones", "what", "the text says why"),
    (403, "4711", "POST /accounts/a/access/groups", "no", "Identity Providers, and Groups Write"),
];

/// What AWS answers, also where an emulator is too lax to: code, message, a word of what is said.
const SSM: &[(&str, &str, &str)] = &[
    ("ParameterAlreadyExists", "", "adopt"),
    (
        "ValidationException",
        "Invalid request: tags and overwrite can't be used together.",
        "overwrite",
    ),
    ("ValidationException", "A parameter type is required when you create a parameter.", "type"),
    ("ValidationException", "Value: length must be at least 1; standard tier", "tier"),
    ("ValidationException", "This parameter uses the advanced-parameter tier.", "made again"),
    ("ValidationException", "Parameter name must not be prefixed with \"aws\"", "begin with aws"),
    ("HierarchyTypeMismatchException", "", "type"),
    ("HierarchyLevelLimitExceededException", "", "15"),
    ("InvalidKeyId", "", "key_id"),
    ("ParameterPatternMismatchException", "", "allowed_pattern"),
    ("InvalidAllowedPatternException", "", "allowed_pattern"),
    ("UnsupportedParameterType", "", "SecureString"),
    ("PoliciesLimitExceededException", "", "policies"),
    ("ParameterVersionNotFound", "", "version"),
    ("ParameterNotFound", "", "plan again"),
    ("ParameterLimitExceeded", "", "Advanced"),
    ("ParameterMaxVersionLimitExceeded", "", "label"),
    ("InvalidResourceId", "", "tag"),
    ("InvalidResourceType", "", "tag"),
    ("TooManyTagsError", "", "50"),
    ("TooManyUpdates", "", "again"),
    ("ThrottlingException", "Rate exceeded", "again"),
    ("AccessDeniedException", "not authorized to perform: ssm:PutParameter", "ssm:PutParameter"),
    ("AccessDeniedException", "not authorized to perform: kms:Encrypt", "kms:Decrypt"),
    ("AccessDeniedException", "The ciphertext refers to a customer master key", "kms:Decrypt"),
    ("InvalidSignatureException", "Signature expired: 20150830T123600Z is now", "behind"),
    ("SignatureDoesNotMatch", "Signature not yet current: 20150830T123600Z", "ahead"),
    ("MissingAuthenticationToken", "", "HTTPS_PROXY"),
    ("OptInRequired", "", "region"),
    ("NotFoundException", "Alias is not found", "key_id"),
    ("KMSInvalidStateException", "", "state"),
    ("InvalidFilterKey", "", "list"),
    ("UnknownOperationException", "", "AWS_ENDPOINT_URL"),
    ("RequestEntityTooLargeException", "", "8 KiB"),
    ("AccessDenied", "", "permission"),
    ("UnrecognizedClientException", "", "AWS_PROFILE"),
    ("InvalidClientTokenId", "", "AWS_PROFILE"),
    ("InvalidSignatureException", "", "AWS_SECRET_ACCESS_KEY"),
    ("SignatureDoesNotMatch", "", "AWS_SECRET_ACCESS_KEY"),
    ("ExpiredTokenException", "", "sso login"),
    ("ExpiredToken", "", "sso login"),
    ("InternalServerError", "", "again"),
    ("SomethingNew", "", "the text says why"),
];

#[test]
fn the_table_can_be_read_and_every_row_says_what_it_means_and_what_to_do() {
    let table = TABLE.as_ref().unwrap();
    for row in table.cloudflare.iter().chain(&table.ssm) {
        assert!(!row.means.is_empty() && !row.r#do.is_empty(), "{row:?}");
        assert_eq!(row.says, row.says.to_lowercase(), "messages are compared in lower case");
    }
}

#[test]
fn every_code_of_the_catalogue_is_told() {
    for (status, code, operation, message, word) in CLOUDFLARE {
        let said = hint(&error(Service::Cloudflare, *status, code, operation, message));
        assert!(
            said.as_ref().is_some_and(|said| said.contains(word)),
            "{code} {message}: {said:?}"
        );
    }
    for (code, message, word) in SSM {
        let said = hint(&error(Service::Ssm, 400, code, "PutParameter", message));
        assert!(
            said.as_ref().is_some_and(|said| said.contains(word)),
            "{code} {message}: {said:?}"
        );
    }
}

/// The errors that AWS's own models name: of the operations of SSM that boxctl calls, of the
/// encryption and decryption that SSM asks KMS for, and those common to all operations.
const MODELLED: &[&str] = &[
    // PutParameter, DeleteParameter, GetParameter, GetParameters, DescribeParameters,
    // AddTagsToResource, RemoveTagsFromResource, ListTagsForResource
    "HierarchyLevelLimitExceededException",
    "HierarchyTypeMismatchException",
    "IncompatiblePolicyException",
    "InternalServerError",
    "InvalidAllowedPatternException",
    "InvalidFilterKey",
    "InvalidFilterOption",
    "InvalidFilterValue",
    "InvalidKeyId",
    "InvalidNextToken",
    "InvalidPolicyAttributeException",
    "InvalidPolicyTypeException",
    "InvalidResourceId",
    "InvalidResourceType",
    "ParameterAlreadyExists",
    "ParameterLimitExceeded",
    "ParameterMaxVersionLimitExceeded",
    "ParameterNotFound",
    "ParameterPatternMismatchException",
    "ParameterVersionNotFound",
    "PoliciesLimitExceededException",
    "TooManyTagsError",
    "TooManyUpdates",
    "UnsupportedParameterType",
    // Encrypt, Decrypt, GenerateDataKey
    "DependencyTimeoutException",
    "DisabledException",
    "IncorrectKeyException",
    "InvalidCiphertextException",
    "InvalidGrantTokenException",
    "InvalidKeyUsageException",
    "KMSInternalException",
    "KMSInvalidStateException",
    "KeyUnavailableException",
    "NotFoundException",
    // Common
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InternalFailure",
    "InvalidClientTokenId",
    "MalformedHttpRequestException",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "OptInRequired",
    "RegionDisabledException",
    "RequestAbortedException",
    "RequestEntityTooLargeException",
    "RequestExpired",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
];

#[test]
fn every_error_that_the_models_of_aws_name_has_a_row_of_its_own() {
    let table = TABLE.as_ref().unwrap();
    let lacks = |code: &&&str| {
        let found = row(table, &error(Service::Ssm, 400, code, "PutParameter", ""));
        found.is_none_or(|row| matches!(row.code, Codes::Any))
    };
    let without: Vec<_> = MODELLED.iter().filter(lacks).collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn the_permission_of_a_ruleset_is_that_of_its_scope_and_phase() {
    let table = TABLE.as_ref().unwrap();
    for (operation, wanted) in [
        ("GET /accounts/a/rulesets", "`Account Rulesets Read` for the account"),
        ("PUT /zones/z/rulesets/r", "`Zone WAF Write` for the zone"),
        (
            "GET /zones/z/rulesets/phases/http_request_dynamic_redirect/entrypoint",
            "`Dynamic URL Redirects Read` for the zone",
        ),
    ] {
        assert_eq!(permission(table, operation), wanted);
    }
}

#[test]
fn no_row_is_in_the_shadow_of_another() {
    let table = TABLE.as_ref().unwrap();
    let reached = |rows: &[Row], errors: Vec<CallError>| {
        let found: Vec<*const Row> =
            errors.iter().filter_map(|e| row(table, e)).map(std::ptr::from_ref).collect();
        let lost = rows.iter().filter(|row| !found.contains(&std::ptr::from_ref(*row)));
        lost.map(|row| row.means.clone()).collect::<Vec<_>>()
    };
    let mut errors: Vec<CallError> = CLOUDFLARE
        .iter()
        .map(|(status, code, at, text, _)| error(Service::Cloudflare, *status, code, at, text))
        .collect();
    errors.extend([
        error(Service::Cloudflare, 403, "10000", "POST /accounts/a/access/apps", "x"),
        error(Service::Cloudflare, 409, "1014", "POST /accounts/a/teamnet/virtual_networks", "x"),
        error(Service::Cloudflare, 404, "2052", "GET /accounts/a/devices/policy/p", "x"),
        error(Service::Cloudflare, 409, "", "PUT /accounts/a/access/apps/a", "x"),
        error(Service::Cloudflare, 404, "11021", "GET /accounts/a/access/apps/a", "x"),
        error(Service::Cloudflare, 401, "", "GET /zones", "x"),
        error(Service::Cloudflare, 403, "", "GET /zones", "x"),
        error(Service::Cloudflare, 404, "", "GET /zones", "x"),
        error(Service::Cloudflare, 409, "", "POST /zones", "x"),
        error(Service::Cloudflare, 429, "", "GET /zones", "x"),
    ]);
    assert_eq!(reached(&table.cloudflare, errors), Vec::<String>::new());
    let mut errors: Vec<CallError> = SSM
        .iter()
        .map(|(code, text, _)| error(Service::Ssm, 400, code, "PutParameter", text))
        .collect();
    errors.extend(
        ["credentials", "region", "KMSDisabledException"]
            .map(|code| error(Service::Ssm, 400, code, "PutParameter", "x")),
    );
    errors.push(error(Service::Ssm, 403, "", "PutParameter", "x"));
    assert_eq!(reached(&table.ssm, errors), Vec::<String>::new());
}

#[test]
fn a_call_names_the_permission_that_it_wants() {
    for (operation, permission) in [
        ("GET /zones", "`Zone Read` for the zone"),
        ("GET /zones/z/dns_records", "`DNS Read` for the zone"),
        ("POST /zones/z/dns_records", "`DNS Write` for the zone"),
        ("GET /accounts/a/cfd_tunnel", "`Cloudflare Tunnel Read` for the account"),
        ("GET /accounts/a/cfd_tunnel/t/token", "`Cloudflare Tunnel Write` for the account"),
        ("GET /accounts/a/access/policies", "`Access: Apps and Policies Read` for the account"),
        ("PUT /accounts/a/access/groups/g", "Identity Providers, and Groups Write"),
        ("POST /accounts/a/access/service_tokens", "`Access: Service Tokens Write`"),
        ("GET /accounts/a/devices/policy", "`Zero Trust Read`"),
    ] {
        let said = hint(&error(Service::Cloudflare, 403, "10000", operation, "")).unwrap();
        assert!(said.contains(permission), "{operation}: {said}");
    }
}

#[test]
fn what_was_not_answered_is_told_by_what_became_of_it() {
    let lost = CallError { failure: Failure::Unknown, ..not_sent(Service::Ssm, "x", "", "") };
    assert!(hint(&lost).unwrap().contains("looked up first"));
    for operation in ["GET /zones", "DescribeParameters"] {
        let read = CallError { operation: operation.to_owned(), ..lost.clone() };
        assert_eq!(hint(&read).unwrap(), "run this again");
    }
    let unreached =
        not_sent(Service::Cloudflare, "GET /zones", crate::providers::retry::CONNECT, "");
    assert!(hint(&unreached).unwrap().contains("HTTPS_PROXY"));
    assert_eq!(hint(&not_sent(Service::Cloudflare, "GET /zones", "secret", "")), None);
}
