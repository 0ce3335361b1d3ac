//! Surveys the files of a repository, with what files around them say.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;

use super::load::{self, text};
use super::{Hits, Tree, sweep};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::manifest::{
    AppVersion, Composed, Compositions, Layer, Looked, MAX_FILE, Names, OtherFiles, Overlaid,
    Releases, Renamed, Seen, Survey, Variables, extended_files, is_candidate, is_kustomization,
    unlent,
};
use crate::policy::{Environment, PolicySet, directory, follow};
use crate::yaml::Stream;

/// Where a directory has more files than this, nobody lays them over each other.
pub(super) const MAX_LAYERS: usize = 100;

/// More Compose files than this are not put together.
const MAX_COMPOSED: usize = 500;

/// Finds out what the files with a hit name.
pub(super) fn survey(tree: &Tree, set: &PolicySet, hits: &mut Hits) -> Looked {
    let (mut variables, problems) = variables(tree, &hits.sites);
    hits.left_alone.extend(problems);
    let composed = composed(tree);
    include(tree, &composed, &mut variables);
    let overlays = load::overlays_of(tree, &hits.kustomize);
    let app_versions = app_versions(tree, &hits.sites);
    let others =
        OtherFiles { variables, overlays, composed, app_versions, ..OtherFiles::default() };
    let mut survey = Survey::new(set).with(others);
    let mut seen = look(&survey, tree, &hits.sites);
    let mut overlaid = releases(tree, &hits.releases);
    beside(tree, &seen, &mut overlaid);
    let borrowing = overlaid.named().cloned().collect();
    survey.learn(renamed(tree, &seen), overlaid);
    look_again(&survey, tree, &hits.sites, borrowing, &mut seen);
    let mut left_alone = std::mem::take(&mut hits.left_alone);
    let mut looked = Vec::with_capacity(seen.len());
    for seen in seen {
        seen.map_or_else(|problem| left_alone.push(problem), |seen| looked.push(seen));
    }
    let covers = |e: &Environment, path: &str| e.home == set.here && e.paths.contains(path);
    let is_covered = |path: &str| set.environments.iter().any(|e| covers(e, path));
    left_alone.retain(|problem| problem.place.as_ref().is_none_or(|at| is_covered(&at.path)));
    left_alone.extend(hits.over_sum.take().map(|problem| *problem));
    only_once(&mut left_alone, Code::FilesTooMany);
    left_alone.extend(tree.skipped().iter().filter(|(path, _)| is_covered(path)).map(
        |(path, why)| {
            let message = format!("{why}; left alone");
            Diagnostic::info(Code::FileSkipped, message).at(Place::of_file(path))
        },
    ));
    let is_out = |path: &str| set.environments.iter().all(|e| e.paths.leaves_out(path));
    let unlisted = tree.unlisted().into_iter();
    left_alone.extend(unlisted.filter(|one| one.place.as_ref().is_none_or(|at| !is_out(&at.path))));
    let mut looked = survey.finish(looked);
    looked.diagnostics.extend(left_alone);
    looked
}

/// Keeps the first of the problems that each file of the rest has.
fn only_once(problems: &mut Vec<Diagnostic>, code: Code) {
    let mut is_told = false;
    problems.retain(|problem| {
        let is_again = is_told && problem.code == code;
        is_told |= problem.code == code;
        !is_again
    });
}

/// Looks at files on all cores.
fn look(survey: &Survey<'_>, tree: &Tree, files: &[String]) -> Vec<Result<Seen, Diagnostic>> {
    let one = |path: &String, bytes: Result<&[u8], Diagnostic>| {
        bytes.map(|bytes| survey.look(path, bytes))
    };
    sweep::each(tree, files, |path| path, one)
}

/// Looks once more at the files that others are laid over, and at those that borrow names, which may be no hits; most
/// repositories have none. The sites are sorted.
fn look_again(
    survey: &Survey<'_>,
    tree: &Tree,
    sites: &[String],
    borrowing: BTreeSet<String>,
    seen: &mut Vec<Result<Seen, Diagnostic>>,
) {
    let found = seen.iter().filter_map(|seen| seen.as_ref().ok()?.path());
    let covered = found.filter(|path| survey.is_covered(path)).map(str::to_owned);
    let again: Vec<String> =
        covered.chain(borrowing).collect::<BTreeSet<_>>().into_iter().collect();
    for (path, new) in again.iter().zip(look(survey, tree, &again)) {
        match sites.binary_search(path) {
            Ok(at) => seen[at] = new,
            Err(_) => seen.push(new),
        }
    }
}

