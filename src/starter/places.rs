//! Environments, by what directories and files are called.

use std::collections::{BTreeMap, BTreeSet};

/// What stages are called, in the order in which versions pass them.
const STAGES: [&str; 22] = [
    "sandbox",
    "dev",
    "develop",
    "development",
    "test",
    "testing",
    "int",
    "integration",
    "qa",
    "uat",
    "stage",
    "staging",
    "stg",
    "acceptance",
    "acc",
    "preprod",
    "preproduction",
    "canary",
    "prod",
    "prd",
    "production",
    "live",
];

/// What is left for files that no stage is named for.
const SHARED: &str = "shared";

/// An environment, as far as paths tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// The paths with images.
    pub paths: Vec<String>,
    /// How far versions have come when they are there; `None` where nothing says it.
    pub rank: Option<usize>,
    /// The policies that count there, unless all do.
    pub images: Vec<String>,
    /// True if all policies count there.
    pub is_for_all: bool,
    /// Other keys, with their values as YAML.
    pub also: Vec<(&'static str, String)>,
}

/// The environments of these files; none where no path names a stage, so that one covers everything.
#[must_use]
pub fn environments<'a>(files: impl Iterator<Item = &'a str>) -> Vec<Place> {
    let (mut staged, mut rest) = (BTreeMap::<String, (usize, BTreeSet<String>)>::new(), Vec::new());
    for file in files {
        match stage(file) {
            Some((name, path, rank)) => {
                staged.entry(name).or_insert((rank, BTreeSet::new())).1.insert(path);
            }
            None => rest.push(file),
        }
    }
    if staged.is_empty() {
        return Vec::new();
    }
    let taken: Vec<String> = staged.values().flat_map(|(_, paths)| paths).cloned().collect();
    let shared: BTreeSet<String> = rest.into_iter().map(|file| lift(file, &taken)).collect();
    let mut places: Vec<Place> = staged
        .into_iter()
        .map(|(name, (rank, paths))| Place {
            name,
            paths: outermost(&paths),
            rank: Some(rank),
            images: Vec::new(),
            is_for_all: true,
            also: Vec::new(),
        })
        .collect();
    places.sort_by_key(|place| place.rank);
    if !shared.is_empty() {
        let is_taken = places.iter().any(|place| place.name == SHARED);
        let name = if is_taken { format!("{SHARED}-2") } else { SHARED.to_owned() };
        let (paths, images) = (outermost(&shared), Vec::new());
        places.push(Place { name, paths, rank: None, images, is_for_all: true, also: Vec::new() });
    }
    places
}

/// What is said of files that several stages share: what is written there reaches all of them at once.
pub(super) fn bypasses(environments: &[Place]) -> Option<String> {
    let stages: Vec<&str> =
        environments.iter().filter(|place| place.rank.is_some()).map(|p| p.name.as_str()).collect();
    let shared = environments.iter().find(|place| place.rank.is_none())?;
    (stages.len() > 1).then(|| {
        format!(
            "environment `{}` ({}) is of no stage: where {} use its files, as those of a kustomize base, a change there \
             reaches all of them at once, and passes promotion by",
            shared.name,
            shared.paths.join(", "),
            stages.join(" and ")
        )
    })
}

/// The message about a base that stages share which hold no image of their own, so that nothing above reports it: overlays of
/// kustomize, and Flux's usual layout. `files` name images, `all` are the files of the repository.
pub(super) fn shared_base<'a>(
    files: impl Iterator<Item = &'a str>,
    all: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let is_manifest = |path: &&str| {
        path.rsplit_once('.').is_some_and(|(_, extension)| matches!(extension, "yaml" | "yml"))
    };
    let mut staged: BTreeMap<String, (usize, BTreeSet<String>)> = BTreeMap::new();
    for (name, path, rank) in all.filter(is_manifest).filter_map(stage) {
        staged.entry(name).or_insert((rank, BTreeSet::new())).1.insert(path);
    }
    let (own, shared): (Vec<&str>, Vec<&str>) = files.partition(|file| stage(file).is_some());
    let has_own: BTreeSet<String> = own.iter().filter_map(|file| Some(stage(file)?.0)).collect();
    let mut bare: Vec<(usize, &String)> = staged
        .iter()
        .filter(|(name, _)| !has_own.contains(*name))
        .map(|(name, (rank, _))| (*rank, name))
        .collect();
    bare.sort();
    let taken: Vec<String> = staged.values().flat_map(|(_, paths)| paths).cloned().collect();
    let shared: BTreeSet<String> = shared.into_iter().map(|file| lift(file, &taken)).collect();
    let names: Vec<&str> = bare.into_iter().map(|(_, name)| name.as_str()).collect();
    (staged.len() > 1 && !shared.is_empty() && !names.is_empty()).then(|| {
        format!(
            "{}: {} name no images of their own; where they use these files, as those of a kustomize base, a change there \
             reaches all of them at once, and passes promotion by",
            outermost(&shared).join(", "),
            names.join(" and ")
        )
    })
}

