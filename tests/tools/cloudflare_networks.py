"""The life of private routes and of the split tunnel, by the official client."""

import json
import sys

import cloudflare

account = sys.argv[1]
# CLOUDFLARE_API_TOKEN and CLOUDFLARE_BASE_URL
client = cloudflare.Cloudflare(_strict_response_validation=True)
networks = client.zero_trust.networks
policy = client.zero_trust.devices.policies.default

tunnel = client.zero_trust.tunnels.cloudflared.create(account_id=account, name="by the client")
default = next(iter(networks.virtual_networks.list(account_id=account, is_default=True)))
route = networks.routes.create(account_id=account, network="172.16.3.4/12", tunnel_id=tunnel.id)
route = networks.routes.edit(route.id, account_id=account, comment="changed")
listed = list(networks.routes.list(account_id=account, is_deleted=False))
by_ip = networks.routes.ips.get("172.16.9.9", account_id=account)
name = networks.hostname_routes.create(account_id=account, hostname="a.lan", tunnel_id=tunnel.id)
name = networks.hostname_routes.edit(name.id, account_id=account, hostname="b.lan")
names = list(networks.hostname_routes.list(account_id=account, hostname="lan"))
before = [e.to_dict() for e in policy.excludes.get(account_id=account)]
wanted = before + [{"host": "c.lan", "description": "by the client"}]
policy.excludes.update(account_id=account, body=wanted)
after = [e.to_dict() for e in policy.get(account_id=account).exclude]
policy.excludes.update(account_id=account, body=before)
told = {
    "default": [default.name, default.is_default_network],
    "route": [route.network, route.comment, route.virtual_network_id == default.id],
    "routes": sorted([r.network, r.tunnel_name] for r in listed),
    "by_ip": by_ip.id == route.id,
    "names": sorted([n.hostname, n.tunnel_name] for n in names),
    "kept": after == wanted,
}
networks.routes.delete(route.id, account_id=account)
networks.hostname_routes.delete(name.id, account_id=account)
client.zero_trust.tunnels.cloudflared.delete(tunnel.id, account_id=account)
print(json.dumps(told))
