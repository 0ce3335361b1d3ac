//! The life of a pull request on the world's GitHub.

use crate::world::{Bot, ForgeServer, Lie, Output, Registry, World, arg};
use crate::world::{Fault, TOKEN};

const BRANCH: &str = "tagalong/staging";

struct Story {
    world: World,
    registry: Registry,
    forge: ForgeServer,
}

impl Story {
    fn new() -> Self {
        let world = World::new();
        let registry = world.registry();
        registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
        let host = &registry.host;
        let policies = format!(
            "images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '1.x'}}}}\n\
             environments:\n  staging: {{paths: [clusters/staging], deliver: {{labels: [staging, bump]}}}}\n"
        );
        let site = format!("image: {host}/acme/shop:v1.0.0 # here\n");
        let github = world.github(&[
            ("policies/shop.yaml", &policies),
            ("clusters/staging/shop.yaml", &site),
            ("README.md", "hello\n"),
        ]);
        Self { world, registry, forge: github }
    }

    fn run(&self, args: &[&str]) -> Output {
        let all = ["run", "--repo", "acme/fleet", "--format", "json"]
            .into_iter()
            .chain(args.iter().copied());
        self.forge.env(self.world.bot(all)).run()
    }

    fn site(&self, branch: &str) -> String {
        self.forge.repo.show(branch, "clusters/staging/shop.yaml")
    }
}

#[test]
fn is_opened_left_alone_updated_and_left_alone_again() {
    let story = Story::new();
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging created"]);
    let pull = &story.forge.pulls()[0];
    assert_eq!(
        (&*pull.title, &*pull.head, &*pull.base),
        ("Update shop to v1.1.0 in staging", BRANCH, "main")
    );
    assert_eq!(pull.labels, ["staging", "bump"]);
    assert!(
        pull.body.contains("| `v1.0.0` | `v1.1.0` | `clusters/staging/shop.yaml:1` |"),
        "{}",
        pull.body
    );
    assert!(story.site(BRANCH).ends_with("/acme/shop:v1.1.0 # here\n"));
    assert!(story.site("main").ends_with("/acme/shop:v1.0.0 # here\n"));
    assert!(story.forge.mergeable(1));

    story.forge.seen();
    let head = story.forge.repo.head(BRANCH);
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging unchanged"]);
    assert_eq!(story.forge.writes(), Vec::<String>::new());
    assert_eq!(story.forge.repo.head(BRANCH), head);

    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging updated"]);
    assert_eq!(story.forge.pulls().len(), 1);
    assert_eq!(story.forge.pulls()[0].title, "Update shop to v1.2.0 in staging");
    assert!(story.site(BRANCH).ends_with("/acme/shop:v1.2.0 # here\n"));
    let parent = story.forge.repo.git(&["rev-parse", &format!("{BRANCH}^")]);
    assert_eq!(parent.trim(), story.forge.repo.head("main"));

    assert!(story.forge.merge(1));
    let out = story.run(&[]).exits(0);
    assert_eq!(out.decisions(), ["shop keep v1.2.0 up-to-date"]);
    assert_eq!(out.deliveries(), Vec::<String>::new());
}

#[test]
fn costs_few_requests() {
    let story = Story::new();
    story.run(&[]).exits(0);
    let seen = story.forge.seen();
    let (api, git): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.contains("/api/"));
    let git: Vec<_> = git.into_iter().filter(|seen| !seen.contains("challenged")).collect();
    assert!(api.len() <= 6 && git.len() <= 4, "{api:#?} {git:#?}");
    // The list decides; then the text asks where what is proposed comes from.
    let seen = story.registry.seen();
    assert_eq!(
        seen[..2],
        ["GET /v2/acme/shop/tags/list?n=1000", "HEAD /v2/acme/shop/manifests/v1.1.0"]
    );
    assert!(
        seen.len() == 3 && seen[2].starts_with("GET /v2/acme/shop/manifests/sha256:"),
        "{seen:?}"
    );
    story.run(&[]).exits(0);
    assert_eq!(story.registry.seen(), ["GET /v2/acme/shop/tags/list?n=1000"]);
}

