//! Merges on Forgejo and Gitea: what counts as checked and approved, and what stands against one.

use crate::forgejo::shop;
use crate::gitlab::{fault, passed};
use crate::world::{Fault, Pull, Story};

fn running(story: &Story) {
    story.forge.edit(1, |pull| {
        pull.checks = vec![serde_json::json!({"name": "test", "conclusion": null})];
    });
}

#[test]
fn the_bot_merges_what_was_checked_at_its_commit() {
    let story = shop("autoMerge: bot");
    story.run().exits(0);
    story.run().exits(0).says(&["nothing checked it"]);
    passed(&story);
    // The first answers after a push are that it may be tried later.
    story.forge.looks(2);
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
    assert!(story.forge.pulls()[0].merged);
    assert!(story.forge.repo.show("main", "shop.yaml").contains(":v1.1.0"));
}

#[test]
fn a_merge_that_the_forge_refuses_says_why() {
    type Change = fn(&mut Pull);
    let cases: [(&str, Change, &str); 4] = [
        ("BLOCKED", |_| {}, "Does not have enough approvals"),
        ("CLEAN", |pull| pull.reviews = vec!["CHANGES_REQUESTED"], "a reviewer wants changes"),
        ("CLEAN", |pull| pull.reviewers = vec!["ada".to_owned()], "it waits for a review"),
        (
            "CLEAN",
            |pull| pull.checks.push(serde_json::json!({"name": "x", "conclusion": "FAILURE"})),
            "`x` did not pass",
        ),
    ];
    for (status, change, why) in cases {
        let story = shop("autoMerge: bot");
        story.run().exits(0);
        passed(&story);
        story.forge.edit(1, |pull| {
            pull.state_status = Some(status);
            change(pull);
        });
        story.run().exits(0).says(&[why]);
        assert!(!story.forge.pulls()[0].merged, "{why}");
    }
    let story = shop("autoMerge: bot");
    story.run().exits(0);
    passed(&story);
    story.forge.fault(fault("POST", "1/merge", 409, "head out of date"));
    story.run().exits(0).says(&["its branch moved before it was merged"]);
    story.forge.fault(fault("POST", "1/merge", 405, "User not allowed to merge PR"));
    story.run().says(&["to merge into a protected branch"]);
    // An answer that is lost after the effect is no failure.
    story.forge.fault(Fault { after_effect: true, ..fault("POST", "1/merge", 502, "") });
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
}

/// The interface says that it cannot merge, and not whether it is still looking. What is on the base cannot conflict.
#[test]
fn a_conflict_is_told_from_a_look_that_takes_its_time() {
    let story = shop("autoMerge: bot");
    story.run().exits(0);
    passed(&story);
    story.forge.edit(1, |pull| pull.state_status = Some("UNKNOWN"));
    let before = story.forge.repo.head("tagalong/dev");
    story.run().exits(0).says(&["Forgejo is still checking whether it can be merged"]);
    assert_eq!(story.forge.repo.head("tagalong/dev"), before);
    // The base goes on in the same line: the branch is written anew.
    story.forge.edit(1, |pull| pull.state_status = None);
    let site = story.forge.repo.show("main", "shop.yaml");
    let site = site.replace(":v1.0.0", ":v1.0.0 # here");
    story.forge.repo.commit("main", "A comment", &[("shop.yaml", &site)]);
    assert!(!story.forge.mergeable(1));
    assert_eq!(story.run().exits(0).deliveries(), ["dev updated"]);
    assert!(story.forge.mergeable(1));
}

#[test]
fn a_base_that_has_to_be_in_the_branch_is_brought_there() {
    for is_admin in [true, false] {
        let story = shop("autoMerge: bot");
        story.forge.allows("admin", is_admin);
        story.run().exits(0);
        passed(&story);
        story.forge.repo.commit("main", "Else", &[("else.yaml", "a: 1\n")]);
        story.forge.edit(1, |pull| pull.state_status = Some("BEHIND"));
        let out = story.run().exits(0);
        if is_admin {
            assert_eq!(out.deliveries(), ["dev updated"]);
        } else {
            out.says(&["The head branch is behind the base branch; the branch is brought up to date where the token may read"]);
        }
    }
}

