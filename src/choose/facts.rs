//! What is known beyond the listings, and what a decision asks for when it is not known.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Listing, Reason, ReasonCode};
use crate::image::{Digest, Platform, Repository, Tag};
use crate::ledger::Ledger;

/// Something that a decision turns on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// The digest behind a tag.
    Digest(Repository, Tag),
    /// What an index or a manifest is for.
    Contents(Repository, Digest),
    /// When the image behind a tag was made, as its builder says.
    Created(Repository, Tag),
    /// Whether the signer that a policy names signed a digest; the policy's name comes first.
    Signed(String, Repository, Digest),
}

impl Question {
    /// The repository that it is about.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        match self {
            Self::Digest(repository, _)
            | Self::Contents(repository, _)
            | Self::Created(repository, _)
            | Self::Signed(_, repository, _) => repository,
        }
    }
}

/// The platforms of an index, each with the digest of its manifest. A manifest that stands alone is
/// its own entry.
pub type Contents = BTreeMap<Platform, Digest>;

/// What is known about a signature. Only [`Verdict::Verified`] lets an image through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The signer signed this digest.
    Verified,
    /// There is no such signature; the reason is a clause.
    Not(String),
}

/// An answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Digest`].
    Digest(Digest),
    /// To [`Question::Contents`].
    Contents(Contents),
    /// To [`Question::Created`].
    Created(Timestamp),
    /// To [`Question::Signed`].
    Signed(Verdict),
}

/// The answers so far. A reason says why there is none.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// By repository and tag.
    pub digests: BTreeMap<(Repository, Tag), Result<Digest, Reason>>,
    /// By repository and digest.
    pub contents: BTreeMap<(Repository, Digest), Result<Contents, Reason>>,
    /// By repository and tag.
    pub created: BTreeMap<(Repository, Tag), Result<Timestamp, Reason>>,
    /// By policy, repository and digest.
    pub signed: BTreeMap<(String, Repository, Digest), Result<Verdict, Reason>>,
}

/// Everything beside the policy and the listing that a decision may look at.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The present time.
    pub now: Timestamp,
    /// What was asked for.
    pub answers: &'a Answers,
    /// What earlier runs saw.
    pub ledger: &'a Ledger,
    /// Repositories whose registry's clock is far from ours, so that no age can be trusted.
    pub skewed: &'a BTreeMap<Repository, i64>,
    /// Whether the listing is a file of the operator's, whose times are believed without a first
    /// sight of our own.
    pub is_catalog: bool,
}

/// Why there is no decision yet, or will not be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Something has to be asked for.
    Ask(Vec<Question>),
    /// What is needed cannot be known.
    Undecided(Reason),
}

impl Answers {
    /// Records an answer. One that does not fit its question is dropped.
    pub fn learn(&mut self, question: Question, answer: Answer) {
        match (question, answer) {
            (Question::Digest(repository, tag), Answer::Digest(digest)) => {
                self.digests.insert((repository, tag), Ok(digest));
            }
            (Question::Contents(repository, digest), Answer::Contents(contents)) => {
                self.contents.insert((repository, digest), Ok(contents));
            }
            (Question::Created(repository, tag), Answer::Created(at)) => {
                self.created.insert((repository, tag), Ok(at));
            }
            (Question::Signed(policy, repository, digest), Answer::Signed(verdict)) => {
                self.signed.insert((policy, repository, digest), Ok(verdict));
            }
            _ => {}
        }
    }

    /// Records that a question has no answer. `why` gets what was asked for, in words.
    pub fn refuse(&mut self, question: Question, why: impl FnOnce(String) -> Reason) {
        match question {
            Question::Digest(repository, tag) => {
                let reason = why(format!("the digest of {repository}:{tag}"));
                self.digests.insert((repository, tag), Err(reason));
            }
            Question::Contents(repository, digest) => {
                let reason = why(format!("what {repository}@{} is for", digest.short()));
                self.contents.insert((repository, digest), Err(reason));
            }
            Question::Created(repository, tag) => {
                let reason = why(format!("when {repository}:{tag} was made"));
                self.created.insert((repository, tag), Err(reason));
            }
            Question::Signed(policy, repository, digest) => {
                let reason = why(format!("the signature of {repository}@{}", digest.short()));
                let reason = Reason::new(ReasonCode::NoVerdict, reason.message);
                self.signed.insert((policy, repository, digest), Err(reason));
            }
        }
    }
}

impl Facts<'_> {
    /// The digest behind a tag.
    pub(super) fn digest(
        &self,
        repository: &Repository,
        listing: &Listing,
        tag: &Tag,
    ) -> Result<Digest, Stop> {
        if let Some(digest) = listing.tags.get(tag).and_then(|listed| listed.digest.clone()) {
            return Ok(digest);
        }
        let key = (repository.clone(), tag.clone());
        let known = self.answers.digests.get(&key).cloned();
        settle(known, || Question::Digest(key.0, key.1))
    }

    /// The platforms behind a digest.
    pub(super) fn contents(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Contents, Stop> {
        let key = (repository.clone(), digest.clone());
        let known = self.answers.contents.get(&key).cloned();
        settle(known, || Question::Contents(key.0, key.1))
    }

    /// Whether a digest is signed as a policy asks.
    pub(super) fn signed(
        &self,
        policy: &str,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Verdict, Stop> {
        let key = (policy.to_owned(), repository.clone(), digest.clone());
        let known = self.answers.signed.get(&key).cloned();
        settle(known, || Question::Signed(key.0, key.1, key.2))
    }
}

fn settle<T>(known: Option<Result<T, Reason>>, ask: impl FnOnce() -> Question) -> Result<T, Stop> {
    match known {
        Some(Ok(known)) => Ok(known),
        Some(Err(reason)) => Err(Stop::Undecided(reason)),
        None => Err(Stop::Ask(vec![ask()])),
    }
}
