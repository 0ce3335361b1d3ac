//! A whole life by a seed: versions come, time passes, servers fail, bots are killed or meet each other, and people close, hold,
//! approve, merge and commit. What must always hold is judged after each of these; in the end, peace brings all to rest.
//!
//! `TAGALONG_CHAOS=2000` runs so many seeds, `TAGALONG_CHAOS=1234-1234` one of them again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::{Lie, Output, Product, Pull, Story};

const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "eu"];
const IMAGES: [&str; 2] = ["shop", "worker"];
const SOAK: SignedDuration = SignedDuration::from_hours(24);
const APPROVE: &str = "tagalong:approve";
const HOLD: &str = "tagalong:hold";

/// Numbers by a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }
}

/// A version of an image, by its number: `v1.7.0` is 7.
type Version = u32;

/// A place: an environment and an image.
type Spot = (&'static str, &'static str);

/// A story, and what a judge has to know of it.
struct Life {
    seed: u64,
    story: Story,
    random: Random,
    /// The newest version of each image.
    newest: BTreeMap<&'static str, Version>,
    /// Since when each place holds each version, as `main` says.
    held: BTreeMap<(Spot, Version), Timestamp>,
    /// Commits that somebody who may write approved, and those whose checks passed.
    approved: BTreeSet<String>,
    checked: BTreeSet<String>,
    /// Versions that somebody closed a pull request of.
    refused: BTreeSet<(Spot, Version)>,
    /// The last commits of people on branches, by the pull request that was open of them.
    frozen: BTreeMap<u64, String>,
    /// How many pull requests the bots merged, by environment.
    merged: BTreeMap<&'static str, usize>,
    told: Vec<String>,
}

impl Life {
    fn on(product: Product, seed: u64) -> Self {
        let story = Story::on(product, |registry| {
            let host = &registry.host;
            let policies = format!(
                "images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}\n  \
                 worker: {{image: {host}/acme/worker, tags: {{semver: '*'}}}}\nenvironments:\n  \
                 dev: {{paths: [clusters/dev], deliver: {{via: push}}}}\n  \
                 staging: {{paths: [clusters/staging], promoteFrom: dev, deliver: {{group: image, autoMerge: bot}}}}\n  \
                 eu: {{paths: [clusters/eu], promoteFrom: staging, soak: 24h, deliver: {{group: image, autoMerge: bot, approval: true}}}}\n"
            );
            let mut files = vec![("policies/p.yaml".to_owned(), policies)];
            for image in IMAGES {
                registry.push(&format!("acme/{image}"), &["v1.0.0"]);
                for environment in ENVIRONMENTS {
                    let path = format!("clusters/{environment}/{image}.yaml");
                    files.push((path, text(host, (environment, image), 0)));
                }
            }
            files
        });
        let newest = IMAGES.map(|image| (image, 0)).into();
        let mut life = Self {
            seed,
            story,
            random: Random(seed),
            newest,
            held: BTreeMap::new(),
            approved: BTreeSet::new(),
            checked: BTreeSet::new(),
            refused: BTreeSet::new(),
            frozen: BTreeMap::new(),
            merged: BTreeMap::new(),
            told: Vec::new(),
        };
        life.look();
        life
    }

    fn fails(&self, what: &str) -> ! {
        panic!("seed {}: {what}\n{}", self.seed, self.told.join("\n"))
    }

    /// What a place holds on a branch; nothing but the version may differ from what was there at first.
    fn version(&self, branch: &str, at: Spot) -> Version {
        let (environment, image) = at;
        let found =
            self.story.forge.repo.show(branch, &format!("clusters/{environment}/{image}.yaml"));
        let number = found.trim_end().rsplit(":v1.").next().and_then(|rest| rest.split('.').next());
        let version = number.and_then(|number| number.parse().ok()).unwrap_or(Version::MAX);
        if found != text(&self.story.registry.host, at, version) {
            self.fails(&format!("{branch} {at:?}: {found:?}"));
        }
        version
    }

    fn commit(&self, branch: &str) -> String {
        self.story.forge.repo.git(&["rev-parse", &format!("refs/heads/{branch}")]).trim().to_owned()
    }

    fn open(&self) -> Vec<Pull> {
        self.story.forge.pulls().into_iter().filter(|pull| pull.state == "open").collect()
    }

    /// Notes what `main` holds now; it never goes back.
    fn look(&mut self) {
        let now = self.story.now.get();
        for at in spots() {
            let version = self.version("main", at);
            let newer = self.held.keys().any(|(other, held)| *other == at && *held > version);
            if newer || version > self.newest[at.1] {
                self.fails(&format!("{at:?} went to v1.{version}.0"));
            }
            self.held.entry((at, version)).or_insert(now);
        }
    }

