//! The daemon: looks at config repositories on their intervals and when something rings, each by itself, as `run` does.
//!
//! A webhook is a hint: it brings a look forward, and what it names is asked for anew. Everything that it could tell
//! is found by the next interval as well, so that one that is lost, late or forged costs time and nothing else.

mod desk;
mod door;
mod google;
mod hint;
mod metrics;
mod schedule;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::cli::DecideArgs;
use crate::diagnostic::Diagnostic;
use crate::image::Repository;
use crate::policy::{PolicyFile, Served, Service, read_service};
use crate::settings::Surroundings;
use desk::Desk;
use door::Door;
use hint::Hint;
use metrics::{Metrics, Of, Outcome};
use schedule::{Moment, Schedule, Work};
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
pub enum Refused {
    /// The settings file is invalid.
    #[error("the settings are invalid")]
    Invalid(Vec<Diagnostic>, Box<PolicyFile>),
    /// Something else is missing.
    #[error("{0}")]
    Other(String),
}

/// Serves until it is told to stop.
///
/// # Errors
/// When the settings are invalid, a secret is missing or weak, or the address cannot be listened at.
pub async fn serve(start: Start, around: Surroundings) -> Result<(), Refused> {
    let started = Instant::now();
    let (file, service) = start.read()?;
    let doors = doors(&service, &around)?;
    let listener = TcpListener::bind(service.listen).await;
    let listener = listener.map_err(|e| Refused::Other(format!("{}: {e}", service.listen)))?;
    let at = listener.local_addr().map_err(|error| Refused::Other(error.to_string()))?;
    tracing::info!(%at, repositories = service.repositories.len(), "serving");
    let (hints, incoming) = mpsc::channel(HINTS);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    let metrics = Metrics::new(around.now.as_second() as f64);
    let desk = Desk::new(metrics, hints, started);
    *desk.doors.write().await = doors;
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Arc::clone(&desk).router();
    let http =
        axum::serve(listener, router).with_graceful_shutdown(async { stopped.await.unwrap_or(()) });
    let http = tokio::spawn(async move { http.await });
    let mut daemon = Daemon::new(start, around, service, (file, started), Arc::clone(&desk));
    daemon.work(incoming).await;
    desk.is_ready.store(false, Ordering::Relaxed);
    daemon.end().await;
    // Nobody is left who would notice that it is gone.
    stop.send(()).ok();
    tokio::time::timeout(Duration::from_secs(1), http).await.ok();
    tracing::info!("stopped");
    Ok(())
}

impl Start {
    /// The settings as they are in the file now, with its text.
    fn read(&self) -> Result<(String, Service), Refused> {
        let Some(path) = &self.config else { return Ok((String::new(), self.alone.clone())) };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Refused::Other(format!("--config {name}: {error}")))?;
        let file = PolicyFile::new(name, text.clone());
        match read_service(&file) {
            Ok(service) => Ok((text, service)),
            Err(problems) => Err(Refused::Invalid(problems, Box::new(file))),
        }
    }
}

fn doors(service: &Service, around: &Surroundings) -> Result<Vec<Door>, Refused> {
    let doors = service.webhooks.iter().map(|hook| Door::open(hook, &around.variables));
    doors.collect::<Result<_, _>>().map_err(|why| Refused::Other(why.to_string()))
}

/// The side that works.
struct Daemon {
    start: Start,
    around: Surroundings,
    service: Service,
    /// The settings file as it was when it was looked at last.
    file: String,
    started: Instant,
    desk: Arc<Desk>,
    schedule: Schedule,
    /// Which policies of each repository are for which image, as its last run found them.
    images: BTreeMap<(String, Option<String>), BTreeMap<Repository, Vec<String>>>,
    done: (mpsc::UnboundedSender<Finished>, mpsc::UnboundedReceiver<Finished>),
}

impl Daemon {
    fn new(
        start: Start,
        around: Surroundings,
        service: Service,
        (file, started): (String, Instant),
        desk: Arc<Desk>,
    ) -> Self {
        let mut schedule = Schedule::default();
        schedule.serve(&service.repositories, service.debounce, service.concurrency, Moment::ZERO);
        let (images, done) = (BTreeMap::new(), mpsc::unbounded_channel());
        Self { start, around, service, file, started, desk, schedule, images, done }
    }

    /// Works until a signal ends it.
    async fn work(&mut self, mut hints: mpsc::Receiver<Vec<Hint>>) {
        let Ok((mut term, mut hup)) = signal(SignalKind::terminate())
            .and_then(|term| Ok((term, signal(SignalKind::hangup())?)))
        else {
            return tracing::error!("signals cannot be heard");
        };
        let mut reload = tokio::time::interval(RELOAD);
        self.desk.is_ready.store(true, Ordering::Relaxed);
        loop {
            self.begin();
            let now = self.started.elapsed();
            let pause = self.schedule.wakes().map_or(RELOAD, |due| due.saturating_sub(now));
            tokio::select! {
                Some(finished) = self.done.1.recv() => self.finish(finished),
                Some(all) = hints.recv() => all.iter().for_each(|hint| self.hint(hint)),
                () = tokio::time::sleep(pause) => {}
                _ = reload.tick() => self.reload(false).await,
                _ = hup.recv() => self.reload(true).await,
                _ = term.recv() => break,
                _ = tokio::signal::ctrl_c() => break,
            }
        }
    }

