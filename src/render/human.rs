//! A plan for people: what will be done, in which order, and why.

use super::RenderOptions;
use super::fields::{field, field_change};
use super::group::grouped;
use super::mask::{Mask, leaves};
use super::reports::{gathered, report};
use super::taken;
use super::text::{Palette, clean, columns, count, hanging, paint, width};
use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::{Action, Change, Confidence, DriftKind, FieldChange, Phase};
use crate::model::error::{Level, Report};
use crate::model::plan::{Plan, Refresh, Requests, StackPlan, Summary};
use crate::model::status::{Elsewhere, Standing};

/// A whole plan: stack by stack, then what it comes to and what it cost.
pub fn plan(plan: &Plan, options: &RenderOptions) -> String {
    let mut out = String::new();
    for stack in &plan.stacks {
        // What there is to say of a single settled stack is in the summary.
        if plan.stacks.len() > 1 || !is_quiet(stack, options) {
            out.push_str(&stack_plan(stack, options));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let refused = gathered(plan.stacks.iter().flat_map(StackPlan::refusals)).len();
    if refused == 0 || !plan.summary().is_empty() {
        out.push_str(&summary_line(&plan.summary(), options));
    }
    if refused > 0 {
        let (errors, they_are) = match refused {
            1 => ("The error above comes".to_owned(), "it is"),
            n => (format!("The {n} errors above come"), "they are"),
        };
        let text = format!("{errors} first: apply does nothing until {they_are} settled.");
        out.push_str(&hanging("", "", &text, columns(options)));
    }
    let values: Vec<_> = plan.stacks.iter().flat_map(|stack| stack.taken.clone()).collect();
    out.push_str(&taken::lines(&values, options));
    let checks = plan.stacks.iter().flat_map(|stack| &stack.checks);
    out.push_str(&taken::unchecked(checks, &values, options));
    out.push_str(&requests_line(plan.requests));
    out
}

/// `Plan: 14 to create, 0 to update, 0 to delete.` or `No changes. …`
pub fn summary_line(summary: &Summary, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    if summary.is_empty() {
        let rest = match summary.noop {
            0 => "There is nothing to do.".to_owned(),
            1 => "The one resource is as the files say.".to_owned(),
            n => format!("All {n} resources are as the files say."),
        };
        return format!("{} {rest}\n", paint(palette.bold, "No changes."));
    }
    let head = format!("{} ", paint(palette.bold, "Plan:"));
    hanging("Plan: ", &head, &format!("{}.", counts(summary, "to ")), columns(options))
}

/// `14 to create, 0 to update, 0 to delete`: what is rare only where it occurs.
pub(super) fn counts(summary: &Summary, before: &str) -> String {
    counted(summary, before, true)
}

/// `14 created`: only what occurs.
pub(super) fn deeds(summary: &Summary) -> String {
    counted(summary, "", false)
}

fn counted(summary: &Summary, before: &str, zeros: bool) -> String {
    let past = before.is_empty();
    let all = [
        (summary.create, "create", "created", true),
        (summary.update, "update", "updated", true),
        (summary.replace, "replace", "replaced", false),
        (summary.delete, "delete", "deleted", true),
        (summary.adopt, "adopt", "adopted", false),
        (summary.forget, "forget", "forgotten", false),
        (summary.rotate, "rotate", "rotated", false),
    ];
    let mut parts: Vec<String> = all
        .into_iter()
        .filter(|(number, _, _, always)| (zeros && *always) || *number > 0)
        .map(|(number, verb, done, _)| {
            format!("{number} {before}{}", if past { done } else { verb })
        })
        .collect();
    if summary.noop > 0 {
        parts.push(format!("{} unchanged", summary.noop));
    }
    parts.join(", ")
}

/// `Read with 12 requests: Cloudflare 6, SSM 2, Kubernetes 4.`
pub fn requests_line(requests: Requests) -> String {
    format!(
        "Read with {}: Cloudflare {}, SSM {}, Kubernetes {}.\n",
        count(requests.total(), "request"),
        requests.cloudflare,
        requests.ssm,
        requests.kubernetes
    )
}

/// The plan of one stack.
pub fn stack_plan(stack: &StackPlan, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let name = paint(palette.bold, format!("Stack {}", clean(&stack.stack)));
    let mut out = match stack.serial {
        0 => format!("{name} (new)\n"),
        serial => format!("{name} (serial {serial})\n"),
    };
    let (first, checks): (Vec<_>, Vec<_>) = stack.checks.iter().partition(|one| is_first(one));
    for check in first {
        out.push_str(&report(check, options));
    }
    section(&mut out, "Not as it was recorded", drift(stack, options), options);
    let changes: Vec<String> = stack.changes.iter().map(|one| change(one, options)).collect();
    if is_quiet(stack, options) {
        return format!("{}: no changes\n", out.trim_end());
    }
    let heading = "Changes, in an order in which they can be done";
    section(&mut out, heading, changes.concat(), options);
    section(&mut out, "Recorded anew, without any call", refreshes(stack), options);
    section(
        &mut out,
        "Kept, although the files no longer have them (protected)",
        kept(stack),
        options,
    );
    section(&mut out, "Applied by argocd, only read", elsewhere(stack, options), options);
    let shown = checks.into_iter().filter(|check| check.level > Level::Note || options.verbose);
    for check in gathered(shown) {
        out.push('\n');
        out.push_str(&report(&check, options));
    }
    out
}

/// What is said before anything else, at any level: what the plan below rests on.
fn is_first(check: &Report) -> bool {
    const FIRST: [&str; 5] =
        ["settled", "unsaid-variable", "rolled-back", "not-run", "rotation-due"];
    check.code.as_deref().is_some_and(|code| FIRST.contains(&code))
}

/// Whether there is nothing to say of a stack but that it is as the files say.
fn is_quiet(stack: &StackPlan, options: &RenderOptions) -> bool {
    let told = |check: &Report| check.level > Level::Note || options.verbose || is_first(check);
    stack.changes.is_empty()
        && stack.drift.is_empty()
        && stack.kept.is_empty()
        && stack.elsewhere.is_empty()
        && !stack.refresh.iter().any(|refresh| refresh.shown)
        && !stack.checks.iter().any(told)
}

fn section(out: &mut String, heading: &str, body: String, options: &RenderOptions) {
    if !body.is_empty() {
        let heading = paint(Palette::of(options).dim, heading);
        out.push_str(&format!("\n{heading}\n{body}"));
    }
}

fn drift(stack: &StackPlan, options: &RenderOptions) -> String {
    stack.drift.iter().map(|one| super::drift::entry(one, options)).collect()
}

fn refreshes(stack: &StackPlan) -> String {
    stack.refresh.iter().filter(|refresh| refresh.shown).map(refresh_line).collect()
}

fn refresh_line(refresh: &Refresh) -> String {
    match (&refresh.moved_from, &refresh.record) {
        (Some(from), _) => format!("  > rename  {from} → {}\n", refresh.address),
        (None, Some(_)) => format!("  > record  {}\n", refresh.address),
        (None, None) => format!("  > drop    {} (it is gone)\n", refresh.address),
    }
}

/// What is kept; where its protection is refused as an error, that names it.
fn kept(stack: &StackPlan) -> String {
    if stack.refusals().any(|check| check.code.as_deref() == Some("protected")) {
        return String::new();
    }
    stack.kept.iter().map(|address| format!("  # kept    {address}\n")).collect()
}

fn elsewhere(stack: &StackPlan, options: &RenderOptions) -> String {
    let all = stack.elsewhere.len();
    let is_shown =
        |one: &&Elsewhere| options.verbose || all <= 3 || one.standing != Standing::InSync;
    let shown: Vec<&Elsewhere> = stack.elsewhere.iter().filter(is_shown).collect();
    let mut out: String = shown.iter().map(|one| super::status::standing(one, options)).collect();
    if all > shown.len() {
        let number = count((all - shown.len()) as u64, "object");
        out.push_str(&format!("    {number} in sync (-v lists them)\n"));
    }
    out
}

/// The sign and the word of an action: readable without colour.
pub(super) fn sign(action: Action) -> (&'static str, &'static str) {
    match action {
        Action::Create => ("+", "create"),
        Action::Update => ("~", "update"),
        Action::Replace => ("-/+", "replace"),
        Action::Delete => ("-", "delete"),
        Action::Adopt => ("=", "adopt"),
        Action::Forget => ("<", "forget"),
        Action::Rotate => ("@", "rotate"),
    }
}

/// What a part of a change is, for changes that take several steps.
pub(super) fn phase_words(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::Whole => None,
        Phase::Widen => Some("first: old and new hostname together"),
        Phase::Narrow => Some("last: without the old hostname"),
        Phase::Remove => Some("the old one goes"),
        Phase::Remake => Some("the new one comes"),
        Phase::Await => Some("it is waited for"),
    }
}

/// How sure a change of a cluster's object is, where that takes no reason. Of the other services,
/// nothing is checked but by doing it.
pub(super) fn how_sure(change: &Change) -> Option<&'static str> {
    let writes = match change.action {
        Action::Create | Action::Replace => change.phase != Phase::Remove,
        // A restart alone rests on no comparison.
        Action::Update => !change.paths.is_empty(),
        Action::Delete | Action::Adopt | Action::Forget | Action::Rotate => false,
    };
    match change.confidence {
        _ if !change.address.is_kubernetes() || !writes => None,
        Confidence::Checked => Some("checked by the server"),
        Confidence::Compared => Some("compared with the live object"),
        Confidence::New => Some("new"),
        Confidence::Unchecked(_) => None,
    }
}

