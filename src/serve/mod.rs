//! The daemon: looks at config repositories on their intervals and when something rings, each by itself, as `run` does.
//!
//! A webhook is a hint: it brings a look forward, and what it names is asked for anew. Everything that it could tell
//! is found by the next interval as well, so that one that is lost, late or forged costs time and nothing else.

mod child;
mod desk;
mod door;
#[cfg(fuzzing)]
pub mod fuzz;
mod google;
mod hint;
mod listen;
mod metrics;
mod room;
mod schedule;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::choose::Outcome as Decided;
use crate::cli::{DecideArgs, RepoArgs};
use crate::diagnostic::Diagnostic;
use crate::image::Repository;
use crate::policy::{PolicyFile, Served, Service, read_service};
use crate::report::DeliveryOutcome;
use crate::settings::{DefaultRepository, Surroundings, TurnsFile, now};
pub use child::run_ordered;
use child::{RunResult, SeenImages};
use desk::Desk;
use door::Door;
use hint::Hint;
use metrics::{Metrics, Of, OutcomeLabel};
use schedule::{RepositoryKey, RunEnd, Schedule, SinceStart, Work, key};
use work::{Finished, Task};

/// Hints that wait to be looked up; more are answered with 429.
const HINTS: usize = 1024;

/// How often the settings file is compared with what was read.
const RELOAD: Duration = Duration::from_secs(5);

/// What the daemon is started with.
pub struct Start {
    /// The settings file; without it, the service of the arguments alone.
    pub config: Option<PathBuf>,
    /// The service without a file.
    pub alone: Service,
    /// What holds for every repository.
    pub args: DecideArgs,
}

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings file is invalid.
    #[error("the settings are invalid")]
    Invalid(Vec<Diagnostic>, Box<PolicyFile>),
    /// Something else is missing.
    #[error("{0}")]
    Other(String),
    /// The machine does not let it.
    #[error("{0}")]
    Failed(String),
}

/// Serves until it is told to stop.
///
/// # Errors
/// When the settings are invalid, a secret is missing or weak, or the address cannot be listened at.
pub async fn serve(start: Start, around: Surroundings) -> Result<(), StartError> {
    let started = Instant::now();
    if !around.program.path.is_absolute() {
        let why = "the program does not find itself: /proc has to be there";
        return Err(StartError::Failed(why.to_owned()));
    }
    // Heard from the beginning: what nobody listens for ends a process.
    let mut signals = Signals::hear()?;
    let UsableSettings { service, doors, fingerprint } = start.read(&around)?;
    let listener = TcpListener::bind(service.listen).await;
    let listener = listener.map_err(|e| StartError::Failed(format!("{}: {e}", service.listen)))?;
    let at = listener.local_addr().map_err(|error| StartError::Failed(error.to_string()))?;
    tracing::info!(%at, repositories = service.repositories.len(), "serving");
    let (hints, incoming) = mpsc::channel(HINTS);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    let metrics = Metrics::new(around.now.as_second() as f64);
    let desk = Desk::new(metrics, hints, started);
    *desk.doors.write().await = doors;
    let status = match service.status {
        None => None,
        Some(at) => {
            let listener = TcpListener::bind(at).await;
            let listener = listener.map_err(|e| StartError::Failed(format!("{at}: {e}")))?;
            let at =
                listener.local_addr().map_err(|error| StartError::Failed(error.to_string()))?;
            tracing::info!(%at, "probes and metrics");
            Some(tokio::spawn(listen::answer(listener, Arc::clone(&desk).status_router())))
        }
    };
    let router = Arc::clone(&desk).router(status.is_some());
    let http = tokio::spawn(listen::answer(listener, router));
    let mut daemon = Daemon::new(start, around, service, fingerprint, started, Arc::clone(&desk))?;
    daemon.work(incoming, &mut signals).await;
    desk.is_ready.store(false, Ordering::Relaxed);
    daemon.end(&mut signals).await;
    http.abort();
    status.iter().for_each(tokio::task::JoinHandle::abort);
    tracing::info!("stopped");
    Ok(())
}

/// What the daemon is told by the system.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn hear() -> Result<Self, StartError> {
        let hear =
            |kind| signal(kind).map_err(|error| StartError::Failed(format!("signals: {error}")));
        let (term, int) = (hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?);
        Ok(Self { term, int, hup: hear(SignalKind::hangup())? })
    }

    /// Waits until it is to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// Settings that can be worked with.
