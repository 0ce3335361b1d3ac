//! Each command, from its arguments to what is shown of it.

mod check;
mod explain;
mod init;
mod plan;
mod rollback;
mod run;
mod status;

pub use check::check;
pub use explain::{Explained, explain};
pub use init::{Started, import, init};
pub use plan::plan;
pub(super) use plan::plan_all;
pub use rollback::{RollbackRequest, rollback};
pub use run::{Run, run};
pub(super) use status::order;
pub use status::status;
