//! The short form: one block is one tunnel and what it publishes. It expands into the resources
//! that could have been written by hand.

use std::collections::BTreeMap;

use serde_json::json;

use super::connector::{self, Workload};
use super::hostname;
use super::settings::AppliedBy;
use super::shape;
use super::source::{Diagnostics, Mark};
use super::yaml::{Entry, Node, Shape};
use crate::model::Json;
use crate::model::address::Address;
use crate::model::project::Connector;
use crate::model::scope::Scope;

/// A resource that a service stands for.
pub(super) struct Generated {
    /// What it is called.
    pub address: Address,
    /// Its spec.
    pub node: Node,
    /// What in the file it stands for.
    pub mark: Mark,
    /// What it would be called had the service its earlier name.
    pub renamed_from: Option<Address>,
    /// The tool that applies it, where that is said.
    pub applied_by: Option<AppliedBy>,
}

/// What a service comes to.
#[derive(Default)]
pub(super) struct Expanded {
    /// Its resources.
    pub resources: Vec<Generated>,
    /// Hostnames that are said to be public.
    pub public: Vec<String>,
    /// The workload that runs the tunnel's connector.
    pub workload: Option<Workload>,
    /// Whether something is missing because of an error.
    pub broken: bool,
}

/// What services are expanded with.
pub(super) struct Surroundings<'a> {
    /// The zones by name.
    pub scope: &'a Scope,
    /// What generated connectors look like.
    pub connector: Option<&'a Connector>,
}

/// The JSON Schema of a service.
pub(super) fn schema() -> Json {
    let text = json!({"type": "string"});
    let route = |extra: &[(&str, Json)]| {
        let mut fields = json!({
            "hostname": {"type": "string", "x-known": true, "description": "The name on the internet."},
            "origin": {"type": "string", "description": "What the tunnel passes requests on to: http://name.namespace.svc.cluster.local:80."},
            "path": {"type": "string", "description": "A regular expression that the path must match."},
            "origin_request": {"type": "object", "description": "How the origin is spoken to."},
            "access": {"$ref": "#/$defs/Access"}
        });
        if let Some(map) = fields.as_object_mut() {
            map.extend(extra.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())));
        }
        fields
    };
    let private = json!({"enum": ["public", "private"], "description": "private: for WARP clients only, by a hostname route; no record and no Access."});
    let service = route(&[
        (
            "routes",
            json!({"type": "array", "description": "Several routes, in the order of the ingress rules.", "items": {"type": "object", "additionalProperties": false, "required": ["hostname", "origin"], "properties": route(&[("expose", private)])}}),
        ),
        (
            "tunnel",
            json!({"type": "object", "additionalProperties": false, "properties": {
                "name": {"type": "string", "description": "The tunnel's name; the service's where nothing is said."},
                "token_parameter": {"anyOf": [text, {"type": "object", "additionalProperties": false, "properties": {
                    "name": {"type": "string"}, "description": {"type": "string"}, "tags": {"type": "object"}}}],
                    "description": "The SSM parameter that holds the tunnel's token; <service>-tunnel-token where nothing is said."}
            }}),
        ),
        (
            "connector",
            json!({"type": "object", "additionalProperties": false, "properties": {
                "namespace": {"type": "string", "x-known": true, "description": "Makes the cloudflared Deployment and its ExternalSecret in this namespace."},
                "workload": {"type": "string", "x-known": true, "description": "Kind/namespace/name of the workload that runs it: one of the manifests, or, with `applied_by: argocd`, of the cluster."},
                "applied_by": {"type": "string", "enum": ["boxctl", "argocd"], "x-known": true, "description": "The tool that applies it. What argocd applies is only read and shown; `boxctl render` writes its manifests."}
            }}),
        ),
        (
            "renamed_from",
            json!({"type": "string", "x-known": true, "description": "An earlier name of the service."}),
        ),
    ]);
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": service,
        "$defs": {"Access": access_schema()}
    })
}

