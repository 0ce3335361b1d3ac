//! Whatever a repository says, memory and time are bounded, and nothing ends a run without a word.

use crate::world::{Repo, World, arg};

const POLICY: &str = "images: {shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}}\n";
const CATALOG: &str = "ghcr.io/acme/shop: [v1.0.0, v1.1.0]\n";
const SITE: &str = "image: ghcr.io/acme/shop:v1.0.0\n";

/// A tree with one entry several times, in so many levels.
fn nested(repo: &Repo, names: &[&str], levels: usize) {
    let blob = repo.hash_object(SITE);
    let mut entry = format!("100644 blob {blob}");
    for _ in 0..levels {
        let lines: Vec<String> = names.iter().map(|name| format!("{entry}\t{name}")).collect();
        entry = format!("040000 tree {}", repo.make_tree(&lines.join("\n")));
    }
    let policies = repo.git(&["rev-parse", "main:policies"]);
    let root = format!("{entry}\tdeep\n040000 tree {}\tpolicies", policies.trim());
    let tree = repo.make_tree(&root);
    let commit = repo.git(&["commit-tree", &tree, "-p", "main", "-m", "Deep"]);
    repo.git(&["update-ref", "refs/heads/main", commit.trim()]);
}

/// A pack of a kilobyte with ten thousand million paths, and one that is deeper than any stack.
#[test]
fn a_tree_is_listed_within_bounds() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    for (names, levels, why) in [(&names[..], 10, "entries"), (&names[..1], 3_000, "1000 levels")] {
        let world = World::new();
        let repo = Repo::create(&world.dir("repos"), "fleet", &[("policies/p.yaml", POLICY)]);
        nested(&repo, names, levels);
        let catalog = world.file("catalog.yaml", CATALOG);
        let args = ["plan", "--repo", arg(&repo.bare), "--catalog", arg(&catalog)];
        world.bot(args).run().exits(1).says(&["its tree has more than", why]);
    }
}

/// Files that are too large are reported, and not loaded.
#[test]
fn a_large_file_of_a_repository_is_told() {
    let world = World::new();
    let large = format!("{SITE}{}", "# x\n".repeat(2 << 20));
    let files = [("policies/p.yaml", POLICY), ("large.yaml", &*large), ("a.yaml", SITE)];
    let repo = Repo::create(&world.dir("repos"), "fleet", &files);
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["plan", "--repo", arg(&repo.bare), "--catalog", arg(&catalog), "--format", "json"];
    let out = world.bot(args).run().exits(0);
    let json = out.json();
    let told = json["diagnostics"].as_array().unwrap().iter().find(|d| d["path"] == "large.yaml");
    assert_eq!(
        told.map(|told| &told["code"]),
        Some(&serde_json::json!("file.too-large")),
        "{json}"
    );
    assert_eq!(json["edits"].as_array().unwrap().len(), 1, "{json}");
}

/// libgit2 answers what the default branch of a detached `HEAD` is by a null pointer.
#[test]
fn a_head_that_is_on_no_branch_is_no_end() {
    let world = World::new();
    let files = [("policies/p.yaml", POLICY), ("a.yaml", SITE)];
    let repo = Repo::create(&world.dir("repos"), "fleet", &files);
    let head = repo.head("main");
    std::fs::write(repo.bare.join("HEAD"), format!("{head}\n")).unwrap();
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["plan", "--repo", arg(&repo.bare), "--catalog", arg(&catalog)];
    world.bot(args).run().exits(0).says(&["v1.1.0"]);
    // A missing branch is reported.
    repo.git(&["update-ref", "refs/heads/other", &head]);
    repo.git(&["update-ref", "-d", "refs/heads/main"]);
    world.bot(args).run().exits(1).says(&["no branch `main`"]);
}

/// A pull request can add files of these names; what is checked is the work tree beside them.
#[test]
fn files_that_are_called_like_gits_make_no_repository() {
    for head in ["ref: refs/heads/main\n", "0123456789012345678901234567890123456789\n"] {
        let world = World::new();
        let broken = [
            ("policies/p.yaml", "images: {shop: {}}\n"),
            ("HEAD", head),
            ("objects/x", ""),
            ("refs/x", ""),
        ];
        let tree = world.tree(&broken);
        let at = |args: &[&str]| {
            let mut git = std::process::Command::new("git");
            git.arg("-C").arg(&tree).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
            assert!(git.args(args).output().unwrap().status.success(), "{args:?}");
        };
        at(&["init", "-q", "-b", "main"]);
        at(&["add", "-A"]);
        at(&["commit", "-qm", "x"]);
        at(&["checkout", "-q", "--detach"]);
        world.bot(["check", "--repo", arg(&tree)]).run().exits(2).says(&["policies/p.yaml"]);
    }
}

/// A ledger of any size can be pushed by who may push; it is neither read nor written over.
#[test]
fn a_ledger_that_is_too_large_is_left_alone() {
    let world = World::new();
    let files = [("policies/p.yaml", POLICY), ("a.yaml", SITE)];
    let repo = Repo::create(&world.dir("repos"), "fleet", &files);
    let blob = repo.hash_object(&" ".repeat(17 << 20));
    let tree = repo.make_tree(&format!("100644 blob {blob}\tledger.json"));
    let commit = repo.git(&["commit-tree", &tree, "-m", "x"]);
    repo.git(&["update-ref", "refs/tagalong/ledger", commit.trim()]);
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["run", "--repo", arg(&repo.bare), "--catalog", arg(&catalog), "--deliver", "push"];
    world.bot(args).run().exits(0).says(&["the ledger is neither used nor kept"]);
    assert_eq!(repo.git(&["rev-parse", "refs/tagalong/ledger"]), commit);
}

