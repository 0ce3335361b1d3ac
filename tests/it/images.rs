//! What is behind tags, on a real registry: platforms, times, moved digests, signatures.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::SigningKey as _;
use serde_json::json;

use crate::world::parts::{Access, RealRegistry};
use crate::world::{Output, World, arg};

struct Story {
    world: World,
    registry: RealRegistry,
}

impl Story {
    fn new() -> Self {
        let world = World::new();
        let registry = RealRegistry::start(&world, &Access::Open);
        Self { world, registry }
    }

    /// A work tree with one policy and one site.
    fn tree(&self, policy: &str, site: &str, files: &[(&str, &str)]) -> PathBuf {
        let host = &self.registry.host;
        let policies = format!("images: {{shop: {{image: {host}/acme/shop, {policy}}}}}\n");
        let site = format!("image: {host}/acme/shop:{site}\n");
        let mut all = vec![("policies/p.yaml", &*policies), ("a.yaml", &*site)];
        all.extend(files);
        self.world.tree(&all)
    }

    fn plan(&self, tree: &Path, more: &[&str]) -> Output {
        let args = ["plan", "--repo", arg(tree), "--format", "json"];
        self.world.bot(args.into_iter().chain(more.iter().copied())).run()
    }

    fn image(&self, tag: &str, platform: &str) -> String {
        self.registry.push_image(&self.world, "acme/shop", tag, platform, tag)
    }
}

#[test]
fn a_candidate_runs_on_every_platform_that_is_asked_for() {
    let story = Story::new();
    let (amd, arm) = (story.image("a", "linux/amd64"), story.image("b", "linux/arm64"));
    let both = [("linux/amd64", &*amd), ("linux/arm64", &*arm)];
    let push =
        |tag, entries: &[_]| story.registry.push_index(&story.world, "acme/shop", tag, entries);
    push("1.0.0", &both);
    let wanted = push("1.1.0", &both);
    push("1.2.0", &both[..1]);
    story.image("1.3.0", "linux/arm64");
    let policy = "tags: {semver: '*'}, platforms: [linux/amd64, linux/arm64], digest: pin";
    let out = story.plan(&story.tree(policy, "1.0.0", &[]), &[]).exits(0);
    assert_eq!(out.decisions(), ["shop update 1.1.0 newer"]);
    let decision = &out.json()["decisions"][0];
    assert_eq!(decision["toDigest"], wanted);
    let passed: Vec<_> =
        (0..2).map(|n| decision["passedOver"][n]["reason"]["message"].as_str().unwrap()).collect();
    assert_eq!(passed, ["1.3.0 is not for linux/amd64", "1.2.0 is not for linux/arm64"]);
    // An image without an index is for its own platform.
    let alone = "tags: {semver: '*'}, platforms: [linux/arm64]";
    let out = story.plan(&story.tree(alone, "1.0.0", &[]), &[]).exits(0);
    assert_eq!(out.decisions(), ["shop update 1.3.0 newer"]);
    // What was learnt can be saved, and decides the same without a registry.
    let saved = story.world.dir("saved").join("catalog.yaml");
    let tree = story.tree(policy, "1.0.0", &[]);
    story.plan(&tree, &["--save-catalog", arg(&saved)]).exits(0);
    let again = story.plan(&tree, &["--catalog", arg(&saved)]).exits(0);
    assert_eq!(again.decisions(), ["shop update 1.1.0 newer"]);
}

#[test]
fn a_moved_index_is_an_update_when_an_image_in_use_changed() {
    let story = Story::new();
    let (amd, arm) = (story.image("a", "linux/amd64"), story.image("b", "linux/arm64"));
    let other = story.image("c", "linux/arm64");
    let push =
        |tag, entries: &[_]| story.registry.push_index(&story.world, "acme/shop", tag, entries);
    let old = push("1.0", &[("linux/amd64", &*amd), ("linux/arm64", &*arm)]);
    push("1.0", &[("linux/amd64", &*amd), ("linux/arm64", &*other)]);
    let site = format!("1.0@{old}");
    for (more, want) in [
        ("", "shop update 1.0 digest-moved"),
        (", platforms: [linux/arm64]", "shop update 1.0 digest-moved"),
        (", platforms: [linux/amd64]", "shop keep 1.0 same-platforms"),
    ] {
        let tree = story.tree(&format!("tags: {{fixed: '1.0'}}{more}"), &site, &[]);
        assert_eq!(story.plan(&tree, &[]).exits(0).decisions(), [want]);
    }
    // A version does not move unless somebody moves it.
    let first = story.image("2.0.0", "linux/amd64");
    story.image("2.0.0", "linux/arm64");
    let site = format!("2.0.0@{first}");
    let tree = story.tree("tags: {semver: '*'}", &site, &[]);
    let out = story.plan(&tree, &[]).exits(0).says(&["tags.moved", "alarm: 2.0.0 was sha256:"]);
    assert_eq!(out.decisions(), ["shop hold 2.0.0 tag-moved"]);
    let tree = story.tree("tags: {semver: '*'}, allowMoved: true", &site, &[]);
    assert_eq!(story.plan(&tree, &[]).exits(0).decisions(), ["shop update 2.0.0 digest-moved"]);
}

