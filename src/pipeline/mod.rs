//! The stages in their order. The only place that knows them all.

mod carry;
mod decide;
mod deliver;
mod explain;
mod load;
mod memory;
mod merge;
mod notes;
mod proposals;
mod pulls;
mod settle;
mod sign;
mod sources;
mod sweep;
mod tags;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backon::BackoffBuilder as _;

pub use deliver::new_files;
pub use explain::{Explained, explain};
pub use load::Loaded;
use memory::{Held, Memory};
use proposals::Proposals;
use settle::Settling;
pub use sweep::Hits;
pub use tags::Tags;
pub use tree::Tree;

use crate::changeset::{Bundle, Decided, Draft, Drafted, Plan, Use, assemble, uses};
use crate::diagnostic::{Code, Diagnostic, Place, any_error, nearest};
use crate::forge;
use crate::git::Author;
use crate::manifest::{Survey, Surveyed};
use crate::policy::{PolicySet, RepositorySettings, Via};
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
        let outside = Outside { tags: &tags, github: &around.github, clock };
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
    /// In the way that the environments say, or in this one.
    Via(Option<Via>),
}

/// Everything between a tree and a plan.
async fn plan_tree(
    tree: Tree,
    loaded: Loaded,
    request: &Request<'_>,
    tags: &mut Tags,
) -> Result<Planning, Failure> {
    let (settings, progress) = (request.settings, request.around.progress);
    let Loaded { mut set, repository, verifiers, sources, mut diagnostics, mut hits } = loaded;
    if let Deliver::Via(Some(via)) = request.deliver {
        set.environments.iter_mut().for_each(|environment| environment.deliver.via = via);
    }
    check_names(&set, settings)?;
    let (files, found) = survey(&tree, &set, &mut hits);
    if settings.is_whole() {
        diagnostics.extend(notes::unused(&set, &files, &found));
    }
    diagnostics.extend(found);
    let uses = selected(uses(&files), &set, settings);
    let repositories: BTreeSet<_> =
        uses.iter().map(|u| &set.policies[u.policy].repository).collect();
    diagnostics.extend(ask(&uses, &set, &repository, request, tags).await);
    let mut memory = Memory::recall(&tree, settings.ledger.as_deref(), &mut diagnostics)?;
    let author = sign::author(&repository, request, &memory)?;
    let mut proposals = proposals(&tree, &set, &files, (&memory, &author), request).await;
    let held = held(&files);
    memory.notice_reverts(&set, &held, settings.now);
    let settling = Settling {
        tree: &tree,
        set: &set,
        files: &files,
        verifiers: &verifiers,
        author: &author,
        held: &held,
        now: settings.now,
        progress,
        is_partial: settings.pushed.is_some(),
    };
    let (mut plan, undecided) = settling.settle(&uses, tags, &mut memory, &mut proposals).await;
    diagnostics.extend(repositories.iter().filter_map(|repository| tags.dropped(repository)));
    diagnostics.extend(tags.skews(&set));
    plan.diagnostics.splice(0..0, diagnostics);
    name_branches(&mut plan, &tree);
    plan.diagnostics.extend(notes::of(&plan, &set, settings.now));
    if memory.is_lost() {
        plan.diagnostics.extend(notes::unkept(&plan));
    }
    let is_whole = settings.is_whole() && settings.scope.policies.is_none();
    memory.learn(&set, &plan, tags, settings.now, is_whole);
    tags.save(settings)?;
    let usage = tags.usage().await;
    log(&usage);
    let dashboard = repository.dashboard;
    Ok(Planning {
        plan,
        usage,
        sources,
        undecided,
        set,
        memory,
        tree,
        author,
        proposals,
        dashboard,
    })
}

/// Asks for the tags of what is deployed, or for the one that was pushed.
async fn ask(
    uses: &[Use],
    set: &PolicySet,
    repository: &RepositorySettings,
    request: &Request<'_>,
    tags: &mut Tags,
) -> Option<Diagnostic> {
    let Some(pushed) = &request.settings.pushed else {
        let repositories = uses.iter().map(|u| &set.policies[u.policy].repository).collect();
        tags.list(&repositories, set, repository, request.around.progress).await;
        return None;
    };
    let deployed = uses.iter().filter_map(|u| u.deployed.tag.clone());
    tags.confirm(pushed, deployed, repository).await;
    notes::unused_push(pushed, uses)
}

/// Says what asking for each image cost.
fn log(usage: &Usage) {
    for (registry, asked) in usage {
        for (image, cost) in &asked.images {
            let (requests, pages, bytes) = (cost.requests, cost.pages, cost.bytes);
            let (cache_hits, time) = (cost.cache_hits, cost.time);
            let remaining = asked.remaining;
            tracing::info!(registry, %image, requests, pages, bytes, cache_hits, ?time, remaining);
        }
    }
}

