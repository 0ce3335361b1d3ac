//! The command line and the environment, made into values. The only reader of the environment.

mod forge;
mod invalid;
mod turns;

use std::ffi::OsString;
use std::fmt;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use url::Url;

use crate::cli::{ColorChoice, DecideArgs, Format, RepoArgs, RunArgs};
use crate::diagnostic::Colour;
use crate::forge_kind::ForgeKind;
use crate::image::{Digest, Reference, Repository, Tag};
use crate::ledger::SealKeys;
use crate::policy::Via;
use crate::registry::Packages;
use crate::repo_id::RepoId;
use crate::secret::{Secret, Variables};
pub use forge::{App, ForgeSettings, Forges};
pub use invalid::InvalidSetting;
pub use turns::{Turn, Turns, TurnsFile};

/// What surrounds a run: everything that the environment says.
#[derive(Clone)]
pub struct Surroundings {
    /// Whether standard output takes colours.
    pub stdout: Colour,
    /// Whether standard error takes colours.
    pub stderr: Colour,
    /// Whether progress may be drawn on standard error.
    pub progress: bool,
    /// Whether nothing but errors is said on standard error.
    pub quiet: bool,
    /// The forges that are known; the first one is that of the repository, once it is known.
    pub forges: Forges,
    /// The login of whoever started the workflow.
    pub actor: Option<String>,
    /// The key that commits are signed with, or its name.
    pub signing_key: Option<Secret>,
    /// The keys that prove ledgers.
    pub ledger_keys: Option<SealKeys>,
    /// This program, for those who start it once more.
    pub program: Program,
    /// All variables, for identities.
    pub variables: Variables,
    /// The file of the job summary, in GitHub Actions.
    pub step_summary: Option<PathBuf>,
    /// The file of the step's outputs, in GitHub Actions.
    pub step_output: Option<PathBuf>,
    /// Whether this is GitHub Actions, which shows problems on their lines.
    pub is_actions: bool,
    /// `OWNER/NAME` of the repository of the workflow, or the path of the CI job's project.
    pub workflow_repository: Option<String>,
    /// The clock, read once.
    pub now: Timestamp,
    /// The moment at which it was read, by a clock that does not jump.
    pub started: Instant,
}

/// A config repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepoSpec {
    /// A work tree or a bare repository on this machine.
    Path(PathBuf),
    /// A remote repository; with its name when it is on a forge that is known.
    Remote {
        /// Where git finds it.
        url: Url,
        /// The repository, when it is on a forge that is known.
        id: Option<RepoId>,
    },
}

/// As people write it; addresses hold no passwords.
impl fmt::Display for RepoSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Remote { id: Some(id), .. } => write!(f, "{id}"),
            Self::Remote { url, .. } => write!(f, "{url}"),
        }
    }
}

/// What a command is about, after the environment was asked.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The repository.
    pub repo: RepoSpec,
    /// Its branch, when one is named.
    pub branch: Option<String>,
    /// Policies from elsewhere.
    pub policies: Option<PathBuf>,
    /// The reference of the ledger, where it is not the usual one.
    pub ledger: Option<String>,
    /// Whose certificates count for keyless signatures; the public Sigstore's without it.
    pub trust_root: Option<PathBuf>,
    /// The form of output.
    pub format: Format,
}

/// What is decided, and with what.
#[derive(Clone)]
pub struct DecideSettings {
    /// The repository.
    pub scope: Scope,
    /// Only these environments; all when empty.
    pub environments: Vec<String>,
    /// Only these policies; all when empty.
    pub images: Vec<String>,
    /// Tags from a file.
    pub catalog: Option<PathBuf>,
    /// Where to write what registries listed.
    pub save_catalog: Option<PathBuf>,
    /// Where what must be remembered is kept, instead of in the config repository.
    pub ledger: Option<PathBuf>,
    /// Seal or keys that prove the ledger.
    pub ledger_keys: Option<SealKeys>,
    /// The present time.
    pub now: Timestamp,
    /// What this machine's clock said, and when, unless the time was given.
    pub clock: Option<(Timestamp, Instant)>,
    /// The operator's file about registries.
    pub registries: Option<PathBuf>,
    /// Registries that the operator allows to be asked over plain HTTP.
    pub plain_http: Vec<String>,
    /// Registries whose credentials may go to another host, as `(registry, host)`.
    pub token_hosts: Vec<(String, String)>,
    /// Where answers of registries are kept.
    pub cache: Option<PathBuf>,
    /// Other repositories that environments may be in, as `OWNER/NAME` or `OWNER/*`.
    pub other_repositories: Vec<String>,
    /// The image that was just pushed.
    pub pushed: Option<Pushed>,
    /// True if a run prints its actions and writes nothing.
    pub dry_run: bool,
    /// Where identities for registries are found.
    pub variables: Variables,
    /// The tokens for the registries that belong to forges.
    pub packages: Vec<Packages>,
}

