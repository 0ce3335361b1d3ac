//! The daemon under load: fifty repositories, a thousand images, two hundred webhooks a second, a registry that fails.
//! `scripts/soak` runs it; `TAGALONG_SOAK` is how many seconds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::world::daemon::{Daemon, SECRET};
use crate::world::{ForgeServer, Lie, Registry, World};

const REPOSITORIES: usize = 50;
const IMAGES: usize = 20;
const PER_SECOND: u32 = 200;

/// The repositories, the first of which is `acme/fleet`.
fn fleet(world: &World, registry: &Registry) -> Vec<ForgeServer> {
    let mut all: Vec<ForgeServer> = Vec::new();
    for repository in 0..REPOSITORIES {
        let mut policy = "images:\n".to_owned();
        let mut files = Vec::new();
        for image in 0..IMAGES {
            let name = format!("acme/r{repository}-i{image}");
            registry.push(&name, &["v1.0.0"]);
            policy += &format!(
                "  i{image}: {{image: {}/{name}, tags: {{semver: '*'}}}}\n",
                registry.host
            );
            files.push((
                format!("apps/{image}.yaml"),
                format!("image: {}/{name}:v1.0.0\n", registry.host),
            ));
        }
        files.push(("policies/p.yaml".to_owned(), policy));
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let github = match all.first() {
            None => world.github(&files),
            Some(first) => world.beside(first, &name_of(repository), &files),
        };
        all.push(github);
    }
    all
}

fn name_of(repository: usize) -> String {
    if repository == 0 { "fleet".to_owned() } else { format!("r{repository}") }
}

/// A number from a number (splitmix64), so that a run can be repeated.
fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

/// The sum of a metric's samples that have a label.
fn metric(text: &str, name: &str, label: &str) -> f64 {
    let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// A daemon, and what it is sent.
struct Load<'a> {
    registry: &'a Registry,
    all: &'a [ForgeServer],
    daemon: &'a Daemon,
    /// The newest version of each image that got one.
    newest: BTreeMap<String, String>,
    /// How many webhooks were answered how.
    answers: BTreeMap<u16, u32>,
}

impl Load<'_> {
    /// One webhook after the other: of GitHub, of the registry, and of somebody who knows no secret.
    fn webhook(&mut self, number: u64) -> reqwest::RequestBuilder {
        let chance = mixed(number);
        let pick =
            |shift: u32, many: usize| usize::try_from(chance >> shift & 0xffff).unwrap() % many;
        let (repository, image) = (pick(0, REPOSITORIES), pick(16, IMAGES));
        let name = format!("acme/r{repository}-i{image}");
        // About two new versions a second, and failures of the registry.
        if number.is_multiple_of(100) {
            let version = format!("v1.{}.0", number + 1);
            self.registry.push(&name, &[&version]);
            self.newest.insert(name.clone(), version);
            let cut = Lie::Cut("{\"tags\": [\"v9".to_owned());
            self.registry.lies("/tags/list", [Lie::status(503), Lie::status(500), cut]);
        }
        let registry = self.daemon.post("/hooks/registry");
        match pick(32, 16) {
            0 => registry.header("authorization", "wrong").body("{}"),
            1..=7 => {
                let body = push(repository);
                self.daemon.ring("push", &format!("d-{}", number / 2), &body)
            }
            _ => registry.header("authorization", SECRET).body(format!(
                r#"{{"events":[{{"action":"push","target":{{"mediaType":"x.manifest","repository":"{name}"}}}}]}}"#
            )),
        }
    }

    /// Sends so many, and returns what the daemon had of memory after a third. Says every minute how it goes.
    #[expect(clippy::print_stdout, reason = "whoever runs it wants to see that it goes on")]
    async fn send(&mut self, total: u64) -> f64 {
        let (mut early, mut sending) = (0.0, Vec::new());
        let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
        let started = Instant::now();
        for number in 0..total {
            tick.tick().await;
            let request = self.webhook(number);
            sending.push(tokio::spawn(async move {
                request.send().await.map_or(0, |answer| answer.status().as_u16())
            }));
            if sending.len() >= 1000 || number + 1 == total {
                for sent in sending.drain(..) {
                    *self.answers.entry(sent.await.unwrap()).or_default() += 1;
                }
            }
            let is_third = number == total / 3;
            if is_third || number.is_multiple_of(u64::from(60 * PER_SECOND)) {
                let page = self.metrics().await;
                let memory = metric(&page, "process_resident_memory_bytes", "");
                let runs = metric(&page, "tagalong_runs_total", "");
                println!("{number} sent in {:?}; {runs} runs; memory {memory}", started.elapsed());
                early = if is_third { memory } else { early };
            }
        }
        early
    }

    async fn metrics(&self) -> String {
        let page = self.daemon.get("/metrics");
        page.send().await.unwrap().text().await.unwrap()
    }

    /// The registry is well again, each repository is rung once more, and everything ends; what was counted then.
    async fn settle(&self) -> String {
        self.registry.lies("/tags/list", []);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        for repository in 0..REPOSITORIES {
            let last = self.daemon.ring("push", &format!("last-{repository}"), &push(repository));
            assert_eq!(last.send().await.unwrap().status(), 202);
        }
        loop {
            tick.tick().await;
            let page = self.metrics().await;
            let waits = ["tagalong_repositories_hinted", "tagalong_runs_in_progress"];
            if waits.iter().all(|name| metric(&page, name, "") == 0.0) {
                return page;
            }
        }
    }

    /// What it says of webhooks is what was answered; the last ones, and none else, come on top.
    fn is_counted(&self, page: &str) {
        let rung = |outcome: &str| {
            metric(page, "tagalong_webhooks_total", &format!("outcome=\"{outcome}\""))
        };
        let sent = |status: u16| f64::from(self.answers.get(&status).copied().unwrap_or_default());
        let known = [202, 401, 429];
        assert!(self.answers.keys().all(|status| known.contains(status)), "{:?}", self.answers);
        assert_eq!((rung("refused"), rung("full")), (sent(401), sent(429)));
        let last = u32::try_from(REPOSITORIES).unwrap();
        let surplus = rung("accepted") + rung("replayed") - sent(202) - f64::from(last);
        assert!(surplus.abs() < 0.5, "{page}");
    }

    /// Every change arrived, and none twice: one pull request for each repository that has any.
    fn has_arrived(&self) {
        for (repository, github) in self.all.iter().enumerate() {
            let own = format!("acme/r{repository}-");
            let wanted: Vec<_> =
                self.newest.iter().filter(|(name, _)| name.starts_with(&own)).collect();
            let pulls = github.pulls();
            assert_eq!(pulls.len(), usize::from(!wanted.is_empty()), "{repository}: {pulls:#?}");
            for (name, version) in wanted {
                let image = name.rsplit("-i").next().unwrap();
                let text = github.repo.show(&pulls[0].head, &format!("apps/{image}.yaml"));
                assert!(text.contains(&format!("{name}:{version}")), "{text}, and not {version}");
            }
        }
    }
}

