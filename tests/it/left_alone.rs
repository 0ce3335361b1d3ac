//! Places that are left alone, each reported with its line and the reason.

use crate::rows::{Row, SHOP, TAGS, filled, hold, shop, stays};
use crate::world::{World, arg};

/// Places that a tester found in lists, among the keys of an image, and where no shape reads.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_stands_beside_a_place_counts() {
    let env = |more: &str| {
        format!(
            "kind: Deployment\nenv:\n- {{name: SHOP_IMAGE, value: 'r.io/acme/shop:v1.0.0'}}\n- {{name: SHOP_DIGEST, value: '@A'}}\n{more}"
        )
    };
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let others = ["CONFIG_DIGEST", "BUILD_DIGEST", "DIGEST"];
    let mut rows = Vec::new();
    for other in others {
        let before = env(&format!("- {{name: {other}, value: 'sha256:{}'}}\n", "c".repeat(64)));
        let after = before.replace("v1.0.0", "v1.1.0").replace("@A", "@B");
        rows.push(shop(leak(before), leak(after), &[]));
    }
    hold(&rows);
    hold(&[
        stays(
            "image: {repository: r.io/acme/shop, tag: v1.0.0}\nimageDigest: '@A'\ndigest: '@B'\n",
            &["site.unsupported"],
        ),
        stays(
            "image: {repository: r.io/acme/shop, tag: v1.0.0, flavour: ubi}\n",
            &["`flavour` in"],
        ),
        stays("image: {repository: r.io/acme/shop, tag: v1.0.0, suffix: -ci}\n", &["`suffix` in"]),
        shop(
            "image: {repository: r.io/acme/shop, tag: v1.0.0, suffix: ''}\nweb: {flavour: x}\n",
            "image: {repository: r.io/acme/shop, tag: v1.1.0, suffix: ''}\nweb: {flavour: x}\n",
            &[],
        ),
        shop(
            "controllerImage: r.io/acme/shop\ncontrollerImageVersion: v1.0.0\n",
            "controllerImage: r.io/acme/shop\ncontrollerImageVersion: v1.1.0\n",
            &[],
        ),
        // A prefix is a registry's, and an edition anybody's.
        shop(
            "image: {repository: r.io/acme/shop, tag: v1.0.0, edition: enterprise, prefix: x}\n",
            "image: {repository: r.io/acme/shop, tag: v1.1.0, edition: enterprise, prefix: x}\n",
            &[],
        ),
        // No shape reads these.
        stays(
            "{webRepo: r.io/acme/web, webTagOverride: v3.0.0, shopRepo: r.io/acme/shop, shopTagOverride: v1.0.0}\n",
            &[concat!(
                "\"column\":93,\"message\":\"a version of `shop` stands under a key that is not read ",
                "(`shopRepo`"
            )],
        ),
        stays(
            "x:\n  repo: r.io/acme/shop\n  tagPrefix: v1\n  tag: v1.0.0\n",
            &["\"line\":4,\"column\":8,\"message\":\"a version of `shop`"],
        ),
        stays(
            "{image: r.io/acme/web:v3, sidecarRepo: r.io/acme/shop, sidecarTag: v1.0.0}\n",
            &["(`sidecarRepo` in line 1 is its name)"],
        ),
        stays("image: {repo: r.io/acme/shop, tag: v1.0.0}\n", &["(`repo` in line 1 is its name)"]),
        stays("x: {imageRepository: r.io/acme/shop, tag: v1.0.0}\n", &["a version of `shop`"]),
        stays("x: {repository: r.io/acme/shop, tagOverride: v1.0.0}\n", &["a version of `shop`"]),
        stays("x: {registry: r.io, name: acme/shop, tag: v1.0.0}\n", &["a version of `shop`"]),
        stays("data: {SHOP_IMAGE: r.io/acme/shop, SHOP_TAG: v1.0.0}\n", &["a version of `shop`"]),
        stays(
            "spec: {source: {repoURL: 'oci://r.io/acme/shop', targetRevision: v1.0.0}}\n",
            &["a version of `shop`"],
        ),
        Row {
            policies: "  hub: {image: acme/shop, tags: {semver: minor}}\n",
            catalog: "acme/shop: [v1.0.0, v1.2.0]\n",
            path: "d.yaml",
            before: "kind: Deployment\nenv:\n- {name: IMAGE_REGISTRY, value: r.io}\n- {name: SHOP_IMAGE, value: 'acme/shop:v1.0.0'}\n",
            after: "kind: Deployment\nenv:\n- {name: IMAGE_REGISTRY, value: r.io}\n- {name: SHOP_IMAGE, value: 'acme/shop:v1.0.0'}\n",
            says: &["left alone"],
        },
        Row {
            policies: SHOP,
            catalog: TAGS,
            path: "kustomization.yaml",
            before: "images:\n- {name: r.io/acme/shop, newTag: v1.0.0}\n- {name: r.io/acme/shop, digest: '@A'}\n",
            after: "images:\n- {name: r.io/acme/shop, newTag: v1.0.0}\n- {name: r.io/acme/shop, digest: '@A'}\n",
            says: &["the entry in line 3 changes this image once more"],
        },
        Row {
            policies: "  hub: {image: acme/shop, tags: {semver: minor}}\n",
            catalog: "acme/shop: [v1.0.0, v1.2.0]\n",
            path: "kustomization.yaml",
            before: "images:\n- {name: x, newName: acme/shop, newTag: v1.0.0}\n- {name: acme/shop, newName: r.io/acme/shop}\n",
            after: "images:\n- {name: x, newName: acme/shop, newTag: v1.0.0}\n- {name: acme/shop, newName: r.io/acme/shop}\n",
            says: &["the entry in line 3 changes this image once more"],
        },
    ]);
}