struct UsableSettings {
    service: Service,
    doors: Vec<Door>,
    /// What changes when they or their secrets do.
    fingerprint: [u8; 32],
}

impl Start {
    /// The settings as they are now, with their secrets.
    fn read(&self, around: &Surroundings) -> Result<UsableSettings, StartError> {
        self.refuse_what_is_of_one_run()?;
        let mut hash = Sha256::new();
        let service = match &self.config {
            None => self.alone.clone(),
            Some(path) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|e| StartError::Other(format!("--config {name}: {e}")))?;
                hash.update(&text);
                let file = PolicyFile::new(name, text);
                read_service(&file)
                    .map_err(|problems| StartError::Invalid(problems, Box::new(file)))?
            }
        };
        for served in &service.repositories {
            // An address with a password in it would stand in logs and metrics.
            let args = RepoArgs { repo: Some(served.repo.clone()), ..RepoArgs::default() };
            let scope = around.scope(&args, DefaultRepository::Repository);
            scope.map_err(|error| StartError::Other(format!("repositories: {error}")))?;
        }
        let doors = service.webhooks.iter().map(|hook| Door::open(hook, &around.variables));
        let doors = doors.collect::<Result<Vec<_>, _>>();
        let doors = doors.map_err(|why| StartError::Other(why.to_string()))?;
        for door in &doors {
            door.identify(&mut hash);
        }
        Ok(UsableSettings { service, doors, fingerprint: hash.finalize().into() })
    }

    /// Some arguments are of one run of one repository, and mean nothing here.
    fn refuse_what_is_of_one_run(&self) -> Result<(), StartError> {
        let args = &self.args;
        let given = [
            ("--policies", args.repo.policies.is_some()),
            ("--catalog", args.catalog.is_some()),
            ("--save-catalog", args.save_catalog.is_some()),
            ("--ledger", args.ledger.is_some()),
            ("--now", args.now.is_some()),
            ("--env", !args.environments.is_empty()),
            ("--image", !args.images.is_empty()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => {
                Err(StartError::Other(format!("{name} is for a single run, not for `serve`")))
            }
            None => Ok(()),
        }
    }
}

fn names(service: &Service, around: &Surroundings) -> Vec<Option<String>> {
    service.repositories.iter().map(|served| work::name_of(served, around)).collect()
}

/// The side that works.
struct Daemon {
    start: Start,
    around: Surroundings,
    service: Service,
    /// What was taken last: the text of the settings and of their secrets.
    taken: [u8; 32],
    /// Why settings were not taken, as it was told.
    told: String,
    started: Instant,
    desk: Arc<Desk>,
    schedule: Schedule,
    /// Which policies of each repository are for which image, as its last run found them.
    images: BTreeMap<RepositoryKey, BTreeMap<Repository, Vec<String>>>,
    /// The repositories that each works on beside itself.
    others: BTreeMap<RepositoryKey, BTreeSet<String>>,
    /// The names of the repositories that are on GitHub, in the order of the schedule.
    names: Vec<Option<String>>,
    done: (mpsc::UnboundedSender<Finished>, mpsc::UnboundedReceiver<Finished>),
    /// By which runs take turns at the forge.
    turns: TurnsFile,
}

/// Writes the lines of a run to the log: its problems, each change, and the counts.
fn log(finished: &Finished) {
    let Finished { name: repository, took, told, .. } = finished;
    let RunResult { end, seen, deliveries, said, changes, .. } = told;
    for problem in said {
        tracing::warn!(repository, problem, "run reported a problem");
    }
    for change in changes {
        change.log(repository);
    }
    let (outcome, duration_ms) = (end.word(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let of = |outcome| deliveries.get(&outcome).copied().unwrap_or_default();
    let (opened, updated) = (of(DeliveryOutcome::Created), of(DeliveryOutcome::Updated));
    let (merged, closed) = (of(DeliveryOutcome::Merged), of(DeliveryOutcome::Closed));
    let (pushed, waiting) = (of(DeliveryOutcome::Pushed), of(DeliveryOutcome::Waiting));
    let failed = of(DeliveryOutcome::Failed);
    let decided = |outcome| seen.as_ref().and_then(|seen| seen.decisions.get(&outcome)).copied();
    let (held, undecided) = (decided(Decided::Hold), decided(Decided::Undecided));
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                repository,
                outcome,
                duration_ms,
                opened,
                updated,
                merged,
                closed,
                pushed,
                waiting,
                failed,
                held,
                undecided,
                "run finished"
            )
        };
    }
    match end {
        RunEnd::Well => line!(info),
        RunEnd::Partly => line!(warn),
        RunEnd::Badly => line!(error),
    }
}

