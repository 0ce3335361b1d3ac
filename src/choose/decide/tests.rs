use crate::policy::{EnvironmentId, Id as _};
use jiff::Timestamp;

use super::super::{Answers, Question, Verdict, select};
use super::*;
use crate::image::Repository;
use crate::ledger::{Ledger, Refusal};
use crate::policy::{PolicyFile, read};

fn policy(tags: &str, more: &str) -> Policy {
    let text = format!("images: {{p: {{image: nginx, tags: {{{tags}}}{more}}}}}\n");
    let (set, problems) = read(&[PolicyFile::new("p.yaml", text)]);
    assert_eq!(problems, []);
    set.policies.into_vec().remove(0)
}

fn deployed(text: &str) -> Deployed {
    let (tag, digest) = text.split_once('@').unwrap_or((text, ""));
    Deployed { tag: Tag::parse(tag), digest: Digest::parse(digest), ..Deployed::default() }
}

/// A world in which a decision is made.
struct Eyes {
    answers: Answers,
    ledger: Ledger,
    now: Timestamp,
    holds: &'static str,
    skewed: std::collections::BTreeMap<Repository, i64>,
    is_catalog: bool,
}

impl Default for Eyes {
    fn default() -> Self {
        let (answers, ledger) = (Answers::default(), Ledger::default());
        Self {
            answers,
            ledger,
            now: time("2026-11-21T12:00:00Z"),
            holds: "[]",
            skewed: std::collections::BTreeMap::new(),
            is_catalog: false,
        }
    }
}

impl Eyes {
    fn decide(
        &self,
        policy: &Policy,
        listing: &Listing,
        deployed: &Deployed,
    ) -> Result<Decision, Vec<Question>> {
        let text = format!("environments: {{e: {{paths: [.], holds: {}}}}}\n", self.holds);
        let (set, problems) = read(&[
            PolicyFile::new("e.yaml", text),
            PolicyFile::new(
                "p.yaml",
                "images: {p: {image: nginx, tags: {semver: '*'}}, q: {image: q, tags: {semver: '*'}}}\n",
            ),
        ]);
        assert_eq!(problems, []);
        let facts = Facts {
            now: self.now,
            answers: &self.answers,
            ledger: &self.ledger,
            skewed: &self.skewed,
            is_catalog: self.is_catalog,
        };
        let selection =
            select(policy, listing, deployed.tag.as_ref(), facts).map_err(|stop| match stop {
                Stop::Ask(questions) => questions,
                Stop::Undecided(reason) => panic!("{reason:?}"),
            })?;
        let environment = &set.environments[EnvironmentId::at(0)];
        let selection = &selection;
        Case { policy, environment, listing, selection, deployed, facts, beside: &[] }.decide()
    }

    fn outcome(&self, policy: &Policy, listing: &Listing, current: &str) -> String {
        match self.decide(policy, listing, &deployed(current)) {
            Ok(decision) => words(&decision),
            Err(questions) => format!("{questions:?}"),
        }
    }
}

