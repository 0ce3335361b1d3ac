//! Bad input: every problem at once, with its place, and the documented exit codes.

use crate::world::{World, arg};

const CATALOG: &str = "ghcr.io/acme/shop: [v1.0.0, v1.1.0]\n";
const POLICY: &str = "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '1.x'}}\n";

#[test]
fn every_problem_of_every_file_is_shown_with_its_line() {
    let world = World::new();
    let tree = world.tree(&[("tagalong.yaml", "polices: []\n"), ("policies/a.yaml", POLICY)]);
    let out = world.bot(["check", "--repo", arg(&tree)]).run().exits(2);
    out.says(&[
        "tagalong.yaml:1:1",
        "unknown key `polices`",
        "did you mean `policies`?",
        "1 problem to solve",
    ]);

    let world = World::new();
    let tree = world.tree(&[
        ("policies/a.yaml", "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: '>>1'}}\n"),
        (
            "policies/b.yaml",
            "images:\n  shop: {image: nginx, tags: {fixed: a}}\nenvironments:\n  e: {paths: []}\n",
        ),
        ("policies/c.yaml", "images: [\n"),
    ]);
    let out = world.bot(["plan", "--repo", arg(&tree)]).run().exits(2);
    let parts = [
        "policies/a.yaml:2:51",
        "error[policy.invalid-range]",
        "as in `>=1.2 <3`",
        "policies/b.yaml:2:3",
        "policy `shop` is declared twice",
        "the other one is at policies/a.yaml:2",
        "policies/b.yaml:4:14",
        "environment `e` has no paths",
        "policies/c.yaml",
        "this is not YAML",
        "4 problems to solve",
    ];
    out.says(&parts);
}

#[test]
fn problems_are_also_json() {
    let world = World::new();
    let tree = world.tree(&[("policies/a.yaml", "images:\n  shop: {imag: x, tags: {fixed: a}}\n")]);
    let out = world.bot(["plan", "--repo", arg(&tree), "--format", "json"]).run().exits(2);
    let found: Vec<_> = out.json()["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            format!("{} {} {}:{}", d["code"], d["path"], d["line"], d["column"]).replace('"', "")
        })
        .collect();
    assert_eq!(
        found,
        ["policy.missing-key policies/a.yaml 2:9", "policy.unknown-key policies/a.yaml 2:10"]
    );
}

#[test]
fn no_policy_and_no_repository_are_named() {
    let world = World::new();
    let tree = world.tree(&[("a.yaml", "image: nginx:1\n")]);
    world
        .bot(["plan", "--repo", arg(&tree)])
        .run()
        .exits(2)
        .says(&["policy.none", "write one into policies/"]);
    world.bot(["plan", "--repo", "nowhere"]).run().exits(2).says(&["--repo nowhere", "OWNER/NAME"]);
    world.bot(["plan", "--nonsense"]).run().exits(2);
    world
        .bot(["plan", "--repo", arg(&tree), "--token-host", "x"])
        .run()
        .exits(2)
        .says(&["REGISTRY=HOST"]);
}

#[test]
fn misspelt_names_are_not_silence() {
    let world = World::new();
    let tree = world.tree(&[("policies/a.yaml", POLICY)]);
    let plan =
        |args: [&str; 2]| world.bot(["plan", "--repo", arg(&tree)].into_iter().chain(args)).run();
    plan(["--image", "shap"]).exits(2).says(&["--image shap", "did you mean `shop`?"]);
    plan(["--env", "prod"]).exits(2).says(&["--env prod", "known: default"]);
}

