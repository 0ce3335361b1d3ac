//! GitLab's interfaces.
//!
//! REST answers start from samples of the published types, and every request and answer is judged by them; GraphQL is executed
//! on the used part of the published schema, with its limit of complexity. It differs from the original: one account that acts,
//! no rate limits unless scripted, jobs that a test sets, merges that are always squashes, statuses of merges that are known
//! at once unless a test says otherwise, no pipelines of merge results, and trains that are only noted.

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::{Held, Pull};
use crate::world::gitbeaker::{camel, filled, user, violations};
use crate::world::openapi;

/// The moment at which a branch came to where it is.
const PUSHED: &str = "2027-01-01T12:00:00.000Z";
const EARLIER: &str = "2027-01-01T11:00:00.000Z";
const LATEST: &str = "2027-01-01T14:00:00.000Z";
const EARLIEST: &str = "2026-01-01T10:00:00.000Z";
const LATER: &str = "2027-01-01T13:00:00.000Z";

/// Accounts by their numbers, from one on; others get theirs when they are first named.
const ACCOUNTS: [&str; 5] = ["bot", "ada", "eve", "mallory", "grace"];

impl Held {
    pub(super) fn gitlab(
        &mut self,
        method: &Method,
        path: &str,
        body: &Bytes,
        user: Option<&str>,
    ) -> Response {
        if user != Some("bot") {
            return said(401, "401 Unauthorized");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if (method.as_str(), path) == ("POST", "/api/graphql") {
            return self.gitlab_graphql(&body);
        }
        let of = format!("/api/v4/projects/acme%2F{}", self.name.replace('/', "%2F"));
        if let Some(name) = path.strip_prefix("/api/v4/users") {
            return self.accounts(name.trim_start_matches('/'));
        }
        let Some(rest) = path.strip_prefix(&*of) else {
            return said(404, "404 Project Not Found");
        };
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        let number = |text: &str| text.parse::<u64>().unwrap();
        match (method.as_str(), &parts[..]) {
            ("GET", []) => self.project(),
            ("GET", ["repository", "branches", name]) => self.branch(name),
            ("GET", ["repository", "commits", commit, "statuses"]) => self.jobs(commit),
            ("POST", ["merge_requests"]) => self.new_merge_request(&body),
            ("GET", ["milestones"]) => self.active_milestones(),
            ("GET", ["members", "all", id]) => self.member(id),
            ("GET", ["issues"]) => self.open_issues(),
            ("POST", ["issues"]) => self.gitlab_issue(None, &body),
            ("PUT", ["issues", iid]) => self.gitlab_issue(Some(iid), &body),
            ("POST", ["merge_trains", "merge_requests", iid]) => self.train(number(iid), &body),
            (_, ["merge_requests", iid, rest @ ..]) => {
                let number = number(iid);
                if !self.pulls.iter().any(|pull| pull.number == number) {
                    return said(404, "404 Not found");
                }
                match (method.as_str(), rest) {
                    ("GET", []) => self.merge_request(number, 200),
                    ("PUT", []) => self.edit_merge_request(number, &body),
                    ("PUT", ["merge"]) => self.accept(number, &body),
                    ("POST", ["cancel_merge_when_pipeline_succeeds"]) => self.cancel(number),
                    ("GET", ["resource_label_events"]) => self.label_events(number),
                    ("GET", ["versions"]) => self.versions(number),
                    ("GET", ["approvals"]) => self.approvals(number),
                    ("POST", ["notes"]) => self.note(number, &body),
                    _ => said(404, "404 Not found"),
                }
            }
            _ => said(404, "404 Not found"),
        }
    }

    /// Another project, `acme/shop`, and its releases.
    pub(super) fn gitlab_repository(&mut self, path: &str) -> Option<Response> {
        let rest = path.strip_prefix("/api/v4/projects/acme%2Fshop")?;
        self.requests.push(format!("GET {path}"));
        if rest.is_empty() {
            let visibility = if self.is_private { "private" } else { "public" };
            let level =
                if self.settings["releases"] == json!(false) { "private" } else { "enabled" };
            let project =
                json!({"id": 8, "visibility": visibility, "releases_access_level": level});
            return Some(axum::Json(project).into_response());
        }
        let rows = self.releases.iter().map(|(tag, text)| {
            let is_upcoming = text.starts_with("draft");
            filled(
                "Release",
                json!({"tag_name": tag, "description": text, "upcoming_release": is_upcoming}),
            )
        });
        Some(axum::Json(rows.collect::<Value>()).into_response())
    }

    fn gitlab_graphql(&mut self, body: &Value) -> Response {
        // The others are not shown, and what git says of each takes its time.
        let asked = |pull: &&Pull| {
            let branches = body["variables"]["branches"].as_array().into_iter().flatten();
            branches.into_iter().any(|branch| *branch == *pull.head)
                || body["variables"]["iid"].as_str().and_then(|iid| iid.parse().ok())
                    == Some(pull.number)
        };
        let pulls = self.pulls.iter().filter(asked).map(|pull| self.graphql_node(pull));
        let pulls: Vec<Value> = pulls.collect();
        let input = json!({
            "query": body["query"], "variables": body["variables"], "pulls": pulls,
            "path": format!("acme/{}", self.name), "viewer": self.viewer,
        });
        let answer = openapi::gitlab_graphql(&input);
        let wrong = answer["violations"].as_array().into_iter().flatten().map(Value::to_string);
        self.violations.extend(wrong);
        axum::Json(answer["answer"].clone()).into_response()
    }

    fn graphql_node(&self, pull: &Pull) -> Value {
        let approvers: Vec<Value> = pull
            .reviews
            .iter()
            .filter(|state| **state == "APPROVED")
            .map(|_| json!({"username": pull.reviewer, "bot": pull.reviewer.contains("bot")}))
            .collect();
        let asked = pull.reviewers.iter();
        let mut reviewers: Vec<Value> =
            asked.map(|name| json!({"username": name, "reviewState": "UNREVIEWED"})).collect();
        if pull.reviews.contains(&"CHANGES_REQUESTED") {
            reviewers.push(json!({"username": pull.reviewer, "reviewState": "REQUESTED_CHANGES"}));
        }
        let strategy = if pull.queued { "merge_train" } else { "merge_when_checks_pass" };
        json!({
            "iid": pull.number.to_string(), "webUrl": self.web_url(pull), "title": titled(pull), "state": if pull.is_locked { "locked" } else { state(pull) },
            "description": pull.body, "sourceBranch": pull.head, "targetBranch": pull.base,
            "sourceProjectId": if pull.fork { 99 } else { 7 }, "targetProjectId": 7,
            "diffHeadSha": self.head_of(pull), "labels": pull.labels, "renamedAt": if pull.is_renamed { LATEST } else { EARLIEST }, "draft": pull.draft,
            "author": {"username": self.author}, "detailedMergeStatus": self.verdict(pull).to_uppercase(),
            "autoMergeEnabled": pull.armed || pull.queued,
            "autoMergeStrategy": (pull.armed || pull.queued).then_some(strategy),
            "mergeUser": {"username": pull.armed_by, "bot": false},
            "approvers": approvers, "reviewers": reviewers,
        })
    }

    fn web_url(&self, pull: &Pull) -> String {
        format!("{}/acme/{}/-/merge_requests/{}", self.url, self.name, pull.number)
    }

    /// GitLab's verdict on a merge.
    fn verdict(&self, pull: &Pull) -> &'static str {
        match self.status(pull) {
            _ if pull.state != "open" => "not_open",
            _ if self.looks > 0 => "checking",
            "DIRTY" => "conflict",
            _ if pull.draft => "draft_status",
            "BEHIND" => "need_rebase",
            "BLOCKED" => "discussions_not_resolved",
            "UNKNOWN" => "unchecked",
            _ => "mergeable",
        }
    }

