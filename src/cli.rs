//! The command line as it is typed. [`crate::settings`] makes sense of it.

mod help;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::forge_kind::ForgeKind;
use crate::policy::Via;

/// Keeps the image references of a GitOps config repository up to date, by pull request.
#[derive(Debug, Parser)]
#[command(name = "tagalong", version, max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// Log more: once for steps, twice for requests.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = LOGGING)]
    pub verbose: u8,
    /// When to colour output.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = LOGGING
    )]
    pub color: ColorChoice,
    /// Forge of a repository that is named without a host [default: that of the CI job, else of the token that is set, else GitHub].
    #[arg(
        long,
        global = true,
        value_name = "FORGE",
        env = "TAGALONG_FORGE",
        value_parser = forge_kinds(),
        help_heading = REPOSITORY
    )]
    pub forge: Option<ForgeKind>,
    /// Log errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = LOGGING)]
    pub quiet: bool,
    /// The form of log messages.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        env = "TAGALONG_LOG_FORMAT",
        help_heading = LOGGING
    )]
    pub log_format: LogFormat,
}

/// Headings of help.
const SCOPE: &str = "Scope";
const REPOSITORY: &str = "Repository";
const REGISTRIES: &str = "Registries";
const OUTPUT: &str = "Output";
const LOGGING: &str = "Logging";

/// The command line with all of its help.
#[must_use]
pub fn command() -> clap::Command {
    help::complete(Cli::command())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show which versions a run would choose, and every edit; write nothing.
    Plan(PlanArgs),
    /// Update images: open, update and merge pull requests, push, or write into the work tree.
    Run(RunArgs),
    /// Roll an environment back to the versions that it ran before.
    Rollback(RollbackArgs),
    /// Check policy files, and show every mistake with its line.
    Check(CheckArgs),
    /// Show why a tag is chosen and others are not, or what a code means.
    Explain(ExplainArgs),
    /// Show which version each environment runs, since when, and what the next one waits for.
    Status(StatusArgs),
    /// Write first policies and a workflow for the images that a repository deploys.
    Init(InitArgs),
    /// Convert Argo CD Image Updater, Renovate and Flux configuration into policies.
    Import(ImportArgs),
    /// Run as a daemon: process config repositories on a schedule and on webhooks.
    Serve(ServeArgs),
    /// Show the whole job with an embedded registry and a local git remote, offline.
    Demo,
    /// Print the JSON Schema of a file or an output.
    Schema {
        /// Which one.
        #[arg(default_value = "policies")]
        which: SchemaKind,
    },
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands.
    Man {
        /// Write a page for each command into a directory.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// The repository.
#[derive(Debug, Default, Args)]
pub struct RepoArgs {
    /// Config repository: a path, a URL, or OWNER/NAME. A directory is read as it is by `plan`, `check`,
    /// `explain` and `status`; `run` and `rollback` read and write its `origin` [default: the repository of
    /// the workflow, else `.`; for `check` always `.`].
    #[arg(long, value_name = "REPO", help_heading = REPOSITORY)]
    pub repo: Option<String>,
    /// Branch to read and to change [default: the repository's default branch].
    #[arg(long, help_heading = REPOSITORY)]
    pub branch: Option<String>,
    /// Policies, or rendered manifests with Flux's resources, from a file or `-` instead of the
    /// repository's own.
    #[arg(long, value_name = "FILE", help_heading = REPOSITORY)]
    pub policies: Option<PathBuf>,
    /// Sigstore's trust root (`trusted_root.json`) for keyless signatures [default: the public
    /// one, as it was when this program was built].
    #[arg(long, value_name = "FILE", env = "TAGALONG_TRUST_ROOT", help_heading = REGISTRIES)]
    pub trust_root: Option<PathBuf>,
    /// Output for people or for programs.
    #[arg(long, default_value = "text", help_heading = OUTPUT)]
    pub format: Format,
}

/// What `plan` and `run` share.
#[derive(Debug, Default, Args)]
pub struct DecideArgs {
    /// Which repository.
    #[command(flatten)]
    pub repo: RepoArgs,
    /// Only these environments; repeated, or with commas.
    #[arg(long = "env", value_name = "NAME", value_delimiter = ',', help_heading = SCOPE)]
    pub environments: Vec<String>,
    /// Only these policies; repeated, or with commas.
    #[arg(long = "image", value_name = "NAME", value_delimiter = ',', help_heading = SCOPE)]
    pub images: Vec<String>,
    /// Read tags from a file instead of registries: `ghcr.io/acme/shop: [v1.0.0, v1.1.0]`.
    #[arg(long, value_name = "FILE", help_heading = REGISTRIES)]
    pub catalog: Option<PathBuf>,
    /// Save the tags that registries list, for `--catalog`.
    #[arg(long, value_name = "FILE", help_heading = REGISTRIES)]
    pub save_catalog: Option<PathBuf>,
    /// Keep the ledger in a file instead of the config repository.
    #[arg(long, value_name = "FILE", env = "TAGALONG_LEDGER", help_heading = REPOSITORY)]
    pub ledger: Option<PathBuf>,
    /// Use this as the present time (RFC 3339).
    #[arg(long, value_name = "TIME", help_heading = "Advanced")]
    pub now: Option<Timestamp>,
    /// Configure registries: mirrors, authorities, proxies, credentials; see `tagalong schema registries`.
    #[arg(long, value_name = "FILE", env = "TAGALONG_REGISTRIES", help_heading = REGISTRIES)]
    pub registries: Option<PathBuf>,
    /// Let environments be in another repository, as OWNER/NAME or OWNER/*, or as HOST/OWNER/NAME on another forge;
    /// policies alone cannot lead the token there.
    #[arg(
        long = "other-repository",
        value_name = "NAME",
        env = "TAGALONG_OTHER_REPOSITORIES",
        help_heading = REPOSITORY,
        value_delimiter = ','
    )]
    pub other_repositories: Vec<String>,
    /// Cache answers of registries between runs.
    #[arg(long, value_name = "DIR", env = "TAGALONG_CACHE_DIR", help_heading = REGISTRIES)]
    pub cache_dir: Option<PathBuf>,
    /// Ask a registry over plain HTTP; loopback addresses need no mention.
    #[arg(
        long,
        value_name = "HOST",
        env = "TAGALONG_PLAIN_HTTP",
        value_delimiter = ',',
        help_heading = REGISTRIES
    )]
    pub plain_http: Vec<String>,
    /// Let a registry's credentials go to a token server on another host.
    #[arg(
        long,
        value_name = "REGISTRY=HOST",
        env = "TAGALONG_TOKEN_HOSTS",
        value_delimiter = ',',
        help_heading = REGISTRIES
    )]
    pub token_host: Vec<String>,
}

