//! Answers of GitLab, and errors among them.

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::forge::ForgeFault;
use crate::repo_id::RepoId;
use crate::text::one_line;

/// The largest answer, in bytes: a hundred merge requests with full descriptions.
const MAX_ANSWER: usize = 128 << 20;

/// An answer of GraphQL, which is 200 also when it lists errors.
#[derive(Deserialize)]
pub(super) struct GraphqlAnswer<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<GraphqlFault>,
}

#[derive(Deserialize)]
struct GraphqlFault {
    message: String,
}

impl<T> GraphqlAnswer<T> {
    /// The data.
    pub(super) fn data(self, of: &RepoId) -> Result<T, ForgeFault> {
        if let Some(first) = self.errors.first() {
            let said = one_line(&first.message);
            let is_hidden = said.contains("don't have permission") || said.contains("not exist");
            return Err(if is_hidden {
                ForgeFault::NotFound(of.to_string())
            } else {
                ForgeFault::Unavailable(said)
            });
        }
        self.data.ok_or_else(|| ForgeFault::Unavailable("an answer without data".to_owned()))
    }
}

/// An answer that was read.
pub(super) struct ReadBody<T> {
    pub(super) body: T,
    /// True if it is a part of a list, and another one comes after it.
    pub(super) has_next: bool,
}

/// Reads an answer.
pub(super) async fn read<T: DeserializeOwned>(
    mut answer: Response,
    of: &RepoId,
) -> Result<ReadBody<T>, ForgeFault> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| broken(&error.without_url()))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(ForgeFault::Unavailable(format!(
                "an answer of more than {MAX_ANSWER} bytes"
            )));
        }
    }
    if !status.is_success() {
        return Err(refusal(status, &headers, &body, of));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !body.is_empty() && !kind.contains("json") {
        let why = format!("its answer is `{}` and no JSON; is GITLAB_URL right?", one_line(kind));
        return Err(ForgeFault::Unavailable(why));
    }
    let body = if body.is_empty() { b"null" } else { &body[..] };
    let unread = |error| ForgeFault::Unavailable(format!("an answer that cannot be read: {error}"));
    let has_next = headers.get("x-next-page").is_some_and(|next| !next.is_empty());
    Ok(ReadBody { body: serde_json::from_slice(body).map_err(unread)?, has_next })
}

/// The fault of a status
/// (<https://docs.gitlab.com/api/rest/troubleshooting/#status-codes>).
fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], of: &RepoId) -> ForgeFault {
    let said = said(body);
    match status.as_u16() {
        300..=399 => ForgeFault::Redirected(of.to_string()),
        401 => ForgeFault::Unauthorized,
        403 => ForgeFault::Forbidden(said),
        404 => ForgeFault::NotFound(of.to_string()),
        // What is read leads to the new address, and what is written does not.
        405 if said.contains("moved projects") => ForgeFault::Redirected(of.to_string()),
        405 | 406 => ForgeFault::NotMergeable(said),
        409 if said.contains("SHA does not match") => ForgeFault::HeadMoved,
        400 | 409 | 422 => ForgeFault::Invalid(said),
        429 => ForgeFault::RateLimited(wait(headers)),
        status => ForgeFault::Unavailable(format!("{status}: {said}")),
    }
}

/// The seconds to wait
/// (<https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers>).
fn wait(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let told = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
    told.or_else(|| {
        let at: i64 = text("ratelimit-reset")?.parse().ok()?;
        let now: Timestamp = jiff::fmt::rfc2822::parse(text(DATE.as_str())?).ok()?.timestamp();
        u64::try_from(at.saturating_sub(now.as_second())).ok()
    })
}

/// Words of an error, which GitLab puts into `message` or `error`, as a text, a list, or lists by field.
fn said(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let mut words = Vec::new();
    for key in ["message", "error", "error_description"] {
        collect(&value[key], &mut words);
    }
    one_line(&words.join("; "))
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
pub(super) fn broken(error: &reqwest::Error) -> ForgeFault {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ForgeFault::Unavailable(one_line(&cause.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_in_all_of_its_forms() {
        let of = RepoId::new("gitlab.com", "acme/fleet").unwrap();
        let fault = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            refusal(status, &HeaderMap::new(), body.as_bytes(), &of)
        };
        let cases = [
            (401, r#"{"message":"401 Unauthorized"}"#, ForgeFault::Unauthorized),
            (
                403,
                r#"{"error":"insufficient_scope","error_description":"needs api"}"#,
                ForgeFault::Forbidden("insufficient_scope; needs api".into()),
            ),
            (
                404,
                r#"{"message":"404 Project Not Found"}"#,
                ForgeFault::NotFound("acme/fleet".into()),
            ),
            (
                405,
                r#"{"message":"405 Method Not Allowed"}"#,
                ForgeFault::NotMergeable("405 Method Not Allowed".into()),
            ),
            (
                409,
                r#"{"message":"SHA does not match HEAD of source branch: 12"}"#,
                ForgeFault::HeadMoved,
            ),
            (
                409,
                r#"{"message":["Another open merge request already exists for this source branch: !7"]}"#,
                ForgeFault::Invalid(
                    "Another open merge request already exists for this source branch: !7".into(),
                ),
            ),
            (
                422,
                r#"{"message":{"title":["is too long"],"base":["no"]}}"#,
                ForgeFault::Invalid("is too long; no".into()),
            ),
            (302, "", ForgeFault::Redirected("acme/fleet".into())),
            (502, "<html>", ForgeFault::Unavailable("502: ".into())),
        ];
        for (status, body, want) in cases {
            assert_eq!(fault(status, body), want, "{status} {body}");
        }
    }

    #[test]
    fn a_limit_says_how_long_it_lasts() {
        let headers = |all: &[(&'static str, &'static str)]| -> HeaderMap {
            all.iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect()
        };
        let date = ("date", "Tue, 05 Aug 2025 21:00:00 GMT");
        assert_eq!(wait(&headers(&[("retry-after", "30"), date])), Some(30));
        assert_eq!(wait(&headers(&[("ratelimit-reset", "1754427660"), date])), Some(60));
        assert_eq!(wait(&headers(&[date])), None);
    }
}