fn access_schema() -> Json {
    let rules =
        |text: &str| json!({"type": "array", "items": {"type": "object"}, "description": text});
    json!({
        "description": "Who gets in. Required; `public` says that everyone does.",
        "anyOf": [
            {"type": "string", "enum": ["public"]},
            {"type": "object", "additionalProperties": false, "properties": {
                "session_duration": {"type": "string"},
                "allow": rules("Whoever fits one of these gets in."),
                "require": rules("And fits all of these."),
                "exclude": rules("And none of these."),
                "policies": {"type": "array", "description": "Policies in order of precedence: written here, or references.", "items": {"anyOf": [
                    {"type": "string"},
                    {"type": "object"}
                ]}}
            }}
        ]
    })
}

/// The resources of a service.
pub(super) fn expand(
    entry: &Entry,
    around: &Surroundings<'_>,
    diagnostics: &mut Diagnostics,
) -> Expanded {
    let broken = Expanded { broken: true, ..Expanded::default() };
    if !super::reference::is_name(&entry.key) {
        let message = format!("`{}` is no name of a service", entry.key);
        let hint = "names are lower-case letters, digits, `-` and `_`";
        diagnostics.error_hint(entry.mark, message, Some(hint));
        return broken;
    }
    let checked = shape::check(&entry.value, &schema());
    if !checked.faults.is_empty() {
        super::tell(checked.faults, diagnostics);
        return broken;
    }
    let before = diagnostics.count();
    let mut service = Service {
        name: &entry.key,
        node: &entry.value,
        mark: entry.mark,
        around,
        old: entry.value.get("renamed_from").and_then(Node::text),
        out: Expanded::default(),
    };
    service.all(diagnostics);
    let mut out = service.out;
    out.broken = diagnostics.failed_since(before);
    out
}

/// One rule of the tunnel, and who gets in.
struct Route<'n> {
    hostname: String,
    mark: Mark,
    node: &'n Node,
    access: Option<&'n Node>,
    private: bool,
}

struct Service<'n> {
    name: &'n str,
    node: &'n Node,
    mark: Mark,
    around: &'n Surroundings<'n>,
    old: Option<&'n str>,
    out: Expanded,
}

impl<'n> Service<'n> {
    fn all(&mut self, diagnostics: &mut Diagnostics) {
        let tunnel = Address::new("tunnel", self.name);
        let tunnel_node = self.node.get("tunnel");
        let tunnel_name = tunnel_node
            .and_then(|node| node.get("name"))
            .cloned()
            .unwrap_or_else(|| Node::of_text(self.name, self.mark));
        let name_mark = tunnel_name.mark;
        self.push(
            "tunnel",
            "",
            Node::of_map(vec![("name", Some(tunnel_name))], name_mark),
            self.mark,
        );

        let routes = self.routes(diagnostics);
        let names = names(self.node.get("routes").is_some(), &routes, self.around.scope);
        let rules = routes
            .iter()
            .map(rule)
            .chain([Node::of_map(
                vec![("service", Some(Node::of_text("http_status:404", self.mark)))],
                self.mark,
            )])
            .collect();
        let config = Node::of_map(
            vec![
                ("tunnel", Some(Node::of_reference(&tunnel, "id", self.mark))),
                ("ingress", Some(Node::of_list(rules, self.mark))),
            ],
            self.mark,
        );
        self.push("tunnel_config", "", config, self.mark);
        for (hostname, suffix) in &names {
            self.hostname(hostname, suffix, &routes, &tunnel, diagnostics);
        }
        let parameter = self.parameter(&tunnel, tunnel_node.and_then(|n| n.get("token_parameter")));
        self.connector(parameter, diagnostics);
    }

    /// Adds a resource that bears the service's name, and `suffix` behind it.
    fn push(&mut self, kind: &str, suffix: &str, node: Node, mark: Mark) -> Address {
        let named = |service: &str| Address::new(kind, format!("{service}{suffix}"));
        let address = named(self.name);
        let renamed_from = self.old.map(named);
        self.out.resources.push(Generated {
            address: address.clone(),
            node,
            mark,
            renamed_from,
            applied_by: None,
        });
        address
    }

