//! The verbs of a forge, as GitHub has them.

use std::collections::BTreeMap;

use super::GitHub;
use crate::forge::{
    Check, Decoration, Forge, ForgeError, Issue, Labeller, MadeCommit, Merged, NewCommit,
    NewPullRequest, Observed, PullRef, PullRequest, PullRequestEdit, Release,
};
use crate::policy::MergeMethod;
use crate::repo_id::RepoId;

impl Forge for GitHub {
    fn repository(&self) -> &RepoId {
        &self.repository
    }

    async fn observe(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, ForgeError> {
        Self::pulls(self, branches, base, with_checks).await
    }

    async fn checks(&self, commits: &[&str]) -> Result<BTreeMap<String, Vec<Check>>, ForgeError> {
        Self::checks(self, commits).await
    }

    async fn open(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, ForgeError> {
        Self::open(self, new).await
    }

    async fn edit(&self, number: u64, edit: &PullRequestEdit<'_>) -> Result<(), ForgeError> {
        Self::edit(self, number, edit).await
    }

    async fn label(&self, number: u64, labels: &[String]) -> Result<(), ForgeError> {
        Self::label(self, number, labels).await
    }

    async fn unlabel(&self, number: u64, label: &str) -> Result<(), ForgeError> {
        Self::unlabel(self, number, label).await
    }

    async fn unlabel_if_set(&self, number: u64, label: &str) -> Result<(), ForgeError> {
        Self::unlabel_if_set(self, number, label).await
    }

    async fn labelled_by(&self, number: u64, label: &str) -> Result<Option<Labeller>, ForgeError> {
        Self::labelled_by(self, number, label).await
    }

    async fn decorate(&self, number: u64, with: &Decoration<'_>) -> Result<(), ForgeError> {
        Self::decorate(self, number, with).await
    }

    async fn milestone(&self, title: &str) -> Result<u64, ForgeError> {
        Self::milestone(self, title).await
    }

    async fn merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, ForgeError> {
        Self::merge(self, pull, head, method).await
    }

    async fn enable_auto_merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<bool, ForgeError> {
        Self::enable_auto_merge(self, pull, head, method).await
    }

    async fn disable_auto_merge(&self, pull: &PullRef) -> Result<(), ForgeError> {
        Self::disable_auto_merge(self, pull).await
    }

    async fn enqueue(&self, pull: &PullRef, head: &str) -> Result<Merged, ForgeError> {
        Self::enqueue(self, pull, head).await
    }

    async fn dequeue(&self, pull: &PullRef) -> Result<(), ForgeError> {
        Self::dequeue(self, pull).await
    }

    async fn public_releases(&self, of: &RepoId) -> Result<Vec<Release>, ForgeError> {
        Self::public_releases(self, of).await
    }

    async fn keep_issue(&self, issue: &Issue<'_>) -> Result<bool, ForgeError> {
        Self::keep_issue(self, issue).await
    }

    async fn commit(&self, new: &NewCommit<'_>) -> Result<MadeCommit, ForgeError> {
        Self::commit(self, new).await
    }
}
