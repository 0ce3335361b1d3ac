//! Pull requests on GitHub, over its [REST API](https://docs.github.com/en/rest/pulls/pulls).

mod error;
mod github;

pub use error::ForgeError;
pub use github::{GitHub, PullRequest, Upserted};
