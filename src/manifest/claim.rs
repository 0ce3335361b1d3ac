//! Pieces of scalars that a marker or a target gives to a policy, whatever their shape.

use std::collections::BTreeMap;
use std::ops::Range;

use super::variables::{self, Marked};
use super::{Part, Reader, Slot};
use crate::image::{Digest, Reference, Repository, Tag, split_registry};
use crate::yaml::NodeId;

/// One piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The name of the policy.
    pub(super) policy: String,
    /// The piece.
    pub(super) slot: Slot,
    /// What it holds.
    pub(super) text: String,
    /// What it shares with the other parts of its image.
    pub(super) parent: Parent,
}

/// What the parts of one image have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parent {
    /// The mapping that they are in.
    Mapping(NodeId),
    /// The match of a regular expression, or the line: where it starts.
    Text(usize),
}

/// The bytes of a file that are claimed.
#[derive(Default)]
pub(super) struct Taken(BTreeMap<usize, usize>);

impl Taken {
    /// Takes a piece; `false` when one of its bytes is taken.
    pub(super) fn take(&mut self, slot: &Slot) -> bool {
        let is_free = self.is_free(slot);
        if is_free {
            self.0.insert(slot.start, slot.start + slot.range.len().max(1));
        }
        is_free
    }

    /// Whether none of a piece's bytes is taken.
    pub(super) fn is_free(&self, slot: &Slot) -> bool {
        self.is_free_at(&(slot.start..slot.start + slot.range.len().max(1)))
    }

    /// True if none of these bytes is taken.
    pub(super) fn is_free_at(&self, bytes: &Range<usize>) -> bool {
        let before = self.0.range(..bytes.end).next_back();
        before.is_none_or(|(_, taken)| *taken <= bytes.start)
    }
}

/// Pieces of one mapping that are claimed for one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The name of the policy.
    pub policy: String,
    /// What the pieces hold.
    pub tag: Option<Tag>,
    /// What the pieces hold.
    pub digest: Option<Digest>,
    /// The registry that the pieces hold, as it is written.
    pub registry: Option<String>,
    /// The name of the image that the pieces hold, as it is written.
    pub name: Option<String>,
    /// The line of the first, from 1.
    pub line: usize,
    /// The pieces.
    pub slots: Vec<Slot>,
    /// What each piece holds, as it is written.
    pub(super) texts: Vec<String>,
    /// The mapping that they are in, where it is one.
    pub(super) mapping: Option<NodeId>,
    /// The line of a digest beside them that nobody claims, and that would stay as it is.
    pub(super) stays: Option<usize>,
    /// Who reads the tag.
    pub(super) reader: Reader,
    /// The name of an image beside them that nobody claims.
    pub(super) beside: Option<String>,
    /// The registry beside a claimed name that nobody claims.
    pub(super) registry_beside: Option<String>,
}

/// Why a claimed place is left alone, or what is lost in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A piece is not the part that it is said to be.
    Not(&'static str),
    /// Neither a tag nor a digest is claimed.
    Untagged,
    /// Another image is named.
    OtherImage(String),
    /// A digest beside the tag would stay, in this line.
    DigestStays(usize),
    /// A digest is to be written where its reader takes none.
    OnlyTag,
}

/// So many places of one mapping can wait for more parts; in a long list, each is one by itself.
const MAX_OPEN: usize = 16;

