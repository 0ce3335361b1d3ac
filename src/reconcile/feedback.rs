//! Feedback of people: pull requests that they closed, merged, reverted or want again, and labels by which they say what
//! to do.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::Snapshot;
use crate::changeset::{Proposed, ProposedMove, rollback_prefix};
use crate::choose::Deployed;
use crate::image::Tag;
use crate::policy::{APPROVE, EnvironmentId, HOLD, Policy, PolicyId, PolicySet};
use crate::pull_request::{Labeller, PullRequest, RepoRules};

/// One fact that the ledger learns from pull requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// A pull request is open, perhaps again.
    Open(u64),
    /// Versions of a merged pull request are deployed.
    Arrived {
        /// Its metadata, with these moves only.
        proposed: Proposed,
        /// Its number.
        number: u64,
    },
    /// Versions of a pull request are rejected.
    Rejected {
        /// Its metadata, with these moves only.
        proposed: Proposed,
        /// Its number.
        number: u64,
        /// The reason.
        why: String,
        /// True if they were deployed and taken back.
        is_reverted: bool,
    },
}

/// The deployed versions by the indices of environment and policy.
pub type Held = BTreeMap<(EnvironmentId, PolicyId), BTreeSet<Deployed>>;

/// The feedback in a snapshot.
#[must_use]
pub fn feedback(snapshot: &Snapshot, set: &PolicySet, held: &Held) -> Vec<Feedback> {
    let Some(observed) = snapshot.observed() else { return Vec::new() };
    let mut feedback = Vec::new();
    let rollbacks = rollback_prefix(set);
    for (branch, pulls) in &observed.pulls {
        // A rollback that was closed says nothing about the version that it goes back to.
        if branch.starts_with(&rollbacks) {
            feedback.extend(pulls.merged.iter().filter_map(|pull| rolled_back(pull, set, held)));
            continue;
        }
        feedback.extend(pulls.open.iter().map(|pull| Feedback::Open(pull.number)));
        feedback.extend(pulls.closed.iter().filter_map(closed));
        // Whatever was merged after the base was read is not deployed in it yet, and not reverted for that.
        if snapshot.moved_base().is_none() && observed.rules.base.is_some() {
            feedback.extend(merged(&pulls.merged, set, held));
        }
    }
    feedback
}

/// A merged rollback rejects the versions that it took back, as long as those that it went back to are deployed.
fn rolled_back(pull: &PullRequest, set: &PolicySet, held: &Held) -> Option<Feedback> {
    let mut proposed = Proposed::read(&pull.body)?;
    let moves = std::mem::take(&mut proposed.moves);
    let back = moves.into_iter().filter(|moved| {
        let name = proposed.environment_of(moved);
        let environment = set.environments.find(|e| e.name == name);
        let policy = set.policies.find(|policy| policy.name == moved.image);
        let held = environment.zip(policy).and_then(|at| held.get(&at));
        held.is_some_and(|held| is_there(moved, held))
    });
    let rejected =
        back.map(|moved| ProposedMove { from: moved.to.clone(), to: moved.from.clone(), ..moved });
    proposed.moves = rejected.collect();
    let number = pull.number;
    let why = format!("#{number} rolled it back");
    let is_any = !proposed.moves.is_empty();
    is_any.then_some(Feedback::Rejected { proposed, number, why, is_reverted: true })
}

fn closed(pull: &PullRequest) -> Option<Feedback> {
    let number = pull.number;
    if pull.is_wanted_again() {
        return Some(Feedback::Open(number));
    }
    let why = format!("#{number} was closed");
    let proposed = Proposed::read(&pull.body).filter(|proposed| proposed.withdrawn.is_none())?;
    Some(Feedback::Rejected { proposed, number, why, is_reverted: false })
}

/// Merged versions that are deployed, and those that were reverted. Of each image the newest merge counts.
fn merged(merged: &[PullRequest], set: &PolicySet, held: &Held) -> Vec<Feedback> {
    let mut seen = BTreeSet::new();
    let mut feedback = Vec::new();
    for pull in merged {
        let Some(mut proposed) = Proposed::read(&pull.body) else { continue };
        let mut moves = std::mem::take(&mut proposed.moves);
        moves.retain(|moved| {
            seen.insert((proposed.environment_of(moved).to_owned(), moved.image.clone()))
        });
        let at = |moved: &ProposedMove| {
            let name = proposed.environment_of(moved);
            let environment = set.environments.find(|e| e.name == name)?;
            let policy = set.policies.find(|policy| policy.name == moved.image)?;
            Some((&set.policies[policy], held.get(&(environment, policy))?))
        };
        let is_deployed =
            |moved: &&ProposedMove| at(moved).is_some_and(|(_, held)| is_there(moved, held));
        let arrived: Vec<_> = moves.iter().filter(is_deployed).cloned().collect();
        let is_gone = |moved: &&ProposedMove| {
            at(moved).is_some_and(|(policy, held)| is_reverted(policy, moved, held))
        };
        let reverted: Vec<_> = moves.iter().filter(is_gone).cloned().collect();
        let number = pull.number;
        let with = |moves| {
            let mut proposed = proposed.clone();
            proposed.moves = moves;
            proposed
        };
        if !arrived.is_empty() {
            feedback.push(Feedback::Arrived { proposed: with(arrived), number });
        }
        if !reverted.is_empty() {
            let (proposed, why) = (with(reverted), format!("#{number} was reverted"));
            feedback.push(Feedback::Rejected { proposed, number, why, is_reverted: true });
        }
    }
    feedback
}

/// True if every place holds the version that was moved there.
fn is_there(moved: &ProposedMove, held: &BTreeSet<Deployed>) -> bool {
    !held.is_empty() && held.iter().all(|place| place.to_string() == moved.to)
}

/// True if every place went back: to the version before, or below the delivered one. A place that holds the delivered
/// version, or one without a rank, makes it false.
#[must_use]
pub fn is_reverted(policy: &Policy, moved: &ProposedMove, held: &BTreeSet<Deployed>) -> bool {
    let ranker = policy.rule.ranker(None);
    let rank = |tag: &Tag| ranker.rank_deployed(tag, None);
    let delivered = moved.to.split('@').next().and_then(Tag::parse);
    let wanted = delivered.as_ref().and_then(rank);
    let went_back = |place: &Deployed| {
        let tag = place.tag.as_ref();
        let is_below = tag
            .and_then(rank)
            .zip(wanted.as_ref())
            .is_some_and(|(rank, wanted)| rank.compare(wanted) == Ordering::Less);
        let is_there =
            place.to_string() == moved.to || tag == delivered.as_ref() && !moved.keeps_tag();
        !is_there && (is_below || place.to_string() == moved.from)
    };
    !held.is_empty() && held.iter().all(went_back)
}

/// The reason why a command label does not count. Where nobody can say who set it, only a hold counts, which keeps things
/// as they are.
#[must_use]
pub fn label_objection(
    pull: &PullRequest,
    label: &str,
    by: Option<Labeller>,
    rules: &RepoRules,
) -> Option<&'static str> {
    let of_commit = Proposed::read(&pull.body).and_then(|proposed| proposed.approvable);
    match by {
        None => (label != HOLD).then_some("nobody can say who set it"),
        Some(by) if !by.may_write => Some("whoever set it may not write"),
        Some(by) if label == APPROVE && (by.is_bot || rules.is_own(&by.login)) => {
            Some("no program approves what a program proposes")
        }
        Some(_) if label == APPROVE && of_commit.as_deref() != Some(&*pull.head) => {
            Some("it was set before the page said what is on the branch now; set it again")
        }
        Some(_) => None,
    }
}
