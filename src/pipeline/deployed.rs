//! What the files of a tree deploy, whatever policies there are.

use std::collections::{BTreeMap, BTreeSet};

use super::survey::MAX_LAYERS;
use super::{Tree, sweep};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::image::Repository;
use crate::manifest::{
    MAX_FILE, Named, Names, Obstacle, Setters, find, is_candidate, kustomize_names,
};
use crate::policy::{Exclusion, Policy, PolicySet, RepositorySettings, SETTINGS_FILE, directory};
use crate::starter::{DeployedImage, RENOVATE_FILES};
use crate::yaml::{NodeId, Stream};

/// What files hold that other tools are told with.
pub(super) const TOLD_BY: [&str; 2] =
    ["image.toolkit.fluxcd.io/", "argocd-image-updater.argoproj.io"];

/// What is not deployed: workflows run where they are.
const NOT_DEPLOYED: &str = ".github/";

/// What annotations of Argo CD's updater begin with: they name keys of Helm's values, and no image.
const TOLD: &str = "argocd-image-updater.argoproj.io/";

/// Images that one file names.
struct FileImages {
    deployed: Vec<DeployedImage>,
    untagged: Vec<(Repository, String)>,
    /// Names that may be of several images, with where and why.
    unclear: Vec<String>,
    /// Names that a kustomization completes.
    completed: Vec<String>,
    /// True if something else writes the file.
    is_of_others: bool,
    /// The names that it lends to tags in files that are laid over it.
    names: Option<Names>,
}

/// Images that the files of a tree name.
#[derive(Default)]
pub(super) struct DeployedImages {
    pub(super) deployed: Vec<DeployedImage>,
    pub(super) untagged: BTreeMap<Repository, Vec<String>>,
    /// Names that may be of several images.
    pub(super) unclear: Vec<String>,
    pub(super) skipped: Vec<String>,
}

/// What the files of a tree name.
pub(super) fn deployed(tree: &Tree, settings: &RepositorySettings) -> DeployedImages {
    let is_wanted = |path: &&String| {
        let is_policy = settings.policies.is_match(path) || *path == SETTINGS_FILE;
        is_candidate(path)
            && !is_policy
            && !path.starts_with(NOT_DEPLOYED)
            && !RENOVATE_FILES.contains(&path.as_str())
    };
    let paths: Vec<&String> = tree.paths().iter().filter(is_wanted).collect();
    let read = |path: &&String, bytes: Result<&[u8], Diagnostic>| named(path, bytes.ok()?, None);
    let mut read = sweep::each(tree, &paths, |path| path, read);
    lend(tree, &paths, &mut read);
    let (mut found, mut odd, mut completed) = (DeployedImages::default(), 0, BTreeSet::new());
    let mut of_others = Vec::new();
    for (path, images) in paths.iter().zip(read) {
        let Some(images) = images else {
            odd += 1;
            continue;
        };
        if images.is_of_others {
            of_others.extend((!images.deployed.is_empty()).then_some(path.as_str()));
            continue;
        }
        found.deployed.extend(images.deployed);
        found.unclear.extend(images.unclear);
        completed.extend(images.completed.iter().filter_map(|name| Repository::parse(name).ok()));
        for (image, at) in images.untagged {
            found.untagged.entry(image).or_default().push(at);
        }
    }
    // A base names its images without tags, and the kustomization gives them.
    found.untagged.retain(|image, _| !completed.contains(image));
    if odd > 0 {
        let skipped = format!("{odd} files that are no YAML by themselves, such as templates");
        found.skipped.push(skipped);
    }
    if let [first, ..] = of_others[..] {
        let count = of_others.len();
        let skipped = format!("{count} files that something else writes, such as {first}");
        found.skipped.push(skipped);
    }
    found
}

/// Looks once more at files that are laid over others: an environment's values often hold a tag alone, whose name stands beside them.
fn lend(tree: &Tree, paths: &[&String], read: &mut [Option<FileImages>]) {
    let mut near: BTreeMap<&str, Vec<Names>> = BTreeMap::new();
    for (path, images) in paths.iter().zip(&mut *read) {
        if let Some(names) = images.as_mut().and_then(|images| images.names.take()) {
            near.entry(directory(path)).or_default().push(names);
        }
    }
    let mut files: BTreeMap<&str, Vec<FileAt<'_>>> = BTreeMap::new();
    let all = paths.iter().enumerate().map(|(at, path)| FileAt { at, path });
    for file in all.filter(|file| near.contains_key(directory(file.path))) {
        files.entry(directory(file.path)).or_default().push(file);
    }
    let are_few = |all: &Vec<FileAt<'_>>| (2..=MAX_LAYERS).contains(&all.len());
    let again: Vec<FileAt<'_>> = files.into_values().filter(are_few).flatten().collect();
    let look = |file: &FileAt<'_>, bytes: Result<&[u8], Diagnostic>| {
        named(file.path, bytes.ok()?, near.get(directory(file.path)))
    };
    for (file, images) in again.iter().zip(sweep::each(tree, &again, |file| file.path, look)) {
        read[file.at] = images;
    }
}

