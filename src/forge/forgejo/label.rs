//! Labels, which the interface wants by their numbers (`/repos/{owner}/{repo}/issues/{index}/labels`).

use reqwest::Method;
use serde_json::{Value, json};

use super::Forgejo;
use super::pulls::SentLabel;
use crate::forge::ForgeFault;

/// The colour of a label that was not there before.
const COLOUR: &str = "#6e7781";

impl Forgejo {
    /// Adds labels to a pull request or an issue, and returns those that it has then.
    pub(super) async fn add_labels(
        &self,
        number: u64,
        labels: &[String],
    ) -> Result<Vec<SentLabel>, ForgeFault> {
        let ids = self.label_ids(labels).await?;
        let route = self.route(&format!("issues/{number}/labels"));
        self.change(Method::POST, &route, &json!({"labels": ids})).await
    }

    /// The numbers of labels of the repository or of its organisation; those that are not there are made.
    pub(super) async fn label_ids(&self, labels: &[String]) -> Result<Vec<u64>, ForgeFault> {
        let mut known: Vec<SentLabel> = self.list(&self.route("labels")).await?;
        let is_known = |known: &[SentLabel], name: &str| {
            known.iter().find(|label| label.name.eq_ignore_ascii_case(name)).map(|label| label.id)
        };
        if labels.iter().any(|name| is_known(&known, name).is_none()) {
            known.extend(self.organisation_labels().await?);
        }
        let mut ids = Vec::new();
        for name in labels {
            ids.push(match is_known(&known, name) {
                Some(id) => id,
                None => self.new_label(name).await?.id,
            });
        }
        Ok(ids)
    }

    /// The labels that an organisation has for all of its repositories; none of a person.
    async fn organisation_labels(&self) -> Result<Vec<SentLabel>, ForgeFault> {
        let route = format!("orgs/{}/labels", self.repository.owner());
        match self.list(&route).await {
            // A token of a repository is not let in there.
            Err(ForgeFault::NotFound(_) | ForgeFault::Forbidden(_)) => Ok(Vec::new()),
            labels => labels,
        }
    }

    async fn new_label(&self, name: &str) -> Result<SentLabel, ForgeFault> {
        let new = json!({"name": name, "color": COLOUR});
        self.change(Method::POST, &self.route("labels"), &new).await
    }

    /// Removes a label in whatever case it is there: labels differ by case here, and commands do not.
    pub(super) async fn remove_label(&self, number: u64, label: &str) -> Result<(), ForgeFault> {
        let there = self.sent_pull(number).await?.labels.unwrap_or_default();
        for label in there.into_iter().filter(|there| there.name.eq_ignore_ascii_case(label)) {
            let route = self.route(&format!("issues/{number}/labels/{}", label.id));
            match self.change::<Value>(Method::DELETE, &route, &json!({})).await {
                Ok(_) | Err(ForgeFault::NotFound(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}
