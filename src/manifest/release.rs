//! Values of one release of a chart that stand in several places, and are merged: Flux's `HelmRelease` with what patches it and what its
//! `valuesFrom` names (<https://fluxcd.io/flux/components/helm/helmreleases/#values>), the value files, values and parameters of an
//! Argo CD `Application` (<https://argo-cd.readthedocs.io/en/stable/user-guide/helm/>), and Rancher Fleet's `fleet.yaml`
//! (<https://fleet.rancher.io/ref-fleet-yaml>).

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::layers::{Laids, Layer, Merged, laid_in};
use super::lent::{Borrowers, Lendable, Lent, Name, borrowers, lendable};
use super::release_files::ConfigKey;
use super::{Named, Obstacle, Obstructed, Spot};
use crate::policy::directory;
use crate::yaml::{NodeId, Stream};

/// An object of a file, by what it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    kind: String,
    name: String,
}

/// Where values stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) path: String,
    /// The object that they are in; `None` where the file is nothing but values.
    pub(super) object: Option<Object>,
    /// The keys that lead to them.
    pub(super) keys: Vec<String>,
}

/// A release, by the file or the kind of object that makes it, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release(pub(super) String);

/// What counts more: a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The defaults of the chart.
    Chart,
    /// A file that the release names.
    File,
    /// A `ConfigMap` that it names.
    Map,
    /// The release's own.
    Own,
    /// What changes the release on its way into the cluster.
    Patch,
    /// Single values that are set beside it.
    Set,
}

/// Values in one place.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub(super) root: Root,
    pub(super) rank: Rank,
    pub(super) laid: Laids,
    /// Images that are named here, for tags elsewhere.
    pub(super) lendable: Lendable,
    /// Tags without a name.
    pub(super) borrowers: Borrowers,
    /// True if they are no nodes of their file, but a text in it, or single values: names do not reach them there.
    pub(super) is_apart: bool,
}

/// The releases of a repository, with their values.
#[derive(Debug, Default)]
pub struct Releases {
    all: BTreeMap<Release, Vec<Values>>,
    /// Files of values that releases name, with what they are to each.
    pub(super) files: BTreeMap<String, BTreeMap<Release, Rank>>,
    /// Keys of `ConfigMap`s that releases name.
    pub(super) maps: BTreeMap<ConfigKey, BTreeSet<Release>>,
    /// Patches, for the releases whose names they match.
    pub(super) patches: Vec<Patch>,
}

/// A patch of releases.
#[derive(Debug)]
pub(super) struct Patch {
    /// The names; any where there is none.
    pub(super) name: Option<Regex>,
    pub(super) values: Values,
}

/// What values say of images in other files.
#[derive(Debug, Default)]
pub struct Overlaid {
    /// Values that are merged with others.
    pub layers: Vec<Layer>,
    /// Names for tags, by the path of the file.
    pub lent: BTreeMap<String, Vec<Lent>>,
    /// Tags whose name is known, and that cannot be changed, by the path of the file.
    pub unreached: BTreeMap<String, Vec<Obstructed>>,
}

