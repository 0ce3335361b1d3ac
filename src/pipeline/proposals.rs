//! The pull requests that there are, asked for before anything is decided or pushed: what they
//! propose is carried on, and a token that may not open them leaves no branches behind.

use std::collections::{BTreeMap, BTreeSet};

use super::memory::{Heard, Held, Memory, is_reverted, is_there};
use super::{Deliver, Request, Tree};
use crate::changeset::{Bundle, ChangeSet, Plan, Proposed, ProposedMove, branch_prefix};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::forge::{ForgeError, GitHub, Labeller, Observed};
use crate::git::Author;
use crate::manifest::Surveyed;
use crate::policy::{APPROVE, AutoMerge, COMMAND_LABELS, HOLD, PolicySet, Via};
use crate::pull_request::{BranchPullRequests, PullRequest, RepoRules};
use crate::report::DeliveryOutcome;
use crate::settings::DecideSettings;
use crate::store::Store;

/// What is known of the pull requests of a run.
pub(super) enum Proposals {
    /// None are wanted.
    None,
    /// They cannot be opened, and why not.
    Impossible(String),
    /// What there is.
    Known(Box<Known>),
}

/// The pull requests of a repository, as far as they were asked for.
pub(super) struct Known {
    pub(super) forge: GitHub,
    pub(super) base: String,
    /// By branch.
    pub(super) pulls: BTreeMap<String, BranchPullRequests>,
    /// What the repository allows, and who asks.
    pub(super) rules: RepoRules,
    /// The commit of the base that was read.
    read: String,
    /// Branches that were asked for.
    asked: BTreeSet<String>,
    /// Whether it matters what checked them.
    with_checks: bool,
    /// The numbers of milestones by their titles.
    milestones: BTreeMap<String, Result<u64, ForgeError>>,
}

impl Known {
    /// Asks for branches that were not asked for yet; whether there were any.
    async fn ask(&mut self, branches: BTreeSet<String>) -> Result<bool, String> {
        let new: Vec<String> = branches.difference(&self.asked).cloned().collect();
        if new.is_empty() {
            return Ok(false);
        }
        let names: Vec<&str> = new.iter().map(String::as_str).collect();
        let Observed { pulls, rules } = self
            .forge
            .pulls(&names, &self.base, self.with_checks)
            .await
            .map_err(|error| error.to_string())?;
        self.pulls.extend(pulls);
        self.rules = rules;
        self.disobey(&new).await;
        self.asked.extend(new);
        Ok(true)
    }

    /// The number of a milestone, asked for once.
    pub(super) async fn milestone(&mut self, title: &str) -> Result<u64, ForgeError> {
        if let Some(known) = self.milestones.get(title) {
            return known.clone();
        }
        let found = self.forge.milestone(title).await;
        self.milestones.insert(title.to_owned(), found.clone());
        found
    }

    /// Passes over orders of people who may not write to the repository.
    async fn disobey(&mut self, branches: &[String]) {
        for branch in branches {
            let Some(pulls) = self.pulls.get_mut(branch) else { continue };
            for pull in pulls.open.iter_mut().chain(&mut pulls.closed) {
                for order in COMMAND_LABELS
                    .into_iter()
                    .filter(|order| pull.has_label(order))
                    .collect::<Vec<_>>()
                {
                    let by = self.forge.labelled_by(pull.number, order).await;
                    let why = objection(pull, order, by.ok().flatten(), &self.rules);
                    if let Some(why) = why {
                        tracing::warn!(pull.number, order, why, "a label is passed over");
                        pull.ignored_labels.push(format!("`{order}` does not count: {why}"));
                        pull.drop_label(order);
                    }
                }
            }
        }
    }
}

/// Why a label that says what to do does not count. Where nobody can say who set it, what only keeps things as they are does.
fn objection(
    pull: &PullRequest,
    order: &str,
    by: Option<Labeller>,
    rules: &RepoRules,
) -> Option<&'static str> {
    let of_commit = Proposed::read(&pull.body).and_then(|proposed| proposed.approvable);
    match by {
        None => (order != HOLD).then_some("nobody can say who set it"),
        Some(by) if !by.may_write => Some("whoever set it may not write"),
        Some(by) if order == APPROVE && (by.is_bot || rules.is_own(&by.login)) => {
            Some("no program approves what a program proposes")
        }
        Some(_) if order == APPROVE && of_commit.as_deref() != Some(&*pull.head) => {
            Some("it was set before the page said what is on the branch now; set it again")
        }
        Some(_) => None,
    }
}

