//! Why a policy chooses what it does.

use std::collections::BTreeSet;

use super::plan_all;
use crate::choose::{self, Decision, Explanation, Reason, Stop, select};
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::image::{Repository, Tag};
use crate::pipeline::decide::Deciding;
use crate::pipeline::deployed::deployed;
use crate::pipeline::{
    DeliveryMode, Failure, Invalid, Loaded, Planning, Request, Session, Tags, Tree, check_names,
};
use crate::policy::Policy;
use crate::settings::{DecideSettings, Surroundings};
use crate::signature::Verifiers;
use crate::starter::DeployedImage;

/// A policy's choice with its explanation, or why there is none.
pub struct Explained {
    /// The policy's name.
    pub image: String,
    /// The image repository.
    pub repository: Repository,
    /// What is deployed, where the choice depends on it.
    pub deployed: Option<Tag>,
    /// The environments that it is for, where there are several explanations.
    pub environments: Vec<String>,
    /// What happened to its tags, or why they are not known.
    pub explanation: Result<Explanation, Reason>,
    /// Places with its image that are left alone: where, and why.
    pub left: Vec<String>,
}

/// Explains the policies of a name or an image repository, and what they decide.
///
/// # Errors
/// The repository cannot be read, the policies are invalid, or none is meant.
pub async fn explain(
    settings: &DecideSettings,
    image: &str,
    tag: Option<&Tag>,
    around: &Surroundings,
) -> Result<(Vec<Explained>, Planning), Failure> {
    let Session { around, mut tags, tree, loaded } = Session::open(settings, around, None).await?;
    let wanted = Repository::parse(image).ok();
    let meant =
        |policy: &&Policy| policy.name == image || wanted.as_ref() == Some(&policy.repository);
    let policies: Vec<&Policy> = loaded.set.policies.iter().filter(meant).collect();
    let mut settings = DecideSettings { images: vec![image.to_owned()], ..settings.clone() };
    if policies.is_empty() {
        without_policy(image, wanted.as_ref(), &tree, &loaded)?;
    } else {
        settings.images = policies.iter().map(|policy| policy.name.clone()).collect();
    }
    check_names(&loaded.set, &settings)?;
    let repositories: BTreeSet<&Repository> =
        policies.iter().map(|policy| &policy.repository).collect();
    tags.list(&repositories, &loaded.set, &loaded.repository, around.progress).await;
    let request = Request { settings: &settings, around: &around, deliver: DeliveryMode::Nothing };
    let mut planning = plan_all(tree, loaded, &request, &mut tags).await?;
    planning.tell_of_waits(settings.now);
    let explained = explain_all(&planning, &settings, tag, &tags);
    Ok((explained, planning))
}

/// An error for an image that is deployed, and has no policy.
fn without_policy(
    image: &str,
    wanted: Option<&Repository>,
    tree: &Tree,
    loaded: &Loaded,
) -> Result<(), Failure> {
    let is_it = |one: &DeployedImage| {
        let ends = one.repository.path().strip_suffix(image);
        wanted == Some(&one.repository) || ends.is_some_and(|front| front.ends_with('/'))
    };
    let known: BTreeSet<&Repository> =
        loaded.set.policies.iter().flat_map(Policy::repositories).collect();
    let all = deployed(tree, &loaded.repository).deployed;
    let mut found = all.iter().filter(|one| is_it(one) && !known.contains(&one.repository));
    let Some(DeployedImage { repository, path, line, .. }) = found.next() else { return Ok(()) };
    let message = format!("{repository} is deployed and has no policy");
    let at = Place { line: *line, column: 1, ..Place::of_file(path) };
    let problem = Diagnostic::error(Code::PolicyUncovered, message).at(at);
    let help =
        "`tagalong init` writes a policy where a tag says what is newer; or write one by hand";
    let diagnostics = vec![problem.help(help)];
    Err(Failure::Invalid(Box::new(Invalid { diagnostics, ..Invalid::default() })))
}

