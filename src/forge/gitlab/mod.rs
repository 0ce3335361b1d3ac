//! GitLab, at gitlab.com or self-managed, version 17 or newer: merge requests are found with one
//! [GraphQL](https://docs.gitlab.com/api/graphql/reference/) question, and everything else goes over the
//! [REST API](https://docs.gitlab.com/api/rest/). Every request goes through the client here, with its pace and its patience.

mod answer;
mod checks;
#[cfg(fuzzing)]
pub mod fuzz;
mod issue;
mod label;
mod merge;
mod merge_requests;
mod releases;
mod review;
mod rules;
mod text;
mod verbs;
mod write;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ForgeFault;
use super::pace::Pace;
use super::rest::{RestClient, encoded};
use crate::pull_request::Labeller;
use crate::repo_id::RepoId;
use crate::settings::ForgeSettings;
use answer::{GraphqlAnswer, ReadBody};

/// GitLab divides lists into parts of this many, at most
/// (<https://docs.gitlab.com/api/rest/#offset-based-pagination>).
const PAGE: usize = 100;

/// More parts of a list are not read: what is in them counts as unknown.
const MAX_PAGES: usize = 30;

/// One project on GitLab.
pub struct GitLab {
    client: RestClient,
    settings: ForgeSettings,
    repository: RepoId,
    pace: Pace,
    /// Facts that a snapshot brought, for what is done after it.
    observed: Mutex<ObservedProject>,
}

/// Facts of a project and its base.
#[derive(Clone, Default)]
struct ObservedProject {
    /// The token's account.
    viewer: String,
    /// The base of the merge requests.
    base: String,
    /// True if they are merged by a train.
    has_trains: bool,
    /// Rights of accounts, by their numbers.
    people: BTreeMap<u64, Labeller>,
}

/// Somebody, as GitLab's interfaces name people and programs.
#[derive(Deserialize)]
struct Username {
    username: String,
}

impl GitLab {
    /// A client for one project.
    ///
    /// # Errors
    /// There is no token, or the address cannot be used.
    pub fn new(settings: &ForgeSettings, repository: &RepoId) -> Result<Self, ForgeFault> {
        let missing = || {
            if settings.job_token.is_some() { ForgeFault::JobToken } else { ForgeFault::NoToken }
        };
        settings.token.as_ref().ok_or_else(missing)?;
        let client = RestClient::new(settings)?;
        let pace = Pace::of(Duration::ZERO, &settings.turns);
        let (settings, repository) = (settings.clone(), repository.clone());
        Ok(Self { client, settings, repository, pace, observed: Mutex::default() })
    }

    /// The path of something of the project.
    fn route(&self, rest: &str) -> String {
        format!("projects/{}/{rest}", encoded(self.repository.path()))
    }

    fn observed(&self) -> ObservedProject {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn observe_project(&self, change: impl FnOnce(&mut ObservedProject)) {
        change(&mut self.observed.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Reads something.
    async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ForgeFault> {
        Ok(self.part(route).await?.body)
    }

    async fn part<T: DeserializeOwned>(&self, route: &str) -> Result<ReadBody<T>, ForgeFault> {
        self.pace.patiently(|| self.send(Method::GET, route, None)).await
    }

    /// Reads all parts of a list; the route has no other question than `?…`.
    async fn list<T: DeserializeOwned>(&self, route: &str) -> Result<Vec<T>, ForgeFault> {
        let mut all = Vec::new();
        let mark = if route.contains('?') { '&' } else { '?' };
        for page in 1..=MAX_PAGES {
            let at = format!("{route}{mark}per_page={PAGE}&page={page}");
            let ReadBody { body, has_next } = self.part::<Vec<T>>(&at).await?;
            // What the token may not see is taken out of a part after it was counted off.
            let is_end = !has_next && body.len() < PAGE;
            all.extend(body);
            if is_end {
                return Ok(all);
            }
        }
        Err(ForgeFault::Unavailable(format!("{route} has more rows than are read")))
    }

    /// Changes something, once.
    async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        body: &Value,
    ) -> Result<T, ForgeFault> {
        let sent = self.pace.write(|| self.send(method.clone(), route, Some(body))).await;
        Ok(sent?.body)
    }

    /// Asks GraphQL, which changes nothing here.
    async fn ask<T: DeserializeOwned>(&self, question: &Value) -> Result<T, ForgeFault> {
        let send = || self.send(Method::POST, "../graphql", Some(question));
        let said: ReadBody<GraphqlAnswer<T>> = self.pace.patiently(send).await?;
        said.body.data(&self.repository)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        body: Option<&Value>,
    ) -> Result<ReadBody<T>, ForgeFault> {
        let base = self.settings.api_url.as_str().trim_end_matches('/');
        // GraphQL is beside the version of REST.
        let base = if route.starts_with("../") { base.trim_end_matches("/v4") } else { base };
        let at = format!("{base}/{}", route.trim_start_matches("../"));
        let answer = self.client.send(method, &at, body).await?;
        answer::read(&answer, &self.repository)
    }
}
