//! What changes Flux's resources on their way into a cluster: patches of kustomize and of Flux's `Kustomization`, and the variables
//! that it substitutes
//! (<https://fluxcd.io/flux/components/kustomize/kustomizations/#patches>, `#post-build-variable-substitution`).
//!
//! A resource that is patched in a field that matters here is not the one in force, and is left out; variables are put in
//! where one place says what they are.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::super::paths::{beside, is_within, resolved};
use crate::diagnostic::Place;
use crate::yaml::{NodeId, Stream};

/// What every file with a `Kustomization` of Flux's contains.
pub const KUSTOMIZE_API_GROUP: &str = "kustomize.toolkit.fluxcd.io/";

/// Resources and fields: a patch that changes one of these counts.
struct PatchSubject {
    /// The kinds of resource.
    kinds: &'static [&'static str],
    /// Fields below `spec`.
    fields: &'static [&'static str],
    /// Fields of `metadata`.
    metadata: &'static [&'static str],
}

/// The resources that are read, and what decides what is done here.
const RESOURCES: PatchSubject = PatchSubject {
    kinds: &["ImagePolicy", "ImageRepository", "ImageUpdateAutomation"],
    fields: &[
        "policy",
        "filterTags",
        "imageRepositoryRef",
        "digestReflectionPolicy",
        "image",
        "exclusionList",
        "suspend",
        "update",
        "git",
        "policySelector",
    ],
    metadata: &["name", "namespace", "labels"],
};

/// What sets variables.
const BUILDS: PatchSubject =
    PatchSubject { kinds: &["Kustomization"], fields: &["postBuild"], metadata: &[] };

/// Patches and substitutions of a repository.
#[derive(Clone, Debug, Default)]
pub struct Overlays {
    patches: Vec<OverlayPatch>,
    /// Patches that may set variables of what `Kustomization`s deploy.
    builds: Vec<OverlayPatch>,
    substitutions: Vec<Substitution>,
    renames: Vec<Rename>,
}

/// Something that gives resources other names, which their markers have to say: `namePrefix`, `nameSuffix` and `namespace` of
/// kustomize (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/>), `targetNamespace` of Flux.
#[derive(Clone, Debug)]
struct Rename {
    /// Files and directories whose resources are meant.
    reach: Vec<String>,
    /// The namespace that all of them get; the names change where there is none.
    namespace: Option<String>,
    place: Place,
}

/// A patch of resources that matter.
#[derive(Clone, Debug)]
struct OverlayPatch {
    /// Patterns of kind and name; anything where there is none.
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    place: Place,
}

/// Variables that a `Kustomization` sets in what is beneath its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Substitution {
    /// The name of the `Kustomization`.
    pub name: String,
    /// The directory, empty for the root, and what its kustomizations take.
    reach: Vec<String>,
    values: BTreeMap<String, String>,
    /// The file that says it.
    pub path: String,
    /// The line of each variable.
    pub lines: BTreeMap<String, usize>,
    /// Where any variable may be set: by `substituteFrom`, or by a patch.
    pub others: Option<Place>,
}

/// A file of the repository, by its path; nothing where it cannot be read.
pub type ReadFile<'r> = &'r dyn Fn(&str) -> Option<String>;

impl Overlays {
    /// Learns what a file says; patches that are in files of their own are read.
    pub fn learn(&mut self, path: &str, text: &str, read: ReadFile<'_>) {
        let Ok(stream) = Stream::parse(text) else { return };
        for root in stream.documents() {
            let file = OverlayFile { path, stream: &stream, root: *root };
            let is_of_flux =
                file.text(&["apiVersion"]).is_some_and(|v| v.starts_with(KUSTOMIZE_API_GROUP));
            self.renames.extend(if is_of_flux { file.target() } else { file.renames() });
            if is_of_flux {
                self.substitution(&file);
                self.patches(&file, &["spec", "patches"], read);
            } else {
                for key in ["patches", "patchesJson6902", "patchesStrategicMerge"] {
                    self.patches(&file, &[key], read);
                }
                self.replacements(&file);
            }
        }
    }

    fn substitution(&mut self, file: &OverlayFile<'_>) {
        let (Some(name), Some(path)) =
            (file.text(&["metadata", "name"]), file.text(&["spec", "path"]))
        else {
            return;
        };
        let directory = path.trim_start_matches("./").trim_matches('/');
        let directory = if directory == "." { "" } else { directory };
        let set = ["spec", "postBuild", "substitute"];
        self.substitutions.push(Substitution {
            name: name.to_owned(),
            reach: vec![directory.to_owned()],
            values: file.map(&set),
            path: file.path.to_owned(),
            lines: file.lines(&set),
            others: file.place(&["spec", "postBuild", "substituteFrom"]),
        });
    }

