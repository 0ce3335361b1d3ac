//! Values of one release of a chart that stand in several places, and are merged: Flux's `HelmRelease` with what patches it and what its
//! `valuesFrom` names (<https://fluxcd.io/flux/components/helm/helmreleases/#values>), the value files, values and parameters of an
//! Argo CD `Application` (<https://argo-cd.readthedocs.io/en/stable/user-guide/helm/>), and Rancher Fleet's `fleet.yaml`
//! (<https://fleet.rancher.io/ref-fleet-yaml>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::Regex;

use super::layers::{Laids, Layer, laid_in};
use super::lent::{Borrowers, Lendable, Lent, Name, borrowers, lendable};
use super::place::{Place, Stand};
use super::release_files::ConfigKey;
use super::stems::{Stem, named, unnamed};
use super::{Named, Obstacle, Obstructed, Spot};
use crate::image::Repository;
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
    /// The namespace of the object that they are in, where it says one.
    pub(super) namespace: Option<String>,
    /// The files of the releases that name them; any where there is none.
    pub(super) named_by: BTreeSet<String>,
    pub(super) layer: Layer,
    /// Images that are named here, for tags elsewhere.
    pub(super) lendable: Lendable,
    /// Tags without a name.
    pub(super) borrowers: Borrowers,
    /// The same under keys that are called for an image.
    pub(super) stems: Stems,
    /// Images to which a digest is given behind the chart.
    pub(super) pins: Vec<Pin>,
    /// True if they are no nodes of their file, but a text in it, or single values: names do not reach them there.
    pub(super) is_apart: bool,
}

/// A digest that an image gets behind the chart, whatever its values say.
#[derive(Clone, Debug)]
pub(super) struct Pin {
    pub(super) repository: Repository,
    /// The digest and its place, as a phrase.
    pub(super) said: String,
}

/// The releases of a repository, with their values.
#[derive(Debug, Default)]
pub struct Releases {
    all: BTreeMap<Release, Vec<Arc<Values>>>,
    /// Files of values that releases name, with what they are to each.
    pub(super) files: BTreeMap<String, BTreeMap<Release, Wanted>>,
    /// Keys of `ConfigMap`s that releases name.
    pub(super) maps: BTreeMap<ConfigKey, BTreeMap<Release, Wanted>>,
    /// Patches, for the releases whose names they match.
    pub(super) patches: Vec<Patch>,
    /// The releases that patterns make.
    filled: BTreeMap<Release, BTreeSet<Release>>,
    /// How many values there are.
    count: usize,
    /// How many bytes were read for releases, each time that they were.
    read: usize,
}

/// More values of releases are not compared.
const MAX_VALUES: usize = 100_000;

/// More bytes are not read for releases.
const MAX_READ: usize = 128 << 20;

/// More pairs of values of one release, or of all, are not compared.
const MAX_PAIRS: usize = 50_000_000;

/// What a release wants of another file.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) rank: Rank,
    /// The files that say so; none where a patch does.
    pub(super) by: BTreeSet<String>,
    /// The keys under which the content is a value; all of it is values where there are none.
    pub(super) under: Vec<String>,
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
    /// Values that are laid over others, by where their files stand.
    pub layers: Vec<Layer>,
    /// Names for tags, by the path of the file.
    pub lent: BTreeMap<String, Vec<Lent>>,
    /// Tags whose name is known, and that cannot be changed, by the path of the file.
    pub unreached: BTreeMap<String, Vec<Obstructed>>,
    /// The values of each release.
    groups: Vec<Group>,
    /// Values by the path of their file, and the object that they are in.
    members: BTreeMap<String, BTreeMap<Option<Object>, Vec<Member>>>,
    /// True if there are more than are compared: then no place of a release is known.
    is_cut: bool,
}

/// The values of a release.
#[derive(Debug)]
struct Group {
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

/// What the kustomizations of directories take, as far as they hold patches.
pub type Chains = BTreeMap<String, BTreeSet<String>>;

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
    pub(super) fn nowhere(path: &str) -> Self {
        let object = Object { kind: String::new(), name: String::new() };
        Self { path: path.to_owned(), object: Some(object), keys: Vec::new() }
    }

