//! Whole references under keys of an object's own, and in lists: Crossplane's `package`, Tekton's `bundle`, variables as
//! keys (`SHOP_IMAGE`), `uses: docker://…` of workflows, arguments (`--sidecar-image=…`), `images` and `services`.

use std::collections::BTreeSet;

use super::beside::{is_digest, stem_of};
use super::finder::{Finder, NameAt};
use super::identity::WrittenForm;
use crate::image::Reference;
use crate::yaml::{Data, Node, NodeId};

/// Keys of one reference.
const KEYS: [&str; 8] =
    ["artifact", "bundle", "imageName", "imageRef", "package", "reference", "task_bundle", "uses"];

/// Keys of lists of references.
const LISTS: [&str; 3] = ["images", "options", "services"];

/// Keys of lists of arguments.
const ARGUMENTS: [&str; 4] = ["args", "arguments", "command", "extraArgs"];

/// What stands before a reference in one scalar.
const SCHEMES: [&str; 2] = ["docker://", "oci://"];

/// Larger lists and mappings are data.
const MAX_ITEMS: usize = 1000;

/// Looks at every mapping, once the shapes have found what is theirs.
pub(super) fn visit(finder: &mut Finder<'_>) {
    let stream = finder.stream;
    let known = known(finder);
    let mut wholes = Wholes { finder, known };
    for (id, node) in stream.nodes() {
        if matches!(node.data, Data::Mapping(_)) {
            wholes.mapping(id);
        }
    }
}

/// The scalars that a shape has read: places, names, and what is left alone with a reason.
pub(super) fn known(finder: &Finder<'_>) -> BTreeSet<NodeId> {
    let slots = finder.found.sites.iter().flat_map(|site| &site.slots).map(|slot| slot.node);
    let left: BTreeSet<usize> =
        finder.found.obstructed.iter().map(|one| one.spot.span.start).collect();
    let is_left = |node: &Node<'_>| left.contains(&node.span().start);
    let nodes = finder.stream.nodes().filter(|_| !left.is_empty());
    let left = nodes.filter(|(_, node)| is_left(node)).map(|(id, _)| id);
    slots.chain(finder.names.iter().copied()).chain(left).collect()
}

struct Wholes<'f, 'a> {
    finder: &'f mut Finder<'a>,
    /// Scalars that are places of something.
    known: BTreeSet<NodeId>,
}

impl Wholes<'_, '_> {
    fn mapping(&mut self, mapping: NodeId) {
        let stream = self.finder.stream;
        let entries = stream.entries(mapping);
        for (key, node) in if entries.len() > MAX_ITEMS { &[] } else { entries } {
            let Some(key) = stream.text(*key) else { continue };
            if stream.is_repeated(mapping, key) {
                continue;
            }
            let items = stream.items(stream.target(*node));
            if KEYS.contains(&key) || is_variable(key) || self.is_value(mapping, key) {
                self.whole(mapping, Some(key), *node, 0);
            } else if LISTS.contains(&key) {
                items.iter().take(MAX_ITEMS).for_each(|item| self.whole(mapping, None, *item, 0));
            } else if ARGUMENTS.contains(&key) {
                self.arguments(mapping, items);
            }
        }
    }

    /// The value or the default of a parameter that is called like an image, as in Tekton.
    fn is_value(&self, mapping: NodeId, key: &str) -> bool {
        let says = |name: &str| {
            let name = name.to_ascii_lowercase();
            name == "bundle" || name.ends_with("image")
        };
        match key {
            "value" | "default" if self.finder.text(mapping, "name").is_some_and(says) => true,
            "value" => self.finder.key_of(mapping).is_some_and(says),
            _ => false,
        }
    }

    /// `--sidecar-image=name:tag`, and a flag with its value behind it.
    fn arguments(&mut self, mapping: NodeId, items: &[NodeId]) {
        let is_flag =
            |text: &str| text.starts_with('-') && text.to_ascii_lowercase().ends_with("image");
        let stream = self.finder.stream;
        let text = |item: &NodeId| stream.text(stream.target(*item)).unwrap_or_default();
        let mut few = items.iter().take(MAX_ITEMS);
        // A digest in an argument of its own would stay.
        if few.any(|item| is_digest(text(item).rsplit('=').next().unwrap_or_default())) {
            return;
        }
        let mut is_next = false;
        for item in items.iter().take(MAX_ITEMS) {
            let text = text(item);
            match text.split_once('=') {
                Some((flag, _)) if is_flag(flag) => {
                    self.whole(mapping, None, *item, flag.len() + 1);
                }
                None if is_next => self.whole(mapping, None, *item, 0),
                _ => {}
            }
            is_next = is_flag(text);
        }
    }

    /// A reference with a tag or a digest, from a byte of a scalar to its end. A name without a slash can be anything. Where
    /// it has a key, digests may stand beside it.
    fn whole(&mut self, mapping: NodeId, key: Option<&str>, node: NodeId, start: usize) {
        let stream = self.finder.stream;
        let target = stream.target(node);
        let text = stream.text(target).filter(|_| self.finder.is_text(target));
        let Some(text) = text.filter(|_| !self.known.contains(&target)) else { return };
        let scheme = SCHEMES.iter().find(|scheme| text[start..].starts_with(**scheme));
        let start = start + scheme.map_or(0, |scheme| scheme.len());
        let Some(reference) = Reference::parse(&text[start..]) else { return };
        let name = &text[start..start + reference.suffix.start];
        if !reference.suffix.is_empty() && name.contains('/') {
            let written = self.finder.suffix(node, start, &reference);
            let written = written.and_then(|mut written| {
                match key {
                    Some("value" | "default") => {
                        self.finder.digests_in_variables(mapping, &mut written)?;
                    }
                    Some(key) => self.finder.digests(mapping, stem_of(key), &mut written)?,
                    None => {}
                }
                Ok(written)
            });
            self.finder.record_named(
                mapping,
                None,
                NameAt { text: name, form: WrittenForm::Whole, node },
                written,
            );
        }
    }
}

/// `SHOP_IMAGE`, `IMAGE`.
fn is_variable(key: &str) -> bool {
    key == "IMAGE" || key.ends_with("_IMAGE")
}
