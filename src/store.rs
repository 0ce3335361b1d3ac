//! A directory of what earlier runs were told, fit to be carried from run to run, as by the cache of
//! GitHub Actions.
//!
//! Nothing in it counts by itself: who asked proves that it still holds. That protects against age and
//! damage, and not against a forger, so the directory has to be trusted as much as the run itself.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

/// Part of every name, so that another form is another file.
const FORM: &str = "v1";

/// Larger files are neither written nor read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// What a file is called while it is written.
const PARTIAL: &str = "partial-";

/// What nobody used for so long is removed.
const UNUSED: Duration = Duration::from_hours(30 * 24);

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pages of tag lists.
    Tags,
    /// What has a digest.
    Content,
    /// Answers of a forge.
    Forge,
}

/// A directory. What cannot be read or written there is as if it were not there.
pub struct Store {
    directory: PathBuf,
    /// By the machine's clock, as times of files are; without it nothing is too old.
    now: Option<SystemTime>,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Tags, Self::Content, Self::Forge];

    fn prefix(self) -> &'static str {
        match self {
            Self::Tags => "tags-",
            Self::Content => "content-",
            Self::Forge => "forge-",
        }
    }
}

impl Store {
    /// Makes the directory.
    #[must_use]
    pub fn open(directory: PathBuf, now: Option<SystemTime>) -> Option<Self> {
        match fs::create_dir_all(directory.join(FORM)) {
            Ok(()) => Some(Self { directory, now }),
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "the cache cannot be used");
                None
            }
        }
    }

    /// What was kept under a key, and marks it as used.
    #[must_use]
    pub fn get(&self, kind: Kind, key: &str) -> Option<Vec<u8>> {
        let path = self.path(kind, key);
        let found = fs::metadata(&path).ok()?;
        if !found.is_file() || found.len() > MAX_FILE {
            return None;
        }
        if self.age(&found) > UNUSED / 30 {
            let file = fs::File::options().append(true).open(&path);
            file.and_then(|file| self.now.map_or(Ok(()), |now| file.set_modified(now))).ok();
        }
        fs::read(path).ok()
    }

    /// Keeps something, whole or not at all: another run may read it.
    pub fn keep(&self, kind: Kind, key: &str, bytes: &[u8]) {
        if bytes.len() as u64 > MAX_FILE {
            return;
        }
        let path = self.path(kind, key);
        let written =
            tempfile::Builder::new().prefix(PARTIAL).tempfile_in(self.directory.join(FORM));
        let written = written.and_then(|mut file| {
            file.write_all(bytes)?;
            file.persist(&path).map_err(|error| error.error)
        });
        if let Err(error) = written {
            tracing::debug!(path = %path.display(), %error, "not kept");
        }
    }

    /// Removes what was kept under a key.
    pub fn forget(&self, kind: Kind, key: &str) {
        fs::remove_file(self.path(kind, key)).ok();
    }

    /// Removes what was not used for long, so that a cache that is carried on does not grow.
    pub fn prune(&self) {
        let Ok(entries) = fs::read_dir(self.directory.join(FORM)) else { return };
        for entry in entries.flatten().filter(|entry| is_ours(&entry.file_name())) {
            if entry.metadata().is_ok_and(|found| found.is_file() && self.age(&found) > UNUSED) {
                fs::remove_file(entry.path()).ok();
            }
        }
    }

    fn path(&self, kind: Kind, key: &str) -> PathBuf {
        let hash = Sha256::digest(key);
        let name = kind.prefix().to_owned();
        let name = hash.iter().fold(name, |name, byte| format!("{name}{byte:02x}"));
        Path::new(&self.directory).join(FORM).join(name)
    }

    fn age(&self, found: &fs::Metadata) -> Duration {
        let since = found.modified().ok().zip(self.now);
        since.and_then(|(at, now)| now.duration_since(at).ok()).unwrap_or_default()
    }
}

/// Whether a name is one that [`Store::path`] gives: nothing else is removed.
fn is_ours(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let hash = Kind::ALL.into_iter().find_map(|kind| name.strip_prefix(kind.prefix()));
    let is_hash = |hash: &str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    name.starts_with(PARTIAL) || hash.is_some_and(is_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_files_are_removed_and_by_the_real_clock() {
        let directory = tempfile::tempdir().unwrap();
        let keep = |name: &str| directory.path().join(FORM).join(name);
        let open = |now| Store::open(directory.path().to_owned(), now).unwrap();
        open(None).keep(Kind::Content, "x", b"x");
        let own = fs::read_dir(directory.path().join(FORM)).unwrap().next().unwrap().unwrap();
        let now = own.metadata().unwrap().modified().unwrap();
        let later = now + 2 * UNUSED;
        fs::write(keep("id_ed25519"), "").unwrap();
        fs::write(keep("tags-notes"), "").unwrap();
        for (clock, is_kept) in [(None, true), (Some(now), true), (Some(later), false)] {
            open(clock).prune();
            assert_eq!(own.path().exists(), is_kept, "{clock:?}");
        }
        assert!(keep("id_ed25519").exists() && keep("tags-notes").exists());
    }
}
