"""Objects of the API that no kind is about, as `cloudflare_object` keeps them."""

import cloudflare
from cloudflare import BadRequestError, ConflictError, NotFoundError
from shared import access, client, mine, names, refused, same, zone, zone_name

# Its model of a bucket knows regions in small letters only, and they come back in capitals.
lenient = cloudflare.Cloudflare(max_retries=0)


def tags():
    made = access.tags.create(**mine, name="life")
    refused(BadRequestError, 12130, access.tags.create, **mine, name="life")
    same(names(access.tags.list(**mine)), ["life"])
    same(access.tags.get("life", **mine).name, made.name)
    same(access.tags.update("life", **mine, name="life").name, "life")
    access.tags.delete("life", **mine)
    refused(NotFoundError, 12135, access.tags.get, "life", **mine)


def key_value_namespaces():
    spaces = client.kv.namespaces
    made = spaces.create(**mine, title="life")
    refused(BadRequestError, 10014, spaces.create, **mine, title="life")
    same([item.id for item in spaces.list(**mine) if item.title == "life"], [made.id])
    spaces.update(made.id, **mine, title="renamed")
    same(spaces.get(made.id, **mine).title, "renamed")
    spaces.delete(made.id, **mine)
    refused(NotFoundError, 10013, spaces.get, made.id, **mine)


def buckets():
    every = lenient.r2.buckets
    made = every.create(**mine, name="life", location_hint="enam")
    same((made.name, made.location, made.storage_class), ("life", "ENAM", "Standard"))
    refused(ConflictError, 10004, every.create, **mine, name="life")
    assert "life" in [item.name for item in every.list(**mine).buckets]
    other = every.create(**mine, name="life2")
    same([item.name for item in every.list(**mine, per_page=1, name_contains="life").buckets], ["life"])
    after = every.list(**mine, start_after="life", name_contains="life")
    same([item.name for item in after.buckets], [other.name])
    every.delete("life2", **mine)
    changed = every.edit("life", **mine, storage_class="InfrequentAccess")
    same((changed.name, changed.storage_class), ("life", "InfrequentAccess"))
    same(every.get("life", **mine).name, "life")
    every.delete("life", **mine)
    refused(NotFoundError, 10006, every.get, "life", **mine)


def databases():
    made = client.d1.database.create(**mine, name="life")
    same((made.name, made.version), ("life", "production"))
    same([item.uuid for item in client.d1.database.list(**mine, name="life")], [made.uuid])
    changed = client.d1.database.edit(made.uuid, **mine, read_replication={"mode": "auto"})
    same(changed.read_replication.mode, "auto")
    client.d1.database.delete(made.uuid, **mine)
    refused(NotFoundError, 7404, client.d1.database.get, made.uuid, **mine)


def worker_routes():
    routes = client.workers.routes
    made = routes.create(zone_id=zone, pattern=f"life.{zone_name}/*")
    refused(ConflictError, 10020, routes.create, zone_id=zone, pattern=f"life.{zone_name}/*")
    same([item.id for item in routes.list(zone_id=zone)], [made.id])
    put = routes.update(made.id, zone_id=zone, pattern=f"other.{zone_name}/*")
    same(routes.get(made.id, zone_id=zone).pattern, put.pattern)
    same(routes.delete(made.id, zone_id=zone).id, made.id)
    refused(NotFoundError, 10009, routes.get, made.id, zone_id=zone)


def entry_points():
    phase = "http_request_dynamic_redirect"
    rule = {
        "ref": "life", "action": "redirect", "expression": "true", "enabled": True,
        "action_parameters": {
            "from_value": {"status_code": 302, "target_url": {"value": "https://life.example"}}
        },
    }
    phases = client.rulesets.phases
    phases.update(phase, zone_id=zone, rules=[rule])
    first = phases.get(phase, zone_id=zone)
    same((first.phase, first.kind, [item.ref for item in first.rules]), (phase, "zone", ["life"]))
    phases.update(phase, zone_id=zone, rules=[{**rule, "enabled": False}])
    second = phases.get(phase, zone_id=zone)
    same((second.id, second.rules[0].id, second.rules[0].enabled), (first.id, first.rules[0].id, False))
    assert second.version > first.version
    assert first.id in [item.id for item in client.rulesets.list(zone_id=zone)]
    client.rulesets.delete(first.id, zone_id=zone)
    refused(NotFoundError, 10003, phases.get, phase, zone_id=zone)


def custom_rulesets():
    rulesets = client.rulesets
    # The client's type of a created ruleset is any object.
    made = [
        rulesets.create(**mine, name="life", kind="custom", phase="http_request_firewall_custom", rules=[])
        for _ in range(3)
    ]
    wanted = sorted(item["id"] for item in made)
    # The client goes on by cursor.
    same(sorted(item.id for item in rulesets.list(**mine, per_page=2) if item.name == "life"), wanted)
    rule = {"ref": "a", "action": "block", "expression": "ip.src eq 192.0.2.7"}
    rulesets.update(wanted[0], **mine, rules=[rule])
    seen = rulesets.get(wanted[0], **mine)
    same((seen.version, [item.ref for item in seen.rules]), ("2", ["a"]))
    for item in wanted:
        rulesets.delete(item, **mine)
    refused(NotFoundError, 10003, rulesets.get, wanted[0], **mine)


def cloudflare_object():
    for life in (
        tags, key_value_namespaces, buckets, databases, worker_routes, entry_points, custom_rulesets,
    ):
        life()
