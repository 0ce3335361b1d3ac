//! What is looked at next: clocks and hints in, work out. Knows no clock itself; times are since the start.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::Served;

/// A time since the start.
pub(super) type SinceStart = Duration;

/// More images than this in one hint are everything.
const MANY: usize = 50;

/// How far an interval is stretched or shortened, so that what began together does not stay together.
const JITTER: f64 = 0.1;

/// A look that takes longer than this keeps its place no longer from others.
const SLOW: Duration = Duration::from_mins(2);

/// So many times as many looks may be under way as are allowed, when the rest of them are slow.
const SLOW_ONES: usize = 4;

/// What a webhook brought and could not be looked at is tried again after this, and then after twice as long each time.
const AGAIN: Duration = Duration::from_secs(30);

/// So often.
const TRIES: u32 = 6;

/// A repository that fails is left alone for longer and longer, until this.
const MOST: Duration = Duration::from_hours(1);

/// What is to be looked at in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Work {
    Everything,
    Environments(BTreeSet<String>),
    /// Policies, by name.
    Images(BTreeSet<String>),
}

impl Work {
    /// Both together, or something that holds both.
    fn and(self, other: Self) -> Self {
        let merged = match (self, other) {
            (Self::Environments(one), Self::Environments(other)) => {
                Self::Environments(one.into_iter().chain(other).collect())
            }
            (Self::Images(one), Self::Images(other)) => {
                Self::Images(one.into_iter().chain(other).collect())
            }
            _ => Self::Everything,
        };
        match merged {
            Self::Images(images) if images.len() > MANY => Self::Everything,
            merged => merged,
        }
    }
}

/// The repositories, and when each is due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    units: Vec<ScheduledUnit>,
    /// Repositories that are not served any more, and still worked on, each since a time.
    leaving: Vec<(RepositoryKey, SinceStart)>,
    debounce: Duration,
    at_once: usize,
}

#[derive(Debug)]
struct ScheduledUnit {
    served: Served,
    clocks: Vec<Cycle>,
    hint: Option<(SinceStart, Work)>,
    doing: Option<Doing>,
    /// How often what a webhook brought was tried in vain.
    tries: u32,
    turns: u64,
}

/// What is under way in a repository.
#[derive(Debug)]
struct Doing {
    since: SinceStart,
    work: Work,
    /// The clocks that it is for.
    clocks: Vec<Option<String>>,
    /// What of it a webhook brought.
    hint: Option<Work>,
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RunEnd {
    /// All was done.
    Well,
    /// Some images are undecided, or some deliveries failed.
    Partly,
    /// Nothing was done.
    Badly,
}

impl RunEnd {
    /// What it is called in logs and metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Well => "done",
            Self::Partly => "partly",
            Self::Badly => "failed",
        }
    }
}

/// What tells one repository from another.
pub(super) type RepositoryKey = (String, Option<String>);

/// The key of a repository.
pub(super) fn key(served: &Served) -> RepositoryKey {
    (served.repo.clone(), served.branch.clone())
}

/// What is due again and again.
#[derive(Debug)]
struct Cycle {
    /// One environment; everything without it.
    environment: Option<String>,
    interval: Duration,
    due: SinceStart,
    /// How often it failed, one time after the other.
    failures: u32,
}

impl Schedule {
    /// What is new is due at once. What is known of repositories that stay is kept.
    pub(super) fn serve(
        &mut self,
        served: &[Served],
        debounce: Duration,
        at_once: usize,
        now: SinceStart,
    ) {
        let mut before: Vec<ScheduledUnit> = std::mem::take(&mut self.units);
        let unit = |served: &Served| {
            let known = before.iter().position(|unit| key(&unit.served) == key(served));
            match known {
                Some(index) => before.swap_remove(index).again(served, now),
                None => ScheduledUnit::new(served, now),
            }
        };
        self.units = served.iter().map(unit).collect();
        let running = before.iter().filter_map(|unit| Some((key(&unit.served), unit.since()?)));
        self.leaving.extend(running);
        (self.debounce, self.at_once) = (debounce, at_once);
    }

