use std::sync::RwLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kinds;
use crate::model::call::{Answer, Listing, Service};
use crate::model::error::CallError;
use crate::model::error::Failure;
use crate::model::event::{Event, Events};
use crate::model::plan::Requests;
use crate::model::port::{Outside, Sending, Transport, Turn, Turns};
use crate::model::project::Timing;
use crate::model::resource::{Meta, Resource};
use crate::model::scope::{ApiResource, Zone};
use crate::model::secret::Secrets;
use crate::model::state::Target;
use crate::run::StopFlag;

/// A zone too large for a short page, with the filters of the contract (3.2).
struct LargeZone(Vec<Json>);

impl Transport for LargeZone {
    fn send<'a>(&'a self, call: &'a Call, _: &'a RwLock<Secrets>) -> Sending<'a, Answer> {
        Box::pin(async move {
            let id = call.path.rsplit('/').next();
            let record = self.0.iter().find(|record| record["id"].as_str() == id);
            let answer = |body| Answer { status: 200, body, warnings: Vec::new() };
            record.cloned().map(answer).ok_or_else(|| CallError {
                service: Service::Cloudflare,
                operation: call.path.clone(),
                failure: Failure::NotFound,
                status: Some(404),
                code: Some("81044".to_owned()),
                message: "Record does not exist.".to_owned(),
                request_id: None,
                hint: None,
                retry_after_ms: None,
            })
        })
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Sending<'a, Vec<Json>> {
        let wanted = listing.call.query.iter().find(|(name, _)| name == "name");
        let fits = |record: &&Json| {
            let name = record["name"].as_str().unwrap_or_default().trim_end_matches('.');
            wanted.is_none_or(|(_, wanted)| wanted.eq_ignore_ascii_case(name))
        };
        let found = self.0.iter().filter(fits).cloned().collect();
        Box::pin(async move { Ok(found) })
    }

    fn list_small<'a>(&'a self, _: &'a Listing, _: u32) -> Sending<'a, Option<Vec<Json>>> {
        Box::pin(async { Ok(None) })
    }

    fn api_resources<'a>(&'a self) -> Sending<'a, Vec<ApiResource>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn target<'a>(&'a self, _: Service, _: &'a Scope) -> Sending<'a, Target> {
        Box::pin(async { Ok(Target::default()) })
    }

    fn requests(&self) -> Requests {
        Requests::default()
    }
}

struct Nothing;

impl Events for Nothing {
    fn emit(&self, _: Event) {}
}

impl Outside for Nothing {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn elapsed_ms(&self) -> u64 {
        0
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl Turns for Nothing {
    fn take(&self, _: &str) -> std::io::Result<Option<Box<dyn Turn>>> {
        Ok(None)
    }
}

/// A record of a few names, types and contents, so that many meet.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    kind: &'static str,
    content: u8,
}

impl Row {
    fn spec(&self) -> Json {
        let content = match self.kind {
            "A" => format!("192.0.2.{}", self.content),
            "CNAME" => format!("c{}.example.org", self.content),
            _ => format!("text {}", self.content),
        };
        json!({"name": format!("{}.b0xp.io", self.name), "type": self.kind, "content": content})
    }
}

fn row() -> impl Strategy<Value = Row> {
    let name = prop_oneof![12 => "[abc]", 1 => Just("*".to_owned()), 1 => Just("é".to_owned())];
    let kind = prop_oneof![Just("A"), Just("CNAME"), Just("TXT")];
    (name, kind, 0u8..3).prop_map(|(name, kind, content)| Row { name, kind, content })
}

/// The zone as it is answered: in the service's form, or in one that means the same.
fn shown(rows: &[(Row, bool)]) -> Vec<Json> {
    let record = |(at, (row, loud)): (usize, &(Row, bool))| {
        let mut record = row.spec();
        let name = kinds::support::hostname(record["name"].as_str().unwrap_or_default());
        record["name"] =
            if *loud { json!(format!("{}.", name.to_uppercase())) } else { json!(name) };
        record["id"] = json!(format!("r{at}"));
        record
    };
    rows.iter().enumerate().map(record).collect()
}

fn recorded(sent: &Json, id: usize) -> crate::model::state::Recorded {
    let record = json!({
        "kind": "dns_record", "id": format!("z1/r{id}"), "key": {}, "sent": sent, "answered": {},
        "created_at": "", "updated_at": "",
    });
    serde_json::from_value(record).expect("a record")
}

fn scope() -> Scope {
    let zone = Zone { id: "z1".to_owned(), name: "b0xp.io".to_owned() };
    Scope { zones: vec![zone], ..Scope::default() }
}

proptest! {
    /// What a stack is told of a zone by filters is what the whole zone tells it: also of records
    /// that others renamed or deleted, and of those beside its own.
    #[test]
    fn filters_show_the_same_world_as_the_whole_zone(
        zone in prop::collection::vec((row(), any::<bool>()), 0..12),
        ours in prop::collection::vec((row(), prop::option::of(0usize..14)), 1..6),
    ) {
        let api = LargeZone(shown(&zone));
        let (secrets, stop) = (RwLock::new(Secrets::new()), StopFlag::default());
        let context = Context {
            transport: &api,
            events: &Nothing,
            secrets: &secrets,
            outside: &Nothing,
            turns: &Nothing,
            timing: Timing::default(),
            stop: &stop,
            kinds: kinds::find,
        };
        let scope = scope();
        let mut stack = Stack { name: "one".into(), ..Stack::default() };
        let mut state = State::new("one", "lineage".into());
        for (at, (row, id)) in ours.iter().enumerate() {
            let address = Address::new("dns_record", format!("r{at}"));
            let spec = row.spec();
            let sent = kinds::dns_record::DnsRecord.declare(&spec, &scope).expect("a spec");
            if let Some(id) = id {
                state.resources.insert(address.clone(), recorded(&sent, *id));
            }
            let (meta, location) = (Meta::default(), None);
            stack.resources.push(Resource { address, spec, meta, location });
        }
        let lookups = Known::new();
        let subject =
            [Subject { stack: &stack, state: Some(&state), lookups: &lookups, lost: &[] }];
        let away = Away::default();
        let mut whole = Collections::default();
        let listing = kinds::dns_record::listing(&scope.zones[0]);
        let wanted = [Wanted { listing, filter: Filter::new() }];
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (listed, filtered) = runtime.block_on(async {
            whole.read(&context, &wanted, &[]).await;
            let listed = observe(&context, &subject, &scope, &away, whole).await;
            let none = Collections::default();
            (listed, observe(&context, &subject, &scope, &away, none).await)
        });
        prop_assert_eq!(&listed[0].resources, &filtered[0].resources);
        prop_assert_eq!(&listed[0].candidates, &filtered[0].candidates);
    }
}