#[test]
fn an_approval_counts_for_its_commit_alone() {
    let story = shop("autoMerge: bot, approval: true");
    story.run().exits(0);
    passed(&story);
    let approve = |early: bool, by: &'static str| {
        story.forge.edit(1, |pull| {
            (pull.reviews, pull.reviewer, pull.is_approved_early) = (vec!["APPROVED"], by, early);
        });
    };
    for (early, by, why) in [
        (true, "ada", "it is of an earlier commit"),
        (false, "forgejo-actions", "no program approves"),
        (false, "bot", "no program approves"),
        (false, "eve", "it is not one that the protection of the base counts"),
        (false, "mallory", "it is not one that the protection of the base counts"),
    ] {
        approve(early, by);
        let why = format!("the approval of `{by}` does not count: {why}");
        story.run().exits(0).says(&["it waits for an approval", &why]);
    }
    for _ in 0..4 {
        story.forge.fault(fault("GET", "1/reviews", 500, "oops"));
    }
    approve(false, "ada");
    story.run().exits(0).says(&["a reviewer wants changes"]);
    // An older version calls none official where nothing is protected; then rights are asked for.
    story.forge.allows("oldVersion", true);
    story.run().exits(0).says(&["it is not one that the protection of the base counts"]);
    story.forge.allows("protected", false);
    story.forge.allows("admin", false);
    story.run().exits(0).says(&["or whoever gave it may not write"]);
    story.forge.allows("admin", true);
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
}

#[test]
fn labels_are_commands_of_people_who_may_write_in_any_case() {
    let story = shop("autoMerge: bot, approval: true");
    story.run().exits(0);
    passed(&story);
    let label = |label: &str, by: &'static str| {
        story.forge.edit(1, |pull| {
            (pull.labels, pull.labelled_by) = (vec![label.to_owned()], by);
        });
    };
    for by in ["eve", "mallory", "forgejo-actions"] {
        label("tagalong:approve", by);
        story.run().exits(0).says(&["`tagalong:approve` does not count"]);
    }
    label("Tagalong:Hold", "ada");
    assert_eq!(story.run().exits(0).deliveries(), ["dev waiting"]);
    // The right that is told of somebody in a team can be one to something else than the code.
    story.forge.allows("teams", true);
    label("tagalong:approve", "grace");
    story.run().exits(0).says(&["`tagalong:approve` does not count: nobody can say who set it"]);
    story.forge.allows("teams", false);
    label("Tagalong:Hold", "ada");
    // Rights that the token may not know let a hold count, and nothing else.
    story.forge.allows("admin", false);
    assert_eq!(story.run().exits(0).deliveries(), ["dev waiting"]);
    label("tagalong:approve", "ada");
    story.run().exits(0).says(&["`tagalong:approve` does not count: nobody can say who set it"]);
    story.forge.allows("admin", true);
    // A new commit takes an approval off that was of another one, however it is written.
    label("Tagalong:APPROVE", "ada");
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.run().exits(0);
    assert_eq!(story.forge.pulls()[0].labels, Vec::<String>::new());
    passed(&story);
    label("tagalong:approve", "ada");
    story.forge.edit(1, |pull| pull.is_approved_early = true);
    story.run().exits(0).says(&["`tagalong:approve` does not count: nobody can say who set it"]);
    // The last of many events counts, also where a part of the list holds three.
    story.forge.allows("smallPages", true);
    label("tagalong:approve", "eve");
    story.forge.edit(1, |pull| {
        pull.is_approved_early = false;
        (pull.earlier, pull.noise) = (vec!["tagalong:approve".into()], 24);
    });
    story.run().exits(0).says(&["`tagalong:approve` does not count: whoever set it may not write"]);
    label("Tagalong:Approve", "ada");
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
}

#[test]
fn a_merge_is_what_was_decided_and_into_the_base() {
    let story = shop("autoMerge: bot");
    story.run().exits(0);
    passed(&story);
    story.forge.when("GET", "pulls/1", |pulls| pulls[0].base = "release".to_owned());
    story.run().exits(0).says(&["its target is another branch by now"]);
    story.forge.edit(1, |pull| pull.base = "main".to_owned());
    story.forge.when("GET", "pulls/1", |pulls| pulls[0].labels.push("Tagalong:Hold".to_owned()));
    story.run().exits(0).says(&["it has the label `tagalong:hold`"]);
    // One by somebody who may not say so is none.
    story.forge.edit(1, |pull| pull.labelled_by = "eve");
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
}

