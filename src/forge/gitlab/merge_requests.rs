//! One question for the merge requests of many branches
//! ([GraphQL](https://docs.gitlab.com/api/graphql/reference/#projectmergerequests)).
//!
//! REST answers for one branch at a time, or with every merge request of the project. GitLab refuses questions above a
//! complexity of 250 (<https://docs.gitlab.com/api/graphql/#limits>): each field counts one or more, and each list as much
//! again for a hundred rows.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules::ProjectRules;
use super::text::{as_written, without_draft};
use super::{GitLab, MAX_PAGES, Username};
use crate::forge::{ForgeFault, Observed};
use crate::policy::HOLD;
use crate::pull_request::{BranchPullRequests, Mergeable, PullRequest, Queue};
use crate::repo_id::RepoId;

/// More branches than this are asked for in several questions.
const BRANCHES: usize = 50;

/// Commits whose checks are read at once.
const AT_ONCE: usize = 4;

/// What was merged earlier than this is not compared with what is deployed.
const MERGED: usize = 5;

/// Asked of every merge request.
const BRIEF: &str = "iid webUrl title description sourceBranch sourceProjectId targetProjectId diffHeadSha \
    labels { nodes { title } pageInfo { hasNextPage } }";

/// Asked of open ones beside that.
const OPEN: &str = "draft author { username } detailedMergeStatus autoMergeEnabled autoMergeStrategy \
    mergeUser { username } approvedBy(first: 1) { nodes { username } } \
    reviewers { nodes { mergeRequestInteraction { reviewState } } pageInfo { hasNextPage } }";

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
    open: Connection<OpenMergeRequest>,
    locked: Connection<BriefMergeRequest>,
    closed: Connection<BriefMergeRequest>,
    merged: Connection<BriefMergeRequest>,
}

/// A list, in which GitLab leaves out what the token may not see.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection<T> {
    nodes: Option<Vec<Option<T>>>,
    page_info: Option<ListEnd>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListEnd {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl<T> Connection<T> {
    /// True if there is more than was listed.
    fn is_cut(&self) -> bool {
        self.page_info.as_ref().is_some_and(|end| end.has_next_page)
    }

    /// True if something of it may not be seen.
    fn has_hidden(&self) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.iter().any(Option::is_none))
    }

    fn rows(self) -> impl Iterator<Item = T> {
        self.nodes.into_iter().flatten().flatten()
    }
}

/// A merge request that is over, or that is merged at this moment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BriefMergeRequest {
    iid: String,
    web_url: Option<String>,
    title: String,
    description: Option<String>,
    source_branch: String,
    source_project_id: Option<u64>,
    target_project_id: u64,
    diff_head_sha: Option<String>,
    labels: Connection<LabelTitle>,
}

/// An open merge request. Nothing of it may be left out: that would say that nobody holds it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenMergeRequest {
    #[serde(flatten)]
    brief: BriefMergeRequest,
    draft: bool,
    author: Option<Username>,
    detailed_merge_status: Option<MergeStatus>,
    auto_merge_enabled: bool,
    auto_merge_strategy: Option<String>,
    merge_user: Option<Username>,
    approved_by: Connection<Username>,
    reviewers: Connection<Reviewer>,
}

