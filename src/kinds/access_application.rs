//! A Zero Trust Access application (contract 6.1).

use serde_json::json;

use super::access_application_body::{
    GUARDED, canonical_destination, canonical_domain, canonical_list, create_body, emptied_body,
    foreign_policies, guarded, host_of, observed_policies, public, replacement_body, shares,
    spelt_domain, wanted, widened_body,
};
pub use super::access_application_spec::AccessApplicationSpec;
use super::access_application_type::{FEATURE, check_guarded, check_type, is_singleton, type_of};
use super::access_policy::{check_duration, session};
use super::access_rules::provider_id;
use super::compare::{self, Compared};
use super::forms::{self, Form, NormalForm, Rest, rule};
use super::support::{fields, is_gone, is_id, items, moment, pick, refused, remote_of, text};
use crate::model::call::{Answer, Call, Listing, Method, Paging, Service};
use crate::model::change::FieldChange;
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Leaving, Locate, Next, Output, Problem, Verb, Work,
};
use crate::model::observed::Remote;
use crate::model::path;
use crate::model::scope::{Need, Scope};
use crate::model::{Json, JsonMap};

/// The kind `access_application`.
pub struct AccessApplication;

const FIELDS: [&str; 33] = [
    "name",
    "type",
    "domain",
    "destinations",
    "self_hosted_domains",
    "session_duration",
    "allowed_idps",
    "auto_redirect_to_identity",
    "app_launcher_visible",
    "http_only_cookie_attribute",
    "enable_binding_cookie",
    "options_preflight_bypass",
    "skip_interstitial",
    "path_cookie_attribute",
    "service_auth_401_redirect",
    "allow_iframe",
    "same_site_cookie_attribute",
    "allow_authenticate_via_warp",
    "custom_deny_message",
    "custom_deny_url",
    "custom_non_identity_deny_url",
    "logo_url",
    "custom_pages",
    "tags",
    "cors_headers",
    "scim_config",
    "mfa_config",
    "oauth_configuration",
    "saas_app",
    "target_criteria",
    "read_service_tokens_from_header",
    "eager_redirect_cookie_setting",
    "use_clientless_isolation_app_launcher_url",
];
/// Its normal forms. `policies` are compared by id in order of precedence, and of `domain`,
/// `destinations` and `self_hosted_domains` the one that is declared (contract 8): `diff`.
#[rustfmt::skip]
const FORMS: &[NormalForm] = &[
    rule("domain", Form::Spelt(|domain, _| spelt_domain(domain))),                 // 6.1, as hostnames of 3.5
    rule("self_hosted_domains", Form::Spelt(|list, _| canonical_list(list, spelt_domain))), // 6.1
    rule("self_hosted_domains", Form::Set),                                        // 6.1
    rule("destinations", Form::Spelt(|list, _| canonical_list(list, canonical_destination))), // 8: type is public
    rule("destinations", Form::Set),                                               // 6.1
    rule("session_duration", Form::Spelt(|length, _| session(length))),            // 8: parsed durations
    rule("session_duration", Form::Absent(Rest::Text("24h"))),                     // 8
    rule("allowed_idps", Form::Absent(Rest::Nothing)),                             // 8
    rule("allowed_idps", Form::Set),                                               // 8
    rule("tags", Form::Absent(Rest::Nothing)),                                     // 8
    rule("tags", Form::Set),                                                       // 8; 6.1: answered by the alphabet
    rule("custom_pages", Form::Absent(Rest::Nothing)),                             // 8
    rule("custom_pages", Form::Set),                                               // 8
    rule("auto_redirect_to_identity", Form::Absent(Rest::Switch(false))),          // 8
    rule("enable_binding_cookie", Form::Absent(Rest::Switch(false))),              // 8
    rule("options_preflight_bypass", Form::Absent(Rest::Switch(false))),           // 8
    rule("skip_interstitial", Form::Absent(Rest::Switch(false))),                  // 8
    rule("path_cookie_attribute", Form::Absent(Rest::Switch(false))),              // 8
    rule("service_auth_401_redirect", Form::Absent(Rest::Switch(false))),          // 8
    rule("allow_iframe", Form::Absent(Rest::Switch(false))),                       // 8
    rule("use_clientless_isolation_app_launcher_url", Form::Absent(Rest::Switch(false))), // 6.1: a switch as those
    rule("app_launcher_visible", Form::Absent(Rest::Switch(true))),                // 8
    rule("http_only_cookie_attribute", Form::Absent(Rest::Switch(true))),          // 8
    rule("eager_redirect_cookie_setting", Form::Absent(Rest::Switch(true))),       // 6.1
];

