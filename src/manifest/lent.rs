//! Tags whose image stands in another file: `image: {tag}` in `values-prod.yaml`, and `image: {repository}` at the same path
//! of `values.yaml` beside it, as Helm lays the one over the other.

use std::collections::BTreeMap;

use super::around::Ways;
use super::beside::{is_digest, is_key_of};
use super::finder::{Finder, NameAt, Written};
use super::identity::WrittenForm;
use super::identity::join;
use super::layers::{Mapping, are_kin, lies_over, mappings};
use super::named::is_half;
use super::release::{OCI_REPOSITORY, Rank, ReleaseObject};
use super::stems::{self, Stems};
use super::{Found, Named, Obstacle, Obstructed, Part, Reader, Slot, Spot};
use crate::image::{Digest, Repository, Tag, split_registry};
use crate::yaml::{Data, NodeId, Stream};

/// Keys that give a mapping an image of its own.
pub(super) const OWN: [&str; 4] = ["repository", "image", "name", "<<"];

/// The images that a file of values names, by the keys that lead to their mappings.
#[derive(Clone, Debug)]
pub struct Names {
    path: String,
    all: BTreeMap<Vec<String>, Name>,
    /// Those under keys that are called for an image.
    stems: Stems,
}

/// An image as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    registry: Option<String>,
    written: String,
    /// The reason why a tag that is laid over it does not move.
    obstacle: Option<Obstacle>,
}

/// The name of an image for a tag in another file.
#[derive(Clone, Debug)]
pub struct Lent {
    /// The object that the tag is in; `None` for the first document.
    object: Option<ReleaseObject>,
    /// The keys that lead to the tag's mapping.
    keys: Vec<String>,
    name: Name,
    /// Rank of the values that lend the name.
    lender: Option<Rank>,
}

/// Images that values name, by the keys that lead to their mappings.
pub(super) type Lendable = BTreeMap<Vec<String>, Name>;

/// The lines of tags that have no name beside them, by the keys that lead to their mappings.
pub(super) type Borrowers = BTreeMap<Vec<String>, usize>;

impl Names {
    /// The names in what was found; `None` in a manifest, over which nothing is laid.
    #[must_use]
    pub fn of(path: &str, stream: &Stream, found: &Found) -> Option<Self> {
        let is_part = |slot: &Slot| slot.part == Part::Tag;
        let is_read = |slot: &Slot| matches!(slot.part, Part::Tag | Part::Suffix);
        let has_parts = found.sites.iter().any(|site| site.slots.iter().any(is_read))
            || found.claimed.iter().any(|one| one.slots.iter().any(is_part));
        let mut untagged = found.obstructed.iter().filter(|one| is_untagged(one)).peekable();
        if is_manifest(stream) || !has_parts && untagged.peek().is_none() {
            return None;
        }
        let ways = Ways::of(stream);
        let mut all = BTreeMap::new();
        let mut add = |node: NodeId, repository: &Repository, has_digest: bool| {
            let Some(way) = ways.to(stream, node).filter(|way| way.is_of_file(stream)) else {
                return;
            };
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
        let stems = Stems {
            named: stems::named(stream, &mappings(stream, *stream.documents().first()?)),
            ..Stems::default()
        };
        Some(Self { path: path.to_owned(), all, stems })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What these files lend to the tags of another one of their kin.
    #[must_use]
    pub fn lend(all: &[&Self], path: &str, stream: &Stream) -> Vec<Lent> {
        let Some(root) = stream.documents().first().copied() else { return Vec::new() };
        let kin = all.iter().filter(|names| are_kin(path, &names.path) && !is_manifest(stream));
        let mut lent: BTreeMap<&Vec<String>, Vec<&Name>> = BTreeMap::new();
        for (keys, name) in kin.flat_map(|names| &names.all) {
            if tag_in(stream, root, keys).is_some() {
                lent.entry(keys).or_default().push(name);
            }
        }
        let lent = lent.into_iter();
        lent.filter_map(|(keys, names)| Lent::of(keys.clone(), None, names)).collect()
    }
}

impl Name {
    /// The one that all of these are, or the first with what contradicts it.
    pub(super) fn agreed<'n>(names: impl IntoIterator<Item = &'n Self>) -> Option<Self> {
        names.into_iter().cloned().reduce(|one, other| {
            let is_same = (&one.registry, &one.written) == (&other.registry, &other.written);
            let contradicts = (!is_same).then_some(Obstacle::TwoNames);
            Self { obstacle: one.obstacle.or(other.obstacle).or(contradicts), ..one }
        })
    }

    /// A name with all of its parts in one text.
    pub(super) fn whole(written: &str) -> Self {
        Self { registry: None, written: written.to_owned(), obstacle: None }
    }

    /// The image.
    pub(super) fn repository(&self) -> Option<Repository> {
        join(self.registry.as_deref(), &self.written)
    }

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
        // A registry further away counts for a name without one.
        let around = Some(repository.registry()).filter(|_| registry.is_none());
        let mut all =
            [registry, around].into_iter().filter(|one| one.is_some() || registry.is_none());
        let registry = all.find(|one| join(*one, name).as_ref() == Some(repository))?;
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
            let said =
                format!("beside its name, below line {} of the file that names it", line(mapping));
            Obstacle::LaidDigest(said.into())
        });
        let (registry, written) = (registry.map(str::to_owned), name.to_owned());
        Some(Self { registry, written, obstacle: digest.or(half) })
    }
}

