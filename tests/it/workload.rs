//! The workload of `scripts/bench` delivered to the world's GitHub; run by that script.

use std::process::Command;

use crate::world::{Bot, ForgeServer, Output, Repo, World, arg};

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
    let numbers = measured(&world);
    let [wall, user, system, kilobytes] = numbers[..] else { panic!("{numbers:?}") };
    let (cpu, memory, requests) = (user + system, kilobytes / 1024.0, registry.seen().len());
    println!(
        "| 1,000 policies, 1,000,000 tags ({edits} lines) | {wall} | {cpu:.2} | {memory:.0} | {requests} | | |"
    );
    assert_eq!(edits, REPOSITORIES * ENVIRONMENTS);
    assert!(memory < 300.0, "{memory} MiB");
}

/// A thousand lists of a thousand tags each, against fetching the same addresses and nothing more.
#[test]
#[expect(clippy::print_stdout, reason = "the script shows the table")]
#[ignore = "scripts/bench runs it"]
fn a_thousand_lists_take_hardly_longer_than_their_bytes() {
    const REPOSITORIES: usize = 1000;
    let binary = std::env::var("TAGALONG_BENCH_BIN").expect("scripts/bench sets it");
    let world = World::new();
    let registry = world.registry();
    let tags: Vec<String> = (0..1000).map(|n| format!("v1.{}.{}", n / 100, n % 100)).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let (mut policies, mut sites, mut urls) =
        ("images:\n".to_owned(), String::new(), String::new());
    for n in 0..REPOSITORIES {
        let name = format!("team/app-{n}");
        registry.push(&name, &tags);
        let image = format!("{}/{name}", registry.host);
        policies += &format!("  app-{n}: {{image: {image}, tags: {{semver: '*'}}}}\n");
        sites += &format!("---\nimage: {image}:v1.0.0\n");
        let url = format!("http://{}/v2/{name}/tags/list?n=1000", registry.host);
        urls += &format!("url = \"{url}\"\noutput = \"/dev/null\"\n");
    }
    let tree = world.tree(&[("policies/p.yaml", &policies), ("a.yaml", &sites)]);
    let urls = world.file("urls", &urls);
    let raw = || {
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "%e %U %S %M", "-o", arg(&world.dir("out").join("time")), "curl"]);
        command.args(["--silent", "--parallel", "--parallel-max", "8", "--config", arg(&urls)]);
        Bot::from(command, &world.dir("home")).run().exits(0);
        measured(&world)[0]
    };
    let ours = || {
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "%e %U %S %M", "-o", arg(&world.dir("out").join("time")), &binary]);
        command.args(["plan", "--repo", arg(&tree), "--format", "json"]);
        let out = Bot::from(command, &world.dir("home")).run().exits(0);
        assert_eq!(out.json()["registries"][0]["requests"], REPOSITORIES);
        measured(&world)
    };
    let mut pairs: Vec<(f64, Vec<f64>)> = (0..5).map(|_| (raw(), ours())).collect();
    pairs.sort_by(|a, b| (a.1[0] / a.0).total_cmp(&(b.1[0] / b.0)));
    let (raw, ours) = &pairs[2];
    let [wall, user, system, kilobytes] = ours[..] else { panic!("{ours:?}") };
    let (cpu, memory, ratio) = (user + system, kilobytes / 1024.0, wall / raw);
    println!(
        "| 1,000 lists of 1,000 tags | {wall} | {cpu:.2} | {memory:.0} | {REPOSITORIES}; {ratio:.2} times `curl` ({raw} s) | | |"
    );
    assert!(memory < 200.0, "{memory} MiB");
    assert!(ratio <= 1.5, "{ratio} times the raw fetch");
}

/// What `time` wrote: wall, user and system seconds, and kilobytes.
fn measured(world: &World) -> Vec<f64> {
    let text = std::fs::read_to_string(world.dir("out").join("time")).unwrap();
    text.split_whitespace().map(|n| n.parse().unwrap()).collect()
}

/// The workload's repository on the world's GitHub.
struct Workload {
    world: World,
    forge: ForgeServer,
}

/// What a run took.
struct Took {
    out: Output,
    cpu: f64,
    seen: Vec<String>,
    api: usize,
    /// Without the requests that were only asked for a login.
    git: usize,
    row: String,
}

