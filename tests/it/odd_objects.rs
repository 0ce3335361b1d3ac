//! Objects that git by itself does not make, or seldom: whoever may push can.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::lifecycle::{Fleet, IMAGES};
use crate::world::{Repo, Story, World, arg};

const POLICY: &str = "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}\n";
const SITE: &str = "image: ghcr.io/acme/shop:v1.0.0\n";
const CATALOG: &str = "ghcr.io/acme/shop: [v1.0.0, v1.1.0]\n";

/// A bare repository on this machine, and what `plan` says of it.
fn planned(change: impl FnOnce(&Repo)) -> crate::world::Output {
    let world = World::new();
    let files = [("policies/p.yaml", POLICY), ("shop.yaml", SITE)];
    let repo = Repo::create(&world.dir("repos"), "fleet", &files);
    change(&repo);
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["plan", "--repo", arg(&repo.bare), "--catalog", arg(&catalog), "--format", "json"];
    world.bot(args).run()
}

fn git(directory: &std::path::Path, args: &[&[u8]]) {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
    let out = git.args(args.iter().map(|arg| OsStr::from_bytes(arg))).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// The entries of a branch's root, as mode, name and object.
fn root(story: &Story) -> Vec<(String, String, String)> {
    let all = story.forge.repo.git(&["ls-tree", "main"]);
    let entries = all.lines().map(|line| {
        let (head, name) = line.split_once('\t').unwrap();
        let mut head = head.split(' ');
        let mode = head.next().unwrap().trim_start_matches('0').to_owned();
        (mode, name.to_owned(), head.nth(1).unwrap().to_owned())
    });
    entries.collect()
}

/// Commits the root of `main` with more entries, in git's order.
fn with(story: &Story, more: &[(&str, &[u8], &str)]) {
    let root = root(story);
    let own = root.iter().map(|(mode, name, oid)| (&**mode, name.as_bytes(), &**oid));
    let mut all: Vec<(&str, &[u8], &str)> = own.chain(more.iter().copied()).collect();
    all.sort_by_key(|(_, name, _)| name.to_vec());
    let tree = story.forge.repo.raw_tree(&all);
    story.forge.repo.commit_tree("main", &tree);
}

/// A story in which `shop` moves to v1.1.0 when nothing prevents it, and the text of its place.
fn shop() -> (Story, String) {
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    let site = story.forge.repo.show("main", "shop.yaml");
    (story, site)
}

#[test]
fn a_directory_whose_name_is_no_text_is_pushed_as_it_is() {
    let (story, site) = shop();
    let repo = &story.forge.repo;
    let inner = repo.raw_tree(&[("100644", b"\xff.yaml", &repo.hash_object(&site))]);
    with(&story, &[("40000", b"caf\xe9", &inner)]);
    story.run().exits(0);
    let pulls = story.forge.pulls();
    assert_eq!(pulls.len(), 1);
    let there = repo.git(&["ls-tree", &pulls[0].head]);
    assert!(there.contains(&inner), "{there}");
}

#[test]
fn what_only_looks_like_a_file_is_left_alone() {
    for (mode, name) in [("120755", "link.yaml"), ("160755", "module.yaml"), ("100644", ".GIT")] {
        let (story, site) = shop();
        let repo = &story.forge.repo;
        let oid = repo.hash_object(&site);
        with(&story, &[(mode, name.as_bytes(), &oid)]);
        story.run().exits(0);
        let head = story.forge.pulls()[0].head.clone();
        let there = repo.git(&["ls-tree", &head]);
        let entry = there.lines().find(|line| line.ends_with(name)).unwrap();
        assert!(entry.contains(&oid), "{mode}: {there}");
        assert!(repo.show(&head, "shop.yaml").contains("v1.1.0"), "{mode}");
    }
}

#[test]
fn a_name_that_stands_twice_is_told() {
    let (story, site) = shop();
    let other = story.forge.repo.hash_object(&format!("# other\n{site}"));
    with(&story, &[("100644", b"shop.yaml", &other)]);
    story.run().exits(1).says(&["`shop.yaml` is in its tree twice"]);
    assert!(story.forge.pulls().is_empty());
}

/// Branches that hold what was planned, and something that a comparison by names or plain modes passes over.
#[test]
fn what_hides_behind_a_planned_name_is_not_merged() {
    for odd in ["120755", "twice", "as planned"] {
        let fleet = Fleet::new("autoMerge: bot, withoutChecks: true");
        let repo = &fleet.forge.repo;
        let tree = repo.git(&["ls-tree", "-r", "main"]).replace("100644 blob", "100755 blob");
        repo.commit_tree("main", &repo.tree_of(tree.trim()));
        fleet.run(&[]).exits(0);
        let message = repo.git(&["log", "-1", "--format=%B", "tagalong/staging"]);
        let staged = IMAGES.map(|image| {
            let oid = repo.git(&["rev-parse", &format!("tagalong/staging:staging/{image}.yaml")]);
            (format!("{image}.yaml"), oid.trim().to_owned())
        });
        let evil = repo.hash_object("evil: 1\n");
        let mode = if odd == "120755" { odd } else { "100755" };
        let mut entries: Vec<(&str, &[u8], &str)> =
            staged.iter().map(|(name, oid)| (mode, name.as_bytes(), &**oid)).collect();
        if odd == "twice" {
            entries.insert(0, (mode, b"api.yaml", &evil));
        }
        let staging = repo.raw_tree(&entries);
        let of = |path: &str| repo.git(&["rev-parse", &format!("main:{path}")]).trim().to_owned();
        let (policies, prod) = (of("policies"), of("prod"));
        let root = repo.raw_tree(&[
            ("40000", b"policies", &policies),
            ("40000", b"prod", &prod),
            ("40000", b"staging", &staging),
        ]);
        repo.commit_tree_as_bot("tagalong/staging", message.trim(), &root);
        let out = fleet.run(&[]);
        let merged = fleet.forge.pulls()[0].merged;
        assert_eq!(merged, odd == "as planned", "{odd}: {}", out.stdout);
    }
}

#[test]
fn references_of_any_name_are_no_end() {
    let long = ["a"; 6].map(|part| part.repeat(200)).join("/");
    let out = planned(|repo| {
        for name in
            [&b"refs/heads/\xff"[..], b"refs/tags/v\xff", format!("refs/heads/{long}").as_bytes()]
        {
            git(&repo.bare, &[b"update-ref", name, b"main"]);
        }
        // What leads nowhere is no branch.
        std::fs::write(repo.bare.join("refs/heads/broken"), "x\n").unwrap();
        git(&repo.bare, &[b"symbolic-ref", b"refs/heads/nowhere", b"refs/heads/gone"]);
    });
    assert_eq!(out.exits(0).decisions(), ["shop update v1.1.0 newer"]);
}

#[test]
fn a_commit_is_read_up_to_a_bound() {
    planned(|repo| {
        let message = repo.bare.join("message");
        std::fs::write(&message, "x".repeat(2 << 20)).unwrap();
        let tree = repo.git(&["rev-parse", "main^{tree}"]);
        let args = ["commit-tree", tree.trim(), "-p", "main", "-F", message.to_str().unwrap()];
        let commit = repo.git(&args);
        repo.git(&["update-ref", "refs/heads/main", commit.trim()]);
    })
    .exits(1)
    .says(&["a commit of 209", "is more than the limit of 1048576"]);
}

/// An unreadable ledger is not an empty one: people's refusals are in it.
#[test]
fn a_ledger_that_is_no_commit_is_told() {
    for kind in ["blob", "tag"] {
        let (story, _) = shop();
        let repo = &story.forge.repo;
        if kind == "blob" {
            let blob = repo.hash_object("{}");
            repo.git(&["update-ref", "refs/tagalong/ledger", &blob]);
        } else {
            git(&repo.bare, &[b"tag", b"-a", b"-m", b"x", b"t", b"main"]);
            let tag = repo.git(&["rev-parse", "refs/tags/t"]);
            repo.git(&["update-ref", "refs/tagalong/ledger", tag.trim()]);
        }
        let before = repo.git(&["rev-parse", "refs/tagalong/ledger"]);
        story.run().exits(0).says(&["the ledger is neither used nor kept"]);
        assert_eq!(repo.git(&["rev-parse", "refs/tagalong/ledger"]), before, "{kind}");
    }
}

/// Files that a pull request adds to a directory make it no repository of its own.
#[test]
fn a_repository_within_a_checkout_does_not_stand_for_its_files() {
    let world = World::new();
    let tree = world.tree(&[("policies/p.yaml", POLICY)]);
    let good = Repo::create(&tree, "sub", &[("policies/p.yaml", POLICY), ("shop.yaml", SITE)]);
    let sub = tree.join("sub");
    std::fs::rename(&good.bare, &sub).unwrap();
    std::fs::create_dir_all(sub.join("policies")).unwrap();
    std::fs::write(sub.join("policies/p.yaml"), "images: {shop: {}}\n").unwrap();
    // Not tracked, it is what it seems to be.
    git(&tree, &[b"init", b"-q", b"-b", b"main"]);
    world.bot(["check", "--repo", arg(&sub)]).run().exits(0);
    git(&tree, &[b"add", b"-A"]);
    git(&tree, &[b"commit", b"-qm", b"x"]);
    world.bot(["check", "--repo", arg(&sub)]).run().exits(2).says(&["policies/p.yaml"]);
    world.bot(["check"]).directory(&sub).run().exits(2).says(&["policies/p.yaml"]);
}
