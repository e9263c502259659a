//! HorizontalPodAutoscalers in their two versions: stored as v2, also served as v1, which knows
//! the processor's utilisation alone (`pkg/apis/autoscaling/v1/conversion.go`).

use serde_json::{Value, json};

use super::resources::{Resource, built_in};
use super::value::{child, items, number, set, text};

const TARGET: &str = "targetCPUUtilizationPercentage";

/// Whether requests for the kind see autoscalers in the older form.
fn is_older(resource: &Resource) -> bool {
    resource.is("autoscaling", "horizontalpodautoscalers") && resource.version == "v1"
}

fn is_processor(metric: &Value) -> bool {
    text(metric, "/resource/name") == "cpu"
        && metric.pointer("/resource/target/averageUtilization").is_some()
}

/// Shows an autoscaler as the request's version has it.
pub fn present(resource: &Resource, object: &mut Value) {
    if !is_older(resource) {
        return;
    }
    let metrics = items(object, "/spec/metrics").to_vec();
    let target = metrics
        .iter()
        .find(|metric| is_processor(metric))
        .and_then(|metric| number(metric, "/resource/target/averageUtilization"));
    let spec = child(object, "spec");
    set(spec, "metrics", None);
    set(spec, "behavior", None);
    set(spec, TARGET, target.map(Value::from));
    if object.get("status").is_some() {
        set(child(object, "status"), "currentMetrics", None);
        set(child(object, "status"), "conditions", None);
    }
}

/// Brings an autoscaler in the older form into the stored one, whose kind it gives back.
pub fn stored(resource: &Resource, object: &mut Value) -> Option<&'static Resource> {
    if !is_older(resource) {
        return None;
    }
    let target = number(object, &format!("/spec/{TARGET}"));
    let spec = child(object, "spec");
    set(spec, TARGET, None);
    if let Some(target) = target {
        let target = json!({"type": "Utilization", "averageUtilization": target});
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        set(spec, "metrics", Some(json!([metric])));
    }
    set(object, "apiVersion", Some("autoscaling/v2".into()));
    let v2 = |known: &&Resource| {
        known.is("autoscaling", "horizontalpodautoscalers") && known.version == "v2"
    };
    built_in().iter().find(v2)
}
