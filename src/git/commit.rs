//! Commits written from memory, and recognised again.

use git2::Signature;
use git2::build::TreeUpdateBuilder;
use jiff::Timestamp;

use super::{BranchState, Clone, GitError, LEDGER_REF, Oid, Update};
use crate::changeset::CHANGE_TRAILER;

/// Who commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// What every commit says at its end.
    pub trailers: Vec<String>,
}

impl Default for Author {
    fn default() -> Self {
        let (name, email) = ("tagalong".to_owned(), "tagalong@tagalong.invalid".to_owned());
        Self { name, email, trailers: Vec::new() }
    }
}

impl Clone {
    /// Writes a commit on `parent` with new content for files by path; everything else, file modes
    /// included, stays.
    ///
    /// # Errors
    /// When a content is not there, or an object cannot be written.
    pub fn commit(
        &self,
        parent: Oid,
        files: impl IntoIterator<Item = Result<(String, String), GitError>>,
        message: &str,
        author: &Author,
        now: Timestamp,
    ) -> Result<Oid, GitError> {
        let git = |error: git2::Error| GitError::from_git("the new commit", &error);
        let parent = self.repository.find_commit(parent).map_err(git)?;
        let mut update = TreeUpdateBuilder::new();
        for file in files {
            let (path, content) = file?;
            let blob = self.repository.blob(content.as_bytes()).map_err(git)?;
            let mode = match self.mode(&path) {
                Some(0o100_755) => git2::FileMode::BlobExecutable,
                _ => git2::FileMode::Blob,
            };
            update.upsert(path, blob, mode);
        }
        let tree =
            update.create_updated(&self.repository, &parent.tree().map_err(git)?).map_err(git)?;
        let tree = self.repository.find_tree(tree).map_err(git)?;
        let time = time_of(now);
        let signature = Signature::new(&author.name, &author.email, &time).map_err(git)?;
        let trailers = author.trailers.iter().map(|trailer| format!("{trailer}\n"));
        let message = trailers.fold(message.to_owned(), |message, trailer| message + &trailer);
        self.repository
            .commit(None, &signature, &signature, &message, &tree, &[&parent])
            .map_err(git)
    }
}

impl Clone {
    /// Writes a commit with the ledger's file alone, on the ledger before it.
    ///
    /// # Errors
    /// When an object cannot be written.
    pub fn commit_ledger(
        &self,
        path: &str,
        text: &str,
        author: &Author,
        now: Timestamp,
    ) -> Result<Update, GitError> {
        let git = |error: git2::Error| GitError::from_git("the ledger", &error);
        let before = self.advertised.get(LEDGER_REF);
        let before = before.map(|oid| self.repository.find_commit(*oid)).transpose();
        let blob = self.repository.blob(text.as_bytes()).map_err(git)?;
        let mut tree = self.repository.treebuilder(None).map_err(git)?;
        tree.insert(path, blob, git2::FileMode::Blob.into()).map_err(git)?;
        let tree = tree.write().map_err(git)?;
        let tree = self.repository.find_tree(tree).map_err(git)?;
        let time = time_of(now);
        let signature = Signature::new(&author.name, &author.email, &time).map_err(git)?;
        let before = before.map_err(git)?;
        let parents: Vec<_> = before.iter().collect();
        let message = "Remember\n";
        let commit = self
            .repository
            .commit(None, &signature, &signature, message, &tree, &parents)
            .map_err(git)?;
        Ok(Update { reference: LEDGER_REF.to_owned(), commit })
    }
}

/// Ours is a commit that we wrote *and* committed, with our trailer and one parent. Whoever adds
/// to it, amends it, rebases it or merges into it, changes one of these.
pub(super) fn state(commit: &git2::Commit<'_>, author: &Author) -> BranchState {
    let (writer, committer) = (commit.author(), commit.committer());
    let is_ours = |signature: &Signature<'_>| {
        let email = signature.email_bytes();
        email == author.email.as_bytes() || email == Author::default().email.as_bytes()
    };
    let message = commit.message().unwrap_or_default();
    let ours = is_ours(&writer) && is_ours(&committer) && commit.parent_count() == 1;
    match change_of(message).filter(|_| ours) {
        Some(change) => BranchState::Ours { commit: commit.id(), change: change.to_owned() },
        None => BranchState::Foreign {
            commit: commit.id(),
            author: crate::changeset::one_line(&String::from_utf8_lossy(committer.name_bytes())),
        },
    }
}

fn change_of(message: &str) -> Option<&str> {
    let mut lines = message.lines().rev();
    lines.find_map(|line| line.strip_prefix(CHANGE_TRAILER)?.strip_prefix(": "))
}

/// A commit's time. Many programs read 32 bits of it.
fn time_of(now: Timestamp) -> git2::Time {
    git2::Time::new(now.as_second().clamp(0, i64::from(u32::MAX)), 0)
}
