//! The files of a commit, within bounds: a pack of a kilobyte can hold a tree with more paths than there is memory, or
//! one that is deeper than any stack.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use git2::{Commit, Repository, Tree, TreeEntry};

use super::{GitError, Oid};

/// The kinds of entries, in the bits of a mode that say the kind. A mode is read as it is written: libgit2 takes whatever has
/// a bit for execution for a file, links among them.
const KIND: i32 = 0o170_000;
const FILE: i32 = 0o100_000;
const TREE: i32 = 0o040_000;
const SUBMODULE: i32 = 0o160_000;

/// More entries than this, in all, are no config repository.
const MAX_ENTRIES: usize = 1_000_000;

/// No file system takes paths that are deeper.
const MAX_DEPTH: usize = 1_000;

/// More bytes of paths than this are not kept.
const MAX_PATHS: usize = 256 << 20;

/// Larger blobs are not read: nothing that is looked into is that large.
pub(super) const MAX_BLOB: usize = (4 << 20) + 1;

/// A commit has no more bytes, its message among them.
const MAX_COMMIT: usize = 1 << 20;

/// One object of a tree has no more bytes.
const MAX_TREE: usize = 64 << 20;

/// All files that are read of one clone have no more bytes together: the same few bytes of a pack can be a million files.
const MAX_READ: u64 = 2 << 30;

/// Files by path.
pub(super) type BlobsByPath = BTreeMap<String, Entry>;

/// What a tree holds.
#[derive(Default)]
pub(super) struct ListedTree {
    /// The regular files.
    pub(super) blobs: BlobsByPath,
    /// Links and submodules.
    pub(super) skipped: BTreeMap<String, &'static str>,
}

/// Lists the files of a commit.
///
/// # Errors
/// When an object cannot be read, or there are more than the bounds allow.
pub(super) fn list(repository: &Repository, commit: Oid) -> Result<ListedTree, GitError> {
    let subject = commit.to_string();
    let git = |error: git2::Error| GitError::from_git(&subject, &error);
    let over = |what: String| GitError::Other {
        subject: subject.clone(),
        message: format!("its tree has more than {what}"),
    };
    let root = self::commit(repository, commit).map_err(git)?.tree_id();
    let (mut listed, mut entries, mut bytes) = (ListedTree::default(), 0, 0);
    let mut open = vec![(root, String::new(), 0)];
    while let Some((tree, directory, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(over(format!("{MAX_DEPTH} levels")));
        }
        let mut names = BTreeSet::new();
        for entry in &subtree(repository, tree).map_err(git)? {
            entries += 1;
            // No path says a name that is not UTF-8: it is reported, and not read.
            let Ok(name) = entry.name() else {
                let name = entry.name_bytes().escape_ascii();
                listed.skipped.insert(format!("{directory}{name}"), "its name is not UTF-8");
                continue;
            };
            let path = format!("{directory}{name}");
            bytes += path.len();
            if !names.insert(name.to_owned()) {
                return Err(twice(&subject, &path));
            }
            if entries > MAX_ENTRIES || bytes > MAX_PATHS {
                return Err(over(format!("{MAX_ENTRIES} entries or {MAX_PATHS} bytes of paths")));
            }
            let found = Entry::of(&entry);
            // What git itself writes under none of these names, it does not read either.
            let is_odd = name.contains('/')
                || matches!(name, "." | "..")
                || name.eq_ignore_ascii_case(".git");
            match () {
                () if !is_odd && found.is_tree() => open.push((found.oid, path + "/", depth + 1)),
                () if !is_odd && found.is_file() => drop(listed.blobs.insert(path, found)),
                () if is_odd => drop(listed.skipped.insert(path, "git reads no such name")),
                () => drop(listed.skipped.insert(path, "a symbolic link or submodule")),
            }
        }
    }
    Ok(listed)
}

/// An error for a name that is in a directory twice: programs differ in the one that they read.
fn twice(subject: &str, path: &str) -> GitError {
    let message = format!("`{}` is in its tree twice", path.escape_debug());
    GitError::Other { subject: subject.to_owned(), message }
}

/// The size of an object, in bytes. A pack may hold objects of kinds that git has no name for, at which git2 panics.
fn size(repository: &Repository, id: Oid) -> Result<usize, git2::Error> {
    let odb = repository.odb()?;
    let header = std::panic::catch_unwind(AssertUnwindSafe(|| odb.read_header(id)));
    let odd = |_| Err(git2::Error::from_str("an object is of no kind that git knows"));
    header.unwrap_or_else(odd).map(|(size, _)| size)
}

/// A commit; its size is asked for first.
pub(super) fn commit(repository: &Repository, id: Oid) -> Result<Commit<'_>, git2::Error> {
    let size = size(repository, id)?;
    if size > MAX_COMMIT {
        let message = format!("a commit of {size} bytes is more than the limit of {MAX_COMMIT}");
        return Err(git2::Error::from_str(&message));
    }
    repository.find_commit(id)
}

