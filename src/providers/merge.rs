//! Listings and calls that can be read by one request.

use serde_json::json;

use crate::model::Json;
use crate::model::call::{Call, Listing, Service};

/// Most names that a filter of DescribeParameters takes.
const NAMES: usize = 50;
/// Most names that a GetParameters takes.
const VALUES: usize = 10;

/// What a listing asks of one parameter, which one request can ask of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Description,
    Value,
}

impl Asks {
    const ALL: [Asks; 2] = [Asks::Description, Asks::Value];

    fn most(self) -> usize {
        match self {
            Asks::Description => NAMES,
            Asks::Value => VALUES,
        }
    }

    /// The input that asks it of these.
    fn input(self, names: &[&str]) -> Json {
        match self {
            Asks::Description => json!({
                "ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": names}],
            }),
            Asks::Value => json!({"Names": names, "WithDecryption": true}),
        }
    }
}

/// The name of the one parameter that a listing is about, what it asks, and whether it wants its
/// tags; None for other listings.
fn single_name(listing: &Listing) -> Option<(Asks, String, bool)> {
    if listing.call.service != Service::Ssm {
        return None;
    }
    let body = listing.call.body.as_ref()?;
    let asks = match listing.call.path.as_str() {
        "DescribeParameters" => Asks::Description,
        "GetParameters" => Asks::Value,
        _ => return None,
    };
    let name = match asks {
        Asks::Description => body.pointer("/ParameterFilters/0/Values/0"),
        Asks::Value => body.pointer("/Names/0"),
    };
    let name = name?.as_str()?;
    let mut bare = body.clone();
    let tags = bare.as_object_mut()?.shift_remove("TagsOf").is_some();
    (bare == asks.input(&[name])).then(|| (asks, name.to_owned(), tags))
}

/// Puts listings together: equal ones are read once, descriptions of single parameters by up to 50
/// names a request, their values by up to 10. Each comes with the places of those who asked; all of
/// them get all its items, and know theirs by [`crate::model::kind::Kind::fits`].
pub fn merge_listings(listings: &[Listing]) -> Vec<(Listing, Vec<usize>)> {
    let mut merged: Vec<(Listing, Vec<usize>)> = Vec::new();
    let mut names: Vec<(Asks, String, bool, Vec<usize>)> = Vec::new();
    for (index, listing) in listings.iter().enumerate() {
        if let Some((asks, name, tags)) = single_name(listing) {
            match names.iter_mut().find(|(a, known, _, _)| *a == asks && *known == name) {
                Some((_, _, wanted, asked)) => {
                    *wanted |= tags;
                    asked.push(index);
                }
                None => names.push((asks, name, tags, vec![index])),
            }
            continue;
        }
        match merged.iter_mut().find(|(known, _)| known.is_same(listing)) {
            Some((_, asked)) => asked.push(index),
            None => merged.push((listing.clone(), vec![index])),
        }
    }
    for asks in Asks::ALL {
        let of_it: Vec<_> = names.iter().filter(|(a, _, _, _)| *a == asks).collect();
        for batch in of_it.chunks(asks.most()) {
            let Some(first) = batch.first().and_then(|(_, _, _, asked)| asked.first()) else {
                continue;
            };
            let Some(mut listing) = listings.get(*first).cloned() else { continue };
            let all: Vec<&str> = batch.iter().map(|(_, name, _, _)| name.as_str()).collect();
            let tagged = batch.iter().filter(|(_, _, tags, _)| *tags);
            let tagged: Vec<&str> = tagged.map(|(_, name, _, _)| name.as_str()).collect();
            let mut input = asks.input(&all);
            if let (false, Some(map)) = (tagged.is_empty(), input.as_object_mut()) {
                map.insert("TagsOf".to_owned(), json!(tagged));
            }
            listing.call.body = Some(input);
            let asked = batch.iter().flat_map(|(_, _, _, asked)| asked.clone());
            let mut asked: Vec<usize> = asked.collect();
            asked.sort_unstable();
            merged.push((listing, asked));
        }
    }
    merged
}

