//! Reads collections and single objects, each once a run; a large collection of which little is
//! wanted is narrowed by filters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt};

use crate::model::Json;
use crate::model::call::{Call, Filter, Listing};
use crate::model::error::{CallError, Failure};
use crate::model::kind::Kind;
use crate::model::observed::Remote;
use crate::model::scope::Scope;

use super::Context;

/// How many requests for lists, and how many for single objects, may be under way at once.
const AT_ONCE: usize = 16;
/// By how many filters a collection is narrowed at most: each costs a request.
const FEW: usize = 10;
/// A collection that has no more items than this is read whole by one request. It is what a page
/// has where nothing is said (contract 1.4), and few zones have more.
const SMALL: u32 = 100;

/// What a request came to.
pub type Read = Result<Arc<[Json]>, CallError>;

/// A collection, and the filter that leaves in it what can be meant; an empty one leaves all.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The whole collection.
    pub listing: Listing,
    /// What narrows it.
    pub filter: Filter,
}

/// How what is wanted of a collection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// All of it, in large pages.
    Whole,
    /// By filters.
    Narrowed,
    /// All of it where it is small, else by filters.
    AsItIs,
}

/// The way that costs the fewest requests, and does not read thousands of items for a few. One
/// filter never costs more than the whole; of some, it depends on how large that is, which one
/// short page tells; many cost more than any number of large pages.
fn way(filters: &BTreeSet<Filter>) -> Way {
    match filters.len() {
        _ if filters.contains(&Filter::new()) => Way::Whole,
        1 => Way::Narrowed,
        2..=FEW => Way::AsItIs,
        _ => Way::Whole,
    }
}

/// What was read in a run, so that nothing is read twice.
#[derive(Default)]
pub struct Collections {
    lists: Vec<(Wanted, usize)>,
    calls: Vec<(Call, usize)>,
    reads: Vec<Items>,
}

/// The items of an answer, and the objects of each kind in them.
struct Items {
    read: Read,
    objects: BTreeMap<(&'static str, String), Arc<Objects>>,
}

/// Objects of a kind, in the order of the list.
#[derive(Default)]
pub struct Objects {
    all: Vec<Remote>,
    by_id: BTreeMap<String, usize>,
    by_place: BTreeMap<String, Vec<usize>>,
}

impl Objects {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Remote> {
        self.all.iter()
    }

    /// Those that take a place.
    pub fn at_place(&self, place: &str) -> impl Iterator<Item = &Remote> {
        self.by_place.get(place).into_iter().flatten().filter_map(|at| self.all.get(*at))
    }

