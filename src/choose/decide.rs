//! The choice. A total order: the key of the policy's order, then the tag's bytes, greatest first.
//!
//! Tags with equal keys (`1.0.0` and `v1.0.0`, two tags with one extracted key) have one answer, the
//! one with the greater bytes, which is what Flux, Argo CD Image Updater and Kargo converge on
//! when they are given a sorted list. A deployed tag of equal key is never replaced.

use std::cmp::Ordering;

use super::{Listing, Reason, ReasonCode};
use crate::image::{Digest, Tag};
use crate::policy::{DigestMode, Key, Order, Policy, Rejection};

/// What a policy picks from a listing, before anything deployed is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection<'a> {
    /// The tag at the top of the order, with its key.
    pub winner: Option<(&'a Tag, Key)>,
    /// How many tags each step rejected.
    pub rejected: std::collections::BTreeMap<Rejection, usize>,
}

/// What a site holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deployed {
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
    /// Whether another image is named than the policy's, and the name is to be written as well.
    pub renamed: bool,
}

/// What is to happen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The site is rewritten.
    Update,
    /// The site holds what the policy chooses.
    Keep,
    /// There is something to do, and a rule that stops it.
    Hold,
    /// What is needed for a decision is not known.
    Undecided,
}

/// What is to happen with one policy's image where one reference is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is to happen.
    pub outcome: Outcome,
    /// The tag to write, or the one that is held back.
    pub to: Option<Tag>,
    /// The digest to write.
    pub to_digest: Option<Digest>,
    /// Why.
    pub reason: Reason,
}

/// Ranks a listing under a policy.
#[must_use]
pub fn select<'a>(policy: &Policy, listing: &'a Listing) -> Selection<'a> {
    let mut selection = Selection { winner: None, rejected: std::collections::BTreeMap::new() };
    for tag in listing.tags.keys() {
        match policy.rule.rank(tag) {
            Ok(key) => {
                // Tags come in byte order, so the later of two equal keys has the greater bytes.
                let better = selection
                    .winner
                    .as_ref()
                    .is_none_or(|(_, best)| key.compare(best) != Ordering::Less);
                if better {
                    selection.winner = Some((tag, key));
                }
            }
            Err(rejection) => *selection.rejected.entry(rejection).or_default() += 1,
        }
    }
    selection
}

/// Decides for one deployed reference.
#[must_use]
pub fn decide(
    policy: &Policy,
    listing: &Listing,
    selection: &Selection<'_>,
    deployed: &Deployed,
) -> Decision {
    let Some((winner, key)) = &selection.winner else {
        return undecided(nothing_to_choose(policy, listing, selection));
    };
    let to = Some((*winner).clone());
    if deployed.renamed && policy.marked_only() {
        // Tags of another image say nothing about this one's, and Flux does not ask.
        let message = format!("the marker asks for {}:{winner}", policy.image);
        return update(winner, Reason::new(ReasonCode::Replaced, message));
    }
    let Some(current) = &deployed.tag else { return decide_without_tag(policy, deployed, winner) };
    if current == *winner {
        return up_to_date(policy, deployed, winner);
    }
    if !policy.allow_vanished && !listing.tags.contains_key(current) {
        let message = format!(
            "the deployed tag {current} is no longer listed, so the listing is not trusted to say that \
             {winner} is newer; `allowVanished: true` overrules"
        );
        return hold(to, Reason::new(ReasonCode::Vanished, message));
    }
    match compare(policy, key, winner, current) {
        Some(Ordering::Equal) if !policy.marked_only() => {
            let message = format!("{current} ranks equal to {winner}");
            Decision {
                to: deployed.tag.clone(),
                ..keep(Reason::new(ReasonCode::UpToDate, message))
            }
        }
        Some(Ordering::Less) if !policy.allow_downgrade => {
            let message = format!(
                "{winner} is below the deployed {current}; `allowDowngrade: true` overrules"
            );
            hold(to, Reason::new(ReasonCode::Downgrade, message))
        }
        None if !policy.allow_downgrade && !is_fixed(policy) => {
            let message = format!(
                "{current} has no place in the policy's order, so nothing says that {winner} is newer; \
                 `allowDowngrade: true` overrules"
            );
            hold(to, Reason::new(ReasonCode::Unordered, message))
        }
        ordering => {
            let (code, word) = match ordering {
                Some(Ordering::Less) => (ReasonCode::Older, "below"),
                Some(_) => (ReasonCode::Newer, "above"),
                None => (ReasonCode::Replaced, "chosen instead of"),
            };
            update(winner, Reason::new(code, format!("{winner} is {word} {current}")))
        }
    }
}

fn is_fixed(policy: &Policy) -> bool {
    matches!(policy.rule.order(), Order::Fixed(_))
}

