//! What files say that others run with.

use std::collections::BTreeMap;

use super::compose::{Composed, leave_built};
use super::kustomize::{Renamed, leave_renamed};
use super::layers::{Layer, leave_layered};
use super::{Found, Variables};
use crate::policy::Overlays;
use crate::yaml::Stream;

/// What files say that others run with.
#[derive(Default)]
pub struct OtherFiles {
    /// What is set for Compose's, by their directory, or by a file that others include.
    pub variables: BTreeMap<String, Variables>,
    /// What sets variables in files beneath a directory.
    pub overlays: Overlays,
    /// What Compose files say of each other.
    pub composed: Vec<Composed>,
    /// What values are laid over others.
    pub layers: Vec<Layer>,
    /// What kustomizations call images.
    pub renamed: Vec<Renamed>,
}

impl OtherFiles {
    /// True if one of the files that were looked at says what another one runs with.
    pub(super) fn is_over(&self, path: &str) -> bool {
        self.layers.iter().any(|layer| layer.is_over(path))
            || self.renamed.iter().any(|one| one.is_over(path))
    }

    /// What sets variables of a Compose file.
    pub(super) fn variables_of(&self, path: &str) -> Option<&Variables> {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        self.variables.get(path).or_else(|| self.variables.get(directory))
    }

    /// What sets variables of any other file.
    pub(super) fn substituted(&self, path: &str) -> Option<Variables> {
        let mut substituting = self.overlays.substituting(path);
        let one = substituting.find(|one| !one.lines.is_empty() || one.others.is_some())?;
        Some(Variables::set(&one.path, one.lines.clone(), one.others.clone()))
    }

    /// Leaves places of a file alone that do not say which image runs.
    pub(super) fn leave(&self, path: &str, stream: &Stream, found: &mut Found) {
        leave_renamed(path, found, &self.renamed);
        leave_built(path, stream, found, &self.composed);
        leave_layered(path, stream, found, &self.layers);
    }
}
