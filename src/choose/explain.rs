//! Why this tag: the counts at each step, and what is nearest among the rejected.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Candidate, Decision, Listing, Outcome, Reason, ReasonCode, Selection};
use crate::image::{Tag, version};
use crate::policy::{Key, Order, Policy, Rejection, Span};

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
    /// The answer for the tag that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Rejected>,
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

/// Explains a policy's choice where `decision` was made; without one, what it would choose by itself.
#[must_use]
pub fn explain(
    policy: &Policy,
    listing: &Listing,
    selection: &Selection<'_>,
    decision: Option<&Decision>,
    asked: Option<&Tag>,
) -> Explanation {
    let passed_over = decision.map_or(&[][..], |decision| &decision.passed_over);
    let eye = Eye { policy, listing, selection, is_deployed: decision.is_some() };
    let best = selection.best().filter(|_| selection.stopped.is_none());
    let chosen = match decision {
        Some(decision) => decision.chosen().map(Tag::to_string),
        None => best.map(|best| best.tag.to_string()),
    };
    let rejected = passed_over
        .iter()
        .map(|(tag, reason)| Rejected { tag: tag.to_string(), why: reason.message.clone() });
    let rejected = rejected.chain(eye.nearest()).take(SHOWN.max(passed_over.len())).collect();
    let asked = asked.map(|tag| {
        let passed = passed_over.iter().find(|(passed, _)| passed == tag);
        let why = match passed {
            Some((_, reason)) => reason.message.clone(),
            None => eye.answer(tag, chosen.as_deref(), decision),
        };
        Rejected { tag: tag.to_string(), why }
    });
    Explanation { steps: eye.steps(passed_over), chosen, rejected, asked }
}

/// Explains what comes from other environments: no listing decides there.
#[must_use]
pub fn explain_promoted(
    decision: &Decision,
    deployed: Option<&Tag>,
    asked: Option<&Tag>,
) -> Explanation {
    let chosen = decision.chosen();
    let asked = asked.map(|tag| {
        let why = match () {
            () if decision.outcome == Outcome::Update && chosen == Some(tag) => CHOSEN.to_owned(),
            () if deployed == Some(tag) && chosen == Some(tag) => "it is deployed".to_owned(),
            () if decision.to.as_ref() == Some(tag) => decision.reason.message.clone(),
            () => format!("versions come from another environment: {}", decision.reason.message),
        };
        Rejected { tag: tag.to_string(), why }
    });
    let chosen = chosen.map(Tag::to_string);
    Explanation { steps: Vec::new(), chosen, rejected: Vec::new(), asked }
}

/// The reason beside the tag that is chosen.
const CHOSEN: &str = "it is chosen";

/// What an explanation looks at.
struct Eye<'a, 's> {
    policy: &'a Policy,
    listing: &'a Listing,
    selection: &'a Selection<'s>,
    /// True if a place says what is deployed.
    is_deployed: bool,
}

impl Eye<'_, '_> {
    fn steps(&self, passed_over: &[(Tag, Reason)]) -> Vec<Step> {
        let rule = &self.policy.rule;
        let mut left = self.listing.tags.len();
        let mut steps = vec![Step { name: "listed".to_owned(), left }];
        let is_semver = matches!(rule.order(), Order::Semver(_));
        let names = [
            (true, Rejection::Unmatched, "matched".to_owned()),
            (true, Rejection::Excluded, "not excluded".to_owned()),
            (true, Rejection::NotOrdered, kind(rule.order())),
            (
                is_semver && rule.keeps_variant(),
                Rejection::OtherVariant,
                "of this variant".to_owned(),
            ),
            (is_semver, Rejection::OutOfRange, "in range".to_owned()),
        ];
        for (asked, rejection, name) in names {
            if asked {
                let rejected = |step| self.selection.rejected.get(&step).copied().unwrap_or(0);
                left -= rejected(rejection);
                // A prerelease is out of range, for a reason of its own.
                if rejection == Rejection::OutOfRange {
                    left -= rejected(Rejection::Prerelease);
                }
                steps.push(Step { name, left });
            }
        }
        // Only candidates above the choice are asked about; the others count as left.
        let checks = &self.policy.checks;
        let unverified =
            passed_over.iter().filter(|(_, reason)| reason.code == ReasonCode::Unverified).count();
        let ineligible = passed_over.len() - unverified;
        if checks.need_digest() || ineligible > 0 {
            left -= ineligible;
            steps.push(Step { name: "eligible".to_owned(), left });
        }
        if checks.signer.is_some() {
            left -= unverified;
            steps.push(Step { name: "verified".to_owned(), left });
        }
        steps
    }

