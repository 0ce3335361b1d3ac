//! What is known of one registry during a run.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use url::Url;

use super::auth::{Challenge, Token};
use super::credentials::Credential;
use super::{Options, ScanError};
use crate::http;

/// Requests to one registry at once; a registry that serves a team takes this without notice.
const AT_ONCE: usize = 8;

/// A whole request.
const TIMEOUT: Duration = Duration::from_mins(1);

/// One registry.
pub(super) struct Host {
    /// Host and port of its API.
    pub(super) name: String,
    /// Asks it, and its token server.
    pub(super) client: reqwest::Client,
    /// Bounds how many requests are under way.
    pub(super) permits: Semaphore,
    /// How it wants to be asked. Locked while the first request finds out, so that the others do
    /// not all run into the same challenge.
    pub(super) endpoint: Mutex<Probe>,
    /// Tokens by repository path.
    pub(super) tokens: Mutex<HashMap<String, Token>>,
    /// Looked up once, when the registry asks for it.
    pub(super) credential: tokio::sync::OnceCell<Option<Credential>>,
    /// Whether a credential may be sent at all.
    pub(super) anonymous: bool,
}

/// What the first requests found out.
#[derive(Debug, Default)]
pub(super) struct Probe {
    pub(super) known: Option<Result<Endpoint, ScanError>>,
    /// How often it could not be reached.
    pub(super) failures: usize,
}

/// Where a registry answers, and how it wants to be asked.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) base: Url,
    pub(super) challenge: Challenge,
}

impl Host {
    pub(super) fn new(name: &str, options: &Options) -> Result<Self, ScanError> {
        let listed = |hosts: &[String]| hosts.iter().any(|host| host == name);
        let client =
            http::client(name).timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
        Ok(Self {
            name: name.to_owned(),
            client: client.build()?,
            permits: Semaphore::new(AT_ONCE),
            endpoint: Mutex::default(),
            tokens: Mutex::new(HashMap::new()),
            credential: tokio::sync::OnceCell::new(),
            anonymous: listed(&options.plain_http_anonymous)
                && !listed(&options.plain_http)
                && !http::is_loopback(name),
        })
    }

    /// The addresses to try for the first request, in order.
    ///
    /// A registry on this machine is asked over plain HTTP, and over HTTPS when it does not
    /// understand that. Others are asked over plain HTTP only where somebody says so.
    pub(super) fn bases(&self, options: &Options) -> Vec<Url> {
        let plain = [&options.plain_http, &options.plain_http_anonymous];
        let plain = plain.iter().any(|hosts| hosts.contains(&self.name));
        let schemes: &[&str] = match (plain, http::is_loopback(&self.name)) {
            (true, _) => &["http"],
            (false, true) => &["http", "https"],
            (false, false) => &["https"],
        };
        schemes
            .iter()
            .filter_map(|scheme| Url::parse(&format!("{scheme}://{}/v2/", self.name)).ok())
            .collect()
    }
}
