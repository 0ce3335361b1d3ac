//! One question for the pull requests of many branches, over GitHub's
//! [GraphQL API](https://docs.github.com/en/graphql/reference/objects#pullrequest).
//!
//! REST answers for one branch at a time, or with every open pull request of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{LabelName, Login};
use crate::forge::Observed;
use crate::policy::MergeMethod;
use crate::pull_request::{BranchPullRequests, Check, Mergeable, PullRequest, Queue, RepoRules};
use crate::repo_id::RepoId;

/// More branches than this are asked for in several questions, which keeps each far below
/// GitHub's limit on nodes.
pub(super) const BRANCHES: usize = 50;

/// A branch has one open pull request to a base. Among those that are over, forks can have branches of the same name,
/// which are told apart by a field.
const PULLS: usize = 10;
/// No issue has more
/// (<https://docs.github.com/en/issues/using-labels-and-milestones-to-track-work/managing-labels>).
const LABELS: usize = 100;

/// What is asked of a commit. More checks than these are not read; a merge then waits for people.
pub(super) const CONTEXTS: &str = "statusCheckRollup { contexts(first: 100) { \
    pageInfo { hasNextPage } nodes { __typename ... on CheckRun { name conclusion checkSuite { app { slug } } } \
    ... on StatusContext { context state creator { login } } } } }";

/// What was merged earlier than this is not compared with what is deployed.
const MERGED: usize = 5;

/// What is asked of every pull request.
const BRIEF: &str = "number url state title body isCrossRepository headRefOid";

/// What is asked of open ones beside that.
const OPEN: &str = "id isDraft isInMergeQueue isMergeQueueEnabled mergeStateStatus reviewDecision author { login } \
    autoMergeRequest { enabledBy { login } } reviewRequests(first: 1) { totalCount } \
    latestOpinionatedReviews(first: 50, writersOnly: true) { pageInfo { hasNextPage } \
    nodes { state commit { oid } author { __typename login } } }";

/// Those that are over are asked for by state, so that none crowds the others out.
const STATES: [(&str, &str, usize); 2] = [("c", "CLOSED", PULLS), ("m", "MERGED", MERGED)];

#[derive(Deserialize)]
pub(super) struct PullsAnswer {
    viewer: Login,
    repository: Option<PullsRepository>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "what GitHub says of it")]
struct PullsRepository {
    squash_merge_allowed: bool,
    merge_commit_allowed: bool,
    rebase_merge_allowed: bool,
    auto_merge_allowed: bool,
    delete_branch_on_merge: bool,
    base: Option<BaseReference>,
    #[serde(flatten)]
    pulls: BTreeMap<String, Option<BranchNodes>>,
}

#[derive(Deserialize)]
struct BaseReference {
    target: Option<CommitTarget>,
}

/// The pull requests of one branch: of the branch itself, which no fork's are, or of all branches of its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum BranchNodes {
    #[serde(rename_all = "camelCase")]
    Own {
        associated_pull_requests: Nodes<PullNode>,
    },
    Named(Nodes<PullNode>),
}

#[derive(Deserialize)]
struct CommitTarget {
    oid: String,
}

#[derive(Deserialize)]
struct Nodes<T> {
    nodes: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullNode {
    number: u64,
    url: String,
    state: PullState,
    title: String,
    body: String,
    is_cross_repository: bool,
    head_ref_oid: String,
    labels: Option<Nodes<LabelName>>,
    #[serde(flatten)]
    open: Option<Open>,
}

/// What only open ones say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    id: String,
    is_draft: bool,
    is_in_merge_queue: bool,
    is_merge_queue_enabled: bool,
    merge_state_status: MergeState,
    review_decision: Option<String>,
    author: Option<Login>,
    auto_merge_request: Option<AutoMergeRequest>,
    review_requests: TotalCount,
    latest_opinionated_reviews: Option<Reviews>,
    /// Only where checks are asked for.
    commits: Option<Nodes<Last>>,
}