#[derive(Deserialize)]
struct LabelTitle {
    title: String,
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

/// The merge requests of some branches, as far as they were read.
#[derive(Default)]
pub(super) struct BranchLists {
    /// Merge requests by branch, newest first.
    pub(super) pulls: BTreeMap<String, BranchPullRequests>,
    /// Numbers of open ones that somebody approved.
    approved: BTreeSet<u64>,
    /// The token's account.
    viewer: String,
    /// The end of the part of open ones that was read, where more follow.
    more: Option<String>,
    /// True if older closed or merged ones were left out.
    is_cut: bool,
}

impl BranchLists {
    /// Open merge requests that somebody approved, with their numbers.
    pub(super) fn open_mut(&mut self) -> impl Iterator<Item = (u64, &mut PullRequest)> {
        let approved = &self.approved;
        let open = self.pulls.values_mut().filter_map(|pulls| pulls.open.as_mut());
        open.map(|pull| (pull.number, pull)).filter(|(number, _)| approved.contains(number))
    }
}

/// The question: names travel as variables, never as text of the query.
pub(super) fn question(of: &RepoId, base: &str, branches: &[&str], after: Option<&str>) -> Value {
    let list = |alias: &str, state: &str, first: usize, after: &str, fields: &str| {
        format!(
            "{alias}: mergeRequests(state: {state}, sourceBranches: $branches, targetBranches: $bases, sort: CREATED_DESC, \
             first: {first}{after}) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ {BRIEF} {fields} }} }} "
        )
    };
    let lists = [
        list("open", "opened", 50, ", after: $after", OPEN),
        list("locked", "locked", 10, "", ""),
        list("closed", "closed", 100, "", ""),
        list("merged", "merged", 100, "", ""),
    ];
    let query = format!(
        "query($path: ID!, $branches: [String!], $bases: [String!], $after: String) {{ currentUser {{ username }} \
         project(fullPath: $path) {{ {} }} }}",
        lists.concat()
    );
    let variables = json!({
        "path": of.path(), "branches": branches, "bases": [base], "after": after,
    });
    json!({"query": query, "variables": variables})
}

/// Reads an answer; `None` where GitLab shows no such project.
///
/// # Errors
/// The token is nobody's, or something of an open merge request cannot be seen.
pub(super) fn lists(
    answer: MergeRequestsAnswer,
    branches: &[&str],
) -> Result<Option<BranchLists>, ForgeFault> {
    let viewer = answer.current_user.ok_or(ForgeFault::Unauthorized)?.username;
    let Some(ProjectLists { open, locked, closed, merged }) = answer.project else {
        return Ok(None);
    };
    let hidden =
        || ForgeFault::Unavailable("an open merge request that the token may not see".into());
    if open.has_hidden() {
        return Err(hidden());
    }
    let is_cut = closed.is_cut() || merged.is_cut();
    let mut lists = BranchLists { viewer, is_cut, ..BranchLists::default() };
    let pulls = branches.iter().map(|branch| ((*branch).to_owned(), BranchPullRequests::default()));
    lists.pulls = pulls.collect();
    let end = open.page_info.as_ref().filter(|end| end.has_next_page);
    lists.more = end.and_then(|end| end.end_cursor.clone());
    let is_asked = |brief: &BriefMergeRequest| {
        brief.is_own() && branches.contains(&brief.source_branch.as_str())
    };
    // What GitLab merges at this moment, nobody changes: as if somebody held it.
    for brief in locked.rows().filter(is_asked) {
        let branch = brief.source_branch.clone();
        let mut pull = brief.pull_request();
        pull.labels.push(HOLD.to_owned());
        lists.pulls.entry(branch).or_default().open.get_or_insert(pull);
    }
    for request in open.rows().filter(|open| is_asked(&open.brief)) {
        let branch = request.brief.source_branch.clone();
        let is_approved = request.approved_by.has_hidden()
            || request.approved_by.nodes.iter().flatten().next().is_some();
        let pull = request.pull_request();
        if is_approved {
            lists.approved.insert(pull.number);
        }
        lists.pulls.entry(branch).or_default().open.get_or_insert(pull);
    }
    for brief in closed.rows().filter(is_asked) {
        let slot = lists.pulls.entry(brief.source_branch.clone()).or_default();
        slot.closed.get_or_insert_with(|| brief.pull_request());
    }
    for brief in merged.rows().filter(is_asked) {
        let slot = lists.pulls.entry(brief.source_branch.clone()).or_default();
        if slot.merged.len() < MERGED {
            slot.merged.push(brief.pull_request());
        }
    }
    Ok(Some(lists))
}

impl BriefMergeRequest {
    /// True if it is from the project itself: a fork can have a branch of the same name.
    fn is_own(&self) -> bool {
        self.source_project_id == Some(self.target_project_id)
    }

