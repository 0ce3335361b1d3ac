//! Help, manual pages and the meaning of codes.

use crate::world::World;

#[test]
fn every_command_names_examples_variables_exit_codes_and_the_documentation() {
    let world = World::new();
    for command in ["plan", "run", "rollback", "check", "explain", "status", "serve"] {
        let out = world.bot([command, "--help"]).run().exits(0);
        out.says(&[
            "Examples:",
            "Environment:",
            "GITHUB_TOKEN",
            "GITHUB_APP_ID",
            "Exit codes:",
            "Documentation:",
        ]);
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let world = World::new();
    let directory = world.dir("man1");
    world.bot(["man", "--dir", crate::world::arg(&directory)]).run().exits(0);
    for command in ["", "-plan", "-run", "-rollback", "-status", "-serve"] {
        let page = std::fs::read_to_string(directory.join(format!("tagalong{command}.1"))).unwrap();
        assert!(page.contains(".SH"), "{page}");
    }
}

#[test]
fn a_code_is_explained() {
    let world = World::new();
    let explain = |code: &str| world.bot(["explain", "--code", code]).run();
    explain("policy.never-moves")
        .exits(0)
        .says(&["nothing but what is deployed", "What to do: write"]);
    explain("rollback-open").exits(0).says(&["an open pull request rolls the environment back"]);
    explain("rollback-opn").exits(2).says(&["no such code", "did you mean `rollback-open`?"]);
    world.bot(["explain"]).run().exits(2).says(&["<IMAGE>"]);
}

#[test]
fn arguments_that_cannot_be_used_have_codes_of_their_own() {
    let world = World::new();
    let tree = world.tree(&[(
        "policies/p.yaml",
        "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}\n",
    )]);
    let tree = crate::world::arg(&tree).to_owned();
    let code = |args: &[&str], code: &str| {
        let args = args.iter().copied().chain(["--repo", &tree]);
        world.bot(args).run().exits(2).says(&[code]);
    };
    code(&["plan", "--env", "nope"], "argument.unknown");
    code(&["rollback", "--env", "default", "--to", "a b"], "argument.invalid");
    code(&["plan", "--ledger", &tree], "argument.invalid");
    code(&["run"], "repository.origin");
}

#[test]
fn one_tag_is_explained_when_it_is_asked_about() {
    let world = World::new();
    let policies = "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: minor}}\n";
    let site = "image: ghcr.io/acme/shop:v1.2.0\n";
    let tree = world.tree(&[("policies/p.yaml", policies), ("a.yaml", site)]);
    let catalog =
        world.file("tags.yaml", "ghcr.io/acme/shop: [v1.2.0, v1.4.2, v1.10.0-rc.1, v2.0.0]\n");
    let (tree, catalog) =
        (crate::world::arg(&tree).to_owned(), crate::world::arg(&catalog).to_owned());
    let ask = |tag: &str| {
        world.bot(["explain", "shop", tag, "--repo", &tree, "--catalog", &catalog]).run()
    };
    for (tag, why) in [
        ("v1.4.2", "v1.4.2: it is chosen"),
        ("v1.2.0", "v1.2.0 is not chosen: it fits the policy, and v1.4.2 ranks above it"),
        ("v2.0.0", "v2.0.0 is not chosen: it is further than `minor`"),
        ("v1.10.0-rc.1", "v1.10.0-rc.1 is not chosen: it counts as a prerelease"),
        ("v9.9.9", "v9.9.9 is not chosen: the registry does not list it"),
    ] {
        ask(tag).exits(0).says(&[why]);
    }
    ask("a b").exits(2).says(&["argument.invalid", "a b: not a tag"]);
}

/// Environments are explained apart, where their reasons differ.
#[test]
fn environments_are_explained_apart() {
    let world = World::new();
    let policies = "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: minor}}\nenvironments:\n  dev: {paths: [dev]}\n  \
                    test: {paths: [test], skip: [{tags: [v1.1.0], reason: loses orders}], suspend: an incident}\n  prod: {paths: [prod], promoteFrom: dev}\n";
    let site = "image: ghcr.io/acme/shop:v1.0.0\n";
    let compose = "services: {web: {image: 'nginx:1.27.0'}}\n";
    let tree = world.tree(&[
        ("policies/p.yaml", policies),
        ("dev/a.yaml", site),
        ("test/a.yaml", site),
        ("prod/a.yaml", site),
        ("dev/compose.yaml", compose),
    ]);
    let catalog = world.file("tags.yaml", "ghcr.io/acme/shop: [v1.0.0, v1.1.0]\n");
    let ask = |more: &[&str]| {
        let args = ["explain", "shop", "v1.1.0", "--repo", crate::world::arg(&tree)];
        let args = args.into_iter().chain(["--catalog", crate::world::arg(&catalog)]);
        world.bot(args.chain(more.iter().copied())).run()
    };
    let all = ask(&[]).exits(0);
    let part = |name: &str| {
        let mut parts = all.stdout.split("shop  ghcr.io/acme/shop").skip(1);
        parts.find(|part| part.contains(&format!("  in {name}\n"))).unwrap().to_owned()
    };
    assert!(part("dev").contains("v1.1.0: it is chosen"), "{}", all.stdout);
    assert!(
        part("test").contains("v1.1.0 is not chosen: v1.1.0 is passed over here: loses orders")
    );
    assert!(part("prod").contains("v1.1.0 is not chosen: versions come from another environment"));
    // Alone, no environment needs to be named.
    ask(&["--env", "prod"]).exits(0).says(&["v1.1.0 is not chosen: versions come from"]);
    // A deployed image without a policy is no word that nobody knows.
    let args = ["explain", "nginx", "--repo", crate::world::arg(&tree)];
    world
        .bot(args)
        .run()
        .exits(2)
        .says(&["docker.io/library/nginx is deployed and has no policy", "dev/compose.yaml:1"]);
    // What would wait says so.
    let policies = policies.replace(", skip: [{tags: [v1.1.0], reason: loses orders}]", "");
    world.file("tree/policies/p.yaml", &policies);
    for command in [&["plan"][..], &["explain", "shop"]] {
        let more = ["--repo", crate::world::arg(&tree), "--catalog", crate::world::arg(&catalog)];
        let out = world.bot(command.iter().copied().chain(more)).run().exits(0);
        out.says(&["info[environment.waits]: changes of `test` wait: suspended: an incident"]);
    }
}

/// A place that is left alone is not explained by what is deployed.
#[test]
fn a_place_that_is_left_alone_is_explained() {
    let world = World::new();
    let tree = world.tree(&[
        ("policies/p.yaml", "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: minor}}\n"),
        ("compose.yaml", "services: {s: {image: 'ghcr.io/acme/shop:${TAG:-v1.0.0}'}}\n"),
        (".env", "TAG=v1.0.1\n"),
    ]);
    let catalog = world.file("tags.yaml", "ghcr.io/acme/shop: [v1.0.0, v1.1.0]\n");
    let args = ["explain", "shop", "--repo", crate::world::arg(&tree), "--catalog"];
    let out = world.bot(args.into_iter().chain([crate::world::arg(&catalog)])).run().exits(0);
    out.says(&[
        "places that are left alone:",
        "compose.yaml:1: the image of `shop` is decided by the variable `TAG`, which .env:1 sets",
        "`minor` counts from what is deployed, and no place says what that is",
    ]);
}

#[test]
fn a_plan_is_in_columns_and_in_the_order_of_promotion() {
    let world = World::new();
    let policies = "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}\n  worker-long: {image: ghcr.io/acme/worker, tags: {semver: '*'}}\n\
                    environments:\n  alpha: {paths: [alpha], promoteFrom: zeta}\n  zeta: {paths: [zeta]}\n";
    let site = "a: {image: 'ghcr.io/acme/shop:v1.0.0'}\nb: {image: 'ghcr.io/acme/worker:v1.0.0'}\n";
    let tree =
        world.tree(&[("policies/p.yaml", policies), ("alpha/a.yaml", site), ("zeta/z.yaml", site)]);
    let catalog = world
        .file("tags.yaml", "ghcr.io/acme/shop: [v1.0.0, v1.1.0]\nghcr.io/acme/worker: [v1.0.0]\n");
    let args =
        ["plan", "--repo", crate::world::arg(&tree), "--catalog", crate::world::arg(&catalog)];
    let out = world.bot(args).run();
    let lines: Vec<&str> = out.stdout.lines().take(6).collect();
    assert_eq!(lines[0], "zeta");
    assert_eq!(
        lines[1],
        "  update    shop         v1.0.0 -> v1.1.0  zeta/z.yaml:1   newer: v1.1.0 is above v1.0.0"
    );
    assert_eq!(
        lines[2],
        "  keep      worker-long  v1.0.0            zeta/z.yaml:2   up-to-date: v1.0.0 is what the policy chooses"
    );
    assert_eq!(lines[3], "alpha");
    assert!(out.stdout.contains("1 edit in 1 change set"), "{}", out.stdout);
}
