//! `image: repository:tag@digest`: pod specs, custom resources, Compose, values.

use super::finder::{Finder, Written};
use super::{Obstacle, Part, Slot};
use crate::image::{Reference, Repository};
use crate::yaml::NodeId;

/// Looks at a mapping's `image`; a bare name there goes with a `tag` beside it.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.stream.get(mapping, "image") else { return };
    let target = finder.stream.target(node);
    let Some(text) = finder.stream.text(target) else { return };
    let Some(reference) = Reference::parse(text) else {
        // `name:${TAG}`: the name is one that somebody expects to be kept up to date.
        if let Some(Ok(repository)) = text.rsplit_once(':').map(|(name, _)| Repository::parse(name))
        {
            finder.obstruct(repository, node, Obstacle::NotATag);
        }
        return;
    };
    let written = if finder.is_repeated(mapping, "image") {
        Err(Obstacle::Repeated)
    } else if reference.suffix.is_empty() {
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
