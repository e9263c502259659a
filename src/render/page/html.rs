//! Writes HTML: literals as they are, everything else escaped.

use super::super::text::clean;

/// HTML under construction. What is not written in the code can only come in as text.
#[derive(Debug, Default)]
pub(super) struct Html {
    out: String,
}

impl Html {
    /// Markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.out.push_str(markup);
        self
    }

    /// Text, or the value of an attribute in double quotes: no markup, nothing that turns its
    /// direction.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in clean(text).chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                '\'' => self.out.push_str("&#39;"),
                c => self.out.push(c),
            }
        }
        self
    }

    /// A number.
    pub(super) fn number(&mut self, number: impl Into<i64>) -> &mut Self {
        self.out.push_str(&number.into().to_string());
        self
    }

    /// What was written elsewhere.
    pub(super) fn html(&mut self, part: &Html) -> &mut Self {
        self.out.push_str(&part.out);
        self
    }

    /// How long it is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// The whole.
    pub(super) fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        let mut html = Html::default();
        html.raw("<p title=\"").text("\" onclick='x'").raw("\">").text("</p>&\x1b\u{202e}");
        assert_eq!(
            html.finish(),
            "<p title=\"&quot; onclick=&#39;x&#39;\">&lt;/p&gt;&amp;\u{fffd}\u{fffd}"
        );
    }
}
