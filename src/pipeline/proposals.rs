//! The pull requests that there are, asked for before anything is decided or pushed: what they
//! propose is carried on, and a token that may not open them leaves no branches behind.

use std::collections::{BTreeMap, BTreeSet};

use super::Tree;
use super::memory::{Heard, Held, is_reverted};
use crate::changeset::{ChangeSet, Proposed, branch_name};
use crate::forge::{GitHub, PullRequest, Pulls};
use crate::policy::{Environment, PolicySet, Via};
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

/// What was merged, and is not deployed any more. Of each image the newest that was merged counts.
fn reverted(merged: &[PullRequest], set: &PolicySet, held: &Held) -> Vec<Heard> {
    let mut seen = BTreeSet::new();
    let mut heard = Vec::new();
    for pull in merged {
        let Some(mut proposed) = Proposed::read(&pull.body) else { continue };
        let environment = set.environments.iter().position(|e| e.name == proposed.environment);
        let Some(environment) = environment else { continue };
        proposed.moves.retain(|moved| {
            let policy = set.policies.iter().position(|policy| policy.name == moved.image);
            let first = seen.insert(moved.image.clone());
            let tags = policy.and_then(|policy| held.get(&(environment, policy)));
            first
                && policy
                    .zip(tags)
                    .is_some_and(|(policy, tags)| is_reverted(&set.policies[policy], moved, tags))
        });
        if !proposed.moves.is_empty() {
            let why = format!("#{} was reverted", pull.number);
            heard.push(Heard::Refused { proposed, number: pull.number, why });
        }
    }
    heard
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

    /// What people said to what was proposed: closed, merged and reverted, or opened again.
    pub(super) fn heard(&self, set: &PolicySet, held: &Held) -> Vec<Heard> {
        let Self::Known { pulls, .. } = self else { return Vec::new() };
        let mut heard = Vec::new();
        for pulls in pulls.values() {
            heard.extend(pulls.open.iter().map(|pull| Heard::Open(pull.number)));
            heard.extend(pulls.closed.iter().filter_map(|pull| {
                if pull.is_wanted_again() {
                    return Some(Heard::Open(pull.number));
                }
                let why = format!("#{} was closed", pull.number);
                let proposed = Proposed::read(&pull.body)?;
                Some(Heard::Refused { proposed, number: pull.number, why })
            }));
            heard.extend(reverted(&pulls.merged, set, held));
        }
        heard
    }

    /// Why a change set gets no pull request.
    pub(super) fn stop(&self, set: &ChangeSet) -> Option<(DeliveryOutcome, String)> {
        match self {
            Self::None => None,
            Self::Impossible(why) => Some((DeliveryOutcome::Failed, why.clone())),
            Self::Known { pulls, .. } => {
                let pulls = pulls.get(&set.branch)?;
                let closed = pulls.closed.as_ref().filter(|closed| !closed.is_wanted_again());
                let closed = closed.filter(|closed| closed.proposes(set));
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
