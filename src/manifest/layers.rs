//! Values of charts in layers: Helm lays one file over another (`helm -f values.yaml -f values-prod.yaml`,
//! <https://helm.sh/docs/chart_template_guide/values_files/>), so that a digest or a registry in one file counts for an image
//! that another one names. A tag that moves alone there leaves the old image running, or brings one of another registry.

use std::collections::BTreeMap;

use super::beside::{is_digest, is_key_of};
use super::finder::join;
use super::identity::names_registry;
use super::marker::is_ignore;
use super::{Found, Named, Obstacle, Obstructed, Part, Site, Spot, around};
use crate::image::split_registry;
use crate::yaml::{NodeId, Stream};

/// Deeper values are nobody's, and larger mappings are data.
const MAX_DEPTH: usize = 12;
const MAX_ENTRIES: usize = 500;

/// A values file, by what it says for images of other files.
#[derive(Clone, Debug)]
pub struct Layer {
    path: String,
    /// Names of files that it is laid over, by their first word; any, where it shares that with none.
    family: Option<String>,
    /// By the keys that lead to a mapping.
    laid: BTreeMap<Vec<String>, Vec<Laid>>,
}

/// One entry.
#[derive(Clone, Debug)]
struct Laid {
    key: String,
    value: String,
    line: usize,
    is_digest: bool,
}

impl Layer {
    /// Reads a file of a directory; `None` where it is a manifest, or says nothing for others.
    #[must_use]
    pub fn read(path: &str, text: &str, beside: &[&str]) -> Option<Self> {
        // A manifest is laid over nothing.
        if text.contains("apiVersion:") {
            return None;
        }
        let stream = Stream::parse(text).ok()?;
        let mut laid = BTreeMap::new();
        collect(&stream, *stream.documents().first()?, &mut Vec::new(), &mut laid);
        let word = first_word(path);
        let has_family = beside.iter().any(|other| *other != path && first_word(other) == word);
        let family = has_family.then(|| word.to_owned());
        (!laid.is_empty()).then(|| Self { path: path.to_owned(), family, laid })
    }

    /// True if it may be laid over a file of its directory.
    pub(super) fn is_over(&self, path: &str) -> bool {
        let directory =
            |path: &str| path.rsplit_once('/').map_or(0, |(directory, _)| directory.len());
        let at = directory(path);
        let is_beside = at == directory(&self.path) && path.get(..at) == self.path.get(..at);
        let is_kin = self.family.as_deref().is_none_or(|family| first_word(path) == family);
        is_beside && is_kin && path != self.path
    }

    /// What it says for an image, as a phrase, and why that is in the way.
    fn objection(&self, place: &Place<'_>) -> Option<Obstacle> {
        let said = |one: &Laid| {
            format!("`{}` in line {} of {} is `{}`", one.key, one.line, self.path, one.value).into()
        };
        if let Some(one) = self.entries(place).find(|(at, one)| place.is_its_digest(at, one)) {
            return Some(Obstacle::LaidDigest(said(one.1)));
        }
        let mut all = self.entries(place);
        let one = all.find(|(at, one)| place.is_of_other_registry(at, one))?;
        Some(Obstacle::Elsewhere(said(one.1)))
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
        if let Some(text) = stream.text(*value) {
            let line = stream.node(*value).line();
            let is_digest = is_digest(text) && is_key_of(key, None);
            let counts = is_digest || names_registry(key) && !text.is_empty();
            if counts && !is_own && !stream.comments_on(line).any(is_ignore) {
                let (key, value) = (key.to_owned(), text.to_owned());
                laid.entry(keys.clone()).or_default().push(Laid { key, value, line, is_digest });
            }
            continue;
        }
        keys.push(key.to_owned());
        collect(stream, *value, keys, laid);
        keys.pop();
    }
}

/// The name of a file up to what tells it from its like: `values` of `values-prod.yaml`.
fn first_word(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split(['-', '_', '.']).next().unwrap_or(name)
}

