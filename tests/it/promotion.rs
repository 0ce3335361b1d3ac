//! From environment to environment, by pull requests: what was held for long enough, and is healthy.

use jiff::{SignedDuration, Timestamp};

use crate::world::{GitHub, Output, Registry, World};

const START: &str = "2027-03-01T12:00:00Z";

/// Two images in dev, staging and two regions of production.
struct Story {
    world: World,
    registry: Registry,
    github: GitHub,
    now: std::cell::Cell<Timestamp>,
}

const ENVIRONMENTS: [&str; 4] = ["dev", "staging", "eu", "us"];

impl Story {
    fn new(environments: &str) -> Self {
        let world = World::new();
        let registry = world.registry();
        let host = registry.host.clone();
        let mut files = vec![(
            "policies/p.yaml".to_owned(),
            format!(
                "images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}\n  \
                 worker: {{image: {host}/acme/worker, tags: {{semver: '*'}}}}\nenvironments:\n{environments}"
            ),
        )];
        for image in ["shop", "worker"] {
            registry.push(&format!("acme/{image}"), &["v1.0.0"]);
            for environment in ENVIRONMENTS {
                let site = format!("# {environment}\nimage: {host}/acme/{image}:v1.0.0\n");
                files.push((format!("clusters/{environment}/{image}.yaml"), site));
            }
        }
        let files: Vec<_> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        let github = world.github(&files);
        let now = std::cell::Cell::new(START.parse().unwrap());
        Self { world, registry, github, now }
    }

    /// Time passes.
    fn later(&self, hours: i64) {
        self.now.set(self.now.get() + SignedDuration::from_hours(hours));
        self.github.repo.it_is(self.now.get());
    }

    fn run(&self) -> Output {
        let now = self.now.get().to_string();
        let args = ["run", "--repo", "acme/fleet", "--format", "json", "--now", &now];
        self.github.env(self.world.bot(args)).run()
    }

    fn status(&self, more: &[&str]) -> Output {
        let now = self.now.get().to_string();
        let args = ["status", "--repo", "acme/fleet", "--now", &now];
        let args = args.into_iter().chain(more.iter().copied());
        self.github.env(self.world.bot(args)).run().exits(0)
    }

    /// What each environment runs of an image, on the base.
    fn runs(&self, image: &str) -> String {
        let tag = |environment: &&str| {
            let path = format!("clusters/{environment}/{image}.yaml");
            self.github.repo.show("main", &path).trim().rsplit(':').next().unwrap().to_owned()
        };
        ENVIRONMENTS.iter().map(tag).collect::<Vec<_>>().join(" ")
    }

    /// Merges what is open for an environment.
    fn merge(&self, environment: &str) {
        let head = format!("tagalong/{environment}");
        let pulls = self.github.pulls();
        let open = pulls.iter().find(|pull| pull.state == "open" && pull.head == head);
        let open = open.unwrap_or_else(|| panic!("nothing is open for {environment}: {pulls:#?}"));
        assert!(self.github.merge(open.number));
    }
}

/// Why an environment's image is what it is.
fn why(output: &Output, environment: &str, image: &str) -> String {
    let json = output.json();
    let all = json["decisions"].as_array().unwrap();
    let it = all.iter().find(|d| d["environment"] == environment && d["image"] == image);
    let it = it.unwrap_or_else(|| panic!("no decision: {json:#}"));
    let text = |key: &str| it["reason"][key].as_str().unwrap().to_owned();
    format!("{} {}: {}", it["outcome"].as_str().unwrap(), text("code"), text("message"))
}

const PUSHED: &str = "  dev: {paths: [clusters/dev], deliver: {via: push}}\n";

