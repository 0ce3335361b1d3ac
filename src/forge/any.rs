//! The one match on the product of a forge.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    AutoMerged, Check, Decoration, Forge, ForgeError, Forgejo, GitHub, GitLab, Issue, Labeller,
    MadeCommit, Merged, NewCommit, NewPullRequest, Observed, PullRef, PullRequest, PullRequestEdit,
    Release, github,
};
use crate::forge_kind::ForgeKind;
use crate::policy::MergeMethod;
use crate::repo_id::RepoId;
use crate::secret::Secret;
use crate::settings::{ForgeSettings, Moment};
use crate::store::Store;

/// A forge of any product.
pub enum AnyForge {
    /// GitHub, or GitHub Enterprise Server.
    GitHub(Box<GitHub>),
    /// GitLab.
    GitLab(Box<GitLab>),
    /// Forgejo or Gitea.
    Forgejo(Box<Forgejo>),
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
        let forge = match settings.kind {
            ForgeKind::GitHub => GitHub::new(settings, clock, repository)
                .map(|forge| Self::GitHub(Box::new(forge.with_store(store)))),
            ForgeKind::GitLab => {
                GitLab::new(settings, repository).map(|forge| Self::GitLab(Box::new(forge)))
            }
            ForgeKind::Forgejo | ForgeKind::Gitea => {
                Forgejo::new(settings, repository).map(|forge| Self::Forgejo(Box::new(forge)))
            }
        };
        forge.map_err(|fault| fault.of(settings.kind))
    }
}

impl AnyForge {
    /// The product.
    #[must_use]
    pub fn kind(&self) -> ForgeKind {
        match self {
            Self::GitHub(_) => ForgeKind::GitHub,
            Self::GitLab(_) => ForgeKind::GitLab,
            Self::Forgejo(forge) => forge.kind(),
        }
    }
}

/// A token for a repository, where the settings name an app that signs in for one.
///
/// # Errors
/// The app is not accepted or not installed there, or the forge cannot be reached.
pub async fn sign_in(
    settings: &ForgeSettings,
    of: &RepoId,
    clock: Timestamp,
) -> Result<Option<Secret>, ForgeError> {
    let Some(app) = &settings.app else { return Ok(None) };
    let token = github::sign_in(settings, app, of, clock).await;
    token.map(Some).map_err(|fault| fault.of(settings.kind))
}

/// Has the product do it.
macro_rules! ask {
    ($self:ident.$verb:ident($($argument:expr),*)) => {
        match $self {
            Self::GitHub(forge) => {
                let answer = Forge::$verb(&**forge, $($argument),*).await;
                answer.map_err(|fault| fault.of(ForgeKind::GitHub))
            }
            Self::GitLab(forge) => {
                let answer = Forge::$verb(&**forge, $($argument),*).await;
                answer.map_err(|fault| fault.of(ForgeKind::GitLab))
            }
            Self::Forgejo(forge) => {
                let answer = Forge::$verb(&**forge, $($argument),*).await;
                answer.map_err(|fault| fault.of(forge.kind()))
            }
        }
    };
}

impl Forge for AnyForge {
    type Error = ForgeError;

    fn repository(&self) -> &RepoId {
        match self {
            Self::GitHub(forge) => Forge::repository(&**forge),
            Self::GitLab(forge) => Forge::repository(&**forge),
            Self::Forgejo(forge) => Forge::repository(&**forge),
        }
    }

    async fn observe(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, ForgeError> {
        ask!(self.observe(branches, base, with_checks))
    }

    async fn checks(&self, commits: &[&str]) -> Result<BTreeMap<String, Vec<Check>>, ForgeError> {
        ask!(self.checks(commits))
    }

    async fn open(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, ForgeError> {
        ask!(self.open(new))
    }

    async fn edit(&self, number: u64, edit: &PullRequestEdit<'_>) -> Result<(), ForgeError> {
        ask!(self.edit(number, edit))
    }

    async fn label(&self, number: u64, labels: &[String]) -> Result<(), ForgeError> {
        ask!(self.label(number, labels))
    }

    async fn unlabel(&self, number: u64, label: &str) -> Result<(), ForgeError> {
        ask!(self.unlabel(number, label))
    }

    async fn unlabel_if_set(&self, number: u64, label: &str) -> Result<(), ForgeError> {
        ask!(self.unlabel_if_set(number, label))
    }

    async fn labelled_by(&self, number: u64, label: &str) -> Result<Option<Labeller>, ForgeError> {
        ask!(self.labelled_by(number, label))
    }

    async fn decorate(&self, number: u64, with: &Decoration<'_>) -> Result<(), ForgeError> {
        ask!(self.decorate(number, with))
    }

    async fn milestone(&self, title: &str) -> Result<u64, ForgeError> {
        ask!(self.milestone(title))
    }

    async fn merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<Merged, ForgeError> {
        ask!(self.merge(pull, head, method))
    }

    async fn enable_auto_merge(
        &self,
        pull: &PullRef,
        head: &str,
        method: MergeMethod,
    ) -> Result<AutoMerged, ForgeError> {
        ask!(self.enable_auto_merge(pull, head, method))
    }

    async fn disable_auto_merge(&self, pull: &PullRef) -> Result<(), ForgeError> {
        ask!(self.disable_auto_merge(pull))
    }

    async fn enqueue(&self, pull: &PullRef, head: &str) -> Result<Merged, ForgeError> {
        ask!(self.enqueue(pull, head))
    }

    async fn dequeue(&self, pull: &PullRef) -> Result<(), ForgeError> {
        ask!(self.dequeue(pull))
    }

    async fn public_releases(&self, of: &RepoId) -> Result<Vec<Release>, ForgeError> {
        ask!(self.public_releases(of))
    }

    async fn keep_issue(&self, issue: &Issue<'_>) -> Result<bool, ForgeError> {
        ask!(self.keep_issue(issue))
    }

    async fn commit(&self, new: &NewCommit<'_>) -> Result<MadeCommit, ForgeError> {
        ask!(self.commit(new))
    }
}
