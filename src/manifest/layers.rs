//! Values of charts in layers: Helm lays one file over another (`helm -f values.yaml -f values-prod.yaml`,
//! <https://helm.sh/docs/chart_template_guide/values_files/>), so that a digest or a registry in one file counts for an image
//! that another one names. A tag that moves alone there leaves the old image running, or brings one of another registry.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::around::{Way, Ways};
use super::beside::{is_digest, is_key_of};
use super::finder::join;
use super::identity::names_registry;
use super::marker::is_ignore;
use super::named::is_half;
use super::release::{Object, Root};
use super::{Lent, Obstacle, Part, Site};
use crate::image::{Repository, split_registry};
use crate::policy::directory;
use crate::yaml::{NodeId, Stream};

/// Deeper values are nobody's, and larger mappings are data.
const MAX_DEPTH: usize = 12;
const MAX_ENTRIES: usize = 500;

/// Names of files, without what is behind the dot, over which any other file of the directory may be laid.
const BASES: [&str; 6] = ["base", "common", "default", "defaults", "main", "values"];

/// Values, by what they say for images in other places.
#[derive(Clone, Debug)]
pub struct Layer {
    path: String,
    reach: Reach,
    laid: Laids,
}

/// The places that a layer is merged with.
#[derive(Clone, Debug)]
enum Reach {
    /// Files of the directory, by their names.
    Beside,
    /// Other values of the same release.
    Release(Vec<Merged>),
}

/// Values with which a layer is merged.
#[derive(Clone, Debug)]
pub(super) struct Merged {
    pub(super) root: Root,
    /// True if they count more than the layer.
    pub(super) is_above: bool,
}

/// What a mapping says for images, by the keys that lead to it.
pub(super) type Laids = BTreeMap<Vec<String>, Vec<Laid>>;

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Laid {
    key: String,
    value: String,
    line: usize,
    kind: Kind,
}

/// The meaning of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Digest,
    Registry,
    /// The name of an image, without a tag; with its registry where that is beside it.
    Name,
    /// The same of an image that has a tag.
    OwnName,
    /// The other half of a tag.
    Half,
}

impl Layer {
    /// Reads a file of a directory; `None` where it is a manifest, or says nothing for others.
    #[must_use]
    pub fn read(path: &str, stream: &Stream) -> Option<Self> {
        let root = *stream.documents().first()?;
        // A manifest is laid over nothing.
        if stream.get(root, "apiVersion").is_some() {
            return None;
        }
        let laid = laid_in(stream, root);
        let reach = Reach::Beside;
        (!laid.is_empty()).then(|| Self { path: path.to_owned(), reach, laid })
    }

    /// Values of a release, beside others of it.
    pub(super) fn of_release(path: &str, laid: Laids, merged: Vec<Merged>) -> Self {
        Self { path: path.to_owned(), reach: Reach::Release(merged), laid }
    }

    /// True if it may be laid over a file.
    pub(super) fn is_over(&self, path: &str) -> bool {
        match &self.reach {
            Reach::Beside => lies_over(&self.path, path),
            Reach::Release(all) => all.iter().any(|merged| merged.root.path == path),
        }
    }

    /// True if a file may be laid over it.
    pub(super) fn is_under(&self, path: &str) -> bool {
        matches!(self.reach, Reach::Beside) && lies_over(path, &self.path)
    }

    /// A place of a file as one of the values that it is merged with.
    fn seen<'p>(&self, place: &'p Place<'_>) -> Option<Cow<'p, Place<'p>>> {
        match &self.reach {
            Reach::Beside => place.is_of_file.then_some(Cow::Borrowed(place)),
            Reach::Release(all) => all.iter().find_map(|one| place.within(one)).map(Cow::Owned),
        }
    }

    /// The reason why an image is not what its place says.
    pub(super) fn objection(&self, place: &Place<'_>) -> Option<Obstacle> {
        let place = &*self.seen(place)?;
        let half = || {
            let mut all = self.entries(place);
            let is_half = |at: &[String], one: &Laid| one.kind == Kind::Half && at == place.keys;
            let (_, one) = all.find(|(at, one)| is_half(at, one))?;
            Some(Obstacle::InTwoKeys(self.said(one)))
        };
        self.digest_of(place).or_else(half).or_else(|| {
            let mut all = self.entries(place);
            let (_, one) = all.find(|(at, one)| place.is_of_other_image(at, one))?;
            Some(Obstacle::Elsewhere(self.said(one)))
        })
    }

    /// A digest that stays where the tag moves.
    pub(super) fn laid_digest(&self, place: &Place<'_>) -> Option<Obstacle> {
        self.digest_of(&*self.seen(place)?)
    }

    fn digest_of(&self, place: &Place<'_>) -> Option<Obstacle> {
        let (_, one) = self.entries(place).find(|(at, one)| place.is_its_digest(at, one))?;
        Some(Obstacle::LaidDigest(self.said(one)))
    }

    fn said(&self, one: &Laid) -> Box<str> {
        format!("`{}` in line {} of {} is `{}`", one.key, one.line, self.path, one.value).into()
    }

    /// Entries of the mappings that the image is in, and of what is global to them.
    fn entries<'l>(
        &'l self,
        place: &'l Place<'_>,
    ) -> impl Iterator<Item = (&'l [String], &'l Laid)> {
        let up = (0..=place.keys.len()).rev().map(|length| place.keys[..length].to_vec());
        let up = up.flat_map(|keys| {
            let global = keys.iter().cloned().chain(["global".to_owned()]).collect();
            [keys, global]
        });
        up.filter_map(|keys| self.laid.get_key_value(&keys))
            .flat_map(|(keys, all)| all.iter().map(move |one| (keys.as_slice(), one)))
    }
}

