//! What is wrong with arguments and variables.

/// An argument or variable that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// An app without its key, or a key that cannot be read.
    #[error(
        "GITHUB_APP_ID needs GITHUB_APP_PRIVATE_KEY, or GITHUB_APP_PRIVATE_KEY_FILE that can be read{0}"
    )]
    App(String),
    /// A signing key that cannot be read.
    #[error("TAGALONG_SIGNING_KEY_FILE cannot be read: {0}")]
    SigningKey(String),
    /// A key for the ledger that can be guessed, or cannot be read.
    #[error("TAGALONG_LEDGER_KEY: {0}; `openssl rand -hex 32` makes one")]
    LedgerKey(String),
    /// A file with a key for the ledger that cannot be read.
    #[error("TAGALONG_LEDGER_KEY_FILE cannot be read: {0}")]
    LedgerKeyFile(String),
    /// A variable that must be a URL is not.
    #[error("{0} is not a URL, such as https://git.example.com")]
    Url(&'static str),
    /// A variable that must be a URL has a user or a password in it.
    #[error(
        "{0} has a user, a password or a query in it: leave them out, and set the forge's token instead, such as GITHUB_TOKEN"
    )]
    UrlSecret(&'static str),
    /// Two variables name different servers, of which both would see a token.
    #[error("{0} is on another server than {1}: name one of them")]
    OtherServer(&'static str, &'static str),
    /// A server is named in a job of another one, whose token nobody can tell from its own.
    #[error(
        "{0} is another server than the one of this job (GITHUB_SERVER_URL), whose token it must not see: leave it out, or run \
         for that server outside of this one's jobs"
    )]
    JobOfOther(&'static str),
    /// GitHub's interface is said to be where Forgejo and Gitea have theirs.
    #[error(
        "GITHUB_API_URL is one of Forgejo or Gitea: set FORGEJO_URL or GITEA_URL to the server instead"
    )]
    OtherProduct,
    /// A variable that names a server names its interface.
    #[error("{0} ends in /api/v1: leave that out, it is the address of the server")]
    WithApi(&'static str),
    /// A host before a name that no forge has.
    #[error(
        "{0}: `{1}` is no forge that is known ({2}); set GITHUB_SERVER_URL, GITLAB_URL, FORGEJO_URL or GITEA_URL to its address, by \
         what it is"
    )]
    UnknownHost(String, String, String),
    /// Two forges on one host, of which nobody can say which one a repository is on.
    #[error("{0} and {1} are both on {2}: leave out the one that is not meant")]
    OneHost(&'static str, &'static str, String),
    /// `--repo` is an address that is not reached over HTTP.
    #[error("--repo {0}: repositories are reached over HTTPS, or by path")]
    Scheme(String),
    /// `--repo` is neither a path nor a URL nor OWNER/NAME.
    #[error(
        "--repo {0}: no such directory, and neither a URL nor OWNER/NAME on a forge that is known; with groups within groups, or \
         for another forge than GitHub, add --forge, or set the address of its server: GITLAB_URL, FORGEJO_URL or GITEA_URL"
    )]
    Repo(String),
    /// A URL with a user or password in it: it would be seen in process lists and logs.
    #[error(
        "--repo: leave user, password and query out of the URL and set the forge's token instead, such as GITHUB_TOKEN"
    )]
    UrlCredentials,
    /// `--image-ref` that names no image with a tag.
    #[error("--image-ref {0}: write REPOSITORY:TAG, as in ghcr.io/acme/shop:v2.4.0")]
    ImageRef(String),
    /// `--token-host` without `=`.
    #[error("--token-host {0}: write REGISTRY=HOST, as in registry.example.com=auth.example.com")]
    TokenHost(String),
}
