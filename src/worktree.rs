//! Files of a work tree: the only reader and writer of files beneath a repository's root.

mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cap_fs_ext::{DirExt as _, FollowSymlinks, OpenOptionsFollowExt as _};
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt as _};

use self::walk::Walked;

/// Most files fit into this many bytes.
const FIRST_BUFFER: usize = 64 << 10;

/// A directory that holds a config repository.
#[derive(Debug)]
pub struct WorkTree {
    root: PathBuf,
    /// The root as a handle, from which everything is opened.
    directory: Dir,
    paths: Vec<String>,
    skipped: BTreeMap<String, &'static str>,
    unlisted: BTreeMap<String, String>,
    /// The directories in which what was left behind is gone.
    swept: Mutex<BTreeSet<PathBuf>>,
}

/// A file or directory of the work tree that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkTreeError {
    /// The directory cannot be walked.
    #[error("cannot list {}: {source}", path.display())]
    Walk {
        /// The root.
        path: PathBuf,
        /// Why.
        source: ignore::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file, within the root.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file, within the root.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The path leads through a symbolic link, or out of the root.
    #[error("{0} leads through a symbolic link or out of the repository; left alone")]
    Outside(String),
    /// The file is not what the plan was made from.
    #[error("{0} changed while the run was under way; left alone")]
    Changed(String),
}

impl WorkTree {
    /// Lists the files beneath a directory, without what `.gitignore` leaves out, `.git` and
    /// whatever is not a regular file.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn open(root: &Path) -> Result<Self, WorkTreeError> {
        let Walked { paths, skipped, unlisted, failed } = walk::walk(root)?;
        // One directory that cannot be read does not hide the others.
        if let Some(source) = failed.filter(|_| !root.is_dir()) {
            return Err(WorkTreeError::Walk { path: root.to_owned(), source });
        }
        let directory = Dir::open_ambient_dir(root, cap_std::ambient_authority());
        let directory = directory
            .map_err(|source| WorkTreeError::Read { path: root.display().to_string(), source })?;
        let (root, swept) = (root.to_owned(), Mutex::default());
        Ok(Self { root, directory, paths, skipped, unlisted, swept })
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The paths of the files, with forward slashes, sorted.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Paths of what is no regular file, or has a name that no path can say; and why it is left alone.
    #[must_use]
    pub fn skipped(&self) -> &BTreeMap<String, &'static str> {
        &self.skipped
    }

    /// Directories whose files are not known, and why.
    #[must_use]
    pub fn unlisted(&self) -> &BTreeMap<String, String> {
        &self.unlisted
    }

    /// Reads a file, `limit` bytes of it at most.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, WorkTreeError> {
        // What is named by a policy need not be one of the files that were listed: a pipe is waited for without end.
        let failed = |source| WorkTreeError::Read { path: path.to_owned(), source };
        if !self.directory.metadata(path).map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is no regular file")));
        }
        let mut buffer = Vec::new();
        let length = self.read_into(path, limit, &mut buffer)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Reads a file into a buffer that can be used for many, with as few system calls as it takes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_into<'b>(
        &self,
        path: &str,
        limit: usize,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], WorkTreeError> {
        let failed = |source| WorkTreeError::Read { path: path.to_owned(), source };
        let mut file = self.directory.open(path).map_err(failed)?;
        let mut length = 0;
        while length < limit {
            if length == buffer.len() {
                buffer.resize((length * 2).clamp(FIRST_BUFFER, limit.max(FIRST_BUFFER)), 0);
            }
            match file.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(&buffer[..length.min(limit)])
    }

    /// Replaces a file as a whole, or not at all, keeping its mode.
    ///
    /// Every step on the way is opened from the one before it, without following a link, so that a
    /// directory that is swapped for one while this runs leads nowhere else.
    ///
    /// # Errors
    /// When the path is no longer a regular file reached without links, its content is not
    /// `before`, or it cannot be written.
    pub fn replace(&self, path: &str, before: &str, after: &str) -> Result<(), WorkTreeError> {
        let (directory, name) = self.regular_file(path)?;
        let unread = |source| WorkTreeError::Read { path: path.to_owned(), source };
        let options = OpenOptions::new().read(true).follow(FollowSymlinks::No).clone();
        let file = directory.open_with(name, &options).map_err(unread)?;
        let mut content = Vec::with_capacity(before.len() + 1);
        let limit = before.len() as u64 + 1;
        (&file).take(limit).read_to_end(&mut content).map_err(unread)?;
        if content != before.as_bytes() {
            return Err(WorkTreeError::Changed(path.to_owned()));
        }
        let failed = |source| WorkTreeError::Write { path: path.to_owned(), source };
        let mode = file.metadata().map_err(failed)?.permissions();
        self.sweep(path, &directory);
        let moved = |place: &Dir| {
            let mut new = Scratch::new(place)?;
            new.file.write_all(after.as_bytes())?;
            new.file.set_permissions(mode.clone())?;
            place.rename(&new.name, &directory, name)
        };
        // What a run that was killed leaves there, `git add` does not take.
        match self.directory.open_dir_nofollow(".git").and_then(|git| moved(&git)) {
            Ok(()) => Ok(()),
            // No directory, nothing that may be written, or another device.
            Err(_) => moved(&directory).map_err(failed),
        }
    }

    /// Removes what a run that was killed left behind in the directory of a file, once for each.
    fn sweep(&self, path: &str, directory: &Dir) {
        let parent = Path::new(path).parent().map(Path::to_owned).unwrap_or_default();
        if !self.swept.lock().unwrap_or_else(PoisonError::into_inner).insert(parent) {
            return;
        }
        let git = self.directory.open_dir_nofollow(".git").ok();
        for place in git.iter().chain([directory]) {
            let entries = place.entries().into_iter().flatten().flatten();
            for entry in entries.filter(Scratch::is_left) {
                place.remove_file(entry.file_name()).ok();
            }
        }
    }

    /// Writes a file that is not there yet, with the directories on the way to it.
    ///
    /// # Errors
    /// When something is there already, the path leads through a link, or it cannot be written.
    pub fn create(&self, path: &str, text: &str) -> Result<(), WorkTreeError> {
        let failed = |source| WorkTreeError::Write { path: path.to_owned(), source };
        let mut directory = self.directory.try_clone().map_err(failed)?;
        let mut steps = Path::new(path).components().peekable();
        while let Some(Component::Normal(step)) = steps.next() {
            if steps.peek().is_none() {
                let options = OpenOptions::new().write(true).create_new(true).clone();
                let mut file = directory.open_with(step, &options).map_err(failed)?;
                return file.write_all(text.as_bytes()).map_err(failed);
            }
            match directory.create_dir(step) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed(error));
                }
                _ => directory = directory.open_dir_nofollow(step).map_err(failed)?,
            }
        }
        Err(WorkTreeError::Outside(path.to_owned()))
    }

    /// The directory of a path and its last name, when every step on the way is a directory and the
    /// end a regular file.
    fn regular_file<'p>(&self, path: &'p str) -> Result<(Dir, &'p OsStr), WorkTreeError> {
        let outside = || WorkTreeError::Outside(path.to_owned());
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                WorkTreeError::Read { path: path.to_owned(), source }
            }
            _ => outside(),
        };
        let mut directory = self.directory.try_clone().map_err(failed)?;
        let mut steps = Path::new(path).components().peekable();
        while let Some(Component::Normal(step)) = steps.next() {
            if steps.peek().is_none() {
                let kind = directory.symlink_metadata(step).map_err(failed)?;
                return if kind.is_file() { Ok((directory, step)) } else { Err(outside()) };
            }
            directory = directory.open_dir_nofollow(step).map_err(failed)?;
        }
        Err(outside())
    }
}

