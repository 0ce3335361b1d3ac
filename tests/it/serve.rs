//! The daemon: it looks on its own and when something rings, and ends when it is told to.

use std::path::{Path, PathBuf};

use reqwest::RequestBuilder;

use crate::world::daemon::{Daemon, PATIENCE, SECRET};
use crate::world::{Lie, Repo, Story, arg};

/// Settings of a daemon for some repositories.
fn settings(story: &Story, repositories: &str) -> PathBuf {
    let text = format!(
        "listen: 127.0.0.1:0\ninterval: 1h\ndebounce: 0s\nrepositories: {repositories}\nwebhooks:\n\
         - {{kind: github, path: /hooks/github, secretVariables: [HOOK_SECRET]}}\n\
         - {{kind: distribution, path: /hooks/registry, secretVariables: [HOOK_SECRET], registry: '{}'}}\n",
        story.registry.host
    );
    story.world.file("serve.yaml", &text)
}

/// Sends a request; its status and body.
fn send(story: &Story, request: RequestBuilder) -> (u16, String) {
    story.world.runtime.block_on(async {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

fn open(story: &Story) -> usize {
    story.forge.pulls().iter().filter(|pull| pull.state == "open").count()
}

const PUSH: &str = r#"{"ref":"refs/heads/main","repository":{"full_name":"acme/fleet"}}"#;

#[test]
fn what_rings_is_let_in_and_looked_at_once() {
    let story = Story::shop();
    let daemon =
        Daemon::start(&story.world, &story.forge, &settings(&story, "[{repo: acme/fleet}]"));
    daemon.says("\"run finished\"", 1);
    let get = |path: &str| send(&story, daemon.get(path));
    assert_eq!(get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get("/readyz"), (200, "ready\n".to_owned()));
    story.registry.push("acme/shop", &["v1.1.0"]);
    // Whoever knows no secret, or sends what is none, changes nothing.
    let post = |path: &str| daemon.post(path);
    let signed = |body: &str| daemon.ring("push", "d-0", body);
    assert_eq!(send(&story, post("/hooks/github").body(PUSH)).0, 401);
    assert_eq!(send(&story, signed(PUSH).body(PUSH.replace("fleet", "fleeT"))).0, 401);
    assert_eq!(send(&story, signed("no json")).0, 400);
    assert_eq!(send(&story, signed(&"x".repeat((1 << 20) + 1))).0, 413);
    assert_eq!(send(&story, post("/hooks/other").body(PUSH)).0, 404);
    assert_eq!(get("/hooks/github").0, 405);
    assert_eq!(send(&story, daemon.ring("ping", "d-1", PUSH)).0, 200);
    // GitHub's usual form.
    let form =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", PUSH).finish();
    let form = daemon.ring("ping", "d-9", &form);
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(&story, form).0, 200);
    // One for a repository that nobody serves leads nowhere.
    let other = PUSH.replace("acme/fleet", "evil/fleet");
    assert_eq!(send(&story, daemon.ring("push", "d-2", &other)).0, 202);
    // One that is let in: the tag is asked for, and what it says of it does not matter.
    assert_eq!(send(&story, daemon.ring("push", "d-3", PUSH)).0, 202);
    daemon.says("\"run finished\"", 2);
    assert_eq!(open(&story), 1);
    story.registry.seen();
    for _ in 0..200 {
        assert_eq!(send(&story, daemon.ring("push", "d-3", PUSH)).0, 202);
    }
    assert_eq!(story.registry.seen(), [""; 0]);
    let (_, metrics) = get("/metrics");
    for line in [
        "tagalong_webhooks_total{path=\"/hooks/github\",outcome=\"replayed\"} 200",
        "tagalong_webhooks_total{path=\"/hooks/github\",outcome=\"refused\"} 3",
        "tagalong_webhooks_total{path=\"/hooks/github\",outcome=\"oversized\"} 1",
        "tagalong_runs_total{repository=\"acme/fleet\",outcome=\"done\"} 2",
        "tagalong_deliveries_total{repository=\"acme/fleet\",outcome=\"created\"} 1",
        "tagalong_images{repository=\"acme/fleet\",outcome=\"update\"} 1",
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    // The registry's own notice leads to the one image that it names.
    story.registry.push("acme/shop", &["v1.2.0"]);
    let event = r#"{"events":[{"id":"1","action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "repository":"acme/shop","tag":"v9.9.9"},"request":{"host":"elsewhere"}}]}"#;
    let notice = post("/hooks/registry").header("authorization", SECRET).body(event);
    assert_eq!(send(&story, notice).0, 202);
    let looked = daemon.says("\"run finished\"", 3);
    assert!(daemon.says("\"run started\"", 3).contains("Images"), "{looked}");
    assert!(story.forge.pulls()[0].title.contains("v1.2.0"), "{}", story.forge.pulls()[0].title);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_log_says_what_a_run_changed_and_why_a_webhook_is_not_taken() {
    let story = Story::shop();
    let config = settings(&story, "[{repo: acme/fleet}]");
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    daemon.says("\"run finished\"", 1);
    let (status, why) = send(&story, daemon.post("/hooks/github").body(PUSH));
    assert_eq!(status, 401);
    let cause = why.strip_prefix("refused: ").unwrap().trim();
    assert!(cause.starts_with("the signature is missing, or does not match"), "{why}");
    assert!(daemon.says("webhook not taken", 1).contains(cause), "the log says the same");
    let (status, why) = send(&story, daemon.ring("push", "d-0", "no json"));
    assert_eq!((status, why.starts_with("malformed: the body is not what")), (400, true), "{why}");
    // What a stranger sends without end does not fill the log.
    for _ in 0..100 {
        send(&story, daemon.post("/hooks/github").body(PUSH));
    }
    daemon.says("their lines are left out for this minute", 1);
    story.registry.push("acme/shop", &["v1.1.0"]);
    send(&story, daemon.ring("push", "d-1", PUSH));
    let finished = daemon.says("\"run finished\"", 2);
    for part in ["\"opened\":1", "\"updated\":0", "\"duration_ms\":"] {
        assert!(finished.contains(part), "no {part} in {finished}");
    }
    let opened = daemon.says("\"pull request opened\"", 1);
    for part in ["\"environment\":\"default\"", "\"number\":1", "\"images\":\"shop\"", "/pull/1\""]
    {
        assert!(opened.contains(part), "no {part} in {opened}");
    }
}

#[test]
fn one_bad_repository_stops_no_other() {
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    let config = settings(&story, "[{repo: acme/gone}, {repo: acme/fleet}]");
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    let finished = daemon.says("\"run finished\"", 2);
    for part in ["\"opened\":1", "\"updated\":0", "\"duration_ms\":"] {
        assert!(finished.contains(part), "no {part} in {finished}");
    }
    let opened = daemon.says("\"pull request opened\"", 1);
    for part in [
        "\"environment\":\"default\"",
        "\"number\":1",
        "/acme/fleet/pull/1\"",
        "\"images\":\"shop\"",
    ] {
        assert!(opened.contains(part), "no {part} in {opened}");
    }
    assert_eq!(open(&story), 1);
    let metrics = send(&story, daemon.get("/metrics")).1;
    assert!(
        metrics.contains("tagalong_runs_total{repository=\"acme/gone\",outcome=\"failed\"} 1"),
        "{metrics}"
    );
    assert_eq!(daemon.stop(), 0);
}

/// What a repository holds may take more memory than there is: that ends its own run, with the reason.
#[test]
fn a_run_that_needs_too_much_memory_ends_alone() {
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    let many = "- {a: {b: c}}\n".repeat(250_000) + "- image: r.io/acme/shop:v1.0.0\n";
    let policy = "images:\n  shop: {image: r.io/acme/shop, tags: {semver: '*'}}\n";
    let files = [("policies/p.yaml", policy), ("a.yaml", &*many)];
    let greedy = Repo::create(&story.world.dir("git"), "greedy", &files);
    let repositories = format!("[{{repo: '{}'}}, {{repo: acme/fleet}}]", arg(&greedy.bare));
    let config = settings(&story, &repositories);
    let text = std::fs::read_to_string(&config).unwrap() + "runMemory: 128\n";
    std::fs::write(&config, text).unwrap();
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    let problem = daemon.says("the run was ended by signal 6", 1);
    assert!(problem.contains("greedy.git") && problem.contains("128 MiB"), "{problem}");
    daemon.says("pull request opened", 1);
    daemon.says("\"run finished\"", 2);
    let metrics = send(&story, daemon.get("/metrics")).1;
    let failed = format!("repository=\"{}\",outcome=\"failed\"}} 1", arg(&greedy.bare));
    assert!(metrics.contains(&failed), "{metrics}");
    assert_eq!(daemon.stop(), 0);
}

/// Nobody else reads what a run says of the ledger.
#[test]
fn the_daemon_tells_of_a_ledger_that_nobody_proves() {
    let story = Story::shop();
    let tree = story.forge.repo.make_tree(&format!(
        "100644 blob {}\tledger.json\n",
        story.forge.repo.hash_object("{\"version\": 1, \"seal\": \"x\"}")
    ));
    let commit = story.forge.repo.git(&["commit-tree", "-m", "Remember", tree.trim()]);
    story.forge.repo.git(&["update-ref", "refs/tagalong/ledger", commit.trim()]);
    let config = settings(&story, "[{repo: acme/fleet}]");
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    let told = daemon.says("ledger.unproven", 1);
    assert!(told.contains("acme/fleet") && told.contains("has no key"), "{told}");
    daemon.says("\"run finished\"", 1);
    assert_eq!(daemon.stop(), 0);
}

/// A run does not outlive a daemon that nobody stopped in peace.
#[test]
fn a_run_ends_with_its_daemon() {
    let story = Story::shop();
    let (here, goes_on) = story.forge.ambush(0, false);
    let config = settings(&story, "[{repo: acme/fleet}]");
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    here.recv_timeout(PATIENCE).unwrap();
    let runs = daemon.runs();
    assert_eq!(runs.len(), 1);
    daemon.signal("-KILL");
    // What is over may still wait to be fetched by init.
    let stat = Path::new("/proc").join(&runs[0]).join("stat");
    let is_there = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    let began = std::time::Instant::now();
    while is_there() && began.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    assert!(!is_there(), "the run goes on without its daemon");
    drop(goes_on);
}

#[test]
fn settings_that_turn_invalid_are_not_taken() {
    let story = Story::shop();
    let config = settings(&story, "[{repo: acme/fleet}]");
    let good = std::fs::read_to_string(&config).unwrap();
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    daemon.says("\"run finished\"", 1);
    for bad in ["repositories: [", "repositories: []", &good.replace("HOOK_SECRET", "NOT_SET")] {
        std::fs::write(&config, bad).unwrap();
        daemon.signal("-HUP");
    }
    daemon.says("keeping the previous settings", 1);
    assert_eq!(send(&story, daemon.ring("push", "d-1", PUSH)).0, 202);
    daemon.says("\"run finished\"", 2);
    std::fs::write(
        &config,
        good.replace("[{repo: acme/fleet}]", "[{repo: acme/fleet}, {repo: acme/new}]"),
    )
    .unwrap();
    daemon.signal("-HUP");
    assert!(daemon.says("\"run started\"", 3).contains("acme/new"));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn what_rings_before_anything_is_known_is_not_lost() {
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    // The first look is held up at its first request, and fails.
    let (here, goes_on) = story.forge.ambush(0, false);
    let daemon =
        Daemon::start(&story.world, &story.forge, &settings(&story, "[{repo: acme/fleet}]"));
    here.recv_timeout(PATIENCE).unwrap();
    let event = r#"{"events":[{"action":"push","target":{"mediaType":"x.manifest","repository":"acme/shop"}}]}"#;
    let notice = daemon.post("/hooks/registry");
    assert_eq!(send(&story, notice.header("authorization", SECRET).body(event)).0, 202);
    drop(goes_on);
    let finished = daemon.says("\"run finished\"", 2);
    for part in ["\"opened\":1", "\"updated\":0", "\"duration_ms\":"] {
        assert!(finished.contains(part), "no {part} in {finished}");
    }
    let opened = daemon.says("\"pull request opened\"", 1);
    for part in [
        "\"environment\":\"default\"",
        "\"number\":1",
        "/acme/fleet/pull/1\"",
        "\"images\":\"shop\"",
    ] {
        assert!(opened.contains(part), "no {part} in {opened}");
    }
    assert_eq!(open(&story), 1);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_webhook_outlives_a_registry_that_fails() {
    let story = Story::shop();
    let daemon =
        Daemon::start(&story.world, &story.forge, &settings(&story, "[{repo: acme/fleet}]"));
    daemon.says("\"run finished\"", 1);
    // A policy has another name by now, which the daemon does not know.
    let policy = story.forge.repo.show("main", "policies/p.yaml").replace("shop:", "web:");
    story.forge.repo.commit("main", "Rename", &[("policies/p.yaml", &policy)]);
    story.registry.push("acme/shop", &["v1.1.0"]);
    let event = r#"{"events":[{"action":"push","target":{"mediaType":"x.manifest","repository":"acme/shop"}}]}"#;
    let notice = daemon.post("/hooks/registry").header("authorization", SECRET).body(event);
    assert_eq!(send(&story, notice).0, 202);
    assert!(daemon.says("\"run finished\"", 2).contains("\"outcome\":\"done\""));
    assert_eq!(open(&story), 1);
    // Nobody rings a second time.
    story.registry.push("acme/shop", &["v1.2.0"]);
    story.registry.lies("/tags/list", vec![Lie::status(503); 12]);
    let notice = daemon.post("/hooks/registry").header("authorization", SECRET).body(event);
    assert_eq!(send(&story, notice).0, 202);
    assert!(daemon.says("\"run finished\"", 3).contains("\"outcome\":\"partly\""));
    assert!(daemon.says("run reported a problem", 1).contains("web in default"));
    story.registry.lies("/tags/list", []);
    assert!(daemon.says("\"run finished\"", 4).contains("\"outcome\":\"done\""));
    assert!(story.forge.pulls()[0].title.contains("v1.2.0"));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_secret_that_comes_later_is_taken_then() {
    let story = Story::shop();
    let config = settings(&story, "[{repo: acme/fleet}]");
    let good = std::fs::read_to_string(&config).unwrap();
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    daemon.says("\"run finished\"", 1);
    let secret = story.world.dir("secrets").join("late");
    let more =
        format!("- {{kind: harbor, path: /hooks/harbor, secretFiles: [{}]}}\n", arg(&secret));
    std::fs::write(&config, good + &more).unwrap();
    daemon.signal("-HUP");
    daemon.says("keeping the previous settings", 1);
    std::fs::write(&secret, SECRET).unwrap();
    daemon.signal("-HUP");
    daemon.says("settings reloaded", 1);
    let ring = || {
        let post = daemon.post("/hooks/harbor");
        send(&story, post.header("authorization", SECRET).body("{}")).0
    };
    assert_eq!(ring(), 200);
    // The next secret is another fingerprint.
    std::fs::write(&secret, "another secret of the tests").unwrap();
    daemon.signal("-HUP");
    daemon.says("settings reloaded", 2);
    assert_eq!(ring(), 401);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn what_is_of_one_run_is_refused() {
    let story = Story::shop();
    let config = settings(&story, "[{repo: 'https://user:sekret@host.example/x.git'}]");
    let bot = story.world.bot(["serve", "--config", arg(&config)]).env("HOOK_SECRET", SECRET);
    let refused = bot.run().exits(2).says(&["leave user, password and query out"]);
    assert!(!refused.stderr.contains("sekret"), "{}", refused.stderr);
    let config = settings(&story, "[{repo: acme/fleet}]");
    for option in ["--ledger", "--policies", "--catalog", "--save-catalog", "--env"] {
        let bot = story.world.bot(["serve", "--config", arg(&config), option, "x"]);
        bot.env("HOOK_SECRET", SECRET).run().exits(2).says(&[option]);
    }
}

#[test]
fn it_does_not_start_without_a_good_secret() {
    let story = Story::shop();
    let good = std::fs::read_to_string(settings(&story, "[{repo: acme/fleet}]")).unwrap();
    let cases = [
        (good.replace("HOOK_SECRET", "NOT_SET"), "NOT_SET"),
        (good.replace("HOOK_SECRET", "WEAK"), "less than 16 bytes"),
        (good.replace("interval: 1h", "interval: 1s"), "less than 10 seconds"),
        (good.replace(", secretVariables: [HOOK_SECRET]}", "}"), "it has no secret"),
    ];
    for (text, why) in cases {
        let config = story.world.file("bad.yaml", &text);
        let bot = story.world.bot(["serve", "--config", arg(&config)]);
        bot.env("HOOK_SECRET", SECRET).env("WEAK", "0123456789").run().exits(2).says(&[why]);
    }
}

#[test]
fn a_stop_in_every_phase_leaves_nothing_broken() {
    // How many requests a first look has, from git's to those of the pull request.
    let story = Story::shop();
    story.registry.push("acme/shop", &["v1.1.0"]);
    let daemon =
        Daemon::start(&story.world, &story.forge, &settings(&story, "[{repo: acme/fleet}]"));
    daemon.says("\"run finished\"", 1);
    assert_eq!(daemon.stop(), 0);
    let requests = story.forge.seen().len();
    assert!(requests >= 5, "{requests}");
    for (left, after_effect) in (0..requests).flat_map(|left| [(left, false), (left, true)]) {
        let story = Story::shop();
        story.registry.push("acme/shop", &["v1.1.0"]);
        let (here, goes_on) = story.forge.ambush(left, after_effect);
        let daemon =
            Daemon::start(&story.world, &story.forge, &settings(&story, "[{repo: acme/fleet}]"));
        here.recv_timeout(PATIENCE).unwrap();
        daemon.signal("-TERM");
        daemon.says("\"stopping\"", 1);
        // The request fails, and what is under way ends as it can.
        drop(goes_on);
        assert_eq!(daemon.stop(), 0, "{left} {after_effect}");
        // The next one finds what is there, and does the rest.
        let daemon =
            Daemon::start(&story.world, &story.forge, &settings(&story, "[{repo: acme/fleet}]"));
        daemon.says("\"outcome\":\"done\"", 1);
        assert_eq!(daemon.stop(), 0);
        assert_eq!(story.forge.pulls().len(), 1, "{left} {after_effect}");
    }
}

/// What a connection answers to a request: its head.
fn head(stream: &mut std::net::TcpStream) -> String {
    use std::io::Read as _;
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        read.push(byte[0]);
    }
    let head = String::from_utf8(read).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok();
    head
}

/// An answer that is given before a body was read leaves the connection as it should be, or says that it does not.
#[test]
fn an_early_answer_loses_no_later_request() {
    use std::io::Write as _;
    let story = Story::shop();
    let daemon =
        Daemon::start(&story.world, &story.forge, &settings(&story, "[{repo: acme/fleet}]"));
    daemon.says("\"run finished\"", 1);
    let at = daemon.url.strip_prefix("http://").unwrap().to_owned();
    for round in 0..3 {
        for (method, path, length, sent, status) in [
            ("POST", "/hooks/other", 10, 10, "404"),
            ("POST", "/hooks/other", 1 << 20, 1 << 20, "404"),
            ("POST", "/hooks/registry", 500_000, 500_000, "401"),
            ("PUT", "/hooks/github", 500_000, 500_000, "405"),
            ("POST", "/hooks/github", (1 << 20) + 1, (1 << 20) + 1, "413"),
            ("POST", "/healthz", 100_000, 100_000, "200"),
            ("POST", "/hooks/github", 9 << 20, 0, "413"),
            ("POST", "/hooks/other", 100, 0, "404"),
        ] {
            // Those that wait for a body that never comes cost a second.
            if sent == 0 && round > 0 {
                continue;
            }
            let mut stream = std::net::TcpStream::connect(&at).unwrap();
            write!(
                stream,
                "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"
            )
            .unwrap();
            stream.write_all(&vec![b'x'; sent]).unwrap();
            let first = head(&mut stream);
            assert!(
                first.starts_with(&format!("http/1.1 {status}")),
                "{method} {path} {length}: {first}"
            );
            if first.contains("connection: close") {
                assert!(sent < length, "{path}: the body was sent, and nothing is in the way");
                continue;
            }
            write!(stream, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            let second = head(&mut stream);
            assert!(second.starts_with("http/1.1 200"), "{method} {path} {length}: {second}");
        }
    }
    assert_eq!(daemon.stop(), 0);
}

/// Probes and metrics at an address of their own: whoever holds the places of the other one holds none of theirs.
/// Strangers who send a byte now and then lose their places to whoever is faster.
#[test]
fn strangers_take_no_place_from_signed_senders() {
    use std::io::Write as _;
    let story = Story::shop();
    let config = settings(&story, "[{repo: acme/fleet}]");
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    daemon.says("\"run finished\"", 1);
    let at = daemon.url.strip_prefix("http://").unwrap().to_owned();
    let slow: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(&at).unwrap();
            let head = "POST /hooks/github HTTP/1.1\r\nhost: x\r\nx-hub-signature-256: sha256=0\r\ncontent-length: 1000\r\n\r\n{";
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    for id in 0..3 {
        let ring = daemon.ring("push", &format!("d-{id}"), PUSH);
        assert_eq!(send(&story, ring).0, 202);
    }
    drop(slow);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn strangers_take_no_place_from_probes() {
    use std::io::Write as _;
    let story = Story::shop();
    let config = settings(&story, "[{repo: acme/fleet}]");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("statusListen: 127.0.0.1:0\n{text}")).unwrap();
    let daemon = Daemon::start(&story.world, &story.forge, &config);
    daemon.says("\"run finished\"", 1);
    let line = daemon.says("probes and metrics", 1);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let client = reqwest::Client::new();
    let probe = |path: &str| client.get(format!("http://{}{path}", line["at"].as_str().unwrap()));
    let at = daemon.url.strip_prefix("http://").unwrap().to_owned();
    let slow: Vec<_> = (0..600)
        .map_while(|_| {
            let mut stream = std::net::TcpStream::connect(&at).ok()?;
            stream.write_all(b"POST /hooks/github HTTP/1.1\r\n").ok()?;
            Some(stream)
        })
        .collect();
    for (path, status) in
        [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/hooks/github", 404)]
    {
        assert_eq!(send(&story, probe(path)).0, status, "{path}");
    }
    drop(slow);
    assert_eq!(send(&story, daemon.get("/healthz")).0, 404);
    assert_eq!(daemon.stop(), 0);
}
