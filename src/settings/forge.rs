//! The forges that are known, and who we are on each.

mod environment;

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::{InvalidSetting, RepoSpec, Turns, var};
use crate::forge_kind::ForgeKind;
use crate::git::GitLogin;
use crate::registry::Packages;
use crate::repo_id::RepoId;
use crate::secret::Secret;

/// A forge, and who we are on it.
#[derive(Clone)]
pub struct ForgeSettings {
    /// The product.
    pub kind: ForgeKind,
    /// The REST API: `https://api.github.com`, an Enterprise Server's `https://host/api/v3`, a GitLab's
    /// `https://host/api/v4`, or a Forgejo's `https://host/api/v1`.
    pub api_url: Url,
    /// The web and git server: `https://github.com`.
    pub server_url: Url,
    /// The token for both.
    pub token: Option<Secret>,
    /// The token of the CI job that this is, which may read, and push where the repository lets jobs push.
    pub job_token: Option<Secret>,
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

/// The forges that are known. The first one is where a name without a host is looked for.
#[derive(Clone)]
pub struct Forges(Vec<ForgeSettings>);

impl Forges {
    /// Reads the environment. `first` is where a name without a host is looked for; without it, the forge of the CI
    /// job, else GitHub unless there are tokens for others alone.
    ///
    /// # Errors
    /// A variable that names a URL does not, or an app has no key.
    pub(super) fn read(first: Option<ForgeKind>) -> Result<Self, InvalidSetting> {
        environment::forges(first).map(Self)
    }

    /// These forges alone; there is at least the first.
    #[must_use]
    pub fn of(first: ForgeSettings, others: Vec<ForgeSettings>) -> Self {
        Self([vec![first], others].concat())
    }

    /// The forge that names without a host are of.
    #[must_use]
    pub fn first(&self) -> &ForgeSettings {
        &self.0[0]
    }

    /// The same, to be changed.
    pub fn first_mut(&mut self) -> &mut ForgeSettings {
        &mut self.0[0]
    }

    /// The same without any token.
    #[must_use]
    pub fn without_tokens(&self) -> Self {
        let bare = |forge: &ForgeSettings| ForgeSettings {
            token: None,
            job_token: None,
            app: None,
            ..forge.clone()
        };
        Self(self.0.iter().map(bare).collect())
    }

    /// Has all of them take the same turns.
    pub fn pace(&mut self, turns: &Arc<Turns>) {
        for forge in &mut self.0 {
            forge.turns = Arc::clone(turns);
        }
    }

    /// The tokens for the registries that belong to them.
    pub(super) fn packages(&self) -> Vec<Packages> {
        self.0.iter().filter_map(ForgeSettings::packages).collect()
    }

    /// The same with the forge of a repository as the first one.
    #[must_use]
    pub fn at(&self, id: &RepoId) -> Self {
        let (mut there, others): (Vec<_>, Vec<_>) =
            self.0.iter().cloned().partition(|forge| forge.host() == id.host());
        there.extend(others);
        Self(there)
    }

    /// The forge behind a URL.
    #[must_use]
    pub fn behind(&self, url: &Url) -> Option<&ForgeSettings> {
        self.0.iter().find(|forge| forge.is_behind(url))
    }

    /// The repository behind a URL, when it is on one of them.
    #[must_use]
    pub fn id_of(&self, url: &Url) -> Option<RepoId> {
        self.behind(url)?.id_of(url)
    }

    /// The servers, for messages.
    #[must_use]
    pub fn known(&self) -> String {
        let all = self.0.iter().map(|forge| forge.server_url.as_str().trim_end_matches('/'));
        all.collect::<Vec<_>>().join(", ")
    }

    /// The mistake of a text that names a host first, which is none of these.
    fn unknown_host(&self, text: &str) -> Option<InvalidSetting> {
        let (host, path) = text.split_once('/')?;
        let is_host = path.contains('/') && host.contains(['.', ':']);
        let is_known = self.0.iter().any(|forge| forge.host().eq_ignore_ascii_case(host));
        let known = self.known();
        (is_host && !is_known)
            .then(|| InvalidSetting::UnknownHost(text.to_owned(), host.to_owned(), known))
    }

    /// The repository that is written as `OWNER/NAME`, with groups where the forge has them, or with a host before it.
    #[must_use]
    pub fn id(&self, text: &str) -> Option<RepoId> {
        let (host, path) = text.split_once('/')?;
        let there = self.0.iter().find(|forge| forge.host().eq_ignore_ascii_case(host));
        match there {
            Some(forge) => forge.id(path),
            // A host that nobody knows is no group of another one, where anybody may have that name.
            None if path.contains('/') && host.contains(['.', ':']) => None,
            None => self.first().id(text),
        }
    }

    /// Where git finds a repository of one of them.
    #[must_use]
    pub fn repository_url(&self, id: &RepoId) -> Option<Url> {
        self.0.iter().find(|forge| forge.host() == id.host())?.repository_url(id)
    }