impl Daemon {
    fn new(
        start: Start,
        around: Surroundings,
        service: Service,
        taken: [u8; 32],
        started: Instant,
        desk: Arc<Desk>,
    ) -> Result<Self, StartError> {
        let turns = TurnsFile::new().map_err(|error| StartError::Failed(error.to_string()))?;
        let mut schedule = Schedule::default();
        schedule.serve(
            &service.repositories,
            service.debounce,
            service.concurrency,
            SinceStart::ZERO,
        );
        let (images, others, done) = (BTreeMap::new(), BTreeMap::new(), mpsc::unbounded_channel());
        let names = names(&service, &around);
        let told = String::new();
        let daemon = Self {
            start,
            around,
            service,
            taken,
            told,
            started,
            desk,
            schedule,
            images,
            others,
            names,
            done,
            turns,
        };
        daemon.begin_counting();
        Ok(daemon)
    }

    /// Series that exist from the beginning, so that what never succeeds is seen.
    fn begin_counting(&self) {
        for served in self.schedule.all() {
            let repository = work::label(served);
            drop(self.desk.metrics.last_success.get_or_create(&Of { repository }));
        }
    }

    /// Works until a signal ends it.
    async fn work(&mut self, mut hints: mpsc::Receiver<Vec<Hint>>, signals: &mut Signals) {
        let mut reload = tokio::time::interval(RELOAD);
        self.desk.is_ready.store(true, Ordering::Relaxed);
        loop {
            self.begin();
            let now = self.started.elapsed();
            let pause = self.schedule.wakes(now).map_or(RELOAD, |due| due.saturating_sub(now));
            tokio::select! {
                Some(finished) = self.done.1.recv() => self.finish(finished),
                Some(all) = hints.recv() => all.iter().for_each(|hint| self.hint(hint)),
                () = tokio::time::sleep(pause) => {}
                _ = reload.tick() => self.reload(false).await,
                _ = signals.hup.recv() => self.reload(true).await,
                _ = signals.term.recv() => break,
                _ = signals.int.recv() => break,
            }
        }
    }

    /// Begins what is due, as far as there is room.
    fn begin(&mut self) {
        while let Some((served, work)) = self.schedule.next(self.started.elapsed()) {
            tracing::info!(repository = work::label(&served), ?work, "run started");
            let turns = self.turns.path().display().to_string();
            let (program, memory) = (&self.around.program, self.service.run_memory);
            Task { served, work, program, turns, memory }.spawn(&self.done.0);
        }
        self.gauges();
    }