impl Lent {
    /// Name for the tag at some keys; `None` where there is none.
    pub(super) fn of<'n>(
        keys: Vec<String>,
        object: Option<ReleaseObject>,
        names: impl IntoIterator<Item = &'n Name>,
    ) -> Option<Self> {
        Some(Self { object, keys, name: Name::agreed(names)?, lender: None })
    }

    /// The same, lent by values of a release.
    pub(super) fn by(self, lender: Option<Rank>) -> Self {
        Self { lender, ..self }
    }

    /// Rank of the values that lend the name.
    pub(super) fn lender(&self) -> Option<Rank> {
        self.lender
    }

    /// The name as it is written, where no registry stands beside it.
    pub(super) fn bare_name(&self) -> Option<&str> {
        let name = &self.name.written;
        (self.name.registry.is_none() && split_registry(name).1 == name).then_some(name)
    }

    /// True if it is for the mapping to which keys lead.
    pub(super) fn is_at(&self, object: Option<&ReleaseObject>, keys: &[String]) -> bool {
        self.keys == keys && (self.object.is_none() || self.object.as_ref() == object)
    }
}

/// Tags of a file that is laid over others by the place of both alone, and whose name stands there: whether it is theirs, nobody knows.
#[must_use]
pub fn unlent(all: &[&Names], path: &str, stream: &Stream) -> Vec<Obstructed> {
    let Some(root) = stream.documents().first().copied() else { return Vec::new() };
    let is_over = |names: &&&Names| lies_over(path, &names.path) && !are_kin(path, &names.path);
    let below = all.iter().filter(|_| !is_manifest(stream)).filter(is_over);
    let own =
        Stems { unnamed: stems::unnamed(stream, &mappings(stream, root)), ..Stems::default() };
    let near = all.iter().filter(|names| lies_over(path, &names.path) && !is_manifest(stream));
    let near: Vec<&Stems> = near.map(|names| &names.stems).collect();
    let told = own.told(near.iter().copied());
    let found = below.flat_map(|names| &names.all).filter_map(|(keys, name)| {
        let Borrower { tag, .. } = tag_in(stream, root, keys)?;
        let (named, obstacle) = (Named::Is(name.repository()?), Obstacle::NamedElsewhere);
        Some(Obstructed { named, spot: Spot::of(stream, tag), obstacle })
    });
    found.chain(told).collect()
}

