//! A config repository's files, wherever they are.

use std::path::Path;
use std::time::Duration;

use url::Url;

use super::Failure;
use crate::changeset::BRANCH_PREFIX;
use crate::git::{Clone, GitError, Remote};
use crate::policy::Via;
use crate::settings::{GitHubSettings, RepoSpec, Scope, Surroundings};
use crate::worktree::WorkTree;

/// A whole fetch or push.
pub(super) const GIT_TIMEOUT: Duration = Duration::from_mins(10);

/// The files that a plan is made from.
pub enum Tree {
    /// A work tree as it is, committed or not.
    Work(WorkTree),
    /// A branch of a repository.
    Git {
        /// The fetched branch.
        clone: Box<Clone>,
        /// `(owner, name)` when it is on GitHub.
        github: Option<(String, String)>,
    },
}

impl Tree {
    /// Opens a repository for reading (`via` is `None`) or for a delivery.
    ///
    /// A work tree is read as it is; to push from it, the branch is fetched from where it came,
    /// so that what is not committed and pushed is not delivered by accident.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn open(
        scope: &Scope,
        around: &Surroundings,
        via: Option<Via>,
    ) -> Result<Self, Failure> {
        let is_bare = |path: &Path| path.join("objects").is_dir() && path.join("HEAD").is_file();
        match (&scope.repo, via) {
            (RepoSpec::Path(path), None | Some(Via::Worktree)) if !is_bare(path) => {
                let tree =
                    WorkTree::open(path).map_err(|error| Failure::Failed(error.to_string()))?;
                Ok(Self::Work(tree))
            }
            (RepoSpec::Path(path), _) if is_bare(path) => {
                fetch(Remote::Path(path.clone()), None, scope.branch.clone()).await
            }
            (RepoSpec::Path(path), _) => {
                let origin = Origin::of(path, &around.github)?;
                fetch(origin.remote, origin.github, scope.branch.clone().or(origin.branch)).await
            }
            (RepoSpec::Remote { url, github }, _) => {
                let remote = http(url, &around.github);
                fetch(remote, github.clone(), scope.branch.clone()).await
            }
        }
    }

    /// The paths of the regular files, sorted.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        match self {
            Self::Work(tree) => tree.paths(),
            Self::Git { clone, .. } => clone.paths(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Work(tree) => tree.read(path).map_err(|error| Failure::Failed(error.to_string())),
            Self::Git { clone, .. } => clone.read(path).map_err(Failure::from),
        }
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Where a work tree was cloned from.
struct Origin {
    remote: Remote,
    github: Option<(String, String)>,
    branch: Option<String>,
}

impl Origin {
    fn of(path: &Path, github: &GitHubSettings) -> Result<Self, Failure> {
        let failed = |error: git2::Error| {
            Failure::Failed(format!("{}: {}", path.display(), error.message()))
        };
        let repository = git2::Repository::open(path).map_err(failed)?;
        let branch = repository.head().ok().filter(git2::Reference::is_branch);
        let branch = branch.and_then(|head| head.shorthand().ok().map(str::to_owned));
        let Ok(origin) = repository.find_remote("origin") else {
            return Ok(Self { remote: Remote::Path(path.to_owned()), github: None, branch });
        };
        let address = origin.url().unwrap_or_default().to_owned();
        match over_http(&address, github) {
            Some(url) => {
                Ok(Self { github: github.name_of(&url), remote: http(&url, github), branch })
            }
            None if Path::new(&address).is_dir() => {
                Ok(Self { remote: Remote::Path(address.into()), github: None, branch })
            }
            None => Err(Failure::Failed(format!(
                "{}: its origin is neither a directory nor reached over HTTPS; name it with --repo",
                path.display()
            ))),
        }
    }
}

/// The HTTP address of an origin; those of the GitHub server may be written for SSH.
fn over_http(address: &str, github: &GitHubSettings) -> Option<Url> {
    let host = github.server_url.host_str()?;
    let ssh = [format!("git@{host}:"), format!("ssh://git@{host}/")];
    if let Some(name) = ssh.iter().find_map(|prefix| address.strip_prefix(prefix.as_str())) {
        let (owner, name) = name.trim_end_matches('/').split_once('/')?;
        return github.repository_url(owner, name.strip_suffix(".git").unwrap_or(name));
    }
    let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let clean = url.username().is_empty() && url.password().is_none();
    clean.then_some(url)
}

/// The token is for the GitHub server and goes nowhere else.
fn http(url: &Url, github: &GitHubSettings) -> Remote {
    let token = github.token.clone().filter(|_| url.origin() == github.server_url.origin());
    Remote::Http { url: url.clone(), token }
}

async fn fetch(
    remote: Remote,
    github: Option<(String, String)>,
    branch: Option<String>,
) -> Result<Tree, Failure> {
    let address = remote.address();
    let clone = Clone::fetch(remote, branch.as_deref(), BRANCH_PREFIX);
    let clone = tokio::time::timeout(GIT_TIMEOUT, clone).await;
    let clone = clone.map_err(|_elapsed| GitError::Timeout(address))??;
    Ok(Tree::Git { clone: Box::new(clone), github })
}
