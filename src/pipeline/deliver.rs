//! From a plan to files, commits and pull requests.

use std::collections::BTreeMap;

use super::tree::GIT_TIMEOUT;
use super::{Planning, Run, Tree};
use crate::changeset::ChangeSet;
use crate::forge::{ForgeError, GitHub, PullRequest, Upserted};
use crate::git::{Author, BranchState, Clone, GitError, Oid, Update};
use crate::policy::Via;
use crate::report::{Delivery, DeliveryOutcome};
use crate::settings::{DecideSettings, Surroundings};
use crate::worktree::WorkTree;

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

/// Delivers every change set. One that fails does not stop the others.
pub(super) async fn deliver(
    planning: Planning,
    settings: &DecideSettings,
    around: &Surroundings,
) -> Result<Run, Raced> {
    let Planning { plan, sources, tree, author } = planning;
    let (tree, deliveries) = match tree {
        Tree::Work(work) => {
            let deliveries = plan.change_sets.iter().map(|set| write(&work, set)).collect();
            (Tree::Work(work), deliveries)
        }
        Tree::Git { clone, github } => {
            let steps = plan.change_sets.iter().scan(clone.base(), |tip, set| {
                Some(step(&clone, set, &author, github.is_some(), tip, settings.now))
            });
            let steps: Vec<Step> = steps.collect();
            let pushed = push(&clone, &steps).await?;
            let sets = plan.change_sets.iter().zip(&steps);
            let branches: Vec<&str> =
                sets.clone().filter_map(|(set, step)| proposed(set, step)).collect();
            let mut pulls = match &github {
                Some(name) if !branches.is_empty() => {
                    Pulls::open(name, &branches, clone.branch(), around).await
                }
                _ => Ok(None),
            };
            let mut deliveries = Vec::new();
            for (set, step) in sets {
                deliveries.push(finish(set, step, &pushed, &mut pulls).await);
            }
            (Tree::Git { clone, github }, deliveries)
        }
    };
    Ok(Run { planning: Planning { plan, sources, tree, author }, deliveries })
}

/// Writes a change set's files.
fn write(work: &WorkTree, set: &ChangeSet) -> Delivery {
    if set.via != Via::Worktree {
        let message = "a work tree takes `--deliver worktree` only".to_owned();
        return Delivery { message: Some(message), ..delivery(set, DeliveryOutcome::Failed) };
    }
    let written =
        set.files.iter().map(|(path, file)| work.replace(path, &file.before, &file.after));
    let errors: Vec<String> =
        written.filter_map(|written| written.err().map(|error| error.to_string())).collect();
    if errors.is_empty() {
        return delivery(set, DeliveryOutcome::Written);
    }
    Delivery { message: Some(errors.join("; ")), ..delivery(set, DeliveryOutcome::Failed) }
}

/// Makes the commit of a change set, unless its branch holds it already or belongs to a person.
///
/// Changes that are pushed directly follow one another on the base, whose `tip` moves along.
fn step(
    clone: &Clone,
    set: &ChangeSet,
    author: &Author,
    on_github: bool,
    tip: &mut Oid,
    now: jiff::Timestamp,
) -> Step {
    let stop = |error: GitError| Step::Stop(DeliveryOutcome::Failed, error.to_string());
    let (branch, parent) = match set.via {
        Via::Push => (clone.branch(), *tip),
        Via::PullRequest if on_github => (set.branch.as_str(), clone.base()),
        Via::PullRequest => {
            let message = "pull requests are opened on GitHub only; name the repository as OWNER/NAME, or \
                           use `--deliver push`";
            return Step::Stop(DeliveryOutcome::Failed, message.to_owned());
        }
        Via::Worktree => {
            let message = "`worktree` needs a work tree: --repo PATH with --deliver worktree";
            return Step::Stop(DeliveryOutcome::Failed, message.to_owned());
        }
    };
    if set.via == Via::PullRequest {
        match clone.state(branch, author) {
            Ok(BranchState::Ours { commit, change }) if change == set.change => {
                return Step::Stand(commit);
            }
            Ok(BranchState::Foreign { author, .. }) => {
                let message = format!("{author} committed to `{branch}`, so it is left alone");
                return Step::Stop(DeliveryOutcome::Frozen, message);
            }
            Ok(_) => {}
            Err(error) => return stop(error),
        }
    }
    match clone.commit(parent, &set.files, &set.message, author, now) {
        Ok(commit) => {
            if set.via == Via::Push {
                *tip = commit;
            }
            Step::Push(Update { branch: branch.to_owned(), commit })
        }
        Err(error) => stop(error),
    }
}

