//! Keys that say in their name what they hold: `fooImage` with `fooTag`, `imageRepository` with
//! `imageTag`, `image: {name, tag}`, and a tag's key that holds a whole reference.

use super::finder::{Finder, NameAt};
use super::identity::WrittenForm;
use super::reference::own_registry;
use super::{Obstacle, Obstructed, Obstruction, Spot};
use crate::image::Reference;
use crate::yaml::NodeId;

/// How words are joined in a key.
const JOINTS: [&str; 2] = ["_", "-"];

/// Looks at every key of a mapping.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    for (key, node) in finder.stream.entries(mapping) {
        let (Some(key), node) = (finder.stream.text(*key), *node) else { continue };
        if key == "image" || stem(key, "image").is_some() {
            named(finder, node);
        }
        if let Some(stem) = stem(key, "image") {
            image(finder, mapping, key, stem, node);
        } else if let Some(stem) = stem(key, "repository") {
            repository(finder, mapping, stem, node);
        } else if let Some(stem) = stem(key, "name").filter(|stem| is_of_image(stem)) {
            repository(finder, mapping, stem, node);
        } else if key == "tag" || stem(key, "tag").is_some() {
            whole(finder, mapping, node);
        }
    }
}

/// Whether what stands before `Name` says that it is an image's.
fn is_of_image(stem: &str) -> bool {
    stem.to_ascii_lowercase().trim_end_matches(['_', '-']).ends_with("image")
}

/// What stands before a word at the end of a key: `foo` in `fooTag`, `foo_` in `foo_tag`.
fn stem<'k>(key: &'k str, word: &str) -> Option<&'k str> {
    let (stem, end) = key.split_at_checked(key.len().checked_sub(word.len())?)?;
    if end == word {
        return (JOINTS.iter().any(|joint| stem.ends_with(joint)) && stem.len() > 1)
            .then_some(stem);
    }
    let is_capital =
        end.starts_with(|c: char| c.is_ascii_uppercase()) && end.get(1..) == word.get(1..);
    let is_word = is_capital && end.eq_ignore_ascii_case(word);
    (is_word && stem.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()))
        .then_some(stem)
}

/// A key beside another one, with the same stem and joint.
pub(super) fn beside(stem: &str, word: &str) -> String {
    if stem.is_empty() || JOINTS.iter().any(|joint| stem.ends_with(joint)) {
        return format!("{stem}{word}");
    }
    format!("{stem}{}", capital(word))
}

/// Words behind `tag` in the key of its other half, as in Jenkins' chart (`tagLabel`).
const HALVES: [&str; 12] = [
    "append", "arch", "distro", "extra", "flavor", "flavour", "label", "postfix", "prefix", "sfx",
    "suffix", "variant",
];

/// Larger mappings are data.
const MAX_ENTRIES: usize = 500;

/// Words that are such a key by themselves, among the keys of one image.
const BARE_HALVES: [&str; 5] = ["flavor", "flavour", "postfix", "suffix", "variant"];

/// True for one of them, with or without `image` before it.
fn is_bare_half(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    BARE_HALVES.contains(&key.strip_prefix("image").unwrap_or(&key).trim_start_matches(['_', '-']))
}

/// True if a key is that of the other half of a tag, of an image whose keys begin with `stem`.
pub(super) fn is_half(key: &str, stem: &str) -> bool {
    let normal = |key: &str| key.to_ascii_lowercase().replace(['_', '-'], "");
    let key = normal(key);
    let rest = key.strip_prefix(&*normal(stem)).unwrap_or(&key);
    let rest = rest.strip_prefix("image").unwrap_or(rest);
    let rest = rest.strip_prefix("tag").or_else(|| rest.strip_prefix("version"));
    rest.is_some_and(|rest| HALVES.contains(&rest))
}

impl Finder<'_> {
    /// Refuses a tag that a chart puts together with what stands under another key.
    pub(super) fn is_whole_tag(&self, mapping: NodeId, stem: &str) -> Result<(), Obstruction> {
        let above = self.parent(mapping).filter(|_| self.key_of(mapping).is_some_and(is_of_image));
        let is_image = self.key_of(mapping).is_some_and(is_of_image) && stem.is_empty();
        let all = std::iter::once(mapping).chain(self.merged(mapping)).chain(above);
        let entries = all.flat_map(|mapping| self.stream.entries(mapping).iter().take(MAX_ENTRIES));
        let own = self.stream.entries(mapping);
        let mut halves = entries.filter(|entry| {
            let (key, value) = entry;
            let is_bare = |key: &str| is_image && own.contains(entry) && is_bare_half(key);
            self.stream.text(*key).is_some_and(|key| is_half(key, stem) || is_bare(key))
                && !self.is_blank(self.stream.target(*value))
                && !self.is_ignored(*value)
        });
        let Some((key, value)) = halves.next() else { return Ok(()) };
        let text = |node| self.stream.text(self.stream.target(node)).unwrap_or_default();
        let line = self.stream.node(*value).line();
        let said = format!("`{}` in line {line} is `{}`", text(*key), text(*value));
        Err(Obstacle::InTwoKeys(said.into()).into())
    }
}