#[test]
fn exit_codes_tell_pending_changes_and_undecided_images() {
    let world = World::new();
    let tree =
        world.tree(&[("policies/a.yaml", POLICY), ("a.yaml", "image: ghcr.io/acme/shop:v1.0.0\n")]);
    let catalog = world.file("catalog.yaml", CATALOG);
    let empty = world.file("empty.yaml", "ghcr.io/acme/shop: []\n");
    let plan = |catalog, more: &[&'static str]| {
        let args = ["plan", "--repo", arg(&tree), "--catalog", arg(catalog)];
        world.bot(args.into_iter().chain(more.iter().copied())).run()
    };
    plan(&catalog, &[]).exits(0).says(&[
        "update",
        "v1.0.0 -> v1.1.0",
        "+image: ghcr.io/acme/shop:v1.1.0",
    ]);
    plan(&catalog, &["--detailed-exit-code"]).exits(10);
    plan(&empty, &["--detailed-exit-code"]).exits(3).says(&["undecided", "empty-listing"]);
    let unknown = world.file("unknown.yaml", "nginx: ['1']\n");
    plan(&unknown, &[]).exits(3).says(&["not-in-catalog"]);
    let broken = world.file("broken.yaml", "a: [\n");
    plan(&broken, &[]).exits(2).says(&["--catalog", "broken.yaml", "line 1"]);
}

#[test]
fn failures_are_json_for_programs() {
    let world = World::new();
    let tree = world.tree(&[("policies/a.yaml", POLICY)]);
    for (args, code, exit) in [
        (["--catalog", "nope.yaml"], "argument.invalid", 2),
        (["--policies", "nope.yaml"], "argument.invalid", 2),
        (["--env", "nope"], "argument.unknown", 2),
    ] {
        let all = ["plan", "--repo", arg(&tree), "--format", "json"].into_iter().chain(args);
        let out = world.bot(all).run().exits(exit);
        assert_eq!(out.json()["diagnostics"][0]["code"], code, "{args:?}");
    }
}

#[test]
fn paths_that_cover_a_file_twice_or_none_are_reported() {
    let world = World::new();
    let policies = format!(
        "{POLICY}environments:\n  a: {{paths: ['clusters/*']}}\n  b: {{paths: [clusters/prod]}}\n"
    );
    let tree = world.tree(&[("policies/a.yaml", &policies), ("clusters/prod/a.yaml", "a: 1\n")]);
    let out = world.bot(["check", "--repo", arg(&tree)]).run().exits(2);
    out.says(&["policy.overlap", "`a` and `b` both cover clusters/prod/a.yaml"]);
    let policies = format!("{POLICY}environments:\n  a: {{paths: [clusters, cluster]}}\n");
    world.tree(&[("policies/a.yaml", &policies)]);
    let out = world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
    out.says(&[
        "policy.unused-path",
        "no file is beneath `cluster`",
        "1 policy, 1 environment: no mistakes",
    ]);
}

#[test]
fn a_check_in_a_workflow_is_of_the_checkout() {
    let world = World::new();
    let tree = world.tree(&[("policies/a.yaml", POLICY)]);
    world.file("home/policies/a.yaml", "images: {a: 1}\n");
    let bot =
        world.bot(["check"]).env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "acme/fleet");
    bot.run().exits(2).says(&["policies/a.yaml:1:13"]);
    world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
}

#[test]
fn a_full_disk_is_a_failure_and_a_closed_pipe_is_not() {
    let world = World::new();
    let tree = world.tree(&[("policies/a.yaml", POLICY)]);
    let run = |script: &str| {
        let status = std::process::Command::new("bash")
            .args(["-c", script])
            .stderr(std::process::Stdio::null())
            .arg(env!("CARGO_BIN_EXE_tagalong"))
            .arg(arg(&tree))
            .status();
        status.unwrap().code().unwrap()
    };
    assert_eq!(run("\"$0\" plan --repo \"$1\" --catalog /dev/null > /dev/full"), 1);
    assert_eq!(run("\"$0\" demo | head -n 1 > /dev/null; exit ${PIPESTATUS[0]}"), 0);
}

#[test]
fn policies_come_from_elsewhere() {
    let world = World::new();
    let tree = world.tree(&[
        ("policies/other.yaml", "images: [\n"),
        ("a.yaml", "image: ghcr.io/acme/shop:v1.0.0\n"),
    ]);
    let (policies, catalog) = (world.file("p.yaml", POLICY), world.file("catalog.yaml", CATALOG));
    let args =
        ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog), "--policies", arg(&policies)];
    world.bot(args).run().exits(0).says(&["update", "0 held"]);
}

