//! What reading values adds to a comparison that rests on fingerprints and versions.

use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::FieldChange;
use crate::model::error::Report;
use crate::model::kind::{Diffed, Kind};
use crate::model::path;
use crate::model::scope::Scope;
use crate::model::state::Recorded;
use crate::model::unread::{Reading, Taken, Told};

/// Adds to a comparison what reading told: another value is drift, and is written again where the
/// files say what it has to be.
pub fn add(
    kind: &dyn Kind,
    declared: Option<&Json>,
    recorded: &Recorded,
    readings: &[Reading],
    ignore: &[String],
    diffed: &mut Diffed,
) {
    for at in others(readings).filter(|at| !path::covered(ignore, at)) {
        let before = recorded.sent.get(at).cloned();
        let secret = before.as_ref().is_none_or(|value| !value.is_string());
        let field = |before, after, note: &str| FieldChange {
            secret,
            note: Some(note.to_owned()),
            ..FieldChange::new(at, before, after)
        };
        if !diffed.drift.iter().any(|change| change.path == at) {
            let note = "it was read, and is another one than was recorded";
            diffed.drift.push(field(before, None, note));
        }
        let wanted = declared.filter(|declared| kind.writes(declared, at));
        if let Some(declared) = wanted
            && !diffed.changes.iter().any(|change| change.path == at)
        {
            let note = "written again over another value";
            diffed.changes.push(field(None, declared.get(at).cloned(), note));
        }
    }
}

/// The values of a resource that a comparison took as they are recorded.
pub fn taken(
    kind: &dyn Kind,
    address: &Address,
    recorded: &Recorded,
    readings: Option<&[Reading]>,
    ignore: &[String],
    remote: &crate::model::observed::Remote,
    scope: &Scope,
) -> Vec<Taken> {
    let one = |path: &str, wants: &[&str], why: Option<String>| Taken {
        address: address.clone(),
        path: path.to_owned(),
        wants: wants.iter().map(|name| (*name).to_owned()).collect(),
        why,
    };
    let all: Vec<Taken> = match readings {
        None => {
            let unread = kind.unread(address, recorded, remote, scope);
            unread.iter().map(|value| one(value.path, value.wants, None)).collect()
        }
        Some(readings) => {
            let unknown = |reading: &Reading| match &reading.told {
                Told::Unknown(why) => Some(one(reading.path, reading.wants, Some(why.clone()))),
                Told::Same | Told::Other | Told::Failed(_) => None,
            };
            readings.iter().filter_map(unknown).collect()
        }
    };
    all.into_iter().filter(|value| !path::covered(ignore, &value.path)).collect()
}

/// What there is to tell of values that were to be read: those that can't be told are unchecked,
/// what failed is an error.
pub fn reports(
    address: &Address,
    readings: &[Reading],
    taken: &[Taken],
    ignore: &[String],
) -> Vec<Report> {
    let failed = readings.iter().filter_map(|reading| match &reading.told {
        Told::Failed(why) if !path::covered(ignore, reading.path) => {
            Some(Report::unreadable(address, format!("its {}: {why}", reading.path)))
        }
        Told::Failed(_) | Told::Same | Told::Other | Told::Unknown(_) => None,
    });
    let unchecked = taken.iter().filter_map(|value| {
        let text = format!("{address} is compared without `{}`", value.path);
        let report = Report::note(text).code(Report::UNCHECKED).about(address);
        let wants = value.wants.join(" and ");
        let report = report.cause(value.why.as_ref()?);
        Some(report.hint(format!("to compare it, `--verify-secrets` takes {wants}")))
    });
    failed.chain(unchecked).collect()
}

/// The paths of values that are others than was recorded.
pub fn others(readings: &[Reading]) -> impl Iterator<Item = &'static str> + '_ {
    readings.iter().filter(|one| one.told == Told::Other).map(|one| one.path)
}
