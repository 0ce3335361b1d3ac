//! The pace at which a forge is asked. Changes come one after the other, and a limit is waited for as long as the forge says;
//! GitHub's
//! [best practices](https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api)
//! want both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::ForgeFault;
use crate::settings::Turns;

/// Seconds to wait when a forge does not say how long.
const UNTOLD: u64 = 60;

/// A run waits this long for a limit, in seconds; what is left then is for the next run.
const LONGEST_WAIT: u64 = 15 * 60;

/// Limits of forges are by the hour at most; clocks cannot add every number, in seconds.
const LONGEST_TOLD: u64 = 86_400;

/// How often something is asked again that failed for a moment.
const RETRIES: u32 = 3;

/// The pace of one run, among all that ask the same server.
pub(super) struct Pace {
    gap: Duration,
    turns: Arc<Turns>,
    /// How long this run has waited in all, in seconds; when it gave up, for as long as it may.
    waited: AtomicU64,
}

impl Pace {
    /// The pace with so much time between two changes.
    pub(super) fn of(gap: Duration, turns: &Arc<Turns>) -> Self {
        Self { gap, turns: Arc::clone(turns), waited: AtomicU64::new(0) }
    }

    /// Sends a change: after the others, and again only when the forge said that it did nothing.
    pub(super) async fn write<T>(
        &self,
        send: impl AsyncFn() -> Result<T, ForgeFault>,
    ) -> Result<T, ForgeFault> {
        let mut turn = self.turns.take().await;
        loop {
            self.turn().await?;
            let pause = turn.since().map_or(Duration::ZERO, |since| self.gap.saturating_sub(since));
            tokio::time::sleep(pause).await;
            turn.sends();
            match send().await {
                Err(ForgeFault::RateLimited(told)) => self.limited(told).await,
                answer => return answer,
            }
        }
    }

    /// Asks something that changes nothing, also again when the forge stumbles.
    pub(super) async fn patiently<T>(
        &self,
        send: impl AsyncFn() -> Result<T, ForgeFault>,
    ) -> Result<T, ForgeFault> {
        let mut tries = 0;
        loop {
            self.turn().await?;
            match send().await {
                Err(ForgeFault::RateLimited(told)) => self.limited(told).await,
                Err(ForgeFault::Unavailable(_)) if tries < RETRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(tries)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Waits until the time that the forge said, to whichever run; fails, also for everything after it, when that is too
    /// long in all.
    async fn turn(&self) -> Result<(), ForgeFault> {
        loop {
            let until = self.turns.until().await;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let Some(left) = left.filter(|left| !left.is_zero()) else { return Ok(()) };
            let seconds = left.as_secs_f64().ceil();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a day at most, and not before now"
            )]
            let seconds = seconds as u64;
            let waited = self.waited.fetch_add(seconds, Ordering::Relaxed);
            if waited + seconds > LONGEST_WAIT {
                self.waited.fetch_max(LONGEST_WAIT, Ordering::Relaxed);
                return Err(ForgeFault::RateLimited(Some(seconds)));
            }
            tracing::warn!(seconds, "the forge limits requests; waiting");
            tokio::time::sleep(left).await;
        }
    }

    /// Remembers for how long nothing may be sent.
    async fn limited(&self, told: Option<u64>) {
        let seconds = told.unwrap_or(UNTOLD).clamp(1, LONGEST_TOLD);
        self.turns.wait(Instant::now() + Duration::from_secs(seconds)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_one_run_is_told_holds_for_all() {
        let turns = Arc::default();
        let [one, other] = [(); 2].map(|()| Pace::of(Duration::from_secs(1), &turns));
        assert_eq!(other.turn().await, Ok(()));
        one.limited(Some(LONGEST_WAIT + 60)).await;
        // A shorter time is no permission.
        one.limited(Some(1)).await;
        for pace in [&one, &other, &other] {
            assert!(
                matches!(pace.turn().await, Err(ForgeFault::RateLimited(Some(left))) if left > LONGEST_WAIT)
            );
        }
    }
}
