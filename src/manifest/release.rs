//! Values of one release of a chart that stand in several places, and are merged: Flux's `HelmRelease` with what patches it and what its
//! `valuesFrom` names (<https://fluxcd.io/flux/components/helm/helmreleases/#values>), the value files, values and parameters of an
//! Argo CD `Application` (<https://argo-cd.readthedocs.io/en/stable/user-guide/helm/>), and Rancher Fleet's `fleet.yaml`
//! (<https://fleet.rancher.io/ref-fleet-yaml>).

mod document;
mod flux;
mod overlaid;
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::Regex;

use super::layers::{Laid, Laids, Layer, laid_in, mappings};
use super::lent::{Borrowers, Lendable, Name, borrowers, lendable};
use super::stems::{Stems, named, unnamed};
use crate::image::Repository;
use crate::policy::directory;
use crate::yaml::{NodeId, Stream};
pub(super) use document::dotted;
use flux::ConfigKey;
pub use flux::may_hold_values;
pub use overlaid::{Chains, Overlaid};
pub(super) use tools::{ARGO, HELM_CHART, OCI_REPOSITORY};

/// An object of a file, by what it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReleaseObject {
    kind: String,
    name: String,
}

/// Location of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) path: String,
    /// The object that they are in; `None` where the file is nothing but values.
    pub(super) object: Option<ReleaseObject>,
    /// The keys that lead to them.
    pub(super) keys: Vec<String>,
}

/// A release, by the file or the kind of object that makes it, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReleaseName(pub(super) String);

/// Precedence of values: a later variant counts more.
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
    /// A patch of the release on its way into the cluster.
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
    /// True if more than is read may stand over them, or they may be of another release: a name in them is nobody's for sure.
    pub(super) is_doubtful: bool,
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
    all: BTreeMap<ReleaseName, Vec<Arc<Values>>>,
    /// Files of values that releases name, with what they are to each.
    files: BTreeMap<String, BTreeMap<ReleaseName, Wanted>>,
    /// Keys of `ConfigMap`s that releases name.
    maps: BTreeMap<ConfigKey, BTreeMap<ReleaseName, Wanted>>,
    /// Patches, for the releases whose names they match.
    patches: Vec<Patch>,
    /// The releases that patterns make.
    filled: BTreeMap<ReleaseName, BTreeSet<ReleaseName>>,
    /// Number of values.
    count: usize,
    /// Bytes read for releases, counted at every read.
    read: usize,
}

/// More values of releases are not compared.
const MAX_VALUES: usize = 100_000;

/// More bytes are not read for releases.
const MAX_READ: usize = 128 << 20;

/// More pairs of values of one release, or of all, are not compared.
const MAX_PAIRS: usize = 50_000_000;

/// Reference of a release to another file.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) rank: Rank,
    /// The files that say so; none where a patch does.
    pub(super) by: BTreeSet<String>,
    /// The keys under which the content is a value; all of it is values where there are none.
    pub(super) under: Vec<String>,
    /// True if the file belongs to one of the releases that the path of a template makes.
    pub(super) is_filled: bool,
    /// True if more than is read may stand over what it says, or it may be of something else.
    pub(super) is_doubtful: bool,
}

/// A patch of releases.
#[derive(Debug)]
pub(super) struct Patch {
    /// The kind of object.
    pub(super) kind: &'static str,
    /// The names; any where there is none.
    pub(super) name: Option<Regex>,
    pub(super) values: Values,
}

impl ReleaseObject {
    /// The object that a document is.
    pub(super) fn of(stream: &Stream, root: NodeId) -> Option<Self> {
        let text = |keys: &[&str]| stream.text(stream.at(root, keys)?).map(str::to_owned);
        Some(Self { kind: text(&["kind"])?, name: text(&["metadata", "name"])? })
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
        let object = ReleaseObject { kind: String::new(), name: String::new() };
        Self { path: path.to_owned(), object: Some(object), keys: Vec::new() }
    }

    /// True if nothing is known to be beneath these values.
    fn is_nowhere(&self) -> bool {
        self.object.as_ref().is_some_and(|object| object.kind.is_empty())
    }
}

impl ReleaseName {
    /// A release of Flux's.
    pub(super) fn of_flux(name: &str) -> Self {
        Self(format!("{HELM_RELEASE} {name}"))
    }

