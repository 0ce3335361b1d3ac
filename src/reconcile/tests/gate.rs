//! The merge gate, rule by rule: a pull request that meets all of them, and one for each rule that fails for that reason
//! alone.

use super::*;
use crate::policy::{APPROVE, AutoMerge, Merge, MergeMethod, Required};
use crate::pull_request::{Check, Mergeable, Queue};
use crate::reconcile::merge_gate::MergeCandidate;
use crate::reconcile::{MergeOrder, Purpose, Subject};

/// A change set with its pull request and repository.
struct Gate {
    set: ChangeSet,
    pull: PullRequest,
    rules: RepoRules,
    is_new: bool,
}

impl Gate {
    /// One that is merged.
    fn open() -> Self {
        let merge = Merge { by: AutoMerge::Bot, ..Merge::default() };
        let pull = PullRequest {
            number: 2,
            author: BOT.to_owned(),
            head: "c1".to_owned(),
            mergeable: Mergeable::Yes,
            checks: vec![check("ci", Some(true))],
            ..PullRequest::default()
        };
        let set = ChangeSet { merge, ..ChangeSet::default() };
        Self { set, pull, rules: rules(), is_new: false }
    }

    fn actions(&self) -> Vec<Action> {
        let Self { set, pull, rules, is_new } = self;
        MergeCandidate { index: 0, set, pull, rules, is_new: *is_new }.actions()
    }

    /// The reason why it waits, without what is done about it.
    fn why(&self) -> String {
        match self.actions().pop() {
            Some(Action::WaitToMerge { why, .. }) => why,
            other => format!("{other:?}"),
        }
    }
}

fn check(name: &str, passed: Option<bool>) -> Check {
    let by = Some("github-actions".to_owned());
    Check { name: name.to_owned(), by, passed, counts: passed == Some(true) }
}

fn required(name: &str, app: Option<&str>) -> Required {
    Required { name: name.to_owned(), app: app.map(str::to_owned) }
}

fn order(warning: Option<&str>) -> MergeOrder {
    let warning = warning.map(str::to_owned);
    MergeOrder { set: 0, method: MergeMethod::Squash, warning }
}

#[test]
fn everything_met_is_merged() {
    assert_eq!(Gate::open().actions(), [Action::Merge(order(None))]);
}

type Change = fn(&mut Gate);

/// Each rule, with a change that breaks it alone, and the reason.
const RULES: [(Change, &str); 17] = [
    (|gate| gate.pull.author = "mallory".into(), "mallory opened it"),
    (|gate| gate.pull.mergeable = Mergeable::Behind, "the base has to be in its branch first"),
    (|gate| gate.pull.mergeable = Mergeable::Blocked, "the repository's rules are not met"),
    (|gate| gate.pull.mergeable = Mergeable::Conflict, "it conflicts with the base"),
    (|gate| gate.pull.is_draft = true, "it is a draft"),
    (|gate| gate.pull.changes_requested = true, "a reviewer wants changes"),
    (|gate| gate.pull.wants_review = true, "it waits for a review"),
    (
        |gate| gate.set.merge.approval = true,
        "it waits for an approval: a review, or the label `tagalong:approve`",
    ),
    (
        |gate| gate.pull.more_checks = true,
        "not all of its checks can be read, so that one may have failed",
    ),
    (|gate| gate.pull.checks.push(check("e2e", Some(false))), "the check `e2e` did not pass"),
    (|gate| gate.pull.checks.push(check("e2e", None)), "the check `e2e` is not done"),
    (
        |gate| gate.set.merge.checks = vec![required("e2e", None)],
        "the check `e2e` has not reported",
    ),
    (
        |gate| gate.set.merge.checks = vec![required("ci", Some("jenkins"))],
        "the check `ci` of `jenkins` has not reported",
    ),
    (
        |gate| gate.pull.checks.clear(),
        "nothing checked it; `withoutChecks: true` merges all the same",
    ),
    (|gate| gate.rules.methods.clear(), "the repository does not allow this way to merge"),
    (|gate| gate.set.carried = true, "some of it could not be decided by this run"),
    // No check and no review is of a commit that was pushed just now.
    (|gate| gate.is_new = true, ""),
];

#[test]
fn each_rule_alone_keeps_it_open() {
    for (index, (change, want)) in RULES.into_iter().enumerate() {
        let mut gate = Gate::open();
        change(&mut gate);
        assert_eq!(gate.why(), want, "rule {index}");
    }
}

