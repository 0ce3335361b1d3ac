//! The writes to pull requests: opened, edited, labelled and closed.

use super::Execution;
use crate::changeset::Proposed;
use crate::forge::{AnyForge, Decoration, Forge as _, ForgeError, NewPullRequest, PullRequestEdit};
use crate::policy::{APPROVE, Home, Via};
use crate::reconcile::{Action, Close, Text};
use crate::report::{Delivery, DeliveryOutcome};

impl Execution<'_> {
    pub(super) async fn write(&mut self, action: &Action) {
        match action {
            Action::Wait { set, kind, why } => self.sets[*set].wait(*kind, why),
            Action::Open { set } => self.open(*set).await,
            Action::Edit { set, text } => self.edit(*set, text).await,
            Action::Decorate { set } => {
                let done = self.decorate(*set).await;
                self.decorated(*set, done);
            }
            Action::Label { set, labels } => {
                let (forge, pull) = (self.forge, self.sets[*set].pull.clone());
                if let Some((forge, pull)) = forge.zip(pull) {
                    let done = forge.label(pull.number, labels).await;
                    self.decorated(*set, done);
                }
            }
            Action::AskForApproval { set } => {
                if let Err(error) = self.ask_for_approval(*set).await {
                    let why = format!("an approval by label does not count yet: {error}");
                    self.sets[*set].delivery.message.get_or_insert(why);
                }
            }
            Action::DisableAutoMerge { .. }
            | Action::LeaveQueue { .. }
            | Action::Unlabel { .. } => {
                let done = self.take_off(action).await;
                match (action.set(), done) {
                    (Some(set), Err(error)) if self.sets[set].is_waiting() => {
                        self.unsaid(set, &error);
                    }
                    (Some(set), done) => self.decorated(set, done),
                    (None, _) => {}
                }
            }
            _ => {}
        }
    }

    /// Ends a change set that waits, whose pull request could not be told.
    fn unsaid(&mut self, set: usize, error: &ForgeError) {
        self.sets[set].say(&format!("the pull request does not say so: {error}"));
        self.sets[set].is_over = true;
    }

    async fn open(&mut self, set: usize) {
        let Some(forge) = self.forge else { return };
        let text = &self.on.reconciled.texts[set];
        let new = NewPullRequest {
            title: &text.title,
            body: &text.body,
            branch: &text.branch,
            base: &self.on.observation.snapshot.base,
            is_draft: text.pull.draft,
        };
        match forge.open(&new).await {
            Ok(pull) => {
                let progress = &mut self.sets[set];
                progress.pull = Some(pull.reference());
                progress.delivery.pull_request = Some((pull.number, pull.url));
                progress.delivery.outcome = DeliveryOutcome::Created;
            }
            Err(error) => self.sets[set].fail(error.to_string()),
        }
    }

    async fn edit(&mut self, set: usize, text: &Text) {
        let (forge, pull) = (self.forge, self.sets[set].pull.clone());
        let Some((forge, pull)) = forge.zip(pull) else { return };
        let (title, body) = (text.title.as_deref(), Some(&*text.body));
        let edit = PullRequestEdit { title, body, ..PullRequestEdit::default() };
        match forge.edit(pull.number, &edit).await {
            Ok(()) if self.sets[set].is_waiting() => {}
            Ok(()) => self.sets[set].delivery.outcome = DeliveryOutcome::Updated,
            Err(error) if self.sets[set].is_waiting() => self.unsaid(set, &error),
            Err(error) => {
                self.sets[set].fail(error.to_string());
                self.sets[set].delivery.pull_request = None;
            }
        }
    }

    /// Sets labels, people and milestone. The rest is set also where a milestone does not exist.
    async fn decorate(&mut self, set: usize) -> Result<(), ForgeError> {
        let (forge, pull) = (self.forge, self.sets[set].pull.clone());
        let Some((forge, pull)) = forge.zip(pull) else { return Ok(()) };
        let wanted = &self.on.reconciled.texts[set].pull;
        let milestone = match &wanted.milestone {
            Some(title) => Some(self.milestone(forge, title).await),
            None => None,
        };
        let with = Decoration {
            labels: &wanted.labels,
            reviewers: &wanted.reviewers,
            assignees: &wanted.assignees,
            milestone: milestone.iter().flatten().next().copied(),
        };
        forge.decorate(pull.number, &with).await?;
        milestone.transpose().map(drop)
    }

    /// The number of a milestone, asked for once.
    async fn milestone(&mut self, forge: &AnyForge, title: &str) -> Result<u64, ForgeError> {
        if let Some(known) = self.milestones.get(title) {
            return known.clone();
        }
        let found = forge.milestone(title).await;
        self.milestones.insert(title.to_owned(), found.clone());
        found
    }

    /// A missing label does not undo the proposal.
    fn decorated(&mut self, set: usize, done: Result<(), ForgeError>) {
        let delivery = &mut self.sets[set].delivery;
        match done {
            Ok(()) if delivery.outcome == DeliveryOutcome::Unchanged => {
                delivery.outcome = DeliveryOutcome::Updated;
            }
            Ok(()) => {}
            Err(error) => {
                let why = format!("without all of its labels and people: {error}");
                delivery.message.get_or_insert(why);
            }
        }
    }

    /// Takes a label of approval off that was given before the page said what there is now, and says of which commit one
    /// is from now on. Where a run ends in between, no label counts, and the next one begins anew.
    async fn ask_for_approval(&mut self, set: usize) -> Result<(), ForgeError> {
        let progress = &self.sets[set];
        let (Some(forge), Some(pull), Some(commit)) =
            (self.forge, &progress.pull, &progress.delivery.commit)
        else {
            return Ok(());
        };
        forge.unlabel_if_set(pull.number, APPROVE).await?;
        let body = Proposed::approvable(&self.on.reconciled.texts[set].body, commit);
        let edit = PullRequestEdit { body: Some(&body), ..PullRequestEdit::default() };
        forge.edit(pull.number, &edit).await
    }

    /// Closes an obsolete pull request, once all that propose the same are there.
    pub(super) async fn close(&mut self, close: &Close) {
        let Some(forge) = self.forge else { return };
        let is_there = |branch: &String| {
            self.sets.iter().map(|set| &set.delivery).any(|delivery| {
                let is_done =
                    delivery.pull_request.is_some() || delivery.outcome == DeliveryOutcome::Pushed;
                delivery.branch.as_ref() == Some(branch)
                    && is_done
                    && delivery.outcome != DeliveryOutcome::Failed
            })
        };
        if !close.unless_missing.iter().all(is_there) {
            let number = close.pull.number;
            tracing::warn!(
                number,
                "an obsolete pull request stays open: what replaces it is not there"
            );
            return;
        }
        let comment = format!("Closed: {}.", close.why);
        let edit = PullRequestEdit {
            body: Some(&close.body),
            is_closed: true,
            comment: Some(&comment),
            ..PullRequestEdit::default()
        };
        let (outcome, message) = match forge.edit(close.pull.number, &edit).await {
            Ok(()) => (DeliveryOutcome::Closed, close.why.clone()),
            Err(error) => (DeliveryOutcome::Failed, error.to_string()),
        };
        self.closed.push(Delivery {
            environment: close.environment.clone(),
            home: Home::default(),
            via: Via::PullRequest,
            branch: Some(close.branch.clone()),
            commit: None,
            pull_request: Some((close.pull.number, close.pull.url.clone())),
            outcome,
            message: Some(message),
        });
    }
}
