//! Merges on GitLab: what counts as checked and approved, and what stands against one.

use crate::gitlab::{fault, passed, shop};
use crate::world::{Fault, Pull};

#[test]
fn the_bot_merges_what_was_checked_at_its_commit() {
    let story = shop("autoMerge: bot");
    story.run().exits(0);
    story.run().exits(0).says(&["nothing checked it"]);
    passed(&story);
    // The first answers after a push are that GitLab is still looking.
    story.forge.looks(2);
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
    assert!(story.forge.pulls()[0].merged);
    assert!(story.forge.repo.show("main", "shop.yaml").contains(":v1.1.0"));
}

#[test]
fn a_merge_that_gitlab_refuses_says_why() {
    type Change = fn(&mut Pull);
    let cases: [(&str, Change, &str); 4] = [
        ("BLOCKED", |_| {}, "the repository's rules are not met"),
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
    story.forge.fault(fault("PUT", "1/merge", 409, "SHA does not match HEAD of source branch: 1"));
    story.run().exits(0).says(&["its branch moved before it was merged"]);
    story.forge.fault(fault("PUT", "1/merge", 401, "401 Unauthorized"));
    story.run().says(&["Maintainer where it merges into a protected branch"]);
    // An answer that is lost after the effect is no failure.
    story.forge.fault(Fault { after_effect: true, ..fault("PUT", "1/merge", 502, "") });
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
}

/// Approvals of GitLab are of a merge request; here one counts for the commit that it was given at.
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
        (false, "renovate_bot", "no program approves"),
        (false, "bot", "no program approves"),
        (false, "eve", "whoever gave it may not write"),
        (false, "mallory", "whoever gave it may not write"),
    ] {
        approve(early, by);
        let why = format!("the approval of `{by}` does not count: {why}");
        story.run().exits(0).says(&["it waits for an approval", &why]);
    }
    // An older GitLab does not say when.
    story.forge.allows("oldVersion", true);
    approve(false, "ada");
    story.run().exits(0).says(&["does not say when it was given"]);
    story.forge.allows("oldVersion", false);
    approve(false, "ada");
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
}

#[test]
fn labels_are_commands_of_people_who_may_push_in_any_case() {
    let story = shop("autoMerge: bot, approval: true");
    story.run().exits(0);
    passed(&story);
    let label = |label: &str, by: &'static str| {
        story.forge.edit(1, |pull| {
            (pull.labels, pull.labelled_by) = (vec![label.to_owned()], by);
        });
    };
    // A Reporter, somebody who is no member, and a bot.
    for by in ["eve", "mallory", "group_9_bot_1"] {
        label("tagalong:approve", by);
        story.run().exits(0).says(&["`tagalong:approve` does not count"]);
    }
    label("Tagalong:Hold", "ada");
    let held = story.run().exits(0);
    assert_eq!(held.deliveries(), ["dev waiting"]);
    // A new commit takes an approval off that was of another one, however it is written.
    label("Tagalong:APPROVE", "ada");
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.run().exits(0);
    assert_eq!(story.forge.pulls()[0].labels, Vec::<String>::new());
    passed(&story);
    // A label that was renamed keeps its events, which are older than the branch.
    label("tagalong:approve", "ada");
    story.forge.edit(1, |pull| pull.is_approved_early = true);
    story.run().exits(0).says(&["`tagalong:approve` does not count: nobody can say who set it"]);
    // One that was taken off says nothing of another spelling, which somebody set who may not push.
    story.forge.edit(1, |pull| {
        pull.is_approved_early = false;
        (pull.earlier, pull.taken_off) =
            (vec!["Tagalong:approve".into()], vec!["Tagalong:approve".into()]);
        pull.labelled_by = "eve";
    });
    story.run().exits(0).says(&["`tagalong:approve` does not count: whoever set it may not write"]);
    // Nor does one that was renamed after it was set.
    label("tagalong:approve", "ada");
    story.forge.edit(1, |pull| {
        (pull.earlier, pull.taken_off, pull.is_renamed) = (Vec::new(), Vec::new(), true);
    });
    story.run().exits(0).says(&["`tagalong:approve` does not count: nobody can say who set it"]);
    story.forge.edit(1, |pull| pull.is_renamed = false);
    label("tagalong:approve", "eve");
    // Events that the token may not see do not end the list.
    story.forge.edit(1, |pull| {
        (pull.earlier, pull.taken_off, pull.noise) =
            (vec!["tagalong:approve".into()], Vec::new(), 250);
    });
    story.run().exits(0).says(&["`tagalong:approve` does not count: whoever set it may not write"]);
    label("Tagalong:Approve", "ada");
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
}

/// What cannot be seen of a merge request may stand against it.
#[test]
fn what_is_not_seen_never_allows() {
    let story = shop("autoMerge: bot");
    story.run().exits(0);
    passed(&story);
    story.forge.edit(1, |pull| pull.reviewers = vec!["hidden".to_owned()]);
    story.run().exits(0).says(&["a reviewer wants changes"]);
    story.forge.edit(1, |pull| pull.reviewers = (0..120).map(|n| format!("user{n}")).collect());
    story.run().exits(0).says(&["a reviewer wants changes"]);
    story.forge.edit(1, |pull| {
        pull.reviewers = Vec::new();
        pull.labels = (0..120).map(|n| format!("label{n}")).collect();
    });
    assert_eq!(story.run().exits(0).deliveries(), ["dev waiting"]);
    // What GitLab merges at this moment is left to it.
    story.forge.edit(1, |pull| (pull.labels, pull.is_locked) = (Vec::new(), true));
    story.registry.push("acme/shop", &["v1.2.0"]);
    let before = story.forge.repo.head("tagalong/dev");
    assert_eq!(story.run().exits(0).deliveries(), ["dev waiting"]);
    assert_eq!((story.forge.pulls().len(), story.forge.repo.head("tagalong/dev")), (1, before));
    // Checks and approvals that cannot be read hold one merge request, and not the run.
    story.forge.edit(1, |pull| pull.is_locked = false);
    story.run().exits(0);
    passed(&story);
    for _ in 0..4 {
        story.forge.fault(fault("GET", "/statuses", 500, "oops"));
    }
    story.run().exits(0).says(&["not all of its checks can be read"]);
}