#[test]
fn a_file_that_is_not_yaml_is_reported_and_left_alone() {
    let world = World::new();
    let template = "{{- if .Values.x }}\nimage: ghcr.io/acme/shop:v1.0.0\n{{- end }}\n";
    let tree = world.tree(&[
        ("policies/a.yaml", POLICY),
        ("a.yaml", "image: ghcr.io/acme/shop:v1.0.0\n"),
        ("templates/t.yaml", template),
    ]);
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--deliver", "worktree"];
    world.bot(args).run().exits(0).says(&[
        "file.unreadable",
        "templates/t.yaml:1:",
        "left alone",
        "written",
    ]);
    let read = |path: &str| std::fs::read_to_string(tree.join(path)).unwrap();
    assert_eq!(read("a.yaml"), "image: ghcr.io/acme/shop:v1.1.0\n");
    assert_eq!(read("templates/t.yaml"), template);
}

#[test]
fn the_job_summary_is_appended_and_plain() {
    let world = World::new();
    let tree = world
        .tree(&[("policies/a.yaml", POLICY), ("a`|b.yaml", "image: ghcr.io/acme/shop:v1.0.0\n")]);
    let catalog = world.file("catalog.yaml", CATALOG);
    let summary = world.file("summary.md", "before\n");
    let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog)];
    let out = world.bot(args).env("GITHUB_STEP_SUMMARY", arg(&summary)).run().exits(0);
    let text = std::fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("before\n## Tagalong\n"), "{text}");
    assert!(text.contains("| `shop` | `default` | update | `v1.0.0` | `v1.1.0` |"), "{text}");
    assert!(
        !out.stdout.contains('\u{1b}') && !out.stderr.contains('\u{1b}'),
        "plain when not a terminal"
    );
    let colour = world.bot(args.into_iter().chain(["--color", "always"])).run().exits(0);
    assert!(colour.stdout.contains("\u{1b}[32m+image"), "{}", colour.stdout);
}

#[test]
fn a_saved_catalog_plans_the_same_offline() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0", "1.10", "not a tag!"]);
    let host = &registry.host;
    let policy = format!(
        "images: {{shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}, digest: pin}}}}\n"
    );
    let tree = world.tree(&[
        ("policies/a.yaml", &policy),
        ("a.yaml", &format!("image: {host}/acme/shop:v1.0.0\n")),
    ]);
    let saved = world.dir("out").join("catalog.yaml");
    let args = ["plan", "--repo", arg(&tree), "--format", "json"];
    let online = world.bot(args.into_iter().chain(["--save-catalog", arg(&saved)])).run().exits(0);
    assert_eq!(registry.seen().len(), 2);
    let offline = world.bot(args.into_iter().chain(["--catalog", arg(&saved)])).run().exits(0);
    assert_eq!(registry.seen().len(), 0);
    assert_eq!(online.json()["edits"], offline.json()["edits"]);
    assert_eq!(online.json()["diagnostics"][0]["code"], "tags.dropped");
}

#[test]
fn two_runs_on_equal_input_print_equal_output() {
    let world = World::new();
    let tree =
        world.tree(&[("policies/a.yaml", POLICY), ("a.yaml", "image: ghcr.io/acme/shop:v1.0.0\n")]);
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
    assert_eq!(world.bot(args).run().stdout, world.bot(args).run().stdout);
}

