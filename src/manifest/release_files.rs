//! Which files hold values of releases, and what is said there: [`Releases`] learns from one file after the other.

use std::collections::BTreeSet;

use regex::Regex;

use super::is_kustomization;
use super::layers::{Laid, Laids, laid_in};
use super::lent::{Borrowers, OWN};
use super::release::{HELM_RELEASE, Object, Patch, Rank, Release, Releases, Root, Values};
use crate::policy::{beside, resolved};
use crate::yaml::{NodeId, Stream};

/// A key of a `ConfigMap`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConfigKey {
    map: String,
    key: String,
}

/// The key of a `ConfigMap` where Flux looks for values.
const VALUES: &str = "values.yaml";

/// A file of the repository, by its path; nothing where it cannot be read.
type ReadFile<'r> = &'r dyn Fn(&str) -> Option<String>;

/// True if a file may hold values of a release, by its path and what its bytes contain.
#[must_use]
pub fn is_fleet(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("fleet.yaml" | "fleet.yml"))
}

impl Releases {
    /// Learns from a file with releases, or patches of them; patches that are in files of their own are read.
    pub fn learn(&mut self, path: &str, text: &str, read: ReadFile<'_>) {
        let Ok(stream) = Stream::parse(text) else { return };
        for root in stream.documents() {
            let document = Document { path, text, stream: &stream, root: stream.target(*root) };
            let object = Object::of(&stream, *root);
            match object {
                Some(object) if object.is(HELM_RELEASE) => self.of_flux(&document, &object),
                _ if document.text_at(&["apiVersion"]).is_some_and(|v| v.starts_with(ARGO)) => {
                    self.of_argo(&document);
                }
                _ if is_fleet(path) => self.of_fleet(&document),
                _ => {}
            }
            for keys in [&["patches"][..], &["spec", "patches"], &["patchesJson6902"]] {
                self.patches(&document, keys, read);
            }
        }
    }

    /// The files of values that releases name.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// True if a release takes values from a `ConfigMap`.
    #[must_use]
    pub fn want_maps(&self) -> bool {
        !self.maps.is_empty()
    }

    /// Learns what a file of values says.
    pub fn learn_values(&mut self, path: &str, text: &str) {
        let Some(wanted) = self.files.get(path).cloned() else { return };
        let Ok(stream) = Stream::parse(text) else { return };
        let Some(node) = stream.documents().first() else { return };
        for (release, rank) in wanted {
            let root = Root { path: path.to_owned(), object: None, keys: Vec::new() };
            self.add(&release, Values::read(&stream, stream.target(*node), root, rank));
        }
    }

    /// Learns from a file with `ConfigMap`s, or with what kustomize makes them of.
    pub fn learn_maps(&mut self, path: &str, text: &str) {
        let Ok(stream) = Stream::parse(text) else { return };
        for root in stream.documents() {
            let document = Document { path, text, stream: &stream, root: stream.target(*root) };
            if is_kustomization(path) {
                self.generated(&document);
            }
            if let Some(object) = Object::of(&stream, *root) {
                self.map(&document, &object);
            }
        }
    }

    /// A `HelmRelease`, or a patch of one, which names no chart.
    fn of_flux(&mut self, document: &Document<'_>, object: &Object) {
        let release = Release::of_flux(object.name());
        let is_whole =
            ["chart", "chartRef"].iter().any(|key| document.at(&["spec", key]).is_some());
        let rank = if is_whole { Rank::Own } else { Rank::Patch };
        if let Some(values) = document.at(&["spec", "values"]) {
            let root = document.root_at(Some(object), &["spec", "values"]);
            self.add(&release, Values::read(document.stream, values, root, rank));
        }
        for item in document.items(&["spec", "valuesFrom"]) {
            let text = |key: &str| document.text_of(item, key);
            let Some(map) = text("name").map(str::to_owned) else { continue };
            let key = text("valuesKey").unwrap_or(VALUES).to_owned();
            self.maps.entry(ConfigKey { map, key }).or_default().insert(release.clone());
        }
        let chart = ["spec", "chart", "spec"];
        // In a repository of git, the chart and its files of values have paths from its root.
        let path = document.text_at(&[&chart[..], &["chart"]].concat());
        let is_path = |path: &&str| path.starts_with('.') || path.contains('/');
        if let Some(path) = path.filter(is_path) {
            self.want(&release, &format!("{path}/{VALUES}"), Rank::Chart);
        }
        for file in document.items(&[&chart[..], &["valuesFiles"]].concat()) {
            if let Some(file) = document.stream.text(file) {
                self.want(&release, file, Rank::File);
            }
        }
    }

