//! Labels, and who set them
//! ([REST](https://docs.gitlab.com/api/resource_label_events/#merge-requests)).

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitLab;
use super::merge::MergeRequestState;
use super::review::Person;
use crate::forge::ForgeFault;
use crate::policy::{APPROVE, HOLD, REBASE, RETRY};
use crate::pull_request::Labeller;

#[derive(Deserialize)]
struct LabelEvent {
    id: u64,
    user: Option<Person>,
    /// With the present name, also where the label had another one then; absent when it is deleted.
    label: Option<EventLabel>,
    action: String,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct EventLabel {
    name: String,
}

impl GitLab {
    pub(super) async fn add_labels(
        &self,
        number: u64,
        labels: &[String],
    ) -> Result<(), ForgeFault> {
        self.relabel(number, "add_labels", labels).await
    }

    async fn relabel(&self, number: u64, key: &str, labels: &[String]) -> Result<(), ForgeFault> {
        let route = self.route(&format!("merge_requests/{number}"));
        let _set: Value = self.change(Method::PUT, &route, &json!({key: labels.join(",")})).await?;
        Ok(())
    }

    /// Removes a label in whatever case it is there: GitLab's labels differ by case, and commands do not.
    pub(super) async fn remove_label(&self, number: u64, label: &str) -> Result<(), ForgeFault> {
        let labels = self.spellings(number, label).await?;
        if labels.is_empty() {
            return Ok(());
        }
        self.relabel(number, "remove_labels", &labels).await
    }

    /// The ways in which a label is written on a merge request.
    async fn spellings(&self, number: u64, label: &str) -> Result<Vec<String>, ForgeFault> {
        let there: MergeRequestState =
            self.get(&self.route(&format!("merge_requests/{number}"))).await?;
        let is_it = |there: &String| there.eq_ignore_ascii_case(label);
        Ok(there.labels.into_iter().filter(is_it).collect())
    }

    /// Reads who set a label that is there; `None` when the events do not say. A label can be there in several ways: then it
    /// is a hold if one of them is somebody's who may say so, and anything else only if each is.
    pub(super) async fn labelled(
        &self,
        number: u64,
        label: &str,
    ) -> Result<Option<Labeller>, ForgeFault> {
        let spellings = self.spellings(number, label).await?;
        let since = self.earliest(number, label).await?;
        let changes = self.label_changes(number, label).await?;
        let route = self.route(&format!("merge_requests/{number}/resource_label_events"));
        let events: Vec<LabelEvent> = self.list(&route).await?;
        let mut found: Option<Labeller> = None;
        for spelling in &spellings {
            let is_it = |event: &&LabelEvent| {
                event.label.as_ref().is_some_and(|label| label.name == *spelling)
            };
            let last = events.iter().filter(is_it).max_by_key(|event| event.id);
            // A label that was renamed keeps its events.
            let is_renamed = |event: &&LabelEvent| {
                changes.get(spelling).is_some_and(|changed| *changed > event.created_at)
            };
            let last = last.filter(|event| event.action == "add" && event.created_at > since);
            let last = last.filter(|event| label == HOLD || !is_renamed(event));
            let Some(person) = last.and_then(|event| event.user.clone()) else {
                // A hold by nobody knows whom counts, and nothing else does.
                return Ok(None);
            };
            let by = self.labeller(person).await?;
            let is_enough = by.may_write && !by.is_bot;
            if is_enough == (label == HOLD) {
                return Ok(Some(by));
            }
            found = Some(by);
        }
        Ok(found)
    }

    /// The times at which labels of a merge request were last changed, as when they were renamed
    /// ([GraphQL](https://docs.gitlab.com/api/graphql/reference/#label)).
    async fn label_changes(
        &self,
        number: u64,
        label: &str,
    ) -> Result<BTreeMap<String, Timestamp>, ForgeFault> {
        if label != APPROVE && label != REBASE && label != RETRY {
            return Ok(BTreeMap::new());
        }
        let query = "query($path: ID!, $iid: String!) { project(fullPath: $path) { mergeRequest(iid: $iid) { \
            labels { nodes { title updatedAt } } } } }";
        let variables = json!({"path": self.repository.path(), "iid": number.to_string()});
        let answer: Value = self.ask(&json!({"query": query, "variables": variables})).await?;
        let nodes = &answer["project"]["mergeRequest"]["labels"]["nodes"];
        let changed = nodes.as_array().into_iter().flatten().filter_map(|node| {
            let at = node["updatedAt"].as_str()?.parse().unwrap_or(Timestamp::MAX);
            Some((node["title"].as_str()?.to_owned(), at))
        });
        Ok(changed.collect())
    }

    /// The time before which a label cannot have been set: what approves a commit, or throws one away, must be younger than
    /// what the branch is now.
    async fn earliest(&self, number: u64, label: &str) -> Result<Timestamp, ForgeFault> {
        if label != APPROVE && label != REBASE {
            return Ok(Timestamp::MIN);
        }
        let there: MergeRequestState =
            self.get(&self.route(&format!("merge_requests/{number}"))).await?;
        let version = self.version(number, &there.sha.unwrap_or_default()).await?;
        Ok(version.unwrap_or(Timestamp::MAX))
    }
}
