//! Whatever happens on the way, the same is there in the end: one branch and one pull request for each
//! bundle, every edit once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::lifecycle::{Fleet, IMAGES};
use crate::world::{Product, World};

/// Open pull requests by branch, with all that they say, and what their branches hold.
type State = BTreeMap<String, (String, String, Vec<String>, Vec<String>, String)>;

fn state(fleet: &Fleet) -> State {
    let open = fleet.forge.pulls().into_iter().filter(|pull| pull.state == "open");
    let mut state = State::new();
    for pull in open {
        let tree = fleet.forge.repo.git(&["rev-parse", &format!("{}^{{tree}}", pull.head)]);
        let (head, mut labels) = (pull.head.clone(), pull.labels);
        labels.sort();
        let told = (pull.title, pull.body, labels, pull.reviewers, tree);
        assert!(state.insert(head, told).is_none(), "two pull requests for {}", pull.head);
    }
    let branches =
        fleet.forge.repo.git(&["branch", "--format=%(refname:short)", "--list", "tagalong/*"]);
    let branches: BTreeSet<&str> = branches.lines().collect();
    assert_eq!(branches, state.keys().map(String::as_str).collect(), "branches and pull requests");
    state
}

/// Two bots at once, GitHub slow and failing at random, then one in peace. `TAGALONG_SEEDS` says how many
/// seeds.
#[test]
fn two_bots_at_once_are_as_good_as_one() {
    two_bots_on(Product::GitHub);
}

#[test]
fn two_bots_at_once_are_as_good_as_one_on_gitlab() {
    two_bots_on(Product::GitLab);
}

#[test]
fn two_bots_at_once_are_as_good_as_one_on_forgejo() {
    two_bots_on(Product::Forgejo);
}

fn two_bots_on(product: Product) {
    let seeds = std::env::var("TAGALONG_SEEDS").map_or(12, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let group = ["environment", "image", "all"][usize::try_from(seed % 3).unwrap()];
        let fleet = Fleet::on(product, &format!("group: {group}, labels: [bump]"));
        // GitLab makes no commits for us.
        if seed % 4 == 3 && product == Product::GitHub {
            fleet.forge.repo.commit("main", "Settings", &[("tagalong.yaml", "sign: github\n")]);
        }
        for tags in [&["v1.1.0"], &["v1.2.0"]] {
            for image in IMAGES {
                fleet.registry.push(&format!("acme/{image}"), tags);
            }
            fleet.forge.chaos(Some(seed));
            std::thread::scope(|scope| {
                let bots = [fleet.bot(), fleet.bot()].map(|bot| scope.spawn(|| bot.run()));
                for bot in bots {
                    bot.join().unwrap();
                }
            });
            fleet.forge.chaos(None);
            fleet.whole().exits(0);
            let found = state(&fleet);
            let want = match group {
                "environment" => 2,
                "image" => 6,
                _ => 1,
            };
            assert_eq!(found.len(), want, "seed {seed}: {found:#?}");
            assert_eq!(fleet.forge.pulls().len(), want, "seed {seed}: nothing was opened twice");
            fleet.forge.seen();
            fleet.whole().exits(0);
            assert_eq!(fleet.forge.writes(), Vec::<String>::new(), "seed {seed}");
        }
        for pull in fleet.forge.pulls() {
            assert!(fleet.forge.merge(pull.number), "seed {seed}");
        }
        for image in IMAGES {
            for environment in ["staging", "prod"] {
                let path = format!("{environment}/{image}.yaml");
                assert_eq!(fleet.deployed("main", &path), "v1.2.0", "seed {seed}");
            }
        }
    }
}

/// Starts a bot and kills it at one of its requests.
fn kill(fleet: &Fleet, step: usize, after_effect: bool) {
    let (arrives, go_on) = fleet.forge.ambush(step, after_effect);
    let mut bot = fleet.bot().start();
    arrives.recv_timeout(Duration::from_mins(1)).unwrap();
    bot.kill().unwrap();
    bot.wait().unwrap();
    drop(go_on);
}

