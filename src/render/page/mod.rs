//! One page of HTML that holds all it needs: what drifted, what is planned or what was done, with
//! old and new side by side and the stacks as graphs. It works without its script, asks nothing of
//! any network, and its policy lets nothing run or load but what is in it.

mod applied;
mod content;
mod drift;
mod entries;
mod html;
mod layout;
mod picture;
mod plan;
mod sides;

use base64::prelude::*;
use sha2::{Digest, Sha256};

use super::applied::Applied;
use super::drift::DriftView;
use super::text::count;
use crate::model::error::Report;
use crate::model::plan::Plan;
use content::{Page, Section, Tone};
use html::Html;

/// What a page is smaller than, in bytes, however much there is to tell.
pub const LIMIT: usize = 4 * 1024 * 1024;
/// From here on, reports are counted only.
const TOLD: usize = LIMIT / 8;
/// From here on, entries are shown without what differs.
const LINES_ONLY: usize = LIMIT / 8 * 5;
/// From here on, entries are counted only.
const FULL: usize = LIMIT / 8 * 7;
/// From here on, nothing more is drawn.
const DRAWN: usize = LIMIT / 16 * 15;
/// How many entries are open from the start.
const OPEN: usize = 12;
/// How many reports a page shows.
const REPORTS: usize = 100;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What a look at drift found.
pub fn drift(view: &DriftView) -> String {
    write(&drift::page(view))
}

/// What an apply would do.
pub fn plan(plan: &Plan) -> String {
    write(&plan::page(plan))
}

/// What an apply came to.
pub fn applied(applied: &Applied<'_>) -> String {
    write(&applied::page(applied))
}

/// What is said of a command that did not come to its result. `project` is empty where even that is
/// not known.
pub fn failed(command: &'static str, project: &str, reports: &[Report]) -> String {
    write(&Page {
        command,
        project: project.to_owned(),
        tone: Tone::Bad,
        verdict: "It could not be done".to_owned(),
        reports: drift::reports(reports.iter()),
        ..Page::default()
    })
}

fn write(page: &Page) -> String {
    let mut html = Html::default();
    head(&mut html, page);
    html.raw("<body class=\"").raw(page.tone.class()).raw("\">");
    html.raw("<a class=\"skip\" href=\"#main\">Skip to what was found</a>");
    header(&mut html, page);
    html.raw("<main id=\"main\">");
    reports(&mut html, page);
    let whole = page.sections.iter().map(|section| section.entries.len()).sum::<usize>();
    if whole > 0 {
        html.raw(include_str!("tools.html"));
    }
    // The graph stands under what matters most.
    let first = page.sections.iter().position(|section| !section.entries.is_empty());
    let (first, rest) = page.sections.split_at(first.map_or(0, |at| at + 1));
    let mut number = 0;
    first.iter().for_each(|one| section(&mut html, page, one, &mut number, whole <= OPEN));
    pictures(&mut html, page);
    rest.iter().for_each(|one| section(&mut html, page, one, &mut number, whole <= OPEN));
    html.raw("</main>");
    footer(&mut html, page);
    html.raw("<script>").raw(SCRIPT).raw("</script></body></html>\n");
    html.finish()
}

/// Lets nothing run or load but what is in the page.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; \
         base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn head(html: &mut Html, page: &Page) {
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"").text(&policy());
    html.raw("\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">");
    html.raw("<meta name=\"referrer\" content=\"no-referrer\">");
    html.raw("<meta name=\"robots\" content=\"noindex\"><title>").text(&page.verdict);
    html.raw(" · boxctl ").raw(page.command).raw(" · ").text(&page.project);
    html.raw("</title><link rel=\"icon\" href=\"").raw(icon(page.tone));
    html.raw("\"><style>").raw(STYLE).raw("</style></head>");
}

/// A point in the colour of the verdict, for the browser's tab.
fn icon(tone: Tone) -> &'static str {
    macro_rules! point {
        ($colour:literal) => {
            concat!(
                "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 \
                 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23",
                $colour,
                "'/%3E%3C/svg%3E"
            )
        };
    }
    match tone {
        Tone::Bad => point!("d1383d"),
        Tone::Changed | Tone::Other => point!("c98a00"),
        Tone::Good | Tone::Quiet => point!("2c974b"),
    }
}

fn header(html: &mut Html, page: &Page) {
    html.raw("<header><p class=\"eyebrow\">boxctl ").raw(page.command);
    if !page.project.is_empty() {
        html.raw(" <span aria-hidden=\"true\">/</span> <strong>").text(&page.project);
        html.raw("</strong>");
    }
    html.raw("</p><h1>").text(&page.verdict).raw("</h1>");
    if !page.advice.is_empty() {
        html.raw("<p class=\"lead\">");
        marked(html, &page.advice);
        html.raw("</p>");
    }
    if !page.tiles.is_empty() {
        html.raw("<ul class=\"tiles\">");
        page.tiles.iter().for_each(|tile| write_tile(html, page, tile));
        html.raw("</ul>");
    }
    if !page.facts.is_empty() {
        html.raw("<dl class=\"facts\">");
        for (word, text) in &page.facts {
            html.raw("<div><dt>").raw(word).raw("</dt><dd>").text(text).raw("</dd></div>");
        }
        html.raw("</dl>");
    }
    html.raw("</header>");
}

