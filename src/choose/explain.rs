//! Why this tag: the counts at each step, and what is nearest among the rejected.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Listing, Selection, select};
use crate::image::{Tag, version};
use crate::policy::{Key, Order, Policy, Rejection};

/// How many rejected tags are shown.
const SHOWN: usize = 6;

/// What happened to the tags of a listing under a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// How many tags are left after each step, in order.
    pub steps: Vec<Step>,
    /// The tag at the top of what is left.
    pub chosen: Option<String>,
    /// The rejected tags that come nearest: those that would be chosen first.
    pub rejected: Vec<Rejected>,
}

/// One step, and what it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// What is asked.
    pub name: String,
    /// How many tags are left.
    pub left: usize,
}

/// One tag that is not chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rejected {
    /// The tag.
    pub tag: String,
    /// The rule that rejects it.
    pub why: String,
}

/// Explains a policy's choice.
#[must_use]
pub fn explain(policy: &Policy, listing: &Listing) -> Explanation {
    let selection = select(policy, listing);
    let chosen = selection.winner.as_ref().map(|(tag, _)| tag.to_string());
    Explanation {
        steps: steps(policy, listing, &selection),
        chosen,
        rejected: nearest(policy, listing, &selection),
    }
}

fn steps(policy: &Policy, listing: &Listing, selection: &Selection<'_>) -> Vec<Step> {
    let mut left = listing.tags.len();
    let mut steps = vec![Step { name: "listed".to_owned(), left }];
    let names = [
        (Rejection::Unmatched, "matched".to_owned()),
        (Rejection::Excluded, "not excluded".to_owned()),
        (Rejection::NotOrdered, kind(policy.rule.order())),
        (Rejection::OutOfRange, "in range".to_owned()),
    ];
    for (rejection, name) in names {
        let is_semver = matches!(policy.rule.order(), Order::Semver(_));
        if rejection == Rejection::OutOfRange && !is_semver {
            continue;
        }
        left -= selection.rejected.get(&rejection).copied().unwrap_or(0);
        steps.push(Step { name, left });
    }
    steps
}

/// What the order asks of a tag.
fn kind(order: &Order) -> String {
    match order {
        Order::Semver(_) => "versions".to_owned(),
        Order::Numerical(_) => "numbers".to_owned(),
        Order::Alphabetical(_) => "text".to_owned(),
        Order::Fixed(tag) => format!("{tag} itself"),
    }
}

