//! Digests of an image that stand beside its tag under a key of their own, so that both move together:
//! `digest`, `sha` in raw hex (Grafana, kube-prometheus-stack), `imageDigest`, `genericDigest` (Spring, Kong) and the like.
//!
//! A scalar of 64 hex digits beside a tag is taken for a digest of the image; where its key does not say of
//! which image it is, nothing there is changed, as a tag that moves alone leaves the old image running.

use std::collections::HashSet;

use super::finder::{Finder, Written};
use super::{Obstacle, Obstruction, Part, Reader};
use crate::image::{Digest, Reference, Repository};
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

/// Endings of keys, normalized, of groups that hold digests.
const GROUPS: [&str; 12] = [
    "digest", "digests", "sha", "shas", "sha256", "sha256s", "hash", "hashes", "pin", "pins",
    "pinned", "lock",
];

/// What can stand between the stem of an image's keys and such a word.
const MIDDLES: [&str; 5] = ["", "image", "tag", "generic", "repo"];

/// Endings of keys that are of an image, and so say whose digest a stem means.
const OF_IMAGES: [&str; 8] =
    ["image", "repository", "tag", "imagetag", "imagename", "imagerepository", "version", "name"];

/// Words in keys of other things of 64 digits: secrets, and sums of anything else.
const OTHER_THINGS: [&str; 14] = [
    "cert",
    "commit",
    "config",
    "container",
    "cookie",
    "key",
    "passw",
    "salt",
    "secret",
    "seed",
    "session",
    "token",
    "uid",
    "uuid",
];

/// Keys of what is downloaded: digits beside them may be its sum.
const DOWNLOADS: [&str; 6] = ["archive", "downloadurl", "href", "source", "uri", "url"];

/// Larger mappings hold more than one image's settings.
const MAX_ENTRIES: usize = 500;

/// More digests in one mapping than this belong to nobody.
const MAX_DIGESTS: usize = 64;

/// The entries of a mapping that hold a digest, or are there to hold one.
#[derive(Default)]
pub(super) struct Digests<'a> {
    entries: Vec<SiblingEntry<'a>>,
    /// Every key of the mapping, normalized.
    keys: HashSet<String>,
}

