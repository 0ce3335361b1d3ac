//! Files of a work tree: the only reader and writer of files beneath a repository's root.

use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};
use rayon::slice::ParallelSliceMut as _;

/// Most files fit into this many bytes.
const FIRST_BUFFER: usize = 64 << 10;

/// A directory that holds a config repository.
#[derive(Debug)]
pub struct WorkTree {
    root: PathBuf,
    paths: Vec<String>,
    skipped: Vec<String>,
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
        let found = Mutex::new(Listed::default());
        let walk = WalkBuilder::new(root)
            .hidden(false)
            .ignore(false)
            .follow_links(false)
            .git_global(false)
            .git_exclude(false)
            .parents(false)
            .require_git(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build_parallel();
        walk.visit(&mut Lister { root, found: &found });
        let Listed { mut paths, mut skipped, failed } =
            found.into_inner().unwrap_or_else(PoisonError::into_inner);
        // One directory that cannot be read does not hide the others.
        if let Some(source) = failed.filter(|_| !root.is_dir()) {
            return Err(WorkTreeError::Walk { path: root.to_owned(), source });
        }
        paths.par_sort_unstable();
        skipped.sort_unstable();
        Ok(Self { root: root.to_owned(), paths, skipped })
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

    /// The paths of symbolic links, which are not followed.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Reads a file, `limit` bytes of it at most.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, WorkTreeError> {
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
        let mut file = std::fs::File::open(self.root.join(path)).map_err(failed)?;
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
    /// # Errors
    /// When the path is no longer a regular file reached without links, its content is not
    /// `before`, or it cannot be written.
    pub fn replace(&self, path: &str, before: &str, after: &str) -> Result<(), WorkTreeError> {
        let full = self.regular_file(path)?;
        if self.read(path, before.len() + 1)? != before.as_bytes() {
            return Err(WorkTreeError::Changed(path.to_owned()));
        }
        let failed = |source| WorkTreeError::Write { path: path.to_owned(), source };
        let directory = full.parent().unwrap_or(&self.root);
        let mut file =
            tempfile::Builder::new().prefix(".tagalong-").tempfile_in(directory).map_err(failed)?;
        file.write_all(after.as_bytes()).map_err(failed)?;
        let mode = std::fs::symlink_metadata(&full).map_err(failed)?.permissions();
        std::fs::set_permissions(file.path(), mode).map_err(failed)?;
        file.persist(&full).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The full path, when every step on the way is a directory and the end a regular file.
    fn regular_file(&self, path: &str) -> Result<PathBuf, WorkTreeError> {
        let outside = || WorkTreeError::Outside(path.to_owned());
        let mut full = self.root.clone();
        for component in Path::new(path).components() {
            let Component::Normal(name) = component else { return Err(outside()) };
            full.push(name);
            let metadata = std::fs::symlink_metadata(&full);
            let metadata =
                metadata.map_err(|source| WorkTreeError::Read { path: path.to_owned(), source })?;
            if metadata.is_symlink() {
                return Err(outside());
            }
        }
        if full.is_file() { Ok(full) } else { Err(outside()) }
    }
}

/// What a walk has found.
#[derive(Default)]
struct Listed {
    paths: Vec<String>,
    skipped: Vec<String>,
    failed: Option<ignore::Error>,
}

/// Makes a visitor for each thread of a walk.
struct Lister<'a> {
    root: &'a Path,
    found: &'a Mutex<Listed>,
}

/// What one thread of a walk has found; it hands that over at its end.
struct Visitor<'a> {
    root: &'a Path,
    own: Listed,
    found: &'a Mutex<Listed>,
}

impl<'s> ParallelVisitorBuilder<'s> for Lister<'s> {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 's> {
        Box::new(Visitor { root: self.root, own: Listed::default(), found: self.found })
    }
}

impl ParallelVisitor for Visitor<'_> {
    fn visit(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        match entry {
            Ok(entry) => {
                let path = entry.path().strip_prefix(self.root).ok().and_then(slashed);
                match (path, entry.file_type()) {
                    (Some(path), Some(kind)) if kind.is_file() => self.own.paths.push(path),
                    (Some(path), Some(kind)) if kind.is_symlink() => self.own.skipped.push(path),
                    _ => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a directory cannot be listed");
                self.own.failed = Some(error);
            }
        }
        WalkState::Continue
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.paths.append(&mut self.own.paths);
        found.skipped.append(&mut self.own.skipped);
        found.failed = found.failed.take().or(self.own.failed.take());
    }
}

fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    parts.map(|parts| parts.join("/"))
}

#[cfg(test)]
mod tests {
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
        std::os::unix::fs::symlink("a.yaml", dir.path().join("link.yaml")).unwrap();
        let tree = WorkTree::open(dir.path()).unwrap();
        assert_eq!(tree.paths(), [".github/w.yaml", ".gitignore", ".ignore", "a.yaml", "b/x.yaml"]);
        assert_eq!(tree.skipped(), ["link.yaml"]);
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
}
