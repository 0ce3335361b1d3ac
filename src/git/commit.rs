//! Commits written from memory, and recognised again.

use std::collections::BTreeMap;

use git2::Signature;
use git2::build::TreeUpdateBuilder;
use jiff::Timestamp;

use super::sign::Signing;
use super::tree::{self, EntryBudget};
use super::{BranchState, Clone, GitError, Oid, Update};
use crate::changeset::CHANGE_TRAILER;

/// Who commits.
#[derive(Clone)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// What every commit says at its end.
    pub trailers: Vec<String>,
    /// How commits are signed.
    pub signing: Signing,
    /// The commits that GitHub made for us, by branch.
    pub made: BTreeMap<String, String>,
}

impl Default for Author {
    fn default() -> Self {
        let (name, email) = ("tagalong".to_owned(), "tagalong@tagalong.invalid".to_owned());
        Self { name, email, trailers: Vec::new(), signing: Signing::Off, made: BTreeMap::new() }
    }
}

impl Author {
    /// A commit message with what every commit says at its end.
    #[must_use]
    pub fn message(&self, message: &str) -> String {
        let trailers = self.trailers.iter().map(|trailer| format!("{trailer}\n"));
        trailers.fold(message.to_owned(), |message, trailer| message + &trailer)
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
        let parent = tree::commit(&self.repository, parent).map_err(git)?;
        let mut update = TreeUpdateBuilder::new();
        for file in files {
            let (path, content) = file?;
            let blob = self.repository.blob(content.as_bytes()).map_err(git)?;
            let is_executable = self.is_executable(&path);
            let mode =
                if is_executable { git2::FileMode::BlobExecutable } else { git2::FileMode::Blob };
            update.upsert(path, blob, mode);
        }
        let tree =
            update.create_updated(&self.repository, &parent.tree().map_err(git)?).map_err(git)?;
        self.write(tree, &[&parent], &author.message(message), author, now)
    }

    /// Writes a commit object, signed where that is wanted and done here.
    fn write(
        &self,
        tree: Oid,
        parents: &[&git2::Commit<'_>],
        message: &str,
        author: &Author,
        now: Timestamp,
    ) -> Result<Oid, GitError> {
        let git = |error: git2::Error| GitError::from_git("the new commit", &error);
        let tree = self.repository.find_tree(tree).map_err(git)?;
        let time = time_of(now);
        let who = Signature::new(&author.name, &author.email, &time).map_err(git)?;
        let text = self.repository.commit_create_buffer(&who, &who, message, &tree, parents);
        let text = text.map_err(git)?;
        let signature = author.signing.sign(&text).map_err(GitError::Unsigned)?;
        let Some(signature) = signature else {
            return self.repository.commit(None, &who, &who, message, &tree, parents).map_err(git);
        };
        let unread = |_error| GitError::Unsigned("the commit's text is not UTF-8".to_owned());
        let text = std::str::from_utf8(&text).map_err(unread)?;
        self.repository.commit_signed(text, signature.trim_end(), None).map_err(git)
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
        let before = self.advertised.get(&self.ledger);
        let before = before.map(|oid| tree::commit(&self.repository, *oid)).transpose();
        let blob = self.repository.blob(text.as_bytes()).map_err(git)?;
        let mut tree = self.repository.treebuilder(None).map_err(git)?;
        tree.insert(path, blob, git2::FileMode::Blob.into()).map_err(git)?;
        let tree = tree.write().map_err(git)?;
        let before = before.map_err(git)?;
        let parents: Vec<_> = before.iter().collect();
        let commit = self.write(tree, &parents, "Remember\n", author, now)?;
        Ok(Update::new(self.ledger.clone(), commit))
    }
}

/// A commit of ours in plain words, for somebody else to make it again.
pub struct Described {
    /// The commit.
    pub commit: Oid,
    /// The commit before it.
    pub parent: Oid,
    /// The tree that comes of it.
    pub tree: Oid,
    /// The message.
    pub message: String,
    /// The files that it changes, with their new contents.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Clone {
    /// The commits up to this one that the server does not have, the first one first.
    ///
    /// # Errors
    /// When an object cannot be read.
    pub fn describe(&self, commit: Oid) -> Result<Vec<Described>, GitError> {
        let git = |error: git2::Error| GitError::from_git("the new commit", &error);
        let mut all = Vec::new();
        let mut next = commit;
        while !self.advertised.values().any(|known| *known == next) {
            let found = self.repository.find_commit(next).map_err(git)?;
            let before = found.parent(0).map_err(git)?;
            let (old, new) = (before.tree_id(), found.tree_id());
            let changes = tree::differing(&self.repository, old, new, &mut EntryBudget::new());
            let files = changes.map_err(git)?.into_iter().filter_map(|change| {
                let blob = self.repository.find_blob(change.after?.oid);
                Some(blob.map(|blob| (change.path, blob.content().to_vec())))
            });
            all.push(Described {
                commit: next,
                parent: before.id(),
                tree: new,
                message: found.message().unwrap_or_default().to_owned(),
                files: files.collect::<Result<_, _>>().map_err(git)?,
            });
            next = before.id();
        }
        all.reverse();
        Ok(all)
    }
}

/// Ours is a commit that we wrote *and* committed, with our trailer and one parent. Whoever adds
/// to it, amends it, rebases it or merges into it, changes one of these. Of what GitHub makes, names prove
/// nothing, so it has to be the very commit that it made for us.
pub(super) fn state(branch: &str, commit: &git2::Commit<'_>, author: &Author) -> BranchState {
    let (writer, committer) = (commit.author(), commit.committer());
    let is_ours = |signature: &Signature<'_>| {
        let email = signature.email_bytes();
        email == author.email.as_bytes() || email == Author::default().email.as_bytes()
    };
    let message = commit.message().unwrap_or_default();
    let is_made = author.made.get(branch).is_some_and(|made| *made == commit.id().to_string());
    let is_ours = is_made || (is_ours(&writer) && is_ours(&committer));
    let ours = is_ours && commit.parent_count() == 1;
    match change_of(message).filter(|_| ours) {
        Some(change) => BranchState::Ours { commit: commit.id(), change: change.to_owned() },
        None => BranchState::Foreign {
            commit: commit.id(),
            author: crate::text::one_line(&String::from_utf8_lossy(committer.name_bytes())),
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
