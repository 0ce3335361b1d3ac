//! Pull requests on GitHub: found with one GraphQL question, written over the
//! [REST API](https://docs.github.com/en/rest/pulls/pulls), merged when they are what was verified.

mod app;
mod checks;
mod commit;
mod error;
#[cfg(fuzzing)]
pub mod fuzz;
mod github;
mod issue;
mod merge;
mod pace;
mod pulls;
mod releases;
mod write;

use serde::Deserialize;

pub use app::sign_in;
pub use commit::{MadeCommit, NewCommit};
pub use error::ForgeError;
pub use github::GitHub;
pub use merge::{Compared, Merged};
pub use releases::Release;
pub use write::Upserted;

pub use crate::pull_request::{Labeller, Observed};

/// Somebody, as GitHub's interfaces name people and apps.
#[derive(Deserialize)]
struct Login {
    login: String,
}

/// A label.
#[derive(Deserialize)]
struct Named {
    name: String,
}

/// GitHub may return a body with other line ends than it was sent.
fn same_text(found: &str, wanted: &str) -> bool {
    let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    lines(found) == lines(wanted)
}
