//! Listings and calls that can be read by one request.

use serde_json::json;

use crate::model::Json;
use crate::model::call::{Call, Listing, Service};

/// Most names that a filter of DescribeParameters takes.
const NAMES: usize = 50;
/// Most names that GetParameters takes.
const GOT: usize = 10;

/// The name that a description asks for, and whether it wants its tags; None for other listings.
fn single_name(listing: &Listing) -> Option<(String, bool)> {
    if listing.call.service != Service::Ssm || listing.call.path != "DescribeParameters" {
        return None;
    }
    let body = listing.call.body.as_ref()?;
    let filters = body.get("ParameterFilters")?.as_array()?;
    let [filter] = filters.as_slice() else { return None };
    let equal =
        filter.get("Key") == Some(&json!("Name")) && filter.get("Option") == Some(&json!("Equals"));
    let values = filter.get("Values")?.as_array()?;
    match (values.as_slice(), equal) {
        ([Json::String(name)], true) => Some((name.clone(), body.get("TagsOf").is_some())),
        _ => None,
    }
}

/// Puts listings together: equal ones are read once, descriptions of single parameters by up to 50
/// names a request. Each comes with the places of those who asked; all of them get all its items,
/// and know theirs by [`crate::model::kind::Kind::fits`].
pub fn merge_listings(listings: &[Listing]) -> Vec<(Listing, Vec<usize>)> {
    let mut merged: Vec<(Listing, Vec<usize>)> = Vec::new();
    let mut names: Vec<(String, bool, Vec<usize>)> = Vec::new();
    for (index, listing) in listings.iter().enumerate() {
        if let Some((name, tags)) = single_name(listing) {
            match names.iter_mut().find(|(known, _, _)| *known == name) {
                Some((_, wanted, asked)) => {
                    *wanted |= tags;
                    asked.push(index);
                }
                None => names.push((name, tags, vec![index])),
            }
            continue;
        }
        match merged.iter_mut().find(|(known, _)| known.is_same(listing)) {
            Some((_, asked)) => asked.push(index),
            None => merged.push((listing.clone(), vec![index])),
        }
    }
    for batch in names.chunks(NAMES) {
        let Some(first) = batch.first().and_then(|(_, _, asked)| asked.first()) else { continue };
        let Some(mut listing) = listings.get(*first).cloned() else { continue };
        let all: Vec<&str> = batch.iter().map(|(name, _, _)| name.as_str()).collect();
        let tagged: Vec<&str> =
            batch.iter().filter(|(_, tags, _)| *tags).map(|(name, _, _)| name.as_str()).collect();
        let mut input = json!({
            "ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": all}],
        });
        if let (false, Some(map)) = (tagged.is_empty(), input.as_object_mut()) {
            map.insert("TagsOf".to_owned(), json!(tagged));
        }
        listing.call.body = Some(input);
        let mut asked: Vec<usize> = batch.iter().flat_map(|(_, _, asked)| asked.clone()).collect();
        asked.sort_unstable();
        merged.push((listing, asked));
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
    for batch in names.chunks(GOT) {
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
}
