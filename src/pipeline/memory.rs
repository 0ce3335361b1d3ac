//! The ledger's way: read before decisions are made, told what happened, and kept for the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::history::Timelines;
use super::seal::{Seal, unchecked, unproven};
use super::{Failure, Tags, Tree};
use crate::changeset::{ChangeSet, Plan, Planned, Proposed, ProposedMove};
use crate::choose::{Deployed, MAX_SIGHTS, Outcome};
use crate::diagnostic::{Code, Diagnostic};
use crate::image::{Repository, Tag};
use crate::ledger::{Delivered, InvalidLedger, Ledger, Refusal, SealVerdict};
use crate::policy::{Clock, DigestMode, Environment, EnvironmentId, Order, Policy, PolicySet};
use crate::promote;
use crate::reconcile::{Feedback, Held, Unsaved, is_reverted};
use crate::settings::DecideSettings;

/// So many sights of an image are kept for several branches together.
const SHARED: usize = 200;

/// More bytes than this are no ledger: that of a thousand images has less than one million.
const MAX_LEDGER: usize = 16 << 20;

/// The ledger's file, in the commit that its reference names.
pub(super) const LEDGER_FILE: &str = "ledger.json";

/// A ledger, and where it came from.
pub(super) struct Memory {
    pub(super) ledger: Ledger,
    /// As it was read: what is equal to it is not written again.
    before: Ledger,
    /// Whether something was seen from which an age is counted, so that it is worth a push of its
    /// own. Everything else can wait for one that is made anyway.
    is_urgent: bool,
    store: LedgerStore,
    /// True if the repository may have a ledger that a work tree has not fetched.
    is_unread: bool,
    /// Keys that prove the ledger, and the repository that it belongs to.
    seal: Seal,
    /// True if it is to be written because nothing proves what is there.
    is_unproven: bool,
}

/// The time of a run, and how much it covers.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) now: Timestamp,
    /// True if nothing was left out of the run.
    pub(super) is_whole: bool,
}

impl Extent {
    pub(super) fn of(settings: &DecideSettings) -> Self {
        Self { now: settings.now, is_whole: settings.is_of_all() }
    }
}

/// Where the ledger is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LedgerStore {
    /// Nowhere: there is no place for it, or what is there must not be overwritten.
    Nowhere,
    /// In the config repository.
    Reference,
    /// In a file.
    File(PathBuf),
}