impl Laid {
    /// The same, in a text that begins some lines further down.
    pub(super) fn below(self, lines: usize) -> Self {
        Self { line: self.line + lines, ..self }
    }

    /// A value that stands alone, by its keys with dots between.
    pub(super) fn single(key: &str, value: &str, line: usize) -> Option<Self> {
        let kind = Kind::of(key, value)?;
        Some(Self { key: key.to_owned(), value: value.to_owned(), line, kind })
    }
}

/// True if one file may be laid over another: `shop-prod` over `shop` and the other way round, anything over `values`.
pub(super) fn lies_over(own: &str, path: &str) -> bool {
    are_kin(own, path)
        || directory(path) == directory(own) && path != own && BASES.contains(&stem(path))
}

/// True if the name of one of two files goes on where the other's ends: `values` and `values-prod`.
pub(super) fn are_kin(one: &str, other: &str) -> bool {
    let begins = |one: &str, other: &str| {
        one.strip_prefix(other).is_some_and(|rest| rest.starts_with(['-', '_', '.']))
    };
    let (own, of_other) = (stem(one), stem(other));
    let is_kin = own == of_other || begins(own, of_other) || begins(of_other, own);
    directory(one) == directory(other) && one != other && is_kin
}

/// A mapping of values.
pub(super) struct Mapping {
    /// The keys that lead to it.
    pub(super) keys: Vec<String>,
    pub(super) node: NodeId,
}

/// The mappings beneath a node, and the node, where mappings alone lead to them.
pub(super) fn mappings(stream: &Stream, node: NodeId) -> Vec<Mapping> {
    let (mut all, mut at) = (vec![Mapping { keys: Vec::new(), node }], 0);
    while let Some(Mapping { keys, node }) = all.get(at) {
        let entries = stream.entries(*node);
        let is_data = entries.len() > MAX_ENTRIES || keys.len() > MAX_DEPTH;
        let inner = entries.iter().filter(|(_, value)| !is_data && stream.text(*value).is_none());
        let inner = inner.filter_map(|(key, value)| {
            let keys = keys.iter().cloned().chain([stream.text(*key)?.to_owned()]).collect();
            Some(Mapping { keys, node: *value })
        });
        let inner: Vec<Mapping> = inner.collect();
        all.extend(inner);
        at += 1;
    }
    all.retain(|mapping| stream.entries(mapping.node).len() <= MAX_ENTRIES);
    all
}

/// What the mappings beneath a node say.
pub(super) fn laid_in(stream: &Stream, node: NodeId) -> Laids {
    let all = mappings(stream, node).into_iter();
    let all = all.map(|Mapping { keys, node }| (keys, said_in(stream, node)));
    all.filter(|(_, laid)| !laid.is_empty()).collect()
}

/// What the entries of a mapping say.
fn said_in(stream: &Stream, node: NodeId) -> Vec<Laid> {
    // An image of its own has its own digest and registry.
    let has = |key: &str| stream.get(node, key).is_some();
    let is_own = has("tag") && ["repository", "image", "name"].iter().any(|key| has(key));
    let said = stream.entries(node).iter().filter_map(|(key, value)| {
        let (key, text) = (stream.text(*key)?, stream.text(*value)?);
        let line = stream.node(*value).line();
        let kind = Kind::of(key, text).filter(|_| !stream.comments_on(line).any(is_ignore));
        let kind = match kind? {
            Kind::Name if is_own => Kind::OwnName,
            _ if is_own => return None,
            kind => kind,
        };
        let registry = || stream.text(stream.target(stream.get(node, "registry")?));
        let is_name = matches!(kind, Kind::Name | Kind::OwnName);
        let value = match registry().filter(|registry| is_name && !registry.is_empty()) {
            Some(registry) => format!("{registry}/{text}"),
            None => text.to_owned(),
        };
        Some(Laid { key: key.to_owned(), value, line, kind })
    });
    said.collect()
}

