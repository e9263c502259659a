//! `drift install`: writes the files of a job that looks for drift.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kinds;
use crate::model::error::{Exit, Report, Stop};
use crate::model::kind::Locate;
use crate::model::project::{Place, Project};
use crate::model::scope::{Scope, Zone};
use crate::model::state::State;
use crate::providers::cluster_objects::object_name;
use crate::providers::hints;
use crate::render::job::kubernetes::{Grant, InCluster};
use crate::render::job::systemd::OnMachine;
use crate::render::job::{Job, github, kubernetes, systemd};
use crate::store::Store;

use super::install_args::{InstallCommand, JobArgs};
use super::notifying::NOTE;
use super::session::Session;
use super::ui::Ui;

/// The fields of a cron line.
const CRON_FIELDS: usize = 5;

/// Runs `drift install`.
///
/// # Errors
/// A schedule or time zone that is none, a repository that is not known, a file of someone else's
/// in the way.
pub fn run(session: &Session, command: &InstallCommand, ui: &Ui) -> Result<Exit, Stop> {
    let states = states(session)?;
    let place = Checkout::of(&session.project.dir);
    match command {
        InstallCommand::Kubernetes {
            job: args,
            schedule,
            namespace,
            image,
            git_image,
            repository,
            branch,
        } => {
            let job = Job { schedule: cron(schedule)?, ..job(session, &states, &place, args)? };
            let repository = match repository {
                Some(url) => url.clone(),
                None => place.origin()?,
            };
            let in_cluster = InCluster {
                namespace: namespace.clone(),
                image: image.clone(),
                git_image: git_image.clone(),
                repository,
                branch: branch.clone(),
                contexts: contexts(&session.project),
                grants: grants(&session.project, &states),
            };
            let file = (format!("{}.yaml", job.name()), kubernetes::manifests(&job, &in_cluster));
            tell_of_local_states(&session.project, ui);
            write(&session.project.dir.join("drift"), &[file], args, ui)
        }
        InstallCommand::Github { job: args, schedule, image } => {
            let job = Job { schedule: cron(schedule)?, ..job(session, &states, &place, args)? };
            let file = (format!("{}.yaml", job.name()), github::workflow(&job, image));
            tell_of_local_states(&session.project, ui);
            write(&place.top.join(".github/workflows"), &[file], args, ui)
        }
        InstallCommand::Systemd { job: args, schedule, run_as } => {
            let schedule = one_line("--schedule", schedule)?;
            let job = Job { schedule, ..job(session, &states, &place, args)? };
            let program = std::env::current_exe().map_err(|error| {
                Stop::error(Report::error("it is not known where boxctl is").cause(error))
            })?;
            let machine = OnMachine {
                program: program.display().to_string(),
                project: absolute(&session.project.dir).display().to_string(),
                memory: memory(&session.project),
                user: run_as.clone().or_else(me).unwrap_or_else(|| "root".to_owned()),
            };
            let files = [
                (format!("{}.service", job.name()), systemd::service(&job, &machine)),
                (format!("{}.timer", job.name()), systemd::timer(&job)),
            ];
            write(&session.project.dir.join("drift"), &files, args, ui)
        }
    }
}

/// A job elsewhere sees no files of this disk but those that are committed.
fn tell_of_local_states(project: &Project, ui: &Ui) {
    if let Place::Local { dir } = &project.keeping.place {
        ui.note(&format!(
            "The states are files of this checkout: the job sees {}/*.json as they are committed. \
             `boxctl state migrate` moves them to where every machine finds them.",
            dir.display()
        ));
    }
}

/// Everything that is recorded.
fn states(session: &Session) -> Result<Vec<State>, Stop> {
    let states = super::states::all(session)?;
    if states.is_empty() {
        return Err(Stop::refused(
            Report::error("there is nothing recorded yet that a job could look after")
                .hint("`boxctl apply` first: what the job may read is told from the states"),
        ));
    }
    Ok(states)
}

