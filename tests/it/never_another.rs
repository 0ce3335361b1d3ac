//! Never another image than was meant: small inputs on which a run once wrote, kept or chose a wrong one, with what is right.

use crate::world::{World, arg};

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const HA: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HB: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// One file and what a run makes of it.
pub struct Row {
    /// The policies, below `images`.
    pub policies: &'static str,
    /// What registries list.
    pub catalog: &'static str,
    pub path: &'static str,
    pub before: &'static str,
    /// The same as `before` where the file stays.
    pub after: &'static str,
    /// What the run says, each in one line.
    pub says: &'static [&'static str],
}

/// Texts in which `@A`, `@B` stand for digests, and `#A`, `#B` for their digits.
pub fn filled(text: &str) -> String {
    text.replace("@A", A).replace("@B", B).replace("#A", HA).replace("#B", HB)
}

pub fn hold(rows: &[Row]) {
    for row in rows {
        let world = World::new();
        let policies = format!("images:\n{}", row.policies);
        let before = filled(row.before);
        let tree = world.tree(&[("policies/p.yaml", &*policies), (row.path, &*before)]);
        let catalog = world.file("catalog.yaml", &filled(row.catalog));
        let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
        let more = ["--deliver", "worktree", "--now", "2026-11-28T00:00:00Z"];
        let out = world.bot(args.into_iter().chain(more)).run();
        let got = std::fs::read_to_string(tree.join(row.path)).unwrap();
        assert_eq!(got, filled(row.after), "{}\n{}\n{}", row.policies, out.stdout, out.stderr);
        for words in row.says {
            assert!(out.stdout.contains(words), "{words}\n{}\n{}", row.before, out.stdout);
        }
        assert_eq!(out.code, 0, "{}\n{}", row.before, out.stdout);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_another_reader_broke_holds() {
    hold(&[
        // The digest's key is above the image's mapping, and empty.
        Row {
            policies: "  shop: {image: r.io/acme/shop, tags: {semver: minor}, digest: pin}\n",
            catalog: "r.io/acme/shop: [{tag: v1.0.0, digest: '@A'}, {tag: v1.1.0, digest: '@B'}]\n",
            path: "values.yaml",
            before: "web:\n  image: {repository: r.io/acme/shop, tag: v1.0.0}\n  imageDigest: ''\n",
            after: "web:\n  image: {repository: r.io/acme/shop, tag: v1.1.0}\n  imageDigest: '@B'\n",
            says: &[],
        },
        // The sum of a download is not the image's digest, or nobody can tell.
        Row {
            policies: "  shop: {image: r.io/acme/shop, tags: {semver: minor}}\n",
            catalog: "r.io/acme/shop: [{tag: v1.0.0, digest: '@A'}, {tag: v1.1.0, digest: '@B'}]\n",
            path: "values.yaml",
            before: "shop:\n  image: r.io/acme/shop:v1.0.0\n  url: https://x/y.tgz\n  sha256: '#A'\n",
            after: "shop:\n  image: r.io/acme/shop:v1.0.0\n  url: https://x/y.tgz\n  sha256: '#A'\n",
            says: &["site.unsupported"],
        },
        // A flavour with a number of its own in front.
        Row {
            policies: "  a: {image: r.io/a, tags: {semver: minor}}\n",
            catalog: "r.io/a: [php8.2-2.5.0, php8.3-1.0.0, php8.2-2.6.0]\n",
            path: "d.yaml",
            before: "image: r.io/a:php8.2-2.5.0\n",
            after: "image: r.io/a:php8.2-2.6.0\n",
            says: &[],
        },
        // Dates and commits are no counts.
        Row {
            policies: "  a: {image: r.io/a, tags: {semver: minor}}\n",
            catalog: "r.io/a: [1.0.0-1, 1.0.0-2, 1.0.0-20240301, 1.0.0-9182736]\n",
            path: "d.yaml",
            before: "image: r.io/a:1.0.0-1\n",
            after: "image: r.io/a:1.0.0-2\n",
            says: &[],
        },
        // The registry is named by Rancher's key.
        Row {
            policies: "  a: {image: rancher/kubectl, tags: {semver: minor}}\n",
            catalog: "rancher/kubectl: [v1.28.0, v1.29.0]\n",
            path: "values.yaml",
            before: "global: {cattle: {systemDefaultRegistry: registry.corp.io}}\nkubectl: {image: {repository: rancher/kubectl, tag: v1.28.0}}\n",
            after: "global: {cattle: {systemDefaultRegistry: registry.corp.io}}\nkubectl: {image: {repository: rancher/kubectl, tag: v1.28.0}}\n",
            says: &["site.unsupported"],
        },
        stays(
            "base: &b {digest: '@A'}\nweb: {image: {<<: *b, repository: r.io/acme/shop, tag: v1.0.0}}\n",
            &["site.unsupported"],
        ),
        stays(
            "base: &b {repository: r.io/acme/shop, tag: v1.0.0}\nweb: {image: {<<: *b, digest: '@A'}}\n",
            &["site.unsupported"],
        ),
        shop(
            "controller:\n  image: {repository: r.io/acme/shop, tag: v1.0.0}\n  imageDigest: @A\n",
            "controller:\n  image: {repository: r.io/acme/shop, tag: v1.1.0}\n  imageDigest: @B\n",
            &[],
        ),
        stays(
            "repository: r.io/acme/shop\ntag: v1.0.0\nrepoDigest: r.io/acme/shop@@A\n",
            &["site.unsupported"],
        ),
        stays(
            "spec:\n  source:\n    helm:\n      parameters: [{name: image.sha, value: #A}]\n      valuesObject: {image: {repository: r.io/acme/shop, tag: v1.0.0}}\n",
            &["`image.sha` in line 4"],
        ),
        stays(
            "global: {image: {registry: m.io}}\na: {image: {registry: r.io, repository: acme/shop, tag: v1.0.0}}\n",
            &["global.image.registry"],
        ),
        stays("image: {repository: r.io/acme/other, tag: v1.0.0} # tagalong: shop\n", &[]),
        stays(
            "image:\n  repository: r.io/acme/other\n  tag: v1.0.0 # tagalong: shop:tag\n",
            &["names another image"],
        ),
        shop(
            "image: r.io/acme/shop\nimageTag: v1.0.0\nimageDigest: @A\n",
            "image: r.io/acme/shop\nimageTag: v1.1.0\nimageDigest: @B\n",
            &[],
        ),
        Row {
            policies: PINNED,
            ..stays("repository: r.io/acme/shop\ntag: v1.0.0\nhash: ''\n", &["no-place"])
        },
        Row {
            policies: PINNED,
            ..shop(
                "repository: r.io/acme/shop\ntag: v1.0.0@@A\ndigest: ''\n",
                "repository: r.io/acme/shop\ntag: v1.1.0@@B\ndigest: ''\n",
                &[],
            )
        },
        shop(
            "image: r.io/acme/shop:v1.0.0\ntoken: #A\nconfigChecksum: #A\n",
            "image: r.io/acme/shop:v1.1.0\ntoken: #A\nconfigChecksum: #A\n",
            &[],
        ),
    ]);
    let redis = "  redis: {image: redis, tags: {semver: major}}\n";
    let row = |before| Row {
        policies: redis,
        catalog: "redis: [7.2.4, 8.0.0]\n",
        path: "values.yaml",
        before,
        after: before,
        says: &["site.unsupported"],
    };
    hold(&[
        row("image: {namespace: bitnami, repository: redis, tag: 7.2.4}\n"),
        row("image: {org: bitnami, name: redis, tag: 7.2.4}\n"),
        row("image: {host: mirror.example.com, repository: redis, tag: 7.2.4}\n"),
    ]);
}

const SHOP: &str = "  shop: {image: r.io/acme/shop, tags: {semver: minor}}\n";
const PINNED: &str = "  shop: {image: r.io/acme/shop, tags: {semver: minor}, digest: pin}\n";
const TAGS: &str = "r.io/acme/shop: [{tag: v1.0.0, digest: '@A'}, {tag: v1.1.0, digest: '@B'}]\n";

/// A row for the policy `shop`.
fn shop(before: &'static str, after: &'static str, says: &'static [&'static str]) -> Row {
    Row { policies: SHOP, catalog: TAGS, path: "values.yaml", before, after, says }
}

fn stays(before: &'static str, says: &'static [&'static str]) -> Row {
    shop(before, before, says)
}

#[test]
fn a_digest_never_stays_behind_its_tag() {
    hold(&[
        shop(
            "grafana:\n  image:\n    repository: r.io/acme/shop\n    tag: v1.0.0\n    sha: \"#A\"\n",
            "grafana:\n  image:\n    repository: r.io/acme/shop\n    tag: v1.1.0\n    sha: \"#B\"\n",
            &[],
        ),
        shop(
            "shopImage: r.io/acme/shop\nshopTag: v1.0.0\nshopSha256: #A\n",
            "shopImage: r.io/acme/shop\nshopTag: v1.1.0\nshopSha256: #B\n",
            &[],
        ),
        stays(
            "image: {repository: r.io/acme/shop, tag: v1.0.0}\n---\nimage: {repository: r.io/acme/shop, tag: v1.0.0, lock: #A}\n"
                ,
            &[],
        )
        .changed_to("image: {repository: r.io/acme/shop, tag: v1.1.0}\n---\nimage: {repository: r.io/acme/shop, tag: v1.0.0, lock: #A}\n"),
        stays(
            "repository: r.io/acme/shop\ntag: v1.0.0 # tagalong: shop:tag\ndigest: @A\n",
            &["marker.unsuited", "line 3"],
        ),
        shop(
            "repository: r.io/acme/shop\ntag: v1.0.0 # tagalong: shop:tag\nsha: #A # tagalong: shop:digest\n",
            "repository: r.io/acme/shop\ntag: v1.1.0 # tagalong: shop:tag\nsha: #B # tagalong: shop:digest\n",
            &[],
        ),
        shop(
            "spec:\n  source:\n    helm:\n      parameters:\n      - {name: web.image, value: 'r.io/acme/shop:v1.0.0'}\n      - {name: web.imageDigest, value: '@A'}\n",
            "spec:\n  source:\n    helm:\n      parameters:\n      - {name: web.image, value: 'r.io/acme/shop:v1.1.0'}\n      - {name: web.imageDigest, value: '@B'}\n",
            &[],
        ),
        Row { policies: PINNED, ..shop(
            "image:\n  repository: r.io/acme/shop\n  tag: v1.0.0\n  digest: # filled by the chart\n",
            "image:\n  repository: r.io/acme/shop\n  tag: v1.1.0\n  digest: @B # filled by the chart\n",
            &[],
        ) },
        Row { policies: PINNED, ..shop(
            "kind: OCIRepository\nspec:\n  url: oci://r.io/acme/shop\n  ref: {tag: v1.0.0}\n",
            "kind: OCIRepository\nspec:\n  url: oci://r.io/acme/shop\n  ref: {tag: v1.0.0}\n",
            &["no-place"],
        ) },
        Row { policies: PINNED, ..shop(
            "spec:\n  url: oci://r.io/acme/shop\n  ref:\n    tag: v1.0.0 # tagalong: shop:tag@digest\n",
            "spec:\n  url: oci://r.io/acme/shop\n  ref:\n    tag: v1.0.0 # tagalong: shop:tag@digest\n",
            &["marker.unsuited"],
        ) },
    ]);
}

impl Row {
    fn changed_to(self, after: &'static str) -> Self {
        Self { after, ..self }
    }
}

#[test]
fn a_marker_changes_nothing_but_what_it_marks() {
    hold(&[
        stays("a: r.io/acme/shop-tools:v1.0.0 # tagalong: shop\n", &["marker.unsuited"]),
        stays("a: prefix r.io/acme/shop:v1.0.0 # tagalong: shop\n", &["marker.unsuited"]),
        stays("a: v1.0.0-${SUFFIX} # tagalong: shop:tag\n", &["marker.unsuited"]),
        stays("a: '' # tagalong: shop:tag\n", &["marker.unsuited"]),
        // A registry beside a marked name is half of it.
        stays(
            "registry: q.io\nrepository: acme/shop # tagalong: shop:repository\ntag: v1.0.0 # tagalong: shop:tag\n",
            &["marker.unsuited", "q.io/acme/shop"],
        ),
        shop(
            "registry: r.io\nrepository: acme/shop # tagalong: shop:repository\ntag: v1.0.0 # tagalong: shop:tag\n",
            "registry: r.io\nrepository: acme/shop # tagalong: shop:repository\ntag: v1.1.0 # tagalong: shop:tag\n",
            &[],
        ),
        stays("a: r.io/acme/shop # tagalong: shop\n", &["site.untagged"]),
        stays("text: |\n  one: [ # tagalong: shop\n", &["marker.idle"]),
        shop(
            "a: proxy.example.com/cache/acme/shop:v1.0.0 # tagalong: shop\n",
            "a: proxy.example.com/cache/acme/shop:v1.1.0 # tagalong: shop\n",
            &[],
        ),
        shop(
            "a: ${REGISTRY}/acme/shop:v1.0.0 # tagalong: shop\n",
            "a: ${REGISTRY}/acme/shop:v1.1.0 # tagalong: shop\n",
            &[],
        ),
        shop(
            "any: |\n  key: value\n  image: r.io/acme/shop:v1.0.0 # tagalong: shop\n",
            "any: |\n  key: value\n  image: r.io/acme/shop:v1.1.0 # tagalong: shop\n",
            &[],
        ),
    ]);
}

/// A text that nothing parses has no mapping: the lines around a tag belong to it.
#[test]
fn a_digest_never_stays_behind_its_tag_in_a_text() {
    let row = |path, before, after, says| Row { path, ..shop(before, after, says) };
    let stays = |path, before| row(path, before, before, &["marker.unsuited", "line 3"]);
    let tf = "set {\n  name  = \"image.tag\"\n  value = \"v1.0.0\" # tagalong: shop:tag\n}\nset {\n  name  = \"image.digest\"\n  value = \"@A\"\n}\n";
    hold(&[
        stays(
            "t/d.yaml",
            "{{ if .x }}\n  tag: v1.0.0 # tagalong: shop:tag\n  digest: '@A'\n{{ end }}\n",
        ),
        stays(
            "Dockerfile",
            "# x\nARG V=v1.0.0 # tagalong: shop:tag\nARG D=#A\nFROM r.io/acme/shop:$V@sha256:$D\n",
        ),
        row("main.tf", tf, tf, &["marker.unsuited", "line 7"]),
        // Those of other images, and what is to be ignored.
        row(
            "Dockerfile",
            "ARG V=v1.0.0 # tagalong: shop:tag\nFROM debian:12@@A\n",
            "ARG V=v1.1.0 # tagalong: shop:tag\nFROM debian:12@@A\n",
            &[],
        ),
        row(
            "a.sh",
            "V=v1.0.0 # tagalong: shop:tag\nSUM=#A # tagalong: ignore\n\nOTHER=#A\n",
            "V=v1.1.0 # tagalong: shop:tag\nSUM=#A # tagalong: ignore\n\nOTHER=#A\n",
            &[],
        ),
        // Marked, they move together.
        row(
            "app/.env",
            "T=v1.0.0 # tagalong: shop:tag\nD=@A # tagalong: shop:digest\n",
            "T=v1.1.0 # tagalong: shop:tag\nD=@B # tagalong: shop:digest\n",
            &[],
        ),
        row(
            "t/d.yaml",
            "{{ if .x }}\n  tag: v1.0.0 # tagalong: shop:tag\n  digest: '#A' # tagalong: shop:digest\n{{ end }}\n",
            "{{ if .x }}\n  tag: v1.1.0 # tagalong: shop:tag\n  digest: '#B' # tagalong: shop:digest\n{{ end }}\n",
            &[],
        ),
        // Pairs in a row, and one that stands apart.
        row(
            "main.tf",
            "a = \"v1.0.0\" # tagalong: shop:tag\nb = \"@A\" # tagalong: shop:digest\nc = \"v1.0.0\" # tagalong: shop:tag\nd = \"@A\" # tagalong: shop:digest\n",
            "a = \"v1.1.0\" # tagalong: shop:tag\nb = \"@B\" # tagalong: shop:digest\nc = \"v1.1.0\" # tagalong: shop:tag\nd = \"@B\" # tagalong: shop:digest\n",
            &[],
        ),
        row(
            "main.tf",
            "a = \"v1.0.0\" # tagalong: shop:tag\n\nb = \"@A\" # tagalong: shop:digest\n",
            "a = \"v1.1.0\" # tagalong: shop:tag\n\nb = \"@B\" # tagalong: shop:digest\n",
            &[],
        ),
        row(
            "a.sh",
            "A=v1.0.0 # tagalong: shop:tag\nD=@A # tagalong: shop:digest\nB=v1.0.0 # tagalong: shop:tag\n",
            "A=v1.0.0 # tagalong: shop:tag\nD=@A # tagalong: shop:digest\nB=v1.0.0 # tagalong: shop:tag\n",
            &["marker.unsuited"],
        ),
    ]);
}

#[test]
fn an_image_is_what_all_of_its_keys_say() {
    let redis = "  redis: {image: redis, tags: {semver: major}}\n  bitnami: {image: bitnami/redis, tags: {semver: major}}\n";
    let tags =
        "redis: [7.2.4, 8.0.0]\nbitnami/redis: [7.2.4, 7.4.0]\nr.io/mirror/redis: [7.2.4, 7.9.0]\n";
    let row = |before, after, says| Row {
        policies: redis,
        catalog: tags,
        path: "values.yaml",
        before,
        after,
        says,
    };
    hold(&[
        row(
            "a: {repository: bitnami, image: redis, tag: 7.2.4}\n",
            "a: {repository: bitnami, image: redis, tag: 7.4.0}\n",
            &[],
        ),
        row(
            "global: {imageRegistry: r.io}\na: {image: {repository: bitnami/redis, tag: 7.2.4}}\n",
            "global: {imageRegistry: r.io}\na: {image: {repository: bitnami/redis, tag: 7.2.4}}\n",
            &[],
        ),
        row(
            "hub: r.io/mirror\na: {image: redis, tag: 7.2.4}\n",
            "hub: r.io/mirror\na: {image: redis, tag: 7.2.4}\n",
            &[],
        ),
        row(
            "docker: {registry: r.io}\na: {image: redis, tag: 7.2.4}\n",
            "docker: {registry: r.io}\na: {image: redis, tag: 7.2.4}\n",
            &["`docker.registry` in line 1", "site.unsupported"],
        ),
        row(
            "x: {registry: ''}\na: {image: redis, tag: 7.2.4}\n",
            "x: {registry: ''}\na: {image: redis, tag: 8.0.0}\n",
            &[],
        ),
    ]);
}

/// A registry for all images may stand beside the tag for all.
#[test]
fn a_registry_beside_a_tag_is_for_what_is_beneath() {
    let row = |before, says| Row {
        policies: "  app: {image: app, tags: {semver: major}}\n  team: {image: team/app, tags: {semver: major}}\n",
        catalog: "app: [1.0.0, 9.0.0]\nteam/app: [1.0.0, 9.0.0]\n",
        path: "values.yaml",
        before,
        after: before,
        says,
    };
    hold(&[
        row("global: {hub: r.io/istio, tag: 1.0.0}\na: {image: app, tag: 1.0.0}\n", &[]),
        row("global: {hub: r.io/istio, tag: 1.0.0}\nspec: {a: {image: app, tag: 1.0.0}}\n", &[]),
        row(
            "image: {registry: r.io, tag: 1.0.0}\na: {image: app, tag: 1.0.0}\n",
            &["`image.registry` in line 1 is `r.io`"],
        ),
        row(
            "defaults: {registry: r.io, tag: 1.0.0}\na: {image: {repository: team/app, tag: 1.0.0}}\n",
            &["`defaults.registry` in line 1 is `r.io`"],
        ),
        row(
            "registry: r.io\ntag: 1.0.0\na: {image: app, tag: 1.0.0}\n",
            &["`registry` in line 1 is `r.io`"],
        ),
        row(
            "global: {imageRegistry: r.io, tag: 1.0.0}\na: {image: {repository: app, tag: 1.0.0}}\n",
            &[],
        ),
        row("imageRegistry: r.io\nimageTag: 1.0.0\nservices: {a: {image: app, tag: 1.0.0}}\n", &[]),
        row(
            "global: {registry: r.io, image: base, tag: 1.0.0}\na: {repository: team/app, tag: 1.0.0}\n",
            &["`global.registry` in line 1 is `r.io`"],
        ),
    ]);
}

/// Names that stand under other keys than most, and tags that are digests.
#[test]
fn an_image_has_its_name_under_whatever_key_it_stands() {
    hold(&[
        shop(
            "agents: {image: {name: r.io/acme/shop, tag: v1.0.0, repository: }}\n",
            "agents: {image: {name: r.io/acme/shop, tag: v1.1.0, repository: }}\n",
            &[],
        ),
        shop(
            "proxy: {image: {name: r.io/acme/shop, version: v1.0.0}}\n",
            "proxy: {image: {name: r.io/acme/shop, version: v1.1.0}}\n",
            &[],
        ),
        stays("image: {repository: r.io/acme/shop@sha256, tag: '#A'}\n", &["digest-only"]),
    ]);
}

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

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_counts_moves_and_what_does_not_stays() {
    let one = |policies, catalog, before, after, says| Row {
        policies,
        catalog,
        path: "a.yaml",
        before,
        after,
        says,
    };
    let any = "  a: {image: r.io/a, tags: {semver: major}}\n";
    let minor = "  a: {image: r.io/a, tags: {semver: minor}}\n";
    hold(&[
        one(
            any,
            "r.io/a: ['3', '4', '20240923', '917005', abc1234]\n",
            "image: r.io/a:3\n",
            "image: r.io/a:4\n",
            &[],
        ),
        one(
            any,
            "r.io/a: ['3.19', '3.20', '2024.09', '3.20240101']\n",
            "image: r.io/a:3.19\n",
            "image: r.io/a:3.20\n",
            &[],
        ),
        one(
            any,
            "r.io/a: ['1', '2', '1234567', abcdef0]\n",
            "image: r.io/a:1\n",
            "image: r.io/a:2\n",
            &[],
        ),
        one(
            minor,
            "r.io/a: [1.2.3.4, 1.2.3.10, 1.9.9]\n",
            "image: r.io/a:1.2.3.4\n",
            "image: r.io/a:1.2.3.10\n",
            &[],
        ),
        one(
            minor,
            "r.io/a: [1.2-alpine3.19, 1.3-alpine3.18, 1.3-alpine3.20, 1.4-alpine3.18]\n",
            "image: r.io/a:1.2-alpine3.19\n",
            "image: r.io/a:1.3-alpine3.20\n",
            &[],
        ),
        one(
            minor,
            "r.io/a: [1.2.0-ls99, 1.2.0-ls100]\n",
            "image: r.io/a:1.2.0-ls99\n",
            "image: r.io/a:1.2.0-ls100\n",
            &[],
        ),
        one(
            minor,
            "r.io/a: [1.2.0-jdk17, 1.3.0-jdk21, 1.2.1-jdk17]\n",
            "image: r.io/a:1.2.0-jdk17\n",
            "image: r.io/a:1.2.1-jdk17\n",
            &[],
        ),
        one(
            minor,
            "r.io/a: ['16', '17']\n",
            "image: r.io/a:16\n",
            "image: r.io/a:16\n",
            &["policy.never-moves", "17 is beyond `minor`"],
        ),
        one(
            minor,
            "r.io/a: [1.0.0]\n",
            "image: r.io/a@@A\n",
            "image: r.io/a@@A\n",
            &["digest-only"],
        ),
        // Releases of a distribution, and the version of something that is packed as well.
        one(
            minor,
            "r.io/a: [v3.6.3-eks-1-29-2, v3.6.3-eks-1-29-5, v3.6.4-eks-1-29-6, v3.6.5-eks-1-30-2]\n",
            "image: r.io/a:v3.6.3-eks-1-29-2\n",
            "image: r.io/a:v3.6.4-eks-1-29-6\n",
            &[],
        ),
        one(
            minor,
            "r.io/a: [4.6.3_v2.0.9-ls309, 4.6.4_v2.0.10-ls311, 4.6.5-v7, 4.6.5_v1.2.19-ls400, 4.6.6_v3.0.0-ls1]\n",
            "image: r.io/a:4.6.3_v2.0.9-ls309\n",
            "image: r.io/a:4.6.4_v2.0.10-ls311\n",
            &[],
        ),
        one(
            minor,
            "r.io/a: [1.2.0-arm64v8, 1.3.0-arm64v9, 1.2.1-arm64v8]\n",
            "image: r.io/a:1.2.0-arm64v8\n",
            "image: r.io/a:1.2.1-arm64v8\n",
            &[],
        ),
        // Platforms and interfaces as build matrices write them.
        one(
            minor,
            "r.io/a: [1.2.3-linux-arm-v6, 1.2.4-linux-arm-v7, 1.2.3-linux-arm-v7]\n",
            "image: r.io/a:1.2.3-linux-arm-v6\n",
            "image: r.io/a:1.2.3-linux-arm-v6\n",
            &[],
        ),
        one(
            minor,
            "r.io/a: [1.2.3-amd64-v2, 1.2.4-amd64-v2, 1.2.5-amd64-v4]\n",
            "image: r.io/a:1.2.3-amd64-v2\n",
            "image: r.io/a:1.2.4-amd64-v2\n",
            &[],
        ),
        one(
            minor,
            "r.io/a: [1.0.0-v1beta1, 1.1.0-v2beta1]\n",
            "image: r.io/a:1.0.0-v1beta1\n",
            "image: r.io/a:1.0.0-v1beta1\n",
            &[],
        ),
        // A variant that no other tag has is reported.
        one(
            minor,
            "r.io/a: [pg15.5-ts2.13.0, pg15.5-ts2.13.1, pg15.6-ts2.14.2, latest]\n",
            "image: r.io/a:pg15.5-ts2.13.0\n",
            "image: r.io/a:pg15.5-ts2.13.0\n",
            &["policy.never-moves", "pg15.6-ts2.14.2 is a later version that is written alike"],
        ),
        one(
            minor,
            "r.io/a: [RELEASE.2023-12-20T01-00-02Z, RELEASE.2024-01-05T22-17-24Z]\n",
            "image: r.io/a:RELEASE.2023-12-20T01-00-02Z\n",
            "image: r.io/a:RELEASE.2023-12-20T01-00-02Z\n",
            &["policy.never-moves"],
        ),
        one(
            "  a: {image: r.io/a, tags: {semver: '>=2.0.300'}}\n",
            "r.io/a: [2.0.300, 2.0.331-1-gabc1234]\n",
            "image: r.io/a:2.0.300\n",
            "image: r.io/a:2.0.300\n",
            &[],
        ),
    ]);
}

/// Two flavours of one version are no sign that anything is missed; a later version is one.
#[test]
fn a_tag_is_alone_beside_a_later_version_only() {
    for (other, is_told) in [("1.2.0-jdk21", false), ("1.1.0-jdk21", false), ("1.3.0-jdk21", true)]
    {
        let world = World::new();
        let policy = "images: {a: {image: r.io/a, tags: {semver: minor}}}\n";
        let tree =
            world.tree(&[("policies/p.yaml", policy), ("a.yaml", "image: r.io/a:1.2.0-jdk17\n")]);
        let catalog = world.file("catalog.yaml", &format!("r.io/a: [1.2.0-jdk17, {other}]\n"));
        let args = ["plan", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
        let out = world.bot(args).run().exits(0);
        assert_eq!(out.stdout.contains("policy.never-moves"), is_told, "{other}: {}", out.stdout);
    }
}

#[test]
fn two_policies_of_one_image_share_an_environment_by_markers() {
    let policies = "  build: {image: r.io/a, tags: {match: '-build$', semver: '*-0'}}\n  web: {image: r.io/a, tags: {match: '-web$', semver: '*-0'}}\n";
    let catalog = "r.io/a: [1.0.0-build, 1.1.0-build, 1.0.0-web, 1.2.0-web]\n";
    let before = "a: r.io/a:1.0.0-build # tagalong: build\nb: r.io/a:1.0.0-web # tagalong: web\nimage: r.io/a:1.0.0-web\n";
    let after = "a: r.io/a:1.1.0-build # tagalong: build\nb: r.io/a:1.2.0-web # tagalong: web\nimage: r.io/a:1.0.0-web\n";
    hold(&[Row { policies, catalog, path: "a.yaml", before, after, says: &["site.ambiguous"] }]);
}

#[test]
fn a_place_that_is_left_alone_holds_its_set() {
    let policies = "images:\n  front: {image: r.io/front, tags: {semver: '*'}}\n  back: {image: r.io/back, tags: {semver: '*'}}\n\
                    environments:\n  prod: {paths: [prod], lockstep: [[front, back]]}\n";
    let file = "- image: r.io/front:1.0.0\n- image: r.io/back:${TAG}\n";
    let catalog = "r.io/front: [1.0.0, 1.1.0]\nr.io/back: [1.0.0, 1.1.0]\n";
    let (got, said) = staged(policies, "a: 1\n", file, catalog);
    assert_eq!(got, file);
    assert!(said.contains("back is left alone at prod/a.yaml:2"), "{said}");
}

/// A tree with a `dev` and a `prod`.
fn staged(policies: &str, dev: &str, prod: &str, catalog: &str) -> (String, String) {
    let world = World::new();
    let tree =
        world.tree(&[("policies/p.yaml", policies), ("dev/a.yaml", dev), ("prod/a.yaml", prod)]);
    let catalog = world.file("catalog.yaml", catalog);
    let args = ["run", "--repo", arg(&tree), "--catalog", arg(&catalog), "--format", "json"];
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(&tree).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
        let at = "2026-11-01T00:00:00Z";
        git.args(args).env("GIT_AUTHOR_DATE", at).env("GIT_COMMITTER_DATE", at);
        assert!(git.output().unwrap().status.success());
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "first"]);
    let more = ["--deliver", "worktree", "--now", "2026-11-28T00:00:00Z"];
    let out = world.bot(args.into_iter().chain(more)).run();
    (std::fs::read_to_string(tree.join("prod/a.yaml")).unwrap(), out.stdout)
}

#[test]
fn a_copy_at_another_registry_is_promoted_by_its_own_name() {
    let policies = "images:\n  shop: {image: dev.io/shop, mirrors: [prod.io/acme/shop], tags: {semver: '*'}}\n\
                    environments:\n  dev: {paths: [dev]}\n  prod: {paths: [prod], promoteFrom: dev}\n";
    let (dev, prod) = ("image: dev.io/shop:1.1.0\n", "image: prod.io/acme/shop:1.0.0\n");
    let there = "dev.io/shop: [1.0.0, 1.1.0]\nprod.io/acme/shop: [1.0.0, 1.1.0]\n";
    assert_eq!(staged(policies, dev, prod, there).0, "image: prod.io/acme/shop:1.1.0\n");
    let lacking = "dev.io/shop: [1.0.0, 1.1.0]\nprod.io/acme/shop: [1.0.0]\n";
    let (left, said) = staged(policies, dev, prod, lacking);
    assert_eq!(left, prod);
    assert!(said.contains("prod.io/acme/shop has no 1.1.0"), "{said}");
    // Behind the same tag there is another digest, as a copy of one platform has.
    let pinned = policies.replace("tags:", "digest: pin, tags:");
    let other = format!(
        "dev.io/shop: [1.0.0, {{tag: 1.1.0, digest: '{A}'}}]\nprod.io/acme/shop: [1.0.0, {{tag: 1.1.0, digest: '{B}'}}]\n"
    );
    let (left, said) = staged(&pinned, &format!("image: dev.io/shop:1.1.0@{A}\n"), prod, &other);
    assert_eq!(left, prod, "{said}");
    assert!(said.contains("prod.io/acme/shop has no sha256:aaaaaaa"), "{said}");
    // Nor is a tag without a digest proof of the one that is to be written.
    let silent = "dev.io/shop: [1.0.0, 1.1.0]\nprod.io/acme/shop: [1.0.0, 1.1.0]\n";
    let (left, said) = staged(&pinned, &format!("image: dev.io/shop:1.1.0@{A}\n"), prod, silent);
    assert_eq!(left, prod, "{said}");
    assert!(said.contains("prod.io/acme/shop has no digests in the catalog"), "{said}");
    // A catalog that does not know the copy is no proof of it.
    assert_eq!(staged(policies, dev, prod, "dev.io/shop: [1.0.0, 1.1.0]\n").0, prod);
}

/// Where no digest is written, the tag brings what the registry has behind it.
#[test]
fn a_tag_alone_is_promoted_where_it_is_what_its_source_runs() {
    let policies = "images:\n  shop: {image: r.io/shop, tags: {semver: minor}}\n\
                    environments:\n  dev: {paths: [dev]}\n  prod: {paths: [prod], promoteFrom: dev}\n";
    let (dev, prod) = (format!("image: r.io/shop:v1.1.0@{A}\n"), "image: r.io/shop:v1.0.0\n");
    for (listed, moves, says) in [
        (format!("{{tag: v1.1.0, digest: '{A}'}}"), true, ""),
        (format!("{{tag: v1.1.0, digest: '{B}'}}"), false, "its source runs sha256:aaaaaaa"),
        ("v1.1.0".to_owned(), false, "the digest of r.io/shop:v1.1.0 is not in the catalog"),
    ] {
        let catalog = format!("r.io/shop: [v1.0.0, {listed}]\n");
        let (left, said) = staged(policies, &dev, prod, &catalog);
        assert_eq!(left == prod, !moves, "{said}");
        assert!(said.contains(says), "{said}");
    }
}

/// A tag that moves is one image here and another there; one of three numbers stays what it was.
#[test]
fn a_pinned_place_is_not_what_an_unpinned_source_holds() {
    let pinned = format!("@{A}");
    for (policy, tag, says) in [
        ("tags: {fixed: main}", "main", "no-digest"),
        ("tags: {semver: minor}", "v1.1.0", "up-to-date"),
    ] {
        let policies = format!(
            "images:\n  shop: {{image: r.io/a, {policy}}}\nenvironments:\n  dev: {{paths: [dev]}}\n  prod: {{paths: [prod], promoteFrom: dev}}\n"
        );
        let catalog = format!("r.io/a: [{{tag: {tag}, digest: '{B}'}}]\n");
        let (dev, prod) =
            (format!("image: r.io/a:{tag}\n"), format!("image: r.io/a:{tag}{pinned}\n"));
        let (got, said) = staged(&policies, &dev, &prod, &catalog);
        assert_eq!(got, prod, "{said}");
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn what_no_policy_would_choose_is_not_promoted() {
    let cases = [
        ("semver: '*'", "pr-77", "is no version"),
        ("semver: '*'", "latest", "is no version"),
        ("semver: '*'", "20240101", "is no version"),
        ("semver: '*'", "917005", "is no version"),
        ("semver: '*'", "v2", "is no version"),
        ("semver: minor", "pr-77", "variant or make"),
        ("semver: minor", "main-12", "variant or make"),
        ("semver: minor", "nightly-3", "variant or make"),
        ("semver: minor", "20240101", "variant or make"),
        ("semver: minor", "v2", "variant or make"),
        ("semver: minor", "v1.1.0-debug", "variant or make"),
        ("semver: minor, variant: keep", "feature-x-2", "variant or make"),
        ("match: '^v', semver: minor", "1.1.0", "what `match` asks for"),
        ("exclude: ['-debug$'], semver: '*'", "v1.1.0-debug", "`exclude`"),
        ("numerical: asc", "v1.1.0", "is no version"),
    ];
    for (tags, tag, why) in cases {
        let policies = format!(
            "images:\n  web: {{image: r.io/web, tags: {{{tags}}}}}\n\
             environments:\n  dev: {{paths: [dev]}}\n  prod: {{paths: [prod], promoteFrom: dev}}\n"
        );
        let (dev, catalog) =
            (format!("image: r.io/web:{tag}\n"), format!("r.io/web: [v1.0.0, '{tag}']\n"));
        let (left, said) = staged(&policies, &dev, "image: r.io/web:v1.0.0\n", &catalog);
        assert_eq!(left, "image: r.io/web:v1.0.0\n", "{tags} {said}");
        assert!(said.contains(why), "{tags} {tag}: {said}");
    }
    // What a person brought to dev past a level, and a version of two numbers, earn their way.
    for (tags, from, to) in [("semver: minor", "v1.0.0", "v2.0.0"), ("semver: '*'", "1.26", "1.27")]
    {
        let policies = format!(
            "images:\n  web: {{image: r.io/web, tags: {{{tags}}}}}\n\
             environments:\n  dev: {{paths: [dev]}}\n  prod: {{paths: [prod], promoteFrom: dev}}\n"
        );
        let site = |tag: &str| format!("image: r.io/web:{tag}\n");
        let catalog = format!("r.io/web: ['{from}', '{to}']\n");
        let (got, said) = staged(&policies, &site(to), &site(from), &catalog);
        assert!(got.contains(to), "{tags} {said}");
    }
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

#[test]
fn what_moves_together_moves_together_or_not_at_all() {
    let policies = |lockstep: &str| {
        format!(
            "images:\n  front: {{image: r.io/front, tags: {{semver: '*'}}}}\n  back: {{image: r.io/back, tags: {{semver: '*'}}}}\n\
             environments:\n  dev: {{paths: [dev]}}\n  prod: {{paths: [prod], lockstep: {lockstep}}}\n"
        )
    };
    let (list, same) = ("[[front, back]]", "[{images: [front, back], same: tag}]");
    let alone = "{images: [front, back], same: tag}";
    let cases = [
        // One of them has nothing newer.
        (list, "1.0.0", "1.0.0", "[1.0.0, 1.1.0]", "[1.0.0]", "1.0.0", "1.0.0"),
        (list, "1.0.0", "1.0.0", "[1.0.0, 1.1.0]", "[1.0.0, 1.2.0]", "1.1.0", "1.2.0"),
        // One of them is there already.
        (list, "1.0.0", "1.1.0", "[1.0.0, 1.1.0]", "[1.0.0, 1.1.0]", "1.1.0", "1.1.0"),
        // The last tag that both have.
        (alone, "1.0.0", "1.0.0", "[1.0.0, 1.1.0, 1.2.0]", "[1.0.0, 1.1.0]", "1.1.0", "1.1.0"),
        (same, "1.0.0", "1.0.0", "[1.0.0, 1.1.0, 1.2.0]", "[1.0.0, 1.1.0]", "1.1.0", "1.1.0"),
        (same, "1.0.0", "1.0.0", "[1.0.0, 1.2.0]", "[1.0.0, 1.1.0]", "1.0.0", "1.0.0"),
        (same, "1.0.0", "1.0.0", "[1.0.0, 1.1.0]", "[1.0.0, 1.1.0]", "1.1.0", "1.1.0"),
    ];
    for (lockstep, front, back, fronts, backs, front_after, back_after) in cases {
        let file = |front: &str, back: &str| {
            format!("- image: r.io/front:{front}\n- image: r.io/back:{back}\n")
        };
        let catalog = format!("r.io/front: {fronts}\nr.io/back: {backs}\n");
        let (got, said) = staged(&policies(lockstep), "a: 1\n", &file(front, back), &catalog);
        assert_eq!(got, file(front_after, back_after), "{lockstep} {catalog}\n{said}");
    }
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
