"""Creates, applies, lists, watches, patches and deletes with the official Kubernetes client.

Its typed models check every answer (client-side validation is on). Takes a namespace that is not
there yet; prints what it saw as JSON.
"""

import json
import sys
import threading
import time

from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

namespace = sys.argv[1]
config.load_kube_config()
core, apps, events = client.CoreV1Api(), client.AppsV1Api(), client.EventsV1Api()
versions = client.VersionApi().get_code()
seen = {"version": f"{versions.major}.{versions.minor}"}

core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))


def refusal(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ApiException as error:
        return [error.status, json.loads(error.body)["reason"]]
    return None


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"by": "client"}), data=data)


# Create, dry run, list by selector and by page.
core.create_namespaced_config_map(namespace, config_map("a", k="1"))
core.create_namespaced_config_map(namespace, config_map("dry", k="1"), dry_run="All")
core.create_namespaced_config_map(namespace, config_map("b", k="1"))
seen["again"] = refusal(core.create_namespaced_config_map, namespace, config_map("a"))
listed = core.list_namespaced_config_map(namespace, label_selector="by in (client)")
seen["listed"] = [item.metadata.name for item in listed.items]
page = core.list_namespaced_config_map(namespace, limit=1)
seen["page"] = [len(page.items), bool(page.metadata._continue)]

# Watch from where the list was: what another thread does arrives in order.
started = listed.metadata.resource_version


def act():
    core.patch_namespaced_config_map("a", namespace, {"data": {"k": "2"}})
    core.delete_namespaced_config_map("b", namespace)


threading.Timer(0.2, act).start()
changes = []
stream = watch.Watch()
for event in stream.stream(
    core.list_namespaced_config_map,
    namespace,
    label_selector="by=client",
    resource_version=started,
    timeout_seconds=20,
):
    changes.append([event["type"], event["object"].metadata.name])
    if len(changes) == 2:
        stream.stop()
seen["watched"] = changes

# Server-side apply with the dynamic client: owners, a conflict, force, a dry run.
dynamic_client = dynamic.DynamicClient(client.ApiClient())
deployments = dynamic_client.resources.get(api_version="apps/v1", kind="Deployment")


def deployment(image, **spec):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
            **spec,
        },
    }


def apply(body, manager, **kwargs):
    return deployments.server_side_apply(body=body, namespace=namespace, field_manager=manager, **kwargs)


first = apply(deployment("nginx:1", replicas=1), "one")
same = apply(deployment("nginx:1", replicas=1), "one")
seen["unchanged"] = first.metadata.generation == same.metadata.generation
try:
    apply(deployment("nginx:2"), "two")
except dynamic.exceptions.ConflictError as error:
    seen["conflict"] = json.loads(error.body)["details"]["causes"][0]["field"]
tried = apply(deployment("nginx:3"), "two", force_conflicts=True, dry_run="All")
seen["dry run"] = tried.spec.template.spec.containers[0].image
apply(deployment("nginx:2"), "two", force_conflicts=True)

# Typed reads of everything that the cluster made of it.
for event in watch.Watch().stream(
    apps.list_namespaced_deployment, namespace, field_selector="metadata.name=web", timeout_seconds=20
):
    status = event["object"].status
    if status.observed_generation == 2 and status.available_replicas == 1 and not status.unavailable_replicas:
        break
live = apps.read_namespaced_deployment_status("web", namespace)
seen["ready"] = live.status.ready_replicas
seen["conditions"] = sorted(c.type for c in live.status.conditions if c.status == "True")
pods = core.list_namespaced_pod(namespace, label_selector="app=web").items
seen["phases"] = sorted({pod.status.phase for pod in pods})
seen["managers"] = sorted({entry.manager for entry in live.metadata.managed_fields})
uid = pods[0].metadata.uid
told = core.list_namespaced_event(namespace, field_selector=f"involvedObject.uid={uid}")
seen["events"] = sorted({event.reason for event in told.items})
# The client refuses the events of older recorders, whose eventTime is null on real servers too.
scheduled = f"regarding.uid={uid},reportingController=default-scheduler"
newer = events.list_namespaced_event(namespace, field_selector=scheduled)
seen["newer events"] = sorted({event.reason for event in newer.items})
scale = apps.read_namespaced_deployment_scale("web", namespace)
scale.spec.replicas = 2
seen["scaled"] = apps.replace_namespaced_deployment_scale("web", namespace, scale).spec.replicas

# Patches, a stale write, deletion.
apps.patch_namespaced_deployment("web", namespace, {"metadata": {"annotations": {"note": "x"}}})
stale = client.V1ConfigMap(metadata=listed.items[0].metadata, data={"k": "3"})
seen["stale"] = refusal(core.replace_namespaced_config_map, "a", namespace, stale)
review = client.V1SelfSubjectAccessReview(
    spec=client.V1SelfSubjectAccessReviewSpec(
        resource_attributes=client.V1ResourceAttributes(verb="create", resource="pods")
    )
)
answer = client.AuthorizationV1Api().create_self_subject_access_review(review)
seen["allowed"] = answer.status.allowed
apps.delete_namespaced_deployment("web", namespace, propagation_policy="Foreground")
core.delete_namespace(namespace)
deadline = time.monotonic() + 20
while refusal(core.read_namespace, namespace) is None and time.monotonic() < deadline:
    time.sleep(0.05)
seen["gone"] = refusal(core.read_namespace, namespace)
print(json.dumps(seen))