/// The stage that a path names first: its name, how far the path leads to it, and its rank.
fn stage(file: &str) -> Option<(String, String, usize)> {
    let mut path = String::new();
    let mut segments = file.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_file = segments.peek().is_none();
        path = if path.is_empty() { segment.to_owned() } else { format!("{path}/{segment}") };
        let stem = if is_file { segment.split('.').next().unwrap_or(segment) } else { segment };
        let Some((word, rank)) = word_of(stem) else { continue };
        // `values-staging.yaml` is for staging; a directory is called what the environment is called.
        let name = if is_file { word } else { segment.to_lowercase() };
        return Some((named(&name), path, rank));
    }
    None
}

/// The word of a name that is a stage: the first or the last one.
fn word_of(name: &str) -> Option<(String, usize)> {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(['-', '_', '.']).collect();
    let ends = [words.first(), words.last()];
    ends.into_iter().flatten().find_map(|word| {
        let rank = STAGES.iter().position(|stage| stage == word)?;
        Some(((*word).to_owned(), rank))
    })
}

/// A name that an environment may have.
fn named(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).chars().map(plain).collect()
}

/// The directory of a file that is as far up as possible without holding what is taken.
fn lift(file: &str, taken: &[String]) -> String {
    let holds = |directory: &str| {
        let beneath = format!("{directory}/");
        taken.iter().any(|path| path.starts_with(&beneath) || path == directory)
    };
    let cuts = file.match_indices('/').map(|(at, _)| &file[..at]);
    cuts.into_iter().find(|directory| !holds(directory)).unwrap_or(file).to_owned()
}

/// Paths without those beneath others.
pub(super) fn outermost(paths: &BTreeSet<String>) -> Vec<String> {
    let is_inner = |path: &String| {
        paths.iter().any(|outer| path.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/')))
    };
    paths.iter().filter(|path| !is_inner(path)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str]) -> Vec<String> {
        let places = environments(files.iter().copied());
        places.iter().map(|place| format!("{}: {}", place.name, place.paths.join(" "))).collect()
    }

    #[test]
    fn a_base_without_overlays_of_its_own_is_named() {
        let cases: [(&[&str], &[&str], bool); 5] = [
            (
                &["apps/base/web.yaml", "apps/overlays/staging/kustomization.yaml"],
                &["apps/overlays/production/kustomization.yaml"],
                true,
            ),
            (
                &["apps/base/shop/a.yaml"],
                &["apps/staging/kustomization.yaml", "apps/production/kustomization.yaml"],
                true,
            ),
            (&["apps/staging/a.yaml", "apps/production/a.yaml", "apps/base/a.yaml"], &[], false),
            (&["apps/web.yaml"], &["apps/production/kustomization.yaml"], false),
            (&["apps/web.yaml"], &["docs/staging/a.md", "docs/production/a.md"], false),
        ];
        for (files, others, want) in cases {
            let all = files.iter().chain(others).copied();
            let note = shared_base(files.iter().copied(), all);
            assert_eq!(note.is_some(), want, "{files:?}: {note:?}");
        }
    }

    #[test]
    fn stages_are_in_the_paths() {
        let cases: [(&[&str], &[&str]); 8] = [
            (&["deploy/web.yaml", "compose.yaml"], &[]),
            (
                &["clusters/production/a.yaml", "clusters/staging/a.yaml"],
                &["staging: clusters/staging", "production: clusters/production"],
            ),
            (
                &["apps/base/web/a.yaml", "apps/staging/a.yaml", "infra/staging/b.yaml"],
                &["staging: apps/staging infra/staging", "shared: apps/base"],
            ),
            (
                &["charts/shop/values.yaml", "charts/shop/values-prod.yaml"],
                &["prod: charts/shop/values-prod.yaml", "shared: charts/shop/values.yaml"],
            ),
            (
                &["clusters/prod-eu/a.yaml", "clusters/us-prod/a.yaml", "tools/x/y.yaml"],
                &["prod-eu: clusters/prod-eu", "us-prod: clusters/us-prod", "shared: tools"],
            ),
            (&["Prod/a.yaml", "b.yaml"], &["prod: Prod", "shared: b.yaml"]),
            (&["dev/team-a/x.yaml", "dev/team-b/x.yaml"], &["dev: dev"]),
            (&["products/web.yaml", "device/web.yaml"], &[]),
        ];
        for (files, want) in cases {
            assert_eq!(found(files), want, "{files:?}");
        }
    }
}
