//! Random graphs of stages, and random events: no stage gets what its sources did not hold for the soak
//! with open gates, and what has earned it arrives.

mod cases;

use super::decide::StatusQuestion;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Checked, End, Promoted, PromotionFacts, State, Timeline, decide};
use crate::changeset::Use;
use crate::choose::{Decision, Deployed, Outcome, ReasonCode};
use crate::image::Tag;
use crate::ledger::Ledger;
use crate::policy::{EnvironmentId, Hold, Id as _, PolicyFile, PolicyId, PolicySet, read};

const START: i64 = 1_800_000_000;

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    /// The first stage gets something newer.
    New,
    /// Hours pass.
    Later(u8),
    /// Whoever may merges what is proposed for a stage.
    Merge(usize),
    /// A person puts a stage one version back.
    Back(usize),
    /// A person puts any version into a stage.
    Put(usize, u8),
    /// The cluster of a stage says something of its newest commit.
    Says(usize, bool),
    /// A person holds a stage for some hours.
    Hold(usize, u8),
}

/// How a stage follows others.
#[derive(Clone, Debug)]
struct Follows {
    /// Earlier stages, by bits.
    sources: u8,
    any: bool,
    soak: u8,
    gated: bool,
    max_steps: Option<u8>,
    windowed: bool,
}

fn follows() -> impl Strategy<Value = Follows> {
    let steps = proptest::option::of(0..3_u8);
    (1..8_u8, any::<bool>(), 0..30_u8, any::<bool>(), steps, any::<bool>()).prop_map(
        |(sources, any, soak, gated, max_steps, windowed)| Follows {
            sources,
            any,
            soak,
            gated,
            max_steps,
            windowed,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::New),
        6 => (1..40_u8).prop_map(Event::Later),
        6 => (1..4_usize).prop_map(Event::Merge),
        1 => (0..4_usize).prop_map(Event::Back),
        1 => (0..4_usize, 0..9_u8).prop_map(|(stage, version)| Event::Put(stage, version)),
        4 => (0..4_usize, any::<bool>()).prop_map(|(stage, passed)| Event::Says(stage, passed)),
        1 => (1..4_usize, 1..90_u8).prop_map(|(stage, hours)| Event::Hold(stage, hours)),
    ]
}

/// Four stages and what happened to them.
struct World {
    set: PolicySet,
    now: i64,
    newest: u64,
    /// What each stage held, the oldest first: version, since when, and its commits.
    held: Vec<Vec<(u64, i64, Vec<String>)>>,
    commits: usize,
    checks: BTreeMap<String, Vec<Checked>>,
    follows: Vec<Follows>,
}

impl World {
    fn new(follows: &[Follows]) -> Self {
        let mut text =
            "images: {shop: {image: ghcr.io/acme/shop, tags: {semver: '*'}}}\nenvironments:\n  s0: {paths: [s0]}\n"
                .to_owned();
        let mut kept = vec![Follows {
            sources: 0,
            any: false,
            soak: 0,
            gated: false,
            max_steps: None,
            windowed: false,
        }];
        for (index, one) in follows.iter().enumerate() {
            let stage = index + 1;
            let sources = (0..stage).filter(|source| one.sources >> source & 1 == 1);
            let mut sources: Vec<String> = sources.map(|source| format!("s{source}")).collect();
            let mut one = one.clone();
            if sources.is_empty() {
                one.sources = 1;
                sources.push("s0".to_owned());
            }
            let from = sources.join(", ");
            let from = if one.any { format!("{{any: [{from}]}}") } else { format!("[{from}]") };
            let gate = if one.gated { ", require: ['ready/*']" } else { "" };
            let steps =
                one.max_steps.map(|steps| format!(", maxSteps: {steps}")).unwrap_or_default();
            let soak = one.soak;
            let window =
                if one.windowed { ", windows: [{cron: '0 9 * * *', duration: 9h}]" } else { "" };
            writeln!(
                text,
                "  s{stage}: {{paths: [s{stage}], promoteFrom: {from}, soak: {soak}h{gate}{steps}{window}}}"
            )
            .unwrap();
            kept.push(one);
        }
        let (set, problems) = read(&[PolicyFile::new("p.yaml", &text)]);
        assert!(problems.is_empty(), "{problems:#?}");
        let stages = kept.len();
        let held = vec![vec![(1, START, vec!["c0".to_owned()])]; stages];
        Self {
            set,
            now: START,
            newest: 1,
            held,
            commits: 0,
            checks: BTreeMap::new(),
            follows: kept,
        }
    }