/// What gives images of other files another name, through all that kustomizations take.
fn renamed(tree: &Tree, seen: &[Result<Seen, Diagnostic>]) -> Vec<Renamed> {
    let mut kustomizations = load::Kustomizations::of(tree);
    let all = seen.iter().filter_map(|seen| seen.as_ref().ok());
    let mut all: Vec<Renamed> = all.flat_map(Seen::renamed).cloned().collect();
    // Components change what those who take them take.
    let components: BTreeSet<String> =
        all.iter().filter_map(|one| one.component().map(str::to_owned)).collect();
    if !components.is_empty() {
        let directories = tree.paths().iter().filter(|path| is_kustomization(path));
        for outer in directories.map(|path| directory(path)) {
            let taken = kustomizations.taken(outer);
            for one in &mut all {
                if one.component().is_some_and(|own| taken.iter().any(|path| path == own)) {
                    one.extend(taken.iter().cloned());
                }
            }
        }
    }
    for one in &mut all {
        one.follow(&mut |outer| kustomizations.taken(outer));
    }
    all
}

/// Reads the directories of files of values: each may be laid over the others.
fn beside(tree: &Tree, seen: &[Result<Seen, Diagnostic>], overlaid: &mut Overlaid) {
    let all: Vec<&Names> = seen.iter().filter_map(|seen| seen.as_ref().ok()?.names()).collect();
    let mut files: BTreeMap<&str, Vec<&String>> =
        all.iter().map(|names| (directory(names.path()), Vec::new())).collect();
    if files.is_empty() {
        return;
    }
    for path in tree.paths().iter().filter(|path| is_candidate(path)) {
        files.entry(directory(path)).and_modify(|all| all.push(path));
    }
    let are_few = |all: &&Vec<&String>| (2..=MAX_LAYERS).contains(&all.len());
    let paths: Vec<&String> = files.values().filter(are_few).flatten().copied().collect();
    let mut near: BTreeMap<&str, Vec<&Names>> = BTreeMap::new();
    for names in all {
        near.entry(directory(names.path())).or_default().push(names);
    }
    let read = |path: &&String, bytes: Result<&[u8], Diagnostic>| {
        let text = std::str::from_utf8(bytes.ok()?).ok().filter(|text| text.len() <= MAX_FILE)?;
        let names = near.get(directory(path)).map_or(&[][..], Vec::as_slice);
        let stream = Stream::parse(text).ok()?;
        let unreached = unlent(names, path, &stream);
        Some((Layer::read(path, &stream), Names::lend(names, path, &stream), unreached))
    };
    let read = sweep::each(tree, &paths, |path| path, read);
    for (path, found) in paths.iter().zip(read) {
        let Some((layer, lent, unreached)) = found else { continue };
        overlaid.beside(layer, lent, unreached, path);
    }
}

/// Compares the values of releases, with their files and `ConfigMap`s.
fn releases(tree: &Tree, paths: &[String]) -> Overlaid {
    let mut releases = Releases::default();
    let read = |path: &str| text(tree, path);
    for path in paths {
        if let Some(text) = read(path) {
            releases.learn(path, &text, &read);
        }
    }
    if !releases.maps().is_empty() {
        maps(tree, &mut releases);
    }
    let named: Vec<String> = releases.files().map(str::to_owned).collect();
    for named in named {
        let all = if named.contains('*') { tree.paths().len() } else { 1 };
        let all = if releases.reads(all) { matching(tree, &named) } else { Vec::new() };
        for path in all {
            if let Some(text) = read(&path) {
                releases.learn_values(&named, &path, &text);
            }
        }
    }
    let patched = releases.patched();
    let mut kustomizations = load::Kustomizations::of(tree);
    let chain = |directory: String| {
        let mut taken = vec![directory.clone()];
        follow(&mut taken, &mut |outer| kustomizations.taken(outer));
        (directory, taken.into_iter().collect())
    };
    releases.overlaid(patched.into_iter().map(chain).collect())
}

