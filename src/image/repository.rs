//! Image repositories: where tags are listed.

use std::fmt;

/// Docker Hub's name in references; its API answers on another host.
const DOCKER_HUB: &str = "docker.io";

/// An image repository in canonical form: registry host (with port) and path.
///
/// `nginx`, `docker.io/nginx` and `index.docker.io/library/nginx` are one value, by the rules of
/// [distribution/reference](https://github.com/distribution/reference/blob/main/normalize.go).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: Box<str>,
    path: Box<str>,
}

/// Why a text is not the name of an image repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRepository {
    /// Nothing was written.
    #[error("the image name is empty")]
    Empty,
    /// A scheme such as `https://` stands before the name.
    #[error("write the image name without `{0}://`")]
    Scheme(String),
    /// A tag or a digest stands behind the name.
    #[error("write the image name without the tag or digest `{0}`")]
    TagOrDigest(String),
    /// A host that is not a host name, address or `localhost`, with an optional port.
    #[error("`{0}` is not a registry host")]
    Host(String),
    /// A path component outside the grammar.
    #[error(
        "`{0}` is not a part of an image name (lower-case letters, digits, and single separators)"
    )]
    Component(String),
}

impl Repository {
    /// Reads a name as users write it.
    ///
    /// # Errors
    /// When the name does not follow the reference grammar, or carries a scheme, tag or digest.
    pub fn parse(text: &str) -> Result<Self, InvalidRepository> {
        if text.is_empty() {
            return Err(InvalidRepository::Empty);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(InvalidRepository::Scheme(scheme.to_owned()));
        }
        let (host, path) = split_host(text);
        if let Some(at) = path.find([':', '@']) {
            return Err(InvalidRepository::TagOrDigest(path[at..].to_owned()));
        }
        let registry = match host {
            None => DOCKER_HUB.to_owned(),
            Some(host) if is_host(host) => canonical_host(host),
            Some(host) => return Err(InvalidRepository::Host(host.to_owned())),
        };
        if let Some(bad) = path.split('/').find(|part| !is_component(part)) {
            return Err(InvalidRepository::Component(bad.to_owned()));
        }
        let library = registry == DOCKER_HUB && !path.contains('/');
        let path = if library { format!("library/{path}") } else { path.to_owned() };
        Ok(Self { registry: registry.into(), path: path.into() })
    }

    /// The registry's host as references name it, with its port if it has one: `docker.io`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The host that answers the distribution API: `registry-1.docker.io` for Docker Hub.
    #[must_use]
    pub fn api_host(&self) -> &str {
        if &*self.registry == DOCKER_HUB { "registry-1.docker.io" } else { &self.registry }
    }

    /// The path within the registry: `library/nginx`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last component of the path: the text that every spelling of this repository contains.
    #[must_use]
    pub fn base_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

/// A name as users write it in two parts: the registry, which Docker Hub's is without one, and the
/// rest as it is written.
#[must_use]
pub fn split_registry(name: &str) -> (&str, &str) {
    let (host, rest) = split_host(name);
    (host.unwrap_or(DOCKER_HUB), rest)
}

/// Splits off the first component when it is a host: it has a dot or a port, is `localhost`, or
/// has an upper-case letter, which no path component can.
fn split_host(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, text),
    }
}

fn canonical_host(host: &str) -> String {
    match host.to_ascii_lowercase() {
        hub if matches!(&*hub, "index.docker.io" | "registry-1.docker.io" | "docker.io") => {
            DOCKER_HUB.to_owned()
        }
        other => other,
    }
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let port_ok = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let ipv6 = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let name_ok = match ipv6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(is_host_label),
    };
    port_ok && name_ok
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `[a-z0-9]+ ( ( '.' | '_' | '__' | '-'+ ) [a-z0-9]+ )*`
fn is_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edges = part.bytes().next().is_some_and(alphanumeric)
        && part.bytes().next_back().is_some_and(alphanumeric);
    edges
        && part
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_are_equal() {
        let cases = [
            ("nginx", "docker.io/library/nginx"),
            ("library/nginx", "docker.io/library/nginx"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx"),
            ("bitnami/redis", "docker.io/bitnami/redis"),
            ("ghcr.io/Acme", "Acme"),
            ("GHCR.io/acme/shop", "ghcr.io/acme/shop"),
            ("localhost/a", "localhost/a"),
            ("127.0.0.1:5000/team/app", "127.0.0.1:5000/team/app"),
            ("[::1]:5000/a", "[::1]:5000/a"),
            ("r.io/a__b/c--d.e_f", "r.io/a__b/c--d.e_f"),
        ];
        for (text, want) in cases {
            match Repository::parse(text) {
                Ok(got) => assert_eq!(got.to_string(), want, "{text}"),
                Err(error) => {
                    assert_eq!(error, InvalidRepository::Component(want.into()), "{text}");
                }
            }
        }
    }

    #[test]
    fn refuses_what_is_not_a_name() {
        use InvalidRepository as E;
        let cases = [
            ("", E::Empty),
            ("https://ghcr.io/a", E::Scheme("https".into())),
            ("nginx:1.27", E::TagOrDigest(":1.27".into())),
            ("ghcr.io/a/b:v1@sha256:00", E::TagOrDigest(":v1@sha256:00".into())),
            ("bad_host.io:x/a", E::Host("bad_host.io:x".into())),
            ("r.io/a//b", E::Component(String::new())),
            ("r.io/a/../b", E::Component("..".into())),
            ("r.io/a___b", E::Component("a___b".into())),
            ("{{ .Values.image }}", E::Component("{{ .Values.image }}".into())),
        ];
        for (text, want) in cases {
            assert_eq!(Repository::parse(text), Err(want), "{text}");
        }
    }

    #[test]
    fn docker_hub_answers_elsewhere() {
        let hub = Repository::parse("nginx").unwrap();
        assert_eq!(
            (hub.registry(), hub.api_host(), hub.base_name()),
            ("docker.io", "registry-1.docker.io", "nginx")
        );
    }
}
