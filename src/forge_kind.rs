//! The products that forges are, and the abilities that not all of them have.

use std::fmt;

/// A product that serves repositories and pull requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForgeKind {
    /// GitHub, or GitHub Enterprise Server.
    #[default]
    GitHub,
    /// GitLab, at gitlab.com or self-managed.
    GitLab,
    /// Forgejo, at codeberg.org or elsewhere.
    Forgejo,
    /// Gitea, at gitea.com or elsewhere.
    Gitea,
}

impl ForgeKind {
    /// Names, as they are typed.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("github", Self::GitHub),
        ("gitlab", Self::GitLab),
        ("forgejo", Self::Forgejo),
        ("gitea", Self::Gitea),
    ];

    /// Name of the variable with the token.
    #[must_use]
    pub fn token_variable(self) -> &'static str {
        match self {
            Self::GitHub => "GITHUB_TOKEN",
            Self::GitLab => "GITLAB_TOKEN",
            Self::Forgejo => "FORGEJO_TOKEN",
            Self::Gitea => "GITEA_TOKEN",
        }
    }

    /// Name of the variable with the address of the server.
    #[must_use]
    pub fn server_variable(self) -> &'static str {
        match self {
            Self::GitHub => "GITHUB_SERVER_URL",
            Self::GitLab => "GITLAB_URL",
            Self::Forgejo => "FORGEJO_URL",
            Self::Gitea => "GITEA_URL",
        }
    }

    /// The rights that a token needs, for the end of a message.
    #[must_use]
    pub fn rights(self) -> &'static str {
        match self {
            Self::GitHub => {
                "it needs `pull_requests: write` and `contents: write`; a workflow's own token also needs the repository \
                 setting that allows Actions to create pull requests"
            }
            Self::GitLab => {
                "it needs the scope `api`, and its account the role Developer, or Maintainer where it merges into a \
                 protected branch"
            }
            Self::Forgejo | Self::Gitea => {
                "it needs the scopes `write:repository` and `write:issue` and `read:user`, and its account the right to write, \
                 and to merge into a protected branch; an administrator's is also told who may approve by label"
            }
        }
    }

    /// Path between the page of a repository and its pages of commits, comparisons and releases.
    #[must_use]
    pub fn page_prefix(self) -> &'static str {
        match self {
            Self::GitHub | Self::Forgejo | Self::Gitea => "",
            Self::GitLab => "/-",
        }
    }

    /// Path between the page of a repository and the name of a release.
    #[must_use]
    pub fn release_prefix(self) -> &'static str {
        match self {
            Self::GitHub | Self::Forgejo | Self::Gitea => "/releases/tag/",
            Self::GitLab => "/-/releases/",
        }
    }

    /// The product of a public server that everybody knows.
    #[must_use]
    pub fn of_public_host(host: &str) -> Option<Self> {
        match host {
            "github.com" => Some(Self::GitHub),
            "gitlab.com" => Some(Self::GitLab),
            "codeberg.org" => Some(Self::Forgejo),
            "gitea.com" => Some(Self::Gitea),
            _ => None,
        }
    }

    /// Abilities of the product.
    #[must_use]
    pub fn features(self) -> Features {
        match self {
            Self::GitHub => Features { signs_commits: true, asks_teams: true },
            Self::GitLab => Features { signs_commits: false, asks_teams: false },
            Self::Forgejo | Self::Gitea => Features { signs_commits: false, asks_teams: true },
        }
    }

    /// True if a group can have groups, so that a repository has more than an owner and a name.
    #[must_use]
    pub fn has_subgroups(self) -> bool {
        self == Self::GitLab
    }
}

/// The product's name.
impl fmt::Display for ForgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Forgejo => "Forgejo",
            Self::Gitea => "Gitea",
        })
    }
}

/// Abilities that not every product has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// True if it makes commits on request that it signs, and says which tree they have.
    pub signs_commits: bool,
    /// True if a review can be requested of a team, as `organisation/team`.
    pub asks_teams: bool,
}
