//! The table of `docs/pull-requests.md`: what becomes of a pull request in each state, on each event. And
//! groups, limits and merges.

use serde_json::json;

use crate::world::{Bot, ForgeServer, Output, Product, Registry, World};

/// Three images in two environments.
pub struct Fleet {
    pub world: World,
    pub registry: Registry,
    pub forge: ForgeServer,
}

pub const IMAGES: [&str; 3] = ["api", "shop", "web"];

impl Fleet {
    /// With what `deliver` says for staging, on a GitHub.
    pub fn new(deliver: &str) -> Self {
        Self::on(Product::GitHub, deliver)
    }

    /// The same on a forge of a product.
    pub fn on(product: Product, deliver: &str) -> Self {
        let world = World::new();
        let registry = world.registry();
        let mut files = vec![("policies/p.yaml".to_owned(), policies(&registry.host, deliver))];
        for image in IMAGES {
            registry.push(&format!("acme/{image}"), &["v1.0.0", "v1.1.0"]);
            for environment in ["staging", "prod"] {
                let site = format!("image: {}/acme/{image}:v1.0.0\n", registry.host);
                files.push((format!("{environment}/{image}.yaml"), site));
            }
        }
        let files: Vec<_> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let forge = world.forge(product, &files);
        Self { world, registry, forge }
    }

    pub fn run(&self, more: &[&str]) -> Output {
        let args = ["run", "--repo", "acme/fleet", "--format", "json", "--env", "staging"];
        self.forge.env(self.world.bot(args.into_iter().chain(more.iter().copied()))).run()
    }

    /// A run of everything, which alone may say that something is over.
    pub fn whole(&self) -> Output {
        self.bot().run()
    }

    pub fn bot(&self) -> Bot {
        let args = ["run", "--repo", "acme/fleet", "--format", "json"];
        self.forge.env(self.world.bot(args))
    }

    pub fn redeliver(&self, deliver: &str) {
        let policies = policies(&self.registry.host, deliver);
        self.forge.repo.commit("main", "Policies", &[("policies/p.yaml", &policies)]);
    }

    pub fn deploy(&self, environment: &str, image: &str, tag: &str) {
        let site = format!("image: {}/acme/{image}:{tag}\n", self.registry.host);
        let path = format!("{environment}/{image}.yaml");
        self.forge.repo.commit("main", "By hand", &[(&path, &site)]);
    }

    pub fn deployed(&self, branch: &str, path: &str) -> String {
        let text = self.forge.repo.show(branch, path);
        text.trim().rsplit(':').next().unwrap().to_owned()
    }

    pub fn checks(&self, number: u64, checks: &[(&str, Option<&str>)]) {
        let checks =
            checks.iter().map(|(name, conclusion)| json!({"name": name, "conclusion": conclusion}));
        self.forge.edit(number, |pull| pull.checks = checks.collect());
    }

    /// Open pull requests as `number title`.
    pub fn open(&self) -> Vec<String> {
        let pulls = self.forge.pulls().into_iter().filter(|pull| pull.state == "open");
        pulls.map(|pull| format!("{} {}", pull.number, pull.title)).collect()
    }
}

fn policies(host: &str, deliver: &str) -> String {
    let images = IMAGES.map(|image| {
        format!("  {image}: {{image: {host}/acme/{image}, tags: {{semver: '1.x'}}}}\n")
    });
    format!(
        "images:\n{}environments:\n  staging: {{paths: [staging], deliver: {{{deliver}}}}}\n  \
         prod: {{paths: [prod], deliver: {{{deliver}}}}}\n",
        images.concat()
    )
}

