//! Registries of all kinds: how they divide their lists, what they count, and what is asked instead.

use serde_json::Value;

use crate::world::registry::digest_of;
use crate::world::{Lie, Output, Paging, Registry, World, arg};

/// A tree with one policy for `image`, deployed as `v1.0.0`.
fn deployed(world: &World, image: &str, tags: &str, more: &[(&str, &str)]) -> std::path::PathBuf {
    let policy = format!("images: {{shop: {{image: {image}, tags: {tags}}}}}\n");
    let site = format!("image: {image}:v1.0.0\n");
    world.tree(more);
    world.tree(&[("policies/p.yaml", &policy), ("a.yaml", &site)])
}

fn plan(world: &World, tree: &std::path::Path, more: &[&str]) -> Output {
    let args = ["plan", "--repo", arg(tree), "--format", "json"];
    world.bot(args.into_iter().chain(more.iter().copied())).run()
}

/// R41 of the requirements: the eight ways in which registries divide their lists.
#[test]
fn every_paging_gives_the_whole_list_by_the_fewest_requests() {
    let profiles = [
        (Paging::Specified, 1000),
        (Paging::Whole, usize::MAX),
        (Paging::Hub, usize::MAX),
        (Paging::Quay, 100),
        (Paging::Ecr, 1000),
        (Paging::Lexical, 1000),
        (Paging::Artifactory, 1000),
        (Paging::Short, 70),
    ];
    for (paging, size) in profiles {
        for count in [0, 1, 99, 100, 101, 1000, 1001, 25_000_usize] {
            let world = World::new();
            let registry = world.registry();
            registry.paging(paging);
            let tags: Vec<String> =
                (0..count).map(|n| format!("v1.{}.{}", n / 100, n % 100)).collect();
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            registry.push("virtual/acme/shop", &tags);
            let image = format!("{}/virtual/acme/shop", registry.host);
            let kind = if paging == Paging::Hub { "docker-hub" } else { "other" };
            let settings = format!("registries: [{{host: '{}', kind: {kind}}}]\n", registry.host);
            let files = [("tagalong.yaml", settings.as_str())];
            let tree = deployed(&world, &image, "{semver: '*'}", &files);
            let saved = world.dir("out").join("catalog.yaml");
            let out = plan(&world, &tree, &["--save-catalog", arg(&saved)]);
            let what = format!("{paging:?} {count}");
            assert_eq!(out.code, if count == 0 { 3 } else { 0 }, "{what}: {}", out.stderr);
            let listed = std::fs::read_to_string(saved).unwrap();
            let got: std::collections::BTreeSet<&str> =
                listed.lines().filter_map(|line| line.split('"').nth(3)).collect();
            assert_eq!(got, tags.iter().copied().collect(), "{what}");
            assert_eq!(registry.seen().len(), count.div_ceil(size).max(1), "{what}");
        }
    }
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let world = World::new();
    let registry = world.registry();
    registry.with_etags();
    registry.pages_of(2);
    registry.push("acme/shop", &["v1.0.0", "v1.1.0", "v1.2.0"]);
    let image = format!("{}/acme/shop", registry.host);
    let tree = deployed(&world, &image, "{semver: '*'}", &[]);
    let cache = world.dir("cache");
    let run = || {
        let out = plan(&world, &tree, &["--cache-dir", arg(&cache)]).exits(0);
        let asked: Vec<bool> =
            registry.requests().iter().map(|seen| seen.if_none_match.is_some()).collect();
        (out.decisions()[0].clone(), asked, out.json()["registries"][0]["cacheHits"].clone())
    };
    let decided = |tag: &str| format!("shop update {tag} newer");
    assert_eq!(run(), (decided("v1.2.0"), vec![false, false], Value::from(0)));
    assert_eq!(run(), (decided("v1.2.0"), vec![true, true], Value::from(2)));
    // The second page changed, and the third one is new.
    registry.push("acme/shop", &["v1.3.0", "v1.4.0"]);
    assert_eq!(run(), (decided("v1.4.0"), vec![true, true, false], Value::from(1)));
    // What is kept counts when the registry says so, and a broken file is no file.
    for file in walkdir::WalkDir::new(&cache).into_iter().map(Result::unwrap) {
        if file.file_type().is_file() {
            std::fs::write(file.path(), "{").unwrap();
        }
    }
    assert_eq!(run(), (decided("v1.4.0"), vec![false, false, false], Value::from(0)));
    // Without a question, "not modified" is a lie; without the directory, nothing is kept.
    registry.lies("/tags/list", [Lie::status(304)]);
    let out = plan(&world, &tree, &[]).exits(3);
    assert_eq!(out.decisions(), ["shop undecided - malformed-answer"]);
}

