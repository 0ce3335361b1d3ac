//! Keeps what an open branch proposes for images that this run does not decide.
//!
//! A branch is rewritten as a whole. When one registry is down, or `--image` names one policy, what
//! the branch already proposes for the other images must not be lost with that.

use std::collections::BTreeMap;

use super::Tree;
use crate::changeset::{Decided, Use, branch_name};
use crate::choose::{Decision, Deployed, Outcome, Reason, ReasonCode};
use crate::git::{Author, BranchState, Clone};
use crate::manifest::{Surveyed, find};
use crate::policy::PolicySet;
use crate::yaml::Stream;

/// Replaces undecided and adds missing decisions by what the own branch of the environment holds.
pub(super) fn carry(
    tree: &Tree,
    set: &PolicySet,
    files: &[Surveyed],
    author: &Author,
    decided: &mut Vec<Decided>,
) {
    let Tree::Git { clone, .. } = tree else { return };
    let known: BTreeMap<Use, usize> =
        decided.iter().enumerate().map(|(index, decided)| (decided.at.clone(), index)).collect();
    let is_open = |at: &Use| {
        known.get(at).is_none_or(|index| decided[*index].decision.outcome == Outcome::Undecided)
    };
    let mut proposed: BTreeMap<Use, Option<Deployed>> = BTreeMap::new();
    for file in files {
        let uses: Vec<Use> = file.uses().collect();
        // Marked places are found by their comments, not their shape.
        let marked = file.sites.iter().any(|(site, _)| site.marked.is_some());
        if marked || !uses.iter().any(is_open) {
            continue;
        }
        let held = held(clone, set, file, author).unwrap_or_default();
        for (at, held) in
            uses.into_iter().zip(held).filter(|(at, held)| is_open(at) && at.deployed != *held)
        {
            // Sites of one use that hold different things are nothing that we wrote.
            let slot = proposed.entry(at).or_insert_with(|| Some(held.clone()));
            *slot = slot.take().filter(|other| *other == held);
        }
    }
    for (at, held) in proposed {
        let Some(Deployed { tag: Some(tag), digest, .. }) = held else { continue };
        let message =
            format!("{tag} is what the open branch proposes; this run does not decide it");
        let reason = Reason::new(ReasonCode::Carried, message);
        let decision =
            Decision { outcome: Outcome::Update, to: Some(tag), to_digest: digest, reason };
        match known.get(&at) {
            Some(index) => decided[*index].decision = decision,
            None => decided.push(Decided { at, decision }),
        }
    }
}

/// What each site of a file holds on the own branch of its environment, when that branch is ours
/// and has the same sites.
fn held(clone: &Clone, set: &PolicySet, file: &Surveyed, author: &Author) -> Option<Vec<Deployed>> {
    let branch = branch_name(&set.environments[file.environment].name);
    let BranchState::Ours { commit, .. } = clone.state(&branch, author).ok()? else { return None };
    let text = String::from_utf8(clone.read_at(commit, &file.path)?).ok()?;
    let stream = Stream::parse(&text).ok()?;
    let repositories: Vec<_> = file.sites.iter().map(|(site, _)| &site.repository).collect();
    let sites = find(&file.path, &stream).sites;
    let sites: Vec<_> =
        sites.into_iter().filter(|site| repositories.contains(&&site.repository)).collect();
    let same = sites.iter().map(|site| &site.repository).eq(repositories);
    same.then(|| {
        sites
            .into_iter()
            .map(|site| Deployed { tag: site.tag, digest: site.digest, renamed: false })
            .collect()
    })
}
