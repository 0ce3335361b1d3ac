//! One file and what a run makes of it: tables of small inputs, each with what is right.

use crate::world::{World, arg};

pub const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
pub const HA: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const HB: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// One file and what a run makes of it.
pub struct Row {
    /// The policies, below `images`.
    pub policies: &'static str,
    /// What registries list.
    pub catalog: &'static str,
    pub path: &'static str,
    pub before: &'static str,
    /// The same as `before` where the file stays.
    pub after: &'static str,
    /// What the run says, each in one line.
    pub says: &'static [&'static str],
}

/// Texts in which `@A`, `@B` stand for digests, and `#A`, `#B` for their digits.
pub fn filled(text: &str) -> String {
    text.replace("@A", A).replace("@B", B).replace("#A", HA).replace("#B", HB)
}

pub fn hold(rows: &[Row]) {
    for row in rows {
        let world = World::new();
        let policies = format!("images:\n{}", row.policies);
        let before = filled(row.before);
        let tree = world.tree(&[("policies/p.yaml", &*policies), (row.path, &*before)]);
        let catalog = world.file("catalog.yaml", &filled(row.catalog));
        let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
        let more = ["--deliver", "worktree", "--now", "2026-11-28T00:00:00Z"];
        let out = world.bot(args.into_iter().chain(more)).run();
        let got = std::fs::read_to_string(tree.join(row.path)).unwrap();
        assert_eq!(got, filled(row.after), "{}\n{}\n{}", row.policies, out.stdout, out.stderr);
        for words in row.says {
            assert!(out.stdout.contains(words), "{words}\n{}\n{}", row.before, out.stdout);
        }
        assert_eq!(out.code, 0, "{}\n{}", row.before, out.stdout);
    }
}

pub const SHOP: &str = "  shop: {image: r.io/acme/shop, tags: {semver: minor}}\n";
pub const PINNED: &str = "  shop: {image: r.io/acme/shop, tags: {semver: minor}, digest: pin}\n";
pub const TAGS: &str =
    "r.io/acme/shop: [{tag: v1.0.0, digest: '@A'}, {tag: v1.1.0, digest: '@B'}]\n";

/// A row for the policy `shop`.
pub fn shop(before: &'static str, after: &'static str, says: &'static [&'static str]) -> Row {
    Row { policies: SHOP, catalog: TAGS, path: "values.yaml", before, after, says }
}

pub fn stays(before: &'static str, says: &'static [&'static str]) -> Row {
    shop(before, before, says)
}