#[test]
fn the_forge_merges_by_itself_where_it_has_something_to_wait_for() {
    let story = shop("autoMerge: forge");
    // While nothing has reported, versions differ in whether they wait.
    story.run().exits(0);
    assert!(!story.forge.pulls()[0].armed);
    running(&story);
    story.run().exits(0);
    assert!(story.forge.pulls()[0].armed);
    story.forge.seen();
    story.run().exits(0);
    assert_eq!(story.forge.writes(), [""; 0]);
    // Without a protection that wants checks, the forge would merge at once.
    let open = shop("autoMerge: forge");
    open.forge.allows("protected", false);
    open.run().exits(0);
    running(&open);
    open.run().exits(0).says(&["the check `test` is not done"]);
    assert!(!open.forge.pulls()[0].armed && !open.forge.pulls()[0].merged);
    // What has passed by now, the bot merges, by the rules of the policy.
    let green = shop("autoMerge: forge");
    green.run().exits(0);
    passed(&green);
    green.forge.edit(1, |pull| pull.armed = false);
    assert_eq!(green.run().exits(0).deliveries(), ["dev merged"]);
    // What is new is not merged as what was enabled before.
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.forge.seen();
    story.run().exits(0);
    let writes = story.forge.writes();
    let at = |part: &str| writes.iter().position(|write| write.contains(part)).unwrap();
    assert!(
        at("DELETE /api/v1/repos/acme/fleet/pulls/1/merge") < at("receive-pack"),
        "{writes:#?}"
    );
    assert!(story.forge.pulls()[0].armed);
    story.forge.edit(1, |pull| pull.labels.push("tagalong:hold".to_owned()));
    story.run().exits(0);
    assert!(!story.forge.pulls()[0].armed);
}

/// What is scheduled names no commit: it is looked at before and after.
#[test]
fn a_schedule_for_another_commit_is_taken_back() {
    let story = shop("autoMerge: forge");
    story.run().exits(0);
    running(&story);
    let repo = story.forge.repo.clone();
    story.forge.when("POST", "1/merge", move |_| {
        repo.commit("tagalong/dev", "Mine", &[("mine.yaml", "a: 1\n")]);
    });
    story.run().says(&["its branch moved meanwhile"]);
    assert!(!story.forge.pulls()[0].armed);
}

/// Closing takes nothing back, and what may not be seen can hide a schedule: before a push it is taken back anyhow.
#[test]
fn a_schedule_that_nobody_sees_is_taken_back_before_a_push() {
    let story = shop("autoMerge: forge");
    story.run().exits(0);
    running(&story);
    story.run().exits(0);
    assert!(story.forge.pulls()[0].armed);
    for noise in [0, 51, 2000] {
        story.forge.edit(1, |pull| (pull.armed, pull.noise) = (true, noise));
        story.registry.push("acme/shop", &[&format!("v2.{noise}.0")]);
        story.forge.seen();
        story.run().exits(0);
        let writes = story.forge.writes();
        let at = |part: &str| writes.iter().position(|write| write.contains(part)).unwrap();
        assert!(
            at("DELETE /api/v1/repos/acme/fleet/pulls/1/merge") < at("receive-pack"),
            "{writes:#?}"
        );
    }
    // A history that cannot be read holds no run up, and is told.
    for _ in 0..4 {
        story.forge.fault(fault("GET", "1/timeline", 500, "oops"));
    }
    story.forge.edit(1, |pull| (pull.armed, pull.noise) = (true, 0));
    story.registry.push("acme/shop", &["v3.0.0"]);
    assert_eq!(story.run().exits(0).deliveries(), ["dev updated"]);
    // Without a merge in the policy as well.
    let plain = shop("draft: false");
    plain.run().exits(0);
    plain.forge.edit(1, |pull| (pull.armed, pull.armed_by) = (true, "ada"));
    plain.registry.push("acme/shop", &["v1.2.0"]);
    plain.run().exits(0);
    assert!(!plain.forge.pulls()[0].armed);
}

/// Only administrators take back what somebody else scheduled.
#[test]
fn a_branch_stays_while_the_forge_may_merge_what_was_before() {
    let story = shop("autoMerge: forge");
    story.run().exits(0);
    running(&story);
    story.run().exits(0);
    let before = story.forge.repo.head("tagalong/dev");
    story.forge.edit(1, |pull| pull.armed_by = "ada");
    story.forge.allows("admin", false);
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.run().exits(1).says(&["#1 may still be merged as what was approved before"]);
    assert_eq!(story.forge.repo.head("tagalong/dev"), before);
    story.forge.allows("admin", true);
    story.forge.when("DELETE", "1/merge", |pulls| {
        (pulls[0].merged, pulls[0].state, pulls[0].armed) = (true, "closed", false);
    });
    story.run().exits(1).says(&["it is merged by now"]);
    assert_eq!(story.forge.repo.head("tagalong/dev"), before);
}
