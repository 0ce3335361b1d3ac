//! Merges what may be merged: only what is exactly our edits, at the commit that was looked at, when its
//! checks have passed. That nothing checked it is not a pass.

use std::collections::{BTreeMap, BTreeSet};

use super::deliver::new_files;
use super::proposals::{Known, Proposals};
use crate::changeset::{ChangeSet, Plan};
use crate::forge::{ForgeError, Merged};
use crate::git::{Clone, Oid, blob_id};
use crate::policy::{AutoMerge, Commits, MergeMethod, Required};
use crate::pull_request::{Check, Mergeable, PullRequest, Queue};
use crate::report::{Delivery, DeliveryOutcome};

/// Why something is not merged.
const NO_METHOD: &str = "the repository does not allow this way to merge";

/// What is said of what somebody has to approve.
const UNAPPROVED: &str = "it waits for an approval: a review, or the label `tagalong:approve`";

/// What is said of what GitHub merges in its turn.
const QUEUED: &str = "it waits in the merge queue";

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
        let (mut is_stuck, mut has_merged) = (false, false);
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
            // What checked and judged another commit says nothing about this one.
            let is_new = pull.head != head;
            let said = match set.merge.by {
                AutoMerge::Off => disarm(known, pull).await,
                // What this run did not decide was not looked at by it.
                _ if set.carried => match disarm(known, pull).await {
                    Ok(_) => wait("some of it could not be decided by this run"),
                    Err(error) => Err(error),
                },
                AutoMerge::GitHub => self.arm(known, set, pull, (&head, is_new)).await,
                AutoMerge::Bot => match disarm(known, pull).await {
                    Ok(_) if is_new => wait(""),
                    Ok(_) => self.merge_one(known, set, pull, &head).await,
                    Err(error) => Err(error),
                },
            };
            match said {
                Ok(Merged::Done) => {
                    delivery.outcome = DeliveryOutcome::Merged;
                    has_merged = true;
                    if let Some(word) = by_name_alone(set, pull) {
                        say(delivery, &word);
                    }
                }
                Ok(Merged::Conflict) => {
                    is_stuck = true;
                    say(delivery, "not merged: it conflicts with the base");
                }
                Ok(Merged::Queued) => say(delivery, QUEUED),
                Ok(Merged::Moved) => say(delivery, "its branch moved before it was merged"),
                Ok(Merged::NotNow(why)) if why.is_empty() => {}
                Ok(Merged::NotNow(why)) => say(delivery, &format!("not merged: {why}")),
                Err(error) => say(delivery, &format!("not merged: {error}")),
            }
        }
        is_stuck && has_merged
    }

    /// Has GitHub merge it.
    async fn arm(
        &self,
        known: &Known,
        set: &ChangeSet,
        pull: &PullRequest,
        (head, is_new): (&str, bool),
    ) -> Result<Merged, ForgeError> {
        if pull.queue == Queue::Inside {
            return self.queued(known, set, pull).await;
        }
        let Some(method) = method(known, set) else { return wait(NO_METHOD) };
        let is_approved = !set.merge.approval || !is_new && pull.has_approval();
        if !is_approved {
            disarm(known, pull).await?;
        }
        if pull.is_draft || is_approved && pull.auto_merge_by.is_some() {
            return wait("");
        }
        if !known.rules.auto_merge {
            return wait("the repository's settings do not allow auto-merge");
        }
        if !is_new && !known.rules.is_own(&pull.author) {
            return wait(&format!("{} opened it", pull.author));
        }
        if !is_approved {
            return wait(&unapproved(pull));
        }
        if let Some(why) = self.difference(known, set, (head, is_new)).await? {
            return wait(why);
        }
        match known.forge.arm(pull, head, method).await {
            Ok(()) => wait(""),
            // Nothing is left to wait for: it is ready now, or nothing ever checks it.
            Err(ForgeError::Unavailable(why) | ForgeError::Invalid(why))
                if ["clean status", "unstable status"]
                    .iter()
                    .any(|state| why.to_ascii_lowercase().contains(state)) =>
            {
                if is_new {
                    return wait(
                        "no rule of the repository holds it up, so auto-merge has nothing to wait for",
                    );
                }
                self.merge_one(known, set, pull, head).await
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
    ) -> Result<Merged, ForgeError> {
        let Some(method) = method(known, set) else { return wait(NO_METHOD) };
        if pull.queue == Queue::Inside {
            return self.queued(known, set, pull).await;
        }
        if let Some(why) = obstacle(known, set, pull) {
            return wait(&why);
        }
        match self.difference(known, set, (head, false)).await? {
            Some(why) => wait(why),
            None if pull.queue == Queue::Outside => known.forge.enqueue(pull, head).await,
            None => known.forge.merge(pull, head, method).await,
        }
    }

    /// Leaves what waits in the queue there, unless nobody approves it any more.
    async fn queued(
        &self,
        known: &Known,
        set: &ChangeSet,
        pull: &PullRequest,
    ) -> Result<Merged, ForgeError> {
        let is_refused = pull.changes_requested || set.merge.approval && !pull.has_approval();
        if !is_refused {
            return Ok(Merged::Queued);
        }
        known.forge.dequeue(pull).await?;
        if pull.changes_requested {
            wait("a reviewer wants changes")
        } else {
            wait(&unapproved(pull))
        }
    }

    /// What a branch has that is not exactly our edits.
    async fn difference(
        &self,
        known: &Known,
        set: &ChangeSet,
        (head, is_new): (&str, bool),
    ) -> Result<Option<&'static str>, ForgeError> {
        // By commit: the base may be called anything.
        let base = self.clone.base().to_string();
        let found = known.forge.compare(&base, head).await?;
        let mut wanted = BTreeMap::new();
        for file in new_files(self.clone, self.plan, set) {
            let Ok((path, text)) = file else { return Ok(Some("its files cannot be read")) };
            wanted.insert(path, blob_id(&text));
        }
        let commits = match set.commits {
            Commits::ChangeSet => 1,
            Commits::Image => self.plan.images(set).len(),
        };
        let is_ours = found.commits.len() == commits
            && found.commits.last().map(String::as_str) == Some(head)
            && found.files.as_ref() == Some(&wanted);
        // GitHub's own commits, which are not here before the next run, keep modes.
        let keeps_modes = Oid::from_str(head)
            .ok()
            .and_then(|head| self.clone.keeps_modes(head, wanted.keys()))
            .unwrap_or(is_new);
        let why = "its branch has something else than the edits that were planned";
        Ok((!(is_ours && keeps_modes)).then_some(why))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it ends functions that can fail")]
fn wait(why: &str) -> Result<Merged, ForgeError> {
    Ok(Merged::NotNow(why.to_owned()))
}

/// Has GitHub not merge by itself what we had it merge; what a person did stays.
pub(super) async fn disarm(known: &Known, pull: &PullRequest) -> Result<Merged, ForgeError> {
    if pull.auto_merge_by.as_ref().is_some_and(|by| known.rules.is_own(by)) {
        known.forge.disarm(pull).await?;
    }
    wait("")
}

/// Takes out of the merge queue what we put there: people hold it, or its time is not now.
pub(super) async fn withdraw(
    known: &Known,
    set: &ChangeSet,
    pull: &PullRequest,
) -> Result<(), ForgeError> {
    disarm(known, pull).await?;
    if pull.queue == Queue::Inside && set.merge.by != AutoMerge::Off {
        known.forge.dequeue(pull).await?;
    }
    Ok(())
}

fn say(delivery: &mut Delivery, what: &str) {
    let before = delivery.message.take().map(|message| format!("{message}; ")).unwrap_or_default();
    delivery.message = Some(before + what);
}

/// How to merge: as somebody says, or the first way that the repository allows.
fn method(known: &Known, set: &ChangeSet) -> Option<MergeMethod> {
    let allowed = &known.rules.methods;
    match set.merge.method {
        Some(method) => allowed.contains(&method).then_some(method),
        None => allowed.first().copied(),
    }
}

/// Says that an approval is missing, and which one does not count.
fn unapproved(pull: &PullRequest) -> String {
    let passed_over = pull.ignored_labels.iter().map(|why| format!("; {why}"));
    format!("{UNAPPROVED}{}", passed_over.collect::<String>())
}

/// What a pull request waits for.
fn obstacle(known: &Known, set: &ChangeSet, pull: &PullRequest) -> Option<String> {
    if !known.rules.is_own(&pull.author) {
        return Some(format!("{} opened it", pull.author));
    }
    // Where there is a queue, nothing else may merge, and the queue puts it onto the base by itself.
    let is_queued = pull.queue != Queue::None;
    let state = match pull.mergeable {
        Mergeable::Behind if !is_queued => "the base has to be in its branch first",
        Mergeable::Blocked if !is_queued => "the repository's rules are not met",
        Mergeable::Conflict => "it conflicts with the base",
        _ if pull.is_draft => "it is a draft",
        _ if pull.changes_requested => "a reviewer wants changes",
        _ if pull.wants_review => "it waits for a review",
        _ if set.merge.approval && !pull.has_approval() => return Some(unapproved(pull)),
        _ => return unchecked(known, set, pull),
    };
    Some(state.to_owned())
}

/// Says that checks counted by their names alone, which whoever may write statuses can report, and who reported them.
fn by_name_alone(set: &ChangeSet, pull: &PullRequest) -> Option<String> {
    let named = set.merge.checks.iter().filter(|required| required.app.is_none());
    let said = named.map(|required| {
        let reported = pull.checks.iter().filter(|check| check.name == required.name);
        let by: BTreeSet<&str> = reported.filter_map(|check| check.by.as_deref()).collect();
        let by: Vec<&str> = by.into_iter().collect();
        let by = if by.is_empty() { "nobody who is known".to_owned() } else { by.join(", ") };
        format!("`{}` (by {by})", crate::changeset::one_line(&required.name))
    });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| {
        format!(
            "warning: {} counted by name alone, which anybody with the right to write statuses can report; name the app, as in \
             `checks: [{{name: ci, app: github-actions}}]`",
            said.join(", ")
        )
    })
}

/// Which check is missing.
fn unchecked(known: &Known, set: &ChangeSet, pull: &PullRequest) -> Option<String> {
    let merge = &set.merge;
    if pull.more_checks {
        return Some("not all of its checks can be read, so that one may have failed".to_owned());
    }
    let is_it = |required: &Required, check: &Check| {
        check.name == required.name && required.is_by(check.by.as_deref())
    };
    let counts = |check: &&Check| {
        merge.checks.is_empty() || merge.checks.iter().any(|required| is_it(required, check))
    };
    let counting: Vec<&Check> = pull.checks.iter().filter(counts).collect();
    if let Some(check) = counting.iter().find(|check| check.passed != Some(true)) {
        let how = if check.passed.is_none() { "is not done" } else { "did not pass" };
        return Some(format!("the check `{}` {how}", crate::changeset::one_line(&check.name)));
    }
    for required in &merge.checks {
        if !pull.checks.iter().any(|check| is_it(required, check) && check.counts) {
            let by = required.app.as_ref().map(|app| format!(" of `{app}`")).unwrap_or_default();
            return Some(format!("the check `{}`{by} has not reported", required.name));
        }
    }
    if known.rules.starts_no_checks && merge.checks.is_empty() && !merge.without_checks {
        let why = "nothing has to check it: pull requests of a workflow's own token start no checks; use the \
                   token of an app or a person, or name what must have passed in `checks`";
        return Some(why.to_owned());
    }
    if merge.without_checks || counting.iter().any(|check| check.counts) {
        return None;
    }
    Some("nothing checked it; `withoutChecks: true` merges all the same".to_owned())
}
