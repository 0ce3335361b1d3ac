//! Objects that git by itself does not make, or seldom: whoever may push can.

use crate::lifecycle::{Fleet, IMAGES};
use crate::world::Story;

/// The entries of a branch's root, as mode, name and object.
fn root(story: &Story) -> Vec<(String, String, String)> {
    let all = story.github.repo.git(&["ls-tree", "main"]);
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
    let tree = story.github.repo.raw_tree(&all);
    story.github.repo.commit_tree("main", &tree);
}

/// A story in which `shop` moves to v1.1.0 when nothing prevents it, and the text of its place.
fn shop() -> (Story, String) {
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    let site = story.github.repo.show("main", "shop.yaml");
    (story, site)
}

#[test]
fn a_directory_whose_name_is_no_text_is_pushed_as_it_is() {
    let (story, site) = shop();
    let repo = &story.github.repo;
    let inner = repo.raw_tree(&[("100644", b"\xff.yaml", &repo.hash_object(&site))]);
    with(&story, &[("40000", b"caf\xe9", &inner)]);
    story.run().exits(0);
    let pulls = story.github.pulls();
    assert_eq!(pulls.len(), 1);
    let there = repo.git(&["ls-tree", &pulls[0].head]);
    assert!(there.contains(&inner), "{there}");
}

#[test]
fn what_only_looks_like_a_file_is_left_alone() {
    for (mode, name) in [("120755", "link.yaml"), ("160755", "module.yaml"), ("100644", ".GIT")] {
        let (story, site) = shop();
        let repo = &story.github.repo;
        let oid = repo.hash_object(&site);
        with(&story, &[(mode, name.as_bytes(), &oid)]);
        story.run().exits(0);
        let head = story.github.pulls()[0].head.clone();
        let there = repo.git(&["ls-tree", &head]);
        let entry = there.lines().find(|line| line.ends_with(name)).unwrap();
        assert!(entry.contains(&oid), "{mode}: {there}");
        assert!(repo.show(&head, "shop.yaml").contains("v1.1.0"), "{mode}");
    }
}

#[test]
fn a_name_that_stands_twice_is_told() {
    let (story, site) = shop();
    let other = story.github.repo.hash_object(&format!("# other\n{site}"));
    with(&story, &[("100644", b"shop.yaml", &other)]);
    story.run().exits(1).says(&["`shop.yaml` stands twice in its tree"]);
    assert!(story.github.pulls().is_empty());
}

/// Branches that hold what was planned, and something that a comparison by names or plain modes passes over.
#[test]
fn what_hides_behind_a_planned_name_is_not_merged() {
    for odd in ["120755", "twice", "as planned"] {
        let fleet = Fleet::new("autoMerge: bot, withoutChecks: true");
        let repo = &fleet.github.repo;
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
        let merged = fleet.github.pulls()[0].merged;
        assert_eq!(merged, odd == "as planned", "{odd}: {}", out.stdout);
    }
}
