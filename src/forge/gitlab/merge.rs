//! Merges: at once, by GitLab's auto-merge, or in a merge train. Each names the commit that was verified
//! ([REST](https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request),
//! [trains](https://docs.gitlab.com/api/merge_trains/#add-a-merge-request-to-a-merge-train)).

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitLab;
use super::merge_requests::MergeStatus;
use crate::forge::{AutoMerged, ForgeFault, Merged};
use crate::policy::{HOLD, MergeMethod};
use crate::text::one_line;

/// Waits between the tries of a merge while GitLab still looks at the merge request, which it does in the background after
/// every push: 15 seconds and some in all.
const WAITS: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// A merge request as REST shows it, as far as it concerns a merge.
#[derive(Clone, Deserialize)]
pub(super) struct MergeRequestState {
    pub(super) state: String,
    pub(super) sha: Option<String>,
    #[serde(default)]
    pub(super) labels: Vec<String>,
    target_branch: String,
    #[serde(default)]
    draft: bool,
    /// True if it will be squashed, whatever was wished.
    squash_on_merge: Option<bool>,
    head_pipeline: Option<HeadPipeline>,
    #[serde(default)]
    merge_when_pipeline_succeeds: bool,
    detailed_merge_status: Option<MergeStatus>,
    merge_error: Option<String>,
}

/// The newest pipeline of the head.
#[derive(Clone, Deserialize)]
struct HeadPipeline {
    status: String,
}

impl MergeRequestState {
    /// True if GitLab would not wait for anything: it then merges at once, by its own rules alone.
    fn has_nothing_to_wait_for(&self) -> bool {
        let pipeline = self.head_pipeline.as_ref().map(|pipeline| pipeline.status.as_str());
        matches!(pipeline, None | Some("success" | "skipped"))
    }

    fn is_merged(&self) -> bool {
        self.state == "merged"
    }

    /// The reason against a merge that was decided a moment ago.
    fn objection(&self, base: &str) -> Option<&'static str> {
        match () {
            () if self.state != "opened" => Some("it is not open any more"),
            () if self.target_branch != base => Some("its target is another branch by now"),
            () if self.draft => Some("it is a draft"),
            () => None,
        }
    }

    fn has_hold(&self) -> bool {
        self.labels.iter().any(|label| label.eq_ignore_ascii_case(HOLD))
    }
}

/// A merge that GitLab refuses, with what it says of the merge request.
struct RefusedMerge {
    fault: ForgeFault,
    status: Option<MergeStatus>,
}