#[test]
fn a_persons_commit_on_the_branch_is_left_alone() {
    let story = Story::new();
    story.run(&[]).exits(0);
    story.forge.repo.commit(BRANCH, "My own fix", &[("clusters/staging/extra.yaml", "a: 1\n")]);
    let head = story.forge.repo.head(BRANCH);
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.forge.seen();
    let out = story.run(&[]).exits(0).says(&["Ada committed to `tagalong/staging`"]);
    assert_eq!(out.deliveries(), ["staging frozen"]);
    assert_eq!(story.forge.repo.head(BRANCH), head);
    // The pull request says so, once.
    assert_eq!(story.forge.writes(), ["PATCH /api/v3/repos/acme/fleet/pulls/1"]);
    let body = story.forge.pulls()[0].body.clone();
    assert!(body.starts_with("> **Left alone**: ``Ada committed to "), "{body}");
    story.run(&[]).exits(0);
    assert_eq!(story.forge.writes(), Vec::<String>::new());
    // Until people say otherwise.
    story.forge.edit(1, |pull| {
        pull.labels.push("tagalong:rebase".into());
        pull.labelled_by = "mallory";
    });
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging frozen"]);
    story.forge.edit(1, |pull| pull.labelled_by = "ada");
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging updated"]);
    assert!(story.site(BRANCH).ends_with(":v1.2.0 # here\n"));
    let pull = &story.forge.pulls()[0];
    assert_eq!(pull.labels, ["staging", "bump"]);
    assert!(!pull.body.contains("Left alone"));
}

#[test]
fn an_amended_or_rebased_commit_is_a_persons() {
    let story = Story::new();
    story.run(&[]).exits(0);
    let tree = story.forge.repo.git(&["rev-parse", &format!("{BRANCH}^{{tree}}")]);
    let message = story.forge.repo.git(&["log", "-1", "--format=%B", BRANCH]);
    let main = story.forge.repo.head("main");
    let amended = story.forge.repo.git(&["commit-tree", tree.trim(), "-p", &main, "-m", &message]);
    story.forge.repo.git(&["update-ref", &format!("refs/heads/{BRANCH}"), amended.trim()]);
    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging frozen"]);
}

#[test]
fn the_base_moving_elsewhere_changes_nothing_and_in_the_file_rebases() {
    let story = Story::new();
    story.run(&[]).exits(0);
    let head = story.forge.repo.head(BRANCH);
    story.forge.repo.commit("main", "Elsewhere", &[("README.md", "hello again\n")]);
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging unchanged"]);
    assert_eq!(story.forge.repo.head(BRANCH), head);

    let site = story.site("main").replace("# here", "# there");
    story.forge.repo.commit("main", "In the file", &[("clusters/staging/shop.yaml", &site)]);
    assert!(!story.forge.mergeable(1));
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging updated"]);
    assert!(story.forge.mergeable(1));
    assert!(story.site(BRANCH).ends_with("/acme/shop:v1.1.0 # there\n"));
}

#[test]
fn a_title_that_a_person_changed_is_set_again_and_labels_of_people_stay() {
    let story = Story::new();
    story.run(&[]).exits(0);
    story.forge.edit(1, |pull| {
        pull.title = "mine".into();
        pull.labels = vec!["urgent".into(), "BUMP".into()];
    });
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging updated"]);
    let pull = &story.forge.pulls()[0];
    assert_eq!(pull.title, "Update shop to v1.1.0 in staging");
    assert_eq!(pull.labels, ["urgent", "BUMP", "staging"]);
}

#[test]
fn the_answer_to_a_creation_may_be_lost() {
    let story = Story::new();
    story.forge.fault(Fault {
        method: "POST",
        part: "/pulls",
        status: 502,
        headers: Vec::new(),
        message: "Bad Gateway",
        after_effect: true,
    });
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging created"]);
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging unchanged"]);
    assert_eq!(story.forge.pulls().len(), 1);
    assert_eq!(story.forge.pulls()[0].labels, ["staging", "bump"]);
}

