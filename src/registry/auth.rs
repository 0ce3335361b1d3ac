//! Challenges and tokens, by the
//! [token specification](https://distribution.github.io/distribution/spec/auth/token/).

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::Url;

use super::ScanError;
use super::credentials::{Credential, FoundCredential};
use super::page::read_capped;
use super::realm::{self, Realm};
use crate::http;
use crate::secret::Secret;

/// What the specification says a token lives without `expires_in`, and at least, as docker has it: a
/// token that ends sooner would be fetched for every request.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);

/// A token is not used in the last moments of its life.
const SLACK: Duration = Duration::from_secs(10);

/// A token answer is a few kilobytes.
const MAX_ANSWER: usize = 1 << 20;

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Anonymously.
    Open,
    /// With user and password.
    Basic,
    /// With a token for each repository.
    Bearer {
        /// Where tokens come from.
        realm: Realm,
        /// What the token server calls this registry.
        service: Option<String>,
    },
}

/// A token and when it ends.
#[derive(Clone)]
pub(super) struct Token {
    value: Secret,
    until: Instant,
}

impl Challenge {
    /// Reads the challenges of a 401. Bearer is preferred, as registries that offer both mean it.
    pub(super) fn read(
        headers: &HeaderMap,
        registry: &Url,
        token_hosts: &[String],
    ) -> Result<Self, ScanError> {
        let texts =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<_> =
            texts.filter_map(|text| http_auth::parse_challenges(text).ok()).flatten().collect();
        let named =
            |scheme: &str| challenges.iter().find(|c| c.scheme.eq_ignore_ascii_case(scheme));
        if let Some(bearer) = named("bearer") {
            let param = |name: &str| {
                let found = bearer.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            let realm = param("realm").unwrap_or_default();
            let realm =
                realm::judge(&realm, registry, token_hosts).map_err(ScanError::Unauthorized)?;
            return Ok(Self::Bearer { realm, service: param("service") });
        }
        match named("basic") {
            Some(_) => Ok(Self::Basic),
            None => Err(ScanError::Unauthorized(
                "the registry does not say how to log in (401)".to_owned(),
            )),
        }
    }
}

impl Token {
    /// Whether it can still be used for a request.
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() + SLACK < self.until
    }

    pub(super) fn header(&self) -> Option<HeaderValue> {
        http::bearer(&self.value)
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// The `Authorization` header for user and password.
pub(super) fn basic(credential: &Credential) -> Option<HeaderValue> {
    let Credential::Password(user, password) = credential else { return None };
    http::basic(user, password)
}

/// Gets a token to pull from one repository, with the credential where the realm is trusted.
pub(super) async fn token(
    client: &reqwest::Client,
    realm: &Realm,
    service: Option<&str>,
    path: &str,
    found: Option<&FoundCredential>,
) -> Result<Token, ScanError> {
    let scope = format!("repository:{path}:pull");
    let found = found.filter(|_| realm.trusted);
    let request = match found.map(|found| &found.credential) {
        Some(Credential::Identity(refresh)) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").append_pair("scope", &scope);
            form.append_pair("service", service.unwrap_or_default())
                .append_pair("client_id", "tagalong");
            form.append_pair("refresh_token", refresh.expose());
            let kind = "application/x-www-form-urlencoded";
            client.post(realm.url.clone()).header("content-type", kind).body(form.finish())
        }
        other => {
            let mut url = realm.url.clone();
            url.query_pairs_mut().append_pair("scope", &scope);
            if let Some(service) = service {
                url.query_pairs_mut().append_pair("service", service);
            }
            let header = other.and_then(basic);
            let request = client.get(url);
            match header {
                Some(header) => request.header(AUTHORIZATION, header),
                None => request,
            }
        }
    };
    let answer = request.send().await?;
    let status = answer.status();
    if !status.is_success() {
        return Err(refused(status.as_u16(), found));
    }
    let body = read_capped(answer, MAX_ANSWER).await?;
    let malformed = || ScanError::Malformed("the token server's answer holds no token".to_owned());
    let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_error| malformed())?;
    let texts = [answer.token, answer.access_token];
    let value = texts.into_iter().flatten().find(|token| !token.is_empty());
    let life = answer
        .expires_in
        .map_or(DEFAULT_LIFE, |seconds| Duration::from_secs(seconds.min(86_400)).max(DEFAULT_LIFE));
    Ok(Token { value: value.ok_or_else(malformed)?.into(), until: Instant::now() + life })
}

fn refused(status: u16, found: Option<&FoundCredential>) -> ScanError {
    match (status, found) {
        (429, _) => ScanError::RateLimited(None),
        (500.., _) => ScanError::Unavailable(format!("the token server fails ({status})")),
        (_, Some(found)) => {
            let message =
                format!("the token server refuses the credentials of {} ({status})", found.origin);
            // Other refusals can be about this one repository.
            if status == 401 {
                ScanError::Refused(message)
            } else {
                ScanError::Unauthorized(message)
            }
        }
        (_, None) => {
            let message =
                format!("the token server gives no anonymous token ({status}); log in with docker");
            ScanError::Unauthorized(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> Result<Challenge, ScanError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenge::read(&headers, &Url::parse("https://r.io/v2/").unwrap(), &[])
    }

    #[test]
    fn challenges_of_all_shapes_are_read() {
        let bearer = |text: &'static str| match read(&[text]) {
            Ok(Challenge::Bearer { realm, service }) => (realm.url.to_string(), service),
            other => panic!("{other:?}"),
        };
        let want = ("https://r.io/token".to_owned(), Some("r.io".to_owned()));
        assert_eq!(
            bearer(r#"Bearer realm="https://r.io/token",service="r.io",scope="x:y:z""#),
            want
        );
        assert_eq!(bearer(r#"bearer service="r.io", realm="https://r.io/token""#), want);
        assert_eq!(read(&[r#"Basic realm="x""#]), Ok(Challenge::Basic));
        let both = [r#"Basic realm="x""#, r#"Bearer realm="https://r.io/t""#];
        assert!(matches!(read(&both), Ok(Challenge::Bearer { .. })));
        for bad in
            [&[][..], &["Digest realm=x"], &["Bearer"], &[r#"Bearer realm="http://10.0.0.1/""#]]
        {
            assert!(matches!(read(bad), Err(ScanError::Unauthorized(_))), "{bad:?}");
        }
    }
}
