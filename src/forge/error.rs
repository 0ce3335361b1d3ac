//! What can go wrong with GitHub.

/// Why a request to GitHub failed, with what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// 401.
    #[error("GitHub refuses the token (401): set GITHUB_TOKEN to one that is valid")]
    Unauthorized,
    /// No token was given.
    #[error("pull requests need a token: set GITHUB_TOKEN")]
    NoToken,
    /// The app's id and key are not accepted.
    #[error(
        "GitHub does not accept the app: GITHUB_APP_ID must be its number or client id, and \
         GITHUB_APP_PRIVATE_KEY a private key of it, in PEM"
    )]
    BadApp,
    /// The app is not installed where it should work.
    #[error("the app is not installed on {0}: install it there, with access to this repository")]
    NotInstalled(String),
    /// 403 that is not a limit.
    #[error(
        "the token may not do this (403: {0}): it needs `pull_requests: write` and `contents: write`; \
             a workflow's own token also needs the repository setting that allows Actions to create pull requests"
    )]
    Forbidden(String),
    /// 404, which GitHub also says to hide what a token does not reach.
    #[error("GitHub does not know {0} (404), or the token does not reach it")]
    NotFound(String),
    /// 410: a feature is switched off.
    #[error(
        "pull requests are disabled in {0} (410): enable them in the repository's settings, or deliver by push"
    )]
    Disabled(String),
    /// 405: a merge that is not possible now.
    #[error("GitHub does not merge it (405): {0}")]
    NotMergeable(String),
    /// 409: the branch is not where it was.
    #[error("its branch moved meanwhile (409)")]
    HeadMoved,
    /// 422: what was sent is refused.
    #[error("GitHub refuses the pull request (422): {0}")]
    Invalid(String),
    /// 403 or 429 because of too many requests.
    #[error("GitHub limits requests{}", .0.map_or(String::new(), |s| format!(" and asks to wait {s} seconds")))]
    RateLimited(Option<u64>),
    /// No connection, a broken answer or a 5xx.
    #[error("GitHub cannot be reached or fails: {0}")]
    Unavailable(String),
}

impl ForgeError {
    /// Reads octocrab's error, whose display hides what GitHub said.
    pub(super) fn read(error: &octocrab::Error, subject: &str) -> Self {
        let source = match error {
            octocrab::Error::GitHub { source, .. } => source,
            octocrab::Error::Graphql { source, .. } => return Self::of_graphql(&source.0, subject),
            other => return Self::Unavailable(root_cause(other)),
        };
        let header =
            |name: &str| source.headers.as_ref()?.get(name)?.to_str().ok().map(str::to_owned);
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
            401 => Self::Unauthorized,
            403 | 429 if limited => Self::RateLimited(retry_after),
            403 => Self::Forbidden(said),
            404 => Self::NotFound(subject.to_owned()),
            405 => Self::NotMergeable(said),
            409 => Self::HeadMoved,
            410 => Self::Disabled(subject.to_owned()),
            422 => Self::Invalid(said),
            429 => Self::RateLimited(None),
            status => Self::Unavailable(format!("{status}: {said}")),
        }
    }
}

impl ForgeError {
    /// GraphQL answers 200 and lists what went wrong, in words only.
    fn of_graphql(errors: &[octocrab::GraphqlError], subject: &str) -> Self {
        let message = errors.first().map_or("", |error| error.message.as_str());
        let message = crate::changeset::one_line(message);
        match message.to_ascii_lowercase() {
            lower if lower.contains("could not resolve to a repository") => {
                Self::NotFound(subject.to_owned())
            }
            lower if lower.contains("rate limit") => Self::RateLimited(None),
            lower if lower.contains("not accessible") => Self::Forbidden(message),
            _ => Self::Unavailable(message),
        }
    }
}

/// The message and the details below it.
fn said(error: &octocrab::GitHubError) -> String {
    let details =
        error.errors.iter().flatten().filter_map(|detail| {
            detail.get("message").unwrap_or(detail).as_str().map(str::to_owned)
        });
    let all: Vec<String> = std::iter::once(error.message.clone()).chain(details).collect();
    crate::changeset::one_line(&all.join("; "))
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    crate::changeset::one_line(cause.to_string().lines().next().unwrap_or_default())
}