#[test]
fn another_run_that_was_faster_is_joined() {
    let story = Story::new();
    story.run(&[]).exits(0);
    // The list does not show the pull request yet, as a replica that lags behind.
    story.forge.edit(1, |pull| pull.base = "lagging".into());
    story.forge.fault(Fault {
        method: "POST",
        part: "/pulls",
        status: 422,
        headers: Vec::new(),
        message: "A pull request already exists for acme:tagalong/staging.",
        after_effect: false,
    });
    let out = story.run(&[]);
    assert_eq!(out.exits(1).deliveries(), ["staging failed"]);
    story.forge.edit(1, |pull| pull.base = "main".into());
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging unchanged"]);
    assert_eq!(story.forge.pulls().len(), 1);
}

#[test]
fn a_closed_pull_request_means_not_this_version() {
    let story = Story::new();
    story.run(&[]).exits(0);
    story.forge.edit(1, |pull| pull.state = "closed");
    story.forge.seen();
    let out = story.run(&[]).exits(0).says(&["v1.1.0 is not wanted here: #1 was closed"]);
    assert_eq!(out.decisions(), ["shop hold v1.1.0 refused"]);
    assert_eq!(story.forge.writes(), Vec::<String>::new());
    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging created"]);
    assert_eq!(story.forge.pulls()[1].title, "Update shop to v1.2.0 in staging");
}

#[test]
fn what_was_merged_and_taken_back_is_not_proposed_again() {
    let story = Story::new();
    story.run(&[]).exits(0);
    let before = story.site("main");
    // A merge commit leaves the branch's commit in the base; then somebody sets the file back.
    story.forge.repo.git(&["update-ref", "refs/heads/main", &story.forge.repo.head(BRANCH)]);
    story.forge.edit(1, |pull| (pull.state, pull.merged) = ("closed", true));
    story.forge.repo.commit("main", "Back", &[("clusters/staging/shop.yaml", &before)]);
    let out = story.run(&[]).exits(0).says(&["#1 was reverted"]);
    assert_eq!(out.decisions(), ["shop hold v1.1.0 refused"]);
    // A newer one is, from the base as it is now and not from the left-over branch.
    story.registry.push("acme/shop", &["v1.2.0"]);
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging created"]);
    assert!(story.forge.mergeable(2));
    let parent = story.forge.repo.git(&["rev-parse", &format!("{BRANCH}^")]);
    assert_eq!(parent.trim(), story.forge.repo.head("main"));
}

#[test]
fn labels_that_cannot_be_set_do_not_undo_the_pull_request() {
    let story = Story::new();
    let fault = |method, part| Fault {
        method,
        part,
        status: 403,
        headers: Vec::new(),
        message: "No",
        after_effect: false,
    };
    story.forge.fault(fault("POST", "/labels"));
    let out = story.run(&[]).exits(0).says(&["without all of its labels"]);
    assert_eq!(out.json()["deliveries"][0]["pullRequest"], 1);
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.forge.fault(fault("POST", "/labels"));
    assert_eq!(story.run(&[]).exits(0).deliveries(), ["staging updated"]);
    assert_eq!(story.forge.pulls()[0].title, "Update shop to v1.2.0 in staging");
}

#[test]
fn a_ref_that_stands_in_the_way_is_not_taken_for_a_race() {
    let story = Story::new();
    let main = story.forge.repo.head("main");
    story.forge.repo.git(&["update-ref", "refs/heads/tagalong", &main]);
    let out = story.run(&[]).exits(1).says(&["the server refuses the push to `tagalong/staging`"]);
    assert_eq!(out.deliveries(), ["staging failed"]);
}

