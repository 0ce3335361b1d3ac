//! Which files hold values of Flux's releases, with what patches them and what they name: [`Releases`] learns from one file after the
//! other.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};

use super::document::{ReleaseDocument, Single, dotted};
use super::{
    HELM_RELEASE, OCI_REPOSITORY, Patch, Pin, Rank, ReleaseName, ReleaseObject, Releases, Root,
    Values, Wanted,
};
use crate::image::Repository;
use crate::manifest::is_kustomization;
use crate::policy::{beside, directory, resolved};
use crate::yaml::{NodeId, Stream};

/// A key of a `ConfigMap` or a `Secret`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConfigKey {
    pub(super) map: String,
    pub(super) key: String,
}

/// The key of a `ConfigMap` where Flux looks for values, and the file in which a chart has them.
pub(super) const VALUES: &str = "values.yaml";

/// A file of the repository, by its path; nothing where it cannot be read.
type ReadFile<'r> = &'r dyn Fn(&str) -> Option<String>;

/// True if a file may hold values of a release whatever its bytes contain, by its path.
#[must_use]
pub fn may_hold_values(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, "fleet.yaml" | "fleet.yml")
        || name.starts_with(".argocd-source")
        || is_helmfile(path)
        || is_kustomization(path)
}

/// True if a file is one of helmfile's, by its path; those of `helmfile.d` have any name.
pub(super) fn is_helmfile(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    parts.next().is_some_and(|name| name.contains("helmfile"))
        || parts.any(|part| part == "helmfile.d")
}

impl Releases {
    /// Learns from a file with releases, or patches of them; patches that are in files of their own are read.
    pub fn learn(&mut self, path: &str, text: &str, read: ReadFile<'_>) {
        // Most kustomizations hold nothing of a release, and need no parsing.
        let words = ["atches", "helmCharts", HELM_RELEASE];
        if is_kustomization(path) && !words.iter().any(|word| text.contains(word)) {
            return;
        }
        let Some(stream) = self.parsed(text) else { return };
        for root in stream.documents() {
            let document =
                ReleaseDocument { path, text, stream: &stream, root: stream.target(*root) };
            match ReleaseObject::of(&stream, *root) {
                Some(object) if object.is(HELM_RELEASE) => self.of_flux(&document, &object),
                object => self.of_tool(&document, object.as_ref()),
            }
            for keys in PATCHES {
                self.patches(&document, keys, read);
            }
        }
    }

