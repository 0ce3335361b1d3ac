//! What is special about registries: said by the repository's `tagalong.yaml`, which anybody who may
//! write to the repository can change, or by the operator's own file.

use std::path::PathBuf;

use super::file::{Places, PolicyFile, sole};
use super::raw::{ProxyAddress, RawRegistries, RawRegistry, RegistryKind};
use crate::diagnostic::{Code, Diagnostic};
use crate::image::Repository;

/// How a mirror that is a directory is written.
const LAYOUT: &str = "oci:";

/// What is special about one registry, or about the repositories under a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Host with port, as references name it, and perhaps the start of a path.
    pub prefix: String,
    /// What is asked instead.
    pub mirror: Option<Mirror>,
    /// The product, where somebody says it.
    pub kind: Option<RegistryKind>,
    /// Whether no credential is sent.
    pub anonymous: bool,
    /// Whether to ask over plain HTTP.
    pub plain_http: bool,
    /// The most requests at once.
    pub concurrency: Option<u32>,
    /// The most requests in a second.
    pub requests_per_second: Option<u32>,
    /// What only the operator may say.
    pub connection: Connection,
    /// Whether the operator says all this.
    pub by_operator: bool,
}

/// What is asked instead of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// Another registry, with what is put before the path.
    Registry(String),
    /// A directory with OCI image layouts.
    Layouts(PathBuf),
}

/// How a registry is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Host and port to connect to, instead of what the name resolves to.
    pub address: Option<String>,
    /// A file with certificate authorities.
    pub ca: Option<PathBuf>,
    /// Files with a certificate to show, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The proxy; `none` for no proxy.
    pub proxy: Option<ProxyAddress>,
    /// Hosts of token servers that credentials may go to.
    pub token_hosts: Vec<String>,
}

impl RegistrySettings {
    /// Settings that say nothing yet.
    #[must_use]
    pub fn of(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            mirror: None,
            kind: None,
            anonymous: false,
            plain_http: false,
            concurrency: None,
            requests_per_second: None,
            connection: Connection::default(),
            by_operator: false,
        }
    }

    /// What the operator says about a host, so far nothing.
    ///
    /// # Errors
    /// When it is not the host of a registry.
    pub fn by_operator(host: &str) -> Result<Self, String> {
        Ok(Self { by_operator: true, ..Self::of(&prefix(host)?) })
    }

    /// Whether a repository, as `host/path`, is under the prefix.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Reads the operator's file.
///
/// # Errors
/// Every problem of the file.
pub fn read_registries(file: &PolicyFile) -> Result<Vec<RegistrySettings>, Vec<Diagnostic>> {
    sole::<RawRegistries, _>(file, |raw, places| {
        let mut problems = Vec::new();
        let read = of_raw(raw.registries, places, true, &mut problems);
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    })
}

/// Reads the entries of either file.
pub(super) fn of_raw(
    raw: Vec<RawRegistry>,
    places: Option<Places<'_>>,
    by_operator: bool,
    problems: &mut Vec<Diagnostic>,
) -> Vec<RegistrySettings> {
    let mut all: Vec<RegistrySettings> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let index = index.to_string();
        let mut problem = |key: &str, problem: Diagnostic| {
            let place = places.map(|places| places.of(&["registries", &index, key]));
            problems.push(Diagnostic { place, ..problem });
        };
        if !by_operator {
            for key in reserved(&raw) {
                problem(key, not_here(key));
            }
        }
        match registry(raw, by_operator) {
            Ok(read) if all.iter().any(|other| other.prefix == read.prefix) => {
                problem("host", invalid(format!("`{}` stands twice", read.prefix)));
            }
            Ok(read) => all.push(read),
            Err((key, why)) => problem(key, invalid(why)),
        }
    }
    all
}

/// The keys of an entry that only the operator may use.
fn reserved(raw: &RawRegistry) -> Vec<&'static str> {
    let is_layout = raw.mirror.as_ref().is_some_and(|mirror| mirror.starts_with(LAYOUT));
    let keys = [
        ("address", raw.address.is_some()),
        ("ca", raw.ca.is_some()),
        ("clientCertificate", raw.client_certificate.is_some()),
        ("clientKey", raw.client_key.is_some()),
        ("proxy", raw.proxy.is_some()),
        ("tokenHosts", !raw.token_hosts.is_empty()),
        ("mirror", is_layout),
    ];
    keys.into_iter().filter_map(|(key, is_used)| is_used.then_some(key)).collect()
}

/// The keys of an entry that say how a whole host is asked.
fn of_whole_hosts(raw: &RawRegistry) -> Vec<&'static str> {
    let keys = [
        ("kind", raw.kind.is_some()),
        ("anonymous", raw.anonymous),
        ("plainHttp", raw.plain_http),
        ("concurrency", raw.concurrency.is_some()),
        ("requestsPerSecond", raw.requests_per_second.is_some()),
    ];
    let keys = keys.into_iter().filter_map(|(key, is_used)| is_used.then_some(key));
    keys.chain(reserved(raw).into_iter().filter(|key| *key != "mirror")).collect()
}

/// An address is where a host is; a port that the host has is the address's as well.
fn check_address(address: &str, host: &str) -> Result<(), String> {
    let port = |text: &str| text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    match (port(address), port(host)) {
        (Some(said), Some(own)) if said != own => {
            Err(format!("the port is {own}, as `host` has it, and not {said}"))
        }
        (Some(_), _) => Ok(()),
        (None, own) => {
            Err(format!("write the address with its port: `{address}:{}`", own.unwrap_or(443)))
        }
    }
}

