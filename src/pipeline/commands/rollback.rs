//! Takes an environment back to what it held before, by its own history; forwards again goes only what is
//! newer than what it was taken back from.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::changeset::{
    Came, Decided, Plan, Planned, RollbackNotes, RolledBack, Use, rollback_branch, uses,
};
use crate::choose::{Deployed, Reason, ReasonCode};
use crate::diagnostic::{Code, Diagnostic};
use crate::image::Tag;
use crate::manifest::{Looked, Surveyed};
use crate::pipeline::history::{Timelines, timelines};
use crate::pipeline::observe::Observation;
use crate::pipeline::plan::{check_names, name_branches};
use crate::pipeline::{
    DeliveryMode, Failure, Invalid, Loaded, Memory, Outside, Planning, Request, Run, Session, Tree,
    deliver,
    homes::{self, KnownPlaces, Names},
    rewrite, sign, survey,
};
use crate::policy::{self, AutoMerge, Environment, EnvironmentId, Group, PolicySet, Timing, Via};
use crate::promote::{Back, Held, Timeline};
use crate::registry::Usage;
use crate::settings::{DecideSettings, Surroundings};

/// How far back an environment is taken.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(180 * 24);

/// The wishes of whoever takes an environment back.
#[derive(Clone, Debug, Default)]
pub struct RollbackRequest {
    /// The tag; the last other version without one.
    pub to: Option<Tag>,
    /// The way; the environment's without one.
    pub via: Option<Via>,
    /// The reason, for the texts.
    pub reason: Option<String>,
    /// The person, for the texts.
    pub by: Option<String>,
}

/// Takes the images of one environment back to what they were before, or to a tag that it held.
///
/// # Errors
/// When the repository cannot be read, the policies are invalid, or there is nothing to go back to.
pub async fn rollback(
    settings: &DecideSettings,
    asked: &RollbackRequest,
    around: &Surroundings,
) -> Result<Run, Failure> {
    // What is shown is read where it is delivered: another clone may be behind.
    let session = Session::open(settings, around, Some(Via::PullRequest)).await?;
    let Session { around, tags, tree, loaded } = session;
    let request = Request { settings, around: &around, deliver: DeliveryMode::Via(None) };
    let (around, tree, loaded) = at_home(tree, loaded, &request).await?;
    let request = Request { around: &around, ..request };
    let planning = plan(tree, loaded, &request, asked).await?;
    let (forges, clock) = (&around.forges, around.clock());
    let outside = Outside { tags: &tags, forges, is_partial: false, clock };
    let delivered = deliver::deliver(planning, settings, &outside, true).await;
    delivered.map_err(|raced| {
        Failure::Failed(format!("branch `{}` moved meanwhile; run it again", raced.branch))
    })
}

/// The place of the environment that is taken back.
async fn at_home(
    tree: Tree,
    loaded: Loaded,
    request: &Request<'_>,
) -> Result<(Surroundings, Tree, Loaded), Failure> {
    let is_meant = |e: &&Environment| request.settings.environments.contains(&e.name);
    let home = loaded.set.environments.iter().find(is_meant).map(|e| e.home.clone());
    match home.filter(|home| !home.is_here()) {
        None => Ok((request.around.clone(), tree, loaded)),
        Some(home) => {
            // What is remembered there is remembered for the policies of this repository.
            let known = KnownPlaces::of(&loaded.set, &tree, request.around);
            let opened = homes::open(&home, &request.settings.scope, request, &known).await;
            let (_, around, tree) = opened.map_err(Failure::Failed)?;
            let loaded = loaded.at(&home, &tree);
            Ok((around, tree, loaded))
        }
    }
}

