//! Where an image comes from, as it says itself.

/// The source of an image: a repository, and the revision that it was made from
/// ([annotations](https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The repository.
    pub source: Option<Source>,
    /// The revision.
    pub revision: Option<String>,
}

/// A repository of source code on some server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The server.
    pub host: String,
    /// What follows it: owner and name, or more on servers that have groups.
    pub path: String,
}

/// The keys of the source, the current one first; the others are
/// [label-schema's](http://label-schema.org/rc1/).
const SOURCE: [&str; 2] = ["org.opencontainers.image.source", "org.label-schema.vcs-url"];
const REVISION: [&str; 2] = ["org.opencontainers.image.revision", "org.label-schema.vcs-ref"];

impl Origin {
    /// What annotations or labels say, given a way to look one up. What is no repository and no revision
    /// is as if it were not there.
    #[must_use]
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let source = SOURCE.iter().find_map(|key| Source::parse(get(key)?));
        let revision = REVISION.iter().find_map(|key| get(key).filter(|text| is_revision(text)));
        Self { source, revision: revision.map(str::to_owned) }
    }

    /// What this one says, and for the rest the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { source: self.source.or(other.source), revision: self.revision.or(other.revision) }
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.source.is_some() && self.revision.is_some()
    }
}

impl Source {
    /// Reads an address of a repository, in any way that builders write one: of its page, for git over
    /// HTTPS or SSH, or of a directory in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("git+").unwrap_or(text);
        let rest = match text.split_once("://") {
            Some(("http" | "https" | "git" | "ssh", rest)) => rest.to_owned(),
            Some(_) => return None,
            // git@github.com:acme/shop.git
            None => text.strip_prefix("git@")?.replacen(':', "/", 1),
        };
        let rest = rest.split(['?', '#']).next()?;
        let (host, path) =
            rest.rsplit_once('@').map_or(rest, |(_user, rest)| rest).split_once('/')?;
        let path = path.trim_matches('/');
        // Of a directory: https://github.com/acme/shop/tree/main/cmd, https://gitlab.com/a/b/-/tree/main.
        let path = ["/-/", "/tree/", "/blob/"]
            .iter()
            .fold(path, |path, mark| path.split_once(mark).map_or(path, |(before, _)| before));
        let path = path.strip_suffix(".git").unwrap_or(path);
        let parts: Vec<&str> = path.split('/').collect();
        let is_host = host.contains('.') || host.contains(':') || host == "localhost";
        let is_good = is_host
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b))
            && (2..=8).contains(&parts.len())
            && parts.iter().all(|part| is_word(part));
        is_good.then(|| Self { host: host.to_ascii_lowercase(), path: path.to_owned() })
    }

    /// Owner and name, where there is nothing else.
    #[must_use]
    pub fn owner_and_name(&self) -> Option<(&str, &str)> {
        self.path.split_once('/').filter(|(_, name)| !name.contains('/'))
    }
}

fn is_word(word: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=100).contains(&word.len()) && !word.starts_with('.') && word.bytes().all(plain)
}

/// A commit: names of branches and tags can move.
fn is_revision(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_builders_write_them() {
        let cases = [
            ("https://github.com/acme/shop", Some("github.com acme/shop")),
            ("https://github.com/acme/shop.git", Some("github.com acme/shop")),
            ("http://GitHub.com/acme/shop/", Some("github.com acme/shop")),
            ("git://github.com/acme/shop.git#refs/heads/main", Some("github.com acme/shop")),
            ("git@github.com:acme/shop.git", Some("github.com acme/shop")),
            ("ssh://git@github.com/acme/shop.git", Some("github.com acme/shop")),
            ("git+https://github.com/acme/shop", Some("github.com acme/shop")),
            ("https://github.com/acme/shop/tree/main/cmd/api", Some("github.com acme/shop")),
            ("https://gitlab.com/a/b/c/-/tree/main?x=1", Some("gitlab.com a/b/c")),
            ("https://user:secret@git.example.com/a/b", Some("git.example.com a/b")),
            ("https://git.example.com:8443/a/b", Some("git.example.com:8443 a/b")),
            ("https://github.com/acme", None),
            ("https://github.com/acme/../x", None),
            ("https://github.com/acme/shop)](https://evil.example", None),
            ("https://github.com/acme/sh op", None),
            ("javascript:alert(1)", None),
            ("file:///etc/passwd", None),
            ("acme/shop", None),
            ("", None),
        ];
        for (text, want) in cases {
            let got = Source::parse(text).map(|source| format!("{} {}", source.host, source.path));
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_commit_is_no_revision() {
        for (text, want) in
            [("0123abcdef", true), ("main", false), ("abc", false), ("v1.2.3-rc.1", false)]
        {
            let origin = Origin::read(|key| key.ends_with("revision").then_some(text));
            assert_eq!(origin.revision.is_some(), want, "{text}");
        }
    }
}
