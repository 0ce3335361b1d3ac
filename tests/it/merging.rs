//! What is merged, by whom and when; and what is not.

use crate::lifecycle::{Fleet, IMAGES};
use crate::world::Fault;
use crate::world::story::{Story, shop};

/// An answer that refuses.
fn refused(method: &'static str, part: &'static str, status: u16) -> Fault {
    Fault { method, part, status, headers: Vec::new(), message: "no", after_effect: false }
}

/// An answer to a merge.
fn refusal(status: u16, message: &'static str, after_effect: bool) -> Fault {
    let (method, part, headers) = ("PUT", "/merge", Vec::new());
    Fault { method, part, status, headers, message, after_effect }
}

/// What the checks of its commit say, and whether it is merged.
#[test]
fn the_bot_merges_what_was_checked() {
    type Checks = &'static [(&'static str, Option<&'static str>)];
    let cases: [(&str, Checks, &str, &str); 13] = [
        (
            "checks: [test], ",
            &[("test", Some("SKIPPED")), ("lint", Some("SUCCESS"))],
            "unchanged",
            "`test` has not reported",
        ),
        ("", &[("test", Some("SUCCESS"))], "merged", ""),
        ("", &[("test", Some("SUCCESS")), ("docs", Some("SKIPPED"))], "merged", ""),
        ("", &[], "unchanged", "nothing checked it"),
        ("", &[("docs", Some("SKIPPED"))], "unchanged", "nothing checked it"),
        ("", &[("test", Some("SUCCESS")), ("lint", None)], "unchanged", "`lint` is not done"),
        ("", &[("test", Some("FAILURE"))], "unchanged", "`test` did not pass"),
        ("", &[("test", Some("ACTION_REQUIRED"))], "unchanged", "`test` did not pass"),
        ("checks: [test], ", &[("test", Some("SUCCESS")), ("lint", None)], "merged", ""),
        ("checks: [test], ", &[("lint", Some("SUCCESS"))], "unchanged", "`test` has not reported"),
        (
            "checks: [test], ",
            &[("test", Some("SUCCESS")), ("test", Some("FAILURE"))],
            "unchanged",
            "did not pass",
        ),
        ("withoutChecks: true, ", &[], "merged", ""),
        ("withoutChecks: true, ", &[("test", Some("FAILURE"))], "unchanged", "did not pass"),
    ];
    for (more, checks, outcome, why) in cases {
        let fleet = Fleet::new("autoMerge: off");
        fleet.run(&[]).exits(0);
        fleet.redeliver(&format!("{more}autoMerge: bot"));
        fleet.checks(1, checks);
        let out = fleet.run(&[]).exits(0).says(&[why]);
        assert_eq!(out.deliveries(), [format!("staging {outcome}")], "{more}{checks:?}");
        let merged = fleet.forge.pulls()[0].merged;
        assert_eq!(merged, outcome == "merged", "{more}{checks:?}");
        assert_eq!(fleet.deployed("main", "staging/web.yaml") == "v1.1.0", merged);
    }
}

#[test]
fn what_github_holds_up_is_not_merged() {
    let why = "the repository's rules are not met";
    for (state, outcome, why) in
        [("BLOCKED", "unchanged", why), ("BEHIND", "updated", ""), ("DIRTY", "updated", "")]
    {
        let fleet = Fleet::new("autoMerge: bot");
        fleet.run(&[]).exits(0);
        fleet.checks(1, &[("test", Some("SUCCESS"))]);
        fleet.forge.edit(1, |pull| pull.state_status = Some(state));
        let out = fleet.run(&[]).exits(0).says(&[why]);
        // What is behind the base is made anew from it, and what was checked was another commit.
        assert_eq!(out.deliveries(), [format!("staging {outcome}")], "{state}");
    }
    let fleet = Fleet::new("autoMerge: bot, draft: true");
    fleet.run(&[]).exits(0);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    fleet.run(&[]).exits(0).says(&["it is a draft"]);
    fleet.forge.edit(1, |pull| pull.draft = false);
    fleet.forge.token_is_of("somebody-else");
    fleet.run(&[]).exits(0).says(&["bot opened it"]);
    fleet.forge.token_is_of("bot");
    for method in ["squashMergeAllowed", "mergeCommitAllowed", "rebaseMergeAllowed"] {
        fleet.forge.allows(method, false);
    }
    fleet.run(&[]).exits(0).says(&["the repository does not allow this way to merge"]);
    fleet.forge.allows("rebaseMergeAllowed", true);
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"]);
}

