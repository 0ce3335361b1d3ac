//! What is known of one registry during a run.

use std::collections::HashMap;
use std::net::ToSocketAddrs as _;
use std::num::NonZeroU32;
use std::sync::Mutex as Lock;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy};
use tokio::sync::{Mutex, OnceCell, Semaphore};
use url::Url;

use super::auth::{Challenge, Token};
use super::budget::Budget;
use super::kind::{self, Cloud, Product};
use super::listing::HUB_API;
use super::{Options, ScanError};
use crate::http;
use crate::image::Repository;
use crate::policy::{Connection, RegistrySettings};

/// Requests to one registry at once; a registry that serves a team takes this without notice.
const AT_ONCE: u32 = 8;

/// Requests a second to Amazon's registries, which allow so many of most kinds
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>).
const ECR_RATE: u32 = 20;

/// After so many requests in a row without an answer, each of them repeated, a registry is left alone.
const GIVE_UP: usize = 8;

/// A whole request.
const TIMEOUT: Duration = Duration::from_mins(1);

/// One registry.
pub(super) struct Host {
    /// Host and port of its API.
    pub(super) name: String,
    /// The product, by its name or by what somebody says.
    pub(super) product: Product,
    /// What the clients are made from.
    settings: RegistrySettings,
    /// Asks it over HTTPS, and the token server that is vouched for. Made when needed: to read the
    /// machine's certificates takes longer than a short list.
    secure: OnceCell<Client>,
    /// Asks it over plain HTTP, and trusts no certificate.
    plain: OnceCell<Client>,
    /// Asks other hosts that it names.
    elsewhere: OnceCell<Client>,
    /// Bounds how many requests are under way.
    pub(super) permits: Semaphore,
    /// Bounds how many are sent in a second.
    rate: Option<DefaultDirectRateLimiter>,
    /// How many requests in a row had no answer, and why the last one had none.
    failed: Lock<(usize, Option<ScanError>)>,
    /// When it may be asked again, after it said that it is asked too often.
    not_before: Lock<Option<Instant>>,
    /// What it still allows.
    pub(super) budget: Lock<Budget>,
    /// How it wants to be asked. Locked while the first request finds out, so that the others do
    /// not all run into the same challenge.
    pub(super) endpoint: Mutex<Probe>,
    /// Tokens by repository path.
    pub(super) tokens: Mutex<HashMap<String, Token>>,
    /// Whether each login is taken. Locked while the first request with it finds out.
    pub(super) logins: Mutex<HashMap<[u8; 32], Result<(), ScanError>>>,
    /// Whether a credential may be sent at all.
    pub(super) anonymous: bool,
    /// Whether who runs this vouches for what is said of it.
    pub(super) is_ours: bool,
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
    /// The registry of a repository.
    pub(super) fn new(repository: &Repository, options: &Options) -> Self {
        let name = repository.api_host();
        let settings = settings(repository.registry(), options);
        let is_ours = settings.by_operator || http::is_loopback(name);
        Self {
            name: name.to_owned(),
            product: kind::product(settings.kind.unwrap_or_else(|| kind::of_host(name))),
            secure: OnceCell::new(),
            plain: OnceCell::new(),
            elsewhere: OnceCell::new(),
            permits: Semaphore::new(settings.concurrency.unwrap_or(AT_ONCE) as usize),
            rate: rate(name, &settings).map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            failed: Lock::default(),
            not_before: Lock::default(),
            budget: Lock::default(),
            endpoint: Mutex::default(),
            tokens: Mutex::new(HashMap::new()),
            anonymous: settings.anonymous || settings.plain_http && !is_ours,
            is_ours,
            logins: Mutex::default(),
            ahead: AtomicI64::new(0),
            settings,
        }
    }

    /// The client for an address of the registry itself, or of a token server that is vouched for.
    pub(super) async fn client(&self, url: &Url) -> Result<&Client, ScanError> {
        if !self.is_ours && http::is_metadata(&self.name) {
            let why =
                "it is link-local or a cloud's metadata, which only the operator's file may name";
            return Err(unusable(why));
        }
        let make = async |is_secure| {
            if !self.is_ours && http::leads_to_metadata(&self.name).await {
                return Err(unusable(
                    "its name leads to a link-local address or a cloud's metadata",
                ));
            }
            let builder =
                connected(http::client(&self.name), &self.settings.connection, is_secure)?;
            let builder = if self.is_ours { builder } else { http::without_metadata(builder) };
            bounded(itself(builder, &self.name, &self.settings, is_secure)?)
        };
        match url.scheme() {
            "http" => self.plain.get_or_try_init(|| make(false)).await,
            _ => self.secure.get_or_try_init(|| make(true)).await,
        }
    }

    /// The client for other hosts that the registry names, for one of these.
    pub(super) async fn elsewhere(&self, url: &Url) -> Result<&Client, ScanError> {
        let is_outside = match url.host() {
            Some(host) => http::leads_outside(&host).await,
            None => false,
        };
        if !is_outside {
            let host = url.host_str().unwrap_or_default();
            return Err(ScanError::Malformed(format!(
                "the registry names {host}, which leads to an address inside the network"
            )));
        }
        let make =
            async || bounded(connected(http::client_outside(), &self.settings.connection, true)?);
        self.elsewhere.get_or_try_init(make).await
    }

