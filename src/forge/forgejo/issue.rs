//! One issue that is kept up to date, found again by what its body holds (`/repos/{owner}/{repo}/issues`).

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, Forgejo};
use crate::forge::rest::encoded;
use crate::forge::{ForgeFault, Issue};
use crate::secret::redacted;
use crate::text::is_same_text;

/// The label of the issue, for people.
const LABEL: &str = "tagalong";

#[derive(Deserialize)]
struct ListedIssue {
    number: u64,
    title: String,
    #[serde(default)]
    body: Option<String>,
    user: Option<Account>,
}

impl Forgejo {
    /// Has our one open issue with a mark say this. True if something had to change.
    pub(super) async fn show(&self, wanted: &Issue<'_>) -> Result<bool, ForgeFault> {
        let Issue { mark, title, rules, .. } = *wanted;
        // A label can be taken off; who wrote it stays.
        let by = encoded(&rules.viewer);
        let route = self.route(&format!("issues?state=open&type=issues&created_by={by}"));
        let mut issues: Vec<ListedIssue> = self.list(&route).await?;
        issues.sort_by_key(|issue| issue.number);
        // Somebody else's with the same mark is not ours to write to.
        let is_ours = |issue: &&ListedIssue| {
            let text = issue.body.as_deref().unwrap_or_default();
            text.contains(mark) && issue.user.as_ref().is_some_and(|by| rules.is_own(&by.login))
        };
        let body = redacted(wanted.body);
        let Some(found) = issues.iter().find(is_ours) else {
            let labels = self.label_ids(&[LABEL.to_owned()]).await?;
            let new = json!({"title": title, "body": body, "labels": labels});
            let _new: Value = self.change(Method::POST, &self.route("issues"), &new).await?;
            return Ok(true);
        };
        let text = found.body.as_deref().unwrap_or_default();
        if is_same_text(text, &body) && found.title == title {
            return Ok(false);
        }
        let route = self.route(&format!("issues/{}", found.number));
        let changed = json!({"title": title, "body": body});
        let _changed: Value = self.change(Method::PATCH, &route, &changed).await?;
        Ok(true)
    }
}