/// Arguments of `plan`.
#[derive(Debug, Default, Args)]
pub struct PlanArgs {
    /// What is decided.
    #[command(flatten)]
    pub decide: DecideArgs,
    /// Exit with 10 when changes are pending.
    #[arg(long)]
    pub detailed_exit_code: bool,
}

/// Arguments of `run`.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// What is decided.
    #[command(flatten)]
    pub decide: DecideArgs,
    /// An image that was just pushed, as REPOSITORY:TAG: only its policies are looked at, and the
    /// tag is a hint that one request to the registry confirms.
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["catalog", "images"])]
    pub image_ref: Option<String>,
    /// Deliver all changes this way, whatever the environments say.
    #[arg(long, value_name = "WAY", value_parser = ways(&[Via::PullRequest, Via::Push, Via::Worktree]))]
    pub deliver: Option<Via>,
    /// Print the changes of files as well.
    #[arg(long, help_heading = OUTPUT)]
    pub diff: bool,
    /// Print the actions that a run would take, in their order, and write nothing: no push, no pull request, no label,
    /// no ledger.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Default, Args)]
pub struct ExplainArgs {
    /// The policy's name, or its image repository.
    #[arg(required_unless_present = "code")]
    pub image: Option<String>,
    /// A tag: explain why it is or is not chosen.
    #[arg(requires = "image")]
    pub tag: Option<String>,
    /// Explain a code of a message or of a decision instead, as in `rustc --explain`.
    #[arg(long, value_name = "CODE", conflicts_with = "image")]
    pub code: Option<String>,
    /// What is decided.
    #[command(flatten)]
    pub decide: DecideArgs,
}

