//! The decision: from the best candidate down to what is deployed, the first that passes its checks.

use std::cmp::Ordering;

use super::select::rank_deployed;
use super::{Candidate, Deployed, Facts, Listing, Reason, ReasonCode, Selection, Stop};
use crate::image::{Digest, Tag};
use crate::policy::{DigestMode, Environment, Key, Order, Policy, Rejection, Span};

/// How many candidates a registry is asked about before the rest is left to a later run. Those of
/// which enough is known already do not count.
const MAX_ASKED: usize = 20;

/// What is to happen.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
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

impl Outcome {
    /// As it is written in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Keep => "keep",
            Self::Hold => "hold",
            Self::Undecided => "undecided",
        }
    }
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
    /// Better candidates that did not pass their checks, the best first.
    pub passed_over: Vec<(Tag, Reason)>,
    /// A later version that is written like the deployed tag and is of another variant, where no other tag takes part.
    pub alike: Option<Tag>,
}

impl Decision {
    /// The tag that is to run; none where nothing is decided.
    #[must_use]
    pub fn chosen(&self) -> Option<&Tag> {
        let is_decided = matches!(self.outcome, Outcome::Update | Outcome::Keep);
        self.to.as_ref().filter(|_| is_decided)
    }
}

/// One policy in one environment, where one reference is deployed.
pub struct Case<'a, 's> {
    /// The policy.
    pub policy: &'a Policy,
    /// The environment.
    pub environment: &'a Environment,
    /// What the registry lists.
    pub listing: &'a Listing,
    /// What of it passes the policy.
    pub selection: &'a Selection<'s>,
    /// What is deployed.
    pub deployed: &'a Deployed,
    /// What else is known.
    pub facts: Facts<'a>,
    /// Images that are to have the same tag, by their policies' names, with what their registries list.
    pub beside: &'a [(&'a str, &'a Listing)],
}

/// How a candidate relates to the deployed tag.
enum Relation {
    /// It ranks above, or no order says where it stands and the policy does not mind.
    Ahead(Option<Ordering>),
    /// It is the deployed tag, or ranks equal to it.
    Here(Decision),
    /// It ranks below, or nothing says where, and the policy minds.
    Behind(Reason),
}

impl Case<'_, '_> {
    /// Decides, or says what has to be known first.
    ///
    /// # Errors
    /// The questions, whose answers are to be in the facts of the next attempt.
    pub fn decide(&self) -> Result<Decision, Vec<super::Question>> {
        match self.decide_or_stop() {
            Ok(decision) => Ok(self.hold_in_environment(decision)),
            Err(Stop::Undecided(reason)) => Ok(Decision::undecided(reason)),
            Err(Stop::Ask(questions)) => Err(questions),
        }
    }

    fn decide_or_stop(&self) -> Result<Decision, Stop> {
        if let Some(reason) = self.doubt() {
            return Err(Stop::Undecided(reason));
        }
        let Some(best) = self.selection.best().filter(|_| self.selection.stopped.is_none()) else {
            return self.nothing_to_choose();
        };
        let decision = match &self.deployed.tag {
            // Tags of another image say nothing about this one's, and Flux does not ask.
            _ if self.deployed.renamed && self.policy.is_of_flux() => {
                let message = format!("the marker asks for {}:{}", self.policy.image, best.tag);
                update(best.tag, Reason::new(ReasonCode::Replaced, message))
            }
            None => self.decide_without_tag(best.tag),
            Some(current) => self.walk(best, current)?,
        };
        let moves = matches!(decision.outcome, Outcome::Update | Outcome::Keep);
        if let Some(reason) = self.deployed.without_place(self.policy.digest).filter(|_| moves) {
            return Ok(hold(decision.to, reason));
        }
        self.settle_digest(decision)
    }

    /// Why the listing is not believed.
    fn doubt(&self) -> Option<Reason> {
        let (repository, count) = (&self.policy.repository, self.listing.tags.len());
        if count == 0 {
            let message = format!("{repository} lists no tags");
            return Some(Reason::new(ReasonCode::EmptyListing, message));
        }
        let before = self.facts.ledger.listed(repository)?;
        let message = format!(
            "{repository} lists {count} tags, and listed {before} before; `allowShrunken: true` overrules"
        );
        (count * 2 < before && !self.policy.allow.shrunken && !self.listing.is_partial)
            .then(|| Reason::new(ReasonCode::ShrunkenListing, message))
    }

