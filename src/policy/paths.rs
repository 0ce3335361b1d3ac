//! The paths of environments.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::Environment;
use super::exclusion::{self, Exclusion, WrongPattern};
use crate::diagnostic::{Code, Diagnostic, Place};

/// What GitHub runs.
const WORKFLOWS: &str = ".github/workflows/";

/// Paths of the repository: plain ones cover what is beneath them, globs what they match.
#[derive(Clone, Debug)]
pub struct Paths {
    pub(super) written: Vec<String>,
    pub(super) globs: GlobSet,
    pub(super) out: Exclusion,
}

impl Paths {
    /// Whether a file of the repository is covered.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.globs.is_match(path)
            && !self.out.has(path)
            && (!path.starts_with(WORKFLOWS) || self.names_workflows())
    }

    /// Who else writes a file, by its path or by its text, unless it is kept in by name.
    #[must_use]
    pub fn writer(&self, path: &str, text: &str) -> Option<&'static str> {
        self.out.writer(path, text)
    }

    /// True if a file would be covered, and is left out.
    #[must_use]
    pub fn leaves_out(&self, path: &str) -> bool {
        self.globs.is_match(path) && self.out.has(path)
    }

    /// Leaves files out besides.
    pub fn leave_out(&mut self, exclusion: &Exclusion) {
        self.out = self.out.and(exclusion);
    }

    /// Whether somebody wants workflows to change: they run with rights of their own, and GitHub refuses
    /// changes of them without one.
    fn names_workflows(&self) -> bool {
        self.written.iter().any(|path| path.starts_with(".github"))
    }

    /// Which of the written paths cover a file, by index.
    #[must_use]
    pub fn covering(&self, path: &str) -> Vec<usize> {
        if self.out.has(path) {
            return Vec::new();
        }
        // Each written path is two globs: itself, and what is beneath it.
        self.globs.matches(path).into_iter().map(|glob| glob / 2).collect()
    }

    /// The paths as they are written, without a final slash.
    #[must_use]
    pub fn written(&self) -> &[String] {
        &self.written
    }
}

/// Whether one of two written paths is the other, or beneath it.
#[must_use]
pub fn meet(one: &str, other: &str) -> bool {
    is_within(one, other) || is_within(other, one)
}

/// Whether a path is another one, or beneath it; the root is empty, or `.`.
#[must_use]
pub fn is_within(path: &str, outer: &str) -> bool {
    let rest = path.strip_prefix(outer);
    matches!(outer, "" | ".") || rest.is_some_and(|r| r.is_empty() || r.starts_with('/'))
}

/// The directory of a file; the root is empty.
#[must_use]
pub fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// A path that is written in a file, from the root of the repository.
#[must_use]
pub fn beside(path: &str, written: &str) -> String {
    resolved(&format!("{}/{written}", directory(path)))
}

/// A path without `.` and `..`, from the root of the repository, which is empty.
#[must_use]
pub fn resolved(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Two environments that cover one path, as a problem of the second.
pub(super) fn overlap(
    one: &Environment,
    other: &Environment,
    places: &[Place],
) -> Option<Diagnostic> {
    if one.home != other.home {
        return None;
    }
    for path in &one.paths.written {
        let others = other.paths.written.iter().zip(places);
        for (theirs, place) in others {
            let is_out = one.paths.out.covers(theirs) || other.paths.out.covers(path);
            if meet(path, theirs) && !is_out {
                let message = format!(
                    "environments `{}` and `{}` both cover `{}`",
                    one.name,
                    other.name,
                    if path.len() >= theirs.len() { path } else { theirs }
                );
                let help = "a file belongs to one environment; narrow one of the paths";
                let problem = Diagnostic::error(Code::PolicyOverlap, message).help(help);
                return Some(problem.at(place.clone()));
            }
        }
    }
    None
}

/// A path or a pattern that cannot be used: its key and index, and why.
pub(super) struct Unusable {
    pub(super) key: &'static str,
    pub(super) index: usize,
    pub(super) problem: Diagnostic,
}

impl Paths {
    /// Paths whose globs are made later.
    pub(super) fn of(written: Vec<String>) -> Self {
        Self { written, globs: GlobSet::empty(), out: Exclusion::default() }
    }

    /// Reads what is written.
    pub(super) fn read(paths: &[String], exclude: &[String]) -> (Self, Vec<Unusable>) {
        let mut builder = GlobSetBuilder::new();
        let (mut written, mut unusable) = (Vec::new(), Vec::new());
        for (index, path) in paths.iter().enumerate() {
            match add(&mut builder, path) {
                Ok(path) => written.push(path),
                Err(problem) => unusable.push(Unusable { key: "paths", index, problem }),
            }
        }
        let (out, wrong) = Exclusion::read(exclude);
        unusable.extend(wrong.into_iter().map(|WrongPattern { index, problem }| Unusable {
            key: "exclude",
            index,
            problem,
        }));
        let globs = builder.build().unwrap_or_else(|_| GlobSet::empty());
        (Self { written, globs, out }, unusable)
    }
}

/// Adds a path as it is written to the globs; without a final slash.
pub(super) fn add(builder: &mut GlobSetBuilder, path: &str) -> Result<String, Diagnostic> {
    if let Some(problem) = exclusion::refused(path) {
        return Err(problem);
    }
    let problem = |message: String| Diagnostic::error(Code::PolicyPaths, message);
    let trimmed = path.trim_end_matches('/');
    let trimmed = if path == "./" { "." } else { trimmed.strip_prefix("./").unwrap_or(trimmed) };
    if path.starts_with('/') || trimmed.is_empty() || trimmed.split('/').any(|part| part == "..") {
        let message = format!("`{path}` is not a path within the repository");
        return Err(problem(message)
            .help("write it from the root of the repository, as in clusters/staging"));
    }
    let beneath = if trimmed == "." { "**".to_owned() } else { format!("{trimmed}/**") };
    for pattern in [trimmed, &beneath] {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        builder.add(glob.map_err(|error| problem(error.to_string()))?);
    }
    Ok(trimmed.to_owned())
}
