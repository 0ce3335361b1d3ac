//! What a config repository declares: policies, environments and settings.
//!
//! [`raw`] mirrors the files and makes their JSON Schema; [`read()`] checks a file against that schema
//! and reports every problem at once; [`PolicySet`] is what is left when there are none.

mod calver;
mod checks;
mod deliver;
mod exclusion;
mod file;
mod flux;
mod hold;
mod home;
mod id;
mod markers;
mod order;
mod paths;
mod range;
pub mod raw;
mod registries;
mod rule;
mod schema;
mod service;
mod settings;
mod stage;
mod tags;
mod targets;
mod template;
mod validate;
mod violation;
mod windows;

pub use calver::{Calendar, Calver, InvalidCalver};
pub use checks::{Checks, Identity, Signer};
pub use deliver::{
    APPROVE, COMMAND_LABELS, Deliver, Group, HOLD, Limits, Merge, PullRequestSettings, REBASE,
    RETRY, Required, Texts,
};
pub use exclusion::Exclusion;
pub use file::{PolicyFile, is_kubernetes_object};
pub use flux::{
    API_GROUP as FLUX_API_GROUP, KUSTOMIZE_API_GROUP, Overlays, ReadFile, Substitution, follow,
    variable as flux_variable,
};
pub use home::Home;
pub use id::{ById, EnvironmentId, Id, PolicyId};
pub use order::{Clock, Key, Level, Order, Span};
pub use paths::{Paths, beside, directory, is_within, meet, resolved};
pub use range::{InvalidRange, Range};
pub use raw::{
    AutoMerge, Commits, DigestMode, Direction, HookKind, MergeMethod, Notes, PartName,
    ProxyAddress, RegistryKind, Sign, Variant, Via,
};
pub use registries::{Connection, Mirror, RegistrySettings, read_registries};
pub use rule::{Judged, Ranker, Rejection, TagRule};
pub use schema::{
    policies as policy_schema, prepare, registries as registries_schema, service as service_schema,
    settings as settings_schema,
};
pub use service::{DeliveryId, PushAccount, Sender, Served, Service, Webhook, read_service};
pub use settings::{CommitAuthor, RepositorySettings, SETTINGS_FILE};
pub use stage::{Gate, Lockstep, Promotion, Skip, Stage, Timing};
pub use targets::{Query, Reach, Step, Target};
pub use template::check as check_template;
pub use validate::{PolicyReader, read};
pub use windows::Windows;

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobSet;
use jiff::Timestamp;

use crate::diagnostic::Place;
use crate::image::Repository;

/// The name of the environment that covers the whole repository when none is declared.
pub const IMPLICIT_ENVIRONMENT: &str = "default";

/// Everything that a repository's policy files declare, valid by construction.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    /// The policies, by name.
    pub policies: ById<PolicyId, Policy>,
    /// The environments, by name. Never empty when there are policies.
    pub environments: ById<EnvironmentId, Environment>,
    /// Where we are: environments elsewhere are known, and nothing is found or changed for them.
    pub here: Home,
    /// What tells the repository of the policies from others that write to the same place: `owner/name`, or its
    /// address.
    pub origin: String,
}

/// Which tags of one image repository are candidates, and their order.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The name that decisions, branches and pull requests use.
    pub name: String,
    /// The image repository it is for.
    pub repository: Repository,
    /// Copies of it at other registries.
    pub mirrors: Vec<Repository>,
    /// The image repository as the policy writes it, for markers that ask for the name.
    pub image: String,
    /// Which places it is for.
    pub finds: Finds,
    /// The name that markers of another tool have for it, beside its own.
    pub marker: Option<String>,
    /// Whether the digest behind an unchanged tag is asked for in every run.
    pub follow_digest: bool,
    /// How a tag is chosen.
    pub rule: TagRule,
    /// What happens to digests.
    pub digest: DigestMode,
    /// What a candidate must prove beside its rank.
    pub checks: Checks,
    /// The guards that the policy overrules.
    pub allow: Allow,
    /// Places that it names itself.
    pub targets: Vec<Target>,
    /// Where it is declared.
    pub place: Place,
}

/// The guards that a policy overrules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each key of the file")]
pub struct Allow {
    /// A lower tag than the deployed one may be chosen.
    pub downgrade: bool,
    /// A tag may be chosen though the deployed one is no longer listed.
    pub vanished: bool,
    /// A listing with less than half of the tags of an earlier one is believed.
    pub shrunken: bool,
    /// A full version with another digest than before is followed.
    pub moved: bool,
}

/// Which places a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// Those whose shape names its image, and marked ones.
    ByShape,
    /// Marked ones only.
    Marked,
    /// Marked ones only, with the meaning that Flux gives to them: set to what is chosen, also backwards.
    AsFlux,
}

