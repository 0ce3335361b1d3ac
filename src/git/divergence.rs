//! The commits and files by which a branch differs from its base, read from git's objects: a forge's own comparison lists
//! a bounded number of files, and none of their modes.

use std::collections::BTreeSet;

use git2::{Commit, ErrorCode, Repository};

use super::smart::Smart;
use super::tree::{self, Change, EntryBudget};
use super::{Clone, GitError, Oid, Remote};

/// Numbers of commits that are fetched of a history, one after the other, until it is known where a branch begins.
const DEPTHS: [usize; 3] = [50, 1_000, 20_000];

impl Clone {
    /// Reads the files that the last `commits` commits of a branch change. Each must have one parent, and the first one must
    /// follow a commit of the base, however old; `None` for a branch that is made otherwise. What is not here is fetched.
    ///
    /// # Errors
    /// The history cannot be fetched or read, or is longer than what is fetched.
    pub async fn changes(
        &self,
        head: Oid,
        commits: usize,
    ) -> Result<Option<Vec<Change>>, GitError> {
        for depth in [None].into_iter().chain(DEPTHS.map(Some)) {
            if let Some(depth) = depth {
                self.deepen(head, depth).await?;
            }
            let branch = BranchCommits { base: self.base, head, commits };
            match branch.begin(&self.reopened()?).map_err(|error| self.failed(&error))? {
                Begin::At(commit) => return self.changed(commit, head).map(Some),
                Begin::Elsewhere => return Ok(None),
                Begin::Unknown => {}
            }
        }
        let message = format!("the base has more than {} newer commits", DEPTHS[2]);
        Err(GitError::Other { subject: self.branch().to_owned(), message })
    }

    fn changed(&self, from: Oid, head: Oid) -> Result<Vec<Change>, GitError> {
        let repository = self.reopened()?;
        let tree =
            |id: Oid| -> Result<Oid, git2::Error> { Ok(repository.find_commit(id)?.tree_id()) };
        let read =
            || tree::differing(&repository, tree(from)?, tree(head)?, &mut EntryBudget::new());
        read().map_err(|error| self.failed(&error))
    }

    /// Fetches so many commits of the base and of a branch.
    async fn deepen(&self, head: Oid, depth: usize) -> Result<(), GitError> {
        let Remote::Http { url, login } = &self.remote else {
            // All of a history was copied at once.
            let message = format!("the commit {head} is not here");
            return Err(GitError::Other { subject: self.remote.address(), message });
        };
        let into = self.repository.odb().map_err(|error| self.failed(&error))?;
        let smart = Smart::new(url, login.as_ref())?;
        smart.deepen(&[head, self.base], self.base, depth, &into).await
    }

    /// Another handle, which sees what was fetched.
    fn reopened(&self) -> Result<Repository, GitError> {
        Repository::open_bare(self.repository.path()).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &git2::Error) -> GitError {
        GitError::from_git(&self.remote.address(), error)
    }
}

/// More commits than this are not looked at: a server may send more than it was asked for.
const MAX_SEEN: usize = 200_000;

/// Commits of a branch, the last of which is its head.
struct BranchCommits {
    base: Oid,
    head: Oid,
    commits: usize,
}

/// The commit before the first one of a branch.
#[derive(Debug, PartialEq, Eq)]
enum Begin {
    /// This commit of the base.
    At(Oid),
    /// None of the base.
    Elsewhere,
    /// Commits are missing that would tell.
    Unknown,
}

impl BranchCommits {
    fn begin(&self, repository: &Repository) -> Result<Begin, git2::Error> {
        let mut first = self.head;
        for _ in 0..self.commits {
            let Some(commit) = find(repository, first)? else { return Ok(Begin::Unknown) };
            if commit.parent_count() != 1 {
                return Ok(Begin::Elsewhere);
            }
            first = commit.parent_id(0)?;
        }
        let at = |is_there| if is_there { Begin::At(first) } else { Begin::Elsewhere };
        Ok(is_ancestor(repository, first, self.base)?.map_or(Begin::Unknown, at))
    }
}

