//! The stages in their order. The only place that knows them all.

mod carry;
mod decide;
mod deliver;
mod deployed;
mod execute;
mod explain;
mod history;
mod homes;
mod load;
mod memory;
mod notes;
mod observe;
mod plan;
mod promote;
mod proof;
mod push;
mod rollback;
mod seal;
mod settle;
mod sign;
mod sources;
mod starter;
mod status;
mod survey;
mod sweep;
mod tags;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backon::BackoffBuilder as _;

pub use explain::{Explained, explain};
use history::Timelines;
use homes::{Elsewhere, Names};
pub use load::Loaded;
use memory::Memory;
use observe::Observation;
use plan::{check_names, plan_tree, rewrite};
pub use push::new_files;
pub use rollback::{RollbackRequest, rollback};
pub use starter::{Started, import, init};
pub use status::status;
use survey::survey;

use sweep::Hits;
pub use tags::Tags;
pub use tree::Tree;

use crate::changeset::{ChangeSet, Plan, tried_templates};
use crate::diagnostic::{Code, Diagnostic, any_error};
use crate::forge;
use crate::git::Author;
use crate::manifest::Looked;
use crate::policy::{Home, PolicySet, Via};
use crate::pull_request::PullRequest;
use crate::registry::Usage;
use crate::report::{ActionName, Delivery, DeliveryOutcome, PlannedAction};
use crate::settings::{DecideSettings, ForgeSettings, RepoSpec, Scope, Surroundings};

/// How often a run reads the repository again because somebody else pushed.
const MAX_ATTEMPTS: usize = 8;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The policies or arguments are invalid.
    #[error("the policies or arguments are invalid")]
    Invalid(Box<Invalid>),
    /// An argument has a value that cannot be used.
    #[error("{0}")]
    Argument(String),
    /// A directory does not lead to the repository that it was cloned from.
    #[error("{0}")]
    Origin(String),
    /// Something outside failed.
    #[error("{0}")]
    Failed(String),
}

/// Problems, and the texts that they are about.
#[derive(Debug, Default)]
pub struct Invalid {
    /// The problems.
    pub diagnostics: Vec<Diagnostic>,
    /// Texts of files by path, for code frames.
    pub sources: BTreeMap<String, String>,
}

/// A plan, with what it was made from.
pub struct Planning {
    /// The plan.
    pub plan: Plan,
    /// What asking registries for it cost.
    pub usage: Usage,
    /// Texts of policy files by path, for code frames.
    pub sources: BTreeMap<String, String>,
    /// Whether something could not be decided, also where an open branch says what to do.
    undecided: bool,
    set: PolicySet,
    memory: Memory,
    tree: Tree,
    author: Author,
    /// Whose the token is that it was read with.
    forge: ForgeSettings,
    observation: Observation,
    /// What environments held, as far as promotions or a report asked for it.
    timelines: Timelines,
    /// The repositories of all places.
    names: Names,
    /// The title of the issue that shows everything.
    dashboard: Option<String>,
    /// True if a person takes an environment back.
    is_rollback: bool,
    /// Other places where environments are; what was planned there is in the plan.
    elsewhere: Vec<PlannedPlace>,
}

/// A place of which the plan is part of another one.
struct PlannedPlace {
    home: Home,
    tree: Tree,
    observation: Observation,
}

/// What a run did.
pub struct Run {
    /// The plan that was delivered.
    pub planning: Planning,
    /// What became of it.
    pub deliveries: Vec<Delivery>,
    /// The actions that it would have taken, where it was a dry run.
    pub planned: Vec<PlannedAction>,
    /// Whether what was merged is in the way of something that is ready.
    is_stuck: bool,
}

/// How a command ends; the number is its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, whether or not something changed.
    Done = 0,
    /// Nothing could be done.
    Failed = 1,
    /// The policies or arguments are invalid.
    Invalid = 2,
    /// Some images are undecided, or some deliveries failed.
    Partly = 3,
    /// Changes are pending (`plan --detailed-exit-code`).
    Pending = 10,
}

/// Loads and judges the policies, and finds what they are for; no registry is asked.
///
/// # Errors
/// When the repository cannot be read, or the policies are invalid.
pub async fn check(scope: &Scope, around: &Surroundings) -> Result<Loaded, Failure> {
    let around = &signed_in(scope, around).await?;
    let given = load::given(scope)?;
    let tree = Tree::open(scope, around, None).await?;
    let mut loaded = Loaded::read(&tree, given.as_ref(), scope)?;
    let looked = survey(&tree, &loaded.set, &mut loaded.hits);
    let Looked { files, diagnostics: found, .. } = looked;
    loaded.diagnostics.extend(notes::unused(&loaded.set, &files, &found, true));
    loaded.diagnostics.extend(found);
    loaded.diagnostics.extend(deployed::uncovered(&tree, &loaded.repository, &loaded.set));
    loaded.diagnostics.extend(loaded.set.environments.iter().flat_map(tried_templates));
    notes::settle_idle(&mut loaded.diagnostics, &loaded.set, 1);
    Ok(loaded)
}