#[test]
fn the_last_requests_of_a_limit_are_left_to_others() {
    let limited = |kind: &str, remaining: &str| {
        let world = World::new();
        let registry = world.registry();
        registry.says("ratelimit-limit", "100");
        registry.says("ratelimit-remaining", remaining);
        let mut policies = "images:\n".to_owned();
        let mut sites = String::new();
        for name in ["a", "b", "c"] {
            registry.push(name, &["v1.0.0", "v1.1.0"]);
            let image = format!("{}/{name}", registry.host);
            policies +=
                &format!("  {name}: {{image: {image}, tags: {{semver: '*'}}, digest: pin}}\n");
            sites += &format!("---\nimage: {image}:v1.0.0\n");
        }
        let settings =
            format!("registries: [{{host: '{}', kind: {kind}, concurrency: 1}}]\n", registry.host);
        let tree = world.tree(&[
            ("policies/p.yaml", &policies),
            ("a.yaml", &sites),
            ("tagalong.yaml", &settings),
        ]);
        let out = plan(&world, &tree, &[]);
        let report = out.json()["registries"][0].clone();
        assert_eq!(report["limit"], 100);
        (out.code, registry.seen().len(), report["remaining"].clone(), out.decisions())
    };
    assert_eq!(limited("other", "10;w=21600").1, 6);
    // What lasts a second is waited for.
    assert_eq!(limited("other", "0;w=1").1, 6);
    let (code, requests, remaining, decisions) = limited("other", "9;w=21600");
    assert_eq!((code, requests, remaining), (3, 1, Value::from(9)));
    assert_eq!(decisions.iter().filter(|d| d.contains("rate-limited")).count(), 2, "{decisions:?}");
    // Docker Hub counts neither lists nor `HEAD`.
    assert_eq!(limited("docker-hub", "0;w=21600").1, 6);
}

/// A tree with policies for so many images of a registry, which are asked for one by one.
fn many(world: &World, registry: &Registry, count: usize) -> std::path::PathBuf {
    let mut policies = "images:\n".to_owned();
    let mut sites = String::new();
    for n in 0..count {
        registry.push(&format!("app-{n:02}"), &["v1.0.0", "v1.1.0"]);
        let image = format!("{}/app-{n:02}", registry.host);
        policies += &format!("  app-{n:02}: {{image: {image}, tags: {{semver: '*'}}}}\n");
        sites += &format!("---\nimage: {image}:v1.0.0\n");
    }
    let settings = format!("registries: [{{host: '{}', concurrency: 1}}]\n", registry.host);
    world.tree(&[("policies/p.yaml", &policies), ("a.yaml", &sites), ("tagalong.yaml", &settings)])
}

#[test]
fn a_registry_that_only_fails_is_left_alone() {
    let world = World::new();
    let registry = world.registry();
    let tree = many(&world, &registry, 40);
    registry.lies("/tags/list", [Lie::header(500, "retry-after", "0")]);
    let decisions = plan(&world, &tree, &[]).exits(3).decisions();
    assert!(decisions.iter().all(|d| d.ends_with("undecided - unavailable")), "{decisions:?}");
    assert_eq!(registry.seen().len(), 8 * 4);
    // A few broken repositories are no broken registry.
    let good = (0..40).step_by(5).map(|n| format!("/app-{n:02}/tags/list"));
    good.for_each(|path| registry.lies(&path, [Lie::Truth]));
    let decisions = plan(&world, &tree, &[]).exits(3).decisions();
    assert_eq!(decisions.iter().filter(|d| d.contains("update")).count(), 8, "{decisions:?}");
}