/// GitLab answers that it stopped also where it did not.
#[test]
fn a_branch_stays_while_gitlab_may_merge_what_was_before() {
    let story = shop("autoMerge: forge");
    story.run().exits(0);
    story.forge.edit(1, |pull| {
        pull.checks = vec![serde_json::json!({"name": "test", "conclusion": null})];
    });
    story.run().exits(0);
    let before = story.forge.repo.head("tagalong/dev");
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.forge.edit(1, |pull| pull.stays_armed = true);
    story.run().exits(1).says(&["#1 may still be merged as what was approved before"]);
    assert_eq!(story.forge.repo.head("tagalong/dev"), before);
    // It is merged at the moment at which it is to stop.
    story.forge.edit(1, |pull| pull.stays_armed = false);
    story.forge.when("POST", "cancel_merge", |pulls| pulls[0].state = "closed");
    story.run().exits(1).says(&["it is closed by now"]);
    assert_eq!(story.forge.repo.head("tagalong/dev"), before);
}

#[test]
fn a_merge_is_what_was_decided_and_into_the_base() {
    let story = shop("autoMerge: bot, mergeMethod: merge");
    story.run().exits(0);
    passed(&story);
    story.forge.edit(1, |pull| pull.squash = true);
    story.forge.when("PUT", "merge_requests/1", |pulls| pulls[0].base = "release".to_owned());
    story.run().exits(0).says(&["its target is another branch by now"]);
    story.forge.edit(1, |pull| pull.base = "main".to_owned());
    story.forge.looks(2);
    story.forge.when("PUT", "1/merge", |pulls| pulls[0].labels.push("Tagalong:Hold".to_owned()));
    story.run().exits(0).says(&["it has the label `tagalong:hold`"]);
    // One by somebody who may not say so is none, then as before.
    story.forge.edit(1, |pull| pull.labelled_by = "eve");
    story.forge.allows("ruleSquashes", true);
    story.run().exits(0).says(&["says otherwise of squashing"]);
    story.forge.allows("ruleSquashes", false);
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
    assert!(!story.forge.pulls()[0].squash);
}

#[test]
fn gitlab_merges_by_itself_where_it_has_something_to_wait_for() {
    let story = shop("autoMerge: forge");
    story.run().exits(0);
    // Without a pipeline GitLab would merge at once.
    let out = story.run().exits(0).says(&["nothing checked it"]);
    assert_eq!(out.deliveries(), ["dev unchanged"]);
    assert!(!story.forge.pulls()[0].armed && !story.forge.pulls()[0].merged);
    story.forge.edit(1, |pull| {
        pull.checks = vec![serde_json::json!({"name": "test", "conclusion": null})];
    });
    story.run().exits(0);
    assert!(story.forge.pulls()[0].armed);
    story.forge.seen();
    story.run().exits(0);
    assert_eq!(story.forge.writes(), [""; 0]);
    // What has passed by now, the bot merges, by the rules of the policy.
    let unnamed = shop("autoMerge: forge, checks: [e2e]");
    unnamed.run().exits(0);
    passed(&unnamed);
    unnamed.run().exits(0).says(&["`e2e` has not reported"]);
    assert!(!unnamed.forge.pulls()[0].merged);
    let green = shop("autoMerge: forge");
    green.run().exits(0);
    passed(&green);
    assert_eq!(green.run().exits(0).deliveries(), ["dev merged"]);
    // A train is waited for, and not passed.
    let train = shop("autoMerge: forge");
    train.forge.allows("mergeQueue", true);
    train.run().exits(0);
    passed(&train);
    train.run().exits(0);
    assert!(train.forge.pulls()[0].queued);
    // What is new is not merged as what was enabled before.
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.forge.seen();
    story.run().exits(0);
    let writes = story.forge.writes();
    let at = |part: &str| writes.iter().position(|write| write.contains(part)).unwrap();
    assert!(at("cancel_merge_when_pipeline_succeeds") < at("receive-pack"), "{writes:#?}");
    story.forge.edit(1, |pull| pull.labels.push("tagalong:hold".to_owned()));
    story.run().exits(0);
    assert!(!story.forge.pulls()[0].armed);
}

#[test]
fn a_merge_train_is_a_queue() {
    let story = shop("autoMerge: bot");
    story.forge.allows("mergeQueue", true);
    story.run().exits(0);
    passed(&story);
    story.run().exits(0).says(&["it waits in the merge queue"]);
    assert!(story.forge.pulls()[0].queued);
    story.forge.seen();
    story.run().exits(0);
    assert_eq!(story.forge.writes(), [""; 0]);
    story.forge.edit(1, |pull| pull.labels.push("tagalong:hold".to_owned()));
    story.run().exits(0);
    assert!(!story.forge.pulls()[0].queued);
}