    /// What somebody does, or what happens.
    fn event(&mut self) {
        let what = self.random.below(20);
        match what {
            0 | 1 => {
                let image = IMAGES[self.random.below(2)];
                let version = self.newest.get_mut(image).unwrap();
                *version += 1;
                let tag = format!("v1.{version}.0");
                self.story.registry.push(&format!("acme/{image}"), &[&tag]);
                self.told.push(format!("{image} {tag}"));
            }
            2 | 3 => {
                let hours = 4 + i64::try_from(self.random.below(40)).unwrap();
                self.story.later(hours);
                self.told.push(format!("{hours} hours"));
            }
            4..=8 => self.bots("runs", |life| drop(life.run_as_planned())),
            9 => self.bots("runs twice in a storm", Self::storm),
            10 | 11 => self.bots("is killed", Self::kill),
            12 => self.bots("runs beside a broken registry", Self::broken),
            13 | 14 => self.check(),
            // A quiet day, as most are.
            18 => {
                self.story.later(30);
                self.told.push("a quiet day".to_owned());
                self.bots("runs", |life| drop(life.run_as_planned()));
                self.check();
                let eu =
                    self.open().into_iter().filter(|pull| pull.head.starts_with("tagalong/eu"));
                eu.for_each(|pull| self.approve(&pull, true));
                self.bots("runs", |life| drop(life.run_as_planned()));
            }
            _ => self.person(what),
        }
    }

    /// The checks of all that is open pass, at the commits that are there.
    fn check(&mut self) {
        for pull in self.open() {
            let check = json!({"name": "test", "conclusion": "SUCCESS"});
            self.story.forge.edit(pull.number, |pull| pull.checks = vec![check]);
            self.checked.insert(self.commit(&pull.head));
        }
        self.told.push("all is checked".to_owned());
    }

    /// A run that does what `run --dry-run` printed, and decides what `plan` decided.
    fn run_as_planned(&self) -> Output {
        self.story.forge.seen();
        let plan = self.story.bot(&["plan", "--format", "json"]);
        let dry = self.story.bot(&["run", "--dry-run", "--format", "json"]);
        let writes = self.story.forge.writes();
        if !writes.is_empty() {
            self.fails(&format!("a dry run writes {writes:#?}"));
        }
        let run = self.story.run();
        let (planned, done) = (predicted(&dry.json()), delivered(&run.json()));
        if planned != done {
            self.fails(&format!(
                "planned {planned:#?}, done {done:#?}\n{}\n{}",
                dry.stdout, run.stdout
            ));
        }
        for other in [&plan, &dry] {
            if other.decisions() != run.decisions() {
                self.fails(&format!("decided {:#?} and {:#?}", other.decisions(), run.decisions()));
            }
        }
        run
    }

    fn storm(&mut self) {
        let github = &self.story.forge;
        github.chaos(Some(self.random.next()));
        std::thread::scope(|scope| {
            let now = self.story.now.get().to_string();
            let args = ["run", "--format", "json", "--repo", "acme/fleet", "--now", &now];
            let bots = [(), ()].map(|()| github.env(self.story.world.bot(args)));
            let bots = bots.map(|bot| scope.spawn(|| drop(bot.run())));
            for bot in bots {
                bot.join().unwrap();
            }
        });
        self.story.forge.chaos(None);
    }

    fn kill(&mut self) {
        let (step, after_effect) = (self.random.below(14), self.random.below(2) == 0);
        let (arrives, go_on) = self.story.forge.ambush(step, after_effect);
        let now = self.story.now.get().to_string();
        let args = ["run", "--format", "json", "--repo", "acme/fleet", "--now", &now];
        let mut bot = self.story.forge.env(self.story.world.bot(args)).start();
        // A run can be over before that request.
        loop {
            if arrives.recv_timeout(Duration::from_millis(5)).is_ok() {
                bot.kill().unwrap();
                break;
            }
            if bot.try_wait().unwrap().is_some() {
                break;
            }
        }
        bot.wait().unwrap();
        drop(go_on);
        self.story.forge.calm();
    }

    fn broken(&mut self) {
        let lies = [
            Lie::status(500),
            Lie::status(404),
            Lie::json("{\"tags\": []}"),
            Lie::json("{\"tags\": [\"v1.0.0\"]}"),
            Lie::body("text/html", "<html>"),
        ];
        let lie = lies.into_iter().nth(self.random.below(5)).unwrap();
        self.story.registry.lies("/tags/list", [lie]);
        drop(self.story.run());
        self.story.registry.lies("/tags/list", []);
    }

    /// Somebody approves what a pull request proposes at this moment; of those who may not write, it does not count.
    fn approve(&mut self, pull: &Pull, by_writer: bool) {
        self.story.forge.edit(pull.number, |pull| {
            pull.labels.retain(|label| label != APPROVE);
            pull.labels.push(APPROVE.to_owned());
            pull.labelled_by = if by_writer { "ada" } else { "eve" };
        });
        if by_writer {
            self.approved.insert(self.commit(&pull.head));
        }
        self.told.push(format!("#{} approved: {by_writer}", pull.number));
    }

