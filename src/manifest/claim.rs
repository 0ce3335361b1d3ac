//! Pieces of scalars that a marker or a target gives to a policy, whatever their shape.

use std::collections::BTreeMap;

use super::{Part, Slot};
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
        let before = self.0.range(..slot.start + slot.range.len().max(1)).next_back();
        before.is_none_or(|(_, taken)| *taken <= slot.start)
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
        if Repository::parse(&name).as_ref() != Ok(repository) {
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
        self.slots.push(claim.slot);
    }
}
