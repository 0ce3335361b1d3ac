//! The other places where environments are: branches of the repository of the policies, and other
//! repositories. Each is planned and delivered by itself; what was held there is read before anything is
//! decided.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::history::{Timelines, timelines};
use super::promote::reach;
use super::{
    DeliveryMode, Failure, Loaded, Planning, Request, Tags, Tree, plan_tree, signed_in, survey,
};
use crate::choose::{Reason, ReasonCode};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::git::LEDGER_REF;
use crate::manifest::Looked;
use crate::policy::{Environment, EnvironmentId, Home, PolicySet, Via};
use crate::repo_id::RepoId;
use crate::settings::{ForgeSettings, RepoSpec, Scope, Surroundings};

/// What was read elsewhere.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// The places that could be read.
    pub(super) places: Vec<RemotePlace>,
    /// Why others could not.
    pub(super) problems: Vec<Diagnostic>,
    /// What decisions in one place need to know of the others.
    pub(super) known: KnownPlaces,
}

/// A place, and what is declared for it.
pub(super) struct RemotePlace {
    home: Home,
    scope: Scope,
    /// The tree as it was read first, until it is planned.
    tree: Option<Tree>,
    loaded: Loaded,
}

/// What is known of all places.
#[derive(Default)]
pub(super) struct KnownPlaces {
    /// What environments held.
    pub(super) timelines: Timelines,
    /// What names the repository of the policies.
    origin: String,
    /// The forges to ask for checks of commits.
    pub(super) forges: BTreeMap<Home, ForgeRepository>,
}

/// A repository on a forge, and the settings to reach it with.
pub(super) struct ForgeRepository {
    pub(super) settings: ForgeSettings,
    pub(super) repository: RepoId,
}

impl Elsewhere {
    /// Reads the places where environments are that a run is for, or may be promoted from, and names each by the
    /// branch that it is.
    pub(super) async fn open(tree: &Tree, loaded: &mut Loaded, request: &Request<'_>) -> Self {
        let known = KnownPlaces::of(&loaded.set, tree, request.around);
        let mut all = Self { known, ..Self::default() };
        let WantedPlaces { meant, needed, beside } = WantedPlaces::of(&loaded.set, request);
        all.left(&loaded.set, request);
        let mut read = BTreeMap::new();
        for home in needed.union(&beside).cloned() {
            match open(&home, &request.settings.scope, request, &all.known).await {
                Ok((scope, around, tree)) => {
                    let named = tree.home(&home);
                    let there = loaded.set.environments.iter_mut().filter(|e| e.home == home);
                    there.for_each(|environment| environment.home = named.clone());
                    let before = read.remove(&named).map(|(_, wanted)| wanted);
                    let (was_meant, was_needed) = before.unwrap_or_default();
                    let is_meant = was_meant || meant.contains(&home);
                    let is_needed = was_needed || needed.contains(&home);
                    read.insert(named, ((scope, around, tree), (is_meant, is_needed)));
                }
                Err(why) if needed.contains(&home) => all.miss(&home, &loaded.set, &why),
                // Nobody asked for it.
                Err(_) => {}
            }
        }
        let needed = read.into_iter().filter(|(_, (_, (_, is_needed)))| *is_needed);
        for (home, ((scope, around, tree), (is_meant, _))) in needed {
            all.known.know(&home, &tree, &around);
            let there = loaded.at(&home, &tree);
            if let Some(problem) = there.diagnostics.iter().find(|p| p.severity == Severity::Error)
            {
                all.miss(&home, &loaded.set, &problem.message);
                continue;
            }
            all.known.read(&tree, &there, request).await;
            if is_meant {
                all.places.push(RemotePlace { home, scope, tree: Some(tree), loaded: there });
            }
        }
        all
    }

    /// Says what a work tree cannot be written for.
    fn left(&mut self, set: &PolicySet, request: &Request<'_>) {
        let only = &request.settings.environments;
        let is_meant = |e: &&Environment| only.is_empty() || only.contains(&e.name);
        let elsewhere = set.environments.iter().filter(|e| e.home != set.here).filter(is_meant);
        for environment in elsewhere.filter(|_| is_here_only(request)) {
            let Environment { name, home, place, .. } = environment;
            let message = format!("`{name}` is at {home}, and not in this work tree; left alone");
            let told = Diagnostic::warning(Code::EnvironmentUnreachable, message);
            self.problems.push(told.at(place.clone()));
        }
    }

