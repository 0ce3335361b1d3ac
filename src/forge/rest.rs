//! JSON over HTTP, for the forges of which no kept client leaves limits, redirects and retries in our hand.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ForgeFault;
use crate::http;
use crate::settings::ForgeSettings;
use crate::text::one_line;

const TIMEOUT: Duration = Duration::from_mins(1);

/// The largest answer, in bytes: a hundred pull requests with full descriptions.
const MAX_ANSWER: usize = 128 << 20;

/// A client that shows the token to the API alone: it follows no redirect.
pub(super) struct RestClient {
    client: Client,
    token: Option<HeaderValue>,
}

/// An answer, whatever its status.
pub(super) struct RestAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl RestClient {
    /// # Errors
    /// The address cannot be used.
    pub(super) fn new(settings: &ForgeSettings) -> Result<Self, ForgeFault> {
        let client = http::client(settings.api_url.authority()).timeout(TIMEOUT);
        let client = client.redirect(Policy::none()).build();
        let client = client.map_err(|error| ForgeFault::Unavailable(error.to_string()))?;
        Ok(Self { client, token: settings.token.as_ref().and_then(http::bearer) })
    }

    /// # Errors
    /// There is no connection, or the answer is too large.
    pub(super) async fn send(
        &self,
        method: Method,
        at: &str,
        body: Option<&Value>,
    ) -> Result<RestAnswer, ForgeFault> {
        tracing::debug!(%method, at, "asking the forge");
        let mut request = self.client.request(method, at);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut answer = request.send().await.map_err(|error| broken(&error.without_url()))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(|error| broken(&error.without_url()))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                let why = format!("an answer of more than {MAX_ANSWER} bytes");
                return Err(ForgeFault::Unavailable(why));
            }
        }
        Ok(RestAnswer { status, headers, body })
    }
}

impl RestAnswer {
    /// Reads the body, which is JSON or nothing. `variable` is the setting that says where the server is.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn json<T: DeserializeOwned>(&self, variable: &str) -> Result<T, ForgeFault> {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default();
        if !self.body.is_empty() && !kind.contains("json") {
            let why =
                format!("its answer is `{}` and no JSON; is {variable} right?", one_line(kind));
            return Err(ForgeFault::Unavailable(why));
        }
        let body = if self.body.is_empty() { b"null" } else { &self.body[..] };
        let unread =
            |error| ForgeFault::Unavailable(format!("an answer that cannot be read: {error}"));
        serde_json::from_slice(body).map_err(unread)
    }

    /// Words of an error, which servers put into one of several fields, as a text, a list, or lists by field.
    pub(super) fn said(&self) -> String {
        let Ok(value) = serde_json::from_slice::<Value>(&self.body) else { return String::new() };
        let mut words = Vec::new();
        for key in ["message", "error", "error_description", "errors"] {
            collect(&value[key], &mut words);
        }
        one_line(&words.join("; "))
    }

    /// The seconds that a limit lasts
    /// (<https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers>).
    pub(super) fn wait(&self) -> Option<u64> {
        let text = |name: &str| self.headers.get(name)?.to_str().ok();
        let told = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
        told.or_else(|| {
            let at: i64 = text("ratelimit-reset")?.parse().ok()?;
            let now: Timestamp = jiff::fmt::rfc2822::parse(text(DATE.as_str())?).ok()?.timestamp();
            u64::try_from(at.saturating_sub(now.as_second())).ok()
        })
    }
}

fn collect(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) => words.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| collect(one, words)),
        Value::Object(fields) => fields.values().for_each(|one| collect(one, words)),
        _ => {}
    }
}

/// The fault of a connection.
fn broken(error: &reqwest::Error) -> ForgeFault {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ForgeFault::Unavailable(one_line(&cause.to_string()))
}

/// A text as one part of a path.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_how_long_it_lasts() {
        let wait = |all: &[(&'static str, &'static str)]| {
            let headers = all.iter();
            let headers =
                headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let headers = headers.collect();
            RestAnswer { status: StatusCode::TOO_MANY_REQUESTS, headers, body: Vec::new() }.wait()
        };
        let date = ("date", "Tue, 05 Aug 2025 21:00:00 GMT");
        assert_eq!(wait(&[("retry-after", "30"), date]), Some(30));
        assert_eq!(wait(&[("ratelimit-reset", "1754427660"), date]), Some(60));
        assert_eq!(wait(&[date]), None);
    }
}