/// Some repositories of an open registry are closed; who asks for a token once asks for it first.
#[test]
fn a_challenge_that_comes_late_is_remembered() {
    let world = World::new();
    let registry = world.registry();
    let tree = many(&world, &registry, 4);
    let challenge = format!("Bearer realm=\"http://{}/token\"", registry.host);
    let challenge = Lie::header(401, "www-authenticate", &challenge);
    registry.lies("/app-01/tags/list", [challenge, Lie::Truth]);
    registry.lies("/token", [Lie::json(r#"{"token": "t"}"#)]);
    plan(&world, &tree, &[]).exits(0);
    let seen = registry.requests();
    let seen = seen.iter().filter(|seen| seen.path.contains("/tags/list"));
    let seen: Vec<_> = seen.map(|seen| seen.authorization.is_some()).collect();
    assert_eq!(seen, [false, false, true, true, true]);
}

#[test]
fn a_digest_that_nobody_names_is_computed() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let image = format!("{}/acme/shop", registry.host);
    let tree = deployed(&world, &image, "{semver: '*'}, digest: pin", &[]);
    let manifest = r#"{"schemaVersion": 2}"#;
    registry.lies("/manifests/", [Lie::json(manifest)]);
    let out = plan(&world, &tree, &[]).exits(0);
    assert_eq!(out.json()["edits"][0]["new"], format!("v1.1.0@{}", digest_of(manifest)));
    let path = "/v2/acme/shop/manifests/v1.1.0";
    let list = "GET /v2/acme/shop/tags/list?n=1000".to_owned();
    assert_eq!(registry.seen(), [list, format!("HEAD {path}"), format!("GET {path}")]);
}

#[test]
fn no_more_requests_are_under_way_than_somebody_says() {
    for (settings, most) in [("concurrency: 2", 2), ("concurrency: 1", 1), ("plainHttp: true", 8)] {
        let world = World::new();
        let registry = world.registry();
        registry.hesitates();
        let mut policies = "images:\n".to_owned();
        let mut sites = String::new();
        for n in 0..40 {
            registry.push(&format!("app-{n}"), &["v1.0.0"]);
            let image = format!("{}/app-{n}", registry.host);
            policies += &format!("  app-{n}: {{image: {image}, tags: {{semver: '*'}}}}\n");
            sites += &format!("---\nimage: {image}:v1.0.0\n");
        }
        let settings = format!("registries: [{{host: '{}', {settings}}}]\n", registry.host);
        let files =
            [("policies/p.yaml", &*policies), ("a.yaml", &sites), ("tagalong.yaml", &settings)];
        let out = plan(&world, &world.tree(&files), &[]).exits(0);
        assert_eq!(out.json()["registries"][0]["requests"], 40);
        assert!(registry.most_at_once() <= most, "{settings}: {}", registry.most_at_once());
    }
}

#[test]
fn what_it_cost_is_told() {
    let world = World::new();
    let registry = world.registry();
    registry.pages_of(1);
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let image = format!("{}/acme/shop", registry.host);
    let tree = deployed(&world, &image, "{semver: '*'}, digest: pin", &[]);
    let summary = world.file("summary.md", "");
    let args = ["plan", "--repo", arg(&tree), "--format", "json", "-v"];
    let out = world.bot(args).env("GITHUB_STEP_SUMMARY", arg(&summary)).run().exits(0);
    let report = &out.json()["registries"];
    let bytes = r#"{"name":"acme/shop","tags":["v1.0.0"]}"#.len() * 2;
    assert_eq!(report[0]["host"], registry.host);
    assert_eq!(report[0]["images"][0]["repository"], image);
    for of in [&report[0], &report[0]["images"][0]] {
        let numbers =
            ["requests", "pages", "bytes", "cacheHits"].map(|key| of[key].as_u64().unwrap());
        assert_eq!(numbers, [3, 2, bytes as u64, 0]);
        assert!(of["milliseconds"].is_u64());
    }
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(
        summary.contains(&format!("| `{}` | 1 | 3 | 2 | {bytes} | 0 |", registry.host)),
        "{summary}"
    );
    assert!(out.stderr.contains(&format!("image={image} requests=3 pages=2")), "{}", out.stderr);
}

#[test]
fn a_mirror_is_asked_instead_and_names_stay() {
    let world = World::new();
    let (mirror, other) = (world.registry(), world.registry());
    mirror.push("hub/library/nginx", &["v1.0.0", "v1.1.0"]);
    mirror.push("special/app", &["v1.0.0", "v1.2.0"]);
    other.push("app", &["v1.0.0", "v1.3.0"]);
    let settings = format!(
        "registries:\n- {{host: docker.io, mirror: '{0}/hub'}}\n\
         - {{host: alias.invalid, mirror: '{1}'}}\n- {{host: alias.invalid/team, mirror: '{0}/special'}}\n\
         - {{host: alias.invalid/one/exactly, mirror: '{0}/special/app'}}\n",
        mirror.host, other.host
    );
    let policies = "images:\n  nginx: {image: nginx, tags: {semver: '*'}, digest: pin}\n  \
        app: {image: alias.invalid/app, tags: {semver: '*'}}\n  team: {image: alias.invalid/team/app, tags: {semver: '*'}}\n  \
        one: {image: alias.invalid/one/exactly, tags: {semver: '*'}}\n";
    let sites = "image: alias.invalid/one/exactly:v1.0.0\n---\nimage: nginx:v1.0.0\n---\nimage: alias.invalid/app:v1.0.0\n---\nimage: alias.invalid/team/app:v1.0.0\n";
    let tree = world.tree(&[
        ("policies/p.yaml", policies),
        ("a.yaml", sites),
        ("tagalong.yaml", &settings),
    ]);
    let out = plan(&world, &tree, &[]).exits(0);
    assert_eq!(
        out.decisions(),
        [
            "app update v1.3.0 newer",
            "nginx update v1.1.0 newer",
            "one update v1.2.0 newer",
            "team update v1.2.0 newer"
        ]
    );
    let digest = digest_of("hub/library/nginx:v1.1.0");
    assert_eq!(out.json()["edits"][1]["new"], format!("v1.1.0@{digest}"));
    // The operator's entry for a host counts alone.
    let elsewhere = world.registry();
    elsewhere.push("library/nginx", &["v1.0.0", "v9.0.0"]);
    let file = format!("registries: [{{host: docker.io, mirror: '{}'}}]\n", elsewhere.host);
    let file = world.file("registries.yaml", &file);
    let out = plan(&world, &tree, &["--registries", arg(&file)]).exits(0);
    assert_eq!(out.decisions()[1], "nginx update v9.0.0 newer");
    // Where the operator says where a host is, the repository leads nobody away from there.
    elsewhere.push("app", &["v1.0.0", "v8.0.0"]);
    elsewhere.push("team/app", &["v1.0.0", "v8.1.0"]);
    let file = format!(
        "registries: [{{host: alias.invalid, plainHttp: true, address: '{}'}}]\n",
        elsewhere.host
    );
    let file = world.file("registries.yaml", &file);
    let decisions = plan(&world, &tree, &["--registries", arg(&file)]).exits(3).decisions();
    let decisions = [decisions[0].as_str(), &decisions[2], &decisions[3]];
    let want = ["app update v8.0.0 newer", "one undecided - not-found", "team update v8.1.0 newer"];
    assert_eq!(decisions, want);
    let wrong = world.file("wrong.yaml", "registries:\n- host: r.io\n  cas: x\n");
    plan(&world, &tree, &["--registries", arg(&wrong)]).exits(2).says(&["`cas`", "`ca`"]);
}

#[test]
fn a_proxy_and_an_address_are_the_operators_to_say() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let tree = deployed(&world, "registry.invalid/acme/shop", "{semver: '*'}", &[]);
    for key in
        [format!("proxy: 'http://{}'", registry.host), format!("address: '{}'", registry.host)]
    {
        let file = format!("registries: [{{host: registry.invalid, plainHttp: true, {key}}}]\n");
        let path = world.file("registries.yaml", &file);
        let out = plan(&world, &tree, &["--registries", arg(&path)]).exits(0);
        assert_eq!(out.decisions(), ["shop update v1.1.0 newer"], "{key}");
        world.tree(&[("tagalong.yaml", &file)]);
        plan(&world, &tree, &[]).exits(2).says(&["is for the operator to say", "--registries"]);
        std::fs::remove_file(tree.join("tagalong.yaml")).unwrap();
    }
    assert_eq!(registry.seen().len(), 2);
}

/// Docker Hub has its times at another host, which what is said of Docker Hub holds for as well.
#[test]
fn docker_hubs_other_host_is_reached_the_same_way() {
    let world = World::new();
    let registry = world.registry();
    let path = "/v2/repositories/acme/shop/tags?page_size=100";
    let answer = r#"{"next": null, "results": [{"name": "v1.1.0", "tag_last_pushed": "2026-01-03T00:00:00Z"},
        {"name": "v1.0.0", "tag_last_pushed": "2026-01-02T00:00:00Z"}]}"#;
    registry.lies(path, [Lie::json(answer)]);
    let tree = deployed(&world, "acme/shop", "{newest: pushed, match: '^v1'}", &[]);
    let entry = format!(
        "registries: [{{host: docker.io, plainHttp: true, proxy: 'http://bot:canary@{}'}}]\n",
        registry.host
    );
    let file = world.file("registries.yaml", &entry);
    let out = plan(&world, &tree, &["-v", "-v", "--registries", arg(&file)]).exits(0);
    assert_eq!(out.decisions(), ["shop update v1.1.0 newer"]);
    let seen = registry.requests();
    assert_eq!((seen[0].host.as_str(), seen.len()), ("hub.docker.com", 1));
    assert!(!format!("{}{}", out.stdout, out.stderr).contains("canary"));
    let file = world.file("registries.yaml", &entry.replace("plainHttp", "planHttp"));
    let out = plan(&world, &tree, &["--registries", arg(&file)]).exits(2).says(&["planHttp"]);
    assert!(!format!("{}{}", out.stdout, out.stderr).contains("canary"), "{}", out.stderr);
}

