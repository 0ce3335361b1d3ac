//! What Argo CD Image Updater was told: annotations of `Application`s
//! (<https://argocd-image-updater.readthedocs.io/en/release-0.16/configuration/images/>) and `ImageUpdater` resources
//! (<https://argocd-image-updater.readthedocs.io/en/stable/configuration/applications/>), with their meaning as its code has it.

use std::collections::{BTreeMap, BTreeSet};

use super::guess::Rule;
use super::write::list_of;
use super::yaml::YamlObject;
use super::{DeployedImage, Place, Starter, StarterPolicy, name_of};
use crate::image::Repository;
use crate::policy::resolved;

const PREFIX: &str = "argocd-image-updater.argoproj.io/";

/// Settings of one image; those of the application where it has none of its own.
type AskedSetting<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Argo CD's Applications whose files are in this repository: their directories, by name.
pub(super) struct Applications<'a> {
    known: BTreeMap<String, BTreeSet<String>>,
    /// The repository as `owner/name`; empty where that is not known.
    repository: &'a str,
}

impl<'a> Applications<'a> {
    /// None yet.
    pub(super) const fn new(repository: &'a str) -> Self {
        Self { known: BTreeMap::new(), repository }
    }

    /// Learns an `Application`, where something is deployed beneath its path here.
    pub(super) fn learn(&mut self, object: &YamlObject<'_>, deployed: &[DeployedImage]) {
        let is_argo = object.text(&["apiVersion"]).is_some_and(|v| v.starts_with("argoproj.io/"));
        let name = object.text(&["metadata", "name"]).filter(|_| is_argo);
        let Some(name) = name.filter(|_| object.text(&["kind"]) == Some("Application")) else {
            return;
        };
        let is_here = |path: &String| {
            let beneath = format!("{path}/");
            path == "." || deployed.iter().any(|one| one.path.starts_with(&beneath))
        };
        let paths: BTreeSet<String> =
            sources(object, self.repository).into_iter().filter(is_here).collect();
        if !paths.is_empty() {
            self.known.entry(name.to_owned()).or_default().extend(paths);
        }
    }

    /// The directories of the Applications that a pattern names.
    fn paths(&self, pattern: &str) -> BTreeSet<String> {
        let Ok(glob) = globset::Glob::new(pattern) else { return BTreeSet::new() };
        let glob = glob.compile_matcher();
        let meant = self.known.iter().filter(|(name, _)| glob.is_match(name.as_str()));
        meant.flat_map(|(_, paths)| paths.iter().cloned()).collect()
    }
}

/// The directories of an Application's sources that are in this repository.
fn sources(object: &YamlObject<'_>, repository: &str) -> BTreeSet<String> {
    let plain = |path: &str| match path.trim_start_matches("./").trim_matches('/') {
        "" => ".".to_owned(),
        path => path.to_owned(),
    };
    let is_here =
        |source: &YamlObject<'_>| is_of(source.text(&["repoURL"]).unwrap_or_default(), repository);
    let all = all_sources(object);
    let paths =
        all.iter().filter(|source| is_here(source)).filter_map(|source| source.text(&["path"]));
    paths.map(plain).filter(|path| !path.contains("{{")).collect()
}

/// True if a URL is that of this repository, as far as is known.
fn is_of(url: &str, repository: &str) -> bool {
    let url = url.to_lowercase();
    let name = url.trim_end_matches('/').trim_end_matches(".git");
    let rest = name.strip_suffix(repository);
    url.is_empty() || repository.is_empty() || rest.is_some_and(|rest| rest.ends_with(['/', ':']))
}

/// The sources of an application, under either key.
fn all_sources<'a>(object: &YamlObject<'a>) -> Vec<YamlObject<'a>> {
    let mut all = object.items(&["spec", "sources"]);
    all.extend(object.below(&["spec", "source"]));
    all
}

/// Adds what the documents of a file say.
pub(super) fn add(
    starter: &mut Starter,
    names: &mut BTreeSet<String>,
    object: &YamlObject<'_>,
    applications: &Applications<'_>,
) {
    match object.text(&["kind"]) {
        Some("Application") => {
            application(starter, names, object, &["metadata", "annotations"], applications);
        }
        Some("ApplicationSet") if list(object, &TEMPLATE).is_some() => {
            let name = object.text(&["metadata", "name"]).unwrap_or_default();
            starter.notes.push(format!(
                "ApplicationSet {name}: its applications are made in the cluster; write an environment for each directory"
            ));
        }
        Some("ImageUpdater") => resource(starter, names, object, applications),
        _ => {}
    }
}

