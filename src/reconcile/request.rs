//! The pull request of a change set: opened, edited, labelled, or told to wait.

use super::{Action, BranchStep, Input, Purpose, Stop, Subject, Text, Withheld};
use crate::changeset::{ChangeSet, Proposed};
use crate::policy::{AutoMerge, REBASE, Via};
use crate::pull_request::{PullRequest, Queue, RepoRules};
use crate::text::{code_span, is_same_text};

/// The beginning of a body that says that its branch is left alone.
const FROZEN: &str = "> **Left alone**:";

/// The writes to a change set's pull request.
pub(super) fn actions(
    input: &Input<'_>,
    index: usize,
    set: &ChangeSet,
    step: &BranchStep,
) -> Vec<Action> {
    let Some(observed) = input.snapshot.observed() else { return Vec::new() };
    let open = input.snapshot.open(&set.branch);
    match (step, open) {
        (BranchStep::Stop(Stop { kind, why }), Some(open)) => match kind {
            Withheld::Frozen => freeze(index, open, why),
            Withheld::Waiting => withhold(index, set, open, &observed.rules),
            Withheld::Rejected | Withheld::Failed => Vec::new(),
        },
        (BranchStep::Stop(_) | BranchStep::Write, _) => Vec::new(),
        _ if set.via != Via::PullRequest => Vec::new(),
        (BranchStep::Push | BranchStep::Keep(_), None) => create(index, set),
        // The texts of the run that decided everything stay.
        (BranchStep::Keep(_), Some(_)) if set.carried => Vec::new(),
        (BranchStep::Keep(commit), Some(open)) => update(index, set, open, Some(commit)),
        (BranchStep::Push, Some(open)) => update(index, set, open, None),
    }
}

fn create(index: usize, set: &ChangeSet) -> Vec<Action> {
    let mut actions = vec![Action::Open { set: index }];
    let wanted = &set.pull;
    let is_plain = wanted.labels.is_empty()
        && wanted.reviewers.is_empty()
        && wanted.assignees.is_empty()
        && wanted.milestone.is_none();
    actions.extend((!is_plain).then_some(Action::Decorate { set: index }));
    actions.extend(set.merge.approval.then_some(Action::AskForApproval { set: index }));
    actions
}

/// Brings an open pull request up to date; `kept` is the commit of a branch that is not written.
fn update(index: usize, set: &ChangeSet, open: &PullRequest, kept: Option<&String>) -> Vec<Action> {
    let mut actions = Vec::new();
    let of_commit = Proposed::read(&open.body).and_then(|proposed| proposed.approvable);
    // The body names the commit already that an approval by label is of.
    let is_named = set.merge.approval && kept.is_some() && of_commit.as_ref() == kept;
    let named = kept.filter(|_| is_named);
    let body =
        named.map_or_else(|| set.body.clone(), |commit| Proposed::approvable(&set.body, commit));
    if open.title != set.title || !is_same_text(&open.body, &body) {
        let text = Text { title: Some(set.title.clone()), body };
        actions.push(Action::Edit { set: index, text });
    }
    if open.is_to_be_rewritten() {
        let (of, purpose) = (Subject::ChangeSet(index), Purpose::Obeyed);
        actions.push(Action::Unlabel { of, label: REBASE, purpose });
    }
    let missing = set.pull.labels.iter().filter(|label| !open.has_label(label)).cloned();
    let missing: Vec<String> = missing.collect();
    // Labels come last, so where none of them is there, an earlier run did not get so far.
    if !missing.is_empty() && missing.len() == set.pull.labels.len() {
        actions.push(Action::Decorate { set: index });
    } else if !missing.is_empty() {
        actions.push(Action::Label { set: index, labels: missing });
    }
    if set.merge.approval && !is_named {
        actions.push(Action::AskForApproval { set: index });
    }
    actions
}

/// Says once in a pull request that people have it now, and has the forge not merge it by itself.
fn freeze(index: usize, open: &PullRequest, why: &str) -> Vec<Action> {
    let mut actions = Vec::new();
    let is_new = !open.body.starts_with(FROZEN);
    if open.auto_merge_by.is_some() || is_new && open.auto_merge_unread {
        let (of, purpose) = (Subject::ChangeSet(index), Purpose::Withhold);
        actions.push(Action::DisableAutoMerge { of, purpose });
    }
    if is_new {
        let why = code_span(why);
        let note = format!(
            "{FROZEN} {why}. The label `{REBASE}` has the branch written anew, without that commit.\n\n"
        );
        let text = Text { title: None, body: format!("{note}{}", open.body) };
        actions.push(Action::Edit { set: index, text });
    }
    actions
}

/// Undoes our own part of a merge under way: people hold it, or its schedule is over.
fn withhold(index: usize, set: &ChangeSet, open: &PullRequest, rules: &RepoRules) -> Vec<Action> {
    let (of, purpose) = (Subject::ChangeSet(index), Purpose::Withhold);
    let mut actions = Vec::new();
    if open.auto_merge_by.as_ref().is_some_and(|by| rules.is_own(by)) {
        actions.push(Action::DisableAutoMerge { of: of.clone(), purpose });
    }
    if open.queue == Queue::Inside && set.merge.by != AutoMerge::Off {
        actions.push(Action::LeaveQueue { of, purpose });
    }
    actions
}
