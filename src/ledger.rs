//! What the bot must remember from run to run: first sights, sizes of listings, refusals, deliveries.
//!
//! A run without it is less sure: ages are counted from now on, a listing is not compared with an
//! earlier one, and what people reverted after a direct push may be proposed again. It holds what policies need and nothing else, so that it stays small.

mod seal;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::image::{Digest, Repository, Tag};
pub use seal::{SealKeys, SealVerdict, ShortKey};

/// The version of the format that this program writes.
const VERSION: u32 = 1;

/// A ledger larger than this is not one of ours, in bytes.
const MAX_SIZE: usize = 256 << 20;

/// Older refusals of one policy in one environment than these are forgotten.
const MAX_REFUSALS: usize = 20;

/// How far ahead of now a sight, or a registry's time, may be before it is no longer believed.
pub const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// The key of a tag that was seen in a listing, whatever is behind it.
const ANY_DIGEST: &str = "";

/// By environment, policy and tag.
type ByTag<T> = BTreeMap<String, BTreeMap<String, BTreeMap<String, T>>>;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    version: u32,
    /// When a digest was first seen behind a tag: by repository, tag and digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    seen: ByTag<Timestamp>,
    /// How many tags a repository listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    listed: BTreeMap<String, usize>,
    /// What people said no to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    refused: ByTag<Refusal>,
    /// What was pushed or merged last, by environment and policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    delivered: BTreeMap<String, BTreeMap<String, Delivered>>,
    /// When a version was first seen in an environment that others come from: by environment, policy and version. A commit says
    /// whatever its author's clock says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    held: BTreeMap<String, BTreeMap<String, Sights>>,
    /// The commits that GitHub made for us, by branch: anybody's can look like ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    made: BTreeMap<String, String>,
    /// Seal or keys that prove the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
    /// True if a key should have proven what stood here, and did not: nothing was held before now then, as whoever took the
    /// ledger away can have dated the history as well.
    #[serde(skip)]
    is_doubted: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_not(flag: &bool) -> bool {
    !flag
}

/// What was seen of one policy's image in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sights {
    /// The version that was there last.
    now: Option<String>,
    /// When each version was first seen to be there, without a break since.
    since: BTreeMap<String, Timestamp>,
}

/// That a version is not wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Why, in a few words: the pull request that was closed, or that it was reverted.
    pub why: String,
    /// The pull request. Reopened, it takes the refusal back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
    /// Whether it was there, and was taken back.
    #[serde(default, skip_serializing_if = "is_not")]
    pub reverted: bool,
    /// When it was noticed.
    pub at: Timestamp,
}

/// What a direct push or a merge brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// What was written before: a tag, with its digest where there was one.
    pub from: String,
    /// What was written, in the same form.
    pub to: String,
    /// The pull request that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
}

/// Why a text is not a ledger that can be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLedger {
    /// It is not what this program writes.
    #[error("it is not a ledger: {0}")]
    Syntax(String),
    /// A newer program wrote it.
    #[error("version {0} of its format is newer than this program")]
    Newer(u32),
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            version: VERSION,
            seen: BTreeMap::new(),
            listed: BTreeMap::new(),
            refused: BTreeMap::new(),
            delivered: BTreeMap::new(),
            held: BTreeMap::new(),
            made: BTreeMap::new(),
            seal: None,
            is_doubted: false,
        }
    }
}

