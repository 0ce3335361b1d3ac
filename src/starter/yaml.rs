//! Objects of Kubernetes, as far as they are asked for here.

use std::collections::BTreeMap;

use crate::yaml::{NodeId, Stream};

/// A mapping in a file.
#[derive(Clone, Copy)]
pub(super) struct YamlObject<'a> {
    stream: &'a Stream<'a>,
    node: NodeId,
}

impl<'a> YamlObject<'a> {
    /// Every document of a file.
    pub(super) fn all(stream: &'a Stream<'a>) -> impl Iterator<Item = Self> {
        stream.documents().iter().map(move |node| Self { stream, node: *node })
    }

    fn at(&self, keys: &[&str]) -> Option<NodeId> {
        self.stream.at(self.node, keys)
    }

    /// A mapping within.
    pub(super) fn below(&self, keys: &[&str]) -> Option<Self> {
        Some(Self { node: self.at(keys)?, ..*self })
    }

    /// Whether a key is there.
    pub(super) fn has(&self, keys: &[&str]) -> bool {
        self.at(keys).is_some()
    }

    /// A scalar.
    pub(super) fn text(&self, keys: &[&str]) -> Option<&'a str> {
        self.stream.text(self.at(keys)?)
    }

    /// A scalar, or the scalars of a list with commas between them.
    pub(super) fn texts(&self, keys: &[&str]) -> Option<String> {
        if let Some(text) = self.text(keys) {
            return Some(text.to_owned());
        }
        let items = self.items(keys);
        let texts: Vec<&str> = items.iter().filter_map(|item| item.text(&[])).collect();
        (!texts.is_empty()).then(|| texts.join(","))
    }

    /// The items of a list.
    pub(super) fn items(&self, keys: &[&str]) -> Vec<Self> {
        let Some(node) = self.at(keys) else { return Vec::new() };
        self.stream.items(node).iter().map(|node| Self { node: *node, ..*self }).collect()
    }

    /// The scalars of a mapping.
    pub(super) fn map(&self, keys: &[&str]) -> BTreeMap<String, String> {
        let Some(node) = self.at(keys) else { return BTreeMap::new() };
        let text = |node: NodeId| self.stream.text(self.stream.target(node)).map(str::to_owned);
        self.stream
            .entries(node)
            .iter()
            .filter_map(|(key, value)| Some((text(*key)?, text(*value)?)))
            .collect()
    }
}
