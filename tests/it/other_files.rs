//! Other files that decide what an image is: values that are laid over others, objects that give it another name, Compose files.

use crate::further_away::after;
use crate::rows::filled;

const POLICIES: &str = "images:\n  shop: {image: r.io/acme/shop, tags: {semver: minor}}\n  redis: {image: redis, tags: {semver: minor}}\n";
const CATALOG: &str = "r.io/acme/shop: [{tag: v1.0.0, digest: '@A'}, {tag: v1.1.0, digest: '@B'}]\n\
    docker.io/library/redis: [7.0.0, 7.1.0]\n";
const VALUES: &str = "image:\n  repository: r.io/acme/shop\n  tag: v1.0.0\n";
const REDIS: &str = "kind: Deployment\nspec:\n  image: redis:7.0.0\n";
const COMPOSE: &str = "services:\n  shop:\n    image: r.io/acme/shop:${TAG:-v1.0.0}\n";

/// A file that moves by itself, the files beside it, and the message where it then stays.
struct Row {
    path: &'static str,
    before: &'static str,
    others: &'static [(&'static str, &'static str)],
    /// Empty where it moves.
    says: &'static str,
}

fn hold(rows: &[Row]) {
    for row in rows {
        let others: Vec<(&str, String)> =
            row.others.iter().map(|(path, text)| (*path, filled(text))).collect();
        let before = filled(row.before);
        let mut files = vec![("policies/p.yaml", POLICIES), (row.path, before.as_str())];
        files.extend(others.iter().map(|(path, text)| (*path, text.as_str())));
        let (got, said) = after(&files, &filled(CATALOG), row.path);
        assert_eq!(got == before, !row.says.is_empty(), "{:?}\n{said}", row.others);
        assert!(said.contains(row.says), "{}\n{:?}\n{said}", row.says, row.others);
    }
}

#[test]
fn values_that_are_laid_over_others_count() {
    let row = |others, says| Row { path: "app/values.yaml", before: VALUES, others, says };
    hold(&[
        row(
            &[("app/values-prod.yaml", "image:\n  digest: '@A'\n")],
            "`digest` in line 2 of app/values-prod.yaml is",
        ),
        row(&[("app/prod.yaml", "image: {sha: '#A'}\n")], "`sha` in line 1 of app/prod.yaml is"),
        Row {
            path: "app/values-common.yaml",
            before: VALUES,
            others: &[("app/values-prod.yaml", "image: {digest: '@A'}\n")],
            says: "`digest` in line 1 of app/values-prod.yaml is",
        },
        Row {
            path: "app/common-values.yaml",
            before: VALUES,
            others: &[("app/prod-values.yaml", "image: {digest: '@A'}\n")],
            says: "`digest` in line 1 of app/prod-values.yaml is",
        },
        // A key for a digest that is empty holds nothing.
        Row {
            path: "app/values.yaml",
            before: "image: {repository: r.io/acme/shop, tag: v1.0.0, digest: ''}\n",
            others: &[("app/values-prod.yaml", "image: {tag: v1.0.0}\n")],
            says: "",
        },
        row(&[("app/values-prod.yaml", "image:\n  digest: '@A' # tagalong: ignore\n")], ""),
        row(&[("app/values-prod.yaml", "replicas: 2\nweb: {digest: '@A'}\n")], ""),
        row(&[("other/values-prod.yaml", "image: {digest: '@A'}\n")], ""),
        row(&[("app/values-prod.yaml", "global: {imageRegistry: q.io}\n")], ""),
        Row {
            path: "app/values.yaml",
            before: "image:\n  repository: redis\n  tag: 7.0.0\n",
            others: &[("app/values-prod.yaml", "global:\n  imageRegistry: r.io\n")],
            says: "`imageRegistry` in line 2 of app/values-prod.yaml is `r.io`",
        },
    ]);
}

