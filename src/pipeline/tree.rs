//! A config repository's files, wherever they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::Failure;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::git::{BlobReader, Blobs, Checkout, Clone, GitError, LEDGER_REF, Remote};
use crate::manifest::MAX_FILE;
use crate::policy::{Home, PolicySet, Via};
use crate::repo_id::RepoId;
use crate::settings::{ForgeSettings, Forges, RepoSpec, Scope, Surroundings};
use crate::text::one_line;
use crate::worktree::WorkTree;

/// What the names of all branches begin with that can be ours: proposals, and roll-backs.
const OWN: &str = "tagalong";

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
        /// The repository, when it is on a forge that is known.
        id: Option<RepoId>,
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
        let ledger = scope.ledger.as_deref().unwrap_or(LEDGER_REF);
        match (&scope.repo, via) {
            (RepoSpec::Path(path), None | Some(Via::Worktree)) if !Checkout::is_bare(path) => {
                if scope.branch.is_some() {
                    let message = "--branch: a work tree is read as it is; check the branch out, or name the \
                                   repository by its URL or as OWNER/NAME";
                    return Err(Failure::Argument(message.to_owned()));
                }
                let tree = WorkTree::open(path);
                Ok(Self::Work(tree.map_err(|error| Failure::Failed(error.to_string()))?))
            }
            (RepoSpec::Path(path), _) if Checkout::is_bare(path) => {
                fetch(Remote::Path(path.clone()), None, scope.branch.clone(), ledger).await
            }
            (RepoSpec::Path(path), _) => {
                let origin = CheckoutOrigin::of(path, &around.forges)?;
                let Some(branch) = scope.branch.clone().or(origin.branch) else {
                    let message = format!(
                        "{}: no branch is checked out; name one with --branch",
                        path.display()
                    );
                    return Err(Failure::Argument(message));
                };
                fetch(origin.remote, origin.id, Some(branch), ledger).await
            }
            (RepoSpec::Remote { url, id }, _) => {
                let remote = http(url, &around.forges);
                fetch(remote, id.clone(), scope.branch.clone(), ledger).await
            }
        }
    }

    /// The ledger of a work tree's repository, where its reference was fetched.
    #[must_use]
    pub fn ledger(&self, path: &str, most: usize) -> Option<Vec<u8>> {
        let Self::Work(tree) = self else { return None };
        let checkout = Checkout::discover(tree.root()).ok()?;
        checkout.file_at(LEDGER_REF, path, most).or_else(|| {
            // One on the same machine is as near as what was fetched of it.
            let root = checkout.work_tree().unwrap_or_else(|| tree.root().to_owned());
            let origin = root.join(checkout.origin()?);
            let origin = origin.is_dir().then(|| Checkout::discover(&origin).ok()).flatten()?;
            origin.file_at(LEDGER_REF, path, most)
        })
    }

    /// The root of the checkout that a directory is within, where it is not that itself.
    pub(super) fn outer(&self) -> Option<PathBuf> {
        let Self::Work(tree) = self else { return None };
        let root = Checkout::discover(tree.root()).ok()?.work_tree()?.canonicalize().ok()?;
        (tree.root().canonicalize().ok()? != root).then_some(root)
    }

    /// Makes what environments say of this place the same as saying nothing, and names it.
    pub(super) fn settle(&self, set: &mut PolicySet) {
        let branch = match self {
            Self::Work(tree) => Checkout::discover(tree.root()).ok().and_then(|it| it.branch()),
            Self::Git { clone, .. } => Some(clone.branch().to_owned()),
        };
        let (name, whole) = (self.name(), self.whole_name());
        let address = || match self {
            Self::Work(_) => String::new(),
            Self::Git { clone, .. } => clone.address(),
        };
        set.origin = whole.clone().or_else(|| name.clone()).unwrap_or_else(address);
        for environment in &mut set.environments {
            let home = &mut environment.home;
            let is_it = |there: &String| {
                [&name, &whole].into_iter().flatten().any(|own| own.eq_ignore_ascii_case(there))
            };
            home.repository.take_if(|there| is_it(there));
            if home.repository.is_none() && home.branch == branch {
                home.branch = None;
            }
        }
    }

    /// The repository as `owner/name`, in lower case, where that is known.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let name = match self {
            Self::Work(tree) => {
                Checkout::discover(tree.root()).ok().and_then(|checkout| checkout.origin_name())
            }
            Self::Git { id, .. } => id.as_ref().map(RepoId::to_string),
        };
        name.map(|name| name.to_lowercase())
    }

    /// The name with the host before it, where that is known: two forges can have repositories of one name.
    pub(super) fn whole_name(&self) -> Option<String> {
        self.host().zip(self.name()).map(|(host, name)| format!("{host}/{name}"))
    }

    /// The host of the server that the repository is on, where that is known.
    fn host(&self) -> Option<String> {
        match self {
            Self::Work(tree) => Checkout::discover(tree.root()).ok()?.origin_host(),
            Self::Git { id, .. } => id.as_ref().map(|id| id.host().to_owned()),
        }
    }

    /// The forges that are known, that of the repository first.
    pub(super) fn forges(&self, forges: &Forges) -> Forges {
        let id = match self {
            Self::Work(tree) => origin_on_forge(tree.root(), forges),
            Self::Git { id, .. } => id.clone(),
        };
        id.map_or_else(|| forges.clone(), |id| forges.at(&id))
    }

    /// The host that the repository is on, where that is no forge that is known.
    pub(super) fn unknown_host(&self, forges: &Forges) -> Option<String> {
        let Self::Work(tree) = self else { return None };
        let is_known = origin_on_forge(tree.root(), forges).is_some();
        self.host().filter(|_| !is_known)
    }

    /// A home with the branch that was read.
    pub(super) fn home(&self, home: &Home) -> Home {
        let Self::Git { clone, .. } = self else { return home.clone() };
        Home { branch: Some(clone.branch().to_owned()), ..home.clone() }
    }

    /// The paths of the regular files, sorted.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        match self {
            Self::Work(tree) => tree.paths(),
            Self::Git { clone, .. } => clone.paths(),
        }
    }

    /// Paths that are in the repository but are not regular files, links and submodules among them; and why each is left alone.
    #[must_use]
    pub fn skipped(&self) -> &BTreeMap<String, &'static str> {
        match self {
            Self::Work(tree) => tree.skipped(),
            Self::Git { clone, .. } => clone.skipped(),
        }
    }

    /// A problem for each directory whose files are not known.
    pub(super) fn unlisted(&self) -> Vec<Diagnostic> {
        let Self::Work(tree) = self else { return Vec::new() };
        let told = tree.unlisted().iter().map(|(path, why)| {
            let message = format!("the files of this directory are not known: {why}");
            Diagnostic::warning(Code::FileUnreadable, message).at(Place::of_file(path))
        });
        told.collect()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A problem to report, when it cannot be read. Of a file of a work tree that is larger than the
    /// limit, only so much is read that this can be seen.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Diagnostic> {
        match self {
            Self::Work(tree) => unreadable(path, tree.read(path, MAX_FILE + 1)),
            Self::Git { clone, .. } => clone.read(path).map_err(|error| of_git(path, &error)),
        }
    }

    /// The files, to be read on many threads.
    pub(super) fn files(&self) -> TreeFiles<'_> {
        match self {
            Self::Work(tree) => TreeFiles::Work(tree),
            Self::Git { clone, .. } => TreeFiles::Git(clone.blobs()),
        }
    }
}

