//! Flux's `ImageRepository`, `ImagePolicy` and `ImageUpdateAutomation` as policies, as they stand
//! (<https://fluxcd.io/flux/components/image/>, v1, v1beta2 and v1beta1).
//!
//! The meaning is Flux's: what is marked is set to what the policy chooses, also backwards. Two
//! things are better defined: ties, which Flux leaves to the order of a map, have one answer, and
//! a `:digest` marker of a policy without digests leaves the field alone instead of emptying it.

mod environments;
mod object;
mod overlay;
mod selector;

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobSetBuilder;

use object::{FluxObject, order};
pub use overlay::{KUSTOMIZE_API_GROUP, Overlays, ReadFile, Substitution, follow, variable};
use selector::Selector;

use super::file::PolicyFile;
use super::paths;
use super::rule::TagRule;
use super::tags;
use super::{
    Allow, Checks, Deliver, DigestMode, Direction, Environment, Finds, MessageTemplate, Order,
    Policy, Range, Span, Variant, Via,
};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::image::Repository;
use crate::yaml::{NodeId, Stream};

/// What every file with such a resource contains.
pub const API_GROUP: &str = "image.toolkit.fluxcd.io/";

/// Flux takes no more than these in one list.
const MAX_EXCLUSIONS: usize = 25;

/// What Flux leaves out of a listing when a resource does not say.
const DEFAULT_EXCLUSION: &str = r"^.*\.sig$";

type ObjectName = (String, String);

