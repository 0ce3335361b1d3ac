//! From decisions and sites to edits and proven new contents, one file at a time.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::{Bundle, Decided, Object, Planned, PlannedEdit, Use};
use crate::choose::{Decision, Outcome};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::edit::{Applied, Edit, Refused, Target, apply, edits};
use crate::manifest::{Site, Survey, Surveyed};
use crate::policy::{Policy, PolicySet};
use crate::yaml::{NodeId, Stream};

/// A hash of a file's content.
pub type Content = [u8; 32];

/// Decisions, and what they mean for each file. Files can be rewritten in any order, or at once.
pub struct Draft<'a> {
    pub(super) set: &'a PolicySet,
    survey: &'a Survey<'a>,
    pub(super) decisions: Vec<Planned>,
    index: BTreeMap<Use, usize>,
}

/// The edits of a file, each with the decision that it carries out.
pub type Drafted = Vec<(Edit, usize)>;

/// What became of a file.
pub struct Rewritten {
    /// The decisions that it is about, as indices.
    pub(super) decisions: Vec<usize>,
    /// Its new content, or why it is left alone.
    pub(super) result: Result<NewFile, Diagnostic>,
}

/// A file whose change is proven.
pub(super) struct NewFile {
    pub(super) before: Content,
    pub(super) after: Content,
    pub(super) edits: Vec<PlannedEdit>,
}

impl<'a> Draft<'a> {
    /// A draft of what was decided, with the places that each decision is about.
    #[must_use]
    pub fn new(
        set: &'a PolicySet,
        survey: &'a Survey<'a>,
        files: &[Surveyed],
        decided: Vec<Decided>,
    ) -> Self {
        let index: BTreeMap<Use, usize> = decided
            .iter()
            .enumerate()
            .map(|(index, decided)| (decided.at.clone(), index))
            .collect();
        let decisions = decided.into_iter().map(|decided| planned(set, decided)).collect();
        let mut draft = Self { set, survey, decisions, index };
        for file in files {
            for (at, (site, _)) in file.uses().zip(&file.sites) {
                if let Some(decision) = draft.index.get(&at) {
                    draft.decisions[*decision].sites.push((file.path.clone(), site.line));
                }
            }
        }
        draft
    }

    /// The edits that a file needs, in its order, by what they are delivered with; none when it stays as
    /// it is.
    #[must_use]
    pub fn edits(&self, file: &Surveyed) -> BTreeMap<Bundle, Drafted> {
        let mut all: BTreeMap<Bundle, Drafted> = BTreeMap::new();
        for (at, (site, policy)) in file.uses().zip(&file.sites) {
            let Some(decision) = self.index.get(&at) else { continue };
            let policy = &self.set.policies[*policy];
            let planned = &self.decisions[*decision];
            let edits = site_edits(file, site, &planned.decision, policy);
            if !edits.is_empty() {
                let bundle = all.entry(planned.bundle.clone()).or_default();
                bundle.extend(edits.into_iter().map(|edit| (edit, *decision)));
            }
        }
        for edits in all.values_mut() {
            edits.sort_by_key(|(edit, _)| (edit.span.start, edit.span.end));
        }
        all
    }

    /// Makes the new text of a file and proves it.
    #[must_use]
    pub fn rewrite(
        &self,
        file: &Surveyed,
        drafted: &Drafted,
        read: Result<&[u8], Diagnostic>,
    ) -> Rewritten {
        let decisions = drafted.iter().map(|(_, decision)| *decision).collect();
        let result = read.and_then(|bytes| {
            let mut drafted = drafted.clone();
            // Two shapes can see one scalar, and then agree.
            drafted.dedup_by(|(a, _), (b, _)| a == b);
            let (edits, by): (Vec<Edit>, Vec<usize>) = drafted.into_iter().unzip();
            let text =
                std::str::from_utf8(bytes).map_err(|_not_text| refused(file, &Refused::Changed))?;
            let again = |text: &str| self.survey.again(&file.path, text);
            let applied =
                apply(text, &file.basis, &edits, again).map_err(|why| refused(file, &why))?;
            Ok(self.new_file(file, edits.into_iter().zip(by), text, &applied))
        });
        Rewritten { decisions, result }
    }

    fn new_file(
        &self,
        file: &Surveyed,
        drafted: impl Iterator<Item = (Edit, usize)>,
        text: &str,
        applied: &Applied,
    ) -> NewFile {
        let environment = &self.set.environments[file.environment];
        // Only templates of commit messages ask for objects and whole values.
        let stream = environment.message.as_ref().and_then(|_| Stream::parse(text).ok());
        let value =
            |text: Option<&str>| text.filter(|_| stream.is_some()).unwrap_or_default().to_owned();
        let object = |node| stream.as_ref().map(|stream| object_of(stream, node));
        let edits = drafted.map(|(edit, decision)| PlannedEdit {
            path: file.path.clone(),
            image: self.decisions[decision].image.clone(),
            environment: environment.name.clone(),
            old_value: value(file.basis.scalars.get(&edit.node).map(|scalar| &*scalar.value)),
            new_value: value(applied.values.get(&edit.node).map(String::as_str)),
            object: object(edit.node).unwrap_or_default(),
            edit,
        });
        NewFile { before: content(text), after: content(&applied.text), edits: edits.collect() }
    }
}

/// The hash of a text.
pub(super) fn content(text: &str) -> Content {
    Sha256::digest(text).into()
}

fn refused(file: &Surveyed, why: &Refused) -> Diagnostic {
    Diagnostic::error(Code::EditRefused, format!("left alone: {why}"))
        .at(Place::of_file(&file.path))
}

fn planned(set: &PolicySet, decided: Decided) -> Planned {
    let policy = &set.policies[decided.at.policy];
    Planned {
        image: policy.name.clone(),
        repository: policy.repository.clone(),
        environment: set.environments[decided.at.environment].name.clone(),
        home: set.here.clone(),
        bundle: Bundle::of(set, decided.at.environment, decided.at.policy),
        deployed: decided.at.deployed,
        decision: decided.decision,
        sites: Vec::new(),
        edited: false,
    }
}

fn site_edits(file: &Surveyed, site: &Site, decision: &Decision, policy: &Policy) -> Vec<Edit> {
    let Some(tag) = decision.to.as_ref().filter(|_| decision.outcome == Outcome::Update) else {
        return Vec::new();
    };
    let digest = decision.to_digest.as_ref();
    let target = Target { name: &policy.image, tag, digest, mode: policy.digest };
    edits(&file.basis.scalars, site, target)
}

/// The object that a scalar is in.
fn object_of(stream: &Stream, node: NodeId) -> Object {
    let at = stream.node(node).span().start;
    let roots = stream.documents().iter().rev();
    let Some(root) = roots.copied().find(|root| stream.node(*root).span().start <= at) else {
        return Object::default();
    };
    let text = |keys: &[&str]| {
        let found = keys.iter().try_fold(root, |node, key| stream.get(stream.target(node), key));
        found.and_then(|node| stream.text(stream.target(node))).unwrap_or_default().to_owned()
    };
    Object {
        api_version: text(&["apiVersion"]),
        kind: text(&["kind"]),
        name: text(&["metadata", "name"]),
        namespace: text(&["metadata", "namespace"]),
    }
}
