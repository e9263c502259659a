//! What boxctl sends, and what the sandbox answers, held to Cloudflare's own OpenAPI document.

mod openapi;

use std::collections::BTreeSet;

use openapi::{Document, Way};
use regex::Regex;
use serde_json::json;

use crate::lab::Lab;
use crate::recorder::{Exchange, Recorder};

const DOCUMENT: &str = include_str!("../../contract/cloudflare-openapi.json");

/// Where the document of 2024 is not the service of today (sections of the contract in brackets).
/// Each pattern has to be met, or it is out of date itself.
const KNOWN: [(&str, &str); 25] = [
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
    // What has been added since.
    (
        r"^request GET \S+/access/(apps|policies|identity_providers) \?(page|per_page): unknown parameter$",
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
        r"^request \S+ \S+/(teamnet/virtual_networks|zerotrust/routes/hostname\S*|devices/policy\S*): no such operation$",
        "younger, or cut out of it (5.2, 5.3, 7.9)",
    ),
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

/// Everything in which the exchanges differ from the document: `request POST /x /field: what`.
fn differences(document: &Document, heard: &[Exchange]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for said in heard {
        let Some((template, operation)) = document.operation(&said.method, &said.path) else {
            found.insert(format!("request {} {}: no such operation", said.method, said.path));
            continue;
        };
        let name = format!("{} {template}", said.method);
        for (key, value) in &said.query {
            let parameters = operation["parameters"].as_array().unwrap();
            if !parameters.iter().any(|parameter| parameter["name"] == *key) {
                found.insert(format!("request {name} ?{key}: unknown parameter"));
            }
            assert!(!value.is_empty(), "{name} ?{key}");
        }
        match (operation.get("requestBody"), &said.sent) {
            (Some(schema), Some(sent)) => {
                for problem in document.problems(schema, sent, Way::Request) {
                    found.insert(format!("request {name} {problem}"));
                }
            }
            (None, Some(_)) => {
                found.insert(format!("request {name}: has a body"));
            }
            (Some(_), None) => {
                found.insert(format!("request {name}: has no body"));
            }
            (None, None) => {}
        }
        let answers = &operation["responses"];
        let status = said.status.to_string();
        let schema = match (answers.get(&status), said.status) {
            (Some(schema), _) => schema,
            (None, 400..500) => &answers["4XX"],
            _ => {
                found.insert(format!("answer {name}: {status} is not among the answers"));
                continue;
            }
        };
        for problem in document.problems(schema, &said.answer, Way::Answer) {
            found.insert(format!("answer {name} {problem}"));
        }
    }
    found
}

#[test]
fn bodies_queries_and_answers_are_as_the_official_document_says() {
    let mut lab = Lab::of("longform");
    let recorder = Recorder::before(lab.variable("CLOUDFLARE_BASE_URL"));
    lab.set("CLOUDFLARE_BASE_URL", recorder.url());
    lab.write("stacks/more.yaml", include_str!("before.yaml"));
    lab.apply(&[]);
    lab.is_settled(&[]);
    // Everything that can be changed in place, a hostname that moves, and a name among it.
    lab.write("stacks/more.yaml", include_str!("after.yaml"));
    lab.edit("stacks/openhands.yaml", "precedence: 1", "precedence: 2\n    session_duration: 1h");
    lab.apply(&["--allow-large"]);
    lab.is_settled(&[]);
    // What others have added comes back with what boxctl sends.
    let apps = lab.cloudflare("GET", &lab.account("access/apps"), None);
    let app = apps.as_array().unwrap().iter().find(|app| app["name"] == "shell").unwrap();
    let mut other = app.clone();
    other["custom_deny_message"] = json!("someone else's");
    let path = lab.account(&format!("access/apps/{}", app["id"].as_str().unwrap()));
    let told = recorder.heard().len();
    lab.cloudflare("PUT", &path, Some(other));
    lab.edit("stacks/more.yaml", "session_duration: 2h", "session_duration: 3h");
    lab.apply(&[]);
    lab.run(&["destroy", "--all", "--yes"]).exits(0);

    let mut heard = recorder.heard();
    // The one that the test itself sent.
    heard.remove(told);
    let operations: BTreeSet<(&str, &str)> = heard
        .iter()
        .map(|said| (said.method.as_str(), said.path.rsplit('/').nth(1).unwrap_or_default()))
        .collect();
    for done in [
        ("PATCH", "dns_records"),
        ("PATCH", "cfd_tunnel"),
        ("PATCH", "routes"),
        ("PUT", "apps"),
        ("PUT", "policies"),
        ("DELETE", "dns_records"),
        ("DELETE", "apps"),
    ] {
        assert!(operations.contains(&done), "{done:?}");
    }
    let known: Vec<Regex> = KNOWN.iter().map(|(text, _)| Regex::new(text).unwrap()).collect();
    let found = differences(&Document::new(DOCUMENT), &heard);
    let unknown: Vec<&String> =
        found.iter().filter(|text| !known.iter().any(|known| known.is_match(text))).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    for known in known {
        assert!(found.iter().any(|text| known.is_match(text)), "never met: {known}");
    }
}
