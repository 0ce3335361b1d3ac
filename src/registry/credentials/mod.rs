//! Who we are at a registry: by docker's and podman's files, by their helpers, by the workflow's own
//! token, or by the identity that a cloud gives to this machine.

mod aws;
mod azure;
mod cloud;
mod docker;
mod google;
mod helper;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use self::docker::{AuthFiles, Stored};
use super::ScanError;
use super::kind::{self, Cloud};
use crate::secret::{Secret, Variables};

/// Who we are at one registry. No variant shows itself.
#[derive(Clone)]
pub(super) enum Credential {
    /// User and password, or a user and a token that stands for one.
    Password(String, Secret),
    /// A refresh token for the token server.
    Identity(Secret),
    /// A token for the registry itself.
    Bearer(Secret),
}

/// A credential, and where it is from.
#[derive(Clone)]
pub(super) struct FoundCredential {
    pub(super) credential: Credential,
    /// A file, a program, a variable or a cloud, for messages.
    pub(super) origin: String,
}

impl FoundCredential {
    /// What tells this credential from others.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let (user, secret) = match &self.credential {
            Credential::Password(user, password) => (user.as_str(), password),
            Credential::Identity(token) | Credential::Bearer(token) => ("", token),
        };
        let text = Sha256::new().chain_update(user).chain_update([0]);
        text.chain_update(secret.expose()).finalize().into()
    }
}

/// The token of a workflow or of a CI job, and the registry of its forge that it opens.
#[derive(Clone)]
pub struct Packages {
    /// Host of the registry: `ghcr.io`, `registry.gitlab.com`.
    pub host: String,
    /// User that goes with the token.
    pub user: String,
    /// The token.
    pub token: Secret,
    /// The token's variable with the right that it needs, for messages: it is sent without anybody having said so.
    pub origin: &'static str,
}

/// An answer, or a failure: nobody is asked twice for the same.
type CredentialCell = Arc<OnceCell<Result<Option<FoundCredential>, String>>>;

/// Where credentials come from. Files are read once, and programs and clouds asked once for each
/// registry, when the first registry wants a login.
pub(super) struct Credentials {
    variables: Variables,
    packages: Vec<Packages>,
    /// When the run started, for what has to be signed.
    now: Timestamp,
    files: OnceCell<Result<AuthFiles, String>>,
    asked: Mutex<HashMap<String, CredentialCell>>,
}

/// The registry that wants a login.
pub(super) struct Asking<'a> {
    /// Host and port of its API.
    pub(super) host: &'a str,
    /// The repository's path.
    pub(super) path: &'a str,
    /// The address of its API.
    pub(super) base: &'a Url,
    /// Asks it.
    pub(super) client: &'a reqwest::Client,
}

impl Credentials {
    pub(super) fn new(variables: Variables, packages: Vec<Packages>, now: Timestamp) -> Self {
        Self { variables, packages, now, files: OnceCell::new(), asked: Mutex::default() }
    }

    /// Who we are at a registry; `None` when nobody said.
    pub(super) async fn find(
        &self,
        asking: &Asking<'_>,
    ) -> Result<Option<FoundCredential>, ScanError> {
        let failed = |why: String| {
            ScanError::Unauthorized(format!("the credentials for {}: {why}", asking.host))
        };
        let files = self.files.get_or_init(async || AuthFiles::read(&self.variables)).await;
        let stored = match files {
            Ok(files) => files.find(asking.host, asking.path).map_err(failed)?,
            Err(why) => return Err(failed(why.clone())),
        };
        match stored {
            Some(Stored::Login(found)) => Ok(Some(found)),
            Some(Stored::Helper { name, server, is_for_this }) => {
                let key = format!("{name} {server}");
                let get = helper::get(&name, &server, &self.variables);
                match self.once(key, get).await.map_err(failed)? {
                    None if !is_for_this => self.ambient(asking).await.map_err(failed),
                    found => Ok(found),
                }
            }
            None => self.ambient(asking).await.map_err(failed),
        }
    }

    /// What nobody wrote down: the workflow's token, and the identities of clouds.
    async fn ambient(&self, asking: &Asking<'_>) -> Result<Option<FoundCredential>, String> {
        if let Some(packages) = self.packages.iter().find(|p| p.host == asking.host) {
            let Packages { user, token, origin, .. } = packages.clone();
            let credential = Credential::Password(user, token);
            return Ok(Some(FoundCredential { credential, origin: origin.to_owned() }));
        }
        let Some(cloud) = kind::cloud(asking.host) else { return Ok(None) };
        let login = async {
            match &cloud {
                Cloud::Ecr(ecr) => aws::private(ecr, &self.variables).await,
                Cloud::EcrPublic => aws::public(&self.variables).await,
                Cloud::Google => google::login(&self.variables, self.now).await,
                Cloud::Azure => azure::login(asking.base, asking.client, &self.variables).await,
            }
        };
        // One identity opens all of Google's registries.
        let key = if cloud == Cloud::Google { "google" } else { asking.host };
        self.once(key.to_owned(), login).await
    }

    async fn once(
        &self,
        key: String,
        ask: impl Future<Output = Result<Option<FoundCredential>, String>>,
    ) -> Result<Option<FoundCredential>, String> {
        let cell = Arc::clone(self.asked.lock().await.entry(key).or_default());
        cell.get_or_init(|| ask).await.clone()
    }
}
