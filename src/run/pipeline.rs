//! Plan and drift: each reads like the sentence that the program is.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};

use crate::engine::plan::{Input, Planned, Wanted};
use crate::engine::resolve::{Known, fingerprints_of, with_fingerprints};
use crate::engine::{drift, fingerprint, pending, plan as planner, recover};
use crate::kinds::kubernetes::object::preview_from;
use crate::kinds::wiring;
use crate::model::address::Address;
use crate::model::call::Service;
use crate::model::change::Action;
use crate::model::error::{Failure, Level, Report, Stop};
use crate::model::event::Event;
use crate::model::journal::OpenIntent;
use crate::model::kind::{Verb, Work};
use crate::model::observed::{Preview, World};
use crate::model::plan::{FORMAT_VERSION, Options, Plan};
use crate::model::project::Project;
use crate::model::resource::Stack;
use crate::model::scope::Scope;
use crate::model::secret::SecretId;
use crate::model::state::{RolledBack, State, Target};

use super::collections::Collections;
use super::{Context, contents, going, observe, scope as reading, settle, values};

/// How many previews may be under way at once.
const PREVIEWS_AT_ONCE: usize = 8;

/// A stack of a run.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What is declared.
    pub stack: Stack,
    /// What is recorded.
    pub state: Option<State>,
    /// The state's lineage; a new one where there is no state.
    pub lineage: String,
    /// Whether its file is gone and it is to be destroyed.
    pub retired: bool,
    /// Calls of an earlier run of which it is not known what became of them.
    pub lost: Vec<OpenIntent>,
    /// A fingerprint of what its files ask for.
    pub files: String,
    /// Where what is declared comes from.
    pub origin: Origin,
    /// Hostnames that other stacks have in lists that this one shares, with the stack.
    pub fellows: BTreeMap<String, String>,
}

/// Where what is declared comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Origin {
    /// The stack's files.
    #[default]
    Files,
    /// An earlier run applied it; with what the state will note of that, if the files ask for
    /// something else.
    EarlierRun(Option<RolledBack>),
}

/// What was read for a run, and what a plan was made from.
pub struct Observations {
    /// The subjects, with fingerprints put into their specs.
    pub subjects: Vec<Subject>,
    /// The accounts, one scope for each subject (the lineage differs).
    pub scope: Scope,
    /// What was observed of each.
    pub worlds: Vec<World>,
    /// Outputs of each one's lookups.
    pub lookups: Vec<Known>,
    /// Where each one lives.
    pub targets: Vec<Target>,
    /// What became of each one's lost calls.
    pub settled: Vec<recover::Found>,
    /// Services that could not be reached.
    pub away: reading::Away,
}

/// Plans all subjects with one set of lists.
///
/// # Errors
/// Something that all stacks need could not be read, or a state belongs to another target.
pub async fn plan(
    context: &Context<'_>,
    project: &Project,
    subjects: Vec<Subject>,
    options: &Options,
    plan_id: String,
) -> Result<(Plan, Observations), Stop> {
    let mut observations = observe_all(context, project, subjects, options.destroy).await?;
    if options.verify_secrets && !options.destroy {
        let Observations { subjects, scope, worlds, .. } = &mut observations;
        values::read(context, subjects, scope, worlds).await;
    }
    let first = plan_all(context, project, &observations, options);
    let wanted: Vec<Vec<Wanted>> = first.iter().map(|planned| planned.previews.clone()).collect();
    let mut planned = if wanted.iter().all(Vec::is_empty) {
        first
    } else {
        for (at, wanted) in wanted.into_iter().enumerate() {
            let previews = preview_all(context, &observations.scope, wanted).await;
            if let Some(world) = observations.worlds.get_mut(at) {
                world.previews = previews;
            }
        }
        plan_all(context, project, &observations, options)
    };
    for (planned, settled) in planned.iter_mut().zip(&observations.settled) {
        planned.plan.checks.splice(0..0, settled.reports.clone());
    }
    for (planned, subject) in planned.iter_mut().zip(&observations.subjects) {
        let (plan, state) = (&planned.plan, subject.state.as_ref());
        let found = contents::check(context, &observations.scope, plan, state, options).await;
        planned.plan.checks.extend(found);
    }
    let counts = planned.iter().flat_map(|planned| &planned.plan.checks).any(Report::is_unreadable);
    if let Some(first) = planned.first_mut() {
        let level = if counts { Level::Error } else { Level::Warning };
        let away = observations.away.reports().map(|report| Report { level, ..report });
        first.plan.checks.splice(0..0, away);
    }
    let mut checks: Vec<_> = planned.iter_mut().map(|one| &mut one.plan.checks).collect();
    drift::tell_two_owners_once(&mut checks);
    let requests = context.transport.requests();
    context.events.emit(Event::Observed { requests });
    let plan = Plan {
        format_version: FORMAT_VERSION,
        id: plan_id,
        project: project.name.clone(),
        created_at: context.now(),
        options: options.clone(),
        stacks: planned.into_iter().map(|planned| planned.plan).collect(),
        requests,
    };
    Ok((plan, observations))
}

