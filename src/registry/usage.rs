//! What asking cost.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::image::Repository;

/// What asking about one image repository cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Requests that were sent, those for tokens and repeated ones as well.
    pub requests: u64,
    /// Pages of its tag list, also those that had not changed.
    pub pages: u64,
    /// Bytes of answers, after inflation.
    pub bytes: u64,
    /// Answers that the cache held: pages that had not changed, and contents.
    pub cache_hits: u64,
    /// How long its requests took together, with waits and pauses.
    pub time: Duration,
}

/// What asking one registry cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// How many requests it allows still, when it says so.
    pub remaining: Option<u64>,
    /// Out of how many.
    pub limit: Option<u64>,
    /// What each image cost.
    pub images: BTreeMap<Repository, Cost>,
}

/// What asking cost, by the host that was asked.
pub type Usage = BTreeMap<String, Asked>;

impl Asked {
    /// The sum over all images.
    #[must_use]
    pub fn total(&self) -> Cost {
        self.images.values().fold(Cost::default(), |mut sum, cost| {
            sum.add(cost);
            sum
        })
    }
}

impl Cost {
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.pages += other.pages;
        self.bytes += other.bytes;
        self.cache_hits += other.cache_hits;
        self.time += other.time;
    }
}
