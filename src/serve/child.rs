//! A run in a process of its own: what is too much there (memory, a stack, a panic) ends that process, and no other repository notices.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::schedule::{RunEnd, Work};
use super::{Signals, StartError};
use crate::changeset::{ChangeSet, Plan};
use crate::choose::{Decision, Outcome, ReasonCode};
use crate::cli::{DecideArgs, RepoArgs};
use crate::diagnostic::{Code, Severity};
use crate::pipeline::{self, Exit, Failure, Run};
use crate::report::{Delivery, DeliveryOutcome};
use crate::settings::{DecideSettings, DefaultRepository, Surroundings, Turns};
use crate::text::one_line;

/// No run takes longer: git has 10 minutes, and limits of GitHub are waited for 15.
pub(super) const LONGEST: Duration = Duration::from_mins(40);

/// As much as the main thread has, and twice that: what goes down by calling itself is bounded with that in mind.
const STACK: usize = 16 << 20;

/// Limit of problems in the log for one run.
const MANY: usize = 50;

/// More images than this are counted in a line of a log.
const IMAGES: usize = 10;

/// A longer order is none, in bytes.
const MAX_ORDER: u64 = 1 << 20;

/// Added to the out-of-memory score, so that the kernel ends a run before the daemon (proc(5), `oom_score_adj`).
const SOONER: i32 = 300;

/// Order for one run: a line on standard input, which stays open as long as the daemon lives.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunOrder {
    pub(super) repo: String,
    pub(super) branch: Option<String>,
    pub(super) work: Work,
    /// The file by which all runs take turns at the forge.
    pub(super) turns: String,
    /// Memory limit, in bytes.
    pub(super) memory: u64,
}

/// Result of a run, on standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunResult {
    pub(super) end: RunEnd,
    /// Images and decisions; unknown after a run of less than everything.
    pub(super) seen: Option<SeenImages>,
    /// Number of change sets by outcome.
    pub(super) deliveries: BTreeMap<DeliveryOutcome, u64>,
    /// Number of requests by registry.
    pub(super) requests: BTreeMap<String, u64>,
    /// The branches and pull requests that changed.
    pub(super) changes: Vec<BranchChange>,
    /// The problems.
    pub(super) said: Vec<String>,
}

/// Images and decisions of a run of everything.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SeenImages {
    /// Which policies are for which image.
    pub(super) images: BTreeMap<String, Vec<String>>,
    /// Number of images by decision.
    pub(super) decisions: BTreeMap<Outcome, i64>,
    /// Other repositories that it worked on, as `owner/name`.
    pub(super) others: BTreeSet<String>,
}

/// A branch or pull request that a run changed, or failed to change.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BranchChange {
    pub(super) outcome: DeliveryOutcome,
    pub(super) environment: String,
    pub(super) branch: String,
    pub(super) number: Option<u64>,
    pub(super) url: String,
    /// The images, or as many of them as a line of a log holds.
    pub(super) images: String,
    pub(super) message: String,
}

/// Does what the daemon orders, and tells what came of it.
///
/// # Errors
/// No order, or a daemon that is gone.
pub async fn run_ordered(args: DecideArgs, around: Surroundings) -> Result<(), StartError> {
    // A stop is the daemon's to answer: it waits for what is under way.
    let _heard = Signals::hear()?;
    let (order, gone) = orders();
    let order = order.await.map_err(|_closed| StartError::Other("there is no order".to_owned()))?;
    order.bound();
    let (send, told) = oneshot::channel();
    let work = move || {
        let work = std::panic::AssertUnwindSafe(|| order.carry_out(&args, &around));
        let told = std::panic::catch_unwind(work).unwrap_or_else(|_panic| {
            let why = "internal error, or too little memory (`runMemory`): the run panicked; please report it";
            RunResult::failed(why.to_owned())
        });
        // The daemon may have ended.
        send.send(told).ok();
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work);
    thread.map_err(|error| StartError::Failed(error.to_string()))?;
    tokio::select! {
        told = told => {
            let told = told.map_err(|_closed| StartError::Failed("the run ended early".to_owned()))?;
            let text = serde_json::to_string(&told).unwrap_or_default();
            std::io::stdout().write_all(text.as_bytes()).map_err(|e| StartError::Failed(e.to_string()))
        }
        _ = gone => Err(StartError::Failed("the daemon is gone".to_owned())),
    }
}

