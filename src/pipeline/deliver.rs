//! From a plan to files, commits and pull requests: reads what reconciling needs, and executes the actions that come of
//! it.

use std::collections::BTreeMap;

use super::execute::{Executed, Execution, Ground};
use super::push::Raced;
use super::sources::{self, Looking};
use super::{Outside, Planning, Run, Tree};
use crate::changeset::{ChangeSet, FileChange, Plan, section_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::forge::{AnyForge, Forge as _, ForgeError, Issue};
use crate::manifest::MAX_FILE;
use crate::reconcile::{Action, BranchStep, Input, Unsaved, reconcile};
use crate::report::{self, DASHBOARD, Delivery, DeliveryOutcome};
use crate::secret::redacted;
use crate::settings::{DecideSettings, Surroundings};
use crate::worktree::{WorkTree, WorkTreeError};

/// The actions of a run in one place, with their texts.
pub(super) struct Reconciled {
    /// The actions, in the order of their execution.
    pub(super) actions: Vec<Action>,
    /// The step of each change set's branch.
    pub(super) steps: Vec<BranchStep>,
    /// The plan's change sets with their final bodies.
    pub(super) texts: Vec<ChangeSet>,
}

impl Reconciled {
    /// Reads branches and provenance, and reconciles.
    pub(super) async fn of(
        planning: &mut Planning,
        settings: &DecideSettings,
        outside: &Outside<'_>,
    ) -> Self {
        if let Tree::Git { clone, .. } = &planning.tree {
            planning.observation.read_branches(clone, &planning.author, &planning.plan);
        }
        let is_by_forge = planning.author.signing.is_by_forge();
        let input = Input {
            plan: &planning.plan,
            set: &planning.set,
            snapshot: &planning.observation.snapshot,
            ledger: match planning.memory.unsaved() {
                Unsaved::Urgent => Unsaved::Urgent,
                _ if is_by_forge => Unsaved::WithEveryPush,
                other => other,
            },
            now: settings.now,
            clock: outside.clock,
            // A narrower run cannot tell that a pull request is obsolete.
            is_whole: settings.is_of_all(),
            is_rollback: planning.is_rollback,
        };
        let steps = input.branches();
        let sections = sections(planning, &steps, outside).await;
        let sets = planning.plan.change_sets.iter();
        let texts = sets.map(|set| {
            let mut set = sources::with_section(set, &sections, input.snapshot);
            set.body = redacted(&set.body).into_owned();
            set
        });
        let texts: Vec<ChangeSet> = texts.collect();
        Self { actions: reconcile(&input, &steps, &texts), steps, texts }
    }
}

/// Delivers every change set, and saves the ledger. One that fails does not stop the others.
#[tracing::instrument(name = "deliver", skip_all)]
pub(super) async fn deliver(
    mut planning: Planning,
    settings: &DecideSettings,
    outside: &Outside<'_>,
    is_last: bool,
) -> Result<Run, Raced> {
    // A plan of an older base may be merged by now. The last try does without that, as the forge's answer can be older
    // than its git.
    if let (Some(branch), false) = (planning.observation.snapshot.moved_base(), is_last) {
        return Err(Raced { branch: branch.to_owned() });
    }
    let reconciled = Reconciled::of(&mut planning, settings, outside).await;
    if settings.dry_run {
        let Planning { plan, observation, set, .. } = &planning;
        let snapshot = &observation.snapshot;
        let planned = report::planned_actions(&reconciled.actions, plan, snapshot, &set.here);
        return Ok(Run { planning, deliveries: Vec::new(), planned, is_stuck: false });
    }
    let Executed { deliveries, saved, is_stuck } = match &planning.tree {
        Tree::Work(work) => {
            let deliveries = write_all(work, &planning.plan, &reconciled);
            Executed { deliveries, saved: Ok(()), is_stuck: false }
        }
        Tree::Git { clone, .. } => {
            let mut execution = Execution::new(Ground {
                clone,
                plan: &planning.plan,
                reconciled: &reconciled,
                observation: &planning.observation,
                author: &planning.author,
                now: settings.now,
                clock: outside.clock,
            });
            execution.execute(&reconciled.actions, &mut planning.memory).await?;
            execution.end(&planning.set.here)
        }
    };
    if let Err(why) = saved.and_then(|()| planning.memory.write()) {
        let message = format!("the ledger could not be saved: {why}");
        planning.plan.diagnostics.push(Diagnostic::warning(Code::LedgerNotKept, message));
    }
    Ok(Run { planning, deliveries, planned: Vec::new(), is_stuck })
}

/// The sections of bodies about sources and releases, by branch. Sections of an earlier change are not carried over, also
/// when a killed run left them behind.
async fn sections(
    planning: &Planning,
    steps: &[BranchStep],
    outside: &Outside<'_>,
) -> BTreeMap<String, String> {
    // A run for a pushed image asks for that image alone; a later one says the rest. A rollback is in a hurry.
    let is_silent = outside.is_partial || planning.is_rollback;
    let Some(forge) = planning.observation.forge.as_ref().filter(|_| !is_silent) else {
        return BTreeMap::new();
    };
    let snapshot = &planning.observation.snapshot;
    let has_section = |set: &ChangeSet| {
        let open = snapshot.open(&set.branch).filter(|open| open.proposes(set));
        open.is_some_and(|open| !section_of(&open.body).is_empty())
    };
    let is_new = |(set, step): &(&ChangeSet, &BranchStep)| {
        !matches!(step, BranchStep::Stop(_)) && !has_section(set)
    };
    let Planning { plan, set, timelines, names, .. } = planning;
    let written = plan.change_sets.iter().zip(steps).filter(is_new).map(|(set, _)| set);
    let Outside { tags, forges, .. } = *outside;
    Looking { set, timelines, tags, plan, forges, names }.look(written, forge).await
}

/// Brings the dashboard issue up to date, where one is wanted.
pub(super) async fn show(run: &mut Run, settings: &DecideSettings, around: &Surroundings) {
    let Some(title) = &run.planning.dashboard else { return };
    // A narrower run does not see everything.
    if !settings.is_of_all() {
        return;
    }
    if settings.dry_run {
        run.planned.push(report::planned_dashboard(title));
        return;
    }
    let body = report::dashboard(&run.planning.plan, &run.deliveries);
    let kept = keep(&run.planning, around, title, &body).await;
    if let Err(why) = kept {
        let message = format!("the dashboard is not up to date: {why}");
        let problem = Diagnostic::warning(Code::DashboardNotKept, message);
        run.planning.plan.diagnostics.push(problem);
    }
}

/// Keeps the issue where the policies are, also when nothing else is delivered there.
async fn keep(
    planning: &Planning,
    around: &Surroundings,
    title: &str,
    body: &str,
) -> Result<(), ForgeError> {
    let observation = &planning.observation;
    if let (Some(forge), Some(seen)) = (&observation.forge, observation.snapshot.observed()) {
        let rules = &seen.rules;
        return forge.keep_issue(&Issue { mark: DASHBOARD, title, body, rules }).await.map(drop);
    }
    let Tree::Git { clone, id: Some(id) } = &planning.tree else { return Ok(()) };
    let clock = around.moment();
    let forge = AnyForge::new(planning.forges.at(id).first(), clock, id, None)?;
    let seen = forge.observe(&[], clone.branch(), false).await?;
    let rules = &seen.rules;
    forge.keep_issue(&Issue { mark: DASHBOARD, title, body, rules }).await.map(drop)
}

/// Writes the files of all change sets.
fn write_all(work: &WorkTree, plan: &Plan, reconciled: &Reconciled) -> Vec<Delivery> {
    let written = reconciled.actions.iter().filter_map(|action| match action {
        Action::WriteFiles { set } => Some(write(work, plan, &plan.change_sets[*set])),
        Action::Wait { set, why, .. } => {
            let failed = Delivery::new(&plan.change_sets[*set], DeliveryOutcome::Failed);
            Some(Delivery { message: Some(why.clone()), ..failed })
        }
        _ => None,
    });
    written.collect()
}

/// Writes a change set's files.
fn write(work: &WorkTree, plan: &Plan, set: &ChangeSet) -> Delivery {
    let replace = |path: &str, file: &FileChange| {
        let text = String::from_utf8(work.read(path, MAX_FILE + 1)?);
        let texts = text.ok().and_then(|text| plan.texts(file, text));
        let (before, after) = texts.ok_or_else(|| WorkTreeError::Changed(path.to_owned()))?;
        work.replace(path, &before, &after)
    };
    let written = set.files.iter().map(|(path, file)| replace(path, file));
    let errors: Vec<String> =
        written.filter_map(|written| written.err().map(|error| error.to_string())).collect();
    if errors.is_empty() {
        return Delivery::new(set, DeliveryOutcome::Written);
    }
    Delivery { message: Some(errors.join("; ")), ..Delivery::new(set, DeliveryOutcome::Failed) }
}
