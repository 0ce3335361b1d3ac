//! The pull requests of a run: how many there may be, what they say, and which are over.

use std::collections::{BTreeMap, BTreeSet};

use super::deliver::{Answers, Step, delivery};
use super::merge::{disarm, withdraw};
use super::proposals::{Known, Proposals};
use crate::changeset::{ChangeSet, Plan, Planned, Proposed, branch_prefix, code_span};
use crate::choose::Outcome;
use crate::forge::{ForgeError, Upserted};
use crate::git::{BranchState, branch_ref};
use crate::policy::{APPROVE, Environment, Home, PolicySet, REBASE, Via};
use crate::pull_request::{PullRequest, Queue};
use crate::report::{Delivery, DeliveryOutcome};

/// Why one is closed that nothing else proposes.
const NOTHING_LEFT: &str =
    "nothing is left of it: what it proposes is deployed, or not to be deployed now";

/// More titles are not listed.
const MAX_TITLES: usize = 5;

/// How a body begins that says that its branch is left alone.
const FROZEN: &str = "> **Left alone**:";

/// How many more pull requests each environment may have.
pub(super) struct Room {
    open: BTreeMap<String, u32>,
    new: BTreeMap<String, u32>,
}

impl Room {
    /// Counts those that are open.
    pub(super) fn of(plan: &Plan, proposals: &Proposals) -> Self {
        let mut open: BTreeMap<String, u32> = BTreeMap::new();
        for set in plan.change_sets.iter().filter(|set| proposals.is_open(&set.branch)) {
            *open.entry(set.environment.clone()).or_default() += 1;
        }
        Self { open, new: BTreeMap::new() }
    }

    /// The step, unless it would open one too many, or people hold what is open.
    pub(super) fn check(&mut self, set: &ChangeSet, step: Step, proposals: &Proposals) -> Step {
        if set.via != Via::PullRequest || matches!(step, Step::Stop(..)) {
            return step;
        }
        if let Some(open) = proposals.open(&set.branch) {
            let is_held = open.is_held();
            let why = format!("#{} has the label `tagalong:hold`", open.number);
            return if is_held { Step::Stop(DeliveryOutcome::Waiting, why) } else { step };
        }
        let (open, new) = (
            self.open.entry(set.environment.clone()).or_default(),
            self.new.entry(set.environment.clone()).or_default(),
        );
        let limits = [("maxOpen", set.limits.open, *open), ("maxNew", set.limits.new, *new)];
        let full = limits.into_iter().find(|(_, limit, count)| limit.is_some_and(|l| *count >= l));
        if let Some((key, _, count)) = full {
            let message = format!("`{key}`: there are {count}, and this one waits for its turn");
            return Step::Stop(DeliveryOutcome::Waiting, message);
        }
        (*open, *new) = (*open + 1, *new + 1);
        step
    }
}

/// What is over: nothing is left to propose, or something else proposes it.
#[derive(Default)]
pub(super) struct Stale {
    /// Branches without a pull request that anybody could want back.
    pub(super) branches: Vec<String>,
    /// Open pull requests that are over.
    pulls: Vec<Over>,
    /// Those that GitHub must not merge by itself, though they stay open.
    pub(super) armed: Vec<PullRequest>,
}

/// An open pull request that nothing is left of, or that others propose.
struct Over {
    pull: PullRequest,
    branch: String,
    /// The branches and titles of the others.
    others: BTreeMap<String, String>,
}

impl Stale {
    /// Looks at every own branch that no change set is for.
    pub(super) fn of(
        plan: &Plan,
        proposals: &Proposals,
        set: &PolicySet,
        look: impl Fn(&str) -> Option<BranchState>,
    ) -> Self {
        let mut stale = Self::default();
        let Proposals::Known(known) = proposals else { return stale };
        let planned: BTreeSet<&String> = plan.change_sets.iter().map(|set| &set.branch).collect();
        let own = branch_prefix(set);
        let is_other = |branch: &String| branch.starts_with(&own) && !planned.contains(branch);
        let others = known.pulls.iter().filter(|(branch, _)| is_other(branch));
        for (branch, pulls) in others {
            // What a person committed to is that person's.
            let Some(BranchState::Ours { commit, .. }) = look(branch) else { continue };
            let Some(pull) = &pulls.open else {
                // Only what we know to be over: a branch can be that of a run for another base, or of one that
                // has not opened its pull request yet, and a person can open again what a person closed.
                let withdrawn = pulls.closed.iter().filter(|pull| is_withdrawn(pull));
                let mut over = pulls.merged.iter().chain(withdrawn);
                if over.any(|pull| pull.head == commit.to_string()) && *branch != known.base {
                    stale.branches.push(branch.clone());
                }
                continue;
            };
            let others = over(pull, plan, set);
            if others.is_some() && pull.auto_merge_by.is_some() {
                stale.armed.push(pull.clone());
            }
            let others = others.filter(|_| !pull.is_held());
            stale.pulls.extend(others.map(|others| Over {
                pull: pull.clone(),
                branch: branch.clone(),
                others,
            }));
        }
        stale
    }

