//! What pull requests say of where their images come from. It is asked for when a pull request is
//! opened or its change is another one, and carried along otherwise.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};

use super::Tags;
use super::history::Timelines;
use super::homes::Names;
use crate::changeset::{
    ChangeSet, Earned, Note, Plan, SourceServer, Sources, between, section, section_of,
};
use crate::choose::{Deployed, Outcome};
use crate::forge::{AnyForge, Forge as _};
use crate::image::{Origin, Repository, Source};
use crate::policy::{EnvironmentId, Home, Notes, PolicySet, Via};
use crate::promote::{Held, is_same};
use crate::reconcile::Snapshot;
use crate::settings::Forges;

/// How many images are looked into at once.
const AT_ONCE: usize = 8;

/// No more images than this are looked into in a run: on some registries each costs a pull of a quota.
const MOST: usize = 50;

/// Looks into images for a run's pull requests.
pub(super) struct Looking<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) timelines: &'a Timelines,
    pub(super) tags: &'a Tags,
    pub(super) plan: &'a Plan,
    /// The forges that are known, that of the pull requests first.
    pub(super) forges: &'a Forges,
    /// The repositories of all places.
    pub(super) names: &'a Names,
}

/// An image at one place of its life.
type ImageAt = (Repository, Deployed);

/// One image that moves.
struct Moved<'a> {
    environment: &'a str,
    image: &'a str,
    from: ImageAt,
    to: ImageAt,
}

