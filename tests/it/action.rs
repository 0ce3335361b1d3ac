//! The action as a runner would run it: the steps of `action.yml` with the inputs' values in their environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::{ForgeServer, Output, Story, World, arg};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A runner with a directory for its files.
struct Runner<'a> {
    world: &'a World,
    forge: Option<&'a ForgeServer>,
    action: PathBuf,
}

impl<'a> Runner<'a> {
    fn new(world: &'a World, github: Option<&'a ForgeServer>) -> Self {
        Self { world, forge: github, action: root().to_owned() }
    }

    /// The value of an expression, as far as the action uses them.
    fn value(&self, text: &str, inputs: &BTreeMap<String, String>) -> String {
        let Some(expression) = text.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}"))
        else {
            assert!(!text.contains("${{"), "{text}");
            return text.to_owned();
        };
        match expression {
            "github.action_path" => arg(&self.action).to_owned(),
            "github.token" => crate::world::TOKEN.to_owned(),
            other => inputs[other.strip_prefix("inputs.").unwrap()].clone(),
        }
    }

    /// Runs the step of an id.
    fn step(&self, id: &str, given: &[(&str, &str)]) -> Output {
        let text = std::fs::read_to_string(root().join("action.yml")).unwrap();
        let action: Value = serde_saphyr::from_str(&text).unwrap();
        let mut inputs = BTreeMap::new();
        for (name, input) in action["inputs"].as_object().unwrap() {
            let default = input["default"].as_str().unwrap();
            inputs.insert(name.clone(), self.value(default, &inputs));
        }
        for (name, value) in given {
            assert!(inputs.insert((*name).to_owned(), (*value).to_owned()).is_some(), "{name}");
        }
        let steps = action["runs"]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["id"] == id).unwrap();
        // What others write stands in variables, and never in the script itself.
        let script = step["run"].as_str().unwrap();
        assert!(!script.contains("${{"), "{script}");
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]);
        let mut bot = crate::world::Bot::from(command, &self.world.dir("workspace"));
        if let Some(github) = self.forge {
            bot = github.env(bot);
        }
        for (name, value) in step["env"].as_object().unwrap() {
            bot = bot.env(name, &self.value(value.as_str().unwrap(), &inputs));
        }
        let file = |name: &str| self.world.dir("runner").join(name);
        bot.env("RUNNER_TEMP", arg(&self.world.dir("runner")))
            .env("RUNNER_OS", "Linux")
            .env("RUNNER_ARCH", "X64")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_REPOSITORY", "acme/fleet")
            .env("GITHUB_OUTPUT", arg(&file("output")))
            .env("GITHUB_STEP_SUMMARY", arg(&file("summary")))
            .env("CURL_CA_BUNDLE", arg(&file("ca.pem")))
            .run()
    }

    /// The last outputs of a step, read as the runner reads them.
    fn outputs(&self) -> BTreeMap<String, String> {
        let path = self.world.dir("runner").join("output");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let mut outputs = BTreeMap::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let (name, end) = line.split_once("<<").unwrap();
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
            outputs.insert(name.to_owned(), value.join("\n"));
        }
        outputs
    }
}