#[test]
fn objects_that_give_another_name_count() {
    let row = |others, says| Row { path: "base/a.yaml", before: REDIS, others, says };
    hold(&[
        row(
            &[(
                "k.yaml",
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec:\n  path: ./base\n  images:\n  - {name: redis, newName: q.io/redis}\n",
            )],
            "the new name in line 7 of k.yaml is `q.io/redis`",
        ),
        row(
            &[(
                "k.yaml",
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec:\n  path: ./other\n  images:\n  - {name: redis, newName: q.io/redis}\n",
            )],
            "",
        ),
        row(
            &[(
                "app.yaml",
                "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source:\n    path: base\n    kustomize:\n      images:\n      - redis=q.io/redis\n",
            )],
            "the new name in line 8 of app.yaml is `q.io/redis`",
        ),
        row(
            &[(
                "app.yaml",
                "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nspec:\n  template:\n    spec:\n      sources:\n      - {path: base, kustomize: {images: ['redis=q.io/redis']}}\n",
            )],
            "the new name in line 7 of app.yaml is `q.io/redis`",
        ),
        row(
            &[(
                "app.yaml",
                "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec: {source: {path: base, kustomize: {images: ['redis=q.io/redis:7.0.0']}}}\n",
            )],
            "",
        ),
    ]);
}

/// Bases of bases, components, and kustomizations that give a tag are reached as well.
#[test]
fn another_name_reaches_whatever_is_taken() {
    let row = |others, says| Row { path: "base/a.yaml", before: REDIS, others, says };
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec:\n  values: {image: {repository: redis, tag: 7.0.0}}\n  postRenderers:\n  - kustomize: {images: [{name: redis, newName: q.io/redis}]}\n";
    hold(&[
        row(
            &[
                ("mid/kustomization.yaml", "resources: [../base]\n"),
                (
                    "top/kustomization.yaml",
                    "resources: [../mid]\nimages: [{name: redis, newName: q.io/redis}]\n",
                ),
            ],
            "the new name in line 2 of top/kustomization.yaml is `q.io/redis`",
        ),
        row(
            &[
                ("mid/kustomization.yaml", "resources: [../base]\n"),
                (
                    "k.yaml",
                    "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec:\n  path: ./mid\n  images:\n  - {name: redis, newName: q.io/redis}\n",
                ),
            ],
            "the new name in line 7 of k.yaml is `q.io/redis`",
        ),
        row(
            &[(
                "top/kustomization.yaml",
                "resources: [../mid]\nimages: [{name: redis, newName: q.io/redis}]\n",
            )],
            "",
        ),
        Row {
            path: "base/kustomization.yaml",
            before: "resources: [a.yaml]\nimages: [{name: redis, newTag: 7.0.0}]\n",
            others: &[(
                "top/kustomization.yaml",
                "resources: [../base]\nimages: [{name: redis, newName: q.io/redis}]\n",
            )],
            says: "the new name in line 2 of top/kustomization.yaml is `q.io/redis`",
        },
        Row {
            path: "release.yaml",
            before: release,
            others: &[],
            says: "the new name in line 6 of release.yaml is `q.io/redis`",
        },
    ]);
}

