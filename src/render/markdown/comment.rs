//! A comment that never gets too long: what does not fit is left out, counted, and said.

use std::collections::BTreeMap;

use super::LIMIT;
use super::escape::{code, escape, fence, in_comment, prose};
use crate::model::error::{Level, Report};
use crate::render::drift::is_exposure;
use crate::render::reports::{gathered, level_name};
use crate::render::text::count;

/// What is kept free for the last lines.
const FOOT: usize = 1_500;
/// The longest block that is shown of one resource, in bytes.
const BLOCK: usize = 6_000;
/// How much of the room reports may take, in parts of it.
const REPORTS: usize = 4;

/// A comment under construction. Its length is counted in bytes: however a service counts
/// characters, that is never less.
pub(super) struct Comment {
    out: String,
    /// How many of what.
    left_out: BTreeMap<&'static str, usize>,
}

impl Comment {
    /// A comment that starts with the mark by which it is found again, and its title.
    pub(super) fn new(command: &str, project: &str, title: &str) -> Comment {
        let mark = in_comment(&format!("boxctl:{command}:{project}"));
        let title = format!("### boxctl {command} of {}: {title}", escape(project));
        Comment { out: format!("<!-- {mark} -->\n{title}\n\n"), left_out: BTreeMap::new() }
    }

    fn room(&self) -> usize {
        (LIMIT - FOOT).saturating_sub(self.out.len())
    }

    /// Adds a text if it fits into a part of what is left.
    fn fits(&mut self, text: &str, room: usize) -> bool {
        let fits = text.len() <= room.min(self.room());
        if fits {
            self.out.push_str(text);
        }
        fits
    }

    /// A short text.
    pub(super) fn line(&mut self, text: &str) {
        if !self.fits(text, usize::MAX) {
            self.leave_out(1, "line");
        }
    }

    /// Reports, hostnames that are open first, then errors, then warnings.
    pub(super) fn reports<'a>(&mut self, all: impl Iterator<Item = &'a Report>) {
        let mut all = gathered(all.filter(|report| report.level > Level::Note));
        all.sort_by_key(|one| (!is_exposure(one), std::cmp::Reverse(one.level)));
        let mut room = self.room() / REPORTS;
        let mut left = 0;
        for one in &all {
            let text = report(one);
            match left == 0 && self.fits(&text, room) {
                true => room -= text.len(),
                false => left += 1,
            }
        }
        self.leave_out(left, "message");
    }

    /// A table, of which lines are left out that do not fit into one of `parts` parts of the room.
    pub(super) fn table(&mut self, head: &str, rows: &[String], parts: usize) {
        let mut room = self.room() / parts.max(1);
        if rows.is_empty() || !self.fits(head, room) {
            return self.leave_out(rows.len(), "line");
        }
        room -= head.len();
        let mut shown = 0;
        for row in rows {
            if !self.fits(row, room) {
                break;
            }
            room -= row.len();
            shown += 1;
        }
        self.out.push('\n');
        self.leave_out(rows.len() - shown, "line");
    }

    /// Blocks of plain text, folded away, of which those are left out that do not fit.
    pub(super) fn details(&mut self, title: &str, blocks: &[String]) {
        let blocks: Vec<String> = blocks.iter().map(|block| clipped(block)).collect();
        let fence = fence(blocks.iter().map(String::as_str));
        let head = format!("<details><summary>{}</summary>\n\n{fence}text\n", escape(title));
        let foot = format!("{fence}\n\n</details>\n\n");
        let mut room = self.room().saturating_sub(head.len() + foot.len());
        let mut shown = 0;
        for block in &blocks {
            if block.len() > room {
                break;
            }
            room -= block.len();
            shown += 1;
        }
        if shown > 0 {
            self.out.push_str(&format!("{head}{}{foot}", blocks[..shown].concat()));
        }
        self.leave_out(blocks.len() - shown, "difference");
    }

    fn leave_out(&mut self, number: usize, what: &'static str) {
        if number > 0 {
            *self.left_out.entry(what).or_default() += number;
        }
    }

    /// The whole comment; `all` says where what was left out is to be seen.
    pub(super) fn end(mut self, all: &str, foot: &str) -> String {
        if !self.left_out.is_empty() {
            let all_of = self.left_out.iter().map(|(what, number)| count(*number as u64, what));
            let what = all_of.collect::<Vec<_>>().join(", ");
            self.out.push_str(&format!(
                "_Left out here, since the comment would be too long: {what}. {all}_\n\n"
            ));
        }
        self.out.push_str(foot);
        self.out
    }
}

/// The block, cut where it is too long.
fn clipped(block: &str) -> String {
    if block.len() <= BLOCK {
        return block.to_owned();
    }
    let mut out = String::new();
    for line in block.split_inclusive('\n') {
        if out.len() + line.len() > BLOCK {
            break;
        }
        out.push_str(line);
    }
    format!("{out}      … it goes on\n")
}

/// A report as an item of a list, or as an alert where a hostname is open.
fn report(one: &Report) -> String {
    let about = one.address.as_ref().map(ToString::to_string);
    let about = about.filter(|address| !one.message.contains(address.as_str()));
    let head = about.map(|address| format!("{}: ", code(&address))).unwrap_or_default();
    let place = one.location.as_ref().map(|at| format!(" ({})", code(&at.to_string())));
    let text = format!("{head}{}{}", prose(&one.message), place.unwrap_or_default());
    let more = one.causes.iter().map(|cause| ("cause", cause));
    let more = more.chain(one.hints.iter().map(|hint| ("hint", hint)));
    if is_exposure(one) {
        let more: String =
            more.map(|(what, text)| format!("> {what}: {}\n", prose(text))).collect();
        return format!("> [!CAUTION]\n> **{text}**\n{more}\n");
    }
    let sign = if one.level == Level::Error { "🛑" } else { "⚠️" };
    let named = one.code.as_ref().map(|name| format!(" {}", code(name))).unwrap_or_default();
    let more: String = more.map(|(what, text)| format!("  - {what}: {}\n", prose(text))).collect();
    format!("- {sign} **{}**{named} {text}\n{more}\n", level_name(one.level))
}
