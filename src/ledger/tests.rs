use super::*;

fn digest(letter: &str) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.repeat(64))).unwrap()
}

fn at(hour: i8) -> Timestamp {
    format!("2026-11-20T{hour:02}:00:00Z").parse().unwrap()
}

#[test]
fn the_first_sight_stays_and_a_second_digest_is_noticed() {
    let (shop, tag) = (Repository::parse("ghcr.io/acme/shop").unwrap(), Tag::parse("v1").unwrap());
    let mut ledger = Ledger::default();
    ledger.see(&shop, &tag, None, at(1));
    ledger.see(&shop, &tag, Some(&digest("a")), at(2));
    ledger.see(&shop, &tag, Some(&digest("a")), at(3));
    assert_eq!(ledger.first_sight(&shop, &tag, &digest("a")), Some(at(2)));
    assert_eq!(ledger.first_listed(&shop, &tag), Some(at(1)));
    assert_eq!(ledger.other_digest(&shop, &tag, &digest("a")), None);
    assert_eq!(ledger.other_digest(&shop, &tag, &digest("b")), Some(digest("a")));
    ledger.see(&shop, &tag, Some(&digest("b")), at(4));
    assert_eq!(ledger.other_digest(&shop, &tag, &digest("b")), Some(digest("a")));
    assert_eq!(ledger.other_digest(&shop, &tag, &digest("a")), None);
    assert_eq!(Ledger::parse(ledger.to_json().as_bytes()), Ok(ledger.clone()));
    ledger.forget(&shop, |tag| tag != "v1");
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn sizes_are_recorded_when_they_matter() {
    let shop = Repository::parse("ghcr.io/acme/shop").unwrap();
    let mut ledger = Ledger::default();
    for (tags, want) in
        [(100, 100), (110, 100), (125, 100), (126, 126), (120, 126), (10, 10), (6, 10), (4, 4)]
    {
        ledger.list(&shop, tags);
        assert_eq!(ledger.listed(&shop), Some(want), "{tags}");
    }
}

#[test]
fn a_reopened_pull_request_takes_its_refusals_back() {
    let mut ledger = Ledger::default();
    let refusal =
        Refusal { why: "#7 was closed".into(), pull_request: Some(7), reverted: false, at: at(1) };
    ledger.refuse("prod", "shop", "v1", refusal.clone());
    assert_eq!(ledger.refusal("prod", "shop", "v1"), Some(&refusal));
    assert_eq!(ledger.refusal("staging", "shop", "v1"), None);
    ledger.reopen(8);
    assert!(ledger.refusal("prod", "shop", "v1").is_some());
    ledger.reopen(7);
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn what_is_not_a_ledger_is_refused() {
    assert!(matches!(Ledger::parse(b"<html>"), Err(InvalidLedger::Syntax(_))));
    assert!(matches!(Ledger::parse(b"{}"), Err(InvalidLedger::Syntax(_))));
    assert_eq!(Ledger::parse(br#"{"version":2}"#), Err(InvalidLedger::Newer(2)));
    assert_eq!(Ledger::parse(br#"{"version":1,"later":3}"#), Ok(Ledger::default()));
}
