//! Flux's `OCIRepository`: `url: oci://…` with `ref.tag` and `ref.digest`
//! (<https://fluxcd.io/flux/components/source/ocirepositories/#reference>).

use super::finder::{Finder, Written};
use super::{Obstacle, Reader};
use crate::image::Repository;
use crate::yaml::NodeId;

/// Looks at a mapping with a `url` and a `ref`. `ref.semver` chooses by itself, and is left alone.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.stream.get(mapping, "url") else { return };
    let Some(reference) = finder.stream.get(mapping, "ref") else { return };
    let name = finder.text(mapping, "url").and_then(|url| url.strip_prefix("oci://"));
    let Some(Ok(repository)) = name.map(Repository::parse) else { return };
    let reference = finder.stream.target(reference);
    // A range beside a tag is what counts.
    let has_both = ["semver", "tag"].iter().all(|key| finder.text(reference, key).is_some());
    let written =
        if has_both { Err(Obstacle::NotATag.into()) } else { finder.siblings(reference, &["tag"]) };
    let written = written.map(|written| Written { reader: Reader::OciSource, ..written });
    finder.record(repository, node, written);
}

/// Reader of the tag in a mapping. A patch of a source has no `url`.
pub(super) fn reader(finder: &Finder<'_>, mapping: NodeId) -> Reader {
    let source = finder.parent(mapping).filter(|_| finder.key_of(mapping) == Some("ref"));
    let url = source.and_then(|source| finder.text(source, "url"));
    let is_oci = url.is_some_and(|url| url.starts_with("oci://"));
    let object = source.and_then(|source| finder.parent(source));
    let kind = object.and_then(|object| finder.text(object, "kind"));
    if is_oci || kind == Some("OCIRepository") {
        return Reader::OciSource;
    }
    let is_chart = ["apiVersion", "name", "version", "appVersion"];
    let is_chart = is_chart.iter().all(|key| finder.text(mapping, key).is_some());
    if is_chart && finder.parent(mapping).is_none() { Reader::Chart } else { Reader::default() }
}
