//! Reads the values that plans take as they are recorded, and holds them against the records.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};

use crate::engine::fingerprint;
use crate::model::Json;
use crate::model::address::Address;
use crate::model::call::Listing;
use crate::model::error::{CallError, Failure};
use crate::model::kind::{Kind, Locate};
use crate::model::observed::{Observed, Remote, World};
use crate::model::scope::Scope;
use crate::model::secret::Secret;
use crate::model::unread::{Reading, Told, Unread};
use crate::model::value::Special;

use super::observe::why;
use super::pipeline::Subject;
use super::{Context, write};

/// How many requests may be under way at once.
const AT_ONCE: usize = 16;

/// One value to be read.
struct Wanted<'a> {
    subject: usize,
    address: &'a Address,
    kind: &'static dyn Kind,
    remote: &'a Remote,
    value: Unread,
}

/// Reads the values of all that is recorded and there, and adds to each world what they told. The
/// values themselves are forgotten, but for scrubbing texts of them.
pub async fn read(
    context: &Context<'_>,
    subjects: &[Subject],
    scope: &Scope,
    worlds: &mut [World],
) {
    let told: Vec<(usize, Address, Reading)> = {
        let wanted = wanted(context, subjects, scope, worlds);
        let read = answers(context, &wanted).await;
        let all = wanted.iter().zip(read);
        all.map(|(wanted, read)| {
            let told = told(context, wanted, read);
            let Unread { path, wants, .. } = wanted.value;
            (wanted.subject, wanted.address.clone(), Reading { path, wants, told })
        })
        .collect()
    };
    for (subject, address, reading) in told {
        if let Some(world) = worlds.get_mut(subject) {
            world.readings.entry(address).or_default().push(reading);
        }
    }
    // What has none to be read was asked for, too.
    for (subject, world) in subjects.iter().zip(worlds) {
        let recorded = subject.state.iter().flat_map(|state| state.resources.keys());
        for address in recorded {
            world.readings.entry(address.clone()).or_default();
        }
    }
}

fn wanted<'a>(
    context: &Context<'_>,
    subjects: &'a [Subject],
    scope: &Scope,
    worlds: &'a [World],
) -> Vec<Wanted<'a>> {
    let mut out = Vec::new();
    for (at, (subject, world)) in subjects.iter().zip(worlds).enumerate() {
        let recorded = subject.state.iter().flat_map(|state| &state.resources);
        for (address, recorded) in recorded {
            let remote = world.resources.get(address).and_then(Observed::present);
            let kind = (context.kinds)(&recorded.kind);
            let (Some(remote), Some(kind)) = (remote, kind) else { continue };
            for value in kind.unread(address, recorded, remote, scope) {
                out.push(Wanted { subject: at, address, kind, remote, value });
            }
        }
    }
    out
}

/// What was read for each: items of a listing, or an answer.
type Read = Result<Vec<Json>, CallError>;

async fn answers(context: &Context<'_>, wanted: &[Wanted<'_>]) -> Vec<Read> {
    let (mut listings, mut listed): (Vec<Listing>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut asked = Vec::new();
    for (at, one) in wanted.iter().enumerate() {
        match &one.value.how {
            Locate::In(all) => all.iter().for_each(|listing| {
                listings.push(listing.clone());
                listed.push(at);
            }),
            Locate::By(call) => asked.push((at, call)),
            Locate::Nowhere | Locate::Away(_) => {}
        }
    }
    let lists = stream::iter(context.transport.merge(&listings))
        .map(|(listing, serves)| list(context, listing, serves, &listings))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let answers = stream::iter(asked)
        .map(|(at, call)| async move {
            let answer = context.transport.send(call, context.secrets).await;
            (at, answer.map(|answer| vec![answer.body]))
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let (lists, answers) = futures::join!(lists, answers);
    let lists = lists.into_iter().flatten();
    let lists = lists.filter_map(|(place, read)| Some((*listed.get(place)?, read)));
    let mut by_place: BTreeMap<usize, Read> = lists.chain(answers).collect();
    (0..wanted.len()).map(|at| by_place.remove(&at).unwrap_or_else(|| Ok(Vec::new()))).collect()
}

/// Reads what several ask for by one request. Where that is refused, it may be for one of them, so
/// each is asked for by itself.
async fn list(
    context: &Context<'_>,
    listing: Listing,
    serves: Vec<usize>,
    all: &[Listing],
) -> Vec<(usize, Read)> {
    let read = context.transport.list(&listing).await;
    let refused = |error: &CallError| {
        matches!(error.failure, Failure::Denied | Failure::Refused | Failure::NotFound)
    };
    if serves.len() < 2 || !read.as_ref().is_err_and(refused) {
        return serves.into_iter().map(|place| (place, read.clone())).collect();
    }
    let mut out = Vec::new();
    for place in serves {
        if let Some(listing) = all.get(place) {
            out.push((place, context.transport.list(listing).await));
        }
    }
    out
}

fn told(context: &Context<'_>, wanted: &Wanted<'_>, read: Read) -> Told {
    let items = match read {
        Ok(items) => items,
        Err(error) if matches!(error.failure, Failure::Denied | Failure::NotFound) => {
            return Told::Unknown(why(&error));
        }
        Err(error) => return Told::Failed(why(&error)),
    };
    let found = items.iter().find_map(|item| wanted.kind.value_in(wanted.remote, item));
    let Some(text) = found else {
        return Told::Unknown("the service does not say it".to_owned());
    };
    let secret = Secret::new(text);
    let told = match fingerprint::is_kept(&wanted.value.kept, &secret) {
        Some(true) => Told::Same,
        Some(false) => Told::Other,
        None => Told::Unknown("too little is recorded of it to compare it".to_owned()),
    };
    if Special::of(&wanted.value.kept).is_some() {
        write(context.secrets).hide(secret);
    }
    told
}