/// Puts the parts of one image, each claimed once, together: a name, a tag and a digest beside each
/// other. A whole reference, or a part that comes again, is a place of its own.
pub(super) fn group(mut claims: Vec<Claim>) -> Vec<Claimed> {
    claims.sort_by_key(|claim| claim.parent);
    let mut groups: Vec<(Parent, Claimed)> = Vec::new();
    for claim in claims {
        let open = groups.iter_mut().rev();
        let mut open = open.take_while(|(parent, _)| *parent == claim.parent).take(MAX_OPEN);
        match open.find(|(_, group)| group.takes(&claim)) {
            Some((_, group)) => group.add(claim),
            None => {
                let parent = claim.parent;
                let mut group = Claimed {
                    policy: claim.policy.clone(),
                    tag: None,
                    digest: None,
                    registry: None,
                    name: None,
                    line: claim.slot.line,
                    slots: Vec::new(),
                    texts: Vec::new(),
                    mapping: match parent {
                        Parent::Mapping(mapping) => Some(mapping),
                        Parent::Text(_) => None,
                    },
                    stays: None,
                    reader: Reader::default(),
                    beside: None,
                    registry_beside: None,
                };
                group.add(claim);
                groups.push((parent, group));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

impl Claimed {
    /// Whether a claim adds a part that this place does not have yet.
    fn takes(&self, claim: &Claim) -> bool {
        let has = |part| self.slots.iter().any(|slot| slot.part == part);
        let part = claim.slot.part;
        let has_tag = has(Part::Tag) || has(Part::TagAndDigest);
        self.policy == claim.policy
            && part != Part::Whole
            && !has(Part::Whole)
            && !has(part)
            && !(has_tag && matches!(part, Part::Tag | Part::TagAndDigest))
    }

    /// The same, when what is named is this repository already: then its spelling stays, and what
    /// follows the name is all that changes.
    pub(super) fn keeping_name_of(mut self, repository: &Repository) -> Self {
        let name = match (&self.registry, &self.name) {
            (Some(registry), Some(name)) => format!("{}/{name}", registry.trim_end_matches('/')),
            (_, name) => name.clone().unwrap_or_default(),
        };
        // Where the parts of a name are claimed, they are to be the policy's.
        let is_whole = self.slots.iter().any(|slot| slot.part == Part::Whole);
        let is_it = Repository::parse(&name).as_ref() == Ok(repository);
        if !(is_it || is_whole && is_copy(&name, repository)) {
            return self;
        }
        (self.registry, self.name) = (None, None);
        self.slots.retain(|slot| !matches!(slot.part, Part::Name | Part::Registry));
        for slot in self.slots.iter_mut().filter(|slot| slot.part == Part::Whole) {
            slot.part = Part::Suffix;
            slot.range.start += name.len();
            slot.start += name.len();
            if let Some(inner) = &mut slot.inner {
                inner.range.start += name.len();
            }
        }
        self
    }

    /// Whether another name stands there than the one of this image.
    pub(super) fn is_other_than(&self, image: &str) -> bool {
        let (registry, rest) = split_registry(image);
        let name = if self.registry.is_some() { rest } else { image };
        self.registry.as_deref().is_some_and(|written| written != registry)
            || self.name.as_deref().is_some_and(|written| written != name)
    }

    fn add(&mut self, mut claim: Claim) {
        // In the way in which it is written.
        if claim.slot.part == Part::Digest && Digest::from_hex(&claim.text).is_some() {
            claim.slot.part = Part::Hash;
        }
        let text = &*claim.text;
        match claim.slot.part {
            Part::Whole => {
                let reference = Reference::parse(text);
                let name =
                    reference.as_ref().map_or(text, |reference| &text[..reference.suffix.start]);
                self.name = Some(name.to_owned());
                if let Some(reference) = reference {
                    (self.tag, self.digest) = (reference.tag, reference.digest);
                }
            }
            Part::Name => self.name = Some(text.to_owned()),
            Part::Registry => self.registry = Some(text.to_owned()),
            Part::Digest | Part::Hash => {
                self.digest = Digest::parse(text).or_else(|| Digest::from_hex(text));
            }
            Part::Tag | Part::TagAndDigest | Part::Suffix => {
                let (tag, digest) = text.split_once('@').unwrap_or((text, ""));
                self.tag = Tag::parse(tag);
                self.digest = Digest::parse(digest).or(self.digest.take());
            }
        }
        self.texts.push(claim.text);
        self.slots.push(claim.slot);
    }

    /// Adds the digest that is claimed in another mapping.
    pub(super) fn join(&mut self, digest: Self) {
        self.digest = digest.digest;
        self.slots.extend(digest.slots);
        self.texts.extend(digest.texts);
    }

    /// The place as one of a policy's image, whose name stays as it is written unless the name itself is claimed.
    ///
    /// # Errors
    /// Why it is not to be changed: what is there is not what the marker says, or is of another image.
    pub(super) fn judged(mut self, repository: &Repository) -> Result<Self, Fault> {
        self.read_behind_variable(repository);
        let pieces = self.slots.iter().zip(&self.texts);
        let wrong = pieces.map(|(slot, text)| fault(slot.part, text)).find_map(|why| why);
        if let Some(why) = wrong {
            return Err(Fault::Not(why));
        }
        if let (Some(registry), Some(name)) = (&self.registry_beside, &self.name) {
            // Both together are the name, and only one of them is claimed.
            let joined = format!("{}/{name}", registry.trim_end_matches('/'));
            if Repository::parse(&joined).as_ref() != Ok(repository) {
                return Err(Fault::OtherImage(joined));
            }
            self.slots.retain(|slot| slot.part != Part::Name);
            self.name = None;
        }
        if let Some(name) = self.beside.take_if(|name| !may_name(name, repository)) {
            return Err(Fault::OtherImage(name));
        }
        if let Some(line) = self.stays {
            return Err(Fault::DigestStays(line));
        }
        let has = |part| self.slots.iter().any(|slot| slot.part == part);
        if has(Part::TagAndDigest) && !self.reader.takes_pinned_tag() {
            return Err(Fault::OnlyTag);
        }
        let is_fillable = self.slots.iter().any(|slot| slot.part.is_digest());
        if self.tag.is_none() && self.digest.is_none() && !is_fillable {
            return Err(Fault::Untagged);
        }
        let place = self.keeping_name_of(repository);
        if place.slots.iter().any(|slot| slot.part == Part::Whole) {
            return Err(Fault::OtherImage(place.name.unwrap_or_default()));
        }
        Ok(place)
    }

    /// What Flux's marker would lose, which replaces whatever is there.
    pub(super) fn loss(&self, repository: &Repository, writes_digest: bool) -> Option<Fault> {
        let has_variable = |text: &String| text.contains("${") || text.contains("{{");
        if self.texts.iter().any(has_variable) {
            return Some(Fault::Not("it holds a variable"));
        }
        let is_tag = |slot: &Slot| matches!(slot.part, Part::Tag | Part::Whole);
        let mut both = self.slots.iter().zip(&self.texts);
        if !writes_digest && both.any(|(slot, text)| is_tag(slot) && text.contains('@')) {
            return Some(Fault::Not("its digest goes away"));
        }
        let mut both = self.slots.iter().zip(&self.texts);
        if !writes_digest && both.any(|(slot, text)| slot.part.is_digest() && !text.is_empty()) {
            return Some(Fault::DigestStays(self.line));
        }
        let whole =
            self.name.as_deref().filter(|_| self.slots.iter().any(|s| s.part == Part::Whole));
        if let Some(name) = whole.filter(|name| !name.is_empty() && !is_copy(name, repository)) {
            return Some(Fault::OtherImage(name.to_owned()));
        }
        match self.clone().judged(repository).err()? {
            // Flux fills what is empty.
            Fault::Untagged => None,
            Fault::Not(_) if self.texts.iter().any(String::is_empty) => None,
            fault => Some(fault),
        }
    }

    /// A whole reference whose registry is a variable: the tag is all that changes.
    fn read_behind_variable(&mut self, repository: &Repository) {
        let [slot] = &mut self.slots[..] else { return };
        let Some(marked) = self.texts.first().filter(|_| slot.part == Part::Whole) else { return };
        let Some(Marked { tag, digest, suffix }) = variables::marked(marked, repository) else {
            return;
        };
        slot.part = Part::Suffix;
        slot.start += suffix.start;
        slot.range.start += suffix.start;
        if let Some(inner) = &mut slot.inner {
            inner.range.start += suffix.start;
        }
        (self.tag, self.digest, self.name) = (tag, digest, None);
        self.texts = vec![marked[suffix.start + 1..].to_owned()];
    }
}

/// True if a name beside a claimed tag may be the policy's image, or one that is called alike elsewhere.
fn may_name(name: &str, repository: &Repository) -> bool {
    let reference = Reference::parse(name);
    reference.is_none_or(|named| named.repository.base_name() == repository.base_name())
}

/// True if a name is a repository, or a copy of it at another registry: what follows the name is the same there.
fn is_copy(name: &str, repository: &Repository) -> bool {
    let Ok(named) = Repository::parse(name) else { return false };
    let path = repository.path();
    let path = path.strip_prefix("library/").unwrap_or(path);
    named == *repository
        || named.registry() != repository.registry()
            && named
                .path()
                .strip_suffix(path)
                .is_some_and(|front| front.is_empty() || front.ends_with('/'))
}

/// Why a text is not the part that it is said to be: a path that leads elsewhere must not overwrite
/// what is there.
pub(super) fn fault(part: Part, value: &str) -> Option<&'static str> {
    let (tag, digest) =
        value.split_once('@').map_or((value, None), |(tag, digest)| (tag, Some(digest)));
    let is_tag =
        Tag::parse(tag).is_some() && digest.is_none_or(|digest| Digest::parse(digest).is_some());
    match part {
        Part::Tag | Part::TagAndDigest | Part::Suffix if !is_tag => Some("it holds no tag"),
        Part::Digest | Part::Hash
            if !value.is_empty()
                && Digest::parse(value).or_else(|| Digest::from_hex(value)).is_none() =>
        {
            Some("it holds no digest")
        }
        Part::Whole if Reference::parse(value).is_none() => Some("it holds no image reference"),
        Part::Name if Repository::parse(value).is_err() => Some("it holds no name of an image"),
        Part::Registry if Repository::parse(&format!("{value}/a")).is_err() => {
            Some("it holds no registry")
        }
        _ => None,
    }
}