fn push(repository: usize) -> String {
    format!(r#"{{"repository":{{"full_name":"acme/{}"}}}}"#, name_of(repository))
}

/// The daemon's settings.
fn settings(registry: &Registry) -> String {
    let mut text =
        "listen: 127.0.0.1:0\ninterval: 1h\ndebounce: 2s\nconcurrency: 4\nrepositories:\n"
            .to_owned();
    for repository in 0..REPOSITORIES {
        text += &format!("- repo: acme/{}\n", name_of(repository));
    }
    text + &format!(
        "webhooks:\n- {{kind: github, path: /hooks/github, secretVariables: [HOOK_SECRET]}}\n\
         - {{kind: distribution, path: /hooks/registry, secretVariables: [HOOK_SECRET], registry: '{}'}}\n",
        registry.host
    )
}

#[test]
#[ignore = "scripts/soak runs it"]
#[expect(clippy::print_stdout, reason = "whoever runs it wants to see the figures")]
fn the_daemon_keeps_up_and_stays_small() {
    let seconds =
        std::env::var("TAGALONG_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(60_u32);
    let world = World::new();
    let registry = world.registry();
    let all = fleet(&world, &registry);
    let config = world.file("serve.yaml", &settings(&registry));
    let daemon = Daemon::start(&world, &all[0], &config);
    daemon.says("\"run finished\"", REPOSITORIES);
    let (newest, answers) = (BTreeMap::new(), BTreeMap::new());
    let mut load = Load { registry: &registry, all: &all, daemon: &daemon, newest, answers };
    let (total, started) = (u64::from(seconds * PER_SECOND), Instant::now());
    let early = world.runtime.block_on(load.send(total));
    let took = started.elapsed();
    let page = world.runtime.block_on(load.settle());
    let late = metric(&page, "process_resident_memory_bytes", "");
    let runs = metric(&page, "tagalong_runs_total", "");
    println!(
        "{total} webhooks in {took:?}, {:?}; {runs} runs; memory {early}, then {late}",
        load.answers
    );
    load.is_counted(&page);
    load.has_arrived();
    assert!(late < early * 1.5, "memory went from {early} to {late}");
    assert_eq!(daemon.stop(), 0);
}
