//! What environments held, from the history of the branch.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Tree;
use super::tree::GIT_TIMEOUT;
use crate::choose::{Deployed, Reason, ReasonCode};
use crate::git::{GitError, History, history_of};
use crate::manifest::{Survey, Surveyed};
use crate::policy::{EnvironmentId, PolicyId, PolicySet};
use crate::promote::{End, State, Timeline};

/// So much further back than a soak takes, versions are weighed that were replaced before they were
/// promoted.
pub(super) const LOOK_BACK: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What is known of each environment.
pub(super) type Timelines = BTreeMap<EnvironmentId, Result<Timeline, Reason>>;

/// What an environment's files hold: by path, what each policy's image is.
type Holdings = BTreeMap<String, BTreeMap<PolicyId, BTreeSet<Deployed>>>;

/// Reads what these environments held since a time. That it cannot be read keeps nothing else away.
pub(super) async fn timelines(
    tree: &Tree,
    set: &PolicySet,
    files: &[Surveyed],
    wanted: &BTreeSet<EnvironmentId>,
    since: Timestamp,
    now: Timestamp,
) -> Timelines {
    let matters =
        |path: &str| wanted.iter().any(|index| set.environments[*index].paths.contains(path));
    let history = match tree {
        Tree::Git { clone, .. } => {
            let read = clone.history(since, now, matters);
            let read = tokio::time::timeout(GIT_TIMEOUT, read).await;
            read.unwrap_or_else(|_elapsed| Err(GitError::Timeout("the history".to_owned())))
        }
        // A directory without a history still holds something now.
        Tree::Work(work) => Ok(history_of(work.root(), since, now, matters)
            .unwrap_or_else(|_none| History::of_now(now))),
    };
    let survey = Survey::new(set);
    let of = |index: &EnvironmentId| {
        let known = history.as_ref().map(|history| timeline(history, set, &survey, files, *index));
        let known = known.map_err(|error| {
            Reason::new(ReasonCode::NoHistory, format!("the history cannot be read: {error}"))
        });
        (*index, known)
    };
    wanted.iter().map(of).collect()
}

fn timeline(
    history: &History,
    set: &PolicySet,
    survey: &Survey<'_>,
    files: &[Surveyed],
    environment: EnvironmentId,
) -> Timeline {
    let mut holdings: Holdings = BTreeMap::new();
    for file in files.iter().filter(|file| file.environment == environment) {
        holdings.insert(file.path.clone(), held_by(file));
    }
    let mut states: Vec<State> = Vec::new();
    for commit in &history.commits {
        let held = all(&holdings);
        match states.last_mut().filter(|state| state.held == held) {
            Some(state) => {
                state.since = commit.time;
                state.commits.push(commit.id.clone());
            }
            None => {
                states.push(State { since: commit.time, held, commits: vec![commit.id.clone()] });
            }
        }
        let paths = &set.environments[environment].paths;
        for (path, before) in commit.before.iter().filter(|(path, _)| paths.contains(path)) {
            holdings.remove(path);
            let Some(bytes) = before else { continue };
            let then = survey.finish(vec![survey.look(path, bytes)]).files;
            for file in then.iter().filter(|file| file.environment == environment) {
                holdings.insert(path.clone(), held_by(file));
            }
        }
    }
    let end = match history {
        History { is_whole: true, .. } => End::Root,
        History { is_shallow: true, .. } => End::Shallow,
        History { .. } => End::More,
    };
    Timeline { states, end }
}

/// What a file holds, by policy.
fn held_by(file: &Surveyed) -> BTreeMap<PolicyId, BTreeSet<Deployed>> {
    let mut held: BTreeMap<PolicyId, BTreeSet<Deployed>> = BTreeMap::new();
    for at in file.uses() {
        let Deployed { tag, digest, .. } = at.deployed;
        held.entry(at.policy).or_default().insert(Deployed { tag, digest, ..Deployed::default() });
    }
    held
}

/// What all files together hold.
fn all(holdings: &Holdings) -> BTreeMap<PolicyId, BTreeSet<Deployed>> {
    let mut held: BTreeMap<PolicyId, BTreeSet<Deployed>> = BTreeMap::new();
    for (policy, versions) in holdings.values().flatten() {
        held.entry(*policy).or_default().extend(versions.iter().cloned());
    }
    held
}
