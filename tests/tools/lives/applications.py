"""Access: applications and the policies of one of them."""

from cloudflare import BadRequestError, ConflictError, NotFoundError
from rules import github, rules, selectors
from shared import access, mine, nowhere, paged, refused, same, zone, zone_name

# The types that an account has at most one of are in `singletons`.
APPLICATIONS = {
    "self_hosted": {"domain": f"life.{zone_name}/x", "session_duration": "30m"},
    "ssh": {"domain": f"ssh.life.{zone_name}"},
    "vnc": {"domain": f"vnc.life.{zone_name}"},
    "rdp": {
        "domain": f"rdp.life.{zone_name}",
        "target_criteria": [{"port": 3389, "protocol": "RDP", "target_attributes": {"hostname": ["a"]}}],
    },
    "saas": {
        "saas_app": {
            "auth_type": "saml", "sp_entity_id": "life", "consumer_service_url": "https://life.example/acs"
        }
    },
    "bookmark": {"domain": "https://life.example", "app_launcher_visible": True},
    "infrastructure": {
        "target_criteria": [{"port": 22, "protocol": "SSH", "target_attributes": {"hostname": ["a"]}}]
    },
}


def access_application():
    apps = access.applications
    made = {}
    for kind, body in APPLICATIONS.items():
        app = apps.create(**mine, type=kind, name=f"life of {kind}", **body)
        same((app.type, app.name), (kind, f"life of {kind}"))
        same(apps.get(app.id, **mine).aud, app.aud)
        made[kind] = app
    hosted = made["self_hosted"]
    same((hosted.session_duration, hosted.app_launcher_visible, hosted.policies), ("30m", True, []))
    same([item.uri for item in hosted.destinations], [hosted.domain])
    taken = {"type": "self_hosted", "domain": hosted.domain}
    refused(ConflictError, 11010, apps.create, **mine, **taken)

    filters = [
        ({"name": "life of ssh", "exact": True}, ["ssh"]),
        ({"domain": f"vnc.life.{zone_name}", "exact": True}, ["vnc"]),
        ({"aud": hosted.aud}, ["self_hosted"]),
        ({"search": "life of"}, list(made)),
    ]
    for query, wanted in filters:
        same(sorted(item.type for item in apps.list(**mine, **query)), sorted(wanted))
    paged(apps.list, [item.id for item in made.values()], **mine, search="life of")

    rule = {"include": [{"everyone": {}}]}
    policies = [access.policies.create(**mine, name=f"life {n}", decision="allow", **rule) for n in "ab"]
    links = [{"id": policies[1].id, "precedence": 1}, {"id": policies[0].id, "precedence": 2}]
    tag = access.tags.create(**mine, name="life")
    whole = {
        "type": "self_hosted", "name": "life of self_hosted", "destinations": [
            {"type": "public", "uri": hosted.domain}, {"type": "private", "cidr": "10.9.9.9", "port_range": "22"},
        ],
        "domain": hosted.domain, "allowed_idps": [github()], "auto_redirect_to_identity": True, "tags": ["life"],
        "cors_headers": {"allow_all_origins": True, "allowed_methods": ["GET"]},
        "same_site_cookie_attribute": "lax", "http_only_cookie_attribute": False, "custom_deny_message": "no",
        "logo_url": "https://life.example/l.png", "skip_interstitial": True, "policies": links,
    }
    put = apps.update(hosted.id, **mine, **whole)
    same((put.aud, put.tags, put.allowed_idps), (hosted.aud, ["life"], [github()]))
    same([item.id for item in put.policies], [policies[1].id, policies[0].id])
    same([item.precedence for item in put.policies], [1, 2])
    same(put.destinations[1].cidr, "10.9.9.9/32")
    same(access.policies.get(policies[0].id, **mine).app_count, 1)
    refused(BadRequestError, 12130, apps.update, hosted.id, **mine, **{**whole, "policies": [nowhere]})
    # What is not said goes back to its default, but for the policies.
    put = apps.update(hosted.id, **mine, type="self_hosted", name="life", domain=hosted.domain)
    same((put.tags, put.session_duration, put.custom_deny_message, len(put.policies)), ([], "24h", None, 2))
    inline = {"name": "inline", "decision": "allow", **rule}
    put = apps.update(hosted.id, **mine, type="self_hosted", domain=hosted.domain, policies=[inline])
    same([(item.name, item.reusable) for item in put.policies], [("inline", False)])

    scoped = {"zone_id": zone}
    there = apps.create(**scoped, type="self_hosted", domain=f"zone.life.{zone_name}", policies=[policies[0].id])
    same([item.id for item in apps.list(**scoped)], [there.id])
    same(apps.get(there.id, **scoped).policies[0].id, policies[0].id)
    apps.delete(there.id, **scoped)
    for item in made.values():
        same(apps.delete(item.id, **mine).id, item.id)
    for item in policies:
        access.policies.delete(item.id, **mine)
    access.tags.delete(tag.name, **mine)
    refused(NotFoundError, 11021, apps.get, hosted.id, **mine)
    refused(BadRequestError, 12045, apps.get, "x", **mine)


def singletons():
    """Applications that an account has one of: there already, or made once."""
    apps = access.applications
    warp = next(item for item in apps.list(**mine) if item.type == "warp")
    refused(ConflictError, 11010, apps.create, **mine, type="warp")
    before = {"name": warp.name, "domain": warp.domain, "session_duration": warp.session_duration}
    changed = {**before, "session_duration": "12h"}
    same(apps.update(warp.id, **mine, type="warp", extra_body=changed).session_duration, "12h")
    same(apps.update(warp.id, **mine, type="warp", extra_body=before).name, warp.name)
    launcher = next((item for item in apps.list(**mine) if item.type == "app_launcher"), None)
    if launcher is None:
        launcher = apps.create(**mine, type="app_launcher", session_duration="1h")
        same(apps.delete(launcher.id, **mine).id, launcher.id)
    else:
        refused(ConflictError, 11010, apps.create, **mine, type="app_launcher")


def access_application_policy():
    app = access.applications.create(**mine, type="self_hosted", domain=f"own.life.{zone_name}")
    policies = access.applications.policies
    everyone = {"include": [{"everyone": {}}]}
    first = policies.create(app.id, **mine, name="first", decision="allow", **everyone)
    second = policies.create(
        app.id, **mine, name="second", decision="deny", include=rules(), exclude=[], require=[],
        extra_body={"precedence": 7},
    )
    same([item.precedence for item in (first, second)], [1, 7])
    paged(policies.list, [first.id, second.id], app_id=app.id, **mine)
    seen = policies.get(second.id, **mine, app_id=app.id)
    same(selectors(seen.include), sorted(key for rule in rules() for key in rule))
    put = policies.update(second.id, **mine, app_id=app.id, name="renamed", decision="bypass", **everyone)
    same((put.name, put.decision, put.precedence), ("renamed", "bypass", 7))
    again = {"name": "third", "decision": "allow", **everyone, "extra_body": {"precedence": 7}}
    refused(BadRequestError, 12130, policies.create, app.id, **mine, **again)
    # The two spaces of ids do not cross.
    refused(NotFoundError, 12135, access.policies.get, first.id, **mine)
    same(policies.delete(first.id, **mine, app_id=app.id).id, first.id)
    refused(NotFoundError, 12135, policies.get, first.id, **mine, app_id=app.id)
    access.applications.delete(app.id, **mine)
