//! The stages in their order. The only place that knows them all.

mod carry;
mod commands;
mod decide;
mod deliver;
mod deployed;
mod execute;
mod features;
mod history;
mod homes;
mod load;
mod memory;
mod notes;
mod observe;
mod plan;
mod planning;
mod promote;
mod proof;
mod push;
mod seal;
mod session;
mod settle;
mod sign;
mod sources;
mod survey;
mod sweep;
mod tags;
mod tree;

use std::collections::BTreeMap;

pub use commands::{
    Explained, RollbackRequest, Run, Started, check, explain, import, init, plan, rollback, run,
    status,
};
pub use load::Loaded;
use memory::Memory;
use plan::{check_names, plan_tree, rewrite};
pub use planning::Planning;
pub use push::new_files;
use session::{Session, signed_in};
use survey::survey;
use sweep::Hits;
pub use tags::Tags;
pub use tree::Tree;

use crate::diagnostic::Diagnostic;
use crate::policy::Via;
use crate::settings::{DecideSettings, Forges, Surroundings};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The policies or arguments are invalid.
    #[error("the policies or arguments are invalid")]
    Invalid(Box<Invalid>),
    /// An argument has a value that cannot be used.
    #[error("{0}")]
    Argument(String),
    /// A directory does not lead to the repository that it was cloned from.
    #[error("{0}")]
    Origin(String),
    /// Something outside failed.
    #[error("{0}")]
    Failed(String),
}

/// Problems, and the texts that they are about.
#[derive(Debug, Default)]
pub struct Invalid {
    /// The problems.
    pub diagnostics: Vec<Diagnostic>,
    /// Texts of files by path, for code frames.
    pub sources: BTreeMap<String, String>,
}

/// How a command ends; the number is its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, whether or not something changed.
    Done = 0,
    /// Nothing could be done.
    Failed = 1,
    /// The policies or arguments are invalid.
    Invalid = 2,
    /// Some images are undecided, or some deliveries failed.
    Partly = 3,
    /// Changes are pending (`plan --detailed-exit-code`).
    Pending = 10,
}

/// What a delivery asks beside the repository.
struct Outside<'a> {
    tags: &'a Tags,
    forges: &'a Forges,
    /// Whether the run is for one pushed image.
    is_partial: bool,
    /// What the clock of the machine says, whatever time the run is for.
    clock: jiff::Timestamp,
}

/// What a plan is asked for.
struct Request<'a> {
    settings: &'a DecideSettings,
    around: &'a Surroundings,
    deliver: DeliveryMode,
}

/// Whether a plan is to be delivered.
#[derive(Clone, Copy)]
enum DeliveryMode {
    /// It is only shown.
    Nothing,
    /// It is only shown, with everything that there is to see.
    Sight,
    /// In the way that the environments say, or in this one.
    Via(Option<Via>),
}
