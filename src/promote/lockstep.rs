//! What moves together or not at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::changeset::Decided;
use crate::choose::{Outcome, Reason, ReasonCode};
use crate::policy::PolicySet;

/// Holds what would move while something that moves together with it cannot.
pub fn hold_together(set: &PolicySet, decided: &mut [Decided]) {
    let name = |one: &Decided| set.policies[one.at.policy].name.as_str();
    let together = |one: &Decided| set.together(one.at.environment, one.at.policy);
    let mut stopped: BTreeMap<(usize, &str), String> = BTreeMap::new();
    for one in decided.iter() {
        let is_stopped = matches!(one.decision.outcome, Outcome::Hold | Outcome::Undecided);
        let Some(together) = together(one).filter(|_| is_stopped) else { continue };
        let why = format!("{}: {}", name(one), one.decision.reason.message);
        stopped.entry(together).or_insert(why);
    }
    let carried = decided.iter().filter(|one| one.decision.reason.code == ReasonCode::Carried);
    let carried: BTreeSet<(usize, &str)> = carried.filter_map(together).collect();
    let is_beside = |one: &Decided| together(one).is_some_and(|of| carried.contains(&of));
    for one in decided.iter_mut().filter(|one| one.decision.outcome == Outcome::Update) {
        // Something else that was proposed together goes on as it was.
        if one.decision.reason.code != ReasonCode::Carried && is_beside(one) {
            let message = "it moves together with what this run does not decide";
            one.decision.outcome = Outcome::Hold;
            one.decision.reason = Reason::new(ReasonCode::Lockstep, message);
            continue;
        }
        if let Some(why) = together(one).and_then(|of| stopped.get(&of)) {
            let message = format!("it moves together with what cannot move now: {why}");
            one.decision.outcome = Outcome::Hold;
            one.decision.reason = Reason::new(ReasonCode::Lockstep, message);
        }
    }
}
