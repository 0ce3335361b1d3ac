//! From a plan to files, commits and pull requests.

use std::collections::BTreeMap;

use super::memory::{LEDGER_FILE, Memory};
use super::proposals::Proposals;
use super::tree::GIT_TIMEOUT;
use super::{Planning, Run, Tree};
use crate::changeset::{ChangeSet, FileChange, Plan};
use crate::diagnostic::{Code, Diagnostic};
use crate::forge::Upserted;
use crate::git::{Author, BranchState, Clone, GitError, LEDGER_REF, Oid, Update, branch_ref};
use crate::manifest::MAX_FILE;
use crate::policy::Via;
use crate::report::{Delivery, DeliveryOutcome};
use crate::settings::DecideSettings;
use crate::worktree::{WorkTree, WorkTreeError};

/// A branch moved between reading and pushing; nothing was changed.
pub(super) struct Raced {
    pub(super) branch: String,
}

/// What is to be pushed for a change set.
enum Step {
    /// A commit has to get onto a branch.
    Push(Update),
    /// The branch holds the change already.
    Stand(Oid),
    /// Nothing can or may be pushed.
    Stop(DeliveryOutcome, String),
}

/// Delivers every change set, and keeps the ledger. One that fails does not stop the others.
pub(super) async fn deliver(
    mut planning: Planning,
    settings: &DecideSettings,
) -> Result<Run, Raced> {
    let now = settings.now;
    let (deliveries, kept) = match &planning.tree {
        Tree::Work(work) => {
            let sets = planning.plan.change_sets.iter();
            (sets.map(|set| write(work, &planning.plan, set)).collect(), Ok(()))
        }
        Tree::Git { clone, .. } => {
            let (plan, proposals) = (&planning.plan, &mut planning.proposals);
            let context = Context { clone, plan, author: &planning.author, now };
            context.deliver(proposals, &mut planning.memory).await?
        }
    };
    if let Err(why) = kept.and_then(|()| planning.memory.write()) {
        let message = format!("what must be remembered is not kept: {why}");
        planning.plan.diagnostics.push(Diagnostic::warning(Code::LedgerNotKept, message));
    }
    Ok(Run { planning, deliveries })
}

/// Writes a change set's files.
fn write(work: &WorkTree, plan: &Plan, set: &ChangeSet) -> Delivery {
    if set.via != Via::Worktree {
        let message = "a work tree takes `--deliver worktree` only".to_owned();
        return Delivery { message: Some(message), ..delivery(set, DeliveryOutcome::Failed) };
    }
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
        return delivery(set, DeliveryOutcome::Written);
    }
    Delivery { message: Some(errors.join("; ")), ..delivery(set, DeliveryOutcome::Failed) }
}

/// What every step needs.
struct Context<'a> {
    clone: &'a Clone,
    plan: &'a Plan,
    author: &'a Author,
    now: jiff::Timestamp,
}

