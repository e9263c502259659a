//! The columns of built-in kinds, as the API server prints them
//! (`pkg/printers/internalversion/printers.go`).

use jiff::Timestamp;
use serde_json::Value;

use super::resources::Resource;
use super::table::age;
use super::value::{fields, items, number, text};

/// A column's name, whether only `-o wide` shows it, and how to fill it.
pub type Column = (&'static str, bool, fn(&Value, Timestamp) -> Value);

const AGE: Column = ("Age", false, |o, now| since(o, "/metadata/creationTimestamp", now));
const NAME: Column = ("Name", false, |o, _| text(o, "/metadata/name").into());
const CREATED: Column = ("Created At", false, |o, _| text(o, "/metadata/creationTimestamp").into());
const CONTAINERS: Column = ("Containers", true, |o, _| containers(o, "/name"));
const IMAGES: Column = ("Images", true, |o, _| containers(o, "/image"));
const SELECTOR: Column = ("Selector", true, |o, _| pairs(o.pointer("/spec/selector/matchLabels")));

/// The columns of a kind, its name first.
pub fn of(resource: &Resource) -> Vec<Column> {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("" | "events.k8s.io", "events") => EVENTS.to_vec(),
        ("", "pods") => PODS.to_vec(),
        ("", "namespaces") => with(&[("Status", false, |o, _| text(o, "/status/phase").into())]),
        ("", "nodes") => NODES.to_vec(),
        ("", "services") => SERVICES.to_vec(),
        ("", "configmaps") => with(&[("Data", false, |o, _| size(o, "data"))]),
        ("", "secrets") => with(&[
            ("Type", false, |o, _| text(o, "/type").into()),
            ("Data", false, |o, _| size(o, "data")),
        ]),
        ("", "serviceaccounts") => {
            with(&[("Secrets", false, |o, _| items(o, "/secrets").len().into())])
        }
        ("", "persistentvolumeclaims") => CLAIMS.to_vec(),
        ("", "persistentvolumes") => VOLUMES.to_vec(),
        ("", "resourcequotas") => with(&[
            ("Request", false, |o, _| quota(o, false)),
            ("Limit", false, |o, _| quota(o, true)),
        ]),
        ("apps", plural) => workload(plural),
        ("batch", "jobs") => JOBS.to_vec(),
        ("batch", "cronjobs") => CRON_JOBS.to_vec(),
        ("networking.k8s.io", "ingresses") => INGRESSES.to_vec(),
        ("networking.k8s.io", "networkpolicies") => with(&[("Pod-Selector", false, |o, _| {
            pairs(o.pointer("/spec/podSelector/matchLabels"))
        })]),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles")
        | ("apiextensions.k8s.io", "customresourcedefinitions")
        | ("", "limitranges") => vec![NAME, CREATED],
        ("rbac.authorization.k8s.io", _) => {
            let role: Column = ("Role", false, |o, _| {
                format!("{}/{}", text(o, "/roleRef/kind"), text(o, "/roleRef/name")).into()
            });
            with(&[role])
        }
        ("scheduling.k8s.io", "priorityclasses") => with(&[
            ("Value", false, |o, _| count(o, "/value").into()),
            ("Global-Default", false, |o, _| (o.get("globalDefault") == Some(&true.into())).into()),
        ]),
        ("coordination.k8s.io", "leases") => {
            with(&[("Holder", false, |o, _| text(o, "/spec/holderIdentity").into())])
        }
        ("storage.k8s.io", "storageclasses") => STORAGE_CLASSES.to_vec(),
        _ => vec![NAME, AGE],
    }
}

/// Name, these, age.
fn with(own: &[Column]) -> Vec<Column> {
    [&[NAME], own, &[AGE]].concat()
}

const EVENTS: &[Column] = &[
    ("Last Seen", false, |o, now| {
        let seen = [
            "/series/lastObservedTime",
            "/lastTimestamp",
            "/deprecatedLastTimestamp",
            "/eventTime",
        ];
        let at = seen.iter().find(|at| !text(o, at).is_empty());
        at.map_or_else(|| "<unknown>".into(), |at| since(o, at, now))
    }),
    ("Type", false, |o, _| text(o, "/type").into()),
    ("Reason", false, |o, _| text(o, "/reason").into()),
    ("Object", false, |o, _| {
        let subject =
            o.get("involvedObject").or_else(|| o.get("regarding")).unwrap_or(&Value::Null);
        format!("{}/{}", text(subject, "/kind").to_lowercase(), text(subject, "/name")).into()
    }),
    ("Subobject", true, |o, _| text(o, "/involvedObject/fieldPath").into()),
    ("Source", true, |o, _| {
        let parts = [text(o, "/source/component"), text(o, "/source/host")];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] => text(o, "/reportingComponent").into(),
            parts => parts.join(", ").into(),
        }
    }),
    ("Message", false, |o, _| [text(o, "/message"), text(o, "/note")].concat().trim().into()),
    ("First Seen", true, |o, now| match text(o, "/firstTimestamp") {
        "" => since(o, "/eventTime", now),
        _ => since(o, "/firstTimestamp", now),
    }),
    ("Count", true, |o, _| number(o, "/series/count").unwrap_or(count(o, "/count").max(1)).into()),
    ("Name", true, |o, _| text(o, "/metadata/name").into()),
];

