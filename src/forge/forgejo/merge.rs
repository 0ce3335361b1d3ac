//! Merges, at once or once checks pass (`POST /repos/{owner}/{repo}/pulls/{index}/merge`). A merge names the commit that was
//! verified; what is scheduled does not, so that the commit is looked at before and after.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::Forgejo;
use super::pulls::SentPull;
use crate::forge::{AutoMerged, ForgeFault, Merged};
use crate::policy::{HOLD, MergeMethod};

/// Waits between the tries of a merge while the server still looks whether it can be merged, which it does in the background
/// after every push to the branch or to its base: 15 seconds and some in all.
const WAITS: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// As many of them are enough where it may be a conflict: two seconds.
const MAY_CONFLICT: usize = 3;

/// The server's words for a merge that something else got ahead of.
const BASE_MOVED: &str = "push out of date";

/// Its words while it looks, and for a conflict: it makes no difference between them.
const LATER: &str = "try again later";

/// Its words for a branch that the base has to be in.
const BEHIND: &str = "behind the base branch";

impl SentPull {
    /// The reason against a merge that was decided a moment ago.
    fn objection(&self, base: &str) -> Option<&'static str> {
        match () {
            () if !self.is_open() => Some("it is not open any more"),
            () if self.base.label != base => Some("its target is another branch by now"),
            () if self.is_draft() => Some("it is a draft"),
            () => None,
        }
    }

    fn has_hold(&self) -> bool {
        let labels = self.labels.iter().flatten();
        labels.into_iter().any(|label| label.name.eq_ignore_ascii_case(HOLD))
    }
}

/// True if a refusal has these words.
fn says(fault: &ForgeFault, words: &str) -> bool {
    match fault {
        ForgeFault::NotMergeable(why) | ForgeFault::Invalid(why) => why.contains(words),
        _ => false,
    }
}

fn style(method: MergeMethod) -> &'static str {
    match method {
        MergeMethod::Squash => "squash",
        MergeMethod::Merge => "merge",
        MergeMethod::Rebase => "rebase",
    }
}

/// The reason, with what helps.
fn advised(why: &str) -> String {
    if !why.contains(BEHIND) {
        return why.to_owned();
    }
    format!(
        "{why}; the branch is brought up to date where the token may read the protection of the base, as administrators may"
    )
}

