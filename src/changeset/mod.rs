//! From edits to change sets: one branch, one commit, one pull request each, with their texts.
//!
//! Everything here is a pure function: equal inputs give equal branches, trees, titles and bodies.

mod assemble;
mod branch;
mod draft;
mod go_template;
#[cfg(test)]
mod hostile_tests;
mod links;
mod machine;
mod rollback;
mod sources;
mod template;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub use crate::manifest::Left;
pub use assemble::{Decided, Use, assemble, uses};
pub use branch::{
    ALL_ENVIRONMENTS, BRANCH_PREFIX, Bundle, branch_prefix, rollback_branch, rollback_prefix,
};
pub use draft::{Content, Draft, Drafted, Rewritten};
pub use machine::{Proposed, ProposedMove};
pub use rollback::{Came, RollbackNotes, RolledBack};
pub use sources::{Earned, Note, SourceServer, Sources, between, section, section_of};
pub use template::tried as tried_templates;
pub use words::{CHANGE_TRAILER, commit_message, title};

use draft::content;

use crate::choose::{Decision, Deployed};
use crate::diagnostic::Diagnostic;
use crate::edit::{Edit, splice};
use crate::image::Repository;
use crate::policy::{Commits, Home, Limits, Merge, Notes, PullRequestSettings, Timing, Via};

/// Everything that a run would do, and why. Nothing of it is done yet.
#[derive(Debug, Default)]
pub struct Plan {
    /// What was decided, by environment, policy and what is deployed.
    pub decisions: Vec<Planned>,
    /// The edits of every change set.
    pub edits: Vec<PlannedEdit>,
    /// What is delivered together.
    pub change_sets: Vec<ChangeSet>,
    /// What was left out or could not be used.
    pub diagnostics: Vec<Diagnostic>,
}

/// One decision with what it is about.
#[derive(Debug)]
pub struct Planned {
    /// The policy's name.
    pub image: String,
    /// The image repository.
    pub repository: Repository,
    /// The environment's name.
    pub environment: String,
    /// Where the environment's files are.
    pub home: Home,
    /// What it is delivered with.
    pub bundle: Bundle,
    /// What the sites hold.
    pub deployed: Deployed,
    /// What is to happen.
    pub decision: Decision,
    /// Where: path and line.
    pub sites: Vec<(String, usize)>,
    /// Whether it changes, or would have changed, something.
    pub edited: bool,
}

/// One edit with what it is about.
#[derive(Debug)]
pub struct PlannedEdit {
    /// The file.
    pub path: String,
    /// The replacement.
    pub edit: Edit,
    /// The policy's name.
    pub image: String,
    /// The environment's name.
    pub environment: String,
    /// What the scalar holds before the change; empty where no template asks for it.
    pub old_value: String,
    /// What it holds after it.
    pub new_value: String,
    /// The object that the scalar is in.
    pub object: Object,
}

/// What a document says that it is; empty where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
}

/// The changes of one branch, one commit, one pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// The environment's name, or [`ALL_ENVIRONMENTS`].
    pub environment: String,
    /// How it is delivered.
    pub via: Via,
    /// How it is divided into commits.
    pub commits: Commits,
    /// What the pull request carries beside its texts.
    pub pull: PullRequestSettings,
    /// Who merges it.
    pub merge: Merge,
    /// How many pull requests there may be beside it.
    pub limits: Limits,
    /// What it says of sources and releases.
    pub notes: Notes,
    /// When it is delivered.
    pub timing: Timing,
    /// Where it is delivered to.
    pub home: Home,
    /// The branch.
    pub branch: String,
    /// The title of the pull request, and the subject of the commit.
    pub title: String,
    /// The body of the pull request, in GitHub's Markdown.
    pub body: String,
    /// The commit message.
    pub message: String,
    /// What identifies the change: equal for equal files with equal content.
    pub change: String,
    /// Whether some of it was decided by an earlier run, and is only carried on.
    pub carried: bool,
    /// Its edits, as indices into [`Plan::edits`].
    pub edits: Vec<usize>,
    /// The files, with what they hold and what they are to hold.
    pub files: BTreeMap<String, FileChange>,
}

