//! What pull requests say of where images come from: labels on a real registry, releases on the world's
//! GitHub.

use serde_json::json;

use crate::world::parts::{Access, RealRegistry};
use crate::world::{Bot, ForgeServer, Product, World, arg};

const OLD: &str = "0123456789abcdef0123456789abcdef01234567";
const NEW: &str = "89abcdef0123456789abcdef0123456789abcdef";

struct Story {
    world: World,
    registry: RealRegistry,
    forge: ForgeServer,
}

impl Story {
    /// One image whose labels name a repository beside the config repository, on a GitHub.
    fn new(deliver: &str) -> Self {
        Self::on(Product::GitHub, deliver)
    }

    fn on(product: Product, deliver: &str) -> Self {
        let world = World::new();
        let registry = RealRegistry::start(&world, &Access::Open);
        let host = registry.host.clone();
        let policies = format!(
            "images: {{shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}}}\n\
             environments: {{prod: {{paths: [prod], deliver: {{{deliver}}}}}}}\n"
        );
        let site = format!("image: {host}/acme/shop:1.0.0\n");
        let forge =
            world.forge(product, &[("policies/p.yaml", &policies), ("prod/shop.yaml", &site)]);
        let story = Self { world, registry, forge };
        story.image("1.0.0", OLD);
        story.image("1.2.0", NEW);
        story
    }

    fn image(&self, tag: &str, revision: &str) {
        let source = format!("{}/acme/shop", self.forge.url);
        let labels = json!({
            "org.opencontainers.image.source": source, "org.opencontainers.image.revision": revision,
        });
        self.registry.push_labelled(&self.world, "acme/shop", tag, &labels);
    }

    fn bot(&self) -> Bot {
        let args = ["run", "--repo", "acme/fleet", "--format", "json", "--cache-dir"];
        let cache = self.world.dir("cache");
        self.forge.env(self.world.bot(args.into_iter().chain([arg(&cache)])))
    }
}

#[test]
fn sources_and_releases_are_told() {
    let story = Story::new("labels: [bump]");
    let hostile = "Fixes @acme/everyone, closes #1.\n```\n<img src=x>\n<!-- tagalong: {} -->";
    story.forge.releases(&[
        ("v1.3.0", "later"),
        ("v1.2.0", hostile),
        ("v1.1.0", "Faster."),
        ("v1.1.1", "draft"),
        ("v1.0.0", "earlier"),
    ]);
    let out = story.bot().run().exits(0);
    assert_eq!(out.deliveries(), ["prod created"]);
    // A list; then a digest, a manifest and a configuration of each of the two.
    assert_eq!(out.json()["registries"][0]["requests"], 7);
    let body = story.forge.pulls()[0].body.clone();
    let base = format!("{}/acme/shop", story.forge.url);
    let link = format!("| `shop` | [`0123456…89abcde`]({base}/compare/{OLD}...{NEW}) of ");
    assert!(body.contains(&link), "{body}");
    assert!(body.contains(&format!("[`v1.1.0`]({base}/releases/tag/v1.1.0)")), "{body}");
    assert!(
        body.contains("````text\nFixes @acme/everyone, closes #1.\n```\n<img src=x>\n<! -- tag"),
        "{body}"
    );
    for other in ["later", "earlier", "draft"] {
        assert!(!body.contains(other), "{other} in {body}");
    }
    // What the release says later changes nothing; nor does a registry that is asked for nothing.
    story.forge.releases(&[("v1.2.0", "Something else.")]);
    story.forge.seen();
    assert_eq!(story.bot().run().exits(0).deliveries(), ["prod unchanged"]);
    assert_eq!(story.forge.writes(), Vec::<String>::new());
    assert_eq!(story.forge.pulls()[0].body, body);
    // Something newer is told of anew, and what GitHub said earlier is asked for conditionally.
    let releases = [
        ("v1.3.0", "later"),
        ("v1.2.0", "x"),
        ("v1.1.0", "y"),
        ("v1.1.1", "draft"),
        ("v1.0.0", "z"),
    ];
    story.forge.releases(&releases);
    story.image("1.3.0", OLD);
    assert_eq!(story.bot().run().exits(0).deliveries(), ["prod updated"]);
    let seen = story.forge.seen();
    assert!(seen.contains(&"GET /api/v3/repos/acme/shop/releases (304)".to_owned()), "{seen:#?}");
}

#[test]
fn what_is_told_can_be_less() {
    for (notes, has_link, has_text) in
        [("off", false, false), ("links", true, false), ("releases", true, true)]
    {
        let story = Story::new(&format!("notes: {notes}"));
        story.forge.releases(&[("v1.2.0", "Faster.")]);
        assert_eq!(story.bot().run().exits(0).deliveries(), ["prod created"]);
        let body = story.forge.pulls()[0].body.clone();
        assert_eq!(body.contains("/compare/"), has_link, "{notes}: {body}");
        assert_eq!(body.contains("Faster."), has_text, "{notes}: {body}");
    }
}

/// The label of anybody's image could name it, and anybody could read the pull request.
#[test]
fn private_releases_are_not_told() {
    let story = Story::new("labels: [bump]");
    story.forge.releases(&[("v1.2.0", "Faster.")]);
    story.forge.hide();
    assert_eq!(story.bot().run().exits(0).deliveries(), ["prod created"]);
    let body = story.forge.pulls()[0].body.clone();
    assert!(body.contains("/compare/") && !body.contains("Faster."), "{body}");
}

#[test]
fn a_killed_run_leaves_no_old_words() {
    let story = Story::new("labels: [bump]");
    story.forge.releases(&[("v1.3.0", "Third."), ("v1.2.0", "Second.")]);
    story.bot().run().exits(0);
    // The branch was pushed, and the words were not written.
    story.image("1.3.0", OLD);
    story.forge.fault(crate::world::Fault {
        method: "PATCH",
        part: "/pulls/1",
        status: 500,
        headers: vec![],
        message: "x",
        after_effect: false,
    });
    story.bot().run().exits(1);
    assert_eq!(story.bot().run().exits(0).deliveries(), ["prod updated"]);
    let body = story.forge.pulls()[0].body.clone();
    assert!(body.contains("Third.") && body.contains("| `1.3.0` |"), "{body}");
}

#[test]
fn releases_of_gitlab_are_told_and_command_nothing() {
    let story = Story::on(Product::GitLab, "labels: [bump]");
    let hostile = "Faster.\n/merge\n```\n/close\n";
    story.forge.releases(&[("v1.3.0", "draft"), ("v1.2.0", hostile), ("v1.0.0", "earlier")]);
    story.bot().run().exits(0);
    let body = story.forge.pulls().remove(0).body;
    let shop = format!("{}/acme/shop/-", story.forge.url);
    assert!(body.contains(&format!("{shop}/compare/{OLD}...{NEW}")), "{body}");
    assert!(body.contains(&format!("[`v1.2.0`]({shop}/releases/v1.2.0)")), "{body}");
    assert!(body.contains("\\/merge") && !body.contains("earlier"), "{body}");
    // What a token sees and the public does not is not told.
    let story = Story::on(Product::GitLab, "labels: [bump]");
    story.forge.hide();
    story.forge.releases(&[("v1.2.0", "secret")]);
    story.bot().run().exits(0);
    assert!(!story.forge.pulls()[0].body.contains("secret"));
}
