//! What was seen in one file.

use std::collections::{BTreeMap, BTreeSet};

use super::super::kustomize::{Completed, Renamed};
use super::super::notes;
use super::super::target::{Reached, TargetId};
use super::super::{Aim, Names};
use super::Surveyed;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::image::Repository;
use crate::policy::{EnvironmentId, PolicyId};

/// What one file holds.
#[derive(Debug, Default)]
pub struct Seen {
    pub(super) file: Option<Surveyed>,
    /// Sites outside every environment, by policy.
    pub(super) outside: BTreeMap<PolicyId, Vec<Place>>,
    /// Targets that lead somewhere in it.
    pub(super) reached: BTreeSet<TargetId>,
    /// Places that are left alone, by environment and policy: the first of each.
    pub(super) left: Left,
    /// What it calls images of others.
    pub(super) renamed: Vec<Renamed>,
    /// The images that it names for tags of other files.
    pub(super) names: Option<Names>,
    /// Images of policies in a file that is not read as YAML, and that nothing claims.
    pub(super) unread: Vec<Place>,
    /// The first image of a policy in a text for people.
    pub(super) prose: Option<Place>,
    /// The file itself, where something else writes it and it names an image of a policy, and who does.
    pub(super) of_others: Option<OfOthers>,
    /// The file itself, where it should be YAML and is not, and no line of it names an image.
    pub(super) unparsable: Option<Place>,
    pub(super) problems: Vec<Diagnostic>,
    /// Images without a tag.
    pub(super) untagged: Vec<Untagged>,
    /// The names that it gives tags to, as a kustomization.
    pub(super) completed: Option<Completed>,
}

/// An image without a tag, which another file may give it.
#[derive(Debug)]
pub(super) struct Untagged {
    pub(super) repository: Repository,
    pub(super) path: String,
    pub(super) note: Diagnostic,
}

/// A file that something else writes.
#[derive(Debug)]
pub(in super::super) struct OfOthers {
    /// The first place that names an image of a policy.
    pub(in super::super) place: Place,
    /// Who writes it.
    pub(in super::super) writer: &'static str,
}

/// Places that are left alone, by environment and policy: where the first of each is.
pub type Left = BTreeMap<(EnvironmentId, PolicyId), String>;

impl Seen {
    /// The images of a file of values, over which others may be laid.
    #[must_use]
    pub fn names(&self) -> Option<&Names> {
        self.names.as_ref()
    }

    /// The images to which the file gives another name.
    #[must_use]
    pub fn renamed(&self) -> &[Renamed] {
        &self.renamed
    }

    /// The file, where it has sites.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.file.as_ref().map(|file| file.path.as_str())
    }

    pub(super) fn problem(&mut self, code: Code, message: String, place: Place) {
        self.problems.push(Diagnostic::warning(code, message).at(place));
    }

    /// Notes a file that cannot be changed without the key that it is encrypted with.
    pub(super) fn encrypted(&mut self, path: &str) {
        let message = "SOPS signs every value of this file, so a change would break it; left alone";
        self.problem(Code::FileEncrypted, message.to_owned(), Place::of_file(path));
    }

    /// Remembers a place that is left alone.
    pub(super) fn left(
        &mut self,
        environment: EnvironmentId,
        policy: PolicyId,
        path: &str,
        line: usize,
    ) {
        self.left.entry((environment, policy)).or_insert_with(|| format!("{path}:{line}"));
    }

    /// Notes the first mention in a text for people.
    pub(super) fn prose(&mut self, place: Place) {
        self.prose.get_or_insert(place);
    }

    /// Counts a place of a policy that is in no environment.
    pub(super) fn outside(&mut self, policy: Option<PolicyId>, place: Place) {
        if let Some(policy) = policy {
            self.outside.entry(policy).or_default().push(place);
        }
    }

    /// Notes where targets lead, and where they lead in vain.
    pub(super) fn reached(&mut self, path: &str, aims: &[Aim<'_>], reached: &[Reached]) {
        for (aim, reached) in aims.iter().zip(reached) {
            self.reached.extend((!reached.is_empty()).then_some(aim.id));
            self.problems.extend(reached.missed.iter().map(|(line, why)| {
                let message =
                    format!("a target of `{}` leads here, but {why}; left alone", aim.policy);
                notes::at_line(Code::SiteUnsupported, message, path, *line)
            }));
        }
    }
}
