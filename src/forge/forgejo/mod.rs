//! Forgejo 7 or newer and Gitea 1.21 or newer, which share their REST interface
//! (<https://forgejo.org/docs/latest/user/api-usage/>, <https://docs.gitea.com/development/api-usage>; each server describes
//! its own at `/swagger.v1.json`). Every request goes through the client here, with its pace and its patience.

mod answer;
mod checks;
#[cfg(fuzzing)]
pub mod fuzz;
mod issue;
mod label;
mod merge;
mod pulls;
mod releases;
mod review;
mod rules;
mod text;
mod timeline;
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
use super::rest::{RestAnswer, RestClient};
use crate::forge_kind::ForgeKind;
use crate::pull_request::Labeller;
use crate::repo_id::RepoId;
use crate::settings::ForgeSettings;

/// Servers divide lists into parts of this many, unless their operators want less
/// (<https://forgejo.org/docs/latest/admin/config-cheat-sheet/#api-api>).
const PAGE: usize = 50;

/// More parts of a list are not read: what is in them counts as unknown.
const MAX_PAGES: usize = 40;

/// One repository on Forgejo or Gitea.
pub struct Forgejo {
    client: RestClient,
    settings: ForgeSettings,
    repository: RepoId,
    pace: Pace,
    /// Facts that were learned on the way, for what is done later in the run.
    observed: Mutex<ObservedRepository>,
}

/// Facts of a server and a repository.
#[derive(Clone, Default)]
struct ObservedRepository {
    /// The token's account.
    viewer: Option<String>,
    /// The base of the pull requests.
    base: String,
    /// True if a branch has to hold the base before it is merged, where that was asked for.
    wants_base_in_branch: Option<bool>,
    /// True if the pull requests are more than one part of the list.
    has_long_list: bool,
    /// Numbers of open pull requests, by their branches.
    open: BTreeMap<String, u64>,
    /// Teams whose right is of something else than the code, once they were asked for.
    mixed_teams: Option<Vec<u64>>,
    /// Rights of accounts, by their names.
    people: BTreeMap<String, Labeller>,
}

/// Somebody, as the interface names people and programs.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    id: i64,
    login: String,
}

impl Account {
    /// True for the accounts that no person has: jobs act as -2, and who was deleted as -1.
    fn is_bot(&self) -> bool {
        self.id < 0
    }
}

impl Forgejo {
    /// A client for one repository.
    ///
    /// # Errors
    /// There is no token, or the address cannot be used.
    pub fn new(settings: &ForgeSettings, repository: &RepoId) -> Result<Self, ForgeFault> {
        settings.token.as_ref().ok_or(ForgeFault::NoToken)?;
        let client = RestClient::new(settings)?;
        let pace = Pace::of(Duration::ZERO, &settings.turns);
        let (settings, repository) = (settings.clone(), repository.clone());
        Ok(Self { client, settings, repository, pace, observed: Mutex::default() })
    }

    /// The product.
    pub(super) fn kind(&self) -> ForgeKind {
        self.settings.kind
    }

    /// The path of something of the repository.
    fn route(&self, rest: &str) -> String {
        format!("repos/{}/{rest}", self.repository)
    }

    fn observed(&self) -> ObservedRepository {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, change: impl FnOnce(&mut ObservedRepository)) {
        change(&mut self.observed.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The token's account, asked for once in a run.
    async fn viewer(&self) -> Result<String, ForgeFault> {
        if let Some(known) = self.observed().viewer {
            return Ok(known);
        }
        let account: Account = match self.get("user").await {
            // It is of the server, and not of the repository.
            Err(ForgeFault::NotFound(_) | ForgeFault::Redirected(_)) => {
                let (api, variable) = (&self.settings.api_url, self.kind().server_variable());
                let why = format!("no interface of {} at {api}; is {variable} right?", self.kind());
                return Err(ForgeFault::Unavailable(why));
            }
            account => account?,
        };
        self.learn(|seen| seen.viewer = Some(account.login.clone()));
        Ok(account.login)
    }

    /// Reads something.
    async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ForgeFault> {
        self.read(&self.ask(route).await?)
    }

    async fn ask(&self, route: &str) -> Result<RestAnswer, ForgeFault> {
        let answer = self.pace.patiently(|| self.send(Method::GET, route, None)).await?;
        // Nothing is not an empty list.
        if answer.body.is_empty() {
            return Err(ForgeFault::Unavailable(format!("an empty answer to {route}")));
        }
        Ok(answer)
    }

    /// Reads a part of a list, and how many rows the whole has.
    async fn part<T: DeserializeOwned>(
        &self,
        route: &str,
        page: usize,
    ) -> Result<(Vec<T>, Option<usize>), ForgeFault> {
        let mark = if route.contains('?') { '&' } else { '?' };
        let answer = self.ask(&format!("{route}{mark}limit={PAGE}&page={page}")).await?;
        let rows: Option<Vec<T>> = self.read(&answer)?;
        Ok((rows.unwrap_or_default(), answer::total(&answer)))
    }

    /// Reads all parts of a list.
    async fn list<T: DeserializeOwned>(&self, route: &str) -> Result<Vec<T>, ForgeFault> {
        let (all, has_more) = self.parts(route).await?;
        if has_more {
            let why = format!("{route} has more rows than are read");
            return Err(ForgeFault::Unavailable(why));
        }
        Ok(all)
    }

    /// Reads the parts of a list, as far as is read at all, and whether more follow. Some rows are taken out of a part after it
    /// was counted off, so that a short one is no end; an empty one is, where all that there are would have been in those
    /// before it.
    async fn parts<T: DeserializeOwned>(&self, route: &str) -> Result<(Vec<T>, bool), ForgeFault> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let (rows, total) = self.part(route, page).await?;
            let is_empty = rows.is_empty();
            all.extend(rows);
            let is_whole = total.is_some_and(|total| all.len() >= total);
            let is_past = is_empty && total.is_none_or(|total| PAGE * page >= total);
            if is_whole || is_past {
                return Ok((all, false));
            }
        }
        Ok((all, true))
    }

    /// Reads a list that is told to be as long as each of its parts, and of which whole parts can be left out: to so many empty
    /// ones.
    async fn list_with_gaps<T: DeserializeOwned>(
        &self,
        route: &str,
        most: usize,
    ) -> Result<Vec<T>, ForgeFault> {
        let (mut all, mut gaps) = (Vec::new(), 0);
        for page in 1..=MAX_PAGES {
            let (rows, _) = self.part(route, page).await?;
            gaps = if rows.is_empty() { gaps + 1 } else { 0 };
            all.extend(rows);
            if gaps == most {
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
        self.read(&self.request(method, route, body).await?)
    }

    /// The same, with the whole answer.
    async fn request(
        &self,
        method: Method,
        route: &str,
        body: &Value,
    ) -> Result<RestAnswer, ForgeFault> {
        self.pace.write(|| self.send(method.clone(), route, Some(body))).await
    }

    async fn send(
        &self,
        method: Method,
        route: &str,
        body: Option<&Value>,
    ) -> Result<RestAnswer, ForgeFault> {
        let base = self.settings.api_url.as_str().trim_end_matches('/');
        let answer = self.client.send(method, &format!("{base}/{route}"), body).await?;
        answer::refusal(&answer, &self.repository).map_or(Ok(answer), Err)
    }

    fn read<T: DeserializeOwned>(&self, answer: &RestAnswer) -> Result<T, ForgeFault> {
        answer.json(self.kind().server_variable())
    }
}