#[test]
fn a_run_has_outputs_and_a_summary() {
    let Story { world, registry, forge: github, .. } = &Story::shop();
    registry.push("acme/shop", &["v1.1.0"]);
    let runner = Runner::new(world, Some(github));
    runner.step("get", &[("binary", env!("CARGO_BIN_EXE_tagalong"))]).exits(0);
    world.file("runner/output", "");
    runner.step("run", &[]).exits(0);
    let outputs = runner.outputs();
    assert_eq!(outputs["changed"], "true");
    let pulls: Value = serde_json::from_str(&outputs["pull-requests"]).unwrap();
    assert_eq!((&pulls[0]["number"], &pulls[0]["outcome"]), (&1.into(), &"created".into()));
    let summary = std::fs::read_to_string(world.dir("runner").join("summary")).unwrap();
    assert!(summary.contains("v1.1.0"), "{summary}");
    assert!(world.dir("runner").join("tagalong-cache").is_dir());
    runner.step("run", &[]).exits(0);
    assert_eq!(runner.outputs()["changed"], "false");
    // From an app's repository: the tag is a hint, asked for at the registry.
    let pushed = format!("{}/acme/shop:v9.9.9", registry.host);
    runner.step("run", &[("repository", "acme/fleet"), ("image-ref", &pushed)]).exits(3);
    // An input is one argument, whatever it holds.
    for evil in ["x; touch pwned", "$(touch pwned)", "--deliver=push", "a/b --now=x"] {
        let refused = runner.step("run", &[("repository", evil)]);
        assert_eq!(refused.code, 2, "{evil}: {}", refused.stderr);
    }
    assert!(!world.dir("workspace").join("pwned").exists());
    runner.step("run", &[("command", "rollback")]).exits(2);
}

#[test]
fn mistakes_are_shown_on_their_lines() {
    let world = World::new();
    let runner = Runner::new(&world, None);
    world.file(
        "workspace/policies/shop.yaml",
        "images:\n  shop:\n    image: ghcr.io/acme/shop\n    tags: {semer: '*'}\n",
    );
    runner.step("get", &[("binary", env!("CARGO_BIN_EXE_tagalong"))]).exits(0);
    let checked = runner.step("run", &[("command", "check")]).exits(2);
    // What strangers wrote is printed where the runner takes no commands.
    let (printed, rest) = checked.stdout.split_once("\n::").unwrap();
    assert!(printed.starts_with("::stop-commands::"), "{}", checked.stdout);
    let line = rest.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(
        line.starts_with("::error title=policy.unknown-key,file=policies/shop.yaml,line=4,col="),
        "{line}"
    );
}

/// Files of a directory over TLS.
struct Releases(Child);

impl Drop for Releases {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Releases {
    /// Serves a directory with openssl; its address.
    fn serve(world: &World, directory: &Path) -> (Self, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        world.file("runner/ca.pem", &certificate);
        let certificate = world.file("tls.pem", &(certificate + &key.serialize_pem()));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("timeout");
        command.args([
            "600",
            "openssl",
            "s_server",
            "-quiet",
            "-WWW",
            "-accept",
            &port.to_string(),
            "-cert",
            arg(&certificate),
        ]);
        let child = command
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        (Self(child), format!("https://localhost:{port}"))
    }
}

#[test]
fn only_the_binary_that_was_released_is_run() {
    let world = World::new();
    let script = "#!/bin/sh\necho released\n";
    world.file("releases/v1.2.3/tagalong-x86_64-linux", script);
    let (_server, url) = Releases::serve(&world, &world.dir("releases"));
    let digest = crate::world::registry::digest_of(script).replace("sha256:", "");
    let mut runner = Runner::new(&world, None);
    // Nothing is compiled, and nothing is run that has no digest.
    runner.step("get", &[("releases", &url)]).exits(1).says(&["comes with no binaries"]);
    runner.action = world.dir("action-of-a-release");
    for name in ["get", "run"] {
        let to = world.dir("action-of-a-release/action").join(name);
        std::fs::copy(root().join("action").join(name), to).unwrap();
    }
    let released = world.dir("runner").join("tagalong-bin/tagalong");
    let sums = |digest: &str| {
        let text = format!("# version v1.2.3\n{digest}  tagalong-x86_64-linux\n");
        world.file("action-of-a-release/action/checksums.txt", &text);
    };
    sums(&"0".repeat(64));
    runner
        .step("get", &[("releases", &url)])
        .exits(1)
        .says(&["is not the tagalong that was released"]);
    assert!(!released.exists());
    sums(&digest);
    runner.step("get", &[("releases", &url)]).exits(0);
    assert_eq!(std::fs::read_to_string(&released).unwrap(), script);
    // Over plain HTTP nothing is fetched.
    runner.step("get", &[("releases", &url.replace("https", "http"))]).exits(1);
}