impl From<raw::RawPlaces> for Finds {
    fn from(raw: raw::RawPlaces) -> Self {
        match raw {
            raw::RawPlaces::All => Self::ByShape,
            raw::RawPlaces::Marked => Self::Marked,
        }
    }
}

impl Policy {
    /// Whether only markers lead to this policy.
    #[must_use]
    pub fn marked_only(&self) -> bool {
        self.finds != Finds::ByShape
    }

    /// Whether its markers have Flux's meaning.
    #[must_use]
    pub fn is_of_flux(&self) -> bool {
        self.finds == Finds::AsFlux
    }

    /// Whether a marker with this name is for it.
    #[must_use]
    pub fn is_called(&self, marker: &str) -> bool {
        self.name == marker || self.marker.as_deref() == Some(marker)
    }

    /// Every repository that its places can name.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        std::iter::once(&self.repository).chain(&self.mirrors)
    }

    /// Whether it matters when the registry got a tag.
    #[must_use]
    pub fn times(&self) -> Times {
        match (self.rule.order(), self.checks.min_age) {
            (Order::Newest(Clock::Pushed), _) => Times::Needed,
            (_, Some(_)) => Times::Welcome,
            (_, None) => Times::Unneeded,
        }
    }
}

/// Whether it matters when a registry got its tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Times {
    /// It does not.
    #[default]
    Unneeded,
    /// An age is asked for, and without them our own first sight counts.
    Welcome,
    /// The order is by them.
    Needed,
}

/// The paths that one cluster or stage syncs, and how changes get there.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The name that decisions, branches and pull requests use.
    pub name: String,
    /// Where its files are.
    pub home: Home,
    /// The paths it covers.
    pub paths: Paths,
    /// The policies that apply in it.
    pub policies: Vec<PolicyId>,
    /// How changes are delivered.
    pub deliver: Deliver,
    /// What is not to be changed for a time.
    pub holds: Vec<Hold>,
    /// Where it stands among others.
    pub stage: Stage,
    /// How commits are worded, where Flux's automation says it.
    pub message: Option<MessageTemplate>,
    /// The place that declares each of its paths, where a policy file does.
    pub path_places: Vec<Place>,
    /// Where it is declared.
    pub place: Place,
}

/// A template of a commit message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTemplate {
    /// Namespace and name of the automation.
    pub automation: (String, String),
    /// The template, in Go's language.
    pub text: String,
    /// Values for it.
    pub values: BTreeMap<String, String>,
}

/// Images that are not to be changed for a time.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Which policies, by name.
    pub images: GlobSet,
    /// When it ends.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Where it is declared.
    pub place: Place,
}

impl Environment {
    /// The hold that stops a policy's image now, if there is one.
    #[must_use]
    pub fn hold_on(&self, policy: &str, now: Timestamp) -> Option<&Hold> {
        self.holds.iter().find(|hold| now < hold.until && hold.images.is_match(policy))
    }
}

impl Environment {
    /// Why a version of a policy's image never comes here, if somebody says so.
    #[must_use]
    pub fn skip_of(&self, policy: &str, tag: &str) -> Option<&Skip> {
        self.stage.skips.iter().find(|skip| skip.is_match(policy, tag))
    }

    /// The policies that a policy moves together with, itself among them.
    #[must_use]
    pub fn lockstep_of(&self, policy: &str) -> Option<&Lockstep> {
        self.stage.lockstep.iter().find(|set| set.images.contains(policy))
    }
}

impl PolicySet {
    /// Whether an environment's files are where we are.
    #[must_use]
    pub fn is_here(&self, environment: EnvironmentId) -> bool {
        self.environments[environment].home == self.here
    }

    /// What stands for the policies that move together with one in an environment: the environment and the first of
    /// them; `None` for one that moves alone.
    #[must_use]
    pub fn together(
        &self,
        environment: EnvironmentId,
        policy: PolicyId,
    ) -> Option<(EnvironmentId, &str)> {
        let all = self.environments[environment].lockstep_of(&self.policies[policy].name)?;
        Some((environment, all.images.first()?))
    }

    /// The places that a policy is used in.
    #[must_use]
    pub fn homes_of(&self, policy: PolicyId) -> BTreeSet<&Home> {
        let using = self.environments.iter().filter(|e| e.policies.contains(&policy));
        using.map(|e| &e.home).collect()
    }

    /// Whether a policy is for what is here; where the policies are, also one that is used nowhere.
    #[must_use]
    pub fn is_for_here(&self, policy: PolicyId) -> bool {
        let homes = self.homes_of(policy);
        homes.contains(&self.here) || homes.is_empty() && self.here.is_here()
    }

    /// The policies of an environment.
    pub fn policies_of<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> impl Iterator<Item = &'a Policy> {
        environment.policies.iter().map(|index| &self.policies[*index])
    }
}
