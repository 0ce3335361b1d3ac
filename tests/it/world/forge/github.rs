//! GitHub's interfaces.
//!
//! Answers start from GitHub's published examples, and every request and answer is judged by its published description. It
//! differs from the original: one user, no rate limits unless scripted, checks that a test sets, merges that are always
//! squashes, and auto-merge and a merge queue that are only noted.

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::{Held, Pull, TOKEN};
use crate::world::openapi;

const PULLS: &str = "/repos/{owner}/{repo}/pulls";
const PULL: &str = "/repos/{owner}/{repo}/pulls/{pull_number}";
const LABELS: &str = "/repos/{owner}/{repo}/issues/{issue_number}/labels";
const LABEL: &str = "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}";
const EVENTS: &str = "/repos/{owner}/{repo}/issues/{issue_number}/events";
const PERMISSION: &str = "/repos/{owner}/{repo}/collaborators/{username}/permission";
const ISSUES: &str = "/repos/{owner}/{repo}/issues";
const ISSUE: &str = "/repos/{owner}/{repo}/issues/{issue_number}";
const COMMENTS: &str = "/repos/{owner}/{repo}/issues/{issue_number}/comments";
const REVIEWERS: &str = "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers";
const MERGE: &str = "/repos/{owner}/{repo}/pulls/{pull_number}/merge";
const INSTALLATION: &str = "/repos/{owner}/{repo}/installation";
const TOKENS: &str = "/app/installations/{installation_id}/access_tokens";
const MILESTONES: &str = "/repos/{owner}/{repo}/milestones";
const REPOSITORY: &str = "/repos/{owner}/{repo}";
const RELEASES: &str = "/repos/{owner}/{repo}/releases";

impl Held {
    /// The answer of GitHub's interfaces.
    pub(super) fn github(
        &mut self,
        method: &Method,
        path: &str,
        body: &Bytes,
        user: Option<&str>,
    ) -> Response {
        let body_value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if let Some(answer) = self.app(method, path, &body_value, user) {
            return answer;
        }
        if user != Some("bot") {
            return said(401, "Bad credentials");
        }
        if (method.as_str(), path) == ("POST", "/api/graphql") {
            return self.graphql(&body_value);
        }
        let Some(rest) = path.strip_prefix(&*format!("/api/v3/repos/acme/{}", self.name)) else {
            return said(404, "Not Found");
        };
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        match (method.as_str(), &parts[..]) {
            ("POST", ["pulls"]) => self.create(&body_value),
            ("PATCH", ["pulls", number]) => self.update(number.parse().unwrap(), &body_value),
            ("GET", ["pulls"]) => self.list(),
            ("GET", ["pulls", number]) => self.show(number.parse().unwrap()),
            ("PUT", ["pulls", number, "merge"]) => {
                self.merge_by_api(number.parse().unwrap(), &body_value)
            }
            ("POST", ["pulls", number, "requested_reviewers"]) => {
                self.request(number.parse().unwrap(), &body_value)
            }
            ("POST", ["issues"]) => self.new_issue(&body_value),
            ("PATCH", ["issues", number]) if number.starts_with("100") => {
                self.change_issue(number, &body_value)
            }
            ("PATCH", ["issues", number]) => self.issue(number.parse().unwrap(), &body_value),
            ("POST", ["issues", number, "labels"]) => {
                self.label(number.parse().unwrap(), &body_value)
            }
            ("DELETE", ["issues", number, "labels", name]) => {
                self.unlabel(number.parse().unwrap(), &name.replace("%3A", ":"))
            }
            ("POST", ["issues", number, "comments"]) => {
                self.comment(number.parse().unwrap(), &body_value)
            }
            ("GET", ["issues", number, "labels"]) => self.labels(number.parse().unwrap()),
            ("GET", ["issues", number, "events"]) => self.events(number.parse().unwrap()),
            ("GET", ["collaborators", login, "permission"]) => self.permission(login),
            ("GET", ["milestones"]) => self.milestones(),
            _ => said(404, "Not Found"),
        }
    }

