//! A plan that is delivered.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::BackoffBuilder as _;

use crate::diagnostic::{Code, Diagnostic};
use crate::pipeline::homes::Elsewhere;
use crate::pipeline::plan::plan_tree;
use crate::pipeline::session::not_pushed;
use crate::pipeline::{
    DeliveryMode, Exit, Failure, Loaded, Outside, Planning, Request, Tags, Tree, deliver, load,
    push, signed_in,
};
use crate::policy::Via;
use crate::report::{ActionName, Delivery, DeliveryOutcome, PlannedAction};
use crate::settings::{DecideSettings, Surroundings};

/// Number of times that a run reads the repository because somebody else pushed.
const MAX_ATTEMPTS: usize = 8;

/// The result of a run.
pub struct Run {
    /// The plan that was delivered.
    pub planning: Planning,
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// The actions that it would have taken, where it was a dry run.
    pub planned: Vec<PlannedAction>,
    /// True if a merge is in the way of something that is ready.
    pub(in crate::pipeline) is_stuck: bool,
}

/// Plans and delivers, here and then elsewhere; when somebody else pushes meanwhile, again on what is there
/// then.
///
/// # Errors
/// The repository cannot be read, or the policies are invalid.
#[tracing::instrument(name = "run", skip_all, fields(repository = %settings.scope.repo))]
pub async fn run(
    settings: &DecideSettings,
    via: Option<Via>,
    around: &Surroundings,
) -> Result<Run, Failure> {
    let given = load::given(&settings.scope)?;
    let mut tags = Tags::new(settings)?;
    let mut elsewhere = Elsewhere::default();
    let mut run = persist(settings, around, &mut tags, async |around, tags| {
        let request = Request { settings, around, deliver: DeliveryMode::Via(via) };
        let tree = Tree::open(&settings.scope, around, Some(via.unwrap_or_default())).await?;
        let mut loaded = Loaded::read(&tree, given.as_ref(), &settings.scope)?;
        loaded.diagnostics.extend(not_pushed(&settings.scope, &tree, &loaded));
        elsewhere = Elsewhere::open(&tree, &mut loaded, &request).await;
        plan_tree(tree, loaded, &elsewhere.known, &request, tags).await
    })
    .await?;
    let Elsewhere { places, problems, mut known } = elsewhere;
    run.planning.plan.diagnostics.extend(problems);
    known.timelines.extend(run.planning.timelines.clone());
    for mut place in places {
        // The ledger, and the token, may be others by now.
        place.is_old();
        let there = persist(settings, around, &mut tags, async |around, tags| {
            let request = Request { settings, around, deliver: DeliveryMode::Via(via) };
            place.plan(&known, &request, tags).await
        });
        match there.await {
            Ok(there) => run.absorb(there),
            // A place that fails does not stop the others.
            Err(failure) => run.planning.plan.diagnostics.extend(place.failed(&failure)),
        }
    }
    run.planning.settle_idle();
    deliver::show(&mut run, settings, around).await;
    // What texts asked for counts as well.
    run.planning.usage = tags.usage().await;
    Ok(run)
}

/// Delivers what is planned, and plans again as long as somebody else is faster or a merge makes way.
async fn persist(
    settings: &DecideSettings,
    around: &Surroundings,
    tags: &mut Tags,
    mut plan: impl AsyncFnMut(&Surroundings, &mut Tags) -> Result<Planning, Failure>,
) -> Result<Run, Failure> {
    let backoff = backon::ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(100));
    let mut pauses = backoff.with_max_times(MAX_ATTEMPTS - 1).build();
    let mut before: Option<Run> = None;
    let end = loop {
        let pause = pauses.next();
        match (attempt(settings, around, tags, &mut plan, pause.is_none()).await, pause) {
            (Err(failure), _) => break Err(failure),
            (Ok(Err(raced)), Some(pause)) => {
                tracing::info!(branch = raced.branch, "somebody else pushed; planning again");
                tokio::time::sleep(pause).await;
            }
            (Ok(Err(raced)), None) => {
                let message = format!(
                    "branch `{}` moved {MAX_ATTEMPTS} times while the run was under way",
                    raced.branch
                );
                break Err(Failure::Failed(message));
            }
            (Ok(Ok(run)), Some(_)) if run.is_stuck => {
                before = Some(Run::after(before, run));
            }
            (Ok(Ok(run)), _) => break Ok(run),
        }
    };
    match (end, before) {
        (Ok(run), before) => Ok(Run::after(before, run)),
        (Err(failure), None) => Err(failure),
        // The report has what happened before as well.
        (Err(failure), Some(mut before)) => {
            let told = Diagnostic::error(Code::Failed, failure.to_string());
            before.planning.plan.diagnostics.push(told);
            Ok(before)
        }
    }
}

/// Plans and delivers once.
async fn attempt(
    settings: &DecideSettings,
    around: &Surroundings,
    tags: &mut Tags,
    plan: &mut impl AsyncFnMut(&Surroundings, &mut Tags) -> Result<Planning, Failure>,
    is_last: bool,
) -> Result<Result<Run, push::Raced>, Failure> {
    // What an app was given lasts an hour, and some limits are waited for.
    let around = &signed_in(&settings.scope, around).await?;
    let planning = plan(around, tags).await?;
    let (is_partial, clock) = (settings.pushed.is_some(), around.clock());
    let forges = &planning.forges.clone();
    let outside = Outside { tags, forges, is_partial, clock };
    Ok(Box::pin(deliver::deliver(planning, settings, &outside, is_last)).await)
}

impl Run {
    /// A run with what happened before to the same branches. What happened to a branch last is what counts,
    /// unless it was the end of it.
    fn after(before: Option<Self>, mut run: Self) -> Self {
        let is_over =
            |d: &Delivery| matches!(d.outcome, DeliveryOutcome::Merged | DeliveryOutcome::Closed);
        let mut earlier = before.map(|before| before.deliveries).unwrap_or_default();
        let last: BTreeSet<_> = run.deliveries.iter().map(|d| d.branch.clone()).collect();
        earlier.retain(|d| is_over(d) || !last.contains(&d.branch));
        run.deliveries.splice(0..0, earlier);
        run
    }

    /// Adds what was delivered in another place.
    fn absorb(&mut self, other: Self) {
        self.planning.absorb(other.planning);
        self.deliveries.extend(other.deliveries);
        self.planned.extend(other.planned);
    }

    /// The repositories that it worked on beside the one of the policies, as `owner/name` in lower case.
    #[must_use]
    pub fn others(&self) -> BTreeSet<String> {
        let others = self.planning.names.iter().filter(|(home, _)| home.repository.is_some());
        others.map(|(_, id)| id.key()).collect()
    }

    /// The end of `run`.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let is_failed = |delivery: &&Delivery| delivery.outcome == DeliveryOutcome::Failed;
        let fails = |planned: &&PlannedAction| planned.action == ActionName::Fail;
        let failed = self.deliveries.iter().filter(is_failed).count()
            + self.planned.iter().filter(fails).count();
        let all = match self.deliveries.len() {
            0 => self.planning.plan.change_sets.len(),
            all => all,
        };
        match failed {
            0 => self.planning.exit(),
            failed if failed == all => Exit::Failed,
            _ => Exit::Partly,
        }
    }
}
