//! The list of DNS records and its filters (contract 3.2).

use super::State;
use super::dns::{Record, shown};
use super::reply::{Outcome, Paging, Query, counted_page};
use super::zones::Zone;

const PAGING: Paging = Paging { default: 100, min: 1, max: 5_000_000 };

/// `GET /zones/{zone}/dns_records`.
pub fn list(state: &State, zone: &Zone, query: Query<'_>) -> Outcome {
    let any = query.get("match") == Some("any");
    let mut records: Vec<&Record> = state
        .records
        .iter()
        .filter(|record| record.zone_id == zone.id)
        .filter(|record| {
            let verdicts: Vec<bool> =
                query.0.iter().filter_map(|(name, value)| verdict(record, name, value)).collect();
            match any && !verdicts.is_empty() {
                true => verdicts.contains(&true),
                false => !verdicts.contains(&false),
            }
        })
        .collect();
    let order = query.get("order").unwrap_or("type");
    records.sort_by_key(|record| {
        let first = match order {
            "name" => record.name.clone(),
            "content" => record.content.clone(),
            "ttl" => format!("{:08}", record.ttl),
            "proxied" => record.proxied.to_string(),
            _ => record.kind.clone(),
        };
        (first, record.name.clone(), record.content.clone())
    });
    if query.get("direction") == Some("desc") {
        records.reverse();
    }
    counted_page(records.into_iter().map(shown).collect(), query, PAGING)
}

/// What one filter says of `record`; `None` where the parameter is no filter.
fn verdict(record: &Record, name: &str, value: &str) -> Option<bool> {
    let wanted = value.to_lowercase();
    let (field, operator) = name.split_once('.').unwrap_or((name, "exact"));
    let text = match field {
        "name" => record.name.to_lowercase(),
        "content" => record.content.to_lowercase(),
        "comment" => match (&record.comment, operator) {
            (comment, "present") => return Some(comment.is_some()),
            (comment, "absent") => return Some(comment.is_none()),
            (None, _) => return Some(false),
            (Some(comment), _) => comment.to_lowercase(),
        },
        "type" => return Some(record.kind.eq_ignore_ascii_case(value)),
        "proxied" => return Some(record.proxied == (value == "true")),
        "search" => {
            let comment = record.comment.as_deref().unwrap_or_default();
            let all = format!("{} {} {comment}", record.name, record.content).to_lowercase();
            return Some(all.contains(&wanted));
        }
        "tag" => return tagged(record, operator, &wanted),
        _ => return None,
    };
    match operator {
        "exact" => Some(text == wanted),
        "contains" => Some(text.contains(&wanted)),
        "startswith" => Some(text.starts_with(&wanted)),
        "endswith" => Some(text.ends_with(&wanted)),
        _ => None,
    }
}

/// What a filter of tags says; `wanted` is a name, or a name and a part of the value.
fn tagged(record: &Record, operator: &str, wanted: &str) -> Option<bool> {
    let (name, part) = wanted.split_once(':').map_or((wanted, None), |(n, part)| (n, Some(part)));
    let values: Vec<String> = record
        .tags
        .iter()
        .map(|tag| tag.to_lowercase())
        .filter_map(|tag| {
            let (known, value) = tag.split_once(':').unwrap_or((&tag, ""));
            (known == name).then(|| value.to_owned())
        })
        .collect();
    let any = |fits: &dyn Fn(&str, &str) -> bool| {
        values.iter().any(|value| part.is_none_or(|part| fits(value, part)))
    };
    match operator {
        "exact" => Some(any(&|value, part| value == part)),
        "present" => Some(!values.is_empty()),
        "absent" => Some(values.is_empty()),
        "contains" => Some(any(&|value, part| value.contains(part))),
        "startswith" => Some(any(&|value, part| value.starts_with(part))),
        "endswith" => Some(any(&|value, part| value.ends_with(part))),
        _ => None,
    }
}
