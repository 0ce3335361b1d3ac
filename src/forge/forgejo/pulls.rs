//! Pull requests of many branches (`GET /repos/{owner}/{repo}/pulls`). The interface lists those of a repository and not
//! those of a branch, so all are read: at once where they are few.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde::Deserialize;

use super::rules::Repository;
use super::text::without_draft;
use super::timeline::auto_merge_by;
use super::{Account, Forgejo, MAX_PAGES};
use crate::forge::{ForgeFault, Observed};
use crate::pull_request::{BranchPullRequests, Mergeable, PullRequest};

/// Pull requests of which more is read at once.
const AT_ONCE: usize = 4;

/// What was merged earlier than this is not compared with what is deployed.
const MERGED: usize = 5;

/// Waits for the server to say whether it can merge something, which it finds out in the background.
const WAITS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

/// A pull request as the interface lists it.
#[derive(Clone, Deserialize)]
pub(super) struct SentPull {
    pub(super) number: u64,
    pub(super) html_url: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) body: Option<String>,
    user: Option<Account>,
    #[serde(default)]
    pub(super) labels: Option<Vec<SentLabel>>,
    pub(super) state: String,
    #[serde(default)]
    pub(super) merged: bool,
    /// Absent on older versions, where the title says it.
    #[serde(default)]
    draft: Option<bool>,
    /// False also while that is not known yet.
    #[serde(default)]
    mergeable: bool,
    pub(super) head: BranchEnd,
    pub(super) base: BranchEnd,
}

/// The head or the base of a pull request.
#[derive(Clone, Deserialize)]
pub(super) struct BranchEnd {
    /// The name of the branch, also where that is gone.
    #[serde(default)]
    pub(super) label: String,
    #[serde(default)]
    pub(super) sha: String,
    repo_id: i64,
    repo: Option<Repository>,
}

/// A label with its number, by which the interface wants it named.
#[derive(Clone, Deserialize)]
pub(super) struct SentLabel {
    pub(super) id: u64,
    pub(super) name: String,
}

/// A commit, as far as it says what is before it.
#[derive(Deserialize)]
struct SentCommit {
    #[serde(default)]
    parents: Vec<ParentCommit>,
}

#[derive(Deserialize)]
struct ParentCommit {
    sha: String,
}

impl SentPull {
    /// True if it is from the repository itself: a fork can have a branch of the same name.
    fn is_own(&self) -> bool {
        self.head.repo_id == self.base.repo_id
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == "open"
    }

    pub(super) fn is_draft(&self) -> bool {
        self.draft.unwrap_or_else(|| without_draft(&self.title) != self.title)
    }

    /// True if it may be in conflict: that the server cannot merge it can also mean that it is still looking.
    fn may_conflict(&self) -> bool {
        self.is_open() && !self.mergeable && !self.is_draft()
    }

    /// The verdict of the list: a conflict, where the server may still be looking.
    fn verdict(&self) -> Mergeable {
        match () {
            () if self.mergeable => Mergeable::Yes,
            () if self.may_conflict() => Mergeable::Conflict,
            () => Mergeable::Unknown,
        }
    }

    /// The pull request. Its checks, reviews and auto-merge, nothing here says.
    fn pull_request(self) -> PullRequest {
        let (is_draft, mergeable) = (self.is_draft(), self.verdict());
        PullRequest {
            number: self.number,
            url: self.html_url,
            title: without_draft(&self.title).to_owned(),
            body: self.body.unwrap_or_default(),
            labels: self.labels.unwrap_or_default().into_iter().map(|label| label.name).collect(),
            head: self.head.sha,
            author: self.user.map(|user| user.login).unwrap_or_default(),
            is_draft,
            mergeable,
            more_checks: true,
            // A schedule that its timeline does not show is taken back before anything is pushed.
            auto_merge_unread: true,
            ..PullRequest::default()
        }
    }
}

/// The pull requests of a repository, and those of them that concern a base.
pub(super) struct PullLists {
    rows: Vec<SentPull>,
}

