//! Repositories on one forge or another, by host; and on both at once.

use crate::gitlab::{policies, shop};
use crate::world::daemon::{Daemon, SECRET};
use crate::world::{Bot, Product, Repo, Story, TOKEN, World, arg};

#[test]
fn a_job_knows_its_server_and_its_project() {
    let story = shop("draft: false");
    let url = &story.forge.url;
    let job = |more: &[(&str, &str)]| {
        let own = [
            ("GITLAB_CI", "true"),
            ("CI_SERVER_URL", url.as_str()),
            ("CI_API_V4_URL", &format!("{url}/api/v4")),
            ("CI_PROJECT_PATH", "acme/fleet"),
            ("CI_JOB_TOKEN", TOKEN),
        ];
        let bot: Bot = story.world.bot(["run", "--format", "json"]);
        own.iter().chain(more).fold(bot, |bot, (name, value)| bot.env(name, value)).run()
    };
    // A job's own token reads, and opens no merge requests.
    let said = "CI_JOB_TOKEN cannot open GitLab's merge requests: set GITLAB_TOKEN";
    job(&[]).exits(1).says(&[said]);
    assert_eq!(job(&[("GITLAB_TOKEN", TOKEN)]).exits(0).deliveries(), ["dev created"]);
    // Another server does not see the job's token, and is asked without any.
    let other = story.world.gitlab("other", &[]);
    story.forge.seen();
    let elsewhere = [("GITLAB_URL", other.url.as_str()), ("TAGALONG_FORGE", "gitlab")];
    job(&elsewhere).exits(2).says(&["is no forge that is known"]);
    assert_eq!(other.seen().iter().filter(|request| !request.contains("(challenged)")).count(), 0);
    assert_eq!(story.forge.seen(), [""; 0]);
}

#[test]
fn groups_have_groups() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let policies = policies(&registry.host, "  dev: {paths: ['.']}\n");
    let site = format!("image: {}/acme/shop:v1.0.0\n", registry.host);
    let files = [("policies/p.yaml", policies.as_str()), ("shop.yaml", site.as_str())];
    let gitlab = world.gitlab("platform/eu/fleet", &files);
    let host = gitlab.url.trim_start_matches("http://");
    for (count, repo) in
        [format!("{host}/acme/platform/eu/fleet"), format!("{}/acme/platform/eu/fleet", gitlab.url)]
            .iter()
            .enumerate()
    {
        let bot = world.bot(["run", "--format", "json", "--repo", repo]);
        let want = if count == 0 { "dev created" } else { "dev unchanged" };
        assert_eq!(gitlab.env(bot).run().exits(0).deliveries(), [want], "{repo}");
    }
    assert!(gitlab.pulls()[0].body.contains("tagalong"));
}

/// A checkout whose origin is on GitLab, written for SSH.
#[test]
fn a_checkout_knows_its_forge_by_its_origin() {
    let story = shop("draft: false");
    let host = story.forge.url.trim_start_matches("http://").split(':').next().unwrap().to_owned();
    let tree = story.world.dir("checkout");
    let git = |args: &[&str]| assert!(Repo::at(tree.clone()).try_git(args).0, "{args:?}");
    git(&["clone", "-q", arg(&story.forge.repo.bare), "."]);
    git(&["remote", "set-url", "origin", &format!("git@{host}:acme/fleet.git")]);
    // Both known forges are here; only one has this token.
    let bot = story.world.bot(["run", "--format", "json"]).directory(&tree);
    let out = story.forge.env(bot).env("GITHUB_SERVER_URL", "https://github.example").run();
    assert_eq!(out.exits(0).deliveries(), ["dev created"]);
}

