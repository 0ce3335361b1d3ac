//! What waits, what is new, and what must not be hidden by it.

use super::*;

#[test]
fn many_young_candidates_do_not_hide_an_old_one() {
    let policy = policy("semver: '*'", ", minAge: 3d");
    let tags: Vec<String> = (0..100).map(|minor| format!("1.{minor}.0")).collect();
    let listing = Listing::from_texts(tags.iter().map(String::as_str));
    let mut eyes = Eyes::default();
    for minor in 1..100 {
        let (seen, digest) = (tag(&format!("1.{minor}.0")), digest('b'));
        let at = if minor < 50 { "2026-11-01T00:00:00Z" } else { "2026-11-20T00:00:00Z" };
        eyes.ledger.see(&nginx(), &seen, Some(&digest), time(at));
    }
    eyes.answers.digests.insert((nginx(), tag("1.49.0")), Ok(digest('b')));
    let decision = eyes.decide(&policy, &listing, &deployed("1.0.0")).unwrap();
    assert_eq!(
        (words(&decision).as_str(), decision.passed_over.len()),
        ("Update 1.49.0 Newer", 50)
    );
}

#[test]
fn an_alarm_is_not_hidden_by_what_waits() {
    let policy = policy("semver: '*'", ", minAge: 3d");
    let listing = Listing::from_texts(["1.0.0", "1.1.0"]);
    let mut eyes = Eyes::default();
    for (listed, letter) in [("1.0.0", 'b'), ("1.1.0", 'c')] {
        eyes.answers.digests.insert((nginx(), tag(listed)), Ok(digest(letter)));
    }
    let current = format!("1.0.0@{}", digest('a'));
    assert_eq!(eyes.outcome(&policy, &listing, &current), "Hold 1.0.0 TagMoved");
    let current = format!("1.0.0@{}", digest('b'));
    assert_eq!(eyes.outcome(&policy, &listing, &current), "Hold 1.1.0 TooYoung");
}

#[test]
fn a_tag_that_comes_back_is_not_new() {
    let policy = policy("newest: pushed", "");
    let mut eyes = Eyes::default();
    for (seen, at) in [("a", "2026-11-01T00:00:00Z"), ("b", "2026-11-02T00:00:00Z")] {
        eyes.ledger.see(&nginx(), &tag(seen), None, time(at));
    }
    let listing = Listing::from_texts(["a", "b"]);
    assert_eq!(eyes.outcome(&policy, &listing, "b"), "Keep b UpToDate");
    let many: Vec<String> = (0..5_001).map(|n| format!("t{n}")).collect();
    let listing = Listing::from_texts(many.iter().map(String::as_str));
    let facts = Facts {
        now: eyes.now,
        answers: &eyes.answers,
        ledger: &eyes.ledger,
        skewed: &eyes.skewed,
        is_catalog: false,
    };
    assert!(matches!(select(&policy, &listing, None, facts), Err(Stop::Undecided(_))));
}
