//! The places that policies' targets reach.

use std::cell::OnceCell;
use std::ops::Range;

use regex::Captures;
use serde_json::Value;

use super::claim::{Claim, Parent, Taken, fault};
use super::{Part, Slot, marker};
use crate::policy::{PartName, PolicyId, Query, Reach, Step, Target};
use crate::yaml::{Data, Locator, NodeId, Stream, to_json};

/// Longer texts are not searched: some expressions take a time that grows with the square of the length.
const MAX_TEXT: usize = 1 << 20;

/// More places than this in one file are somebody's mistake.
const MAX_PLACES: usize = 10_000;

/// A target, as the indices of its policy and in that policy.
pub(super) type TargetId = (PolicyId, usize);

/// A target of a policy.
#[derive(Clone, Copy)]
pub struct Aim<'p> {
    /// Which one it is.
    pub(super) id: TargetId,
    /// The policy's name.
    pub policy: &'p str,
    /// The target.
    pub target: &'p Target,
}

/// What one target reaches in one file.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) claims: Vec<Claim>,
    /// Places on lines that say `# tagalong: ignore`.
    pub(super) ignored: usize,
    /// Places that it leads to, and that cannot be changed: the line, and why.
    pub(super) missed: Vec<(usize, &'static str)>,
}

/// The reason for the places beyond [`MAX_PLACES`].
const TOO_MANY: &str = "there are more than 10,000 such places";

/// The reason where the targets of a file cost too much together.
const TOO_MUCH: &str =
    "the targets of this file find more than is looked for in a file of its size";

/// Why a place is not claimed, where somebody else has it.
const TAKEN: &str = "a marker or another target has this place";

impl Reached {
    /// Gives up the places that somebody else has.
    pub(super) fn yield_to(&mut self, taken: &mut Taken) {
        let mut free = Vec::with_capacity(self.claims.len());
        for claim in std::mem::take(&mut self.claims) {
            if taken.take(&claim.slot) {
                free.push(claim);
            } else {
                self.missed.push((claim.slot.line, TAKEN));
            }
        }
        self.claims = free;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.missed.is_empty() && self.ignored == 0
    }
}

/// The cost that the targets of one file may still come to: policies multiply targets, and a file is walked for each.
pub(super) struct Effort {
    /// Places that paths may come to.
    visits: usize,
    /// Bytes that expressions may look at, where each match looks to the end of the text.
    bytes: usize,
}

impl Effort {
    /// For a text: in proportion to its length, so that many small files cost no more than a large one.
    pub(super) fn of(text: &str) -> Self {
        let (most_visits, most_bytes) = (64_000_000, 2 << 30);
        Self {
            visits: most_visits.min(1_000 + 128 * text.len()),
            bytes: most_bytes.min((4 << 20) + 8_192 * text.len()),
        }
    }
}

/// A file that is YAML, as targets look at it.
pub(super) struct TargetSearch<'a> {
    text: &'a str,
    stream: &'a Stream<'a>,
    /// Each document as JSON, made once for all paths; `None` where aliases multiply it.
    documents: OnceCell<Vec<Option<Value>>>,
    /// The scalars that take up bytes, in the order of the text.
    scalars: OnceCell<Vec<NodeId>>,
    effort: Effort,
}

impl<'a> TargetSearch<'a> {
    pub(super) fn new(text: &'a str, stream: &'a Stream<'a>) -> Self {
        let (documents, scalars) = (OnceCell::new(), OnceCell::new());
        Self { text, stream, documents, scalars, effort: Effort::of(text) }
    }

    /// The places that a target reaches.
    pub(super) fn reach(&mut self, aim: Aim<'_>) -> Reached {
        let mut reached = Reached::default();
        match &aim.target.reach {
            Reach::Path(query, part) => {
                for (node, parent) in self.nodes(query, &mut reached) {
                    let length = self.stream.text(node).map_or(0, str::len);
                    let parent = Parent::Mapping(parent);
                    let at = TargetPiece { node, range: 0..length, parent };
                    let locator = self.stream.locator(self.text, node);
                    claim(aim, self.stream, locator.as_ref(), part_of(*part), at, &mut reached);
                }
            }
            Reach::Match(_) => self.matched(aim, &mut reached),
        }
        reached
    }

