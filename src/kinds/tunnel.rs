//! A Cloudflare Tunnel that is configured at Cloudflare.

use schemars::JsonSchema;
use serde_json::json;

use super::compare::{self, Compared};
use super::support::{code_of, is_gone, moment, refused, remote_of, required_text, text};
use crate::model::address::Address;
use crate::model::call::{Answer, Call, Filter, Listing, Method, Paging, Service};
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Readiness, Recipe, Verb, Work,
};
use crate::model::observed::Remote;
use crate::model::scope::Scope;
use crate::model::secret::SecretId;
use crate::model::state::Recorded;
use crate::model::unread::Unread;
use crate::model::value::Special;
use crate::model::{Json, JsonMap};

/// A Cloudflare Tunnel. Its secret is made at create and kept nowhere.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TunnelSpec {
    /// The name, unique among the account's tunnels.
    pub name: String,
}

/// The kind `tunnel`.
pub struct Tunnel;

/// Cloudflare refuses to delete a tunnel whose connectors it still counts (contract 1.6).
const ACTIVE_CONNECTIONS: &str = "1022";
/// How many times connections are cleaned up and the delete is sent again. The sender pauses in
/// between, 16 s and more a round unless `timing` says otherwise: ten are the five minutes of a step,
/// and Cloudflare counts ended connections for minutes (contract 4.4).
const DELETE_ROUNDS: usize = 10;

/// The hostname that records of a tunnel point to (contract 4.3).
pub fn cname(id: &str) -> String {
    format!("{id}.cfargotunnel.com")
}

/// The account's live tunnels.
pub fn listing(scope: &Scope) -> Listing {
    let call = Call::get(Service::Cloudflare, collection(scope))
        .query("is_deleted", "false")
        .purpose("listing tunnels");
    Listing { call, paging: Paging::Pages(1000) }
}

fn collection(scope: &Scope) -> String {
    format!("/accounts/{}/cfd_tunnel", scope.account_id)
}

fn clean_up(scope: &Scope, id: &str) -> Call {
    let path = format!("{}/{id}/connections", collection(scope));
    Call::change(Service::Cloudflare, Method::Delete, path)
        .tolerate(&[404])
        .purpose("cleaning up the tunnel's connections")
}

fn remove(scope: &Scope, id: &str) -> Call {
    Call::change(Service::Cloudflare, Method::Delete, format!("{}/{id}", collection(scope)))
        .tolerate(&[400, 404, 409])
        .purpose("deleting the tunnel")
}

fn token(scope: &Scope, id: &str) -> Call {
    let path = format!("{}/{id}/token", collection(scope));
    Call::get(Service::Cloudflare, path).purpose("reading the tunnel's token")
}

/// Connections are cleaned up before each attempt, since a live connector comes back in seconds.
fn delete(work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
    let Some(remote) = work.remote else { return Ok(Next::gone()) };
    let Some(last) = answers.last() else {
        return Ok(Next::call(clean_up(work.scope, &remote.id)));
    };
    if answers.len() % 2 == 1 {
        return Ok(Next::call(remove(work.scope, &remote.id)));
    }
    if is_gone(last) {
        return Ok(Next::gone());
    }
    let connected = code_of(last).as_deref() == Some(ACTIVE_CONNECTIONS);
    if connected && answers.len() < 2 * DELETE_ROUNDS {
        return Ok(Next::call(clean_up(work.scope, &remote.id)));
    }
    let stop = "stop the connectors (cloudflared) of this tunnel and run this again: Cloudflare \
                forgets ended connections after some minutes";
    Err(refused(last, connected.then_some(stop)))
}

