//! The commits of a branch, one after the other: what each changed, and when it came.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{ErrorCode, Repository};
use jiff::{SignedDuration, Timestamp};

use super::smart::{Depth, Smart};
use super::{Clone, GitError, Oid, Remote, checkout, tree};

/// Clocks of people who commit to one branch differ by less than this.
const DRIFT: SignedDuration = SignedDuration::from_hours(1);

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

impl History {
    /// What is known where there is none: what is there now.
    #[must_use]
    pub fn of_now(now: Timestamp) -> Self {
        let commit = Commit { id: String::new(), time: now, before: Vec::new() };
        Self { commits: vec![commit], is_whole: false, is_shallow: true }
    }
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
        now: Timestamp,
        matters: impl Fn(&str) -> bool,
    ) -> Result<History, GitError> {
        let subject = self.remote.address();
        let git = |error: git2::Error| GitError::from_git(&subject, &error);
        let head = tree::commit(&self.repository, self.base).map_err(git)?;
        // Another handle sees what was fetched.
        let open = || Repository::open_bare(self.repository.path()).map_err(git);
        if let Remote::Http { url, login } = &self.remote {
            let into = self.repository.odb().map_err(git)?;
            let smart = Smart::new(url, login.as_ref())?;
            let (mut commits, mut is_whole) = (0, false);
            if time_of(&head) > since {
                smart.fetch_history(self.base, Depth::Since(since), &into).await?;
                (commits, is_whole) = known(&open()?, self.base).map_err(git)?;
            }
            // What was there at that time, only the commit before the first one tells; and whether that one
            // is as old as it says, the one before it.
            if !is_whole && commits < MAX_COMMITS {
                smart.fetch_history(self.base, Depth::Commits(commits + 2), &into).await?;
            }
        }
        read(&open()?, self.base, since, now, &matters).map_err(git)
    }
}

/// The history of what is checked out in a directory.
///
/// # Errors
/// When there is no repository, or it cannot be read.
pub fn history_of(
    directory: &Path,
    since: Timestamp,
    now: Timestamp,
    matters: impl Fn(&str) -> bool,
) -> Result<History, GitError> {
    let git = |error: git2::Error| GitError::from_git(&directory.display().to_string(), &error);
    let repository = checkout::around(directory).map_err(git)?;
    let head = repository.head().and_then(|head| head.peel_to_commit()).map_err(git)?;
    let mut history = read(&repository, head.id(), since, now, &matters).map_err(git)?;
    // What nobody committed has been there since now, and no commit says it.
    let before = uncommitted(&repository, &head, &matters).map_err(git)?;
    if !before.is_empty() {
        history.commits.insert(0, Commit { id: String::new(), time: now, before });
    }
    Ok(History { is_shallow: repository.is_shallow() && !history.is_whole, ..history })
}

/// The files of the work tree that are not what was committed.
fn uncommitted(
    repository: &Repository,
    head: &git2::Commit<'_>,
    matters: &dyn Fn(&str) -> bool,
) -> Result<Vec<Before>, git2::Error> {
    if repository.is_bare() {
        return Ok(Vec::new());
    }
    let mut options = git2::DiffOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true);
    let diff =
        repository.diff_tree_to_workdir_with_index(Some(&head.tree()?), Some(&mut options))?;
    Ok(changes(repository, &diff, matters))
}

