//! Values of charts in layers: Helm lays one file over another (`helm -f values.yaml -f values-prod.yaml`,
//! <https://helm.sh/docs/chart_template_guide/values_files/>), so that a digest or a registry in one file counts for an image
//! that another one names. A tag that moves alone there leaves the old image running, or brings one of another registry.

use std::collections::BTreeMap;

use super::Obstacle;
use super::beside::{is_digest, is_group, is_key_of, is_of_other_thing};
use super::identity::join;
use super::identity::names_registry;
use super::marker::is_ignore;
use super::named::is_half;
use super::place::{Place, Stand};
use crate::policy::directory;
use crate::yaml::{NodeId, Stream};

/// Deeper values are nobody's, and larger mappings are data.
const MAX_DEPTH: usize = 12;
const MAX_ENTRIES: usize = 500;

/// Words of the names of files, over which any other file of the directory may be laid.
const BASES: [&str; 8] =
    ["base", "common", "default", "defaults", "global", "main", "shared", "values"];

/// Values, by what they say for images in other places.
#[derive(Clone, Debug)]
pub struct Layer {
    path: String,
    laid: Laids,
}

/// Entries that count for images, by the keys that lead to their mapping.
pub(super) type Laids = BTreeMap<Vec<String>, Vec<Laid>>;

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Laid {
    pub(super) key: String,
    pub(super) value: String,
    line: usize,
    pub(super) kind: LayerKind,
    /// True if a tag stands beside it: whoever counts more than that tag counts more than this.
    pub(super) has_tag: bool,
}

/// The meaning of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayerKind {
    Digest,
    /// 64 digits of which their key does not say what they are.
    Digits,
    Registry,
    /// The name of an image; with its registry where that is beside it.
    Name,
    /// A tag without a digest beside it.
    Tag,
    /// The other half of a tag.
    Half,
    /// A range of versions, beside which a tag counts for nothing.
    Range,
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
        let laid = laid_in(stream, &mappings(stream, root));
        (!laid.is_empty()).then(|| Self { path: path.to_owned(), laid })
    }

    /// Values of a file.
    pub(super) fn of(path: &str, laid: Laids) -> Self {
        Self { path: path.to_owned(), laid }
    }

    /// The same, in a text that begins some lines further down.
    pub(super) fn below(mut self, lines: usize) -> Self {
        for one in self.laid.values_mut() {
            *one = std::mem::take(one).into_iter().map(|laid| laid.below(lines)).collect();
        }
        self
    }

    /// Adds what else values say.
    pub(super) fn and(mut self, laid: Laids) -> Self {
        for (keys, all) in laid {
            self.laid.entry(keys).or_default().extend(all);
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.laid.is_empty()
    }

    /// True if it may be laid over a file.
    pub(super) fn is_over(&self, path: &str) -> bool {
        lies_over(&self.path, path)
    }

    /// True if a file may be laid over it.
    pub(super) fn is_under(&self, path: &str) -> bool {
        lies_over(path, &self.path)
    }

    /// Compares with a file: the longer of two names counts more, and any name counts more than `values`.
    pub(super) fn stand(&self, path: &str) -> Stand {
        let (own, other) = (stem(&self.path), stem(path));
        let is_longer = other.len() > own.len() && other.starts_with(own);
        let is_base = is_base(own) && !is_base(other);
        if is_longer || is_base { Stand::Above } else { Stand::Below }
    }

    /// The reason why an image is not what its place says.
    pub(super) fn objection(&self, place: &Place<'_>, stand: Stand) -> Option<Obstacle> {
        let half = || {
            let mut all = self.entries(place, stand);
            let is_half =
                |at: &[String], one: &Laid| one.kind == LayerKind::Half && at == place.keys();
            let (_, one) = all.find(|(at, one)| is_half(at, one))?;
            Some(Obstacle::InTwoKeys(self.said(one)))
        };
        let range = || {
            // What a patch has over a range may take it away.
            let mut all = self.entries(place, stand).filter(|_| stand == Stand::Below);
            let (_, one) =
                all.find(|(at, one)| one.kind == LayerKind::Range && *at == place.keys())?;
            let said = format!("{}, which counts more than a tag", self.said(one));
            Some(Obstacle::Unread(said.into()))
        };
        self.laid_digest(place, stand).or_else(half).or_else(range).or_else(|| {
            let mut all = self.entries(place, stand);
            let (_, one) = all.find(|(at, one)| place.is_of_other_image(at, one, stand))?;
            Some(Obstacle::Elsewhere(self.said(one)))
        })
    }

    /// True if it names another image where a place is.
    pub(super) fn names_other_than(&self, place: &Place<'_>) -> bool {
        let all = self.laid.get(place.keys()).into_iter().flatten();
        let mut names = all.filter(|one| one.kind == LayerKind::Name);
        names.any(|one| join(None, &one.value).is_some_and(|image| !place.is_of(&image)))
    }

    /// A digest that stays where the tag moves, or a tag that stays where the digest moves.
    pub(super) fn laid_digest(&self, place: &Place<'_>, stand: Stand) -> Option<Obstacle> {
        let mut all = self.entries(place, stand);
        let (_, one) = all.find(|(at, one)| place.is_apart_from(at, one, stand))?;
        let said = self.said(one);
        Some(if one.kind == LayerKind::Tag {
            Obstacle::LaidTag(said)
        } else {
            Obstacle::LaidDigest(said)
        })
    }

    fn said(&self, one: &Laid) -> Box<str> {
        format!("`{}` in line {} of {} is `{}`", one.key, one.line, self.path, one.value).into()
    }

    /// Entries of the mappings that the image is in, and of what is global to them, as far as they count for a place.
    fn entries<'l>(
        &'l self,
        place: &'l Place<'_>,
        stand: Stand,
    ) -> impl Iterator<Item = (&'l [String], &'l Laid)> {
        let keys = place.keys();
        let up = (0..=keys.len()).rev().map(|length| keys[..length].to_vec());
        let up = up.flat_map(|keys| {
            let beneath = |more: &[&str]| {
                let more = more.iter().map(|key| (*key).to_owned());
                keys.iter().cloned().chain(more).collect::<Vec<_>>()
            };
            let (global, image) = (beneath(&["global"]), beneath(&["global", "image"]));
            [keys, global, image]
        });
        // What has a tag of its own above is an image of its own.
        let counts = move |one: &&Laid| {
            stand == Stand::Above
                || !one.has_tag
                || matches!(one.kind, LayerKind::Name | LayerKind::Tag)
        };
        up.filter_map(|keys| self.laid.get_key_value(&keys)).flat_map(move |(keys, all)| {
            all.iter().filter(counts).map(move |one| (keys.as_slice(), one))
        })
    }
}

