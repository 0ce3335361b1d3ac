//! What people should know about decisions, beside the decisions themselves.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use crate::changeset::{Plan, Planned};
use crate::choose::{Outcome, ReasonCode};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::image::Shape;
use crate::manifest::Surveyed;
use crate::policy::{Environment, EnvironmentId, Level, Order, Policy, PolicyId, PolicySet, Span};
use crate::settings::Pushed;

/// Alarms, changed variants, and holds that have ended.
pub(super) fn of(plan: &Plan, set: &PolicySet, now: Timestamp) -> Vec<Diagnostic> {
    let mut notes = Vec::new();
    for planned in &plan.decisions {
        let policy = set.policies.iter().find(|policy| policy.name == planned.image);
        notes.extend(alarm(planned));
        notes.extend(overdue(planned));
        notes.extend(policy.and_then(|policy| changed_variant(planned, policy)));
        let never = policy.and_then(|policy| never_moves(planned, policy));
        notes.extend(never.or_else(|| is_alone(planned)));
    }
    for environment in set.environments.iter().filter(|e| e.home == set.here) {
        let ended = environment.holds.iter().filter(|hold| hold.until <= now);
        notes.extend(ended.map(|hold| {
            let message = format!("this hold ended at {}: {}", hold.until, hold.reason);
            let note = Diagnostic::info(Code::PolicyHoldEnded, message);
            note.at(hold.place.clone()).help("delete it")
        }));
    }
    notes
}

/// Environments with changes that would not be delivered now, and why.
pub(super) fn waits(plan: &Plan, set: &PolicySet, now: Timestamp) -> Vec<Diagnostic> {
    let is_changed = |name: &str| {
        let mut all = plan.decisions.iter().filter(|planned| planned.environment == name);
        all.any(|planned| planned.decision.outcome == Outcome::Update)
    };
    let waiting = set.environments.iter().filter(|environment| is_changed(&environment.name));
    let told = waiting.filter_map(|Environment { name, deliver, place, .. }| {
        let message = format!("changes of `{name}` wait: {}", deliver.timing.waits(now)?);
        let note = Diagnostic::info(Code::EnvironmentWaits, message);
        Some(if *place == Place::default() { note } else { note.at(place.clone()) })
    });
    told.collect()
}

/// What waits for a gate for longer than is usual.
fn overdue(planned: &Planned) -> Option<Diagnostic> {
    let reason = &planned.decision.reason;
    let is_overdue = reason.code == ReasonCode::GateOverdue;
    let message = format!("{} in {}: {}", planned.image, planned.environment, reason.message);
    let note = Diagnostic::warning(Code::PromotionOverdue, message);
    let help = "look at the cluster, or at what should post the status";
    is_overdue.then(|| note.help(help))
}

/// An image that was pushed and that nobody waits for, which is a misspelt name or none of ours.
pub(super) fn unused_push(pushed: &Pushed, is_unused: bool) -> Option<Diagnostic> {
    let message = format!(
        "nothing deploys {} by a policy, so there is nothing to do for {}",
        pushed.repository, pushed.tag
    );
    let note = Diagnostic::warning(Code::PolicyUnused, message);
    is_unused.then(|| note.help("compare `--image-ref` with the `image` of the policies"))
}

/// Policies whose image nothing names, not even in a way that is left alone, and environments in
/// which nothing is found: a typo in a name would otherwise be silence. Of a narrower run nobody expects
/// that.
pub(super) fn unused(
    set: &PolicySet,
    files: &[Surveyed],
    found: &[Diagnostic],
    is_whole: bool,
) -> Vec<Diagnostic> {
    if !is_whole {
        return Vec::new();
    }
    let used: BTreeSet<PolicyId> =
        files.iter().flat_map(|f| f.sites.iter().map(|(_, policy)| *policy)).collect();
    let mentioned =
        |policy: &Policy| found.iter().any(|d| d.message.contains(&format!("`{}`", policy.name)));
    let policies = set.policies.with_ids();
    let is_used = |index: &PolicyId| used.contains(index) || !set.is_for_here(*index);
    let idle = policies.filter(|(index, policy)| !is_used(index) && !mentioned(policy));
    let idle = idle.map(|(_, policy)| {
        let (name, repository) = (&policy.name, &policy.repository);
        let message = format!("no place was found that names the image of `{name}`, {repository}");
        Diagnostic::warning(Code::PolicyUnused, message).at(policy.place.clone())
    });
    let inhabited: BTreeSet<EnvironmentId> = files.iter().map(|file| file.environment).collect();
    let environments = set.environments.with_ids();
    let empty = environments.filter(|(index, environment)| {
        let within = |d: &Diagnostic| {
            d.place.as_ref().is_some_and(|place| environment.paths.contains(&place.path))
        };
        // The one that nobody declared is empty when everything is.
        environment.place != Place::default()
            && set.is_here(*index)
            && !inhabited.contains(index)
            && !found.iter().any(within)
    });
    let empty = empty.map(|(_, environment)| {
        let name = &environment.name;
        let message = format!("nothing in environment `{name}` names an image of its policies");
        Diagnostic::warning(Code::PolicyIdleEnvironment, message).at(environment.place.clone())
    });
    idle.chain(empty).collect()
}