impl PullLists {
    /// Of a row that is there twice, the later one is how it is.
    pub(super) fn new(rows: Vec<SentPull>) -> Self {
        let rows = rows.into_iter().map(|row| (row.number, row));
        let rows: BTreeMap<u64, SentPull> = rows.collect();
        Self { rows: rows.into_values().rev().collect() }
    }

    /// The settings of the repository, where a row has them.
    fn repository(&self) -> Option<Repository> {
        self.rows.iter().find_map(|row| row.base.repo.clone())
    }

    /// Pull requests by branch, newest first.
    pub(super) fn by_branch(
        self,
        branches: &[&str],
        base: &str,
    ) -> BTreeMap<String, BranchPullRequests> {
        let none = |branch: &&str| ((*branch).to_owned(), BranchPullRequests::default());
        let mut pulls: BTreeMap<_, _> = branches.iter().map(none).collect();
        for row in self.rows {
            let is_meant = row.is_own() && row.base.label == base;
            let Some(slot) = pulls.get_mut(&row.head.label).filter(|_| is_meant) else { continue };
            match (row.is_open(), row.merged) {
                (true, _) if slot.open.is_none() => slot.open = Some(row.pull_request()),
                (false, true) if slot.merged.len() < MERGED => {
                    slot.merged.push(row.pull_request());
                }
                (false, false) if slot.closed.is_none() => slot.closed = Some(row.pull_request()),
                _ => {}
            }
        }
        pulls
    }
}

