//! Observation of git and the forge, before anything is decided or pushed: open pull requests are carried over, and a
//! token that may not open any leaves no branches behind.

use std::collections::BTreeSet;

use super::memory::Memory;
use super::tree::origin_on_forge;
use super::{DeliveryMode, Request, Tree};
use crate::changeset::{Bundle, Plan, branch_prefix, rollback_prefix};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::forge::{AnyForge, Forge as _, NO_FORGE, Observed};
use crate::git::{Author, BranchState, Clone};
use crate::manifest::Surveyed;
use crate::policy::{AutoMerge, COMMAND_LABELS, EnvironmentId, PolicySet, Via};
use crate::reconcile::{Branch, ForgeView, SIGNING_PREFIX, Snapshot, label_objection};
use crate::settings::{DecideSettings, Forges};
use crate::store::Store;

/// The snapshot of a run, with the client that it was read by.
#[derive(Default)]
pub(super) struct Observation {
    /// The forge, where it could be read.
    pub(super) forge: Option<AnyForge>,
    /// The snapshot.
    pub(super) snapshot: Snapshot,
    /// Branches that were asked for.
    asked: BTreeSet<String>,
    /// True if checks matter.
    with_checks: bool,
    /// True if there are branches of rollbacks.
    has_rollbacks: bool,
}

/// The reason for not looking at pull requests, where nobody knows where they are.
const ORIGIN_UNKNOWN: &str = "its origin is on no forge that is known (GITHUB_SERVER_URL, GITLAB_URL, FORGEJO_URL and \
    GITEA_URL name servers of your own)";

/// The state of a branch as data.
fn branch(state: Result<BranchState, crate::git::GitError>) -> Branch {
    match state {
        Ok(BranchState::Absent) => Branch::Absent,
        Ok(BranchState::Ours { commit, change }) => {
            Branch::Ours { commit: commit.to_string(), change }
        }
        Ok(BranchState::Foreign { commit, author }) => {
            Branch::Foreign { commit: commit.to_string(), author }
        }
        Err(error) => Branch::Unreadable(error.to_string()),
    }
}

/// Answers of earlier runs, where they are kept.
fn store(settings: &DecideSettings) -> Option<Store> {
    let clock = settings.clock.map(|(then, _)| then.into());
    settings.cache.clone().and_then(|directory| Store::open(directory, clock))
}

impl Observation {
    /// Reads the pull requests of these environments that can be known before anything is decided,
    /// and of all own branches that there are.
    pub(super) async fn read(
        environments: impl Iterator<Item = EnvironmentId>,
        set: &PolicySet,
        tree: &Tree,
        memory: &Memory,
        author: &Author,
        request: &Request<'_>,
    ) -> Self {
        let Tree::Git { clone, id } = tree else {
            return Self::of(Snapshot { is_work_tree: true, ..Snapshot::default() });
        };
        let (base, base_commit) = (clone.branch().to_owned(), clone.base().to_string());
        let mut observation = Self::of(Snapshot { base, base_commit, ..Snapshot::default() });
        let is_wanted =
            |index: &EnvironmentId| set.environments[*index].deliver.via == Via::PullRequest;
        let wanted: Vec<EnvironmentId> = environments.filter(is_wanted).collect();
        // Pull requests of an environment that moved to another place are closed.
        let own = branch_prefix(set);
        let may_have_moved = set.environments.iter().any(|e| e.home != set.here)
            && clone.branches(&own).next().is_some();
        // An open rollback holds its images also where changes are pushed.
        observation.has_rollbacks = clone.branches(&rollback_prefix(set)).next().is_some();
        let is_needed = may_have_moved || observation.has_rollbacks;
        if wanted.is_empty() && !author.signing.is_by_forge() && !is_needed {
            return observation;
        }
        let Some(id) = id else {
            observation.fail(format!("no pull requests here: {NO_FORGE}, or use `--deliver push`"));
            return observation;
        };
        let around = request.around;
        let clock = around.moment();
        match AnyForge::new(around.forges.at(id).first(), clock, id, store(request.settings)) {
            Ok(forge) => observation.forge = Some(forge),
            Err(error) => {
                observation.fail(error.to_string());
                return observation;
            }
        }
        let merges =
            |index: &EnvironmentId| set.environments[*index].deliver.merge.by != AutoMerge::Off;
        observation.with_checks = wanted.iter().any(merges);
        observation.extend(branches(&wanted, set, clone, memory)).await;
        observation
    }

