//! One question for the merge requests of many branches
//! ([GraphQL](https://docs.gitlab.com/api/graphql/reference/#projectmergerequests)).
//!
//! REST answers for one branch at a time, or with every merge request of the project. GitLab refuses questions above a
//! complexity of 250 (<https://docs.gitlab.com/api/graphql/#limits>): each field counts one or more, and each list as much
//! again for a hundred rows.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::rules::ProjectRules;
use super::text::{as_written, without_draft};
use super::{GitLab, MAX_PAGES, Username};
use crate::forge::{Fault, Observed};
use crate::pull_request::{BranchPullRequests, Mergeable, PullRequest, Queue};
use crate::repo_id::RepoId;

/// More branches than this are asked for in several questions.
const BRANCHES: usize = 50;

/// What was merged earlier than this is not compared with what is deployed.
const MERGED: usize = 5;

/// Asked of every merge request.
const BRIEF: &str = "iid webUrl title description sourceBranch sourceProjectId targetProjectId diffHeadSha \
    labels { nodes { title } }";

/// Asked of open ones beside that.
const OPEN: &str = "draft author { username } detailedMergeStatus autoMergeEnabled autoMergeStrategy \
    mergeUser { username } approvedBy { nodes { username bot } } \
    reviewers { nodes { username mergeRequestInteraction { reviewState } } }";

/// Part of the strategies of what is in a merge train, or comes into it once its checks pass.
const IN_TRAIN: &str = "merge_train";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MergeRequestsAnswer {
    current_user: Option<Username>,
    project: Option<ProjectLists>,
}