#[test]
fn what_a_run_does_not_decide_stays_proposed() {
    let world = World::new();
    let (up, down) = (world.registry(), world.registry());
    up.push("acme/up", &["v1.0.0", "v1.1.0"]);
    down.push("acme/down", &["v1.0.0", "v1.1.0"]);
    let policies = format!(
        "images:\n  up: {{image: {}/acme/up, tags: {{semver: '1.x'}}}}\n  \
         down: {{image: {}/acme/down, tags: {{semver: '1.x'}}}}\n",
        up.host, down.host
    );
    let sites =
        format!("image: {}/acme/up:v1.0.0\n---\nimage: {}/acme/down:v1.0.0\n", up.host, down.host);
    let github = world.github(&[("policies/p.yaml", &policies), ("a.yaml", &sites)]);
    let run = |more: &[&str]| {
        let args = ["run", "--repo", "acme/fleet", "--format", "json"]
            .into_iter()
            .chain(more.iter().copied());
        github.env(world.bot(args)).run()
    };
    assert_eq!(run(&[]).exits(0).deliveries(), ["default created"]);
    let branch = "tagalong/default";
    let head = github.repo.head(branch);
    down.lies("/tags/list", [Lie::status(404)]);
    let out = run(&[]).exits(3).says(&["this run does not decide it: ", "(404)"]);
    assert_eq!(out.decisions(), ["down update v1.1.0 carried", "up update v1.1.0 newer"]);
    assert_eq!(
        (out.deliveries(), github.repo.head(branch)),
        (vec!["default unchanged".to_owned()], head.clone())
    );
    assert_eq!(run(&["--image", "up"]).exits(0).deliveries(), ["default unchanged"]);
    assert_eq!(github.repo.head(branch), head);
    up.push("acme/up", &["v1.2.0"]);
    assert_eq!(run(&[]).exits(3).deliveries(), ["default updated"]);
    let shown = github.repo.show(branch, "a.yaml");
    assert!(
        shown.contains("/acme/up:v1.2.0\n") && shown.contains("/acme/down:v1.1.0\n"),
        "{shown}"
    );
}

#[test]
fn a_branch_that_was_left_over_is_not_carried_on() {
    let story = Story::new();
    story.run(&[]).exits(0);
    // Merged, and the base moved on; the branch and its old proposal are still there.
    story.forge.edit(1, |pull| (pull.state, pull.merged) = ("closed", true));
    let site = story.site("main").replace("v1.0.0", "v1.9.0");
    story.forge.repo.commit("main", "Further", &[("clusters/staging/shop.yaml", &site)]);
    story.registry.lies("/tags/list", [Lie::status(404)]);
    for via in ["pull-request", "push"] {
        let out = story.run(&["--deliver", via]).exits(3);
        assert_eq!(out.decisions(), ["shop undecided - not-found"]);
        assert_eq!(out.deliveries(), Vec::<String>::new());
    }
    // Open again, it still proposes less than what is deployed.
    story.forge.edit(1, |pull| (pull.state, pull.merged) = ("open", false));
    assert_eq!(story.run(&[]).exits(3).decisions(), ["shop undecided - not-found"]);
}

#[test]
fn the_way_of_the_command_line_counts_before_branches_are_named() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let policies = format!(
        "images: {{shop: {{image: {}/acme/shop, tags: {{semver: '1.x'}}}}}}\n\
         environments: {{staging: {{paths: [a.yaml], deliver: {{via: push}}}}}}\n",
        registry.host
    );
    let github = world.github(&[
        ("policies/p.yaml", &policies),
        ("a.yaml", &format!("image: {}/acme/shop:v1.0.0\n", registry.host)),
    ]);
    let main = github.repo.head("main");
    let args = ["run", "--repo", "acme/fleet", "--format", "json", "--deliver", "pull-request"];
    let out = github.env(world.bot(args)).run().exits(0);
    assert_eq!(out.deliveries(), ["staging created"]);
    assert_eq!(github.repo.head("main"), main);
    assert_eq!(github.pulls()[0].head, "tagalong/staging");
}

