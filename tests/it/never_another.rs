//! Never another image than was meant: small inputs on which a run once wrote, kept or chose a wrong one, with what is right.

use crate::rows::{PINNED, Row, hold, shop, stays};

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
