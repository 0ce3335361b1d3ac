//! Markers: comments that name a policy for the scalar that they stand beside.
//!
//! Flux's, `# {"$imagepolicy": "namespace:name[:tag|:name|:digest]"}`
//! (<https://fluxcd.io/flux/guides/image-update/#configure-image-update-for-custom-resources>), and ours,
//! `# tagalong: name[:tag|:digest|:tag@digest|:repository|:registry]`. Fleet's, `# {"$imagescan": "name[:tag|:name|:digest]"}`
//! (<https://fleet.rancher.io/imagescan>), are read for policies that say so with `marker`. A marker on a commented-out line does nothing,
//! because there is no scalar beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::claim::{Claim, Parent};
use super::{Part, Slot};
use crate::image::{Reference, Shape};
use crate::yaml::{Data, NodeId, Stream};

/// What stands in every file with a marker, for a search before parsing.
pub(super) const NEEDLES: [&str; 3] = ["\"$imagepolicy\"", "\"$imagescan\"", "agalong"];

/// How our own begin.
const OURS: &str = "tagalong:";

/// The parts that our markers name.
const OWN_PARTS: [(&str, Part); 5] = [
    ("tag", Part::Tag),
    ("digest", Part::Digest),
    ("tag@digest", Part::TagAndDigest),
    ("repository", Part::Name),
    ("registry", Part::Registry),
];

/// The parts that markers of Flux and Fleet name.
const FLUX_PARTS: [(&str, Part); 3] =
    [("tag", Part::Tag), ("digest", Part::Digest), ("name", Part::Name)];

struct Marker {
    policy: String,
    part: Part,
    /// True if it is one of ours, whose value is chosen by what it is.
    is_own: bool,
}

/// The markers of a stream.
#[derive(Default)]
pub(super) struct Markers {
    /// What they claim.
    pub(super) claims: Vec<Claim>,
    /// The scalars that they claim.
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
    /// The text that it is in is not read as YAML.
    InText,
    /// The file is not YAML, and the line alone does not say what is meant.
    Unclear,
    /// Several values stand on its line, and none of them, or several, are of its part.
    Several,
}

/// Finds the markers of a stream.
pub(super) fn find(text: &str, stream: &Stream) -> Markers {
    let mut markers = Markers::default();
    if !stream.comments().iter().any(|comment| is_in(comment.text())) {
        return markers;
    }
    let places = MarkerPlaces::of(stream);
    let (found, idle) = places.marked(text, stream);
    markers.idle = idle;
    for (node, line, read) in found {
        if !markers.scalars.insert(node) {
            markers.idle.push(Idle { line, why: Idleness::Shadowed });
            continue;
        }
        let value = stream.text(node).unwrap_or_default();
        let Some(slot) = Slot::locate(text, stream, read.part, node, 0..value.len()) else {
            markers.idle.push(Idle { line, why: Idleness::Escaped });
            continue;
        };
        let parent = places.parents.get(&node).copied().unwrap_or(node);
        markers.claims.push(Claim {
            policy: read.policy,
            slot,
            text: value.to_owned(),
            parent: Parent::Mapping(parent),
        });
    }
    markers
}

/// Whether a text can have a marker in it.
pub(super) fn is_in(text: &str) -> bool {
    NEEDLES.iter().any(|part| text.contains(part))
}

/// Why a comment that is no marker does nothing, where it was meant to be one. On a line of its own, it may be a line that
/// was commented out.
fn misread(comment: &str, is_alone: bool) -> Option<Idleness> {
    let text = comment.trim_start_matches('#').trim_start();
    let [flux, fleet, _] = NEEDLES;
    // Beside a value, one behind other words is meant as well.
    let is_ours = is_nearly_ours(text) || !is_alone && comment.contains(" tagalong: ");
    let is_within = [flux, fleet].iter().any(|needle| comment.contains(needle))
        || lines_in(comment).next().is_some();
    let is_meant = is_ours || is_within && (!is_alone || text.starts_with('{'));
    match is_ignore(comment) {
        _ if !is_meant => None,
        true => is_alone.then_some(Idleness::Alone),
        false => Some(Idleness::Mixed),
    }
}

/// True if a comment begins as ours do, but for a capital or a space.
fn is_nearly_ours(text: &str) -> bool {
    let name = OURS.trim_end_matches(':');
    let begins = text.get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
    begins && text[name.len()..].trim_start().starts_with(':')
}

/// Lines of a text in which markers stand, as it is written, counted from 0.
pub(super) fn lines_in(text: &str) -> impl Iterator<Item = usize> + '_ {
    let is_marked = |line: &str| {
        // A quote may end the text that it stands in.
        hashes(line).any(|at| is_marker(line[at..].trim_end_matches(['\'', '"'])))
    };
    text.lines().enumerate().filter(move |(_, line)| is_marked(line)).map(|(number, _)| number)
}

