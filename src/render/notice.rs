//! What is said of drift to those who are to be told: as Slack, Discord and programs take it, within
//! their limits. Nothing from outside is read as a mention, a link or markup.
//!
//! Limits: Slack, "Reference: blocks" (50 blocks; 3,000 characters of a section, 150 of a header);
//! Discord, "Webhook resource" and "Embed limits" (2,000 characters of content, 4,096 of a
//! description, 6,000 of all embeds together).

use serde_json::json;

use super::drift::shown;
use super::human::drift_words;
use super::json::{FORMAT_VERSION, drift_entry};
use super::mask::compact;
use super::text::{clean, count};
use crate::model::Json;
use crate::model::change::{Drift, FieldChange};
use crate::model::notify::{News, Told, WebhookShape};

/// How many resources are told one by one.
const MOST: usize = 20;
/// How many differences of a resource are told one by one.
const MOST_PATHS: usize = 6;
/// How much of a value, a path or an address is shown, in characters.
const LONG: usize = 80;
/// Slack: characters of a section, of a header.
const SLACK_SECTION: usize = 3_000;
const SLACK_HEADER: usize = 150;
/// Discord: characters of the content, of an embed's description.
const DISCORD_CONTENT: usize = 2_000;
const DISCORD_DESCRIPTION: usize = 4_096;

/// The body for a webhook of that shape.
pub fn body(shape: WebhookShape, project: &str, at: jiff::Timestamp, news: &News) -> Json {
    match shape {
        WebhookShape::Slack => slack(project, news),
        WebhookShape::Discord => discord(project, news),
        WebhookShape::Json => document(project, at, news),
    }
}

/// `boxctl drift, home: 2 new, 1 resolved`.
fn headline(project: &str, news: &News) -> String {
    let parts = [
        (news.new.len(), "new"),
        (news.changed.len(), "changed again"),
        (news.resolved.len(), "resolved"),
        (news.acknowledged.len(), "acknowledged"),
    ];
    let said = parts.iter().filter(|(number, _)| *number > 0);
    let said: Vec<String> = said.map(|(number, word)| format!("{number} {word}")).collect();
    format!("boxctl drift, {}: {}", cut(&clean(project), LONG), said.join(", "))
}

/// What follows the entries, of which so many are shown.
fn rest(news: &News, shown: usize) -> Option<String> {
    let mut parts = Vec::new();
    let all = [news.new.len(), news.changed.len(), news.resolved.len(), news.acknowledged.len()];
    let left = all.iter().sum::<usize>().saturating_sub(shown);
    if left > 0 {
        parts.push(format!("{} more, which `boxctl drift` shows", count(left as u64, "resource")));
    }
    if news.same > 0 {
        parts.push(format!("{} as told before", count(news.same as u64, "resource")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The first entries as lines; `code` makes a piece of a text that means nothing but itself.
fn entries(news: &News, bold: &str, code: &dyn Fn(&str) -> String) -> Vec<String> {
    let drifted = |word: Option<&str>, (stack, drift): &(String, Drift)| {
        let word = word.unwrap_or(drift_words(drift.kind).1);
        let address = code(&drift.address.to_string());
        let mut lines = vec![format!("{bold}{word}{bold} {address} in {}", code(stack))];
        let mut first = drift.clone();
        first.paths.truncate(MOST_PATHS);
        lines.extend(shown(&first).iter().map(|change| difference(change, code)));
        let more = drift.paths.len().saturating_sub(MOST_PATHS);
        if more > 0 {
            lines.push(format!("… and {}", count(more as u64, "difference")));
        }
        lines.join("\n")
    };
    let over = |word: &str, one: &Told| {
        format!("{bold}{word}{bold} {} in {}", code(&one.address.to_string()), code(&one.stack))
    };
    let new = news.new.iter().map(|one| drifted(None, one));
    let changed = news.changed.iter().map(|one| drifted(Some("changed again"), one));
    let resolved = news.resolved.iter().map(|one| over("resolved", one));
    let known = news.acknowledged.iter().map(|one| over("acknowledged", one));
    new.chain(changed).chain(resolved).chain(known).take(MOST).collect()
}

fn difference(change: &FieldChange, code: &dyn Fn(&str) -> String) -> String {
    let side = |value: &Option<Json>| value.as_ref().map(|value| code(&compact(value)));
    let path = code(if change.path.is_empty() { "(all)" } else { &change.path });
    let mut text = match (side(&change.before), side(&change.after)) {
        (Some(before), Some(after)) => format!("{path}: {before} → {after}"),
        (None, Some(after)) => format!("{path}: now {after}"),
        (Some(before), None) => format!("{path}: was {before}"),
        (None, None) => path,
    };
    if let Some(by) = &change.by {
        text.push_str(&format!(" by {}", code(by)));
    }
    if let Some(since) = &change.since {
        text.push_str(&format!(" at {}", code(since)));
    }
    text
}

fn slack(project: &str, news: &News) -> Json {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let code = |text: &str| format!("`{}`", escape(&inert(text)));
    let all = entries(news, "*", &code);
    let head = headline(project, news);
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "text": cut(&head, SLACK_HEADER), "emoji": false},
    })];
    let (mut shown, mut text) = (0, String::new());
    // Few sections are read more easily than many: as many entries in each as it takes.
    for entry in &all {
        let entry = whole_lines(entry, SLACK_SECTION);
        if !text.is_empty() && length(&text) + length(&entry) + 2 > SLACK_SECTION {
            blocks.push(section(&std::mem::take(&mut text)));
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&entry);
        shown += 1;
    }
    if !text.is_empty() {
        blocks.push(section(&text));
    }
    if let Some(rest) = rest(news, shown) {
        blocks.push(json!({
            "type": "context", "elements": [{"type": "mrkdwn", "text": rest, "verbatim": true}],
        }));
    }
    json!({"text": escape(&head), "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
}

fn section(text: &str) -> Json {
    // `verbatim`: names and addresses in it are not made into mentions and links.
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}})
}

