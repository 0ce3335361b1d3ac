//! Open rollbacks: while one is open, nothing is proposed for its images.

use super::Snapshot;
use crate::changeset::{Decided, Proposed, rollback_prefix};
use crate::choose::{Outcome, Reason, ReasonCode};
use crate::policy::PolicySet;
use crate::pull_request::PullRequest;

/// One image of an open rollback.
pub(super) struct OpenRollback<'a> {
    pub(super) pull: &'a PullRequest,
    environment: String,
    image: String,
    to: String,
}

/// The images of all open rollbacks.
fn open<'a>(snapshot: &'a Snapshot, set: &PolicySet) -> Vec<OpenRollback<'a>> {
    let Some(observed) = snapshot.observed() else { return Vec::new() };
    let prefix = rollback_prefix(set);
    let own = observed.pulls.iter().filter(|(branch, _)| branch.starts_with(&prefix));
    let open = own.filter_map(|(_, pulls)| pulls.open.as_ref());
    let images = open.filter_map(|pull| Some((pull, Proposed::read(&pull.body)?)));
    let images = images.flat_map(|(pull, proposed)| {
        let row = |index: usize| OpenRollback {
            pull,
            environment: proposed.environment_of(&proposed.moves[index]).to_owned(),
            image: proposed.moves[index].image.clone(),
            to: proposed.moves[index].to.clone(),
        };
        (0..proposed.moves.len()).map(row).collect::<Vec<_>>()
    });
    images.collect()
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
        let is_it =
            |open: &OpenRollback<'_>| open.environment == environment && open.image == image;
        open(self, set).into_iter().find(is_it).map(|open| open.pull)
    }
}

/// Holds the images of open rollbacks: whoever takes a version back does not want another one on top of it meanwhile.
pub fn hold_rolled_back(snapshot: &Snapshot, set: &PolicySet, decided: &mut [Decided]) {
    for open in open(snapshot, set) {
        let is_it = |one: &&mut Decided| {
            set.environments[one.at.environment].name == open.environment
                && set.policies[one.at.policy].name == open.image
                // A place that is back already waits for nothing.
                && one.at.deployed.to_string() != open.to
        };
        for one in decided.iter_mut().filter(is_it) {
            let number = open.pull.number;
            let message =
                format!("#{number} rolls it back to {}; merge or close that first", open.to);
            one.decision.outcome = Outcome::Hold;
            one.decision.reason = Reason::new(ReasonCode::RollbackOpen, message);
        }
    }
}
