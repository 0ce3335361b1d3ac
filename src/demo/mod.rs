//! The whole job in one process: a registry on loopback, a config repository with a bare remote,
//! and the same stages that `plan` and `run` go through.

mod files;
mod registry;

use std::io::{self, Write as _};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::changeset::{BRANCH_PREFIX, ChangeSet, Plan};
use crate::cli::Format;
use crate::diagnostic::Colour;
use crate::git::{Author, Clone, GitError, LEDGER_REF, Remote, Update, branch_ref};
use crate::pipeline::{self, Failure, Planning, RollbackRequest};
use crate::policy::Home;
use crate::report;
use crate::secret::Variables;
use crate::settings::{DecideSettings, RepoSpec, Scope, Surroundings};
use registry::EmbeddedRegistry;

/// How long staging has to hold something.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Why the demo stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A port or a file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The repository.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The repository, while it is set up.
    #[error("{}", .0.message())]
    Setup(#[from] git2::Error),
    /// The plan.
    #[error("{0}")]
    Plan(#[from] Failure),
    /// Nothing was decided where something had to be.
    #[error("the demo did not find the update that it prepared")]
    NoUpdate,
}

/// A plan with the changes of its files.
fn shown(planning: &Planning, colour: Colour) -> String {
    let read = |home: &Home, path: &str| planning.text(home, path);
    report::plan(&planning.plan, &planning.order(), Some(&read), colour)
}

impl DemoError {
    /// Whether the reader of standard output went away, as `head` does.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Shows the job step by step on standard output.
///
/// # Errors
/// When a port, a directory or the repository cannot be used.
pub async fn run(around: &Surroundings) -> Result<(), DemoError> {
    let directory = tempfile::Builder::new().prefix("tagalong-demo-").tempdir()?;
    let remote = directory.path().join("fleet.git");
    let registry = EmbeddedRegistry::start().await?;
    let host = registry.address.to_string();
    for (repository, tag) in files::TAGS {
        registry.push(repository, tag);
    }
    // The story takes two days, and ends now.
    let begin = around.now.checked_sub(DAY * 2).unwrap_or(around.now);
    files::create(&remote, &host, begin)?;
    let demo = Demo { remote: &remote, around };
    let settings = settings(&remote, begin);

    say("1. A registry listens on loopback, and holds some tags:")?;
    for (repository, tag) in files::TAGS {
        show(&format!("   {host}/{repository}:{tag}\n"))?;
    }
    say("2. A config repository declares what may be deployed (policies/shop.yaml):")?;
    show(&indent(&files::policies(&host)))?;
    say(
        "3. `tagalong plan`: poll the registry, choose, rewrite. The files keep every other byte:",
    )?;
    let planning = demo.plan(&settings).await?;
    show(&indent(&shown(&planning, around.stdout)))?;

    say("4. `tagalong run`: one commit on one branch, and this pull request:")?;
    let set = demo.propose(&planning, begin, true).await?;
    say("5. Somebody merges it. The syncer in the cluster (Flux, Argo CD) does the rest.")?;
    merge(&remote, &set.0, set.1).await?;
    say("6. The next run has nothing to do in staging, and production waits for its day:")?;
    let planning = demo.plan(&settings).await?;
    show(&indent(&shown(&planning, Colour::No)))?;

    registry.push("acme/shop", "v1.5.0");
    say("7. A new tag v1.5.0 is pushed, and the run after that proposes it to staging:")?;
    let planning = demo.plan(&settings).await?;
    demo.propose(&planning, begin, false).await?;
    Box::pin(demo.promote(&remote)).await?;
    say(
        "That is all. Next: write a policy for your own repository (docs/policies.md), then `tagalong plan`.",
    )?;
    Ok(())
}

/// Where the story plays.
struct Demo<'a> {
    remote: &'a Path,
    around: &'a Surroundings,
}

impl Demo<'_> {
    /// What surrounds it: nothing of the environment.
    fn offline(&self) -> Surroundings {
        Surroundings {
            progress: false,
            signing_key: None,
            ledger_keys: None,
            program: self.around.program.clone(),
            actor: None,
            step_output: None,
            variables: Variables::default(),
            forges: self.around.forges.without_tokens(),
            step_summary: None,
            workflow_repository: None,
            ..*self.around
        }
    }

    async fn plan(&self, settings: &DecideSettings) -> Result<Planning, DemoError> {
        Ok(Box::pin(pipeline::plan(settings, &self.offline())).await?)
    }

    /// Publishes the first change, and shows what its pull request says.
    async fn propose(
        &self,
        planning: &Planning,
        now: Timestamp,
        is_whole: bool,
    ) -> Result<(ChangeSet, crate::git::Oid), DemoError> {
        let set = planning.plan.change_sets.first().ok_or(DemoError::NoUpdate)?;
        let commit = publish(self.remote, &planning.plan, set, now).await?;
        let (branch, title) = (&set.branch, &set.title);
        show(&indent(&if is_whole {
            format!("branch  {branch}\ncommit  {commit}\ntitle   {title}\n\n{}", set.body)
        } else {
            format!("{title}\nbranch  {branch} is now at {commit}\n")
        }))?;
        Ok((set.clone(), commit))
    }

    /// The second day: what staging held goes to production, and back.
    async fn promote(&self, remote: &Path) -> Result<(), DemoError> {
        let next = settings(remote, self.around.now.checked_sub(DAY).unwrap_or(self.around.now));
        let next = DecideSettings { environments: vec!["production".to_owned()], ..next };
        say(
            "8. A day later, what staging held has earned it, and comes to production by pull request:",
        )?;
        let planning = self.plan(&next).await?;
        let (set, commit) = self.propose(&planning, next.now, false).await?;
        merge(remote, &set, commit).await?;
        say("9. `tagalong status`: what runs where, since when, and what waits for what:")?;
        let today = settings(remote, self.around.now);
        let (status, _) = Box::pin(pipeline::status(&today, &self.offline())).await?;
        show(&indent(&status.text(true)))?;
        say("10. `tagalong rollback --env production --dry-run`: back to what it held before:")?;
        let back = DecideSettings { environments: next.environments, ..today };
        let back = DecideSettings { dry_run: true, ..back };
        let asked = RollbackRequest::default();
        let run = pipeline::rollback(&back, &asked, &self.offline()).await?;
        show(&indent(&shown(&run.planning, self.around.stdout)))?;
        Ok(())
    }
}

