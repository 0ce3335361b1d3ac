//! Whether a version has earned it: nobody said no to it, its source held it for long enough, and its gates
//! are open.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::decide::{Checked, Combination, NoCandidate, Rejection, StatusQuestion, Unit};
use super::timeline::{End, Held, Timeline};
use crate::choose::{Deployed, Reason, ReasonCode};
use crate::image::Tag;
use crate::ledger::AHEAD;
use crate::policy::{EnvironmentId, Gate, Key, PolicyId};

/// Gates are looked for on this many commits of a stretch, the newest ones.
const MAX_COMMITS: usize = 200;

/// So many of them are asked about at once.
const AT_ONCE: usize = 25;

impl Unit<'_> {
    /// What speaks against a combination that a source held.
    pub(super) fn objection(
        &self,
        source: EnvironmentId,
        timeline: &Timeline,
        index: usize,
        combination: &Combination<'_>,
    ) -> Result<Option<Rejection>, NoCandidate> {
        let tags: BTreeSet<_> = combination.values().map(|deployed| &deployed.tag).collect();
        if self.is_same_tag && tags.len() > 1 {
            let tags: Vec<String> = combination.values().map(ToString::to_string).collect();
            let message =
                format!("its source held different tags of what has one: {}", tags.join(", "));
            return Ok(Some(Rejection::Reason(Reason::new(ReasonCode::Lockstep, message))));
        }
        for (policy, deployed) in combination {
            if self.is_taken_back(timeline, index, *policy, deployed) {
                return Ok(Some(Rejection::Withdrawn));
            }
        }
        for (policy, deployed) in combination {
            if let Some(reason) = self.refusal(*policy, deployed) {
                return Ok(Some(Rejection::Reason(reason)));
            }
        }
        for (policy, deployed) in combination {
            if let Some(reason) = self.soaking(source, timeline, index, *policy, deployed)? {
                return Ok(Some(Rejection::Reason(reason)));
            }
        }
        let mut unknown = BTreeSet::new();
        for policy in combination.keys() {
            let stretch = timeline.stretch(index, *policy);
            let ready = stretch.since.checked_add(self.promotion.soak).unwrap_or(self.facts.now);
            for gate in &self.promotion.require {
                match self.gate(source, gate, &stretch.commits, ready) {
                    None => {}
                    Some(Rejection::Ask(commits)) => unknown.extend(commits),
                    Some(objection) => return Ok(Some(objection)),
                }
            }
        }
        Ok((!unknown.is_empty()).then_some(Rejection::Ask(unknown)))
    }

    /// Whether the source held something below it later on; where no order says it, something that it had
    /// held before.
    fn is_taken_back(
        &self,
        timeline: &Timeline,
        index: usize,
        policy: PolicyId,
        deployed: &Deployed,
    ) -> bool {
        let was_before = |held| {
            timeline.states[index..].iter().any(|state| state.held(policy) == Held::One(held))
        };
        timeline.states[..index].iter().any(|state| {
            let Held::One(later) = state.held(policy) else { return false };
            match self.order(policy, deployed, later) {
                Some(Ordering::Greater) => true,
                Some(Ordering::Less) => false,
                Some(Ordering::Equal) | None => deployed != later && was_before(later),
            }
        })
    }

    /// What people say no to here.
    fn refusal(&self, policy: PolicyId, deployed: &Deployed) -> Option<Reason> {
        let name = &self.facts.set.policies[policy].name;
        let tag = deployed.tag.as_ref()?;
        if let Some(skip) = self.environment.skip_of(name, tag.as_str()) {
            let message = format!("{tag} is passed over here: {}", skip.reason);
            return Some(Reason::new(ReasonCode::Skipped, message));
        }
        let is_below = |what: &str| {
            let tag = Tag::parse(what.split('@').next().unwrap_or_default());
            let refused = Deployed { tag, ..Deployed::default() };
            self.order(policy, deployed, &refused) == Some(Ordering::Less)
        };
        let mut refusals = self.facts.ledger.refusals(&self.environment.name, name);
        // Of a digest that was refused, the tag says nothing; one that was taken back was there.
        let counts = |what: &str, is_reverted: bool| is_reverted || !what.contains('@');
        let above =
            refusals.find(|(what, refusal)| counts(what, refusal.reverted) && is_below(what));
        if let Some((above, refusal)) = above {
            let message =
                format!("{tag} is below {above}, which is not wanted here: {}", refusal.why);
            return Some(Reason::new(ReasonCode::Refused, message));
        }
        let refused = [tag.to_string(), deployed.to_string()];
        let mut refusals = refused
            .iter()
            .filter_map(|what| self.facts.ledger.refusal(&self.environment.name, name, what));
        refusals.next().map(|refusal| {
            let message = format!("{tag} is not wanted here: {}", refusal.why);
            Reason::new(ReasonCode::Refused, message)
        })
    }

    /// Whether a source held a version for long enough.
    fn soaking(
        &self,
        source: EnvironmentId,
        timeline: &Timeline,
        index: usize,
        policy: PolicyId,
        deployed: &Deployed,
    ) -> Result<Option<Reason>, NoCandidate> {
        let (now, soak) = (self.facts.now, self.promotion.soak);
        let name = &self.facts.set.environments[source].name;
        let stretch = timeline.stretch(index, policy);
        if stretch.since.duration_since(now) > AHEAD {
            let message =
                format!("{name}'s last commit is of {}, which is yet to come", stretch.since);
            return Err(NoCandidate::Hold(Reason::new(ReasonCode::ClockSkew, message)));
        }
        // Whose clock dated the commit is not known; when the version was first seen is.
        let image = &self.facts.set.policies[policy].name;
        let seen = self.facts.ledger.first_held(name, image, &deployed.to_string(), now);
        let since = seen.map_or(stretch.since, |seen| seen.max(stretch.since));
        // One that was replaced by what is yet to come was held until now.
        let until = stretch.until.map_or(now, |until| until.min(now));
        let length_of_soak = until.duration_since(since);
        if soak.is_zero() || length_of_soak >= soak {
            return Ok(None);
        }
        let what = deployed.tag.as_ref().map_or_else(|| deployed.to_string(), ToString::to_string);
        let message = match stretch.until {
            None if stretch.is_open && timeline.end == End::Shallow => {
                format!(
                    "{name} has held {what} since {since} at the latest; no more of its history is here"
                )
            }
            None => {
                let until = since.checked_add(soak).unwrap_or(Timestamp::MAX);
                format!("{what} soaks in {name} until {until}")
            }
            Some(until) => format!(
                "{name} held {what} from {} to {until}, which is less than {}",
                since,
                length(soak)
            ),
        };
        Ok(Some(Reason::new(ReasonCode::Soaking, message)))
    }

    /// Whether a gate opened while a version was held: the newest commit with a verdict counts, and
    /// one whose checks still run, or were all skipped, is passed over.
    fn gate(
        &self,
        source: EnvironmentId,
        gate: &Gate,
        commits: &[&str],
        ready: Timestamp,
    ) -> Option<Rejection> {
        let name = &self.facts.set.environments[source].name;
        let mut pending = None;
        // In a repository that changes often, what was said can be a while ago.
        let newest = &commits[..commits.len().min(MAX_COMMITS)];
        for chunk in newest.chunks(AT_ONCE) {
            let known = |commit: &str| self.facts.checks.get(&(source, commit.to_owned()));
            let unknown = chunk.iter().filter(|commit| known(commit).is_none());
            let unknown: BTreeSet<StatusQuestion> =
                unknown.map(|commit| (source, (*commit).to_owned())).collect();
            if !unknown.is_empty() {
                return Some(Rejection::Ask(unknown));
            }
            for commit in chunk {
                let all = known(commit).into_iter().flatten();
                let named: Vec<&Checked> =
                    all.filter(|check| gate.is_match(&check.name, check.by.as_deref())).collect();
                let at = commit.get(..7).unwrap_or(commit);
                if let Some(failed) = named.iter().find(|check| check.passed == Some(false)) {
                    let message = format!("`{}` did not pass on {at} of {name}", failed.name);
                    return Some(Rejection::Reason(self.nagging(message, ready)));
                }
                if let Some(waits) = named.iter().find(|check| check.passed.is_none()) {
                    let waits = format!("`{}` is not done on {at} of {name}", waits.name);
                    pending = pending.or(Some(waits));
                } else if named.iter().any(|check| check.counts) {
                    return None;
                }
            }
        }
        let missing = || {
            let at = commits.first().and_then(|commit| commit.get(..7)).unwrap_or_default();
            let by =
                gate.required.app.as_ref().map(|app| format!(" of `{app}`")).unwrap_or_default();
            let wanted = &gate.required.name;
            format!("nothing named `{wanted}`{by} has reported on {at} of {name}, or before")
        };
        Some(Rejection::Reason(self.nagging(pending.unwrap_or_else(missing), ready)))
    }

    fn nagging(&self, message: String, ready: Timestamp) -> Reason {
        let late = self.facts.now.duration_since(ready);
        if late < self.promotion.nag_after {
            return Reason::new(ReasonCode::Gate, message);
        }
        // Said in a way that stays the same from run to run.
        Reason::new(
            ReasonCode::GateOverdue,
            format!("{message}; nothing else is missing since {ready}"),
        )
    }

    /// How two versions of an image are ordered, where anything says that.
    pub(super) fn order(
        &self,
        policy: PolicyId,
        one: &Deployed,
        other: &Deployed,
    ) -> Option<Ordering> {
        let ranker = self.facts.set.policies[policy].rule.ranker(None);
        let key = |deployed: &Deployed| -> Option<Key> {
            ranker.rank_deployed(deployed.tag.as_ref()?, None)
        };
        key(one).zip(key(other)).map(|(one, other)| one.compare(&other))
    }
}

/// A length in the words of policies.
fn length(duration: SignedDuration) -> String {
    let hours = duration.as_hours();
    match (hours / 24, hours % 24) {
        (0, 0) => format!("{}m", duration.as_mins()),
        (0, hours) => format!("{hours}h"),
        (days, 0) => format!("{days}d"),
        (days, hours) => format!("{days}d{hours}h"),
    }
}
