//! From environment to environment, by pull requests: what was held for long enough, and is healthy.

use jiff::SignedDuration;

use crate::world::{Lie, Output, Story, arg};

const ENVIRONMENTS: [&str; 4] = ["dev", "staging", "eu", "us"];

/// Two images in dev, staging and two regions of production.
fn story(environments: &str) -> Story {
    Story::of(|registry| {
        let host = &registry.host;
        let policy = format!(
            "images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}\n  \
             worker: {{image: {host}/acme/worker, tags: {{semver: '*'}}}}\nenvironments:\n{environments}"
        );
        let mut files = vec![("policies/p.yaml".to_owned(), policy)];
        for image in ["shop", "worker"] {
            registry.push(&format!("acme/{image}"), &["v1.0.0"]);
            for environment in ENVIRONMENTS {
                let site = format!("# {environment}\nimage: {host}/acme/{image}:v1.0.0\n");
                files.push((format!("clusters/{environment}/{image}.yaml"), site));
            }
        }
        files
    })
}

impl Story {
    fn status(&self, more: &[&str]) -> Output {
        self.bot(&[&["status"], more].concat()).exits(0)
    }

    /// What each environment runs of an image, on the base.
    fn runs(&self, image: &str) -> String {
        let tag = |environment: &&str| {
            let path = format!("clusters/{environment}/{image}.yaml");
            self.forge.repo.show("main", &path).trim().rsplit(':').next().unwrap().to_owned()
        };
        ENVIRONMENTS.iter().map(tag).collect::<Vec<_>>().join(" ")
    }

    /// Merges what is open for an environment.
    fn merge(&self, environment: &str) {
        let head = format!("tagalong/{environment}");
        let pulls = self.forge.pulls();
        let open = pulls.iter().find(|pull| pull.state == "open" && pull.head == head);
        let open = open.unwrap_or_else(|| panic!("nothing is open for {environment}: {pulls:#?}"));
        assert!(self.forge.merge(open.number));
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
    let story = story(&format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], promoteFrom: dev}}\n  \
         eu: {{paths: [clusters/eu], promoteFrom: staging, soak: 24h, require: ['kustomization/apps/*']}}\n  \
         us: {{paths: [clusters/us], promoteFrom: eu, soak: 48h}}\n"
    ));
    let github = &story.forge;
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
    // It counts from when it was first seen there, whatever a commit's clock says.
    story.run().exits(0);
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
    // The pull request says where it was, since when, and what it passes over.
    let pull = github.pulls().into_iter().rev().find(|pull| pull.state == "open").unwrap();
    let row = "| `shop` | `staging` | 2027-03-01T23:00:00Z by [`";
    assert!(
        pull.body.contains(row) && pull.body.contains("/checks)) | `v1.1.0` |"),
        "{}",
        pull.body
    );
    story.merge("eu");
    assert_eq!(story.runs("shop"), "v1.2.0 v1.2.0 v1.2.0 v1.0.0");
    story.run().exits(0);
    // All of it can be seen.
    let want = "\
dev
  image   holds   since                 next  waits for
  shop    v1.2.0  2027-03-01T23:00:00Z
  worker  v1.0.0  20";
    let seen = story.status(&["--absolute"]).stdout;
    assert!(seen.starts_with(want), "{seen}");
    let soaks = "  shop    v1.0.0  20";
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
    assert!(page.contains("<dd>v1.2.0 soaks in eu until 2027-03-04T23:00:00Z</dd>"), "{page}");
    is_a_page(&page);
    let markdown = story.status(&["--markdown"]).stdout;
    assert!(markdown.contains("| `shop` | `v1.0.0` | `20"), "{markdown}");
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

