//! What runs where, since when, and what waits for what.

use std::collections::BTreeSet;

use super::plan_all;
use crate::changeset::Planned;
use crate::choose::{Deployed, Outcome};
use crate::pipeline::{DeliveryMode, Failure, Planning, Request, Session, Tree};
use crate::policy::{EnvironmentId, PolicyId, PolicySet};
use crate::promote::{Held, Timeline};
use crate::report::{EnvironmentStatus, HistoryRow, ImageStatus, PullRequestLink, Status};
use crate::settings::{DecideSettings, Surroundings};

/// Plans, with the pull requests that are open and the history of every environment; nothing is
/// written.
///
/// # Errors
/// The repository cannot be read, or the policies are invalid.
pub async fn status(
    settings: &DecideSettings,
    around: &Surroundings,
) -> Result<(Status, Planning), Failure> {
    let Session { around, mut tags, tree, loaded } = Session::open(settings, around, None).await?;
    let request = Request { settings, around: &around, deliver: DeliveryMode::Sight };
    let planning = plan_all(tree, loaded, &request, &mut tags).await?;
    let environments: Vec<EnvironmentStatus> = order(&planning.set)
        .into_iter()
        .map(|index| environment(&planning, index, settings))
        .filter(|environment| !environment.images.is_empty() || environment.waits_for.is_some())
        .collect();
    let mut status = Status::new(settings.now, environments, &planning.plan.diagnostics);
    status.repository = planning.tree.name().or_else(|| Some(settings.scope.repo.to_string()));
    if let Tree::Git { clone, .. } = &planning.tree {
        status.commit = Some(clone.base().to_string());
    }
    Ok((status, planning))
}

/// The environments, each after those that it comes from.
pub(in crate::pipeline) fn order(set: &PolicySet) -> Vec<EnvironmentId> {
    let mut all: Vec<EnvironmentId> = Vec::new();
    while all.len() < set.environments.len() {
        let is_next = |index: &EnvironmentId| {
            let promotion = set.environments[*index].stage.promotion.as_ref();
            let mut sources = promotion.into_iter().flat_map(|promotion| &promotion.sources);
            !all.contains(index) && sources.all(|source| all.contains(source))
        };
        match set.environments.ids().find(is_next) {
            Some(next) => all.push(next),
            None => break,
        }
    }
    all
}

fn environment(
    planning: &Planning,
    index: EnvironmentId,
    settings: &DecideSettings,
) -> EnvironmentStatus {
    let environment = &planning.set.environments[index];
    let promotion = environment.stage.promotion.as_ref();
    let sources = promotion.into_iter().flat_map(|promotion| &promotion.sources);
    let mut seen = BTreeSet::new();
    let mut planned: Vec<&Planned> =
        planning.plan.decisions.iter().filter(|p| p.environment == environment.name).collect();
    planned.retain(|planned| {
        let Deployed { tag, digest, .. } = planned.deployed.clone();
        seen.insert((planned.image.clone(), tag, digest))
    });
    let only = &settings.environments;
    let is_meant = only.is_empty() || only.contains(&environment.name);
    // One elsewhere that could not be read is not passed over in silence.
    let unread = || planning.timelines.get(&index)?.as_ref().err().filter(|_| is_meant);
    let why = unread().map(|reason| reason.message.clone()).filter(|_| planned.is_empty());
    EnvironmentStatus {
        name: environment.name.clone(),
        home: (&environment.home).into(),
        promote_from: sources.map(|s| planning.set.environments[*s].name.clone()).collect(),
        waits_for: why.or_else(|| environment.deliver.timing.waits(settings.now)),
        images: planned.into_iter().map(|planned| image(planning, index, planned)).collect(),
    }
}

fn image(planning: &Planning, environment: EnvironmentId, planned: &Planned) -> ImageStatus {
    let policy = planning.set.policies.find(|policy| policy.name == planned.image);
    let timeline = planning.timelines.get(&environment).and_then(|known| known.as_ref().ok());
    let stretch = policy.zip(timeline).and_then(|(policy, timeline)| {
        let held = timeline.head()?.held.get(&policy)?;
        // Of several versions, nobody knows which one a commit brought.
        (held.len() == 1).then(|| timeline.stretch(0, policy))
    });
    let history = policy.zip(timeline).map(|(policy, timeline)| history(timeline, policy));
    let decision = &planned.decision;
    let next = decision.to.as_ref().filter(|_| decision.outcome != Outcome::Keep);
    let back = planning.rollback(&planned.home, &planned.environment, &planned.image);
    let open = planning.plan.set_of(planned).and_then(|set| planning.open(set)).or(back);
    ImageStatus {
        image: planned.image.clone(),
        repository: planned.repository.to_string(),
        holds: planned.deployed.to_string(),
        since: stretch.as_ref().map(|stretch| stretch.since),
        since_earlier: stretch.as_ref().is_some_and(|stretch| stretch.is_open),
        commit: stretch
            .filter(|stretch| !stretch.is_open)
            .and_then(|stretch| stretch.commits.last().map(|id| (*id).to_owned()))
            // What nobody committed has none.
            .filter(|commit| !commit.is_empty()),
        outcome: decision.outcome,
        next: next.map(ToString::to_string),
        reason: decision.reason.clone(),
        pull_request: open
            .map(|pull| PullRequestLink { number: pull.number, url: pull.url.clone() }),
        history: history.unwrap_or_default(),
    }
}

/// Versions of a history that are shown.
const HISTORY: usize = 10;

/// The versions that an environment held of an image before the present one.
fn history(timeline: &Timeline, policy: PolicyId) -> Vec<HistoryRow> {
    let mut rows = Vec::new();
    let mut index = 0;
    while let Some(state) = timeline.states.get(index).filter(|_| rows.len() < HISTORY) {
        let held = state.held(policy);
        let same = timeline.states[index..].iter().take_while(|other| other.held(policy) == held);
        let count = same.count().max(1);
        if let (Held::One(held), true) = (held, index > 0) {
            let since = timeline.stretch(index, policy).since;
            rows.push(HistoryRow { version: held.to_string(), since });
        }
        index += count;
    }
    rows
}