    /// Begins what is due, as far as there is room.
    fn begin(&mut self) {
        while let Some((unit, work)) = self.schedule.next(self.started.elapsed()) {
            let Some(served) = self.schedule.served(unit).cloned() else { continue };
            tracing::info!(repository = served.repo, ?work, "looking");
            let task = Task { served, work, args: &self.start.args, around: &self.around };
            task.spawn(self.done.0.clone());
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
        let Finished { served, outcome, took, images, decisions, deliveries, requests, said } =
            finished;
        let is_well = outcome == "done";
        tracing::info!(repository = served.repo, outcome, ?took, said, "looked");
        metrics.ran(&served.repo, outcome, took);
        if is_well {
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
            let now = self.around.again().now.as_second() as f64;
            metrics.last_success.get_or_create(&Of { repository: served.repo.clone() }).set(now);
        }
        let of = |outcome| Outcome { repository: served.repo.clone(), outcome };
        for (outcome, number) in decisions.into_iter().flatten() {
            metrics.images.get_or_create(&of(outcome)).set(number);
        }
        for (outcome, number) in deliveries {
            metrics.deliveries.get_or_create(&of(outcome)).inc_by(number);
        }
        for (host, number) in requests {
            metrics.registry_requests.get_or_create(&metrics::Host { host }).inc_by(number);
        }
        if let Some(images) = images {
            self.images.insert((served.repo.clone(), served.branch.clone()), images);
        }
        self.schedule.done(&served, is_well, self.started.elapsed());
    }

    /// Something rang: the repositories that it is about are looked at.
    fn hint(&mut self, hint: &Hint) {
        let now = self.started.elapsed();
        let works: Vec<Option<Work>> =
            self.schedule.all().map(|served| self.work_of(served, hint)).collect();
        for (unit, work) in works.into_iter().enumerate() {
            if let Some(work) = work {
                self.schedule.hint(unit, work, now);
            }
        }
        self.gauges();
    }

    /// What a hint means for a repository.
    fn work_of(&self, served: &Served, hint: &Hint) -> Option<Work> {
        match hint {
            Hint::Config(name) => {
                let is_it = work::name_of(served, &self.around).is_some_and(|own| own == *name);
                is_it.then_some(Work::Everything)
            }
            Hint::Image(image) => {
                let known = self.images.get(&(served.repo.clone(), served.branch.clone()))?;
                known.get(image).map(|policies| Work::Images(policies.iter().cloned().collect()))
            }
        }
    }

    /// Reads the settings again when they changed; what is invalid is told, and not taken.
    async fn reload(&mut self, is_asked: bool) {
        let read = self.start.read();
        let text = match &read {
            Ok((text, _)) => text.clone(),
            Err(Refused::Invalid(_, file)) => file.text.clone(),
            Err(Refused::Other(why)) => why.clone(),
        };
        // What was told once is not told every few seconds.
        if std::mem::replace(&mut self.file, text.clone()) == text && !is_asked {
            return;
        }
        let taken = read.and_then(|(_, service)| Ok((doors(&service, &self.around)?, service)));
        match taken {
            Ok((doors, service)) => {
                let (debounce, at_once) = (service.debounce, service.concurrency);
                self.schedule.serve(
                    &service.repositories,
                    debounce,
                    at_once,
                    self.started.elapsed(),
                );
                *self.desk.doors.write().await = doors;
                if service.listen != self.service.listen {
                    tracing::warn!("`listen` is taken at the next start");
                }
                self.service = service;
                tracing::info!("settings taken");
            }
            Err(why) => {
                self.desk.metrics.reload_failures.inc();
                let told = match &why {
                    Refused::Invalid(problems, _) => {
                        problems.iter().map(|p| p.message.clone()).collect()
                    }
                    Refused::Other(why) => vec![why.clone()],
                };
                tracing::error!(
                    why = told.join("; "),
                    "settings not taken; the last good ones stay"
                );
            }
        }
    }

    /// Waits for what is under way, for as long as the settings say.
    async fn end(&mut self) {
        let deadline = tokio::time::sleep(self.service.grace);
        tokio::pin!(deadline);
        while self.schedule.running() > 0 {
            tracing::info!(running = self.schedule.running(), "stopping");
            tokio::select! {
                Some(finished) = self.done.1.recv() => self.finish(finished),
                () = &mut deadline => return tracing::warn!("what is still under way is abandoned"),
            }
        }
    }
}