/// Looks for drift: recorded against observed; `verify_secrets`: also values that are otherwise
/// taken as recorded.
///
/// # Errors
/// As for [`plan`].
pub async fn find_drift(
    context: &Context<'_>,
    project: &Project,
    subjects: Vec<Subject>,
    verify_secrets: bool,
) -> Result<(Vec<drift::Found>, Observations), Stop> {
    // Only what is recorded is asked for: what is merely declared is no drift.
    let mut coming_and_going = Vec::new();
    let recorded = subjects
        .into_iter()
        .map(|mut subject| {
            let state = subject.state.as_ref();
            coming_and_going.push(pending::coming_and_going(&subject.stack, state));
            let known = |address: &Address| {
                state.is_some_and(|state| state.resources.contains_key(address))
            };
            subject.stack.resources.retain(|resource| known(&resource.address));
            subject
        })
        .collect();
    let mut observations = observe_all(context, project, recorded, false).await?;
    if verify_secrets {
        let Observations { subjects, scope, worlds, .. } = &mut observations;
        values::read(context, subjects, scope, worlds).await;
    }
    let mut found: Vec<drift::Found> = observations
        .subjects
        .iter()
        .zip(&observations.worlds)
        .zip(&observations.lookups)
        .map(|((subject, world), lookups)| {
            compared(context, &observations, subject, world, lookups)
        })
        .collect();
    for (found, mut all) in found.iter_mut().zip(coming_and_going) {
        all.append(&mut found.pending);
        found.pending = all;
    }
    drift::tell_two_owners_once(&mut found.iter_mut().map(|f| &mut f.checks).collect::<Vec<_>>());
    context.events.emit(Event::Observed { requests: context.transport.requests() });
    Ok((found, observations))
}

/// Drift of one stack, and what its files ask for beside.
fn compared(
    context: &Context<'_>,
    observations: &Observations,
    subject: &Subject,
    world: &World,
    lookups: &Known,
) -> drift::Found {
    let (Some(state), scope, kinds) = (&subject.state, &observations.scope, context.kinds) else {
        return drift::Found::default();
    };
    let stack = &subject.stack;
    let mut found = drift::drift(stack, &subject.fellows, state, world, kinds, scope);
    let drifted = found.drift.iter().map(|one| one.address.clone()).collect();
    let look = pending::Look { stack, state, world, lookups, scope, kinds, drifted: &drifted };
    let updates = pending::updates(&look);
    found.pending = updates.into_iter().map(|address| (address, Action::Update)).collect();
    found
}

/// Reads what is declared and recorded, and compares nothing.
///
/// # Errors
/// As for [`plan`].
pub async fn look(
    context: &Context<'_>,
    project: &Project,
    subjects: Vec<Subject>,
) -> Result<Observations, Stop> {
    let observations = observe_all(context, project, subjects, false).await?;
    context.events.emit(Event::Observed { requests: context.transport.requests() });
    Ok(observations)
}

async fn observe_all(
    context: &Context<'_>,
    project: &Project,
    mut subjects: Vec<Subject>,
    destroy: bool,
) -> Result<Observations, Stop> {
    let names = subjects.iter().map(|subject| subject.stack.name.clone()).collect();
    context.events.emit(Event::Observing { stacks: names });
    for subject in &mut subjects {
        if destroy || subject.retired {
            subject.stack.resources.clear();
            subject.stack.lookups.clear();
            subject.stack.partial = false;
        }
        put_fingerprints(context, subject);
    }
    let account = project.cloudflare.as_ref().map(|settings| settings.account_id.clone());
    let mut needs = BTreeSet::new();
    let mut services: Vec<BTreeSet<Service>> = Vec::new();
    for subject in &subjects {
        needs.extend(reading::needs(context, &subject.stack, subject.state.as_ref()));
        needs.extend(settle::needs(context, &subject.lost));
        let mut used = reading::services(context, &subject.stack, subject.state.as_ref());
        used.extend(settle::services(context, &subject.lost));
        services.push(used);
    }
    let scope = Scope { account_id: account.unwrap_or_default(), ..Scope::default() };
    let all: BTreeSet<Service> = services.iter().flatten().copied().collect();
    let (whole, mut away) = reading::target(context, &all, &scope).await?;
    let targets: Vec<Target> = services.iter().map(|services| part(&whole, services)).collect();
    for (subject, target) in subjects.iter().zip(&targets) {
        if let Some(state) = &subject.state {
            reading::same_target(state, target)?;
        }
    }
    let mut collections = Collections::default();
    let scope = reading::read(context, project, &needs, scope, &mut away, &mut collections).await?;
    settle::wait(context, &subjects).await?;
    let mut lookups = Vec::new();
    for subject in &subjects {
        lookups.push(
            wiring::lookups(&subject.stack.lookups, &scope)
                .map_err(|reports| Stop { exit: crate::model::error::Exit::Error, reports })?,
        );
    }
    let seen: Vec<observe::Subject<'_>> = subjects
        .iter()
        .zip(&lookups)
        .map(|(subject, lookups)| observe::Subject {
            stack: &subject.stack,
            state: subject.state.as_ref(),
            lookups,
            lost: &subject.lost,
        })
        .collect();
    let mut worlds = observe::observe(context, &seen, &scope, &away, collections).await;
    going::with_namespaces(&mut worlds);
    let settled = subjects.iter().map(|_| recover::Found::default()).collect();
    let mut observations =
        Observations { subjects, scope, worlds, lookups, targets, settled, away };
    settle::settle(context, &mut observations);
    Ok(observations)
}

