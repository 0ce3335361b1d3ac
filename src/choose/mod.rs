//! From a policy, what is deployed and what a registry lists to a [`Decision`].

mod catalog;
mod check;
mod decide;
mod deployed;
mod explain;
mod facts;
mod reason;
mod select;

pub use catalog::{Catalog, InvalidCatalog, Known, Listed, Listing, Unlisted};
pub use check::alarm;
pub use decide::{Case, Decision, Outcome, digest_only};
pub use deployed::Deployed;
pub use explain::{Explanation, explain, explain_promoted};
pub use facts::{Answer, Answers, Contents, Facts, Question, Stop, Verdict};
pub use reason::{Reason, ReasonCode};
pub use select::{Candidate, MAX_SIGHTS, Selection, select};
