//! From nothing to policies: `init` on public layouts, which are golden cases; `TAGALONG_BLESS=1` writes them anew.

use std::path::Path;

use crate::world::{World, arg};

/// The repositories in `tests/layouts`; each says where it is from.
const LAYOUTS: [&str; 5] = [
    "flux2-kustomize-helm-example",
    "flux2-image-automation",
    "argocd-image-updater-examples",
    "helm-umbrella-signoz",
    "awesome-compose",
];

fn layouts() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layouts")
}

/// A copy of a layout, as a work tree.
fn copy(world: &World, name: &str) -> std::path::PathBuf {
    let root = layouts().join(name).join("files");
    for entry in walkdir::WalkDir::new(&root).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(&root).unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            world.file(&format!("{name}/{}", arg(path)), &text);
        }
    }
    world.dir(name)
}

#[test]
fn public_layouts_get_policies_that_fit() {
    for name in LAYOUTS {
        let world = World::new();
        let tree = copy(&world, name);
        let shown =
            world.bot(["init", "--dry-run", "--no-workflow", "--repo", arg(&tree)]).run().exits(0);
        let text = format!("{}\n{}", shown.stderr, shown.stdout);
        let golden = layouts().join(name).join("init.txt");
        if std::env::var_os("TAGALONG_BLESS").is_some() {
            std::fs::write(&golden, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&golden).unwrap_or_default(), "{name}");
        // What is written is clean, and moves nothing that is not newer.
        let wrote = world.bot(["init", "--repo", arg(&tree)]).run().exits(0).stdout;
        assert!(wrote.contains("wrote .github/workflows/tagalong.yaml"), "{wrote}");
        let checked = world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
        let said: Vec<&str> =
            checked.stderr.lines().filter(|line| line.starts_with("error")).collect();
        assert!(said.is_empty(), "{name}: {said:?}");
        unchanged(&world, &tree);
        // Again there is nothing to do.
        let again = world.bot(["init", "--repo", arg(&tree)]).run().exits(0);
        assert!(again.stdout.contains("nothing to write"), "{}", again.stdout);
    }
}

/// With the very tags that are deployed listed, and older ones, nothing moves.
fn unchanged(world: &World, tree: &Path) {
    let empty = world.file("empty.yaml", "{}\n");
    let args = ["plan", "--repo", arg(tree), "--catalog", arg(&empty), "--format", "json"];
    let planned = world.bot(args).run().json();
    let mut catalog = serde_json::Map::new();
    for decision in planned["decisions"].as_array().unwrap() {
        let listed = catalog.entry(decision["repository"].as_str().unwrap()).or_insert_with(
            || serde_json::json!([{"tag": "0.0.1"}, {"tag": "v0.0.1"}, {"tag": "latest"}]),
        );
        if let Some(tag) = decision["from"].as_str() {
            listed.as_array_mut().unwrap().push(serde_json::json!({"tag": tag}));
        }
    }
    let catalog = world.file("catalog.yaml", &serde_json::Value::Object(catalog).to_string());
    let args = ["plan", "--repo", arg(tree), "--catalog", arg(&catalog), "--format", "json"];
    let planned = world.bot(args).run().json();
    for decision in planned["decisions"].as_array().unwrap() {
        // Where several versions of one image are deployed, the older ones go to the newest of them.
        if decision["outcome"] == "update" {
            assert_eq!(decision["reason"]["code"], "newer", "{decision}");
        }
    }
}

#[test]
fn what_is_there_is_kept_and_what_is_covered_passed_over() {
    let world = World::new();
    let tree = world.tree(&[
        (
            "policies/shop.yaml",
            "images:\n  shop: {image: ghcr.io/acme/shop, tags: {semver: minor}}\n",
        ),
        ("a.yaml", "image: ghcr.io/acme/shop:v1.0.0\n---\nimage: ghcr.io/acme/web:main-77\n"),
        (".github/workflows/ci.yaml", "jobs: {x: {container: {image: 'ghcr.io/acme/ci:1.0.0'}}}\n"),
    ]);
    let ran = world.bot(["init", "--repo", arg(&tree)]).run().exits(0);
    assert!(ran.stderr.contains("1 image that policies are there for already"), "{}", ran.stderr);
    let text = std::fs::read_to_string(tree.join("policies/images.yaml")).unwrap();
    assert!(text.contains("web:") && !text.contains("shop") && !text.contains("ci:"), "{text}");
    assert!(text.contains(r"match: '^main-(?<build>\d{1,6})$'"), "{text}");
    world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
    // Policies that are wrong are told, not written over.
    world.file("tree/policies/wrong.yaml", "images: {x: {}}\n");
    let refused = world.bot(["init", "--repo", arg(&tree)]).run().exits(2);
    assert!(refused.stderr.contains("policies/wrong.yaml"), "{}", refused.stderr);
}

