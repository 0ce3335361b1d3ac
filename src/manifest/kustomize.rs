//! kustomize's `images`: `name`, `newName`, `newTag`, `digest`
//! (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/>).

use std::collections::BTreeSet;

use super::finder::Finder;
use super::{Found, Named, Obstacle, Obstructed, Site, Spot};
use crate::image::Repository;
use crate::policy::{is_within, resolved};
use crate::yaml::{NodeId, Stream};

const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The items of every `images` list that kustomize would read.
pub(super) fn items(path: &str, stream: &Stream) -> BTreeSet<NodeId> {
    let by_name = path.rsplit('/').next().is_some_and(|name| FILE_NAMES.contains(&name));
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
    /// What resources call it.
    from: Repository,
    /// What runs.
    to: Repository,
    /// The files and directories whose resources are meant.
    reach: Vec<String>,
    /// The line and the file of the `newName`, as a phrase.
    said: String,
}

/// The images to which a kustomization gives another name alone.
#[must_use]
pub fn renamed(path: &str, stream: &Stream) -> Vec<Renamed> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let lists = stream.documents().iter().flat_map(|root| {
        let keys = ["resources", "bases", "components"].into_iter();
        keys.filter_map(|key| Some(stream.target(stream.get(stream.target(*root), key)?)))
    });
    let others = lists.flat_map(|list| stream.items(list)).filter_map(|item| stream.text(*item));
    let reach = others.filter(|other| !other.contains("://"));
    let reach: Vec<String> = reach.map(|other| resolved(&format!("{directory}/{other}"))).collect();
    let read = |item: NodeId| {
        let node = stream.get(item, "newName")?;
        let name = |node: NodeId| Repository::parse(stream.text(stream.target(node))?).ok();
        let (from, to) = (name(stream.get(item, "name")?)?, name(node)?);
        let has_tag = stream.get(item, "newTag").is_some();
        let said = format!("`newName` in line {} of {path} is `{to}`", stream.node(node).line());
        (!has_tag && from != to).then(|| Renamed { from, to, reach: reach.clone(), said })
    };
    items(path, stream).into_iter().filter_map(read).collect()
}

/// Leaves places alone whose image has another name where they are deployed.
pub(super) fn leave_renamed(path: &str, found: &mut Found, renamed: &[Renamed]) {
    let is_one = path.rsplit('/').next().is_some_and(|name| FILE_NAMES.contains(&name));
    let here = |one: &&Renamed| !is_one && one.reach.iter().any(|outer| is_within(path, outer));
    let renamed: Vec<&Renamed> = renamed.iter().filter(here).collect();
    let of = |site: &Site| renamed.iter().find(|one| one.from == site.repository);
    let left = found.sites.iter().filter_map(|site| Some((site, of(site)?)));
    let left: Vec<Obstructed> = left
        .flat_map(|(site, one)| {
            [&one.from, &one.to].map(|name| Obstructed {
                named: Named::Is(name.clone()),
                spot: Spot { line: site.line, column: 1, span: 0..0 },
                obstacle: Obstacle::Elsewhere(one.said.as_str().into()),
            })
        })
        .collect();
    found.sites.retain(|site| of(site).is_none());
    found.obstructed.extend(left);
}

/// Looks at one item. What runs is `newName` where it is given.
pub(super) fn visit(finder: &mut Finder<'_>, item: NodeId) {
    let key = if finder.stream.get(item, "newName").is_some() { "newName" } else { "name" };
    let Some(node) = finder.stream.get(item, key) else { return };
    let Some(Ok(repository)) = finder.text(item, key).map(Repository::parse) else { return };
    let is_clear = ["name", "newName"].iter().all(|key| !finder.stream.is_repeated(item, key));
    let written =
        if is_clear { finder.siblings(item, &["newTag"]) } else { Err(Obstacle::Repeated.into()) };
    finder.record(repository, node, written);
}
