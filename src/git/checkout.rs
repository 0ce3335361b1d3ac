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

    /// The path of its `origin` on whatever server that is, as `owner/name` or with groups; of a directory the last two
    /// words.
    #[must_use]
    pub fn origin_name(&self) -> Option<String> {
        name_of(&self.origin()?)
    }

    /// The host of the server of its `origin`, with its port where the address has one.
    #[must_use]
    pub fn origin_host(&self) -> Option<String> {
        server_and_path(&self.origin()?).map(|(server, _)| server.to_ascii_lowercase())
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

fn name_of(address: &str) -> Option<String> {
    let address = address.trim_end_matches('/').trim_end_matches(".git");
    if let Some((_, path)) = server_and_path(address) {
        return Some(path.trim_matches('/').to_owned()).filter(|path| path.contains('/'));
    }
    let mut parts = address.rsplit('/');
    let (name, owner) = parts.next().zip(parts.next())?;
    Some(format!("{owner}/{name}"))
}

/// Splits an address with a server, as a URL or as `user@host:path`; `None` for a directory.
fn server_and_path(address: &str) -> Option<(&str, &str)> {
    let (server, path) = match address.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?,
        None => address.split_once(':').filter(|(server, _)| !server.contains('/'))?,
    };
    Some((server.rsplit('@').next().unwrap_or(server), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_name_and_perhaps_a_server() {
        let cases = [
            ("https://github.com/acme/fleet.git", Some("acme/fleet"), Some("github.com")),
            ("https://u:p@host:8443/a/b/c/", Some("a/b/c"), Some("host:8443")),
            (
                "git@gitlab.com:acme/platform/fleet.git",
                Some("acme/platform/fleet"),
                Some("gitlab.com"),
            ),
            ("ssh://git@host/a/b", Some("a/b"), Some("host")),
            ("/srv/git/acme/fleet.git", Some("acme/fleet"), None),
            ("../acme/fleet", Some("acme/fleet"), None),
            ("file:///srv/git/acme/fleet.git", Some("acme/fleet"), None),
            ("https://host/fleet", None, Some("host")),
            ("fleet", None, None),
        ];
        for (address, name, server) in cases {
            assert_eq!(name_of(address).as_deref(), name, "{address}");
            assert_eq!(server_and_path(address).map(|(server, _)| server), server, "{address}");
        }
    }
}