    /// A text as YAML, unless enough was read.
    fn parsed<'t>(&mut self, text: &'t str) -> Option<Stream<'t>> {
        if self.reads(text.len()) { Stream::parse(text).ok() } else { None }
    }

    /// The files of values that releases name, some of them as globs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The names of the `ConfigMap`s and `Secret`s that releases take values from, without what a kustomization may put before or
    /// behind them.
    #[must_use]
    pub fn maps(&self) -> BTreeSet<&str> {
        self.maps.keys().map(|key| key.map.as_str()).collect()
    }

    /// Learns what a file of values says that is named like this.
    pub fn learn_values(&mut self, named: &str, path: &str, text: &str) {
        let Some(wanted) = self.files.get(named).cloned() else { return };
        let Ok(stream) = Stream::parse(text) else { return };
        let Some(node) = stream.documents().first() else { return };
        for (release, wanted) in wanted {
            if !self.reads(text.len()) {
                return;
            }
            let root = Root { path: path.to_owned(), object: None, keys: Vec::new() };
            let values = Values::read(&stream, stream.target(*node), root, wanted.rank);
            let mut values = Values { named_by: wanted.by, ..values };
            // Which of the releases of a template a file is of, nobody can tell: it lends no name, and takes none.
            if named.contains('*') && !wanted.is_filled {
                values.lendable.clear();
            }
            values.is_apart |= named.contains('*') && (!wanted.is_filled || wanted.is_doubtful);
            values.is_doubtful = wanted.is_doubtful;
            match filled(named, path).filter(|_| wanted.is_filled) {
                Some(what) => self.add_filled(&release, what, values),
                None => self.add(&release, values),
            }
        }
    }

    /// Learns from a file with `ConfigMap`s or `Secret`s, or with what kustomize makes them of.
    pub fn learn_maps(&mut self, path: &str, text: &str) {
        let Some(stream) = self.parsed(text) else { return };
        for root in stream.documents() {
            let document =
                ReleaseDocument { path, text, stream: &stream, root: stream.target(*root) };
            if is_kustomization(path) {
                self.generated(&document);
            }
            if let Some(object) = ReleaseObject::of(&stream, *root) {
                self.map(&document, &object);
            }
        }
    }

    /// A `HelmRelease`, or a patch of one, which names no chart.
    fn of_flux(&mut self, document: &ReleaseDocument<'_>, object: &ReleaseObject) {
        let release = ReleaseName::of_flux(object.name());
        let chart = ["spec", "chart", "spec"];
        let chart_at = |key: &'static str| [&chart[..], &[key]].concat();
        let name = document.text_at(&chart_at("chart"));
        let is_whole = name.is_some() || document.at(&["spec", "chartRef"]).is_some();
        let rank = if is_whole { Rank::Own } else { Rank::Patch };
        if let Some(values) = document.at(&["spec", "values"]) {
            let root = document.root_at(Some(object), &["spec", "values"]);
            let values = Values::read(document.stream, values, root, rank);
            let namespace = document.text_at(&["metadata", "namespace"]).map(str::to_owned);
            self.add(&release, Values { namespace, pins: pins(document), ..values });
        }
        let by: BTreeSet<String> = is_whole.then(|| document.path.to_owned()).into_iter().collect();
        for item in document.items(&["spec", "valuesFrom"]) {
            let text = |key: &str| document.text_of(item, key);
            let Some(map) = text("name").map(str::to_owned) else { continue };
            let key = text("valuesKey").unwrap_or(VALUES).to_owned();
            let under = text("targetPath").map(dotted).unwrap_or_default();
            let wanted = Wanted {
                rank: Rank::Map,
                by: by.clone(),
                under,
                is_filled: false,
                is_doubtful: false,
            };
            let all = self.maps.entry(ConfigKey { map, key }).or_default();
            let known = all.entry(release.clone()).or_insert_with(|| wanted.clone());
            known.by.extend(wanted.by);
        }
        // In a repository of git, the chart and its files of values have paths from its root.
        let is_of_git = document.text_at(&[&chart[..], &["sourceRef", "kind"]].concat());
        let is_of_git = is_of_git.is_some_and(|kind| kind != "HelmRepository");
        let is_path = |path: &&str| path.starts_with('.') || path.contains('/') || is_of_git;
        if let Some(path) = name.filter(is_path) {
            self.want_by(&release, &format!("{path}/{VALUES}"), Rank::Chart, &by);
        }
        let several = document.items(&chart_at("valuesFiles"));
        for file in several.into_iter().chain(document.at(&chart_at("valuesFile"))) {
            if let Some(file) = document.stream.text(file) {
                self.want_by(&release, file, Rank::File, &by);
            }
        }
    }

    /// Wants a file of values.
    pub(super) fn want(&mut self, release: &ReleaseName, path: &str, rank: Rank) {
        self.want_by(release, path, rank, &BTreeSet::new());
    }

    fn want_by(&mut self, release: &ReleaseName, path: &str, rank: Rank, by: &BTreeSet<String>) {
        let (by, under) = (by.clone(), Vec::new());
        self.want_as(
            release,
            path,
            Wanted { rank, by, under, is_filled: false, is_doubtful: false },
        );
    }

    /// Wants a file of values in some way.
    pub(super) fn want_as(&mut self, release: &ReleaseName, path: &str, wanted: Wanted) {
        let all = self.files.entry(resolved(path)).or_default();
        let by = wanted.by.clone();
        all.entry(release.clone()).or_insert(wanted).by.extend(by);
    }

    /// Patches of Flux's releases: of fields, or operations
    /// (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/patches/>).
    fn patches(&mut self, document: &ReleaseDocument<'_>, keys: &[&str], read: ReadFile<'_>) {
        let stream = document.stream;
        for (index, item) in document.items(keys).into_iter().enumerate() {
            let target = stream.get(item, "target").map(|target| stream.target(target));
            let of_target = |key: &str| document.text_of(target?, key);
            let kind = of_target("kind").and_then(whole);
            let is_meant =
                |one: &&PatchedKind| kind.as_ref().is_none_or(|kind| kind.is_match(one.kind));
            let (kinds, is_aimed) = (PATCHED.iter().filter(is_meant).collect(), target.is_some());
            let aim = PatchTarget { kinds, name: of_target("name").and_then(whole), is_aimed };
            let at = |more: &[&str]| {
                let keys = keys.iter().map(|key| (*key).to_owned()).chain([index.to_string()]);
                let keys = keys.chain(more.iter().map(|key| (*key).to_owned())).collect();
                Root { path: document.path.to_owned(), object: document.object(), keys }
            };
            // One of `patchesStrategicMerge` is a text, the path of one, or, in Flux's objects, a mapping.
            let (own, path) = match stream.text(item) {
                Some(text) if text.contains('\n') => (Some(item), None),
                Some(path) => (None, Some(path)),
                None => (stream.get(item, "patch"), document.text_of(item, "path")),
            };
            let own = own.map(|node| stream.target(node));
            if let Some((node, text)) = own.and_then(|node| Some((node, stream.text(node)?))) {
                let root = at(if node == item { &[] } else { &["patch"] });
                self.patch(text, document.lines_above(node), &root, &aim);
            } else if stream.get(item, "spec").is_some() {
                let inner = ReleaseDocument { root: item, ..*document };
                self.fields(&inner, &at(&[]), &aim, None);
            }
            let path = path.map(|path| beside(document.path, path));
            if let Some((text, path)) = path.and_then(|path| Some((read(&path)?, path))) {
                let root = Root { path, object: None, keys: Vec::new() };
                self.patch_file(&text, &root, &aim);
            }
        }
    }

    /// A patch in a file of its own. What says by itself which release it is for, and is not aimed elsewhere, is found by itself.
    fn patch_file(&mut self, text: &str, root: &Root, aim: &PatchTarget) {
        let Some(stream) = self.parsed(text) else { return };
        for node in stream.documents() {
            let document = ReleaseDocument { path: &root.path, text, stream: &stream, root: *node };
            let operations = stream.items(document.root);
            let is_own = document.object().is_some_and(|object| {
                let is_meant = |name: &Regex| name.is_match(object.name());
                aim.name.as_ref().is_none_or(is_meant)
            });
            if !operations.is_empty() {
                self.operations(&document, &root.path, aim, 0);
            } else if !is_own {
                let root = Root { object: document.object(), ..root.clone() };
                self.fields(&document, &root, aim, None);
            }
        }
    }

    /// One patch in a text, some lines down in its file.
    fn patch(&mut self, text: &str, lines: usize, root: &Root, aim: &PatchTarget) {
        let Ok(stream) = Stream::parse(text) else { return };
        for node in stream.documents() {
            let document = ReleaseDocument { path: "", text, stream: &stream, root: *node };
            if stream.items(document.root).is_empty() {
                self.fields(&document, root, aim, Some(lines));
            } else {
                self.operations(&document, &root.path, aim, lines);
            }
        }
    }

    /// A patch of operations, some lines down in its file.
    fn operations(
        &mut self,
        patch: &ReleaseDocument<'_>,
        file: &str,
        aim: &PatchTarget,
        lines: usize,
    ) {
        let operations = patch.stream.items(patch.root);
        for PatchedKind { kind, at } in &aim.kinds {
            let values = patch.operations(file, operations, at, lines);
            self.patches.push(Patch { kind, name: aim.name.clone(), values });
        }
    }

    /// A patch of fields; `lines` are those above it, where it is in a text.
    fn fields(
        &mut self,
        patch: &ReleaseDocument<'_>,
        root: &Root,
        aim: &PatchTarget,
        lines: Option<usize>,
    ) {
        let kind = patch.text_at(&["kind"]);
        let is_ours = |one: &&&PatchedKind| kind.map_or(aim.is_aimed, |kind| kind == one.kind);
        for PatchedKind { kind, at } in aim.kinds.iter().filter(is_ours) {
            let Some(node) = patch.at(at) else { continue };
            let keys = root.keys.iter().cloned().chain(at.iter().map(|key| (*key).to_owned()));
            let own = || patch.text_at(&["metadata", "name"]).and_then(literal);
            let name = if aim.is_aimed { aim.name.clone() } else { own() };
            let root = Root { keys: keys.collect(), ..root.clone() };
            let values = match *kind {
                OCI_REPOSITORY => Values::of_source(patch.stream, node, root, Rank::Patch),
                _ => Values::read(patch.stream, node, root, Rank::Patch),
            };
            let values = lines.map_or(values.clone(), |lines| values.below(lines));
            self.patches.push(Patch { kind, name, values });
        }
    }

    /// A `ConfigMap` with values in it, or a `Secret` that is written plainly.
    fn map(&mut self, document: &ReleaseDocument<'_>, object: &ReleaseObject) {
        let stream = document.stream;
        let field = match object {
            object if object.is("ConfigMap") => "data",
            object if object.is("Secret") => "stringData",
            _ => return,
        };
        let data = document.at(&[field]).map_or(&[][..], |data| stream.entries(data));
        for (key, value) in data {
            let (Some(key), value) = (stream.text(*key), stream.target(*value)) else { continue };
            let Some(text) = stream.text(value) else { continue };
            for KeyReference { release, wanted } in self.wanting(&[object.name()], key, document) {
                if !self.reads(text.len()) {
                    return;
                }
                let root = document.root_at(Some(object), &[field, key]);
                let line = stream.node(value).line();
                let values = wanted.values(text, document.lines_above(value), line, root);
                if let Some(values) = values {
                    self.add(&release, values);
                }
            }
        }
    }

    /// The releases that want a key of a `ConfigMap` of one of these names; it is that of those which are nearest.
    fn wanting(&self, maps: &[&str], key: &str, at: &ReleaseDocument<'_>) -> Vec<KeyReference> {
        let near = |by: &String| shared(directory(by), directory(at.path));
        let wanted = maps.iter().filter_map(|map| {
            self.maps.get(&ConfigKey { map: (*map).to_owned(), key: key.to_owned() })
        });
        let all = wanted.flatten().map(|(release, wanted)| {
            let nearest = wanted.by.iter().map(near).max();
            let by = wanted.by.iter().filter(|by| Some(near(by)) == nearest).cloned().collect();
            KeyReference { release: release.clone(), wanted: Wanted { by, ..wanted.clone() } }
        });
        all.collect()
    }

    /// Learns from generators of a kustomization: `values.yaml`, `values.yaml=prod.yaml`, or `key=value`.
    fn generated(&mut self, document: &ReleaseDocument<'_>) {
        let stream = document.stream;
        let text_at = |key: &str| document.text_at(&[key]).unwrap_or_default();
        let (prefix, suffix) = (text_at("namePrefix"), text_at("nameSuffix"));
        let maps = document.items(&["configMapGenerator"]);
        for item in maps.into_iter().chain(document.items(&["secretGenerator"])) {
            let Some(map) = document.text_of(item, "name") else { continue };
            let renamed = format!("{prefix}{map}{suffix}");
            let maps = if renamed == map { vec![map] } else { vec![map, &renamed] };
            for file in document.items_of(item, "files") {
                let Some(text) = stream.text(file) else { continue };
                let name = text.rsplit('/').next().unwrap_or(text);
                let (key, file) = text.split_once('=').unwrap_or((name, text));
                let path = beside(document.path, file);
                for KeyReference { release, wanted } in self.wanting(&maps, key, document) {
                    self.want_by(&release, &path, Rank::Map, &wanted.by);
                }
            }
            for literal in document.items_of(item, "literals") {
                self.literal(document, &maps, literal);
            }
        }
    }

    /// One `key=value` of a map that is made.
    fn literal(&mut self, document: &ReleaseDocument<'_>, maps: &[&str], literal: NodeId) {
        let text = document.stream.text(literal).and_then(|text| text.split_once('='));
        let Some((key, value)) = text else { return };
        let line = document.stream.node(literal).line();
        for KeyReference { release, wanted } in self.wanting(maps, key, document) {
            let root = Root::nowhere(document.path);
            if let Some(values) = wanted.values(value, line - 1, line, root) {
                self.add(&release, values);
            }
        }
    }
}