#[test]
fn a_name_with_line_breaks_stays_in_its_comment() {
    let world = World::new();
    let tree = world.tree(&[("a.yaml", "image: 'ghcr.io/acme/shop:1.0.0'\n")]);
    world.file("tree/x\nimages: {evil: {}}\n#.yaml", "image: ghcr.io/acme/web\n");
    world.bot(["init", "--no-workflow", "--repo", arg(&tree)]).run().exits(0);
    let text = std::fs::read_to_string(tree.join("policies/images.yaml")).unwrap();
    assert!(!text.lines().any(|line| line.starts_with("images: {evil")), "{text}");
    world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
}

#[test]
fn what_other_tools_were_told_becomes_policies() {
    for name in ["argocd-image-updater-examples", "flux2-image-automation"] {
        let world = World::new();
        let tree = copy(&world, name);
        let shown = world.bot(["import", "--repo", arg(&tree)]).run().exits(0);
        let text = format!("{}\n{}", shown.stderr, shown.stdout);
        let golden = layouts().join(name).join("import.txt");
        if std::env::var_os("TAGALONG_BLESS").is_some() {
            std::fs::write(&golden, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&golden).unwrap_or_default(), "{name}");
        world.bot(["import", "--write", "--repo", arg(&tree)]).run().exits(0);
        world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
        // What is there is not written again.
        let again = world.bot(["import", "--write", "--repo", arg(&tree)]).run().exits(0);
        again.says(&["nothing to write", "that policies are there for already"]);
    }
    let world = World::new();
    let tree = world.tree(&[
        ("apps/web.yaml", "image: nginx:1.27.0-alpine\n---\nimage: ghcr.io/acme/shop:v1.0.0\n"),
        (".github/renovate.json5", "{extends: ['docker:disableMajor'], kubernetes: {fileMatch: ['^apps/']}, // ours\n packageRules: [{matchPackageNames: ['nginx'], pinDigests: true}]}"),
    ]);
    world.bot(["import", "--write", "--repo", arg(&tree)]).run().exits(0);
    let text = std::fs::read_to_string(tree.join("policies/imported.yaml")).unwrap();
    assert!(text.contains("tags: {semver: minor}\n    digest: pin\n"), "{text}");
    world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
    let empty = world.dir("empty");
    world
        .bot(["import", "--repo", arg(&empty)])
        .run()
        .exits(0)
        .says(&["no other tool says anything"]);
}

#[test]
fn what_strangers_wrote_stays_a_value() {
    let world = World::new();
    let app = |name: &str, path: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: '{name}'\n  annotations:\n    \
             argocd-image-updater.argoproj.io/image-list: web=ghcr.io/acme/web:~1\n    \
             argocd-image-updater.argoproj.io/write-back-method: git\n    \
             argocd-image-updater.argoproj.io/web.platforms: \"linux/amd64]\\n  evil:\\n    image: x  #\"\n    \
             argocd-image-updater.argoproj.io/web.allow-tags: 'regexp:(?!x)'\nspec: {{source: {{path: {path}}}}}\n"
        )
    };
    let (one, other, number) = (app("web", "a"), app("web", "b"), app("123", "c"));
    let tree =
        world.tree(&[("apps/a.yaml", &one), ("apps/b.yaml", &other), ("apps/c.yaml", &number)]);
    // What cannot be is told, and keeps nothing else away.
    let ran = world.bot(["import", "--write", "--repo", arg(&tree)]).run().exits(0);
    assert!(!tree.join("policies/imported.yaml").exists());
    assert!(ran.stderr.contains("not a regular expression"), "{}", ran.stderr);
    for (path, text) in [("apps/a.yaml", &one), ("apps/b.yaml", &other), ("apps/c.yaml", &number)] {
        let text = text.replace("]\\n  evil:\\n    image: x  #", "").replace("(?!x)", "x");
        world.file(&format!("tree/{path}"), &text);
    }
    world.bot(["import", "--write", "--repo", arg(&tree)]).run().exits(0);
    world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
}