/// Where a site is in the values.
struct Place<'s> {
    /// The keys that lead to its mapping.
    keys: Vec<String>,
    /// The key of its tag.
    tag: &'s str,
    /// The name as it is written, where no host stands in it.
    name: Option<&'s str>,
    site: &'s Site,
}

impl<'s> Place<'s> {
    fn of(stream: &'s Stream, site: &'s Site) -> Option<Self> {
        let slot = site.slots.iter().find(|slot| slot.part == Part::Tag)?;
        let (mapping, keys, tag) = around::path(stream, slot.node)?;
        let named = ["repository", "image", "name"].iter().find_map(|key| stream.get(mapping, key));
        let name = named.and_then(|node| stream.text(stream.target(node)));
        let name = name.filter(|name| split_registry(name).1 == *name);
        Some(Self { keys, tag, name, site })
    }

    /// True for a digest beside the tag, beside its mapping, or of all images.
    fn is_its_digest(&self, at: &[String], one: &Laid) -> bool {
        let own = self.keys.last().map(String::as_str);
        one.is_digest
            && if at.len() == self.keys.len() && at == self.keys {
                is_key_of(&one.key, Some(self.tag))
            } else if at.last().is_some_and(|key| key == "global") {
                is_key_of(&one.key, Some("image"))
            } else {
                at.len() + 1 == self.keys.len()
                    && own.is_some_and(|own| is_key_of(&one.key, Some(own)))
            }
    }

    /// True for a registry that makes another image of this one.
    fn is_of_other_registry(&self, at: &[String], one: &Laid) -> bool {
        // `registry` is of the image beside it, or of all of them.
        let is_near = one.key != "registry"
            || at == self.keys
            || at.last().is_some_and(|key| key == "global");
        let joined = self.name.and_then(|name| join(Some(&one.value), name));
        !one.is_digest && is_near && joined.is_some_and(|joined| joined != self.site.repository)
    }
}

/// Leaves places alone for which another file says what image they are.
pub(super) fn leave_layered(path: &str, stream: &Stream, found: &mut Found, layers: &[Layer]) {
    let layers: Vec<&Layer> = layers.iter().filter(|layer| layer.is_over(path)).collect();
    if layers.is_empty() {
        return;
    }
    let objection = |site: &Site| {
        let place = Place::of(stream, site)?;
        layers.iter().find_map(|layer| layer.objection(&place))
    };
    let sites = std::mem::take(&mut found.sites);
    for site in sites {
        match objection(&site) {
            None => found.sites.push(site),
            Some(obstacle) => found.obstructed.push(Obstructed {
                named: Named::Is(site.repository.clone()),
                spot: Spot { line: site.line, column: 1, span: 0..0 },
                obstacle,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Setters, find};

    /// What is left alone of a file beside others, or `moves`.
    fn left(path: &str, text: &str, others: &[(&str, &str)]) -> String {
        let names: Vec<&str> = others.iter().map(|(path, _)| *path).chain([path]).collect();
        let layers = others.iter().filter_map(|(path, text)| Layer::read(path, text, &names));
        let layers: Vec<Layer> = layers.collect();
        let stream = Stream::parse(text).unwrap();
        let mut found = find(path, text, &stream, &[], Setters::default());
        leave_layered(path, &stream, &mut found, &layers);
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
    fn files_of_one_name_are_laid_over_each_other() {
        let text = "image: {repository: acme/shop, tag: v1}\n";
        let other = format!("image: {{digest: 'sha256:{}'}}\n", "a".repeat(64));
        let all = [("web-prod.yaml", &*other), ("web.yaml", "a: b\n"), ("shop.yaml", text)];
        assert_eq!(left("shop.yaml", text, &all), "moves");
        assert!(left("web.yaml", text, &all).starts_with("`digest` in line 1 of web-prod.yaml"));
        // A manifest of that name is no layer.
        let manifest = format!("apiVersion: v1\n{other}");
        assert_eq!(left("web.yaml", text, &[("web-prod.yaml", &manifest)]), "moves");
    }
}