/// What was merged: what of it is there, and what is not deployed any more. Of each image the newest
/// that was merged counts.
fn merged(merged: &[PullRequest], set: &PolicySet, held: &Held) -> Vec<Heard> {
    let mut seen = BTreeSet::new();
    let mut heard = Vec::new();
    for pull in merged {
        let Some(mut proposed) = Proposed::read(&pull.body) else { continue };
        let (mut arrived, mut moves) = (proposed.clone(), std::mem::take(&mut proposed.moves));
        moves.retain(|moved| {
            seen.insert((proposed.environment_of(moved).to_owned(), moved.image.clone()))
        });
        let at = |moved: &ProposedMove| {
            let name = proposed.environment_of(moved);
            let environment = set.environments.iter().position(|e| e.name == name)?;
            let policy = set.policies.iter().position(|policy| policy.name == moved.image)?;
            Some((&set.policies[policy], held.get(&(environment, policy))?))
        };
        arrived.moves.clone_from(&moves);
        arrived.moves.retain(|moved| at(moved).is_some_and(|(_, held)| is_there(moved, held)));
        moves.retain(|moved| {
            at(moved).is_some_and(|(policy, held)| is_reverted(policy, moved, held))
        });
        let number = pull.number;
        if !arrived.moves.is_empty() {
            heard.push(Heard::Arrived { proposed: arrived, number });
        }
        if !moves.is_empty() {
            proposed.moves = moves;
            let why = format!("#{number} was reverted");
            heard.push(Heard::Refused { proposed, number, why, is_back: true });
        }
    }
    heard
}

/// What earlier runs were told, where that is kept.
fn store(settings: &DecideSettings) -> Option<Store> {
    let clock = settings.clock.map(|(then, _)| then.into());
    settings.cache.clone().and_then(|directory| Store::open(directory, clock))
}

impl Proposals {
    /// Asks for the pull requests of these environments that can be known before anything is decided,
    /// and of all own branches that there are.
    pub(super) async fn find(
        environments: impl Iterator<Item = usize>,
        set: &PolicySet,
        tree: &Tree,
        (memory, author): (&Memory, &Author),
        request: &Request<'_>,
    ) -> Self {
        let Tree::Git { clone, github } = tree else { return Self::None };
        let is_wanted = |index: &usize| set.environments[*index].deliver.via == Via::PullRequest;
        let wanted: Vec<usize> = environments.filter(is_wanted).collect();
        // What an environment that moved away has left open is closed.
        let own = branch_prefix(set);
        let may_have_moved = set.environments.iter().any(|e| e.home != set.here)
            && clone.branches(&own).next().is_some();
        if wanted.is_empty() && !author.signing.is_by_github() && !may_have_moved {
            return Self::None;
        }
        let certain = wanted.iter().filter_map(|index| Bundle::certain(set, *index));
        let mut branches: BTreeSet<String> = certain.map(|bundle| bundle.branch(set)).collect();
        branches.extend(clone.branches(&own).map(str::to_owned));
        // What was refused has no branch any more, and people can want it after all.
        let refused =
            memory.ledger.refused_by_pull_requests().filter_map(|(environment, policy)| {
                let environment = set.environments.iter().position(|e| e.name == environment)?;
                let policy = set.policies.iter().position(|p| p.name == policy)?;
                wanted.contains(&environment).then(|| Bundle::of(set, environment, policy))
            });
        branches.extend(refused.map(|bundle| bundle.branch(set)));
        let Some((owner, name)) = github else {
            let message = "pull requests are opened on GitHub only; name the repository as OWNER/NAME, or use \
                           `--deliver push`";
            return Self::Impossible(message.to_owned());
        };
        let (base, read) = (clone.branch().to_owned(), clone.base().to_string());
        let around = request.around;
        let clock = (around.now, around.started);
        let forge = match GitHub::new(&around.github, clock, (owner, name)) {
            Ok(forge) => forge.with_store(store(request.settings)),
            Err(error) => return Self::Impossible(error.to_string()),
        };
        let (pulls, rules, asked) = (BTreeMap::new(), RepoRules::default(), BTreeSet::new());
        let merges = |index: &usize| set.environments[*index].deliver.merge.by != AutoMerge::Off;
        let with_checks = wanted.iter().any(merges);
        let milestones = BTreeMap::new();
        let mut known =
            Box::new(Known { forge, base, pulls, rules, read, asked, with_checks, milestones });
        match known.ask(branches).await {
            Ok(_) => Self::Known(known),
            Err(why) => Self::Impossible(why),
        }
    }