    /// The reason why one tag is or is not chosen.
    fn answer(&self, tag: &Tag, chosen: Option<&str>, decision: Option<&Decision>) -> String {
        let Some(listed) = self.listing.tags.get(tag) else {
            return "the registry does not list it".to_owned();
        };
        if chosen == Some(tag.as_str()) {
            return CHOSEN.to_owned();
        }
        let time = self.selection.time_of(tag, listed);
        match (self.selection.ranker().rank(tag, time), chosen) {
            (Err(rejection), _) => self.reason(tag, rejection),
            (Ok(_), Some(chosen)) => format!("it fits the policy, and {chosen} ranks above it"),
            (Ok(_), None) => {
                let why = decision.map_or("", |decision| decision.reason.message.as_str());
                format!("it fits the policy, and nothing is chosen: {why}")
            }
        }
    }

    /// Rejected tags by how high they would rank if the rule did not stand in the way, then those
    /// that have no rank, the last by bytes first.
    fn nearest(&self) -> Vec<Rejected> {
        let mut rejected: Vec<(Option<Key>, &Tag, String)> = self
            .listing
            .tags
            .iter()
            .filter_map(|(tag, listed)| {
                let time = self.selection.time_of(tag, listed);
                let ranker = self.selection.ranker();
                let why = self.reason(tag, ranker.rank(tag, time).err()?);
                Some((ranker.rank_deployed(tag, time), tag, why))
            })
            .collect();
        rejected.sort_by(|(a, left, _), (b, right, _)| match (a, b) {
            (Some(a), Some(b)) => b.compare(a).then_with(|| right.cmp(left)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => right.cmp(left),
        });
        let shown =
            rejected.into_iter().map(|(_, tag, why)| Rejected { tag: tag.to_string(), why });
        shown.chain(self.runner_up()).take(SHOWN).collect()
    }

    /// The candidate that an expert would have expected to win: `rc.10` written as `rc10`.
    fn runner_up(&self) -> Option<Rejected> {
        let winner = self.selection.best()?;
        let Key::Version(chosen) = &winner.key else { return None };
        let natural = |candidate: &Candidate<'_>| match &candidate.key {
            Key::Version(other) => {
                other.is_of_same_release(chosen)
                    && trailing_number(other.pre()) > trailing_number(chosen.pre())
            }
            _ => false,
        };
        let mut others = self.selection.candidates().filter(|other| other.tag != winner.tag);
        let found = others.find(natural)?;
        let why = format!(
            "ranks below {}: identifiers with letters compare as text (SemVer 11.4.2); `rc.10` with a dot \
             would rank above `rc.9`",
            winner.tag
        );
        Some(Rejected { tag: found.tag.to_string(), why })
    }