#[test]
fn pull_requests_are_for_images_groups_environments_or_all() {
    for (group, want) in [
        ("group: environment", vec!["1 Update 3 images in prod", "2 Update 3 images in staging"]),
        (
            "group: image",
            vec![
                "1 Update api to v1.1.0 in prod",
                "2 Update shop to v1.1.0 in prod",
                "3 Update web to v1.1.0 in prod",
                "4 Update api to v1.1.0 in staging",
                "5 Update shop to v1.1.0 in staging",
                "6 Update web to v1.1.0 in staging",
            ],
        ),
        (
            "group: {front: ['w*', shop]}",
            vec![
                "1 Update api to v1.1.0 in prod",
                "2 Update shop and web in prod",
                "3 Update api to v1.1.0 in staging",
                "4 Update shop and web in staging",
            ],
        ),
        ("group: all", vec!["1 Update 3 images"]),
    ] {
        let fleet = Fleet::new(group);
        fleet.whole().exits(0);
        assert_eq!(fleet.open(), want, "{group}");
        fleet.forge.seen();
        fleet.whole().exits(0);
        assert_eq!(fleet.forge.writes(), Vec::<String>::new(), "{group}");
        // All that is proposed is there, once each.
        for pull in fleet.forge.pulls() {
            assert!(fleet.forge.merge(pull.number), "{group}");
        }
        for image in IMAGES {
            for environment in ["staging", "prod"] {
                let path = format!("{environment}/{image}.yaml");
                assert_eq!(fleet.deployed("main", &path), "v1.1.0", "{group}");
            }
        }
        // Their branches are not needed any more.
        fleet.whole().exits(0);
        let branches = fleet.forge.repo.git(&["branch", "--list", "tagalong/*"]);
        assert_eq!(branches, "", "{group}");
    }
}

#[test]
fn two_images_of_one_file_go_apart() {
    let fleet = Fleet::new("group: image");
    let host = &fleet.registry.host;
    let both = format!(
        "image: {host}/acme/api:v1.0.0\n---\n# between\n---\nimage: {host}/acme/web:v1.0.0\n"
    );
    fleet.forge.repo.commit("main", "Both", &[("staging/both.yaml", &both)]);
    fleet.run(&[]).exits(0);
    let branch = |number: usize| fleet.forge.pulls()[number - 1].head.clone();
    let api = fleet.forge.repo.show(&branch(1), "staging/both.yaml");
    assert_eq!(api, both.replace("api:v1.0.0", "api:v1.1.0"));
    let web = fleet.forge.repo.show(&branch(3), "staging/both.yaml");
    assert_eq!(web, both.replace("web:v1.0.0", "web:v1.1.0"));
}

#[test]
fn a_commit_for_each_image() {
    let fleet = Fleet::new("commits: image");
    let out = fleet.run(&[]).exits(0);
    let log = fleet.forge.repo.git(&["log", "--format=%s", "main..tagalong/staging"]);
    assert_eq!(log, "Update web\nUpdate shop\nUpdate api\n");
    let head = out.json()["deliveries"][0]["commit"].as_str().unwrap().to_owned();
    assert_eq!(fleet.forge.repo.head("tagalong/staging"), head);
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging unchanged"]);
}

#[test]
fn what_is_left_of_another_grouping_is_closed() {
    let fleet = Fleet::new("group: environment");
    fleet.whole().exits(0);
    fleet.redeliver("group: image");
    let out = fleet.whole().exits(0);
    let deliveries = out.deliveries();
    assert_eq!(deliveries.iter().filter(|d| d.ends_with("created")).count(), 6, "{deliveries:?}");
    assert_eq!(deliveries.iter().filter(|d| d.ends_with("closed")).count(), 2, "{deliveries:?}");
    assert!(fleet.forge.pulls()[0].comments[0].contains("another pull request proposes it"));
    assert_eq!(fleet.open().len(), 6);
    // Our own closing is nobody's refusal.
    fleet.redeliver("group: environment");
    fleet.whole().exits(0);
    assert_eq!(fleet.open(), ["9 Update 3 images in prod", "10 Update 3 images in staging"]);
    assert_eq!(fleet.whole().exits(0).deliveries(), ["prod unchanged", "staging unchanged"]);
}