#[test]
fn a_deployed_tag_is_never_taken_back() {
    let world = World::new();
    world.tree(&[("policies/a.yaml", POLICY), ("a.yaml", "image: ghcr.io/acme/shop:v1.9.0\n")]);
    let vanished = world.file("vanished.yaml", CATALOG);
    let lower = world.file("lower.yaml", "ghcr.io/acme/shop: [v1.0.0, v2.0.0, v1.1.0]\n");
    let two = world.tree(&[("b.yaml", "image: ghcr.io/acme/shop:v2.0.0\n")]);
    let plan = |catalog| {
        world
            .bot(["plan", "--repo", arg(&two), "--catalog", arg(catalog), "--format", "json"])
            .run()
    };
    assert_eq!(
        plan(&vanished).exits(0).decisions(),
        ["shop hold v1.1.0 vanished", "shop hold v1.1.0 vanished"]
    );
    assert_eq!(
        plan(&lower).exits(0).decisions(),
        ["shop hold v1.1.0 vanished", "shop hold v1.1.0 downgrade"]
    );
}

#[test]
fn the_demo_tells_the_whole_story_offline() {
    let world = World::new();
    // A proxy that is not there would break every request that goes through it.
    let bot = world
        .bot(["demo"])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("HTTPS_PROXY", "http://127.0.0.1:1");
    let out = bot.run().exits(0);
    let steps = [
        "v1.2.0 -> v1.4.2",
        "title   Update shop and worker in staging",
        "0 to update, 2 up to date, 1 held",
        "Update shop to v1.5.0",
        "soaking: v1.4.2 soaks in staging until",
        "Update shop to v1.4.2 in production",
        "Roll back shop to v1.2.0 in production",
    ];
    out.says(&steps);
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    let world = World::new();
    world.bot(["completions", "bash"]).run().exits(0).says(&["_tagalong()"]);
    world.bot(["man"]).run().exits(0).says(&[".TH tagalong"]);
    world.bot(["--help"]).run().exits(0).says(&["plan", "run", "check", "demo", "schema"]);
}

#[test]
fn markers_never_lead_backwards_or_to_a_panic() {
    let world = World::new();
    let tree = world.tree(&[
        ("policies/p.yaml", "images: {shop: {image: ghcr.io/acme/shop, tags: {semver: '<3'}}}\n"),
        ("a.yaml", "a: v3.0.0 # tagalong: shop:tag\nb: v1.0.0 # tagalong: shop:tag\n"),
        ("b.yaml", "a: registry.example.com:5000/m/shop:v1.0.0 # tagalong: shop\nb: ghcr.io/acme/shop:v1.0.0 # tagalong: shop\n"),
        ("c.yaml", "a: mirror.local/acme/shop:v9.0.0 # tagalong: shop\n"),
        ("d.yaml", "images:\n- | # tagalong: shop\n  é\n"),
        ("e.yaml", "e:\n# tagalong: shop:tag\n- v1.0.0 # tagalong: shop:tag\n"),
    ]);
    let catalog = world.file("c.yaml", "ghcr.io/acme/shop: [v1.0.0, v2.0.0, v3.0.0, v9.0.0]\n");
    let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--deliver", "worktree"];
    let out = world.bot(args).run();
    assert!(out.code == 0 || out.code == 3, "{}\n{}", out.code, out.stderr);
    let read = |path: &str| std::fs::read_to_string(tree.join(path)).unwrap();
    assert_eq!(read("a.yaml"), "a: v3.0.0 # tagalong: shop:tag\nb: v2.0.0 # tagalong: shop:tag\n");
    assert_eq!(
        read("b.yaml"),
        "a: registry.example.com:5000/m/shop:v1.0.0 # tagalong: shop\nb: ghcr.io/acme/shop:v2.0.0 # tagalong: shop\n"
    );
    assert_eq!(read("c.yaml"), "a: mirror.local/acme/shop:v9.0.0 # tagalong: shop\n");
    assert_eq!(read("e.yaml"), "e:\n# tagalong: shop:tag\n- v2.0.0 # tagalong: shop:tag\n");
}

