//! The verbs of a forge, as GitLab has them.

use std::collections::BTreeMap;

use super::GitLab;
use crate::forge::{
    AutoMerged, Check, Decoration, Fault, Forge, Issue, Labeller, MadeCommit, Merged, NewCommit,
    NewPullRequest, Observed, PullRef, PullRequest, PullRequestEdit, Release,
};
use crate::policy::MergeMethod;
use crate::repo_id::RepoId;

impl Forge for GitLab {
    type Error = Fault;

    fn repository(&self) -> &RepoId {
        &self.repository
    }

    async fn observe(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, Fault> {
        self.merge_requests(branches, base, with_checks).await
    }

    async fn checks(&self, commits: &[&str]) -> Result<BTreeMap<String, Vec<Check>>, Fault> {
        self.all_statuses(commits).await
    }

    async fn open(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, Fault> {
        self.create(new).await
    }

    async fn edit(&self, number: u64, edit: &PullRequestEdit<'_>) -> Result<(), Fault> {
        self.update(number, edit).await
    }

    async fn label(&self, number: u64, labels: &[String]) -> Result<(), Fault> {
        self.add_labels(number, labels).await
    }

    async fn unlabel(&self, number: u64, label: &str) -> Result<(), Fault> {
        self.remove_label(number, label).await
    }

    async fn unlabel_if_set(&self, number: u64, label: &str) -> Result<(), Fault> {
        self.remove_label(number, label).await
    }

    async fn labelled_by(&self, number: u64, label: &str) -> Result<Option<Labeller>, Fault> {
        self.labelled(number, label).await
    }

    async fn decorate(&self, number: u64, with: &Decoration<'_>) -> Result<(), Fault> {
        self.set_decoration(number, with).await
    }

    async fn milestone(&self, title: &str) -> Result<u64, Fault> {
        self.milestone_of(title).await
    }

    async fn merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, Fault> {
        self.merge_now(pull.number, head, method).await
    }

    async fn enable_auto_merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<AutoMerged, Fault> {
        self.auto_merge(pull.number, head, method).await
    }

    async fn disable_auto_merge(&self, pull: &PullRef) -> Result<(), Fault> {
        self.cancel_merge(pull.number).await
    }

    async fn enqueue(&self, pull: &PullRef, head: &str) -> Result<Merged, Fault> {
        self.join_train(pull.number, head).await
    }

    async fn dequeue(&self, pull: &PullRef) -> Result<(), Fault> {
        self.cancel_merge(pull.number).await
    }

    async fn public_releases(&self, of: &RepoId) -> Result<Vec<Release>, Fault> {
        self.releases(of).await
    }

    async fn keep_issue(&self, issue: &Issue<'_>) -> Result<bool, Fault> {
        self.show(issue).await
    }

    async fn commit(&self, _new: &NewCommit<'_>) -> Result<MadeCommit, Fault> {
        // Of a commit that GitLab makes, it does not say which tree it has.
        Err(Fault::Unsupported("makes no commits for this program"))
    }
}