/// The line of a change, with what differs under it.
pub(super) fn change(change: &Change, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let (sign, verb) = sign(change.action);
    let style = match change.action {
        Action::Create => palette.add,
        Action::Update | Action::Rotate => palette.change,
        Action::Replace | Action::Delete => palette.remove,
        Action::Adopt | Action::Forget => palette.take,
    };
    let mut tail: Vec<String> = Vec::new();
    tail.extend(change.moved_from.as_ref().map(|from| format!("(was {from})")));
    tail.extend(phase_words(change.phase).map(|words| format!("[{words}]")));
    let address = change.address.to_string();
    // What is updated is known by its address; what goes or is taken over is told by its id, which
    // a Kubernetes object has in its address already.
    let says_more = change.action != Action::Update && !change.address.is_kubernetes();
    let id = change.id.as_ref().filter(|_| says_more || options.verbose);
    tail.extend(id.map(|id| format!("(id {})", clean(id))));
    tail.extend(how_sure(change).map(|words| format!("({words})")));
    let mut out = paint(style, format!("{sign:>3} {verb:<7}"));
    let mut used = 12;
    for part in std::iter::once(address).chain(tail.iter().map(|part| paint(palette.dim, part))) {
        let room = width(&anstream::adapter::strip_str(&part).to_string()) + 1;
        if used > 12 && used + room > columns(options) {
            out.push_str("\n     ");
            used = 6;
        }
        used += room;
        out.push_str(&format!(" {part}"));
    }
    out.push('\n');
    out.push_str(&body(change, options));
    out.push_str(&why(change, options));
    out
}

