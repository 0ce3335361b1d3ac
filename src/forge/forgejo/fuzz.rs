//! Answers of Forgejo, for the fuzzer: lists of pull requests, of events and of reviews.

use super::pulls::{PullLists, SentPull};
use super::review::{self, Review};
use super::timeline::{Event, auto_merge_by};

/// Reads bytes as an answer.
///
/// # Panics
/// An answer speaks of a branch that nobody asked for.
pub fn answer(bytes: &[u8]) {
    let asked = ["tagalong/dev", "tagalong/prod/shop"];
    if let Ok(rows) = serde_json::from_slice::<Vec<SentPull>>(bytes) {
        let pulls = PullLists::new(rows).by_branch(&asked, "main");
        assert!(pulls.keys().all(|branch| asked.contains(&branch.as_str())));
    }
    if let Ok(events) = serde_json::from_slice::<Vec<Event>>(bytes) {
        let _by = auto_merge_by(&events);
    }
    if let Ok(reviews) = serde_json::from_slice::<Vec<Review>>(bytes) {
        review::fuzz(reviews);
    }
}
