//! Merge requests on GitLab, where they differ from GitHub's pull requests.

use crate::lifecycle::Fleet;
use crate::world::{Bot, Fault, Product, Pull, Repo, Story, TOKEN, World, arg};

/// A policy file for one image of a registry.
fn policies(host: &str, environments: &str) -> String {
    format!(
        "images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}\nenvironments:\n{environments}"
    )
}

/// One image on GitLab, which runs as v1.0.0 while v1.1.0 is there.
fn shop(deliver: &str) -> Story {
    Story::on(Product::GitLab, |registry| {
        registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
        let environments = format!("  dev: {{paths: ['.'], deliver: {{{deliver}}}}}\n");
        let policies = policies(&registry.host, &environments);
        let site = format!("image: {}/acme/shop:v1.0.0\n", registry.host);
        vec![("policies/p.yaml".to_owned(), policies), ("shop.yaml".to_owned(), site)]
    })
}

/// A failure of GitLab by script.
fn fault(method: &'static str, part: &'static str, status: u16, message: &'static str) -> Fault {
    Fault { method, part, status, headers: Vec::new(), message, after_effect: false }
}

fn passed(story: &Story) {
    story.forge.edit(1, |pull| {
        pull.checks = vec![serde_json::json!({"name": "test", "conclusion": "SUCCESS"})];
    });
}

fn requests(story: &Story) -> usize {
    story.forge.seen().iter().filter(|request| request.contains("/api/")).count()
}

#[test]
fn a_merge_request_is_opened_updated_and_left_alone() {
    let story = shop("labels: [bump], reviewers: [ada], assignees: [grace], milestone: '2026-12'");
    assert_eq!(story.run().exits(0).deliveries(), ["dev created"]);
    let pull = story.forge.pulls().remove(0);
    assert_eq!((pull.title.as_str(), pull.draft), ("Update shop to v1.1.0 in dev", false));
    assert_eq!((pull.labels, pull.milestone), (vec!["bump".to_owned()], Some(7)));
    assert_eq!(
        (&*pull.reviewers, &*pull.assignees),
        (&["ada".to_owned()][..], &["grace".to_owned()][..])
    );
    story.forge.seen();
    assert_eq!(story.run().exits(0).deliveries(), ["dev unchanged"]);
    assert_eq!(requests(&story), 3, "the question, the project, the base");
    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run().exits(0).deliveries(), ["dev updated"]);
    assert_eq!(story.forge.pulls()[0].title, "Update shop to v1.2.0 in dev");
    story.forge.edit(1, |pull| pull.state = "closed");
    let out = story.run().exits(0);
    assert_eq!(out.deliveries(), Vec::<String>::new());
    assert!(out.stdout.contains("#1 was closed"), "{}", out.stdout);
}

#[test]
fn a_draft_is_a_title_and_stays_what_people_make_of_it() {
    let story = shop("draft: true, autoMerge: bot");
    story.run().exits(0);
    assert!(story.forge.pulls()[0].draft);
    passed(&story);
    story.run().exits(0).says(&["it is a draft"]);
    // Somebody marks it as ready; a new title does not take that back.
    story.forge.edit(1, |pull| pull.draft = false);
    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run().exits(0).deliveries(), ["dev updated"]);
    let pull = story.forge.pulls().remove(0);
    assert_eq!((pull.title.as_str(), pull.draft), ("Update shop to v1.2.0 in dev", false));
    story.forge.edit(1, |pull| pull.draft = true);
    story.registry.push("acme/shop", &["v1.3.0"]);
    story.run().exits(0);
    let pull = story.forge.pulls().remove(0);
    assert_eq!((pull.title.as_str(), pull.draft), ("Update shop to v1.3.0 in dev", true));
}

/// GitLab obeys lines of descriptions and comments that begin with a slash; its fake here takes each for a mistake.
#[test]
fn no_text_of_ours_commands_gitlab() {
    let story =
        shop("body: \"{{ table }}\\n/merge\\n  /label ~approved\\n\\\\/close\\n/\\rapprove\\n\"");
    assert_eq!(story.run().exits(0).deliveries(), ["dev created"]);
    let body = &story.forge.pulls()[0].body;
    for line in ["\\/merge", "  \\/label ~approved", "\\\\/close", "\\/approve"] {
        assert!(body.lines().any(|there| there == line), "{line}: {body}");
    }
    // It is the text that is wanted, also when it is read again.
    story.forge.seen();
    assert_eq!(story.run().exits(0).deliveries(), ["dev unchanged"]);
    assert_eq!(story.forge.writes(), [""; 0]);
}

