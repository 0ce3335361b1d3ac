//! Pull requests on GitHub: found with one GraphQL question, written over the
//! [REST API](https://docs.github.com/en/rest/pulls/pulls), merged when they are what was verified.

mod app;
mod checks;
mod commit;
mod error;
#[cfg(fuzzing)]
pub mod fuzz;
mod github;
mod issue;
mod merge;
mod pace;
mod pulls;
mod releases;
mod write;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use app::sign_in;
pub use commit::{MadeCommit, NewCommit};
pub use error::ForgeError;
pub use github::GitHub;
pub use merge::{Compared, Merged};
pub use releases::Release;
pub use write::{Labeller, Upserted};

use crate::changeset::ChangeSet;
use crate::policy::{APPROVE, HOLD, MergeMethod, REBASE, RETRY};

/// A pull request, as far as it concerns us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what GitHub says of it")]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// Its title.
    pub title: String,
    /// Its body.
    pub body: String,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// What GraphQL calls it.
    pub id: String,
    /// The commit of its branch.
    pub head: String,
    /// Who opened it.
    pub author: String,
    /// Whether it is a draft.
    pub is_draft: bool,
    /// Whether GitHub would merge it.
    pub state: MergeState,
    /// Whether a review is asked for that nobody has given.
    pub wants_review: bool,
    /// Whether a reviewer with the right to write wants something changed.
    pub is_refused: bool,
    /// Whether somebody with the right to write approved it as it is.
    pub is_approved: bool,
    /// Who has GitHub merge it by itself.
    pub armed_by: Option<String>,
    /// The base's merge queue, as far as it concerns this one.
    pub queue: Queue,
    /// What checked its commit.
    pub checks: Vec<Check>,
    /// Whether there are more checks than were read, or they could not be.
    pub more_checks: bool,
    /// Labels that say what to do and do not count, with why.
    pub passed_over: Vec<String>,
}

/// Whether GitHub would merge
/// (<https://docs.github.com/en/graphql/reference/enums#mergestatestatus>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MergeState {
    /// The base must be in the branch first.
    Behind,
    /// Rules of the repository are in the way.
    Blocked,
    /// Nothing is in the way.
    Clean,
    /// It conflicts with the base.
    Dirty,
    /// It is a draft.
    Draft,
    /// Nothing is in the way, and hooks look at it.
    HasHooks,
    /// Checks fail or run that are not required.
    Unstable,
    /// GitHub has not found out yet, or says something new.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A merge queue
/// (<https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/incorporating-changes-from-a-pull-request/merging-a-pull-request-with-a-merge-queue>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queue {
    /// The base has none.
    #[default]
    None,
    /// It is not in the queue.
    Outside,
    /// It waits in the queue.
    Inside,
}

/// A check run or a status of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// The app that made the check run, or the account that set the status, where that is known.
    pub by: Option<String>,
    /// Whether it passed; `None` while it runs.
    pub passed: Option<bool>,
    /// Whether it looked at anything: skipped ones did not.
    pub counts: bool,
}

/// Somebody, as GitHub's interfaces name people and apps.
#[derive(Deserialize)]
struct Login {
    login: String,
}

/// A label.
#[derive(Deserialize)]
struct Named {
    name: String,
}

/// GitHub may return a body with other line ends than it was sent.
fn same_text(found: &str, wanted: &str) -> bool {
    let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    lines(found) == lines(wanted)
}

/// What there is for one branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulls {
    /// The open pull request.
    pub open: Option<PullRequest>,
    /// The last one that was closed without being merged.
    pub closed: Option<PullRequest>,
    /// The last ones that were merged, the newest first.
    pub merged: Vec<PullRequest>,
}

/// What a repository allows, and who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The login of the token.
    pub viewer: String,
    /// How pull requests may be merged, the plainest history first.
    pub methods: Vec<MergeMethod>,
    /// Whether GitHub merges by itself.
    pub auto_merge: bool,
    /// Whether GitHub deletes branches that were merged.
    pub deletes_branches: bool,
    /// The commit of the base.
    pub base: Option<String>,
}

impl Allowed {
    /// Whether a login is the token's own. GraphQL names an app with and without the brackets.
    #[must_use]
    pub fn is_own(&self, login: &str) -> bool {
        let plain = |login: &str| login.trim_end_matches("[bot]").to_owned();
        plain(login) == plain(&self.viewer)
    }

    /// Whether the token is that of a workflow, whose pull requests start no checks
    /// (<https://docs.github.com/en/actions/concepts/security/github_token>).
    #[must_use]
    pub fn is_workflow(&self) -> bool {
        matches!(self.viewer.as_str(), "github-actions[bot]" | "github-actions")
    }
}

impl PullRequest {
    /// Whether people want what it proposes after all, though it was closed.
    #[must_use]
    pub fn is_wanted_again(&self) -> bool {
        self.has_label(RETRY)
    }

    /// Whether people approved it, by a review or by a label.
    #[must_use]
    pub fn has_approval(&self) -> bool {
        self.is_approved || self.has_label(APPROVE)
    }

    /// Whether people have it left as it is.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.has_label(HOLD)
    }

    /// Whether people want its branch written anew.
    #[must_use]
    pub fn is_to_be_rewritten(&self) -> bool {
        self.has_label(REBASE)
    }

    /// Whether this is a pull request of ours for the same change.
    #[must_use]
    pub fn proposes(&self, set: &ChangeSet) -> bool {
        self.body.contains(&format!("\"change\":\"{}\"", set.change))
    }

    /// Whether it has a label, however that is written: GitHub has each once.
    #[must_use]
    pub fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|has| has.eq_ignore_ascii_case(label))
    }
}

/// The pull requests of branches, and what the repository allows.
pub type Found = (BTreeMap<String, Pulls>, Allowed);
