//! From a decision and a site to spans with old and new text, and from those to a proven new file.

mod apply;
#[cfg(test)]
mod go_tests;
mod render;

use std::collections::BTreeMap;
use std::ops::Range;

pub use apply::{Applied, Refused, apply, splice};
pub use render::{Target, edits};

use crate::manifest::Scalars;
use crate::yaml::NodeId;

/// One replacement in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The line, from 1, in the text as read.
    pub line: usize,
    /// The bytes to replace, in the text as read.
    pub span: Range<usize>,
    /// What they must be.
    pub old: String,
    /// What they become.
    pub new: String,
    /// The scalar that holds the span.
    pub node: NodeId,
    /// The bytes of the scalar's value that change.
    pub within: Range<usize>,
    /// What they become.
    pub text: String,
    /// The scalar within the scalar, where the text is YAML itself: its bytes within the text, and
    /// what it must hold afterwards.
    pub inner: Option<(Range<usize>, String)>,
}

/// What the scalars of edits must hold afterwards: several edits can be in one.
#[must_use]
pub fn values(scalars: &Scalars, edits: &[Edit]) -> BTreeMap<NodeId, String> {
    let mut by_node: BTreeMap<NodeId, Vec<&Edit>> = BTreeMap::new();
    for edit in edits {
        by_node.entry(edit.node).or_default().push(edit);
    }
    let spliced = by_node.into_iter().map(|(node, mut edits)| {
        edits.sort_by_key(|edit| edit.within.start);
        let old = scalars.get(&node).map_or("", |scalar| &scalar.value);
        let (mut value, mut at) = (String::with_capacity(old.len() + 64), 0);
        for edit in edits {
            value.push_str(old.get(at..edit.within.start).unwrap_or_default());
            value.push_str(&edit.text);
            at = edit.within.end;
        }
        value.push_str(old.get(at..).unwrap_or_default());
        (node, value)
    });
    spliced.collect()
}
