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
        (bomb + "images: *a39\n", "aliases multiply"),
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