impl Laid {
    /// The same, in a text that begins some lines further down.
    pub(super) fn below(self, lines: usize) -> Self {
        Self { line: self.line + lines, ..self }
    }

    /// A value that stands alone.
    pub(super) fn single(key: &str, value: &str, line: usize) -> Option<Self> {
        let kind = LayerKind::of(key, value)?;
        let (key, value) = (key.to_owned(), value.to_owned());
        Some(Self { key, value, line, kind, has_tag: false })
    }

    /// The address of a source of Flux's, which is the name of the image that its `ref` has the tag of.
    pub(super) fn of_source(key: &str, value: &str, line: usize) -> Option<Self> {
        let value = value.strip_prefix("oci://").filter(|_| key == "url")?.to_owned();
        let (key, kind) = (key.to_owned(), LayerKind::Name);
        Some(Self { key, value, line, kind, has_tag: false })
    }

    /// A range of a source of Flux's, which counts more than its tag; `None` for null, which is none.
    pub(super) fn of_range(value: &str, line: usize) -> Option<Self> {
        let is_null = matches!(value, "" | "~" | "null");
        let (key, value, kind) = ("semver".to_owned(), value.to_owned(), LayerKind::Range);
        (!is_null).then_some(Self { key, value, line, kind, has_tag: false })
    }
}

/// True if one file may be laid over another: `shop-prod` over `shop` and the other way round, anything over `values`.
pub(super) fn lies_over(own: &str, path: &str) -> bool {
    are_kin(own, path) || directory(path) == directory(own) && path != own && is_base(stem(path))
}

