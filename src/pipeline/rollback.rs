//! Takes an environment back to what it held before, by its own history; forwards again goes only what is
//! newer than what it was taken back from.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::history::{Timelines, timelines};
use super::observe::Observation;
use super::plan::check_names;
use super::{
    Deliver, Exit, Failure, Loaded, Memory, Outside, Planning, Request, Run, Tags, Tree, deliver,
    homes::{self, Known, Names},
    load, rewrite, sign, signed_in, survey,
};
use crate::changeset::{Decided, Plan, Use, branch_prefix, uses};
use crate::choose::{Decision, Deployed, Outcome, Reason, ReasonCode};
use crate::image::Tag;
use crate::manifest::{Looked, Surveyed};
use crate::policy::{Environment, PolicySet, Timing, Via};
use crate::promote::{Held, Timeline};
use crate::registry::Usage;
use crate::settings::{DecideSettings, Surroundings};

/// How far back an environment is taken.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(180 * 24);

/// What a roll-back came to.
pub enum Rollback {
    /// It is only shown.
    Shown(Box<Planning>),
    /// It was delivered.
    Delivered(Box<Run>),
}

impl Rollback {
    /// How the command ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Shown(planning) => planning.exit(),
            Self::Delivered(run) => run.exit(),
        }
    }
}

/// Takes the images of one environment back to what they were before, or to a tag that it held.
///
/// # Errors
/// When the repository cannot be read, the policies are invalid, or there is nothing to go back to.
pub async fn rollback(
    settings: &DecideSettings,
    to: Option<&Tag>,
    is_dry: bool,
    around: &Surroundings,
) -> Result<Rollback, Failure> {
    let around = &signed_in(&settings.scope, around).await?;
    let given = load::given(&settings.scope)?;
    let tags = Tags::new(settings)?;
    let via = (!is_dry).then_some(Via::PullRequest);
    let tree = Tree::open(&settings.scope, around, via).await?;
    let loaded = Loaded::read(&tree, given.as_ref(), &settings.scope)?;
    let way = if is_dry { Deliver::Nothing } else { Deliver::Via(None) };
    let request = Request { settings, around, deliver: way };
    let (around, tree, loaded) = at_home(tree, loaded, &request).await?;
    let request = Request { around: &around, ..request };
    let planning = plan(tree, loaded, &request, to).await?;
    if is_dry {
        return Ok(Rollback::Shown(Box::new(planning)));
    }
    let (forge, clock) = (&around.forge, around.clock());
    let outside = Outside { tags: &tags, forge, is_partial: false, clock };
    let delivered = deliver::deliver(planning, settings, &outside, true).await;
    let moved = |raced: super::push::Raced| {
        Failure::Failed(format!("branch `{}` moved meanwhile; run it again", raced.branch))
    };
    delivered.map(|run| Rollback::Delivered(Box::new(run))).map_err(moved)
}

/// The place of the environment that is taken back.
async fn at_home(
    tree: Tree,
    loaded: Loaded,
    request: &Request<'_>,
) -> Result<(Surroundings, Tree, Loaded), Failure> {
    let is_meant = |e: &&Environment| request.settings.environments.contains(&e.name);
    let home = loaded.set.environments.iter().find(is_meant).map(|e| e.home.clone());
    match home.filter(|home| !home.is_here()) {
        None => Ok((request.around.clone(), tree, loaded)),
        Some(home) => {
            // What is remembered there is remembered for the policies of this repository.
            let known = Known::of(&loaded.set, &tree, request.around);
            let opened = homes::open(&home, &request.settings.scope, request, &known).await;
            let (_, around, tree) = opened.map_err(Failure::Failed)?;
            let loaded = loaded.at(&home, &tree);
            Ok((around, tree, loaded))
        }
    }
}

async fn plan(
    tree: Tree,
    loaded: Loaded,
    request: &Request<'_>,
    to: Option<&Tag>,
) -> Result<Planning, Failure> {
    let settings = request.settings;
    let Loaded { mut set, repository, sources, mut diagnostics, mut hits, .. } = loaded;
    check_names(&set, settings)?;
    let [name] = &settings.environments[..] else {
        let message = "name one environment with --env";
        return Err(Failure::Argument(message.to_owned()));
    };
    let environment = set.environments.iter().position(|e| e.name == *name).unwrap_or_default();
    // Whoever takes something back does not wait for a window.
    set.environments[environment].deliver.timing = Timing::default();
    let Looked { files, diagnostics: found, .. } = survey(&tree, &set, &mut hits);
    diagnostics.extend(found);
    let since = settings.now.checked_sub(LOOK_BACK).unwrap_or(Timestamp::UNIX_EPOCH);
    let wanted = BTreeSet::from([environment]);
    let mut known = timelines(&tree, &set, &files, &wanted, since, settings.now).await;
    let timeline = known.remove(&environment);
    let timeline = timeline.unwrap_or_else(|| Err(Reason::new(ReasonCode::NoHistory, "")));
    let timeline = timeline.map_err(|reason| Failure::Failed(reason.message))?;
    let mut memory = Memory::recall(&tree, settings.ledger.as_deref(), &mut diagnostics)?;
    let decided = decided(&set, environment, &files, &timeline, &memory, &Wanted { settings, to })?;
    let author = sign::author(&repository, request, &memory)?;
    let mut plan = rewrite(&tree, &set, &files, decided);
    let is_pushed = set.environments[environment].deliver.via == Via::Push;
    memory.taken_back(&plan, is_pushed, settings.now);
    name_branches(&mut plan, &set, environment, &settings.images, &tree);
    let all = std::iter::once(environment);
    let mut observation = match request.deliver {
        Deliver::Via(_) => Observation::read(all, &set, &tree, &memory, &author, request).await,
        Deliver::Nothing | Deliver::Sight => Observation::default(),
    };
    observation.of_plan(&plan).await;
    plan.diagnostics.splice(0..0, diagnostics);
    Ok(Planning {
        plan,
        usage: Usage::new(),
        sources,
        undecided: false,
        set,
        memory,
        tree,
        author,
        forge: request.around.forge.clone(),
        observation,
        timelines: Timelines::new(),
        names: Names::new(),
        dashboard: None,
        elsewhere: Vec::new(),
    })
}