    fn patches(&mut self, file: &OverlayFile<'_>, keys: &[&str], read: ReadFile<'_>) {
        for item in file.items(keys) {
            let own = |key: &str| file.stream.get(item, key);
            let text = |node: NodeId| file.stream.text(file.stream.target(node)).map(str::to_owned);
            let at_path = |path: String| read(&beside(file.path, &path));
            let patch = match file.stream.text(item) {
                // One of `patchesStrategicMerge`: a text, or the path of one.
                Some(scalar) if scalar.contains('\n') => Some(scalar.to_owned()),
                Some(scalar) => at_path(scalar.to_owned()),
                None => own("patch")
                    .and_then(text)
                    .or_else(|| own("path").and_then(text).and_then(at_path)),
            };
            let node = file.stream.node(item);
            let (line, column) = (node.line(), node.column());
            let place = Place { path: file.path.to_owned(), line, column, span: node.span() };
            let target = own("target").map(|target| file.stream.target(target));
            let target = target.map(|target| {
                let of = |key: &str| file.stream.get(target, key).and_then(text);
                [of("kind"), of("name"), of("namespace")]
            });
            let read = |subject: &PatchSubject| {
                let patches = patch.iter();
                patches.flat_map(|p| subject.read(p, target.as_ref(), &place)).collect::<Vec<_>>()
            };
            self.patches.extend(read(&RESOURCES));
            self.builds.extend(read(&BUILDS));
        }
    }

    /// kustomize's `replacements`, which write into fields of what they select.
    fn replacements(&mut self, file: &OverlayFile<'_>) {
        for item in file.items(&["replacements"]) {
            let targets = file.stream.get(item, "targets").map(|node| file.stream.target(node));
            for target in targets.map_or(&[][..], |node| file.stream.items(node)) {
                let target = OverlayFile { root: file.stream.target(*target), ..*file };
                let kind = target.text(&["select", "kind"]).unwrap_or_default();
                let fields = target.items(&["fieldPaths"]);
                let mut fields = fields.iter().filter_map(|field| file.stream.text(*field));
                let matters = fields.any(|field| {
                    let field = field.strip_prefix("spec.").unwrap_or(field);
                    RESOURCES.fields.iter().any(|known| field.starts_with(known))
                        || field.starts_with("metadata.")
                });
                if !RESOURCES.kinds.contains(&kind) || !matters {
                    continue;
                }
                let whole = |text: &str| Regex::new(&format!("^(?:{})$", regex::escape(text))).ok();
                let name = target.text(&["select", "name"]).and_then(whole);
                let node = file.stream.node(item);
                let (line, column) = (node.line(), node.column());
                let place = Place { path: file.path.to_owned(), line, column, span: node.span() };
                self.patches.push(OverlayPatch { kind: whole(kind), name, namespace: None, place });
            }
        }
    }

    /// Follows the kustomizations of directories that are meant to what they take in turn; `next` knows that.
    pub fn follow(&mut self, next: &mut dyn FnMut(&str) -> Vec<String>) {
        let renames = self.renames.iter_mut().map(|rename| &mut rename.reach);
        let substitutions = self.substitutions.iter_mut().map(|one| &mut one.reach);
        renames.chain(substitutions).for_each(|reach| follow(reach, next));
    }

    /// Completes what files say of each other, when all of them are learnt.
    #[must_use]
    pub fn settled(mut self) -> Self {
        for one in &mut self.substitutions {
            let mut names = self.builds.iter().map(|patch| (&patch.name, &patch.place));
            let patch = names.find(|(name, _)| name.as_ref().is_none_or(|n| n.is_match(&one.name)));
            one.others = one.others.take().or(patch.map(|(_, place)| place.clone()));
        }
        self
    }