/// A bot that is killed at any of its requests to GitHub, before and after its effect; then one in peace.
#[test]
fn a_bot_that_is_killed_leaves_nothing_that_the_next_one_cannot_finish() {
    killed_on(Product::GitHub);
}

#[test]
fn a_bot_that_is_killed_leaves_nothing_that_the_next_one_cannot_finish_on_gitlab() {
    killed_on(Product::GitLab);
}

#[test]
fn a_bot_that_is_killed_leaves_nothing_that_the_next_one_cannot_finish_on_forgejo() {
    killed_on(Product::Forgejo);
}

fn killed_on(product: Product) {
    const DELIVER: &str = "group: image, labels: [bump], reviewers: [ada]";
    let story = || {
        let fleet = Fleet::on(product, DELIVER);
        fleet.deployed("main", "staging/api.yaml");
        fleet
    };
    let fleet = story();
    fleet.whole().exits(0);
    let requests = fleet.forge.seen().len();
    let without_hosts = |fleet: &Fleet| {
        let state = format!("{:#?}", state(fleet)).replace(&fleet.registry.host, "HOST");
        // Objects hold the registry's port.
        let is_tree = |line: &&str| line.trim().len() != 45;
        state.lines().filter(is_tree).fold(String::new(), |mut all, line| {
            writeln!(all, "{}", line.split("\\\"change\\\"").next().unwrap()).unwrap();
            all
        })
    };
    let want = without_hosts(&fleet);
    for step in 0..requests {
        for after_effect in [false, true] {
            let fleet = story();
            kill(&fleet, step, after_effect);
            fleet.whole().exits(0);
            assert_eq!(without_hosts(&fleet), want, "killed at request {step}, {after_effect}");
            assert_eq!(fleet.forge.pulls().len(), 6, "killed at request {step}, {after_effect}");
        }
    }
}

/// Somebody merges after the base was read, and before GitHub is asked what there is.
#[test]
fn a_merge_at_the_wrong_moment_is_no_revert() {
    let fleet = Fleet::new("group: all");
    fleet.whole().exits(0);
    fleet.forge.seen();
    fleet.whole().exits(0);
    let asks = |seen: &String| seen.contains("graphql");
    let step = fleet.forge.seen().iter().position(asks).unwrap();
    let (arrives, go_on) = fleet.forge.ambush(step, false);
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| fleet.whole());
        arrives.recv_timeout(Duration::from_mins(1)).unwrap();
        assert!(fleet.forge.merge(1));
        drop(go_on);
        let out = bot.join().unwrap().exits(0);
        assert!(!out.stdout.contains("reverted"), "{}", out.stdout);
    });
    assert_eq!(fleet.forge.pulls().len(), 1, "nothing is proposed that was merged");
}

/// The same for merges: what was merged is merged once, and the rest by the next run.
#[test]
fn a_bot_that_is_killed_while_it_merges_merges_the_rest_later() {
    let fleet_with = || {
        let fleet = Fleet::new("group: image, autoMerge: bot");
        fleet.whole().exits(0);
        (1..=6).for_each(|number| fleet.checks(number, &[("test", Some("SUCCESS"))]));
        fleet.forge.seen();
        fleet
    };
    let fleet = fleet_with();
    fleet.whole().exits(0);
    let requests = fleet.forge.seen().len();
    for step in (0..requests).step_by(2) {
        let fleet = fleet_with();
        kill(&fleet, step, true);
        fleet.whole().exits(0);
        assert_eq!(fleet.open(), Vec::<String>::new(), "killed at request {step}");
        let merges = fleet.forge.repo.git(&["rev-list", "--count", "main"]);
        assert_eq!(merges.trim(), "7", "killed at request {step}");
    }
}

