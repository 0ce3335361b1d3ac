//! The merge gate: the rules that a pull request meets before it is merged. That nothing checked it is not a pass. The
//! last rule, that the branch is the planned edits and nothing else, is proven when the merge is executed.

use std::collections::BTreeSet;

use super::{Action, BranchStep, Input, MergeOrder, Purpose, Subject};
use crate::changeset::ChangeSet;
use crate::policy::{APPROVE, AutoMerge, HOLD, MergeMethod, Required, Via};
use crate::pull_request::{Check, Mergeable, PullRequest, Queue, RepoRules};
use crate::text::one_line;

/// The reason where a review asks for something else.
const UNWANTED: &str = "a reviewer wants changes";

/// The reason for a method that the repository forbids.
const NO_METHOD: &str = "the repository does not allow this way to merge";

/// The reason for a missing approval.
const UNAPPROVED: &str = "it waits for an approval: a review, or the label `tagalong:approve`";

/// A pull request that is to be merged.
#[derive(Clone, Copy)]
pub(super) struct MergeCandidate<'a> {
    pub(super) index: usize,
    pub(super) set: &'a ChangeSet,
    pub(super) pull: &'a PullRequest,
    pub(super) rules: &'a RepoRules,
    /// True if its head is pushed by this run: no check and no review is of that commit.
    pub(super) is_new: bool,
}

/// The merge of a change set's pull request, or the reason why it waits.
pub(super) fn actions(
    input: &Input<'_>,
    index: usize,
    set: &ChangeSet,
    step: &BranchStep,
) -> Vec<Action> {
    let Some(observed) = input.snapshot.observed() else { return Vec::new() };
    let open = input.snapshot.open(&set.branch);
    let (pull, is_new) = match step {
        _ if set.via != Via::PullRequest => return Vec::new(),
        BranchStep::Stop(_) | BranchStep::Write => return Vec::new(),
        BranchStep::Push => (after_push(set, open), true),
        BranchStep::Keep(commit) => {
            let Some(open) = open else { return Vec::new() };
            (open.clone(), open.head != *commit)
        }
    };
    MergeCandidate { index, set, pull: &pull, rules: &observed.rules, is_new }.actions()
}

/// The reason against merging a pull request that the gate let through, as it is seen now. Whether it conflicts, the merge
/// says.
#[must_use]
pub fn objection(set: &ChangeSet, pull: &PullRequest, rules: &RepoRules) -> Option<String> {
    if pull.is_held() {
        return Some(format!("it has the label `{HOLD}`"));
    }
    let mut pull = pull.clone();
    if pull.mergeable == Mergeable::Conflict {
        pull.mergeable = Mergeable::Unknown;
    }
    MergeCandidate { index: 0, set, pull: &pull, rules, is_new: false }.obstacle()
}

/// A pull request after the push of its branch: [`Purpose::BeforeRewrite`] took everything off it that approved an earlier
/// commit.
fn after_push(set: &ChangeSet, open: Option<&PullRequest>) -> PullRequest {
    let Some(open) = open else {
        return PullRequest { is_draft: set.pull.draft, ..PullRequest::default() };
    };
    let mut pull = PullRequest { auto_merge_by: None, auto_merge_unread: false, ..open.clone() };
    if pull.queue == Queue::Inside {
        pull.queue = Queue::Outside;
    }
    pull.drop_label(APPROVE);
    pull
}