fn job(session: &Session, states: &[State], at: &Checkout, args: &JobArgs) -> Result<Job, Stop> {
    let has = |prefix: &str| {
        states.iter().flat_map(|state| state.resources.values()).any(|one| one.kind == prefix)
    };
    let project = &session.project;
    let place = &project.keeping.place;
    let webhooks = &project.notify.webhooks;
    let key = project.keeping.key_env.iter();
    let remembers = remembers(project);
    Ok(Job {
        project: project.name.clone(),
        dir: at.dir.clone(),
        schedule: String::new(),
        time_zone: args.time_zone.as_deref().map(time_zone).transpose()?,
        cloudflare: permissions(project, states),
        aws: actions(place, has("ssm_parameter"), remembers),
        cluster: has("k8s") || matches!(place, Place::Kubernetes { .. }),
        aws_region: project.aws_region.clone(),
        notifies: !webhooks.is_empty(),
        environment: webhooks.iter().map(|one| &one.url_env).chain(key).cloned().collect(),
    })
}

/// Whether a job keeps what it told last.
fn remembers(project: &Project) -> bool {
    project.notify.remember && !project.notify.webhooks.is_empty()
}

/// The actions of AWS that reading takes, and keeping what was told last.
fn actions(place: &Place, reads_parameters: bool, remembers: bool) -> Vec<String> {
    let mut actions = Vec::new();
    if reads_parameters {
        let all = "sts:GetCallerIdentity, ssm:DescribeParameters, ssm:ListTagsForResource";
        actions.push(all.to_owned());
    }
    if let Place::S3 { bucket, prefix, .. } = place {
        actions.push(format!("s3:ListBucket on {bucket}, s3:GetObject on {bucket}/{prefix}*"));
        if remembers {
            actions.push(format!("s3:PutObject on {bucket}/{prefix}{}", Store::note_name(NOTE)));
        }
    }
    actions
}

/// The directory that a job on a machine writes to, where the states are files.
fn memory(project: &Project) -> Option<String> {
    match &project.keeping.place {
        Place::Local { dir } if remembers(project) => {
            Some(absolute(&project.dir.join(dir)).display().to_string())
        }
        _ => None,
    }
}

/// The contexts that the project's files name.
fn contexts(project: &Project) -> Vec<String> {
    let mut all: Vec<String> = project.kubernetes_context.iter().cloned().collect();
    if let Place::Kubernetes { context: Some(context), .. } = &project.keeping.place
        && !all.contains(context)
    {
        all.push(context.clone());
    }
    all
}

/// The permissions that reading what is recorded takes.
fn permissions(project: &Project, states: &[State]) -> Vec<String> {
    let Some(settings) = &project.cloudflare else { return Vec::new() };
    let resources = || states.iter().flat_map(|state| &state.resources);
    let zones: BTreeSet<&str> = resources()
        .filter(|(_, recorded)| recorded.kind == "dns_record")
        .filter_map(|(_, recorded)| Some(recorded.id.split_once('/')?.0))
        .collect();
    let zone = |id: &str| Zone { id: id.to_owned(), name: String::new() };
    let scope = Scope {
        account_id: settings.account_id.clone(),
        zones: zones.into_iter().map(zone).collect(),
        ..Scope::default()
    };
    let mut found = BTreeSet::new();
    for (address, recorded) in resources() {
        let Some(kind) = kinds::find(address.kind()) else { continue };
        let calls = match kind.locate(Some(&recorded.sent), Some(&recorded.id), &scope) {
            Some(Locate::In(listings)) => listings.into_iter().map(|one| one.call).collect(),
            Some(Locate::By(call)) => vec![call],
            _ => Vec::new(),
        };
        found.extend(calls.iter().filter_map(hints::reading));
    }
    if !scope.zones.is_empty() {
        found.insert("Zone Read (zone)".to_owned());
    }
    let mut all: Vec<String> = found.into_iter().collect();
    if !all.is_empty() {
        all.push(
            "Account Settings Read (account), if it is to name who changed something".to_owned(),
        );
    }
    all
}

