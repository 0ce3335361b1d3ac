//! Settings and policies, from the repository or from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use globset::GlobSet;

use super::{Failure, Hits, Invalid, Tree, sweep};
use crate::diagnostic::{Code, Diagnostic, Place, Severity, any_error, nearest};
use crate::image::Repository;
use crate::manifest::{
    KUSTOMIZATIONS, MAX_FILE, Search, is_candidate, is_kustomization, may_be_text, taken_by,
};
use crate::policy::{
    Environment, Home, KUSTOMIZE_API_GROUP, Overlays, Policy, PolicyFile, PolicyReader, PolicySet,
    RegistrySettings, RepositorySettings, SETTINGS_FILE, Signer, read_registries, resolved,
};
use crate::secret::masked;
use crate::settings::Scope;
use crate::signature::{TrustRoot, Verifier, Verifiers};
use crate::yaml::Stream;

/// What a repository declares.
#[derive(Clone)]
pub struct Loaded {
    /// The policies and environments.
    pub set: PolicySet,
    /// The repository's settings.
    pub repository: RepositorySettings,
    /// What signatures are verified with.
    pub verifiers: Verifiers,
    /// Texts of the files by path, for code frames.
    pub sources: BTreeMap<String, String>,
    /// Problems that stop nothing.
    pub diagnostics: Vec<Diagnostic>,
    /// Which files are worth looking into.
    pub hits: Hits,
}

impl Loaded {
    /// Reads and judges settings and policies.
    ///
    /// # Errors
    /// When a file cannot be read, or one is invalid.
    pub fn read(tree: &Tree, given: Option<&PolicyFile>, scope: &Scope) -> Result<Self, Failure> {
        let mut sources = BTreeMap::new();
        let mut diagnostics = Vec::new();
        let (repository, settings) = repository_settings(tree, &mut diagnostics)
            .map_err(|(problems, sources)| invalid(problems, sources))?;
        sources.extend(settings.into_iter().map(|file| (file.path, file.text)));
        let mut files = match given {
            Some(given) => vec![given.clone()],
            None => {
                let paths = tree.paths().iter().filter(|path| repository.policies.is_match(path));
                paths.filter_map(|path| file(tree, path, &mut diagnostics)).collect()
            }
        };
        let mut reader = PolicyReader::default();
        for file in &files {
            reader.file(file);
        }
        let hits = find_hits(
            tree,
            &repository,
            reader.repositories(),
            &reader.targets().collect::<Vec<_>>(),
        );
        if given.is_none() {
            if !hits.flux.is_empty() {
                reader.overlays(overlays(tree));
            }
            for file in hits.flux.iter().filter_map(|path| manifest(tree, path)) {
                reader.file(&file);
                files.push(file);
            }
        }
        let (mut set, problems) = reader.finish();
        tree.settle(&mut set);
        for environment in &mut set.environments {
            environment.paths.leave_out(&repository.exclude);
        }
        diagnostics
            .extend(problems.into_iter().map(|problem| looked_for(problem, &repository, tree)));
        diagnostics.extend(coverage(&set, tree));
        sources.extend(files.into_iter().map(|file| (file.path, file.text)));
        let (verifiers, problems) = verifiers(&set, tree, scope);
        diagnostics.extend(problems);
        if any_error(&diagnostics) {
            return Err(invalid(diagnostics, sources));
        }
        Ok(Self { set, repository, verifiers, sources, diagnostics, hits })
    }

    /// The same for another place, and what is found there.
    #[must_use]
    pub(super) fn at(&self, home: &Home, tree: &Tree) -> Self {
        let set = PolicySet { here: home.clone(), ..self.set.clone() };
        let repositories = set.policies.iter().flat_map(Policy::repositories);
        let targets = set.policies.iter().flat_map(|policy| &policy.targets);
        let targets: Vec<&GlobSet> = targets.map(|target| &target.files).collect();
        let hits = find_hits(tree, &self.repository, repositories, &targets);
        let diagnostics = coverage(&set, tree);
        let (repository, verifiers) = (self.repository.clone(), self.verifiers.clone());
        Self { set, repository, verifiers, sources: BTreeMap::new(), diagnostics, hits }
    }
}

/// Problems, and the texts that they are about.
type Problems = (Vec<Diagnostic>, BTreeMap<String, String>);

/// A name that the settings file is often given.
const MISNAMED: &str = "tagalong.yml";

