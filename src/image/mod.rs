//! The vocabulary: image repositories, tags, digests, references and versions.
//!
//! Every type here is checked when it is made and keeps what the user or the registry wrote.

mod digest;
mod origin;
mod platform;
mod reference;
mod repository;
mod shape;
mod tag;
mod variant;
pub mod version;

pub use digest::Digest;
pub use origin::{Origin, Source};
pub use platform::Platform;
pub use reference::Reference;
pub use repository::{InvalidRepository, Repository, split_registry};
pub use shape::{Release, Shape};
pub use tag::Tag;
pub use version::Version;