/// What a job reads of the cluster: lists of what is recorded, Secrets by name, and the namespace
/// that tells one cluster from another.
fn grants(project: &Project, states: &[State]) -> Vec<Grant> {
    let mut listed: BTreeMap<(Option<String>, String, String), BTreeSet<String>> = BTreeMap::new();
    for recorded in states.iter().flat_map(|state| state.resources.values()) {
        if recorded.kind != "k8s" {
            continue;
        }
        let Some((plural, group, namespace, name)) =
            kinds::kubernetes::names::split_id(&recorded.id)
        else {
            continue;
        };
        let is_secret = plural == "secrets" && group.is_empty();
        let key = (namespace.map(str::to_owned), group.to_owned(), plural.to_owned());
        listed.entry(key).or_default().extend(is_secret.then(|| name.to_owned()));
    }
    let mut grants: Vec<Grant> = listed
        .into_iter()
        .map(|((namespace, group, plural), names)| Grant {
            namespace,
            group,
            plural,
            verbs: if names.is_empty() { &["get", "list"] } else { &["get"] },
            names: names.into_iter().collect(),
        })
        .collect();
    let is_listed = |grant: &Grant| {
        grant.namespace.is_none() && grant.plural == "namespaces" && grant.group.is_empty()
    };
    if !grants.is_empty() && !grants.iter().any(is_listed) {
        grants.push(Grant {
            namespace: None,
            group: String::new(),
            plural: "namespaces".to_owned(),
            names: vec!["kube-system".to_owned()],
            verbs: &["get"],
        });
    }
    if let Place::Kubernetes { namespace, .. } = &project.keeping.place {
        grants.extend(keeping(namespace, project));
    }
    grants
}

/// What a job reads and writes of the states themselves.
fn keeping(namespace: &str, project: &Project) -> Vec<Grant> {
    let grant = |group: &str, plural: &str, names: &[String], verbs| Grant {
        namespace: Some(namespace.to_owned()),
        group: group.to_owned(),
        plural: plural.to_owned(),
        names: names.to_vec(),
        verbs,
    };
    let mut grants = vec![
        grant("", "secrets", &[], &["get", "list"]),
        grant("coordination.k8s.io", "leases", &[], &["get"]),
    ];
    if remembers(project) {
        let memory = object_name(&project.name, &Store::note_name(NOTE));
        // A name can't be said of what is not there yet.
        grants.push(grant("", "secrets", &[], &["create"]));
        grants.push(grant("", "secrets", &[memory], &["update"]));
    }
    grants
}

/// Where the project is in its repository.
struct Checkout {
    /// The checkout's top directory; the project's own where there is no repository.
    top: PathBuf,
    /// The project's directory in it.
    dir: String,
}

impl Checkout {
    fn of(project: &Path) -> Checkout {
        let top = git(project, &["rev-parse", "--show-toplevel"]).map(PathBuf::from);
        let dir = git(project, &["rev-parse", "--show-prefix"]).unwrap_or_default();
        Checkout {
            top: top.unwrap_or_else(|| project.to_path_buf()),
            dir: dir.trim_end_matches('/').to_owned(),
        }
    }

    /// The address of the remote `origin`, over https: a pod has no key of ssh.
    fn origin(&self) -> Result<String, Stop> {
        let url = git(&self.top, &["remote", "get-url", "origin"]).ok_or_else(|| {
            Stop::error(
                Report::error("it is not known where the project's files can be fetched from")
                    .hint("say it: `--repository https://…`; a checkout with a remote `origin` says it too"),
            )
        })?;
        Ok(over_https(&url))
    }
}

/// `git@host:path` and `ssh://git@host/path` as `https://host/path`; without user and password,
/// which would be a secret in a file.
fn over_https(url: &str) -> String {
    if let Some((user_host, path)) = url.split_once(':')
        && let Some((_, host)) = user_host.split_once('@')
        && !user_host.contains('/')
    {
        return format!("https://{host}/{path}");
    }
    let Ok(mut parsed) = url::Url::parse(url) else { return url.to_owned() };
    let _ = parsed.set_password(None).and_then(|()| parsed.set_username(""));
    match (parsed.scheme(), parsed.host_str()) {
        ("ssh", Some(host)) => format!("https://{host}{}", parsed.path()),
        _ => parsed.to_string(),
    }
}

