//! Why a policy chooses what it does.

use std::collections::{BTreeMap, BTreeSet};

use super::plan_all;
use crate::choose::{self, Decision, Explanation, Outcome, Reason, Stop, select};
use crate::image::{Repository, Tag};
use crate::pipeline::decide::Deciding;
use crate::pipeline::{DeliveryMode, Failure, Planning, Request, Session, Tags, check_names};
use crate::policy::Policy;
use crate::settings::{DecideSettings, Surroundings};
use crate::signature::Verifiers;

/// A policy's choice with its explanation, or why there is none.
pub struct Explained {
    /// The policy's name.
    pub image: String,
    /// The image repository.
    pub repository: Repository,
    /// What is deployed, where the choice depends on it.
    pub deployed: Option<Tag>,
    /// What happened to its tags, or why they are not known.
    pub explanation: Result<Explanation, Reason>,
}

/// A decision for each deployed tag that makes a difference.
type PassedOver<'a> = BTreeMap<Option<Tag>, Option<&'a Decision>>;

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
    if !policies.is_empty() {
        settings.images = policies.iter().map(|policy| policy.name.clone()).collect();
    }
    check_names(&loaded.set, &settings)?;
    let repositories: BTreeSet<&Repository> =
        policies.iter().map(|policy| &policy.repository).collect();
    tags.list(&repositories, &loaded.set, &loaded.repository, around.progress).await;
    let request = Request { settings: &settings, around: &around, deliver: DeliveryMode::Nothing };
    let planning = plan_all(tree, loaded, &request, &mut tags).await?;
    let explained = explain_all(&planning, &settings, tag, &tags);
    Ok((explained, planning))
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
        let places = places(policy, planning);
        let rows = places.into_iter().map(|(deployed, decision)| {
            let explanation = one(
                policy,
                AskedTag { deployed: deployed.as_ref(), tag },
                decision,
                &deciding,
                tags,
            );
            let (image, repository) = (policy.name.clone(), policy.repository.clone());
            Explained { image, repository, deployed, explanation }
        });
        rows.collect::<Vec<_>>()
    });
    rows.collect()
}

/// The places whose explanations differ.
fn places<'a>(policy: &Policy, planning: &'a Planning) -> PassedOver<'a> {
    let mut places = PassedOver::new();
    for planned in planning.plan.decisions.iter().filter(|planned| planned.image == policy.name) {
        let passed_over = &planned.decision.passed_over[..];
        let matters = |tag: &Tag| policy.rule.is_relative_to(tag) || !passed_over.is_empty();
        let deployed = planned.deployed.tag.clone().filter(matters);
        let known = places.entry(deployed).or_insert(Some(&planned.decision));
        if known.is_none_or(|known| known.passed_over.is_empty()) {
            *known = Some(&planned.decision);
        }
    }
    if places.is_empty() {
        places.insert(None, None);
    }
    places
}

/// The deployed tag, and the one that somebody asks about.
#[derive(Clone, Copy)]
struct AskedTag<'a> {
    deployed: Option<&'a Tag>,
    tag: Option<&'a Tag>,
}

fn one(
    policy: &Policy,
    asked: AskedTag<'_>,
    decision: Option<&Decision>,
    deciding: &Deciding<'_>,
    tags: &Tags,
) -> Result<Explanation, Reason> {
    let listing = tags.catalog().listing(&policy.repository)?;
    match select(policy, listing, asked.deployed, deciding.facts(tags)) {
        Ok(selection) => {
            let passed_over = decision.map_or(&[][..], |decision| &decision.passed_over);
            let updates = decision.filter(|decision| decision.outcome == Outcome::Update);
            let decided = updates.and_then(|decision| decision.to.as_ref());
            Ok(choose::explain(policy, listing, &selection, passed_over, decided, asked.tag))
        }
        Err(Stop::Undecided(reason)) => Err(reason),
        Err(Stop::Ask(_)) => {
            let message = "no place names the image, so its times were not asked for";
            Err(Reason::new(choose::ReasonCode::NoCandidate, message))
        }
    }
}
