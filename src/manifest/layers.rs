//! Values of charts in layers: Helm lays one file over another (`helm -f values.yaml -f values-prod.yaml`,
//! <https://helm.sh/docs/chart_template_guide/values_files/>), so that a digest or a registry in one file counts for an image
//! that another one names. A tag that moves alone there leaves the old image running, or brings one of another registry.

use std::collections::BTreeMap;

use super::around::{Way, Ways};
use super::beside::{is_digest, is_key_of};
use super::finder::join;
use super::identity::names_registry;
use super::marker::is_ignore;
use super::named::is_half;
use super::{Obstacle, Part, Site};
use crate::image::{Repository, split_registry};
use crate::policy::directory;
use crate::yaml::{NodeId, Stream};

/// Deeper values are nobody's, and larger mappings are data.
const MAX_DEPTH: usize = 12;
const MAX_ENTRIES: usize = 500;

/// Names of files, without what is behind the dot, over which any other file of the directory may be laid.
const BASES: [&str; 6] = ["base", "common", "default", "defaults", "main", "values"];

/// A values file, by what it says for images of other files.
#[derive(Clone, Debug)]
pub struct Layer {
    path: String,
    /// By the keys that lead to a mapping.
    laid: BTreeMap<Vec<String>, Vec<Laid>>,
}

/// One entry.
#[derive(Clone, Debug)]
struct Laid {
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
        let mut laid = BTreeMap::new();
        collect(stream, root, &mut Vec::new(), &mut laid);
        (!laid.is_empty()).then(|| Self { path: path.to_owned(), laid })
    }

    /// True if it may be laid over a file.
    pub(super) fn is_over(&self, path: &str) -> bool {
        lies_over(&self.path, path)
    }

    /// True if a file may be laid over it.
    pub(super) fn is_under(&self, path: &str) -> bool {
        lies_over(path, &self.path)
    }

    /// The reason why an image is not what its place says.
    pub(super) fn objection(&self, place: &Place<'_>) -> Option<Obstacle> {
        let half = || {
            let mut all = self.entries(place);
            let is_half =
                |at: &[String], one: &Laid| one.kind == Kind::Half && at == place.way.keys;
            let (_, one) = all.find(|(at, one)| is_half(at, one))?;
            Some(Obstacle::InTwoKeys(self.said(one)))
        };
        self.laid_digest(place).or_else(half).or_else(|| {
            let mut all = self.entries(place);
            let (_, one) = all.find(|(at, one)| place.is_of_other_image(at, one))?;
            Some(Obstacle::Elsewhere(self.said(one)))
        })
    }

    /// A digest that stays where the tag moves.
    pub(super) fn laid_digest(&self, place: &Place<'_>) -> Option<Obstacle> {
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
        let up = (0..=place.way.keys.len()).rev().map(|length| place.way.keys[..length].to_vec());
        let up = up.flat_map(|keys| {
            let global = keys.iter().cloned().chain(["global".to_owned()]).collect();
            [keys, global]
        });
        up.filter_map(|keys| self.laid.get_key_value(&keys))
            .flat_map(|(keys, all)| all.iter().map(move |one| (keys.as_slice(), one)))
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

/// Collects what a mapping and those in it say.
fn collect(
    stream: &Stream,
    node: NodeId,
    keys: &mut Vec<String>,
    laid: &mut BTreeMap<Vec<String>, Vec<Laid>>,
) {
    let entries = stream.entries(node);
    if entries.len() > MAX_ENTRIES || keys.len() > MAX_DEPTH {
        return;
    }
    // An image of its own has its own digest and registry.
    let has = |key: &str| stream.get(node, key).is_some();
    let is_own = has("tag") && ["repository", "image", "name"].iter().any(|key| has(key));
    for (key, value) in entries {
        let Some(key) = stream.text(*key) else { continue };
        let Some(text) = stream.text(*value) else {
            keys.push(key.to_owned());
            collect(stream, *value, keys, laid);
            keys.pop();
            continue;
        };
        let line = stream.node(*value).line();
        let kind = Kind::of(key, text);
        let kind = if is_own {
            kind.filter(|kind| *kind == Kind::Name).map(|_| Kind::OwnName)
        } else {
            kind
        };
        if let Some(kind) = kind.filter(|_| !stream.comments_on(line).any(is_ignore)) {
            let registry = || stream.text(stream.target(stream.get(node, "registry")?));
            let is_name = matches!(kind, Kind::Name | Kind::OwnName);
            let value = match registry().filter(|registry| is_name && !registry.is_empty()) {
                Some(registry) => format!("{registry}/{text}"),
                None => text.to_owned(),
            };
            let key = key.to_owned();
            laid.entry(keys.clone()).or_default().push(Laid { key, value, line, kind });
        }
    }
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
pub(super) struct Place<'s> {
    /// The way to its tag.
    way: Way<'s>,
    /// The name as it is written, where no host stands in it.
    name: Option<&'s str>,
    site: &'s Site,
    /// True if its name stands in another file.
    is_lent: bool,
}

impl<'s> Place<'s> {
    pub(super) fn of(stream: &'s Stream, ways: &Ways<'s>, site: &'s Site) -> Option<Self> {
        let slot = site.slots.iter().find(|slot| slot.part == Part::Tag)?;
        let way = ways.to(slot.node)?;
        let named = ["repository", "image", "name"].iter();
        let named = named.into_iter().find_map(|key| stream.get(way.mapping, key));
        let name = named.and_then(|node| stream.text(stream.target(node)));
        let name = name.filter(|name| split_registry(name).1 == *name);
        Some(Self { way, name, site, is_lent: false })
    }

    /// The same for a tag to which another file lends its name.
    pub(super) fn lent(self, is_lent: impl Fn(&[String]) -> bool) -> Self {
        let is_lent = is_lent(&self.way.keys);
        Self { is_lent, ..self }
    }

    /// True for a digest beside the tag, beside its mapping, or of all images.
    fn is_its_digest(&self, at: &[String], one: &Laid) -> bool {
        let keys = &self.way.keys;
        let of = if at == keys {
            Some(self.way.key)
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
        let is_near = at == self.way.keys || is_global(at);
        let is_other =
            |image: Option<Repository>| image.is_some_and(|image| image != self.site.repository);
        match one.kind {
            Kind::Digest | Kind::Half => false,
            Kind::OwnName => {
                self.is_lent && at == self.way.keys && is_other(join(None, &one.value))
            }
            Kind::Name => at == self.way.keys && is_other(join(None, &one.value)),
            Kind::Registry => {
                let joined = || self.name.and_then(|name| join(Some(&one.value), name));
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
    use crate::manifest::{OtherFiles, Setters, find};

    /// What is left alone of a file beside others, or `moves`.
    fn left(path: &str, text: &str, others: &[(&str, &str)]) -> String {
        let layers =
            others.iter().filter_map(|(path, text)| Layer::read(path, &Stream::parse(text).ok()?));
        let others = OtherFiles { layers: layers.collect(), ..OtherFiles::default() };
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