/// A number that only looks like a version of an image is nobody's business.
#[test]
fn what_is_no_version_of_an_image_is_not_told() {
    let world = World::new();
    let files = [
        (
            "policies/p.yaml",
            "images: {shop: {image: r.io/acme/shop, tags: {semver: minor}}, g: {image: grafana/grafana, tags: {semver: minor}}}\n",
        ),
        ("a.yaml", "image: r.io/acme/shop:v1.0.0\nb: {image: 'grafana/grafana:1.0.0'}\n"),
        ("Chart.yaml", "apiVersion: v2\nname: web\nhome: r.io/acme/shop\nversion: 0.1.0\n"),
        (
            "b.yaml",
            "metadata: {annotations: {image-source: r.io/acme/shop, deployment.kubernetes.io/revision: '3'}}\n",
        ),
        (
            "c.yaml",
            "x: {github.com/project-slug: grafana/grafana, backstage.io/version: '1.2'}\ny: {repository: grafana/grafana, go-version: '1.22'}\nz: {repo: grafana/grafana, revision: v1.2.3}\n",
        ),
        (
            "d.yaml",
            "x: {upstream: r.io/acme/shop, stage: p1, minTlsVersion: '1.2', schemaVersion: v1}\n",
        ),
    ];
    let tree = world.tree(&files);
    let catalog = world.file("c.yaml", "r.io/acme/shop: [v1.0.0]\ngrafana/grafana: [1.0.0]\n");
    let out = world.bot(["plan", "--repo", arg(&tree), "--catalog", arg(&catalog)]).run().exits(0);
    assert!(!out.stderr.contains("a version of"), "{}", out.stderr);
}

/// A variable or a template in the name is reported, in whichever key it stands.
#[test]
fn a_name_with_a_variable_in_it_is_told() {
    const DECIDED: &[&str] = &["is decided by the variable `REGISTRY`"];
    hold(&[
        stays("image: {repository: '${REGISTRY}/acme/shop', tag: v1.0.0}\n", DECIDED),
        stays("image: {registry: '${REGISTRY}', repository: acme/shop, tag: v1.0.0}\n", DECIDED),
        stays("image: {repository: '${REGISTRY:-}/acme/shop', tag: v1.0.0}\n", DECIDED),
        stays("imageName: $REGISTRY/acme/shop\nimageTag: v1.0.0\n", DECIDED),
        stays(
            "image: {registry: '{{ .Values.global.registry }}', repository: acme/shop, tag: v1.0.0}\n",
            &["the template `{{ .Values.global.registry }}` decides it"],
        ),
        shop(
            "image: {repository: '${REGISTRY:=r.io}/acme/shop', tag: v1.0.0}\n",
            "image: {repository: '${REGISTRY:=r.io}/acme/shop', tag: v1.1.0}\n",
            &[],
        ),
    ]);
}

/// Flux's meaning stands, and a digest that stays behind is told.
#[test]
fn a_marked_digest_that_no_policy_finds_is_told() {
    let flux = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: shop, namespace: f}\nspec: {image: r.io/acme/shop}\n---\n\
                apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: shop, namespace: f}\n\
                spec: {imageRepositoryRef: {name: shop}, policy: {semver: {range: 1.x}}}\n---\n\
                apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {name: all, namespace: f}\n\
                spec: {sourceRef: {kind: GitRepository, name: s}, git: {commit: {author: {email: a@b.c}}}, update: {path: ./apps, strategy: Setters}}\n";
    let place = filled(
        "images:\n- name: r.io/acme/shop\n  newTag: v1.0.0 # {\"$imagepolicy\": \"f:shop:tag\"}\n  digest: '@A' # {\"$imagepolicy\": \"f:shop:digest\"}\n",
    );
    let world = World::new();
    let tree = world.tree(&[("flux.yaml", flux), ("apps/kustomization.yaml", &*place)]);
    let catalog = world.file("catalog.yaml", "r.io/acme/shop: [v1.0.0, v1.1.0]\n");
    let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
    let out = world.bot(args.into_iter().chain(["--deliver", "worktree"])).run();
    assert!(out.stdout.contains("marker.overwrites"), "{}\n{}", out.stdout, out.stderr);
    assert!(out.stdout.contains("stays as it is"), "{}", out.stdout);
}

