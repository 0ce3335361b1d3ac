//! What a tag and its digest must prove before they are written: that nobody refused them, that the
//! tag did not move, that they are old enough, run where they must, and are signed.

use std::cmp::Ordering;

use jiff::{Timestamp, Unit};

use super::decide::{Case, Decision, Outcome, hold, update};
use super::{Contents, Reason, ReasonCode, Stop, Verdict};
use crate::image::{Digest, Platform, Shape, Tag};
use crate::ledger::AHEAD;
use crate::policy::{Judged, Order, Policy};

impl Case<'_, '_> {
    /// Why a candidate is not to be written, if anything speaks against it.
    pub(super) fn objection(&self, tag: &Tag) -> Result<Option<Reason>, Stop> {
        let (environment, policy) = (&self.environment.name, &self.policy.name);
        if let Some(skip) = self.environment.skip_of(policy, tag.as_str()) {
            let message = format!("{tag} is passed over here: {}", skip.reason);
            return Ok(Some(Reason::new(ReasonCode::Skipped, message)));
        }
        if let Some(refusal) = self.facts.ledger.refusal(environment, policy, tag.as_str()) {
            let message = format!("{tag} is not wanted here: {}", refusal.why);
            return Ok(Some(Reason::new(ReasonCode::Refused, message)));
        }
        let lacking = self.beside.iter().find(|(_, listing)| !listing.tags.contains_key(tag));
        if let Some((name, _)) = lacking {
            let message = format!("{tag} is not there of {name}, and both are to have one tag");
            return Ok(Some(Reason::new(ReasonCode::Lockstep, message)));
        }
        if let Some(reason) = self.below_refused(tag) {
            return Ok(Some(reason));
        }
        if let Some(reason) = self.known_to_be_young(tag) {
            return Ok(Some(reason));
        }
        if !self.policy.checks.need_digest() && !self.writes_digest() {
            return Ok(None);
        }
        let digest = self.digest(tag)?;
        self.objection_to_digest(tag, &digest)
    }

    /// Rejects a tag that ranks no higher than a rejected one: nobody who rejects a version wants an older one instead.
    fn below_refused(&self, tag: &Tag) -> Option<Reason> {
        let (environment, policy) = (&self.environment.name, &self.policy.name);
        let key = |tag: &Tag| {
            let listed = self.listing.tags.get(tag);
            let time = listed.and_then(|listed| self.selection.time_of(tag, listed));
            match self.selection.ranker().judge(tag, time) {
                Judged::Ranked(key) | Judged::Beyond(key) => Some(key),
                Judged::Rejected(_) => None,
            }
        };
        let mut refusals = self.facts.ledger.refusals(environment, policy).peekable();
        refusals.peek()?;
        let candidate = key(tag)?;
        refusals.find_map(|(what, refusal)| {
            let refused = Tag::parse(what)?;
            let is_below = candidate.compare(&key(&refused)?) != Ordering::Greater;
            let message = format!(
                "{tag} is not newer than {refused}, which is not wanted here: {}",
                refusal.why
            );
            is_below.then(|| Reason::new(ReasonCode::Refused, message))
        })
    }

    /// Whether enough is known of a candidate to judge it without a request.
    pub(super) fn is_free(&self, tag: &Tag) -> bool {
        let listed = self.listing.tags.get(tag);
        let asks = self.policy.checks.need_digest() || self.writes_digest();
        !asks || self.known_to_be_young(tag).is_some() || listed.is_some_and(|l| l.digest.is_some())
    }

    /// A tag that nobody knew long enough is too young whatever digest is behind it now, which need
    /// not be asked for.
    fn known_to_be_young(&self, tag: &Tag) -> Option<Reason> {
        let min_age = self.policy.checks.min_age?;
        let first = self.facts.ledger.earliest_sight(&self.policy.repository, tag)?;
        let eligible = first.checked_add(min_age).unwrap_or(Timestamp::MAX);
        (self.facts.now < eligible).then(|| young(tag, first, eligible))
    }

    /// Why a digest behind a tag is not to be written.
    fn objection_to_digest(&self, tag: &Tag, digest: &Digest) -> Result<Option<Reason>, Stop> {
        let (environment, policy) = (&self.environment.name, &self.policy.name);
        let what = format!("{tag}@{digest}");
        if let Some(refusal) = self.facts.ledger.refusal(environment, policy, &what) {
            let message = format!("{tag}@{} is not wanted here: {}", digest.short(), refusal.why);
            return Ok(Some(Reason::new(ReasonCode::Refused, message)));
        }
        if let Some(reason) = self.moved(tag, digest).or_else(|| self.too_young(tag, digest)) {
            return Ok(Some(reason));
        }
        if let Some(reason) = self.missing_platform(tag, digest)? {
            return Ok(Some(reason));
        }
        self.unsigned(tag, digest)
    }

