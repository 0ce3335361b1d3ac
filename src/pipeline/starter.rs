//! Reads what a repository deploys, and writes what it starts with.

use std::collections::{BTreeMap, BTreeSet};

use super::{Failure, Invalid, Loaded, Tree, load, signed_in, sweep};
use crate::diagnostic::{Code, Diagnostic, any_error};
use crate::image::Repository;
use crate::manifest::{MAX_FILE, Obstacle, find, is_candidate};
use crate::policy::{PolicyFile, PolicySet, RepositorySettings, SETTINGS_FILE, read};
use crate::settings::{Scope, Surroundings};
use crate::starter::{Deployed, RENOVATE_FILES, Starter, WORKFLOW, policies};
use crate::yaml::Stream;

/// Where policies are written.
const POLICIES: &str = "policies/images.yaml";

/// Where policies of other tools are written.
const IMPORTED: &str = "policies/imported.yaml";

/// What files hold that other tools are told with.
const TOLD_BY: [&str; 2] = ["image.toolkit.fluxcd.io/", "argocd-image-updater.argoproj.io"];

/// Where the workflow is written.
const WORKFLOW_FILE: &str = ".github/workflows/tagalong.yaml";

/// What is not deployed: workflows run where they are.
const NOT_DEPLOYED: &str = ".github/";

/// What annotations of Argo CD's updater begin with: they name keys of Helm's values, and no image.
const TOLD: &str = "argocd-image-updater.argoproj.io/";

/// Resources that say something of images and deploy none.
const TOOLS: [&str; 2] =
    ["apiVersion: image.toolkit.fluxcd.io/", "apiVersion: argocd-image-updater.argoproj.io/"];