/// Completes a decision with digests: adds the one to write, or notices that it moved.
///
/// Asks `digest` only where the answer matters, so that an unchanged tag costs no request.
#[must_use]
pub fn settle_digest(
    policy: &Policy,
    deployed: &Deployed,
    decision: Decision,
    digest: &mut dyn FnMut(&Tag) -> Option<Result<Digest, Reason>>,
) -> Decision {
    let Some(to) = decision.to.clone().filter(|_| needs_digest(policy, deployed, &decision)) else {
        return decision;
    };
    match digest(&to) {
        None => decision,
        Some(Ok(found)) if decision.outcome == Outcome::Update => {
            Decision { to_digest: Some(found), ..decision }
        }
        Some(Ok(found)) if deployed.digest.as_ref() == Some(&found) => {
            Decision { to_digest: Some(found), ..decision }
        }
        Some(Ok(found)) => {
            let (code, message) = match &deployed.digest {
                Some(old) => (
                    ReasonCode::DigestMoved,
                    format!("{to} moved from {} to {}", old.short(), found.short()),
                ),
                None => (ReasonCode::DigestMode, format!("{to} is pinned to {}", found.short())),
            };
            Decision { to_digest: Some(found), ..update(&to, Reason::new(code, message)) }
        }
        Some(Err(reason)) => Decision { to: Some(to), ..undecided(reason) },
    }
}

fn needs_digest(policy: &Policy, deployed: &Deployed, decision: &Decision) -> bool {
    let writes = match policy.digest {
        DigestMode::Pin => true,
        DigestMode::Keep => deployed.digest.is_some(),
        DigestMode::Drop => deployed.tag.is_none(),
    };
    // A tag that is followed by digest is asked for every time; others only when they move.
    let follows = is_fixed(policy)
        || policy.follow_digest
        || deployed.digest.is_none()
        || deployed.tag.is_none();
    match decision.outcome {
        Outcome::Update => writes && decision.reason.code != ReasonCode::DigestMode,
        Outcome::Keep => writes && follows,
        Outcome::Hold | Outcome::Undecided => false,
    }
}

/// Compares the chosen tag with the deployed one, where the policy's order has a place for both.
fn compare(policy: &Policy, key: &Key, winner: &Tag, current: &Tag) -> Option<Ordering> {
    let current = policy.rule.rank_deployed(current)?;
    match key {
        // One tag is allowed: what is deployed ranks as a version does, or not at all.
        Key::Only => {
            let ordering = policy.rule.rank_deployed(winner)?.compare(&current);
            // `1.0.0` and `v1.0.0` are different tags, and the policy names one of them.
            Some(if ordering == Ordering::Equal { Ordering::Greater } else { ordering })
        }
        key => Some(key.compare(&current)),
    }
}

fn up_to_date(policy: &Policy, deployed: &Deployed, winner: &Tag) -> Decision {
    if policy.digest == DigestMode::Drop && deployed.digest.is_some() {
        let message = format!("the digest behind {winner} is removed");
        return update(winner, Reason::new(ReasonCode::DigestMode, message));
    }
    let message = format!("{winner} is what the policy chooses");
    Decision { to: Some(winner.clone()), ..keep(Reason::new(ReasonCode::UpToDate, message)) }
}

/// A digest has no place in an order; only a policy of one tag, or a marker with Flux's meaning,
/// can say where it should be.
fn decide_without_tag(policy: &Policy, deployed: &Deployed, winner: &Tag) -> Decision {
    if is_fixed(policy) || policy.marked_only() && deployed.digest.is_some() {
        let message = format!("the digest follows {winner}");
        return Decision {
            to: Some(winner.clone()),
            ..keep(Reason::new(ReasonCode::UpToDate, message))
        };
    }
    if policy.marked_only() {
        let message = format!("the marker asks for {winner}");
        return update(winner, Reason::new(ReasonCode::Replaced, message));
    }
    let message = format!(
        "only a digest is deployed, so nothing says whether {winner} is newer; write the tag before the \
         digest, or follow one tag with `fixed`"
    );
    hold(Some(winner.clone()), Reason::new(ReasonCode::DigestOnly, message))
}

fn nothing_to_choose(policy: &Policy, listing: &Listing, selection: &Selection<'_>) -> Reason {
    if listing.tags.is_empty() {
        let message = format!("{} lists no tags", policy.repository);
        return Reason::new(ReasonCode::EmptyListing, message);
    }
    let steps =
        selection.rejected.iter().map(|(step, count)| format!("{count} {}", step.describe()));
    let steps = steps.collect::<Vec<_>>().join(", ");
    let message = format!("none of {} tags passes the policy: {steps}", listing.tags.len());
    Reason::new(ReasonCode::NoCandidate, message)
}

impl Rejection {
    /// The step in words, after a count.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Unmatched => "not matched",
            Self::Excluded => "excluded",
            Self::NotOrdered => "not of the policy's order",
            Self::OutOfRange => "out of range",
        }
    }
}

impl Decision {
    /// A decision that cannot be made.
    #[must_use]
    pub fn undecided(reason: Reason) -> Self {
        undecided(reason)
    }
}

fn update(to: &Tag, reason: Reason) -> Decision {
    Decision { outcome: Outcome::Update, to: Some(to.clone()), to_digest: None, reason }
}

fn keep(reason: Reason) -> Decision {
    Decision { outcome: Outcome::Keep, to: None, to_digest: None, reason }
}

fn hold(to: Option<Tag>, reason: Reason) -> Decision {
    Decision { outcome: Outcome::Hold, to, to_digest: None, reason }
}

fn undecided(reason: Reason) -> Decision {
    Decision { outcome: Outcome::Undecided, to: None, to_digest: None, reason }
}

#[cfg(test)]
mod tests;
