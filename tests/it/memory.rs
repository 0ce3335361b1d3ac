//! What runs know of each other.

use crate::world::registry::digest_of;
use crate::world::{ForgeServer, Output, Registry, World, arg};

const LEDGER: &str = "refs/tagalong/ledger";

struct Story {
    world: World,
    registry: Registry,
    forge: ForgeServer,
}

impl Story {
    /// A repository with one policy and one site, at `v1.0.0`.
    fn new(policy: &str, environment: &str) -> Self {
        let world = World::new();
        let registry = world.registry();
        registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
        let host = &registry.host;
        let policies =
            format!("images: {{shop: {{image: {host}/acme/shop, {policy}}}}}\n{environment}\n");
        let site = format!("image: {host}/acme/shop:v1.0.0\n");
        let github = world.github(&[("policies/p.yaml", &policies), ("apps/shop.yaml", &site)]);
        Self { world, registry, forge: github }
    }

    fn run_with(&self, command: &str, args: &[&str]) -> Output {
        let all = [command, "--repo", "acme/fleet", "--format", "json"].into_iter();
        self.forge.env(self.world.bot(all.chain(args.iter().copied()))).run()
    }

    fn run(&self, now: &str) -> Output {
        self.run_with("run", &["--now", now])
    }

    /// A run that holds a key for the ledger.
    fn sealing_run(&self, now: &str, key: &str) -> Output {
        let args = ["run", "--repo", "acme/fleet", "--format", "json", "--now", now];
        self.forge.env(self.world.bot(args)).env("TAGALONG_LEDGER_KEY", key).run()
    }

    /// Somebody who may push writes a ledger.
    fn forge_ledger(&self, text: &str) {
        let blob = self.forge.repo.hash_object(text);
        let tree = self.forge.repo.make_tree(&format!("100644 blob {blob}\tledger.json\n"));
        let commit = self.forge.repo.git(&["commit-tree", "-m", "Remember", tree.trim()]);
        self.forge.repo.git(&["update-ref", LEDGER, commit.trim()]);
    }

    fn ledger(&self) -> serde_json::Value {
        let (ok, text) = self.forge.repo.try_git(&["show", &format!("{LEDGER}:ledger.json")]);
        if ok { serde_json::from_str(&text).unwrap() } else { serde_json::Value::Null }
    }

    fn merge_by_hand(&self, tag: &str) {
        let site = format!("image: {}/acme/shop:{tag}\n", self.registry.host);
        self.forge.repo.commit("main", "By hand", &[("apps/shop.yaml", &site)]);
    }
}

#[test]
fn an_age_is_counted_from_the_first_sight_without_any_state_of_the_runner() {
    let story = Story::new("tags: {semver: '*'}, minAge: 3d", "");
    let out =
        story.run("2026-11-01T12:00:00Z").exits(0).says(&["eligible at 2026-11-04T12:00:00Z"]);
    assert_eq!(out.decisions(), ["shop hold v1.1.0 too-young"]);
    let digest = digest_of("acme/shop:v1.1.0");
    let name = format!("{}/acme/shop", story.registry.host);
    assert_eq!(story.ledger()["seen"][&name]["v1.1.0"][&digest], "2026-11-01T12:00:00Z");
    // Nothing new: nothing is written.
    story.forge.seen();
    story.run("2026-11-02T12:00:00Z").exits(0);
    assert_eq!(story.forge.writes(), Vec::<String>::new());
    // A newer tag does not hold up the older one.
    story.registry.push("acme/shop", &["v1.2.0"]);
    let out = story.run("2026-11-03T12:00:00Z").exits(0);
    assert_eq!(out.decisions(), ["shop hold v1.2.0 too-young"]);
    let out =
        story.run("2026-11-04T12:00:00Z").exits(0).says(&["eligible at 2026-11-06T12:00:00Z"]);
    assert_eq!(out.decisions(), ["shop update v1.1.0 newer"]);
    assert_eq!(story.forge.pulls()[0].title, "Update shop to v1.1.0");
    let out = story.run("2026-11-06T12:00:00Z").exits(0);
    assert_eq!(out.decisions(), ["shop update v1.2.0 newer"]);
    // Lost, it starts again, and proposes nothing that is not proposed already.
    story.forge.repo.git(&["update-ref", "-d", LEDGER]);
    let out = story.run("2026-11-06T13:00:00Z").exits(0);
    assert_eq!(out.decisions(), ["shop hold v1.2.0 too-young"]);
}

