//! From what is written to a [`PolicySet`], collecting every problem on the way.

mod foreign;

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobMatcher, GlobSet};

use foreign::foreign;

use super::file::{Document, Places, PolicyFile, is_empty, is_kubernetes_object, parse};
use super::flux::{Flux, Overlays};
use super::paths::{self, Paths};
use super::raw::{RawEnvironment, RawHold, RawImage, RawPolicies, RawTags};
use super::{
    Allow, ById, Deliver, DigestMode, Environment, EnvironmentId, Group, Hold, Home,
    IMPLICIT_ENVIRONMENT, Policy, PolicyId, PolicySet, Stage, TagRule, Timing, Via, checks, hold,
    markers, stage, tags, targets,
};
use crate::diagnostic::{Code, Diagnostic, Place, any_error, nearest};
use crate::image::Repository;

/// The longest name of a policy or environment, in bytes: that of a Kubernetes label.
const MAX_NAME: usize = 63;

/// Reads every policy file.
///
/// Documents with `apiVersion` and `kind` are Kubernetes objects and passed over. The set is
/// usable only when no diagnostic is an error.
#[must_use]
pub fn read(files: &[PolicyFile]) -> (PolicySet, Vec<Diagnostic>) {
    let mut reader = PolicyReader::default();
    for file in files {
        reader.file(file);
    }
    reader.finish()
}

/// Reads policy files one after the other.
#[derive(Default)]
pub struct PolicyReader {
    files: usize,
    policies: BTreeMap<String, Policy>,
    /// Names that are declared, for duplicates.
    declared: BTreeMap<String, Place>,
    /// Names that are written, also of entries that the schema refuses.
    written: BTreeSet<String>,
    environments: BTreeMap<String, Declared>,
    /// Objects for other programs that were passed over.
    kubernetes: usize,
    flux: Flux,
    problems: Vec<Diagnostic>,
}

/// An environment whose policies are not looked up yet.
struct Declared {
    environment: Environment,
    images: Vec<(String, Place)>,
    /// What its holds name.
    held: Vec<(String, Place)>,
}