/// The account's applications.
pub fn listing(scope: &Scope) -> Listing {
    let call =
        Call::get(Service::Cloudflare, collection(scope)).purpose("listing Access applications");
    Listing { call, paging: Paging::Pages(100) }
}

fn collection(scope: &Scope) -> String {
    format!("/accounts/{}/access/apps", scope.account_id)
}

impl Kind for AccessApplication {
    fn name(&self) -> &'static str {
        "access_application"
    }

    fn doc(&self) -> &'static str {
        "A Zero Trust Access application: what stands before a hostname and asks who is there."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(AccessApplicationSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[
            Output { name: "id", secret: false, doc: "The application's UUID." },
            Output { name: "aud", secret: false, doc: "The audience tag of its tokens." },
            Output { name: "domain", secret: false, doc: "What it guards first." },
        ]
    }

    fn known_outputs(&self, spec: &Json, _scope: &Scope) -> JsonMap {
        let mut out = JsonMap::new();
        if let Some(domain) = text(spec, "domain") {
            out.insert("domain".to_owned(), json!(canonical_domain(domain)));
        }
        out
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(kind) = type_of(spec) {
            check_type(kind, spec, &mut problems);
        }
        check_guarded(spec, &mut problems);
        check_duration(spec, "session_duration", &mut problems);
        if spec.get("auto_redirect_to_identity") == Some(&json!(true))
            && items(spec, "allowed_idps").len() != 1
        {
            problems.push(Problem::error(
                "auto_redirect_to_identity",
                "this wants exactly one identity provider in `allowed_idps`",
            ));
        }
        if let Some(value) = text(spec, "same_site_cookie_attribute")
            && !["none", "lax", "strict"].contains(&value)
        {
            problems.push(
                Problem::error("same_site_cookie_attribute", format!("`{value}` is not a value"))
                    .hint("the values are none, lax and strict"),
            );
        }
        if spec.get("policies").and_then(Json::as_array).is_some_and(Vec::is_empty) {
            problems.push(Problem::warning(
                "no-policy",
                "policies",
                "an application without a policy lets nobody in",
            ));
        }
        problems
    }

    fn hostnames(&self, spec: &Json, _scope: &Scope) -> Vec<String> {
        let mut found = Vec::new();
        for item in wanted(spec).iter().chain(text(spec, "domain").map(public).iter()) {
            let host = text(item, "uri").map(host_of);
            if let Some(host) = host.filter(|host| !found.contains(host)) {
                found.push(host);
            }
        }
        found
    }

    fn needs(&self, spec: &Json) -> Vec<Need> {
        let named = |idp: &Json| idp.as_str().is_some_and(|name| !is_id(name));
        if items(spec, "allowed_idps").iter().any(named) {
            vec![Need::IdentityProviders]
        } else {
            Vec::new()
        }
    }

    fn declare(&self, spec: &Json, scope: &Scope) -> Result<Json, Problem> {
        let mut out = forms::spelt(FORMS, fields(spec));
        out.entry("type").or_insert(json!("self_hosted"));
        if let Some(Json::Array(providers)) = out.get_mut("allowed_idps") {
            for (index, provider) in providers.iter_mut().enumerate() {
                if let Some(name) = provider.as_str() {
                    *provider = json!(provider_id(name, &format!("allowed_idps[{index}]"), scope)?);
                }
            }
        }
        Ok(Json::Object(out))
    }

    fn locate(&self, _spec: Option<&Json>, _id: Option<&str>, scope: &Scope) -> Option<Locate> {
        Some(Locate::In(vec![listing(scope)]))
    }

    fn read(&self, item: &Json, _scope: &Scope) -> Vec<Remote> {
        let Some(id) = text(item, "id").filter(|_| item.get("decision").is_none()) else {
            return Vec::new();
        };
        let seen = forms::spelt(FORMS, pick(item, &FIELDS));
        let mut spec = forms::read(&forms_of(is_singleton(item)), seen);
        spec.insert("policies".to_owned(), Json::Array(observed_policies(item)));
        let mut outputs = pick(item, &["id", "aud"]);
        let first = text(item, "domain").map(canonical_domain);
        let first = first
            .or_else(|| guarded(item).iter().find_map(|item| text(item, "uri").map(str::to_owned)));
        outputs.insert("domain".to_owned(), json!(first.unwrap_or_default()));
        vec![Remote {
            id: id.to_owned(),
            spec: Json::Object(spec),
            outputs,
            version: None,
            raw: item.clone(),
        }]
    }

    fn fetch(&self, id: &str, scope: &Scope) -> Option<Call> {
        let path = format!("{}/{id}", collection(scope));
        Some(Call::get(Service::Cloudflare, path).purpose("reading the application"))
    }

    /// Two applications cannot guard one thing, so what it guards first names it.
    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        if is_singleton(spec) {
            return spec.get("type") == remote.spec.get("type");
        }
        let (ours, theirs) = (wanted(spec), guarded(&remote.raw));
        match ours.first() {
            Some(first) => theirs.contains(first),
            None => {
                spec.get("name").is_some()
                    && spec.get("name") == remote.spec.get("name")
                    && spec.get("type") == remote.spec.get("type")
            }
        }
    }

    fn places(&self, spec: &Json) -> Vec<String> {
        let hosts = public_uris(spec).map(|uri| host_of(&uri)).collect::<Vec<_>>();
        let parents =
            hosts.iter().filter_map(|host| Some(format!("*.{}", host.split_once('.')?.1)));
        let parents: Vec<String> = parents.collect();
        hosts.into_iter().chain(parents).collect()
    }

    /// Of all applications that a URL fits, the one that says most of it is asked (contract 6.1).
    fn overlaid(&self, spec: &Json, other: &Remote) -> Option<FieldChange> {
        let ours: Vec<String> = public_uris(spec).collect();
        let theirs = public_uris(&Json::Object(fields(&other.raw)))
            .find(|theirs| ours.iter().any(|ours| is_within(theirs, ours)))?;
        let shown = pick(&other.spec, &["name", "type", "policies"]);
        let mut shown = Json::Object(shown);
        path::put(&mut shown, "uri", json!(theirs));
        let mut change =
            FieldChange::new(format!("beside[id=\"{}\"]", other.id), None, Some(shown));
        change.note = Some("another application takes a part of what this one guards".to_owned());
        change.since = self.modified_at(other).map(|at| at.to_string());
        Some(change)
    }

    fn key(&self, spec: &Json) -> JsonMap {
        if is_singleton(spec) {
            return pick(spec, &["type"]);
        }
        let guarded = pick(spec, &GUARDED);
        if guarded.is_empty() { pick(spec, &["type", "name"]) } else { guarded }
    }

    fn made_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        moment(remote.raw.get("created_at"))
    }

    fn modified_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        super::support::modified(&remote.raw)
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        diff(facts)
    }

    fn replaces(&self, path: &str, _spec: &Json, _remote: &Remote) -> Option<String> {
        (path == "type").then(|| "an application's type cannot be changed".to_owned())
    }

    fn never_replaced(&self) -> Option<&'static str> {
        Some(
            "its hostname would be open in between, and its `aud` would be another one: \
             add a second application under another name for what is new, move over, then take \
             the old one out of the files",
        )
    }

    fn leaving(&self, sent: &Json) -> Leaving {
        match (is_singleton(sent), items(sent, "policies").is_empty()) {
            (false, _) => Leaving::Deleted,
            (true, false) => Leaving::Emptied(
                "the account keeps this application: the policies that were put on it come off",
            ),
            (true, true) => Leaving::Left("the account keeps this application: it stays as it is"),
        }
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        if work.verb == Verb::Create && is_singleton(work.spec) {
            let kind = text(work.spec, "type").unwrap_or_default();
            return Err(KindError::Impossible {
                message: format!("the account has no `{kind}` application"),
                hint: Some("it comes with the feature: turn that on in the dashboard".to_owned()),
            });
        }
        if work.verb == Verb::Create {
            return match answers.last() {
                Some(answer) => Ok(Next::done(remote_of(self.read(&answer.body, work.scope))?)),
                None => {
                    let mut key = self.key(work.spec);
                    key.shift_remove("policies");
                    let call =
                        Call::change(Service::Cloudflare, Method::Post, collection(work.scope))
                            .body(Json::Object(create_body(work.spec)))
                            .key(key)
                            .purpose("creating the application");
                    Ok(Next::call(call))
                }
            };
        }
        let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
        let path = format!("{}/{}", collection(work.scope), remote.id);
        match (work.verb, answers) {
            (Verb::Delete, []) if is_singleton(work.spec) => {
                let call = Call::get(Service::Cloudflare, path).tolerate(&[404]);
                Ok(Next::call(call.purpose("reading the application before its change")))
            }
            (Verb::Delete, [read]) if is_singleton(work.spec) && read.is_success() => {
                let Some(body) = emptied_body(work, &read.body) else { return Ok(Next::gone()) };
                let call = Call::change(Service::Cloudflare, Method::Put, path)
                    .body(Json::Object(body))
                    .purpose("taking policies off the application");
                Ok(Next::call(call))
            }
            (Verb::Delete, []) => {
                let call = Call::change(Service::Cloudflare, Method::Delete, path)
                    .tolerate(&[404])
                    .purpose("deleting the application");
                Ok(Next::call(call))
            }
            (Verb::Delete, [answer, ..]) if is_gone(answer) => Ok(Next::gone()),
            (Verb::Delete, [answer, ..]) => Err(refused(answer, None)),
            (_, []) => {
                let call = Call::get(Service::Cloudflare, path)
                    .purpose("reading the application before its change");
                Ok(Next::call(call))
            }
            (verb, [read]) => {
                let (body, purpose) = match verb {
                    Verb::Widen => (widened_body(work, &read.body), "widening the application"),
                    _ => (replacement_body(work, &read.body), "changing the application"),
                };
                let call = Call::change(Service::Cloudflare, Method::Put, path)
                    .body(Json::Object(body))
                    .purpose(purpose);
                Ok(Next::call(call))
            }
            (_, [_, written, ..]) => {
                Ok(Next::done(remote_of(self.read(&written.body, work.scope))?))
            }
        }
    }

    /// Access comes before what is routed.
    fn rank(&self, _spec: &Json) -> u32 {
        50
    }
}

