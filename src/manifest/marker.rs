//! Markers: comments that name a policy for the scalar that they stand beside.
//!
//! Flux's, `# {"$imagepolicy": "namespace:name[:tag|:name|:digest]"}`
//! (<https://fluxcd.io/flux/guides/image-update/#configure-image-update-for-custom-resources>), and ours,
//! `# tagalong: name[:tag|:repository|:digest]`. A marker on a commented-out line does nothing,
//! because there is no scalar beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Part, Slot};
use crate::image::{Digest, Reference, Repository, Tag};
use crate::yaml::{Comment, Data, NodeId, Stream};

/// What stands in every file with a marker, for a search before parsing.
pub(super) const NEEDLES: [&str; 2] = ["\"$imagepolicy\"", "tagalong:"];

/// Scalars of one mapping that markers give to one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The name of the policy.
    pub policy: String,
    /// What the scalars hold.
    pub tag: Option<Tag>,
    /// What the scalars hold.
    pub digest: Option<Digest>,
    /// The name of the image that the scalars hold, as it is written.
    pub name: Option<String>,
    /// The line of the first marker, from 1.
    pub line: usize,
    /// The scalars.
    pub slots: Vec<Slot>,
}

struct Marker {
    policy: String,
    part: Part,
}

/// The markers of a stream.
#[derive(Default)]
pub(super) struct Markers {
    /// The places that they make.
    pub(super) marked: Vec<Marked>,
    /// The scalars of these places.
    pub(super) scalars: BTreeSet<NodeId>,
    /// Those that do nothing.
    pub(super) idle: Vec<Idle>,
}

/// A marker that does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Its line, from 1.
    pub line: usize,
    /// Why.
    pub why: Idleness,
}

/// Why a marker does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idleness {
    /// No scalar stands beside it.
    Alone,
    /// Another marker is nearer to the scalar.
    Shadowed,
    /// Other text stands in its comment.
    Mixed,
    /// The scalar is written with escapes or over several lines.
    Escaped,
}

/// Finds the markers of a stream.
///
/// The parts of one image, each marked once, are one place: a name, a tag and a digest beside each
/// other. A whole reference, or a part that comes again, is a place of its own.
pub(super) fn find(text: &str, stream: &Stream) -> Markers {
    let is_marker =
        |comment: &Comment<'_>| NEEDLES.iter().any(|part| comment.text().contains(part));
    if !stream.comments().iter().any(is_marker) {
        return Markers::default();
    }
    let places = Places::of(stream);
    let mut marked: Vec<(NodeId, Marked)> = Vec::new();
    let mut nodes = BTreeSet::new();
    let (found, mut idle) = places.marked(stream);
    for (node, line, read) in found {
        if !nodes.insert(node) {
            idle.push(Idle { line, why: Idleness::Shadowed });
            continue;
        }
        let parent = places.parents.get(&node).copied().unwrap_or(node);
        let takes = |(at, other): &&mut (NodeId, Marked)| *at == parent && other.takes(&read);
        let value = stream.text(node).unwrap_or_default();
        let Some(slot) = Slot::locate(text, stream, read.part, node, 0..value.len()) else {
            idle.push(Idle { line, why: Idleness::Escaped });
            continue;
        };
        match marked.iter_mut().rev().find(takes) {
            Some((_, other)) => other.add(slot, value),
            None => {
                let mut new = Marked {
                    policy: read.policy,
                    tag: None,
                    digest: None,
                    name: None,
                    line: stream.node(node).line(),
                    slots: Vec::new(),
                };
                new.add(slot, value);
                marked.push((parent, new));
            }
        }
    }
    let marked = marked.into_iter().map(|(_, marked)| marked).collect();
    Markers { marked, scalars: nodes, idle }
}

impl Marked {
    /// Whether a marker adds a part that this place does not have yet.
    fn takes(&self, marker: &Marker) -> bool {
        let has = |part| self.slots.iter().any(|slot| slot.part == part);
        self.policy == marker.policy
            && marker.part != Part::Whole
            && !has(Part::Whole)
            && !has(marker.part)
    }

