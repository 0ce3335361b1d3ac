//! The jobs of GitLab CI/CD as a runner would run them: their scripts in a shell, with the variables of a job.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::world::{Bot, Output, Product, Repo, Story, TOKEN, arg, story};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One image on GitLab, of which something newer is there.
fn shop() -> Story {
    Story::on(Product::GitLab, |registry| {
        registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
        story::shop(&registry.host)
    })
}

/// The jobs of a file, where `extends` is filled in.
fn jobs(text: &str) -> Value {
    let mut jobs: Value = serde_saphyr::from_str(text).unwrap();
    let all = jobs.clone();
    for (_, job) in jobs.as_object_mut().unwrap() {
        if let Some(base) = job["extends"].as_str() {
            let base = all[base].as_object().unwrap().clone();
            let own = std::mem::replace(job, Value::Object(base));
            job.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        }
    }
    jobs
}

/// Runs the script of a job in a directory.
fn run(story: &Story, job: &Value, directory: &Path, more: &[(&str, &str)]) -> Output {
    assert!(job["image"]["name"].as_str().unwrap().ends_with("-ci"), "an image with a shell");
    let lines = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    let script = lines.collect::<Vec<_>>().join("\n");
    let mut command = Command::new("sh");
    command.args(["-e", "-c", &script]);
    let program = Path::new(env!("CARGO_BIN_EXE_tagalong")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let url = &story.forge.url;
    let bot = Bot::from(command, &story.world.dir("home")).directory(directory);
    let own = [
        ("PATH", path.as_str()),
        ("GITLAB_CI", "true"),
        ("CI", "true"),
        ("CI_SERVER_URL", url),
        ("CI_API_V4_URL", &format!("{url}/api/v4")),
        ("CI_PROJECT_PATH", "acme/fleet"),
        ("CI_JOB_TOKEN", "glcbt-canaryOfAJob"),
        ("GITLAB_USER_LOGIN", "ada"),
    ];
    own.iter().chain(more).fold(bot, |bot, (name, value)| bot.env(name, value)).run()
}

/// A checkout of the project.
fn checkout(story: &Story) -> PathBuf {
    let tree = story.world.dir("checkout");
    let git = |args: &[&str]| assert!(Repo::at(tree.clone()).try_git(args).0, "{args:?}");
    git(&["clone", "-q", arg(&story.forge.repo.bare), "."]);
    git(&["remote", "set-url", "origin", &format!("{}/acme/fleet.git", story.forge.url)]);
    tree
}

#[test]
fn the_jobs_that_init_writes_update_and_check() {
    let story = shop();
    let tree = checkout(&story);
    let init = |tree: &Path| {
        let bot = story.world.bot(["init"]).directory(tree);
        story.forge.env(bot).run().exits(0)
    };
    init(&tree).says(&[".gitlab-ci.yml"]);
    let text = std::fs::read_to_string(tree.join(".gitlab-ci.yml")).unwrap();
    let jobs = jobs(&text);
    let update = &jobs["tagalong-update"];
    run(&story, update, &story.world.dir("empty"), &[("GITLAB_TOKEN", TOKEN)])
        .exits(0)
        .says(&["v1.1.0"]);
    assert_eq!(story.forge.pulls()[0].title, "Update shop to v1.1.0");
    // What is there already is not replaced.
    std::fs::write(tree.join(".gitlab-ci.yml"), "include: []\n").unwrap();
    init(&tree).says(&["add `include: [{local: .gitlab/tagalong.yaml}]` to it"]);
    assert_eq!(std::fs::read_to_string(tree.join(".gitlab/tagalong.yaml")).unwrap(), text);
    // A check needs no token, and its report is there whether or not there is a mistake.
    let check = &jobs["tagalong-check"];
    let report = || -> Value {
        let path = check["artifacts"]["reports"]["codequality"].as_str().unwrap();
        serde_json::from_slice(&std::fs::read(tree.join(path)).unwrap()).unwrap()
    };
    run(&story, check, &tree, &[]).exits(0);
    assert_eq!(report(), serde_json::json!([]));
    std::fs::write(tree.join("policies/p.yaml"), "images:\n  shop: {imgae: x}\n").unwrap();
    run(&story, check, &tree, &[]).exits(2);
    let found = report();
    assert_eq!(found[0]["location"]["path"], "policies/p.yaml", "{found}");
    assert_eq!(found[0]["location"]["lines"]["begin"], 2);
    assert_eq!(found[0]["severity"], "major");
}

#[test]
fn the_component_is_the_same_jobs_with_inputs() {
    let text = std::fs::read_to_string(root().join("templates/tagalong.yml")).unwrap();
    let (spec, body) = text.split_once("\n---\n").unwrap();
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    let mut filled = body.to_owned();
    for (name, input) in spec["spec"]["inputs"].as_object().unwrap() {
        assert!(input["description"].as_str().unwrap().ends_with('.'), "{name}");
        let value = match &input["default"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mark = format!("$[[ inputs.{name} ]]");
        assert!(filled.contains(&mark), "{name}");
        filled = filled.replace(&mark, &value);
    }
    assert!(!filled.contains("$[["), "{filled}");
    let (component, written) =
        (jobs(&filled), jobs(include_str!("../../src/starter/gitlab-ci.yaml")));
    for name in ["tagalong-check", "tagalong-update"] {
        for key in ["image", "rules", "variables", "resource_group", "artifacts"] {
            assert_eq!(component[name][key], written[name][key], "{name} {key}");
        }
    }
    let story = shop();
    let update = &component["tagalong-update"];
    run(&story, update, &story.world.dir("empty"), &[("GITLAB_TOKEN", TOKEN)]).exits(0);
    assert_eq!(story.forge.pulls().len(), 1);
}

/// The token of a job opens the registry of its server, and pushes where the project lets jobs push.
#[test]
fn a_jobs_own_token_pushes_and_says_what_it_cannot() {
    let story = shop();
    let jobs = jobs(include_str!("../../src/starter/gitlab-ci.yaml"));
    let update = &jobs["tagalong-update"];
    let empty = story.world.dir("empty");
    let own = [("CI_JOB_TOKEN", TOKEN)];
    run(&story, update, &empty, &own)
        .exits(1)
        .says(&["CI_JOB_TOKEN cannot open GitLab's merge requests"]);
    let mut push = update.clone();
    push["script"] = serde_json::json!(["tagalong run --deliver push"]);
    run(&story, &push, &empty, &own).exits(0);
    assert!(story.forge.repo.show("main", "shop.yaml").contains(":v1.1.0"));
}