/// Annotations that are carried over, or need not be, without the image that they are of.
const READ: [&str; 7] = [
    "image-list",
    "update-strategy",
    "allow-tags",
    "ignore-tags",
    "platforms",
    "pull-secret",
    "write-back-target",
];

const TEMPLATE: [&str; 4] = ["spec", "template", "metadata", "annotations"];

fn list<'a>(object: &YamlObject<'a>, at: &[&str]) -> Option<&'a str> {
    object.text(&[at, &[&format!("{PREFIX}image-list")]].concat())
}

fn application(
    starter: &mut Starter,
    names: &mut BTreeSet<String>,
    object: &YamlObject<'_>,
    at: &[&str],
    applications: &Applications<'_>,
) {
    let Some(images) = list(object, at) else { return };
    let app = object.text(&["metadata", "name"]).unwrap_or("app").to_owned();
    let annotations: BTreeMap<String, String> = object.map(at);
    let mut policies = Vec::new();
    for item in images.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (alias, image) = item.split_once('=').unwrap_or(("", item));
        // An alias with a slash is written with an underscore in keys.
        let alias = alias.replace('/', "_");
        let told = |key: &str| {
            let own = format!("{PREFIX}{alias}.{key}");
            let of_all = format!("{PREFIX}{key}");
            annotations.get(&own).or_else(|| annotations.get(&of_all)).cloned()
        };
        policies.extend(image_of(starter, names, &app, image, &told));
    }
    let target = annotations.get(&format!("{PREFIX}write-back-target"));
    let other = annotations.get(&format!("{PREFIX}git-repository"));
    if let Some(other) = other.filter(|url| !is_of(url, applications.repository)) {
        starter.policies.retain(|policy| !policies.contains(&policy.name));
        return starter
            .notes
            .push(format!("{app}: no policy is written, as it writes into {other}; import there"));
    }
    if !left(starter, &app, &annotations) {
        unwritten(starter, &app, &policies);
    }
    environment(
        starter,
        object,
        &app,
        target.map(String::as_str),
        &policies,
        applications.repository,
    );
}

/// Says which annotations mean nothing here; true if versions are written into git.
fn left(starter: &mut Starter, app: &str, annotations: &BTreeMap<String, String>) -> bool {
    let own =
        annotations.iter().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    let mut others = Vec::new();
    let mut is_written = false;
    for (key, value) in own {
        let last = key.rsplit('.').next().unwrap_or(key);
        match last {
            "write-back-method" => is_written = value.starts_with("git"),
            key if READ.contains(&key) => {}
            _ => others.push(key),
        }
    }
    if !others.is_empty() {
        starter.notes.push(format!("{app}: not carried over: `{}`", others.join("`, `")));
    }
    is_written
}

/// Takes policies back whose versions are written into the cluster alone: the files stay as they are there.
fn unwritten(starter: &mut Starter, app: &str, policies: &[String]) {
    for policy in starter.policies.iter_mut().filter(|policy| policies.contains(&policy.name)) {
        policy.is_in_cluster = true;
    }
    starter.notes.push(format!(
        "{app}: no policy is written, as its versions are in the cluster alone and its files stay as they are; write the \
         versions into a file, with `write-back-method: git`, first"
    ));
}