    /// The same, when what is named is this repository already: then its spelling stays, and what
    /// follows the name is all that changes.
    pub(super) fn keeping_name_of(mut self, repository: &Repository) -> Self {
        let named = self.name.as_deref().and_then(|name| Repository::parse(name).ok());
        let Some(name) = self.name.take_if(|_| named.as_ref() == Some(repository)) else {
            return self;
        };
        self.slots.retain(|slot| slot.part != Part::Name);
        for slot in self.slots.iter_mut().filter(|slot| slot.part == Part::Whole) {
            slot.part = Part::Suffix;
            slot.range.start = name.len();
            slot.start += name.len();
        }
        self
    }

    fn add(&mut self, slot: Slot, text: &str) {
        let reference = Reference::parse(text);
        match slot.part {
            Part::Whole => {
                let name =
                    reference.as_ref().map_or(text, |reference| &text[..reference.suffix.start]);
                self.name = Some(name.to_owned());
                if let Some(reference) = reference {
                    (self.tag, self.digest) = (reference.tag, reference.digest);
                }
            }
            Part::Name => self.name = Some(text.to_owned()),
            Part::Digest => self.digest = Digest::parse(text),
            Part::Tag | Part::Suffix => {
                let (tag, digest) = text.split_once('@').unwrap_or((text, ""));
                self.tag = Tag::parse(tag);
                self.digest = Digest::parse(digest).or(self.digest.take());
            }
        }
        self.slots.push(slot);
    }
}

/// Reads a comment that is a marker and nothing else.
fn parse(comment: &str) -> Option<Marker> {
    let text = comment.trim_start_matches('#').trim();
    if let Some(name) = text.strip_prefix("tagalong:") {
        let (policy, part) = split_part(name.trim(), "repository");
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/".contains(c);
        let ok = !policy.is_empty() && policy.chars().all(plain) && policy != "ignore";
        return ok.then(|| Marker { policy: policy.to_owned(), part });
    }
    let values: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    let value = values.get("$imagepolicy")?;
    let (_, rest) = value.split_once(':')?;
    let namespace_len = value.len() - rest.len();
    let (name, part) = split_part(rest, "name");
    Some(Marker { policy: value[..namespace_len + name.len()].to_owned(), part })
}

fn split_part<'a>(text: &'a str, name: &str) -> (&'a str, Part) {
    match text.rsplit_once(':') {
        Some((policy, "tag")) => (policy, Part::Tag),
        Some((policy, "digest")) => (policy, Part::Digest),
        Some((policy, part)) if part == name => (policy, Part::Name),
        _ => (text, Part::Whole),
    }
}

/// Where the scalars of a stream are that can have a marker.
struct Places {
    /// The mapping or sequence that holds a value.
    parents: BTreeMap<NodeId, NodeId>,
    /// Values and items by line, with where they end.
    by_line: BTreeMap<usize, Vec<(usize, NodeId)>>,
    /// Items of sequences by line.
    items: BTreeMap<usize, NodeId>,
}

impl Places {
    fn of(stream: &Stream) -> Self {
        let mut places =
            Self { parents: BTreeMap::new(), by_line: BTreeMap::new(), items: BTreeMap::new() };
        for (id, node) in stream.nodes() {
            match &node.data {
                Data::Mapping(entries) => {
                    for (_, value) in entries {
                        places.add(stream, id, *value);
                    }
                }
                Data::Sequence(items) => {
                    for item in items {
                        places.add(stream, id, *item);
                        if stream.text(*item).is_some() {
                            places.items.insert(stream.node(*item).line(), *item);
                        }
                    }
                }
                Data::Scalar { .. } | Data::Alias(_) => {}
            }
        }
        places
    }

    fn add(&mut self, stream: &Stream, parent: NodeId, value: NodeId) {
        self.parents.insert(value, parent);
        if stream.text(value).is_some() {
            let node = stream.node(value);
            self.by_line.entry(node.line()).or_default().push((node.span().end, value));
        }
    }