    fn id_of(&mut self, username: &str) -> usize {
        if let Some(known) = self.accounts.iter().position(|known| known == username) {
            return known + 1;
        }
        self.accounts.push(username.to_owned());
        self.accounts.len()
    }

    fn user(&mut self, username: &str) -> Value {
        user(self.id_of(username), username)
    }

    /// An account by its number, or those of a name; a name with a slash is a group's.
    fn accounts(&mut self, id: &str) -> Response {
        if id.is_empty() {
            let name = pairs(&self.query).remove("username").unwrap_or_default();
            let is_there = !name.contains('/') && name != "nobody";
            let found: Vec<Value> = if is_there { vec![self.user(&name)] } else { Vec::new() };
            return axum::Json(found).into_response();
        }
        let name = self.accounts[id.parse::<usize>().unwrap() - 1].clone();
        let mut found = self.user(&name);
        found["bot"] = json!(name.contains("bot"));
        axum::Json(found).into_response()
    }

    fn member(&mut self, id: &str) -> Response {
        let name = self.accounts[id.parse::<usize>().unwrap() - 1].clone();
        match name.as_str() {
            "mallory" => said(404, "404 Member Not Found"),
            // A Reporter may label, and not push.
            "eve" => axum::Json(json!({"id": 3, "access_level": 20})).into_response(),
            _ => axum::Json(json!({"id": 2, "access_level": 30})).into_response(),
        }
    }