/// Development on GitHub, production on GitLab; the gate is a status on GitHub.
#[test]
fn a_version_is_promoted_from_github_to_gitlab() {
    let story = Story::on(Product::GitHub, |registry| {
        registry.push("acme/shop", &["v1.0.0"]);
        let site = format!("image: {}/acme/shop:v1.0.0\n", registry.host);
        vec![("dev/shop.yaml".to_owned(), site)]
    });
    let site = format!("image: {}/acme/shop:v1.0.0\n", story.registry.host);
    let there = story.world.gitlab("platform/prod", &[("shop.yaml", &site)]);
    let host = there.url.trim_start_matches("http://").to_owned();
    let name = format!("{host}/acme/platform/prod");
    let environments = format!(
        "  dev: {{paths: [dev]}}\n  production: {{repository: '{name}', paths: ['.'], promoteFrom: dev, \
         require: [healthy], deliver: {{autoMerge: bot}}}}\n"
    );
    let policies = policies(&story.registry.host, &environments);
    story.forge.repo.commit("main", "Policies", &[("policies/p.yaml", &policies)]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let run = |more: &[&str]| {
        there.repo.it_is(story.now.get());
        let now = story.now.get().to_string();
        let args = ["run", "--format", "json", "--repo", "acme/fleet", "--now", &now];
        let bot = story.world.bot(args.iter().copied().chain(more.iter().copied()));
        there
            .variables()
            .into_iter()
            .fold(story.forge.env(bot), |bot, (name, value)| bot.env(name, &value))
            .run()
    };
    // Whoever writes policies leads no token anywhere.
    run(&[]).exits(3).says(&[&format!("name it with --other-repository {name}")]);
    assert_eq!(there.seen(), [""; 0]);
    assert!(story.forge.merge(1));
    let allowed = format!("{host}/acme/*");
    let allowed = ["--other-repository", allowed.as_str()];
    run(&allowed).exits(0);
    story.later(1);
    run(&allowed).exits(0).says(&["healthy"]);
    assert_eq!(there.pulls(), []);
    story.forge.status(&story.forge.repo.head("main"), "healthy", "SUCCESS");
    run(&allowed).exits(0);
    let pull = there.pulls().remove(0);
    assert!(pull.title.contains("production"), "{pull:?}");
    // Where the version was before is a page of the other forge.
    let page = format!("{}/acme/fleet/commit/", story.forge.url);
    assert!(pull.body.contains(&page), "{}", pull.body);
    there.edit(1, |pull| {
        pull.checks = vec![serde_json::json!({"name": "test", "conclusion": "SUCCESS"})];
    });
    run(&allowed).exits(0);
    assert!(there.repo.show("main", "shop.yaml").contains(":v1.1.0"));
    assert_eq!(story.forge.pulls().len(), 1);
}

/// Two environments on one GitLab; the gate is a status that the syncer reports there.
#[test]
fn a_gate_is_a_status_of_gitlab() {
    let story = Story::on(Product::GitLab, |registry| {
        registry.push("acme/shop", &["v1.0.0"]);
        let environments = "  dev: {paths: [dev], deliver: {via: push}}\n  production: {paths: [production], \
             promoteFrom: dev, require: [{name: healthy, app: flux}]}\n";
        let site = format!("image: {}/acme/shop:v1.0.0\n", registry.host);
        let policies = policies(&registry.host, environments);
        let files = [
            ("dev/shop.yaml", &site),
            ("production/shop.yaml", &site),
            ("policies/p.yaml", &policies),
        ];
        files.map(|(path, text)| (path.to_owned(), text.clone())).to_vec()
    });
    story.registry.push("acme/shop", &["v1.1.0"]);
    story.run().exits(0);
    story.later(1);
    let head = story.forge.repo.head("main");
    story.run().exits(0).says(&["healthy"]);
    // By name alone, anybody could say so.
    story.forge.status(&head, "healthy", "SUCCESS");
    story.run().exits(0);
    assert_eq!(story.forge.pulls(), []);
    story.forge.status_by(&head, "healthy", "SUCCESS", "flux");
    story.run().exits(0);
    assert!(story.forge.pulls()[0].title.contains("production"));
}

/// One daemon with repositories on two forges, each with its own token and webhooks.
#[test]
fn a_daemon_works_on_both() {
    let story = Story::shop();
    let site = format!("image: {}/acme/shop:v1.0.0\n", story.registry.host);
    let policies = policies(&story.registry.host, "  dev: {paths: ['.']}\n");
    let files = [("policies/p.yaml", policies.as_str()), ("shop.yaml", site.as_str())];
    let gitlab = story.world.gitlab("platform/fleet", &files);
    let host = gitlab.url.trim_start_matches("http://");
    let config = format!(
        "listen: 127.0.0.1:0\ninterval: 1h\ndebounce: 0s\nrepositories:\n- {{repo: acme/fleet}}\n\
         - {{repo: '{host}/acme/platform/fleet'}}\n\
         webhooks:\n- {{kind: gitlab, path: /hooks/gitlab, secretVariables: [HOOK_SECRET]}}\n"
    );
    let config = story.world.file("serve.yaml", &config);
    let daemon = Daemon::on(&story.world, &[&story.forge, &gitlab], &config);
    daemon.says("\"run finished\"", 2);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let push =
        r#"{"ref":"refs/heads/main","project":{"path_with_namespace":"acme/platform/fleet"}}"#;
    let ring = |token: &str, id: &str| {
        let request = daemon.post("/hooks/gitlab").header("x-gitlab-event", "Push Hook");
        let request = request.header("x-gitlab-token", token).header("idempotency-key", id);
        let sent = story.world.runtime.block_on(request.body(push).send());
        sent.unwrap().status().as_u16()
    };
    assert_eq!(ring("a guess at the secret", "1"), 401);
    assert_eq!(ring(SECRET, "2"), 202);
    daemon.says("\"run finished\"", 3);
    assert_eq!(gitlab.pulls().len(), 1);
    assert_eq!(story.forge.pulls(), [], "nobody rang for it");
}
