//! `image: repository:tag@digest`: pod specs, custom resources, Compose, values.

use super::find::{Finder, Written};
use super::{Obstacle, Part, Slot};
use crate::image::Reference;
use crate::yaml::NodeId;

/// Looks at a mapping's `image`; a bare name there goes with a `tag` beside it.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.stream.get(mapping, "image") else { return };
    let target = finder.stream.target(node);
    let Some(reference) = finder.stream.text(target).and_then(Reference::parse) else { return };
    let written = if reference.suffix.is_empty() {
        finder.siblings(mapping, &["tag", "version"])
    } else {
        whole(finder, node, &reference)
    };
    finder.record(reference.repository, node, written);
}

fn whole(finder: &Finder<'_>, node: NodeId, reference: &Reference) -> Result<Written, Obstacle> {
    finder.editable(node)?;
    let slot = Slot { part: Part::Suffix, node, range: reference.suffix.clone() };
    let (tag, digest) = (reference.tag.clone(), reference.digest.clone());
    Ok(Written { tag, digest, slots: vec![slot] })
}
