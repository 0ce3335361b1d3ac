//! Reads what a repository deploys, and writes what it starts with.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::deployed::{DeployedImages, TOLD_BY, deployed};

use crate::diagnostic::{Code, Diagnostic, Severity, any_error};
use crate::image::Repository;
use crate::manifest::{AppVersion, MAX_FILE, is_candidate};
use crate::pipeline::{Failure, Invalid, Loaded, Tree, load, signed_in, survey, sweep};
use crate::policy::{
    Policy, PolicyFile, PolicyId, PolicySet, RepositorySettings, SETTINGS_FILE, read,
};
use crate::settings::{Forges, Scope, Surroundings};
use crate::starter::{
    CiJobs, DeployedImage, Imported, RENOVATE_FILES, RenovateConfig, Starter, ci_file, ci_jobs,
    is_ci_file, policies,
};

/// Where policies are written, as `policies/images.yaml`.
const POLICIES: &str = "images";

/// Where policies of other tools are written.
const IMPORTED: &str = "imported";

/// The directory of policies that is looked into where nothing else is said.
const POLICY_DIRECTORY: &str = "policies/";

/// More files than this have no free name.
const MAX_FILES: usize = 1_000;

/// What else says something of them: Applications, and Fleet's bundles.
const TOLD_BESIDE: [&str; 2] = ["argoproj.io/", "imageScans:"];

/// What came of `init`.
pub struct Started {
    /// What was found, and what it comes to.
    pub starter: Starter,
    /// Paths and texts of the files.
    pub files: Vec<(String, String)>,
    /// Why something was left out.
    pub skipped: Vec<String>,
    /// Whether the files were written.
    pub is_written: bool,
}