const PODS: &[Column] = &[
    NAME,
    ("Ready", false, |o, _| {
        let all = items(o, "/spec/containers").len();
        let ready = items(o, "/status/containerStatuses")
            .iter()
            .filter(|s| s.get("ready") == Some(&Value::Bool(true)))
            .count();
        format!("{ready}/{all}").into()
    }),
    ("Status", false, |o, _| pod_reason(o).into()),
    ("Restarts", false, |o, now| {
        let statuses = items(o, "/status/containerStatuses");
        let restarts: i64 = statuses.iter().map(|s| count(s, "/restartCount")).sum();
        let last = statuses.iter().map(|s| text(s, "/lastState/terminated/finishedAt")).max();
        match (restarts, last.and_then(|last| last.parse::<Timestamp>().ok())) {
            (1.., Some(last)) => format!("{restarts} ({} ago)", age(last, now)).into(),
            _ => restarts.to_string().into(),
        }
    }),
    AGE,
    ("IP", true, |o, _| or_none(text(o, "/status/podIP"))),
    ("Node", true, |o, _| or_none(text(o, "/spec/nodeName"))),
    ("Nominated Node", true, |o, _| or_none(text(o, "/status/nominatedNodeName"))),
    ("Readiness Gates", true, |_, _| "<none>".into()),
];

const NODES: &[Column] = &[
    NAME,
    ("Status", false, |o, _| {
        let ready = items(o, "/status/conditions")
            .iter()
            .any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True");
        let closed = o.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
        let ready = if ready { "Ready" } else { "NotReady" };
        if closed { format!("{ready},SchedulingDisabled").into() } else { ready.into() }
    }),
    ("Roles", false, |_, _| "<none>".into()),
    AGE,
    ("Version", false, |o, _| text(o, "/status/nodeInfo/kubeletVersion").into()),
    ("Internal-IP", true, |o, _| {
        let found = items(o, "/status/addresses").iter().find(|a| text(a, "/type") == "InternalIP");
        or_none(found.map_or("", |address| text(address, "/address")))
    }),
    ("External-IP", true, |_, _| "<none>".into()),
    ("OS-Image", true, |o, _| text(o, "/status/nodeInfo/osImage").into()),
    ("Kernel-Version", true, |o, _| text(o, "/status/nodeInfo/kernelVersion").into()),
    ("Container-Runtime", true, |o, _| text(o, "/status/nodeInfo/containerRuntimeVersion").into()),
];

const SERVICES: &[Column] = &[
    NAME,
    ("Type", false, |o, _| text(o, "/spec/type").into()),
    ("Cluster-IP", false, |o, _| or_none(text(o, "/spec/clusterIP"))),
    ("External-IP", false, |o, _| match text(o, "/spec/type") {
        "ExternalName" => text(o, "/spec/externalName").into(),
        "LoadBalancer" => "<pending>".into(),
        _ => "<none>".into(),
    }),
    ("Port(s)", false, |o, _| {
        let one = |p: &Value| match count(p, "/nodePort") {
            0 => format!("{}/{}", count(p, "/port"), text(p, "/protocol")),
            node => format!("{}:{node}/{}", count(p, "/port"), text(p, "/protocol")),
        };
        or_none(&items(o, "/spec/ports").iter().map(one).collect::<Vec<_>>().join(","))
    }),
    AGE,
    ("Selector", true, |o, _| pairs(o.pointer("/spec/selector"))),
];

