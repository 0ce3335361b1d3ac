//! Environments on other branches, and in other repositories.

use sha2::Digest as _;

use crate::world::{ForgeServer, Registry, Story, arg};

/// What every place holds of the image.
fn site(registry: &Registry) -> String {
    format!("# kept  \nimage:   {}/acme/shop:v1.0.0 # here\n", registry.host)
}

/// A policy repository `acme/fleet`, with environments on its branches or elsewhere.
fn story(environments: &str) -> Story {
    Story::of(|registry| {
        registry.push("acme/shop", &["v1.0.0"]);
        let policy = format!(
            "images:\n  shop: {{image: {}/acme/shop, tags: {{semver: '*'}}}}\nenvironments:\n{environments}",
            registry.host
        );
        let site = site(registry);
        vec![("policies/p.yaml".to_owned(), policy), ("dev/shop.yaml".to_owned(), site)]
    })
}

/// The tag that a branch runs.
fn tag(github: &ForgeServer, branch: &str, path: &str) -> String {
    let text = github.repo.show(branch, path);
    text.split(":v").nth(1).unwrap().split(' ').next().map(|tag| format!("v{tag}")).unwrap()
}

/// Open pull requests, as head and base.
fn open(github: &ForgeServer) -> Vec<(u64, String, String)> {
    let pulls = github.pulls().into_iter().filter(|pull| pull.state == "open");
    pulls.map(|pull| (pull.number, pull.head, pull.base)).collect()
}

fn hash(text: &str) -> String {
    let hash = sha2::Sha256::digest(text);
    format!("{:08x}", u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]))
}

/// The branch of a pull request against another branch than the policies'.
fn head(environment: &str, base: &str) -> String {
    let name = format!("{environment} on {base}");
    format!("tagalong/{}-{}", name.replace([' ', '/'], "-"), hash(&name))
}

/// The same in another repository, for the policies of `acme/fleet`.
fn head_there(policies: &ForgeServer, environment: &str, base: &str) -> String {
    let host = policies.url.trim_start_matches("http://");
    let own = format!("tagalong-from-{}/", hash(&format!("{host}/acme/fleet")));
    head(environment, base).replace("tagalong/", &own)
}

const BRANCHES: &str = "  dev: {paths: [dev]}
  staging: {branch: env/staging, paths: [deploy], promoteFrom: dev, soak: 1h}
  production: {branch: env/production, paths: [deploy], promoteFrom: staging, soak: 24h}
";

#[test]
fn an_environment_is_a_branch() {
    let story = story(BRANCHES);
    let site = site(&story.registry);
    for branch in ["env/staging", "env/production"] {
        // Two branches have the same paths, and nothing else in common.
        story.forge.repo.commit(branch, "Start", &[("deploy/shop.yaml", &site)]);
    }
    story.registry.push("acme/shop", &["v1.1.0"]);
    let ran = story.run().exits(0).json();
    assert_eq!(open(&story.forge), [(1, "tagalong/dev".into(), "main".into())]);
    assert!(ran["changeSets"][0]["base"].is_null());
    assert!(story.forge.merge(1));
    story.run().exits(0);
    story.later(2);
    let ran = story.run().exits(0).json();
    let want = (2, head("staging", "env/staging"), "env/staging".to_owned());
    assert_eq!(open(&story.forge), [want]);
    assert_eq!(ran["changeSets"][0]["base"], "env/staging");
    assert_eq!(ran["deliveries"][0]["pullRequest"], 2);
    story.forge.seen();
    story.run().exits(0);
    assert_eq!(story.forge.writes(), [""; 0]);
    assert!(story.forge.merge(2));
    story.run().exits(0);
    story.later(23);
    story.run().exits(0);
    assert_eq!(open(&story.forge), []);
    story.later(2);
    story.run().exits(0);
    let want = (3, head("production", "env/production"), "env/production".to_owned());
    assert_eq!(open(&story.forge), [want]);
    let body = &story.forge.pulls()[2].body;
    let source = story.forge.repo.head("env/staging");
    assert!(body.contains(&format!("/acme/fleet/commit/{}", source.trim())), "{body}");
    assert!(story.forge.merge(3));
    let text = story.forge.repo.show("env/production", "deploy/shop.yaml");
    assert_eq!(text, site.replace("v1.0.0", "v1.1.0"));
    assert_eq!(tag(&story.forge, "main", "dev/shop.yaml"), "v1.1.0");
    // What runs where is told in one table, and taken back where it is.
    let status = story.bot(&["status"]).exits(0).stdout;
    for name in ["dev", "staging", "production"] {
        assert!(status.contains(name), "{status}");
    }
    story.later(1);
    story.bot(&["rollback", "--env", "production"]).exits(0);
    let back = open(&story.forge);
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].2, "env/production");
    assert!(story.forge.merge(back[0].0));
    assert_eq!(story.forge.repo.show("env/production", "deploy/shop.yaml"), site);
    story.later(30);
    story.run().exits(0);
    assert_eq!(open(&story.forge), []);
}

