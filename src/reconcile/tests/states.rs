//! The table of `docs/pull-requests.md`: every state of a pull request under every event. `tests/it/states.rs` has the
//! same table for the built program, with git and a forge.

use super::table::{EVENTS, TABLE};
use super::*;
use crate::policy::HOLD;
use crate::policy::{EnvironmentId, Id as _, PolicyId};
use crate::reconcile::{Feedback, Held, feedback};

const BRANCH: &str = "tagalong/staging";

const MONDAY: &str = "2027-11-22T12:00:00Z";
const SUNDAY: &str = "2027-11-28T12:00:00Z";

/// The world of one cell.
struct Cell {
    state: &'static str,
    event: &'static str,
    set: PolicySet,
    snapshot: Snapshot,
}

impl Cell {
    fn new(state: &'static str, event: &'static str) -> Self {
        let grouping = if event == "regroup" { "group: image" } else { "draft: false" };
        let schedule = "schedule: [{cron: '0 0 * * 1', duration: 24h}]";
        let deliver = if state == "off schedule" {
            format!("{schedule}, {grouping}")
        } else {
            grouping.into()
        };
        Self { state, event, set: policies(&deliver), snapshot: snapshot_of(state) }
    }

    /// The version of every image in staging.
    fn deployed(&self) -> &'static str {
        if self.event == "over" || self.state == "merged" { "v1.1.0" } else { "v1.0.0" }
    }

    fn newest(&self) -> &'static str {
        if self.event == "newer" { "v1.2.0" } else { "v1.1.0" }
    }

    /// The newest version that people rejected, as the ledger learns it from the snapshot.
    fn rejected(&self) -> Option<String> {
        let tag = Tag::parse(self.deployed());
        let deployed = Deployed { tag, ..Deployed::default() };
        let held: Held = (0..IMAGES.len())
            .map(|at| ((EnvironmentId::at(0), PolicyId::at(at)), [deployed.clone()].into()))
            .collect();
        let all = feedback(&self.snapshot, &self.set, &held);
        let tags = all.into_iter().filter_map(|feedback| match feedback {
            Feedback::Rejected { proposed, .. } => Some(proposed.moves[0].to.clone()),
            Feedback::Open(_) | Feedback::Arrived { .. } => None,
        });
        tags.max()
    }

    /// One image's decision: the newest version that is neither deployed nor rejected.
    fn decide(&self, image: &str) -> Planned {
        let (deployed, newest) = (self.deployed(), self.newest());
        let is_wanted = self.rejected().is_none_or(|rejected| *newest > *rejected);
        let outcome = if self.state == "undecided" && image == "web" {
            Outcome::Undecided
        } else if newest > deployed && is_wanted {
            Outcome::Update
        } else {
            Outcome::Keep
        };
        planned(image, deployed, outcome, newest)
    }

    fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        let is_apart = self.event == "regroup";
        for (policy, image) in IMAGES.iter().enumerate() {
            let mut one = self.decide(image);
            // An open branch that is ahead carries on what this run does not decide.
            let is_carried = one.decision.outcome == Outcome::Undecided
                && !is_apart
                && self.deployed() < "v1.1.0";
            if is_carried {
                one.decision.outcome = Outcome::Update;
            }
            if one.decision.outcome == Outcome::Update {
                let branch =
                    Bundle::of(&self.set, EnvironmentId::at(0), policy_of(&self.set, image))
                        .branch(&self.set);
                let found = plan.change_sets.iter().position(|set| set.branch == branch);
                let index = found.unwrap_or(plan.change_sets.len());
                if found.is_none() {
                    plan.change_sets.push(self.change_set(branch));
                }
                plan.change_sets[index].edits.push(plan.edits.len());
                plan.change_sets[index].carried |= is_carried;
                plan.edits.push(edit(image));
            }
            plan.decisions.push(one);
            assert!(policy < IMAGES.len());
        }
        plan
    }

    fn change_set(&self, branch: String) -> ChangeSet {
        let deliver = &self.set.environments[EnvironmentId::at(0)].deliver;
        let base = if self.event == "base" { "b1" } else { "b0" };
        let change = format!("{} on {base}", self.newest());
        ChangeSet {
            environment: "staging".to_owned(),
            via: deliver.via,
            pull: deliver.pull.clone(),
            merge: deliver.merge.clone(),
            limits: deliver.limits,
            timing: deliver.timing.clone(),
            branch,
            title: "Update staging".to_owned(),
            body: body(&change, self.deployed(), self.newest(), &IMAGES),
            change,
            ..ChangeSet::default()
        }
    }

    fn outcome(&self) -> String {
        let now = if self.state == "off schedule" { SUNDAY } else { MONDAY };
        let plan = self.plan();
        let all = actions(&plan, &self.set, &self.snapshot, now.parse().unwrap());
        outcome(&plan, &all)
    }
}

fn policy_of(set: &PolicySet, image: &str) -> PolicyId {
    set.policies.find(|policy| policy.name == image).unwrap()
}

