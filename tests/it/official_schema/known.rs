//! Where what is said differs from the official document and from the official client's types, and
//! why: each pattern has to be met, or it is out of date itself.

/// Where the document of 2024 is not the service of today (sections of the contract in brackets).
/// Each pattern has to be met, or it is out of date itself.
pub const DOCUMENT: &[(&str, &str)] = &[
    // Faults of the document.
    (
        r"^request POST \S+/dns_records /(id|content): missing$",
        "wants of requests what the server sets (11)",
    ),
    (r"^request PATCH \S+/dns_records/\S+ /(id|content): missing$", "the same (11)"),
    (r"^request DELETE \S+/cfd_tunnel/\S+: has no body$", "wants a body of a DELETE (10, 11)"),
    (
        r"^request PUT \S+/configurations /config/ingress/\*/hostname: missing$",
        "and of the last rule (11)",
    ),
    (
        r"^answer DELETE \S+/dns_records/\S+ /(errors|messages|success): unknown field$",
        "the envelope (3.2)",
    ),
    (
        r"^answer \S+ \S+/cfd_tunnel\S* /result(/\*)?/(deleted_at|conns_(in)?active_at): null is no string$",
        "shown so by its own example (4.1)",
    ),
    (r"^answer GET /zones /result/\*/owner/id: null is no string$", "a zone of a user (2.1)"),
    (
        r"^answer \S+ \S+/dns_records\S* /result(/\*)?/comment: null is no string$",
        "null or left out (3.5)",
    ),
    (
        r"^refusal \S+ \S+ /(success: false is none of \[true\]|result: null is no object)$",
        "wants of a refusal that it is a success, too (1.2)",
    ),
    // What has been added since.
    (
        r"^request GET \S+/access/(apps|policies|identity_providers|groups|service_tokens) \?(page|per_page): unknown parameter$",
        "pages of Access (10)",
    ),
    (
        r"^request (POST|PUT) \S+/access/apps(/\S+)? /(destinations|read_service_tokens_from_header): unknown field$",
        "(10)",
    ),
    (
        r"^request (POST|PUT) \S+/access/apps(/\S+)? /domain: missing$",
        "where there are destinations (6.1)",
    ),
    (
        r"^answer \S+ \S+/access/apps(/\{app_id\})? /result(/\*)?/(destinations|domain_type|uid): unknown field$",
        "(6.1)",
    ),
    (
        r"^answer GET \S+/identity_providers /result/\*/(read_only|uid|version): unknown field$",
        "(6.3)",
    ),
    (
        r"^answer \S+ \S+/policies\S* /result(/\*)?/(account_id|uid|reusable): unknown field$",
        "(6.2)",
    ),
    (
        r"^answer GET /zones /result/\*/(owner/email|paused|permissions|plan|status|tenant|tenant_unit|type): unknown field$",
        "(2.1)",
    ),
    (
        r"^answer \S+ \S+/dns_records\S* /result(/\*)?/(comment_modified_on|settings): unknown field$",
        "(3.1)",
    ),
    (r"^request \S+ \S+/dns_records\S* /settings: unknown field$", "(3.1)"),
    (r"^answer \S+ \S+/cfd_tunnel\S* /result(/\*)?/config_src: unknown field$", "(4.1)"),
    (
        r"^request \S+ \S+/(teamnet/virtual_networks\S*|zerotrust/routes/hostname\S*|devices/policy\S*): no such operation$",
        "younger, or not in the reference's part of it (5.2, 5.3, 7.9): the client has them",
    ),
    (
        r"^request \S+ \S+/(storage/kv|r2|d1|workers/routes|rulesets)\b\S*: no such operation$",
        "not in the reference's part of it (7.4 to 7.8): the client has them",
    ),
    (
        r"^request GET \S+/logs/audit: no such operation$",
        "not in the reference's part of it: the client has it",
    ),
    (
        r"^request GET \S+/teamnet/routes/[0-9a-f-]+: no such operation$",
        "younger (5.1): the client has it",
    ),
    (r"^answer \S+ \S+/access/groups\S* /result(/\*)?/uid: unknown field$", "(6.5)"),
    (
        r"^answer \S+ \S+/access/service_tokens\S* /result(/\*)?/(client_secret_version|enabled|expires_at|last_seen_at|previous_client_secret_expires_at): unknown field$",
        "(6.4, 10)",
    ),
    (r"^request POST \S+/service_tokens/\S+/rotate: has a body$", "the end of the old secret (10)"),
    (
        r"^answer \S+ \S+/teamnet/routes\S* /result(/\*)?/deleted_at: null is no string$",
        "(the example of 5.1)",
    ),
    (
        r"^request POST \S+/teamnet/routes /tunnel_id: the server sets this$",
        "wants it of the same request (5.1)",
    ),
    (r"^answer POST \S+/cfd_tunnel /result/(token|credentials_file): unknown field$", "(4.1)"),
    (r"^answer GET (/zones|\S+/dns_records) /result_info/total_pages: unknown field$", "(1.2)"),
    (
        r"^(request|answer) \S+ \S+ \S*/(include|exclude|require)/\*/(auth_context|common_name|login_method|oidc|user_risk_score|linked_app_token|cloudflare_account_member|ip_list): unknown field$",
        "newer rules (6.2)",
    ),
    // A rule that the document does not know is nearest to the first one it knows.
    (r"^(request|answer) \S+ \S+ \S*/(include|exclude|require)/\*/email: missing$", "the same"),
];