/// Each place says what is idle there; it is worth a word when it is idle in all of them. What each of them says
/// is said once.
pub(super) fn settle_idle(told: &mut Vec<Diagnostic>, set: &PolicySet, places: usize) {
    let of = |d: &Diagnostic| {
        let is_idle = matches!(d.code, Code::PolicyUnused | Code::PolicyTarget);
        let place = d.place.as_ref().filter(|_| is_idle)?;
        let is_it = |p: &Policy| p.place == *place || p.targets.iter().any(|t| t.place == *place);
        set.policies.find(is_it)
    };
    let all = std::mem::take(told);
    let mut times = HashMap::<&Diagnostic, usize>::new();
    for one in &all {
        *times.entry(one).or_default() += 1;
    }
    let mut said = HashSet::new();
    for one in &all {
        let is_of_all = one.code == Code::PolicyUnused && one.place.is_none();
        let usual = if is_of_all { places } else { 1 };
        let homes = of(one).map_or(usual, |policy| set.homes_of(policy).len());
        if times[one] >= homes && (one.place.is_none() || said.insert(one)) {
            told.push(one.clone());
        }
    }
}

/// An age that nobody remembers the beginning of is never reached.
pub(super) fn unkept(plan: &Plan) -> Option<Diagnostic> {
    let is_young = |planned: &&Planned| planned.decision.reason.code == ReasonCode::TooYoung;
    let young = plan.decisions.iter().find(is_young)?;
    let message = format!(
        "an age is asked for by `{}`, and nothing here keeps when its tags were first seen",
        young.image
    );
    let help = "name a file with --ledger, or run on the repository itself, which keeps it";
    Some(Diagnostic::warning(Code::LedgerNotKept, message).help(help))
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
    let is_said = policy.is_of_flux() || policy.rule.matches_ends();
    if decision.outcome != Outcome::Update || !policy.rule.is_by_version() || is_said {
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

/// A deployed tag whose variant no other tag has, beside a later version that is written alike.
fn is_alone(planned: &Planned) -> Option<Diagnostic> {
    let (tag, alike) = (planned.deployed.tag.as_ref()?, planned.decision.alike.as_ref()?);
    let message = format!(
        "`{}` can choose nothing but {tag}: no other tag has its variant, and {alike} is a later version that is written alike",
        planned.image
    );
    let help = "say by `match` and `extract` what of the tag is ordered";
    Some(at_site(Diagnostic::warning(Code::PolicyNeverMoves, message).help(help), planned))
}

/// A policy that can choose nothing but what is deployed: nobody learns otherwise that nothing is watched.
fn never_moves(planned: &Planned, policy: &Policy) -> Option<Diagnostic> {
    let Order::Semver(Span::Level(level)) = policy.rule.order() else { return None };
    let tag = planned.deployed.tag.as_ref()?;
    let subject = policy.rule.filter(tag).ok()?;
    let shape = Shape::parse(&subject).filter(|_| policy.rule.keeps_variant())?;
    let kept = match level {
        Level::Patch => 2,
        Level::Minor => 1,
        Level::Major => 0,
    };
    if shape.precision > kept || shape.counts() || !shape.version.pre.is_empty() {
        return None;
    }
    let message = format!(
        "`{}` can choose nothing but {tag}: `{}` keeps the first {kept} of its numbers, and it has {}",
        planned.image,
        Span::Level(*level),
        shape.precision
    );
    let help =
        "`semver: major` follows it; `fixed` with `digest: pin` follows what is behind the tag";
    Some(at_site(Diagnostic::warning(Code::PolicyNeverMoves, message).help(help), planned))
}

fn at_site(note: Diagnostic, planned: &Planned) -> Diagnostic {
    match planned.sites.first() {
        Some((path, line)) => {
            note.at(Place { path: path.clone(), line: *line, column: 1, span: 0..0 })
        }
        None => note,
    }
}
