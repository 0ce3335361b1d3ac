//! Tags under keys that are called for an image, as `shopTag`, whose name stands in another file, as `shopRepository`. Nothing is lent
//! to them; they are told, as what they hold is what runs.

use std::collections::BTreeMap;

use super::beside::normal;
use super::identity::join;
use super::layers::Mapping;
use super::{Named, Obstacle, Obstructed, Spot};
use crate::image::{Repository, Tag};
use crate::yaml::Stream;

/// Common beginning of an image's keys, and the keys that lead to their mapping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stem {
    keys: Vec<String>,
    front: String,
}

/// Images and tags under keys that are called for one.
#[derive(Clone, Debug, Default)]
pub(super) struct Stems {
    pub(super) named: BTreeMap<Stem, Repository>,
    pub(super) unnamed: BTreeMap<Stem, usize>,
}

impl Stems {
    /// The tags whose name stands in others.
    pub(super) fn told<'s>(
        &'s self,
        others: impl Iterator<Item = &'s Self> + Clone + 's,
    ) -> impl Iterator<Item = Obstructed> + 's {
        self.unnamed.iter().filter_map(move |(stem, line)| {
            let repository = others.clone().find_map(|other| other.named.get(stem))?;
            let (named, obstacle) = (Named::Is(repository.clone()), Obstacle::NamedElsewhere);
            Some(Obstructed { named, spot: Spot::on(*line), obstacle })
        })
    }
}

/// Ends of keys for the names of images.
const NAMES: [&str; 3] = ["repository", "image", "name"];

/// The images that are named beside a tag of the same stem.
pub(super) fn named(stream: &Stream, all: &[Mapping]) -> BTreeMap<Stem, Repository> {
    let all = all.iter().flat_map(|mapping| {
        let texts = texts(stream, mapping);
        let names = texts.iter().filter_map(|(key, text)| {
            let ends = NAMES[..2].iter().filter_map(|end| key.strip_suffix(end));
            let front = ends.into_iter().find(|front| !front.is_empty())?;
            texts.get(&format!("{front}tag"))?;
            let registry = texts.get(&format!("{front}registry")).map(|held| held.text);
            let stem = Stem { keys: mapping.keys.clone(), front: front.to_owned() };
            Some((stem, join(registry, text.text)?))
        });
        names.collect::<Vec<_>>()
    });
    all.collect()
}

/// The lines of tags of which no name stands beside them.
pub(super) fn unnamed(stream: &Stream, all: &[Mapping]) -> BTreeMap<Stem, usize> {
    let all = all.iter().flat_map(|mapping| {
        let texts = texts(stream, mapping);
        let tags = texts.iter().filter_map(|(key, held)| {
            let front = key.strip_suffix("tag").filter(|front| !front.is_empty())?;
            let is_named = NAMES.iter().any(|end| texts.contains_key(&format!("{front}{end}")));
            let is_tag = !is_named && Tag::parse(held.text).is_some();
            let stem = || Stem { keys: mapping.keys.clone(), front: front.to_owned() };
            is_tag.then(|| (stem(), held.line))
        });
        tags.collect::<Vec<_>>()
    });
    all.collect()
}

/// A text of a mapping.
struct StemText<'s> {
    text: &'s str,
    line: usize,
}

/// The texts of a mapping by their keys, in lower case and without what joins words.
fn texts<'s>(stream: &'s Stream<'_>, mapping: &Mapping) -> BTreeMap<String, StemText<'s>> {
    let texts = stream.entries(mapping.node).iter().filter_map(|(key, value)| {
        let text = stream.text(stream.target(*value)).filter(|text| !text.is_empty())?;
        let line = stream.node(*value).line();
        Some((normal(stream.text(*key)?), StemText { text, line }))
    });
    texts.collect()
}
