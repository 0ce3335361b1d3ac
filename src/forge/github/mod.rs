//! GitHub and GitHub Enterprise Server: pull requests are found with one GraphQL question, and written over the
//! [REST API](https://docs.github.com/en/rest/pulls/pulls). Every request goes through the client here, with its pace and
//! its patience.

mod app;
mod checks;
mod commit;
mod error;
#[cfg(fuzzing)]
pub mod fuzz;
mod issue;
mod merge;
mod pulls;
mod releases;
mod verbs;
mod write;

use std::time::Duration;

use octocrab::Octocrab;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::pace::Pace;
use super::{ForgeFault, Observed};
use crate::http;
use crate::pull_request::BranchPullRequests;
use crate::repo_id::RepoId;
use crate::secret::Secret;
use crate::settings::{ForgeSettings, Moment};
use crate::store::Store;
pub use app::sign_in;

const TIMEOUT: Duration = Duration::from_mins(1);

/// Between two changes on github.com. Enterprise Server has no limits unless somebody sets them.
const GAP: Duration = Duration::from_secs(1);

/// One repository on GitHub.
pub struct GitHub {
    clients: Mutex<Clients>,
    settings: ForgeSettings,
    /// What the clock said at some moment.
    clock: Moment,
    repository: RepoId,
    pace: Pace,
    /// What earlier runs were told.
    store: Option<Store>,
}

/// The two interfaces, with a token.
#[derive(Clone)]
struct Clients {
    rest: Octocrab,
    graphql: Octocrab,
}

impl Clients {
    fn new(settings: &ForgeSettings, token: &Secret) -> Result<Self, ForgeFault> {
        let http = http::client(settings.api_url.authority()).timeout(TIMEOUT).build();
        let http = http.map_err(|error| ForgeFault::Unavailable(error.to_string()))?;
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
                .map_err(|error| error::read(&error, base))
        };
        Ok(Self { rest: client(rest)?, graphql: client(graphql)? })
    }
}

impl GitHub {
    /// A client for one repository. The clock is what it said at some moment.
    ///
    /// # Errors
    /// When there is no token, or the API's address cannot be used.
    pub fn new(
        settings: &ForgeSettings,
        clock: Moment,
        repository: &RepoId,
    ) -> Result<Self, ForgeFault> {
        let token = settings.token.as_ref().ok_or(ForgeFault::NoToken)?;
        let clients = Mutex::new(Clients::new(settings, token)?);
        let host = settings.api_url.host_str().unwrap_or_default();
        let is_limited = host == "api.github.com" || host.ends_with(".ghe.com");
        let pace = Pace::of(if is_limited { GAP } else { Duration::ZERO }, &settings.turns);
        let (repository, settings) = (repository.clone(), settings.clone());
        Ok(Self { clients, settings, clock, repository, pace, store: None })
    }

    /// The same with a directory of what earlier runs were told.
    #[must_use]
    pub fn with_store(self, store: Option<Store>) -> Self {
        Self { store, ..self }
    }

    /// The pull requests of these branches to a base, with what checked them when that is wanted and the
    /// token may see it; and what the repository allows.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn pulls(
        &self,
        branches: &[&str],
        base: &str,
        with_checks: bool,
    ) -> Result<Observed, ForgeFault> {
        let mut observed = Observed::default();
        for branches in branches.chunks(pulls::BRANCHES) {
            let question = |checks| pulls::question(&self.repository, base, branches, checks);
            let answer: pulls::PullsAnswer = match self.ask(&question(with_checks)).await {
                Err(ForgeFault::Forbidden(_)) if with_checks => self.ask(&question(false)).await?,
                answer => answer?,
            };
            let unknown = || ForgeFault::NotFound(self.repository.to_string());
            let (seen, crowded) = pulls::read(answer, branches).ok_or_else(unknown)?;
            observed.pulls.extend(seen.pulls);
            observed.rules = seen.rules;
            for branch in crowded {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair("head", &format!("{}:{branch}", self.repository.owner()));
                query.append_pair("base", base).append_pair("state", "all");
                let route = format!("pulls?per_page=100&{}", query.finish());
                let rows: Vec<pulls::Row> = self.get(&self.route(&route)).await?;
                let BranchPullRequests { closed, merged, .. } = pulls::of_rows(rows);
                // The open one is known by its branch, which is no fork's.
                let open = observed.pulls.remove(&branch).and_then(|pulls| pulls.open);
                observed.pulls.insert(branch, BranchPullRequests { open, closed, merged });
            }
        }
        Ok(observed)
    }

    /// Asks GraphQL; what only asks is asked again when GitHub stumbles.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        question: &serde_json::Value,
    ) -> Result<T, ForgeFault> {
        let send = async |clients: Clients| clients.graphql.graphql(question).await;
        self.pace.patiently(|| self.send(&send)).await
    }

    /// Has GraphQL change something, once.
    pub(super) async fn mutate<T: DeserializeOwned>(
        &self,
        mutation: &serde_json::Value,
    ) -> Result<T, ForgeFault> {
        let send = async |clients: Clients| clients.graphql.graphql(mutation).await;
        self.pace.write(|| self.send(&send)).await
    }

    /// Has REST change something, once.
    pub(super) async fn write<T>(
        &self,
        send: impl AsyncFn(Octocrab) -> octocrab::Result<T>,
    ) -> Result<T, ForgeFault> {
        let send = async |clients: Clients| send(clients.rest).await;
        self.pace.write(|| self.send(&send)).await
    }

    /// Reads something over REST.
    pub(super) async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ForgeFault> {
        self.patiently(async |rest: Octocrab| rest.get(route, None::<&()>).await).await
    }

    pub(super) fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{rest}", self.repository)
    }

    /// Waits as GitHub wants, and tries again when it stumbles.
    pub(super) async fn patiently<T>(
        &self,
        send: impl AsyncFn(Octocrab) -> octocrab::Result<T>,
    ) -> Result<T, ForgeFault> {
        let send = async |clients: Clients| send(clients.rest).await;
        self.pace.patiently(|| self.send(&send)).await
    }

    /// Sends something, and once more with a new token when the app's is too old by now: a refusal did
    /// nothing.
    async fn send<T>(
        &self,
        send: &impl AsyncFn(Clients) -> octocrab::Result<T>,
    ) -> Result<T, ForgeFault> {
        let clients = self.clients.lock().await.clone();
        match self.read(send(clients).await) {
            Err(ForgeFault::Unauthorized) if self.settings.app.is_some() => {
                let clients = self.renewed().await?;
                self.read(send(clients).await)
            }
            answer => answer,
        }
    }

    /// The interfaces with a new token of the app.
    async fn renewed(&self) -> Result<Clients, ForgeFault> {
        let Some(app) = &self.settings.app else { return Err(ForgeFault::Unauthorized) };
        let now = self.clock.now();
        let token = sign_in(&self.settings, app, &self.repository, now).await?;
        let clients = Clients::new(&self.settings, &token)?;
        *self.clients.lock().await = clients.clone();
        Ok(clients)
    }

    fn read<T>(&self, answer: octocrab::Result<T>) -> Result<T, ForgeFault> {
        answer.map_err(|error| error::read(&error, &self.repository.to_string()))
    }
}

/// Somebody, as GitHub's interfaces name people and apps.
#[derive(Deserialize)]
struct Login {
    login: String,
}

/// A label.
#[derive(Deserialize)]
struct LabelName {
    name: String,
}
