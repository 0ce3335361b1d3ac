//! A GitHub with one repository: pull requests over a real bare repository, git over HTTP.
//!
//! Answers start from GitHub's published examples, and every request and answer is judged by its
//! published description. It differs from the original: one user, no rate limits unless scripted,
//! checks that a test sets, no reviews, merges that are always squashes, and auto-merge that is
//! only noted.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde_json::{Value, json};

use super::{Bot, Repo, git_http, openapi};

pub const TOKEN: &str = "ghs_canaryTokenOfTheTests";
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
const COMPARE: &str = "/repos/{owner}/{repo}/compare/{basehead}";

pub struct GitHub {
    pub url: String,
    pub repo: Repo,
    state: Arc<Mutex<Held>>,
}

struct Held {
    url: String,
    root: PathBuf,
    repo: Repo,
    pulls: Vec<Pull>,
    /// What the repository allows: GraphQL's fields.
    settings: Value,
    viewer: String,
    /// The query of the request that is answered.
    query: String,
    /// `GraphQL`'s issues.
    issues: Vec<Value>,
    author: String,
    /// Answers to give instead, for a method and a part of the path, each once.
    faults: VecDeque<Fault>,
    requests: Vec<String>,
    violations: Vec<String>,
    chaos: Option<Chaos>,
    ambush: Option<Ambush>,
}

/// Delays and failures by a seed.
struct Chaos {
    seed: u64,
    /// What a replica that lags behind still shows.
    stale: Vec<Pull>,
}

/// A request at which a test wants to do something to the bot.
struct Ambush {
    /// How many requests come before it.
    left: usize,
    /// Whether it has its effect first.
    after_effect: bool,
    arrived: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what a test sets of it")]
pub struct Pull {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub head: String,
    pub base: String,
    pub state: &'static str,
    pub merged: bool,
    pub labels: Vec<String>,
    pub draft: bool,
    pub assignees: Vec<String>,
    pub reviewers: Vec<String>,
    pub milestone: Option<u64>,
    pub comments: Vec<String>,
    /// `GraphQL`'s check runs and statuses of the head, as a test sets them.
    pub checks: Vec<Value>,
    /// `GraphQL`'s `mergeStateStatus`, where a test sets it.
    pub state_status: Option<&'static str>,
    pub armed: bool,
    pub armed_by: &'static str,
    /// Whether its branch is a fork's.
    pub fork: bool,
    /// Who set its labels; `ada` may write.
    pub labelled_by: &'static str,
    /// `GraphQL`'s states of reviews.
    pub reviews: Vec<&'static str>,
    /// What was merged.
    pub merged_head: String,
}

/// A failure by script.
pub struct Fault {
    pub method: &'static str,
    pub part: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub message: &'static str,
    /// Whether the effect happens although the answer is lost.
    pub after_effect: bool,
}

impl GitHub {
    pub fn start(runtime: &tokio::runtime::Runtime, root: &Path, repo: Repo) -> Self {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Held {
            url: url.clone(),
            root: root.to_owned(),
            repo: repo.clone(),
            pulls: Vec::new(),
            settings: json!({
                "squashMergeAllowed": true, "mergeCommitAllowed": true, "rebaseMergeAllowed": true,
                "autoMergeAllowed": true, "deleteBranchOnMerge": false,
            }),
            viewer: "bot".to_owned(),
            query: String::new(),
            issues: Vec::new(),
            author: "bot".to_owned(),
            faults: VecDeque::new(),
            requests: Vec::new(),
            violations: Vec::new(),
            chaos: None,
            ambush: None,
        }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, repo, state }
    }

    /// The bot in the environment of this server, with its token.
    pub fn env(&self, bot: Bot) -> Bot {
        bot.env("GITHUB_API_URL", &format!("{}/api/v3", self.url))
            .env("GITHUB_SERVER_URL", &self.url)
            .env("GITHUB_TOKEN", TOKEN)
    }

