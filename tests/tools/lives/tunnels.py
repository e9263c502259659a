"""Tunnels, private networks and the device profile."""

import base64
import hashlib
import json

import cloudflare
from cloudflare import BadRequestError, ConflictError, NotFoundError
from shared import account, client, mine, names, networks, nowhere, paged, refused, same, tunnels, zone_name

# Its model of a configuration wants a hostname of the last rule too, which may not have one.
lenient = cloudflare.Cloudflare(max_retries=0)
PAST, FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


def lookup_virtual_network():
    nets = networks.virtual_networks
    made = nets.create(**mine, name="second", comment="x", is_default_network=False)
    refused(ConflictError, 1014, nets.create, **mine, name="second")
    same([item.name for item in nets.list(**mine, is_default=True)], ["default"])
    same(names(nets.list(**mine, is_deleted=False)), ["default", "second"])
    same([item.id for item in nets.list(**mine, name="second")], [made.id])
    made = nets.edit(made.id, **mine, name="renamed", comment="y")
    same((nets.get(made.id, **mine).name, made.comment, made.is_default_network), ("renamed", "y", False))
    assert nets.delete(made.id, **mine).deleted_at
    refused(NotFoundError, 1046, nets.get, nowhere, **mine)


def secret(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def tunnel():
    made = tunnels.create(**mine, name="life", tunnel_secret=secret("a"), config_src="cloudflare")
    same((made.status, made.deleted_at, made.account_tag, made.tun_type), ("inactive", None, account, "cfd_tunnel"))
    refused(ConflictError, 1013, tunnels.create, **mine, name="life")
    other = tunnels.create(**mine, name="life-2")
    filters = [
        ({"name": "life"}, [made.id]),
        ({"uuid": other.id}, [other.id]),
        ({"include_prefix": "life", "exclude_prefix": "life-"}, [made.id]),
        ({"include_prefix": "life", "status": "inactive"}, [made.id, other.id]),
        ({"include_prefix": "life", "existed_at": PAST}, []),
        ({"include_prefix": "life", "existed_at": FUTURE}, [made.id, other.id]),
        ({"include_prefix": "life", "was_inactive_at": FUTURE}, [made.id, other.id]),
        ({"include_prefix": "life", "was_active_at": FUTURE}, []),
    ]
    for query, wanted in filters:
        found = [item.id for item in tunnels.list(**mine, is_deleted=False, **query)]
        same(sorted(found), sorted(wanted))
    paged(tunnels.list, [item.id for item in tunnels.list(**mine)], **mine)
    kinds = client.zero_trust.tunnels.list(**mine, tun_types=["cfd_tunnel"], is_deleted=False)
    assert {made.id, other.id} <= {item.id for item in kinds}

    def told():
        return json.loads(base64.b64decode(tunnels.token.get(made.id, **mine)))

    same(told(), {"a": account, "t": made.id, "s": secret("a")})
    same(tunnels.edit(made.id, **mine, name="renamed", tunnel_secret=secret("b")).name, "renamed")
    same(told()["s"], secret("b"))
    same(tunnels.get(made.id, **mine).name, "renamed")
    same(list(tunnels.connections.get(made.id, **mine)), [])

    for item in [made, other]:
        assert tunnels.delete(item.id, **mine).deleted_at
        assert tunnels.get(item.id, **mine).deleted_at
    refused(NotFoundError, 1054, tunnels.token.get, made.id, **mine)
    refused(NotFoundError, 1002, tunnels.get, nowhere, **mine)
    same([item.id for item in tunnels.list(**mine, uuid=made.id, is_deleted=True)], [made.id])


def tunnel_connections():
    """What runs is shown, and holds its tunnel."""
    running = [item for item in tunnels.list(**mine, is_deleted=False) if item.status == "healthy"]
    for item in running:
        assert item.conns_active_at and not item.conns_inactive_at
        refused(BadRequestError, 1022, tunnels.delete, item.id, **mine)
        for connector in tunnels.connections.get(item.id, **mine):
            same(len(connector.conns), 4)
            same(tunnels.connectors.get(connector.id, **mine, tunnel_id=item.id).id, connector.id)
            tunnels.connections.delete(item.id, **mine, client_id=connector.id)
        refused(NotFoundError, 1002, tunnels.connectors.get, nowhere, **mine, tunnel_id=item.id)
    assert running, "no tunnel has connections"


def tunnel_config():
    configurations = lenient.zero_trust.tunnels.cloudflared.configurations
    made = tunnels.create(**mine, name="life of a configuration", config_src="cloudflare")
    first = configurations.get(made.id, **mine)
    same((first.config, first.source, first.tunnel_id), (None, "cloudflare", made.id))
    guard = {"required": True, "teamName": "t", "audTag": ["x"]}
    origin = {"connectTimeout": 10, "noTLSVerify": True, "access": guard}
    ingress = [
        {"hostname": f"life.{zone_name}", "path": "^/x", "service": "http://a:80", "originRequest": origin},
        {"hostname": f"*.{zone_name}", "service": "https://b"},
        {"service": "http_status:404"},
    ]
    whole = {"ingress": ingress, "originRequest": {"http2Origin": True}}
    put = configurations.update(made.id, **mine, config=whole)
    seen = configurations.get(made.id, **mine)
    same(seen.version, put.version)
    same([rule.service for rule in seen.config.ingress], ["http://a:80", "https://b", "http_status:404"])
    rule = seen.config.ingress[0].origin_request
    same((rule.connect_timeout, rule.no_tls_verify, rule.access.aud_tag), (10, True, ["x"]))
    same(seen.config.origin_request.http2_origin, True)
    again = configurations.update(made.id, **mine, config={"ingress": ingress[-1:]})
    same((again.version, len(again.config.ingress)), (put.version + 1, 1))
    port = {"hostname": "a:80", "service": "http://a"}
    for wrong in [ingress[:1], [], [{"service": "http://a/path"}], [port, ingress[-1]]]:
        refused(BadRequestError, 1056, configurations.update, made.id, **mine, config={"ingress": wrong})
    tunnels.delete(made.id, **mine)
    refused(NotFoundError, 1055, configurations.get, made.id, **mine)


def tunnel_route():
    routes = networks.routes
    target = tunnels.create(**mine, name="life of routes")
    made = routes.create(**mine, network="172.16.3.4/12", tunnel_id=target.id, comment="first")
    default = next(iter(networks.virtual_networks.list(**mine, is_default=True)))
    same((made.network, made.virtual_network_id), ("172.16.0.0/12", default.id))
    inner = routes.create(**mine, network="172.16.9.9", tunnel_id=target.id)
    same(inner.network, "172.16.9.9/32")
    refused(ConflictError, 1014, routes.create, **mine, network="172.16.0.0/12", tunnel_id=target.id)
    refused(NotFoundError, 1002, routes.create, **mine, network="10.0.0.0/9", tunnel_id=nowhere)
    filters = [
        ({"tunnel_id": target.id}, [made.id, inner.id]),
        ({"comment": "first"}, [made.id]),
        ({"network_subset": "172.16.0.0/16"}, [inner.id]),
        ({"network_superset": "172.16.9.9/32", "tunnel_id": target.id}, [made.id, inner.id]),
        ({"virtual_network_id": nowhere}, []),
        ({"route_id": inner.id}, [inner.id]),
        ({"tunnel_id": target.id, "existed_at": PAST}, []),
        ({"tunnel_id": target.id, "existed_at": FUTURE, "tun_types": ["cfd_tunnel"]}, [made.id, inner.id]),
    ]
    for query, wanted in filters:
        found = list(routes.list(**mine, is_deleted=False, **query))
        same(sorted(item.id for item in found), sorted(wanted))
        assert all(item.tunnel_name == target.name for item in found)
    paged(routes.list, [made.id, inner.id], **mine, tunnel_id=target.id)
    same(routes.ips.get("172.16.9.9", **mine).id, inner.id)
    same(routes.ips.get("172.17.0.1", **mine, virtual_network_id=default.id).id, made.id)
    changed = routes.edit(made.id, **mine, comment="second", network="172.16.0.0/13")
    same((changed.id, changed.comment, changed.network), (made.id, "second", "172.16.0.0/13"))
    same(routes.get(made.id, **mine).comment, "second")
    for item in [made, inner]:
        assert routes.delete(item.id, **mine).deleted_at
    refused(NotFoundError, 1015, routes.delete, made.id, **mine)
    tunnels.delete(target.id, **mine)


def hostname_route():
    routes = networks.hostname_routes
    target, other = (tunnels.create(**mine, name=f"life of names {n}") for n in "12")
    made = routes.create(**mine, hostname="A.life.lan", tunnel_id=target.id, comment="first")
    same((made.hostname, made.tunnel_name, made.comment), ("a.life.lan", target.name, "first"))
    refused(ConflictError, 1014, routes.create, **mine, hostname="a.life.lan", tunnel_id=other.id)
    second = routes.create(**mine, hostname="b.life.lan", tunnel_id=other.id)
    filters = [
        ({"hostname": "LIFE.lan"}, [made.id, second.id]),
        ({"tunnel_id": other.id}, [second.id]),
        ({"id": made.id}, [made.id]),
        ({"comment": "first"}, [made.id]),
        ({"hostname": "life.lan", "existed_at": PAST}, []),
        ({"hostname": "life.lan", "existed_at": FUTURE}, [made.id, second.id]),
    ]
    for query, wanted in filters:
        found = [item.id for item in routes.list(**mine, is_deleted=False, **query)]
        same(sorted(found), sorted(wanted))
    paged(routes.list, [made.id, second.id], **mine, hostname="life.lan")
    changed = routes.edit(made.id, **mine, hostname="c.life.lan", tunnel_id=other.id, comment="second")
    same((changed.hostname, changed.tunnel_id, changed.comment), ("c.life.lan", other.id, "second"))
    same(routes.get(made.id, **mine).hostname, "c.life.lan")
    for item in [made, second]:
        assert routes.delete(item.id, **mine).deleted_at
    refused(NotFoundError, 1015, routes.delete, made.id, **mine)
    for item in [target, other]:
        tunnels.delete(item.id, **mine)


def split_tunnel():
    policy = client.zero_trust.devices.policies.default
    before = [item.to_dict() for item in policy.excludes.get(**mine)]
    added = [{"host": "life.lan", "description": "by life"}, {"address": "203.0.113.0/24"}]
    put = policy.excludes.update(**mine, body=before + added)
    same([item.to_dict() for item in put], before + added)
    seen = policy.get(**mine)
    same([item.to_dict() for item in seen.exclude], before + added)
    same((seen.default, seen.include), (True, []))
    policy.includes.update(**mine, body=added)
    same([item.to_dict() for item in policy.includes.get(**mine)], added)
    same(list(policy.excludes.get(**mine)), [])
    locked = seen.switch_locked
    same(policy.edit(**mine, switch_locked=not locked).switch_locked, not locked)
    policy.edit(**mine, switch_locked=locked)
    suffixes = [item.to_dict() for item in policy.fallback_domains.get(**mine)]
    new = {"suffix": "life.lan", "description": "by life", "dns_server": ["192.0.2.53"]}
    changed = policy.fallback_domains.update(**mine, domains=suffixes + [new])
    same([item.to_dict() for item in changed], suffixes + [new])
    policy.fallback_domains.update(**mine, domains=suffixes)
    refused(BadRequestError, 1001, policy.excludes.update, **mine, body=[{"description": "neither"}])
    policy.excludes.update(**mine, body=before)
    same([item.to_dict() for item in policy.excludes.get(**mine)], before)