fn git(dir: &Path, args: &[&str]) -> Option<String> {
    let ran = Command::new("git").arg("-C").arg(dir).args(args).output().ok()?;
    let text = String::from_utf8(ran.stdout).ok()?.trim().to_owned();
    (ran.status.success() && !text.is_empty()).then_some(text)
}

fn me() -> Option<String> {
    std::env::var("USER").ok().filter(|name| !name.is_empty())
}

fn absolute(dir: &Path) -> PathBuf {
    std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf())
}

/// A cron line; what its fields say, the scheduler judges.
fn cron(text: &str) -> Result<String, Stop> {
    let text = one_line("--schedule", text)?;
    let is_field =
        |field: &str| field.chars().all(|c| c.is_ascii_alphanumeric() || "*/,-".contains(c));
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() == CRON_FIELDS && fields.iter().all(|field| is_field(field)) {
        return Ok(fields.join(" "));
    }
    Err(Stop::error(
        Report::error(format!("`--schedule {text}` is no cron line"))
            .hint("minute, hour, day of the month, month, day of the week: '17 6 * * *'"),
    ))
}

fn one_line(option: &str, text: &str) -> Result<String, Stop> {
    match text.trim() {
        "" => Err(Stop::error(Report::error(format!("`{option}` says nothing")))),
        text if text.contains(['\n', '\r']) => {
            Err(Stop::error(Report::error(format!("`{option}` has more than one line"))))
        }
        text => Ok(text.to_owned()),
    }
}

/// A name as the time zone database has them; whether there is such a zone, the scheduler judges.
fn time_zone(name: &str) -> Result<String, Stop> {
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
    };
    if name.split('/').all(is_part) {
        return Ok(name.to_owned());
    }
    Err(Stop::error(
        Report::error(format!("`--time-zone {name}` is no name of a time zone"))
            .hint("names are as in the IANA time zone database: Asia/Tokyo, Europe/Berlin, UTC"),
    ))
}

fn write(usual: &Path, files: &[(String, String)], args: &JobArgs, ui: &Ui) -> Result<Exit, Stop> {
    let dir = args.to.as_deref().unwrap_or(usual);
    if dir == Path::new("-") {
        files.iter().for_each(|(_, text)| ui.print(text.trim_end()));
        return Ok(Exit::Done);
    }
    for (name, text) in files {
        let there = std::fs::read_to_string(dir.join(name)).ok();
        if there.is_some_and(|there| there != *text) && !args.overwrite {
            return Err(Stop::refused(
                Report::error(format!(
                    "{} is there already, and says something else",
                    dir.join(name).display()
                ))
                .hint("`--overwrite` writes over it; `--to -` shows what would be written"),
            ));
        }
    }
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&path, text)).map_err(
            |error| {
                Stop::error(
                    Report::error(format!("{} could not be written", path.display())).cause(error),
                )
            },
        )?;
        ui.print(&format!("wrote {}", path.display()));
    }
    ui.note("The file's head says what is left to do: credentials that can only read, and how to start it.");
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_fetched_over_https_and_without_a_password() {
        for (url, https) in [
            ("git@github.com:me/home.git", "https://github.com/me/home.git"),
            ("ssh://git@git.example.org:2222/me/home.git", "https://git.example.org/me/home.git"),
            ("https://me:secret@git.example.org/home.git", "https://git.example.org/home.git"),
            ("https://git.example.org/home.git", "https://git.example.org/home.git"),
        ] {
            assert_eq!(over_https(url), https);
        }
    }

    #[test]
    fn a_schedule_is_a_cron_line() {
        assert_eq!(cron(" 17  */6 * * MON-FRI ").unwrap(), "17 */6 * * MON-FRI");
        for wrong in ["", "* * * *", "17 6 * * *\n- x", "@daily", "17 6 * * $(x)"] {
            assert!(cron(wrong).is_err(), "{wrong}");
        }
    }
}