fn words(decision: &Decision) -> String {
    let to = decision.to.as_ref().map_or("-".to_owned(), ToString::to_string);
    format!("{:?} {to} {:?}", decision.outcome, decision.reason.code)
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn outcome(policy: &Policy, listed: &[&str], current: &str) -> String {
    Eyes::default().outcome(policy, &Listing::from_texts(listed.iter().copied()), current)
}

#[test]
fn every_outcome_has_its_reason() {
    let semver = || policy("semver: '>=1 <3'", "");
    let down = || policy("semver: '>=1 <3'", ", allowDowngrade: true, allowVanished: true");
    let fixed = |tag: &str| policy(&format!("fixed: '{tag}'"), "");
    let list = ["1.0.0", "2.0.0", "2.1.0-rc.1", "3.0.0", "latest"];
    let cases: [(Policy, &[&str], &str, &str); 21] = [
        (semver(), &list, "1.0.0", "Update 2.0.0 Newer"),
        (semver(), &list, "2.0.0", "Keep 2.0.0 UpToDate"),
        (semver(), &list, "3.0.0", "Hold 2.0.0 Downgrade"),
        (down(), &list, "3.0.0", "Update 2.0.0 Older"),
        (semver(), &list, "1.5.0", "Hold 2.0.0 Vanished"),
        (down(), &list, "1.5.0", "Update 2.0.0 Newer"),
        (semver(), &list, "latest", "Hold 2.0.0 Unordered"),
        (down(), &list, "latest", "Update 2.0.0 Replaced"),
        (semver(), &["2.5", "2.4.9"], "2.5", "Hold 2.4.9 Downgrade"),
        (semver(), &["2.5", "2.5.1"], "2.5", "Update 2.5.1 Newer"),
        (semver(), &["v3", "2.5.1"], "v3", "Hold 2.5.1 Downgrade"),
        (semver(), &list, "", "Hold 2.0.0 DigestOnly"),
        (semver(), &["3.0.0", "latest"], "3.0.0", "Undecided - NoCandidate"),
        (semver(), &[], "1.0.0", "Undecided - EmptyListing"),
        (semver(), &["1.0.0", "v1.0.0"], "1.0.0", "Keep 1.0.0 UpToDate"),
        (semver(), &["1.0.0", "v1.1.0", "1.1.0"], "1.0.0", "Update v1.1.0 Newer"),
        (fixed("latest"), &list, "1.0.0", "Update latest Replaced"),
        (fixed("1.0.0"), &list, "2.0.0", "Hold 1.0.0 Downgrade"),
        (fixed("2.0.0"), &["2.0.0", "v2.0.0"], "v2.0.0", "Update 2.0.0 Newer"),
        (fixed("9"), &list, "latest", "Undecided - NoCandidate"),
        (policy("numerical: desc", ""), &["9", "10"], "10", "Update 9 Newer"),
    ];
    for (policy, listed, current, want) in cases {
        assert_eq!(outcome(&policy, listed, current), want, "{listed:?} {current}");
    }
}

#[test]
fn extracted_keys_order_and_the_original_tag_is_written() {
    let build = policy(r"match: '^main-[0-9a-f]+-(?<n>\d+)$', extract: '$n', numerical: asc", "");
    let list = ["main-ff-9", "main-0a-20260101123456788", "main-0b-20260101123456789", "x-1"];
    let got = outcome(&build, &list, "main-0a-20260101123456788");
    assert_eq!(got, "Update main-0b-20260101123456789 Newer");
}

fn digest(letter: char) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
}

