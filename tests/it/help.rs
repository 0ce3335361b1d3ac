//! What the program says of itself: help, manual pages, codes.

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
