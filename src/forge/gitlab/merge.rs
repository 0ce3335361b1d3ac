//! Merges: at once, by GitLab's auto-merge, or in a merge train. Each names the commit that was verified
//! ([REST](https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request),
//! [trains](https://docs.gitlab.com/api/merge_trains/#add-a-merge-request-to-a-merge-train)).

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitLab;
use super::merge_requests::MergeStatus;
use crate::forge::{Fault, Merged};
use crate::policy::MergeMethod;
use crate::text::one_line;

/// How often a merge is tried while GitLab still looks at the merge request, which it does in the background after every
/// push. The waits between them grow, to 16 seconds in all.
const TRIES: u32 = 7;
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A merge request after a merge, or before one.
#[derive(Deserialize)]
struct MergeState {
    state: String,
    #[serde(default)]
    detailed_merge_status: Option<MergeStatus>,
    #[serde(default)]
    merge_error: Option<String>,
}

impl MergeState {
    fn is_merged(&self) -> bool {
        self.state == "merged"
    }
}

impl GitLab {
    /// Merges, if the branch is still at the commit that was verified.
    pub(super) async fn merge_now(
        &self,
        number: u64,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, Fault> {
        let body = json!({"sha": head, "squash": method == MergeMethod::Squash});
        let merged = |state: MergeState| match state.merge_error {
            _ if state.state == "merged" => Merged::Done,
            Some(why) => Merged::NotNow(one_line(&why)),
            None => Merged::NotNow("GitLab has not merged it yet".to_owned()),
        };
        // It says itself that nothing is in the way by now.
        let is_soon = |status| matches!(status, MergeStatus::Checking | MergeStatus::Mergeable);
        match self.accept(number, &body, is_soon).await {
            Ok(state) => Ok(merged(state)),
            Err(Refused { fault: Fault::HeadMoved, .. }) => Ok(Merged::Moved),
            Err(Refused { status: Some(MergeStatus::Conflict), .. }) => Ok(Merged::Conflict),
            Err(Refused { fault: Fault::NotMergeable(why) | Fault::Invalid(why), status }) => {
                Ok(Merged::NotNow(words(status, &why)))
            }
            // The answer may have been lost after the effect.
            Err(Refused { fault: fault @ Fault::Unavailable(_), .. }) => {
                let there = self.merge_state(number).await?;
                if there.is_merged() { Ok(Merged::Done) } else { Err(fault) }
            }
            Err(Refused { fault, .. }) => Err(fault),
        }
    }

    /// Has GitLab merge once its checks pass; false where nothing holds it up, and GitLab therefore refuses.
    pub(super) async fn auto_merge(
        &self,
        number: u64,
        head: &str,
        method: MergeMethod,
    ) -> Result<bool, Fault> {
        // Versions before 17.11 know the second name alone.
        let body = json!({
            "sha": head, "squash": method == MergeMethod::Squash,
            "auto_merge": true, "merge_when_pipeline_succeeds": true,
        });
        match self.accept(number, &body, |status| status == MergeStatus::Checking).await {
            Ok(_) => Ok(true),
            Err(Refused { status: Some(MergeStatus::Mergeable), .. }) => Ok(false),
            Err(Refused { fault: Fault::NotMergeable(why), status }) => {
                Err(Fault::NotMergeable(words(status, &why)))
            }
            Err(Refused { fault, .. }) => Err(fault),
        }
    }

    /// Has GitLab not merge by itself any more, also out of a train.
    pub(super) async fn cancel_merge(&self, number: u64) -> Result<(), Fault> {
        let route = format!("merge_requests/{number}/cancel_merge_when_pipeline_succeeds");
        match self.change::<Value>(Method::POST, &self.route(&route), &json!({})).await {
            // 406 where there was nothing to cancel.
            Err(fault @ Fault::NotMergeable(_)) => {
                let there = self.merge_state(number).await?;
                if there.is_merged() { Err(fault) } else { Ok(()) }
            }
            done => done.map(drop),
        }
    }

    /// Adds to the merge train, if the branch is still at the commit that was verified.
    pub(super) async fn join_train(&self, number: u64, head: &str) -> Result<Merged, Fault> {
        let body = json!({"sha": head, "auto_merge": true, "when_pipeline_succeeds": true});
        let route = self.route(&format!("merge_trains/merge_requests/{number}"));
        match self.change::<Value>(Method::POST, &route, &body).await {
            Ok(_) => Ok(Merged::Queued),
            Err(Fault::HeadMoved) => Ok(Merged::Moved),
            Err(Fault::Invalid(why) | Fault::NotMergeable(why)) => Ok(Merged::NotNow(why)),
            Err(fault) => Err(fault),
        }
    }

    /// Sends a merge, and again while what GitLab says of the merge request is about to change.
    async fn accept(
        &self,
        number: u64,
        body: &Value,
        is_soon: impl Fn(MergeStatus) -> bool,
    ) -> Result<MergeState, Refused> {
        let route = self.route(&format!("merge_requests/{number}/merge"));
        let mut wait = FIRST_WAIT;
        let mut last = Refused { fault: Fault::NotMergeable(String::new()), status: None };
        for _ in 0..TRIES {
            let fault = match self.change(Method::PUT, &route, body).await {
                Ok(state) => return Ok(state),
                Err(fault @ (Fault::NotMergeable(_) | Fault::Invalid(_))) => fault,
                Err(fault) => return Err(Refused { fault, status: None }),
            };
            let unread = |fault| Refused { fault, status: None };
            let status = self.merge_state(number).await.map_err(unread)?.detailed_merge_status;
            last = Refused { fault, status };
            if !status.is_some_and(&is_soon) {
                return Err(last);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(last)
    }

    async fn merge_state(&self, number: u64) -> Result<MergeState, Fault> {
        self.get(&self.route(&format!("merge_requests/{number}"))).await
    }
}

/// A merge that GitLab refuses, with what it says of the merge request.
struct Refused {
    fault: Fault,
    status: Option<MergeStatus>,
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