/// An image that was just pushed, as somebody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The image repository.
    pub repository: Repository,
    /// The tag.
    pub tag: Tag,
    /// The digest, where it is said.
    pub digest: Option<Digest>,
}

/// Where a command works when nothing is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultRepository {
    /// At the repository, which in GitHub Actions is the workflow's.
    Repository,
    /// In the directory it is started in, as a check of a pull request does.
    Directory,
}

/// A program, and what it is started with.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// A moment by two clocks: one that people read, and one that does not jump.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    then: Timestamp,
    at: Instant,
}

impl Moment {
    /// The time by now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.then.checked_add(self.at.elapsed()).unwrap_or(self.then)
    }
}

impl Surroundings {
    /// The machine's time at this moment, whatever time a run is for.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.moment().now()
    }

    /// The moment at which the clock was read.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { then: self.now, at: self.started }
    }

    /// Reads the environment and the clock.
    ///
    /// # Errors
    /// When a variable that names a URL does not.
    pub fn read(
        color: ColorChoice,
        quiet: bool,
        forge: Option<ForgeKind>,
    ) -> Result<Self, InvalidSetting> {
        let no_color = var("NO_COLOR").is_some();
        let on = |terminal: bool| match color {
            ColorChoice::Always => Colour::Yes,
            ColorChoice::Auto if terminal && !no_color => Colour::Yes,
            ColorChoice::Auto | ColorChoice::Never => Colour::No,
        };
        let on_terminal = std::io::stderr().is_terminal();
        Ok(Self {
            stdout: on(std::io::stdout().is_terminal()),
            stderr: on(on_terminal),
            progress: on_terminal && !quiet,
            quiet,
            actor: ["GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"]
                .into_iter()
                .find_map(var),
            forges: Forges::read(forge)?,
            signing_key: signing_key()?,
            ledger_keys: ledger_keys()?,
            program: Program::own(),
            variables: variables(),
            step_summary: var("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            step_output: var("GITHUB_OUTPUT").map(PathBuf::from),
            is_actions: var("GITHUB_ACTIONS").is_some(),
            workflow_repository: workflow_repository(),
            now: now(),
            started: Instant::now(),
        })
    }

    /// Finds out which repository is meant: the one that is named, else, for what happens at the
    /// repository, that of the workflow, else the directory.
    ///
    /// # Errors
    /// When `--repo` names nothing that can be a repository.
    pub fn scope(
        &self,
        args: &RepoArgs,
        place: DefaultRepository,
    ) -> Result<Scope, InvalidSetting> {
        let workflow =
            self.workflow_repository.clone().filter(|_| place == DefaultRepository::Repository);
        let written = args.repo.clone().or(workflow);
        Ok(Scope {
            repo: self.forges.repo(written.as_deref().unwrap_or("."))?,
            branch: args.branch.clone(),
            policies: args.policies.clone(),
            ledger: None,
            trust_root: args.trust_root.clone(),
            format: args.format,
        })
    }

    /// Completes the arguments of `run`.
    ///
    /// # Errors
    /// When an argument cannot be used.
    pub fn run(&self, args: &RunArgs) -> Result<DecideSettings, InvalidSetting> {
        let in_place = args.deliver == Some(Via::Worktree);
        let place =
            if in_place { DefaultRepository::Directory } else { DefaultRepository::Repository };
        let pushed = args.image_ref.as_deref().map(Pushed::read).transpose()?;
        let dry_run = args.dry_run;
        Ok(DecideSettings { pushed, dry_run, ..self.decide(&args.decide, place)? })
    }

    /// Completes the arguments of a command that decides.
    ///
    /// # Errors
    /// When an argument cannot be used.
    pub fn decide(
        &self,
        args: &DecideArgs,
        place: DefaultRepository,
    ) -> Result<DecideSettings, InvalidSetting> {
        let token_host = |text: &String| match text.split_once('=') {
            Some((registry, host)) if !registry.is_empty() && !host.is_empty() => {
                Ok((registry.to_owned(), host.to_owned()))
            }
            _ => Err(InvalidSetting::TokenHost(text.clone())),
        };
        Ok(DecideSettings {
            scope: self.scope(&args.repo, place)?,
            environments: args.environments.clone(),
            images: args.images.clone(),
            catalog: args.catalog.clone(),
            save_catalog: args.save_catalog.clone(),
            ledger: args.ledger.clone(),
            ledger_keys: self.ledger_keys.clone(),
            now: args.now.unwrap_or(self.now),
            clock: args.now.is_none().then_some((self.now, self.started)),
            registries: args.registries.clone(),
            plain_http: args.plain_http.clone(),
            cache: args.cache_dir.clone(),
            other_repositories: args.other_repositories.clone(),
            pushed: None,
            dry_run: false,
            variables: self.variables.clone(),
            packages: self.forges.packages(),
            token_hosts: args.token_host.iter().map(token_host).collect::<Result<_, _>>()?,
        })
    }
}

