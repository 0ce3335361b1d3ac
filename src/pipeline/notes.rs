//! What people should know about decisions, beside the decisions themselves.

use jiff::Timestamp;

use crate::changeset::{Plan, Planned};
use crate::choose::{Outcome, ReasonCode};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::image::Shape;
use crate::policy::{Policy, PolicySet};

/// Alarms, changed variants, and holds that have ended.
pub(super) fn of(plan: &Plan, set: &PolicySet, now: Timestamp) -> Vec<Diagnostic> {
    let mut notes = Vec::new();
    for planned in &plan.decisions {
        let policy = set.policies.iter().find(|policy| policy.name == planned.image);
        notes.extend(alarm(planned));
        notes.extend(policy.and_then(|policy| changed_variant(planned, policy)));
    }
    for environment in &set.environments {
        let ended = environment.holds.iter().filter(|hold| hold.until <= now);
        notes.extend(ended.map(|hold| {
            let message = format!("this hold ended at {}: {}", hold.until, hold.reason);
            let note = Diagnostic::info(Code::PolicyHoldEnded, message);
            note.at(hold.place.clone()).help("delete it")
        }));
    }
    notes
}

fn alarm(planned: &Planned) -> Option<Diagnostic> {
    let decision = &planned.decision;
    let reasons = decision.passed_over.iter().map(|(_, reason)| reason).chain([&decision.reason]);
    let moved = reasons.into_iter().find(|reason| reason.code == ReasonCode::TagMoved)?;
    let message = format!("{}: {}", planned.repository, moved.message);
    Some(at_site(Diagnostic::warning(Code::TagMoved, message), planned))
}

/// Where any variant will do, a change of it may not be what was meant.
fn changed_variant(planned: &Planned, policy: &Policy) -> Option<Diagnostic> {
    let decision = &planned.decision;
    if decision.outcome != Outcome::Update || !policy.rule.is_by_version() || policy.marked_only() {
        return None;
    }
    let (from, to) = (planned.deployed.tag.as_ref()?, decision.to.as_ref()?);
    let shapes = Shape::parse(from.as_str()).zip(Shape::parse(to.as_str()));
    if shapes.is_none_or(|(from, to)| from.is_like(&to)) {
        return None;
    }
    let message = format!("{} goes from {from} to {to}, which is another variant", planned.image);
    let note = Diagnostic::warning(Code::TagVariant, message)
        .help("`variant: keep` keeps prefix, number of parts and suffix");
    Some(at_site(note, planned))
}

fn at_site(note: Diagnostic, planned: &Planned) -> Diagnostic {
    match planned.sites.first() {
        Some((path, line)) => {
            note.at(Place { path: path.clone(), line: *line, column: 1, span: 0..0 })
        }
        None => note,
    }
}