    fn project(&mut self) -> Response {
        let allows = |key: &str| self.settings[key] == json!(true);
        let squash = match (allows("squashMergeAllowed"), allows("mergeCommitAllowed")) {
            (false, _) => "never",
            (true, false) => "always",
            (true, true) => "default_off",
        };
        let has_requests = self.settings["mergeRequests"] != json!(false);
        let project = json!({
            "id": 7, "path_with_namespace": format!("acme/{}", self.name), "merge_method": "merge",
            "squash_option": squash, "archived": allows("archived"),
            "merge_requests_access_level": if has_requests { "enabled" } else { "disabled" },
            "remove_source_branch_after_merge": allows("deleteBranchOnMerge"),
            "merge_trains_enabled": allows("mergeQueue"), "visibility": "private",
        });
        axum::Json(project).into_response()
    }

    fn branch(&mut self, name: &str) -> Response {
        let head = self.repo.head(&name.replace("%2F", "/"));
        if head.is_empty() {
            return said(404, "404 Branch Not Found");
        }
        let mut branch = filled("Branch", json!({"name": name}));
        branch["commit"]["id"] = json!(head);
        self.answered("Branch", branch, 200)
    }

    /// Jobs and statuses of a commit: those of its merge request, and those that were reported.
    fn jobs(&mut self, commit: &str) -> Response {
        let of_pulls = self.pulls.iter().filter(|pull| self.head_of(pull) == commit);
        let mut all: Vec<Value> = of_pulls.flat_map(|pull| pull.checks.clone()).collect();
        all.extend(
            self.statuses.get(commit).and_then(Value::as_array).into_iter().flatten().cloned(),
        );
        let (page, count) = (page(&self.query), all.len());
        let part: Vec<Value> = all.into_iter().skip(100 * (page - 1)).take(100).collect();
        let rows: Vec<Value> = part.iter().map(|check| self.job(check, commit)).collect();
        for row in &rows {
            self.violations.extend(violations("CommitStatus", row));
        }
        paged(page, count, rows)
    }

    fn job(&mut self, check: &Value, commit: &str) -> Value {
        let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        let (is_job, said) = (check["context"].is_null(), text("conclusion") + &text("state"));
        let status = match said.as_str() {
            "SUCCESS" | "NEUTRAL" => "success",
            "SKIPPED" => "skipped",
            "PENDING" => "pending",
            "" => "running",
            _ => "failed",
        };
        let by = check["by"].as_str().unwrap_or(if is_job { "bot" } else { "ada" }).to_owned();
        let name = if is_job { text("name") } else { text("context") };
        filled(
            "CommitStatus",
            json!({"name": name, "status": status, "sha": commit, "author": self.user(&by)}),
        )
    }

    fn new_merge_request(&mut self, body: &Value) -> Response {
        self.violations
            .extend(violations("CreateRequest", &without(body, &["sourceBranch", "targetBranch"])));
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (head, base, title) = (text("source_branch"), text("target_branch"), text("title"));
        let is_it = |pull: &&Pull| {
            pull.state == "open" && pull.head == head && pull.base == base && !pull.fork
        };
        if let Some(other) = self.pulls.iter().find(is_it) {
            let why = format!(
                "Another open merge request already exists for this source branch: !{}",
                other.number
            );
            return (StatusCode::CONFLICT, axum::Json(json!({"message": [why]}))).into_response();
        }
        if self.repo.head(&head).is_empty() {
            return said(400, "source_branch does not exist");
        }
        let number = self.pulls.len() as u64 + 1;
        let draft = title.starts_with("Draft: ");
        let title = title.trim_start_matches("Draft: ").to_owned();
        let body = self.obeyed(number, &text("description"));
        self.pulls.push(Pull { number, title, body, head, base, draft, ..Pull::default() });
        self.merge_request(number, 201)
    }