/// It needs nothing from elsewhere, has a heading, and says by words what it says by colour.
fn is_a_page(page: &str) {
    for part in [
        "<h1>acme/fleet</h1>",
        " at commit <code>",
        "<li><b>8</b> deployed</li>",
        "<h2 id=needs>Needs somebody</h2>",
        "<th scope=col>us<small>from eu</small></th>",
        "<th scope=row>shop<small>",
        "<span class=\"chip hold\">soaking</span>",
        "→ <code>v1.2.0</code>",
        "<dt>Before</dt><dd>v1.0.0 from ",
    ] {
        assert!(page.contains(part), "no {part:?} in\n{page}");
    }
    // Links lead to pages of pull requests alone, and nothing is loaded.
    for part in ["<script", "<img", "<link", "src=", "@import", "url("] {
        assert!(!page.contains(part), "{part} in\n{page}");
    }
}

/// `eu` follows `dev` by some rules, with two versions of each image to take; what they come to.
fn eu(rules: &str) -> (Story, Output) {
    let story = story(&format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], suspend: true}}\n  \
         eu: {{paths: [clusters/eu], promoteFrom: dev{rules}}}\n  us: {{paths: [clusters/us], suspend: true}}\n"
    ));
    for tag in ["v1.1.0", "v1.2.0"] {
        story.later(30);
        for image in ["shop", "worker"] {
            story.registry.push(&format!("acme/{image}"), &[tag]);
        }
        story.run().exits(0);
    }
    story.later(10);
    let out = story.run();
    (story, out)
}

#[test]
fn what_comes_can_be_limited() {
    let cases = [
        ("", "update promoted: v1.2.0 has earned it in dev", "updated"),
        // A completed soak stays completed when something newer came before it was taken.
        (", soak: 24h", "update promoted: v1.1.0 has earned it in dev", "unchanged"),
        (", soak: 31h", "hold soaking: v1.2.0 soaks in dev until 2027-03-05T07:00:00Z", ""),
        (", maxSteps: 0", "update promoted: v1.1.0 has earned it in dev", "unchanged"),
        (", maxSteps: 1", "update promoted: v1.2.0 has earned it in dev", "updated"),
        (
            ", skip: [{images: [shop], tags: ['v1.2.*'], reason: loses orders}]",
            "update promoted: v1.1.0 has earned it in dev",
            "updated",
        ),
        (
            ", skip: [{tags: ['v1.*'], reason: loses orders}]",
            "hold skipped: v1.2.0 is passed over here: loses orders",
            "",
        ),
        (
            ", holds: [{images: [shop], until: 2027-04-01, reason: peak}]",
            "hold held: held until 2027-04-01T00:00:00Z: peak",
            "updated",
        ),
        (", suspend: an incident", "update promoted: v1.2.0 has earned it in dev", "waiting"),
        (
            ", windows: [{cron: '0 9 * * 1', duration: 2h}]",
            "update promoted: v1.2.0 has earned it in dev",
            "waiting",
        ),
        (
            ", freezes: [{from: 2027-03-01T00:00:00Z, until: 2027-05-01T00:00:00Z}]",
            "update promoted: v1.2.0 has earned it in dev",
            "waiting",
        ),
        // One of them is passed over, so neither moves.
        (
            ", lockstep: [[shop, worker]], skip: [{images: [worker], tags: ['v1.*'], reason: leaks}]",
            "hold skipped: v1.2.0 is passed over here: leaks",
            "",
        ),
    ];
    for (rules, want, delivered) in cases {
        let (_story, out) = eu(rules);
        let out = out.exits(0);
        assert_eq!(why(&out, "eu", "shop"), want, "{rules}");
        let deliveries = out.deliveries();
        let eu: Vec<&str> = deliveries.iter().filter_map(|one| one.strip_prefix("eu ")).collect();
        assert_eq!(eu.join(" "), delivered, "{rules}");
    }
}

#[test]
fn what_an_environment_waits_for_is_told() {
    let waits = [
        (", suspend: an incident", "suspended: an incident"),
        (
            ", windows: [{cron: '0 9 * * 1', duration: 2h}]",
            "`windows`: it waits until 2027-03-08T09:00:00Z",
        ),
        (
            ", freezes: [{from: 2027-03-01T00:00:00Z, until: 2027-05-01T00:00:00Z}]",
            "frozen until 2027-05-01T00:00:00Z",
        ),
    ];
    for (rules, want) in waits {
        let (story, out) = eu(rules);
        out.exits(0).says(&[want]);
        story.status(&[]).says(&[&format!("eu (from dev): {want}")]);
    }
}