    /// Executes a query on GitHub's published schema, with graphql-js.
    pub(super) fn graphql(&mut self, body: &Value) -> Response {
        let pulls = self.pulls.iter().map(|pull| {
            json!({
                "number": pull.number, "url": format!("{}/acme/{}/pull/{}", self.url, self.name, pull.number), "title": pull.title,
                "body": pull.body.replace('\n', "\r\n"), "state": if pull.merged { "MERGED".to_owned() } else { pull.state.to_uppercase() },
                "headRefName": pull.head, "baseRefName": pull.base, "labels": pull.labels,
                "id": format!("PR_{}", pull.number), "headRefOid": self.head_of(pull), "isDraft": pull.draft,
                "armedBy": pull.armed_by, "fork": pull.fork, "reviewers": pull.reviewers, "reviews": pull.reviews,
                "reviewer": {"__typename": if pull.reviewer.contains("bot") { "Bot" } else { "User" }, "login": pull.reviewer},
                "mergeStateStatus": self.status(pull), "reviewDecision": null, "author": self.author, "armed": pull.armed,
                "checks": pull.checks, "queued": pull.queued,
                "isMergeQueueEnabled": self.settings["mergeQueue"] == json!(true),
            })
        });
        let made = &body["variables"]["input"]["fileChanges"];
        let made = if made.is_null() { Value::Null } else { self.make_commit(body) };
        let input = json!({
            "query": body["query"], "variables": body["variables"], "pulls": pulls.collect::<Vec<_>>(), "made": made,
            "repository": self.settings, "viewer": self.viewer, "issues": self.issues,
            "statuses": self.statuses, "heads": self.repo.heads(), "name": self.name,
        });
        let answer = openapi::graphql(&input);
        for effect in answer["effects"].as_array().into_iter().flatten() {
            let pull = self.pulls.iter_mut().find(|pull| effect["number"] == pull.number).unwrap();
            match effect["kind"].as_str() {
                Some("enqueue") => pull.queued = true,
                Some("dequeue") => pull.queued = false,
                kind => pull.armed = kind == Some("arm"),
            }
        }
        self.violations
            .extend(answer["violations"].as_array().into_iter().flatten().map(Value::to_string));
        axum::Json(answer["answer"].clone()).into_response()
    }

    /// Another repository, `acme/shop`, and its releases.
    pub(super) fn github_repository(
        &mut self,
        path: &str,
        known: Option<&str>,
    ) -> Option<Response> {
        match path {
            "/api/v3/repos/acme/shop" => Some(self.other_repository()),
            "/api/v3/repos/acme/shop/releases" => Some(self.list_releases(known)),
            _ => None,
        }
    }

    /// Another repository, which is public unless a test says otherwise.
    fn other_repository(&mut self) -> Response {
        self.requests.push("GET /api/v3/repos/acme/shop".to_owned());
        let mut shown = openapi::example("full-repository");
        // The published example lacks what the description requires.
        shown["has_discussions"] = json!(false);
        shown["private"] = json!(self.is_private);
        shown["visibility"] = json!(if self.is_private { "private" } else { "public" });
        self.judged("GET", REPOSITORY, 200, shown)
    }

