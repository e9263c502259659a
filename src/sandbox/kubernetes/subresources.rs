//! The subresources that are neither status nor scale: binding, eviction, finalize, log.

use serde_json::{Value, json};

use super::request::{Options, Route, body};
use super::status::Failure;
use super::value::{child, items, set, text};
use super::{Cluster, Request, Response};

impl Cluster {
    /// Answers a request about such a subresource, `None` for any other request.
    ///
    /// # Errors
    ///
    /// 404 where the object is not there; 501 for what needs a container that really runs.
    pub(super) fn subresource(
        &mut self,
        request: &Request<'_>,
        route: &Route,
        options: &Options,
        now: jiff::Timestamp,
    ) -> Result<Option<Response>, Failure> {
        let bindings = route.resource.is("", "bindings");
        let name = if bindings { "binding" } else { route.subresource.as_str() };
        if matches!(name, "" | "status" | "scale" | "finalize") {
            return Ok(None);
        }
        if bindings {
            let binding = body(request)?;
            let pod = Route { name: text(&binding, "/metadata/name").to_owned(), ..route.clone() };
            return self.bind_pod(&pod, &binding, options).map(Some);
        }
        let live = route.stored(&self.store).cloned().ok_or_else(|| route.not_found())?;
        match name {
            "binding" => self.bind_pod(route, &body(request)?, options).map(Some),
            "eviction" => {
                let pod = Route { subresource: String::new(), ..route.clone() };
                self.delete(request, &pod, options, now)?;
                Ok(Some(Response::json(201, &success(201))))
            }
            "log" => log(&live, request).map(Some),
            _ => Err(Failure::not_implemented(name)),
        }
    }

    fn bind_pod(
        &mut self,
        route: &Route,
        binding: &Value,
        options: &Options,
    ) -> Result<Response, Failure> {
        let (namespace, name) = (route.namespace.as_str(), route.name.as_str());
        let found = self.store.get("", "pods", namespace, name).cloned();
        let mut pod = found.ok_or_else(|| Failure::not_found("", "pods", name))?;
        let bound = text(&pod, "/spec/nodeName");
        if !bound.is_empty() {
            let why = format!("pod {name} is already assigned to node {bound:?}");
            return Err(Failure::conflict("", "pods/binding", name, &why));
        }
        let node = text(binding, "/target/name").to_owned();
        set(child(&mut pod, "spec"), "nodeName", Some(node.into()));
        if !options.dry_run {
            self.store.put("", "pods", pod);
        }
        Ok(Response::json(201, &success(201)))
    }
}

/// What a container wrote: nothing, as nothing runs in it; one that has not started has no log.
fn log(pod: &Value, request: &Request<'_>) -> Result<Response, Failure> {
    let (name, given) = (
        text(pod, "/metadata/name"),
        request.query.iter().find(|(key, _)| key == "container").map(|(_, value)| value.as_str()),
    );
    let containers = items(pod, "/spec/containers");
    let first = containers.first().map_or("", |container| text(container, "/name"));
    let wanted = given.unwrap_or(first);
    if given.is_none() && containers.len() > 1 {
        let all: Vec<_> = containers.iter().map(|c| text(c, "/name")).collect();
        let message = format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            all.join(" ")
        );
        return Err(Failure::bad_request(message));
    }
    let lists = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let status = lists
        .iter()
        .flat_map(|list| items(pod, list))
        .find(|status| text(status, "/name") == wanted);
    match status {
        Some(status) if !text(status, "/containerID").is_empty() => Ok(Response::plain("")),
        Some(status) => {
            let why = match text(status, "/state/waiting/reason") {
                "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image",
                reason => reason,
            };
            let message =
                format!("container {wanted:?} in pod {name:?} is waiting to start: {why}");
            Err(Failure::bad_request(message))
        }
        None => {
            let message = format!("container {wanted} is not valid for pod {name}");
            Err(Failure::bad_request(message))
        }
    }
}

fn success(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code})
}
