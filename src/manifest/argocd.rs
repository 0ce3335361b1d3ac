//! Images of Argo CD's Applications, and of helmfile's releases, beside Helm values: `kustomize.images` and `helm.parameters`
//! (<https://argo-cd.readthedocs.io/en/stable/user-guide/application-specification/>), in
//! Applications, `ApplicationSets` and `.argocd-source` files alike.

use std::collections::BTreeMap;

use super::beside::{Digests, stem_of};
use super::finder::{Finder, Written};
use super::identity::join;
use super::named::capital;
use super::{Obstacle, Obstruction, kustomize, reference};
use crate::image::Reference;
use crate::yaml::NodeId;

/// Lists of the same form in helmfile's releases (<https://helmfile.readthedocs.io/en/latest/#configuration>).
pub(super) const SETS: [&str; 3] = ["set", "setString", "setTemplate"];

/// Looks at a mapping that has a `kustomize` or a `helm`, or a list of values that are set.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    for item in list(finder, mapping, "kustomize", "images") {
        // Post-renderers of Flux's HelmReleases have mappings where Argo CD has texts.
        if finder.stream.get(*item, "name").is_some() {
            kustomize::visit(finder, *item);
        } else {
            image(finder, *item);
        }
    }
    for key in SETS {
        let set = finder.stream.get(mapping, key).map(|set| finder.stream.target(set));
        if let Some(set) = set.filter(|set| finder.lists.insert(*set)) {
            parameters(finder, finder.stream.items(set));
        }
    }
    let items = list(finder, mapping, "helm", "parameters");
    parameters(finder, items);
    let helm = finder.stream.get(mapping, "helm").map(|helm| finder.stream.target(helm));
    if let Some(helm) = helm.filter(|_| !items.is_empty()) {
        let overriding = overriding(finder, items);
        finder.overridden.insert(helm, overriding);
    }
}

/// A parameter that changes part of an image whose other parts may be in the values: it counts more than they do.
pub(super) struct Override {
    /// The names above it, with a dot behind each.
    prefix: Box<str>,
    said: Box<str>,
}

fn overriding(finder: &Finder<'_>, items: &[NodeId]) -> Vec<Override> {
    let ends = ["registry", "repository", "tag", "digest", "sha", "sha256", "image"];
    let all = items.iter().filter_map(|item| {
        let item = finder.stream.target(*item);
        let name = finder.text(item, "name")?;
        let last = last_of(name);
        let is_part = ends.iter().any(|end| last.to_ascii_lowercase().ends_with(end));
        let line = finder.stream.node(item).line();
        let said = format!("the parameter `{name}` in line {line} counts more than the values");
        let prefix = name[..name.len() - last.len()].into();
        is_part.then(|| Override { prefix, said: said.into() })
    });
    all.collect()
}

/// The items of a list in a mapping. One that aliases repeat is looked at once.
fn list<'a>(finder: &mut Finder<'a>, mapping: NodeId, key: &str, list: &str) -> &'a [NodeId] {
    let stream = finder.stream;
    let node = stream.get(mapping, key).and_then(|node| stream.get(stream.target(node), list));
    let node = node.map(|node| stream.target(node)).filter(|node| finder.lists.insert(*node));
    node.map_or(&[], |node| stream.items(node))
}

/// `name:tag`, `old=new:tag`, `old=new@digest`.
fn image(finder: &mut Finder<'_>, node: NodeId) {
    let Some(text) = finder.stream.text(node) else { return };
    let start = text.rfind('=').map_or(0, |at| at + 1);
    let Some(reference) = Reference::parse(&text[start..]) else {
        if let Some(repository) = reference::templated(&text[start..]) {
            finder.obstruct(repository, node, Obstacle::NotATag);
        }
        return;
    };
    let written = finder.suffix(node, start, &reference);
    finder.record(reference.repository, node, written);
}

/// Parameters are one mapping, written as a list: `image.repository` with `image.tag`.
fn parameters(finder: &mut Finder<'_>, items: &[NodeId]) {
    let mut values = Parameters::new();
    for item in items {
        let item = finder.stream.target(*item);
        let name = finder.stream.get(item, "name").and_then(|name| finder.stream.text(name));
        if let (Some(name), Some(value)) = (name, finder.stream.get(item, "value")) {
            values.insert(name, value);
        }
    }
    for (name, node) in &values {
        let last = last_of(name);
        if last == "image" || last.ends_with("Image") {
            whole(finder, &values, name, *node);
        } else if let Some(stem) =
            name.strip_suffix("repository").or(name.strip_suffix("Repository"))
        {
            parts(finder, &values, stem, *node);
        }
    }
}

/// Values by their dotted names.
type Parameters<'a> = BTreeMap<&'a str, NodeId>;