/// How many commits are here along the first parents, and whether there are no more.
fn known(repository: &Repository, head: Oid) -> Result<(usize, bool), git2::Error> {
    let (mut known, mut next) = (1, tree::commit(repository, head)?);
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
    now: Timestamp,
    matters: &dyn Fn(&str) -> bool,
) -> Result<History, git2::Error> {
    let mut history = History::default();
    let mut budget = tree::EntryBudget::new();
    let mut next = tree::commit(repository, head)?;
    loop {
        // What is not here was not asked for, or never was there.
        let parent = match next.parent(0) {
            Ok(parent) => Some(parent),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        let before = match &parent {
            Some(parent) => {
                let (old, new) = (parent.tree_id(), next.tree_id());
                let all = tree::differing(repository, old, new, &mut budget)?.into_iter();
                let all = all.filter(|found| matters(&found.path));
                let with_bytes = |tree::Change { path, before: was, .. }| {
                    let was = was.filter(tree::Entry::is_file).map(|was| was.oid);
                    let bytes = before(repository, &path, was);
                    (path, bytes)
                };
                all.map(with_bytes).collect()
            }
            None => Vec::new(),
        };
        // One that is older than the commit before it says nothing about what is before it.
        let is_old = [Some(&next), parent.as_ref()]
            .into_iter()
            .flatten()
            .all(|commit| time_of(commit) < since);
        history.commits.push(Commit { id: next.id().to_string(), time: time_of(&next), before });
        // A shallow clone shows its oldest commit as one without parents; what is written in it is true.
        let mut header = next.raw_header_bytes().split(|byte| *byte == b'\n');
        history.is_whole = !header.any(|line| line.starts_with(b"parent "));
        match parent.filter(|_| !is_old && history.commits.len() < MAX_COMMITS) {
            Some(parent) => next = parent,
            None => break,
        }
    }
    settle(&mut history.commits, now);
    Ok(history)
}

/// Makes times those of the branch. When a commit came that says that it is older than the one before it, by
/// more than clocks differ, nobody knows; it was there when the next one came.
fn settle(commits: &mut [Commit], now: Timestamp) {
    let (mut latest, mut is_odd) = (Timestamp::MIN, vec![false; commits.len()]);
    for (index, commit) in commits.iter_mut().enumerate().rev() {
        is_odd[index] = latest.duration_since(commit.time.min(latest)) > DRIFT;
        latest = latest.max(commit.time);
        commit.time = latest;
    }
    let mut next = now;
    for (commit, is_odd) in commits.iter_mut().zip(is_odd) {
        if is_odd {
            commit.time = next.max(commit.time);
        }
        next = commit.time;
    }
}

/// What the files of a difference that matter held before it.
fn changes(
    repository: &Repository,
    diff: &git2::Diff<'_>,
    matters: &dyn Fn(&str) -> bool,
) -> Vec<Before> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for delta in diff.deltas() {
        for file in [delta.old_file(), delta.new_file()] {
            let Some(path) = file.path().and_then(Path::to_str).filter(|path| matters(path)) else {
                continue;
            };
            if !seen.insert(path.to_owned()) {
                continue;
            }
            let old = delta.old_file();
            let is_there = old.exists() && !old.id().is_zero();
            let was = is_there.then(|| old.id());
            all.push((path.to_owned(), before(repository, path, was)));
        }
    }
    all
}

/// What a file held. A submodule or a link was no file, and one that is too large was none that is looked into.
fn before(repository: &Repository, path: &str, was: Option<Oid>) -> Option<Vec<u8>> {
    tree::blob(repository, was?, path, tree::MAX_BLOB).ok()
}

fn time_of(commit: &git2::Commit<'_>) -> Timestamp {
    let seconds = SignedDuration::from_secs(commit.time().seconds());
    Timestamp::UNIX_EPOCH.saturating_add(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_not_older_than_the_branch_below_it() {
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap();
        // Hours, the newest first; what they are taken for.
        let cases = [
            (vec![5, 4, 2], vec![5, 4, 2]),
            // Half an hour is a clock; a month is none, and it was there by now, or by the next commit.
            (vec![-700, 4, 2], vec![9, 4, 2]),
            (vec![6, -700, 2], vec![6, 6, 2]),
            (vec![6, 7, 2], vec![7, 7, 2]),
            (vec![-700, -800, 2], vec![9, 9, 2]),
        ];
        for (times, want) in cases {
            let commit =
                |hours: &i64| Commit { id: String::new(), time: at(*hours), before: Vec::new() };
            let mut commits: Vec<Commit> = times.iter().map(commit).collect();
            settle(&mut commits, at(9));
            let got: Vec<Timestamp> = commits.iter().map(|commit| commit.time).collect();
            assert_eq!(got, want.iter().map(|hours| at(*hours)).collect::<Vec<_>>(), "{times:?}");
        }
    }
}
