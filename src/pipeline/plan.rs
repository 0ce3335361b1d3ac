//! Everything between a tree and a plan.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::features::unsupported;
use super::homes::KnownPlaces;
use super::memory::{Extent, Memory};
use super::observe::Observation;
use super::promote::{Promoting, Rules, is_promoted};
use super::settle::Settling;
use super::survey::survey;
use super::{
    DeliveryMode, Failure, Invalid, Loaded, Planning, Request, Tags, Tree, notes, sign, sweep,
};
use crate::changeset::{Bundle, Decided, Draft, Drafted, Plan, Use, assemble, uses};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::git::Author;
use crate::image::Repository;
use crate::manifest::{Looked, Survey, Surveyed};
use crate::policy::{EnvironmentId, PolicySet, RepositorySettings, Via};
use crate::reconcile::Held;
use crate::registry::Usage;
use crate::settings::DecideSettings;

/// Everything between a tree and a plan.
///
/// # Errors
/// When arguments name nothing, the ledger cannot be read, or a file cannot be written.
#[tracing::instrument(name = "plan", skip_all, fields(place = %loaded.set.here))]
pub(super) async fn plan_tree(
    tree: Tree,
    loaded: Loaded,
    known: &KnownPlaces,
    request: &Request<'_>,
    tags: &mut Tags,
) -> Result<Planning, Failure> {
    let settings = request.settings;
    let Loaded { mut set, repository, verifiers, sources, mut diagnostics, mut hits } = loaded;
    overrule(&mut set, request.deliver);
    check_names(&set, settings)?;
    let Looked { files, left, diagnostics: found } = survey(&tree, &set, &mut hits);
    let unused = notes::unused(&set, &files, &found, settings.is_whole());
    let unsupported = unsupported(&tree, &set, &repository, &request.around.forges);
    diagnostics.extend(unused.into_iter().chain(found).chain(unsupported));
    let uses = selected(&uses(&files), &set, settings);
    let repositories = repositories_of(uses.iter(), &set);
    diagnostics.extend(ask(&uses, &set, &repository, request, tags).await);
    let rules = Rules { set: &set, repository: &repository };
    let promoting = Promoting::read(&tree, rules, &files, &uses, known, request).await;
    let mut memory = Memory::recall(&tree, &set, settings, &mut diagnostics)?;
    let author = sign::author(&repository, request, &memory)?;
    let mut observation = Box::pin(observe(&tree, &set, &files, &memory, &author, request)).await;
    let is_whole_picture = observation.tell(&tree, &set, &files, request, &mut diagnostics);
    let held = held(&files);
    memory.notice_reverts(&set, &held, settings.now);
    let settling = Settling {
        tree: &tree,
        set: &set,
        repository: &repository,
        files: &files,
        left: &left,
        verifiers: &verifiers,
        author: &author,
        held: &held,
        promoting: &promoting,
        now: settings.now,
        progress: request.around.progress,
        is_partial: settings.pushed.is_some(),
    };
    let (mut plan, undecided) =
        Box::pin(settling.settle(&uses, tags, &mut memory, &mut observation)).await;
    let timelines = promoting.timelines;
    let dropped = repositories.iter().filter_map(|it| tags.dropped(it));
    diagnostics.extend(dropped.chain(tags.skews(&set)));
    complete(&mut plan, diagnostics, &tree, &set, &memory, settings.now);
    memory.learn(&set, &plan, tags, &timelines, Extent::of(settings));
    tags.save(settings)?;
    Ok(Planning {
        plan,
        usage: logged(tags.usage().await),
        sources,
        undecided: undecided || !is_whole_picture,
        set,
        memory,
        tree,
        author,
        forges: observation.forges(request),
        observation,
        timelines,
        names: known.names(),
        dashboard: repository.dashboard,
        is_rollback: false,
        elsewhere: Vec::new(),
    })
}

/// The images of some uses.
fn repositories_of<'s, 'u>(
    uses: impl Iterator<Item = &'u Use>,
    set: &'s PolicySet,
) -> BTreeSet<&'s Repository> {
    uses.map(|at| &set.policies[at.policy].repository).collect()
}

/// Delivers everything in the way that was asked for, if one was.
fn overrule(set: &mut PolicySet, deliver: DeliveryMode) {
    if let DeliveryMode::Via(Some(via)) = deliver {
        set.environments.iter_mut().for_each(|environment| environment.deliver.via = via);
    }
}

