//! What is written to pull requests: they are opened, kept up to date, labelled and closed.

use octocrab::Octocrab;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ForgeError, GitHub, Named, same_text};
use crate::changeset::ChangeSet;
use crate::pull_request::{Labeller, PullRequest};
use crate::secret::redacted;

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
    label: Option<Named>,
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

/// What had to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upserted {
    /// It did not exist.
    Created(PullRequest),
    /// Its title or body differed.
    Updated(PullRequest),
    /// Nothing differed.
    Unchanged(PullRequest),
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
    /// Makes the open pull request of a branch, if there is one, say what the change set says, and
    /// opens it otherwise.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn upsert(
        &self,
        found: Option<PullRequest>,
        set: &ChangeSet,
        base: &str,
    ) -> Result<Upserted, ForgeError> {
        let Some(found) = found else {
            return match self.create(set, base).await {
                // Another run was faster, or the answer was lost after the effect.
                Err(error) if may_exist(&error) => {
                    let mut seen = self.pulls(&[&set.branch], base, false).await?;
                    let open = seen.pulls.remove(&set.branch).and_then(|pulls| pulls.open);
                    match self.update(open.ok_or(error)?, set).await? {
                        Upserted::Unchanged(pull) => Ok(Upserted::Created(pull)),
                        other => Ok(other),
                    }
                }
                created => created.map(Upserted::Created),
            };
        };
        self.update(found, set).await
    }

    async fn create(&self, set: &ChangeSet, base: &str) -> Result<PullRequest, ForgeError> {
        let body = redacted(&set.body);
        let (title, body, head) = (&*set.title, &*body, &*set.branch);
        let draft = set.pull.draft;
        let new = NewPull { title, body, head, base, draft, maintainer_can_modify: true };
        let route = self.route("pulls");
        let made: Sent =
            self.write(async |rest: Octocrab| rest.post(&route, Some(&new)).await).await?;
        Ok(PullRequest {
            number: made.number,
            url: made.html_url,
            id: made.node_id,
            title: set.title.clone(),
            body: body.to_owned(),
            is_draft: draft,
            ..PullRequest::default()
        })
    }

    async fn update(&self, found: PullRequest, set: &ChangeSet) -> Result<Upserted, ForgeError> {
        let body = redacted(&set.body);
        if found.title == set.title && same_text(&found.body, &body) {
            return Ok(Upserted::Unchanged(found));
        }
        self.patch(found.number, &json!({"title": set.title, "body": body})).await?;
        Ok(Upserted::Updated(found))
    }

    /// Adds labels that are missing; whether there were any. Labels of people stay.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached. The pull request is there all the same.
    pub async fn label(&self, pull: &PullRequest, labels: &[String]) -> Result<bool, ForgeError> {
        let missing: Vec<&String> = labels.iter().filter(|label| !pull.has_label(label)).collect();
        if missing.is_empty() {
            return Ok(false);
        }
        let body = json!({"labels": missing});
        self.post(&format!("issues/{}/labels", pull.number), &body).await.map(|()| true)
    }

    /// Returns who put a label on last; `None` when the events do not say.
    ///
    /// # Errors
    /// GitHub refuses, cannot be reached, or has more events than are read.
    pub async fn labelled_by(
        &self,
        number: u64,
        label: &str,
    ) -> Result<Option<Labeller>, ForgeError> {
        let is_it = |event: &Event| {
            let is_of = |it: &Named| it.name.eq_ignore_ascii_case(label);
            event.what == "labeled" && event.label.as_ref().is_some_and(is_of)
        };
        let mut last: Option<Event> = None;
        for page in 1.. {
            if page > MAX_PAGES {
                let why = format!("#{number} has more events than are read");
                return Err(ForgeError::Unavailable(why));
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
    pub async fn unlabel(&self, number: u64, label: &str) -> Result<(), ForgeError> {
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
    pub async fn unlabel_now(&self, number: u64, label: &str) -> Result<(), ForgeError> {
        let route = self.route(&format!("issues/{number}/labels?per_page=100"));
        let there: Vec<Named> = self.get(&route).await?;
        if there.iter().any(|there| there.name.eq_ignore_ascii_case(label)) {
            self.unlabel(number, label).await?;
        }
        Ok(())
    }

    /// Gives a new pull request its labels, assignees, milestone and reviewers. Later ones are
    /// people's to change.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached. The pull request is there all the same.
    pub async fn dress(
        &self,
        pull: &PullRequest,
        set: &ChangeSet,
        milestone: Option<u64>,
    ) -> Result<(), ForgeError> {
        let wanted = &set.pull;
        let (teams, users): (Vec<&String>, Vec<&String>) =
            wanted.reviewers.iter().partition(|name| name.contains('/'));
        let mut done = Ok(());
        if !wanted.reviewers.is_empty() {
            // Within the repository's organisation, teams go by the second half of their names.
            let teams: Vec<&str> =
                teams.iter().filter_map(|team| Some(team.split_once('/')?.1)).collect();
            let body = json!({"reviewers": users, "team_reviewers": teams});
            done = self.post(&format!("pulls/{}/requested_reviewers", pull.number), &body).await;
        }
        let mut issue = Map::new();
        if !wanted.assignees.is_empty() {
            issue.insert("assignees".to_owned(), json!(wanted.assignees));
        }
        issue.extend(milestone.map(|number| ("milestone".to_owned(), json!(number))));
        if !issue.is_empty() {
            let route = self.route(&format!("issues/{}", pull.number));
            let issue = Value::Object(issue);
            let answer: Result<Value, ForgeError> =
                self.write(async |rest: Octocrab| rest.patch(&route, Some(&issue)).await).await;
            done = done.and(answer.map(drop));
        }
        // One that is refused does not keep the others away.
        done.and(self.label(pull, &wanted.labels).await.map(drop))
    }

    /// The number of an open milestone.
    ///
    /// # Errors
    /// GitHub refuses, cannot be reached, or has none with this title.
    pub async fn milestone(&self, title: &str) -> Result<u64, ForgeError> {
        #[derive(Deserialize)]
        struct Milestone {
            number: u64,
            title: String,
        }
        let route = self.route("milestones?state=open&per_page=100");
        let all: Vec<Milestone> = self.get(&route).await?;
        let found = all.into_iter().find(|milestone| milestone.title == title);
        let unknown = || ForgeError::NotFound(format!("an open milestone `{title}`"));
        found.map(|milestone| milestone.number).ok_or_else(unknown)
    }

    /// Gives a pull request another body.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn rewrite(&self, number: u64, body: &str) -> Result<(), ForgeError> {
        self.patch(number, &json!({"body": redacted(body)})).await
    }

    /// Closes a pull request, with a body that says that we did, and a word for people.
    ///
    /// # Errors
    /// GitHub refuses, or cannot be reached.
    pub async fn close(&self, number: u64, body: &str, word: &str) -> Result<(), ForgeError> {
        self.patch(number, &json!({"state": "closed", "body": redacted(body)})).await?;
        self.post(&format!("issues/{number}/comments"), &json!({"body": redacted(word)})).await
    }

    async fn patch(&self, number: u64, patch: &Value) -> Result<(), ForgeError> {
        let route = self.route(&format!("pulls/{number}"));
        let _sent: Sent =
            self.write(async |rest: Octocrab| rest.patch(&route, Some(patch)).await).await?;
        Ok(())
    }

    async fn post(&self, rest: &str, body: &Value) -> Result<(), ForgeError> {
        let route = self.route(rest);
        let _sent: Value =
            self.write(async |rest: Octocrab| rest.post(&route, Some(body)).await).await?;
        Ok(())
    }
}

/// Whether a pull request can be there although its creation failed.
fn may_exist(error: &ForgeError) -> bool {
    match error {
        ForgeError::Invalid(why) => why.contains("already exists"),
        ForgeError::Unavailable(_) => true,
        _ => false,
    }
}