    /// Has GitHub not merge what nobody wants any more, before anything else happens.
    pub(super) async fn disarm(&self, proposals: &Proposals) {
        let Proposals::Known(known) = proposals else { return };
        for pull in &self.armed {
            if let Err(error) = disarm(known, pull).await {
                tracing::warn!(pull.number, %error, "auto-merge could not be switched off");
            }
        }
    }

    /// Says which branches are still there.
    pub(super) fn undeleted(&self, pushed: &Answers) {
        for branch in &self.branches {
            if let Some(Err(why)) = pushed.get(&branch_ref(branch)) {
                tracing::warn!(branch, why, "a branch that is over could not be deleted");
            }
        }
    }

    /// Closes what is open, with a word; what others propose only when their pull requests are there.
    pub(super) async fn close(
        self,
        home: &Home,
        proposals: &Proposals,
        delivered: &[Delivery],
    ) -> Vec<Delivery> {
        let Proposals::Known(known) = proposals else { return Vec::new() };
        let is_there = |branch: &String| {
            delivered.iter().any(|delivery| {
                delivery.branch.as_ref() == Some(branch)
                    && delivery.pull_request.is_some()
                    && delivery.outcome != DeliveryOutcome::Failed
            })
        };
        let mut deliveries = Vec::new();
        for Over { pull, branch, others } in self.pulls {
            if !others.keys().all(is_there) {
                continue;
            }
            let why = why_over(&others);
            let body = Proposed::withdraw(&pull.body, &why);
            let word = format!("Closed: {why}.");
            let closed = known.forge.close(pull.number, &body, &word).await;
            let environment = Proposed::read(&pull.body).map(|proposed| proposed.environment);
            let (outcome, message) = match closed {
                Ok(()) => (DeliveryOutcome::Closed, why),
                Err(error) => (DeliveryOutcome::Failed, error.to_string()),
            };
            deliveries.push(Delivery {
                environment: environment.unwrap_or_default(),
                home: home.clone(),
                via: Via::PullRequest,
                branch: Some(branch),
                commit: None,
                pull_request: Some((pull.number, pull.url)),
                outcome,
                message: Some(message),
            });
        }
        deliveries
    }
}

fn why_over(others: &BTreeMap<String, String>) -> String {
    if others.is_empty() {
        return NOTHING_LEFT.to_owned();
    }
    let mut titles: Vec<String> =
        others.values().take(MAX_TITLES).map(|title| code_span(title)).collect();
    if others.len() > MAX_TITLES {
        titles.push(format!("and {} more", others.len() - MAX_TITLES));
    }
    format!("another pull request proposes it: {}", titles.join(", "))
}

fn is_withdrawn(pull: &PullRequest) -> bool {
    Proposed::read(&pull.body).is_some_and(|proposed| proposed.withdrawn.is_some())
}

/// The branches and titles that propose what an open pull request proposes, none when nothing is left of
/// it; `None` while something of it may still be wanted.
fn over(pull: &PullRequest, plan: &Plan, set: &PolicySet) -> Option<BTreeMap<String, String>> {
    let proposed = Proposed::read(&pull.body)?;
    // An environment that is elsewhere now is none of this base's business.
    let is_elsewhere = |e: &Environment| e.name == proposed.environment && e.home != set.here;
    if set.environments.iter().any(is_elsewhere) {
        return Some(BTreeMap::new());
    }
    let mut others = BTreeMap::new();
    for moved in &proposed.moves {
        let environment = proposed.environment_of(moved);
        let is_it =
            |planned: &&Planned| planned.image == moved.image && planned.environment == environment;
        // What nothing is decided about may be a file that cannot be read just now.
        plan.decisions.iter().find(is_it)?;
        for planned in plan.decisions.iter().filter(is_it) {
            match planned.decision.outcome {
                Outcome::Keep | Outcome::Hold => {}
                Outcome::Undecided => return None,
                Outcome::Update => {
                    let set = plan.set_of(planned)?;
                    others.insert(set.branch.clone(), set.title.clone());
                }
            }
        }
    }
    // A body without its moves, which were too many, says only that it is over when nothing moves.
    let may_move = |planned: &Planned| {
        matches!(planned.decision.outcome, Outcome::Update | Outcome::Undecided)
    };
    let is_unknown = proposed.moves.is_empty() && plan.decisions.iter().any(may_move);
    (!is_unknown).then_some(others)
}

