//! How fast GitHub is asked, and for how long. Its
//! [best practices](https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api)
//! want changes one after the other with a second between them, and waits as long as it says.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::ForgeError;

/// Between two changes on github.com. Enterprise Server has no limits unless somebody sets them.
const GAP: Duration = Duration::from_secs(1);

/// When GitHub does not say how long to wait.
const UNTOLD: u64 = 60;

/// A run waits this long for a limit, in seconds; what is left then is for the next run.
const LONGEST_WAIT: u64 = 15 * 60;

/// GitHub's limits are by the hour; clocks cannot add every number, in seconds.
const LONGEST_TOLD: u64 = 86_400;

/// How often something is asked again that failed for a moment.
const RETRIES: u32 = 3;

/// The pace of one run.
pub(super) struct Pace {
    gap: Duration,
    /// When the last change was sent. Held while one is under way, so that they come one by one.
    last: Mutex<Option<Instant>>,
    limit: Mutex<Limit>,
}

/// What the run knows of GitHub's limits.
#[derive(Default)]
struct Limit {
    /// How long it has waited in all, in seconds.
    waited: u64,
    /// Until when nothing is sent any more, as GitHub wants a longer wait.
    blocked: Option<Instant>,
}

impl Pace {
    pub(super) fn of(host: &str) -> Self {
        let is_limited = host == "api.github.com" || host.ends_with(".ghe.com");
        let gap = if is_limited { GAP } else { Duration::ZERO };
        Self { gap, last: Mutex::default(), limit: Mutex::default() }
    }

    /// Sends a change: after the others, and again only when GitHub said that it did nothing.
    pub(super) async fn write<T>(
        &self,
        send: impl AsyncFn() -> Result<T, ForgeError>,
    ) -> Result<T, ForgeError> {
        let mut last = self.last.lock().await;
        loop {
            self.unblocked().await?;
            let since = last.map(|last| last.elapsed());
            tokio::time::sleep(since.map_or(Duration::ZERO, |s| self.gap.saturating_sub(s))).await;
            *last = Some(Instant::now());
            match send().await {
                Err(ForgeError::RateLimited(told)) => self.wait(told).await?,
                answer => return answer,
            }
        }
    }

    /// Asks something that changes nothing, also again when GitHub stumbles.
    pub(super) async fn patiently<T>(
        &self,
        send: impl AsyncFn() -> Result<T, ForgeError>,
    ) -> Result<T, ForgeError> {
        let mut tries = 0;
        loop {
            self.unblocked().await?;
            match send().await {
                Err(ForgeError::RateLimited(told)) => self.wait(told).await?,
                Err(ForgeError::Unavailable(_)) if tries < RETRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(tries)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Nothing is sent before the time that GitHub said.
    async fn unblocked(&self) -> Result<(), ForgeError> {
        let blocked = self.limit.lock().await.blocked;
        let left = blocked.map(|until| until.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            Some(left) => Err(ForgeError::RateLimited(Some(left.as_secs().max(1)))),
            None => Ok(()),
        }
    }

    /// Waits as long as GitHub says; fails, also for everything after it, when that is too long in all.
    async fn wait(&self, told: Option<u64>) -> Result<(), ForgeError> {
        let seconds = told.unwrap_or(UNTOLD).clamp(1, LONGEST_TOLD);
        {
            let mut limit = self.limit.lock().await;
            if limit.waited + seconds > LONGEST_WAIT {
                limit.blocked = Some(Instant::now() + Duration::from_secs(seconds));
                return Err(ForgeError::RateLimited(Some(seconds)));
            }
            limit.waited += seconds;
        }
        tracing::warn!(seconds, "GitHub limits requests; waiting");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(())
    }
}