/// A file on its way into its place; it goes away where it does not get there.
struct Scratch<'d> {
    directory: &'d Dir,
    name: String,
    file: File,
}

impl<'d> Scratch<'d> {
    const PREFIX: &'static str = ".tagalong-";
    const SUFFIX: &'static str = ".tmp";

    /// Another run is not over within this time.
    const OLD: Duration = Duration::from_hours(1);

    fn new(directory: &'d Dir) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // What it is to hold may be for few eyes.
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}{}-{number}{}", Self::PREFIX, std::process::id(), Self::SUFFIX);
            match directory.open_with(&name, &options) {
                Ok(file) => return Ok(Self { directory, name, file }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// True for one that a run left behind.
    fn is_left(entry: &cap_std::fs::DirEntry) -> bool {
        let name = entry.file_name();
        let is_one = name
            .to_str()
            .is_some_and(|name| name.starts_with(Self::PREFIX) && name.ends_with(Self::SUFFIX));
        let modified = || entry.metadata()?.modified();
        let age = || modified().ok()?.into_std().elapsed().ok();
        is_one && age().is_some_and(|age| age > Self::OLD)
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // Where it got into its place, there is nothing of this name.
        self.directory.remove_file(&self.name).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::walk::NOT_UTF8;
    use super::*;

    #[test]
    fn lists_regular_files_that_git_would_track() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let full = dir.path().join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, text).unwrap();
        };
        for path in [".git/config", "b/x.yaml", "a.yaml", ".github/w.yaml", "out/y.yaml"] {
            put(path, "x: 1\n");
        }
        put(".gitignore", "out/\n");
        put(".ignore", "a.yaml\n");
        put("sub/.git", "gitdir: ../.git/modules/sub\n");
        put("sub/c.yaml", "x: 1\n");
        std::os::unix::fs::symlink("a.yaml", dir.path().join("link.yaml")).unwrap();
        let tree = WorkTree::open(dir.path()).unwrap();
        assert_eq!(tree.paths(), [".github/w.yaml", ".gitignore", ".ignore", "a.yaml", "b/x.yaml"]);
        let skipped: Vec<_> = tree.skipped().iter().map(|(path, why)| (&**path, *why)).collect();
        let other = "a repository of its own, or a submodule";
        assert_eq!(skipped, [("link.yaml", "a symbolic link"), ("sub", other)]);
    }