    /// An alarm: a full version that has another digest than an earlier run saw.
    fn moved(&self, tag: &Tag, digest: &Digest) -> Option<Reason> {
        let other = self.facts.ledger.other_digest(&self.policy.repository, tag, digest)?;
        alarm(self.policy, tag, &other, digest)
    }

    fn too_young(&self, tag: &Tag, digest: &Digest) -> Option<Reason> {
        let min_age = self.policy.checks.min_age?;
        if self.facts.skewed.contains_key(&self.policy.repository) {
            let message = format!(
                "{tag} has no age that counts: the clocks here and at the registry are far apart"
            );
            return Some(Reason::new(ReasonCode::TooYoung, message));
        }
        let since = self.known_since(tag, digest);
        let eligible = since.checked_add(min_age).unwrap_or(Timestamp::MAX);
        if self.facts.now >= eligible {
            return None;
        }
        Some(young(tag, since, eligible))
    }

    /// Since when a tag with its digest is known: the later of the registry's time and our own first
    /// sight, which is now when there was none. A time in the future says nothing.
    fn known_since(&self, tag: &Tag, digest: &Digest) -> Timestamp {
        let now = self.facts.now;
        let listed = self.listing.tags.get(tag);
        let latest = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        let pushed = listed.and_then(|listed| listed.pushed).filter(|at| *at <= latest);
        let seen = self.facts.ledger.first_sight(&self.policy.repository, tag, digest);
        match (pushed, seen.filter(|at| *at <= latest)) {
            (Some(pushed), Some(seen)) => pushed.max(seen),
            (Some(pushed), None) if self.facts.is_catalog => pushed,
            (None, Some(seen)) => seen,
            (_, None) => now,
        }
    }

    fn missing_platform(&self, tag: &Tag, digest: &Digest) -> Result<Option<Reason>, Stop> {
        let wanted = &self.policy.checks.platforms;
        if wanted.is_empty() {
            return Ok(None);
        }
        let listed = self.listing.tags.get(tag).map(|listed| &listed.platforms[..]);
        let found: Vec<Platform> = match listed {
            Some(listed) if !listed.is_empty() => listed.to_vec(),
            _ => self.facts.contents(&self.policy.repository, digest)?.into_keys().collect(),
        };
        let missing = wanted.iter().find(|platform| !found.contains(platform));
        Ok(missing.map(|platform| {
            let message = format!("{tag} is not for {platform}");
            Reason::new(ReasonCode::MissingPlatform, message)
        }))
    }

    fn unsigned(&self, tag: &Tag, digest: &Digest) -> Result<Option<Reason>, Stop> {
        if self.policy.checks.signer.is_none() {
            return Ok(None);
        }
        match self.facts.signed(&self.policy.name, &self.policy.repository, digest)? {
            Verdict::Verified => Ok(None),
            Verdict::Not(why) => {
                let message = format!("{tag} ({}) is not verified: {why}", digest.short());
                Ok(Some(Reason::new(ReasonCode::Unverified, message)))
            }
        }
    }

    /// Completes a decision with digests: adds the one to write, or notices that it moved.
    ///
    /// Asks only where the answer matters: a tag without a digest that does not change costs no request.
    pub(super) fn settle_digest(&self, decision: Decision) -> Result<Decision, Stop> {
        let Some(to) = decision.to.clone().filter(|_| self.needs_digest(&decision)) else {
            return Ok(decision);
        };
        let found = match self.digest(&to) {
            Ok(found) => found,
            // A file of tags that says nothing of a digest says nothing against it.
            Err(Stop::Undecided(_))
                if decision.outcome == Outcome::Keep && self.may_be_silent() =>
            {
                return Ok(decision);
            }
            Err(Stop::Undecided(reason)) => {
                return Ok(Decision { to: Some(to), ..Decision::undecided(reason) });
            }
            Err(ask) => return Err(ask),
        };
        let same = self.deployed.digest.as_ref() == Some(&found);
        if decision.outcome == Outcome::Update || same {
            return Ok(Decision { to_digest: Some(found), ..decision });
        }
        self.another_digest(&to, found, decision)
    }

