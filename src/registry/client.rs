//! The client: requests with the right credentials, bounded retries, and nothing followed blindly.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::BackoffBuilder as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::Mutex;
use url::Url;

use super::auth::{self, Challenge};
use super::host::{Endpoint, Host};
use super::page::Pages;
use super::{Options, ScanError, credentials, realm};
use crate::choose::Listing;
use crate::image::{Digest, Repository, Tag};

/// Registries cap a page themselves; ECR refuses more than this.
const PAGE_SIZE: &str = "1000";

/// Media types of everything a tag can point at. An index is preferred: its digest is the one that
/// stands for all platforms.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A run waits this long when a registry asks it to; longer waits are for the next run.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// No registry means more than a day, in seconds; clocks cannot add every number.
const LONGEST_TOLD: u64 = 86_400;
const RETRIES: usize = 3;
const MAX_REDIRECTS: usize = 5;

/// A client for all registries of a run.
pub struct Registry {
    options: Options,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

/// One request, without its credentials.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// Path and query behind `/v2/`.
    pub(super) path: &'a str,
    pub(super) accept: &'static str,
    pub(super) repository: &'a Repository,
}

impl Registry {
    /// A client.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, hosts: Mutex::default() }
    }

    /// Lists every tag of a repository, page by page.
    ///
    /// # Errors
    /// When the list cannot be had whole.
    pub async fn tags(&self, repository: &Repository) -> Result<Listing, ScanError> {
        let host = self.host(repository.api_host()).await?;
        let _permit = host.permits.acquire().await;
        // Docker Hub answers with all tags at once unless it is told a page size.
        let query = if repository.registry() == "docker.io" {
            String::new()
        } else {
            format!("?n={PAGE_SIZE}")
        };
        let mut path = format!("{}/tags/list{query}", repository.path());
        let mut pages: Option<Pages> = None;
        loop {
            let ask =
                Ask { method: Method::GET, path: &path, accept: "application/json", repository };
            let (url, page) = self.ask(&host, &ask).await?;
            let pages = pages.get_or_insert_with(|| Pages::new(url.clone()));
            match pages.add(&url, page).await? {
                Some(next) => path = behind_v2(&next),
                None => break,
            }
        }
        Ok(pages.map(Pages::finish).unwrap_or_default())
    }

    /// The digest behind a tag, by `HEAD`, which Docker Hub does not count as a pull.
    ///
    /// # Errors
    /// When the registry does not say, or says something that is not a digest.
    pub async fn digest(&self, repository: &Repository, tag: &Tag) -> Result<Digest, ScanError> {
        let host = self.host(repository.api_host()).await?;
        let _permit = host.permits.acquire().await;
        let path = format!("{}/manifests/{tag}", repository.path());
        let ask = Ask { method: Method::HEAD, path: &path, accept: MANIFESTS, repository };
        let (_, answer) = self.ask(&host, &ask).await?;
        let digest =
            answer.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        digest
            .and_then(Digest::parse)
            .ok_or_else(|| ScanError::Malformed("the registry does not name the digest".to_owned()))
    }

    /// How far the clock of a repository's registry is ahead of ours, in seconds, by its last answer.
    pub async fn seconds_ahead(&self, repository: &Repository) -> i64 {
        let hosts = self.hosts.lock().await;
        hosts.get(repository.api_host()).map_or(0, |host| host.ahead.load(Ordering::Relaxed))
    }

    /// How far an answer's date is ahead of our clock. That is the one at the start of the run, moved
    /// on by a clock that does not jump.
    fn ahead(&self, headers: &HeaderMap) -> Option<i64> {
        let date = headers.get(DATE)?.to_str().ok()?;
        let date = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
        let (then, since) = self.options.clock?;
        let elapsed = i64::try_from(since.elapsed().as_secs()).ok()?;
        Some(date.as_second() - then.as_second() - elapsed)
    }

    pub(super) async fn host(&self, name: &str) -> Result<Arc<Host>, ScanError> {
        let mut hosts = self.hosts.lock().await;
        if let Some(host) = hosts.get(name) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(Host::new(name, &self.options)?);
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok(host)
    }

    /// Asks until there is an answer, a final refusal, or no patience left.
    pub(super) async fn ask(
        &self,
        host: &Host,
        ask: &Ask<'_>,
    ) -> Result<(Url, Response), ScanError> {
        let backoff = backon::ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(250));
        let mut pauses = backoff.with_max_times(RETRIES).build();
        loop {
            let wait = host.pause().await;
            if wait > LONGEST_WAIT {
                return Err(ScanError::RateLimited(Some(wait.as_secs())));
            }
            tokio::time::sleep(wait).await;
            let (error, told) = match self.ask_once(host, ask).await {
                Ok((url, answer)) => match failure(&answer) {
                    None => return Ok((url, answer)),
                    Some(error) => (error, retry_after(answer.headers())),
                },
                Err(error) => (error, None),
            };
            let pause = pauses.next().filter(|_| error.is_transient());
            // A limit is the host's: the next image waits for it as well, however this one ends.
            match (&error, told.or(pause)) {
                (ScanError::RateLimited(_), Some(told)) => host.hold_off(told).await,
                (ScanError::RateLimited(_), None) => host.hold_off(2 * LONGEST_WAIT).await,
                _ => {}
            }
            let Some(pause) = pause else { return Err(error) };
            tracing::debug!(host = host.name, path = ask.path, %error, "asking again");
            if !matches!(error, ScanError::RateLimited(_)) {
                tokio::time::sleep(told.unwrap_or(pause).min(LONGEST_WAIT)).await;
            }
        }
    }

    /// Asks once, logging in when the registry wants it.
    async fn ask_once(&self, host: &Host, ask: &Ask<'_>) -> Result<(Url, Response), ScanError> {
        let (endpoint, first) = self.endpoint(host, ask).await?;
        let url = join(&endpoint.base, ask.path)?;
        if let Some(answer) = first {
            return Ok((url, answer));
        }
        let answer = self.authorized(host, ask, &endpoint, &url).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok((url, answer));
        }
        // A token that ended early, or a repository that is closed on a registry that is not.
        host.tokens.lock().await.remove(ask.repository.path());
        let challenge =
            Challenge::read(answer.headers(), &endpoint.base, &self.options.token_hosts)?;
        if challenge == endpoint.challenge && !matches!(challenge, Challenge::Bearer { .. }) {
            return Ok((url, answer));
        }
        let endpoint = Endpoint { challenge, ..endpoint };
        let answer = self.authorized(host, ask, &endpoint, &url).await?;
        Ok((url, answer))
    }

    /// How the registry wants to be asked. The first request of a run finds out, and its answer is
    /// handed on when no login was needed.
    async fn endpoint(
        &self,
        host: &Host,
        ask: &Ask<'_>,
    ) -> Result<(Endpoint, Option<Response>), ScanError> {
        let mut probe = host.endpoint.lock().await;
        if let Some(known) = &probe.known {
            return known.clone().map(|endpoint| (endpoint, None));
        }
        let mut last = ScanError::Unavailable("the registry has no address".to_owned());
        for base in host.bases(&self.options) {
            let url = join(&base, ask.path)?;
            let answer = match self.send(host, ask, &url, None).await {
                // What a server that speaks TLS says to plain HTTP.
                Ok(answer)
                    if answer.status() == StatusCode::BAD_REQUEST && base.scheme() == "http" =>
                {
                    last = ScanError::Malformed(
                        "the registry does not understand the request (400)".to_owned(),
                    );
                    continue;
                }
                Ok(answer) => answer,
                Err(error @ ScanError::Unavailable(_)) => {
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let challenge = match answer.status() {
                StatusCode::UNAUTHORIZED => {
                    Challenge::read(answer.headers(), &base, &self.options.token_hosts)
                }
                _ => Ok(Challenge::Open),
            };
            let endpoint = challenge.map(|challenge| Endpoint { base, challenge });
            probe.known = Some(endpoint.clone());
            let endpoint = endpoint?;
            let answer = (endpoint.challenge == Challenge::Open).then_some(answer);
            return Ok((endpoint, answer));
        }
        // A host that stays out of reach is not tried again for every image on it.
        probe.failures += 1;
        if probe.failures > RETRIES {
            probe.known = Some(Err(last.clone()));
        }
        Err(last)
    }

    async fn authorized(
        &self,
        host: &Host,
        ask: &Ask<'_>,
        endpoint: &Endpoint,
        url: &Url,
    ) -> Result<Response, ScanError> {
        let authorization = match &endpoint.challenge {
            Challenge::Open => None,
            Challenge::Basic => {
                let credential = self.credential(host).await?;
                let header = credential.as_ref().and_then(auth::basic);
                let missing = || {
                    ScanError::Unauthorized(format!(
                        "{} wants a login; log in with docker",
                        host.name
                    ))
                };
                Some(header.ok_or_else(missing)?)
            }
            Challenge::Bearer { realm, service } => {
                let path = ask.repository.path();
                let cached =
                    host.tokens.lock().await.get(path).filter(|token| token.is_fresh()).cloned();
                let token = match cached {
                    Some(token) => token,
                    None => {
                        let credential = self.credential(host).await?;
                        if credential.is_some() && !realm.trusted {
                            tracing::warn!(
                                registry = host.name,
                                token_server = realm.url.host_str(),
                                "asking for an anonymous token: credentials go to the registry's own \
                                 token server only; --token-host allows another"
                            );
                        }
                        auth::token(
                            if realm.trusted { &host.client } else { &host.elsewhere },
                            realm,
                            service.as_deref(),
                            path,
                            credential.as_ref(),
                        )
                        .await?
                    }
                };
                host.tokens.lock().await.insert(path.to_owned(), token.clone());
                token.header()
            }
        };
        self.send(host, ask, url, authorization).await
    }

    async fn credential(&self, host: &Host) -> Result<Option<credentials::Credential>, ScanError> {
        if host.anonymous {
            return Ok(None);
        }
        host.credential.get_or_try_init(|| credentials::find(&host.name)).await.cloned()
    }

    /// Sends a request; redirects are followed a few times, and leave the credentials behind when
    /// scheme, host or port change.
    async fn send(
        &self,
        host: &Host,
        ask: &Ask<'_>,
        url: &Url,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, ScanError> {
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let foreign = at.origin() != url.origin();
            let client = if foreign { &host.elsewhere } else { &host.client };
            let mut request =
                client.request(ask.method.clone(), at.clone()).header(ACCEPT, ask.accept);
            if let Some(value) = authorization.as_ref().filter(|_| !foreign) {
                request = request.header(AUTHORIZATION, value.clone());
            }
            tracing::debug!(method = %ask.method, url = %at, "asking the registry");
            let answer = request.send().await?;
            if let (Some(ahead), false) = (self.ahead(answer.headers()), foreign) {
                host.ahead.store(ahead, Ordering::Relaxed);
            }
            if !answer.status().is_redirection() {
                if foreign && answer.status() == StatusCode::UNAUTHORIZED {
                    return Err(ScanError::Unauthorized(
                        "the registry redirects to a host that wants a login".to_owned(),
                    ));
                }
                return Ok(answer);
            }
            at = redirect(&at, &answer)?;
        }
        Err(ScanError::Malformed("the registry redirects too often".to_owned()))
    }
}

fn redirect(from: &Url, answer: &Response) -> Result<Url, ScanError> {
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let to = location.and_then(|location| from.join(location).ok());
    to.filter(|to| realm::may_follow(from, to)).ok_or_else(|| {
        ScanError::Malformed("the registry redirects to an address that is not followed".to_owned())
    })
}

fn join(base: &Url, path: &str) -> Result<Url, ScanError> {
    base.join(path).map_err(|error| ScanError::Malformed(error.to_string()))
}

/// Path and query of a page behind `/v2/`, so that it is asked for like the first one.
fn behind_v2(url: &Url) -> String {
    let path = url.path().strip_prefix("/v2/").unwrap_or(url.path());
    url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

/// What an answer means when it is not the one that was hoped for.
fn failure(answer: &Response) -> Option<ScanError> {
    let status = answer.status();
    match status.as_u16() {
        200..=299 => None,
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
