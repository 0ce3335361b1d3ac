//! Merges: by GitHub's auto-merge, or at once. Either names the commit that was verified
//! ([REST](https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request),
//! [GraphQL](https://docs.github.com/en/graphql/reference/mutations#enablepullrequestautomerge)).

use octocrab::Octocrab;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitHub;
use crate::forge::{AutoMerged, ForgeFault, Merged};
use crate::policy::MergeMethod;
use crate::pull_request::PullRef;

/// How often a merge is tried again because the base moved at the same moment.
const RETRIES: usize = 5;

#[derive(Deserialize)]
struct MergedState {
    merged: bool,
}

/// GitHub words it in these ways.
fn is_conflict(why: &str) -> bool {
    why.contains("conflict") || why.contains("is not mergeable")
}

/// GitHub's words for a pull request that needs no auto-merge: it is mergeable now, or nothing ever checks it.
fn is_ready(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    ["clean status", "unstable status"].iter().any(|state| why.contains(state))
}

impl GitHub {
    /// Merges a pull request, if its branch is still at the commit that was verified.
    ///
    /// # Errors
    /// GitHub refuses for another reason than the state of the pull request, or cannot be reached.
    pub async fn merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, ForgeFault> {
        let route = self.route(&format!("pulls/{}/merge", pull.number));
        let body = json!({"sha": head, "merge_method": method});
        for _ in 0..RETRIES {
            let sent: Result<Value, ForgeFault> =
                self.write(async |rest: Octocrab| rest.put(&route, Some(&body)).await).await;
            match sent {
                Ok(_) => return Ok(Merged::Done),
                // Another merge was under way; GitHub says to try again.
                Err(ForgeFault::NotMergeable(why)) if why.contains("Base branch was modified") => {}
                Err(ForgeFault::NotMergeable(why)) if is_conflict(&why) => {
                    return Ok(Merged::Conflict);
                }
                // The answer may have been lost after the effect.
                Err(error @ ForgeFault::Unavailable(_)) => {
                    let route = self.route(&format!("pulls/{}", pull.number));
                    let there: MergedState = self.get(&route).await?;
                    return if there.merged { Ok(Merged::Done) } else { Err(error) };
                }
                Err(ForgeFault::NotMergeable(why)) => return Ok(Merged::NotNow(why)),
                Err(ForgeFault::HeadMoved) => return Ok(Merged::Moved),
                Err(error) => return Err(error),
            }
        }
        Ok(Merged::NotNow("the base kept moving".to_owned()))
    }

    /// Puts a pull request into the merge queue, if its branch is still at the commit that was verified.
    /// GitHub then checks it together with what is before it, and merges it.
    ///
    /// # Errors
    /// When GitHub cannot be reached, or limits requests.
    pub async fn enqueue(&self, pull: &PullRef, head: &str) -> Result<Merged, ForgeFault> {
        let query = "mutation($id: ID!, $head: GitObjectID!) { enqueuePullRequest(input: \
            {pullRequestId: $id, expectedHeadOid: $head}) { clientMutationId } }";
        let mutation = json!({"query": query, "variables": {"id": pull.id, "head": head}});
        match self.mutate::<Value>(&mutation).await {
            Ok(_) => Ok(Merged::Queued),
            // What is not ready is refused in words alone, and one that is in it after all is seen there by
            // the next run.
            Err(ForgeFault::Unavailable(why)) => Ok(Merged::NotNow(why)),
            Err(error) => Err(error),
        }
    }

    /// Takes a pull request out of the merge queue.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn dequeue(&self, pull: &PullRef) -> Result<(), ForgeFault> {
        let query =
            "mutation($id: ID!) { dequeuePullRequest(input: {id: $id}) { clientMutationId } }";
        let mutation = json!({"query": query, "variables": {"id": pull.id}});
        let _said: Value = self.mutate(&mutation).await?;
        Ok(())
    }

    /// Has GitHub merge a pull request as soon as its rules allow it, if its branch is still at the
    /// commit that was pushed.
    ///
    /// # Errors
    /// GitHub refuses for another reason, or cannot be reached.
    pub async fn enable_auto_merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<AutoMerged, ForgeFault> {
        let method = match method {
            MergeMethod::Squash => "SQUASH",
            MergeMethod::Merge => "MERGE",
            MergeMethod::Rebase => "REBASE",
        };
        let query = "mutation($id: ID!, $head: GitObjectID!, $method: PullRequestMergeMethod!) { \
            enablePullRequestAutoMerge(input: {pullRequestId: $id, expectedHeadOid: $head, \
            mergeMethod: $method}) { clientMutationId } }";
        let variables = json!({"id": pull.id, "head": head, "method": method});
        let mutation = json!({"query": query, "variables": variables});
        match self.mutate::<Value>(&mutation).await {
            Ok(_) => Ok(AutoMerged::Enabled),
            Err(ForgeFault::Unavailable(why) | ForgeFault::Invalid(why)) if is_ready(&why) => {
                Ok(AutoMerged::NothingToWaitFor)
            }
            Err(error) => Err(error),
        }
    }

    /// Has GitHub not merge a pull request by itself any more.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn disable_auto_merge(&self, pull: &PullRef) -> Result<(), ForgeFault> {
        let query = "mutation($id: ID!) { disablePullRequestAutoMerge(input: {pullRequestId: $id}) { \
            clientMutationId } }";
        let mutation = json!({"query": query, "variables": {"id": pull.id}});
        let _said: Value = self.mutate(&mutation).await?;
        Ok(())
    }
}
