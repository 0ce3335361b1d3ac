//! The interface of Forgejo and Gitea.
//!
//! Every request and answer is judged by the description that Forgejo publishes. What it does follows the programs: a merge
//! that cannot be is refused in the same words while it is looked at and when it conflicts, a scheduled merge shows in the
//! timeline alone, labels that are not there are left out. It differs from the originals: one account that acts, no rate limits
//! unless scripted, statuses that a test sets, merges that are always squashes, one protection of the base, and a list of pull
//! requests that holds no texts of repositories.

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::{Held, Pull};
use crate::world::swagger;

const REPO: &str = "/repos/{owner}/{repo}";

/// The start of numbers of issues, which are above those of pull requests.
const ISSUES: u64 = 1000;

/// What is asked: the template of its path, and what of it varies.
struct Asked<'a> {
    method: &'a str,
    template: String,
    parts: Vec<&'a str>,
    body: Value,
}

impl Held {
    pub(super) fn forgejo(
        &mut self,
        method: &Method,
        path: &str,
        body: &Bytes,
        user: Option<&str>,
    ) -> Response {
        if user != Some("bot") {
            return said(401, "user does not exist [uid: 0, name: ]");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let path = path.strip_prefix("/api/v1").unwrap_or_default();
        let own = format!("/repos/acme/{}", self.name);
        let of_repo =
            path.strip_prefix(&*own).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let parts: Vec<&str> = of_repo.unwrap_or(path).split('/').skip(1).collect();
        let Some(template) = template(of_repo.is_some(), &parts) else {
            return said(404, "Not Found");
        };
        let asked = Asked { method: method.as_str(), template, parts, body };
        let wrong = swagger::request(asked.method, &asked.template, &self.query, &asked.body);
        self.violations.extend(wrong);
        let answer = self.forgejo_answer(&asked);
        let (status, body) = match answer {
            Ok((status, body)) => (status, body),
            Err((status, message)) => (status, json!({"message": message, "url": self.url})),
        };
        let mut seen = body.clone();
        if let Some(rows) = seen.as_array_mut() {
            rows.retain(|row| !row.is_null());
        }
        let wrong = swagger::answer(asked.method, &asked.template, status, &seen);
        self.violations.extend(wrong);
        let status = StatusCode::from_u16(status).unwrap();
        if body.is_null() {
            return status.into_response();
        }
        match body.as_array().filter(|_| asked.is_divided()) {
            Some(rows) => self.divided(rows, asked.template.ends_with("/timeline")),
            None => (status, axum::Json(body)).into_response(),
        }
    }

    fn forgejo_answer(&mut self, asked: &Asked<'_>) -> Answer {
        let body = &asked.body;
        let number = |text: &str| text.parse::<u64>().unwrap();
        match (asked.method, &asked.parts[..]) {
            ("GET", ["user"]) => Ok((200, account(&self.viewer))),
            ("GET", ["teams"]) if self.settings["teams"] != json!(true) => {
                Err((405, "repo is not owned by an organization".to_owned()))
            }
            ("GET", ["teams"]) => Ok((
                200,
                json!([
                    {"id": 1, "name": "Owners", "permission": "owner", "units_map": {}},
                    {"id": 2, "name": "triage", "permission": "write", "units_map": {"repo.code": "read", "repo.pulls": "write"}},
                ]),
            )),
            ("GET", ["teams", "2", "members", name]) if *name == "grace" => {
                Ok((200, account(name)))
            }
            ("GET", ["orgs", ..]) => Ok((200, json!([label("of-all", 900)]))),
            ("GET", []) => Ok((200, self.forgejo_repo())),
            ("GET", ["pulls"]) => Ok((200, self.listed_pulls())),
            ("POST", ["pulls"]) => self.new_pull(body),
            ("GET", ["pulls", n]) => self.on(number(n), |held, pull| Ok((200, held.sent(pull)))),
            ("PATCH", ["pulls", n]) => self.on(number(n), |held, pull| held.edit_pull(pull, body)),
            ("POST", ["pulls", n, "merge"]) => {
                self.on(number(n), |held, pull| held.merge_pull(pull, body))
            }
            ("DELETE", ["pulls", n, "merge"]) => self.on(number(n), Self::unschedule),
            ("GET", ["pulls", n, "reviews"]) => {
                self.on(number(n), |held, pull| Ok((200, held.reviews(pull))))
            }
            ("POST", ["pulls", n, "requested_reviewers"]) => {
                self.on(number(n), |held, pull| held.request_review(pull, body))
            }
            ("GET", ["issues", n, "timeline"]) => {
                self.on(number(n), |_, pull| Ok((200, Self::timeline(pull))))
            }
            _ => self.about_the_rest(asked),
        }
    }

    fn about_the_rest(&mut self, asked: &Asked<'_>) -> Answer {
        let body = &asked.body;
        let number = |text: &str| text.parse::<u64>().unwrap();
        match (asked.method, &asked.parts[..]) {
            ("POST", ["issues", n, "labels"]) => {
                self.on(number(n), |held, pull| Ok((200, held.set_labels(pull, body))))
            }
            ("DELETE", ["issues", n, "labels", id]) => self.on(number(n), |held, pull| {
                held.drop_label(pull, number(id));
                Ok((204, Value::Null))
            }),
            ("POST", ["issues", n, "comments"]) => self.on(number(n), |held, pull| {
                let text = body["body"].as_str().unwrap().to_owned();
                held.pull(pull.number).comments.push(text);
                Ok((201, json!({"id": 1})))
            }),
            ("GET", ["labels"]) => Ok((
                200,
                self.labels_here.iter().enumerate().map(|(i, name)| label(name, i)).collect(),
            )),
            ("POST", ["labels"]) => {
                let name = body["name"].as_str().unwrap().to_owned();
                self.labels_here.push(name.clone());
                Ok((201, label(&name, self.labels_here.len() - 1)))
            }
            ("GET", ["milestones"]) => Ok((200, json!([{"id": 7, "title": "2026-12"}]))),
            ("GET", ["issues"]) => Ok((200, self.forgejo_issues())),
            ("POST", ["issues"]) => {
                self.issues.push(json!({
                    "number": ISSUES + self.issues.len() as u64, "title": body["title"], "body": body["body"],
                    "author": self.author,
                }));
                Ok((201, json!({"id": 1})))
            }
            ("PATCH", ["issues", n]) => {
                let index = usize::try_from(number(n) - ISSUES).unwrap();
                self.issues[index]["title"] = body["title"].clone();
                self.issues[index]["body"] = body["body"].clone();
                Ok((201, json!({"id": 1})))
            }
            _ => self.about_rules(asked),
        }
    }

    /// What is said of branches, commits and people.
    fn about_rules(&mut self, asked: &Asked<'_>) -> Answer {
        match (asked.method, &asked.parts[..]) {
            ("GET", ["branches", name]) => self.forgejo_branch(&name.replace("%2F", "/")),
            ("GET", ["branch_protections", _]) if self.settings["admin"] == json!(false) => {
                Err((404, "Not Found".to_owned()))
            }
            ("GET", ["branch_protections", name]) => {
                let behind = self.pulls.iter().any(|pull| pull.state_status == Some("BEHIND"));
                Ok((200, json!({"rule_name": name, "block_on_outdated_branch": behind})))
            }
            ("GET", ["commits", commit, "statuses"]) => Ok((200, self.forgejo_statuses(commit))),
            ("GET", ["git", "commits", commit]) => self.forgejo_commit(commit),
            ("GET", ["collaborators", ..]) if self.settings["admin"] == json!(false) => {
                Err((403, "Only admins can query all permissions".to_owned()))
            }
            ("GET", ["collaborators", name, _]) => {
                let permission = match *name {
                    "mallory" => return Err((404, "user does not exist".to_owned())),
                    "eve" => "read",
                    _ => "write",
                };
                Ok((
                    200,
                    json!({"permission": permission, "role_name": permission, "user": account(name)}),
                ))
            }
            _ => Err((404, "Not Found".to_owned())),
        }
    }

    /// Does something about a pull request that there is.
    fn on(&mut self, number: u64, act: impl FnOnce(&mut Self, &Pull) -> Answer) -> Answer {
        let pull = self.pulls.iter().find(|pull| pull.number == number).cloned();
        pull.map_or_else(|| Err((404, "Not Found".to_owned())), |pull| act(self, &pull))
    }

    fn pull(&mut self, number: u64) -> &mut Pull {
        self.pulls.iter_mut().find(|pull| pull.number == number).unwrap()
    }

    /// The rows of a part of a list, at most.
    fn page(&self) -> usize {
        if self.settings["smallPages"] == json!(true) { 3 } else { 50 }
    }

    /// A part of a list, with a link to the next one, which timelines have not.
    fn divided(&self, rows: &[Value], is_timeline: bool) -> Response {
        let number = |name: &str| {
            let pairs = url::form_urlencoded::parse(self.query.as_bytes());
            let found = pairs.into_iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.parse::<usize>().unwrap())
        };
        let (page, size) =
            (number("page").unwrap_or(1), number("limit").unwrap_or(30).min(self.page()));
        // What may not be seen is taken out of a part after it was counted off.
        let part = rows.iter().skip(size * (page - 1)).take(size).filter(|row| !row.is_null());
        let part: Vec<&Value> = part.collect();
        let total = if is_timeline { part.len() } else { rows.len() };
        let mut answer = axum::Json(&part).into_response();
        let headers = answer.headers_mut();
        headers.insert("x-total-count", total.to_string().parse().unwrap());
        if !is_timeline && rows.len() > size {
            let relation = if rows.len() > size * page { "next" } else { "first" };
            let link = format!("<{}/api/v1/x?page={}>; rel=\"{relation}\"", self.url, page + 1);
            headers.insert("link", link.parse().unwrap());
        }
        answer
    }

