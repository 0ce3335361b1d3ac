//! The other places where environments are: branches of the repository of the policies, and other
//! repositories. Each is planned and delivered by itself; what was held there is read before anything is
//! decided.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Timelines, timelines};
use super::promote::reach;
use super::{
    Deliver, Failure, Loaded, Planning, Request, Tags, Tree, plan_tree, signed_in, survey,
};
use crate::choose::{Reason, ReasonCode};
use crate::diagnostic::{Code, Diagnostic};
use crate::policy::{Home, PolicySet, Via};
use crate::settings::{GitHubSettings, RepoSpec, Scope, Surroundings};

/// What was read elsewhere.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// The places that could be read.
    pub(super) places: Vec<Place>,
    /// Why others could not.
    pub(super) problems: Vec<Diagnostic>,
    /// What decisions in one place need to know of the others.
    pub(super) known: Known,
}

/// A place, and what is declared for it.
pub(super) struct Place {
    home: Home,
    scope: Scope,
    /// The tree as it was read first, until it is planned.
    tree: Option<Tree>,
    loaded: Loaded,
}

/// What is known of all places.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// What environments held.
    pub(super) timelines: Timelines,
    /// Whom to ask what checked a commit: the server with its token, and the repository.
    pub(super) forges: BTreeMap<Home, (GitHubSettings, (String, String))>,
}

impl Elsewhere {
    /// Reads the places where environments are that a run is for, or may be promoted from.
    pub(super) async fn open(tree: &Tree, loaded: &Loaded, request: &Request<'_>) -> Self {
        let mut all = Self::default();
        all.known.know(&loaded.set.here, tree, request.around);
        let (meant, all_homes) = homes(&loaded.set, request);
        for home in all_homes {
            match open(&home, &request.settings.scope, request).await {
                Ok((scope, around, tree)) => {
                    all.known.know(&home, &tree, &around);
                    let loaded = loaded.at(&home, &tree);
                    all.known.read(&tree, &loaded, request).await;
                    if meant.contains(&home) {
                        all.places.push(Place { home, scope, tree: Some(tree), loaded });
                    }
                }
                Err(why) => all.miss(&home, &loaded.set, &why),
            }
        }
        all
    }

    /// What was there cannot be known, and nothing is delivered there.
    fn miss(&mut self, home: &Home, set: &PolicySet, why: &str) {
        let there = set.environments.iter().enumerate().filter(|(_, e)| e.home == *home);
        for (index, environment) in there {
            let message =
                format!("`{}` is at {home}, which cannot be read: {why}", environment.name);
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
    ) -> Result<(), Failure> {
        planning.plan.diagnostics.append(&mut self.problems);
        self.known.timelines.extend(planning.timelines.clone());
        for mut place in self.places {
            let part = place.plan(&self.known, request, tags).await?;
            planning.absorb(part);
        }
        Ok(())
    }
}

impl Place {
    /// Plans what is there: what was read first, or what is there now.
    pub(super) async fn plan(
        &mut self,
        known: &Known,
        request: &Request<'_>,
        tags: &mut Tags,
    ) -> Result<Planning, Failure> {
        let around = signed_in(&self.scope, request.around).await?;
        let tree = match self.tree.take() {
            Some(tree) => tree,
            None => Tree::open(&self.scope, &around, Some(Via::PullRequest)).await?,
        };
        let request = Request { around: &around, ..*request };
        let loaded = self.loaded.at(&self.home, &tree);
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

/// The repositories of places, as owner and name.
pub(super) type Names = BTreeMap<Home, (String, String)>;

impl Known {
    /// The repositories of the places that are on GitHub.
    pub(super) fn names(&self) -> Names {
        self.forges.iter().map(|(home, (_, name))| (home.clone(), name.clone())).collect()
    }

    fn know(&mut self, home: &Home, tree: &Tree, around: &Surroundings) {
        if let Tree::Git { github: Some(name), .. } = tree {
            self.forges.insert(home.clone(), (around.github.clone(), name.clone()));
        }
    }

    /// Reads what environments held that others come from.
    async fn read(&mut self, tree: &Tree, loaded: &Loaded, request: &Request<'_>) {
        let set = &loaded.set;
        let beyond = |index: &usize| !set.is_here(*index);
        let targets: BTreeSet<usize> = (0..set.environments.len()).filter(beyond).collect();
        let (wanted, since) = reach(set, &targets, request);
        if !wanted.is_empty() {
            let mut hits = loaded.hits.clone();
            let (files, _told_later) = survey(tree, set, &mut hits);
            let now = request.settings.now;
            self.timelines.extend(timelines(tree, set, &files, &wanted, (since, now)).await);
        }
    }
}

/// The other places of the environments that are meant, and all that have to be read: those that they come
/// from as well.
fn homes(set: &PolicySet, request: &Request<'_>) -> (BTreeSet<Home>, BTreeSet<Home>) {
    let only = &request.settings.environments;
    // What is written into a work tree is written there alone, but may come from elsewhere.
    let is_here_only = matches!(request.deliver, Deliver::Via(Some(Via::Worktree)));
    let is_meant = |index: &usize| {
        (!is_here_only || set.is_here(*index))
            && (only.is_empty() || only.contains(&set.environments[*index].name))
    };
    let meant: Vec<usize> = (0..set.environments.len()).filter(is_meant).collect();
    let promotions =
        meant.iter().filter_map(|index| set.environments[*index].stage.promotion.as_ref());
    let sources = promotions.flat_map(|promotion| promotion.sources.iter().copied());
    let all = sources.chain(meant.iter().copied()).collect::<Vec<_>>();
    let elsewhere = |all: &[usize]| {
        let all = all.iter().filter(|index| !set.is_here(**index));
        all.map(|index| set.environments[*index].home.clone()).collect()
    };
    (elsewhere(&meant), elsewhere(&all))
}

/// Opens a place, when the operator lets us.
pub(super) async fn open(
    home: &Home,
    scope: &Scope,
    request: &Request<'_>,
) -> Result<(Scope, Surroundings, Tree), String> {
    let scope = scope_of(home, scope, request)?;
    let around = signed_in(&scope, request.around).await.map_err(|failure| failure.to_string())?;
    let tree = Tree::open(&scope, &around, Some(Via::PullRequest)).await;
    let tree = tree.map_err(|failure| failure.to_string())?;
    Ok((scope, around, tree))
}

/// Where a home is. Whoever writes policies must not lead a token to where the operator does not want it.
fn scope_of(home: &Home, scope: &Scope, request: &Request<'_>) -> Result<Scope, String> {
    let branch = home.branch.clone();
    let Some(name) = &home.repository else {
        return Ok(Scope { branch, ..scope.clone() });
    };
    if !request.settings.is_allowed(name) {
        return Err(format!(
            "the operator has not allowed it; name it with --other-repository {name}"
        ));
    }
    let pair = name.split_once('/').map(|(owner, name)| (owner.to_owned(), name.to_owned()));
    let url =
        pair.as_ref().and_then(|(owner, name)| request.around.github.repository_url(owner, name));
    let url = url.ok_or_else(|| format!("{name} is not OWNER/NAME"))?;
    Ok(Scope { repo: RepoSpec::Remote { url, github: pair }, branch, ..scope.clone() })
}