impl DecideSettings {
    /// Whether everything is looked at that the repository declares.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.environments.is_empty() && self.images.is_empty() && self.pushed.is_none()
    }

    /// True if nothing of the repository is left out, and its own policies decide: such a run alone can tell that a pull
    /// request is obsolete.
    #[must_use]
    pub fn is_of_all(&self) -> bool {
        self.is_whole() && self.scope.policies.is_none()
    }
}

impl DecideSettings {
    /// True if the operator lets environments be in a repository: by its name, or by a group that it is in.
    #[must_use]
    pub fn is_allowed(&self, repository: &str) -> bool {
        let repository = repository.to_lowercase();
        self.other_repositories.iter().any(|allowed| match allowed.to_lowercase() {
            group if group.ends_with("/*") => repository.starts_with(group.trim_end_matches('*')),
            allowed => allowed == repository,
        })
    }
}

impl Pushed {
    /// Reads `REPOSITORY:TAG`, with a digest behind it or not.
    fn read(text: &str) -> Result<Self, InvalidSetting> {
        let invalid = || InvalidSetting::ImageRef(text.to_owned());
        let reference = Reference::parse(text).ok_or_else(invalid)?;
        let (repository, digest) = (reference.repository, reference.digest);
        Ok(Self { repository, tag: reference.tag.ok_or_else(invalid)?, digest })
    }
}

/// The present time, for what goes on for longer than a run.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    let now = Timestamp::now();
    // Nobody waits for parts of a second, and everybody would read them.
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The repository that a workflow or a CI job is of, with the host that it is on: another forge can have one of its name.
fn workflow_repository() -> Option<String> {
    let (is_job, server, name) = if var("GITHUB_ACTIONS").is_some() {
        (true, var("GITHUB_SERVER_URL"), var("GITHUB_REPOSITORY"))
    } else {
        (var("GITLAB_CI").is_some(), var("CI_SERVER_URL"), var("CI_PROJECT_PATH"))
    };
    let name = name.filter(|_| is_job)?;
    let url = server.and_then(|server| Url::parse(&server).ok());
    let host = url.as_ref().and_then(|url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}", url.host_str()?))
    });
    Some(host.map_or_else(|| name.clone(), |host| format!("{host}/{name}")))
}

/// The key that commits are signed with, from a variable or a file.
fn signing_key() -> Result<Option<Secret>, InvalidSetting> {
    if let Some(key) = var("TAGALONG_SIGNING_KEY") {
        return Ok(Some(key.into()));
    }
    let Some(file) = var("TAGALONG_SIGNING_KEY_FILE") else { return Ok(None) };
    let key = std::fs::read_to_string(file);
    key.map(|key| Some(key.into())).map_err(|error| InvalidSetting::SigningKey(error.to_string()))
}

/// The keys that prove the ledger, from a variable or a file.
fn ledger_keys() -> Result<Option<SealKeys>, InvalidSetting> {
    let from_file = |file| {
        let read = std::fs::read_to_string(&file);
        read.map_err(|error| InvalidSetting::LedgerKeyFile(format!("{file}: {error}")))
    };
    let text = match (var("TAGALONG_LEDGER_KEY"), var("TAGALONG_LEDGER_KEY_FILE")) {
        (Some(text), _) => text,
        (None, Some(file)) => from_file(file)?,
        (None, None) => return Ok(None),
    };
    let keys = SealKeys::read(&text);
    keys.map(Some).map_err(|error| InvalidSetting::LedgerKey(error.to_string()))
}

fn url(name: &'static str, default: &str) -> Result<Url, InvalidSetting> {
    let value = var(name).unwrap_or_else(|| default.to_owned());
    let url = Url::parse(&value).map_err(|_error| InvalidSetting::Url(name))?;
    // It is shown in links and errors.
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_plain { Ok(url) } else { Err(InvalidSetting::UrlSecret(name)) }
}

impl Program {
    /// This program, as it was started; also when its file was replaced meanwhile.
    fn own() -> Self {
        let running = PathBuf::from("/proc/self/exe");
        let path = if running.exists() { Ok(running) } else { std::env::current_exe() };
        Self {
            path: path.unwrap_or_else(|_error| PathBuf::from("tagalong")),
            arguments: std::env::args_os().skip(1).collect(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variables() -> Variables {
    // What is not UTF-8 is no name, path or token that anybody of us reads.
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
