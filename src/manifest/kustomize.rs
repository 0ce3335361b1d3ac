//! kustomize's `images`: `name`, `newName`, `newTag`, `digest`
//! (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/>).

use std::collections::BTreeSet;

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
        stream.get(*root, "images").filter(|_| is_kustomize)
    });
    lists.flat_map(|list| stream.items(list).iter().copied()).collect()
}

/// Looks at one item. What runs is `newName` where it is given.
pub(super) fn visit(finder: &mut Finder<'_>, item: NodeId) {
    let key = if finder.stream.get(item, "newName").is_some() { "newName" } else { "name" };
    let Some(node) = finder.stream.get(item, key) else { return };
    let Some(Ok(repository)) = finder.text(item, key).map(Repository::parse) else { return };
    let written = finder.siblings(item, &["newTag"]);
    finder.record(repository, node, written);
}