/// The jobs of the forge that the repository is on.
fn jobs(tree: &Tree, forges: &Forges, has_work: bool) -> CiJobs {
    let is_there = |path: &str| {
        let beneath = format!("{path}/");
        tree.paths().iter().any(|there| there == path || there.starts_with(&beneath))
    };
    let kind = tree.forges(forges).first().kind;
    let note = match tree.unknown_host(forges) {
        Some(host) => format!(
            "jobs for CI: `{host}` is no forge that is known ({}); set GITHUB_SERVER_URL, GITLAB_URL, FORGEJO_URL or GITEA_URL \
             to it, by what it is",
            forges.known()
        ),
        None if !has_work => format!("{}, which would have no policy to work with", ci_file(kind)),
        None => return ci_jobs(kind, is_there),
    };
    CiJobs { file: None, note: Some(note) }
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
    let DeployedImages { deployed, mut untagged, unclear, mut skipped } =
        deployed(&tree, &settings);
    let known: BTreeSet<&Repository> = set.policies.iter().flat_map(Policy::repositories).collect();
    let (old, new): (Vec<DeployedImage>, Vec<DeployedImage>) =
        deployed.into_iter().partition(|one| known.contains(&one.repository));
    let old: BTreeSet<_> = old.into_iter().map(|one| one.repository).collect();
    skipped.extend(there_already(old.len()));
    let taken = set.policies.iter().map(|policy| policy.name.clone()).collect();
    let mut starter = Starter::of(&new, &taken);
    starter.shared(&new, tree.paths().iter().map(String::as_str));
    untagged.retain(|image, _| !known.contains(image));
    let chart = |place: &str| {
        let chart = AppVersion::chart_of(place.rsplit_once(':')?.0)?;
        tree.paths().binary_search(&chart).is_ok().then_some(chart)
    };
    for (image, places) in &untagged {
        match places.iter().find_map(|place| Some((place, chart(place)?))) {
            Some((place, chart)) => starter.of_chart(image, place, &chart),
            None => starter.untagged(image, places),
        }
    }
    starter.notes.extend(unclear);
    if !set.environments.is_empty() {
        starter.environments.clear();
    }
    let existing = Existing::of(&tree, &settings);
    let mut files = Vec::new();
    let origin = "Written by `tagalong init`, from what the files name.";
    let idle =
        existing.idle(&tree, existing.file(POLICIES, &starter, origin, &settings)?, &settings);
    starter.policies.retain(|policy| !idle.contains_key(&policy.name));
    starter.notes.extend(idle.into_values());
    files.extend(existing.file(POLICIES, &starter, origin, &settings)?);
    starter.notes.extend(existing.uncovered(&files));
    if with_workflow {
        let has_work = !files.is_empty() || !set.policies.is_empty();
        let CiJobs { file, note } = jobs(&tree, &around.forges, has_work);
        files.extend(file);
        skipped.extend(note);
    }
    existing.sound(&files)?;
    let is_written = !is_dry && matches!(tree, Tree::Work(_));
    if is_written {
        write(&tree, &files)?;
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
    let DeployedImages { deployed, mut skipped, .. } = deployed(&tree, &settings);
    let text = |path: &str| {
        let text = String::from_utf8(tree.read(path).ok()?).ok();
        text.filter(|text| text.len() <= MAX_FILE)
    };
    let is_there = |path: &&&str| tree.paths().iter().any(|there| there == **path);
    let file = RENOVATE_FILES.iter().find(is_there).and_then(|path| Some((*path, text(path)?)));
    let renovate = file.or_else(|| Some(("package.json", in_package(&text("package.json")?)?)));
    let repository = tree.name().unwrap_or_default();
    let told = renovate.as_ref().map(|(path, file)| RenovateConfig {
        path,
        text: file,
        repository: &repository,
        read: &text,
    });
    let (manifests, overlays) = (manifests(&tree), load::overlays(&tree));
    let imported =
        Imported { manifests: &manifests, renovate: told, overlays, repository: &repository };
    let starter = Starter::imported(&imported, &deployed);
    let mut starter = starter.map_err(Failure::Argument)?;
    let existing = Existing::of(&tree, &settings);
    judge(existing.files.clone())?;
    let before = starter.policies.len();
    starter.policies.retain(|policy| !existing.images.contains(&policy.image));
    skipped.extend(there_already(before - starter.policies.len()));
    existing.fit(&mut starter);
    if starter.policies.is_empty() {
        starter.environments.clear();
    }
    let mut files = Vec::new();
    let origin = "Written by `tagalong import`, from what other tools were told.";
    files.extend(existing.file(IMPORTED, &starter, origin, &settings)?);
    if before == 0 && starter.notes.is_empty() {
        skipped.push("everything: no other tool says anything of images here".to_owned());
    }
    existing.sound(&files)?;
    if is_written {
        write(&tree, &files)?;
    }
    Ok(Started { starter, files, skipped, is_written })
}

fn there_already(count: usize) -> Option<String> {
    let images = if count == 1 { "1 image".to_owned() } else { format!("{count} images") };
    (count > 0).then(|| format!("{images} that policies are there for already"))
}

/// Writes files that are new.
fn write(tree: &Tree, files: &[(String, String)]) -> Result<(), Failure> {
    let Tree::Work(work) = tree else {
        return Err(Failure::Argument("--write needs a directory".to_owned()));
    };
    for (path, text) in files {
        work.create(path, text).map_err(|error| Failure::Failed(error.to_string()))?;
    }
    Ok(())
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
        let is_told = TOLD_BY.iter().chain(&TOLD_BESIDE).any(|tool| text.contains(tool));
        is_told.then(|| ((*path).clone(), text.to_owned()))
    };
    sweep::each(tree, &paths, |path| path, told).into_iter().flatten().collect()
}

/// The policies that are there, of which there may be none.
fn declared(tree: &Tree, scope: &Scope) -> Result<(PolicySet, RepositorySettings), Failure> {
    match Loaded::read(tree, None, scope) {
        Ok(loaded) => Ok((loaded.set, loaded.repository)),
        Err(Failure::Invalid(invalid))
            if invalid
                .diagnostics
                .iter()
                .filter(|problem| problem.severity == Severity::Error)
                .all(|problem| problem.code == Code::PolicyNone) =>
        {
            Ok((PolicySet::default(), load::settings(tree)?))
        }
        Err(failure) => Err(failure),
    }
}

