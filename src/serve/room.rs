//! Room for the bodies that are read at once. Who reads slowly gives the place to whoever waits, so that strangers who
//! send a byte now and then keep no signed sender out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// So often those who wait look for somebody who is slow.
const TICK: Duration = Duration::from_millis(100);

/// Places for bodies.
pub(super) struct Room {
    places: Arc<Semaphore>,
    /// Nobody loses a place before.
    fast: Duration,
    /// Those that are taken, the oldest first.
    taken: Mutex<VecDeque<Occupancy>>,
}

struct Occupancy {
    since: Instant,
    leave: Arc<Notify>,
}

/// A place; it is free when this goes away.
pub(super) struct Seat {
    room: Arc<Room>,
    leave: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn of(places: usize, fast: Duration) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(places));
        Arc::new(Self { places, fast, taken: Mutex::default() })
    }

    /// Waits for a place, in turn; `None` where there is none in time.
    pub(super) async fn place(self: &Arc<Self>, patience: Duration) -> Option<Seat> {
        let turn = Arc::clone(&self.places).acquire_owned();
        let mut turn = std::pin::pin!(tokio::time::timeout(patience, turn));
        let mut tick = tokio::time::interval(TICK);
        let permit = loop {
            tokio::select! {
                biased;
                permit = turn.as_mut() => break permit.ok()?.ok()?,
                _ = tick.tick() => self.ask_the_slowest(),
            }
        };
        let leave = Arc::new(Notify::new());
        self.taken().push_back(Occupancy { since: Instant::now(), leave: Arc::clone(&leave) });
        Some(Seat { room: Arc::clone(self), leave, _permit: permit })
    }

    /// Asks whoever has a place for the longest to leave it.
    fn ask_the_slowest(&self) {
        let mut taken = self.taken();
        if taken.front().is_some_and(|oldest| oldest.since.elapsed() >= self.fast)
            && let Some(oldest) = taken.pop_front()
        {
            oldest.leave.notify_one();
        }
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, VecDeque<Occupancy>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// What comes in time; `None` where the place is wanted by somebody else before that.
    pub(super) async fn until_wanted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.leave.notified() => None,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.taken().retain(|taken| !Arc::ptr_eq(&taken.leave, &self.leave));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_slowest_leaves_for_whoever_waits() {
        let fast = Room::of(1, Duration::from_hours(1));
        let first = fast.place(Duration::ZERO).await;
        assert!(fast.place(Duration::ZERO).await.is_none(), "nobody is slow");
        drop(first);
        let room = Room::of(2, Duration::ZERO);
        let first = room.place(Duration::ZERO).await.unwrap();
        let second = room.place(Duration::ZERO).await.unwrap();
        let slow = tokio::spawn(async move {
            let done = first.until_wanted(std::future::pending::<()>()).await;
            drop(first);
            done
        });
        let third = room.place(Duration::from_mins(1)).await.unwrap();
        assert_eq!(slow.await.unwrap(), None);
        assert_eq!(second.until_wanted(std::future::ready(2)).await, Some(2));
        assert_eq!(third.until_wanted(std::future::ready(3)).await, Some(3));
        drop((second, third));
        assert_eq!(room.taken().len(), 0);
    }
}
