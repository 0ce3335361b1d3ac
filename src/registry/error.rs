//! What can go wrong with a registry.

use crate::choose::{Reason, ReasonCode};
use crate::image::Repository;

/// Why a registry's answer cannot be used. Variants are what a decision reports differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// 404.
    #[error("the registry does not know this repository or tag (404)")]
    NotFound,
    /// No image layout where the mirror says.
    #[error("there is no image layout: {} is missing", .0.display())]
    NoLayout(std::path::PathBuf),
    /// 401, or a token server that refused.
    #[error("{0}")]
    Unauthorized(String),
    /// A login that is not taken anywhere: 401 in spite of it.
    #[error("{0}")]
    Refused(String),
    /// 403.
    #[error("the credentials do not allow to read this repository (403)")]
    Denied,
    /// 405 or 501: the registry does not answer `HEAD`.
    #[error("the registry does not answer HEAD")]
    NoHead,
    /// 429, or a wait that is too long.
    #[error("the registry limits requests{}", .0.map_or(String::new(), |s| format!(" and asks to wait {s} seconds")))]
    RateLimited(Option<u64>),
    /// Few requests are allowed still, and they are left to others.
    #[error(
        "the registry allows {remaining} more requests for the next {seconds} seconds, which are left to others"
    )]
    Spared {
        /// How many it allows.
        remaining: u64,
        /// For how long.
        seconds: u64,
    },
    /// No connection, a broken one, a time-out or a 5xx.
    #[error("{0}")]
    Unavailable(String),
    /// An answer that the protocol does not have.
    #[error("{0}")]
    Malformed(String),
    /// A listing that is not whole.
    #[error("the listing is not complete: {0}")]
    Incomplete(String),
}

impl ScanError {
    /// The reason of an undecided image.
    #[must_use]
    pub fn reason(&self, repository: &Repository) -> Reason {
        Reason::new(self.code(), format!("{repository}: {self}"))
    }

    /// The reason when something about a tag was asked for.
    #[must_use]
    pub fn reason_for(&self, subject: &str) -> Reason {
        Reason::new(ReasonCode::NoDigest, format!("{subject}: {self}"))
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::RateLimited(_))
    }

    fn code(&self) -> ReasonCode {
        match self {
            Self::NotFound | Self::NoLayout(_) => ReasonCode::NotFound,
            Self::Unauthorized(_) | Self::Refused(_) => ReasonCode::Unauthorized,
            Self::Denied => ReasonCode::Denied,
            Self::RateLimited(_) | Self::Spared { .. } => ReasonCode::RateLimited,
            Self::Unavailable(_) => ReasonCode::Unavailable,
            Self::Malformed(_) | Self::NoHead => ReasonCode::MalformedAnswer,
            Self::Incomplete(_) => ReasonCode::IncompleteListing,
        }
    }
}

impl From<reqwest::Error> for ScanError {
    /// Says what failed without the URL, which can hold a token server's parameters.
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let what = if error.is_timeout() {
            "the registry did not answer in time"
        } else if error.is_connect() {
            "the registry cannot be reached"
        } else {
            "the connection to the registry broke"
        };
        let mut cause = std::error::Error::source(&error);
        while let Some(deeper) = cause.and_then(std::error::Error::source) {
            cause = Some(deeper);
        }
        Self::Unavailable(cause.map_or(what.to_owned(), |cause| format!("{what}: {cause}")))
    }
}
