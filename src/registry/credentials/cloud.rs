//! What the clouds' identity services have in common.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use url::Url;

use crate::http;
use crate::registry::page::read_capped;

/// A whole request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A machine's own metadata server answers at once, or is not there.
const METADATA_CONNECT: Duration = Duration::from_secs(1);

/// An answer is a few kilobytes, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Why there is no identity.
pub(super) enum Missing {
    /// Nobody answers there: this machine is somewhere else.
    NotHere,
    /// Somebody answers, and does not give one. The message holds nothing of the answer.
    Refused(String),
}

/// A client for the service at an address. A metadata server is not behind a proxy.
pub(super) fn client(url: &Url) -> Result<Client, String> {
    let builder = http::client(url.authority());
    let is_inside = url.host().is_some_and(|host| http::is_internal(&host));
    let builder =
        if is_inside { builder.no_proxy().connect_timeout(METADATA_CONNECT) } else { builder };
    let builder = builder.timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    builder.build().map_err(|error| error.to_string())
}

/// Sends a request and reads its answer; `who` is asked.
pub(super) async fn ask<T: DeserializeOwned>(
    who: &str,
    request: RequestBuilder,
) -> Result<T, Missing> {
    ask_if_there(who, request, false).await
}

/// The same; when it is a guess that somebody is there, one who knows no identity is nobody.
pub(super) async fn ask_if_there<T: DeserializeOwned>(
    who: &str,
    request: RequestBuilder,
    is_guess: bool,
) -> Result<T, Missing> {
    let answer = request.send().await.map_err(|error| match error {
        error if error.is_connect() => Missing::NotHere,
        _ => Missing::Refused(format!("{who} did not answer")),
    })?;
    let status = answer.status();
    // A metadata server of another cloud, or of a machine without an identity.
    if is_guess && matches!(status.as_u16(), 400 | 404) {
        return Err(Missing::NotHere);
    }
    if !status.is_success() {
        return Err(Missing::Refused(format!("{who} gives no identity ({status})")));
    }
    let unreadable = || Missing::Refused(format!("{who} gave an answer that cannot be read"));
    let body = read_capped(answer, MAX_ANSWER).await.map_err(|_error| unreadable())?;
    serde_json::from_slice(&body).map_err(|_error| unreadable())
}

/// A form as a body.
pub(super) fn form(request: RequestBuilder, pairs: &[(&str, &str)]) -> RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// An address that a variable or a file names.
pub(super) fn url(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|_error| "an address of the identity service is no URL".to_owned())
}

impl Missing {
    /// The message; for a service that must be there, its absence is a failure as well.
    pub(super) fn of(self, who: &str) -> String {
        match self {
            Self::NotHere => format!("{who} cannot be reached"),
            Self::Refused(why) => why,
        }
    }
}