    fn put(&mut self, stage: usize, version: u64) {
        self.commits += 1;
        let commit = format!("c{}", self.commits);
        // Every commit is one of the whole repository.
        for (other, held) in self.held.iter_mut().enumerate() {
            if other != stage
                && let Some(last) = held.last_mut()
            {
                last.2.push(commit.clone());
            }
        }
        let last = self.held[stage].last_mut().unwrap();
        if last.0 == version {
            last.2.push(commit);
        } else {
            self.held[stage].push((version, self.now, vec![commit]));
        }
    }

    fn timelines(&self) -> BTreeMap<EnvironmentId, Result<Timeline, crate::choose::Reason>> {
        let state = |(version, since, commits): &(u64, i64, Vec<String>)| State {
            since: Timestamp::from_second(*since).unwrap(),
            held: BTreeMap::from([(PolicyId::at(0), BTreeSet::from([deployed(*version)]))]),
            commits: commits.iter().rev().cloned().collect(),
        };
        let timeline = |held: &Vec<(u64, i64, Vec<String>)>| Timeline {
            states: held.iter().rev().map(state).collect(),
            end: End::Root,
        };
        let all = self.held.iter().map(timeline).map(Ok).enumerate();
        all.map(|(stage, timeline)| (EnvironmentId::at(stage), timeline)).collect()
    }

    fn decide(&self, stage: usize) -> Decision {
        let timelines = self.timelines();
        let mut known: BTreeMap<StatusQuestion, Vec<Checked>> = BTreeMap::new();
        let deployed = deployed(self.held[stage].last().unwrap().0);
        let at = Use { environment: EnvironmentId::at(stage), policy: PolicyId::at(0), deployed };
        let promotion =
            self.set.environments[EnvironmentId::at(stage)].stage.promotion.as_ref().unwrap();
        let ledger = Ledger::default();
        loop {
            let now = Timestamp::from_second(self.now).unwrap();
            let facts = PromotionFacts {
                set: &self.set,
                timelines: &timelines,
                checks: &known,
                ledger: &ledger,
                now,
            };
            match decide(facts, promotion, &at) {
                Promoted::Decided(decision) => return decision,
                Promoted::Ask(commits) => {
                    assert!(
                        !commits.is_empty() && commits.iter().all(|it| !known.contains_key(it))
                    );
                    for commit in commits {
                        let said = self.checks.get(&commit.1).cloned().unwrap_or_default();
                        known.insert(commit, said);
                    }
                }
            }
        }
    }

    /// Whether a source has held a version for long enough, and its cluster was well with it.
    fn has_earned(&self, stage: usize, source: usize, version: u64) -> bool {
        let follows = &self.follows[stage];
        let soak = i64::from(follows.soak) * 3600;
        let all = &self.held[source];
        all.iter().enumerate().any(|(index, (held, since, commits))| {
            let until = all.get(index + 1).map_or(self.now, |next| next.1);
            let is_well = commits.iter().rev().find_map(|commit| self.checks.get(commit));
            let is_well = is_well.is_some_and(|said| said[0].passed == Some(true));
            let is_kept = all[index + 1..].iter().all(|(later, ..)| *later > version);
            *held == version && until - since >= soak && (!follows.gated || is_well) && is_kept
        })
    }

