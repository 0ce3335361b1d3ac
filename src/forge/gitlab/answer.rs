//! Answers of GitLab, and errors among them.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::forge::ForgeFault;
use crate::forge::rest::RestAnswer;
use crate::repo_id::RepoId;
use crate::text::one_line;

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
pub(super) fn read<T: DeserializeOwned>(
    answer: &RestAnswer,
    of: &RepoId,
) -> Result<ReadBody<T>, ForgeFault> {
    if !answer.status.is_success() {
        return Err(refusal(answer, of));
    }
    let has_next = answer.headers.get("x-next-page").is_some_and(|next| !next.is_empty());
    Ok(ReadBody { body: answer.json("GITLAB_URL")?, has_next })
}

/// The fault of a status
/// (<https://docs.gitlab.com/api/rest/troubleshooting/#status-codes>).
fn refusal(answer: &RestAnswer, of: &RepoId) -> ForgeFault {
    let said = answer.said();
    match answer.status.as_u16() {
        300..=399 => ForgeFault::Redirected(of.to_string()),
        401 => ForgeFault::Unauthorized,
        403 => ForgeFault::Forbidden(said),
        404 => ForgeFault::NotFound(of.to_string()),
        // What is read leads to the new address, and what is written does not.
        405 if said.contains("moved projects") => ForgeFault::Redirected(of.to_string()),
        405 | 406 => ForgeFault::NotMergeable(said),
        409 if said.contains("SHA does not match") => ForgeFault::HeadMoved,
        400 | 409 | 422 => ForgeFault::Invalid(said),
        429 => ForgeFault::RateLimited(answer.wait()),
        status => ForgeFault::Unavailable(format!("{status}: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn a_refusal_is_read_in_all_of_its_forms() {
        let of = RepoId::new("gitlab.com", "acme/fleet").unwrap();
        let fault = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let (headers, body) = (HeaderMap::new(), body.as_bytes().to_vec());
            refusal(&RestAnswer { status, headers, body }, &of)
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
}
