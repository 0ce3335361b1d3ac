//! The published schemas: up to date, and true of what is printed.

use std::path::Path;

use crate::world::{World, arg};

#[test]
fn published_files_are_what_the_binary_prints() {
    let world = World::new();
    for which in ["policies", "settings", "registries", "plan", "explain", "status"] {
        let printed = world.bot(["schema", which]).run().exits(0).stdout;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schema/{which}.json"));
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(printed == published, "{} is out of date: run scripts/generate", path.display());
    }
}

#[test]
fn the_json_of_plan_and_run_follows_the_published_schema() {
    let schema = include_str!("../../docs/schema/plan.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let world = World::new();
    let digest = format!("sha256:{}", "a".repeat(64));
    let tree = world.tree(&[
        (
            "policies/a.yaml",
            "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '1.x'}, digest: pin}\n  \
             web: {image: ghcr.io/acme/web, tags: {semver: '1.x'}}\n  none: {image: acme/none, tags: {fixed: a}}\n",
        ),
        ("a.yaml", "image: ghcr.io/acme/shop:v1.0.0\n---\nimage: ghcr.io/acme/web:v9.0.0\n---\nimage: ghcr.io/acme/web\n"),
    ]);
    let catalog = world.file(
        "catalog.yaml",
        &format!("ghcr.io/acme/shop: [v1.0.0, {{tag: v1.1.0, digest: '{digest}'}}]\nghcr.io/acme/web: [v1.0.0, bad tag]\n"),
    );
    for command in [vec!["plan"], vec!["run", "--deliver", "worktree"]] {
        let rest = ["--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
        let json = world.bot(command.into_iter().chain(rest)).run().exits(0).json();
        let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{json:#}");
        assert!(
            json["decisions"].as_array().unwrap().len() == 2
                && json["diagnostics"].as_array().unwrap().len() == 3,
            "{json:#}"
        );
        assert_eq!(json["edits"][0]["new"], format!("v1.1.0@{digest}"));
        let keys = ["version", "decisions", "edits", "changeSets", "diagnostics"];
        assert!(keys.iter().all(|key| !json[key].is_null()));
    }
}

#[test]
fn the_schema_refuses_what_is_not_the_format() {
    let schema = include_str!("../../docs/schema/plan.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    assert!(!validator.is_valid(&serde_json::json!({"version": 1, "decisions": [{"image": 1}]})));
}

#[test]
fn an_explanation_follows_its_schema_and_says_what_an_expert_would() {
    let schema = include_str!("../../docs/schema/explain.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let world = World::new();
    let tree = world.tree(&[
        ("policies/a.yaml", "images: {shop: {image: ghcr.io/acme/shop, tags: {semver: '1.x'}}}\n"),
        ("a.yaml", "image: ghcr.io/acme/shop:v1.0.0\n"),
    ]);
    let catalog = world.file(
        "c.yaml",
        "ghcr.io/acme/shop: [v1.0.0, v1.1.0, v2.0.0, v1.2.0-rc.1, '1.2', latest]\n",
    );
    for name in ["shop", "ghcr.io/acme/shop"] {
        let args = ["explain", name, "--repo", arg(&tree), "--catalog", arg(&catalog)];
        let json = world.bot(args.into_iter().chain(["--format", "json"])).run().exits(0).json();
        let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{json:#}");
        assert_eq!(json["policies"][0]["explanation"]["chosen"], "v1.1.0");
        let parts = [
            "6  listed",
            "2  in range",
            "chosen  v1.1.0",
            "outside `1.x`",
            "prerelease",
            "fewer than three",
            "update",
        ];
        world.bot(args).run().exits(0).says(&parts);
    }
    let args = ["explain", "shap", "--repo", arg(&tree), "--catalog", arg(&catalog)];
    world.bot(args).run().exits(2).says(&["did you mean `shop`?"]);
}

/// The page of codes is made of what the code and the schema say of themselves.
#[test]
fn the_page_of_codes_is_up_to_date() {
    let mut page =
        "# Codes\n\nCodes are stable; messages are not. `scripts/generate` writes this page.\n\n\
                    ## Diagnostics\n\n| code | meaning |\n|---|---|\n"
            .to_owned();
    for (code, meaning) in tagalong::diagnostic::Code::ALL {
        page += &format!("| `{code}` | {} |\n", meaning.trim());
    }
    page += "\n## Reasons of decisions\n\n| code | meaning |\n|---|---|\n";
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../docs/schema/plan.json")).unwrap();
    for reason in schema["$defs"]["ReasonCode"]["oneOf"].as_array().unwrap() {
        let (code, meaning) = (&reason["const"], &reason["description"]);
        page += &format!(
            "| `{}` | {} |\n",
            code.as_str().unwrap(),
            meaning.as_str().unwrap().replace('\n', " ")
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md");
    if std::env::var("TAGALONG_GENERATE").is_ok() {
        std::fs::write(&path, &page).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == published, "docs/diagnostics.md is out of date: run scripts/generate");
}