#[test]
fn what_nothing_is_left_of_is_closed_by_a_whole_run() {
    let fleet = Fleet::new("group: image");
    fleet.whole().exits(0);
    fleet.deploy("staging", "web", "v1.1.0");
    fleet.run(&[]).exits(0);
    assert_eq!(fleet.open().len(), 6, "a run of a part knows nothing of the rest");
    let out = fleet.whole().exits(0);
    assert!(out.deliveries().contains(&"staging closed".to_owned()), "{:?}", out.deliveries());
    let pull = &fleet.forge.pulls()[5];
    assert_eq!((pull.state, pull.merged), ("closed", false));
    assert!(pull.comments[0].starts_with("Closed: nothing is left of it"), "{:?}", pull.comments);
    // It comes back when there is something again.
    fleet.registry.push("acme/web", &["v1.2.0"]);
    fleet.whole().exits(0);
    assert!(
        fleet.open().contains(&"7 Update web to v1.2.0 in staging".to_owned()),
        "{:?}",
        fleet.open()
    );
}

/// A body whose block does not say what moves, because that was too much for it.
#[test]
fn what_does_not_say_what_it_moves_is_over_when_nothing_moves() {
    let fleet = Fleet::new("group: environment");
    fleet.whole().exits(0);
    fleet.forge.edit(2, |pull| {
        let (start, rest) = pull.body.split_once(",\"moves\":").unwrap();
        pull.body = format!("{start}{}", &rest[rest.find(']').unwrap() + 1..]);
    });
    fleet.redeliver("group: image, maxNew: 1");
    fleet.whole().exits(0);
    assert!(
        fleet.open().contains(&"2 Update 3 images in staging".to_owned()),
        "{:?}",
        fleet.open()
    );
}

#[test]
fn what_cannot_be_decided_is_not_over() {
    let fleet = Fleet::new("group: image");
    fleet.whole().exits(0);
    fleet.registry.lies("/acme/web/tags/list", [crate::world::Lie::status(404)]);
    fleet.deploy("staging", "web", "v1.1.0");
    fleet.whole().exits(3);
    assert_eq!(fleet.open().len(), 6);
}

#[test]
fn there_are_no_more_than_there_may_be() {
    let fleet = Fleet::new("group: image, maxOpen: 2, maxNew: 1");
    let run = || fleet.run(&[]).exits(0).deliveries();
    assert_eq!(run(), ["staging created", "staging waiting", "staging waiting"]);
    assert_eq!(run(), ["staging unchanged", "staging created", "staging waiting"]);
    assert_eq!(run(), ["staging unchanged", "staging unchanged", "staging waiting"]);
    assert!(fleet.forge.merge(1));
    assert_eq!(run(), ["staging unchanged", "staging created"]);
}

