//! Every call of the Cloudflare API that boxctl can make, by kind: the run that is held to the
//! schemas has to make each of them, and no other.

/// Kind, what its collection is, and `METHOD`s with what follows the collection.
pub const CALLS: &[(&str, &str, &[&str])] = &[
    ("zone", "/zones", &["GET"]),
    ("identity_provider", "/accounts/*/access/identity_providers", &["GET"]),
    ("virtual_network", "/accounts/*/teamnet/virtual_networks", &["GET"]),
    ("audit_log", "/accounts/*/logs/audit", &["GET"]),
    ("token", "/user/tokens/verify", &["GET"]),
    (
        "tunnel",
        "/accounts/*/cfd_tunnel",
        &[
            "GET",
            "POST",
            "GET /*",
            "PATCH /*",
            "DELETE /*",
            "GET /*/token",
            "GET /*/connections",
            "DELETE /*/connections",
        ],
    ),
    ("tunnel_config", "/accounts/*/cfd_tunnel/*/configurations", &["GET", "PUT"]),
    (
        "tunnel_route",
        "/accounts/*/teamnet/routes",
        &["GET", "POST", "GET /*", "PATCH /*", "DELETE /*"],
    ),
    (
        "hostname_route",
        "/accounts/*/zerotrust/routes/hostname",
        &["GET", "POST", "GET /*", "PATCH /*", "DELETE /*"],
    ),
    ("split_tunnel", "/accounts/*/devices/policy", &["GET", "PUT /exclude", "PUT /include"]),
    ("dns_record", "/zones/*/dns_records", &["GET", "POST", "GET /*", "PATCH /*", "DELETE /*"]),
    (
        "access_group",
        "/accounts/*/access/groups",
        &["GET", "POST", "GET /*", "PUT /*", "DELETE /*"],
    ),
    (
        "access_policy",
        "/accounts/*/access/policies",
        &["GET", "POST", "GET /*", "PUT /*", "DELETE /*"],
    ),
    (
        "access_application",
        "/accounts/*/access/apps",
        &["GET", "POST", "GET /*", "PUT /*", "DELETE /*"],
    ),
    (
        "access_application_policy",
        "/accounts/*/access/apps/*/policies",
        &["POST", "PUT /*", "DELETE /*"],
    ),
    (
        "service_token",
        "/accounts/*/access/service_tokens",
        &["GET", "POST", "GET /*", "PUT /*", "DELETE /*", "POST /*/refresh", "POST /*/rotate"],
    ),
    // Its paths are those that a user writes: of a list by page, of one by cursor, of one without
    // either, of what is known by name, and of what there is one of.
    (
        "cloudflare_object",
        "/accounts/*/storage/kv/namespaces",
        &["GET", "POST", "GET /*", "PUT /*", "DELETE /*"],
    ),
    (
        "cloudflare_object",
        "/accounts/*/d1/database",
        &["GET", "POST", "GET /*", "PATCH /*", "DELETE /*"],
    ),
    (
        "cloudflare_object",
        "/accounts/*/r2/buckets",
        &["POST", "GET /logs", "GET /archive", "DELETE /logs", "DELETE /archive"],
    ),
    (
        "cloudflare_object",
        "/accounts/*/rulesets",
        &["GET", "POST", "GET /*", "PUT /*", "DELETE /*"],
    ),
    (
        "cloudflare_object",
        "/zones/*/rulesets/phases/http_request_dynamic_redirect/entrypoint",
        &["GET", "PUT"],
    ),
    (
        "cloudflare_object",
        "/zones/*/workers/routes",
        &["GET", "POST", "GET /*", "PUT /*", "DELETE /*"],
    ),
];