/// What differs, or what is made.
fn body(change: &Change, options: &RenderOptions) -> String {
    let mask = Mask::of(&change.address, change.spec.as_ref().or(change.before.as_ref()));
    match change.action {
        Action::Delete | Action::Forget if !options.verbose => String::new(),
        Action::Create => made(change, mask, options),
        Action::Replace if change.phase == Phase::Remove => String::new(),
        _ => grouped(&change.paths, mask)
            .into_iter()
            .map(|one| match one.note == change.reason {
                true => field_change(&FieldChange { note: None, ..one }, mask, options),
                false => field_change(&one, mask, options),
            })
            .collect(),
    }
}

/// The fields of something new: a manifest's only when asked for, since its file has them.
fn made(change: &Change, mask: Mask, options: &RenderOptions) -> String {
    if change.address.is_kubernetes() && !options.verbose {
        return String::new();
    }
    match &change.spec {
        Some(spec) => leaves(&mask.value("", spec))
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(path, value)| field(path, value, options))
            .collect(),
        None => {
            let known = |value: &Json| !value.is_null();
            let lines = change.paths.iter().filter_map(|one| Some((one, mask.field(one).1?)));
            lines
                .filter(|(_, value)| known(value))
                .map(|(one, value)| field(&one.path, &value, options))
                .collect()
        }
    }
}

