//! Each command: settings in, stages run, report out.

mod reference;
mod starter;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{
    CheckArgs, Cli, Command, ExplainArgs, Format, LogFormat, PlanArgs, RollbackArgs, RunArgs,
    ServeArgs, StatusArgs,
};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::image::Tag;
use crate::pipeline::{self, Exit, Failure, Invalid, Planning, RollbackRequest, Run};
use crate::policy::{self, Home, PolicySet, Service};
use crate::report::{self, Delivery, ExplainReport, ExplainedRow, Report};
use crate::secret::{Redacting, redacted};
use crate::serve::{self, StartError};
use crate::settings::{DecideSettings, DefaultRepository, InvalidSetting, Surroundings};
use crate::traces::Traces;

/// Runs a command to its exit code.
#[must_use]
pub fn main(cli: Cli) -> ExitCode {
    no_core_dumps();
    // Another core has nothing to do yet.
    std::thread::spawn(policy::prepare);
    let around = match Surroundings::read(cli.color, cli.quiet, cli.forge) {
        Ok(around) => around,
        Err(error) => return code(refuse(&error)),
    };
    let traces = Traces::begin(&around.variables);
    log(&cli, &traces);
    traces.tell();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return code(fail(&error.to_string())),
    };
    let exit = runtime.block_on(dispatch(cli.command, &around));
    // A git operation that hangs in a thread of its own does not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    traces.end();
    code(exit)
}

/// A core dump would hold every token. Where the limit cannot be set, there is nothing to be done.
fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
}

async fn dispatch(command: Command, around: &Surroundings) -> Exit {
    match command {
        Command::Plan(args) => Box::pin(plan(&args, around)).await,
        Command::Run(args) => Box::pin(run(&args, around)).await,
        Command::Rollback(args) => rollback(&args, around).await,
        Command::Check(args) => check(&args, around).await,
        Command::Explain(args) => Box::pin(explain(&args, around)).await,
        Command::Status(args) => Box::pin(status(&args, around)).await,
        Command::Init(args) => starter::init(&args, around).await,
        Command::Import(args) => starter::import(&args, around).await,
        Command::Serve(args) => serve(args, around).await,
        Command::Demo => match Box::pin(crate::demo::run(around)).await {
            Ok(()) => Exit::Done,
            Err(error) if error.is_closed_pipe() => Exit::Done,
            Err(error) => fail(&error.to_string()),
        },
        Command::Schema { which } => reference::schema(which),
        Command::Completions { shell } => reference::completions(shell),
        Command::Man { dir } => reference::man(dir.as_deref()),
    }
}

async fn plan(args: &PlanArgs, around: &Surroundings) -> Exit {
    let place = DefaultRepository::Repository;
    let settings = match around.decide(&args.decide, place) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    let planning = match pipeline::plan(&settings, around).await {
        Ok(planning) => planning,
        Err(failure) => return failed(failure, settings.scope.format, around),
    };
    let shown = Shown { planning: &planning, deliveries: None, diff: true };
    let shown = show(&shown, settings.scope.format, around);
    let pending = args.detailed_exit_code && !planning.plan.change_sets.is_empty();
    match planning.exit() {
        _ if shown == Exit::Failed => Exit::Failed,
        Exit::Done if pending => Exit::Pending,
        exit => exit,
    }
}

async fn run(args: &RunArgs, around: &Surroundings) -> Exit {
    let settings = match around.run(args) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    match pipeline::run(&settings, args.deliver, around).await {
        Ok(run) => finished(&run, args.dry_run, args.diff, settings.scope.format, around),
        Err(failure) => failed(failure, settings.scope.format, around),
    }
}

async fn rollback(args: &RollbackArgs, around: &Surroundings) -> Exit {
    let settings = match around.decide(&args.decide, DefaultRepository::Repository) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    let format = settings.scope.format;
    let to = match tag("--to ", args.to.as_deref()) {
        Ok(to) => to,
        Err(failure) => return failed(failure, format, around),
    };
    let asked = RollbackRequest {
        to,
        via: args.deliver,
        reason: args.reason.clone(),
        by: args.by.clone().or_else(|| around.actor.clone()),
    };
    let settings = DecideSettings { dry_run: args.dry_run, ..settings };
    match pipeline::rollback(&settings, &asked, around).await {
        Ok(run) => finished(&run, args.dry_run, true, format, around),
        Err(failure) => failed(failure, format, around),
    }
}