/// Whether a comment takes its line out: `tagalong: ignore`, and perhaps why.
pub(super) fn is_ignore(comment: &str) -> bool {
    let word =
        comment.trim_start_matches('#').trim().strip_prefix("tagalong:").map(str::trim_start);
    let rest = word.and_then(|word| word.strip_prefix("ignore"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ',', ';', ':', '(']))
}

/// Whether the line at a place of a text that is not YAML is taken out.
pub(super) fn is_ignored_at(text: &str, at: usize) -> bool {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    hashes(line).any(|hash| is_ignore(&line[hash..]))
}

/// Places in a line at which a comment may begin: of several `#` in a row, the first says it all.
fn hashes(line: &str) -> impl Iterator<Item = usize> + '_ {
    let is_first = |at: &usize| *at == 0 || line.as_bytes()[at - 1] != b'#';
    line.match_indices('#').map(|(at, _)| at).filter(is_first)
}

/// Whether a comment is a marker and nothing else.
pub(super) fn is_marker(comment: &str) -> bool {
    parse(comment).is_some()
}

/// One of our own markers, without what begins its comment.
pub(super) fn own(comment: &str) -> Option<(String, Part)> {
    let marker = parse(comment).filter(|marker| marker.is_own)?;
    Some((marker.policy, marker.part))
}

/// Reads a comment that is a marker and nothing else.
fn parse(comment: &str) -> Option<Marker> {
    let text = comment.trim_start_matches('#').trim();
    if let Some(name) = text.strip_prefix("tagalong:") {
        let (policy, part) = split_part(name.trim(), &OWN_PARTS);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/".contains(c);
        let ok = !policy.is_empty() && policy.chars().all(plain) && policy != "ignore";
        return ok.then(|| Marker { policy: policy.to_owned(), part, is_own: true });
    }
    let values: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    if let Some(value) = values.get("$imagescan") {
        let (policy, part) = split_part(value, &FLUX_PARTS);
        return Some(Marker { policy: policy.to_owned(), part, is_own: false });
    }
    let value = values.get("$imagepolicy")?;
    let (_, rest) = value.split_once(':')?;
    let namespace_len = value.len() - rest.len();
    let (name, part) = split_part(rest, &FLUX_PARTS);
    let policy = value[..namespace_len + name.len()].to_owned();
    Some(Marker { policy, part, is_own: false })
}

fn split_part<'a>(text: &'a str, parts: &[(&str, Part)]) -> (&'a str, Part) {
    let split = text.rsplit_once(':');
    let named = split.and_then(|(policy, word)| {
        parts.iter().find(|(name, _)| *name == word).map(|(_, part)| (policy, *part))
    });
    named.unwrap_or((text, Part::Whole))
}

/// Where the scalars of a stream are that can have a marker.
struct MarkerPlaces {
    /// The mapping or sequence that holds a value.
    parents: BTreeMap<NodeId, NodeId>,
    /// The key of a value.
    keys: BTreeMap<NodeId, NodeId>,
    /// Values and items by line, with where they end.
    by_line: BTreeMap<usize, Vec<(usize, NodeId)>>,
    /// Items of sequences by line.
    items: BTreeMap<usize, NodeId>,
}

