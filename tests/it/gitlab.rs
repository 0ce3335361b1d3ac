//! Merge requests on GitLab, where they differ from GitHub's pull requests.

use crate::lifecycle::Fleet;
use crate::world::{Bot, Fault, Product, Story, TOKEN, arg};

/// A policy file for one image of a registry.
pub fn policies(host: &str, environments: &str) -> String {
    format!(
        "images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}\nenvironments:\n{environments}"
    )
}

/// One image on GitLab, which runs as v1.0.0 while v1.1.0 is there.
pub fn shop(deliver: &str) -> Story {
    shop_on(Product::GitLab, deliver)
}

/// The same on a forge of a product.
pub fn shop_on(product: Product, deliver: &str) -> Story {
    Story::on(product, |registry| {
        registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
        let environments = format!("  dev: {{paths: ['.'], deliver: {{{deliver}}}}}\n");
        let policies = policies(&registry.host, &environments);
        let site = format!("image: {}/acme/shop:v1.0.0\n", registry.host);
        vec![("policies/p.yaml".to_owned(), policies), ("shop.yaml".to_owned(), site)]
    })
}

/// A failure of a forge by script.
pub fn fault(
    method: &'static str,
    part: &'static str,
    status: u16,
    message: &'static str,
) -> Fault {
    Fault { method, part, status, headers: Vec::new(), message, after_effect: false }
}

pub fn passed(story: &Story) {
    story.forge.edit(1, |pull| {
        pull.checks = vec![serde_json::json!({"name": "test", "conclusion": "SUCCESS"})];
    });
}

pub fn requests(story: &Story) -> usize {
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