    /// From the best candidate downwards, until one passes or the deployed tag is reached.
    fn walk(&self, best: &Candidate<'_>, current: &Tag) -> Result<Decision, Stop> {
        if best.tag != current
            && !self.policy.allow.vanished
            && !self.listing.tags.contains_key(current)
        {
            return Ok(hold(Some(best.tag.clone()), vanished(best.tag, current)));
        }
        let mut ranker = self.policy.rule.ranker(Some(current));
        if self.policy.rule.takes_numbers() {
            ranker = ranker.beside(self.listing.tags.keys());
        }
        let rank = rank_deployed(self.policy, &ranker, self.listing, current, self.facts);
        let mut passed_over = Vec::new();
        let mut asked = 0;
        for place in 0.. {
            let Some(candidate) = self.selection.at(place) else { break };
            match self.place(candidate, rank.as_ref(), current) {
                Relation::Here(decision) => return self.settled_here(decision, passed_over),
                Relation::Behind(reason) => {
                    return Ok(or_held(hold(Some(candidate.tag.clone()), reason), passed_over));
                }
                // What is tried instead of a better one never leads backwards.
                Relation::Ahead(Some(Ordering::Less)) if !passed_over.is_empty() => break,
                Relation::Ahead(ordering) => {
                    asked += usize::from(!self.is_free(candidate.tag));
                    if asked > MAX_ASKED {
                        return Ok(patient(passed_over));
                    }
                    match self.objection(candidate.tag) {
                        Ok(Some(reason)) => passed_over.push((candidate.tag.clone(), reason)),
                        Ok(None) => {
                            return Ok(chosen(candidate.tag, current, ordering, passed_over));
                        }
                        Err(Stop::Undecided(reason)) => {
                            let to = Some(candidate.tag.clone());
                            return Ok(Decision { to, ..Decision::undecided(reason) });
                        }
                        Err(ask) => return Err(ask),
                    }
                }
            }
        }
        let nothing = Reason::new(ReasonCode::NoCandidate, "no candidate passes its checks");
        Ok(or_held(hold(None, nothing), passed_over))
    }

    /// The deployed tag is reached. What its own digest calls for comes before what better candidates
    /// wait for: an alarm, a digest that moved.
    fn settled_here(
        &self,
        decision: Decision,
        passed_over: Vec<(Tag, Reason)>,
    ) -> Result<Decision, Stop> {
        let settled = match self.settle_digest(decision) {
            Ok(settled) => settled,
            Err(Stop::Undecided(reason)) => Decision::undecided(reason),
            Err(ask) => return Err(ask),
        };
        let comes_first =
            settled.outcome == Outcome::Update || settled.reason.code == ReasonCode::TagMoved;
        if comes_first {
            return Ok(Decision { passed_over, ..settled });
        }
        Ok(or_held(settled, passed_over))
    }

    fn place(
        &self,
        candidate: &Candidate<'_>,
        current_rank: Option<&Key>,
        current: &Tag,
    ) -> Relation {
        if candidate.tag == current {
            return Relation::Here(self.up_to_date(current));
        }
        let ordering = self.compare(candidate, current_rank);
        let allowed = self.policy.allow.downgrade;
        match ordering {
            Some(Ordering::Equal) if !self.policy.is_of_flux() => {
                let message = format!("{current} ranks equal to {}", candidate.tag);
                let reason = Reason::new(ReasonCode::UpToDate, message);
                Relation::Here(Decision { to: Some(current.clone()), ..keep(reason) })
            }
            Some(Ordering::Less) if !allowed => Relation::Behind(downgrade(candidate.tag, current)),
            None if !allowed && !self.is_fixed() => {
                Relation::Behind(unordered(candidate.tag, current))
            }
            ordering => Relation::Ahead(ordering),
        }
    }