/// Prints a run or a dry run, and ends as it did.
fn finished(run: &Run, dry: bool, diff: bool, format: Format, around: &Surroundings) -> Exit {
    let shown = if dry {
        show_actions(run, diff, format, around)
    } else {
        let (planning, deliveries) = (&run.planning, Some(&*run.deliveries));
        show(&Shown { planning, deliveries, diff }, format, around)
    };
    if shown == Exit::Failed { shown } else { run.exit() }
}

/// A tag that an option names.
fn tag(option: &str, text: Option<&str>) -> Result<Option<Tag>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let invalid = || Failure::Argument(format!("{option}{}: not a tag", text.escape_debug()));
    Tag::parse(text).map(Some).ok_or_else(invalid)
}

async fn check(args: &CheckArgs, around: &Surroundings) -> Exit {
    let scope = match around.scope(&args.repo, DefaultRepository::Directory) {
        Ok(scope) => scope,
        Err(error) => return refuse(&error),
    };
    let file = args.code_quality.as_deref();
    let loaded = match pipeline::check(&scope, around).await {
        Ok(loaded) => loaded,
        Err(failure) => {
            if let Failure::Invalid(invalid) = &failure
                && let Err(error) = reference::code_quality(file, &invalid.diagnostics)
            {
                return fail(&error);
            }
            return failed(failure, scope.format, around);
        }
    };
    if let Err(error) = reference::code_quality(file, &loaded.diagnostics) {
        return fail(&error);
    }
    let is_warning = |problem: &&Diagnostic| problem.severity == Severity::Warning;
    let warnings = loaded.diagnostics.iter().filter(is_warning).count();
    let printed = match scope.format {
        Format::Json => {
            let report = report::diagnostics_only(&loaded.diagnostics).to_json();
            print(format!("{report}\n").as_bytes())
        }
        Format::Text => {
            let source = |path: &str| loaded.sources.get(path).map(String::as_str);
            tell(&loaded.diagnostics, source, around);
            annotate(&loaded.diagnostics, around);
            print(verdict(&loaded.set, warnings, args.strict).as_bytes())
        }
    };
    match printed {
        Exit::Done if args.strict && warnings > 0 => Exit::Invalid,
        printed => printed,
    }
}

/// The last line: counts of what was checked, and the verdict.
fn verdict(set: &PolicySet, warnings: usize, is_strict: bool) -> String {
    let count = |number: usize, noun: &str, plural: &str| match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {plural}"),
    };
    let policies = count(set.policies.len(), "policy", "policies");
    let environments = count(set.environments.len(), "environment", "environments");
    let verdict = match warnings {
        0 => "no mistakes".to_owned(),
        number if is_strict => {
            format!("{}, which `--strict` counts as mistakes", count(number, "warning", "warnings"))
        }
        number => format!("no mistakes, {}", count(number, "warning", "warnings")),
    };
    format!("{policies}, {environments}: {verdict}\n")
}

async fn status(args: &StatusArgs, around: &Surroundings) -> Exit {
    let settings = match around.decide(&args.decide, DefaultRepository::Repository) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    let (status, planning) = match pipeline::status(&settings, around).await {
        Ok(found) => found,
        Err(failure) => return failed(failure, settings.scope.format, around),
    };
    let shown = match settings.scope.format {
        Format::Json => status.to_json() + "\n",
        Format::Text if args.markdown => status.markdown(),
        Format::Text => {
            let source = |path: &str| planning.sources.get(path).map(String::as_str);
            tell(&planning.plan.diagnostics, source, around);
            status.text(args.absolute)
        }
    };
    if let Some(path) = &args.html
        && let Err(error) =
            File::create(path).and_then(|mut page| page.write_all(status.html().as_bytes()))
    {
        return fail(&format!("--html {}: {error}", path.display()));
    }
    append(around.step_summary.as_ref(), &status.markdown());
    match print(shown.as_bytes()) {
        Exit::Failed => Exit::Failed,
        _ => planning.exit(),
    }
}