impl Kind for Tunnel {
    fn name(&self) -> &'static str {
        "tunnel"
    }

    fn doc(&self) -> &'static str {
        "A Cloudflare Tunnel, configured at Cloudflare."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(TunnelSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[
            Output { name: "id", secret: false, doc: "The tunnel's UUID." },
            Output { name: "cname", secret: false, doc: "What its records point to." },
            Output { name: "token", secret: true, doc: "What cloudflared runs with." },
        ]
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        let mut problems = Vec::new();
        required_text(spec, "name", &mut problems);
        if text(spec, "name").is_some_and(|name| uuid::Uuid::parse_str(name).is_ok()) {
            problems.push(
                Problem::error("name", "a tunnel cannot be called by a UUID")
                    .hint("cloudflared takes such a name for an id"),
            );
        }
        problems
    }

    /// A name is one live tunnel's (contract 4.4).
    fn claims(&self, spec: &Json) -> Option<String> {
        text(spec, "name").map(str::to_owned)
    }

    fn locate(&self, _spec: Option<&Json>, _id: Option<&str>, scope: &Scope) -> Option<Locate> {
        Some(Locate::In(vec![listing(scope)]))
    }

    /// Tunnels of the name (contract 4.2: maybe more than those, never less).
    fn narrowed(&self, spec: &Json) -> Filter {
        let name = text(spec, "name");
        name.map(|name| ("name".to_owned(), name.to_owned())).into_iter().collect()
    }

    fn read(&self, item: &Json, _scope: &Scope) -> Vec<Remote> {
        let tombstone = item.get("deleted_at").is_some_and(|at| !at.is_null());
        let (Some(id), Some(name), false) = (text(item, "id"), text(item, "name"), tombstone)
        else {
            return Vec::new();
        };
        let mut outputs = JsonMap::new();
        outputs.insert("id".to_owned(), json!(id));
        outputs.insert("cname".to_owned(), json!(cname(id)));
        vec![Remote {
            id: id.to_owned(),
            spec: json!({"name": name}),
            outputs,
            version: None,
            raw: item.clone(),
        }]
    }

    fn fetch(&self, id: &str, scope: &Scope) -> Option<Call> {
        let path = format!("{}/{id}", collection(scope));
        Some(Call::get(Service::Cloudflare, path).purpose("reading the tunnel"))
    }

    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        text(spec, "name").is_some() && spec.get("name") == remote.spec.get("name")
    }

    fn key(&self, spec: &Json) -> JsonMap {
        super::support::pick(spec, &["name"])
    }

    fn makes(&self, _spec: &Json) -> Vec<(&'static str, Recipe)> {
        vec![("secret", Recipe::HashedCharacters)]
    }

    fn rotates(&self) -> bool {
        true
    }

    fn users(&self, remote: &Remote, scope: &Scope) -> Option<Call> {
        let path = format!("{}/{}/connections", collection(scope), remote.id);
        Some(Call::get(Service::Cloudflare, path).purpose("reading who runs the tunnel"))
    }

    /// A connector keeps its connections after the secret is another one (contract 4.3), so that
    /// only those that began later tell that the new token works.
    fn renewed(&self, answer: &Answer, since: jiff::Timestamp) -> Readiness {
        let connectors = answer.body.as_array().map_or(&[][..], Vec::as_slice);
        let began = |connector: &Json| moment(connector.get("run_at"));
        let is_old = |connector: &&Json| began(connector).is_some_and(|began| began < since);
        let is_up = |connector: &&Json| !super::support::items(connector, "conns").is_empty();
        if connectors.iter().any(|connector| is_old(&connector)) {
            Readiness::Waiting("a connector still runs with the old token".to_owned())
        } else if connectors.iter().any(|connector| is_up(&connector)) {
            Readiness::Ready
        } else {
            Readiness::Waiting("no connector runs with the new token yet".to_owned())
        }
    }

    fn made_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        moment(remote.raw.get("created_at"))
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        compare::fields(facts, Compared::default())
    }

    /// The API's `status` of a tunnel: `inactive` (never connected), `healthy`, `degraded`, `down`.
    fn works(&self, remote: &Remote) -> Readiness {
        match remote.raw.get("status").and_then(Json::as_str) {
            Some("healthy") | None => Readiness::Ready,
            Some("degraded") => Readiness::Waiting("some of its connections are down".to_owned()),
            Some("inactive") => Readiness::Waiting("no connector has run it yet".to_owned()),
            Some("down") => Readiness::Failed("no connector runs it any more".to_owned()),
            Some(other) => Readiness::Waiting(format!("it is {other}")),
        }
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        let name = work.spec.get("name").cloned().unwrap_or_default();
        match (work.verb, answers.last()) {
            (Verb::Delete, _) => delete(work, answers),
            (Verb::Create | Verb::Update | Verb::Widen, Some(answer)) => {
                Ok(Next::done(remote_of(self.read(&answer.body, work.scope))?))
            }
            (Verb::Create, None) => {
                let secret = Special::secret(SecretId::output(work.address, "secret"), None);
                let body = json!({
                    "name": name,
                    "config_src": "cloudflare",
                    "tunnel_secret": secret,
                });
                let call = Call::change(Service::Cloudflare, Method::Post, collection(work.scope))
                    .body(body)
                    .key(self.key(work.spec))
                    .purpose("creating the tunnel");
                Ok(Next::call(call))
            }
            (Verb::Update | Verb::Widen, None) => {
                let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
                let path = format!("{}/{}", collection(work.scope), remote.id);
                let call = Call::change(Service::Cloudflare, Method::Patch, path);
                Ok(Next::call(if work.rotate.is_some() {
                    let secret = Special::secret(SecretId::output(work.address, "secret"), None);
                    call.body(json!({"name": name, "tunnel_secret": secret}))
                        .purpose("giving the tunnel a new secret")
                } else {
                    call.body(json!({"name": name})).purpose("renaming the tunnel")
                }))
            }
        }
    }

    fn secrets_in_answers(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("token", "/token"),
            ("secret", "/tunnel_secret"),
            ("secret", "/credentials_file/TunnelSecret"),
        ]
    }

    fn reveal(&self, remote: &Remote, output: &str, scope: &Scope) -> Option<(Call, String)> {
        (output == "token").then(|| (token(scope, &remote.id), String::new()))
    }

    /// A secret that someone made anew shows in the token only, which takes a permission to write
    /// (contract 1.3, 4.1).
    fn unread(
        &self,
        address: &Address,
        recorded: &Recorded,
        remote: &Remote,
        scope: &Scope,
    ) -> Vec<Unread> {
        let unread = |known: &String| Unread {
            path: "token",
            kept: Special::secret(SecretId::output(address, "token"), Some(known.clone())),
            how: Locate::By(token(scope, &remote.id)),
            wants: &["Cloudflare Tunnel Write"],
        };
        recorded.secrets.get("token").map(unread).into_iter().collect()
    }

    fn value_in<'a>(&self, _remote: &Remote, item: &'a Json) -> Option<&'a str> {
        item.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{Step, bodies, example, line, ok, problems, read, refusal, scope};

    const EXAMPLE: &str = include_str!("../../tests/contract/tunnel.json");

    #[test]
    fn the_example_of_the_contract_is_read() {
        let remote = read(&Tunnel, &example(EXAMPLE));
        assert_eq!(remote.spec, json!({"name": "cloudflare k8s tunnel"}));
        assert_eq!(
            remote.outputs.get("cname"),
            Some(&json!("f70ff985-a4ef-4643-bbbc-4a0ed4fc8415.cfargotunnel.com"))
        );
    }

    #[test]
    fn a_tombstone_is_no_tunnel() {
        let mut item = example(EXAMPLE);
        item["deleted_at"] = json!("2021-01-25T18:22:34Z");
        assert!(Tunnel.read(&item, &scope()).is_empty());
    }

    #[test]
    fn a_tunnel_is_made_with_a_secret_that_is_only_named() {
        let step = Step::new(&Tunnel, Verb::Create, json!({"name": "t"}), None);
        let (calls, end) = step.run(&[ok(example(EXAMPLE))]);
        assert_eq!(line(&calls[0]), "POST /accounts/acc/cfd_tunnel");
        assert_eq!(Json::Object(calls[0].key.clone()), json!({"name": "t"}));
        let body = &bodies(&calls)[0];
        assert_eq!(body["config_src"], "cloudflare");
        // A name is unique among live tunnels, so no mark is needed to find one again, and none
        // would keep a stack whose state was lost from taking its own tunnel over.
        assert_eq!(body.get("metadata"), None);
        let secret =
            SecretId::output(&crate::model::address::Address::new("tunnel", "x"), "secret");
        assert_eq!(body["tunnel_secret"], Special::secret(secret, None));
        assert!(end.unwrap().is_some());
    }

    #[test]
    fn a_new_secret_goes_with_the_name_and_is_only_named() {
        let remote = read(&Tunnel, &example(EXAMPLE));
        let mut step = Step::new(&Tunnel, Verb::Update, json!({"name": "t"}), Some(remote));
        step.rotate = Some(jiff::Timestamp::UNIX_EPOCH);
        let (calls, end) = step.run(&[ok(example(EXAMPLE))]);
        let tunnel = "/accounts/acc/cfd_tunnel/f70ff985-a4ef-4643-bbbc-4a0ed4fc8415";
        assert_eq!(line(&calls[0]), format!("PATCH {tunnel}"));
        let secret =
            SecretId::output(&crate::model::address::Address::new("tunnel", "x"), "secret");
        let body = json!({"name": "t", "tunnel_secret": Special::secret(secret, None)});
        assert_eq!(bodies(&calls), [body]);
        assert!(end.unwrap().is_some());
    }

    #[test]
    fn connectors_of_before_do_not_show_that_the_new_token_works() {
        let since = "2026-01-01T00:00:10Z".parse().unwrap();
        let one = |run_at: &str, conns: usize| json!({"id": "c", "run_at": run_at, "conns": vec![json!({"id": "x"}); conns]});
        let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:20.5Z");
        for (connectors, ready) in [
            (vec![], false),
            (vec![one(old, 4)], false),
            (vec![one(old, 4), one(new, 4)], false),
            (vec![one(new, 0)], false),
            (vec![one(new, 4)], true),
            (vec![one(new, 4), one(new, 0)], true),
        ] {
            let said = format!("{connectors:?}");
            let readiness = Tunnel.renewed(&ok(json!(connectors)), since);
            assert_eq!(readiness == Readiness::Ready, ready, "{said}");
        }
    }

    #[test]
    fn connections_go_first_and_are_cleaned_up_again_when_one_came_back() {
        let remote = read(&Tunnel, &example(EXAMPLE));
        let step = Step::new(&Tunnel, Verb::Delete, json!({"name": "t"}), Some(remote));
        let answers = [ok(json!({})), refusal(400, "1022"), ok(json!({})), ok(json!({}))];
        let (calls, end) = step.run(&answers);
        let tunnel = "/accounts/acc/cfd_tunnel/f70ff985-a4ef-4643-bbbc-4a0ed4fc8415";
        let delete = [format!("DELETE {tunnel}/connections"), format!("DELETE {tunnel}")];
        let lines: Vec<String> = calls.iter().map(line).collect();
        assert_eq!(lines, [delete.clone(), delete].concat());
        assert_eq!(end, Ok(None));
    }

    #[test]
    fn a_delete_that_keeps_being_refused_ends_with_advice() {
        let remote = read(&Tunnel, &example(EXAMPLE));
        let step = Step::new(&Tunnel, Verb::Delete, json!({"name": "t"}), Some(remote));
        let answers: Vec<Answer> =
            (0..20).flat_map(|_| [ok(json!({})), refusal(400, "1022")]).collect();
        let (calls, end) = step.run(&answers);
        assert_eq!(calls.len(), 2 * DELETE_ROUNDS);
        assert!(matches!(end, Err(KindError::Refused { hint: Some(_), .. })));
        let (_, end) = step.run(&[ok(json!({})), refusal(404, "1002")]);
        assert_eq!(end, Ok(None));
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        assert_eq!(problems(&Tunnel, json!({"name": " "})), ["name"]);
        let uuid = json!({"name": "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415"});
        assert_eq!(problems(&Tunnel, uuid), ["name"]);
    }
}
