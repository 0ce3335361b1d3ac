//! The pull requests that there are, asked for before anything is decided or pushed: what they
//! propose is carried on, and a token that may not open them leaves no branches behind.

use std::collections::BTreeMap;

use super::Tree;
use crate::changeset::{ChangeSet, branch_name};
use crate::forge::{GitHub, Pulls};
use crate::policy::{Environment, Via};
use crate::report::DeliveryOutcome;
use crate::settings::Surroundings;

/// What is known of the pull requests of a run.
pub(super) enum Proposals {
    /// None are wanted.
    None,
    /// They cannot be opened, and why not.
    Impossible(String),
    /// What there is, by branch.
    Known { forge: Box<GitHub>, base: String, pulls: BTreeMap<String, Pulls> },
}

impl Proposals {
    /// Asks for the pull requests of environments, in one question.
    pub(super) async fn find<'a>(
        environments: impl Iterator<Item = &'a Environment>,
        tree: &Tree,
        around: &Surroundings,
    ) -> Self {
        let wanted = environments.filter(|environment| environment.via == Via::PullRequest);
        let branches: Vec<String> =
            wanted.map(|environment| branch_name(&environment.name)).collect();
        let Tree::Git { clone, github } = tree else { return Self::None };
        if branches.is_empty() {
            return Self::None;
        }
        let Some((owner, name)) = github else {
            let message = "pull requests are opened on GitHub only; name the repository as OWNER/NAME, or use \
                           `--deliver push`";
            return Self::Impossible(message.to_owned());
        };
        let base = clone.branch().to_owned();
        let forge = match GitHub::new(&around.github, owner, name) {
            Ok(forge) => Box::new(forge),
            Err(error) => return Self::Impossible(error.to_string()),
        };
        let branches: Vec<&str> = branches.iter().map(String::as_str).collect();
        match forge.pulls(&branches, &base).await {
            Ok(pulls) => Self::Known { forge, base, pulls },
            Err(error) => Self::Impossible(error.to_string()),
        }
    }

    /// Why a change set gets no pull request.
    pub(super) fn stop(&self, set: &ChangeSet) -> Option<(DeliveryOutcome, String)> {
        match self {
            Self::None => None,
            Self::Impossible(why) => Some((DeliveryOutcome::Failed, why.clone())),
            Self::Known { pulls, .. } => {
                let pulls = pulls.get(&set.branch)?;
                let closed = pulls.closed.as_ref().filter(|closed| closed.proposes(set));
                let closed = closed.filter(|_| pulls.open.is_none())?;
                let message = format!(
                    "#{} with this change was closed, so it is not proposed again",
                    closed.number
                );
                Some((DeliveryOutcome::Refused, message))
            }
        }
    }

    /// Whether a branch has an open pull request.
    pub(super) fn is_open(&self, branch: &str) -> bool {
        match self {
            Self::Known { pulls, .. } => {
                pulls.get(branch).is_some_and(|pulls| pulls.open.is_some())
            }
            Self::None | Self::Impossible(_) => false,
        }
    }
}
