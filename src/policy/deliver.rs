//! How an environment's changes reach the repository: what goes together, in what kind of pull request,
//! and who merges it.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::raw::{
    AutoMerge, Commits, MergeMethod, Notes, RawCheck, RawCheckBy, RawDeliver, RawGroup,
    RawGrouping, RawWindow,
};
use super::{Timing, Via, Windows, template};

/// The label with which people take back that they closed a pull request. GitHub opens none again whose branch was
/// written anew.
pub const RETRY: &str = "tagalong:retry";

/// The label with which people have a pull request left as it is.
pub const HOLD: &str = "tagalong:hold";

/// The label with which people have a branch written anew, whatever they put there.
pub const REBASE: &str = "tagalong:rebase";

/// The label by which people approve a pull request.
pub const APPROVE: &str = "tagalong:approve";

/// The labels by which people say what to do.
pub const COMMAND_LABELS: [&str; 4] = [RETRY, HOLD, REBASE, APPROVE];

/// How changes are delivered.
#[derive(Clone, Debug, Default)]
pub struct Deliver {
    /// The way.
    pub via: Via,
    /// What goes together.
    pub group: Group,
    /// How a change is divided into commits.
    pub commits: Commits,
    /// What pull requests carry beside their texts.
    pub pull: PullRequestSettings,
    /// Who merges, and when.
    pub merge: Merge,
    /// How many pull requests there may be.
    pub limits: Limits,
    /// What bodies say of sources and releases.
    pub notes: Notes,
    /// When.
    pub timing: Timing,
    /// How texts are worded.
    pub texts: Texts,
}

/// What goes together into one pull request.
#[derive(Clone, Debug, Default)]
pub enum Group {
    /// Everything of the environment.
    #[default]
    Environment,
    /// Each image by itself.
    Image,
    /// Everything of all environments that say so.
    All,
    /// The images that a group names; the others together.
    Named(BTreeMap<String, GlobSet>),
}

/// What pull requests carry beside their texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequestSettings {
    /// Labels.
    pub labels: Vec<String>,
    /// Who is asked for a review: users, and teams as `organisation/team`.
    pub reviewers: Vec<String>,
    /// Who is assigned.
    pub assignees: Vec<String>,
    /// The title of a milestone.
    pub milestone: Option<String>,
    /// Whether they are opened as drafts.
    pub draft: bool,
}

/// Templates of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Of the title.
    pub title: Option<String>,
    /// Of the body.
    pub body: Option<String>,
    /// Of the commit message.
    pub message: Option<String>,
}

/// A check or a status that must have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// Its name.
    pub name: String,
    /// The app or account that has to report it; whoever may write statuses, without one.
    pub app: Option<String>,
}

impl Required {
    /// Whether what somebody reported counts. GraphQL names an app with and without the brackets.
    #[must_use]
    pub fn is_by(&self, reporter: Option<&str>) -> bool {
        let plain = |login: &str| login.trim_end_matches("[bot]").to_ascii_lowercase();
        let wanted = self.app.as_deref().map(plain);
        wanted.is_none() || wanted == reporter.map(plain)
    }
}

impl From<RawCheck> for Required {
    fn from(raw: RawCheck) -> Self {
        match raw {
            RawCheck::Name(name) => Self { name, app: None },
            RawCheck::By(RawCheckBy { name, app }) => Self { name, app: Some(app) },
        }
    }
}

/// Who merges, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// Who.
    pub by: AutoMerge,
    /// How; what the repository allows without this.
    pub method: Option<MergeMethod>,
    /// Checks that must have passed; without any named, all that there are, and at least one.
    pub checks: Vec<Required>,
    /// Whether to merge where nothing checks.
    pub without_checks: bool,
    /// Whether somebody has to approve it.
    pub approval: bool,
}

/// How many pull requests there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// At once.
    pub open: Option<u32>,
    /// Newly opened by one run.
    pub new: Option<u32>,
}