/// Arguments of `rollback`.
#[derive(Debug, Default, Args)]
pub struct RollbackArgs {
    /// What is taken back: one environment, all of its images without `--image`.
    #[command(flatten)]
    pub decide: DecideArgs,
    /// A tag that the environment held before [default: what it held last].
    #[arg(long, value_name = "TAG")]
    pub to: Option<String>,
    /// The reason, which stands in the pull request and in the commit.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The person who asks for it [default: who started the workflow].
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Deliver this way, whatever the environment says: `push` when there is no time for a pull request.
    #[arg(long, value_name = "WAY", value_parser = ways(&[Via::PullRequest, Via::Push]))]
    pub deliver: Option<Via>,
    /// Print the actions that it would take, and take none.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `status`.
#[derive(Debug, Default, Args)]
pub struct StatusArgs {
    /// What is shown.
    #[command(flatten)]
    pub decide: DecideArgs,
    /// Print Markdown.
    #[arg(long, conflicts_with = "format", help_heading = OUTPUT)]
    pub markdown: bool,
    /// Write a page to a file as well, which needs nothing else.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub html: Option<PathBuf>,
    /// Print times instead of ages.
    #[arg(long, help_heading = OUTPUT)]
    pub absolute: bool,
}

/// Arguments of `import`.
#[derive(Debug, Default, Args)]
pub struct ImportArgs {
    /// A directory, a URL or OWNER/NAME.
    #[arg(long, value_name = "REPO", default_value = ".")]
    pub repo: String,
    /// Write `policies/imported.yaml`; it is only shown otherwise.
    #[arg(long)]
    pub write: bool,
}

/// Arguments of `serve`.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Config repositories, intervals and webhooks; see `tagalong schema serve`. Read again when it changes.
    #[arg(long, value_name = "FILE", env = "TAGALONG_SERVE_CONFIG", conflicts_with_all = ["repo", "branch"])]
    pub config: Option<PathBuf>,
    /// Address to listen at, where no file says it [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    pub listen: Option<std::net::SocketAddr>,
    /// Do one run, as a daemon orders it on standard input.
    #[arg(long, hide = true)]
    pub run_ordered: bool,
    /// What holds for every repository.
    #[command(flatten)]
    pub decide: DecideArgs,
}

/// Arguments of `init`.
#[derive(Debug, Default, Args)]
pub struct InitArgs {
    /// A directory; or a URL or OWNER/NAME, of which the files are only shown.
    #[arg(long, value_name = "REPO", default_value = ".")]
    pub repo: String,
    /// Show the files; write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Write no workflow.
    #[arg(long)]
    pub no_workflow: bool,
}

/// Arguments of `check`.
#[derive(Debug, Default, Args)]
pub struct CheckArgs {
    /// Which repository.
    #[command(flatten)]
    pub repo: RepoArgs,
    /// Warnings are mistakes as well.
    #[arg(long)]
    pub strict: bool,
    /// Write a code quality report for GitLab CI/CD to a file as well, also where there is no mistake.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub code_quality: Option<PathBuf>,
}

/// The form of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs; `tagalong schema` has the form: `plan` (also of `run`), `explain`, `status`.
    Json,
}

/// The form of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object on each line: `timestamp`, `level`, `message`, and what it is about.
    Json,
}

/// When to colour output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The published schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    /// Policy files.
    Policies,
    /// `tagalong.yaml`.
    Settings,
    /// The operator's file about registries, for `--registries`.
    Registries,
    /// The daemon's settings, for `serve --config`.
    Serve,
    /// The output of `plan --format json` and `run --format json`.
    Plan,
    /// The output of `explain --format json`.
    Explain,
    /// The output of `status --format json`.
    Status,
}

/// Reads a way of delivery; help and completion list those that a command takes.
fn ways(taken: &[Via]) -> impl TypedValueParser<Value = Via> {
    let taken = Via::NAMES.into_iter().filter(|(_, way)| taken.contains(way));
    PossibleValuesParser::new(taken.map(|(name, _)| name)).map(|given| {
        let known = Via::NAMES.into_iter().find(|(name, _)| *name == given);
        known.map_or_else(Via::default, |(_, way)| way)
    })
}

/// Reads the name of a forge.
fn forge_kinds() -> impl TypedValueParser<Value = ForgeKind> {
    let names = ForgeKind::NAMES.into_iter().map(|(name, _)| name);
    PossibleValuesParser::new(names).map(|given| {
        let known = ForgeKind::NAMES.into_iter().find(|(name, _)| *name == given);
        known.map_or_else(ForgeKind::default, |(_, kind)| kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
