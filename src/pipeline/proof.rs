//! The proof before a merge: a branch is the planned edits and nothing else.

use std::collections::BTreeMap;

use super::push::new_files;
use crate::changeset::{ChangeSet, Plan};
use crate::forge::{AnyForge, Forge as _, ForgeError};
use crate::git::{Clone, Oid, blob_id};
use crate::policy::Commits;

/// A branch that is to be merged.
pub(super) struct Branch<'a> {
    pub(super) clone: &'a Clone,
    pub(super) plan: &'a Plan,
    /// Its commit.
    pub(super) head: &'a str,
    /// True if this run pushed the commit.
    pub(super) is_new: bool,
}

impl Branch<'_> {
    /// The reason why a branch is not exactly the edits of a change set.
    pub(super) async fn difference(
        &self,
        set: &ChangeSet,
        forge: &AnyForge,
    ) -> Result<Option<&'static str>, ForgeError> {
        // By commit: the base may be called anything.
        let base = self.clone.base().to_string();
        let found = forge.compare(&base, self.head).await?;
        let mut wanted = BTreeMap::new();
        for file in new_files(self.clone, self.plan, set) {
            let Ok((path, text)) = file else { return Ok(Some("its files cannot be read")) };
            wanted.insert(path, blob_id(&text));
        }
        let commits = match set.commits {
            Commits::ChangeSet => 1,
            Commits::Image => self.plan.images(set).len(),
        };
        let is_ours = found.commits.len() == commits
            && found.commits.last().is_some_and(|last| last == self.head)
            && found.files.as_ref() == Some(&wanted);
        // Commits that the forge made are not here before the next run, and keep modes.
        let keeps_modes = Oid::from_str(self.head)
            .ok()
            .and_then(|head| self.clone.keeps_modes(head, wanted.keys()))
            .unwrap_or(self.is_new);
        let why = "its branch has something else than the edits that were planned";
        Ok((!(is_ours && keeps_modes)).then_some(why))
    }
}
