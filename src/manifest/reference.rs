//! `image: repository:tag@digest`: pod specs, custom resources, Compose, values.

use super::finder::{Finder, NameAt};
use super::identity::WrittenForm;
use super::{Obstacle, values, variables};
use crate::image::{Reference, Repository, split_registry};
use crate::yaml::NodeId;

/// Keys of the tag of an `image` or a `repository` beside it.
pub(super) const TAGS: [&str; 5] = ["tag", "version", "imageTag", "image_tag", "imageVersion"];

/// Looks at a mapping's `image`; a bare name there goes with a `tag` beside it.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.inherited(mapping, "image") else { return };
    if values::is_second(finder, mapping) {
        return;
    }
    let is_own = finder.stream.get(mapping, "image").is_some();
    let target = finder.stream.target(node);
    // A literal block ends with a line end, which is nobody's intention.
    let text = finder.stream.text(target).map(|text| text.trim_end_matches('\n'));
    let Some(text) = text else { return };
    let is_built = finder.is_service(mapping) && finder.inherited(mapping, "build").is_some();
    let Some(reference) = Reference::parse(text).filter(|_| finder.is_text(target)) else {
        let repeated = finder.stream.is_repeated(mapping, "image");
        if !is_own || is_built || !repeated && variables::visit(finder, mapping, node, text) {
            return;
        }
        if let Some(repository) = templated(text) {
            let obstacle = if repeated { Obstacle::Repeated } else { Obstacle::NotATag };
            finder.obstruct(repository, node, obstacle);
        }
        return;
    };
    if is_built {
        return finder.obstruct(reference.repository, node, Obstacle::Built("here".into()));
    }
    let is_whole = !reference.suffix.is_empty();
    let written = if finder.stream.is_repeated(mapping, "image") {
        Err(Obstacle::Repeated.into())
    } else if is_whole {
        finder.whole(mapping, "", node, &reference)
    } else {
        finder.siblings(mapping, &TAGS)
    };
    // What is merged stands in the other mapping, but for a tag of its own.
    let has_own_tag = TAGS.iter().any(|key| finder.stream.get(mapping, key).is_some());
    if is_own || !is_whole && has_own_tag {
        let form = if is_whole || !has_own_tag { WrittenForm::Whole } else { WrittenForm::Split };
        let registry = finder.text(mapping, "registry").map(str::to_owned);
        let name = NameAt { text: &text[..reference.suffix.start], form, node };
        finder.record_named(mapping, own_registry(registry.as_deref(), name.text), name, written);
    }
}

/// The registry beside a name that does not name one itself.
pub(super) fn own_registry<'r>(registry: Option<&'r str>, name: &str) -> Option<&'r str> {
    registry.filter(|_| split_registry(name).1 == name)
}

/// The image of a reference whose tag is no tag, as `name:${TAG}`: somebody expects it to be kept up
/// to date.
pub(super) fn templated(text: &str) -> Option<Repository> {
    let opening = [":${", ":{{"].iter().find_map(|opening| text.split_once(opening));
    let (name, _) = opening.or_else(|| text.rsplit_once(':'))?;
    Repository::parse(name).ok()
}
