//! From a decision and a site to spans with old and new text, and from those to a proven new file.

mod apply;
mod render;

use std::ops::Range;

pub use apply::{Refused, apply};
pub use render::{Target, Unwritable, edits};

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
    /// The value that the scalar must have afterwards.
    pub value: String,
}