impl Kind {
    fn of(key: &str, text: &str) -> Option<Self> {
        match key {
            _ if text.is_empty() => None,
            key if is_digest(text) && is_key_of(key, None) => Some(Self::Digest),
            "repository" => Some(Self::Name),
            key if is_half(key, "") => Some(Self::Half),
            key => names_registry(key).then_some(Self::Registry),
        }
    }
}

/// The name of a file without what is behind its last dot.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The place of an image in the values.
#[derive(Clone)]
pub(super) struct Place<'s> {
    path: &'s str,
    /// The object that it is in.
    object: Option<Object>,
    /// The keys that lead to the mapping of its tag.
    keys: Vec<String>,
    /// The key of its tag.
    key: String,
    /// The name as it is written, where no host stands in it.
    name: Option<String>,
    /// The registry beside it.
    registry: Option<String>,
    site: &'s Site,
    /// True if its name stands in another file.
    is_lent: bool,
    /// True if it counts more than the layer that it is compared with.
    is_above: bool,
    /// True if mappings alone lead to it, in the first document of its file.
    is_of_file: bool,
}

impl<'s> Place<'s> {
    pub(super) fn of(
        path: &'s str,
        stream: &'s Stream<'s>,
        ways: &Ways<'s>,
        site: &'s Site,
    ) -> Option<Self> {
        let slot = site.slots.iter().find(|slot| slot.part == Part::Tag)?;
        let outer = ways.to(slot.node)?;
        let is_of_file = outer.is_of_file(stream);
        let object = Object::of(stream, outer.root);
        let place = |keys, (stream, way): (&Stream, &Way<'_>)| {
            let text = |key: &str| stream.text(stream.target(stream.get(way.mapping, key)?));
            let name = ["repository", "image", "name"].iter().find_map(|key| text(key));
            let name = name.filter(|name| split_registry(name).1 == *name).map(str::to_owned);
            let registry = text("registry").filter(|text| !text.is_empty()).map(str::to_owned);
            let (key, object) = (way.key.to_owned(), object.clone());
            let (is_lent, is_above) = (false, false);
            Self { path, object, keys, key, name, registry, site, is_lent, is_above, is_of_file }
        };
        let Some(inner) = &slot.inner else {
            return Some(place(outer.keys.clone(), (stream, &outer)));
        };
        // Within a text, the way goes on.
        let text = Stream::parse(stream.text(slot.node)?).ok()?;
        let scalar = text.nodes().find(|(_, node)| node.span() == inner.raw)?.0;
        let ways = Ways::of(&text);
        let within = ways.to(scalar)?;
        let keys = outer.keys.iter().map(String::as_str).chain([outer.key]);
        let keys = keys.map(str::to_owned).chain(within.keys.clone()).collect();
        Some(place(keys, (&text, &within)))
    }

    /// The same for a tag to which another file lends its name.
    pub(super) fn lent(self, all: &[Lent]) -> Self {
        let is_lent = all.iter().any(|lent| lent.is_at(self.object.as_ref(), &self.keys));
        Self { is_lent, ..self }
    }

    /// The same, seen from these values; `None` where it is in none of them.
    fn within(&self, merged: &Merged) -> Option<Self> {
        let Merged { root, is_above } = merged;
        let is_in = root.path == self.path && (root.object.is_none() || root.object == self.object);
        let keys = self.keys.strip_prefix(root.keys.as_slice()).filter(|_| is_in)?;
        Some(Self { keys: keys.to_vec(), is_above: *is_above, ..self.clone() })
    }

    /// True for a digest beside the tag, beside its mapping, or of all images.
    fn is_its_digest(&self, at: &[String], one: &Laid) -> bool {
        let keys = &self.keys;
        let of = if at == keys {
            Some(self.key.as_str())
        } else if is_global(at) {
            Some("image")
        } else {
            keys.last().filter(|_| at.len() + 1 == keys.len()).map(String::as_str)
        };
        one.kind == Kind::Digest && of.is_some_and(|of| is_key_of(&one.key, Some(of)))
    }

    /// True for a registry or a name that makes another image of this one.
    fn is_of_other_image(&self, at: &[String], one: &Laid) -> bool {
        // `registry` is of the image beside it, or of all of them.
        let is_near = at == self.keys || is_global(at);
        let is_other =
            |image: Option<Repository>| image.is_some_and(|image| image != self.site.repository);
        match one.kind {
            Kind::Digest | Kind::Half => false,
            Kind::OwnName => self.is_lent && at == self.keys && is_other(join(None, &one.value)),
            // Its own name counts more.
            Kind::Name if self.is_above && !self.is_lent => false,
            Kind::Name => at == self.keys && is_other(join(None, &one.value)),
            Kind::Registry if self.is_above && self.registry.is_some() => false,
            Kind::Registry => {
                let joined = || self.name.as_ref().and_then(|name| join(Some(&one.value), name));
                (is_near || one.key != "registry") && is_other(joined())
            }
        }
    }
}