#[test]
fn what_does_nothing_is_reported_though_nothing_is_wrong() {
    let world = World::new();
    let policies = "images:\n  shop: {image: r.io/shop, tags: {semver: '>2 <1'}}\n  \
                    web: {image: r.io/web, tags: {semver: '*'}}\n  \
                    idle: {image: r.io/idle, tags: {semver: '*'}}\n\
                    environments:\n  a: {paths: [a]}\n  b: {paths: [b]}\n";
    let site = "image: r.io/shop:1.0.0\nother: # tagalong: web\n  tag: 1.0.0 # tagalong: nope:tag\n\
                web: r.io/web:1.0.0 # tagalong: web\n";
    let tree =
        world.tree(&[("policies/p.yaml", policies), ("a/x.yaml", site), ("b/y.yaml", "a: b\n")]);
    let out = world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
    out.says(&[
        "warning[policy.unmatchable-range]: no version is in `>2 <1`",
        "warning[policy.unused]: no place was found that names the image of `idle`",
        "warning[policy.unused-environment]: nothing in environment `b`",
        "warning[marker.idle]: this marker stands beside no value",
        "a/x.yaml:2",
        "warning[marker.unknown-policy]: the marker names `nope`",
        "3 policies, 2 environments: no mistakes, 5 warnings",
    ]);
}

#[test]
fn a_hold_of_nothing_is_a_mistake() {
    let world = World::new();
    let policies = "images: {shop: {image: r.io/shop, tags: {semver: '*'}}}\n\
                    environments: {a: {paths: [.], holds: [{images: [shpo], until: 2026-12-01, reason: x}]}}\n";
    let tree = world.tree(&[("policies/p.yaml", policies), ("a.yaml", "image: r.io/shop:1.0.0\n")]);
    let out = world.bot(["check", "--repo", arg(&tree)]).run().exits(2);
    out.says(&["no policy is named `shpo`", "did you mean `shop`?"]);
    for (hold, want) in [
        ("{until: soon, reason: x}", "`soon` is neither a day nor a time"),
        ("{until: 2026-12-01}", "lacks the key `reason`"),
        ("{reason: x}", "lacks the key `until`"),
        ("{until: 2026-12-01, reason: ''}", "is empty"),
    ] {
        let text = policies.replace("{images: [shpo], until: 2026-12-01, reason: x}", hold);
        let tree =
            world.tree(&[("policies/p.yaml", &text), ("a.yaml", "image: r.io/shop:1.0.0\n")]);
        world.bot(["check", "--repo", arg(&tree)]).run().exits(2).says(&[want]);
    }
}

#[test]
fn quiet_means_errors_alone() {
    let world = World::new();
    let policy = "images: {shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}}\n";
    let tree = world.tree(&[("policies/p.yaml", policy)]);
    let check = |more: &[&str]| {
        let args = ["check", "--repo", arg(&tree)];
        world.bot(args.iter().chain(more).copied()).run()
    };
    assert!(check(&[]).exits(0).stderr.contains("policy.unused"));
    assert_eq!(check(&["--quiet"]).exits(0).stderr, "");
    world.file("tree/policies/q.yaml", "images: {x: {}}\n");
    assert!(check(&["-q"]).exits(2).stderr.contains("policy.missing-key"));
}

/// A template that only fails in use is used once by `check`.
#[test]
fn templates_are_tried_before_they_are_needed() {
    let world = World::new();
    for (template, is_told) in [
        ("deps: {{ images[0].image }} to {{ images[0].to }}", false),
        ("deps: {{ imagse }}", true),
        ("deps: {{ images[0].nothing.more }}", true),
        ("{% for i in range(90000) %}{% for j in range(90000) %}x{% endfor %}{% endfor %}", true),
    ] {
        let policies = format!(
            "images: {{shop: {{image: ghcr.io/acme/shop, tags: {{semver: '*'}}}}}}\nenvironments:\n  prod:\n    paths: [.]\n    \
             deliver: {{title: '{template}'}}\n"
        );
        let tree = world.tree(&[
            ("policies/p.yaml", &policies),
            ("a.yaml", "image: ghcr.io/acme/shop:v1.0.0\n"),
        ]);
        let out = world.bot(["check", "--repo", arg(&tree)]).run();
        let said = format!("{}{}", out.stdout, out.stderr);
        assert_eq!(said.contains("deliver.template"), is_told, "{template}: {said}");
    }
}