fn explain_all(
    planning: &Planning,
    settings: &DecideSettings,
    tag: Option<&Tag>,
    tags: &Tags,
) -> Vec<Explained> {
    let now = settings.now;
    let (set, ledger, verifiers) = (&planning.set, &planning.memory.ledger, &Verifiers::new());
    let deciding = Deciding { set, verifiers, ledger, now, progress: false };
    let policies = planning.set.policies.iter();
    let meant = policies.filter(|policy| settings.images.contains(&policy.name));
    let rows = meant.flat_map(|policy| {
        let groups = groups(policy, planning);
        let (are_several, left) = (groups.len() > 1, left_alone(policy, planning));
        let rows = groups.into_iter().enumerate().map(move |(at, group)| Explained {
            image: policy.name.clone(),
            repository: policy.repository.clone(),
            explanation: one(policy, &group, tag, &deciding, tags),
            environments: if are_several { group.environments.clone() } else { Vec::new() },
            deployed: group.deployed,
            // Once, below the first.
            left: if at == 0 { left.clone() } else { Vec::new() },
        });
        rows.collect::<Vec<_>>()
    });
    rows.collect()
}

/// Places with a policy's image that cannot be changed.
fn left_alone(policy: &Policy, planning: &Planning) -> Vec<String> {
    let named = [format!("of `{}`", policy.name), format!("be `{}`'s", policy.name)];
    let is_its = |one: &&Diagnostic| {
        matches!(one.code, Code::SiteUnsupported | Code::SiteAmbiguous | Code::SiteUnclaimed)
            && named.iter().any(|name| one.message.contains(name))
    };
    let all = planning.plan.diagnostics.iter().filter(is_its);
    let told = all.map(|one| {
        let at = one.place.iter().map(|place| format!("{}:{}: ", place.path, place.line));
        format!("{}{}", at.collect::<String>(), one.message)
    });
    told.collect()
}

/// Environments with the same explanation.
struct ExplainedGroup<'a> {
    deployed: Option<Tag>,
    /// A decision of one of them; none, where no place is changed.
    decision: Option<&'a Decision>,
    /// True if their versions come from other environments.
    is_promoted: bool,
    environments: Vec<String>,
}

/// The groups of environments whose explanations differ.
fn groups<'a>(policy: &Policy, planning: &'a Planning) -> Vec<ExplainedGroup<'a>> {
    let mut groups: Vec<ExplainedGroup<'a>> = Vec::new();
    let promoted = |name: &str| {
        let mut all = planning.set.environments.iter().filter(|e| e.name == name);
        all.any(|environment| environment.stage.promotion.is_some())
    };
    for planned in planning.plan.decisions.iter().filter(|planned| planned.image == policy.name) {
        let decision = &planned.decision;
        let is_promoted = promoted(&planned.environment);
        let matters = |tag: &Tag| {
            is_promoted || policy.rule.is_relative_to(tag) || !decision.passed_over.is_empty()
        };
        let deployed = planned.deployed.tag.clone().filter(matters);
        let is_same = |group: &&mut ExplainedGroup<'_>| {
            let other = group.decision;
            let is_like = other.is_some_and(|other| {
                other.passed_over == decision.passed_over && other.reason == decision.reason
            });
            group.deployed == deployed && group.is_promoted == is_promoted && is_like
        };
        let environments = vec![planned.environment.clone()];
        match groups.iter_mut().find(is_same) {
            Some(group) if group.environments.contains(&planned.environment) => {}
            Some(group) => group.environments.extend(environments),
            None => {
                let decision = Some(decision);
                groups.push(ExplainedGroup { deployed, decision, is_promoted, environments });
            }
        }
    }
    let order = planning.order();
    groups.sort_by_key(|group| order.iter().position(|name| group.environments.contains(name)));
    if groups.is_empty() {
        let (deployed, environments) = (None, Vec::new());
        groups.push(ExplainedGroup { deployed, decision: None, is_promoted: false, environments });
    }
    groups
}

fn one(
    policy: &Policy,
    group: &ExplainedGroup<'_>,
    asked: Option<&Tag>,
    deciding: &Deciding<'_>,
    tags: &Tags,
) -> Result<Explanation, Reason> {
    if let Some(decision) = group.decision.filter(|_| group.is_promoted) {
        return Ok(choose::explain_promoted(decision, group.deployed.as_ref(), asked));
    }
    let listing = tags.catalog().listing(&policy.repository)?;
    match select(policy, listing, group.deployed.as_ref(), deciding.facts(tags)) {
        Ok(selection) => Ok(choose::explain(policy, listing, &selection, group.decision, asked)),
        Err(Stop::Undecided(reason)) => Err(reason),
        Err(Stop::Ask(_)) => {
            let message = "no place names the image, so its times were not asked for";
            Err(Reason::new(choose::ReasonCode::NoCandidate, message))
        }
    }
}
