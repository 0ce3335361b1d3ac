//! Names of images and versions beside them under keys that no shape reads, as `repo` with `tagOverride`: nothing is changed
//! there, and whoever has a policy for the image learns of the place.

use std::collections::BTreeSet;

use super::beside::{normal, stem_of};
use super::finder::{Finder, join};
use super::{Named, Obstacle, Obstructed, Spot};
use crate::image::{Reference, Repository, Tag};
use crate::yaml::{Data, NodeId};

/// Larger lists and mappings are data.
const MAX_ITEMS: usize = 200;

/// Fewer texts than these in a mapping are of one thing.
const FEW: usize = 8;

/// Words in keys of versions, normalized.
const VERSIONS: [&str; 3] = ["tag", "version", "revision"];

/// An entry with a text: of a mapping, or of a list of names and values.
#[derive(Clone, Copy)]
struct TextEntry<'a> {
    key: &'a str,
    text: &'a str,
    node: NodeId,
}

/// Looks at what no shape has read.
pub(super) fn visit(finder: &mut Finder<'_>) {
    let stream = finder.stream;
    let slots = finder.found.sites.iter().flat_map(|site| &site.slots).map(|slot| slot.node);
    let known: BTreeSet<NodeId> =
        slots.chain(finder.names.iter().copied()).chain(finder.taken.iter().copied()).collect();
    let left: BTreeSet<usize> =
        finder.found.obstructed.iter().map(|one| one.spot.span.start).collect();
    for (id, node) in stream.nodes() {
        let entries = match &node.data {
            Data::Mapping(entries) if entries.len() <= MAX_ITEMS => of_mapping(finder, id),
            Data::Sequence(items) if items.len() <= MAX_ITEMS => of_list(finder, items),
            _ => continue,
        };
        let is_free = |entry: &TextEntry<'_>| {
            !known.contains(&entry.node)
                && !left.contains(&stream.node(entry.node).span().start)
                && !finder.is_ignored(entry.node)
        };
        let is_list = matches!(node.data, Data::Sequence(_));
        let found: Vec<Obstructed> = pairs(finder, &entries, is_list, is_free).collect();
        finder.found.obstructed.extend(found);
    }
}

/// The texts of a mapping.
fn of_mapping<'a>(finder: &Finder<'a>, mapping: NodeId) -> Vec<TextEntry<'a>> {
    let stream = finder.stream;
    let entries = stream.entries(mapping).iter().filter_map(|(key, node)| {
        let target = stream.target(*node);
        Some(TextEntry { key: stream.text(*key)?, text: stream.text(target)?, node: target })
    });
    entries.collect()
}

/// The texts of a list of names and values, as of variables.
fn of_list<'a>(finder: &Finder<'a>, items: &[NodeId]) -> Vec<TextEntry<'a>> {
    let stream = finder.stream;
    let entries = items.iter().filter_map(|item| {
        let item = stream.target(*item);
        let key = stream.text(stream.target(stream.get(item, "name")?))?;
        let node = stream.target(stream.get(item, "value")?);
        Some(TextEntry { key, text: stream.text(node)?, node })
    });
    entries.collect()
}

/// The versions beside names, each with what is in its way.
fn pairs<'e>(
    finder: &'e Finder<'_>,
    entries: &'e [TextEntry<'_>],
    is_list: bool,
    is_free: impl Fn(&TextEntry<'_>) -> bool + Copy + 'e,
) -> impl Iterator<Item = Obstructed> + 'e {
    let registry = entries.iter().find(|entry| entry.key == "registry").map(|entry| entry.text);
    entries.iter().filter(move |entry| is_free(entry)).filter_map(move |name| {
        let repository = named(name.text, registry.filter(|_| !is_list))?;
        // Of many variables, those of one stem belong together.
        let is_near = |entry: &TextEntry<'_>| {
            !is_list && entries.len() < FEW
                || normal(stem_of(entry.key)) == normal(stem_of(name.key))
        };
        // A shape that has read one of them has said what there is to say.
        if entries.iter().any(|entry| is_near(entry) && !is_free(entry)) {
            return None;
        }
        let is_its = |entry: &&TextEntry<'_>| {
            let key = normal(entry.key);
            let is_version = VERSIONS.iter().any(|word| key.contains(word));
            let has_digit = entry.text.contains(|c: char| c.is_ascii_digit());
            is_version && is_near(entry) && has_digit && Tag::parse(entry.text).is_some()
        };
        let version = entries.iter().find(is_its)?;
        let line = finder.stream.node(name.node).line();
        let said = format!("`{}` in line {line} is its name", name.key);
        let (spot, obstacle) =
            (Spot::of(finder.stream, version.node), Obstacle::Apart(said.into()));
        Some(Obstructed { named: Named::Is(repository), spot, obstacle })
    })
}

/// The image that a text is the whole name of, with the registry beside it; a single word can be anything.
fn named(text: &str, registry: Option<&str>) -> Option<Repository> {
    let text =
        text.strip_prefix("oci://").or_else(|| text.strip_prefix("docker://")).unwrap_or(text);
    let is_name = text.contains('/') && !text.contains("://") && !text.starts_with(['.', '/']);
    let reference = Reference::parse(text).filter(|one| is_name && one.suffix.is_empty())?;
    match registry.filter(|registry| !registry.is_empty()) {
        Some(registry) => join(Some(registry), text),
        None => Some(reference.repository),
    }
}
