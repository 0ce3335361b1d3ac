//! What `plan`, `explain` and `status` know of pull requests, and what they say where they know nothing.

use crate::world::story::shop;
use crate::world::{Fault, Repo, Story, World, arg};

/// A version that a person said no to is no update, whoever asks.
#[test]
fn what_a_person_closed_is_proposed_by_nobody() {
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    story.forge.edit(1, |pull| pull.state = "closed");
    story.later(1);
    for command in [&["plan"][..], &["status"], &["explain", "shop"]] {
        let said = story.bot(command).exits(0).stdout;
        assert!(said.contains("not wanted here: #1 was closed"), "{command:?}\n{said}");
    }
    let run = story.run().exits(0);
    assert_eq!(run.decisions(), ["shop hold v1.1.0 refused"]);
}

/// A forge that does not answer is a warning with its words, and the exit code of what is not whole.
#[test]
fn a_forge_that_fails_is_never_silent() {
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    for command in [&["plan"][..], &["status"], &["explain", "shop"]] {
        for (status, words) in [(401, "401"), (403, "403"), (404, "404"), (500, "500")] {
            for _ in 0..10 {
                let (headers, message) = (Vec::new(), "no");
                let fault = Fault {
                    method: "POST",
                    part: "/graphql",
                    status,
                    headers,
                    message,
                    after_effect: false,
                };
                story.forge.fault(fault);
            }
            let out = story.bot(command).exits(3);
            let said = format!("{}{}", out.stdout, out.stderr);
            assert!(said.contains("forge.unavailable"), "{command:?} {status}\n{said}");
            assert!(said.contains("pull requests of acme/fleet are not known"), "{said}");
            assert!(said.contains(words), "{command:?} {status}\n{said}");
            story.forge.heal();
        }
    }
    story.bot(&["status"]).exits(0);
}

#[test]
fn a_plan_of_a_work_tree_says_what_it_did_not_look_at() {
    let story = Story::shop();
    let host = story.registry.host.clone();
    let files = shop(&host);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let tree = story.world.tree(&files);
    let origin = format!("{}/acme/fleet.git", story.forge.url);
    for args in [&["init", "-q"][..], &["remote", "add", "origin", &origin]] {
        let git = std::process::Command::new("git").arg("-C").arg(&tree).args(args).status();
        assert!(git.unwrap().success());
    }
    let args = ["plan", "--repo", arg(&tree)];
    let out = story.forge.env(story.world.bot(args)).run().exits(0);
    let said = format!("{}{}", out.stdout, out.stderr);
    assert!(said.contains("forge.not-asked"), "{said}");
    assert!(said.contains("this is a work tree; `--repo acme/fleet` looks at them"), "{said}");
}

/// Several names, with commas or repeated; a warning is a mistake where that is asked for.
#[test]
fn names_take_commas_and_check_can_be_strict() {
    let story = Story::shop();
    for names in [&["--image", "shop,shop"][..], &["--image", "shop", "--image", "shop"]] {
        assert!(story.bot(&[&["plan"], names].concat()).exits(0).stdout.contains("shop"));
    }
    let world = &story.world;
    let tree = world.tree(&[(
        "policies/p.yaml",
        "images: {shop: {image: r.io/a/b, tags: {semver: '*'}}}\nenvironments: {e: {paths: [gone]}}\n",
    )]);
    let lax = world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
    assert!(lax.stdout.contains("no mistakes, 3 warnings"), "{}{}", lax.stdout, lax.stderr);
    let strict = world.bot(["check", "--strict", "--repo", arg(&tree)]).run().exits(2);
    assert!(strict.stdout.contains("`--strict` counts as mistakes"), "{}", strict.stdout);
}