    /// The tag stays, and another digest is behind it than the one that is deployed.
    fn another_digest(
        &self,
        tag: &Tag,
        found: Digest,
        decision: Decision,
    ) -> Result<Decision, Stop> {
        let reason = match &self.deployed.digest {
            None => {
                let message = format!("{tag} is pinned to {}", found.short());
                Reason::new(ReasonCode::DigestMode, message)
            }
            Some(old) if is_alarming(self.policy, tag) => {
                return Ok(hold(Some(tag.clone()), moved(tag, old, &found)));
            }
            Some(old) if self.same_platforms(old, &found)? => {
                let message = format!(
                    "{tag} moved from {} to {}, with the same image for each platform in use",
                    old.short(),
                    found.short()
                );
                let reason = Reason::new(ReasonCode::SamePlatforms, message);
                return Ok(Decision { reason, ..decision });
            }
            Some(old) => {
                let message = format!("{tag} moved from {} to {}", old.short(), found.short());
                Reason::new(ReasonCode::DigestMoved, message)
            }
        };
        if let Some(objection) = self.objection_to_digest(tag, &found)? {
            return Ok(hold(Some(tag.clone()), objection));
        }
        Ok(Decision { to_digest: Some(found), ..update(tag, reason) })
    }

    /// Whether two indexes hold the same image for every platform that is in use: those that the
    /// policy names, or all of either. What cannot be compared has changed.
    fn same_platforms(&self, old: &Digest, new: &Digest) -> Result<bool, Stop> {
        let contents = |digest| match self.facts.contents(&self.policy.repository, digest) {
            Ok(contents) => Ok(Some(contents)),
            Err(Stop::Undecided(_)) => Ok(None),
            Err(ask) => Err(ask),
        };
        let (Some(old), Some(new)) = (contents(old)?, contents(new)?) else { return Ok(false) };
        let wanted = &self.policy.checks.platforms;
        let in_use = |contents: &Contents| -> Contents {
            let used = |platform: &Platform| {
                if wanted.is_empty() { !platform.is_unknown() } else { wanted.contains(platform) }
            };
            contents.clone().into_iter().filter(|(platform, _)| used(platform)).collect()
        };
        let (old, new) = (in_use(&old), in_use(&new));
        Ok(!new.is_empty() && old == new)
    }

    fn needs_digest(&self, decision: &Decision) -> bool {
        // A digest that is written is asked for every time: a tag that moves is followed, and a version
        // that does is an alarm. Flux asks for it when it says so.
        let is_whole = self.deployed.tag.is_some() && self.deployed.digest.is_some();
        let follows = !self.policy.is_of_flux() || self.policy.follow_digest || !is_whole;
        match decision.outcome {
            Outcome::Update => {
                self.writes_digest() && decision.reason.code != ReasonCode::DigestMode
            }
            Outcome::Keep => self.writes_digest() && follows,
            Outcome::Hold | Outcome::Undecided => false,
        }
    }

    fn may_be_silent(&self) -> bool {
        self.facts.is_catalog && self.deployed.digest.is_some() && !self.is_fixed()
    }

    fn writes_digest(&self) -> bool {
        self.deployed.takes_digest(self.policy.digest)
    }

    fn digest(&self, tag: &Tag) -> Result<Digest, Stop> {
        self.facts.digest(&self.policy.repository, self.listing, tag)
    }
}

fn young(tag: &Tag, since: Timestamp, eligible: Timestamp) -> Reason {
    let shown = |at: Timestamp| at.round(Unit::Second).unwrap_or(at);
    let message = format!("{tag} is known since {}, eligible at {}", shown(since), shown(eligible));
    Reason::new(ReasonCode::TooYoung, message)
}

/// An alarm: a tag that names one image for ever has another digest than before.
#[must_use]
pub fn alarm(policy: &Policy, tag: &Tag, old: &Digest, new: &Digest) -> Option<Reason> {
    (old != new && is_alarming(policy, tag)).then(|| moved(tag, old, new))
}

/// True if a moved digest is an alarm: a full version is a name for one image for ever. A policy
/// that names one tag follows it wherever it goes, and Flux knows no such rule.
fn is_alarming(policy: &Policy, tag: &Tag) -> bool {
    let is_fixed = matches!(policy.rule.order(), Order::Fixed(_));
    is_full_version(tag) && !policy.allow.moved && !is_fixed
}

fn moved(tag: &Tag, old: &Digest, new: &Digest) -> Reason {
    let message = format!(
        "alarm: {tag} was {} and is {} now, and a version does not move unless somebody moves it; \
         `allowMoved: true` overrules",
        old.short(),
        new.short()
    );
    Reason::new(ReasonCode::TagMoved, message)
}

/// Whether a tag names one release: three numbers, perhaps with a prefix and a suffix.
fn is_full_version(tag: &Tag) -> bool {
    let shape = Shape::parse(tag.as_str());
    shape.is_some_and(|shape| shape.precision == 3 && matches!(shape.prefix, "" | "v"))
}
