//! The forge: pull requests read and written, whatever product serves them. [`Forge`] has the verbs, [`AnyForge`] the one
//! match on the product, and each product a folder.

mod any;
mod error;
pub mod forgejo;
pub mod github;
pub mod gitlab;
mod pace;
mod rest;

use std::collections::BTreeMap;

pub use any::AnyForge;
pub use any::sign_in;
pub use error::{ForgeError, ForgeFault};
pub use forgejo::Forgejo;
pub use github::GitHub;
pub use gitlab::GitLab;

use crate::policy::MergeMethod;
pub use crate::pull_request::{Check, Labeller, Observed, PullRef, PullRequest, RepoRules};
use crate::repo_id::RepoId;

/// The remedy where a repository is on no forge that is known.
pub const NO_FORGE: &str = "the repository is on no forge that is known (GITHUB_SERVER_URL, GITLAB_URL, FORGEJO_URL and GITEA_URL name servers of your own)";

/// The verbs of a forge, for one repository. Each fails when the forge refuses, or cannot be reached; what the error says
/// names the product and what to change.
#[expect(async_fn_in_trait, reason = "each run is a thread with a runtime of its own")]
pub trait Forge {
    /// The error of a verb.
    type Error;

    /// The repository.
    fn repository(&self) -> &RepoId;

    /// Reads the pull requests of branches to a base, with their checks where these matter, and the rules of the repository.
    async fn observe(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, Self::Error>;

    /// Reads the checks of commits; a commit that the forge does not know has none.
    async fn checks(&self, commits: &[&str]) -> Result<BTreeMap<String, Vec<Check>>, Self::Error>;

    /// Opens a pull request, or finds the one that another run opened meanwhile.
    async fn open(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, Self::Error>;

    /// Changes texts and state of a pull request.
    async fn edit(&self, number: u64, edit: &PullRequestEdit<'_>) -> Result<(), Self::Error>;

    /// Adds labels.
    async fn label(&self, number: u64, labels: &[String]) -> Result<(), Self::Error>;

    /// Removes a label that is there.
    async fn unlabel(&self, number: u64, label: &str) -> Result<(), Self::Error>;

    /// Removes a label if it is there at this moment, whoever set it since.
    async fn unlabel_if_set(&self, number: u64, label: &str) -> Result<(), Self::Error>;

    /// Reads who set a label last; `None` when the forge does not say.
    async fn labelled_by(&self, number: u64, label: &str) -> Result<Option<Labeller>, Self::Error>;

    /// Sets labels, people and milestone of a new pull request.
    async fn decorate(&self, number: u64, with: &Decoration<'_>) -> Result<(), Self::Error>;

    /// Reads the number of an open milestone.
    async fn milestone(&self, title: &str) -> Result<u64, Self::Error>;

    /// Merges a pull request, if its branch is still at a commit.
    async fn merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, Self::Error>;

    /// Has the forge merge once its rules allow it, if the branch is still at a commit.
    async fn enable_auto_merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<AutoMerged, Self::Error>;

    /// Has the forge not merge by itself any more.
    async fn disable_auto_merge(&self, pull: &PullRef) -> Result<(), Self::Error>;

    /// Puts a pull request into the merge queue, if its branch is still at a commit.
    async fn enqueue(&self, pull: &PullRef, head: &str) -> Result<Merged, Self::Error>;

    /// Removes a pull request from the merge queue.
    async fn dequeue(&self, pull: &PullRef) -> Result<(), Self::Error>;

    /// Reads the newest published releases of a public repository of the same server; an error for any other.
    async fn public_releases(&self, of: &RepoId) -> Result<Vec<Release>, Self::Error>;

    /// Brings our one open issue with a mark up to date. True if something had to change.
    async fn keep_issue(&self, issue: &Issue<'_>) -> Result<bool, Self::Error>;

    /// Has the forge make and sign a commit.
    async fn commit(&self, new: &NewCommit<'_>) -> Result<MadeCommit, Self::Error>;
}

/// The result of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It is done.
    Done,
    /// It waits in the merge queue.
    Queued,
    /// The forge does not merge it now, for this reason.
    NotNow(String),
    /// It conflicts with the base.
    Conflict,
    /// Its branch is not at the commit any more.
    Moved,
}

/// The result of a wish for an auto-merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoMerged {
    /// The forge merges once its rules allow it.
    Enabled,
    /// Nothing held it up, and the forge has merged it.
    Merged,
    /// Nothing holds it up, and the forge therefore refuses to wait.
    NothingToWaitFor,
}

/// A published release.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Release {
    /// The tag that it is of.
    pub tag_name: String,
    /// Its author's text.
    #[serde(default)]
    pub body: Option<String>,
    /// True if it is not published yet.
    #[serde(default)]
    pub draft: bool,
}

/// A commit that a forge is to make.
pub struct NewCommit<'a> {
    /// The branch, which must be at the parent.
    pub branch: &'a str,
    /// The commit before it.
    pub parent: &'a str,
    /// The message.
    pub message: &'a str,
    /// Paths and new contents; file modes stay.
    pub files: &'a [(String, Vec<u8>)],
}

/// A commit that a forge made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeCommit {
    /// The commit.
    pub oid: String,
    /// Its tree.
    pub tree: String,
    /// True if the forge says that the signature is good.
    pub is_signed: bool,
}

/// An issue of ours.
#[derive(Clone, Copy, Debug)]
pub struct Issue<'a> {
    /// The text in its body by which it is found.
    pub mark: &'a str,
    /// The title.
    pub title: &'a str,
    /// The body, in Markdown.
    pub body: &'a str,
    /// The rules of the repository, with the login whose issue it has to be.
    pub rules: &'a RepoRules,
}

/// A pull request that is to be opened.
#[derive(Clone, Copy, Debug)]
pub struct NewPullRequest<'a> {
    /// The title.
    pub title: &'a str,
    /// The body, in Markdown.
    pub body: &'a str,
    /// The branch that is to be merged.
    pub branch: &'a str,
    /// The branch that it is merged into.
    pub base: &'a str,
    /// True if it is a draft.
    pub is_draft: bool,
}

/// A change of an open pull request; `None` leaves a text as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct PullRequestEdit<'a> {
    /// The title.
    pub title: Option<&'a str>,
    /// The body.
    pub body: Option<&'a str>,
    /// True if it is closed.
    pub is_closed: bool,
    /// A comment that is added after the rest.
    pub comment: Option<&'a str>,
}

/// The labels and people of a new pull request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoration<'a> {
    /// The labels.
    pub labels: &'a [String],
    /// The reviewers: users, and teams as `organisation/team`.
    pub reviewers: &'a [String],
    /// The assignees.
    pub assignees: &'a [String],
    /// The number of the milestone.
    pub milestone: Option<u64>,
}