#[test]
fn several_sources_agree_or_one_is_enough() {
    let cases = [
        ("[dev, staging]", "hold not-in-source: staging has not held v1.1.0"),
        ("{any: [staging, dev]}", "update promoted: v1.1.0 has earned it in staging or dev"),
    ];
    for (from, want) in cases {
        let story = story(&format!(
            "{PUSHED}  staging: {{paths: [clusters/staging], suspend: true}}\n  \
             eu: {{paths: [clusters/eu], promoteFrom: {from}}}\n  us: {{paths: [clusters/us]}}\n"
        ));
        story.later(1);
        story.registry.push("acme/shop", &["v1.1.0"]);
        story.run().exits(0);
        let out = story.run().exits(0);
        assert_eq!(why(&out, "eu", "shop"), want, "{from}");
    }
}

#[test]
fn mistakes_in_the_graph_are_found_by_check() {
    let cases = [
        ("promoteFrom: stagign", "no environment is named `stagign`", "did you mean `staging`?"),
        ("promoteFrom: us", "`promoteFrom` leads in a circle: eu from us from eu", ""),
        ("promoteFrom: eu", "`promoteFrom` leads in a circle: eu from eu", ""),
        ("soak: 24h", "`soak` is about what comes from other environments", ""),
        ("promoteFrom: dev, soak: soon", "`soon` is not a duration", ""),
        ("promoteFrom: []", "it names no environment", ""),
        ("windows: [{cron: '0 9 * * *'}]", "`cron` needs a `duration`", ""),
        ("lockstep: [[shop, wroker]]", "no policy is named `wroker`", "did you mean `worker`?"),
        ("lockstep: [[shop, worker], [shop]]", "`shop` is in two sets of `lockstep`", ""),
        ("skip: [{tags: [], reason: x}]", "it names no tag", ""),
    ];
    for (rules, message, help) in cases {
        let story = story(&format!(
            "  dev: {{paths: [clusters/dev]}}\n  staging: {{paths: [clusters/staging]}}\n  \
             eu: {{paths: [clusters/eu], {rules}}}\n  us: {{paths: [clusters/us], promoteFrom: eu}}\n"
        ));
        let bare = story.forge.repo.bare.clone();
        let args = ["check", "--repo", bare.to_str().unwrap()];
        story.world.bot(args).run().exits(2).says(&[message, help, "policies/p.yaml"]);
    }
}

/// A clone without its history tells nothing about a soak, and says so.
#[test]
fn a_shallow_clone_is_no_reason_to_promote() {
    let (story, _) = eu(", soak: 24h");
    let shallow = story.world.dir("clones").join("shallow");
    let bare = format!("file://{}", story.forge.repo.bare.display());
    let now = story.now.get().to_string();
    // A directory without git knows what is there now, and no more.
    let plain = story.world.dir("clones").join("plain");
    story.forge.repo.git(&["clone", "-q", &bare, plain.to_str().unwrap()]);
    std::fs::remove_dir_all(plain.join(".git")).unwrap();
    let args = ["plan", "--repo", plain.to_str().unwrap(), "--format", "json", "--now", &now];
    let out = story.world.bot(args).run().exits(0);
    let said = why(&out, "eu", "shop");
    assert!(said.ends_with("at the latest; no more of its history is here"), "{said}");
    for (depth, want) in
        [("1", "hold soaking: dev has held v1.2.0 since"), ("50", "update promoted: v1.1.0")]
    {
        let _gone = std::fs::remove_dir_all(&shallow);
        let clone = ["clone", "-q", "--depth", depth, &bare, shallow.to_str().unwrap()];
        story.forge.repo.git(&clone);
        let args = ["plan", "--repo", shallow.to_str().unwrap(), "--format", "json", "--now", &now];
        let out = story.world.bot(args).run().exits(0);
        let said = why(&out, "eu", "shop");
        assert!(said.starts_with(want), "{depth}: {said}");
    }
    // Whoever committed last, and however that is written.
    let _gone = std::fs::remove_dir_all(&shallow);
    let commit = story.forge.repo.git(&["cat-file", "commit", "main"]);
    let (head, rest) = commit.split_once("author ").unwrap();
    let (_, rest) = rest.split_once(" <").unwrap();
    let bytes = [head.as_bytes(), b"author Andr\xe9 <", rest.as_bytes()].concat();
    story.forge.repo.commit_raw("main", &bytes);
    story.forge.repo.git(&["clone", "-q", "--depth", "1", &bare, shallow.to_str().unwrap()]);
    let args = ["plan", "--repo", shallow.to_str().unwrap(), "--format", "json", "--now", &now];
    let said = why(&story.world.bot(args).run().exits(0), "eu", "shop");
    assert!(said.ends_with("at the latest; no more of its history is here"), "{said}");
}

