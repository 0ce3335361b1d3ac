//! Credentials from docker's configuration and its helpers.

use std::time::Duration;

use docker_credential::{CredentialRetrievalError as RetrievalError, DockerCredential};

use super::ScanError;
use crate::secret::Secret;

/// A helper that asks a cloud takes a second or two; one that asks a person never answers.
const HELPER_TIMEOUT: Duration = Duration::from_secs(15);

/// The key of Docker Hub in docker's configuration.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Who we are at one registry. No variant shows itself.
#[derive(Clone)]
pub(super) enum Credential {
    /// User and password, or a user and a token that stands for one.
    Password(String, Secret),
    /// A refresh token for the token server.
    Identity(Secret),
}

/// Looks up the credential that docker would use for a registry.
pub(super) async fn find(host: &str) -> Result<Option<Credential>, ScanError> {
    let key = if host == "registry-1.docker.io" { HUB_KEY.to_owned() } else { host.to_owned() };
    let lookup = tokio::task::spawn_blocking(move || docker_credential::get_credential(&key));
    let failed =
        |why: String| ScanError::Unauthorized(format!("docker's credentials for {host}: {why}"));
    match tokio::time::timeout(HELPER_TIMEOUT, lookup).await {
        Ok(Ok(Ok(found))) => Ok(Some(from_docker(found))),
        Ok(Ok(Err(error))) if is_absent(&error) => Ok(None),
        Ok(Ok(Err(error))) => Err(failed(describe(&error))),
        Ok(Err(_panic)) => Err(failed("the lookup failed".to_owned())),
        Err(_elapsed) => Err(failed("the credential helper did not answer".to_owned())),
    }
}

/// No configuration, or none for this registry: the registry is asked anonymously.
fn is_absent(error: &RetrievalError) -> bool {
    matches!(
        error,
        RetrievalError::ConfigNotFound
            | RetrievalError::ConfigReadError
            | RetrievalError::NoCredentialConfigured
    )
}

/// Says what failed without a helper's output, which can hold the secret.
fn describe(error: &RetrievalError) -> String {
    match error {
        RetrievalError::HelperFailure { helper, .. } => format!("the helper {helper} failed"),
        RetrievalError::HelperCommunicationError => "the helper cannot be run".to_owned(),
        RetrievalError::MalformedHelperResponse => "the helper's answer cannot be read".to_owned(),
        _ => "the configuration cannot be read".to_owned(),
    }
}

fn from_docker(found: DockerCredential) -> Credential {
    match found {
        DockerCredential::IdentityToken(token) => Credential::Identity(token.into()),
        DockerCredential::UsernamePassword(user, password) => {
            Credential::Password(user, password.into())
        }
    }
}
