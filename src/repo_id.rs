//! The identity of a repository on a forge.

use std::fmt;

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
