//! Decides what comes to environments from others.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::history::{LOOK_BACK, Timelines, timelines};
use super::homes::{ForgeRepository, KnownPlaces};
use super::{DeliveryMode, Request, Tags, Tree};
use crate::changeset::{Decided, Use};
use crate::choose::{Decision, Outcome, Reason, ReasonCode};
use crate::forge::{AnyForge, Forge as _, NO_FORGE};
use crate::ledger::Ledger;
use crate::manifest::Surveyed;
use crate::policy::{EnvironmentId, Home, PolicySet, Promotion, RepositorySettings};
use crate::promote::{Checked, Promoted, PromotionFacts, StatusQuestion, decide};
use crate::pull_request::Check;

/// Whoever asks since when something runs is told as far back as this.
const SIGHT: SignedDuration = SignedDuration::from_hours(60 * 24);

/// What promotions are decided with.
pub(super) struct Promoting<'a> {
    set: &'a PolicySet,
    repository: &'a RepositorySettings,
    pub(super) timelines: Timelines,
    /// Who is asked what checked commits of a place, or why nobody is.
    forges: BTreeMap<&'a Home, Result<AnyForge, String>>,
    /// What is known of commits, asked for once in a run.
    checks: RefCell<BTreeMap<StatusQuestion, Vec<Checked>>>,
    now: Timestamp,
}

/// Whether an environment comes from others.
pub(super) fn is_promoted(set: &PolicySet, at: &Use) -> bool {
    set.environments[at.environment].stage.promotion.is_some()
}

/// The policies, and the settings of their repository.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) repository: &'a RepositorySettings,
}

impl<'a> Promoting<'a> {
    /// Reads the history that the promotions of these uses turn on.
    pub(super) async fn read(
        tree: &Tree,
        rules: Rules<'a>,
        files: &[Surveyed],
        uses: &[Use],
        known: &'a KnownPlaces,
        request: &Request<'_>,
    ) -> Self {
        let Rules { set, repository } = rules;
        let now = request.settings.now;
        let targets: BTreeSet<EnvironmentId> =
            uses.iter().filter(|at| is_promoted(set, at)).map(|at| at.environment).collect();
        let promotion = |index: &EnvironmentId| set.environments[*index].stage.promotion.as_ref();
        let asks = targets.iter().filter_map(promotion).any(|from| !from.require.is_empty());
        let forges = if asks { forges(known, request) } else { BTreeMap::new() };
        // What is elsewhere may come from here.
        let beyond = set.environments.ids().filter(|index| !set.is_here(*index));
        let (wanted, since) = reach(set, &targets.into_iter().chain(beyond).collect(), request);
        let mut all = known.timelines.clone();
        if !wanted.is_empty() {
            all.extend(timelines(tree, set, files, &wanted, since, now).await);
        }
        Self { set, repository, timelines: all, forges, checks: RefCell::default(), now }
    }

    /// Decides in rounds: each knows what checked more commits than the last.
    pub(super) async fn decide(&self, uses: Vec<Use>, ledger: &Ledger) -> Vec<Decided> {
        let mut decided = Vec::with_capacity(uses.len());
        let mut open = uses;
        while !open.is_empty() {
            let mut questions = BTreeSet::new();
            let mut waiting = Vec::new();
            for at in open {
                let Some(promotion) = &self.set.environments[at.environment].stage.promotion else {
                    continue;
                };
                let checks = self.checks.borrow();
                let (set, timelines, now) = (self.set, &self.timelines, self.now);
                let facts = PromotionFacts { set, timelines, checks: &checks, ledger, now };
                match decide(facts, promotion, &at) {
                    Promoted::Decided(decision) => decided.push(Decided { at, decision }),
                    Promoted::Ask(commits) => {
                        let sources: BTreeSet<EnvironmentId> =
                            commits.iter().map(|(source, _)| *source).collect();
                        questions.extend(commits);
                        waiting.push((at, sources));
                    }
                }
            }
            let silent = self.ask(&questions).await;
            open = Vec::new();
            for (at, sources) in waiting {
                // One server that does not answer keeps nothing from what does not ask it.
                match sources.iter().find_map(|source| silent.get(source)) {
                    Some(why) => {
                        let reason = Reason::new(ReasonCode::NoChecks, why);
                        decided.push(Decided { at, decision: Decision::undecided(reason) });
                    }
                    None => open.push(at),
                }
            }
        }
        decided
    }

    /// Holds what the registry of the target does not have: the source may pull from elsewhere.
    pub(super) async fn confirm(&self, decided: &mut [Decided], tags: &mut Tags) {
        for one in decided.iter_mut().filter(|one| one.decision.outcome == Outcome::Update) {
            if let Some((outcome, reason)) = self.doubt(one, tags).await {
                one.decision = Decision { outcome, reason, ..one.decision.clone() };
            }
        }
    }

