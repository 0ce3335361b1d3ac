//! Pull requests on Forgejo and Gitea, where they differ from GitHub's.

use crate::gitlab::{fault, requests, shop_on};
use crate::lifecycle::Fleet;
use crate::world::{Bot, Fault, Product, Story, TOKEN, arg};

/// One image on Forgejo, which runs as v1.0.0 while v1.1.0 is there.
pub fn shop(deliver: &str) -> Story {
    shop_on(Product::Forgejo, deliver)
}

#[test]
fn a_pull_request_is_opened_updated_and_left_alone() {
    let story = shop(
        "labels: [bump, bug, of-all], reviewers: [ada, acme/platform], assignees: [grace], milestone: '2026-12'",
    );
    assert_eq!(story.run().exits(0).deliveries(), ["dev created"]);
    let pull = story.forge.pulls().remove(0);
    assert_eq!((pull.title.as_str(), pull.draft), ("Update shop to v1.1.0 in dev", false));
    // What is not there is made, what the organisation has is not.
    assert_eq!(
        (pull.labels, pull.milestone),
        (["bump", "bug", "of-all"].map(str::to_owned).to_vec(), Some(7))
    );
    assert_eq!(pull.reviewers, ["ada", "acme/platform"]);
    assert_eq!(pull.assignees, ["grace"]);
    story.forge.seen();
    assert_eq!(story.run().exits(0).deliveries(), ["dev unchanged"]);
    assert_eq!(requests(&story), 2, "the account and the list");
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
    story.run().exits(0).says(&["it is a draft"]);
    story.forge.edit(1, |pull| pull.draft = false);
    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run().exits(0).deliveries(), ["dev updated"]);
    let pull = story.forge.pulls().remove(0);
    assert_eq!((pull.title.as_str(), pull.draft), ("Update shop to v1.2.0 in dev", false));
}

#[test]
fn whom_the_forge_does_not_set_is_named() {
    let story = shop(
        "reviewers: [ada, nobody, other/platform, bot], assignees: [grace, nobody], labels: [bump]",
    );
    story.run().exits(0).says(&["it did not set nobody, nobody, other/platform, bot (an account"]);
    let pull = story.forge.pulls().remove(0);
    assert_eq!(
        (&*pull.reviewers, &*pull.assignees),
        (&["ada".to_owned()][..], &["grace".to_owned()][..])
    );
    assert_eq!(pull.labels, ["bump"]);
    let story = shop("milestone: gone, labels: [bump]");
    story.run().exits(0).says(&["Forgejo does not know an open milestone `gone`"]);
    assert_eq!(story.forge.pulls()[0].labels, ["bump"]);
}

#[test]
fn refusals_say_what_to_change() {
    let cases = [
        (
            401,
            "invalid username, password or token",
            "Forgejo refuses the token (401): set FORGEJO_TOKEN",
        ),
        (
            403,
            "token does not have at least one of required scope(s)",
            "it needs the scopes `write:repository`",
        ),
        (404, "Not Found", "Forgejo does not know acme/fleet (404)"),
        (307, "", "acme/fleet has moved on Forgejo: name its new address"),
        (500, "oops", "Forgejo cannot be reached or fails: 500: oops"),
    ];
    for (status, message, want) in cases {
        let story = shop("draft: false");
        for _ in 0..9 {
            story.forge.fault(fault("GET", "repos/acme/fleet", status, message));
        }
        story.run().exits(1).says(&[want]);
        assert_eq!(story.forge.repo.head("tagalong/dev"), "", "{status}");
    }
    for (setting, is_on, want) in [
        ("archived", true, "serves this repository for reading only: it is archived"),
        ("mergeRequests", false, "pull requests are disabled in acme/fleet"),
    ] {
        let story = shop("draft: false");
        story.forge.allows(setting, is_on);
        story.run().exits(1).says(&[want]);
    }
}

