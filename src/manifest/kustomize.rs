//! kustomize's `images`: `name`, `newName`, `newTag`, `digest`
//! (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/>).

use std::collections::{BTreeSet, HashMap};

use super::finder::Finder;
use super::others::Objection;
use super::{Obstacle, Site};
use crate::image::{Reference, Repository};
use crate::policy::{KUSTOMIZE_API_GROUP, beside, directory, follow, is_within, resolved};
use crate::yaml::{NodeId, Stream};

/// The names of kustomize's files.
pub const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Releases of charts by Flux.
const HELM_API_GROUP: &str = "helm.toolkit.fluxcd.io/";

/// True if a file is kustomize's, by its name.
#[must_use]
pub fn is_kustomization(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| KUSTOMIZATIONS.contains(&name))
}

/// The items of every `images` list that kustomize would read.
pub(super) fn items(path: &str, stream: &Stream) -> BTreeSet<NodeId> {
    let by_name = is_kustomization(path);
    let lists = stream.documents().iter().filter_map(|root| {
        let kind = stream.get(*root, "kind").and_then(|kind| stream.text(kind));
        let is_kustomize = match kind {
            Some(kind) => matches!(kind, "Kustomization" | "Component"),
            None => by_name,
        };
        // Flux's object of this name has them in its `spec`.
        let spec = stream.get(*root, "spec").map_or(*root, |spec| stream.target(spec));
        let own = stream.get(*root, "images").or_else(|| stream.get(spec, "images"));
        own.filter(|_| is_kustomize)
    });
    // However many aliases repeat a list, it is one.
    let lists: BTreeSet<NodeId> = lists.map(|list| stream.target(list)).collect();
    let items = lists.iter().flat_map(|list| stream.items(*list));
    items.copied().filter(|item| stream.get(*item, "name").is_some()).collect()
}

/// The names that a kustomization gives tags or other names to: what bases call the images.
#[must_use]
pub fn names(path: &str, stream: &Stream) -> Vec<String> {
    let named = items(path, stream).into_iter().filter(|item| {
        ["newTag", "newName", "digest"].iter().any(|key| stream.get(*item, key).is_some())
    });
    let text = |item: NodeId| stream.text(stream.get(item, "name")?).map(str::to_owned);
    named.filter_map(text).collect()
}

/// An image that a kustomization gives another name to, and no tag: the tag of the resource stays, and is one of the other image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The file that says so.
    path: String,
    /// What resources call it.
    from: Repository,
    /// What runs.
    to: Repository,
    /// The files and directories whose resources are meant.
    reach: Vec<String>,
    /// The line and the file of the `newName`, as a phrase.
    said: String,
    /// True if it is in a component: who takes that has its resources renamed.
    is_of_component: bool,
}

impl Renamed {
    /// Objects where an image has another name when it is deployed.
    pub(super) fn objection(&self, site: &Site) -> Option<Objection> {
        let obstacle = || Obstacle::Elsewhere(self.said.as_str().into());
        (self.from == site.repository)
            .then(|| Objection { obstacle: obstacle(), also: Some(self.to.clone()) })
    }

    /// True if resources of a file are meant, or a kustomization's: what it says comes first. Its own file, only by its name.
    pub(super) fn is_over(&self, path: &str) -> bool {
        let is_its = |outer: &String| {
            if path == self.path { outer == path } else { is_within(path, outer) }
        };
        self.reach.iter().any(is_its)
    }

    /// The directory, where it is in a component.
    #[must_use]
    pub fn component(&self) -> Option<&str> {
        self.is_of_component.then(|| directory(&self.path))
    }

    /// Means more files and directories.
    pub fn extend(&mut self, reach: impl IntoIterator<Item = String>) {
        self.reach.extend(reach);
    }

    /// Follows the kustomizations of the directories that are meant to what they take in turn; `next` knows that.
    pub fn follow(&mut self, next: &mut dyn FnMut(&str) -> Vec<String>) {
        follow(&mut self.reach, next);
    }
}