impl Forgejo {
    /// Reads the pull requests of branches to a base, with their checks where these matter, and the rules of the repository.
    pub(super) async fn pulls(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, ForgeFault> {
        let viewer = self.viewer().await?;
        self.learn(|seen| base.clone_into(&mut seen.base));
        let lists = self.lists_of(branches, with_checks).await?;
        let repository = match lists.repository() {
            Some(repository) => repository,
            None => self.repository_settings().await?,
        };
        let mut rules = repository.rules(viewer, self.repository.path())?;
        let mut pulls = lists.by_branch(branches, base);
        let open = pulls.iter().filter_map(|(branch, pulls)| Some((branch, pulls.open.as_ref()?)));
        let numbers: Vec<_> = open.map(|(branch, open)| (branch.clone(), open.number)).collect();
        self.learn(|seen| seen.open.extend(numbers));
        let has_merged = pulls.values().any(|pulls| !pulls.merged.is_empty());
        let open = pulls.values_mut().filter_map(|pulls| pulls.open.as_mut());
        self.read_open(open.collect(), &rules.viewer, with_checks).await?;
        // The base is read last: what was merged before the lists were read is in it.
        if has_merged {
            rules.base = self.base_commit(base).await?;
        }
        Ok(Observed { pulls, rules })
    }

    /// Reads the pull requests that branches can be in: a single one that is looked at again is known by its number.
    async fn lists_of(&self, branches: &[&str], again: bool) -> Result<PullLists, ForgeFault> {
        let known = match branches {
            [] => return Ok(PullLists::new(Vec::new())),
            [branch] if again => self.observed().open.get(*branch).copied(),
            _ => None,
        };
        match known {
            Some(number) => Ok(PullLists::new(vec![self.sent_pull(number).await?])),
            None => self.lists().await,
        }
    }

    /// Reads all pull requests.
    async fn lists(&self) -> Result<PullLists, ForgeFault> {
        let route = |state: &str| self.route(&format!("pulls?state={state}"));
        let is_long = self.observed().has_long_list;
        let (mut rows, total) =
            if is_long { (Vec::new(), None) } else { self.part(&route("all"), 1).await? };
        let has_more = total.is_none_or(|total| total > rows.len());
        self.learn(|seen| seen.has_long_list = has_more);
        if has_more {
            rows.extend(self.list(&route("open")).await?);
            let (closed, is_cut) = self.parts(&route("closed")).await?;
            rows.extend(closed);
            if is_cut {
                tracing::warn!(
                    "older pull requests than the newest {MAX_PAGES} parts of the list are not read"
                );
            }
        }
        Ok(PullLists::new(rows))
    }

    /// Reads what the list does not say of open pull requests.
    async fn read_open(
        &self,
        open: Vec<&mut PullRequest>,
        viewer: &str,
        with_checks: bool,
    ) -> Result<(), ForgeFault> {
        let base = self.observed().base;
        let wants_base =
            with_checks && !open.is_empty() && self.wants_base_in_branch(&base).await?;
        let read = stream::iter(open).map(async |pull| {
            // Nobody merges by hand or by the server what no policy wants merged; where a note of ours stands before the
            // text, people have it.
            if with_checks || pull.body.starts_with('>') {
                self.read_timeline(pull).await?;
            }
            if pull.mergeable == Mergeable::Conflict {
                pull.mergeable = self.settled(pull.number).await?;
            }
            if with_checks {
                self.read_checks(pull).await;
                self.read_reviews(viewer, pull).await;
            }
            if wants_base
                && pull.mergeable == Mergeable::Yes
                && !self.is_on_base(pull.number).await?
            {
                pull.mergeable = Mergeable::Behind;
            }
            Ok(())
        });
        let all: Vec<Result<(), ForgeFault>> = read.buffer_unordered(AT_ONCE).collect().await;
        all.into_iter().collect()
    }

    /// Reads whether the server merges it by itself. Where that cannot be read, the report says so, and a schedule is taken back
    /// before a push all the same.
    async fn read_timeline(&self, pull: &mut PullRequest) -> Result<(), ForgeFault> {
        match self.timeline(pull.number, 1).await {
            Ok(events) => pull.auto_merge_by = auto_merge_by(&events),
            Err(fault @ (ForgeFault::RateLimited(_) | ForgeFault::Unauthorized)) => {
                return Err(fault);
            }
            Err(fault) => {
                tracing::warn!(
                    pull.number,
                    ?fault,
                    "what happened to a pull request cannot be read"
                );
                pull.ignored_labels.push("what happened to it cannot be read".to_owned());
            }
        }
        Ok(())
    }

    /// Reads the checks of a head. Those that cannot be read let nothing be merged.
    async fn read_checks(&self, pull: &mut PullRequest) {
        let checks = self.statuses(&pull.head).await;
        if let Err(fault) = &checks {
            tracing::warn!(pull.number, ?fault, "checks of a pull request cannot be read");
        }
        let checks = checks.ok().flatten();
        pull.more_checks = checks.is_none();
        pull.checks = checks.unwrap_or_default();
    }

    /// The server's verdict once it has looked. What is on the base is in no conflict with it.
    async fn settled(&self, number: u64) -> Result<Mergeable, ForgeFault> {
        if self.is_on_base(number).await? {
            return Ok(Mergeable::Unknown);
        }
        let mut waits = WAITS.into_iter();
        loop {
            let verdict = self.sent_pull(number).await?.verdict();
            let wait = waits.next().filter(|_| verdict == Mergeable::Conflict);
            let Some(wait) = wait else { return Ok(verdict) };
            tokio::time::sleep(wait).await;
        }
    }

    /// True if a branch comes right after the commit of its base.
    pub(super) async fn is_on_base(&self, number: u64) -> Result<bool, ForgeFault> {
        let there = self.sent_pull(number).await?;
        let route = self.route(&format!(
            "git/commits/{}?stat=false&verification=false&files=false",
            there.head.sha
        ));
        match self.get::<SentCommit>(&route).await {
            Ok(commit) => Ok(commit.parents.iter().any(|parent| parent.sha == there.base.sha)),
            Err(ForgeFault::NotFound(_)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// A pull request as it is now.
    pub(super) async fn sent_pull(&self, number: u64) -> Result<SentPull, ForgeFault> {
        self.get(&self.route(&format!("pulls/{number}"))).await
    }
}
