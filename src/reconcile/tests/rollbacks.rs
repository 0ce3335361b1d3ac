//! Open and merged rollbacks.

use super::*;
use crate::changeset::{Decided, Use};
use crate::policy::HOLD;
use crate::policy::{EnvironmentId, Id as _};
use crate::reconcile::{Feedback, Held, feedback, hold_rolled_back};

const BRANCH: &str = "tagalong-rollback/staging";

/// A rollback of `images` from v1.1.0 to v1.0.0.
fn pull(images: &[&str]) -> PullRequest {
    PullRequest {
        number: 9,
        body: body("r", "v1.1.0", "v1.0.0", images),
        head: "c1".to_owned(),
        author: BOT.to_owned(),
        ..PullRequest::default()
    }
}

fn open(pull: PullRequest, branch: Branch) -> Snapshot {
    let pulls = BranchPullRequests { open: Some(pull), ..BranchPullRequests::default() };
    snapshot(BRANCH, branch, pulls)
}

fn ours() -> Branch {
    Branch::Ours { commit: "c1".to_owned(), change: "r".to_owned() }
}

/// Updates to v1.2.0 of each image where these versions are deployed; the outcomes after the hold.
fn held(snapshot: &Snapshot, deployed: &[&str]) -> Vec<Outcome> {
    let set = policies("draft: false");
    let update = |tag: &&str| {
        let deployed = Deployed { tag: Tag::parse(tag), ..Deployed::default() };
        let policy = set.policies.find(|policy| policy.name == "shop").unwrap();
        let decision = planned("shop", tag, Outcome::Update, "v1.2.0").decision;
        Decided { at: Use { environment: EnvironmentId::at(0), policy, deployed }, decision }
    };
    let mut decided: Vec<Decided> = deployed.iter().map(update).collect();
    hold_rolled_back(snapshot, &set, &mut decided);
    decided.iter().map(|one| one.decision.outcome).collect()
}

#[test]
fn an_open_rollback_holds_every_place_of_its_images() {
    let shop = open(pull(&["shop"]), ours());
    assert_eq!(held(&shop, &["v1.1.0"]), [Outcome::Hold]);
    // A place that is back already must not move forwards beside one that is not.
    assert_eq!(held(&shop, &["v1.0.0", "v1.1.0"]), [Outcome::Hold, Outcome::Hold]);
    assert_eq!(held(&shop, &["v1.0.0"]), [Outcome::Update], "all are back");
    assert_eq!(held(&open(pull(&["web"]), ours()), &["v1.1.0"]), [Outcome::Update]);
    // Metadata without room for its moves is about the whole environment.
    assert_eq!(held(&open(pull(&[]), ours()), &["v1.1.0"]), [Outcome::Hold]);
}

#[test]
fn auto_merge_of_a_held_or_committed_rollback_is_disabled() {
    let set = policies("draft: false");
    let disabled = |pull: PullRequest, branch: Branch| {
        let snapshot = open(pull, branch);
        let all = actions(&Plan::default(), &set, &snapshot, Timestamp::UNIX_EPOCH);
        all.iter().any(|action| matches!(action, Action::DisableAutoMerge { .. }))
    };
    let armed = |by: &str| PullRequest { auto_merge_by: Some(by.to_owned()), ..pull(&["shop"]) };
    assert!(!disabled(armed(BOT), ours()), "nobody objects");
    let held = |by: &str| PullRequest { labels: vec![HOLD.to_owned()], ..armed(by) };
    assert!(disabled(held(BOT), ours()));
    assert!(!disabled(held("ann"), ours()), "what a person enabled stays");
    let foreign = || Branch::Foreign { commit: "c2".to_owned(), author: "Ann".to_owned() };
    assert!(disabled(armed(BOT), foreign()));
    assert!(disabled(armed("ann"), foreign()), "nobody proved that commit");
}

#[test]
fn a_merged_rollback_rejects_what_it_took_back_and_a_closed_one_nothing() {
    let set = policies("draft: false");
    let shop = set.policies.find(|policy| policy.name == "shop").unwrap();
    let at = |tag: &str| {
        let deployed = Deployed { tag: Tag::parse(tag), ..Deployed::default() };
        Held::from([((EnvironmentId::at(0), shop), [deployed].into())])
    };
    let of = |pulls: BranchPullRequests, held: &Held| {
        let all = feedback(&snapshot(BRANCH, ours(), pulls), &set, held);
        let rejected = all.into_iter().filter_map(|one| match one {
            Feedback::Rejected { proposed, .. } => Some(proposed.moves[0].refused().to_owned()),
            Feedback::Open(_) | Feedback::Arrived { .. } => None,
        });
        rejected.collect::<Vec<_>>()
    };
    let merged =
        || BranchPullRequests { merged: vec![pull(&["shop"])], ..BranchPullRequests::default() };
    assert_eq!(of(merged(), &at("v1.0.0")), ["v1.1.0"]);
    assert_eq!(of(merged(), &at("v1.2.0")), [""; 0], "it went on since");
    let closed =
        BranchPullRequests { closed: Some(pull(&["shop"])), ..BranchPullRequests::default() };
    assert_eq!(of(closed, &at("v1.1.0")), [""; 0]);
}

#[test]
fn a_rollback_has_nothing_merge_a_pull_request_that_moves_its_images_beside_others() {
    let set = policies("draft: false");
    let forward = |images: &[&str], auto_merge_by: Option<&str>| PullRequest {
        number: 7,
        body: body("f", "v1.1.0", "v1.2.0", images),
        auto_merge_by: auto_merge_by.map(str::to_owned),
        ..PullRequest::default()
    };
    let plan = Plan {
        decisions: vec![planned("shop", "v1.1.0", Outcome::Update, "v1.0.0")],
        ..Plan::default()
    };
    let all = |pull: PullRequest| {
        let pulls = BranchPullRequests { open: Some(pull), ..BranchPullRequests::default() };
        let snapshot = snapshot("tagalong/staging", ours(), pulls);
        let (ledger, now) = (Unsaved::Nothing, Timestamp::UNIX_EPOCH);
        let (set, plan, snapshot) = (&set, &plan, &snapshot);
        let (is_whole, is_rollback) = (false, true);
        let input = Input { plan, set, snapshot, ledger, now, clock: now, is_whole, is_rollback };
        reconcile(&input, &[], &[])
    };
    let stops = |pull| all(pull).iter().any(|one| matches!(one, Action::DisableAutoMerge { .. }));
    assert!(stops(forward(&["shop", "web"], Some("ann"))), "whoever wanted it merged");
    assert!(stops(forward(&[], Some(BOT))), "its moves were too many to list");
    assert!(!stops(forward(&["web"], Some(BOT))), "it has nothing to do with it");
    assert!(
        !all(forward(&["shop", "web"], None)).iter().any(|one| matches!(one, Action::Close(_)))
    );
}