#[test]
fn a_workflows_own_token_starts_no_checks() {
    let fleet = Fleet::new("autoMerge: bot");
    fleet.forge.author_is("github-actions");
    fleet.forge.token_is_of("github-actions[bot]");
    fleet.run(&[]).exits(0);
    fleet.run(&[]).exits(0).says(&["a workflow's own token start no checks"]);
    // A status from elsewhere is not what the repository asks for.
    fleet.checks(1, &[("dco", Some("SUCCESS"))]);
    fleet.run(&[]).exits(0).says(&["a workflow's own token start no checks"]);
    fleet.redeliver("autoMerge: bot, checks: [dco]");
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"]);
}

#[test]
fn reviews_hold_the_bot_up() {
    let fleet = Fleet::new("autoMerge: bot, reviewers: [ada]");
    fleet.run(&[]).exits(0);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    fleet.run(&[]).exits(0).says(&["it waits for a review"]);
    fleet
        .forge
        .edit(1, |pull| (pull.reviewers, pull.reviews) = (vec![], vec!["CHANGES_REQUESTED"]));
    fleet.run(&[]).exits(0).says(&["a reviewer wants changes"]);
    fleet.forge.edit(1, |pull| pull.reviews = vec!["APPROVED"]);
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"]);
}

/// What this run did not decide, it did not look at.
#[test]
fn what_is_only_carried_on_is_not_merged() {
    let fleet = Fleet::new("group: image, autoMerge: bot");
    fleet.run(&[]).exits(0);
    (1..=3).for_each(|number| fleet.checks(number, &[("test", Some("SUCCESS"))]));
    fleet.registry.lies("/acme/web/tags/list", [crate::world::Lie::status(404)]);
    let out = fleet.run(&[]).exits(3).says(&["some of it could not be decided"]);
    assert_eq!(out.deliveries(), ["staging merged", "staging merged", "staging unchanged"]);
}

#[test]
fn limits_are_waited_for_and_end_a_run_in_time() {
    let fleet = Fleet::new("group: image");
    let limited = |seconds: &'static str| Fault {
        method: "POST",
        part: "/pulls",
        status: 403,
        headers: vec![("retry-after", seconds)],
        message: "You have exceeded a secondary rate limit",
        after_effect: false,
    };
    fleet.forge.fault(limited("1"));
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging created"; 3]);
    fleet.forge.seen();
    fleet.registry.push("acme/api", &["v1.2.0"]);
    let fleet = Fleet::new("group: image");
    fleet.forge.fault(limited("18446744073709551615"));
    assert_eq!(fleet.run(&[]).exits(1).deliveries(), ["staging failed"; 3]);
    let asked = fleet.forge.writes().iter().filter(|seen| seen.ends_with("/pulls")).count();
    assert_eq!(asked, 1, "nothing is sent before the time that was told");
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging created"; 3]);
}

#[test]
fn the_answer_to_a_merge_may_be_lost() {
    let fleet = Fleet::new("autoMerge: bot");
    fleet.run(&[]).exits(0);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    fleet.forge.fault(refusal(502, "Bad Gateway", true));
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"]);
}

/// R24 of the requirements: the head moves between the check and the merge.
#[test]
fn a_branch_that_moves_is_not_merged() {
    let fleet = Fleet::new("autoMerge: bot");
    fleet.run(&[]).exits(0);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    fleet.forge.fault(refusal(
        409,
        "Head branch was modified. Review and try the merge again.",
        false,
    ));
    let out = fleet.run(&[]).exits(0).says(&["its branch moved before it was merged"]);
    assert_eq!(out.deliveries(), ["staging unchanged"]);
    // Another merge that was under way is waited for.
    fleet.forge.fault(refusal(
        405,
        "Base branch was modified. Review and try the merge again.",
        false,
    ));
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"]);
}

