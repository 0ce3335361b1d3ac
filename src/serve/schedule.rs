//! What is looked at next: clocks and hints in, work out. Knows no clock itself; times are since the start.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use crate::policy::Served;

/// A time since the start.
pub(super) type Moment = Duration;

/// More images than this in one hint are everything.
const MANY: usize = 50;

/// How far an interval is stretched or shortened, so that what began together does not stay together.
const JITTER: f64 = 0.1;

/// A repository that fails is left alone for longer and longer, until this.
const MOST: Duration = Duration::from_hours(1);

/// What is to be looked at in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    units: Vec<Unit>,
    /// Repositories that are not served any more, and still worked on.
    leaving: Vec<Key>,
    debounce: Duration,
    at_once: usize,
}

#[derive(Debug)]
struct Unit {
    served: Served,
    clocks: Vec<Clock>,
    hint: Option<(Moment, Work)>,
    is_running: bool,
    /// The clocks that the work under way is for.
    taken: Vec<Option<String>>,
    turns: u64,
}

/// What tells one repository from another.
pub(super) type Key = (String, Option<String>);

/// The key of a repository.
pub(super) fn key(served: &Served) -> Key {
    (served.repo.clone(), served.branch.clone())
}

/// What is due again and again.
#[derive(Debug)]
struct Clock {
    /// One environment; everything without it.
    environment: Option<String>,
    interval: Duration,
    due: Moment,
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
        now: Moment,
    ) {
        let mut before: Vec<Unit> = std::mem::take(&mut self.units);
        let unit = |served: &Served| {
            let known = before.iter().position(|unit| key(&unit.served) == key(served));
            match known {
                Some(index) => before.swap_remove(index).again(served, now),
                None => Unit::new(served, now),
            }
        };
        self.units = served.iter().map(unit).collect();
        let running = before.iter().filter(|unit| unit.is_running);
        self.leaving.extend(running.map(|unit| key(&unit.served)));
        (self.debounce, self.at_once) = (debounce, at_once);
    }

    /// Something may be new in a repository. Hints are collected for a time that begins with the first one, so
    /// that any number of them costs one look.
    pub(super) fn hint(&mut self, unit: usize, work: Work, now: Moment) {
        let due = now + self.debounce;
        let Some(unit) = self.units.get_mut(unit) else { return };
        unit.hint = Some(match unit.hint.take() {
            Some((due, before)) => (due, before.and(work)),
            None => (due, work),
        });
    }

    /// What is to be done now, if there is something and room for it.
    pub(super) fn next(&mut self, now: Moment) -> Option<(usize, Work)> {
        if self.running() >= self.at_once {
            return None;
        }
        let idle = self.units.iter().enumerate().filter(|(_, unit)| self.is_idle(unit));
        let due = idle.filter_map(|(index, unit)| Some((unit.due()?, index)));
        let (_, index) = due.filter(|(due, _)| *due <= now).min()?;
        let work = self.units.get_mut(index)?.take(now)?;
        Some((index, work))
    }

    /// When something is due next; nothing is while there is no room.
    pub(super) fn wakes(&self) -> Option<Moment> {
        let idle = self.units.iter().filter(|unit| self.is_idle(unit));
        idle.filter_map(Unit::due).min().filter(|_| self.running() < self.at_once)
    }

    fn is_idle(&self, unit: &Unit) -> bool {
        !unit.is_running && !self.leaving.contains(&key(&unit.served))
    }

    /// A repository was looked at. What failed comes later and later, and keeps nothing else back.
    pub(super) fn done(&mut self, served: &Served, is_well: bool, now: Moment) {
        let of = key(served);
        if let Some(index) = self.leaving.iter().position(|leaving| *leaving == of) {
            self.leaving.swap_remove(index);
            return;
        }
        let Some(unit) = self.units.iter_mut().find(|unit| key(&unit.served) == of) else { return };
        unit.is_running = false;
        let taken = std::mem::take(&mut unit.taken);
        for clock in unit.clocks.iter_mut().filter(|clock| taken.contains(&clock.environment)) {
            clock.failures = if is_well { 0 } else { clock.failures.saturating_add(1) };
            if clock.failures > 1 {
                let longer = clock.interval.saturating_mul(1 << clock.failures.min(10));
                clock.due = now + longer.min(MOST.max(clock.interval));
            }
        }
    }

    /// How many are worked on.
    pub(super) fn running(&self) -> usize {
        self.units.iter().filter(|unit| unit.is_running).count() + self.leaving.len()
    }

    /// How many are waiting although something is known to be new.
    pub(super) fn hinted(&self) -> usize {
        self.units.iter().filter(|unit| unit.hint.is_some()).count()
    }

    /// The repository at a place.
    pub(super) fn served(&self, unit: usize) -> Option<&Served> {
        self.units.get(unit).map(|unit| &unit.served)
    }

    /// All repositories.
    pub(super) fn all(&self) -> impl Iterator<Item = &Served> {
        self.units.iter().map(|unit| &unit.served)
    }
}

