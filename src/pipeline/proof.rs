//! The proof before a merge: a branch is the planned edits and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::push::new_files;
use crate::changeset::{ChangeSet, Plan};
use crate::git::{Change, Clone, GitError, blob_id, object_id};
use crate::policy::Commits;

/// The reason for all that differs.
const DIFFERENT: &str = "its branch has something else than the edits that were planned";

/// A branch that is to be merged.
pub(super) struct ProvenBranch<'a> {
    pub(super) clone: &'a Clone,
    pub(super) plan: &'a Plan,
    /// Its commit.
    pub(super) head: &'a str,
}

impl ProvenBranch<'_> {
    /// The reason why a branch is not exactly the edits of a change set, or why that cannot be known.
    pub(super) async fn difference(&self, set: &ChangeSet) -> Option<String> {
        match self.is_planned(set).await {
            Ok(true) => None,
            Ok(false) => Some(DIFFERENT.to_owned()),
            Err(error) => {
                Some(format!("its branch cannot be compared with what was planned: {error}"))
            }
        }
    }

    async fn is_planned(&self, set: &ChangeSet) -> Result<bool, GitError> {
        let wanted = new_files(self.clone, self.plan, set)
            .map(|file| file.map(|(path, text)| (path, blob_id(&text))))
            .collect::<Result<BTreeMap<String, String>, GitError>>()?;
        let commits = match set.commits {
            Commits::ChangeSet => 1,
            Commits::Image => self.plan.images(set).len(),
        };
        let Some(head) = object_id(self.head) else { return Ok(false) };
        let Some(changes) = self.clone.changes(head, commits).await? else { return Ok(false) };
        let is_edit =
            |change: &Change| wanted.get(&change.path).is_some_and(|blob| change.is_edit_to(blob));
        let paths: BTreeSet<&str> = changes.iter().map(|change| &*change.path).collect();
        Ok(changes.len() == wanted.len()
            && paths.len() == wanted.len()
            && changes.iter().all(is_edit))
    }
}