fn nginx() -> Repository {
    Repository::parse("nginx").unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

#[test]
fn digests_are_asked_for_only_where_they_matter() {
    let (a, b) = (digest('a'), digest('b'));
    let cases = [
        ("semver: '*'", "keep", "1.0.0", false, "Update - Newer"),
        ("semver: '*'", "keep", &*format!("1.0.0@{a}"), true, "Update b Newer"),
        ("semver: '*'", "keep", &format!("2.0.0@{a}"), true, "Hold - TagMoved"),
        ("semver: '*'", "keep", &format!("2.0.0@{b}"), true, "Keep b UpToDate"),
        ("semver: '*'", "pin", "2.0.0", true, "Update b DigestMode"),
        ("semver: '*'", "drop", &format!("2.0.0@{a}"), false, "Update - DigestMode"),
        ("semver: '*'", "drop", &format!("1.0.0@{a}"), false, "Update - Newer"),
        ("fixed: 2.0.0", "keep", &format!("2.0.0@{a}"), true, "Update b DigestMoved"),
        ("fixed: '2.0'", "keep", &format!("2.0@{a}"), true, "Update b DigestMoved"),
        ("fixed: '2.0'", "keep", &format!("2.0@{b}"), true, "Keep b UpToDate"),
        ("fixed: '2.0'", "keep", "2.0", false, "Keep - UpToDate"),
        ("fixed: '2.0'", "keep", &format!("@{a}"), true, "Update b DigestMoved"),
        ("alphabetical: asc", "keep", &format!("b@{a}"), true, "Update b DigestMoved"),
        ("alphabetical: asc", "drop", "b", false, "Keep - UpToDate"),
    ];
    for (tags, mode, current, asked, want) in cases {
        let policy = policy(tags, &format!(", digest: {mode}"));
        let listing = Listing::from_texts(match tags {
            "alphabetical: asc" => ["a", "b"],
            "fixed: '2.0'" => ["1.0", "2.0"],
            _ => ["1.0.0", "2.0.0"],
        });
        let (decision, count) = settled(&policy, &listing, current);
        let digest = decision.to_digest.as_ref().map_or("-", |d| &d.as_str()[7..8]);
        let got = format!("{:?} {digest} {:?}", decision.outcome, decision.reason.code);
        assert_eq!((got.as_str(), count > 0), (want, asked), "{tags} {mode} {current}");
    }
}

/// Decides where every tag has the digest `b`, and indexes cannot be had; how often was asked.
fn settled(policy: &Policy, listing: &Listing, current: &str) -> (Decision, usize) {
    let mut eyes = Eyes::default();
    let mut count = 0;
    loop {
        match eyes.decide(policy, listing, &deployed(current)) {
            Ok(decision) => return (decision, count),
            Err(questions) => {
                for question in questions {
                    count += 1;
                    match question {
                        Question::Digest(repository, tag) => {
                            eyes.answers.digests.insert((repository, tag), Ok(digest('b')));
                        }
                        other => eyes
                            .answers
                            .refuse(other, |what| Reason::new(ReasonCode::NotFound, what)),
                    }
                }
            }
        }
    }
}

type Entries<'a> = &'a [(&'a str, char)];

#[test]
fn a_moved_index_with_the_same_images_is_no_update() {
    let index = |entries: &[(&str, char)]| -> super::super::Contents {
        let entries = entries.iter();
        entries.map(|(p, d)| (crate::image::Platform::parse(p).unwrap(), digest(*d))).collect()
    };
    let old = [("linux/amd64", '1'), ("linux/arm64", '2'), ("unknown/unknown", '3')];
    let cases: [(&str, Entries<'_>, &str); 5] = [
        (
            "",
            &[("linux/amd64", '1'), ("linux/arm64", '2'), ("unknown/unknown", '9')],
            "SamePlatforms",
        ),
        ("", &[("linux/amd64", '1'), ("linux/arm64", '9')], "DigestMoved"),
        (
            ", platforms: [linux/amd64]",
            &[("linux/amd64", '1'), ("linux/arm64", '9')],
            "SamePlatforms",
        ),
        (", platforms: [linux/amd64]", &[("linux/amd64", '9')], "DigestMoved"),
        (", platforms: [linux/amd64]", &[("linux/arm64", '2')], "MissingPlatform"),
    ];
    for (more, new, want) in cases {
        let policy = policy("fixed: '2.0'", more);
        let mut eyes = Eyes::default();
        eyes.answers.digests.insert((nginx(), tag("2.0")), Ok(digest('b')));
        eyes.answers.contents.insert((nginx(), digest('a')), Ok(index(&old)));
        eyes.answers.contents.insert((nginx(), digest('b')), Ok(index(new)));
        let listing = Listing::from_texts(["2.0"]);
        let got = eyes.outcome(&policy, &listing, &format!("2.0@{}", digest('a')));
        assert!(got.ends_with(want), "{more} {new:?}: {got}");
    }
}

#[test]
fn what_is_too_young_waits_and_an_older_one_goes_ahead() {
    let policy = policy("semver: '*'", ", minAge: 3d");
    let listing = Listing::from_texts(["1.0.0", "1.1.0", "1.2.0"]);
    let mut eyes = Eyes::default();
    for (letter, listed) in [('b', "1.1.0"), ('c', "1.2.0")] {
        eyes.answers.digests.insert((nginx(), tag(listed)), Ok(digest(letter)));
    }
    assert_eq!(eyes.outcome(&policy, &listing, "1.0.0"), "Hold 1.2.0 TooYoung");
    eyes.ledger.see(&nginx(), &tag("1.1.0"), Some(&digest('b')), time("2026-11-18T12:00:00Z"));
    let decision = eyes.decide(&policy, &listing, &deployed("1.0.0")).unwrap();
    assert_eq!(words(&decision), "Update 1.1.0 Newer");
    let (_, reason) = &decision.passed_over[0];
    assert!(reason.message.contains("eligible at 2026-11-24T12:00:00Z"), "{decision:?}");
    // A second earlier it was too young, and the digest of another day does not count.
    eyes.now = time("2026-11-21T11:59:59Z");
    assert_eq!(eyes.outcome(&policy, &listing, "1.0.0"), "Hold 1.2.0 TooYoung");
    eyes.now = time("2026-11-30T12:00:00Z");
    eyes.answers.digests.insert((nginx(), tag("1.1.0")), Ok(digest('f')));
    let decision = eyes.decide(&policy, &listing, &deployed("1.0.0")).unwrap();
    assert_eq!(words(&decision), "Hold 1.2.0 TooYoung");
    assert_eq!(decision.passed_over[1].1.code, ReasonCode::TagMoved);
}

#[test]
fn the_later_of_two_times_counts() {
    let policy = policy("semver: '*'", ", minAge: 3d");
    let (young, old) = (Some("2026-11-20T12:00:00Z"), Some("2026-11-01T12:00:00Z"));
    let (never, ahead) = (Some("9999-12-30T00:00:00Z"), Some("2026-11-22T11:00:00Z"));
    let cases = [
        (old, old, false, true),
        (young, old, false, false),
        (old, young, false, false),
        (old, None, false, false),
        (old, None, true, true),
        (young, None, true, false),
        (None, old, false, true),
        (None, None, true, false),
        // A time that cannot be true does not hold a tag back for ever, or let it through.
        (never, old, false, true),
        (never, None, true, false),
        (ahead, old, false, false),
        (old, never, false, false),
    ];
    for (pushed, seen, is_catalog, want) in cases {
        let mut listing = Listing::from_texts(["1.0.0", "1.1.0"]);
        listing.tags.get_mut(&tag("1.1.0")).unwrap().pushed = pushed.map(time);
        let mut eyes = Eyes { is_catalog, ..Eyes::default() };
        eyes.answers.digests.insert((nginx(), tag("1.1.0")), Ok(digest('b')));
        if let Some(seen) = seen {
            eyes.ledger.see(&nginx(), &tag("1.1.0"), Some(&digest('b')), time(seen));
        }
        let got = eyes.outcome(&policy, &listing, "1.0.0") == "Update 1.1.0 Newer";
        assert_eq!(got, want, "{pushed:?} {seen:?} {is_catalog}");
    }
}

#[test]
fn guards_of_the_ledger_hold_and_can_be_overruled() {
    let listing = Listing::from_texts(["1.0.0", "1.1.0", "1.2.0"]);
    let mut eyes = Eyes::default();
    let at = time("2026-11-01T00:00:00Z");
    let refusal =
        Refusal { why: "#7 was closed".into(), pull_request: Some(7), reverted: false, at };
    eyes.ledger.refuse("e", "p", "1.2.0", refusal.clone());
    let semver = policy("semver: '*'", "");
    assert_eq!(eyes.outcome(&semver, &listing, "1.0.0"), "Hold 1.2.0 Refused");
    assert_eq!(eyes.outcome(&semver, &listing, "1.1.0"), "Hold 1.2.0 Refused");
    // What was refused elsewhere is not refused here.
    let mut elsewhere = Eyes::default();
    elsewhere.ledger.refuse("f", "p", "1.2.0", refusal);
    assert_eq!(elsewhere.outcome(&semver, &listing, "1.0.0"), "Update 1.2.0 Newer");
    eyes.ledger.list(&nginx(), 7);
    assert_eq!(eyes.outcome(&semver, &listing, "1.0.0"), "Undecided - ShrunkenListing");
    let believing = policy("semver: '*'", ", allowShrunken: true");
    assert_eq!(eyes.outcome(&believing, &listing, "1.0.0"), "Hold 1.2.0 Refused");
}

#[test]
fn what_is_refused_takes_everything_up_to_it_along() {
    let refusal = |pull_request| Refusal {
        why: "#7 was closed".into(),
        pull_request: Some(pull_request),
        reverted: false,
        at: time("2026-11-01T00:00:00Z"),
    };
    let cases: [(&str, &[&str], &str, &str, &str); 9] = [
        ("semver: '*'", &["1.4.1", "1.4.2", "1.5.0"], "1.5.0", "1.4.0", "Hold 1.5.0 Refused"),
        ("semver: '*'", &["1.4.1", "1.4.2", "1.5.1"], "1.5.0", "1.4.1", "Update 1.5.1 Newer"),
        // It need not be listed any more.
        ("semver: minor", &["1.4.1", "1.4.2"], "1.5.0", "1.4.1", "Hold 1.4.2 Refused"),
        // Beyond what the policy reaches, it counts all the same.
        ("semver: patch", &["1.4.1", "1.4.2", "1.5.0"], "1.5.0", "1.4.1", "Hold 1.4.2 Refused"),
        // Another variant is another matter.
        ("semver: minor", &["1.4.1", "1.4.2"], "1.5.0-alpine", "1.4.1", "Update 1.4.2 Newer"),
        ("numerical: asc", &["7", "8", "9"], "9", "7", "Hold 9 Refused"),
        ("calver: YYYY.MM", &["2026.1", "2026.2"], "2026.2", "2026.1", "Hold 2026.2 Refused"),
        ("alphabetical: desc", &["a", "b", "c"], "a", "c", "Hold a Refused"),
        (
            "semver: '*'",
            &["1.4.1", "1.4.2", "1.5.0"],
            "1.5.0@sha256:0",
            "1.4.1",
            "Update 1.5.0 Newer",
        ),
    ];
    for (tags, listed, refused, current, want) in cases {
        let mut eyes = Eyes::default();
        eyes.ledger.refuse("e", "p", refused, refusal(7));
        let listing = Listing::from_texts(listed.iter().copied().chain([current]));
        assert_eq!(eyes.outcome(&policy(tags, ""), &listing, current), want, "{tags} {refused}");
    }
}

#[test]
fn a_hold_holds_until_it_ends() {
    let listing = Listing::from_texts(["1.0.0", "1.1.0"]);
    let semver = policy("semver: '*'", "");
    let mut eyes =
        Eyes { holds: "[{images: [p], until: 2026-11-22, reason: peak}]", ..Eyes::default() };
    let decision = eyes.decide(&semver, &listing, &deployed("1.0.0")).unwrap();
    assert_eq!(words(&decision), "Hold 1.1.0 Held");
    assert_eq!(decision.reason.message, "held until 2026-11-22T00:00:00Z: peak");
    assert_eq!(eyes.outcome(&semver, &listing, "1.1.0"), "Keep 1.1.0 UpToDate");
    eyes.now = time("2026-11-22T00:00:00Z");
    assert_eq!(eyes.outcome(&semver, &listing, "1.0.0"), "Update 1.1.0 Newer");
    eyes = Eyes { holds: "[{images: [q], until: 2026-11-22, reason: x}]", ..Eyes::default() };
    assert_eq!(eyes.outcome(&semver, &listing, "1.0.0"), "Update 1.1.0 Newer");
}

#[test]
fn platforms_and_signatures_send_to_the_next_candidate() {
    let policy =
        policy("semver: '*'", ", platforms: [linux/arm64], verify: {cosign: {key: k.pub}}");
    let listing = Listing::from_texts(["1.0.0", "1.1.0", "1.2.0", "1.3.0"]);
    let mut eyes = Eyes::default();
    let platform = |text| crate::image::Platform::parse(text).unwrap();
    for (letter, listed, runs_on, verdict) in [
        ('b', "1.1.0", "linux/arm64", Verdict::Verified),
        ('c', "1.2.0", "linux/arm64", Verdict::Not("it has no signature".into())),
        ('d', "1.3.0", "linux/amd64", Verdict::Verified),
    ] {
        eyes.answers.digests.insert((nginx(), tag(listed)), Ok(digest(letter)));
        let contents = super::super::Contents::from([(platform(runs_on), digest('9'))]);
        eyes.answers.contents.insert((nginx(), digest(letter)), Ok(contents));
        eyes.answers.signed.insert(("p".into(), nginx(), digest(letter)), Ok(verdict));
    }
    let decision = eyes.decide(&policy, &listing, &deployed("1.0.0")).unwrap();
    assert_eq!(words(&decision), "Update 1.1.0 Newer");
    assert_eq!(decision.to_digest, Some(digest('b')));
    let codes: Vec<_> = decision.passed_over.iter().map(|(_, reason)| reason.code).collect();
    assert_eq!(codes, [ReasonCode::MissingPlatform, ReasonCode::Unverified]);
    // What cannot be learnt is not passed over: a registry that fails must not lead to older images.
    eyes.answers.refuse(Question::Signed("p".into(), nginx(), digest('c')), |what| {
        Reason::new(ReasonCode::Unavailable, what)
    });
    assert_eq!(eyes.outcome(&policy, &listing, "1.0.0"), "Undecided 1.2.0 NoVerdict");
}

#[test]
fn the_number_of_candidates_that_are_asked_about_is_bounded() {
    let policy = policy("semver: '*'", ", minAge: 3d");
    let tags: Vec<String> = (0..100).map(|minor| format!("1.{minor}.0")).collect();
    let listing = Listing::from_texts(tags.iter().map(String::as_str));
    let (decision, asked) = settled(&policy, &listing, "1.0.0");
    assert_eq!((words(&decision).as_str(), asked), ("Hold 1.99.0 TooYoung", MAX_ASKED));
    assert!(decision.reason.message.contains("20 candidates did not pass"), "{decision:?}");
}

#[test]
fn other_orders_choose_as_they_say() {
    let cases: [(&str, &[&str], &str, &str); 9] = [
        (
            "calver: YYYY.0M.DD",
            &["2026.07.1", "2026.10.1", "2026.10", "x"],
            "2026.07.1",
            "Update 2026.10.1 Newer",
        ),
        ("calver: YYYY.0M.DD", &["2026.07.1", "2026.13.1"], "2026.07.1", "Keep 2026.07.1 UpToDate"),
        (
            "semver: patch",
            &["1.27-alpine", "1.28-alpine"],
            "1.27-alpine",
            "Keep 1.27-alpine UpToDate",
        ),
        (
            "semver: minor",
            &["1.27-alpine", "1.28-alpine", "1.29"],
            "1.27-alpine",
            "Update 1.28-alpine Newer",
        ),
        ("semver: minor", &["1.27.0", "v1.28.0", "2.0.0"], "1.27.0", "Keep 1.27.0 UpToDate"),
        ("semver: major", &["1.27.0", "2.0.0", "3.0.0-rc.1"], "1.27.0", "Update 2.0.0 Newer"),
        (
            "semver: major, prereleases: true",
            &["1.27.0", "3.0.0-rc.1"],
            "1.27.0",
            "Update 3.0.0-rc.1 Newer",
        ),
        ("semver: minor", &["latest", "1.0.0"], "latest", "Hold - Unordered"),
        (
            "semver: '>=1', variant: keep",
            &["1.0.0-alpine", "1.1.0-alpine", "1.2.0"],
            "1.0.0-alpine",
            "Update 1.1.0-alpine Newer",
        ),
    ];
    for (tags, listed, current, want) in cases {
        assert_eq!(outcome(&policy(tags, ""), listed, current), want, "{tags} {listed:?}");
    }
}

#[test]
fn the_newest_is_the_last_that_the_registry_got() {
    let listing = |times: &[(&str, Option<&str>)]| {
        let mut listing = Listing::from_texts(times.iter().map(|(tag, _)| *tag));
        for (listed, at) in times {
            listing.tags.get_mut(&tag(listed)).unwrap().pushed = at.map(time);
        }
        listing
    };
    let newest = policy("newest: pushed, match: '^[a-f]+$'", "");
    let told =
        [("a", Some("2026-11-03T00:00:00Z")), ("b", Some("2026-11-02T00:00:00Z")), ("z", None)];
    let eyes = Eyes::default();
    assert_eq!(eyes.outcome(&newest, &listing(&told), "b"), "Update a Newer");
    assert_eq!(eyes.outcome(&newest, &listing(&told), "a"), "Keep a UpToDate");
    // Without times: what was there at our first sight is of equal age, and nothing moves.
    let silent = [("a", None), ("b", None), ("c", None)];
    assert_eq!(eyes.outcome(&newest, &listing(&silent), "a"), "Keep a UpToDate");
    let mut later = Eyes::default();
    for seen in ["a", "b"] {
        later.ledger.see(&nginx(), &tag(seen), None, time("2026-11-20T00:00:00Z"));
    }
    assert_eq!(later.outcome(&newest, &listing(&silent), "a"), "Update c Newer");
    let created = policy("newest: created", "");
    let asked = eyes.decide(&created, &listing(&silent), &deployed("a")).unwrap_err();
    assert_eq!(asked.len(), 3);
}

#[test]
fn numbers_only_stops_where_flux_does() {
    let mut flux = policy("numerical: asc", "");
    let listed = ["1", "2", "x"];
    assert_eq!(outcome(&flux, &listed, "1"), "Update 2 Newer");
    flux.rule.stop_at_what_is_no_number();
    assert_eq!(outcome(&flux, &listed, "1"), "Undecided - NoCandidate");
}

mod ages;
mod orders;
mod published;