    /// The HTTP address of an origin; those of a known forge may be written for SSH.
    #[must_use]
    pub fn over_http(&self, address: &str) -> Option<Url> {
        if let Some(url) = self.0.iter().find_map(|forge| forge.over_ssh(address)) {
            return url;
        }
        let mut url =
            Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        // Some checkouts keep a token in the address; ours comes from the environment.
        url.set_username("").and_then(|()| url.set_password(None)).ok()?;
        Some(self.for_git(url))
    }

    /// The address at which git finds a repository that people name by its page: GitLab leads from the one to the other,
    /// and no redirect is followed with a token.
    fn for_git(&self, url: Url) -> Url {
        let forge = self.behind(&url).filter(|forge| forge.kind == ForgeKind::GitLab);
        let there = forge.and_then(|forge| forge.repository_url(&forge.id_of(&url)?));
        there.unwrap_or(url)
    }

    /// Reads `PATH`, `URL`, `OWNER/NAME` or `HOST/OWNER/NAME`.
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
            let (id, url) = (self.id_of(&url), self.for_git(url));
            return Ok(RepoSpec::Remote { url, id });
        }
        if text.starts_with("git@") {
            return Err(InvalidSetting::Scheme(text.to_owned()));
        }
        let invalid = || InvalidSetting::Repo(text.to_owned());
        if std::path::Path::new(text).is_file() {
            return Err(invalid());
        }
        let id = self.id(text).ok_or_else(|| self.unknown_host(text).unwrap_or_else(invalid))?;
        let url = self.repository_url(&id).ok_or_else(invalid)?;
        Ok(RepoSpec::Remote { url, id: Some(id) })
    }
}

