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

/// The reference: every key is in it, and every example of it is valid.
#[test]
fn the_reference_knows_every_key_and_its_examples_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/policies.md")).unwrap();
    for file in ["policies", "settings"] {
        let schema =
            std::fs::read_to_string(root.join(format!("docs/schema/{file}.json"))).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        let definitions = schema["$defs"].as_object().unwrap().values();
        for object in definitions.chain([&schema]) {
            for key in object["properties"].as_object().into_iter().flat_map(|keys| keys.keys()) {
                let written = [format!("{key}:"), format!("`{key}`")];
                assert!(written.iter().any(|key| text.contains(key.as_str())), "{file}: {key}");
            }
        }
    }
    let mut count = 0;
    for block in text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let world = World::new();
        let (name, more) = match block.split(':').next().unwrap() {
            "images" => ("policies/p.yaml", ""),
            "environments" => {
                ("policies/p.yaml", "images: {shop: {image: shop, tags: {fixed: a}}}\n")
            }
            "policies" => ("tagalong.yaml", ""),
            _ => continue,
        };
        let text = format!("{block}{more}");
        let key = rcgen::KeyPair::generate().unwrap().public_key_pem();
        let policy = "images: {other: {image: other, tags: {fixed: a}}}\n";
        let files = [(name, &*text), ("policies/o.yaml", policy), ("keys/shop.pub", &*key)];
        let tree = world.tree(&files);
        world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
        count += 1;
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn the_example_of_promotion_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/promotion.md")).unwrap();
    let block = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let world = World::new();
    let tree = world.tree(&[("policies/p.yaml", block)]);
    world.bot(["check", "--repo", arg(&tree)]).run().exits(0).says(&["2 policies, 4 environments"]);
}