    /// The releases of another repository, with a validator.
    fn list_releases(&mut self, known: Option<&str>) -> Response {
        let etag = format!("W/\"{}\"", self.releases.len());
        let is_known = known == Some(&etag);
        let path = "GET /api/v3/repos/acme/shop/releases";
        self.requests.push(if is_known { format!("{path} (304)") } else { path.to_owned() });
        if is_known {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        let row = openapi::example("release");
        let rows = self.releases.iter().map(|(tag, text)| {
            let mut row = row.clone();
            (row["tag_name"], row["body"]) = (json!(tag), json!(text));
            row["draft"] = json!(text.starts_with("draft"));
            row
        });
        let shown = rows.collect();
        let mut answer = self.judged("GET", RELEASES, 200, shown);
        answer.headers_mut().insert("etag", etag.parse().unwrap());
        answer
    }

    /// A commit on a branch, as GitHub makes it: its own committer, no signature that anybody could check.
    fn make_commit(&self, body: &Value) -> Value {
        let input = &body["variables"]["input"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let branch = text(&input["branch"]["branchName"]);
        let parent = text(&input["expectedHeadOid"]);
        if self.repo.head(&branch) != parent {
            return Value::Null;
        }
        let message = &input["message"];
        let message = format!("{}\n\n{}", text(&message["headline"]), text(&message["body"]));
        let additions = input["fileChanges"]["additions"].as_array().unwrap();
        let files = additions.iter().map(|file| (text(&file["path"]), text(&file["contents"])));
        let oid = self.repo.commit_by_github(&branch, &message, files);
        let tree = self.repo.git(&["rev-parse", &format!("{oid}^{{tree}}")]);
        json!({"oid": oid, "tree": tree.trim(), "isSigned": self.signs})
    }

    /// What only an app asks, with the proof of its key instead of a token.
    pub(super) fn app(
        &mut self,
        method: &Method,
        path: &str,
        body: &Value,
        user: Option<&str>,
    ) -> Option<Response> {
        let is_ours = match (method.as_str(), path) {
            ("GET", "/api/v3/repos/acme/fleet/installation") => true,
            ("POST", "/api/v3/app/installations/7/access_tokens") => false,
            ("GET", path) if path.ends_with("/installation") => {
                return Some(said(404, "Not Found"));
            }
            _ => return None,
        };
        let now = jiff::Timestamp::now().as_second();
        let proof = user.and_then(|user| user.strip_prefix("proof "));
        let claims: Value =
            proof.map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default();
        let (from, until) =
            (claims["iat"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
        if claims["iss"] != "123" || from > now || until < now || until - now > 600 {
            return Some(said(401, "A JSON web token could not be decoded"));
        }
        if is_ours {
            let mut shown = openapi::example("installation");
            shown["id"] = json!(7);
            return Some(self.judged("GET", INSTALLATION, 200, shown));
        }
        self.violations.extend(openapi::violations("POST", TOKENS, "request", body));
        let mut shown = openapi::example("installation-token");
        shown["token"] = json!(TOKEN);
        Some(self.judged("POST", TOKENS, 201, shown))
    }

    pub(super) fn create(&mut self, body: &Value) -> Response {
        self.violations.extend(openapi::violations("POST", PULLS, "request", body));
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (head, base) = (text("head"), text("base"));
        let open = |pull: &Pull| {
            pull.state == "open" && pull.head == head && pull.base == base && !pull.fork
        };
        if self.pulls.iter().any(open) {
            return invalid("custom", "A pull request already exists for acme:tagalong.");
        }
        if self.repo.head(&head).is_empty() {
            return invalid("invalid", "head");
        }
        if self.repo.head(&head) == self.repo.head(&base) {
            return invalid("custom", "No commits between main and the branch");
        }
        let number = self.pulls.len() as u64 + 1;
        let pull = Pull {
            number,
            title: text("title"),
            body: text("body"),
            head,
            base,
            draft: body["draft"] == json!(true),
            ..Pull::default()
        };
        self.pulls.push(pull.clone());
        let shown = self.fill(&openapi::example("pull-request"), &pull);
        self.judged("POST", PULLS, 201, shown)
    }

    pub(super) fn update(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("PATCH", PULL, "request", body));
        let Some(pull) = self.pulls.iter_mut().find(|pull| pull.number == number) else {
            return said(404, "Not Found");
        };
        let set = |slot: &mut String, name: &str| {
            if let Some(text) = body[name].as_str() {
                text.clone_into(slot);
            }
        };
        set(&mut pull.title, "title");
        set(&mut pull.body, "body");
        if body["state"] == json!("closed") {
            pull.state = "closed";
        }
        let pull = pull.clone();
        let shown = self.fill(&openapi::example("pull-request"), &pull);
        self.judged("PATCH", PULL, 200, shown)
    }

    pub(super) fn label(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("POST", LABELS, "request", body));
        let Some(pull) = self.pulls.iter_mut().find(|pull| pull.number == number) else {
            return said(404, "Not Found");
        };
        let new = body["labels"].as_array().into_iter().flatten().filter_map(Value::as_str);
        pull.labels.extend(new.map(str::to_owned));
        let shown: Value = pull.labels.iter().map(|name| label(name)).collect();
        self.judged("POST", LABELS, 200, shown)
    }

    /// The commit of a pull request, also when its branch is gone.
    pub(super) fn head_of(&self, pull: &Pull) -> String {
        let now = self.repo.head(&pull.head);
        let then = if pull.merged { pull.merged_head.clone() } else { now };
        if then.is_empty() { "0".repeat(40) } else { then }
    }

    /// What GitHub says of a merge.
    pub(super) fn status(&self, pull: &Pull) -> &'static str {
        let known = if self.merged_tree(pull).is_some() { "CLEAN" } else { "DIRTY" };
        pull.state_status.unwrap_or(known)
    }

    pub(super) fn merge_by_api(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("PUT", MERGE, "request", body));
        let Some(pull) = self.pulls.iter().find(|pull| pull.number == number).cloned() else {
            return said(404, "Not Found");
        };
        if self.settings["mergeQueue"] == json!(true) {
            return said(405, "Changes must be made through the merge queue");
        }
        if pull.state != "open" || matches!(self.status(&pull), "BLOCKED" | "BEHIND") {
            return said(405, "Pull Request is not mergeable");
        }
        if body["sha"].as_str() != Some(&self.repo.head(&pull.head)) {
            return said(409, "Head branch was modified. Review and try the merge again.");
        }
        if !self.merge(number) {
            return said(405, "Merge conflict: the pull request cannot be merged");
        }
        let merged = json!({"sha": self.repo.head(&pull.base), "merged": true, "message": "Pull Request successfully merged"});
        self.judged("PUT", MERGE, 200, merged)
    }

