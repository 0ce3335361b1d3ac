//! Tag lists and digests over the
//! [OCI distribution protocol](https://github.com/opencontainers/distribution-spec/blob/main/spec.md).
//!
//! A registry is not trusted: where credentials go, which links are followed, how much is read and
//! how long is waited is decided here, and a listing that is not whole is an error.

mod attached;
mod auth;
mod budget;
mod cache;
mod client;
mod credentials;
mod error;
#[cfg(fuzzing)]
pub mod fuzz;
mod host;
mod kind;
mod layout;
mod listing;
mod login;
mod manifest;
mod page;
mod realm;
mod usage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use futures::stream::{self, StreamExt as _};

use jiff::Timestamp;

pub use client::Registry;
pub use credentials::Packages;
pub use error::ScanError;
pub use usage::{Asked, Cost, Usage};

use crate::choose::{Answer, Answers, Catalog, Question};
use crate::image::Repository;
use crate::policy::{Mirror, RegistrySettings, Times};
use crate::secret::Variables;
use crate::signature::Verifiers;

/// How many image repositories of one host are asked for at once, at most; what is said of the host
/// counts as well.
const AT_ONCE: usize = 64;

/// How a client behaves.
#[derive(Clone, Default)]
pub struct Options {
    /// What is special about registries; the operator's entries count before the repository's.
    pub registries: Vec<RegistrySettings>,
    /// Where clouds and helpers find identities.
    pub variables: Variables,
    /// The token of a workflow for its own registry.
    pub packages: Vec<Packages>,
    /// Where answers are kept from run to run.
    pub cache: Option<PathBuf>,
    /// When the run started.
    pub now: Timestamp,
    /// What this machine's clock said at some moment; without it, clocks are not compared.
    pub clock: Option<(Timestamp, Instant)>,
}

impl Options {
    /// What is special about a registry. Either file can say that no credential is sent.
    fn settings(&self, registry: &str) -> RegistrySettings {
        let of_host = || self.registries.iter().filter(|one| one.prefix == registry);
        let found = of_host().find(|one| one.by_operator).or_else(|| of_host().next());
        let found = found.cloned().unwrap_or_else(|| RegistrySettings::of(registry));
        RegistrySettings { anonymous: of_host().any(|one| one.anonymous), ..found }
    }

    /// The mirror of a repository, as `host/path`, and what follows the part that has the mirror. The
    /// longest such part counts. Where the operator says anything, the repository says nothing.
    fn mirror<'a>(&'a self, name: &'a str) -> Option<(&'a Mirror, &'a str)> {
        let covering = || self.registries.iter().filter(|one| one.covers(name));
        let is_set = covering().any(|one| one.by_operator);
        let covering = covering().filter(|one| one.mirror.is_some() && one.by_operator == is_set);
        let nearest = covering.max_by_key(|one| one.prefix.len())?;
        Some((nearest.mirror.as_ref()?, &name[nearest.prefix.len()..]))
    }
}

/// Lists many repositories at once, with the registry's times where a policy goes by them; `done` is called for each.
pub async fn scan(
    registry: &Registry,
    repositories: impl IntoIterator<Item = &Repository>,
    timed: &BTreeMap<&Repository, Times>,
    done: &(dyn Fn() + Sync),
) -> Catalog {
    let list = |repository: &'_ Repository| {
        let repository = repository.clone();
        async move {
            let need = timed.get(&repository).copied().unwrap_or_default();
            let listing = registry.tags(&repository, need).await;
            done();
            let listing = listing.map_err(|error| error.reason(&repository));
            (repository, listing)
        }
    };
    Catalog(beside(repositories, |repository| repository, list).await.into_iter().collect())
}

/// Works on many things at once, host by host, so that a slow one keeps nobody else waiting.
async fn beside<T, R, F: Future<Output = R>>(
    things: impl IntoIterator<Item = T>,
    repository: impl Fn(&T) -> &Repository,
    work: impl Fn(T) -> F,
) -> Vec<R> {
    let mut hosts: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for thing in things {
        hosts.entry(repository(&thing).api_host().to_owned()).or_default().push(thing);
    }
    let lanes = hosts.into_values().map(|things| {
        Box::pin(stream::iter(things.into_iter().map(&work)).buffer_unordered(AT_ONCE))
    });
    stream::select_all(lanes).collect().await
}

/// Answers many questions at once; `done` is called for each.
pub async fn answer(
    registry: &Registry,
    questions: impl IntoIterator<Item = Question>,
    verifiers: &Verifiers,
    answers: &mut Answers,
    done: &(dyn Fn() + Sync),
) {
    let find = |question: Question| async move {
        let answer = learn(registry, verifiers, &question).await;
        done();
        (question, answer)
    };
    for (question, answer) in beside(questions, Question::repository, find).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_host_keeps_no_other_waiting() {
        let named = |host, n| Repository::parse(&format!("{host}.io/app-{n}")).unwrap();
        let all: Vec<_> =
            ["a", "b"].iter().flat_map(|h| (0..100).map(move |n| named(h, n))).collect();
        let answered = tokio::sync::Semaphore::new(0);
        let work = async |repository: Repository| {
            if repository.registry() == "b.io" {
                answered.add_permits(1);
            } else {
                // Slow until every image of the other host is answered.
                answered.acquire_many(100).await.unwrap().forget();
                answered.add_permits(100);
            }
        };
        let all = beside(all, |repository| repository, work);
        let all = tokio::time::timeout(std::time::Duration::from_mins(1), all).await;
        assert_eq!(all.unwrap().len(), 200);
    }
}
