//! The catalogue of codes (contract 1.6): what each service refuses, and at which calls it can.

/// A refusal that a call can get.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// HTTP status.
    pub status: u16,
    /// The service's code; `0` where the contract knows none.
    pub code: &'static str,
    /// The message.
    pub message: &'static str,
    /// Which calls: a regular expression of `METHOD path`.
    pub at: &'static str,
    /// A word of what is said about it: what it means, or what to do.
    pub word: &'static str,
}

const fn row(
    status: u16,
    code: &'static str,
    message: &'static str,
    at: &'static str,
    word: &'static str,
) -> Row {
    Row { status, code, message, at, word }
}

/// Every call.
pub const ANY: &str = " /";
const ACCESS: &str = " .*/access/";
const ACCESS_WRITE: &str = "^(POST|PUT) .*/access/";
const APPS_WRITE: &str = "^(POST|PUT) .*/access/apps(/[^/]*)?$";
const APP: &str = "^(PUT|GET) .*/access/apps/[^/]+$";
const DNS_WRITE: &str = "^(POST|PATCH) .*/dns_records";
const CONFIG_WRITE: &str = "^PUT .*/configurations";
const ROUTE_WRITE: &str = "^(POST|PATCH) .*/teamnet/routes";
const HOSTNAME_WRITE: &str = "^(POST|PATCH) .*/zerotrust/routes/hostname";
const KV_WRITE: &str = "^(POST|PUT) .*/storage/kv/";
const R2_CREATE: &str = "^POST .*/r2/buckets$";
const ROUTES_WRITE: &str = "^(POST|PUT) .*/workers/routes";
const SCHEME: &str = "PUT method not allowed for the api_token authentication scheme";

