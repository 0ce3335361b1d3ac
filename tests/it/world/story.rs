//! What most stories begin with: a registry, a forge, and a time that passes when the story says so.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};

use super::{ForgeServer, Output, Product, Registry, World};

/// When stories begin.
const START: &str = "2027-03-01T12:00:00Z";

/// A registry, and `acme/fleet` on a forge.
pub struct Story {
    pub world: World,
    pub registry: Registry,
    pub forge: ForgeServer,
    pub now: Cell<Timestamp>,
}

impl Story {
    /// The first files of `acme/fleet` on a GitHub, as path and text, are made when the registry's address is known.
    pub fn of(files: impl FnOnce(&Registry) -> Vec<(String, String)>) -> Self {
        Self::on(Product::GitHub, files)
    }

    /// The same on a forge of a product.
    pub fn on(product: Product, files: impl FnOnce(&Registry) -> Vec<(String, String)>) -> Self {
        let world = World::new();
        let registry = world.registry();
        let files = files(&registry);
        let files: Vec<_> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        let forge = world.forge(product, &files);
        let story = Self { world, registry, forge, now: Cell::new(START.parse().unwrap()) };
        story.later(0);
        story
    }

    /// One image, which runs as v1.0.0.
    pub fn shop() -> Self {
        Self::of(|registry| {
            registry.push("acme/shop", &["v1.0.0"]);
            shop(&registry.host)
        })
    }

    /// Time passes.
    pub fn later(&self, hours: i64) {
        self.now.set(self.now.get() + SignedDuration::from_hours(hours));
        self.forge.repo.it_is(self.now.get());
    }

    /// The bot on `acme/fleet`.
    pub fn bot(&self, args: &[&str]) -> Output {
        let now = self.now.get().to_string();
        let all = [args, &["--repo", "acme/fleet", "--now", &now]].concat();
        self.forge.env(self.world.bot(all)).run()
    }

    pub fn run(&self) -> Output {
        self.bot(&["run", "--format", "json"])
    }
}

/// The policy and the manifest of one image of a registry, `acme/shop`.
pub fn shop(host: &str) -> Vec<(String, String)> {
    let policy = format!("images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}\n");
    let site = format!("image: {host}/acme/shop:v1.0.0\n");
    vec![("policies/p.yaml".to_owned(), policy), ("shop.yaml".to_owned(), site)]
}
