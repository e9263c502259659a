"""The official Cloudflare client, and what all lives do with it."""

import sys

import cloudflare

account, zone_name = sys.argv[1:3]
# CLOUDFLARE_API_TOKEN and CLOUDFLARE_BASE_URL
client = cloudflare.Cloudflare(_strict_response_validation=True, max_retries=0)
access = client.zero_trust.access
networks = client.zero_trust.networks
tunnels = client.zero_trust.tunnels.cloudflared
zone = next(iter(client.zones.list(name=zone_name))).id
mine = {"account_id": account}
# An id that nothing has.
nowhere = "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415"


def same(seen, wanted):
    assert seen == wanted, f"{seen!r} is not {wanted!r}"


def refused(error, code, call, *args, **kwargs):
    """The call raises this error with this code of Cloudflare's own."""
    try:
        made = call(*args, **kwargs)
    except cloudflare.APIStatusError as raised:
        same((type(raised), [item.code for item in raised.errors][:1]), (error, [code]))
    else:
        raise AssertionError(f"{code} was expected, and came {made!r}")


def names(items):
    return sorted(item.name for item in items)


def paged(call, wanted, **kwargs):
    """The list in pages of one row is the list."""
    page = call(page=1, per_page=1, **kwargs)
    same((len(page.result), page.result_info.count, page.result_info.per_page), (1, 1, 1))
    same(sorted(item.id for item in page), sorted(wanted))
