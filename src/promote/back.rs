//! The way back: which earlier versions an environment returns to.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Held, State, Timeline};
use crate::changeset::{Decided, Use};
use crate::choose::{Decision, Deployed, Outcome, Reason, ReasonCode};
use crate::image::Tag;
use crate::ledger::Ledger;
use crate::policy::PolicySet;

/// A rollback of an environment.
pub struct Back<'a> {
    /// The policies.
    pub set: &'a PolicySet,
    /// The history of the environment.
    pub timeline: &'a Timeline,
    /// The ledger, for the versions that people rejected.
    pub ledger: &'a Ledger,
    /// The images that are named; all without any.
    pub images: &'a [String],
    /// The tag that is named; the last other version without one.
    pub to: Option<&'a Tag>,
}

impl Back<'_> {
    /// Decides for the uses of the environment. Policies in lockstep go back together, to versions that ran at one time.
    #[must_use]
    pub fn decide(&self, uses: &[Use]) -> Vec<Decided> {
        let mut groups: BTreeMap<(&str, usize), Vec<&Use>> = BTreeMap::new();
        for (index, at) in uses.iter().enumerate() {
            // By itself, each use goes back to what its image was.
            let key = self.set.together(at.environment, at.policy).map(|(_, first)| (first, 0));
            groups.entry(key.unwrap_or(("", index))).or_default().push(at);
        }
        groups.values().flat_map(|group| self.group(group)).collect()
    }

    /// True if a use is one of those that are named.
    #[must_use]
    pub fn is_named(&self, at: &Use) -> bool {
        self.images.is_empty() || self.images.contains(&self.set.policies[at.policy].name)
    }

    fn group(&self, group: &[&Use]) -> Vec<Decided> {
        if !group.iter().any(|at| self.is_named(at)) {
            return Vec::new();
        }
        let Some(state) = self.timeline.states.iter().find(|state| self.fits(group, state)) else {
            return Vec::new();
        };
        let back = group.iter().filter_map(|at| {
            let Held::One(held) = state.held(at.policy) else { return None };
            let is_other = held.tag != at.deployed.tag || held.digest != at.deployed.digest;
            is_other
                .then(|| Decided { at: (*at).clone(), decision: self.decision(at, held, state) })
        });
        back.collect()
    }

    /// True if the whole group can return to a state: one that is named goes back in it, and none goes forwards.
    fn fits(&self, group: &[&Use], state: &State) -> bool {
        let held = |at: &Use| match state.held(at.policy) {
            Held::One(held) => Some(held),
            Held::Nothing | Held::Several(_) => None,
        };
        let goes_back =
            |at: &&Use| held(at).is_some_and(|held| self.is_named(at) && self.is_target(at, held));
        let may = |at: &&Use| {
            held(at).is_some_and(|held| {
                let is_same = held.tag == at.deployed.tag && held.digest == at.deployed.digest;
                goes_back(at) || is_same || group.len() > 1 && !self.is_above(at, held)
            })
        };
        group.iter().any(goes_back) && group.iter().all(may)
    }

    /// True if a use goes back to a version: the one that is named, or any other that nobody rejected.
    fn is_target(&self, at: &Use, held: &Deployed) -> bool {
        let now = &at.deployed;
        // Forwards is not back: the present version would count as rejected.
        if self.is_above(at, held) {
            return false;
        }
        match self.to {
            Some(to) => held.tag.as_ref() == Some(to) && now.tag.as_ref() != Some(to),
            None => {
                (held.tag != now.tag || held.digest != now.digest) && !self.is_rejected(at, held)
            }
        }
    }

    fn is_above(&self, at: &Use, held: &Deployed) -> bool {
        let ranker = self.set.policies[at.policy].rule.ranker(None);
        let rank = |held: &Deployed| ranker.rank_deployed(held.tag.as_ref()?, None);
        let ranks = rank(held).zip(rank(&at.deployed));
        ranks.is_some_and(|(held, now)| held.compare(&now) == Ordering::Greater)
    }

    fn is_rejected(&self, at: &Use, held: &Deployed) -> bool {
        let environment = &self.set.environments[at.environment].name;
        let policy = &self.set.policies[at.policy].name;
        let tag = held.tag.as_ref().map(ToString::to_string).unwrap_or_default();
        let is = |what: &str| self.ledger.refusal(environment, policy, what).is_some();
        is(&tag) || is(&held.to_string())
    }

    fn decision(&self, at: &Use, held: &Deployed, state: &State) -> Decision {
        let (image, now) = (&self.set.policies[at.policy].name, &at.deployed);
        let message = format!("back from {now}: {image} was {held} from {} on", state.since);
        Decision {
            outcome: Outcome::Update,
            to: held.tag.clone(),
            to_digest: held.digest.clone(),
            reason: Reason::new(ReasonCode::RolledBack, message),
            passed_over: Vec::new(),
            alike: None,
        }
    }
}
