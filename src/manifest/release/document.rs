//! One document of a file with releases: what stands at keys, and values that are set one by one.

use std::collections::BTreeSet;

use super::{Rank, ReleaseObject, Root, Values};
use crate::manifest::layers::{Laid, Laids, laid_in, mappings};
use crate::manifest::lent::{Borrowers, OWN, borrowers};
use crate::manifest::marker::is_ignore;
use crate::yaml::{NodeId, Stream};

/// The keys of a dotted name.
pub(in crate::manifest) fn dotted(name: &str) -> Vec<String> {
    name.split('.').map(str::to_owned).collect()
}

/// One document of a file.
pub(super) struct ReleaseDocument<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    pub(super) stream: &'a Stream<'a>,
    pub(super) root: NodeId,
}

impl<'a> ReleaseDocument<'a> {
    pub(super) fn at(&self, keys: &[&str]) -> Option<NodeId> {
        self.stream.at(self.root, keys)
    }

    pub(super) fn text_at(&self, keys: &[&str]) -> Option<&'a str> {
        self.stream.text(self.at(keys)?)
    }

    pub(super) fn text_of(&self, node: NodeId, key: &str) -> Option<&'a str> {
        self.stream.text(self.stream.at(node, &[key])?)
    }

    pub(super) fn items(&self, keys: &[&str]) -> Vec<NodeId> {
        let items = self.at(keys).map_or(&[][..], |node| self.stream.items(node));
        items.iter().map(|item| self.stream.target(*item)).collect()
    }

    pub(super) fn items_of(&self, node: NodeId, key: &str) -> Vec<NodeId> {
        ReleaseDocument { root: node, ..*self }.items(&[key])
    }

    /// Node at keys and indices of lists.
    pub(super) fn down(&self, keys: &[String]) -> Option<NodeId> {
        let step = |node, key: &String| Some(self.stream.target(self.stream.step(node, key)?));
        keys.iter().try_fold(self.root, step)
    }

    pub(super) fn object(&self) -> Option<ReleaseObject> {
        ReleaseObject::of(self.stream, self.root)
    }

    pub(super) fn root_at(&self, object: Option<&ReleaseObject>, keys: &[&str]) -> Root {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Root { path: self.path.to_owned(), object: object.cloned(), keys }
    }

    pub(super) fn root_below(&self, keys: &[String], key: &str) -> Root {
        let keys = keys.iter().cloned().chain([key.to_owned()]).collect();
        Root { path: self.path.to_owned(), object: self.object(), keys }
    }

    /// The lines of the file above a text in it.
    pub(super) fn lines_above(&self, node: NodeId) -> usize {
        let locator = self.stream.locator(self.text, node);
        locator.map_or(self.stream.node(node).line(), |locator| locator.line()) - 1
    }

    /// Values that operations set beneath keys (<https://www.rfc-editor.org/rfc/rfc6902>).
    pub(super) fn operations(
        &self,
        path: &str,
        operations: &[NodeId],
        beneath: &[&str],
        lines: usize,
    ) -> Values {
        let (mut single, mut laid, mut tags) = (Vec::new(), Laids::new(), Borrowers::new());
        let prefix = format!("/{}", beneath.join("/"));
        for operation in operations {
            let pointer = self.text_of(*operation, "path");
            let value = self.stream.get(*operation, "value").map(|node| self.stream.target(node));
            let within = |node| self.stream.at(node, beneath.get(1..)?);
            let (pointer, value) = match pointer {
                Some("/spec") => (Some(""), value.and_then(within)),
                path => (path.and_then(|path| path.strip_prefix(prefix.as_str())), value),
            };
            let is_set = !matches!(self.text_of(*operation, "op"), Some("test" | "remove"));
            let (Some(pointer), Some(node), true) = (pointer, value, is_set) else { continue };
            let keys = pointer.split('/').skip(1);
            let keys: Vec<String> =
                keys.map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
            let line = self.stream.node(node).line();
            if self.stream.comments_on(line).any(is_ignore) {
                continue;
            }
            if let Some(value) = self.stream.text(node) {
                single.push(Single { keys, value, line: line + lines });
                continue;
            }
            let at = |beneath: Vec<String>| keys.iter().cloned().chain(beneath).collect();
            let range = self.stream.at(node, &["semver"]).and_then(|node| self.stream.text(node));
            let range = range.filter(|_| keys == ["ref"]);
            if let Some(range) = range.and_then(|range| Laid::of_range(range, line + lines)) {
                laid.entry(keys.clone()).or_default().push(range);
            }
            let mappings = mappings(self.stream, node);
            for (beneath, all) in laid_in(self.stream, &mappings) {
                let all = all.into_iter().map(|one| one.below(lines));
                laid.entry(at(beneath)).or_default().extend(all);
            }
            for (beneath, line) in borrowers(self.stream, &mappings) {
                tags.insert(at(beneath), line + lines);
            }
        }
        let mut values = Single::all(Root::nowhere(path), single);
        values.borrowers.extend(tags);
        Values { rank: Rank::Patch, layer: values.layer.clone().and(laid), ..values }
    }

    /// Values that are a mapping, or a text.
    pub(super) fn values(&self, node: NodeId, root: Root, rank: Rank) -> Option<Values> {
        let node = self.stream.target(node);
        match self.stream.text(node) {
            Some(text) => Values::in_text(text, self.lines_above(node), root, rank),
            None => Some(Values::read(self.stream, node, root, rank)),
        }
    }

    /// The single values of a list of names and values.
    pub(super) fn named_values(&self, items: Vec<NodeId>) -> Vec<Single<'a>> {
        let single = items.into_iter().filter_map(|item| {
            let line = self.stream.node(item).line();
            if self.stream.comments_on(line).any(is_ignore) {
                return None;
            }
            let keys = dotted(self.text_of(item, "name")?);
            Some(Single { keys, value: self.text_of(item, "value")?, line })
        });
        single.collect()
    }
}

/// A value that is set alone.
pub(super) struct Single<'v> {
    /// The keys that lead to it, its own the last.
    pub(super) keys: Vec<String>,
    pub(super) value: &'v str,
    pub(super) line: usize,
}

impl Single<'_> {
    /// The values of a list, or of a file.
    pub(super) fn all(root: Root, all: Vec<Self>) -> Values {
        let (mut laid, mut borrowers, mut named) =
            (Laids::new(), Borrowers::new(), BTreeSet::new());
        for Self { mut keys, value, line } in all {
            let key = keys.pop().unwrap_or_default();
            if OWN.contains(&key.as_str()) {
                named.insert(keys.clone());
            }
            if key == "tag" && !value.is_empty() {
                borrowers.insert(keys.clone(), line);
            }
            if let Some(one) = Laid::single(&key, value, line) {
                laid.entry(keys).or_default().push(one);
            } else if let Some(one) = Laid::of_source(&key, value, line) {
                laid.entry(vec!["ref".to_owned()]).or_default().push(one);
            } else if keys == ["ref"] && key == "semver" {
                laid.entry(keys).or_default().extend(Laid::of_range(value, line));
            }
        }
        // An image with a name and a tag here is a site of its own.
        for (keys, one) in &mut laid {
            let is_own = named.contains(keys) && borrowers.contains_key(keys);
            for one in one {
                one.has_tag |= is_own;
            }
        }
        borrowers.retain(|keys, _| !named.contains(keys));
        Values::single(root, laid, borrowers)
    }
}