    /// Hosts of token servers that credentials may go to.
    pub(super) fn token_hosts(&self) -> &[String] {
        &self.settings.connection.token_hosts
    }

    /// Notes that nobody asks before a time.
    pub(super) fn hold_off(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut not_before = lock(&self.not_before);
        *not_before = Some(not_before.map_or(until, |known| known.max(until)));
    }

    /// How long to wait before the next request.
    pub(super) fn pause(&self) -> Duration {
        let not_before = *lock(&self.not_before);
        not_before.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Why nobody asks this registry any more: so many requests in a row had no answer that each
    /// further image would only wait for nothing.
    pub(super) fn given_up(&self) -> Option<ScanError> {
        let failed = lock(&self.failed);
        failed.1.clone().filter(|_| failed.0 >= GIVE_UP)
    }

    /// Notes how a request ended, after all that was tried for it.
    pub(super) fn note(&self, error: Option<&ScanError>) {
        let error = error.filter(|error| error.is_transient()).cloned();
        let mut failed = lock(&self.failed);
        let count = if error.is_some() { failed.0 + 1 } else { 0 };
        *failed = (count, error);
    }

    /// Waits until a request fits into the rate.
    pub(super) async fn turn(&self) {
        if let Some(rate) = &self.rate {
            rate.until_ready().await;
        }
    }

    /// The addresses to try for the first request, in order.
    ///
    /// A registry on this machine is asked over plain HTTP, and over HTTPS when it does not
    /// understand that. Others are asked over plain HTTP only where somebody says so.
    pub(super) fn bases(&self) -> Vec<Url> {
        let schemes: &[&str] = match (self.settings.plain_http, http::is_loopback(&self.name)) {
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

/// What is said of a registry; of Docker Hub's other host, what is said of Docker Hub.
fn settings(registry: &str, options: &Options) -> RegistrySettings {
    if registry != HUB_API {
        return options.settings(registry);
    }
    let mut settings = options.settings("docker.io");
    settings.connection.address = None;
    settings
}

fn bounded(builder: ClientBuilder) -> Result<Client, ScanError> {
    let builder = builder.timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    // Not every cause is a connection's: a certificate may be the reason.
    builder.build().map_err(|error| unusable(&error.to_string()))
}

/// Locks what nobody holds while something can fail.
pub(super) fn lock<T>(shared: &Lock<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The client for the registry itself.
fn itself(
    mut builder: ClientBuilder,
    name: &str,
    settings: &RegistrySettings,
    is_secure: bool,
) -> Result<ClientBuilder, ScanError> {
    if let Some(address) = &settings.connection.address {
        let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
        let at = found.ok_or_else(|| unusable(&format!("{address} is no address")))?;
        let host = Url::parse(&format!("http://{name}/")).ok();
        let host = host.as_ref().and_then(Url::host_str).unwrap_or(name);
        builder = builder.resolve(host, at);
    }
    if let Some((certificate, key)) = settings.connection.client.as_ref().filter(|_| is_secure) {
        let mut pem = read(key)?;
        pem.push(b'\n');
        pem.extend(read(certificate)?);
        let wrong = |_error| unusable("the client's certificate and key are not in PEM");
        builder = builder.identity(Identity::from_pem(&pem).map_err(wrong)?);
    }
    Ok(builder)
}

/// What holds for every connection that is made for a registry.
fn connected(
    mut builder: ClientBuilder,
    connection: &Connection,
    is_secure: bool,
) -> Result<ClientBuilder, ScanError> {
    if !is_secure {
        builder = builder.tls_certs_only([]);
    } else if let Some(ca) = &connection.ca {
        let wrong = |_error| unusable(&format!("{} is not in PEM", ca.display()));
        let certificates = Certificate::from_pem_bundle(&read(ca)?).map_err(wrong)?;
        if certificates.is_empty() {
            return Err(unusable(&format!("{} holds no certificate", ca.display())));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    match connection.proxy.as_ref().map(|proxy| proxy.0.as_str()) {
        // Who says where a host is means the way there as well.
        None if connection.address.is_some() => Ok(builder.no_proxy()),
        None => Ok(builder),
        Some("none") => Ok(builder.no_proxy()),
        Some(proxy) => {
            // The address of a proxy can hold a password.
            let proxy = Proxy::all(proxy).map_err(|_error| unusable("the proxy is no address"))?;
            Ok(builder.proxy(proxy))
        }
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, ScanError> {
    std::fs::read(path).map_err(|error| unusable(&format!("{}: {error}", path.display())))
}

/// Something in the operator's file about this registry cannot be used.
fn unusable(why: &str) -> ScanError {
    ScanError::Malformed(format!("what is set up for this registry cannot be used: {why}"))
}

fn rate(name: &str, settings: &RegistrySettings) -> Option<NonZeroU32> {
    let usual = match kind::cloud(name) {
        Some(Cloud::Ecr(_) | Cloud::EcrPublic) => Some(ECR_RATE),
        _ => None,
    };
    settings.requests_per_second.or(usual).and_then(NonZeroU32::new)
}
