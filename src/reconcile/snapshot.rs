//! Git and the forge as one run read them: data, and no client.

use std::collections::BTreeMap;

use crate::changeset::{ChangeSet, Proposed};
use crate::pull_request::{BranchPullRequests, Observed, PullRequest};

use super::{Stop, Withheld};

/// The state of git and the forge before a run writes anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// True if files are written into a work tree, which has no branches.
    pub is_work_tree: bool,
    /// The name of the base branch.
    pub base: String,
    /// The commit of the base that the plan was made from.
    pub base_commit: String,
    /// The pull requests.
    pub forge: ForgeView,
    /// The branches of the change sets and of own pull requests.
    pub branches: BTreeMap<String, Branch>,
    /// Branches on which the forge makes commits, with those of killed runs.
    pub signing_branches: Vec<String>,
}

/// The pull requests of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ForgeView {
    /// No change set needs any.
    #[default]
    NotNeeded,
    /// They could not be read, for this reason.
    Unavailable(String),
    /// They were read.
    Read(Box<Observed>),
}

/// The state of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Branch {
    /// It does not exist.
    Absent,
    /// Its last commit is ours.
    Ours {
        /// The commit.
        commit: String,
        /// The hash that identifies the change.
        change: String,
    },
    /// Its last commit is somebody else's.
    Foreign {
        /// The commit.
        commit: String,
        /// Its author.
        author: String,
    },
    /// It could not be read, for this reason.
    Unreadable(String),
}

impl Snapshot {
    /// The pull requests and rules, where they were read.
    #[must_use]
    pub fn observed(&self) -> Option<&Observed> {
        match &self.forge {
            ForgeView::Read(observed) => Some(observed),
            ForgeView::NotNeeded | ForgeView::Unavailable(_) => None,
        }
    }

    /// The pull requests of a branch.
    #[must_use]
    pub fn pulls(&self, branch: &str) -> Option<&BranchPullRequests> {
        self.observed()?.pulls.get(branch)
    }

    /// The open pull request of a branch.
    #[must_use]
    pub fn open(&self, branch: &str) -> Option<&PullRequest> {
        self.pulls(branch)?.open.as_ref()
    }

    /// True if a commit of a branch was merged.
    #[must_use]
    pub fn is_merged(&self, branch: &str, commit: &str) -> bool {
        self.pulls(branch).is_some_and(|pulls| pulls.merged.iter().any(|pull| pull.head == commit))
    }

    /// The base, if the forge says that it is at another commit than the plan was made from.
    #[must_use]
    pub fn moved_base(&self) -> Option<&str> {
        let base = self.observed()?.rules.base.as_ref()?;
        (*base != self.base_commit).then_some(&self.base)
    }

    /// The reason why a change set gets no pull request. Whoever asks for a rollback again wants it after all.
    pub(super) fn rejected(&self, set: &ChangeSet, is_rollback: bool) -> Option<Stop> {
        if let ForgeView::Unavailable(why) = &self.forge {
            return Some(Stop::new(Withheld::Failed, why.clone()));
        }
        if is_rollback {
            return None;
        }
        let pulls = self.pulls(&set.branch)?;
        let closed = pulls.closed.as_ref().filter(|closed| !closed.is_wanted_again());
        let closed = closed.filter(|closed| closed.proposes(set) && pulls.open.is_none())?;
        if Proposed::read(&closed.body).is_some_and(|closed| closed.withdrawn.is_some()) {
            return None;
        }
        let number = closed.number;
        let why = format!("#{number} with this change was closed, so it is not proposed again");
        Some(Stop::new(Withheld::Rejected, why))
    }
}
