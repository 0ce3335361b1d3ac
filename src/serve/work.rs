//! One look at one repository, on a thread of its own: what fails or panics there is over there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::schedule::Work;
use crate::choose::Outcome;
use crate::cli::{DecideArgs, RepoArgs};
use crate::image::Repository;
use crate::pipeline::{self, Exit, Failure, Run};
use crate::policy::Served;
use crate::settings::{DecideSettings, Place, RepoSpec, Surroundings};

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
    /// How it ended, in a word.
    pub(super) outcome: &'static str,
    pub(super) took: Duration,
    /// Which policies are for which image; unknown after a run of less than everything.
    pub(super) images: Option<BTreeMap<Repository, Vec<String>>>,
    /// How many images were decided how.
    pub(super) decisions: Option<BTreeMap<&'static str, i64>>,
    /// How many change sets were delivered how.
    pub(super) deliveries: BTreeMap<&'static str, u64>,
    /// How many requests each registry got.
    pub(super) requests: BTreeMap<String, u64>,
    /// Why it failed.
    pub(super) said: String,
}

impl Task<'_> {
    /// Begins it; what comes of it is sent.
    pub(super) fn spawn(self, done: UnboundedSender<Finished>) {
        let around = self.around.again();
        let settings = self.settings(&around);
        let (served, is_whole) = (self.served, self.work == Work::Everything);
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            let mut finished = Finished::of(served.clone());
            let work = std::panic::AssertUnwindSafe(|| match settings {
                Ok(settings) => run(&settings, &around),
                Err(why) => Err(why),
            });
            match std::panic::catch_unwind(work) {
                Ok(Ok(run)) => finished.tell(&run, is_whole),
                Ok(Err(why)) => finished.said = why,
                Err(_panic) => {
                    "it panicked, which is a mistake of the program".clone_into(&mut finished.said);
                }
            }
            finished.took = started.elapsed();
            // Nobody is there any more when the daemon has ended.
            done.send(finished).ok();
        });
        drop(thread);
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

fn run(settings: &DecideSettings, around: &Surroundings) -> Result<Run, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let ran = runtime.block_on(pipeline::run(settings, None, around));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ran.map_err(|failure| match failure {
        Failure::Invalid(invalid) => {
            let first = invalid.diagnostics.into_iter().next();
            first.map(|problem| problem.message).unwrap_or_default()
        }
        failure => failure.to_string(),
    })
}

impl Finished {
    fn of(served: Served) -> Self {
        Self {
            name: label(&served),
            served,
            outcome: "failed",
            took: Duration::ZERO,
            images: None,
            decisions: None,
            deliveries: BTreeMap::new(),
            requests: BTreeMap::new(),
            said: String::new(),
        }
    }

    fn tell(&mut self, run: &Run, is_whole: bool) {
        self.outcome = match run.exit() {
            Exit::Done | Exit::Pending => "done",
            Exit::Partly => "partly",
            Exit::Failed | Exit::Invalid => "failed",
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
            (self.images, self.decisions) = (Some(images), Some(decisions));
        }
        for delivery in &run.deliveries {
            *self.deliveries.entry(delivery.outcome.word()).or_insert(0) += 1;
        }
        for (host, asked) in &planning.usage {
            self.requests.insert(host.clone(), asked.total().requests);
        }
        let bad = planning
            .plan
            .diagnostics
            .iter()
            .find(|problem| problem.severity == crate::diagnostic::Severity::Error);
        let failed = run.deliveries.iter().find_map(|delivery| delivery.message.clone());
        let undecided =
            planning.plan.decisions.iter().find(|p| p.decision.outcome == Outcome::Undecided);
        let undecided = undecided.map(|p| format!("{}: {}", p.image, p.decision.reason.message));
        self.said =
            bad.map(|problem| problem.message.clone()).or(failed).or(undecided).unwrap_or_default();
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
        RepoSpec::Remote { github: Some((owner, name)), .. } => {
            Some(format!("{owner}/{name}").to_lowercase())
        }
        _ => None,
    }
}