    /// Where a resource is patched in a field that matters.
    #[must_use]
    pub fn patched(&self, kind: &str, namespace: &str, name: &str) -> Option<&Place> {
        let fits = |pattern: &Option<Regex>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
        };
        let patch = self.patches.iter().find(|patch| {
            fits(&patch.kind, kind) && fits(&patch.name, name) && fits(&patch.namespace, namespace)
        });
        patch.map(|patch| &patch.place)
    }

    /// Where the resources of a file get other names than they are written with.
    #[must_use]
    pub fn renamed(&self, path: &str, namespace: &str) -> Option<&Place> {
        let rename = self.renames.iter().find(|rename| {
            rename.namespace.as_deref().is_none_or(|other| other != namespace)
                && rename.reach.iter().any(|outer| is_within(path, outer))
        });
        rename.map(|rename| &rename.place)
    }

    /// A text of a file with its variables put in, where what sets them is clear.
    ///
    /// # Errors
    /// The variable that nothing sets, or that several set to different values.
    pub fn put_in(&self, text: &str, path: &str) -> Result<String, String> {
        let mut all = self.substituting(path).map(|one| one.apply(text));
        let first = all.next().unwrap_or_else(|| Substitution::default().apply(text))?;
        if all.all(|other| other.as_ref() == Ok(&first)) {
            return Ok(first);
        }
        let behind = text.split_once("${").map_or(text, |(_, behind)| behind);
        Err(behind.split(['}', ':', '-', '=']).next().unwrap_or(behind).to_owned())
    }

    /// Who sets variables in a file.
    pub fn substituting<'o>(&'o self, path: &'o str) -> impl Iterator<Item = &'o Substitution> {
        let is_in = |one: &&Substitution| one.reach.iter().any(|outer| is_within(path, outer));
        self.substitutions.iter().filter(is_in)
    }
}

impl Substitution {
    /// A text with its variables put in.
    ///
    /// # Errors
    /// The first variable that nothing sets.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        // What a ConfigMap or a Secret sets is known in the cluster alone, and counts more than a default.
        let is_open = |name: &str| self.others.is_some() && !self.values.contains_key(name);
        if let Some(name) = names(text).find(|name| is_open(name)) {
            return Err(name.to_owned());
        }
        substituted(text, |name| self.values.get(name).cloned())
    }
}

/// Nobody takes more files and directories into one.
const MAX_FOLLOWED: usize = 1000;

/// Adds what kustomizations of some files and directories take in turn; `next` knows that.
pub fn follow(reach: &mut Vec<String>, next: &mut dyn FnMut(&str) -> Vec<String>) {
    let (mut at, mut known) = (0, reach.iter().cloned().collect::<BTreeSet<_>>());
    while let Some(path) = reach.get(at).filter(|_| at < MAX_FOLLOWED) {
        let mut found = next(path);
        found.retain(|path| known.insert(path.clone()));
        reach.extend(found);
        at += 1;
    }
}

/// The variables of a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let behind = text.split("${").skip(1);
    behind.map(|inner| &inner[..inner.find([':', '-', '=', '}']).unwrap_or(inner.len())])
}

/// The first variable of a text that has no default of its own.
#[must_use]
pub fn variable(text: &str) -> Option<String> {
    substituted(text, |_| None).err()
}