fn settings(remote: &Path, now: Timestamp) -> DecideSettings {
    DecideSettings {
        scope: Scope {
            repo: RepoSpec::Path(remote.to_owned()),
            branch: None,
            policies: None,
            ledger: None,
            trust_root: None,
            format: Format::Text,
        },
        environments: Vec::new(),
        images: Vec::new(),
        catalog: None,
        save_catalog: None,
        ledger: None,
        ledger_keys: None,
        now,
        clock: None,
        registries: None,
        plain_http: Vec::new(),
        token_hosts: Vec::new(),
        cache: None,
        other_repositories: Vec::new(),
        pushed: None,
        dry_run: false,
        variables: Variables::default(),
        packages: Vec::new(),
    }
}

/// Commits a change set and pushes its branch, as a run does.
async fn publish(
    remote: &Path,
    plan: &Plan,
    set: &ChangeSet,
    now: Timestamp,
) -> Result<crate::git::Oid, DemoError> {
    let clone =
        Clone::fetch(Remote::Path(remote.to_owned()), None, BRANCH_PREFIX, LEDGER_REF).await?;
    let files = pipeline::new_files(&clone, plan, set);
    let commit = clone.commit(clone.base(), files, &set.message, &Author::default(), now)?;
    pushed(clone.push(&[Update::new(branch_ref(&set.branch), commit)]).await?)?;
    Ok(commit)
}

/// Moves the main branch to the commit, as merging the pull request does.
async fn merge(remote: &Path, set: &ChangeSet, commit: crate::git::Oid) -> Result<(), DemoError> {
    let clone =
        Clone::fetch(Remote::Path(remote.to_owned()), None, &set.branch, LEDGER_REF).await?;
    pushed(clone.push(&[Update::new(branch_ref(clone.branch()), commit)]).await?)
}

fn pushed(answers: crate::git::PushResults) -> Result<(), DemoError> {
    answers.into_values().collect::<Result<(), GitError>>().map_err(DemoError::Git)
}

fn say(text: &str) -> io::Result<()> {
    show(&format!("\n{text}\n\n"))
}

fn show(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("   {line}\n") })
        .collect()
}