/// True if a commit is in the history of another, and here; `None` if commits are missing that would tell.
fn is_ancestor(repository: &Repository, of: Oid, base: Oid) -> Result<Option<bool>, git2::Error> {
    let (mut open, mut seen, mut is_whole) = (vec![base], BTreeSet::new(), true);
    while let Some(next) = open.pop() {
        if !seen.insert(next) {
            continue;
        }
        let Some(commit) = find(repository, next)? else {
            is_whole = false;
            continue;
        };
        if next == of {
            return Ok(Some(true));
        }
        open.extend(commit.parent_ids().filter(|parent| !seen.contains(parent)));
        if seen.len() + open.len() > MAX_SEEN {
            return Ok(None);
        }
    }
    Ok(is_whole.then_some(false))
}

fn find(repository: &Repository, commit: Oid) -> Result<Option<Commit<'_>>, git2::Error> {
    match tree::commit(repository, commit) {
        Ok(commit) => Ok(Some(commit)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use git2::Signature;

    use super::*;

    /// A repository with commits that are made by their parents and files.
    struct World {
        _directory: tempfile::TempDir,
        repository: Repository,
    }

    impl World {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let repository = Repository::init_bare(directory.path()).unwrap();
            Self { _directory: directory, repository }
        }

        fn commit(&self, parents: &[Oid], files: &[(&str, &str, i32)]) -> Oid {
            let mut tree = self.repository.treebuilder(None).unwrap();
            for (name, text, mode) in files {
                let blob = self.repository.blob(text.as_bytes()).unwrap();
                tree.insert(name, blob, *mode).unwrap();
            }
            let tree = self.repository.find_tree(tree.write().unwrap()).unwrap();
            let who = Signature::new("a", "a@example", &git2::Time::new(0, 0)).unwrap();
            let parents: Vec<_> =
                parents.iter().map(|id| self.repository.find_commit(*id).unwrap()).collect();
            let parents: Vec<&Commit<'_>> = parents.iter().collect();
            let message = files.len().to_string();
            self.repository.commit(None, &who, &who, &message, &tree, &parents).unwrap()
        }

        fn begin(&self, base: Oid, head: Oid, commits: usize) -> Begin {
            BranchCommits { base, head, commits }.begin(&self.repository).unwrap()
        }
    }

    #[test]
    fn a_branch_begins_at_a_commit_of_its_base() {
        let world = World::new();
        let file = |text| [("a", text, 0o100_644)];
        let first = world.commit(&[], &file("1"));
        let base = world.commit(&[first], &file("2"));
        let one = world.commit(&[first], &file("3"));
        let two = world.commit(&[one], &file("4"));
        let merge = world.commit(&[one, base], &file("5"));
        let foreign = world.commit(&[], &file("6"));
        let beside = world.commit(&[foreign], &file("7"));
        let cases = [
            (one, 1, Begin::At(first)),
            (two, 2, Begin::At(first)),
            // More or fewer commits than asked for.
            (two, 1, Begin::Elsewhere),
            (one, 2, Begin::Elsewhere),
            (merge, 1, Begin::Elsewhere),
            (beside, 1, Begin::Elsewhere),
        ];
        for (head, commits, want) in cases {
            assert_eq!(world.begin(base, head, commits), want, "{head} {commits}");
        }
    }

    #[test]
    fn a_history_that_is_not_here_tells_nothing() {
        let world = World::new();
        let missing = Oid::from_str(&"a".repeat(40)).unwrap();
        let text = format!(
            "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent {missing}\n\
             author a <a@example> 0 +0000\ncommitter a <a@example> 0 +0000\n\nx\n"
        );
        world.repository.treebuilder(None).unwrap().write().unwrap();
        let odb = world.repository.odb().unwrap();
        let base = odb.write(git2::ObjectType::Commit, text.as_bytes()).unwrap();
        let root = world.commit(&[], &[]);
        let own = world.commit(&[root], &[("a", "1", 0o100_644)]);
        assert_eq!(world.begin(base, own, 1), Begin::Unknown);
        assert_eq!(world.begin(base, missing, 1), Begin::Unknown);
        assert_eq!(world.begin(base, base, 1), Begin::Unknown, "its parent is not here");
    }
}