fn is_global(at: &[String]) -> bool {
    at.last().is_some_and(|key| key == "global")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{OtherFiles, Overlaid, Setters, find};

    /// What is left alone of a file beside others, or `moves`.
    fn left(path: &str, text: &str, others: &[(&str, &str)]) -> String {
        let layers =
            others.iter().filter_map(|(path, text)| Layer::read(path, &Stream::parse(text).ok()?));
        let overlaid = Overlaid { layers: layers.collect(), ..Overlaid::default() };
        let others = OtherFiles { overlaid, ..OtherFiles::default() };
        let stream = Stream::parse(text).unwrap();
        let mut found = find(path, text, &stream, &[], Setters::default());
        if let Some(over) = others.over(path, &stream) {
            over.leave(&mut found);
        }
        let mut left = found.obstructed.iter().map(|one| match &one.obstacle {
            Obstacle::LaidDigest(said) | Obstacle::Elsewhere(said) => said.to_string(),
            other => format!("{other:?}"),
        });
        left.next().unwrap_or_else(|| "moves".to_owned())
    }

    #[test]
    fn what_another_file_says_of_an_image_counts() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let values = "image:\n  repository: acme/shop\n  tag: v1\n";
        let stem = "shopImage: acme/shop\nshopTag: v1\n";
        let cases = [
            (values, "prod.yaml", format!("image: {{digest: '{digest}'}}"), "`digest` in line 1"),
            (values, "values-prod.yaml", format!("image: {{sha: {}}}", "a".repeat(64)), "`sha` in"),
            (values, "values-prod.yaml", format!("imageDigest: '{digest}'"), "`imageDigest` in"),
            (
                values,
                "values-prod.yaml",
                format!("global: {{imageDigest: '{digest}'}}"),
                "`imageDigest`",
            ),
            (stem, "values-prod.yaml", format!("shopDigest: '{digest}'"), "`shopDigest` in line 1"),
            (
                values,
                "values-prod.yaml",
                "global: {imageRegistry: r.io}".into(),
                "`imageRegistry` in",
            ),
            (values, "values-prod.yaml", "image: {registry: r.io}".into(), "`registry` in line 1"),
            (values, "values-prod.yaml", "image: {registry: docker.io}".into(), "moves"),
            (values, "values-prod.yaml", "registry: r.io".into(), "moves"),
            (values, "values-prod.yaml", format!("sidecar: {{digest: '{digest}'}}"), "moves"),
            (stem, "values-prod.yaml", format!("webDigest: '{digest}'"), "moves"),
            (
                values,
                "values-prod.yaml",
                format!("image: {{repository: acme/shop, tag: v1, digest: '{digest}'}}"),
                "moves",
            ),
            (values, "other/values-prod.yaml", format!("image: {{digest: '{digest}'}}"), "moves"),
        ];
        for (text, path, other, want) in cases {
            let got = left("values.yaml", text, &[(path, &other)]);
            assert!(got.starts_with(want), "{path} {other}: {got}");
        }
    }

    #[test]
    fn names_say_what_is_laid_over_what() {
        let text = "image: {repository: acme/shop, tag: v1}\n";
        let other = format!("image: {{digest: 'sha256:{}'}}\n", "a".repeat(64));
        let cases = [
            ("shop.yaml", "shop-prod.yaml", true),
            ("shop-prod.yaml", "shop.yaml", true),
            ("shop.yaml", "web-prod.yaml", false),
            ("cert-manager.yaml", "cert-exporter.yaml", false),
            ("values.yaml", "prod.yaml", true),
            ("values.yaml", "prod-values.yaml", true),
            ("values-eu.yaml", "values-us.yaml", false),
            ("redis.yaml", "grafana.yaml", false),
        ];
        for (path, layer, is_over) in cases {
            let got = left(path, text, &[(layer, &other)]);
            assert_eq!(got != "moves", is_over, "{path} {layer}: {got}");
        }
        // A manifest of that name is no layer; a value that is one is no manifest.
        let manifest = format!("apiVersion: v1\n{other}");
        assert_eq!(left("values.yaml", text, &[("prod.yaml", &manifest)]), "moves");
        let chart = format!("dashboards: {{apiVersion: 1}}\n{other}");
        assert_ne!(left("values.yaml", text, &[("prod.yaml", &chart)]), "moves");
        // Another name is another image.
        for (name, is_over) in [("q.io/acme/shop", true), ("acme/shop", false)] {
            let named = format!("image: {{repository: {name}}}\n");
            let got = left("values.yaml", text, &[("prod.yaml", &named)]);
            assert_eq!(got != "moves", is_over, "{name}: {got}");
        }
    }
}
