//! One look at one repository, on a thread of its own: what fails or panics there is over there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::schedule::{End, Work};
use crate::changeset::{ChangeSet, Plan};
use crate::choose::{Decision, Outcome, ReasonCode};
use crate::cli::{DecideArgs, RepoArgs};
use crate::diagnostic::{Code, Severity};
use crate::image::Repository;
use crate::pipeline::{self, Exit, Failure, Run};
use crate::policy::Served;
use crate::report::{Delivery, DeliveryOutcome};
use crate::settings::{DecideSettings, Place, RepoSpec, Surroundings};
use crate::text::one_line;

/// No look takes longer: git has 10 minutes, and limits of GitHub are waited for 15.
const LONGEST: Duration = Duration::from_mins(40);

/// As much as the main thread has, and twice that: what goes down by calling itself is bounded with that in mind.
const STACK: usize = 16 << 20;

/// More of what is not as it should be is not told of one look.
const MANY: usize = 50;

/// What is to be done.
pub(super) struct Task<'a> {
    pub(super) served: Served,
    pub(super) work: Work,
    pub(super) args: &'a DecideArgs,
    pub(super) around: &'a Surroundings,
}

/// What came of it.
pub(super) struct Finished {
    pub(super) served: Served,
    /// What it is called in logs and metrics.
    pub(super) name: String,
    pub(super) end: End,
    pub(super) took: Duration,
    /// What there is; unknown after a run of less than everything.
    pub(super) seen: Option<Seen>,
    /// How many change sets were delivered how.
    pub(super) deliveries: BTreeMap<&'static str, u64>,
    /// How many requests each registry got.
    pub(super) requests: BTreeMap<String, u64>,
    /// The branches and pull requests that changed.
    pub(super) changes: Vec<Change>,
    /// The problems.
    pub(super) said: Vec<String>,
}

/// A branch or pull request that a run changed, or failed to change.
pub(super) struct Change {
    pub(super) outcome: DeliveryOutcome,
    pub(super) environment: String,
    pub(super) branch: String,
    pub(super) number: Option<u64>,
    pub(super) url: String,
    /// The images, or as many of them as a line of a log holds.
    pub(super) images: String,
    pub(super) message: String,
}

/// More images than this are counted in a line of a log.
const IMAGES: usize = 10;

impl Change {
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

/// What a run of everything found.
pub(super) struct Seen {
    /// Which policies are for which image.
    pub(super) images: BTreeMap<Repository, Vec<String>>,
    /// How many images were decided how.
    pub(super) decisions: BTreeMap<&'static str, i64>,
    /// Other repositories that it worked on, as `owner/name`.
    pub(super) others: BTreeSet<String>,
}

impl Task<'_> {
    /// Begins it; what comes of it is sent.
    pub(super) fn spawn(self, done: &UnboundedSender<Finished>) {
        let around = self.around.again();
        let settings = self.settings(&around);
        let (served, unstarted) = (self.served.clone(), Finished::of(self.served));
        let send = done.clone();
        let work = move || {
            let started = Instant::now();
            let mut finished = Finished::of(served);
            let work = std::panic::AssertUnwindSafe(|| match settings {
                Ok(settings) => run(settings, &around),
                Err(why) => Err(why),
            });
            match std::panic::catch_unwind(work) {
                Ok(Ok((run, is_whole))) => finished.tell(&run, is_whole),
                Ok(Err(why)) => finished.said.push(why),
                Err(_panic) => {
                    let why = "internal error: the run panicked; please report it";
                    finished.said.push(why.to_owned());
                }
            }
            finished.took = started.elapsed();
            // Nobody is there any more when the daemon has ended.
            send.send(finished).ok();
        };
        if let Err(error) = std::thread::Builder::new().stack_size(STACK).spawn(work) {
            done.send(Finished { said: vec![error.to_string()], ..unstarted }).ok();
        }
    }

