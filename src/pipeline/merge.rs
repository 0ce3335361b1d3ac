//! Merges what may be merged: only what is exactly our edits, at the commit that was looked at, when its
//! checks have passed. That nothing checked it is not a pass.

use std::collections::BTreeMap;

use super::deliver::new_files;
use super::proposals::{Known, Proposals};
use crate::changeset::{ChangeSet, Plan};
use crate::forge::{Check, ForgeError, MergeState, Merged, PullRequest};
use crate::git::{Clone, blob_id};
use crate::policy::{AutoMerge, Commits, MergeMethod};
use crate::report::{Delivery, DeliveryOutcome};

/// What is needed to merge.
pub(super) struct Merging<'a> {
    pub(super) clone: &'a Clone,
    pub(super) plan: &'a Plan,
    pub(super) proposals: &'a Proposals,
}

impl Merging<'_> {
    /// Merges every pull request that is ready, one after the other. Whether one that is ready
    /// conflicts with what was merged before it, so that it has to be made anew.
    pub(super) async fn merge(&self, deliveries: &mut [Delivery]) -> bool {
        let Proposals::Known(known) = self.proposals else { return false };
        let mut is_stuck = false;
        for (set, delivery) in self.plan.change_sets.iter().zip(deliveries) {
            let is_proposed = matches!(
                delivery.outcome,
                DeliveryOutcome::Created | DeliveryOutcome::Updated | DeliveryOutcome::Unchanged
            );
            let open = known.pulls.get(&set.branch).and_then(|pulls| pulls.open.as_ref());
            let (Some(pull), Some(head), true) = (open, delivery.commit.clone(), is_proposed)
            else {
                continue;
            };
            let said = match set.merge.by {
                AutoMerge::Off => continue,
                AutoMerge::GitHub => self.arm(known, set, pull, &head).await,
                AutoMerge::Bot => {
                    let is_new = delivery.outcome != DeliveryOutcome::Unchanged;
                    self.merge_one(known, set, pull, &head, is_new).await
                }
            };
            match said {
                Ok(Merged::Done) => delivery.outcome = DeliveryOutcome::Merged,
                Ok(Merged::Conflict) => is_stuck = true,
                Ok(Merged::Moved) => say(delivery, "its branch moved before it was merged"),
                Ok(Merged::NotNow(why)) if why.is_empty() => {}
                Ok(Merged::NotNow(why)) => say(delivery, &format!("not merged: {why}")),
                Err(error) => say(delivery, &format!("not merged: {error}")),
            }
        }
        is_stuck
    }

    /// Has GitHub merge it.
    async fn arm(
        &self,
        known: &Known,
        set: &ChangeSet,
        pull: &PullRequest,
        head: &str,
    ) -> Result<Merged, ForgeError> {
        let wait = |why: &str| Ok(Merged::NotNow(why.to_owned()));
        let Some(method) = method(known, set) else { return wait(NO_METHOD) };
        if pull.is_armed {
            return wait("");
        }
        if !known.allowed.auto_merge {
            return wait("the repository's settings do not allow auto-merge");
        }
        match known.forge.arm(pull, head, method).await {
            Ok(()) => wait(""),
            Err(ForgeError::Unavailable(why) | ForgeError::Invalid(why))
                if why.to_ascii_lowercase().contains("clean status") =>
            {
                if set.merge.without_checks {
                    return self.verified(known, set, pull, head, method).await;
                }
                wait(
                    "no rule of the repository holds it up, so auto-merge has nothing to wait for; require \
                     checks, or set `withoutChecks: true`",
                )
            }
            Err(error) => Err(error),
        }
    }

    async fn merge_one(
        &self,
        known: &Known,
        set: &ChangeSet,
        pull: &PullRequest,
        head: &str,
        is_new: bool,
    ) -> Result<Merged, ForgeError> {
        let wait = |why: String| Ok(Merged::NotNow(why));
        let Some(method) = method(known, set) else { return wait(NO_METHOD.to_owned()) };
        if is_new && !set.merge.without_checks {
            // What checked its last commit says nothing about this one.
            return wait(String::new());
        }
        if let Some(why) = obstacle(known, set, pull, is_new) {
            return wait(why);
        }
        self.verified(known, set, pull, head, method).await
    }

    /// Merges when the branch has our edits and nothing else.
    async fn verified(
        &self,
        known: &Known,
        set: &ChangeSet,
        pull: &PullRequest,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, ForgeError> {
        let found = known.forge.compare(&known.base, head).await?;
        let mut wanted = BTreeMap::new();
        for file in new_files(self.clone, self.plan, set) {
            let Ok((path, text)) = file else { return Ok(Merged::Conflict) };
            wanted.insert(path, blob_id(&text));
        }
        let commits = match set.commits {
            Commits::ChangeSet => 1,
            Commits::Image => found.commits.len().max(1),
        };
        let is_ours = found.commits.len() == commits
            && found.commits.last().map(String::as_str) == Some(head)
            && found.files.as_ref() == Some(&wanted);
        if !is_ours {
            let why = "its branch has something else than the edits that were planned";
            return Ok(Merged::NotNow(why.to_owned()));
        }
        known.forge.merge(pull, head, method).await
    }
}