#[test]
fn what_is_not_due_waits() {
    let schedule = "schedule: [{cron: '0 9 * * 1-4', duration: 6h, timezone: Europe/London}]";
    let fleet = Fleet::new(&format!("{schedule}, autoMerge: github"));
    let run = |now: &str| fleet.run(&["--now", now]).exits(0);
    let (sunday, monday) = ("2027-11-21T12:00:00Z", "2027-11-22T12:00:00Z");
    let waits = run(sunday).says(&["`schedule`: it waits until 2027-11-22T09:00:00Z"]);
    assert_eq!(waits.deliveries(), ["staging waiting"]);
    assert_eq!(fleet.forge.repo.head("tagalong/staging"), "");
    assert_eq!(run(monday).deliveries(), ["staging created"]);
    let head = fleet.forge.repo.head("tagalong/staging");
    // What is open stays as it is, and GitHub must not merge it meanwhile.
    fleet.forge.edit(1, |pull| pull.armed = true);
    fleet.registry.push("acme/shop", &["v1.2.0"]);
    let waits = run("2027-11-22T15:00:00Z");
    assert_eq!(waits.deliveries(), ["staging waiting"]);
    assert!(!fleet.forge.pulls()[0].armed);
    assert_eq!(fleet.forge.repo.head("tagalong/staging"), head);
    assert_eq!(run("2027-11-23T09:00:00Z").deliveries(), ["staging updated"]);
    // A branch is not pushed to either, also not below what is due.
    let fleet = Fleet::new(&format!("{schedule}, via: push"));
    fleet.redeliver("via: push");
    let policies = fleet.forge.repo.show("main", "policies/p.yaml");
    let policies = policies.replacen("via: push", &format!("{schedule}, via: push"), 1);
    fleet.forge.repo.commit("main", "Policies", &[("policies/p.yaml", &policies)]);
    let pushed = fleet.bot().args(&["--now", sunday]).run().exits(0).deliveries();
    assert_eq!(pushed, ["prod pushed", "staging waiting"]);
    assert_eq!(fleet.deployed("main", "staging/shop.yaml"), "v1.0.0");
    assert_eq!(fleet.deployed("main", "prod/shop.yaml"), "v1.1.0");
    // A freeze that ends no more is said as that.
    let fleet = Fleet::new("schedule: [{until: '2027-01-01T00:00:00Z'}]");
    fleet.run(&["--now", sunday]).exits(0).says(&["no window opens any more"]);
}

#[test]
fn people_are_asked_when_it_is_opened() {
    let fleet = Fleet::new(
        "labels: [bump], reviewers: [ada, acme/sre], assignees: [eve], milestone: '2026-12', draft: true",
    );
    fleet.run(&[]).exits(0);
    let pull = fleet.forge.pulls()[0].clone();
    assert_eq!(
        (pull.labels, pull.reviewers),
        (vec!["bump".into()], vec!["ada".into(), "sre".to_owned()])
    );
    assert_eq!((pull.assignees, pull.milestone, pull.draft), (vec!["eve".into()], Some(7), true));
    fleet.forge.edit(1, |pull| pull.reviewers.clear());
    fleet.forge.seen();
    fleet.run(&[]).exits(0);
    assert_eq!(fleet.forge.writes(), Vec::<String>::new(), "later they are people's");
}

#[test]
fn texts_are_what_templates_make_of_them() {
    let fleet = Fleet::new(
        "group: image, title: 'deps({{ environment }}): {{ images[0].image }}', \
         message: \"fix: {{ images[0].image }} to {{ images[0].to }}\\n\\nWhy: {{ images[0].why }}\", \
         body: \"Team: {{ images[0].repository }}\\n\\n{{ table }}\"",
    );
    fleet.run(&[]).exits(0);
    let pull = &fleet.forge.pulls()[0];
    assert_eq!(pull.title, "deps(staging): api");
    let start = format!("Team: `{}/acme/api`\n\n| image | from |", fleet.registry.host);
    assert!(pull.body.starts_with(&start), "{}", pull.body);
    let message = fleet.forge.repo.git(&["log", "-1", "--format=%B", &pull.head]);
    let start =
        "fix: api to v1.1.0\n\nWhy: v1.1.0 is above v1.0.0\n\nTagalong-Environment: staging\n";
    assert!(message.starts_with(start), "{message}");
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging unchanged"; 3]);
    fleet.redeliver("title: '{{ nothing }}'");
    fleet.run(&[]).exits(0).says(&["deliver.template", "the template of the title is not used"]);
    fleet.redeliver("title: '{% for'");
    fleet.run(&[]).exits(2).says(&["not a template"]);
}