    fn reason(&self, tag: &Tag, rejection: Rejection) -> String {
        let order = self.policy.rule.order();
        match (rejection, order) {
            (Rejection::Unmatched, _) => "`match` is not found in it".to_owned(),
            (Rejection::Excluded, _) => {
                "it is excluded, by the policy or as a signature".to_owned()
            }
            (Rejection::OtherVariant, _) => {
                "its prefix, number of parts or suffix is not that of what is deployed".to_owned()
            }
            (Rejection::OutOfRange, Order::Semver(span @ Span::Level(_))) if !self.is_deployed => {
                format!("`{span}` counts from what is deployed, and no place says what that is")
            }
            (Rejection::OutOfRange, Order::Semver(span)) => outside(span),
            (Rejection::Prerelease, Order::Semver(span)) => unreleased(span),
            (Rejection::OutOfRange | Rejection::Prerelease, _) => "it is out of range".to_owned(),
            (Rejection::NotOrdered, Order::Semver(_)) => not_a_version(tag),
            (Rejection::NotOrdered, Order::Calver(format)) => {
                format!("it does not have the format `{format}`, or is no day of the calendar")
            }
            (Rejection::NotOrdered, Order::Numerical(_)) => {
                "what is ordered is not a number; `extract` takes one out of a tag".to_owned()
            }
            (Rejection::NotOrdered, Order::Fixed(wanted)) => format!("only {wanted} is wanted"),
            (Rejection::NotOrdered, Order::Newest(_)) => {
                "nothing says when it was pushed or made".to_owned()
            }
            (Rejection::NotOrdered, Order::Alphabetical(_)) => {
                "it has no place in the order".to_owned()
            }
        }
    }
}

/// Explains a version that is no candidate only because it is a prerelease.
fn unreleased(span: &Span) -> String {
    match span {
        Span::Range(range) => format!(
            "it is a prerelease, and no comparator of `{range}` names one; `-0` behind a version, or \
             `prereleases: true`, would"
        ),
        Span::Level(_) => {
            "it counts as a prerelease, of another version than the deployed one; `prereleases: true` \
             would take it, and `variant: keep` takes a suffix that is no prerelease for a flavour"
                .to_owned()
        }
    }
}

fn outside(span: &Span) -> String {
    match span {
        Span::Level(_) => format!("it is further than `{span}` from what is deployed"),
        Span::Range(range) => format!("it is outside `{range}`"),
    }
}

/// What the order asks of a tag.
fn kind(order: &Order) -> String {
    match order {
        Order::Semver(_) => "versions".to_owned(),
        Order::Calver(format) => format!("of the format {format}"),
        Order::Numerical(_) => "numbers".to_owned(),
        Order::Alphabetical(_) => "text".to_owned(),
        Order::Newest(_) => "with a time".to_owned(),
        Order::Fixed(tag) => format!("{tag} itself"),
    }
}

/// The number at the end of an identifier such as `rc10`.
fn trailing_number(pre: &semver::Prerelease) -> Option<u64> {
    let digits =
        pre.as_str().len() - pre.as_str().trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (word, number) = pre.as_str().split_at(pre.as_str().len() - digits);
    if word.ends_with(|c: char| c.is_ascii_alphabetic()) { number.parse().ok() } else { None }
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
    use jiff::Timestamp;

    use super::super::{Answers, Facts, select};
    use super::*;
    use crate::ledger::Ledger;
    use crate::policy::{Id as _, PolicyId};
    use crate::policy::{PolicyFile, read};

    fn explained(tags: &str, listed: &[&str]) -> Explanation {
        let text = format!("images: {{p: {{image: nginx, tags: {{{tags}}}}}}}\n");
        let (set, problems) = read(&[PolicyFile::new("p.yaml", text)]);
        assert_eq!(problems, []);
        let listing = Listing::from_texts(listed.iter().copied());
        let (answers, ledger) = (Answers::default(), Ledger::default());
        let (now, skewed) = (Timestamp::UNIX_EPOCH, std::collections::BTreeMap::new());
        let facts =
            Facts { now, answers: &answers, ledger: &ledger, skewed: &skewed, is_catalog: true };
        let selection = select(&set.policies[PolicyId::at(0)], &listing, None, facts).unwrap();
        explain(&set.policies[PolicyId::at(0)], &listing, &selection, None, None)
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