/// What came of `init`.
pub struct Started {
    /// What was found, and what it comes to.
    pub starter: Starter,
    /// Paths and texts of the files.
    pub files: Vec<(&'static str, String)>,
    /// Why something was left out.
    pub skipped: Vec<String>,
    /// Whether the files were written.
    pub is_written: bool,
}

/// What one file names.
struct Named {
    deployed: Vec<Deployed>,
    untagged: Vec<(Repository, String)>,
}

/// Finds the images that a repository names and no policy is for, and writes policies for them.
///
/// # Errors
/// When the repository cannot be read, its policies are invalid, or a file is there already.
pub async fn init(
    scope: &Scope,
    with_workflow: bool,
    is_dry: bool,
    around: &Surroundings,
) -> Result<Started, Failure> {
    let around = &signed_in(scope, around).await?;
    let tree = Tree::open(scope, around, None).await?;
    let (set, settings) = declared(&tree, scope)?;
    let (deployed, mut untagged, mut skipped) = deployed(&tree, &settings);
    let known: BTreeSet<&Repository> =
        set.policies.iter().map(|policy| &policy.repository).collect();
    let (old, new): (Vec<Deployed>, Vec<Deployed>) =
        deployed.into_iter().partition(|one| known.contains(&one.repository));
    let old: BTreeSet<_> = old.into_iter().map(|one| one.repository).collect();
    if !old.is_empty() {
        skipped.push(format!("{} images that policies are there for already", old.len()));
    }
    let mut starter = Starter::of(&new);
    untagged.retain(|image, _| !known.contains(image));
    for (image, places) in &untagged {
        starter.untagged(image, places);
    }
    if !set.environments.is_empty() {
        starter.environments.clear();
    }
    let files = files(&tree, &starter, with_workflow, &mut skipped);
    let is_written = !is_dry && matches!(tree, Tree::Work(_));
    sound(&files)?;
    if let (Tree::Work(work), true) = (&tree, is_written) {
        if !settings.policies.is_match(POLICIES) {
            let message = format!("{POLICIES} is not where `policies` of {SETTINGS_FILE} looks");
            return Err(Failure::Argument(message));
        }
        for (path, text) in &files {
            work.create(path, text).map_err(|error| Failure::Failed(error.to_string()))?;
        }
    }
    Ok(Started { starter, files, skipped, is_written })
}

/// Turns what other tools were told into policies. Nothing is written unless that is asked for.
///
/// # Errors
/// When the repository cannot be read, its policies are invalid, or the file is there already.
pub async fn import(
    scope: &Scope,
    is_written: bool,
    around: &Surroundings,
) -> Result<Started, Failure> {
    let around = &signed_in(scope, around).await?;
    let tree = Tree::open(scope, around, None).await?;
    let settings = load::settings(&tree)?;
    let (deployed, _, mut skipped) = deployed(&tree, &settings);
    let text = |path: &str| {
        let text = String::from_utf8(tree.read(path).ok()?).ok();
        text.filter(|text| text.len() <= MAX_FILE)
    };
    let is_there = |path: &&&str| tree.paths().iter().any(|there| there == **path);
    let file = RENOVATE_FILES.iter().find(is_there).and_then(|path| Some((*path, text(path)?)));
    let renovate = file.or_else(|| Some(("package.json", in_package(&text("package.json")?)?)));
    let given = renovate.as_ref().map(|(path, text)| (*path, text.as_str()));
    let starter = Starter::imported(&manifests(&tree), given, &deployed);
    let starter = starter.map_err(Failure::Argument)?;
    let mut files = Vec::new();
    if !starter.policies.is_empty() {
        files.push((
            IMPORTED,
            policies(&starter, "Written by `tagalong import`, from what other tools were told."),
        ));
    }
    if files.is_empty() {
        skipped.push("everything: no other tool says anything of images here".to_owned());
    }
    sound(&files)?;
    if is_written {
        let Tree::Work(work) = &tree else {
            return Err(Failure::Argument("--write needs a directory".to_owned()));
        };
        for (path, text) in &files {
            work.create(path, text).map_err(|error| Failure::Failed(error.to_string()))?;
        }
    }
    Ok(Started { starter, files, skipped, is_written })
}

/// Renovate's configuration in a package of JavaScript.
fn in_package(text: &str) -> Option<String> {
    let package: serde_json::Value = serde_json::from_str(text).ok()?;
    package.get("renovate").map(ToString::to_string)
}

/// The files that tell other tools something of images, with their texts.
fn manifests(tree: &Tree) -> Vec<(String, String)> {
    let paths: Vec<&String> = tree.paths().iter().filter(|path| is_candidate(path)).collect();
    let told = |path: &&String, bytes: Result<&[u8], Diagnostic>| {
        let text = std::str::from_utf8(bytes.ok()?).ok().filter(|text| text.len() <= MAX_FILE)?;
        let is_told = TOLD_BY.iter().any(|tool| text.contains(tool));
        is_told.then(|| ((*path).clone(), text.to_owned()))
    };
    sweep::each(tree, &paths, |path| path, told).into_iter().flatten().collect()
}

/// The policies that are there, of which there may be none.
fn declared(tree: &Tree, scope: &Scope) -> Result<(PolicySet, RepositorySettings), Failure> {
    match Loaded::read(tree, None, scope) {
        Ok(loaded) => Ok((loaded.set, loaded.repository)),
        Err(Failure::Invalid(invalid))
            if invalid.diagnostics.iter().all(|problem| problem.code == Code::PolicyNone) =>
        {
            Ok((PolicySet::default(), load::settings(tree)?))
        }
        Err(failure) => Err(failure),
    }
}

type Found = (Vec<Deployed>, BTreeMap<Repository, Vec<String>>, Vec<String>);

/// What the files of a tree name.
fn deployed(tree: &Tree, settings: &RepositorySettings) -> Found {
    let is_wanted = |path: &&String| {
        let is_policy = settings.policies.is_match(path) || *path == SETTINGS_FILE;
        is_candidate(path) && !is_policy && !path.starts_with(NOT_DEPLOYED)
    };
    let paths: Vec<&String> = tree.paths().iter().filter(is_wanted).collect();
    let read = sweep::each(tree, &paths, |path| path, |path, bytes| Some(named(path, bytes.ok()?)));
    let (mut deployed, mut untagged, mut odd) = (Vec::new(), BTreeMap::<_, Vec<_>>::new(), 0);
    for named in read {
        match named.flatten() {
            Some(named) => {
                deployed.extend(named.deployed);
                for (image, at) in named.untagged {
                    untagged.entry(image).or_default().push(at);
                }
            }
            None => odd += 1,
        }
    }
    let odd =
        (odd > 0).then(|| format!("{odd} files that are no YAML by themselves, such as templates"));
    (deployed, untagged, odd.into_iter().collect())
}

/// What a file names; `None` when it does not parse.
fn named(path: &str, bytes: &[u8]) -> Option<Named> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_FILE)?;
    let stream = Stream::parse(text).ok()?;
    // What other tools are told of images deploys none.
    if TOOLS.iter().any(|group| text.contains(group)) {
        return Some(Named { deployed: Vec::new(), untagged: Vec::new() });
    }
    let found = find(path, text, &stream, &[]);
    let lines: Vec<&str> = text.lines().collect();
    let is_told =
        |line: usize| lines.get(line.saturating_sub(1)).is_some_and(|line| line.contains(TOLD));
    let sites = found.sites.into_iter().filter(|site| !is_told(site.line));
    let deployed = sites.map(|site| Deployed {
        repository: site.repository,
        path: path.to_owned(),
        line: site.line,
        tag: site.tag,
    });
    let bare = found.obstructed.into_iter().filter(|o| o.obstacle == Obstacle::Untagged);
    let line = |node| text[..stream.node(node).span().start].matches('\n').count() + 1;
    let untagged = bare.map(|o| (o.repository, format!("{path}:{}", line(o.node))));
    Some(Named { deployed: deployed.collect(), untagged: untagged.collect() })
}

/// What is written has to be what `check` accepts, whatever it was made from.
fn sound(files: &[(&'static str, String)]) -> Result<(), Failure> {
    let policies = files.iter().filter(|(path, _)| path.starts_with("policies/"));
    let files: Vec<PolicyFile> =
        policies.map(|(path, text)| PolicyFile::new(*path, text.clone())).collect();
    let (_, diagnostics) = read(&files);
    if files.is_empty() || !any_error(&diagnostics) {
        return Ok(());
    }
    let sources = files.into_iter().map(|file| (file.path, file.text)).collect();
    Err(Failure::Invalid(Box::new(Invalid { diagnostics, sources })))
}

/// The files to write, as far as there is something to say and nothing is there.
fn files(
    tree: &Tree,
    starter: &Starter,
    with_workflow: bool,
    skipped: &mut Vec<String>,
) -> Vec<(&'static str, String)> {
    let mut files = Vec::new();
    let is_there = |path: &str| tree.paths().iter().any(|there| there == path);
    if !starter.policies.is_empty() {
        files.push((
            POLICIES,
            policies(starter, "Written by `tagalong init`, from what the files name."),
        ));
    }
    if with_workflow {
        files.push((WORKFLOW_FILE, WORKFLOW.to_owned()));
    }
    files.retain(|(path, _)| {
        if is_there(path) {
            skipped.push(format!("{path}, which is there already"));
        }
        !is_there(path)
    });
    files
}