/// Refuses policies that are wrong; that there are none yet is no mistake.
fn judge(files: Vec<PolicyFile>) -> Result<(), Failure> {
    let (_, mut diagnostics) = read(&files);
    diagnostics.retain(|problem| problem.code != Code::PolicyNone);
    if !any_error(&diagnostics) {
        return Ok(());
    }
    let sources = files.into_iter().map(|file| (file.path, file.text)).collect();
    Err(Failure::Invalid(Box::new(Invalid { diagnostics, sources })))
}

/// The directory of a glob, with its slash.
fn directory_of(glob: &str) -> String {
    let plain = &glob[..glob.find(['*', '?', '[', '{']).unwrap_or(glob.len())];
    plain.rfind('/').map_or("", |slash| &plain[..=slash]).to_owned()
}

/// The policies that are there.
struct Existing {
    files: Vec<PolicyFile>,
    /// The images that they are for.
    images: BTreeSet<String>,
}

impl Existing {
    fn of(tree: &Tree, settings: &RepositorySettings) -> Self {
        let paths = tree.paths().iter().filter(|path| settings.policies.is_match(path));
        let text = |path: &String| String::from_utf8(tree.read(path).ok()?).ok();
        let files: Vec<PolicyFile> =
            paths.filter_map(|path| Some(PolicyFile::new(path.clone(), text(path)?))).collect();
        let images = read(&files).0.policies.iter().map(|p| p.repository.to_string()).collect();
        Self { files, images }
    }

    /// The file for a starter's policies, under a name that is free.
    fn file(
        &self,
        stem: &str,
        starter: &Starter,
        origin: &str,
        settings: &RepositorySettings,
    ) -> Result<Option<(String, String)>, Failure> {
        if starter.policies.is_empty() {
            return Ok(None);
        }
        let is_free = |name: &String| self.files.iter().all(|file| file.path != *name);
        let is_read = |name: &String| settings.policies.is_match(name);
        let homes = std::iter::once(POLICY_DIRECTORY.to_owned())
            .chain(settings.policy_globs.iter().map(|glob| directory_of(glob)));
        let free = |home: String| {
            let name = |count: usize| match count {
                1 => format!("{home}{stem}.yaml"),
                count => format!("{home}{stem}-{count}.yaml"),
            };
            // Two endings are usual; a glob may know one of them.
            let mut names = (1..MAX_FILES)
                .map(name)
                .flat_map(|name| [name.replace(".yaml", ".yml"), name].into_iter().rev());
            names.find(|name| is_read(name) && is_free(name))
        };
        // A file that is named as a whole may not be there yet.
        let named = || {
            let mut globs = settings.policy_globs.iter();
            globs.find(|glob| is_free(glob) && !glob.contains(['*', '?', '[', '{'])).cloned()
        };
        let Some(path) = homes.into_iter().find_map(free).or_else(named) else {
            let globs = settings.policy_globs.join("`, `");
            let message =
                format!("`policies` of {SETTINGS_FILE} (`{globs}`) has no place for a new file");
            return Err(Failure::Argument(message));
        };
        Ok(Some((path, policies(starter, origin))))
    }

    /// The first error of these policies beside those that are there.
    fn problem(&self, starter: &Starter) -> Option<String> {
        let mut files = self.files.clone();
        files.push(PolicyFile::new("policies/new.yaml", policies(starter, "")));
        let (_, problems) = read(&files);
        problems.into_iter().find(|p| p.severity == Severity::Error).map(|p| p.message)
    }