    /// The name, where it is that of an object of a kind.
    fn name_of(&self, kind: &str) -> Option<&str> {
        self.0.strip_prefix(kind)?.strip_prefix(' ')
    }
}

/// Flux's kind of object for a release.
pub(super) const HELM_RELEASE: &str = "HelmRelease";

impl Values {
    /// Values that are a mapping.
    pub(super) fn read(stream: &Stream, node: NodeId, root: Root, rank: Rank) -> Self {
        let all = mappings(stream, node);
        let layer = Layer::of(&root.path, laid_in(stream, &all));
        let (lendable, borrowers) = (lendable(stream, node, &all), borrowers(stream, &all));
        let stems = Stems { named: named(stream, &all), unnamed: unnamed(stream, &all) };
        Self { lendable, borrowers, stems, is_apart: false, ..Self::of(root, rank, layer) }
    }

    /// The `spec` of a source of Flux's: its address and a range count for the tag in its `ref`.
    pub(super) fn of_source(stream: &Stream, spec: NodeId, root: Root, rank: Rank) -> Self {
        let values = Self::read(stream, spec, root, rank);
        let at = |keys: &[&str]| {
            let node = stream.at(spec, keys)?;
            Some((stream.text(node)?, stream.node(node).line()))
        };
        let url = at(&["url"]).and_then(|(url, line)| Laid::of_source("url", url, line));
        let range = at(&["ref", "semver"]).and_then(|(range, line)| Laid::of_range(range, line));
        let said: Vec<Laid> = url.into_iter().chain(range).collect();
        let name = at(&["url"]).and_then(|(url, _)| url.strip_prefix("oci://")).map(Name::whole);
        let at_reference = || vec!["ref".to_owned()];
        let layer = values.layer.clone().and([(at_reference(), said)].into());
        let mut borrowers = values.borrowers;
        let lendable = name.into_iter().map(|name| (at_reference(), name)).collect();
        borrowers.retain(|keys, _| Lendable::get(&lendable, keys).is_none());
        Self { layer, lendable, borrowers, ..values }
    }

    fn of(root: Root, rank: Rank, layer: Layer) -> Self {
        let (lendable, borrowers) = (Lendable::new(), Borrowers::new());
        let (namespace, named_by, is_apart) = (None, BTreeSet::new(), true);
        let (stems, pins, is_doubtful) = (Stems::default(), Vec::new(), false);
        Self {
            root,
            rank,
            namespace,
            named_by,
            layer,
            lendable,
            borrowers,
            stems,
            pins,
            is_apart,
            is_doubtful,
        }
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

    /// Values that are set one by one.
    pub(super) fn single(root: Root, laid: Laids, borrowers: Borrowers) -> Self {
        let layer = Layer::of(&root.path, laid);
        Self { borrowers, ..Self::of(root, Rank::Set, layer) }
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
    pub(super) fn add(&mut self, release: &ReleaseName, values: Values) {
        self.push(release, Arc::new(values));
    }

    fn push(&mut self, release: &ReleaseName, values: Arc<Values>) {
        self.count += 1;
        if self.count <= MAX_VALUES {
            self.all.entry(release.clone()).or_default().push(values);
        }
    }

    /// Adds values of one of the releases that a pattern makes, by what is filled in for it.
    pub(super) fn add_filled(&mut self, release: &ReleaseName, what: &str, values: Values) {
        let one = ReleaseName(format!("{} for {what}", release.0));
        self.filled.entry(release.clone()).or_default().insert(one.clone());
        self.add(&one, values);
    }

    /// Adds the values of a template to each of the releases that it makes.
    fn settle_filled(&mut self) {
        for (release, all) in std::mem::take(&mut self.filled) {
            for values in self.all.remove(&release).unwrap_or_default() {
                for one in &all {
                    self.push(one, Arc::clone(&values));
                }
            }
        }
    }

    /// Counts bytes before they are read, and paths before they are compared; `false` where it is enough.
    pub fn reads(&mut self, bytes: usize) -> bool {
        self.read = self.read.saturating_add(bytes);
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

    /// Gives patches to the releases that they change.
    fn settle_patches(&mut self) {
        for Patch { kind, name, values } in std::mem::take(&mut self.patches) {
            let values = Arc::new(values);
            let is_meant = |release: &ReleaseName| {
                let own = release.name_of(kind);
                own.is_some_and(|own| name.as_ref().is_none_or(|name| name.is_match(own)))
            };
            let meant: Vec<ReleaseName> =
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
