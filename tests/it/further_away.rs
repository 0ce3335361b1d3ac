//! What decides over an image from further away: groups of digests, registries, kustomizations, variables.

use crate::rows::{Row, filled, hold};
use crate::world::{World, arg};

/// Each of these once moved a tag beside a digest that stayed, or took a name for one of Docker Hub.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_stands_further_away_counts() {
    const SHOP: &str = "  shop: {image: r.io/acme/shop, tags: {semver: minor}}\n";
    const TAGS: &str =
        "r.io/acme/shop: [{tag: v1.0.0, digest: '@A'}, {tag: v1.1.0, digest: '@B'}]\n";
    const REDIS: &str = "  redis: {image: redis, tags: {semver: minor}}\n";
    const OFFICIAL: &str = "docker.io/library/redis: [7.0.0, 7.1.0]\n";
    let stays = |before: &'static str, line: &'static str| Row {
        policies: SHOP,
        catalog: TAGS,
        path: "values.yaml",
        before,
        after: before,
        says: vec![line].leak(),
    };
    let is_of_another = |before: &'static str| Row {
        policies: REDIS,
        catalog: OFFICIAL,
        path: "values.yaml",
        before,
        after: before,
        says: &["site.unsupported", "or one of another registry"],
    };
    let moves = |before: &'static str, after: &'static str| Row {
        policies: SHOP,
        catalog: TAGS,
        path: "values.yaml",
        before,
        after,
        says: &[],
    };
    hold(&[
        stays(
            "image:\n  repository: r.io/acme/shop\n  tag: v1.0.0\n  pin: {digest: '@A'}\n",
            "\"line\":4",
        ),
        stays(
            "image:\n  repository: r.io/acme/shop\n  tag: v1.0.0\n  digests:\n    amd64: '@A'\n",
            "\"line\":5",
        ),
        stays(
            "image:\n  repository: r.io/acme/shop\n  tag: v1.0.0\n  digests:\n  - '@A'\n",
            "\"line\":5",
        ),
        stays(
            "shop: {repository: r.io/acme/shop, tag: v1.0.0}\ndigests:\n  shop: '@A'\n",
            "\"line\":3",
        ),
        stays(
            "image: {repository: r.io/acme/shop, tag: v1.0.0}\ndigests: {arm64: '#A'}\n",
            "\"line\":2",
        ),
        stays(
            "global: {imageDigest: '@A'}\nimage: {repository: r.io/acme/shop, tag: v1.0.0}\n",
            "\"line\":1",
        ),
        stays(
            "global:\n  image:\n    digest: '@A'\nimage: {repository: r.io/acme/shop, tag: v1.0.0}\n",
            "\"line\":3",
        ),
        stays(
            "image:\n  repository: r.io/acme/shop\n  tag: v1.0.0\n  checksum: '#A'\n",
            "\"line\":4",
        ),
        stays(
            "image:\n  repository: r.io/acme/shop\n  tag: v1.0.0\n  fingerprint: '@A'\n",
            "\"line\":4",
        ),
        stays(
            "a:\n  image: r.io/acme/shop:v1.0.0\n  pinned: r.io/acme/shop:v1.0.0@@A\n",
            "\"line\":3",
        ),
        moves(
            "a:\n  image: r.io/acme/shop:v1.0.0\n  other: r.io/acme/web:v1.0.0@@A\n",
            "a:\n  image: r.io/acme/shop:v1.1.0\n  other: r.io/acme/web:v1.0.0@@A\n",
        ),
        moves(
            "shop:\n  repository: r.io/acme/shop\n  tag: v1.0.0\nshopDigest: '@A'\n",
            "shop:\n  repository: r.io/acme/shop\n  tag: v1.1.0\nshopDigest: '@B'\n",
        ),
        moves(
            "env:\n- {name: SHOP_IMAGE, value: 'r.io/acme/shop:v1.0.0'}\n- {name: SHOP_DIGEST, value: '@A'}\n",
            "env:\n- {name: SHOP_IMAGE, value: 'r.io/acme/shop:v1.1.0'}\n- {name: SHOP_DIGEST, value: '@B'}\n",
        ),
        moves(
            "kind: Application\nhelm:\n  parameters:\n  - {name: image.repository, value: r.io/acme/shop}\n  - {name: image.tag, value: v1.0.0}\n  - {name: imageDigest, value: '@A'}\n",
            "kind: Application\nhelm:\n  parameters:\n  - {name: image.repository, value: r.io/acme/shop}\n  - {name: image.tag, value: v1.1.0}\n  - {name: imageDigest, value: '@B'}\n",
        ),
        moves(
            "helm:\n  parameters:\n  - {name: shop.image.repository, value: r.io/acme/shop}\n  - {name: shop.image.tag, value: v1.0.0}\n  - {name: shop.digest, value: '@A'}\n",
            "helm:\n  parameters:\n  - {name: shop.image.repository, value: r.io/acme/shop}\n  - {name: shop.image.tag, value: v1.1.0}\n  - {name: shop.digest, value: '@B'}\n",
        ),
        stays(
            "spec:\n  values:\n    global: {imageDigest: '@A'}\n    image: {repository: r.io/acme/shop, tag: v1.0.0}\n",
            "\"line\":3",
        ),
        stays(
            "helm:\n  parameters:\n  - {name: image.repository, value: r.io/acme/shop}\n  - {name: image.tag, value: v1.0.0}\n  - {name: global.imageDigest, value: '@A'}\n",
            "\"line\":5",
        ),
        // A sum of something else, in a group of its own or beside another image, holds no change back.
        moves(
            "image: {repository: r.io/acme/shop, tag: v1.0.0}\ntool: {sha256: '#A'}\nother: {image: r.io/x, digest: '@A'}\n",
            "image: {repository: r.io/acme/shop, tag: v1.1.0}\ntool: {sha256: '#A'}\nother: {image: r.io/x, digest: '@A'}\n",
        ),
        is_of_another("registry: {url: registry.acme.io}\nredis: {image: 'redis:7.0.0'}\n"),
        is_of_another(
            "registry: {host: 'registry.acme.io:5000'}\nredis: {repository: redis, tag: 7.0.0}\n",
        ),
        // A registry beside the mapping of an image, or beside keys that are called for one, may be its.
        is_of_another("registry: registry.acme.io\nimage: {repository: redis, tag: 7.0.0}\n"),
        is_of_another("registry: registry.acme.io\nredisImage: redis\nredisTag: 7.0.0\n"),
        is_of_another("repository: ghcr.io/corp\nredis: {repository: redis, tag: 7.0.0}\n"),
        is_of_another("repo: ghcr.io/corp\nredis: {image: 'redis:7.0.0'}\n"),
        is_of_another("imageRepoHost: ghcr.io/corp\nredis: {image: 'redis:7.0.0'}\n"),
        is_of_another("global: {dockerMirror: 'ghcr.io/corp'}\nredis: {image: 'redis:7.0.0'}\n"),
        is_of_another(
            "env:\n- {name: REGISTRY, value: registry.acme.io}\n- {name: REDIS_IMAGE, value: 'redis:7.0.0'}\n",
        ),
        Row {
            policies: REDIS,
            catalog: OFFICIAL,
            path: "values.yaml",
            before: "repository: https://charts.acme.io\nchart: {repository: charts.acme.io, name: x}\nredis: {image: 'redis:7.0.0'}\n",
            after: "repository: https://charts.acme.io\nchart: {repository: charts.acme.io, name: x}\nredis: {image: 'redis:7.1.0'}\n",
            says: &[],
        },
        Row {
            policies: REDIS,
            catalog: OFFICIAL,
            path: "a.yaml",
            before: "a:\n  image: redis:7.0.0 # Tagalong: ignore\nb:\n  image: redis:7.0.0 # tagalong : redis\n",
            after: "a:\n  image: redis:7.1.0 # Tagalong: ignore\nb:\n  image: redis:7.1.0 # tagalong : redis\n",
            says: &["marker.idle", "\"line\":2", "\"line\":4"],
        },
    ]);
}