    /// Tells that a plan was made without a look at pull requests; false where they should have been seen.
    pub(super) fn tell(
        &self,
        tree: &Tree,
        (set, files): (&PolicySet, &[Surveyed]),
        request: &Request<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> bool {
        let unseen = self.unseen(tree, set, files, request);
        let is_fine = unseen.as_ref().is_none_or(|unseen| unseen.severity == Severity::Info);
        problems.extend(unseen);
        is_fine
    }

    /// The reason why a plan was made without a look at pull requests: a run may decide otherwise.
    fn unseen(
        &self,
        tree: &Tree,
        set: &PolicySet,
        files: &[Surveyed],
        request: &Request<'_>,
    ) -> Option<Diagnostic> {
        let is_by_pull = |index: usize| set.environments[index].deliver.via == Via::PullRequest;
        let is_meant = files.iter().any(|file| is_by_pull(file.environment));
        if matches!(request.deliver, Deliver::Via(_)) || !is_meant {
            return None;
        }
        let name = tree.name()?;
        let has_token = request.around.github.token.is_some();
        let why = match (self, tree) {
            (Self::Impossible(why), _) if has_token => {
                let message = format!("pull requests of {name} are not known: {why}");
                let problem = Diagnostic::warning(Code::ForgeUnavailable, message);
                let help =
                    "what a person closed is shown as if nobody had, until the forge answers";
                return Some(problem.help(help));
            }
            (Self::Impossible(_), _) => "there is no token (GITHUB_TOKEN)".to_owned(),
            (Self::None, Tree::Work(_)) => {
                format!("this is a work tree; `--repo {name}` looks at them")
            }
            (Self::None | Self::Known(_), _) => return None,
        };
        let message = format!("pull requests of {name} were not looked at: {why}");
        let problem = Diagnostic::info(Code::ForgeNotAsked, message);
        Some(
            problem
                .help("what a person closed or took back is shown here, and `run` passes it over"),
        )
    }

    /// Asks for the pull requests of a plan's branches that nobody knew of before; whether there were
    /// any such branches.
    pub(super) async fn ask(&mut self, plan: &Plan) -> bool {
        let Self::Known(known) = self else { return false };
        let wanted = plan.change_sets.iter().filter(|set| set.via == Via::PullRequest);
        match known.ask(wanted.map(|set| set.branch.clone()).collect()).await {
            Ok(asked) => asked,
            Err(why) => {
                *self = Self::Impossible(why);
                false
            }
        }
    }

    /// What people said to what was proposed: closed, merged and reverted, or opened again.
    pub(super) fn heard(&self, set: &PolicySet, held: &Held) -> Vec<Heard> {
        let Self::Known(known) = self else { return Vec::new() };
        let mut heard = Vec::new();
        for pulls in known.pulls.values() {
            heard.extend(pulls.open.iter().map(|pull| Heard::Open(pull.number)));
            heard.extend(pulls.closed.iter().filter_map(|pull| {
                if pull.is_wanted_again() {
                    return Some(Heard::Open(pull.number));
                }
                let why = format!("#{} was closed", pull.number);
                let proposed = Proposed::read(&pull.body).filter(|p| p.withdrawn.is_none())?;
                Some(Heard::Refused { proposed, number: pull.number, why, is_back: false })
            }));
            // What was merged after the base was read is not there yet, and not reverted for that.
            if known.rules.base.as_ref() == Some(&known.read) {
                heard.extend(merged(&pulls.merged, set, held));
            }
        }
        heard
    }

    /// Why a change set gets no pull request.
    pub(super) fn stop(&self, set: &ChangeSet) -> Option<(DeliveryOutcome, String)> {
        match self {
            Self::None => None,
            Self::Impossible(why) => Some((DeliveryOutcome::Failed, why.clone())),
            Self::Known(known) => {
                let pulls = known.pulls.get(&set.branch)?;
                let closed = pulls.closed.as_ref().filter(|closed| !closed.is_wanted_again());
                let closed = closed.filter(|closed| closed.proposes(set));
                let closed = closed.filter(|_| pulls.open.is_none())?;
                if Proposed::read(&closed.body).is_some_and(|closed| closed.withdrawn.is_some()) {
                    return None;
                }
                let message = format!(
                    "#{} with this change was closed, so it is not proposed again",
                    closed.number
                );
                Some((DeliveryOutcome::Refused, message))
            }
        }
    }

    /// The open pull request of a branch.
    pub(super) fn open(&self, branch: &str) -> Option<&PullRequest> {
        let Self::Known(known) = self else { return None };
        known.pulls.get(branch)?.open.as_ref()
    }

    /// The base, when it is not where it was read any more.
    pub(super) fn moved_base(&self) -> Option<String> {
        let Self::Known(known) = self else { return None };
        let is_there = known.rules.base.as_ref().is_none_or(|base| *base == known.read);
        (!is_there).then(|| known.base.clone())
    }

    /// Whether a commit of a branch was merged.
    pub(super) fn is_merged(&self, branch: &str, commit: &str) -> bool {
        let Self::Known(known) = self else { return false };
        let pulls = known.pulls.get(branch);
        pulls.is_some_and(|pulls| pulls.merged.iter().any(|pull| pull.head == commit))
    }

    /// Whether a branch has an open pull request.
    pub(super) fn is_open(&self, branch: &str) -> bool {
        self.open(branch).is_some()
    }
}
