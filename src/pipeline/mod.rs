//! The stages in their order. The only place that knows them all.

mod carry;
mod decide;
mod deliver;
mod explain;
mod history;
mod load;
mod memory;
mod merge;
mod notes;
mod plan;
mod promote;
mod proposals;
mod pulls;
mod rollback;
mod settle;
mod sign;
mod sources;
mod status;
mod sweep;
mod tags;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backon::BackoffBuilder as _;

pub use deliver::new_files;
pub use explain::{Explained, explain};
use history::Timelines;
pub use load::Loaded;
use memory::Memory;
use plan::{check_names, plan_tree, rewrite, survey};
use proposals::Proposals;
pub use rollback::{Rollback, rollback};
pub use status::status;
pub use sweep::Hits;
pub use tags::Tags;
pub use tree::Tree;

use crate::changeset::Plan;
use crate::diagnostic::{Diagnostic, any_error};
use crate::forge;
use crate::git::Author;
use crate::policy::{PolicySet, Via};
use crate::registry::Usage;
use crate::report::{Delivery, DeliveryOutcome};
use crate::settings::{DecideSettings, GitHubSettings, RepoSpec, Scope, Surroundings};

/// How often a run reads the repository again because somebody else pushed.
const MAX_ATTEMPTS: usize = 8;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The policies or arguments are invalid.
    #[error("the policies or arguments are invalid")]
    Invalid(Box<Invalid>),
    /// An argument names something that cannot be used.
    #[error("{0}")]
    Argument(String),
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
    proposals: Proposals,
    /// What environments held, as far as promotions or a report asked for it.
    timelines: Timelines,
    /// The title of the issue that shows everything.
    dashboard: Option<String>,
}

/// What a run did.
pub struct Run {
    /// The plan that was delivered.
    pub planning: Planning,
    /// What became of it.
    pub deliveries: Vec<Delivery>,
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
    let (files, found) = survey(&tree, &loaded.set, &mut loaded.hits);
    loaded.diagnostics.extend(notes::unused(&loaded.set, &files, &found));
    loaded.diagnostics.extend(found);
    Ok(loaded)
}

/// The surroundings with a token of the app, where one is named and the repository is on GitHub.
async fn signed_in(scope: &Scope, around: &Surroundings) -> Result<Surroundings, Failure> {
    let mut around = around.clone();
    let RepoSpec::Remote { github: Some((owner, name)), .. } = &scope.repo else {
        return Ok(around);
    };
    if let Some(app) = &around.github.app {
        let now = around.now.checked_add(around.started.elapsed()).unwrap_or(around.now);
        let token = forge::sign_in(&around.github, app, (owner, name), now).await;
        around.github.token = Some(token.map_err(|error| Failure::Failed(error.to_string()))?);
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
    let request = Request { settings, around, deliver: Deliver::Nothing };
    plan_tree(tree, loaded, &request, &mut tags).await
}

/// Plans and delivers; when somebody else pushes meanwhile, again on what is there then.
///
/// # Errors
/// When the repository cannot be read, or the policies are invalid.
pub async fn run(
    settings: &DecideSettings,
    via: Option<Via>,
    around: &Surroundings,
) -> Result<Run, Failure> {
    let given = load::given(&settings.scope)?;
    let mut tags = Tags::new(settings)?;
    let backoff = backon::ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(100));
    let mut pauses = backoff.with_max_times(MAX_ATTEMPTS - 1).build();
    let mut earlier = Vec::new();
    loop {
        // What an app was given lasts an hour, and some limits are waited for.
        let around = &signed_in(&settings.scope, around).await?;
        let tree = Tree::open(&settings.scope, around, Some(via.unwrap_or_default())).await?;
        let loaded = Loaded::read(&tree, given.as_ref(), &settings.scope)?;
        let request = Request { settings, around, deliver: Deliver::Via(via) };
        let planning = plan_tree(tree, loaded, &request, &mut tags).await?;
        let pause = pauses.next();
        let clock = around.now.checked_add(around.started.elapsed()).unwrap_or(around.now);
        let (github, is_partial) = (&around.github, settings.pushed.is_some());
        let outside = Outside { tags: &tags, github, is_partial, clock };
        let delivered = deliver::deliver(planning, settings, &outside, pause.is_none()).await;
        match (delivered, pause) {
            (Err(raced), Some(pause)) => {
                tracing::info!(branch = raced.branch, "somebody else pushed; planning again");
                tokio::time::sleep(pause).await;
            }
            (Err(raced), None) => {
                let message = format!(
                    "branch `{}` moved {MAX_ATTEMPTS} times while the run was under way",
                    raced.branch
                );
                return Err(Failure::Failed(message));
            }
            (Ok(run), Some(_)) if run.is_stuck => {
                earlier.extend(run.deliveries);
            }
            (Ok(mut run), _) => {
                // What happened to a branch last is what counts, unless it was the end of it.
                let is_over = |d: &Delivery| {
                    matches!(d.outcome, DeliveryOutcome::Merged | DeliveryOutcome::Closed)
                };
                let last: BTreeSet<_> = run.deliveries.iter().map(|d| d.branch.clone()).collect();
                earlier.retain(|d| is_over(d) || !last.contains(&d.branch));
                run.deliveries.splice(0..0, earlier);
                // What texts asked for counts as well.
                run.planning.usage = tags.usage().await;
                return Ok(run);
            }
        }
    }
}

impl Planning {
    /// A plan that no registry was asked for.
    fn of(
        plan: Plan,
        sources: BTreeMap<String, String>,
        (set, memory, tree, author, proposals): (PolicySet, Memory, Tree, Author, Proposals),
    ) -> Self {
        Self {
            plan,
            usage: Usage::new(),
            sources,
            undecided: false,
            set,
            memory,
            tree,
            author,
            proposals,
            timelines: Timelines::new(),
            dashboard: None,
        }
    }

    /// A file of the repository as it is now.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        String::from_utf8(self.tree.read(path).ok()?).ok()
    }

    /// How `plan` ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.undecided || any_error(&self.plan.diagnostics) { Exit::Partly } else { Exit::Done }
    }
}

impl Run {
    /// How `run` ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let failed =
            self.deliveries.iter().filter(|d| d.outcome == DeliveryOutcome::Failed).count();
        match failed {
            0 => self.planning.exit(),
            all if all == self.deliveries.len() => Exit::Failed,
            _ => Exit::Partly,
        }
    }
}

/// What a delivery asks beside the repository.
struct Outside<'a> {
    tags: &'a Tags,
    github: &'a GitHubSettings,
    /// Whether the run is for one pushed image.
    is_partial: bool,
    /// What the clock of the machine says, whatever time the run is for.
    clock: jiff::Timestamp,
}

/// What a plan is asked for.
struct Request<'a> {
    settings: &'a DecideSettings,
    around: &'a Surroundings,
    deliver: Deliver,
}

/// Whether a plan is to be delivered.
#[derive(Clone, Copy)]
enum Deliver {
    /// It is only shown.
    Nothing,
    /// It is only shown, with everything that there is to see.
    Sight,
    /// In the way that the environments say, or in this one.
    Via(Option<Via>),
}