#[test]
fn what_nobody_committed_has_not_soaked() {
    let story = story(
        "  dev: {paths: [clusters/dev]}\n  staging: {paths: [clusters/staging], promoteFrom: dev, soak: 24h}\n",
    );
    story.registry.push("acme/shop", &["v1.1.0"]);
    let tree = story.world.dir("clone");
    story.forge.repo.git(&["clone", "-q", story.forge.repo.bare.to_str().unwrap(), arg(&tree)]);
    story.later(48);
    let bot = |command: &str| {
        let now = story.now.get().to_string();
        let args = [
            command,
            "--repo",
            arg(&tree),
            "--deliver",
            "worktree",
            "--format",
            "json",
            "--now",
            &now,
        ];
        let args = args
            .into_iter()
            .filter(|arg| command == "run" || !["--deliver", "worktree"].contains(arg));
        story.world.bot(args).run().exits(0)
    };
    bot("run");
    // dev's file holds it now, and was committed two days ago with something else.
    let text = std::fs::read_to_string(tree.join("clusters/dev/shop.yaml")).unwrap();
    assert!(text.contains("v1.1.0"), "{text}");
    for command in ["run", "plan"] {
        let soaks = "hold soaking: v1.1.0 soaks in dev until 2027-03-04T12:00:00Z";
        assert_eq!(why(&bot(command), "staging", "shop"), soaks);
    }
    // As a new file as well.
    std::fs::rename(tree.join("clusters/dev/shop.yaml"), tree.join("clusters/dev/new.yaml"))
        .unwrap();
    assert!(why(&bot("plan"), "staging", "shop").starts_with("hold soaking"));
}

fn is_seen(story: &Story, number: u64) {
    // Everybody sees it while it is open, and nothing is proposed on top of it.
    let out = story.run().exits(0);
    let held =
        format!("hold rollback-open: #{number} rolls it back to v1.0.0; merge or close that first");
    assert_eq!(why(&out, "eu", "shop"), held);
    let now = story.now.get().to_string();
    let args = ["status", "--repo", "acme/fleet", "--env", "eu", "--now", &now];
    let status = story.forge.env(story.world.bot(args)).run();
    status.says(&[&format!("#{number}"), "rolls it back to v1.0.0"]);
}

