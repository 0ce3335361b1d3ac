//! What holds in every order.

use super::*;

/// Policies of every order.
const ORDERS: [&str; 10] = [
    "semver: '>=1'",
    "semver: '>=1', prereleases: true",
    "semver: '>=1', variant: keep",
    "semver: minor",
    "semver: patch, variant: any",
    "calver: YYYY.MM.DD",
    "numerical: asc",
    "numerical: desc",
    "alphabetical: desc",
    "match: '^v?(?<n>[0-9]+)', extract: '$n', numerical: asc",
];

proptest::proptest! {
    /// For any listing and any order, the choice is the same in every order of the texts, is in the
    /// policy, and is never below what is deployed.
    #[test]
    fn the_choice_is_deterministic_and_never_backwards(
        numbers in proptest::collection::vec((0_u64..4, 0_u64..4, 1_u64..4, 0..8), 1..20),
        order in 0_usize..ORDERS.len(),
        current in 0_usize..20,
        seed in proptest::prelude::any::<u64>(),
    ) {
        let tag = |(a, b, c, style): &(u64, u64, u64, i32)| match style {
            0 => format!("{a}.{b}.{c}"),
            1 => format!("v{a}.{b}.{c}"),
            2 => format!("{a}.{b}.{c}-rc.1"),
            3 => format!("{a}.{b}.{c}-alpine"),
            4 => format!("{a}.{b}"),
            5 => format!("{a}{b}{c}"),
            6 => format!("202{a}.{}.{c}", b + 1),
            _ => format!("main-{a}"),
        };
        let tags: Vec<String> = numbers.iter().map(tag).collect();
        let mut shuffled = tags.clone();
        shuffled.sort_by_key(|tag| tag.bytes().fold(seed, |h, b| h.wrapping_mul(31).wrapping_add(b.into())));
        let policy = policy(ORDERS[order], "");
        let current = &tags[current % tags.len()];
        let one = outcome(&policy, &tags.iter().map(String::as_str).collect::<Vec<_>>(), current);
        let other = outcome(&policy, &shuffled.iter().map(String::as_str).collect::<Vec<_>>(), current);
        proptest::prop_assert_eq!(&one, &other);
        if let Some(to) = one.strip_prefix("Update ").and_then(|rest| rest.split(' ').next()) {
            let (to, current) = (self::tag(to), self::tag(current));
            let ranker = policy.rule.ranker(Some(&current));
            let rank = |tag: &Tag| ranker.rank_deployed(tag, None).unwrap();
            proptest::prop_assert!(ranker.rank(&to, None).is_ok());
            proptest::prop_assert_eq!(rank(&to).compare(&rank(&current)), Ordering::Greater);
        }
    }
}
