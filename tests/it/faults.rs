//! Registries that fail, lie and leak: the image concerned is undecided, the others go on.

use crate::world::registry::digest_of;
use crate::world::{Lie, Output, Registry, World, arg};

const CANARY: &str = "canary-s3cret";

/// Plans two images, one behind each registry.
struct Pair {
    world: World,
    bad: Registry,
    good: Registry,
}

impl Pair {
    fn new() -> Self {
        let world = World::new();
        let (bad, good) = (world.registry(), world.registry());
        bad.push("acme/bad", &["v1.0.0", "v1.1.0"]);
        good.push("acme/good", &["v1.0.0", "v1.1.0"]);
        Self { world, bad, good }
    }

    fn plan(&self, more: &[&str]) -> Output {
        let (bad, good) = (&self.bad.host, &self.good.host);
        let policies = format!(
            "images:\n  bad: {{image: {bad}/acme/bad, tags: {{semver: '1.x'}}}}\n  \
             good: {{image: {good}/acme/good, tags: {{semver: '1.x'}}}}\n"
        );
        let site = format!("image: {bad}/acme/bad:v1.0.0\n---\nimage: {good}/acme/good:v1.0.0\n");
        let tree = self.world.tree(&[("policies/p.yaml", &policies), ("a.yaml", &site)]);
        let auth = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(format!("bot:{CANARY}"))
        };
        let config = format!(r#"{{"auths": {{"{bad}": {{"auth": "{auth}"}}}}}}"#);
        self.world.file("home/.docker/config.json", &config);
        let args = ["plan", "--repo", arg(&tree), "--format", "json", "-v", "-v"];
        let out = self.world.bot(args.into_iter().chain(more.iter().copied())).run();
        for text in [CANARY, &auth] {
            assert!(!out.stdout.contains(text) && !out.stderr.contains(text), "{}", out.stderr);
        }
        out
    }
}