    /// What a person does with one of the open pull requests.
    fn person(&mut self, what: usize) {
        let open = self.open();
        if open.is_empty() {
            return;
        }
        let is_eu = |pull: &&Pull| pull.head.starts_with("tagalong/eu");
        let meant = open.iter().find(|pull| matches!(what, 15 | 16) && is_eu(pull));
        let any = self.random.below(open.len());
        let pull = meant.unwrap_or(&open[any]);
        let (number, head) = (pull.number, pull.head.clone());
        let github = &self.story.forge;
        match what {
            15 | 16 => {
                let (pull, by_writer) = (pull.clone(), self.random.below(4) != 0);
                self.approve(&pull, by_writer);
            }
            17 => {
                let is_held = pull.labels.iter().any(|label| label == HOLD);
                github.edit(number, |pull| {
                    pull.labels.retain(|label| label != HOLD);
                    pull.labels.extend((!is_held).then(|| HOLD.to_owned()));
                    // Whoever approves it later did not hold it.
                    pull.held_by = Some("ada");
                });
                self.told.push(format!("#{number} held: {}", !is_held));
            }
            _ => match self.random.below(4) {
                0 => {
                    github.edit(number, |pull| pull.state = "closed");
                    let refused = self.proposed(&head);
                    self.refused.extend(refused);
                    self.told.push(format!("#{number} closed"));
                }
                1 => {
                    github.repo.commit(&head, "By hand", &[("notes.txt", "mine\n")]);
                    self.frozen.insert(number, self.commit(&head));
                    self.told.push(format!("#{number} gets a commit"));
                }
                _ => {
                    let is_merged = github.merge(number);
                    self.told.push(format!("#{number} merged by a person: {is_merged}"));
                }
            },
        }
    }

    /// What a branch changes.
    fn proposed(&self, branch: &str) -> Vec<(Spot, Version)> {
        let is_new = |(at, version): &(Spot, Version)| *version > self.version("main", *at);
        spots().map(|at| (at, self.version(branch, at))).filter(is_new).collect()
    }

    /// Lets bots do something, and judges it.
    fn bots(&mut self, what: &str, act: impl FnOnce(&mut Self)) {
        let before = self.story.forge.pulls();
        self.told.push(format!("a bot {what}"));
        act(self);
        let after = self.story.forge.pulls();
        let was_open = |pull: &&Pull| {
            before.iter().all(|old| old.number != pull.number || old.state == "open")
        };
        for pull in after.iter().filter(|pull| pull.merged).filter(was_open) {
            self.told.push(format!("#{} of {} is merged", pull.number, pull.head));
            let old = before.iter().find(|old| old.number == pull.number);
            self.judge_merge(pull, old);
            let is_of = |one: &&&str| pull.head.starts_with(&format!("tagalong/{one}"));
            let environment = ENVIRONMENTS.iter().find(is_of).unwrap();
            *self.merged.entry(environment).or_default() += 1;
        }
        self.look();
        self.judge_open(&after);
        // A check is of the commit that it looked at, and a test's GitHub keeps it.
        for pull in self.open() {
            if !self.checked.contains(&self.commit(&pull.head)) {
                self.story.forge.edit(pull.number, |pull| pull.checks.clear());
            }
        }
    }

    fn judge_merge(&self, pull: &Pull, old: Option<&Pull>) {
        let number = pull.number;
        let is_held = old.is_some_and(|old| old.labels.iter().any(|label| label == HOLD));
        if is_held {
            self.fails(&format!("#{number} was held"));
        }
        if !self.checked.contains(&pull.merged_head) {
            self.fails(&format!("#{number} was not checked at {}", pull.merged_head));
        }
        if pull.head.starts_with("tagalong/eu") && !self.approved.contains(&pull.merged_head) {
            self.fails(&format!("#{number} was not approved at {}", pull.merged_head));
        }
        if self.frozen.contains_key(&number) {
            self.fails(&format!("#{number} has a person's commit"));
        }
    }

    fn judge_open(&self, pulls: &[Pull]) {
        let mut heads = BTreeSet::new();
        for pull in pulls.iter().filter(|pull| pull.state == "open") {
            if !heads.insert(&pull.head) {
                self.fails(&format!("two pull requests of {}", pull.head));
            }
            if let Some(commit) = self.frozen.get(&pull.number) {
                if self.commit(&pull.head) != *commit {
                    self.fails(&format!("#{}: a person's commit is gone", pull.number));
                }
                continue;
            }
            for (at, version) in self.proposed(&pull.head) {
                if self.refused.contains(&(at, version)) {
                    self.fails(&format!("#{}: {at:?} v1.{version}.0 was refused", pull.number));
                }
                let source = (if at.0 == "eu" { "staging" } else { "dev" }, at.1);
                let since = self.held.get(&(source, version));
                let soak = if at.0 == "eu" { SOAK } else { SignedDuration::ZERO };
                if since.is_none_or(|since| self.story.now.get().duration_since(*since) < soak) {
                    self.fails(&format!("#{}: {at:?} v1.{version}.0 is early", pull.number));
                }
            }
        }
    }

