//! Looks for drift while others may be at work: what is alarmed of has to have stood still.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::drift::{self, Found};
use crate::model::address::Address;
use crate::model::change::Drift;
use crate::model::error::Stop;
use crate::model::project::Project;
use crate::model::state::State;

use super::pipeline::{Observations, Subject, find_drift};
use super::{Context, audit};

/// How often it looks where states move on while it does.
const LOOKS: u32 = 3;

/// How far a stack's state has come, and who works on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The state's lineage.
    pub lineage: String,
    /// The state's serial.
    pub serial: u64,
    /// The number of the journal's last record.
    pub journal: u64,
    /// The run that holds it, where one does.
    pub holder: Option<String>,
    /// What calls were announced for since the last checkpoint.
    pub touched: BTreeSet<Address>,
    /// The ids of what is recorded.
    pub ids: BTreeSet<String>,
}

impl Standing {
    /// Whether a run began or ended since the state was loaded.
    fn is_another_run(&self, loaded: &State) -> bool {
        (&self.lineage, self.serial) != (&loaded.lineage, loaded.serial)
    }
}

/// The states of a project, for who only looks at them.
pub trait States {
    /// The stacks to look at, as they are now, with who holds them. What a holder has announced is
    /// no lost call.
    ///
    /// # Errors
    /// A file or a state that can't be read.
    fn subjects(&self) -> Result<(Vec<Subject>, BTreeMap<String, String>), Stop>;

    /// How the states of all stacks of the project stand, by name.
    ///
    /// # Errors
    /// A state that can't be read.
    fn standings(&self) -> Result<BTreeMap<String, Standing>, Stop>;
}

/// What differs where another run is at work: no drift, as far as anyone can tell.
#[derive(Clone, Debug, PartialEq)]
pub struct UnderWay {
    /// The stack that it is in.
    pub stack: String,
    /// What differs.
    pub drift: Drift,
}

/// What a look came to.
pub struct Looked {
    /// What was found in each of the subjects.
    pub found: Vec<Found>,
    /// What was read.
    pub observations: Observations,
    /// Stacks that others work on, with who it is.
    pub holders: BTreeMap<String, String>,
    /// What differs there by their work.
    pub under_way: Vec<UnderWay>,
}

/// Compares records with the world, until neither has moved while it was read; where that does not
/// come to be, what moved is said to be under way.
///
/// # Errors
/// As for [`find_drift`], and a state that can't be read.
pub async fn look(
    context: &Context<'_>,
    project: &Project,
    states: &dyn States,
    verify_secrets: bool,
) -> Result<Looked, Stop> {
    let mut looks = 0;
    loop {
        looks += 1;
        let (subjects, mut holders) = states.subjects()?;
        let (mut found, observations) =
            find_drift(context, project, subjects, verify_secrets).await?;
        let mut under_way = Vec::new();
        if found.iter().any(|found| !found.drift.is_empty()) {
            let standings = states.standings()?;
            let moved = moved(&observations.subjects, &standings);
            if !moved.is_empty() && looks < LOOKS {
                continue;
            }
            for (subject, found) in observations.subjects.iter().zip(&mut found) {
                under_way.extend(take_out(subject, found, &standings, &moved));
            }
            for subject in &observations.subjects {
                let name = &subject.stack.name;
                let holder = standings.get(name).and_then(|standing| standing.holder.clone());
                let came = moved.contains(name).then(|| "runs that came and went".to_owned());
                if let Some(holder) = holder.or(came) {
                    holders.entry(name.clone()).or_insert(holder);
                }
            }
        }
        audit::name_actors(context, &observations, &mut found).await;
        return Ok(Looked { found, observations, holders, under_way });
    }
}

/// Stacks of which a run began, ended or went on since they were loaded, so that nobody can tell
/// what of the world is older; those aside whose holder has told what it works on.
fn moved(subjects: &[Subject], standings: &BTreeMap<String, Standing>) -> BTreeSet<String> {
    let has_moved = |subject: &&Subject| {
        let standing = standings.get(&subject.stack.name);
        match (&subject.state, standing) {
            (Some(loaded), Some(now)) => {
                now.is_another_run(loaded) || now.holder.is_none() && now.journal != loaded.journal
            }
            (loaded, now) => loaded.is_some() != now.is_some(),
        }
    };
    subjects.iter().filter(has_moved).map(|subject| subject.stack.name.clone()).collect()
}

/// Takes out of what was found what others have made, or are making.
fn take_out(
    subject: &Subject,
    found: &mut Found,
    standings: &BTreeMap<String, Standing>,
    moved: &BTreeSet<String>,
) -> Vec<UnderWay> {
    let name = &subject.stack.name;
    let others = standings.iter().filter(|(other, _)| *other != name);
    let ids: BTreeSet<&str> =
        others.clone().flat_map(|(_, one)| &one.ids).map(String::as_str).collect();
    drift::leave_out_recorded(&mut found.drift, &ids);
    let (Some(state), Some(standing)) = (&subject.state, standings.get(name)) else {
        return Vec::new();
    };
    let busy = match (moved.contains(name), &standing.holder) {
        (true, _) => state.resources.keys().cloned().collect(),
        (false, Some(_)) => drift::neighbours(state, &standing.touched),
        (false, None) => BTreeSet::new(),
    };
    let at_work = |(other, one): (&String, &Standing)| {
        moved.contains(other) || one.holder.is_some() && !one.touched.is_empty()
    };
    let out = drift::take_out(found, &busy, others.clone().any(at_work));
    out.into_iter().map(|drift| UnderWay { stack: name.clone(), drift }).collect()
}
