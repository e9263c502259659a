//! The scale subresource.

use serde_json::{Value, json};

use super::{Write, Written};
use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::merge::{self, Applier, FieldSet, Managers};
use crate::sandbox::kubernetes::resources::Resource;
use crate::sandbox::kubernetes::status::{Cause, Failure};
use crate::sandbox::kubernetes::value::{child, fields, number, text};

/// The scale of a workload.
pub fn of(resource: &Resource, object: &Value) -> Value {
    let mut meta = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.pointer(&format!("/metadata/{field}")) {
            meta.insert(field.to_owned(), value.clone());
        }
    }
    let mut spec = json!({});
    // A scale of no replicas is written as an empty spec.
    if let Some(n) = number(object, "/spec/replicas").filter(|n| *n != 0) {
        fields(&mut spec).insert("replicas".to_owned(), n.into());
    }
    let mut status = json!({"replicas": number(object, "/status/replicas").unwrap_or(0)});
    let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<_> = labels
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    if !selector.is_empty() && resource.custom.is_none() {
        fields(&mut status).insert("selector".to_owned(), selector.join(",").into());
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta,
        "spec": spec, "status": status,
    })
}

impl Cluster {
    /// Writes a scale: the workload's `spec.replicas` changes, owned with subresource `scale`.
    pub(super) fn write_scale(
        &mut self,
        write: &mut Write<'_>,
        live: &Value,
        scale: &Value,
    ) -> Result<Written, Failure> {
        let resource = &write.route.resource;
        super::check_version(resource, scale, live)?;
        let replicas = number(scale, "/spec/replicas").unwrap_or(0);
        if replicas < 0 {
            let detail = "must be greater than or equal to 0";
            let cause = Cause::invalid("spec.replicas", &replicas.into(), detail);
            let name = text(live, "/metadata/name");
            return Err(Failure::invalid("autoscaling", "Scale", name, &[cause]));
        }
        let mut object = live.clone();
        fields(child(&mut object, "spec")).insert("replicas".to_owned(), replicas.into());
        let applied = text(scale, "/kind") == resource.kind;
        let managers = if applied {
            self.applied_scale(write, live, replicas)?
        } else {
            self.owners_after(write, Some(live), &object)
        };
        let object = self.commit_change(write, live, object, managers)?;
        Ok(Written { object: of(resource, &object), created: false })
    }

    fn applied_scale(
        &self,
        write: &Write<'_>,
        live: &Value,
        replicas: i64,
    ) -> Result<Managers, Failure> {
        let resource = &write.route.resource;
        let api_version = resource.api_version();
        let config = json!({
            "apiVersion": api_version, "kind": resource.kind,
            "metadata": {"name": text(live, "/metadata/name")}, "spec": {"replicas": replicas},
        });
        let by = Applier {
            manager: &write.manager,
            api_version: &api_version,
            subresource: "scale",
            force: write.options.force,
            now: &write.time,
            reset: &FieldSet::default(),
        };
        let schema = super::schema_of(resource);
        merge::apply(&schema, Some(live), &Managers::of(live), &config, &by)
            .map(|merged| merged.managers)
            .map_err(super::refused)
    }
}
