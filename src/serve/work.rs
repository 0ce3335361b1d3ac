//! One run of one repository, as the daemon sees it: a process that is begun, and what it tells.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedSender;

use super::child::{BranchChange, LONGEST, RunOrder, RunResult};
use super::schedule::Work;
use crate::cli::RepoArgs;
use crate::policy::Served;
use crate::report::DeliveryOutcome;
use crate::settings::{DefaultRepository, Program, RepoSpec, Surroundings};

/// A run that takes this much longer than it may is ended.
const GRACE: Duration = Duration::from_mins(1);

/// Signals of a process without memory (`SIGABRT`), and of one that is killed (`SIGKILL`).
const ABORT: i32 = 6;
const KILL: i32 = 9;

/// A longer answer is none, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// What is to be done.
pub(super) struct Task<'a> {
    pub(super) served: Served,
    pub(super) work: Work,
    pub(super) program: &'a Program,
    /// The file by which all runs take turns at the forge.
    pub(super) turns: String,
    /// Memory limit of a run, in bytes.
    pub(super) memory: u64,
}

/// What came of it.
pub(super) struct Finished {
    pub(super) served: Served,
    /// What it is called in logs and metrics.
    pub(super) name: String,
    pub(super) took: Duration,
    pub(super) told: RunResult,
}

impl BranchChange {
    /// Writes a line to the log, unless nothing changed.
    pub(super) fn log(&self, repository: &str) {
        let Self { environment, branch, number, url, images, message, .. } = self;
        macro_rules! line {
            ($level:ident, $text:literal) => {
                tracing::$level!(
                    repository,
                    environment,
                    number,
                    url,
                    branch,
                    images,
                    detail = message,
                    $text
                )
            };
        }
        match self.outcome {
            DeliveryOutcome::Created => line!(info, "pull request opened"),
            DeliveryOutcome::Updated => line!(info, "pull request updated"),
            DeliveryOutcome::Merged => line!(info, "pull request merged"),
            DeliveryOutcome::Closed => line!(info, "pull request closed"),
            DeliveryOutcome::Pushed => line!(info, "commit pushed"),
            DeliveryOutcome::Failed => line!(warn, "delivery failed"),
            DeliveryOutcome::Unchanged
            | DeliveryOutcome::Written
            | DeliveryOutcome::Frozen
            | DeliveryOutcome::Waiting
            | DeliveryOutcome::Refused => {}
        }
    }
}

impl Task<'_> {
    /// Begins it; what comes of it is sent.
    pub(super) fn spawn(self, done: &UnboundedSender<Finished>) {
        let Self { served, work, program, turns, memory } = self;
        let (repo, branch) = (served.repo.clone(), served.branch.clone());
        let order = RunOrder { repo, branch, work, turns, memory };
        let command = command(program);
        let done = done.clone();
        tokio::spawn(async move {
            let started = Instant::now();
            let told = carried_out(command, &order).await.unwrap_or_else(RunResult::failed);
            let name = label(&served);
            done.send(Finished { served, name, took: started.elapsed(), told }).ok();
        });
    }
}

/// The program itself, with the arguments that it was started with. In a group of its own, as what a terminal sends is for the daemon.
fn command(program: &Program) -> Command {
    let mut command = Command::new(&program.path);
    let (before, behind) = program
        .arguments
        .split_at(program.arguments.iter().position(|word| word == "serve").map_or(0, |at| at + 1));
    command.args(before).arg("--run-ordered").args(behind);
    // Where memory is what is missing, a backtrace would wait for more of it for ever; and each thread of many cores reserves some.
    command.env("RUST_BACKTRACE", "0").env("RAYON_NUM_THREADS", threads().to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
    command
}

/// Number of files that a run reads at once.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_THREADS))
}

/// More threads than these read files no faster.
const MAX_THREADS: usize = 8;

/// Has an order carried out; why nothing is known of it.
async fn carried_out(mut command: Command, order: &RunOrder) -> Result<RunResult, String> {
    let failed = |error: std::io::Error| format!("the run could not be started: {error}");
    let mut child = command.spawn().map_err(failed)?;
    // It is open until the run is over: what is closed is a daemon that is gone.
    let mut input = child.stdin.take();
    if let Some(input) = &mut input {
        let line = serde_json::to_string(order).unwrap_or_default() + "\n";
        input.write_all(line.as_bytes()).await.map_err(failed)?;
    }
    match tokio::time::timeout(LONGEST + GRACE, answer(&mut child)).await {
        Ok(Ok(answered)) => answered.told(order),
        Ok(Err(error)) => Err(format!("the run could not be followed: {error}")),
        Err(_elapsed) => Err(format!("not over after {} minutes", LONGEST.as_secs() / 60)),
    }
}

/// Output of a run, and its exit status.
struct Answered {
    text: Vec<u8>,
    status: ExitStatus,
}

async fn answer(child: &mut Child) -> std::io::Result<Answered> {
    let mut text = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(MAX_ANSWER).read_to_end(&mut text).await?;
    }
    Ok(Answered { text, status: child.wait().await? })
}

impl Answered {
    fn told(self, order: &RunOrder) -> Result<RunResult, String> {
        if let Some(signal) = self.status.signal() {
            let why = match signal {
                ABORT => format!(
                    "it needs more memory than {} MiB (`runMemory`), or there is an error in Tagalong, which you may report",
                    order.memory >> 20
                ),
                KILL => "somebody killed it, or the machine has no memory left".to_owned(),
                _ => "somebody sent it, or there is an error in Tagalong, which you may report"
                    .to_owned(),
            };
            return Err(format!("the run was ended by signal {signal}: {why}"));
        }
        let why = || format!("the run gave no answer, and ended with {}", self.status);
        serde_json::from_slice(&self.text).map_err(|_error| why())
    }
}

/// A repository as logs and metrics name it.
pub(super) fn label(served: &Served) -> String {
    let branch = served.branch.as_ref().map(|branch| format!("@{branch}")).unwrap_or_default();
    format!("{}{branch}", served.repo)
}

/// `owner/name` of a repository on GitHub, in lower case.
pub(super) fn name_of(served: &Served, around: &Surroundings) -> Option<String> {
    let args = RepoArgs { repo: Some(served.repo.clone()), ..RepoArgs::default() };
    match around.scope(&args, DefaultRepository::Repository).ok()?.repo {
        RepoSpec::Remote { id: Some(id), .. } => Some(id.key()),
        _ => None,
    }
}