fn write_tile(html: &mut Html, page: &Page, tile: &content::Tile) {
    let tone = if tile.number == 0 { Tone::Quiet } else { tile.tone };
    let filled = |section: &Section| section.id == tile.id && !section.entries.is_empty();
    let leads = tile.number > 0 && page.sections.iter().any(filled);
    html.raw("<li class=\"tile ").raw(tone.class()).raw("\">");
    if leads {
        html.raw("<a href=\"#").raw(tile.id).raw("\">");
    }
    html.raw("<b>").number(tile.number as i64).raw("</b> <span>").raw(tile.word).raw("</span>");
    if leads {
        html.raw("</a>");
    }
    html.raw("</li>");
}

fn reports(html: &mut Html, page: &Page) {
    if page.reports.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"told\"><h2 id=\"told\">To be known first</h2>");
    let mut shown = 0;
    for one in page.reports.iter().take(REPORTS) {
        let mut part = Html::default();
        entries::report(&mut part, one);
        if html.len() + part.len() > TOLD {
            break;
        }
        html.html(&part);
        shown += 1;
    }
    if shown < page.reports.len() {
        html.raw("<p class=\"muted\">").number((page.reports.len() - shown) as i64);
        html.raw(" more: <code>boxctl ").raw(page.command).raw("</code> shows them.</p>");
    }
    html.raw("</section>");
}

fn section(html: &mut Html, page: &Page, section: &Section, number: &mut usize, open: bool) {
    if section.entries.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"").raw(section.id).raw("\"><h2 id=\"").raw(section.id);
    html.raw("\">").raw(section.title).raw(" <span class=\"count\">");
    html.number(section.entries.len() as i64).raw("</span></h2><div class=\"entries\">");
    let (mut bare, mut left) = (0, 0);
    for entry in &section.entries {
        let mut part = Html::default();
        if html.len() < LINES_ONLY {
            entries::write(&mut part, section, entry, *number, open);
        }
        if html.len() + part.len() > LINES_ONLY || html.len() >= LINES_ONLY {
            part = Html::default();
            entries::write_line(&mut part, entry, *number);
            bare += 1;
        }
        match html.len() + part.len() > FULL {
            true => left += 1,
            false => drop(html.html(&part)),
        }
        *number += 1;
    }
    html.raw("</div>");
    for (many, what) in [(bare - left, "without their details"), (left, "not")] {
        if many > 0 {
            html.raw("<p class=\"muted\">");
            html.text(&format!("{} shown here {what}: ", count(many as u64, "resource")));
            html.raw("<code>boxctl ").raw(page.command).raw("</code> shows all.</p>");
        }
    }
    html.raw("</section>");
}

fn pictures(html: &mut Html, page: &Page) {
    if page.drawings.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"graphs\"><h2 id=\"graphs\">What needs what</h2>");
    html.raw("<p class=\"muted\">Each is to the right of what it needs.");
    if page.drawings.iter().any(|drawing| !drawing.marks.is_empty()) {
        html.raw(" What is marked leads to its entry.");
    }
    html.raw("</p>");
    // Those with marks first; a page of many stacks is not about those where nothing happened.
    let mut drawings: Vec<_> = page.drawings.iter().collect();
    drawings.sort_by_key(|drawing| drawing.marks.is_empty());
    let mut left = 0;
    for (at, drawing) in drawings.iter().enumerate() {
        let open = at == 0 || drawings.len() <= 3 && !drawing.marks.is_empty();
        let mut part = Html::default();
        part.raw(if open { "<details class=\"graph\" open>" } else { "<details class=\"graph\">" });
        part.raw("<summary>").text(&drawing.stack).raw(" <span class=\"aside\">");
        part.text(&count(drawing.graph.nodes.len() as u64, "resource"));
        if !drawing.marks.is_empty() {
            part.raw(", ").number(drawing.marks.len() as i64).raw(" marked");
        }
        part.raw("</span></summary>");
        picture::write(&mut part, drawing);
        part.raw("</details>");
        match html.len() + part.len() > DRAWN {
            true => left += 1,
            false => drop(html.html(&part)),
        }
    }
    if left > 0 {
        html.raw("<p class=\"muted\">").number(left);
        html.raw(" more stacks are not drawn.</p>");
    }
    html.raw("</section>");
}

fn footer(html: &mut Html, page: &Page) {
    html.raw("<footer>");
    for note in &page.notes {
        html.raw("<p>");
        marked(html, note);
        html.raw("</p>");
    }
    html.raw("<p>boxctl ").raw(env!("CARGO_PKG_VERSION")).raw("</p></footer>");
}

/// A text with commands between backticks.
fn marked(html: &mut Html, text: &str) {
    for (at, part) in text.split('`').enumerate() {
        match at % 2 {
            0 => html.text(part),
            _ => html.raw("<code>").text(part).raw("</code>"),
        };
    }
}

#[cfg(test)]
mod tests;
