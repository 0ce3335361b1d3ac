//! The beginning of a command: who asks, and what is read.

use super::Failure;
use crate::forge;
use crate::settings::{RepoSpec, Scope, Surroundings};

/// The surroundings with a token of the app, where one is named and the repository is on GitHub.
pub(super) async fn signed_in(
    scope: &Scope,
    around: &Surroundings,
) -> Result<Surroundings, Failure> {
    let mut around = around.clone();
    let RepoSpec::Remote { id: Some(id), .. } = &scope.repo else {
        return Ok(around);
    };
    if let Some(app) = &around.forge.app {
        let token = forge::sign_in(&around.forge, app, id, around.clock()).await;
        around.forge.token = Some(token.map_err(|error| Failure::Failed(error.to_string()))?);
    }
    Ok(around)
}
