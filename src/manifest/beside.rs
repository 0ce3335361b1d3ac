//! Digests of an image that stand beside its tag under a key of their own, so that both move together:
//! `digest`, `sha` in raw hex (Grafana, kube-prometheus-stack), `imageDigest`, `genericDigest` (Spring, Kong) and the like.
//!
//! A scalar of 64 hex digits beside a tag is taken for a digest of the image; where its key does not say of
//! which image it is, nothing there is changed, as a tag that moves alone leaves the old image running.

use std::collections::HashSet;

use super::finder::{Finder, Written};
use super::{Obstacle, Obstruction, Part};
use crate::image::Digest;
use crate::yaml::{NodeId, Stream};

/// Words at the end of a key that holds a digest, the longer first, and how an empty one is filled.
const WORDS: [(&str, Option<Part>); 5] = [
    ("sha256", Some(Part::Hash)),
    ("digest", Some(Part::Digest)),
    ("shasum", Some(Part::Hash)),
    ("sha", Some(Part::Hash)),
    // Nothing says whether one without a value takes `sha256:` or not.
    ("hash", None),
];

/// What can stand between the stem of an image's keys and such a word.
const MIDDLES: [&str; 4] = ["", "image", "tag", "generic"];

/// Endings of keys that are of an image, and so say whose digest a stem means.
const OF_IMAGES: [&str; 8] =
    ["image", "repository", "tag", "imagetag", "imagename", "imagerepository", "version", "name"];

/// More digests in one mapping than this belong to nobody.
const MAX_DIGESTS: usize = 64;

/// The entries of a mapping that hold a digest, or are there to hold one.
#[derive(Default)]
pub(super) struct Digests<'a> {
    entries: Vec<Entry<'a>>,
    /// Every key of the mapping, normalized.
    keys: HashSet<String>,
}

/// One entry.
struct Entry<'a> {
    /// The key, normalized.
    key: String,
    node: NodeId,
    text: &'a str,
    /// The key's node, where there is one.
    named_by: Option<NodeId>,
}

/// A digest of an image, beside it.
pub(super) struct Beside {
    pub(super) node: NodeId,
    pub(super) named_by: Option<NodeId>,
    pub(super) part: Part,
}

impl<'a> Digests<'a> {
    /// Looks through entries: the text of a key, its node, and the value.
    pub(super) fn of(
        stream: &'a Stream<'a>,
        entries: impl Iterator<Item = (&'a str, Option<NodeId>, NodeId)> + Clone,
    ) -> Self {
        let found = entries.clone().filter_map(|(key, named_by, node)| {
            let text = stream.text(stream.target(node))?;
            let is_blank = text.is_empty() || stream.is_null(stream.target(node));
            let key = normal(key);
            // A tag may look like one.
            let is_other = OF_IMAGES.iter().any(|end| key.ends_with(end));
            let is_one = !is_other && is_digest(text) || is_blank && word(&key).is_some();
            is_one.then_some(Entry { key, node, text, named_by })
        });
        let entries_found: Vec<_> = found.take(MAX_DIGESTS + 1).collect();
        if entries_found.is_empty() {
            return Self::default();
        }
        let keys = entries.map(|(key, ..)| normal(key)).collect();
        Self { entries: entries_found, keys }
    }

    /// The digests of the image whose keys begin with `stem`.
    ///
    /// # Errors
    /// The first that may be of this image, or of something else.
    pub(super) fn beside(&self, stem: &str) -> Result<Vec<Beside>, NodeId> {
        let stem = normal(stem);
        let mut found = Vec::new();
        if let Some(last) = self.entries.get(MAX_DIGESTS) {
            return Err(last.node);
        }
        for entry in &self.entries {
            let part = part_of(entry.text, word(&entry.key).and_then(|(_, part)| part));
            match (self.whose(entry, &stem), part) {
                (Whose::Ours, Some(part)) => {
                    let Entry { node, named_by, .. } = *entry;
                    found.push(Beside { node, named_by, part });
                }
                (Whose::Nobodys, _) if is_digest(entry.text) => return Err(entry.node),
                (Whose::Ours, None) if is_digest(entry.text) => return Err(entry.node),
                _ => {}
            }
        }
        Ok(found)
    }

    fn whose(&self, entry: &Entry<'_>, stem: &str) -> Whose {
        let Some((front, _)) = word(&entry.key) else { return Whose::Nobodys };
        if MIDDLES.iter().any(|middle| front.strip_suffix(*middle) == Some(stem)) {
            return Whose::Ours;
        }
        let fronts = MIDDLES.iter().filter_map(|middle| front.strip_suffix(*middle));
        let is_others =
            |front: &str| OF_IMAGES.iter().any(|end| self.keys.contains(&format!("{front}{end}")));
        if fronts.into_iter().any(is_others) { Whose::Others } else { Whose::Nobodys }
    }
}

/// Whose digest an entry is.
enum Whose {
    Ours,
    /// Another image's in the same mapping.
    Others,
    Nobodys,
}

impl Finder<'_> {
    /// Adds the digests beside an image whose keys begin with `stem`.
    pub(super) fn digests(
        &mut self,
        mapping: NodeId,
        stem: &str,
        written: &mut Written,
    ) -> Result<(), Obstruction> {
        let found = self.digests_of(mapping).beside(stem);
        self.add_digests(found, written)
    }

