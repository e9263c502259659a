"""Zones, tokens and DNS records."""

import cloudflare
from cloudflare import BadRequestError, NotFoundError, PermissionDeniedError
from shared import account, client, mine, refused, same, zone, zone_name


def lookup_zone():
    page = client.zones.list(account={"id": account}, per_page=50)
    same([(item.name, item.account.id) for item in page], [(zone_name, account)])
    same(list(client.zones.list(name="nowhere.example")), [])
    same([item.id for item in client.zones.list(name=f"starts_with:{zone_name[:2]}")], [zone])
    found = client.zones.get(zone_id=zone)
    same((found.name, found.status, found.type), (zone_name, "active", "full"))
    refused(PermissionDeniedError, 10000, client.zones.get, zone_id="0" * 32)


def lookup_token():
    for found in [client.user.tokens.verify(), client.accounts.tokens.verify(**mine)]:
        same(found.status, "active")
    wrong = client.with_options(api_token="x" * 40)
    refused(cloudflare.AuthenticationError, 1000, wrong.user.tokens.verify)
    refused(PermissionDeniedError, 9109, wrong.zones.get, zone_id=zone)
    malformed = client.with_options(api_token="with space")
    refused(BadRequestError, 6003, malformed.zones.get, zone_id=zone)


# Simple contents, then those that are rendered out of `data`.
RECORDS = {
    "A": {"content": "192.0.2.1", "proxied": True},
    "AAAA": {"content": "2001:DB8:0:0::1"},
    "CNAME": {"content": "Target.example.com.", "settings": {"flatten_cname": True}},
    "MX": {"content": "mail.example.com", "priority": 10},
    "NS": {"content": "ns1.example.com"},
    "OPENPGPKEY": {"content": "AAAA"},
    "PTR": {"content": "host.example.com"},
    "TXT": {"content": '"v=spf1 -all"'},
    "CAA": {"data": {"flags": 0, "tag": "issue", "value": "letsencrypt.org"}},
    "CERT": {"data": {"type": 9, "key_tag": 1, "algorithm": 1, "certificate": "AAAA"}},
    "DNSKEY": {"data": {"flags": 256, "protocol": 3, "algorithm": 5, "public_key": "AAAA"}},
    "DS": {"data": {"key_tag": 3, "algorithm": 5, "digest_type": 1, "digest": "ABCD"}},
    "HTTPS": {"data": {"priority": 1, "target": ".", "value": 'alpn="h3"'}},
    "LOC": {
        "data": {
            "lat_degrees": 37, "lat_minutes": 46, "lat_seconds": 46, "lat_direction": "N",
            "long_degrees": 122, "long_minutes": 23, "long_seconds": 35, "long_direction": "W",
            "altitude": 0, "size": 100, "precision_horz": 0, "precision_vert": 0,
        }
    },
    "NAPTR": {
        "data": {
            "order": 100, "preference": 10, "flags": "U", "service": "E2U+sip",
            "regex": "", "replacement": ".",
        }
    },
    "SMIMEA": {"data": {"usage": 3, "selector": 0, "matching_type": 0, "certificate": "AAAA"}},
    "SRV": {"data": {"priority": 10, "weight": 5, "port": 5060, "target": "a.example.com"}},
    "SSHFP": {"data": {"algorithm": 2, "type": 1, "fingerprint": "ABCD"}},
    "SVCB": {"data": {"priority": 1, "target": ".", "value": 'alpn="h3"'}},
    "TLSA": {"data": {"usage": 3, "selector": 1, "matching_type": 1, "certificate": "ABCD"}},
    "URI": {"data": {"weight": 1, "target": "http://example.com/x"}, "priority": 1},
}


def dns_record():
    records = client.dns.records
    before = {item.id for item in records.list(zone_id=zone)}
    made = {}
    for kind, body in RECORDS.items():
        record = records.create(
            zone_id=zone, type=kind, name=f"{kind}.life.{zone_name}", ttl=1, comment="by life", **body
        )
        same((record.type, record.name), (kind, f"{kind.lower()}.life.{zone_name}"))
        same(records.get(record.id, zone_id=zone).content, record.content)
        made[kind] = record
    same(made["AAAA"].content, "2001:db8::1")
    same((made["CNAME"].content, made["CNAME"].settings.flatten_cname), ("target.example.com", True))
    same((made["A"].proxied, made["A"].proxiable, made["A"].ttl), (True, True, 1))

    ids = [record.id for record in made.values()]
    filters = [
        ({"name": {"endswith": f".LIFE.{zone_name}"}}, ids),
        ({"name": {"exact": f"a.life.{zone_name}"}}, [made["A"].id]),
        ({"type": "MX", "name": {"contains": "life"}}, [made["MX"].id]),
        ({"content": {"startswith": "192.0.2."}, "comment": {"exact": "By Life"}}, [made["A"].id]),
        ({"proxied": True, "search": "life"}, [made["A"].id]),
        ({"comment": {"present": "true"}, "tag": {"absent": "x"}, "match": "all"}, ids),
    ]
    for query, wanted in filters:
        found = [item.id for item in records.list(zone_id=zone, **query)]
        same(sorted(set(found) - before), sorted(wanted))
    page = records.list(zone_id=zone, name={"contains": "life"}, per_page=9, order="name", direction="desc")
    listed = [item.name for item in page]
    same(listed, sorted((record.name for record in made.values()), reverse=True))

    one = made["A"].id
    part = records.edit(one, zone_id=zone, type="A", name="a.life", content="192.0.2.2", ttl=1)
    same((part.content, part.proxied, part.comment), ("192.0.2.2", True, "by life"))
    whole = records.update(one, zone_id=zone, type="A", name="a.life", content="192.0.2.3", ttl=300)
    same((whole.content, whole.proxied, whole.comment, whole.ttl), ("192.0.2.3", False, None, 300))

    new = {"zone_id": zone, "ttl": 1}
    add = records.create
    refused(BadRequestError, 81058, add, **new, type="A", name="a.life", content="192.0.2.3")
    refused(BadRequestError, 81053, add, **new, type="CNAME", name="a.life", content="x.example.com")
    refused(BadRequestError, 81054, add, **new, type="A", name="cname.life", content="192.0.2.9")
    refused(BadRequestError, 9005, add, **new, type="A", name="b.life", content="no address")

    put = {"type": "MX", "name": "mx.life", "content": "m2.example.com", "priority": 5, "ttl": 60}
    batch = records.batch(
        zone_id=zone,
        deletes=[{"id": made["A"].id}],
        patches=[{"id": made["TXT"].id, "content": '"patched"'}],
        puts=[{"id": made["MX"].id, **put}],
        posts=[{"type": "CNAME", "name": "a.life", "content": "x.example.com", "ttl": 1}],
    )
    same([batch.deletes[0].id, batch.patches[0].content], [made["A"].id, '"patched"'])
    same([batch.puts[0].ttl, batch.posts[0].type], [60, "CNAME"])
    wrong = {"deletes": [{"id": made["MX"].id}, {"id": "0" * 32}]}
    refused(NotFoundError, 81044, records.batch, zone_id=zone, **wrong)
    same(records.get(made["MX"].id, zone_id=zone).priority, 5)

    for item in records.list(zone_id=zone, name={"contains": "life"}):
        same(records.delete(item.id, zone_id=zone).id, item.id)
    refused(NotFoundError, 81044, records.delete, made["MX"].id, zone_id=zone)
    same({item.id for item in records.list(zone_id=zone)}, before)
