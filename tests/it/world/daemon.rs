//! The built binary as a daemon: what it says, and what rings at its door.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::RequestBuilder;
use sha2::Sha256;

use super::{ForgeServer, World, arg};

pub const SECRET: &str = "a secret of the tests, long enough";

/// Longer than anything here takes; it ends a test that would hang, and nothing is measured by it.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A daemon that runs, and what it says.
pub struct Daemon {
    child: Child,
    said: Arc<(Mutex<Vec<String>>, Condvar)>,
    pub url: String,
    /// One for all requests: a new one reads the machine's certificates again.
    client: reqwest::Client,
}

impl Daemon {
    pub fn start(world: &World, forge: &ForgeServer, config: &Path) -> Self {
        Self::on(world, &[forge], config)
    }

    /// The same with the tokens of several forges.
    pub fn on(world: &World, forges: &[&ForgeServer], config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tagalong"));
        command.args(["serve", "--log-format", "json", "--config", arg(config)]);
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", world.dir("home"));
        command.env("HOOK_SECRET", SECRET);
        command.envs(forges.iter().flat_map(|forge| forge.variables()));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let (lines, there) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                there.0.lock().unwrap().push(line);
                there.1.notify_all();
            }
        });
        let client = reqwest::Client::new();
        let mut daemon = Self { child, said, url: String::new(), client };
        let line = daemon.says("\"serving\"", 1);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        daemon.url = format!("http://{}", line["at"].as_str().unwrap());
        daemon
    }

    /// Waits until it has said something so many times; the last such line.
    #[track_caller]
    pub fn says(&self, what: &str, times: usize) -> String {
        let (said, news) = &*self.said;
        let lacks =
            |said: &mut Vec<String>| said.iter().filter(|l| l.contains(what)).count() < times;
        let (said, timeout) =
            news.wait_timeout_while(said.lock().unwrap(), PATIENCE, lacks).unwrap();
        assert!(!timeout.timed_out(), "{what} was not said {times} times:\n{}", said.join("\n"));
        said.iter().filter(|line| line.contains(what)).nth(times - 1).unwrap().clone()
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// The processes of runs that are under way.
    pub fn runs(&self) -> Vec<String> {
        let pid = self.child.id();
        let all = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        all.split_whitespace().map(str::to_owned).collect()
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// A webhook of GitHub with this body, signed.
    pub fn ring(&self, event: &str, delivery: &str, body: &str) -> RequestBuilder {
        let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        let mac = mac.chain_update(body).finalize().into_bytes();
        let hex: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        self.post("/hooks/github")
            .header("x-github-event", event)
            .header("x-github-delivery", delivery)
            .header("x-hub-signature-256", format!("sha256={}", hex.concat()))
            .body(body.to_owned())
    }

    /// Tells it to stop, and waits until it has.
    pub fn stop(mut self) -> i32 {
        self.signal("-TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It is gone already, when the test went well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