/// A word with a capital.
pub(super) fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// `fooImage: name:tag`, or `fooImage: name` beside `fooTag`, `fooImageTag` or `fooVersion`.
fn image(finder: &mut Finder<'_>, mapping: NodeId, key: &str, stem: &str, node: NodeId) {
    let target = finder.stream.target(node);
    let text = finder.stream.text(target).filter(|_| finder.is_text(target));
    let Some(reference) = text.and_then(Reference::parse) else { return };
    let written = if finder.stream.is_repeated(mapping, key) {
        Err(Obstacle::Repeated.into())
    } else if reference.suffix.is_empty() {
        let joint = if stem.ends_with('-') { "-" } else { "_" };
        let joined = stem.ends_with(['-', '_']);
        let own = if joined { format!("{key}{joint}tag") } else { format!("{key}Tag") };
        let version = if joined { format!("{key}{joint}version") } else { format!("{key}Version") };
        let tags = [beside(stem, "tag"), own, beside(stem, "version"), version];
        finder.siblings_named(mapping, &tags, stem)
    } else {
        finder.whole(mapping, stem, node, &reference)
    };
    let registry = finder.text(mapping, &beside(stem, "registry")).map(str::to_owned);
    let text = finder.stream.text(target).unwrap_or_default();
    let name = &text[..reference.suffix.start];
    let form = if reference.suffix.is_empty() { WrittenForm::Split } else { WrittenForm::Whole };
    let registry = own_registry(registry.as_deref(), name);
    finder.record_named(mapping, registry, NameAt { text: name, form, node }, written);
}

/// `fooRepository` or `imageName` beside `fooTag`, with or without `fooRegistry`. A repository alone can be anything.
fn repository(finder: &mut Finder<'_>, mapping: NodeId, stem: &str, node: NodeId) {
    let tag = beside(stem, "tag");
    if finder.stream.get(mapping, &tag).is_none() {
        return;
    }
    let target = finder.stream.target(node);
    let Some(repository) = finder.stream.text(target) else { return };
    let registry = finder.text(mapping, &beside(stem, "registry")).map(str::to_owned);
    let written = finder.siblings_named(mapping, &[tag], stem);
    finder.record_named(
        mapping,
        registry.as_deref(),
        NameAt { text: repository, form: WrittenForm::Split, node },
        written,
    );
}

/// `image: {name: …, tag: …}`, where the name is not called `repository`.
fn named(finder: &mut Finder<'_>, mapping: NodeId) {
    let mapping = finder.stream.target(mapping);
    let Some(node) = finder.stream.get(mapping, "name") else { return };
    let repository = finder.stream.get(mapping, "repository");
    let is_other = repository.is_some_and(|repository| !finder.is_blank(repository));
    let Some(name) = finder.stream.text(finder.stream.target(node)) else { return };
    let has = |key| finder.stream.get(mapping, key).is_some();
    // A bare name with a version can be anything.
    let tag = match () {
        () if has("tag") => "tag",
        () if name.contains('/') && has("version") => "version",
        () => return,
    };
    if is_other {
        return;
    }
    let registry = finder.text(mapping, "registry").map(str::to_owned);
    let written = finder.siblings(mapping, &[tag]);
    finder.record_named(
        mapping,
        registry.as_deref(),
        NameAt { text: name, form: WrittenForm::Split, node },
        written,
    );
}

/// A value that is a whole reference, beside what says that it is an image: the name of an
/// environment variable (`SIDECAR_IMAGE`), or the path of a
/// [JSON patch](https://www.rfc-editor.org/rfc/rfc6902) (`/spec/containers/0/image`).
pub(super) fn value(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.stream.get(mapping, "value") else { return };
    let says_image = |key: &str, is: fn(&str) -> bool| finder.text(mapping, key).is_some_and(is);
    let is_variable = says_image("name", |name| name.contains("IMAGE"));
    let is_patch = finder.stream.get(mapping, "op").is_some()
        && says_image("path", |path| path.ends_with("/image") || path.ends_with("Image"));
    let text = finder.stream.text(finder.stream.target(node));
    let reference = text.filter(|_| is_variable || is_patch).and_then(Reference::parse);
    if let Some(reference) = reference.filter(|reference| !reference.suffix.is_empty()) {
        let written = finder.suffix(node, 0, &reference);
        let written = written.and_then(|mut written| {
            finder.digests_in_variables(mapping, &mut written)?;
            Ok(written)
        });
        let text = finder.stream.text(finder.stream.target(node)).unwrap_or_default();
        match finder.registry_in_variables(mapping, &text[..reference.suffix.start]) {
            Some((named, obstacle)) => {
                let spot = Spot::of(finder.stream, node);
                finder.obstruct_at(Obstructed { named, spot, obstacle });
            }
            None => finder.record(reference.repository, node, written),
        }
    }
}

/// `tag: name:1.2.3`, which is no tag, where nothing beside it names the image.
fn whole(finder: &mut Finder<'_>, mapping: NodeId, node: NodeId) {
    let named = ["image", "name", "newName", "repository"];
    if named.iter().any(|key| finder.inherited(mapping, key).is_some()) {
        return;
    }
    let Some(text) = finder.stream.text(finder.stream.target(node)) else { return };
    let reference = Reference::parse(text).filter(|reference| reference.tag.is_some());
    if let Some(reference) = reference {
        let written = finder.suffix(node, 0, &reference);
        finder.record(reference.repository, node, written);
    }
}
