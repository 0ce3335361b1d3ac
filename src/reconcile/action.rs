//! The actions of a run, as data.

use crate::policy::MergeMethod;
use crate::pull_request::{PullRef, PullRequest};

/// One action. Change sets are named by their indices in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Writes the files of a work tree.
    WriteFiles {
        /// The change set.
        set: usize,
    },
    /// Disables the forge's auto-merge.
    DisableAutoMerge {
        /// The pull request.
        of: Subject,
        /// The reason.
        purpose: Purpose,
    },
    /// Removes a pull request from the merge queue.
    LeaveQueue {
        /// The pull request.
        of: Subject,
        /// The reason.
        purpose: Purpose,
    },
    /// Removes a command label.
    Unlabel {
        /// The pull request.
        of: Subject,
        /// The label.
        label: &'static str,
        /// The reason.
        purpose: Purpose,
    },
    /// Commits a change set and pushes its branch.
    Push {
        /// The change set.
        set: usize,
    },
    /// Deletes a branch.
    Delete {
        /// The branch.
        branch: String,
    },
    /// Saves the ledger.
    SaveLedger {
        /// True if it is saved by a push of its own, after the others.
        is_after_push: bool,
    },
    /// Opens a pull request.
    Open {
        /// The change set.
        set: usize,
    },
    /// Changes title or body of an open pull request.
    Edit {
        /// The change set.
        set: usize,
        /// The texts.
        text: Text,
    },
    /// Sets labels, people and milestone of a pull request that has none of them yet.
    Decorate {
        /// The change set.
        set: usize,
    },
    /// Adds missing labels.
    Label {
        /// The change set.
        set: usize,
        /// The labels.
        labels: Vec<String>,
    },
    /// Removes an approval that was given before the body named the commit, and names it.
    AskForApproval {
        /// The change set.
        set: usize,
    },
    /// Leaves a change set undelivered.
    Wait {
        /// The change set.
        set: usize,
        /// The kind of the reason.
        kind: Withheld,
        /// The reason.
        why: String,
    },
    /// Closes an obsolete pull request.
    Close(Box<Close>),
    /// Has the forge merge once its own rules allow it.
    EnableAutoMerge {
        /// The merge.
        order: MergeOrder,
        /// The action for a forge that has nothing to wait for.
        otherwise: Box<Action>,
    },
    /// Puts a pull request into the merge queue.
    Enqueue(MergeOrder),
    /// Merges a pull request.
    Merge(MergeOrder),
    /// Leaves a pull request in the merge queue.
    StayInQueue {
        /// The change set.
        set: usize,
    },
    /// Leaves a pull request unmerged.
    WaitToMerge {
        /// The change set.
        set: usize,
        /// The reason; empty if the delivery's outcome says enough.
        why: String,
    },
}

/// The order in which actions are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing may merge what is about to change.
    Prepare,
    /// All references are pushed at once.
    Push,
    /// Pull requests are opened and edited.
    Write,
    /// Direct pushes are remembered.
    Remember,
    /// Obsolete pull requests are closed.
    Close,
    /// Ready pull requests are merged.
    Merge,
}

/// The pull request that an action is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The open pull request of a change set.
    ChangeSet(usize),
    /// An obsolete one.
    Obsolete(PullRef),
}

/// The reason for stopping a merge or removing a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The branch is about to be rewritten; the branch stays as it is if this fails.
    BeforeRewrite,
    /// The pull request is obsolete.
    Obsolete,
    /// People hold the pull request or committed to it, or its schedule is over.
    Withhold,
    /// The label was obeyed.
    Obeyed,
    /// The policies or this run do not allow the merge.
    NotNow,
}

/// The kind of reason for which a change set is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// Limits, a schedule, or people who hold it.
    Waiting,
    /// A person committed to the branch.
    Frozen,
    /// A person closed the pull request of this change.
    Rejected,
    /// It cannot be delivered.
    Failed,
}

/// The texts of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The title, if it changes.
    pub title: Option<String>,
    /// The body.
    pub body: String,
}

/// An obsolete pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The pull request.
    pub pull: PullRequest,
    /// Its branch.
    pub branch: String,
    /// The environment that its metadata names.
    pub environment: String,
    /// Its last body.
    pub body: String,
    /// The reason, which is also its last comment.
    pub why: String,
    /// Branches that propose the same; it stays open unless each has a pull request, or was pushed, by then.
    pub unless_missing: Vec<String>,
}

/// A merge that the gate allows, once the branch is proven to be the planned edits and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeOrder {
    /// The change set.
    pub set: usize,
    /// The method.
    pub method: MergeMethod,
    /// A warning for the report of the merge.
    pub warning: Option<String>,
}

impl Action {
    /// The phase of its execution.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::DisableAutoMerge { purpose, .. }
            | Self::LeaveQueue { purpose, .. }
            | Self::Unlabel { purpose, .. } => match purpose {
                Purpose::BeforeRewrite | Purpose::Obsolete => Phase::Prepare,
                Purpose::Withhold | Purpose::Obeyed => Phase::Write,
                Purpose::NotNow => Phase::Merge,
            },
            Self::Push { .. } | Self::Delete { .. } => Phase::Push,
            Self::SaveLedger { is_after_push } => {
                if *is_after_push {
                    Phase::Remember
                } else {
                    Phase::Push
                }
            }
            Self::WriteFiles { .. }
            | Self::Wait { .. }
            | Self::Open { .. }
            | Self::Edit { .. }
            | Self::Decorate { .. }
            | Self::Label { .. }
            | Self::AskForApproval { .. } => Phase::Write,
            Self::Close(_) => Phase::Close,
            Self::EnableAutoMerge { .. }
            | Self::Enqueue(_)
            | Self::Merge(_)
            | Self::StayInQueue { .. }
            | Self::WaitToMerge { .. } => Phase::Merge,
        }
    }

    /// The change set that it is about.
    #[must_use]
    pub fn set(&self) -> Option<usize> {
        match self {
            Self::WriteFiles { set }
            | Self::Push { set }
            | Self::Open { set }
            | Self::Edit { set, .. }
            | Self::Decorate { set }
            | Self::Label { set, .. }
            | Self::AskForApproval { set }
            | Self::Wait { set, .. }
            | Self::StayInQueue { set }
            | Self::WaitToMerge { set, .. } => Some(*set),
            Self::DisableAutoMerge { of, .. }
            | Self::LeaveQueue { of, .. }
            | Self::Unlabel { of, .. } => match of {
                Subject::ChangeSet(set) => Some(*set),
                Subject::Obsolete(_) => None,
            },
            Self::Enqueue(order) | Self::Merge(order) | Self::EnableAutoMerge { order, .. } => {
                Some(order.set)
            }
            Self::Delete { .. } | Self::SaveLedger { .. } | Self::Close(_) => None,
        }
    }

    /// The merge that it orders.
    #[must_use]
    pub fn order(&self) -> Option<&MergeOrder> {
        match self {
            Self::Enqueue(order) | Self::Merge(order) | Self::EnableAutoMerge { order, .. } => {
                Some(order)
            }
            _ => None,
        }
    }
}
