//! Tags whose image stands in another file: `image: {tag}` in `values-prod.yaml`, and `image: {repository}` at the same path
//! of `values.yaml` beside it, as Helm lays the one over the other.

use std::collections::BTreeMap;

use super::around::Ways;
use super::finder::Finder;
use super::layers::lies_over;
use super::{Found, Named, Obstacle, Obstructed, Part, Slot};
use crate::image::{Repository, Tag};
use crate::yaml::{NodeId, Stream};

/// Keys that give a mapping an image of its own.
const OWN: [&str; 5] = ["repository", "image", "name", "registry", "digest"];

/// The images that a file of values names, by the keys that lead to their mappings.
#[derive(Clone, Debug)]
pub struct Names {
    path: String,
    all: BTreeMap<Vec<String>, Name>,
}

#[derive(Clone, Debug)]
struct Name {
    repository: Repository,
    line: usize,
    has_digest: bool,
}

/// The name of an image for a tag in another file.
#[derive(Clone, Debug)]
pub struct Lent {
    /// The keys that lead to the tag's mapping.
    keys: Vec<String>,
    repository: Repository,
    /// The reason why the tag is left alone nevertheless.
    obstacle: Option<Obstacle>,
}

impl Names {
    /// The names in what was found; `None` in a manifest, over which nothing is laid.
    pub(super) fn of(path: &str, stream: &Stream, found: &Found) -> Option<Self> {
        let root = stream.target(*stream.documents().first()?);
        let is_manifest =
            ["apiVersion", "kind", "services"].iter().any(|key| stream.get(root, key).is_some());
        let is_part = |slot: &Slot| slot.part == Part::Tag;
        let has_parts = found.sites.iter().any(|site| site.slots.iter().any(is_part))
            || found.claimed.iter().any(|one| one.slots.iter().any(is_part));
        let is_untagged = |one: &&Obstructed| {
            matches!(one.obstacle, Obstacle::Untagged | Obstacle::AppVersion(_))
        };
        if is_manifest || !has_parts && !found.obstructed.iter().any(|one| is_untagged(&one)) {
            return None;
        }
        let ways = Ways::of(stream);
        let mut all = BTreeMap::new();
        for site in &found.sites {
            let tag = site.slots.iter().find(|slot| slot.part == Part::Tag);
            let Some(way) = tag.and_then(|slot| ways.to(slot.node)) else { continue };
            let (repository, has_digest) = (site.repository.clone(), site.digest.is_some());
            all.insert(way.keys, Name { repository, line: site.line, has_digest });
        }
        let named = |one: &Obstructed| {
            let Named::Is(repository) = &one.named else { return None };
            let (node, _) = stream.nodes().find(|(_, node)| node.span() == one.spot.span)?;
            let (repository, line) = (repository.clone(), one.spot.line);
            Some((ways.to(node)?.keys, Name { repository, line, has_digest: false }))
        };
        all.extend(found.obstructed.iter().filter(is_untagged).filter_map(named));
        Some(Self { path: path.to_owned(), all })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What these files lend to the tags of another one.
    #[must_use]
    pub fn lend(all: &[&Self], path: &str, text: &str) -> Vec<Lent> {
        let near = all.iter().filter(|names| lies_over(path, &names.path));
        let near: Vec<&&Self> = near.collect();
        let Some(stream) = Stream::parse(text).ok().filter(|_| !near.is_empty()) else {
            return Vec::new();
        };
        let mut lent: BTreeMap<&Vec<String>, Lent> = BTreeMap::new();
        for (names, (keys, name)) in
            near.iter().flat_map(|names| names.all.iter().map(move |one| (names, one)))
        {
            if tag_at(&stream, keys).is_none() {
                continue;
            }
            let said =
                || format!("`{}` in line {} of {}", name.repository, name.line, names.path).into();
            let digest = name.has_digest.then(|| Obstacle::LaidDigest(said()));
            let one = lent.entry(keys).or_insert_with(|| Lent {
                keys: keys.clone(),
                repository: name.repository.clone(),
                obstacle: digest,
            });
            if one.repository != name.repository {
                one.obstacle = Some(Obstacle::Elsewhere(said()));
            }
        }
        lent.into_values().collect()
    }
}

/// The mapping with a tag, and without a name, to which keys lead, and the tag.
fn tag_at(stream: &Stream, keys: &[String]) -> Option<(NodeId, NodeId)> {
    let root = stream.target(*stream.documents().first()?);
    let down = |node, key: &String| Some(stream.target(stream.get(node, key)?));
    let mapping = keys.iter().try_fold(root, down)?;
    let has_own = OWN.iter().any(|key| stream.get(mapping, key).is_some());
    let tag = stream.get(mapping, "tag").filter(|_| !has_own)?;
    stream.text(stream.target(tag)).and_then(Tag::parse)?;
    Some((mapping, tag))
}

/// Finds the tags to which names are lent.
pub(super) fn visit(finder: &mut Finder<'_>, lent: &[Lent]) {
    for one in lent {
        let Some((mapping, tag)) = tag_at(finder.stream, &one.keys) else { continue };
        let written = match &one.obstacle {
            Some(obstacle) => Err(obstacle.clone().into()),
            None => finder.siblings(mapping, &["tag"]),
        };
        finder.record(one.repository.clone(), tag, written);
    }
}