#[test]
fn each_failure_is_a_reason_and_the_others_go_on() {
    let html = "<!DOCTYPE html><title>Sign in</title>";
    let truncated = r#"{"name": "acme/bad", "tags": ["v1.0"#;
    let soon = |status| Lie::header(status, "retry-after", "0");
    let cases: [(&str, Vec<Lie>); 15] = [
        ("unauthorized", vec![Lie::status(401)]),
        ("denied", vec![Lie::status(403)]),
        ("not-found", vec![Lie::status(404)]),
        ("rate-limited", vec![soon(429)]),
        ("rate-limited", vec![Lie::header(429, "retry-after", "3600")]),
        ("unavailable", vec![soon(500)]),
        ("unavailable", vec![soon(503)]),
        ("malformed-answer", vec![Lie::status(418)]),
        ("malformed-answer", vec![Lie::body("text/html", html)]),
        ("malformed-answer", vec![Lie::json(html)]),
        ("malformed-answer", vec![Lie::json(truncated)]),
        ("malformed-answer", vec![Lie::json("")]),
        ("malformed-answer", vec![Lie::json(r#"{"tags": [1, 2]}"#)]),
        ("empty-listing", vec![Lie::json(r#"{"name": "acme/bad", "tags": null}"#)]),
        ("empty-listing", vec![Lie::json(r#"{"tags": []}"#)]),
    ];
    for (reason, lies) in cases {
        let pair = Pair::new();
        let shown = format!("{lies:?}");
        pair.bad.lies("/tags/list", lies);
        let out = pair.plan(&[]).exits(3);
        assert_eq!(
            out.decisions(),
            [format!("bad undecided - {reason}"), "good update v1.1.0 newer".into()],
            "{shown}"
        );
    }
}

#[test]
fn a_passing_fault_is_asked_again_and_a_cut_answer_is_not_a_short_list() {
    let soon = |status| Lie::header(status, "retry-after", "0");
    for lies in [vec![soon(503), Lie::Truth], vec![soon(429), soon(500), Lie::Truth]] {
        let pair = Pair::new();
        let tries = lies.len();
        pair.bad.lies("/tags/list", lies);
        assert_eq!(pair.plan(&[]).exits(0).decisions()[0], "bad update v1.1.0 newer");
        assert_eq!(pair.bad.seen().len(), tries);
    }
    // A limit is the host's: the second image does not ask as long as the first is told to wait.
    let pair = Pair::new();
    pair.bad.lies("/tags/list", [Lie::header(429, "retry-after", "3600")]);
    pair.plan(&[]).exits(3);
    assert_eq!(pair.bad.seen().len(), 1);
    let pair = Pair::new();
    pair.bad.lies("/tags/list", [Lie::Cut(r#"{"tags": ["v1.0.0"]}"#.to_owned())]);
    assert_eq!(pair.plan(&[]).exits(3).decisions()[0], "bad undecided - unavailable");
}

#[test]
fn a_registry_that_is_not_there_stops_nothing() {
    let mut pair = Pair::new();
    pair.bad.host = "127.0.0.1:1".to_owned();
    let out = pair.plan(&[]).exits(3);
    assert_eq!(out.decisions(), ["bad undecided - unavailable", "good update v1.1.0 newer"]);
}

#[test]
fn pages_are_followed_to_the_end_and_no_further() {
    let pair = Pair::new();
    let many: Vec<String> = (0..25).map(|n| format!("v1.2.{n}")).collect();
    pair.bad.push("acme/bad", &many.iter().map(String::as_str).collect::<Vec<_>>());
    pair.bad.pages_of(10);
    assert_eq!(pair.plan(&[]).exits(0).decisions()[0], "bad update v1.2.24 newer");
    let seen = pair.bad.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");

    let elsewhere = format!("http://{}/v2/acme/bad/tags/list?last=x", pair.good.host);
    let cases = [
        vec![Lie::page(r#""v1.0.0""#, &elsewhere)],
        vec![Lie::page(r#""v1.0.0""#, "/v2/acme/other/tags/list?last=x")],
        vec![Lie::page(r#""v1.0.0""#, "/v2/acme/bad/tags/list?n=1000")],
        vec![Lie::page(r#""v1.0.0""#, "?last=a"), Lie::page(r#""v1.0.0""#, "?last=b")],
        vec![
            Lie::page(r#""v1.0.0""#, "?last=a"),
            Lie::page(r#""v1.0.1""#, "?last=b"),
            Lie::page(r#""v1.0.2""#, "?last=a"),
        ],
        vec![Lie::page("", "?last=a")],
        vec![Lie::page(r#""v1.0.0""#, "")],
    ];
    for lies in cases {
        let shown = format!("{lies:?}");
        pair.bad.lies("/tags/list", lies);
        pair.good.requests();
        let out = pair.plan(&[]).exits(3);
        assert_eq!(out.decisions()[0], "bad undecided - incomplete-listing", "{shown}");
        assert_eq!(pair.good.seen().len(), 1, "only its own list: {shown}");
    }
}

#[test]
fn a_flood_ends_at_the_limit() {
    let pair = Pair::new();
    pair.bad.lies("/tags/list", [Lie::Flood(1 << 30)]);
    assert_eq!(pair.plan(&[]).exits(3).decisions()[0], "bad undecided - malformed-answer");
}

#[test]
fn texts_that_are_not_tags_are_dropped_and_counted() {
    let pair = Pair::new();
    let long = "x".repeat(10_000);
    let body = format!(
        r#"{{"tags": ["v1.0.0", "v1.1.0", "$(rm -rf)", "a\nb", "", "😀", "{long}", "v9.0.0 "]}}"#
    );
    pair.bad.lies("/tags/list", [Lie::json(&body)]);
    let out = pair.plan(&[]).exits(0);
    assert_eq!(out.decisions()[0], "bad update v1.1.0 newer");
    let message = out.json()["diagnostics"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("6 listed texts are not tags"), "{message}");
}

#[test]
fn credentials_answer_a_basic_challenge_of_the_registry_alone() {
    let pair = Pair::new();
    let challenge = Lie::header(401, "www-authenticate", r#"Basic realm="x""#);
    pair.bad.lies("/tags/list", [challenge.clone(), Lie::Truth]);
    assert_eq!(pair.plan(&[]).exits(0).decisions()[0], "bad update v1.1.0 newer");
    let sent: Vec<_> =
        pair.bad.requests().into_iter().map(|seen| seen.authorization.is_some()).collect();
    assert_eq!(sent, [false, true]);
    pair.good.requests();
    pair.good.lies("/tags/list", [challenge]);
    let out = pair.plan(&[]).exits(3);
    assert_eq!(out.decisions()[1], "good undecided - unauthorized");
    assert!(pair.good.requests().iter().all(|seen| seen.authorization.is_none()));
}

#[test]
fn a_realm_elsewhere_gets_nothing() {
    for realm in [
        "http://169.254.169.254/token",
        "http://[::1]:{port}/token",
        "https://10.0.0.1/token",
        "https://①②⑦.0.0.1/token",
        "file:///etc/passwd",
        "http://bot@{bad}/token",
        "http://{good}/token",
        "",
    ] {
        let pair = Pair::new();
        let port = pair.good.host.split(':').nth(1).unwrap();
        let realm = realm
            .replace("{port}", port)
            .replace("{good}", &pair.good.host)
            .replace("{bad}", &pair.bad.host);
        let challenge = format!("Bearer realm=\"{realm}\",service=\"x\"");
        pair.bad.lies("/tags/list", [Lie::header(401, "www-authenticate", &challenge)]);
        let out = pair.plan(&[]).exits(3);
        assert_eq!(out.decisions()[0], "bad undecided - unauthorized", "{realm}");
        assert_eq!(pair.good.seen(), ["GET /v2/acme/good/tags/list?n=1000"], "{realm}");
        assert!(pair.bad.requests().iter().all(|seen| seen.authorization.is_none()), "{realm}");
    }
}

#[test]
fn a_token_server_elsewhere_gets_credentials_when_the_operator_says_so() {
    let pair = Pair::new();
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"x\"", pair.good.host);
    pair.bad.lies("/tags/list", [Lie::header(401, "www-authenticate", &challenge), Lie::Truth]);
    pair.good.lies("/token", [Lie::json(r#"{"token": "t0ken", "expires_in": 300}"#)]);
    let allow = format!("{}={}", pair.bad.host, pair.good.host);
    let out = pair.plan(&["--token-host", &allow]).exits(0);
    assert_eq!(out.decisions()[0], "bad update v1.1.0 newer");
    let token =
        pair.good.requests().into_iter().find(|seen| seen.path.starts_with("/token")).unwrap();
    assert_eq!(token.path, "/token?scope=repository%3Aacme%2Fbad%3Apull&service=x");
    assert!(token.authorization.unwrap().starts_with("Basic "));
    let sent: Vec<_> = pair.bad.requests().into_iter().map(|seen| seen.authorization).collect();
    assert_eq!(sent, [None, Some("Bearer t0ken".to_owned())]);
}

#[test]
fn a_token_is_used_again_until_it_ends() {
    // Docker believes no token that lives less than a minute.
    for (life, fetched) in [(300, 1), (0, 1)] {
        let pair = Pair::new();
        let challenge = format!("Bearer realm=\"http://{}/token\"", pair.bad.host);
        pair.bad.lies("/tags/list", [Lie::header(401, "www-authenticate", &challenge), Lie::Truth]);
        let token = format!(r#"{{"access_token": "t", "expires_in": {life}}}"#);
        pair.bad.lies("/token", [Lie::json(&token)]);
        pair.bad.pages_of(1);
        assert_eq!(pair.plan(&[]).exits(0).decisions()[0], "bad update v1.1.0 newer");
        let seen = pair.bad.seen();
        assert_eq!(
            seen.iter().filter(|seen| seen.starts_with("GET /token")).count(),
            fetched,
            "{seen:?}"
        );
    }
}

#[test]
fn a_redirect_elsewhere_loses_the_credentials_or_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let pair = Pair::new();
        let challenge = Lie::header(401, "www-authenticate", r#"Basic realm="x""#);
        let own = Lie::header(status, "location", "/v2/acme/bad/tags/list?moved");
        pair.bad.lies("?moved", [Lie::Truth]);
        pair.bad.lies("?n=1000", [challenge.clone(), own]);
        assert_eq!(pair.plan(&[]).exits(0).decisions()[0], "bad update v1.1.0 newer", "{status}");
        let sent: Vec<_> =
            pair.bad.requests().into_iter().map(|seen| seen.authorization.is_some()).collect();
        assert_eq!(sent, [false, true, true]);

        let other = format!("http://{}/v2/acme/good/tags/list?stolen", pair.good.host);
        pair.bad.lies("?n=1000", [challenge, Lie::header(status, "location", &other)]);
        let out = pair.plan(&[]).exits(3);
        assert_eq!(out.decisions()[0], "bad undecided - malformed-answer", "{status}");
        assert!(pair.good.requests().iter().all(|seen| !seen.path.contains("stolen")));
    }
}

#[test]
fn a_loop_of_redirects_ends() {
    let pair = Pair::new();
    pair.bad.lies("/tags/list", [Lie::header(302, "location", "/v2/acme/bad/tags/list?again")]);
    assert_eq!(pair.plan(&[]).exits(3).decisions()[0], "bad undecided - malformed-answer");
    assert_eq!(pair.bad.seen().len(), 6);
}

#[test]
fn a_digest_that_is_not_one_is_not_written() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let host = &registry.host;
    let policy = format!(
        "images: {{shop: {{image: {host}/acme/shop, tags: {{semver: '*'}}, digest: pin}}}}\n"
    );
    let site = format!("image: {host}/acme/shop:v1.0.0\n");
    let tree = world.tree(&[("policies/p.yaml", &policy), ("a.yaml", &site)]);
    let plan = || world.bot(["plan", "--repo", arg(&tree), "--format", "json"]).run();
    let digest = digest_of("acme/shop:v1.1.0");
    assert_eq!(plan().exits(0).json()["edits"][0]["new"], format!("v1.1.0@{digest}"));
    for lie in
        [Lie::status(404), Lie::header(200, "docker-content-digest", "sha256:no"), Lie::status(200)]
    {
        registry.lies("/manifests/", [lie]);
        let out = plan().exits(3);
        assert_eq!(out.decisions(), ["shop undecided v1.1.0 no-digest"]);
        assert_eq!(out.json()["edits"], serde_json::json!([]));
    }
}

#[test]
fn a_repository_is_listed_once_however_many_sites_use_it() {
    let world = World::new();
    let registry = world.registry();
    registry.push("acme/shop", &["v1.0.0", "v1.1.0"]);
    let host = &registry.host;
    let policy = format!(
        "images:\n  a: {{image: {host}/acme/shop, tags: {{semver: '*'}}}}\n  b: {{image: {host}/acme/shop, tags: {{fixed: v1.0.0}}}}\n\
         environments:\n  one: {{paths: [one], images: [a]}}\n  two: {{paths: [two], images: [b]}}\n"
    );
    let site = format!("image: {host}/acme/shop:v1.0.0\n").repeat(1)
        + &format!("---\nimage: {host}/acme/shop:v1.0.0\n").repeat(20);
    let tree =
        world.tree(&[("policies/p.yaml", &policy), ("one/a.yaml", &site), ("two/a.yaml", &site)]);
    let out = world.bot(["plan", "--repo", arg(&tree), "--format", "json"]).run().exits(0);
    assert_eq!(out.decisions(), ["a update v1.1.0 newer", "b keep v1.0.0 up-to-date"]);
    assert_eq!(registry.seen(), ["GET /v2/acme/shop/tags/list?n=1000"]);
}

#[test]
fn plain_http_is_for_loopback_and_where_somebody_says_so() {
    let world = World::new();
    let policy = "images: {shop: {image: registry.invalid:5000/acme/shop, tags: {semver: '*'}}}\n";
    let site = "image: registry.invalid:5000/acme/shop:v1.0.0\n";
    let settings = "registries: [{host: 'registry.invalid:5000', plainHttp: true}]\n";
    let tree = world.tree(&[("policies/p.yaml", policy), ("a.yaml", site)]);
    let asked = |out: &Output| {
        let urls = out.stderr.lines().filter_map(|line| line.split("url=").nth(1));
        urls.map(|url| url.split("//").next().unwrap().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let args = ["plan", "--repo", arg(&tree), "-v", "-v"];
    assert_eq!(asked(&world.bot(args).run().exits(3)), ["https:".to_owned()].into());
    let out =
        world.bot(args.into_iter().chain(["--plain-http", "registry.invalid:5000"])).run().exits(3);
    assert_eq!(asked(&out), ["http:".to_owned()].into());
    world.tree(&[("tagalong.yaml", settings)]);
    assert_eq!(asked(&world.bot(args).run().exits(3)), ["http:".to_owned()].into());
}
