//! `tagalong rollback`: an environment goes back, everybody sees it, and nothing is proposed on top of it.

use crate::lifecycle::{Fleet, IMAGES};
use crate::world::{Fault, Output, Story};

/// `shop` was v1.0.0, runs as v1.1.0, and v1.2.0 is proposed by #2.
fn story() -> Story {
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    assert!(story.forge.merge(1));
    story.later(2);
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.run().exits(0);
    assert_eq!(open(&story), ["#2 Update shop to v1.2.0"]);
    story
}

fn open(story: &Story) -> Vec<String> {
    let pulls = story.forge.pulls().into_iter().filter(|pull| pull.state == "open");
    pulls.map(|pull| format!("#{} {}", pull.number, pull.title)).collect()
}

fn back(story: &Story, more: &[&str]) -> Output {
    story.bot(&[&["rollback", "--env", "default", "--format", "json"], more].concat())
}

fn why(out: &Output) -> String {
    let json = out.json();
    let decision = &json["decisions"][0];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", text(&decision["outcome"]), text(&decision["reason"]["message"]))
}

#[test]
fn it_closes_what_is_proposed_forwards_and_holds_it_while_it_is_open() {
    let story = story();
    let out = back(&story, &["--reason", "checkout errors", "--by", "ada"]).exits(0);
    assert_eq!(out.deliveries(), ["default created", "default closed"]);
    assert_eq!(open(&story), ["#3 Roll back shop to v1.0.0"]);
    let pull = story.forge.pulls().into_iter().find(|pull| pull.number == 3).unwrap();
    for part in ["Reason: `checkout errors`", "Asked for by: `ada`", "| `shop` | `v1.1.0` | 2027-"]
    {
        assert!(pull.body.contains(part), "no {part:?} in\n{}", pull.body);
    }
    assert!(!pull.body.contains("rewritten when something newer appears"), "{}", pull.body);
    let message = story.forge.repo.git(&["log", "-1", "--format=%B", &pull.head]);
    assert!(
        message.starts_with(
            "Roll back shop to v1.0.0\n\n- shop: v1.1.0 -> v1.0.0\n\nReason: checkout errors\n"
        ),
        "{message}"
    );
    let held = "hold #3 rolls it back to v1.0.0; merge or close that first";
    for _ in 0..2 {
        let out = story.run().exits(0);
        assert_eq!(why(&out), held);
        assert_eq!(open(&story), ["#3 Roll back shop to v1.0.0"]);
    }
    story.bot(&["status"]).exits(0).says(&["#3", "rolls it back to v1.0.0"]);
    // A person changes their mind: what was closed by us comes back.
    story.forge.edit(3, |pull| pull.state = "closed");
    story.run().exits(0);
    assert_eq!(open(&story), ["#4 Update shop to v1.2.0"]);
}