/// Fields of a kind of resource.
type Fields = (&'static str, Vec<String>);

/// The resources of a repository.
#[derive(Default)]
pub(super) struct Flux {
    repositories: BTreeMap<ObjectName, Scanned>,
    policies: BTreeMap<ObjectName, Chosen>,
    automations: Vec<(ObjectName, Automation)>,
    /// Names with two different resources: which one counts depends on the cluster.
    twice: BTreeSet<(&'static str, ObjectName)>,
    /// Fields that are not read, by kind, and whose they are.
    ignored: BTreeMap<Fields, Vec<(String, Place)>>,
    /// What patches them, and sets variables in them.
    pub(super) overlays: Overlays,
    /// Whether an automation was found, usable or not: without a usable one nothing is covered.
    pub(super) automated: bool,
    pub(super) problems: Vec<Diagnostic>,
}

#[derive(PartialEq)]
struct Scanned {
    image: String,
    exclusions: Vec<String>,
    suspended: bool,
}

#[derive(PartialEq)]
struct Spec {
    repository: ObjectName,
    pattern: Option<String>,
    extract: Option<String>,
    order: Result<Order, String>,
    digest: (DigestMode, bool),
    labels: BTreeMap<String, String>,
    suspended: bool,
}

struct Chosen {
    spec: Spec,
    place: Place,
}

struct Automation {
    path: String,
    selector: Selector,
    message: Option<MessageTemplate>,
    via: Via,
    place: Place,
}

impl Flux {
    /// Takes a document when it is one of Flux's image resources.
    pub(super) fn add(&mut self, file: &PolicyFile, stream: &Stream, root: NodeId) {
        let object = FluxObject { file, stream, root };
        let ours =
            object.text(&["apiVersion"]).is_some_and(|version| version.starts_with(API_GROUP));
        let Some(kind) = object.text(&["kind"]).filter(|_| ours) else { return };
        let Some(name) = object.text(&["metadata", "name"]) else { return };
        if !is_name(name) {
            let message = format!("`{}` is not the name of a {kind}", name.escape_debug());
            return self.incomplete(&object, message);
        }
        let namespace = object.text(&["metadata", "namespace"]).or(file.namespace.as_deref());
        let namespace = namespace.filter(|namespace| is_name(namespace));
        let Some(namespace) = namespace else {
            let message = format!("{kind} `{name}` has no namespace; left out");
            return self.incomplete(&object, message);
        };
        let key = (namespace.to_owned(), name.to_owned());
        match kind {
            "ImageRepository" => self.repository(&object, key),
            "ImagePolicy" => self.policy(&object, key),
            "ImageUpdateAutomation" => self.automation(&object, key),
            _ => {}
        }
    }

    /// The names of the policies that were found.
    pub(super) fn names(&self) -> Vec<String> {
        self.policies.keys().map(marker_name).collect()
    }

    /// The policies that are complete.
    pub(super) fn policies(&mut self) -> Vec<Policy> {
        self.report_ignored();
        let chosen = std::mem::take(&mut self.policies);
        let mut policies = Vec::new();
        for (key, chosen) in &chosen {
            let place = chosen.place.clone();
            match self.resolve(key, &chosen.spec, place.clone()) {
                Ok(policy) => policies.push(policy),
                Err((code, why)) => {
                    let message = format!("ImagePolicy `{}` is left out: {why}", marker_name(key));
                    self.problems.push(Diagnostic::warning(code, message).at(place));
                }
            }
        }
        self.policies = chosen;
        policies
    }

    fn repository(&mut self, object: &FluxObject<'_>, key: ObjectName) {
        let Some(image) = object.text(&["spec", "image"]) else {
            return self.incomplete(
                object,
                format!("ImageRepository `{}` has no image", marker_name(&key)),
            );
        };
        let exclusions = object.list(&["spec", "exclusionList"]);
        let exclusions =
            if exclusions.is_empty() { vec![DEFAULT_EXCLUSION.to_owned()] } else { exclusions };
        let image = match self.overlays.put_in(image, &object.file.path) {
            Ok(image) => image,
            Err(variable) => {
                let why = unset(&format!("its image `{image}`"), &variable);
                return self
                    .incomplete(object, format!("ImageRepository `{}`: {why}", marker_name(&key)));
            }
        };
        self.ignored(object, "ImageRepository", &key, &["image", "exclusionList", "suspend"]);
        let new = Scanned { image, exclusions, suspended: object.is_suspended() };
        if self.repositories.get(&key).is_some_and(|known| *known != new) {
            self.twice.insert(("ImageRepository", key.clone()));
        }
        self.repositories.insert(key, new);
    }

    fn policy(&mut self, object: &FluxObject<'_>, key: ObjectName) {
        let Some(repository) = object.text(&["spec", "imageRepositoryRef", "name"]) else {
            let message = format!("ImagePolicy `{}` has no imageRepositoryRef", marker_name(&key));
            return self.incomplete(object, message);
        };
        if object.node(&["spec", "policy"]).is_none() {
            let message = format!("ImagePolicy `{}` has no policy", marker_name(&key));
            return self.incomplete(object, message);
        }
        let namespace = object.text(&["spec", "imageRepositoryRef", "namespace"]).unwrap_or(&key.0);
        let text =
            |keys: &[&str]| object.text(keys).filter(|text| !text.is_empty()).map(str::to_owned);
        let digest = match object.text(&["spec", "digestReflectionPolicy"]) {
            Some("Always") => (DigestMode::Pin, true),
            Some("IfNotPresent") => (DigestMode::Pin, false),
            _ => (DigestMode::Drop, false),
        };
        let spec = Spec {
            repository: (namespace.to_owned(), repository.to_owned()),
            pattern: text(&["spec", "filterTags", "pattern"]),
            extract: text(&["spec", "filterTags", "extract"]),
            order: order(object, &self.overlays),
            digest,
            labels: object.map(&["metadata", "labels"]),
            suspended: object.is_suspended(),
        };
        self.ignored(object, "ImagePolicy", &key, &POLICY_KEYS);
        if self.policies.get(&key).is_some_and(|known| known.spec != spec) {
            self.twice.insert(("ImagePolicy", key.clone()));
        }
        self.policies.insert(key, Chosen { spec, place: object.place() });
    }

    fn automation(&mut self, object: &FluxObject<'_>, key: ObjectName) {
        let checkout = object.text(&["spec", "git", "checkout", "ref", "branch"]);
        let push = object.text(&["spec", "git", "push", "branch"]);
        self.automated = true;
        let written = object.text(&["spec", "update", "path"]).unwrap_or("./");
        self.ignored(object, "ImageUpdateAutomation", &key, &AUTOMATION_KEYS);
        let via = match push {
            // Who pushes to another branch means to review what comes from it.
            Some(push) if Some(push) != checkout => Via::PullRequest,
            _ => Via::Push,
        };
        let file = &object.file.path;
        if let Some(at) = self.overlays.patched("ImageUpdateAutomation", &key.0, &key.1) {
            let why = format!("it is patched at {}:{}; {RENDER}", at.path, at.line);
            return self.leave_out(object, &key, Code::FluxPatched, &why);
        }
        if !written.contains("${") {
            return self.place_automation(object, key, written, via);
        }
        let variable = variable(written).unwrap_or_default();
        let mut found: Vec<_> = self.overlays.substituting(file).cloned().collect();
        if found.is_empty() && variable.is_empty() {
            found.push(Substitution::default());
        }
        if found.is_empty() {
            let why = format!(
                "its path `{}` holds the variable `{variable}`, and no Kustomization of Flux here sets it by \
                 `postBuild`; declare the path in `environments`, or render the resources",
                written.escape_debug()
            );
            return self.leave_out(object, &key, Code::FluxInvalid, &why);
        }
        // Each deploys one of its own.
        for one in &found {
            match one.apply(written) {
                Ok(path) => {
                    let name = if found.len() > 1 {
                        format!("{}-{}", key.1, one.name)
                    } else {
                        key.1.clone()
                    };
                    self.place_automation(object, (key.0.clone(), name), &path, via);
                }
                Err(variable) => {
                    let why = format!(
                        "Kustomization `{}` does not set the variable `{variable}` of its path by `postBuild.substitute`",
                        one.name
                    );
                    self.leave_out(object, &key, Code::FluxInvalid, &why);
                }
            }
        }
    }

    fn leave_out(&mut self, object: &FluxObject<'_>, key: &ObjectName, code: Code, why: &str) {
        let message = format!("ImageUpdateAutomation `{}` is left out: {why}", marker_name(key));
        self.problems.push(Diagnostic::warning(code, message).at(object.place()));
    }

    /// Takes an automation whose path is known.
    fn place_automation(
        &mut self,
        object: &FluxObject<'_>,
        key: ObjectName,
        written: &str,
        via: Via,
    ) {
        // Flux joins the path to the repository's root, so that none leads out of it.
        let path = match written.trim_matches('/') {
            "" | "." => ".".to_owned(),
            path => path.strip_prefix("./").unwrap_or(path).to_owned(),
        };
        let checked = paths::add(&mut GlobSetBuilder::new(), &path).map_err(|p| p.message);
        let usable = if object.is_suspended() {
            Err("it is suspended".to_owned())
        } else {
            checked.and_then(|_| Selector::read(object, &["spec", "policySelector"]))
        };
        match usable {
            Ok(selector) => {
                let (message, place) = (message(object, &key), object.place());
                let automation = Automation { path, selector, message, via, place };
                self.automations.push((key, automation));
            }
            Err(why) => self.leave_out(object, &key, Code::FluxInvalid, &why),
        }
    }

    /// What counts in the cluster is the patched resource.
    fn unpatched(&self, key: &ObjectName, chosen: &Spec, file: &str) -> Result<(), (Code, String)> {
        if let Some(at) = self.overlays.renamed(file, &key.0) {
            let why = format!(
                "{}:{} gives it another name, which its markers have to say; {RENDER}",
                at.path, at.line
            );
            return Err((Code::FluxPatched, why));
        }
        let resources = [("ImagePolicy", key), ("ImageRepository", &chosen.repository)];
        let mut patched = resources.into_iter().filter_map(|(kind, name)| {
            Some((kind, name, self.overlays.patched(kind, &name.0, &name.1)?))
        });
        let Some((kind, name, at)) = patched.next() else { return Ok(()) };
        let why = format!(
            "{kind} `{}` is patched at {}:{}, and what counts in the cluster is the patched one; {RENDER}",
            marker_name(name),
            at.path,
            at.line
        );
        Err((Code::FluxPatched, why))
    }

    fn resolve(
        &self,
        key: &ObjectName,
        chosen: &Spec,
        place: Place,
    ) -> Result<Policy, (Code, String)> {
        let invalid = |why: String| (Code::FluxInvalid, why);
        let twice = [("ImagePolicy", key.clone()), ("ImageRepository", chosen.repository.clone())];
        if let Some((kind, name)) = twice.iter().find(|twice| self.twice.contains(*twice)) {
            let name = marker_name(name);
            return Err(invalid(format!(
                "there are two different {kind} `{name}`, and nothing says which one counts"
            )));
        }
        self.unpatched(key, chosen, &place.path)?;
        let scanned = self.repositories.get(&chosen.repository).ok_or_else(|| {
            let why = format!(
                "there is no ImageRepository `{}`; {RENDER}",
                marker_name(&chosen.repository)
            );
            (Code::FluxIncomplete, why)
        })?;
        let repository =
            Repository::parse(&scanned.image).map_err(|error| invalid(error.to_string()))?;
        if chosen.suspended || scanned.suspended {
            return Err(invalid("it, or its ImageRepository, is suspended".to_owned()));
        }
        if chosen.extract.as_ref().is_some_and(|extract| extract.len() > tags::MAX_TEMPLATE) {
            return Err(invalid("filterTags.extract is too long".to_owned()));
        }
        if scanned.exclusions.len() > MAX_EXCLUSIONS {
            return Err(invalid(format!("exclusionList has more than {MAX_EXCLUSIONS} entries")));
        }
        let matcher = chosen.pattern.as_deref().map(tags::compile).transpose();
        let exclude = tags::compile_all(&scanned.exclusions);
        let rule = TagRule {
            matcher: matcher.map_err(|p| invalid(format!("filterTags.pattern: {}", p.message)))?,
            extract: chosen.extract.clone(),
            exclude: exclude.map_err(|p| invalid(format!("exclusionList: {}", p.message)))?,
            attachments: false,
            prereleases: false,
            variant: Variant::Any,
            numbers_only: true,
            order: chosen.order.as_ref().map_err(|why| invalid(why.clone()))?.clone(),
        };
        Ok(Policy {
            name: marker_name(key),
            repository,
            mirrors: Vec::new(),
            image: scanned.image.clone(),
            finds: Finds::AsFlux,
            marker: None,
            follow_digest: chosen.digest.1,
            rule,
            digest: chosen.digest.0,
            checks: Checks::default(),
            // Flux knows none of these guards.
            allow: Allow { downgrade: true, vanished: true, shrunken: true, moved: true },
            targets: Vec::new(),
            place,
        })
    }

    /// Notes the fields that mean nothing here: all but `known`.
    fn ignored(
        &mut self,
        object: &FluxObject<'_>,
        kind: &'static str,
        key: &ObjectName,
        known: &[&str],
    ) {
        let fields = object.unknown_keys(known);
        if !fields.is_empty() {
            let places = self.ignored.entry((kind, fields)).or_default();
            places.push((marker_name(key), object.place()));
        }
    }

    /// What was noted, once for all resources with the same fields.
    fn report_ignored(&mut self) {
        for ((kind, fields), places) in std::mem::take(&mut self.ignored) {
            let Some((first, place)) = places.first() else { continue };
            let more = match places.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            let fields = fields.join(", ");
            let message = format!("{kind} `{first}`{more}: not read here: {fields}");
            self.problems.push(Diagnostic::info(Code::FluxIgnored, message).at(place.clone()));
        }
    }

    fn incomplete(&mut self, object: &FluxObject<'_>, message: String) {
        let problem = Diagnostic::warning(Code::FluxIncomplete, message).at(object.place());
        self.problems.push(problem.help(RENDER));
    }
}

/// What is read of an automation; every other field is reported.
const AUTOMATION_KEYS: [&str; 8] = [
    "git.checkout.ref.branch",
    "git.commit.messageTemplate",
    "git.commit.messageTemplateValues",
    "git.push.branch",
    "policySelector",
    "suspend",
    "update.path",
    "update.strategy",
];

/// What is read of a policy.
const POLICY_KEYS: [&str; 5] =
    ["imageRepositoryRef", "policy", "filterTags", "digestReflectionPolicy", "suspend"];

/// The template of an automation's commit messages.
fn message(object: &FluxObject<'_>, key: &ObjectName) -> Option<MessageTemplate> {
    let text = object.text(&["spec", "git", "commit", "messageTemplate"])?;
    let values = object.map(&["spec", "git", "commit", "messageTemplateValues"]);
    Some(MessageTemplate { automation: key.clone(), text: text.to_owned(), values })
}

/// Whether a text is a name of Kubernetes: it goes into branches, titles and terminals.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    !text.is_empty() && text.len() <= 253 && text.bytes().all(plain)
}

/// Where kustomize completes resources, only it can say what they are.
const RENDER: &str =
    "if kustomize completes it, render it: kustomize build DIR | tagalong plan --policies -";

/// The name as markers write it.
/// Says that a variable has no value here.
fn unset(what: &str, variable: &str) -> String {
    format!(
        "{} holds the variable `{variable}`, and no Kustomization of Flux here says what it is; {RENDER}",
        what.escape_debug()
    )
}

fn marker_name((namespace, name): &ObjectName) -> String {
    format!("{namespace}:{name}")
}