/// Why, and how sure it is.
fn why(change: &Change, options: &RenderOptions) -> String {
    let mut lines = Vec::new();
    if let Some(reason) = &change.reason {
        lines.push(("because: ", clean(reason)));
    }
    let told = |address: &Address| {
        change.reason.as_ref().is_some_and(|reason| reason.contains(&address.to_string()))
    };
    if let Some(text) = interruption(change) {
        lines.push(("interrupts: ", clean(text)));
    }
    for (address, version) in change.restart.iter().filter(|(address, _)| !told(address)) {
        let version = super::mask::compact(version);
        lines.push(("restart: ", format!("to read {address}, version {}", clean(&version))));
    }
    if let Confidence::Unchecked(reason) = &change.confidence {
        lines.push(("unchecked: ", clean(reason)));
    }
    let palette = Palette::of(options);
    lines
        .iter()
        .map(|(head, text)| {
            let painted = format!("      {}", paint(palette.dim, head));
            hanging(&format!("      {head}"), &painted, text, columns(options))
        })
        .collect()
}

/// How a step interrupts a service; of a replacement, that is said once.
pub(super) fn interruption(change: &Change) -> Option<&str> {
    change.interrupts.as_deref().filter(|_| change.phase != Phase::Remake)
}

/// The word for how something is not as it was recorded.
pub(super) fn drift_words(kind: DriftKind) -> (&'static str, &'static str) {
    match kind {
        DriftKind::Drifted => ("~", "changed"),
        DriftKind::Missing => ("-", "missing"),
        DriftKind::Foreign => ("?", "foreign"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn options(width: usize) -> RenderOptions {
        RenderOptions { width, ..RenderOptions::default() }
    }

    #[test]
    fn a_plan_reads_well_at_80_columns() {
        insta::assert_snapshot!(plan(&samples::plan(), &options(80)));
    }

    #[test]
    fn a_plan_reads_well_at_200_columns() {
        insta::assert_snapshot!(plan(&samples::plan(), &options(200)));
    }

    #[test]
    fn every_line_fits_but_for_addresses_and_paths() {
        let wide = RenderOptions { verbose: true, ..options(80) };
        let alone = |line: &str| !line.trim_start_matches([' ', '+', '-']).contains(' ');
        for line in plan(&samples::plan(), &wide).lines().filter(|line| !alone(line)) {
            assert!(super::super::text::width(line) <= 80, "{line}");
        }
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let plain = plan(&samples::plan(), &options(100));
        let colored = plan(&samples::plan(), &RenderOptions { color: true, ..options(100) });
        assert!(colored.contains("\u{1b}[32m"));
        assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain);
    }

    #[test]
    fn nothing_to_do_is_said_so() {
        let summary = Summary { noop: 14, ..Summary::default() };
        let text = "No changes. All 14 resources are as the files say.\n";
        assert_eq!(summary_line(&summary, &options(80)), text);
        let one = Requests { cloudflare: 1, ..Requests::default() };
        let text = "Read with 1 request: Cloudflare 1, SSM 0, Kubernetes 0.\n";
        assert_eq!(requests_line(one), text);
    }

    #[test]
    fn no_secret_is_in_a_plan() {
        let verbose = RenderOptions { verbose: true, ..options(120) };
        let text = plan(&samples::plan(), &verbose);
        assert!(text.contains("value: (secret)"), "{text}");
        for secret in samples::SECRETS {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}
