//! kustomize's `images`: `name`, `newName`, `newTag`, `digest`
//! (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/>).

use std::collections::BTreeSet;

use super::Obstacle;
use super::finder::Finder;
use crate::image::Repository;
use crate::yaml::{NodeId, Stream};

const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The items of every `images` list that kustomize would read.
pub(super) fn items(path: &str, stream: &Stream) -> BTreeSet<NodeId> {
    let by_name = path.rsplit('/').next().is_some_and(|name| FILE_NAMES.contains(&name));
    let lists = stream.documents().iter().filter_map(|root| {
        let kind = stream.get(*root, "kind").and_then(|kind| stream.text(kind));
        let is_kustomize = match kind {
            Some(kind) => matches!(kind, "Kustomization" | "Component"),
            None => by_name,
        };
        // Flux's object of this name has them in its `spec`.
        let spec = stream.get(*root, "spec").map_or(*root, |spec| stream.target(spec));
        let own = stream.get(*root, "images").or_else(|| stream.get(spec, "images"));
        own.filter(|_| is_kustomize)
    });
    // However many aliases repeat a list, it is one.
    let lists: BTreeSet<NodeId> = lists.map(|list| stream.target(list)).collect();
    let items = lists.iter().flat_map(|list| stream.items(*list));
    items.copied().filter(|item| stream.get(*item, "name").is_some()).collect()
}

/// The names that a kustomization gives tags or other names to: what bases call the images.
#[must_use]
pub fn names(path: &str, stream: &Stream) -> Vec<String> {
    let named = items(path, stream).into_iter().filter(|item| {
        ["newTag", "newName", "digest"].iter().any(|key| stream.get(*item, key).is_some())
    });
    let text = |item: NodeId| stream.text(stream.get(item, "name")?).map(str::to_owned);
    named.filter_map(text).collect()
}

/// Looks at one item. What runs is `newName` where it is given.
pub(super) fn visit(finder: &mut Finder<'_>, item: NodeId) {
    let key = if finder.stream.get(item, "newName").is_some() { "newName" } else { "name" };
    let Some(node) = finder.stream.get(item, key) else { return };
    let Some(Ok(repository)) = finder.text(item, key).map(Repository::parse) else { return };
    let is_clear = ["name", "newName"].iter().all(|key| !finder.stream.is_repeated(item, key));
    let written =
        if is_clear { finder.siblings(item, &["newTag"]) } else { Err(Obstacle::Repeated.into()) };
    finder.record(repository, node, written);
}