/// The images that values name beside the keys for one: `repository`, or `image` or `name` with a `tag`. What is global to them says
/// the registry of those that say none (<https://github.com/bitnami/charts/blob/main/bitnami/common/templates/_images.tpl>).
pub(super) fn lendable(stream: &Stream, node: NodeId, all: &[Mapping]) -> Lendable {
    let global = stream.at(node, &["global", "imageRegistry"]);
    let global = global.and_then(|node| stream.text(node));
    let global = global.filter(|registry| !registry.is_empty());
    let named = all.iter().filter_map(|Mapping { keys, node }| {
        let node = *node;
        let text = |key: &str| stream.text(stream.target(stream.get(node, key)?));
        let has_tag = stream.get(node, "tag").is_some();
        let other = || text("image").or_else(|| text("name")).filter(|_| has_tag);
        let name = text("repository").or_else(other)?;
        let own = text("registry").filter(|registry| !registry.is_empty());
        let repository = join(own, name)?;
        let has_digest = stream.entries(node).iter().any(|(key, value)| {
            let is_key = stream.text(*key).is_some_and(|key| is_key_of(key, None));
            is_key && stream.text(stream.target(*value)).is_some_and(is_digest)
        });
        let mut name = Name::of(stream, node, &repository, has_digest)?;
        name.registry = name.registry.or_else(|| global.map(str::to_owned));
        Some((keys.clone(), name))
    });
    named.collect()
}

/// The tags in values that have no name beside them.
pub(super) fn borrowers(stream: &Stream, all: &[Mapping]) -> Borrowers {
    let all = all.iter().filter_map(|Mapping { keys, node }| {
        let tag = stream.get(*node, "tag").filter(|_| !has_own_name(stream, *node))?;
        let text = stream.text(stream.target(tag)).filter(|text| !text.is_empty());
        text.map(|_| (keys.clone(), stream.node(tag).line()))
    });
    all.collect()
}

fn has_own_name(stream: &Stream, mapping: NodeId) -> bool {
    OWN.iter().any(|key| stream.get(mapping, key).is_some())
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
fn tag_in(stream: &Stream, root: NodeId, keys: &[String]) -> Option<Borrower> {
    let root = stream.target(root);
    let down = |node, key: &String| {
        let next = stream.step(node, key).filter(|_| !stream.is_repeated(node, key))?;
        // What an alias stands for is somebody else's as well.
        (stream.target(next) == next).then_some(next)
    };
    let mapping = keys.iter().try_fold(root, down)?;
    let tag = stream.get(mapping, "tag").filter(|_| !has_own_name(stream, mapping))?;
    let text = stream.text(stream.target(tag))?;
    let (tag_text, digest) = text.split_once('@').unwrap_or((text, ""));
    let is_tag =
        Tag::parse(tag_text).is_some() && (digest.is_empty() || Digest::parse(digest).is_some());
    is_tag.then_some(Borrower { mapping, tag })
}

/// A tag without a name.
struct Borrower {
    mapping: NodeId,
    tag: NodeId,
}

/// Finds the tags to which names are lent.
pub(super) fn visit(finder: &mut Finder<'_>, lent: &[Lent]) {
    for Lent { object, keys, name: Name { registry, written: name, obstacle }, .. } in lent {
        let stream = finder.stream;
        let is_it = |root: NodeId| {
            object
                .as_ref()
                .is_none_or(|object| ReleaseObject::of(stream, root).as_ref() == Some(object))
        };
        let documents = stream.documents().iter().copied().filter(|root| is_it(*root));
        // Without an object, the first document is all that is read.
        let most = if object.is_some() { usize::MAX } else { 1 };
        let found = documents.take(most).filter_map(|root| tag_in(stream, root, keys));
        for Borrower { mapping, tag } in found.collect::<Vec<_>>() {
            let written = match obstacle {
                Some(obstacle) => Err(obstacle.clone().into()),
                None if finder.is_used_elsewhere(mapping) => Err(Obstacle::Aliased.into()),
                None => finder.siblings(mapping, &["tag"]),
            };
            let is_source = object.as_ref().is_some_and(|object| object.is(OCI_REPOSITORY));
            let reader = |written: Written| {
                let own = written.reader;
                Written { reader: if is_source { Reader::OciSource } else { own }, ..written }
            };
            let written = written.map(reader);
            let own = finder.text(mapping, "registry").map(str::to_owned);
            let registry = own.or_else(|| registry.clone());
            finder.record_named(
                mapping,
                registry.as_deref(),
                NameAt { text: name, form: WrittenForm::Split, node: tag },
                written,
            );
        }
    }
}