impl PolicyReader {
    /// The repositories of the policies that are read so far.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        self.policies.values().flat_map(Policy::repositories)
    }

    /// The files that the policies' targets name.
    pub fn targets(&self) -> impl Iterator<Item = &GlobSet> {
        self.policies.values().flat_map(|policy| &policy.targets).map(|target| &target.files)
    }

    /// Takes what changes Flux's resources on their way into the cluster, before they are read.
    pub fn overlays(&mut self, overlays: Overlays) {
        self.flux.overlays = overlays;
    }

    /// Reads a file.
    pub fn file(&mut self, file: &PolicyFile) {
        self.files += 1;
        let stream = match parse(file) {
            Ok(stream) => stream,
            // A manifest that does not parse is reported where sites are looked for.
            Err(_) if file.manifests => return,
            Err(problem) => return self.problems.push(problem),
        };
        for root in stream.documents() {
            if is_kubernetes_object(&stream, *root) {
                self.kubernetes += 1;
                self.flux.add(file, &stream, *root);
                continue;
            }
            if file.manifests || is_empty(&stream, *root) {
                continue;
            }
            if let Some(problem) = foreign(file, &stream, *root) {
                self.problems.push(problem);
                continue;
            }
            let images = stream.get(*root, "images").map(|images| stream.entries(images));
            let names = images.into_iter().flatten().filter_map(|(key, _)| stream.text(*key));
            self.written.extend(names.map(str::to_owned));
            let (document, problems) = Document::<RawPolicies>::read(&file.path, &stream, *root);
            self.problems.extend(problems);
            if let Some(document) = document {
                self.document(document);
            }
        }
    }

    fn document(&mut self, document: Document<'_, RawPolicies>) {
        let places = document.places;
        for (name, raw) in document.raw.images {
            let place = places.of_key(&["images"], &name);
            self.name(&name, &place);
            if let Some(other) = self.declared.get(&name) {
                self.problems.push(twice("policy", &name, place, other));
                continue;
            }
            self.declared.insert(name.clone(), place.clone());
            if let Some(policy) = self.policy(&name, &raw, places, place) {
                self.policies.insert(name, policy);
            }
        }
        for (name, raw) in document.raw.environments {
            let place = places.of_key(&["environments"], &name);
            self.name(&name, &place);
            match self.environments.get(&name) {
                Some(other) => {
                    let problem = twice("environment", &name, place, &other.environment.place);
                    self.problems.push(problem);
                }
                None => self.environment(name, raw, places, place),
            }
        }
    }

    fn policy(
        &mut self,
        name: &str,
        raw: &RawImage,
        places: Places<'_>,
        place: Place,
    ) -> Option<Policy> {
        let repository = Repository::parse(&raw.image).map_err(|error| {
            let problem = Diagnostic::error(Code::PolicyInvalidImage, error.to_string());
            self.problems.push(problem.at(places.of(&["images", name, "image"])));
        });
        let mirrors = raw.mirrors.iter().enumerate().filter_map(|(index, mirror)| {
            let place = || places.of(&["images", name, "mirrors", &index.to_string()]);
            let read = Repository::parse(mirror).map_err(|error| {
                Diagnostic::error(Code::PolicyInvalidImage, error.to_string()).at(place())
            });
            read.map_err(|problem| self.problems.push(problem)).ok()
        });
        let mirrors: Vec<Repository> = mirrors.collect();
        let rule = self.rule(name, &raw.tags, places);
        let (checks, problems) = checks::read(raw);
        let is_sound = problems.is_empty();
        let at = |keys: &[&str]| places.of(&[&["images", name], keys].concat());
        self.problems.extend(problems.into_iter().map(|(keys, problem)| problem.at(at(keys))));
        let digest = match (raw.digest, &checks.signer) {
            (None, Some(_)) => DigestMode::Pin,
            (digest, _) => digest.unwrap_or_default(),
        };
        if checks.signer.is_some() && digest != DigestMode::Pin {
            self.problems.push(unpinned().at(at(&["digest"])));
        }
        let (targets, problems) = targets::read(&raw.targets, |index, key| {
            let index = index.to_string();
            let keys = ["targets", &index].into_iter().chain(key);
            at(&keys.collect::<Vec<_>>())
        });
        self.problems.extend(problems);
        Some(Policy {
            name: name.to_owned(),
            repository: repository.ok()?,
            mirrors,
            image: raw.image.clone(),
            finds: raw.places.into(),
            marker: raw.marker.clone(),
            follow_digest: false,
            rule: rule.filter(|_| is_sound)?,
            digest,
            checks,
            allow: Allow {
                downgrade: raw.allow_downgrade,
                vanished: raw.allow_vanished,
                shrunken: raw.allow_shrunken,
                moved: raw.allow_moved,
            },
            targets,
            place,
        })
    }

    fn rule(&mut self, name: &str, raw: &RawTags, places: Places<'_>) -> Option<TagRule> {
        let (rule, problems) = tags::read(name, raw);
        let at = |keys: &[String]| {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            places.of(&[&["images", name, "tags"], &keys[..]].concat())
        };
        let complete = !any_error(problems.iter().map(|(_, problem)| problem));
        self.problems.extend(problems.into_iter().map(|(keys, problem)| problem.at(at(&keys))));
        rule.filter(|_| complete)
    }

    fn environment(&mut self, name: String, raw: RawEnvironment, places: Places<'_>, place: Place) {
        let at =
            |key: &str, index: usize| places.of(&["environments", &name, key, &index.to_string()]);
        if raw.paths.is_empty() {
            let problem =
                Diagnostic::error(Code::PolicyPaths, format!("environment `{name}` has no paths"));
            let place = places.of(&["environments", &name, "paths"]);
            self.problems
                .push(problem.at(place).help("name the directories that it syncs, or `.` for all"));
        }
        let (paths, unusable) = Paths::read(&raw.paths, &raw.exclude);
        let unusable = unusable.into_iter();
        self.problems.extend(unusable.map(|one| one.problem.at(at(one.key, one.index))));
        let path_places = (0..raw.paths.len()).map(|index| at("paths", index)).collect();
        let images = raw.images.iter().enumerate();
        let images = images.map(|(index, image)| (image.clone(), at("images", index))).collect();
        let below = |keys: &[&str]| places.of(&[&["environments", &name], keys].concat());
        let holds = self.holds(&raw.holds, |index, key| below(&["holds", &index.to_string(), key]));
        let (stage, timing, wrong) = stage::read(&raw, below);
        for (keys, why) in wrong {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let problem = Diagnostic::error(Code::PolicyInvalidValue, why);
            self.problems.push(problem.at(below(&keys)));
        }
        let home = self.home(&raw, below);
        let held = hold::references(&raw, below);
        let mut deliver = Deliver::read(raw.deliver).unwrap_or_else(|(key, why)| {
            let place = places.of(&["environments", &name, "deliver", key]);
            self.problems.push(Diagnostic::error(Code::PolicyInvalidValue, why).at(place));
            Deliver::default()
        });
        if deliver.via == Via::Push && deliver.merge.approval {
            self.problems.push(unapprovable().at(below(&["deliver", "approval"])));
        }
        deliver.timing = Timing { schedule: deliver.timing.schedule, ..timing };
        let environment = Environment {
            name: name.clone(),
            home,
            paths,
            policies: Vec::new(),
            deliver,
            holds,
            stage,
            message: None,
            path_places,
            place,
        };
        self.environments.insert(name, Declared { environment, images, held });
    }

    fn home(&mut self, raw: &RawEnvironment, below: impl Fn(&[&str]) -> Place) -> Home {
        let home = Home::read(raw.repository.as_deref(), raw.branch.as_deref());
        home.unwrap_or_else(|(key, why)| {
            let problem = Diagnostic::error(Code::PolicyInvalidValue, why);
            self.problems.push(problem.at(below(&[key])));
            Home::default()
        })
    }

    fn holds(&mut self, raw: &[RawHold], at: impl Fn(usize, &str) -> Place) -> Vec<Hold> {
        let mut holds = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            match hold::read(raw, at(index, "")) {
                Ok(hold) => holds.push(hold),
                Err(problem) => {
                    let is_name = problem.code == Code::PolicyUnknownImage;
                    let key = if is_name { "images" } else { "until" };
                    self.problems.push(problem.at(at(index, key)));
                }
            }
        }
        holds
    }

    /// What the files declare, and what is wrong with them.
    #[must_use]
    pub fn finish(mut self) -> (PolicySet, Vec<Diagnostic>) {
        let files = self.files;
        let kubernetes = self.kubernetes;
        self.overlaps();
        let mut all: Vec<Policy> = std::mem::take(&mut self.policies).into_values().collect();
        let native = all.len();
        all.extend(self.flux.policies());
        self.written.extend(all[native..].iter().map(|policy| policy.name.clone()));
        let policies: ById<PolicyId, Policy> = all.into();
        let mut environments: ById<EnvironmentId, Environment> = ById::default();
        for (_, declared) in std::mem::take(&mut self.environments) {
            environments.push(self.assign(declared, &policies));
        }
        if environments.is_empty() && native == 0 {
            environments = self.flux.environments(&policies).into();
        }
        let uncovered = environments.is_empty() && (native > 0 || !self.flux.automated);
        if uncovered && !policies.is_empty() {
            environments.push(implicit(policies.ids().collect()));
        }
        self.problems.extend(stage::link(&mut environments));
        self.problems.extend(differently(&environments));
        self.problems.extend(markers::shared(&environments, &policies));
        self.problems.append(&mut self.flux.problems);
        if policies.is_empty() && self.declared.is_empty() && !any_error(&self.problems) {
            let left_out = self.flux.names();
            let message = match (files, kubernetes) {
                _ if !left_out.is_empty() => format!(
                    "no policy can be used: Flux's ImagePolicy `{}` cannot be taken as it stands, for the reason above",
                    left_out.join("`, `")
                ),
                (0, _) => "no file is where policies are looked for".to_owned(),
                (_, 0) => "the policy files declare no policy".to_owned(),
                _ => "the policy files hold no policy, only Kubernetes objects".to_owned(),
            };
            let help = if left_out.is_empty() {
                "write one into policies/NAME.yaml:\n\
                 images:\n  shop:\n    image: ghcr.io/acme/shop\n    tags: {semver: '>=1.0'}"
            } else {
                "mend the resource, render it (kustomize build DIR | tagalong plan --policies -), or write a policy \
                 of your own into policies/NAME.yaml"
            };
            self.problems.push(Diagnostic::error(Code::PolicyNone, message).help(help));
        }
        (PolicySet { policies, environments, ..PolicySet::default() }, self.problems)
    }

    /// Looks up an environment's policies by name or glob.
    fn assign(&mut self, declared: Declared, policies: &ById<PolicyId, Policy>) -> Environment {
        let mut chosen = BTreeSet::new();
        for (pattern, place) in declared.images {
            let Ok(glob) = GlobBuilder::new(&pattern).literal_separator(false).build() else {
                let message = format!("`{pattern}` is neither a policy's name nor a glob");
                self.problems.push(Diagnostic::error(Code::PolicyUnknownImage, message).at(place));
                continue;
            };
            let glob = glob.compile_matcher();
            self.known(&pattern, &glob, place);
            let named = policies.with_ids().filter(|(_, policy)| glob.is_match(&policy.name));
            chosen.extend(named.map(|(id, _)| id));
        }
        for (pattern, place) in declared.held {
            if let Ok(glob) = GlobBuilder::new(&pattern).literal_separator(false).build() {
                self.known(&pattern, &glob.compile_matcher(), place);
            }
        }
        Environment { policies: chosen.into_iter().collect(), ..declared.environment }
    }

    /// Reports a pattern that no policy's name fits.
    fn known(&mut self, pattern: &str, glob: &GlobMatcher, place: Place) {
        if pattern == "*" || self.written.iter().any(|name| glob.is_match(name)) {
            return;
        }
        let message = format!("no policy is named `{pattern}`");
        let problem = Diagnostic::error(Code::PolicyUnknownImage, message);
        let near = nearest(pattern, self.written.iter().map(String::as_str));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        self.problems.push(Diagnostic { help, ..problem.at(place) });
    }

    /// Every file belongs to one environment, so that it has one promotion state.
    fn overlaps(&mut self) {
        let all: Vec<_> = self.environments.values().collect();
        let mut problems = Vec::new();
        if let Some(one) = all.get(MAX_ENVIRONMENTS) {
            let message = format!("there are more than {MAX_ENVIRONMENTS} environments");
            let problem = Diagnostic::error(Code::PolicyInvalidValue, message);
            return self.problems.push(problem.at(one.environment.place.clone()));
        }
        for (index, one) in all.iter().enumerate() {
            let overlap = |other: &&Declared| {
                paths::overlap(&one.environment, &other.environment, &other.environment.path_places)
            };
            // The others are told when this one is mended.
            problems.extend(all[index + 1..].iter().find_map(overlap));
        }
        self.problems.extend(problems);
    }

    /// Names go into branches, titles and tables, so they are plain words.
    fn name(&mut self, name: &str, place: &Place) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if !first || name.len() > MAX_NAME || !name.bytes().all(plain) {
            let message = format!("`{}` is not a name", name.escape_debug());
            let help = "letters, digits, `.`, `_` and `-`, at most 63, a letter or digit first";
            let problem = Diagnostic::error(Code::PolicyInvalidName, message).help(help);
            self.problems.push(problem.at(place.clone()));
        }
    }
}

