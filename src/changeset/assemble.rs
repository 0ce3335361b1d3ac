//! Puts decisions and sites together into a [`Plan`].

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::branch::{branch_name, hex};
use super::words::{body, commit_message, title};
use super::{ChangeSet, FileChange, Move, Object, Plan, Planned, PlannedEdit, go_template};
use crate::choose::{Decision, Deployed, Outcome, Reason, ReasonCode};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::edit::{Edit, Target, apply, edits, values};
use crate::manifest::{OtherName, Site, Surveyed};
use crate::policy::{Policy, PolicySet};
use crate::yaml::{NodeId, Stream};

/// One policy's image where one reference is deployed in one environment: the unit of decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Index into [`PolicySet::environments`].
    pub environment: usize,
    /// Index into [`PolicySet::policies`].
    pub policy: usize,
    /// What the sites hold.
    pub deployed: Deployed,
}

/// What was decided for a use.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The use.
    pub at: Use,
    /// The decision.
    pub decision: Decision,
}

/// The distinct uses in a survey, in a fixed order.
#[must_use]
pub fn uses(files: &[Surveyed]) -> BTreeSet<Use> {
    files.iter().flat_map(Surveyed::uses).collect()
}

impl Surveyed {
    /// The use of each site, in the order of the sites.
    pub fn uses(&self) -> impl Iterator<Item = Use> {
        self.sites.iter().map(|(site, policy)| use_of(self, site, *policy))
    }
}

fn use_of(file: &Surveyed, site: &Site, policy: usize) -> Use {
    let renamed = site.marked == Some(OtherName::Yes);
    let deployed = Deployed { tag: site.tag.clone(), digest: site.digest.clone(), renamed };
    Use { environment: file.environment, policy, deployed }
}

/// Makes the plan: edits for every update, change sets by environment, the rest as it was decided.
#[must_use]
pub fn assemble(
    set: &PolicySet,
    files: &[Surveyed],
    decided: Vec<Decided>,
    diagnostics: Vec<Diagnostic>,
) -> Plan {
    let mut plan = Plan { diagnostics, ..Plan::default() };
    let index: BTreeMap<Use, usize> =
        decided.iter().enumerate().map(|(index, decided)| (decided.at.clone(), index)).collect();
    plan.decisions = decided.into_iter().map(|decided| planned(set, decided)).collect();
    let mut changed: BTreeMap<usize, BTreeMap<String, FileChange>> = BTreeMap::new();
    for file in files {
        if let Some(after) = edit_file(set, file, &index, &mut plan) {
            let change = FileChange { before: file.text.clone(), after };
            changed.entry(file.environment).or_default().insert(file.path.clone(), change);
        }
    }
    settle(&mut plan);
    for (environment, files) in changed {
        let (set, problem) = change_set(set, environment, files, &plan);
        plan.change_sets.push(set);
        plan.diagnostics.extend(problem);
    }
    plan
}

/// An update that changes no byte is none: markers can name parts that hold it already.
fn settle(plan: &mut Plan) {
    let idle =
        plan.decisions.iter_mut().filter(|p| p.decision.outcome == Outcome::Update && !p.edited);
    for planned in idle {
        planned.decision.outcome = Outcome::Keep;
        let message = "every place holds it already".to_owned();
        planned.decision.reason = Reason::new(ReasonCode::UpToDate, message);
    }
}

fn planned(set: &PolicySet, decided: Decided) -> Planned {
    let policy = &set.policies[decided.at.policy];
    Planned {
        image: policy.name.clone(),
        repository: policy.repository.clone(),
        environment: set.environments[decided.at.environment].name.clone(),
        deployed: decided.at.deployed,
        decision: decided.decision,
        sites: Vec::new(),
        edited: false,
    }
}