    /// True if nothing is known to be beneath these values.
    fn is_nowhere(&self) -> bool {
        self.object.as_ref().is_some_and(|object| object.kind.is_empty())
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
        let layer = Layer::of(&root.path, laid_in(stream, node));
        let (lendable, borrowers) = (lendable(stream, node), borrowers(stream, node));
        let stems = Stems { named: named(stream, node), unnamed: unnamed(stream, node) };
        Self { lendable, borrowers, stems, is_apart: false, ..Self::of(root, rank, layer) }
    }

    fn of(root: Root, rank: Rank, layer: Layer) -> Self {
        let (lendable, borrowers) = (Lendable::new(), Borrowers::new());
        let (namespace, named_by, is_apart) = (None, BTreeSet::new(), true);
        let (stems, pins) = (Stems::default(), Vec::new());
        Self { root, rank, namespace, named_by, layer, lendable, borrowers, stems, pins, is_apart }
    }

    /// Values that are a text, some lines down in its file.
    pub(super) fn in_text(text: &str, lines: usize, root: Root, rank: Rank) -> Option<Self> {
        let stream = Stream::parse(text).ok()?;
        let node = stream.target(*stream.documents().first()?);
        Some(Self::read(&stream, node, root, rank).below(lines))
    }

    /// The same in a text that begins some lines down in its file.
    pub(super) fn below(mut self, lines: usize) -> Self {
        self.layer = self.layer.below(lines);
        let tags = self.borrowers.values_mut().chain(self.stems.unnamed.values_mut());
        tags.for_each(|line| *line += lines);
        Self { is_apart: true, ..self }
    }

    /// Values that are set one by one in a file.
    pub(super) fn single(path: &str, laid: Laids, borrowers: Borrowers) -> Self {
        let layer = Layer::of(path, laid);
        Self { borrowers, ..Self::of(Root::nowhere(path), Rank::Set, layer) }
    }

    /// True if both can be values of the same release at once: not two releases of one name, nor patches of two clusters.
    fn is_merged_with(&self, other: &Self, chains: &Chains) -> bool {
        let is_elsewhere = match (&self.namespace, &other.namespace) {
            (Some(own), Some(other)) => own != other,
            _ => false,
        };
        let names = |one: &Self, other: &Self| {
            other.rank != Rank::Own
                || one.named_by.is_empty()
                || one.named_by.contains(&other.root.path)
        };
        let are_apart = match (self.rank, other.rank) {
            (Rank::Own, Rank::Own) => true,
            (Rank::Patch, Rank::Patch) => {
                let (own, other) = (directory(&self.root.path), directory(&other.root.path));
                let takes = |one: &str, other: &str| {
                    chains.get(one).is_some_and(|taken| taken.contains(other))
                };
                own != other && !takes(own, other) && !takes(other, own)
            }
            (Rank::Map | Rank::File | Rank::Chart, Rank::Map | Rank::File | Rank::Chart) => {
                let are_of_any = self.named_by.is_empty() || other.named_by.is_empty();
                !are_of_any && self.named_by.is_disjoint(&other.named_by)
            }
            _ => !names(self, other) || !names(other, self),
        };
        // Single values have no root of their own.
        let is_same = self.root == other.root && !self.root.is_nowhere();
        !std::ptr::eq(self, other) && !is_same && !is_elsewhere && !are_apart
    }
}

impl Releases {
    /// Adds values of a release.
    pub(super) fn add(&mut self, release: &Release, values: Values) {
        self.push(release, Arc::new(values));
    }

    fn push(&mut self, release: &Release, values: Arc<Values>) {
        self.count += 1;
        if self.count <= MAX_VALUES {
            self.all.entry(release.clone()).or_default().push(values);
        }
    }

    /// Adds values of one of the releases that a pattern makes, by what is filled in for it.
    pub(super) fn add_filled(&mut self, release: &Release, what: &str, values: Values) {
        let one = Release(format!("{} for {what}", release.0));
        self.filled.entry(release.clone()).or_default().insert(one.clone());
        self.add(&one, values);
    }

    /// Gives each of the releases that a pattern makes what is said of all of them.
    fn settle_filled(&mut self) {
        for (release, all) in std::mem::take(&mut self.filled) {
            for values in self.all.remove(&release).unwrap_or_default() {
                for one in &all {
                    self.push(one, Arc::clone(&values));
                }
            }
        }
    }