#[test]
fn what_was_held_for_long_enough_and_is_healthy_is_promoted() {
    let story = Story::new(&format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], promoteFrom: dev}}\n  \
         eu: {{paths: [clusters/eu], promoteFrom: staging, soak: 24h, require: ['kustomization/apps/*']}}\n  \
         us: {{paths: [clusters/us], promoteFrom: eu, soak: 48h}}\n"
    ));
    let github = &story.github;
    story.later(1);
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    assert_eq!(story.runs("shop"), "v1.1.0 v1.0.0 v1.0.0 v1.0.0");
    // What dev holds comes to staging, and nothing that a registry lists.
    let out = story.run().exits(0);
    assert_eq!(why(&out, "staging", "shop"), "update promoted: v1.1.0 has earned it in dev");
    story.merge("staging");
    let out = story.run().exits(0);
    let soaks = "hold soaking: v1.1.0 soaks in staging until 2027-03-02T13:00:00Z";
    assert_eq!(why(&out, "eu", "shop"), soaks);
    // Something newer before it has soaked takes its place, and begins at its own time.
    story.later(10);
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.run().exits(0);
    story.run().exits(0);
    story.merge("staging");
    story.later(23);
    let out = story.run().exits(0);
    let soaks = "hold soaking: v1.2.0 soaks in staging until 2027-03-02T23:00:00Z";
    assert_eq!(why(&out, "eu", "shop"), soaks);
    // When it has soaked, the cluster has to have said that it is healthy.
    story.later(1);
    let out = story.run().exits(0);
    let said = why(&out, "eu", "shop");
    assert!(
        said.starts_with("hold gate: nothing named `kustomization/apps/*` has reported on "),
        "{said}"
    );
    let head = github.repo.head("main");
    let status = |state| github.status(&head, "kustomization/apps/3f1d3aa2", state);
    for (state, wanted) in [
        ("PENDING", "is not done on"),
        ("FAILURE", "did not pass on"),
        ("ERROR", "did not pass on"),
    ] {
        status(state);
        let out = story.run().exits(0);
        let said = why(&out, "eu", "shop");
        assert!(
            said.starts_with("hold gate: `kustomization/apps/3f1d3aa2` ") && said.contains(wanted),
            "{said}"
        );
    }
    assert_eq!(github.pulls().iter().filter(|pull| pull.state == "open").count(), 0);
    status("SUCCESS");
    let out = story.run().exits(0);
    assert_eq!(why(&out, "eu", "shop"), "update promoted: v1.2.0 has earned it in staging");
    story.merge("eu");
    assert_eq!(story.runs("shop"), "v1.2.0 v1.2.0 v1.2.0 v1.0.0");
    // All of it can be seen.
    let want = "\
dev
  image   holds   since                        next  waits for
  shop    v1.2.0  2027-03-01T23:00:00Z
  worker  v1.0.0  before 2027-03-01T13:00:00Z
";
    let seen = story.status(&[]).stdout;
    assert!(seen.starts_with(want), "{seen}");
    let soaks = "  shop    v1.0.0  before 2027-03-01T13:00:00Z";
    let rows = seen.split("us (from eu)\n").nth(1).unwrap();
    let row = rows.lines().nth(1).unwrap();
    assert!(row.starts_with(soaks), "{seen}");
    assert!(row.ends_with("  v1.2.0  v1.2.0 soaks in eu until 2027-03-04T23:00:00Z"), "{seen}");
    let page = story.world.dir("out").join("status.html");
    let json = story.status(&["--format", "json", "--html", page.to_str().unwrap()]).json();
    let eu = &json["environments"][2];
    assert_eq!((&eu["name"], &eu["promoteFrom"][0]), (&"eu".into(), &"staging".into()));
    assert_eq!(eu["images"][0]["holds"], "v1.2.0");
    assert_eq!(eu["images"][0]["commit"], github.repo.head("main"));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<td>v1.2.0 soaks in eu until 2027-03-04T23:00:00Z</td>"), "{page}");
    assert!(!page.contains("://"), "it needs nothing else: {page}");
    let markdown = story.status(&["--markdown"]).stdout;
    assert!(markdown.contains("| `shop` | `v1.0.0` | `before 2027-"), "{markdown}");
    // The second region follows when the first has held it for long enough.
    story.later(47);
    let out = story.run().exits(0);
    let soaks = "hold soaking: v1.2.0 soaks in eu until 2027-03-04T23:00:00Z";
    assert_eq!(why(&out, "us", "shop"), soaks);
    // A revert in production is respected, and nothing that was taken back goes any further.
    let back = format!("# eu\nimage: {}/acme/shop:v1.0.0\n", story.registry.host);
    github.repo.commit("main", "Revert", &[("clusters/eu/shop.yaml", &back)]);
    story.later(1);
    let out = story.run().exits(0);
    let said = why(&out, "eu", "shop");
    assert!(said.starts_with("hold refused: v1.2.0 is not wanted here: #"), "{said}");
    let said = why(&out, "us", "shop");
    assert_eq!(said, "keep up-to-date: v1.0.0 is what its source holds of shop");
    assert_eq!(story.runs("worker"), "v1.0.0 v1.0.0 v1.0.0 v1.0.0");
}
