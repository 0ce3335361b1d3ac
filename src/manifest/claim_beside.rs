//! Digests that would stay beside claimed pieces, other halves of their names, and readers of their tags.

use super::beside::stem_of;
use super::claim::Claimed;
use super::finder::{Finder, Written};
use super::{Part, named, oci_source};
use crate::yaml::NodeId;

/// More pairs of them than this in one file are not told apart, and none moves.
const MAX_PAIRS: usize = 100_000;

/// Digests that are claimed further from a tag than this, in steps from one to the other, are of something else.
const MAX_STEPS: usize = 4;

impl Finder<'_> {
    /// Notes digests that would stay beside claimed tags, and who reads these.
    pub(super) fn look_beside_claims(&mut self) {
        let claimed = std::mem::take(&mut self.found.claimed);
        let mut claimed = self.with_their_digests(claimed);
        for one in &mut claimed {
            let has_tag = one.tag.is_some();
            let Some(mapping) = one.mapping.filter(|_| has_tag) else { continue };
            let Some(slot) = one.slots.first() else { continue };
            let key = self.key_of(slot.node).unwrap_or_default().to_owned();
            one.reader = oci_source::reader(self, mapping);
            let is_whole = one.slots.iter().any(|slot| slot.part == Part::Whole);
            one.beside = if is_whole { None } else { self.name_beside(mapping, &key) };
            one.registry_beside = self.registry_beside(mapping, &key);
            let stays = self.stays_beside(mapping, &key);
            let stays = stays.or_else(|| self.stays_around(mapping, &key));
            let line = stays.map(|node| self.stream.node(node).line());
            one.stays = one.stays.or(line);
        }
        self.found.claimed = claimed;
    }

    /// Puts digests that are claimed in a mapping of their own to the tags that they are nearest to, as `imageDigest` beside
    /// `image: {tag}`. Where several are as near, none of them moves.
    fn with_their_digests(&self, claimed: Vec<Claimed>) -> Vec<Claimed> {
        let is_alone = |one: &Claimed| {
            one.mapping.is_some() && one.slots.iter().all(|slot| slot.part.is_digest())
        };
        let (alone, mut others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(is_alone);
        if alone.len() * others.len() > MAX_PAIRS {
            for one in &mut others {
                one.stays =
                    alone.iter().find(|digest| digest.policy == one.policy).map(|one| one.line);
            }
            others.extend(alone);
            return others;
        }
        let mut left = Vec::new();
        for digest in alone {
            let steps: Vec<Option<usize>> =
                others.iter().map(|one| self.steps(one, &digest)).collect();
            let nearest = steps.iter().flatten().min().copied();
            let at = |steps: &&Option<usize>| nearest.is_some() && **steps == nearest;
            match steps.iter().filter(at).count() {
                0 => left.push(digest),
                1 => {
                    let one = steps.iter().position(|steps| *steps == nearest).unwrap_or_default();
                    others[one].join(digest);
                }
                _ => {
                    let near =
                        others.iter_mut().zip(&steps).filter(|(_, steps)| **steps == nearest);
                    near.for_each(|(one, _)| one.stays = Some(digest.line));
                }
            }
        }
        others.extend(left);
        others
    }

    /// The number of steps from a claimed tag to a digest that is claimed for the same policy, without an item of a list
    /// in between; `None` where they do not belong together.
    fn steps(&self, tag: &Claimed, digest: &Claimed) -> Option<usize> {
        let has_digest = tag.slots.iter().any(|slot| slot.part.is_digest()) || tag.digest.is_some();
        if tag.policy != digest.policy || tag.tag.is_none() || has_digest {
            return None;
        }
        let up = |node: NodeId| {
            let up = std::iter::successors(Some(node), |node| {
                self.key_of(*node).and_then(|_| self.parent(*node))
            });
            up.take(MAX_STEPS + 1).collect::<Vec<_>>()
        };
        let (tag, digest) = (up(tag.mapping?), up(digest.mapping?));
        let steps = tag.iter().enumerate().filter_map(|(steps, node)| {
            Some(steps + digest.iter().position(|other| other == node)?)
        });
        steps.min().filter(|steps| *steps <= MAX_STEPS)
    }

    /// The name of an image in a mapping, where nobody claims it; `key` is that of its tag.
    fn name_beside(&self, mapping: NodeId, key: &str) -> Option<String> {
        let stem = stem_of(key);
        let named = |word: &str| named::beside(stem, word);
        let keys = [named("repository"), named("image"), "newName".to_owned()];
        let mut nodes = keys.iter().filter_map(|key| self.stream.get(mapping, key));
        let node = nodes.find(|node| !self.taken.contains(node))?;
        let text = self.stream.text(self.stream.target(node))?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A registry in a mapping, where nobody claims it.
    fn registry_beside(&self, mapping: NodeId, key: &str) -> Option<String> {
        let node = self.stream.get(mapping, &named::beside(stem_of(key), "registry"))?;
        let text = self.stream.text(self.stream.target(node)).filter(|_| self.stays(node))?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A digest beside an image that nobody claims; `key` is one of the image's.
    fn stays_beside(&mut self, mapping: NodeId, key: &str) -> Option<NodeId> {
        let node = match self.digests_of(mapping).beside(stem_of(key)) {
            Ok(found) => found.into_iter().map(|digest| digest.node).find(|node| self.stays(*node)),
            Err(node) => Some(node),
        };
        node.filter(|node| self.stays(*node))
    }

    /// The same further away: merged into the mapping, in a group within it, above it, of all images, or among the
    /// variables or parameters that the tag is one of.
    fn stays_around(&mut self, mapping: NodeId, key: &str) -> Option<NodeId> {
        let mut written = Written::default();
        let at = self.digests_around(mapping, stem_of(key), &mut written);
        let at = at.err().and_then(|obstruction| obstruction.at);
        let mut above = written.slots.iter().map(|slot| slot.node).chain(at);
        above.find(|node| self.stays(*node)).or_else(|| self.stays_among_variables(mapping))
    }

    fn stays_among_variables(&mut self, variable: NodeId) -> Option<NodeId> {
        self.stream.get(variable, "value")?;
        let found = self.digests_beside_variable(variable);
        found.into_iter().map(|digest| digest.node).find(|node| self.stays(*node))
    }

    /// True if a digest is written that nobody claims or takes out.
    fn stays(&self, node: NodeId) -> bool {
        !self.taken.contains(&node) && !self.is_blank(node) && !self.is_ignored(node)
    }
}