/// Plans a file's edits; its new text, or `None` when nothing changes or the change is refused.
fn edit_file(
    set: &PolicySet,
    file: &Surveyed,
    index: &BTreeMap<Use, usize>,
    plan: &mut Plan,
) -> Option<String> {
    let mut all: Vec<(Edit, usize)> = Vec::new();
    for (site, policy) in &file.sites {
        let Some(decision) = index.get(&use_of(file, site, *policy)) else { continue };
        plan.decisions[*decision].sites.push((file.path.clone(), site.line));
        let policy = &set.policies[*policy];
        let edits = site_edits(file, site, &plan.decisions[*decision].decision, policy);
        all.extend(edits.into_iter().map(|edit| (edit, *decision)));
    }
    // Two shapes can see one scalar, and then agree.
    all.sort_by_key(|(edit, _)| (edit.span.start, edit.span.end));
    all.dedup_by(|(a, _), (b, _)| a == b);
    let edits: Vec<Edit> = all.iter().map(|(edit, _)| edit.clone()).collect();
    if edits.is_empty() {
        return None;
    }
    match apply(&file.text, &file.stream, &file.scalars, &edits) {
        Ok(text) => {
            let environment = set.environments[file.environment].name.clone();
            let values = values(&file.scalars, &edits);
            for (_, decision) in &all {
                plan.decisions[*decision].edited = true;
            }
            plan.edits.extend(all.into_iter().map(|(edit, decision)| PlannedEdit {
                path: file.path.clone(),
                image: plan.decisions[decision].image.clone(),
                environment: environment.clone(),
                old_value: file.stream.text(edit.node).unwrap_or_default().to_owned(),
                new_value: values.get(&edit.node).cloned().unwrap_or_default(),
                object: object_of(&file.stream, edit.node),
                edit,
            }));
            Some(text)
        }
        Err(refused) => {
            for (_, decision) in &all {
                plan.decisions[*decision].edited = true;
            }
            let message = format!("left alone: {refused}");
            let problem = Diagnostic::error(Code::EditRefused, message);
            plan.diagnostics.push(problem.at(Place::of_file(&file.path)));
            None
        }
    }
}

/// The object that a scalar is in.
fn object_of(stream: &Stream, node: NodeId) -> Object {
    let at = stream.node(node).span.start;
    let roots = stream.documents().iter().rev();
    let Some(root) = roots.copied().find(|root| stream.node(*root).span.start <= at) else {
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

fn site_edits(file: &Surveyed, site: &Site, decision: &Decision, policy: &Policy) -> Vec<Edit> {
    let Some(tag) = decision.to.as_ref().filter(|_| decision.outcome == Outcome::Update) else {
        return Vec::new();
    };
    let digest = decision.to_digest.as_ref();
    let target = Target { name: &policy.image, tag, digest, mode: policy.digest };
    edits(&file.scalars, site, target)
}

fn change_set(
    set: &PolicySet,
    environment: usize,
    files: BTreeMap<String, FileChange>,
    plan: &Plan,
) -> (ChangeSet, Option<Diagnostic>) {
    let environment = &set.environments[environment];
    let edits =
        plan.edits.iter().enumerate().filter(|(_, edit)| edit.environment == environment.name);
    let edits: Vec<usize> = edits.map(|(index, _)| index).collect();
    let moves = moves(&environment.name, &files, plan);
    let mut change_set = ChangeSet {
        environment: environment.name.clone(),
        via: environment.via,
        labels: environment.labels.clone(),
        branch: branch_name(&environment.name),
        title: title(&environment.name, &moves),
        body: String::new(),
        message: String::new(),
        change: fingerprint(&files),
        carried: plan.decisions.iter().any(|planned| {
            planned.environment == environment.name
                && planned.decision.reason.code == ReasonCode::Carried
        }),
        edits,
        files,
    };
    let own = match &environment.message {
        Some(template) => {
            let edits: Vec<_> = change_set.edits.iter().map(|index| &plan.edits[*index]).collect();
            Some(go_template::render(template, &edits))
        }
        None => None,
    };
    let written = own.as_ref().and_then(|own| own.as_deref().ok());
    change_set.message = commit_message(&change_set, &moves, written);
    change_set.body = body(&change_set, &moves);
    let problem = own.and_then(Result::err).map(|why| {
        let message = format!("its commit message template is not used: {why}");
        Diagnostic::warning(Code::FluxTemplate, message).at(environment.place.clone())
    });
    (change_set, problem)
}

/// The updates of an environment that reach at least one changed file.
fn moves(environment: &str, files: &BTreeMap<String, FileChange>, plan: &Plan) -> Vec<Move> {
    let updates = plan.decisions.iter().filter(|planned| {
        planned.environment == environment && planned.decision.outcome == Outcome::Update
    });
    let moves = updates.map(|planned| Move {
        image: planned.image.clone(),
        repository: planned.repository.clone(),
        from: planned.deployed.clone(),
        to: Deployed {
            tag: planned.decision.to.clone(),
            digest: planned.decision.to_digest.clone(),
            renamed: false,
        },
        why: planned.decision.reason.message.clone(),
        sites: planned.sites.iter().filter(|(path, _)| files.contains_key(path)).cloned().collect(),
    });
    let mut moves: Vec<Move> = moves.filter(|row| !row.sites.is_empty()).collect();
    moves.sort();
    moves
}

/// Equal for equal paths with equal content, whatever else the repository holds.
fn fingerprint(files: &BTreeMap<String, FileChange>) -> String {
    let mut hash = Sha256::new();
    for (path, file) in files {
        for part in [path, &file.after] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hex(&hash.finalize()[..16])
}
