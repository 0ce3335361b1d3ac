//! Tag lists and digests over the
//! [OCI distribution protocol](https://github.com/opencontainers/distribution-spec/blob/main/spec.md).
//!
//! A registry is not trusted: where credentials go, which links are followed, how much is read and
//! how long is waited is decided here, and a listing that is not whole is an error.

mod auth;
mod client;
mod credentials;
mod error;
mod host;
mod page;
mod realm;

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _};

pub use client::Registry;
pub use error::ScanError;

use crate::choose::{Catalog, Reason};
use crate::image::{Digest, Repository, Tag};

/// How many image repositories are asked for at once, over all hosts.
const AT_ONCE: usize = 32;

/// How a client behaves.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Hosts asked over plain HTTP because the operator says so; credentials may be sent.
    pub plain_http: Vec<String>,
    /// Hosts asked over plain HTTP because the config repository says so; always anonymously.
    pub plain_http_anonymous: Vec<String>,
    /// Hosts, other than a registry's own, that its credentials may go to: `(registry, host)`.
    pub token_hosts: Vec<(String, String)>,
}

/// Lists many repositories at once; `done` is called for each.
pub async fn scan(
    registry: &Registry,
    repositories: impl IntoIterator<Item = &Repository>,
    done: &(dyn Fn() + Sync),
) -> Catalog {
    let lists = stream::iter(repositories).map(|repository| async move {
        let listing = registry.tags(repository).await;
        done();
        (repository.clone(), listing.map_err(|error| error.reason(repository)))
    });
    Catalog(lists.buffer_unordered(AT_ONCE).collect::<BTreeMap<_, _>>().await)
}

/// Asks for the digests behind many tags at once.
pub async fn digests(
    registry: &Registry,
    wanted: impl IntoIterator<Item = (Repository, Tag)>,
    done: &(dyn Fn() + Sync),
) -> BTreeMap<(Repository, Tag), Result<Digest, Reason>> {
    let answers = stream::iter(wanted).map(|(repository, tag)| async move {
        let digest = registry.digest(&repository, &tag).await;
        done();
        let digest = digest.map_err(|error| error.digest_reason(&repository, &tag));
        ((repository, tag), digest)
    });
    answers.buffer_unordered(AT_ONCE).collect().await
}
