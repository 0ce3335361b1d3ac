//! Approvals. GitLab's are of a merge request, and stay when its branch moves unless a paid setting takes them off; here one
//! counts for the commit that it was given at. So it must be younger than the version of the merge request that has this
//! commit ([versions](https://docs.gitlab.com/api/merge_requests/#get-merge-request-diff-versions)), by GitLab's own clock.

use jiff::Timestamp;
use serde::Deserialize;

use super::GitLab;
use super::merge_requests::{Approver, Seen};
use crate::forge::Fault;

/// A state of the branch that GitLab saw.
#[derive(Deserialize)]
struct DiffVersion {
    head_commit_sha: Option<String>,
    created_at: Timestamp,
}

/// A comment, or something that GitLab notes by itself (<https://docs.gitlab.com/api/notes/>).
#[derive(Deserialize)]
struct SystemNote {
    body: String,
    #[serde(default)]
    system: bool,
    author: Option<NoteAuthor>,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct NoteAuthor {
    username: String,
}

/// GitLab's words when somebody approves
/// (<https://docs.gitlab.com/user/project/merge_requests/approvals/>).
const APPROVED: &str = "approved this merge request";

impl GitLab {
    /// Finds out which approvals of open merge requests are of their heads. Who asks approves nothing, nor does a bot.
    pub(super) async fn weigh(&self, seen: &mut Seen) -> Result<(), Fault> {
        for pull in seen.pulls.values_mut().filter_map(|pulls| pulls.open.as_mut()) {
            let approvers = seen.approvers.get(&pull.number).map(Vec::as_slice).unwrap_or_default();
            let is_person = |by: &&Approver| !by.bot && by.username != seen.viewer;
            let people: Vec<&str> =
                approvers.iter().filter(is_person).map(|by| by.username.as_str()).collect();
            if !people.is_empty() {
                pull.is_approved = self.is_approved_at(pull.number, &pull.head, &people).await?;
            }
        }
        Ok(())
    }

    /// True if one of these people approved while the branch was at a commit.
    async fn is_approved_at(
        &self,
        number: u64,
        head: &str,
        people: &[&str],
    ) -> Result<bool, Fault> {
        let of = format!("merge_requests/{number}");
        let versions: Vec<DiffVersion> = self.list(&self.route(&format!("{of}/versions"))).await?;
        let newest = versions.iter().max_by_key(|version| version.created_at);
        let Some(since) = newest.filter(|version| version.head_commit_sha.as_deref() == Some(head))
        else {
            return Ok(false);
        };
        let notes: Vec<SystemNote> =
            self.list(&self.route(&format!("{of}/notes?activity_filter=only_activity"))).await?;
        // Comments say what anybody likes.
        let approves = |note: &SystemNote| {
            note.system && note.body.trim() == APPROVED && note.created_at > since.created_at
        };
        let by = |note: &SystemNote| {
            note.author.as_ref().is_some_and(|by| people.contains(&by.username.as_str()))
        };
        Ok(notes.iter().any(|note| approves(note) && by(note)))
    }
}
