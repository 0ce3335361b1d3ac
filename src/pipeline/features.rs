//! Wishes that the forge of a repository cannot fulfil, told before anything is delivered.

use super::Tree;
use crate::diagnostic::{Code, Diagnostic, Place};
use crate::forge_kind::ForgeKind;
use crate::policy::{Environment, PolicySet, RepositorySettings, SETTINGS_FILE, Sign};
use crate::settings::Forges;

/// A problem for each wish of the settings and of the environments here.
pub(super) fn unsupported(
    tree: &Tree,
    set: &PolicySet,
    repository: &RepositorySettings,
    forges: &Forges,
) -> Vec<Diagnostic> {
    let kind = tree.forges(forges).first().kind;
    let features = kind.features();
    let mut told = Vec::new();
    if repository.sign == Some(Sign::Forge) && !features.signs_commits {
        let message = format!(
            "`sign: forge`: {kind} makes no commits that can be proven to be the planned ones"
        );
        let problem = Diagnostic::error(Code::ForgeUnsupported, message);
        told.push(problem.at(Place::of_file(SETTINGS_FILE)).help("use `sign: ssh` or `sign: gpg`"));
    }
    if !features.asks_teams {
        let here = set.environments.iter().filter(|environment| environment.home == set.here);
        told.extend(here.flat_map(|environment| teams(environment, kind)));
    }
    told
}

/// A problem for each team that is asked for a review.
fn teams(environment: &Environment, kind: ForgeKind) -> Vec<Diagnostic> {
    let teams = environment.deliver.pull.reviewers.iter().filter(|name| name.contains('/'));
    let told = teams.map(|team| {
        let message = format!(
            "`{}` asks the team `{team}` for a review, and {kind} asks accounts alone",
            environment.name
        );
        let problem = Diagnostic::warning(Code::ForgeUnsupported, message);
        problem
            .at(environment.place.clone())
            .help("name accounts in `reviewers`; code owners of a protected branch can be groups")
    });
    told.collect()
}