/// The parts of a target that belong to these services.
fn part(whole: &Target, services: &BTreeSet<Service>) -> Target {
    let has = |service: Service| services.contains(&service);
    let cloudflare = has(Service::Cloudflare);
    let (ssm, kubernetes) = (has(Service::Ssm), has(Service::Kubernetes));
    let keep = |wanted: bool, value: &Option<String>| value.clone().filter(|_| wanted);
    Target {
        cloudflare_account: keep(cloudflare, &whole.cloudflare_account),
        cloudflare_host: keep(cloudflare, &whole.cloudflare_host),
        aws_account: keep(ssm, &whole.aws_account),
        aws_region: keep(ssm, &whole.aws_region),
        aws_host: keep(ssm, &whole.aws_host),
        kubernetes_cluster: keep(kubernetes, &whole.kubernetes_cluster),
    }
}

/// Secrets that this run has at hand get their fingerprints: the recorded one where it fits.
fn put_fingerprints(context: &Context<'_>, subject: &mut Subject) {
    let state = subject.state.as_ref();
    let mut made: BTreeMap<SecretId, Option<String>> = BTreeMap::new();
    for resource in &mut subject.stack.resources {
        resource.spec = with_fingerprints(&resource.spec, &mut |source| {
            made.entry(source.clone()).or_insert_with(|| chosen(context, state, source)).clone()
        });
    }
    for (name, variable) in &mut subject.stack.variables {
        if !variable.sensitive {
            continue;
        }
        let source = SecretId::variable(name);
        let of = made.entry(source.clone()).or_insert_with(|| chosen(context, state, &source));
        let recorded = state.and_then(|state| state.variables.get(name));
        let secrets = crate::run::read(context.secrets);
        let fits = recorded.filter(|recorded| {
            secrets.get(&source).is_some_and(|secret| fingerprint::is_of(&recorded.value, secret))
        });
        if let Some(value) = fits.map(|r| r.value.clone()).or_else(|| of.clone()) {
            variable.value = value;
        }
    }
}

/// The fingerprint of a value that a person chose; None for values that are not at hand, and for
/// Kubernetes Secret data, of which nothing is kept.
fn chosen(context: &Context<'_>, state: Option<&State>, source: &SecretId) -> Option<String> {
    if source.as_output().is_some_and(|(address, _)| address.is_kubernetes()) {
        return None;
    }
    let secrets = crate::run::read(context.secrets);
    let secret = secrets.get(source)?;
    let recorded = state
        .into_iter()
        .flat_map(|state| state.resources.values())
        .flat_map(|recorded| fingerprints_of(&recorded.sent, source));
    let fits = recorded.into_iter().find(|recorded| fingerprint::is_of(recorded, secret));
    Some(fits.unwrap_or_else(|| fingerprint::of_chosen(secret, context.salt())))
}

fn plan_all(
    context: &Context<'_>,
    project: &Project,
    observations: &Observations,
    options: &Options,
) -> Vec<Planned> {
    let subjects = observations.subjects.iter().zip(&observations.worlds);
    let rest = observations.lookups.iter().zip(&observations.targets);
    let leaving = observations.subjects.iter().filter(|one| options.destroy || one.retired);
    let leaving: BTreeSet<&str> = leaving.map(|one| one.stack.name.as_str()).collect();
    subjects
        .zip(rest)
        .map(|((subject, world), (lookups, target))| {
            let scope = Scope { lineage: subject.lineage.clone(), ..observations.scope.clone() };
            let wiring = wiring::of(&subject.stack.resources);
            let mut planned = planner::plan(&Input {
                stack: &subject.stack,
                kinds: context.kinds,
                state: subject.state.as_ref(),
                lineage: &subject.lineage,
                world,
                scope: &scope,
                lookups,
                edges: &wiring.needs,
                readers: &wiring.readers,
                fellows: &subject.fellows,
                leaving: &leaving,
                options,
                now: context.outside.now(),
                limit_percent: project.destroy_limit_percent,
                retired: subject.retired,
                target: target.clone(),
                rolled_back: match &subject.origin {
                    Origin::Files => None,
                    Origin::EarlierRun(note) => note.clone(),
                },
            });
            if !options.destroy && subject.origin == Origin::Files {
                planned.plan.checks.splice(0..0, held_back(subject, options));
                planned.plan.checks.splice(0..0, unsaid_variables(subject));
            }
            planned
        })
        .collect()
}