/// The times of tags by the interfaces that registries have for them.
#[test]
fn registries_own_times_order_tags() {
    let hub = r#"{"next": null, "results": [{"name": "aaa", "tag_last_pushed": "2026-01-03T00:00:00Z"},
        {"name": "bbb", "tag_last_pushed": "2026-01-02T00:00:00Z"}, {"name": "v1.0.0", "tag_last_pushed": null}]}"#;
    let quay = r#"{"has_additional": false, "page": 1, "tags": [{"name": "aaa", "start_ts": 1767398400},
        {"name": "bbb", "start_ts": 1767312000}, {"name": "v1.0.0", "start_ts": 1767225600}]}"#;
    let harbor = r#"[{"tags": [{"name": "aaa", "push_time": "2026-01-03T00:00:00Z"}]}, {"tags": null},
        {"tags": [{"name": "bbb", "push_time": "2026-01-02T00:00:00Z"}, {"name": "v1.0.0", "push_time": "2026-01-01T00:00:00Z"}]}]"#;
    let google = r#"{"tags": ["bbb", "aaa", "v1.0.0"], "manifest": {"sha256:a": {"tag": ["aaa"], "timeUploadedMs": "1767398400000"},
        "sha256:b": {"tag": ["bbb", "v1.0.0"], "timeUploadedMs": "1767312000000"}}}"#;
    for (kind, path, answer) in [
        ("docker-hub", "/v2/repositories/acme/sub/shop/tags?page_size=100", hub),
        (
            "quay",
            "/api/v1/repository/acme/sub/shop/tag/?limit=100&onlyActiveTags=true&page=1",
            quay,
        ),
        (
            "harbor",
            "/api/v2.0/projects/acme/repositories/sub%252Fshop/artifacts?page=1&page_size=100&with_tag=true&q=tags%3D*",
            harbor,
        ),
        ("google", "/v2/acme/sub/shop/tags/list?n=1000", google),
    ] {
        let world = World::new();
        let registry = world.registry();
        registry.lies(path, [Lie::json(answer)]);
        let image = format!("{}/acme/sub/shop", registry.host);
        let settings = format!("registries: [{{host: '{}', kind: {kind}}}]\n", registry.host);
        let files = [("tagalong.yaml", settings.as_str())];
        let tree = deployed(&world, &image, "{newest: pushed, match: '^[a-z]+$'}", &files);
        world.tree(&[("a.yaml", &format!("image: {image}:bbb\n"))]);
        assert_eq!(
            plan(&world, &tree, &[]).exits(0).decisions(),
            ["shop update aaa newer"],
            "{kind}"
        );
        assert_eq!(registry.seen(), [format!("GET {path}")], "{kind}");
        // Who may not see times sees tags, which are first seen now.
        if kind != "google" {
            registry.lies(path, [Lie::status(401)]);
            registry.push("acme/sub/shop", &["aaa", "bbb"]);
            let out = plan(&world, &tree, &[]);
            assert_eq!(registry.seen().len(), 2, "{kind}: {:?}", out.decisions());
        }
    }
}

