//! From a plan and a snapshot of git and the forge to the actions of a run. Nothing is asked here, and nothing is
//! written: equal inputs give equal actions, which `run` executes and `run --dry-run` prints.

mod action;
mod branch;
mod feedback;
mod limits;
mod merge_gate;
mod obsolete;
mod request;
mod rollback;
mod snapshot;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use action::{Action, Close, MergeOrder, Phase, Purpose, Subject, Text, Withheld};
pub use branch::{BranchStep, Stop};
pub use feedback::{Feedback, Held, feedback, is_reverted, label_objection};
pub use merge_gate::objection;
pub use obsolete::SIGNING_PREFIX;
pub use rollback::{hold_rolled_back, hold_unknown};
pub use snapshot::{Branch, ForgeView, Snapshot};

use crate::changeset::{ChangeSet, Plan};
use crate::policy::{PolicySet, Via};

/// Everything that decides what a run does.
pub struct Input<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The policies.
    pub set: &'a PolicySet,
    /// Git and the forge as they were read.
    pub snapshot: &'a Snapshot,
    /// The unsaved part of the ledger.
    pub ledger: Unsaved,
    /// The time that the run is for.
    pub now: Timestamp,
    /// The machine's time, by which leftovers of killed runs are old.
    pub clock: Timestamp,
    /// True if the run covers every environment, image and policy; only such a run closes and deletes.
    pub is_whole: bool,
    /// True if a person takes an environment back: pull requests that propose its images alone are closed.
    pub is_rollback: bool,
}

/// The unsaved part of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsaved {
    /// Nothing new, or no place to keep it.
    #[default]
    Nothing,
    /// Facts that can wait for the next push.
    Deferrable,
    /// Facts that ages are counted from.
    Urgent,
    /// The forge is about to make commits that the ledger has to name.
    WithEveryPush,
}

impl Input<'_> {
    /// The step of each change set's branch, in the plan's order.
    #[must_use]
    pub fn branches(&self) -> Vec<BranchStep> {
        branch::steps(self)
    }
}

/// The actions of a run in the order of their execution. `steps` are the branches' steps of the same input, and `texts`
/// the plan's change sets with their final bodies.
#[must_use]
pub fn reconcile(input: &Input<'_>, steps: &[BranchStep], texts: &[ChangeSet]) -> Vec<Action> {
    let mut actions = Vec::new();
    for (index, (set, step)) in texts.iter().zip(steps).enumerate() {
        actions.extend(branch::actions(input, index, set, step));
        actions.extend(request::actions(input, index, set, step));
        actions.extend(merge_gate::actions(input, index, set, step));
    }
    actions.extend(obsolete::actions(input, steps));
    actions.extend(rollback::actions(input));
    actions.extend(save_ledger(input, &actions));
    actions.sort_by_key(Action::phase);
    actions
}

/// The ledger is pushed with the branches. A direct push is remembered only once it has arrived, so that it is saved
/// after it.
fn save_ledger(input: &Input<'_>, actions: &[Action]) -> Option<Action> {
    let is_pushed = actions.iter().any(|action| action.phase() == Phase::Push);
    let is_direct = |action: &Action| match action {
        Action::Push { set } => input.plan.change_sets[*set].via == Via::Push,
        _ => false,
    };
    if actions.iter().any(is_direct) {
        return Some(Action::SaveLedger { is_after_push: true });
    }
    let is_wanted = match input.ledger {
        Unsaved::Nothing => false,
        Unsaved::Deferrable | Unsaved::WithEveryPush => is_pushed,
        Unsaved::Urgent => true,
    };
    is_wanted.then_some(Action::SaveLedger { is_after_push: false })
}