/// The order, and that nobody waits for its end any more. Read on a thread: a read that waits would keep a runtime from ending.
fn orders() -> (oneshot::Receiver<RunOrder>, oneshot::Receiver<()>) {
    let ((tell, order), (end, gone)) = (oneshot::channel(), oneshot::channel());
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut line = String::new();
        let read = input.by_ref().take(MAX_ORDER).read_line(&mut line);
        if let Some(order) = read.ok().and_then(|_| serde_json::from_str(&line).ok()) {
            tell.send(order).ok();
        }
        std::io::copy(&mut input, &mut std::io::sink()).ok();
        end.send(()).ok();
    });
    (order, gone)
}

impl RunOrder {
    /// Takes no more memory than it may; of writable memory, as threads reserve far more than they use.
    fn bound(&self) {
        let Rlimit { maximum, .. } = getrlimit(Resource::Data);
        let current = Some(maximum.map_or(self.memory, |most| most.min(self.memory)));
        setrlimit(Resource::Data, Rlimit { current, maximum }).ok();
        // Where there is no such file, the kernel chooses.
        let path = "/proc/self/oom_score_adj";
        let own = std::fs::read_to_string(path).ok().and_then(|own| own.trim().parse::<i32>().ok());
        let sooner = own.unwrap_or(0).saturating_add(SOONER).min(1000).to_string();
        let file = std::fs::OpenOptions::new().write(true).open(path);
        file.and_then(|mut file| file.write_all(sooner.as_bytes())).ok();
    }

    fn carry_out(self, args: &DecideArgs, around: &Surroundings) -> RunResult {
        let mut around = around.clone();
        match Turns::shared(self.turns.as_ref()) {
            Ok(turns) => around.forges.pace(&Arc::new(turns)),
            // A process with rights of its own may not be looked into: each run then has its own pace.
            Err(error) => tracing::warn!(%error, "runs do not share the pace at the forge"),
        }
        let ran = self.settings(args, &around).and_then(|settings| run(settings, &around));
        match ran {
            Ok(Ran { run, is_whole }) => RunResult::of(&run, is_whole),
            Err(why) => RunResult::failed(why),
        }
    }

    fn settings(self, args: &DecideArgs, around: &Surroundings) -> Result<DecideSettings, String> {
        let settings = around.decide(args, DefaultRepository::Repository).and_then(|settings| {
            let trust_root = args.repo.trust_root.clone();
            let (repo, branch) = (Some(self.repo), self.branch);
            let args = RepoArgs { repo, branch, trust_root, ..RepoArgs::default() };
            let scope = around.scope(&args, DefaultRepository::Repository)?;
            Ok(DecideSettings { scope, ..settings })
        });
        let mut settings = settings.map_err(|error| error.to_string())?;
        match self.work {
            Work::Everything => {}
            Work::Environments(names) => settings.environments.extend(names),
            Work::Images(names) => settings.images.extend(names),
        }
        Ok(settings)
    }
}

/// A run, and whether it was one of everything.
struct Ran {
    run: Run,
    is_whole: bool,
}

fn run(settings: DecideSettings, around: &Surroundings) -> Result<Ran, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let ran = runtime
        .block_on(async { tokio::time::timeout(LONGEST, Box::pin(look(settings, around))).await });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let ran = ran.map_err(|_elapsed| format!("not over after {} minutes", LONGEST.as_secs() / 60));
    ran?.map_err(|failure| match failure {
        Failure::Invalid(invalid) => {
            let first = invalid.diagnostics.into_iter().next();
            first.map(|problem| problem.message).unwrap_or_default()
        }
        failure => failure.to_string(),
    })
}

async fn look(mut settings: DecideSettings, around: &Surroundings) -> Result<Ran, Failure> {
    let is_unknown = |failure: &Failure| match failure {
        Failure::Invalid(invalid) => {
            invalid.diagnostics.iter().all(|problem| problem.code == Code::ArgumentUnknown)
        }
        Failure::Argument(_) | Failure::Origin(_) | Failure::Failed(_) => false,
    };
    let is_whole = settings.images.is_empty() && settings.environments.is_empty();
    match pipeline::run(&settings, None, around).await {
        // A policy that was known to be for the image has another name by now.
        Err(failure) if !settings.images.is_empty() && is_unknown(&failure) => {
            settings.images.clear();
            settings.environments.clear();
            Ok(Ran { run: pipeline::run(&settings, None, around).await?, is_whole: true })
        }
        ran => Ok(Ran { run: ran?, is_whole }),
    }
}

