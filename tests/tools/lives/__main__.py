"""The full life of every kind by the official Cloudflare client: a function a kind.

Each makes, reads, lists, filters, changes and deletes, and is refused what the service refuses.
The client checks every answer against its models (strict validation is on). Takes the account and
the name of the zone; prints the names of the kinds whose life went as it should.
"""

import json

import applications
import objects
import rules
import tunnels
import zones

# By the name of the kind; what is only looked up, and what is more than one kind's, beside them.
LIVES = [
    zones.lookup_zone,
    zones.lookup_token,
    zones.dns_record,
    tunnels.lookup_virtual_network,
    tunnels.tunnel,
    tunnels.tunnel_connections,
    tunnels.tunnel_config,
    tunnels.tunnel_route,
    tunnels.hostname_route,
    tunnels.split_tunnel,
    rules.lookup_identity_provider,
    rules.access_group,
    rules.access_policy,
    rules.service_token,
    objects.cloudflare_object,
    applications.access_application,
    applications.singletons,
    applications.access_application_policy,
]
for life in LIVES:
    try:
        life()
    except Exception as error:
        error.add_note(f"in the life of {life.__name__}")
        raise
print(json.dumps([life.__name__ for life in LIVES]))