    /// The first that bears the id.
    pub fn by_id(&self, id: &str) -> Option<&Remote> {
        self.by_id.get(id).and_then(|at| self.all.get(*at))
    }
}

impl Collections {
    /// Reads what is wanted and was not read yet.
    pub async fn read(&mut self, context: &Context<'_>, wanted: &[Wanted], calls: &[Call]) {
        let (mut whole, mut narrowed) = (Vec::new(), Vec::new());
        for (listing, filters) in self.unread(wanted) {
            match way(&filters) {
                Way::Whole => whole.push(listing),
                way => narrowed.push((listing, filters, way)),
            }
        }
        let merged = context.transport.merge(&whole);
        let lists = stream::iter(merged)
            .map(|(listing, serves)| async move {
                let read = list(context, &listing).await;
                (serves, read)
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        let parts = stream::iter(narrowed)
            .map(|(listing, filters, way)| part(context, listing, filters, way))
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        let mut new: Vec<Call> = Vec::new();
        for call in calls {
            if self.of_call(call).is_none() && !new.contains(call) {
                new.push(call.clone());
            }
        }
        let answers = stream::iter(context.transport.merge_calls(&new))
            .map(|(call, serves)| async move {
                let read = get(context, &call).await;
                (serves, read)
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        let (lists, parts, answers) = futures::join!(lists, parts, answers);
        for (serves, read) in lists {
            let at = self.keep(read);
            let served = serves.into_iter().filter_map(|served| whole.get(served));
            let served = served.cloned().map(|l| Wanted { listing: l, filter: Filter::new() });
            self.lists.extend(served.map(|wanted| (wanted, at)));
        }
        for (wanted, read) in parts.into_iter().flatten() {
            let at = self.keep(read);
            self.lists.push((wanted, at));
        }
        for (serves, read) in answers {
            let at = self.keep(read);
            let served = serves.into_iter().filter_map(|served| new.get(served));
            self.calls.extend(served.map(|call| (call.clone(), at)));
        }
    }

    /// The collections of which something was not read yet, each with all that is wanted of it.
    fn unread(&self, wanted: &[Wanted]) -> Vec<(Listing, BTreeSet<Filter>)> {
        let mut groups: Vec<(Listing, BTreeSet<Filter>)> = Vec::new();
        for one in wanted.iter().filter(|one| self.of_list(one).is_none()) {
            match groups.iter_mut().find(|(listing, _)| listing.is_same(&one.listing)) {
                Some((_, filters)) => drop(filters.insert(one.filter.clone())),
                None => groups.push((one.listing.clone(), BTreeSet::from([one.filter.clone()]))),
            }
        }
        groups
    }

    fn keep(&mut self, read: Read) -> usize {
        self.reads.push(Items { read, objects: BTreeMap::new() });
        self.reads.len() - 1
    }

    /// The place of what was read of a collection, narrowed as wanted or not at all.
    pub fn of_list(&self, wanted: &Wanted) -> Option<usize> {
        let serves = |known: &Wanted| {
            (known.filter.is_empty() || known.filter == wanted.filter)
                && known.listing.is_same(&wanted.listing)
        };
        self.lists.iter().find(|(known, _)| serves(known)).map(|(_, at)| *at)
    }

    /// The place of what a call of its own has read.
    pub fn of_call(&self, call: &Call) -> Option<usize> {
        self.calls.iter().find(|(known, _)| known == call).map(|(_, at)| *at)
    }

    /// What was read at a place.
    pub fn items(&self, at: usize) -> Read {
        self.reads.get(at).map_or_else(|| Ok(Arc::from([])), |items| items.read.clone())
    }

    /// The objects of a kind in what was read at a place, as a spec says how to read them; each item
    /// is taken apart once.
    ///
    /// # Errors
    /// It could not be read.
    pub fn objects(
        &mut self,
        at: usize,
        kind: &dyn Kind,
        spec: &Json,
        scope: &Scope,
    ) -> Result<Arc<Objects>, CallError> {
        let Some(items) = self.reads.get_mut(at) else { return Ok(Arc::default()) };
        let read = items.read.as_ref().map_err(Clone::clone)?;
        let objects = items.objects.entry((kind.name(), kind.read_as(spec))).or_insert_with(|| {
            let mut objects = Objects::default();
            for remote in read.iter().flat_map(|item| kind.read_by(spec, item, scope)) {
                objects.by_id.entry(remote.id.clone()).or_insert(objects.all.len());
                for place in kind.places(&remote.spec) {
                    objects.by_place.entry(place).or_default().push(objects.all.len());
                }
                objects.all.push(remote);
            }
            Arc::new(objects)
        });
        Ok(Arc::clone(objects))
    }
}

async fn list(context: &Context<'_>, listing: &Listing) -> Read {
    context.transport.list(listing).await.map(Arc::from)
}

/// Reads what the filters leave of a collection, or all of it.
async fn part(
    context: &Context<'_>,
    listing: Listing,
    filters: BTreeSet<Filter>,
    way: Way,
) -> Vec<(Wanted, Read)> {
    if way == Way::AsItIs {
        let whole = match context.transport.list_small(&listing, SMALL).await {
            Ok(Some(items)) => Some(Ok(Arc::from(items))),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        };
        if let Some(read) = whole {
            return vec![(Wanted { listing, filter: Filter::new() }, read)];
        }
    }
    let reading = filters.into_iter().map(|filter| async {
        let read = list(context, &listing.narrowed(&filter)).await;
        (Wanted { listing: listing.clone(), filter }, read)
    });
    futures::future::join_all(reading).await
}

/// One object, or none where the API says that there is none.
async fn get(context: &Context<'_>, call: &Call) -> Read {
    match context.transport.send(call, context.secrets).await {
        Ok(answer) if answer.is_success() => Ok(Arc::from([answer.body])),
        Ok(_) => Ok(Arc::from([])),
        Err(error) if error.failure == Failure::NotFound => Ok(Arc::from([])),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_filters_are_used_where_they_are_cheaper_than_the_whole() {
        let filters = |count: usize| -> BTreeSet<Filter> {
            (0..count).map(|at| vec![("name".to_owned(), at.to_string())]).collect()
        };
        for (count, expected) in [
            (1, Way::Narrowed),
            (2, Way::AsItIs),
            (FEW, Way::AsItIs),
            (FEW + 1, Way::Whole),
            (400, Way::Whole),
        ] {
            assert_eq!(way(&filters(count)), expected, "{count}");
        }
        // Somebody wants all of it.
        let mut with_all = filters(1);
        with_all.insert(Filter::new());
        assert_eq!(way(&with_all), Way::Whole);
    }
}