impl MergeCandidate<'_> {
    /// The actions for it.
    pub(super) fn actions(&self) -> Vec<Action> {
        match self.set.merge.by {
            AutoMerge::Off => self.disable_own().into_iter().collect(),
            // A run merges only what it decided itself.
            _ if self.set.carried => self.stopped("some of it could not be decided by this run"),
            AutoMerge::Forge => self.by_forge(),
            AutoMerge::Bot if self.is_new => self.stopped(""),
            AutoMerge::Bot => {
                let mut actions: Vec<Action> = self.disable_own().into_iter().collect();
                actions.extend(self.merge_now());
                actions
            }
        }
    }

    /// Waits, and has the forge not merge what we had it merge; what a person enabled stays.
    fn stopped(&self, why: &str) -> Vec<Action> {
        let mut actions: Vec<Action> = self.disable_own().into_iter().collect();
        actions.push(self.waits(why));
        actions
    }

    fn disable_own(&self) -> Option<Action> {
        let is_own = self.pull.auto_merge_by.as_ref().is_some_and(|by| self.rules.is_own(by));
        let of = Subject::ChangeSet(self.index);
        is_own.then_some(Action::DisableAutoMerge { of, purpose: Purpose::NotNow })
    }

    fn waits(&self, why: impl Into<String>) -> Action {
        Action::WaitToMerge { set: self.index, why: why.into() }
    }

    /// The forge's own auto-merge.
    fn by_forge(&self) -> Vec<Action> {
        let Self { set, pull, rules, is_new, .. } = *self;
        if pull.queue == Queue::Inside {
            return self.in_queue();
        }
        let Some(method) = self.method() else { return vec![self.waits(NO_METHOD)] };
        let is_approved = !set.merge.approval || !is_new && pull.has_approval();
        // The forge may have no rule that asks for reviews.
        if pull.changes_requested && !is_new {
            return self.stopped(UNWANTED);
        }
        let mut actions: Vec<Action> = Vec::new();
        if !is_approved {
            actions.extend(self.disable_own());
        }
        let order = self.order(method);
        let last = if pull.is_draft || is_approved && pull.auto_merge_by.is_some() {
            self.waits("")
        } else if !rules.auto_merge {
            self.waits("the repository's settings do not allow auto-merge")
        } else if !is_new && !rules.is_own(&pull.author) {
            self.waits(format!("{} opened it", pull.author))
        } else if !is_approved {
            self.waits(unapproved(pull))
        } else {
            let otherwise = Box::new(if is_new {
                self.waits(
                    "no rule of the repository holds it up, so auto-merge has nothing to wait for",
                )
            } else {
                self.now(method)
            });
            Action::EnableAutoMerge { order, otherwise }
        };
        actions.push(last);
        actions
    }

    /// A merge by this run.
    fn merge_now(&self) -> Vec<Action> {
        let Some(method) = self.method() else { return vec![self.waits(NO_METHOD)] };
        if self.pull.queue == Queue::Inside {
            return self.in_queue();
        }
        vec![self.now(method)]
    }

    fn now(&self, method: MergeMethod) -> Action {
        match self.obstacle() {
            Some(why) => self.waits(why),
            None if self.pull.queue == Queue::Outside => Action::Enqueue(self.order(method)),
            None => Action::Merge(self.order(method)),
        }
    }

    fn order(&self, method: MergeMethod) -> MergeOrder {
        let warning = by_name_alone(self.set, self.pull);
        MergeOrder { set: self.index, method, warning }
    }

    /// Leaves a pull request in the queue, unless nobody approves it any more.
    fn in_queue(&self) -> Vec<Action> {
        let pull = self.pull;
        let why = if pull.changes_requested {
            UNWANTED.to_owned()
        } else if self.set.merge.approval && !pull.has_approval() {
            unapproved(pull)
        } else {
            return vec![Action::StayInQueue { set: self.index }];
        };
        let of = Subject::ChangeSet(self.index);
        vec![Action::LeaveQueue { of, purpose: Purpose::NotNow }, self.waits(why)]
    }

    /// The method that the policy names, or the first one that the repository allows.
    fn method(&self) -> Option<MergeMethod> {
        let allowed = &self.rules.methods;
        match self.set.merge.method {
            Some(method) => allowed.contains(&method).then_some(method),
            None => allowed.first().copied(),
        }
    }

    /// The first rule that is not met.
    pub(super) fn obstacle(&self) -> Option<String> {
        let pull = self.pull;
        if !self.rules.is_own(&pull.author) {
            return Some(format!("{} opened it", pull.author));
        }
        // A queue decides by itself about the base and the rules.
        let is_queued = pull.queue != Queue::None;
        let why = match pull.mergeable {
            Mergeable::Behind if !is_queued => "the base has to be in its branch first",
            Mergeable::Blocked if !is_queued => "the repository's rules are not met",
            Mergeable::Conflict => "it conflicts with the base",
            _ if pull.is_draft => "it is a draft",
            _ if pull.changes_requested => UNWANTED,
            _ if pull.wants_review => "it waits for a review",
            _ if self.set.merge.approval && !pull.has_approval() => return Some(unapproved(pull)),
            _ => return self.unchecked(),
        };
        Some(why.to_owned())
    }

    /// The check that is missing.
    fn unchecked(&self) -> Option<String> {
        let (merge, pull) = (&self.set.merge, self.pull);
        if pull.more_checks {
            return Some(
                "not all of its checks can be read, so that one may have failed".to_owned(),
            );
        }
        let counts = |check: &&Check| {
            merge.checks.is_empty() || merge.checks.iter().any(|required| meets(required, check))
        };
        let counting: Vec<&Check> = pull.checks.iter().filter(counts).collect();
        if let Some(check) = counting.iter().find(|check| check.passed != Some(true)) {
            let how = if check.passed.is_none() { "is not done" } else { "did not pass" };
            return Some(format!("the check `{}` {how}", one_line(&check.name)));
        }
        for required in &merge.checks {
            if !pull.checks.iter().any(|check| meets(required, check) && check.counts) {
                let by =
                    required.app.as_ref().map(|app| format!(" of `{app}`")).unwrap_or_default();
                return Some(format!("the check `{}`{by} has not reported", required.name));
            }
        }
        if self.rules.starts_no_checks && merge.checks.is_empty() && !merge.without_checks {
            let why = "nothing has to check it: pull requests of a workflow's own token start no checks; use the \
                       token of an app or a person, or name what must have passed in `checks`";
            return Some(why.to_owned());
        }
        if merge.without_checks || counting.iter().any(|check| check.counts) {
            return None;
        }
        Some("nothing checked it; `withoutChecks: true` merges all the same".to_owned())
    }
}

fn meets(required: &Required, check: &Check) -> bool {
    check.name == required.name && required.is_by(check.by.as_deref())
}

/// A missing approval, with those that do not count.
fn unapproved(pull: &PullRequest) -> String {
    let ignored = pull.ignored_labels.iter().map(|why| format!("; {why}"));
    format!("{UNAPPROVED}{}", ignored.collect::<String>())
}

/// A warning about checks that counted by their names alone, with who reported them: whoever may write statuses can
/// report any name.
fn by_name_alone(set: &ChangeSet, pull: &PullRequest) -> Option<String> {
    let named = set.merge.checks.iter().filter(|required| required.app.is_none());
    let said = named.map(|required| {
        let reported = pull.checks.iter().filter(|check| check.name == required.name);
        let by: BTreeSet<&str> = reported.filter_map(|check| check.by.as_deref()).collect();
        let by: Vec<&str> = by.into_iter().collect();
        let by = if by.is_empty() { "nobody who is known".to_owned() } else { by.join(", ") };
        format!("`{}` (by {by})", one_line(&required.name))
    });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| {
        format!(
            "warning: {} counted by name alone, which anybody with the right to write statuses can report; name the \
             app, as in `checks: [{{name: ci, app: github-actions}}]`",
            said.join(", ")
        )
    })
}