/// An `ImageUpdater` names applications by patterns; which they are, only the cluster knows.
fn resource(
    starter: &mut Starter,
    names: &mut BTreeSet<String>,
    object: &YamlObject<'_>,
    applications: &Applications<'_>,
) {
    let app = object.text(&["metadata", "name"]).unwrap_or("updater").to_owned();
    for reference in object.items(&["spec", "applicationRefs"]) {
        if reference.text(&["useAnnotations"]) == Some("true") {
            starter.notes.push(format!(
                "ImageUpdater {app}: it takes what the annotations of its applications say (`useAnnotations`), and nothing of its own"
            ));
            continue;
        }
        let mut policies = Vec::new();
        for image in reference.items(&["images"]) {
            let Some(name) = image.text(&["imageName"]) else { continue };
            let told = |key: &str| {
                let key = match key {
                    "update-strategy" => "updateStrategy",
                    "allow-tags" => "allowTags",
                    "ignore-tags" => "ignoreTags",
                    key => key,
                };
                let keys = ["commonUpdateSettings", key];
                let own = image.texts(&keys).or_else(|| reference.texts(&keys));
                own.or_else(|| object.texts(&["spec", "commonUpdateSettings", key]))
            };
            policies.extend(image_of(starter, names, &app, name, &told));
        }
        let method = ["writeBackConfig", "method"];
        let common = || object.text(&[&["spec"], &method[..]].concat());
        let other = ["writeBackConfig", "gitConfig", "repository"];
        let other = reference
            .text(&other)
            .or_else(|| object.text(&[&["spec"], &other[..]].concat()))
            .filter(|url| !is_of(url, applications.repository));
        if let Some(other) = other {
            starter.policies.retain(|policy| !policies.contains(&policy.name));
            starter.notes.push(format!(
                "ImageUpdater {app}: no policy is written, as it writes into {other}; import there"
            ));
            continue;
        }
        if !reference.text(&method).or_else(common).is_some_and(|m| m.starts_with("git")) {
            unwritten(starter, &app, &policies);
        }
        let pattern = reference.text(&["namePattern"]).unwrap_or("*");
        let is_by_label = reference.has(&["labelSelectors"]);
        let paths = if is_by_label { BTreeSet::new() } else { applications.paths(pattern) };
        let target = ["writeBackConfig", "gitConfig", "writeBackTarget"];
        let common = object.text(&[&["spec"], &target[..]].concat());
        let paths = written_at(paths, reference.text(&target).or(common));
        if paths.is_empty() {
            starter.policies.retain(|policy| !policies.contains(&policy.name));
            starter.notes.push(format!(
                "ImageUpdater {app}: no policy is written, as nothing here says which directories the applications \
                 `{pattern}` are in; write it with its environment"
            ));
        } else if !policies.is_empty() {
            place(starter, if pattern.contains('*') { &app } else { pattern }, &paths, policies);
        }
    }
}

/// The policy for one image of an application: its name.
fn image_of(
    starter: &mut Starter,
    names: &mut BTreeSet<String>,
    app: &str,
    text: &str,
    told: AskedSetting<'_>,
) -> Option<String> {
    // A constraint is no tag in the grammar of references.
    let after_host = text.rfind('/').unwrap_or(0);
    let (image, constraint) = match text[after_host..].split_once(':') {
        Some((name, constraint)) => (&text[..after_host + name.len()], Some(constraint.trim())),
        None => (text, None),
    };
    let Ok(repository) = Repository::parse(image) else {
        starter.notes.push(format!("{app}: `{text}` names no image"));
        return None;
    };
    let mut comments = vec![format!("from Argo CD Image Updater, application {app}")];
    let mut rule = rule(told, constraint, &mut comments);
    let allow = told("allow-tags");
    match allow.as_deref().map(|allow| allow.split_once(':').unwrap_or((allow, ""))) {
        None => {}
        Some((kind, _)) if kind.eq_ignore_ascii_case("any") => {}
        Some((kind, pattern)) if kind.eq_ignore_ascii_case("regexp") => {
            rule.pattern = Some(pattern.to_owned());
        }
        Some((kind, _)) => {
            starter
                .notes
                .push(format!("{app}: `{text}`: its `allow-tags` is of no kind, `{kind}`"));
            return None;
        }
    }
    for glob in told("ignore-tags").iter().flat_map(|globs| globs.split(',')).map(str::trim) {
        if !glob.is_empty() {
            rule.exclude.push(regex_of(glob));
        }
    }
    let mut also = Vec::new();
    if told("update-strategy").is_some_and(|strategy| strategy.eq_ignore_ascii_case("digest")) {
        also.push(("digest", "pin".to_owned()));
    }
    if let Some(platforms) = told("platforms") {
        also.push(("platforms", list_of(platforms.split(',').map(str::trim))));
    }
    if told("pull-secret").is_some() {
        comments.push(
            "credentials come from where docs/registries.md says, not from `pull-secret`"
                .to_owned(),
        );
    }
    let name = name_in(app, &repository, names);
    starter.policies.push(StarterPolicy {
        name: name.clone(),
        image: repository.to_string(),
        rule,
        comments,
        also,
        ..StarterPolicy::default()
    });
    Some(name)
}

/// A name with letters, digits and hyphens alone, that begins with a letter.
fn plain(text: &str) -> String {
    let name = text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-");
    let name = name.trim_matches('-');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.to_owned()
    } else {
        format!("app-{name}")
    }
}