    pub(super) fn request(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("POST", REVIEWERS, "request", body));
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        for key in ["reviewers", "team_reviewers"] {
            let names = body[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            pull.reviewers.extend(names.map(str::to_owned));
            pull.reviewers.dedup();
        }
        let pull = pull.clone();
        let shown = self.fill(&openapi::example("pull-request-review-request"), &pull);
        self.judged("POST", REVIEWERS, 201, shown)
    }

    pub(super) fn issue(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("PATCH", ISSUE, "request", body));
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        let texts = |key: &str| {
            let all = body[key].as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(body["labels"].is_null(), "labels are added, not replaced");
        pull.assignees = texts("assignees");
        pull.milestone = body["milestone"].as_u64();
        let shown = openapi::example("issue");
        self.judged("PATCH", ISSUE, 200, shown)
    }

    /// The pull requests of a branch of the repository itself.
    pub(super) fn list(&mut self) -> Response {
        let pairs: std::collections::BTreeMap<String, String> =
            url::form_urlencoded::parse(self.query.as_bytes()).into_owned().collect();
        let row = openapi::example("pull-request-simple-items")[0].clone();
        let is_it = |pull: &&Pull| {
            format!("acme:{}", pull.head) == pairs["head"]
                && pull.base == pairs["base"]
                && !pull.fork
        };
        let pulls: Vec<Pull> = self.pulls.iter().filter(is_it).rev().cloned().collect();
        let rows = pulls.iter().map(|pull| {
            let mut row = self.fill(&row, pull);
            row["head"]["sha"] = json!(self.head_of(pull));
            row["user"]["login"] = json!(self.author);
            row["merged_at"] =
                if pull.merged { json!("2026-01-01T00:00:00Z") } else { Value::Null };
            row
        });
        let shown = rows.collect();
        self.judged("GET", PULLS, 200, shown)
    }

    /// Outsiders open pull requests from branches of this name.
    pub(super) fn crowd(&mut self, head: &str) {
        for _ in 0..60 {
            let mut pull = self.pulls[0].clone();
            (pull.number, pull.fork) = (self.pulls.len() as u64 + 1, true);
            (pull.state, pull.merged) = ("open", false);
            head.clone_into(&mut pull.head);
            self.pulls.push(pull);
        }
    }