#[test]
fn a_checkout_delivers_to_where_it_came_from() {
    let story = Story::new();
    let work = story.world.dir("checkout");
    let git = |args: &[&str]| {
        let status =
            std::process::Command::new("git").args(args).current_dir(&work).status().unwrap();
        assert!(status.success(), "{args:?}");
    };
    git(&["clone", "-q", story.forge.repo.bare.to_str().unwrap(), "."]);
    let run = |args: &[&str]| {
        story
            .forge
            .env(
                story
                    .world
                    .bot(["run", "--repo", "../checkout"].into_iter().chain(args.iter().copied())),
            )
            .run()
    };
    git(&[
        "remote",
        "set-url",
        "origin",
        &format!("{}/acme/fleet.git", story.forge.url.replace("http://", "http://x:old@")),
    ]);
    run(&[]).exits(0).says(&["opened staging", "#1"]);
    git(&["checkout", "-q", "--detach"]);
    run(&[]).exits(2).says(&["no branch is checked out", "--branch"]);
    run(&["--branch", "main"]).exits(0).says(&["unchanged staging"]);
    git(&["checkout", "-q", "main"]);
    run(&["--deliver", "worktree", "--branch", "main"])
        .exits(2)
        .says(&["--branch: a work tree is read as it is"]);
    run(&["--deliver", "worktree"]).exits(0).says(&["written staging"]);
    git(&["remote", "remove", "origin"]);
    run(&[]).exits(2).says(&["it has no `origin`"]);
}