#[test]
fn people_that_gitlab_does_not_set_are_named() {
    let story = shop("reviewers: [ada, nobody, acme/platform], labels: [bump]");
    story.run().exits(0).says(&["it did not set nobody, acme/platform (a group,"]);
    let pull = story.forge.pulls().remove(0);
    assert_eq!(
        (&*pull.reviewers, &*pull.labels),
        (&["ada".to_owned()][..], &["bump".to_owned()][..])
    );
    let story = shop("reviewers: [ada, grace]");
    story.forge.allows("takesOne", true);
    story.run().exits(0).says(&["it did not set grace (", "more people than the edition takes"]);
    let story = shop("milestone: gone, labels: [bump]");
    story.run().exits(0).says(&["GitLab does not know an active milestone `gone`"]);
    assert_eq!(story.forge.pulls()[0].labels, ["bump"]);
}

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
    story.run().exits(1).says(&["!1 has labels that cannot be read"]);
    story.forge.edit(1, |pull| (pull.labels, pull.is_locked) = (Vec::new(), true));
    story.run().exits(1).says(&["!1 is merged at this moment"]);
    assert_eq!(story.forge.pulls().len(), 1);
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
    story.forge.edit(1, |pull| pull.labels.clear());
    assert_eq!(story.run().exits(0).deliveries(), ["dev merged"]);
    assert!(!story.forge.pulls()[0].squash);
}

#[test]
fn gitlab_merges_by_itself_where_it_has_something_to_wait_for() {
    let story = shop("autoMerge: forge");
    story.run().exits(0);
    assert!(!story.forge.pulls()[0].armed, "there is no pipeline yet");
    story.forge.edit(1, |pull| {
        pull.checks = vec![serde_json::json!({"name": "test", "conclusion": null})];
    });
    story.run().exits(0);
    assert!(story.forge.pulls()[0].armed);
    story.forge.seen();
    story.run().exits(0);
    assert_eq!(story.forge.writes(), [""; 0]);
    // What has passed by now, GitLab merges at once.
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

#[test]
fn refusals_say_what_to_change() {
    let cases = [
        (401, "401 Unauthorized", "GitLab refuses the token (401): set GITLAB_TOKEN"),
        (403, "insufficient_scope", "it needs the scope `api`, and its account the role Developer"),
        (404, "404 Project Not Found", "GitLab does not know acme/fleet (404)"),
        (301, "", "acme/fleet has moved on GitLab: name its new address"),
        (
            405,
            "Non GET methods are not allowed for moved projects",
            "acme/fleet has moved on GitLab",
        ),
        (500, "oops", "GitLab cannot be reached or fails: 500: oops"),
    ];
    for (status, message, want) in cases {
        let story = shop("draft: false");
        for _ in 0..9 {
            story.forge.fault(fault("GET", "projects/acme%2Ffleet", status, message));
        }
        story.run().exits(1).says(&[want]);
        assert_eq!(story.forge.repo.head("tagalong/dev"), "", "{status}");
    }
    for (setting, is_on, want) in [
        ("archived", true, "serves this project for reading only: it is archived"),
        ("mergeRequests", false, "pull requests are disabled in acme/fleet"),
    ] {
        let story = shop("draft: false");
        story.forge.allows(setting, is_on);
        story.run().exits(1).says(&[want]);
    }
}

#[test]
fn a_limit_is_waited_for_as_long_as_gitlab_says() {
    let story = shop("draft: false");
    let headers = vec![("retry-after", "1")];
    story.forge.fault(Fault { headers, ..fault("POST", "/merge_requests", 429, "Retry later") });
    assert_eq!(story.run().exits(0).deliveries(), ["dev created"]);
    assert_eq!(story.forge.pulls().len(), 1);
}

/// Forks can have branches of the same name, and old merge requests of one branch crowd out those of others.
#[test]
fn no_list_is_believed_in_part() {
    let story = shop("draft: false");
    story.run().exits(0);
    story.forge.crowd("tagalong/dev");
    story.forge.seen();
    assert_eq!(story.run().exits(0).deliveries(), ["dev unchanged"]);
    assert_eq!(story.forge.writes(), [""; 0]);
    let fleet = Fleet::on(Product::GitLab, "group: environment");
    fleet.whole().exits(0);
    fleet.forge.edit(1, |pull| pull.state = "closed");
    fleet.forge.history("tagalong/staging", 120);
    let out = fleet.whole().exits(0);
    assert!(out.stdout.contains("#1 was closed"), "{}", out.stdout);
}

#[test]
fn a_job_knows_its_server_and_its_project() {
    let story = shop("draft: false");
    let url = &story.forge.url;
    let job = |more: &[(&str, &str)]| {
        let own = [
            ("GITLAB_CI", "true"),
            ("CI_SERVER_URL", url.as_str()),
            ("CI_API_V4_URL", &format!("{url}/api/v4")),
            ("CI_PROJECT_PATH", "acme/fleet"),
            ("CI_JOB_TOKEN", TOKEN),
        ];
        let bot: Bot = story.world.bot(["run", "--format", "json"]);
        own.iter().chain(more).fold(bot, |bot, (name, value)| bot.env(name, value)).run()
    };
    // A job's own token reads, and opens no merge requests.
    let said = "CI_JOB_TOKEN cannot open GitLab's merge requests: set GITLAB_TOKEN";
    job(&[]).exits(1).says(&[said]);
    assert_eq!(job(&[("GITLAB_TOKEN", TOKEN)]).exits(0).deliveries(), ["dev created"]);
    // Another server does not see the job's token, and is asked without any.
    let other = story.world.gitlab("other", &[]);
    story.forge.seen();
    job(&[("GITLAB_URL", &other.url), ("TAGALONG_FORGE", "gitlab")]).exits(1);
    assert_eq!(other.seen().iter().filter(|request| !request.contains("(challenged)")).count(), 0);
    assert_eq!(story.forge.seen(), [""; 0]);
}

#[test]
fn groups_have_groups() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let policies = policies(&registry.host, "  dev: {paths: ['.']}\n");
    let site = format!("image: {}/acme/shop:v1.0.0\n", registry.host);
    let files = [("policies/p.yaml", policies.as_str()), ("shop.yaml", site.as_str())];
    let gitlab = world.gitlab("platform/eu/fleet", &files);
    let host = gitlab.url.trim_start_matches("http://");
    for (count, repo) in
        [format!("{host}/acme/platform/eu/fleet"), format!("{}/acme/platform/eu/fleet", gitlab.url)]
            .iter()
            .enumerate()
    {
        let bot = world.bot(["run", "--format", "json", "--repo", repo]);
        let want = if count == 0 { "dev created" } else { "dev unchanged" };
        assert_eq!(gitlab.env(bot).run().exits(0).deliveries(), [want], "{repo}");
    }
    assert!(gitlab.pulls()[0].body.contains("tagalong"));
}

