//! Flux's `OCIRepository`: `url: oci://…` with `ref.tag` and `ref.digest`
//! (<https://fluxcd.io/flux/components/source/ocirepositories/#reference>).

use super::finder::Finder;
use crate::image::Repository;
use crate::yaml::NodeId;

/// Looks at a mapping with a `url` and a `ref`. `ref.semver` chooses by itself, and is left alone.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.stream.get(mapping, "url") else { return };
    let Some(reference) = finder.stream.get(mapping, "ref") else { return };
    let name = finder.text(mapping, "url").and_then(|url| url.strip_prefix("oci://"));
    let Some(Ok(repository)) = name.map(Repository::parse) else { return };
    let written = finder.siblings(finder.stream.target(reference), &["tag"]);
    finder.record(repository, node, written);
}