/// Opens or updates the pull request of what was pushed.
pub(super) async fn finish(
    set: &ChangeSet,
    step: &Step,
    pushed: &Answers,
    proposals: &mut Proposals,
) -> Delivery {
    let (branch, commit) = match step {
        Step::Push(update) => (set.branch.clone(), update.commit),
        Step::Stand(commit) => (set.branch.clone(), *commit),
        Step::Stop(outcome, message) => {
            return stopped(set, *outcome, message.clone(), proposals).await;
        }
    };
    if let Some(Err(why)) = pushed.get(&branch_ref(&branch)) {
        return Delivery {
            message: Some(why.clone()),
            branch: Some(branch),
            ..delivery(set, DeliveryOutcome::Failed)
        };
    }
    let at = Delivery {
        branch: Some(branch),
        commit: Some(commit.to_string()),
        ..delivery(set, DeliveryOutcome::Pushed)
    };
    let Proposals::Known(known) = proposals else { return at };
    if set.via != Via::PullRequest {
        return at;
    }
    let open = known.pulls.get(&set.branch).and_then(|pulls| pulls.open.clone());
    if let (Step::Stand(_), true, Some(pull)) = (step, set.carried, &open) {
        // The words of the run that decided everything stay.
        let pull_request = Some((pull.number, pull.url.clone()));
        return Delivery { outcome: DeliveryOutcome::Unchanged, pull_request, ..at };
    }
    let approvable = approvable(set, step, open.as_ref());
    let upserted = known.forge.upsert(open, approvable.as_ref().unwrap_or(set), &known.base).await;
    let (outcome, mut pull) = match upserted {
        Ok(Upserted::Created(pull)) => (DeliveryOutcome::Created, pull),
        Ok(Upserted::Updated(pull)) => (DeliveryOutcome::Updated, pull),
        // New commits on the branch are an update, even when the words are the same.
        Ok(Upserted::Unchanged(pull)) if matches!(step, Step::Push(_)) => {
            (DeliveryOutcome::Updated, pull)
        }
        Ok(Upserted::Unchanged(pull)) => (DeliveryOutcome::Unchanged, pull),
        Err(error) => {
            let message = Some(error.to_string());
            return Delivery { outcome: DeliveryOutcome::Failed, message, ..at };
        }
    };
    let (outcome, mut message) = dress(known, set, &pull, outcome).await;
    if set.merge.approval && approvable.is_none() {
        let opened = ask_for_approval(known, set, &mut pull, at.commit.as_deref()).await;
        message = message.or(opened
            .err()
            .map(|error| format!("an approval by label does not count yet: {error}")));
    }
    let pull_request = Some((pull.number, pull.url.clone()));
    known.pulls.entry(set.branch.clone()).or_default().open = Some(pull);
    Delivery { pull_request, outcome, message, ..at }
}

/// A change set with a body that says of which commit an approval by label is, where the pull request says so already and
/// nothing changes.
fn approvable(set: &ChangeSet, step: &Step, open: Option<&PullRequest>) -> Option<ChangeSet> {
    let Step::Stand(commit) = step else { return None };
    let commit = commit.to_string();
    let of_commit = Proposed::read(&open?.body)?.approvable;
    let is_said = set.merge.approval && of_commit.as_ref() == Some(&commit);
    is_said.then(|| ChangeSet { body: Proposed::approvable(&set.body, &commit), ..set.clone() })
}

/// Takes a label of approval off that was given before the page said what there is now, and says of which commit one is
/// from now on. Where a run ends in between, no label counts, and the next one begins anew.
async fn ask_for_approval(
    known: &Known,
    set: &ChangeSet,
    pull: &mut PullRequest,
    commit: Option<&str>,
) -> Result<(), ForgeError> {
    let Some(commit) = commit else { return Ok(()) };
    known.forge.unlabel_now(pull.number, APPROVE).await?;
    pull.drop_label(APPROVE);
    known.forge.rewrite(pull.number, &Proposed::approvable(&set.body, commit)).await
}