/// The images and the tag that a rollback is for.
struct Wanted<'a> {
    settings: &'a DecideSettings,
    to: Option<&'a Tag>,
}

/// The decisions that take an environment back.
fn decided(
    set: &PolicySet,
    environment: usize,
    files: &[Surveyed],
    timeline: &Timeline,
    memory: &Memory,
    wanted: &Wanted<'_>,
) -> Result<Vec<Decided>, Failure> {
    let is_wanted = |at: &Use| {
        let image = &set.policies[at.policy].name;
        at.environment == environment
            && (wanted.settings.images.is_empty() || wanted.settings.images.contains(image))
    };
    let decided: Vec<Decided> = uses(files)
        .into_iter()
        .filter(is_wanted)
        .filter_map(|at| {
            let decision = back(set, timeline, memory, &at, wanted.to)?;
            Some(Decided { at, decision })
        })
        .collect();
    if decided.is_empty() {
        let name = &set.environments[environment].name;
        let what = wanted.to.map_or_else(|| "anything else".to_owned(), ToString::to_string);
        let days = LOOK_BACK.as_hours() / 24;
        let message = format!("`{name}` did not hold {what} in the last {days} days");
        return Err(Failure::Argument(message));
    }
    Ok(decided)
}

/// What an image was before: the last version that is another one, or the one with a tag.
fn back(
    set: &PolicySet,
    timeline: &Timeline,
    memory: &Memory,
    at: &Use,
    to: Option<&Tag>,
) -> Option<Decision> {
    let now = &at.deployed;
    let (environment, policy) = (&set.environments[at.environment].name, &set.policies[at.policy]);
    let ranker = policy.rule.ranker(None);
    let rank = |held: &Deployed| ranker.rank_deployed(held.tag.as_ref()?, None);
    // Forwards is not back, nor is what people said no to.
    let is_back = |held: &Deployed| {
        let is_above = rank(held)
            .zip(rank(now))
            .is_some_and(|(held, now)| held.compare(&now) == Ordering::Greater);
        let tag = held.tag.as_ref().map(ToString::to_string).unwrap_or_default();
        let refused = [tag, held.to_string()];
        let mut refused = refused
            .iter()
            .filter(|what| memory.ledger.refusal(environment, &policy.name, what).is_some());
        !is_above && refused.next().is_none()
    };
    let is_it = |held: &Deployed| match to {
        Some(to) => held.tag.as_ref() == Some(to) && now.tag.as_ref() != Some(to),
        None => (held.tag != now.tag || held.digest != now.digest) && is_back(held),
    };
    let found = timeline.states.iter().find_map(|state| match state.held(at.policy) {
        Held::One(held) => is_it(held).then_some((held, state.since)),
        Held::Nothing | Held::Several(_) => None,
    });
    let (before, since) = found?;
    let image = &policy.name;
    let message = format!("back from {now}: {image} was {before} from {since} on");
    Some(Decision {
        outcome: Outcome::Update,
        to: before.tag.clone(),
        to_digest: before.digest.clone(),
        reason: Reason::new(ReasonCode::RolledBack, message),
        passed_over: Vec::new(),
    })
}

/// A branch that is nobody else's, and words that say what it is.
fn name_branches(
    plan: &mut Plan,
    set: &PolicySet,
    environment: usize,
    images: &[String],
    tree: &Tree,
) {
    for change in &mut plan.change_sets {
        match (change.via, tree) {
            (Via::Push, Tree::Git { clone, .. }) => clone.branch().clone_into(&mut change.branch),
            _ => {
                let name = change.branch.rsplit('/').next().unwrap_or_default();
                // Two images that are taken back one after the other are two changes.
                let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
                let images = images.iter().map(|image| image.chars().map(word).collect());
                let parts: Vec<String> = std::iter::once(name.to_owned()).chain(images).collect();
                // No run of another kind looks at it.
                let prefix = branch_prefix(set).replacen("tagalong", "tagalong-rollback", 1);
                change.branch = format!("{prefix}{}", parts.join("-"));
            }
        }
        change.title = change.title.replacen("Update", "Roll back", 1);
        let name = &set.environments[environment].name;
        // The usual first words are about something newer.
        let rest = change.body.find("| image |").map_or(&*change.body, |at| &change.body[at..]);
        change.body = format!("This takes `{name}` back to what it held before.\n\n{rest}");
    }
}