impl MarkerPlaces {
    fn of(stream: &Stream) -> Self {
        let mut places = Self {
            parents: BTreeMap::new(),
            keys: BTreeMap::new(),
            by_line: BTreeMap::new(),
            items: BTreeMap::new(),
        };
        for (id, node) in stream.nodes() {
            match &node.data {
                Data::Mapping(entries) => {
                    for (key, value) in entries {
                        places.keys.insert(*value, *key);
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

    /// The only one of several values on a line that is what a marker asks for.
    fn meant<'v>(
        &self,
        stream: &Stream,
        several: &[&'v (usize, NodeId)],
        part: Part,
    ) -> Option<&'v (usize, NodeId)> {
        let text = |node: NodeId| stream.text(node).unwrap_or_default();
        let by_key = |(_, node): &(usize, NodeId)| {
            let key = self.keys.get(node).map(|key| text(*key)).unwrap_or_default();
            let key = key.to_ascii_lowercase();
            let ends = |words: &[&str]| words.iter().any(|word| key.ends_with(word));
            match part {
                Part::Tag | Part::TagAndDigest => ends(&["tag", "version"]),
                Part::Digest | Part::Hash => ends(&["digest", "sha", "sha256", "hash"]),
                Part::Registry => ends(&["registry", "hub"]),
                Part::Name => ends(&["repository", "name", "image"]),
                Part::Whole | Part::Suffix => Reference::parse(text(*node))
                    .is_some_and(|value| value.tag.is_some() || value.digest.is_some()),
            }
        };
        // `{name: TAG, value: 1.0.0}` says by the value which one is a version.
        let by_value = |(_, node): &(usize, NodeId)| {
            matches!(part, Part::Tag | Part::TagAndDigest) && Shape::parse(text(*node)).is_some()
        };
        let keyed: Vec<_> = several.iter().copied().filter(|one| by_key(one)).collect();
        let valued = || several.iter().copied().filter(|one| by_value(one)).collect();
        let fitting = if keyed.is_empty() { valued() } else { keyed };
        let [one] = fitting[..] else { return None };
        Some(one)
    }

    /// Every marker with its scalar and line: those on a line with it first, which beat one above
    /// it. And those that are beside none.
    fn marked(&self, text: &str, stream: &Stream) -> (Vec<(NodeId, usize, Marker)>, Vec<Idle>) {
        let (mut beside, mut above, mut idle) = (Vec::new(), Vec::new(), Vec::new());
        for comment in stream.comments() {
            let line = comment.line();
            let all = self.by_line.get(&line).into_iter().flatten();
            let all: Vec<_> = all.filter(|(end, _)| *end <= comment.start()).collect();
            // A marker for the next line has its own.
            let start = text[..comment.start()].rfind(['\n', '\r']).map_or(0, |at| at + 1);
            let is_alone = text[start..comment.start()].trim().is_empty();
            let Some(read) = parse(comment.text()) else {
                idle.extend(misread(comment.text(), is_alone).map(|why| Idle { line, why }));
                continue;
            };
            let before = match &all[..] {
                [] => None,
                [.., last] if all.len() == 1 || !read.is_own => Some(*last),
                several => match self.meant(stream, several, read.part) {
                    Some(one) => Some(one),
                    None => {
                        idle.push(Idle { line, why: Idleness::Several });
                        continue;
                    }
                },
            };
            match (before, self.items.get(&(line + 1)).filter(|_| is_alone)) {
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
    use crate::manifest::claim::group;

    fn found(text: &str) -> Vec<String> {
        let stream = Stream::parse(text).unwrap();
        let marked = group(find(text, &stream).claims).into_iter().map(|m| {
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
- {newTag: v5, pullPolicy: Always} # tagalong: web:tag
args:
# {"$imagepolicy": "apps:shop:tag"}
- v3
- v4 # tagalong: shop
"#;
        let want = [
            "apps:shop Whole v1 a/b",
            "apps:shop Name+Tag v1 x",
            "web Tag v2 ",
            "web Tag v5 ",
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
        let text = "registry: r.io # tagalong: a:registry\nrepository: x # tagalong: a:repository\n\
                    tag: v1 # tagalong: a:tag@digest\nb: v2 # tagalong: a:tag\n";
        assert_eq!(found(text), ["a Registry+Name+TagAndDigest v1 x", "a Tag v2 "]);
    }

    #[test]
    fn markers_that_do_nothing_are_found() {
        let cases = [
            ("a:\n# tagalong: shop:tag\n- v4 # tagalong: web:tag\n", 2, Idleness::Shadowed),
            ("a: # tagalong: shop\n  b: c\n", 1, Idleness::Alone),
            ("# {\"$imagepolicy\": \"apps:shop\"}\na: b\n", 1, Idleness::Alone),
            ("a: b # x {\"$imagepolicy\": \"apps:shop\"}\n", 1, Idleness::Mixed),
            ("a: \"\\x62\" # tagalong: shop\n", 1, Idleness::Escaped),
            ("a: b # tagalong: shop:tag please\n", 1, Idleness::Mixed),
            ("a: b # keep in sync, tagalong: shop:tag\n", 1, Idleness::Mixed),
            ("a: b # Tagalong: shop\n", 1, Idleness::Mixed),
            ("a: {tag: v1, version: v1} # tagalong: shop:tag\n", 1, Idleness::Several),
            ("a: [v1, v2] # tagalong: shop:tag\n", 1, Idleness::Several),
            ("a: {min: v1, value: v1} # tagalong: shop:tag\n", 1, Idleness::Several),
            ("a: {tag: v1, pullPolicy: Always} # tagalong: shop\n", 1, Idleness::Several),
            ("z: &z a\nl:\n- *z # tagalong: shop\n- b\n", 3, Idleness::Alone),
            ("l:\n- \"a\n  b\" # tagalong: shop\n- b\n", 3, Idleness::Alone),
        ];
        for (text, line, why) in cases {
            assert_eq!(
                find(text, &Stream::parse(text).unwrap()).idle,
                [Idle { line, why }],
                "{text}"
            );
        }
        for text in ["# a: b # tagalong: shop\nc: d\n", "a: b # tagalong:ignore - why\n"] {
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
