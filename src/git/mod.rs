//! Config repositories over git: read by object id, written from memory, pushed with a lease.
//!
//! There is no work tree, so there are no links to follow, no filters, no hooks and no place for a
//! token on disk. Objects are libgit2's, conversations over HTTP our own; no git program is called.

mod clone;
mod commit;
mod error;
mod local;
mod pkt;
mod push;
mod remote;
mod smart;

pub use clone::Clone;
pub use commit::Author;
pub use error::GitError;
pub use push::{Pushed, Update};
pub use remote::Remote;

/// A commit or blob by its object id.
pub type Oid = git2::Oid;

/// What is on a branch of ours.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum BranchState {
    /// The branch does not exist.
    Absent,
    /// Its last commit is ours; with what identifies the change, and whether it can stay.
    Ours {
        /// The commit.
        commit: Oid,
        /// The value of the change trailer.
        change: String,
    },
    /// Its last commit is somebody else's.
    Foreign {
        /// The commit.
        commit: Oid,
        /// Who wrote it.
        author: String,
    },
}