/// A release that wants a key of a map.
struct KeyReference {
    release: ReleaseName,
    wanted: Wanted,
}

/// The digests that post-renderers write (<https://fluxcd.io/flux/components/helm/helmreleases/#post-renderers>).
fn pins(document: &ReleaseDocument<'_>) -> Vec<Pin> {
    let renderers = document.items(&["spec", "postRenderers"]).into_iter();
    let kustomize = renderers.filter_map(|item| document.stream.get(item, "kustomize"));
    let images = kustomize.flat_map(|node| document.items_of(node, "images"));
    let pins = images.filter_map(|item| {
        let digest = document.text_of(item, "digest").filter(|digest| !digest.is_empty())?;
        let name = document.text_of(item, "newName").or_else(|| document.text_of(item, "name"))?;
        let line = document.stream.node(item).line();
        let said = format!(
            "`digest` of a post-renderer in line {line} of {} is `{digest}`",
            document.path
        );
        Some(Pin { repository: Repository::parse(name).ok()?, said })
    });
    pins.collect()
}

/// Keys of patches, in kustomizations and in objects of Flux's.
const PATCHES: [&[&str]; 5] = [
    &["patches"],
    &["spec", "patches"],
    &["patchesJson6902"],
    &["patchesStrategicMerge"],
    &["spec", "patchesStrategicMerge"],
];