/// A checkout whose origin is a directory: a run of it uses what is pushed there, and says where that differs.
#[test]
fn a_checkout_says_what_a_run_of_it_would_not_use() {
    let world = World::new();
    let policies = "images: {shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}}\nenvironments: {dev: {paths: [dev], deliver: {via: push}}}\n";
    let files =
        [("policies/p.yaml", policies), ("dev/a.yaml", "image: ghcr.io/acme/shop:v1.0.0\n")];
    let repo = Repo::create(&world.dir("repos"), "fleet", &files);
    let (checkout, catalog) =
        (world.dir("checkout"), world.file("c.yaml", "ghcr.io/acme/shop: [v1.0.0, v1.1.0]\n"));
    let git = std::process::Command::new("git")
        .args(["clone", "-q"])
        .arg(&repo.bare)
        .arg(&checkout)
        .status();
    assert!(git.unwrap().success());
    let bot = |args: &[&str], at: &str| {
        let more = ["--repo", at, "--catalog", arg(&catalog)];
        world.bot(args.iter().copied().chain(more)).run()
    };
    let at = arg(&checkout);
    let run = bot(&["run", "--dry-run"], at).exits(0);
    assert!(!run.stderr.contains("policy.not-pushed"), "{}", run.stderr);
    let suspended = policies.replace("paths: [dev]", "paths: [dev], suspend: stop");
    std::fs::write(checkout.join("policies/p.yaml"), suspended).unwrap();
    bot(&["run", "--dry-run"], at).exits(0).says(&[
        "policy.not-pushed",
        "policies/p.yaml",
        "uses the latter",
    ]);
    bot(&["plan"], at).exits(0).says(&["changes of `dev` wait: suspended: stop"]);
    // No forge is named that has nothing to do with it.
    let pulls = policies.replace("via: push", "via: pull-request");
    std::fs::write(checkout.join("policies/p.yaml"), pulls).unwrap();
    let plan = bot(&["plan"], at).exits(0);
    plan.says(&["its origin is on no forge that is known"]);
    let page = world.dir("").join("page.html");
    bot(&["status", "--html", arg(&page)], at).exits(0);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains("<b>?</b> open pull requests") && page.contains("Not looked at"),
        "{page}"
    );
    // The ledger of an origin on this machine is read: what was rolled back is no update.
    std::fs::write(checkout.join("policies/p.yaml"), policies).unwrap();
    bot(&["run"], at).exits(0).says(&["pushed"]);
    let back = ["rollback", "--env", "dev", "--deliver", "push"];
    bot(&back, at).exits(0);
    let pull =
        std::process::Command::new("git").arg("-C").arg(&checkout).args(["pull", "-q"]).status();
    assert!(pull.unwrap().success());
    let status = bot(&["status"], at).exits(0);
    assert!(!status.stdout.contains("the next run"), "{}{}", status.stdout, status.stderr);
    let again = bot(&[&back[..], &["--to", "v1.1.0"]].concat(), at).exits(2);
    assert!(!again.stderr.contains("it ran shop: v1.1.0"), "{}", again.stderr);
    // Within a directory, the root is named.
    let within = world.bot(["check"]).directory(&checkout.join("dev"));
    within.run().exits(2).says(&["this is a directory within a checkout: run it at"]);
}

/// A base names its images without tags, and a kustomization gives them: nobody is to write a tag there.
#[test]
fn a_base_that_a_kustomization_completes_is_no_mistake() {
    let world = World::new();
    let overlay = "resources: [../base]\nimages: [{name: ghcr.io/acme/shop, newTag: v1.0.0}]\n";
    let files = [
        ("policies/p.yaml", "images: {shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}}\n"),
        ("base/a.yaml", "kind: Deployment\nimage: ghcr.io/acme/shop\n"),
        ("prod/kustomization.yaml", overlay),
    ];
    let catalog = world.file("c.yaml", "ghcr.io/acme/shop: [v1.0.0]\n");
    let apart = [files[0], ("b/a.yaml", files[1].1), files[2]];
    for (files, is_told) in [(&files[..], false), (&files[..2], true), (&apart[..], true)] {
        let tree = world.tree(files);
        let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog)];
        let out = world.bot(args).run().exits(0);
        assert_eq!(out.stderr.contains("site.untagged"), is_told, "{}", out.stderr);
        std::fs::remove_dir_all(&tree).unwrap();
    }
}
