//! YAML text to nodes with exact byte spans. Knows nothing of images or policies.
//!
//! The parser is [`granit_parser`], named only here: it gives byte spans and comments, and its
//! nesting and look-ahead are bounded. Aliases are kept as references and never expanded.

mod compare;
mod locate;
mod outline;
mod resolve;
mod stream;
mod value;

pub use compare::{Mismatch, same_but_for};
pub use locate::Locator;
pub use outline::Outline;
pub use resolve::{Resolved, resolve};
pub use stream::{Comment, Data, Node, NodeId, Stream, Style, SyntaxError};
pub use value::to_json;