/// The files and directories that a kustomization takes.
#[must_use]
pub fn taken_by(path: &str, text: &str) -> Vec<String> {
    let Ok(stream) = Stream::parse(text) else { return Vec::new() };
    stream.documents().iter().flat_map(|root| taken(path, &stream, *root)).collect()
}

/// The names that a kustomization gives tags to, and the files and directories whose resources are meant.
#[derive(Debug)]
pub(super) struct Completed {
    names: BTreeSet<Repository>,
    reach: Vec<String>,
}

impl Completed {
    pub(super) fn of(path: &str, stream: &Stream) -> Option<Self> {
        let all = names(path, stream).into_iter();
        let names: BTreeSet<Repository> =
            all.filter_map(|name| Repository::parse(&name).ok()).collect();
        let reach = stream.documents().iter().flat_map(|root| taken(path, stream, *root));
        (!names.is_empty()).then(|| Self { names, reach: reach.collect() })
    }

    /// True if an image of a file gets its tag here.
    pub(super) fn is_of(&self, image: &Repository, path: &str) -> bool {
        self.names.contains(image) && self.reach.iter().any(|outer| is_within(path, outer))
    }
}

fn taken(path: &str, stream: &Stream, root: NodeId) -> Vec<String> {
    let lists = ["resources", "bases", "components"].into_iter();
    let lists = lists.filter_map(|key| Some(stream.target(stream.get(root, key)?)));
    let others = lists.flat_map(|list| stream.items(list)).filter_map(|item| stream.text(*item));
    let own = others.filter(|other| !other.contains("://"));
    own.map(|other| beside(path, other)).collect()
}

/// A list that gives images other names: of a kustomization, a `Kustomization` of Flux's
/// (<https://fluxcd.io/flux/components/kustomize/kustomizations/#images>), what comes behind a chart in Flux
/// (<https://fluxcd.io/flux/components/helm/helmreleases/#post-renderers>), or a source of Argo CD's
/// (<https://argo-cd.readthedocs.io/en/stable/user-guide/kustomize/>).
struct Renamer<'s> {
    path: &'s str,
    stream: &'s Stream<'s>,
    list: NodeId,
    /// The files and directories whose resources are meant.
    reach: Vec<String>,
    is_of_component: bool,
}

/// The images to which a file gives another name alone.
pub(super) fn renamed(path: &str, stream: &Stream) -> Vec<Renamed> {
    let documents = stream.documents().iter();
    documents.flat_map(|root| renamers(path, stream, *root)).flat_map(|one| one.renamed()).collect()
}

fn renamers<'s>(path: &'s str, stream: &'s Stream<'s>, root: NodeId) -> Vec<Renamer<'s>> {
    let at = |node: NodeId, keys: &[&str]| stream.at(node, keys);
    let text = |node: NodeId, keys: &[&str]| stream.text(at(node, keys)?);
    let of = |list: Option<NodeId>, reach: Option<&str>| {
        let (reach, is_of_component) = (vec![resolved(reach?)], false);
        Some(Renamer { path, stream, list: list?, reach, is_of_component })
    };
    let version = text(root, &["apiVersion"]).unwrap_or_default();
    if version.starts_with(KUSTOMIZE_API_GROUP) {
        let reach = text(root, &["spec", "path"]).or(Some(""));
        return of(at(root, &["spec", "images"]), reach).into_iter().collect();
    }
    if version.starts_with("argoproj.io/") {
        let specs = [at(root, &["spec"]), at(root, &["spec", "template", "spec"])];
        let sources = specs.into_iter().flatten().flat_map(|spec| {
            let several = at(spec, &["sources"]).map_or(&[][..], |list| stream.items(list));
            several.iter().map(|item| stream.target(*item)).chain(at(spec, &["source"]))
        });
        let images = |source| of(at(source, &["kustomize", "images"]), text(source, &["path"]));
        return sources.filter_map(images).collect();
    }
    if version.starts_with(HELM_API_GROUP) {
        let all = at(root, &["spec", "postRenderers"]).map_or(&[][..], |list| stream.items(list));
        let images = |item: &NodeId| of(at(*item, &["kustomize", "images"]), Some(path));
        return all.iter().filter_map(images).collect();
    }
    let reach = taken(path, stream, root);
    let is_of_component = text(root, &["kind"]) == Some("Component");
    let list = at(root, &["images"]);
    let list = list.map(|list| Renamer { path, stream, list, reach, is_of_component });
    list.into_iter().collect()
}