impl ForgeSettings {
    /// The host of the server, with its port where it has one.
    #[must_use]
    pub fn host(&self) -> String {
        let port = self.server_url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.server_url.host_str().unwrap_or_default())
    }

    /// The user and the token for git: that of an account, or of the job.
    #[must_use]
    pub fn git_login(&self) -> Option<GitLogin> {
        // GitHub takes any user with a token; this is the one that it documents for apps. GitLab's are at
        // <https://docs.gitlab.com/topics/git/clone/#clone-using-a-token> and
        // <https://docs.gitlab.com/ci/jobs/ci_job_token/>.
        let account = match self.kind {
            ForgeKind::GitHub => "x-access-token",
            // Forgejo and Gitea look at the password alone, where it is a token.
            ForgeKind::GitLab | ForgeKind::Forgejo | ForgeKind::Gitea => "oauth2",
        };
        let of = |user: &'static str, token: &Secret| GitLogin { user, token: token.clone() };
        let token = self.token.as_ref().map(|token| of(account, token));
        token.or_else(|| self.job_token.as_ref().map(|token| of("gitlab-ci-token", token)))
    }

    /// The registry that belongs to the server, with the token: `ghcr.io`, `containers.HOST` on an Enterprise Server
    /// (<https://docs.github.com/en/packages/working-with-a-github-packages-registry/working-with-the-container-registry>),
    /// the one of a GitLab job
    /// (<https://docs.gitlab.com/user/packages/container_registry/authenticate_with_container_registry/>), or Forgejo's own
    /// (<https://forgejo.org/docs/latest/user/packages/container/>).
    fn packages(&self) -> Option<Packages> {
        match self.kind {
            ForgeKind::GitHub => {
                let host = match self.server_url.host_str()? {
                    "github.com" => "ghcr.io".to_owned(),
                    host => format!("containers.{host}"),
                };
                let user = var("GITHUB_ACTOR").unwrap_or_else(|| "tagalong".to_owned());
                let origin = "GITHUB_TOKEN (it needs `packages: read`; `anonymous: true` in `registries` does without it)";
                Some(Packages { host, user, token: self.token.clone()?, origin })
            }
            ForgeKind::GitLab => {
                let host = var("CI_REGISTRY")?;
                let user = "gitlab-ci-token".to_owned();
                let origin = "CI_JOB_TOKEN (the image's project must have this one in its job token allowlist)";
                Some(Packages { host, user, token: self.job_token.clone()?, origin })
            }
            ForgeKind::Forgejo | ForgeKind::Gitea => {
                let user = "oauth2".to_owned();
                let origin = "the token of the forge (it needs the scope `read:package`; `anonymous: true` in `registries` does without it)";
                Some(Packages { host: self.host(), user, token: self.token.clone()?, origin })
            }
        }
    }

    /// Where git finds a repository of this server.
    #[must_use]
    pub fn repository_url(&self, id: &RepoId) -> Option<Url> {
        let base = self.server_url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{id}.git")).ok()
    }

    /// The repository of this server that is written as `OWNER/NAME`, with groups where it has them.
    #[must_use]
    pub fn id(&self, text: &str) -> Option<RepoId> {
        let id = RepoId::new(&self.host(), text)?;
        (self.kind.has_subgroups() || !id.owner().contains('/')).then_some(id)
    }

    /// True if a URL is on this server, which may be below a path.
    fn is_behind(&self, url: &Url) -> bool {
        let base = self.server_url.path().trim_end_matches('/');
        let rest = url.path().strip_prefix(base);
        url.origin() == self.server_url.origin() && rest.is_some_and(|rest| rest.starts_with('/'))
    }

    /// The repository behind a URL, when it is on this server.
    #[must_use]
    pub fn id_of(&self, url: &Url) -> Option<RepoId> {
        let path = url.path().strip_prefix(self.server_url.path().trim_end_matches('/'))?;
        let path = path.trim_matches('/');
        self.id(path.strip_suffix(".git").unwrap_or(path)).filter(|_| self.is_behind(url))
    }

    /// The HTTP address of a repository that is written for SSH on this server.
    #[expect(clippy::option_option, reason = "another server, or a name that is none here")]
    fn over_ssh(&self, address: &str) -> Option<Option<Url>> {
        let host = self.server_url.host_str()?;
        // The port is that of the SSH server, and says nothing of the other one.
        let url = Url::parse(address).ok().filter(|url| url.scheme() == "ssh");
        let name = match &url {
            Some(url) => url.path().trim_start_matches('/').to_owned(),
            None => address.strip_prefix(&format!("git@{host}:"))?.to_owned(),
        };
        if url.is_some_and(|url| url.host_str() != Some(host)) {
            return None;
        }
        let name = name.trim_end_matches('/');
        let id = self.id(name.strip_suffix(".git").unwrap_or(name));
        Some(id.and_then(|id| self.repository_url(&id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forge(kind: ForgeKind, server: &str) -> ForgeSettings {
        ForgeSettings {
            kind,
            api_url: Url::parse(server).unwrap().join("api").unwrap(),
            server_url: Url::parse(server).unwrap(),
            token: None,
            job_token: None,
            app: None,
            turns: Arc::default(),
        }
    }

    /// A GitHub, and a GitLab that is below a path.
    fn forges() -> Forges {
        let gitlab = forge(ForgeKind::GitLab, "https://dev.example.com:8443/git/");
        Forges::of(forge(ForgeKind::GitHub, "https://ghe.example.com/"), vec![gitlab])
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
            assert_eq!(forges().repo(text), want, "{text}");
        }
    }

    #[test]
    fn a_host_says_which_forge_a_repository_is_on() {
        let cases = [
            ("acme/fleet", Some("ghe.example.com acme/fleet")),
            ("GHE.example.com/acme/fleet", Some("ghe.example.com acme/fleet")),
            (
                "dev.example.com:8443/acme/platform/fleet",
                Some("dev.example.com:8443 acme/platform/fleet"),
            ),
            // GitHub has no groups within owners, and nobody knows other hosts.
            ("ghe.example.com/acme/platform/fleet", None),
            ("git.example.com/acme/fleet", None),
        ];
        for (text, want) in cases {
            let id = forges().id(text).map(|id| format!("{} {id}", id.host()));
            assert_eq!(id.as_deref(), want, "{text}");
        }
        // Also where groups have groups.
        let gitlab = Forges::of(forge(ForgeKind::GitLab, "https://gitlab.com"), Vec::new());
        assert!(gitlab.id("acme/platform/fleet").is_some() && gitlab.id("acme.io/fleet").is_some());
        assert_eq!(gitlab.id("gitlab.example.com/acme/fleet"), None);
        let url = |text: &str| Url::parse(text).unwrap();
        let behind = |text: &str| forges().behind(&url(text)).map(|forge| forge.kind);
        assert_eq!(behind("https://ghe.example.com/acme/fleet.git"), Some(ForgeKind::GitHub));
        assert_eq!(behind("https://dev.example.com:8443/git/a/b/c.git"), Some(ForgeKind::GitLab));
        for other in [
            "https://dev.example.com:8443/other/a/b",
            "http://ghe.example.com/a/b",
            "https://dev.example.com/git/a/b",
        ] {
            assert_eq!(behind(other), None, "{other}");
        }
    }

    #[test]
    fn an_origin_may_be_written_for_ssh() {
        let cases = [
            ("git@ghe.example.com:acme/fleet.git", Some("https://ghe.example.com/acme/fleet.git")),
            (
                "ssh://git@dev.example.com/a/b/c/",
                Some("https://dev.example.com:8443/git/a/b/c.git"),
            ),
            (
                "ssh://git@ghe.example.com:2222/acme/fleet.git",
                Some("https://ghe.example.com/acme/fleet.git"),
            ),
            ("ssh://git@other.example:2222/acme/fleet.git", None),
            ("git@ghe.example.com:acme/a/b.git", None),
            ("https://u:p@x.example/a/b", Some("https://x.example/a/b")),
            ("git@x.example:a/b.git", None),
        ];
        for (address, want) in cases {
            let url = forges().over_http(address).map(|url| url.to_string());
            assert_eq!(url.as_deref(), want, "{address}");
        }
    }
}