/// What a run in `tree` makes of one of its files, and says.
pub fn after(files: &[(&str, &str)], catalog: &str, path: &str) -> (String, String) {
    let world = World::new();
    let tree = world.tree(files);
    let catalog = world.file("catalog.yaml", catalog);
    let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
    let out = world.bot(args.into_iter().chain(["--deliver", "worktree"])).run();
    (std::fs::read_to_string(tree.join(path)).unwrap(), out.stdout)
}

#[test]
fn an_image_that_kustomize_renames_is_not_decided_by_the_old_name() {
    let policies = "images:\n  redis: {image: redis, tags: {semver: major}}\n  own: {image: ghcr.io/acme/redis, tags: {semver: major}}\n";
    let base = "kind: Deployment\nspec:\n  image: redis:7.0.0\n";
    let catalog = "docker.io/library/redis: [7.0.0, 8.0.0]\nghcr.io/acme/redis: [7.0.0, 7.1.0]\n";
    let kustomization = |item: &str| format!("resources: [../base]\nimages:\n- {item}\n");
    for (item, want) in [
        ("{name: redis, newName: ghcr.io/acme/redis}", base),
        ("{name: redis, newName: ghcr.io/acme/redis, digest: '@A'}", base),
        // The tag in the base does not count.
        (
            "{name: redis, newName: ghcr.io/acme/redis, newTag: 7.0.0}",
            &base.replace("7.0.0", "8.0.0"),
        ),
        ("{name: nginx, newName: ghcr.io/acme/nginx}", &base.replace("7.0.0", "8.0.0")),
    ] {
        let kustomization = filled(&kustomization(item));
        let files = [
            ("policies/p.yaml", policies),
            ("base/a.yaml", base),
            ("prod/kustomization.yaml", &kustomization),
        ];
        let (got, said) = after(&files, catalog, "base/a.yaml");
        assert_eq!(got, want, "{item} {said}");
        let is_said = said
            .contains("the new name in line 3 of prod/kustomization.yaml is `ghcr.io/acme/redis`");
        assert_eq!(is_said, want == base, "{item} {said}");
    }
}