/// Rejected tags by how high they would rank if the rule did not stand in the way, then those
/// that have no rank, the last by bytes first.
fn nearest(policy: &Policy, listing: &Listing, selection: &Selection<'_>) -> Vec<Rejected> {
    let mut rejected: Vec<(Option<Key>, &Tag, String)> = listing
        .tags
        .keys()
        .filter_map(|tag| {
            let why = reason(policy, tag, policy.rule.rank(tag).err()?);
            Some((policy.rule.rank_deployed(tag), tag, why))
        })
        .collect();
    rejected.sort_by(|(a, left, _), (b, right, _)| match (a, b) {
        (Some(a), Some(b)) => b.compare(a).then_with(|| right.cmp(left)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => right.cmp(left),
    });
    let shown = rejected.into_iter().map(|(_, tag, why)| Rejected { tag: tag.to_string(), why });
    shown.chain(runner_up(policy, listing, selection)).take(SHOWN).collect()
}

/// The candidate that an expert would have expected to win: `rc.10` written as `rc10`.
fn runner_up(policy: &Policy, listing: &Listing, selection: &Selection<'_>) -> Option<Rejected> {
    let (winner, Key::Version(chosen)) = selection.winner.as_ref()? else { return None };
    let natural = |tag: &&Tag| match policy.rule.rank(tag) {
        Ok(Key::Version(other)) => {
            let core = |v: &crate::image::Version| (v.major, v.minor, v.patch);
            core(&other) == core(chosen)
                && trailing_number(&other.pre) > trailing_number(&chosen.pre)
        }
        _ => false,
    };
    let tag = listing.tags.keys().filter(|tag| tag != winner).find(natural)?;
    let why = format!(
        "ranks below {winner}: identifiers with letters compare as text (SemVer 11.4.2); `rc.10` with a dot \
         would rank above `rc.9`"
    );
    Some(Rejected { tag: tag.to_string(), why })
}

/// The number at the end of an identifier such as `rc10`.
fn trailing_number(pre: &semver::Prerelease) -> Option<u64> {
    let digits =
        pre.as_str().len() - pre.as_str().trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (word, number) = pre.as_str().split_at(pre.as_str().len() - digits);
    if word.ends_with(|c: char| c.is_ascii_alphabetic()) { number.parse().ok() } else { None }
}

fn reason(policy: &Policy, tag: &Tag, rejection: Rejection) -> String {
    match (rejection, policy.rule.order()) {
        (Rejection::Unmatched, _) => "`match` is not found in it".to_owned(),
        (Rejection::Excluded, _) => "it is excluded, by the policy or as a signature".to_owned(),
        (Rejection::OutOfRange, Order::Semver(range)) => match policy.rule.rank_deployed(tag) {
            Some(Key::Version(version))
                if !version.pre.is_empty() && range.takes_release_of(&version) =>
            {
                format!(
                    "it is a prerelease, and no comparator of `{range}` names one; `-0` behind a version would"
                )
            }
            _ => format!("it is outside `{range}`"),
        },
        (Rejection::OutOfRange, _) => "it is out of range".to_owned(),
        (Rejection::NotOrdered, Order::Semver(_)) => not_a_version(tag),
        (Rejection::NotOrdered, Order::Numerical(_)) => {
            "what is ordered is not a number; `extract` takes one out of a tag".to_owned()
        }
        (Rejection::NotOrdered, Order::Fixed(wanted)) => format!("only {wanted} is wanted"),
        (Rejection::NotOrdered, Order::Alphabetical(_)) => {
            "it has no place in the order".to_owned()
        }
    }
}

fn not_a_version(tag: &Tag) -> String {
    let digits = tag.as_str().bytes().all(|b| b.is_ascii_digit());
    match version::parse_partial(tag.as_str()) {
        Some(_) if digits && tag.as_str().len() > 4 => {
            "it is one number, a date or a hash perhaps, and not a version of three".to_owned()
        }
        Some(full) => format!(
            "it has fewer than three numbers, so it may move; it is not taken for {}.{}.{}",
            full.major, full.minor, full.patch
        ),
        None => {
            "it is not a version: three numbers, with or without `v` and a prerelease".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{PolicyFile, read};

    fn explained(tags: &str, listed: &[&str]) -> Explanation {
        let text = format!("images: {{p: {{image: nginx, tags: {{{tags}}}}}}}\n");
        let (set, problems) = read(&[PolicyFile::new("p.yaml", text)]);
        assert_eq!(problems, []);
        explain(&set.policies[0], &Listing::from_texts(listed.iter().copied()))
    }

    fn why<'a>(explanation: &'a Explanation, tag: &str) -> &'a str {
        let found = explanation.rejected.iter().find(|rejected| rejected.tag == tag);
        &found.unwrap_or_else(|| panic!("{tag} in {explanation:?}")).why
    }

    #[test]
    fn each_step_says_how_many_are_left() {
        let list = [
            "v1.0.0",
            "v2.0.0",
            "v2.1.0-rc.1",
            "v3.0.0",
            "v2.0.0-debug",
            "1.0.0",
            "vnext",
            "v1.sig",
        ];
        let got = explained("match: '^v', exclude: ['-debug$'], semver: '>=1 <3'", &list);
        let steps: Vec<_> = got.steps.iter().map(|step| (&*step.name, step.left)).collect();
        assert_eq!(
            steps,
            [("listed", 8), ("matched", 7), ("not excluded", 5), ("versions", 4), ("in range", 2)]
        );
        assert_eq!(got.chosen.as_deref(), Some("v2.0.0"));
        assert_eq!(got.rejected[0].tag, "v3.0.0");
        assert_eq!(why(&got, "v3.0.0"), "it is outside `>=1 <3`");
        assert!(why(&got, "v2.1.0-rc.1").starts_with("it is a prerelease"));
        assert!(why(&got, "v2.0.0-debug").contains("excluded"));
    }

    #[test]
    fn puzzles_are_explained_as_an_expert_would() {
        let got = explained("semver: '>=1.0.0-0'", &["1.0.0-rc9", "1.0.0-rc10"]);
        assert_eq!(got.chosen.as_deref(), Some("1.0.0-rc9"));
        assert!(why(&got, "1.0.0-rc10").contains("compare as text"));
        let got = explained("semver: '*'", &["1.2.0", "1.2", "20240101", "1234567"]);
        assert_eq!(got.chosen.as_deref(), Some("1.2.0"));
        assert!(why(&got, "1.2").contains("fewer than three numbers"));
        assert!(why(&got, "1234567").contains("a hash perhaps"));
    }
}
