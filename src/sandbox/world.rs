//! Everything one sandbox holds, how it begins, and how its parts act on one another.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cloudflare::{self, Account, ApiToken, tunnels};
use super::env::{Env, Ids};
use super::kubernetes::{self, Cluster, Outside};
use super::options::Preset;
use super::ssm;

/// The two parameters that are there from the start: credentials that an ExternalSecret reads.
pub const PRESET_PARAMETERS: [&str; 2] =
    ["parameter-reader-access-key-id", "parameter-reader-secret-access-key"];

/// The state of a sandbox, as `world.json` keeps it.
#[derive(Clone, Serialize, Deserialize)]
pub struct World {
    /// The Cloudflare API.
    pub cloudflare: cloudflare::State,
    /// SSM and STS.
    pub ssm: ssm::State,
    /// The Kubernetes API.
    pub cluster: Cluster,
    /// The region whose parameters the secret store reads.
    pub region: String,
    /// The bearer token of the kubeconfig's user.
    pub kubernetes_token: String,
    /// A bearer token that may only read.
    pub kubernetes_read_token: String,
    /// Where this world was served lately; a shell may still have one of them as its
    /// AWS_ENDPOINT_URL.
    #[serde(default)]
    pub served_at: Vec<String>,
}

/// Addresses that are remembered.
const SERVED: usize = 100;

impl World {
    /// A world without presets.
    pub fn new(now: Timestamp, ids: &mut Ids) -> Self {
        World {
            cloudflare: cloudflare::State::default(),
            ssm: ssm::State::default(),
            cluster: Cluster::new(now),
            region: String::new(),
            kubernetes_token: format!("sandbox-admin-{}", ids.token(32)),
            kubernetes_read_token: format!("sandbox-read-{}", ids.token(32)),
            served_at: Vec::new(),
        }
    }

    /// Sets up what the preset names; what is there already stays. A cluster is set up once.
    pub fn preset(&mut self, preset: &Preset, fresh: bool, env: &mut Env) {
        // What is there from the start is not new to lists that lag behind.
        let now = env.now;
        env.now -= SignedDuration::from_hours(24);
        let mut zones = preset.zones.clone();
        zones.extend(preset.plans.iter().map(|one| one.zone.clone()));
        preset_cloudflare(&mut self.cloudflare, &preset.account_id, &zones, env);
        for cloudflare::ZonePlan { zone, plan } in &preset.plans {
            let named = self.cloudflare.zones.iter_mut().filter(|known| known.name == *zone);
            named.for_each(|known| known.plan = *plan);
        }
        env.now = now;
        preset_aws(&mut self.ssm, env);
        self.region = preset.region.clone();
        if fresh {
            let cluster = kubernetes::Preset {
                secret_stores: preset.secret_stores.clone(),
                nodes: (1..=3).map(|n| format!("golyat-{n}")).collect(),
            };
            self.cluster.preset(&cluster, env.now);
        }
    }

    /// Notes that the world is served at `url` now.
    pub fn serve_at(&mut self, url: &str) {
        self.served_at.retain(|known| known != url);
        self.served_at.push(url.to_owned());
        let over = self.served_at.len().saturating_sub(SERVED);
        self.served_at.drain(..over);
    }

    /// The two preset parameters with fresh values: name and value.
    pub fn preset_parameters(ids: &mut Ids) -> [(String, String); 2] {
        let [id, secret] = PRESET_PARAMETERS;
        let (id, secret) = (id.to_owned(), secret.to_owned());
        [(id, format!("AKIA{}", ids.capitals(16))), (secret, ids.token(40))]
    }

    /// Creates these SecureStrings in the sandbox's own SSM where they are missing.
    pub fn put_missing_parameters(&mut self, parameters: &[(String, String)], env: &Env) {
        let user = format!("arn:aws:iam::{}:user/boxctl", self.ssm.account);
        let region = self.ssm.parameters.entry(self.region.clone()).or_default();
        for (name, value) in parameters {
            region
                .entry(name.clone())
                .or_insert_with(|| ssm::Parameter::secure(value, &user, env.now));
        }
    }

    /// The values of the sandbox's own parameters.
    pub fn own_parameters(&self, names: &[String]) -> BTreeMap<String, String> {
        let Some(parameters) = self.ssm.parameters.get(&self.region) else {
            return BTreeMap::new();
        };
        let value = |name: &String| {
            let version = parameters.get(name)?.latest()?;
            Some((name.clone(), version.value.clone()))
        };
        names.iter().filter_map(value).collect()
    }

