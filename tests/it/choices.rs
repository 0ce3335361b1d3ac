//! Versions that a run chooses, where tags are odd: what counts moves, what does not stays.

use crate::rows::{Row, hold};
use crate::world::{World, arg};

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