#[test]
fn a_limit_is_waited_for_as_long_as_the_forge_says() {
    let story = shop("draft: false");
    let headers = vec![("retry-after", "1")];
    story.forge.fault(Fault { headers, ..fault("POST", "/pulls", 429, "Retry later") });
    assert_eq!(story.run().exits(0).deliveries(), ["dev created"]);
    assert_eq!(story.forge.pulls().len(), 1);
}

/// An answer that is lost after its effect makes no second pull request.
#[test]
fn what_was_opened_already_is_found() {
    let story = shop("draft: false");
    story.forge.fault(Fault { after_effect: true, ..fault("POST", "/pulls", 502, "") });
    assert_eq!(story.run().exits(0).deliveries(), ["dev created"]);
    assert_eq!(story.forge.pulls().len(), 1);
}

/// Forks can have branches of the same name, old pull requests crowd out others, and operators make parts of lists small.
#[test]
fn no_list_is_believed_in_part() {
    for is_small in [false, true] {
        let story = shop("draft: false");
        story.forge.allows("smallPages", is_small);
        story.run().exits(0);
        story.forge.crowd("tagalong/dev");
        story.forge.seen();
        assert_eq!(story.run().exits(0).deliveries(), ["dev unchanged"]);
        assert_eq!(story.forge.writes(), [""; 0]);
        let fleet = Fleet::on(Product::Forgejo, "group: environment");
        fleet.forge.allows("smallPages", is_small);
        fleet.whole().exits(0);
        fleet.forge.edit(1, |pull| pull.state = "closed");
        fleet.forge.history("tagalong/staging", 70);
        let out = fleet.whole().exits(0);
        assert!(out.stdout.contains("#1 was closed"), "{}", out.stdout);
    }
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
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.run().exits(0);
    assert_ne!(story.forge.issues()[0]["body"], issues[0]["body"]);
}

#[test]
fn what_the_forge_cannot_do_is_said_before_anything_is_pushed() {
    let story = shop("draft: false");
    story.forge.repo.commit("main", "Settings", &[("tagalong.yaml", "sign: forge\n")]);
    let why = ["`sign: forge`: Forgejo makes no commits", "`sign: ssh` or `sign: gpg`"];
    story.bot(&["plan"]).says(&why);
    story.run().exits(1).says(&why);
    assert_eq!(story.forge.repo.heads().as_object().unwrap().len(), 1);
}

/// Gitea is the same under its own name.
#[test]
fn gitea_is_known_by_its_own_variables() {
    let story = shop("draft: false");
    let run = |token: &str| {
        let bot = story.world.bot(["run", "--repo", "acme/fleet", "--format", "json"]);
        bot.env("GITEA_URL", &story.forge.url).env("GITEA_TOKEN", token).run()
    };
    run("wrong").exits(1).says(&["GITEA_TOKEN"]);
    assert_eq!(run(TOKEN).exits(0).deliveries(), ["dev created"]);
}

/// The fake is not shaped to our client alone.
#[test]
fn another_client_finds_a_gitea_here() {
    let story = shop("draft: false");
    story.forge.repo.git(&["branch", "mine", "main"]);
    story.forge.repo.commit("mine", "Mine", &[("mine.yaml", "a: 1\n")]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/world/gitea.mjs");
    let packages = crate::world::openapi::npm();
    let mut node = std::process::Command::new("node");
    node.args([script, arg(&packages), &story.forge.url, TOKEN, "acme", "fleet", "mine"]);
    let seen = Bot::from(node, &story.world.dir("home")).run().exits(0).json();
    let want = serde_json::json!({
        "made": [1, "WIP: Mine", "open", true], "again": 409, "set": ["ours"], "edited": ["Mine", false],
        "events": ["pull_push", "label"], "reviews": ["REQUEST_REVIEW"], "statuses": 0, "elsewhere": 409,
        "merged": true, "closed": 405, "unknown": 404,
    });
    assert_eq!(seen, want);
    assert_eq!(story.forge.pulls()[0].comments, ["Hello"]);
    assert!(story.forge.repo.show("main", "mine.yaml").contains("a: 1"));
}