    fn pull_request(self) -> PullRequest {
        PullRequest {
            number: self.iid.parse().unwrap_or_default(),
            url: self.web_url.unwrap_or_default(),
            title: without_draft(&self.title).to_owned(),
            body: as_written(&self.description.unwrap_or_default()),
            labels: self.labels.rows().map(|label| label.title).collect(),
            head: self.diff_head_sha.unwrap_or_default(),
            // Checks that were not asked for are not none.
            more_checks: true,
            ..PullRequest::default()
        }
    }
}

impl OpenMergeRequest {
    /// The merge request. Whether an approval is of its head, nothing here says.
    fn pull_request(self) -> PullRequest {
        let has_unread = self.brief.labels.is_cut() || self.brief.labels.has_hidden();
        let mut pull = self.brief.pull_request();
        if has_unread {
            // A label that is not read may be a hold.
            pull.labels.push(HOLD.to_owned());
        }
        let status = self.detailed_merge_status;
        let is_unseen = self.reviewers.is_cut() || self.reviewers.has_hidden();
        let reviews: BTreeSet<String> = self
            .reviewers
            .rows()
            .filter_map(|reviewer| reviewer.merge_request_interaction?.review_state)
            .collect();
        let waits = ["UNREVIEWED", "REVIEW_STARTED", "UNAPPROVED"];
        pull.is_draft = self.draft;
        pull.author = self.author.map(|author| author.username).unwrap_or_default();
        pull.mergeable = status.map_or(Mergeable::Unknown, Mergeable::from);
        // Somebody who is not read may want changes.
        pull.changes_requested = is_unseen
            || reviews.contains("REQUESTED_CHANGES")
            || status == Some(MergeStatus::RequestedChanges);
        pull.wants_review = status == Some(MergeStatus::NotApproved)
            || waits.iter().any(|state| reviews.contains(*state));
        let is_in_train = self.auto_merge_strategy.is_some_and(|it| it.contains(IN_TRAIN));
        pull.queue = if is_in_train { Queue::Inside } else { Queue::None };
        let by = self.merge_user.map(|user| user.username).unwrap_or_default();
        pull.auto_merge_by = (self.auto_merge_enabled && !is_in_train).then_some(by);
        pull
    }
}

impl GitLab {
    /// Reads the merge requests of branches to a base, with their checks where these matter, and the rules of the project.
    pub(super) async fn merge_requests(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, ForgeFault> {
        let mut observed = Observed::default();
        // GitLab is asked for the token's account also where there is no branch.
        let chunks = branches.chunks(BRANCHES).chain(branches.is_empty().then_some(&[][..]));
        for branches in chunks {
            let mut lists = self.branch_lists(base, branches).await?;
            self.observe_project(|project| {
                project.viewer.clone_from(&lists.viewer);
                base.clone_into(&mut project.base);
            });
            self.count_approvals(&mut lists).await;
            observed.pulls.extend(lists.pulls);
        }
        // The base is read last: what was merged before the lists were read is in it.
        let ProjectRules { rules, has_trains } = self.rules(base).await?;
        self.observe_project(|project| project.has_trains = has_trains);
        observed.rules = rules;
        let open = observed.pulls.values_mut().filter_map(|pulls| pulls.open.as_mut());
        let mut open: Vec<&mut PullRequest> = open.collect();
        for pull in open.iter_mut().filter(|pull| has_trains && pull.queue == Queue::None) {
            pull.queue = Queue::Outside;
        }
        if with_checks {
            self.read_checks(open).await;
        }
        Ok(observed)
    }

    /// Reads the checks of the heads of merge requests, some at once. Those that cannot be read let nothing be merged.
    async fn read_checks(&self, open: Vec<&mut PullRequest>) {
        let read = stream::iter(open).map(async |pull| {
            let checks = self.statuses(&pull.head).await;
            if let Err(fault) = &checks {
                tracing::warn!(pull.number, ?fault, "checks of a merge request cannot be read");
            }
            let checks = checks.ok().flatten();
            pull.more_checks = checks.is_none();
            pull.checks = checks.unwrap_or_default();
        });
        read.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Reads all lists for some branches, to their ends.
    async fn branch_lists(&self, base: &str, branches: &[&str]) -> Result<BranchLists, ForgeFault> {
        let mut lists = self.lists_after(base, branches, None).await?;
        for _ in 0..MAX_PAGES {
            let Some(after) = lists.more.take() else { break };
            let part = self.lists_after(base, branches, Some(&after)).await?;
            for (branch, pulls) in part.pulls {
                let open = &mut lists.pulls.entry(branch).or_default().open;
                *open = open.take().or(pulls.open);
            }
            lists.approved.extend(part.approved);
            lists.more = part.more;
        }
        if lists.more.is_some() {
            let why = "more open merge requests have these branches than are read";
            return Err(ForgeFault::Unavailable(why.to_owned()));
        }
        // Old ones of one branch crowd out those of others: then each is asked for alone.
        if lists.is_cut && branches.len() > 1 {
            for branch in branches {
                let mut alone = self.lists_after(base, &[branch], None).await?;
                let slot = lists.pulls.entry((*branch).to_owned()).or_default();
                if let Some(found) = alone.pulls.remove(*branch) {
                    (slot.closed, slot.merged) = (found.closed, found.merged);
                }
            }
        }
        Ok(lists)
    }

    async fn lists_after(
        &self,
        base: &str,
        branches: &[&str],
        after: Option<&str>,
    ) -> Result<BranchLists, ForgeFault> {
        let answer = self.ask(&question(&self.repository, base, branches, after)).await?;
        match lists(answer, branches)? {
            Some(lists) => Ok(lists),
            // REST says whether it is somewhere else by now.
            None => match self.rules(base).await {
                Err(fault) => Err(fault),
                Ok(_) => Err(ForgeFault::NotFound(self.repository.to_string())),
            },
        }
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
