//! Names of images and versions beside them under keys that no shape reads, as `repo` with `tagOverride`: nothing is changed
//! there, and whoever has a policy for the image learns of the place.

use std::collections::BTreeSet;

use super::finder::Finder;
use super::identity::join;
use super::wholes::known;
use super::{Named, Obstacle, Obstructed, Spot};
use crate::image::{Reference, Repository, Tag, split_registry};
use crate::yaml::{Data, NodeId};

/// Larger lists and mappings are data.
const MAX_ITEMS: usize = 200;

/// Words of keys that say what of an image stands there; what is before them says of which image.
const OF_IMAGES: [&str; 9] =
    ["image", "repo", "repository", "name", "registry", "tag", "version", "revision", "url"];

/// An entry with a text: of a mapping, or of a list of names and values.
struct TextEntry<'a> {
    key: &'a str,
    text: &'a str,
    node: NodeId,
    words: Vec<String>,
}

impl TextEntry<'_> {
    /// The words before the first that is of an image: `shop` in `SHOP_IMAGE_TAG`.
    fn stem(&self) -> &[String] {
        let is_one = |word: &String| OF_IMAGES.contains(&word.as_str());
        let end = self.words.iter().position(is_one).unwrap_or(self.words.len());
        let stem = &self.words[..end];
        // Argo CD's `targetRevision` is of its `repoURL`.
        if stem == ["target"] { &[] } else { stem }
    }

    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }
}

/// Looks at what no shape has read.
pub(super) fn visit(finder: &mut Finder<'_>) {
    let stream = finder.stream;
    let known: BTreeSet<NodeId> =
        known(finder).into_iter().chain(finder.taken.iter().copied()).collect();
    let is_free = |node: NodeId| !known.contains(&node);
    for (id, node) in stream.nodes() {
        let entries = match &node.data {
            Data::Mapping(entries) if entries.len() <= MAX_ITEMS => of_mapping(finder, id),
            Data::Sequence(items) if items.len() <= MAX_ITEMS => of_list(finder, items),
            _ => continue,
        };
        let found = pairs(finder, &entries, is_free);
        finder.found.obstructed.extend(found);
    }
}

/// The texts of a mapping, where one of them may be a name.
fn of_mapping<'a>(finder: &Finder<'a>, mapping: NodeId) -> Vec<TextEntry<'a>> {
    let stream = finder.stream;
    let entries = stream.entries(mapping).iter().filter_map(|(key, node)| {
        let node = stream.target(*node);
        Some((stream.text(*key)?, stream.text(node)?, node))
    });
    read(entries)
}

/// The texts of a list of names and values, as of variables.
fn of_list<'a>(finder: &Finder<'a>, items: &[NodeId]) -> Vec<TextEntry<'a>> {
    let stream = finder.stream;
    let entries = items.iter().filter_map(|item| {
        let item = stream.target(*item);
        let key = stream.text(stream.target(stream.get(item, "name")?))?;
        let node = stream.target(stream.get(item, "value")?);
        Some((key, stream.text(node)?, node))
    });
    read(entries)
}

/// Reads entries, where one may be a name and another one its version; most are neither, and cost nothing more.
fn read<'a>(all: impl Iterator<Item = (&'a str, &'a str, NodeId)> + Clone) -> Vec<TextEntry<'a>> {
    let mut names = all.clone().filter(|(_, text, _)| text.contains('/') && !text.contains(' '));
    if names.next().is_none() || !all.clone().any(|(key, ..)| says_version(key)) {
        return Vec::new();
    }
    all.map(|(key, text, node)| TextEntry { key, text, node, words: words(key) }).collect()
}

/// True if a key may be that of a version, by its letters.
fn says_version(key: &str) -> bool {
    ["ag", "AG", "ersion", "ERSION", "evision", "EVISION"].iter().any(|part| key.contains(part))
}

/// The words of a key in lower case, however they are joined.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in key.chars() {
        let is_new = c.is_ascii_uppercase() && was_small || !c.is_ascii_alphanumeric();
        if is_new {
            words.push(String::new());
        }
        if let (true, Some(last)) = (c.is_ascii_alphanumeric(), words.last_mut()) {
            last.push(c.to_ascii_lowercase());
        }
        was_small = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The versions beside names, each with what is in its way. A shape that has read one of them has said what there is to say.
fn pairs(
    finder: &Finder<'_>,
    entries: &[TextEntry<'_>],
    is_free: impl Fn(NodeId) -> bool,
) -> Vec<Obstructed> {
    let mut found = Vec::new();
    for name in entries {
        let Some(repository) = named(name, entries) else { continue };
        let near = entries.iter().filter(|entry| entry.stem() == name.stem());
        if near.clone().any(|entry| !is_free(entry.node) || finder.is_ignored(entry.node)) {
            continue;
        }
        let versions = near.filter(|entry| is_version(entry, name));
        // `tag` itself before `tagPrefix`.
        let is_said = |entry: &&TextEntry<'_>| {
            entry.words.last().is_some_and(|last| last == "tag" || last == "version")
        };
        let Some(version) = versions.min_by_key(|entry| !is_said(entry)) else { continue };
        let line = finder.stream.node(name.node).line();
        let said = format!("`{}` in line {line} is its name", name.key);
        let (spot, obstacle) =
            (Spot::of(finder.stream, version.node), Obstacle::Apart(said.into()));
        found.push(Obstructed { named: Named::Is(repository), spot, obstacle });
    }
    found
}

/// True for a version of the image that a name beside it has.
fn is_version(entry: &TextEntry<'_>, name: &TextEntry<'_>) -> bool {
    let is_source = name.text.starts_with("oci://");
    let says = entry.has("tag")
        || entry.words.last().is_some_and(|last| last == "version")
        || is_source && entry.has("revision");
    let has_digit = entry.text.contains(|c: char| c.is_ascii_digit());
    says && has_digit && Tag::parse(entry.text).is_some()
}

/// The image that a text is the whole name of, with the registry beside it. Without a host, only a key that says so makes it an image.
fn named(entry: &TextEntry<'_>, entries: &[TextEntry<'_>]) -> Option<Repository> {
    let schemes = ["oci://", "docker://"];
    let text = schemes.iter().find_map(|scheme| entry.text.strip_prefix(scheme));
    let text = text.unwrap_or(entry.text);
    let is_name = text.contains('/') && !text.contains("://") && !text.starts_with(['.', '/']);
    let reference = Reference::parse(text).filter(|one| is_name && one.suffix.is_empty())?;
    let mut registry =
        entries.iter().filter(|other| other.has("registry") && other.stem() == entry.stem());
    let registry = registry.next().map(|other| other.text).filter(|text| !text.is_empty());
    let has_host = split_registry(text).1 != text;
    match registry {
        Some(registry) if !has_host => join(Some(registry), text),
        _ => (has_host || entry.has("image")).then_some(reference.repository),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_words_and_say_whose_they_are() {
        for (key, stem) in [
            ("tag", ""),
            ("webTagOverride", "web"),
            ("SHOP_IMAGE_TAG", "shop"),
            ("imageRepository", ""),
            ("my-side-car.image", "my side car"),
            ("targetRevision", ""),
            ("stage", "stage"),
            ("apiVersion", "api"),
        ] {
            let entry = TextEntry { key, text: "", node: 0, words: words(key) };
            assert_eq!(entry.stem().join(" "), stem, "{key}");
        }
    }
}