/// A file that changes. Its texts are made from the file itself, so that a plan stays small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// The content as read.
    pub before: Content,
    /// The content to write.
    pub after: Content,
    /// Its edits, as indices into [`Plan::edits`].
    pub edits: Vec<usize>,
}

impl ChangeSet {
    /// The message of one of several commits. The last one says what all of them are.
    #[must_use]
    pub fn message_of(&self, image: &str, is_last: bool) -> String {
        let subject = format!("Update {image}");
        let trailers = self.message.rsplit("\n\n").next().unwrap_or_default();
        if is_last { format!("{subject}\n\n{trailers}") } else { format!("{subject}\n") }
    }
}

impl Plan {
    /// Adds the plan of another place; what is said of its files says where they are.
    pub fn append(&mut self, mut other: Self, home: &Home) {
        let first = self.edits.len();
        let shift = |edit: &mut usize| *edit += first;
        for set in &mut other.change_sets {
            set.edits.iter_mut().for_each(shift);
            set.files.values_mut().flat_map(|file| &mut file.edits).for_each(shift);
        }
        let of_files = other.diagnostics.iter_mut().filter(|told| told.code.is_of_files());
        for place in of_files.filter_map(|told| told.place.as_mut()) {
            place.path = format!("{home}:{}", place.path);
        }
        self.decisions.append(&mut other.decisions);
        self.edits.append(&mut other.edits);
        self.change_sets.append(&mut other.change_sets);
        self.diagnostics.append(&mut other.diagnostics);
    }

    /// The policies whose images a change set moves.
    #[must_use]
    pub fn images(&self, set: &ChangeSet) -> BTreeSet<&String> {
        set.edits.iter().map(|edit| &self.edits[*edit].image).collect()
    }

    /// The change set that a decision is carried out in.
    #[must_use]
    pub fn set_of(&self, planned: &Planned) -> Option<&ChangeSet> {
        let has = |set: &&ChangeSet| {
            set.edits
                .iter()
                .map(|edit| &self.edits[*edit])
                .any(|edit| edit.image == planned.image && edit.environment == planned.environment)
        };
        self.change_sets.iter().find(has)
    }

    /// A file's text with some of the edits of a change, from the text before the change.
    pub fn partly<'a>(&self, text: &str, edits: impl Iterator<Item = &'a usize>) -> Option<String> {
        let edits = edits.map(|index| &self.edits[*index].edit);
        splice(text, edits.map(|edit| (edit.line, edit.span.clone(), &*edit.old, &*edit.new))).ok()
    }

    /// What a file held and what it is to hold, from its text before or after the change; `None` for
    /// any other text.
    #[must_use]
    pub fn texts(&self, file: &FileChange, text: String) -> Option<(String, String)> {
        let edits = || file.edits.iter().map(|index| &self.edits[*index].edit);
        let is = content(&text);
        if is == file.before {
            let there = edits().map(|edit| (edit.line, edit.span.clone(), &*edit.old, &*edit.new));
            let after = splice(&text, there).ok().filter(|after| content(after) == file.after)?;
            return Some((text, after));
        }
        // Behind each edit, everything has moved by what the edits before it added or took.
        let mut moved = 0_isize;
        let back = edits().map(|edit| {
            let start = edit.span.start.saturating_add_signed(moved);
            moved += edit.new.len().cast_signed() - edit.old.len().cast_signed();
            (edit.line, start..start + edit.new.len(), &*edit.new, &*edit.old)
        });
        let before = splice(&text, back).ok().filter(|before| content(before) == file.before)?;
        Some((before, text))
    }
}

/// One row of the texts: an image that moves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// The environment's name.
    pub environment: String,
    /// The policy's name.
    pub image: String,
    /// The image repository.
    pub repository: Repository,
    /// What is deployed.
    pub from: Deployed,
    /// What is written.
    pub to: Deployed,
    /// Why, in a sentence.
    pub why: String,
    /// Where: path and line.
    pub sites: Vec<(String, usize)>,
}