/// A key that is a pipe would be waited for without end.
#[test]
fn a_key_that_is_a_pipe_is_told() {
    let world = World::new();
    let policy = "images:\n  shop:\n    image: ghcr.io/acme/shop\n    tags: {semver: '*'}\n    verify: {cosign: {key: keys/shop.pub}}\n";
    let tree = world.tree(&[("policies/p.yaml", policy), ("a.yaml", SITE), ("keys/x", "")]);
    let pipe = tree.join("keys/shop.pub");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog)];
    world.bot(args).run().exits(2).says(&["no regular file"]);
}

/// A commit that was taken back costs no more than what is there now.
#[test]
fn a_history_is_read_within_bounds() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let world = World::new();
    let policy = format!(
        "{POLICY}environments:\n  dev: {{paths: [deep]}}\n  prod: {{paths: [prod], promoteFrom: dev, soak: 1h}}\n"
    );
    let files = [("policies/p.yaml", &*policy), ("prod/a.yaml", SITE)];
    let repo = Repo::create(&world.dir("repos"), "fleet", &files);
    let good = repo.head("main");
    nested(&repo, &names, 10);
    let tree = repo.git(&["rev-parse", &format!("{good}^{{tree}}")]);
    let commit = repo.git(&["commit-tree", tree.trim(), "-p", "main", "-m", "Back"]);
    repo.git(&["update-ref", "refs/heads/main", commit.trim()]);
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["plan", "--repo", arg(&repo.bare), "--catalog", arg(&catalog)];
    world.bot(args).run().exits(3).says(&["the trees of the history have too many entries"]);
}

/// What a template makes is bounded, whatever filters are behind each other.
#[test]
fn a_template_takes_no_memory_and_no_time() {
    let big =
        format!("{{{{ 'x'{} | length }}}}", " | replace('', 'yyyyyyyyyyyyyyyyyyyy')".repeat(30));
    let loops = "{% for a in range(1000) %}{{ ('x' | replace('', 'y') | replace('', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy') \
                 | replace('y', 'zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz')) | upper | length }}{% endfor %}";
    for template in [&*big, loops] {
        let world = World::new();
        let policy = format!(
            "{POLICY}environments:\n  prod:\n    paths: [.]\n    deliver:\n      title: |-\n        {template}\n"
        );
        let tree = world.tree(&[("policies/p.yaml", &*policy), ("a.yaml", SITE)]);
        let out = world.bot(["check", "--repo", arg(&tree)]).run();
        let said = format!("{}{}", out.stdout, out.stderr);
        assert!(said.contains("it gives more than") || said.contains("fuel"), "{said}");
    }
}

/// Patches and releases multiply; beyond the bound nothing moves, with a diagnostic.
#[test]
fn releases_are_compared_up_to_a_bound() {
    let release = |index: usize| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: shop{index}}}\nspec:\n  \
             chart: {{spec: {{chart: x}}}}\n  values:\n    image: {{repository: r.io/acme/shop, tag: v1.0.0}}\n---\n"
        )
    };
    let patch =
        "- {target: {kind: HelmRelease}, patch: 'spec: {values: {image: {tag: v1.0.0}}}'}\n";
    let policies = "images:\n  shop: {image: r.io/acme/shop, tags: {semver: minor}}\n";
    for (count, is_compared) in [(20, true), (400, false)] {
        let releases: String = (0..count).map(release).collect();
        let kustomization = format!("resources: [a.yaml]\npatches:\n{}", patch.repeat(count));
        let world = World::new();
        let tree = world.tree(&[
            ("policies/p.yaml", policies),
            ("a.yaml", &*releases),
            ("kustomization.yaml", &*kustomization),
        ]);
        let catalog = world.file("catalog.yaml", "r.io/acme/shop: [v1.0.0, v1.1.0]\n");
        let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
        let out = world.bot(args).run();
        let says = "more values of releases stand in this repository than are compared";
        assert_eq!(out.stdout.contains(says), !is_compared, "{count}");
        assert_eq!(out.stdout.contains("\"outcome\":\"update\""), is_compared, "{count}");
    }
}

/// Each match of such an expression looks to the end of the line before it is given up.
#[test]
fn targets_cost_what_their_files_are_worth() {
    let world = World::new();
    let target = |reach: &str| format!("      - {{files: [a.txt, a.json], {reach}}}\n");
    let targets =
        target("match: '(?<tag>[a-z]+!)|[a-z]'") + &target("path: '$..tag', part: tag").repeat(300);
    let policy = format!(
        "images:\n  shop:\n    image: ghcr.io/acme/shop\n    tags: {{semver: '*'}}\n    targets:\n{targets}"
    );
    let (text, json) = ("a".repeat(1 << 20), format!("[{}1]", "1,".repeat(20_000)));
    let tree = world.tree(&[("policies/p.yaml", &policy), ("a.txt", &text), ("a.json", &json)]);
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog)];
    let told = ["find more than is looked for", "visited in a file of its size"];
    world.bot(args).run().exits(0).says(&told);
}
