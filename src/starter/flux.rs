//! What Flux's image automation was told, written as policies of our own. Its resources are read as they stand, too; this is for
//! whoever wants to leave them behind (<https://fluxcd.io/flux/components/image/>).

use std::collections::{BTreeMap, BTreeSet};

use super::guess::Rule;
use super::yaml::YamlObject;
use super::{Place, Starter, StarterPolicy, own_name};
use crate::image::Repository;
use crate::policy::{Overlays, Substitution, flux_variable};

const GROUP: &str = "image.toolkit.fluxcd.io/";

/// Namespace and name.
type NamespacedName = (String, String);

/// Image repositories by namespace and name.
pub(super) struct Repositories<'a> {
    /// The image, and tags that take no part. Several where clusters have one of the same name each.
    known: BTreeMap<NamespacedName, BTreeSet<(String, Vec<String>)>>,
    overlays: &'a Overlays,
    /// The policies that were added, with their namespaces.
    added: BTreeMap<String, String>,
    /// The environments that were added, with the namespaces of their automations.
    places: BTreeMap<String, String>,
    /// Names of image repositories that are suspended.
    suspended: BTreeSet<String>,
    /// True if an automation is left out.
    is_partial: bool,
}

fn key(object: &YamlObject<'_>) -> (String, String) {
    let text = |key: &str| object.text(&["metadata", key]).unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn is_of_flux(object: &YamlObject<'_>) -> bool {
    object.text(&["apiVersion"]).is_some_and(|version| version.starts_with(GROUP))
}

impl<'a> Repositories<'a> {
    /// None yet, with what changes them on their way into a cluster.
    pub(super) const fn new(overlays: &'a Overlays) -> Self {
        Self {
            known: BTreeMap::new(),
            overlays,
            added: BTreeMap::new(),
            places: BTreeMap::new(),
            suspended: BTreeSet::new(),
            is_partial: false,
        }
    }

    /// Learns an `ImageRepository`.
    pub(super) fn learn(&mut self, object: &YamlObject<'_>) {
        if is_of_flux(object) && object.text(&["kind"]) == Some("ImageRepository") {
            if object.text(&["spec", "suspend"]) == Some("true") {
                self.suspended.insert(key(object).1);
            }
            let image = object.text(&["spec", "image"]).unwrap_or_default().to_owned();
            let excluded = object.items(&["spec", "exclusionList"]);
            let excluded = excluded.iter().filter_map(|item| item.text(&[])).map(str::to_owned);
            self.known.entry(key(object)).or_default().insert((image, excluded.collect()));
        }
    }

    /// Takes policies back of which nothing says where they count, and leaves to each environment what its automation takes:
    /// the policies of its namespace (<https://fluxcd.io/flux/components/image/imageupdateautomations/#policyselector>).
    pub(super) fn finish(&self, starter: &mut Starter) {
        if self.added.is_empty() {
            return;
        }
        if self.places.is_empty() {
            starter.policies.retain(|policy| !self.added.contains_key(&policy.name));
            let why = if self.is_partial {
                "the automation that says where they count is"
            } else {
                "no ImageUpdateAutomation here says where they count, and Flux changes nothing by them"
            };
            return starter.notes.push(format!(
                "Flux's policies are left out, as {why}; write them with their environments"
            ));
        }
        for place in &mut starter.environments {
            let Some(namespace) = self.places.get(&place.name) else { continue };
            let is_its =
                |other: &String| other == namespace || other.is_empty() || namespace.is_empty();
            let its = self.added.iter().filter(|(_, other)| is_its(other));
            let its: Vec<String> = its.map(|(name, _)| name.clone()).collect();
            if its.len() < self.added.len() {
                (place.images, place.is_for_all) = (its, false);
            }
        }
    }

    /// Adds a policy or an automation.
    pub(super) fn add(
        &mut self,
        starter: &mut Starter,
        names: &mut BTreeSet<String>,
        object: &YamlObject<'_>,
        path: &str,
    ) {
        let kind = object.text(&["kind"]).filter(|_| is_of_flux(object));
        let (namespace, name) = key(object);
        let patched = kind.and_then(|kind| self.overlays.patched(kind, &namespace, &name));
        if let (Some(kind), Some(at)) = (kind, patched) {
            let (path, line) = (&at.path, at.line);
            let note = format!("{kind} {name}: it is patched at {path}:{line}, and left out");
            return starter.notes.push(note);
        }
        match kind {
            Some("ImagePolicy") => self.policy(starter, names, object),
            Some("ImageUpdateAutomation") => self.automation(starter, object, path),
            _ => {}
        }
    }

    /// True if a policy, or the repository that it is of, is suspended.
    fn is_suspended(&self, object: &YamlObject<'_>) -> bool {
        let of = object.text(&["spec", "imageRepositoryRef", "name"]);
        object.text(&["spec", "suspend"]) == Some("true")
            || of.is_some_and(|of| self.suspended.contains(of))
    }

    fn policy(
        &mut self,
        starter: &mut Starter,
        names: &mut BTreeSet<String>,
        object: &YamlObject<'_>,
    ) {
        let (namespace, name) = key(object);
        if self.is_suspended(object) {
            let note =
                format!("ImagePolicy {name}: it or its ImageRepository is suspended, and left out");
            return starter.notes.push(note);
        }
        let at = |name: &str| object.text(&["spec", "imageRepositoryRef", name]).map(str::to_owned);
        let wanted =
            (at("namespace").unwrap_or_else(|| namespace.clone()), at("name").unwrap_or_default());
        // Where kustomize sets the namespaces, names alone tell.
        let by_name =
            || self.known.iter().find(|((_, name), _)| *name == wanted.1).map(|(_, found)| found);
        let found = self.known.get(&wanted).or_else(by_name);
        if let Some(several) = found.filter(|found| found.len() > 1) {
            let images: Vec<&str> = several.iter().map(|(image, _)| image.as_str()).collect();
            return starter.notes.push(format!(
                "ImagePolicy {name}: there are {} different ImageRepository `{}` ({})",
                several.len(),
                wanted.1,
                images.join(", ")
            ));
        }
        let Some((image, excluded)) = found.and_then(BTreeSet::first) else {
            starter.notes.push(format!(
                "ImagePolicy {name}: no ImageRepository `{}` is in this repository",
                wanted.1
            ));
            return;
        };
        let Some(mut rule) = rule(object) else {
            starter.notes.push(format!("ImagePolicy {name}: it has no policy"));
            return;
        };
        let Ok(repository) = Repository::parse(image) else {
            starter.notes.push(format!("ImagePolicy {name}: `{image}` is no image"));
            return;
        };
        rule.exclude.clone_from(excluded);
        let own = own_name(names, &namespace, &name);
        self.added.insert(own.clone(), namespace.clone());
        let marker = format!("{namespace}:{name}");
        let comments =
            vec![format!("from Flux; its markers still count, ours would be `# tagalong: {own}`")];
        let also = match object.text(&["spec", "digestReflectionPolicy"]) {
            Some("Always" | "IfNotPresent") => vec![("digest", "pin".to_owned())],
            _ => Vec::new(),
        };
        starter.policies.push(StarterPolicy {
            name: own,
            image: repository.to_string(),
            rule,
            marker: Some(marker),
            comments,
            also,
            ..StarterPolicy::default()
        });
    }
}

fn rule(object: &YamlObject<'_>) -> Option<Rule> {
    let at = |keys: &[&str]| object.text(&[&["spec", "policy"], keys].concat());
    let has = |key: &str| object.has(&["spec", "policy", key]);
    let mut rule = if has("semver") {
        Rule::by("semver", at(&["semver", "range"])?)
    } else if has("alphabetical") {
        Rule::by("alphabetical", at(&["alphabetical", "order"]).unwrap_or("asc"))
    } else if has("numerical") {
        Rule::by("numerical", at(&["numerical", "order"]).unwrap_or("asc"))
    } else {
        return None;
    };
    let filter = |key: &str| object.text(&["spec", "filterTags", key]).map(str::to_owned);
    (rule.pattern, rule.extract) = (filter("pattern"), filter("extract"));
    Some(rule)
}

impl Repositories<'_> {
    /// An environment for an automation, or one for each that sets the variables in its path.
    fn automation(&mut self, starter: &mut Starter, object: &YamlObject<'_>, file: &str) {
        let written = object.text(&["spec", "update", "path"]).unwrap_or(".");
        let before = starter.environments.len();
        self.place(starter, object, written, file);
        let new = &starter.environments[before..];
        self.is_partial |= new.is_empty();
        self.places.extend(new.iter().map(|place| (place.name.clone(), key(object).0)));
    }

    fn place(&self, starter: &mut Starter, object: &YamlObject<'_>, written: &str, file: &str) {
        if !written.contains("${") {
            return automation(starter, object, written);
        }
        let variable = flux_variable(written).unwrap_or_default();
        let mut found: Vec<Option<String>> =
            self.overlays.substituting(file).map(|one| one.apply(written).ok()).collect();
        if found.is_empty() && variable.is_empty() {
            found.push(Substitution::default().apply(written).ok());
        }
        if found.is_empty() || found.iter().any(Option::is_none) {
            let (_, name) = key(object);
            return starter.notes.push(format!(
                "ImageUpdateAutomation {name}: its path `{written}` holds the variable `{variable}`, which nothing here sets; write its \
                 environment"
            ));
        }
        for path in found.into_iter().flatten() {
            automation(starter, object, &path);
        }
    }
}

