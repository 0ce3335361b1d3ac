//! Repositories on this machine: the branch that is checked out, where it was cloned from, and files of other references.

use std::path::{Path, PathBuf};

use git2::{Reference, Repository};

use super::tree;

/// The repository that a directory belongs to.
pub(super) fn around(path: &Path) -> Result<Repository, git2::Error> {
    let found = Repository::discover(path)?;
    match outer(found.path()).filter(|_| found.is_bare()) {
        Some(outer) => Repository::open(outer),
        None => Ok(found),
    }
}

/// The root of the work tree that a bare repository is a tracked part of: whoever may propose files can propose these, and
/// they would stand for the repository around them (git's
/// [`safe.bareRepository`](https://git-scm.com/docs/git-config#Documentation/git-config.txt-safebareRepository)).
fn outer(bare: &Path) -> Option<PathBuf> {
    let bare = bare.canonicalize().ok()?;
    let root = bare.ancestors().skip(1).find(|outer| outer.join(".git").exists())?;
    let head = bare.strip_prefix(root).ok()?.join("HEAD");
    let index = Repository::open(root).ok()?.index().ok()?;
    index.get_path(&head, 0).map(|_| root.to_owned())
}

/// A repository that a directory belongs to.
pub struct Checkout {
    repository: Repository,
}

impl Checkout {
    /// True if a directory is a bare repository itself. Files of a repository's names beside others make none.
    #[must_use]
    pub fn is_bare(path: &Path) -> bool {
        !path.join(".git").exists()
            && path.join("objects").is_dir()
            && Repository::open(path).is_ok_and(|repository| repository.is_bare())
            && outer(path).is_none()
    }

    /// Finds the repository that a directory belongs to.
    ///
    /// # Errors
    /// There is none, or it cannot be read; the text says why.
    pub fn discover(path: &Path) -> Result<Self, String> {
        let repository = around(path);
        let failed = |error: git2::Error| format!("{}: {}", path.display(), error.message());
        repository.map(|repository| Self { repository }).map_err(failed)
    }

    /// The branch that is checked out.
    #[must_use]
    pub fn branch(&self) -> Option<String> {
        let head = self.repository.head().ok().filter(Reference::is_branch)?;
        head.shorthand().ok().map(str::to_owned)
    }

    /// The address of its `origin`, empty if that is no text.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let origin = self.repository.find_remote("origin").ok()?;
        Some(origin.url().unwrap_or_default().to_owned())
    }

    /// The last two words of the address of its `origin`, as `owner/name`, whatever server that is on.
    #[must_use]
    pub fn origin_name(&self) -> Option<String> {
        let address = self.origin()?;
        let mut parts = address.trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']);
        let (name, owner) = parts.next().zip(parts.next())?;
        Some(format!("{owner}/{name}"))
    }

    /// The root of its work tree.
    #[must_use]
    pub fn work_tree(&self) -> Option<PathBuf> {
        self.repository.workdir().map(Path::to_owned)
    }

    /// A file of the commit that a reference names, unless it has more bytes than `most`, or cannot be read.
    #[must_use]
    pub fn file_at(&self, reference: &str, path: &str, most: usize) -> Option<Vec<u8>> {
        let repository = &self.repository;
        let commit = repository.find_reference(reference).ok()?.target()?;
        let tree = tree::commit(repository, commit).ok()?.tree_id();
        let entry = tree::entry(repository, tree, path).ok()??;
        tree::blob(repository, entry.oid, path, most).ok()
    }
}