#[test]
fn what_people_hold_stays_as_it_is() {
    let fleet = Fleet::new("autoMerge: bot, withoutChecks: true");
    let fleet_held = |held: bool| {
        fleet.forge.edit(1, |pull| {
            pull.labels = if held { vec!["tagalong:hold".into()] } else { Vec::new() };
        });
    };
    fleet.redeliver("autoMerge: off");
    fleet.run(&[]).exits(0);
    fleet.redeliver("autoMerge: bot, withoutChecks: true");
    fleet_held(true);
    fleet.registry.push("acme/web", &["v1.2.0"]);
    let head = fleet.forge.repo.head("tagalong/staging");
    let out = fleet.run(&[]).exits(0).says(&["tagalong:hold"]);
    assert_eq!(out.deliveries(), ["staging waiting"]);
    assert_eq!(fleet.forge.repo.head("tagalong/staging"), head);
    fleet_held(false);
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging updated"]);
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging merged"]);
    assert_eq!(fleet.deployed("main", "staging/web.yaml"), "v1.2.0");
}

#[test]
fn environments_that_go_together_say_the_same() {
    let fleet = Fleet::new("group: all");
    let policies = policies(&fleet.registry.host, "group: all").replacen(
        "group: all",
        "group: all, autoMerge: bot",
        1,
    );
    fleet.forge.repo.commit("main", "Policies", &[("policies/p.yaml", &policies)]);
    fleet.whole().exits(2).says(&["go together into one pull request"]);
}

#[test]
fn a_dashboard_shows_everything_and_is_written_when_it_changes() {
    let fleet = Fleet::new("group: image, maxNew: 1");
    let settings = "dashboard: Images\nauthor: {name: b, email: b@x.io, signOff: true, coAuthors: ['Ada <a@x.io>']}\n";
    fleet.forge.repo.commit("main", "Settings", &[("tagalong.yaml", settings)]);
    // Somebody's issue with the same mark is somebody's.
    fleet.forge.open_issue("mallory", "<!-- tagalong: dashboard -->");
    fleet.run(&[]).exits(0);
    assert_eq!(fleet.forge.issues().len(), 1, "a run of a part does not know everything");
    fleet.whole().exits(0);
    let shown = fleet.forge.issues()[1].clone();
    assert_eq!(
        (shown["title"].as_str(), &shown["labels"][0]),
        (Some("Images"), &json!("tagalong"))
    );
    let body = shown["body"].as_str().unwrap();
    for part in [
        "/acme/fleet/pull/2) `prod`, to be merged\n",
        "`prod`, for its turn, or for people: `` `maxNew`",
        "## `staging`",
        "| `web` | `v1.0.0` | to `v1.1.0` | `v1.1.0 is above v1.0.0` |",
    ] {
        assert!(body.contains(part), "{part}\n{body}");
    }
    (0..5).for_each(|_| drop(fleet.whole().exits(0)));
    fleet.forge.seen();
    fleet.whole().exits(0);
    assert_eq!(fleet.forge.writes(), Vec::<String>::new());
    fleet.deploy("prod", "api", "v1.1.0");
    fleet.whole().exits(0);
    let body = fleet.forge.issues()[1]["body"].as_str().unwrap().to_owned();
    assert!(body.contains("| `api` | `v1.1.0` | up to date |  |"), "{body}");
    assert_eq!(fleet.forge.issues()[0]["body"], "<!-- tagalong: dashboard -->");
    let message = fleet.forge.repo.git(&["log", "-1", "--format=%B", &fleet.forge.pulls()[1].head]);
    assert!(
        message.trim().ends_with("Co-authored-by: Ada <a@x.io>\nSigned-off-by: b <b@x.io>"),
        "{message}"
    );
}