impl Memory {
    /// Reads the ledger: from a file when one is named, else from the config repository. One that
    /// cannot be read is reported, and does without.
    ///
    /// # Errors
    /// When the file that was named cannot be read.
    pub(super) fn recall(
        tree: &Tree,
        set: &PolicySet,
        settings: &DecideSettings,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Self, Failure> {
        let file = settings.ledger.as_deref();
        let (bytes, mut store) = match (file, tree) {
            (Some(path), _) => (read(path)?, LedgerStore::File(path.to_owned())),
            (None, Tree::Git { clone, .. }) => match clone.ledger(LEDGER_FILE, MAX_LEDGER) {
                Ok(bytes) => (bytes, LedgerStore::Reference),
                Err(error) => {
                    // It is not written over either: what is in it may be wanted.
                    let message = format!("the ledger is neither used nor kept: {error}");
                    problems.push(Diagnostic::warning(Code::LedgerUnreadable, message));
                    (None, LedgerStore::Nowhere)
                }
            },
            (None, Tree::Work(_)) => (tree.ledger(LEDGER_FILE, MAX_LEDGER), LedgerStore::Nowhere),
        };
        let is_unread = bytes.is_none() && file.is_none() && matches!(tree, Tree::Work(_));
        let is_unread = is_unread && tree.name().is_some();
        let (seal, text) = (Seal::of(tree, set, settings), bytes);
        let ledger = match text.as_ref().map(|text| Ledger::parse(text)) {
            None => Ledger::default(),
            Some(Ok(ledger)) => ledger,
            Some(Err(error)) => {
                if matches!(error, InvalidLedger::Newer(_)) {
                    store = LedgerStore::Nowhere;
                }
                let message = format!("the ledger is not used: {error}");
                problems.push(Diagnostic::warning(Code::LedgerUnreadable, message));
                Ledger::default()
            }
        };
        let before = ledger.clone();
        // What is not there, or not to be read, a key proves as little as what somebody wrote. A work tree has none.
        let is_kept = !matches!((&store, tree), (LedgerStore::Nowhere, Tree::Work(_)));
        let verdict = seal.judge(text.as_deref().unwrap_or_default()).filter(|_| is_kept);
        let (ledger, is_unproven) = match verdict {
            Some(SealVerdict::Unproven) => {
                problems.push(unproven(text.is_some()));
                (ledger.doubted(), true)
            }
            // The old key may go when everything is sealed by the new one.
            Some(SealVerdict::ByAnOldKey) => (ledger, true),
            None if ledger.is_sealed() => {
                problems.push(unchecked());
                (ledger.unsealed(), false)
            }
            _ => (ledger, false),
        };
        Ok(Self { before, ledger, is_urgent: false, store, is_unread, seal, is_unproven })
    }

    /// A note that ages by which something is merged without a person are counted from a ledger that nothing proves.
    pub(super) fn unguarded(&self, set: &PolicySet) -> Option<Diagnostic> {
        (self.store == LedgerStore::Reference).then(|| self.seal.unguarded(set))?
    }

    /// Learns from pull requests what people said no to, and what they took back.
    pub(super) fn hear(&mut self, all: &[Feedback], now: Timestamp) {
        for one in all {
            match one {
                Feedback::Open(number) => self.ledger.reopen(*number),
                Feedback::Arrived { proposed, number } => {
                    for moved in &proposed.moves {
                        let (from, to) = (moved.from.clone(), moved.to.clone());
                        let delivered = Delivered { from, to, pull_request: Some(*number) };
                        let environment = proposed.environment_of(moved);
                        // A rollback says more exactly where its version came from.
                        let known = self.ledger.delivered(environment, &moved.image);
                        let is_finer = known.is_some_and(|known| {
                            known.to == moved.to && known.pull_request.is_none()
                        });
                        if !is_finer {
                            self.ledger.deliver(environment, &moved.image, delivered);
                        }
                    }
                }
                Feedback::Rejected { proposed, number, why, is_reverted } => {
                    for moved in &proposed.moves {
                        let (why, at) = (why.clone(), now);
                        let (pull_request, reverted) = (Some(*number), *is_reverted);
                        let refusal = Refusal { why, pull_request, reverted, at };
                        let environment = proposed.environment_of(moved);
                        self.ledger.refuse(environment, &moved.image, moved.refused(), refusal);
                    }
                }
            }
        }
    }

    /// Learns from files that what was pushed or merged is not there any more.
    pub(super) fn notice_reverts(&mut self, set: &PolicySet, held: &Held, now: Timestamp) {
        for ((environment, policy), held) in held {
            let (environment, policy) = (&set.environments[*environment], &set.policies[*policy]);
            let Some(delivered) = self.ledger.delivered(&environment.name, &policy.name) else {
                continue;
            };
            let moved = ProposedMove {
                environment: None,
                image: policy.name.clone(),
                from: delivered.from.clone(),
                to: delivered.to.clone(),
            };
            if is_reverted(policy, &moved, held) {
                let number = delivered.pull_request;
                let what = number.map_or_else(|| "it".to_owned(), |number| format!("#{number}"));
                let refusal = Refusal {
                    why: format!("{what} was reverted"),
                    pull_request: number,
                    reverted: true,
                    at: now,
                };
                self.ledger.refuse(&environment.name, &policy.name, moved.refused(), refusal);
            }
        }
    }

    /// Remembers what this run saw, and forgets what nothing needs any more.
    pub(super) fn learn(
        &mut self,
        set: &PolicySet,
        plan: &Plan,
        tags: &Tags,
        timelines: &Timelines,
        extent: Extent,
    ) {
        let Extent { now, is_whole } = extent;
        self.hold(set, timelines, extent);
        let mut by_repository: BTreeMap<&Repository, Vec<&Policy>> = BTreeMap::new();
        for policy in &set.policies {
            by_repository.entry(&policy.repository).or_default().push(policy);
        }
        for (repository, policies) in &by_repository {
            let decisions: Vec<&Planned> = plan
                .decisions
                .iter()
                .filter(|planned| planned.repository == **repository)
                .collect();
            for policy in policies {
                let decisions = decisions.iter().filter(|planned| planned.image == policy.name);
                let weighed: Vec<&Tag> = decisions.flat_map(|planned| weighed(planned)).collect();
                if !weighed.is_empty() {
                    self.see(policy, &weighed, tags, now);
                }
            }
            // What a narrower run does not look at may be needed by the next one.
            let is_decided = |planned: &&Planned| planned.decision.outcome != Outcome::Undecided;
            if is_whole && !decisions.is_empty() && decisions.iter().all(is_decided) {
                self.forget(repository, policies, &decisions, is_shared(set, repository));
            }
        }
        if is_whole {
            // What is put there again later begins anew.
            self.ledger.forget_deliveries(|environment, policy| {
                let mut planned = plan.decisions.iter();
                let mut beyond = set.environments.iter().filter(|e| e.home != set.here);
                planned.any(|p| p.environment == environment && p.image == policy)
                    || beyond.any(|e| e.name == environment)
            });
            self.ledger.forget_repositories(|name| {
                by_repository.keys().any(|repository| repository.to_string() == name)
            });
        }
    }

    /// Remembers when versions were first seen in environments that others come from.
    fn hold(&mut self, set: &PolicySet, timelines: &Timelines, extent: Extent) {
        let Extent { now, is_whole } = extent;
        let sources: BTreeSet<EnvironmentId> = set
            .environments
            .iter()
            .filter_map(|environment| environment.stage.promotion.as_ref())
            .filter(|promotion| !promotion.soak.is_zero())
            .flat_map(|promotion| promotion.sources.iter().copied())
            .collect();
        for source in sources {
            let Some(Ok(timeline)) = timelines.get(&source) else { continue };
            let environment = &set.environments[source];
            for policy in &environment.policies {
                let mut versions = BTreeMap::new();
                for (index, state) in timeline.states.iter().enumerate() {
                    if let promote::Held::One(held) = state.held(*policy) {
                        let since = timeline.stretch(index, *policy).since;
                        versions.entry(held.to_string()).or_insert(since);
                    }
                }
                let name = &set.policies[*policy].name;
                let newest = timeline.head().and_then(|state| match state.held(*policy) {
                    promote::Held::One(held) => Some(held.to_string()),
                    _ => None,
                });
                if !versions.is_empty() {
                    let newest = newest.as_deref();
                    let is_new = self.ledger.hold(&environment.name, name, newest, &versions, now);
                    self.is_urgent |= is_new;
                }
                // A narrower run may not look as far back.
                if is_whole {
                    self.ledger.forget_held(&environment.name, name, &versions);
                }
            }
        }
    }

    fn see(&mut self, policy: &Policy, weighed: &[&Tag], tags: &Tags, now: Timestamp) {
        let repository = &policy.repository;
        let Ok(listing) = tags.catalog().listing(repository) else { return };
        let before = self.ledger.listed(repository);
        let is_believed = before.is_none_or(|before| listing.tags.len() * 2 >= before);
        let is_whole = !listing.tags.is_empty() && !listing.is_partial;
        if is_whole && (is_believed || policy.allow.shrunken) {
            self.ledger.list(repository, listing.tags.len());
        }
        if tags.skewed().contains_key(repository) {
            return;
        }
        if policy.checks.need_digest() || policy.digest == DigestMode::Pin {
            for tag in weighed {
                let Some(digest) = tags.digest(repository, tag) else { continue };
                let is_new = self.ledger.see(repository, tag, Some(digest), now);
                self.is_urgent |= is_new && policy.checks.min_age.is_some();
            }
        }
        let is_timed = *policy.rule.order() == Order::Newest(Clock::Pushed);
        // Also what `match` leaves out: a wider one must not make an old tag new.
        let untimed = listing.tags.iter().filter(|(_, listed)| listed.pushed.is_none());
        if is_timed && !listing.is_partial && untimed.clone().count() <= MAX_SIGHTS {
            for (tag, _) in untimed {
                self.is_urgent |= self.ledger.see(repository, tag, None, now);
            }
        }
    }

    /// What nothing needs: sights of tags that are neither deployed nor asked about any more, and
    /// refusals of what has been overtaken.
    fn forget(
        &mut self,
        repository: &Repository,
        policies: &[&Policy],
        decisions: &[&Planned],
        is_shared: bool,
    ) {
        let weighed: BTreeSet<&str> =
            decisions.iter().flat_map(|planned| weighed(planned)).map(Tag::as_str).collect();
        let newest = Order::Newest(Clock::Pushed);
        let is_timed = policies.iter().any(|policy| *policy.rule.order() == newest);
        // A tag that vanishes and comes back is not new, so sights that order tags stay.
        if is_timed {
            self.ledger.forget_oldest(repository, 2 * MAX_SIGHTS);
        } else if is_shared {
            // What other places look at is not known here; the newest are what they can still need.
            self.ledger.forget_oldest(repository, SHARED);
        } else {
            self.ledger.forget(repository, |tag| weighed.contains(tag));
        }
        for planned in decisions {
            let Some(policy) = policies.iter().find(|policy| policy.name == planned.image) else {
                continue;
            };
            // What runs is wanted again, whoever said no to it.
            let deployed = planned.deployed.to_string();
            let tag = planned.deployed.tag.as_ref().map(ToString::to_string).unwrap_or_default();
            self.ledger.forgive(&planned.environment, &policy.name, |what| {
                what != deployed && what != tag
            });
        }
    }

    /// Remembers what is about to be taken back, as if it had just been brought: when it is gone, it was
    /// reverted.
    /// What a push takes back is gone at once.
    pub(super) fn taken_back(&mut self, plan: &Plan, is_pushed: bool, now: Timestamp) {
        for planned in &plan.decisions {
            let (tag, digest) = (planned.decision.to.clone(), planned.decision.to_digest.clone());
            let from = Deployed { tag, digest, ..Deployed::default() }.to_string();
            let to = planned.deployed.to_string();
            self.is_urgent = true;
            if is_pushed {
                let moved =
                    ProposedMove { environment: None, image: planned.image.clone(), from, to };
                let why = "it was rolled back".to_owned();
                let refusal = Refusal { why, pull_request: None, reverted: true, at: now };
                self.ledger.refuse(&planned.environment, &planned.image, moved.refused(), refusal);
                continue;
            }
            let delivered = Delivered { from, to, pull_request: None };
            self.ledger.deliver(&planned.environment, &planned.image, delivered);
        }
    }

    /// Remembers what a direct push brought.
    pub(super) fn delivered(&mut self, set: &ChangeSet, now: Timestamp) {
        let moves = Proposed::read(&set.body).map(|proposed| proposed.moves);
        for moved in moves.into_iter().flatten() {
            self.is_urgent = true;
            self.ledger.came(&set.environment, &moved.image, &moved.to, now);
            let delivered = Delivered { from: moved.from, to: moved.to, pull_request: None };
            self.ledger.deliver(&set.environment, &moved.image, delivered);
        }
    }

    /// Remembers the commits that GitHub made for branches, and forgets those of branches that are gone.
    pub(super) fn made(
        &mut self,
        made: &BTreeMap<String, String>,
        is_there: impl Fn(&str) -> bool,
    ) {
        self.ledger.forget_branches(is_there);
        for (branch, commit) in made {
            self.is_urgent = true;
            self.ledger.make(branch, commit);
        }
    }

    /// Whether nothing of this run is kept for the next one.
    pub(super) fn is_lost(&self) -> bool {
        self.store == LedgerStore::Nowhere
    }

    /// The part of the ledger that is not saved yet.
    pub(super) fn unsaved(&self) -> Unsaved {
        let is_urgent = self.is_urgent || self.is_unproven;
        match (self.is_new(), is_urgent, &self.store) {
            (false, ..) | (_, _, LedgerStore::Nowhere) => Unsaved::Nothing,
            (true, false, LedgerStore::Reference) => Unsaved::Deferrable,
            // A file costs no push.
            (true, true, LedgerStore::Reference) | (true, _, LedgerStore::File(_)) => {
                Unsaved::Urgent
            }
        }
    }

    /// The text to commit, when there is something new and it is kept in git.
    pub(super) fn to_commit(&self) -> Option<String> {
        let is_new = self.is_new() && self.store == LedgerStore::Reference;
        is_new.then(|| self.seal.text(&self.ledger))
    }

    /// True if what is kept is not what is known.
    fn is_new(&self) -> bool {
        self.ledger != self.before || self.is_unproven
    }

    /// A note about a ledger that was not read, where the plan updates something.
    pub(super) fn unread(&self, plan: &Plan) -> Option<Diagnostic> {
        let updates = plan.decisions.iter().any(|p| p.decision.outcome == Outcome::Update);
        (self.is_unread && updates).then(|| {
            let message = "if the repository has a ledger, this work tree has not fetched it: versions that people rejected or \
                           rolled back are shown as updates";
            let help = "name the repository with --repo, or `git fetch origin +refs/tagalong/ledger:refs/tagalong/ledger`";
            Diagnostic::info(Code::LedgerNotRead, message).help(help)
        })
    }

    /// Nothing is left to write.
    pub(super) fn kept(&mut self) {
        self.before = self.ledger.clone();
        self.is_unproven = false;
    }

    /// Writes the file, when there is something new and it is kept in one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&mut self) -> Result<(), String> {
        let LedgerStore::File(path) = &self.store else { return Ok(()) };
        if !self.is_new() {
            return Ok(());
        }
        let failed = |error: std::io::Error| format!("--ledger {}: {error}", path.display());
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut file =
            tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).map_err(failed)?;
        file.write_all(self.seal.text(&self.ledger).as_bytes()).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        self.kept();
        Ok(())
    }
}

/// Whether environments on other branches ask a registry for an image, too, and keep what they saw in the same
/// ledger.
fn is_shared(set: &PolicySet, repository: &Repository) -> bool {
    let beside = |e: &&Environment| e.home != set.here && e.home.repository == set.here.repository;
    let beyond = set.environments.iter().filter(beside);
    let listed = beyond.filter(|e| e.stage.promotion.is_none());
    listed.flat_map(|e| set.policies_of(e)).any(|policy| policy.repository == *repository)
}

/// The tags that a decision looked at.
fn weighed(planned: &Planned) -> impl Iterator<Item = &Tag> {
    let passed_over = planned.decision.passed_over.iter().map(|(tag, _)| tag);
    passed_over.chain(&planned.decision.to).chain(&planned.deployed.tag)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |why: String| Failure::Argument(format!("--ledger {}: {why}", path.display()));
    match std::fs::metadata(path) {
        Ok(found) if found.len() > MAX_LEDGER as u64 => {
            return Err(failed(format!("{} bytes are more than {MAX_LEDGER}", found.len())));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    std::fs::read(path).map(Some).map_err(|error| failed(error.to_string()))
}
