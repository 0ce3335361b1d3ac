//! A bare clone with one commit of each branch that matters, in a directory of its own.

use std::collections::BTreeMap;

use git2::{
    Direction, ObjectType, Repository, RepositoryInitOptions, TreeWalkMode, TreeWalkResult,
};
use tempfile::TempDir;

use super::{Author, BranchState, GitError, Oid, Remote, commit};

/// Where fetched branches are kept, apart from branches of a user's repository.
const FETCHED: &str = "refs/tagalong/fetched/";

/// Git's file modes of regular files. Links, submodules and trees have others.
const REGULAR: [i32; 2] = [0o100_644, 0o100_755];

/// A repository as it was when it was fetched.
pub struct Clone {
    pub(super) repository: Repository,
    pub(super) remote: Remote,
    /// The branch that is read and changed.
    branch: String,
    pub(super) base: Oid,
    /// What the server said its branches are at.
    pub(super) advertised: BTreeMap<String, Oid>,
    paths: Vec<String>,
    blobs: BTreeMap<String, (Oid, i32)>,
    _directory: TempDir,
}

impl Clone {
    /// Fetches a branch (the remote's default branch when none is named), and the branches whose
    /// names begin with `own`, as they are now.
    ///
    /// # Errors
    /// When the repository or branch cannot be read.
    pub fn fetch(remote: Remote, branch: Option<&str>, own: &str) -> Result<Self, GitError> {
        let subject = remote.address();
        let git = |error: git2::Error| GitError::from_git(&subject, &error);
        let directory = tempfile::Builder::new().prefix("tagalong-").tempdir();
        let directory = directory.map_err(|error| GitError::Other {
            subject: subject.clone(),
            message: error.to_string(),
        })?;
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false);
        let repository = Repository::init_opts(directory.path(), &options).map_err(git)?;
        let (branch, advertised) = fetch(&repository, &remote, branch, own)?;
        let base = repository.refname_to_id(&format!("{FETCHED}{branch}")).map_err(git)?;
        let mut clone = Self {
            repository,
            remote,
            branch,
            base,
            advertised,
            paths: Vec::new(),
            blobs: BTreeMap::new(),
            _directory: directory,
        };
        clone.list().map_err(git)?;
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

    /// Reads a file of that commit.
    ///
    /// # Errors
    /// When it is not a regular file of the commit.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, GitError> {
        let blob = self.blobs.get(path).ok_or(git2::ErrorCode::NotFound);
        let missing = |_code| GitError::Other {
            subject: path.to_owned(),
            message: "not a file of the branch".to_owned(),
        };
        let (oid, _) = blob.map_err(missing)?;
        let blob =
            self.repository.find_blob(*oid).map_err(|error| GitError::from_git(path, &error))?;
        Ok(blob.content().to_vec())
    }

    /// What a branch of ours holds.
    ///
    /// # Errors
    /// When the branch cannot be read.
    pub fn state(&self, branch: &str, author: &Author) -> Result<BranchState, GitError> {
        let Some(oid) = self.advertised.get(branch) else { return Ok(BranchState::Absent) };
        let commit = self.repository.find_commit(*oid);
        let commit = commit.map_err(|error| GitError::from_git(branch, &error))?;
        Ok(commit::state(&commit, author))
    }

    pub(super) fn mode(&self, path: &str) -> Option<i32> {
        self.blobs.get(path).map(|(_, mode)| *mode)
    }

    fn list(&mut self) -> Result<(), git2::Error> {
        let tree = self.repository.find_commit(self.base)?.tree()?;
        let (paths, blobs) = (&mut self.paths, &mut self.blobs);
        tree.walk(TreeWalkMode::PreOrder, |directory, entry| {
            let regular =
                entry.kind() == Some(ObjectType::Blob) && REGULAR.contains(&entry.filemode());
            // A name that is not UTF-8 is not one that a policy's paths can cover.
            if let (true, Ok(name)) = (regular, entry.name()) {
                let path = format!("{directory}{name}");
                blobs.insert(path.clone(), (entry.id(), entry.filemode()));
                paths.push(path);
            }
            TreeWalkResult::Ok
        })?;
        self.paths.sort_unstable();
        Ok(())
    }
}

/// Lists the remote's branches and fetches the ones that matter over the same connection.
fn fetch(
    repository: &Repository,
    remote: &Remote,
    branch: Option<&str>,
    own: &str,
) -> Result<(String, BTreeMap<String, Oid>), GitError> {
    let subject = remote.address();
    let git = |error: git2::Error| GitError::from_git(&subject, &error);
    let mut connection = repository.remote_anonymous(&subject).map_err(git)?;
    let mut connected = connection
        .connect_auth(Direction::Fetch, Some(remote.callbacks()), Some(super::remote::proxy()))
        .map_err(git)?;
    let mut advertised = BTreeMap::new();
    for head in connected.list().map_err(git)? {
        if let Some(name) = head.name().strip_prefix("refs/heads/") {
            advertised.insert(name.to_owned(), head.oid());
        }
    }
    if advertised.is_empty() {
        return Err(GitError::Empty(subject));
    }
    let branch = match branch {
        Some(branch) => branch.to_owned(),
        None => {
            let head = connected.default_branch().map_err(git)?;
            head.as_str()
                .ok()
                .and_then(|name| name.strip_prefix("refs/heads/"))
                .unwrap_or("main")
                .to_owned()
        }
    };
    if !advertised.contains_key(&branch) {
        return Err(GitError::NoBranch(subject, branch));
    }
    let wanted = advertised.keys().filter(|name| **name == branch || name.starts_with(own));
    let refspecs: Vec<String> =
        wanted.map(|name| format!("+refs/heads/{name}:{FETCHED}{name}")).collect();
    connected.remote().fetch(&refspecs, Some(&mut remote.fetch_options()), None).map_err(git)?;
    Ok((branch, advertised))
}