fn automation(starter: &mut Starter, object: &YamlObject<'_>, path: &str) {
    let (_, name) = key(object);
    let path = path.trim_start_matches("./").trim_matches('/').to_owned();
    let paths = vec![if path.is_empty() { ".".to_owned() } else { path }];
    let left = |why: &str| format!("ImageUpdateAutomation {name}: {why}");
    if object.text(&["spec", "suspend"]) == Some("true") {
        return starter.notes.push(left("it is suspended, and left out"));
    }
    if object.has(&["spec", "policySelector"]) {
        let why = "its `policySelector` is not carried over; write its environment with `images`";
        return starter.notes.push(left(why));
    }
    let from = object.text(&["spec", "git", "checkout", "ref", "branch"]);
    let to = object.text(&["spec", "git", "push", "branch"]);
    if let Some(branch) = from.filter(|branch| !["main", "master"].contains(branch)) {
        let why =
            format!("it works on `{branch}`; say `branch: {branch}` where that is another one");
        starter.notes.push(left(&why));
    }
    if object.has(&["spec", "git", "commit", "messageTemplate"]) {
        starter.notes.push(left("its `messageTemplate` is not carried over"));
    }
    let is_direct = to.is_none() || to == from;
    let also = if is_direct { vec![("deliver", "{via: push}".to_owned())] } else { Vec::new() };
    if starter.environments.iter().any(|place| place.paths == paths) {
        starter.notes.push(format!("ImageUpdateAutomation {name}: another one has its path"));
        return;
    }
    let (name, images) = (starter.free(&name), Vec::new());
    starter.environments.push(Place { name, paths, rank: None, images, is_for_all: true, also });
}