const NO_METHOD: &str = "the repository does not allow this way to merge";

fn say(delivery: &mut Delivery, what: &str) {
    let before = delivery.message.take().map(|message| format!("{message}; ")).unwrap_or_default();
    delivery.message = Some(before + what);
}

/// How to merge: as somebody says, or the first way that the repository allows.
fn method(known: &Known, set: &ChangeSet) -> Option<MergeMethod> {
    let allowed = &known.allowed.methods;
    match set.merge.method {
        Some(method) => allowed.contains(&method).then_some(method),
        None => allowed.first().copied(),
    }
}

/// What a pull request waits for.
fn obstacle(known: &Known, set: &ChangeSet, pull: &PullRequest, is_new: bool) -> Option<String> {
    // GraphQL names an app with and without the brackets.
    let plain = |login: &str| login.trim_end_matches("[bot]").to_owned();
    if !is_new && plain(&pull.author) != plain(&known.allowed.viewer) {
        return Some(format!("{} opened it", pull.author));
    }
    // What was pushed a moment ago, GitHub judges when it merges.
    let known_state = if is_new { MergeState::Unknown } else { pull.state };
    let state = match known_state {
        MergeState::Behind => "the base has to be in its branch first",
        MergeState::Blocked => "the repository's rules are not met",
        MergeState::Dirty => "it conflicts with the base",
        _ if pull.is_draft => "it is a draft",
        _ if pull.wants_review => "it waits for a review",
        _ => return unchecked(known, set, pull, is_new),
    };
    Some(state.to_owned())
}

/// Which check is missing.
fn unchecked(known: &Known, set: &ChangeSet, pull: &PullRequest, is_new: bool) -> Option<String> {
    let merge = &set.merge;
    if pull.more_checks && merge.checks.is_empty() {
        return Some(
            "it has more checks than are read; name those that count in `checks`".to_owned(),
        );
    }
    for name in &merge.checks {
        if !pull.checks.iter().any(|check| check.name == *name) {
            return Some(format!("the check `{name}` has not reported"));
        }
    }
    let counts = |check: &&Check| merge.checks.is_empty() || merge.checks.contains(&check.name);
    let counting: Vec<&Check> = pull.checks.iter().filter(counts).collect();
    if let Some(check) = counting.iter().find(|check| check.passed != Some(true)) {
        let how = if check.passed.is_none() { "is not done" } else { "did not pass" };
        return Some(format!("the check `{}` {how}", crate::changeset::one_line(&check.name)));
    }
    if merge.without_checks || counting.iter().any(|check| check.counts) {
        return None;
    }
    Some(match (known.allowed.is_workflow(), is_new) {
        (true, _) => {
            "nothing checked it: pull requests of a workflow's own token start no checks; use the \
                      token of an app or a person"
                .to_owned()
        }
        (false, _) => "nothing checked it; `withoutChecks: true` merges all the same".to_owned(),
    })
}
