//! Files that are in the paths of an environment and are not to be changed: copies of what others made, tests, archives.

use std::sync::Arc;

use globset::{GlobSet, GlobSetBuilder};

use super::paths::{add, is_within};
use crate::diagnostic::{Code, Diagnostic};

/// Files that something else writes, and who does: the next time, a change would be gone. A directory at the root alone, as
/// one further down may be named for somebody.
const OF_OTHERS: [(&str, &str); 2] = [
    // <https://fluxcd.io/flux/installation/bootstrap/>
    ("gotk-components.yaml", "`flux bootstrap` writes it"),
    ("vendor/", "it is a copy of what others made"),
];

/// What is left out of paths, by globs; what begins with `!` is kept in, whatever says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Exclusion {
    written: Vec<String>,
    globs: Arc<Globs>,
}

#[derive(Debug, Default)]
struct Globs {
    out: GlobSet,
    kept: GlobSet,
}

/// A pattern that cannot be used, by its index.
pub(super) struct WrongPattern {
    pub(super) index: usize,
    pub(super) problem: Diagnostic,
}

impl Exclusion {
    /// Reads patterns as they are written.
    pub(super) fn read(written: &[String]) -> (Self, Vec<WrongPattern>) {
        let (mut out, mut kept) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut wrong = Vec::new();
        for (index, pattern) in written.iter().enumerate() {
            let added = match pattern.strip_prefix('!') {
                Some(pattern) => add(&mut kept, pattern),
                None => add(&mut out, pattern),
            };
            wrong.extend(added.err().map(|problem| WrongPattern { index, problem }));
        }
        let built = |builder: GlobSetBuilder| builder.build().unwrap_or_else(|_| GlobSet::empty());
        let globs = Arc::new(Globs { out: built(out), kept: built(kept) });
        (Self { written: written.to_vec(), globs }, wrong)
    }

    /// Both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self::read(&[self.written.as_slice(), &other.written].concat()).0
    }

    /// True if a file, or all that is beneath a directory, is left out.
    pub(super) fn has(&self, path: &str) -> bool {
        self.globs.out.is_match(path) && !self.keeps(path)
    }

    /// True if a path of another environment is left out.
    pub(super) fn covers(&self, path: &str) -> bool {
        self.has(path) || self.written.iter().any(|out| is_within(path, out))
    }

    /// True if a file is kept in by name.
    pub(super) fn keeps(&self, path: &str) -> bool {
        self.globs.kept.is_match(path)
    }

    /// Who else writes a file, by its path or by its text.
    #[must_use]
    pub fn writer(&self, path: &str, text: &str) -> Option<&'static str> {
        if self.keeps(path) {
            return None;
        }
        let by_path = OF_OTHERS.iter().find(|(name, _)| match name.strip_suffix('/') {
            Some(directory) => {
                path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
            }
            None => path.rsplit('/').next() == Some(name),
        });
        by_path.map(|(_, why)| *why).or_else(|| {
            is_generated(text).then_some("its head says that it is generated, and not to be edited")
        })
    }
}

/// So many lines are the head of a file.
const HEAD: usize = 10;

/// True if the comments at the head of a file say that nobody edits it, as <https://go.dev/s/generatedcode> asks for.
fn is_generated(text: &str) -> bool {
    let is_comment =
        |line: &&str| ["#", "//"].iter().any(|mark| line.trim_start().starts_with(mark));
    let comments = text.lines().take(HEAD).filter(is_comment).map(str::to_ascii_lowercase);
    let mut comments = comments.collect::<Vec<_>>().into_iter();
    comments.any(|line| {
        let is_said = line.contains("do not edit") || line.contains("do not modify");
        let bare = line.trim_matches(|c: char| !c.is_ascii_alphabetic());
        is_said && (line.contains("generated") || ["do not edit", "do not modify"].contains(&bare))
    })
}

/// The problem of a path that begins with `!`.
pub(super) fn refused(path: &str) -> Option<Diagnostic> {
    let rest = path.strip_prefix('!')?;
    let message = format!("`{path}` begins with `!`, which `paths` do not take");
    let problem = Diagnostic::error(Code::PolicyPaths, message);
    Some(problem.help(format!("write `exclude: ['{rest}']` beside `paths`, or in tagalong.yaml")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_and_what_is_kept() {
        let written = ["tests", "**/old/*.yaml", "!tests/real", "!**/vendor/own"];
        let written: Vec<String> = written.iter().map(|one| (*one).to_owned()).collect();
        let (exclusion, wrong) = Exclusion::read(&written);
        assert!(wrong.is_empty());
        for (path, want) in [
            ("tests/a.yaml", true),
            ("tests/real/a.yaml", false),
            ("a/old/b.yaml", true),
            ("a/old/c/b.yaml", false),
            ("contests/a.yaml", false),
        ] {
            assert_eq!(exclusion.has(path), want, "{path}");
        }
        for (path, text, want) in [
            ("clusters/gotk-components.yaml", "", true),
            ("vendor/b/c.yaml", "", true),
            ("apps/vendor/b/c.yaml", "", false),
            ("a/vendor/own/c.yaml", "# Code generated by x. DO NOT EDIT.", false),
            ("vendor.yaml", "", false),
            ("a.yaml", "---\n# Code generated by x. DO NOT EDIT.\n", true),
            ("a.yaml", "text: do not edit\n", false),
            ("a.yaml", "# do not modify replicas, the autoscaler does\n", false),
            ("a.yaml", "# DO NOT EDIT!\n", true),
        ] {
            assert_eq!(exclusion.writer(path, text).is_some(), want, "{path} {text}");
        }
    }
}
