//! Lookups: what exists outside of the stacks and is only named there.

use schemars::JsonSchema;
use serde_json::json;

use super::support::{fields, hostname, text};
use crate::model::kind::{Output, Problem};
use crate::model::scope::{Need, Scope};
use crate::model::{Json, JsonMap};

/// An identity provider, by one of these.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityProviderQuery {
    /// Its name.
    pub name: Option<String>,
    /// Its type: `github`, `onetimepin`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its id.
    pub id: Option<String>,
}

/// A zone, by one of these.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneQuery {
    /// The domain.
    pub name: Option<String>,
    /// Its id.
    pub id: Option<String>,
}

/// A tunnel, by one of these.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TunnelQuery {
    /// Its name.
    pub name: Option<String>,
    /// Its id.
    pub id: Option<String>,
}

/// A virtual network, by one of these.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VirtualNetworkQuery {
    /// Its name.
    pub name: Option<String>,
    /// Its id.
    pub id: Option<String>,
}

/// The kinds of lookups.
pub const KINDS: [&str; 4] = ["identity_provider", "zone", "tunnel", "virtual_network"];

/// The JSON Schema of a lookup's query.
pub fn schema(kind: &str) -> Option<schemars::Schema> {
    match kind {
        "identity_provider" => Some(schemars::schema_for!(IdentityProviderQuery)),
        "zone" => Some(schemars::schema_for!(ZoneQuery)),
        "tunnel" => Some(schemars::schema_for!(TunnelQuery)),
        "virtual_network" => Some(schemars::schema_for!(VirtualNetworkQuery)),
        _ => None,
    }
}

/// What a lookup offers to references.
pub fn outputs(kind: &str) -> &'static [Output] {
    const ID: Output = Output { name: "id", secret: false, doc: "Its id." };
    const NAME: Output = Output { name: "name", secret: false, doc: "Its name." };
    const TYPE: Output = Output { name: "type", secret: false, doc: "Its type." };
    const CNAME: Output =
        Output { name: "cname", secret: false, doc: "What its records point to." };
    match kind {
        "identity_provider" => &[ID, NAME, TYPE],
        "zone" | "virtual_network" => &[ID, NAME],
        "tunnel" => &[ID, NAME, CNAME],
        _ => &[],
    }
}

/// What has to be read before a lookup can be answered.
pub fn needs(kind: &str) -> Option<Need> {
    match kind {
        "identity_provider" => Some(Need::IdentityProviders),
        "zone" => Some(Need::Zones),
        "tunnel" => Some(Need::Tunnels),
        "virtual_network" => Some(Need::VirtualNetworks),
        _ => None,
    }
}

/// What is wrong with a query, before the network.
pub fn check(kind: &str, query: &Json) -> Vec<Problem> {
    if !KINDS.contains(&kind) {
        let message = format!("there is no lookup `{kind}`");
        return vec![
            Problem::error("", message).hint(format!("the lookups are {}", KINDS.join(", "))),
        ];
    }
    if query.as_object().is_none_or(JsonMap::is_empty) {
        return vec![
            Problem::error("", "the lookup says nothing to look for")
                .hint("write `{name: …}` or `{id: …}`"),
        ];
    }
    Vec::new()
}

/// A sentence that names the identity providers there are.
pub fn providers_there_are(scope: &Scope) -> String {
    let known = scope.identity_providers.iter().flatten();
    there_are(known.map(|provider| format!("{} ({})", provider.name, provider.kind)).collect())
}

/// A sentence that names what there is.
pub fn there_are(names: Vec<String>) -> String {
    if names.is_empty() {
        "there is none at all, or the token may not read them".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    }
}

/// A thing that can be looked up: the fields that a query may name, and how it is shown.
struct Candidate {
    fields: JsonMap,
    shown: String,
}

/// The outputs of the one thing that a query means.
///
/// # Errors
/// The query means nothing, or several things; the problem's advice lists what there is.
pub fn resolve(kind: &str, query: &Json, scope: &Scope) -> Result<JsonMap, Problem> {
    if let Some(problem) = check(kind, query).into_iter().next() {
        return Err(problem);
    }
    let candidates = candidates(kind, scope);
    let fits = |candidate: &&Candidate| {
        ["id", "name", "type"].iter().all(|field| match text(query, field) {
            None => true,
            Some(value) if kind == "zone" && *field == "name" => {
                candidate.fields.get("name") == Some(&json!(hostname(value)))
            }
            Some(value) => candidate.fields.get(*field) == Some(&json!(value)),
        })
    };
    let found: Vec<&Candidate> = candidates.iter().filter(fits).collect();
    let title = kind.replace('_', " ");
    let asked = fields(query).into_iter();
    let asked = asked.map(|(field, value)| format!("{field}: {}", value.as_str().unwrap_or("…")));
    let query = asked.collect::<Vec<_>>().join(", ");
    let list = |all: &[&Candidate]| there_are(all.iter().map(|c| c.shown.clone()).collect());
    match found.as_slice() {
        [one] => Ok(one.fields.clone()),
        [] => Err(Problem::error("", format!("no {title} fits `{query}`"))
            .hint(list(&candidates.iter().collect::<Vec<_>>()))),
        several => Err(Problem::error("", format!("more than one {title} fits `{query}`"))
            .hint(format!("{}: write the id", list(several)))),
    }
}

