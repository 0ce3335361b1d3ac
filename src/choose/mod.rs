//! From a policy, what is deployed and what a registry lists to a [`Decision`].

mod catalog;
mod decide;
mod explain;
mod reason;

pub use catalog::{Catalog, InvalidCatalog, Listed, Listing, Unlisted};
pub use decide::{Decision, Deployed, Outcome, Selection, decide, select, settle_digest};
pub use explain::{Explanation, explain};
pub use reason::{Reason, ReasonCode};