/// Who may push can write the reference of the ledger, and may not be one who may merge.
#[test]
fn a_ledger_that_nobody_proves_makes_nothing_old() {
    let merges =
        "environments: {prod: {paths: [apps], deliver: {autoMerge: bot, withoutChecks: true}}}";
    let story = Story::new("tags: {semver: '*'}, minAge: 3d", merges);
    let key = "0123456789abcdef0123456789abcdef";
    let too_young = ["shop hold v1.1.0 too-young"];
    assert_eq!(story.sealing_run("2026-11-01T12:00:00Z", key).exits(0).decisions(), too_young);
    let sealed = story.ledger();
    assert!(sealed["seal"].as_str().is_some_and(|seal| seal.starts_with("hmac-sha256:")));
    // The first sights are made older, and the seal stays.
    let forged = serde_json::to_string_pretty(&sealed).unwrap();
    story.forge_ledger(&forged.replace("2026-11-01T", "2026-10-01T"));
    let out = story.sealing_run("2026-11-02T12:00:00Z", key).exits(0);
    assert_eq!(out.says(&["ledger.unproven"]).decisions(), too_young);
    let name = format!("{}/acme/shop", story.registry.host);
    let digest = digest_of("acme/shop:v1.1.0");
    assert_eq!(story.ledger()["seen"][&name]["v1.1.0"][&digest], "2026-11-02T12:00:00Z");
    // A new key in front of the old one seals it anew, so that the old one can go.
    let new = "fedcba9876543210fedcba9876543210";
    let both = format!("{new} {key}");
    assert_eq!(story.sealing_run("2026-11-03T12:00:00Z", &both).exits(0).decisions(), too_young);
    let out = story.sealing_run("2026-11-05T12:00:00Z", new).exits(0);
    assert_eq!(out.decisions(), ["shop update v1.1.0 newer"]);
    assert!(!out.stdout.contains("ledger.unproven"), "{}", out.stdout);
    // A run without a key says so, and goes on remembering: anybody could write a seal.
    let out = story.run("2026-11-05T13:00:00Z").exits(0);
    out.says(&["the ledger is sealed, and this run has no key"]);
    story.sealing_run("2026-11-05T12:00:00Z", "short").exits(2).says(&["can be guessed"]);
}

/// Without a key, a run reports the ledger where an age merges without a person.
#[test]
fn an_unproven_ledger_is_told_where_it_lets_something_merge() {
    for (deliver, is_told) in [
        ("{autoMerge: bot}", true),
        ("{via: push}", true),
        ("{autoMerge: bot, approval: true}", false),
        ("{}", false),
    ] {
        let merges = format!("environments: {{prod: {{paths: [apps], deliver: {deliver}}}}}");
        let story = Story::new("tags: {semver: '*'}, minAge: 3d", &merges);
        let out = story.run("2026-11-01T12:00:00Z").exits(0);
        assert_eq!(out.stdout.contains("ledger.unproven"), is_told, "{deliver} {}", out.stdout);
    }
}

#[test]
fn a_plan_reads_and_writes_nothing() {
    let story = Story::new("tags: {semver: '*'}, minAge: 3d", "");
    story.run_with("plan", &["--now", "2026-11-01T12:00:00Z"]).exits(0);
    assert_eq!(story.ledger(), serde_json::Value::Null);
    story.run("2026-11-01T12:00:00Z").exits(0);
    let out = story.run_with("plan", &["--now", "2026-11-05T12:00:00Z"]).exits(0);
    assert_eq!(out.decisions(), ["shop update v1.1.0 newer"]);
}

#[test]
fn a_listing_that_is_halved_is_not_believed() {
    let story = Story::new("tags: {semver: '*'}", "");
    story.registry.push("acme/shop", &["v0.1.0", "v0.2.0", "v0.3.0", "v0.4.0"]);
    assert_eq!(
        story.run("2026-11-01T12:00:00Z").exits(0).decisions(),
        ["shop update v1.1.0 newer"]
    );
    let half = r#"{"tags": ["v1.0.0", "v2.0.0"]}"#;
    story.registry.lies("/tags/list", [crate::world::Lie::json(half)]);
    let out =
        story.run("2026-11-02T12:00:00Z").exits(3).says(&["lists 2 tags, and listed 6 before"]);
    // What the open pull request proposes stays.
    assert_eq!(out.decisions(), ["shop update v1.1.0 carried"]);
}