    /// Asks the registry what speaks against a promotion: of a digest that is written, that it is not there; of a tag alone,
    /// that it is not what its source runs, as it would then bring what never ran there.
    async fn doubt(&self, one: &Decided, tags: &mut Tags) -> Option<(Outcome, Reason)> {
        let policy = &self.set.policies[one.at.policy];
        let (repository, digest) = (&policy.repository, one.decision.to_digest.as_ref()?);
        let hold = |code, message| Some((Outcome::Hold, Reason::new(code, message)));
        if one.at.deployed.takes_digest(policy.digest) {
            return match tags.has(repository, digest, self.repository).await {
                Ok(None | Some(true)) => None,
                Ok(Some(false)) => {
                    let message = format!("{repository} has no {} any more", digest.short());
                    hold(ReasonCode::NoDigest, message)
                }
                Err(reason) => Some((Outcome::Undecided, reason)),
            };
        }
        let tag = one.decision.to.as_ref()?;
        match tags.behind(repository, tag, self.repository).await {
            Ok(Some(now)) if now != *digest => {
                let message = format!(
                    "{tag} is {} at the registry now, its source runs {}, and no digest is written here; `digest: pin` \
                     promotes what its source runs",
                    now.short(),
                    digest.short()
                );
                hold(ReasonCode::TagMoved, message)
            }
            Ok(Some(_)) => None,
            // Only a catalog says nothing.
            Ok(None) => {
                let message = format!(
                    "the digest of {repository}:{tag} is not in the catalog, and its source runs {}",
                    digest.short()
                );
                Some((Outcome::Undecided, Reason::new(ReasonCode::NoDigest, message)))
            }
            Err(reason) => Some((Outcome::Undecided, reason)),
        }
    }

    /// Asks what checked commits of each source; why nobody answered for some.
    async fn ask(&self, commits: &BTreeSet<StatusQuestion>) -> BTreeMap<EnvironmentId, String> {
        let mut by_source: BTreeMap<EnvironmentId, Vec<&str>> = BTreeMap::new();
        for (source, commit) in commits {
            by_source.entry(*source).or_default().push(commit);
        }
        let mut silent = BTreeMap::new();
        for (source, commits) in by_source {
            if let Err(why) = self.ask_one(source, &commits).await {
                silent.insert(source, why);
            }
        }
        silent
    }

    async fn ask_one(&self, source: EnvironmentId, commits: &[&str]) -> Result<(), String> {
        let home = &self.set.environments[source].home;
        let why = || format!("`require` needs the checks of a commit: {NO_FORGE}");
        let forge = self.forges.get(home).ok_or_else(why)?;
        let forge = forge.as_ref().map_err(Clone::clone)?;
        let found = forge.checks(commits).await.map_err(|error| error.to_string())?;
        let mut known = self.checks.borrow_mut();
        for commit in commits {
            let checks = found.get(*commit).into_iter().flatten();
            let checked = |Check { name, by, passed, counts }: &Check| Checked {
                name: name.clone(),
                by: by.clone(),
                passed: *passed,
                counts: *counts,
            };
            known.insert((source, (*commit).to_owned()), checks.map(checked).collect());
        }
        Ok(())
    }
}

fn before(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.checked_sub(duration).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The environments here that promotions to some of them turn on, and since when they matter.
pub(super) fn reach(
    set: &PolicySet,
    targets: &BTreeSet<EnvironmentId>,
    request: &Request<'_>,
) -> (BTreeSet<EnvironmentId>, Timestamp) {
    let promotion = |index: &EnvironmentId| set.environments[*index].stage.promotion.as_ref();
    let promotions: Vec<&Promotion> = targets.iter().filter_map(promotion).collect();
    let soak = promotions.iter().map(|promotion| promotion.soak).max().unwrap_or_default();
    let mut wanted: BTreeSet<EnvironmentId> =
        promotions.iter().flat_map(|promotion| promotion.sources.iter().copied()).collect();
    wanted.extend(targets.iter().filter(|index| promotion(index).is_some()));
    let mut since = before(request.settings.now, soak + LOOK_BACK);
    if matches!(request.deliver, DeliveryMode::Sight) {
        wanted.extend(set.environments.ids());
        since = since.min(before(request.settings.now, SIGHT));
    }
    wanted.retain(|index| set.is_here(*index));
    (wanted, since)
}

fn forges<'a>(
    known: &'a KnownPlaces,
    request: &Request<'_>,
) -> BTreeMap<&'a Home, Result<AnyForge, String>> {
    let clock = request.around.moment();
    let forge = |at: &ForgeRepository| {
        AnyForge::new(&at.settings, clock, &at.repository, None).map_err(|error| error.to_string())
    };
    known.forges.iter().map(|(home, at)| (home, forge(at))).collect()
}
