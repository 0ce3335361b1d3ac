//! Untrusted text made safe to stand in titles, commits and Markdown.

use std::borrow::Cow;

/// The longest piece of outside text that is interpolated, in characters.
const MAX_CHARS: usize = 200;

/// One line without control, bidirectional or invisible characters, of bounded length.
#[must_use]
pub fn one_line(text: &str) -> String {
    // Nearly all of it.
    if text.len() <= MAX_CHARS && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let visible = text.chars().filter(|c| !is_invisible(*c));
    let mut line: String = visible.clone().take(MAX_CHARS).collect();
    if visible.count() > MAX_CHARS {
        line.push('…');
    }
    line
}

/// Text without what a terminal would obey or hide, as long as it is.
#[must_use]
pub fn harmless(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).collect()
}

/// Text in which what a terminal would obey or hide is replaced by something of the same length in bytes, so that places in it
/// stay; line ends and tabs stay as well.
#[must_use]
pub fn harmless_in_place(text: &str) -> Cow<'_, str> {
    let is_odd = |c: char| is_invisible(c) && !"\n\r\t".contains(c);
    // Nearly all of it.
    if !text.chars().any(is_odd) {
        return Cow::Borrowed(text);
    }
    let replaced = |c: char| match c.len_utf8() {
        _ if !is_odd(c) => c.to_string(),
        1 => "?".to_owned(),
        2 => "\u{b7}".to_owned(),
        3 => char::REPLACEMENT_CHARACTER.to_string(),
        _ => format!("{}?", char::REPLACEMENT_CHARACTER),
    };
    Cow::Owned(text.chars().map(replaced).collect())
}

/// A Markdown code span that holds the text whatever it is, also inside a table of GitHub's
/// flavour: the fence is longer than any run of backticks in the text, and pipes are escaped.
#[must_use]
pub fn code_span(text: &str) -> String {
    let text = one_line(text).replace('|', r"\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad =
        if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// True if two texts are equal but for line ends and the end, which forges change.
#[must_use]
pub fn is_same_text(found: &str, wanted: &str) -> bool {
    let lines = |text: &str| text.replace('\r', "").trim_end().to_owned();
    lines(found) == lines(wanted)
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_replaced_is_as_long_as_before() {
        let text = "a\u{9b}31m\n\tb\u{200b}\u{e0041}\u{1b}é\u{2028}";
        let got = harmless_in_place(text);
        assert_eq!(got, "a\u{b7}31m\n\tb\u{fffd}\u{fffd}??é\u{fffd}");
        assert_eq!(got.len(), text.len());
    }

    #[test]
    fn hostile_text_stays_one_visible_line() {
        assert_eq!(one_line("a\nb\u{202e}c\u{200b}\u{1b}[31m\r"), "abc[31m");
        assert_eq!(one_line(&"x".repeat(300)).chars().count(), MAX_CHARS + 1);
    }

    #[test]
    fn a_code_span_cannot_be_left() {
        let cases = [
            ("v1", "`v1`"),
            ("a`b", "``a`b``"),
            ("``", "``` `` ```"),
            ("a|b", r"`a\|b`"),
            ("", "`  `"),
            ("@acme #1 <img>", "`@acme #1 <img>`"),
        ];
        for (text, want) in cases {
            assert_eq!(code_span(text), want);
        }
    }
}
