//! How a registry wants to be asked, and the request that it then gets.

use std::sync::atomic::Ordering;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Response, StatusCode};
use url::Url;

use super::auth::{self, Challenge};
use super::budget::Budget;
use super::client::{Ask, MAX_REDIRECTS, RETRIES};
use super::credentials::{Asking, Credential, FoundCredential};
use super::host::{Endpoint, Host, lock};
use super::{Registry, ScanError, realm};
use crate::http;

impl Registry {
    /// Asks once, logging in when the registry wants it.
    pub(super) async fn ask_once(
        &self,
        host: &Host,
        ask: &Ask<'_>,
    ) -> Result<(Url, Response), ScanError> {
        if !ask.is_protocol {
            return self.ask_beside(host, ask).await;
        }
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
        if matches!(endpoint.challenge, Challenge::Bearer { .. }) {
            host.tokens.lock().await.remove(ask.repository.path());
        }
        let challenge = Challenge::read(answer.headers(), &endpoint.base, host.token_hosts())?;
        if challenge == endpoint.challenge && !matches!(challenge, Challenge::Bearer { .. }) {
            return Ok((url, answer));
        }
        let was_open = endpoint.challenge == Challenge::Open;
        let endpoint = Endpoint { challenge, ..endpoint };
        let answer = self.authorized(host, ask, &endpoint, &url).await?;
        // Tokens are to be had without a login as well, so the next request starts with one.
        if was_open && matches!(endpoint.challenge, Challenge::Bearer { .. }) {
            host.endpoint.lock().await.known = Some(Ok(endpoint));
        }
        Ok((url, answer))
    }

