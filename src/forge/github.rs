//! The client: create, and update when something differs.

use std::collections::BTreeMap;
use std::time::Duration;

use octocrab::Octocrab;
use serde::{Deserialize, Serialize};

use super::{ForgeError, open_pulls};
use crate::changeset::ChangeSet;
use crate::http;
use crate::settings::GitHubSettings;

const TIMEOUT: Duration = Duration::from_mins(1);

/// One repository on GitHub.
pub struct GitHub {
    rest: Octocrab,
    graphql: Octocrab,
    owner: String,
    name: String,
}

/// A pull request, as far as it concerns us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    pub(super) title: String,
    /// Its body.
    pub body: String,
    pub(super) labels: Vec<String>,
}

/// What there is for one branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulls {
    /// The open pull request.
    pub open: Option<PullRequest>,
    /// The last one that was closed without being merged.
    pub closed: Option<PullRequest>,
    /// The last ones that were merged, the newest first.
    pub merged: Vec<PullRequest>,
}

/// The label with which people take back that they closed a pull request. GitHub opens none again
/// whose branch was written anew.
const RETRY: &str = "tagalong:retry";

impl PullRequest {
    /// Whether people want what it proposes after all, though it was closed.
    #[must_use]
    pub fn is_wanted_again(&self) -> bool {
        self.labels.iter().any(|label| label == RETRY)
    }

    /// Whether this is a pull request of ours for the same change.
    #[must_use]
    pub fn proposes(&self, set: &ChangeSet) -> bool {
        self.body.contains(&format!("\"change\":\"{}\"", set.change))
    }
}

/// A pull request as the REST API answers; what it says of title and body was just sent.
#[derive(Deserialize)]
struct Sent {
    number: u64,
    html_url: String,
}

/// What had to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upserted {
    /// It did not exist.
    Created(PullRequest),
    /// Its title or body differed.
    Updated(PullRequest),
    /// Nothing differed.
    Unchanged(PullRequest),
}

#[derive(Serialize)]
struct NewPull<'a> {
    title: &'a str,
    body: &'a str,
    head: &'a str,
    base: &'a str,
    maintainer_can_modify: bool,
}

#[derive(Serialize)]
struct PullPatch<'a> {
    title: &'a str,
    body: &'a str,
}

#[derive(Serialize)]
struct Labels<'a> {
    labels: &'a [String],
}

impl GitHub {
    /// A client for one repository.
    ///
    /// # Errors
    /// When there is no token, or the API's address cannot be used.
    pub fn new(settings: &GitHubSettings, owner: &str, name: &str) -> Result<Self, ForgeError> {
        let token = settings.token.as_ref().ok_or(ForgeError::NoToken)?;
        let http = http::client(settings.api_url.authority()).timeout(TIMEOUT).build();
        let http = http.map_err(|error| ForgeError::Unavailable(error.to_string()))?;
        let rest = settings.api_url.as_str().trim_end_matches('/');
        // On Enterprise Server, REST is below `/api/v3` and GraphQL below `/api`.
        let graphql = rest.strip_suffix("/v3").unwrap_or(rest);
        let client = |base: &str| {
            // Built without octocrab's own retries: they repeat a POST whose answer was lost, and
            // make a second pull request.
            Octocrab::builder()
                .base_uri(base)
                .map(|builder| builder.personal_token(token.expose().to_owned()))
                .and_then(|builder| builder.build_with_reqwest(http.clone()))
                .map_err(|error| ForgeError::read(&error, owner))
        };
        let (rest, graphql) = (client(rest)?, client(graphql)?);
        Ok(Self { rest, graphql, owner: owner.to_owned(), name: name.to_owned() })
    }

    /// The pull requests of these branches to a base.
    ///
    /// # Errors
    /// When GitHub refuses, or cannot be reached.
    pub async fn pulls(
        &self,
        branches: &[&str],
        base: &str,
    ) -> Result<BTreeMap<String, Pulls>, ForgeError> {
        let mut found = BTreeMap::new();
        for branches in branches.chunks(open_pulls::BRANCHES) {
            let question = open_pulls::question(&self.owner, &self.name, base, branches);
            let answer: open_pulls::Answer = self.read(self.graphql.graphql(&question).await)?;
            let unknown = || ForgeError::NotFound(format!("{}/{}", self.owner, self.name));
            found.extend(open_pulls::read(answer, branches).ok_or_else(unknown)?);
        }
        Ok(found)
    }

    /// Makes the open pull request of a branch, if there is one, say what the change set says, and
    /// opens it otherwise.
    ///
    /// # Errors
    /// When GitHub refuses, or cannot be reached.
    pub async fn upsert(
        &self,
        found: Option<PullRequest>,
        set: &ChangeSet,
        base: &str,
    ) -> Result<Upserted, ForgeError> {
        let Some(found) = found else {
            return match self.create(set, base).await {
                // Another run was faster, or the answer to an earlier request was lost.
                Err(ForgeError::Invalid(why)) if why.contains("already exists") => {
                    let found = self.pulls(&[&set.branch], base).await?.remove(&set.branch);
                    let found =
                        found.and_then(|pulls| pulls.open).ok_or(ForgeError::Invalid(why))?;
                    self.update(found, set).await
                }
                created => created.map(Upserted::Created),
            };
        };
        self.update(found, set).await
    }

    async fn create(&self, set: &ChangeSet, base: &str) -> Result<PullRequest, ForgeError> {
        let (title, body, head) = (&*set.title, &*set.body, &*set.branch);
        let new = NewPull { title, body, head, base, maintainer_can_modify: true };
        let answer: Sent = self.read(self.rest.post(self.route("pulls"), Some(&new)).await)?;
        let (title, body, labels) = (set.title.clone(), set.body.clone(), Vec::new());
        Ok(PullRequest { number: answer.number, url: answer.html_url, title, body, labels })
    }

    async fn update(&self, found: PullRequest, set: &ChangeSet) -> Result<Upserted, ForgeError> {
        if found.title == set.title && same_text(&found.body, &set.body) {
            return Ok(Upserted::Unchanged(found));
        }
        let patch = PullPatch { title: &set.title, body: &set.body };
        let route = self.route(&format!("pulls/{}", found.number));
        let _sent: Sent = self.read(self.rest.patch(route, Some(&patch)).await)?;
        Ok(Upserted::Updated(found))
    }

    /// Adds labels that are missing; whether there were any. Labels of people stay.
    ///
    /// # Errors
    /// When GitHub refuses, or cannot be reached. The pull request is there all the same.
    pub async fn label(&self, pull: &PullRequest, labels: &[String]) -> Result<bool, ForgeError> {
        let has = |label: &String| pull.labels.iter().any(|has| has.eq_ignore_ascii_case(label));
        let missing: Vec<String> = labels.iter().filter(|label| !has(label)).cloned().collect();
        if missing.is_empty() {
            return Ok(false);
        }
        let route = self.route(&format!("issues/{}/labels", pull.number));
        let answer: octocrab::Result<serde_json::Value> =
            self.rest.post(route, Some(&Labels { labels: &missing })).await;
        self.read(answer).map(|_labels| true)
    }

    fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{}/{rest}", self.owner, self.name)
    }

    fn read<T>(&self, answer: octocrab::Result<T>) -> Result<T, ForgeError> {
        answer.map_err(|error| ForgeError::read(&error, &format!("{}/{}", self.owner, self.name)))
    }
}

/// GitHub may return a body with other line ends than it was sent.
fn same_text(found: &str, wanted: &str) -> bool {
    let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    lines(found) == lines(wanted)
}