impl Unit {
    fn new(served: &Served, now: Moment) -> Self {
        let clocks = clocks(served, now);
        let (served, taken) = (served.clone(), Vec::new());
        Self { served, clocks, hint: None, is_running: false, taken, turns: 0 }
    }

    /// The same repository with other intervals.
    fn again(mut self, served: &Served, now: Moment) -> Self {
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

    fn due(&self) -> Option<Moment> {
        let clocks = self.clocks.iter().map(|clock| clock.due);
        clocks.chain(self.hint.iter().map(|(due, _)| *due)).min()
    }

    /// Everything that is due, as one piece of work.
    fn take(&mut self, now: Moment) -> Option<Work> {
        let mut all = Vec::new();
        self.taken.clear();
        for index in 0..self.clocks.len() {
            if self.clocks[index].due > now {
                continue;
            }
            let next = now + self.stretched(self.clocks[index].interval);
            let clock = &mut self.clocks[index];
            clock.due = next;
            self.taken.push(clock.environment.clone());
            all.push(match &clock.environment {
                None => Work::Everything,
                Some(name) => Work::Environments(BTreeSet::from([name.clone()])),
            });
        }
        all.extend(self.hint.take_if(|(due, _)| *due <= now).map(|(_, work)| work));
        // What is looked at as a whole needs no hint.
        if all.contains(&Work::Everything) {
            self.hint = None;
        }
        self.is_running = !all.is_empty();
        all.into_iter().reduce(Work::and)
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
fn clocks(served: &Served, now: Moment) -> Vec<Clock> {
    let whole = Clock { environment: None, interval: served.interval, due: now, failures: 0 };
    let often = served.environments.iter().map(|(name, interval)| {
        let (environment, interval) = (Some(name.clone()), *interval);
        Clock { environment, interval, due: now + interval, failures: 0 }
    });
    std::iter::once(whole).chain(often).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(repo: &str) -> Served {
        let environments = vec![("dev".to_owned(), Duration::from_secs(30))];
        let repo = repo.to_owned();
        Served { repo, branch: None, interval: Duration::from_mins(5), environments }
    }

    fn schedule(repos: &[&str], at_once: usize) -> Schedule {
        let mut schedule = Schedule::default();
        let served: Vec<Served> = repos.iter().map(|repo| served(repo)).collect();
        schedule.serve(&served, Duration::from_secs(10), at_once, Moment::ZERO);
        schedule
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_secs(seconds)
    }

    fn images(names: &[&str]) -> Work {
        Work::Images(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn everything_is_due_at_first_and_again_after_its_interval() {
        let mut all = schedule(&["a/a", "a/b"], 1);
        assert_eq!(all.next(at(0)), Some((0, Work::Everything)));
        assert_eq!((all.next(at(0)), all.wakes()), (None, None));
        all.done(&served("a/a"), true, at(1));
        assert_eq!(all.next(at(1)), Some((1, Work::Everything)));
        all.done(&served("a/b"), true, at(2));
        assert_eq!(all.wakes(), Some(at(30)));
        let dev = Work::Environments(BTreeSet::from(["dev".to_owned()]));
        assert_eq!(all.next(at(30)), Some((0, dev)));
        all.done(&served("a/a"), true, at(30));
        assert_eq!(all.next(at(400)), Some((1, Work::Everything)));
    }

    #[test]
    fn any_number_of_hints_is_one_look() {
        let mut all = schedule(&["a/a"], 1);
        assert!(all.next(at(0)).is_some());
        all.done(&served("a/a"), true, at(0));
        for second in 0..10_000 {
            all.hint(0, images(&["shop"]), at(1) + Duration::from_micros(second));
        }
        all.hint(0, images(&["web"]), at(5));
        assert_eq!(all.next(at(10)), None);
        assert_eq!(all.next(at(11)), Some((0, images(&["shop", "web"]))));
        // What comes while it is worked on is not lost.
        all.hint(0, images(&["shop"]), at(12));
        assert_eq!(all.next(at(23)), None);
        all.done(&served("a/a"), true, at(24));
        assert_eq!(all.next(at(24)), Some((0, images(&["shop"]))));
    }

    #[test]
    fn what_fails_is_left_alone_for_longer() {
        let mut all = Schedule::default();
        let alone = Served { environments: Vec::new(), ..served("a/a") };
        all.serve(std::slice::from_ref(&alone), Duration::ZERO, 1, Moment::ZERO);
        let mut last = at(0);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let due = all.wakes().unwrap();
            pauses.push(due.saturating_sub(last).as_secs());
            assert_eq!(all.next(due), Some((0, Work::Everything)));
            all.done(&alone, false, due);
            last = due;
        }
        // The first failure may be a chance.
        assert!((270..=330).contains(&pauses[1]), "{pauses:?}");
        assert_eq!(pauses[2..], [1200, 2400, 3600, 3600]);
        assert_eq!(all.next(last + at(3600)), Some((0, Work::Everything)));
        all.done(&alone, true, last);
        assert!(all.wakes().unwrap() <= last + at(3600 + 330));
    }

    #[test]
    fn an_environment_that_fails_keeps_nothing_else_back() {
        let mut all = schedule(&["a/a"], 1);
        let (mut now, mut whole) = (at(0), 0);
        while now < at(86_400) {
            now = all.wakes().unwrap().max(now);
            let (_, work) = all.next(now).unwrap();
            whole += usize::from(work == Work::Everything);
            all.done(&served("a/a"), work == Work::Everything, now);
        }
        // A day of five minutes each.
        assert!((260..=320).contains(&whole), "{whole}");
    }

    #[test]
    fn a_reload_keeps_what_runs() {
        let mut all = schedule(&["a/a"], 1);
        assert!(all.next(at(0)).is_some());
        let slower = Served { interval: Duration::from_mins(10), ..served("a/a") };
        all.serve(std::slice::from_ref(&slower), Duration::ZERO, 1, at(1));
        assert_eq!((all.running(), all.next(at(1))), (1, None));
        // Gone and back again while it runs: it is one repository still.
        all.serve(&[], Duration::ZERO, 1, at(2));
        assert_eq!(all.running(), 1);
        all.serve(std::slice::from_ref(&slower), Duration::ZERO, 1, at(3));
        assert_eq!(all.next(at(3)), None);
        all.done(&served("a/a"), true, at(4));
        assert_eq!(all.next(at(4)), Some((0, Work::Everything)));
        assert_eq!(all.running(), 1);
    }

    #[test]
    fn a_reload_keeps_what_is_known() {
        let mut all = schedule(&["a/a", "a/b"], 2);
        assert!(all.next(at(0)).is_some());
        all.hint(1, images(&["shop"]), at(1));
        all.serve(&[served("a/b"), served("a/c")], Duration::from_secs(10), 2, at(2));
        // The one that is gone may end, and nothing comes of it.
        all.done(&served("a/a"), true, at(3));
        assert_eq!(all.hinted(), 1);
        assert_eq!(all.next(at(3)), Some((0, Work::Everything)));
        assert_eq!(all.next(at(3)), Some((1, Work::Everything)));
    }

    proptest::proptest! {
        /// Whatever is hinted when, each repository that was hinted is looked at by the end of the debounce, and
        /// never more than one look runs in a repository, nor more than allowed in all.
        #[test]
        fn no_hint_is_lost(events in proptest::collection::vec((0_usize..4, 0_u64..40, proptest::bool::ANY), 1..60)) {
            let names = ["a/a", "a/b", "a/c", "a/d"];
            let mut all = schedule(&names, 2);
            let (mut now, mut running, mut open) = (at(0), Vec::new(), [None::<Moment>; 4]);
            for (unit, pause, ends) in events {
                all.hint(unit, images(&["shop"]), now);
                open[unit] = open[unit].or(Some(now));
                now += at(pause);
                if ends {
                    for index in running.drain(..) {
                        all.done(&served(names[index]), true, now);
                    }
                }
                while let Some((index, _)) = all.next(now) {
                    proptest::prop_assert!(!running.contains(&index));
                    running.push(index);
                    if open[index].is_some_and(|hinted| hinted + at(10) <= now) || all.units[index].hint.is_none() {
                        open[index] = None;
                    }
                }
                proptest::prop_assert!(running.len() <= 2);
                let overdue = |index: &usize| open[*index].is_some_and(|hinted| hinted + at(10) <= now);
                let idle = (0..4).filter(|index| !running.contains(index));
                if running.len() < 2 {
                    proptest::prop_assert!(!idle.clone().any(|index| overdue(&index)));
                }
            }
        }
    }
}