    /// The sources of an `Application`, or of an `ApplicationSet`.
    fn of_argo(&mut self, document: &Document<'_>) {
        for spec in [&["spec"][..], &["spec", "template", "spec"]] {
            let one = [spec, &["source"]].concat();
            let all = [spec, &["sources"]].concat();
            let count = document.items(&all).len();
            let several = (0..count).map(|index| {
                let keys = all.iter().map(|key| (*key).to_owned());
                keys.chain([index.to_string()]).collect::<Vec<_>>()
            });
            let single = one.iter().map(|key| (*key).to_owned()).collect();
            for keys in std::iter::once(single).chain(several) {
                self.of_source(document, keys);
            }
        }
    }

    fn of_source(&mut self, document: &Document<'_>, mut keys: Vec<String>) {
        let Some(source) = document.down(&keys) else { return };
        let path = document.text_of(source, "path").map(resolved);
        keys.push("helm".to_owned());
        let release = Release(format!("{}:{}", document.path, keys.join(".")));
        if let Some(path) = &path {
            self.want(&release, &format!("{path}/{VALUES}"), Rank::Chart);
        }
        let Some(helm) = document.down(&keys) else { return };
        for file in document.items_of(helm, "valueFiles") {
            let Some(file) = document.stream.text(file).filter(|file| !is_open(file)) else {
                continue;
            };
            match (file.strip_prefix('$').and_then(|file| file.split_once('/')), &path) {
                // Of a source that is named, from its root: most often, this repository.
                (Some((_, file)), _) => self.want(&release, file, Rank::File),
                (None, Some(path)) if !file.starts_with('/') => {
                    self.want(&release, &format!("{path}/{file}"), Rank::File);
                }
                _ => self.want(&release, file, Rank::File),
            }
        }
        for key in ["valuesObject", "values"] {
            let root = document.root_below(&keys, key);
            let Some(values) = document.stream.get(helm, key) else { continue };
            self.of_node(document, &release, values, root);
        }
        self.parameters(document, &release, helm);
    }

    /// Values that are a mapping, or a text.
    fn of_node(&mut self, document: &Document<'_>, release: &Release, node: NodeId, root: Root) {
        let stream = document.stream;
        let node = stream.target(node);
        let values = match stream.text(node) {
            Some(text) => Values::in_text(text, document.lines_above(node), root, Rank::Own),
            None => Some(Values::read(stream, node, root, Rank::Own)),
        };
        if let Some(values) = values {
            self.add(release, values);
        }
    }

    /// Values that are set by their dotted names.
    fn parameters(&mut self, document: &Document<'_>, release: &Release, helm: NodeId) {
        let items = document.items_of(helm, "parameters");
        let single = items.into_iter().filter_map(|item| {
            let text = |key: &str| document.text_of(item, key);
            let keys = text("name")?.split('.').map(str::to_owned).collect();
            Some(Single { keys, value: text("value")?, line: document.stream.node(item).line() })
        });
        let single: Vec<Single<'_>> = single.collect();
        self.add(release, Single::all(document.path, single));
    }

    /// What Rancher Fleet deploys, for each of its targets.
    fn of_fleet(&mut self, document: &Document<'_>) {
        let targets = document.items(&["targetCustomizations"]).len();
        let helm = || vec!["helm".to_owned()];
        let customized = (0..targets).map(|index| {
            ["targetCustomizations", &index.to_string(), "helm"].map(str::to_owned).to_vec()
        });
        for (index, target) in std::iter::once(None).chain(customized.map(Some)).enumerate() {
            let release = Release(format!("{}#{index}", document.path));
            let all = [Some(helm()), target];
            for (keys, rank) in all.into_iter().flatten().zip([Rank::Own, Rank::Patch]) {
                self.of_helm(document, &release, &keys, rank);
            }
        }
    }

    fn of_helm(&mut self, document: &Document<'_>, release: &Release, keys: &[String], rank: Rank) {
        let Some(helm) = document.down(keys) else { return };
        let stream = document.stream;
        let chart = document.text_of(helm, "chart").filter(|chart| !chart.contains("://"));
        if let Some(chart) = chart.filter(|_| stream.get(helm, "repo").is_none()) {
            let chart = beside(document.path, chart);
            self.want(release, &format!("{chart}/{VALUES}"), Rank::Chart);
        }
        for file in document.items_of(helm, "valuesFiles") {
            let Some(file) = stream.text(file) else { continue };
            self.want(release, &beside(document.path, file), Rank::File);
        }
        if let Some(values) = stream.get(helm, "values").map(|values| stream.target(values)) {
            let root = document.root_below(keys, "values");
            self.add(release, Values::read(stream, values, root, rank));
        }
    }

    fn want(&mut self, release: &Release, path: &str, rank: Rank) {
        self.files.entry(resolved(path)).or_default().insert(release.clone(), rank);
    }

