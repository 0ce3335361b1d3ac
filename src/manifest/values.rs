//! Helm values: `registry`, `repository`, `tag` and `digest` as keys of one mapping.

use super::finder::Finder;
use crate::image::Repository;
use crate::yaml::NodeId;

/// Looks at a mapping's `repository` and what stands beside it.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.inherited(mapping, "repository") else { return };
    let Some(repository) = finder.text(mapping, "repository") else { return };
    let registry = finder.text(mapping, "registry").filter(|registry| !registry.is_empty());
    let name = match registry {
        Some(registry) => format!("{}/{repository}", registry.trim_end_matches('/')),
        None => repository.to_owned(),
    };
    if let Ok(repository) = Repository::parse(&name) {
        let written = finder.siblings(mapping, &["tag", "version"]);
        finder.record(repository, node, written);
    }
}
