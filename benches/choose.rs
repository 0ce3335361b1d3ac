//! Choosing among 100,000 tags, against parsing them once with the `semver` crate.
//!
//! `cargo bench --bench choose` prints both and fails when the ratio is above 3. Both are measured
//! in turn, and the fastest round of each counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tagalong::choose::{Answers, Facts, Listing, select};
use tagalong::ledger::Ledger;
use tagalong::policy::{Id as _, PolicyFile, PolicyId, read};

const TAGS: usize = 100_000;
const ROUNDS: usize = 15;
const LIMIT: f64 = 3.0;

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
fn main() {
    let tags: Vec<String> = (0..TAGS)
        .map(|n| {
            let pre = if n % 7 == 0 { format!("-rc.{}", n % 5) } else { String::new() };
            format!("{}.{}.{}{pre}", n / 10_000, n / 100 % 100, n % 100)
        })
        .collect();
    let listing = Listing::from_texts(tags.iter().map(String::as_str));
    let policies = PolicyFile::new(
        "policies/p.yaml",
        "images: {p: {image: nginx, tags: {semver: '>=2 <9'}}}\n",
    );
    let (set, problems) = read(&[policies]);
    assert_eq!(problems, []);
    let (answers, ledger) = (Answers::default(), Ledger::default());
    let (now, skewed) = (Timestamp::UNIX_EPOCH, BTreeMap::new());
    let facts =
        Facts { now, answers: &answers, ledger: &ledger, skewed: &skewed, is_catalog: true };
    let (mut parsing, mut choosing) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let parsed: Vec<semver::Version> =
            tags.iter().filter_map(|tag| semver::Version::parse(tag).ok()).collect();
        parsing = parsing.min(start.elapsed());
        assert_eq!(std::hint::black_box(parsed).len(), TAGS);
        let start = Instant::now();
        let selection = select(&set.policies[PolicyId::at(0)], &listing, None, facts);
        let best = selection.as_ref().ok().and_then(|selection| selection.best());
        choosing = choosing.min(start.elapsed());
        assert_eq!(best.map(|best| best.tag.as_str()), Some("8.99.98"));
    }
    let ratio = choosing.as_secs_f64() / parsing.as_secs_f64();
    println!("parsing {TAGS} tags {parsing:?}, choosing among them {choosing:?}: {ratio:.2} times");
    assert!(ratio <= LIMIT, "{ratio:.2} times is more than {LIMIT}");
}
