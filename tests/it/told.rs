//! Errors of the services in the user's words: what every code means, and what to do.

use crate::lab::Lab;

/// A refusal that a service gives: status, code, message, how often it is given, and what is said.
type Case = (u16, &'static str, &'static str, u32, &'static str);

/// A lab with this stack alone, whose calls that fit are refused in turn.
fn refusing(stack: &str, call: &str, cases: &[Case]) -> Lab {
    let mut lab = Lab::hasty("openhands", &[]);
    lab.write("stacks/openhands.yaml", stack);
    let mut nth = 1;
    let mut rules = String::new();
    for (status, code, message, times, _) in cases {
        let code = if code.is_empty() { "0" } else { code };
        rules += &format!(
            "- {{{call}, nth: {nth}, times: {times}, status: {status}, code: {code}, message: \"{message}\"}}\n"
        );
        nth += times;
    }
    lab.write("faults.yaml", &rules);
    lab.restart(&["--faults", "faults.yaml"]);
    lab
}

/// The text without the times before its lines, and without its line breaks.
pub fn flowing(text: &str) -> String {
    let is_time = |word: &str| word.len() == 8 && word.split(':').count() == 3;
    let words = text.lines().flat_map(|line| {
        line.split_whitespace().enumerate().filter(|(at, word)| *at > 0 || !is_time(word))
    });
    words.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// Each refusal is told with its code, what it means and what to do; then it works.
#[track_caller]
fn every_one_is_told(stack: &str, call: &str, command: &[&str], cases: &[Case]) {
    let lab = refusing(stack, call, cases);
    for (status, code, message, _, word) in cases {
        let ran = lab.run(command);
        let all = flowing(&format!("{}{}", ran.out, ran.err));
        assert_ne!(ran.code, 0, "{code} {message}: {all}");
        for wanted in [format!("answered {status}"), (*code).to_owned(), (*word).to_owned()] {
            assert!(all.contains(&wanted), "{code} {message}: `{wanted}` is not in\n{all}");
        }
    }
    lab.apply(&[]);
    lab.is_settled(&[]);
}

const RECORD: &str = "resources:\n  dns_record.a: {name: a, type: TXT, content: x}\n";

#[test]
fn what_dns_refuses_is_told() {
    every_one_is_told(
        RECORD,
        "service: cloudflare, method: POST, path: '*/dns_records'",
        &["apply", "--yes"],
        &[
            (
                400,
                "81053",
                "An A, AAAA, or CNAME record with that host already exists.",
                1,
                "adopt",
            ),
            (400, "81054", "A CNAME record with that host already exists.", 1, "beside a CNAME"),
            (400, "81056", "NS records with that host already exist.", 1, "delegation"),
            (400, "81057", "The record already exists.", 1, "adopt"),
            (400, "81058", "An identical record already exists.", 1, "adopt"),
            (400, "9005", "Content for A record must be a valid IPv4 address.", 1, "IPv6 address"),
            (400, "1004", "DNS Validation Error", 1, "`content`"),
            (400, "9021", "Invalid TTL", 1, "86400"),
            (400, "9041", "Invalid proxied mode. Record cannot be proxied", 1, "proxied: false"),
            (400, "9300", "DNS record has 1 tags, exceeding the quota of 0.", 1, "paid plan"),
            (
                400,
                "",
                "The IPv4 Only and IPv6 Only settings are not available to this zone.",
                1,
                "`settings`",
            ),
            (404, "81044", "Record does not exist.", 1, "plan again"),
        ],
    );
}

#[test]
fn what_is_wrong_with_the_token_or_an_id_is_told() {
    every_one_is_told(
        RECORD,
        "service: cloudflare, method: GET, path: '*/zones'",
        &["plan"],
        &[
            (404, "7003", "Could not route to /client/v4/zones", 1, "zones in boxctl.yaml"),
            (404, "7000", "No route for that URI", 1, "zones in boxctl.yaml"),
            (405, "7001", "Method GET not available for that URI.", 1, "account_id"),
            (
                405,
                "10405",
                "GET not allowed for the api_token authentication scheme",
                1,
                "account_id",
            ),
            (400, "6003", "Invalid request headers", 1, "malformed"),
            (403, "10000", "Authentication error", 1, "`Zone Read` for the zone"),
            (400, "10000", "Authentication error", 1, "`Zone Read` for the zone"),
            (403, "9109", "Invalid access token", 1, "revoked"),
            (401, "9109", "Unauthorized to access requested resource", 1, "revoked"),
            (401, "1000", "Invalid API Token", 1, "revoked"),
        ],
    );
}

#[test]
fn what_tunnels_refuse_is_told() {
    every_one_is_told(
        "resources:\n  tunnel.a: {name: a}\n",
        "service: cloudflare, method: POST, path: '*/cfd_tunnel'",
        &["apply", "--yes"],
        &[
            (409, "1013", "You already have a tunnel with this name.", 1, "adopt"),
            (400, "1013", "You already have a tunnel with this name.", 1, "adopt"),
        ],
    );
    every_one_is_told(
        "resources:\n  tunnel.a: {name: a}\n  tunnel_config.a:\n    tunnel: ${tunnel.a.id}\n    \
         ingress: [{hostname: a.b0xp.io, service: \"http://a\"}, {service: \"http_status:404\"}]\n",
        "service: cloudflare, method: PUT, path: '*/configurations'",
        &["apply", "--yes"],
        &[
            (400, "1056", "Bad Configuration: Validation failed: The last", 1, "take everything"),
            (404, "1055", "Tunnel configuration not found", 1, "configuration"),
            (404, "1002", "Tunnel not found", 1, "tunnel is gone"),
        ],
    );
}

#[test]
fn what_a_deleted_tunnel_still_holds_is_told() {
    let gone = refusing(
        "resources:\n  tunnel.a: {name: a}\n",
        "service: cloudflare, method: DELETE, path: '^/client/v4/accounts/[^/]+/cfd_tunnel/[^/]+$'",
        &[(400, "1022", "Cannot delete tunnel because it has active connections", 99, "")],
    );
    gone.apply(&[]);
    gone.run(&["destroy", "openhands", "--yes"]).exits(3).says("code 1022").says("(cloudflared)");
}

#[test]
fn what_access_refuses_is_told() {
    let policy =
        "resources:\n  access_policy.a: {name: a, decision: allow, include: [{email: a@b.c}]}\n";
    every_one_is_told(
        policy,
        "service: cloudflare, method: POST, path: '*/access/policies'",
        &["apply", "--yes"],
        &[
            (400, "12130", "access.api.error.invalid_request: x", 1, "which field"),
            (400, "11020", "access.api.error.failed_to_load_group", 1, "group"),
            (404, "12135", "not found", 1, "identity provider"),
            (404, "12152", "not found", 1, "group"),
            (400, "1007", "auth.key_not_in_claims", 1, "Access: Apps and Policies Write"),
            (403, "12133", "x does not have permission for y", 1, "plan"),
            (403, "10000", "Authentication error", 5, "Access: Apps and Policies Write"),
        ],
    );
    every_one_is_told(
        "resources:\n  access_application.a: {name: a, domain: a.b0xp.io}\n",
        "service: cloudflare, method: POST, path: '*/access/apps'",
        &["apply", "--yes"],
        &[
            (
                409,
                "11010",
                "access.api.error.application_already_exists",
                1,
                "guards this hostname",
            ),
            (409, "11010", "destination belongs to another application", 1, "destinations"),
            (400, "12045", "access.api.error.invalid_application_id", 1, "id is none"),
            (400, "12130", "policy 1-2 not found", 8, "run this again"),
        ],
    );
}

#[test]
fn what_ssm_refuses_is_told() {
    every_one_is_told(
        "resources:\n  ssm_parameter.a: {name: a, type: String, value: b}\n",
        "service: ssm, path: PutParameter",
        &["apply", "--yes"],
        &[
            (400, "ParameterAlreadyExists", "The parameter already exists.", 1, "adopt"),
            (400, "ValidationException", "A parameter type is required", 1, "type"),
            (
                400,
                "ValidationException",
                "tags and overwrite can't be used together.",
                1,
                "mistake",
            ),
            (400, "ValidationException", "the advanced-parameter tier", 1, "made again"),
            (400, "ValidationException", "must not be prefixed with aws", 1, "begin with aws"),
            (400, "HierarchyTypeMismatchException", "", 1, "cannot be changed"),
            (400, "HierarchyLevelLimitExceededException", "", 1, "15 levels"),
            (400, "InvalidKeyId", "", 1, "key_id"),
            (400, "ParameterPatternMismatchException", "", 1, "allowed_pattern"),
            (400, "ParameterLimitExceeded", "", 1, "Advanced"),
            (400, "ParameterMaxVersionLimitExceeded", "", 1, "label"),
            (400, "UnsupportedParameterType", "", 1, "SecureString"),
            (400, "TooManyTagsError", "", 1, "50 tags"),
            (
                400,
                "AccessDeniedException",
                "not authorized to perform: ssm:PutParameter",
                1,
                "ssm:PutParameter",
            ),
            (
                400,
                "UnrecognizedClientException",
                "The security token is invalid.",
                1,
                "AWS_PROFILE",
            ),
            (400, "ExpiredTokenException", "The security token is expired.", 1, "sso login"),
        ],
    );
}
