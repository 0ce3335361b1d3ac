//! The place of an image among values, as other values see it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::argocd::SETS;
use super::around::{Way, Ways};
use super::beside::is_key_of;
use super::identity::join;
use super::layers::{Laid, LayerKind};
use super::release::{Rank, ReleaseObject, Root, dotted};
use super::{Lent, Part, Site, Slot};
use crate::image::{Reference, Repository, split_registry};
use crate::yaml::{Data, NodeId, Stream};

/// Position of a place relative to the values that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    Above,
    Below,
}

/// The ways through a file, and through the texts in it, each read once.
pub(super) struct ValuePaths<'s> {
    path: &'s str,
    stream: &'s Stream<'s>,
    ways: Ways,
    texts: RefCell<BTreeMap<NodeId, Option<Rc<EmbeddedText<'s>>>>>,
}

/// A text that is YAML itself.
struct EmbeddedText<'s> {
    stream: Stream<'s>,
    ways: Ways,
    /// Scalars by their first byte.
    scalars: BTreeMap<usize, NodeId>,
}

impl<'s> ValuePaths<'s> {
    pub(super) fn of(path: &'s str, stream: &'s Stream<'s>) -> Self {
        Self { path, stream, ways: Ways::of(stream), texts: RefCell::default() }
    }

    /// The way to the first slot of a site.
    pub(super) fn to(&self, site: &Site) -> Option<Way<'s>> {
        self.ways.to(self.stream, site.slots.first()?.node)
    }

    fn text(&self, node: NodeId) -> Option<Rc<EmbeddedText<'s>>> {
        let read = || {
            let stream = Stream::parse(self.stream.text(node)?).ok()?;
            let scalars =
                stream.nodes().filter(|(_, node)| matches!(node.data, Data::Scalar { .. }));
            let scalars = scalars.map(|(id, node)| (node.span().start, id)).collect();
            Some(Rc::new(EmbeddedText { ways: Ways::of(&stream), scalars, stream }))
        };
        self.texts.borrow_mut().entry(node).or_insert_with(read).clone()
    }

    /// The place of a site; `None` where keys alone do not lead to it.
    pub(super) fn place<'p>(&'p self, site: &'p Site) -> Option<Place<'p>> {
        let is_tag =
            |slot: &&Slot| matches!(slot.part, Part::Tag | Part::TagAndDigest | Part::Suffix);
        let slot = site.slots.iter().find(is_tag)?;
        let outer = self.ways.to(self.stream, slot.node)?;
        let is_of_file = outer.is_of_file(self.stream);
        let object = ReleaseObject::of(self.stream, outer.root);
        let (keys, key) = (outer.keys.clone(), outer.key.to_owned());
        let place = Place {
            path: self.path,
            object,
            keys,
            key,
            name: None,
            registry: None,
            site,
            is_lent: false,
            lender: None,
            is_of_file,
        };
        let Some(inner) = &slot.inner else {
            if let Some(set) = SetValue::at(self.stream, &outer) {
                return Some(set.place(place));
            }
            return Some(place.named(self.stream, outer.mapping, slot));
        };
        // Within a text, the way goes on.
        let text = self.text(slot.node)?;
        let within = text.ways.to(&text.stream, *text.scalars.get(&inner.raw.start)?)?;
        let keys = place.keys.into_iter().chain([place.key]).chain(within.keys).collect();
        let place = Place { keys, key: within.key.to_owned(), ..place };
        Some(place.named(&text.stream, within.mapping, slot))
    }
}

/// A value that is set by its dotted name, in a list of such: Argo CD's parameters, and helmfile's.
struct SetValue<'s> {
    stream: &'s Stream<'s>,
    /// The keys that lead to the list.
    list: Vec<String>,
    /// The items of the list.
    items: &'s [NodeId],
    /// The keys that the name stands for.
    name: Vec<String>,
}

