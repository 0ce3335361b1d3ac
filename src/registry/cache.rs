//! What earlier runs were told: pages of tag lists, each with what it takes to ask whether it changed,
//! and contents by their digest. Fit to be carried from run to run, as by the cache of GitHub Actions.
//!
//! A page counts only when the registry itself says that it has not changed, and a content only when
//! it has its digest. That protects against age and damage, and not against a forger: validators are no
//! secret, so who can write here can put other tags beside the current one. The directory has to be
//! trusted as much as the run itself.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::page::Page;
use crate::image::Digest;

/// Part of every name, so that another form is another file.
const FORM: &str = "v1";

/// Larger files are neither written nor read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// What a file is called while it is written.
const PARTIAL: &str = "partial-";

/// What nobody used for so long is removed.
const UNUSED: Duration = Duration::from_hours(30 * 24);

/// A directory. What cannot be read or written there is as if it were not there.
pub(super) struct Cache {
    directory: PathBuf,
    /// By the machine's clock, as times of files are; without it nothing is too old.
    now: Option<SystemTime>,
}

/// The pages of a tag list, by path and query.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Pages {
    /// Which list it is, in case that a name was given twice.
    list: String,
    pages: HashMap<String, Page>,
}

impl Pages {
    /// A page that was kept.
    pub(super) fn get(&self, path: &str) -> Option<&Page> {
        self.pages.get(path)
    }
}

impl Cache {
    /// Makes the directory.
    pub(super) fn open(directory: PathBuf, now: Option<SystemTime>) -> Option<Self> {
        match fs::create_dir_all(directory.join(FORM)) {
            Ok(()) => Some(Self { directory, now }),
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "the cache cannot be used");
                None
            }
        }
    }

    /// The pages of a list that were kept.
    pub(super) fn pages(&self, list: &str) -> Pages {
        let path = self.path("tags", list);
        let kept: Option<Pages> =
            self.read(&path).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        kept.filter(|kept| kept.list == list).unwrap_or_default()
    }

    /// Keeps the pages of a list that can be asked for again.
    pub(super) fn keep_pages(&self, list: &str, pages: HashMap<String, Page>) {
        let path = self.path("tags", list);
        if pages.is_empty() {
            fs::remove_file(path).ok();
            return;
        }
        let kept = Pages { list: list.to_owned(), pages };
        if let Ok(bytes) = serde_json::to_vec(&kept) {
            self.write(&path, &bytes);
        }
    }

    /// What has a digest; what has another one is not it.
    pub(super) fn content(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.path("content", digest.as_str());
        let bytes = self.read(&path)?;
        (Digest::of(digest.algorithm(), &bytes).as_ref() == Some(digest)).then_some(bytes)
    }

    /// Keeps what has a digest.
    pub(super) fn keep_content(&self, digest: &Digest, bytes: &[u8]) {
        self.write(&self.path("content", digest.as_str()), bytes);
    }

    /// Removes what was not used for long, so that a cache that is carried on does not grow.
    pub(super) fn prune(&self) {
        let Ok(entries) = fs::read_dir(self.directory.join(FORM)) else { return };
        for entry in entries.flatten().filter(|entry| is_ours(&entry.file_name())) {
            if entry.metadata().is_ok_and(|found| found.is_file() && self.age(&found) > UNUSED) {
                fs::remove_file(entry.path()).ok();
            }
        }
    }

    fn path(&self, kind: &str, key: &str) -> PathBuf {
        let hash = Sha256::digest(key);
        let name = hash.iter().fold(format!("{kind}-"), |name, byte| format!("{name}{byte:02x}"));
        self.directory.join(FORM).join(name)
    }

    /// Reads a file, and marks it as used.
    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let found = fs::metadata(path).ok()?;
        if !found.is_file() || found.len() > MAX_FILE {
            return None;
        }
        if self.age(&found) > UNUSED / 30 {
            let file = fs::File::options().append(true).open(path);
            file.and_then(|file| self.now.map_or(Ok(()), |now| file.set_modified(now))).ok();
        }
        fs::read(path).ok()
    }

    fn age(&self, found: &fs::Metadata) -> Duration {
        let since = found.modified().ok().zip(self.now);
        since.and_then(|(at, now)| now.duration_since(at).ok()).unwrap_or_default()
    }

    /// Writes a file whole or not at all: another run may read it.
    fn write(&self, path: &Path, bytes: &[u8]) {
        if bytes.len() as u64 > MAX_FILE {
            return;
        }
        let written =
            tempfile::Builder::new().prefix(PARTIAL).tempfile_in(self.directory.join(FORM));
        let written = written.and_then(|mut file| {
            file.write_all(bytes)?;
            file.persist(path).map_err(|error| error.error)
        });
        if let Err(error) = written {
            tracing::debug!(path = %path.display(), %error, "not kept");
        }
    }
}

/// Whether a name is one that [`Cache::path`] gives: nothing else is removed.
fn is_ours(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let hash = name.strip_prefix("tags-").or_else(|| name.strip_prefix("content-"));
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
        let open = |now| Cache::open(directory.path().to_owned(), now).unwrap();
        open(None).keep_content(&Digest::of("sha256", b"x").unwrap(), b"x");
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