    #[test]
    fn what_cannot_be_listed_is_told() {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tempfile::tempdir().unwrap();
        let make = |path: &str| std::fs::create_dir_all(dir.path().join(path)).unwrap();
        for path in ["a/b", "large", "piped", "link"] {
            make(path);
        }
        let put = |path: &str, text: &str| std::fs::write(dir.path().join(path), text).unwrap();
        put("a/b/x.yaml", "");
        put("large/.gitignore", &("x\n".repeat(128 << 10) + "x"));
        put("large/x.yaml", "");
        put("link/x.yaml", "");
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("link/.gitignore")).unwrap();
        let pipe = dir.path().join("piped/.gitignore");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::write(dir.path().join(OsStr::from_bytes(b"a/\xff.yaml")), "").unwrap();
        let tree = WorkTree::open(dir.path()).unwrap();
        assert_eq!(tree.paths(), ["a/b/x.yaml"]);
        let unlisted: Vec<&str> = tree.unlisted().keys().map(String::as_str).collect();
        assert_eq!(unlisted, ["large", "link", "piped"]);
        assert_eq!(tree.skipped().iter().next(), Some((&r"a/\xff.yaml".to_owned(), &NOT_UTF8)));
        std::fs::copy(dir.path().join("large/.gitignore"), dir.path().join(".gitignore")).unwrap();
        assert!(matches!(WorkTree::open(dir.path()), Err(WorkTreeError::Read { .. })));
    }

    #[test]
    fn replaces_only_regular_files_with_the_expected_content() {
        use std::os::unix::fs::PermissionsExt as _;
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = dir.path().join("a.yaml");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::fs::write(outside.path().join("b.yaml"), "old").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("d")).unwrap();
        let tree = WorkTree::open(dir.path()).unwrap();
        tree.replace("a.yaml", "old", "new").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(matches!(tree.replace("a.yaml", "old", "x"), Err(WorkTreeError::Changed(_))));
        for path in ["d/b.yaml", "../b.yaml", "/etc/hostname"] {
            assert!(
                matches!(tree.replace(path, "old", "x"), Err(WorkTreeError::Outside(_))),
                "{path}"
            );
        }
        assert_eq!(std::fs::read_to_string(outside.path().join("b.yaml")).unwrap(), "old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_a_killed_run_left_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for git in [None, Some("gitdir: elsewhere\n")] {
            match git {
                None => std::fs::create_dir(path(".git")).unwrap(),
                Some(text) => {
                    std::fs::remove_dir(path(".git")).unwrap();
                    std::fs::write(path(".git"), text).unwrap();
                }
            }
            std::fs::write(path("a.yaml"), "old").unwrap();
            let left = |name: &str, hours: u64| {
                let file = std::fs::File::create(path(name)).unwrap();
                let now = file.metadata().unwrap().modified().unwrap();
                file.set_modified(now - Duration::from_hours(hours)).unwrap();
            };
            left(".tagalong-1-0.tmp", 2);
            left(".tagalong-1-1.tmp", 0);
            left(".tagalong.yaml", 2);
            WorkTree::open(dir.path()).unwrap().replace("a.yaml", "old", "new").unwrap();
            assert_eq!(std::fs::read_to_string(path("a.yaml")).unwrap(), "new");
            let entries = std::fs::read_dir(dir.path()).unwrap();
            let mut names: Vec<_> = entries.map(|one| one.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, [".git", ".tagalong-1-1.tmp", ".tagalong.yaml", "a.yaml"]);
        }
    }

    #[test]
    fn a_directory_that_is_swapped_for_a_link_leads_nowhere() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("d")).unwrap();
        for root in [dir.path().join("d"), outside.path().to_owned()] {
            std::fs::write(root.join("a.yaml"), "old").unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), path("link")).unwrap();
        let tree = WorkTree::open(dir.path()).unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for (from, to) in [("d", "real"), ("link", "d"), ("d", "link"), ("real", "d")] {
                        std::fs::rename(path(from), path(to)).unwrap();
                    }
                }
            });
            let mut written = 0;
            for _ in 0..20_000 {
                let (old, new) = if written % 2 == 0 { ("old", "new") } else { ("new", "old") };
                written += usize::from(tree.replace("d/a.yaml", old, new).is_ok());
            }
            is_over.store(true, Ordering::Relaxed);
            assert!(written > 0);
        });
        assert_eq!(std::fs::read_to_string(outside.path().join("a.yaml")).unwrap(), "old");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
