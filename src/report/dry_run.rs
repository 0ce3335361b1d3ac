//! The actions that a run would take.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::HomeRow;
use super::text::{BOLD, GREEN, RED, YELLOW, paint};
use crate::changeset::Plan;
use crate::diagnostic::Colour;
use crate::policy::{Home, Via};
use crate::pull_request::PullRef;
use crate::reconcile::{Action, Snapshot, Subject, Withheld};
use crate::text::one_line;

/// An action that a run would take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedAction {
    /// The action.
    pub action: ActionName,
    /// The environment's name; none for an action that is about no environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Where, when that is not where the policies are.
    #[serde(flatten)]
    home: HomeRow,
    /// The branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The number of the pull request, if it is open already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
    /// The title, the labels, or the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The name of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionName {
    /// Files of the work tree are written.
    WriteFiles,
    /// Auto-merge is disabled.
    DisableAutoMerge,
    /// The pull request leaves the merge queue.
    LeaveQueue,
    /// A label is removed.
    RemoveLabel,
    /// A branch is committed and pushed.
    Push,
    /// A branch is deleted.
    DeleteBranch,
    /// The ledger is saved.
    SaveLedger,
    /// A pull request is opened.
    Open,
    /// Title or body of a pull request change.
    Edit,
    /// Labels, reviewers, assignees and milestone are set.
    Decorate,
    /// Labels are added.
    AddLabels,
    /// A label of approval counts for the branch's commit from now on.
    AskForApproval,
    /// The change waits.
    Wait,
    /// The change is left alone: a person committed to its branch.
    LeaveAlone,
    /// The change is not proposed: a person rejected it.
    PassOver,
    /// The change cannot be delivered.
    Fail,
    /// A pull request is closed.
    Close,
    /// The forge merges once its rules allow it.
    EnableAutoMerge,
    /// The pull request is put into the merge queue.
    Enqueue,
    /// The pull request is merged, if its branch has the planned edits and nothing else.
    Merge,
    /// The pull request stays in the merge queue.
    StayInQueue,
    /// The pull request is not merged yet.
    WaitToMerge,
    /// The dashboard issue is brought up to date, where something of it changed.
    UpdateDashboard,
}

/// The actions of one place, without those that change nothing and say nothing.
#[must_use]
pub fn planned_actions(
    actions: &[Action],
    plan: &Plan,
    snapshot: &Snapshot,
    home: &Home,
) -> Vec<PlannedAction> {
    let says =
        |action: &&Action| !matches!(action, Action::WaitToMerge { why, .. } if why.is_empty());
    actions.iter().filter(says).map(|action| planned(action, plan, snapshot, home)).collect()
}

/// The last action of a run.
#[must_use]
pub fn planned_dashboard(title: &str) -> PlannedAction {
    PlannedAction {
        action: ActionName::UpdateDashboard,
        environment: None,
        home: HomeRow::default(),
        branch: None,
        pull_request: None,
        detail: Some(title.to_owned()),
    }
}

fn planned(action: &Action, plan: &Plan, snapshot: &Snapshot, home: &Home) -> PlannedAction {
    let set = action.set().and_then(|index| plan.change_sets.get(index));
    let open = set.and_then(|set| snapshot.open(&set.branch)).map(|pull| pull.number);
    let row = PlannedAction {
        action: name(action),
        environment: set.map(|set| set.environment.clone()),
        home: home.into(),
        branch: set
            .filter(|set| set.via != Via::Worktree)
            .map(|set| set.branch.clone())
            .filter(|branch| !branch.is_empty()),
        pull_request: open.or_else(|| obsolete(action).map(|pull| pull.number)),
        detail: detail(action, plan),
    };
    match action {
        Action::Close(close) => PlannedAction {
            environment: Some(close.environment.clone()),
            branch: Some(close.branch.clone()),
            ..row
        },
        Action::Delete { branch } => PlannedAction { branch: Some(branch.clone()), ..row },
        _ => row,
    }
}

/// The pull request of an action that is about no change set.
fn obsolete(action: &Action) -> Option<PullRef> {
    match action {
        Action::Close(close) => Some(close.pull.reference()),
        Action::DisableAutoMerge { of: Subject::Obsolete(pull), .. }
        | Action::LeaveQueue { of: Subject::Obsolete(pull), .. }
        | Action::Unlabel { of: Subject::Obsolete(pull), .. } => Some(pull.clone()),
        _ => None,
    }
}