/// Own branches of which nothing says that they are over.
#[test]
fn branches_that_somebody_may_need_stay() {
    let fleet = Fleet::new("group: image");
    fleet.whole().exits(0);
    let branches = || fleet.forge.repo.git(&["branch", "--list", "tagalong/*"]);
    let all = branches();
    // A pull request to another base; one that a person closed; one that is not there yet.
    fleet.forge.edit(1, |pull| pull.base = "release".into());
    fleet.forge.edit(2, |pull| pull.state = "closed");
    for image in IMAGES {
        fleet.deploy("prod", image, "v1.1.0");
    }
    fleet.whole().exits(0);
    fleet.whole().exits(0);
    let left = branches();
    for number in [1, 2] {
        let head = &fleet.forge.pulls()[number - 1].head;
        assert!(all.contains(head.as_str()) && left.contains(head.as_str()), "{head}: {left}");
    }
    assert_eq!(all.lines().count() - 1, left.lines().count(), "{left}");
}

#[test]
fn what_another_one_is_to_propose_stays_until_it_does() {
    let fleet = Fleet::new("group: environment");
    fleet.whole().exits(0);
    fleet.redeliver("group: image, maxNew: 1");
    for open in [2 + 2, 2 + 4] {
        fleet.whole().exits(0);
        assert_eq!(fleet.open().len(), open, "{:?}", fleet.open());
    }
    fleet.whole().exits(0);
    assert_eq!(fleet.open().len(), 6, "{:?}", fleet.open());
    assert!(fleet.open().iter().all(|title| title.contains("v1.1.0")), "{:?}", fleet.open());
}

/// Anybody can open pull requests from a fork's branch of the same name.
#[test]
fn outsiders_do_not_hide_what_is_ours() {
    let fleet = Fleet::new("group: environment");
    fleet.run(&[]).exits(0);
    fleet.forge.crowd("tagalong/staging");
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging unchanged"]);
    fleet.registry.push("acme/web", &["v1.2.0"]);
    assert_eq!(fleet.run(&[]).exits(0).deliveries(), ["staging updated"]);
    assert_eq!(fleet.forge.pulls().iter().filter(|pull| !pull.fork).count(), 1);
}

/// What was closed and its branch deleted can be wanted after all, also when the ledger has it.
#[test]
fn a_refusal_is_taken_back() {
    let fleet = Fleet::new("group: image");
    fleet.whole().exits(0);
    let web = fleet.forge.pulls()[5].clone();
    fleet.forge.edit(6, |pull| pull.state = "closed");
    fleet.forge.repo.git(&["update-ref", "-d", &format!("refs/heads/{}", web.head)]);
    // Something else is pushed, and the refusal with it.
    fleet.registry.push("acme/api", &["v1.2.0"]);
    fleet.whole().exits(0);
    let out = fleet.whole().exits(0);
    assert!(
        out.decisions().contains(&"web hold v1.1.0 refused".to_owned()),
        "{:?}",
        out.decisions()
    );
    fleet.forge.edit(6, |pull| pull.labels = vec!["tagalong:retry".into()]);
    fleet.whole().exits(0);
    assert!(fleet.open().iter().any(|open| open.ends_with(&web.title)), "{:?}", fleet.open());
}

#[test]
fn a_closed_one_is_not_opened_again_until_something_newer() {
    let fleet = Fleet::new("group: image");
    fleet.run(&[]).exits(0);
    // Closed, and its branch deleted, as GitHub's button does.
    fleet.forge.edit(3, |pull| pull.state = "closed");
    let branch = fleet.forge.pulls()[2].head.clone();
    fleet.forge.repo.git(&["update-ref", "-d", &format!("refs/heads/{branch}")]);
    let out = fleet.run(&[]).exits(0);
    assert_eq!(out.deliveries(), ["staging unchanged", "staging unchanged"]);
    assert!(
        out.decisions().contains(&"web hold v1.1.0 refused".to_owned()),
        "{:?}",
        out.decisions()
    );
    fleet.registry.push("acme/web", &["v1.2.0"]);
    fleet.run(&[]).exits(0);
    assert!(
        fleet.open().contains(&"4 Update web to v1.2.0 in staging".to_owned()),
        "{:?}",
        fleet.open()
    );
}
