//! Where GitHub is, and who we are there.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::{InvalidSetting, RepoSpec, Turns, var};
use crate::registry::Packages;
use crate::repo_id::RepoId;
use crate::secret::Secret;

/// Where GitHub is, and who we are there.
#[derive(Clone)]
pub struct ForgeSettings {
    /// The REST API: `https://api.github.com`, or an Enterprise Server's `https://host/api/v3`.
    pub api_url: Url,
    /// The web and git server: `https://github.com`.
    pub server_url: Url,
    /// The token for both.
    pub token: Option<Secret>,
    /// The app that signs in for a token.
    pub app: Option<App>,
    /// When it may be asked again.
    pub turns: Arc<Turns>,
}

/// A GitHub App.
#[derive(Clone)]
pub struct App {
    /// Its number, or its client id.
    pub id: String,
    /// A private key of it, in PEM.
    pub key: Secret,
}

/// The app, when one is named: it comes before a token.
pub(super) fn app() -> Result<Option<App>, InvalidSetting> {
    let Some(id) = var("GITHUB_APP_ID") else { return Ok(None) };
    let key = match (var("GITHUB_APP_PRIVATE_KEY"), var("GITHUB_APP_PRIVATE_KEY_FILE")) {
        (Some(key), _) => key,
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|error| InvalidSetting::App(format!(": {error}")))?,
        (None, None) => return Err(InvalidSetting::App(String::new())),
    };
    Ok(Some(App { id, key: key.into() }))
}

impl ForgeSettings {
    /// The registry that belongs to the server, with the token: `ghcr.io`, or `containers.HOST` on an
    /// Enterprise Server
    /// (<https://docs.github.com/en/packages/working-with-a-github-packages-registry/working-with-the-container-registry>).
    pub(super) fn packages(&self) -> Option<Packages> {
        let host = match self.server_url.host_str()? {
            "github.com" => "ghcr.io".to_owned(),
            host => format!("containers.{host}"),
        };
        Some(Packages { host, token: self.token.clone()? })
    }

    /// Reads `PATH`, `URL` or `OWNER/NAME`.
    pub(super) fn repo(&self, text: &str) -> Result<RepoSpec, InvalidSetting> {
        if std::path::Path::new(text).is_dir() {
            return Ok(RepoSpec::Path(PathBuf::from(text)));
        }
        if text.contains("://") {
            let shown = text.rsplit('@').next().unwrap_or_default().to_owned();
            let url = Url::parse(text).map_err(|_error| InvalidSetting::Repo(shown.clone()))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(InvalidSetting::Scheme(shown));
            }
            let is_plain = url.query().is_none() && url.fragment().is_none();
            if !url.username().is_empty() || url.password().is_some() || !is_plain {
                return Err(InvalidSetting::UrlCredentials);
            }
            let id = self.id_of(&url);
            return Ok(RepoSpec::Remote { url, id });
        }
        if text.starts_with("git@") {
            return Err(InvalidSetting::Scheme(text.to_owned()));
        }
        let invalid = || InvalidSetting::Repo(text.to_owned());
        if std::path::Path::new(text).is_file() {
            return Err(invalid());
        }
        let id = self.id(text).ok_or_else(invalid)?;
        let url = self.repository_url(&id).ok_or_else(invalid)?;
        Ok(RepoSpec::Remote { url, id: Some(id) })
    }

    /// Where git finds a repository of this server.
    #[must_use]
    pub fn repository_url(&self, id: &RepoId) -> Option<Url> {
        let base = self.server_url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{id}.git")).ok()
    }

    /// The repository of this server that is written as `OWNER/NAME`.
    #[must_use]
    pub fn id(&self, text: &str) -> Option<RepoId> {
        let port = self.server_url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", self.server_url.host_str().unwrap_or_default());
        // GitHub has no groups within owners.
        RepoId::new(&host, text).filter(|id| !id.owner().contains('/'))
    }

    /// The repository behind a URL, when it is on this server.
    #[must_use]
    pub fn id_of(&self, url: &Url) -> Option<RepoId> {
        let path = url.path().strip_prefix(self.server_url.path().trim_end_matches('/'))?;
        let path = path.trim_matches('/');
        let is_here = url.origin() == self.server_url.origin();
        self.id(path.strip_suffix(".git").unwrap_or(path)).filter(|_| is_here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn github() -> ForgeSettings {
        ForgeSettings {
            api_url: Url::parse("https://ghe.example.com/api/v3").unwrap(),
            server_url: Url::parse("https://ghe.example.com/").unwrap(),
            token: None,
            app: None,
            turns: Arc::default(),
        }
    }

    #[test]
    fn a_repository_is_a_path_a_url_or_a_name() {
        let remote = |url: &str, path: Option<&str>| {
            let id = path.and_then(|path| RepoId::new("ghe.example.com", path));
            Ok(RepoSpec::Remote { url: Url::parse(url).unwrap(), id })
        };
        let cases = [
            (".", Ok(RepoSpec::Path(".".into()))),
            ("acme/fleet", remote("https://ghe.example.com/acme/fleet.git", Some("acme/fleet"))),
            (
                "https://ghe.example.com/acme/fleet",
                remote("https://ghe.example.com/acme/fleet", Some("acme/fleet")),
            ),
            ("https://gitlab.com/a/b.git", remote("https://gitlab.com/a/b.git", None)),
            ("https://u:p@ghe.example.com/a/b", Err(InvalidSetting::UrlCredentials)),
            ("https://ghe.example.com/a/b?private_token=x", Err(InvalidSetting::UrlCredentials)),
            ("ssh://git@x.example/a/b", Err(InvalidSetting::Scheme("x.example/a/b".into()))),
            ("git@x.example:a/b.git", Err(InvalidSetting::Scheme("git@x.example:a/b.git".into()))),
            ("src/lib.rs", Err(InvalidSetting::Repo("src/lib.rs".into()))),
            ("https://u:secret@bad host/x", Err(InvalidSetting::Repo("bad host/x".into()))),
            ("no-such-dir", Err(InvalidSetting::Repo("no-such-dir".into()))),
            ("a/b/c", Err(InvalidSetting::Repo("a/b/c".into()))),
            ("../x", Err(InvalidSetting::Repo("../x".into()))),
            ("-a/b;c", Err(InvalidSetting::Repo("-a/b;c".into()))),
        ];
        for (text, want) in cases {
            assert_eq!(github().repo(text), want, "{text}");
        }
    }
}