impl Workload {
    fn new() -> Self {
        let fleet = std::env::var("TAGALONG_BENCH_FLEET").expect("scripts/bench sets it");
        let world = World::new();
        let repo = Repo::create(&world.dir("git"), "acme/fleet", &[("README.md", "")]);
        repo.git(&["fetch", "-q", &fleet, "+HEAD:refs/heads/main"]);
        let github = world.serve(repo);
        Self { world, forge: github }
    }

    fn run(&self, name: &str) -> Took {
        let binary = std::env::var("TAGALONG_BENCH_BIN").expect("scripts/bench sets it");
        let times = self.world.dir("out").join("time");
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "%e %U %S %M", "-o", arg(&times), &binary]);
        command.args(["run", "--repo", "acme/fleet", "--format", "json"]);
        let out = self.forge.env(Bot::from(command, &self.world.dir("home"))).run().exits(0);
        let seen = self.forge.seen();
        let (api, git): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.contains("/api/"));
        let challenges = git.iter().filter(|seen| seen.contains("challenged")).count();
        let (api, git) = (api.len(), git.len() - challenges);
        let numbers = measured(&self.world);
        let [wall, user, system, kilobytes] = numbers[..] else { panic!("{numbers:?}") };
        let (cpu, memory) = (user + system, kilobytes / 1024.0);
        let json = out.json();
        let requests = json["registries"][0]["requests"].clone();
        let row =
            format!("| {name} | {wall} | {cpu:.2} | {memory:.0} | {requests} | {api} | {git} |");
        Took { out, cpu, seen, api, git, row }
    }
}

/// Opens one pull request for a whole repository, then runs again with nothing to do.
#[test]
#[expect(clippy::print_stdout, reason = "the script shows the table")]
#[ignore = "scripts/bench runs it, with a registry full of images"]
fn one_pull_request_for_everything() {
    let workload = Workload::new();
    for (name, outcome) in
        [("one pull request with all lines", "created"), ("again, nothing to do", "unchanged")]
    {
        let took = workload.run(name);
        println!("{}", took.row);
        assert_eq!(took.out.deliveries(), [format!("default {outcome}")]);
        let seen = &took.seen;
        let writes = seen
            .iter()
            .filter(|seen| {
                seen.contains("receive-pack")
                    || !seen.starts_with("GET") && seen.contains("/api/v3")
            })
            .count();
        assert!(took.api <= 6 && took.git <= 4, "{seen:#?}");
        assert!(outcome == "created" || writes == 0, "{seen:#?}");
        assert!(took.cpu <= 12.1 / 20.0, "{} s, and Renovate takes 12.1", took.cpu);
    }
}

/// Opens a pull request for each image of each environment, then runs again with nothing to do. Renovate's
/// figures are of 116 pull requests; these are more.
#[test]
#[expect(clippy::print_stdout, reason = "the script shows the table")]
#[ignore = "scripts/bench runs it, with a registry full of images"]
fn a_pull_request_for_every_update() {
    let workload = Workload::new();
    let environments = ["dev", "staging", "prod", "prod-eu"]
        .map(|name| format!("  {name}: {{paths: [clusters/{name}], deliver: {{group: image}}}}\n"));
    let environments = format!("environments:\n{}", environments.concat());
    let file = ("policies/environments.yaml", &*environments);
    workload.forge.repo.commit("main", "Environments", &[file]);
    let took = workload.run("a pull request for each update");
    let pulls = workload.forge.pulls().len();
    println!("{} {pulls} pull requests |", took.row);
    assert!(pulls >= 116, "{pulls}");
    assert!(took.api <= 3 * pulls + 10 && took.git <= 6, "{} {}", took.api, took.git);
    assert!(took.cpu <= 60.0 / 20.0, "{} s, and Renovate takes 60 for 116", took.cpu);
    let took = workload.run("again, nothing to do");
    println!("{}", took.row);
    assert!(took.api <= 8 && took.git <= 2, "{:#?}", took.seen);
    assert!(took.cpu <= 41.6 / 20.0, "{} s, and Renovate takes 41.6", took.cpu);
}
