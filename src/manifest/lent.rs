//! Tags whose image stands in another file: `image: {tag}` in `values-prod.yaml`, and `image: {repository}` at the same path
//! of `values.yaml` beside it, as Helm lays the one over the other.

use std::collections::BTreeMap;

use super::around::Ways;
use super::finder::{Finder, NameAt, join};
use super::identity::Form;
use super::layers::are_kin;
use super::named::is_half;
use super::{Found, Named, Obstacle, Obstructed, Part, Slot};
use crate::image::{Digest, Repository, Tag};
use crate::yaml::{Data, NodeId, Stream};

/// Keys that give a mapping an image of its own.
const OWN: [&str; 4] = ["repository", "image", "name", "<<"];

/// The images that a file of values names, by the keys that lead to their mappings.
#[derive(Clone, Debug)]
pub struct Names {
    path: String,
    all: BTreeMap<Vec<String>, Name>,
}

/// An image as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    registry: Option<String>,
    written: String,
    /// The reason why a tag that is laid over it does not move.
    obstacle: Option<Obstacle>,
}

/// The name of an image for a tag in another file.
#[derive(Clone, Debug)]
pub struct Lent {
    /// The keys that lead to the tag's mapping.
    keys: Vec<String>,
    name: Name,
}

impl Names {
    /// The names in what was found; `None` in a manifest, over which nothing is laid.
    pub(super) fn of(path: &str, stream: &Stream, found: &Found) -> Option<Self> {
        let is_part = |slot: &Slot| slot.part == Part::Tag;
        let has_parts = found.sites.iter().any(|site| site.slots.iter().any(is_part))
            || found.claimed.iter().any(|one| one.slots.iter().any(is_part));
        let mut untagged = found.obstructed.iter().filter(|one| is_untagged(one)).peekable();
        if is_manifest(stream) || !has_parts && untagged.peek().is_none() {
            return None;
        }
        let ways = Ways::of(stream);
        let mut all = BTreeMap::new();
        let mut add = |node: NodeId, repository: &Repository, has_digest: bool| {
            let Some(way) = ways.to(node) else { return };
            if let Some(name) = Name::of(stream, way.mapping, repository, has_digest) {
                all.insert(way.keys, name);
            }
        };
        for site in &found.sites {
            if let Some(slot) = site.slots.iter().find(|slot| is_part(slot)) {
                add(slot.node, &site.repository, site.digest.is_some());
            }
        }
        let scalars = stream.nodes().filter(|(_, node)| matches!(node.data, Data::Scalar { .. }));
        let scalars: BTreeMap<usize, NodeId> =
            scalars.map(|(id, node)| (node.span().start, id)).collect();
        for Obstructed { named, spot, .. } in untagged {
            if let (Named::Is(repository), Some(node)) = (named, scalars.get(&spot.span.start)) {
                add(*node, repository, false);
            }
        }
        Some(Self { path: path.to_owned(), all })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What these files lend to the tags of another one of their kin.
    #[must_use]
    pub fn lend(all: &[&Self], path: &str, stream: &Stream) -> Vec<Lent> {
        let kin = all.iter().filter(|names| are_kin(path, &names.path) && !is_manifest(stream));
        let mut lent: BTreeMap<&Vec<String>, Lent> = BTreeMap::new();
        for (keys, name) in kin.flat_map(|names| &names.all) {
            if tag_at(stream, keys).is_none() {
                continue;
            }
            let (new, name) = (Lent { keys: keys.clone(), name: name.clone() }, name.clone());
            let one = lent.entry(keys).or_insert(new);
            let is_same =
                (&one.name.registry, &one.name.written) == (&name.registry, &name.written);
            let contradicts = (!is_same).then_some(Obstacle::TwoNames);
            one.name.obstacle = one.name.obstacle.take().or(name.obstacle).or(contradicts);
        }
        lent.into_values().collect()
    }
}

impl Name {
    /// The name in a mapping, where its own keys alone say which image it is.
    fn of(
        stream: &Stream,
        mapping: NodeId,
        repository: &Repository,
        has_digest: bool,
    ) -> Option<Self> {
        let text = |key: &str| stream.text(stream.target(stream.get(mapping, key)?));
        let registry = text("registry").filter(|registry| !registry.is_empty());
        let name = ["repository", "image", "name"].iter().find_map(|key| text(key))?;
        if join(registry, name).as_ref() != Some(repository) {
            return None;
        }
        let is_written = |key: &NodeId, value: &NodeId| {
            let half = stream.text(*key).is_some_and(|key| is_half(key, ""));
            half && stream.text(*value).is_some_and(|text| !text.is_empty())
        };
        let half = stream.entries(mapping).iter().find(|(key, value)| is_written(key, value));
        let line = |node: NodeId| stream.node(node).line();
        let half = half.map(|(_, value)| {
            Obstacle::InTwoKeys(format!("line {} of the file that names it", line(*value)).into())
        });
        let digest = has_digest.then(|| {
            Obstacle::LaidDigest(format!("`{name}` has one in line {}", line(mapping)).into())
        });
        let (registry, written) = (registry.map(str::to_owned), name.to_owned());
        Some(Self { registry, written, obstacle: digest.or(half) })
    }
}

impl Lent {
    /// True if it is for the mapping to which keys lead.
    pub(super) fn is_at(&self, keys: &[String]) -> bool {
        self.keys == keys
    }
}

fn is_untagged(one: &Obstructed) -> bool {
    matches!(one.obstacle, Obstacle::Untagged | Obstacle::AppVersion(_))
}

/// True if a file is an object, a Compose file or a chart: nothing is laid over it, nor it over anything.
fn is_manifest(stream: &Stream) -> bool {
    let root = stream.documents().first().map(|root| stream.target(*root));
    let keys = ["apiVersion", "kind", "services", "$schema"];
    root.is_none_or(|root| keys.iter().any(|key| stream.get(root, key).is_some()))
}

/// The mapping with a tag, and without a name, to which keys lead, and the tag.
fn tag_at(stream: &Stream, keys: &[String]) -> Option<(NodeId, NodeId)> {
    let root = stream.target(*stream.documents().first()?);
    let down = |node, key: &String| {
        let next = stream.get(node, key).filter(|_| !stream.is_repeated(node, key))?;
        // What an alias stands for is somebody else's as well.
        (stream.target(next) == next).then_some(next)
    };
    let mapping = keys.iter().try_fold(root, down)?;
    let has_own = OWN.iter().any(|key| stream.get(mapping, key).is_some());
    let tag = stream.get(mapping, "tag").filter(|_| !has_own)?;
    let text = stream.text(stream.target(tag))?;
    let (tag_text, digest) = text.split_once('@').unwrap_or((text, ""));
    let is_tag =
        Tag::parse(tag_text).is_some() && (digest.is_empty() || Digest::parse(digest).is_some());
    is_tag.then_some((mapping, tag))
}

/// Finds the tags to which names are lent.
pub(super) fn visit(finder: &mut Finder<'_>, lent: &[Lent]) {
    for Lent { keys, name: Name { registry, written: name, obstacle } } in lent {
        let Some((mapping, tag)) = tag_at(finder.stream, keys) else { continue };
        let written = match obstacle {
            Some(obstacle) => Err(obstacle.clone().into()),
            None if finder.is_used_elsewhere(mapping) => Err(Obstacle::Aliased.into()),
            None => finder.siblings(mapping, &["tag"]),
        };
        let own = finder.text(mapping, "registry").map(str::to_owned);
        let registry = own.or_else(|| registry.clone());
        finder.record_named(
            mapping,
            registry.as_deref(),
            NameAt { text: name, form: Form::Split, node: tag },
            written,
        );
    }
}
