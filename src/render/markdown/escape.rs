//! Texts of others inside Markdown: as text, never as markup, links or mentions.

use super::super::text::{clean, cut};

/// The longest text of a cell or a line outside of blocks of code, in columns.
const CELL: usize = 400;
/// What keeps `@` and `#` from meaning someone or something, and is not to be seen.
const NOTHING: char = '\u{200b}';

/// Text as text: no markup, no mention, no link, one line.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    let text = one_line(text);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Mentions and references are looked for after the markup is gone: a backslash does not
            // help.
            '@' => out.extend(['@', NOTHING]),
            '#' => out.extend(['\\', '#', NOTHING]),
            ':' if rest.peek() == Some(&'/') => out.extend([':', NOTHING]),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    // Addresses without a scheme become links as well.
    out.replace("www.", "www\u{200b}.")
}

/// Text in which commands and names stand between backticks: those as code, the rest as text.
pub(super) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let each = parts.into_iter().enumerate();
    each.map(|(at, part)| if at % 2 == 0 { escape(part) } else { code(part) }).collect()
}

/// Text as code in a line: nothing in it means anything.
pub(super) fn code(text: &str) -> String {
    let text = one_line(text);
    if text.is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    // A backtick at an end would lengthen the fence; a blank that goes with it is taken off again.
    match text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

/// Text as code in a cell of a table, which a bar would end even there.
pub(super) fn cell(text: &str) -> String {
    // A backslash before it would undo the one that keeps the bar from that.
    code(text).replace("\\|", "\\\u{200b}|").replace('|', "\\|")
}

/// A fence that no line of the texts closes.
pub(super) fn fence<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let longest = texts.into_iter().map(longest_run).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// The text of a comment in HTML, which its end can't be part of.
pub(super) fn in_comment(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | ':');
    let mut out = String::new();
    for c in text.chars() {
        match plain(c) || c == '-' && !out.ends_with('-') {
            true => out.push(c),
            false => out.push_str(&format!("%{:X}", u32::from(c))),
        }
    }
    out
}

fn one_line(text: &str) -> String {
    cut(&clean(text).replace('\n', " "), CELL)
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_no_markup() {
        for (text, escaped) in [
            ("a|b <img> `x`\n# y", "a\\|b &lt;img&gt; \\`x\\` \\#\u{200b} y"),
            ("@all see #12, GH & co", "@\u{200b}all see \\#\u{200b}12, GH &amp; co"),
            ("https://evil www.evil", "https:\u{200b}//evil www\u{200b}.evil"),
            ("[x](y) *b* _i_ ~s~ $m$", "\\[x\\](y) \\*b\\* \\_i\\_ \\~s\\~ \\$m\\$"),
        ] {
            assert_eq!(escape(text), escaped);
        }
        assert_eq!(prose("say `a_b: @c` @d"), "say `a_b: @c` @\u{200b}d");
        assert_eq!(prose("a `b"), "a \\`b");
        for (text, quoted) in [
            ("a", "`a`"),
            ("a`b", "``a`b``"),
            ("`a``", "``` `a`` ```"),
            ("a\nb", "`a b`"),
            ("", ""),
        ] {
            assert_eq!(code(text), quoted);
        }
        assert_eq!(cell("a|b\\|c"), "`a\\|b\\\u{200b}\\|c`");
        assert_eq!(fence(["a\n  ````\n", "``"]), "`````");
        assert_eq!(in_comment("a--b-->"), "a-%2Db-%2D%3E");
    }
}
