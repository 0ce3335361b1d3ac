//! Values of releases, compared: which place of an image they keep as it is, and which tags they give a name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{MAX_PAIRS, MAX_READ, MAX_VALUES, ReleaseObject, Releases, Values};
use crate::manifest::layers::Layer;
use crate::manifest::lent::{Lent, Name};
use crate::manifest::place::{Place, Stand};
use crate::manifest::{Named, Obstacle, Obstructed, Spot};
use crate::policy::directory;

/// Effects of values on images in other files.
#[derive(Debug, Default)]
pub struct Overlaid {
    /// Values that are laid over others, by the directory of their files.
    layers: BTreeMap<String, Vec<Layer>>,
    /// Names for tags, by the path of the file.
    pub lent: BTreeMap<String, Vec<Lent>>,
    /// Tags whose name is known, and that cannot be changed, by the path of the file.
    pub unreached: BTreeMap<String, Vec<Obstructed>>,
    /// The values of each release.
    groups: Vec<ReleaseValues>,
    /// Values by the path of their file, and the object that they are in.
    members: BTreeMap<String, BTreeMap<Option<ReleaseObject>, Vec<Member>>>,
    /// True if there are more than are compared: then no place of a release is known.
    is_cut: bool,
}

/// The values of a release.
#[derive(Debug)]
struct ReleaseValues {
    all: Vec<Arc<Values>>,
    /// Those that say something for others.
    saying: Vec<usize>,
    chains: Arc<Chains>,
}

/// Values of a release in a file: both by number.
#[derive(Clone, Copy, Debug)]
struct Member {
    group: usize,
    values: usize,
}

/// Paths that the kustomizations of directories with patches take.
pub type Chains = BTreeMap<String, BTreeSet<String>>;

impl Releases {
    /// Compares the values of each release. `chains` holds the paths that kustomizations take.
    #[must_use]
    pub fn overlaid(mut self, chains: Chains) -> Overlaid {
        self.settle_patches();
        self.settle_filled();
        let pairs: usize = self.all.values().map(|all| all.len() * all.len()).sum();
        let is_cut = self.count > MAX_VALUES || self.read > MAX_READ || pairs > MAX_PAIRS;
        let (mut overlaid, chains) = (Overlaid { is_cut, ..Overlaid::default() }, Arc::new(chains));
        let says =
            |all: &[Arc<Values>]| all.len() > 1 || all.iter().any(|one| !one.pins.is_empty());
        for (_, all) in self.all.into_iter().filter(|(_, all)| says(all)) {
            for (at, values) in all.iter().enumerate() {
                let member = Member { group: overlaid.groups.len(), values: at };
                let members = overlaid.members.entry(values.root.path.clone()).or_default();
                members.entry(values.root.object.clone()).or_default().push(member);
                let has_tags = !values.borrowers.is_empty() || !values.stems.unnamed.is_empty();
                if !is_cut && has_tags {
                    let merged = all.iter().filter(|other| values.is_merged_with(other, &chains));
                    let merged: Vec<&Values> = merged.map(|other| &**other).collect();
                    overlaid.lend(values, &merged);
                }
            }
            let saying = (0..all.len()).filter(|at| !all[*at].layer.is_empty()).collect();
            overlaid.groups.push(ReleaseValues { all, saying, chains: Arc::clone(&chains) });
        }
        overlaid
    }
}

impl Overlaid {
    /// Adds what files of values say by where they stand.
    pub fn beside(
        &mut self,
        layer: Option<Layer>,
        lent: Vec<Lent>,
        unreached: Vec<Obstructed>,
        path: &str,
    ) {
        if let Some(layer) = layer {
            of(&mut self.layers, directory(path)).push(layer);
        }
        if !lent.is_empty() {
            of(&mut self.lent, path).extend(lent);
        }
        if !unreached.is_empty() {
            of(&mut self.unreached, path).extend(unreached);
        }
    }

    /// Files with names for tags, or with tags that are reported.
    pub fn named(&self) -> impl Iterator<Item = &String> {
        self.lent.keys().chain(self.unreached.keys())
    }

    /// True if values that stand elsewhere may count in a file.
    pub(in crate::manifest) fn is_over(&self, path: &str) -> bool {
        self.members.contains_key(path) || self.layers_beside(path).next().is_some()
    }

