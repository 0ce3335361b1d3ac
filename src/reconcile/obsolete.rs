//! Obsolete pull requests and leftover branches: the proposed versions are deployed or no longer wanted, or another
//! pull request proposes them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Action, Branch, BranchStep, Close, Input, Purpose, Subject};
use crate::changeset::{
    ALL_ENVIRONMENTS, Planned, Proposed, ProposedMove, branch_prefix, rollback_prefix,
};
use crate::choose::Outcome;
use crate::policy::{Environment, Via};
use crate::pull_request::{BranchPullRequests, PullRequest, Queue};
use crate::text::code_span;

/// The beginning of the names of branches on which the forge makes commits. A workflow that runs for pushes can leave
/// them out by it.
pub const SIGNING_PREFIX: &str = "tagalong-signing/";

/// Age after which a branch of a killed run is deleted.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

/// The reason for closing a pull request that nothing else proposes.
const NOTHING_LEFT: &str =
    "nothing is left of it: what it proposes is deployed, or not to be deployed now";

/// Number of titles that a reason lists.
const MAX_TITLES: usize = 5;

/// The actions for own branches that no change set is for.
pub(super) fn actions(input: &Input<'_>, steps: &[BranchStep]) -> Vec<Action> {
    let mut actions = Vec::new();
    if let Some(observed) = input.snapshot.observed() {
        let planned: BTreeSet<&String> =
            input.plan.change_sets.iter().map(|set| &set.branch).collect();
        let own = branch_prefix(input.set);
        let is_other = |branch: &String| branch.starts_with(&own) && !planned.contains(branch);
        // A rollback is never obsolete; its branch is, once it was merged.
        let rollbacks = rollback_prefix(input.set);
        let is_done = |branch: &String, pulls: &BranchPullRequests| {
            branch.starts_with(&rollbacks) && pulls.open.is_none() && !planned.contains(branch)
        };
        let others = observed.pulls.iter();
        for (branch, pulls) in others.filter(|(b, pulls)| is_other(b) || is_done(b, pulls)) {
            // A branch with a person's commit belongs to that person.
            if let Some(Branch::Ours { commit, .. }) = input.snapshot.branches.get(branch) {
                let of = Own { branch, commit, pulls };
                actions.extend(of.actions(input, steps));
            }
        }
    }
    let is_kept = |branch: &&String| !input.is_whole || !is_abandoned(branch, input.clock);
    let abandoned = input.snapshot.signing_branches.iter().filter(|branch| !is_kept(branch));
    actions.extend(abandoned.map(|branch| Action::Delete { branch: branch.clone() }));
    actions
}

/// An own branch with its pull requests.
struct Own<'a> {
    branch: &'a String,
    commit: &'a str,
    pulls: &'a BranchPullRequests,
}

impl Own<'_> {
    fn actions(&self, input: &Input<'_>, steps: &[BranchStep]) -> Vec<Action> {
        let Some(pull) = &self.pulls.open else {
            return self.leftover(input).into_iter().collect();
        };
        let Some(others) = superseded_by(pull, input) else {
            return if touches(pull, input) { stop_merging(pull) } else { Vec::new() };
        };
        let mut actions = Vec::new();
        let rules = input.snapshot.observed().map(|observed| &observed.rules);
        // Also where it stays open: nobody wants it merged.
        if pull.auto_merge_by.as_ref().zip(rules).is_some_and(|(by, rules)| rules.is_own(by)) {
            let (of, purpose) = (Subject::Obsolete(pull.reference()), Purpose::Obsolete);
            actions.push(Action::DisableAutoMerge { of, purpose });
        }
        let are_proposed = others.keys().all(|branch| is_proposed(input, steps, branch));
        let may_close = input.is_whole || input.is_rollback;
        if may_close && !pull.is_held() && are_proposed {
            actions.push(Action::Close(Box::new(self.close(pull, others, input.is_rollback))));
        }
        actions
    }

    fn close(
        &self,
        pull: &PullRequest,
        others: BTreeMap<String, String>,
        is_rollback: bool,
    ) -> Close {
        let why = reason(&others, is_rollback);
        let proposed = Proposed::read(&pull.body).map(|proposed| proposed.environment);
        Close {
            body: Proposed::withdraw(&pull.body, &why),
            pull: pull.clone(),
            branch: self.branch.clone(),
            environment: proposed.unwrap_or_default(),
            why,
            unless_missing: others.into_keys().collect(),
        }
    }

    /// Deletes a branch that is certainly done with. Any other may belong to a run for another base, or to one that has
    /// not opened its pull request yet, and a person can reopen one that a person closed.
    fn leftover(&self, input: &Input<'_>) -> Option<Action> {
        let is_withdrawn = |pull: &&PullRequest| {
            Proposed::read(&pull.body).is_some_and(|proposed| proposed.withdrawn.is_some())
        };
        // A rollback is asked for anew, so that a closed one is done with.
        let is_rollback = self.branch.starts_with(&rollback_prefix(input.set));
        let withdrawn = self.pulls.closed.iter().filter(|pull| is_rollback || is_withdrawn(pull));
        let mut done = self.pulls.merged.iter().chain(withdrawn);
        let is_done =
            done.any(|pull| pull.head == self.commit) && *self.branch != input.snapshot.base;
        (is_done && input.is_whole).then(|| Action::Delete { branch: self.branch.clone() })
    }
}