/// A commit that looks like ours and changes something else.
#[test]
fn what_is_not_exactly_our_edits_is_not_merged() {
    let fleet = Fleet::new("autoMerge: bot");
    fleet.run(&[]).exits(0);
    let repo = &fleet.forge.repo;
    let message = repo.git(&["log", "-1", "--format=%B", "tagalong/staging"]);
    repo.commit_as_bot("tagalong/staging", message.trim(), &[("staging/evil.yaml", "a: 1\n")]);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    let out = fleet.run(&[]).exits(0).says(&["something else than the edits that were planned"]);
    assert_eq!(out.deliveries(), ["staging unchanged"]);
    assert!(!fleet.forge.pulls()[0].merged);
    // Also within one commit.
    let main = repo.head("main");
    repo.git(&["update-ref", "refs/heads/tagalong/staging", &main]);
    let edits = IMAGES.map(|image| {
        let site = format!("image: {}/acme/{image}:v1.1.0\n", fleet.registry.host);
        (format!("staging/{image}.yaml"), site)
    });
    let evil = [("staging/zevil.yaml".to_owned(), "a: 1\n".to_owned())];
    let files: Vec<_> = edits.iter().chain(&evil).map(|(path, text)| (&**path, &**text)).collect();
    repo.commit_as_bot("tagalong/staging", message.trim(), &files);
    fleet.run(&[]).exits(0).says(&["something else than the edits that were planned"]);
    assert!(!fleet.forge.pulls()[0].merged);
    repo.git(&["update-ref", "refs/heads/tagalong/staging", &main]);
    repo.commit_as_bot("tagalong/staging", message.trim(), &files[..3]);
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"]);
}

#[test]
fn all_that_are_ready_are_merged_in_one_run() {
    let fleet = Fleet::new("group: image, autoMerge: bot");
    fleet.whole().exits(0);
    for number in 1..=6 {
        fleet.checks(number, &[("test", Some("SUCCESS"))]);
    }
    fleet.checks(3, &[("test", None)]);
    let mut deliveries = fleet.whole().exits(0).deliveries();
    deliveries.sort();
    let merged = ["prod merged", "prod merged", "prod unchanged"];
    assert_eq!(deliveries, [&merged[..], &["staging merged"; 3]].concat());
    assert_eq!(fleet.open(), ["3 Update web to v1.1.0 in prod"]);
}