fn not_here(key: &str) -> Diagnostic {
    invalid(format!("`{key}` is for the operator to say, not for the repository"))
        .help("put this entry into the file that `--registries` names")
}

fn invalid(message: String) -> Diagnostic {
    Diagnostic::error(Code::PolicyInvalidValue, message)
}

fn registry(
    raw: RawRegistry,
    by_operator: bool,
) -> Result<RegistrySettings, (&'static str, String)> {
    let mirror = raw.mirror.as_deref().map(mirror).transpose().map_err(|why| ("mirror", why))?;
    let prefix = prefix(&raw.host).map_err(|why| ("host", why))?;
    if prefix.contains('/')
        && let Some(key) = of_whole_hosts(&raw).first()
    {
        return Err((key, format!("`{key}` is for a whole host; a part of one can have a mirror")));
    }
    if let Some(address) = &raw.address {
        check_address(address, &prefix).map_err(|why| ("address", why))?;
    }
    let client = match (raw.client_certificate, raw.client_key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            return Err(("clientCertificate", "`clientKey` is missing beside it".to_owned()));
        }
        (None, Some(_)) => {
            return Err(("clientKey", "`clientCertificate` is missing beside it".to_owned()));
        }
    };
    Ok(RegistrySettings {
        prefix,
        mirror,
        kind: raw.kind,
        anonymous: raw.anonymous,
        plain_http: raw.plain_http,
        concurrency: raw.concurrency,
        requests_per_second: raw.requests_per_second,
        connection: Connection {
            address: raw.address,
            ca: raw.ca,
            client,
            proxy: raw.proxy,
            token_hosts: raw.token_hosts,
        },
        by_operator,
    })
}

/// A registry, or a registry and the start of a path, in the canonical form of references.
fn prefix(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("write the host without `{scheme}://`"));
    }
    // A last component tells a host without a path from a path without a host.
    let host = text.split('/').next().unwrap_or_default();
    let is_host = host.contains(['.', ':']) || host == "localhost";
    let probe = Repository::parse(&format!("{text}/x/y")).map_err(|error| error.to_string())?;
    if !is_host {
        return Err(format!("`{host}` is not the host of a registry"));
    }
    let whole = probe.to_string();
    Ok(whole.strip_suffix("/x/y").unwrap_or_default().to_owned())
}

fn mirror(text: &str) -> Result<Mirror, String> {
    match text.strip_prefix(LAYOUT) {
        Some("") => Err("`oci:` needs a directory".to_owned()),
        Some(directory) => Ok(Mirror::Layouts(PathBuf::from(directory))),
        None => prefix(text).map(Mirror::Registry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_prefixes_have_one_form() {
        for (text, want) in [
            ("registry.internal:5000", Ok("registry.internal:5000")),
            ("Docker.io", Ok("docker.io")),
            ("index.docker.io", Ok("docker.io")),
            ("docker.io/library", Ok("docker.io/library")),
            ("r.io/hub/", Ok("r.io/hub")),
            ("localhost", Ok("localhost")),
            ("https://r.io", Err("write the host without `https://`")),
            ("acme", Err("`acme` is not the host of a registry")),
            ("r.io/UP", Err("`UP` is not a part of an image name")),
        ] {
            match (prefix(text), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{text}"),
                (Err(got), Err(want)) => assert!(got.contains(want), "{text}: {got}"),
                (got, want) => panic!("{text}: {got:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn the_password_of_a_proxy_is_not_shown() {
        let text = "registries:\n- host: r.io\n  proxy: http://bot:canary@proxy:3128\n";
        let read = read_registries(&PolicyFile::new("r", text)).unwrap();
        assert!(!format!("{read:?}").contains("canary"));
    }

    #[test]
    fn a_prefix_ends_at_a_component() {
        let settings = RegistrySettings::of("r.io/hub");
        for (name, want) in
            [("r.io/hub/a", true), ("r.io/hub", true), ("r.io/hubs/a", false), ("r.io/a", false)]
        {
            assert_eq!(settings.covers(name), want, "{name}");
        }
    }

    #[test]
    fn the_operator_may_say_more_than_the_repository() {
        let text = "registries:\n- host: r.io\n  ca: ca.pem\n  proxy: none\n- host: a.io\n  mirror: 'oci:/images'\n";
        let read = read_registries(&PolicyFile::new("registries.yaml", text)).unwrap();
        assert_eq!(read[1].mirror, Some(Mirror::Layouts("/images".into())));
        let settings = super::super::RepositorySettings::read(Some(&PolicyFile::new("t", text)));
        let problems = settings.unwrap_err();
        let lines: Vec<_> = problems.iter().map(|p| p.place.as_ref().unwrap().line).collect();
        assert_eq!(lines, [3, 4, 6]);
        for (text, line) in [
            ("registries:\n- host: r.io\n- host: r.io\n", 3),
            ("registries:\n- host: r.io\n  clientKey: k.pem\n", 3),
            ("registries:\n- host: r.io\n  kind: nexus\n", 3),
            ("registries:\n- host: r.io\n  concurrency: 0\n", 3),
            ("registries:\n- host: r.io/hub\n  anonymous: true\n", 3),
            ("registries:\n- host: r.io/hub\n  mirror: m.io\n  ca: ca.pem\n", 4),
            ("registries:\n- host: r.io:443\n  address: 10.0.0.5:5000\n", 3),
            ("registries:\n- host: r.io:5000\n  address: 10.0.0.5\n", 3),
            ("registries:\n- host: r.io\npolicies: []\n", 3),
        ] {
            let problems = read_registries(&PolicyFile::new("r", text)).unwrap_err();
            assert_eq!(problems[0].place.as_ref().unwrap().line, line, "{text}");
        }
    }
}
