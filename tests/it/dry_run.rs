//! `run --dry-run`: the actions of a run, and no write.

use crate::lifecycle::Fleet;
use crate::world::{Fault, Output, World, arg};

/// The actions as `action environment branch: detail`.
fn actions(out: &Output) -> Vec<String> {
    let json = out.json();
    let rows = json["actions"].as_array().unwrap().iter();
    let row = |row: &serde_json::Value| {
        let keys = ["action", "environment", "branch", "detail"];
        let words = keys.iter().filter_map(|key| row[*key].as_str());
        words.collect::<Vec<_>>().join(" ")
    };
    rows.map(row).collect()
}

fn dry(fleet: &Fleet) -> Output {
    fleet.forge.seen();
    let out = fleet.bot().args(&["--dry-run"]).run().exits(0);
    assert_eq!(fleet.forge.writes(), [] as [String; 0], "a dry run writes nothing");
    out
}

#[test]
fn it_says_what_is_opened_edited_merged_and_closed() {
    let fleet = Fleet::new("autoMerge: bot");
    let prod = "tagalong/prod";
    let opened = [
        format!("push prod {prod} Update 3 images in prod"),
        "push staging tagalong/staging Update 3 images in staging".to_owned(),
        "save-ledger".to_owned(),
        format!("open prod {prod} Update 3 images in prod"),
        "open staging tagalong/staging Update 3 images in staging".to_owned(),
    ];
    assert_eq!(actions(&dry(&fleet)), opened);
    fleet.whole();
    let waits = |environment: &str| {
        format!(
            "wait-to-merge {environment} tagalong/{environment} nothing checked it; `withoutChecks: true` merges all the same"
        )
    };
    assert_eq!(actions(&dry(&fleet)), [waits("prod"), waits("staging")]);
    fleet.checks(2, &[("ci", Some("SUCCESS"))]);
    let merged = "merge staging tagalong/staging".to_owned();
    assert_eq!(actions(&dry(&fleet)), [waits("prod"), merged]);
    for image in crate::lifecycle::IMAGES {
        fleet.deploy("staging", image, "v1.1.0");
    }
    let closed = "close staging tagalong/staging nothing is left of it: what it proposes is deployed, or not to be \
                  deployed now";
    assert_eq!(actions(&dry(&fleet)), [closed.to_owned(), waits("prod")]);
}

#[test]
fn people_read_a_line_for_each_action() {
    let fleet = Fleet::new("draft: true");
    let bot = fleet.forge.env(fleet.world.bot(["run", "--repo", "acme/fleet", "--dry-run"]));
    let out = bot.run().exits(0);
    let (_, told) = out.stdout.split_once("A run would\n").unwrap();
    let want = "  push  prod  tagalong/prod: Update 3 images in prod\n\
                \x20 push  staging  tagalong/staging: Update 3 images in staging\n\
                \x20 save the ledger\n\
                \x20 open a pull request  prod  tagalong/prod: Update 3 images in prod\n\
                \x20 open a pull request  staging  tagalong/staging: Update 3 images in staging\n";
    assert_eq!(told, want);
    fleet.whole();
    let bot = fleet.forge.env(fleet.world.bot(["run", "--repo", "acme/fleet", "--dry-run"]));
    bot.run().exits(0).says(&["A run would do nothing."]);
}

#[test]
fn a_forge_that_refuses_the_token_is_an_action_that_fails() {
    let fleet = Fleet::new("draft: false");
    fleet.forge.fault(Fault {
        method: "POST",
        part: "/graphql",
        status: 401,
        headers: vec![],
        message: "Bad credentials",
        after_effect: false,
    });
    let out = fleet.bot().args(&["--dry-run"]).run().exits(1);
    let failed: Vec<_> = actions(&out).into_iter().filter(|one| one.starts_with("fail ")).collect();
    assert_eq!(failed.len(), 2, "{}", out.stdout);
    assert!(out.stdout.contains("GitHub refuses the token (401)"), "{}", out.stdout);
    assert!(!out.stdout.contains("\"push\""), "{}", out.stdout);
}

#[test]
fn files_of_a_work_tree_stay_as_they_are() {
    let world = World::new();
    let policies = "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}\nenvironments:\n  dev: {paths: [dev]}\n";
    let site = "image: ghcr.io/acme/shop:v1.0.0\n";
    let tree = world.tree(&[("policies/p.yaml", policies), ("dev/shop.yaml", site)]);
    let tags = "ghcr.io/acme/shop: [v1.0.0, v1.1.0]\n";
    let catalog = world.file("catalog.yaml", tags);
    let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--deliver", "worktree"];
    let out = world.bot(args).args(&["--dry-run", "--format", "json"]).run().exits(0);
    assert_eq!(actions(&out), ["write-files dev Update shop to v1.1.0 in dev"]);
    assert_eq!(std::fs::read_to_string(tree.join("dev/shop.yaml")).unwrap(), site);
}