    fn routes(&self, diagnostics: &mut Diagnostics) -> Vec<Route<'n>> {
        let single = self.node.get("hostname");
        let several = self.node.get("routes");
        let nodes: Vec<&Node> = match (single, several.map(|node| &node.shape)) {
            (Some(node), Some(_)) => {
                let hint = "a service has one `hostname`, or `routes`";
                diagnostics.error_hint(node.mark, "`hostname` beside `routes`", Some(hint));
                return Vec::new();
            }
            (None, Some(Shape::List(items))) if !items.is_empty() => items.iter().collect(),
            (Some(_), None) => vec![self.node],
            _ => {
                let message = format!("the service `{}` publishes nothing", self.name);
                let hint = "it needs `hostname` and `origin`, or `routes`";
                diagnostics.error_hint(self.mark, message, Some(hint));
                return Vec::new();
            }
        };
        nodes.into_iter().filter_map(|node| self.route(node, diagnostics)).collect()
    }

    fn route(&self, node: &'n Node, diagnostics: &mut Diagnostics) -> Option<Route<'n>> {
        let named = node.get("hostname")?;
        let given = named.text().unwrap_or_default();
        if let Some(why) = hostname::refused(given) {
            let message = format!("bad hostname `{given}`: {why}");
            diagnostics.error(named.mark, message);
            return None;
        }
        let hostname = given.to_ascii_lowercase();
        let private = node.get("expose").and_then(Node::text) == Some("private");
        let zones = &self.around.scope.zones;
        let all_named = !zones.is_empty() && zones.iter().all(|zone| !zone.name.is_empty());
        // What has no record belongs to no zone.
        if all_named && !private && self.around.scope.zone_of(&hostname).is_none() {
            let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
            let message = format!("`{hostname}` is in none of the project's zones");
            let hint = format!("boxctl.yaml has: {}", names.join(", "));
            diagnostics.error_hint(named.mark, message, Some(hint));
            return None;
        }
        if node.get("origin").is_none() {
            diagnostics.error(named.mark, format!("`origin` is missing for {hostname}"));
            return None;
        }
        let access = node.get("access").or_else(|| self.node.get("access"));
        Some(Route { hostname, mark: named.mark, node, access, private })
    }

    /// Record, application and policies of one hostname.
    fn hostname(
        &mut self,
        hostname: &str,
        suffix: &str,
        routes: &[Route<'n>],
        tunnel: &Address,
        diagnostics: &mut Diagnostics,
    ) {
        let own: Vec<&Route<'n>> =
            routes.iter().filter(|route| route.hostname == hostname).collect();
        let Some(first) = own.first() else { return };
        let mark = first.mark;
        if let Some(other) = own.iter().find(|route| route.private != first.private) {
            let hint = "a hostname is private, or it is not";
            let message = format!("{hostname} has another `expose` before");
            diagnostics.error_hint(other.mark, message, Some(hint));
            return;
        }
        if first.private {
            let node = Node::of_map(
                vec![
                    ("hostname", Some(Node::of_text(hostname, mark))),
                    ("tunnel", Some(Node::of_reference(tunnel, "id", mark))),
                ],
                mark,
            );
            self.push("hostname_route", suffix, node, mark);
            return;
        }
        let said: Vec<&Node> = own.iter().filter_map(|route| route.access).collect();
        let Some(access) = said.first() else {
            let hint = format!(
                "say who gets in: `access: {{allow: […]}}`, or `access: public` for everyone who \
                 knows {hostname}"
            );
            let place = if self.node.get("routes").is_some() { mark } else { self.mark };
            let message = format!("`access` is missing for {hostname}");
            diagnostics.error_hint(place, message, Some(hint));
            return;
        };
        if let Some(other) = said.iter().find(|other| !same(access, other)) {
            diagnostics.error_hint(
                other.mark,
                format!("{hostname} has another `access` before"),
                Some("routes of one hostname share their Access application"),
            );
            return;
        }
        let record = Node::of_map(
            vec![
                ("name", Some(Node::of_text(hostname, mark))),
                ("type", Some(Node::of_text("CNAME", mark))),
                ("content", Some(Node::of_reference(tunnel, "cname", mark))),
                ("proxied", Some(Node::of_json(&json!(true), mark))),
            ],
            mark,
        );
        self.push("dns_record", suffix, record, mark);
        if access.text() == Some("public") {
            self.out.public.push(hostname.to_owned());
            return;
        }
        self.guard(hostname, suffix, access, mark, diagnostics);
    }

    fn guard(
        &mut self,
        hostname: &str,
        suffix: &str,
        access: &Node,
        mark: Mark,
        diagnostics: &mut Diagnostics,
    ) {
        let policies = match (access.get("allow"), access.get("policies")) {
            (Some(_), Some(both)) => {
                let hint = "write the rules as one of the `policies`";
                diagnostics.error_hint(both.mark, "`policies` beside `allow`", Some(hint));
                return;
            }
            (None, None) => {
                let hint = "`allow` says who gets in: allow: [{login_method: GitHub}]";
                diagnostics.error_hint(access.mark, "this `access` lets nobody in", Some(hint));
                return;
            }
            (Some(allow), None) => {
                let text = |text: String| Some(Node::of_text(text, mark));
                let node = Node::of_map(
                    vec![
                        ("name", text(format!("policy for {hostname}"))),
                        ("decision", text("allow".to_owned())),
                        ("include", Some(allow.clone())),
                        ("exclude", access.get("exclude").cloned()),
                        ("require", access.get("require").cloned()),
                    ],
                    access.mark,
                );
                let address = self.push("access_policy", suffix, node, mark);
                vec![Node::of_reference(&address, "id", mark)]
            }
            (None, Some(policies)) => self.policies(suffix, policies, diagnostics),
        };
        let application = Node::of_map(
            vec![
                ("name", Some(Node::of_text(format!("Access application for {hostname}"), mark))),
                ("domain", Some(Node::of_text(hostname, mark))),
                ("session_duration", access.get("session_duration").cloned()),
                ("policies", Some(Node::of_list(policies, access.mark))),
            ],
            access.mark,
        );
        self.push("access_application", suffix, application, mark);
    }

    /// References as they are; policies written in place as resources under their own names.
    fn policies(
        &mut self,
        suffix: &str,
        policies: &Node,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Node> {
        let Shape::List(items) = &policies.shape else { return Vec::new() };
        let mut out = Vec::new();
        let mut seen: BTreeMap<String, Mark> = BTreeMap::new();
        for item in items {
            if item.entries().is_none() {
                out.push(item.clone());
                continue;
            }
            let Some(name) = item.get("name").and_then(Node::text) else {
                diagnostics.error(item.mark, "`name` is missing: a policy is called by it");
                continue;
            };
            let slug = slug(name);
            if slug.is_empty() || seen.insert(slug.clone(), item.mark).is_some() {
                diagnostics.error_hint(
                    item.mark,
                    format!("the policy `{name}` needs a name of its own"),
                    Some("its address is made from the letters and digits of its name"),
                );
                continue;
            }
            let suffix = format!("{suffix}-{slug}");
            let address = self.push("access_policy", &suffix, item.clone(), item.mark);
            out.push(Node::of_reference(&address, "id", item.mark));
        }
        out
    }

    /// The parameter with the tunnel's token; gives the node of its name.
    fn parameter(&mut self, tunnel: &Address, said: Option<&Node>) -> Node {
        let mark = said.map_or(self.mark, |node| node.mark);
        let name = said
            .filter(|node| node.entries().is_none())
            .or_else(|| said.and_then(|node| node.get("name")))
            .cloned()
            .unwrap_or_else(|| Node::of_text(format!("{}-tunnel-token", self.name), mark));
        let description = said
            .and_then(|node| node.get("description"))
            .cloned()
            .unwrap_or_else(|| Node::of_text(format!("for {} tunnel token", self.name), mark));
        let node = Node::of_map(
            vec![
                ("name", Some(name.clone())),
                ("description", Some(description)),
                ("type", Some(Node::of_text("SecureString", mark))),
                ("value", Some(Node::of_reference(tunnel, "token", mark))),
                ("tags", said.and_then(|node| node.get("tags")).cloned()),
            ],
            mark,
        );
        self.push("ssm_parameter", "", node, self.mark);
        name
    }

    fn connector(&mut self, parameter: Node, diagnostics: &mut Diagnostics) {
        let Some(node) = self.node.get("connector") else { return };
        let applied_by = match node.get("applied_by").and_then(Node::text) {
            Some("argocd") => Some(AppliedBy::Argocd),
            Some(_) => Some(AppliedBy::Boxctl),
            None => None,
        };
        match (node.get("namespace"), node.get("workload")) {
            (Some(namespace), None) => {
                let Some(settings) = self.around.connector else {
                    diagnostics.error_hint(
                        node.mark,
                        "boxctl.yaml does not say what connectors look like",
                        Some("add `connector: {secret_store: {name: …}}` to it"),
                    );
                    return;
                };
                connector::check(self.name, settings, node.mark, diagnostics);
                let namespace = namespace.text().unwrap_or_default();
                let objects =
                    connector::objects(self.name, namespace, settings, parameter, node.mark);
                for (address, object) in objects {
                    let (mark, renamed_from) = (node.mark, None);
                    let workload = Workload { address: address.clone(), mark, applied_by: None };
                    self.out.workload = Some(workload);
                    let node = object;
                    self.out.resources.push(Generated {
                        address,
                        node,
                        mark,
                        renamed_from,
                        applied_by,
                    });
                }
            }
            (None, Some(named)) => {
                let mark = named.mark;
                match connector::workload(named.text().unwrap_or_default()) {
                    Ok(address) => {
                        self.out.workload = Some(Workload { address, mark, applied_by });
                    }
                    Err(advice) => {
                        diagnostics.error_hint(mark, "this names no workload", Some(advice));
                    }
                }
            }
            _ => diagnostics.error_hint(
                node.mark,
                "a connector has a `namespace` to be made in, or the `workload` that there is",
                None::<String>,
            ),
        }
    }
}

fn rule(route: &Route<'_>) -> Node {
    Node::of_map(
        vec![
            ("hostname", Some(Node::of_text(route.hostname.clone(), route.mark))),
            ("path", route.node.get("path").cloned()),
            ("service", route.node.get("origin").cloned()),
            ("origin_request", route.node.get("origin_request").cloned()),
        ],
        route.mark,
    )
}

/// Each hostname once, in the order of the routes, with what follows the service's name.
fn names(several: bool, routes: &[Route<'_>], scope: &Scope) -> Vec<(String, String)> {
    let mut hostnames: Vec<&str> = Vec::new();
    for route in routes {
        if !hostnames.contains(&route.hostname.as_str()) {
            hostnames.push(&route.hostname);
        }
    }
    let short: Vec<String> = hostnames.iter().map(|name| without_zone(name, scope)).collect();
    hostnames
        .iter()
        .zip(&short)
        .map(|(hostname, name)| {
            let meets = short.iter().filter(|other| *other == name).count() > 1;
            let suffix = match (several, meets) {
                (false, _) => String::new(),
                (true, false) => format!("-{name}"),
                (true, true) => format!("-{}", dashed(hostname)),
            };
            ((*hostname).to_owned(), suffix)
        })
        .collect()
}

fn without_zone(hostname: &str, scope: &Scope) -> String {
    let zone = scope.zone_of(hostname).map(|zone| zone.name.as_str()).unwrap_or_default();
    match hostname.strip_suffix(zone).map(|rest| rest.trim_end_matches('.')) {
        Some("") => "apex".to_owned(),
        Some(rest) => dashed(rest),
        None => dashed(hostname),
    }
}

fn dashed(hostname: &str) -> String {
    hostname.replace('*', "wildcard").replace('.', "-")
}

fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// Whether two nodes say the same, wherever they stand.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.shape, &b.shape) {
        (Shape::Scalar(a), Shape::Scalar(b)) => a.text == b.text,
        (Shape::List(a), Shape::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Shape::Map(a), Shape::Map(b)) => {
            a.len() == b.len()
                && a.iter().all(|a| b.iter().any(|b| a.key == b.key && same(&a.value, &b.value)))
        }
        (Shape::Special(a), Shape::Special(b)) => a == b,
        _ => false,
    }
}