    /// Values of the directory that are laid over those of a file, or the other way round.
    pub(in crate::manifest) fn layers_beside<'o>(
        &'o self,
        path: &'o str,
    ) -> impl Iterator<Item = &'o Layer> {
        let all = self.layers.get(directory(path)).into_iter().flatten();
        all.filter(move |layer| layer.is_over(path) || layer.is_under(path))
    }

    /// The first objection of values of its releases to a place.
    pub(in crate::manifest) fn objection(
        &self,
        path: &str,
        place: &Place<'_>,
        object: impl Fn(&Layer, &Place<'_>, Stand) -> Option<Obstacle>,
    ) -> Option<Obstacle> {
        let members = self.members.get(path)?;
        if self.is_cut {
            let said = "more values of releases stand in this repository than are compared";
            return Some(Obstacle::Unread(said.into()));
        }
        let at =
            |object: Option<&ReleaseObject>| members.get(&object.cloned()).into_iter().flatten();
        let of_file = at(None).filter(|_| place.object().is_some());
        let mut members = of_file.chain(at(place.object()));
        members.find_map(|member| {
            let group = &self.groups[member.group];
            let own = &group.all[member.values];
            let place = place.within(&own.root)?;
            let is_its = |other: &&Arc<Values>| {
                Arc::ptr_eq(own, other) || own.is_merged_with(other, &group.chains)
            };
            let pinning = group.all.iter().filter(|values| !values.pins.is_empty());
            let mut pins = pinning.filter(is_its).flat_map(|values| &values.pins);
            if let Some(pin) = pins.find(|pin| place.is_of(&pin.repository)) {
                return Some(Obstacle::LaidDigest(pin.said.as_str().into()));
            }
            let others = group.saying.iter().map(|at| &group.all[*at]);
            let is_of_it = |other: &&Arc<Values>| {
                own.is_merged_with(other, &group.chains)
                    && !(other.is_doubtful && other.layer.names_other_than(&place))
            };
            let mut others = others.filter(is_of_it);
            others.find_map(|other| {
                let stand = if own.rank > other.rank { Stand::Above } else { Stand::Below };
                // The name that is lent counts more than one that counts less.
                let is_named = place.lender().is_some_and(|lender| lender > other.rank);
                let place = if is_named { &place.clone().named_here() } else { &place };
                object(&other.layer, place, stand)
            })
        })
    }

    /// Lends names of values to the tags of others of the same release: of those that count most.
    fn lend(&mut self, to: &Values, others: &[&Values]) {
        let stems = others.iter().map(|other| &other.stems);
        let told: Vec<Obstructed> = to.stems.told(stems).collect();
        if !told.is_empty() {
            of(&mut self.unreached, &to.root.path).extend(told);
        }
        for (keys, line) in &to.borrowers {
            let lending = others.iter().filter(|other| other.lendable.contains_key(keys));
            let most = lending.clone().map(|other| other.rank).max();
            let lending = || {
                let lending = lending.clone().filter(|other| Some(other.rank) == most);
                lending.filter_map(|other| other.lendable.get(keys))
            };
            let path = &to.root.path;
            let mut most_of = others.iter().filter(|other| Some(other.rank) == most);
            let is_doubtful =
                most_of.any(|other| other.is_doubtful && other.lendable.contains_key(keys));
            if !to.is_apart && !is_doubtful {
                let at = to.root.keys.iter().chain(keys).cloned().collect();
                if let Some(lent) = Lent::of(at, to.root.object.clone(), lending()) {
                    of(&mut self.lent, path).push(lent.by(most));
                }
            } else if let Some(repository) = Name::agreed(lending()).and_then(|n| n.repository()) {
                let (named, obstacle) = (Named::Is(repository), Obstacle::NamedElsewhere);
                let one = Obstructed { named, spot: Spot::on(*line), obstacle };
                of(&mut self.unreached, path).push(one);
            }
        }
    }
}

/// Entry of a file.
fn of<'m, T>(all: &'m mut BTreeMap<String, Vec<T>>, path: &str) -> &'m mut Vec<T> {
    all.entry(path.to_owned()).or_default()
}
