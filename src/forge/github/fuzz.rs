//! Answers of GitHub, for the fuzzer: those to the question for pull requests, and their list.

use super::pulls::{self, PullsAnswer, Row};

/// Reads bytes as each answer.
///
/// # Panics
/// An answer speaks of a branch that nobody asked for.
pub fn answer(bytes: &[u8]) {
    let asked = ["tagalong/dev", "tagalong/prod/shop"];
    if let Ok(answer) = serde_json::from_slice::<PullsAnswer>(bytes)
        && let Some((seen, crowded)) = pulls::read(answer, &asked)
    {
        assert!(seen.pulls.keys().chain(&crowded).all(|branch| asked.contains(&branch.as_str())));
    }
    if let Ok(rows) = serde_json::from_slice::<Vec<Row>>(bytes) {
        drop(pulls::of_rows(rows));
    }
}