    pub fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().faults.push_back(fault);
    }

    /// Delays and fails by a seed; `None` to stop that.
    pub fn chaos(&self, seed: Option<u64>) {
        let mut held = self.state.lock().unwrap();
        held.chaos = seed.map(|seed| Chaos { seed, stale: Vec::new() });
    }

    /// Waits at the request that so many others come before: with its effect or without it. Something
    /// arrives when it is there, and it goes on, and fails, when the sender is dropped.
    pub fn ambush(
        &self,
        left: usize,
        after_effect: bool,
    ) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (arrived, here) = mpsc::channel();
        let (goes_on, go_on) = mpsc::channel();
        let ambush = Ambush { left, after_effect, arrived, go_on };
        self.state.lock().unwrap().ambush = Some(ambush);
        (here, goes_on)
    }

    pub fn pulls(&self) -> Vec<Pull> {
        self.state.lock().unwrap().pulls.clone()
    }

    /// A person changes a pull request on the page.
    pub fn edit(&self, number: u64, change: impl FnOnce(&mut Pull)) {
        let mut held = self.state.lock().unwrap();
        change(held.pulls.iter_mut().find(|pull| pull.number == number).unwrap());
    }

    /// A person merges a pull request, when that is possible without a conflict.
    pub fn merge(&self, number: u64) -> bool {
        self.state.lock().unwrap().merge(number)
    }

    /// What the repository allows.
    pub fn allows(&self, setting: &str, is_allowed: bool) {
        self.state.lock().unwrap().settings[setting] = json!(is_allowed);
    }

    /// Outsiders open many pull requests from branches of their own with this name.
    pub fn crowd(&self, head: &str) {
        self.state.lock().unwrap().crowd(head);
    }

    /// Issues, as `GraphQL` has them.
    pub fn issues(&self) -> Vec<Value> {
        self.state.lock().unwrap().issues.clone()
    }

    /// Somebody opens an issue.
    pub fn open_issue(&self, author: &str, body: &str) {
        let issue = json!({"number": 1000, "title": "x", "body": body, "author": author, "labels": ["tagalong"]});
        self.state.lock().unwrap().issues.push(issue);
    }

    /// Who opens pull requests.
    pub fn author_is(&self, login: &str) {
        login.clone_into(&mut self.state.lock().unwrap().author);
    }

    /// Whose the token is.
    pub fn token_is_of(&self, login: &str) {
        login.clone_into(&mut self.state.lock().unwrap().viewer);
    }

    pub fn mergeable(&self, number: u64) -> bool {
        let held = self.state.lock().unwrap();
        let pull = held.pulls.iter().find(|pull| pull.number == number).unwrap();
        held.merged_tree(pull).is_some()
    }

    /// The requests since the last call, as `METHOD path`; git's among them.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// The requests to the API since the last call that can change something.
    pub fn writes(&self) -> Vec<String> {
        let writes = |seen: &String| {
            seen.starts_with("POST /api/v3")
                || seen.starts_with("PATCH")
                || seen.starts_with("PUT")
                || seen.starts_with("DELETE")
                || seen.contains("receive-pack")
        };
        self.seen().into_iter().filter(writes).collect()
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let violations = self.state.lock().unwrap().violations.clone();
            assert!(violations.is_empty(), "against GitHub's description: {violations:#?}");
        }
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Held>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    tokio::task::spawn_blocking(move || {
        let ambush = state.lock().unwrap().ambushed();
        let chance = state.lock().unwrap().chance();
        std::thread::sleep(std::time::Duration::from_millis(chance.unwrap_or(0) % 8));
        let fails = |nth: u64| chance.is_some_and(|chance| chance / 8 % 16 == nth);
        if fails(0) || ambush.as_ref().is_some_and(|ambush| !ambush.after_effect) {
            ambush.into_iter().for_each(Ambush::spring);
            return StatusCode::BAD_GATEWAY.into_response();
        }
        let answer = answered(&state, &method, &uri, &headers, &body, fails(2));
        if fails(1) || ambush.is_some() {
            ambush.into_iter().for_each(Ambush::spring);
            return StatusCode::BAD_GATEWAY.into_response();
        }
        answer
    })
    .await
    .unwrap()
}

fn answered(
    state: &Arc<Mutex<Held>>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
    is_stale: bool,
) -> Response {
    {
        let user = login(headers);
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        if path.contains(".git/") {
            let request = git_http::Request {
                method: method.as_str(),
                path: &path,
                query: &query,
                headers,
                body,
            };
            return git(state, user.as_deref(), &request);
        }
        let mut held = state.lock().unwrap();
        held.query = query;
        if is_stale && path.contains("graphql") {
            let lagging = held.chaos.as_ref().unwrap().stale.clone();
            let pulls = std::mem::replace(&mut held.pulls, lagging);
            let answer = held.api(method, &path, body, user.as_deref());
            held.pulls = pulls;
            return answer;
        }
        held.requests.push(format!("{method} {path}"));
        let fault =
            held.faults.iter().position(|f| f.method == method.as_str() && path.contains(f.part));
        let fault = fault.and_then(|index| held.faults.remove(index));
        match fault {
            Some(fault) if fault.after_effect => {
                let _lost = held.api(method, &path, body, user.as_deref());
                failure(&fault)
            }
            Some(fault) => failure(&fault),
            None => held.api(method, &path, body, user.as_deref()),
        }
    }
}

