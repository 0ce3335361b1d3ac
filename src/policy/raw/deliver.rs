//! How an environment's changes are delivered, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::RawWindow;

/// How changes are delivered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RawDeliver {
    /// The way.
    pub via: RawVia,
    /// What goes together into one pull request: everything of the `environment`, each `image` by
    /// itself, `all` environments that say so, or named groups of images, the others together.
    #[schemars(example = &"image", example = BTreeMap::from([("web", vec!["frontend", "ui-*"])]))]
    pub group: RawGroup,
    /// How a change is divided into commits.
    pub commits: Commits,
    /// Who merges. A pull request is only merged as it was verified, and only when checks have passed.
    pub auto_merge: AutoMerge,
    /// How it is merged; the first of squash, merge and rebase that the repository allows without this.
    pub merge_method: Option<MergeMethod>,
    /// The checks and statuses that must have passed before a merge, by name, or by name and app; without this, all
    /// that there are, and at least one.
    #[schemars(example = ["ci/test"])]
    pub checks: Vec<RawCheck>,
    /// Merge also where nothing checks.
    pub without_checks: bool,
    /// Merge only what somebody with the right to write has approved: by a review, or by the label
    /// `tagalong:approve`.
    pub approval: bool,
    /// A template of the title: `environment`, and `images` with `image`, `repository`, `from`, `to`,
    /// `why`, `files` and `environment` each.
    #[schemars(example = &"deps({{ environment }}): {{ images | map(attribute='image') | join(', ') }}")]
    pub title: Option<String>,
    /// A template of the body, in Markdown; also with `table`, the usual rows.
    #[schemars(example = &"Rolled out by the platform team.\n\n{{ table }}")]
    pub body: Option<String>,
    /// A template of the commit message.
    #[schemars(example = &"deps: {{ environment }}")]
    pub message: Option<String>,
    /// What the body says of where the images come from.
    pub notes: Notes,
    /// Labels of the pull request.
    #[schemars(example = ["staging"])]
    pub labels: Vec<String>,
    /// Who is asked for a review when one is opened: users, and teams as `organisation/team`.
    #[schemars(example = ["octocat", "acme/sre"])]
    pub reviewers: Vec<String>,
    /// Who is assigned when one is opened.
    #[schemars(example = ["octocat"])]
    pub assignees: Vec<String>,
    /// The title of an open milestone.
    #[schemars(example = "2026-12")]
    pub milestone: Option<String>,
    /// Open it as a draft.
    pub draft: bool,
    /// When pull requests are opened, brought up to date and merged, or branches are pushed to; at any time
    /// without this.
    #[schemars(example = json!([{"cron": "0 9 * * 1-4", "duration": "6h", "timezone": "Europe/London"}]))]
    pub schedule: Vec<RawWindow>,
    /// The most pull requests of the environment that are open at once.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_open: Option<u32>,
    /// The most that one run opens.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_new: Option<u32>,
}

/// What goes together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawGroup {
    /// One rule.
    One(RawGrouping),
    /// Images by the name of their group, as names or globs of policies.
    Named(BTreeMap<String, Vec<String>>),
}

impl Default for RawGroup {
    fn default() -> Self {
        Self::One(RawGrouping::Environment)
    }
}

/// What goes together, by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawGrouping {
    /// Everything of the environment.
    Environment,
    /// Each image by itself.
    Image,
    /// Everything of all environments that say so.
    All,
}

/// How a change is divided into commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Commits {
    /// One for all of it.
    #[default]
    ChangeSet,
    /// One for each image.
    Image,
}

/// Adds the former name of `forge` to a schema, which serde reads as an alias.
pub(super) fn also_github(schema: &mut schemars::Schema) {
    let former = serde_json::json!({
        "const": "github", "deprecated": true, "type": "string",
        "description": "The former name of `forge`.",
    });
    if let Some(serde_json::Value::Array(values)) = schema.get_mut("oneOf") {
        values.push(former);
    }
}

/// Who merges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = also_github)]
pub enum AutoMerge {
    /// People.
    #[default]
    Off,
    /// The forge, as soon as its own rules allow it (auto-merge, merge queues).
    #[serde(alias = "github")]
    Forge,
    /// A later run, when the checks have passed.
    Bot,
}

/// What a pull request says of where its images come from, by their labels
/// `org.opencontainers.image.source` and `.revision`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Notes {
    /// Nothing; no manifest is fetched for it.
    Off,
    /// The comparison of the two revisions.
    Links,
    /// That, and the notes of the releases between the two tags.
    #[default]
    Releases,
}

/// How a pull request is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MergeMethod {
    /// One commit on the base.
    Squash,
    /// A merge commit.
    Merge,
    /// The commits put onto the base.
    Rebase,
}

/// The way a change reaches the repository, as a policy can say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawVia {
    /// A branch and a pull request.
    #[default]
    PullRequest,
    /// A commit on the branch itself.
    Push,
}

impl From<RawVia> for Via {
    fn from(raw: RawVia) -> Self {
        match raw {
            RawVia::PullRequest => Self::PullRequest,
            RawVia::Push => Self::Push,
        }
    }
}

/// The way a change reaches the repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// A branch and a pull request.
    #[default]
    PullRequest,
    /// A commit on the branch itself.
    Push,
    /// Files in the work tree; nothing is committed.
    Worktree,
}

impl Via {
    /// All ways by the names that policies and arguments use.
    pub const NAMES: [(&str, Self); 3] =
        [("pull-request", Self::PullRequest), ("push", Self::Push), ("worktree", Self::Worktree)];
}

/// A check or a status: its name, or its name and who has to report it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawCheck {
    /// The name. Whoever may write statuses can report one of it.
    Name(String),
    /// The name, and who reports it.
    By(RawCheckBy),
}

/// A check or a status of one app or account.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawCheckBy {
    /// The name; a glob in `require`.
    #[schemars(example = &"ci")]
    pub name: String,
    /// The app that makes the check run, by the end of its page's address, or the account that sets the status.
    #[schemars(example = &"github-actions")]
    pub app: String,
}
