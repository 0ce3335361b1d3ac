//! One issue that is kept up to date, found again by what its description holds
//! ([REST](https://docs.gitlab.com/api/issues/)).

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::text::{as_written, inert};
use super::{GitLab, Username, encoded};
use crate::forge::{ForgeFault, Issue};
use crate::secret::redacted;
use crate::text::is_same_text;

/// The label of the issue, for people.
const LABEL: &str = "tagalong";

#[derive(Deserialize)]
struct ListedIssue {
    iid: u64,
    title: String,
    description: Option<String>,
    author: Option<Username>,
}

impl GitLab {
    /// Has our one open issue with a mark say this. True if something had to change.
    pub(super) async fn show(&self, wanted: &Issue<'_>) -> Result<bool, ForgeFault> {
        let Issue { mark, title, rules, .. } = *wanted;
        // A label can be taken off; who wrote it stays.
        let by = encoded(&rules.viewer);
        let route =
            format!("issues?state=opened&author_username={by}&order_by=created_at&sort=asc");
        let issues: Vec<ListedIssue> = self.list(&self.route(&route)).await?;
        // Somebody else's with the same mark is not ours to write to.
        let is_ours = |issue: &&ListedIssue| {
            let text = issue.description.as_deref().unwrap_or_default();
            text.contains(mark)
                && issue.author.as_ref().is_some_and(|author| rules.is_own(&author.username))
        };
        let body = inert(wanted.body);
        let Some(found) = issues.iter().find(is_ours) else {
            let new = json!({"title": title, "description": body, "labels": LABEL});
            let _new: Value = self.change(Method::POST, &self.route("issues"), &new).await?;
            return Ok(true);
        };
        let text = as_written(found.description.as_deref().unwrap_or_default());
        if is_same_text(&text, &redacted(wanted.body)) && found.title == title {
            return Ok(false);
        }
        let route = self.route(&format!("issues/{}", found.iid));
        let changed = json!({"title": title, "description": body});
        let _changed: Value = self.change(Method::PUT, &route, &changed).await?;
        Ok(true)
    }
}
