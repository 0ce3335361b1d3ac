//! Diagnostics as text with the lines that they are about.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Place, Severity};
use crate::text::harmless_in_place;

/// Whether text may carry terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// ANSI sequences are welcome.
    Yes,
    /// Plain text only.
    No,
}

/// Renders one diagnostic, with a code frame where `source` knows the file's text.
#[must_use]
pub fn render<'a>(
    diagnostic: &Diagnostic,
    source: impl Fn(&str) -> Option<&'a str>,
    colour: Colour,
) -> String {
    let renderer = match colour {
        Colour::Yes => Renderer::styled(),
        Colour::No => Renderer::plain(),
    };
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let shown_text = diagnostic.place.as_ref().and_then(|place| source(&place.path));
    let shown_text = shown_text.map(harmless_in_place);
    let framed = diagnostic.place.as_ref().map(|place| (place, shown_text.as_deref()));
    let message = match framed {
        Some((place, None)) => format!("{} ({})", diagnostic.message, short(place)),
        _ => diagnostic.message.clone(),
    };
    let mut group = Group::with_title(level.primary_title(message).id(diagnostic.code.as_str()));
    if let Some((place, Some(text))) = framed {
        let span = if place.span == (0..0) { line(place.line, text) } else { place.span.clone() };
        let frame = AnnotationKind::Primary.span(within(&span, text));
        group = group.element(Snippet::source(text).path(shown(&place.path)).annotation(frame));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

fn short(place: &Place) -> String {
    match place.line {
        0 => shown(&place.path).into_owned(),
        line => format!("{}:{line}:{}", shown(&place.path), place.column),
    }
}

/// A path without what a terminal or a workflow's log would obey or hide: such characters are written as their numbers.
fn shown(path: &str) -> Cow<'_, str> {
    if path.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(path);
    }
    let plain =
        |c: char| if c.is_alphanumeric() { c.to_string() } else { c.escape_default().to_string() };
    let is_plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
    Cow::Owned(path.chars().map(|c| if is_plain(&c) { c.to_string() } else { plain(c) }).collect())
}

/// The bytes of a line, where that is all that is known of a place.
fn line(number: usize, text: &str) -> std::ops::Range<usize> {
    let mut lines = text.split_inclusive('\n');
    let start: usize = lines.by_ref().take(number.saturating_sub(1)).map(str::len).sum();
    let content = lines.next().unwrap_or_default();
    let margin = content.len() - content.trim_start().len();
    start + margin..start + content.trim_end().len().max(margin)
}

/// Keeps a span inside the text and on character boundaries, whatever it was measured on.
fn within(span: &std::ops::Range<usize>, text: &str) -> std::ops::Range<usize> {
    let floor = |at: usize| (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i));
    let start = floor(span.start).unwrap_or(0);
    let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
    start..floor(span.end).unwrap_or(0).clamp(start, line_end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;

    #[test]
    fn a_frame_shows_the_line_and_the_advice() {
        let text = "images:\n  shop:\n    imagee: x\n";
        let place = Place { path: "policies/a.yaml".into(), line: 3, column: 5, span: 20..26 };
        let diagnostic = Diagnostic::error(Code::PolicyUnknownKey, "unknown key `imagee`")
            .at(place)
            .help("did you mean `image`?");
        let got = render(&diagnostic, |_| Some(text), Colour::No);
        for part in
            ["error[policy.unknown-key]", "policies/a.yaml:3:5", "imagee: x", "did you mean"]
        {
            assert!(got.contains(part), "{got}");
        }
    }

    #[test]
    fn a_place_of_which_the_line_is_known_shows_that_line() {
        let place = Place { path: "a.yaml".into(), line: 3, column: 1, span: 0..0 };
        let diagnostic = Diagnostic::warning(Code::SiteOutside, "x").at(place);
        let got = render(&diagnostic, |_| Some("one: 1\ntwo: 2\n  three: é\n"), Colour::No);
        assert!(
            got.contains("three: é") && got.contains("a.yaml:3:") && !got.contains("one"),
            "{got}"
        );
    }

    #[test]
    fn a_path_is_obeyed_by_nobody() {
        let of = |path: &str, text: Option<&'static str>| {
            let problem = Diagnostic::error(Code::PolicySyntax, "x").at(Place::of_file(path));
            render(&problem, |_| text, Colour::No)
        };
        for text in [None, Some("a: b\n")] {
            let got = of("\u{1b}[31m\n::add-mask::x\u{202e}\u{9b}é ß.yaml", text);
            let wrong = got.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}');
            assert!(!wrong && !got.lines().any(|line| line.starts_with("::")), "{got:?}");
            assert!(got.contains("é ß.yaml") && got.contains("\\n::add-mask::x"), "{got}");
        }
    }

    #[test]
    fn a_line_is_obeyed_by_nobody() {
        let text = "a: \u{9b}31m\u{202e}\nimag: 1\n";
        let start = text.find("imag").unwrap();
        let place = Place { path: "a.yaml".into(), line: 2, column: 1, span: start..start + 4 };
        let got = render(
            &Diagnostic::error(Code::PolicySyntax, "x").at(place),
            |_| Some(text),
            Colour::No,
        );
        assert!(got.contains("imag: 1\n") && got.contains("^^^^"), "{got}");
        let place = Place { path: "a.yaml".into(), line: 1, column: 1, span: 3..4 };
        let got = render(
            &Diagnostic::error(Code::PolicySyntax, "x").at(place),
            |_| Some(text),
            Colour::No,
        );
        assert!(!got.contains(['\u{9b}', '\u{202e}']), "{got:?}");
    }

    #[test]
    fn a_span_beyond_the_text_is_kept_inside() {
        let diagnostic = Diagnostic::error(Code::PolicySyntax, "x").at(Place {
            path: "a".into(),
            line: 1,
            column: 1,
            span: 1..900,
        });
        assert!(render(&diagnostic, |_| Some("é\nb"), Colour::No).contains('é'));
    }
}
