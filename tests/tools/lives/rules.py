"""Access: identity providers, rules, groups, policies, service tokens."""

from cloudflare import BadRequestError, NotFoundError
from shared import access, account, client, mine, names, nowhere, paged, refused, same


def github():
    providers = client.zero_trust.identity_providers.list(**mine)
    return next(item.id for item in providers if item.type == "github")


def rules():
    """Every selector, as the client spells it."""
    provider = {"identity_provider_id": github()}
    return [
        {"everyone": {}},
        {"email": {"email": "me@example.org"}},
        {"email_domain": {"domain": "example.org"}},
        {"email_list": {"id": nowhere}},
        {"ip": {"ip": "192.0.2.7"}},
        {"ip_list": {"id": nowhere}},
        {"geo": {"country_code": "JP"}},
        {"certificate": {}},
        {"common_name": {"common_name": "x"}},
        {"any_valid_service_token": {}},
        {"login_method": {"id": github()}},
        {"auth_method": {"auth_method": "mfa"}},
        {"github_organization": {"name": "org", "team": "t", **provider}},
        {"azure_ad": {"id": nowhere, **provider}},
        {"gsuite": {"email": "g@example.org", **provider}},
        {"okta": {"name": "x", **provider}},
        {"saml": {"attribute_name": "a", "attribute_value": "b", **provider}},
        {"oidc": {"claim_name": "a", "claim_value": "b", **provider}},
        {"auth_context": {"id": "a", "ac_id": "b", **provider}},
        {"external_evaluation": {"evaluate_url": "https://a.example/x", "keys_url": "https://a.example/k"}},
        {"device_posture": {"integration_uid": nowhere}},
        {"linked_app_token": {"app_uid": nowhere}},
        {"user_risk_score": {"user_risk_score": ["low"]}},
        {"cloudflare_account_member": {"account_id": account}},
    ]


def selectors(listed):
    return sorted(key for rule in listed for key in rule.to_dict(use_api_names=False))


def access_group():
    groups = access.groups
    made = groups.create(**mine, name="life", include=rules(), exclude=[{"geo": {"country_code": "KP"}}], require=[])
    same(selectors(made.include), sorted(key for rule in rules() for key in rule))
    twin = groups.create(**mine, name="life", include=[{"group": {"id": made.id}}])
    same(names(groups.list(**mine, name="life")), ["life", "life"])
    paged(groups.list, [made.id, twin.id], **mine, search="LIFE")
    same(selectors(groups.get(twin.id, **mine).include), ["group"])
    put = groups.update(made.id, **mine, name="renamed", include=[{"everyone": {}}])
    same((put.name, put.exclude, selectors(put.include)), ("renamed", [], ["everyone"]))
    for item in [made, twin]:
        same(groups.delete(item.id, **mine).id, item.id)
    refused(NotFoundError, 12152, groups.get, made.id, **mine)


def access_policy():
    policies = access.policies
    made = policies.create(
        **mine, name="life", decision="allow", include=rules(), exclude=[{"geo": {"country_code": "KP"}}],
        require=[{"email_domain": {"domain": "example.org"}}], session_duration="30m",
        approval_required=True, approval_groups=[{"approvals_needed": 1, "email_addresses": ["a@example.org"]}],
        purpose_justification_required=True, purpose_justification_prompt="why?",
        isolation_required=False,
    )
    same((made.reusable, made.app_count, made.decision, made.session_duration), (True, 0, "allow", "30m"))
    same(selectors(made.include), sorted(key for rule in rules() for key in rule))
    twin = policies.create(**mine, name="life", decision="non_identity", include=[{"any_valid_service_token": {}}])
    paged(policies.list, [item.id for item in policies.list(**mine)], **mine)
    same(names(item for item in policies.list(**mine) if item.id in (made.id, twin.id)), ["life", "life"])
    put = policies.update(made.id, **mine, name="renamed", decision="deny", include=[{"everyone": {}}])
    same((put.name, put.decision, put.require, put.session_duration), ("renamed", "deny", [], "24h"))
    same(policies.get(made.id, **mine).name, "renamed")
    refused(BadRequestError, 12130, policies.create, **mine, name="none", decision="allow", include=[])
    for item in [made, twin]:
        same(policies.delete(item.id, **mine).id, item.id)
    refused(NotFoundError, 12135, policies.get, made.id, **mine)


def lookup_identity_provider():
    providers = client.zero_trust.identity_providers
    body = {"name": "work", "type": "oidc"}
    made = providers.create(**mine, **body, config={"client_id": "a", "client_secret": "b", "claims": ["x"]})
    same((made.type, made.config.client_id, made.config.client_secret), ("oidc", "a", None))
    paged(providers.list, [item.id for item in providers.list(**mine)], **mine)
    same(names(providers.list(**mine)), ["GitHub", "One-time PIN login", "work"])
    same(providers.get(made.id, **mine).scim_config.enabled, False)
    same([item.id for item in providers.list(**mine, scim_enabled="true")], [])
    same([item.id for item in providers.list(**mine, scim_enabled="false") if item.id == made.id], [made.id])
    made = providers.update(made.id, **mine, name="renamed", type="oidc", config={"client_id": "c"})
    same((made.name, made.config.client_id), ("renamed", "c"))
    same(providers.delete(made.id, **mine).id, made.id)
    refused(NotFoundError, 12135, providers.get, made.id, **mine)


def service_token():
    tokens = access.service_tokens
    made = tokens.create(**mine, name="life", duration="24h")
    same((made.client_id.endswith(".access"), len(made.client_secret)), (True, 64))
    twin = tokens.create(**mine, name="life", duration="forever")
    paged(tokens.list, [made.id, twin.id], **mine, name="life")
    same(names(tokens.list(**mine, search="LIFE")), ["life", "life"])
    seen = tokens.get(made.id, **mine)
    same((seen.duration, seen.to_dict().get("client_secret")), ("24h", None))
    put = tokens.update(made.id, **mine, name="renamed", duration="48h")
    same((put.name, put.duration, put.client_id), ("renamed", "48h", made.client_id))
    assert put.expires_at > seen.expires_at
    rotated = tokens.rotate(made.id, **mine, previous_client_secret_expires_at="2030-01-01T00:00:00Z")
    same((rotated.client_id, rotated.client_secret != made.client_secret), (made.client_id, True))
    assert tokens.refresh(made.id, **mine).expires_at >= put.expires_at
    for item in [made, twin]:
        same(tokens.delete(item.id, **mine).client_id, item.client_id)
    refused(NotFoundError, 12135, tokens.get, made.id, **mine)