async fn plan(
    tree: Tree,
    loaded: Loaded,
    request: &Request<'_>,
    asked: &RollbackRequest,
) -> Result<Planning, Failure> {
    let settings = request.settings;
    let Loaded { mut set, repository, sources, mut diagnostics, mut hits, .. } = loaded;
    check_names(&set, settings)?;
    let [name] = &settings.environments[..] else {
        let named = settings.environments.len();
        let message =
            format!("name one environment with --env, as in `--env prod`; {named} are named");
        return Err(Failure::Argument(message));
    };
    let Some(environment) = set.environments.find(|e| e.name == *name) else {
        return Err(Failure::Argument(format!("--env {name}: nothing has this name")));
    };
    prepare(&mut set.environments[environment].deliver, asked);
    let Looked { files, diagnostics: found, .. } = survey(&tree, &set, &mut hits);
    diagnostics.extend(found);
    let timeline = timeline(&tree, &set, &files, environment, settings.now).await?;
    let mut memory = Memory::recall(&tree, &set, settings, &mut diagnostics)?;
    let back = Back {
        set: &set,
        timeline: &timeline,
        ledger: &memory.ledger,
        images: &settings.images,
        to: asked.to.as_ref(),
    };
    let decided = decided(&back, environment, &files)?;
    let author = sign::author(&repository, request, &memory)?;
    let mut plan = rewrite(&tree, &set, &files, decided);
    let is_pushed = set.environments[environment].deliver.via == Via::Push;
    memory.taken_back(&plan, is_pushed, settings.now);
    let notes = notes(&plan, &set, environment, &timeline, asked);
    for change in &mut plan.change_sets {
        change.branch = rollback_branch(&set, environment, &settings.images);
        notes.word(change);
    }
    name_branches(&mut plan, &tree);
    let all = std::iter::once(environment);
    let mut observation = Observation::read(all, &set, &tree, &memory, &author, request).await;
    observation.of_plan(&plan).await;
    plan.diagnostics.splice(0..0, diagnostics);
    Ok(Planning {
        plan,
        usage: Usage::new(),
        sources,
        undecided: false,
        set,
        memory,
        tree,
        author,
        forges: observation.forges(request),
        observation,
        timelines: Timelines::new(),
        names: Names::new(),
        dashboard: None,
        is_rollback: true,
        elsewhere: Vec::new(),
    })
}

/// The way in which a rollback is delivered.
fn prepare(deliver: &mut policy::Deliver, asked: &RollbackRequest) {
    // Whoever takes something back does not wait for a window.
    deliver.timing = Timing::default();
    deliver.via = asked.via.unwrap_or(deliver.via);
    // One pull request takes the environment back, and no other one, however its updates go together.
    deliver.group = Group::Environment;
    // No later run looks after it, but the forge, which knows no approval by label.
    if deliver.merge.by == AutoMerge::Bot || deliver.merge.approval {
        deliver.merge.by = AutoMerge::Off;
        deliver.merge.approval = false;
    }
}

/// The history of an environment.
async fn timeline(
    tree: &Tree,
    set: &PolicySet,
    files: &[Surveyed],
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<Timeline, Failure> {
    let since = now.checked_sub(LOOK_BACK).unwrap_or(Timestamp::UNIX_EPOCH);
    let wanted = BTreeSet::from([environment]);
    let mut known = timelines(tree, set, files, &wanted, since, now).await;
    let timeline = known.remove(&environment);
    let timeline = timeline.unwrap_or_else(|| Err(Reason::new(ReasonCode::NoHistory, "")));
    timeline.map_err(|reason| Failure::Failed(reason.message))
}

/// The decisions that take an environment back.
fn decided(
    back: &Back<'_>,
    environment: EnvironmentId,
    files: &[Surveyed],
) -> Result<Vec<Decided>, Failure> {
    let here = uses(files).into_iter().filter(|at| at.environment == environment);
    let here: Vec<Use> = here.collect();
    let decided = back.decide(&here);
    if decided.is_empty() {
        let named: Vec<Use> = here.into_iter().filter(|at| back.is_named(at)).collect();
        let diagnostics = vec![Nothing { back, environment }.told(&named)];
        return Err(Failure::Invalid(Box::new(Invalid { diagnostics, ..Invalid::default() })));
    }
    Ok(decided)
}

/// A rollback that has nothing to go back to.
struct Nothing<'a> {
    back: &'a Back<'a>,
    environment: EnvironmentId,
}