/// The files that a path means: itself, or what a glob matches.
fn matching(tree: &Tree, named: &str) -> Vec<String> {
    if !named.contains('*') {
        return vec![named.to_owned()];
    }
    let glob = GlobBuilder::new(named).literal_separator(true).build();
    let Ok(glob) = glob.map(|glob| glob.compile_matcher()) else { return Vec::new() };
    tree.paths().iter().filter(|path| glob.is_match(path)).cloned().collect()
}

/// Learns from every file that holds a map which a release wants, or makes one.
fn maps(tree: &Tree, releases: &mut Releases) {
    let names: Vec<String> = releases.maps().into_iter().map(str::to_owned).collect();
    let paths: Vec<&String> = tree.paths().iter().filter(|path| is_candidate(path)).collect();
    let holds = |path: &&String, bytes: Result<&[u8], Diagnostic>| {
        let text = std::str::from_utf8(bytes.ok()?).ok().filter(|text| text.len() <= MAX_FILE)?;
        // Kustomizations put something before and behind the names.
        let is_one = is_kustomization(path) && text.contains("Generator")
            || ["ConfigMap", "Secret"].iter().any(|kind| text.contains(kind))
                && names.iter().any(|name| text.contains(name));
        is_one.then(|| text.to_owned())
    };
    let found = sweep::each(tree, &paths, |path| path, holds);
    for (path, text) in paths.iter().zip(found) {
        if let Some(text) = text {
            releases.learn_maps(path, &text);
        }
    }
}

/// What `.env` files beside these files set, by directory, and those that cannot be read.
fn variables(tree: &Tree, files: &[String]) -> (BTreeMap<String, Variables>, Vec<Diagnostic>) {
    let directories: BTreeSet<&str> = files.iter().map(|path| directory(path)).collect();
    let (mut read, mut problems) = (BTreeMap::new(), Vec::new());
    for directory in directories {
        let path =
            if directory.is_empty() { ".env".to_owned() } else { format!("{directory}/.env") };
        if tree.paths().binary_search(&path).is_err() {
            continue;
        }
        let text = tree.read(&path).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_error| {
                let message = "not UTF-8, so what it sets for Compose is not known";
                Diagnostic::warning(Code::FileUnreadable, message).at(Place::of_file(&path))
            })
        });
        match text {
            Ok(text) => {
                read.insert(directory.to_owned(), Variables::read(&path, &text));
            }
            Err(problem) => problems.push(problem),
        }
    }
    (read, problems)
}

/// What empty tags in files of values stand for.
fn app_versions(tree: &Tree, files: &[String]) -> BTreeMap<String, AppVersion> {
    let charts: BTreeSet<String> =
        files.iter().filter_map(|path| AppVersion::chart_of(path)).collect();
    let read = charts.into_iter().filter_map(|path| {
        let found = AppVersion::read(&path, &text(tree, &path)?)?;
        Some((path, found))
    });
    read.collect()
}

/// The Compose files of a repository, and those that they name.
fn composed(tree: &Tree) -> Compositions {
    let is_one = |path: &&String| {
        let name = path.rsplit('/').next().unwrap_or(path);
        is_candidate(path) && name.contains("compose")
    };
    let mut open: Vec<String> = tree.paths().iter().filter(is_one).cloned().collect();
    let (mut known, mut all) = (BTreeSet::new(), Compositions::new());
    while let Some(path) = open.pop().filter(|_| known.len() < MAX_COMPOSED) {
        if !known.insert(path.clone()) {
            continue;
        }
        let read = text(tree, &path).and_then(|text| Composed::read(&path, &text));
        if let Some(one) = read {
            open.extend(one.named().map(str::to_owned));
            all.insert(path, one);
        }
    }
    all
}

/// Adds the variables of files that others include or extend: the project's count first.
fn include(tree: &Tree, all: &Compositions, variables: &mut BTreeMap<String, Variables>) {
    let extended = extended_files(all);
    for include in all.values().flat_map(|one| &one.includes).chain(&extended) {
        let set = include.setters.iter();
        let set = set.filter_map(|path| Some(Variables::read(path, &text(tree, path)?)));
        let own = variables.get(&include.path).or_else(|| variables.get(directory(&include.path)));
        let own = own.cloned().unwrap_or_default();
        let set = set.chain([own]).reduce(Variables::over).unwrap_or_default();
        variables.insert(include.path.clone(), set);
    }
}