/// A resource of Flux's, as one document.
fn flux(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// Each of these once kept everything else away, or was carried over as something else.
#[test]
fn what_cannot_be_carried_over_is_told_and_left_out() {
    let policy = |name: &str, of: &str, more: &str| {
        let spec =
            format!("imageRepositoryRef: {{name: {of}}}, policy: {{semver: {{range: 1.x}}}}{more}");
        flux("ImagePolicy", name, &spec)
    };
    let automation = |name: &str, path: &str, more: &str| {
        flux("ImageUpdateAutomation", name, &format!("update: {{path: {path}}}{more}"))
    };
    let files = [
        flux("ImageRepository", "app", "image: ghcr.io/acme/app"),
        flux("ImageRepository", "odd", "image: ghcr.io/acme/odd"),
        policy("app", "app", ""),
        policy("stopped", "app", ", suspend: true"),
        policy("odd", "odd", ", filterTags: {pattern: '^(?!x)'}"),
        automation("all", "./clusters", ""),
        automation("inner", "./clusters/prod", ""),
        automation("stopped", "./x", ", suspend: true"),
        automation("some", "./y", ", policySelector: {matchLabels: {a: b}}"),
    ];
    let world = World::new();
    // A deployment beside them in the same file is deployed.
    let web = "apiVersion: apps/v1\nkind: Deployment\nspec: {image: 'ghcr.io/acme/web:v1.0.0'}\n";
    let all = files.concat() + web;
    let tree = world.tree(&[("clusters/flux.yaml", &all)]);
    let ran = world.bot(["import", "--write", "--repo", arg(&tree)]).run().exits(0);
    let text = std::fs::read_to_string(tree.join("policies/imported.yaml")).unwrap();
    let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let names = |key: &str| value[key].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((names("images"), names("environments")), (vec!["app".into()], vec!["all".into()]));
    for told in
        ["ImagePolicy stopped", "environment inner", "Automation stopped", "`policySelector`"]
    {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    let shown =
        world.bot(["init", "--dry-run", "--no-workflow", "--repo", arg(&tree)]).run().exits(0);
    assert!(
        shown.stdout.contains("--- policies/images.yaml") && shown.stdout.contains("acme/web"),
        "{}",
        shown.stdout
    );
}

/// Two policies for one image, and nothing that says where each is: one goes, and what has nothing to do with it stays.
#[test]
fn what_cannot_be_told_apart_takes_nothing_with_it() {
    let policy = |name: &str, of: &str| {
        let spec =
            format!("imageRepositoryRef: {{name: {of}}}, policy: {{semver: {{range: 1.x}}}}");
        flux("ImagePolicy", name, &spec)
    };
    let files = [
        flux("ImageRepository", "app", "image: ghcr.io/acme/app"),
        flux("ImageRepository", "web", "image: ghcr.io/acme/web"),
        policy("app-dev", "app"),
        policy("app-prod", "app"),
        policy("web", "web"),
        flux("ImageUpdateAutomation", "all", "update: {path: .}"),
    ];
    let world = World::new();
    let tree = world.tree(&[("flux.yaml", &files.concat())]);
    let ran = world.bot(["import", "--repo", arg(&tree)]).run().exits(0);
    let is_there = |name: &str| ran.stdout.contains(&format!("  {name}:\n"));
    assert_eq!(["app-dev", "app-prod", "web"].map(is_there), [true, false, true], "{}", ran.stdout);
    assert!(ran.stderr.contains("app-prod"), "{}", ran.stderr);
    // What is wrong already is nobody else's mistake.
    world.file("tree/policies/wrong.yaml", "images: {x: {}}\n");
    world.bot(["import", "--repo", arg(&tree)]).run().exits(2).says(&["policies/wrong.yaml"]);
}

/// What Flux and Fleet left as it was stays so after `import`, and what they marked moves with their markers.
#[test]
fn what_was_not_marked_does_not_begin_to_move() {
    let world = World::new();
    let registry = world.registry();
    for name in ["acme/app", "acme/web", "acme/scan"] {
        registry.push(name, &["1.0.0", "1.1.0"]);
    }
    let image = |name: &str| format!("{}/acme/{name}", registry.host);
    let spec = |name: &str| {
        format!("imageRepositoryRef: {{name: {name}}}, policy: {{semver: {{range: 1.x}}}}")
    };
    let flux = [
        flux("ImageRepository", "app", &format!("image: {}", image("app"))),
        flux("ImageRepository", "web", &format!("image: {}", image("web"))),
        flux("ImagePolicy", "app", &spec("app")),
        flux("ImagePolicy", "web", &spec("web")),
        flux("ImageUpdateAutomation", "all", "update: {path: clusters}"),
    ];
    let fleet = format!(
        "imageScans:\n- tagName: scan\n  image: {}\n  policy: {{semver: {{range: '*'}}}}\n",
        image("scan")
    );
    let (app, web, scan) = (image("app"), image("web"), image("scan"));
    let deployed = [
        format!("a:\n  image: {app}:1.0.0 # {{\"$imagepolicy\": \":app\"}}"),
        format!("b:\n  image: {app}:1.0.0"),
        format!("c:\n  image: {web}:1.0.0 # {{\"$imagepolicy\": \":web\"}}"),
        format!("d:\n  image: {scan}:1.0.0 # {{\"$imagescan\": \"scan\"}}"),
        format!("e:\n  image: {scan}:1.0.0\n"),
    ]
    .join("\n");
    let flux = flux.concat();
    let files = [("flux.yaml", &*flux), ("fleet.yaml", &*fleet), ("clusters/a.yaml", &*deployed)];
    let tree = world.tree(&files);
    let ran = world.bot(["import", "--write", "--repo", arg(&tree)]).run().exits(0);
    let ran = ran.says(&["clusters/a.yaml:4 is not marked", "clusters/a.yaml:10 is not marked"]);
    std::fs::remove_file(tree.join("flux.yaml")).unwrap();
    world.bot(["run", "--deliver", "worktree", "--repo", arg(&tree)]).run();
    let now = std::fs::read_to_string(tree.join("clusters/a.yaml")).unwrap();
    let lines: Vec<bool> = now.lines().map(|line| line.contains(":1.1.0")).collect();
    let moved: Vec<usize> =
        (1..).zip(lines).filter(|(_, is_moved)| *is_moved).map(|(line, _)| line).collect();
    assert_eq!(moved, [2, 6, 8], "{now}\n{}", ran.stderr);
}

/// Two applications of Argo CD with files of their own for one chart.
#[test]
fn a_file_that_is_named_is_the_one_that_changes() {
    let app = |name: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  annotations:\n    \
             argocd-image-updater.argoproj.io/image-list: a/b=ghcr.io/acme/web:1.x\n    \
             argocd-image-updater.argoproj.io/a_b.update-strategy: newest-build\n    \
             argocd-image-updater.argoproj.io/write-back-method: git\n    \
             argocd-image-updater.argoproj.io/write-back-target: 'helmvalues:values-{name}.yaml'\n\
             spec: {{source: {{path: charts/web}}}}\n"
        )
    };
    let world = World::new();
    let files = [
        ("apps/dev.yaml", app("dev")),
        ("apps/prod.yaml", app("prod")),
        ("charts/web/values-dev.yaml", "image: ghcr.io/acme/web:1.0.0\n".to_owned()),
        ("charts/web/values-prod.yaml", "image: ghcr.io/acme/web:1.0.0\n".to_owned()),
    ];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, &**text)).collect();
    let tree = world.tree(&files);
    world.bot(["import", "--write", "--repo", arg(&tree)]).run().exits(0);
    let text = std::fs::read_to_string(tree.join("policies/imported.yaml")).unwrap();
    assert!(text.contains("values-dev.yaml") && text.contains("newest: created"), "{text}");
    world.bot(["check", "--repo", arg(&tree)]).run().exits(0);
    // A file that cannot be read gives no policies at all.
    world.file("tree/renovate.json", "{");
    world
        .bot(["import", "--repo", arg(&tree)])
        .run()
        .exits(2)
        .says(&["renovate.json cannot be read"]);
}

