//! Open rollbacks: while one is open, nothing is proposed for its images.

use super::{Action, Branch, Input, Purpose, Snapshot, Subject};
use crate::changeset::{Decided, Proposed, rollback_prefix};
use crate::choose::{Outcome, Reason, ReasonCode};
use crate::policy::{PolicySet, Via};
use crate::pull_request::{PullRequest, Queue};

/// One image of an open rollback.
struct OpenRollback<'a> {
    pull: &'a PullRequest,
    environment: String,
    /// The image and the version that it goes back to; every image of the environment where the metadata has no room for
    /// them.
    image: Option<RollbackImage>,
}

struct RollbackImage {
    name: String,
    to: String,
}

impl OpenRollback<'_> {
    fn is_of(&self, environment: &str, image: &str) -> bool {
        let is_image = self.image.as_ref().is_none_or(|one| one.name == image);
        self.environment == environment && is_image
    }

    fn message(&self) -> String {
        let number = self.pull.number;
        let back = self.image.as_ref().map(|image| format!(" to {}", image.to)).unwrap_or_default();
        format!("#{number} rolls it back{back}; merge or close that first")
    }
}

/// The open pull requests of rollbacks, with their branches.
fn pulls<'a>(
    snapshot: &'a Snapshot,
    set: &PolicySet,
) -> impl Iterator<Item = (&'a String, &'a PullRequest)> {
    let prefix = rollback_prefix(set);
    let all = snapshot.observed().into_iter().flat_map(|observed| &observed.pulls);
    let own = all.filter(move |(branch, _)| branch.starts_with(&prefix));
    own.filter_map(|(branch, pulls)| Some((branch, pulls.open.as_ref()?)))
}

/// The images of all open rollbacks.
fn open<'a>(snapshot: &'a Snapshot, set: &PolicySet) -> Vec<OpenRollback<'a>> {
    let mut all = Vec::new();
    for (_, pull) in pulls(snapshot, set) {
        let Some(proposed) = Proposed::read(&pull.body) else { continue };
        if proposed.moves.is_empty() {
            let environment = proposed.environment.clone();
            all.push(OpenRollback { pull, environment, image: None });
        }
        for moved in &proposed.moves {
            let environment = proposed.environment_of(moved).to_owned();
            let (name, to) = (moved.image.clone(), moved.to.clone());
            all.push(OpenRollback { pull, environment, image: Some(RollbackImage { name, to }) });
        }
    }
    all
}

impl Snapshot {
    /// The open pull request that rolls an image of an environment back.
    #[must_use]
    pub fn rollback(
        &self,
        set: &PolicySet,
        environment: &str,
        image: &str,
    ) -> Option<&PullRequest> {
        open(self, set)
            .into_iter()
            .find(|open| open.is_of(environment, image))
            .map(|open| open.pull)
    }
}

/// Holds the images of open rollbacks: whoever takes a version back does not want another one on top of it meanwhile.
pub fn hold_rolled_back(snapshot: &Snapshot, set: &PolicySet, decided: &mut [Decided]) {
    for open in open(snapshot, set) {
        let is_it = |one: &Decided| {
            let environment = &set.environments[one.at.environment].name;
            open.is_of(environment, &set.policies[one.at.policy].name)
        };
        // Places that are all back already wait for nothing.
        let is_back = |one: &Decided| {
            open.image.as_ref().is_some_and(|image| one.at.deployed.to_string() == image.to)
        };
        if decided.iter().filter(|one| is_it(one)).all(is_back) {
            continue;
        }
        // What could not be decided moves nothing, and its reason counts.
        let known = |one: &Decided| one.decision.outcome != Outcome::Undecided;
        for one in decided.iter_mut().filter(|one| is_it(one) && known(one)) {
            one.decision.outcome = Outcome::Hold;
            one.decision.reason = Reason::new(ReasonCode::RollbackOpen, open.message());
        }
    }
}

/// Holds what would be pushed, where nobody can say whether a rollback is open.
pub fn hold_unknown(set: &PolicySet, why: &str, decided: &mut [Decided]) {
    let is_pushed = |one: &&mut Decided| {
        let via = set.environments[one.at.environment].deliver.via;
        via == Via::Push && one.decision.outcome == Outcome::Update
    };
    for one in decided.iter_mut().filter(is_pushed) {
        let message = format!("it is not known whether a rollback is open: {why}");
        one.decision.outcome = Outcome::Hold;
        one.decision.reason = Reason::new(ReasonCode::RollbackOpen, message);
    }
}

/// Has the forge not merge an open rollback that people hold, or that a person committed to.
pub(super) fn actions(input: &Input<'_>) -> Vec<Action> {
    let rules = input.snapshot.observed().map(|observed| &observed.rules);
    let is_planned =
        |branch: &String| input.plan.change_sets.iter().any(|set| set.branch == *branch);
    let mut actions = Vec::new();
    for (branch, pull) in pulls(input.snapshot, input.set).filter(|(branch, _)| !is_planned(branch))
    {
        let state = input.snapshot.branches.get(branch);
        let is_of_a_person = matches!(state, Some(Branch::Foreign { .. } | Branch::Unreadable(_)));
        if !pull.is_held() && !is_of_a_person {
            continue;
        }
        let (of, purpose) = (Subject::Obsolete(pull.reference()), Purpose::Obsolete);
        let is_own = |by: &String| rules.is_some_and(|rules| rules.is_own(by));
        // A person's commit was proven by nobody, whoever has it merged.
        if pull.auto_merge_by.as_ref().is_some_and(|by| is_of_a_person || is_own(by)) {
            actions.push(Action::DisableAutoMerge { of: of.clone(), purpose });
        }
        if pull.queue == Queue::Inside {
            actions.push(Action::LeaveQueue { of, purpose });
        }
    }
    actions
}
