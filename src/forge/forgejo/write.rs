//! Pull requests opened, kept up to date, decorated and closed (`/repos/{owner}/{repo}/pulls`).

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Forgejo;
use super::pulls::SentPull;
use super::text::titled;
use crate::forge::rest::encoded;
use crate::forge::{Decoration, ForgeFault, NewPullRequest, PullRequestEdit};
use crate::pull_request::PullRequest;
use crate::secret::redacted;
use crate::text::is_same_text;

#[derive(Deserialize)]
struct FoundMilestone {
    id: u64,
    title: String,
}

impl Forgejo {
    pub(super) async fn create(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, ForgeFault> {
        match self.send_new(new).await {
            // Another run was faster, or the answer was lost after the effect.
            Err(fault) if may_exist(&fault) => {
                let mut seen = self.pulls(&[new.branch], new.base, false).await?;
                let open = seen.pulls.remove(new.branch).and_then(|pulls| pulls.open);
                let found = open.ok_or(fault)?;
                if found.title != new.title || !is_same_text(&found.body, new.body) {
                    let (title, body) = (Some(new.title), Some(new.body));
                    let edit = PullRequestEdit { title, body, ..PullRequestEdit::default() };
                    self.update(found.number, &edit).await?;
                }
                Ok(found)
            }
            created => created,
        }
    }

    async fn send_new(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, ForgeFault> {
        let sent = json!({
            "title": titled(new.title, new.is_draft), "body": redacted(new.body),
            "head": new.branch, "base": new.base,
        });
        let made: SentPull = self.change(Method::POST, &self.route("pulls"), &sent).await?;
        Ok(PullRequest {
            number: made.number,
            url: made.html_url,
            title: new.title.to_owned(),
            body: new.body.to_owned(),
            is_draft: new.is_draft,
            ..PullRequest::default()
        })
    }

    /// Edits texts and state, and adds a last comment.
    pub(super) async fn update(
        &self,
        number: u64,
        edit: &PullRequestEdit<'_>,
    ) -> Result<(), ForgeFault> {
        let route = self.route(&format!("pulls/{number}"));
        let mut sent = Map::new();
        if let Some(title) = edit.title {
            // A title says whether it is a draft, and people may have said otherwise since.
            let is_draft = self.sent_pull(number).await?.is_draft();
            sent.insert("title".to_owned(), json!(titled(title, is_draft)));
        }
        sent.extend(edit.body.map(|body| ("body".to_owned(), json!(redacted(body)))));
        sent.extend(edit.is_closed.then(|| ("state".to_owned(), json!("closed"))));
        let _sent: Value = self.change(Method::PATCH, &route, &Value::Object(sent)).await?;
        let Some(comment) = edit.comment else { return Ok(()) };
        let route = self.route(&format!("issues/{number}/comments"));
        let comment = json!({"body": redacted(comment)});
        let _comment: Value = self.change(Method::POST, &route, &comment).await?;
        Ok(())
    }

    /// Sets reviewers, assignees and milestone, and adds labels. Somebody who cannot be set does not keep the others away,
    /// and is told.
    pub(super) async fn set_decoration(
        &self,
        number: u64,
        with: &Decoration<'_>,
    ) -> Result<(), ForgeFault> {
        let mut missing = Vec::new();
        if let Some(milestone) = with.milestone {
            self.patch(number, &json!({"milestone": milestone})).await?;
        }
        self.set_assignees(number, with.assignees, &mut missing).await?;
        for reviewer in with.reviewers {
            self.ask_for_review(number, reviewer, &mut missing).await?;
        }
        if !with.labels.is_empty() {
            let there = self.add_labels(number, with.labels).await?;
            // Of two labels of one exclusive scope one stays.
            let is_set = |name: &&String| there.iter().any(|it| it.name.eq_ignore_ascii_case(name));
            let left = with.labels.iter().filter(|name| !is_set(name));
            missing.extend(left.map(|name| format!("the label `{name}`")));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let why = format!(
            "it did not set {} (an account that does not exist or may not read the repository, a team of another organisation, \
             or a second label of a scope)",
            missing.join(", ")
        );
        Err(ForgeFault::Invalid(why))
    }

    async fn patch(&self, number: u64, change: &Value) -> Result<(), ForgeFault> {
        let route = self.route(&format!("pulls/{number}"));
        self.change::<Value>(Method::PATCH, &route, change).await.map(drop)
    }

    /// Sets assignees at once, or one after the other where one of them is refused: each call names all.
    async fn set_assignees(
        &self,
        number: u64,
        names: &[String],
        missing: &mut Vec<String>,
    ) -> Result<(), ForgeFault> {
        if names.is_empty() {
            return Ok(());
        }
        match self.patch(number, &json!({"assignees": names})).await {
            Err(fault) if is_refused(&fault) => {}
            set => return set,
        }
        let mut found: Vec<&String> = Vec::new();
        for name in names {
            found.push(name);
            match self.patch(number, &json!({"assignees": found})).await {
                Err(fault) if is_refused(&fault) => {
                    found.pop();
                    missing.push(name.clone());
                }
                set => set?,
            }
        }
        Ok(())
    }

    async fn ask_for_review(
        &self,
        number: u64,
        name: &str,
        missing: &mut Vec<String>,
    ) -> Result<(), ForgeFault> {
        let wanted = match name.split_once('/') {
            Some((owner, team)) if owner.eq_ignore_ascii_case(self.repository.owner()) => {
                json!({"team_reviewers": [team]})
            }
            Some(_) => {
                missing.push(name.to_owned());
                return Ok(());
            }
            None => json!({"reviewers": [name]}),
        };
        let route = self.route(&format!("pulls/{number}/requested_reviewers"));
        match self.change::<Value>(Method::POST, &route, &wanted).await {
            Err(fault) if is_refused(&fault) => missing.push(name.to_owned()),
            asked => drop(asked?),
        }
        Ok(())
    }

    /// The number of an open milestone.
    pub(super) async fn milestone_of(&self, title: &str) -> Result<u64, ForgeFault> {
        let route = self.route(&format!("milestones?state=open&name={}", encoded(title)));
        let all: Vec<FoundMilestone> = self.list(&route).await?;
        let found = all.into_iter().find(|milestone| milestone.title == title);
        let unknown = || ForgeFault::NotFound(format!("an open milestone `{title}`"));
        found.map(|milestone| milestone.id).ok_or_else(unknown)
    }
}

/// True if it is of what was sent, and not of the server or the token. An account that may not be assigned is told as a
/// failure of the server.
fn is_refused(fault: &ForgeFault) -> bool {
    match fault {
        ForgeFault::Invalid(_) | ForgeFault::NotFound(_) => true,
        ForgeFault::Unavailable(why) => why.starts_with("500"),
        _ => false,
    }
}

/// True if a pull request can be there although its creation failed.
fn may_exist(fault: &ForgeFault) -> bool {
    match fault {
        ForgeFault::Invalid(why) => why.contains("already exists"),
        ForgeFault::Unavailable(_) => true,
        _ => false,
    }
}
