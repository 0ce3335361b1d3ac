//! Collections that aliases and merge keys use in more places than one: what is changed in them is
//! changed in all of these places.

use std::collections::{BTreeMap, BTreeSet};

use super::Site;
use crate::image::Repository;
use crate::yaml::{Data, NodeId, Stream};

/// The anchored collections of a stream, and who uses them.
pub(super) struct Sharing<'a> {
    /// The aliases of each anchored collection.
    aliases: BTreeMap<NodeId, &'a BTreeSet<NodeId>>,
    /// The collection that each node is in, where there is an anchored one.
    parents: Vec<NodeId>,
    /// Those that a mapping merges to which it gives another name.
    renamed: BTreeSet<NodeId>,
}

impl<'a> Sharing<'a> {
    pub(super) fn of(
        stream: &'a Stream<'a>,
        aliases: &'a BTreeMap<NodeId, BTreeSet<NodeId>>,
    ) -> Option<Self> {
        let is_collection = |id: &NodeId| stream.text(*id).is_none();
        let aliases: BTreeMap<_, _> = aliases
            .iter()
            .filter(|(id, _)| is_collection(id))
            .map(|(id, set)| (*id, set))
            .collect();
        if aliases.is_empty() {
            return None;
        }
        // A root is in nothing but itself.
        let parents = (0..stream.nodes().len()).collect();
        let mut sharing = Self { aliases, parents, renamed: BTreeSet::new() };
        for (id, node) in stream.nodes() {
            match &node.data {
                Data::Sequence(items) => items.iter().for_each(|item| sharing.parents[*item] = id),
                Data::Mapping(entries) => entries.iter().for_each(|(key, value)| {
                    (sharing.parents[*key], sharing.parents[*value]) = (id, id);
                    if stream.text(*key) == Some("<<") {
                        let merged = std::iter::once(value).chain(stream.items(*value));
                        let merged = merged.map(|alias| stream.target(*alias));
                        sharing.renamed.extend(merged.filter(|base| renames(stream, id, *base)));
                    }
                }),
                _ => {}
            }
        }
        Some(sharing)
    }

    /// Whether a site cannot be changed, because somebody uses its pieces for another image, or
    /// nobody knows for what.
    pub(super) fn stops(&self, site: &Site, name: NodeId, others: &Users<'_>) -> bool {
        site.slots.iter().any(|slot| {
            self.around(slot.node).any(|anchored| {
                let aliases = self.aliases[&anchored];
                if self.around(name).any(|around| around == anchored) {
                    return self.renamed.contains(&anchored);
                }
                // The name is elsewhere: each user has to be a place of this image.
                let known = others.get(&slot.node);
                known.is_none_or(|(names, images)| {
                    names.len() != aliases.len() + 1 || images.len() != 1
                })
            })
        })
    }

    /// The anchored collections that a node is in.
    fn around(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let up = std::iter::successors(Some(node), |id| {
            let parent = self.parents[*id];
            (parent < *id).then_some(parent)
        });
        up.filter(|id| self.aliases.contains_key(id))
    }
}

/// Whether a mapping gives another image to what it merges. `name`, `hostname` and the like are of the container, where the
/// image has a key of its own.
fn renames(stream: &Stream, mapping: NodeId, base: NodeId) -> bool {
    let has_own = ["image", "repository"].iter().any(|key| stream.get(base, key).is_some());
    let names = |key: &str| {
        let key = key.to_ascii_lowercase();
        let words =
            ["image", "repository", "registry", "imagename", "url", "digest", "sha", "sha256"];
        words.iter().any(|word| key.ends_with(word)) || !has_own && key == "name"
    };
    stream.entries(mapping).iter().any(|(key, _)| stream.text(*key).is_some_and(names))
}

/// By the scalar that they change: the names of the sites, and the images.
pub(super) type Users<'a> = BTreeMap<NodeId, (BTreeSet<NodeId>, BTreeSet<&'a Repository>)>;

/// Who changes which scalar.
pub(super) fn users<'a>(sites: &'a [Site], names: &[NodeId]) -> Users<'a> {
    let mut users = Users::new();
    for (site, name) in sites.iter().zip(names) {
        for slot in &site.slots {
            let (names, images) = users.entry(slot.node).or_default();
            names.insert(*name);
            images.insert(&site.repository);
        }
    }
    users
}

/// The aliases of each anchored value.
pub(super) fn aliases(stream: &Stream) -> BTreeMap<NodeId, BTreeSet<NodeId>> {
    let mut aliases: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
    for (id, node) in stream.nodes() {
        if let Data::Alias(Some(target)) = node.data {
            aliases.entry(target).or_default().insert(id);
        }
    }
    aliases
}