/// A file, and its index among those that were read.
struct FileAt<'a> {
    at: usize,
    path: &'a str,
}

/// So many images without a policy are named.
const MAX_NAMED: usize = 20;

/// Images in environments that no policy is for.
pub(super) fn uncovered(
    tree: &Tree,
    settings: &RepositorySettings,
    set: &PolicySet,
) -> Option<Diagnostic> {
    let known: BTreeSet<&Repository> = set.policies.iter().flat_map(Policy::repositories).collect();
    let is_here =
        |path: &str| set.environments.iter().any(|e| e.home == set.here && e.paths.contains(path));
    let mut without: BTreeMap<Repository, Place> = BTreeMap::new();
    for DeployedImage { repository, path, line, .. } in deployed(tree, settings).deployed {
        if is_here(&path) && !known.contains(&repository) {
            let place = || Place { line, column: 1, ..Place::of_file(&path) };
            without.entry(repository).or_insert_with(place);
        }
    }
    let named = without.iter().take(MAX_NAMED);
    let named = named.map(|(image, at)| format!("{image} ({}:{})", at.path, at.line));
    let named = named.collect::<Vec<_>>().join(", ");
    let (count, more) = (without.len(), without.len().saturating_sub(MAX_NAMED));
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let images = if count == 1 { "1 image has" } else { &format!("{count} images have") };
    let message = format!("{images} no policy: {named}{more}");
    let problem =
        Diagnostic::info(Code::PolicyUncovered, message).at(without.into_values().next()?);
    Some(problem.help("`tagalong init` writes policies where a tag says what is newer, and says of the others why not; `# tagalong: ignore` behind an image takes it out"))
}

/// The images that a file names, with the names that files beside it lend to its tags; `None` when it does not parse.
fn named(path: &str, bytes: &[u8], beside: Option<&Vec<Names>>) -> Option<FileImages> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_FILE)?;
    let stream = Stream::parse(text).ok()?;
    let beside: Vec<&Names> = beside.into_iter().flatten().collect();
    let lent = Names::lend(&beside, path, &stream);
    let setters = Setters { lent: &lent, ..Setters::default() };
    let found = find(path, text, &stream, &[], setters);
    let names = Names::of(path, &stream, &found);
    let lines: Vec<&str> = text.lines().collect();
    let starts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line_of = |at: usize| starts.partition_point(|start| *start < at) + 1;
    // What other tools are told of images deploys none.
    let of_tools = stream.documents().iter().filter(|node| is_told(&stream, **node));
    let of_tools = of_tools.map(|node| stream.node(*node).span());
    let of_tools: Vec<_> = of_tools.map(|span| line_of(span.start)..=line_of(span.end)).collect();
    let is_of_tool = |line: usize| {
        of_tools.iter().any(|lines| lines.contains(&line))
            || lines.get(line.saturating_sub(1)).is_some_and(|line| line.contains(TOLD))
    };
    let sites = found.sites.into_iter().filter(|site| !is_of_tool(site.line));
    let deployed = sites.map(|site| DeployedImage {
        repository: site.repository,
        path: path.to_owned(),
        line: site.line,
        tag: site.tag,
        has_digest: site.digest.is_some(),
    });
    let unclear = found.obstructed.iter().filter(|o| !is_of_tool(o.spot.line)).filter_map(|o| {
        let (name, why) = (o.named.name(), o.obstacle.doubt()?);
        Some(format!("`{name}` at {path}:{}: {why}, and no policy is written for it", o.spot.line))
    });
    let unclear: Vec<String> = unclear.collect();
    let bare = found.obstructed.into_iter().filter(|o| o.obstacle == Obstacle::Untagged);
    let bare = bare.filter_map(|o| match o.named {
        Named::Is(repository) => Some((repository, o.spot.line)),
        Named::Somewhere(_) => None,
    });
    let untagged = bare.filter(|(_, line)| !is_of_tool(*line));
    let untagged = untagged.map(|(repository, line)| (repository, format!("{path}:{line}")));
    Some(FileImages {
        deployed: deployed.collect(),
        untagged: untagged.collect(),
        unclear,
        completed: kustomize_names(path, &stream),
        is_of_others: Exclusion::default().writer(path, text).is_some(),
        names,
    })
}

/// Whether a document is a resource of a tool that updates images.
fn is_told(stream: &Stream<'_>, document: NodeId) -> bool {
    let version = stream.get(stream.target(document), "apiVersion");
    let version = version.and_then(|version| stream.text(stream.target(version)));
    version.is_some_and(|version| TOLD_BY.iter().any(|tool| version.starts_with(tool)))
}