/// A policy's name: the application's, with that of the image where it has several.
fn name_in(app: &str, image: &Repository, names: &mut BTreeSet<String>) -> String {
    let path = image.to_string();
    let last = path.rsplit('/').next().unwrap_or_default();
    let full = format!("{}-{}", plain(app), plain(last));
    let wanted =
        [plain(app), full].into_iter().find(|name| name.len() <= 60 && !names.contains(name));
    let Some(name) = wanted else { return name_of(image, names) };
    names.insert(name.clone());
    name
}

/// The order of a strategy; one that is not known is `semver`, as it is there.
fn rule(told: AskedSetting<'_>, constraint: Option<&str>, comments: &mut Vec<String>) -> Rule {
    let strategy = told("update-strategy").unwrap_or_default().to_lowercase();
    match strategy.as_str() {
        "newest-build" | "latest" => Rule::by("newest", "created"),
        "alphabetical" | "name" => Rule::by("alphabetical", "asc"),
        "digest" => Rule::by("fixed", constraint.unwrap_or("latest")),
        _ => {
            if constraint.is_none() {
                comments.push(
                    "any version; prereleases are left out, which some versions of it took"
                        .to_owned(),
                );
            }
            let mut rule = Rule::by("semver", constraint.unwrap_or("*"));
            // Versions of two numbers are versions there.
            rule.also.push(("variant", "keep".to_owned()));
            rule
        }
    }
}

/// A glob of Go's `filepath.Match` as a regular expression for the whole tag.
fn regex_of(glob: &str) -> String {
    let mut regex = String::from("^");
    let mut inside = false;
    for c in glob.chars() {
        match c {
            '*' if !inside => regex.push_str(".*"),
            '?' if !inside => regex.push('.'),
            '[' | ']' => {
                inside = c == '[';
                regex.push(c);
            }
            '-' | '^' if inside => regex.push(c),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex + "$"
}

/// Says that an application follows a branch which may not be the one that is read here.
fn branch(object: &YamlObject<'_>, app: &str) -> Option<String> {
    let sources = all_sources(object);
    let with_path = sources.iter().filter(|source| source.has(&["path"]));
    let mut revisions = with_path.filter_map(|source| source.text(&["targetRevision"]));
    let usual = ["", "HEAD", "main", "master"];
    let found = revisions.find(|revision| !usual.contains(revision))?;
    Some(format!(
        "{app}: it follows `{found}`; write `branch: {found}` where that is another branch than this"
    ))
}

/// What is written for sources in some directories: a file that is named is the one that changes, from the root or beside the chart.
fn written_at(paths: BTreeSet<String>, target: Option<&str>) -> BTreeSet<String> {
    let Some((_, file)) = target.and_then(|target| target.split_once(':')) else { return paths };
    match file.strip_prefix('/') {
        Some(file) => BTreeSet::from([plain_path(file)]),
        None => paths.iter().map(|path| plain_path(&format!("{path}/{file}"))).collect(),
    }
}

/// A path of an environment: without `.` and `..`, and `.` for the root.
fn plain_path(path: &str) -> String {
    let path = resolved(path);
    if path.is_empty() { ".".to_owned() } else { path }
}

/// The environment of an application: the directories of its sources.
fn environment(
    starter: &mut Starter,
    object: &YamlObject<'_>,
    app: &str,
    target: Option<&str>,
    images: &[String],
    repository: &str,
) {
    let paths = written_at(sources(object, repository), target);
    if images.is_empty() || paths.is_empty() {
        starter.policies.retain(|policy| !images.contains(&policy.name));
        starter.notes.push(format!(
            "{app}: no policy is written, as no directory of this repository is named; write it with its environment"
        ));
        return;
    }
    starter.notes.extend(branch(object, app));
    place(starter, app, &paths, images.to_vec());
}

/// An environment of directories in which some policies count; of two that are about the same directories, one.
fn place(starter: &mut Starter, name: &str, paths: &BTreeSet<String>, images: Vec<String>) {
    let paths = super::places::outermost(paths);
    if let Some(place) = starter.environments.iter_mut().find(|place| place.paths == paths) {
        place.images.extend(images);
        return;
    }
    let name = starter.free(&plain(name));
    let is_for_all = false;
    starter.environments.push(Place {
        name,
        paths,
        rank: None,
        images,
        is_for_all,
        also: Vec::new(),
    });
}