impl Context<'_> {
    /// Pushes branches, opens and updates pull requests; whether the ledger was kept.
    async fn deliver(
        &self,
        proposals: &mut Proposals,
        memory: &mut Memory,
    ) -> Result<(Vec<Delivery>, Result<(), String>), Raced> {
        let plan = self.plan;
        let mut tip = self.clone.base();
        let steps = plan.change_sets.iter().map(|set| self.step(set, proposals, &mut tip));
        let steps: Vec<Step> = steps.collect();
        let mut updates = updates(&steps);
        // What a direct push brings is only remembered when it has arrived, so the ledger follows.
        let is_direct = plan.change_sets.iter().any(|set| set.via == Via::Push);
        let alone = updates.is_empty();
        let ledger = if is_direct { Ok(None) } else { self.ledger(memory, alone) };
        updates.extend(ledger.as_ref().ok().cloned().flatten());
        let pushed = push(self.clone, updates).await?;
        let mut deliveries = Vec::new();
        for (set, step) in plan.change_sets.iter().zip(&steps) {
            let delivery = finish(set, step, &pushed, proposals).await;
            if delivery.outcome == DeliveryOutcome::Pushed && set.via == Via::Push {
                memory.delivered(set);
            }
            deliveries.push(delivery);
        }
        let kept = match ledger {
            Err(why) => Err(why),
            Ok(_) if is_direct => match self.ledger(memory, true) {
                Ok(update) => match push(self.clone, update.into_iter().collect()).await {
                    Ok(pushed) => judge(&pushed),
                    // What was delivered is delivered; only the memory of it is lost.
                    Err(Raced { .. }) => Err("another run was faster".to_owned()),
                },
                Err(why) => Err(why),
            },
            Ok(_) => judge(&pushed),
        };
        Ok((deliveries, kept))
    }

    /// The commit of the ledger, when there is something new in it.
    fn ledger(&self, memory: &Memory, alone: bool) -> Result<Option<Update>, String> {
        let Some(text) = memory.to_commit(alone) else { return Ok(None) };
        let update = self.clone.commit_ledger(LEDGER_FILE, &text, self.author, self.now);
        update.map(Some).map_err(|error| error.to_string())
    }

    /// Makes the commit of a change set, unless its branch holds it already or belongs to a person.
    ///
    /// Changes that are pushed directly follow one another on the base, whose `tip` moves along.
    fn step(&self, set: &ChangeSet, proposals: &Proposals, tip: &mut Oid) -> Step {
        match set.via {
            Via::Push => {
                let step = self.commit(set, self.clone.branch(), *tip);
                if let Step::Push(update) = &step {
                    *tip = update.commit;
                }
                step
            }
            Via::PullRequest => {
                if set.branch == self.clone.branch() {
                    let message = format!(
                        "`{}` is the branch itself; pull requests need another",
                        set.branch
                    );
                    return Step::Stop(DeliveryOutcome::Failed, message);
                }
                let stopped = proposals.stop(set).map(|(outcome, why)| Step::Stop(outcome, why));
                let stop = stopped.or_else(|| self.stand(set, proposals));
                stop.unwrap_or_else(|| self.commit(set, &set.branch, self.clone.base()))
            }
            Via::Worktree => {
                let message = "`worktree` needs a work tree: --repo PATH with --deliver worktree";
                Step::Stop(DeliveryOutcome::Failed, message.to_owned())
            }
        }
    }

    /// Whether the branch is left as it is: it holds the change, or somebody else's.
    fn stand(&self, set: &ChangeSet, proposals: &Proposals) -> Option<Step> {
        match self.clone.state(&set.branch, self.author) {
            // Without an open pull request the branch is a left-over, perhaps merged long ago.
            Ok(BranchState::Ours { commit, change })
                if change == set.change && proposals.is_open(&set.branch) =>
            {
                Some(Step::Stand(commit))
            }
            Ok(BranchState::Foreign { author, .. }) => {
                let message =
                    format!("{author} committed to `{}`, so it is left alone", set.branch);
                Some(Step::Stop(DeliveryOutcome::Frozen, message))
            }
            Ok(BranchState::Ours { .. } | BranchState::Absent) => None,
            Err(error) => Some(Step::Stop(DeliveryOutcome::Failed, error.to_string())),
        }
    }

    fn commit(&self, set: &ChangeSet, branch: &str, parent: Oid) -> Step {
        let files = new_files(self.clone, self.plan, set);
        match self.clone.commit(parent, files, &set.message, self.author, self.now) {
            Ok(commit) => Step::Push(Update { reference: branch_ref(branch), commit }),
            Err(error) => Step::Stop(DeliveryOutcome::Failed, error.to_string()),
        }
    }
}

/// Paths and new contents of the files of a change set.
pub fn new_files(
    clone: &Clone,
    plan: &Plan,
    set: &ChangeSet,
) -> impl Iterator<Item = Result<(String, String), GitError>> {
    set.files.iter().map(|(path, file)| {
        let text = String::from_utf8(clone.read(path)?).ok();
        let texts = text.and_then(|text| plan.texts(file, text));
        let (_, after) = texts.ok_or_else(|| GitError::Other {
            subject: path.clone(),
            message: "it is not what the plan was made from".to_owned(),
        })?;
        Ok((path.clone(), after))
    })
}