impl GitLab {
    /// Merges, if the branch is still at the commit that was verified.
    pub(super) async fn merge_now(
        &self,
        number: u64,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, ForgeFault> {
        if let Some(why) = self.prepare(number, method).await? {
            return Ok(Merged::NotNow(why));
        }
        let body = json!({"sha": head, "squash": method == MergeMethod::Squash});
        match self.accept(number, &body).await {
            Ok(state) if state.is_merged() => Ok(Merged::Done),
            Ok(state) => {
                let why = state.merge_error.as_deref().map(one_line);
                let unsaid = || "GitLab has not merged it yet".to_owned();
                Ok(Merged::NotNow(why.unwrap_or_else(unsaid)))
            }
            Err(RefusedMerge { fault: ForgeFault::HeadMoved, .. }) => Ok(Merged::Moved),
            Err(RefusedMerge { status: Some(MergeStatus::Conflict), .. }) => Ok(Merged::Conflict),
            Err(RefusedMerge {
                fault: ForgeFault::NotMergeable(why) | ForgeFault::Invalid(why),
                status,
            }) => Ok(Merged::NotNow(words(status, &why))),
            // The answer may have been lost after the effect.
            Err(RefusedMerge { fault: fault @ ForgeFault::Unavailable(_), .. }) => {
                let there = self.merge_state(number).await?;
                if there.is_merged() { Ok(Merged::Done) } else { Err(fault) }
            }
            Err(RefusedMerge { fault, .. }) => Err(fault),
        }
    }

    /// Has GitLab merge once its checks pass.
    pub(super) async fn auto_merge(
        &self,
        number: u64,
        head: &str,
        method: MergeMethod,
    ) -> Result<AutoMerged, ForgeFault> {
        if let Some(why) = self.prepare(number, method).await? {
            return Err(ForgeFault::NotMergeable(why));
        }
        // A merge that is asked for past the train would not wait for it.
        if self.observed().has_trains {
            return match self.join_train(number, head).await? {
                Merged::NotNow(why) => Err(ForgeFault::NotMergeable(why)),
                Merged::Moved => Err(ForgeFault::HeadMoved),
                _ => Ok(AutoMerged::Enabled),
            };
        }
        if self.merge_state(number).await?.has_nothing_to_wait_for() {
            return Ok(AutoMerged::NothingToWaitFor);
        }
        // Versions before 17.11 know the second name alone.
        let body = json!({
            "sha": head, "squash": method == MergeMethod::Squash,
            "auto_merge": true, "merge_when_pipeline_succeeds": true,
        });
        match self.accept(number, &body).await {
            Ok(state) if state.is_merged() => Ok(AutoMerged::Merged),
            Ok(_) => Ok(AutoMerged::Enabled),
            Err(RefusedMerge { status: Some(MergeStatus::Mergeable), .. }) => {
                Ok(AutoMerged::NothingToWaitFor)
            }
            Err(RefusedMerge {
                fault: ForgeFault::NotMergeable(why) | ForgeFault::Invalid(why),
                status,
            }) => Err(ForgeFault::NotMergeable(words(status, &why))),
            Err(RefusedMerge { fault, .. }) => Err(fault),
        }
    }

    /// Has GitLab not merge by itself any more, also out of a train. It answers with success also where it did not, so what
    /// came of it is read.
    pub(super) async fn cancel_merge(&self, number: u64) -> Result<(), ForgeFault> {
        let route = format!("merge_requests/{number}/cancel_merge_when_pipeline_succeeds");
        let said = self.change::<Value>(Method::POST, &self.route(&route), &json!({})).await;
        match said {
            Ok(_) | Err(ForgeFault::NotMergeable(_)) => {}
            Err(fault) => return Err(rights(fault)),
        }
        let there = self.merge_state(number).await?;
        if there.state != "opened" {
            return Err(ForgeFault::NotMergeable(format!(
                "it is {} by now",
                one_line(&there.state)
            )));
        }
        if there.merge_when_pipeline_succeeds {
            return Err(ForgeFault::Invalid("the end of its auto-merge".to_owned()));
        }
        Ok(())
    }

    /// Adds to the merge train, now or once its checks pass, if the branch is still at the commit that was verified.
    pub(super) async fn join_train(&self, number: u64, head: &str) -> Result<Merged, ForgeFault> {
        let body = json!({"sha": head, "auto_merge": true, "when_pipeline_succeeds": true});
        let route = self.route(&format!("merge_trains/merge_requests/{number}"));
        match self.change::<Value>(Method::POST, &route, &body).await {
            Ok(_) => Ok(Merged::Queued),
            Err(ForgeFault::HeadMoved) => Ok(Merged::Moved),
            Err(ForgeFault::Invalid(why) | ForgeFault::NotMergeable(why)) => {
                Ok(Merged::NotNow(why))
            }
            Err(fault) => Err(rights(fault)),
        }
    }

    /// Sets how it is merged, as a merge that says `squash: false` leaves that as it is, and looks at it once more: the
    /// commit that a merge names says nothing of its target.
    async fn prepare(
        &self,
        number: u64,
        method: MergeMethod,
    ) -> Result<Option<String>, ForgeFault> {
        let squash = method == MergeMethod::Squash;
        let route = self.route(&format!("merge_requests/{number}"));
        let there: MergeRequestState =
            self.change(Method::PUT, &route, &json!({"squash": squash})).await?;
        if there.squash_on_merge.is_some_and(|is_squashed| is_squashed != squash) {
            let why = "a rule of the project says otherwise of squashing than `mergeMethod`";
            return Ok(Some(why.to_owned()));
        }
        self.objection(number, &there).await
    }

    /// The reason against a merge that was decided a moment ago. A hold counts as it did then: by whom it is.
    async fn objection(
        &self,
        number: u64,
        there: &MergeRequestState,
    ) -> Result<Option<String>, ForgeFault> {
        if let Some(why) = there.objection(&self.observed().base) {
            return Ok(Some(why.to_owned()));
        }
        if !there.has_hold() {
            return Ok(None);
        }
        let by = self.labelled(number, HOLD).await?;
        let is_held = by.is_none_or(|by| by.may_write);
        Ok(is_held.then(|| format!("it has the label `{HOLD}`")))
    }

    /// Sends a merge, and again while GitLab says that it is still looking, or that nothing is in the way by now.
    async fn accept(&self, number: u64, body: &Value) -> Result<MergeRequestState, RefusedMerge> {
        let route = self.route(&format!("merge_requests/{number}/merge"));
        let mut waits = WAITS.into_iter();
        loop {
            let fault = match self.change(Method::PUT, &route, body).await {
                Ok(state) => return Ok(state),
                Err(fault @ (ForgeFault::NotMergeable(_) | ForgeFault::Invalid(_))) => fault,
                Err(fault) => return Err(RefusedMerge { fault: rights(fault), status: None }),
            };
            let unread = |fault| RefusedMerge { fault, status: None };
            let there = self.merge_state(number).await.map_err(unread)?;
            if let Some(why) = self.objection(number, &there).await.map_err(unread)? {
                return Err(RefusedMerge { fault: ForgeFault::NotMergeable(why), status: None });
            }
            let status = there.detailed_merge_status;
            let was_looking = matches!(fault, ForgeFault::NotMergeable(_));
            let is_soon = match status {
                Some(MergeStatus::Checking) => true,
                // The look may have ended between both requests; what auto-merge refuses so, it has nothing to wait for.
                Some(MergeStatus::Mergeable) => body["auto_merge"].is_null() && was_looking,
                _ => false,
            };
            let Some(wait) = waits.next().filter(|_| is_soon) else {
                return Err(RefusedMerge { fault, status });
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn merge_state(&self, number: u64) -> Result<MergeRequestState, ForgeFault> {
        self.get(&self.route(&format!("merge_requests/{number}"))).await
    }
}

/// A 401 to who is known otherwise: the account may not merge into this branch.
fn rights(fault: ForgeFault) -> ForgeFault {
    match fault {
        ForgeFault::Unauthorized => ForgeFault::Forbidden("401 to a merge".to_owned()),
        fault => fault,
    }
}

/// The reason: the verdict, where there is one, as the status of a refusal is all that GitLab says with it.
fn words(status: Option<MergeStatus>, said: &str) -> String {
    match status {
        Some(MergeStatus::Checking) => "GitLab is still checking whether it can be merged",
        Some(MergeStatus::NeedRebase) => "the base has to be in its branch first",
        Some(MergeStatus::Draft) => "it is a draft",
        Some(MergeStatus::NotApproved) => "it waits for an approval that the project requires",
        Some(MergeStatus::RequestedChanges) => "a reviewer wants changes",
        Some(MergeStatus::Blocked) => "the project's rules are not met",
        Some(MergeStatus::Conflict) => "it conflicts with the base",
        Some(MergeStatus::Mergeable) | None => return one_line(said),
    }
    .to_owned()
}
