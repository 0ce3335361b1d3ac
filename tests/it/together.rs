//! Images that move together, and versions that come from another environment.

use crate::rows::{A, B};
use crate::world::{World, arg};

#[test]
fn a_place_that_is_left_alone_holds_its_set() {
    let policies = "images:\n  front: {image: r.io/front, tags: {semver: '*'}}\n  back: {image: r.io/back, tags: {semver: '*'}}\n\
                    environments:\n  prod: {paths: [prod], lockstep: [[front, back]]}\n";
    let file = "- image: r.io/front:1.0.0\n- image: r.io/back:${TAG}\n";
    let catalog = "r.io/front: [1.0.0, 1.1.0]\nr.io/back: [1.0.0, 1.1.0]\n";
    let (got, said) = staged(policies, "a: 1\n", file, catalog);
    assert_eq!(got, file);
    assert!(said.contains("back is left alone at prod/a.yaml:2"), "{said}");
}

/// A tree with a `dev` and a `prod`.
fn staged(policies: &str, dev: &str, prod: &str, catalog: &str) -> (String, String) {
    let world = World::new();
    let tree =
        world.tree(&[("policies/p.yaml", policies), ("dev/a.yaml", dev), ("prod/a.yaml", prod)]);
    let catalog = world.file("catalog.yaml", catalog);
    let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(&tree).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
        let at = "2026-11-01T00:00:00Z";
        git.args(args).env("GIT_AUTHOR_DATE", at).env("GIT_COMMITTER_DATE", at);
        assert!(git.output().unwrap().status.success());
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "first"]);
    let more = ["--deliver", "worktree", "--now", "2026-11-28T00:00:00Z"];
    let out = world.bot(args.into_iter().chain(more)).run();
    (std::fs::read_to_string(tree.join("prod/a.yaml")).unwrap(), out.stdout)
}

#[test]
fn a_copy_at_another_registry_is_promoted_by_its_own_name() {
    let policies = "images:\n  shop: {image: dev.io/shop, mirrors: [prod.io/acme/shop], tags: {semver: '*'}}\n\
                    environments:\n  dev: {paths: [dev]}\n  prod: {paths: [prod], promoteFrom: dev}\n";
    let (dev, prod) = ("image: dev.io/shop:1.1.0\n", "image: prod.io/acme/shop:1.0.0\n");
    let there = "dev.io/shop: [1.0.0, 1.1.0]\nprod.io/acme/shop: [1.0.0, 1.1.0]\n";
    assert_eq!(staged(policies, dev, prod, there).0, "image: prod.io/acme/shop:1.1.0\n");
    let lacking = "dev.io/shop: [1.0.0, 1.1.0]\nprod.io/acme/shop: [1.0.0]\n";
    let (left, said) = staged(policies, dev, prod, lacking);
    assert_eq!(left, prod);
    assert!(said.contains("prod.io/acme/shop has no 1.1.0"), "{said}");
    // Behind the same tag there is another digest, as a copy of one platform has.
    let pinned = policies.replace("tags:", "digest: pin, tags:");
    let other = format!(
        "dev.io/shop: [1.0.0, {{tag: 1.1.0, digest: '{A}'}}]\nprod.io/acme/shop: [1.0.0, {{tag: 1.1.0, digest: '{B}'}}]\n"
    );
    let (left, said) = staged(&pinned, &format!("image: dev.io/shop:1.1.0@{A}\n"), prod, &other);
    assert_eq!(left, prod, "{said}");
    assert!(said.contains("prod.io/acme/shop has no sha256:aaaaaaa"), "{said}");
    // Nor is a tag without a digest proof of the one that is to be written.
    let silent = "dev.io/shop: [1.0.0, 1.1.0]\nprod.io/acme/shop: [1.0.0, 1.1.0]\n";
    let (left, said) = staged(&pinned, &format!("image: dev.io/shop:1.1.0@{A}\n"), prod, silent);
    assert_eq!(left, prod, "{said}");
    assert!(said.contains("prod.io/acme/shop has no digests in the catalog"), "{said}");
    // A catalog that does not know the copy is no proof of it.
    assert_eq!(staged(policies, dev, prod, "dev.io/shop: [1.0.0, 1.1.0]\n").0, prod);
}

/// Where no digest is written, the tag brings what the registry has behind it.
#[test]
fn a_tag_alone_is_promoted_where_it_is_what_its_source_runs() {
    let policies = "images:\n  shop: {image: r.io/shop, tags: {semver: minor}}\n\
                    environments:\n  dev: {paths: [dev]}\n  prod: {paths: [prod], promoteFrom: dev}\n";
    let (dev, prod) = (format!("image: r.io/shop:v1.1.0@{A}\n"), "image: r.io/shop:v1.0.0\n");
    for (listed, moves, says) in [
        (format!("{{tag: v1.1.0, digest: '{A}'}}"), true, ""),
        (format!("{{tag: v1.1.0, digest: '{B}'}}"), false, "its source runs sha256:aaaaaaa"),
        ("v1.1.0".to_owned(), false, "the digest of r.io/shop:v1.1.0 is not in the catalog"),
    ] {
        let catalog = format!("r.io/shop: [v1.0.0, {listed}]\n");
        let (left, said) = staged(policies, &dev, prod, &catalog);
        assert_eq!(left == prod, !moves, "{said}");
        assert!(said.contains(says), "{said}");
    }
}

