//! Rules of policies and groups: their shapes, and the forms they come back in (contract 6.2).

use serde_json::{Map, Value, json};

use crate::sandbox::cloudflare::is_uuid;
use crate::sandbox::cloudflare::reply::ApiError;

#[derive(Clone, Copy)]
enum Shape {
    Text,
    Uuid,
    Email,
    Cidr,
    Country,
    List,
}

/// Each rule type with its members; the last tells which ones must be there.
type Type = (&'static str, &'static [(&'static str, Shape, bool)]);

const TYPES: &[Type] = &[
    ("everyone", &[]),
    ("any_valid_service_token", &[]),
    ("certificate", &[]),
    ("email", &[("email", Shape::Email, true)]),
    ("email_domain", &[("domain", Shape::Text, true)]),
    ("email_list", &[("id", Shape::Uuid, true)]),
    ("group", &[("id", Shape::Uuid, true)]),
    ("ip", &[("ip", Shape::Cidr, true)]),
    ("ip_list", &[("id", Shape::Uuid, true)]),
    ("geo", &[("country_code", Shape::Country, true)]),
    ("login_method", &[("id", Shape::Uuid, true)]),
    ("service_token", &[("token_id", Shape::Uuid, true)]),
    ("common_name", &[("common_name", Shape::Text, true)]),
    ("auth_method", &[("auth_method", Shape::Text, true)]),
    (
        "github-organization",
        &[
            ("name", Shape::Text, true),
            ("team", Shape::Text, false),
            ("identity_provider_id", Shape::Uuid, true),
        ],
    ),
    ("azureAD", &[("id", Shape::Text, true), ("identity_provider_id", Shape::Uuid, true)]),
    ("gsuite", &[("email", Shape::Email, true), ("identity_provider_id", Shape::Uuid, true)]),
    ("okta", &[("name", Shape::Text, true), ("identity_provider_id", Shape::Uuid, true)]),
    (
        "saml",
        &[
            ("attribute_name", Shape::Text, true),
            ("attribute_value", Shape::Text, true),
            ("identity_provider_id", Shape::Uuid, true),
        ],
    ),
    (
        "oidc",
        &[
            ("claim_name", Shape::Text, true),
            ("claim_value", Shape::Text, true),
            ("identity_provider_id", Shape::Uuid, true),
        ],
    ),
    (
        "auth_context",
        &[
            ("id", Shape::Text, true),
            ("ac_id", Shape::Text, true),
            ("identity_provider_id", Shape::Uuid, true),
        ],
    ),
    (
        "device_posture",
        &[("integration_uid", Shape::Text, true), ("account_id", Shape::Text, false)],
    ),
    (
        "external_evaluation",
        &[("evaluate_url", Shape::Text, true), ("keys_url", Shape::Text, true)],
    ),
    ("linked_app_token", &[("app_uid", Shape::Uuid, true)]),
    ("user_risk_score", &[("user_risk_score", Shape::List, true)]),
    ("cloudflare_account_member", &[("account_id", Shape::Text, true)]),
];

/// The rules of `field` of a body, checked and in the server's forms; absent and null are none.
pub fn checked(body: &Map<String, Value>, field: &str) -> Result<Value, ApiError> {
    let rules = match body.get(field) {
        None | Some(Value::Null) => return Ok(json!([])),
        Some(Value::Array(rules)) => rules,
        Some(_) => return Err(ApiError::invalid_request(format_args!("{field} must be a list"))),
    };
    let mut kept = Vec::with_capacity(rules.len());
    for rule in rules {
        let rule = rule.as_object().ok_or_else(|| {
            ApiError::invalid_request(format_args!("each rule of {field} must be an object"))
        })?;
        kept.push(checked_rule(rule, field)?);
    }
    Ok(Value::Array(kept))
}

fn checked_rule(rule: &Map<String, Value>, field: &str) -> Result<Value, ApiError> {
    let mut entries = rule.iter().filter(|(_, body)| !body.is_null());
    let (Some((kind, body)), None) = (entries.next(), entries.next()) else {
        return Err(ApiError::invalid_request(format_args!(
            "a rule of {field} has exactly one selector"
        )));
    };
    let Some((_, members)) = TYPES.iter().find(|(name, _)| name == kind) else {
        return Err(ApiError::invalid_request(format_args!("{field}: unknown rule type {kind}")));
    };
    let wrong = |name: &str| {
        ApiError::invalid_request(format_args!("{field}: {kind}.{name} is missing or invalid"))
    };
    let body = body.as_object().ok_or_else(|| wrong("(body)"))?;
    let mut kept = Map::new();
    for (name, shape, required) in *members {
        match body.get(*name).filter(|value| !value.is_null()) {
            Some(value) => {
                let value = normal(*shape, value).ok_or_else(|| wrong(name))?;
                kept.insert((*name).to_owned(), value);
            }
            None if *required => return Err(wrong(name)),
            None => {}
        }
    }
    Ok(json!({ kind: kept }))
}

fn normal(shape: Shape, value: &Value) -> Option<Value> {
    if let Shape::List = shape {
        let list = value.as_array()?;
        return (!list.is_empty() && list.iter().all(Value::is_string)).then(|| value.clone());
    }
    let text = value.as_str().filter(|text| !text.is_empty())?;
    match shape {
        Shape::Uuid if !is_uuid(text) => None,
        Shape::Email if text.split_once('@').is_none_or(|(a, b)| a.is_empty() || b.is_empty()) => {
            None
        }
        Shape::Country if text.len() != 2 || !text.bytes().all(|b| b.is_ascii_alphabetic()) => None,
        Shape::Country => Some(text.to_ascii_uppercase().into()),
        Shape::Cidr => cidr(text).map(Value::from),
        _ => Some(text.into()),
    }
}

/// A network; a single address gets its length (contract 6.2).
pub fn cidr(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Some(ipnet::IpNet::from(address).to_string());
    }
    text.parse::<ipnet::IpNet>().ok().map(|network| network.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::checked;

    fn ask(rules: Value) -> Result<Value, u16> {
        let body = json!({ "include": rules });
        checked(body.as_object().unwrap(), "include").map_err(|error| error.status)
    }

    const ID: &str = "f174e90a-fafe-4643-bbbc-4a0ed4fc8415";

    #[test]
    fn every_documented_shape_is_taken() {
        let rules = json!([
            {"everyone": {}}, {"any_valid_service_token": {}}, {"certificate": {}},
            {"email": {"email": "a@b.c"}}, {"email_domain": {"domain": "b.c"}},
            {"email_list": {"id": ID}}, {"group": {"id": ID}}, {"ip": {"ip": "192.0.2.0/24"}},
            {"ip_list": {"id": ID}}, {"geo": {"country_code": "JP"}},
            {"login_method": {"id": ID}}, {"service_token": {"token_id": ID}},
            {"common_name": {"common_name": "x"}}, {"auth_method": {"auth_method": "mfa"}},
            {"github-organization": {"name": "org", "identity_provider_id": ID}},
            {"azureAD": {"id": "g", "identity_provider_id": ID}},
            {"gsuite": {"email": "g@b.c", "identity_provider_id": ID}},
            {"okta": {"name": "n", "identity_provider_id": ID}},
            {"saml": {"attribute_name": "a", "attribute_value": "b", "identity_provider_id": ID}},
            {"oidc": {"claim_name": "a", "claim_value": "b", "identity_provider_id": ID}},
            {"auth_context": {"id": "a", "ac_id": "b", "identity_provider_id": ID}},
            {"device_posture": {"integration_uid": "a"}},
            {"external_evaluation": {"evaluate_url": "https://a", "keys_url": "https://b"}},
            {"linked_app_token": {"app_uid": ID}}, {"user_risk_score": {"user_risk_score": ["low"]}},
            {"cloudflare_account_member": {"account_id": "a"}},
        ]);
        assert_eq!(ask(rules.clone()), Ok(rules));
    }

    #[test]
    fn addresses_get_their_length() {
        let kept =
            ask(json!([{"ip": {"ip": "192.0.2.7"}}, {"ip": {"ip": "2001:db8::1"}}])).unwrap();
        assert_eq!(
            kept,
            json!([{"ip": {"ip": "192.0.2.7/32"}}, {"ip": {"ip": "2001:db8::1/128"}}])
        );
    }

    #[test]
    fn wrong_shapes_are_refused() {
        for rules in [
            json!({}),
            json!(["everyone"]),
            json!([{}]),
            json!([{"everyone": {}, "certificate": {}}]),
            json!([{"nobody": {}}]),
            json!([{"email": {"email": "x"}}]),
            json!([{"login_method": {"id": "GitHub"}}]),
            json!([{"login_method": ID}]),
            json!([{"ip": {"ip": "300.1.1.1"}}]),
            json!([{"geo": {"country_code": "JPN"}}]),
            json!([{"github-organization": {"name": "org"}}]),
        ] {
            assert_eq!(ask(rules.clone()), Err(400), "{rules}");
        }
    }
}