fn snapshot_of(state: &str) -> Snapshot {
    let change = "v1.1.0 on b0";
    let ours = Branch::Ours { commit: "c1".to_owned(), change: change.to_owned() };
    let pull = PullRequest {
        number: 2,
        title: "Update staging".to_owned(),
        body: body(change, "v1.0.0", "v1.1.0", &IMAGES),
        head: "c1".to_owned(),
        author: BOT.to_owned(),
        ..PullRequest::default()
    };
    let labelled = |label: &str| PullRequest { labels: vec![label.to_owned()], ..pull.clone() };
    let open = |pull| BranchPullRequests { open: Some(pull), ..BranchPullRequests::default() };
    let closed = |pull| BranchPullRequests { closed: Some(pull), ..BranchPullRequests::default() };
    let (branch, pulls) = match state {
        "none" => (Branch::Absent, BranchPullRequests::default()),
        "held" => (ours, open(labelled(HOLD))),
        "rebase" => (ours, open(labelled("tagalong:rebase"))),
        "a person's" => {
            (Branch::Foreign { commit: "c2".to_owned(), author: "Ann".to_owned() }, open(pull))
        }
        "closed" => (ours, closed(pull)),
        "retry" => (ours, closed(labelled("tagalong:retry"))),
        "withdrawn" => {
            let body = crate::changeset::Proposed::withdraw(&pull.body, "deployed");
            (ours, closed(PullRequest { body, ..pull }))
        }
        "merged" | "reverted" => {
            (ours, BranchPullRequests { merged: vec![pull], ..BranchPullRequests::default() })
        }
        _ => (ours, open(pull)),
    };
    snapshot(BRANCH, branch, pulls)
}

/// The deliveries that actions come to, in the words of the report.
fn outcome(plan: &Plan, actions: &[Action]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for index in 0..plan.change_sets.len() {
        let mine = || actions.iter().filter(|action| action.set() == Some(index));
        let waits = mine().find_map(|action| match action {
            Action::Wait { kind, .. } => Some(match kind {
                Withheld::Waiting => "waiting",
                Withheld::Frozen => "frozen",
                Withheld::Rejected => "rejected",
                Withheld::Failed => "failed",
            }),
            _ => None,
        });
        words.push(match waits {
            Some(word) => word,
            None if mine().any(|action| matches!(action, Action::Open { .. })) => "created",
            None if mine().any(|a| matches!(a, Action::Push { .. } | Action::Edit { .. })) => {
                "updated"
            }
            None => "unchanged",
        });
    }
    words.extend(actions.iter().filter(|a| matches!(a, Action::Close(_))).map(|_| "closed"));
    words.join(" ")
}

#[test]
fn every_state_and_event() {
    let mut wrong = Vec::new();
    for (state, cells) in TABLE {
        for (event, want) in EVENTS.into_iter().zip(cells) {
            let got = Cell::new(state, event).outcome();
            if got != want {
                wrong.push(format!("{state} × {event}: {got:?}, not {want:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_merged_branch_is_deleted_and_a_closed_one_stays() {
    let deletes = |state| {
        let cell = Cell::new(state, "nothing");
        let now = MONDAY.parse().unwrap();
        let all = actions(&cell.plan(), &cell.set, &cell.snapshot, now);
        all.iter().any(|action| matches!(action, Action::Delete { branch } if branch == BRANCH))
    };
    assert!(deletes("merged"));
    assert!(!deletes("closed"), "people can reopen it");
}

#[test]
fn what_could_merge_an_earlier_commit_is_stopped_before_the_push() {
    let mut cell = Cell::new("open", "newer");
    let ForgeView::Read(observed) = &mut cell.snapshot.forge else { panic!("it was read") };
    let open = observed.pulls.get_mut(BRANCH).and_then(|pulls| pulls.open.as_mut()).unwrap();
    open.auto_merge_by = Some("ann".to_owned());
    open.queue = crate::pull_request::Queue::Inside;
    open.labels.push("tagalong:approve".to_owned());
    let all = actions(&cell.plan(), &cell.set, &cell.snapshot, MONDAY.parse().unwrap());
    let push = all.iter().position(|action| matches!(action, Action::Push { .. })).unwrap();
    assert_eq!(push, 3, "{all:#?}");
    assert!(matches!(all[0], Action::DisableAutoMerge { .. }));
    assert!(matches!(all[1], Action::LeaveQueue { .. }));
    assert!(matches!(all[2], Action::Unlabel { label: "tagalong:approve", .. }));
}

#[test]
fn limits_count_what_is_open() {
    for (limit, want) in
        [("maxOpen: 1", "created waiting waiting"), ("maxNew: 2", "created created waiting")]
    {
        let mut cell = Cell::new("none", "regroup");
        cell.set = policies(&format!("group: image, {limit}"));
        assert_eq!(cell.outcome(), want, "{limit}");
    }
}

#[test]
fn a_forge_that_cannot_be_read_fails_every_change_set_and_pushes_nothing() {
    let mut cell = Cell::new("open", "newer");
    cell.snapshot.forge = ForgeView::Unavailable("401".to_owned());
    let all = actions(&cell.plan(), &cell.set, &cell.snapshot, MONDAY.parse().unwrap());
    let failed = Action::Wait { set: 0, kind: Withheld::Failed, why: "401".to_owned() };
    assert_eq!(all, [failed]);
}

#[test]
fn only_a_whole_run_closes_and_deletes() {
    for (state, event) in [("open", "over"), ("merged", "nothing")] {
        let cell = Cell::new(state, event);
        let (plan, now) = (cell.plan(), MONDAY.parse().unwrap());
        let ledger = Unsaved::Nothing;
        let (set, snapshot) = (&cell.set, &cell.snapshot);
        let input = Input {
            plan: &plan,
            set,
            snapshot,
            ledger,
            now,
            clock: now,
            is_whole: false,
            is_rollback: false,
        };
        let steps: Vec<BranchStep> = input.branches();
        assert_eq!(reconcile(&input, &steps, &plan.change_sets), [], "{state} × {event}");
    }
}