#[test]
fn pages_of_other_interfaces_are_followed_to_the_end() {
    let world = World::new();
    let registry = world.registry();
    let page = |name: &str, next: &str| {
        format!(
            r#"{{"next": {next}, "results": [{{"name": "{name}", "tag_last_pushed": "2026-01-03T00:00:00Z"}}]}}"#
        )
    };
    let path = "/v2/repositories/acme/shop/tags?page_size=100";
    let next = format!("\"http://{}/v2/repositories/acme/shop/tags?page=2\"", registry.host);
    registry.lies("tags?page=2", [Lie::json(&page("bbb", "null"))]);
    let digest = digest_of("acme/shop:bbb");
    registry.lies("/manifests/", [Lie::header(200, "docker-content-digest", &digest)]);
    registry.lies(path, [Lie::json(&page("aaa", &next))]);
    let image = format!("{}/acme/shop", registry.host);
    let settings = format!("registries: [{{host: '{}', kind: docker-hub}}]\n", registry.host);
    let files = [("tagalong.yaml", settings.as_str())];
    let tree =
        deployed(&world, &image, "{alphabetical: asc, match: '^[a-z]+$'}, minAge: 1d", &files);
    world.tree(&[("a.yaml", &format!("image: {image}:aaa\n"))]);
    assert_eq!(plan(&world, &tree, &[]).exits(0).decisions(), ["shop hold bbb too-young"]);
    for elsewhere in
        ["\"http://127.0.0.1:1/v2/repositories/acme/shop/tags?page=2\"", "\"/v2/other?page=2\""]
    {
        registry.lies(path, [Lie::json(&page("aaa", elsewhere))]);
        // Its own list is not whole, so the one of the protocol is asked for, and is not there.
        assert_eq!(plan(&world, &tree, &[]).exits(3).decisions(), ["shop undecided - not-found"]);
    }
}

