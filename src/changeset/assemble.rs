//! Puts decisions and sites together into a [`Plan`].

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::branch::{ALL_ENVIRONMENTS, Bundle, hex};
use super::draft::{Draft, NewFile, Rewritten};
use super::words::{body, commit_message, title};
use super::{ChangeSet, FileChange, Move, Plan, go_template, template};
use crate::choose::{Decision, Deployed, Outcome, Reason, ReasonCode};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{OtherName, Part, Site, Surveyed};
use crate::policy::{Environment, EnvironmentId, Group, PolicyId, PolicySet, Via};

/// One policy's image where one reference is deployed in one environment: the unit of decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Index into [`PolicySet::environments`].
    pub environment: EnvironmentId,
    /// Index into [`PolicySet::policies`].
    pub policy: PolicyId,
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

fn use_of(file: &Surveyed, site: &Site, policy: PolicyId) -> Use {
    let mirror = site.is_copy.then(|| site.repository.clone());
    let renamed = site.claimed == Some(OtherName::Yes);
    let pinned = site.slots.iter().any(|slot| slot.part == Part::TagAndDigest);
    let has = |parts: &[Part]| site.slots.iter().any(|slot| parts.contains(&slot.part));
    let unpinnable = site.claimed.is_none()
        && !site.reader.takes_pinned_tag()
        && !has(&[Part::Digest, Part::Hash]);
    let (tag, digest) = (site.tag.clone(), site.digest.clone());
    let deployed = Deployed { tag, digest, renamed, pinned, unpinnable, mirror };
    Use { environment: file.environment, policy, deployed }
}

/// Makes the plan: the edits of every file that was rewritten, change sets by bundle, the rest as it was
/// decided.
#[must_use]
pub fn assemble(draft: Draft<'_>, rewritten: Vec<(&Surveyed, Bundle, Rewritten)>) -> Plan {
    let set = draft.set;
    let mut plan = Plan { decisions: draft.decisions, ..Plan::default() };
    let mut changed: BTreeMap<Bundle, BTreeMap<String, FileChange>> = BTreeMap::new();
    for (file, bundle, Rewritten { decisions, result }) in rewritten {
        for decision in decisions {
            plan.decisions[decision].edited = true;
        }
        match result {
            Ok(NewFile { before, after, edits }) => {
                let first = plan.edits.len();
                plan.edits.extend(edits);
                let change =
                    FileChange { before, after, edits: (first..plan.edits.len()).collect() };
                changed.entry(bundle).or_default().insert(file.path.clone(), change);
            }
            Err(problem) => plan.diagnostics.push(problem),
        }
    }
    settle(&mut plan);
    for (bundle, files) in changed {
        let (set, problems) = change_set(set, &bundle, files, &plan);
        plan.change_sets.push(set);
        plan.diagnostics.extend(problems);
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

fn change_set(
    set: &PolicySet,
    bundle: &Bundle,
    files: BTreeMap<String, FileChange>,
    plan: &Plan,
) -> (ChangeSet, Vec<Diagnostic>) {
    let environment = environment_of(set, bundle);
    let name = bundle.environment.map_or(ALL_ENVIRONMENTS, |_| &environment.name);
    let edits: BTreeSet<usize> = files.values().flat_map(|file| &file.edits).copied().collect();
    let moves = moves(bundle, &files, plan);
    let deliver = &environment.deliver;
    let mut change_set = ChangeSet {
        environment: name.to_owned(),
        via: deliver.via,
        commits: deliver.commits,
        pull: deliver.pull.clone(),
        merge: deliver.merge.clone(),
        limits: deliver.limits,
        notes: deliver.notes,
        timing: deliver.timing.clone(),
        home: set.here.clone(),
        branch: bundle.branch(set),
        title: title(name, &moves),
        body: String::new(),
        message: String::new(),
        change: fingerprint(&files),
        carried: plan.decisions.iter().any(|planned| {
            planned.bundle == *bundle && planned.decision.reason.code == ReasonCode::Carried
        }),
        edits: edits.into_iter().collect(),
        files,
    };
    let problems = word(&mut change_set, environment, &moves, plan);
    (change_set, problems)
}

/// Writes title, commit message and body; what cannot be written as the templates say, in the usual
/// words.
fn word(
    set: &mut ChangeSet,
    environment: &Environment,
    moves: &[Move],
    plan: &Plan,
) -> Vec<Diagnostic> {
    let (texts, name) = (&environment.deliver.texts, set.environment.clone());
    let mut problems = Vec::new();
    let mut used = |key: &str, text: Result<String, String>| {
        text.map_err(|why| {
            let message = format!("the template of the {key} is not used: {why}");
            let problem = Diagnostic::warning(Code::DeliverTemplate, message);
            problems.push(problem.at(environment.place.clone()));
        })
        .ok()
    };
    let own = texts.title.as_ref().map(|text| template::title(text, &name, moves));
    if let Some(title) = own.and_then(|own| used("title", own)) {
        set.title = title;
    }
    let own = texts.message.as_ref().map(|text| template::plain(text, &name, moves));
    let own = own.and_then(|own| used("message", own));
    let (flux, wrong) = flux_message(set, environment, plan);
    set.message = commit_message(set, moves, own.or(flux).as_deref());
    let (body, unused) = body(set, moves, texts.body.as_deref());
    set.body = body;
    if let Some(why) = unused {
        used("body", Err(why));
    }
    problems.extend(wrong);
    problems
}

/// The commit message that a Flux automation wants, or why there is none.
fn flux_message(
    set: &ChangeSet,
    environment: &Environment,
    plan: &Plan,
) -> (Option<String>, Option<Diagnostic>) {
    let Some(template) = &environment.message else { return (None, None) };
    let edits: Vec<_> = set.edits.iter().map(|index| &plan.edits[*index]).collect();
    match go_template::render(template, &edits) {
        Ok(written) => (Some(written), None),
        Err(why) => {
            let message = format!("its commit message template is not used: {why}");
            let problem = Diagnostic::warning(Code::FluxTemplate, message);
            (None, Some(problem.at(environment.place.clone())))
        }
    }
}

/// The environment that says how a bundle is delivered: its own, or the first of those that go
/// together.
fn environment_of<'a>(set: &'a PolicySet, bundle: &Bundle) -> &'a Environment {
    let is_together = |e: &&Environment| {
        matches!(e.deliver.group, Group::All)
            && e.deliver.via == Via::PullRequest
            && e.home == set.here
    };
    let all: &[Environment] = &set.environments;
    let first = || all.iter().find(is_together).unwrap_or(&all[0]);
    bundle.environment.map_or_else(first, |index| &set.environments[index])
}

/// The updates of a bundle that reach at least one changed file.
fn moves(bundle: &Bundle, files: &BTreeMap<String, FileChange>, plan: &Plan) -> Vec<Move> {
    let updates = plan
        .decisions
        .iter()
        .filter(|planned| planned.bundle == *bundle && planned.decision.outcome == Outcome::Update);
    let moves = updates.map(|planned| Move {
        environment: planned.environment.clone(),
        image: planned.image.clone(),
        repository: planned.repository.clone(),
        from: planned.deployed.clone(),
        to: Deployed {
            tag: planned.decision.to.clone(),
            digest: planned.decision.to_digest.clone(),
            ..Deployed::default()
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
        hash.update((path.len() as u64).to_be_bytes());
        hash.update(path.as_bytes());
        hash.update(file.after);
    }
    hex(&hash.finalize()[..16])
}