    /// In peace, runs come to rest.
    fn rest(&mut self) {
        for _ in 0..4 {
            self.bots("runs in peace", |life| drop(life.run_as_planned()));
        }
        self.story.forge.seen();
        let mut last: Option<Output> = None;
        self.bots("runs in peace", |life| last = Some(life.story.run()));
        let writes = self.story.forge.writes();
        if !writes.is_empty() {
            self.fails(&format!("a run with nothing new writes {writes:#?}"));
        }
        let out = last.unwrap();
        if out.code != 0 {
            self.fails(&format!("{} {}", out.stdout, out.stderr));
        }
    }
}

/// The outcomes of branches that the actions of a dry run come to; an unchanged one has none.
fn predicted(report: &serde_json::Value) -> BTreeSet<(String, &'static str)> {
    let mut outcomes: BTreeMap<String, &'static str> = BTreeMap::new();
    for row in report["actions"].as_array().unwrap() {
        let Some(branch) = row["branch"].as_str() else { continue };
        let outcome = match row["action"].as_str().unwrap() {
            "wait" => "waiting",
            "leave-alone" => "frozen",
            "pass-over" => "refused",
            "fail" => "failed",
            "close" => "closed",
            "merge" => "merged",
            "open" => "created",
            "push" | "edit" | "decorate" | "add-labels" | "remove-label" => "updated",
            _ => continue,
        };
        // A new branch is pushed before it is opened; of any other branch the first or the last action counts.
        let slot = outcomes.entry(branch.to_owned()).or_insert(outcome);
        let is_final = ["waiting", "frozen", "refused", "failed", "created"].contains(slot);
        if !is_final {
            *slot = outcome;
        }
    }
    outcomes.into_iter().collect()
}

/// The outcomes of branches after a run, but for those that it left as they were.
fn delivered(report: &serde_json::Value) -> BTreeSet<(String, &'static str)> {
    const OUTCOMES: [&str; 8] =
        ["created", "updated", "merged", "closed", "waiting", "frozen", "refused", "failed"];
    let rows = report["deliveries"].as_array().unwrap().iter();
    let outcome = |row: &serde_json::Value| {
        let outcome = OUTCOMES.into_iter().find(|outcome| row["outcome"] == *outcome);
        // A direct push updates the base itself.
        let outcome = if row["outcome"] == "pushed" { "updated" } else { outcome? };
        Some((row["branch"].as_str()?.to_owned(), outcome))
    };
    rows.filter_map(outcome).collect()
}

fn spots() -> impl Iterator<Item = Spot> {
    ENVIRONMENTS.into_iter().flat_map(|one| IMAGES.into_iter().map(move |image| (one, image)))
}

fn text(host: &str, (environment, image): Spot, version: Version) -> String {
    format!("# {environment}\nimage: {host}/acme/{image}:v1.{version}.0\n")
}

#[test]
fn whatever_happens_what_must_hold_holds() {
    lives_on(Product::GitHub, "8");
}

#[test]
fn whatever_happens_what_must_hold_holds_on_gitlab() {
    lives_on(Product::GitLab, "4");
}

#[test]
fn whatever_happens_what_must_hold_holds_on_forgejo() {
    lives_on(Product::Forgejo, "4");
}

fn lives_on(product: Product, usual: &str) {
    let asked = std::env::var("TAGALONG_CHAOS").unwrap_or_else(|_| usual.to_owned());
    let number = |text: &str| text.parse::<u64>().unwrap();
    let (first, last) = match asked.split_once('-') {
        Some((first, last)) => (number(first), number(last)),
        None => (1, number(&asked)),
    };
    let mut merged: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in first..=last {
        let mut life = Life::on(product, seed);
        for _ in 0..30 {
            life.event();
        }
        life.rest();
        // A long run says how far it is.
        if last - first > 10 {
            let mut told = std::io::stderr();
            writeln!(told, "seed {seed} holds").unwrap();
        }
        for (environment, count) in life.merged {
            *merged.entry(environment).or_default() += count;
        }
    }
    // A judge that sees nothing has nothing against it.
    let is_seen = |environment| merged.get(environment).is_some_and(|count| *count > 0);
    assert!(first == last || is_seen("staging") && is_seen("eu"), "{merged:?}");
}