const CLAIMS: &[Column] = &[
    NAME,
    ("Status", false, |o, _| match o.pointer("/metadata/deletionTimestamp") {
        Some(_) => "Terminating".into(),
        None => text(o, "/status/phase").into(),
    }),
    ("Volume", false, |o, _| text(o, "/spec/volumeName").into()),
    ("Capacity", false, |o, _| text(o, "/status/capacity/storage").into()),
    ("Access Modes", false, |o, _| access_modes(o, "/status/accessModes")),
    ("StorageClass", false, |o, _| text(o, "/spec/storageClassName").into()),
    ("VolumeAttributesClass", false, |o, _| unset(text(o, "/spec/volumeAttributesClassName"))),
    AGE,
    ("VolumeMode", true, |o, _| text(o, "/spec/volumeMode").into()),
];

const VOLUMES: &[Column] = &[
    NAME,
    ("Capacity", false, |o, _| text(o, "/spec/capacity/storage").into()),
    ("Access Modes", false, |o, _| access_modes(o, "/spec/accessModes")),
    ("Reclaim Policy", false, |o, _| text(o, "/spec/persistentVolumeReclaimPolicy").into()),
    ("Status", false, |o, _| match o.pointer("/metadata/deletionTimestamp") {
        Some(_) => "Terminating".into(),
        None => text(o, "/status/phase").into(),
    }),
    ("Claim", false, |o, _| match text(o, "/spec/claimRef/name") {
        "" => "".into(),
        name => format!("{}/{name}", text(o, "/spec/claimRef/namespace")).into(),
    }),
    ("StorageClass", false, |o, _| text(o, "/spec/storageClassName").into()),
    ("VolumeAttributesClass", false, |o, _| unset(text(o, "/spec/volumeAttributesClassName"))),
    ("Reason", false, |o, _| text(o, "/status/reason").into()),
    AGE,
    ("VolumeMode", true, |o, _| text(o, "/spec/volumeMode").into()),
];