#[test]
fn the_builders_times_count_only_when_they_are_asked_for() {
    let story = Story::new();
    for (tag, created) in [
        ("x", "2026-11-03T00:00:00Z"),
        ("y", "2026-11-01T00:00:00Z"),
        ("z", "2026-11-02T00:00:00+01:00"),
    ] {
        story.registry.push_image(&story.world, "acme/shop", tag, "linux/amd64", created);
    }
    let tree = story.tree("tags: {newest: created}", "y", &[]);
    let out = story.plan(&tree, &[]).exits(0);
    assert_eq!(out.decisions(), ["shop update x newer"]);
    // The registry says no times, so at first sight all are of one age.
    let tree = story.tree("tags: {newest: pushed}", "y", &[]);
    assert_eq!(story.plan(&tree, &[]).exits(0).decisions(), ["shop keep y up-to-date"]);
    story.registry.push(&story.world, "acme/shop", "nonsense");
    let tree = story.tree("tags: {newest: created}", "y", &[]);
    let out = story.plan(&tree, &[]).exits(3).says(&["does not say when it was made"]);
    assert_eq!(out.decisions(), ["shop undecided - no-digest"]);
}

/// Attaches a signature of cosign 2 to a digest.
fn sign(story: &Story, digest: &str, key: &rcgen::KeyPair) {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": ""}, "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    let payload = payload.to_string();
    let signature = STANDARD.encode(key.sign(payload.as_bytes()).unwrap());
    let push = |content: &str| story.registry.push_blob(&story.world, "acme/shop", content);
    let layer = push(&payload);
    let config = push("{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [{
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "size": payload.len(),
            "digest": layer, "annotations": {"dev.cosignproject.cosign/signature": signature},
        }],
    });
    let tag = format!("{}.sig", digest.replace(':', "-"));
    story.registry.push_manifest(&story.world, "acme/shop", &tag, &manifest);
}

#[test]
fn only_what_is_signed_is_proposed_and_by_its_digest() {
    let story = Story::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let (_old, good) = (story.image("1.0.0", "linux/amd64"), story.image("1.1.0", "linux/amd64"));
    let (theirs, _unsigned) =
        (story.image("1.2.0", "linux/arm64"), story.image("1.3.0", "linux/s390x"));
    sign(&story, &good, &key);
    sign(&story, &theirs, &other);
    let policy = "tags: {semver: '*'}, verify: {cosign: {key: keys/shop.pub}}";
    let files = [("keys/shop.pub", &*key.public_key_pem())];
    let tree = story.tree(policy, "1.0.0", &files);
    let out = story.plan(&tree, &[]).exits(0);
    assert_eq!(out.decisions(), ["shop update 1.1.0 newer"]);
    let json = out.json();
    assert!(json["edits"][0]["new"].as_str().unwrap().ends_with(&format!("1.1.0@{good}")));
    let why = |n: usize| json["decisions"][0]["passedOver"][n]["reason"]["message"].to_string();
    assert!(why(0).contains("1.3.0") && why(0).contains("it has no signature"), "{}", why(0));
    assert!(why(1).contains("1.2.0") && why(1).contains("not signed by the key"), "{}", why(1));
    let tree = story.tree(policy, "1.1.0", &files);
    let out = story.plan(&tree, &[]).exits(0);
    assert_eq!(out.decisions(), ["shop update 1.1.0 digest-mode"]);
    let tree = story.tree(policy, &format!("1.1.0@{good}"), &files);
    assert_eq!(story.plan(&tree, &[]).exits(0).decisions(), ["shop hold 1.3.0 unverified"]);
    let tree = story.tree(policy, "1.0.0", &files);
    let explained = ["explain", "shop", "--repo", arg(&tree)];
    let out = story.world.bot(explained).run().exits(0);
    out.says(&["4  in range", "4  eligible", "2  verified", "chosen  1.1.0"]);
}

#[test]
fn bundles_are_found_where_registries_keep_them() {
    let story = Story::new();
    story.image("1.0.0", "linux/amd64");
    let digest = story.image("1.1.0", "linux/amd64");
    let bundle = include_str!("../data/cosign-v3-bundle.json");
    let push = |content: &str| story.registry.push_blob(&story.world, "acme/shop", content);
    let (layer, config) = (push(bundle), push("{}"));
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let artifact = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": kind, "size": bundle.len(), "digest": layer}],
    });
    let artifact = story.registry.push_manifest(&story.world, "acme/shop", "bundle", &artifact);
    // This registry has no list of referrers, so clients keep one under a tag.
    story.registry.push_index(
        &story.world,
        "acme/shop",
        &digest.replace(':', "-"),
        &[("unknown/unknown", &artifact)],
    );
    let policy = "tags: {semver: '*'}, verify: {cosign: {identityMatch: '.*', issuer: 'https://token.actions.githubusercontent.com'}}";
    let tree = story.tree(policy, "1.0.0", &[]);
    let out = story.plan(&tree, &[]).exits(0);
    assert_eq!(out.decisions(), ["shop hold 1.1.0 unverified"]);
    // The real bundle is found and read, and is about another image.
    out.says(&["is not verified: "]).says(&["rtifact"]);
}

#[test]
fn keys_that_cannot_be_used_are_reported_with_the_policy() {
    let story = Story::new();
    story.image("1.0.0", "linux/amd64");
    let policy = "tags: {semver: '*'}, verify: {cosign: {key: keys/shop.pub}}";
    let tree = story.tree(policy, "1.0.0", &[]);
    story.plan(&tree, &[]).exits(2).says(&["policy.key", "keys/shop.pub"]);
    let tree = story.tree(policy, "1.0.0", &[("keys/shop.pub", "nonsense")]);
    let check = ["check", "--repo", arg(&tree)];
    story.world.bot(check).run().exits(2).says(&["policy.key", "keys/shop.pub: "]);
    let root = story.world.file("root.json", "{}");
    let keyless = "tags: {semver: '*'}, verify: {cosign: {identity: x, issuer: y}}";
    let tree = story.tree(keyless, "1.0.0", &[]);
    story.plan(&tree, &["--trust-root", arg(&root)]).exits(2).says(&["--trust-root"]);
}
