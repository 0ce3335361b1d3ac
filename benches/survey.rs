//! Finding and planning all edits in a work tree of 10,000 YAML files (100 MB), as a whole process,
//! against what bounds it: a search by `rg` where a hundredth of the files name an image, and one
//! bare pass of the YAML parser where all of them do.
//!
//! `cargo bench --bench survey` prints the table and fails above the limits. What is compared is
//! run in turn, on all cores and a warm cache, and the fastest round of each counts. Needs `rg`
//! and GNU time.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const FILES: usize = 10_000;
const FILE_BYTES: usize = 10_000;
const IMAGES: usize = 50;
const ROUNDS: usize = 5;

/// Times what `rg` takes, where a file in a hundred has a hit.
const SEARCH_LIMIT: f64 = 2.0;
/// Times what one pass of the parser takes, where every file has one.
const PARSE_LIMIT: f64 = 3.0;
/// Peak memory, in MiB.
const MEMORY_LIMIT: usize = 150;

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn main() {
    let dir = tempfile::tempdir().unwrap();
    println!("| tree | edits | wall s | peak MiB | compared with | wall s | times |");
    println!("|---|---|---|---|---|---|---|");
    let mut within = true;
    for (every, limit) in [(100, SEARCH_LIMIT), (1, PARSE_LIMIT)] {
        let world = Generated::write(&dir.path().join(every.to_string()), every);
        let mut plan = Duration::MAX;
        let mut bound = Duration::MAX;
        let (mut memory, mut edits) = (0, 0);
        for _ in 0..ROUNDS {
            bound = bound.min(if every == 1 { world.parse() } else { world.search() });
            let planned = world.plan();
            plan = plan.min(planned.wall);
            (memory, edits) = (planned.memory.max(memory), planned.edits);
        }
        let ratio = plan.as_secs_f64() / bound.as_secs_f64();
        println!(
            "| hits in {} of {FILES} files | {edits} | {:.3} | {memory} | {} | {:.3} | {ratio:.2} |",
            FILES / every,
            plan.as_secs_f64(),
            if every == 1 { "one pass of the parser" } else { "`rg -c -F -f`" },
            bound.as_secs_f64(),
        );
        assert_eq!(edits, FILES / every * 2, "every place moves");
        within &= ratio <= limit && memory <= MEMORY_LIMIT;
    }
    assert!(within, "above {SEARCH_LIMIT} or {PARSE_LIMIT} times, or {MEMORY_LIMIT} MiB");
}

/// A tree, its policies and its tags.
struct Generated {
    tree: PathBuf,
    catalog: PathBuf,
    patterns: PathBuf,
    policies: PathBuf,
    texts: Vec<String>,
}

/// What one run of the program took.
struct Planned {
    wall: Duration,
    memory: usize,
    edits: usize,
}

impl Generated {
    fn write(root: &Path, every: usize) -> Self {
        let path = |name: &str| root.join(name);
        let mut texts = Vec::with_capacity(FILES);
        for number in 0..FILES {
            let directory = path("tree").join(format!("team-{:02}", number / 100));
            if number % 100 == 0 {
                std::fs::create_dir_all(&directory).unwrap();
            }
            let text = manifest(number, number % every == 0);
            std::fs::write(directory.join(format!("app-{number}.yaml")), &text).unwrap();
            texts.push(text);
        }
        let (mut policies, mut catalog, mut patterns) =
            ("images:\n".to_owned(), String::new(), String::new());
        for image in 0..IMAGES {
            writeln!(
                policies,
                "  i{image}: {{image: ghcr.io/acme/service-{image:02}, tags: {{semver: '*'}}}}"
            )
            .unwrap();
            writeln!(catalog, "ghcr.io/acme/service-{image:02}: [v1.0.0, v1.1.0]").unwrap();
            writeln!(patterns, "service-{image:02}").unwrap();
        }
        for (name, text) in
            [("policies.yaml", policies), ("catalog.yaml", catalog), ("patterns", patterns)]
        {
            std::fs::write(path(name), text).unwrap();
        }
        Self {
            tree: path("tree"),
            catalog: path("catalog.yaml"),
            patterns: path("patterns"),
            policies: path("policies.yaml"),
            texts,
        }
    }

    /// How long `rg` takes to count the lines with an image.
    fn search(&self) -> Duration {
        let mut command = Command::new("rg");
        command.args(["-c", "-F", "-f"]).args([&self.patterns, &self.tree]).stdout(Stdio::null());
        let start = Instant::now();
        assert!(command.status().unwrap().success());
        start.elapsed()
    }

    /// How long the parser takes for all of the text, once, on all cores.
    fn parse(&self) -> Duration {
        let next = AtomicUsize::new(0);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().unwrap().get() {
                scope.spawn(|| {
                    while let Some(text) = self.texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let events = granit_parser::Parser::new_from_str(text);
                        assert!(events.flatten().count() > 100);
                    }
                });
            }
        });
        start.elapsed()
    }

    fn plan(&self) -> Planned {
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "%M", env!("CARGO_BIN_EXE_tagalong"), "plan", "--format", "json"]);
        command.arg("--repo").arg(&self.tree).arg("--policies").arg(&self.policies);
        command.arg("--catalog").arg(&self.catalog);
        let start = Instant::now();
        let out = command.output().unwrap();
        let wall = start.elapsed();
        let errors = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{errors}");
        let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        let kilobytes: usize = errors.trim().lines().last().unwrap().parse().unwrap();
        Planned { wall, memory: kilobytes / 1024, edits: report["edits"].as_array().unwrap().len() }
    }
}

/// The beginning of a Deployment; NUMBER, PART and IMAGE are filled in.
const HEAD: &str = "\
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-NUMBER-PART
  labels:
    app.kubernetes.io/name: app-NUMBER # who asks
    app.kubernetes.io/part-of: \"shop\"
spec:
  replicas: 3
  selector: {matchLabels: {app: app-NUMBER}}
  template:
    spec:
      containers:
        - name: PART
          image: IMAGE:v1.0.0
          args: ['--listen=:8080', '--level', \"info\"]
          env:
";

/// Its end.
const TAIL: &str = "          resources:
            requests: {cpu: 100m, memory: 128Mi}
            limits:
              memory: 256Mi
          livenessProbe:
            httpGet:
              path: /healthz
              port: 8080
            initialDelaySeconds: 5 # it warms up
          volumeMounts:
            - name: data
              mountPath: /var/lib/app
      volumes:
        - name: data
          emptyDir: {}
";

/// Two Deployments, 10 kB together, with an image of ours each or with somebody else's.
fn manifest(number: usize, hit: bool) -> String {
    let image = if hit {
        format!("ghcr.io/acme/service-{:02}", number % IMAGES)
    } else {
        "quay.io/other/thing".to_owned()
    };
    let number = number.to_string();
    let mut text = String::with_capacity(FILE_BYTES + 200);
    for (part, end) in [("web", FILE_BYTES / 2), ("worker", FILE_BYTES)] {
        text += &HEAD.replace("NUMBER", &number).replace("PART", part).replace("IMAGE", &image);
        let mut variable = 0;
        while text.len() + TAIL.len() < end {
            writeln!(text, "            - name: SETTING_{variable:03}").unwrap();
            writeln!(
                text,
                "              value: \"https://app-{number}.example.com/{part}/{variable}\""
            )
            .unwrap();
            variable += 1;
        }
        text += TAIL;
    }
    text
}