/// The files of a tree, which threads can share.
pub(super) enum TreeFiles<'a> {
    Work(&'a WorkTree),
    Git(Blobs<'a>),
}

/// What one thread reads files with.
pub(super) enum TreeReader<'a> {
    Work(&'a WorkTree, Vec<u8>),
    Git(Result<BlobReader<'a>, GitError>, Vec<u8>),
}

impl TreeFiles<'_> {
    pub(super) fn open(&self) -> TreeReader<'_> {
        match self {
            Self::Work(tree) => TreeReader::Work(tree, Vec::new()),
            Self::Git(blobs) => TreeReader::Git(blobs.open(), Vec::new()),
        }
    }
}

impl TreeReader<'_> {
    /// The bytes of a file, until the next one is read.
    pub(super) fn read(&mut self, path: &str) -> Result<&[u8], Diagnostic> {
        match self {
            Self::Work(tree, buffer) => {
                unreadable(path, tree.read_into(path, MAX_FILE + 1, buffer))
            }
            Self::Git(Ok(reader), buffer) => {
                *buffer = reader.read(path).map_err(|error| of_git(path, &error))?;
                Ok(buffer)
            }
            Self::Git(Err(error), _) => unreadable(path, Err(error)),
        }
    }
}

fn of_git(path: &str, error: &GitError) -> Diagnostic {
    let (code, message) = match error {
        // An error, not a warning: what the rest holds is not known.
        GitError::TooMuch { .. } => {
            return Diagnostic::error(Code::FilesTooMany, error.to_string());
        }
        GitError::TooLarge { .. } => {
            (Code::FileTooLarge, format!("more than the limit of {MAX_FILE} bytes; left alone"))
        }
        error => (Code::FileUnreadable, error.to_string()),
    };
    Diagnostic::warning(code, message).at(Place::of_file(path))
}

