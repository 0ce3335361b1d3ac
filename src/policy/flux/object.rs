//! One of Flux's resources, as it stands in a file.

use std::collections::BTreeMap;

use super::{Direction, Order, Overlays, PolicyFile, Range, Span, unset};
use crate::diagnostic::Place;
use crate::yaml::{NodeId, Stream};

/// One object of a file.
pub(super) struct FluxObject<'a> {
    pub(super) file: &'a PolicyFile,
    pub(super) stream: &'a Stream<'a>,
    pub(super) root: NodeId,
}

impl<'a> FluxObject<'a> {
    pub(super) fn node(&self, keys: &[&str]) -> Option<NodeId> {
        keys.iter().try_fold(self.root, |node, key| self.stream.get(self.stream.target(node), key))
    }

    pub(super) fn text(&self, keys: &[&str]) -> Option<&'a str> {
        self.stream.text(self.stream.target(self.node(keys)?))
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.text(&["spec", "suspend"]) == Some("true")
    }

    pub(super) fn list(&self, keys: &[&str]) -> Vec<String> {
        let items = self.node(keys).map(|node| self.stream.items(self.stream.target(node)));
        let texts = items.into_iter().flatten().filter_map(|item| self.stream.text(*item));
        texts.map(str::to_owned).collect()
    }

    pub(super) fn map(&self, keys: &[&str]) -> BTreeMap<String, String> {
        let entries = self.node(keys).map(|node| self.stream.entries(self.stream.target(node)));
        let pairs = entries.into_iter().flatten();
        pairs
            .filter_map(|(k, v)| {
                Some((self.stream.text(*k)?.to_owned(), self.stream.text(*v)?.to_owned()))
            })
            .collect()
    }

    /// The keys below `spec`, dotted, down to those that `known` does not lead through.
    pub(super) fn unknown_keys(&self, known: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        self.walk(&mut vec!["spec".to_owned()], known, &mut found);
        found
    }

    fn walk(&self, at: &mut Vec<String>, known: &[&str], found: &mut Vec<String>) {
        let keys: Vec<&str> = at.iter().map(String::as_str).collect();
        let entries = self.node(&keys).map(|node| self.stream.entries(self.stream.target(node)));
        for (key, _) in entries.into_iter().flatten() {
            let Some(key) = self.stream.text(*key) else { continue };
            at.push(key.to_owned());
            let path = at[1..].join(".");
            let leads = known.iter().any(|known| known.starts_with(&format!("{path}.")));
            if leads {
                self.walk(at, known, found);
            } else if !known.contains(&path.as_str()) {
                found.push(path);
            }
            at.pop();
        }
    }

    pub(super) fn place(&self) -> Place {
        let node = self.stream.node(self.node(&["metadata", "name"]).unwrap_or(self.root));
        let (line, column) = (node.line(), node.column());
        Place { path: self.file.path.clone(), line, column, span: node.span() }
    }
}

/// The first of the orders that is set, as Flux looks for them.
pub(super) fn order(object: &FluxObject<'_>, overlays: &Overlays) -> Result<Order, String> {
    let direction = |order: &str, default| match object.text(&["spec", "policy", order, "order"]) {
        Some("asc" | "ASC") => Ok(Direction::Asc),
        Some("desc" | "DESC") => Ok(Direction::Desc),
        None => Ok(default),
        Some(other) => Err(format!("{order}.order cannot be `{}`", other.escape_debug())),
    };
    if object.node(&["spec", "policy", "semver"]).is_some() {
        let range = object.text(&["spec", "policy", "semver", "range"]).unwrap_or_default();
        let range = overlays
            .put_in(range, &object.file.path)
            .map_err(|variable| unset(&format!("its range `{range}`"), &variable))?;
        return Range::parse(&range)
            .map(|range| Order::Semver(Span::Range(range)))
            .map_err(|error| error.to_string());
    }
    if object.node(&["spec", "policy", "alphabetical"]).is_some() {
        return direction("alphabetical", Direction::Asc).map(Order::Alphabetical);
    }
    if object.node(&["spec", "policy", "numerical"]).is_some() {
        return direction("numerical", Direction::Asc).map(Order::Numerical);
    }
    Err("it names none of semver, alphabetical and numerical".to_owned())
}
