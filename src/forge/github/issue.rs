//! One issue that is kept up to date, found again by what its body holds.

use octocrab::Octocrab;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{GitHub, Login};
use crate::forge::{ForgeFault, Issue as Kept};
use crate::secret::redacted;
use crate::text::is_same_text;

/// The label that the issue is found by.
const LABEL: &str = "tagalong";

#[derive(Deserialize)]
struct IssuesAnswer {
    repository: Option<IssuesRepository>,
}

#[derive(Deserialize)]
struct IssuesRepository {
    issues: IssueNodes,
}

#[derive(Deserialize)]
struct IssueNodes {
    nodes: Vec<IssueNode>,
}

#[derive(Deserialize)]
struct IssueNode {
    number: u64,
    title: String,
    body: String,
    author: Option<Login>,
}

impl GitHub {
    /// Has the one open issue of ours with `mark` in its body say this; whether anything had to change.
    ///
    /// # Errors
    /// GitHub refuses, cannot be reached, or has no issues in this repository.
    pub async fn keep_issue(&self, wanted: &Kept<'_>) -> Result<bool, ForgeFault> {
        let Kept { mark, title, rules, .. } = *wanted;
        let body = &*redacted(wanted.body);
        let query = "query($owner: String!, $name: String!, $label: String!) { \
            repository(owner: $owner, name: $name) { issues(first: 20, states: OPEN, labels: [$label], \
            orderBy: {field: CREATED_AT, direction: ASC}) { nodes { number title body \
            author { login } } } } }";
        let of = &self.repository;
        let variables = json!({"owner": of.owner(), "name": of.name(), "label": LABEL});
        let answer: IssuesAnswer =
            self.ask(&json!({"query": query, "variables": variables})).await?;
        let issues = answer.repository.map(|repository| repository.issues.nodes);
        // Somebody else's with the same mark is not ours to write to.
        let is_ours = |issue: &IssueNode| {
            issue.body.contains(mark)
                && issue.author.as_ref().is_some_and(|author| rules.is_own(&author.login))
        };
        let Some(found) = issues.into_iter().flatten().find(is_ours) else {
            let issue = json!({"title": title, "body": body, "labels": [LABEL]});
            let route = self.route("issues");
            let _sent: Value =
                self.write(async |rest: Octocrab| rest.post(&route, Some(&issue)).await).await?;
            return Ok(true);
        };
        if is_same_text(&found.body, body) && found.title == title {
            return Ok(false);
        }
        let route = self.route(&format!("issues/{}", found.number));
        let patch = json!({"title": title, "body": body});
        let _sent: Value =
            self.write(async |rest: Octocrab| rest.patch(&route, Some(&patch)).await).await?;
        Ok(true)
    }
}