/// The entry of a path in a tree, however deep; `None` where there is none.
pub(super) fn entry(
    repository: &Repository,
    tree: Oid,
    path: &str,
) -> Result<Option<Entry>, git2::Error> {
    let mut found = Entry { oid: tree, mode: TREE };
    for name in path.split('/') {
        if !found.is_tree() {
            return Ok(None);
        }
        let tree = subtree(repository, found.oid)?;
        let Some(entry) = tree.get_name(name) else { return Ok(None) };
        found = Entry::of(&entry);
    }
    Ok(Some(found))
}

/// A tree; its size is asked for first.
fn subtree(repository: &Repository, id: Oid) -> Result<Tree<'_>, git2::Error> {
    let size = size(repository, id)?;
    if size > MAX_TREE {
        let message = format!("a tree of {size} bytes is more than the limit of {MAX_TREE}");
        return Err(git2::Error::from_str(&message));
    }
    repository.find_tree(id)
}

/// The number of bytes that were read of a clone, on all threads.
pub(super) struct Volume {
    read: AtomicU64,
    most: u64,
}

impl Default for Volume {
    fn default() -> Self {
        Self { read: AtomicU64::new(0), most: MAX_READ }
    }
}

impl Volume {
    /// The content of a file.
    ///
    /// # Errors
    /// When it cannot be read, or too much was read before it.
    pub(super) fn read(
        &self,
        repository: &Repository,
        oid: Oid,
        path: &str,
    ) -> Result<Vec<u8>, GitError> {
        if self.read.load(Ordering::Relaxed) > self.most {
            return Err(GitError::TooMuch { most: self.most });
        }
        let bytes = blob(repository, oid, path, MAX_BLOB)?;
        self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// The content of a blob that has no more than `most` bytes; its size is asked for first.
///
/// # Errors
/// When it is larger, or cannot be read.
pub(super) fn blob(
    repository: &Repository,
    oid: Oid,
    path: &str,
    most: usize,
) -> Result<Vec<u8>, GitError> {
    let git = |error: git2::Error| GitError::from_git(path, &error);
    let size = size(repository, oid).map_err(git)?;
    if size > most {
        return Err(GitError::TooLarge { path: path.to_owned(), size });
    }
    Ok(repository.find_blob(oid).map_err(git)?.content().to_vec())
}

/// How much of the trees of a history is looked at.
pub(super) struct EntryBudget {
    entries: usize,
}

impl EntryBudget {
    pub(super) const fn new() -> Self {
        Self { entries: MAX_ENTRIES }
    }
}

/// A file, a link or a submodule of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object.
    pub oid: Oid,
    /// Git's mode.
    pub mode: i32,
}

impl Entry {
    fn of(entry: &TreeEntry<'_>) -> Self {
        Self { oid: entry.id(), mode: entry.filemode_raw() }
    }

    /// True for a regular file, executable or not.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.mode & KIND == FILE
    }

    /// True for a directory.
    fn is_tree(&self) -> bool {
        self.mode & KIND == TREE
    }

    /// True if a file can be executed. Old programs wrote other bits as well, which mean nothing.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

/// A path that differs between two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path; of a name that is not UTF-8, its escaped bytes.
    pub path: String,
    /// The entry before; `None` where there was none.
    pub before: Option<Entry>,
    /// The entry after; `None` where there is none.
    pub after: Option<Entry>,
}

impl Change {
    /// True if a regular file has another content, and the same mode.
    #[must_use]
    pub fn is_edit_to(&self, blob: &str) -> bool {
        let is_edit = |before: Entry, after: Entry| {
            before.is_file()
                && after.is_file()
                && before.is_executable() == after.is_executable()
                && after.oid.to_string() == blob
        };
        self.before.zip(self.after).is_some_and(|(before, after)| is_edit(before, after))
    }
}

/// Two trees of one path; `None` where it is none.
struct Pair {
    trees: [Option<Oid>; 2],
    directory: String,
    depth: usize,
}

/// The paths that differ between two trees. What both have is not looked into, so that it costs what is new.
///
/// # Errors
/// When an object cannot be read, or there is more than the budget allows.
pub(super) fn differing(
    repository: &Repository,
    old: Oid,
    new: Oid,
    budget: &mut EntryBudget,
) -> Result<Vec<Change>, git2::Error> {
    let mut found = Vec::new();
    let top = Pair { trees: [Some(old), Some(new)], directory: String::new(), depth: 0 };
    let mut open = vec![top];
    while let Some(Pair { trees, directory, depth }) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(git2::Error::from_str("a tree of the history has too many levels"));
        }
        let names = entries(repository, trees, budget)?;
        for (name, sides) in names.into_iter().filter(|(_, [old, new])| old != new) {
            let trees = sides.map(|side| side.filter(Entry::is_tree).map(|it| it.oid));
            let [before, after] = sides.map(|side| side.filter(|side| !side.is_tree()));
            let path = directory.clone() + &text(name);
            if before.is_some() || after.is_some() {
                found.push(Change { path: path.clone(), before, after });
            }
            if trees.iter().any(Option::is_some) {
                open.push(Pair { trees, directory: path + "/", depth: depth + 1 });
            }
        }
    }
    Ok(found)
}

