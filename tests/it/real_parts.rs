//! The built binary against Debian's registry, real git over HTTP, and the world's GitHub.

use base64::Engine as _;

use crate::world::parts::{Access, Authority, DockerRegistry, PASSWORD, TokenServer, USER};
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
    let registry = DockerRegistry::start(&world, &Access::Open);
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
    let registry = DockerRegistry::start(&world, &Access::Password(&authority));
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
    let registry = DockerRegistry::start(&world, &Access::Token(&tokens));
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

#[test]
fn the_whole_story_on_real_servers() {
    let world = World::new();
    let registry = DockerRegistry::start(&world, &Access::Open);
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
    github.seen();
    assert_eq!(run().deliveries(), ["default frozen"]);
    assert_eq!((github.writes(), github.repo.head(branch)), (Vec::new(), head));
}