/// What is to be pushed.
fn updates(steps: &[Step]) -> Vec<Update> {
    // Of several commits on one branch, the last one brings the others along.
    let updates = steps.iter().filter_map(|step| match step {
        Step::Push(update) => Some((update.reference.clone(), update.clone())),
        Step::Stand(_) | Step::Stop(..) => None,
    });
    updates.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// What became of each reference.
type Answers = BTreeMap<String, Result<(), String>>;

/// Whether the ledger arrived, when it was pushed.
fn judge(pushed: &Answers) -> Result<(), String> {
    pushed.get(LEDGER_REF).cloned().unwrap_or(Ok(()))
}

/// Pushes all references at once.
async fn push(clone: &Clone, updates: Vec<Update>) -> Result<Answers, Raced> {
    if updates.is_empty() {
        return Ok(BTreeMap::new());
    }
    let pushed = tokio::time::timeout(GIT_TIMEOUT, clone.push(&updates)).await;
    let pushed = pushed.unwrap_or_else(|_elapsed| Err(GitError::Timeout("the push".to_owned())));
    let answers = match pushed {
        Ok(answers) => answers,
        Err(GitError::Moved(branch)) => return Err(Raced { branch }),
        Err(error) => {
            let why = error.to_string();
            return Ok(updates
                .into_iter()
                .map(|update| (update.reference, Err(why.clone())))
                .collect());
        }
    };
    if let Some((branch, _)) =
        answers.iter().find(|(_, result)| matches!(result, Err(error) if error.is_race()))
    {
        return Err(Raced { branch: branch.clone() });
    }
    let answers = answers
        .into_iter()
        .map(|(branch, result)| (branch, result.map_err(|error| error.to_string())));
    Ok(answers.collect())
}

/// Opens or updates the pull request of what was pushed.
async fn finish(
    set: &ChangeSet,
    step: &Step,
    pushed: &BTreeMap<String, Result<(), String>>,
    proposals: &mut Proposals,
) -> Delivery {
    let (branch, commit) = match step {
        Step::Push(update) => (set.branch.clone(), update.commit),
        Step::Stand(commit) => (set.branch.clone(), *commit),
        Step::Stop(outcome, message) => {
            let branch = Some(set.branch.clone()).filter(|_| *outcome == DeliveryOutcome::Frozen);
            return Delivery { message: Some(message.clone()), branch, ..delivery(set, *outcome) };
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
    let Proposals::Known { forge, base, pulls } = proposals else { return at };
    if set.via != Via::PullRequest {
        return at;
    }
    let open = pulls.remove(&set.branch).and_then(|pulls| pulls.open);
    if let (Step::Stand(_), true, Some(pull)) = (step, set.carried, &open) {
        // The words of the run that decided everything stay.
        let pull_request = Some((pull.number, pull.url.clone()));
        return Delivery { outcome: DeliveryOutcome::Unchanged, pull_request, ..at };
    }
    let (outcome, pull) = match forge.upsert(open, set, base).await {
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
    let (outcome, message) = match (forge.label(&pull, &set.labels).await, outcome) {
        (Ok(true), DeliveryOutcome::Unchanged) => (DeliveryOutcome::Updated, None),
        (Ok(_), outcome) => (outcome, None),
        // The change is proposed; that its labels are missing does not undo that.
        (Err(error), outcome) => (outcome, Some(format!("without its labels: {error}"))),
    };
    Delivery { outcome, message, pull_request: Some((pull.number, pull.url)), ..at }
}

fn delivery(set: &ChangeSet, outcome: DeliveryOutcome) -> Delivery {
    Delivery {
        environment: set.environment.clone(),
        via: set.via,
        branch: None,
        commit: None,
        pull_request: None,
        outcome,
        message: None,
    }
}
