//! Two values side by side: which of their lines belong together, and what differs within a line.

use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, capture_diff_slices};

/// How many unchanged lines are shown around changed ones.
const CONTEXT: usize = 3;
/// How many lines of one value are compared; the rest is counted.
const LINES: usize = 400;
/// How many characters of a line are shown.
const LINE: usize = 2_000;
/// In lines of how many words what differs is looked for; longer ones would take long.
const WORDS: usize = 500;

/// A part of a line, and whether the other side has it not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub text: String,
    pub marked: bool,
}

/// A row of two sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// Both have it.
    Same(String),
    /// What one has in the place of what the other has; None where it has nothing there.
    Pair(Option<Vec<Piece>>, Option<Vec<Piece>>),
    /// Lines that both have and that are not shown.
    Gap(usize),
    /// Lines that were not compared.
    Rest(usize),
}

/// The rows of two texts.
pub(super) fn rows(before: &str, after: &str) -> Vec<Row> {
    let lines = |text: &str| text.lines().map(cut).collect::<Vec<String>>();
    let (mut old, mut new) = (lines(before), lines(after));
    let rest = old.len().max(new.len()).saturating_sub(LINES);
    old.truncate(LINES);
    new.truncate(LINES);
    let mut out = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
        match op {
            DiffOp::Equal { old_index, len, .. } => {
                let first = out.is_empty();
                same(
                    &old[old_index..old_index + len],
                    first,
                    old_index + len == old.len(),
                    &mut out,
                );
            }
            DiffOp::Delete { old_index, old_len, .. } => {
                out.extend(
                    old[old_index..old_index + old_len].iter().map(|l| Row::Pair(one(l), None)),
                );
            }
            DiffOp::Insert { new_index, new_len, .. } => {
                out.extend(
                    new[new_index..new_index + new_len].iter().map(|l| Row::Pair(None, one(l))),
                );
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                for at in 0..old_len.max(new_len) {
                    let line = |all: &[String], from: usize, len| {
                        (at < len).then(|| all.get(from + at).cloned()).flatten()
                    };
                    let sides = (line(&old, old_index, old_len), line(&new, new_index, new_len));
                    out.push(match sides {
                        (Some(a), Some(b)) => pair(&a, &b),
                        (a, b) => Row::Pair(a.and_then(|l| one(&l)), b.and_then(|l| one(&l))),
                    });
                }
            }
        }
    }
    if rest > 0 {
        out.push(Row::Rest(rest));
    }
    out
}

/// Unchanged lines, of which those far from a change are counted only.
fn same(lines: &[String], first: bool, last: bool, out: &mut Vec<Row>) {
    let before = if first { 0 } else { CONTEXT };
    let after = if last { 0 } else { CONTEXT };
    if lines.len() <= before + after + 1 {
        return out.extend(lines.iter().cloned().map(Row::Same));
    }
    out.extend(lines[..before].iter().cloned().map(Row::Same));
    out.push(Row::Gap(lines.len() - before - after));
    out.extend(lines[lines.len() - after..].iter().cloned().map(Row::Same));
}

/// A line that only one side has.
fn one(line: &str) -> Option<Vec<Piece>> {
    Some(vec![Piece { text: line.to_owned(), marked: false }])
}

/// Two lines in each other's place, with what differs marked, where they have enough in common for
/// that to help.
pub(super) fn pair(before: &str, after: &str) -> Row {
    let (old, new) = (words(before), words(after));
    if old.len().max(new.len()) > WORDS {
        return Row::Pair(one(before), one(after));
    }
    let diff = TextDiff::from_slices(&old, &new);
    if diff.ratio() < 0.3 {
        return Row::Pair(one(before), one(after));
    }
    let side = |without: ChangeTag| {
        let mut pieces: Vec<Piece> = Vec::new();
        for change in diff.iter_all_changes().filter(|change| change.tag() != without) {
            let marked = change.tag() != ChangeTag::Equal;
            match pieces.last_mut().filter(|last| last.marked == marked) {
                Some(last) => last.text.push_str(change.value()),
                None => pieces.push(Piece { text: change.value().to_owned(), marked }),
            }
        }
        Some(pieces)
    };
    Row::Pair(side(ChangeTag::Insert), side(ChangeTag::Delete))
}

/// Runs of letters and digits, and everything else by itself.
fn words(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (at, c) in text.char_indices() {
        let is_word = c.is_alphanumeric();
        if at > start && !(is_word && in_word) {
            out.push(&text[start..at]);
            start = at;
        }
        in_word = is_word;
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

/// As much of a text as is shown.
pub(super) fn head_of(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().take(LINES).map(cut).collect();
    let rest = text.lines().count().saturating_sub(LINES);
    if rest > 0 {
        lines.push(format!("… {rest} more lines"));
    }
    lines.join("\n")
}

/// The line, cut where it is too long.
fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(side: &Option<Vec<Piece>>) -> String {
        let mark = |piece: &Piece| match piece.marked {
            true => format!("[{}]", piece.text),
            false => piece.text.clone(),
        };
        side.as_ref().map_or("-".to_owned(), |pieces| pieces.iter().map(mark).collect())
    }

    fn told(before: &str, after: &str) -> Vec<String> {
        let rows = rows(before, after);
        rows.iter()
            .map(|row| match row {
                Row::Same(line) => format!("= {line}"),
                Row::Pair(a, b) => format!("{} | {}", shown(a), shown(b)),
                Row::Gap(n) => format!("… {n}"),
                Row::Rest(n) => format!("+ {n}"),
            })
            .collect()
    }

    #[test]
    fn what_differs_within_a_line_is_marked() {
        assert_eq!(
            told("all-hands:0.39", "all-hands:0.38"),
            ["all-hands:0.[39] | all-hands:0.[38]"]
        );
        assert_eq!(told("abc", "xyz"), ["abc | xyz"], "nothing in common is no help");
        assert_eq!(told("一つ の 値", "一つ の 橋"), ["一つ の [値] | 一つ の [橋]"]);
    }

    #[test]
    fn lines_far_from_a_change_are_counted() {
        let text = |middle: &str| {
            (0..20)
                .map(|at| if at == 10 { format!("{middle}\n") } else { format!("{at}\n") })
                .collect::<String>()
        };
        let rows = told(&text("a"), &text("b"));
        let expected = ["… 7", "= 7", "= 8", "= 9", "a | b", "= 11", "= 12", "= 13", "… 6"];
        assert_eq!(rows, expected);
        assert_eq!(told("a\n", "a\nb\n"), ["= a", "- | b"]);
    }

    #[test]
    fn long_texts_are_cut() {
        let many = "x\n".repeat(LINES + 5);
        assert_eq!(told(&many, &many), [format!("… {LINES}"), "+ 5".to_owned()]);
        let Row::Pair(Some(pieces), _) = &rows(&"x".repeat(LINE * 2), "y")[0] else {
            panic!("no pair")
        };
        assert_eq!(pieces[0].text.chars().count(), LINE + 1);
    }
}