    fn gauges(&self) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.desk.metrics.running.set(count(self.schedule.running()));
        self.desk.metrics.hinted.set(count(self.schedule.hinted()));
    }

    fn finish(&mut self, finished: Finished) {
        let metrics = &self.desk.metrics;
        log(&finished);
        let Finished { served, name, took, told } = finished;
        let RunResult { end, seen, deliveries, requests, .. } = told;
        let outcome = end.word();
        metrics.ran(&name, outcome, took);
        // What was taken out of the settings meanwhile has no series any more.
        let is_served = self.schedule.all().any(|other| key(other) == key(&served));
        if is_served && end != RunEnd::Badly {
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
            let now = now().as_second() as f64;
            metrics.last_success.get_or_create(&Of { repository: name.clone() }).set(now);
        }
        let of = |outcome| OutcomeLabel { repository: name.clone(), outcome };
        if let Some(SeenImages { images, decisions, others }) = seen.filter(|_| is_served) {
            for (outcome, number) in decisions {
                metrics.images.get_or_create(&of(outcome.word())).set(number);
            }
            let images = images.into_iter();
            let images =
                images.filter_map(|(name, all)| Some((Repository::parse(&name).ok()?, all)));
            self.images.insert(key(&served), images.collect());
            self.others.insert(key(&served), others);
        }
        for (outcome, number) in deliveries {
            metrics.deliveries.get_or_create(&of(outcome.word())).inc_by(number);
        }
        for (host, number) in requests {
            metrics.requested(host, number);
        }
        self.schedule.done(&served, end, self.started.elapsed());
    }

    /// Something rang: the repositories that it is about are looked at.
    fn hint(&mut self, hint: &Hint) {
        let now = self.started.elapsed();
        let all = self.schedule.all().enumerate();
        let works: Vec<Option<Work>> =
            all.map(|(unit, served)| self.work_of(unit, served, hint)).collect();
        if works.iter().all(Option::is_none) {
            tracing::info!(%hint, "webhook ignored: it is about no repository here");
        }
        for (unit, work) in works.into_iter().enumerate() {
            if let Some(work) = work {
                self.schedule.hint(unit, work, now);
            }
        }
        self.gauges();
    }

    /// What a hint means for a repository.
    fn work_of(&self, unit: usize, served: &Served, hint: &Hint) -> Option<Work> {
        match hint {
            Hint::Config(name) => {
                let is_own = self.names.get(unit)?.as_ref() == Some(name);
                let is_among = |others: &BTreeSet<String>| others.contains(name);
                let is_known = || self.others.get(&key(served)).is_some_and(is_among);
                (is_own || is_known()).then_some(Work::Everything)
            }
            Hint::Image(image) => {
                // As long as nobody knows what it deploys, it may be this.
                let Some(known) = self.images.get(&key(served)) else {
                    return Some(Work::Everything);
                };
                known.get(image).map(|policies| Work::Images(policies.iter().cloned().collect()))
            }
        }
    }

    /// Reads the settings again when they or their secrets changed; what is invalid is told, and not taken, and tried
    /// again.
    async fn reload(&mut self, is_asked: bool) {
        match self.start.read(&self.around) {
            Ok(taken) if taken.fingerprint == self.taken && !is_asked => self.told.clear(),
            Ok(taken) => self.take(taken).await,
            Err(why) => {
                let told = match &why {
                    StartError::Invalid(problems, _) => {
                        problems.iter().map(|p| p.message.clone()).collect()
                    }
                    StartError::Other(why) | StartError::Failed(why) => vec![why.clone()],
                };
                let told = told.join("; ");
                // What was told once is not told every few seconds.
                if told != self.told || is_asked {
                    self.desk.metrics.reload_failures.inc();
                    tracing::error!(why = told, "reload failed; keeping the previous settings");
                    self.told = told;
                }
            }
        }
    }

    async fn take(&mut self, taken: UsableSettings) {
        let UsableSettings { service, doors, fingerprint } = taken;
        let stays = |gone: &Served| service.repositories.iter().any(|it| key(it) == key(gone));
        for gone in self.schedule.all().filter(|served| !stays(served)) {
            self.desk.metrics.forget(&work::label(gone));
            self.images.remove(&key(gone));
            self.others.remove(&key(gone));
        }
        let (debounce, at_once) = (service.debounce, service.concurrency);
        self.schedule.serve(&service.repositories, debounce, at_once, self.started.elapsed());
        *self.desk.doors.write().await = doors;
        self.names = names(&service, &self.around);
        self.begin_counting();
        if service.listen != self.service.listen {
            tracing::warn!("a new `listen` takes effect at the next start");
        }
        (self.taken, self.service) = (fingerprint, service);
        self.told.clear();
        tracing::info!("settings reloaded");
    }

    /// Waits for what is under way, for as long as the settings say, or until it is told again.
    async fn end(&mut self, signals: &mut Signals) {
        let deadline = tokio::time::sleep(self.service.grace);
        tokio::pin!(deadline);
        while self.schedule.running() > 0 {
            tracing::info!(running = self.schedule.running(), "stopping");
            tokio::select! {
                Some(finished) = self.done.1.recv() => self.finish(finished),
                () = &mut deadline => break,
                () = signals.end() => break,
            }
        }
        if self.schedule.running() > 0 {
            tracing::warn!("runs that are still under way are abandoned");
        }
    }
}
