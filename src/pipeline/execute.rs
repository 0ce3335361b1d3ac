//! Executes the actions of a run. Nothing is decided here: an action that fails ends those of its change set, and the
//! others go on.

mod branches;
mod merges;
mod requests;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::deliver::Reconciled;
use super::memory::Memory;
use super::observe::Observation;
use super::push::Raced;
use crate::changeset::{ChangeSet, Plan};
use crate::forge::{AnyForge, Forge as _, ForgeError};
use crate::git::{Author, Clone, Update};
use crate::policy::{Home, Via};
use crate::pull_request::{PullRef, PullRequest};
use crate::reconcile::{Action, BranchStep, Phase, Stop, Subject, Withheld};
use crate::report::{Delivery, DeliveryOutcome};

/// Everything that actions are executed with.
pub(super) struct Ground<'a> {
    pub(super) clone: &'a Clone,
    pub(super) plan: &'a Plan,
    pub(super) reconciled: &'a Reconciled,
    pub(super) observation: &'a Observation,
    pub(super) author: &'a Author,
    /// The time that the run is for.
    pub(super) now: Timestamp,
    /// The machine's time.
    pub(super) clock: Timestamp,
}

/// The state of an execution.
pub(super) struct Execution<'a> {
    on: Ground<'a>,
    forge: Option<&'a AnyForge>,
    sets: Vec<SetProgress>,
    closed: Vec<Delivery>,
    /// The commits to push, by reference.
    made: BTreeMap<String, Made>,
    /// The numbers of milestones by title.
    milestones: BTreeMap<String, Result<u64, ForgeError>>,
    saved: Result<(), String>,
    has_merged: bool,
    is_stuck: bool,
}

/// The commits of a change set, which are not pushed yet.
struct Made {
    set: usize,
    update: Update,
}

/// The result of an execution.
pub(super) struct Executed {
    pub(super) deliveries: Vec<Delivery>,
    /// The fate of the ledger.
    pub(super) saved: Result<(), String>,
    /// True if a merge was in the way of another.
    pub(super) is_stuck: bool,
}

/// The progress of one change set.
struct SetProgress {
    delivery: Delivery,
    pull: Option<PullRef>,
    /// True if its further actions are left out.
    is_over: bool,
}

impl SetProgress {
    fn new(set: &ChangeSet, step: &BranchStep, observation: &Observation) -> Self {
        let open = observation.snapshot.open(&set.branch).filter(|_| set.via == Via::PullRequest);
        let outcome = match step {
            BranchStep::Keep(_) => DeliveryOutcome::Unchanged,
            BranchStep::Push if open.is_some() => DeliveryOutcome::Updated,
            _ => DeliveryOutcome::Pushed,
        };
        let mut delivery = Delivery::new(set, outcome);
        delivery.pull_request = open.map(|open| (open.number, open.url.clone()));
        if let BranchStep::Keep(commit) = step {
            delivery.commit = Some(commit.clone());
        }
        let is_frozen = matches!(step, BranchStep::Stop(Stop { kind: Withheld::Frozen, .. }));
        let is_stopped = matches!(step, BranchStep::Stop(_));
        delivery.branch =
            Some(set.branch.clone()).filter(|_| !is_stopped || is_frozen || open.is_some());
        let pull = open.map(PullRequest::reference);
        Self { delivery, pull, is_over: false }
    }

    fn fail(&mut self, why: String) {
        self.delivery.outcome = DeliveryOutcome::Failed;
        self.delivery.message = Some(why);
        self.is_over = true;
    }

    /// Adds to the message.
    fn say(&mut self, what: &str) {
        let before = self.delivery.message.take();
        let before = before.map(|message| format!("{message}; ")).unwrap_or_default();
        self.delivery.message = Some(before + what);
    }

    /// The outcome and the reason of a change set that is not delivered.
    fn wait(&mut self, kind: Withheld, why: &str) {
        self.delivery.outcome = match kind {
            Withheld::Waiting => DeliveryOutcome::Waiting,
            Withheld::Frozen => DeliveryOutcome::Frozen,
            Withheld::Rejected => DeliveryOutcome::Refused,
            Withheld::Failed => DeliveryOutcome::Failed,
        };
        self.delivery.message = Some(why.to_owned());
    }

    fn is_waiting(&self) -> bool {
        matches!(self.delivery.outcome, DeliveryOutcome::Waiting | DeliveryOutcome::Frozen)
    }
}