#[test]
fn an_environment_goes_back_to_what_it_held() {
    let (story, _) = eu("");
    story.merge("eu");
    assert_eq!(story.runs("shop"), "v1.2.0 v1.0.0 v1.2.0 v1.0.0");
    let rollback = |more: &[&str]| {
        let now = story.now.get().to_string();
        let args = ["rollback", "--repo", "acme/fleet", "--format", "json", "--now", &now];
        let args = args.into_iter().chain(more.iter().copied());
        story.forge.env(story.world.bot(args)).run()
    };
    rollback(&[]).exits(2).says(&["name one environment with --env"]);
    rollback(&["--env", "eu", "--to", "v9"]).exits(2).says(&["`eu` did not run v9 before"]);
    rollback(&["--env", "eu", "--to", "a b"]).exits(2).says(&["not a tag"]);
    story.forge.seen();
    let dry = rollback(&["--env", "eu", "--image", "shop", "--dry-run"]).exits(0);
    assert_eq!(story.forge.writes(), Vec::<String>::new());
    assert_eq!(dry.json()["changeSets"][0]["title"], "Roll back shop to v1.0.0 in eu");
    // A pull request of its own, once, which other runs leave alone.
    let shop = ["--env", "eu", "--image", "shop"];
    assert_eq!(rollback(&shop).exits(0).deliveries(), ["eu created"]);
    assert_eq!(rollback(&shop).exits(0).deliveries(), ["eu unchanged"]);
    let pull = story.forge.pulls().into_iter().rev().find(|pull| pull.state == "open").unwrap();
    assert_eq!(pull.title, "Roll back shop to v1.0.0 in eu");
    assert!(pull.head.starts_with("tagalong-rollback/eu-shop-"), "{}", pull.head);
    assert!(pull.body.starts_with("Rolls `eu` back to versions"), "{}", pull.body);
    is_seen(&story, pull.number);
    assert!(story.forge.pulls().iter().any(|it| it.number == pull.number && it.state == "open"));
    assert!(story.forge.merge(pull.number));
    assert_eq!(story.runs("shop"), "v1.2.0 v1.0.0 v1.0.0 v1.0.0");
    // What it was taken back from does not come again; what is newer does.
    story.later(1);
    let out = story.run().exits(0);
    let said = why(&out, "eu", "shop");
    assert!(said.starts_with("hold refused: v1.2.0 is not wanted here: "), "{said}");
    story.registry.push("acme/shop", &["v1.3.0"]);
    story.run().exits(0);
    let out = story.run().exits(0);
    assert_eq!(why(&out, "eu", "shop"), "update promoted: v1.3.0 has earned it in dev");
    // Each image by itself, one after the other; and never to what it was taken back from.
    let again = rollback(&["--env", "eu", "--image", "shop", "--dry-run"]);
    again.exits(2).says(&["`eu` ran only versions before"]);
    let worker = rollback(&["--env", "eu", "--image", "worker"]).exits(0).json();
    let branch = worker["deliveries"][0]["branch"].as_str().unwrap();
    assert!(branch.starts_with("tagalong-rollback/eu-worker-"), "{branch}");
    // Where changes are pushed, it is back at once, and stays there.
    assert_eq!(
        rollback(&["--env", "dev", "--image", "shop"]).exits(0).deliveries(),
        ["dev pushed"]
    );
    let before = story.runs("shop");
    assert!(before.starts_with("v1.2.0 "), "{before}");
    let out = story.run().exits(0);
    assert_eq!(
        why(&out, "dev", "shop"),
        "hold refused: v1.3.0 is not wanted here: it was rolled back"
    );
    assert!(story.runs("shop").starts_with("v1.2.0 "));
    // To a tag that it held, though it is not the last one.
    let older =
        rollback(&["--env", "dev", "--image", "shop", "--to", "v1.1.0", "--dry-run"]).exits(0);
    assert_eq!(older.decisions(), ["shop update v1.1.0 rolled-back"]);
}

/// What a source pulls from elsewhere may not be there for the next environment.
#[test]
fn a_digest_that_the_registry_does_not_have_is_held() {
    let story = story(&format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], promoteFrom: dev}}\n  \
         eu: {{paths: [clusters/eu], suspend: true}}\n  us: {{paths: [clusters/us], suspend: true}}\n"
    ));
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let host = &story.registry.host;
    let pinned = |tag: &str| format!("image: {host}/acme/shop:{tag}@{digest}\n");
    let other = format!("image: {host}/acme/shop:v1.0.0@sha256:{}\n", "f".repeat(64));
    story.later(1);
    let files =
        [("clusters/dev/shop.yaml", &*pinned("v1.1.0")), ("clusters/staging/shop.yaml", &*other)];
    story.forge.repo.commit("main", "By hand", &files);
    let plan = || {
        let now = story.now.get().to_string();
        let args =
            ["plan", "--repo", "acme/fleet", "--env", "staging", "--format", "json", "--now", &now];
        story.forge.env(story.world.bot(args)).run()
    };
    story.registry.lies(&format!("/manifests/{digest}"), [Lie::status(404), Lie::json("{}")]);
    let out = plan().exits(0);
    let said = why(&out, "staging", "shop");
    assert!(said.ends_with("/acme/shop has no sha256:0123456789ab any more"), "{said}");
    assert!(said.starts_with("hold no-digest: "), "{said}");
    let out = plan().exits(0);
    assert_eq!(why(&out, "staging", "shop"), "update promoted: v1.1.0 has earned it in dev");
    assert_eq!(out.json()["decisions"][0]["toDigest"], *digest);
}