#[test]
fn compose_files_that_are_put_together_count() {
    let row = |path, others, says| Row { path, before: COMPOSE, others, says };
    hold(&[
        row(
            "compose.yaml",
            &[("compose.override.yaml", "services:\n  shop:\n    build: .\n")],
            "is built in compose.override.yaml:3",
        ),
        row(
            "docker-compose.yml",
            &[("docker-compose.override.yml", "services: {web: {build: .}}\n")],
            "",
        ),
        row("compose.yaml", &[("compose.test.yaml", "services: {shop: {build: .}}\n")], ""),
        Row {
            path: "compose.yaml",
            before: "services:\n  shop:\n    image: r.io/acme/shop:v1.0.0\n    extends: {file: parts/common.yml, service: base}\n",
            others: &[("parts/common.yml", "services: {base: {build: .}}\n")],
            says: "is built in parts/common.yml:1",
        },
        row(
            "parts/compose.yaml",
            &[
                ("compose.yaml", "include:\n- {path: parts/compose.yaml, env_file: prod.env}\n"),
                ("prod.env", "TAG=v0.9.0\n"),
            ],
            "the variable `TAG`, which prod.env:1 sets",
        ),
        row(
            "parts/compose.yaml",
            &[("compose.yaml", "include: [parts/compose.yaml]\n"), (".env", "A=1\nTAG=v0.9.0\n")],
            "the variable `TAG`, which .env:2 sets",
        ),
        row("compose.yaml", &[(".env", "TAG=\n")], ""),
        row("compose.yaml", &[(".env", "TAG=v0.9.0\n")], "which .env:1 sets"),
    ]);
}

/// A marker says whose a tag is; a digest elsewhere still counts more than the tag.
#[test]
fn a_marker_does_not_leave_a_digest_behind() {
    let alone = |before, says| Row { path: "app/values.yaml", before, others: &[], says };
    hold(&[
        alone(
            "web:\n  image:\n    repository: r.io/acme/shop\n    tag: v1.0.0 # tagalong: shop:tag\n  imageDigest: '@A'\n",
            "the digest of the same image in line 5 is not",
        ),
        alone(
            "global:\n  imageDigest: '@A'\nimage:\n  repository: r.io/acme/shop\n  tag: v1.0.0 # tagalong: shop:tag\n",
            "the digest of the same image in line 2 is not",
        ),
        alone(
            "image:\n  tag: v1.0.0 # tagalong: shop:tag\n  pin: {digest: '@A'}\n",
            "the digest of the same image in line 3 is not",
        ),
        alone(
            "a: &a {digest: '@A'}\nimage:\n  <<: *a\n  tag: v1.0.0 # tagalong: shop:tag\n",
            "the digest of the same image in line 1 is not",
        ),
        alone(
            "global:\n  imageDigest: '@A' # tagalong: ignore\nimage:\n  repository: r.io/acme/shop\n  tag: v1.0.0 # tagalong: shop:tag\n",
            "",
        ),
        alone(
            "env:\n- name: SHOP_TAG\n  value: v1.0.0 # tagalong: shop:tag\n- name: SHOP_DIGEST\n  value: '@A'\n",
            "the digest of the same image in line 5 is not",
        ),
        alone(
            "helm:\n  parameters:\n  - name: image.tag\n    value: v1.0.0 # tagalong: shop:tag\n  - name: image.digest\n    value: '@A'\n",
            "the digest of the same image in line 6 is not",
        ),
        Row {
            path: "app/values.yaml",
            before: "image:\n  repository: r.io/acme/shop\n  tag: v1.0.0 # tagalong: shop:tag\n",
            others: &[("app/values-prod.yaml", "image:\n  digest: '@A'\n")],
            says: "`digest` in line 2 of app/values-prod.yaml is",
        },
    ]);
}

