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
