//! The products that forges are, and the identity of a repository on one.

use std::fmt;

/// A product that serves repositories and pull requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForgeKind {
    /// GitHub, or GitHub Enterprise Server.
    #[default]
    GitHub,
    /// GitLab, at gitlab.com or self-managed.
    GitLab,
}

impl ForgeKind {
    /// Names, as they are typed.
    pub const NAMES: [(&'static str, Self); 2] =
        [("github", Self::GitHub), ("gitlab", Self::GitLab)];

    /// Name of the variable with the token.
    #[must_use]
    pub fn token_variable(self) -> &'static str {
        match self {
            Self::GitHub => "GITHUB_TOKEN",
            Self::GitLab => "GITLAB_TOKEN",
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
        })
    }
}

/// A repository: the forge's host and the path below it, with all groups. Forges compare both without case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoId {
    host: Box<str>,
    path: Box<str>,
}

impl RepoId {
    /// Reads a path, as `acme/fleet` or `group/sub/project`, on a host, with its port where it has one. `None` unless every
    /// part is a plain word.
    #[must_use]
    pub fn new(host: &str, path: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let is_word = |word: &str| !matches!(word, "" | "." | "..") && word.bytes().all(plain);
        let is_path = path.contains('/') && path.split('/').all(is_word);
        is_path.then(|| Self { host: host.to_ascii_lowercase().into(), path: path.into() })
    }

    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path without its last part: an owner, or groups.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(owner, _)| owner)
    }

    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    /// The path in lower case, by which repositories of one host are compared.
    #[must_use]
    pub fn key(&self) -> String {
        self.path.to_ascii_lowercase()
    }
}

/// The path, as people write a repository.
impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_plain_words() {
        let id = |path: &str| RepoId::new("Forge.example", path);
        let nested = id("Acme/platform/fleet").unwrap();
        assert_eq!(
            (nested.host(), nested.owner(), nested.name()),
            ("forge.example", "Acme/platform", "fleet")
        );
        assert_eq!(
            (nested.to_string(), nested.key()),
            ("Acme/platform/fleet".into(), "acme/platform/fleet".into())
        );
        for path in ["fleet", "", "/", "acme/", "acme/..", "a//b", "a/b;c", "a/b?c"] {
            assert_eq!(id(path), None, "{path}");
        }
    }
}