/// What stands behind the last dot.
fn last_of(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

/// `image` with a whole reference, or beside `image.tag`, `imageTag` or `tag`.
fn whole(finder: &mut Finder<'_>, values: &Parameters<'_>, name: &str, node: NodeId) {
    let Some(reference) = finder.stream.text(node).and_then(Reference::parse) else { return };
    let last = last_of(name);
    let prefix = &name[..name.len() - last.len()];
    let stem = &last[..last.len() - "image".len()];
    let tags = [format!("{name}.tag"), format!("{name}Tag"), format!("{prefix}tag")];
    let tag = tags.iter().find_map(|tag| values.get(tag.as_str()));
    let written = match tag.filter(|_| reference.suffix.is_empty()) {
        Some(tag) => tagged(finder, *tag),
        None => finder.suffix(node, 0, &reference),
    };
    let written = written.and_then(|written| {
        let written = with_digests(finder, values, prefix, stem, written)?;
        with_digests(finder, values, &format!("{name}."), "", written)
    });
    finder.record(reference.repository, node, written);
}

/// `STEMrepository` with `STEMtag`, `STEMregistry` and `STEMdigest`, or the same with capitals.
fn parts(finder: &mut Finder<'_>, values: &Parameters<'_>, stem: &str, node: NodeId) {
    let is_capital = stem.ends_with(|c: char| c.is_ascii_lowercase());
    let of = |word: &str| {
        let word = if is_capital { capital(word) } else { word.to_owned() };
        values.get(format!("{stem}{word}").as_str()).copied()
    };
    let text = |node: NodeId| finder.stream.text(node).filter(|text| !text.is_empty());
    let Some(repository) = text(node) else { return };
    let tag = of("tag");
    let global = values.get("global.imageRegistry").copied().and_then(text);
    let repository = join(global.or_else(|| of("registry").and_then(text)), repository);
    if let (Some(repository), Some(tag)) = (repository, tag) {
        let (prefix, stem) = stem.split_at(stem.rfind('.').map_or(0, |at| at + 1));
        let written = tagged(finder, tag);
        let written = written.and_then(|found| with_digests(finder, values, prefix, stem, found));
        let written = written.and_then(|found| digests_above(finder, values, prefix, found));
        finder.record(repository, node, written);
    }
}

/// Adds the digests beside a group of an image, as `imageDigest` beside `image.tag`. One of all images is nobody's.
fn digests_above(
    finder: &Finder<'_>,
    values: &Parameters<'_>,
    prefix: &str,
    written: Written,
) -> Result<Written, Obstruction> {
    let of_all = ["global.imageDigest", "global.image.digest"];
    let of_all = of_all.iter().filter_map(|name| values.get(name).copied());
    if let Some(at) = of_all.into_iter().find(|node| !finder.is_blank(*node)) {
        return Err(Obstruction { obstacle: Obstacle::OtherDigest, at: Some(at) });
    }
    let Some(group) = prefix.strip_suffix('.') else { return Ok(written) };
    let (above, key) = group.split_at(group.rfind('.').map_or(0, |at| at + 1));
    let is_image = key == "image" || key.ends_with("Image");
    let stem = if is_image { stem_of(key) } else { key };
    with_digests(finder, values, above, stem, written)
}

fn tagged(finder: &Finder<'_>, tag: NodeId) -> Result<Written, Obstruction> {
    let mut written = Written::default();
    finder.tag(tag, &mut written)?;
    Ok(written)
}

/// Adds the digests of an image whose names begin with a prefix and a stem.
fn with_digests(
    finder: &Finder<'_>,
    values: &Parameters<'_>,
    prefix: &str,
    stem: &str,
    mut written: Written,
) -> Result<Written, Obstruction> {
    let beneath = values.range(prefix..).take_while(|(name, _)| name.starts_with(prefix));
    let beside = beneath.filter_map(|(name, node)| {
        let last = &name[prefix.len()..];
        (!last.contains('.')).then_some((last, None, *node))
    });
    let found = Digests::of(finder.stream, beside).beside(stem);
    finder.add_digests(found, &mut written)?;
    Ok(written)
}

impl Finder<'_> {
    /// Leaves alone what is in values that parameters beside them change.
    pub(super) fn leave_overridden(&mut self) {
        if self.overridden.is_empty() {
            return;
        }
        for site in 0..self.found.sites.len() {
            let name = self.names[site];
            if let Some(said) = self.overriding(name) {
                let repository = self.found.sites[site].repository.clone();
                self.found.sites[site].slots.clear();
                self.obstruct(repository, name, Obstacle::Unread(said));
            }
        }
    }

    /// What overrides values at a node. Of a text, the path is not known.
    fn overriding(&self, node: NodeId) -> Option<Box<str>> {
        let mut path = String::new();
        let mut at = node;
        while let Some(parent) = self.parent(at) {
            let key = self.key_of(at).unwrap_or_default();
            if let Some(all) = self.overridden.get(&parent) {
                let is_values = key.starts_with("values");
                let is_text = at == node;
                let meets = |over: &&Override| {
                    is_text || over.prefix.starts_with(&path) || over.prefix.starts_with("global.")
                };
                let found = all.iter().find(meets).filter(|_| is_values);
                return found.map(|over| over.said.clone());
            }
            if at != node {
                path = format!("{key}.{path}");
            }
            at = parent;
        }
        None
    }
}