    /// Counts bytes before they are read; `false` where it is enough.
    pub(super) fn reads(&mut self, text: &str) -> bool {
        self.read = self.read.saturating_add(text.len());
        self.read <= MAX_READ
    }

    /// The directories with patches.
    #[must_use]
    pub fn patched(&self) -> BTreeSet<String> {
        let all = self.all.values().flatten().filter(|values| values.rank == Rank::Patch);
        let patches = self.patches.iter().map(|patch| &patch.values);
        let paths = all.map(|values| &**values).chain(patches).map(|values| &values.root.path);
        paths.map(|path| directory(path).to_owned()).collect()
    }

    /// What the values of each release say of each other. `chains` says what the kustomizations of directories take.
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
            overlaid.groups.push(Group { all, saying, chains: Arc::clone(&chains) });
        }
        overlaid
    }

    /// Gives patches to the releases that they change.
    fn settle_patches(&mut self) {
        for Patch { name, values } in std::mem::take(&mut self.patches) {
            let values = Arc::new(values);
            let is_meant = |release: &Release| {
                let own = release.name_in_flux();
                own.is_some_and(|own| name.as_ref().is_none_or(|name| name.is_match(own)))
            };
            let meant: Vec<Release> =
                self.all.keys().filter(|release| is_meant(release)).cloned().collect();
            for release in &meant {
                self.push(release, Arc::clone(&values));
            }
            if self.count > MAX_VALUES {
                return;
            }
        }
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
        self.layers.extend(layer);
        if !lent.is_empty() {
            of(&mut self.lent, path).extend(lent);
        }
        if !unreached.is_empty() {
            of(&mut self.unreached, path).extend(unreached);
        }
    }

    /// The files that something is said of, beside those over which values are laid.
    pub fn named(&self) -> impl Iterator<Item = &String> {
        self.lent.keys().chain(self.unreached.keys())
    }

    /// True if values that stand elsewhere may count in a file.
    pub(super) fn is_over(&self, path: &str) -> bool {
        let beside = |layer: &Layer| layer.is_over(path) || layer.is_under(path);
        self.members.contains_key(path) || self.layers.iter().any(beside)
    }

    /// The first objection of values of its releases to a place.
    pub(super) fn objection(
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
        let at = |object: Option<&Object>| members.get(&object.cloned()).into_iter().flatten();
        let of_file = at(None).filter(|_| place.object().is_some());
        let mut members = of_file.chain(at(place.object()));
        members.find_map(|member| {
            let group = &self.groups[member.group];
            let own = &group.all[member.values];
            let place = place.within(&own.root)?;
            let pins = group.all.iter().flat_map(|values| &values.pins);
            if let Some(pin) = pins.clone().find(|pin| place.is_of(&pin.repository)) {
                return Some(Obstacle::LaidDigest(pin.said.as_str().into()));
            }
            let others = group.saying.iter().map(|at| &group.all[*at]);
            let mut others = others.filter(|other| own.is_merged_with(other, &group.chains));
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
            if !to.is_apart {
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

/// Images and tags under keys that are called for one.
#[derive(Clone, Debug, Default)]
pub(super) struct Stems {
    pub(super) named: BTreeMap<Stem, Repository>,
    pub(super) unnamed: BTreeMap<Stem, usize>,
}

impl Stems {
    /// The tags whose name stands in others.
    pub(super) fn told<'s>(
        &'s self,
        others: impl Iterator<Item = &'s Self> + Clone + 's,
    ) -> impl Iterator<Item = Obstructed> + 's {
        self.unnamed.iter().filter_map(move |(stem, line)| {
            let repository = others.clone().find_map(|other| other.named.get(stem))?;
            let (named, obstacle) = (Named::Is(repository.clone()), Obstacle::NamedElsewhere);
            Some(Obstructed { named, spot: Spot::on(*line), obstacle })
        })
    }
}

/// What there is for a file.
fn of<'m, T>(all: &'m mut BTreeMap<String, Vec<T>>, path: &str) -> &'m mut Vec<T> {
    all.entry(path.to_owned()).or_default()
}
