"""Reads what boxctl made through the official client, and makes something beside it."""

import json
import sys

import cloudflare

account, zone_name = sys.argv[1:3]
client = cloudflare.Cloudflare()  # CLOUDFLARE_API_TOKEN and CLOUDFLARE_BASE_URL

zone = next(iter(client.zones.list(name=zone_name)))
records = list(client.dns.records.list(zone_id=zone.id))
tunnels = list(client.zero_trust.tunnels.cloudflared.list(account_id=account, is_deleted=False))
config = client.zero_trust.tunnels.cloudflared.configurations.get(tunnels[0].id, account_id=account)
token = client.zero_trust.tunnels.cloudflared.token.get(tunnels[0].id, account_id=account)
apps = [a for a in client.zero_trust.access.applications.list(account_id=account) if a.type == "self_hosted"]
policies = list(client.zero_trust.access.policies.list(account_id=account))
providers = list(client.zero_trust.identity_providers.list(account_id=account))
made = client.dns.records.create(
    zone_id=zone.id, type="TXT", name=f"other.{zone_name}", content='"made by another client"', ttl=300
)
print(json.dumps({
    "records": [[r.name, r.type, r.content] for r in records],
    "tunnels": [[t.id, t.name, t.status] for t in tunnels],
    "ingress": [[i.hostname, i.service] for i in config.config.ingress],
    "token": len(token) > 40,
    "apps": [[a.domain, a.session_duration, [p.name for p in a.policies]] for a in apps],
    "policies": [[p.name, p.decision] for p in policies],
    "providers": sorted(p.type for p in providers),
    "made": made.id,
}))