    /// Patches of Flux's releases: of fields, or operations
    /// (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/patches/>).
    fn patches(&mut self, document: &Document<'_>, keys: &[&str], read: ReadFile<'_>) {
        let stream = document.stream;
        for (index, item) in document.items(keys).into_iter().enumerate() {
            let target = stream.get(item, "target").map(|target| stream.target(target));
            let of_target = |key: &str| document.text_of(target?, key);
            if of_target("kind").is_some_and(|kind| kind != HELM_RELEASE) {
                continue;
            }
            let aim = Aim { name: of_target("name").and_then(whole), is_aimed: target.is_some() };
            let inline = stream.get(item, "patch").map(|node| stream.target(node));
            if let Some((node, text)) = inline.and_then(|node| Some((node, stream.text(node)?))) {
                let keys = keys.iter().map(|key| (*key).to_owned());
                let keys = keys.chain([index.to_string(), "patch".to_owned()]).collect();
                let root = Root { path: document.path.to_owned(), object: document.object(), keys };
                self.patch(text, document.lines_above(node), &root, &aim);
            }
            let path = document.text_of(item, "path").map(|path| beside(document.path, path));
            let outside = path.and_then(|path| Some((read(&path)?, path)));
            // What says by itself which release it is for, is found by itself.
            if let Some((text, path)) = outside.filter(|(text, _)| !text.contains("apiVersion")) {
                let root = Root { path, object: None, keys: Vec::new() };
                self.patch(&text, 0, &root, &aim);
            }
        }
    }

    /// One patch, some lines down in its file.
    fn patch(&mut self, text: &str, lines: usize, root: &Root, aim: &Aim) {
        let Ok(stream) = Stream::parse(text) else { return };
        for document in stream.documents() {
            let document = Document { path: "", text, stream: &stream, root: *document };
            let operations = stream.items(document.root);
            let values = document.at(&["spec", "values"]);
            let is_ours = document.text_at(&["kind"]).map_or(aim.is_aimed, |k| k == HELM_RELEASE);
            if !operations.is_empty() {
                let values = document.operations(&root.path, operations, lines);
                self.patches.push(Patch { name: aim.name.clone(), values });
            } else if let Some(values) = values.filter(|_| is_ours) {
                let keys = root.keys.iter().cloned();
                let keys = keys.chain(["spec", "values"].map(str::to_owned)).collect();
                let own = || document.text_at(&["metadata", "name"]).and_then(literal);
                let name = if aim.is_aimed { aim.name.clone() } else { own() };
                let root = Root { keys, ..root.clone() };
                let values = Values::read(&stream, values, root, Rank::Patch).below(lines);
                self.patches.push(Patch { name, values });
            }
        }
    }

    /// A `ConfigMap` with values in it.
    fn map(&mut self, document: &Document<'_>, object: &Object) {
        let stream = document.stream;
        let data = document.at(&["data"]).map_or(&[][..], |data| stream.entries(data));
        for (key, value) in data.iter().filter(|_| object.is("ConfigMap")) {
            let (Some(key), value) = (stream.text(*key), stream.target(*value)) else { continue };
            let Some(text) = stream.text(value) else { continue };
            let lines = document.lines_above(value);
            for release in self.wanting(object.name(), key) {
                let root = document.root_at(Some(object), &["data", key]);
                let values = Values::in_text(text, lines, root, Rank::Map);
                if let Some(values) = values {
                    self.add(&release, values);
                }
            }
        }
    }

    /// The releases that want a key of a `ConfigMap`.
    fn wanting(&self, map: &str, key: &str) -> BTreeSet<Release> {
        let wanted = ConfigKey { map: map.to_owned(), key: key.to_owned() };
        self.maps.get(&wanted).cloned().unwrap_or_default()
    }

    /// What a kustomization makes `ConfigMap`s of: `values.yaml`, or `values.yaml=prod.yaml`.
    fn generated(&mut self, document: &Document<'_>) {
        let stream = document.stream;
        for item in document.items(&["configMapGenerator"]) {
            let Some(map) = document.text_of(item, "name") else { continue };
            for file in document.items_of(item, "files") {
                let Some(text) = stream.text(file) else { continue };
                let name = text.rsplit('/').next().unwrap_or(text);
                let (key, file) = text.split_once('=').unwrap_or((name, text));
                for release in self.wanting(map, key) {
                    self.want(&release, &beside(document.path, file), Rank::Map);
                }
            }
        }
    }
}

/// The group of Argo CD's objects.
pub(super) const ARGO: &str = "argoproj.io/";

/// The releases that a patch is for.
struct Aim {
    name: Option<Regex>,
    /// True if a `target` says so; else the patch does.
    is_aimed: bool,
}