    /// Something may be new in a repository. Hints are collected for a time that begins with the first one, so
    /// that any number of them costs one look.
    pub(super) fn hint(&mut self, unit: usize, work: Work, now: SinceStart) {
        let due = now + self.debounce;
        let Some(unit) = self.units.get_mut(unit) else { return };
        unit.hint = Some(match unit.hint.take() {
            Some((due, before)) => (due, before.and(work)),
            None => (due, work),
        });
    }

    /// What is to be done now, if there is something and room for it.
    pub(super) fn next(&mut self, now: SinceStart) -> Option<(Served, Work)> {
        if self.room(now) > now {
            return None;
        }
        let idle = self.units.iter().enumerate().filter(|(_, unit)| self.is_idle(unit));
        let due = idle.filter_map(|(index, unit)| Some((unit.due()?, index)));
        let (_, index) = due.filter(|(due, _)| *due <= now).min()?;
        let unit = self.units.get_mut(index)?;
        let work = unit.take(now)?;
        Some((unit.served.clone(), work))
    }

    /// When something is due next, and there is room for it; never, while only an end makes room.
    pub(super) fn wakes(&self, now: SinceStart) -> Option<SinceStart> {
        let idle = self.units.iter().filter(|unit| self.is_idle(unit));
        let due = idle.filter_map(ScheduledUnit::due).min()?;
        let room = self.room(now);
        (room < SinceStart::MAX).then(|| due.max(room))
    }

    /// When there is room for another look: now, or when one of those under way is slow.
    fn room(&self, now: SinceStart) -> SinceStart {
        let since = self.units.iter().filter_map(ScheduledUnit::since);
        let all: Vec<SinceStart> =
            since.chain(self.leaving.iter().map(|(_, since)| *since)).collect();
        let quick = all.iter().filter(|since| **since + SLOW > now).count();
        if all.len() >= self.at_once * SLOW_ONES {
            return SinceStart::MAX;
        }
        if quick < self.at_once {
            return now;
        }
        let slow = all.iter().map(|since| *since + SLOW).filter(|slow| *slow > now);
        slow.min().unwrap_or(SinceStart::MAX)
    }

    fn is_idle(&self, unit: &ScheduledUnit) -> bool {
        let of = key(&unit.served);
        unit.doing.is_none() && self.leaving.iter().all(|(leaving, _)| *leaving != of)
    }

    /// A repository was looked at. What failed comes later and later, and keeps nothing else back.
    pub(super) fn done(&mut self, served: &Served, end: RunEnd, now: SinceStart) {
        let of = key(served);
        if let Some(index) = self.leaving.iter().position(|(leaving, _)| *leaving == of) {
            self.leaving.swap_remove(index);
            return;
        }
        let unit = self.units.iter_mut().find(|unit| key(&unit.served) == of);
        if let Some(unit) = unit {
            unit.done(end, now);
        }
    }

    /// How many are worked on.
    pub(super) fn running(&self) -> usize {
        self.units.iter().filter(|unit| unit.doing.is_some()).count() + self.leaving.len()
    }

    /// How many are waiting although something is known to be new.
    pub(super) fn hinted(&self) -> usize {
        self.units.iter().filter(|unit| unit.hint.is_some()).count()
    }

    /// All repositories.
    pub(super) fn all(&self) -> impl Iterator<Item = &Served> {
        self.units.iter().map(|unit| &unit.served)
    }
}

impl ScheduledUnit {
    fn new(served: &Served, now: SinceStart) -> Self {
        let clocks = clocks(served, now);
        Self { served: served.clone(), clocks, hint: None, doing: None, tries: 0, turns: 0 }
    }

    /// Since when it is worked on.
    fn since(&self) -> Option<SinceStart> {
        self.doing.as_ref().map(|doing| doing.since)
    }