fn unreadable<T, E: ToString>(path: &str, read: Result<T, E>) -> Result<T, Diagnostic> {
    read.map_err(|error| {
        Diagnostic::warning(Code::FileUnreadable, error.to_string()).at(Place::of_file(path))
    })
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The repository that a work tree was cloned from, where that is on a forge that is known.
pub(super) fn origin_on_forge(path: &Path, forges: &Forges) -> Option<RepoId> {
    let origin = Checkout::discover(path).ok()?.origin()?;
    forges.id_of(&forges.over_http(&origin)?)
}

/// Where a work tree was cloned from.
struct CheckoutOrigin {
    remote: Remote,
    id: Option<RepoId>,
    branch: Option<String>,
}

impl CheckoutOrigin {
    fn of(path: &Path, forges: &Forges) -> Result<Self, Failure> {
        let checkout = Checkout::discover(path).map_err(Failure::Origin)?;
        let branch = checkout.branch();
        let Some(address) = checkout.origin() else {
            let message = format!(
                "{}: it has no `origin` to push to; name the repository with --repo",
                path.display()
            );
            return Err(Failure::Origin(message));
        };
        let root = checkout.work_tree().unwrap_or_else(|| path.to_owned());
        let local = root.join(&address);
        match forges.over_http(&address) {
            Some(url) => Ok(Self { id: forges.id_of(&url), remote: http(&url, forges), branch }),
            None if local.is_dir() => Ok(Self { remote: Remote::Path(local), id: None, branch }),
            None => {
                // A user and a password before the host are nobody's business.
                let shown = one_line(address.rsplit('@').next().unwrap_or_default());
                Err(Failure::Origin(format!(
                    "{}: its origin `{shown}` is neither a directory that exists nor reached over HTTPS; name the \
                     repository with --repo, as https://HOST/OWNER/NAME or OWNER/NAME",
                    path.display()
                )))
            }
        }
    }
}

/// The token of a forge is for its server and goes nowhere else.
fn http(url: &Url, forges: &Forges) -> Remote {
    let login = forges.behind(url).and_then(ForgeSettings::git_login);
    Remote::Http { url: url.clone(), login }
}

#[tracing::instrument(name = "fetch", skip_all)]
async fn fetch(
    remote: Remote,
    id: Option<RepoId>,
    branch: Option<String>,
    ledger: &str,
) -> Result<Tree, Failure> {
    let address = remote.address();
    let clone = Clone::fetch(remote, branch.as_deref(), OWN, ledger);
    let clone = tokio::time::timeout(GIT_TIMEOUT, clone).await;
    let clone = clone.map_err(|_elapsed| GitError::Timeout(address))??;
    Ok(Tree::Git { clone: Box::new(clone), id })
}