/// The repository's settings, with their file where there is one.
fn repository_settings(
    tree: &Tree,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<(RepositorySettings, Option<PolicyFile>), Problems> {
    let settings = match tree.paths().iter().find(|path| *path == SETTINGS_FILE) {
        Some(path) => file(tree, path, diagnostics),
        None => {
            diagnostics.extend(tree.paths().iter().find(|path| *path == MISNAMED).map(|path| {
                let message = format!("this file is not read; name it {SETTINGS_FILE}");
                Diagnostic::warning(Code::FileSkipped, message).at(Place::of_file(path))
            }));
            None
        }
    };
    match RepositorySettings::read(settings.as_ref()) {
        Ok(repository) => Ok((repository, settings)),
        Err(problems) => {
            Err((problems, settings.into_iter().map(|file| (file.path, file.text)).collect()))
        }
    }
}

/// The repository's settings alone.
///
/// # Errors
/// When they are invalid.
pub(super) fn settings(tree: &Tree) -> Result<RepositorySettings, Failure> {
    let read = repository_settings(tree, &mut Vec::new());
    read.map(|(settings, _)| settings).map_err(|(problems, sources)| invalid(problems, sources))
}

fn invalid(diagnostics: Vec<Diagnostic>, sources: BTreeMap<String, String>) -> Failure {
    Failure::Invalid(Box::new(Invalid { diagnostics, sources }))
}

/// A verifier for each policy that asks for signatures.
fn verifiers(set: &PolicySet, tree: &Tree, scope: &Scope) -> (Verifiers, Vec<Diagnostic>) {
    let (mut verifiers, mut problems) = (Verifiers::new(), Vec::new());
    let mut root = None;
    for policy in &set.policies {
        let Some(signer) = &policy.checks.signer else { continue };
        let root = root.get_or_insert_with(|| trust_root(scope));
        match root.as_ref().map_err(Clone::clone).and_then(|root| verifier(signer, tree, root)) {
            Ok(verifier) => drop(verifiers.insert(policy.name.clone(), Arc::new(verifier))),
            Err(why) => {
                let message = format!("signatures of `{}` cannot be verified: {why}", policy.name);
                let problem = Diagnostic::error(Code::PolicyKey, message);
                problems.push(problem.at(policy.place.clone()));
            }
        }
    }
    (verifiers, problems)
}

fn verifier(signer: &Signer, tree: &Tree, root: &TrustRoot) -> Result<Verifier, String> {
    let Signer::Key { path } = signer else { return Verifier::new(signer, None, root) };
    let bytes = tree.read(path).map_err(|problem| format!("{path}: {}", problem.message))?;
    let pem = String::from_utf8(bytes).map_err(|_error| format!("{path} is not text"))?;
    Verifier::new(signer, Some(&pem), root).map_err(|why| format!("{path}: {why}"))
}

/// Whose certificates count: what the operator says, or the public Sigstore.
fn trust_root(scope: &Scope) -> Result<TrustRoot, String> {
    let Some(path) = &scope.trust_root else { return TrustRoot::read(None) };
    let failed = |why: String| format!("--trust-root {}: {why}", path.display());
    let json = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    TrustRoot::read(Some(&json)).map_err(failed)
}

/// A file of the repository as text; a problem where it is not.
fn file(tree: &Tree, path: &str, problems: &mut Vec<Diagnostic>) -> Option<PolicyFile> {
    let bytes = match tree.read(path) {
        Ok(bytes) => bytes,
        Err(problem) => {
            problems.push(Diagnostic { severity: Severity::Error, ..problem });
            return None;
        }
    };
    let problem = match String::from_utf8(bytes) {
        Ok(text) if text.len() <= MAX_FILE => {
            return Some(PolicyFile::new(path, text));
        }
        Ok(text) => {
            let message = format!("{} bytes are more than the limit of {MAX_FILE}", text.len());
            Diagnostic::error(Code::FileTooLarge, message)
        }
        Err(_not_utf8) => Diagnostic::error(Code::PolicySyntax, "this is not UTF-8 text"),
    };
    problems.push(problem.at(Place::of_file(path)));
    None
}

/// Searches the files that can name images, or hold resources of Flux.
pub(super) fn find_hits<'a>(
    tree: &Tree,
    repository: &RepositorySettings,
    repositories: impl Iterator<Item = &'a Repository>,
    targets: &[&GlobSet],
) -> Hits {
    let is_policy = |path: &str| repository.policies.is_match(path) || path == SETTINGS_FILE;
    let is_target = |path: &str| targets.iter().any(|files| files.is_match(path));
    let paths = tree.paths().iter().filter(|path| !is_policy(path));
    let (aimed, other): (Vec<&String>, Vec<&String>) = paths.partition(|path| is_target(path));
    let (other, texts): (Vec<&String>, Vec<&String>) =
        other.into_iter().partition(|path| is_candidate(path));
    let texts: Vec<&String> = texts.into_iter().filter(|path| may_be_text(path)).collect();
    let search = Search::new(repositories);
    let mut hits = Hits::find(tree, &other, &search);
    // Files that are not read as YAML are reported where they name an image.
    let texts = Hits::find(tree, &texts, &search);
    hits.sites.extend(texts.sites);
    // Flux's resources are looked for in these as well, sites whatever their bytes are.
    let targets = Hits::find(tree, &aimed, &search);
    hits.flux.extend(targets.flux);
    hits.kustomize.extend(targets.kustomize);
    hits.releases.extend(targets.releases);
    hits.left_alone.extend(targets.left_alone);
    hits.over_sum = hits.over_sum.or(texts.over_sum).or(targets.over_sum);
    hits.sites.extend(aimed.into_iter().cloned());
    hits.sites.sort_unstable();
    hits
}