    /// A text after GitLab obeyed what in it is a command.
    fn obeyed(&mut self, number: u64, text: &str) -> String {
        let is_command =
            |line: &&str| line.starts_with('/') && line[1..].starts_with(char::is_alphabetic);
        let commands: Vec<&str> = text.lines().filter(is_command).collect();
        self.violations
            .extend(commands.iter().map(|line| format!("!{number}: it was told to {line}")));
        text.to_owned()
    }

    fn merge_request(&mut self, number: u64, status: u16) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).cloned().unwrap();
        let people = |held: &mut Self, names: &[String]| -> Value {
            names.iter().map(|name| held.user(name)).collect()
        };
        let (reviewers, assignees) = (people(self, &pull.reviewers), people(self, &pull.assignees));
        let always_squashes = self.settings["ruleSquashes"] == json!(true);
        let author = self.author.clone();
        let shown = filled(
            "MergeRequest",
            json!({
                "iid": number, "web_url": self.web_url(&pull), "title": titled(&pull), "description": pull.body,
                "state": state(&pull), "source_branch": pull.head, "target_branch": pull.base, "labels": pull.labels,
                "draft": pull.draft, "sha": self.head_of(&pull), "detailed_merge_status": self.verdict(&pull),
                "squash": pull.squash, "squash_on_merge": pull.squash || always_squashes,
                "head_pipeline": pipeline(&pull).map(|status| filled("HeadPipeline", json!({"status": status}))),
                "merge_when_pipeline_succeeds": pull.armed, "reviewers": reviewers, "assignees": assignees,
                "author": self.user(&author),
            }),
        );
        self.answered("MergeRequest", shown, status)
    }

    fn edit_merge_request(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(violations("EditRequest", &camel(body)));
        if let Some(text) = body["description"].as_str() {
            self.obeyed(number, text);
        }
        let ids = |key: &str| {
            let all = body[key].as_array()?;
            let name = |id: &Value| {
                self.accounts[usize::try_from(id.as_u64().unwrap()).unwrap() - 1].clone()
            };
            Some(all.iter().map(name).collect::<Vec<String>>())
        };
        let (reviewers, assignees) = (ids("reviewer_ids"), ids("assignee_ids"));
        let takes_one = self.settings["takesOne"] == json!(true);
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        if let Some(title) = body["title"].as_str() {
            pull.draft = title.starts_with("Draft: ");
            title.trim_start_matches("Draft: ").clone_into(&mut pull.title);
        }
        if let Some(text) = body["description"].as_str() {
            text.clone_into(&mut pull.body);
        }
        if body["state_event"] == "close" {
            pull.state = "closed";
        }
        let labels = |key: &str| {
            let text = body[key].as_str().unwrap_or_default();
            text.split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        pull.labels.extend(labels("add_labels"));
        let gone = labels("remove_labels");
        pull.labels.retain(|label| !gone.contains(label));
        pull.labels.dedup();
        pull.reviewers = reviewers.unwrap_or_else(|| pull.reviewers.clone());
        pull.assignees = assignees.unwrap_or_else(|| pull.assignees.clone());
        if takes_one {
            pull.reviewers.truncate(1);
        }
        pull.milestone = body["milestone_id"].as_u64().or(pull.milestone);
        pull.squash = body["squash"].as_bool().unwrap_or(pull.squash);
        self.merge_request(number, 200)
    }

    fn accept(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(violations("AcceptRequest", &camel(body)));
        let pull = self.pulls.iter().find(|pull| pull.number == number).cloned().unwrap();
        let verdict = self.verdict(&pull);
        if verdict == "checking" {
            self.looks -= 1;
            return said(405, "405 Method Not Allowed");
        }
        if pull.state != "open" || matches!(verdict, "draft_status" | "conflict" | "need_rebase") {
            return said(if verdict == "conflict" { 422 } else { 405 }, "Branch cannot be merged");
        }
        let head = self.repo.head(&pull.head);
        if body["sha"].as_str() != Some(&head) {
            return said(409, &format!("SHA does not match HEAD of source branch: {head}"));
        }
        let is_auto = body["auto_merge"] == json!(true);
        // Without a pipeline, or after one that passed, it is merged at once.
        if is_auto && !matches!(pipeline(&pull), None | Some("success")) {
            self.pulls.iter_mut().find(|pull| pull.number == number).unwrap().armed = true;
            return self.merge_request(number, 200);
        }
        if verdict != "mergeable" {
            return said(if is_auto { 422 } else { 405 }, "405 Method Not Allowed");
        }
        if self.settings["mergeQueue"] == json!(true) {
            self.violations.push(format!("!{number}: it was merged past the train"));
        }
        if !self.merge(number) {
            return said(422, "Branch cannot be merged");
        }
        self.merge_request(number, 200)
    }

    fn cancel(&mut self, number: u64) -> Response {
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        // It answers with success in either case.
        if pull.state != "open" || !pull.armed && !pull.queued {
            let error = json!({"status": "error", "message": "Can't cancel the automatic merge", "http_status": 406});
            return (StatusCode::CREATED, axum::Json(error)).into_response();
        }
        if !pull.stays_armed {
            (pull.armed, pull.queued) = (false, false);
        }
        self.merge_request(number, 201)
    }

    fn train(&mut self, number: u64, body: &Value) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).cloned().unwrap();
        if body["sha"].as_str() != Some(&self.repo.head(&pull.head)) {
            return said(409, "SHA does not match HEAD of source branch");
        }
        if self.verdict(&pull) == "conflict" {
            return said(400, "Failed to merge");
        }
        self.pulls.iter_mut().find(|pull| pull.number == number).unwrap().queued = true;
        (StatusCode::CREATED, axum::Json(json!([]))).into_response()
    }

    /// Labels of `ada`, then what the token may not see, then labels, in parts of a hundred: GitLab counts a part off before it
    /// leaves out what may not be seen. Names are those of today.
    fn label_events(&mut self, number: u64) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).cloned().unwrap();
        let by = |name: &str| match pull.held_by {
            Some(by) if name == "tagalong:hold" => by,
            _ => pull.labelled_by,
        };
        let event = |name: &str, by: &str, action: &str| {
            Some((name.to_owned(), by.to_owned(), action.to_owned()))
        };
        let earlier = pull.earlier.iter().map(|name| event(name, "ada", "add"));
        let taken = pull.taken_off.iter().map(|name| event(name, "ada", "remove"));
        let labels = pull.labels.iter().map(|name| event(name, by(name), "add"));
        let hidden = std::iter::repeat_n(None, pull.noise);
        let all: Vec<_> = earlier.chain(taken).chain(hidden).chain(labels).enumerate().collect();
        let at = if pull.is_approved_early { EARLIER } else { LATER };
        let mut rows = Vec::new();
        let page = page(&self.query);
        for (id, event) in all.iter().skip(100 * (page - 1)).take(100) {
            let Some((label, by, action)) = event else { continue };
            let user = self.user(by);
            let fields = json!({"id": id + 1, "action": action, "user": user, "created_at": at});
            let mut row = filled("LabelEvent", fields);
            row["label"]["name"] = json!(label);
            self.violations.extend(violations("LabelEvent", &row));
            rows.push(row);
        }
        paged(page, all.len(), rows)
    }

    /// The states of a branch that were seen: an earlier one, and the present one.
    fn versions(&mut self, number: u64) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).unwrap();
        let version = |id: u64, head: &str, at: &str| {
            filled("DiffVersion", json!({"id": id, "head_commit_sha": head, "created_at": at}))
        };
        let rows =
            json!([version(2, &self.head_of(pull), PUSHED), version(1, &"0".repeat(40), EARLIER)]);
        axum::Json(rows).into_response()
    }

    fn approvals(&mut self, number: u64) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).cloned().unwrap();
        let at = if pull.is_approved_early { EARLIER } else { LATER };
        let is_new = self.settings["oldVersion"] != json!(true);
        let approvals = pull.reviews.iter().filter(|state| **state == "APPROVED");
        let rows: Vec<Value> = approvals
            .map(|_| {
                let mut row = json!({"user": self.user(pull.reviewer)});
                if is_new {
                    row["approved_at"] = json!(at);
                }
                row
            })
            .collect();
        axum::Json(json!({"id": number, "iid": number, "approved_by": rows})).into_response()
    }

    fn note(&mut self, number: u64, body: &Value) -> Response {
        let text = self.obeyed(number, body["body"].as_str().unwrap());
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        pull.comments.push(text.clone());
        let author = self.user("bot");
        let note = filled("Note", json!({"body": text, "author": author}));
        self.answered("Note", note, 201)
    }

    fn active_milestones(&mut self) -> Response {
        let milestone = filled("Milestone", json!({"id": 7, "title": "2026-12"}));
        let title = pairs(&self.query).remove("title");
        let found =
            if title.as_deref() == Some("2026-12") { json!([milestone]) } else { json!([]) };
        axum::Json(found).into_response()
    }

    fn open_issues(&mut self) -> Response {
        let issues = self.issues.clone();
        let by = pairs(&self.query).remove("author_username").unwrap_or_default();
        let issues: Vec<Value> =
            issues.into_iter().filter(|issue| issue["author"] == *by).collect();
        let rows = issues.iter().map(|issue| {
            let author = self.user(issue["author"].as_str().unwrap());
            json!({
                "iid": issue["number"], "title": issue["title"], "description": issue["body"], "author": author,
            })
        });
        let rows: Vec<Value> = rows.collect();
        axum::Json(rows).into_response()
    }

    fn gitlab_issue(&mut self, iid: Option<&str>, body: &Value) -> Response {
        self.obeyed(0, body["description"].as_str().unwrap_or_default());
        match iid {
            Some(iid) => {
                let issue = &mut self.issues[iid.parse::<usize>().unwrap() - 1000];
                issue["title"] = body["title"].clone();
                issue["body"] = body["description"].clone();
            }
            None => self.issues.push(json!({
                "number": 1000 + self.issues.len(), "title": body["title"], "body": body["description"],
                "author": self.author, "labels": [body["labels"]],
            })),
        }
        (StatusCode::CREATED, axum::Json(json!({"id": 1}))).into_response()
    }

    /// An answer, after it was held against its type.
    fn answered(&mut self, name: &str, body: Value, status: u16) -> Response {
        self.violations.extend(violations(name, &body));
        (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
    }
}