/// True if a rollback takes an image back that a pull request moves, beside others.
fn touches(pull: &PullRequest, input: &Input<'_>) -> bool {
    let Some(proposed) = Proposed::read(&pull.body).filter(|_| input.is_rollback) else {
        return false;
    };
    let is_of = |moved: &ProposedMove, planned: &Planned| {
        planned.image == moved.image && planned.environment == proposed.environment_of(moved)
    };
    let is_unknown = |planned: &Planned| {
        proposed.moves.is_empty()
            && [ALL_ENVIRONMENTS, &planned.environment].contains(&&*proposed.environment)
    };
    let decisions = &input.plan.decisions;
    decisions.iter().any(|one| is_unknown(one) || proposed.moves.iter().any(|m| is_of(m, one)))
}

/// Has nothing merge a pull request, whoever wanted it: the next run rewrites it without the images that go back.
fn stop_merging(pull: &PullRequest) -> Vec<Action> {
    let (of, purpose) = (Subject::Obsolete(pull.reference()), Purpose::Obsolete);
    let mut actions = Vec::new();
    if pull.may_be_merged() {
        actions.push(Action::DisableAutoMerge { of: of.clone(), purpose });
    }
    if pull.queue == Queue::Inside {
        actions.push(Action::LeaveQueue { of, purpose });
    }
    actions
}

/// True if a change set's branch has a pull request by the end of the run, if nothing fails.
fn is_proposed(input: &Input<'_>, steps: &[BranchStep], branch: &str) -> bool {
    let sets = input.plan.change_sets.iter().zip(steps);
    sets.filter(|(set, _)| set.branch == branch).any(|(set, step)| {
        let is_opened = set.via == Via::PullRequest && !matches!(step, BranchStep::Stop(_));
        // A rollback that is pushed has nothing to be opened.
        let is_pushed = input.is_rollback && *step == BranchStep::Push;
        is_opened || is_pushed || input.snapshot.open(branch).is_some()
    })
}

/// True if a killed run left a signing branch behind long ago; its name says when it began.
fn is_abandoned(branch: &str, now: Timestamp) -> bool {
    let began = branch.strip_prefix(SIGNING_PREFIX).and_then(|rest| rest.split('-').next());
    let began = began.and_then(|began| Timestamp::from_second(began.parse().ok()?).ok());
    began.is_some_and(|began| now.duration_since(began) > ABANDONED)
}

fn reason(others: &BTreeMap<String, String>, is_rollback: bool) -> String {
    if others.is_empty() {
        return NOTHING_LEFT.to_owned();
    }
    let mut titles: Vec<String> =
        others.values().take(MAX_TITLES).map(|title| code_span(title)).collect();
    if others.len() > MAX_TITLES {
        titles.push(format!("and {} more", others.len() - MAX_TITLES));
    }
    let how = if is_rollback {
        "a rollback takes its images back"
    } else {
        "another pull request proposes it"
    };
    format!("{how}: {}", titles.join(", "))
}

/// The branches and titles that propose the versions of an open pull request, none when nobody wants them any more;
/// `None` while some of it may still be wanted.
fn superseded_by(pull: &PullRequest, input: &Input<'_>) -> Option<BTreeMap<String, String>> {
    let (plan, set) = (input.plan, input.set);
    let proposed = Proposed::read(&pull.body)?;
    // A rollback decides about its own images alone.
    if input.is_rollback && proposed.moves.is_empty() {
        return None;
    }
    // An environment that lives in another place now is none of this base's business.
    let is_elsewhere = |e: &Environment| e.name == proposed.environment && e.home != set.here;
    if !input.is_rollback && set.environments.iter().any(is_elsewhere) {
        return Some(BTreeMap::new());
    }
    let mut others = BTreeMap::new();
    for moved in &proposed.moves {
        let environment = proposed.environment_of(moved);
        let is_it =
            |planned: &&Planned| planned.image == moved.image && planned.environment == environment;
        // Without a decision, the file may only be unreadable at the moment.
        plan.decisions.iter().find(is_it)?;
        for planned in plan.decisions.iter().filter(is_it) {
            match planned.decision.outcome {
                Outcome::Keep | Outcome::Hold => {}
                Outcome::Undecided => return None,
                Outcome::Update => {
                    let set = plan.set_of(planned)?;
                    others.insert(set.branch.clone(), set.title.clone());
                }
            }
        }
    }
    // A body whose moves were too many to list is obsolete only when nothing moves.
    let may_move = |planned: &Planned| {
        matches!(planned.decision.outcome, Outcome::Update | Outcome::Undecided)
    };
    let is_unknown = proposed.moves.is_empty() && plan.decisions.iter().any(may_move);
    (!is_unknown).then_some(others)
}