/// The rules that an application is held to. Of those that the account has without anyone's making
/// them, most fields are left alone.
fn forms_of(singleton: bool) -> Vec<NormalForm> {
    FORMS.iter().filter(|rule| !singleton || FEATURE.contains(&rule.field)).copied().collect()
}

/// What of an application is to be found on the internet: hosts, with their paths.
fn public_uris(spec: &Json) -> impl Iterator<Item = String> + use<> {
    let all = wanted(spec).into_iter();
    all.filter(|item| text(item, "type") == Some("public"))
        .filter_map(|item| text(&item, "uri").map(str::to_owned))
}

/// Whether one URL says more than the other, so that it takes a part of what that one takes.
fn is_within(inner: &str, outer: &str) -> bool {
    let split = |uri: &str| {
        let (host, path) = uri.split_once('/').unwrap_or((uri, ""));
        (host.to_owned(), path.trim_end_matches(['*', '/']).to_owned())
    };
    let ((inner, below), (outer, above)) = (split(inner), split(outer));
    let rest = below.strip_prefix(&above);
    let is_below =
        rest.is_some_and(|rest| rest.is_empty() || above.is_empty() || rest.starts_with('/'));
    match outer.strip_prefix('*') {
        _ if inner == outer => is_below && below != above,
        Some(end) => is_below && inner.ends_with(end) && !inner.starts_with('*'),
        None => false,
    }
}

