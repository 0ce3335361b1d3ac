//! The push of branches and ledger.

use super::{Execution, Made};
use crate::git::{Oid, Update, branch_ref};
use crate::pipeline::memory::{LEDGER_FILE, Memory};
use crate::pipeline::push::{By, PushAnswers, Raced, commit, push};
use crate::pipeline::sign;
use crate::policy::Via;
use crate::reconcile::Action;

impl Execution<'_> {
    /// Commits, has the forge sign where that is wanted, and pushes everything at once.
    pub(super) async fn push(
        &mut self,
        actions: &[Action],
        memory: &mut Memory,
    ) -> Result<(), Raced> {
        let made = std::mem::take(&mut self.made).into_values();
        let made = made.filter(|made| !self.sets[made.set].is_over);
        let updates = made.map(|made| made.update).collect();
        let signed =
            sign::signed(self.on.clone, self.on.author, self.forge, updates, self.on.clock).await?;
        for progress in &mut self.sets {
            let commit = progress.delivery.commit.as_deref().and_then(|id| Oid::from_str(id).ok());
            if let Some(commit) = commit {
                progress.delivery.commit = Some(signed.instead_of(commit).to_string());
            }
        }
        memory.made(&signed.made, |branch| self.on.clone.has_branch(branch));
        let mut updates = signed.updates.clone();
        let deleted = actions.iter().filter_map(|action| match action {
            Action::Delete { branch } => Some(branch),
            _ => None,
        });
        let deleted: Vec<&String> = deleted.collect();
        updates.extend(deleted.iter().map(|branch| Update::delete(branch)));
        if actions.iter().any(|action| matches!(action, Action::SaveLedger { .. })) {
            match self.ledger(memory) {
                Ok(update) => updates.extend(update),
                Err(why) => self.saved = Err(why),
            }
        }
        let pushed = push(self.on.clone, updates).await;
        signed.tidy(self.on.clone, pushed.is_err()).await;
        let mut pushed = pushed?;
        pushed.extend(signed.failed);
        for branch in deleted {
            if let Some(Err(why)) = pushed.get(&branch_ref(branch)) {
                tracing::warn!(branch, why, "an obsolete branch could not be deleted");
            }
        }
        self.arrived(actions, &pushed, memory);
        Ok(())
    }

    /// Makes the commits to push, in the clone alone: before anything is taken off a pull request whose branch could not
    /// move after all. Of several commits on one branch, the last one brings the others along.
    pub(super) fn commit(&mut self, actions: &[Action]) {
        let mut tip = self.on.clone.base();
        for action in actions {
            let Action::Push { set: index } = action else { continue };
            let set = &self.on.plan.change_sets[*index];
            let parent = if set.via == Via::Push { tip } else { self.on.clone.base() };
            let by = By { author: self.on.author, now: self.on.now };
            match commit(self.on.clone, self.on.plan, set, parent, &by) {
                Ok(commit) => {
                    if set.via == Via::Push {
                        tip = commit;
                    }
                    self.sets[*index].delivery.commit = Some(commit.to_string());
                    let update = Update::new(branch_ref(&set.branch), commit);
                    self.made.insert(update.reference.clone(), Made { set: *index, update });
                }
                Err(error) => self.sets[*index].fail(error.to_string()),
            }
        }
    }

    /// Notes which branches arrived.
    fn arrived(&mut self, actions: &[Action], pushed: &PushAnswers, memory: &mut Memory) {
        for action in actions {
            let Action::Push { set: index } = action else { continue };
            let (set, progress) = (&self.on.plan.change_sets[*index], &mut self.sets[*index]);
            if progress.is_over {
                continue;
            }
            match pushed.get(&branch_ref(&set.branch)) {
                Some(Err(why)) => {
                    progress.fail(why.clone());
                    (progress.delivery.commit, progress.delivery.pull_request) = (None, None);
                }
                _ if set.via == Via::Push => memory.delivered(set, self.on.now),
                _ => {}
            }
        }
        if let Some(Err(why)) = pushed.get(self.on.clone.ledger_ref()) {
            self.saved = Err(why.clone());
        }
    }

    /// Saves the ledger after a direct push. The delivery stands also where that fails.
    pub(super) async fn remember(&mut self, memory: &Memory) {
        let update = match self.ledger(memory) {
            Ok(update) => update,
            Err(why) => {
                self.saved = Err(why);
                return;
            }
        };
        self.saved = match push(self.on.clone, update.into_iter().collect()).await {
            Ok(pushed) => pushed.get(self.on.clone.ledger_ref()).cloned().unwrap_or(Ok(())),
            Err(Raced { .. }) => Err("another run was faster".to_owned()),
        };
    }

    /// The commit of the ledger, when there is something new in it.
    fn ledger(&self, memory: &Memory) -> Result<Option<Update>, String> {
        let Some(text) = memory.to_commit() else { return Ok(None) };
        let update = self.on.clone.commit_ledger(LEDGER_FILE, &text, self.on.author, self.on.now);
        update.map(Some).map_err(|error| error.to_string())
    }
}