impl Ambush {
    fn spring(self) {
        self.arrived.send(()).unwrap();
        self.go_on.recv().unwrap_err();
    }
}

fn failure(fault: &Fault) -> Response {
    let mut response = said(fault.status, fault.message);
    for (name, value) in &fault.headers {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    response
}

/// Who the request is from: the token, in either way that it may be sent.
fn login(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("authorization")?.to_str().ok()?;
    let basic = value.strip_prefix("Basic ").and_then(|text| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        String::from_utf8(bytes).ok()?.split_once(':').map(|(_, password)| password.to_owned())
    });
    let token = basic.or_else(|| value.strip_prefix("Bearer ").map(str::to_owned))?;
    if token == TOKEN {
        return Some("bot".to_owned());
    }
    // An app's proof; what it is signed with, the test of the app looks at.
    let claims = token.split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    Some(format!("proof {}", String::from_utf8(claims).ok()?))
}

fn git(state: &Arc<Mutex<Held>>, user: Option<&str>, request: &git_http::Request<'_>) -> Response {
    let root = {
        let mut held = state.lock().unwrap();
        let challenged = if user.is_none() { " (challenged)" } else { "" };
        held.requests
            .push(format!("{} {}?{}{challenged}", request.method, request.path, request.query));
        held.root.clone()
    };
    let Some(user) = user.filter(|user| *user == "bot") else {
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        response
            .headers_mut()
            .insert("www-authenticate", HeaderValue::from_static("Basic realm=\"GitHub\""));
        return response;
    };
    git_http::serve(&root, user, request)
}

impl Held {
    /// The ambush, when this is its request.
    fn ambushed(&mut self) -> Option<Ambush> {
        let ambush = self.ambush.as_mut()?;
        if ambush.left == 0 {
            return self.ambush.take();
        }
        ambush.left -= 1;
        None
    }

    /// A number by the seed, when there is one (splitmix64).
    fn chance(&mut self) -> Option<u64> {
        let pulls = self.pulls.clone();
        let chaos = self.chaos.as_mut()?;
        chaos.seed = chaos.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = chaos.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        if z % 3 == 0 {
            chaos.stale = pulls;
        }
        Some(z ^ (z >> 31))
    }

    fn api(&mut self, method: &Method, path: &str, body: &Bytes, user: Option<&str>) -> Response {
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
        let Some(rest) = path.strip_prefix("/api/v3/repos/acme/fleet") else {
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
            ("GET", ["issues", number, "events"]) => self.events(number.parse().unwrap()),
            ("GET", ["collaborators", login, "permission"]) => self.permission(login),
            ("GET", ["milestones"]) => self.milestones(),
            ("GET", ["compare", basehead @ ..]) => self.compare(&basehead.join("/")),
            _ => said(404, "Not Found"),
        }
    }

