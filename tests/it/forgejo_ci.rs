//! The workflow of Forgejo Actions and Gitea Actions as a runner would run it: the scripts of the action, with the variables
//! of a job.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::gitlab::shop_on;
use crate::world::{Bot, Output, Product, Repo, Story, TOKEN, arg};

/// Runs the action of a step as a job of a product does, in a directory.
fn run(story: &Story, step: &Value, directory: &Path, product: &str) -> Output {
    assert!(step["uses"].as_str().unwrap().starts_with("https://github.com/tagalong/tagalong@"));
    let command = step["with"]["command"].as_str().unwrap_or("run");
    let temp = story.world.dir("temp");
    std::fs::create_dir_all(temp.join("tagalong-bin")).unwrap();
    let program = temp.join("tagalong-bin/tagalong");
    if !program.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_tagalong"), &program).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/action/run");
    let bot = Bot::from(Command::new(script), &story.world.dir("home")).directory(directory);
    let url = &story.forge.url;
    let variables = [
        ("COMMAND", command),
        ("RUNNER_TEMP", arg(&temp)),
        (product, "true"),
        ("CI", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", url),
        ("GITHUB_API_URL", &format!("{url}/api/v1")),
        ("GITHUB_REPOSITORY", "acme/fleet"),
        ("GITHUB_TOKEN", TOKEN),
        ("GITHUB_ACTOR", "ada"),
        ("PATH", &std::env::var("PATH").unwrap()),
    ];
    variables.iter().fold(bot, |bot, (name, value)| bot.env(name, value)).run()
}

/// The workflow that `init` writes for a server of a product, and its two jobs.
fn written(story: &Story, variable: &str, path: &str) -> (std::path::PathBuf, Value) {
    let tree = story.world.dir(&format!("checkout{variable}"));
    let git = |args: &[&str]| assert!(Repo::at(tree.clone()).try_git(args).0, "{args:?}");
    git(&["clone", "-q", arg(&story.forge.repo.bare), "."]);
    git(&["remote", "set-url", "origin", &format!("{}/acme/fleet.git", story.forge.url)]);
    let bot = story.world.bot(["init"]).directory(&tree).env(variable, &story.forge.url);
    bot.run().exits(0).says(&[path]);
    let text = std::fs::read_to_string(tree.join(path)).unwrap();
    (tree, serde_saphyr::from_str(&text).unwrap())
}

#[test]
fn the_workflow_that_init_writes_updates_and_checks() {
    let cases = [
        ("FORGEJO_URL", ".forgejo/workflows/tagalong.yaml", "docker", "FORGEJO_ACTIONS"),
        ("GITEA_URL", ".gitea/workflows/tagalong.yaml", "ubuntu-latest", "GITEA_ACTIONS"),
        // Older runners of Forgejo say neither.
        ("FORGEJO_URL", ".forgejo/workflows/tagalong.yaml", "docker", "X"),
    ];
    for (variable, path, label, product) in cases {
        let story = shop_on(Product::Forgejo, "draft: false");
        let (tree, workflow) = written(&story, variable, path);
        let jobs = &workflow["jobs"];
        assert_eq!(
            (&jobs["update"]["runs-on"], &jobs["check"]["runs-on"]),
            (&label.into(), &label.into())
        );
        run(&story, &jobs["update"]["steps"][0], &story.world.dir("empty"), product)
            .exits(0)
            .says(&["v1.1.0"]);
        assert_eq!(story.forge.pulls()[0].title, "Update shop to v1.1.0 in dev");
        let check = &jobs["check"]["steps"][1];
        run(&story, check, &tree, product).exits(0);
        std::fs::write(tree.join("policies/p.yaml"), "images:\n  shop: {imgae: x}\n").unwrap();
        run(&story, check, &tree, product).exits(2).says(&["policies/p.yaml"]);
    }
}

/// The token of a job is for its own server.
#[test]
fn a_jobs_token_goes_to_its_own_server() {
    let story = shop_on(Product::Forgejo, "draft: false");
    let run = |more: &[(&str, &str)]| {
        let url = &story.forge.url;
        let api = format!("{url}/api/v1");
        let job = [
            ("FORGEJO_ACTIONS", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", url.as_str()),
            ("GITHUB_API_URL", api.as_str()),
            ("GITHUB_TOKEN", TOKEN),
        ];
        let bot = story.world.bot(["run", "--repo", "acme/fleet", "--format", "json"]);
        job.iter().chain(more).fold(bot, |bot, (name, value)| bot.env(name, value)).run()
    };
    run(&[("FORGEJO_URL", "http://127.0.0.1:9"), ("FORGEJO_TOKEN", "of-the-runner")])
        .exits(2)
        .says(&["FORGEJO_URL is another server than the one of this job"]);
    run(&[("GITHUB_API_URL", "http://127.0.0.1:9/api/v1")])
        .exits(2)
        .says(&["GITHUB_API_URL is on another server than GITHUB_SERVER_URL"]);
    assert_eq!(story.forge.seen(), [""; 0]);
    // What the step is given comes before what runners put there themselves.
    assert_eq!(run(&[("FORGEJO_TOKEN", "of-the-runner")]).exits(0).deliveries(), ["dev created"]);
}
