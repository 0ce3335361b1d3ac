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

/// How often something is asked again that failed for a moment.
const RETRIES: u32 = 3;

/// The pace of one run.
pub(super) struct Pace {
    gap: Duration,
    /// When the last change was sent. Held while one is under way, so that they come one by one.
    last: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn of(host: &str) -> Self {
        let is_limited = host == "api.github.com" || host.ends_with(".ghe.com");
        let gap = if is_limited { GAP } else { Duration::ZERO };
        Self { gap, last: Mutex::default() }
    }

    /// Sends a change: after the others, and again only when GitHub said that it did nothing.
    pub(super) async fn write<T>(
        &self,
        send: impl AsyncFn() -> Result<T, ForgeError>,
    ) -> Result<T, ForgeError> {
        let mut last = self.last.lock().await;
        let mut waited = 0;
        loop {
            let since = last.map(|last| last.elapsed());
            tokio::time::sleep(since.map_or(Duration::ZERO, |s| self.gap.saturating_sub(s))).await;
            *last = Some(Instant::now());
            match send().await {
                Err(ForgeError::RateLimited(told)) => wait(told, &mut waited).await?,
                answer => return answer,
            }
        }
    }

    /// Asks something that changes nothing, also again when GitHub stumbles.
    pub(super) async fn patiently<T>(
        &self,
        send: impl AsyncFn() -> Result<T, ForgeError>,
    ) -> Result<T, ForgeError> {
        let (mut waited, mut tries) = (0, 0);
        loop {
            match send().await {
                Err(ForgeError::RateLimited(told)) => wait(told, &mut waited).await?,
                Err(ForgeError::Unavailable(_)) if tries < RETRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(tries)).await;
                }
                answer => return answer,
            }
        }
    }
}

/// Waits as long as GitHub says; fails when that is too long in all.
async fn wait(told: Option<u64>, waited: &mut u64) -> Result<(), ForgeError> {
    let seconds = told.unwrap_or(UNTOLD);
    if *waited + seconds > LONGEST_WAIT {
        return Err(ForgeError::RateLimited(told));
    }
    *waited += seconds.max(1);
    tracing::warn!(seconds, "GitHub limits requests; waiting");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(())
}
