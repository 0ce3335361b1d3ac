//! Config repositories over git: read by object id, written from memory, pushed with a lease.
//!
//! There is no work tree, so there are no links to follow, no filters, no hooks and no place for a
//! token on disk. Objects are libgit2's, conversations over HTTP our own; no git program is called.

mod checkout;
mod clone;
mod commit;
mod divergence;
mod error;
#[cfg(fuzzing)]
pub mod fuzz;
mod history;
mod local;
mod pkt;
mod push;
mod remote;
mod sign;
mod smart;
mod tree;

pub use checkout::Checkout;
pub use clone::{BlobReader, Blobs, Clone};
pub use commit::{Author, Described};
pub use error::GitError;
pub use history::{Commit, History, history_of};
pub use push::{PushResults, Update};
pub use remote::{GitLogin, Remote};
pub use sign::Signing;
pub use tree::{Change, Entry};

/// Where the ledger is kept: a reference of our own, beside branches and tags. What policies of another
/// repository remember here has one of its own, that begins like this.
pub const LEDGER_REF: &str = "refs/tagalong/ledger";

/// What begins the names of references that are ours and no branches.
const OWN_REFS: &str = "refs/tagalong/";

const BRANCHES: &str = "refs/heads/";

/// The name of the object that a file's text is, without storing it.
#[must_use]
pub fn blob_id(text: &str) -> String {
    let id = Oid::hash_object(git2::ObjectType::Blob, text.as_bytes());
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// The reference of a branch.
#[must_use]
pub fn branch_ref(branch: &str) -> String {
    format!("{BRANCHES}{branch}")
}

/// A reference as people name it: a branch without its prefix.
fn short(reference: &str) -> &str {
    reference.strip_prefix(BRANCHES).unwrap_or(reference)
}

/// Whether a reference is one that matters here.
fn matters(reference: &str) -> bool {
    reference.starts_with(BRANCHES) || reference.starts_with(OWN_REFS)
}

/// An object id as others write it; `None` unless it is whole: git2 fills short ones up.
#[must_use]
pub fn object_id(text: &str) -> Option<Oid> {
    Oid::from_str(text).ok().filter(|_| text.len() == 40)
}

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
