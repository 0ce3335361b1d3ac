//! Answers of GitLab, for the fuzzer: those to the question for merge requests.

use super::answer::GraphqlAnswer;
use super::merge_requests::{self, MergeRequestsAnswer};
use crate::repo_id::RepoId;

/// Reads bytes as an answer.
///
/// # Panics
/// An answer speaks of a branch that nobody asked for.
pub fn answer(bytes: &[u8]) {
    let asked = ["tagalong/dev", "tagalong/prod/shop"];
    let Some(of) = RepoId::new("gitlab.com", "acme/fleet") else { return };
    let Ok(answer) = serde_json::from_slice::<GraphqlAnswer<MergeRequestsAnswer>>(bytes) else {
        return;
    };
    if let Ok(answer) = answer.data(&of)
        && let Ok(Some(seen)) = merge_requests::lists(answer, &asked)
    {
        assert!(seen.pulls.keys().all(|branch| asked.contains(&branch.as_str())));
    }
}
