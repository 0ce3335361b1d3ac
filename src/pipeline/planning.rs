//! A plan, with everything that it was made from.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::history::Timelines;
use super::homes::Names;
use super::memory::Memory;
use super::observe::Observation;
use super::{Exit, Tree, commands, notes};
use crate::changeset::{ChangeSet, Plan};
use crate::diagnostic::any_error;
use crate::git::Author;
use crate::policy::{Home, PolicySet};
use crate::pull_request::PullRequest;
use crate::registry::Usage;
use crate::settings::Forges;

/// A plan, with what it was made from.
pub struct Planning {
    /// The plan.
    pub plan: Plan,
    /// The cost of asking registries for it.
    pub usage: Usage,
    /// Texts of policy files by path, for code frames.
    pub sources: BTreeMap<String, String>,
    /// True if something could not be decided, also where an open branch says what to do.
    pub(super) undecided: bool,
    pub(super) set: PolicySet,
    pub(super) memory: Memory,
    pub(super) tree: Tree,
    pub(super) author: Author,
    /// Whose the token is that it was read with.
    pub(super) forges: Forges,
    pub(super) observation: Observation,
    /// The histories of environments, as far as promotions or a report asked for it.
    pub(super) timelines: Timelines,
    /// The repositories of all places.
    pub(super) names: Names,
    /// The title of the issue that shows everything.
    pub(super) dashboard: Option<String>,
    /// True if a person takes an environment back.
    pub(super) is_rollback: bool,
    /// Other places where environments are; what was planned there is in the plan.
    pub(super) elsewhere: Vec<PlannedPlace>,
}

/// A place of which the plan is part of another one.
pub(super) struct PlannedPlace {
    pub(super) home: Home,
    pub(super) tree: Tree,
    pub(super) observation: Observation,
}

impl Planning {
    /// Says of environments with changes why these would not be delivered now.
    pub(super) fn tell_of_waits(&mut self, now: Timestamp) {
        let waits = notes::waits(&self.plan, &self.set, now);
        self.plan.diagnostics.extend(waits);
    }

    /// A file of a place as it is now.
    #[must_use]
    pub fn text(&self, home: &Home, path: &str) -> Option<String> {
        let elsewhere = self.elsewhere.iter().find(|place| place.home == *home);
        let tree = elsewhere.map_or(&self.tree, |place| &place.tree);
        String::from_utf8(tree.read(path).ok()?).ok()
    }

    /// The open pull request that rolls an image of an environment back.
    pub(super) fn rollback(
        &self,
        home: &Home,
        environment: &str,
        image: &str,
    ) -> Option<&PullRequest> {
        let elsewhere = self.elsewhere.iter().find(|place| place.home == *home);
        let observation = elsewhere.map_or(&self.observation, |place| &place.observation);
        observation.snapshot.rollback(&self.set, environment, image)
    }

    /// The names of the environments in the order of promotion.
    #[must_use]
    pub fn order(&self) -> Vec<String> {
        let order = commands::order(&self.set);
        order.into_iter().map(|index| self.set.environments[index].name.clone()).collect()
    }

    /// The open pull request of a change set.
    pub(super) fn open(&self, set: &ChangeSet) -> Option<&PullRequest> {
        let elsewhere = self.elsewhere.iter().find(|place| place.home == set.home);
        elsewhere.map_or(&self.observation, |place| &place.observation).snapshot.open(&set.branch)
    }

    /// Says only of what no place uses that nothing does.
    pub(super) fn settle_idle(&mut self) {
        notes::settle_idle(&mut self.plan.diagnostics, &self.set, 1 + self.elsewhere.len());
    }

    /// Adds what was planned in another place.
    pub(super) fn absorb(&mut self, other: Self) {
        let Self { plan, usage, undecided, set, tree, observation, timelines, .. } = other;
        self.plan.append(plan, &set.here);
        self.usage = usage;
        self.undecided |= undecided;
        self.timelines.extend(timelines);
        self.elsewhere.push(PlannedPlace { home: set.here, tree, observation });
    }

    /// The end of `plan`.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.undecided || any_error(&self.plan.diagnostics) { Exit::Partly } else { Exit::Done }
    }
}
