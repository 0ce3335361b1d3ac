//! The order. A total one: the key of the policy's order, then the tag's bytes, greatest first.
//!
//! Tags with equal keys (`1.0.0` and `v1.0.0`, two tags with one extracted key) have one answer, the
//! one with the greater bytes, which is what Flux, Argo CD Image Updater and Kargo converge on
//! when they are given a sorted list. A deployed tag of equal key is never replaced.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Facts, Listed, Listing, Question, Stop};
use crate::image::Tag;
use crate::policy::{Clock, Key, Order, Policy, Ranker, Rejection};

/// More tags than this are not asked for their times one by one.
const MAX_TIMES: usize = 100;

/// What of a listing passes a policy where one tag is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection<'a> {
    /// The candidates, by the bytes of their tags.
    pub candidates: Vec<Candidate<'a>>,
    /// How many tags each step rejected.
    pub rejected: BTreeMap<Rejection, usize>,
    /// The first tag that leaves the policy without an answer, as one that is no number does in Flux.
    pub stopped: Option<&'a Tag>,
}

/// A tag that passes, with its rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The tag.
    pub tag: &'a Tag,
    /// Its rank.
    pub key: Key,
}

/// Ranks a listing under a policy where `deployed` is.
///
/// # Errors
/// When the order goes by times that have to be asked for, or cannot be known.
pub fn select<'a>(
    policy: &Policy,
    listing: &'a Listing,
    deployed: Option<&Tag>,
    facts: &Facts<'_>,
) -> Result<Selection<'a>, Stop> {
    let ranker = policy.rule.ranker(deployed);
    let times = Times::of(policy, listing, facts)?;
    let mut selection =
        Selection { candidates: Vec::new(), rejected: BTreeMap::new(), stopped: None };
    for (tag, listed) in &listing.tags {
        match ranker.rank(tag, times.of_tag(tag, listed)) {
            Ok(key) => selection.candidates.push(Candidate { tag, key }),
            Err(rejection) => {
                if policy.rule.stops_at(rejection) {
                    selection.stopped.get_or_insert(tag);
                }
                *selection.rejected.entry(rejection).or_default() += 1;
            }
        }
    }
    Ok(selection)
}

impl<'a> Selection<'a> {
    /// The best candidate, or the best one below another.
    #[must_use]
    pub fn best(&self, below: Option<&Candidate<'_>>) -> Option<&Candidate<'a>> {
        let is_below = |candidate: &&Candidate<'_>| {
            below.is_none_or(|above| candidate.compare(above) == Ordering::Less)
        };
        self.candidates.iter().filter(is_below).max_by(|a, b| a.compare(b))
    }
}

impl Candidate<'_> {
    fn compare(&self, other: &Candidate<'_>) -> Ordering {
        self.key.compare(&other.key).then_with(|| self.tag.cmp(other.tag))
    }
}

/// The time that a tag is ordered by, where it is.
pub(super) struct Times<'a> {
    clock: Option<Clock>,
    policy: &'a Policy,
    facts: &'a Facts<'a>,
}

impl<'a> Times<'a> {
    /// Gets ready to tell times.
    ///
    /// # Errors
    /// When some have to be asked for, are too many, or cannot be known.
    pub(super) fn of(
        policy: &'a Policy,
        listing: &Listing,
        facts: &'a Facts<'a>,
    ) -> Result<Self, Stop> {
        let clock = match policy.rule.order() {
            Order::Newest(clock) => Some(*clock),
            _ => None,
        };
        let times = Self { clock, policy, facts };
        if clock == Some(Clock::Created) {
            times.check(listing)?;
        }
        Ok(times)
    }

    fn check(&self, listing: &Listing) -> Result<(), Stop> {
        let mut unknown = Vec::new();
        for (tag, listed) in &listing.tags {
            if listed.created.is_some() || self.policy.rule.filter(tag).is_err() {
                continue;
            }
            let key = (self.policy.repository.clone(), tag.clone());
            match self.facts.answers.created.get(&key) {
                Some(Ok(_)) => {}
                // One tag without a time could be the newest.
                Some(Err(reason)) => return Err(Stop::Undecided(reason.clone())),
                None => unknown.push(Question::Created(key.0, key.1)),
            }
        }
        match unknown.len() {
            0 => Ok(()),
            count if count > MAX_TIMES => Err(Stop::Undecided(super::decide::too_many(count))),
            _ => Err(Stop::Ask(unknown)),
        }
    }

    /// The time of a tag.
    pub(super) fn of_tag(&self, tag: &Tag, listed: &Listed) -> Option<Timestamp> {
        match self.clock? {
            Clock::Created => listed.created.or_else(|| {
                let key = (self.policy.repository.clone(), tag.clone());
                self.facts.answers.created.get(&key)?.clone().ok()
            }),
            Clock::Pushed => {
                let seen = || self.facts.ledger.first_listed(&self.policy.repository, tag);
                Some(listed.pushed.or_else(seen).unwrap_or(self.facts.now))
            }
        }
    }
}

/// The rank of what is deployed.
pub(super) fn rank_deployed(
    policy: &Policy,
    ranker: &Ranker<'_>,
    listing: &Listing,
    deployed: &Tag,
    facts: &Facts<'_>,
) -> Option<Key> {
    let times = Times::of(policy, listing, facts).ok();
    let listed = listing.tags.get(deployed);
    let time = listed.and_then(|listed| times.as_ref()?.of_tag(deployed, listed));
    ranker.rank_deployed(deployed, time)
}
