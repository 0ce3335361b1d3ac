//! What is around a node: the collection that it is in, the keys that lead to it, and whether the file is Compose's.

use super::finder::Finder;
use crate::yaml::{Data, NodeId, Stream};

/// Where a node is. A root is in itself.
#[derive(Clone, Copy)]
pub(super) struct Around {
    parent: NodeId,
    key: Option<NodeId>,
}

impl Finder<'_> {
    /// The collection that a node is in.
    pub(super) fn parent(&self, node: NodeId) -> Option<NodeId> {
        let parent = self.around(node).parent;
        (parent != node).then_some(parent)
    }

    /// The key that leads to a node.
    pub(super) fn key_of(&self, node: NodeId) -> Option<&str> {
        self.stream.text(self.around(node).key?)
    }

    fn around(&self, node: NodeId) -> Around {
        self.around.get_or_init(|| arounds(self.stream))[node]
    }

    pub(super) fn is_compose(&self, root: NodeId) -> bool {
        let is_object = self.stream.get(root, "apiVersion").is_some();
        let services = self.stream.get(root, "services").map(|node| self.stream.target(node));
        !is_object && services.is_some_and(|node| !self.stream.entries(node).is_empty())
    }

    /// True if a mapping is in a Compose file.
    pub(super) fn is_in_compose(&self, mapping: NodeId) -> bool {
        let up = std::iter::successors(Some(mapping), |node| self.parent(*node));
        up.last().is_some_and(|root| self.is_compose(root))
    }

    /// True if a mapping is a service of a Compose file, or is merged into one.
    pub(super) fn is_service(&self, mapping: NodeId) -> bool {
        let services = self.parent(mapping).filter(|node| self.key_of(*node) == Some("services"));
        let root = services.and_then(|services| self.parent(services));
        root.is_some_and(|root| self.parent(root).is_none() && self.is_compose(root))
    }
}

/// The ways to the values of a stream.
pub(super) struct Ways {
    all: Vec<Around>,
}

/// The way to a value.
pub(super) struct Way<'s> {
    /// The mapping that it is in.
    pub(super) mapping: NodeId,
    /// The keys that lead to that.
    pub(super) keys: Vec<String>,
    /// Its own key.
    pub(super) key: &'s str,
    /// The document.
    pub(super) root: NodeId,
    /// True if mappings alone lead to it.
    pub(super) is_through_mappings: bool,
}

impl Ways {
    pub(super) fn of(stream: &Stream) -> Self {
        Self { all: arounds(stream) }
    }

    /// The way to a value of a mapping: keys, and the indices of items.
    pub(super) fn to<'s>(&self, stream: &'s Stream<'_>, node: NodeId) -> Option<Way<'s>> {
        let Around { parent: mapping, key } = self.all[node];
        let (mut at, mut keys, mut is_through_mappings) = (mapping, Vec::new(), true);
        while self.all[at].parent != at {
            let Around { parent, key } = self.all[at];
            let index = || stream.items(parent).iter().position(|item| *item == at);
            keys.push(match key {
                Some(key) => stream.text(key)?.to_owned(),
                None => index()?.to_string(),
            });
            is_through_mappings &= key.is_some();
            at = parent;
        }
        keys.reverse();
        Some(Way { mapping, keys, key: stream.text(key?)?, root: at, is_through_mappings })
    }
}

impl Way<'_> {
    /// True if it begins in the first document, and no list is on it.
    pub(super) fn is_of_file(&self, stream: &Stream) -> bool {
        self.is_through_mappings && stream.documents().first() == Some(&self.root)
    }
}

fn arounds(stream: &Stream) -> Vec<Around> {
    let own = |node| Around { parent: node, key: None };
    let mut all: Vec<Around> = (0..stream.nodes().len()).map(own).collect();
    for (parent, node) in stream.nodes() {
        match &node.data {
            Data::Sequence(items) => {
                items.iter().for_each(|item| all[*item] = Around { parent, key: None });
            }
            Data::Mapping(entries) => entries.iter().for_each(|(key, value)| {
                all[*key] = Around { parent, key: None };
                all[*value] = Around { parent, key: Some(*key) };
            }),
            Data::Scalar { .. } | Data::Alias(_) => {}
        }
    }
    all
}
