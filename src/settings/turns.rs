//! Turns at a forge's server: its limits are those of an identity, and not of a repository or a process.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{Mutex, MutexGuard};

/// The turns of everybody who asks: in this process, or, by a file, in several.
#[derive(Default)]
pub struct Turns {
    /// Time of the last change. Locked while a change is under way, so that they come one by one.
    last: Mutex<Option<Instant>>,
    /// Before this nothing is sent.
    until: Mutex<Option<Instant>>,
    /// The file that other processes know as well: both times in milliseconds since 1970, eight bytes each.
    shared: Option<PathBuf>,
}

/// A file for turns, for as long as this is held.
pub struct TurnsFile {
    path: PathBuf,
    #[cfg(target_os = "linux")]
    _memory: File,
    #[cfg(not(target_os = "linux"))]
    _file: tempfile::TempPath,
}

impl TurnsFile {
    /// Makes one. On Linux it is in memory alone, as the only writable place may be none.
    ///
    /// # Errors
    /// The system refuses.
    #[cfg(target_os = "linux")]
    pub fn new() -> std::io::Result<Self> {
        use std::os::fd::AsRawFd as _;
        let memory = rustix::fs::memfd_create("turns", rustix::fs::MemfdFlags::CLOEXEC)?;
        let memory = File::from(memory);
        let path = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
        Ok(Self { path: path.into(), _memory: memory })
    }

    /// Makes one.
    ///
    /// # Errors
    /// The system refuses.
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> std::io::Result<Self> {
        let file = tempfile::NamedTempFile::new()?.into_temp_path();
        Ok(Self { path: file.to_path_buf(), _file: file })
    }

    /// Path for other processes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A turn to change something: nobody else has one.
pub struct Turn<'t> {
    last: MutexGuard<'t, Option<Instant>>,
    /// Locked until it goes.
    file: Option<File>,
}

/// Offsets of the times in the file.
const LAST: u64 = 0;
const UNTIL: u64 = 8;

impl Turns {
    /// Turns that other processes take as well, by a file that is there.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn shared(path: &Path) -> std::io::Result<Self> {
        open(path)?;
        Ok(Self { shared: Some(path.to_owned()), ..Self::default() })
    }

    /// Waits for a turn.
    pub async fn take(&self) -> Turn<'_> {
        let mut last = self.last.lock().await;
        let file = match self.shared.clone() {
            // A lock is waited for on another thread.
            Some(path) => tokio::task::spawn_blocking(move || locked(&path)).await.ok().flatten(),
            None => None,
        };
        if let Some(file) = &file {
            *last = read(file, LAST);
        }
        Turn { last, file }
    }

    /// The time before which nothing is sent.
    pub async fn until(&self) -> Option<Instant> {
        let known = *self.until.lock().await;
        let shared = self.shared.as_ref().and_then(|path| read(&open(path).ok()?, UNTIL));
        known.max(shared)
    }

    /// Lets nothing be sent before a time; an earlier one is no permission.
    pub async fn wait(&self, until: Instant) {
        let mut known = self.until.lock().await;
        *known = Some(until).max(*known);
        let Some(file) = self.shared.as_ref().and_then(|path| open(path).ok()) else { return };
        if read(&file, UNTIL) < *known {
            write(&file, UNTIL, *known);
        }
    }
}

impl Turn<'_> {
    /// Time since the last change.
    #[must_use]
    pub fn since(&self) -> Option<Duration> {
        self.last.map(|last| last.elapsed())
    }

    /// Notes that a change is sent now.
    pub fn sends(&mut self) {
        *self.last = Some(Instant::now());
        if let Some(file) = &self.file {
            write(file, LAST, *self.last);
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).open(path)
}

fn locked(path: &Path) -> Option<File> {
    let file = open(path).ok()?;
    file.lock().ok()?;
    Some(file)
}

/// Milliseconds since 1970.
fn now() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "what processes share is no clock of one of them"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A time of the file, by this process' clock.
fn read(file: &File, at: u64) -> Option<Instant> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at).ok()?;
    let (time, now) = (u64::from_be_bytes(bytes), now());
    let apart = Duration::from_millis(time.abs_diff(now));
    if time > now { Instant::now().checked_add(apart) } else { Instant::now().checked_sub(apart) }
}

fn write(file: &File, at: u64, time: Option<Instant>) {
    let Some(time) = time else { return };
    let ahead = time.saturating_duration_since(Instant::now());
    let time = now().saturating_add(u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX));
    // What cannot be written is known to this process at least.
    file.write_all_at(&time.to_be_bytes(), at).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn processes_take_turns_by_a_file() {
        let file = TurnsFile::new().unwrap();
        let [one, other] = [(); 2].map(|()| Turns::shared(file.path()).unwrap());
        assert_eq!(one.until().await, None);
        assert_eq!(one.take().await.since(), None);
        one.take().await.sends();
        assert!(other.take().await.since().is_some());
        let hour = Duration::from_hours(1);
        one.wait(Instant::now() + hour).await;
        other.wait(Instant::now() + Duration::from_secs(1)).await;
        let left = other.until().await.unwrap().saturating_duration_since(Instant::now());
        assert!(left > hour / 2, "{left:?}");
        // Nobody else has a turn meanwhile.
        let turn = one.take().await;
        assert!(tokio::time::timeout(Duration::from_millis(50), other.take()).await.is_err());
        drop(turn);
        other.take().await.sends();
    }
}
