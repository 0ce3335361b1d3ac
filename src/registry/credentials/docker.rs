//! The files in which docker and podman keep logins
//! ([config.json](https://docs.docker.com/reference/cli/docker/login/),
//! [auth.json](https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md)).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Credential, FoundCredential};
use crate::secret::{Secret, Variables};

/// The name of Docker Hub in references, and those that files have for it.
const HUB: &str = "docker.io";
const HUB_NAMES: [&str; 3] = ["index.docker.io", "registry-1.docker.io", HUB];

/// What helpers call Docker Hub.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// A larger file holds something else, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A variable with a whole file in it.
const INLINE: &str = "DOCKER_AUTH_CONFIG";
/// A variable that names the one file that counts.
const NAMED: &str = "REGISTRY_AUTH_FILE";

/// The files, in the order in which they count.
pub(super) struct AuthFiles(Vec<(PathBuf, AuthFile)>);

/// What is stored for a registry.
pub(super) enum Stored {
    /// The login itself.
    Login(FoundCredential),
    /// A program that knows it.
    Helper {
        /// The program's name, behind `docker-credential-`.
        name: String,
        /// What the program calls the registry.
        server: String,
        /// Whether it was named for this registry alone, so that nobody else is asked.
        is_for_this: bool,
    },
}

/// The parts that matter here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthFile {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    #[serde(rename = "auth")]
    pair: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl AuthFiles {
    /// Reads what there is.
    ///
    /// # Errors
    /// When a file is there and cannot be read; the message names it, and nothing that it holds.
    pub(super) fn read(variables: &Variables) -> Result<Self, String> {
        let mut files = Vec::new();
        // As GitLab's runners and docker's own command line have it.
        if let Some(text) = variables.get(INLINE) {
            files.push((PathBuf::from(INLINE), parse(text.as_bytes(), INLINE)?));
        }
        let is_named = variables.get(NAMED).is_some();
        for path in paths(variables) {
            let size = match std::fs::metadata(&path) {
                Ok(found) if found.is_file() => found.len(),
                Ok(_) => continue,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => continue,
                Err(error) => return Err(format!("{}: {error}", path.display())),
            };
            if size > MAX_FILE {
                return Err(format!("{}: more than {MAX_FILE} bytes", path.display()));
            }
            let failed = |why: String| format!("{}: {why}", path.display());
            let text = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
            let file = parse(&text, &path.display().to_string())?;
            files.push((path, file));
        }
        Ok(Self(files))
    }

    /// What is stored for a repository, by its registry's host and its path: the entry with the
    /// longest name that covers it, of the first file that has one.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<Option<Stored>, String> {
        let host = canonical(host);
        for (at, file) in &self.0 {
            if let Some(stored) = file.find(at, host, path)? {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }
}

impl AuthFile {
    fn find(&self, at: &Path, host: &str, path: &str) -> Result<Option<Stored>, String> {
        let server = if host == HUB { HUB_SERVER } else { host };
        let helper = |name: &String, is_for_this| Stored::Helper {
            name: name.clone(),
            server: server.to_owned(),
            is_for_this,
        };
        if let Some((_, name)) = self.cred_helpers.iter().find(|(key, _)| named(key) == host) {
            return Ok(Some(helper(name, true)));
        }
        let full = format!("{host}/{path}");
        let covers =
            |key: &str| full.strip_prefix(key).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        let entries = self.auths.iter().map(|(key, auth)| (named(key), key, auth));
        let entries = entries.filter(|(name, _, auth)| covers(name) && !auth.is_empty());
        // Of two spellings of one registry, the plain one.
        let nearest = entries.max_by_key(|(name, key, _)| (name.len(), name == *key));
        if let Some((_, _, auth)) = nearest {
            let login = auth.read(at).map_err(|why| format!("{}: {why}", at.display()))?;
            return Ok(Some(Stored::Login(login)));
        }
        Ok((!self.creds_store.is_empty()).then(|| helper(&self.creds_store, false)))
    }
}

impl Auth {
    /// Docker leaves an empty entry where a helper holds the login.
    fn is_empty(&self) -> bool {
        let all = [&self.pair, &self.username, &self.identitytoken, &self.registrytoken];
        all.iter().all(|text| text.is_empty())
    }

    fn read(&self, at: &Path) -> Result<FoundCredential, &'static str> {
        let origin = at.display().to_string();
        let token = |text: &String| Secret::from(text.clone());
        let credential = if !self.identitytoken.is_empty() {
            Credential::Identity(token(&self.identitytoken))
        } else if !self.registrytoken.is_empty() {
            Credential::Bearer(token(&self.registrytoken))
        } else if self.pair.is_empty() {
            Credential::Password(self.username.clone(), token(&self.password))
        } else {
            let wrong = "an `auth` is not the base64 of `user:password`";
            let pair = STANDARD.decode(self.pair.trim()).map_err(|_error| wrong)?;
            let pair = String::from_utf8(pair).map_err(|_error| wrong)?;
            let (user, password) = pair.split_once(':').ok_or(wrong)?;
            let password = password.trim_end_matches('\0').to_owned();
            Credential::Password(user.to_owned(), Secret::from(password))
        };
        Ok(FoundCredential { credential, origin })
    }
}

