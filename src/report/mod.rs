//! What people, programs and GitHub are told.

mod actions;
mod code;
mod code_quality;
mod dashboard;
mod dry_run;
mod explain;
mod json;
mod page;
mod progress;
mod started;
mod status;
mod summary;
mod text;

pub use actions::{annotations, outputs};
pub use code::{codes, explain_code};
pub use code_quality::code_quality;
pub use dashboard::{DASHBOARD, dashboard};
pub use dry_run::{ActionName, PlannedAction, dry_run, planned_actions, planned_dashboard};
pub use explain::{ExplainReport, ExplainedRow};
pub use json::{HomeRow, Report, diagnostics_only, output_schema};
pub use progress::Progress;
pub use started::{started, started_files};
pub use status::{EnvironmentStatus, HistoryRow, ImageStatus, PullRequestLink, Status};
pub use summary::job_summary;
pub use text::{Read, decisions, deliveries, diagnostics, needs_person, plan};

use crate::changeset::ChangeSet;
use crate::policy::{Home, Via};

/// What became of one change set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The environment's name.
    pub environment: String,
    /// Where it was delivered to.
    pub home: Home,
    /// How it was delivered.
    pub via: Via,
    /// The branch it went to; none for a work tree.
    pub branch: Option<String>,
    /// The commit that holds it.
    pub commit: Option<String>,
    /// The pull request's number and page.
    pub pull_request: Option<(u64, String)>,
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// More about it, for a person.
    pub message: Option<String>,
}

impl Delivery {
    /// A delivery of a change set that nothing else is known of yet.
    #[must_use]
    pub fn new(set: &ChangeSet, outcome: DeliveryOutcome) -> Self {
        Self {
            environment: set.environment.clone(),
            home: set.home.clone(),
            via: set.via,
            branch: None,
            commit: None,
            pull_request: None,
            outcome,
            message: None,
        }
    }
}

/// What became of one change set.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryOutcome {
    /// A pull request was opened.
    Created,
    /// A pull request was brought up to date.
    Updated,
    /// Everything was there already.
    Unchanged,
    /// A commit was pushed.
    Pushed,
    /// Files were written.
    Written,
    /// A person's commit is on the branch, so it is left alone.
    Frozen,
    /// A pull request was merged.
    Merged,
    /// A pull request was closed, because nothing is left to propose or another one proposes it.
    Closed,
    /// It waits: for people who hold it, or because there are as many pull requests as there may be.
    Waiting,
    /// A person closed the pull request of this very change, so it is not proposed again.
    Refused,
    /// It could not be delivered.
    Failed,
}

impl DeliveryOutcome {
    /// As it is written in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Pushed => "pushed",
            Self::Written => "written",
            Self::Frozen => "frozen",
            Self::Merged => "merged",
            Self::Closed => "closed",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}
