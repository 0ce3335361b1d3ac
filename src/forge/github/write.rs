//! What is written to pull requests: they are opened, kept up to date, labelled and closed.

use octocrab::Octocrab;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{GitHub, LabelName};
use crate::forge::{Decoration, ForgeFault, NewPullRequest, PullRequestEdit};
use crate::pull_request::{Labeller, PullRequest};
use crate::secret::redacted;
use crate::text::is_same_text;

/// A pull request as the REST API answers; what it says of title and body was just sent.
#[derive(Deserialize)]
struct Sent {
    number: u64,
    html_url: String,
    node_id: String,
}

/// Something that happened to a pull request.
#[derive(Deserialize)]
struct Event {
    id: u64,
    #[serde(rename = "event")]
    what: String,
    actor: Option<Actor>,
    label: Option<LabelName>,
    #[serde(rename = "performed_via_github_app")]
    app: Option<Value>,
}

/// A person or an app.
#[derive(Deserialize)]
struct Actor {
    login: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// GitHub divides lists into parts of this many, at most.
const PAGE: usize = 100;

/// More parts of a list of events are not read: whose label it is counts as unknown then.
const MAX_PAGES: usize = 30;

/// What a person may do; `maintain` is `write` here, and `triage` is `read`
/// (<https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user>).
#[derive(Deserialize)]
struct Permission {
    permission: String,
}

#[derive(Serialize)]
struct NewPull<'a> {
    title: &'a str,
    body: &'a str,
    head: &'a str,
    base: &'a str,
    draft: bool,
    maintainer_can_modify: bool,
}

