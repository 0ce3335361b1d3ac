//! Pushes with a lease: a branch is only moved from where it was when it was read.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::remote::push_options;
use super::{Clone, GitError, Oid};

/// A local name for what is pushed.
const OUTGOING: &str = "refs/tagalong/outgoing/";

/// One branch to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The branch.
    pub branch: String,
    /// The commit to put there.
    pub commit: Oid,
}

/// What became of each branch of a push.
pub type Pushed = BTreeMap<String, Result<(), GitError>>;

impl Clone {
    /// Moves branches in one push. Each must still be where this clone saw it; own branches may be
    /// moved to any commit, the base only forward.
    ///
    /// # Errors
    /// When the push as a whole fails: no connection, no right to push, or one branch moved, in
    /// which case none was changed.
    pub fn push(&self, updates: &[Update]) -> Result<Pushed, GitError> {
        let subject = self.remote.address();
        let git = |error: git2::Error| GitError::from_git(&subject, &error);
        let mut refspecs = Vec::new();
        for update in updates {
            let local = format!("{OUTGOING}{}", update.branch);
            self.repository.reference(&local, update.commit, true, "push").map_err(git)?;
            let force = if update.branch == self.branch() { "" } else { "+" };
            refspecs.push(format!("{force}{local}:refs/heads/{}", update.branch));
        }
        let moved = RefCell::new(None);
        let answers = RefCell::new(BTreeMap::new());
        let result = {
            let mut callbacks = self.remote.callbacks();
            callbacks.push_negotiation(|references| {
                let stale = references.iter().find(|reference| !self.is_where_it_was(reference));
                match stale {
                    None => Ok(()),
                    Some(reference) => {
                        let name = reference.dst_refname().unwrap_or_default();
                        moved.replace(Some(name.trim_start_matches("refs/heads/").to_owned()));
                        Err(git2::Error::from_str("moved"))
                    }
                }
            });
            callbacks.push_update_reference(|name, status| {
                let branch = name.trim_start_matches("refs/heads/").to_owned();
                answers.borrow_mut().insert(branch, status.map(str::to_owned));
                Ok(())
            });
            let mut remote = self.repository.remote_anonymous(&subject).map_err(git)?;
            remote.push(&refspecs, Some(&mut push_options(callbacks)))
        };
        if let Some(branch) = moved.into_inner() {
            return Err(GitError::Moved(branch));
        }
        match result {
            Err(error) if error.code() == git2::ErrorCode::NotFastForward => {
                Err(GitError::Moved(self.branch().to_owned()))
            }
            Err(error) => Err(git(error)),
            Ok(()) => Ok(judge(updates, &answers.into_inner())),
        }
    }

    /// Compares what the server advertises for the push with what it did when it was read. The
    /// server repeats the comparison when it moves the branch, so nothing fits in between.
    fn is_where_it_was(&self, reference: &git2::PushUpdate<'_>) -> bool {
        let name = reference.dst_refname().unwrap_or_default();
        let name = name.strip_prefix("refs/heads/").unwrap_or(name);
        let then = self.advertised.get(name).copied().unwrap_or(Oid::ZERO_SHA1);
        reference.src() == then
    }
}

fn judge(updates: &[Update], answers: &BTreeMap<String, Option<String>>) -> Pushed {
    let result = |update: &Update| match answers.get(&update.branch) {
        Some(None) => Ok(()),
        // Servers word a lost race differently; the lease was checked, so it is one.
        Some(Some(reason)) if is_race(reason) => Err(GitError::Moved(update.branch.clone())),
        Some(Some(reason)) => Err(GitError::Rejected {
            branch: update.branch.clone(),
            reason: crate::changeset::one_line(reason),
        }),
        None => Err(GitError::Rejected {
            branch: update.branch.clone(),
            reason: "the server did not say what became of it".to_owned(),
        }),
    };
    updates.iter().map(|update| (update.branch.clone(), result(update))).collect()
}

fn is_race(reason: &str) -> bool {
    let races = [
        "fetch first",
        "non-fast-forward",
        "stale info",
        "incorrect old value",
        "cannot lock ref",
        "failed to update ref",
        "reference already exists",
    ];
    races.iter().any(|race| reason.contains(race))
}

impl Clone {
    /// Where a branch was when it was read.
    #[must_use]
    pub fn advertised(&self, branch: &str) -> Option<Oid> {
        self.advertised.get(branch).copied()
    }
}
