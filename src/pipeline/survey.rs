//! What the files of a repository name, and what files around them say of it.

use std::collections::{BTreeMap, BTreeSet};

use super::load::{self, KUSTOMIZATIONS};
use super::{Hits, Tree, sweep};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::manifest::{Looked, Renamed, Survey, Variables, kustomize_renames};
use crate::policy::{Environment, PolicySet};
use crate::yaml::Stream;

/// Finds out what the files with a hit name.
pub(super) fn survey(tree: &Tree, set: &PolicySet, hits: &mut Hits) -> Looked {
    let (variables, problems) = variables(tree, &hits.sites);
    hits.left_alone.extend(problems);
    let survey = Survey::new(set).with(
        variables,
        renamed(tree, &hits.sites),
        load::overlays_of(tree, &hits.kustomize),
    );
    let seen = sweep::each(
        tree,
        &hits.sites,
        |path| path,
        |path, bytes| bytes.map(|bytes| survey.look(path, bytes)),
    );
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

/// The images to which kustomizations give other names.
fn renamed(tree: &Tree, files: &[String]) -> Vec<Renamed> {
    let is_one =
        |path: &&String| path.rsplit('/').next().is_some_and(|n| KUSTOMIZATIONS.contains(&n));
    let read = |path: &String| {
        let text = String::from_utf8(tree.read(path).ok()?).ok()?;
        Some(kustomize_renames(path, &Stream::parse(&text).ok()?))
    };
    files.iter().filter(is_one).filter_map(read).flatten().collect()
}
