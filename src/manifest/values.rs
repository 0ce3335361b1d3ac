//! Helm values: `registry`, `repository`, `tag` and `digest` as keys of one mapping.

use super::finder::{Finder, NameAt, Written};
use super::identity::WrittenForm;
use super::reference::TAGS;
use super::{Named, Obstacle, Obstructed, Obstruction, Part, Spot};
use crate::image::{Digest, Reference, Repository};
use crate::yaml::NodeId;

/// Keys that say that a `repository` beside them is one of images.
const SIGNS: [&str; 8] = [
    "tag",
    "version",
    "imageTag",
    "digest",
    "registry",
    "pullPolicy",
    "imagePullPolicy",
    "pullSecrets",
];

/// The end of a repository for charts that know tags alone: the tag is the digest's digits then.
const HASHED: &str = "@sha256";

/// Looks at a mapping's `repository` and what stands beside it.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.inherited(mapping, "repository") else { return };
    let stream = finder.stream;
    let Some(repository) = stream.text(stream.target(node)).filter(|_| !stream.is_null(node))
    else {
        return;
    };
    // What is merged as a whole stands in the other mapping.
    let has_own = |key: &&str| stream.get(mapping, key).is_some();
    if !["repository", "digest"].iter().chain(&TAGS).any(has_own) {
        return;
    }
    let registry = finder.text(mapping, "registry").map(str::to_owned);
    if let Some(name) = repository.strip_suffix(HASHED) {
        let written = hashed(finder, mapping);
        let name = NameAt { text: name, form: WrittenForm::Split, node };
        return finder.record_named(mapping, registry.as_deref(), name, written);
    }
    let written = finder.siblings(mapping, &TAGS);
    let Some(second) = second_name(finder, mapping) else {
        let is_bare = written.as_ref().is_ok_and(|written| written.slots.is_empty());
        // Without anything else, it can be one of code.
        if !is_bare || SIGNS.iter().any(has_own) || is_of_image(finder, mapping) {
            let name = NameAt { text: repository, form: WrittenForm::Split, node };
            finder.record_named(mapping, registry.as_deref(), name, written);
        }
        return;
    };
    let Second { node: own, name, written: tagged } = second;
    let last = repository.trim_end_matches('/').rsplit('/').next();
    let joined = format!("{}/{name}", repository.trim_end_matches('/'));
    if last == Some(&*name) || name.contains('/') {
        let named = Named::Somewhere(name.into());
        let spot = Spot::of(stream, own);
        return finder.obstruct_at(Obstructed { named, spot, obstacle: Obstacle::TwoNames });
    }
    let written = tagged.unwrap_or(written);
    finder.record_named(
        mapping,
        registry.as_deref(),
        NameAt { text: &joined, form: WrittenForm::Split, node: own },
        written,
    );
}

/// The digest whose digits stand for a tag.
fn hashed(finder: &mut Finder<'_>, mapping: NodeId) -> Result<Written, Obstruction> {
    let tag = TAGS.iter().find_map(|key| finder.stream.get(mapping, key));
    let text = tag.and_then(|tag| finder.stream.text(finder.stream.target(tag)));
    let (tag, digest) = tag.zip(text.and_then(Digest::from_hex)).ok_or(Obstacle::NotATag)?;
    let mut written = Written { digest: Some(digest), ..Written::default() };
    let range = 0..text.map_or(0, str::len);
    finder.slot(Part::Hash, tag, range, &mut written)?;
    Ok(written)
}

/// The second half of a name.
struct Second {
    node: NodeId,
    name: String,
    /// What stands behind it in the same scalar.
    written: Option<Result<Written, Obstruction>>,
}

/// `image`, or beneath a key for an image `name`, beside a `repository` that says where it is: as in the charts of
/// NVIDIA's GPU operator and of Strimzi.
fn second_name(finder: &mut Finder<'_>, mapping: NodeId) -> Option<Second> {
    let key = match finder.stream.get(mapping, "image") {
        Some(_) => "image",
        None if is_of_image(finder, mapping) => "name",
        None => return None,
    };
    let node = finder.stream.get(mapping, key)?;
    let reference = Reference::parse(finder.text(mapping, key)?)?;
    let text = finder.text(mapping, key)?;
    let name = text[..reference.suffix.start].to_owned();
    let written =
        (!reference.suffix.is_empty()).then(|| finder.whole(mapping, "", node, &reference));
    Some(Second { node, name, written })
}

/// True if the key of a mapping says that it is an image.
fn is_of_image(finder: &Finder<'_>, mapping: NodeId) -> bool {
    finder.key_of(mapping).is_some_and(|key| key == "image" || key.ends_with("Image"))
}

/// True if an `image` is the second half of a name that `repository` begins.
pub(super) fn is_second(finder: &Finder<'_>, mapping: NodeId) -> bool {
    let first = finder.text(mapping, "repository");
    first.is_some_and(|first| !first.is_empty() && Repository::parse(first).is_ok())
}