/// A fleet of so many images, one environment.
fn large(
    product: Product,
    count: usize,
    deliver: &str,
    deployed: &str,
) -> (World, crate::world::Registry, crate::world::ForgeServer) {
    let world = World::new();
    let registry = world.registry();
    let mut policies = "images:\n".to_owned();
    let mut files = Vec::new();
    for n in 0..count {
        registry.push(&format!("acme/app-{n:03}"), &["v1.0.0", "v1.1.0"]);
        let image = format!("{}/acme/app-{n:03}", registry.host);
        writeln!(policies, "  app-{n:03}: {{image: {image}, tags: {{semver: '1.x'}}}}").unwrap();
        files.push((format!("fleet/{n:03}.yaml"), format!("image: {image}:{deployed}\n")));
    }
    write!(policies, "environments:\n  fleet: {{paths: [fleet], deliver: {{{deliver}}}}}\n")
        .unwrap();
    files.push(("policies/p.yaml".to_owned(), policies));
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let forge = world.forge(product, &files);
    (world, registry, forge)
}

/// Requests to the API, and to git without the challenge of its first one.
fn requests(github: &crate::world::ForgeServer) -> (usize, usize) {
    let seen = github.seen();
    let (api, git): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.contains("/api/"));
    (api.len(), git.iter().filter(|seen| !seen.contains("challenged")).count())
}

#[test]
fn a_hundred_and_sixteen_pull_requests_are_opened_and_merged_in_one_run_each() {
    large_on(Product::GitHub, [3 * 116 + 10, 8, 3 * 116 + 10]);
}

/// GitLab tells checks by the commit, and a merge is looked at once more before it is sent.
#[test]
fn a_hundred_and_sixteen_merge_requests_are_opened_and_merged_in_one_run_each() {
    large_on(Product::GitLab, [3 * 116 + 10, 116 + 8, 8 * 116 + 10]);
}

/// Forgejo lists what is in a repository, and says of each pull request what became of it.
#[test]
fn a_hundred_and_sixteen_pull_requests_are_opened_and_merged_in_one_run_each_on_forgejo() {
    large_on(Product::Forgejo, [3 * 116 + 20, 4 * 116 + 20, 12 * 116 + 20]);
}

fn large_on(product: Product, most: [usize; 3]) {
    let [opening, nothing, merging] = most;
    let (world, _registry, github) = large(product, 116, "group: image, autoMerge: bot", "v1.0.0");
    let run = || {
        let bot = world.bot(["run", "--repo", "acme/fleet", "--format", "json"]);
        github.env(bot).run().exits(0).deliveries()
    };
    let all = |outcome: &str| vec![format!("fleet {outcome}"); 116];
    assert_eq!(run(), all("created"));
    let (api, git) = requests(&github);
    assert!(api <= opening && git <= 6, "{api} and {git} requests");
    assert_eq!(run(), all("unchanged"));
    let (api, git) = requests(&github);
    assert!(api <= nothing && git <= 2, "{api} and {git} requests");
    for number in 1..=116 {
        let check = serde_json::json!({"name": "test", "conclusion": "SUCCESS"});
        // Otherwise git is asked about each of them after each merge.
        github.edit(number, |pull| (pull.checks, pull.state_status) = (vec![check], Some("CLEAN")));
    }
    assert_eq!(run(), all("merged"));
    let (api, git) = requests(&github);
    assert!(api <= merging && git <= 6, "{api} and {git} requests");
}

#[test]
fn five_hundred_images_with_nothing_new_cost_few_calls() {
    let (world, _registry, github) =
        large(Product::GitHub, 500, "group: image, autoMerge: bot", "v1.1.0");
    let bot = world.bot(["run", "--repo", "acme/fleet", "--format", "json"]);
    assert_eq!(github.env(bot).run().exits(0).deliveries(), Vec::<String>::new());
    let (api, git) = requests(&github);
    assert!(api <= 10 && git <= 2, "{api} and {git} requests");
}
