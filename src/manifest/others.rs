//! Files that decide what others run with: who sets their variables, lays values over theirs, gives their images other names,
//! or builds what they name.

use std::collections::BTreeMap;

use super::around::Ways;
use super::compose::{Compositions, built};
use super::kustomize::Renamed;
use super::layers::{Layer, Place};
use super::{Found, Named, Obstacle, Obstructed, Site, Spot, Variables};
use crate::image::Repository;
use crate::policy::{Overlays, directory};
use crate::yaml::Stream;

/// All that is known of other files.
#[derive(Default)]
pub struct OtherFiles {
    /// The variables that are set for Compose's, by their directory, or by a file that others include.
    pub variables: BTreeMap<String, Variables>,
    /// Whatever sets variables in files beneath a directory.
    pub overlays: Overlays,
    /// Compose files, which are put together.
    pub composed: Compositions,
    /// Values that are laid over others.
    pub layers: Vec<Layer>,
    /// Images to which other names are given.
    pub renamed: Vec<Renamed>,
}

/// The reason why a place is left alone.
pub(super) struct Objection {
    pub(super) obstacle: Obstacle,
    /// Another image that it may be of: its policy is told as well.
    pub(super) also: Option<Repository>,
}

impl From<Obstacle> for Objection {
    fn from(obstacle: Obstacle) -> Self {
        Self { obstacle, also: None }
    }
}

impl OtherFiles {
    /// True if one of the files that were looked at says what another one runs with.
    pub(super) fn is_over(&self, path: &str) -> bool {
        self.layers.iter().any(|layer| layer.is_over(path))
            || self.renamed.iter().any(|one| one.is_over(path))
    }

    /// The variables of a Compose file.
    pub(super) fn variables_of(&self, path: &str) -> Option<&Variables> {
        self.variables.get(path).or_else(|| self.variables.get(directory(path)))
    }

    /// The variables of any other file.
    pub(super) fn substituted(&self, path: &str) -> Option<Variables> {
        let mut substituting = self.overlays.substituting(path);
        let one = substituting.find(|one| !one.lines.is_empty() || one.others.is_some())?;
        Some(Variables::set(&one.path, one.lines.clone(), one.others.clone()))
    }

    /// Leaves places of a file alone that do not say which image runs.
    pub(super) fn leave(&self, path: &str, stream: &Stream, found: &mut Found) {
        if !self.is_over(path) && !self.composed.contains_key(path) {
            return;
        }
        let renamed: Vec<&Renamed> = self.renamed.iter().filter(|one| one.is_over(path)).collect();
        let layers: Vec<&Layer> = self.layers.iter().filter(|one| one.is_over(path)).collect();
        let ways = Ways::of(stream);
        let objection = |site: &Site| {
            let name = renamed.iter().find_map(|one| one.objection(site));
            name.or_else(|| self.built(path, &ways, site)).or_else(|| {
                let place = Place::of(stream, &ways, site)?;
                layers.iter().find_map(|layer| layer.objection(&place)).map(Objection::from)
            })
        };
        for site in std::mem::take(&mut found.sites) {
            let Some(Objection { obstacle, also }) = objection(&site) else {
                found.sites.push(site);
                continue;
            };
            let spot = Spot { line: site.line, column: 1, span: 0..0 };
            let left = |name| Obstructed {
                named: Named::Is(name),
                spot: spot.clone(),
                obstacle: obstacle.clone(),
            };
            found.obstructed.extend([Some(site.repository), also].into_iter().flatten().map(left));
        }
    }

    /// Objects where another Compose file, or another service, builds the image.
    fn built(&self, path: &str, ways: &Ways<'_>, site: &Site) -> Option<Objection> {
        let way = ways.to(site.slots.first()?.node)?;
        let [services, name] = &way.keys[..] else { return None };
        let at = built(&self.composed, path, name).filter(|_| services == "services")?;
        Some(Obstacle::Built(at.into()).into())
    }
}
