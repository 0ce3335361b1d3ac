//! The client: requests with the right credentials, bounded retries, and nothing followed blindly.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex as Lock};
use std::time::{Duration, Instant};

use backon::BackoffBuilder as _;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::cache::CachedPages as Kept;
use super::credentials::Credentials;
use super::host::{Host, lock};
use super::layout::Layouts;
use super::listing::List;
use super::manifest::MAX_MANIFEST;
use super::page::{MAX_PAGE, Page, Pages};
use super::usage::{Cost, Usage};
use super::{Options, ScanError};
use crate::choose::Listing;
use crate::image::{Digest, Repository, Tag};
use crate::policy::{Mirror, Times};
use crate::store::Store;

/// Media types of everything a tag can point at. An index is preferred: its digest is the one that
/// stands for all platforms.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// The header that names what an answer holds.
const DIGEST: &str = "docker-content-digest";

/// A run waits this long when a registry asks it to; longer waits are for the next run.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// No registry means more than a day, in seconds; clocks cannot add every number.
const LONGEST_TOLD: u64 = 86_400;
/// A list that takes longer is not to be had whole.
const LONGEST_WALK: Duration = Duration::from_mins(10);
pub(super) const RETRIES: usize = 3;
pub(super) const MAX_REDIRECTS: usize = 5;

/// A client for all registries of a run.
pub struct Registry {
    pub(super) options: Options,
    pub(super) credentials: Credentials,
    pub(super) cache: Option<Store>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    usage: Lock<Usage>,
}

/// One request, without its credentials.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// Path and query; behind `/v2/` when it does not start with a slash.
    pub(super) path: &'a str,
    pub(super) accept: &'static str,
    pub(super) repository: &'a Repository,
    /// What was answered last time, as far as it can be asked for.
    pub(super) etag: Option<&'a str>,
    /// Whether it is of the distribution protocol, with its logins.
    pub(super) is_protocol: bool,
}

/// What all manifests have in common.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versioned {
    schema_version: u32,
}

/// Where an image repository is looked up.
pub(super) enum LookupSource {
    /// At a registry, by this name.
    Registry(Repository),
    /// In directories.
    Layouts(Layouts),
}

impl<'a> Ask<'a> {
    /// A request of the protocol.
    pub(super) fn new(
        method: Method,
        path: &'a str,
        accept: &'static str,
        repository: &'a Repository,
    ) -> Self {
        Self { method, path, accept, repository, etag: None, is_protocol: true }
    }
}

