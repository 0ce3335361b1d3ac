//! Problems as data: a stable code, a place, what is wrong and what to write instead.

mod code;
mod render;

use std::ops::Range;

use serde::Serialize;

pub use code::Code;
pub use render::{Colour, render};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something to know; nothing is wrong.
    Info,
    /// Something was left out, or is probably not meant.
    Warning,
    /// Something could not be used.
    Error,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The stable name that documentation, tests and filters use.
    pub code: Code,
    /// Where it is, when it is in a file.
    pub place: Option<Place>,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A place in a file of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Place {
    /// The path within the repository.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes concerned.
    pub span: Range<usize>,
}

impl Place {
    /// A file as a whole.
    #[must_use]
    pub fn of_file(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }
}

impl Diagnostic {
    /// A problem that stops what it is about.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, place: None, message: message.into(), help: None }
    }

    /// A problem that something was left out for.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Something to know.
    #[must_use]
    pub fn info(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Info, ..Self::error(code, message) }
    }

    /// The same problem at a place.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Whether any of the problems is an error.
#[must_use]
pub fn any_error<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> bool {
    diagnostics.into_iter().any(|d| d.severity == Severity::Error)
}

/// No key or name that can be meant is longer.
const MAX_WORD: usize = 100;

/// The nearest of `known` to a word that was written, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let bound = |name: &str| name.len().max(written.len()) / 3 + 1;
    // Of a mistyped word, the first letter or the last one is right; to compare all of thousands costs seconds.
    let ends = |text: &str| (text.chars().next(), text.chars().next_back());
    let (first, last) = ends(&written);
    let near = known.into_iter().filter_map(|name| {
        let lower = name.to_lowercase();
        let (start, end) = ends(&lower);
        let may_be = (start == first || end == last)
            && lower.len().abs_diff(written.len()) <= bound(&lower)
            && lower.len() <= MAX_WORD;
        may_be.then(|| (strsim::damerau_levenshtein(&written, &lower), name))
    });
    near.filter(|(distance, name)| *distance <= bound(name)).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_word_is_suggested() {
        assert_eq!(nearest("mtach", ["match"]), Some("match"));
        assert_eq!(nearest("xatcx", ["match"]), None);
        let known = ["match", "extract", "exclude"];
        assert_eq!(nearest("exlude", known), Some("exclude"));
        assert_eq!(nearest("Match", known), Some("match"));
        assert_eq!(nearest("interval", known), None);
    }
}