    /// Takes a step that the bot proposes, after it was held against what happened.
    fn merge(&mut self, stage: usize) -> Option<u64> {
        let decision = self.decide(stage);
        if decision.outcome != Outcome::Update {
            return None;
        }
        let now = Timestamp::from_second(self.now).unwrap();
        let environment = &self.set.environments[EnvironmentId::at(stage)];
        assert!(environment.holds.iter().all(|hold| hold.until <= now), "s{stage} is held");
        // Outside of its window it waits, and so nobody merges it.
        if environment.deliver.timing.waits(now).is_some() {
            return None;
        }
        let version = decision.to.as_ref().and_then(|tag| tag.as_str()[1..].split('.').next());
        let version: u64 = version.and_then(|text| text.parse().ok()).unwrap();
        let sources: Vec<usize> =
            (0..stage).filter(|source| self.follows[stage].sources >> source & 1 == 1).collect();
        let mut earned = sources.iter().map(|source| self.has_earned(stage, *source, version));
        let is_earned =
            if self.follows[stage].any { earned.any(|it| it) } else { earned.all(|it| it) };
        assert!(is_earned, "s{stage} gets {version}: {:#?} {:#?}", self.held, self.checks);
        assert!(version > self.held[stage].last().unwrap().0, "backwards");
        self.put(stage, version);
        Some(version)
    }

    fn happens(&mut self, event: &Event) {
        match *event {
            Event::New => {
                self.newest += 1;
                self.put(0, self.newest);
            }
            Event::Later(hours) => self.now += i64::from(hours) * 3600,
            Event::Merge(stage) => drop(self.merge(stage)),
            Event::Back(stage) => {
                let now = self.held[stage].last().unwrap().0;
                self.put(stage, now.saturating_sub(1).max(1));
            }
            Event::Put(stage, version) => self.put(stage, u64::from(version).max(1)),
            Event::Hold(stage, hours) => {
                let until = Timestamp::from_second(self.now + i64::from(hours) * 3600).unwrap();
                let mut images = globset::GlobSetBuilder::new();
                images.add(globset::Glob::new("*").unwrap());
                self.set.environments[EnvironmentId::at(stage)].holds.push(Hold {
                    images: images.build().unwrap(),
                    until,
                    reason: "peak".into(),
                    place: crate::diagnostic::Place::default(),
                });
            }
            Event::Says(stage, passed) => {
                let (.., commits) = self.held[stage].last().unwrap();
                let commit = commits.last().unwrap().clone();
                let said = Checked {
                    name: "ready/shop".into(),
                    by: None,
                    passed: Some(passed),
                    counts: passed,
                };
                self.checks.insert(commit, vec![said]);
            }
        }
    }
}

fn deployed(version: u64) -> Deployed {
    Deployed { tag: Tag::parse(&format!("v{version}.0.0")), ..Deployed::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_moves_that_has_not_earned_it(
        graph in proptest::collection::vec(follows(), 3),
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(&graph);
        for event in &events {
            world.happens(event);
        }
    }

    /// When nobody does anything any more and all is well, the newest version goes all the way.
    #[test]
    fn what_has_earned_it_arrives(
        graph in proptest::collection::vec(follows(), 3),
        events in proptest::collection::vec(event(), 1..40),
    ) {
        let mut world = World::new(&graph);
        for event in &events {
            world.happens(event);
        }
        // Somebody brings the first stage above everything that people put elsewhere.
        world.newest += 20;
        world.put(0, world.newest);
        for _ in 0..80 {
            // Every hour of the day comes, so every window does.
            world.now += 41 * 3600;
            for stage in 0..4 {
                world.happens(&Event::Says(stage, true));
            }
            for stage in 1..4 {
                world.merge(stage);
            }
        }
        for stage in 1..4 {
            let steps = world.follows[stage].max_steps;
            let decision = world.decide(stage);
            let held = world.held[stage].last().unwrap().0;
            // Versions in between can have gone before they earned it, and then may not be passed over.
            let is_stuck = steps.is_some() && decision.outcome == Outcome::Hold;
            let waits = (1..stage).any(|source| {
                world.follows[stage].sources >> source & 1 == 1
                    && world.held[source].last().unwrap().0 != world.newest
            });
            prop_assert!(
                held == world.newest || is_stuck || waits,
                "s{} holds {}, not {}: {:?} {:#?}", stage, held, world.newest, decision, world.held
            );
        }
    }
}