    /// The forges that are known, that of the repository first.
    pub(super) fn forges(&self, request: &Request<'_>) -> Forges {
        let forges = &request.around.forges;
        self.forge.as_ref().map_or_else(|| forges.clone(), |forge| forges.at(forge.repository()))
    }

    fn of(snapshot: Snapshot) -> Self {
        Self { snapshot, ..Self::default() }
    }

    fn fail(&mut self, why: impl Into<String>) {
        self.forge = None;
        self.snapshot.forge = ForgeView::Unavailable(why.into());
    }

    /// Reads the pull requests of branches that were not read yet. True if there were any.
    async fn extend(&mut self, branches: BTreeSet<String>) -> bool {
        let new: Vec<String> = branches.difference(&self.asked).cloned().collect();
        let Some(forge) = self.forge.as_ref() else { return false };
        if new.is_empty() {
            if self.snapshot.observed().is_none() {
                self.snapshot.forge = ForgeView::Read(Box::default());
            }
            return false;
        }
        let names: Vec<&str> = new.iter().map(String::as_str).collect();
        match forge.observe(&names, &self.snapshot.base, self.with_checks).await {
            Ok(mut seen) => {
                drop_unauthorized_labels(forge, &mut seen).await;
                if let ForgeView::Read(before) = &mut self.snapshot.forge {
                    before.pulls.extend(seen.pulls);
                    before.rules = seen.rules;
                } else {
                    self.snapshot.forge = ForgeView::Read(Box::new(seen));
                }
                self.asked.extend(new);
                true
            }
            Err(error) => {
                self.fail(error.to_string());
                false
            }
        }
    }

    /// Reads the pull requests of a plan's branches that nobody knew of before. True if there were any.
    pub(super) async fn of_plan(&mut self, plan: &Plan) -> bool {
        let wanted = plan.change_sets.iter().filter(|set| set.via == Via::PullRequest);
        self.extend(wanted.map(|set| set.branch.clone()).collect()).await
    }

    /// Reads the branches of a plan and of all pull requests.
    pub(super) fn read_branches(&mut self, clone: &Clone, author: &Author, plan: &Plan) {
        let planned = plan.change_sets.iter().filter(|set| set.via == Via::PullRequest);
        let mut names: BTreeSet<String> = planned.map(|set| set.branch.clone()).collect();
        names.extend(
            self.snapshot.observed().into_iter().flat_map(|seen| seen.pulls.keys().cloned()),
        );
        let states = names.into_iter().map(|name| {
            let state = branch(clone.state(&name, author));
            (name, state)
        });
        self.snapshot.branches = states.collect();
        self.snapshot.signing_branches =
            clone.branches(SIGNING_PREFIX).map(str::to_owned).collect();
    }