/// The same version with another content is no promotion: somebody moved what does not move. A tag that goes alone
/// brings what the registry has behind it today, whatever soaked.
#[test]
fn what_moved_behind_a_tag_is_not_promoted() {
    let story = story(&format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], promoteFrom: dev}}\n  \
         eu: {{paths: [clusters/eu], suspend: true}}\n  us: {{paths: [clusters/us], suspend: true}}\n"
    ));
    let host = &story.registry.host;
    story.registry.push("acme/shop", &["v1.1.0"]);
    let behind = crate::world::registry::digest_of("acme/shop:v1.1.0");
    let other = format!("sha256:{}", "f".repeat(64));
    let image = |what: &str| format!("image: {host}/acme/shop:{what}\n");
    let cases = [
        (
            format!("v1.1.0@{behind}"),
            format!("v1.1.0@{other}"),
            "hold tag-moved: alarm: v1.1.0 was ",
        ),
        (format!("v1.1.0@{other}"), "v1.0.0".to_owned(), "hold tag-moved: v1.1.0 is sha256:"),
        (format!("v1.1.0@{behind}"), "v1.0.0".to_owned(), "update promoted: v1.1.0 has earned"),
    ];
    for (dev, staging, want) in cases {
        story.later(1);
        let files = [
            ("clusters/dev/shop.yaml", &*image(&dev)),
            ("clusters/staging/shop.yaml", &*image(&staging)),
        ];
        story.forge.repo.commit("main", "By hand", &files);
        let now = story.now.get().to_string();
        let args =
            ["plan", "--repo", "acme/fleet", "--env", "staging", "--format", "json", "--now", &now];
        let out = story.forge.env(story.world.bot(args)).run();
        let said = why(&out, "staging", "shop");
        assert!(said.starts_with(want), "{dev} {staging}: {said}");
    }
}

/// What has been there for months needs no further day because somebody committed something else.
#[test]
fn a_soak_reaches_further_back_than_the_last_commits() {
    let story = story(&format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], suspend: true}}\n  \
         eu: {{paths: [clusters/eu], promoteFrom: dev, soak: 24h}}\n  us: {{paths: [clusters/us], suspend: true}}\n"
    ));
    story.later(1);
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    story.later(24 * 40);
    story.forge.repo.commit("main", "Something else", &[("README.md", "hello\n")]);
    let out = story.run().exits(0);
    assert_eq!(why(&out, "eu", "shop"), "update promoted: v1.1.0 has earned it in dev");
    // And so does one that nothing follows.
    story.later(24 * 40);
    let out = story.run().exits(0);
    assert_eq!(why(&out, "eu", "shop"), "update promoted: v1.1.0 has earned it in dev");
}

/// A commit can say any time; what it brings has not been there for longer than the commit before it.
#[test]
fn an_old_date_is_no_soak() {
    let story = story(&format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], suspend: true}}\n  \
         eu: {{paths: [clusters/eu], promoteFrom: dev, soak: 24h}}\n  us: {{paths: [clusters/us], suspend: true}}\n"
    ));
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.later(24 * 40);
    story.forge.repo.commit("main", "Something else", &[("README.md", "hello\n")]);
    let now = story.now.get();
    story.forge.repo.it_is(now - SignedDuration::from_hours(24 * 30));
    let site = format!("image: {}/acme/shop:v1.1.0\n", story.registry.host);
    story.forge.repo.commit("main", "Old", &[("clusters/dev/shop.yaml", &site)]);
    story.later(2);
    let out = story.run().exits(0);
    let said = why(&out, "eu", "shop");
    assert!(said.starts_with("hold soaking: v1.1.0 soaks in dev until "), "{said}");
}

