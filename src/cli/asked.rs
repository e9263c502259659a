//! What of the drift that was found a command line means: `ADDRESS`, `ADDRESS.PATH`, or a pattern
//! of addresses.

use std::collections::BTreeSet;

use crate::model::address::{Address, AddressGlob};
use crate::model::change::Drift;
use crate::model::error::{Report, Stop};
use crate::model::path;

/// Drift that was asked for, with its stack.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The stack.
    pub stack: String,
    /// What has drifted, less what lies outside the path.
    pub drift: Drift,
    /// The path, where one was given.
    pub path: Option<String>,
}

/// The drift that one word of a command line means. `addresses` are those that there are.
///
/// # Errors
/// It means none: why, and what there is.
pub(super) fn asked(
    text: &str,
    addresses: &BTreeSet<(String, Address)>,
    drift: &[(String, Drift)],
) -> Result<Vec<Asked>, Stop> {
    let found = match parse(text, addresses.iter().map(|(_, address)| address)) {
        Some((address, path)) => part(drift, &path, |one| *one == address),
        None => match text.contains(['*', '?']).then(|| text.parse::<AddressGlob>()) {
            Some(Ok(glob)) => part(drift, &None, |one| glob.matches(one)),
            Some(Err(error)) => {
                let report = Report::error(format!("`{text}` is no pattern of addresses"));
                return Err(Stop::refused(report.cause(error).code("no-address")));
            }
            None => return Err(unknown(text, addresses)),
        },
    };
    if found.is_empty() { Err(nothing(text, drift)) } else { Ok(found) }
}

fn part(
    drift: &[(String, Drift)],
    path: &Option<String>,
    wanted: impl Fn(&Address) -> bool,
) -> Vec<Asked> {
    drift
        .iter()
        .filter(|(_, drift)| wanted(&drift.address))
        .filter_map(|(stack, drift)| {
            let mut drift = drift.clone();
            if let Some(path) = path {
                drift.paths.retain(|change| path::covers(path, &change.path));
            }
            let some = !drift.paths.is_empty();
            some.then(|| Asked { stack: stack.clone(), drift, path: path.clone() })
        })
        .collect()
}

/// The address and the path in a text. Addresses have dots and slashes: it is the longest that
/// there is.
fn parse<'a>(
    text: &str,
    addresses: impl Iterator<Item = &'a Address>,
) -> Option<(Address, Option<String>)> {
    let rest = |address: &Address| {
        let rest = text.strip_prefix(&address.to_string())?;
        let path = rest.strip_prefix('.').unwrap_or(rest);
        let ends = rest.is_empty() || rest.starts_with('[') || rest.len() > path.len();
        (ends && (rest.is_empty() || !path.is_empty())).then(|| path.to_owned())
    };
    let fitting = addresses.filter_map(|address| Some((address.clone(), rest(address)?)));
    let (address, path) = fitting.max_by_key(|(address, _)| address.to_string().len())?;
    Some((address, Some(path).filter(|path| !path.is_empty())))
}

fn unknown(text: &str, addresses: &BTreeSet<(String, Address)>) -> Stop {
    let report = Report::error(format!("no stack has {text}")).code("no-address");
    let names = addresses.iter().map(|(_, address)| address.to_string());
    let near = names
        .map(|name| {
            // A path may follow it.
            let head: String = text.chars().take(name.chars().count()).collect();
            (strsim::damerau_levenshtein(&head, &name), name)
        })
        .filter(|(distance, name)| *distance * 4 <= name.len())
        .min();
    Stop::refused(match near {
        Some((_, name)) => report.hint(format!("did you mean {name}?")),
        None => report.hint("`boxctl drift` shows what has drifted, `boxctl expand` the addresses"),
    })
}

fn nothing(text: &str, drift: &[(String, Drift)]) -> Stop {
    const MANY: usize = 12;
    let report = Report::error(format!("{text} has not drifted")).code("no-drift");
    let subjects: Vec<String> = drift.iter().map(|(_, drift)| subject(drift)).collect();
    let more = subjects.len().saturating_sub(MANY);
    let list = subjects.iter().take(MANY).cloned().collect::<Vec<_>>().join("; ");
    Stop::refused(match (subjects.is_empty(), more) {
        (true, _) => report.hint("nothing has"),
        (false, 0) => report.hint(format!("this has: {list}")),
        (false, more) => report.hint(format!("this has: {list}; and {more} more")),
    })
}

/// An address with the paths that differ.
fn subject(drift: &Drift) -> String {
    let paths: Vec<&str> = drift.paths.iter().map(|change| change.path.as_str()).collect();
    format!("{} ({})", drift.address, paths.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_address_that_there_is_is_meant() {
        let all: Vec<Address> = [
            "dns_record.a",
            "k8s.Ingress.x.io/n/a",
            "k8s.Ingress.x.io/n/a.b",
            "k8s.Deployment/n/a",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        for (text, address, path) in [
            ("dns_record.a", "dns_record.a", None),
            ("dns_record.a.ttl", "dns_record.a", Some("ttl")),
            ("k8s.Ingress.x.io/n/a.b", "k8s.Ingress.x.io/n/a.b", None),
            ("k8s.Ingress.x.io/n/a.b.spec", "k8s.Ingress.x.io/n/a.b", Some("spec")),
            ("k8s.Ingress.x.io/n/a.spec.b", "k8s.Ingress.x.io/n/a", Some("spec.b")),
            (
                "k8s.Deployment/n/a.spec.c[name=\"x\"].image",
                "k8s.Deployment/n/a",
                Some("spec.c[name=\"x\"].image"),
            ),
            ("dns_record.a[0]", "dns_record.a", Some("[0]")),
        ] {
            let (found, at) = parse(text, all.iter()).expect(text);
            assert_eq!((found.to_string().as_str(), at.as_deref()), (address, path), "{text}");
        }
        for text in ["dns_record.ab", "dns_record", "dns_record.a.", "dns_record.*"] {
            assert!(parse(text, all.iter()).is_none(), "{text}");
        }
    }
}