/// README's way, step by step: a repository with manifests and nothing else, and a pull request at its end.
#[test]
fn from_nothing_to_the_first_pull_request() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v2.3.0", "v2.4.0", "v3.0.0"]);
    let site =
        |environment: &str| format!("# {environment}\nimage: {}/acme/shop:v2.3.0\n", registry.host);
    let (staging, production) = (site("staging"), site("production"));
    let files = [
        ("clusters/staging/shop.yaml", &*staging),
        ("clusters/production/shop.yaml", &*production),
    ];
    let github = world.github(&files);
    let checkout = world.dir("checkout");
    github.repo.git(&["clone", "-q", arg(&github.repo.bare), arg(&checkout)]);
    let here = |command: &str| world.bot([command, "--repo", arg(&checkout)]).run().exits(0);
    here("init").says(&["wrote policies/images.yaml", "wrote .github/workflows/tagalong.yaml"]);
    here("check").says(&["1 policy, 2 environments: no mistakes"]);
    // The next minor version, and not the major one.
    here("plan").says(&["v2.3.0 -> v2.4.0", "2 to update"]);
    github.repo.git(&["-C", arg(&checkout), "add", "-A"]);
    github.repo.git(&[
        "-C",
        arg(&checkout),
        "-c",
        "user.name=ada",
        "-c",
        "user.email=ada@acme.io",
        "commit",
        "-qm",
        "Tagalong",
    ]);
    github.repo.git(&["-C", arg(&checkout), "push", "-q", "origin", "HEAD:main"]);
    github.env(world.bot(["run", "--repo", "acme/fleet"])).run().exits(0);
    let mut heads: Vec<String> = github.pulls().into_iter().map(|pull| pull.head).collect();
    heads.sort();
    assert_eq!(heads, ["tagalong/production", "tagalong/staging"]);
}

