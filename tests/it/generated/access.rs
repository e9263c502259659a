//! Any application, policy, group and service token of Access, in any spelling (contract 6).

use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Value, json};

use super::spell::{
    Always, Field, Gen, Maybe, any_duration, any_network, cased, duration, flag, hostname, joined,
    list, note, object, one_of, set, text, uuid,
};
use super::world::{ACCOUNT, TAGS};

/// What every account of a world has beside what is generated.
pub const PROVIDERS: [&str; 3] = ["GitHub", "github", "onetimepin"];

fn provider() -> Gen {
    prop_oneof![3 => text(&PROVIDERS), 1 => uuid()].boxed()
}

/// A value alone or as the API's own field.
fn one(field: &'static str, value: Gen) -> Gen {
    (value, 0..4u8)
        .prop_map(move |(value, way)| if way == 0 { json!({field: value}) } else { value })
        .boxed()
}

fn many(fields: &[&'static str]) -> Gen {
    let mut all: Vec<Field> = fields
        .iter()
        .map(|field| Always(field, "[a-zA-Z0-9@.-]{1,12}".prop_map(Value::from).boxed()))
        .collect();
    all.push(Always("identity_provider_id", provider()));
    object(all)
}

fn email() -> Gen {
    ("[a-z]{1,8}", any::<u64>())
        .prop_map(|(name, bits)| json!(cased(&format!("{name}@example.org"), bits)))
        .boxed()
}

/// Every rule that the contract has.
fn rule() -> Gen {
    let nothing = || Union::new([Just(json!(true)).boxed(), Just(json!({})).boxed()]).boxed();
    let word = || "[a-zA-Z0-9 -]{1,12}".prop_map(|text| json!(format!("x{text}"))).boxed();
    let github = joined(many(&["name"]), object(vec![Maybe("team", word())]));
    let posture = Union::new([
        one("integration_uid", uuid()),
        object(vec![Always("integration_uid", uuid()), Always("account_id", text(&[ACCOUNT]))]),
    ]);
    let risks = Union::new([
        text(&["low", "high"]),
        set(text(&["low", "medium", "high", "unscored"]), 1..=3),
    ]);
    let rules: Vec<(&'static str, Gen)> = vec![
        ("everyone", nothing()),
        ("any_valid_service_token", nothing()),
        ("certificate", nothing()),
        ("email", one("email", email())),
        ("email_domain", one("domain", text(&["example.org", "Example.ORG"]))),
        ("email_list", one("id", uuid())),
        (
            "group",
            one("id", text(&["${access_group.staff.id}", "f174e90a-fafe-4643-bbbc-4a0ed4fc8415"])),
        ),
        ("ip", one("ip", any_network())),
        ("ip_list", one("id", uuid())),
        ("geo", one("country_code", text(&["JP", "de", "Us"]))),
        ("login_method", one("id", provider())),
        (
            "service_token",
            one(
                "token_id",
                text(&["${service_token.machine.id}", "0174e90a-fafe-4643-bbbc-4a0ed4fc8415"]),
            ),
        ),
        ("common_name", one("common_name", word())),
        ("auth_method", one("auth_method", text(&["mfa", "hwk"]))),
        ("linked_app_token", one("app_uid", uuid())),
        ("user_risk_score", risks.boxed()),
        ("device_posture", posture.boxed()),
        ("cloudflare_account_member", one("account_id", text(&[ACCOUNT]))),
        ("github_organization", github),
        ("azure_ad", many(&["id"])),
        ("gsuite", joined(many(&[]), object(vec![Always("email", email())]))),
        ("okta", many(&["name"])),
        ("saml", many(&["attribute_name", "attribute_value"])),
        ("oidc", many(&["claim_name", "claim_value"])),
        ("auth_context", many(&["id", "ac_id"])),
        (
            "external_evaluation",
            object(vec![
                Always("evaluate_url", text(&["https://a.example/e"])),
                Always("keys_url", text(&["https://a.example/k"])),
            ]),
        ),
    ];
    let rules: Vec<Gen> = rules
        .into_iter()
        .map(|(name, value)| value.prop_map(move |value| json!({name: value})).boxed())
        .collect();
    Union::new(rules).boxed()
}

fn rules(least: usize) -> Gen {
    set(rule(), least..=4)
}

fn session() -> Gen {
    prop_oneof![4 => any_duration(), 1 => text(&["", "24h", "1440m", "0", "1.5h"])].boxed()
}

fn who() -> Vec<Field> {
    vec![Always("include", rules(1)), Maybe("exclude", rules(0)), Maybe("require", rules(0))]
}

fn policy_fields(at: usize) -> Vec<Field> {
    let name =
        note().prop_map(move |note| json!(format!("policy {at} {}", note.as_str().unwrap())));
    let approvers = object(vec![
        Always("approvals_needed", one_of(&[json!(1), json!(2)])),
        Maybe("email_addresses", list(email(), 1..=2)),
        Maybe("email_list_uuid", uuid()),
    ]);
    let rdp = json!({"rdp": {"allowed_clipboard_local_to_remote_formats": ["text"]}});
    let mfa = object(vec![
        Always("allowed_authenticators", text(&["totp"]).prop_map(|one| json!([one])).boxed()),
        Maybe("mfa_disabled", flag()),
        Maybe("session_duration", text(&["1h"])),
    ]);
    let mut fields = who();
    fields.extend([
        Always("name", name.boxed()),
        Always("decision", text(&["allow", "deny", "bypass", "non_identity"])),
        Maybe("session_duration", session()),
        Maybe("approval_required", flag()),
        Maybe("approval_groups", list(approvers, 0..=2)),
        Maybe("isolation_required", flag()),
        Maybe("purpose_justification_required", flag()),
        Maybe("purpose_justification_prompt", note()),
        Maybe("connection_rules", Just(rdp).boxed()),
        Maybe("mfa_config", mfa),
    ]);
    fields
}

pub fn policy(at: usize) -> Gen {
    object(policy_fields(at))
}

pub fn group(at: usize) -> Gen {
    let name = note().prop_map(move |note| json!(format!("group {at} {}", note.as_str().unwrap())));
    let mut fields = who();
    fields.push(Always("name", name.boxed()));
    object(fields)
}

/// A policy of an application: two of them share one.
pub fn application_policy(at: usize) -> Gen {
    let mut fields = policy_fields(at);
    let application = format!("${{access_application.host{}.id}}", at / 2);
    fields.push(Always("application", Just(json!(application)).boxed()));
    fields.push(Always("precedence", Just(json!(1 + 3 * (at % 2))).boxed()));
    object(fields)
}

pub fn service_token(at: usize) -> Gen {
    let name = note().prop_map(move |note| json!(format!("token {at} {}", note.as_str().unwrap())));
    let lengths = (proptest::sample::select(vec![8760 * 3600_u64, 3600, 86_400]), 0..4usize)
        .prop_map(|(seconds, way)| json!(duration(seconds, way)));
    let rotate = object(vec![
        Maybe("every", text(&["90d", "2160h"])),
        Maybe("keep_old", text(&["24h", "1d"])),
    ]);
    object(vec![
        Always("name", name.boxed()),
        Maybe("duration", prop_oneof![4 => lengths.boxed(), 1 => text(&["forever"])].boxed()),
        Maybe("rotate", rotate),
    ])
}

/// A hostname of this application, maybe with a path.
fn guarded(at: usize, part: &str) -> Gen {
    let host = hostname(format!("{part}.app{at}.b0xp.io"));
    let host = host.prop_map(|host| host.as_str().unwrap().trim_end_matches('.').to_owned());
    (host, text(&["", "", "/Admin", "/v1/*"]))
        .prop_map(|(host, path)| json!(host + path.as_str().unwrap()))
        .boxed()
}

/// What an application guards, in one of the ways to say it.
fn guards(at: usize) -> Gen {
    let public = |part: &str| {
        object(vec![Maybe("type", text(&["public"])), Always("uri", guarded(at, part))])
    };
    let private = object(vec![
        Always("type", text(&["private"])),
        Always("cidr", any_network()),
        Maybe("l4_protocol", text(&["tcp", "udp"])),
        Maybe("port_range", text(&["443", "80-90"])),
    ]);
    let private_host = object(vec![
        Always("type", text(&["private"])),
        Always("hostname", hostname(format!("p.app{at}.lan"))),
    ]);
    let destinations = |items: Vec<Gen>| {
        (items, any::<bool>())
            .prop_map(|(mut items, turned)| {
                if turned {
                    items.reverse();
                }
                json!({"destinations": items})
            })
            .boxed()
    };
    let domains = (guarded(at, "a"), guarded(at, "b"))
        .prop_map(|(one, other)| json!({"self_hosted_domains": [one, other]}));
    let wild = guarded(at, "*");
    Union::new([
        object(vec![Always("domain", guarded(at, "a"))]),
        object(vec![Always("domain", wild)]),
        object(vec![Always("domain", Just(json!(format!("büro{at}.Bücher.example"))).boxed())]),
        destinations(vec![public("a")]),
        destinations(vec![public("a"), public("b"), private, private_host]),
        domains.boxed(),
    ])
    .boxed()
}

pub fn application(at: usize) -> Gen {
    let hosted =
        (text(&["self_hosted", "ssh", "vnc", "rdp"]), guards(at)).prop_map(|(kind, mut guards)| {
            if kind != "self_hosted" {
                guards["type"] = kind;
            }
            guards
        });
    let bookmark = Just(json!({"type": "bookmark", "domain": format!("b{at}.example.org")}));
    let saas = Just(json!({"type": "saas", "saas_app": {"auth_type": "oidc",
        "redirect_uris": ["https://a.example/cb"], "scopes": ["openid", "email"]}}));
    let infrastructure = Just(json!({"type": "infrastructure", "target_criteria": [
        {"port": 22, "protocol": "SSH", "target_attributes": {"hostname": ["a", "b"]}}]}));
    let others = text(&["mcp", "mcp_portal", "proxy_endpoint"])
        .prop_map(move |kind| json!({"type": kind, "domain": format!("o{at}.b0xp.io")}));
    let what = prop_oneof![8 => hosted, 1 => bookmark, 1 => saas, 1 => infrastructure, 1 => others];
    joined(what.boxed(), joined(look(at), settings())).prop_map(without_others_fields).boxed()
}

/// Fields that some types do not take (the types' schemas).
const LACKS: [(&str, &[&str]); 10] = [
    (
        "allow_authenticate_via_warp",
        &["bookmark", "infrastructure", "mcp", "mcp_portal", "proxy_endpoint"],
    ),
    ("cors_headers", &["saas", "bookmark", "infrastructure", "proxy_endpoint"]),
    ("session_duration", &["saas", "bookmark", "infrastructure"]),
    ("allowed_idps", &["bookmark", "infrastructure"]),
    ("auto_redirect_to_identity", &["bookmark", "infrastructure"]),
    ("http_only_cookie_attribute", &["saas", "bookmark", "infrastructure", "proxy_endpoint"]),
    ("options_preflight_bypass", &["saas", "bookmark", "infrastructure", "proxy_endpoint"]),
    (
        "enable_binding_cookie",
        &["saas", "bookmark", "infrastructure", "mcp", "mcp_portal", "proxy_endpoint"],
    ),
    ("app_launcher_visible", &["infrastructure", "mcp", "mcp_portal", "proxy_endpoint"]),
    ("tags", &["infrastructure", "proxy_endpoint"]),
];

fn without_others_fields(mut spec: Value) -> Value {
    let kind = spec["type"].as_str().unwrap_or("self_hosted").to_owned();
    let fields = spec.as_object_mut().unwrap();
    fields.retain(|field, _| {
        let lacks = LACKS.iter().find(|(name, _)| name == field);
        lacks.is_none_or(|(_, types)| !types.contains(&kind.as_str()))
    });
    spec
}

/// What a user sees of it, and who gets in.
fn look(at: usize) -> Gen {
    let name = note().prop_map(move |note| json!(format!("app {at} {}", note.as_str().unwrap())));
    let policies =
        ["one", "two", "three"].map(|name| json!(format!("${{access_policy.{name}.id}}")));
    let policies = proptest::sample::subsequence(policies.to_vec(), 0..=3)
        .prop_shuffle()
        .prop_map(Value::from);
    object(vec![
        Always("name", name.boxed()),
        Maybe("session_duration", session()),
        Maybe("policies", policies.boxed()),
        Maybe("custom_deny_message", note()),
        Maybe("custom_deny_url", text(&["https://deny.example/"])),
        Maybe("custom_non_identity_deny_url", text(&["https://deny.example/n"])),
        Maybe("logo_url", text(&["https://logo.example/a.png"])),
        Maybe("custom_pages", set(uuid(), 0..=2)),
        Maybe("tags", set(text(&TAGS), 0..=3)),
        Maybe("app_launcher_visible", flag()),
    ])
}

fn settings() -> Gen {
    let cors = object(vec![
        Maybe("allow_all_headers", flag()),
        Maybe("allow_credentials", flag()),
        Maybe("allowed_methods", list(text(&["GET", "POST"]), 1..=2)),
        Maybe("allowed_origins", list(text(&["https://a.example"]), 1..=1)),
        Maybe("max_age", one_of(&[json!(-1), json!(600)])),
    ]);
    let all = object(vec![
        Maybe("http_only_cookie_attribute", flag()),
        Maybe("enable_binding_cookie", flag()),
        Maybe("options_preflight_bypass", flag()),
        Maybe("skip_interstitial", flag()),
        Maybe("path_cookie_attribute", flag()),
        Maybe("service_auth_401_redirect", flag()),
        Maybe("allow_iframe", flag()),
        Maybe("same_site_cookie_attribute", text(&["none", "lax", "strict"])),
        Maybe("allow_authenticate_via_warp", flag()),
        Maybe("cors_headers", cors),
        Maybe("scim_config", Just(json!({"enabled": true, "remote_uri": "https://s.example", "idp_uid": "f174e90a-fafe-4643-bbbc-4a0ed4fc8415"})).boxed()),
        Maybe("mfa_config", Just(json!({"mfa_disabled": true})).boxed()),
        Maybe("oauth_configuration", Just(json!({"enabled": true})).boxed()),
        Maybe("read_service_tokens_from_header", text(&["X-Token"])),
        Maybe("eager_redirect_cookie_setting", flag()),
        Maybe("use_clientless_isolation_app_launcher_url", flag()),
    ]);
    let providers = prop_oneof![
        object(vec![
            Maybe("allowed_idps", set(text(&["GitHub", "onetimepin"]), 0..=2)),
            Maybe("auto_redirect_to_identity", Just(json!(false)).boxed()),
        ]),
        object(vec![
            Always("allowed_idps", text(&PROVIDERS).prop_map(|one| json!([one])).boxed()),
            Always("auto_redirect_to_identity", Just(json!(true)).boxed()),
        ]),
    ];
    joined(all, providers.boxed())
}
