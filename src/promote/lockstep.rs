//! What moves together or not at all.

use std::collections::BTreeMap;

use crate::changeset::Decided;
use crate::choose::{Outcome, Reason, ReasonCode};
use crate::policy::PolicySet;

/// Holds what would move while something that moves together with it cannot.
pub fn hold_together(set: &PolicySet, decided: &mut [Decided]) {
    let name = |one: &Decided| set.policies[one.at.policy].name.as_str();
    let mut stopped: BTreeMap<(usize, &str), String> = BTreeMap::new();
    for one in decided.iter() {
        let environment = &set.environments[one.at.environment];
        let is_stopped = matches!(one.decision.outcome, Outcome::Hold | Outcome::Undecided);
        let Some(together) = environment.lockstep_of(name(one)).filter(|_| is_stopped) else {
            continue;
        };
        let first = together.first().map(String::as_str).unwrap_or_default();
        let why = format!("{}: {}", name(one), one.decision.reason.message);
        stopped.entry((one.at.environment, first)).or_insert(why);
    }
    let carried: Vec<(usize, usize)> = decided
        .iter()
        .filter(|one| one.decision.reason.code == ReasonCode::Carried)
        .map(|one| (one.at.environment, one.at.policy))
        .collect();
    let is_beside = |one: &Decided| {
        let environment = &set.environments[one.at.environment];
        let together = environment.lockstep_of(&set.policies[one.at.policy].name);
        carried.iter().any(|(at, policy)| {
            *at == one.at.environment
                && together.is_some_and(|set_of| set_of.contains(&set.policies[*policy].name))
        })
    };
    for one in decided.iter_mut().filter(|one| one.decision.outcome == Outcome::Update) {
        // Something else that was proposed together goes on as it was.
        if one.decision.reason.code != ReasonCode::Carried && is_beside(one) {
            let message = "it moves together with what this run does not decide";
            one.decision.outcome = Outcome::Hold;
            one.decision.reason = Reason::new(ReasonCode::Lockstep, message);
            continue;
        }
        let environment = &set.environments[one.at.environment];
        let together = environment.lockstep_of(&set.policies[one.at.policy].name);
        let first = together.and_then(|together| together.first());
        let why = first.and_then(|first| stopped.get(&(one.at.environment, first.as_str())));
        if let Some(why) = why {
            let message = format!("it moves together with what cannot move now: {why}");
            one.decision.outcome = Outcome::Hold;
            one.decision.reason = Reason::new(ReasonCode::Lockstep, message);
        }
    }
}
