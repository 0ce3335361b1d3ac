//! What the documentation shows is tried: its commands are understood, its YAML is valid, its links lead somewhere.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use serde_json::Value;

use crate::world::daemon::Daemon;
use crate::world::{Story, World, arg};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages for users.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let top = ["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    let all = docs.chain(top).filter(|path| path.extension().is_some_and(|e| e == "md"));
    let mut all: Vec<_> =
        all.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect();
    all.sort();
    all
}

/// The blocks of a page: language and text.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("\n```").collect::<Vec<_>>();
    let fenced = parts.iter().skip(1).step_by(2);
    fenced.map(|part| part.split_once('\n').unwrap_or((part, ""))).collect()
}

#[test]
fn every_command_is_understood() {
    let mut count = 0;
    for (path, text) in pages() {
        for (_, block) in blocks(&text).into_iter().filter(|(language, _)| language.is_empty()) {
            for line in block.lines().filter_map(|line| {
                line.split('|').find(|part| part.trim_start().starts_with("tagalong "))
            }) {
                let words = line.split(" #").next().unwrap().split_whitespace();
                let parsed = tagalong::cli::Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{}: {line}: {}", path.display(), parsed.unwrap_err());
                count += 1;
            }
        }
    }
    assert!(count >= 15, "{count}");
}