/// What was said of a version counts also when many other commits came since.
#[test]
fn a_gate_stays_open_in_a_busy_repository() {
    let story = story(&format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], suspend: true}}\n  \
         eu: {{paths: [clusters/eu], promoteFrom: dev, require: [health]}}\n  us: {{paths: [clusters/us], suspend: true}}\n"
    ));
    story.later(1);
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    story.forge.status(&story.forge.repo.head("main"), "health", "SUCCESS");
    let eu = || story.run().exits(0).deliveries().into_iter().find(|one| one.starts_with("eu "));
    assert_eq!(eu().as_deref(), Some("eu created"));
    for number in 0..30 {
        let text = format!("{number}\n");
        story.forge.repo.commit("main", "Something else", &[("README.md", &text)]);
    }
    assert_eq!(eu().as_deref(), Some("eu unchanged"));
}

/// What moves together does so also when a registry is down, or one of them is named alone.
#[test]
fn nothing_takes_a_set_apart() {
    let story = story(
        "  dev: {paths: [clusters/dev], lockstep: [[shop, worker]]}\n  staging: {paths: [clusters/staging], suspend: true}\n  \
         eu: {paths: [clusters/eu], suspend: true}\n  us: {paths: [clusters/us], suspend: true}\n",
    );
    let held = || {
        let tag = |image: &str| {
            let text = story.forge.repo.show("tagalong/dev", &format!("clusters/dev/{image}.yaml"));
            text.trim().rsplit(':').next().unwrap().to_owned()
        };
        [tag("shop"), tag("worker")]
    };
    let push = |tag: &str| {
        for image in ["shop", "worker"] {
            story.registry.push(&format!("acme/{image}"), &[tag]);
        }
    };
    push("v1.1.0");
    story.run().exits(0);
    assert_eq!(held(), ["v1.1.0", "v1.1.0"]);
    push("v1.2.0");
    story.registry.lies("/acme/shop/tags/list", [Lie::status(404)]);
    story.run().exits(3);
    assert_eq!(held(), ["v1.1.0", "v1.1.0"]);
    story.registry.lies("/acme/shop/tags/list", []);
    let now = story.now.get().to_string();
    let args = ["run", "--repo", "acme/fleet", "--env", "dev", "--image", "shop", "--now", &now];
    story.forge.env(story.world.bot(args)).run().exits(0);
    assert_eq!(held(), ["v1.2.0", "v1.2.0"]);
}

/// Whoever pushes says with their own clock when a commit was made; a soak counts from when the version was first seen.
#[test]
fn nobodys_clock_shortens_a_soak() {
    let story = story(&format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], suspend: true}}\n  \
         eu: {{paths: [clusters/eu], promoteFrom: dev, soak: 24h}}\n  us: {{paths: [clusters/us], suspend: true}}\n"
    ));
    story.later(1);
    story.run().exits(0);
    story.later(72);
    story.run().exits(0);
    // Pushed now, dated just after the commit before it.
    let image = format!("# dev\nimage: {}/acme/shop:v9.9.9\n", story.registry.host);
    let repo = &story.forge.repo;
    let now = story.now.get();
    repo.it_is(now.checked_sub(SignedDuration::from_hours(71)).unwrap());
    repo.commit("main", "Evil", &[("clusters/dev/shop.yaml", &image)]);
    repo.it_is(now);
    let out = story.run().exits(0);
    let said = why(&out, "eu", "shop");
    assert!(said.starts_with("hold soaking: v9.9.9 soaks in dev until "), "{said}");
    story.later(23);
    assert!(why(&story.run().exits(0), "eu", "shop").starts_with("hold soaking"));
    story.later(2);
    assert!(why(&story.run().exits(0), "eu", "shop").starts_with("update promoted"));
}