fn without_policies(spec: &Json, out: &[Json]) -> Json {
    let mut spec = fields(spec);
    if let Some(Json::Array(policies)) = spec.get_mut("policies") {
        policies.retain(|id| !out.contains(id));
    }
    Json::Object(spec)
}

fn diff(facts: &Facts<'_>) -> Diffed {
    let observed = items(&facts.remote.spec, "policies");
    let written = facts.declared.or(facts.sent).is_some_and(|spec| spec.get("policies").is_some());
    let kept = !written || shares(facts.shared, "policies");
    let foreign = foreign_policies(facts.sent, facts.declared, observed);
    let mut seen = facts.remote.clone();
    let answered = facts.answered.map(|answered| {
        let old = foreign_policies(facts.sent, facts.declared, items(answered, "policies"));
        without_policies(answered, if kept { &old } else { &[] })
    });
    if kept {
        seen.spec = without_policies(&facts.remote.spec, &foreign);
    }
    let inner = Facts { remote: &seen, answered: answered.as_ref(), ..*facts };
    let singleton = is_singleton(&facts.remote.spec);
    // What nobody declares of one that was there before boxctl stays as it is.
    let how = forms::compared(&forms_of(singleton));
    let how = match singleton && facts.sent.is_none() {
        true => Compared { defaults: JsonMap::new(), ..how },
        false => how,
    };
    let mut diffed = compare::fields(&inner, how);
    if kept && !path::covered(facts.ignore, "policies") {
        diffed.foreign.extend(foreign.iter().map(|id| {
            let policies = items(&facts.remote.raw, "policies");
            let policy = policies.iter().find(|policy| policy.get("id") == Some(id));
            let shown = policy.map(|p| pick(p, &["id", "name", "decision"])).unwrap_or_default();
            let id = id.as_str().unwrap_or_default();
            let mut change =
                FieldChange::new(format!("policies[id=\"{id}\"]"), None, Some(Json::Object(shown)));
            change.note = Some("a policy beside those of the files".to_owned());
            change
        }));
    }
    diffed
}

#[cfg(test)]
#[path = "access_application_tests.rs"]
mod tests;
