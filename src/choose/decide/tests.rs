use super::*;
use crate::policy::{PolicyFile, read};

fn policy(tags: &str, more: &str) -> Policy {
    let text = format!("images: {{p: {{image: nginx, tags: {{{tags}}}{more}}}}}\n");
    let (mut set, problems) = read(&[PolicyFile::new("p.yaml", text)]);
    assert_eq!(problems, []);
    set.policies.remove(0)
}

fn deployed(text: &str) -> Deployed {
    let (tag, digest) = text.split_once('@').unwrap_or((text, ""));
    Deployed { tag: Tag::parse(tag), digest: Digest::parse(digest), renamed: false }
}

fn outcome(policy: &Policy, listed: &[&str], current: &str) -> String {
    let listing = Listing::from_texts(listed.iter().copied());
    let decision = decide(policy, &listing, &select(policy, &listing), &deployed(current));
    let to = decision.to.map_or("-".to_owned(), |tag| tag.to_string());
    format!("{:?} {to} {:?}", decision.outcome, decision.reason.code)
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

#[test]
fn digests_are_asked_for_only_where_they_matter() {
    let a = format!("sha256:{}", "a".repeat(64));
    let b = format!("sha256:{}", "b".repeat(64));
    let cases = [
        ("semver: '*'", "keep", "1.0.0", false, "Update -"),
        ("semver: '*'", "keep", &*format!("1.0.0@{a}"), true, "Update b"),
        ("semver: '*'", "keep", &format!("2.0.0@{a}"), false, "Keep -"),
        ("semver: '*'", "pin", "2.0.0", true, "Update b"),
        ("semver: '*'", "pin", &format!("2.0.0@{a}"), false, "Keep -"),
        ("semver: '*'", "drop", &format!("2.0.0@{a}"), false, "Update -"),
        ("semver: '*'", "drop", &format!("1.0.0@{a}"), false, "Update -"),
        ("fixed: 2.0.0", "keep", &format!("2.0.0@{a}"), true, "Update b"),
        ("fixed: 2.0.0", "keep", &format!("2.0.0@{b}"), true, "Keep b"),
        ("fixed: 2.0.0", "keep", "2.0.0", false, "Keep -"),
        ("fixed: 2.0.0", "keep", &format!("@{a}"), true, "Update b"),
    ];
    for (tags, mode, current, asked, want) in cases {
        let policy = policy(tags, &format!(", digest: {mode}"));
        let listing = Listing::from_texts(["1.0.0", "2.0.0"]);
        let current = deployed(current);
        let decision = decide(&policy, &listing, &select(&policy, &listing), &current);
        let mut count = 0;
        let settled = settle_digest(&policy, &current, decision, &mut |_| {
            count += 1;
            Some(Ok(Digest::parse(&b).unwrap()))
        });
        let digest = settled.to_digest.as_ref().map_or("-", |d| &d.as_str()[7..8]);
        let got = format!("{:?} {digest}", settled.outcome);
        assert_eq!((got.as_str(), count > 0), (want, asked), "{tags} {mode} {current:?}");
    }
}

proptest::proptest! {
    /// For any listing, the choice is the same in every order of the texts, is in the policy,
    /// and is never below what is deployed.
    #[test]
    fn the_choice_is_deterministic_and_never_backwards(
        versions in proptest::collection::vec((0_u64..4, 0_u64..4, 0_u64..4, 0..3), 1..20),
        current in 0_usize..20,
        seed in proptest::prelude::any::<u64>(),
    ) {
        let tag = |(a, b, c, style): &(u64, u64, u64, i32)| match style {
            0 => format!("{a}.{b}.{c}"),
            1 => format!("v{a}.{b}.{c}"),
            _ => format!("{a}.{b}.{c}-rc.1"),
        };
        let tags: Vec<String> = versions.iter().map(tag).collect();
        let mut shuffled = tags.clone();
        shuffled.sort_by_key(|tag| tag.bytes().fold(seed, |h, b| h.wrapping_mul(31).wrapping_add(b.into())));
        let policy = policy("semver: '>=1'", "");
        let current = &tags[current % tags.len()];
        let one = outcome(&policy, &tags.iter().map(String::as_str).collect::<Vec<_>>(), current);
        let other = outcome(&policy, &shuffled.iter().map(String::as_str).collect::<Vec<_>>(), current);
        proptest::prop_assert_eq!(&one, &other);
        if let Some(to) = one.strip_prefix("Update ").and_then(|rest| rest.split(' ').next()) {
            let version = |tag: &str| crate::image::version::parse(tag).unwrap();
            proptest::prop_assert!(version(to) > version(current));
            proptest::prop_assert!(version(to).pre.is_empty() && version(to).major >= 1);
        }
    }
}