    /// Another repository, `acme/shop`, and its releases.
    pub(super) fn forgejo_repository(&mut self, path: &str) -> Option<Response> {
        let rest = path.strip_prefix("/api/v1/repos/acme/shop")?;
        self.requests.push(format!("GET {path}"));
        if rest.is_empty() {
            let owner = json!({"id": 3, "login": "acme", "visibility": "public"});
            let repo = json!({
                "id": 8, "name": "shop", "full_name": "acme/shop", "owner": owner, "private": self.is_private,
                "internal": self.settings["internal"] == json!(true),
            });
            self.violations.extend(swagger::answer("GET", REPO, 200, &repo));
            return Some(axum::Json(repo).into_response());
        }
        let rows: Value = self
            .releases
            .iter()
            .map(|(tag, text)| json!({"tag_name": tag, "body": text, "draft": text.starts_with("draft")}))
            .collect();
        self.violations.extend(swagger::answer("GET", &format!("{REPO}/releases"), 200, &rows));
        Some(axum::Json(rows).into_response())
    }

    fn forgejo_repo(&self) -> Value {
        let allows = |key: &str| self.settings[key] == json!(true);
        json!({
            "id": 7, "name": self.name, "full_name": format!("acme/{}", self.name), "archived": allows("archived"),
            "has_pull_requests": self.settings["mergeRequests"] != json!(false),
            "allow_merge_commits": allows("mergeCommitAllowed"), "allow_rebase": allows("rebaseMergeAllowed"),
            "allow_squash_merge": allows("squashMergeAllowed"), "default_delete_branch_after_merge": true,
        })
    }

