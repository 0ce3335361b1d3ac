//! What comes to an environment, from what its sources held.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::timeline::{Held, Timeline, is_same, moves};
use crate::changeset::Use;
use crate::choose::{Decision, Deployed, Outcome, Reason, ReasonCode, alarm};
use crate::ledger::Ledger;
use crate::policy::{
    DigestMode, Environment, EnvironmentId, Policy, PolicyId, PolicySet, Promotion,
};

/// More versions of a source than this are not weighed.
const MAX_COMBINATIONS: usize = 50;

/// A status or check run of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// The app or account that reported it, where that is known.
    pub by: Option<String>,
    /// Whether it passed; `None` while it runs.
    pub passed: Option<bool>,
    /// Whether it looked at anything: one that was skipped did not.
    pub counts: bool,
}

/// A commit of an environment, by its index: two places can share a history, and not what is said of it.
pub type StatusQuestion = (EnvironmentId, String);

/// What is known.
#[derive(Clone, Copy)]
pub struct PromotionFacts<'a> {
    /// Policies and environments.
    pub set: &'a PolicySet,
    /// What environments held, or why that is not known.
    pub timelines: &'a BTreeMap<EnvironmentId, Result<Timeline, Reason>>,
    /// What checked commits; those that are missing were not asked about.
    pub checks: &'a BTreeMap<StatusQuestion, Vec<Checked>>,
    /// What people said no to.
    pub ledger: &'a Ledger,
    /// The present time.
    pub now: Timestamp,
}

/// What becomes of a use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promoted {
    /// This.
    Decided(Decision),
    /// First it has to be known what checked these commits.
    Ask(BTreeSet<StatusQuestion>),
}

/// One version of each policy that moves together.
pub(super) type Combination<'a> = BTreeMap<PolicyId, &'a Deployed>;

/// What speaks against a combination.
pub(super) enum Rejection {
    /// This.
    Reason(Reason),
    /// Nobody knows yet.
    Ask(BTreeSet<StatusQuestion>),
    /// The source went back from it, so it is no candidate at all.
    Withdrawn,
}

/// What comes of weighing every combination of a source.
struct Weighed<'a> {
    /// Those that nothing speaks against, the newest first; no more than are needed.
    good: Vec<Combination<'a>>,
    /// What speaks against newer ones, the newest first.
    waiting: Vec<(Combination<'a>, Reason)>,
}

/// Decides one use of an environment that is promoted.
#[must_use]
pub fn decide(facts: PromotionFacts<'_>, promotion: &Promotion, at: &Use) -> Promoted {
    let unit = Unit::of(facts, promotion, at);
    match unit.choose() {
        Ok(weighed) => Promoted::Decided(unit.decision(&weighed, at)),
        Err(NoCandidate::Ask(commits)) => Promoted::Ask(commits),
        Err(NoCandidate::Hold(reason)) => Promoted::Decided(held(reason)),
        Err(NoCandidate::Undecided(reason)) => Promoted::Decided(Decision::undecided(reason)),
    }
}

/// Why nothing can be chosen.
pub(super) enum NoCandidate {
    Ask(BTreeSet<StatusQuestion>),
    Hold(Reason),
    Undecided(Reason),
}

/// Policies that move together to an environment.
pub(super) struct Unit<'a> {
    pub(super) facts: PromotionFacts<'a>,
    pub(super) promotion: &'a Promotion,
    pub(super) environment: &'a Environment,
    /// What is decided about, and the others.
    policy: PolicyId,
    policies: Vec<PolicyId>,
    /// True if all of them are to have one tag.
    pub(super) is_same_tag: bool,
    /// What is deployed of it.
    deployed: Deployed,
}