impl Renamer<'_> {
    fn renamed(&self) -> Vec<Renamed> {
        self.stream.items(self.list).iter().filter_map(|item| self.one(*item)).collect()
    }

    fn one(&self, item: NodeId) -> Option<Renamed> {
        let stream = self.stream;
        let (from, to, node) = match stream.text(item) {
            // Argo CD's: `old=new`.
            Some(text) => {
                let (from, to) = text.split_once('=')?;
                (from, to, item)
            }
            None => {
                let node = stream.get(item, "newName")?;
                if stream.get(item, "newTag").is_some() {
                    return None;
                }
                let text = |node: NodeId| stream.text(stream.target(node));
                (text(stream.get(item, "name")?)?, text(node)?, node)
            }
        };
        // With a tag, it is a place of its own.
        let to = Reference::parse(to).filter(|to| to.tag.is_none())?.repository;
        let from = Repository::parse(from).ok()?;
        let said =
            format!("the new name in line {} of {} is `{to}`", stream.node(node).line(), self.path);
        let (path, reach) = (self.path.to_owned(), self.reach.clone());
        let is_of_component = self.is_of_component;
        (from != to).then_some(Renamed { path, from, to, reach, said, is_of_component })
    }
}

/// Names the later entry of the list that changes the image again: entries change what those before them made.
/// Names are compared as they are written.
fn changed_again(finder: &mut Finder<'_>, item: NodeId, name: &str) -> Option<Box<str>> {
    let list = finder.parent(item)?;
    if finder.entries.0 != Some(list) {
        finder.entries = (Some(list), by_name(finder, list));
    }
    let Changed { start, line } = *finder.entries.1.get(name)?;
    let own = finder.stream.node(item).span().start;
    (start > own).then(|| format!("the entry in line {line} changes this image once more").into())
}

/// The last entry of a list that changes a name.
#[derive(Clone, Copy)]
pub(super) struct Changed {
    /// Its first byte.
    start: usize,
    line: usize,
}

/// The last entry of a list that changes each name.
fn by_name(finder: &Finder<'_>, list: NodeId) -> HashMap<String, Changed> {
    let stream = finder.stream;
    let entries = stream.items(list).iter().filter_map(|item| {
        let item = stream.target(*item);
        let node = stream.node(item);
        let name = finder.text(item, "name")?.to_owned();
        let entry = Changed { start: node.span().start, line: node.line() };
        // Another tag of it is a place of its own, and moves with this one.
        let is_other = finder.text(item, "newName").is_some_and(|new| new != name);
        let is_pinned = finder.text(item, "digest").is_some_and(|digest| !digest.is_empty());
        (is_other || is_pinned).then_some((name, entry))
    });
    entries.collect()
}

/// Looks at one item. What runs is `newName` where it is given.
pub(super) fn visit(finder: &mut Finder<'_>, item: NodeId) {
    let key = if finder.stream.get(item, "newName").is_some() { "newName" } else { "name" };
    let Some(node) = finder.stream.get(item, key) else { return };
    let Some(Ok(repository)) = finder.text(item, key).map(Repository::parse) else { return };
    let is_clear = ["name", "newName"].iter().all(|key| !finder.stream.is_repeated(item, key));
    let name = finder.text(item, key).unwrap_or_default().to_owned();
    let written = match changed_again(finder, item, &name) {
        _ if !is_clear => Err(Obstacle::Repeated.into()),
        Some(said) => Err(Obstacle::Unread(said).into()),
        None => finder.siblings(item, &["newTag"]),
    };
    finder.record(repository, node, written);
}