    fn done(&mut self, end: RunEnd, now: SinceStart) {
        let Some(Doing { work, clocks, hint, .. }) = self.doing.take() else { return };
        let is_whole = work == Work::Everything;
        for clock in &mut self.clocks {
            if end != RunEnd::Badly && (is_whole || clocks.contains(&clock.environment)) {
                // What was put off because it failed is well again.
                let is_back = std::mem::take(&mut clock.failures) > 1;
                clock.due = if is_back { clock.due.min(now + clock.interval) } else { clock.due };
            } else if clocks.contains(&clock.environment) {
                clock.failures = clock.failures.saturating_add(1);
                if clock.failures > 1 {
                    let longer = clock.interval.saturating_mul(1 << clock.failures.min(10));
                    clock.due = now + longer.min(MOST.max(clock.interval));
                }
            }
        }
        match hint.filter(|_| end != RunEnd::Well && self.tries < TRIES) {
            // Nobody rings twice.
            Some(work) => {
                let due = now + AGAIN * 2_u32.pow(self.tries);
                self.tries += 1;
                self.hint = Some(match self.hint.take() {
                    Some((sooner, other)) => (sooner.min(due), work.and(other)),
                    None => (due, work),
                });
            }
            None => self.tries = 0,
        }
    }

    /// The same repository with other intervals.
    fn again(mut self, served: &Served, now: SinceStart) -> Self {
        let mut new = clocks(served, now);
        for clock in &mut new {
            let known = self.clocks.iter().find(|old| old.environment == clock.environment);
            if let Some(known) = known {
                clock.due = known.due.min(now + clock.interval);
                clock.failures = known.failures;
            }
        }
        (self.clocks, self.served) = (new, served.clone());
        self
    }

    fn due(&self) -> Option<SinceStart> {
        let clocks = self.clocks.iter().map(|clock| clock.due);
        clocks.chain(self.hint.iter().map(|(due, _)| *due)).min()
    }

    /// Everything that is due, as one piece of work.
    fn take(&mut self, now: SinceStart) -> Option<Work> {
        let (mut all, mut clocks) = (Vec::new(), Vec::new());
        for index in 0..self.clocks.len() {
            if self.clocks[index].due > now {
                continue;
            }
            let next = now + self.stretched(self.clocks[index].interval);
            let clock = &mut self.clocks[index];
            clock.due = next;
            clocks.push(clock.environment.clone());
            all.push(match &clock.environment {
                None => Work::Everything,
                Some(name) => Work::Environments(BTreeSet::from([name.clone()])),
            });
        }
        // What is looked at as a whole answers every hint.
        let is_whole = all.contains(&Work::Everything);
        let hint = self.hint.take_if(|(due, _)| is_whole || *due <= now).map(|(_, work)| work);
        all.extend(hint.clone());
        let work = all.into_iter().reduce(Work::and)?;
        self.doing = Some(Doing { since: now, work: work.clone(), clocks, hint });
        Some(work)
    }

    /// An interval that is a little longer or shorter every time.
    fn stretched(&mut self, interval: Duration) -> Duration {
        self.turns += 1;
        let mut hash = DefaultHasher::new();
        (&self.served.repo, &self.served.branch, self.turns).hash(&mut hash);
        let share =
            f64::from(u32::try_from(hash.finish() >> 32).unwrap_or_default()) / f64::from(u32::MAX);
        interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * share)
    }
}

/// Everything at once, and environments that are looked at more often after their intervals.
fn clocks(served: &Served, now: SinceStart) -> Vec<Cycle> {
    let whole = Cycle { environment: None, interval: served.interval, due: now, failures: 0 };
    let often = served.environments.iter().map(|(name, interval)| {
        let (environment, interval) = (Some(name.clone()), *interval);
        Cycle { environment, interval, due: now + interval, failures: 0 }
    });
    std::iter::once(whole).chain(often).collect()
}

#[cfg(test)]
mod tests;