/// Whoever may push can take the ledger away, or write another one, and date a commit: with a key, neither shortens a soak.
#[test]
fn a_ledger_that_is_taken_away_shortens_no_soak() {
    let rules = format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], suspend: true}}\n  \
         eu: {{paths: [clusters/eu], promoteFrom: dev, soak: 24h, deliver: {{autoMerge: bot, withoutChecks: true}}}}\n  \
         us: {{paths: [clusters/us], suspend: true}}\n"
    );
    let key = "0123456789abcdef0123456789abcdef";
    for ledger in ["", "{\"version\":1}", "{\"version\":2}", "garbage", "file"] {
        let story = story(&rules);
        let run = || {
            let now = story.now.get().to_string();
            let args = ["run", "--repo", "acme/fleet", "--format", "json", "--now", &now];
            story.forge.env(story.world.bot(args)).env("TAGALONG_LEDGER_KEY", key).run().exits(0)
        };
        story.later(1);
        run();
        story.later(72);
        run();
        story.registry.push("acme/shop", &["v9.9.9"]);
        let image = format!("# dev\nimage: {}/acme/shop:v9.9.9\n", story.registry.host);
        let (repo, now) = (&story.forge.repo, story.now.get());
        repo.it_is(now.checked_sub(SignedDuration::from_hours(71)).unwrap());
        repo.commit("main", "Evil", &[("clusters/dev/shop.yaml", &image)]);
        repo.it_is(now);
        let reference = "refs/tagalong/ledger";
        if ledger.is_empty() {
            repo.git(&["update-ref", "-d", reference]);
        } else {
            let blob = repo.hash_object(ledger);
            let name = if ledger == "file" { "other.json" } else { "ledger.json" };
            let tree = repo.make_tree(&format!("100644 blob {blob}\t{name}\n"));
            let commit = repo.git(&["commit-tree", &tree, "-m", "x"]);
            repo.git(&["update-ref", reference, commit.trim()]);
        }
        let out = run().says(&["ledger."]);
        let said = why(&out, "eu", "shop");
        assert!(said.starts_with("hold soaking: v9.9.9 soaks in dev until "), "{ledger}: {said}");
        run();
        assert_eq!(story.runs("shop").split(' ').nth(2), Some("v1.0.0"), "{ledger}");
    }
}

/// A version that was planted and taken back between two runs was never seen; one that is replaced by what is yet to come was
/// held until now.
#[test]
fn no_detour_shortens_a_soak() {
    let rules = format!(
        "{PUSHED}  staging: {{paths: [clusters/staging], suspend: true}}\n  \
         eu: {{paths: [clusters/eu], promoteFrom: dev, soak: 48h}}\n  us: {{paths: [clusters/us], suspend: true}}\n"
    );
    let planted = story(&rules);
    let of = |story: &Story, tag: &str| {
        format!("# dev\nimage: {}/acme/shop:{tag}\n", story.registry.host)
    };
    let commit = |story: &Story, tag: &str| {
        let text = of(story, tag);
        story.forge.repo.commit("main", tag, &[("clusters/dev/shop.yaml", &text)]);
    };
    planted.later(1);
    planted.run().exits(0);
    commit(&planted, "v9.9.9");
    commit(&planted, "v1.0.0");
    planted.run().exits(0);
    planted.later(96);
    let now = planted.now.get();
    planted.forge.repo.it_is(now.checked_sub(SignedDuration::from_hours(95)).unwrap());
    commit(&planted, "v9.9.9");
    planted.forge.repo.it_is(now);
    let said = why(&planted.run().exits(0), "eu", "shop");
    assert!(said.starts_with("hold soaking: v9.9.9 soaks in dev until "), "{said}");
    // The next commit is of tomorrow.
    let ahead = story(&rules);
    ahead.later(1);
    ahead.run().exits(0);
    commit(&ahead, "v1.0.5");
    let now = ahead.now.get();
    ahead.forge.repo.it_is(now.checked_add(SignedDuration::from_hours(20)).unwrap());
    commit(&ahead, "v1.0.6");
    ahead.forge.repo.it_is(now);
    ahead.later(30);
    let said = why(&ahead.run().exits(0), "eu", "shop");
    assert!(said.starts_with("hold soaking"), "{said}");
}
