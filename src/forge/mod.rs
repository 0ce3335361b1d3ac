//! Pull requests on GitHub: found with one GraphQL question, written over the
//! [REST API](https://docs.github.com/en/rest/pulls/pulls).

mod error;
mod github;
mod open_pulls;

pub use error::ForgeError;
pub use github::{GitHub, PullRequest, Pulls, Upserted};
