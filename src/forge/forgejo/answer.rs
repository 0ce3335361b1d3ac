//! Answers of Forgejo, and errors among them.

use crate::forge::ForgeFault;
use crate::forge::rest::RestAnswer;
use crate::repo_id::RepoId;

/// How many rows a whole list has, by the part of it that an answer is.
pub(super) fn total(answer: &RestAnswer) -> Option<usize> {
    answer.headers.get("x-total-count")?.to_str().ok()?.parse().ok()
}

/// The fault of a status, unless it is one of success.
pub(super) fn refusal(answer: &RestAnswer, of: &RepoId) -> Option<ForgeFault> {
    let said = answer.said();
    Some(match answer.status.as_u16() {
        200..=299 => return None,
        300..=399 => ForgeFault::Redirected(of.to_string()),
        401 => ForgeFault::Unauthorized,
        403 => ForgeFault::Forbidden(said),
        404 => ForgeFault::NotFound(of.to_string()),
        405 if said.contains("not allowed to merge") => ForgeFault::Forbidden(said),
        405 => ForgeFault::NotMergeable(said),
        409 if said.contains("head out of date") => ForgeFault::HeadMoved,
        400 | 409 | 412 | 413 | 422 => ForgeFault::Invalid(said),
        423 => ForgeFault::Unsupported(super::rules::ARCHIVED),
        429 => ForgeFault::RateLimited(answer.wait()),
        status => ForgeFault::Unavailable(format!("{status}: {said}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    fn answer(status: u16, headers: HeaderMap, body: &str) -> RestAnswer {
        let status = StatusCode::from_u16(status).unwrap();
        RestAnswer { status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_refusal_is_read_in_all_of_its_forms() {
        let of = RepoId::new("codeberg.org", "acme/fleet").unwrap();
        let message = |text: &str| format!(r#"{{"message":"{text}","url":"https://x/swagger"}}"#);
        let cases = [
            (200, String::new(), None),
            (201, String::new(), None),
            (301, String::new(), Some(ForgeFault::Redirected("acme/fleet".into()))),
            (401, message("invalid token"), Some(ForgeFault::Unauthorized)),
            (
                403,
                message("token does not have at least one of required scope(s)"),
                Some(ForgeFault::Forbidden(
                    "token does not have at least one of required scope(s)".into(),
                )),
            ),
            (404, message("x"), Some(ForgeFault::NotFound("acme/fleet".into()))),
            (
                405,
                message("Please try again later"),
                Some(ForgeFault::NotMergeable("Please try again later".into())),
            ),
            (
                405,
                message("User not allowed to merge PR"),
                Some(ForgeFault::Forbidden("User not allowed to merge PR".into())),
            ),
            (409, message("head out of date"), Some(ForgeFault::HeadMoved)),
            (
                409,
                message("pull request already exists for these targets"),
                Some(ForgeFault::Invalid("pull request already exists for these targets".into())),
            ),
            (423, message("x"), Some(ForgeFault::Unsupported(super::super::rules::ARCHIVED))),
            (500, "<html>".into(), Some(ForgeFault::Unavailable("500: ".into()))),
        ];
        for (status, body, want) in cases {
            assert_eq!(refusal(&answer(status, HeaderMap::new(), &body), &of), want, "{status}");
        }
    }
}