#[test]
fn what_was_pushed_and_taken_back_is_not_pushed_again() {
    let story = Story::new(
        "tags: {semver: '*'}",
        "environments: {prod: {paths: [apps], deliver: {via: push}}}",
    );
    assert_eq!(story.run("2026-11-01T12:00:00Z").exits(0).deliveries(), ["prod pushed"]);
    assert_eq!(story.ledger()["delivered"]["prod"]["shop"]["to"], "v1.1.0");
    story.merge_by_hand("v1.0.0");
    let out = story.run("2026-11-02T12:00:00Z").exits(0).says(&["it was reverted"]);
    assert_eq!(out.decisions(), ["shop hold v1.1.0 refused"]);
    let out = story.run("2026-11-03T12:00:00Z").exits(0);
    assert_eq!(out.decisions(), ["shop hold v1.1.0 refused"]);
    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run("2026-11-04T12:00:00Z").exits(0).deliveries(), ["prod pushed"]);
    assert!(story.forge.repo.show("main", "apps/shop.yaml").ends_with(":v1.2.0\n"));
}

#[test]
fn a_closed_pull_request_is_remembered_after_the_next_one() {
    let story = Story::new("tags: {semver: '*'}", "");
    story.run("2026-11-01T12:00:00Z").exits(0);
    story.forge.edit(1, |pull| pull.state = "closed");
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.run("2026-11-02T12:00:00Z").exits(0);
    story.forge.edit(2, |pull| pull.state = "closed");
    // Both are refused, the first by the ledger alone: GitHub is asked for the last one.
    let out = story.run("2026-11-03T12:00:00Z").exits(0).says(&["v1.2.0 is not wanted here: #2"]);
    assert_eq!(out.decisions(), ["shop hold v1.2.0 refused"]);
    assert_eq!(
        out.json()["decisions"][0]["passedOver"][1]["reason"]["message"],
        "v1.1.0 is not wanted here: #1 was closed"
    );
    // Opened again, the second one is wanted again.
    story.forge.edit(2, |pull| pull.state = "open");
    let out = story.run("2026-11-04T12:00:00Z").exits(0);
    assert_eq!(out.decisions(), ["shop update v1.2.0 newer"]);
}

