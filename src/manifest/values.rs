//! Helm values: `registry`, `repository`, `tag` and `digest` as keys of one mapping.

use super::finder::{Finder, join};
use crate::yaml::NodeId;

/// Looks at a mapping's `repository` and what stands beside it.
pub(super) fn visit(finder: &mut Finder<'_>, mapping: NodeId) {
    let Some(node) = finder.inherited(mapping, "repository") else { return };
    let Some(repository) = finder.text(mapping, "repository") else { return };
    // What is merged as a whole stands in the other mapping.
    let has_own = |key: &&str| finder.stream.get(mapping, key).is_some();
    if !["repository", "tag", "version", "digest"].iter().any(has_own) {
        return;
    }
    if let Some(repository) = join(finder.text(mapping, "registry"), repository) {
        let written = finder.siblings(mapping, &["tag", "version"]);
        finder.record(repository, node, written);
    }
}