/// The surroundings with a token of the app, where one is named and the repository is on GitHub.
async fn signed_in(scope: &Scope, around: &Surroundings) -> Result<Surroundings, Failure> {
    let mut around = around.clone();
    let RepoSpec::Remote { id: Some(id), .. } = &scope.repo else {
        return Ok(around);
    };
    if let Some(app) = &around.forge.app {
        let token = forge::sign_in(&around.forge, app, id, around.clock()).await;
        around.forge.token = Some(token.map_err(|error| Failure::Failed(error.to_string()))?);
    }
    Ok(around)
}

/// Reads the repository as it is and plans.
///
/// # Errors
/// When the repository cannot be read, or the policies are invalid.
pub async fn plan(settings: &DecideSettings, around: &Surroundings) -> Result<Planning, Failure> {
    let around = &signed_in(&settings.scope, around).await?;
    let given = load::given(&settings.scope)?;
    let mut tags = Tags::new(settings)?;
    let tree = Tree::open(&settings.scope, around, None).await?;
    let loaded = Loaded::read(&tree, given.as_ref(), &settings.scope)?;
    let request = Request { settings, around, deliver: DeliveryMode::Nothing };
    plan_all(tree, loaded, &request, &mut tags).await
}

/// Plans a tree, and the other places where environments are.
async fn plan_all(
    tree: Tree,
    mut loaded: Loaded,
    request: &Request<'_>,
    tags: &mut Tags,
) -> Result<Planning, Failure> {
    let elsewhere = Elsewhere::open(&tree, &mut loaded, request).await;
    let mut planning = plan_tree(tree, loaded, &elsewhere.known, request, tags).await?;
    elsewhere.plan(&mut planning, request, tags).await;
    planning.settle_idle();
    Ok(planning)
}

/// Plans and delivers, here and then elsewhere; when somebody else pushes meanwhile, again on what is there
/// then.
///
/// # Errors
/// When the repository cannot be read, or the policies are invalid.
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
            // One place that fails keeps nothing from the others.
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
        // What happened is told, whatever came then.
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
    let forge = &planning.forge.clone();
    let outside = Outside { tags, forge, is_partial, clock };
    Ok(Box::pin(deliver::deliver(planning, settings, &outside, is_last)).await)
}

impl Planning {
    /// A file of a place as it is now.
    #[must_use]
    pub fn text(&self, home: &Home, path: &str) -> Option<String> {
        let elsewhere = self.elsewhere.iter().find(|place| place.home == *home);
        let tree = elsewhere.map_or(&self.tree, |place| &place.tree);
        String::from_utf8(tree.read(path).ok()?).ok()
    }

    /// The open pull request that rolls an image of an environment back.
    fn rollback(&self, home: &Home, environment: &str, image: &str) -> Option<&PullRequest> {
        let elsewhere = self.elsewhere.iter().find(|place| place.home == *home);
        let observation = elsewhere.map_or(&self.observation, |place| &place.observation);
        observation.snapshot.rollback(&self.set, environment, image)
    }

    /// The names of the environments in the order of promotion.
    #[must_use]
    pub fn order(&self) -> Vec<String> {
        let order = status::order(&self.set);
        order.into_iter().map(|index| self.set.environments[index].name.clone()).collect()
    }

    /// The open pull request of a change set.
    fn open(&self, set: &ChangeSet) -> Option<&PullRequest> {
        let elsewhere = self.elsewhere.iter().find(|place| place.home == set.home);
        elsewhere.map_or(&self.observation, |place| &place.observation).snapshot.open(&set.branch)
    }

    /// Says only of what no place uses that nothing does.
    fn settle_idle(&mut self) {
        notes::settle_idle(&mut self.plan.diagnostics, &self.set, 1 + self.elsewhere.len());
    }

    /// Adds what was planned in another place.
    fn absorb(&mut self, other: Self) {
        let Self { plan, usage, undecided, set, tree, observation, timelines, .. } = other;
        self.plan.append(plan, &set.here);
        self.usage = usage;
        self.undecided |= undecided;
        self.timelines.extend(timelines);
        self.elsewhere.push(PlannedPlace { home: set.here, tree, observation });
    }

    /// How `plan` ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.undecided || any_error(&self.plan.diagnostics) { Exit::Partly } else { Exit::Done }
    }
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

    /// How `run` ends.
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

/// What a delivery asks beside the repository.
struct Outside<'a> {
    tags: &'a Tags,
    forge: &'a ForgeSettings,
    /// Whether the run is for one pushed image.
    is_partial: bool,
    /// What the clock of the machine says, whatever time the run is for.
    clock: jiff::Timestamp,
}

/// What a plan is asked for.
struct Request<'a> {
    settings: &'a DecideSettings,
    around: &'a Surroundings,
    deliver: DeliveryMode,
}

/// Whether a plan is to be delivered.
#[derive(Clone, Copy)]
enum DeliveryMode {
    /// It is only shown.
    Nothing,
    /// It is only shown, with everything that there is to see.
    Sight,
    /// In the way that the environments say, or in this one.
    Via(Option<Via>),
}
