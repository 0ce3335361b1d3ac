//! Errors of forges. A fault is the same on every forge; what to change about it is the product's.

use crate::forge_kind::ForgeKind;

/// Error of a forge, with the product that it is of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", fault.message(*forge))]
pub struct ForgeError {
    /// The product.
    pub forge: ForgeKind,
    /// The fault.
    pub fault: ForgeFault,
}

/// Reason that a request to a forge failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForgeFault {
    /// 401.
    Unauthorized,
    /// No token was given.
    NoToken,
    /// The token is one of a CI job, which the forge lets do too little.
    JobToken,
    /// The app's id and key are not accepted.
    BadApp,
    /// The app is not installed where it should work.
    NotInstalled(String),
    /// 403 that is not a limit, with what the forge says.
    Forbidden(String),
    /// 404, which forges also say to hide what a token does not reach.
    NotFound(String),
    /// A feature is switched off.
    Disabled(String),
    /// The repository has moved; a token is not sent after it.
    Redirected(String),
    /// A merge that is not possible now.
    NotMergeable(String),
    /// The branch is not where it was.
    HeadMoved,
    /// The forge refuses what was sent.
    Invalid(String),
    /// The forge cannot do it, whatever it is sent.
    Unsupported(&'static str),
    /// Too many requests, with the seconds to wait where the forge says them.
    RateLimited(Option<u64>),
    /// No connection, a broken answer or a 5xx.
    Unavailable(String),
}

impl ForgeFault {
    /// The fault of a product.
    #[must_use]
    pub fn of(self, forge: ForgeKind) -> ForgeError {
        ForgeError { forge, fault: self }
    }

    /// The message, with what to change.
    fn message(&self, forge: ForgeKind) -> String {
        let variable = forge.token_variable();
        match self {
            Self::Unauthorized => {
                format!("{forge} refuses the token (401): set {variable} to one that is valid")
            }
            Self::NoToken => format!("pull requests need a token: set {variable}"),
            Self::JobToken => format!(
                "CI_JOB_TOKEN cannot open {forge}'s merge requests: set {variable} to a token with the scope `api`"
            ),
            Self::BadApp => format!(
                "{forge} does not accept the app: GITHUB_APP_ID must be its number or client id, and \
                 GITHUB_APP_PRIVATE_KEY a private key of it, in PEM"
            ),
            Self::NotInstalled(on) => format!(
                "the app is not installed on {on}: install it there, with access to this repository"
            ),
            Self::Forbidden(said) => {
                format!("the token may not do this (403: {said}): {}", forge.rights())
            }
            Self::NotFound(what) => {
                format!("{forge} does not know {what} (404), or the token does not reach it")
            }
            Self::Disabled(of) => format!(
                "pull requests are disabled in {of}: enable them in the repository's settings, or deliver by push"
            ),
            Self::Redirected(what) => format!(
                "{what} has moved on {forge}: name its new address, as the token is sent to no other"
            ),
            Self::NotMergeable(said) => format!("{forge} does not merge it: {said}"),
            Self::HeadMoved => "its branch moved meanwhile (409)".to_owned(),
            Self::Invalid(said) => format!("{forge} refuses the pull request: {said}"),
            Self::Unsupported(what) => format!("{forge} {what}"),
            Self::RateLimited(seconds) => {
                let asks = seconds.map(|seconds| format!(" and asks to wait {seconds} seconds"));
                format!("{forge} limits requests{}", asks.unwrap_or_default())
            }
            Self::Unavailable(why) => format!("{forge} cannot be reached or fails: {why}"),
        }
    }
}
