//! The order. A total one: the key of the policy's order, then the tag's bytes, greatest first.
//!
//! Tags with equal keys (`1.0.0` and `v1.0.0`, two tags with one extracted key) have one answer, the
//! one with the greater bytes, which is what Flux, Argo CD Image Updater and Kargo converge on
//! when they are given a sorted list. A deployed tag of equal key is never replaced.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Facts, Listed, Listing, Question, Stop};
use crate::image::{Shape, Tag};
use crate::policy::{Clock, Judged, Key, Order, Policy, Ranker, Rejection};

/// The first sights of more tags than this are not remembered for one repository.
pub const MAX_SIGHTS: usize = 5_000;

/// More tags than this are not asked for their times one by one.
const MAX_TIMES: usize = 100;

/// What of a listing passes a policy where one tag is deployed.
pub struct Selection<'a> {
    listing: &'a Listing,
    ranker: Ranker<'a>,
    times: RankedTimes<'a>,
    best: Option<Candidate<'a>>,
    /// The highest tag of those that are out of range.
    beyond: Option<Candidate<'a>>,
    /// Every candidate, the best first; made when the second one is needed, which is seldom.
    ranked: OnceCell<Vec<Candidate<'a>>>,
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
    policy: &'a Policy,
    listing: &'a Listing,
    deployed: Option<&Tag>,
    facts: Facts<'a>,
) -> Result<Selection<'a>, Stop> {
    let mut ranker = policy.rule.ranker(deployed);
    if policy.rule.takes_numbers() {
        ranker = ranker.beside(listing.tags.keys());
    }
    let times = RankedTimes::of(policy, listing, facts)?;
    let mut counts = [0; Rejection::ALL.len()];
    let mut stopped = None;
    let (mut best, mut beyond): (Option<Candidate<'a>>, Option<Candidate<'a>>) = (None, None);
    for (tag, listed) in &listing.tags {
        match ranker.judge(tag, times.of_tag(tag, listed)) {
            Judged::Ranked(key) => keep_higher(&mut best, Candidate { tag, key }),
            Judged::Beyond(key) => {
                counts[Rejection::OutOfRange as usize] += 1;
                keep_higher(&mut beyond, Candidate { tag, key });
            }
            Judged::Rejected(rejection) => {
                counts[rejection as usize] += 1;
                if stopped.is_none() && policy.rule.stops_at(rejection) {
                    stopped = Some(tag);
                }
            }
        }
    }
    let rejected = Rejection::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect();
    Ok(Selection {
        listing,
        ranker,
        times,
        best,
        beyond,
        ranked: OnceCell::new(),
        rejected,
        stopped,
    })
}

/// Keeps the higher of two. Tags come in byte order, so the later of two equal keys has the greater bytes.
fn keep_higher<'a>(kept: &mut Option<Candidate<'a>>, other: Candidate<'a>) {
    let is_below = kept.as_ref().is_some_and(|k| other.key.compare(&k.key) == Ordering::Less);
    if !is_below {
        *kept = Some(other);
    }
}