impl Group {
    /// The part of an environment's changes that an image's go with; `None` for all of them.
    #[must_use]
    pub fn part(&self, image: &str) -> Option<String> {
        match self {
            Self::Environment | Self::All => None,
            Self::Image => Some(image.to_owned()),
            Self::Named(groups) => {
                let named = groups.iter().find(|(_, images)| images.is_match(image));
                // A name of a group is no name of an image.
                named.map(|(name, _)| format!("{name} "))
            }
        }
    }
}

impl Deliver {
    /// Changes that are delivered like this and in no special way.
    #[must_use]
    pub fn via(via: Via) -> Self {
        Self { via, ..Self::default() }
    }

    /// Whether changes that are delivered like this can go together with those of another environment.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.commits == other.commits
            && self.pull == other.pull
            && self.merge == other.merge
            && self.limits == other.limits
            && self.timing == other.timing
            && self.notes == other.notes
            && self.texts == other.texts
    }

    /// Reads what is written.
    ///
    /// # Errors
    /// The key and the reason.
    pub(super) fn read(raw: RawDeliver) -> Result<Self, (&'static str, String)> {
        let is_team =
            |name: &String| !name.starts_with('@') && name.split('/').all(|part| !part.is_empty());
        if let Some(wrong) = raw.reviewers.iter().find(|name| !is_team(name)) {
            let why = format!("`{wrong}` is neither a user nor an organisation/team");
            return Err(("reviewers", why));
        }
        let is_order =
            |label: &&String| COMMAND_LABELS.iter().any(|order| label.eq_ignore_ascii_case(order));
        if let Some(order) = raw.labels.iter().find(is_order) {
            let why = format!(
                "`{order}` is how people say what to do with a pull request, so it cannot be one that every pull request has"
            );
            return Err(("labels", why));
        }
        Ok(Self {
            via: raw.via.into(),
            group: group(raw.group).map_err(|why| ("group", why))?,
            commits: raw.commits,
            pull: PullRequestSettings {
                labels: raw.labels,
                reviewers: raw.reviewers,
                assignees: raw.assignees,
                milestone: raw.milestone,
                draft: raw.draft,
            },
            merge: Merge {
                by: raw.auto_merge,
                method: raw.merge_method,
                checks: raw.checks.into_iter().map(Required::from).collect(),
                without_checks: raw.without_checks,
                approval: raw.approval,
            },
            notes: raw.notes,
            timing: Timing { schedule: schedule(&raw.schedule)?, ..Timing::default() },
            limits: Limits { open: raw.max_open, new: raw.max_new },
            texts: texts(raw.title, raw.body, raw.message)?,
        })
    }
}

fn schedule(raw: &[RawWindow]) -> Result<Windows, (&'static str, String)> {
    Windows::read(raw).map_err(|faults| {
        let told = faults.iter().map(|fault| format!("window {}: {}", fault.index + 1, fault.why));
        ("schedule", told.collect::<Vec<_>>().join("; "))
    })
}

/// Templates that can be read; what they name is only known when they are used.
fn texts(
    title: Option<String>,
    body: Option<String>,
    message: Option<String>,
) -> Result<Texts, (&'static str, String)> {
    for (key, text) in [("title", &title), ("body", &body), ("message", &message)] {
        let Some(text) = text else { continue };
        template::check(text).map_err(|why| (key, why))?;
    }
    Ok(Texts { title, body, message })
}

fn group(raw: RawGroup) -> Result<Group, String> {
    let named = match raw {
        RawGroup::One(RawGrouping::Environment) => return Ok(Group::Environment),
        RawGroup::One(RawGrouping::Image) => return Ok(Group::Image),
        RawGroup::One(RawGrouping::All) => return Ok(Group::All),
        RawGroup::Named(named) => named,
    };
    let mut groups = BTreeMap::new();
    for (name, images) in named {
        let mut globs = GlobSetBuilder::new();
        for image in images {
            let glob = GlobBuilder::new(&image).literal_separator(false).build();
            globs.add(glob.map_err(|_error| format!("`{image}` is neither a name nor a glob"))?);
        }
        groups.insert(name, globs.build().map_err(|error| error.to_string())?);
    }
    Ok(Group::Named(groups))
}