    /// The newest first, as far as they are of the state that is asked for.
    fn listed_pulls(&self) -> Value {
        let query = url::form_urlencoded::parse(self.query.as_bytes()).into_owned();
        let state = query.into_iter().find(|(key, _)| key == "state").map(|(_, state)| state);
        let state = state.unwrap_or_else(|| "open".to_owned());
        let is_meant = |pull: &&Pull| state == "all" || pull.state == state;
        let heads = self.repo.heads();
        self.pulls.iter().rev().filter(is_meant).map(|pull| self.sent_at(pull, &heads)).collect()
    }

    pub(super) fn sent(&self, pull: &Pull) -> Value {
        self.sent_at(pull, &self.repo.heads())
    }

    /// A pull request while branches are at these commits.
    fn sent_at(&self, pull: &Pull, heads: &Value) -> Value {
        let at = |branch: &str| {
            heads[format!("refs/heads/{branch}")].as_str().unwrap_or_default().to_owned()
        };
        let head = if pull.merged { pull.merged_head.clone() } else { at(&pull.head) };
        let status =
            pull.state_status.unwrap_or_else(|| self.merge_status([at(&pull.base), head.clone()]));
        let is_looking = self.looks > 0 || status == "UNKNOWN";
        let labels = pull.labels.iter().map(|name| label(name, self.label_index(name)));
        let title = if pull.draft { format!("WIP: {}", pull.title) } else { pull.title.clone() };
        let end = |branch: &str, sha: String, fork: bool| {
            json!({
                "label": branch, "ref": branch, "sha": sha, "repo_id": if fork { 99 } else { 7 },
                "repo": self.forgejo_repo(),
            })
        };
        json!({
            "id": pull.number, "number": pull.number, "title": title, "body": pull.body, "state": pull.state,
            "html_url": format!("{}/acme/{}/pulls/{}", self.url, self.name, pull.number), "merged": pull.merged,
            "draft": pull.draft, "labels": labels.collect::<Vec<_>>(), "user": account(&self.author),
            "mergeable": pull.state == "open" && !pull.draft && !is_looking && status != "DIRTY",
            "head": end(&pull.head, head, pull.fork), "base": end(&pull.base, at(&pull.base), false),
        })
    }

