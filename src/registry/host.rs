//! What is known of one registry during a run.

use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

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
    /// Asks it, and the token server that is vouched for.
    pub(super) client: reqwest::Client,
    /// Asks other hosts that it names.
    pub(super) elsewhere: reqwest::Client,
    /// Bounds how many requests are under way.
    pub(super) permits: Semaphore,
    /// When it may be asked again, after it said that it is asked too often.
    pub(super) not_before: Mutex<Option<Instant>>,
    /// How it wants to be asked. Locked while the first request finds out, so that the others do
    /// not all run into the same challenge.
    pub(super) endpoint: Mutex<Probe>,
    /// Tokens by repository path.
    pub(super) tokens: Mutex<HashMap<String, Token>>,
    /// Looked up once, when the registry asks for it.
    pub(super) credential: tokio::sync::OnceCell<Option<Credential>>,
    /// Whether a credential may be sent at all.
    pub(super) anonymous: bool,
    /// How far its clock is ahead of ours, in seconds, by its last answer.
    pub(super) ahead: AtomicI64,
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
        let bounded = |builder: reqwest::ClientBuilder| {
            builder.timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()
        };
        Ok(Self {
            name: name.to_owned(),
            client: bounded(http::client(name))?,
            elsewhere: bounded(http::client_outside())?,
            permits: Semaphore::new(AT_ONCE),
            not_before: Mutex::default(),
            endpoint: Mutex::default(),
            tokens: Mutex::new(HashMap::new()),
            credential: tokio::sync::OnceCell::new(),
            anonymous: listed(&options.plain_http_anonymous)
                && !listed(&options.plain_http)
                && !http::is_loopback(name),
            ahead: AtomicI64::new(0),
        })
    }

    /// Notes that nobody asks before a time.
    pub(super) async fn hold_off(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut not_before = self.not_before.lock().await;
        *not_before = Some(not_before.map_or(until, |known| known.max(until)));
    }

    /// How long to wait before the next request.
    pub(super) async fn pause(&self) -> Duration {
        let not_before = *self.not_before.lock().await;
        not_before.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
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