    /// Says of new policies that no environment takes them: those that are there list their images.
    fn uncovered(&self, new: &[(String, String)]) -> Option<String> {
        let added = new.iter().map(|(path, text)| PolicyFile::new(path.clone(), text.clone()));
        let (set, _) = read(&self.files.iter().cloned().chain(added).collect::<Vec<_>>());
        let is_taken =
            |index: &PolicyId| set.environments.iter().any(|e| e.policies.contains(index));
        let left = set.policies.ids().filter(|index| !is_taken(index));
        let is_new = |policy: &&Policy| new.iter().any(|(path, _)| *path == policy.place.path);
        let names: Vec<&str> = left
            .map(|index| &set.policies[index])
            .filter(is_new)
            .map(|policy| policy.name.as_str())
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "no environment takes `{}`: add them to `images` of the environments that they belong to, or nothing is kept up \
                 to date by them",
                names.join("`, `")
            )
        })
    }

    /// Leaves out what does not go with the rest, and says why: one thing that other tools were told and that cannot be
    /// here keeps nothing else away.
    fn fit(&self, starter: &mut Starter) {
        if starter.policies.is_empty() || self.problem(starter).is_none() {
            return;
        }
        let (all, places) =
            (std::mem::take(&mut starter.policies), std::mem::take(&mut starter.environments));
        for policy in all {
            let (image, origin) = (policy.image.clone(), policy.comments.join("; "));
            let alone = Starter { policies: vec![policy.clone()], ..Starter::default() };
            match self.problem(&alone) {
                None => starter.policies.push(policy),
                Some(why) => starter.notes.push(format!("{image} ({origin}): {why}")),
            }
        }
        for place in places {
            let name = place.name.clone();
            starter.environments.push(place);
            if let Some(why) = self.problem(starter) {
                starter.environments.pop();
                starter.notes.push(format!("environment {name}: {why}"));
            }
        }
        while let Some(why) = self.problem(starter) {
            let all = &starter.policies;
            let is_second = |at: &usize| all[..*at].iter().any(|one| one.image == all[*at].image);
            let Some(at) = (0..all.len()).rev().find(is_second).or(all.len().checked_sub(1)) else {
                break;
            };
            let last = starter.policies.remove(at);
            starter.notes.push(format!("{} ({}): {why}", last.image, last.comments.join("; ")));
        }
    }

    /// What is written has to be what `check` accepts, whatever it was made from.
    /// New policies whose places a run would all leave alone, as other files decide about them, with what to say of each.
    fn idle(
        &self,
        tree: &Tree,
        new: Option<(String, String)>,
        settings: &RepositorySettings,
    ) -> BTreeMap<String, String> {
        let Some((path, text)) = new else { return BTreeMap::new() };
        let is_new = |policy: &Policy| policy.place.path == path;
        let new = PolicyFile::new(path.clone(), text);
        let (mut set, _) = read(&[self.files.clone(), vec![new]].concat());
        tree.settle(&mut set);
        let repositories = set.policies.iter().flat_map(Policy::repositories);
        let mut hits = load::find_hits(tree, settings, repositories, &[]);
        let looked = survey(tree, &set, &mut hits);
        let sites = looked.files.iter().flat_map(|file| &file.sites);
        let moving: BTreeSet<PolicyId> = sites.map(|(_, policy)| *policy).collect();
        let left = looked.left.iter().filter(|((_, policy), _)| !moving.contains(policy));
        let idle = left.filter_map(|((_, policy), place)| {
            let policy = Some(&set.policies[*policy]).filter(|policy| is_new(policy))?;
            let is_there = |problem: &&Diagnostic| {
                let at = problem.place.as_ref();
                at.is_some_and(|at| format!("{}:{}", at.path, at.line) == *place)
            };
            let why = looked.diagnostics.iter().find(is_there).map(|problem| &problem.message);
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            let note = format!("no policy is written for {} at {place}{why}", policy.repository);
            Some((policy.name.clone(), note))
        });
        idle.collect()
    }

    fn sound(&self, files: &[(String, String)]) -> Result<(), Failure> {
        let new = files.iter().filter(|(path, _)| !is_ci_file(path));
        let new: Vec<PolicyFile> =
            new.map(|(path, text)| PolicyFile::new(path.clone(), text.clone())).collect();
        if new.is_empty() {
            return Ok(());
        }
        judge([self.files.clone(), new].concat())
    }
}