    /// Asks an interface of the registry beside the protocol. Harbor's takes the password of the
    /// protocol, without asking for it.
    async fn ask_beside(&self, host: &Host, ask: &Ask<'_>) -> Result<(Url, Response), ScanError> {
        let known = host.endpoint.lock().await.known.clone().and_then(Result::ok);
        let base = known.map(|endpoint| endpoint.base).or_else(|| host.bases().into_iter().next());
        let base = base.ok_or_else(no_address)?;
        let url = join(&base, ask.path)?;
        // Which product it is must not be the word of who may only write to the repository.
        let found = if host.product.shares_login && host.is_ours {
            self.credential(host, ask, &base).await?
        } else {
            None
        };
        let basic = found.and_then(|found| Some((auth::basic(&found.credential)?, found)));
        let answer = match basic {
            Some((header, found)) => self.send_login(host, ask, &url, header, &found).await?,
            None => self.send(host, ask, &url, None).await?,
        };
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
        let mut last = no_address();
        for base in host.bases() {
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
                    Challenge::read(answer.headers(), &base, host.token_hosts())
                }
                _ => Ok(Challenge::Open),
            };
            let endpoint = challenge.map(|challenge| Endpoint { base, challenge });
            // One who is overloaded has not said yet how it wants to be asked.
            let status = answer.status();
            if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                probe.known = Some(endpoint.clone());
            }
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
                let found = self.credential(host, ask, &endpoint.base).await?;
                let header = found.as_ref().and_then(|found| auth::basic(&found.credential));
                return match (header, found) {
                    (Some(header), Some(found)) => {
                        self.send_login(host, ask, url, header, &found).await
                    }
                    (_, found) => Err(missing(host, found.as_ref())),
                };
            }
            Challenge::Bearer { .. } => self.token(host, ask, endpoint).await?,
        };
        self.send(host, ask, url, authorization).await
    }

    /// Sends user and password.
    async fn send_login(
        &self,
        host: &Host,
        ask: &Ask<'_>,
        url: &Url,
        header: HeaderValue,
        found: &FoundCredential,
    ) -> Result<Response, ScanError> {
        let send = async {
            let answer = self.send(host, ask, url, Some(header)).await?;
            match answer.status() {
                StatusCode::UNAUTHORIZED => Err(refused(found)),
                _ => Ok(answer),
            }
        };
        proven(host, found, send).await
    }

    /// A token for a repository.
    async fn token(
        &self,
        host: &Host,
        ask: &Ask<'_>,
        endpoint: &Endpoint,
    ) -> Result<Option<HeaderValue>, ScanError> {
        let Challenge::Bearer { realm, service } = &endpoint.challenge else { return Ok(None) };
        let path = ask.repository.path();
        let cached = host.tokens.lock().await.get(path).filter(|token| token.is_fresh()).cloned();
        if let Some(token) = cached {
            return Ok(token.header());
        }
        let found = self.credential(host, ask, &endpoint.base).await?;
        if let Some(FoundCredential { credential: Credential::Bearer(token), .. }) = &found {
            return Ok(http::bearer(token));
        }
        if found.is_some() && !realm.trusted {
            tracing::warn!(
                registry = host.name,
                token_server = realm.url.host_str(),
                "asking for an anonymous token: credentials go to the registry's own token server \
                 only; --token-host allows another"
            );
        }
        let client = if realm.trusted {
            host.client(&realm.url).await?
        } else {
            host.elsewhere(&realm.url).await?
        };
        host.turn().await;
        self.count(host, ask.repository, |cost| cost.requests += 1);
        let token = auth::token(client, realm, service.as_deref(), path, found.as_ref());
        let token = match &found {
            Some(found) if realm.trusted => proven(host, found, token).await?,
            _ => token.await?,
        };
        host.tokens.lock().await.insert(path.to_owned(), token.clone());
        Ok(token.header())
    }

    async fn credential(
        &self,
        host: &Host,
        ask: &Ask<'_>,
        base: &Url,
    ) -> Result<Option<FoundCredential>, ScanError> {
        if host.anonymous {
            return Ok(None);
        }
        let path = ask.repository.path();
        let client = host.client(base).await?;
        let asking = Asking { host: &host.name, path, base, client };
        // Rarely needed, and large.
        Box::pin(self.credentials.find(&asking)).await
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
            let client =
                if foreign { host.elsewhere(&at).await? } else { host.client(&at).await? };
            let mut request =
                client.request(ask.method.clone(), at.clone()).header(ACCEPT, ask.accept);
            if let Some(value) = authorization.as_ref().filter(|_| !foreign) {
                request = request.header(AUTHORIZATION, value.clone());
            }
            if let Some(etag) = ask.etag {
                request = request.header(IF_NONE_MATCH, etag);
            }
            host.turn().await;
            tracing::debug!(method = %ask.method, url = %shown(&at, foreign), "asking the registry");
            self.count(host, ask.repository, |cost| cost.requests += 1);
            let answer = request.send().await?;
            if !foreign {
                self.learn(host, &answer);
            }
            // 304 is no redirection: it says that nothing changed.
            if !answer.status().is_redirection() || answer.status() == StatusCode::NOT_MODIFIED {
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

    /// Remembers what the registry's own answers say beside their content.
    fn learn(&self, host: &Host, answer: &Response) {
        if let Some(ahead) = self.ahead(answer.headers()) {
            host.ahead.store(ahead, Ordering::Relaxed);
        }
        if let Some(budget) = Budget::read(answer.headers(), self.options.now) {
            *lock(&host.budget) = budget;
        }
    }
}

/// Sends a login. While the first request finds out whether it is taken, the others wait: a wrong
/// password that is sent for every image locks the account out.
async fn proven<T>(
    host: &Host,
    found: &FoundCredential,
    ask: impl Future<Output = Result<T, ScanError>>,
) -> Result<T, ScanError> {
    let login = found.fingerprint();
    let mut logins = host.logins.lock().await;
    if let Some(known) = logins.get(&login).cloned() {
        drop(logins);
        known?;
        return ask.await;
    }
    let answer = ask.await;
    match &answer {
        Ok(_) => logins.insert(login, Ok(())),
        Err(error @ ScanError::Refused(_)) => logins.insert(login, Err(error.clone())),
        Err(_) => None,
    };
    answer
}

/// A login that is there and that the registry does not take.
fn refused(found: &FoundCredential) -> ScanError {
    ScanError::Refused(format!("the registry refuses the login of {} (401)", found.origin))
}

/// A login that is wanted, and is not there or of another kind.
fn missing(host: &Host, found: Option<&FoundCredential>) -> ScanError {
    let name = &host.name;
    ScanError::Unauthorized(match found {
        Some(found) => format!(
            "{name} wants a user and a password, and {} holds a token for something else",
            found.origin
        ),
        None if host.anonymous => {
            format!("{name} wants a login, and its entry in `registries` says to send none")
        }
        None => format!("{name} wants a login, and none is known; `docker login {name}` keeps one"),
    })
}

/// An address for the log. What a registry redirects to can have a signature in its query.
fn shown(url: &Url, foreign: bool) -> String {
    let mut url = url.clone();
    if foreign {
        url.set_query(None);
    }
    url.to_string()
}

fn no_address() -> ScanError {
    ScanError::Unavailable("the registry has no address".to_owned())
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