async fn serve(args: ServeArgs, around: &Surroundings) -> Exit {
    let repo = args.decide.repo.repo.clone().or_else(|| around.workflow_repository.clone());
    let mut alone =
        Service::of(repo.unwrap_or_else(|| ".".to_owned()), args.decide.repo.branch.clone());
    alone.listen = args.listen.unwrap_or(alone.listen);
    // What is wrong with the arguments is said before anything listens.
    if let Err(error) = around.decide(&args.decide, DefaultRepository::Repository) {
        return refuse(&error);
    }
    let served = if args.run_ordered {
        Box::pin(serve::run_ordered(args.decide, around.clone())).await
    } else {
        let start = serve::Start { config: args.config, alone, args: args.decide };
        Box::pin(serve::serve(start, around.clone())).await
    };
    match served {
        Ok(()) => Exit::Done,
        Err(StartError::Invalid(diagnostics, file)) => {
            let sources = [(file.path.clone(), file.text.clone())].into();
            let invalid = Invalid { diagnostics, sources };
            failed(Failure::Invalid(Box::new(invalid)), Format::Text, around)
        }
        Err(StartError::Other(why)) => {
            fail(&why);
            Exit::Invalid
        }
        Err(StartError::Failed(why)) => fail(&why),
    }
}

async fn explain(args: &ExplainArgs, around: &Surroundings) -> Exit {
    if let Some(code) = &args.code {
        return reference::code(code, around);
    }
    let settings = match around.decide(&args.decide, DefaultRepository::Repository) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    let tag = match tag("", args.tag.as_deref()) {
        Ok(tag) => tag,
        Err(failure) => return failed(failure, settings.scope.format, around),
    };
    let (explained, planning) = match Box::pin(pipeline::explain(
        &settings,
        args.image.as_deref().unwrap_or_default(),
        tag.as_ref(),
        around,
    ))
    .await
    {
        Ok(explained) => explained,
        Err(failure) => return failed(failure, settings.scope.format, around),
    };
    let source = |path: &str| planning.sources.get(path).map(String::as_str);
    let rows = explained.iter().map(|one| ExplainedRow {
        image: &one.image,
        repository: &one.repository,
        deployed: one.deployed.as_ref(),
        environments: &one.environments,
        explanation: &one.explanation,
        left: &one.left,
    });
    let report = ExplainReport::new(rows, &planning.plan);
    let printed = match settings.scope.format {
        Format::Json => print(format!("{}\n", report.to_json()).as_bytes()),
        Format::Text => {
            tell(&planning.plan.diagnostics, source, around);
            let decisions = report::decisions(&planning.plan, &planning.order(), around.stdout);
            print(format!("{}{decisions}", report.to_text()).as_bytes())
        }
    };
    if printed == Exit::Failed { printed } else { planning.exit() }
}

/// A plan that is printed, and what became of it.
struct Shown<'a> {
    planning: &'a Planning,
    deliveries: Option<&'a [Delivery]>,
    /// True if the changes of files are printed.
    diff: bool,
}

/// Prints a plan and what became of it; problems go to standard error.
fn show(shown: &Shown<'_>, format: Format, around: &Surroundings) -> Exit {
    let (planning, deliveries) = (shown.planning, shown.deliveries);
    let plan = &planning.plan;
    let printed = match format {
        Format::Json => print(
            format!("{}\n", Report::new(plan, &planning.usage, deliveries).to_json()).as_bytes(),
        ),
        Format::Text => {
            let text = plan_text(planning, shown.diff, around);
            let deliveries = deliveries.unwrap_or_default();
            let told = report::deliveries(deliveries, around.stdout);
            print(format!("{text}{told}{}", report::needs_person(plan, deliveries)).as_bytes())
        }
    };
    let summary = report::job_summary(plan, &planning.usage, deliveries.unwrap_or_default());
    append(around.step_summary.as_ref(), &summary);
    if let Some(outputs) = deliveries.and_then(report::outputs) {
        append(around.step_output.as_ref(), &outputs);
    }
    printed
}

/// The decisions, the changes of files where they are wanted, and the counts; problems go to standard error.
fn plan_text(planning: &Planning, diff: bool, around: &Surroundings) -> String {
    let plan = &planning.plan;
    let source = |path: &str| planning.sources.get(path).map(String::as_str);
    tell(&plan.diagnostics, source, around);
    let read = |home: &Home, path: &str| planning.text(home, path);
    let read: Option<&report::Read<'_>> = if diff { Some(&read) } else { None };
    report::plan(plan, &planning.order(), read, around.stdout)
}

/// Prints a plan and the actions that a run would take.
fn show_actions(run: &Run, diff: bool, format: Format, around: &Surroundings) -> Exit {
    let (planning, plan) = (&run.planning, &run.planning.plan);
    match format {
        Format::Json => {
            let report = Report::new(plan, &planning.usage, None).with_actions(&run.planned);
            print(format!("{}\n", report.to_json()).as_bytes())
        }
        Format::Text => {
            let text = plan_text(planning, diff, around);
            print(format!("{text}\n{}", report::dry_run(&run.planned, around.stdout)).as_bytes())
        }
    }
}

