//! The merges, each after its proof.

use super::Execution;
use crate::forge::{AutoMerged, Forge as _, ForgeError, Merged};
use crate::pipeline::observe::drop_unauthorized_labels;
use crate::pipeline::proof;
use crate::reconcile::{Action, MergeOrder, objection};
use crate::report::DeliveryOutcome;

/// The message for a pull request that the forge merges in its turn.
const QUEUED: &str = "it waits in the merge queue";

impl Execution<'_> {
    pub(super) async fn merge(&mut self, action: &Action) {
        let done = match action {
            Action::WaitToMerge { set, why } => {
                if !why.is_empty() {
                    self.sets[*set].say(&format!("not merged: {why}"));
                }
                return;
            }
            Action::StayInQueue { set } => {
                self.sets[*set].say(QUEUED);
                return;
            }
            Action::Merge(order)
            | Action::Enqueue(order)
            | Action::EnableAutoMerge { order, .. } => self.proven(order, action).await,
            _ => self.take_off(action).await.map(|()| Merged::NotNow(String::new())),
        };
        if let Some(set) = action.set() {
            self.merged(set, action, done);
        }
    }

    /// Merges, queues or enables auto-merge, once the branch is proven to be the planned edits.
    async fn proven(&self, order: &MergeOrder, action: &Action) -> Result<Merged, ForgeError> {
        let progress = &self.sets[order.set];
        let (Some(forge), Some(pull), Some(head)) =
            (self.forge, &progress.pull, &progress.delivery.commit)
        else {
            return Ok(Merged::NotNow(String::new()));
        };
        let (clone, plan) = (self.on.clone, self.on.plan);
        let branch = proof::ProvenBranch { clone, plan, head };
        if let Some(why) = branch.difference(&plan.change_sets[order.set]).await {
            return Ok(Merged::NotNow(why));
        }
        // What the forge merges by its own rules, it looks at by itself.
        let is_by_us = matches!(action, Action::Merge(_) | Action::Enqueue(_));
        if is_by_us
            && self.has_merged
            && let Some(why) = self.objection(order, head).await?
        {
            return Ok(Merged::NotNow(why));
        }
        let now = match action {
            Action::EnableAutoMerge { otherwise, .. } => {
                match forge.enable_auto_merge(pull, head, order.method).await? {
                    AutoMerged::Enabled => return Ok(Merged::NotNow(String::new())),
                    AutoMerged::Merged => return Ok(Merged::Done),
                    AutoMerged::NothingToWaitFor => otherwise,
                }
            }
            action => action,
        };
        match now {
            Action::Merge(order) => forge.merge(pull, head, order.method).await,
            Action::Enqueue(_) => forge.enqueue(pull, head).await,
            Action::WaitToMerge { why, .. } => Ok(Merged::NotNow(why.clone())),
            _ => Ok(Merged::NotNow(String::new())),
        }
    }

    /// The reason that people, reviews or checks gave meanwhile. Merges take their time, one after the other, and what was
    /// observed before the first one is old by then.
    async fn objection(
        &self,
        order: &MergeOrder,
        head: &str,
    ) -> Result<Option<String>, ForgeError> {
        let Some(forge) = self.forge else { return Ok(None) };
        let set = &self.on.plan.change_sets[order.set];
        let base = &self.on.observation.snapshot.base;
        let mut seen = forge.observe(&[&set.branch], base, true).await?;
        drop_unauthorized_labels(forge, &mut seen).await;
        let open = seen.pulls.get(&set.branch).and_then(|pulls| pulls.open.as_ref());
        Ok(match open {
            None => Some("it is not open any more".to_owned()),
            Some(pull) if pull.head != head => Some("its branch moved meanwhile".to_owned()),
            Some(pull) => objection(set, pull, &seen.rules),
        })
    }

    fn merged(&mut self, set: usize, action: &Action, done: Result<Merged, ForgeError>) {
        let progress = &mut self.sets[set];
        match done {
            Ok(Merged::Done) => {
                progress.delivery.outcome = DeliveryOutcome::Merged;
                self.has_merged = true;
                if let Some(warning) = action.order().and_then(|order| order.warning.as_ref()) {
                    progress.say(warning);
                }
            }
            Ok(Merged::Conflict) => {
                self.is_stuck = true;
                progress.say("not merged: it conflicts with the base");
            }
            Ok(Merged::Queued) => progress.say(QUEUED),
            Ok(Merged::Moved) => progress.say("its branch moved before it was merged"),
            Ok(Merged::NotNow(why)) if why.is_empty() => {}
            Ok(Merged::NotNow(why)) => progress.say(&format!("not merged: {why}")),
            Err(error) => {
                progress.say(&format!("not merged: {error}"));
                progress.is_over = true;
            }
        }
    }
}