#[test]
fn refusals_say_what_to_change() {
    type Headers = Vec<(&'static str, &'static str)>;
    let cases: [(u16, &'static str, Headers, &str); 7] = [
        (401, "Bad credentials", vec![], "set GITHUB_TOKEN to one that is valid"),
        (403, "Resource not accessible by integration", vec![], "needs `pull_requests: write`"),
        (
            403,
            "You have exceeded a secondary rate limit",
            vec![("retry-after", "3600")],
            "asks to wait 3600 seconds",
        ),
        (404, "Not Found", vec![], "GitHub does not know acme/fleet"),
        (410, "Pull requests are disabled", vec![], "enable them in the repository's settings"),
        (422, "Validation Failed", vec![], "GitHub refuses the pull request: Validation Failed"),
        (500, "Server Error", vec![], "GitHub cannot be reached or fails"),
    ];
    for (status, message, headers, want) in cases {
        let story = Story::new();
        story.forge.fault(Fault {
            method: "POST",
            part: "/pulls",
            status,
            headers,
            message,
            after_effect: false,
        });
        story.run(&[]).exits(1).says(&[want]);
    }
}

#[test]
fn a_server_without_the_repository_or_the_right_is_named() {
    let story = Story::new();
    let bot = |args: &[&str]| story.world.bot(args.iter().copied());
    let gone = story.forge.env(bot(&["run", "--repo", "acme/gone"])).run();
    gone.exits(1).says(&["acme/gone.git", "no such repository"]);
    let wrong =
        story.forge.env(bot(&["run", "--repo", "acme/fleet"])).env("GITHUB_TOKEN", "wrong").run();
    wrong.exits(1).says(&["the server refuses the login"]);
    let branch = story.forge.env(bot(&["run", "--repo", "acme/fleet", "--branch", "nope"])).run();
    branch.exits(1).says(&["no branch `nope`"]);
}

/// An app signs in with its key, for this repository alone.
#[test]
fn an_app_gets_its_token() {
    let story = Story::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem();
    let app = |bot: Bot| story.forge.env(bot).env("GITHUB_TOKEN", "").env("GITHUB_APP_ID", "123");
    let run = |env: (&str, &str), more: &[&str]| {
        let args = ["run", "--repo", "acme/fleet", "--format", "json", "-v", "-v"];
        let bot = story.world.bot(args.into_iter().chain(more.iter().copied()));
        app(bot).env(env.0, env.1).run()
    };
    let out = run(("GITHUB_APP_PRIVATE_KEY", &key), &[]).exits(0);
    assert_eq!(out.deliveries(), ["staging created"]);
    assert!(!format!("{}{}", out.stdout, out.stderr).contains(TOKEN));
    let seen = story.forge.seen();
    let asked = seen.iter().filter(|seen| seen.contains("install")).collect::<Vec<_>>();
    assert_eq!(asked.len(), 2, "{asked:?}");
    // A token that is too old by now is replaced, and what was refused is sent again.
    let expired = |method, part| Fault {
        method,
        part,
        status: 401,
        headers: vec![],
        message: "Bad credentials",
        after_effect: false,
    };
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.forge.fault(expired("PATCH", "/pulls/1"));
    let out = run(("GITHUB_APP_PRIVATE_KEY", &key), &[]).exits(0);
    assert_eq!(out.deliveries(), ["staging updated"]);
    assert!(story.forge.pulls()[0].body.contains("`v1.2.0`"));
    // One that is refused at once is no better for being new.
    story.registry.push("acme/shop", &["v1.3.0"]);
    story.forge.fault(expired("PATCH", "/pulls/1"));
    story.forge.fault(expired("PATCH", "/pulls/1"));
    run(("GITHUB_APP_PRIVATE_KEY", &key), &[]).exits(1).says(&["GitHub refuses the token (401)"]);
    let file = story.world.file("key.pem", &key);
    run(("GITHUB_APP_PRIVATE_KEY_FILE", arg(&file)), &[]).exits(0);
    run(("GITHUB_APP_PRIVATE_KEY", "no key"), &[])
        .exits(1)
        .says(&["GitHub does not accept the app"]);
    run(("UNSET", ""), &[]).exits(2).says(&["GITHUB_APP_ID needs GITHUB_APP_PRIVATE_KEY"]);
    let gone = story.world.bot(["run", "--repo", "acme/other"]);
    app(gone)
        .env("GITHUB_APP_PRIVATE_KEY", &key)
        .run()
        .exits(1)
        .says(&["not installed on acme/other"]);
}

#[test]
fn a_protected_branch_is_explained() {
    let story = Story::new();
    story.forge.repo.hook(
        "update",
        "#!/bin/sh\n[ \"$1\" = refs/heads/main ] && { echo 'GH006: Protected branch update failed' >&2; exit 1; }\nexit 0\n",
    );
    let out = story.run(&["--deliver", "push"]).exits(1);
    assert_eq!(out.deliveries(), ["staging failed"]);
    out.says(&["the server refuses the push to `main`", "hook declined"]);
}

#[test]
fn a_push_goes_straight_to_the_branch() {
    let story = Story::new();
    let out = story.run(&["--deliver", "push"]).exits(0);
    assert_eq!(out.deliveries(), ["staging pushed"]);
    assert_eq!(out.json()["changeSets"][0]["branch"], "main");
    assert!(story.site("main").ends_with("/acme/shop:v1.1.0 # here\n"));
    assert_eq!(story.forge.repo.git(&["rev-list", "--count", "main"]).trim(), "2");
    assert_eq!(story.forge.pulls().len(), 0);
    assert_eq!(story.run(&["--deliver", "push"]).exits(0).deliveries(), Vec::<String>::new());
}

#[test]
fn a_lost_race_is_run_again_on_what_is_there() {
    let story = Story::new();
    // Whoever pushes first finds that somebody was faster: the hook commits to main, once.
    story.forge.repo.hook(
        "pre-receive",
        "#!/bin/sh\n[ -e raced ] && exit 0\ntouch raced\nunset GIT_QUARANTINE_PATH\n\
         new=$(git -c user.name=Eve -c user.email=e@x commit-tree -p main -m faster main^{tree})\n\
         git update-ref refs/heads/main $new\nexit 0\n",
    );
    assert_eq!(story.run(&["--deliver", "push"]).exits(0).deliveries(), ["staging pushed"]);
    assert_eq!(story.forge.repo.git(&["log", "--format=%an", "main"]), "tagalong\nEve\nAda\n");
    assert_eq!(story.registry.seen().len(), 1, "tags are listed once, however often is planned");
}

#[test]
fn the_token_is_nowhere_to_be_seen() {
    let story = Story::new();
    let all = ["run", "--repo", "acme/fleet", "-v", "-v"];
    let out = story.forge.env(story.world.bot(all)).run().exits(0);
    assert!(!out.stdout.contains(TOKEN) && !out.stderr.contains(TOKEN), "{}", out.stderr);
    let pull = &story.forge.pulls()[0];
    assert!(!pull.body.contains(TOKEN) && !pull.title.contains(TOKEN));
    let url = story.forge.url.replace("http://", &format!("http://x:{TOKEN}@")) + "/acme/fleet.git";
    let out = story.forge.env(story.world.bot(["plan", "--repo", &url])).run().exits(2);
    assert!(!out.stderr.contains(TOKEN), "{}", out.stderr);
}
