//! The built binary against Debian's registry, real git over HTTP, and the world's GitHub.

use base64::Engine as _;

use crate::world::parts::{Access, Authority, PASSWORD, RealRegistry, TokenServer, USER};
use crate::world::{Output, World, arg};

fn log_in(world: &World, host: &str, password: &str) {
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
    world.file(
        "home/.docker/config.json",
        &format!(r#"{{"auths": {{"{host}": {{"auth": "{auth}"}}}}}}"#),
    );
}

/// Plans one image that is deployed as `v1.0.0`, pinned.
fn plan(world: &World, image: &str, more: &[&str], env: &[(&str, &str)]) -> Output {
    let policy =
        format!("images: {{app: {{image: {image}, tags: {{semver: '1.x'}}, digest: pin}}}}\n");
    let tree = world
        .tree(&[("policies/p.yaml", &policy), ("a.yaml", &format!("image: {image}:v1.0.0\n"))]);
    let args = ["plan", "--repo", arg(&tree), "--format", "json", "-v", "-v"]
        .into_iter()
        .chain(more.iter().copied());
    let bot = env.iter().fold(world.bot(args), |bot, (name, value)| bot.env(name, value));
    let out = bot.run();
    assert!(!out.stdout.contains(PASSWORD) && !out.stderr.contains(PASSWORD));
    out
}

#[test]
fn a_plain_registry_is_read() {
    let world = World::new();
    let registry = RealRegistry::start(&world, &Access::Open);
    registry.push(&world, "team/app", "v1.0.0");
    let digest = registry.push(&world, "team/app", "v1.1.0");
    let image = format!("{}/team/app", registry.host);
    let out = plan(&world, &image, &[], &[]).exits(0);
    assert_eq!(out.json()["edits"][0]["new"], format!("v1.1.0@{digest}"));
    let unknown = format!("{}/team/none", registry.host);
    assert_eq!(
        plan(&world, &unknown, &[], &[]).exits(3).decisions(),
        ["app undecided - not-found"]
    );
}

#[test]
fn a_password_goes_over_tls_that_the_machine_trusts() {
    let world = World::new();
    let authority = Authority::new(&world);
    let registry = RealRegistry::start(&world, &Access::Password(&authority));
    registry.push(&world, "team/app", "v1.0.0");
    let digest = registry.push(&world, "team/app", "v1.1.0");
    let image = format!("{}/team/app", registry.host);
    let trust = [("SSL_CERT_FILE", arg(&authority.ca))];
    assert_eq!(
        plan(&world, &image, &[], &trust).exits(3).decisions(),
        ["app undecided - unauthorized"]
    );
    log_in(&world, &registry.host, "wrong");
    assert_eq!(
        plan(&world, &image, &[], &trust).exits(3).decisions(),
        ["app undecided - unauthorized"]
    );
    log_in(&world, &registry.host, PASSWORD);
    let out = plan(&world, &image, &[], &trust).exits(0);
    assert_eq!(out.json()["edits"][0]["new"], format!("v1.1.0@{digest}"));
    assert_eq!(
        plan(&world, &image, &[], &[]).exits(3).decisions(),
        ["app undecided - unavailable"]
    );
}

#[test]
fn tokens_are_fetched_for_each_repository() {
    let world = World::new();
    let tokens = TokenServer::start(&world);
    let registry = RealRegistry::start(&world, &Access::Token(&tokens));
    for repository in ["public/app", "private/app"] {
        registry.push(&world, repository, "v1.0.0");
        registry.push(&world, repository, "v1.1.0");
    }
    let (public, private) =
        (format!("{}/public/app", registry.host), format!("{}/private/app", registry.host));
    let allow = format!("{}={}", registry.host, tokens.host);
    let allow = ["--token-host", &allow];
    assert_eq!(
        plan(&world, &public, &allow, &[]).exits(0).decisions(),
        ["app update v1.1.0 newer"]
    );
    assert_eq!(
        plan(&world, &private, &allow, &[]).exits(3).decisions(),
        ["app undecided - unauthorized"]
    );
    log_in(&world, &registry.host, "wrong");
    assert_eq!(
        plan(&world, &public, &allow, &[]).exits(3).decisions(),
        ["app undecided - unauthorized"]
    );
    log_in(&world, &registry.host, PASSWORD);
    assert_eq!(
        plan(&world, &private, &allow, &[]).exits(0).decisions(),
        ["app update v1.1.0 newer"]
    );
    assert_eq!(
        plan(&world, &private, &[], &[]).exits(3).decisions(),
        ["app undecided - unauthorized"]
    );
}

/// The mode in which the registry believes everybody, which is for tests alone.
#[test]
fn a_registry_that_believes_everybody_is_told_a_token() {
    let world = World::new();
    let tokens = TokenServer::start(&world);
    let registry = RealRegistry::start(&world, &Access::Anything(&tokens));
    registry.push(&world, "public/app", "v1.0.0");
    registry.push(&world, "public/app", "v1.1.0");
    let image = format!("{}/public/app", registry.host);
    let allow = format!("{}={}", registry.host, tokens.host);
    let out = plan(&world, &image, &["--token-host", &allow], &[]).exits(0);
    assert_eq!(out.decisions(), ["app update v1.1.0 newer"]);
    assert_eq!(
        plan(&world, &image, &[], &[]).exits(3).decisions(),
        ["app undecided - unauthorized"]
    );
}

#[test]
fn a_certificate_is_shown_to_the_registry_that_it_is_for() {
    let world = World::new();
    let authority = Authority::new(&world);
    let registry = RealRegistry::start(&world, &Access::Certificate(&authority));
    registry.push(&world, "team/app", "v1.0.0");
    let digest = registry.push(&world, "team/app", "v1.1.0");
    let image = format!("{}/team/app", registry.host);
    let (host, ca) = (&registry.host, arg(&authority.ca));
    let (certificate, key) = (arg(&authority.client.0), arg(&authority.client.1));
    let run = |more: &str| {
        let file = format!("registries: [{{host: '{host}', {more}}}]\n");
        let file = world.file("registries.yaml", &file);
        plan(&world, &image, &["--registries", arg(&file)], &[])
    };
    let client = format!("clientCertificate: '{certificate}', clientKey: '{key}'");
    let out = run(&format!("ca: '{ca}', {client}")).exits(0);
    assert_eq!(out.json()["edits"][0]["new"], format!("v1.1.0@{digest}"));
    for (more, want) in [
        (format!("ca: '{ca}'"), "app undecided - unavailable"),
        (client, "app undecided - unavailable"),
        (format!("ca: '{key}'"), "app undecided - malformed-answer"),
        ("ca: /nowhere.pem".to_owned(), "app undecided - malformed-answer"),
        (
            format!("ca: '{ca}', clientCertificate: '{ca}', clientKey: '{ca}'"),
            "app undecided - malformed-answer",
        ),
    ] {
        assert_eq!(run(&more).exits(3).decisions(), [want], "{more}");
    }
}

#[test]
fn a_registry_that_divides_its_lists_is_read_to_the_end() {
    let world = World::new();
    let registry = RealRegistry::paging(&world);
    let tags: Vec<String> = (0..=1000).map(|n| format!("v1.{}.{}", n / 100, n % 100)).collect();
    for tag in &tags {
        registry.push_image(&world, "team/app", tag, "linux/amd64", "2026-01-01T00:00:00Z");
    }
    let image = format!("{}/team/app", registry.host);
    let saved = world.dir("out").join("catalog.yaml");
    let out = plan(&world, &image, &["--save-catalog", arg(&saved)], &[]).exits(0);
    assert_eq!(out.decisions(), ["app update v1.10.0 newer"]);
    let listed = std::fs::read_to_string(saved).unwrap();
    assert_eq!(listed.lines().filter(|line| line.contains("\"tag\"")).count(), tags.len());
    let cost = &out.json()["registries"][0];
    assert_eq!((&cost["pages"], &cost["requests"]), (&2.into(), &3.into()));
}

#[test]
fn the_whole_story_on_real_servers() {
    let world = World::new();
    let registry = RealRegistry::start(&world, &Access::Open);
    registry.push(&world, "acme/shop", "v1.0.0");
    let first = registry.push(&world, "acme/shop", "v1.1.0");
    let host = &registry.host;
    let policies = format!(
        "images: {{shop: {{image: {host}/acme/shop, tags: {{semver: '>=1'}}, digest: pin}}}}\n"
    );
    let site = format!("image: \"{host}/acme/shop:v1.0.0\"   # kept\r\nother: 1");
    let github = world.github(&[("policies/p.yaml", &policies), ("clusters/a.yaml", &site)]);
    let run = || {
        github.env(world.bot(["run", "--repo", "acme/fleet", "--format", "json"])).run().exits(0)
    };
    let branch = "tagalong/default";

    assert_eq!(run().deliveries(), ["default created"]);
    let shown = github.repo.show(branch, "clusters/a.yaml");
    assert_eq!(shown, format!("image: \"{host}/acme/shop:v1.1.0@{first}\"   # kept\r\nother: 1"));
    let head = github.repo.head(branch);

    github.seen();
    assert_eq!(run().deliveries(), ["default unchanged"]);
    assert_eq!((github.writes(), github.repo.head(branch)), (Vec::new(), head));

    let second = registry.push(&world, "acme/shop", "v1.2.0");
    assert_eq!(run().deliveries(), ["default updated"]);
    let shown = github.repo.show(branch, "clusters/a.yaml");
    assert_eq!(shown, format!("image: \"{host}/acme/shop:v1.2.0@{second}\"   # kept\r\nother: 1"));
    assert_eq!(github.pulls().len(), 1);
    assert_eq!(github.pulls()[0].title, "Update shop to v1.2.0");

    github.repo.commit(branch, "A person's hand", &[("note.txt", "mine\n")]);
    registry.push(&world, "acme/shop", "v1.3.0");
    let head = github.repo.head(branch);
    assert_eq!(run().deliveries(), ["default frozen"]);
    github.seen();
    assert_eq!(run().deliveries(), ["default frozen"]);
    assert_eq!((github.writes(), github.repo.head(branch)), (Vec::new(), head));
}