/// Verdicts on a merge (<https://docs.github.com/en/graphql/reference/enums#mergestatestatus>).
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum MergeState {
    Behind,
    Blocked,
    Clean,
    Dirty,
    HasHooks,
    Unstable,
    #[serde(other)]
    Unknown,
}

impl From<MergeState> for Mergeable {
    fn from(state: MergeState) -> Self {
        match state {
            MergeState::Behind => Self::Behind,
            MergeState::Blocked => Self::Blocked,
            // Checks that are not required do not prevent a merge, nor do hooks.
            MergeState::Clean | MergeState::HasHooks | MergeState::Unstable => Self::Yes,
            MergeState::Dirty => Self::Conflict,
            MergeState::Unknown => Self::Unknown,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AutoMergeRequest {
    enabled_by: Option<Login>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TotalCount {
    total_count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reviews {
    page_info: PageInfo,
    nodes: Vec<Review>,
}

#[derive(Deserialize)]
struct Review {
    state: String,
    commit: Option<CommitTarget>,
    author: Option<ReviewAuthor>,
}

#[derive(Deserialize)]
struct ReviewAuthor {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
}

#[derive(Deserialize)]
struct Last {
    commit: HeadCommit,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadCommit {
    oid: String,
    status_check_rollup: Option<Rollup>,
}

#[derive(Deserialize)]
pub(super) struct Rollup {
    contexts: Contexts,
}

impl Rollup {
    /// The checks, and whether they are all of them.
    pub(super) fn read(self) -> (Vec<Check>, bool) {
        let is_whole = !self.contexts.page_info.has_next_page;
        (self.contexts.nodes.into_iter().map(Check::from).collect(), is_whole)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contexts {
    page_info: PageInfo,
    nodes: Vec<Context>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
}

/// A check run or a status.
#[derive(Deserialize)]
#[serde(tag = "__typename")]
enum Context {
    #[serde(rename_all = "camelCase")]
    CheckRun {
        name: String,
        conclusion: Option<String>,
        check_suite: Option<Suite>,
    },
    StatusContext {
        context: String,
        state: String,
        creator: Option<Login>,
    },
}

#[derive(Deserialize)]
struct Suite {
    app: Option<CheckApp>,
}

#[derive(Deserialize)]
struct CheckApp {
    slug: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum PullState {
    Open,
    Closed,
    Merged,
}

/// The question: names travel as variables, never as text of the query. Not every token may see checks.
pub(super) fn question(of: &RepoId, base: &str, branches: &[&str], with_checks: bool) -> Value {
    let mut parameters =
        "$owner: String!, $name: String!, $base: String!, $ref: String!".to_owned();
    let mut fields = "squashMergeAllowed mergeCommitAllowed rebaseMergeAllowed autoMergeAllowed \
        deleteBranchOnMerge base: ref(qualifiedName: $ref) { target { oid } } "
        .to_owned();
    let mut variables = Map::new();
    let reference = format!("refs/heads/{base}");
    let named = [("owner", of.owner()), ("name", of.name()), ("base", base), ("ref", &reference)];
    for (key, value) in named {
        variables.insert(key.to_owned(), json!(value));
    }
    let commits = format!("commits(last: 1) {{ nodes {{ commit {{ oid {CONTEXTS} }} }} }}");
    for (index, branch) in branches.iter().enumerate() {
        write!(parameters, ", $b{index}: String!, $r{index}: String!").ok();
        let labels = format!("labels(first: {LABELS}) {{ nodes {{ name }} }}");
        let commits = if with_checks { commits.as_str() } else { "" };
        write!(
            fields,
            "o{index}: ref(qualifiedName: $r{index}) {{ associatedPullRequests(states: OPEN, baseRefName: $base, \
             first: {PULLS}) {{ nodes {{ {BRIEF} {OPEN} {commits} {labels} }} }} }} "
        )
        .ok();
        for (alias, state, first) in STATES {
            write!(
                fields,
                "{alias}{index}: pullRequests(states: {state}, headRefName: $b{index}, baseRefName: $base, \
                 first: {first}, orderBy: {{field: CREATED_AT, direction: DESC}}) {{ nodes {{ {BRIEF} {labels} }} }} "
            )
            .ok();
        }
        variables.insert(format!("r{index}"), json!(format!("refs/heads/{branch}")));
        variables.insert(format!("b{index}"), json!(branch));
    }
    let query = format!(
        "query({parameters}) {{ viewer {{ login }} repository(owner: $owner, name: $name) {{ {fields}}} }}"
    );
    json!({"query": query, "variables": variables})
}

/// The pull requests by branch with the rules of the repository, and the branches of which forks have too many.
/// `None` when GitHub does not know the repository.
pub(super) fn read(answer: PullsAnswer, branches: &[&str]) -> Option<(Observed, BTreeSet<String>)> {
    let (mut pulls, mut crowded) = (BTreeMap::new(), BTreeSet::new());
    let repository = answer.repository?;
    let methods = [
        (repository.squash_merge_allowed, MergeMethod::Squash),
        (repository.merge_commit_allowed, MergeMethod::Merge),
        (repository.rebase_merge_allowed, MergeMethod::Rebase),
    ];
    let methods =
        methods.into_iter().filter_map(|(is_allowed, method)| is_allowed.then_some(method));
    let rules = RepoRules {
        starts_no_checks: starts_no_checks(&answer.viewer.login),
        viewer: answer.viewer.login,
        methods: methods.collect(),
        auto_merge: repository.auto_merge_allowed,
        deletes_branches: repository.delete_branch_on_merge,
        base: repository.base.and_then(|base| base.target).map(|target| target.oid),
    };
    for (alias, found) in repository.pulls {
        let index: Option<usize> = alias.get(1..).and_then(|index| index.parse().ok());
        let Some(branch) = index.and_then(|index| branches.get(index)) else { continue };
        let slot: &mut BranchPullRequests = pulls.entry((*branch).to_owned()).or_default();
        // A branch that is gone has no open one.
        let nodes = match found {
            None => continue,
            Some(BranchNodes::Own { associated_pull_requests }) => associated_pull_requests.nodes,
            Some(BranchNodes::Named(nodes)) => nodes.nodes,
        };
        // So many of forks that ours may be behind them: anybody can open those.
        let limit = STATES.iter().find(|(known, ..)| alias.starts_with(known));
        let is_full = limit.is_some_and(|(.., first)| nodes.len() >= *first);
        if is_full && nodes.iter().any(|pull| pull.is_cross_repository) {
            crowded.insert((*branch).to_owned());
        }
        // A fork can have a branch of the same name. The newest comes first.
        for pull in nodes.into_iter().filter(|pull| !pull.is_cross_repository) {
            let state = pull.state;
            match state {
                PullState::Open => drop(slot.open.get_or_insert_with(|| pull.read(&rules))),
                PullState::Closed => drop(slot.closed.get_or_insert_with(|| pull.read(&rules))),
                PullState::Merged => slot.merged.push(pull.read(&rules)),
            }
        }
    }
    Some((Observed { pulls, rules }, crowded))
}

/// True if a token is a workflow's own, whose pull requests start no checks
/// (<https://docs.github.com/en/actions/concepts/security/github_token>).
fn starts_no_checks(viewer: &str) -> bool {
    matches!(viewer, "github-actions[bot]" | "github-actions")
}

/// A pull request as REST lists it, with less than GraphQL says.
#[derive(Deserialize)]
pub(super) struct Row {
    number: u64,
    html_url: String,
    node_id: String,
    title: String,
    body: Option<String>,
    state: String,
    merged_at: Option<String>,
    draft: Option<bool>,
    head: Head,
    user: Option<Login>,
    labels: Vec<LabelName>,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

/// The pull requests of one branch of the repository itself, the newest first.
pub(super) fn of_rows(rows: Vec<Row>) -> BranchPullRequests {
    let mut pulls = BranchPullRequests::default();
    for row in rows {
        let (state, is_merged) = (row.state == "open", row.merged_at.is_some());
        let pull = PullRequest {
            number: row.number,
            url: row.html_url,
            title: row.title,
            body: row.body.unwrap_or_default(),
            labels: row.labels.into_iter().map(|label| label.name).collect(),
            id: row.node_id,
            head: row.head.sha,
            author: row.user.map(|user| user.login).unwrap_or_default(),
            is_draft: row.draft.unwrap_or_default(),
            // Reviews and checks are not known, so it is not merged.
            wants_review: true,
            more_checks: true,
            ..PullRequest::default()
        };
        match (state, is_merged) {
            (true, _) => drop(pulls.open.get_or_insert(pull)),
            (false, true) => pulls.merged.push(pull),
            (false, false) => drop(pulls.closed.get_or_insert(pull)),
        }
    }
    pulls.merged.truncate(MERGED);
    pulls
}

impl From<Context> for Check {
    fn from(context: Context) -> Self {
        // https://docs.github.com/en/graphql/reference/enums#checkconclusionstate
        match context {
            Context::CheckRun { name, conclusion, check_suite } => {
                let by = check_suite.and_then(|suite| suite.app).map(|app| app.slug);
                let passed = conclusion
                    .as_deref()
                    .map(|conclusion| matches!(conclusion, "SUCCESS" | "NEUTRAL" | "SKIPPED"));
                let counts = conclusion.as_deref() == Some("SUCCESS");
                Self { name, by, passed, counts }
            }
            Context::StatusContext { context, state, creator } => {
                let by = creator.map(|creator| creator.login);
                let passed = match state.as_str() {
                    "SUCCESS" => Some(true),
                    "PENDING" | "EXPECTED" => None,
                    _ => Some(false),
                };
                Self { name: context, by, passed, counts: passed == Some(true) }
            }
        }
    }
}

impl PullNode {
    /// The pull request of an answer. A review by who asks approves nothing.
    fn read(self, rules: &RepoRules) -> PullRequest {
        let pull = self;
        let labels = pull.labels.into_iter().flat_map(|labels| labels.nodes);
        let mut read = PullRequest {
            number: pull.number,
            url: pull.url,
            title: pull.title,
            body: pull.body,
            labels: labels.map(|label| label.name).collect(),
            head: pull.head_ref_oid,
            ..PullRequest::default()
        };
        let Some(open) = pull.open else { return read };
        read.id = open.id;
        read.is_draft = open.is_draft;
        read.queue = match (open.is_merge_queue_enabled, open.is_in_merge_queue) {
            (_, true) => Queue::Inside,
            (true, false) => Queue::Outside,
            (false, false) => Queue::None,
        };
        read.mergeable = open.merge_state_status.into();
        read.wants_review = open.review_decision.is_some_and(|decision| decision != "APPROVED");
        read.author = open.author.map(|author| author.login).unwrap_or_default();
        read.wants_review |= open.review_requests.total_count > 0;
        if let Some(reviews) = open.latest_opinionated_reviews {
            // Somebody who is not read may want changes.
            read.wants_review |= reviews.page_info.has_next_page;
            read.changes_requested |= reviews.page_info.has_next_page;
            for review in reviews.nodes {
                read.changes_requested |= review.state == "CHANGES_REQUESTED";
                // What was approved before the last push was something else.
                let commit = review.commit.map(|commit| commit.oid);
                // No program approves what a program proposes.
                let is_person =
                    review.author.is_some_and(|by| by.kind == "User" && !rules.is_own(&by.login));
                let approves = review.state == "APPROVED" && is_person;
                read.is_approved |= approves && commit.as_ref() == Some(&read.head);
            }
        }
        read.auto_merge_by = open
            .auto_merge_request
            .map(|request| request.enabled_by.map(|by| by.login).unwrap_or_default());
        // Checks that were not asked for are not none.
        read.more_checks = open.commits.is_none();
        let last = open.commits.and_then(|commits| commits.nodes.into_iter().next_back());
        // Checks of another commit say nothing about this one.
        let commit = last.map(|last| last.commit).filter(|commit| commit.oid == read.head);
        if let Some(contexts) = commit.and_then(|commit| commit.status_check_rollup) {
            let (checks, is_whole) = contexts.read();
            (read.checks, read.more_checks) = (checks, !is_whole);
        }
        read
    }
}

#[cfg(test)]
mod tests;
