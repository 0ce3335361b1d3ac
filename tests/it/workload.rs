//! The workload of `scripts/bench` delivered to the world's GitHub; run by that script.

use std::process::Command;

use crate::world::{Bot, GitHub, Repo, World, arg};

/// A thousand policies over a hundred repositories of ten thousand tags, in one process.
#[test]
#[expect(clippy::print_stdout, reason = "the script shows the table")]
#[ignore = "scripts/bench runs it"]
fn a_million_tags_fit_into_memory() {
    const REPOSITORIES: usize = 100;
    const ENVIRONMENTS: usize = 10;
    let binary = std::env::var("TAGALONG_BENCH_BIN").expect("scripts/bench sets it");
    let world = World::new();
    let registry = world.registry();
    let tags: Vec<String> =
        (0..10_000).map(|n| format!("v{}.{}.{}", n / 1000, n / 10 % 100, n % 10)).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    registry.pages_of(1000);
    let mut files = Vec::new();
    for repository in 0..REPOSITORIES {
        registry.push(&format!("team/app-{repository}"), &tags);
    }
    for environment in 0..ENVIRONMENTS {
        let (mut policies, mut sites) = (String::from("images:\n"), String::new());
        for repository in 0..REPOSITORIES {
            let image = format!("{}/team/app-{repository}", registry.host);
            policies += &format!(
                "  p-{environment}-{repository}: {{image: {image}, tags: {{semver: '>={environment}'}}}}\n"
            );
            sites += &format!("---\nimage: {image}:v{environment}.0.0\n");
        }
        policies += &format!(
            "environments:\n  e{environment}: {{paths: [e{environment}], images: ['p-{environment}-*']}}\n"
        );
        files.push((format!("policies/{environment}.yaml"), policies));
        files.push((format!("e{environment}/a.yaml"), sites));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let tree = world.tree(&files);
    let times = world.dir("out").join("time");
    let mut command = Command::new("/usr/bin/time");
    command.args(["-f", "%e %U %S %M", "-o", arg(&times), &binary]);
    command.args(["plan", "--repo", arg(&tree), "--format", "json"]);
    let out = Bot::from(command, &world.dir("home")).run().exits(0);
    let edits = out.json()["edits"].as_array().unwrap().len();
    let text = std::fs::read_to_string(times).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let [wall, user, system, kilobytes] = numbers[..] else { panic!("{text}") };
    let (cpu, memory, requests) = (user + system, kilobytes / 1024.0, registry.seen().len());
    println!(
        "| 1,000 policies, 1,000,000 tags ({edits} lines) | {wall} | {cpu:.2} | {memory:.0} | {requests} | | |"
    );
    assert_eq!(edits, REPOSITORIES * ENVIRONMENTS);
    assert!(memory < 300.0, "{memory} MiB");
}

/// Opens one pull request for a whole repository, then runs again with nothing to do.
#[test]
#[expect(clippy::print_stdout, reason = "the script shows the table")]
#[ignore = "scripts/bench runs it, with a registry full of images"]
fn one_pull_request_for_everything() {
    let fleet = std::env::var("TAGALONG_BENCH_FLEET").expect("scripts/bench sets it");
    let binary = std::env::var("TAGALONG_BENCH_BIN").expect("scripts/bench sets it");
    let world = World::new();
    let repo = Repo::create(&world.dir("git"), "acme/fleet", &[("README.md", "")]);
    repo.git(&["fetch", "-q", &fleet, "+HEAD:refs/heads/main"]);
    let github = GitHub::start(&world.runtime, &world.dir("git"), repo);
    for (name, outcome) in
        [("one pull request with all lines", "created"), ("again, nothing to do", "unchanged")]
    {
        let times = world.dir("out").join("time");
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "%e %U %S %M", "-o", arg(&times), &binary]);
        command.args(["run", "--repo", "acme/fleet", "--format", "json"]);
        let out = github.env(Bot::from(command, &world.dir("home"))).run().exits(0);
        assert_eq!(out.deliveries(), [format!("default {outcome}")]);
        let seen = github.seen();
        let (api, git): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.contains("/api/"));
        let challenges = git.iter().filter(|seen| seen.contains("challenged")).count();
        let text = std::fs::read_to_string(times).unwrap();
        let numbers: Vec<f64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let [wall, user, system, kilobytes] = numbers[..] else { panic!("{text}") };
        let (cpu, memory) = (user + system, kilobytes / 1024.0);
        let edits = out.json()["edits"].as_array().unwrap().len();
        let git = git.len() - challenges;
        println!(
            "| {name} ({edits} lines) | {wall} | {cpu:.2} | {memory:.0} | 50 | {} | {git} |",
            api.len()
        );
        let writes = seen
            .iter()
            .filter(|seen| {
                seen.contains("receive-pack")
                    || !seen.starts_with("GET") && seen.contains("/api/v3")
            })
            .count();
        assert!(api.len() <= 6 && git <= 4, "{seen:#?}");
        assert!(outcome == "created" || writes == 0, "{seen:#?}");
    }
}