impl Looking<'_> {
    /// The sections of the change sets that are to be written, by branch.
    pub(super) async fn look<'a>(
        &self,
        written: impl Iterator<Item = &'a ChangeSet>,
        forge: &AnyForge,
    ) -> BTreeMap<String, String> {
        let is_wanted = |set: &&ChangeSet| set.via == Via::PullRequest && set.notes != Notes::Off;
        let mut left = MOST;
        let mut wanted: Vec<(&ChangeSet, Vec<Moved<'_>>)> = Vec::new();
        for set in written.filter(is_wanted) {
            let mut moves = self.moves(set);
            moves.truncate(left);
            left -= moves.len();
            wanted.push((set, moves));
        }
        let moves = || wanted.iter().flat_map(|(_, moves)| moves);
        let mut origins = self.origins(moves().map(|moved| moved.to.clone()).collect()).await;
        // What cannot be compared need not be known.
        let is_known = |moved: &&Moved<'_>| origins.get(&moved.to).is_some_and(Origin::is_whole);
        let before = moves().filter(is_known).map(|moved| moved.from.clone()).collect();
        origins.extend(self.origins(before).await);
        let of_releases = wanted.iter().filter(|(set, _)| set.notes == Notes::Releases);
        let sources = of_releases.flat_map(|(_, moves)| moves.iter().map(|moved| &moved.to));
        let sources = sources.filter_map(|image| origins.get(image)?.source.clone());
        let releases = self.releases(forge, sources.collect()).await;
        let told = wanted.into_iter().map(|(set, moves)| {
            let row = |moved: Moved<'_>| {
                let earned = self.earned(&moved, forge);
                Sources { earned, ..told(&moved, &origins, &releases, set.notes) }
            };
            let rows: Vec<_> = moves.into_iter().map(row).collect();
            (set.branch.clone(), section(&rows, &self.server()))
        });
        told.collect()
    }

    /// Where images come from.
    async fn origins(&self, images: BTreeSet<ImageAt>) -> BTreeMap<ImageAt, Origin> {
        let origins = stream::iter(images).map(async |(repository, deployed)| {
            let origin = self.tags.origin(&repository, &deployed).await;
            ((repository, deployed), origin)
        });
        origins.buffer_unordered(AT_ONCE).collect().await
    }

    /// The server of the pull requests.
    fn server(&self) -> SourceServer {
        let forge = self.forges.first();
        SourceServer { url: forge.server_url.to_string(), kind: forge.kind }
    }

    /// The page of the repository of a place, with what its forge puts behind it.
    fn page(&self, home: &Home, forge: &AnyForge) -> String {
        let id = self.names.get(home).unwrap_or_else(|| forge.repository());
        let there = self.forges.at(id);
        let there = there.first();
        let url = there.server_url.as_str().trim_end_matches('/');
        format!("{url}/{id}{}", there.kind.page_prefix())
    }

    /// Where what is promoted was before.
    fn earned(&self, moved: &Moved<'_>, forge: &AnyForge) -> Vec<Earned> {
        let environment = self.set.environments.iter().find(|e| e.name == moved.environment);
        let promotion = environment.and_then(|e| e.stage.promotion.as_ref());
        let policy = self.set.policies.find(|policy| policy.name == moved.image);
        let Some((promotion, policy)) = promotion.zip(policy) else { return Vec::new() };
        let of = |source: &EnvironmentId| {
            let timeline = self.timelines.get(source)?.as_ref().ok()?;
            let is = |index: &usize, image: &ImageAt| match timeline.states[*index].held(policy) {
                Held::One(held) => is_same(held, &image.1),
                Held::Nothing | Held::Several(_) => false,
            };
            let all = 0..timeline.states.len();
            let index = all.clone().find(|index| is(index, &moved.to))?;
            let stretch = timeline.stretch(index, policy);
            let commit = stretch.commits.last().filter(|_| !stretch.is_open);
            let mut between: Vec<String> = Vec::new();
            for index in all.skip(index).take_while(|index| !is(index, &moved.from)) {
                let Held::One(held) = timeline.states[index].held(policy) else { continue };
                let version = held.to_string();
                if !is(&index, &moved.to) && !between.contains(&version) {
                    between.push(version);
                }
            }
            let environment = &self.set.environments[*source];
            Some(Earned {
                environment: environment.name.clone(),
                page: self.page(&environment.home, forge),
                since: commit.map(|commit| (stretch.since, (*commit).to_owned())),
                between,
            })
        };
        promotion.sources.iter().filter_map(of).collect()
    }

    /// What a change set moves, once each.
    fn moves(&self, set: &ChangeSet) -> Vec<Moved<'_>> {
        let is_it = |planned: &&crate::changeset::Planned| {
            planned.decision.outcome == Outcome::Update
                && self.plan.set_of(planned).is_some_and(|of| of.branch == set.branch)
        };
        let mut seen = BTreeSet::new();
        let moves = self.plan.decisions.iter().filter(is_it).map(|planned| {
            let (tag, digest) = (planned.decision.to.clone(), planned.decision.to_digest.clone());
            let to = Deployed { tag, digest, ..Deployed::default() };
            let (tag, digest) = (planned.deployed.tag.clone(), planned.deployed.digest.clone());
            let from = Deployed { tag, digest, ..Deployed::default() };
            let at = |deployed| (planned.repository.clone(), deployed);
            Moved {
                environment: &planned.environment,
                image: &planned.image,
                from: at(from),
                to: at(to),
            }
        });
        moves
            .filter(|moved| seen.insert((moved.environment, moved.image, moved.to.clone())))
            .collect()
    }

    /// The releases of sources on the same server. Those that cannot be seen are none.
    async fn releases(
        &self,
        forge: &AnyForge,
        sources: BTreeSet<Source>,
    ) -> BTreeMap<Source, Vec<Note>> {
        let here = self.forges.first();
        let mut all = BTreeMap::new();
        for source in sources.into_iter().filter(|source| source.host == here.host()) {
            let Some(id) = here.id(&source.path) else { continue };
            match forge.public_releases(&id).await {
                Ok(releases) => {
                    let notes = releases.into_iter().map(|release| Note {
                        tag: release.tag_name,
                        text: release.body.unwrap_or_default(),
                    });
                    let notes = notes.collect();
                    all.insert(source, notes);
                }
                Err(error) => tracing::info!(repository = %id, %error, "no release notes"),
            }
        }
        all
    }
}

fn told(
    moved: &Moved<'_>,
    origins: &BTreeMap<ImageAt, Origin>,
    releases: &BTreeMap<Source, Vec<Note>>,
    notes: Notes,
) -> Sources {
    let origin = |image: &ImageAt| origins.get(image).cloned().unwrap_or_default();
    let (from, to) = (origin(&moved.from), origin(&moved.to));
    let all = to.source.as_ref().and_then(|source| releases.get(source));
    let tag = moved.to.1.tag.as_ref().filter(|_| notes == Notes::Releases);
    let found = all
        .zip(tag)
        .map(|(all, tag)| between(moved.from.1.tag.as_ref(), tag, moved.to.0.base_name(), all));
    let (image, notes) = (moved.image.to_owned(), found.unwrap_or_default());
    Sources { image, from, to, notes, earned: Vec::new() }
}

/// A change set with its section: the new one, or the one that its open pull request has.
pub(super) fn with_section(
    set: &ChangeSet,
    sections: &BTreeMap<String, String>,
    snapshot: &Snapshot,
) -> ChangeSet {
    let known = || {
        let open = snapshot.open(&set.branch).filter(|open| open.proposes(set))?;
        Some(section_of(&open.body)).filter(|_| set.notes != Notes::Off)
    };
    let section = sections.get(&set.branch).cloned().or_else(known);
    set.with_section(&section.unwrap_or_default())
}