/// The accounts of a server that nobody has named yet.
pub(super) fn accounts() -> Vec<String> {
    ACCOUNTS.map(str::to_owned).to_vec()
}

/// The state of the pipeline of a head.
fn pipeline(pull: &Pull) -> Option<&'static str> {
    let is_passed = |check: &Value| check["conclusion"] == "SUCCESS" || check["state"] == "SUCCESS";
    let is_running = |check: &Value| check["conclusion"].is_null() && check["state"].is_null();
    match &pull.checks[..] {
        [] => None,
        all if all.iter().all(is_passed) => Some("success"),
        all if all.iter().any(is_running) => Some("running"),
        _ => Some("failed"),
    }
}

fn titled(pull: &Pull) -> String {
    let mark = if pull.draft { "Draft: " } else { "" };
    format!("{mark}{}", pull.title)
}

fn state(pull: &Pull) -> &'static str {
    match pull.state {
        "open" => "opened",
        _ if pull.merged => "merged",
        _ => "closed",
    }
}

/// A request without the fields that the client takes apart from the others.
fn without(body: &Value, keys: &[&str]) -> Value {
    let mut body = camel(body);
    body.as_object_mut().unwrap().retain(|key, _| !keys.contains(&key.as_str()));
    body
}

/// The part of a list that is asked for.
fn page(query: &str) -> usize {
    pairs(query).get("page").map_or(1, |page| page.parse().unwrap())
}

/// A part of a list, with what comes after it.
fn paged(page: usize, count: usize, rows: Vec<Value>) -> Response {
    let mut answer = axum::Json(rows).into_response();
    let next = if count > 100 * page { (page + 1).to_string() } else { String::new() };
    answer.headers_mut().insert("x-next-page", next.parse().unwrap());
    answer
}

fn pairs(query: &str) -> std::collections::BTreeMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn said(status: u16, message: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(json!({"message": message}))).into_response()
}