    /// What was there cannot be known, and nothing is delivered there.
    fn miss(&mut self, home: &Home, set: &PolicySet, why: &str) {
        let there = set.environments.with_ids().filter(|(_, e)| e.home == *home);
        for (index, environment) in there {
            let message = format!("`{}` at {home} is left alone: {why}", environment.name);
            let reason = Reason::new(ReasonCode::NoHistory, message.clone());
            self.known.timelines.insert(index, Err(reason));
            let problem = Diagnostic::error(Code::EnvironmentUnreachable, message);
            self.problems.push(problem.at(environment.place.clone()));
        }
    }

    /// Plans every place, after the one where the policies are.
    pub(super) async fn plan(
        mut self,
        planning: &mut Planning,
        request: &Request<'_>,
        tags: &mut Tags,
    ) {
        planning.plan.diagnostics.append(&mut self.problems);
        self.known.timelines.extend(planning.timelines.clone());
        for mut place in self.places {
            match place.plan(&self.known, request, tags).await {
                Ok(part) => planning.absorb(part),
                Err(failure) => planning.plan.diagnostics.extend(place.failed(&failure)),
            }
        }
    }
}

impl RemotePlace {
    /// What was read first is not what is there now: something was delivered since.
    pub(super) fn is_old(&mut self) {
        self.tree = None;
    }

    /// Plans what is there: what was read first, or what is there now.
    pub(super) async fn plan(
        &mut self,
        known: &KnownPlaces,
        request: &Request<'_>,
        tags: &mut Tags,
    ) -> Result<Planning, Failure> {
        let around = signed_in(&self.scope, request.around).await?;
        let (tree, loaded) = if let Some(tree) = self.tree.take() {
            (tree, self.loaded.clone())
        } else {
            let tree = Tree::open(&self.scope, &around, Some(Via::PullRequest)).await?;
            let loaded = self.loaded.at(&self.home, &tree);
            (tree, loaded)
        };
        let request = Request { around: &around, ..*request };
        if let Some(problem) = loaded.diagnostics.iter().find(|p| p.severity == Severity::Error) {
            return Err(Failure::Failed(problem.message.clone()));
        }
        plan_tree(tree, loaded, known, &request, tags).await
    }

    /// A failure that is told of the environments there.
    pub(super) fn failed(&self, failure: &Failure) -> Vec<Diagnostic> {
        let there = self.loaded.set.environments.iter().filter(|e| e.home == self.home);
        let told = there.map(|environment| {
            let message = format!("`{}` at {}: {failure}", environment.name, self.home);
            let problem = Diagnostic::error(Code::EnvironmentUnreachable, message);
            problem.at(environment.place.clone())
        });
        told.collect()
    }
}

/// The repositories of places.
pub(super) type Names = BTreeMap<Home, RepoId>;

impl KnownPlaces {
    /// The repositories of the places that are on a forge.
    pub(super) fn names(&self) -> Names {
        self.forges.iter().map(|(home, at)| (home.clone(), at.repository.clone())).collect()
    }

    /// What is known when only the place of the policies was read.
    pub(super) fn of(set: &PolicySet, tree: &Tree, around: &Surroundings) -> Self {
        let mut known = Self { origin: set.origin.clone(), ..Self::default() };
        known.know(&set.here, tree, around);
        known
    }

    fn know(&mut self, home: &Home, tree: &Tree, around: &Surroundings) {
        if let Tree::Git { id: Some(id), .. } = tree {
            let (settings, repository) = (around.forges.first().clone(), id.clone());
            self.forges.insert(home.clone(), ForgeRepository { settings, repository });
        }
    }

    /// Reads what environments held that others come from.
    async fn read(&mut self, tree: &Tree, loaded: &Loaded, request: &Request<'_>) {
        let set = &loaded.set;
        let beyond = |index: &EnvironmentId| !set.is_here(*index);
        let targets: BTreeSet<EnvironmentId> = set.environments.ids().filter(beyond).collect();
        let (wanted, since) = reach(set, &targets, request);
        if !wanted.is_empty() {
            let mut hits = loaded.hits.clone();
            let Looked { files, .. } = survey(tree, set, &mut hits);
            let now = request.settings.now;
            self.timelines.extend(timelines(tree, set, &files, &wanted, since, now).await);
        }
    }
}