/// A tag that moves is one image here and another there; one of three numbers stays what it was.
#[test]
fn a_pinned_place_is_not_what_an_unpinned_source_holds() {
    let pinned = format!("@{A}");
    for (policy, tag, says) in [
        ("tags: {fixed: main}", "main", "no-digest"),
        ("tags: {semver: minor}", "v1.1.0", "up-to-date"),
    ] {
        let policies = format!(
            "images:\n  shop: {{image: r.io/a, {policy}}}\nenvironments:\n  dev: {{paths: [dev]}}\n  prod: {{paths: [prod], promoteFrom: dev}}\n"
        );
        let catalog = format!("r.io/a: [{{tag: {tag}, digest: '{B}'}}]\n");
        let (dev, prod) =
            (format!("image: r.io/a:{tag}\n"), format!("image: r.io/a:{tag}{pinned}\n"));
        let (got, said) = staged(&policies, &dev, &prod, &catalog);
        assert_eq!(got, prod, "{said}");
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn what_no_policy_would_choose_is_not_promoted() {
    let cases = [
        ("semver: '*'", "pr-77", "is no version"),
        ("semver: '*'", "latest", "is no version"),
        ("semver: '*'", "20240101", "is no version"),
        ("semver: '*'", "917005", "is no version"),
        ("semver: '*'", "v2", "is no version"),
        ("semver: minor", "pr-77", "variant or make"),
        ("semver: minor", "main-12", "variant or make"),
        ("semver: minor", "nightly-3", "variant or make"),
        ("semver: minor", "20240101", "variant or make"),
        ("semver: minor", "v2", "variant or make"),
        ("semver: minor", "v1.1.0-debug", "variant or make"),
        ("semver: minor, variant: keep", "feature-x-2", "variant or make"),
        ("match: '^v', semver: minor", "1.1.0", "what `match` asks for"),
        ("exclude: ['-debug$'], semver: '*'", "v1.1.0-debug", "`exclude`"),
        ("numerical: asc", "v1.1.0", "is no version"),
    ];
    for (tags, tag, why) in cases {
        let policies = format!(
            "images:\n  web: {{image: r.io/web, tags: {{{tags}}}}}\n\
             environments:\n  dev: {{paths: [dev]}}\n  prod: {{paths: [prod], promoteFrom: dev}}\n"
        );
        let (dev, catalog) =
            (format!("image: r.io/web:{tag}\n"), format!("r.io/web: [v1.0.0, '{tag}']\n"));
        let (left, said) = staged(&policies, &dev, "image: r.io/web:v1.0.0\n", &catalog);
        assert_eq!(left, "image: r.io/web:v1.0.0\n", "{tags} {said}");
        assert!(said.contains(why), "{tags} {tag}: {said}");
    }
    // What a person brought to dev past a level, and a version of two numbers, earn their way.
    for (tags, from, to) in [("semver: minor", "v1.0.0", "v2.0.0"), ("semver: '*'", "1.26", "1.27")]
    {
        let policies = format!(
            "images:\n  web: {{image: r.io/web, tags: {{{tags}}}}}\n\
             environments:\n  dev: {{paths: [dev]}}\n  prod: {{paths: [prod], promoteFrom: dev}}\n"
        );
        let site = |tag: &str| format!("image: r.io/web:{tag}\n");
        let catalog = format!("r.io/web: ['{from}', '{to}']\n");
        let (got, said) = staged(&policies, &site(to), &site(from), &catalog);
        assert!(got.contains(to), "{tags} {said}");
    }
}

#[test]
fn what_moves_together_moves_together_or_not_at_all() {
    let policies = |lockstep: &str| {
        format!(
            "images:\n  front: {{image: r.io/front, tags: {{semver: '*'}}}}\n  back: {{image: r.io/back, tags: {{semver: '*'}}}}\n\
             environments:\n  dev: {{paths: [dev]}}\n  prod: {{paths: [prod], lockstep: {lockstep}}}\n"
        )
    };
    let (list, same) = ("[[front, back]]", "[{images: [front, back], same: tag}]");
    let alone = "{images: [front, back], same: tag}";
    let cases = [
        // One of them has nothing newer.
        (list, "1.0.0", "1.0.0", "[1.0.0, 1.1.0]", "[1.0.0]", "1.0.0", "1.0.0"),
        (list, "1.0.0", "1.0.0", "[1.0.0, 1.1.0]", "[1.0.0, 1.2.0]", "1.1.0", "1.2.0"),
        // One of them is there already.
        (list, "1.0.0", "1.1.0", "[1.0.0, 1.1.0]", "[1.0.0, 1.1.0]", "1.1.0", "1.1.0"),
        // The last tag that both have.
        (alone, "1.0.0", "1.0.0", "[1.0.0, 1.1.0, 1.2.0]", "[1.0.0, 1.1.0]", "1.1.0", "1.1.0"),
        (same, "1.0.0", "1.0.0", "[1.0.0, 1.1.0, 1.2.0]", "[1.0.0, 1.1.0]", "1.1.0", "1.1.0"),
        (same, "1.0.0", "1.0.0", "[1.0.0, 1.2.0]", "[1.0.0, 1.1.0]", "1.0.0", "1.0.0"),
        (same, "1.0.0", "1.0.0", "[1.0.0, 1.1.0]", "[1.0.0, 1.1.0]", "1.1.0", "1.1.0"),
    ];
    for (lockstep, front, back, fronts, backs, front_after, back_after) in cases {
        let file = |front: &str, back: &str| {
            format!("- image: r.io/front:{front}\n- image: r.io/back:{back}\n")
        };
        let catalog = format!("r.io/front: {fronts}\nr.io/back: {backs}\n");
        let (got, said) = staged(&policies(lockstep), "a: 1\n", &file(front, back), &catalog);
        assert_eq!(got, file(front_after, back_after), "{lockstep} {catalog}\n{said}");
    }
}