/// True for a name that says nothing but that others are laid over it: `values`, `common`, `values-common`.
fn is_base(stem: &str) -> bool {
    stem.split(['-', '_', '.']).all(|word| BASES.contains(&word))
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

/// The mappings beneath a node, and the node, where mappings alone lead to them; behind aliases as well.
pub(super) fn mappings(stream: &Stream, node: NodeId) -> Vec<Mapping> {
    let node = stream.target(node);
    let (mut all, mut at) = (vec![Mapping { keys: Vec::new(), node }], 0);
    while let Some(Mapping { keys, node }) = all.get(at).filter(|_| all.len() < MAX_MAPPINGS) {
        let entries = stream.entries(*node);
        let is_data = entries.len() > MAX_ENTRIES || keys.len() > MAX_DEPTH;
        let inner = entries.iter().filter(|_| !is_data).filter_map(|(key, value)| {
            let value = stream.target(*value);
            if stream.text(value).is_some() {
                return None;
            }
            let keys = keys.iter().cloned().chain([stream.text(*key)?.to_owned()]).collect();
            Some(Mapping { keys, node: value })
        });
        let inner: Vec<Mapping> = inner.collect();
        all.extend(inner);
        at += 1;
    }
    all.retain(|mapping| stream.entries(mapping.node).len() <= MAX_ENTRIES);
    all
}

/// Values with more mappings than these are data.
const MAX_MAPPINGS: usize = 50_000;

/// The entries of mappings that count for images in other places.
pub(super) fn laid_in(stream: &Stream, all: &[Mapping]) -> Laids {
    let all = all.iter().map(|mapping| (mapping.keys.clone(), said_in(stream, mapping)));
    all.filter(|(_, laid)| !laid.is_empty()).collect()
}

/// Entries of a mapping, and of mappings that it merges, that count for images.
fn said_in(stream: &Stream, mapping: &Mapping) -> Vec<Laid> {
    let node = mapping.node;
    let text = |key: &str| stream.text(stream.target(stream.get(node, key)?));
    let has_tag = text("tag").is_some_and(|tag| !tag.is_empty());
    let is_image = mapping.keys.last().is_some_and(|key| key == "image" || key.ends_with("Image"));
    let merged = stream.get(node, "<<").map(|merged| stream.target(merged));
    let merged = merged.map_or(&[][..], |merged| stream.entries(merged));
    let said = stream.entries(node).iter().chain(merged).filter_map(|(key, value)| {
        let (key, target) = (stream.text(*key)?, stream.target(*value));
        let line = stream.node(*value).line();
        let is_ignored = || stream.comments_on(line).any(is_ignore);
        let Some(text) = stream.text(target) else {
            let value = held_in(stream, key, target).filter(|_| !is_ignored())?;
            let (key, kind) = (key.to_owned(), LayerKind::Digest);
            return Some(Laid { key, value, line, kind, has_tag });
        };
        let kind = match (key, LayerKind::of(key, text)) {
            ("name", None) if is_image && !text.is_empty() => Some(LayerKind::Name),
            (_, kind) => kind,
        };
        let kind = kind.filter(|_| !is_ignored())?;
        let registry = || stream.text(stream.target(stream.get(node, "registry")?));
        let is_name = kind == LayerKind::Name;
        let value = match registry().filter(|registry| is_name && !registry.is_empty()) {
            Some(registry) => format!("{registry}/{text}"),
            None => text.to_owned(),
        };
        Some(Laid { key: key.to_owned(), value, line, kind, has_tag })
    });
    let mut said: Vec<Laid> = said.collect();
    // A tag with its digest moves with it.
    if said.iter().any(|one| one.kind == LayerKind::Digest) {
        said.retain(|one| one.kind != LayerKind::Tag);
    }
    said
}

/// The first digest in a group of them: `digests: {amd64: …}`.
fn held_in(stream: &Stream, key: &str, group: NodeId) -> Option<String> {
    if !is_group(key) && key != "pin" {
        return None;
    }
    let texts = stream.entries(group).iter().map(|(_, value)| stream.target(*value));
    let mut texts = texts.filter_map(|value| stream.text(value));
    texts.find(|text| is_digest(text)).map(str::to_owned)
}

impl LayerKind {
    fn of(key: &str, text: &str) -> Option<Self> {
        match key {
            _ if text.is_empty() => None,
            key if is_digest(text) && is_key_of(key, None) => Some(Self::Digest),
            key if is_digest(text) => (!is_of_other_thing(key, text)).then_some(Self::Digits),
            "repository" => Some(Self::Name),
            "tag" => Some(Self::Tag),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{OtherFiles, Overlaid, Setters, find};

    /// What is left alone of a file beside others, or `moves`.
    fn left(path: &str, text: &str, others: &[(&str, &str)]) -> String {
        let mut overlaid = Overlaid::default();
        for (path, text) in others {
            let layer = Stream::parse(text).ok().and_then(|stream| Layer::read(path, &stream));
            overlaid.beside(layer, Vec::new(), Vec::new(), path);
        }
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
            (values, "values-prod.yaml", "registry: r.io".into(), "`registry` in line 1"),
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