/// One entry.
struct SiblingEntry<'a> {
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
            let is_other =
                OF_IMAGES.iter().any(|end| key.ends_with(end)) || is_of_other_thing(&key, text);
            // A whole reference, where the key says that its digest is meant.
            let behind = text.rsplit_once('@').filter(|_| word(&key).is_some());
            let is_held = is_digest(text) || behind.is_some_and(|(_, digest)| is_digest(digest));
            let is_one = !is_other && is_held || is_blank && word(&key).is_some();
            is_one.then_some(SiblingEntry { key, node, text, named_by })
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
        let is_held =
            |text: &str| !text.is_empty() && !matches!(text, "~" | "null" | "Null" | "NULL");
        if let Some(last) = self.entries.get(MAX_DIGESTS) {
            return Err(last.node);
        }
        for entry in &self.entries {
            let part = part_of(entry.text, word(&entry.key).and_then(|(_, part)| part));
            match (self.whose(entry, &stem), part) {
                (Whose::Ours, Some(Part::Hash))
                    if is_held(entry.text) && self.is_of_download(entry) =>
                {
                    return Err(entry.node);
                }
                (Whose::Ours, Some(part)) => {
                    let SiblingEntry { node, named_by, .. } = *entry;
                    found.push(Beside { node, named_by, part });
                }
                (Whose::Nobodys, _) | (Whose::Ours, None) if is_held(entry.text) => {
                    return Err(entry.node);
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Those that are of this image for sure, whatever stands beside them.
    fn ours(&self, stem: &str) -> Vec<Beside> {
        let stem = normal(stem);
        let ours = self.entries.iter().take(MAX_DIGESTS).filter_map(|entry| {
            let part = part_of(entry.text, word(&entry.key).and_then(|(_, part)| part))?;
            let is_ours = matches!(self.whose(entry, &stem), Whose::Ours);
            let SiblingEntry { node, named_by, .. } = *entry;
            is_ours.then_some(Beside { node, named_by, part })
        });
        ours.collect()
    }

    /// True if digits may be the sum of something that is downloaded, as `sha256` beside `url`.
    fn is_of_download(&self, entry: &SiblingEntry<'_>) -> bool {
        let is_plain = WORDS.iter().any(|(word, _)| entry.key == *word);
        is_plain && DOWNLOADS.iter().any(|key| self.keys.contains(*key))
    }

    /// True if a key for the digest is there, empty, and nothing says how it is filled.
    fn is_empty_of_unknown_form(&self, stem: &str) -> bool {
        let stem = normal(stem);
        self.entries.iter().any(|entry| {
            let is_blank = !is_digest(entry.text) && !entry.text.contains('@');
            let is_unknown = word(&entry.key).is_some_and(|(_, part)| part.is_none());
            is_blank && is_unknown && matches!(self.whose(entry, &stem), Whose::Ours)
        })
    }

    fn whose(&self, entry: &SiblingEntry<'_>, stem: &str) -> Whose {
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
        self.add_digests(found, written)?;
        if self.digests_of(mapping).is_empty_of_unknown_form(stem) {
            written.reader = Reader::OwnKey;
        }
        self.digests_around(mapping, stem, written)
    }

    /// The same for those further away: merged, in a group, above the mapping, or of all images.
    pub(super) fn digests_around(
        &mut self,
        mapping: NodeId,
        stem: &str,
        written: &mut Written,
    ) -> Result<(), Obstruction> {
        self.merged_digests(mapping, stem)?;
        self.digests_within(mapping, stem)?;
        self.digests_above(mapping, written)?;
        self.global_digest(mapping)
    }

    /// A digest in a group of its own, as `pin: {digest: …}` or `digests: {amd64: …}`: nothing says what of the image it is.
    fn digests_within(&self, mapping: NodeId, stem: &str) -> Result<(), Obstruction> {
        let stem = normal(stem);
        let entries = self.stream.entries(mapping);
        let groups = entries.iter().take(MAX_ENTRIES).filter_map(|(key, value)| {
            Some((normal(self.stream.text(*key)?), self.stream.target(*value)))
        });
        // Of several images in one mapping, a group that is named for another one is that one's.
        let mut groups = groups.filter(|(key, _)| {
            !stem.is_empty() && key.starts_with(&stem) || GROUPS.contains(&key.as_str())
        });
        let at = groups.find_map(|(key, group)| self.held_in(&key, group, |_| true));
        at.map_or(Ok(()), |at| Err(Obstruction { obstacle: Obstacle::OtherDigest, at: Some(at) }))
    }

    /// The first digest in a mapping or a list whose key, or its own, says that it is one.
    fn held_in(&self, key: &str, group: NodeId, is_its: impl Fn(&str) -> bool) -> Option<NodeId> {
        let is_held = |node: NodeId| {
            self.stream.text(self.stream.target(node)).is_some_and(is_digest)
                && !self.is_ignored(node)
        };
        let entries = self.stream.entries(group);
        let is_image = OF_IMAGES.iter().any(|key| self.stream.get(group, key).is_some());
        let mut entries = entries.iter().take(MAX_ENTRIES).filter(|_| !is_image);
        let named = entries.find(|(own, node)| {
            let own = self.stream.text(*own).map(normal).unwrap_or_default();
            let says = is_group(key) || WORDS.iter().any(|(word, _)| own == *word);
            says && is_its(&own) && is_held(*node)
        });
        let mut items = self.stream.items(group).iter().take(MAX_ENTRIES);
        let item = || items.find(|item| is_group(key) && is_its("") && is_held(**item)).copied();
        named.map(|(_, node)| *node).or_else(item)
    }

    /// A digest for every image, as Bitnami's charts once had it: it counts more than each tag.
    fn global_digest(&self, mapping: NodeId) -> Result<(), Obstruction> {
        let up = std::iter::successors(Some(mapping), |node| self.parent(*node));
        let global =
            up.filter_map(|node| Some(self.stream.target(self.stream.get(node, "global")?)));
        let mut found = global.filter_map(|global| {
            let image = self.stream.get(global, "image").map(|node| self.stream.target(node));
            let own = image.filter(|image| self.stream.get(*image, "repository").is_none());
            let own = own.and_then(|image| self.stream.get(image, "digest"));
            let of_all = ["imageDigest", "imageSha", "digest"];
            let all = of_all.iter().filter_map(|key| self.stream.get(global, key)).chain(own);
            all.into_iter().find(|node| !self.is_blank(*node) && !self.is_ignored(*node))
        });
        let at = found.next();
        at.map_or(Ok(()), |at| Err(Obstruction { obstacle: Obstacle::OtherDigest, at: Some(at) }))
    }

    /// The digests in the list of variables that an image is one of: `SHOP_DIGEST` beside `SHOP_IMAGE`.
    pub(super) fn digests_in_variables(
        &mut self,
        variable: NodeId,
        written: &mut Written,
    ) -> Result<(), Obstruction> {
        let found = self.digests_beside_variable(variable);
        self.add_digests(Ok(found), written)
    }

    /// The digests among the variables or parameters that one of an image is one of. What nothing says anything of is another
    /// program's setting.
    pub(super) fn digests_beside_variable(&mut self, variable: NodeId) -> Vec<Beside> {
        let stream = self.stream;
        let Some(name) = self.text(variable, "name").map(str::to_owned) else { return Vec::new() };
        let all = self.variables_beside(variable);
        let entries = all.iter().filter_map(|item| {
            let name = stream.text(stream.target(stream.get(*item, "name")?))?;
            let value = stream.get(*item, "value").or_else(|| stream.get(*item, "default"));
            Some((name, None, value?))
        });
        Digests::of(stream, entries).ours(stem_of(&name))
    }

    /// The list that a variable stands in.
    pub(super) fn variables_beside(&mut self, variable: NodeId) -> Vec<NodeId> {
        let Some(list) = self.parent(variable) else { return Vec::new() };
        let items = self.stream.items(list).iter().take(MAX_ENTRIES);
        items.map(|item| self.stream.target(*item)).collect()
    }

    /// A reference to the same image with its digest, under a key that no shape reads: it would stay behind.
    pub(super) fn pinned_beside(
        &self,
        mapping: NodeId,
        own: NodeId,
        repository: &Repository,
    ) -> Option<Obstruction> {
        let entries = self.stream.entries(mapping);
        let entries = if entries.len() > MAX_ENTRIES { &[] } else { entries };
        let mut others = entries.iter().filter(|(key, node)| {
            let key = self.stream.text(*key).map(normal).unwrap_or_default();
            let is_read = ["image", "tag"].iter().any(|end| key.ends_with(end));
            !is_read && *node != own && !self.taken.contains(node) && !self.is_ignored(*node)
        });
        let is_it = |node: NodeId| {
            let text = self.stream.text(node).filter(|text| text.contains('@'));
            let reference = text.and_then(Reference::parse);
            reference.is_some_and(|one| one.digest.is_some() && one.repository == *repository)
        };
        let (_, at) = others.find(|(_, node)| is_it(*node))?;
        Some(Obstruction { obstacle: Obstacle::OtherDigest, at: Some(*at) })
    }

    /// Digests that come with a merge are others' as well, and would stay.
    fn merged_digests(&mut self, mapping: NodeId, stem: &str) -> Result<(), Obstruction> {
        for base in self.merged(mapping) {
            let own: Vec<String> = self
                .stream
                .entries(mapping)
                .iter()
                .filter_map(|(key, _)| self.stream.text(*key).map(str::to_owned))
                .collect();
            let stream = self.stream;
            let entries = stream.entries(base).iter().filter_map(|(key, node)| {
                let text = stream.text(*key)?;
                (!own.iter().any(|own| own == text)).then_some((text, Some(*key), *node))
            });
            let found = Digests::of(stream, entries.collect::<Vec<_>>().into_iter()).beside(stem);
            let node = match found {
                Ok(found) => {
                    found.into_iter().map(|one| one.node).find(|node| !self.is_blank(*node))
                }
                Err(node) => Some(node),
            };
            if node.is_some() {
                return Err(Obstruction { obstacle: Obstacle::OtherDigest, at: node });
            }
        }
        Ok(())
    }

    /// A digest beside the mapping of an image: `image: {repository, tag}` with `digest` or `imageDigest` after it.
    fn digests_above(&mut self, mapping: NodeId, written: &mut Written) -> Result<(), Obstruction> {
        let key = self.key_of(mapping).unwrap_or_default().to_owned();
        let is_small = |node: &NodeId| self.stream.entries(*node).len() <= MAX_ENTRIES;
        let parent = self.parent(mapping).filter(is_small).filter(|_| !key.is_empty());
        let Some(parent) = parent else { return Ok(()) };
        let (own, is_image) = (normal(&key), key == "image" || key.ends_with("Image"));
        let groups = self.stream.entries(parent).iter().filter_map(|(key, value)| {
            Some((normal(self.stream.text(*key)?), self.stream.target(*value)))
        });
        let mut groups = groups.filter(|(key, group)| *key != own && *group != mapping);
        let is_its = |entry: &str| entry == own || key == "image";
        let at = groups
            .find_map(|(key, group)| self.held_in(&key, group, is_its).filter(|_| is_group(&key)));
        if at.is_some() {
            return Err(Obstruction { obstacle: Obstacle::OtherDigest, at });
        }
        // `shopDigest` beside `shop: {…}` is as clear as `imageDigest` beside `image: {…}`.
        let stem = if is_image { stem_of(&key) } else { &key };
        let Ok(found) = self.digests_of(parent).beside(stem) else { return Ok(()) };
        // An empty key is filled where the image's own mapping has none.
        let has_own = written.slots.iter().any(|slot| slot.part.is_digest());
        let counts = |one: &Beside| !has_own || !self.is_blank(one.node);
        self.add_digests(Ok(found.into_iter().filter(counts).collect()), written)
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
pub(super) fn stem_of(key: &str) -> &str {
    let lower = key.to_ascii_lowercase();
    let front = |end: &&str| lower.strip_suffix(*end).map(str::len);
    let length = OF_IMAGES.iter().chain(&["newtag", "reference"]).filter_map(front).min();
    key.get(..length.unwrap_or(0)).unwrap_or_default()
}

/// True if a normalized key is that of a mapping or a list of digests.
pub(super) fn is_group(key: &str) -> bool {
    GROUPS.iter().any(|group| key.ends_with(group))
}

/// A key in lower case, without what joins its words.
pub(super) fn normal(key: &str) -> String {
    key.chars().filter(|c| !"_-.".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

/// The digest's word at the end of a normalized key: what is before it, and how it is filled.
fn word(key: &str) -> Option<(&str, Option<Part>)> {
    WORDS.iter().find_map(|(word, part)| Some((key.strip_suffix(word)?, *part)))
}

/// True if a key is that of a digest: of any image, or of the one that another key or its stem is of.
pub(super) fn is_key_of(key: &str, other: Option<&str>) -> bool {
    let key = normal(key);
    let Some((front, _)) = word(&key) else { return false };
    let Some(other) = other else { return true };
    let own = normal(other);
    let is_of_image = OF_IMAGES.iter().any(|end| own.ends_with(end));
    let stem = is_of_image.then(|| normal(stem_of(other)));
    let mut fronts = MIDDLES.iter().filter_map(|middle| front.strip_suffix(middle));
    fronts.any(|front| front == own || stem.as_deref() == Some(front))
}

/// How a digest is written; `empty` is how it would be where nothing is.
fn part_of(text: &str, empty: Option<Part>) -> Option<Part> {
    match text {
        text if Digest::parse(text).is_some() => Some(Part::Digest),
        text if Digest::from_hex(text).is_some() => Some(Part::Hash),
        "" | "~" | "null" | "Null" | "NULL" => empty,
        _ => None,
    }
}

/// True if 64 digits are of something else by their key: a secret, or the sum of anything.
pub(super) fn is_of_other_thing(key: &str, text: &str) -> bool {
    let key = normal(key);
    !text.contains(':') && OTHER_THINGS.iter().any(|word| key.contains(word))
}

/// True if a text is a digest in any way of writing one.
pub(super) fn is_digest(text: &str) -> bool {
    let text = text.strip_prefix('@').unwrap_or(text);
    let hex = match text.split_once(':') {
        Some((algorithm, hex)) if algorithm.eq_ignore_ascii_case("sha256") => hex,
        _ => text,
    };
    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) || Digest::parse(text).is_some()
}
