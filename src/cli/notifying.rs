//! `drift --notify`: webhooks are told when the set of drift changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::news::news;
use crate::model::address::Address;
use crate::model::error::{Exit, Report, Stop};
use crate::model::notify::{News, Told};
use crate::model::secret::Secret;
use crate::providers::Retry;
use crate::providers::webhook::Webhooks;
use crate::render::drift::{self, DriftView};
use crate::render::notice;

use super::session::Session;
use super::ui::Ui;

/// The note beside the state: what each webhook was told last. It is the only thing that the job
/// may write.
pub(super) const NOTE: &str = "drift";
const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    format_version: u32,
    /// By the name of the variable that holds the webhook's URL.
    told: BTreeMap<String, Vec<Told>>,
}

/// Refuses `--notify` where nobody is to be told.
///
/// # Errors
/// The project names no webhook.
pub(super) fn check(session: &Session) -> Result<(), Stop> {
    if !session.project.notify.webhooks.is_empty() {
        return Ok(());
    }
    let report = Report::error("`--notify`: boxctl.yaml names nobody who is to be told");
    Err(Stop::refused(
        report
            .code("no-webhook")
            .hint("`notify: [{type: slack, url_env: SLACK_WEBHOOK_URL}]` in boxctl.yaml"),
    ))
}

/// Tells every webhook what changed since it was told last: sends, then remembers, so that nothing
/// is told never, and something rather twice. Exit 1 where somebody could not be told.
pub(super) async fn notify(
    session: &Session,
    ui: &Ui,
    view: &DriftView,
    is_seen: &dyn Fn(&str, &Address) -> bool,
) -> Exit {
    let settings = &session.project.notify;
    let mut remember = settings.remember;
    let mut kept = Remembered { format_version: FORMAT_VERSION, ..Remembered::default() };
    if remember {
        match read(session) {
            Ok(found) => kept.told = found,
            Err(report) => {
                ui.reports(&[report]);
                remember = false;
            }
        }
    }
    let webhooks = Webhooks::new(Retry::from(session.project.timing));
    let mut exit = Exit::Done;
    for webhook in &settings.webhooks {
        let before = kept.told.get(&webhook.url_env).cloned().unwrap_or_default();
        let (news, now) = news(&before, &view.drift, &view.acknowledged, &drift::shown, is_seen);
        if news.is_empty() {
            continue;
        }
        let body = notice::body(webhook.shape, &view.project, view.at, &news);
        let url = std::env::var(&webhook.url_env).ok().filter(|url| !url.trim().is_empty());
        let sent = match url {
            Some(url) => webhooks.send(Secret::new(url.trim()), &body).await.map_err(|e| e.message),
            None => Err("the variable is not set".to_owned()),
        };
        match sent {
            Ok(()) => ui.note(&told(&webhook.url_env, &news)),
            Err(why) => {
                ui.reports(&[unsent(&webhook.url_env, &why)]);
                exit = exit.and(Exit::Error);
                continue;
            }
        }
        if !remember {
            continue;
        }
        kept.told.insert(webhook.url_env.clone(), now);
        if let Err(report) = write(session, &kept) {
            ui.reports(&[report]);
            remember = false;
        }
    }
    exit
}

fn read(session: &Session) -> Result<BTreeMap<String, Vec<Told>>, Report> {
    let Some(content) = session.store.read_note(NOTE).map_err(|error| unkept(&error))? else {
        return Ok(BTreeMap::new());
    };
    match serde_json::from_slice::<Remembered>(&content) {
        Ok(found) if found.format_version == FORMAT_VERSION => Ok(found.told),
        Ok(found) => Err(unkept(&format!("it is of format {}", found.format_version))),
        Err(error) => Err(unkept(&error)),
    }
}

fn write(session: &Session, kept: &Remembered) -> Result<(), Report> {
    let text = serde_json::to_vec_pretty(kept).map_err(|error| unkept(&error))?;
    session.store.put_note(NOTE, &text).map_err(|error| unkept(&error))
}

fn unkept(why: &dyn std::fmt::Display) -> Report {
    Report::warning("notify-memory", "what was told can't be remembered: every run tells all drift")
        .cause(why)
        .hint("let the job write that one document, or say `notify: {remember: false}`")
}

fn unsent(name: &str, why: &str) -> Report {
    Report::error(format!("the webhook of {name} could not be told")).code("notify").cause(why)
}

fn told(name: &str, news: &News) -> String {
    let number = news.new.len() + news.changed.len();
    let over = news.resolved.len() + news.acknowledged.len();
    format!("Told the webhook of {name}: {number} drifted, {over} over.")
}