#[test]
fn a_ledger_that_cannot_be_kept_or_read_stops_nothing() {
    let story = Story::new("tags: {semver: '*'}", "");
    let hook = "#!/bin/sh\ncase $1 in refs/tagalong/*) echo no ledgers here; exit 1;; esac\n";
    story.forge.repo.hook("update", hook);
    let out =
        story.run("2026-11-01T12:00:00Z").exits(0).says(&["ledger.not-kept", "no ledgers here"]);
    assert_eq!(out.deliveries(), ["default created"]);
    assert_eq!(story.ledger(), serde_json::Value::Null);
    story.forge.repo.hook("update", "#!/bin/sh\n");
    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run("2026-11-02T12:00:00Z").exits(0).deliveries(), ["default updated"]);
    assert!(story.ledger()["listed"].is_object());
    // Somebody else's content, and the format of a later program, which is left alone.
    for (text, code) in [("{}", "ledger.unreadable"), (r#"{"version": 2}"#, "ledger.unreadable")] {
        let work = story.world.file("ledger.json", text);
        let blob = story.forge.repo.git(&["hash-object", "-w", arg(&work)]);
        let index = story.world.dir("index").join("index");
        let tree = {
            let entry = format!("100644 blob {}\tledger.json", blob.trim());
            let work = story.world.file("entry", &format!("{entry}\n"));
            let script = format!("git mktree < {}", arg(&work));
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .current_dir(&story.forge.repo.bare)
                .env("GIT_INDEX_FILE", index)
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let commit = story.forge.repo.git(&["commit-tree", "-m", "x", &tree]);
        story.forge.repo.git(&["update-ref", LEDGER, commit.trim()]);
        story.run("2026-11-02T12:00:00Z").exits(0).says(&[code]);
    }
    story.registry.push("acme/shop", &["v1.3.0"]);
    story.run("2026-11-03T12:00:00Z").exits(0);
    assert_eq!(story.ledger()["version"], 2);
}

#[test]
fn a_race_for_the_ledger_is_run_again() {
    let story = Story::new("tags: {semver: '*'}, minAge: 3d", "");
    story.run("2026-11-01T12:00:00Z").exits(0);
    story.registry.push("acme/shop", &["v1.2.0"]);
    let before = story.forge.repo.git(&["rev-parse", LEDGER]);
    // Another run comes between reading and pushing, once.
    let hook = format!(
        "#!/bin/sh\n[ \"$1\" = {LEDGER} ] && [ ! -f raced ] || exit 0\ntouch raced\n\
         new=$(git -c user.name=x -c user.email=x@y commit-tree -m other -p {0} {0}^{{tree}}) && git update-ref {LEDGER} $new\n",
        before.trim()
    );
    story.forge.repo.hook("update", &hook);
    story.run("2026-11-02T12:00:00Z").exits(0);
    let log = story.forge.repo.git(&["log", "--format=%s", LEDGER]);
    assert_eq!(log, "Remember\nother\nRemember\n");
}

#[test]
fn a_file_keeps_the_ledger_of_a_work_tree() {
    let world = World::new();
    let tree = world.tree(&[
        (
            "policies/p.yaml",
            "images: {shop: {image: r.io/acme/shop, tags: {semver: '*'}, minAge: 3d}}\n",
        ),
        ("a.yaml", "image: r.io/acme/shop:v1.0.0\n"),
    ]);
    let digest = format!("sha256:{}", "a".repeat(64));
    let catalog = format!("r.io/acme/shop: [v1.0.0, {{tag: v1.1.0, digest: '{digest}'}}]\n");
    let catalog = world.file("catalog.yaml", &catalog);
    let ledger = world.dir("state").join("ledger.json");
    let run = |now: &str| {
        let args = ["run", "--repo", arg(&tree), "--deliver", "worktree", "--format", "json"];
        let more = ["--catalog", arg(&catalog), "--ledger", arg(&ledger), "--now", now];
        world.bot(args.into_iter().chain(more)).run()
    };
    assert_eq!(run("2026-11-01T12:00:00Z").exits(0).decisions(), ["shop hold v1.1.0 too-young"]);
    assert!(std::fs::read_to_string(&ledger).unwrap().contains("2026-11-01T12:00:00Z"));
    assert_eq!(run("2026-11-04T12:00:00Z").exits(0).decisions(), ["shop update v1.1.0 newer"]);
}

#[test]
fn no_age_is_counted_where_clocks_are_far_apart() {
    let story = Story::new("tags: {semver: '*'}, minAge: 1s", "");
    let list = r#"{"tags": ["v1.0.0", "v1.1.0"]}"#;
    let dated = |date: &str| {
        let headers = vec![("date".to_owned(), date.to_owned())];
        crate::world::Lie::Answer(200, headers, list.to_owned())
    };
    story.registry.lies("/tags/list", [dated("Sat, 01 Jan 2022 00:00:00 GMT")]);
    let out = story.run_with("run", &[]).exits(0).says(&["clock.skew", "no age is counted"]);
    assert_eq!(out.decisions(), ["shop hold v1.1.0 too-young"]);
    assert_eq!(story.ledger(), serde_json::Value::Null);
    story.registry.lies("/tags/list", [crate::world::Lie::Truth]);
    let out = story.run_with("run", &[]).exits(0);
    assert_eq!(out.json()["diagnostics"].as_array().unwrap().len(), 0);
    assert!(story.ledger()["seen"].is_object());
}

/// A work tree with one site, whose ledger is a file.
struct Desk {
    world: World,
    policy: &'static str,
}

impl Desk {
    fn run(&self, site: &str, catalog: &str, now: &str) -> (String, String) {
        let policies = format!("images: {{shop: {{image: r.io/shop, {}}}}}\n", self.policy);
        let bare = self.world.dir("git");
        let repo = crate::world::Repo::at(bare.join("fleet.git"));
        if repo.bare.exists() {
            repo.commit("main", "By hand", &[("a.yaml", &format!("image: r.io/shop:{site}\n"))]);
        } else {
            let site = format!("image: r.io/shop:{site}\n");
            let files = [("policies/p.yaml", &*policies), ("a.yaml", &*site)];
            crate::world::Repo::create(&bare, "fleet", &files);
        }
        let catalog = self.world.file("catalog.yaml", &format!("r.io/shop: {catalog}\n"));
        let args = ["run", "--repo", arg(&repo.bare), "--deliver", "push", "--format", "json"];
        let more = ["--catalog", arg(&catalog), "--now", now];
        let out = self.world.bot(args.into_iter().chain(more)).run().exits(0);
        (out.decisions().join(", "), repo.show("main", "a.yaml").trim().to_owned())
    }
}

#[test]
fn what_people_took_back_stays_away_whatever_came_between() {
    let desk = Desk { world: World::new(), policy: "tags: {semver: '*'}" };
    let (two, three) = ("['1.0.0', '1.1.0']", "['1.0.0', '1.1.0', '1.2.0']");
    assert!(desk.run("1.0.0", two, "2026-11-01T00:00:00Z").1.ends_with(":1.1.0"));
    assert_eq!(desk.run("1.0.0", two, "2026-11-02T00:00:00Z").0, "shop hold 1.1.0 refused");
    assert!(desk.run("1.0.0", three, "2026-11-03T00:00:00Z").1.ends_with(":1.2.0"));
    assert_eq!(desk.run("1.2.0", three, "2026-11-04T00:00:00Z").0, "shop keep 1.2.0 up-to-date");
    assert_eq!(desk.run("1.0.0", three, "2026-11-05T00:00:00Z").0, "shop hold 1.2.0 refused");
}

#[test]
fn reverts_of_times_and_digests_are_noticed_too() {
    let desk = Desk { world: World::new(), policy: "tags: {newest: pushed}" };
    let tags =
        "[{tag: m1, pushed: '2026-10-01T00:00:00Z'}, {tag: m2, pushed: '2026-10-02T00:00:00Z'}]";
    assert!(desk.run("m1", tags, "2026-11-01T00:00:00Z").1.ends_with(":m2"));
    assert_eq!(desk.run("m1", tags, "2026-11-02T00:00:00Z").0, "shop hold m2 refused");
    let desk = Desk { world: World::new(), policy: "tags: {fixed: stable}" };
    let (old, new) = ("a".repeat(64), "b".repeat(64));
    let tags = format!("[{{tag: stable, digest: 'sha256:{new}'}}]");
    let site = format!("stable@sha256:{old}");
    assert!(desk.run(&site, &tags, "2026-11-01T00:00:00Z").1.ends_with(&new));
    assert_eq!(desk.run(&site, &tags, "2026-11-02T00:00:00Z").0, "shop hold stable refused");
}

#[test]
fn policies_from_elsewhere_forget_nothing_of_others() {
    let world = World::new();
    let tree = world.tree(&[("a.yaml", "image: r.io/shop:1.0.0\nx: {image: 'r.io/web:1.0.0'}\n")]);
    let digest = format!("sha256:{}", "a".repeat(64));
    let catalog = ["shop", "web"]
        .map(|name| format!("r.io/{name}: [1.0.0, {{tag: 1.1.0, digest: '{digest}'}}]\n"))
        .concat();
    let catalog = world.file("catalog.yaml", &catalog);
    let ledger = world.dir("state").join("ledger.json");
    let run = |name: &str, now: &str| {
        let policy = format!(
            "images: {{{name}: {{image: r.io/{name}, tags: {{semver: '*'}}, minAge: 3d}}}}\n"
        );
        let policy = world.file(&format!("{name}.yaml"), &policy);
        let args = ["run", "--repo", arg(&tree), "--deliver", "worktree", "--format", "json"];
        let more =
            ["--catalog", arg(&catalog), "--ledger", arg(&ledger), "--policies", arg(&policy)];
        world.bot(args.into_iter().chain(more).chain(["--now", now])).run().exits(0).decisions()
    };
    assert_eq!(run("shop", "2026-11-01T00:00:00Z"), ["shop hold 1.1.0 too-young"]);
    assert_eq!(run("web", "2026-11-01T00:00:00Z"), ["web hold 1.1.0 too-young"]);
    assert_eq!(run("shop", "2026-11-05T00:00:00Z"), ["shop update 1.1.0 newer"]);
    assert_eq!(run("web", "2026-11-05T00:00:00Z"), ["web update 1.1.0 newer"]);
}