/// What kustomizations do with resources of Flux.
pub(super) fn overlays(tree: &Tree) -> Overlays {
    let paths: Vec<&String> = tree.paths().iter().filter(|path| is_candidate(path)).collect();
    let found = sweep::each(
        tree,
        &paths,
        |path| path,
        |path, bytes| {
            let text = std::str::from_utf8(bytes.ok()?).ok().filter(|t| t.len() <= MAX_FILE)?;
            let is_one = is_kustomization(path) || text.contains(KUSTOMIZE_API_GROUP);
            is_one.then(|| text.to_owned())
        },
    );
    learnt(tree, paths.into_iter().zip(found).filter_map(|(path, text)| Some((path, text?))))
}

/// What `Kustomization`s of Flux's in some files say.
pub(super) fn overlays_of(tree: &Tree, paths: &[String]) -> Overlays {
    let text = |path: &str| String::from_utf8(tree.read(path).ok()?).ok();
    let texts = paths.iter().filter_map(|path| Some((path, text(path)?)));
    learnt(tree, texts.filter(|(_, text)| text.len() <= MAX_FILE))
}

/// Learns from texts of files; files that they name are read.
fn learnt<'p>(tree: &Tree, texts: impl Iterator<Item = (&'p String, String)>) -> Overlays {
    let read = |path: &str| String::from_utf8(tree.read(path).ok()?).ok();
    let mut overlays = Overlays::default();
    texts.for_each(|(path, text)| overlays.learn(path, &text, &read));
    let mut kustomizations = Kustomizations::of(tree);
    overlays.follow(&mut |outer| kustomizations.taken(outer));
    overlays.settled()
}

/// The kustomizations of a repository, each read once.
pub(super) struct Kustomizations<'t> {
    tree: &'t Tree,
    known: BTreeMap<String, Vec<String>>,
}

impl<'t> Kustomizations<'t> {
    pub(super) fn of(tree: &'t Tree) -> Self {
        Self { tree, known: BTreeMap::new() }
    }

    /// Paths that the kustomization in a directory takes, or the one at a path.
    pub(super) fn taken(&mut self, outer: &str) -> Vec<String> {
        let read = || {
            let paths = KUSTOMIZATIONS.map(|name| resolved(&format!("{outer}/{name}")));
            let own = is_kustomization(outer).then(|| outer.to_owned());
            let mut texts = own.into_iter().chain(paths);
            let found = texts.find_map(|path| text(self.tree, &path).map(|text| (path, text)));
            found.map_or_else(Vec::new, |(path, text)| taken_by(&path, &text))
        };
        self.known.entry(outer.to_owned()).or_insert_with(read).clone()
    }
}

/// A file as text, where there is one.
pub(super) fn text(tree: &Tree, path: &str) -> Option<String> {
    tree.paths().binary_search_by(|own| own.as_str().cmp(path)).ok()?;
    let text = String::from_utf8(tree.read(path).ok()?).ok()?;
    (text.len() <= MAX_FILE).then_some(text)
}

/// A file outside the policy globs that holds resources of Flux.
fn manifest(tree: &Tree, path: &str) -> Option<PolicyFile> {
    let text = String::from_utf8(tree.read(path).ok()?).ok()?;
    let namespace = || namespace(tree, path);
    (text.len() <= MAX_FILE).then(|| PolicyFile {
        manifests: true,
        namespace: namespace(),
        ..PolicyFile::new(path, text)
    })
}

/// The namespace of the nearest kustomization, beside a file or above it.
fn namespace(tree: &Tree, path: &str) -> Option<String> {
    let mut directory = path;
    while let Some((parent, _)) =
        directory.rsplit_once('/').or((!directory.is_empty()).then_some(("", "")))
    {
        for name in KUSTOMIZATIONS {
            let candidate =
                if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
            if tree.paths().binary_search(&candidate).is_err() {
                continue;
            }
            let text = String::from_utf8(tree.read(&candidate).ok()?).ok()?;
            let stream = Stream::parse(&text).ok()?;
            let namespace = stream.get(*stream.documents().first()?, "namespace");
            return namespace.and_then(|node| stream.text(node)).map(str::to_owned);
        }
        directory = parent;
    }
    None
}