fn name(action: &Action) -> ActionName {
    match action {
        Action::WriteFiles { .. } => ActionName::WriteFiles,
        Action::DisableAutoMerge { .. } => ActionName::DisableAutoMerge,
        Action::LeaveQueue { .. } => ActionName::LeaveQueue,
        Action::Unlabel { .. } => ActionName::RemoveLabel,
        Action::Push { .. } => ActionName::Push,
        Action::Delete { .. } => ActionName::DeleteBranch,
        Action::SaveLedger { .. } => ActionName::SaveLedger,
        Action::Open { .. } => ActionName::Open,
        Action::Edit { .. } => ActionName::Edit,
        Action::Decorate { .. } => ActionName::Decorate,
        Action::Label { .. } => ActionName::AddLabels,
        Action::AskForApproval { .. } => ActionName::AskForApproval,
        Action::Wait { kind: Withheld::Waiting, .. } => ActionName::Wait,
        Action::Wait { kind: Withheld::Frozen, .. } => ActionName::LeaveAlone,
        Action::Wait { kind: Withheld::Rejected, .. } => ActionName::PassOver,
        Action::Wait { kind: Withheld::Failed, .. } => ActionName::Fail,
        Action::Close(_) => ActionName::Close,
        Action::EnableAutoMerge { .. } => ActionName::EnableAutoMerge,
        Action::Enqueue(_) => ActionName::Enqueue,
        Action::Merge(_) => ActionName::Merge,
        Action::StayInQueue { .. } => ActionName::StayInQueue,
        Action::WaitToMerge { .. } => ActionName::WaitToMerge,
    }
}

fn detail(action: &Action, plan: &Plan) -> Option<String> {
    match action {
        Action::Open { set } | Action::Push { set } | Action::WriteFiles { set } => {
            Some(plan.change_sets.get(*set)?.title.clone())
        }
        Action::Edit { text, .. } => text.title.clone(),
        Action::Label { labels, .. } => Some(labels.join(", ")),
        Action::Unlabel { label, .. } => Some((*label).to_owned()),
        Action::Wait { why, .. } | Action::WaitToMerge { why, .. } => Some(why.clone()),
        Action::Close(close) => Some(close.why.clone()),
        _ => None,
    }
}

impl ActionName {
    /// The words for people.
    fn words(self) -> &'static str {
        match self {
            Self::WriteFiles => "write the files",
            Self::DisableAutoMerge => "disable auto-merge",
            Self::LeaveQueue => "leave the merge queue",
            Self::RemoveLabel => "remove the label",
            Self::Push => "push",
            Self::DeleteBranch => "delete the branch",
            Self::SaveLedger => "save the ledger",
            Self::Open => "open a pull request",
            Self::Edit => "edit the pull request",
            Self::Decorate => "set labels, people and milestone",
            Self::AddLabels => "add labels",
            Self::AskForApproval => "ask for an approval of the new commit",
            Self::Wait => "wait",
            Self::LeaveAlone => "leave alone",
            Self::PassOver => "not propose again",
            Self::Fail => "fail",
            Self::Close => "close",
            Self::EnableAutoMerge => "enable auto-merge",
            Self::Enqueue => "put into the merge queue",
            Self::Merge => "merge",
            Self::StayInQueue => "stay in the merge queue",
            Self::WaitToMerge => "not merge yet",
            Self::UpdateDashboard => "update the dashboard issue",
        }
    }

    fn shade(self) -> &'static str {
        match self {
            Self::Fail => RED,
            Self::Wait | Self::LeaveAlone | Self::PassOver | Self::WaitToMerge => YELLOW,
            _ => GREEN,
        }
    }
}

/// The actions for people, a line each.
#[must_use]
pub fn dry_run(actions: &[PlannedAction], colour: Colour) -> String {
    if actions.is_empty() {
        return "A run would do nothing.\n".to_owned();
    }
    let mut out = format!("{}\n", paint(colour, BOLD, "A run would"));
    for row in actions {
        write!(out, "  {}", paint(colour, row.action.shade(), row.action.words())).ok();
        let number = row.pull_request.map(|number| format!("#{number}"));
        let place = row.home.to_string();
        let parts = [row.environment.clone(), Some(place), number, row.branch.clone()];
        for part in parts.into_iter().flatten().filter(|part| !part.is_empty()) {
            write!(out, "  {}", one_line(&part)).ok();
        }
        if let Some(detail) = &row.detail {
            write!(out, ": {}", one_line(detail)).ok();
        }
        out.push('\n');
    }
    out
}