/// A layout with one image under these names.
fn layout(world: &World, at: &str, names: &[(&str, &str)]) -> String {
    let config = r#"{"os": "linux", "architecture": "amd64"}"#;
    let manifest = format!(
        r#"{{"mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {{"digest": "{}"}}, "layers": []}}"#,
        digest_of(config)
    );
    for text in [config, &manifest] {
        world.file(&format!("{at}/blobs/{}", digest_of(text).replace(':', "/")), text);
    }
    let entries = names.iter().map(|(key, name)| {
        serde_json::json!({"digest": digest_of(&manifest), "annotations": {*key: name}})
    });
    let index = serde_json::json!({"manifests": entries.collect::<Vec<_>>()});
    world.file(&format!("{at}/index.json"), &index.to_string());
    world.file(&format!("{at}/oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#);
    digest_of(&manifest)
}

#[test]
fn layouts_on_disk_are_a_source() {
    const NAME: &str = "org.opencontainers.image.ref.name";
    let world = World::new();
    let image = "ghcr.io/acme/shop";
    let tree = deployed(&world, image, "{semver: '*'}, digest: pin, platforms: [linux/amd64]", &[]);
    let directory = world.dir("images");
    let file = format!("registries: [{{host: ghcr.io, mirror: 'oci:{}'}}]\n", directory.display());
    let file = world.file("registries.yaml", &file);
    let run = || plan(&world, &tree, &["--registries", arg(&file)]);
    assert_eq!(run().exits(3).decisions(), ["shop undecided - not-found"]);
    let digest = layout(&world, "images/acme/shop", &[(NAME, "v1.0.0"), (NAME, "v1.1.0")]);
    assert_eq!(run().exits(0).json()["edits"][0]["new"], format!("v1.1.0@{digest}"));
    // One layout for many images.
    std::fs::remove_dir_all(&directory).unwrap();
    let names = [
        (NAME, "ghcr.io/acme/shop:v1.0.0"),
        ("io.containerd.image.name", "ghcr.io/acme/shop:v1.2.0"),
        (NAME, "ghcr.io/acme/other:v9.0.0"),
        (NAME, "v9.0.0"),
    ];
    let digest = layout(&world, "images", &names);
    assert_eq!(run().exits(0).json()["edits"][0]["new"], format!("v1.2.0@{digest}"));
    // Two things under one name are neither.
    let index = directory.join("index.json");
    let text = std::fs::read_to_string(&index).unwrap();
    let mut two: Value = serde_json::from_str(&text).unwrap();
    let second = serde_json::json!({"digest": digest_of("x"), "annotations": {NAME: "ghcr.io/acme/shop:v1.2.0"}});
    two["manifests"].as_array_mut().unwrap().push(second);
    std::fs::write(&index, two.to_string()).unwrap();
    run().exits(3).says(&["says two things about v1.2.0"]);
    std::fs::write(&index, text).unwrap();
    let blob = directory.join("blobs").join(digest.replace(':', "/"));
    std::fs::write(blob, "{}").unwrap();
    assert_eq!(run().exits(3).decisions(), ["shop undecided v1.2.0 no-digest"]);
    std::fs::write(directory.join("index.json"), "<").unwrap();
    assert_eq!(run().exits(3).decisions(), ["shop undecided - malformed-answer"]);
}

#[test]
fn a_pushed_image_is_confirmed_by_one_request() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0", "v0.9.0", "latest"]);
    registry.push("acme/web", &["v1.0.0", "v1.1.0"]);
    let host = &registry.host;
    let policies = format!(
        "images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}, digest: pin}}\n  \
         shop-2: {{image: {host}/acme/shop, tags: {{semver: '<1.1'}}}}\n  web: {{image: {host}/acme/web, tags: {{semver: '*'}}}}\n\
         environments:\n  a: {{paths: [a.yaml], images: [shop, web]}}\n  b: {{paths: [b.yaml], images: [shop-2]}}\n"
    );
    let site = format!("image: {host}/acme/shop:v1.0.0\n---\nimage: {host}/acme/web:v1.0.0\n");
    let tree = world.tree(&[("policies/p.yaml", &policies), ("a.yaml", &site), ("b.yaml", &site)]);
    let run = |reference: &str| {
        let args = ["run", "--deliver", "worktree", "--repo", arg(&tree), "--format", "json"];
        let out = world.bot(args.into_iter().chain(["--image-ref", reference])).run();
        world.tree(&[("a.yaml", &site)]);
        out
    };
    let digest = digest_of("acme/shop:v1.1.0");
    let out = run(&format!("{host}/acme/shop:v1.1.0")).exits(0);
    assert_eq!(registry.seen(), ["HEAD /v2/acme/shop/manifests/v1.1.0"]);
    assert_eq!(out.decisions(), ["shop update v1.1.0 newer", "shop-2 keep v1.0.0 up-to-date"]);
    assert_eq!(out.json()["edits"][0]["new"], format!("v1.1.0@{digest}"));
    run(&format!("{host}/acme/shop:v1.1.0@{digest}")).exits(0);
    let lie = format!("{host}/acme/shop:v1.1.0@{}", digest_of("another"));
    let undecided = |out: Output| {
        let decisions = out.exits(3).decisions();
        decisions.into_iter().find(|one| one.starts_with("shop ")).unwrap()
    };
    assert_eq!(undecided(run(&lie)), "shop undecided - tag-moved");
    assert_eq!(undecided(run(&format!("{host}/acme/shop:v7.0.0"))), "shop undecided - not-found");
    registry.seen();
    // A hint takes nothing back, and brings nothing that the policy does not want.
    for tag in ["v0.9.0", "latest"] {
        let out = run(&format!("{host}/acme/shop:{tag}"));
        assert!(out.json()["edits"].as_array().unwrap().iter().all(|e| e["new"] != tag), "{tag}");
        assert!(!out.decisions()[0].contains(" update v0"), "{:?}", out.decisions());
    }
    run(&format!("{host}/acme/none:v1.0.0")).exits(0).says(&["nothing deploys", "policy.unused"]);
    for wrong in ["acme/shop", "https://r.io/a:b", "r.io/a@sha256:00", ""] {
        run(wrong).exits(2).says(&["--image-ref"]);
    }
}

/// What waits in the open pull request for other images stays there.
#[test]
fn a_pushed_image_joins_the_open_pull_request() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0"]);
    registry.push("acme/web", &["v1.0.0", "v1.1.0"]);
    let host = &registry.host;
    let policies = format!(
        "images:\n  shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}\n  web: {{image: {host}/acme/web, tags: {{semver: '*'}}}}\n"
    );
    let site = format!("image: {host}/acme/shop:v1.0.0\n---\nimage: {host}/acme/web:v1.0.0\n");
    let github = world.github(&[("policies/p.yaml", &policies), ("a.yaml", &site)]);
    let run = |more: &[&str]| {
        let args = ["run", "--repo", "acme/fleet", "--format", "json"];
        let bot = world.bot(args.into_iter().chain(more.iter().copied()));
        github.env(bot).run().exits(0).deliveries()
    };
    assert_eq!(run(&[]), ["default created"]);
    registry.push("acme/shop", &["v1.2.0"]);
    registry.seen();
    let reference = format!("{host}/acme/shop:v1.2.0");
    assert_eq!(run(&["--image-ref", &reference]), ["default updated"]);
    assert_eq!(registry.seen(), ["HEAD /v2/acme/shop/manifests/v1.2.0"]);
    let shown = github.repo.show("tagalong/default", "a.yaml");
    assert_eq!(
        shown,
        format!("image: {host}/acme/shop:v1.2.0\n---\nimage: {host}/acme/web:v1.1.0\n")
    );
    assert_eq!(run(&["--image-ref", &reference]), ["default unchanged"]);
    // An older one that comes late takes nothing back.
    registry.push("acme/shop", &["v1.1.0"]);
    let older = format!("{host}/acme/shop:v1.1.0");
    run(&["--image-ref", &older]);
    assert_eq!(github.repo.show("tagalong/default", "a.yaml"), shown);
    // A whole run says again why each of them moves, and where it comes from, once.
    assert_eq!(run(&[]), ["default updated"]);
    assert_eq!(run(&[]), ["default unchanged"]);
}