/// What is said of a plan, and where what is pushed goes.
fn complete(
    plan: &mut Plan,
    found: Vec<Diagnostic>,
    tree: &Tree,
    set: &PolicySet,
    memory: &Memory,
    now: Timestamp,
) {
    plan.diagnostics.splice(0..0, found);
    name_branches(plan, tree);
    plan.diagnostics.extend(notes::of(plan, set, now));
    plan.diagnostics.extend(memory.unread(plan));
    plan.diagnostics.extend(memory.unguarded(set));
    if memory.is_lost() {
        plan.diagnostics.extend(notes::unkept(plan));
    }
}

/// Asks for the tags of what is deployed, or for the one that was pushed.
async fn ask(
    uses: &[Use],
    set: &PolicySet,
    repository: &RepositorySettings,
    request: &Request<'_>,
    tags: &mut Tags,
) -> Option<Diagnostic> {
    // What comes from other environments is not asked for at registries.
    let listed = || uses.iter().filter(|at| !is_promoted(set, at));
    let Some(pushed) = &request.settings.pushed else {
        tags.list(&repositories_of(listed(), set), set, repository, request.around.progress).await;
        return None;
    };
    let deployed = listed().filter_map(|u| u.deployed.tag.clone());
    tags.confirm(pushed, deployed, repository).await;
    notes::unused_push(pushed, listed().next().is_none())
}

/// Says what asking for each image cost.
fn logged(usage: Usage) -> Usage {
    for (registry, asked) in &usage {
        for (image, cost) in &asked.images {
            let (requests, pages, bytes) = (cost.requests, cost.pages, cost.bytes);
            let (cache_hits, time) = (cost.cache_hits, cost.time);
            let remaining = asked.remaining;
            tracing::info!(registry, %image, requests, pages, bytes, cache_hits, ?time, remaining);
        }
    }
    usage
}

/// Makes the new texts of the files that change, and the plan of it all.
pub(super) fn rewrite(
    tree: &Tree,
    set: &PolicySet,
    files: &[Surveyed],
    decided: Vec<Decided>,
) -> Plan {
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
async fn observe(
    tree: &Tree,
    set: &PolicySet,
    files: &[Surveyed],
    memory: &Memory,
    author: &Author,
    request: &Request<'_>,
) -> Observation {
    let only = &request.settings.environments;
    let involved: BTreeSet<EnvironmentId> = files.iter().map(|file| file.environment).collect();
    let is_selected =
        |index: &EnvironmentId| only.is_empty() || only.contains(&set.environments[*index].name);
    let selected = involved.into_iter().filter(is_selected);
    Observation::read(selected, set, tree, memory, author, request).await
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
pub(super) fn name_branches(plan: &mut Plan, tree: &Tree) {
    let Tree::Git { clone, .. } = tree else { return };
    for set in plan.change_sets.iter_mut().filter(|set| set.via == Via::Push) {
        clone.branch().clone_into(&mut set.branch);
    }
}

/// The uses that `--env` and `--image` leave.
fn selected(uses: &BTreeSet<Use>, set: &PolicySet, settings: &DecideSettings) -> Vec<Use> {
    let wanted = |names: &[String], name: &String| names.is_empty() || names.contains(name);
    let is_pushed = |u: &&Use| {
        let repository = &set.policies[u.policy].repository;
        settings.pushed.as_ref().is_none_or(|pushed| pushed.repository == *repository)
    };
    // What moves together is looked at together.
    let all = uses.iter().filter(|u| {
        is_pushed(u)
            && wanted(&settings.environments, &set.environments[u.environment].name)
            && wanted(&settings.images, &set.policies[u.policy].name)
    });
    let all: BTreeSet<&Use> = all.collect();
    let together = |u: &Use| set.together(u.environment, u.policy);
    let beside: BTreeSet<(EnvironmentId, &str)> = all.iter().filter_map(|u| together(u)).collect();
    let is_beside = |u: &Use| together(u).is_some_and(|together| beside.contains(&together));
    uses.iter().filter(|u| all.contains(u) || is_beside(u)).cloned().collect()
}

/// A misspelt `--env` or `--image` must not look like a run with nothing to do.
pub(super) fn check_names(set: &PolicySet, settings: &DecideSettings) -> Result<(), Failure> {
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
