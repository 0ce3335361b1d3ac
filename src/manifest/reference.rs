//! `image: repository:tag@digest`: pod specs, custom resources, Compose, values.

use super::finder::Finder;
use super::{Obstacle, named};
use crate::image::{Reference, Repository};
use crate::yaml::NodeId;

/// Looks at a mapping's `image`; a bare name there goes with a `tag` beside it.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.stream.get(mapping, "image") else { return };
    let target = finder.stream.target(node);
    // A literal block ends with a line end, which is nobody's intention.
    let text = finder.stream.text(target).map(|text| text.trim_end_matches('\n'));
    let Some(text) = text else { return };
    let Some(reference) = Reference::parse(text) else {
        let text = text.to_owned();
        if named::with_default(finder, node, &text) {
            return;
        }
        if let Some(repository) = templated(&text) {
            finder.obstruct(repository, node, Obstacle::NotATag);
        }
        return;
    };
    let written = if finder.stream.is_repeated(mapping, "image") {
        Err(Obstacle::Repeated)
    } else if reference.suffix.is_empty() {
        finder.siblings(mapping, &["tag", "version"])
    } else {
        finder.suffix(node, 0, &reference)
    };
    finder.record(reference.repository, node, written);
}

/// The image of a reference whose tag is no tag, as `name:${TAG}`: somebody expects it to be kept up
/// to date.
pub(super) fn templated(text: &str) -> Option<Repository> {
    let opening = [":${", ":{{"].iter().find_map(|opening| text.split_once(opening));
    let (name, _) = opening.or_else(|| text.rsplit_once(':'))?;
    Repository::parse(name).ok()
}
