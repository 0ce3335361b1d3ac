//! Files that mean harm, or are only odd: a line in the report, the others are changed, and nothing
//! is written that was not meant.

use crate::world::{Repo, World, arg};

const POLICY: &str = "images: {shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}}\n";
const CATALOG: &str = "ghcr.io/acme/shop: [v1.0.0, v1.1.0]\n";
const SITE: &str = "image: ghcr.io/acme/shop:v1.0.0\n";

#[test]
fn a_line_in_the_report_for_each_and_the_rest_is_done() {
    let mut bomb = format!("{SITE}a0: &a0 [x, x]\n");
    for level in 1..40 {
        bomb += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    }
    let many: Vec<String> = (0..80_000).map(|n| format!("key-{n}: value # {n}\n")).collect();
    let anchored =
        |n: usize| format!("- {{image: &a{n} ghcr.io/acme/shop:v1.0.0}}\n- {{image: *a{n}}}\n");
    let anchors: Vec<String> = (0..20_000).map(anchored).collect();
    let cases = [
        ("brackets.yaml", format!("{SITE}{}", "[".repeat(1_000_000)), "not YAML"),
        (
            "nested.yaml",
            format!("{SITE}a: {}1{}\n", "[".repeat(100_000), "]".repeat(100_000)),
            "not YAML",
        ),
        ("dashes.yaml", format!("# ghcr.io/acme/shop\n{}", "- ".repeat(500_000)), "not YAML"),
        ("large.yaml", format!("{SITE}#{}", "x".repeat(4 << 20)), "more than the limit"),
        ("nul.yaml", format!("{SITE}a: \"\0\"\n"), "not YAML"),
        ("bomb.yaml", bomb, ""),
        ("lines.yaml", many.concat() + SITE, ""),
        ("anchors.yaml", anchors.concat(), ""),
        ("long.yaml", format!("a: {}\n{SITE}", "x".repeat(2_000_000)), ""),
        ("new\nline.yaml", format!("{SITE}a: [\n"), "not YAML"),
        ("mark\u{202e}.yaml", format!("{SITE}a: [\n"), "not YAML"),
    ];
    let world = World::new();
    let mut files = vec![("policies/p.yaml", POLICY), ("good.yaml", SITE)];
    files.extend(cases.iter().map(|(path, text, _)| (*path, text.as_str())));
    let tree = world.tree(&files);
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--deliver", "worktree"];
    let json = world.bot(args.into_iter().chain(["--format", "json"])).run().exits(0).json();
    for (path, text, want) in &cases {
        let told = json["diagnostics"].as_array().unwrap().iter().find(|d| d["path"] == *path);
        let message = told.map(|d| d["message"].as_str().unwrap()).unwrap_or_default();
        assert!(message.contains(want), "{path:?}: {message}");
        let after = std::fs::read_to_string(tree.join(path)).unwrap();
        let expected =
            if want.is_empty() { text.replace(":v1.0.0", ":v1.1.0") } else { text.clone() };
        assert!(after == expected, "{path:?}");
    }
    assert_eq!(
        std::fs::read_to_string(tree.join("good.yaml")).unwrap(),
        SITE.replace("v1.0.0", "v1.1.0")
    );
    let out = world.bot(["plan", "--repo", arg(&tree), "--catalog", arg(&catalog)]).run().exits(0);
    let shown = out.stdout + &out.stderr;
    assert!(
        !shown.contains('\u{202e}') && !shown.contains("new\nline"),
        "paths are told harmlessly"
    );
}

