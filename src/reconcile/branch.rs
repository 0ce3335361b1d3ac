//! The branch of a change set: pushed, left as it is, or not touched.

use super::limits::OpenCounts;
use super::{Action, Branch, Input, Purpose, Subject, Withheld};
use crate::changeset::ChangeSet;
use crate::policy::{APPROVE, AutoMerge, Via};
use crate::pull_request::{Mergeable, PullRequest, Queue};

/// The step of one branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BranchStep {
    /// Files of a work tree are written.
    Write,
    /// The change is committed and pushed.
    Push,
    /// The branch holds the change already, at this commit.
    Keep(String),
    /// Nothing is delivered.
    Stop(Stop),
}

/// The reason why nothing is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Its kind.
    pub kind: Withheld,
    /// The reason in words.
    pub why: String,
}

impl Stop {
    /// A reason of a kind.
    pub(super) fn new(kind: Withheld, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }
}

/// The step of each change set's branch. At most one branch that is only behind its base is rewritten: each merge leaves
/// the others behind again.
pub(super) fn steps(input: &Input<'_>) -> Vec<BranchStep> {
    let mut counts = OpenCounts::of(input);
    let mut may_refresh = true;
    let sets = input.plan.change_sets.iter();
    let steps = sets.map(|set| {
        let step = step(input, set, &mut may_refresh);
        counts.check(input, set, step)
    });
    steps.collect()
}

fn step(input: &Input<'_>, set: &ChangeSet, may_refresh: &mut bool) -> BranchStep {
    let snapshot = input.snapshot;
    let failed = |why: &str| BranchStep::Stop(Stop::new(Withheld::Failed, why));
    match (set.via, snapshot.is_work_tree) {
        (Via::Worktree, true) => return BranchStep::Write,
        (_, true) => return failed("a work tree takes `--deliver worktree` only"),
        (Via::Worktree, false) => {
            return failed("`worktree` needs a work tree: --repo PATH with --deliver worktree");
        }
        (Via::Push | Via::PullRequest, false) => {}
    }
    if let Some(why) = set.timing.waits(input.now) {
        return BranchStep::Stop(Stop::new(Withheld::Waiting, why));
    }
    if set.via == Via::Push {
        return BranchStep::Push;
    }
    if set.branch == snapshot.base {
        let branch = &set.branch;
        return failed(&format!("`{branch}` is the branch itself; pull requests need another"));
    }
    let rejected = snapshot.rejected(set, input.is_rollback).map(BranchStep::Stop);
    rejected.or_else(|| keep(input, set, may_refresh)).unwrap_or(BranchStep::Push)
}

/// A branch that is not written: it holds the change, or a person's commit.
fn keep(input: &Input<'_>, set: &ChangeSet, may_refresh: &mut bool) -> Option<BranchStep> {
    let open = input.snapshot.open(&set.branch);
    // People want the branch rewritten, whatever is on it.
    let is_unwanted = open.is_some_and(PullRequest::is_to_be_rewritten);
    let is_old = open.is_some_and(|open| is_old(set, open, may_refresh));
    match input.snapshot.branches.get(&set.branch).unwrap_or(&Branch::Absent) {
        // Without an open pull request the branch is a leftover, perhaps merged long ago.
        Branch::Ours { commit, change }
            if *change == set.change && open.is_some() && !is_unwanted && !is_old =>
        {
            Some(BranchStep::Keep(commit.clone()))
        }
        // A branch that was merged as it is has done its work.
        Branch::Foreign { commit, .. }
            if open.is_none() && input.snapshot.is_merged(&set.branch, commit) =>
        {
            None
        }
        Branch::Foreign { author, .. } if !is_unwanted => {
            let why = format!("{author} committed to `{}`, so it is left alone", set.branch);
            Some(BranchStep::Stop(Stop::new(Withheld::Frozen, why)))
        }
        Branch::Unreadable(why) => Some(BranchStep::Stop(Stop::new(Withheld::Failed, why.clone()))),
        Branch::Absent | Branch::Ours { .. } | Branch::Foreign { .. } => None,
    }
}

/// True if a branch has to be rewritten on the base as it is now.
fn is_old(set: &ChangeSet, open: &PullRequest, may_refresh: &mut bool) -> bool {
    match open.mergeable {
        Mergeable::Conflict => true,
        // A queue puts its branches onto the base, and a rewritten branch falls out of it.
        Mergeable::Behind if open.queue != Queue::None => false,
        Mergeable::Behind => set.merge.by != AutoMerge::Off && std::mem::take(may_refresh),
        Mergeable::Yes | Mergeable::Blocked | Mergeable::Unknown => false,
    }
}

/// The push of a branch, after everything that could merge it as it was approved before.
pub(super) fn actions(
    input: &Input<'_>,
    index: usize,
    set: &ChangeSet,
    step: &BranchStep,
) -> Vec<Action> {
    let (of, purpose) = (Subject::ChangeSet(index), Purpose::BeforeRewrite);
    match step {
        BranchStep::Write => vec![Action::WriteFiles { set: index }],
        BranchStep::Keep(_) => Vec::new(),
        BranchStep::Stop(Stop { kind, why }) => {
            vec![Action::Wait { set: index, kind: *kind, why: why.clone() }]
        }
        BranchStep::Push => {
            let mut actions = Vec::new();
            let open = input.snapshot.open(&set.branch).filter(|_| set.via == Via::PullRequest);
            if let Some(open) = open {
                // Whoever enabled it saw another commit.
                if open.may_be_merged() {
                    actions.push(Action::DisableAutoMerge { of: of.clone(), purpose });
                }
                if open.queue == Queue::Inside {
                    actions.push(Action::LeaveQueue { of: of.clone(), purpose });
                }
                if open.has_label(APPROVE) {
                    actions.push(Action::Unlabel { of, label: APPROVE, purpose });
                }
            }
            actions.push(Action::Push { set: index });
            actions
        }
    }
}