impl Forgejo {
    /// Merges, if the branch is still at the commit that was verified.
    pub(super) async fn merge_now(
        &self,
        number: u64,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, ForgeFault> {
        let body = json!({
            "Do": style(method), "head_commit_id": head, "delete_branch_after_merge": false,
        });
        let route = self.route(&format!("pulls/{number}/merge"));
        let (mut waits, mut most) = (WAITS.into_iter(), WAITS.len());
        loop {
            if let Some(why) = self.objection(&self.sent_pull(number).await?).await? {
                return Ok(Merged::NotNow(why));
            }
            let fault = match self.change::<Value>(Method::POST, &route, &body).await {
                Ok(_) => return Ok(Merged::Done),
                Err(ForgeFault::HeadMoved) => return Ok(Merged::Moved),
                Err(fault) => fault,
            };
            // What is not on the base may conflict with it, and then no wait helps.
            if most == WAITS.len() && says(&fault, LATER) && !self.is_on_base(number).await? {
                most = MAY_CONFLICT;
            }
            let is_soon = says(&fault, LATER) || says(&fault, BASE_MOVED);
            let is_left = WAITS.len() - waits.len() < most;
            let Some(wait) = waits.next().filter(|_| is_soon && is_left) else {
                return self.refused(number, head, fault).await;
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// What became of a merge that is refused, or whose answer was lost.
    async fn refused(
        &self,
        number: u64,
        head: &str,
        fault: ForgeFault,
    ) -> Result<Merged, ForgeFault> {
        let there = self.sent_pull(number).await?;
        if there.merged && there.head.sha == head {
            return Ok(Merged::Done);
        }
        if there.merged {
            return Ok(Merged::NotNow("it is merged, and its branch at another commit".to_owned()));
        }
        Ok(match fault {
            ForgeFault::NotMergeable(why) if why.contains(LATER) => {
                if !self.is_on_base(number).await? {
                    return Ok(Merged::Conflict);
                }
                let kind = self.kind();
                Merged::NotNow(format!("{kind} is still checking whether it can be merged"))
            }
            // A conflict that the merge itself met has no words but git's.
            ForgeFault::Invalid(why) if why.is_empty() => Merged::Conflict,
            ForgeFault::NotMergeable(why) if why.is_empty() => {
                Merged::NotNow(format!("{} gives no reason", self.kind()))
            }
            ForgeFault::NotMergeable(why) | ForgeFault::Invalid(why) => {
                Merged::NotNow(advised(&why))
            }
            fault => return Err(fault),
        })
    }

    /// Has the server merge once checks and approvals that the base wants are there.
    pub(super) async fn auto_merge(
        &self,
        number: u64,
        head: &str,
        method: MergeMethod,
    ) -> Result<AutoMerged, ForgeFault> {
        let there = self.sent_pull(number).await?;
        if let Some(why) = self.objection(&there).await? {
            return Err(ForgeFault::NotMergeable(why));
        }
        if there.head.sha != head {
            return Err(ForgeFault::HeadMoved);
        }
        if !self.waits(number, head).await? {
            return Ok(AutoMerged::NothingToWaitFor);
        }
        let body = json!({
            "Do": style(method), "head_commit_id": head, "merge_when_checks_succeed": true,
            "delete_branch_after_merge": false,
        });
        let route = self.route(&format!("pulls/{number}/merge"));
        match self.request(Method::POST, &route, &body).await {
            Ok(_) => {}
            // It was scheduled before, by an answer that was lost or by somebody.
            Err(ForgeFault::Invalid(why)) if why.contains("already scheduled") => {}
            Err(fault @ ForgeFault::Unavailable(_)) => {
                if !self.sent_pull(number).await?.merged {
                    return Err(fault);
                }
            }
            Err(fault) => return Err(fault),
        }
        let there = self.sent_pull(number).await?;
        match (there.merged, there.head.sha == head) {
            (true, true) => Ok(AutoMerged::Merged),
            (false, true) => Ok(AutoMerged::Enabled),
            (true, false) => Err(ForgeFault::HeadMoved),
            (false, false) => {
                self.cancel_merge(number).await?;
                Err(ForgeFault::HeadMoved)
            }
        }
    }

    /// True if there is something that a scheduled merge waits for. Without it the server merges at once, by its own rules
    /// alone, and what is scheduled after the last check waits for another one.
    async fn waits(&self, number: u64, head: &str) -> Result<bool, ForgeFault> {
        let Some(base) = self.base_branch(&self.observed().base).await? else { return Ok(false) };
        let checks = self.statuses(head).await?.unwrap_or_default();
        if base.waits_for(&checks) {
            return Ok(true);
        }
        let wanted = base.required_approvals;
        Ok(wanted > 0 && self.official_approvals(number).await? < wanted)
    }

    /// Has the server not merge by itself any more.
    pub(super) async fn cancel_merge(&self, number: u64) -> Result<(), ForgeFault> {
        let route = self.route(&format!("pulls/{number}/merge"));
        match self.change::<Value>(Method::DELETE, &route, &json!({})).await {
            Ok(_) => Ok(()),
            // Nothing is scheduled, or it is merged by now.
            Err(ForgeFault::NotFound(_)) => {
                let there = self.sent_pull(number).await?;
                if there.merged {
                    return Err(ForgeFault::NotMergeable("it is merged by now".to_owned()));
                }
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    /// The reason against a merge that was decided a moment ago. A hold counts as it did then: by whom it is.
    async fn objection(&self, there: &SentPull) -> Result<Option<String>, ForgeFault> {
        if there.merged {
            return Ok(None);
        }
        if let Some(why) = there.objection(&self.observed().base) {
            return Ok(Some(why.to_owned()));
        }
        let is_held = there.has_hold() && self.is_held(there.number).await?;
        Ok(is_held.then(|| format!("it has the label `{HOLD}`")))
    }
}
