//! Random graphs of stages, and random events: no stage gets what its sources did not hold for the soak
//! with open gates, and what has earned it arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Checked, End, Facts, Promoted, State, Timeline, decide};
use crate::changeset::Use;
use crate::choose::{Decision, Deployed, Outcome, ReasonCode};
use crate::image::Tag;
use crate::ledger::Ledger;
use crate::policy::{PolicyFile, PolicySet, read};

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
}

fn follows() -> impl Strategy<Value = Follows> {
    (1..8_u8, any::<bool>(), 0..30_u8, any::<bool>(), proptest::option::of(0..3_u8)).prop_map(
        |(sources, any, soak, gated, max_steps)| Follows { sources, any, soak, gated, max_steps },
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
        let mut kept =
            vec![Follows { sources: 0, any: false, soak: 0, gated: false, max_steps: None }];
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
            writeln!(
                text,
                "  s{stage}: {{paths: [s{stage}], promoteFrom: {from}, soak: {soak}h{gate}{steps}}}"
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

    fn timelines(&self) -> BTreeMap<usize, Result<Timeline, crate::choose::Reason>> {
        let state = |(version, since, commits): &(u64, i64, Vec<String>)| State {
            since: Timestamp::from_second(*since).unwrap(),
            held: BTreeMap::from([(0, BTreeSet::from([deployed(*version)]))]),
            commits: commits.iter().rev().cloned().collect(),
        };
        let timeline = |held: &Vec<(u64, i64, Vec<String>)>| Timeline {
            states: held.iter().rev().map(state).collect(),
            end: End::Root,
        };
        self.held.iter().map(timeline).map(Ok).enumerate().collect()
    }

    fn decide(&self, stage: usize) -> Decision {
        let timelines = self.timelines();
        let mut known: BTreeMap<String, Vec<Checked>> = BTreeMap::new();
        let deployed = deployed(self.held[stage].last().unwrap().0);
        let at = Use { environment: stage, policy: 0, deployed };
        let promotion = self.set.environments[stage].stage.promotion.as_ref().unwrap();
        let ledger = Ledger::default();
        loop {
            let now = Timestamp::from_second(self.now).unwrap();
            let facts = Facts {
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
                        let said = self.checks.get(&commit).cloned().unwrap_or_default();
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
            Event::Says(stage, passed) => {
                let (.., commits) = self.held[stage].last().unwrap();
                let commit = commits.last().unwrap().clone();
                let said = Checked { name: "ready/shop".into(), passed: Some(passed) };
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
        for _ in 0..60 {
            world.now += 40 * 3600;
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

/// What is decided of a second stage when something about the history of the first one changes.
fn decided_after(change: impl Fn(&mut Timeline)) -> Decision {
    let follows = Follows { sources: 1, any: false, soak: 24, gated: false, max_steps: None };
    let mut world = World::new(&[follows]);
    world.put(0, 2);
    world.now += 30 * 3600;
    let mut timelines = world.timelines();
    change(timelines.get_mut(&0).unwrap().as_mut().unwrap());
    let at = Use { environment: 1, policy: 0, deployed: deployed(1) };
    let promotion = world.set.environments[1].stage.promotion.as_ref().unwrap();
    let (checks, ledger) = (BTreeMap::new(), Ledger::default());
    let now = Timestamp::from_second(world.now).unwrap();
    let facts =
        Facts { set: &world.set, timelines: &timelines, checks: &checks, ledger: &ledger, now };
    match decide(facts, promotion, &at) {
        Promoted::Decided(decision) => decision,
        Promoted::Ask(_) => panic!("nothing is gated"),
    }
}

#[test]
fn what_cannot_be_told_is_held() {
    type Change = fn(&mut Timeline);
    let cases: [(Change, Outcome, ReasonCode, &str); 6] = [
        (|_| {}, Outcome::Update, ReasonCode::Promoted, "v2.0.0 has earned it in s0"),
        (
            |timeline| {
                timeline.states[0].held.get_mut(&0).unwrap().insert(deployed(3));
            },
            Outcome::Hold,
            ReasonCode::NotInSource,
            "s0 holds several versions of shop: v2.0.0, v3.0.0",
        ),
        (
            |timeline| drop(timeline.states[0].held.remove(&0)),
            Outcome::Hold,
            ReasonCode::NotInSource,
            "s0 holds no shop",
        ),
        (
            |timeline| timeline.states[0].since += SignedDuration::from_hours(72),
            Outcome::Hold,
            ReasonCode::ClockSkew,
            "s0's last commit is of",
        ),
        (
            |timeline| {
                timeline.states.truncate(1);
                timeline.states[0].since += SignedDuration::from_hours(29);
                timeline.end = End::Shallow;
            },
            Outcome::Hold,
            ReasonCode::Soaking,
            "the clone is shallow and tells no more",
        ),
        (
            |timeline| {
                let held = timeline.states[0].held.get_mut(&0).unwrap();
                *held = BTreeSet::from([Deployed { tag: None, ..deployed(2) }]);
            },
            Outcome::Hold,
            ReasonCode::DigestOnly,
            "a digest without a tag",
        ),
    ];
    for (change, outcome, code, message) in cases {
        let got = decided_after(change);
        assert_eq!((got.outcome, got.reason.code), (outcome, code), "{got:?}");
        assert!(got.reason.message.contains(message), "{got:?}");
    }
}

/// A tag that stays, or that nothing orders, has no place above another one: what a source went back from
/// is known by its history.
#[test]
fn what_a_source_went_back_from_is_no_candidate() {
    let of = |tag: &str, hex: &str| {
        let digest = crate::image::Digest::parse(&format!("sha256:{}", hex.repeat(64)));
        Deployed { tag: Tag::parse(tag), digest, ..Deployed::default() }
    };
    for (old, new) in [(of("v2.0.0", "a"), of("v2.0.0", "b")), (of("x", "a"), of("y", "a"))] {
        let decision = decided_after(|timeline| {
            let at = |hours: i64| Timestamp::from_second(START + hours * 3600).unwrap();
            let state = |held: &Deployed, since| State {
                since,
                held: BTreeMap::from([(0, BTreeSet::from([held.clone()]))]),
                commits: vec!["c".into()],
            };
            // Back to the old one an hour ago; the new one was there for a day.
            timeline.states = vec![state(&old, at(29)), state(&new, at(2)), state(&old, at(0))];
        });
        assert_eq!(decision.outcome, Outcome::Hold, "{decision:?}");
        assert_eq!(decision.reason.code, ReasonCode::Soaking, "{decision:?}");
    }
}

/// Two images that move together to a third stage, from two sources; what each source held, the newest
/// first, as versions of shop and worker, and hours ago.
fn together(from: &str, sources: [&[(u64, u64, i64)]; 2]) -> Vec<String> {
    let text = format!(
        "images: {{shop: {{image: a.io/shop, tags: {{semver: '*'}}}}, worker: {{image: a.io/worker, tags: {{semver: '*'}}}}}}\n\
         environments:\n  a: {{paths: [a]}}\n  b: {{paths: [b]}}\n  \
         c: {{paths: [c], promoteFrom: {from}, soak: 1h, lockstep: [[shop, worker]]}}\n"
    );
    let (set, problems) = read(&[PolicyFile::new("p.yaml", &text)]);
    assert!(problems.is_empty(), "{problems:#?}");
    let now = Timestamp::from_second(START).unwrap();
    let state = |(shop, worker, hours): &(u64, u64, i64)| State {
        since: now - SignedDuration::from_hours(*hours),
        held: [*shop, *worker].iter().map(|v| BTreeSet::from([deployed(*v)])).enumerate().collect(),
        commits: vec!["c".into()],
    };
    let timeline = |states: &[(u64, u64, i64)]| {
        Ok(Timeline { states: states.iter().map(state).collect(), end: End::Root })
    };
    let here: &[(u64, u64, i64)] = &[(1, 1, 100)];
    let timelines =
        BTreeMap::from([(0, timeline(sources[0])), (1, timeline(sources[1])), (2, timeline(here))]);
    let (checks, ledger) = (BTreeMap::new(), Ledger::default());
    let facts = Facts { set: &set, timelines: &timelines, checks: &checks, ledger: &ledger, now };
    let promotion = set.environments[2].stage.promotion.as_ref().unwrap();
    let to = |policy| {
        let at = Use { environment: 2, policy, deployed: deployed(1) };
        match decide(facts, promotion, &at) {
            Promoted::Decided(decision) => {
                let to = decision.to.filter(|_| decision.outcome == Outcome::Update);
                to.map_or_else(|| decision.reason.message, |to| to.to_string())
            }
            Promoted::Ask(_) => panic!("nothing is gated"),
        }
    };
    vec![to(0), to(1)]
}

#[test]
fn what_moves_together_was_together() {
    // Each of the sources has one of them newer: one source it is, for both.
    let mixed = together("{any: [a, b]}", [&[(2, 1, 9), (1, 1, 90)], &[(1, 2, 9), (1, 1, 90)]]);
    assert_eq!(mixed[0], "v2.0.0");
    assert_ne!(mixed[1], "v2.0.0", "{mixed:?}");
    // What both have held, though one of them went on.
    let common =
        together("[a, b]", [&[(3, 3, 9), (2, 2, 50), (1, 1, 90)], &[(2, 2, 9), (1, 1, 90)]]);
    assert_eq!(common, ["v2.0.0", "v2.0.0"]);
    // Taken back, and something newer after that, which has not soaked yet.
    let back = together("a", [&[(3, 3, 0), (1, 1, 2), (2, 2, 50), (1, 1, 90)], &[(1, 1, 90)]]);
    assert!(back[0].contains("v3.0.0 soaks in a until"), "{back:?}");
}

/// What is there already has nothing to earn, whatever its gates say by now.
#[test]
fn a_failing_gate_takes_nothing_back() {
    let follows = Follows { sources: 1, any: false, soak: 0, gated: true, max_steps: None };
    let mut world = World::new(&[follows]);
    for stage in [0, 1] {
        world.put(stage, 2);
    }
    world.happens(&Event::Says(0, false));
    let decision = world.decide(1);
    assert_eq!(decision.outcome, Outcome::Keep, "{decision:?}");
}

/// The cases of gitops-promoter's `TimedCommitStatus`
/// (<https://github.com/argoproj-labs/gitops-promoter/blob/03d2aedce3f52547f865fad3feaa8d3f6f89bae8/internal/controller/timedcommitstatus_controller_test.go>,
/// Apache-2.0), in minutes: how long is required, how long it was held, whether that is enough. What it does
/// differently: a pending promotion of the source does not make a complete soak incomplete.
#[test]
fn soaks_are_those_of_gitops_promoter() {
    for (required, elapsed, is_enough) in [
        (60, 0, false),
        (60, 59, false),
        (60, 60, true),
        (1, 5, true),
        (1440, 10, false),
        (0, 0, true),
    ] {
        let decision = decided_after(|timeline| {
            let now = timeline.states[0].since + SignedDuration::from_hours(30);
            // Of a day that is required, so much is there.
            let held = SignedDuration::from_mins(elapsed + 1440 - required);
            timeline.states[0].since = now - held;
        });
        let is_promoted = decision.outcome == Outcome::Update;
        assert_eq!(is_promoted, is_enough, "{required} {elapsed}: {decision:?}");
    }
}