    /// Compares a candidate with the deployed tag, where the policy's order has a place for both.
    fn compare(&self, candidate: &Candidate<'_>, current: Option<&Key>) -> Option<Ordering> {
        let current = current?;
        match &candidate.key {
            // One tag is allowed: what is deployed ranks as a version does, or not at all.
            Key::Only => {
                let wanted = self.policy.rule.ranker(None).rank_deployed(candidate.tag, None)?;
                let ordering = wanted.compare(current);
                // `1.0.0` and `v1.0.0` are different tags, and the policy names one of them.
                Some(if ordering == Ordering::Equal { Ordering::Greater } else { ordering })
            }
            key => Some(key.compare(current)),
        }
    }

    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.policy.rule.order(), Order::Fixed(_))
    }

    fn up_to_date(&self, current: &Tag) -> Decision {
        if self.policy.digest == DigestMode::Drop && self.deployed.digest.is_some() {
            let message = format!("the digest behind {current} is removed");
            return update(current, Reason::new(ReasonCode::DigestMode, message));
        }
        let others = self.selection.rejected.get(&Rejection::OtherVariant);
        let others = others.map(|count| format!("; {count} tags of other variants take no part"));
        let message = format!(
            "{current} is what the policy chooses{}{}",
            self.beyond(current).unwrap_or_default(),
            others.unwrap_or_default()
        );
        let alike = self.selection.alike(current).cloned();
        let to = Some(current.clone());
        Decision { to, alike, ..keep(Reason::new(ReasonCode::UpToDate, message)) }
    }

    /// The newest tag out of reach, in words: "up to date" holds for the tags in reach alone.
    fn beyond(&self, current: &Tag) -> Option<String> {
        let Order::Semver(span) = self.policy.rule.order() else { return None };
        let beyond = self.selection.beyond()?;
        let ranker = self.policy.rule.ranker(Some(current));
        let is_newer =
            beyond.key.compare(&ranker.rank_deployed(current, None)?) == Ordering::Greater;
        is_newer.then(|| format!("; {} is beyond `{span}`", beyond.tag))
    }

    /// A digest has no place in an order; only a policy of one tag, or a marker with Flux's meaning,
    /// can say where it should be.
    fn decide_without_tag(&self, best: &Tag) -> Decision {
        let marked = self.policy.is_of_flux();
        if self.is_fixed() || marked && self.deployed.digest.is_some() {
            let message = format!("the digest follows {best}");
            let reason = Reason::new(ReasonCode::UpToDate, message);
            return Decision { to: Some(best.clone()), ..keep(reason) };
        }
        if marked {
            let message = format!("the marker asks for {best}");
            return update(best, Reason::new(ReasonCode::Replaced, message));
        }
        hold(Some(best.clone()), without_tag())
    }

    /// No tag passes. Where the bounds are relative, that can be because of what is deployed.
    fn nothing_to_choose(&self) -> Result<Decision, Stop> {
        if let (Order::Semver(Span::Level(_)), Some(tag)) =
            (self.policy.rule.order(), &self.deployed.tag)
            && self.policy.rule.ranker(None).rank_deployed(tag, None).is_none()
        {
            let message = format!("{tag} is not a version, so nothing says how far it may move");
            return Ok(hold(None, Reason::new(ReasonCode::Unordered, message)));
        }
        let message = match (self.selection.stopped, self.policy.rule.order()) {
            (Some(tag), _) => {
                format!("{tag} is not a number, where Flux stops; `filterTags` leaves it out")
            }
            (None, Order::Fixed(wanted)) => format!("{wanted} is not listed"),
            (None, _) => {
                let steps = self.selection.rejected.iter();
                let steps = steps.map(|(step, count)| format!("{count} {}", step.describe()));
                let steps = steps.collect::<Vec<_>>().join(", ");
                format!("none of {} tags passes the policy: {steps}", self.listing.tags.len())
            }
        };
        Err(Stop::Undecided(Reason::new(ReasonCode::NoCandidate, message)))
    }

    /// What the environment does not let through for now.
    fn hold_in_environment(&self, decision: Decision) -> Decision {
        let active = self.environment.hold_on(&self.policy.name, self.facts.now);
        match active.filter(|_| decision.outcome == Outcome::Update) {
            None => decision,
            Some(hold) => {
                let message = format!("held until {}: {}", hold.until, hold.reason);
                let reason = Reason::new(ReasonCode::Held, message);
                Decision { outcome: Outcome::Hold, reason, ..decision }
            }
        }
    }
}

/// The decision for a digest without a tag: under every order, nothing says which version it is. A policy that names the
/// tag, and Flux's markers, decide otherwise.
#[must_use]
pub fn digest_only(policy: &Policy, deployed: &Deployed) -> Option<Decision> {
    let knows = matches!(policy.rule.order(), Order::Fixed(_)) || policy.is_of_flux();
    (deployed.tag.is_none() && !knows).then(|| hold(None, without_tag()))
}

