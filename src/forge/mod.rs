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

use serde::Deserialize;

pub use app::sign_in;
pub use commit::{MadeCommit, NewCommit};
pub use error::ForgeError;
pub use github::GitHub;
pub use merge::{Compared, Merged};
pub use releases::Release;

pub use crate::pull_request::{Labeller, Observed};

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
