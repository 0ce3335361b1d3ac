//! Pull requests as any forge has them, as far as they concern this program: data, and no client.

use std::collections::BTreeMap;

use crate::changeset::ChangeSet;
use crate::policy::{APPROVE, HOLD, MergeMethod, REBASE, RETRY};

/// A pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that a forge reports")]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// Its title.
    pub title: String,
    /// Its body.
    pub body: String,
    /// The names of its labels, without those in `ignored_labels`.
    pub labels: Vec<String>,
    /// The forge's own identifier, where that is not the number.
    pub id: String,
    /// The commit of its branch.
    pub head: String,
    /// The login of whoever opened it.
    pub author: String,
    /// True if it is a draft.
    pub is_draft: bool,
    /// The forge's verdict on a merge.
    pub mergeable: Mergeable,
    /// True if a review is required or requested that nobody has given.
    pub wants_review: bool,
    /// True if a reviewer with the right to write requests changes.
    pub changes_requested: bool,
    /// True if somebody with the right to write approved its head commit.
    pub is_approved: bool,
    /// The login of whoever enabled the forge's auto-merge.
    pub auto_merge_by: Option<String>,
    /// True if the forge may merge it by itself although nobody is known who enabled that.
    pub auto_merge_unread: bool,
    /// The state of the base's merge queue for this pull request.
    pub queue: Queue,
    /// The checks of its head commit.
    pub checks: Vec<Check>,
    /// True if it has more checks than were read, or they could not be read.
    pub more_checks: bool,
    /// Command labels that do not count, with the reason.
    pub ignored_labels: Vec<String>,
}

/// A forge's verdict on a merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mergeable {
    /// Nothing prevents it.
    Yes,
    /// The base must be merged into the branch first.
    Behind,
    /// Rules of the repository prevent it.
    Blocked,
    /// It conflicts with the base.
    Conflict,
    /// The forge has not decided yet, or answers something new.
    #[default]
    Unknown,
}

/// The state of a merge queue for one pull request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queue {
    /// The base has no queue.
    #[default]
    None,
    /// The pull request is not in the queue.
    Outside,
    /// The pull request is in the queue.
    Inside,
}

/// A check or a status of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// The app or the account that reported it, where the forge says so.
    pub by: Option<String>,
    /// True if it passed; `None` while it runs.
    pub passed: Option<bool>,
    /// True if it examined the commit; a skipped check did not.
    pub counts: bool,
}

/// The pull requests of one branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchPullRequests {
    /// The open pull request.
    pub open: Option<PullRequest>,
    /// The last pull request that was closed without a merge.
    pub closed: Option<PullRequest>,
    /// The last merged pull requests, newest first.
    pub merged: Vec<PullRequest>,
}

/// Settings of a repository, and the account of the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepoRules {
    /// The login of the token.
    pub viewer: String,
    /// Allowed merge methods, the plainest history first.
    pub methods: Vec<MergeMethod>,
    /// True if the repository allows auto-merge.
    pub auto_merge: bool,
    /// True if the forge deletes branches after a merge.
    pub deletes_branches: bool,
    /// True if the token's pull requests start no checks.
    pub starts_no_checks: bool,
    /// The commit of the base.
    pub base: Option<String>,
}

/// The pull requests of branches, and the rules of their repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The pull requests by branch.
    pub pulls: BTreeMap<String, BranchPullRequests>,
    /// The rules.
    pub rules: RepoRules,
}

/// The identity of a pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRef {
    /// Its number.
    pub number: u64,
    /// The forge's own identifier, where that is not the number.
    pub id: String,
}

/// A person or a program that set a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labeller {
    /// The login.
    pub login: String,
    /// True if it may write to the repository. Whoever may only label must not thereby throw away a writer's commit.
    pub may_write: bool,
    /// True if it is an app, or acted through one.
    pub is_bot: bool,
}

impl RepoRules {
    /// True if a login is the token's own. Some interfaces write an app's login with brackets, some without.
    #[must_use]
    pub fn is_own(&self, login: &str) -> bool {
        let plain = |login: &str| login.trim_end_matches("[bot]").to_owned();
        plain(login) == plain(&self.viewer)
    }
}

impl PullRequest {
    /// True if the forge merges it by itself, or may.
    #[must_use]
    pub fn may_be_merged(&self) -> bool {
        self.auto_merge_by.is_some() || self.auto_merge_unread
    }

    /// Its identity.
    #[must_use]
    pub fn reference(&self) -> PullRef {
        PullRef { number: self.number, id: self.id.clone() }
    }

    /// True if people want its change proposed again although it was closed.
    #[must_use]
    pub fn is_wanted_again(&self) -> bool {
        self.has_label(RETRY)
    }

    /// True if people approved it, by a review or by a label.
    #[must_use]
    pub fn has_approval(&self) -> bool {
        self.is_approved || self.has_label(APPROVE)
    }

    /// True if people hold it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.has_label(HOLD)
    }

    /// True if people want its branch rewritten.
    #[must_use]
    pub fn is_to_be_rewritten(&self) -> bool {
        self.has_label(REBASE)
    }

    /// True if its metadata names the same change.
    #[must_use]
    pub fn proposes(&self, set: &ChangeSet) -> bool {
        self.body.contains(&format!("\"change\":\"{}\"", set.change))
    }

    /// True if it has a label, in any case: forges compare labels so.
    #[must_use]
    pub fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|has| has.eq_ignore_ascii_case(label))
    }

    /// Forgets a label.
    pub fn drop_label(&mut self, label: &str) {
        self.labels.retain(|has| !has.eq_ignore_ascii_case(label));
    }
}
