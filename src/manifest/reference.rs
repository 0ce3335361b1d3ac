//! `image: repository:tag@digest`: pod specs, custom resources, Compose, values.

use super::finder::{Finder, join};
use super::{Obstacle, named};
use crate::image::{Reference, Repository, split_registry};
use crate::yaml::NodeId;

/// Looks at a mapping's `image`; a bare name there goes with a `tag` beside it.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.inherited(mapping, "image") else { return };
    let is_own = finder.stream.get(mapping, "image").is_some();
    let target = finder.stream.target(node);
    // A literal block ends with a line end, which is nobody's intention.
    let text = finder.stream.text(target).map(|text| text.trim_end_matches('\n'));
    let Some(text) = text else { return };
    let Some(reference) = Reference::parse(text) else {
        let repeated = finder.stream.is_repeated(mapping, "image");
        if !is_own || !repeated && named::with_default(finder, node, text) {
            return;
        }
        if let Some(repository) = templated(text) {
            let obstacle = if repeated { Obstacle::Repeated } else { Obstacle::NotATag };
            finder.obstruct(repository, node, obstacle);
        }
        return;
    };
    let written = if finder.stream.is_repeated(mapping, "image") {
        Err(Obstacle::Repeated.into())
    } else if reference.suffix.is_empty() {
        finder.siblings(mapping, &["tag", "version"])
    } else {
        finder.whole(mapping, "", node, &reference)
    };
    // What is merged stands in the other mapping, but for a tag of its own.
    let has_own_tag =
        ["tag", "version"].iter().any(|key| finder.stream.get(mapping, key).is_some());
    if is_own || reference.suffix.is_empty() && has_own_tag {
        let repository = with_registry(finder.text(mapping, "registry"), text, reference);
        finder.record(repository, node, written);
    }
}

/// The repository of a reference beside the registry that it does not name itself.
pub(super) fn with_registry(
    registry: Option<&str>,
    text: &str,
    reference: Reference,
) -> Repository {
    let name = &text[..reference.suffix.start];
    let is_bare = split_registry(name).1 == name;
    let joined = registry.filter(|_| is_bare).and_then(|registry| join(Some(registry), name));
    joined.unwrap_or(reference.repository)
}

/// The image of a reference whose tag is no tag, as `name:${TAG}`: somebody expects it to be kept up
/// to date.
pub(super) fn templated(text: &str) -> Option<Repository> {
    let opening = [":${", ":{{"].iter().find_map(|opening| text.split_once(opening));
    let (name, _) = opening.or_else(|| text.rsplit_once(':'))?;
    Repository::parse(name).ok()
}
