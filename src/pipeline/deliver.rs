//! From a plan to files, commits and pull requests.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::history::Timelines;
use super::homes::Names;
use super::memory::{LEDGER_FILE, Memory};
use super::merge::Merging;
use super::proposals::Proposals;
use super::pulls::{self, Stale};
use super::sign;
use super::sources::{self, Looking};
use super::tree::GIT_TIMEOUT;
use super::{Outside, Planning, Run, Tree};
use crate::changeset::{ChangeSet, FileChange, Plan, section_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::forge::{ForgeError, GitHub};
use crate::git::{Author, BranchState, Clone, GitError, Oid, Update, branch_ref};
use crate::manifest::MAX_FILE;
use crate::policy::{AutoMerge, Commits, PolicySet, Via};
use crate::pull_request::{Mergeable, PullRequest, Queue};
use crate::report::{self, DASHBOARD, Delivery, DeliveryOutcome};
use crate::settings::{DecideSettings, Surroundings};
use crate::worktree::{WorkTree, WorkTreeError};

/// A branch moved between reading and pushing; nothing was changed.
pub(super) struct Raced {
    pub(super) branch: String,
}

/// What is to be pushed for a change set.
pub(super) enum Step {
    /// A commit has to get onto a branch.
    Push(Update),
    /// The branch holds the change already.
    Stand(Oid),
    /// Nothing can or may be pushed.
    Stop(DeliveryOutcome, String),
}

/// Delivers every change set, and keeps the ledger. One that fails does not stop the others.
#[tracing::instrument(name = "deliver", skip_all)]
pub(super) async fn deliver(
    mut planning: Planning,
    settings: &DecideSettings,
    outside: &Outside<'_>,
    is_last: bool,
) -> Result<Run, Raced> {
    // What was planned on an older base may be merged by now. The last try does without that, as GitHub's
    // answer can be older than its git.
    if let (Some(branch), false) = (planning.proposals.moved_base(), is_last) {
        return Err(Raced { branch });
    }
    let now = settings.now;
    // What a narrower run does not look at is not over.
    let is_whole = settings.is_whole() && settings.scope.policies.is_none();
    let (deliveries, kept, is_stuck) = match &planning.tree {
        Tree::Work(work) => {
            let sets = planning.plan.change_sets.iter();
            (sets.map(|set| write(work, &planning.plan, set)).collect(), Ok(()), false)
        }
        Tree::Git { clone, .. } => {
            let (plan, proposals) = (&planning.plan, &mut planning.proposals);
            let refreshed = Cell::new(false);
            let author = &planning.author;
            let (set, timelines, names) = (&planning.set, &planning.timelines, &planning.names);
            let context = Context {
                clone,
                plan,
                author,
                outside,
                set,
                timelines,
                names,
                now,
                is_whole,
                refreshed,
            };
            context.deliver(proposals, &mut planning.memory).await?
        }
    };
    if let Err(why) = kept.and_then(|()| planning.memory.write()) {
        let message = format!("what must be remembered is not kept: {why}");
        planning.plan.diagnostics.push(Diagnostic::warning(Code::LedgerNotKept, message));
    }
    Ok(Run { planning, deliveries, is_stuck })
}

/// Brings the issue up to date that shows everything, where one is wanted.
pub(super) async fn show(run: &mut Run, settings: &DecideSettings, around: &Surroundings) {
    let Some(title) = &run.planning.dashboard else { return };
    // What a narrower run does not look at is not over.
    if !settings.is_whole() || settings.scope.policies.is_some() {
        return;
    }
    let body = report::dashboard(&run.planning.plan, &run.deliveries);
    let kept = keep(&run.planning, around, (title, &body)).await;
    if let Err(why) = kept {
        let message = format!("the dashboard is not up to date: {why}");
        let problem = Diagnostic::warning(Code::DashboardNotKept, message);
        run.planning.plan.diagnostics.push(problem);
    }
}

/// Keeps the issue where the policies are, also when nothing else is delivered there.
async fn keep(
    planning: &Planning,
    around: &Surroundings,
    (title, body): (&str, &str),
) -> Result<(), ForgeError> {
    if let Proposals::Known(known) = &planning.proposals {
        let kept = known.forge.keep_issue(&known.rules, DASHBOARD, (title, body));
        return kept.await.map(drop);
    }
    let Tree::Git { clone, github: Some((owner, name)) } = &planning.tree else { return Ok(()) };
    let clock = (around.now, around.started);
    let forge = GitHub::new(&planning.github, clock, (owner, name))?;
    let seen = forge.pulls(&[], clone.branch(), false).await?;
    forge.keep_issue(&seen.rules, DASHBOARD, (title, body)).await.map(drop)
}

/// Writes a change set's files.
fn write(work: &WorkTree, plan: &Plan, set: &ChangeSet) -> Delivery {
    if set.via != Via::Worktree {
        let message = "a work tree takes `--deliver worktree` only".to_owned();
        return Delivery { message: Some(message), ..delivery(set, DeliveryOutcome::Failed) };
    }
    let replace = |path: &str, file: &FileChange| {
        let text = String::from_utf8(work.read(path, MAX_FILE + 1)?);
        let texts = text.ok().and_then(|text| plan.texts(file, text));
        let (before, after) = texts.ok_or_else(|| WorkTreeError::Changed(path.to_owned()))?;
        work.replace(path, &before, &after)
    };
    let written = set.files.iter().map(|(path, file)| replace(path, file));
    let errors: Vec<String> =
        written.filter_map(|written| written.err().map(|error| error.to_string())).collect();
    if errors.is_empty() {
        return delivery(set, DeliveryOutcome::Written);
    }
    Delivery { message: Some(errors.join("; ")), ..delivery(set, DeliveryOutcome::Failed) }
}

/// What every step needs.
struct Context<'a> {
    clone: &'a Clone,
    plan: &'a Plan,
    author: &'a Author,
    outside: &'a Outside<'a>,
    set: &'a PolicySet,
    timelines: &'a Timelines,
    names: &'a Names,
    now: jiff::Timestamp,
    is_whole: bool,
    /// Whether one that was only behind the base was made anew.
    refreshed: Cell<bool>,
}

