//! A route of a private hostname to a tunnel, for clients of WARP (contract 5.2).

use schemars::JsonSchema;
use serde_json::json;

use super::compare;
use super::forms::{self, Form, NormalForm, rule};
use super::route;
use super::support::{fields, hostname, hostname_problem, moment, pick, text};
use crate::model::call::{Answer, Call, Service};
use crate::model::kind::{Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Work};
use crate::model::observed::Remote;
use crate::model::scope::Scope;
use crate::model::{Json, JsonMap};

/// A route of a private hostname to a tunnel.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostnameRouteSpec {
    /// The hostname. It needs no record, and belongs to any domain.
    pub hostname: String,
    /// The tunnel's id: `${tunnel.<name>.id}`.
    pub tunnel: String,
    /// A note.
    pub comment: Option<String>,
}

/// The kind `hostname_route`.
pub struct HostnameRoute;

/// Its normal forms.
#[rustfmt::skip]
const FORMS: &[NormalForm] = &[
    rule("hostname", Form::Spelt(|name, _| spelt_hostname(name))), // 3.5; 5.2: case
    route::COMMENT,                                                // 8
];

const NAMES: [(&str, &str); 3] =
    [("hostname", "hostname"), ("tunnel", "tunnel_id"), ("comment", "comment")];

fn collection(scope: &Scope) -> String {
    format!("/accounts/{}/zerotrust/routes/hostname", scope.account_id)
}

fn spelt_hostname(name: &Json) -> Json {
    name.as_str().map_or_else(|| name.clone(), |name| json!(hostname(name)))
}

impl Kind for HostnameRoute {
    fn name(&self) -> &'static str {
        "hostname_route"
    }

    fn doc(&self) -> &'static str {
        "A route of a private hostname to a tunnel, for clients of WARP."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(HostnameRouteSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[
            Output { name: "id", secret: false, doc: "The route's UUID." },
            Output { name: "hostname", secret: false, doc: "The hostname." },
        ]
    }

    fn known_outputs(&self, spec: &Json, _scope: &Scope) -> JsonMap {
        let mut out = JsonMap::new();
        if let Some(name) = text(spec, "hostname") {
            out.insert("hostname".to_owned(), json!(hostname(name)));
        }
        out
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        let problem = text(spec, "hostname").and_then(|name| hostname_problem(name, true));
        problem.map(|message| Problem::error("hostname", message)).into_iter().collect()
    }

    fn hostnames(&self, spec: &Json, _scope: &Scope) -> Vec<String> {
        text(spec, "hostname").map(hostname).into_iter().collect()
    }

    fn declare(&self, spec: &Json, _scope: &Scope) -> Result<Json, Problem> {
        Ok(Json::Object(forms::spelt(FORMS, fields(spec))))
    }

    /// A hostname is routed once (contract 5.2).
    fn claims(&self, spec: &Json) -> Option<String> {
        text(spec, "hostname").map(str::to_owned)
    }

    fn locate(&self, _spec: Option<&Json>, _id: Option<&str>, scope: &Scope) -> Option<Locate> {
        Some(Locate::In(vec![route::listing(collection(scope))]))
    }

    fn read(&self, item: &Json, _scope: &Scope) -> Vec<Remote> {
        let (Some(id), Some(name), false) =
            (text(item, "id"), text(item, "hostname"), route::is_tombstone(item))
        else {
            return Vec::new();
        };
        let name = hostname(name);
        let mut spec = JsonMap::new();
        spec.insert("hostname".to_owned(), json!(name));
        spec.insert("tunnel".to_owned(), item.get("tunnel_id").cloned().unwrap_or_default());
        let mut remote = route::remote(id, item, spec, FORMS);
        remote.outputs.insert("hostname".to_owned(), json!(name));
        vec![remote]
    }

    fn fetch(&self, id: &str, scope: &Scope) -> Option<Call> {
        let path = format!("{}/{id}", collection(scope));
        Some(Call::get(Service::Cloudflare, path).purpose("reading the route"))
    }

    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        text(spec, "hostname").is_some() && spec.get("hostname") == remote.spec.get("hostname")
    }

    fn key(&self, spec: &Json) -> JsonMap {
        pick(spec, &["hostname"])
    }

    fn made_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        moment(remote.raw.get("created_at"))
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        compare::fields(facts, forms::compared(FORMS))
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        route::next(self, work, answers, collection(work.scope), &NAMES, &["hostname"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{
        Step, bodies, declare, example, facts, line, ok, problems, read, refusal, scope,
    };
    use crate::model::kind::Verb;

    const EXAMPLE: &str = include_str!("../../tests/contract/hostname_route.json");
    const ROUTES: &str = "/accounts/acc/zerotrust/routes/hostname";

    fn spec(name: &str) -> Json {
        declare(&HostnameRoute, json!({"hostname": name, "tunnel": "t"}))
    }

    #[test]
    fn the_example_of_the_contract_is_read_and_its_spelling_is_no_difference() {
        let remote = read(&HostnameRoute, &example(EXAMPLE));
        let spec = spec("LAN.b0xp.io.");
        assert!(HostnameRoute.fits(&spec, &remote));
        assert!(!HostnameRoute.fits(&self::spec("a.lan.b0xp.io"), &remote));
        let diffed = HostnameRoute.diff(&facts(Some(&spec), None, &remote, &[]));
        assert_eq!(diffed, Diffed::default());
        let mut gone = example(EXAMPLE);
        gone["deleted_at"] = json!("2021-01-25T18:22:34Z");
        assert!(HostnameRoute.read(&gone, &scope()).is_empty());
    }

    #[test]
    fn it_is_made_moved_and_deleted() {
        let step = Step::new(&HostnameRoute, Verb::Create, spec("lan.b0xp.io"), None);
        let (calls, end) = step.run(&[ok(example(EXAMPLE))]);
        assert_eq!(line(&calls[0]), format!("POST {ROUTES}"));
        assert_eq!(bodies(&calls)[0], json!({"hostname": "lan.b0xp.io", "tunnel_id": "t"}));
        let remote = end.unwrap().unwrap();
        let one = format!("{ROUTES}/{}", remote.id);

        let moved = json!({"hostname": "lan.b0xp.io", "tunnel": "u"});
        let step = Step::new(&HostnameRoute, Verb::Update, moved, Some(remote.clone()));
        let (calls, _) = step.run(&[ok(example(EXAMPLE))]);
        assert_eq!(line(&calls[0]), format!("PATCH {one}"));
        assert_eq!(bodies(&calls)[0], json!({"tunnel_id": "u"}));

        let step = Step::new(&HostnameRoute, Verb::Delete, spec("lan.b0xp.io"), Some(remote));
        let (calls, end) = step.run(&[refusal(404, "1015")]);
        assert_eq!(line(&calls[0]), format!("DELETE {one}"));
        assert_eq!(end, Ok(None));
    }

    #[test]
    fn hostnames_that_cannot_be_are_refused() {
        assert_eq!(problems(&HostnameRoute, json!({"hostname": "http://a"})), ["hostname"]);
        assert_eq!(problems(&HostnameRoute, json!({"hostname": "a.b:80"})), ["hostname"]);
        assert!(problems(&HostnameRoute, json!({"hostname": "*.lan"})).is_empty());
    }
}
