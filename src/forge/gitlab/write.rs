//! Merge requests opened, kept up to date, decorated and closed
//! ([REST](https://docs.gitlab.com/api/merge_requests/)).

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::text::{DRAFT, inert, without_draft};
use super::{GitLab, Username, encoded};
use crate::forge::{Decoration, ForgeFault, NewPullRequest, PullRequestEdit};
use crate::pull_request::PullRequest;
use crate::text::is_same_text;

/// A merge request as REST answers.
#[derive(Deserialize)]
struct SentMergeRequest {
    iid: u64,
    web_url: String,
    title: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    reviewers: Vec<Username>,
    #[serde(default)]
    assignees: Vec<Username>,
    #[serde(default)]
    labels: Vec<String>,
}

/// An account with its number, by which GitLab wants people named.
#[derive(Deserialize)]
struct FoundUser {
    id: u64,
    username: String,
}

#[derive(Deserialize)]
struct FoundMilestone {
    id: u64,
    title: String,
}

impl GitLab {
    pub(super) async fn create(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, ForgeFault> {
        match self.send_new(new).await {
            // Another run was faster, or the answer was lost after the effect.
            Err(fault) if may_exist(&fault) => {
                let mut seen = self.merge_requests(&[new.branch], new.base, false).await?;
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
            "title": titled(new.title, new.is_draft), "description": inert(new.body),
            "source_branch": new.branch, "target_branch": new.base,
        });
        let made: SentMergeRequest =
            self.change(Method::POST, &self.route("merge_requests"), &sent).await?;
        Ok(PullRequest {
            number: made.iid,
            url: made.web_url,
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
        let route = self.route(&format!("merge_requests/{number}"));
        let mut sent = Map::new();
        if let Some(title) = edit.title {
            // A title says whether it is a draft, and people may have said otherwise since.
            let now: SentMergeRequest = self.get(&route).await?;
            let is_draft = now.draft || without_draft(&now.title) != now.title;
            sent.insert("title".to_owned(), json!(titled(title, is_draft)));
        }
        sent.extend(edit.body.map(|body| ("description".to_owned(), json!(inert(body)))));
        sent.extend(edit.is_closed.then(|| ("state_event".to_owned(), json!("close"))));
        let _sent: SentMergeRequest =
            self.change(Method::PUT, &route, &Value::Object(sent)).await?;
        let Some(comment) = edit.comment else { return Ok(()) };
        let comment = json!({"body": inert(comment)});
        let _note: Value = self.change(Method::POST, &format!("{route}/notes"), &comment).await?;
        Ok(())
    }

    /// Sets reviewers, assignees and milestone, and adds labels. Somebody who is not found does not keep the others away,
    /// and is told, as is whom GitLab left out without a word.
    pub(super) async fn set_decoration(
        &self,
        number: u64,
        with: &Decoration<'_>,
    ) -> Result<(), ForgeFault> {
        let mut missing = Vec::new();
        let mut sent = Map::new();
        for (key, names) in [("reviewer_ids", with.reviewers), ("assignee_ids", with.assignees)] {
            let ids = self.users(names, &mut missing).await?;
            if !ids.is_empty() {
                sent.insert(key.to_owned(), json!(ids));
            }
        }
        sent.extend(with.milestone.map(|id| ("milestone_id".to_owned(), json!(id))));
        if !with.labels.is_empty() {
            sent.insert("add_labels".to_owned(), json!(with.labels.join(",")));
        }
        if !sent.is_empty() {
            let route = self.route(&format!("merge_requests/{number}"));
            let there: SentMergeRequest =
                self.change(Method::PUT, &route, &Value::Object(sent)).await?;
            // Some editions take one person alone (<https://docs.gitlab.com/user/project/merge_requests/reviews/>).
            for (names, set) in
                [(with.reviewers, &there.reviewers), (with.assignees, &there.assignees)]
            {
                let is_left = |name: &&String| {
                    !missing.contains(*name)
                        && !set.iter().any(|user| user.username.eq_ignore_ascii_case(name))
                };
                missing.extend(names.iter().filter(is_left).cloned().collect::<Vec<_>>());
            }
            // Of two labels of one scope one stays (<https://docs.gitlab.com/user/project/labels/#scoped-labels>).
            let is_set =
                |label: &&String| there.labels.iter().any(|set| set.eq_ignore_ascii_case(label));
            let left = with.labels.iter().filter(|label| !is_set(label));
            missing.extend(left.map(|label| format!("the label `{label}`")));
        }
        if missing.is_empty() {
            return Ok(());
        }
        missing.dedup();
        let why = format!(
            "it did not set {} (a group, an account that does not exist, more people than the edition takes, or a second label of a scope)",
            missing.join(", ")
        );
        Err(ForgeFault::Invalid(why))
    }

    /// The numbers of accounts; those that do not exist are added to `missing`.
    async fn users(
        &self,
        names: &[String],
        missing: &mut Vec<String>,
    ) -> Result<Vec<u64>, ForgeFault> {
        let mut ids = Vec::new();
        for name in names {
            let found: Vec<FoundUser> =
                self.get(&format!("users?username={}", encoded(name))).await?;
            match found.iter().find(|user| user.username.eq_ignore_ascii_case(name)) {
                Some(user) => ids.push(user.id),
                None => missing.push(name.clone()),
            }
        }
        Ok(ids)
    }

    /// The number of an active milestone of the project or of its groups.
    pub(super) async fn milestone_of(&self, title: &str) -> Result<u64, ForgeFault> {
        let question =
            format!("milestones?state=active&include_ancestors=true&title={}", encoded(title));
        let all: Vec<FoundMilestone> = self.get(&self.route(&question)).await?;
        let found = all.into_iter().find(|milestone| milestone.title == title);
        let unknown = || ForgeFault::NotFound(format!("an active milestone `{title}`"));
        found.map(|milestone| milestone.id).ok_or_else(unknown)
    }
}

fn titled(title: &str, is_draft: bool) -> String {
    if is_draft { format!("{DRAFT}{title}") } else { title.to_owned() }
}

/// True if a merge request can be there although its creation failed.
fn may_exist(fault: &ForgeFault) -> bool {
    match fault {
        ForgeFault::Invalid(why) => why.contains("already exists"),
        ForgeFault::Unavailable(_) => true,
        _ => false,
    }
}