impl Context<'_> {
    /// Pushes branches, opens, updates, closes and merges pull requests; whether the ledger was kept,
    /// and whether what was merged is in the way of something else.
    async fn deliver(
        &self,
        proposals: &mut Proposals,
        memory: &mut Memory,
    ) -> Result<(Vec<Delivery>, Result<(), String>, bool), Raced> {
        let plan = self.plan;
        let mut tip = self.clone.base();
        let mut room = pulls::Room::of(plan, proposals);
        let steps = plan.change_sets.iter().map(|set| {
            let step = self.step(set, proposals, &mut tip);
            room.check(set, step, proposals)
        });
        let mut steps: Vec<Step> = steps.collect();
        pulls::release(&plan.change_sets, &mut steps, proposals).await;
        let stale = self.stale(proposals).await;
        let signed =
            sign::signed(self.clone, self.author, proposals, updates(&steps), self.outside.clock);
        let signed = signed.await?;
        signed.exchange(&mut steps);
        memory.made(&signed.made, |branch| self.clone.has_branch(branch));
        let mut updates = signed.updates.clone();
        if self.is_whole {
            updates.extend(sign::abandoned(self.clone, self.outside.clock));
        }
        updates.extend(stale.branches.iter().map(|branch| Update::delete(branch)));
        // What a direct push brings is only remembered when it has arrived, so the ledger follows.
        let is_direct = plan.change_sets.iter().any(|set| set.via == Via::Push);
        let alone = updates.is_empty();
        let ledger = if is_direct { Ok(None) } else { self.ledger(memory, alone) };
        updates.extend(ledger.as_ref().ok().cloned().flatten());
        let pushed = push(self.clone, updates).await;
        signed.tidy(self.clone, pushed.is_err()).await;
        let mut pushed = pushed?;
        pushed.extend(signed.failed);
        stale.undeleted(&pushed);
        let sections = self.sections(&steps, &pushed, proposals).await;
        let mut deliveries = Vec::new();
        for (set, step) in plan.change_sets.iter().zip(&steps) {
            let worded = sources::with_section(set, &sections, proposals);
            let delivery = pulls::finish(&worded, step, &pushed, proposals).await;
            if delivery.outcome == DeliveryOutcome::Pushed && set.via == Via::Push {
                memory.delivered(set, self.now);
            }
            deliveries.push(delivery);
        }
        let kept = match ledger {
            Err(why) => Err(why),
            Ok(_) if is_direct => match self.ledger(memory, true) {
                Ok(update) => match push(self.clone, update.into_iter().collect()).await {
                    Ok(pushed) => judge(self.clone, &pushed),
                    // What was delivered is delivered; only the memory of it is lost.
                    Err(Raced { .. }) => Err("another run was faster".to_owned()),
                },
                Err(why) => Err(why),
            },
            Ok(_) => judge(self.clone, &pushed),
        };
        let closed = stale.close(&self.set.here, proposals, &deliveries).await;
        deliveries.extend(closed);
        let merging = Merging { clone: self.clone, plan, proposals };
        let is_stuck = merging.merge(&mut deliveries).await;
        Ok((deliveries, kept, is_stuck))
    }

    /// What new words say of sources. Those of an earlier change are not carried along, also when they are
    /// there because a run was killed.
    async fn sections(
        &self,
        steps: &[Step],
        pushed: &Answers,
        proposals: &Proposals,
    ) -> BTreeMap<String, String> {
        // A run for a pushed image asks for that image alone; a later one says the rest.
        if self.outside.is_partial {
            return BTreeMap::new();
        }
        let is_told = |set: &ChangeSet| {
            let open = proposals.open(&set.branch).filter(|open| open.proposes(set));
            open.is_some_and(|open| !section_of(&open.body).is_empty())
        };
        let is_new = |(set, step): &(&ChangeSet, &Step)| {
            let is_there = !matches!(pushed.get(&branch_ref(&set.branch)), Some(Err(_)));
            !matches!(step, Step::Stop(..)) && is_there && !is_told(set)
        };
        let written = self.plan.change_sets.iter().zip(steps).filter(is_new).map(|(set, _)| set);
        let Outside { tags, github, .. } = *self.outside;
        let Self { set, timelines, plan, names, .. } = *self;
        Looking { set, timelines, tags, plan, github, names }.look(written, proposals).await
    }

    /// What is over. GitHub must not merge it; that it is closed, only a run of everything says.
    async fn stale(&self, proposals: &Proposals) -> Stale {
        let look = |branch: &str| self.clone.state(branch, self.author).ok();
        let stale = Stale::of(self.plan, proposals, self.set, look);
        stale.disarm(proposals).await;
        if self.is_whole { stale } else { Stale::default() }
    }

    /// The commit of the ledger, when there is something new in it.
    fn ledger(&self, memory: &Memory, alone: bool) -> Result<Option<Update>, String> {
        let Some(text) = memory.to_commit(alone) else { return Ok(None) };
        let update = self.clone.commit_ledger(LEDGER_FILE, &text, self.author, self.now);
        update.map(Some).map_err(|error| error.to_string())
    }

    /// Makes the commit of a change set, unless its branch holds it already or belongs to a person.
    ///
    /// Changes that are pushed directly follow one another on the base, whose `tip` moves along.
    fn step(&self, set: &ChangeSet, proposals: &Proposals, tip: &mut Oid) -> Step {
        let waits = set.timing.waits(self.now).filter(|_| set.via != Via::Worktree);
        if let Some(why) = waits {
            return Step::Stop(DeliveryOutcome::Waiting, why);
        }
        match set.via {
            Via::Push => {
                let step = self.commit(set, self.clone.branch(), *tip);
                if let Step::Push(update) = &step {
                    *tip = update.commit;
                }
                step
            }
            Via::PullRequest => {
                if set.branch == self.clone.branch() {
                    let message = format!(
                        "`{}` is the branch itself; pull requests need another",
                        set.branch
                    );
                    return Step::Stop(DeliveryOutcome::Failed, message);
                }
                let stopped = proposals.stop(set).map(|(outcome, why)| Step::Stop(outcome, why));
                let stop = stopped.or_else(|| self.stand(set, proposals));
                stop.unwrap_or_else(|| self.commit(set, &set.branch, self.clone.base()))
            }
            Via::Worktree => {
                let message = "`worktree` needs a work tree: --repo PATH with --deliver worktree";
                Step::Stop(DeliveryOutcome::Failed, message.to_owned())
            }
        }
    }

    /// Whether the branch is left as it is: it holds the change, or somebody else's.
    fn stand(&self, set: &ChangeSet, proposals: &Proposals) -> Option<Step> {
        // People want the branch written anew, whatever is on it.
        let open = proposals.open(&set.branch);
        let is_unwanted = open.is_some_and(PullRequest::is_to_be_rewritten);
        // It has to be made anew on what the base is now.
        let is_old = open.is_some_and(|open| self.is_old(set, open));
        match self.clone.state(&set.branch, self.author) {
            // Without an open pull request the branch is a left-over, perhaps merged long ago.
            Ok(BranchState::Ours { commit, change })
                if change == set.change && open.is_some() && !is_unwanted && !is_old =>
            {
                Some(Step::Stand(commit))
            }
            // One that was merged as it is has done its work.
            Ok(BranchState::Foreign { commit, .. })
                if open.is_none() && proposals.is_merged(&set.branch, &commit.to_string()) =>
            {
                None
            }
            Ok(BranchState::Foreign { author, .. }) if !is_unwanted => {
                let message =
                    format!("{author} committed to `{}`, so it is left alone", set.branch);
                Some(Step::Stop(DeliveryOutcome::Frozen, message))
            }
            Ok(_) => None,
            Err(error) => Some(Step::Stop(DeliveryOutcome::Failed, error.to_string())),
        }
    }

    /// Whether a branch has to be made anew on what the base is now. Those that are only behind wait for
    /// each other: a merge leaves the others behind again, and each is checked anew.
    fn is_old(&self, set: &ChangeSet, open: &PullRequest) -> bool {
        match open.mergeable {
            Mergeable::Conflict => true,
            // A queue puts what is in it onto the base, and what is rewritten falls out of it.
            Mergeable::Behind if open.queue != Queue::None => false,
            Mergeable::Behind => set.merge.by != AutoMerge::Off && !self.refreshed.replace(true),
            _ => false,
        }
    }

    fn commit(&self, set: &ChangeSet, branch: &str, parent: Oid) -> Step {
        let commits = || -> Result<Oid, GitError> {
            let mut tip = parent;
            for (message, files) in commits(self.clone, self.plan, set)? {
                let files = files.into_iter().map(Ok);
                tip = self.clone.commit(tip, files, &message, self.author, self.now)?;
            }
            Ok(tip)
        };
        match commits() {
            Ok(commit) => Step::Push(Update::new(branch_ref(branch), commit)),
            Err(error) => Step::Stop(DeliveryOutcome::Failed, error.to_string()),
        }
    }
}

