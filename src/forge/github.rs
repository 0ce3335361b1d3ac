//! The client: find by branch, create, update when something differs.

use std::time::Duration;

use octocrab::Octocrab;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::ForgeError;
use crate::changeset::ChangeSet;
use crate::settings::GitHubSettings;

const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT: Duration = Duration::from_secs(10);

/// One repository on GitHub.
pub struct GitHub {
    client: Octocrab,
    owner: String,
    name: String,
}

/// A pull request, as far as it concerns us.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub html_url: String,
    title: String,
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
    base: Base,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Label {
    name: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Base {
    r#ref: String,
}

/// What had to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upserted {
    /// It did not exist.
    Created(PullRequest),
    /// Its title, body, base or labels differed.
    Updated(PullRequest),
    /// Nothing differed.
    Unchanged(PullRequest),
}

#[derive(Serialize)]
struct Query<'a> {
    state: &'static str,
    head: String,
    base: &'a str,
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
        let http = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(CONNECT).build();
        let http = http.map_err(|error| ForgeError::Unavailable(error.to_string()))?;
        // Built without octocrab's own retries: they repeat a POST whose answer was lost, and make a
        // second pull request.
        let client = Octocrab::builder()
            .base_uri(settings.api_url.as_str().trim_end_matches('/'))
            .map(|builder| builder.personal_token(token.expose_secret().to_owned()))
            .and_then(|builder| builder.build_with_reqwest(http))
            .map_err(|error| ForgeError::read(&error, owner))?;
        Ok(Self { client, owner: owner.to_owned(), name: name.to_owned() })
    }

    /// Makes the open pull request of a branch say what the change set says.
    ///
    /// # Errors
    /// When GitHub refuses, or cannot be reached.
    pub async fn upsert(&self, set: &ChangeSet, base: &str) -> Result<Upserted, ForgeError> {
        if let Some(found) = self.find(&set.branch, base).await? {
            return self.update(found, set).await;
        }
        match self.create(set, base).await {
            Ok(created) => {
                self.label(&created, &set.labels).await?;
                Ok(Upserted::Created(created))
            }
            // Another run was faster, or the answer to an earlier request was lost.
            Err(ForgeError::Invalid(why)) if why.contains("already exists") => {
                let found = self.find(&set.branch, base).await?.ok_or(ForgeError::Invalid(why))?;
                self.update(found, set).await
            }
            Err(error) => Err(error),
        }
    }

    /// The open pull request of a branch.
    ///
    /// # Errors
    /// When GitHub refuses, or cannot be reached.
    pub async fn find(&self, branch: &str, base: &str) -> Result<Option<PullRequest>, ForgeError> {
        let query = Query { state: "open", head: format!("{}:{branch}", self.owner), base };
        let found: octocrab::Result<Vec<PullRequest>> =
            self.client.get(self.route("pulls"), Some(&query)).await;
        Ok(self.read(found)?.into_iter().next())
    }

    async fn create(&self, set: &ChangeSet, base: &str) -> Result<PullRequest, ForgeError> {
        let (title, body, head) = (&*set.title, &*set.body, &*set.branch);
        let new = NewPull { title, body, head, base, maintainer_can_modify: true };
        self.read(self.client.post(self.route("pulls"), Some(&new)).await)
    }

    async fn update(&self, found: PullRequest, set: &ChangeSet) -> Result<Upserted, ForgeError> {
        let labelled = self.label(&found, &set.labels).await?;
        if found.title == set.title && same_text(found.body.as_deref(), &set.body) {
            return Ok(if labelled {
                Upserted::Updated(found)
            } else {
                Upserted::Unchanged(found)
            });
        }
        let patch = PullPatch { title: &set.title, body: &set.body };
        let route = self.route(&format!("pulls/{}", found.number));
        self.read(self.client.patch(route, Some(&patch)).await).map(Upserted::Updated)
    }

    /// Adds labels that are missing; whether there were any. Labels of people stay.
    async fn label(&self, pull: &PullRequest, labels: &[String]) -> Result<bool, ForgeError> {
        let has =
            |label: &String| pull.labels.iter().any(|has| has.name.eq_ignore_ascii_case(label));
        let missing: Vec<String> = labels.iter().filter(|label| !has(label)).cloned().collect();
        if missing.is_empty() {
            return Ok(false);
        }
        let route = self.route(&format!("issues/{}/labels", pull.number));
        let answer: octocrab::Result<serde_json::Value> =
            self.client.post(route, Some(&Labels { labels: &missing })).await;
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
fn same_text(found: Option<&str>, wanted: &str) -> bool {
    let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    lines(found.unwrap_or_default()) == lines(wanted)
}