#[test]
fn what_is_no_file_of_the_repository_is_left_alone_and_told() {
    let world = World::new();
    let outside = world.file("outside.yaml", SITE);
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:ghcr.io/acme/shop\nsize 1\n";
    let files = [
        ("policies/p.yaml", POLICY),
        ("a.yaml", SITE),
        ("lfs.yaml", lfs),
        ("ignored/b.yaml", SITE),
        (".gitignore", "ignored/\n"),
    ];
    let tree = world.tree(&files);
    std::os::unix::fs::symlink(&outside, tree.join("link.yaml")).unwrap();
    std::os::unix::fs::symlink(outside.parent().unwrap(), tree.join("directory")).unwrap();
    std::fs::create_dir_all(tree.join("module")).unwrap();
    std::fs::write(tree.join("module/.git"), "gitdir: ../.git/modules/module\n").unwrap();
    std::fs::write(tree.join("module/c.yaml"), SITE).unwrap();
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = [
        "run",
        "--repo",
        arg(&tree),
        "--catalog",
        arg(&catalog),
        "--deliver",
        "worktree",
        "--format",
        "json",
    ];
    let json = world.bot(args).run().exits(0).json();
    let told: Vec<&str> = json["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["path"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["lfs.yaml", "directory", "link.yaml", "module"], "{json:#}");
    for path in [outside, tree.join("module/c.yaml"), tree.join("ignored/b.yaml")] {
        assert_eq!(std::fs::read_to_string(&path).unwrap(), SITE, "{}", path.display());
    }
    assert_eq!(
        std::fs::read_to_string(tree.join("a.yaml")).unwrap(),
        SITE.replace("v1.0.0", "v1.1.0")
    );
}

#[test]
fn in_a_branch_links_and_submodules_are_told_and_modes_stay() {
    let world = World::new();
    let repo = Repo::create(
        &world.dir("git"),
        "fleet",
        &[("policies/p.yaml", POLICY), ("run.yaml", SITE)],
    );
    let work = world.dir("work");
    let git = |args: &[&str]| {
        let out = std::process::Command::new("git")
            .arg("-C")
            .arg(&work)
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    git(&["clone", "-q", arg(&repo.bare), "."]);
    std::os::unix::fs::symlink("run.yaml", work.join("link.yaml")).unwrap();
    git(&["update-index", "--chmod=+x", "run.yaml"]);
    git(&["add", "link.yaml"]);
    let commit = repo.git(&["rev-parse", "main"]);
    git(&["update-index", "--add", "--cacheinfo", &format!("160000,{},module", commit.trim())]);
    git(&["commit", "-qm", "odd entries"]);
    git(&["push", "-q", "origin", "HEAD:main"]);
    let catalog = world.file("catalog.yaml", CATALOG);
    let args = [
        "run",
        "--repo",
        arg(&repo.bare),
        "--catalog",
        arg(&catalog),
        "--deliver",
        "push",
        "--format",
        "json",
    ];
    let json = world.bot(args).run().exits(0).json();
    let told: Vec<&str> = json["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["path"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["link.yaml", "module"], "{json:#}");
    let listed = repo.git(&["ls-tree", "main"]);
    let modes: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(modes, ["120000", "160000", "040000", "100755"], "{listed}");
    assert_eq!(repo.show("main", "run.yaml"), SITE.replace("v1.0.0", "v1.1.0"));
}

/// One file of 200 kB each that makes work grow with its square, where each step looks at all others.
#[test]
fn many_of_anything_is_no_more_work_than_its_size() {
    let many = |head: &str, line: &str, tail: &str| {
        head.to_owned() + &line.repeat(200_000 / line.len()) + tail
    };
    let cases = [
        many("data:\n  values.yaml: |\n", "    - image: ghcr.io/acme/shop:v1.0.0\n", ""),
        many("k: &k {images: [\n", "ghcr.io/acme/shop:v1.0.0,\n", "]}\nl:\n")
            + &many("", "- {kustomize: *k}\n", ""),
        many(
            "h: &h {parameters: [\n",
            "{name: a.image, value: 'ghcr.io/acme/shop:v1'},\n",
            "]}\nl:\n",
        ) + &many("", "- {helm: *h}\n", ""),
        many("a: &t ghcr.io/acme/shop:v1.0.0\nl:\n", "- {image: *t}\n", ""),
        many("l:\n", "- v1.0.0 # tagalong: shop:tag\n", ""),
        many("", "image: ghcr.io/acme/shop:v1.0.0\n---\n", ""),
        many("", "fooImage: ghcr.io/acme/shop:v1.0.0\n", ""),
    ];
    let world = World::new();
    let catalog = world.file("catalog.yaml", CATALOG);
    for (number, text) in cases.iter().enumerate() {
        let tree = world.tree(&[("policies/p.yaml", POLICY), ("a.yaml", text)]);
        let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
        let times = world.dir("out").join(format!("{number}"));
        let mut command = std::process::Command::new("/usr/bin/env");
        command.args(["bash", "-c", "ulimit -t 60 -v 1000000; exec \"$@\" >\"$0\""]).arg(&times);
        command.arg(env!("CARGO_BIN_EXE_tagalong")).args(args);
        let status = command.status().unwrap();
        assert!(status.success(), "case {number} takes too much: {status}");
    }
}