/// More values are not set in one list by hand.
const MAX_SET: usize = 2_000;

impl<'s> SetValue<'s> {
    fn at(stream: &'s Stream<'s>, way: &Way<'_>) -> Option<Self> {
        let (_, list) = way.keys.split_last()?;
        let is_list = list.last().is_some_and(|key| key == "parameters" || SETS.contains(&&**key));
        if !is_list || way.key != "value" {
            return None;
        }
        let step = |node, key: &String| Some(stream.target(stream.step(node, key)?));
        let items = stream.items(list.iter().try_fold(way.root, step)?);
        let name = dotted(stream.text(stream.target(stream.get(way.mapping, "name")?))?);
        Some(Self { stream, list: list.to_vec(), items, name })
    }

    /// The value of another name.
    fn value(&self, name: &str) -> Option<&'s str> {
        let stream = self.stream;
        let text = |item: NodeId, key: &str| stream.text(stream.target(stream.get(item, key)?));
        let mut items = self.items.iter().take(MAX_SET).map(|item| stream.target(*item));
        let item = items.find(|item| text(*item, "name") == Some(name))?;
        text(item, "value").filter(|text| !text.is_empty())
    }

    /// The place of the image that it is the tag or the reference of.
    fn place(self, place: Place<'_>) -> Place<'_> {
        let Some((key, above)) = self.name.split_last() else { return place };
        let beside = |key: &str| {
            let keys = above.iter().map(String::as_str).chain([key]);
            self.value(&keys.collect::<Vec<_>>().join("."))
        };
        let whole = || {
            let written = self.value(&self.name.join("."))?;
            written.get(..Reference::parse(written)?.suffix.start)
        };
        let is_whole = place.site.slots.iter().any(|slot| slot.part == Part::Suffix);
        let parts = || ["repository", "image"].iter().find_map(|key| beside(key));
        let name = if is_whole { whole() } else { parts() };
        let name = name.map(str::to_owned);
        let name = name.filter(|name| split_registry(name).1 == *name);
        let registry = beside("registry").map(str::to_owned);
        let keys = self.list.iter().chain(above).cloned().collect();
        Place { keys, key: key.clone(), name, registry, ..place }
    }
}

/// The place of an image in the values.
#[derive(Clone)]
pub(super) struct Place<'s> {
    path: &'s str,
    /// The object that it is in.
    object: Option<ReleaseObject>,
    /// The keys that lead to the mapping of its tag.
    keys: Vec<String>,
    /// The key of its tag, or of its reference.
    key: String,
    /// The name as it is written, where no host stands in it.
    name: Option<String>,
    /// The registry beside it.
    registry: Option<String>,
    site: &'s Site,
    /// True if its name stands in another file.
    is_lent: bool,
    /// Rank of the values that lend the name.
    lender: Option<Rank>,
    /// True if mappings alone lead to it, in the first document of its file.
    pub(super) is_of_file: bool,
}