/// What lies of a registry's own interfaces must not reach a tree: the same as its list's.
#[test]
fn manifests_that_say_two_things_are_not_used() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let image = format!("{}/acme/shop", registry.host);
    let tree = deployed(&world, &image, "{semver: '*'}, platforms: [linux/amd64]", &[]);
    let config = r#"{"os": "linux", "architecture": "amd64"}"#;
    let good = format!(r#"{{"config": {{"digest": "{}"}}, "layers": []}}"#, digest_of(config));
    let index = r#""manifests": [{"digest": "sha256:a", "platform": {"os": "linux", "architecture": "amd64"}}]"#;
    let both = format!(r#"{{{index}, "layers": []}}"#);
    let typed =
        format!(r#"{{"mediaType": "application/vnd.oci.image.manifest.v1+json", {index}}}"#);
    let neither = "{}".to_owned();
    registry.lies(&digest_of(config), [Lie::json(config)]);
    for (manifest, named, want) in [
        (&good, &good, "shop update v1.1.0 newer"),
        (&good, &both, "shop undecided v1.1.0 no-digest"),
        (&both, &both, "shop undecided v1.1.0 no-digest"),
        (&typed, &typed, "shop undecided v1.1.0 no-digest"),
        (&neither, &neither, "shop undecided v1.1.0 no-digest"),
    ] {
        let digest = digest_of(named);
        registry.lies("/manifests/v1", [Lie::header(200, "docker-content-digest", &digest)]);
        registry.lies(&digest, [Lie::json(manifest)]);
        let out = plan(&world, &tree, &[]);
        assert_eq!(out.decisions(), [want], "{manifest} as {named}");
    }
    // The body is right, and the header says otherwise.
    let digest = digest_of(&good);
    registry.lies("/manifests/v1", [Lie::header(200, "docker-content-digest", &digest)]);
    let headers = vec![("docker-content-digest".to_owned(), digest_of("another"))];
    registry.lies(&digest, [Lie::Answer(200, headers, good)]);
    assert_eq!(plan(&world, &tree, &[]).decisions(), ["shop undecided v1.1.0 no-digest"]);
}

/// Bodies that are small on the wire, or never end.
#[test]
fn bombs_and_drips_end_at_the_limits() {
    let world = World::new();
    let (bomb, drip, good) = (world.registry(), world.registry(), world.registry());
    bomb.lies("/tags/list", [Lie::Bomb(1 << 30)]);
    drip.lies("/tags/list", [Lie::Drip]);
    good.push("a", &["v1.0.0", "v1.1.0"]);
    let registries: [(&str, &Registry); 3] = [("bomb", &bomb), ("drip", &drip), ("good", &good)];
    let (mut policies, mut sites) = ("images:\n".to_owned(), String::new());
    for (name, registry) in registries {
        policies += &format!("  {name}: {{image: {}/a, tags: {{semver: '*'}}}}\n", registry.host);
        sites += &format!("---\nimage: {}/a:v1.0.0\n", registry.host);
    }
    let tree = world.tree(&[("policies/p.yaml", &policies), ("a.yaml", &sites)]);
    // Under a limit of memory that the body would break.
    let mut command = std::process::Command::new("sh");
    let script = "ulimit -v 1000000; exec \"$@\"";
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_tagalong")]);
    command.args(["plan", "--repo", arg(&tree), "--format", "json"]);
    let out = crate::world::Bot::from(command, &world.dir("home")).run().exits(3);
    let want = [
        "bomb undecided - malformed-answer",
        "drip undecided - unavailable",
        "good update v1.1.0 newer",
    ];
    assert_eq!(out.decisions(), want);
}
