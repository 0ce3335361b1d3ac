//! What the files of a repository name, and what files around them say of it.

use std::collections::{BTreeMap, BTreeSet};

use super::load;
use super::{Hits, Tree, sweep};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::manifest::{Composed, Layer, Looked, OtherFiles, Seen, Survey, Variables, is_candidate};
use crate::policy::{Environment, PolicySet};

/// Where a directory has more files than this, nobody lays them over each other.
const MAX_LAYERS: usize = 100;

/// More Compose files than this are not put together.
const MAX_COMPOSED: usize = 500;

/// Finds out what the files with a hit name.
pub(super) fn survey(tree: &Tree, set: &PolicySet, hits: &mut Hits) -> Looked {
    let (variables, problems) = variables(tree, &hits.sites);
    hits.left_alone.extend(problems);
    let (composed, variables) = composed(tree, variables);
    let overlays = load::overlays_of(tree, &hits.kustomize);
    let others = OtherFiles { variables, overlays, composed, ..OtherFiles::default() };
    let mut survey = Survey::new(set).with(others);
    let mut seen = look(&survey, tree, &hits.sites);
    survey.learn(seen.iter().filter_map(|seen| seen.as_ref().ok()), layers(tree, &seen));
    look_again(&survey, tree, &hits.sites, &mut seen);
    let mut left_alone = std::mem::take(&mut hits.left_alone);
    let mut looked = Vec::with_capacity(seen.len());
    for seen in seen {
        seen.map_or_else(|problem| left_alone.push(problem), |seen| looked.push(seen));
    }
    let covers = |e: &Environment, path: &str| e.home == set.here && e.paths.contains(path);
    let is_covered = |path: &str| set.environments.iter().any(|e| covers(e, path));
    left_alone.retain(|problem| problem.place.as_ref().is_none_or(|at| is_covered(&at.path)));
    left_alone.extend(tree.skipped().iter().filter(|path| is_covered(path)).map(|path| {
        let message = "a symbolic link or submodule; left alone";
        Diagnostic::info(Code::FileSkipped, message).at(Place::of_file(path))
    }));
    let mut looked = survey.finish(looked);
    looked.diagnostics.extend(left_alone);
    looked
}

/// Looks at files on all cores.
fn look(survey: &Survey<'_>, tree: &Tree, files: &[String]) -> Vec<Result<Seen, Diagnostic>> {
    let one = |path: &String, bytes: Result<&[u8], Diagnostic>| {
        bytes.map(|bytes| survey.look(path, bytes))
    };
    sweep::each(tree, files, |path| path, one)
}

/// Looks once more at the files that others are laid over; most repositories have none.
fn look_again(
    survey: &Survey<'_>,
    tree: &Tree,
    files: &[String],
    seen: &mut [Result<Seen, Diagnostic>],
) {
    let is_covered = |seen: &Result<Seen, Diagnostic>| {
        seen.as_ref().is_ok_and(|seen| seen.path().is_some_and(|path| survey.is_covered(path)))
    };
    let places: Vec<usize> = (0..seen.len()).filter(|at| is_covered(&seen[*at])).collect();
    let again: Vec<String> = places.iter().map(|at| files[*at].clone()).collect();
    for (at, new) in places.into_iter().zip(look(survey, tree, &again)) {
        seen[at] = new;
    }
}

/// The values in the directories of files of values: each may be laid over the others.
fn layers(tree: &Tree, seen: &[Result<Seen, Diagnostic>]) -> Vec<Layer> {
    let directories = seen.iter().filter_map(|seen| seen.as_ref().ok()?.values_in());
    let directories: BTreeSet<&str> = directories.collect();
    let mut layers = Vec::new();
    for directory in directories {
        let is_in = |path: &&str| path.rsplit_once('/').map_or("", |(at, _)| at) == directory;
        let all = tree.paths().iter().map(String::as_str).filter(|path| is_candidate(path));
        let all: Vec<&str> = all.filter(is_in).collect();
        if (2..=MAX_LAYERS).contains(&all.len()) {
            let read = |path: &str| String::from_utf8(tree.read(path).ok()?).ok();
            let read = |path: &&str| Layer::read(path, &read(path)?, &all);
            layers.extend(all.iter().filter_map(read));
        }
    }
    layers
}

/// What `.env` files beside these files set, by directory, and those that cannot be read.
fn variables(tree: &Tree, files: &[String]) -> (BTreeMap<String, Variables>, Vec<Diagnostic>) {
    let directories: BTreeSet<&str> =
        files.iter().map(|path| path.rsplit_once('/').map_or("", |(parent, _)| parent)).collect();
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

/// The Compose files of a repository with what they name, and what is set for those that others include.
fn composed(
    tree: &Tree,
    mut variables: BTreeMap<String, Variables>,
) -> (Vec<Composed>, BTreeMap<String, Variables>) {
    let is_one = |path: &&String| {
        let name = path.rsplit('/').next().unwrap_or(path);
        is_candidate(path) && name.contains("compose")
    };
    let mut open: Vec<String> = tree.paths().iter().filter(is_one).cloned().collect();
    let (mut known, mut all) = (BTreeSet::new(), Vec::<Composed>::new());
    let read = |path: &str| String::from_utf8(tree.read(path).ok()?).ok();
    while let Some(path) = open.pop() {
        if known.len() >= MAX_COMPOSED || !known.insert(path.clone()) {
            continue;
        }
        let is_there = tree.paths().binary_search(&path).is_ok();
        let text = is_there.then(|| read(&path)).flatten();
        let Some(one) = text.and_then(|text| Composed::read(&path, &text)) else { continue };
        open.extend(one.named().map(str::to_owned));
        all.push(one);
    }
    for include in all.iter().flat_map(|one| &one.includes) {
        let setters =
            include.setters.iter().filter(|path| tree.paths().binary_search(path).is_ok());
        let set = setters.filter_map(|path| Some(Variables::read(path, &read(path)?)));
        let directory = include.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let own = variables.get(directory).cloned().unwrap_or_default();
        let set = set.chain([own]).reduce(Variables::over).unwrap_or_default();
        variables.insert(include.path.clone(), set);
    }
    (all, variables)
}
