//! What a config repository declares: policies, environments and settings.
//!
//! [`raw`] mirrors the files and makes their JSON Schema; [`read()`] checks a file against that schema
//! and reports every problem at once; [`PolicySet`] is what is left when there are none.

mod file;
mod flux;
mod paths;
mod range;
pub mod raw;
mod rule;
mod schema;
mod settings;
mod tags;
mod validate;

pub use file::{PolicyFile, is_kubernetes_object};
pub use flux::API_GROUP as FLUX_API_GROUP;
pub use paths::Paths;
pub use range::{InvalidRange, Range};
pub use raw::{DigestMode, Direction, Via};
pub use rule::{DEFAULT_EXCLUDES, Key, Order, Rejection, TagRule};
pub use schema::{policies as policy_schema, settings as settings_schema};
pub use settings::{RegistrySettings, RepositorySettings, SETTINGS_FILE};
pub use validate::read;

use crate::diagnostic::Place;
use crate::image::Repository;

/// The name of the environment that covers the whole repository when none is declared.
pub const IMPLICIT_ENVIRONMENT: &str = "default";

/// Everything that a repository's policy files declare, valid by construction.
#[derive(Debug, Default)]
pub struct PolicySet {
    /// The policies, by name.
    pub policies: Vec<Policy>,
    /// The environments, by name. Never empty when there are policies.
    pub environments: Vec<Environment>,
}

/// Which tags of one image repository are candidates, and their order.
#[derive(Debug)]
pub struct Policy {
    /// The name that decisions, branches and pull requests use.
    pub name: String,
    /// The image repository it is for.
    pub repository: Repository,
    /// The image repository as the policy writes it, for markers that ask for the name.
    pub image: String,
    /// Which places it is for.
    pub finds: Finds,
    /// Whether the digest behind an unchanged tag is asked for in every run.
    pub follow_digest: bool,
    /// How a tag is chosen.
    pub rule: TagRule,
    /// What happens to digests.
    pub digest: DigestMode,
    /// Whether a lower tag than the deployed one may be chosen.
    pub allow_downgrade: bool,
    /// Whether a tag may be chosen though the deployed one is no longer listed.
    pub allow_vanished: bool,
    /// Where it is declared.
    pub place: Place,
}

/// Which places a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// Those whose shape names its image, and marked ones.
    ByShape,
    /// Marked ones only, as with Flux.
    Marked,
}

impl Policy {
    /// Whether only markers lead to this policy.
    #[must_use]
    pub fn marked_only(&self) -> bool {
        self.finds == Finds::Marked
    }
}

/// The paths that one cluster or stage syncs, and how changes get there.
#[derive(Debug)]
pub struct Environment {
    /// The name that decisions, branches and pull requests use.
    pub name: String,
    /// The paths it covers.
    pub paths: Paths,
    /// The policies that apply in it, as indices into [`PolicySet::policies`].
    pub policies: Vec<usize>,
    /// How changes are delivered.
    pub via: Via,
    /// Labels of its pull requests.
    pub labels: Vec<String>,
    /// Where it is declared.
    pub place: Place,
}

impl PolicySet {
    /// The policies of an environment.
    pub fn policies_of<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> impl Iterator<Item = &'a Policy> {
        environment.policies.iter().map(|index| &self.policies[*index])
    }
}
