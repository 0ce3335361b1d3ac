//! What `plan`, `explain` and `status` know of pull requests, and what they say where they know nothing.

use crate::world::story::shop;
use crate::world::{Fault, Story, arg};

/// A version that a person said no to is no update, whoever asks.
#[test]
fn what_a_person_closed_is_proposed_by_nobody() {
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    story.github.edit(1, |pull| pull.state = "closed");
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
                story.github.fault(fault);
            }
            let out = story.bot(command).exits(3);
            let said = format!("{}{}", out.stdout, out.stderr);
            assert!(said.contains("forge.unavailable"), "{command:?} {status}\n{said}");
            assert!(said.contains("pull requests of acme/fleet are not known"), "{said}");
            assert!(said.contains(words), "{command:?} {status}\n{said}");
            story.github.heal();
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
    let origin = format!("{}/acme/fleet.git", story.github.url);
    for args in [&["init", "-q"][..], &["remote", "add", "origin", &origin]] {
        let git = std::process::Command::new("git").arg("-C").arg(&tree).args(args).status();
        assert!(git.unwrap().success());
    }
    let args = ["plan", "--repo", arg(&tree)];
    let out = story.github.env(story.world.bot(args)).run().exits(0);
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
