//! Commands that write first policies.

use super::{complain, failed, print, refuse};
use crate::cli::{Format, ImportArgs, InitArgs, RepoArgs};
use crate::pipeline::{self, Exit, Started};
use crate::report;
use crate::settings::{DefaultRepository, Surroundings};

pub(super) async fn import(args: &ImportArgs, around: &Surroundings) -> Exit {
    let repo = RepoArgs { repo: Some(args.repo.clone()), ..RepoArgs::default() };
    let scope = match around.scope(&repo, DefaultRepository::Directory) {
        Ok(scope) => scope,
        Err(error) => return refuse(&error),
    };
    match pipeline::import(&scope, args.write, around).await {
        Ok(imported) => started(&imported, around),
        Err(failure) => failed(failure, Format::Text, around),
    }
}

/// Shows what a repository starts with.
fn started(started: &Started, around: &Surroundings) -> Exit {
    let told = report::started(&started.starter, &started.skipped);
    complain(if around.quiet { "" } else { &told });
    print(report::started_files(&started.files, started.is_written).as_bytes())
}

pub(super) async fn init(args: &InitArgs, around: &Surroundings) -> Exit {
    let repo = RepoArgs { repo: Some(args.repo.clone()), ..RepoArgs::default() };
    let scope = match around.scope(&repo, DefaultRepository::Directory) {
        Ok(scope) => scope,
        Err(error) => return refuse(&error),
    };
    match pipeline::init(&scope, !args.no_workflow, args.dry_run, around).await {
        Ok(done) => started(&done, around),
        Err(failure) => failed(failure, Format::Text, around),
    }
}