#[derive(Deserialize)]
struct ProjectLists {
    open: Option<MergeRequestList>,
    closed: Option<MergeRequestList>,
    merged: Option<MergeRequestList>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MergeRequestList {
    page_info: ListEnd,
    nodes: Vec<MergeRequestNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListEnd {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MergeRequestNode {
    iid: String,
    web_url: Option<String>,
    title: String,
    description: Option<String>,
    source_branch: String,
    source_project_id: Option<u64>,
    target_project_id: u64,
    diff_head_sha: Option<String>,
    labels: Option<Listed<LabelTitle>>,
    #[serde(flatten)]
    open: Option<OpenState>,
}

/// What only open ones say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenState {
    draft: bool,
    author: Option<Username>,
    detailed_merge_status: Option<MergeStatus>,
    auto_merge_enabled: bool,
    auto_merge_strategy: Option<String>,
    merge_user: Option<Username>,
    approved_by: Option<Listed<Approver>>,
    reviewers: Option<Listed<Reviewer>>,
}

#[derive(Deserialize)]
struct Listed<T> {
    nodes: Vec<T>,
}

#[derive(Deserialize)]
struct LabelTitle {
    title: String,
}

/// Somebody who approved.
#[derive(Clone, Deserialize)]
pub(super) struct Approver {
    pub(super) username: String,
    pub(super) bot: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reviewer {
    merge_request_interaction: Option<Interaction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Interaction {
    review_state: Option<String>,
}

/// Verdicts on a merge (<https://docs.gitlab.com/api/graphql/reference/#detailedmergestatus>); REST writes them in lower case
/// (<https://docs.gitlab.com/api/merge_requests/#merge-status>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum MergeStatus {
    #[serde(alias = "mergeable")]
    Mergeable,
    #[serde(alias = "conflict", alias = "BROKEN_STATUS", alias = "broken_status")]
    Conflict,
    #[serde(alias = "need_rebase")]
    NeedRebase,
    #[serde(
        alias = "checking",
        alias = "UNCHECKED",
        alias = "unchecked",
        alias = "PREPARING",
        alias = "preparing",
        alias = "APPROVALS_SYNCING",
        alias = "approvals_syncing"
    )]
    Checking,
    #[serde(alias = "draft_status", rename = "DRAFT_STATUS")]
    Draft,
    #[serde(alias = "not_approved")]
    NotApproved,
    #[serde(alias = "requested_changes")]
    RequestedChanges,
    /// Any other: a rule of the project that is not met, also one that is newer than this program.
    #[serde(other)]
    Blocked,
}

impl From<MergeStatus> for Mergeable {
    fn from(status: MergeStatus) -> Self {
        match status {
            MergeStatus::Mergeable => Self::Yes,
            MergeStatus::Conflict => Self::Conflict,
            MergeStatus::NeedRebase => Self::Behind,
            // That it is a draft is said where drafts are.
            MergeStatus::Checking | MergeStatus::Draft => Self::Unknown,
            MergeStatus::NotApproved | MergeStatus::RequestedChanges | MergeStatus::Blocked => {
                Self::Blocked
            }
        }
    }
}

/// The lists of one answer, and what to ask next.
pub(super) struct Seen {
    /// Merge requests by branch, newest first.
    pub(super) pulls: BTreeMap<String, BranchPullRequests>,
    /// Those who approved an open one, by its number.
    pub(super) approvers: BTreeMap<u64, Vec<Approver>>,
    /// The token's account.
    pub(super) viewer: String,
    /// Where the list of open ones goes on.
    pub(super) more: Option<String>,
    /// True if older closed or merged ones were left out.
    pub(super) is_cut: bool,
}

/// The question: names travel as variables, never as text of the query.
pub(super) fn question(of: &RepoId, base: &str, branches: &[&str], after: Option<&str>) -> Value {
    let list = |alias: &str, state: &str, first: usize, after: &str, fields: &str| {
        format!(
            "{alias}: mergeRequests(state: {state}, sourceBranches: $branches, targetBranches: $bases, sort: CREATED_DESC, \
             first: {first}{after}) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ {BRIEF} {fields} }} }} "
        )
    };
    let open = list("open", "opened", 50, ", after: $after", OPEN);
    let others = list("closed", "closed", 100, "", "") + &list("merged", "merged", 100, "", "");
    let query = format!(
        "query($path: ID!, $branches: [String!], $bases: [String!], $after: String) {{ currentUser {{ username }} \
         project(fullPath: $path) {{ {open}{others}}} }}"
    );
    let variables = json!({
        "path": of.path(), "branches": branches, "bases": [base], "after": after,
    });
    json!({"query": query, "variables": variables})
}

/// Reads an answer; `None` when GitLab does not know the project.
pub(super) fn read(answer: MergeRequestsAnswer, branches: &[&str]) -> Option<Seen> {
    let ProjectLists { open, closed, merged } = answer.project?;
    let mut seen = Seen {
        pulls: branches
            .iter()
            .map(|branch| ((*branch).to_owned(), BranchPullRequests::default()))
            .collect(),
        approvers: BTreeMap::new(),
        viewer: answer.current_user.map(|user| user.username).unwrap_or_default(),
        more: None,
        is_cut: [&closed, &merged].into_iter().flatten().any(|list| list.page_info.has_next_page),
    };
    if let Some(end) = open.as_ref().map(|list| &list.page_info) {
        seen.more = end.end_cursor.clone().filter(|_| end.has_next_page);
    }
    for node in own(open) {
        let branch = node.source_branch.clone();
        let (pull, approvers) = node.read();
        let Some(slot) = seen.pulls.get_mut(&branch) else { continue };
        seen.approvers.insert(pull.number, approvers);
        slot.open.get_or_insert(pull);
    }
    for node in own(closed) {
        let Some(slot) = seen.pulls.get_mut(&node.source_branch) else { continue };
        slot.closed.get_or_insert_with(|| node.read().0);
    }
    for node in own(merged) {
        let Some(slot) = seen.pulls.get_mut(&node.source_branch) else { continue };
        if slot.merged.len() < MERGED {
            slot.merged.push(node.read().0);
        }
    }
    Some(seen)
}

/// The merge requests from the project itself: a fork can have a branch of the same name.
fn own(list: Option<MergeRequestList>) -> impl Iterator<Item = MergeRequestNode> {
    let all = list.into_iter().flat_map(|list| list.nodes);
    all.filter(|node| node.source_project_id == Some(node.target_project_id))
}

impl MergeRequestNode {
    /// The merge request, and who approved it. Whether an approval is of its head, nothing here says.
    fn read(self) -> (PullRequest, Vec<Approver>) {
        let labels = self.labels.into_iter().flat_map(|labels| labels.nodes);
        let mut pull = PullRequest {
            number: self.iid.parse().unwrap_or_default(),
            url: self.web_url.unwrap_or_default(),
            title: without_draft(&self.title).to_owned(),
            body: as_written(&self.description.unwrap_or_default()),
            labels: labels.map(|label| label.title).collect(),
            head: self.diff_head_sha.unwrap_or_default(),
            // Checks that were not asked for are not none.
            more_checks: true,
            ..PullRequest::default()
        };
        let Some(open) = self.open else { return (pull, Vec::new()) };
        let status = open.detailed_merge_status;
        let reviewers = open.reviewers.into_iter().flat_map(|reviewers| reviewers.nodes);
        let reviews: BTreeSet<String> = reviewers
            .filter_map(|reviewer| reviewer.merge_request_interaction?.review_state)
            .collect();
        let waits = ["UNREVIEWED", "REVIEW_STARTED", "UNAPPROVED"];
        pull.is_draft = open.draft;
        pull.author = open.author.map(|author| author.username).unwrap_or_default();
        pull.mergeable = status.map_or(Mergeable::Unknown, Mergeable::from);
        pull.changes_requested =
            reviews.contains("REQUESTED_CHANGES") || status == Some(MergeStatus::RequestedChanges);
        pull.wants_review = status == Some(MergeStatus::NotApproved)
            || waits.iter().any(|state| reviews.contains(*state));
        let is_in_train = open.auto_merge_strategy.is_some_and(|it| it.contains(IN_TRAIN));
        pull.queue = if is_in_train { Queue::Inside } else { Queue::None };
        let by = open.merge_user.map(|user| user.username).unwrap_or_default();
        pull.auto_merge_by = (open.auto_merge_enabled && !is_in_train).then_some(by);
        (pull, open.approved_by.map(|list| list.nodes).unwrap_or_default())
    }
}

impl GitLab {
    /// Reads the merge requests of branches to a base, with their checks where these matter, and the rules of the project.
    pub(super) async fn merge_requests(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, Fault> {
        let mut observed = Observed::default();
        let mut viewer = String::new();
        // GitLab is asked for the token's account also where there is no branch.
        let chunks = branches.chunks(BRANCHES).chain(branches.is_empty().then_some(&[][..]));
        for branches in chunks {
            let mut seen = self.seen(base, branches).await?;
            self.weigh(&mut seen).await?;
            viewer.clone_from(&seen.viewer);
            observed.pulls.extend(seen.pulls);
        }
        // The base is read last: what was merged before the lists were read is in it.
        let ProjectRules { rules, has_trains } = self.rules(base, viewer).await?;
        observed.rules = rules;
        for pull in observed.pulls.values_mut().filter_map(|pulls| pulls.open.as_mut()) {
            if has_trains && pull.queue == Queue::None {
                pull.queue = Queue::Outside;
            }
            if with_checks {
                (pull.checks, pull.more_checks) = (self.statuses(&pull.head).await?, false);
            }
        }
        Ok(observed)
    }

    /// Reads all lists for some branches, to their ends.
    async fn seen(&self, base: &str, branches: &[&str]) -> Result<Seen, Fault> {
        let mut seen = self.part(base, branches, None).await?;
        for _ in 0..MAX_PAGES {
            let Some(after) = seen.more.take() else { break };
            let part = self.part(base, branches, Some(&after)).await?;
            for (branch, pulls) in part.pulls {
                let open = &mut seen.pulls.entry(branch).or_default().open;
                *open = open.take().or(pulls.open);
            }
            seen.approvers.extend(part.approvers);
            seen.more = part.more;
        }
        if seen.more.is_some() {
            let why = "more open merge requests have these branches than are read";
            return Err(Fault::Unavailable(why.to_owned()));
        }
        // Old ones of one branch crowd out those of others: then each is asked for alone.
        if seen.is_cut && branches.len() > 1 {
            for branch in branches {
                let mut alone = self.part(base, &[branch], None).await?;
                let slot = seen.pulls.entry((*branch).to_owned()).or_default();
                if let Some(found) = alone.pulls.remove(*branch) {
                    (slot.closed, slot.merged) = (found.closed, found.merged);
                }
            }
        }
        Ok(seen)
    }

    async fn part(
        &self,
        base: &str,
        branches: &[&str],
        after: Option<&str>,
    ) -> Result<Seen, Fault> {
        let answer = self.ask(&question(&self.repository, base, branches, after)).await?;
        read(answer, branches).ok_or_else(|| Fault::NotFound(self.repository.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_of_gitlab_means_something() {
        let cases = [
            ("MERGEABLE", Mergeable::Yes),
            ("mergeable", Mergeable::Yes),
            ("CONFLICT", Mergeable::Conflict),
            ("broken_status", Mergeable::Conflict),
            ("NEED_REBASE", Mergeable::Behind),
            ("UNCHECKED", Mergeable::Unknown),
            ("CHECKING", Mergeable::Unknown),
            ("PREPARING", Mergeable::Unknown),
            ("approvals_syncing", Mergeable::Unknown),
            ("DRAFT_STATUS", Mergeable::Unknown),
        ];
        let blocked = [
            "CI_MUST_PASS",
            "CI_STILL_RUNNING",
            "DISCUSSIONS_NOT_RESOLVED",
            "NOT_OPEN",
            "NOT_APPROVED",
            "BLOCKED_STATUS",
            "EXTERNAL_STATUS_CHECKS",
            "JIRA_ASSOCIATION",
            "LOCKED_PATHS",
            "LOCKED_LFS_FILES",
            "MERGE_TIME",
            "SECURITY_POLICIES_VIOLATIONS",
            "TITLE_NOT_MATCHING",
            "CODE_OWNERS_APPROVAL",
            "REQUESTED_CHANGES",
            "COMMITS_STATUS",
            "SOMETHING_NEW",
        ];
        let blocked = blocked.map(|status| (status, Mergeable::Blocked));
        for (status, want) in cases.into_iter().chain(blocked) {
            let read: MergeStatus = serde_json::from_value(json!(status)).unwrap();
            assert_eq!(Mergeable::from(read), want, "{status}");
        }
    }
}