    /// Whether a base takes a head, asked of git once.
    fn merge_status(&self, ends: [String; 2]) -> &'static str {
        let is_clean = *self.merges.borrow_mut().entry(ends).or_insert_with_key(|[base, head]| {
            !head.is_empty() && self.repo.try_git(&["merge-tree", "--write-tree", base, head]).0
        });
        if is_clean { "CLEAN" } else { "DIRTY" }
    }

    /// The place of a label among those of the repository; one that a test set by itself is added when it is shown.
    fn label_index(&self, name: &str) -> usize {
        let known = self.labels_here.iter().position(|known| known == name);
        known.unwrap_or_else(|| 500 + name.bytes().map(usize::from).sum::<usize>())
    }

    fn new_pull(&mut self, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (head, base, title) = (text("head"), text("base"), text("title"));
        let is_it = |pull: &&Pull| {
            pull.state == "open" && pull.head == head && pull.base == base && !pull.fork
        };
        if self.pulls.iter().any(|pull| is_it(&pull)) {
            return Err((409, "pull request already exists for these targets".to_owned()));
        }
        if self.repo.head(&head).is_empty() {
            return Err((404, "GetBaseRepo".to_owned()));
        }
        let number = self.pulls.len() as u64 + 1;
        let draft = title.starts_with("WIP: ");
        let title = title.trim_start_matches("WIP: ").to_owned();
        let body = text("body");
        self.pulls.push(Pull { number, title, body, head, base, draft, ..Pull::default() });
        self.on(number, |held, pull| Ok((201, held.sent(pull))))
    }

    fn edit_pull(&mut self, was: &Pull, body: &Value) -> Answer {
        let names = body["assignees"].as_array().map(|all| {
            all.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<String>>()
        });
        if let Some(name) = names.iter().flatten().find(|name| *name == "nobody") {
            return Err((422, format!("Assignee does not exist: [name: {name}]")));
        }
        if body["state"].is_string() && was.merged {
            return Err((
                412,
                "cannot change state of this pull request, it was already merged".to_owned(),
            ));
        }
        let pull = self.pull(was.number);
        if let Some(title) = body["title"].as_str() {
            pull.draft = title.starts_with("WIP: ");
            title.trim_start_matches("WIP: ").clone_into(&mut pull.title);
        }
        if let Some(text) = body["body"].as_str() {
            text.clone_into(&mut pull.body);
        }
        if body["state"] == "closed" {
            // What was scheduled stays so.
            pull.state = "closed";
        }
        pull.assignees = names.unwrap_or_else(|| pull.assignees.clone());
        pull.milestone = body["milestone"].as_u64().or(pull.milestone);
        self.on(was.number, |held, pull| Ok((201, held.sent(pull))))
    }

    fn request_review(&mut self, pull: &Pull, body: &Value) -> Answer {
        let names = |key: &str| {
            let all = body[key].as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        if names("reviewers").contains(&"nobody".to_owned()) {
            return Err((404, "user does not exist".to_owned()));
        }
        if names("reviewers").contains(&self.author) {
            return Err((422, "poster of pr can't be reviewer".to_owned()));
        }
        let teams = names("team_reviewers").into_iter().map(|team| format!("acme/{team}"));
        let wanted = names("reviewers").into_iter().chain(teams);
        let missing: Vec<String> = wanted.filter(|name| !pull.reviewers.contains(name)).collect();
        self.pull(pull.number).reviewers.extend(missing);
        Ok((201, json!([])))
    }

    fn set_labels(&mut self, pull: &Pull, body: &Value) -> Value {
        let ids = body["labels"].as_array().unwrap().iter();
        let ids = ids.map(|id| usize::try_from(id.as_u64().unwrap()).unwrap());
        let here = self.labels_here.clone();
        let of = |id: usize| here.get(id - 1).cloned().or((id == 901).then(|| "of-all".to_owned()));
        let names: Vec<String> = ids.filter_map(of).collect();
        let pull = self.pull(pull.number);
        pull.labels.extend(names);
        pull.labels.dedup();
        let labels = pull.labels.clone();
        labels.iter().map(|name| label(name, self.label_index(name))).collect()
    }

    fn drop_label(&mut self, pull: &Pull, id: u64) {
        let is_it = |name: &String| label(name, self.label_index(name))["id"] == id;
        let labels = pull.labels.iter().filter(|name| !is_it(name)).cloned().collect();
        self.pull(pull.number).labels = labels;
    }

    fn forgejo_issues(&self) -> Value {
        let query = url::form_urlencoded::parse(self.query.as_bytes()).into_owned();
        let by = query.into_iter().find(|(key, _)| key == "created_by").map(|(_, by)| by);
        let issues = self
            .issues
            .iter()
            .filter(|issue| Some(issue["author"].as_str().unwrap()) == by.as_deref());
        let rows = issues.map(|issue| {
            json!({
                "id": issue["number"], "number": issue["number"], "title": issue["title"], "body": issue["body"],
                "user": account(issue["author"].as_str().unwrap()),
            })
        });
        rows.collect()
    }

    fn forgejo_branch(&self, name: &str) -> Answer {
        let head = self.repo.head(name);
        if head.is_empty() {
            return Err((404, "Not Found".to_owned()));
        }
        let is_protected = self.settings["protected"] != json!(false);
        Ok((
            200,
            json!({
                "name": name, "commit": {"id": head}, "protected": is_protected, "enable_status_check": is_protected,
                "required_approvals": 0,
                "effective_branch_protection_name": if is_protected { name } else { "" },
            }),
        ))
    }

    fn forgejo_commit(&self, commit: &str) -> Answer {
        let (is_known, parents) = self.repo.try_git(&["rev-list", "--parents", "-n1", commit]);
        if !is_known {
            return Err((404, "Not Found".to_owned()));
        }
        let parents: Vec<Value> =
            parents.split_whitespace().skip(1).map(|sha| json!({"sha": sha})).collect();
        Ok((200, json!({"sha": commit, "parents": parents})))
    }
}