impl GitHub {
    /// Opens a pull request.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn open(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, ForgeFault> {
        match self.create(new).await {
            // Another run was faster, or the answer was lost after the effect.
            Err(error) if may_exist(&error) => {
                let mut seen = self.pulls(&[new.branch], new.base, false).await?;
                let open = seen.pulls.remove(new.branch).and_then(|pulls| pulls.open);
                let found = open.ok_or(error)?;
                let body = redacted(new.body);
                if found.title != new.title || !is_same_text(&found.body, &body) {
                    let (title, body) = (Some(new.title), Some(new.body));
                    let edit = PullRequestEdit { title, body, ..PullRequestEdit::default() };
                    self.edit(found.number, &edit).await?;
                }
                Ok(found)
            }
            created => created,
        }
    }

    async fn create(&self, new: &NewPullRequest<'_>) -> Result<PullRequest, ForgeFault> {
        let body = &*redacted(new.body);
        let &NewPullRequest { title, branch: head, base, is_draft: draft, .. } = new;
        let sent = NewPull { title, body, head, base, draft, maintainer_can_modify: true };
        let route = self.route("pulls");
        let made: Sent =
            self.write(async |rest: Octocrab| rest.post(&route, Some(&sent)).await).await?;
        Ok(PullRequest {
            number: made.number,
            url: made.html_url,
            id: made.node_id,
            title: title.to_owned(),
            body: body.to_owned(),
            is_draft: draft,
            ..PullRequest::default()
        })
    }

    /// Edits a pull request: its texts, its state, and a last comment.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn edit(&self, number: u64, edit: &PullRequestEdit<'_>) -> Result<(), ForgeFault> {
        let mut patch = Map::new();
        patch.extend(edit.title.map(|title| ("title".to_owned(), json!(title))));
        patch.extend(edit.body.map(|body| ("body".to_owned(), json!(redacted(body)))));
        patch.extend(edit.is_closed.then(|| ("state".to_owned(), json!("closed"))));
        let route = self.route(&format!("pulls/{number}"));
        let patch = Value::Object(patch);
        let _sent: Sent =
            self.write(async |rest: Octocrab| rest.patch(&route, Some(&patch)).await).await?;
        let Some(comment) = edit.comment else { return Ok(()) };
        let comment = json!({"body": redacted(comment)});
        self.post(&format!("issues/{number}/comments"), &comment).await
    }

    /// Adds labels.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn label(&self, number: u64, labels: &[String]) -> Result<(), ForgeFault> {
        self.post(&format!("issues/{number}/labels"), &json!({"labels": labels})).await
    }

    /// Returns who put a label on last; `None` when the events do not say.
    ///
    /// # Errors
    /// GitHub refuses, cannot be reached, or has more events than are read.
    pub async fn labelled_by(
        &self,
        number: u64,
        label: &str,
    ) -> Result<Option<Labeller>, ForgeFault> {
        let is_it = |event: &Event| {
            let is_of = |it: &LabelName| it.name.eq_ignore_ascii_case(label);
            event.what == "labeled" && event.label.as_ref().is_some_and(is_of)
        };
        let mut last: Option<Event> = None;
        for page in 1.. {
            if page > MAX_PAGES {
                let why = format!("#{number} has more events than are read");
                return Err(ForgeFault::Unavailable(why));
            }
            let route = self.route(&format!("issues/{number}/events?per_page=100&page={page}"));
            let events: Vec<Event> = self.get(&route).await?;
            let is_end = events.len() < PAGE;
            let newer = events.into_iter().filter(is_it);
            last = last.into_iter().chain(newer).max_by_key(|event| event.id);
            if is_end {
                break;
            }
        }
        let Some(Event { actor: Some(actor), app, .. }) = last else { return Ok(None) };
        let login = actor.login.replace('[', "%5B").replace(']', "%5D");
        let route = self.route(&format!("collaborators/{login}/permission"));
        let there: Permission = self.get(&route).await?;
        let may_write = matches!(there.permission.as_str(), "admin" | "write");
        let is_bot = actor.kind.as_deref() == Some("Bot") || app.is_some();
        Ok(Some(Labeller { login: actor.login, may_write, is_bot }))
    }

    /// Takes a label off.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn unlabel(&self, number: u64, label: &str) -> Result<(), ForgeFault> {
        let label = label.replace(':', "%3A");
        let route = self.route(&format!("issues/{number}/labels/{label}"));
        let _left: Value =
            self.write(async |rest: Octocrab| rest.delete(&route, None::<&()>).await).await?;
        Ok(())
    }

    /// Takes a label off if it is there now, whoever set it since.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn unlabel_if_set(&self, number: u64, label: &str) -> Result<(), ForgeFault> {
        let route = self.route(&format!("issues/{number}/labels?per_page=100"));
        let there: Vec<LabelName> = self.get(&route).await?;
        if there.iter().any(|there| there.name.eq_ignore_ascii_case(label)) {
            self.unlabel(number, label).await?;
        }
        Ok(())
    }

    /// Sets reviewers, assignees and milestone of a new pull request, and adds labels. One that is refused does not keep the
    /// others away.
    ///
    /// # Errors
    /// GitHub refuses one of them, or cannot be reached.
    pub async fn decorate(&self, number: u64, with: &Decoration<'_>) -> Result<(), ForgeFault> {
        let (teams, users): (Vec<&String>, Vec<&String>) =
            with.reviewers.iter().partition(|name| name.contains('/'));
        let mut done = Ok(());
        if !with.reviewers.is_empty() {
            // Within the repository's organisation, teams go by the second half of their names.
            let teams: Vec<&str> =
                teams.iter().filter_map(|team| Some(team.split_once('/')?.1)).collect();
            let body = json!({"reviewers": users, "team_reviewers": teams});
            done = self.post(&format!("pulls/{number}/requested_reviewers"), &body).await;
        }
        let mut issue = Map::new();
        if !with.assignees.is_empty() {
            issue.insert("assignees".to_owned(), json!(with.assignees));
        }
        issue.extend(with.milestone.map(|number| ("milestone".to_owned(), json!(number))));
        if !issue.is_empty() {
            let route = self.route(&format!("issues/{number}"));
            let issue = Value::Object(issue);
            let answer: Result<Value, ForgeFault> =
                self.write(async |rest: Octocrab| rest.patch(&route, Some(&issue)).await).await;
            done = done.and(answer.map(drop));
        }
        if with.labels.is_empty() {
            return done;
        }
        done.and(self.label(number, with.labels).await)
    }

    /// The number of an open milestone.
    ///
    /// # Errors
    /// GitHub refuses, cannot be reached, or has none with this title.
    pub async fn milestone(&self, title: &str) -> Result<u64, ForgeFault> {
        #[derive(Deserialize)]
        struct Milestone {
            number: u64,
            title: String,
        }
        let route = self.route("milestones?state=open&per_page=100");
        let all: Vec<Milestone> = self.get(&route).await?;
        let found = all.into_iter().find(|milestone| milestone.title == title);
        let unknown = || ForgeFault::NotFound(format!("an open milestone `{title}`"));
        found.map(|milestone| milestone.number).ok_or_else(unknown)
    }

    async fn post(&self, rest: &str, body: &Value) -> Result<(), ForgeFault> {
        let route = self.route(rest);
        let _sent: Value =
            self.write(async |rest: Octocrab| rest.post(&route, Some(body)).await).await?;
        Ok(())
    }
}

/// Whether a pull request can be there although its creation failed.
fn may_exist(error: &ForgeFault) -> bool {
    match error {
        ForgeFault::Invalid(why) => why.contains("already exists"),
        ForgeFault::Unavailable(_) => true,
        _ => false,
    }
}