/// Says where policies were looked for, when there are none.
fn looked_for(problem: Diagnostic, repository: &RepositorySettings, tree: &Tree) -> Diagnostic {
    if problem.code != Code::PolicyNone {
        return problem;
    }
    let globs = repository.policy_globs.join(", ");
    let message = format!("{} ({globs}, from the root of the repository)", problem.message);
    let is_usual = repository.policies.is_match("policies/NAME.yaml");
    let theirs = format!("a file that {globs} fits");
    let help = problem
        .help
        .map(|help| if is_usual { help } else { help.replace("policies/NAME.yaml", &theirs) });
    let outer = tree.outer().map(|root| {
        let root = root.display();
        format!("this is a directory within a checkout: run it at {root}, or with `--repo {root}`")
    });
    let help = outer.into_iter().chain(help).collect::<Vec<_>>().join("; or ");
    Diagnostic { message, help: Some(help), ..problem }
}

/// Files that two environments cover, and paths that cover no file.
fn coverage(set: &PolicySet, tree: &Tree) -> Vec<Diagnostic> {
    let mut problems = BTreeMap::new();
    let mut used: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); set.environments.len()];
    for path in tree.paths() {
        let mut first: Option<&Environment> = None;
        for (environment, used) in set.environments.iter().zip(&mut used) {
            if environment.home != set.here {
                continue;
            }
            let covering = environment.paths.covering(path);
            if covering.is_empty() {
                continue;
            }
            used.extend(covering);
            match first {
                None => first = Some(environment),
                Some(first) => {
                    let key = (&first.name, &environment.name);
                    problems.entry(key).or_insert_with(|| doubly(first, environment, path));
                }
            }
        }
    }
    let here = set.environments.iter().zip(&used).filter(|(e, _)| e.home == set.here);
    let unused = here.flat_map(|(environment, used)| {
        let written = environment.paths.written().iter().enumerate();
        let idle = written.filter(|(index, path)| !used.contains(index) && *path != ".");
        idle.map(move |(index, path)| (environment, index, path))
    });
    let unused = unused.enumerate().map(|(at, (environment, index, path))| {
        let name = &environment.name;
        let message = format!("no file is beneath `{path}`, a path of environment `{name}`");
        let place = environment.path_places.get(index).unwrap_or(&environment.place);
        let problem = Diagnostic::warning(Code::PolicyUnusedPath, message).at(place.clone());
        let near = (at < MAX_SUGGESTIONS).then(|| nearest_directory(path, tree)).flatten();
        Diagnostic { help: near.map(|near| format!("did you mean `{near}`?")), ..problem }
    });
    let unused: Vec<_> = unused.collect();
    problems.into_values().chain(unused).collect()
}

/// So many misspelt paths are compared with all directories.
const MAX_SUGGESTIONS: usize = 10;

/// The directory, as deep in the tree, that is written most like a path.
fn nearest_directory<'t>(path: &str, tree: &'t Tree) -> Option<&'t str> {
    let depth = path.trim_end_matches('/').split('/').count();
    let directory = |file: &'t String| {
        let mut slashes = file.match_indices('/').map(|(at, _)| at);
        Some(&file[..slashes.nth(depth - 1)?])
    };
    let all: BTreeSet<&str> = tree.paths().iter().filter_map(directory).collect();
    nearest(path, all)
}

fn doubly(first: &Environment, second: &Environment, path: &str) -> Diagnostic {
    let message = format!("environments `{}` and `{}` both cover {path}", first.name, second.name);
    Diagnostic::error(Code::PolicyOverlap, message)
        .at(second.place.clone())
        .help("a file belongs to one environment; narrow one of the paths")
}

/// The policies of `--policies FILE` or `-`.
pub(super) fn given(scope: &Scope) -> Result<Option<PolicyFile>, Failure> {
    let Some(path) = &scope.policies else { return Ok(None) };
    read_argument("--policies", path).map(Some)
}

/// The operator's file about registries.
///
/// # Errors
/// When it cannot be read, or says what cannot be.
pub(super) fn registries(path: Option<&Path>) -> Result<Vec<RegistrySettings>, Failure> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let file = read_argument("--registries", path)?;
    read_registries(&file).map_err(|diagnostics| {
        let sources = [(file.path, masked(&file.text))].into();
        Failure::Invalid(Box::new(Invalid { diagnostics, sources }))
    })
}

/// A file that an argument names; `-` is standard input.
fn read_argument(option: &str, path: &Path) -> Result<PolicyFile, Failure> {
    let failed = |why: String| Failure::Argument(format!("{option} {}: {why}", path.display()));
    let mut text = String::new();
    let limit = MAX_FILE as u64 + 1;
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.map_err(|error| failed(error.to_string()))?;
    if text.len() > MAX_FILE {
        return Err(failed(format!("more than {MAX_FILE} bytes")));
    }
    Ok(PolicyFile::new(path.display().to_string(), text))
}
