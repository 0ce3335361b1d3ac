//! What comes when, and that nothing is lost.

use super::*;

fn served(repo: &str) -> Served {
    let environments = vec![("dev".to_owned(), Duration::from_secs(30))];
    let repo = repo.to_owned();
    Served { repo, branch: None, interval: Duration::from_mins(5), environments }
}

fn schedule(repos: &[&str], at_once: usize) -> Schedule {
    let mut schedule = Schedule::default();
    let served: Vec<Served> = repos.iter().map(|repo| served(repo)).collect();
    schedule.serve(&served, Duration::from_secs(10), at_once, SinceStart::ZERO);
    schedule
}

/// What is next, by the repository's name.
fn next(all: &mut Schedule, now: SinceStart) -> Option<(&'static str, Work)> {
    let (served, work) = all.next(now)?;
    let names = ["a/a", "a/b", "a/c", "a/d"];
    names.into_iter().find(|name| *name == served.repo).map(|name| (name, work))
}

fn at(seconds: u64) -> SinceStart {
    SinceStart::from_secs(seconds)
}

fn images(names: &[&str]) -> Work {
    Work::Images(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn everything_is_due_at_first_and_again_after_its_interval() {
    let mut all = schedule(&["a/a", "a/b"], 1);
    assert_eq!(next(&mut all, at(0)), Some(("a/a", Work::Everything)));
    // There is room when the one that runs has taken too long.
    assert_eq!((next(&mut all, at(0)), all.wakes(at(0))), (None, Some(at(120))));
    all.done(&served("a/a"), RunEnd::Well, at(1));
    assert_eq!(next(&mut all, at(1)), Some(("a/b", Work::Everything)));
    all.done(&served("a/b"), RunEnd::Well, at(2));
    assert_eq!(all.wakes(at(2)), Some(at(30)));
    let dev = Work::Environments(BTreeSet::from(["dev".to_owned()]));
    assert_eq!(next(&mut all, at(30)), Some(("a/a", dev)));
    all.done(&served("a/a"), RunEnd::Well, at(30));
    assert_eq!(next(&mut all, at(400)), Some(("a/b", Work::Everything)));
}

#[test]
fn any_number_of_hints_is_one_look() {
    let mut all = schedule(&["a/a"], 1);
    assert!(next(&mut all, at(0)).is_some());
    all.done(&served("a/a"), RunEnd::Well, at(0));
    for second in 0..10_000 {
        all.hint(0, images(&["shop"]), at(1) + Duration::from_micros(second));
    }
    all.hint(0, images(&["web"]), at(5));
    assert_eq!(next(&mut all, at(10)), None);
    assert_eq!(next(&mut all, at(11)), Some(("a/a", images(&["shop", "web"]))));
    // What comes while it is worked on is not lost.
    all.hint(0, images(&["shop"]), at(12));
    assert_eq!(next(&mut all, at(23)), None);
    all.done(&served("a/a"), RunEnd::Well, at(24));
    assert_eq!(next(&mut all, at(24)), Some(("a/a", images(&["shop"]))));
}

#[test]
fn what_fails_is_left_alone_for_longer() {
    let mut all = Schedule::default();
    let alone = Served { environments: Vec::new(), ..served("a/a") };
    all.serve(std::slice::from_ref(&alone), Duration::ZERO, 1, SinceStart::ZERO);
    let mut last = at(0);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let due = all.wakes(last).unwrap();
        pauses.push(due.saturating_sub(last).as_secs());
        assert_eq!(next(&mut all, due), Some(("a/a", Work::Everything)));
        all.done(&alone, RunEnd::Badly, due);
        last = due;
    }
    // The first failure may be a chance.
    assert!((270..=330).contains(&pauses[1]), "{pauses:?}");
    assert_eq!(pauses[2..], [1200, 2400, 3600, 3600]);
    assert_eq!(next(&mut all, last + at(3600)), Some(("a/a", Work::Everything)));
    all.done(&alone, RunEnd::Well, last);
    assert!(all.wakes(last).unwrap() <= last + at(3600 + 330));
}

#[test]
fn an_environment_that_fails_keeps_nothing_else_back() {
    let mut all = schedule(&["a/a"], 1);
    let (mut now, mut whole) = (at(0), 0);
    while now < at(86_400) {
        now = all.wakes(now).unwrap().max(now);
        let (_, work) = next(&mut all, now).unwrap();
        whole += usize::from(work == Work::Everything);
        let end = if work == Work::Everything { RunEnd::Well } else { RunEnd::Badly };
        all.done(&served("a/a"), end, now);
    }
    // A day of five minutes each.
    assert!((260..=320).contains(&whole), "{whole}");
}

#[test]
fn a_reload_keeps_what_runs() {
    let mut all = schedule(&["a/a"], 1);
    assert!(next(&mut all, at(0)).is_some());
    let slower = Served { interval: Duration::from_mins(10), ..served("a/a") };
    all.serve(std::slice::from_ref(&slower), Duration::ZERO, 1, at(1));
    assert_eq!((all.running(), next(&mut all, at(1))), (1, None));
    // Gone and back again while it runs: it is one repository still.
    all.serve(&[], Duration::ZERO, 1, at(2));
    assert_eq!(all.running(), 1);
    all.serve(std::slice::from_ref(&slower), Duration::ZERO, 1, at(3));
    assert_eq!(next(&mut all, at(3)), None);
    all.done(&served("a/a"), RunEnd::Well, at(4));
    assert_eq!(next(&mut all, at(4)), Some(("a/a", Work::Everything)));
    assert_eq!(all.running(), 1);
}

#[test]
fn a_reload_keeps_what_is_known() {
    let mut all = schedule(&["a/a", "a/b"], 2);
    assert!(next(&mut all, at(0)).is_some());
    all.hint(1, images(&["shop"]), at(1));
    all.serve(&[served("a/b"), served("a/c")], Duration::from_secs(10), 2, at(2));
    // The one that is gone may end, and nothing comes of it.
    all.done(&served("a/a"), RunEnd::Well, at(3));
    assert_eq!(all.hinted(), 1);
    assert_eq!(next(&mut all, at(3)), Some(("a/b", Work::Everything)));
    assert_eq!(next(&mut all, at(3)), Some(("a/c", Work::Everything)));
}

/// Nobody rings twice: what a webhook brought is tried again when the look at it did not succeed.
#[test]
fn a_hint_outlives_a_look_that_fails() {
    let mut all = Schedule::default();
    let alone = Served { environments: Vec::new(), interval: at(36_000), ..served("a/a") };
    all.serve(std::slice::from_ref(&alone), Duration::ZERO, 1, SinceStart::ZERO);
    assert!(next(&mut all, at(0)).is_some());
    all.done(&alone, RunEnd::Well, at(0));
    all.hint(0, images(&["shop"]), at(0));
    let mut tried = Vec::new();
    let mut now = at(0);
    for _ in 0..3 {
        now = all.wakes(now).unwrap();
        tried.push(now.as_secs());
        assert_eq!(next(&mut all, now), Some(("a/a", images(&["shop"]))));
        all.done(&alone, if tried.len() < 3 { RunEnd::Partly } else { RunEnd::Well }, now);
    }
    assert_eq!((tried, all.hinted()), (vec![0, 30, 90], 0));
    // A look of everything that answered it and failed is no answer, either; and there is an end to it.
    all.hint(0, images(&["web"]), at(36_000) + at(3600));
    let due = all.wakes(now).unwrap();
    assert_eq!(next(&mut all, due.max(at(39_600))), Some(("a/a", Work::Everything)));
    now = at(39_600);
    all.done(&alone, RunEnd::Badly, now);
    for _ in 0..TRIES {
        assert_eq!(all.hinted(), 1);
        now = all.wakes(now).unwrap();
        assert_eq!(next(&mut all, now), Some(("a/a", images(&["web"]))));
        all.done(&alone, RunEnd::Badly, now);
    }
    assert_eq!(all.hinted(), 0);
}

#[test]
fn what_is_repaired_is_looked_at_as_before() {
    let mut all = Schedule::default();
    let alone = Served { environments: Vec::new(), ..served("a/a") };
    all.serve(std::slice::from_ref(&alone), Duration::ZERO, 1, SinceStart::ZERO);
    let mut now = at(0);
    for _ in 0..6 {
        now = all.wakes(now).unwrap();
        assert!(next(&mut all, now).is_some());
        all.done(&alone, RunEnd::Badly, now);
    }
    assert_eq!(all.wakes(now).unwrap().saturating_sub(now).as_secs(), 3600);
    // Somebody merges the repair, and that rings.
    all.hint(0, Work::Everything, now);
    assert!(next(&mut all, now).is_some());
    all.done(&alone, RunEnd::Well, now);
    assert_eq!(all.wakes(now).unwrap().saturating_sub(now).as_secs(), 300);
}

#[test]
fn slow_ones_keep_no_place_from_others() {
    let names: Vec<String> = (0..20).map(|number| format!("a/{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut all = schedule(&names, 2);
    let mut begun = Vec::new();
    for minute in 0..30 {
        while let Some((served, _)) = all.next(at(minute * 60)) {
            begun.push((minute, served.repo));
        }
    }
    // None of them ever ends: two more may begin whenever two have become slow, up to a limit.
    let minutes: Vec<u64> = begun.iter().map(|(minute, _)| *minute).collect();
    assert_eq!(minutes, [0, 0, 2, 2, 4, 4, 6, 6]);
    assert_eq!((all.running(), all.wakes(at(1800))), (8, None));
    all.done(&served(&begun[0].1), RunEnd::Well, at(1800));
    assert!(all.next(at(1800)).is_some());
}

proptest::proptest! {
    /// Whatever is hinted when, each repository that was hinted is looked at by the end of the debounce, and
    /// never more than one look runs in a repository, nor more than allowed in all.
    #[test]
    fn no_hint_is_lost(events in proptest::collection::vec((0_usize..4, 0_u64..40, proptest::bool::ANY), 1..60)) {
        let names = ["a/a", "a/b", "a/c", "a/d"];
        let mut all = schedule(&names, 2);
        let (mut now, mut running, mut open) = (at(0), Vec::new(), [None::<SinceStart>; 4]);
        for (unit, pause, ends) in events {
            all.hint(unit, images(&["shop"]), now);
            open[unit] = open[unit].or(Some(now));
            now += at(pause);
            if ends {
                for index in running.drain(..) {
                    all.done(&served(names[index]), RunEnd::Well, now);
                }
            }
            while let Some((name, _)) = next(&mut all, now) {
                let index = names.iter().position(|known| *known == name).unwrap();
                proptest::prop_assert!(!running.contains(&index));
                running.push(index);
                if open[index].is_some_and(|hinted| hinted + at(10) <= now) || all.units[index].hint.is_none() {
                    open[index] = None;
                }
            }
            proptest::prop_assert!(running.len() <= 2 * SLOW_ONES);
            let overdue = |index: &usize| open[*index].is_some_and(|hinted| hinted + at(10) <= now);
            let idle = (0..4).filter(|index| !running.contains(index));
            if running.len() < 2 {
                proptest::prop_assert!(!idle.clone().any(|index| overdue(&index)));
            }
        }
    }
}