/// While the files of a stack that was rolled back ask for the same as then, apply would undo that.
fn held_back(subject: &Subject, options: &Options) -> Option<Report> {
    let note = subject.state.as_ref()?.rolled_back.as_ref()?;
    if note.files != subject.files {
        return None;
    }
    let asked = note.asked.map_or_else(|| "something else".to_owned(), |serial| serial.to_string());
    let text = format!("rolled back to {}, the files ask for {asked}", note.to);
    if options.forward {
        return Some(Report::note(text).code("rolled-back"));
    }
    Some(
        Report::error(text)
            .code("rolled-back")
            .hint("to stay there: change the files to what is applied now")
            .hint("to apply what the files ask for: `boxctl apply --forward`"),
    )
}

/// Variables whose recorded value was given for one run only, and is not given in this one.
fn unsaid_variables(subject: &Subject) -> Vec<Report> {
    let Some(state) = &subject.state else { return Vec::new() };
    subject
        .stack
        .variables
        .iter()
        .filter_map(|(name, now)| {
            let recorded = state.variables.get(name)?;
            let lost = recorded.source.is_passing() && !now.source.is_passing();
            if !lost || recorded.value == now.value {
                return None;
            }
            let shown = |variable: &crate::model::resource::VariableValue| {
                if variable.sensitive { "(secret)".to_owned() } else { format!("`{}`", variable.value) }
            };
            Some(
                Report::error(format!(
                    "variable {name} was {} in the last apply and would be {} now, since nothing was given",
                    shown(recorded),
                    shown(now)
                ))
                .code("unsaid-variable")
                .hint(format!("give it again: `--var {name}=…`"))
                .hint(format!(
                    "or write it into boxctl.yaml: `values: {{{}: {{{name}: …}}}}`",
                    subject.stack.name
                )),
            )
        })
        .collect()
}

async fn preview_all(
    context: &Context<'_>,
    scope: &Scope,
    wanted: Vec<Wanted>,
) -> BTreeMap<Address, Preview> {
    stream::iter(wanted)
        .map(|wanted| async move {
            let preview = preview(context, scope, &wanted).await;
            (wanted.address, preview)
        })
        .buffer_unordered(PREVIEWS_AT_ONCE)
        .filter_map(|(address, preview)| async move { Some((address, preview?)) })
        .collect()
        .await
}

async fn preview(context: &Context<'_>, scope: &Scope, wanted: &Wanted) -> Option<Preview> {
    let kind = (context.kinds)(wanted.address.kind())?;
    if crate::model::value::has_unknown(&wanted.spec) {
        return Some(Preview::Unchecked(
            "a value in it is known only after another step".to_owned(),
        ));
    }
    let work = Work {
        verb: if wanted.remote.is_some() { Verb::Update } else { Verb::Create },
        address: &wanted.address,
        spec: &wanted.spec,
        sent: wanted.sent.as_ref(),
        version: None,
        remote: wanted.remote.as_ref(),
        removed: &[],
        shared: &[],
        ignore: &[],
        force: &wanted.force,
        scope,
        mark: "",
        restart: None,
        rotate: None,
        keeps: false,
    };
    let call = kind.preview(&work)?;
    Some(match context.transport.send(&call, context.secrets).await {
        // What comes back holds the values of Secrets: this takes them out.
        Ok(answer) => preview_from(&answer),
        Err(error) => match error.failure {
            Failure::NotFound => {
                Preview::Unchecked("what it lives in is made by this plan".to_owned())
            }
            Failure::Denied => Preview::Unchecked(format!(
                "the credentials may not ask the server ({}); `patch` permission would check it",
                error.message
            )),
            Failure::Refused | Failure::Conflict => Preview::Refused {
                status: error.status.unwrap_or_default(),
                message: error.message,
                fields: Vec::new(),
                conflict: error.failure == Failure::Conflict,
            },
            Failure::Throttled | Failure::NotSent | Failure::Unknown => {
                Preview::Unchecked(error.to_string())
            }
        },
    })
}
