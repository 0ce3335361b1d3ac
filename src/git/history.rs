//! The commits of a branch, one after the other: what each changed, and when it came.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{ErrorCode, Repository};
use jiff::{SignedDuration, Timestamp};

use super::smart::{Depth, Smart};
use super::{Clone, GitError, Oid, Remote};

/// More commits than this are not looked at.
const MAX_COMMITS: usize = 20_000;

/// One commit of a branch, along its first parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The commit.
    pub id: String,
    /// When it came to the branch, as its committer says; never before the commit before it.
    pub time: Timestamp,
    /// The files that it changed, with what each held before it; `None` where there was none.
    pub before: Vec<(String, Option<Vec<u8>>)>,
}

/// A path, and what was there.
pub(super) type Before = (String, Option<Vec<u8>>);

/// Commits, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The commits.
    pub commits: Vec<Commit>,
    /// Whether the first commit of all is among them.
    pub is_whole: bool,
    /// Whether older ones are missing because the clone is shallow, and not because nobody asked.
    pub is_shallow: bool,
}

impl Clone {
    /// The history of the branch since a time, fetched as far as it is not here. Of the files that changed,
    /// those that matter are read.
    ///
    /// # Errors
    /// When it cannot be fetched or read.
    pub async fn history(
        &self,
        since: Timestamp,
        matters: impl Fn(&str) -> bool,
    ) -> Result<History, GitError> {
        let subject = self.remote.address();
        let git = |error: git2::Error| GitError::from_git(&subject, &error);
        let head = self.repository.find_commit(self.base).map_err(git)?;
        // Without a commit since then, the last one is all there is to know.
        // Another handle sees what was fetched.
        let open = || Repository::open_bare(self.repository.path()).map_err(git);
        if let (Remote::Http { url, token }, true) = (&self.remote, time_of(&head) > since) {
            let into = self.repository.odb().map_err(git)?;
            let smart = Smart::new(url, token.as_ref())?;
            smart.fetch_history(self.base, Depth::Since(since), &into).await?;
            // What was there at that time, only the commit before the first one tells.
            let (known, is_whole) = known(&open()?, self.base).map_err(git)?;
            if !is_whole && known < MAX_COMMITS {
                smart.fetch_history(self.base, Depth::Commits(known + 1), &into).await?;
            }
        }
        read(&open()?, self.base, since, &matters).map_err(git)
    }
}

/// The history of what is checked out in a directory.
///
/// # Errors
/// When there is no repository, or it cannot be read.
pub fn history_of(
    directory: &Path,
    since: Timestamp,
    matters: impl Fn(&str) -> bool,
) -> Result<History, GitError> {
    let git = |error: git2::Error| GitError::from_git(&directory.display().to_string(), &error);
    let repository = Repository::discover(directory).map_err(git)?;
    let head = repository.head().and_then(|head| head.peel_to_commit()).map_err(git)?;
    let history = read(&repository, head.id(), since, &matters).map_err(git)?;
    Ok(History { is_shallow: repository.is_shallow() && !history.is_whole, ..history })
}

/// How many commits are here along the first parents, and whether there are no more.
fn known(repository: &Repository, head: Oid) -> Result<(usize, bool), git2::Error> {
    let (mut known, mut next) = (1, repository.find_commit(head)?);
    loop {
        match next.parent(0) {
            Ok(parent) => (known, next) = (known + 1, parent),
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Ok((known, next.parent_count() == 0));
            }
            Err(error) => return Err(error),
        }
    }
}

fn read(
    repository: &Repository,
    head: Oid,
    since: Timestamp,
    matters: &dyn Fn(&str) -> bool,
) -> Result<History, git2::Error> {
    let mut history = History::default();
    let mut next = repository.find_commit(head)?;
    loop {
        // What is not here was not asked for, or never was there.
        let parent = match next.parent(0) {
            Ok(parent) => Some(parent),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        let before = match &parent {
            Some(parent) => changes(repository, parent, &next, matters)?,
            None => Vec::new(),
        };
        let is_old = time_of(&next) < since;
        history.commits.push(Commit { id: next.id().to_string(), time: time_of(&next), before });
        // A shallow clone shows its oldest commit as one without parents; what is written in it is true.
        let header = next.raw_header().unwrap_or_default();
        history.is_whole = !header.lines().any(|line| line.starts_with("parent "));
        match parent.filter(|_| !is_old && history.commits.len() < MAX_COMMITS) {
            Some(parent) => next = parent,
            None => break,
        }
    }
    // A commit that says that it is older than the one before it came after that one all the same.
    let mut latest = Timestamp::MIN;
    for commit in history.commits.iter_mut().rev() {
        latest = latest.max(commit.time);
        commit.time = latest;
    }
    Ok(history)
}

fn changes(
    repository: &Repository,
    old: &git2::Commit<'_>,
    new: &git2::Commit<'_>,
    matters: &dyn Fn(&str) -> bool,
) -> Result<Vec<Before>, git2::Error> {
    let changes = repository.diff_tree_to_tree(Some(&old.tree()?), Some(&new.tree()?), None)?;
    let mut seen = BTreeSet::new();
    let mut before = Vec::new();
    for delta in changes.deltas() {
        for file in [delta.old_file(), delta.new_file()] {
            let Some(path) = file.path().and_then(Path::to_str).filter(|path| matters(path)) else {
                continue;
            };
            if !seen.insert(path.to_owned()) {
                continue;
            }
            let old = delta.old_file();
            let is_there = old.exists() && !old.id().is_zero();
            let blob = is_there.then(|| repository.find_blob(old.id())).transpose();
            // A submodule or a link was no file.
            let blob = blob.ok().flatten().map(|blob| blob.content().to_vec());
            before.push((path.to_owned(), blob));
        }
    }
    Ok(before)
}

fn time_of(commit: &git2::Commit<'_>) -> Timestamp {
    let seconds = SignedDuration::from_secs(commit.time().seconds());
    Timestamp::UNIX_EPOCH.saturating_add(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
