//! The four kinds of patches.

use json_patch::Patch;
use serde_json::json;

use super::{Write, Written};
use crate::sandbox::kubernetes::request::body;
use crate::sandbox::kubernetes::status::{Cause, Failure};
use crate::sandbox::kubernetes::value::text;
use crate::sandbox::kubernetes::{Cluster, Request, read, strategic};

const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, \
                        application/strategic-merge-patch+json, application/apply-patch+yaml";

impl Cluster {
    pub(super) fn patch(
        &mut self,
        write: &mut Write<'_>,
        request: &Request<'_>,
    ) -> Result<Written, Failure> {
        let media = request.content_type.unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let custom = write.route.resource.custom.is_some();
        match media {
            "application/apply-patch+yaml" => {
                let config = body(request)?;
                return self.apply(write, config);
            }
            "application/merge-patch+json" | "application/json-patch+json" => {}
            "application/strategic-merge-patch+json" if !custom => {}
            _ => return Err(Failure::unsupported_media_type(ACCEPTED)),
        }
        if write.options.force {
            let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
            return Err(Failure::invalid("meta.k8s.io", "PatchOptions", "", &[cause]));
        }
        let route = write.route;
        let live = route.stored(&self.store).cloned().ok_or_else(|| route.not_found())?;
        let patch = body(request)?;
        let mut object = if route.subresource == "scale" {
            super::scale::of(&route.resource, &live)
        } else {
            read::present(&route.resource, &live)
        };
        let was = text(&object, "/metadata/resourceVersion").to_owned();
        match media {
            "application/json-patch+json" => {
                let patch: Patch = serde_json::from_value(patch)
                    .map_err(|e| Failure::bad_request(format!("error decoding patch: {e}")))?;
                json_patch::patch(&mut object, &patch).map_err(|error| {
                    let cause = Cause::invalid("patch", &json!(null), &error.to_string());
                    let kind = &route.resource;
                    Failure::invalid(&kind.group, &kind.kind, &route.name, &[cause])
                })?;
            }
            "application/strategic-merge-patch+json" => strategic::merge(&mut object, &patch),
            _ => json_patch::merge(&mut object, &patch),
        }
        if text(&object, "/metadata/resourceVersion") == was {
            super::set_member(&mut object, "resourceVersion", None);
        }
        if route.subresource == "scale" {
            return self.write_scale(write, &live, &object);
        }
        super::check_type(route, &object)?;
        super::place(&mut object, route)?;
        self.update_to(write, live, object)
    }
}
