//! A state with one account and one zone, and calls on it, for tests.

use serde_json::Value;

use super::{BASE, Call, State, handle};
use crate::sandbox::env::{Env, Ids};
use crate::sandbox::world::preset_cloudflare;

/// The API over a state of its own.
pub struct Sandbox {
    /// What the API holds.
    pub state: State,
    /// Clock and identifiers.
    pub env: Env,
    /// The token that calls bear.
    pub token: String,
    /// The header `cf-r2-storage-class` of calls.
    pub storage_class: Option<&'static str>,
}

impl Sandbox {
    /// One account, the zone `b0xp.io`, both tokens, the preset identity providers.
    pub fn new() -> Self {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut env = Env::new(now, Ids::seeded(1));
        let mut state = State::default();
        preset_cloudflare(&mut state, &"a".repeat(32), &["b0xp.io".to_owned()], &mut env);
        let token = state.tokens[0].value.clone();
        Sandbox { state, env, token, storage_class: None }
    }

    pub fn account(&self) -> String {
        self.state.accounts[0].id.clone()
    }

    pub fn zone(&self) -> String {
        self.state.zones[0].id.clone()
    }

    /// One call; `path` is without the base and may have a query.
    pub fn call(&mut self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = url::Url::parse(&format!("http://sandbox{BASE}{path}")).unwrap();
        let query: Vec<_> =
            url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let bearer = format!("Bearer {}", self.token);
        let call = Call {
            method,
            path: url.path(),
            query: &query,
            authorization: Some(&bearer),
            storage_class: self.storage_class,
            body: body.as_bytes(),
        };
        handle(&mut self.state, &call, &mut self.env)
    }

    pub fn get(&mut self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None);
        assert_eq!(status, 200, "{body}");
        body
    }

    pub fn status(&mut self, method: &str, path: &str, body: Option<Value>) -> u16 {
        self.call(method, path, body).0
    }

    /// Status and first error code.
    pub fn refusal(&mut self, method: &str, path: &str, body: Option<Value>) -> (u16, u64) {
        let (status, body) = self.call(method, path, body);
        (status, body["errors"][0]["code"].as_u64().unwrap_or_default())
    }
}