/// Puts variables in, as `${NAME}` or with a default (`${NAME:=default}`, `${NAME:-default}`).
fn substituted(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once("${") {
        let (inner, after) = behind.split_once('}').ok_or_else(|| behind.to_owned())?;
        let end = inner.find([':', '-', '=']).unwrap_or(inner.len());
        let (name, operator) = inner.split_at(end);
        let default = || operator.trim_start_matches(':').get(1..).map(str::to_owned);
        out.push_str(before);
        out.push_str(&value(name).or_else(default).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

impl PatchSubject {
    /// A patch, where it changes a field that matters: of operations, or of the fields themselves.
    fn read(
        &self,
        text: &str,
        target: Option<&[Option<String>; 3]>,
        place: &Place,
    ) -> Vec<OverlayPatch> {
        let Ok(stream) = Stream::parse(text) else { return Vec::new() };
        let whole = |pattern: Option<String>| {
            let pattern = pattern.filter(|pattern| !pattern.is_empty())?;
            // What is no regular expression may mean anything.
            Regex::new(&format!("^(?:{pattern})$")).ok()
        };
        let documents = stream.documents().iter().filter_map(|root| {
            let file = OverlayFile { path: "", stream: &stream, root: *root };
            let own = |keys: &[&str]| file.text(keys).map(regex::escape);
            let [kind, name, namespace] = target.cloned().unwrap_or_default();
            let kind = kind.or_else(|| own(&["kind"]));
            let is_ours = kind.as_deref().is_none_or(|kind| {
                whole(Some(kind.to_owned()))
                    .is_none_or(|kind| self.kinds.iter().any(|ours| kind.is_match(ours)))
            });
            // With a target, the name in the patch does not count.
            let is_aimed = target.is_some();
            let name = name.or_else(|| own(&["metadata", "name"]).filter(|_| !is_aimed));
            let namespace =
                namespace.or_else(|| own(&["metadata", "namespace"]).filter(|_| !is_aimed));
            (is_ours && self.is_changed_by(&file)).then(|| OverlayPatch {
                kind: whole(kind),
                name: whole(name),
                namespace: whole(namespace),
                place: place.clone(),
            })
        });
        documents.collect()
    }

    fn is_changed_by(&self, file: &OverlayFile<'_>) -> bool {
        let stream = file.stream;
        let operations = stream.items(file.root);
        if operations.is_empty() {
            return stream.get(file.root, "$patch").is_some()
                || self.fields.iter().any(|field| file.node(&["spec", field]).is_some());
        }
        operations.iter().any(|operation| {
            let path = stream.get(*operation, "path").and_then(|path| stream.text(path));
            path.is_some_and(|path| self.holds(path))
        })
    }

    /// True if a [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901) leads to a field that matters.
    fn holds(&self, pointer: &str) -> bool {
        let mut parts = pointer.trim_start_matches('/').split('/');
        match (parts.next(), parts.next()) {
            (Some("spec"), Some(field)) => self.fields.contains(&field),
            (Some("spec" | ""), None) => true,
            (Some("metadata"), Some(field)) => self.metadata.contains(&field),
            _ => false,
        }
    }
}

/// One document.
struct OverlayFile<'a> {
    path: &'a str,
    stream: &'a Stream<'a>,
    root: NodeId,
}

impl<'a> OverlayFile<'a> {
    fn node(&self, keys: &[&str]) -> Option<NodeId> {
        self.stream.at(self.root, keys)
    }

    fn text(&self, keys: &[&str]) -> Option<&'a str> {
        self.stream.text(self.node(keys)?)
    }

    fn items(&self, keys: &[&str]) -> Vec<NodeId> {
        let items = self.node(keys).map_or(&[][..], |node| self.stream.items(node));
        items.iter().map(|item| self.stream.target(*item)).collect()
    }

    /// The place of a key.
    fn place(&self, keys: &[&str]) -> Option<Place> {
        let node = self.stream.node(self.node(keys)?);
        let (line, column) = (node.line(), node.column());
        Some(Place { path: self.path.to_owned(), line, column, span: node.span() })
    }

    /// What a `Kustomization` of Flux's puts into another namespace.
    fn target(&self) -> Option<Rename> {
        let namespace = self.text(&["spec", "targetNamespace"])?.to_owned();
        let path = resolved(self.text(&["spec", "path"]).unwrap_or_default());
        let place = self.place(&["spec", "targetNamespace"])?;
        Some(Rename { reach: vec![path], namespace: Some(namespace), place })
    }

    /// What a kustomization gives other names to.
    fn renames(&self) -> Option<Rename> {
        let own = |key: &str| self.text(&[key]).filter(|text| !text.is_empty());
        let key = ["namePrefix", "nameSuffix"].into_iter().find(|key| own(key).is_some());
        let namespace = key.map_or_else(|| own("namespace"), |_| None).map(str::to_owned);
        let place = self.place(&[key.or(namespace.as_ref().map(|_| "namespace"))?])?;
        let resources = ["resources", "bases", "components"].map(|key| self.items(&[key]));
        let reach = resources.concat().into_iter().filter_map(|item| self.stream.text(item));
        let reach = reach.filter(|path| !path.contains("://"));
        Some(Rename {
            reach: reach.map(|path| beside(self.path, path)).collect(),
            namespace,
            place,
        })
    }

    /// The lines of the entries of a mapping.
    fn lines(&self, keys: &[&str]) -> BTreeMap<String, usize> {
        let entries = self.node(keys).map_or(&[][..], |node| self.stream.entries(node));
        let entries = entries.iter().map(|(key, _)| (*key, self.stream.node(*key).line()));
        entries.filter_map(|(key, line)| Some((self.stream.text(key)?.to_owned(), line))).collect()
    }

    fn map(&self, keys: &[&str]) -> BTreeMap<String, String> {
        let entries = self.node(keys).map_or(&[][..], |node| self.stream.entries(node));
        let text = |node: NodeId| self.stream.text(self.stream.target(node)).map(str::to_owned);
        entries.iter().filter_map(|(key, value)| Some((text(*key)?, text(*value)?))).collect()
    }
}

#[cfg(test)]
mod tests;