/// What is refused for good: it is told, and nothing of it is repeated in vain.
pub const CLOUDFLARE: &[Row] = &[
    row(404, "7003", "Could not route to /client/v4/x", ANY, "look at account_id"),
    row(400, "7003", "No route for the URI", ANY, "look at account_id"),
    row(404, "7000", "No route for that URI", ANY, "look at account_id"),
    row(405, "7001", "Method not available for that URI.", ANY, "does not do this"),
    row(405, "10405", SCHEME, ANY, "cannot be asked for with an API token"),
    row(403, "10000", SCHEME, ANY, "cannot be asked for with an API token"),
    row(400, "6003", "Invalid request headers", ANY, "CLOUDFLARE_API_TOKEN is malformed"),
    row(403, "10000", "Authentication error", ANY, "lacks a permission"),
    row(400, "10000", "Authentication error", ANY, "lacks a permission"),
    row(401, "10000", "Authentication error", ANY, "lacks a permission"),
    row(401, "9109", "Invalid access token", ANY, "revoked"),
    row(403, "9109", "Unauthorized to access requested resource", ANY, "revoked"),
    // DNS.
    row(404, "81044", "Record does not exist.", "^PATCH .*/dns_records/", "plan again"),
    row(
        400,
        "81053",
        "An A, AAAA, or CNAME record with that host already exists.",
        DNS_WRITE,
        "adopt",
    ),
    row(400, "81054", "A CNAME record with that host already exists.", DNS_WRITE, "beside a CNAME"),
    row(400, "81056", "NS records with that host already exist.", DNS_WRITE, "delegation"),
    row(400, "81057", "The record already exists.", DNS_WRITE, "adopt"),
    row(400, "81058", "An identical record already exists.", DNS_WRITE, "adopt"),
    row(400, "9005", "Content for A record must be a valid IPv4 address.", DNS_WRITE, "IPv6"),
    row(400, "1004", "DNS Validation Error", DNS_WRITE, "`content`"),
    row(400, "9021", "Invalid TTL", DNS_WRITE, "86400"),
    row(400, "9041", "Invalid proxied mode. Record cannot be proxied", DNS_WRITE, "proxied: false"),
    row(400, "9300", "DNS record has 1 tags, exceeding the quota of 0.", DNS_WRITE, "paid plan"),
    row(
        400,
        "0",
        "The IPv4 Only and IPv6 Only settings are not available to this zone.",
        DNS_WRITE,
        "leave `settings` out",
    ),
    // Tunnels and routes.
    row(409, "1013", "You already have a tunnel with this name.", "^POST .*/cfd_tunnel$", "adopt"),
    row(400, "1013", "You already have a tunnel with this name.", "^POST .*/cfd_tunnel$", "adopt"),
    row(409, "1013", "You already have a tunnel with this name.", "^PATCH .*/cfd_tunnel/", "adopt"),
    row(400, "1022", "the tunnel has active connections", "^DELETE .*/cfd_tunnel/[^/]+$", "stop"),
    row(409, "1022", "the tunnel has active connections", "^DELETE .*/cfd_tunnel/[^/]+$", "stop"),
    row(404, "1002", "Tunnel not found", "^(PATCH|PUT) .*/cfd_tunnel/", "tunnel is gone"),
    row(404, "1054", "Tunnel token not found", "^GET .*/token$", "its token with it"),
    row(404, "1055", "Tunnel configuration not found", CONFIG_WRITE, "has no configuration"),
    row(
        400,
        "1056",
        "Bad Configuration: Validation failed: The last ingress rule must match all URLs",
        CONFIG_WRITE,
        "take everything",
    ),
    row(
        409,
        "1014",
        "You already have a route defined for this exact IP subnet",
        ROUTE_WRITE,
        "adopt",
    ),
    row(
        404,
        "1015",
        "You are trying to modify the route for a network that isn't routed.",
        "^PATCH .*/teamnet",
        "plan again",
    ),
    row(400, "0", "Could not parse input as CIDR", ROUTE_WRITE, "192.0.2.0/24"),
    row(400, "0", "invalid address: x", ROUTE_WRITE, "192.0.2.0/24"),
    row(404, "1046", "Virtual network not found", ROUTE_WRITE, "`virtual_network`"),
    row(409, "0", "x is already routed to another tunnel", HOSTNAME_WRITE, "adopt"),
    row(404, "0", "Hostname route not found", "^PATCH .*/routes/hostname/", "plan again"),
    row(404, "2052", "device policy not found", "^PUT .*/devices/policy/", "Zero Trust settings"),
    // Access.
    row(400, "12130", "access.api.error.invalid_request: x", ACCESS_WRITE, "which field"),
    row(
        409,
        "11010",
        "access.api.error.application_already_exists",
        APPS_WRITE,
        "guards this hostname",
    ),
    row(
        409,
        "0",
        "destination belongs to another application",
        APPS_WRITE,
        "take the destination out",
    ),
    row(
        404,
        "11021",
        "access.api.error.unknown_application",
        "^PUT .*/access/apps/[^/]+$",
        "made anew",
    ),
    row(
        404,
        "12045",
        "access.api.error.unknown_application",
        "^PUT .*/access/apps/[^/]+$",
        "made anew",
    ),
    row(400, "12045", "access.api.error.invalid_application_id", APP, "id is none"),
    row(400, "12130", "policy 0-0 not found", APPS_WRITE, "run this again"),
    row(400, "12130", "policy 0-0 not found", "^GET .*/access/apps$", "run this again"),
    row(404, "12135", "not found", "^PUT .*/access/service_tokens/", "plan again"),
    row(404, "12135", "not found", "^GET .*/access/identity_providers", "plan again"),
    row(404, "12152", "not found", "^PUT .*/access/groups/", "`group`"),
    row(
        400,
        "11020",
        "access.api.error.failed_to_load_group",
        "^(POST|PUT) .*/access/(groups|policies)",
        "`group`",
    ),
    row(400, "1007", "auth.key_not_in_claims", ACCESS, "give it"),
    row(403, "1007", "auth.key_not_in_claims", ACCESS, "give it"),
    row(403, "12133", "x does not have permission for y", ACCESS, "plan"),
    row(500, "11000", "access.api.error.internal", "^GET .*/access/apps", "`policies`"),
    row(404, "0", "no text of it is known", "^PUT .*/access/", "plan again"),
    // What Workers use, and rulesets.
    row(400, "10014", "a namespace with this title already exists", KV_WRITE, "another title"),
    row(400, "10019", "title required", KV_WRITE, "write one"),
    row(404, "10013", "namespace not found", "^PUT .*/storage/kv/namespaces/", "plan again"),
    row(409, "10004", "The bucket you tried to create already exists.", R2_CREATE, "another name"),
    row(400, "10005", "The bucket name is not valid.", R2_CREATE, "3 to 63"),
    row(404, "7404", "The database could not be found", "^PATCH .*/d1/", "plan again"),
    row(400, "7400", "Invalid property: x", "^(POST|PATCH) .*/d1/", "which"),
    row(404, "10007", "workers.api.error.script_not_found", ROUTES_WRITE, "`script`"),
    row(404, "10009", "workers.api.error.route_not_found", "^PUT .*/workers/routes/", "plan again"),
    row(409, "10020", "A route with the same pattern exists.", ROUTES_WRITE, "another pattern"),
    row(400, "10022", "workers.api.error.invalid_route_pattern", ROUTES_WRITE, "example.com"),
    row(400, "0", "phase x not allowed at zone level", "^(POST|PUT) .*/rulesets", "phase"),
    row(404, "10003", "could not find ruleset", "^PUT .*/rulesets/[^p]", "plan again"),
    // What can be waited for, once it lasts.
    row(500, "1000", "Internal server error", "^GET /", "run this again"),
];

