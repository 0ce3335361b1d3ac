//! The built binary as a user runs it, with nothing of the tester's environment.

use std::path::Path;
use std::process::{Child, Command, Stdio};

pub struct Bot(Command);

pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Bot {
    pub fn new<'a>(home: &Path, args: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tagalong"));
        command.args(args);
        Self::from(command, home)
    }

    /// A process that was put together elsewhere.
    pub fn from(mut command: Command, home: &Path) -> Self {
        command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("HOME", home);
        command.current_dir(home);
        Self(command)
    }

    pub fn args(mut self, args: &[&str]) -> Self {
        self.0.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    pub fn directory(mut self, path: &Path) -> Self {
        self.0.current_dir(path);
        self
    }

    /// Starts it, and leaves it to itself.
    pub fn start(mut self) -> Child {
        self.0.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub fn run(mut self) -> Output {
        let output = self.0.output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Output {
    /// The output, when the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The JSON on standard output.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("{error}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr)
        })
    }

    /// Each decision as `image outcome to reason`.
    #[track_caller]
    pub fn decisions(&self) -> Vec<String> {
        let json = self.json();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let rows = json["decisions"].as_array().unwrap().iter().map(|d| {
            let reason = text(&d["reason"]["code"]);
            format!("{} {} {} {reason}", text(&d["image"]), text(&d["outcome"]), text(&d["to"]))
        });
        rows.collect()
    }

    /// Each delivery as `environment outcome`.
    #[track_caller]
    pub fn deliveries(&self) -> Vec<String> {
        let json = self.json();
        let rows = json["deliveries"].as_array().unwrap().iter().map(|d| {
            format!("{} {}", d["environment"].as_str().unwrap(), d["outcome"].as_str().unwrap())
        });
        rows.collect()
    }

    /// Both outputs contain each of these somewhere.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        for part in parts {
            assert!(all.contains(part), "no {part:?} in\n{all}");
        }
        self
    }
}
