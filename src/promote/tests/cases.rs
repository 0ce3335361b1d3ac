//! Single cases: what cannot be told, what moves together, and other tools' published ones.

use super::*;
use crate::policy::{EnvironmentId, Id as _, PolicyId};
use jiff::SignedDuration;

/// What is decided of a second stage when something about the history of the first one changes.
fn decided_after(change: impl Fn(&mut Timeline)) -> Decision {
    let follows = Follows {
        sources: 1,
        any: false,
        soak: 24,
        gated: false,
        max_steps: None,
        windowed: false,
    };
    let mut world = World::new(&[follows]);
    world.put(0, 2);
    world.now += 30 * 3600;
    let mut timelines = world.timelines();
    change(timelines.get_mut(&EnvironmentId::at(0)).unwrap().as_mut().unwrap());
    let at =
        Use { environment: EnvironmentId::at(1), policy: PolicyId::at(0), deployed: deployed(1) };
    let promotion = world.set.environments[EnvironmentId::at(1)].stage.promotion.as_ref().unwrap();
    let (checks, ledger) = (BTreeMap::new(), Ledger::default());
    let now = Timestamp::from_second(world.now).unwrap();
    let facts = PromotionFacts {
        set: &world.set,
        timelines: &timelines,
        checks: &checks,
        ledger: &ledger,
        now,
    };
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
                timeline.states[0].held.get_mut(&PolicyId::at(0)).unwrap().insert(deployed(3));
            },
            Outcome::Hold,
            ReasonCode::NotInSource,
            "s0 holds several versions of shop: v2.0.0, v3.0.0",
        ),
        (
            |timeline| drop(timeline.states[0].held.remove(&PolicyId::at(0))),
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
            "no more of its history is here",
        ),
        (
            |timeline| {
                let held = timeline.states[0].held.get_mut(&PolicyId::at(0)).unwrap();
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
                held: BTreeMap::from([(PolicyId::at(0), BTreeSet::from([held.clone()]))]),
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
        held: [*shop, *worker]
            .iter()
            .enumerate()
            .map(|(at, v)| (PolicyId::at(at), BTreeSet::from([deployed(*v)])))
            .collect(),
        commits: vec!["c".into()],
    };
    let timeline = |states: &[(u64, u64, i64)]| {
        Ok(Timeline { states: states.iter().map(state).collect(), end: End::Root })
    };
    let here: &[(u64, u64, i64)] = &[(1, 1, 100)];
    let all = [sources[0], sources[1], here].into_iter().enumerate();
    let timelines: BTreeMap<EnvironmentId, _> =
        all.map(|(at, states)| (EnvironmentId::at(at), timeline(states))).collect();
    let (checks, ledger) = (BTreeMap::new(), Ledger::default());
    let facts =
        PromotionFacts { set: &set, timelines: &timelines, checks: &checks, ledger: &ledger, now };
    let promotion = set.environments[EnvironmentId::at(2)].stage.promotion.as_ref().unwrap();
    let to = |policy| {
        let at = Use { environment: EnvironmentId::at(2), policy, deployed: deployed(1) };
        match decide(facts, promotion, &at) {
            Promoted::Decided(decision) => {
                let to = decision.to.filter(|_| decision.outcome == Outcome::Update);
                to.map_or_else(|| decision.reason.message, |to| to.to_string())
            }
            Promoted::Ask(_) => panic!("nothing is gated"),
        }
    };
    vec![to(PolicyId::at(0)), to(PolicyId::at(1))]
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
    // One that has earned it goes, though something newer of the other one soaks.
    let here = (1, 1, 90);
    let earned = together("a", [&[(3, 2, 0), (2, 1, 50), here], &[here]]);
    assert_eq!(earned, ["v2.0.0", "v1.0.0 is what its source holds of worker"]);
}

/// A check that was skipped says nothing: what was said before counts, or nothing does.
#[test]
fn what_was_skipped_opens_no_gate() {
    let follows =
        Follows { sources: 1, any: false, soak: 0, gated: true, max_steps: None, windowed: false };
    let mut world = World::new(&[follows]);
    world.put(0, 2);
    world.happens(&Event::Says(0, true));
    let says = |world: &mut World, counts| {
        world.checks.values_mut().flatten().for_each(|check| check.counts = counts);
        world.decide(1).outcome
    };
    assert_eq!(says(&mut world, false), Outcome::Hold);
    assert_eq!(says(&mut world, true), Outcome::Update);
}

/// What is there already has nothing to earn, whatever its gates say by now.
#[test]
fn a_failing_gate_takes_nothing_back() {
    let follows =
        Follows { sources: 1, any: false, soak: 0, gated: true, max_steps: None, windowed: false };
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