/// A component changes what those who take it take.
#[test]
fn a_component_renames_what_lies_beside_it() {
    let policies = "images:\n  redis: {image: redis, tags: {semver: major}}\n";
    let base = "kind: Deployment\nspec:\n  image: redis:7.0.0\n";
    let component = "kind: Component\nimages: [{name: redis, newName: q.io/redis}]\n";
    for (taker, want) in [
        ("resources: [../base]\ncomponents: [../comp]\n", base),
        ("resources: [../mid]\ncomponents: [../comp]\n", base),
        ("resources: [../base]\n", &base.replace("7.0.0", "8.0.0")),
    ] {
        let files = [
            ("policies/p.yaml", policies),
            ("base/a.yaml", base),
            ("mid/kustomization.yaml", "resources: [../base]\n"),
            ("comp/kustomization.yaml", component),
            ("prod/kustomization.yaml", taker),
        ];
        let (got, said) = after(&files, "docker.io/library/redis: [7.0.0, 8.0.0]\n", "base/a.yaml");
        assert_eq!(got, want, "{taker} {said}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn flux_policies_that_get_another_name_are_left_out() {
    let flux = |image: &str, range: &str| {
        format!(
            "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {{name: shop, namespace: apps}}\nspec: {{image: '{image}'}}\n---\n\
             apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {{name: shop, namespace: apps}}\n\
             spec: {{imageRepositoryRef: {{name: shop}}, policy: {{semver: {{range: '{range}'}}}}}}\n---\n\
             apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata: {{name: all, namespace: apps}}\nspec: {{update: {{path: ./}}}}\n"
        )
    };
    let site = "image: r.io/shop:1.0.0 # {\"$imagepolicy\": \"apps:shop\"}\n";
    let moved = site.replace("1.0.0", "1.1.0");
    let kustomization = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k, namespace: apps}\n";
    let sets = format!(
        "{kustomization}spec: {{path: ./flux, postBuild: {{substitute: {{REG: r.io, RANGE: 1.x}}}}}}\n"
    );
    let from = format!(
        "{kustomization}spec: {{path: ./flux, postBuild: {{substituteFrom: [{{kind: ConfigMap, name: x}}]}}}}\n"
    );
    let target = format!("{kustomization}spec: {{path: ./flux, targetNamespace: other}}\n");
    let cases = [
        ("x/kustomization.yaml", "resources: [../flux]\n", "r.io/shop", "1.x", &*moved, ""),
        (
            "x/kustomization.yaml",
            "resources: [../flux]\nnamePrefix: dev-\n",
            "r.io/shop",
            "1.x",
            site,
            "x/kustomization.yaml:2 gives it another name",
        ),
        (
            "x/kustomization.yaml",
            "resources: [../mid]\nnamePrefix: dev-\n",
            "r.io/shop",
            "1.x",
            site,
            "x/kustomization.yaml:2 gives it another name",
        ),
        (
            "x/kustomization.yaml",
            "nameSuffix: -dev\nresources: [../flux/all.yaml]\n",
            "r.io/shop",
            "1.x",
            site,
            "x/kustomization.yaml:1 gives",
        ),
        (
            "x/kustomization.yaml",
            "namePrefix: dev-\nresources: [../other]\n",
            "r.io/shop",
            "1.x",
            &moved,
            "",
        ),
        (
            "flux/kustomization.yaml",
            "resources: [all.yaml]\nnamespace: other\n",
            "r.io/shop",
            "1.x",
            site,
            "flux/kustomization.yaml:2 gives",
        ),
        (
            "flux/kustomization.yaml",
            "resources: [all.yaml]\nnamespace: apps\n",
            "r.io/shop",
            "1.x",
            &moved,
            "",
        ),
        ("k.yaml", &target, "r.io/shop", "1.x", site, "k.yaml:4 gives"),
        ("k.yaml", &sets, "${REG}/shop", "${RANGE}", &moved, ""),
        ("k.yaml", &sets, "${REG:=q.io}/shop", "${RANGE:=*}", &moved, ""),
        ("k.yaml", &from, "${REG:=q.io}/shop", "1.x", site, "holds the variable `REG`"),
        ("k.yaml", &from, "r.io/shop", "${RANGE:-*}", site, "holds the variable `RANGE`"),
        ("k.yaml", &sets, "${HOST}/shop", "1.x", site, "holds the variable `HOST`"),
        ("k.yaml", &sets, "r.io/shop", "${LEVEL}", site, "holds the variable `LEVEL`"),
    ];
    for (path, text, image, range, want, says) in cases {
        let all = flux(image, range);
        let mid = ("mid/kustomization.yaml", "resources: [../flux]\n");
        let files = [("flux/all.yaml", &*all), mid, ("a.yaml", site), (path, text)];
        let (got, said) = after(&files, "r.io/shop: [1.0.0, 1.1.0]\n", "a.yaml");
        assert_eq!(got, want, "{path} {text} {said}");
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn variables_that_cannot_be_read_are_told() {
    let world = World::new();
    let policies = "images:\n  shop: {image: r.io/shop, tags: {semver: '*'}}\n";
    let compose = "services:\n  shop: {image: 'r.io/shop:${TAG:-1.0.0}'}\n";
    let tree = world.tree(&[("policies/p.yaml", policies), ("compose.yaml", compose)]);
    std::fs::write(tree.join(".env"), b"TAG=\xff\n").unwrap();
    let catalog = world.file("catalog.yaml", "r.io/shop: [1.0.0]\n");
    let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
    let out = world.bot(args).run();
    assert!(
        out.stdout.contains("\"code\":\"file.unreadable\",\"path\":\".env\""),
        "{}",
        out.stdout
    );
}

/// A variable that a `Kustomization` sets runs as that, whatever its default is.
#[test]
fn a_default_that_does_not_count_is_left_alone() {
    let policies = "images:\n  shop: {image: r.io/shop, tags: {semver: '*'}}\n  redis: {image: redis, tags: {semver: '*'}}\n";
    let kustomization = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k}\nspec:\n  path: ./app\n  postBuild:\n";
    let catalog = "r.io/shop: [v1.0.0, v1.1.0]\ndocker.io/library/redis: [7.0.0, 7.1.0]\n";
    let site = "kind: Deployment\nspec: {image: 'r.io/shop:${T:=v1.0.0}'}\n";
    let moved = site.replace("v1.0.0", "v1.1.0");
    for (path, set, want, says) in [
        ("app/a.yaml", "    substitute: {T: v0.9.0}\n", site, "ks.yaml:7 sets"),
        (
            "app/a.yaml",
            "    substituteFrom: [{kind: ConfigMap, name: c}]\n",
            site,
            "ks.yaml:7 sets",
        ),
        ("app/a.yaml", "    substitute: {OTHER: x}\n", &moved, ""),
        ("other/a.yaml", "    substitute: {T: v0.9.0}\n", &moved, ""),
        ("base/a.yaml", "    substitute: {T: v0.9.0}\n", site, "ks.yaml:7 sets"),
    ] {
        let kustomization = format!("{kustomization}{set}");
        let taken = ("app/kustomization.yaml", "resources: [../base]\n");
        let files =
            [("policies/p.yaml", policies), ("ks.yaml", &kustomization), taken, (path, site)];
        let (got, said) = after(&files, catalog, path);
        assert_eq!(got, want, "{path} {set} {said}");
        assert!(said.contains(says), "{says} {said}");
    }
    // An empty default in front of a name is where a registry goes.
    for text in ["${REG:-}redis:7.0.0", "${REG-}redis:7.0.0", "${REG:-}library/redis:7.0.0"] {
        let compose = format!("services:\n  redis: {{image: '{text}'}}\n");
        let files = [("policies/p.yaml", policies), ("compose.yaml", &*compose)];
        let (got, said) = after(&files, catalog, "compose.yaml");
        assert_eq!(got, compose, "{said}");
        assert!(said.contains("`REG`"), "{said}");
    }
}

/// Seven digits are a commit where others of seven have letters.
#[test]
fn a_commit_of_digits_is_no_count() {
    let policies = "images:\n  shop: {image: r.io/shop, tags: {semver: minor}}\n";
    for (deployed, listed, want) in [
        (
            "1.4.0-abcdef1",
            "1.4.0-abcdef1, 1.4.0-abcdef2, 1.4.0-1234567, 1.4.0-7654321",
            "1.4.0-abcdef1",
        ),
        ("1.4.0-1234567", "1.4.0-1234567, 1.4.0-abcdef1, 1.4.0-9999999", "1.4.0-1234567"),
        ("1.4.0-abcdef1", "1.4.0-abcdef1, 1.5.0-1234567", "1.5.0-1234567"),
        ("1.4.0-20240101", "1.4.0-20240101, 1.4.0-20240301", "1.4.0-20240301"),
        (
            "3.9.9-eclipse-temurin-17",
            "3.9.9-eclipse-temurin-17, 3.9.9-eclipse-temurin-21",
            "3.9.9-eclipse-temurin-17",
        ),
    ] {
        let site = |tag: &str| format!("image: r.io/shop:{tag}\n");
        let (before, catalog) = (site(deployed), format!("r.io/shop: [{listed}]\n"));
        let files = [("policies/p.yaml", policies), ("a.yaml", &*before)];
        let (got, said) = after(&files, &catalog, "a.yaml");
        assert_eq!(got, site(want), "{said}");
    }
}

/// Compose reads a file that a service extends with the variables of the project, not with those beside the file.
#[test]
fn who_extends_a_service_sets_its_variables() {
    let policies = "images:\n  shop: {image: r.io/shop, tags: {semver: minor}}\n";
    let base = "services:\n  base: {image: 'r.io/shop:${T:-v1.0.0}'}\n";
    let middle = "services:\n  mid: {extends: {file: base.yml, service: base}}\n";
    for (project, env, want) in [
        (
            "services: {shop: {extends: {file: ../parts/base.yml, service: base}}}\n",
            "T=v0.9.0\n",
            base,
        ),
        (
            "services: {shop: {extends: {file: ../parts/mid.yml, service: mid}}}\n",
            "T=v0.9.0\n",
            base,
        ),
        (
            "services: {shop: {extends: {file: ../parts/base.yml, service: base}}}\n",
            "X=1\n",
            &base.replace("v1.0.0", "v1.1.0"),
        ),
    ] {
        let files = [
            ("policies/p.yaml", policies),
            ("app/compose.yaml", project),
            ("app/.env", env),
            ("parts/base.yml", base),
            ("parts/mid.yml", middle),
        ];
        let (got, said) = after(&files, "r.io/shop: [v1.0.0, v1.1.0]\n", "parts/base.yml");
        assert_eq!(got, want, "{project} {said}");
        assert_eq!(said.contains("app/.env:1 sets"), got == base, "{said}");
    }
}

/// A digest behind a tag is written nowhere where its reader takes none.
#[test]
fn a_tag_whose_reader_takes_no_digest_is_told() {
    let policies = "images:\n  shop: {image: r.io/acme/shop, tags: {semver: minor}, digest: pin}\n";
    let catalog =
        filled("r.io/acme/shop: [{tag: v1.0.0, digest: '@A'}, {tag: v1.1.0, digest: '@B'}]\n");
    for (path, text) in [
        (
            "prod/oci.yaml",
            "kind: OCIRepository\nmetadata: {name: shop}\nspec:\n  ref:\n    tag: v1.0.0 # tagalong: shop:tag@digest\n",
        ),
        (
            "charts/shop/Chart.yaml",
            "apiVersion: v2\nname: shop\nversion: 1.0.0\nappVersion: v1.0.0 # tagalong: shop:tag@digest\n",
        ),
    ] {
        let files = [("policies/p.yaml", policies), (path, text)];
        let (got, said) = after(&files, &catalog, path);
        assert_eq!(got, text, "{said}");
        assert!(said.contains("no digest"), "{said}");
    }
}

/// What a template holds plain becomes YAML, and gets its type there.
#[test]
fn a_target_writes_no_number_into_a_template() {
    let policies = |path: &str| {
        format!(
            "images:\n  shop:\n    image: r.io/shop\n    tags: {{match: '.*', newest: pushed}}\n    targets:\n    - {{files: '{path}', match: 'tag: \"?(?<tag>[a-z0-9]+)'}}\n"
        )
    };
    let catalog = "r.io/shop:\n- {tag: a0b1c2d, pushed: 2026-01-01T00:00:00Z}\n- {tag: 1e5, pushed: 2026-02-01T00:00:00Z}\n";
    for (path, before, after_it) in [
        ("x.tpl", "tag: a0b1c2d\n", "tag: \"1e5\"\n"),
        ("x.tpl", "tag: \"a0b1c2d\"\n", "tag: \"1e5\"\n"),
        ("x.txt", "tag: a0b1c2d\n", "tag: 1e5\n"),
    ] {
        let policies = policies(path);
        let files = [("policies/p.yaml", &*policies), (path, before)];
        let (got, said) = after(&files, catalog, path);
        assert_eq!(got, after_it, "{path} {said}");
    }
}