/// The other places that a run has to do with.
struct WantedPlaces {
    /// Those of the environments that are meant.
    meant: BTreeSet<Home>,
    /// Those, and the ones that they come from.
    needed: BTreeSet<Home>,
    /// Others in the same repositories: one branch can have two names, and whether it has is seen where both are
    /// read.
    beside: BTreeSet<Home>,
}

impl WantedPlaces {
    fn of(set: &PolicySet, request: &Request<'_>) -> Self {
        let only = &request.settings.environments;
        // What is written into a work tree is written there alone, but may come from elsewhere.
        let is_here_only = is_here_only(request);
        let is_meant = |index: &EnvironmentId| {
            (!is_here_only || set.is_here(*index))
                && (only.is_empty() || only.contains(&set.environments[*index].name))
        };
        let meant: Vec<EnvironmentId> = set.environments.ids().filter(is_meant).collect();
        let promotions =
            meant.iter().filter_map(|index| set.environments[*index].stage.promotion.as_ref());
        let sources = promotions.flat_map(|promotion| promotion.sources.iter().copied());
        let all = sources.chain(meant.iter().copied()).collect::<Vec<_>>();
        let elsewhere = |all: &[EnvironmentId]| -> BTreeSet<Home> {
            let all = all.iter().filter(|index| !set.is_here(**index));
            all.map(|index| set.environments[*index].home.clone()).collect()
        };
        let needed = elsewhere(&all);
        let is_beside = |home: &&Home| {
            home.repository.is_some()
                && needed.iter().any(|read| read.repository == home.repository)
        };
        let homes = set.environments.iter().map(|environment| &environment.home);
        let beside = homes.filter(is_beside).cloned().collect();
        Self { meant: elsewhere(&meant), needed, beside }
    }
}

/// Whether only what is here is delivered.
fn is_here_only(request: &Request<'_>) -> bool {
    matches!(request.deliver, DeliveryMode::Via(Some(Via::Worktree)))
}

/// Opens a place, when the operator lets us.
pub(super) async fn open(
    home: &Home,
    scope: &Scope,
    request: &Request<'_>,
    known: &KnownPlaces,
) -> Result<(Scope, Surroundings, Tree), String> {
    let scope = scope_of(home, scope, request, known)?;
    let around = signed_in(&scope, request.around).await.map_err(|failure| failure.to_string())?;
    let tree = Tree::open(&scope, &around, Some(Via::PullRequest)).await;
    let tree = tree.map_err(|failure| failure.to_string())?;
    Ok((scope, around, tree))
}

/// Where a home is. Whoever writes policies must not lead a token to where the operator does not want it.
fn scope_of(
    home: &Home,
    scope: &Scope,
    request: &Request<'_>,
    known: &KnownPlaces,
) -> Result<Scope, String> {
    let branch = home.branch.clone();
    let Some(name) = &home.repository else {
        return Ok(Scope { branch, ..scope.clone() });
    };
    if !request.settings.is_allowed(name) {
        return Err(format!(
            "the operator has not allowed it; name it with --other-repository {name}"
        ));
    }
    if request.settings.ledger.is_some() {
        // Numbers of pull requests and names of branches are those of one repository.
        return Err("`--ledger` remembers for one repository; leave it out".to_owned());
    }
    let ledger = Some(ledger_of(&known.origin));
    let id = request.around.forges.id(name);
    let url = id.as_ref().and_then(|id| request.around.forges.repository_url(id));
    let url = url.ok_or_else(|| format!("{name} is on no forge that is known"))?;
    Ok(Scope { repo: RepoSpec::Remote { url, id }, branch, ledger, ..scope.clone() })
}

/// Where the policies of a repository remember what they did in another one, which can have policies of its own.
fn ledger_of(origin: &str) -> String {
    let hash = Sha256::digest(origin);
    let short = hash.iter().take(8).fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    format!("{LEDGER_REF}-{short:016x}")
}
