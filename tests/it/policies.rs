//! The examples in `policies/`: each is loaded and planned, so that none can rot.

use std::path::Path;

use crate::world::{World, arg};

#[test]
fn every_example_is_checked_and_planned() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        count += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let world = World::new();
        // Each example says at its end what is deployed, what is listed, and what is chosen.
        let section = |name: &str| {
            let marker = format!("# {name}: ");
            let line = text.lines().find_map(|line| line.strip_prefix(&marker));
            line.unwrap_or_else(|| panic!("{} has no `{marker}`", path.display()))
        };
        let site = format!("image: {}\n", section("deployed"));
        let tree =
            world.tree(&[("policies/example.yaml", &text), ("clusters/staging/a.yaml", &site)]);
        let catalog = world.file("catalog.yaml", section("catalog"));
        world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
        let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
        let json = world.bot(args).run().exits(0).json();
        assert_eq!(json["edits"][0]["new"], section("written"), "{}: {json:#}", path.display());
    }
    assert!(count >= 5, "{count}");
}
