//! Errors of GitHub and of its client.

use crate::forge::ForgeFault;

/// Reads octocrab's error, whose display hides what GitHub said.
pub(super) fn read(error: &octocrab::Error, subject: &str) -> ForgeFault {
    let source = match error {
        octocrab::Error::GitHub { source, .. } => source,
        octocrab::Error::Graphql { source, .. } => return of_graphql(&source.0, subject),
        other => return ForgeFault::Unavailable(root_cause(other)),
    };
    let header = |name: &str| source.headers.as_ref()?.get(name)?.to_str().ok().map(str::to_owned);
    let is_used_up = header("x-ratelimit-remaining").as_deref() == Some("0");
    let retry_after = header("retry-after").and_then(|seconds| seconds.parse().ok());
    let reset = header("x-ratelimit-reset").zip(header("date")).filter(|_| is_used_up);
    let retry_after = retry_after.or_else(|| {
        let (at, now) = reset?;
        let now = jiff::fmt::rfc2822::parse(&now).ok()?.timestamp().as_second();
        u64::try_from(at.parse::<i64>().ok()?.saturating_sub(now)).ok()
    });
    let limited = retry_after.is_some()
        || is_used_up
        || source.message.to_ascii_lowercase().contains("rate limit");
    let said = said(source);
    match source.status_code.as_u16() {
        401 => ForgeFault::Unauthorized,
        403 | 429 if limited => ForgeFault::RateLimited(retry_after),
        403 => ForgeFault::Forbidden(said),
        404 => ForgeFault::NotFound(subject.to_owned()),
        405 => ForgeFault::NotMergeable(said),
        409 => ForgeFault::HeadMoved,
        410 => ForgeFault::Disabled(subject.to_owned()),
        422 => ForgeFault::Invalid(said),
        429 => ForgeFault::RateLimited(None),
        status => ForgeFault::Unavailable(format!("{status}: {said}")),
    }
}

/// GraphQL answers 200 and lists what went wrong, in words only.
fn of_graphql(errors: &[octocrab::GraphqlError], subject: &str) -> ForgeFault {
    let message = errors.first().map_or("", |error| error.message.as_str());
    let message = crate::text::one_line(message);
    match message.to_ascii_lowercase() {
        lower if lower.contains("could not resolve to a repository") => {
            ForgeFault::NotFound(subject.to_owned())
        }
        lower if lower.contains("rate limit") => ForgeFault::RateLimited(None),
        lower if lower.contains("not accessible") => ForgeFault::Forbidden(message),
        _ => ForgeFault::Unavailable(message),
    }
}

/// The message and the details below it.
fn said(error: &octocrab::GitHubError) -> String {
    let details =
        error.errors.iter().flatten().filter_map(|detail| {
            detail.get("message").unwrap_or(detail).as_str().map(str::to_owned)
        });
    let all: Vec<String> = std::iter::once(error.message.clone()).chain(details).collect();
    crate::text::one_line(&all.join("; "))
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    crate::text::one_line(cause.to_string().lines().next().unwrap_or_default())
}
