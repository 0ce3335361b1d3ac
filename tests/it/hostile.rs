//! Registries and policies that mean harm: an answer or a reported refusal, never a panic.

use crate::world::{Lie, World, arg};

const ORDERS: [&str; 9] = [
    "semver: '*'",
    "semver: '*', prereleases: true, variant: keep",
    "semver: major",
    "calver: YYYY.0M.0D",
    "numerical: asc",
    "alphabetical: desc",
    "newest: pushed",
    "match: '(a|a)*(b|b)*$', alphabetical: asc",
    "match: '(?<n>([0-9]{1,50}){1,10})', extract: '$n', numerical: desc",
];

#[test]
fn tags_that_mean_harm_are_dropped_or_ordered() {
    let world = World::new();
    let registry = world.registry();
    let long = "9".repeat(10_000);
    let nines = "9".repeat(120);
    let tags = serde_json::json!([
        "1.0.0",
        "1.1.0",
        "\u{1f600}",
        "a\nb",
        "\u{202e}1.2.0",
        "",
        " ",
        "../..",
        "-rf",
        "${{x}}",
        long,
        nines,
        format!("{nines}.0.0"),
        "18446744073709551616.0.0",
        "1.0.0-18446744073709551616",
        "9999.12.31",
        "9999.99.99",
        "1e999",
        "NaN",
        "0x1p4",
        "00000000000000000000.0.0",
        "v",
        "vv1.0.0",
        "1.0.0-",
        "1..0",
        "_",
        "<script>",
    ]);
    let answer = serde_json::json!({"name": "acme/shop", "tags": tags}).to_string();
    registry.lies("/tags/list", [Lie::json(&answer)]);
    for order in ORDERS {
        let policy = format!(
            "images: {{shop: {{image: '{}/acme/shop', tags: {{{order}}}}}}}\n",
            registry.host
        );
        let site = format!("image: {}/acme/shop:1.0.0\n", registry.host);
        let tree = world.tree(&[("policies/p.yaml", &policy), ("a.yaml", &site)]);
        let out = world.bot(["plan", "--repo", arg(&tree), "--format", "json"]).run();
        assert!(matches!(out.code, 0 | 3), "{order}: {}", out.stderr);
        let json = out.json();
        let to = json["decisions"][0]["to"].as_str().unwrap_or("1.0.0");
        assert!(to.len() <= 128 && to.is_ascii(), "{order}: {to}");
        let shown = world.bot(["explain", "shop", "--repo", arg(&tree)]).run();
        assert!(!shown.stdout.contains(['\u{202e}', '\u{1f600}']), "{order}");
    }
    registry.lies("/tags/list", [Lie::json(r#"{"tags": null}"#)]);
    let tree = world.dir("tree");
    let out = world.bot(["plan", "--repo", arg(&tree), "--format", "json"]).run().exits(3);
    assert_eq!(out.decisions(), ["shop undecided - empty-listing"]);
}

#[test]
fn a_hundred_thousand_tags_are_ordered_by_any_rule() {
    let world = World::new();
    let registry = world.registry();
    let tags: Vec<String> =
        (0..100_000).map(|n| format!("{}.{}.{}", n / 10_000, n / 100 % 100, n % 100)).collect();
    registry.push("acme/shop", &tags.iter().map(String::as_str).collect::<Vec<_>>());
    for order in ORDERS {
        let policy = format!(
            "images: {{shop: {{image: '{}/acme/shop', tags: {{{order}}}}}}}\n",
            registry.host
        );
        let site = format!("image: {}/acme/shop:1.0.0\n", registry.host);
        let tree = world.tree(&[("policies/p.yaml", &policy), ("a.yaml", &site)]);
        let out = world.bot(["plan", "--repo", arg(&tree), "--format", "json"]).run();
        assert!(matches!(out.code, 0 | 3), "{order}: {}", out.stderr);
    }
}

#[test]
fn policies_that_mean_harm_are_refused_at_once() {
    let world = World::new();
    let mut bomb = "a: &a0 [x, x]\n".to_owned();
    for level in 1..40 {
        bomb += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    }
    let nested = format!("images: {}1{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let cases = [
        (bomb + "images: {shop: {image: *a39}}\n", "aliases multiply"),
        (nested, "not YAML"),
        (one("match: '(a{1000}){1000}', semver: '*'", ""), "too large"),
        (
            one(&format!("match: '{}', semver: '*'", "a".repeat(2_000)), ""),
            "longer than 1024 bytes",
        ),
        (one("match: '(?=a)', semver: '*'", ""), "not a regular expression"),
        (one("semver: '*'", ", minAge: 99999999999999999999d"), "not a duration"),
        (one("semver: '*'", ", platforms: ['linux/amd64; rm']"), "is not a platform"),
        (one("semver: '*'", ", verify: {cosign: {key: ../../etc/passwd}}"), "not a path"),
        (one("semver: '*'", ", verify: {cosign: {key: a, issuer: b}}"), "both given"),
        (one("semver: '*'", ", verify: {cosign: {}}"), "whose signature"),
        (one("calver: ''", ""), "needs a year"),
        (one("calver: YYYY.QQ", ""), "`QQ` is not a part"),
        (one("variant: keep, fixed: a", ""), "needs `semver`"),
        (one("semver: '*', calver: YYYY", ""), "more than one order"),
    ];
    for (text, want) in cases {
        let tree = world.tree(&[("policies/p.yaml", &text)]);
        world.bot(["check", "--repo", arg(&tree)]).run().exits(2).says(&[want]);
    }
}

fn one(tags: &str, more: &str) -> String {
    format!("images: {{p: {{image: nginx, tags: {{{tags}}}{more}}}}}\n")
}

#[test]
fn an_age_survives_every_time_that_can_be_given() {
    let world = World::new();
    let digest = format!("sha256:{}", "a".repeat(64));
    for pushed in ["9999-12-30T00:00:00Z", "-009999-01-02T01:59:59Z", "2026-11-01T00:00:00Z"] {
        let catalog =
            format!("nginx: [1.0.0, {{tag: 1.1.0, pushed: '{pushed}', digest: '{digest}'}}]\n");
        let catalog = world.file("catalog.yaml", &catalog);
        let tree = world.tree(&[
            ("policies/p.yaml", &one("semver: '*'", ", minAge: 5000w")),
            ("a.yaml", "image: nginx:1.0.0\n"),
        ]);
        for now in ["9999-12-30T22:00:00Z", "-009999-01-02T01:59:59Z", "2026-11-21T00:00:00Z"] {
            let args =
                ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
            let now = format!("--now={now}");
            let out = world.bot(args.into_iter().chain([&*now])).run().exits(0);
            assert_eq!(out.decisions().len(), 1, "{pushed} {now}");
        }
    }
}

#[test]
fn what_files_say_is_not_obeyed_by_a_terminal() {
    let world = World::new();
    let policies = "images: {shop: {image: r.io/shop, tags: {semver: '*'}}}\n\
                    environments: {a: {paths: [.], holds: [{until: 2099-01-01, reason: \"x\\e[31m\\n::error::boo\\u202e\"}]}}\n";
    let flux = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\n\
                metadata: {name: \"a\\e[31m\\n::error::b\", namespace: c}\nspec: {image: x}\n";
    let files =
        [("policies/p.yaml", policies), ("f.yaml", flux), ("a.yaml", "image: r.io/shop:1.0.0\n")];
    let tree = world.tree(&files);
    let catalog = world.file("catalog.yaml", "r.io/shop: [1.0.0, 1.1.0]\n");
    let out = world.bot(["plan", "--repo", arg(&tree), "--catalog", arg(&catalog)]).run().exits(0);
    let all = out.stdout + &out.stderr;
    assert!(all.contains("held until") && all.contains("is not the name of"), "{all}");
    assert!(!all.contains(['\u{1b}', '\u{202e}']) && !all.contains("\n::error"), "{all:?}");
}

#[test]
fn runs_that_push_at_the_same_time_lose_nothing() {
    const RUNS: usize = 8;
    let world = World::new();
    let mut files = Vec::new();
    for n in 0..RUNS {
        files.push((
            format!("policies/{n}.yaml"),
            format!(
                "images: {{i{n}: {{image: r.io/i{n}, tags: {{semver: '*'}}}}}}\n\
                 environments: {{e{n}: {{paths: [e{n}], deliver: {{via: push}}}}}}\n"
            ),
        ));
        files.push((format!("e{n}/a.yaml"), format!("image: r.io/i{n}:1.0.0\n")));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    let repo = crate::world::Repo::create(&world.dir("git"), "fleet", &files);
    let lines: Vec<String> = (0..RUNS).map(|n| format!("r.io/i{n}: [1.0.0, 1.1.0]\n")).collect();
    let catalog = lines.concat();
    let catalog = world.file("catalog.yaml", &catalog);
    std::thread::scope(|scope| {
        for n in 0..RUNS {
            let (repo, catalog, world) = (&repo, &catalog, &world);
            scope.spawn(move || {
                let environment = format!("e{n}");
                let args = ["run", "--repo", arg(&repo.bare), "--env", &environment];
                let more = ["--catalog", arg(catalog), "--format", "json"];
                let out = world.bot(args.into_iter().chain(more)).run();
                assert!(matches!(out.code, 0 | 1), "{}", out.stderr);
                // What is said to be there is there.
                if out.code == 0 {
                    let shown = repo.show("main", &format!("e{n}/a.yaml"));
                    assert!(shown.ends_with(":1.1.0\n"), "{n}: {shown}");
                }
            });
        }
    });
    let log = repo.git(&["log", "--format=%s", "main"]);
    let moved =
        (0..RUNS).filter(|n| repo.show("main", &format!("e{n}/a.yaml")).ends_with(":1.1.0\n"));
    assert_eq!(log.lines().count(), moved.count() + 1, "{log}");
}

#[test]
fn every_branch_is_one_that_git_accepts() {
    use tagalong::changeset::Bundle;
    use tagalong::policy::{EnvironmentId, Id as _, PolicyFile, PolicyId, read};
    let names = [
        "prod",
        "Prod",
        "eu/west",
        "..",
        "a..b",
        "a.lock",
        "-rf",
        "@",
        "@{-1}",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?*[",
        "\\",
        "é",
        "日本",
        "\u{202e}",
        "$(x)",
        "`x`",
        "a\nb",
        "refs/heads/main",
        "HEAD",
        "x.",
        "/",
        "//",
        "tagalong",
    ];
    let long = "x".repeat(300);
    let mut seen = std::collections::BTreeMap::new();
    for name in names.into_iter().chain([&*long]) {
        for group in ["environment".to_owned(), format!("{{{}: ['*']}}", serde_json::json!(name))] {
            let text = format!(
                "images: {{shop: {{image: ghcr.io/acme/shop, tags: {{semver: '*'}}}}}}\n\
                 environments: {{{}: {{paths: [.], deliver: {{group: {group}}}}}}}\n",
                serde_json::json!(name)
            );
            let (set, _) = read(&[PolicyFile::new("p.yaml", &text)]);
            if set.environments.is_empty() || set.policies.is_empty() {
                continue;
            }
            let branch = Bundle::of(&set, EnvironmentId::at(0), PolicyId::at(0)).branch(&set);
            let plain = |c: char| c.is_ascii_alphanumeric() || "/-".contains(c);
            assert!(branch.len() <= 80 && branch.chars().all(plain), "{name:?}: {branch}");
            let judged = std::process::Command::new("git")
                .args(["check-ref-format", "--branch", &branch])
                .output()
                .unwrap();
            assert!(judged.status.success(), "{name:?}: {branch}");
            if let Some(other) = seen.insert(branch.clone(), (name.to_owned(), group.clone())) {
                panic!("{branch} is of {other:?} and of {name:?} {group}");
            }
        }
    }
    assert!(seen.len() > 10, "{seen:#?}");
}
