"""How the official Cloudflare client meets limits, lost answers and a broken edge.

Takes the account. The sandbox drops the first answer to a new tunnel, answers the groups of Access
in HTML, and grants few requests a second.
"""

import sys

import cloudflare

account = sys.argv[1]
client = cloudflare.Cloudflare(_strict_response_validation=True, max_retries=0)
tunnels = client.zero_trust.tunnels.cloudflared


def raised(error, call, *args, **kwargs):
    try:
        made = call(*args, **kwargs)
    except error as problem:
        return problem
    raise AssertionError(f"{error} was expected, and came {made!r}")


# What is sent again after a lost answer is refused: it is there.
again = client.with_options(max_retries=1).zero_trust.tunnels.cloudflared
lost = raised(cloudflare.ConflictError, again.create, account_id=account, name="lost")
assert [item.code for item in lost.errors] == [1013], lost
made = list(tunnels.list(account_id=account, name="lost", is_deleted=False))
assert len(made) == 1, made

edge = raised(cloudflare.InternalServerError, client.zero_trust.access.groups.list, account_id=account)
assert (edge.status_code, edge.errors) == (502, []), edge

# The budget is told with every answer, and who exceeds it waits as long as it is told to.
raw = client.zones.with_raw_response.list()
assert raw.headers["ratelimit"] and raw.headers["ratelimit-policy"], raw.headers


def until_refused():
    for _ in range(100):
        client.zones.list()


limit = raised(cloudflare.RateLimitError, until_refused)
assert [item.code for item in limit.errors] == [10100], limit
assert int(limit.response.headers["retry-after"]) >= 1, limit.response.headers
patient = client.with_options(max_retries=2)
assert patient.zones.list().result, "no zone"
print("true")