fn without_tag() -> Reason {
    let message = "only a digest is deployed, so nothing says which tags are newer; write the tag before the digest, or \
                   follow one tag with `fixed`";
    Reason::new(ReasonCode::DigestOnly, message)
}

fn chosen(
    tag: &Tag,
    current: &Tag,
    ordering: Option<Ordering>,
    passed_over: Vec<(Tag, Reason)>,
) -> Decision {
    let (code, word) = match ordering {
        Some(Ordering::Less) => (ReasonCode::Older, "below"),
        Some(_) => (ReasonCode::Newer, "above"),
        None => (ReasonCode::Replaced, "chosen instead of"),
    };
    let message = format!("{tag} is {word} {current}");
    Decision { passed_over, ..update(tag, Reason::new(code, message)) }
}

/// What is to be said at the end of a walk: that a better candidate waits, when one does.
fn or_held(decision: Decision, passed_over: Vec<(Tag, Reason)>) -> Decision {
    match passed_over.first().cloned() {
        None => decision,
        Some((tag, reason)) => Decision { passed_over, ..hold(Some(tag), reason) },
    }
}

/// A walk that has asked enough for one run.
fn patient(passed_over: Vec<(Tag, Reason)>) -> Decision {
    let nothing = Reason::new(ReasonCode::NoCandidate, "no candidate passes its checks");
    let held = or_held(hold(None, nothing), passed_over);
    let message = format!(
        "{}; {MAX_ASKED} candidates did not pass, and the next run asks about others",
        held.reason.message
    );
    Decision { reason: Reason::new(held.reason.code, message), ..held }
}

fn vanished(to: &Tag, current: &Tag) -> Reason {
    let message = format!(
        "the deployed tag {current} is no longer listed, so the listing is not trusted to say that \
         {to} is newer; `allowVanished: true` overrules"
    );
    Reason::new(ReasonCode::Vanished, message)
}

fn downgrade(to: &Tag, current: &Tag) -> Reason {
    let message = format!("{to} is below the deployed {current}; `allowDowngrade: true` overrules");
    Reason::new(ReasonCode::Downgrade, message)
}

fn unordered(to: &Tag, current: &Tag) -> Reason {
    let message = format!(
        "{current} has no place in the policy's order, so nothing says that {to} is newer; deploy a tag that has, \
         or say by `match` and `extract` what of it is ordered"
    );
    Reason::new(ReasonCode::Unordered, message)
}

/// Each has to be remembered from run to run.
pub(super) fn too_many_sights(count: usize) -> Reason {
    let message = format!(
        "the registry says no times, and the first sights of {count} tags are too many to remember; \
         order them by something that the tags say"
    );
    Reason::new(ReasonCode::NoCandidate, message)
}

/// Each time costs two requests.
pub(super) fn too_many(count: usize) -> Reason {
    let message =
        format!("{count} tags would have to be asked when they were made; narrow `match`");
    Reason::new(ReasonCode::NoCandidate, message)
}

impl Rejection {
    /// Every step, in order.
    pub const ALL: [Self; 6] = [
        Self::Unmatched,
        Self::Excluded,
        Self::NotOrdered,
        Self::OtherVariant,
        Self::OutOfRange,
        Self::Prerelease,
    ];

    /// The step in words, after a count.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Unmatched => "not matched",
            Self::Excluded => "excluded",
            Self::NotOrdered => "not of the policy's order",
            Self::OtherVariant => "of another variant",
            Self::OutOfRange => "out of range",
            Self::Prerelease => "prereleases, which the range does not name",
        }
    }
}

impl Decision {
    /// A decision that cannot be made.
    #[must_use]
    pub fn undecided(reason: Reason) -> Self {
        decision(Outcome::Undecided, None, reason)
    }
}

pub(super) fn update(to: &Tag, reason: Reason) -> Decision {
    decision(Outcome::Update, Some(to.clone()), reason)
}

fn keep(reason: Reason) -> Decision {
    decision(Outcome::Keep, None, reason)
}

pub(super) fn hold(to: Option<Tag>, reason: Reason) -> Decision {
    decision(Outcome::Hold, to, reason)
}

fn decision(outcome: Outcome, to: Option<Tag>, reason: Reason) -> Decision {
    Decision { outcome, to, to_digest: None, reason, passed_over: Vec::new(), alike: None }
}

#[cfg(test)]
mod tests;