    /// The digests of a mapping.
    pub(super) fn digests_of(&mut self, mapping: NodeId) -> &Digests<'_> {
        if self.digests.0 != Some(mapping) {
            let stream = self.stream;
            let entries = stream.entries(mapping).iter();
            let entries =
                entries.filter_map(|(key, node)| Some((stream.text(*key)?, Some(*key), *node)));
            self.digests = (Some(mapping), Digests::of(stream, entries));
        }
        &self.digests.1
    }

    /// The same for what was looked for elsewhere.
    pub(super) fn add_digests(
        &self,
        found: Result<Vec<Beside>, NodeId>,
        written: &mut Written,
    ) -> Result<(), Obstruction> {
        let found = found
            .map_err(|node| Obstruction { obstacle: Obstacle::OtherDigest, at: Some(node) })?;
        for digest in found.into_iter().filter(|digest| !self.is_ignored(digest.node)) {
            self.digest(&digest, written)?;
        }
        Ok(())
    }
}

/// What the keys of an image begin with, by one of them.
pub(super) fn stem(key: &str) -> &str {
    let lower = key.to_ascii_lowercase();
    let front = |end: &&str| lower.strip_suffix(*end).map(str::len);
    let length = OF_IMAGES.iter().chain(&["newtag", "reference"]).filter_map(front).min();
    key.get(..length.unwrap_or(0)).unwrap_or_default()
}

/// A key in lower case, without what joins its words.
fn normal(key: &str) -> String {
    key.chars().filter(|c| !"_-.".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

/// The digest's word at the end of a normalized key: what is before it, and how it is filled.
fn word(key: &str) -> Option<(&str, Option<Part>)> {
    WORDS.iter().find_map(|(word, part)| Some((key.strip_suffix(word)?, *part)))
}

/// How a digest is written; `empty` is how it would be where nothing is.
fn part_of(text: &str, empty: Option<Part>) -> Option<Part> {
    match text {
        text if Digest::parse(text).is_some() => Some(Part::Digest),
        text if Digest::from_hex(text).is_some() => Some(Part::Hash),
        text if is_digest(text) => None,
        _ => empty,
    }
}

/// Whether a text is a digest in any way of writing one.
fn is_digest(text: &str) -> bool {
    let text = text.strip_prefix('@').unwrap_or(text);
    let hex = match text.split_once(':') {
        Some((algorithm, hex)) if algorithm.eq_ignore_ascii_case("sha256") => hex,
        _ => text,
    };
    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) || Digest::parse(text).is_some()
}
