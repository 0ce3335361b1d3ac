//! Tag lists and digests over the
//! [OCI distribution protocol](https://github.com/opencontainers/distribution-spec/blob/main/spec.md).
//!
//! A registry is not trusted: where credentials go, which links are followed, how much is read and
//! how long is waited is decided here, and a listing that is not whole is an error.

mod attached;
mod auth;
mod client;
mod credentials;
mod error;
mod host;
mod manifest;
mod page;
mod realm;

use std::collections::BTreeMap;
use std::time::Instant;

use futures::stream::{self, StreamExt as _};

use jiff::Timestamp;

pub use client::Registry;
pub use error::ScanError;

use crate::choose::{Answer, Answers, Catalog, Question};
use crate::image::Repository;
use crate::signature::Verifiers;

/// How many image repositories are asked for at once, over all hosts.
const AT_ONCE: usize = 32;

/// How a client behaves.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Hosts asked over plain HTTP because the operator says so; credentials may be sent.
    pub plain_http: Vec<String>,
    /// Hosts asked over plain HTTP because the config repository says so; always anonymously.
    pub plain_http_anonymous: Vec<String>,
    /// What this machine's clock said at some moment; without it, clocks are not compared.
    pub clock: Option<(Timestamp, Instant)>,
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

/// Answers many questions at once; `done` is called for each.
pub async fn answer(
    registry: &Registry,
    questions: impl IntoIterator<Item = Question>,
    verifiers: &Verifiers,
    answers: &mut Answers,
    done: &(dyn Fn() + Sync),
) {
    let found = stream::iter(questions).map(|question| async move {
        let answer = learn(registry, verifiers, &question).await;
        done();
        (question, answer)
    });
    let found: Vec<_> = found.buffer_unordered(AT_ONCE).collect().await;
    for (question, answer) in found {
        match answer {
            Ok(answer) => answers.learn(question, answer),
            Err(error) => answers.refuse(question, |subject| error.reason_for(&subject)),
        }
    }
}

async fn learn(
    registry: &Registry,
    verifiers: &Verifiers,
    question: &Question,
) -> Result<Answer, ScanError> {
    match question {
        Question::Digest(repository, tag) => {
            registry.digest(repository, tag).await.map(Answer::Digest)
        }
        Question::Contents(repository, digest) => {
            registry.contents(repository, digest).await.map(Answer::Contents)
        }
        Question::Created(repository, tag) => {
            registry.created(repository, tag).await.map(Answer::Created)
        }
        Question::Signed(policy, repository, digest) => match verifiers.get(policy) {
            Some(verifier) => {
                registry.verdict(repository, digest, verifier).await.map(Answer::Signed)
            }
            None => Err(ScanError::Malformed("there is nothing to verify it with".to_owned())),
        },
    }
}
