//! Approvals. GitLab's are of a merge request, and stay when its branch moves unless a paid setting takes them off; here one
//! counts for the commit that it was given at. So it must be younger than the newest version of the merge request
//! ([versions](https://docs.gitlab.com/api/merge_requests/#get-merge-request-diff-versions)), by GitLab's own clock
//! ([approvals](https://docs.gitlab.com/api/merge_request_approvals/)). The notes that GitLab writes of approvals are later
//! than these.

use jiff::Timestamp;
use serde::Deserialize;

use super::GitLab;
use super::merge_requests::BranchLists;
use crate::forge::ForgeFault;
use crate::pull_request::{Labeller, PullRequest};

/// The access level of a Developer, who may push
/// (<https://docs.gitlab.com/api/members/#roles>).
const DEVELOPER: u64 = 30;

/// A state of the branch that GitLab saw.
#[derive(Deserialize)]
struct DiffVersion {
    head_commit_sha: Option<String>,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct Approvals {
    #[serde(default)]
    approved_by: Vec<Approval>,
}

#[derive(Deserialize)]
struct Approval {
    user: Person,
    /// Absent on older versions of GitLab.
    approved_at: Option<Timestamp>,
}

/// An account with its number.
#[derive(Clone, Deserialize)]
pub(super) struct Person {
    id: u64,
    username: String,
}

#[derive(Deserialize)]
struct Membership {
    access_level: u64,
}

#[derive(Deserialize)]
struct Account {
    bot: bool,
}

impl GitLab {
    /// Finds out which approvals of open merge requests count, and notes why others do not. Those that cannot be read do
    /// not.
    pub(super) async fn count_approvals(&self, lists: &mut BranchLists) {
        for (number, pull) in lists.open_mut() {
            if let Err(fault) = self.approvals_of(number, pull).await {
                tracing::warn!(number, ?fault, "approvals of a merge request cannot be read");
                pull.is_approved = false;
                pull.ignored_labels.push("its approvals cannot be read, so none counts".to_owned());
            }
        }
    }

    async fn approvals_of(&self, number: u64, pull: &mut PullRequest) -> Result<(), ForgeFault> {
        let approvals: Approvals =
            self.get(&self.route(&format!("merge_requests/{number}/approvals"))).await?;
        let since = self.version(number, &pull.head).await?;
        for approval in approvals.approved_by {
            self.count(approval, since, pull).await?;
        }
        Ok(())
    }

    async fn count(
        &self,
        approval: Approval,
        since: Option<Timestamp>,
        pull: &mut PullRequest,
    ) -> Result<(), ForgeFault> {
        let name = approval.user.username.clone();
        let why = match (approval.approved_at, since) {
            (None, _) => Some("this version of GitLab does not say when it was given"),
            (Some(at), Some(since)) if at > since => None,
            _ => Some("it is of an earlier commit"),
        };
        let by = if why.is_none() { Some(self.labeller(approval.user).await?) } else { None };
        let why = why.or(match by {
            Some(by) if by.is_bot || name == self.observed().viewer => {
                Some("no program approves what a program proposes")
            }
            Some(by) if !by.may_write => Some("whoever gave it may not write"),
            _ => None,
        });
        match why {
            None => pull.is_approved = true,
            Some(why) => {
                pull.ignored_labels.push(format!("the approval of `{name}` does not count: {why}"));
            }
        }
        Ok(())
    }

    /// The time at which GitLab saw the newest state of a branch, where that is a commit.
    pub(super) async fn version(
        &self,
        number: u64,
        head: &str,
    ) -> Result<Option<Timestamp>, ForgeFault> {
        let route = self.route(&format!("merge_requests/{number}/versions"));
        let versions: Vec<DiffVersion> = self.list(&route).await?;
        let newest = versions.into_iter().max_by_key(|version| version.created_at);
        let newest = newest.filter(|newest| newest.head_commit_sha.as_deref() == Some(head));
        Ok(newest.map(|version| version.created_at))
    }

    /// The rights of somebody in the project, asked for once in a run.
    pub(super) async fn labeller(&self, person: Person) -> Result<Labeller, ForgeFault> {
        if let Some(known) = self.observed().people.get(&person.id) {
            return Ok(known.clone());
        }
        let id = person.id;
        let found = self.rights_of(person).await?;
        self.observe_project(|project| drop(project.people.insert(id, found.clone())));
        Ok(found)
    }

    async fn rights_of(&self, person: Person) -> Result<Labeller, ForgeFault> {
        let route = self.route(&format!("members/all/{}", person.id));
        let may_write = match self.get::<Membership>(&route).await {
            Ok(member) => member.access_level >= DEVELOPER,
            Err(ForgeFault::NotFound(_)) => false,
            Err(fault) => return Err(fault),
        };
        let account: Account = self.get(&format!("users/{}", person.id)).await?;
        Ok(Labeller { login: person.username, may_write, is_bot: account.bot })
    }
}