    /// What only an app asks, with the proof of its key instead of a token.
    fn app(
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

    /// Executes a query on GitHub's published schema, with graphql-js.
    fn graphql(&mut self, body: &Value) -> Response {
        let pulls = self.pulls.iter().map(|pull| {
            json!({
                "number": pull.number, "url": format!("{}/acme/fleet/pull/{}", self.url, pull.number), "title": pull.title,
                "body": pull.body.replace('\n', "\r\n"), "state": if pull.merged { "MERGED".to_owned() } else { pull.state.to_uppercase() },
                "headRefName": pull.head, "baseRefName": pull.base, "labels": pull.labels,
                "id": format!("PR_{}", pull.number), "headRefOid": self.head_of(pull), "isDraft": pull.draft,
                "armedBy": pull.armed_by, "fork": pull.fork, "reviewers": pull.reviewers, "reviews": pull.reviews,
                "mergeStateStatus": self.status(pull), "reviewDecision": null, "author": self.author, "armed": pull.armed,
                "checks": pull.checks,
            })
        });
        let input = json!({
            "query": body["query"], "variables": body["variables"], "pulls": pulls.collect::<Vec<_>>(),
            "repository": self.settings, "viewer": self.viewer, "issues": self.issues,
            "heads": {"refs/heads/main": self.repo.head("main")},
        });
        let answer = openapi::graphql(&input);
        for effect in answer["effects"].as_array().into_iter().flatten() {
            let pull = self.pulls.iter_mut().find(|pull| effect["number"] == pull.number);
            pull.unwrap().armed = effect["kind"] == "arm";
        }
        self.violations
            .extend(answer["violations"].as_array().into_iter().flatten().map(Value::to_string));
        axum::Json(answer["answer"].clone()).into_response()
    }

    fn create(&mut self, body: &Value) -> Response {
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
        let body_draft = body["draft"] == json!(true);
        let (title, body) = (text("title"), text("body"));
        let pull = Pull {
            number,
            title,
            body,
            head,
            base,
            state: "open",
            merged: false,
            labels: Vec::new(),
            draft: body_draft,
            assignees: Vec::new(),
            reviewers: Vec::new(),
            milestone: None,
            comments: Vec::new(),
            checks: Vec::new(),
            state_status: None,
            armed: false,
            armed_by: "bot",
            fork: false,
            labelled_by: "ada",
            reviews: Vec::new(),
            merged_head: String::new(),
        };
        self.pulls.push(pull.clone());
        let shown = self.fill(&openapi::example("pull-request"), &pull);
        self.judged("POST", PULLS, 201, shown)
    }

    fn update(&mut self, number: u64, body: &Value) -> Response {
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

    fn label(&mut self, number: u64, body: &Value) -> Response {
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
    fn head_of(&self, pull: &Pull) -> String {
        let now = self.repo.head(&pull.head);
        let then = if pull.merged { pull.merged_head.clone() } else { now };
        if then.is_empty() { "0".repeat(40) } else { then }
    }

    /// What GitHub says of a merge.
    fn status(&self, pull: &Pull) -> &'static str {
        let known = if self.merged_tree(pull).is_some() { "CLEAN" } else { "DIRTY" };
        pull.state_status.unwrap_or(known)
    }

    fn merge_by_api(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("PUT", MERGE, "request", body));
        let Some(pull) = self.pulls.iter().find(|pull| pull.number == number).cloned() else {
            return said(404, "Not Found");
        };
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

    fn request(&mut self, number: u64, body: &Value) -> Response {
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

    fn issue(&mut self, number: u64, body: &Value) -> Response {
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
    fn list(&mut self) -> Response {
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
    fn crowd(&mut self, head: &str) {
        for _ in 0..60 {
            let mut pull = self.pulls[0].clone();
            (pull.number, pull.fork) = (self.pulls.len() as u64 + 1, true);
            (pull.state, pull.merged) = ("open", false);
            head.clone_into(&mut pull.head);
            self.pulls.push(pull);
        }
    }

    fn events(&mut self, number: u64) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).unwrap();
        let row = openapi::example("issue-event-for-issue-items")[0].clone();
        let rows = pull.labels.iter().map(|name| {
            let mut row = row.clone();
            row["event"] = json!("labeled");
            row["actor"]["login"] = json!(pull.labelled_by);
            row["label"] = json!({"name": name, "color": "ededed"});
            row
        });
        let shown = rows.collect();
        self.judged("GET", EVENTS, 200, shown)
    }

    fn permission(&mut self, login: &str) -> Response {
        let name = "repository-collaborator-permission-response-if-user-has-admin-permissions";
        let mut shown = openapi::example(name);
        shown["permission"] = json!(if login == "ada" { "write" } else { "read" });
        // The published example has a person without what the description requires.
        shown["user"] = Value::Null;
        self.judged("GET", PERMISSION, 200, shown)
    }

    fn milestones(&mut self) -> Response {
        let mut milestone = openapi::example("milestone");
        (milestone["number"], milestone["title"]) = (json!(7), json!("2026-12"));
        self.judged("GET", MILESTONES, 200, json!([milestone]))
    }

    fn show(&mut self, number: u64) -> Response {
        let pull = self.pulls.iter().find(|pull| pull.number == number).cloned().unwrap();
        let shown = self.fill(&openapi::example("pull-request"), &pull);
        self.judged("GET", PULL, 200, shown)
    }

    fn new_issue(&mut self, body: &Value) -> Response {
        self.violations.extend(openapi::violations("POST", ISSUES, "request", body));
        let number = 1000 + self.issues.len();
        self.issues.push(json!({
            "number": number, "title": body["title"], "body": body["body"], "author": self.author,
            "labels": body["labels"],
        }));
        self.judged("POST", ISSUES, 201, openapi::example("issue"))
    }

    fn change_issue(&mut self, number: &str, body: &Value) -> Response {
        self.violations.extend(openapi::violations("PATCH", ISSUE, "request", body));
        let index: usize = number.parse::<usize>().unwrap() - 1000;
        for key in ["title", "body"] {
            self.issues[index][key] = body[key].clone();
        }
        self.judged("PATCH", ISSUE, 200, openapi::example("issue"))
    }

    fn unlabel(&mut self, number: u64, name: &str) -> Response {
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        pull.labels.retain(|label| label != name);
        let shown: Value = pull.labels.iter().map(|name| label(name)).collect();
        self.judged("DELETE", LABEL, 200, shown)
    }

    fn comment(&mut self, number: u64, body: &Value) -> Response {
        self.violations.extend(openapi::violations("POST", COMMENTS, "request", body));
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        pull.comments.push(body["body"].as_str().unwrap_or_default().to_owned());
        let shown = openapi::example("issue-comment");
        self.judged("POST", COMMENTS, 201, shown)
    }

    /// What git says of two commits, in the form of the published example.
    fn compare(&mut self, basehead: &str) -> Response {
        let (base, head) = basehead.split_once("...").unwrap();
        let mut shown = openapi::example("commit-comparison");
        let commits = self.repo.git(&["rev-list", "--reverse", &format!("{base}..{head}")]);
        let row = shown["commits"][0].clone();
        let rows = commits.lines().map(|sha| {
            let mut row = row.clone();
            row["sha"] = json!(sha);
            row
        });
        shown["commits"] = rows.collect();
        shown["total_commits"] = json!(commits.lines().count());
        let between = format!("{base}...{head}");
        let changes = self.repo.git(&["diff", "--raw", "--no-abbrev", "--no-renames", &between]);
        let row = shown["files"][0].clone();
        let rows = changes.lines().map(|line| {
            let (fields, path) = line.split_once('\t').unwrap();
            let fields: Vec<&str> = fields.split(' ').collect();
            let status = match fields[4] {
                "A" => "added",
                "D" => "removed",
                _ => "modified",
            };
            let mut row = row.clone();
            (row["filename"], row["sha"], row["status"]) =
                (json!(path), json!(fields[3]), json!(status));
            row
        });
        shown["files"] = rows.collect();
        self.judged("GET", COMPARE, 200, shown)
    }

    /// An answer, after it was held against the description.
    fn judged(&mut self, method: &str, template: &str, status: u16, body: Value) -> Response {
        self.violations.extend(openapi::violations(method, template, &status.to_string(), &body));
        (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
    }

    /// A published example made into this pull request.
    fn fill(&self, template: &Value, pull: &Pull) -> Value {
        let mut out = template.clone();
        let web = format!("{}/acme/fleet/pull/{}", self.url, pull.number);
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

    /// The tree of a merge without conflicts.
    fn merged_tree(&self, pull: &Pull) -> Option<String> {
        let args = ["merge-tree", "--write-tree", &pull.base, &pull.head];
        let (clean, output) = self.repo.try_git(&args);
        clean.then(|| output.trim().to_owned())
    }

    fn merge(&mut self, number: u64) -> bool {
        let Some(pull) = self.pulls.iter().find(|pull| pull.number == number).cloned() else {
            return false;
        };
        let Some(tree) = self.merged_tree(&pull) else { return false };
        let base = self.repo.head(&pull.base);
        let commit = self.repo.git(&["commit-tree", &tree, "-p", &base, "-m", &pull.title]);
        self.repo.git(&["update-ref", &format!("refs/heads/{}", pull.base), commit.trim(), &base]);
        let head = self.repo.head(&pull.head);
        let pull = self.pulls.iter_mut().find(|pull| pull.number == number).unwrap();
        (pull.state, pull.merged, pull.merged_head) = ("closed", true, head);
        true
    }
}

fn label(name: &str) -> Value {
    let mut label = openapi::example("pull-request")["labels"][0].clone();
    label["name"] = json!(name);
    label
}

fn said(status: u16, message: &str) -> Response {
    let body = json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn invalid(code: &str, message: &str) -> Response {
    let detail =
        json!({"resource": "PullRequest", "code": code, "field": "head", "message": message});
    let body = json!({"message": "Validation Failed", "errors": [detail], "documentation_url": "https://docs.github.com/rest", "status": "422"});
    (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response()
}