#[test]
fn after_the_merge_only_newer_versions_come_and_the_branch_goes() {
    let story = story();
    back(&story, &[]).exits(0);
    assert!(story.forge.merge(3));
    story.later(1);
    story.run().exits(0);
    // v1.2.0 is newer than what was rolled back.
    assert_eq!(open(&story), ["#4 Update shop to v1.2.0"]);
    let branches = story.forge.repo.git(&["branch", "--list", "tagalong-rollback/*"]);
    assert_eq!(branches.trim(), "", "a merged rollback leaves no branch behind");
    story.forge.edit(4, |pull| pull.state = "closed");
    story
        .registry
        .lies("/tags/list", [crate::world::Lie::json(r#"{"tags": ["v1.0.0", "v1.1.0"]}"#)]);
    let out = story.run().exits(0);
    assert!(why(&out).starts_with("hold v1.1.0 is not wanted here"), "{}", why(&out));
}

#[test]
fn it_can_be_pushed_when_there_is_no_time() {
    let story = story();
    let out = back(&story, &["--deliver", "push", "--reason", "an incident"]).exits(0);
    assert_eq!(out.deliveries()[0], "default pushed");
    let site = story.forge.repo.show("main", "shop.yaml");
    assert!(site.trim().ends_with(":v1.0.0"), "{site}");
    let message = story.forge.repo.git(&["log", "-1", "--format=%B", "main"]);
    assert!(message.contains("\nReason: an incident\n"), "{message}");
}

#[test]
fn nothing_to_go_back_to_has_a_code_of_its_own() {
    let story = Story::shop();
    let out = back(&story, &[]).exits(2);
    out.says(&["rollback.nothing", "`default` did not run anything else in the last 180 days"]);
}

#[test]
fn a_dry_run_says_what_the_rollback_does_and_does_none_of_it() {
    let story = story();
    story.forge.seen();
    let out = back(&story, &["--dry-run"]).exits(0);
    assert_eq!(story.forge.writes(), [""; 0]);
    let json = out.json();
    let actions = json["actions"].as_array().unwrap().iter();
    let actions: Vec<&str> = actions.map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["push", "save-ledger", "open", "close"]);
    assert_eq!(json["changeSets"][0]["title"], "Roll back shop to v1.0.0");
    // What it cannot do, it says in the same words and with the same exit code.
    let push = back(&story, &["--deliver", "push", "--dry-run"]).exits(0).json();
    assert_eq!(push["actions"][0]["branch"], "main");
}

#[test]
fn forwards_is_no_rollback() {
    let story = story();
    back(&story, &["--deliver", "push"]).exits(0);
    let forwards = back(&story, &["--to", "v1.1.0", "--deliver", "push"]).exits(2);
    let forwards = forwards.says(&[
        "rollback.nothing",
        "did not run v1.1.0 before",
        "write the version into the files",
    ]);
    assert!(!forwards.stdout.contains("it ran shop: v1.1.0"), "{}", forwards.stdout);
    let same = back(&story, &["--to", "v1.0.0"]).exits(2);
    same.says(&["`default` runs v1.0.0 already"]);
    let none = back(&story, &[]).exits(2);
    none.says(&["ran only versions before that people rejected, or newer ones"]);
}

#[test]
fn one_pull_request_takes_an_environment_back_however_updates_are_grouped() {
    let fleet = Fleet::new("group: image");
    for image in IMAGES {
        fleet.deploy("staging", image, "v1.1.0");
    }
    let args = ["rollback", "--repo", "acme/fleet", "--format", "json", "--env", "staging"];
    let out = fleet.forge.env(fleet.world.bot(args)).run().exits(0);
    assert_eq!(out.deliveries(), ["staging created"]);
    let pull = fleet.forge.pulls().pop().unwrap();
    assert_eq!(pull.title, "Roll back 3 images in staging");
    assert_eq!(pull.body.matches("| `v1.1.0` |").count(), 3, "{}", pull.body);
    // A person closes it, and asks again at the next incident.
    fleet.forge.edit(pull.number, |pull| pull.state = "closed");
    let out = fleet.forge.env(fleet.world.bot(args)).run().exits(0);
    assert_eq!(out.deliveries(), ["staging created"]);
}

#[test]
fn what_is_pushed_waits_for_an_open_rollback_too() {
    let story = story();
    back(&story, &[]).exits(0);
    let out = story.bot(&["run", "--deliver", "push", "--format", "json"]).exits(0);
    assert_eq!(why(&out), "hold #3 rolls it back to v1.0.0; merge or close that first");
    let site = story.forge.repo.show("main", "shop.yaml");
    assert!(site.trim().ends_with(":v1.1.0"), "{site}");
}

/// `front` and `back` move together, and ran v1.0.0 before v1.1.0.
fn pair() -> Story {
    let story = Story::of(|registry| {
        let host = registry.host.clone();
        for image in ["front", "back"] {
            registry.push(&format!("acme/{image}"), &["v1.0.0"]);
        }
        let policies = format!(
            "images:\n  front: {{image: {host}/acme/front, tags: {{semver: '*'}}}}\n  back: {{image: {host}/acme/back, tags: \
             {{semver: '*'}}}}\nenvironments:\n  default: {{paths: ['*.yaml'], lockstep: [[front, back]], deliver: {{via: push}}}}\n"
        );
        let site = |image: &str| format!("image: {host}/acme/{image}:v1.0.0\n");
        vec![
            ("policies/p.yaml".to_owned(), policies),
            ("front.yaml".to_owned(), site("front")),
            ("back.yaml".to_owned(), site("back")),
        ]
    });
    newer(&story, "v1.1.0");
    assert!(story.forge.repo.show("main", "back.yaml").contains(":v1.1.0"));
    story
}

fn newer(story: &Story, tag: &str) -> Output {
    for image in ["front", "back"] {
        story.registry.push(&format!("acme/{image}"), &[tag]);
    }
    story.later(1);
    story.run().exits(0)
}

#[test]
fn partners_in_lockstep_go_back_together_and_wait_together() {
    let story = pair();
    let front = ["--image", "front", "--deliver", "pull-request"];
    let out = back(&story, &front).exits(0);
    let moved = ["back update v1.0.0 rolled-back", "front update v1.0.0 rolled-back"];
    assert_eq!(out.decisions(), moved, "one of them alone would be a mix that never ran");
    let out = newer(&story, "v1.2.0");
    assert_eq!(
        out.decisions(),
        ["back hold v1.2.0 rollback-open", "front hold v1.2.0 rollback-open"]
    );
    assert!(story.forge.repo.show("main", "back.yaml").contains(":v1.1.0"), "it moved alone");
}

#[test]
fn a_push_waits_where_nobody_can_say_whether_a_rollback_is_open() {
    let story = pair();
    back(&story, &["--deliver", "pull-request"]).exits(0);
    for _ in 0..10 {
        story.forge.fault(Fault {
            method: "POST",
            part: "/graphql",
            status: 401,
            headers: vec![],
            message: "Bad credentials",
            after_effect: false,
        });
    }
    for image in ["front", "back"] {
        story.registry.push(&format!("acme/{image}"), &["v1.2.0"]);
    }
    let out = story.run().exits(3);
    out.says(&["forge.unavailable", "it is not known whether a rollback is open"]);
    assert!(story.forge.repo.show("main", "back.yaml").contains(":v1.1.0"), "it was pushed");
}