/// Tag and digest that are marked in mappings of their own move together.
#[test]
fn marks_that_belong_together_move_together() {
    let rows = [
        (
            "web:\n  image:\n    tag: v1.0.0 # tagalong: shop:tag\n  imageDigest: '@A' # tagalong: shop:digest\n",
            "web:\n  image:\n    tag: v1.1.0 # tagalong: shop:tag\n  imageDigest: '@B' # tagalong: shop:digest\n",
        ),
        (
            "image:\n  tag: v1.0.0 # tagalong: shop:tag\n  lock:\n    sha: '#A' # tagalong: shop:digest\n",
            "image:\n  tag: v1.1.0 # tagalong: shop:tag\n  lock:\n    sha: '#B' # tagalong: shop:digest\n",
        ),
        // Two tags are as near to the digest.
        (
            "a: {tag: v1.0.0} # tagalong: shop:tag\nb: {tag: v1.0.0} # tagalong: shop:tag\nc: {digest: '@A'} # tagalong: shop:digest\n",
            "a: {tag: v1.0.0} # tagalong: shop:tag\nb: {tag: v1.0.0} # tagalong: shop:tag\nc: {digest: '@A'} # tagalong: shop:digest\n",
        ),
        // Items of a list are images of their own.
        (
            "- tag: v1.0.0 # tagalong: shop:tag\n- digest: '@A' # tagalong: shop:digest\n",
            "- tag: v1.1.0 # tagalong: shop:tag\n- digest: '@A' # tagalong: shop:digest\n",
        ),
    ];
    for (before, want) in rows {
        let (before, want) = (filled(before), filled(want));
        let files = [("policies/p.yaml", POLICIES), ("app/values.yaml", before.as_str())];
        let (got, said) = after(&files, &filled(CATALOG), "app/values.yaml");
        assert_eq!(got, want, "{said}");
    }
}

/// A tag without a name moves by the name at the same keys of the file that it is laid over, and by nothing else.
#[test]
fn a_tag_whose_name_is_in_another_file() {
    const NAMED: (&str, &str) = ("app/values.yaml", "image:\n  repository: r.io/acme/shop\n");
    let row = |before, others, says| Row { path: "app/values-prod.yaml", before, others, says };
    hold(&[
        row("image:\n  tag: v1.0.0\n", &[NAMED], ""),
        row("image:\n  tag: v1.0.0\n  digest: '@A'\n", &[NAMED], ""),
        row(
            "image:\n  registry: r.io\n  tag: v1.0.0\n",
            &[("app/values.yaml", "image:\n  registry: r.io\n  repository: acme/shop\n")],
            "",
        ),
        // A digest, a registry, another name or another half counts, wherever it stands.
        row(
            "image:\n  tag: v1.0.0\n",
            &[NAMED, ("app/common.yaml", "image: {digest: '@A'}\n")],
            "`digest` in line 1 of app/common.yaml",
        ),
        row(
            "image:\n  tag: v1.0.0\n",
            &[("app/values.yaml", "image: {repository: r.io/acme/shop, digest: '@A'}\n")],
            "only a digest is deployed",
        ),
        row(
            "image:\n  tag: v1.0.0\n",
            &[NAMED, ("app/common.yaml", "image: {repository: r.io/acme/other, tag: v1.0.0}\n")],
            "of another registry",
        ),
        row(
            "image:\n  tag: v1.0.0\n",
            &[("app/values.yaml", "image: {repository: r.io/acme/shop, tagSuffix: -debug}\n")],
            "goes on under another key",
        ),
        row("image: &i\n  tag: v1.0.0\nweb: *i\n", &[NAMED], "shared through a YAML alias"),
        row(
            "x: &i {repository: r.io/acme/other}\nimage:\n  <<: *i\n  tag: v1.0.0\n",
            &[NAMED],
            " ",
        ),
        // Not of its kin, or not values.
        Row {
            path: "app/redis.yaml",
            before: "image: {tag: v1.0.0}\n",
            others: &[NAMED],
            says: " ",
        },
        row("kind: ConfigMap\nimage: {tag: v1.0.0}\n", &[NAMED], " "),
        // The other way round.
        Row {
            path: "app/values.yaml",
            before: VALUES,
            others: &[("app/values-prod.yaml", "image: {tagSuffix: -debug}\n")],
            says: "goes on under another key",
        },
    ]);
}

#[test]
fn a_registry_in_the_file_of_the_tag_counts() {
    hold(&[Row {
        path: "app/values-prod.yaml",
        before: "image: {tag: v1.0.0}\nglobal: {imageRegistry: q.io}\n",
        others: &[("app/values.yaml", "image: {registry: r.io, repository: acme/shop}\n")],
        says: "`global.imageRegistry` in line 2",
    }]);
}