/// The objects of a tree that another one does not have in the same places.
///
/// # Errors
/// As above.
pub(super) fn added(repository: &Repository, old: Oid, new: Oid) -> Result<Vec<Oid>, git2::Error> {
    let (mut found, mut budget) = (vec![new], EntryBudget::new());
    let mut open = vec![[Some(old), Some(new)]];
    while let Some(trees) = open.pop() {
        let names = entries(repository, trees, &mut budget)?;
        for [before, after] in names.into_values().filter(|[old, new]| old != new) {
            let Some(after) = after.filter(|after| after.mode & KIND != SUBMODULE) else {
                continue;
            };
            found.push(after.oid);
            if after.is_tree() {
                let before = before.filter(Entry::is_tree).map(|before| before.oid);
                open.push([before, Some(after.oid)]);
            }
        }
    }
    Ok(found)
}

/// The entries of a name in two trees.
type Sides = [Option<Entry>; 2];

/// The entries of two trees by name.
fn entries(
    repository: &Repository,
    trees: [Option<Oid>; 2],
    budget: &mut EntryBudget,
) -> Result<BTreeMap<Vec<u8>, Sides>, git2::Error> {
    let mut names: BTreeMap<Vec<u8>, Sides> = BTreeMap::new();
    for (side, tree) in trees.into_iter().enumerate() {
        let Some(tree) = tree else { continue };
        for entry in &subtree(repository, tree)? {
            budget.entries = budget.entries.checked_sub(1).ok_or_else(|| {
                git2::Error::from_str("the trees of the history have too many entries")
            })?;
            let name = entry.name_bytes();
            let known = &mut names.entry(name.to_owned()).or_default()[side];
            if known.replace(Entry::of(&entry)).is_some() {
                let message = format!("a tree has two entries `{}`", name.escape_ascii());
                return Err(git2::Error::from_str(&message));
            }
        }
    }
    Ok(names)
}

fn text(name: Vec<u8>) -> String {
    String::from_utf8(name).unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_keeps_the_mode_of_a_regular_file() {
        let id = |text: &[u8]| Oid::hash_object(git2::ObjectType::Blob, text).unwrap();
        let (new, old) = (id(b"new"), id(b"old"));
        let entry = |oid, mode| Some(Entry { oid, mode });
        let (file, executable, link) = (0o100_644, 0o100_755, 0o120_000);
        let cases = [
            (entry(old, file), entry(new, file), true),
            (entry(old, executable), entry(new, executable), true),
            (entry(old, file), entry(new, executable), false),
            (entry(old, executable), entry(new, file), false),
            (entry(old, link), entry(new, link), false),
            // Bits that mean nothing, and links that look like programs.
            (entry(old, 0o100_664), entry(new, file), true),
            (entry(old, executable), entry(new, 0o120_755), false),
            (entry(old, executable), entry(new, 0o160_755), false),
            (entry(old, file), entry(old, file), false),
            (None, entry(new, file), false),
            (entry(old, file), None, false),
        ];
        for (before, after, want) in cases {
            let change = Change { path: "a".to_owned(), before, after };
            assert_eq!(change.is_edit_to(&new.to_string()), want, "{change:?}");
        }
    }

    /// A pack of one object whose kind has the number 5, and the object's name.
    #[test]
    fn an_object_of_no_kind_is_an_error() {
        let pack = "5041434b00000002000000015d789ccbcc4d4c4fb55248d44fb232e402001ebf03c5753af3826b38001885307c9582c9f48b63621aa6";
        let bytes: Vec<u8> = (0..pack.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&pack[at..at + 2], 16).unwrap())
            .collect();
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(directory.path()).unwrap();
        let odb = repository.odb().unwrap();
        let mut writer = odb.packwriter().unwrap();
        std::io::Write::write_all(&mut writer, &bytes).unwrap();
        writer.commit().unwrap();
        let id = Oid::from_str("83689a89076af28d601632287792bd36eeb65759").unwrap();
        let repository = Repository::open_bare(directory.path()).unwrap();
        let error = blob(&repository, id, "a.yaml", 100).unwrap_err();
        assert!(error.to_string().contains("no kind that git knows"), "{error}");
    }

    /// One object is as many files as a tree says.
    #[test]
    fn files_are_read_up_to_a_sum() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(directory.path()).unwrap();
        let id = repository.blob(&[b' '; 1000]).unwrap();
        let volume = Volume { read: AtomicU64::new(0), most: 2500 };
        let read = |_| volume.read(&repository, id, "a.yaml").is_ok();
        let got: Vec<bool> = (0..5).map(read).collect();
        assert_eq!(got, [true, true, true, false, false]);
        let error = volume.read(&repository, id, "a.yaml").unwrap_err();
        assert!(matches!(error, GitError::TooMuch { most: 2500 }), "{error}");
    }
}
