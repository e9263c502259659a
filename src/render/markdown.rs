//! A plan as a comment for a pull request.

use super::RenderOptions;
use super::human::{change, counts, interruption, phase_words, requests_line, sign};
use super::json::report as report_json;
use super::reports::{gathered, level_name};
use super::text::{clean, cut};
use crate::model::change::Change;
use crate::model::error::{Level, Report};
use crate::model::plan::{Plan, StackPlan};

/// What a comment may hold, in characters; the service's own limit is 65,536.
pub const LIMIT: usize = 65_000;
/// The width of what is shown as text.
const WIDTH: usize = 110;
/// The longest text of a cell or a line outside of code, in columns.
const CELL: usize = 400;

/// The plan as Markdown of less than [`LIMIT`] characters: what it comes to, a line a change, and
/// the differences folded away. Where there is too much, differences are left out first, then
/// lines of changes; what it comes to always stays.
pub fn plan(plan: &Plan) -> String {
    let head = head(plan);
    let foot = format!("\n{}", requests_line(plan.requests));
    let mut room = LIMIT.saturating_sub(length(&head) + length(&foot) + 400);
    let mut out = head;
    let mut left_out = false;
    let checks: Vec<&Report> = plan.stacks.iter().flat_map(|stack| &stack.checks).collect();
    let mut add = |out: &mut String, text: String| {
        let fits = length(&text) <= room;
        if fits {
            room -= length(&text);
            out.push_str(&text);
        }
        left_out |= !fits;
        fits
    };
    for check in gathered(checks.into_iter().filter(|check| check.level > Level::Note)) {
        add(&mut out, check_line(&check));
    }
    for stack in &plan.stacks {
        add(&mut out, table(stack));
    }
    for stack in &plan.stacks {
        add(&mut out, details(stack));
    }
    if left_out {
        out.push_str("\n_Some of it is left out here: the comment would be too long. ");
        out.push_str("`boxctl plan` shows all._\n");
    }
    out.push_str(&foot);
    out
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn head(plan: &Plan) -> String {
    let summary = plan.summary();
    let text = match summary.is_empty() {
        true => "No changes".to_owned(),
        false => counts(&summary, "to "),
    };
    format!("### boxctl plan of {}: {text}\n\n", escape(&plan.project))
}

fn check_line(check: &Report) -> String {
    let sign = if check.level == Level::Error { "🛑" } else { "⚠️" };
    let value = report_json(check);
    let place = check.location.as_ref().map(|at| format!(" ({}:{})", escape(&at.file), at.line));
    let code = check.code.as_ref().map(|code| format!(" `{}`", clean(code))).unwrap_or_default();
    let address = value["address"].as_str().map(|text| format!(" `{text}`")).unwrap_or_default();
    let mut line = format!(
        "{sign} **{}**{code}{address}: {}{}\n",
        level_name(check.level),
        escape(&check.message),
        place.unwrap_or_default()
    );
    for hint in &check.hints {
        line.push_str(&format!("  {}\n", escape(hint)));
    }
    line.push('\n');
    line
}

fn table(stack: &StackPlan) -> String {
    if stack.changes.is_empty() && stack.kept.is_empty() {
        return format!("**{}**: no changes\n\n", escape(&stack.stack));
    }
    let mut out =
        format!("**{}**\n\n| | what | resource | why |\n|---|---|---|---|\n", escape(&stack.stack));
    for one in &stack.changes {
        let (sign, verb) = sign(one.action);
        let why = phase_words(one.phase).or(one.reason.as_deref()).map(escape);
        let interrupts = interruption(one).map(|how| format!("⚡ interrupts: {}", escape(how)));
        let why = [why, interrupts].into_iter().flatten().collect::<Vec<_>>().join("; ");
        out.push_str(&format!("| `{sign}` | {verb} | `{}` | {why} |\n", one.address));
    }
    for address in &stack.kept {
        out.push_str(&format!("| `#` | kept | `{address}` | protected, not in the files |\n"));
    }
    out.push('\n');
    out
}

/// The differences of a stack, folded away.
fn details(stack: &StackPlan) -> String {
    let options = RenderOptions { width: WIDTH, color: false, verbose: false };
    let drift: String = stack.drift.iter().map(|one| super::drift::entry(one, &options)).collect();
    let changes: String = stack.changes.iter().map(|one| shown(one, &options)).collect();
    let mut out = String::new();
    for (title, text) in [("Not as it was recorded", drift), ("Changes", changes)] {
        if !text.is_empty() {
            let fence = fence(&text);
            let title = format!("{title}: {}", escape(&stack.stack));
            out.push_str(&format!("<details><summary>{title}</summary>\n\n{fence}text\n"));
            out.push_str(&format!("{text}{fence}\n\n</details>\n\n"));
        }
    }
    out
}

fn shown(one: &Change, options: &RenderOptions) -> String {
    change(one, options)
}

/// A fence that no line of the text closes.
fn fence(text: &str) -> String {
    let longest = text
        .lines()
        .map(|line| line.trim_start().chars().take_while(|c| *c == '`').count())
        .max()
        .unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// Text of others as text: no markup, no mention, one line.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in cut(&clean(text).replace('\n', " "), CELL).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("@\u{200b}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_comment_says_what_it_comes_to() {
        insta::assert_snapshot!(plan(&samples::plan()));
    }

    #[test]
    fn a_comment_is_never_too_long() {
        let mut long = samples::plan();
        let changes = long.stacks[0].changes.clone();
        for _ in 0..300 {
            long.stacks[0].changes.extend(changes.clone());
        }
        let text = plan(&long);
        assert!(text.chars().count() < LIMIT, "{}", text.chars().count());
        assert!(text.contains("Some of it is left out"), "{text}");
        let mut many = samples::plan();
        many.stacks[0].changes.extend(changes.iter().cycle().take(200).cloned());
        assert!(plan(&many).contains("| `-` | delete |"));
    }

    #[test]
    fn texts_of_others_are_no_markup() {
        let text = escape("a|b <img> @all `x`\n# y");
        assert_eq!(text, "a\\|b &lt;img&gt; @\u{200b}all \\`x\\` \\# y");
        assert_eq!(fence("a\n  ````\n"), "`````");
    }
}