    /// Lets the cluster's controllers run with these parameters, then connects the tunnels'
    /// connectors.
    pub fn reconcile(&mut self, parameters: BTreeMap<String, String>, env: &mut Env) {
        self.cluster.reconcile(&Outside { parameters }, env.now);
        self.connect(env);
    }

    /// Brings the tunnels' connections in line with the connectors that run.
    pub fn connect(&mut self, env: &mut Env) {
        let connectors = self.cluster.connectors().into_iter();
        let running: Vec<tunnels::Running> = connectors
            .map(|one| tunnels::Running {
                pod: one.pod_uid,
                token: one.token,
                connections: one.connections.unwrap_or(tunnels::CONNECTIONS),
            })
            .collect();
        tunnels::connect(&mut self.cloudflare, &running, env);
    }

    /// The whole world as JSON, secrets in plain; what is deleted and only remembered stands
    /// apart, under `tombstones`.
    pub fn dump(&self) -> Value {
        let (live, deleted): (Vec<_>, Vec<_>) =
            self.cloudflare.tunnels.iter().partition(|tunnel| tunnel.deleted_at.is_none());
        let mut cloudflare = json!(self.cloudflare);
        cloudflare["tunnels"] = json!(live);
        cloudflare.as_object_mut().and_then(|parts| parts.remove("audit"));
        let mut routes = json!({});
        for list in ["routes", "hostname_routes"] {
            let all = cloudflare["networks"][list].as_array().cloned().unwrap_or_default();
            let (live, deleted): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|route| route["deleted_at"].is_null());
            cloudflare["networks"][list] = json!(live);
            routes[list] = json!(deleted);
        }
        let mut ssm = json!(self.ssm);
        ssm.as_object_mut().and_then(|ssm| ssm.remove("deleted"));
        if let Some(regions) = ssm["parameters"].as_object_mut() {
            regions.retain(|_, parameters| parameters.as_object().is_some_and(|p| !p.is_empty()));
        }
        json!({
            "cloudflare": cloudflare, "ssm": ssm, "kubernetes": self.cluster.dump(),
            "tombstones": { "tunnels": deleted, "networks": routes },
        })
    }
}

/// The account, zones, tokens and what Access has from the start; what is there stays.
pub fn preset_cloudflare(
    state: &mut cloudflare::State,
    account: &str,
    zones: &[String],
    env: &mut Env,
) {
    if state.tokens.is_empty() {
        for read_only in [false, true] {
            let (id, value) = (env.ids.hex(32), env.ids.token(40));
            let name = if read_only { "reader" } else { "boxctl" }.to_owned();
            state.tokens.push(ApiToken { id, value, name, read_only, grants: None });
        }
    }
    let account = match (account, state.accounts.first()) {
        ("", Some(first)) => first.id.clone(),
        ("", None) => env.ids.hex(32),
        (named, _) => named.to_owned(),
    };
    let account = account.as_str();
    if !state.accounts.iter().any(|known| known.id == account) {
        state.accounts.push(Account { id: account.to_owned(), name: "Sandbox".to_owned() });
    }
    for zone in zones {
        let (id, name) = match cloudflare::is_hex_id(zone) {
            true => (zone.clone(), format!("{}.example", &zone[..8])),
            false => (env.ids.hex(32), zone.trim_end_matches('.').to_lowercase()),
        };
        let name = idna::domain_to_ascii(&name).unwrap_or(name);
        if !state.zones.iter().any(|known| known.name == name) {
            let account_id = account.to_owned();
            let (created_on, plan) = (env.stamp(), cloudflare::Plan::default());
            state.zones.push(cloudflare::Zone { id, name, account_id, created_on, plan });
        }
    }
    cloudflare::access::preset(&mut state.access, account, env);
    cloudflare::networks::preset(&mut state.networks, account, env);
    cloudflare::devices::preset(&mut state.devices, account, env);
}

