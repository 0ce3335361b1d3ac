//! The files beneath a directory, listed on all cores.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};
use rayon::slice::ParallelSliceMut as _;

use super::WorkTreeError;

/// A longer `.gitignore`, in bytes, is not read: its patterns become one expression, which takes three hundred times as much.
const MAX_IGNORES: u64 = 256 << 10;

/// The reason that the `.gitignore` of a directory cannot be used. A pipe would be waited for without end.
fn unusable_ignores(directory: &Path) -> Option<&'static str> {
    // Links are followed, as they are where it is read.
    let about = std::fs::metadata(directory.join(".gitignore")).ok()?;
    match () {
        () if !about.is_file() => Some("its `.gitignore` is no regular file"),
        () if about.len() > MAX_IGNORES => Some("its `.gitignore` has more than 256 KiB"),
        () => None,
    }
}

/// Keeps a walk out of what it must not look into; such directories are remembered.
fn filter(
    root: &Path,
    unlisted: &Arc<Mutex<BTreeMap<String, String>>>,
) -> impl Fn(&DirEntry) -> bool + Send + Sync + 'static {
    let (root, unlisted) = (root.to_owned(), Arc::clone(unlisted));
    move |entry| {
        let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
        let why = is_dir.then(|| unusable_ignores(entry.path())).flatten();
        if let Some(why) = why {
            let mut unlisted = unlisted.lock().unwrap_or_else(PoisonError::into_inner);
            unlisted.insert(shown(&root, entry.path()), why.to_owned());
        }
        why.is_none() && entry.file_name() != ".git"
    }
}

/// The files that a walk has found.
#[derive(Default)]
pub(super) struct Walked {
    /// Regular files, sorted.
    pub(super) paths: Vec<String>,
    pub(super) skipped: BTreeMap<String, &'static str>,
    pub(super) unlisted: BTreeMap<String, String>,
    /// One of the failures.
    pub(super) failed: Option<ignore::Error>,
}

/// Lists what is beneath a directory, without what `.gitignore` leaves out, and `.git`.
pub(super) fn walk(root: &Path) -> Result<Walked, WorkTreeError> {
    let (found, unlisted) = (Mutex::new(Walked::default()), Arc::new(Mutex::default()));
    if let Some(why) = unusable_ignores(root) {
        let path = ".gitignore".to_owned();
        return Err(WorkTreeError::Read { path, source: io::Error::other(why) });
    }
    let walk = WalkBuilder::new(root)
        .hidden(false)
        .ignore(false)
        .follow_links(false)
        .git_global(false)
        .git_exclude(false)
        .parents(false)
        .require_git(false)
        .filter_entry(filter(root, &unlisted))
        .build_parallel();
    walk.visit(&mut Lister { root, found: &found });
    let mut walked = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    walked.unlisted.append(&mut unlisted.lock().unwrap_or_else(PoisonError::into_inner));
    walked.paths.par_sort_unstable();
    Ok(walked)
}

/// Makes a visitor for each thread of a walk.
struct Lister<'a> {
    root: &'a Path,
    found: &'a Mutex<Walked>,
}

/// One thread of a walk; it hands over what it has found at its end.
struct Visitor<'a> {
    root: &'a Path,
    own: Walked,
    found: &'a Mutex<Walked>,
}

impl<'s> ParallelVisitorBuilder<'s> for Lister<'s> {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 's> {
        Box::new(Visitor { root: self.root, own: Walked::default(), found: self.found })
    }
}

impl ParallelVisitor for Visitor<'_> {
    fn visit(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        match entry {
            Ok(entry) => {
                let path = entry.path().strip_prefix(self.root).ok().and_then(slashed);
                let Some(kind) = entry.file_type() else { return WalkState::Continue };
                let mut skip = |why| {
                    self.own.skipped.insert(shown(self.root, entry.path()), why);
                    WalkState::Skip
                };
                let Some(path) = path else { return skip(NOT_UTF8) };
                // Its files are not this repository's.
                if kind.is_dir() && entry.depth() > 0 && entry.path().join(".git").exists() {
                    return skip("a repository of its own, or a submodule");
                }
                match () {
                    () if kind.is_file() => self.own.paths.push(path),
                    () if kind.is_symlink() => return skip("a symbolic link"),
                    () if !kind.is_dir() => return skip("no regular file"),
                    () => {}
                }
            }
            Err(error) => self.fail(error),
        }
        WalkState::Continue
    }
}

impl Visitor<'_> {
    /// Remembers a directory that cannot be listed.
    fn fail(&mut self, error: ignore::Error) {
        if let Some(path) = path_of(&error) {
            self.own.unlisted.insert(shown(self.root, path), error.to_string());
        }
        self.own.failed = Some(error);
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.paths.append(&mut self.own.paths);
        found.skipped.append(&mut self.own.skipped);
        found.unlisted.append(&mut self.own.unlisted);
        found.failed = found.failed.take().or(self.own.failed.take());
    }
}

/// The reason that a path that is not UTF-8 is left alone.
pub(super) const NOT_UTF8: &str = "its name is not UTF-8";

/// The path that an error is about.
fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            path_of(err)
        }
        _ => None,
    }
}

/// A path beneath the root, with bytes that are not UTF-8 escaped.
fn shown(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    match slashed(path).as_deref() {
        Some("") => ".".to_owned(),
        Some(path) => path.to_owned(),
        None => path.as_os_str().as_encoded_bytes().escape_ascii().to_string(),
    }
}

fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    parts.map(|parts| parts.join("/"))
}
