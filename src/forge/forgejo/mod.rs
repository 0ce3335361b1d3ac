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
    /// The rows of a part of a list that is full, where the server had to be asked.
    page: Option<usize>,
    /// True if a branch has to hold the base before it is merged, where that was asked for.
    wants_base_in_branch: Option<bool>,
    /// True if the pull requests are more than one part of the list.
    has_long_list: bool,
    /// Rights of accounts, by their names.
    people: BTreeMap<String, Labeller>,
}

/// Somebody, as the interface names people and programs.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    id: i64,
    login: String,
}

/// The settings of the interface.
#[derive(Deserialize)]
struct ApiSettings {
    max_response_items: usize,
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
        let account: Account = self.get("user").await?;
        self.learn(|seen| seen.viewer = Some(account.login.clone()));
        Ok(account.login)
    }

    /// Reads something.
    async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, ForgeFault> {
        self.read(&self.ask(route).await?)
    }

    async fn ask(&self, route: &str) -> Result<RestAnswer, ForgeFault> {
        self.pace.patiently(|| self.send(Method::GET, route, None)).await
    }

    /// Reads a part of a list, and whether another one comes after it.
    async fn part<T: DeserializeOwned>(
        &self,
        route: &str,
        page: usize,
    ) -> Result<(Vec<T>, bool), ForgeFault> {
        let mark = if route.contains('?') { '&' } else { '?' };
        let answer = self.ask(&format!("{route}{mark}limit={PAGE}&page={page}")).await?;
        let rows: Option<Vec<T>> = self.read(&answer)?;
        let rows = rows.unwrap_or_default();
        let has_more = match answer::end(&answer, rows.len()) {
            answer::ListEnd::Here => false,
            answer::ListEnd::Later => true,
            answer::ListEnd::Unsaid => rows.len() >= self.full_page().await?,
        };
        Ok((rows, has_more))
    }

    /// The rows of a full part, where they are fewer than are asked for.
    async fn full_page(&self) -> Result<usize, ForgeFault> {
        if let Some(known) = self.observed().page {
            return Ok(known);
        }
        let settings: ApiSettings = self.get("settings/api").await?;
        let page = settings.max_response_items.clamp(1, PAGE);
        self.learn(|seen| seen.page = Some(page));
        Ok(page)
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

    /// Reads the parts of a list, as far as is read at all, and whether more follow.
    async fn parts<T: DeserializeOwned>(&self, route: &str) -> Result<(Vec<T>, bool), ForgeFault> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let (rows, has_more) = self.part(route, page).await?;
            all.extend(rows);
            if !has_more {
                return Ok((all, false));
            }
        }
        Ok((all, true))
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
