//! Where a repository is, and with what it is reached.

use std::path::PathBuf;

use url::Url;

use crate::secret::Secret;

/// A repository to read from and to push to.
#[derive(Clone)]
pub enum Remote {
    /// A repository on this machine.
    Path(PathBuf),
    /// A repository over HTTP or HTTPS.
    Http {
        /// Its address, without credentials.
        url: Url,
        /// The login, when it is meant for this server.
        login: Option<GitLogin>,
    },
}

/// A user and a token for git over HTTP.
#[derive(Clone)]
pub struct GitLogin {
    /// The user name that the server wants with such a token.
    pub user: &'static str,
    /// The token.
    pub token: Secret,
}

impl Remote {
    /// The address that messages name.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Http { url, .. } => url.to_string(),
        }
    }
}
