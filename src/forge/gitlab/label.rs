//! Labels, and who set them
//! ([REST](https://docs.gitlab.com/api/resource_label_events/#merge-requests)).

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitLab;
use crate::forge::Fault;
use crate::pull_request::Labeller;

/// The access level of a Developer, who may push
/// (<https://docs.gitlab.com/api/members/#roles>).
const DEVELOPER: u64 = 30;

#[derive(Deserialize)]
struct LabelEvent {
    id: u64,
    user: Option<EventUser>,
    /// Absent when the label is deleted.
    label: Option<EventLabel>,
    action: String,
}

#[derive(Deserialize)]
struct EventUser {
    id: u64,
    username: String,
}

#[derive(Deserialize)]
struct EventLabel {
    name: String,
}

#[derive(Deserialize)]
struct Membership {
    access_level: u64,
}

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    bot: bool,
}

#[derive(Deserialize)]
struct Labelled {
    labels: Vec<String>,
}

impl GitLab {
    pub(super) async fn add_labels(&self, number: u64, labels: &[String]) -> Result<(), Fault> {
        self.relabel(number, "add_labels", labels).await
    }

    async fn relabel(&self, number: u64, key: &str, labels: &[String]) -> Result<(), Fault> {
        let route = self.route(&format!("merge_requests/{number}"));
        let _set: Value = self.change(Method::PUT, &route, &json!({key: labels.join(",")})).await?;
        Ok(())
    }

    /// Removes a label in whatever case it is there: GitLab's labels differ by case, and commands do not.
    pub(super) async fn remove_label(&self, number: u64, label: &str) -> Result<(), Fault> {
        let route = self.route(&format!("merge_requests/{number}"));
        let there: Labelled = self.get(&route).await?;
        let is_it = |there: &String| there.eq_ignore_ascii_case(label);
        let labels: Vec<String> = there.labels.into_iter().filter(is_it).collect();
        if labels.is_empty() {
            return Ok(());
        }
        self.relabel(number, "remove_labels", &labels).await
    }

    /// Reads who set a label last; `None` when the events do not say.
    pub(super) async fn labeller(
        &self,
        number: u64,
        label: &str,
    ) -> Result<Option<Labeller>, Fault> {
        let route = self.route(&format!("merge_requests/{number}/resource_label_events"));
        let events: Vec<LabelEvent> = self.list(&route).await?;
        let is_it = |event: &LabelEvent| {
            let is_of = |it: &EventLabel| it.name.eq_ignore_ascii_case(label);
            event.action == "add" && event.label.as_ref().is_some_and(is_of)
        };
        let last = events.into_iter().filter(is_it).max_by_key(|event| event.id);
        let Some(user) = last.and_then(|event| event.user) else { return Ok(None) };
        let member = self.get::<Membership>(&self.route(&format!("members/all/{}", user.id))).await;
        let may_write = match member {
            Ok(member) => member.access_level >= DEVELOPER,
            Err(Fault::NotFound(_)) => false,
            Err(fault) => return Err(fault),
        };
        let account: Account = self.get(&format!("users/{}", user.id)).await?;
        Ok(Some(Labeller { login: user.username, may_write, is_bot: account.bot }))
    }
}