/// Has nothing merge branches that are about to be written anew, and takes off what approved them before. What cannot be
/// stopped is not pushed.
pub(super) async fn release(sets: &[ChangeSet], steps: &mut [Step], proposals: &mut Proposals) {
    let Proposals::Known(known) = proposals else { return };
    for (set, step) in sets.iter().zip(steps) {
        if set.via != Via::PullRequest || !matches!(step, Step::Push(_)) {
            continue;
        }
        let open = known.pulls.get(&set.branch).and_then(|pulls| pulls.open.clone());
        let Some(mut pull) = open else { continue };
        match release_one(known, &mut pull).await {
            Ok(()) => known.pulls.entry(set.branch.clone()).or_default().open = Some(pull),
            Err(error) => {
                let message = format!(
                    "#{} may still be merged as what was approved before, so its branch stays as it is: {error}",
                    pull.number
                );
                *step = Step::Stop(DeliveryOutcome::Failed, message);
            }
        }
    }
}

async fn release_one(known: &Known, pull: &mut PullRequest) -> Result<(), ForgeError> {
    // Whoever armed it saw something else.
    if pull.auto_merge_by.take().is_some() {
        known.forge.disarm(pull).await?;
    }
    if pull.queue == Queue::Inside {
        known.forge.dequeue(pull).await?;
        pull.queue = Queue::Outside;
    }
    if pull.has_label(APPROVE) {
        known.forge.unlabel(pull.number, APPROVE).await?;
        pull.drop_label(APPROVE);
    }
    Ok(())
}

/// What is left alone. GitHub must not merge by itself what a person changed.
async fn stopped(
    set: &ChangeSet,
    outcome: DeliveryOutcome,
    message: String,
    proposals: &Proposals,
) -> Delivery {
    let is_frozen = outcome == DeliveryOutcome::Frozen;
    let open = proposals.open(&set.branch).cloned();
    let mut message = message;
    if let (Proposals::Known(known), Some(pull)) = (proposals, &open) {
        let done = match outcome {
            DeliveryOutcome::Frozen => freeze(known, pull, &message).await,
            // People hold it, or its time is not now.
            DeliveryOutcome::Waiting => withdraw(known, set, pull).await,
            _ => Ok(()),
        };
        if let Err(error) = done {
            message = format!("{message}; the pull request does not say so: {error}");
        }
    }
    let branch = Some(set.branch.clone()).filter(|_| is_frozen || open.is_some());
    let pull_request = open.map(|pull| (pull.number, pull.url));
    Delivery { message: Some(message), branch, pull_request, ..delivery(set, outcome) }
}

/// Says in a pull request that people have it now, once, and has GitHub not merge it by itself.
async fn freeze(known: &Known, pull: &PullRequest, why: &str) -> Result<(), ForgeError> {
    if pull.auto_merge_by.is_some() {
        known.forge.disarm(pull).await?;
    }
    if pull.body.starts_with(FROZEN) {
        return Ok(());
    }
    let note = format!(
        "{FROZEN} {}. The label `{REBASE}` has the branch written anew, without that commit.\n\n",
        code_span(why)
    );
    known.forge.rewrite(pull.number, &format!("{note}{}", pull.body)).await
}

/// What a pull request carries beside its texts. That it is missing does not undo the proposal.
async fn dress(
    known: &mut Known,
    set: &ChangeSet,
    pull: &PullRequest,
    outcome: DeliveryOutcome,
) -> (DeliveryOutcome, Option<String>) {
    let dressed: Result<bool, ForgeError> = async {
        if pull.is_to_be_rewritten() {
            known.forge.unlabel(pull.number, REBASE).await?;
        }
        // Labels come last, so where none of them is, an earlier run did not get so far.
        let labels = &set.pull.labels;
        let is_bare = !labels.is_empty() && !labels.iter().any(|label| pull.has_label(label));
        if outcome == DeliveryOutcome::Created || is_bare {
            let milestone = match &set.pull.milestone {
                Some(title) => Some(known.milestone(title).await),
                None => None,
            };
            let number = milestone.iter().flatten().next().copied();
            known.forge.dress(pull, set, number).await?;
            // One that is not there keeps nothing else away.
            return milestone.transpose().map(|_| true);
        }
        known.forge.label(pull, &set.pull.labels).await
    }
    .await;
    match (dressed, outcome) {
        (Ok(true), DeliveryOutcome::Unchanged) => (DeliveryOutcome::Updated, None),
        (Ok(_), outcome) => (outcome, None),
        (Err(error), outcome) => {
            (outcome, Some(format!("without all of its labels and people: {error}")))
        }
    }
}