#[test]
fn an_environment_is_in_another_repository() {
    let story = story(
        "  dev: {paths: [dev]}
  canary: {repository: acme/fleet-canary, paths: ['.'], promoteFrom: dev, require: [healthy]}
  production: {paths: [production], promoteFrom: canary, require: [healthy]}
",
    );
    let site = site(&story.registry);
    story.forge.repo.commit("main", "Production", &[("production/shop.yaml", &site)]);
    let there = story.world.beside(&story.forge, "fleet-canary", &[("shop.yaml", &site)]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    // Whoever writes policies leads no token anywhere.
    let refused = story.run().exits(3);
    let told = refused.json()["diagnostics"].to_string();
    assert!(
        told.contains("environment.unreachable") && told.contains("--other-repository"),
        "{told}"
    );
    assert_eq!(there.seen(), [""; 0]);
    // The rest went through.
    assert!(story.forge.merge(1));
    let run = || {
        let args = ["run", "--format", "json", "--other-repository", "acme/*"];
        there.repo.it_is(story.now.get());
        story.bot(&args).exits(0).json()
    };
    run();
    assert_eq!(open(&there), []);
    story.forge.status(story.forge.repo.head("main").trim(), "healthy", "SUCCESS");
    let ran = run();
    assert_eq!(open(&there), [(1, head_there(&story.forge, "canary", "main"), "main".into())]);
    assert_eq!(ran["changeSets"][0]["repository"], "acme/fleet-canary");
    assert_eq!(
        (&ran["edits"][0]["base"], &ran["deliveries"][0]["base"]),
        (&"main".into(), &"main".into())
    );
    let url = ran["deliveries"][0]["url"].as_str().unwrap();
    assert!(url.ends_with("/acme/fleet-canary/pull/1"), "{url}");
    // The commit that it comes from is in the other repository.
    let source = format!("/acme/fleet/commit/{}", story.forge.repo.head("main").trim());
    assert!(there.pulls()[0].body.contains(&source));
    assert!(there.merge(1));
    story.later(1);
    run();
    assert_eq!(open(&story.forge), []);
    there.status(there.repo.head("main").trim(), "healthy", "SUCCESS");
    run();
    assert_eq!(open(&story.forge), [(2, "tagalong/production".into(), "main".into())]);
    let source = format!("/acme/fleet-canary/commit/{}", there.repo.head("main").trim());
    assert!(story.forge.pulls()[1].body.contains(&source));
    story.forge.seen();
    there.seen();
    run();
    assert_eq!((story.forge.writes(), there.writes()), (vec![], vec![]));
}

#[test]
fn a_place_that_cannot_be_read_keeps_nothing_from_the_others() {
    let story = story(
        "  dev: {paths: [dev], promoteFrom: {any: [gone]}}
  gone: {branch: nowhere, paths: ['.']}
  live: {branch: live, paths: ['.']}
",
    );
    story.forge.repo.commit("live", "Start", &[("shop.yaml", &site(&story.registry))]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let ran = story.run().exits(3).json();
    assert_eq!(open(&story.forge), [(1, head("live", "live"), "live".into())]);
    let dev = ran["decisions"].as_array().unwrap().iter().find(|d| d["environment"] == "dev");
    assert_eq!(dev.unwrap()["reason"]["code"], "no-history");
    let told = ran["diagnostics"].to_string();
    assert!(told.contains("nowhere"), "{told}");
    // Nor is it left out of what people look at.
    let status = story.bot(&["status", "--markdown"]).exits(3).stdout;
    assert!(status.contains("### `gone`") && status.contains("is left alone"), "{status}");
    story.forge.repo.commit("main", "Dashboard", &[("tagalong.yaml", "dashboard: Images\n")]);
    story.run().exits(3);
    let dashboard = story.forge.issues()[0]["body"].to_string();
    assert!(dashboard.contains("## Not read") && dashboard.contains("`gone`"), "{dashboard}");
}

#[test]
fn everything_that_is_told_says_where() {
    let story = story(
        "  dev: {paths: [dev], deliver: {group: all}}
  live: {repository: acme/prod, paths: ['.'], deliver: {group: all, labels: [live]}}
",
    );
    let there = story.world.beside(&story.forge, "prod", &[("shop.yaml", &site(&story.registry))]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let run = || {
        let out = story.bot(&["run", "--format", "json", "--other-repository", "acme/prod"]);
        let ran = out.exits(0).json();
        let place = |one: &serde_json::Value| one["repository"].as_str().map(str::to_owned);
        let all = |key: &str| ran[key].as_array().unwrap().iter().map(place).collect::<Vec<_>>();
        let sites = ran["decisions"].as_array().unwrap().iter().map(|one| place(&one["sites"][0]));
        (all("deliveries"), all("edits"), sites.collect::<Vec<_>>())
    };
    let both = vec![None, Some("acme/prod".to_owned())];
    assert_eq!(run(), (both.clone(), both.clone(), both.clone()));
    // One that is closed there has no change set any more.
    there.repo.commit(
        "main",
        "By hand",
        &[("shop.yaml", &site(&story.registry).replace("v1.0.0", "v1.1.0"))],
    );
    assert_eq!(run(), (both.clone(), vec![None], both));
    assert_eq!(open(&there), []);
}

#[test]
fn a_work_tree_is_one_place() {
    let story = story(BRANCHES);
    for branch in ["env/staging", "env/production"] {
        let site = site(&story.registry);
        story.forge.repo.commit(branch, "Start", &[("deploy/shop.yaml", &site)]);
    }
    let tree = story.world.dir("clone");
    let bare = story.forge.repo.bare.to_str().unwrap();
    story.forge.repo.git(&["clone", "-q", bare, arg(&tree)]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let bot = story.world.bot(["plan", "--repo", arg(&tree), "--format", "json"]);
    let planned = bot.run().exits(0).json();
    let outcomes: Vec<_> = planned["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| format!("{} {}", d["environment"], d["outcome"]).replace('"', ""))
        .collect();
    assert_eq!(outcomes, ["dev update", "production keep", "staging keep"]);
    let args = ["run", "--repo", arg(&tree), "--deliver", "worktree", "--format", "json"];
    let ran = story.world.bot(args).run().exits(0).json();
    assert_eq!(ran["deliveries"].as_array().unwrap().len(), 1);
    let text = std::fs::read_to_string(tree.join("dev/shop.yaml")).unwrap();
    assert!(text.contains("v1.1.0"), "{text}");
}

#[test]
fn a_history_that_was_rewritten_starts_the_soak_anew() {
    let story = story(
        "  dev: {paths: [dev]}\n  live: {branch: live, paths: ['.'], promoteFrom: dev, soak: 24h}\n",
    );
    story.forge.repo.commit("live", "Start", &[("shop.yaml", &site(&story.registry))]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    assert!(story.forge.merge(1));
    story.run().exits(0);
    story.later(23);
    // Somebody squashes the branch: that dev held it for a day, nothing says any more.
    let repo = &story.forge.repo;
    let tree = repo.git(&["rev-parse", "main^{tree}"]);
    let squashed = repo.git(&["commit-tree", tree.trim(), "-m", "Squashed"]);
    repo.git(&["update-ref", "refs/heads/main", squashed.trim()]);
    story.later(2);
    let ran = story.run().exits(0).json();
    assert_eq!(open(&story.forge), []);
    let live = ran["decisions"].as_array().unwrap().iter().find(|d| d["environment"] == "live");
    assert_eq!(live.unwrap()["reason"]["code"], "soaking", "{live:?}");
    story.later(23);
    story.run().exits(0);
    assert_eq!(open(&story.forge), [(2, head("live", "live"), "live".into())]);
}

#[test]
fn what_is_pushed_to_several_branches_and_taken_back_stays_back() {
    let story = story(
        "  dev: {paths: [dev], deliver: {via: push}}\n  live: {branch: live, paths: ['.'], deliver: {via: push}}\n",
    );
    let site = site(&story.registry);
    story.forge.repo.commit("live", "Start", &[("shop.yaml", &site)]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let ran = story.run().exits(0).json();
    assert!(!ran["diagnostics"].to_string().contains("ledger"), "{}", ran["diagnostics"]);
    let runs =
        || (tag(&story.forge, "main", "dev/shop.yaml"), tag(&story.forge, "live", "shop.yaml"));
    assert_eq!(runs(), ("v1.1.0".into(), "v1.1.0".into()));
    story.forge.repo.commit("main", "Revert", &[("dev/shop.yaml", &site)]);
    story.forge.repo.commit("live", "Revert", &[("shop.yaml", &site)]);
    story.later(1);
    story.run().exits(0);
    assert_eq!(runs(), ("v1.0.0".into(), "v1.0.0".into()));
}

#[test]
fn what_is_done_elsewhere_is_remembered_apart() {
    let story = story("  live: {repository: acme/prod, paths: ['.'], deliver: {via: push}}\n");
    let there = story.world.beside(&story.forge, "prod", &[("shop.yaml", &site(&story.registry))]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.bot(&["run", "--other-repository", "acme/prod"]).exits(0);
    assert_eq!(tag(&there, "main", "shop.yaml"), "v1.1.0");
    // Policies of its own would have a ledger beside this one.
    let refs = there.repo.git(&["for-each-ref", "--format=%(refname)", "refs/tagalong"]);
    assert!(refs.trim().starts_with("refs/tagalong/ledger-"), "{refs}");
    there.repo.commit("main", "Revert", &[("shop.yaml", &site(&story.registry))]);
    story.later(1);
    story.bot(&["run", "--other-repository", "acme/prod"]).exits(0);
    assert_eq!(tag(&there, "main", "shop.yaml"), "v1.0.0");
    let ledger = story.world.dir("x").join("ledger.json");
    let args = ["run", "--other-repository", "acme/prod", "--ledger", arg(&ledger)];
    story.bot(&args).exits(3).says(&["remembers for one repository"]);
}

#[test]
fn what_was_taken_back_elsewhere_is_not_proposed_again() {
    let story = story("  live: {repository: acme/prod, paths: ['.']}\n");
    let there = story.world.beside(&story.forge, "prod", &[("shop.yaml", &site(&story.registry))]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let bot = |args: &[&str]| {
        there.repo.it_is(story.now.get());
        story.bot(&[args, &["--other-repository", "acme/prod"]].concat()).exits(0)
    };
    bot(&["run"]);
    assert!(there.merge(1));
    story.later(1);
    bot(&["rollback", "--env", "live"]);
    assert!(there.merge(2));
    assert_eq!(tag(&there, "main", "shop.yaml"), "v1.0.0");
    story.later(1);
    bot(&["run"]);
    assert_eq!(open(&there), []);
    // One memory, whoever adds to it.
    let refs = there.repo.git(&["for-each-ref", "--format=%(refname)", "refs/tagalong"]);
    assert_eq!(refs.lines().count(), 1, "{refs}");
    // Something newer goes on.
    story.registry.push("acme/shop", &["v1.2.0"]);
    bot(&["run"]);
    assert_eq!(open(&there).len(), 1);
}

#[test]
fn a_repository_can_have_policies_of_its_own() {
    let story = Story::of(|registry| {
        registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
        let image = format!(
            "images: {{shop: {{image: {}/acme/shop, tags: {{semver: '*'}}}}}}",
            registry.host
        );
        let policy = format!(
            "{image}\nenvironments:\n  dev: {{paths: [dev]}}\n  live: {{repository: acme/prod, paths: [live]}}\n"
        );
        vec![("policies/p.yaml".to_owned(), policy), ("dev/shop.yaml".to_owned(), site(registry))]
    });
    // Its environments have the same names, one of them where the other policies have nothing.
    let own =
        story.forge.repo.show("main", "policies/p.yaml").replace("repository: acme/prod, ", "");
    let site = site(&story.registry);
    let files = [("policies/p.yaml", &*own), ("dev/shop.yaml", &site), ("live/shop.yaml", &site)];
    let there = story.world.beside(&story.forge, "prod", &files);
    there.repo.it_is(story.now.get());
    let own = || {
        let now = story.now.get().to_string();
        let args = ["run", "--repo", "acme/prod", "--now", &now];
        there.env(story.world.bot(args)).run().exits(0);
    };
    let others = || drop(story.bot(&["run", "--other-repository", "acme/prod"]).exits(0));
    own();
    others();
    let want = [
        (1, "tagalong/dev".to_owned(), "main".to_owned()),
        (2, "tagalong/live".to_owned(), "main".to_owned()),
        (3, head_there(&story.forge, "live", "main"), "main".to_owned()),
    ];
    assert_eq!(open(&there), want);
    there.seen();
    own();
    others();
    assert_eq!(there.writes(), [""; 0]);
    // What is closed there was said to one of them.
    assert!(there.merge(2));
    own();
    others();
    assert_eq!(open(&there), [want[0].clone()]);
}

#[test]
fn one_place_under_two_names_is_one_place() {
    // Two environments that cover one file, which only shows when the branches are read.
    let story = story(
        "  dev: {paths: [dev]}
  canary: {repository: Acme/prod, branch: main, paths: [apps]}
  live: {repository: acme/prod, paths: ['apps/*'], promoteFrom: canary, soak: 240h}
",
    );
    let there =
        story.world.beside(&story.forge, "prod", &[("apps/shop.yaml", &site(&story.registry))]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    // Also when only one of the names is asked for.
    for only in [&["--env", "canary"][..], &[]] {
        let all = ["run", "--format", "json", "--other-repository", "acme/prod"];
        let ran = story.bot(&[&all, only].concat()).exits(3);
        assert!(ran.json()["diagnostics"].to_string().contains("both cover apps/shop.yaml"));
        assert_eq!(open(&there), [], "{only:?}");
    }
    assert_eq!(open(&story.forge), [(1, "tagalong/dev".into(), "main".into())]);
}

#[test]
fn a_pushed_image_is_looked_at_everywhere() {
    let story = story("  dev: {paths: [dev]}\n  live: {branch: live, paths: ['.']}\n");
    let old = site(&story.registry).replace("v1.0.0", "v0.9.0");
    story.registry.push("acme/shop", &["v0.9.0", "v1.1.0"]);
    story.forge.repo.commit("live", "Start", &[("shop.yaml", &old)]);
    let pushed = format!("{}/acme/shop:v1.1.0", story.registry.host);
    story.bot(&["run", "--image-ref", &pushed]).exits(0);
    let bases: Vec<String> = open(&story.forge).into_iter().map(|(.., base)| base).collect();
    assert_eq!(bases, ["main", "live"]);
}

#[test]
fn an_environment_that_moves_leaves_nothing_behind() {
    let story = story("  dev: {paths: [dev]}\n");
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    assert_eq!(open(&story.forge), [(1, "tagalong/dev".into(), "main".into())]);
    let policy =
        story.forge.repo.show("main", "policies/p.yaml").replace("{paths", "{branch: live, paths");
    story.forge.repo.commit("live", "Start", &[("dev/shop.yaml", &site(&story.registry))]);
    story.forge.repo.commit("main", "Move", &[("policies/p.yaml", &policy)]);
    story.run().exits(0);
    assert_eq!(open(&story.forge), [(2, head("dev", "live"), "live".into())]);
    assert_eq!(tag(&story.forge, "main", "dev/shop.yaml"), "v1.0.0");
}

#[test]
fn what_is_idle_everywhere_is_told_once() {
    let story = story("  dev: {paths: [dev]}\n  live: {branch: live, paths: ['.']}\n");
    story.forge.repo.commit("live", "Start", &[("shop.yaml", &site(&story.registry))]);
    let more = format!(
        "images:\n  typo: {{image: {}/acme/shpo, tags: {{semver: '*'}}}}\n",
        story.registry.host
    );
    story.forge.repo.commit(
        "main",
        "Typo",
        &[("policies/q.yaml", &more), ("tagalong.yaml", "dashboard: Images\n")],
    );
    let ran = story.run().exits(0).json();
    let told =
        ran["diagnostics"].as_array().unwrap().iter().filter(|d| d["code"] == "policy.unused");
    assert_eq!(told.count(), 1, "{}", ran["diagnostics"]);
    assert_eq!(story.forge.issues().len(), 1);
    // A file is the memory of one repository.
    let ledger = story.world.file("ledger.json", "");
    std::fs::remove_file(&ledger).unwrap();
    story.bot(&["run", "--ledger", arg(&ledger)]).exits(0);
}