impl Ledger {
    /// Reads a ledger.
    ///
    /// # Errors
    /// When it is not one, or of a newer format, which must not be overwritten.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidLedger> {
        // Sights are bounded for each repository; what is larger than this is not ours.
        if bytes.len() > MAX_SIZE {
            return Err(InvalidLedger::Syntax(format!("{} bytes are too many", bytes.len())));
        }
        let ledger: Self = serde_json::from_slice(bytes)
            .map_err(|error| InvalidLedger::Syntax(error.to_string()))?;
        if ledger.version > VERSION {
            return Err(InvalidLedger::Newer(ledger.version));
        }
        Ok(ledger)
    }

    /// The ledger as text, one entry on a line, so that its history can be read.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The time at which a version was first seen in an environment: now, where others were seen there and this one was not, or the ledger is
    /// doubted; `None` where nothing was, so that its history is all there is.
    #[must_use]
    pub fn first_held(
        &self,
        environment: &str,
        policy: &str,
        version: &str,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let seen = self.held.get(environment).and_then(|policies| policies.get(policy));
        let Some(seen) = seen else { return self.is_doubted.then_some(now) };
        Some(seen.since.get(version).copied().unwrap_or(now).min(now))
    }

    /// Notes that a version came to an environment that was seen before.
    pub fn came(&mut self, environment: &str, policy: &str, version: &str, now: Timestamp) {
        let sights = self.held.get_mut(environment).and_then(|policies| policies.get_mut(policy));
        if let Some(sights) = sights.filter(|sights| sights.now.as_deref() != Some(version)) {
            sights.since.insert(version.to_owned(), now);
            sights.now = Some(version.to_owned());
        }
    }

    /// Notes what an environment holds now; whether it is another version than before. At the first sight of an environment,
    /// what its history says of each version counts; later, a version counts from when it was seen to be there, each time anew. One
    /// that was there and gone again between two sights was never seen.
    pub fn hold(
        &mut self,
        environment: &str,
        policy: &str,
        newest: Option<&str>,
        versions: &BTreeMap<String, Timestamp>,
        now: Timestamp,
    ) -> bool {
        let policies = self.held.entry(environment.to_owned()).or_default();
        if let Some(sights) = policies.get_mut(policy) {
            let is_new = |version: &&str| sights.now.as_deref() != Some(*version);
            let Some(version) = newest.filter(is_new) else {
                return false;
            };
            sights.since.insert(version.to_owned(), now);
            sights.now = Some(version.to_owned());
            return true;
        }
        let first = |since: Timestamp| if self.is_doubted { now } else { since.min(now) };
        let since = versions.iter().map(|(version, since)| (version.clone(), first(*since)));
        let sights = Sights { now: newest.map(str::to_owned), since: since.collect() };
        policies.insert(policy.to_owned(), sights);
        true
    }

    /// Forgets the versions of an environment that are not among these any more.
    pub fn forget_held(
        &mut self,
        environment: &str,
        policy: &str,
        versions: &BTreeMap<String, Timestamp>,
    ) {
        let sights = self.held.get_mut(environment).and_then(|policies| policies.get_mut(policy));
        if let Some(sights) = sights {
            sights.since.retain(|version, _| versions.contains_key(version));
        }
    }

    /// When a digest was first seen behind a tag.
    #[must_use]
    pub fn first_sight(
        &self,
        repository: &Repository,
        tag: &Tag,
        digest: &Digest,
    ) -> Option<Timestamp> {
        self.sights(repository, tag)?.get(digest.as_str()).copied()
    }

    /// When a tag was first seen in a listing.
    #[must_use]
    pub fn first_listed(&self, repository: &Repository, tag: &Tag) -> Option<Timestamp> {
        self.sights(repository, tag)?.get(ANY_DIGEST).copied()
    }

    /// When anything was first seen behind a tag.
    #[must_use]
    pub fn earliest_sight(&self, repository: &Repository, tag: &Tag) -> Option<Timestamp> {
        let sights = self.sights(repository, tag)?.iter();
        sights.filter(|(digest, _)| *digest != ANY_DIGEST).map(|(_, at)| *at).min()
    }

    /// The digest that was seen behind a tag before another one.
    #[must_use]
    pub fn other_digest(
        &self,
        repository: &Repository,
        tag: &Tag,
        digest: &Digest,
    ) -> Option<Digest> {
        let sights = self.sights(repository, tag)?.iter();
        let others = sights.filter(|(other, _)| *other != ANY_DIGEST && *other != digest.as_str());
        let first = others.min_by_key(|(_, at)| **at)?;
        let known = self.first_sight(repository, tag, digest);
        known.is_none_or(|known| *first.1 < known).then(|| Digest::parse(first.0)).flatten()
    }

    /// How many tags a repository listed when that was last recorded.
    #[must_use]
    pub fn listed(&self, repository: &Repository) -> Option<usize> {
        self.listed.get(&repository.to_string()).copied()
    }

    /// Why a version is not wanted in an environment; `what` is `tag`, or `tag@digest` where the tag
    /// stays.
    #[must_use]
    pub fn refusal(&self, environment: &str, policy: &str, what: &str) -> Option<&Refusal> {
        self.refused.get(environment)?.get(policy)?.get(what)
    }

    /// Every version that is not wanted in an environment, with why; `tag@digest` where the tag stays.
    pub fn refusals(
        &self,
        environment: &str,
        policy: &str,
    ) -> impl Iterator<Item = (&str, &Refusal)> {
        let refused = self.refused.get(environment).and_then(|policies| policies.get(policy));
        refused.into_iter().flatten().map(|(what, refusal)| (what.as_str(), refusal))
    }

    /// What was pushed or merged last in an environment for a policy.
    #[must_use]
    pub fn delivered(&self, environment: &str, policy: &str) -> Option<&Delivered> {
        self.delivered.get(environment)?.get(policy)
    }

    /// Records a sight of a digest behind a tag; the first one stays. Whether it is the first.
    pub fn see(
        &mut self,
        repository: &Repository,
        tag: &Tag,
        digest: Option<&Digest>,
        at: Timestamp,
    ) -> bool {
        let digest = digest.map_or(ANY_DIGEST, Digest::as_str).to_owned();
        let tags = self.seen.entry(repository.to_string()).or_default();
        match tags.entry(tag.to_string()).or_default().entry(digest) {
            // A sight in the future is a clock's mistake, and would hold the tag back for as long.
            Entry::Occupied(mut slot)
                if at.checked_add(AHEAD).is_ok_and(|latest| *slot.get() > latest) =>
            {
                slot.insert(at);
                true
            }
            Entry::Occupied(_) => false,
            Entry::Vacant(slot) => {
                slot.insert(at);
                true
            }
        }
    }

    /// Records how many tags a repository lists. Small changes are not worth a write: what counts is
    /// whether half of them are gone.
    pub fn list(&mut self, repository: &Repository, tags: usize) {
        let known = self.listed.get(&repository.to_string()).copied();
        let close = |known: usize| known.abs_diff(tags) <= (known / 4).max(4) && tags * 2 >= known;
        if !known.is_some_and(close) {
            self.listed.insert(repository.to_string(), tags);
        }
    }

    /// Records that a version is not wanted; the first reason stays.
    pub fn refuse(&mut self, environment: &str, policy: &str, what: &str, refusal: Refusal) {
        let policies = self.refused.entry(environment.to_owned()).or_default();
        let tags = policies.entry(policy.to_owned()).or_default();
        tags.entry(what.to_owned()).or_insert(refusal);
        while tags.len() > MAX_REFUSALS {
            let oldest = tags.iter().min_by_key(|(_, refusal)| refusal.at);
            let Some(oldest) = oldest.map(|(what, _)| what.clone()) else { return };
            tags.remove(&oldest);
        }
    }

    /// Environments and policies of which a pull request refused something.
    pub fn refused_by_pull_requests(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.refused.iter().flat_map(|(environment, policies)| {
            policies.iter().map(move |(policy, tags)| (environment, policy, tags))
        });
        all.filter(|(.., tags)| tags.values().any(|refusal| refusal.pull_request.is_some()))
            .map(|(environment, policy, _)| (environment.as_str(), policy.as_str()))
    }

    /// Takes back what a pull request refused, because it was opened again.
    pub fn reopen(&mut self, pull_request: u64) {
        for tags in self.refused.values_mut().flat_map(BTreeMap::values_mut) {
            tags.retain(|_, refusal| refusal.pull_request != Some(pull_request));
        }
        self.drop_empty();
    }

    /// Records what a direct push or a merge brought.
    pub fn deliver(&mut self, environment: &str, policy: &str, delivered: Delivered) {
        let policies = self.delivered.entry(environment.to_owned()).or_default();
        policies.insert(policy.to_owned(), delivered);
    }

    /// Forgets deliveries to places that are not there any more.
    pub fn forget_deliveries(&mut self, is_there: impl Fn(&str, &str) -> bool) {
        for (environment, policies) in &mut self.delivered {
            policies.retain(|policy, _| is_there(environment, policy));
        }
        self.delivered.retain(|_, policies| !policies.is_empty());
    }

    /// The commit that GitHub last made for a branch.
    #[must_use]
    pub fn made(&self) -> &BTreeMap<String, String> {
        &self.made
    }

    /// Records the commit that GitHub made for a branch.
    pub fn make(&mut self, branch: &str, commit: &str) {
        self.made.insert(branch.to_owned(), commit.to_owned());
    }

    /// Forgets the commits of branches that are not there any more.
    pub fn forget_branches(&mut self, is_there: impl Fn(&str) -> bool) {
        self.made.retain(|branch, _| is_there(branch));
    }

    /// Forgets the sights of a repository's tags that nothing needs any more.
    pub fn forget(&mut self, repository: &Repository, is_needed: impl Fn(&str) -> bool) {
        if let Some(tags) = self.seen.get_mut(&repository.to_string()) {
            tags.retain(|tag, _| is_needed(tag));
        }
        self.drop_empty();
    }

    /// Forgets the oldest sights of a repository beyond a number of tags.
    pub fn forget_oldest(&mut self, repository: &Repository, keep: usize) {
        let Some(tags) = self.seen.get_mut(&repository.to_string()) else { return };
        if tags.len() <= keep {
            return;
        }
        let mut times: Vec<Timestamp> =
            tags.values().filter_map(|sights| sights.values().min().copied()).collect();
        times.sort_unstable();
        let Some(oldest) = times.get(times.len() - keep).copied() else { return };
        tags.retain(|_, sights| sights.values().any(|at| *at >= oldest));
    }

    /// Forgets the refusals of a policy in an environment that nothing needs any more.
    pub fn forgive(&mut self, environment: &str, policy: &str, is_needed: impl Fn(&str) -> bool) {
        let tags = self.refused.get_mut(environment).and_then(|policies| policies.get_mut(policy));
        if let Some(tags) = tags {
            tags.retain(|what, _| is_needed(what));
        }
        self.drop_empty();
    }

    /// Forgets repositories that no policy is for any more.
    pub fn forget_repositories(&mut self, is_needed: impl Fn(&str) -> bool) {
        self.seen.retain(|name, _| is_needed(name));
        self.listed.retain(|name, _| is_needed(name));
    }

    fn drop_empty(&mut self) {
        for policies in self.refused.values_mut() {
            policies.retain(|_, tags| !tags.is_empty());
        }
        self.refused.retain(|_, policies| !policies.is_empty());
        self.seen.retain(|_, tags| !tags.is_empty());
    }

    fn sights(&self, repository: &Repository, tag: &Tag) -> Option<&BTreeMap<String, Timestamp>> {
        self.seen.get(&repository.to_string())?.get(tag.as_str())
    }
}

#[cfg(test)]
mod tests;