impl RunResult {
    /// A run that did nothing, and why.
    pub(super) fn failed(why: String) -> Self {
        Self {
            end: RunEnd::Badly,
            seen: None,
            deliveries: BTreeMap::new(),
            requests: BTreeMap::new(),
            changes: Vec::new(),
            said: vec![why],
        }
    }

    fn of(run: &Run, is_whole: bool) -> Self {
        let end = match run.exit() {
            Exit::Done | Exit::Pending => RunEnd::Well,
            Exit::Partly => RunEnd::Partly,
            Exit::Failed | Exit::Invalid => RunEnd::Badly,
        };
        let planning = &run.planning;
        let mut deliveries = BTreeMap::new();
        for delivery in &run.deliveries {
            *deliveries.entry(delivery.outcome).or_insert(0) += 1;
        }
        let usage = planning.usage.iter();
        let requests = usage.map(|(host, asked)| (host.clone(), asked.total().requests));
        let all = run.deliveries.iter();
        // What a run for one image carries on is as it should be.
        let many = if end == RunEnd::Well { 0 } else { MANY };
        let said = doubts(run).chain(problems(run).take(many));
        Self {
            end,
            seen: is_whole.then(|| SeenImages::of(run)),
            deliveries,
            requests: requests.collect(),
            changes: all.map(|one| BranchChange::of(one, &planning.plan)).collect(),
            said: said.collect(),
        }
    }
}

/// Warnings about the ledger, in the log however the run ended.
fn doubts(run: &Run) -> impl Iterator<Item = String> {
    let told = run.planning.plan.diagnostics.iter();
    let codes = [Code::LedgerUnproven, Code::LedgerUnreadable, Code::LedgerNotKept];
    let doubts =
        told.filter(move |told| told.severity == Severity::Warning && codes.contains(&told.code));
    doubts.map(|told| format!("{}: {}", told.code.as_str(), told.message))
}

/// Problems of a run.
fn problems(run: &Run) -> impl Iterator<Item = String> {
    let plan = &run.planning.plan;
    let bad = plan.diagnostics.iter().filter(|told| told.severity == Severity::Error);
    let failed = run.deliveries.iter().filter(|one| one.outcome == DeliveryOutcome::Failed);
    let failed = failed
        .map(|one| format!("{}: {}", one.environment, one.message.as_deref().unwrap_or_default()));
    // What is carried on could not be decided anew.
    let is_undecided = |decision: &Decision| {
        decision.outcome == Outcome::Undecided || decision.reason.code == ReasonCode::Carried
    };
    let undecided = plan.decisions.iter().filter(move |p| is_undecided(&p.decision));
    let undecided = undecided
        .map(|p| format!("{} in {}: {}", p.image, p.environment, p.decision.reason.message));
    bad.map(|told| told.message.clone()).chain(failed).chain(undecided)
}

impl SeenImages {
    fn of(run: &Run) -> Self {
        let all = [Outcome::Update, Outcome::Keep, Outcome::Hold, Outcome::Undecided];
        let mut decisions: BTreeMap<_, _> = all.map(|outcome| (outcome, 0)).into();
        let mut images = BTreeMap::<_, Vec<String>>::new();
        for planned in &run.planning.plan.decisions {
            let policies = images.entry(planned.repository.to_string()).or_default();
            if !policies.contains(&planned.image) {
                policies.push(planned.image.clone());
            }
            *decisions.entry(planned.decision.outcome).or_insert(0) += 1;
        }
        Self { images, decisions, others: run.others() }
    }
}

impl BranchChange {
    fn of(delivery: &Delivery, plan: &Plan) -> Self {
        let is_it = |set: &&ChangeSet| {
            Some(&set.branch) == delivery.branch.as_ref() && set.home == delivery.home
        };
        let sets = plan.change_sets.iter().filter(is_it);
        let images: BTreeSet<&String> = sets.flat_map(|set| plan.images(set)).collect();
        let mut shown: Vec<String> =
            images.iter().take(IMAGES).map(|image| (*image).clone()).collect();
        if images.len() > IMAGES {
            shown.push(format!("and {} more", images.len() - IMAGES));
        }
        Self {
            outcome: delivery.outcome,
            environment: delivery.environment.clone(),
            branch: delivery.branch.clone().unwrap_or_default(),
            number: delivery.pull_request.as_ref().map(|(number, _)| *number),
            url: delivery.pull_request.as_ref().map(|(_, url)| url.clone()).unwrap_or_default(),
            images: shown.join(", "),
            message: one_line(delivery.message.as_deref().unwrap_or_default()),
        }
    }
}
