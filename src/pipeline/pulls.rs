//! The pull requests of a run: how many there may be, what they say, and which are over.

use std::collections::{BTreeMap, BTreeSet};

use super::deliver::{Answers, Step, delivery};
use super::proposals::{Known, Proposals};
use crate::changeset::{BRANCH_PREFIX, ChangeSet, Plan, Planned, Proposed, code_span};
use crate::choose::Outcome;
use crate::forge::{ForgeError, PullRequest, REBASE, Upserted};
use crate::git::{BranchState, branch_ref};
use crate::policy::Via;
use crate::report::{Delivery, DeliveryOutcome};

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
    /// Open pull requests, and why they are closed.
    pulls: Vec<(PullRequest, String, String)>,
}

impl Stale {
    /// Looks at every own branch that no change set is for.
    pub(super) fn of(
        plan: &Plan,
        proposals: &Proposals,
        look: impl Fn(&str) -> Option<BranchState>,
    ) -> Self {
        let mut stale = Self::default();
        let Proposals::Known(known) = proposals else { return stale };
        let planned: BTreeSet<&String> = plan.change_sets.iter().map(|set| &set.branch).collect();
        let others = known
            .pulls
            .iter()
            .filter(|(branch, _)| branch.starts_with(BRANCH_PREFIX) && !planned.contains(branch));
        for (branch, pulls) in others {
            // What a person committed to is that person's.
            if !matches!(look(branch), Some(BranchState::Ours { .. })) {
                continue;
            }
            match (&pulls.open, &pulls.closed) {
                (Some(pull), _) if pull.is_held() => {}
                (Some(pull), _) => {
                    let why = over(pull, plan);
                    stale.pulls.extend(why.map(|why| (pull.clone(), branch.clone(), why)));
                }
                // A person who closed one can open it again, if its branch is there.
                (None, Some(closed)) if !is_withdrawn(closed) => {}
                (None, _) => stale.branches.push(branch.clone()),
            }
        }
        stale
    }

    /// Closes what is open, with a word.
    pub(super) async fn close(self, proposals: &Proposals) -> Vec<Delivery> {
        let Proposals::Known(known) = proposals else { return Vec::new() };
        let mut deliveries = Vec::new();
        for (pull, branch, why) in self.pulls {
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

fn is_withdrawn(pull: &PullRequest) -> bool {
    Proposed::read(&pull.body).is_some_and(|proposed| proposed.withdrawn.is_some())
}

const NOTHING_LEFT: &str =
    "nothing is left of it: what it proposes is deployed, or not to be deployed now";

/// Why an open pull request is over; `None` while something of it may still be wanted.
fn over(pull: &PullRequest, plan: &Plan) -> Option<String> {
    let proposed = Proposed::read(&pull.body)?;
    let mut superseded = BTreeSet::new();
    for moved in &proposed.moves {
        let environment = proposed.environment_of(moved);
        let is_it =
            |planned: &&Planned| planned.image == moved.image && planned.environment == environment;
        for planned in plan.decisions.iter().filter(is_it) {
            match planned.decision.outcome {
                Outcome::Keep | Outcome::Hold => {}
                Outcome::Undecided => return None,
                // Another one has it, or its files cannot be changed just now.
                Outcome::Update => {
                    superseded.insert(&plan.set_of(planned)?.title);
                }
            }
        }
    }
    let is_undecided = |planned: &Planned| planned.decision.outcome == Outcome::Undecided;
    if proposed.moves.is_empty() && plan.decisions.iter().any(is_undecided) {
        return None;
    }
    let titles: Vec<String> = superseded.into_iter().map(|title| format!("“{title}”")).collect();
    if titles.is_empty() {
        return Some(NOTHING_LEFT.to_owned());
    }
    Some(format!("another pull request proposes it: {}", titles.join(", ")))
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
    let upserted = known.forge.upsert(open, set, &known.base).await;
    let (outcome, pull) = match upserted {
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
    let (outcome, message) = dress(known, set, &pull, outcome).await;
    let pull_request = Some((pull.number, pull.url.clone()));
    known.pulls.entry(set.branch.clone()).or_default().open = Some(pull);
    Delivery { pull_request, outcome, message, ..at }
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
    if let (Proposals::Known(known), Some(pull), true) = (proposals, &open, is_frozen)
        && let Err(error) = freeze(known, pull, &message).await
    {
        message = format!("{message}; the pull request does not say so: {error}");
    }
    let branch = Some(set.branch.clone()).filter(|_| is_frozen || open.is_some());
    let pull_request = open.map(|pull| (pull.number, pull.url));
    Delivery { message: Some(message), branch, pull_request, ..delivery(set, outcome) }
}

/// Says in a pull request that people have it now, once, and has GitHub not merge it by itself.
async fn freeze(known: &Known, pull: &PullRequest, why: &str) -> Result<(), ForgeError> {
    if pull.is_armed {
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

/// How a body begins that says that its branch is left alone.
const FROZEN: &str = "> **Left alone**:";

/// What a pull request carries beside its texts. That it is missing does not undo the proposal.
async fn dress(
    known: &Known,
    set: &ChangeSet,
    pull: &PullRequest,
    outcome: DeliveryOutcome,
) -> (DeliveryOutcome, Option<String>) {
    let forge = &known.forge;
    let dressed: Result<bool, ForgeError> = async {
        // Labels come last, so where none of them is, an earlier run did not get so far.
        let labels = &set.pull.labels;
        let is_bare = !labels.is_empty() && !labels.iter().any(|label| pull.has_label(label));
        if outcome == DeliveryOutcome::Created || is_bare {
            let milestone = match &set.pull.milestone {
                Some(title) => Some(forge.milestone(title).await?),
                None => None,
            };
            forge.dress(pull, set, milestone).await?;
            return Ok(true);
        }
        if pull.is_to_be_rewritten() {
            forge.unlabel(pull.number, REBASE).await?;
        }
        forge.label(pull, &set.pull.labels).await
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