/// A word of people or checks while others are merged counts for those that are left.
#[test]
fn what_is_said_while_others_are_merged_counts() {
    type Said = (fn(&mut crate::world::Pull), &'static str);
    let all: [Said; 5] = [
        (|pull| pull.labels.push("tagalong:hold".to_owned()), "it has the label `tagalong:hold`"),
        (|pull| pull.labels.clear(), "it waits for an approval"),
        (|pull| pull.reviews = vec!["CHANGES_REQUESTED"], "a reviewer wants changes"),
        (|pull| pull.state = "closed", "it is not open any more"),
        (
            |pull| pull.checks = vec![serde_json::json!({"name": "test", "conclusion": "FAILURE"})],
            "`test` did not pass",
        ),
    ];
    for (change, says) in all {
        let fleet = Fleet::new("group: image, autoMerge: bot, approval: true");
        fleet.run(&[]).exits(0);
        for number in 1..=3 {
            fleet.checks(number, &[("test", Some("SUCCESS"))]);
            fleet.forge.edit(number, |pull| pull.labels = vec![APPROVE.to_owned()]);
        }
        fleet.forge.when("PUT", "/merge", move |pulls| change(&mut pulls[2]));
        let out = fleet.run(&[]).exits(0).says(&[says]);
        let merged: Vec<bool> = fleet.forge.pulls().iter().map(|pull| pull.merged).collect();
        assert_eq!(merged, [true, true, false], "{says}: {}", out.stdout);
    }
}

/// Two images on neighbouring lines, each with an open pull request.
fn neighbours() -> Fleet {
    let fleet = Fleet::new("group: image, autoMerge: bot, withoutChecks: true");
    let host = &fleet.registry.host;
    let both =
        format!("a: {{image: {host}/acme/api:v1.0.0}}\nb: {{image: {host}/acme/web:v1.0.0}}\n");
    fleet.forge.repo.commit("main", "Both", &[("staging/both.yaml", &both)]);
    fleet.run(&[]).exits(0);
    fleet
}

/// A run that merges, plans anew and fails then says what it merged.
#[test]
fn what_was_merged_is_told_whatever_comes_then() {
    let fleet = neighbours();
    fleet.forge.seen();
    fleet.run(&[]).exits(0);
    let seen = fleet.forge.seen();
    let merge = seen.iter().position(|request| request.contains("/merge")).unwrap();
    let mut failed = 0;
    for left in merge + 1..seen.len() {
        let fleet = neighbours();
        drop(fleet.forge.ambush(left, false));
        let out = fleet.run(&[]);
        let merged = fleet.forge.pulls().iter().filter(|pull| pull.merged).count();
        let told = out.deliveries();
        let told = told.iter().filter(|told| *told == "staging merged").count();
        assert_eq!(told, merged, "{left}: {}", out.stdout);
        failed += usize::from(out.json()["diagnostics"].to_string().contains("run.failed"));
    }
    assert!(failed > 0);
}

/// The second merge conflicts with the first, and is made anew.
#[test]
fn a_conflict_with_what_was_merged_is_planned_anew() {
    let fleet = neighbours();
    let deliveries = fleet.run(&[]).exits(0).deliveries();
    assert!(deliveries.contains(&"staging updated".to_owned()), "{deliveries:?}");
    fleet.run(&[]).exits(0);
    let both = fleet.forge.repo.show("main", "staging/both.yaml");
    assert!(both.contains("api:v1.1.0") && both.contains("web:v1.1.0"), "{both}");
    assert_eq!(fleet.open(), Vec::<String>::new());
}

#[test]
fn github_merges_when_it_may() {
    let fleet = Fleet::new("autoMerge: forge");
    fleet.run(&[]).exits(0).says(&["auto-merge has nothing to wait for"]);
    assert!(!fleet.forge.pulls()[0].armed);
    fleet.forge.edit(1, |pull| pull.state_status = Some("BLOCKED"));
    fleet.run(&[]).exits(0);
    assert!(fleet.forge.pulls()[0].armed);
    fleet.forge.seen();
    fleet.run(&[]).exits(0);
    assert_eq!(fleet.forge.seen().iter().filter(|seen| seen.contains("graphql")).count(), 1);
    // What a person changed is a person's to merge.
    fleet.forge.repo.commit("tagalong/staging", "Mine", &[("staging/extra.yaml", "a: 1\n")]);
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging frozen"]);
    assert!(!fleet.forge.pulls()[0].armed);
    // Nor what people hold, or what is not to be merged any more; what a person switched on stays on.
    for (deliver, label, by, stays) in [
        ("autoMerge: github", "tagalong:hold", "bot", false),
        ("autoMerge: off", "x", "bot", false),
        ("autoMerge: off", "x", "ada", true),
    ] {
        let fleet = Fleet::new(deliver);
        fleet.run(&[]).exits(0);
        fleet.forge.edit(1, |pull| {
            (pull.armed, pull.armed_by, pull.labels) = (true, by, vec![label.to_owned()]);
        });
        fleet.run(&[]).exits(0);
        assert_eq!(fleet.forge.pulls()[0].armed, stays, "{deliver} {label} {by}");
    }
    let fleet = Fleet::new("autoMerge: forge");
    fleet.forge.allows("autoMergeAllowed", false);
    fleet.run(&[]).exits(0).says(&["settings do not allow auto-merge"]);
}

#[test]
fn a_merge_queue_merges_in_its_turn() {
    for by in ["bot", "github"] {
        let fleet = Fleet::new(&format!("autoMerge: {by}"));
        fleet.forge.allows("mergeQueue", true);
        fleet.run(&[]).exits(0);
        fleet.checks(1, &[("test", Some("SUCCESS"))]);
        let out = fleet.run(&[]).exits(0).says(&["it waits in the merge queue"]);
        assert_eq!(out.deliveries(), ["staging unchanged"], "{by}");
        assert!(fleet.forge.pulls()[0].queued, "{by}");
        fleet.forge.seen();
        fleet.run(&[]).exits(0).says(&["it waits in the merge queue"]);
        assert_eq!(fleet.forge.writes(), Vec::<String>::new(), "{by}");
        // What the queue puts onto the base need not be made anew, and would fall out of it.
        fleet.forge.edit(1, |pull| pull.state_status = Some("BEHIND"));
        fleet.run(&[]).exits(0).says(&["it waits in the merge queue"]);
        assert_eq!(fleet.forge.writes(), Vec::<String>::new(), "{by}");
        assert!(fleet.forge.merge(1));
        fleet.run(&[]).exits(0);
        assert_eq!(fleet.deployed("main", "staging/web.yaml"), "v1.1.0");
    }
    // What was not checked does not get there.
    let fleet = Fleet::new("autoMerge: bot");
    fleet.forge.allows("mergeQueue", true);
    fleet.run(&[]).exits(0);
    fleet.checks(1, &[("test", Some("FAILURE"))]);
    fleet.run(&[]).exits(0).says(&["`test` did not pass"]);
    assert!(!fleet.forge.pulls()[0].queued);
}

/// A queue asks for what rules require; what people say beside that counts here as everywhere.
#[test]
fn a_merge_queue_gets_only_what_may_be_merged() {
    type Change = fn(&mut crate::world::Pull);
    let cases: [(&str, Change); 3] = [
        ("it is a draft", |pull| pull.draft = true),
        ("a reviewer wants changes", |pull| pull.reviews = vec!["CHANGES_REQUESTED"]),
        ("it waits for a review", |pull| pull.reviewers = vec!["ada".to_owned()]),
    ];
    for (why, change) in cases {
        let fleet = Fleet::new("autoMerge: bot");
        fleet.forge.allows("mergeQueue", true);
        fleet.run(&[]).exits(0);
        fleet.checks(1, &[("test", Some("SUCCESS"))]);
        fleet.forge.edit(1, |pull| pull.state_status = Some("BLOCKED"));
        fleet.forge.edit(1, change);
        fleet.run(&[]).exits(0).says(&[why]);
        assert!(!fleet.forge.pulls()[0].queued, "{why}");
        // And what is there already is taken out when somebody holds it.
        fleet.forge.edit(1, |pull| {
            (pull.queued, pull.labels) = (true, vec!["tagalong:hold".to_owned()]);
        });
        fleet.run(&[]).exits(0);
        assert!(!fleet.forge.pulls()[0].queued, "{why}");
    }
}

#[test]
fn somebody_has_to_approve_where_that_is_wanted() {
    for by in ["bot", "github"] {
        let fleet = Fleet::new(&format!("autoMerge: {by}, approval: true"));
        fleet.run(&[]).exits(0);
        fleet.checks(1, &[("test", Some("SUCCESS"))]);
        fleet.run(&[]).exits(0).says(&["it waits for an approval"]);
        // A label of somebody who may only triage is no approval.
        fleet.forge.edit(1, |pull| {
            (pull.labels, pull.labelled_by) = (vec!["tagalong:approve".to_owned()], "eve");
        });
        fleet.run(&[]).exits(0).says(&["it waits for an approval"]);
        assert!(!fleet.forge.pulls()[0].armed && !fleet.forge.pulls()[0].merged, "{by}");
        fleet.forge.edit(1, |pull| pull.labelled_by = "ada");
        // What was approved is merged, and not what came after it.
        fleet.registry.push("acme/shop", &["v1.2.0"]);
        assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging updated"], "{by}");
        fleet.run(&[]).exits(0).says(&["it waits for an approval"]);
        fleet.forge.edit(1, |pull| pull.labels = vec!["tagalong:approve".to_owned()]);
        assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"], "{by}");
    }
    let fleet = Fleet::new("autoMerge: bot, approval: true");
    fleet.run(&[]).exits(0);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    fleet.forge.edit(1, |pull| pull.reviews = vec!["APPROVED"]);
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"]);
}

const APPROVE: &str = "tagalong:approve";

/// One that is approved and waits, whose content changes next.
fn approved(by: &str) -> Fleet {
    let fleet = Fleet::new(&format!("autoMerge: {by}, approval: true"));
    fleet.run(&[]).exits(0);
    fleet.checks(1, &[("test", None)]);
    fleet.forge.edit(1, |pull| {
        (pull.labels, pull.state_status) = (vec![APPROVE.to_owned()], Some("BLOCKED"));
    });
    fleet.run(&[]).exits(0);
    assert_eq!(fleet.forge.pulls()[0].armed, by == "github");
    fleet.registry.push("acme/shop", &["v1.2.0"]);
    fleet
}

/// What was armed for one commit is not armed for the next one.
#[test]
fn what_was_armed_is_disarmed_before_its_branch_moves() {
    for person in ["bot", "ada"] {
        let fleet = approved("github");
        fleet.forge.edit(1, |pull| pull.armed_by = person);
        assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging updated"]);
        assert!(!fleet.forge.pulls()[0].armed, "{person}");
        fleet.run(&[]).exits(0).says(&["it waits for an approval"]);
        assert!(!fleet.forge.pulls()[0].armed, "{person}");
    }
    // What cannot be disarmed is not written.
    let fleet = approved("github");
    let before = fleet.forge.repo.head("tagalong/staging");
    fleet.forge.fault(refused("POST", "disablePullRequestAutoMerge", 403));
    let out = fleet.run(&[]).exits(1).says(&["its branch stays as it is"]);
    assert_eq!(out.deliveries(), ["staging failed"]);
    assert_eq!(fleet.forge.repo.head("tagalong/staging"), before);
    // An approval that is gone disarms.
    let fleet = approved("github");
    fleet.forge.edit(1, |pull| pull.labels.clear());
    fleet.registry.push("acme/shop", &["v1.1.0"]);
    fleet.run(&["--image", "web"]);
    assert!(!fleet.forge.pulls()[0].armed);
}

/// A label of approval is of the commit that it was set at, however a run ends.
#[test]
fn an_approval_is_of_one_commit() {
    // The label cannot be taken off: nothing is written.
    let fleet = approved("bot");
    let before = fleet.forge.repo.head("tagalong/staging");
    fleet.forge.fault(refused("DELETE", "/labels", 403));
    assert_eq!(fleet.run(&[]).exits(1).deliveries(), ["staging failed"]);
    assert_eq!(fleet.forge.repo.head("tagalong/staging"), before);
    // The page cannot be written: what is set then is of what it said before.
    for part in ["/pulls/1", "/labels"] {
        let fleet = approved("bot");
        let method = if part == "/labels" { "GET" } else { "PATCH" };
        fleet.forge.fault(refused(method, part, 403));
        fleet.run(&[]);
        fleet.forge.edit(1, |pull| {
            pull.labels = vec![APPROVE.to_owned()];
            pull.state_status = None;
        });
        fleet.checks(1, &[("test", Some("SUCCESS"))]);
        fleet.run(&[]).says(&["set it again"]);
        assert!(!fleet.forge.pulls()[0].merged, "{part}");
        // Set again, it counts.
        fleet.forge.edit(1, |pull| pull.labels = vec![APPROVE.to_owned()]);
        assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"], "{part}");
    }
}

/// Nobody's labels crowd a person's out, and no program approves.
#[test]
fn who_set_a_label_is_known_or_counts_for_nothing() {
    for (label, by, noise, merged) in [
        (APPROVE, "ada", 0, true),
        (APPROVE, "ada", 250, true),
        (APPROVE, "bot", 0, false),
        (APPROVE, "helper[bot]", 0, false),
        (APPROVE, "eve", 0, false),
        (APPROVE, "ada", 4_000, false),
    ] {
        let fleet = Fleet::new("autoMerge: bot, approval: true");
        fleet.run(&[]).exits(0);
        fleet.checks(1, &[("test", Some("SUCCESS"))]);
        fleet.forge.edit(1, |pull| {
            (pull.labels, pull.labelled_by, pull.noise) = (vec![label.to_owned()], by, noise);
            // Somebody with the right to write had set and taken off the same one before.
            pull.earlier = vec![APPROVE.to_owned()];
        });
        let out = fleet.run(&[]).exits(0);
        assert_eq!(fleet.forge.pulls()[0].merged, merged, "{by} {noise} {}", out.stdout);
    }
    for (noise, merged) in [(0, false), (150, false), (4_000, false)] {
        let fleet = Fleet::new("autoMerge: bot");
        fleet.run(&[]).exits(0);
        fleet.checks(1, &[("test", Some("SUCCESS"))]);
        fleet.forge.edit(1, |pull| {
            (pull.labels, pull.noise) = (vec!["tagalong:hold".to_owned()], noise);
        });
        fleet.run(&[]).exits(0).says(&["tagalong:hold"]);
        assert_eq!(fleet.forge.pulls()[0].merged, merged, "{noise}");
    }
}

/// Reviews of programs, and more of them than are read, approve nothing.
#[test]
fn a_review_is_a_persons() {
    for (reviewer, count, merged) in
        [("ada", 1, true), ("helper[bot]", 1, false), ("ada", 60, false)]
    {
        let fleet = Fleet::new("autoMerge: bot, approval: true");
        fleet.run(&[]).exits(0);
        fleet.checks(1, &[("test", Some("SUCCESS"))]);
        fleet.forge.edit(1, |pull| {
            (pull.reviews, pull.reviewer) = (vec!["APPROVED"; count], reviewer);
        });
        let out = fleet.run(&[]).exits(0);
        assert_eq!(fleet.forge.pulls()[0].merged, merged, "{reviewer} {count} {}", out.stdout);
    }
}

/// Outsiders open pull requests from branches of the same name: ours is found all the same, and so is a person's no.
#[test]
fn forks_do_not_push_ours_out() {
    let fleet = Fleet::new("autoMerge: bot");
    fleet.run(&[]).exits(0);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    fleet.forge.crowd("tagalong/staging");
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"]);
    let fleet = Fleet::new("autoMerge: off");
    fleet.run(&[]).exits(0);
    fleet.forge.edit(1, |pull| pull.state = "closed");
    fleet.forge.crowd("tagalong/staging");
    for number in 2..=fleet.forge.pulls().len() as u64 {
        fleet.forge.edit(number, |pull| pull.state = "closed");
    }
    fleet.run(&[]).exits(0);
    assert!(fleet.forge.pulls().iter().all(|pull| pull.fork || pull.number == 1));
}

/// A status of the same name by somebody else is not the one that is meant.
#[test]
fn a_check_is_of_who_reports_it() {
    let checks = "checks: [{name: ci, app: github-actions}], autoMerge: bot";
    for (by, context, passed, merged, why) in [
        ("github-actions", false, "SUCCESS", true, ""),
        (
            "evil-app",
            false,
            "SUCCESS",
            false,
            "the check `ci` of `github-actions` has not reported",
        ),
        ("eve", true, "SUCCESS", false, "the check `ci` of `github-actions` has not reported"),
        ("github-actions[bot]", true, "SUCCESS", true, ""),
        ("github-actions", false, "FAILURE", false, "did not pass"),
    ] {
        let fleet = Fleet::new(checks);
        fleet.run(&[]).exits(0);
        let check = if context {
            serde_json::json!({"context": "ci", "state": passed, "by": by})
        } else {
            serde_json::json!({"name": "ci", "conclusion": passed, "by": by})
        };
        fleet.forge.edit(1, |pull| pull.checks = vec![check]);
        fleet.run(&[]).exits(0).says(&[why]);
        assert_eq!(fleet.forge.pulls()[0].merged, merged, "{by} {context}");
    }
    // A check without `app` counts whoever reports it, and the reporter is named.
    let fleet = Fleet::new("checks: [ci], autoMerge: bot");
    fleet.run(&[]).exits(0);
    let check = serde_json::json!({"context": "ci", "state": "SUCCESS", "by": "eve"});
    fleet.forge.edit(1, |pull| pull.checks = vec![check]);
    fleet.run(&[]).exits(0).says(&["`ci` (by eve) counted by name alone"]);
}

/// The commit that a branch begins at is looked for in the history of its base, which has to have it.
#[test]
fn a_branch_may_be_behind_its_base_and_must_stand_on_it() {
    for (commits, newer) in [("change-set", 1), ("image", 1), ("change-set", 70), ("image", 70)] {
        let fleet = Fleet::new(&format!("autoMerge: bot, commits: {commits}"));
        fleet.run(&[]).exits(0);
        let repo = &fleet.forge.repo;
        for number in 0..newer {
            repo.commit("main", "Others", &[("docs/a.md", &format!("{number}\n"))]);
        }
        fleet.checks(1, &[("test", Some("SUCCESS"))]);
        fleet.forge.seen();
        let out = fleet.run(&[]).exits(0);
        assert_eq!(out.deliveries(), ["staging merged"], "{commits} {newer}: {}", out.stdout);
        let fetches = fleet.forge.seen();
        let fetches = fetches.iter().filter(|seen| seen.starts_with("POST /acme/fleet.git/git-up"));
        assert_eq!(fetches.count(), if newer == 1 { 2 } else { 3 }, "{commits} {newer}");
    }
    let fleet = Fleet::new("autoMerge: bot");
    fleet.run(&[]).exits(0);
    let repo = &fleet.forge.repo;
    let message = repo.git(&["log", "-1", "--format=%B", "tagalong/staging"]);
    repo.git(&["update-ref", "refs/heads/tagalong/staging", "main"]);
    repo.commit("tagalong/staging", "Beneath", &[("staging/evil.yaml", "a: 1\n")]);
    let edits = IMAGES.map(|image| {
        let site = format!("image: {}/acme/{image}:v1.1.0\n", fleet.registry.host);
        (format!("staging/{image}.yaml"), site)
    });
    let files = edits.each_ref().map(|(path, text)| (&**path, &**text));
    repo.commit_as_bot("tagalong/staging", message.trim(), &files);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    fleet.run(&[]).exits(0).says(&["something else than the edits that were planned"]);
    assert!(!fleet.forge.pulls()[0].merged);
}

/// A comparison by GitHub lists 300 files.
#[test]
fn as_many_files_as_there_are_can_be_merged() {
    let story = Story::of(|registry| {
        registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
        let mut files = shop(&registry.host);
        files[0].1 +=
            "environments: {all: {paths: ['*'], deliver: {autoMerge: bot, withoutChecks: true}}}\n";
        let site = files[1].1.clone();
        files.extend((0..310).map(|number| (format!("apps/{number}.yaml"), site.clone())));
        files
    });
    story.run().exits(0);
    assert_eq!(story.run().exits(0).deliveries(), ["all merged"]);
}

/// The planned contents under another mode: GitHub's comparison does not tell.
#[test]
fn a_file_that_became_a_program_is_not_merged() {
    let fleet = Fleet::new("autoMerge: bot");
    fleet.run(&[]).exits(0);
    let repo = &fleet.forge.repo;
    let tree = repo.git(&["ls-tree", "-r", "tagalong/staging"]);
    let forged = tree.replace("100644 blob", "100755 blob");
    let message = repo.git(&["log", "-1", "--format=%B", "tagalong/staging"]);
    let forged = repo.tree_of(&forged);
    repo.commit_tree_as_bot("tagalong/staging", message.trim(), &forged);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    fleet.run(&[]).exits(0).says(&["something else than the edits that were planned"]);
    assert!(!fleet.forge.pulls()[0].merged);
}

/// What waits in the queue is taken out when nobody approves it any more.
#[test]
fn an_approval_that_is_gone_leaves_the_queue() {
    let fleet = Fleet::new("autoMerge: bot, approval: true");
    fleet.forge.allows("mergeQueue", true);
    fleet.run(&[]).exits(0);
    fleet.checks(1, &[("test", Some("SUCCESS"))]);
    fleet.forge.edit(1, |pull| pull.labels = vec![APPROVE.to_owned()]);
    fleet.run(&[]).exits(0).says(&["it waits in the merge queue"]);
    assert!(fleet.forge.pulls()[0].queued);
    fleet.forge.edit(1, |pull| pull.labels.clear());
    fleet.run(&[]).exits(0).says(&["it waits for an approval"]);
    assert!(!fleet.forge.pulls()[0].queued);
}
