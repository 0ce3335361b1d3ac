//! What moves together or not at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::changeset::{Decided, Left};
use crate::choose::{Outcome, Reason, ReasonCode};
use crate::image::Tag;
use crate::policy::{EnvironmentId, PolicySet};

/// Holds what would move while something that moves together with it cannot.
pub fn hold_together(set: &PolicySet, left: &Left, decided: &mut [Decided]) {
    let name = |one: &Decided| set.policies[one.at.policy].name.as_str();
    let together = |one: &Decided| set.together(one.at.environment, one.at.policy);
    let mut stopped: BTreeMap<(EnvironmentId, &str), String> = BTreeMap::new();
    for one in decided.iter() {
        let is_stopped = matches!(one.decision.outcome, Outcome::Hold | Outcome::Undecided);
        let Some(together) = together(one).filter(|_| is_stopped) else { continue };
        let why = format!("{}: {}", name(one), one.decision.reason.message);
        stopped.entry(together).or_insert(why);
    }
    // A place that is left alone stays where it is.
    for ((environment, policy), place) in left {
        if let Some(together) = set.together(*environment, *policy) {
            let name = &set.policies[*policy].name;
            stopped.entry(together).or_insert_with(|| format!("{name} is left alone at {place}"));
        }
    }
    for (together, why) in left_behind(set, decided) {
        stopped.entry(together).or_insert(why);
    }
    let carried = decided.iter().filter(|one| one.decision.reason.code == ReasonCode::Carried);
    let carried: BTreeSet<(EnvironmentId, &str)> = carried.filter_map(together).collect();
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

/// Sets of which one image would move while another one stays, or of which two would end at different tags: by the
/// set, and why. What comes from another environment comes as it was held there.
fn left_behind<'s>(
    set: &'s PolicySet,
    decided: &[Decided],
) -> BTreeMap<(EnvironmentId, &'s str), String> {
    let mut sets: BTreeMap<(EnvironmentId, &str), Vec<&Decided>> = BTreeMap::new();
    for one in decided {
        if let Some(together) = set.together(one.at.environment, one.at.policy) {
            sets.entry(together).or_default().push(one);
        }
    }
    let problems = sets.into_iter().filter_map(|(together, all)| {
        let environment = &set.environments[together.0];
        let lockstep = environment.lockstep_of(together.1)?;
        let is_promoted = environment.stage.promotion.is_some();
        let moving = all.iter().filter(|one| one.decision.outcome == Outcome::Update);
        let mut pairs = moving.flat_map(|one| all.iter().map(move |other| (*one, *other)));
        let is_wrong = |one: &Decided, other: &Decided| {
            let is_alike = end(one) == end(other);
            let stays = other.decision.outcome == Outcome::Keep && !is_promoted;
            let is_apart = lockstep.is_same_tag && other.decision.outcome == Outcome::Update;
            one.at.policy != other.at.policy && !is_alike && (stays || is_apart)
        };
        let (one, other) = pairs.find(|(one, other)| is_wrong(one, other))?;
        let name = |one: &Decided| set.policies[one.at.policy].name.clone();
        let tag = |one: &Decided| end(one).map(ToString::to_string).unwrap_or_default();
        let verb = if other.decision.outcome == Outcome::Keep { "stays at" } else { "would go to" };
        let (one, to) = (name(one), tag(one));
        Some((
            together,
            format!("{one} would go to {to}, and {} {verb} {}", name(other), tag(other)),
        ))
    });
    problems.collect()
}

/// The tag that a place ends at.
fn end(one: &Decided) -> Option<&Tag> {
    match one.decision.outcome {
        Outcome::Update => one.decision.to.as_ref(),
        _ => one.at.deployed.tag.as_ref(),
    }
}