/// A status and a body, or a status and a message.
pub(super) type Answer = Result<(u16, Value), (u16, String)>;

impl Asked<'_> {
    /// True if its answer is a list that comes in parts.
    fn is_divided(&self) -> bool {
        self.method == "GET"
    }
}

/// The template of a path.
fn template(is_of_repo: bool, parts: &[&str]) -> Option<String> {
    let rest = match parts {
        ["user"] if !is_of_repo => return Some("/user".to_owned()),
        ["teams", _, "members", _] if !is_of_repo => {
            return Some("/teams/{id}/members/{username}".to_owned());
        }
        ["orgs", _, "labels"] if !is_of_repo => return Some("/orgs/{org}/labels".to_owned()),
        _ if !is_of_repo => return None,
        [] => "",
        ["pulls"] => "/pulls",
        ["pulls", _] => "/pulls/{index}",
        ["pulls", _, "merge"] => "/pulls/{index}/merge",
        ["pulls", _, "reviews"] => "/pulls/{index}/reviews",
        ["pulls", _, "requested_reviewers"] => "/pulls/{index}/requested_reviewers",
        ["issues"] => "/issues",
        ["issues", _] => "/issues/{index}",
        ["issues", _, "timeline"] => "/issues/{index}/timeline",
        ["issues", _, "comments"] => "/issues/{index}/comments",
        ["issues", _, "labels"] => "/issues/{index}/labels",
        ["issues", _, "labels", _] => "/issues/{index}/labels/{identifier}",
        ["labels"] => "/labels",
        ["teams"] => "/teams",
        ["milestones"] => "/milestones",
        ["branches", _] => "/branches/{branch}",
        ["branch_protections", _] => "/branch_protections/{name}",
        ["commits", _, "statuses"] => "/commits/{ref}/statuses",
        ["git", "commits", _] => "/git/commits/{sha}",
        ["collaborators", _, "permission"] => "/collaborators/{collaborator}/permission",
        _ => return None,
    };
    Some(format!("{REPO}{rest}"))
}

pub(super) fn account(login: &str) -> Value {
    let id = if login.contains("actions") { -2 } else { 4 };
    json!({"id": id, "login": login})
}

fn label(name: &str, index: usize) -> Value {
    json!({"id": index + 1, "name": name, "color": "6e7781", "description": "", "exclusive": false})
}

fn said(status: u16, message: &str) -> Response {
    let body = json!({"message": message, "url": "/swagger"});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}