#[test]
fn a_workflows_own_token_needs_named_checks() {
    let mut gate = Gate::open();
    gate.rules.starts_no_checks = true;
    assert!(gate.why().starts_with("nothing has to check it"), "{}", gate.why());
    gate.set.merge.checks = vec![required("ci", Some("github-actions"))];
    assert_eq!(gate.actions(), [Action::Merge(order(None))]);
}

#[test]
fn a_check_by_name_alone_is_warned_about() {
    let mut gate = Gate::open();
    gate.set.merge.checks = vec![required("ci", None)];
    let [Action::Merge(MergeOrder { warning: Some(warning), .. })] = &gate.actions()[..] else {
        panic!("{:?}", gate.actions());
    };
    assert!(warning.contains("`ci` (by github-actions) counted by name alone"), "{warning}");
}

#[test]
fn approvals_open_the_gate_and_ignored_ones_are_named() {
    let mut gate = Gate::open();
    gate.set.merge.approval = true;
    gate.pull.ignored_labels.push("`tagalong:approve` does not count: a bot set it".to_owned());
    assert!(gate.why().ends_with("does not count: a bot set it"), "{}", gate.why());
    for approve in [
        |pull: &mut PullRequest| pull.is_approved = true,
        |pull: &mut PullRequest| {
            pull.labels.push(APPROVE.to_owned());
        },
    ] {
        let mut gate = Gate::open();
        gate.set.merge.approval = true;
        approve(&mut gate.pull);
        assert_eq!(gate.actions(), [Action::Merge(order(None))]);
    }
}

#[test]
fn auto_merge_of_ours_ends_where_policies_or_the_run_do_not_allow_it() {
    let of = Subject::ChangeSet(0);
    let disable = Action::DisableAutoMerge { of, purpose: Purpose::NotNow };
    for (by, want) in [(BOT, true), ("ann", false)] {
        let mut gate = Gate::open();
        gate.pull.auto_merge_by = Some(by.to_owned());
        gate.set.merge.by = AutoMerge::Off;
        assert_eq!(gate.actions().contains(&disable), want, "off, by {by}");
        gate.set.merge.by = AutoMerge::Forge;
        gate.set.carried = true;
        assert_eq!(gate.actions().contains(&disable), want, "carried, by {by}");
    }
}

#[test]
fn the_forge_merges_a_new_commit_once_its_rules_allow_it() {
    let mut gate = Gate::open();
    gate.set.merge.by = AutoMerge::Forge;
    gate.is_new = true;
    let [Action::EnableAutoMerge { otherwise, .. }] = &gate.actions()[..] else {
        panic!("{:?}", gate.actions());
    };
    assert!(matches!(&**otherwise, Action::WaitToMerge { .. }), "nothing checked this commit");
    // An approval is of a commit, so that a new one has none.
    gate.set.merge.approval = true;
    gate.pull.is_approved = true;
    assert!(gate.why().starts_with("it waits for an approval"), "{}", gate.why());
    gate.set.merge.approval = false;
    gate.rules.auto_merge = false;
    assert_eq!(gate.why(), "the repository's settings do not allow auto-merge");
}

/// A forge whose rules ask for no review merges whatever a reviewer says.
#[test]
fn what_a_reviewer_does_not_want_the_forge_does_not_merge() {
    let mut gate = Gate::open();
    gate.set.merge.by = AutoMerge::Forge;
    gate.pull.changes_requested = true;
    assert_eq!(gate.why(), "a reviewer wants changes");
    gate.pull.auto_merge_by = Some(gate.rules.viewer.clone());
    assert!(matches!(gate.actions()[0], Action::DisableAutoMerge { .. }), "{:?}", gate.actions());
}

#[test]
fn a_queue_takes_what_is_ready_and_gives_back_what_is_not_approved() {
    let mut gate = Gate::open();
    gate.pull.queue = Queue::Outside;
    // The queue puts it onto the base by itself.
    gate.pull.mergeable = Mergeable::Behind;
    assert_eq!(gate.actions(), [Action::Enqueue(order(None))]);
    gate.pull.queue = Queue::Inside;
    assert_eq!(gate.actions(), [Action::StayInQueue { set: 0 }]);
    gate.pull.changes_requested = true;
    let of = Subject::ChangeSet(0);
    assert_eq!(gate.actions()[0], Action::LeaveQueue { of, purpose: Purpose::NotNow });
}
