//! What can go wrong with git.

use git2::ErrorClass;

/// Why a repository cannot be read or written. Variants are what a run does differently.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The server wants other credentials.
    #[error(
        "{0}: the server refuses the login, or wants one; set GITHUB_TOKEN to a token with `contents: write`, GITLAB_TOKEN to one with the \
         scope `write_repository`, or FORGEJO_TOKEN or GITEA_TOKEN to one with `write:repository`; a token is shown to the server of its own forge alone (GITHUB_SERVER_URL, \
         GITLAB_URL, FORGEJO_URL, GITEA_URL)"
    )]
    Unauthorized(String),
    /// The server does not know the repository, or hides it.
    #[error("{0}: no such repository, or the token does not reach it")]
    NotFound(String),
    /// The branch that was asked for does not exist.
    #[error("{0}: the repository has no branch `{1}`")]
    NoBranch(String, String),
    /// A commit that is to be signed cannot be.
    #[error("the commit is not signed, so it is not pushed: {0}")]
    Unsigned(String),
    /// The repository has no commit yet.
    #[error("{0}: the repository is empty")]
    Empty(String),
    /// A branch is no longer where it was when it was read.
    #[error("branch `{0}` moved while the run was under way")]
    Moved(String),
    /// The server does not take the push, by a rule of its own.
    #[error("the server refuses the push to `{branch}`: {reason}{}", advice(.reason))]
    Rejected {
        /// The branch.
        branch: String,
        /// What the server says.
        reason: String,
    },
    /// A file has more bytes than are read.
    #[error("{path}: {size} bytes are more than are read")]
    TooLarge {
        /// The path.
        path: String,
        /// Its size in bytes.
        size: usize,
    },
    /// The files that were read have more bytes together than is allowed.
    #[error("more than {most} bytes of files were read, and the rest is left alone")]
    TooMuch {
        /// The limit in bytes.
        most: u64,
    },
    /// Anything else: no connection, a broken repository, a full disk.
    #[error("{subject}: {message}")]
    Other {
        /// The repository.
        subject: String,
        /// What libgit2 says.
        message: String,
    },
    /// It took too long.
    #[error("{0}: git did not finish in time")]
    Timeout(String),
}

impl GitError {
    /// Sorts an error of libgit2.
    pub(super) fn from_git(subject: &str, error: &git2::Error) -> Self {
        let subject = subject.to_owned();
        match (error.code(), error.class()) {
            (git2::ErrorCode::NotFound, ErrorClass::Repository) => Self::NotFound(subject),
            _ => Self::Other { subject, message: error.message().to_owned() },
        }
    }

    /// Whether reading the branch again and planning anew may help.
    #[must_use]
    pub fn is_race(&self) -> bool {
        matches!(self, Self::Moved(_))
    }
}

/// What to change, for the refusals that GitHub words in a known way.
fn advice(reason: &str) -> &'static str {
    let reason = reason.to_ascii_lowercase();
    if reason.contains("protected branch") || reason.contains("gh006") || reason.contains("gh013") {
        "; the branch is protected: deliver by pull request, or let the bot bypass the rule"
    } else if reason.contains("hook declined") || reason.contains("pre-receive") {
        "; a rule or hook of the server stands against it"
    } else {
        ""
    }
}
