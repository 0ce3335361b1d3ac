//! Files that decide what others run with: who sets their variables, lays values over theirs, gives their images other names,
//! or builds what they name.

use std::collections::{BTreeMap, BTreeSet};

use super::compose::{Compositions, built};
use super::kustomize::Renamed;
use super::layers::Layer;
use super::place::{Place, Stand, ValuePaths};
use super::{
    AppVersion, Found, Lent, Named, Obstacle, Obstructed, Overlaid, Reader, Site, Variables,
};
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
    pub overlaid: Overlaid,
    /// Images to which other names are given.
    pub renamed: Vec<Renamed>,
    /// What empty tags stand for, by the path of the chart.
    pub app_versions: BTreeMap<String, AppVersion>,
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
        self.overlaid.is_over(path) || self.renamed.iter().any(|one| one.is_over(path))
    }

    /// What an empty tag stands for in a file of values.
    pub(super) fn app_version(&self, path: &str) -> Option<&AppVersion> {
        if self.app_versions.is_empty() {
            return None;
        }
        self.app_versions.get(&AppVersion::chart_of(path)?)
    }

    /// Names for the tags of a file.
    pub(super) fn lent(&self, path: &str) -> &[Lent] {
        self.overlaid.lent.get(path).map_or(&[], Vec::as_slice)
    }

    /// Adds the tags of a file whose name is known, and that cannot be changed, where nothing claims them.
    pub(super) fn add_unreached(&self, path: &str, found: &mut Found) {
        let Some(all) = self.overlaid.unreached.get(path) else { return };
        let claimed = found.claimed.iter().flat_map(|one| &one.slots).map(|slot| slot.line);
        let known = found.sites.iter().map(|site| site.line);
        let known = known.chain(found.obstructed.iter().map(|one| one.spot.line));
        let claimed: BTreeSet<usize> = claimed.chain(known).collect();
        let open = all.iter().filter(|one| !claimed.contains(&one.spot.line));
        found.obstructed.extend(open.cloned());
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

    /// The files that decide about the images of one; `None` where there are none.
    pub(super) fn over<'s>(&'s self, path: &'s str, stream: &'s Stream<'s>) -> Option<Over<'s>> {
        let lent = self.lent(path);
        if lent.is_empty() && !self.is_over(path) && !self.composed.contains_key(path) {
            return None;
        }
        Some(Over {
            path,
            paths: ValuePaths::of(path, stream),
            overlaid: &self.overlaid,
            composed: &self.composed,
            renamed: self.renamed.iter().filter(|one| one.is_over(path)).collect(),
            layers: self.overlaid.layers_beside(path).collect(),
            lent,
        })
    }
}

/// What other files say of the images of one.
pub(super) struct Over<'s> {
    path: &'s str,
    paths: ValuePaths<'s>,
    overlaid: &'s Overlaid,
    composed: &'s Compositions,
    renamed: Vec<&'s Renamed>,
    layers: Vec<&'s Layer>,
    lent: &'s [Lent],
}

impl Over<'_> {
    /// Leaves places alone that do not say which image runs.
    pub(super) fn leave(&self, found: &mut Found) {
        for mut site in std::mem::take(&mut found.sites) {
            let Some(Objection { obstacle, also }) = self.objection(&site) else {
                found.sites.push(site);
                continue;
            };
            // A key for a digest that is empty, as charts have it, holds nothing that another tag would move beneath.
            if matches!(obstacle, Obstacle::LaidTag(_)) && site.digest.is_none() {
                site.slots.retain(|slot| !slot.part.is_digest());
                site.reader = Reader::OwnKey;
                if self.objection(&site).is_none() {
                    found.sites.push(site);
                    continue;
                }
            }
            let left = site.obstructed(obstacle);
            let also = also.map(|other| Obstructed { named: Named::Is(other), ..left.clone() });
            found.obstructed.extend(std::iter::once(left).chain(also));
        }
    }

    fn objection(&self, site: &Site) -> Option<Objection> {
        let name = self.renamed.iter().find_map(|one| one.objection(site));
        name.or_else(|| self.built(site)).or_else(|| {
            let place = self.paths.place(site)?.lent(self.lent);
            self.laid(&place, Layer::objection).map(Objection::from)
        })
    }

    /// The first objection of values that stand elsewhere.
    fn laid(
        &self,
        place: &Place<'_>,
        object: impl Fn(&Layer, &Place<'_>, Stand) -> Option<Obstacle>,
    ) -> Option<Obstacle> {
        let mut layers = self.layers.iter().filter(|_| place.is_of_file);
        let beside = layers.find_map(|layer| object(layer, place, layer.stand(self.path)));
        beside.or_else(|| self.overlaid.objection(self.path, place, object))
    }

    /// Objects to a place that a marker claims: the marker names the policy, and a digest in another file stays nevertheless.
    pub(super) fn objection_to_claim(&self, site: &Site) -> Option<Obstacle> {
        self.laid(&self.paths.place(site)?, Layer::laid_digest)
    }

    /// Objects where another Compose file, or another service, builds the image.
    fn built(&self, site: &Site) -> Option<Objection> {
        let way = self.paths.to(site)?;
        let [services, name] = &way.keys[..] else { return None };
        let at = built(self.composed, self.path, name).filter(|_| services == "services")?;
        Some(Obstacle::Built(at.into()).into())
    }
}