fn discord(project: &str, news: &News) -> Json {
    const RED: u32 = 0x00d7_3a4a;
    const GREEN: u32 = 0x0028_a745;
    let code = |text: &str| format!("`{}`", inert(text));
    let all = entries(news, "**", &code);
    let (mut shown, mut text) = (0, String::new());
    // Room for what is said of the rest.
    const ROOM: usize = DISCORD_DESCRIPTION - 200;
    for entry in &all {
        if length(&text) + length(entry) + 2 > ROOM {
            break;
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(entry);
        shown += 1;
    }
    if let Some(rest) = rest(news, shown) {
        text.push_str(&format!("\n\n{rest}"));
    }
    let rings = !news.new.is_empty() || !news.changed.is_empty();
    let head = headline(project, news);
    let content: String = head.chars().map(|c| if is_markup(c) { ' ' } else { c }).collect();
    json!({
        "content": cut(&content, DISCORD_CONTENT),
        "embeds": [{"description": text, "color": if rings { RED } else { GREEN }}],
        "allowed_mentions": {"parse": []},
    })
}

fn is_markup(c: char) -> bool {
    "@#<>*_~`|[]()\\".contains(c)
}

fn document(project: &str, at: jiff::Timestamp, news: &News) -> Json {
    let drift = |all: &[(String, Drift)]| -> Vec<Json> {
        all.iter().map(|(stack, one)| drift_entry(Some(stack), one)).collect()
    };
    let over = |all: &[Told]| -> Vec<Json> {
        let entry = |o: &Told| json!({"stack": o.stack, "address": o.address, "drift": o.drift});
        all.iter().map(entry).collect()
    };
    json!({
        "format_version": FORMAT_VERSION,
        "event": "drift",
        "project": project,
        "at": at,
        "text": headline(project, news),
        "new": drift(&news.new),
        "changed": drift(&news.changed),
        "resolved": over(&news.resolved),
        "acknowledged": over(&news.acknowledged),
        "same": news.same,
    })
}

/// A text that can stand in a piece of code on one line: nothing ends it.
fn inert(text: &str) -> String {
    let line: String = clean(text)
        .chars()
        .map(|c| match c {
            '`' => '\u{2cb}',
            c if c.is_whitespace() => ' ',
            c => c,
        })
        .collect();
    let line = cut(&line, LONG);
    // Code without anything in it is none.
    if line.trim().is_empty() { "(empty)".to_owned() } else { line }
}

/// As many lines of a text as fit: cut elsewhere, its markup would be open.
fn whole_lines(text: &str, most: usize) -> String {
    let mut out = text.to_owned();
    while length(&out) > most {
        let Some(end) = out.trim_end_matches("\n…").rfind('\n') else { break };
        out.truncate(end);
        out.push_str("\n…");
    }
    out
}

/// How long a text is by the strictest count: UTF-16.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A text of at most so many characters.
fn cut(text: &str, most: usize) -> String {
    if length(text) <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.len_utf16();
        if used > most {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
#[path = "notice_tests.rs"]
mod tests;