    fn settings(&self, around: &Surroundings) -> Result<DecideSettings, String> {
        let (repo, branch) = (Some(self.served.repo.clone()), self.served.branch.clone());
        let settings = around.decide(self.args, Place::Repository).and_then(|settings| {
            let trust_root = self.args.repo.trust_root.clone();
            let args = RepoArgs { repo, branch, trust_root, ..RepoArgs::default() };
            let scope = around.scope(&args, Place::Repository)?;
            Ok(DecideSettings { scope, ..settings })
        });
        let mut settings = settings.map_err(|error| error.to_string())?;
        match &self.work {
            Work::Everything => {}
            Work::Environments(names) => settings.environments.extend(names.iter().cloned()),
            Work::Images(names) => settings.images.extend(names.iter().cloned()),
        }
        Ok(settings)
    }
}

/// A run, and whether it was one of everything.
fn run(settings: DecideSettings, around: &Surroundings) -> Result<(Run, bool), String> {
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

async fn look(mut settings: DecideSettings, around: &Surroundings) -> Result<(Run, bool), Failure> {
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
            Ok((pipeline::run(&settings, None, around).await?, true))
        }
        ran => Ok((ran?, is_whole)),
    }
}

impl Finished {
    fn of(served: Served) -> Self {
        Self {
            name: label(&served),
            served,
            end: End::Badly,
            took: Duration::ZERO,
            seen: None,
            deliveries: BTreeMap::new(),
            requests: BTreeMap::new(),
            changes: Vec::new(),
            said: Vec::new(),
        }
    }

    fn tell(&mut self, run: &Run, is_whole: bool) {
        self.end = match run.exit() {
            Exit::Done | Exit::Pending => End::Well,
            Exit::Partly => End::Partly,
            Exit::Failed | Exit::Invalid => End::Badly,
        };
        let planning = &run.planning;
        let (mut images, mut decisions) = (BTreeMap::<_, Vec<String>>::new(), BTreeMap::new());
        for planned in &planning.plan.decisions {
            let policies = images.entry(planned.repository.clone()).or_default();
            if !policies.contains(&planned.image) {
                policies.push(planned.image.clone());
            }
            *decisions.entry(planned.decision.outcome.word()).or_insert(0) += 1;
        }
        if is_whole {
            for word in ["update", "keep", "hold", "undecided"] {
                decisions.entry(word).or_insert(0);
            }
            self.seen = Some(Seen { images, decisions, others: run.others() });
        }
        for delivery in &run.deliveries {
            *self.deliveries.entry(delivery.outcome.word()).or_insert(0) += 1;
        }
        let all = run.deliveries.iter();
        self.changes = all.map(|one| Change::of(one, &planning.plan)).collect();
        for (host, asked) in &planning.usage {
            self.requests.insert(host.clone(), asked.total().requests);
        }
        let bad = planning.plan.diagnostics.iter().filter(|told| told.severity == Severity::Error);
        let failed = run.deliveries.iter().filter(|one| one.outcome == DeliveryOutcome::Failed);
        let failed = failed.map(|one| {
            format!("{}: {}", one.environment, one.message.as_deref().unwrap_or_default())
        });
        // What is carried on could not be decided anew.
        let is_undecided = |decision: &Decision| {
            decision.outcome == Outcome::Undecided || decision.reason.code == ReasonCode::Carried
        };
        let undecided = planning.plan.decisions.iter().filter(|p| is_undecided(&p.decision));
        let undecided = undecided
            .map(|p| format!("{} in {}: {}", p.image, p.environment, p.decision.reason.message));
        let all = bad.map(|told| told.message.clone()).chain(failed).chain(undecided);
        // What a run for one image carries on is as it should be.
        let many = if self.end == End::Well { 0 } else { MANY };
        self.said = all.take(many).collect();
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
    match around.scope(&args, Place::Repository).ok()?.repo {
        RepoSpec::Remote { id: Some(id), .. } => Some(id.key()),
        _ => None,
    }
}