    pub(super) fn labels(&mut self, number: u64) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).unwrap();
        let shown = pull.labels.iter().map(|name| label(name)).collect();
        self.judged("GET", LABELS, 200, shown)
    }

    /// The labels first, then what else happened, in parts of a hundred.
    pub(super) fn events(&mut self, number: u64) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).unwrap();
        let row = openapi::example("issue-event-for-issue-items")[0].clone();
        let labels = pull.labels.iter().map(|name| ("labeled", name.as_str()));
        let earlier = pull.earlier.iter().map(|name| ("labeled", name.as_str()));
        let noise = std::iter::repeat_n(("head_ref_force_pushed", ""), pull.noise);
        let all = earlier.map(|one| (one, "ada"));
        let by = |name: &str| match pull.held_by {
            Some(by) if name == "tagalong:hold" => by,
            _ => pull.labelled_by,
        };
        let all = all.chain(labels.chain(noise).map(|one| (one, by(one.1))));
        let rows = (1_u64..).zip(all).map(|(id, ((what, name), by))| {
            let mut row = row.clone();
            (row["id"], row["event"], row["actor"]["login"]) = (json!(id), json!(what), json!(by));
            row["actor"]["type"] = json!(if by.contains("bot") { "Bot" } else { "User" });
            row["performed_via_github_app"] = Value::Null;
            if what == "labeled" {
                row["label"] = json!({"name": name, "color": "ededed"});
            }
            row
        });
        let pairs: Vec<&str> = self.query.split('&').collect();
        let page = pairs.iter().find_map(|pair| pair.strip_prefix("page=")?.parse().ok());
        let shown = rows.skip(100 * (page.unwrap_or(1_usize) - 1)).take(100).collect();
        self.judged("GET", EVENTS, 200, shown)
    }

    pub(super) fn permission(&mut self, login: &str) -> Response {
        let name = "repository-collaborator-permission-response-if-user-has-admin-permissions";
        let mut shown = openapi::example(name);
        shown["permission"] =
            json!(if ["eve", "mallory"].contains(&login) { "read" } else { "write" });
        // The published example has a person without what the description requires.
        shown["user"] = Value::Null;
        self.judged("GET", PERMISSION, 200, shown)
    }

    pub(super) fn milestones(&mut self) -> Response {
        let mut milestone = openapi::example("milestone");
        (milestone["number"], milestone["title"]) = (json!(7), json!("2026-12"));
        self.judged("GET", MILESTONES, 200, json!([milestone]))
    }

    pub(super) fn show(&mut self, number: u64) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).cloned().unwrap();
        let shown = self.fill(&openapi::example("pull-request"), &pull);
        self.judged("GET", PULL, 200, shown)
    }

    pub(super) fn new_issue(&mut self, body: &Value) -> Response {
        self.violations.extend(openapi::violations("POST", ISSUES, "request", body));
        let number = 1000 + self.issues.len();
        self.issues.push(json!({
            "number": number, "title": body["title"], "body": body["body"], "author": self.author,
            "labels": body["labels"],
        }));
        self.judged("POST", ISSUES, 201, openapi::example("issue"))
    }

    pub(super) fn change_issue(&mut self, number: &str, body: &Value) -> Response {
        self.violations.extend(openapi::violations("PATCH", ISSUE, "request", body));
        let index: usize = number.parse::<usize>().unwrap() - 1000;
        for key in ["title", "body"] {
            self.issues[index][key] = body[key].clone();
        }
        self.judged("PATCH", ISSUE, 200, openapi::example("issue"))
    }

    pub(super) fn unlabel(&mut self, number: u64, name: &str) -> Response {
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        pull.labels.retain(|label| label != name);
        let shown: Value = pull.labels.iter().map(|name| label(name)).collect();
        self.judged("DELETE", LABEL, 200, shown)
    }

    pub(super) fn comment(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("POST", COMMENTS, "request", body));
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        pull.comments.push(body["body"].as_str().unwrap_or_default().to_owned());
        let shown = openapi::example("issue-comment");
        self.judged("POST", COMMENTS, 201, shown)
    }

    /// An answer, after it was held against the description.
    pub(super) fn judged(
        &mut self,
        method: &str,
        template: &str,
        status: u16,
        body: Value,
    ) -> Response {
        self.violations.extend(openapi::violations(method, template, &status.to_string(), &body));
        (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
    }

    /// A published example made into this pull request.
    pub(super) fn fill(&self, template: &Value, pull: &Pull) -> Value {
        let mut out = template.clone();
        let web = format!("{}/acme/{}/pull/{}", self.url, self.name, pull.number);
        for (key, value) in [
            ("number", json!(pull.number)),
            ("node_id", json!(format!("PR_{}", pull.number))),
            ("draft", json!(pull.draft)),
            ("title", json!(pull.title)),
            ("body", json!(pull.body.replace('\n', "\r\n"))),
            ("state", json!(pull.state)),
            ("html_url", json!(web)),
            // The published example has a team without the `type` that the description requires.
            ("requested_teams", json!([])),
            ("labels", pull.labels.iter().map(|name| label(name)).collect()),
        ] {
            out[key] = value;
        }
        for (side, branch) in [("head", &pull.head), ("base", &pull.base)] {
            out[side]["ref"] = json!(branch);
            out[side]["label"] = json!(format!("acme:{branch}"));
            out[side]["sha"] = json!(self.repo.head(branch));
        }
        if out.get("merged").is_some() {
            out["merged"] = json!(pull.merged);
            out["mergeable"] = json!(self.merged_tree(pull).is_some());
        }
        out
    }
}

fn label(name: &str) -> Value {
    let mut label = openapi::example("pull-request")["labels"][0].clone();
    label["name"] = json!(name);
    label
}

pub(super) fn said(status: u16, message: &str) -> Response {
    let body = json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn invalid(code: &str, message: &str) -> Response {
    let detail =
        json!({"resource": "PullRequest", "code": code, "field": "head", "message": message});
    let body = json!({"message": "Validation Failed", "errors": [detail], "documentation_url": "https://docs.github.com/rest", "status": "422"});
    (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response()
}