impl Nothing<'_> {
    /// The reason, with the versions that could be named.
    fn told(&self, uses: &[Use]) -> Diagnostic {
        let name = &self.back.set.environments[self.environment].name;
        let days = LOOK_BACK.as_hours() / 24;
        let earlier: Vec<String> = uses.iter().filter_map(|at| self.earlier(at)).collect();
        let runs_already = |to: &&Tag| uses.iter().any(|at| at.deployed.tag.as_ref() == Some(*to));
        let message = match self.back.to {
            Some(to) if runs_already(&to) => format!("`{name}` runs {to} already"),
            Some(to) => {
                format!("`{name}` did not run {to} before, in the last {days} days, or it is newer")
            }
            None if earlier.is_empty() => {
                format!("`{name}` did not run anything else in the last {days} days")
            }
            None => format!(
                "`{name}` ran only versions before that people rejected, or newer ones, in the last {days} days"
            ),
        };
        let help = if earlier.is_empty() {
            "write the version into the files".to_owned()
        } else {
            format!(
                "it ran {}; name one with --to, or write a newer one into the files",
                earlier.join("; ")
            )
        };
        Diagnostic::error(Code::RollbackNothing, message).help(help)
    }

    /// The other versions that an image ran before.
    fn earlier(&self, at: &Use) -> Option<String> {
        let mut all: Vec<String> = Vec::new();
        for state in &self.back.timeline.states {
            let Held::One(held) = state.held(at.policy) else { continue };
            let version = held.to_string();
            let is_asked = self.back.to.is_some() && held.tag.as_ref() == self.back.to;
            if held.tag != at.deployed.tag && !is_asked && !all.contains(&version) {
                all.push(version);
            }
        }
        let image = &self.back.set.policies[at.policy].name;
        (!all.is_empty()).then(|| format!("{image}: {}", all.join(", ")))
    }
}

/// The occasion, with the times at which versions came and went.
fn notes(
    plan: &Plan,
    set: &PolicySet,
    environment: EnvironmentId,
    timeline: &Timeline,
    asked: &RollbackRequest,
) -> RollbackNotes {
    let row = |planned: &Planned| {
        let policy = set.policies.find(|policy| policy.name == planned.image)?;
        let (tag, digest) = (planned.decision.to.clone(), planned.decision.to_digest.clone());
        let to = Deployed { tag, digest, ..Deployed::default() };
        let is_it = |index: &usize| match timeline.states[*index].held(policy) {
            Held::One(held) => held.tag == to.tag && held.digest == to.digest,
            Held::Nothing | Held::Several(_) => false,
        };
        let before = (0..timeline.states.len()).find(is_it);
        let now = timeline.head().map(|_| timeline.stretch(0, policy));
        let now = now.filter(|stretch| !stretch.is_open);
        Some(RolledBack {
            image: planned.image.clone(),
            from: planned.deployed.to_string(),
            came: now.and_then(|stretch| {
                let commit = (*stretch.commits.last()?).to_owned();
                Some(Came { at: stretch.since, commit })
            }),
            to: to.to_string(),
            until: before.and_then(|index| timeline.stretch(index, policy).until),
        })
    };
    let delivered = plan.decisions.iter().filter(|planned| plan.set_of(planned).is_some());
    let mut rows: Vec<RolledBack> = delivered.filter_map(row).collect();
    rows.dedup_by(|a, b| (&a.image, &a.from, &a.to) == (&b.image, &b.from, &b.to));
    let environment = set.environments[environment].name.clone();
    RollbackNotes { environment, rows, reason: asked.reason.clone(), by: asked.by.clone() }
}