impl Place<'_> {
    /// The object that it is in.
    pub(super) fn object(&self) -> Option<&ReleaseObject> {
        self.object.as_ref()
    }

    /// True if it is of this image.
    pub(super) fn is_of(&self, repository: &Repository) -> bool {
        self.site.repository == *repository
    }

    /// The keys that lead to the mapping of its tag.
    pub(super) fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The same, with what stands beside it.
    fn named(mut self, stream: &Stream, mapping: NodeId, slot: &Slot) -> Self {
        let text = |key: &str| stream.text(stream.target(stream.get(mapping, key)?));
        let name = match slot.part {
            Part::Suffix => text(&self.key).map(|whole| {
                let range = slot.inner.as_ref().map_or(&slot.range, |inner| &inner.range);
                whole.get(..range.start).unwrap_or(whole)
            }),
            _ => ["repository", "image", "name"].iter().find_map(|key| text(key)),
        };
        let name = name.filter(|name| split_registry(name).1 == *name).map(str::to_owned);
        let registry = text("registry").filter(|text| !text.is_empty()).map(str::to_owned);
        (self.name, self.registry) = (name, registry);
        self
    }

    /// The same for a tag to which another file lends its name.
    pub(super) fn lent(self, all: &[Lent]) -> Self {
        let lent = all.iter().find(|lent| lent.is_at(self.object.as_ref(), &self.keys));
        let Some(lent) = lent else { return self };
        let name = self.name.clone().or_else(|| lent.bare_name().map(str::to_owned));
        Self { is_lent: true, lender: lent.lender(), name, ..self }
    }

    /// Rank of the values that lend the name.
    pub(super) fn lender(&self) -> Option<Rank> {
        self.lender
    }

    /// The same, as one whose name counts more.
    pub(super) fn named_here(self) -> Self {
        Self { is_lent: false, ..self }
    }

    /// The same, seen from some values; `None` where it is not in them.
    pub(super) fn within(&self, root: &Root) -> Option<Self> {
        let is_in = root.path == self.path && (root.object.is_none() || root.object == self.object);
        let keys = self.keys.strip_prefix(root.keys.as_slice()).filter(|_| is_in)?;
        Some(Self { keys: keys.to_vec(), ..self.clone() })
    }

    /// True for a digest that would stay behind, or a tag over its own digest.
    pub(super) fn is_apart_from(&self, at: &[String], one: &Laid, stand: Stand) -> bool {
        let has_digest =
            self.site.digest.is_some() || self.site.slots.iter().any(|slot| slot.part.is_digest());
        match one.kind {
            LayerKind::Tag => stand == Stand::Below && has_digest && at == self.keys,
            // Its own digest counts more.
            LayerKind::Digest => {
                !(stand == Stand::Above && has_digest) && self.is_its_digest(at, one)
            }
            LayerKind::Digits => stand == Stand::Below && at == self.keys,
            _ => false,
        }
    }

    /// True for a digest beside the tag, beside its mapping, or of all images.
    fn is_its_digest(&self, at: &[String], one: &Laid) -> bool {
        let keys = &self.keys;
        let of = if at == keys {
            Some(self.key.as_str())
        } else if is_global(at) {
            Some("image")
        } else {
            keys.last().filter(|_| at.len() + 1 == keys.len()).map(String::as_str)
        };
        let is_group = at == keys && !is_key_of(&one.key, None);
        is_group || of.is_some_and(|of| is_key_of(&one.key, Some(of)))
    }

    /// True for a registry or a name that makes another image of this one.
    pub(super) fn is_of_other_image(&self, at: &[String], one: &Laid, stand: Stand) -> bool {
        // `registry` is of the image beside it, or in it, or of all of them.
        let is_near =
            self.keys.strip_prefix(at).is_some_and(|rest| rest.len() < 2) || is_global(at);
        let is_other =
            |image: Option<Repository>| image.is_some_and(|image| image != self.site.repository);
        // What a place says of itself counts more.
        let counts = |own: bool| stand == Stand::Below || !own;
        match one.kind {
            LayerKind::Digest
            | LayerKind::Digits
            | LayerKind::Half
            | LayerKind::Range
            | LayerKind::Tag => false,
            // An image of its own is another one's business.
            LayerKind::Name if one.has_tag && !self.is_lent => false,
            LayerKind::Name => {
                counts(!self.is_lent) && at == self.keys && is_other(join(None, &one.value))
            }
            LayerKind::Registry => {
                let joined = || self.name.as_ref().and_then(|name| join(Some(&one.value), name));
                let is_its = is_near || one.key != "registry";
                counts(self.registry.is_some()) && is_its && is_other(joined())
            }
        }
    }
}

fn is_global(at: &[String]) -> bool {
    match at {
        [.., last] if last == "global" => true,
        [.., global, last] => global == "global" && last == "image",
        _ => false,
    }
}