/// A checkout whose origin is on GitLab, written for SSH.
#[test]
fn a_checkout_knows_its_forge_by_its_origin() {
    let story = shop("draft: false");
    let host = story.forge.url.trim_start_matches("http://").split(':').next().unwrap().to_owned();
    let tree = story.world.dir("checkout");
    let git = |args: &[&str]| assert!(Repo::at(tree.clone()).try_git(args).0, "{args:?}");
    git(&["clone", "-q", arg(&story.forge.repo.bare), "."]);
    git(&["remote", "set-url", "origin", &format!("git@{host}:acme/fleet.git")]);
    // Both known forges are here; only one has this token.
    let bot = story.world.bot(["run", "--format", "json"]).directory(&tree);
    let out = story.forge.env(bot).env("GITHUB_SERVER_URL", "https://github.example").run();
    assert_eq!(out.exits(0).deliveries(), ["dev created"]);
}

/// Development on GitHub, production on GitLab; the gate is a status on GitHub.
#[test]
fn a_version_is_promoted_from_github_to_gitlab() {
    let story = Story::on(Product::GitHub, |registry| {
        registry.push("acme/shop", &["v1.0.0"]);
        let site = format!("image: {}/acme/shop:v1.0.0\n", registry.host);
        vec![("dev/shop.yaml".to_owned(), site)]
    });
    let site = format!("image: {}/acme/shop:v1.0.0\n", story.registry.host);
    let there = story.world.gitlab("platform/prod", &[("shop.yaml", &site)]);
    let host = there.url.trim_start_matches("http://").to_owned();
    let name = format!("{host}/acme/platform/prod");
    let environments = format!(
        "  dev: {{paths: [dev]}}\n  production: {{repository: '{name}', paths: ['.'], promoteFrom: dev, \
         require: [healthy], deliver: {{autoMerge: bot}}}}\n"
    );
    let policies = policies(&story.registry.host, &environments);
    story.forge.repo.commit("main", "Policies", &[("policies/p.yaml", &policies)]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let run = |more: &[&str]| {
        there.repo.it_is(story.now.get());
        let now = story.now.get().to_string();
        let args = ["run", "--format", "json", "--repo", "acme/fleet", "--now", &now];
        let bot = story.world.bot(args.iter().copied().chain(more.iter().copied()));
        there
            .variables()
            .into_iter()
            .fold(story.forge.env(bot), |bot, (name, value)| bot.env(name, &value))
            .run()
    };
    // Whoever writes policies leads no token anywhere.
    run(&[]).exits(3).says(&[&format!("name it with --other-repository {name}")]);
    assert_eq!(there.seen(), [""; 0]);
    assert!(story.forge.merge(1));
    let allowed = format!("{host}/acme/*");
    let allowed = ["--other-repository", allowed.as_str()];
    run(&allowed).exits(0);
    story.later(1);
    run(&allowed).exits(0).says(&["healthy"]);
    assert_eq!(there.pulls(), []);
    story.forge.status(&story.forge.repo.head("main"), "healthy", "SUCCESS");
    run(&allowed).exits(0);
    let pull = there.pulls().remove(0);
    assert!(pull.title.contains("production"), "{pull:?}");
    // Where the version was before is a page of the other forge.
    let page = format!("{}/acme/fleet/commit/", story.forge.url);
    assert!(pull.body.contains(&page), "{}", pull.body);
    there.edit(1, |pull| {
        pull.checks = vec![serde_json::json!({"name": "test", "conclusion": "SUCCESS"})];
    });
    run(&allowed).exits(0);
    assert!(there.repo.show("main", "shop.yaml").contains(":v1.1.0"));
    assert_eq!(story.forge.pulls().len(), 1);
}

#[test]
fn the_dashboard_is_an_issue() {
    let story = shop("draft: false");
    story.forge.repo.commit("main", "Dashboard", &[("tagalong.yaml", "dashboard: Images\n")]);
    story.run().exits(0);
    let issues = story.forge.issues();
    assert_eq!((issues.len(), &issues[0]["title"]), (1, &serde_json::json!("Images")));
    // Somebody else's with the same mark is not written to.
    story.forge.open_issue("eve", issues[0]["body"].as_str().unwrap());
    story.forge.seen();
    story.run().exits(0);
    assert_eq!(story.forge.writes(), [""; 0]);
}

#[test]
fn what_gitlab_cannot_do_is_said_before_anything_is_pushed() {
    let story = shop("draft: false");
    story.forge.repo.commit("main", "Settings", &[("tagalong.yaml", "sign: forge\n")]);
    let why = ["`sign: forge`: GitLab makes no commits", "`sign: ssh` or `sign: gpg`"];
    story.bot(&["plan"]).says(&why);
    story.run().exits(1).says(&why);
    assert_eq!(story.forge.repo.heads().as_object().unwrap().len(), 1);
    let story = shop("reviewers: [acme/platform, ada]");
    story
        .bot(&["plan"])
        .exits(0)
        .says(&["asks the team `acme/platform` for a review, and GitLab asks accounts alone"]);
}

/// The fake is not shaped to our client alone.
#[test]
fn another_client_finds_a_gitlab_here() {
    let story = shop("draft: false");
    story.forge.repo.git(&["branch", "mine", "main"]);
    story.forge.repo.commit("mine", "Mine", &[("mine.yaml", "a: 1\n")]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/world/gitbeaker.mjs");
    let packages = crate::world::openapi::npm();
    let mut node = std::process::Command::new("node");
    node.args([script, arg(&packages), &story.forge.url, TOKEN, "acme/fleet", "mine"]);
    let seen = Bot::from(node, &story.world.dir("home")).run().exits(0).json();
    let want = serde_json::json!({
        "made": [1, "Draft: Mine", true, "opened"], "again": 409,
        "set": [["bump", "ours"], ["ada"], false],
        "events": [["add", "bump", "ada"], ["add", "ours", "ada"]],
        "versions": 2, "statuses": 0, "elsewhere": 409, "merged": "merged", "closed": 405, "unknown": 404,
    });
    assert_eq!(seen, want);
    assert_eq!(story.forge.pulls()[0].comments, ["Hello"]);
    assert!(story.forge.repo.show("main", "mine.yaml").contains("a: 1"));
}