/// Adds to a file of the job, where there is one.
fn append(path: Option<&PathBuf>, text: &str) {
    let Some(path) = path else { return };
    let appended = OpenOptions::new().append(true).create(true).open(path);
    if let Err(error) = appended.and_then(|mut file| file.write_all(redacted(text).as_bytes())) {
        complain(&format!("{} cannot be written: {error}\n", path.display()));
    }
}

fn failed(failure: Failure, format: Format, around: &Surroundings) -> Exit {
    let (exit, Invalid { diagnostics, sources }) = match failure {
        Failure::Invalid(invalid) => (Exit::Invalid, *invalid),
        Failure::Argument(message) => (Exit::Invalid, told(Code::ArgumentInvalid, message)),
        Failure::Origin(message) => (Exit::Invalid, told(Code::RepositoryOrigin, message)),
        Failure::Failed(message) => (Exit::Failed, told(Code::Failed, message)),
    };
    match format {
        Format::Json => {
            let report = report::diagnostics_only(&diagnostics).to_json();
            print(format!("{report}\n").as_bytes());
        }
        Format::Text => {
            let source = |path: &str| sources.get(path).map(String::as_str);
            tell(&diagnostics, source, around);
            annotate(&diagnostics, around);
            let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
            if exit == Exit::Invalid {
                complain(&format!(
                    "{errors} problem{} to solve\n",
                    if errors == 1 { "" } else { "s" }
                ));
            }
        }
    }
    exit
}

/// Shows problems to people; only errors to those who want quiet.
fn tell<'a>(
    diagnostics: &[Diagnostic],
    source: impl Fn(&str) -> Option<&'a str>,
    around: &Surroundings,
) {
    let is_wanted = |told: &&Diagnostic| !around.quiet || told.severity == Severity::Error;
    let wanted: Vec<Diagnostic> = diagnostics.iter().filter(is_wanted).cloned().collect();
    complain(&report::diagnostics(&wanted, source, around.stderr));
}

/// Shows problems on their lines, in GitHub Actions.
fn annotate(diagnostics: &[Diagnostic], around: &Surroundings) {
    if around.is_actions {
        print(report::annotations(diagnostics).as_bytes());
    }
}

fn told(code: Code, message: String) -> Invalid {
    Invalid { diagnostics: vec![Diagnostic::error(code, message)], ..Invalid::default() }
}

fn refuse(error: &InvalidSetting) -> Exit {
    complain(&format!("error: {error}\n"));
    Exit::Invalid
}

fn fail(message: &str) -> Exit {
    complain(&format!("error: {}\n", crate::text::one_line(message)));
    Exit::Failed
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

/// Writes to standard output; a reader that went away, as `head` does, is no failure.
fn print(bytes: &[u8]) -> Exit {
    let mut out = Redacting(io::stdout().lock());
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error.to_string()),
        _ => Exit::Done,
    }
}

/// Writes to standard error; when that fails there is nobody left to tell.
fn complain(text: &str) {
    io::stderr().lock().write_all(redacted(text).as_bytes()).ok();
}

fn log(cli: &Cli, traces: &Traces) {
    // Libraries that handle identities have nothing to say that might not hold one.
    let quiet = "reqsign_core=off,reqsign_aws_core=off,reqsign_aws_v4=off";
    let serves = matches!(cli.command, Command::Serve(_));
    let level = match (cli.verbose, cli.quiet) {
        (_, true) => "error",
        (0, _) if serves => "tagalong::serve=info,warn",
        (0, _) => "warn",
        (1, _) => "tagalong=info,warn",
        _ => "tagalong=debug,info",
    };
    let filter = EnvFilter::new(format!("{level},{quiet}"));
    let text =
        tracing_subscriber::fmt::layer().with_writer(|| Redacting(io::stderr())).with_ansi(false);
    let text = text.with_target(false);
    let text = match cli.log_format {
        LogFormat::Text => text.with_filter(filter).boxed(),
        LogFormat::Json => text.json().flatten_event(true).with_filter(filter).boxed(),
    };
    // Only our own spans, which name repositories and nothing that is secret.
    let spans = traces.layer().with_filter(EnvFilter::new("tagalong=info"));
    tracing_subscriber::registry().with(spans).with(text).init();
}