/// Environments that list their images take no new policy by themselves, which `init` reports.
#[test]
fn a_new_policy_that_no_environment_takes_is_named() {
    let world = World::new();
    let policies = "images:\n  web: {image: ghcr.io/acme/web, tags: {semver: '*'}}\nenvironments:\n  prod: {paths: [prod], images: [web]}\n";
    let files = [
        ("policies/p.yaml", policies),
        (
            "prod/a.yaml",
            "a:\n  image: ghcr.io/acme/web:1.0.0\nb:\n  image: ghcr.io/acme/shop:1.0.0\n",
        ),
    ];
    let tree = world.tree(&files);
    let ran =
        world.bot(["init", "--dry-run", "--no-workflow", "--repo", arg(&tree)]).run().exits(0);
    assert!(ran.stderr.contains("no environment takes `shop`"), "{}", ran.stderr);
    world.file("tree/policies/p.yaml", &policies.replace("[web]", "['*']"));
    let ran =
        world.bot(["init", "--dry-run", "--no-workflow", "--repo", arg(&tree)]).run().exits(0);
    assert!(!ran.stderr.contains("no environment"), "{}", ran.stderr);
}

/// Whoever registers a bare name at Docker Hub would decide what is proposed, where another file says the registry.
#[test]
fn no_policy_is_written_for_what_other_files_decide() {
    let values = ("values.yaml", "image: {repository: redis, tag: 7.0.0}\n");
    let deployment = ("base/a.yaml", "kind: Deployment\nspec: {image: 'redis:7.0.0'}\n");
    let renamed = (
        "prod/kustomization.yaml",
        "resources: [../base]\nimages: [{name: redis, newName: q.io/redis}]\n",
    );
    for (files, is_written) in [
        (vec![values, ("values-prod.yaml", "image: {registry: q.io}\n")], false),
        (vec![deployment, renamed], false),
        (vec![values, ("values-prod.yaml", "image: {pullPolicy: Always}\n")], true),
    ] {
        let world = World::new();
        let tree = world.tree(&files);
        let out = world.bot(["init", "--dry-run", "--repo", arg(&tree)]).run();
        // Without a policy, a workflow would fail each time.
        assert_eq!(out.stdout.contains("uses: "), is_written, "{}", out.stdout);
        assert_eq!(
            out.stdout.contains("image: docker.io/library/redis"),
            is_written,
            "{files:?} {}",
            out.stdout
        );
        let text = out.stdout + &out.stderr;
        assert_eq!(
            text.contains("no policy is written for docker.io/library/redis"),
            !is_written,
            "{text}"
        );
    }
}

/// Values of an environment often hold a tag alone; its image stands in the file that they are laid over.
#[test]
fn environments_in_values_that_hold_tags_alone_are_seen() {
    let world = World::new();
    let tree = world.tree(&[
        ("shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n"),
        ("shop/values.yaml", "image: {repository: ghcr.io/acme/shop, tag: v1.2.0}\n"),
        ("shop/values-dev.yaml", "image: {tag: v1.3.0}\n"),
        ("shop/values-prod.yaml", "image: {tag: v1.2.0}\n"),
    ]);
    let shown =
        world.bot(["init", "--dry-run", "--no-workflow", "--repo", arg(&tree)]).run().exits(0);
    for told in ["values-dev.yaml", "values-prod.yaml", "promoteFrom"] {
        assert!(shown.stdout.contains(told), "{told}: {}{}", shown.stdout, shown.stderr);
    }
}