/// Paths and new contents of the files of a change set.
pub fn new_files(
    clone: &Clone,
    plan: &Plan,
    set: &ChangeSet,
) -> impl Iterator<Item = Result<(String, String), GitError>> {
    set.files.iter().map(|(path, file)| {
        let text = String::from_utf8(clone.read(path)?).ok();
        let texts = text.and_then(|text| plan.texts(file, text));
        let (_, after) = texts.ok_or_else(|| changed(path))?;
        Ok((path.clone(), after))
    })
}

/// The commits of a change set: their messages, and the files that they change. Each holds what the ones
/// before it hold as well.
fn commits(
    clone: &Clone,
    plan: &Plan,
    set: &ChangeSet,
) -> Result<Vec<(String, Vec<File>)>, GitError> {
    let images = plan.images(set);
    if set.commits == Commits::ChangeSet || images.len() < 2 {
        let files: Result<Vec<File>, GitError> = new_files(clone, plan, set).collect();
        return Ok(vec![(set.message.clone(), files?)]);
    }
    let mut all = Vec::new();
    let mut done: BTreeSet<&String> = BTreeSet::new();
    let last = images.len() - 1;
    for (index, image) in images.into_iter().enumerate() {
        done.insert(image);
        let mut files = Vec::new();
        for (path, file) in &set.files {
            let is_done = |edit: &usize| done.contains(&plan.edits[*edit].image);
            let is_touched = file.edits.iter().any(|edit| plan.edits[*edit].image == *image);
            if !is_touched {
                continue;
            }
            let edits = file.edits.iter().filter(|edit| is_done(edit));
            let text = String::from_utf8(clone.read(path)?).unwrap_or_default();
            files.push((path.clone(), plan.partly(&text, edits).ok_or_else(|| changed(path))?));
        }
        let message = set.message_of(image, index == last);
        all.push((message, files));
    }
    Ok(all)
}

