//! A bare clone with one commit of each branch that matters, in a directory of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use git2::{Repository, RepositoryInitOptions};
use tempfile::TempDir;

use super::smart::{Advertised, Smart};
use super::tree::{self, BlobsByPath, ListedTree, Volume};
use super::{Author, BRANCHES, BranchState, GitError, Oid, Remote, branch_ref, commit, local};

/// A repository as it was when it was fetched.
pub struct Clone {
    pub(super) repository: Repository,
    pub(super) remote: Remote,
    /// The branch that is read and changed.
    branch: String,
    /// The reference of the ledger.
    pub(super) ledger: String,
    pub(super) base: Oid,
    /// What the server said its references are at.
    pub(super) advertised: BTreeMap<String, Oid>,
    paths: Vec<String>,
    skipped: BTreeMap<String, &'static str>,
    blobs: BlobsByPath,
    volume: Volume,
    _directory: TempDir,
}

/// The regular files of a commit, which threads can share.
#[derive(Clone, Copy)]
pub struct Blobs<'a> {
    directory: &'a Path,
    by_path: &'a BlobsByPath,
    volume: &'a Volume,
}

/// A handle of one thread: libgit2's cannot be shared.
pub struct BlobReader<'a> {
    repository: Repository,
    blobs: &'a BlobsByPath,
    volume: &'a Volume,
}

impl<'a> Blobs<'a> {
    /// Opens the objects once more.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn open(&self) -> Result<BlobReader<'a>, GitError> {
        let repository = Repository::open_bare(self.directory);
        let repository = repository.map_err(|error| GitError::from_git("the clone", &error))?;
        Ok(BlobReader { repository, blobs: self.by_path, volume: self.volume })
    }
}

impl BlobReader<'_> {
    /// Reads a file of the commit.
    ///
    /// # Errors
    /// When it is not a regular file of the commit.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, GitError> {
        read(&self.repository, self.blobs, self.volume, path)
    }
}

fn read(
    repository: &Repository,
    blobs: &BlobsByPath,
    volume: &Volume,
    path: &str,
) -> Result<Vec<u8>, GitError> {
    let Some(entry) = blobs.get(path) else {
        let message = "not a file of the branch".to_owned();
        return Err(GitError::Other { subject: path.to_owned(), message });
    };
    volume.read(repository, entry.oid, path)
}

