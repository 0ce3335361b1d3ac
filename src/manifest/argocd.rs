//! What Argo CD's Applications say beside Helm values: `kustomize.images` and `helm.parameters`
//! (<https://argo-cd.readthedocs.io/en/stable/user-guide/application-specification/>), in
//! Applications, `ApplicationSets` and `.argocd-source` files alike.

use std::collections::BTreeMap;

use super::finder::{Finder, Written, join};
use super::named::capital;
use super::{Obstacle, kustomize, reference};
use crate::image::Reference;
use crate::yaml::NodeId;

/// Looks at a mapping that has a `kustomize` or a `helm`.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    for item in list(finder, mapping, "kustomize", "images") {
        // Post-renderers of Flux's HelmReleases have mappings where Argo CD has texts.
        if finder.stream.get(*item, "name").is_some() {
            kustomize::visit(finder, *item);
        } else {
            image(finder, *item);
        }
    }
    let items = list(finder, mapping, "helm", "parameters");
    parameters(finder, items);
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
    let mut values: BTreeMap<String, NodeId> = BTreeMap::new();
    for item in items {
        let item = finder.stream.target(*item);
        let name = finder.stream.get(item, "name").and_then(|name| finder.stream.text(name));
        if let (Some(name), Some(value)) = (name, finder.stream.get(item, "value")) {
            values.insert(name.to_owned(), value);
        }
    }
    for (name, node) in &values {
        let last = name.rsplit('.').next().unwrap_or_default();
        if last == "image" || last.ends_with("Image") {
            whole(finder, &values, name, *node);
        } else if let Some(stem) =
            name.strip_suffix("repository").or(name.strip_suffix("Repository"))
        {
            parts(finder, &values, stem, *node);
        }
    }
}

/// `image` with a whole reference, or beside `image.tag`, `imageTag` or `tag`.
fn whole(finder: &mut Finder<'_>, values: &BTreeMap<String, NodeId>, name: &str, node: NodeId) {
    let Some(reference) = finder.stream.text(node).and_then(Reference::parse) else { return };
    let written = if reference.suffix.is_empty() {
        let prefix = name.rfind('.').map_or("", |at| &name[..=at]);
        let tags = [format!("{name}.tag"), format!("{name}Tag"), format!("{prefix}tag")];
        collect(finder, tags.iter().find_map(|tag| values.get(tag)).copied(), None)
    } else {
        finder.suffix(node, 0, &reference)
    };
    finder.record(reference.repository, node, written);
}

/// `STEMrepository` with `STEMtag`, `STEMregistry` and `STEMdigest`, or the same with capitals.
fn parts(finder: &mut Finder<'_>, values: &BTreeMap<String, NodeId>, stem: &str, node: NodeId) {
    let is_capital = stem.ends_with(|c: char| c.is_ascii_lowercase());
    let of = |word: &str| {
        let word = if is_capital { capital(word) } else { word.to_owned() };
        values.get(&format!("{stem}{word}")).copied()
    };
    let text = |node: NodeId| finder.stream.text(node).filter(|text| !text.is_empty());
    let Some(repository) = text(node) else { return };
    let (tag, digest) = (of("tag"), of("digest"));
    let repository = join(of("registry").and_then(text), repository);
    if let (Some(repository), Some(_)) = (repository, tag) {
        let written = collect(finder, tag, digest);
        finder.record(repository, node, written);
    }
}

fn collect(
    finder: &Finder<'_>,
    tag: Option<NodeId>,
    digest: Option<NodeId>,
) -> Result<Written, Obstacle> {
    let mut written = Written::default();
    if let Some(tag) = tag {
        finder.tag(tag, &mut written)?;
    }
    if let Some(digest) = digest {
        finder.digest(digest, &mut written)?;
    }
    Ok(written)
}