impl Object {
    /// The object that a document is.
    pub(super) fn of(stream: &Stream, root: NodeId) -> Option<Self> {
        let text = |node: NodeId, key: &str| {
            stream.text(stream.target(stream.get(stream.target(node), key)?)).map(str::to_owned)
        };
        let kind = text(root, "kind")?;
        Some(Self { kind, name: text(stream.get(root, "metadata")?, "name")? })
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Root {
    /// A file, in which nothing is known to be beneath these values.
    fn nowhere(path: &str) -> Self {
        let object = Object { kind: String::new(), name: String::new() };
        Self { path: path.to_owned(), object: Some(object), keys: Vec::new() }
    }
}

impl Release {
    /// A release of Flux's.
    pub(super) fn of_flux(name: &str) -> Self {
        Self(format!("{HELM_RELEASE} {name}"))
    }

    /// The name, where Flux makes it.
    fn name_in_flux(&self) -> Option<&str> {
        self.0.strip_prefix(HELM_RELEASE)?.strip_prefix(' ')
    }
}

/// Flux's kind of object for a release.
pub(super) const HELM_RELEASE: &str = "HelmRelease";

impl Values {
    /// Values that are a mapping.
    pub(super) fn read(stream: &Stream, node: NodeId, root: Root, rank: Rank) -> Self {
        let laid = laid_in(stream, node);
        let (lendable, borrowers) = (lendable(stream, node), borrowers(stream, node));
        Self { root, rank, laid, lendable, borrowers, is_apart: false }
    }

    /// Values that are a text, some lines down in its file.
    pub(super) fn in_text(text: &str, lines: usize, root: Root, rank: Rank) -> Option<Self> {
        let stream = Stream::parse(text).ok()?;
        let node = stream.target(*stream.documents().first()?);
        Some(Self::read(&stream, node, root, rank).below(lines))
    }

    /// The same in a text that begins some lines down in its file.
    pub(super) fn below(mut self, lines: usize) -> Self {
        for one in self.laid.values_mut() {
            *one = std::mem::take(one).into_iter().map(|laid| laid.below(lines)).collect();
        }
        self.borrowers.values_mut().for_each(|line| *line += lines);
        Self { is_apart: true, ..self }
    }

    /// Values that are set one by one in a file.
    pub(super) fn single(path: &str, laid: Laids, borrowers: Borrowers) -> Self {
        let (root, rank) = (Root::nowhere(path), Rank::Set);
        Self { root, rank, laid, lendable: Lendable::new(), borrowers, is_apart: true }
    }

    /// True if both can be values of the same release at once: not two releases of one name, nor patches of two clusters.
    fn is_merged_with(&self, other: &Self) -> bool {
        let are_apart = match (self.rank, other.rank) {
            (Rank::Own, Rank::Own) => true,
            (Rank::Patch, Rank::Patch) => directory(&self.root.path) != directory(&other.root.path),
            _ => false,
        };
        self.root != other.root && !are_apart
    }
}

impl Releases {
    /// Adds values of a release.
    pub(super) fn add(&mut self, release: &Release, values: Values) {
        self.all.entry(release.clone()).or_default().push(values);
    }

    /// What the values of each release say of each other.
    #[must_use]
    pub fn overlaid(mut self) -> Overlaid {
        self.settle_patches();
        let mut overlaid = Overlaid::default();
        for all in self.all.values() {
            for one in all {
                let others: Vec<&Values> =
                    all.iter().filter(|other| one.is_merged_with(other)).collect();
                overlaid.lend(one, &others);
                if one.laid.is_empty() || others.is_empty() {
                    continue;
                }
                let merged = others.iter().map(|other| Merged {
                    root: other.root.clone(),
                    is_above: other.rank > one.rank,
                });
                let layer = Layer::of_release(&one.root.path, one.laid.clone(), merged.collect());
                overlaid.layers.push(layer);
            }
        }
        overlaid
    }

    /// Gives patches to the releases that they change.
    fn settle_patches(&mut self) {
        for Patch { name, values } in std::mem::take(&mut self.patches) {
            let is_meant = |release: &Release| {
                let own = release.name_in_flux();
                own.is_some_and(|own| name.as_ref().is_none_or(|name| name.is_match(own)))
            };
            for (_, all) in self.all.iter_mut().filter(|(release, _)| is_meant(release)) {
                all.push(values.clone());
            }
        }
    }
}

impl Overlaid {
    /// Adds what else there is.
    pub fn extend(&mut self, other: Self) {
        self.layers.extend(other.layers);
        for (path, lent) in other.lent {
            of(&mut self.lent, &path).extend(lent);
        }
        for (path, unreached) in other.unreached {
            of(&mut self.unreached, &path).extend(unreached);
        }
    }

    /// The files that something is said of, beside those over which values are laid.
    pub fn named(&self) -> impl Iterator<Item = &String> {
        self.lent.keys().chain(self.unreached.keys())
    }

    /// Lends names of values to the tags of others of the same release.
    fn lend(&mut self, to: &Values, others: &[&Values]) {
        for (keys, line) in &to.borrowers {
            let lending = || others.iter().filter_map(|other| other.lendable.get(keys));
            let path = &to.root.path;
            if !to.is_apart {
                let at = to.root.keys.iter().chain(keys).cloned().collect();
                if let Some(lent) = Lent::of(at, to.root.object.clone(), lending()) {
                    of(&mut self.lent, path).push(lent);
                }
            } else if let Some(repository) = Name::agreed(lending()).and_then(|n| n.repository()) {
                let (named, obstacle) = (Named::Is(repository), Obstacle::NamedElsewhere);
                let one = Obstructed { named, spot: Spot::on(*line), obstacle };
                of(&mut self.unreached, path).push(one);
            }
        }
    }
}

/// What there is for a file.
fn of<'m, T>(all: &'m mut BTreeMap<String, Vec<T>>, path: &str) -> &'m mut Vec<T> {
    all.entry(path.to_owned()).or_default()
}
