//! Decides every use, asking registries for what decisions turn on.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Tags;
use crate::changeset::{Decided, Use};
use crate::choose::{self, Case, Decision, Facts, Listing, Question, Selection, Stop, select};
use crate::image::Tag;
use crate::ledger::Ledger;
use crate::policy::{Policy, PolicyId, PolicySet};
use crate::signature::Verifiers;

/// What decisions are made with, beside tags.
#[derive(Clone, Copy)]
pub(super) struct Deciding<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) verifiers: &'a Verifiers,
    pub(super) ledger: &'a Ledger,
    pub(super) now: Timestamp,
    pub(super) progress: bool,
}

/// A selection for each deployed tag that makes a difference.
type Selections<'a> = BTreeMap<Option<Tag>, Result<Selection<'a>, Stop>>;

impl Deciding<'_> {
    /// Decides in rounds: what one round has to know is asked for before the next one. Each round
    /// knows more than the last, and a candidate is asked about a bounded number of times.
    pub(super) async fn decide(&self, uses: Vec<Use>, tags: &mut Tags) -> Vec<Decided> {
        let mut decided = Vec::with_capacity(uses.len());
        let mut open = uses;
        while !open.is_empty() {
            let mut questions = BTreeSet::new();
            let mut waiting = Vec::new();
            for (at, result) in self.round(open, tags) {
                match result {
                    Ok(decision) => decided.push(Decided { at, decision }),
                    Err(asked) => {
                        questions.extend(asked);
                        waiting.push(at);
                    }
                }
            }
            if !questions.is_empty() {
                tags.answer(questions, self.verifiers, self.progress).await;
            }
            open = waiting;
        }
        decided.sort_by(|a, b| a.at.cmp(&b.at));
        decided
    }

    /// What is known of the tags of a policy.
    pub(super) fn facts<'b>(&'b self, tags: &'b Tags) -> Facts<'b> {
        Facts {
            now: self.now,
            answers: tags.answers(),
            ledger: self.ledger,
            skewed: tags.skewed(),
            is_catalog: tags.is_catalog(),
        }
    }

    fn round(&self, uses: Vec<Use>, tags: &Tags) -> Vec<(Use, Result<Decision, Vec<Question>>)> {
        let mut by_policy: BTreeMap<PolicyId, Vec<Use>> = BTreeMap::new();
        for at in uses {
            by_policy.entry(at.policy).or_default().push(at);
        }
        let mut results = Vec::new();
        for (policy, uses) in by_policy {
            let policy = &self.set.policies[policy];
            match tags.catalog().listing(&policy.repository) {
                Ok(listing) => results.extend(self.policy(policy, listing, uses, tags)),
                Err(reason) => {
                    let undecided = || Ok(Decision::undecided(reason.clone()));
                    results.extend(uses.into_iter().map(|at| (at, undecided())));
                }
            }
        }
        results
    }

    /// The images that are to have the same tag as one, with what their registries list. One that is not listed is
    /// undecided, and holds the others.
    fn beside<'b>(&'b self, at: &Use, tags: &'b Tags) -> Vec<(&'b str, &'b Listing)> {
        let environment = &self.set.environments[at.environment];
        let name = &self.set.policies[at.policy].name;
        let Some(together) = environment.lockstep_of(name).filter(|set| set.is_same_tag) else {
            return Vec::new();
        };
        let others = self.set.policies_of(environment);
        let others =
            others.filter(|other| other.name != *name && together.images.contains(&other.name));
        others
            .filter_map(|other| {
                Some((other.name.as_str(), tags.catalog().listing(&other.repository).ok()?))
            })
            .collect()
    }

    fn policy(
        &self,
        policy: &Policy,
        listing: &Listing,
        uses: Vec<Use>,
        tags: &Tags,
    ) -> Vec<(Use, Result<Decision, Vec<Question>>)> {
        let facts = self.facts(tags);
        let mut selections = Selections::new();
        let mut results = Vec::with_capacity(uses.len());
        for at in uses {
            if let Some(decision) = choose::digest_only(policy, &at.deployed) {
                results.push((at, Ok(decision)));
                continue;
            }
            let relative = at.deployed.tag.clone().filter(|tag| policy.rule.is_relative_to(tag));
            let selection = selections
                .entry(relative)
                .or_insert_with_key(|deployed| select(policy, listing, deployed.as_ref(), facts));
            let environment = &self.set.environments[at.environment];
            let result = match selection {
                Ok(selection) => {
                    let (deployed, beside) = (&at.deployed, &self.beside(&at, tags)[..]);
                    Case { policy, environment, listing, selection, deployed, facts, beside }
                        .decide()
                }
                Err(Stop::Undecided(reason)) => Ok(Decision::undecided(reason.clone())),
                Err(Stop::Ask(questions)) => Err(questions.clone()),
            };
            results.push((at, result));
        }
        results
    }
}