/// Pushes all branches at once.
async fn push(
    clone: &Clone,
    steps: &[Step],
) -> Result<BTreeMap<String, Result<(), String>>, Raced> {
    // Of several commits on one branch, the last one brings the others along.
    let updates = steps.iter().filter_map(|step| match step {
        Step::Push(update) => Some((update.branch.clone(), update.clone())),
        Step::Stand(_) | Step::Stop(..) => None,
    });
    let updates: Vec<Update> = updates.collect::<BTreeMap<_, _>>().into_values().collect();
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
                .map(|update| (update.branch, Err(why.clone())))
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

/// The branch of a change set that has, or gets, a pull request.
fn proposed<'a>(set: &'a ChangeSet, step: &Step) -> Option<&'a str> {
    let stopped = matches!(step, Step::Stop(..));
    (set.via == Via::PullRequest && !stopped).then_some(set.branch.as_str())
}

/// The open pull requests of a run's branches.
struct Pulls {
    forge: GitHub,
    base: String,
    open: BTreeMap<String, PullRequest>,
}

impl Pulls {
    async fn open(
        (owner, name): &(String, String),
        branches: &[&str],
        base: &str,
        around: &Surroundings,
    ) -> Result<Option<Self>, ForgeError> {
        let forge = GitHub::new(&around.github, owner, name)?;
        let open = forge.open(branches, base).await?;
        Ok(Some(Self { forge, base: base.to_owned(), open }))
    }
}

/// Opens or updates the pull request of what was pushed.
async fn finish(
    set: &ChangeSet,
    step: &Step,
    pushed: &BTreeMap<String, Result<(), String>>,
    pulls: &mut Result<Option<Pulls>, ForgeError>,
) -> Delivery {
    let (branch, commit) = match step {
        Step::Push(update) => (update.branch.clone(), update.commit),
        Step::Stand(commit) => (set.branch.clone(), *commit),
        Step::Stop(outcome, message) => {
            let branch = Some(set.branch.clone()).filter(|_| *outcome == DeliveryOutcome::Frozen);
            return Delivery { message: Some(message.clone()), branch, ..delivery(set, *outcome) };
        }
    };
    if let Some(Err(why)) = pushed.get(&branch) {
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
    if set.via != Via::PullRequest {
        return at;
    }
    let upserted = match pulls {
        Ok(Some(Pulls { forge, base, open })) => {
            forge.upsert(open.remove(&set.branch), set, base).await
        }
        Ok(None) => return at,
        Err(error) => Err(error.clone()),
    };
    let (outcome, pull) = match upserted {
        Ok(Upserted::Created(pull)) => (DeliveryOutcome::Created, pull),
        Ok(Upserted::Updated(pull)) => (DeliveryOutcome::Updated, pull),
        // New commits on the branch are an update, even when the words are the same.
        Ok(Upserted::Unchanged(pull)) if matches!(step, Step::Push(_)) => {
            (DeliveryOutcome::Updated, pull)
        }
        Ok(Upserted::Unchanged(pull)) => (DeliveryOutcome::Unchanged, pull),
        Err(error) => {
            return Delivery {
                outcome: DeliveryOutcome::Failed,
                message: Some(error.to_string()),
                ..at
            };
        }
    };
    Delivery { outcome, pull_request: Some((pull.number, pull.url)), ..at }
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