/// What the sandbox answers to others alone.
pub const MORE_OF_DOCUMENT: &[(&str, &str)] = &[
    (r"^refusal GET \S+/token /result: null is no string$", "as of the others"),
    (r"^refusal GET /zones/\{zone_id\} /errors/\*/error_chain: unknown field$", "(1.2)"),
    (r"^answer GET /user/tokens/verify /messages/\*/type: unknown field$", "(1.2, 1.3)"),
    (
        r"^answer GET /zones/\{zone_id\} /result/(owner/email|paused|permissions|plan|status|tenant|tenant_unit|type): unknown field$",
        "(2.1)",
    ),
    (
        r"^answer GET /zones/\{zone_id\} /result/owner/id: null is no string$",
        "a zone of a user (2.1)",
    ),
    (
        r#"^answer \S+ \S+/dns_records\S* /result(/\*)?/type: "OPENPGPKEY" is none of"#,
        "younger (10)",
    ),
    (
        r"^answer \S+ \S+/identity_providers\S* /result/(read_only|uid|version): unknown field$",
        "(6.3)",
    ),
    (
        r"^answer \S+ /zones/\{zone_id\}/access/apps\S* /result(/\*)?/(policies|self_hosted_domains|tags): unknown field$",
        "applications of zones are older there than those of accounts (6.1)",
    ),
    (
        r"^answer \S+ \S+/access/apps\S* /result(/\*)?/(target_criteria: unknown field|domain: missing)$",
        "infrastructure and rdp are younger (10)",
    ),
    (
        r"^request \S+ \S+/(access/tags\S*|tokens/verify|tunnels|dns_records/batch): no such operation$",
        "younger, or not in the reference's part of it (3.3, 4.2, 10): the client has them",
    ),
];

/// Where the types of the official client 5.9 are not the service of the contract. They name no
/// field in vain, but leave out much that real answers have.
pub const CLIENT: &[(&str, &str)] = &[
    (
        r"^answer (GET|PUT) \S+/configurations /result/config/ingress/\*/hostname: Field required$",
        "the last rule may not have one (4.5, 10)",
    ),
    (
        r"^answer GET \S+ /result_info/(count|total_count|total_pages): unknown field$",
        "its pages look at what they need (1.2)",
    ),
    (r"^answer GET /zones /result/\*/owner/email: unknown field$", "a zone of a user (2.1)"),
    (r"^answer POST \S+/cfd_tunnel /result/(token|credentials_file): unknown field$", "(4.1)"),
    (
        r"^answer \S+ \S+/access/apps(/\{app_id\})? /result(/\*)?/(uid|created_at|updated_at|domain_type): unknown field$",
        "(6.1)",
    ),
    (
        r"^answer \S+ \S+/access/apps(/\{app_id\})? /result(/\*)?/policies/\*/(uid|reusable): unknown field$",
        "(6.1.1)",
    ),
    (r"^answer \S+ \S+/policies\S* /result(/\*)?/(uid|reusable): unknown field$", "(6.2)"),
    (
        r"^answer \S+ \S+/access/groups\S* /result(/\*)?/(uid|created_at|updated_at): unknown field$",
        "(6.5)",
    ),
    (
        r"^answer GET \S+/identity_providers\S* /result/\*/(uid|version|config/redirect_url): unknown field$",
        "(6.3)",
    ),
    (
        r"^answer \S+ \S+/service_tokens\S* /result(/\*)?/(client_secret_version|created_at|updated_at|last_seen_at|expires_at|previous_client_secret_expires_at): unknown field$",
        "(6.4)",
    ),
    (
        r"^answer \S+ \S+/r2/buckets\S* /result(/buckets/\*)?/location: Input should be",
        "comes back in capitals (7.6)",
    ),
    (
        r"^request (POST|PUT) \S+/access/apps/\{app_id\}/policies\S* /(precedence|session_duration): unknown field$",
        "its type is either a name with rules or what stands beside them, and a policy has both (6.2)",
    ),
];

/// What the sandbox answers to others alone.
pub const MORE_OF_CLIENT: &[(&str, &str)] = &[
    (r"^answer GET /zones/\{zone_id\} /result/owner/email: unknown field$", "(2.1)"),
    (r"^answer \S+ \S+/identity_providers\S* /result/(uid|version): unknown field$", "(6.3)"),
    (
        r"^answer \S+ \S+/access/tags\S* /result(/\*)?/(created_at|updated_at): unknown field$",
        "tags are told when they were made",
    ),
];