impl<'a> Unit<'a> {
    fn of(facts: PromotionFacts<'a>, promotion: &'a Promotion, at: &Use) -> Self {
        let environment = &facts.set.environments[at.environment];
        let together = environment.lockstep_of(&facts.set.policies[at.policy].name);
        let is_in = |index: &&PolicyId| {
            let name = &facts.set.policies[**index].name;
            together.is_some_and(|together| together.images.contains(name))
        };
        let mut policies: Vec<PolicyId> =
            environment.policies.iter().filter(is_in).copied().collect();
        if policies.is_empty() {
            policies.push(at.policy);
        }
        let is_same_tag = together.is_some_and(|together| together.is_same_tag);
        let deployed = at.deployed.clone();
        Self { facts, promotion, environment, policy: at.policy, policies, is_same_tag, deployed }
    }

    /// Weighs the sources: all of them have to agree, or one of them is enough.
    fn choose(&self) -> Result<Weighed<'a>, NoCandidate> {
        let mut all = Vec::new();
        let mut stops = Vec::new();
        for source in &self.promotion.sources {
            match self.weigh(*source) {
                Ok(weighed) => all.push((*source, weighed)),
                Err(NoCandidate::Ask(commits)) => return Err(NoCandidate::Ask(commits)),
                Err(stop) if !self.promotion.any => return Err(stop),
                Err(stop) => stops.push(stop),
            }
        }
        if all.is_empty() {
            let none =
                || NoCandidate::Hold(Reason::new(ReasonCode::NotInSource, "it has no source"));
            return Err(stops.pop().unwrap_or_else(none));
        }
        if self.promotion.any {
            // The highest; where nothing says which one that is, that of the source that is named first.
            let mut best = all.remove(0).1;
            for (_, other) in all {
                if self.is_above(other.good.first(), best.good.first()) {
                    best = other;
                }
            }
            return Ok(best);
        }
        let (_, mut first) = all.remove(0);
        for (source, _) in all {
            first = self.agreed(first, source)?;
        }
        Ok(first)
    }

    /// What another source has nothing against either.
    fn agreed(
        &self,
        weighed: Weighed<'a>,
        source: EnvironmentId,
    ) -> Result<Weighed<'a>, NoCandidate> {
        let timeline = self.timeline(source)?;
        let name = &self.facts.set.environments[source].name;
        let (mut good, mut waiting) = (Vec::new(), weighed.waiting);
        for candidate in weighed.good {
            if self.is_here(&candidate) {
                good.push(candidate);
                continue;
            }
            let there =
                self.combinations(timeline).into_iter().find(|(_, other)| *other == candidate);
            let objection = match there {
                None => {
                    let message = format!("{name} has not held {}", self.describe(&candidate));
                    Some(Rejection::Reason(Reason::new(ReasonCode::NotInSource, message)))
                }
                Some((index, _)) => self.objection(source, timeline, index, &candidate)?,
            };
            match objection {
                None => good.push(candidate),
                Some(Rejection::Ask(commits)) => return Err(NoCandidate::Ask(commits)),
                Some(Rejection::Withdrawn) => {
                    let message = format!("{name} went back from {}", self.describe(&candidate));
                    waiting.push((candidate, Reason::new(ReasonCode::NotInSource, message)));
                }
                Some(Rejection::Reason(reason)) => waiting.push((candidate, reason)),
            }
        }
        Ok(Weighed { good, waiting })
    }

    fn timeline(&self, source: EnvironmentId) -> Result<&'a Timeline, NoCandidate> {
        match self.facts.timelines.get(&source) {
            Some(Ok(timeline)) => Ok(timeline),
            Some(Err(reason)) => Err(NoCandidate::Undecided(reason.clone())),
            None => {
                let message = "nothing is known of its source's history";
                Err(NoCandidate::Undecided(Reason::new(ReasonCode::NoHistory, message)))
            }
        }
    }

    /// Goes from the newest combination that a source held to older ones.
    fn weigh(&self, source: EnvironmentId) -> Result<Weighed<'a>, NoCandidate> {
        let timeline = self.timeline(source)?;
        self.ambiguity(source, timeline)?;
        let combinations = self.combinations(timeline);
        let limit = self.step_limit(&combinations);
        let is_one_enough = self.promotion.any || self.promotion.sources.len() == 1;
        let mut weighed = Weighed { good: Vec::new(), waiting: Vec::new() };
        for (place, (index, combination)) in combinations.iter().enumerate() {
            // What is there has nothing to earn, and what is behind it is of no interest, unless that is all
            // that the source holds now.
            if self.is_here(combination) {
                weighed.good.push(combination.clone());
                break;
            }
            if place > 0 && self.is_below(combination) {
                break;
            }
            let objection = match limit {
                Some(limit) if place < limit => Some(self.too_far(limit - place)),
                _ => self.objection(source, timeline, *index, combination)?,
            };
            match objection {
                None => weighed.good.push(combination.clone()),
                Some(Rejection::Ask(commits)) => return Err(NoCandidate::Ask(commits)),
                Some(Rejection::Withdrawn) => {}
                Some(Rejection::Reason(reason)) => {
                    weighed.waiting.push((combination.clone(), reason));
                }
            }
            if is_one_enough && !weighed.good.is_empty() {
                break;
            }
        }
        Ok(weighed)
    }

    /// What the environment holds of a policy's image now.
    fn now(&self, policy: PolicyId) -> Option<&Deployed> {
        if policy == self.policy {
            return Some(&self.deployed);
        }
        let here = self.facts.set.environments.find(|e| std::ptr::eq(e, self.environment))?;
        let timeline = self.facts.timelines.get(&here)?.as_ref().ok()?;
        match timeline.head()?.held(policy) {
            Held::One(held) => Some(held),
            Held::Nothing | Held::Several(_) => None,
        }
    }

    /// Whether a combination is what the environment holds.
    fn is_here(&self, combination: &Combination<'_>) -> bool {
        let mut all = combination.iter();
        all.all(|(policy, deployed)| {
            self.now(*policy).is_some_and(|now| self.is_current(*policy, deployed, now))
        })
    }

    /// True if a place holds what a source does, with the digest where the policy pins: a tag alone may be moved, unsoaked.
    fn is_current(&self, policy: PolicyId, held: &Deployed, here: &Deployed) -> bool {
        let pins = here.pinned || self.facts.set.policies[policy].digest == DigestMode::Pin;
        let is_known = match (&held.digest, &here.digest) {
            (Some(_), None) => !pins,
            // Of a tag that moves, what is pinned here and what runs there are two things.
            (None, Some(_)) => !here.tag.as_ref().is_none_or(moves),
            _ => true,
        };
        is_same(held, here) && is_known
    }

    /// Whether a combination is behind what the environment holds, in nothing ahead of it.
    fn is_below(&self, combination: &Combination<'_>) -> bool {
        let mut all = combination.iter();
        all.all(|(policy, deployed)| {
            let is_it = |now: &Deployed| {
                is_same(deployed, now) || self.order(*policy, deployed, now) == Some(Ordering::Less)
            };
            self.now(*policy).is_some_and(is_it)
        })
    }

    /// Two versions of one image at once are none that could be promoted.
    fn ambiguity(&self, source: EnvironmentId, timeline: &Timeline) -> Result<(), NoCandidate> {
        let name = &self.facts.set.environments[source].name;
        for policy in &self.policies {
            let image = &self.facts.set.policies[*policy].name;
            let message = match timeline.head().map_or(Held::Nothing, |head| head.held(*policy)) {
                Held::One(_) => continue,
                Held::Nothing => self.nothing(name, image, timeline),
                Held::Several(all) => {
                    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                    format!("{name} holds several versions of {image}: {}", all.join(", "))
                }
            };
            return Err(NoCandidate::Hold(Reason::new(ReasonCode::NotInSource, message)));
        }
        Ok(())
    }

    /// What to say of a source that holds nothing of an image: the same one may be there under another name.
    fn nothing(&self, source: &str, image: &str, timeline: &Timeline) -> String {
        let policies = &self.facts.set.policies;
        let path = |policy: &Policy| policy.repository.base_name().to_owned();
        let wanted = policies.iter().find(|policy| policy.name == *image).map(path);
        let held = timeline.head().into_iter().flat_map(|head| head.held.keys());
        let alike = held.map(|index| &policies[*index]).find(|policy| Some(path(policy)) == wanted);
        match alike {
            None => format!("{source} holds no {image}"),
            Some(other) => format!(
                "{source} holds no {image}, but {}, {}; where that is the same image at another registry, name the \
                 registries of one policy in `mirrors`",
                other.name, other.repository
            ),
        }
    }

    /// The combinations that a source held, each once and with the newest state that holds it.
    fn combinations<'t>(&self, timeline: &'t Timeline) -> Vec<(usize, Combination<'t>)> {
        let mut all: Vec<(usize, Combination<'t>)> = Vec::new();
        for (index, state) in timeline.states.iter().enumerate() {
            let combination = self.policies.iter().map(|policy| match state.held(*policy) {
                Held::One(deployed) => Some((*policy, deployed)),
                Held::Nothing | Held::Several(_) => None,
            });
            let Some(combination) = combination.collect::<Option<Combination<'t>>>() else {
                continue;
            };
            if all.iter().all(|(_, known)| *known != combination) {
                all.push((index, combination));
            }
            if all.len() >= MAX_COMBINATIONS {
                break;
            }
        }
        all
    }

    /// The newest place that a step may reach, counted from the newest combination.
    fn step_limit(&self, combinations: &[(usize, Combination<'_>)]) -> Option<usize> {
        let steps = self.promotion.max_steps?;
        // What stands where the environment is, or behind it; all of them are ahead where none does.
        let at = combinations
            .iter()
            .position(|(_, combination)| self.is_here(combination) || self.is_below(combination));
        let at = at.unwrap_or(combinations.len());
        Some(at.saturating_sub(steps + 1))
    }

    fn too_far(&self, over: usize) -> Rejection {
        let steps = self.promotion.max_steps.unwrap_or_default();
        let message = format!("`maxSteps: {steps}` would be passed by {over}");
        Rejection::Reason(Reason::new(ReasonCode::TooFar, message))
    }

    fn is_above(&self, one: Option<&Combination<'_>>, other: Option<&Combination<'_>>) -> bool {
        match (one, other) {
            (Some(_), None) => true,
            (Some(one), Some(other)) => {
                // The same source for all that move together.
                let first = self.policies[0];
                let (Some(a), Some(b)) = (one.get(&first), other.get(&first)) else { return false };
                self.order(first, a, b) == Some(Ordering::Greater)
            }
            (None, _) => false,
        }
    }

    fn describe(&self, combination: &Combination<'_>) -> String {
        combination.get(&self.policy).map(ToString::to_string).unwrap_or_default()
    }

    /// What the best combination means for one place.
    fn decision(&self, weighed: &Weighed<'_>, at: &Use) -> Decision {
        let policy = &self.facts.set.policies[at.policy];
        let Some(chosen) = weighed.good.first().and_then(|best| best.get(&at.policy)) else {
            let none =
                || Reason::new(ReasonCode::NotInSource, "its source held nothing that could come");
            let newest = weighed.waiting.first();
            let reason = newest.map_or_else(none, |(_, reason)| reason.clone());
            let waiting = newest.and_then(|(combination, _)| combination.get(&at.policy));
            if waiting.is_some_and(|waiting| self.is_current(at.policy, waiting, &at.deployed)) {
                return kept(policy, &at.deployed);
            }
            let to = waiting.and_then(|waiting| waiting.tag.clone());
            return Decision { to, ..held(reason) };
        };
        let decision = self.moved(policy, chosen, at);
        let is_news = |(combination, _): &&(Combination<'_>, Reason)| {
            let waiting = combination.get(&at.policy);
            let is_new = |held: &Deployed| !self.is_current(at.policy, held, &at.deployed);
            waiting.is_some_and(|waiting| is_new(waiting) && waiting != chosen)
        };
        // What is there already says what it waits for, unless something else of what is chosen moves now.
        let is_all_here = weighed.good.first().is_some_and(|best| self.is_here(best));
        match weighed.waiting.iter().find(is_news) {
            Some((combination, reason)) if decision.outcome == Outcome::Keep && is_all_here => {
                let to = combination.get(&at.policy).and_then(|waiting| waiting.tag.clone());
                Decision { to, ..held(reason.clone()) }
            }
            _ => decision,
        }
    }

    fn moved(&self, policy: &Policy, chosen: &Deployed, at: &Use) -> Decision {
        let Some(tag) = &chosen.tag else {
            let message = "its source holds a digest without a tag";
            return held(Reason::new(ReasonCode::DigestOnly, message));
        };
        if self.is_current(at.policy, chosen, &at.deployed) {
            return kept(policy, &at.deployed);
        }
        let wait = |reason| Decision { to: Some(tag.clone()), ..held(reason) };
        if let Some(reason) = at.deployed.without_place(policy.digest) {
            return wait(reason);
        }
        if let Some(why) = policy.rule.objection(at.deployed.tag.as_ref(), tag) {
            let message = format!("{tag} {why}, so it earns nothing");
            return wait(Reason::new(ReasonCode::Unordered, message));
        }
        let is_less = self.order(at.policy, chosen, &at.deployed) == Some(Ordering::Less);
        if (is_less || self.is_behind(chosen, at)) && !policy.allow.downgrade {
            let message =
                format!("{tag} is what its source holds, and it is behind {}", at.deployed);
            return wait(Reason::new(ReasonCode::Downgrade, message));
        }
        let (here, there) = (&at.deployed.digest, &chosen.digest);
        let is_same_tag = at.deployed.tag.as_ref() == Some(tag);
        if let (true, Some(here), Some(there)) = (is_same_tag, here, there)
            && let Some(alarm) = alarm(policy, tag, here, there)
        {
            return wait(alarm);
        }
        if at.deployed.takes_digest(policy.digest) && there.is_none() {
            let message =
                format!("its source holds {tag} without a digest, and one is written here");
            return wait(Reason::new(ReasonCode::NoDigest, message));
        }
        let sources = self.promotion.sources.iter();
        let names: Vec<&str> =
            sources.map(|source| self.facts.set.environments[*source].name.as_str()).collect();
        let names = names.join(if self.promotion.any { " or " } else { " and " });
        let reason = Reason::new(ReasonCode::Promoted, format!("{tag} has earned it in {names}"));
        let decision = Decision {
            outcome: Outcome::Update,
            to: Some(tag.clone()),
            to_digest: chosen.digest.clone(),
            ..held(reason)
        };
        let Some(hold) = self.environment.hold_on(&policy.name, self.facts.now) else {
            return decision;
        };
        let message = format!("held until {}: {}", hold.until, hold.reason);
        Decision {
            outcome: Outcome::Hold,
            reason: Reason::new(ReasonCode::Held, message),
            ..decision
        }
    }

    /// Where no order says it: whether a source held what is deployed after what is chosen.
    fn is_behind(&self, chosen: &Deployed, at: &Use) -> bool {
        if self.order(at.policy, chosen, &at.deployed).is_some_and(Ordering::is_ne) {
            return false;
        }
        let newest = |timeline: &Timeline, what: &Deployed| {
            timeline.states.iter().position(|state| match state.held(at.policy) {
                Held::One(held) => is_same(held, what),
                Held::Nothing | Held::Several(_) => false,
            })
        };
        self.promotion.sources.iter().any(|source| {
            let timeline = self.facts.timelines.get(source).and_then(|known| known.as_ref().ok());
            let places = timeline
                .and_then(|timeline| newest(timeline, &at.deployed).zip(newest(timeline, chosen)));
            places.is_some_and(|(deployed, chosen)| deployed < chosen)
        })
    }
}

fn kept(policy: &Policy, deployed: &Deployed) -> Decision {
    let message = format!("{} is what its source holds of {}", deployed, policy.name);
    let (to, to_digest) = (deployed.tag.clone(), deployed.digest.clone());
    let reason = Reason::new(ReasonCode::UpToDate, message);
    Decision { outcome: Outcome::Keep, to, to_digest, ..held(reason) }
}

fn held(reason: Reason) -> Decision {
    Decision { outcome: Outcome::Hold, ..Decision::undecided(reason) }
}