impl Wanted {
    /// Values in a key of a `ConfigMap`, some lines down: all of them, or one.
    fn values(&self, text: &str, lines: usize, line: usize, root: Root) -> Option<Values> {
        let values = if self.under.is_empty() {
            Values::in_text(text, lines, root, Rank::Map)?
        } else {
            let keys = self.under.clone();
            let values =
                Single::all(Root::nowhere(&root.path), vec![Single { keys, value: text, line }]);
            Values { rank: Rank::Map, ..values }
        };
        Some(Values { named_by: self.by.clone(), ..values })
    }
}

/// Part of a path that the first `*` of a pattern matches.
fn filled<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let (before, behind) = pattern.split_once('*')?;
    let behind = behind.trim_start_matches('*');
    let rest = path.strip_prefix(before)?;
    if behind.contains('*') {
        return rest.split('/').next();
    }
    rest.strip_suffix(behind)
}

/// Number of directories that two paths have in common.
fn shared(one: &str, other: &str) -> usize {
    one.split('/').zip(other.split('/')).take_while(|(one, other)| one == other).count()
}

/// Kinds of objects that patches are looked at for, and the keys that lead to their values.
const PATCHED: [PatchedKind; 2] = [
    PatchedKind { kind: HELM_RELEASE, at: &["spec", "values"] },
    PatchedKind { kind: OCI_REPOSITORY, at: &["spec"] },
];

/// A kind of objects with values.
struct PatchedKind {
    kind: &'static str,
    at: &'static [&'static str],
}

/// The releases that a patch is for.
struct PatchTarget {
    kinds: Vec<&'static PatchedKind>,
    name: Option<Regex>,
    /// True if a `target` says so; else the patch does.
    is_aimed: bool,
}

/// A pattern of whole names, as kustomize reads it.
fn whole(pattern: &str) -> Option<Regex> {
    // What is larger may mean anything.
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(MAX_PATTERN).build().ok()
}

/// A larger pattern of names is nobody's, in bytes when it is compiled.
const MAX_PATTERN: usize = 32 << 10;

fn literal(name: &str) -> Option<Regex> {
    whole(&regex::escape(name))
}