    /// Finds the places that an expression reaches.
    fn matched(&mut self, aim: Aim<'_>, reached: &mut Reached) {
        let Self { text, stream, .. } = *self;
        let all = matches(aim, text, &mut self.effort, reached);
        let scalars = self.scalars.get_or_init(|| scalars(stream));
        let mut way: Option<(NodeId, Option<Locator<'_>>)> = None;
        for found in all {
            let node = scalar_at(stream, scalars, &found.bytes);
            if let Some(node) = node.filter(|node| way.as_ref().is_none_or(|(at, _)| at != node)) {
                way = Some((node, stream.locator(text, node)));
            }
            let locator = node.and(way.as_ref()).and_then(|(_, locator)| locator.as_ref());
            let range = locator.and_then(|locator| locator.piece(&found.bytes));
            match node.zip(range) {
                Some((node, range)) => {
                    let at = TargetPiece { node, range, parent: found.parent };
                    claim(aim, stream, locator, found.part, at, reached);
                }
                None => reached.missed.push((found.line, "what it matches is in no value")),
            }
        }
    }

    /// The nodes that a path leads to, with the collections that they are in.
    fn nodes(&mut self, query: &Query, reached: &mut Reached) -> Vec<(NodeId, NodeId)> {
        let stream = self.stream;
        let roots = stream.documents();
        let documents = self
            .documents
            .get_or_init(|| roots.iter().map(|root| to_json(stream, *root)).collect());
        let mut found = Vec::new();
        for (root, document) in roots.iter().zip(documents) {
            let line = stream.node(*root).line();
            let Some(document) = document else {
                reached
                    .missed
                    .push((line, "aliases or nesting multiply this document beyond reason"));
                continue;
            };
            let ways = match query.ways(document, &mut self.effort.visits) {
                Ok(ways) => ways,
                Err(why) => {
                    reached.missed.push((line, why));
                    continue;
                }
            };
            if ways.len() > MAX_PLACES {
                reached.missed.push((line, TOO_MANY));
            }
            for way in ways.into_iter().take(MAX_PLACES) {
                match follow(stream, *root, &way) {
                    Ok(place) => found.push(place),
                    Err(node) => {
                        reached.missed.push((stream.node(node).line(), "duplicate key here"));
                    }
                }
            }
        }
        found
    }
}

/// What a target reaches in a file that is not YAML: only regular expressions do.
pub(super) fn in_text(aim: Aim<'_>, text: &str, effort: &mut Effort) -> Reached {
    let mut reached = Reached::default();
    if let Reach::Path(..) = aim.target.reach {
        reached.missed.push((1, "this is not YAML, so a path leads nowhere"));
    }
    for found in matches(aim, text, effort, &mut reached) {
        let value = &text[found.bytes.clone()];
        match fault(found.part, value) {
            _ if marker::is_ignored_at(text, found.bytes.start) => reached.ignored += 1,
            Some(why) => reached.missed.push((found.line, why)),
            None => {
                let (start, line) = (found.bytes.start, found.line);
                // Bytes name the piece, as there are no nodes.
                let slot = Slot {
                    part: found.part,
                    node: start,
                    range: 0..value.len(),
                    start,
                    line,
                    inner: None,
                    is_missing: false,
                };
                let (policy, text) = (aim.policy.to_owned(), value.to_owned());
                reached.claims.push(Claim { policy, slot, text, parent: found.parent });
            }
        }
    }
    reached
}

/// A group of a match.
struct Matched {
    part: Part,
    bytes: Range<usize>,
    line: usize,
    /// The match that it is of: its parts are of one image.
    parent: Parent,
}

fn matches(aim: Aim<'_>, text: &str, effort: &mut Effort, reached: &mut Reached) -> Vec<Matched> {
    let Reach::Match(pattern) = &aim.target.reach else { return Vec::new() };
    if text.len() > MAX_TEXT {
        reached.missed.push((1, "it has more than 1 MiB, which `match` does not search"));
        return Vec::new();
    }
    let (mut line, mut counted) = (1, 0);
    let mut found = Vec::new();
    for (number, captures) in pattern.captures_iter(text).enumerate() {
        let left = effort.bytes.checked_sub(text.len());
        if number == MAX_PLACES || left.is_none() {
            reached.missed.push((line, left.map_or(TOO_MUCH, |_| TOO_MANY)));
            break;
        }
        effort.bytes = left.unwrap_or_default();
        let parent = Parent::Text(captures.get_match().start());
        for (part, bytes) in groups(&captures) {
            line += text.get(counted..bytes.start).unwrap_or_default().matches('\n').count();
            counted = counted.max(bytes.start);
            found.push(Matched { part, bytes, line, parent });
        }
    }
    found
}

/// The groups of a match that took part in it, in the order of the text.
fn groups(captures: &Captures<'_>) -> Vec<(Part, Range<usize>)> {
    let names = [
        ("image", Part::Whole),
        ("registry", Part::Registry),
        ("repository", Part::Name),
        ("tag", Part::Tag),
        ("digest", Part::Digest),
    ];
    let groups =
        names.into_iter().filter_map(|(name, part)| Some((part, captures.name(name)?.range())));
    let mut groups: Vec<_> = groups.collect();
    groups.sort_by_key(|(_, bytes)| bytes.start);
    groups
}

/// A piece of a node, and what it shares with the other parts of its image.
struct TargetPiece {
    node: NodeId,
    range: Range<usize>,
    parent: Parent,
}

/// Claims a piece of a scalar, where it is one that can be changed.
fn claim(
    aim: Aim<'_>,
    stream: &Stream,
    locator: Option<&Locator<'_>>,
    part: Part,
    TargetPiece { node, range, parent }: TargetPiece,
    reached: &mut Reached,
) {
    let line = stream.node(node).line();
    let value = stream.text(node).and_then(|value| value.get(range.clone()));
    let Some((value, locator)) = value.zip(locator) else {
        let is_alias = matches!(stream.node(node).data, Data::Alias(_));
        let why = if is_alias { "an alias is not followed" } else { "it leads to no text" };
        return reached.missed.push((line, why));
    };
    if let Some(why) = fault(part, value) {
        return reached.missed.push((line, why));
    }
    match Slot::within(locator, part, node, range) {
        Some(slot) => {
            let (policy, text) = (aim.policy.to_owned(), value.to_owned());
            reached.claims.push(Claim { policy, slot, text, parent });
        }
        None => reached.missed.push((line, "it is written with escapes or over several lines")),
    }
}

fn part_of(name: PartName) -> Part {
    match name {
        PartName::Image => Part::Whole,
        PartName::Registry => Part::Registry,
        PartName::Repository => Part::Name,
        PartName::Tag => Part::Tag,
        PartName::TagAndDigest => Part::TagAndDigest,
        PartName::Digest => Part::Digest,
    }
}

/// Where a way leads; the mapping that has a key of it twice.
fn follow(stream: &Stream, root: NodeId, way: &[Step]) -> Result<(NodeId, NodeId), NodeId> {
    way.iter().try_fold((root, root), |(node, _), step| {
        let parent = stream.target(node);
        let child = match step {
            Step::Key(key) if stream.is_repeated(parent, key) => None,
            Step::Key(key) => stream.get(parent, key),
            Step::Index(index) => stream.items(parent).get(*index).copied(),
        };
        child.map(|child| (child, parent)).ok_or(parent)
    })
}

/// The scalars of a stream that take up bytes, in the order of the text.
fn scalars(stream: &Stream) -> Vec<NodeId> {
    let scalars =
        stream.nodes().filter(|(id, node)| stream.text(*id).is_some() && !node.span().is_empty());
    scalars.map(|(id, _)| id).collect()
}

/// The scalar that some bytes are in.
fn scalar_at(stream: &Stream, scalars: &[NodeId], bytes: &Range<usize>) -> Option<NodeId> {
    let behind = scalars.partition_point(|id| stream.node(*id).span().start <= bytes.start);
    let node = *scalars.get(behind.checked_sub(1)?)?;
    (bytes.end <= stream.node(node).span().end).then_some(node)
}