/// A pattern of whole names, as kustomize reads it.
fn whole(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

fn literal(name: &str) -> Option<Regex> {
    whole(&regex::escape(name))
}

/// True for a path that is filled in elsewhere, or that is none of this repository.
fn is_open(path: &str) -> bool {
    path.contains("{{") || path.contains("://")
}

/// One document of a file.
struct Document<'a> {
    path: &'a str,
    text: &'a str,
    stream: &'a Stream<'a>,
    root: NodeId,
}

impl<'a> Document<'a> {
    fn at(&self, keys: &[&str]) -> Option<NodeId> {
        keys.iter()
            .try_fold(self.root, |node, key| Some(self.stream.target(self.stream.get(node, key)?)))
    }

    fn text_at(&self, keys: &[&str]) -> Option<&'a str> {
        self.stream.text(self.at(keys)?)
    }

    fn text_of(&self, node: NodeId, key: &str) -> Option<&'a str> {
        self.stream.text(self.stream.target(self.stream.get(node, key)?))
    }

    fn items(&self, keys: &[&str]) -> Vec<NodeId> {
        let items = self.at(keys).map_or(&[][..], |node| self.stream.items(node));
        items.iter().map(|item| self.stream.target(*item)).collect()
    }

    fn items_of(&self, node: NodeId, key: &str) -> Vec<NodeId> {
        Document { root: node, ..*self }.items(&[key])
    }

    /// What keys, and indices of lists, lead to.
    fn down(&self, keys: &[String]) -> Option<NodeId> {
        let step = |node, key: &String| Some(self.stream.target(self.stream.step(node, key)?));
        keys.iter().try_fold(self.root, step)
    }

    fn object(&self) -> Option<Object> {
        Object::of(self.stream, self.root)
    }

    fn root_at(&self, object: Option<&Object>, keys: &[&str]) -> Root {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Root { path: self.path.to_owned(), object: object.cloned(), keys }
    }

    fn root_below(&self, keys: &[String], key: &str) -> Root {
        let keys = keys.iter().cloned().chain([key.to_owned()]).collect();
        Root { path: self.path.to_owned(), object: self.object(), keys }
    }

    /// The lines of the file above a text in it.
    fn lines_above(&self, node: NodeId) -> usize {
        let locator = self.stream.locator(self.text, node);
        locator.map_or(self.stream.node(node).line(), |locator| locator.line()) - 1
    }

    /// What operations on values say (<https://www.rfc-editor.org/rfc/rfc6902>).
    fn operations(&self, path: &str, operations: &[NodeId], lines: usize) -> Values {
        let (mut single, mut laid) = (Vec::new(), Laids::new());
        for operation in operations {
            let pointer = self.text_of(*operation, "path");
            let pointer = pointer.and_then(|path| path.strip_prefix("/spec/values/"));
            let value = self.stream.get(*operation, "value").map(|node| self.stream.target(node));
            let (Some(pointer), Some(node)) = (pointer, value) else { continue };
            let keys = pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~"));
            let keys: Vec<String> = keys.collect();
            if let Some(value) = self.stream.text(node) {
                let line = self.stream.node(node).line() + lines;
                single.push(Single { keys, value, line });
                continue;
            }
            for (beneath, all) in laid_in(self.stream, node) {
                let at = keys.iter().cloned().chain(beneath).collect();
                laid.insert(at, all.into_iter().map(|one| one.below(lines)).collect());
            }
        }
        let mut values = Single::all(path, single);
        values.laid.extend(laid);
        Values { rank: Rank::Patch, ..values }
    }
}

/// A value that is set alone.
struct Single<'v> {
    /// The keys that lead to it, its own the last.
    keys: Vec<String>,
    value: &'v str,
    line: usize,
}

impl Single<'_> {
    /// The values of a file.
    fn all(path: &str, all: Vec<Self>) -> Values {
        let (mut laid, mut borrowers, mut named) =
            (Laids::new(), Borrowers::new(), BTreeSet::new());
        for Self { mut keys, value, line } in all {
            let key = keys.pop().unwrap_or_default();
            if OWN.contains(&key.as_str()) {
                named.insert(keys.clone());
            }
            if key == "tag" && !value.is_empty() {
                borrowers.insert(keys.clone(), line);
            }
            if let Some(one) = Laid::single(&key, value, line) {
                laid.entry(keys).or_default().push(one);
            }
        }
        // What is named and tagged here is a place of its own.
        for keys in named.iter().filter(|keys| borrowers.contains_key(*keys)) {
            laid.remove(keys);
        }
        borrowers.retain(|keys, _| !named.contains(keys));
        Values::single(path, laid, borrowers)
    }
}
