//! Keeps what an open branch proposes for images that this run does not decide.
//!
//! A branch is rewritten as a whole. When one registry is down, or `--image` names one policy, what
//! the branch already proposes for the other images must not be lost with that.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Tree;
use crate::changeset::{Bundle, Decided, Use};
use crate::choose::{Decision, Deployed, Outcome, Reason, ReasonCode};
use crate::git::{Author, BranchState};
use crate::image::Tag;
use crate::manifest::{MAX_FILE, Setters, Site, Surveyed, find};
use crate::policy::{EnvironmentId, Order, PolicySet, Via};
use crate::reconcile::Snapshot;
use crate::yaml::Stream;

/// What is needed to look at own branches.
pub(super) struct Carry<'a> {
    pub(super) tree: &'a Tree,
    pub(super) set: &'a PolicySet,
    pub(super) author: &'a Author,
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Timestamp,
    /// Whether the run knows one pushed tag only, so that the branch may know a better one.
    pub(super) is_partial: bool,
}

/// Replaces undecided and adds missing decisions by what open pull requests propose.
pub(super) fn carry(with: &Carry<'_>, files: &[Surveyed], decided: &mut Vec<Decided>) {
    let known: BTreeMap<Use, usize> =
        decided.iter().enumerate().map(|(index, decided)| (decided.at.clone(), index)).collect();
    let is_open = |at: &Use| {
        known.get(at).is_none_or(|index| decided[*index].decision.outcome == Outcome::Undecided)
            || with.is_partial
    };
    // What moves together is carried on together.
    let unknown = with.undecided_sets(decided);
    let together = |at: &Use| with.set.together(at.environment, at.policy);
    let is_bound = |at: &Use| together(at).is_some_and(|together| unknown.contains(&together));
    let is_open = |at: &Use| is_open(at) || is_bound(at);
    let is_better = |at: &Use, held: &Deployed| {
        is_bound(at)
            || known.get(at).is_none_or(|index| with.outranks(at, held, &decided[*index].decision))
    };
    let mut proposed: BTreeMap<Use, Option<Deployed>> = BTreeMap::new();
    for file in files {
        let uses: Vec<Use> = file.uses().collect();
        // Claimed places are found by comments and targets, not by their shape.
        let claimed = file.sites.iter().any(|(site, _)| site.claimed.is_some());
        if claimed || !uses.iter().any(is_open) {
            continue;
        }
        for (at, held) in with.held(file, uses) {
            if !is_open(&at) || !with.is_ahead(&at, &held) || !is_better(&at, &held) {
                continue;
            }
            // Sites of one use that hold different things are nothing that we wrote.
            let slot = proposed.entry(at).or_insert_with(|| Some(held.clone()));
            *slot = slot.take().filter(|other| *other == held);
        }
    }
    for (at, held) in proposed {
        let Some(Deployed { tag: Some(tag), digest, .. }) = held else { continue };
        let why = known.get(&at).map(|index| &decided[*index].decision.reason.message);
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let message =
            format!("{tag} is what the open branch proposes; this run does not decide it{why}");
        let reason = Reason::new(ReasonCode::Carried, message);
        let decision = Decision {
            outcome: Outcome::Update,
            to: Some(tag),
            to_digest: digest,
            reason,
            passed_over: Vec::new(),
            alike: None,
        };
        match known.get(&at) {
            Some(index) => decided[*index].decision = decision,
            None => decided.push(Decided { at, decision }),
        }
    }
    decided.sort_by(|a, b| a.at.cmp(&b.at));
}

impl Carry<'_> {
    /// The sets of what moves together of which something is not decided, by environment and the first
    /// name.
    fn undecided_sets(&self, decided: &[Decided]) -> BTreeSet<(EnvironmentId, &str)> {
        let undecided = decided.iter().filter(|one| one.decision.outcome == Outcome::Undecided);
        undecided.filter_map(|one| self.set.together(one.at.environment, one.at.policy)).collect()
    }

    /// What each site of a file holds on the own branch of what its change goes with.
    fn held(&self, file: &Surveyed, uses: Vec<Use>) -> Vec<(Use, Deployed)> {
        let mut branches: BTreeMap<String, Option<Vec<Deployed>>> = BTreeMap::new();
        let mut all = Vec::new();
        for (index, at) in uses.into_iter().enumerate() {
            if self.set.environments[at.environment].deliver.via != Via::PullRequest {
                continue;
            }
            let branch = Bundle::of(self.set, at.environment, at.policy).branch(self.set);
            let held = branches.entry(branch);
            let branch = held.key().clone();
            let held = held.or_insert_with(|| self.on_branch(file, &branch));
            all.extend(held.as_ref().and_then(|held| Some((at, held.get(index)?.clone()))));
        }
        all
    }

    /// What each site of a file holds on a branch, when that has an open pull request, is ours, and has
    /// the same sites.
    fn on_branch(&self, file: &Surveyed, branch: &str) -> Option<Vec<Deployed>> {
        let Tree::Git { clone, .. } = self.tree else { return None };
        self.snapshot.open(branch)?;
        let BranchState::Ours { commit, .. } = clone.state(branch, self.author).ok()? else {
            return None;
        };
        let text = String::from_utf8(clone.read_at(commit, &file.path, MAX_FILE).ok()??).ok()?;
        let stream = Stream::parse(&text).ok()?;
        let repositories: Vec<_> = file.sites.iter().map(|(site, _)| &site.repository).collect();
        let sites = find(&file.path, &text, &stream, &[], Setters::default()).sites;
        let sites: Vec<_> =
            sites.into_iter().filter(|site| repositories.contains(&&site.repository)).collect();
        let same = sites.iter().map(|site| &site.repository).eq(repositories);
        let held =
            |site: Site| Deployed { tag: site.tag, digest: site.digest, ..Deployed::default() };
        same.then(|| sites.into_iter().map(held).collect())
    }

    /// Whether what the branch holds is above what this run decided, if it decided anything.
    fn outranks(&self, at: &Use, held: &Deployed, decision: &Decision) -> bool {
        if decision.outcome == Outcome::Undecided {
            return true;
        }
        let ranker = self.set.policies[at.policy].rule.ranker(None);
        let rank = |tag: Option<&Tag>| ranker.rank_deployed(tag?, None);
        let ranks = rank(held.tag.as_ref()).zip(rank(decision.to.as_ref()));
        ranks.is_some_and(|(then, now)| then.compare(&now) == Ordering::Greater)
    }

    /// Whether what the branch holds is above what is deployed now: the base may have moved on, or
    /// back, since the branch was made.
    fn is_ahead(&self, at: &Use, held: &Deployed) -> bool {
        let policy = &self.set.policies[at.policy];
        if self.set.environments[at.environment].hold_on(&policy.name, self.now).is_some() {
            return false;
        }
        let (Some(now), Some(then)) = (&at.deployed.tag, &held.tag) else { return false };
        if now == then {
            return at.deployed.digest != held.digest;
        }
        let ranker = policy.rule.ranker(None);
        // What goes by time has no rank here, and is carried on.
        let is_timed = matches!(policy.rule.order(), Order::Newest(_));
        let ranks = ranker.rank_deployed(now, None).zip(ranker.rank_deployed(then, None));
        policy.allow.downgrade
            || is_timed
            || ranks.is_some_and(|(now, then)| then.compare(&now) == Ordering::Greater)
    }
}