impl Registry {
    /// A client.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let (variables, packages) = (options.variables.clone(), options.packages.clone());
        let credentials = Credentials::new(variables, packages, options.now);
        let cache = options.cache.clone();
        let clock = options.clock.map(|(then, _)| then.into());
        let cache = cache.and_then(|directory| Store::open(directory, clock));
        let (hosts, usage) = (Mutex::default(), Lock::default());
        Self { options, credentials, cache, hosts, usage }
    }

    /// Lists every tag of a repository, page by page, with the registry's times where they matter and
    /// it has some.
    ///
    /// # Errors
    /// When the list cannot be had whole.
    pub async fn tags(&self, repository: &Repository, times: Times) -> Result<Listing, ScanError> {
        let asked = match self.source(repository)? {
            LookupSource::Registry(asked) => asked,
            LookupSource::Layouts(layouts) => return layouts.tags(),
        };
        let host = self.host(&asked).await;
        let own = host.product.timed.filter(|_| times != Times::Unneeded);
        if let Some((list, place)) = own.and_then(|list| Some((list, list.place(&asked)?))) {
            match self.walk(&place, list).await {
                Ok(listing) => return Ok(listing),
                // Its times are a help; without the right to see them, the tags are still there. An
                // order by them does not change because they were out of reach for a moment.
                Err(error) if times != Times::Needed || !error.is_transient() => {
                    tracing::info!(%repository, %error, "no times from the registry");
                }
                Err(error) => return Err(error),
            }
        }
        self.walk(&asked, host.product.plain).await
    }

    /// Follows the pages of a list to its end.
    async fn walk(&self, repository: &Repository, list: List) -> Result<Listing, ScanError> {
        let host = self.host(repository).await;
        let _permit = host.permits.acquire().await;
        let walked = tokio::time::timeout(LONGEST_WALK, self.pages(&host, repository, list)).await;
        walked.unwrap_or_else(|_elapsed| {
            let minutes = LONGEST_WALK.as_secs() / 60;
            Err(ScanError::Incomplete(format!("it takes longer than {minutes} minutes")))
        })
    }

    async fn pages(
        &self,
        host: &Host,
        repository: &Repository,
        list: List,
    ) -> Result<Listing, ScanError> {
        let name = format!("{list:?} {}/{}", host.name, repository.path());
        let known = self.cache.as_ref().map(|store| Kept::kept(store, &name)).unwrap_or_default();
        let mut keep = HashMap::new();
        let mut path = list.first(repository.path());
        let mut pages = Pages::new(&path);
        loop {
            let page = self.page(host, repository, list, &path, known.get(&path)).await?;
            let next = pages.add(&path, &page)?;
            if self.cache.is_some() && page.is_worth_keeping() {
                keep.insert(path, page);
            }
            match next {
                Some(next) => path = next,
                None => break,
            }
        }
        if let Some(store) = &self.cache {
            Kept::keep(store, &name, keep);
        }
        Ok(pages.finish())
    }

    /// One page: the one of an earlier run, when the registry says that it has not changed.
    async fn page(
        &self,
        host: &Host,
        repository: &Repository,
        list: List,
        path: &str,
        known: Option<&Page>,
    ) -> Result<Page, ScanError> {
        let etag = known.map(|page| page.etag.as_str());
        let ask = Ask::new(Method::GET, path, "application/json", repository);
        let ask = Ask { etag, is_protocol: list.is_protocol(), ..ask };
        let (url, answer) = self.ask(host, &ask).await?;
        self.count(host, repository, |cost| cost.pages += 1);
        if answer.status() == StatusCode::NOT_MODIFIED {
            self.count(host, repository, |cost| cost.cache_hits += 1);
            let lie = || ScanError::Malformed("the registry repeats what it never said".to_owned());
            return known.cloned().ok_or_else(lie);
        }
        let headers = answer.headers().clone();
        let body = self.read(host, repository, answer, MAX_PAGE).await?;
        list.read(&headers, &body, &url)
    }

    /// The digest behind a tag, by `HEAD`, which Docker Hub does not count as a pull.
    ///
    /// # Errors
    /// When the registry does not say, or says something that is not a digest.
    pub async fn digest(&self, repository: &Repository, tag: &Tag) -> Result<Digest, ScanError> {
        let asked = match self.source(repository)? {
            LookupSource::Registry(asked) => asked,
            LookupSource::Layouts(layouts) => return layouts.digest(tag),
        };
        let host = self.host(&asked).await;
        let _permit = host.permits.acquire().await;
        let path = format!("{}/manifests/{tag}", asked.path());
        let none = || ScanError::Malformed("the registry does not name the digest".to_owned());
        match self.ask(&host, &Ask::new(Method::HEAD, &path, MANIFESTS, &asked)).await {
            Ok((_, answer)) if answer.headers().contains_key(DIGEST) => {
                return named_digest(answer.headers()).ok_or_else(none);
            }
            // Not everybody names it, which the specification leaves free, and proxies refuse the method.
            Ok(_) | Err(ScanError::NoHead) => {}
            Err(error) => return Err(error),
        }
        let (_, answer) = self.ask(&host, &Ask::new(Method::GET, &path, MANIFESTS, &asked)).await?;
        let bytes = self.read(&host, &asked, answer, MAX_MANIFEST).await?;
        let is_manifest = serde_json::from_slice::<Versioned>(&bytes)
            .is_ok_and(|manifest| manifest.schema_version == 2);
        Digest::of("sha256", &bytes).filter(|_| is_manifest).ok_or_else(none)
    }

    /// Whether a repository has a digest, by one request.
    ///
    /// # Errors
    /// When the registry does not say.
    pub async fn has(&self, repository: &Repository, digest: &Digest) -> Result<bool, ScanError> {
        let asked = match self.source(repository)? {
            LookupSource::Registry(asked) => asked,
            LookupSource::Layouts(layouts) => {
                return Ok(layouts.content(digest, MAX_MANIFEST).is_ok());
            }
        };
        let host = self.host(&asked).await;
        let _permit = host.permits.acquire().await;
        let path = format!("{}/manifests/{digest}", asked.path());
        let by = |method| Ask::new(method, &path, MANIFESTS, &asked);
        let answer = match self.ask(&host, &by(Method::HEAD)).await {
            Err(ScanError::NoHead) => self.ask(&host, &by(Method::GET)).await,
            answer => answer,
        };
        match answer {
            Ok(_) => Ok(true),
            Err(ScanError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where a repository is looked up: at its mirror, when it has one.
    pub(super) fn source(&self, repository: &Repository) -> Result<LookupSource, ScanError> {
        let name = repository.to_string();
        let Some((mirror, rest)) = self.options.mirror(&name) else {
            return Ok(LookupSource::Registry(repository.clone()));
        };
        let rest = rest.trim_start_matches('/');
        match mirror {
            Mirror::Layouts(directory) => {
                Ok(LookupSource::Layouts(Layouts::new(directory, rest, &name)))
            }
            Mirror::Registry(prefix) => {
                // An entry for exactly one repository names exactly one.
                let name = format!("{prefix}/{rest}");
                let mirrored = Repository::parse(name.trim_end_matches('/'));
                let wrong =
                    |error| ScanError::Malformed(format!("its mirror has no such name: {error}"));
                mirrored.map(LookupSource::Registry).map_err(wrong)
            }
        }
    }

    /// How far the clock of a repository's registry is ahead of ours, in seconds, by its last answer.
    pub async fn seconds_ahead(&self, repository: &Repository) -> i64 {
        let Ok(LookupSource::Registry(asked)) = self.source(repository) else { return 0 };
        let hosts = self.hosts.lock().await;
        hosts.get(asked.api_host()).map_or(0, |host| host.ahead.load(Ordering::Relaxed))
    }

    /// What was asked so far, and what it cost.
    pub async fn usage(&self) -> Usage {
        let mut usage = lock(&self.usage).clone();
        for (name, host) in self.hosts.lock().await.iter() {
            if let Some(asked) = usage.get_mut(name) {
                let budget = *lock(&host.budget);
                (asked.remaining, asked.limit) = (budget.remaining, budget.limit);
            }
        }
        usage
    }

    /// Removes from the cache what nobody uses.
    pub fn prune(&self) {
        if let Some(cache) = &self.cache {
            cache.prune();
        }
    }

    /// Adds to what an image costs.
    pub(super) fn count(&self, host: &Host, repository: &Repository, add: impl FnOnce(&mut Cost)) {
        let mut usage = lock(&self.usage);
        // Names are only copied the first time.
        if !usage.contains_key(&host.name) {
            usage.insert(host.name.clone(), super::usage::Asked::default());
        }
        let Some(asked) = usage.get_mut(&host.name) else { return };
        if let Some(cost) = asked.images.get_mut(repository) {
            return add(cost);
        }
        let mut cost = Cost::default();
        add(&mut cost);
        asked.images.insert(repository.clone(), cost);
    }

    /// How far an answer's date is ahead of our clock. That is the one at the start of the run, moved
    /// on by a clock that does not jump.
    pub(super) fn ahead(&self, headers: &HeaderMap) -> Option<i64> {
        let date = headers.get(DATE)?.to_str().ok()?;
        let date = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
        let (then, since) = self.options.clock?;
        let elapsed = i64::try_from(since.elapsed().as_secs()).ok()?;
        Some(date.as_second() - then.as_second() - elapsed)
    }

    pub(super) async fn host(&self, repository: &Repository) -> Arc<Host> {
        let mut hosts = self.hosts.lock().await;
        if let Some(host) = hosts.get(repository.api_host()) {
            return Arc::clone(host);
        }
        let host = Arc::new(Host::new(repository, &self.options));
        hosts.insert(host.name.clone(), Arc::clone(&host));
        host
    }

    /// Reads a body up to a limit.
    pub(super) async fn read(
        &self,
        host: &Host,
        repository: &Repository,
        answer: Response,
        limit: usize,
    ) -> Result<Vec<u8>, ScanError> {
        let body = super::page::read_capped(answer, limit).await?;
        self.count(host, repository, |cost| cost.bytes += body.len() as u64);
        Ok(body)
    }

    /// Asks until there is an answer, a final refusal, or no patience left.
    pub(super) async fn ask(
        &self,
        host: &Host,
        ask: &Ask<'_>,
    ) -> Result<(Url, Response), ScanError> {
        if let Some(error) = host.given_up() {
            return Err(error);
        }
        let since = Instant::now();
        let answer = self.ask_patiently(host, ask).await;
        host.note(answer.as_ref().err());
        self.count(host, ask.repository, |cost| cost.time += since.elapsed());
        answer
    }

    async fn ask_patiently(
        &self,
        host: &Host,
        ask: &Ask<'_>,
    ) -> Result<(Url, Response), ScanError> {
        let backoff = backon::ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(250));
        let mut pauses = backoff.with_max_times(RETRIES).build();
        loop {
            let wait = host.pause();
            if wait > LONGEST_WAIT {
                return Err(ScanError::RateLimited(Some(wait.as_secs())));
            }
            tokio::time::sleep(wait.max(spare(host, ask)?)).await;
            let (error, told) = match self.ask_once(host, ask).await {
                Ok((url, answer)) => match failure(&answer, ask) {
                    None => return Ok((url, answer)),
                    Some(error) => (error, retry_after(answer.headers())),
                },
                Err(error) => (error, None),
            };
            let pause = pauses.next().filter(|_| error.is_transient());
            // A limit is the host's: the next image waits for it as well, however this one ends.
            match (&error, told.or(pause)) {
                (ScanError::RateLimited(_), Some(told)) => host.hold_off(told),
                (ScanError::RateLimited(_), None) => host.hold_off(2 * LONGEST_WAIT),
                _ => {}
            }
            let Some(pause) = pause else { return Err(error) };
            tracing::debug!(host = host.name, path = ask.path, %error, "asking again");
            if !matches!(error, ScanError::RateLimited(_)) {
                tokio::time::sleep(told.unwrap_or(pause).min(LONGEST_WAIT)).await;
            }
        }
    }
}

/// Leaves a registry in peace that allows only a few requests still: how long to wait, unless that is
/// too long.
fn spare(host: &Host, ask: &Ask<'_>) -> Result<Duration, ScanError> {
    let counts = !host.product.counts_manifests
        || ask.method == Method::GET && ask.path.contains("/manifests/");
    let budget = *lock(&host.budget);
    match budget.pause().filter(|_| counts) {
        Some(pause) if pause > LONGEST_WAIT => Err(ScanError::Spared {
            remaining: budget.remaining.unwrap_or(0),
            seconds: pause.as_secs(),
        }),
        pause => Ok(pause.unwrap_or_default()),
    }
}

/// The digest that an answer names.
pub(super) fn named_digest(headers: &HeaderMap) -> Option<Digest> {
    let digest = headers.get(DIGEST).and_then(|value| value.to_str().ok());
    digest.and_then(Digest::parse)
}

/// What an answer means when it is not the one that was hoped for.
fn failure(answer: &Response, ask: &Ask<'_>) -> Option<ScanError> {
    let status = answer.status();
    match status.as_u16() {
        200..=299 => None,
        304 if ask.etag.is_some() => None,
        405 | 501 if ask.method == Method::HEAD => Some(ScanError::NoHead),
        401 => Some(ScanError::Unauthorized("the registry refuses the login (401)".to_owned())),
        403 => Some(ScanError::Denied),
        404 => Some(ScanError::NotFound),
        408 | 500..=599 => Some(ScanError::Unavailable(format!("the registry fails ({status})"))),
        429 => {
            let seconds = retry_after(answer.headers()).map(|wait| wait.as_secs());
            Some(ScanError::RateLimited(seconds))
        }
        _ => Some(ScanError::Malformed(format!("the registry answers {status}"))),
    }
}

/// How long `Retry-After` says to wait, in either form
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)). A date is compared with
/// the answer's own, so that no clock has to be right.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let told = text(RETRY_AFTER)?;
    if let Ok(seconds) = told.parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(LONGEST_TOLD)));
    }
    let date = |text| jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_second());
    let seconds = date(told)? - date(text(DATE)?)?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(LONGEST_TOLD)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let told = |retry: &'static str, now: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(retry));
            headers.insert(DATE, HeaderValue::from_static(now));
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(told("120", now), Some(120));
        assert_eq!(told("Sun, 06 Nov 1994 08:50:07 GMT", now), Some(30));
        assert_eq!(told("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(0));
        assert_eq!(told("18446744073709551615", now), Some(86_400));
        assert_eq!(told("soon", now), None);
    }
}