/// Whatever names a policy's image with a version is reported, where nothing claims it.
#[test]
fn what_nothing_claims_is_told_by_its_line() {
    hold(&[
        stays(
            "args:\n- --sidecar=r.io/acme/shop:v1.0.0\nthing: r.io/acme/shop:v1.0.0\n",
            &["site.unclaimed", "(lines 2, 3)", "# tagalong: shop` behind it"],
        ),
        stays(
            "run: docker://r.io/acme/shop@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
            &["site.unclaimed", "(line 1)"],
        ),
        stays("a: 'We ran r.io/acme/shop:v1.0.0 once'\n", &["comments and documents name"]),
        stays("a: 1 # r.io/acme/shop:v1.0.0\n", &["comments and documents name"]),
        // What is whole under another key takes its digest along.
        shop(
            "SHOP_IMAGE: r.io/acme/shop:v1.0.0\nSHOP_DIGEST: '@A'\n",
            "SHOP_IMAGE: r.io/acme/shop:v1.1.0\nSHOP_DIGEST: '@B'\n",
            &[],
        ),
    ]);
    let world = World::new();
    let policies = "images:\n  shop: {image: r.io/acme/shop, tags: {semver: minor}}\n";
    let marked = "spec:\n  image: r.io/acme/shop:v1.0.0 # tagalong: shop\n  n: {{ n }}\n";
    let tree = world.tree(&[
        ("policies/p.yaml", policies),
        ("Dockerfile", "FROM scratch\nFROM r.io/acme/shop:v1.0.0 AS a\n"),
        ("main.tf", "image = \"r.io/acme/shop:v1.0.0\"\n"),
        ("silent.tf", "image = \"r.io/acme/shop:v1.0.0\" # tagalong: ignore\n"),
        ("docs/a.md", "image: r.io/acme/shop:v1.0.0 # tagalong: shop\n"),
        ("pod.yaml.j2", marked),
        ("marked.tf", "image = \"r.io/acme/shop:v1.0.0\" # tagalong: shop\n"),
        ("run.sh", "IMG=r.io/acme/shop:v1.0.0 # tagalong: shop\nV=v1.0.0 # tagalong: shop:tag\n"),
        ("a.ts", "const a = {tag: 'v1.0.0'}; // tagalong: shop:tag\n"),
        ("two.sh", "run r.io/acme/shop:v1.0.0 r.io/acme/shop:v1.0.0 # tagalong: shop\n"),
        ("templates/a.yaml", "{{ if x }}\nname: acme/shop-db\n{{ end }}\n"),
        ("templates/b.yaml", "{{ if x }}\nname: acme/shop-web\n{{ end }}\n"),
        ("templates/c.yaml", "{{ if x }}\nimage: r.io/acme/shop:{{ tag }}\n{{ end }}\n"),
        ("binary.dat", "acme/shop\u{0}\u{1}"),
    ]);
    let catalog = world.file("catalog.yaml", "r.io/acme/shop: [v1.0.0, v1.1.0]\n");
    let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog)];
    let out = world.bot(args.into_iter().chain(["--deliver", "worktree"])).run();
    let said = format!("{}{}", out.stdout, out.stderr);
    for words in [
        "stand in files that are not read as YAML (Dockerfile:2, main.tf:1",
        "comments and documents name images of policies (docs/a.md:1)",
        "name no version of an image, are left alone (templates/a.yaml, templates/b.yaml)",
        "templates/c.yaml",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert!(!said.contains("silent.tf") && !said.contains("binary.dat"), "{said}");
    let now = std::fs::read_to_string(tree.join("pod.yaml.j2")).unwrap();
    assert_eq!(now, marked.replace("v1.0.0", "v1.1.0"));
    for path in ["marked.tf", "run.sh", "a.ts"] {
        let now = std::fs::read_to_string(tree.join(path)).unwrap();
        assert!(now.contains("v1.1.0") && !now.contains("v1.0.0"), "{path}\n{now}\n{said}");
    }
    assert!(said.contains("two.sh:1"), "{said}");
    let now = std::fs::read_to_string(tree.join("docs/a.md")).unwrap();
    assert!(now.contains("v1.0.0"), "{now}");
}