/// The name of the parameter that a call gets, without its value.
fn got(call: &Call) -> Option<&Json> {
    let body = call.body.as_ref().filter(|_| call.path == "GetParameters")?;
    match body.get("Names")?.as_array()?.as_slice() {
        [name] if body.get("WithDecryption") == Some(&json!(false)) => Some(name),
        _ => None,
    }
}

/// Puts calls that get parameters together, up to 10 names a request. Each comes with the places of
/// those who asked: all of them get the whole answer.
pub fn merge_calls(calls: &[Call]) -> Vec<(Call, Vec<usize>)> {
    let places = || calls.iter().enumerate();
    let others = places().filter(|(_, call)| got(call).is_none());
    let mut merged: Vec<_> = others.map(|(at, call)| (call.clone(), vec![at])).collect();
    let names: Vec<_> = places().filter_map(|(at, call)| Some((at, call, got(call)?))).collect();
    for batch in names.chunks(VALUES) {
        let Some((_, first, _)) = batch.first() else { continue };
        let all: Vec<&Json> = batch.iter().map(|(_, _, name)| *name).collect();
        let input = json!({"Names": all, "WithDecryption": false});
        let call = Call { body: Some(input), ..(*first).clone() };
        merged.push((call, batch.iter().map(|(at, _, _)| *at).collect()));
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{access_application, ssm_parameter};
    use crate::model::call::{Call, Paging};
    use crate::model::scope::Scope;

    #[test]
    fn parameters_are_described_by_fifty_and_lists_are_read_once() {
        let scope = Scope::default();
        let mut listings: Vec<Listing> =
            (0..60).map(|i| ssm_parameter::listing(&format!("p{i}"), i == 3)).collect();
        listings.push(access_application::listing(&scope));
        listings.push(ssm_parameter::listing("p1", true));
        listings.push(access_application::listing(&scope));
        let merged = merge_listings(&listings);
        assert_eq!(merged.len(), 3);
        assert_eq!(merged[0].1, [60, 62]);
        assert_eq!(merged[1].1.len(), 51);
        assert!(merged[1].1.contains(&61));
        assert_eq!(merged[1].0.call.body.as_ref().unwrap()["TagsOf"], json!(["p1", "p3"]));
        assert_eq!(merged[2].1.len(), 10);
        assert!(merged[2].0.call.body.as_ref().unwrap().get("TagsOf").is_none());
    }

    #[test]
    fn parameters_that_are_not_listed_are_asked_for_by_ten() {
        use crate::kinds::ssm_parameter::SsmParameter;
        use crate::model::kind::Kind;
        let scope = Scope::default();
        let mut calls: Vec<Call> =
            (0..12).filter_map(|i| SsmParameter.confirm(&format!("p{i}"), &scope)).collect();
        let other = Call::operation("GetParameter", json!({"Name": "p", "WithDecryption": true}));
        calls.insert(1, other.clone());
        let merged = merge_calls(&calls);
        assert_eq!(merged[0], (other, vec![1]));
        assert_eq!(merged[1].1, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(merged[2].1, [11, 12]);
        let body = merged[2].0.body.clone();
        assert_eq!(body, Some(json!({"Names": ["p10", "p11"], "WithDecryption": false})));
        assert_eq!(merged.len(), 3);
    }

    #[test]
    fn values_are_read_by_ten() {
        let listing = |name: String| {
            let input = json!({"Names": [name], "WithDecryption": true});
            Listing { call: Call::operation("GetParameters", input), paging: Paging::Token }
        };
        let mut listings: Vec<Listing> = (0..12).map(|i| listing(format!("p{i}"))).collect();
        listings.push(listing("p0".to_owned()));
        listings.push(ssm_parameter::listing("p0", false));
        let merged = merge_listings(&listings);
        let names = |at: usize| merged[at].0.call.body.as_ref().unwrap()["Names"].clone();
        assert_eq!(merged.len(), 3);
        assert_eq!(merged[0].1, [13]);
        assert_eq!(names(1).as_array().unwrap().len(), 10);
        assert_eq!(merged[1].1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12]);
        assert_eq!(names(2), json!(["p10", "p11"]));
    }
}