fn candidates(kind: &str, scope: &Scope) -> Vec<Candidate> {
    let candidate = |id: &str, name: &str, more: Option<(&str, String)>| {
        let mut fields = JsonMap::new();
        fields.insert("id".to_owned(), json!(id));
        fields.insert("name".to_owned(), json!(name));
        let note = match &more {
            Some(("type", kind)) => format!("{kind}, {id}"),
            _ => id.to_owned(),
        };
        if let Some((key, value)) = more {
            fields.insert(key.to_owned(), json!(value));
        }
        Candidate { fields, shown: format!("{name} ({note})") }
    };
    match kind {
        "identity_provider" => scope
            .identity_providers
            .iter()
            .flatten()
            .map(|known| candidate(&known.id, &known.name, Some(("type", known.kind.clone()))))
            .collect(),
        "zone" => scope.zones.iter().map(|zone| candidate(&zone.id, &zone.name, None)).collect(),
        "tunnel" => scope
            .tunnels
            .iter()
            .flatten()
            .map(|known| {
                let cname = super::tunnel::cname(&known.id);
                candidate(&known.id, &known.name, Some(("cname", cname)))
            })
            .collect(),
        "virtual_network" => scope
            .virtual_networks
            .iter()
            .flatten()
            .map(|known| candidate(&known.id, &known.name, None))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::scope::{IdentityProvider, VirtualNetwork, Zone};

    fn scope() -> Scope {
        let provider = |id: &str, name: &str, kind: &str| IdentityProvider {
            id: id.to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
        };
        Scope {
            zones: vec![Zone { id: "z1".to_owned(), name: "example.com".to_owned() }],
            identity_providers: Some(vec![
                provider("1", "GitHub", "github"),
                provider("2", "A", "oidc"),
                provider("3", "B", "oidc"),
            ]),
            tunnels: Some(vec![Zone { id: "t1".to_owned(), name: "home".to_owned() }]),
            virtual_networks: Some(vec![
                VirtualNetwork {
                    id: "n1".to_owned(),
                    name: "default".to_owned(),
                    is_default: true,
                },
                VirtualNetwork { id: "n2".to_owned(), name: "lab".to_owned(), is_default: false },
            ]),
            ..Scope::default()
        }
    }

    #[test]
    fn a_query_means_one_thing_or_is_an_error_that_lists_what_there_is() {
        let resolve = |kind: &str, query: Json| super::resolve(kind, &query, &scope());
        let found = resolve("identity_provider", json!({"type": "github"})).unwrap();
        assert_eq!(Json::Object(found), json!({"id": "1", "name": "GitHub", "type": "github"}));
        let found = resolve("zone", json!({"name": "Example.com."})).unwrap();
        assert_eq!(found.get("id"), Some(&json!("z1")));
        for (kind, query, expected) in [
            ("zone", json!({"id": "z1"}), json!({"id": "z1", "name": "example.com"})),
            (
                "tunnel",
                json!({"name": "home"}),
                json!({"id": "t1", "name": "home", "cname": "t1.cfargotunnel.com"}),
            ),
            ("virtual_network", json!({"name": "lab"}), json!({"id": "n2", "name": "lab"})),
        ] {
            let found = resolve(kind, query).unwrap();
            assert_eq!(Json::Object(found.clone()), expected);
            for output in outputs(kind) {
                assert!(found.contains_key(output.name), "{kind} {}", output.name);
            }
        }
        let none = resolve("virtual_network", json!({"name": "x"})).unwrap_err();
        assert!(none.hint.unwrap().contains("default (n1), lab (n2)"));
        let none = resolve("identity_provider", json!({"name": "GitLab"})).unwrap_err();
        assert!(none.hint.unwrap().contains("GitHub (github, 1), A (oidc, 2)"));
        let several = resolve("identity_provider", json!({"type": "oidc"})).unwrap_err();
        assert!(several.hint.unwrap().starts_with("there are A (oidc, 2), B (oidc, 3)"));
        assert!(resolve("tunnel", json!({"name": "x"})).is_err());
        assert!(resolve("nothing", json!({"name": "x"})).is_err());
    }
}