    /// Every marker with its scalar and line: those on a line with it first, which beat one above
    /// it. And those that are beside none.
    fn marked(&self, stream: &Stream) -> (Vec<(NodeId, usize, Marker)>, Vec<Idle>) {
        let (mut beside, mut above, mut idle) = (Vec::new(), Vec::new(), Vec::new());
        for comment in stream.comments() {
            let line = comment.line();
            let before = self.by_line.get(&line).into_iter().flatten();
            let before = before.filter(|(end, _)| *end <= comment.start()).max();
            let Some(read) = parse(comment.text()) else {
                // On a line of its own, it is a line that was commented out.
                if before.is_some() && comment.text().contains(NEEDLES[0]) {
                    idle.push(Idle { line, why: Idleness::Mixed });
                }
                continue;
            };
            match (before, self.items.get(&(line + 1))) {
                (Some((_, node)), _) => beside.push((*node, line, read)),
                (None, Some(item)) => above.push((*item, line, read)),
                (None, None) => idle.push(Idle { line, why: Idleness::Alone }),
            }
        }
        beside.extend(above);
        (beside, idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let stream = Stream::parse(text).unwrap();
        let marked = find(text, &stream).marked.into_iter().map(|m| {
            let parts: Vec<_> = m.slots.iter().map(|slot| format!("{:?}", slot.part)).collect();
            let tag = m.tag.map_or("-".to_owned(), |tag| tag.to_string());
            format!("{} {} {tag} {}", m.policy, parts.join("+"), m.name.unwrap_or_default())
        });
        marked.collect()
    }

    #[test]
    fn markers_of_both_kinds_go_with_their_scalars() {
        let text = r#"
image: a/b:v1 # {"$imagepolicy": "apps:shop"}
images:
- newName: x # {"$imagepolicy": "apps:shop:name"}
  newTag: v1 #{"$imagepolicy": "apps:shop:tag"}
- {newTag: v2} # tagalong: web:tag
args:
# {"$imagepolicy": "apps:shop:tag"}
- v3
- v4 # tagalong: shop
"#;
        let want = [
            "apps:shop Whole v1 a/b",
            "apps:shop Name+Tag v1 x",
            "web Tag v2 ",
            "apps:shop Tag v3 ",
            "shop Whole - v4",
        ];
        let mut got = found(text);
        got.sort();
        let mut want = want.map(str::to_owned).to_vec();
        want.sort();
        assert_eq!(got, want);
    }

    #[test]
    fn a_part_that_comes_again_is_a_place_of_its_own() {
        let text = "a: v3 # tagalong: shop:tag\nb: v1 # tagalong: shop:tag\nc: x/y:v1 # tagalong: shop\n\
                    d: z/y:v2 # tagalong: shop\ne:\n# tagalong: shop:tag\n- v4 # tagalong: web:tag\n";
        let want = [
            "shop Tag v3 ",
            "shop Tag v1 ",
            "shop Whole v1 x/y",
            "shop Whole v2 z/y",
            "web Tag v4 ",
        ];
        assert_eq!(found(text), want);
    }

    #[test]
    fn markers_that_do_nothing_are_found() {
        let cases = [
            ("a:\n# tagalong: shop:tag\n- v4 # tagalong: web:tag\n", 2, Idleness::Shadowed),
            ("a: # tagalong: shop\n  b: c\n", 1, Idleness::Alone),
            ("# {\"$imagepolicy\": \"apps:shop\"}\na: b\n", 1, Idleness::Alone),
            ("a: b # x {\"$imagepolicy\": \"apps:shop\"}\n", 1, Idleness::Mixed),
            ("a: \"\\x62\" # tagalong: shop\n", 1, Idleness::Escaped),
        ];
        for (text, line, why) in cases {
            assert_eq!(
                find(text, &Stream::parse(text).unwrap()).idle,
                [Idle { line, why }],
                "{text}"
            );
        }
        for text in ["# a: b # tagalong: shop\nc: d\n", "a: b # tagalong: ignore\n"] {
            assert_eq!(find(text, &Stream::parse(text).unwrap()).idle, [], "{text}");
        }
    }

    #[test]
    fn what_is_not_a_marker_is_inert() {
        for text in [
            "# image: a/b:v1 # {\"$imagepolicy\": \"apps:shop\"}\nx: 1\n",
            "image: a/b:v1 # see {\"$imagepolicy\": \"apps:shop\"}\n",
            "image: a/b:v1 # {\"$imagepolicy\": \"apps:shop\"} # renovate: x\n",
            "image: a/b:v1 # {\"$imagepolicy\": 1}\n",
            "image: a/b:v1 # {\"$imagepolicy\": \"shop\"}\n",
            "image: a/b:v1 # tagalong: ignore\n",
            "image: a/b:v1 # tagalong: two words\n",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }
}