const JOBS: &[Column] = &[
    NAME,
    ("Status", false, |o, _| {
        let is = |kind: &str| {
            items(o, "/status/conditions")
                .iter()
                .any(|c| text(c, "/type") == kind && text(c, "/status") == "True")
        };
        let kinds = ["Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"];
        kinds.into_iter().find(|kind| is(kind)).unwrap_or("Running").into()
    }),
    ("Completions", false, |o, _| {
        let wanted = number(o, "/spec/completions").unwrap_or(1);
        format!("{}/{wanted}", count(o, "/status/succeeded")).into()
    }),
    ("Duration", false, |o, now| {
        let at = |pointer: &str| text(o, pointer).parse::<Timestamp>().ok();
        match at("/status/startTime") {
            None => "".into(),
            Some(start) => age(start, at("/status/completionTime").unwrap_or(now)).into(),
        }
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const CRON_JOBS: &[Column] = &[
    NAME,
    ("Schedule", false, |o, _| text(o, "/spec/schedule").into()),
    ("Timezone", false, |o, _| or_none(text(o, "/spec/timeZone"))),
    ("Suspend", false, |o, _| match o.pointer("/spec/suspend") {
        Some(Value::Bool(true)) => "True".into(),
        _ => "False".into(),
    }),
    ("Active", false, |o, _| items(o, "/status/active").len().into()),
    ("Last Schedule", false, |o, now| match text(o, "/status/lastScheduleTime") {
        "" => "<none>".into(),
        _ => since(o, "/status/lastScheduleTime", now),
    }),
    AGE,
];

const INGRESSES: &[Column] = &[
    NAME,
    ("Class", false, |o, _| or_none(text(o, "/spec/ingressClassName"))),
    ("Hosts", false, |o, _| {
        let hosts: Vec<_> = items(o, "/spec/rules").iter().map(|r| text(r, "/host")).collect();
        if hosts.is_empty() { "*".into() } else { hosts.join(",").into() }
    }),
    ("Address", false, |_, _| "".into()),
    ("Ports", false, |o, _| if items(o, "/spec/tls").is_empty() { "80" } else { "80, 443" }.into()),
    AGE,
];

const STORAGE_CLASSES: &[Column] = &[
    ("Name", false, |o, _| {
        let mark = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";
        let name = text(o, "/metadata/name");
        if text(o, mark) == "true" { format!("{name} (default)").into() } else { name.into() }
    }),
    ("Provisioner", false, |o, _| text(o, "/provisioner").into()),
    ("ReclaimPolicy", false, |o, _| text(o, "/reclaimPolicy").into()),
    ("VolumeBindingMode", false, |o, _| text(o, "/volumeBindingMode").into()),
    ("AllowVolumeExpansion", false, |o, _| {
        (o.get("allowVolumeExpansion") == Some(&Value::Bool(true))).into()
    }),
    AGE,
];

fn workload(plural: &str) -> Vec<Column> {
    let own: &[Column] = match plural {
        "deployments" => &[
            ("Ready", false, |o, _| ready(o)),
            ("Up-to-date", false, |o, _| count(o, "/status/updatedReplicas").into()),
            ("Available", false, |o, _| count(o, "/status/availableReplicas").into()),
        ],
        "replicasets" => &[
            ("Desired", false, |o, _| count(o, "/spec/replicas").into()),
            ("Current", false, |o, _| count(o, "/status/replicas").into()),
            ("Ready", false, |o, _| count(o, "/status/readyReplicas").into()),
        ],
        "statefulsets" => &[("Ready", false, |o, _| ready(o))],
        "daemonsets" => &[
            ("Desired", false, |o, _| count(o, "/status/desiredNumberScheduled").into()),
            ("Current", false, |o, _| count(o, "/status/currentNumberScheduled").into()),
            ("Ready", false, |o, _| count(o, "/status/numberReady").into()),
            ("Up-to-date", false, |o, _| count(o, "/status/updatedNumberScheduled").into()),
            ("Available", false, |o, _| count(o, "/status/numberAvailable").into()),
            ("Node Selector", false, |o, _| pairs(o.pointer("/spec/template/spec/nodeSelector"))),
        ],
        _ => return vec![NAME, AGE],
    };
    let wide: &[Column] = match plural {
        "statefulsets" => &[CONTAINERS, IMAGES],
        _ => &[CONTAINERS, IMAGES, SELECTOR],
    };
    [&with(own), wide].concat()
}

fn ready(object: &Value) -> Value {
    format!("{}/{}", count(object, "/status/readyReplicas"), count(object, "/spec/replicas")).into()
}

/// Why a pod is where it is: the first container's reason that says more than the phase.
fn pod_reason(pod: &Value) -> String {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return "Terminating".to_owned();
    }
    let of = |status: &Value| {
        let reasons = ["/state/waiting/reason", "/state/terminated/reason"];
        reasons.iter().map(|at| text(status, at)).find(|r| !r.is_empty()).map(str::to_owned)
    };
    let inits = items(pod, "/status/initContainerStatuses");
    let stuck = inits.iter().position(|s| {
        count(s, "/state/terminated/exitCode") != 0 || s.pointer("/state/waiting").is_some()
    });
    if let Some(n) = stuck {
        return match inits.get(n).and_then(of) {
            Some(reason) if reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{n}/{}", inits.len()),
        };
    }
    let reason = items(pod, "/status/containerStatuses").iter().rev().find_map(of);
    reason.unwrap_or_else(|| text(pod, "/status/phase").to_owned())
}

fn since(object: &Value, pointer: &str, now: Timestamp) -> Value {
    match text(object, pointer).parse::<Timestamp>() {
        Ok(then) => age(then, now).into(),
        Err(_) => "<unknown>".into(),
    }
}

fn count(object: &Value, pointer: &str) -> i64 {
    number(object, pointer).unwrap_or(0)
}

fn size(object: &Value, field: &str) -> Value {
    object.get(field).and_then(Value::as_object).map_or(0, serde_json::Map::len).into()
}

fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn unset(text: &str) -> Value {
    if text.is_empty() { "<unset>".into() } else { text.into() }
}

fn pairs(map: Option<&Value>) -> Value {
    let one =
        |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    let all: Vec<_> = map.and_then(Value::as_object).into_iter().flatten().map(one).collect();
    or_none(&all.join(","))
}

fn containers(object: &Value, field: &str) -> Value {
    let list = items(object, "/spec/template/spec/containers");
    list.iter().map(|c| text(c, field)).collect::<Vec<_>>().join(",").into()
}

fn quota(object: &Value, limits: bool) -> Value {
    let mut hard = object.pointer("/status/hard").cloned().unwrap_or_default();
    let one = |(name, limit): (&String, &Value)| {
        let used = object.pointer("/status/used").and_then(|used| used.get(name));
        let used = used.and_then(Value::as_str).unwrap_or("0");
        format!("{name}: {used}/{}", limit.as_str().unwrap_or_default())
    };
    let of = |(name, _): &(&String, &Value)| name.starts_with("limits.") == limits;
    fields(&mut hard).iter().filter(of).map(one).collect::<Vec<_>>().join(", ").into()
}

fn access_modes(object: &Value, pointer: &str) -> Value {
    let short = |mode: &Value| match mode.as_str().unwrap_or_default() {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    items(object, pointer).iter().map(short).collect::<Vec<_>>().join(",").into()
}