    /// Tells that a plan was made without a look at pull requests; false where they should have been seen.
    pub(super) fn tell(
        &self,
        tree: &Tree,
        set: &PolicySet,
        files: &[Surveyed],
        request: &Request<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> bool {
        let unseen = self.unseen(tree, set, files, request).or_else(|| self.rollback_warning());
        let is_fine = unseen.as_ref().is_none_or(|unseen| unseen.severity == Severity::Info);
        problems.extend(unseen);
        is_fine
    }

    /// A warning about rollbacks that may be open, where nobody could ask.
    fn rollback_warning(&self) -> Option<Diagnostic> {
        let why = self.unseen_rollbacks()?;
        let message =
            format!("it is not known whether a rollback is open, which holds its images: {why}");
        Some(Diagnostic::warning(Code::ForgeUnavailable, message))
    }

    /// The reason for which rollbacks that may be open could not be read.
    pub(super) fn unseen_rollbacks(&self) -> Option<&str> {
        match &self.snapshot.forge {
            ForgeView::Unavailable(why) if self.has_rollbacks => Some(why),
            _ => None,
        }
    }

    /// The reason why a plan was made without a look at pull requests: a run may decide otherwise.
    fn unseen(
        &self,
        tree: &Tree,
        set: &PolicySet,
        files: &[Surveyed],
        request: &Request<'_>,
    ) -> Option<Diagnostic> {
        let is_by_pull =
            |index: EnvironmentId| set.environments[index].deliver.via == Via::PullRequest;
        let is_meant = files.iter().any(|file| is_by_pull(file.environment));
        if matches!(request.deliver, DeliveryMode::Via(_)) || !is_meant {
            return None;
        }
        let name = tree.name()?;
        let has_token = request.around.forges.first().token.is_some();
        let why = match (&self.snapshot.forge, tree) {
            (ForgeView::Unavailable(why), _) if has_token => {
                let message = format!("pull requests of {name} are not known: {why}");
                let problem = Diagnostic::warning(Code::ForgeUnavailable, message);
                let help =
                    "what a person closed is shown as if nobody had, until the forge answers";
                return Some(problem.help(help));
            }
            (ForgeView::Unavailable(_), _) => {
                let variable = request.around.forges.first().kind.token_variable();
                format!("there is no token ({variable})")
            }
            (ForgeView::NotNeeded, Tree::Work(tree)) => {
                let forges = &request.around.forges;
                match origin_on_forge(tree.root(), forges) {
                    Some(id) => format!("this is a work tree; `--repo {id}` looks at them"),
                    None => ORIGIN_UNKNOWN.to_owned(),
                }
            }
            (ForgeView::NotNeeded | ForgeView::Read(_), _) => return None,
        };
        let message = format!("pull requests of {name} were not looked at: {why}");
        let problem = Diagnostic::info(Code::ForgeNotAsked, message);
        Some(
            problem
                .help("what a person closed or took back is shown here, and `run` passes it over"),
        )
    }
}

/// The branches that can be known before anything is decided.
fn branches(
    wanted: &[EnvironmentId],
    set: &PolicySet,
    clone: &Clone,
    memory: &Memory,
) -> BTreeSet<String> {
    let certain = wanted.iter().filter_map(|index| Bundle::certain(set, *index));
    let mut branches: BTreeSet<String> = certain.map(|bundle| bundle.branch(set)).collect();
    branches.extend(clone.branches(&branch_prefix(set)).map(str::to_owned));
    branches.extend(clone.branches(&rollback_prefix(set)).map(str::to_owned));
    // A rejected change has no branch any more, and people can want it after all.
    let rejected = memory.ledger.refused_by_pull_requests().filter_map(|(environment, policy)| {
        let environment = set.environments.find(|e| e.name == environment)?;
        let policy = set.policies.find(|p| p.name == policy)?;
        wanted.contains(&environment).then(|| Bundle::of(set, environment, policy))
    });
    branches.extend(rejected.map(|bundle| bundle.branch(set)));
    branches
}

/// Ignores command labels of people who may not write to the repository.
pub(super) async fn drop_unauthorized_labels(forge: &AnyForge, seen: &mut Observed) {
    for pulls in seen.pulls.values_mut() {
        for pull in pulls.open.iter_mut().chain(&mut pulls.closed) {
            let labels = COMMAND_LABELS.into_iter().filter(|label| pull.has_label(label));
            for label in labels.collect::<Vec<_>>() {
                let by = forge.labelled_by(pull.number, label).await;
                let why = label_objection(pull, label, by.ok().flatten(), &seen.rules);
                if let Some(why) = why {
                    tracing::warn!(pull.number, label, why, "a label is ignored");
                    pull.ignored_labels.push(format!("`{label}` does not count: {why}"));
                    pull.drop_label(label);
                }
            }
        }
    }
}