/// More environments than this are no policies that somebody wrote; each is compared with each other.
const MAX_ENVIRONMENTS: usize = 1_000;

/// The contradiction of `approval` and `via: push`: nobody sees a push before it is made.
fn unapprovable() -> Diagnostic {
    let message = "`approval: true` asks for somebody's approval, and `via: push` asks nobody";
    Diagnostic::error(Code::PolicyContradiction, message)
        .help("write `via: pull-request`, or take `approval` away")
}

/// What is verified has to be what is written, and a tag can move in between.
fn unpinned() -> Diagnostic {
    let message = "a signature is for a digest, and this policy writes tags";
    Diagnostic::warning(Code::PolicyContradiction, message)
        .help("write `digest: pin`, so that what was verified is what runs")
}

fn twice(what: &str, name: &str, place: Place, other: &Place) -> Diagnostic {
    Diagnostic::error(Code::PolicyDuplicateName, format!("{what} `{name}` is declared twice"))
        .at(place)
        .help(format!("the other one is at {}:{}", other.path, other.line))
}

/// Environments that go together into one pull request, and say different things about it.
fn differently(environments: &[Environment]) -> Option<Diagnostic> {
    let is_together = |e: &&Environment| {
        matches!(e.deliver.group, Group::All) && e.deliver.via == Via::PullRequest
    };
    let mut together = environments.iter().filter(is_together);
    // What is in different places never shares one.
    let mut firsts: BTreeMap<&Home, &Environment> = BTreeMap::new();
    let (first, other) = together.find_map(|other| {
        let first = *firsts.entry(&other.home).or_insert(other);
        (!other.deliver.is_like(&first.deliver)).then_some((first, other))
    })?;
    let message = format!(
        "`{}` and `{}` go together into one pull request, so the rest of `deliver` has to be the same",
        first.name, other.name
    );
    Some(Diagnostic::error(Code::PolicyContradiction, message).at(other.place.clone()))
}

fn implicit(policies: Vec<PolicyId>) -> Environment {
    Environment {
        name: IMPLICIT_ENVIRONMENT.to_owned(),
        home: Home::default(),
        paths: Paths::read(&[".".to_owned()], &[]).0,
        policies,
        deliver: Deliver::default(),
        holds: Vec::new(),
        stage: Stage::default(),
        message: None,
        path_places: Vec::new(),
        place: Place::default(),
    }
}

#[cfg(test)]
mod tests;