impl<'a> Execution<'a> {
    /// Begins with nothing done.
    pub(super) fn new(on: Ground<'a>) -> Self {
        let sets = on.plan.change_sets.iter().zip(&on.reconciled.steps);
        let sets = sets.map(|(set, step)| SetProgress::new(set, step, on.observation)).collect();
        Self {
            forge: on.observation.forge.as_ref(),
            on,
            sets,
            closed: Vec::new(),
            made: BTreeMap::new(),
            milestones: BTreeMap::new(),
            saved: Ok(()),
            has_merged: false,
            is_stuck: false,
        }
    }

    /// Executes actions in their order; those of the push phase at once.
    ///
    /// # Errors
    /// Somebody else pushed meanwhile. Nothing was pushed then.
    pub(super) async fn execute(
        &mut self,
        actions: &[Action],
        memory: &mut Memory,
    ) -> Result<(), Raced> {
        self.commit(actions);
        for chunk in actions.chunk_by(|a, b| a.phase() == b.phase()) {
            match chunk[0].phase() {
                Phase::Push => self.push(chunk, memory).await?,
                Phase::Remember => self.remember(memory).await,
                phase => {
                    for action in chunk {
                        self.one(phase, action).await;
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends it in a place.
    pub(super) fn end(self, home: &Home) -> Executed {
        let sets = self.sets.into_iter().map(|progress| progress.delivery);
        let closed =
            self.closed.into_iter().map(|closed| Delivery { home: home.clone(), ..closed });
        Executed {
            deliveries: sets.chain(closed).collect(),
            saved: self.saved,
            is_stuck: self.is_stuck && self.has_merged,
        }
    }

    async fn one(&mut self, phase: Phase, action: &Action) {
        if action.set().is_some_and(|set| self.sets[set].is_over) {
            return;
        }
        match phase {
            Phase::Prepare => self.prepare(action).await,
            Phase::Write => self.write(action).await,
            Phase::Close => {
                if let Action::Close(close) = action {
                    self.close(close).await;
                }
            }
            Phase::Merge => self.merge(action).await,
            Phase::Push | Phase::Remember => {}
        }
    }

    fn pull_of(&self, of: &Subject) -> Option<PullRef> {
        match of {
            Subject::ChangeSet(set) => self.sets[*set].pull.clone(),
            Subject::Obsolete(pull) => Some(pull.clone()),
        }
    }

    /// Executes an action that takes something off a pull request.
    async fn take_off(&self, action: &Action) -> Result<(), ForgeError> {
        let Some(forge) = self.forge else { return Ok(()) };
        let (Action::DisableAutoMerge { of, .. }
        | Action::LeaveQueue { of, .. }
        | Action::Unlabel { of, .. }) = action
        else {
            return Ok(());
        };
        let Some(pull) = self.pull_of(of) else { return Ok(()) };
        match action {
            Action::DisableAutoMerge { .. } => forge.disable_auto_merge(&pull).await,
            Action::LeaveQueue { .. } => forge.dequeue(&pull).await,
            Action::Unlabel { label, .. } => forge.unlabel(pull.number, label).await,
            _ => Ok(()),
        }
    }

    /// Reports a pull request that the forge may still merge, although nobody wants that any more.
    fn still_merging(&mut self, action: &Action, error: &ForgeError) {
        let (Action::DisableAutoMerge { of: Subject::Obsolete(pull), .. }
        | Action::LeaveQueue { of: Subject::Obsolete(pull), .. }) = action
        else {
            return;
        };
        let number = pull.number;
        self.closed.push(Delivery {
            environment: String::new(),
            home: Home::default(),
            via: Via::PullRequest,
            branch: None,
            commit: None,
            pull_request: None,
            outcome: DeliveryOutcome::Failed,
            message: Some(format!("#{number} may still be merged by the forge: {error}")),
        });
    }

    /// A branch is not pushed while its pull request may still be merged as it was approved before.
    async fn prepare(&mut self, action: &Action) {
        let Err(error) = self.take_off(action).await else { return };
        let Some(set) = action.set() else {
            self.still_merging(action, &error);
            return;
        };
        let number = self.sets[set].pull.as_ref().map(|pull| pull.number).unwrap_or_default();
        self.sets[set].fail(format!(
            "#{number} may still be merged as what was approved before, so its branch stays as it is: {error}"
        ));
        self.sets[set].delivery.commit = None;
    }
}
