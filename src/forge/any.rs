//! The one match on the product of a forge.

use std::collections::BTreeMap;

use super::{
    Check, Decoration, Forge, ForgeError, GitHub, Issue, Labeller, MadeCommit, Merged, NewCommit,
    NewPullRequest, Observed, PullRef, PullRequest, PullRequestEdit, Release,
};
use crate::policy::MergeMethod;
use crate::repo_id::RepoId;
use crate::settings::{ForgeSettings, Moment};
use crate::store::Store;

/// A forge of any product.
pub enum AnyForge {
    /// GitHub, or GitHub Enterprise Server.
    GitHub(Box<GitHub>),
}

impl AnyForge {
    /// The forge of a repository. The clock is a moment by two clocks; answers of earlier runs are in `store`.
    ///
    /// # Errors
    /// There is no token, or the API's address cannot be used.
    pub fn new(
        settings: &ForgeSettings,
        clock: Moment,
        repository: &RepoId,
        store: Option<Store>,
    ) -> Result<Self, ForgeError> {
        let forge = GitHub::new(settings, clock, repository)?.with_store(store);
        Ok(Self::GitHub(Box::new(forge)))
    }
}

impl Forge for AnyForge {
    fn repository(&self) -> &RepoId {
        match self {
            Self::GitHub(forge) => Forge::repository(&**forge),
        }
    }

    async fn observe(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::observe(&**forge, branches, base, with_checks).await,
        }
    }

    async fn checks(&self, commits: &[&str]) -> Result<BTreeMap<String, Vec<Check>>, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::checks(&**forge, commits).await,
        }
    }

    async fn open(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::open(&**forge, new).await,
        }
    }

    async fn edit(&self, number: u64, edit: &PullRequestEdit<'_>) -> Result<(), ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::edit(&**forge, number, edit).await,
        }
    }

    async fn label(&self, number: u64, labels: &[String]) -> Result<(), ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::label(&**forge, number, labels).await,
        }
    }

    async fn unlabel(&self, number: u64, label: &str) -> Result<(), ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::unlabel(&**forge, number, label).await,
        }
    }

    async fn unlabel_if_set(&self, number: u64, label: &str) -> Result<(), ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::unlabel_if_set(&**forge, number, label).await,
        }
    }

    async fn labelled_by(&self, number: u64, label: &str) -> Result<Option<Labeller>, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::labelled_by(&**forge, number, label).await,
        }
    }

    async fn decorate(&self, number: u64, with: &Decoration<'_>) -> Result<(), ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::decorate(&**forge, number, with).await,
        }
    }

    async fn milestone(&self, title: &str) -> Result<u64, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::milestone(&**forge, title).await,
        }
    }

    async fn merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::merge(&**forge, pull, head, method).await,
        }
    }

    async fn enable_auto_merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<bool, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::enable_auto_merge(&**forge, pull, head, method).await,
        }
    }

    async fn disable_auto_merge(&self, pull: &PullRef) -> Result<(), ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::disable_auto_merge(&**forge, pull).await,
        }
    }

    async fn enqueue(&self, pull: &PullRef, head: &str) -> Result<Merged, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::enqueue(&**forge, pull, head).await,
        }
    }

    async fn dequeue(&self, pull: &PullRef) -> Result<(), ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::dequeue(&**forge, pull).await,
        }
    }

    async fn public_releases(&self, of: &RepoId) -> Result<Vec<Release>, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::public_releases(&**forge, of).await,
        }
    }

    async fn keep_issue(&self, issue: &Issue<'_>) -> Result<bool, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::keep_issue(&**forge, issue).await,
        }
    }

    async fn commit(&self, new: &NewCommit<'_>) -> Result<MadeCommit, ForgeError> {
        match self {
            Self::GitHub(forge) => Forge::commit(&**forge, new).await,
        }
    }
}