impl<'a> Selection<'a> {
    /// The best candidate.
    #[must_use]
    pub fn best(&self) -> Option<&Candidate<'a>> {
        self.best.as_ref()
    }

    /// The highest tag that is like what is deployed, and out of range.
    #[must_use]
    pub fn beyond(&self) -> Option<&Candidate<'a>> {
        self.beyond.as_ref()
    }

    /// The highest tag, by its bytes, of a later version that is written like the deployed one but for its digits, and of another
    /// variant: told where the deployed tag alone passes, so that nothing that is published will ever be chosen.
    #[must_use]
    pub fn alike(&self, deployed: &Tag) -> Option<&'a Tag> {
        let others = self.rejected.contains_key(&Rejection::OtherVariant);
        if !others || self.beyond.is_some() || self.candidates().nth(1).is_some() {
            return None;
        }
        let version = |tag: &Tag| Shape::parse(tag.as_str()).map(|shape| shape.version);
        let (now, written) = (version(deployed)?, skeleton(deployed.as_str()));
        let is_later = |tag: &&Tag| {
            skeleton(tag.as_str()) == written && version(tag).is_some_and(|it| it > now)
        };
        self.listing.tags.keys().rfind(is_later)
    }

    /// The candidate at a place, counted from the best one, which is at 0.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&Candidate<'a>> {
        if place == 0 {
            return self.best();
        }
        let ranked = self.ranked.get_or_init(|| {
            let mut all: Vec<_> = self.candidates().collect();
            all.sort_unstable_by(|a, b| b.compare(a));
            all
        });
        ranked.get(place)
    }

    /// The ranker of the tags.
    pub(super) fn ranker(&self) -> &Ranker<'a> {
        &self.ranker
    }

    /// The time that a tag is ordered by, where it is.
    pub(super) fn time_of(&self, tag: &Tag, listed: &Listed) -> Option<Timestamp> {
        self.times.of_tag(tag, listed)
    }

    /// Every candidate, by the bytes of their tags.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate<'a>> {
        self.listing.tags.iter().filter_map(|(tag, listed)| {
            let key = self.ranker.rank(tag, self.times.of_tag(tag, listed)).ok()?;
            Some(Candidate { tag, key })
        })
    }
}

/// A text with one sign for each run of digits.
fn skeleton(text: &str) -> String {
    let mut last_is_digit = false;
    let sign = |c: char| {
        let is_again = std::mem::replace(&mut last_is_digit, c.is_ascii_digit());
        match (c.is_ascii_digit(), is_again) {
            (true, true) => None,
            (true, false) => Some('0'),
            (false, _) => Some(c),
        }
    };
    text.chars().filter_map(sign).collect()
}

impl Candidate<'_> {
    fn compare(&self, other: &Candidate<'_>) -> Ordering {
        self.key.compare(&other.key).then_with(|| self.tag.cmp(other.tag))
    }
}

/// The time that a tag is ordered by, where it is.
pub(super) struct RankedTimes<'a> {
    clock: Option<Clock>,
    policy: &'a Policy,
    facts: Facts<'a>,
    /// True if the registry says when it got tags, though perhaps not of each.
    is_timed: bool,
}

impl<'a> RankedTimes<'a> {
    /// Gets ready to tell times.
    ///
    /// # Errors
    /// When some have to be asked for, are too many, or cannot be known.
    pub(super) fn of(
        policy: &'a Policy,
        listing: &Listing,
        facts: Facts<'a>,
    ) -> Result<Self, Stop> {
        let clock = match policy.rule.order() {
            Order::Newest(clock) => Some(*clock),
            _ => None,
        };
        let is_timed = clock == Some(Clock::Pushed)
            && listing.tags.values().any(|listed| listed.pushed.is_some());
        let times = Self { clock, policy, facts, is_timed };
        match clock {
            Some(Clock::Created) => times.check(listing)?,
            Some(Clock::Pushed) if !is_timed => {
                let untimed =
                    listing.tags.values().filter(|listed| listed.pushed.is_none()).count();
                if untimed > MAX_SIGHTS {
                    return Err(Stop::Undecided(super::decide::too_many_sights(untimed)));
                }
            }
            Some(Clock::Pushed) | None => {}
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
    #[inline]
    pub(super) fn of_tag(&self, tag: &Tag, listed: &Listed) -> Option<Timestamp> {
        match self.clock? {
            Clock::Created => listed.created.or_else(|| {
                let key = (self.policy.repository.clone(), tag.clone());
                self.facts.answers.created.get(&key)?.clone().ok()
            }),
            // Two clocks are not compared: beside times of the registry, our own sights say nothing.
            Clock::Pushed if self.is_timed => listed.pushed,
            Clock::Pushed => {
                let seen = self.facts.ledger.first_listed(&self.policy.repository, tag);
                Some(seen.unwrap_or(self.facts.now))
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
    facts: Facts<'_>,
) -> Option<Key> {
    let times = RankedTimes::of(policy, listing, facts).ok();
    let listed = listing.tags.get(deployed);
    let time = listed.and_then(|listed| times.as_ref()?.of_tag(deployed, listed));
    ranker.rank_deployed(deployed, time)
}
