use super::*;
use crate::model::scope::IdentityProvider;

fn scope() -> Scope {
    let provider = |id: &str, name: &str, kind: &str| IdentityProvider {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: kind.to_owned(),
    };
    Scope {
        identity_providers: Some(vec![
            provider("aa0a4aab-672b-4bdb-bc33-a59f1130a11f", "GitHub", "github"),
            provider("bb0a4aab-672b-4bdb-bc33-a59f1130a11f", "PIN", "onetimepin"),
            provider("cc0a4aab-672b-4bdb-bc33-a59f1130a11f", "Corp", "oidc"),
            provider("dd0a4aab-672b-4bdb-bc33-a59f1130a11f", "Other", "oidc"),
        ]),
        ..Scope::default()
    }
}

#[test]
fn each_rule_has_one_canonical_form_and_the_wire_its_own() {
    let github = "aa0a4aab-672b-4bdb-bc33-a59f1130a11f";
    let cases = [
        (json!("everyone"), json!({"everyone": {}}), json!({"everyone": {}})),
        (json!({"everyone": true}), json!({"everyone": {}}), json!({"everyone": {}})),
        (
            json!({"email": {"email": "a@b.c"}}),
            json!({"email": "a@b.c"}),
            json!({"email": {"email": "a@b.c"}}),
        ),
        (
            json!({"login_method": "GitHub"}),
            json!({"login_method": github}),
            json!({"login_method": {"id": github}}),
        ),
        (
            json!({"login_method": "github"}),
            json!({"login_method": github}),
            json!({"login_method": {"id": github}}),
        ),
        (
            json!({"ip": "192.0.2.1"}),
            json!({"ip": "192.0.2.1/32"}),
            json!({"ip": {"ip": "192.0.2.1"}}),
        ),
        // A /32 of IPv6 is a network, and no single address.
        (
            json!({"ip": "2001:DB8::/32"}),
            json!({"ip": "2001:db8::/32"}),
            json!({"ip": {"ip": "2001:db8::/32"}}),
        ),
        (
            json!({"ip": "2001:db8::1"}),
            json!({"ip": "2001:db8::1/128"}),
            json!({"ip": {"ip": "2001:db8::1"}}),
        ),
        (
            json!({"ip": "192.0.2.7/24"}),
            json!({"ip": "192.0.2.0/24"}),
            json!({"ip": {"ip": "192.0.2.0/24"}}),
        ),
        (
            json!({"github_organization": {"name": "o", "identity_provider_id": "GitHub"}}),
            json!({"github_organization": {"name": "o", "identity_provider_id": github}}),
            json!({"github-organization": {"name": "o", "identity_provider_id": github}}),
        ),
        (
            json!({"azure_ad": {"id": "x"}}),
            json!({"azure_ad": {"id": "x"}}),
            json!({"azureAD": {"id": "x"}}),
        ),
        (
            json!({"user_risk_score": "low"}),
            json!({"user_risk_score": ["low"]}),
            json!({"user_risk_score": {"user_risk_score": ["low"]}}),
        ),
        (
            json!({"service_token": "t"}),
            json!({"service_token": "t"}),
            json!({"service_token": {"token_id": "t"}}),
        ),
    ];
    for (written, canonical_form, wire) in cases {
        let canonical = canonical(&json!([written]), "include", &scope()).unwrap();
        assert_eq!(canonical, json!([canonical_form]));
        assert_eq!(super::canonical(&canonical, "include", &scope()).unwrap(), canonical);
        assert_eq!(to_wire(&canonical), json!([wire]));
        assert_eq!(from_wire(&json!([wire]), &scope()), canonical);
    }
}

#[test]
fn empty_selectors_of_the_api_are_left_out() {
    let wire = json!([{"email": {"email": "a@b.c"}, "common_name": {"common_name": null}}]);
    assert_eq!(from_wire(&wire, &scope()), json!([{"email": "a@b.c"}]));
}

#[test]
fn a_provider_that_is_not_one_is_named_with_those_there_are() {
    let rules = |name: &str| json!([{"login_method": name}]);
    let none = canonical(&rules("GitLab"), "include", &scope()).unwrap_err();
    assert_eq!(none.path, "include[0].login_method");
    assert!(none.hint.unwrap().contains("GitHub (github)"));
    assert!(canonical(&rules("oidc"), "include", &scope()).is_err());
}

#[test]
fn rules_that_cannot_be_are_refused() {
    for (rule, expected) in [
        (json!({"github-organization": {"name": "x"}}), "write `github_organization`"),
        (json!({"azureAD": {"id": "x"}}), "write `azure_ad`"),
        (json!({"emial": "a@b.c"}), "did you mean `email`?"),
        (json!({"email": "a@b.c", "ip": "192.0.2.1"}), "two rules"),
        (json!({"email": "b.c"}), "`email_domain`"),
        (json!({"ip": "nonsense"}), "examples"),
    ] {
        let mut problems = Vec::new();
        check(&json!({"include": [rule]}), "include", &mut problems);
        let hint = problems.first().and_then(|problem| problem.hint.clone());
        assert!(hint.is_some_and(|hint| hint.contains(expected)), "{expected}");
    }
}