fn parse(text: &[u8], name: &str) -> Result<AuthFile, String> {
    // What the parser says can quote the file.
    serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("{name}: no such JSON as docker writes (line {line}, column {column})")
    })
}

/// Where the files are: podman's before docker's.
fn paths(variables: &Variables) -> Vec<PathBuf> {
    if let Some(file) = variables.get(NAMED) {
        return vec![PathBuf::from(file)];
    }
    let under = |name: &str| variables.get(name).map(PathBuf::from);
    let home = under("HOME");
    let config =
        under("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    let podman = [under("XDG_RUNTIME_DIR"), config];
    let podman = podman.into_iter().flatten().map(|path| path.join("containers/auth.json"));
    let docker = under("DOCKER_CONFIG").or_else(|| home.map(|home| home.join(".docker")));
    podman.chain(docker.map(|path| path.join("config.json"))).collect()
}

/// The registry, and perhaps the path, that a key names. Old docker wrote a URL, of which the host
/// counts.
fn named(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = match bare {
        Some(bare) => (bare.split('/').next().unwrap_or_default(), ""),
        None => {
            key.trim_end_matches('/').split_once('/').unwrap_or((key.trim_end_matches('/'), ""))
        }
    };
    let host = host.to_ascii_lowercase();
    let host = canonical(&host);
    match path {
        "" | "v1" | "v2" => host.to_owned(),
        path => format!("{host}/{path}"),
    }
}

fn canonical(host: &str) -> &str {
    if HUB_NAMES.contains(&host) { HUB } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str, host: &str, path: &str) -> String {
        let file: AuthFile = serde_json::from_str(json).unwrap();
        match AuthFiles(vec![("f".into(), file)]).find(host, path) {
            Ok(Some(Stored::Login(found))) => match found.credential {
                Credential::Password(user, password) => format!("{user}:{}", password.expose()),
                Credential::Identity(token) => format!("identity {}", token.expose()),
                Credential::Bearer(token) => format!("bearer {}", token.expose()),
            },
            Ok(Some(Stored::Helper { name, server, is_for_this })) => {
                format!("{name} {server} {is_for_this}")
            }
            Ok(None) => "none".to_owned(),
            Err(why) => why,
        }
    }

    #[test]
    fn the_longest_name_that_covers_a_repository_counts() {
        // `auth` is the base64 of a:1, b:2, c:3.
        let json = r#"{"auths": {
            "r.io": {"auth": "YTox"}, "r.io/team": {"auth": "Yjoy"}, "r.io/team/app": {"auth": "Yzoz"},
            "https://old.io/v1/": {"auth": "YTox"}, "http://plain.io": {"username": "u", "password": "p"},
            "https://index.docker.io/v1/": {"auth": "YTox"}, "id.io": {"auth": "YTox", "identitytoken": "t"},
            "reg.io": {"registrytoken": "t"}, "nul.io": {"auth": "YToxAAA="}, "UP.io": {"auth": "YTox"},
            "bad.io": {"auth": "%%%"}, "half.io": {"auth": "YQ=="}, "empty.io": {}}}"#;
        for (host, path, want) in [
            ("r.io", "other/app", "a:1"),
            ("r.io", "team/x", "b:2"),
            ("r.io", "team/app", "c:3"),
            ("r.io", "team/app/sub", "c:3"),
            ("r.io", "teams/app", "a:1"),
            ("r.io:5000", "team/app", "none"),
            ("r.io.evil.example", "team/app", "none"),
            ("old.io", "a", "a:1"),
            ("plain.io", "a", "u:p"),
            ("registry-1.docker.io", "library/nginx", "a:1"),
            ("id.io", "a", "identity t"),
            ("reg.io", "a", "bearer t"),
            ("nul.io", "a", "a:1"),
            ("up.io", "a", "a:1"),
            ("bad.io", "a", "f: an `auth` is not the base64 of `user:password`"),
            ("half.io", "a", "f: an `auth` is not the base64 of `user:password`"),
            ("empty.io", "a", "none"),
            ("none.io", "a", "none"),
        ] {
            assert_eq!(found(json, host, path), want, "{host}/{path}");
        }
    }

    #[test]
    fn helpers_are_for_one_registry_or_for_all() {
        let json = r#"{"credsStore": "desktop", "credHelpers": {"r.io": "ecr-login", "docker.io": "hub"},
            "auths": {"a.io": {"auth": "YTox"}, "b.io": {}}}"#;
        for (host, want) in [
            ("r.io", "ecr-login r.io true"),
            ("registry-1.docker.io", "hub https://index.docker.io/v1/ true"),
            ("a.io", "a:1"),
            ("b.io", "desktop b.io false"),
            ("c.io", "desktop c.io false"),
        ] {
            assert_eq!(found(json, host, "x"), want, "{host}");
        }
    }

    #[test]
    fn podmans_files_come_first() {
        let variables = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Variables>()
        };
        let list = |pairs: &[(&str, &str)]| {
            let paths = paths(&variables(pairs));
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            list(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/1")]),
            [
                "/run/1/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json"
            ]
        );
        assert_eq!(
            list(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d"), ("XDG_CONFIG_HOME", "/x")]),
            ["/x/containers/auth.json", "/d/config.json"]
        );
        assert_eq!(list(&[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "/a")]), ["/a"]);
        assert_eq!(list(&[]), Vec::<String>::new());
    }
}
