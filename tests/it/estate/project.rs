//! The files of an estate of services, a zone full of others' records, and what reading costs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Value, json};

use crate::lab::Lab;

/// Resources of a service: tunnel, configuration, record, application, policy, parameter, and beside
/// them a TXT record and a service token.
pub const RESOURCES: usize = 8;
/// Operations that a batch of records may hold (contract 3.3).
const BATCH: usize = 200;

/// A lab without any stack.
pub fn empty(options: &[&str]) -> Lab {
    let lab = Lab::with("several", options);
    for entry in std::fs::read_dir(lab.path().join("stacks")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    lab.edit("boxctl.yaml", "values:\n  shop: {replicas: \"2\"}\n", "");
    lab
}

/// Writes a stack of services.
pub fn stack(lab: &Lab, name: &str, services: Range<usize>) {
    let (mut short, mut resources) = ("services:\n".to_owned(), "resources:\n".to_owned());
    for at in services {
        let s = format!("s{at:03}");
        let rule = match at % 2 {
            0 => "decision: allow, include: [{login_method: GitHub}]".to_owned(),
            _ => format!(
                "decision: non_identity, include: [{{service_token: \"${{service_token.{s}.id}}\"}}]"
            ),
        };
        let _ = write!(
            short,
            "  {s}:\n    hostname: {s}.b0xp.io\n    origin: http://{s}.apps.svc.cluster.local:80\n    \
             tunnel: {{name: tunnel of {s}, token_parameter: /estate/{s}/tunnel-token}}\n    \
             access: {{policies: [{{name: policy of {s}, {rule}}}]}}\n"
        );
        let _ = write!(
            resources,
            "  service_token.{s}: {{name: robot of {s}}}\n  \
             dns_record.{s}-txt: {{name: _owner.{s}, type: TXT, content: \"{s}\"}}\n"
        );
    }
    lab.write(&format!("stacks/{name}.yaml"), &format!("{short}\n{resources}"));
}

/// Puts records of others into the zone.
pub fn fill_zone(lab: &Lab, records: usize) {
    let all: Vec<Value> = (0..records)
        .map(|at| json!({"name": format!("other{at}.b0xp.io"), "type": "A", "content": "192.0.2.1", "ttl": 1}))
        .collect();
    for batch in all.chunks(BATCH) {
        lab.cloudflare("POST", &format!("{}/batch", lab.records()), Some(json!({"posts": batch})));
    }
}

/// How many requests were sent to each place, ids left out; names of filters are shown.
pub fn costs(requests: &[Value]) -> BTreeMap<String, usize> {
    let mut costs = BTreeMap::new();
    for request in requests {
        *costs.entry(place(request)).or_default() += 1;
    }
    costs
}

fn place(request: &Value) -> String {
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let is_id =
        |part: &str| part.len() >= 32 && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let path = text("path").trim_start_matches("/client/v4");
    let path: Vec<&str> =
        path.split('/').map(|part| if is_id(part) { "ID" } else { part }).collect();
    let filtered = text("query").split('&').any(|part| part.starts_with("name="));
    let filter = if filtered { " by name" } else { "" };
    format!("{} {}{filter}", text("service"), path.join("/"))
}

/// How many of the requests went to a service; STS is counted with SSM.
pub fn of_service(requests: &[Value], service: &str) -> usize {
    let counts = |request: &&Value| match request["service"].as_str() {
        Some("sts") => service == "ssm",
        other => other == Some(service),
    };
    requests.iter().filter(counts).count()
}