/// What SSM refuses, at every operation or at those named.
pub const SSM: &[Row] = &[
    // Tags that may not be read are left out of a comparison: see `permissions.rs`.
    row(
        400,
        "AccessDeniedException",
        "not authorized to perform this",
        " ([^L]|L[^i])[^ ]*$",
        "lack a permission",
    ),
    row(400, "UnrecognizedClientException", "The security token is invalid.", "", "AWS_PROFILE"),
    row(400, "ExpiredTokenException", "The security token is expired.", "", "sso login"),
    row(400, "InvalidSignatureException", "The signature does not match.", "", "clock"),
    row(400, "ValidationException", "1 validation error detected", "", "the text says why"),
    row(400, "ParameterLimitExceeded", "x", "PutParameter", "Advanced"),
    row(400, "InvalidKeyId", "x", "PutParameter", "key_id"),
    row(400, "HierarchyLevelLimitExceededException", "x", "PutParameter", "15 levels"),
    row(400, "ParameterPatternMismatchException", "x", "PutParameter", "allowed_pattern"),
    row(400, "InvalidResourceId", "x", "(Add|Remove)Tags", "plan again"),
    row(400, "TooManyTagsError", "x", "AddTags", "50 tags"),
];

/// What passes: one such answer is lived through without a word.
pub const PASSING: &[Row] = &[
    row(429, "10100", "More than 1200 requests per 300 seconds reached.", ANY, ""),
    row(429, "971", "Please wait and consider throttling your request speed", ANY, ""),
    row(429, "10429", "Rate limited", ANY, ""),
    row(403, "10000", "Authentication error", ACCESS, ""),
    row(400, "12130", "policy 0-0 not found", "(POST|PUT|GET) .*/access/apps(/[^/]+)?$", ""),
    row(400, "1022", "the tunnel has active connections", "^DELETE .*/cfd_tunnel/[^/]+$", ""),
    row(500, "1000", "Internal server error", ANY, ""),
    row(500, "11000", "access.api.error.internal", "/access/apps", ""),
    row(502, "", "<html>bad gateway</html>", ANY, ""),
    row(400, "ThrottlingException", "Rate exceeded", "^POST [A-Z]", ""),
    row(400, "TooManyUpdates", "x", "PutParameter", ""),
    row(500, "InternalServerError", "An error occurred on the server side.", "^POST [A-Z]", ""),
];

/// What a delete finds gone: someone else was faster.
pub const GONE: &[Row] = &[
    row(404, "81044", "Record does not exist.", "/dns_records/", ""),
    row(404, "1002", "Tunnel not found", "/cfd_tunnel/[^/]+$", ""),
    row(404, "1015", "You are trying to modify a network that isn't routed.", "/teamnet/", ""),
    row(404, "0", "Hostname route not found", "/routes/hostname/", ""),
    row(404, "11021", "access.api.error.unknown_application", "/access/apps/", ""),
    row(404, "12135", "not found", "/access/service_tokens/", ""),
    row(404, "12152", "not found", "/access/groups/", ""),
    row(404, "0", "not found", "/access/policies/", ""),
    row(404, "10013", "namespace not found", "/storage/kv/", ""),
    row(404, "10006", "The specified bucket does not exist.", "/r2/buckets/", ""),
    row(404, "7404", "The database could not be found", "/d1/", ""),
    row(404, "10009", "workers.api.error.route_not_found", "/workers/routes/", ""),
    row(404, "10003", "could not find ruleset", "/rulesets/", ""),
    row(400, "ParameterNotFound", "", "DeleteParameter", ""),
];