impl Clone {
    /// Fetches a branch (the remote's default branch when none is named), the branches whose names begin with
    /// `own`, and the ledger, as they are now.
    ///
    /// # Errors
    /// When the repository or branch cannot be read.
    pub async fn fetch(
        remote: Remote,
        branch: Option<&str>,
        own: &str,
        ledger: &str,
    ) -> Result<Self, GitError> {
        let subject = remote.address();
        let failed = |message: String| GitError::Other { subject: subject.clone(), message };
        let git = |error: git2::Error| GitError::from_git(&subject, &error);
        let directory = tempfile::Builder::new().prefix("tagalong-").tempdir();
        let directory = directory.map_err(|error| failed(error.to_string()))?;
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false);
        let repository = Repository::init_opts(directory.path(), &options).map_err(git)?;
        let Advertised { references: advertised, default_branch } =
            fetch(&repository, &remote, branch, own, ledger).await?;
        let branch =
            branch.map(str::to_owned).or(default_branch).unwrap_or_else(|| "main".to_owned());
        let base = *advertised
            .get(&branch_ref(&branch))
            .ok_or_else(|| GitError::NoBranch(subject.clone(), branch.clone()))?;
        let mut clone = Self {
            repository,
            remote,
            branch,
            ledger: ledger.to_owned(),
            base,
            advertised,
            paths: Vec::new(),
            skipped: BTreeMap::new(),
            blobs: BTreeMap::new(),
            volume: Volume::default(),
            _directory: directory,
        };
        let ListedTree { blobs, skipped } = tree::list(&clone.repository, base)?;
        clone.paths = blobs.keys().cloned().collect();
        (clone.blobs, clone.skipped) = (blobs, skipped);
        Ok(clone)
    }

    /// The branch that is read and changed.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// The commit of that branch.
    #[must_use]
    pub fn base(&self) -> Oid {
        self.base
    }

    /// The paths of the regular files of that commit, sorted.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// The paths of links and submodules of that commit.
    #[must_use]
    pub fn skipped(&self) -> &BTreeMap<String, &'static str> {
        &self.skipped
    }

    /// Reads a file of that commit.
    ///
    /// # Errors
    /// When it is not a regular file of the commit.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, GitError> {
        read(&self.repository, &self.blobs, &self.volume, path)
    }

    /// The regular files of that commit, to be read on many threads.
    #[must_use]
    pub fn blobs(&self) -> Blobs<'_> {
        Blobs { directory: self.repository.path(), by_path: &self.blobs, volume: &self.volume }
    }

    /// The reference of the ledger.
    #[must_use]
    pub fn ledger_ref(&self) -> &str {
        &self.ledger
    }

    /// Where it was fetched from, for people.
    #[must_use]
    pub fn address(&self) -> String {
        self.remote.address()
    }

    /// The file of the ledger, where there is one.
    ///
    /// # Errors
    /// When it has more bytes than `most`.
    pub fn ledger(&self, path: &str, most: usize) -> Result<Option<Vec<u8>>, GitError> {
        let Some(commit) = self.advertised.get(&self.ledger) else { return Ok(None) };
        self.read_at(*commit, path, most)
    }

    /// Reads a file of another commit that was fetched; `None` where it has no such file.
    ///
    /// # Errors
    /// It has more bytes than `most`, or the commit cannot be read: that is no commit without the file.
    pub fn read_at(
        &self,
        commit: Oid,
        path: &str,
        most: usize,
    ) -> Result<Option<Vec<u8>>, GitError> {
        let git = |error: git2::Error| GitError::from_git(path, &error);
        let tree = tree::commit(&self.repository, commit).map_err(git)?.tree_id();
        match tree::entry(&self.repository, tree, path).map_err(git)? {
            Some(entry) => tree::blob(&self.repository, entry.oid, path, most).map(Some),
            None => Ok(None),
        }
    }

    /// The remote's branches whose names begin with `prefix`.
    pub fn branches(&self, prefix: &str) -> impl Iterator<Item = &str> {
        let prefix = branch_ref(prefix);
        let names = self.advertised.keys().filter(move |name| name.starts_with(&prefix));
        names.filter_map(|name| name.strip_prefix(BRANCHES))
    }

    /// Whether the remote has a branch.
    #[must_use]
    pub fn has_branch(&self, branch: &str) -> bool {
        self.advertised.contains_key(&branch_ref(branch))
    }

    /// What a branch of ours holds.
    ///
    /// # Errors
    /// When the branch cannot be read.
    pub fn state(&self, branch: &str, author: &Author) -> Result<BranchState, GitError> {
        let Some(oid) = self.advertised.get(&branch_ref(branch)) else {
            return Ok(BranchState::Absent);
        };
        let commit = tree::commit(&self.repository, *oid);
        let commit = commit.map_err(|error| GitError::from_git(branch, &error))?;
        Ok(commit::state(branch, &commit, author))
    }

    /// True if a file of the commit can be executed.
    pub(super) fn is_executable(&self, path: &str) -> bool {
        self.blobs.get(path).is_some_and(tree::Entry::is_executable)
    }
}

/// Lists the remote's branches and fetches the ones that matter.
async fn fetch(
    repository: &Repository,
    remote: &Remote,
    branch: Option<&str>,
    own: &str,
    ledger: &str,
) -> Result<Advertised, GitError> {
    let subject = remote.address();
    let smart = match remote {
        Remote::Path(_) => None,
        Remote::Http { url, login } => Some(Smart::new(url, login.as_ref())?),
    };
    let found = match &smart {
        Some(smart) => smart.advertised("git-upload-pack").await?,
        None => local::advertised(&subject)?,
    };
    if !found.references.keys().any(|name| name.starts_with(BRANCHES)) {
        return Err(GitError::Empty(subject));
    }
    let base = branch.or(found.default_branch.as_deref()).unwrap_or("main");
    if !found.references.contains_key(&branch_ref(base)) {
        return Err(GitError::NoBranch(subject, base.to_owned()));
    }
    let (base, own) = (branch_ref(base), branch_ref(own));
    let is_wanted = |name: &str| name == base || name.starts_with(&own) || name == ledger;
    let wanted = found.references.iter().filter(|(name, _)| is_wanted(name));
    match &smart {
        Some(smart) => {
            let oids: BTreeSet<Oid> = wanted.map(|(_, oid)| *oid).collect();
            let oids: Vec<Oid> = oids.into_iter().collect();
            let into = repository.odb().map_err(|error| GitError::from_git(&subject, &error))?;
            smart.fetch(&oids, &into).await?;
        }
        None => local::share(repository, &subject)?,
    }
    Ok(found)
}