/// A path and its new content.
type File = (String, String);

fn changed(path: &str) -> GitError {
    let message = "it is not what the plan was made from".to_owned();
    GitError::Other { subject: path.to_owned(), message }
}

/// What is to be pushed.
fn updates(steps: &[Step]) -> Vec<Update> {
    // Of several commits on one branch, the last one brings the others along.
    let updates = steps.iter().filter_map(|step| match step {
        Step::Push(update) => Some((update.reference.clone(), update.clone())),
        Step::Stand(_) | Step::Stop(..) => None,
    });
    updates.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// What became of each reference.
pub(super) type Answers = BTreeMap<String, Result<(), String>>;

/// Whether the ledger arrived, when it was pushed.
fn judge(clone: &Clone, pushed: &Answers) -> Result<(), String> {
    pushed.get(clone.ledger_ref()).cloned().unwrap_or(Ok(()))
}

/// Pushes all references at once.
pub(super) async fn push(clone: &Clone, updates: Vec<Update>) -> Result<Answers, Raced> {
    if updates.is_empty() {
        return Ok(BTreeMap::new());
    }
    let pushed = tokio::time::timeout(GIT_TIMEOUT, clone.push(&updates)).await;
    let pushed = pushed.unwrap_or_else(|_elapsed| Err(GitError::Timeout("the push".to_owned())));
    let answers = match pushed {
        Ok(answers) => answers,
        Err(GitError::Moved(branch)) => return Err(Raced { branch }),
        Err(error) => {
            let why = error.to_string();
            return Ok(updates
                .into_iter()
                .map(|update| (update.reference, Err(why.clone())))
                .collect());
        }
    };
    if let Some((branch, _)) =
        answers.iter().find(|(_, result)| matches!(result, Err(error) if error.is_race()))
    {
        return Err(Raced { branch: branch.clone() });
    }
    let answers = answers
        .into_iter()
        .map(|(branch, result)| (branch, result.map_err(|error| error.to_string())));
    Ok(answers.collect())
}

/// A delivery of a change set that nothing is known of yet.
pub(super) fn delivery(set: &ChangeSet, outcome: DeliveryOutcome) -> Delivery {
    Delivery {
        environment: set.environment.clone(),
        home: set.home.clone(),
        via: set.via,
        branch: None,
        commit: None,
        pull_request: None,
        outcome,
        message: None,
    }
}
