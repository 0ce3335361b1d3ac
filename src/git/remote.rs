//! Where a repository is, and with what it is reached.

use std::path::PathBuf;

use git2::{Cred, FetchOptions, ProxyOptions, PushOptions, RemoteCallbacks, RemoteRedirect};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// GitHub takes any user name with a token; this is the one it documents for Apps.
const TOKEN_USER: &str = "x-access-token";

/// A repository to clone from and to push to.
#[derive(Clone, Debug)]
pub enum Remote {
    /// A repository on this machine.
    Path(PathBuf),
    /// A repository over HTTP or HTTPS.
    Http {
        /// Its address, without credentials.
        url: Url,
        /// The token to log in with, when it is meant for this server.
        token: Option<SecretString>,
    },
}

impl Remote {
    /// The address that libgit2 takes, which is also what messages name.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Http { url, .. } => url.to_string(),
        }
    }

    /// libgit2 makes shallow clones over the network only.
    pub(super) fn depth(&self) -> i32 {
        match self {
            Self::Path(_) => 0,
            Self::Http { .. } => 1,
        }
    }

    /// Callbacks that hand over the token when the server asks, once: a second question means
    /// that it was refused.
    pub(super) fn callbacks<'a>(&self) -> RemoteCallbacks<'a> {
        let mut callbacks = RemoteCallbacks::new();
        let token = match self {
            Self::Http { token, .. } => token.clone(),
            Self::Path(_) => None,
        };
        let mut asked = false;
        callbacks.credentials(move |_url, _user, _kinds| match &token {
            Some(token) if !std::mem::replace(&mut asked, true) => {
                Cred::userpass_plaintext(TOKEN_USER, token.expose_secret())
            }
            _ => Err(git2::Error::new(
                git2::ErrorCode::Auth,
                git2::ErrorClass::Http,
                "login refused",
            )),
        });
        callbacks
    }

    pub(super) fn fetch_options<'a>(&self) -> FetchOptions<'a> {
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(self.callbacks())
            .proxy_options(proxy())
            .follow_redirects(RemoteRedirect::None)
            .download_tags(git2::AutotagOption::None)
            .update_fetchhead(false)
            .depth(self.depth());
        options
    }
}

pub(super) fn push_options(callbacks: RemoteCallbacks<'_>) -> PushOptions<'_> {
    let mut options = PushOptions::new();
    options
        .remote_callbacks(callbacks)
        .proxy_options(proxy())
        .follow_redirects(RemoteRedirect::None);
    options
}

/// The proxy of the environment.
pub(super) fn proxy<'a>() -> ProxyOptions<'a> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}
