//! Decides until nothing new is heard: what people said of a pull request can only be asked for when its
//! branch is known, and can change what is decided.

use jiff::Timestamp;

use super::carry::{Carry, carry};
use super::decide::Deciding;
use super::memory::Memory;
use super::observe::Observation;
use super::promote::{Promoting, is_promoted};
use super::{Tags, Tree, rewrite};
use crate::changeset::{Decided, Plan, Use};
use crate::choose::{Decision, Outcome};
use crate::git::Author;
use crate::manifest::{Left, Surveyed};
use crate::policy::{PolicySet, RepositorySettings};
use crate::promote::hold_together;
use crate::reconcile::{Held, feedback, hold_rolled_back, hold_unknown};
use crate::signature::Verifiers;

/// What decisions and texts are made from.
pub(super) struct Settling<'a> {
    pub(super) tree: &'a Tree,
    pub(super) set: &'a PolicySet,
    pub(super) repository: &'a RepositorySettings,
    pub(super) files: &'a [Surveyed],
    /// Places that are left alone.
    pub(super) left: &'a Left,
    pub(super) verifiers: &'a Verifiers,
    pub(super) author: &'a Author,
    pub(super) held: &'a Held,
    pub(super) promoting: &'a Promoting<'a>,
    pub(super) now: Timestamp,
    pub(super) progress: bool,
    /// Whether the run knows one pushed tag only.
    pub(super) is_partial: bool,
}

impl Settling<'_> {
    /// The plan, and whether something could not be decided.
    pub(super) async fn settle(
        &self,
        uses: &[Use],
        tags: &mut Tags,
        memory: &mut Memory,
        observation: &mut Observation,
    ) -> (Plan, bool) {
        loop {
            memory.hear(&feedback(&observation.snapshot, self.set, self.held), self.now);
            let (set, verifiers, ledger) = (self.set, self.verifiers, &memory.ledger);
            let (now, progress) = (self.now, self.progress);
            let deciding = Deciding { set, verifiers, ledger, now, progress };
            let (promoted, listed): (Vec<Use>, Vec<Use>) =
                uses.iter().cloned().partition(|at| is_promoted(set, at));
            let mut decided = deciding.decide(listed, tags).await;
            let mut promoted = self.promoting.decide(promoted, ledger).await;
            self.promoting.confirm(&mut promoted, tags).await;
            decided.extend(promoted);
            self.confirm_copies(&mut decided, tags).await;
            decided.sort_by(|a, b| a.at.cmp(&b.at));
            let undecided = decided.iter().any(|d| d.decision.outcome == Outcome::Undecided);
            let (tree, author, is_partial) = (self.tree, self.author, self.is_partial);
            let snapshot = &observation.snapshot;
            let with = Carry { tree, set, author, snapshot, now, is_partial };
            carry(&with, self.files, &mut decided);
            hold_rolled_back(&observation.snapshot, set, &mut decided);
            if let Some(why) = observation.unseen_rollbacks() {
                hold_unknown(set, why, &mut decided);
            }
            hold_together(set, self.left, &mut decided);
            let plan = rewrite(tree, set, self.files, decided);
            // Branches are asked for once, so this ends.
            if !observation.of_plan(&plan).await {
                return (plan, undecided);
            }
        }
    }

    /// Holds what the registry that a place names has no copy of.
    async fn confirm_copies(&self, decided: &mut [Decided], tags: &mut Tags) {
        for one in decided.iter_mut().filter(|one| one.decision.outcome == Outcome::Update) {
            let Some(copy) = one.at.deployed.mirror.clone() else { continue };
            let Some(tag) = one.decision.to.clone() else { continue };
            let digest = one.decision.to_digest.clone();
            if let Some(reason) = tags.lacks(&copy, &tag, digest.as_ref(), self.repository).await {
                let outcome = Outcome::Hold;
                one.decision = Decision { outcome, reason, ..one.decision.clone() };
            }
        }
    }
}