/// Finds out what the files with a hit name.
fn survey(tree: &Tree, set: &PolicySet, hits: &mut Hits) -> (Vec<Surveyed>, Vec<Diagnostic>) {
    let survey = Survey::new(set);
    let seen = sweep::each(
        tree,
        &hits.sites,
        |path| path,
        |path, bytes| bytes.map(|bytes| survey.look(path, bytes)),
    );
    let mut left_alone = std::mem::take(&mut hits.left_alone);
    let mut looked = Vec::with_capacity(seen.len());
    for seen in seen {
        seen.map_or_else(|problem| left_alone.push(problem), |seen| looked.push(seen));
    }
    let is_covered = |path: &str| set.environments.iter().any(|e| e.paths.contains(path));
    left_alone.retain(|problem| problem.place.as_ref().is_none_or(|at| is_covered(&at.path)));
    left_alone.extend(tree.skipped().iter().filter(|path| is_covered(path)).map(|path| {
        let message = "a symbolic link or submodule; left alone";
        Diagnostic::info(Code::FileSkipped, message).at(Place::of_file(path))
    }));
    let (files, mut found) = survey.finish(looked);
    found.extend(left_alone);
    (files, found)
}

/// Makes the new texts of the files that change, and the plan of it all.
fn rewrite(tree: &Tree, set: &PolicySet, files: &[Surveyed], decided: Vec<Decided>) -> Plan {
    let survey = Survey::new(set);
    let draft = Draft::new(set, &survey, files, decided);
    let drafted = files.iter().flat_map(|file| {
        let bundles = draft.edits(file).into_iter();
        bundles.map(move |(bundle, edits)| (file, bundle, edits))
    });
    let drafted: Vec<(&Surveyed, Bundle, Drafted)> = drafted.collect();
    let rewritten = sweep::each(
        tree,
        &drafted,
        |(file, ..)| &file.path,
        |(file, bundle, edits), bytes| (*file, bundle.clone(), draft.rewrite(file, edits, bytes)),
    );
    assemble(draft, rewritten)
}

/// The pull requests of the environments that a run may deliver to.
async fn proposals(
    tree: &Tree,
    set: &PolicySet,
    files: &[Surveyed],
    (memory, author): (&Memory, &Author),
    request: &Request<'_>,
) -> Proposals {
    if matches!(request.deliver, Deliver::Nothing) {
        return Proposals::None;
    }
    let only = &request.settings.environments;
    let involved: BTreeSet<usize> = files.iter().map(|file| file.environment).collect();
    let is_selected =
        |index: &usize| only.is_empty() || only.contains(&set.environments[*index].name);
    let selected = involved.into_iter().filter(is_selected);
    Proposals::find(selected, set, tree, (memory, author), request).await
}

/// What each environment holds of each policy's image.
fn held(files: &[Surveyed]) -> Held {
    let mut held = Held::new();
    for at in files.iter().flat_map(Surveyed::uses) {
        held.entry((at.environment, at.policy)).or_default().insert(at.deployed);
    }
    held
}

/// What is pushed goes to the branch that was read.
fn name_branches(plan: &mut Plan, tree: &Tree) {
    let Tree::Git { clone, .. } = tree else { return };
    for set in plan.change_sets.iter_mut().filter(|set| set.via == Via::Push) {
        clone.branch().clone_into(&mut set.branch);
    }
}

/// The uses that `--env` and `--image` leave.
fn selected(uses: BTreeSet<Use>, set: &PolicySet, settings: &DecideSettings) -> Vec<Use> {
    let wanted = |names: &[String], name: &String| names.is_empty() || names.contains(name);
    let is_pushed = |u: &Use| {
        let repository = &set.policies[u.policy].repository;
        settings.pushed.as_ref().is_none_or(|pushed| pushed.repository == *repository)
    };
    let uses = uses.into_iter().filter(is_pushed).filter(|u| {
        wanted(&settings.environments, &set.environments[u.environment].name)
            && wanted(&settings.images, &set.policies[u.policy].name)
    });
    uses.collect()
}

/// A misspelt `--env` or `--image` must not look like a run with nothing to do.
fn check_names(set: &PolicySet, settings: &DecideSettings) -> Result<(), Failure> {
    let environments: Vec<&str> = set.environments.iter().map(|e| e.name.as_str()).collect();
    let policies: Vec<&str> = set.policies.iter().map(|p| p.name.as_str()).collect();
    let unknown = |option: &str, wanted: &[String], known: &[&str]| {
        let name = wanted.iter().find(|name| !known.contains(&name.as_str()))?;
        let problem = Diagnostic::error(
            Code::ArgumentUnknown,
            format!("{option} {name}: nothing has this name"),
        );
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", known.join(", ")),
        };
        Some(problem.help(help))
    };
    let problems = unknown("--env", &settings.environments, &environments)
        .into_iter()
        .chain(unknown("--image", &settings.images, &policies));
    let diagnostics: Vec<_> = problems.collect();
    if diagnostics.is_empty() {
        return Ok(());
    }
    Err(Failure::Invalid(Box::new(Invalid { diagnostics, sources: BTreeMap::new() })))
}
