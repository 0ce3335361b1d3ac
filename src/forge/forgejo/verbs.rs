//! The verbs of a forge, as Forgejo and Gitea have them.

use std::collections::BTreeMap;

use super::Forgejo;
use crate::forge::{
    AutoMerged, Check, Decoration, Forge, ForgeFault, Issue, Labeller, MadeCommit, Merged,
    NewCommit, NewPullRequest, Observed, PullRef, PullRequest, PullRequestEdit, Release,
};
use crate::policy::MergeMethod;
use crate::repo_id::RepoId;

impl Forge for Forgejo {
    type Error = ForgeFault;

    fn repository(&self) -> &RepoId {
        &self.repository
    }

    async fn observe(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, ForgeFault> {
        self.pulls(branches, base, with_checks).await
    }

    async fn checks(&self, commits: &[&str]) -> Result<BTreeMap<String, Vec<Check>>, ForgeFault> {
        self.all_statuses(commits).await
    }

    async fn open(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, ForgeFault> {
        self.create(new).await
    }

    async fn edit(&self, number: u64, edit: &PullRequestEdit<'_>) -> Result<(), ForgeFault> {
        self.update(number, edit).await
    }

    async fn label(&self, number: u64, labels: &[String]) -> Result<(), ForgeFault> {
        self.add_labels(number, labels).await.map(drop)
    }

    async fn unlabel(&self, number: u64, label: &str) -> Result<(), ForgeFault> {
        self.remove_label(number, label).await
    }

    async fn unlabel_if_set(&self, number: u64, label: &str) -> Result<(), ForgeFault> {
        self.remove_label(number, label).await
    }

    async fn labelled_by(&self, number: u64, label: &str) -> Result<Option<Labeller>, ForgeFault> {
        self.labelled(number, label).await
    }

    async fn decorate(&self, number: u64, with: &Decoration<'_>) -> Result<(), ForgeFault> {
        self.set_decoration(number, with).await
    }

    async fn milestone(&self, title: &str) -> Result<u64, ForgeFault> {
        self.milestone_of(title).await
    }

    async fn merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, ForgeFault> {
        self.merge_now(pull.number, head, method).await
    }

    async fn enable_auto_merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<AutoMerged, ForgeFault> {
        self.auto_merge(pull.number, head, method).await
    }

    async fn disable_auto_merge(&self, pull: &PullRef) -> Result<(), ForgeFault> {
        self.cancel_merge(pull.number).await
    }

    async fn enqueue(&self, _pull: &PullRef, _head: &str) -> Result<Merged, ForgeFault> {
        Err(ForgeFault::Unsupported("has no merge queue"))
    }

    async fn dequeue(&self, _pull: &PullRef) -> Result<(), ForgeFault> {
        Err(ForgeFault::Unsupported("has no merge queue"))
    }

    async fn public_releases(&self, of: &RepoId) -> Result<Vec<Release>, ForgeFault> {
        self.releases(of).await
    }

    async fn keep_issue(&self, issue: &Issue<'_>) -> Result<bool, ForgeFault> {
        self.show(issue).await
    }

    async fn commit(&self, _new: &NewCommit<'_>) -> Result<MadeCommit, ForgeFault> {
        // It can make some, but not say after which commit.
        Err(ForgeFault::Unsupported("makes no commits for this program"))
    }
}
