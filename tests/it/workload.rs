//! The workload of `scripts/bench` delivered to the world's GitHub; run by that script.

use std::process::Command;

use crate::world::{Bot, GitHub, Repo, World, arg};

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