/// The AWS account, its access keys and KMS keys; what is there stays.
pub fn preset_aws(state: &mut ssm::State, env: &mut Env) {
    if !state.account.is_empty() {
        return;
    }
    state.account = format!("1{}", env.ids.digits(11));
    state.salt = env.ids.hex(64);
    for (user, read_only) in [("boxctl", false), ("reader", true)] {
        state.keys.push(ssm::AccessKey {
            id: format!("AKIA{}", env.ids.capitals(16)),
            secret: env.ids.token(40),
            user: user.to_owned(),
            read_only,
        });
    }
    state.kms.push(ssm::KmsKey { id: env.ids.uuid(), alias: "alias/sandbox".to_owned() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> (World, Env) {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut env = Env::new(now, Ids::seeded(5));
        let mut world = World::new(now, &mut env.ids);
        let preset = Preset {
            account_id: "a".repeat(32),
            zones: vec!["b0xp.io".to_owned(), "b".repeat(32)],
            region: "ap-northeast-1".to_owned(),
            ..Preset::default()
        };
        world.preset(&preset, true, &mut env);
        world.preset(&preset, false, &mut env);
        let parameters = World::preset_parameters(&mut env.ids);
        world.put_missing_parameters(&parameters, &env);
        (world, env)
    }

    fn cloudflare(world: &mut World, env: &mut Env, call: (&str, String, Value)) -> Value {
        let (method, path, body) = call;
        let authorization = format!("Bearer {}", world.cloudflare.tokens[0].value);
        let path = format!("{}{path}", cloudflare::BASE);
        let body = body.to_string();
        let call = cloudflare::Call {
            method,
            path: &path,
            query: &[],
            authorization: Some(&authorization),
            storage_class: None,
            body: body.as_bytes(),
        };
        let (status, answer) = cloudflare::handle(&mut world.cloudflare, &call, env);
        assert!(status < 300, "{method} {path}: {answer}");
        answer["result"].clone()
    }

    fn ssm(world: &mut World, env: &mut Env, operation: &str, input: Value) {
        let key = &world.ssm.keys[0].id;
        let header = format!("AWS4-HMAC-SHA256 Credential={key}/d/{}/ssm/x", world.region);
        let body = input.to_string();
        let call = ssm::Call { operation, authorization: Some(&header), body: body.as_bytes() };
        assert_eq!(ssm::handle(&mut world.ssm, &call, env).status, 200, "{operation}");
    }

    #[test]
    fn a_world_is_preset_once() {
        let (world, _) = world();
        assert_eq!(world.cloudflare.accounts.len(), 1);
        assert_eq!(world.cloudflare.zones.len(), 2);
        assert_eq!(world.cloudflare.zones[1].id, "b".repeat(32));
        let names = PRESET_PARAMETERS.map(str::to_owned);
        assert_eq!(world.own_parameters(&names).len(), 2);
        assert_eq!(world.own_parameters(&["missing".to_owned()]).len(), 0);
    }

    #[test]
    fn what_is_made_and_deleted_leaves_tombstones_only() {
        let (mut world, mut env) = world();
        let before = world.dump();
        let account = format!("/accounts/{}", "a".repeat(32));
        let zone = format!("/zones/{}/dns_records", world.cloudflare.zones[0].id);
        let policy = json!({"name": "p", "decision": "allow", "include": [{"everyone": {}}]});
        let made = [
            (zone, json!({"type": "TXT", "name": "a", "content": "x"})),
            (format!("{account}/cfd_tunnel"), json!({"name": "t"})),
            (format!("{account}/access/policies"), policy.clone()),
            (
                format!("{account}/access/apps"),
                json!({"type": "self_hosted", "domain": "a.b0xp.io", "policies": [policy]}),
            ),
            (format!("{account}/access/service_tokens"), json!({"name": "s"})),
        ]
        .map(|(path, body)| {
            let result = cloudflare(&mut world, &mut env, ("POST", path.clone(), body));
            format!("{path}/{}", result["id"].as_str().unwrap())
        });
        let input = json!({"Name": "p", "Value": "v", "Type": "SecureString"});
        ssm(&mut world, &mut env, "PutParameter", input);
        assert_ne!(world.dump(), before);

        for path in made {
            cloudflare(&mut world, &mut env, ("DELETE", path, Value::Null));
        }
        ssm(&mut world, &mut env, "DeleteParameter", json!({"Name": "p"}));
        let mut after = world.dump();
        assert_eq!(after["tombstones"]["tunnels"][0]["name"], "t");
        after["tombstones"] = before["tombstones"].clone();
        assert_eq!(after, before);
    }
}