#[test]
fn every_yaml_is_valid() {
    let schema = |which: &str| -> Value {
        let path = root().join(format!("docs/schema/{which}.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let serve = jsonschema::validator_for(&schema("serve")).unwrap();
    let settings = jsonschema::validator_for(&schema("settings")).unwrap();
    let registries = jsonschema::validator_for(&schema("registries")).unwrap();
    let mut count = 0;
    for (path, text) in pages() {
        for (_, block) in blocks(&text).into_iter().filter(|(language, _)| *language == "yaml") {
            let at = path.display();
            let first = block.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
            count += 1;
            // A piece of a workflow is in one of the examples, which are checked as a whole.
            if first.starts_with(' ') {
                let examples = std::fs::read_dir(root().join("examples/workflows")).unwrap();
                let examples: String =
                    examples.map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap()).collect();
                assert!(
                    examples.contains("uses: tagalong/tagalong@v1")
                        && block.contains("uses: tagalong/tagalong@v1"),
                    "{at}"
                );
                continue;
            }
            let value: Value =
                serde_saphyr::from_str(block).unwrap_or_else(|e| panic!("{at}: {e}\n{block}"));
            let top: Vec<&str> =
                value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
            if top.is_empty() {
                continue;
            }
            let is_one_of = |keys: &[&str]| top.iter().all(|key| keys.contains(key));
            if is_one_of(&["images", "environments"]) {
                policies(block, &at.to_string());
            } else if top.contains(&"tagalong-update") {
                // Jobs of GitLab are those that `init` writes.
                let jobs = std::fs::read_to_string(root().join("src/starter/gitlab-ci.yaml"));
                assert_eq!(block.trim(), jobs.unwrap().trim(), "{at}");
            } else if top.contains(&"jobs") {
                let workflow =
                    std::fs::read_to_string(root().join("src/starter/forgejo-actions.yaml"));
                assert_eq!(block.trim(), workflow.unwrap().trim(), "{at}");
            } else if top.contains(&"repositories") {
                let wrong = serve.validate(&value).err().map(|e| e.to_string());
                assert!(wrong.is_none(), "{at}: {wrong:?}");
            } else if top == ["groups"] {
                alerts(block);
            } else {
                let fits = settings.is_valid(&value) || registries.is_valid(&value);
                assert!(
                    fits || top.contains(&"kind") || top.contains(&"apiVersion"),
                    "{at}: {block}"
                );
            }
        }
    }
    assert!(count >= 12, "{count}");
}

/// Alerts are about what there is.
fn alerts(block: &str) {
    let story = Story::shop();
    let text = "listen: 127.0.0.1:0\nrepositories: [{repo: acme/fleet}]\n\
                webhooks: [{kind: harbor, path: /h, secretVariables: [HOOK_SECRET]}]\n";
    let config = story.world.file("serve.yaml", text);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    daemon.says("\"run finished\"", 1);
    let page = story.world.runtime.block_on(async {
        daemon.post("/h").body("{}").send().await.unwrap();
        daemon.get("/metrics").send().await.unwrap().text().await.unwrap()
    });
    assert_eq!(daemon.stop(), 0);
    let words = block.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics: Vec<&str> = words
        .filter(|word| word.starts_with("tagalong_") || word.starts_with("process_"))
        .collect();
    assert!(metrics.len() >= 5, "{block}");
    for metric in metrics {
        let family = metric.strip_suffix("_total").unwrap_or(metric);
        assert!(page.contains(&format!("# TYPE {family} ")), "{metric} is not in\n{page}");
    }
}

/// The files of examples say what the program understands.
#[test]
fn examples_are_valid() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let serve = tagalong::policy::PolicyFile::new("serve.yaml", read("examples/serve.yaml"));
    let serve = tagalong::policy::read_service(&serve).unwrap();
    assert!(!serve.repositories.is_empty());
    let value = |path: &str| -> Value { serde_saphyr::from_str(&read(path)).unwrap() };
    let service = &value("examples/compose.yaml")["services"]["tagalong"];
    let job = value("examples/kubernetes/cronjob.yaml");
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    for command in [&service["command"], &pod["containers"][0]["args"]] {
        let words = command.as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        let parsed = tagalong::cli::Cli::try_parse_from(std::iter::once("tagalong").chain(words));
        assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
    }
    // What the daemon reads is where the file puts it.
    let mounted = service["volumes"][0].as_str().unwrap().split(':').nth(1).unwrap();
    assert!(service["command"].as_array().unwrap().iter().any(|word| word == mounted));
    for hook in &serve.webhooks {
        for file in &hook.secrets.0 {
            let name = file.strip_prefix("/run/secrets/").unwrap();
            assert!(
                service["secrets"].as_array().unwrap().iter().any(|secret| secret == name),
                "{file}"
            );
        }
    }
    // Inputs that workflows give are inputs of the action.
    let action = value("action.yml");
    for workflow in ["config-repository", "app-repository"] {
        let workflow = value(&format!("examples/workflows/{workflow}.yaml"));
        let jobs = workflow["jobs"].as_object().unwrap().values();
        let steps = jobs.flat_map(|job| job["steps"].as_array().unwrap());
        let ours = steps
            .filter(|step| step["uses"].as_str().is_some_and(|uses| uses.starts_with("tagalong/")));
        for input in
            ours.filter_map(|step| step["with"].as_object()).flat_map(serde_json::Map::keys)
        {
            assert!(action["inputs"].get(input).is_some(), "{input}");
        }
    }
}

/// Policies that are shown are accepted; what they name elsewhere is added.
fn policies(block: &str, at: &str) {
    let world = World::new();
    let more = if block.contains("images:\n") {
        ""
    } else {
        "images: {shop: {image: shop, tags: {fixed: a}}}\n"
    };
    let key = rcgen::KeyPair::generate().unwrap().public_key_pem();
    let files = [("policies/p.yaml", format!("{block}\n{more}")), ("keys/shop.pub", key)];
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let checked = world.bot(["check", "--repo", arg(&world.tree(&files))]).run();
    assert_eq!(checked.code, 0, "{at}:\n{block}\n{}", checked.stderr);
}

/// Whoever meets a code finds what to do about it, and nothing that is not a code.
#[test]
fn every_code_has_its_advice() {
    let read = |page: &str| std::fs::read_to_string(root().join("docs").join(page)).unwrap();
    let codes = |page: &str| -> Vec<String> {
        let first = |line: &str| line.strip_prefix("| `")?.split(" | ").next().map(str::to_owned);
        let cells = page.lines().filter_map(first);
        let of = |cell: String| {
            cell.split("`, `").map(|code| code.trim_end_matches('`').to_owned()).collect::<Vec<_>>()
        };
        cells.flat_map(of).collect()
    };
    let (known, page) = (read("diagnostics.md"), read("troubleshooting.md"));
    // An update, or that nothing is to be done, asks for nothing.
    let asks_nothing = |line: &&str| line.contains("| Update: ") || line.contains("| Keep: ");
    let known: Vec<&str> = known.lines().filter(|line| !asks_nothing(line)).collect();
    let (mut known, mut advised) = (codes(&known.join("\n")), codes(&page));
    known.sort();
    advised.sort();
    assert_eq!(advised, known);
}

#[test]
fn every_link_leads_to_a_file() {
    for (path, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if link.contains("://") || target.is_empty() || link.contains(char::is_whitespace) {
                continue;
            }
            let to = path.parent().unwrap().join(target);
            assert!(to.exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn the_examples_of_workflows_are_those_that_init_writes() {
    // One says in comments what the other does without.
    let of = |path: &str| -> Value {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        serde_saphyr::from_str(&text).unwrap()
    };
    let (example, mut written) =
        (of("examples/workflows/config-repository.yaml"), of("src/starter/workflow.yaml"));
    for (job, name) in [("check", "Check policies"), ("update", "Update images")] {
        written["jobs"][job]["name"] = name.into();
    }
    assert_eq!(example, written);
}
